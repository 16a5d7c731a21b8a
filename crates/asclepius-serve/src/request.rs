//! A request's body, read leniently in what it may leave out and strictly in what it asks for: a field that would
//! change the reply and is not offered here is refused by name rather than ignored.

use asclepius_schema::{Message, Role};
use serde::Deserialize;
use serde_json::Value;

use crate::ChatRequest;
use crate::response::ApiError;

/// The most tokens of a reply when the request does not say.
const DEFAULT_MAX_TOKENS: usize = 512;

/// The most stop strings OpenAI's API takes.
const MAX_STOPS: usize = 4;

#[derive(Debug, Deserialize)]
struct Body {
    model: Option<String>,
    messages: Option<Vec<BodyMessage>>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    seed: Option<i64>,
    stop: Option<Stop>,
    n: Option<u64>,
    stream: Option<bool>,
    logprobs: Option<bool>,
    tools: Option<Value>,
    functions: Option<Value>,
    response_format: Option<Format>,
}

#[derive(Debug, Deserialize)]
struct BodyMessage {
    role: String,
    content: Option<Content>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Debug, Deserialize)]
struct Part {
    r#type: String,
    text: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Stop {
    One(String),
    Several(Vec<String>),
}

#[derive(Debug, Deserialize)]
struct Format {
    r#type: String,
}

/// Reads and checks a body. `unseeded` is the seed of a request that names none.
pub(crate) fn parse(body: &[u8], unseeded: u64) -> Result<ChatRequest, ApiError> {
    let body: Body = serde_json::from_slice(body).map_err(|error| {
        // The parser's words name fields and types, but can quote a value; where it stopped is enough.
        let problem = if error.is_data() { "holds a field of the wrong type" } else { "is no sound JSON" };
        ApiError::bad(format!("the body {problem} (line {}, column {})", error.line(), error.column()), None)
    })?;
    let not_offered = [
        ("stream", body.stream == Some(true), "streaming is not offered by this server: leave `stream` out"),
        ("n", body.n.is_some_and(|n| n != 1), "one reply a request: `n` must be 1"),
        ("logprobs", body.logprobs == Some(true), "log-probabilities are not offered by this server"),
        ("tools", asks(body.tools.as_ref()), "tools are not offered by this server"),
        ("functions", asks(body.functions.as_ref()), "functions are not offered by this server"),
        (
            "response_format",
            body.response_format.is_some_and(|format| format.r#type != "text"),
            "only free text is offered by this server",
        ),
    ];
    if let Some((param, _, words)) = not_offered.into_iter().find(|(_, asked, _)| *asked) {
        return Err(ApiError::bad(words.to_owned(), Some(param)));
    }
    let model = body.model.filter(|model| !model.is_empty());
    let model =
        model.ok_or_else(|| ApiError::bad("`model` is missing; /v1/models lists them".to_owned(), Some("model")))?;
    let messages = body.messages.filter(|messages| !messages.is_empty());
    let messages =
        messages.ok_or_else(|| ApiError::bad("`messages` is missing or empty".to_owned(), Some("messages")))?;
    let max_tokens = body.max_completion_tokens.or(body.max_tokens);
    Ok(ChatRequest {
        model,
        messages: messages
            .into_iter()
            .enumerate()
            .map(|(index, read)| message(index, read))
            .collect::<Result<_, _>>()?,
        temperature: within("temperature", body.temperature.unwrap_or(1.0), 0.0, 2.0)?,
        top_p: body.top_p.map(|top_p| within("top_p", top_p, 0.0, 1.0)).transpose()?.filter(|top_p| *top_p < 1.0),
        max_tokens: match max_tokens {
            None => DEFAULT_MAX_TOKENS,
            Some(0) => return Err(ApiError::bad("`max_tokens` must be at least 1".to_owned(), Some("max_tokens"))),
            Some(tokens) => usize::try_from(tokens).unwrap_or(usize::MAX),
        },
        seed: body.seed.map_or(unseeded, |seed| seed as u64),
        stop: stops(body.stop)?,
    })
}

fn asks(list: Option<&Value>) -> bool {
    list.is_some_and(|list| !list.is_null() && list.as_array().is_none_or(|list| !list.is_empty()))
}

fn within(param: &'static str, value: f64, low: f64, high: f64) -> Result<f64, ApiError> {
    if (low..=high).contains(&value) {
        return Ok(value);
    }
    Err(ApiError::bad(format!("`{param}` is {value}, but must lie between {low} and {high}"), Some(param)))
}

fn message(index: usize, read: BodyMessage) -> Result<Message, ApiError> {
    let bad = |words: String| ApiError::bad(format!("messages[{index}] {words}"), Some("messages"));
    let role = match read.role.as_str() {
        "system" | "developer" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        other => return Err(bad(format!("has the role {other:?}; offered are system, user and assistant"))),
    };
    let content = match read.content {
        None => return Err(bad("has no content".to_owned())),
        Some(Content::Text(text)) => text,
        Some(Content::Parts(parts)) => {
            let texts = parts.into_iter().map(|part| match part {
                Part { r#type, text: Some(text) } if r#type == "text" => Ok(text),
                Part { r#type, .. } => Err(bad(format!("has a part of type {type:?}; only text is offered"))),
            });
            texts.collect::<Result<String, _>>()?
        }
    };
    Ok(Message { role, content })
}

fn stops(stop: Option<Stop>) -> Result<Vec<String>, ApiError> {
    let stops = match stop {
        None => Vec::new(),
        Some(Stop::One(stop)) => vec![stop],
        Some(Stop::Several(stops)) => stops,
    };
    if stops.len() > MAX_STOPS || stops.iter().any(String::is_empty) {
        let words = format!("`stop` takes at most {MAX_STOPS} strings, none of them empty");
        return Err(ApiError::bad(words, Some("stop")));
    }
    Ok(stops)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(body: &Value) -> Result<ChatRequest, ApiError> {
        parse(body.to_string().as_bytes(), 7)
    }

    #[test]
    fn what_a_request_leaves_out_has_a_default() {
        let request = of(&json!({"model": "m", "messages": [{"role": "user", "content": "hello"}], "user": "u"}));
        let expected = ChatRequest {
            model: "m".to_owned(),
            messages: vec![Message::user("hello")],
            temperature: 1.0,
            top_p: None,
            max_tokens: DEFAULT_MAX_TOKENS,
            seed: 7,
            stop: Vec::new(),
        };
        assert_eq!(request.expect("sound"), expected);
    }

    #[test]
    fn everything_offered_is_taken_over() {
        let request = of(&json!({
            "model": "m", "temperature": 0, "top_p": 0.5, "max_tokens": 5, "max_completion_tokens": 6, "seed": -1,
            "stop": ["a", "b"], "n": 1, "stream": false, "tools": [], "response_format": {"type": "text"},
            "messages": [
                {"role": "developer", "content": "be brief"},
                {"role": "user", "content": [{"type": "text", "text": "a "}, {"type": "text", "text": "note"}]},
                {"role": "assistant", "content": "yes", "name": "x"},
            ],
        }))
        .expect("sound");
        let messages = vec![Message::system("be brief"), Message::user("a note"), Message::assistant("yes")];
        assert_eq!(request.messages, messages);
        assert_eq!((request.temperature, request.top_p, request.max_tokens), (0.0, Some(0.5), 6));
        assert_eq!((request.seed, request.stop), (u64::MAX, vec!["a".to_owned(), "b".to_owned()]));
    }

    #[test]
    fn each_thing_that_is_wrong_is_named() {
        let user = json!([{"role": "user", "content": "hello"}]);
        let cases = [
            ("model", json!({"messages": user})),
            ("messages", json!({"model": "m"})),
            ("messages", json!({"model": "m", "messages": []})),
            ("messages", json!({"model": "m", "messages": [{"role": "tool", "content": "x"}]})),
            ("messages", json!({"model": "m", "messages": [{"role": "user"}]})),
            ("messages", json!({"model": "m", "messages": [{"role": "user", "content": [{"type": "image_url"}]}]})),
            ("stream", json!({"model": "m", "messages": user, "stream": true})),
            ("n", json!({"model": "m", "messages": user, "n": 2})),
            ("tools", json!({"model": "m", "messages": user, "tools": [{}]})),
            ("logprobs", json!({"model": "m", "messages": user, "logprobs": true})),
            ("response_format", json!({"model": "m", "messages": user, "response_format": {"type": "json_object"}})),
            ("temperature", json!({"model": "m", "messages": user, "temperature": 3})),
            ("top_p", json!({"model": "m", "messages": user, "top_p": -0.1})),
            ("max_tokens", json!({"model": "m", "messages": user, "max_tokens": 0})),
            ("stop", json!({"model": "m", "messages": user, "stop": [""]})),
        ];
        for (param, body) in cases {
            let error = of(&body).expect_err("wrong");
            assert_eq!((error.status, error.param), (400, Some(param)), "{}", error.message);
        }
        for body in ["", "{", "[]", "null", r#"{"model": 3}"#, r#"{"messages": "hello"}"#, r#"{"max_tokens": -1}"#] {
            assert_eq!(parse(body.as_bytes(), 0).expect_err("wrong").status, 400, "{body}");
        }
    }
}
