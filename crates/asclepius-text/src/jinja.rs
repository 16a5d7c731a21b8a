//! Jinja as chat templates and prompts use it: transformers' white space rules and Python's string methods.

use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Serde, Value, ValueKind, from_args};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, State, UndefinedBehavior};
use serde::Serialize;

use crate::TextError;

/// One compiled template. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Compiled {
    name: String,
    environment: Arc<Environment<'static>>,
}

impl Compiled {
    /// Compiles a chat template: block tags swallow their line, undefined names print nothing.
    pub(crate) fn chat(name: &str, source: &str) -> Result<Self, TextError> {
        let mut environment = environment();
        environment.set_syntax(chat_syntax());
        environment.set_undefined_behavior(UndefinedBehavior::Lenient);
        environment.set_unknown_method_callback(python_method);
        environment.add_function("raise_exception", |message: String| -> Result<Value, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, message))
        });
        environment.add_filter("tojson", python_json);
        Self::compile(name, environment, without_generation_marks(source))
    }

    /// Compiles a teacher's prompt: an undefined name is an error.
    pub(crate) fn prompt(name: &str, source: &str) -> Result<Self, TextError> {
        let mut environment = environment();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        Self::compile(name, environment, source.to_owned())
    }

    fn compile(name: &str, mut environment: Environment<'static>, source: String) -> Result<Self, TextError> {
        environment
            .add_template_owned("template", source)
            .map_err(|source| TextError::Template { name: name.to_owned(), source })?;
        Ok(Self { name: name.to_owned(), environment: Arc::new(environment) })
    }

    pub(crate) fn render(&self, context: &impl Serialize) -> Result<String, TextError> {
        self.environment
            .get_template("template")
            .and_then(|template| template.render(Serde(context)))
            .map_err(|source| TextError::Template { name: self.name.clone(), source })
    }
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    // Prompts are read by models: an ampersand is an ampersand, whatever the file is called.
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment
}

fn chat_syntax() -> SyntaxConfig {
    SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build()
        .expect("the default delimiters do not collide")
}

/// `{% generation %}` marks the answer for transformers' loss mask. Ours is made from the answer itself.
fn without_generation_marks(source: &str) -> String {
    let marks = regex::Regex::new(r"\{%-?\s*(?:end)?generation\s*-?%\}").expect("the pattern is valid");
    marks
        .replace_all(source, |found: &regex::Captures<'_>| {
            // An empty comment keeps the white-space control of the tag it replaces.
            let before = if found[0].starts_with("{%-") { "{#-" } else { "{#" };
            let after = if found[0].ends_with("-%}") { "-#}" } else { "#}" };
            format!("{before}{after}")
        })
        .into_owned()
}

/// JSON as Python writes it for a template: no HTML escapes, a space after comma and colon.
fn python_json(value: &Value, kwargs: Kwargs) -> Result<Value, Error> {
    let escaped = minijinja::filters::tojson(value, None, kwargs)?.to_string();
    let plain = [("\\u003c", "<"), ("\\u003e", ">"), ("\\u0026", "&"), ("\\u0027", "'")]
        .into_iter()
        .fold(escaped, |text, (escape, plain)| text.replace(escape, plain));
    Ok(Value::from(plain))
}

/// The methods of Python's `str` and `dict` that chat templates call.
fn python_method(state: &mut State<'_, '_>, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    let unknown = || Error::new(ErrorKind::UnknownMethod, format!("{} has no method named {method}", value.kind()));
    match value.kind() {
        ValueKind::String => string_method(value.as_str().ok_or_else(unknown)?, method, args)?.ok_or_else(unknown),
        ValueKind::Map => match method {
            "get" => {
                let (key, default): (Value, Option<Value>) = from_args(args)?;
                let found = value.get_item(&key)?;
                Ok(if found.is_undefined() { default.unwrap_or(Value::from(())) } else { found })
            }
            "items" => {
                let (): () = from_args(args)?;
                state.apply_filter("items", std::slice::from_ref(value))
            }
            "keys" => {
                let (): () = from_args(args)?;
                state.apply_filter("list", std::slice::from_ref(value))
            }
            "values" => {
                let (): () = from_args(args)?;
                value.try_iter()?.map(|key| value.get_item(&key)).collect::<Result<Vec<_>, _>>().map(Value::from)
            }
            _ => Err(unknown()),
        },
        _ => Err(unknown()),
    }
}

fn string_method(text: &str, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    let result = match method {
        "strip" | "lstrip" | "rstrip" => {
            let (chars,): (Option<String>,) = from_args(args)?;
            let stripped = |c: char| chars.as_ref().map_or_else(|| c.is_whitespace(), |chars| chars.contains(c));
            Value::from(match method {
                "strip" => text.trim_matches(stripped),
                "lstrip" => text.trim_start_matches(stripped),
                _ => text.trim_end_matches(stripped),
            })
        }
        "startswith" => {
            let (prefix,): (String,) = from_args(args)?;
            Value::from(text.starts_with(&prefix))
        }
        "endswith" => {
            let (suffix,): (String,) = from_args(args)?;
            Value::from(text.ends_with(&suffix))
        }
        "upper" => Value::from(text.to_uppercase()),
        "lower" => Value::from(text.to_lowercase()),
        "replace" => {
            let (from, to): (String, String) = from_args(args)?;
            Value::from(text.replace(&from, &to))
        }
        "find" => {
            let (needle,): (String,) = from_args(args)?;
            Value::from(text.find(&needle).map_or(-1, |byte| text[..byte].chars().count() as i64))
        }
        "split" | "rsplit" => {
            let (separator, limit): (Option<String>, Option<i64>) = from_args(args)?;
            split(text, separator.as_deref(), limit.unwrap_or(-1), method == "rsplit")
        }
        "join" => {
            let (items,): (Vec<Value>,) = from_args(args)?;
            Value::from(items.iter().map(Value::to_string).collect::<Vec<_>>().join(text))
        }
        _ => return Ok(None),
    };
    Ok(Some(result))
}

fn split(text: &str, separator: Option<&str>, limit: i64, from_the_right: bool) -> Value {
    let pieces = usize::try_from(limit).map_or(usize::MAX, |limit| limit.saturating_add(1));
    let parts: Vec<&str> = match (separator, from_the_right) {
        // Python without a separator: runs of white space, none at the ends. No template limits that form.
        (None, _) => text.split_whitespace().collect(),
        (Some(separator), false) => text.splitn(pieces, separator).collect(),
        (Some(separator), true) => {
            let mut parts: Vec<&str> = text.rsplitn(pieces, separator).collect();
            parts.reverse();
            parts
        }
    };
    parts.into_iter().map(Value::from).collect()
}
