//! A request's body, read leniently in what it may leave out and strictly in what it asks for: a field that would
//! change the reply and is not offered here is refused by name rather than ignored.

use asclepius_schema::{Message, Role};
use serde::Deserialize;
use serde_json::Value;

use crate::response::ApiError;
use crate::{Prompt, Request};

/// The most tokens of a reply when a conversation does not say.
const DEFAULT_MAX_TOKENS: usize = 512;

/// The most tokens of a continuation when the request does not say, as OpenAI's API documents it.
const DEFAULT_MAX_TOKENS_OF_TEXT: usize = 16;

/// The most stop strings OpenAI's API takes.
const MAX_STOPS: usize = 4;

/// `top_p` of 0 asks for the likeliest token; any probability is above this.
const LEAST_TOP_P: f64 = 1e-9;

/// Which of the two doors a request came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// `/v1/chat/completions`
    Chat,
    /// `/v1/completions`
    Text,
}

/// A request, and how its answer is to come.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asked {
    pub request: Request,
    /// Piece by piece.
    pub stream: bool,
    /// A stream ends with what was used.
    pub include_usage: bool,
}

#[derive(Debug, Deserialize)]
struct Body {
    model: Option<String>,
    messages: Option<Vec<BodyMessage>>,
    prompt: Option<Texts>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    seed: Option<i64>,
    stop: Option<Texts>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    n: Option<u64>,
    best_of: Option<u64>,
    echo: Option<bool>,
    suffix: Option<String>,
    logprobs: Option<Value>,
    frequency_penalty: Option<f64>,
    presence_penalty: Option<f64>,
    logit_bias: Option<Value>,
    tools: Option<Value>,
    functions: Option<Value>,
    response_format: Option<Format>,
}

#[derive(Debug, Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
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
enum Texts {
    One(String),
    Several(Vec<String>),
}

#[derive(Debug, Deserialize)]
struct Format {
    r#type: String,
}

/// Reads and checks a body. `unseeded` is the seed of a request that names none.
pub(crate) fn parse(endpoint: Endpoint, body: &[u8], unseeded: u64) -> Result<Asked, ApiError> {
    let body: Body = serde_json::from_slice(body).map_err(|error| {
        // The parser's words name fields and types, but can quote a value; where it stopped is enough.
        let problem = if error.is_data() { "holds a field of the wrong type" } else { "is no sound JSON" };
        ApiError::bad(format!("the body {problem} (line {}, column {})", error.line(), error.column()), None)
    })?;
    refuse_what_is_not_offered(&body)?;
    let model = body.model.filter(|model| !model.is_empty());
    let model =
        model.ok_or_else(|| ApiError::bad("`model` is missing; /v1/models lists them".to_owned(), Some("model")))?;
    let (prompt, default_max_tokens) = match endpoint {
        Endpoint::Chat => (conversation(body.messages)?, DEFAULT_MAX_TOKENS),
        Endpoint::Text => (text(body.prompt)?, DEFAULT_MAX_TOKENS_OF_TEXT),
    };
    let top_p = body.top_p.map(|top_p| within("top_p", top_p, 0.0, 1.0)).transpose()?;
    let stream = body.stream.unwrap_or(false);
    if body.stream_options.is_some() && !stream {
        let words = "`stream_options` is for streams: it needs `stream` to be true";
        return Err(ApiError::bad(words.to_owned(), Some("stream_options")));
    }
    let request = Request {
        model,
        prompt,
        temperature: within("temperature", body.temperature.unwrap_or(1.0), 0.0, 2.0)?,
        top_p: top_p.filter(|top_p| *top_p < 1.0).map(|top_p| top_p.max(LEAST_TOP_P)),
        frequency_penalty: within("frequency_penalty", body.frequency_penalty.unwrap_or(0.0), -2.0, 2.0)?,
        presence_penalty: within("presence_penalty", body.presence_penalty.unwrap_or(0.0), -2.0, 2.0)?,
        max_tokens: match body.max_completion_tokens.or(body.max_tokens) {
            None => default_max_tokens,
            Some(0) => return Err(ApiError::bad("`max_tokens` must be at least 1".to_owned(), Some("max_tokens"))),
            Some(tokens) => usize::try_from(tokens).unwrap_or(usize::MAX),
        },
        seed: body.seed.map_or(unseeded, |seed| seed as u64),
        stop: stops(body.stop)?,
    };
    let include_usage = body.stream_options.and_then(|options| options.include_usage).unwrap_or(false);
    Ok(Asked { request, stream, include_usage })
}

fn refuse_what_is_not_offered(body: &Body) -> Result<(), ApiError> {
    let not_offered = [
        ("n", body.n.is_some_and(|n| n != 1), "one reply a request: `n` must be 1"),
        ("best_of", body.best_of.is_some_and(|n| n != 1), "one reply a request: `best_of` must be 1"),
        ("echo", body.echo == Some(true), "the prompt is not echoed by this server"),
        ("suffix", body.suffix.as_ref().is_some_and(|text| !text.is_empty()), "a suffix is not offered by this server"),
        ("logprobs", asks(body.logprobs.as_ref()), "log-probabilities are not offered by this server"),
        ("logit_bias", asks(body.logit_bias.as_ref()), "biases are not offered by this server"),
        ("tools", asks(body.tools.as_ref()), "tools are not offered by this server"),
        ("functions", asks(body.functions.as_ref()), "functions are not offered by this server"),
        (
            "response_format",
            body.response_format.as_ref().is_some_and(|format| format.r#type != "text"),
            "only free text is offered by this server",
        ),
    ];
    match not_offered.into_iter().find(|(_, asked, _)| *asked) {
        Some((param, _, words)) => Err(ApiError::bad(words.to_owned(), Some(param))),
        None => Ok(()),
    }
}

fn asks(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::Array(list)) => !list.is_empty(),
        Some(Value::Object(map)) => !map.is_empty(),
        Some(_) => true,
    }
}

fn conversation(messages: Option<Vec<BodyMessage>>) -> Result<Prompt, ApiError> {
    let messages = messages.filter(|messages| !messages.is_empty());
    let messages =
        messages.ok_or_else(|| ApiError::bad("`messages` is missing or empty".to_owned(), Some("messages")))?;
    let messages = messages.into_iter().enumerate().map(|(index, read)| message(index, read));
    Ok(Prompt::Conversation(messages.collect::<Result<_, _>>()?))
}

fn text(prompt: Option<Texts>) -> Result<Prompt, ApiError> {
    let words = match prompt {
        Some(Texts::One(text)) => return Ok(Prompt::Text(text)),
        Some(Texts::Several(mut texts)) if texts.len() == 1 => return Ok(Prompt::Text(texts.remove(0))),
        Some(Texts::Several(_)) => "one prompt a request: `prompt` must be one string",
        None => "`prompt` is missing",
    };
    Err(ApiError::bad(words.to_owned(), Some("prompt")))
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

fn stops(stop: Option<Texts>) -> Result<Vec<String>, ApiError> {
    let stops = match stop {
        None => Vec::new(),
        Some(Texts::One(stop)) => vec![stop],
        Some(Texts::Several(stops)) => stops,
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

    fn of(body: &Value) -> Result<Request, ApiError> {
        parse(Endpoint::Chat, body.to_string().as_bytes(), 7).map(|asked| asked.request)
    }

    #[test]
    fn what_a_request_leaves_out_has_a_default() {
        let request = of(&json!({"model": "m", "messages": [{"role": "user", "content": "hello"}], "user": "u"}));
        let expected = Request {
            model: "m".to_owned(),
            prompt: Prompt::Conversation(vec![Message::user("hello")]),
            temperature: 1.0,
            top_p: None,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
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
            "stop": ["a", "b"], "n": 1, "stream": false, "tools": [], "logprobs": false,
            "presence_penalty": -0.5, "frequency_penalty": 2, "response_format": {"type": "text"},
            "messages": [
                {"role": "developer", "content": "be brief"},
                {"role": "user", "content": [{"type": "text", "text": "a "}, {"type": "text", "text": "note"}]},
                {"role": "assistant", "content": "yes", "name": "x"},
            ],
        }))
        .expect("sound");
        let messages = vec![Message::system("be brief"), Message::user("a note"), Message::assistant("yes")];
        assert_eq!(request.prompt, Prompt::Conversation(messages));
        assert_eq!((request.temperature, request.top_p, request.max_tokens), (0.0, Some(0.5), 6));
        assert_eq!((request.frequency_penalty, request.presence_penalty), (2.0, -0.5));
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
            ("stream_options", json!({"model": "m", "messages": user, "stream_options": {"include_usage": true}})),
            ("presence_penalty", json!({"model": "m", "messages": user, "presence_penalty": 2.5})),
            ("frequency_penalty", json!({"model": "m", "messages": user, "frequency_penalty": -3})),
            ("logit_bias", json!({"model": "m", "messages": user, "logit_bias": {"50256": -100}})),
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
            assert_eq!(parse(Endpoint::Chat, body.as_bytes(), 0).expect_err("wrong").status, 400, "{body}");
        }
    }

    #[test]
    fn a_text_is_one_string_and_a_stream_says_what_it_ends_with() {
        let of = |body: Value| parse(Endpoint::Text, body.to_string().as_bytes(), 7);
        for prompt in [json!("A note"), json!(["A note"])] {
            let asked = of(json!({"model": "m", "prompt": prompt, "top_p": 0, "stream": true})).expect("sound");
            assert_eq!((asked.stream, asked.include_usage), (true, false));
            assert_eq!(asked.request.prompt, Prompt::Text("A note".to_owned()));
            assert_eq!((asked.request.max_tokens, asked.request.top_p), (16, Some(LEAST_TOP_P)));
        }
        let options = json!({"include_usage": true});
        let asked = of(json!({"model": "m", "prompt": "", "stream": true, "stream_options": options})).expect("sound");
        assert!(asked.include_usage);
        for (param, body) in [
            ("prompt", json!({"model": "m"})),
            ("prompt", json!({"model": "m", "prompt": ["a", "b"]})),
            ("echo", json!({"model": "m", "prompt": "a", "echo": true})),
            ("best_of", json!({"model": "m", "prompt": "a", "best_of": 3})),
            ("logprobs", json!({"model": "m", "prompt": "a", "logprobs": 0})),
            ("suffix", json!({"model": "m", "prompt": "a", "suffix": "b"})),
        ] {
            let error = of(body).expect_err("wrong");
            assert_eq!((error.status, error.param), (400, Some(param)), "{}", error.message);
        }
        // Token ids would be read with another tokenizer's numbers.
        assert_eq!(of(json!({"model": "m", "prompt": [1, 2]})).expect_err("wrong").status, 400);
    }
}
