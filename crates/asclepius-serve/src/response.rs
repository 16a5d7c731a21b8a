//! Bodies of responses, errors in OpenAI's shape included.

use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::{ChatReply, EngineError};

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
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        let message = error.to_string();
        match error {
            EngineError::BadRequest(_) => Self::bad(message, Some("messages")),
            EngineError::TooLong { .. } => {
                Self { param: Some("messages"), ..Self::of(400, "context_length_exceeded", message) }
            }
            EngineError::Failed(_) => Self::of(500, "engine_failed", message),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Self { status, kind, code, param, message } = self;
        let body = json!({"error": {"message": message, "type": kind, "param": param, "code": code}});
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut headers: Vec<(HeaderName, &str)> = Vec::new();
        match status {
            StatusCode::TOO_MANY_REQUESTS => headers.push((header::RETRY_AFTER, "1")),
            StatusCode::UNAUTHORIZED => headers.push((header::WWW_AUTHENTICATE, "Bearer")),
            _ => {}
        }
        let mut response = (status, axum::Json(body)).into_response();
        for (name, value) in headers {
            response.headers_mut().insert(name, header::HeaderValue::from_static(value));
        }
        response
    }
}

/// A chat completion.
pub(crate) fn completion(id: u64, created: u64, model: &str, reply: &ChatReply) -> Value {
    json!({
        "id": format!("chatcmpl-{id}"),
        "object": "chat.completion",
        "created": created,
        "model": model,
        "choices": [{
            "index": 0,
            "message": {"role": "assistant", "content": reply.text},
            "logprobs": null,
            "finish_reason": reply.finish_reason,
        }],
        "usage": {
            "prompt_tokens": reply.prompt_tokens,
            "completion_tokens": reply.completion_tokens,
            "total_tokens": u64::from(reply.prompt_tokens) + u64::from(reply.completion_tokens),
        },
    })
}

/// The list of models.
pub(crate) fn models(names: &[String], created: u64) -> Value {
    let entry = |name: &String| json!({"id": name, "object": "model", "created": created, "owned_by": "asclepius"});
    json!({"object": "list", "data": names.iter().map(entry).collect::<Vec<_>>()})
}
