//! Bodies of responses, errors in OpenAI's shape included.

use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::request::Endpoint;
use crate::{EngineError, Reply};

/// An error as OpenAI's API words it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub status: u16,
    pub kind: &'static str,
    pub code: Option<&'static str>,
    pub param: Option<&'static str>,
    pub message: String,
}

impl ApiError {
    /// The request is wrong, in this field if one can be told.
    pub fn bad(message: String, param: Option<&'static str>) -> Self {
        Self { status: 400, kind: "invalid_request_error", code: None, param, message }
    }

    pub fn of(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        let kind = if status >= 500 { "server_error" } else { "invalid_request_error" };
        Self { status, kind, code: Some(code), param: None, message: message.into() }
    }

    pub fn unknown_model(name: &str, known: &[String]) -> Self {
        let message = format!("there is no model {name:?}; there are {known:?}");
        Self { param: Some("model"), ..Self::of(404, "model_not_found", message) }
    }

    /// More requests than may wait.
    pub fn busy() -> Self {
        let kind = "rate_limit_error";
        Self { kind, ..Self::of(429, "rate_limit_exceeded", "too many requests are waiting; ask again in a second") }
    }

    /// The server answers what it has begun, and nothing else.
    pub fn closing() -> Self {
        Self::of(503, "shutting_down", "the server is shutting down")
    }

    pub fn to_json(&self) -> Value {
        let Self { kind, code, param, message, .. } = self;
        json!({"error": {"message": message, "type": kind, "param": param, "code": code}})
    }

    /// What the engine says of a request that came through `endpoint`.
    pub fn of_engine(error: &EngineError, endpoint: Endpoint) -> Self {
        let message = error.to_string();
        let prompt = match endpoint {
            Endpoint::Chat => "messages",
            Endpoint::Text => "prompt",
        };
        match error {
            EngineError::BadRequest(_) => Self::bad(message, Some(prompt)),
            EngineError::TooLong { .. } => {
                Self { param: Some(prompt), ..Self::of(400, "context_length_exceeded", message) }
            }
            // Nobody reads this one.
            EngineError::Gone => Self::of(499, "client_closed_request", message),
            EngineError::Failed(_) => Self::of(500, "engine_failed", message),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut headers: Vec<(HeaderName, &str)> = Vec::new();
        match status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => headers.push((header::RETRY_AFTER, "1")),
            StatusCode::UNAUTHORIZED => headers.push((header::WWW_AUTHENTICATE, "Bearer")),
            _ => {}
        }
        let mut response = (status, axum::Json(self.to_json())).into_response();
        for (name, value) in headers {
            response.headers_mut().insert(name, header::HeaderValue::from_static(value));
        }
        response
    }
}

/// What every body about one answer begins with.
#[derive(Debug, Clone)]
pub(crate) struct Heading {
    pub endpoint: Endpoint,
    pub number: u64,
    /// Seconds since 1970.
    pub created: u64,
    pub model: String,
}

impl Heading {
    fn id(&self) -> String {
        let kind = if self.endpoint == Endpoint::Chat { "chatcmpl" } else { "cmpl" };
        format!("{kind}-{}", self.number)
    }

    fn body(&self, object: &str, choices: Value) -> Value {
        json!({
            "id": self.id(),
            "object": object,
            "created": self.created,
            "model": self.model,
            "choices": choices,
        })
    }

    /// The whole answer.
    pub fn whole(&self, text: &str, reply: &Reply) -> Value {
        let finish = reply.finish_reason;
        let (object, mut choice) = match self.endpoint {
            Endpoint::Chat => {
                ("chat.completion", json!({"index": 0, "message": {"role": "assistant", "content": text}}))
            }
            Endpoint::Text => ("text_completion", json!({"index": 0, "text": text})),
        };
        choice["logprobs"] = Value::Null;
        choice["finish_reason"] = finish.into();
        let mut body = self.body(object, json!([choice]));
        body["usage"] = usage(reply);
        body
    }

    /// A piece of the answer: text, or its end. The first piece of a conversation says who speaks.
    pub fn piece(&self, text: Option<&str>, first: bool, finish: Option<&str>) -> Value {
        let (object, mut choice) = match self.endpoint {
            Endpoint::Chat => {
                let mut delta = json!({});
                if first {
                    delta["role"] = "assistant".into();
                }
                if let Some(text) = text {
                    delta["content"] = text.into();
                }
                ("chat.completion.chunk", json!({"index": 0, "delta": delta}))
            }
            Endpoint::Text => ("text_completion", json!({"index": 0, "text": text.unwrap_or_default()})),
        };
        choice["logprobs"] = Value::Null;
        choice["finish_reason"] = finish.map_or(Value::Null, Value::from);
        self.body(object, json!([choice]))
    }

    /// The last piece of a stream that was asked to say what was used.
    pub fn used(&self, reply: &Reply) -> Value {
        let object = if self.endpoint == Endpoint::Chat { "chat.completion.chunk" } else { "text_completion" };
        let mut body = self.body(object, json!([]));
        body["usage"] = usage(reply);
        body
    }
}

fn usage(reply: &Reply) -> Value {
    json!({
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.completion_tokens,
        "total_tokens": u64::from(reply.prompt_tokens) + u64::from(reply.completion_tokens),
    })
}

/// The list of models.
pub(crate) fn models(names: &[String], created: u64) -> Value {
    let entry = |name: &String| json!({"id": name, "object": "model", "created": created, "owned_by": "asclepius"});
    json!({"object": "list", "data": names.iter().map(entry).collect::<Vec<_>>()})
}
