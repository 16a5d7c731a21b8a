//! The shapes of request and response bodies, and what a response amounts to.

use asclepius_schema::{Message, Reason};
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::{Call, Trouble};

/// A request's body, serialised straight from where its parts lie. What `extra_body` names goes in as it is.
#[derive(Debug)]
pub(crate) struct RequestBody<'call> {
    pub model: &'call str,
    pub call: &'call Call,
    /// What follows the call's own messages: a reply that was not what was asked for, and what is wrong with it.
    pub repair: &'call [Message],
    pub cap_field: &'static str,
    pub cap: u32,
    pub extra_body: &'call Map<String, Value>,
}

impl Serialize for RequestBody<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut body = serializer.serialize_map(None)?;
        body.serialize_entry("model", self.model)?;
        match self.repair {
            [] => body.serialize_entry("messages", &self.call.messages)?,
            more => body.serialize_entry("messages", &[&self.call.messages, more].concat())?,
        }
        // `extra_body` wins, so what it names must not be there twice.
        let unless_extra = |name: &str| !self.extra_body.contains_key(name);
        if unless_extra("temperature") {
            // Through its decimal text: 0.7 as f32 would otherwise travel as 0.699999988.
            let temperature: f64 = self.call.temperature.to_string().parse().expect("a number's text is a number");
            body.serialize_entry("temperature", &temperature)?;
        }
        if unless_extra(self.cap_field) {
            body.serialize_entry(self.cap_field, &self.cap)?;
        }
        if let Some(format) = self.call.response_format.as_ref().filter(|_| unless_extra("response_format")) {
            body.serialize_entry("response_format", format)?;
        }
        for (key, value) in self.extra_body {
            body.serialize_entry(key, value)?;
        }
        body.end()
    }
}

/// A response, as far as it matters here. Everything that some server leaves out is optional.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ChatResponse {
    #[serde(default)]
    model: Option<String>,
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Debug, Clone, Deserialize)]
struct Choice {
    message: Answer,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Answer {
    #[serde(default)]
    content: Option<Content>,
    #[serde(default)]
    refusal: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Debug, Clone, Deserialize)]
struct Part {
    #[serde(default)]
    text: String,
}

/// Whether a finish reason says that the reply reached its limit.
pub(crate) fn is_cut(finish_reason: &str) -> bool {
    matches!(finish_reason, "length" | "max_tokens")
}

/// Tokens as the provider counts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Usage {
    #[serde(default)]
    pub prompt_tokens: u32,
    #[serde(default)]
    pub completion_tokens: u32,
}

/// What a response amounts to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Text(String),
    CutShort(String),
    Unusable { reason: Reason, detail: String },
}

/// A response that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Judged {
    pub verdict: Verdict,
    pub finish_reason: String,
    pub served_model: String,
    pub usage: Option<Usage>,
}

impl ChatResponse {
    /// What it amounts to; `None` when there is no choice in it, which no chat completion lacks.
    pub fn judge(self) -> Option<Judged> {
        let choice = self.choices.into_iter().next()?;
        let text = match choice.message.content {
            None => String::new(),
            Some(Content::Text(text)) => text,
            Some(Content::Parts(parts)) => parts.into_iter().map(|part| part.text).collect(),
        };
        let finish_reason = choice.finish_reason.unwrap_or_default();
        let text = text.trim();
        let unusable = |reason, detail: String| Verdict::Unusable { reason, detail };
        let verdict = match finish_reason.as_str() {
            reason if is_cut(reason) => Verdict::CutShort(text.to_owned()),
            "content_filter" => unusable(Reason::Filtered, "finish_reason is content_filter".to_owned()),
            _ if choice.message.refusal.is_some_and(|refusal| !refusal.trim().is_empty()) => {
                unusable(Reason::Refusal, "the response carries a refusal in place of a text".to_owned())
            }
            _ if text.is_empty() => {
                unusable(Reason::Empty, format!("no text in the response (finish_reason {finish_reason:?})"))
            }
            _ => Verdict::Text(text.to_owned()),
        };
        Some(Judged { verdict, finish_reason, served_model: self.model.unwrap_or_default(), usage: self.usage })
    }
}

/// What a response with an error status says, as far as it can be made out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Problem {
    pub message: String,
    pub kind: String,
    pub code: String,
    pub param: String,
}

impl Problem {
    /// Reads an error body: OpenAI's shape, the flatter ones of other servers, or plain text.
    pub fn read(body: &[u8]) -> Self {
        let Ok(value) = serde_json::from_slice::<Value>(body) else {
            let text = String::from_utf8_lossy(&body[..body.len().min(400)]);
            return Self { message: text.trim().to_owned(), ..Self::default() };
        };
        let error = value.get("error").unwrap_or(&value);
        let field = |key: &str| match error.get(key) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        let message = [error.as_str().unwrap_or_default().to_owned(), field("message"), field("detail")]
            .into_iter()
            .find(|text| !text.is_empty())
            .unwrap_or_default();
        Self { message, kind: field("type"), code: field("code"), param: field("param") }
    }

    pub fn is(&self, name: &str) -> bool {
        self.code == name || self.kind == name
    }

    /// One line for a person: never the key, nothing of what was sent.
    pub fn detail(&self, secret: Option<&str>, sent: &Call) -> String {
        let words: Vec<&str> = self.message.split_whitespace().collect();
        let message: String = words.join(" ").chars().take(300).collect();
        let mut parts = Vec::new();
        for (name, value) in [("code", &self.code), ("type", &self.kind), ("param", &self.param)] {
            if !value.is_empty() && value.len() <= 80 && !echoes(value, sent) {
                parts.push(format!("{name} {}", without_keys(value, secret)));
            }
        }
        if echoes(&message, sent) {
            parts.push("its message quotes the request and is left out".to_owned());
        } else if !message.is_empty() {
            parts.push(without_keys(&message, secret));
        }
        if parts.is_empty() { "no details given".to_owned() } else { parts.join(", ") }
    }
}

/// Whether `message` repeats 24 bytes or more of what was sent: such a message could carry a note's text into a log.
fn echoes(message: &str, sent: &Call) -> bool {
    const SPAN: usize = 24;
    let flat: Vec<String> =
        sent.messages.iter().map(|sent| sent.content.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    message.char_indices().any(|(start, _)| {
        let span = message.get(start..start + SPAN);
        span.is_some_and(|span| flat.iter().any(|text| text.contains(span)))
    })
}

fn without_keys(message: &str, secret: Option<&str>) -> String {
    let message = match secret {
        Some(secret) if !secret.is_empty() => message.replace(secret, "[key]"),
        _ => message.to_owned(),
    };
    // Some providers quote a part of the key that was sent.
    let words = message.split(' ').map(|word| if word.contains("sk-") { "[key]" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// What an error status means for the call and for the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Too fast. Says nothing about the call.
    RateLimited,
    /// May pass by itself.
    Transient,
    /// This request will never be answered.
    Rejected(Reason),
    /// The token cap goes under the other name here.
    OtherCapField,
    /// No request will be answered.
    Fatal(Trouble),
}

/// Classifies an error status.
pub(crate) fn meaning(status: u16, problem: &Problem, detail: &str) -> Meaning {
    let detail = || detail.to_owned();
    let unpaid = ["insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "insufficient_balance"];
    if status == 402 || unpaid.iter().any(|name| problem.is(name)) {
        return Meaning::Fatal(Trouble::OutOfCredit { detail: detail() });
    }
    if problem.is("content_filter") || problem.is("content_policy_violation") {
        return Meaning::Rejected(Reason::Filtered);
    }
    let setting = ["unsupported_parameter", "unsupported_value", "unknown_parameter"];
    match status {
        429 => Meaning::RateLimited,
        401 | 403 | 407 => Meaning::Fatal(Trouble::Access { status, detail: detail() }),
        404 | 405 => Meaning::Fatal(Trouble::NotFound { status, detail: detail() }),
        400 if problem.is("unsupported_parameter") && problem.param == "max_tokens" => Meaning::OtherCapField,
        400 | 422 if setting.iter().any(|name| problem.is(name)) => {
            Meaning::Fatal(Trouble::Setting { detail: detail() })
        }
        408 | 409 | 423 | 425 | 500.. => Meaning::Transient,
        _ => Meaning::Rejected(Reason::RequestRejected),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn judged(body: &Value) -> Verdict {
        let response: ChatResponse = serde_json::from_value(body.clone()).expect("shaped like a completion");
        response.judge().expect("it has a choice").verdict
    }

    fn body(content: Value, finish_reason: &str) -> Value {
        json!({"choices": [{"message": {"role": "assistant", "content": content}, "finish_reason": finish_reason}]})
    }

    #[test]
    fn every_kind_of_answer_has_its_own_verdict() {
        assert_eq!(judged(&body(json!(" a note \n"), "stop")), Verdict::Text("a note".to_owned()));
        let parts = json!([{"type": "text", "text": "a "}, {"type": "text", "text": "note"}]);
        assert_eq!(judged(&body(parts, "stop")), Verdict::Text("a note".to_owned()));
        assert_eq!(judged(&body(json!("half a"), "length")), Verdict::CutShort("half a".to_owned()));
        // A reasoning model can spend its whole cap before the first word.
        assert_eq!(judged(&body(json!(null), "length")), Verdict::CutShort(String::new()));
        let reason = |verdict| match verdict {
            Verdict::Unusable { reason, .. } => reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(reason(judged(&body(json!("a"), "content_filter"))), Reason::Filtered);
        assert_eq!(reason(judged(&body(json!("  "), "stop"))), Reason::Empty);
        assert_eq!(reason(judged(&body(json!(null), "stop"))), Reason::Empty);
        let refusal = json!({"choices": [{"message": {"refusal": "I cannot"}, "finish_reason": "stop"}]});
        assert_eq!(reason(judged(&refusal)), Reason::Refusal);
        let none: ChatResponse = serde_json::from_value(json!({"choices": []})).expect("shaped");
        assert!(none.judge().is_none());
    }

    #[test]
    fn error_bodies_of_several_servers_are_read() {
        let openai = br#"{"error":{"message":"You exceeded","type":"insufficient_quota","param":null,"code":null}}"#;
        let problem = Problem::read(openai);
        assert!(matches!(meaning(429, &problem, ""), Meaning::Fatal(Trouble::OutOfCredit { .. })));
        assert_eq!(Problem::read(br#"{"error":"model not found"}"#).message, "model not found");
        assert_eq!(Problem::read(br#"{"object":"error","message":"too long","code":400}"#).message, "too long");
        assert_eq!(Problem::read(b" <html>bad gateway</html>").message, "<html>bad gateway</html>");
        assert_eq!(meaning(429, &Problem::default(), ""), Meaning::RateLimited);
        assert_eq!(meaning(503, &Problem::default(), ""), Meaning::Transient);
        assert_eq!(meaning(400, &Problem::default(), ""), Meaning::Rejected(Reason::RequestRejected));
        let filter = Problem { code: "content_filter".to_owned(), ..Problem::default() };
        assert_eq!(meaning(400, &filter, ""), Meaning::Rejected(Reason::Filtered));
        let cap =
            Problem { code: "unsupported_parameter".to_owned(), param: "max_tokens".to_owned(), ..Problem::default() };
        assert_eq!(meaning(400, &cap, ""), Meaning::OtherCapField);
    }

    #[test]
    fn a_detail_quotes_neither_the_key_nor_the_request() {
        let call = Call::new("r", "note", vec![Message::user("A 43-year-old woman came\nwith chest pain.")], 0.0, 1);
        let of = |message: &str| {
            Problem { message: message.to_owned(), ..Problem::default() }.detail(Some("secret-1"), &call)
        };
        assert_eq!(of("Incorrect key secret-1 or sk-ab**yz given"), "Incorrect key [key] or [key] given");
        assert!(!of("invalid input: 'A 43-year-old woman came with chest pain.'").contains("woman"));
        assert_eq!(of("ünsupported"), "ünsupported");
        assert_eq!(of(""), "no details given");
        let elsewhere = Problem {
            code: "secret-1".to_owned(),
            param: "woman came with chest pain".to_owned(),
            ..Problem::default()
        };
        assert_eq!(elsewhere.detail(Some("secret-1"), &call), "code [key]");
    }

    #[test]
    fn a_body_carries_the_temperature_as_written_and_the_extra_fields() {
        let call = Call::new("r", "note", vec![Message::user("hello")], 0.7, 9);
        let mut extra = Map::new();
        extra.insert("top_k".to_owned(), json!(5));
        let body =
            RequestBody { model: "m", call: &call, repair: &[], cap_field: "max_tokens", cap: 9, extra_body: &extra };
        let body = serde_json::to_value(&body).expect("plain data");
        let expected = json!({
            "model": "m", "messages": [{"role": "user", "content": "hello"}],
            "temperature": 0.7, "max_tokens": 9, "top_k": 5,
        });
        assert_eq!(body, expected);
    }
}
