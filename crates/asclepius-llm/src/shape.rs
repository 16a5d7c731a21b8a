//! Whether a reply has the shape that was asked for: JSON, and the JSON schema where one was given.
//!
//! Of JSON Schema, what OpenAI's strict mode knows: `type`, `properties`, `required`, `additionalProperties: false`,
//! `items`, `enum`, `const`, `anyOf`, and bounds on numbers, lengths and counts. Descriptions are passed over. What is
//! wrong is said without quoting the reply, which may hold a note's text.

use serde_json::Value;

/// Checks `text` against a request's `response_format`.
///
/// # Errors
/// What is wrong, in words that a model can act on.
pub(crate) fn check(response_format: &Value, text: &str) -> Result<(), String> {
    match response_format.get("type").and_then(Value::as_str) {
        Some("json_schema") => {
            let value = parse(text)?;
            let schema = response_format.pointer("/json_schema/schema").unwrap_or(&Value::Bool(true));
            conforms(schema, &value, "the reply")
        }
        Some("json_object") if !parse(text)?.is_object() => Err("the reply is not a JSON object".to_owned()),
        _ => Ok(()),
    }
}

fn parse(text: &str) -> Result<Value, String> {
    serde_json::from_str(text)
        .map_err(|error| format!("the reply is not JSON (line {}, column {})", error.line(), error.column()))
}

fn conforms(schema: &Value, value: &Value, place: &str) -> Result<(), String> {
    let Some(rules) = schema.as_object() else {
        return if schema == &Value::Bool(false) { Err(format!("{place} must not be there")) } else { Ok(()) };
    };
    for (rule, argument) in rules {
        let number = || argument.as_f64().unwrap_or(f64::NAN);
        let fits = match (rule.as_str(), value) {
            ("type", _) => {
                let names: Vec<&str> = match argument {
                    Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
                    name => name.as_str().into_iter().collect(),
                };
                if !names.iter().any(|name| is_of(value, name)) {
                    return Err(format!("{place} must be of type {}", names.join(" or ")));
                }
                true
            }
            ("enum", _) => argument.as_array().is_some_and(|allowed| allowed.contains(value)),
            ("const", _) => argument == value,
            ("anyOf", _) => {
                let schemas = argument.as_array().map_or(&[][..], Vec::as_slice);
                schemas.iter().any(|schema| conforms(schema, value, place).is_ok())
            }
            ("required", Value::Object(fields)) => {
                let names = argument.as_array().into_iter().flatten().filter_map(Value::as_str);
                if let Some(missing) = names.into_iter().find(|name| !fields.contains_key(*name)) {
                    return Err(format!("{place} lacks the field {missing:?}"));
                }
                true
            }
            ("properties", Value::Object(fields)) => {
                for (name, schema) in argument.as_object().into_iter().flatten() {
                    if let Some(field) = fields.get(name) {
                        conforms(schema, field, &format!("{place}.{name}"))?;
                    }
                }
                true
            }
            ("additionalProperties", Value::Object(fields)) if argument == &Value::Bool(false) => {
                let known = rules.get("properties").and_then(Value::as_object);
                if fields.keys().any(|name| !known.is_some_and(|known| known.contains_key(name))) {
                    return Err(format!("{place} has a field that the schema does not name"));
                }
                true
            }
            ("items", Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    conforms(argument, item, &format!("{place}[{index}]"))?;
                }
                true
            }
            ("minItems", Value::Array(items)) => items.len() as f64 >= number(),
            ("maxItems", Value::Array(items)) => items.len() as f64 <= number(),
            ("minLength", Value::String(text)) => text.chars().count() as f64 >= number(),
            ("maxLength", Value::String(text)) => text.chars().count() as f64 <= number(),
            ("minimum", Value::Number(given)) => given.as_f64().is_some_and(|given| given >= number()),
            ("maximum", Value::Number(given)) => given.as_f64().is_some_and(|given| given <= number()),
            _ => true,
        };
        if !fits {
            return Err(format!("{place} does not meet {rule:?}: {argument}"));
        }
    }
    Ok(())
}

fn is_of(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        // 3.0 is an integer to JSON Schema.
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_wrong_is_named_by_place_and_never_quoted() {
        let format = json!({"type": "json_schema", "json_schema": {"name": "score", "schema": {
            "type": "object",
            "properties": {
                "score": {"type": "integer", "minimum": 1, "maximum": 4},
                "why": {"type": ["string", "null"], "maxLength": 9},
                "spans": {"type": "array", "maxItems": 2, "items": {"anyOf": [{"type": "integer"}, {"const": "all"}]}},
            },
            "required": ["score"],
            "additionalProperties": false,
        }}});
        for sound in [r#"{"score": 3}"#, r#" {"score": 1.0, "why": null, "spans": [1, "all"]} "#] {
            assert_eq!(check(&format, sound), Ok(()), "{sound}");
        }
        for (reply, place) in [
            ("score: 3", "not JSON"),
            ("[]", "the reply must be of type object"),
            (r#"{"why": "chest"}"#, "lacks the field \"score\""),
            (r#"{"score": 5}"#, "the reply.score does not meet \"maximum\": 4"),
            (r#"{"score": 2.5}"#, "the reply.score must be of type integer"),
            (r#"{"score": 2, "why": "chest pain"}"#, "the reply.why does not meet \"maxLength\""),
            (r#"{"score": 2, "spans": [1, "chest"]}"#, "the reply.spans[1]"),
            (r#"{"score": 2, "chest": 1}"#, "a field that the schema does not name"),
        ] {
            let problem = check(&format, reply).expect_err(reply);
            assert!(problem.contains(place) && !problem.contains("chest"), "{reply}: {problem}");
        }
        assert_eq!(check(&json!({"type": "text"}), "anything"), Ok(()));
        assert!(check(&json!({"type": "json_object"}), "[1]").is_err());
    }
}
