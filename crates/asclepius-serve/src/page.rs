//! The page at `/`: one file, no script or style but its own, nothing from elsewhere; and what it asks the server for
//! beside the API.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use asclepius_text::InstructionTemplate;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::response::ApiError;
use crate::server::{App, Body, seconds};

const PAGE: &str = include_str!("page.html");

/// One verdict at a time.
static WRITING: Mutex<()> = Mutex::new(());

/// What the page offers beside the models.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// What the models are, in a few words: a run's name, a directory.
    pub title: String,
    /// The two models that are shown side by side at first; the last of the engine's where there is none.
    pub compare: Vec<String>,
    /// Notes to try.
    pub samples: Vec<Sample>,
    /// Instructions to try.
    pub tasks: Vec<TaskExamples>,
    /// Where verdicts on answers are appended, a JSON object a line; none: there are no buttons for them.
    pub feedback: Option<PathBuf>,
}

/// A note to try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// What it is called in the list.
    pub title: String,
    /// Its text.
    pub note: String,
    /// What was asked over it.
    pub questions: Vec<Question>,
}

/// An instruction that was written for a note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Question {
    /// The task's short name.
    pub task: String,
    /// The instruction.
    pub instruction: String,
}

/// A task with instructions for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TaskExamples {
    /// The task's short name.
    pub key: String,
    /// The task's published name.
    pub title: String,
    /// Instructions.
    pub instructions: Vec<String>,
}

impl Page {
    /// A page without notes, tasks and verdicts.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), ..Self::default() }
    }
}

/// Only what stands in the page itself runs or is applied, and it talks to this server alone.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = |tag: &str| {
        let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
        let begin = PAGE.find(&open).expect("a test looks for it") + open.len();
        let end = PAGE.find(&close).expect("a test looks for it");
        STANDARD.encode(Sha256::digest(&PAGE[begin..end]))
    };
    format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash("script"),
        hash("style")
    )
});

/// `GET /`. It needs no token: it holds nothing but itself, and asks for the token when it needs one.
pub(crate) async fn show(State(app): State<Arc<App>>) -> Response {
    if app.page.is_none() {
        return ApiError::of(404, "unknown_url", "there is no page here").into_response();
    }
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY.as_str()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, PAGE).into_response()
}

/// `GET /page`: models, tasks and notes.
pub(crate) async fn content(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, ApiError> {
    app.authorise(&headers)?;
    let page = offered(&app)?;
    Ok(Json(json!({
        "title": page.title,
        "models": app.engine.models(),
        "compare": page.compare,
        "samples": page.samples,
        "tasks": page.tasks,
        "prompt": InstructionTemplate::user_message("{note}", "{instruction}").content,
        "feedback": page.feedback.is_some(),
    }))
    .into_response())
}

fn offered(app: &App) -> Result<&Page, ApiError> {
    app.page.as_ref().ok_or_else(|| ApiError::of(404, "unknown_url", "there is no page here"))
}

/// What a person thinks of an answer.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Up,
    Down,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Feedback {
    verdict: Verdict,
    model: String,
    /// Beside which other model it was shown.
    beside: Option<String>,
    task: Option<String>,
    note: String,
    instruction: String,
    answer: String,
    temperature: f64,
    top_p: f64,
    seed: i64,
    max_tokens: u32,
}

/// `POST /feedback`: one line more in the file.
pub(crate) async fn feedback(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Response, ApiError> {
    app.authorise(&headers)?;
    let page = offered(&app)?;
    let path = page.feedback.clone();
    let path = path.ok_or_else(|| ApiError::of(404, "no_feedback", "this server keeps no verdicts"))?;
    let body = body?;
    let read: Feedback =
        serde_json::from_slice(&body).map_err(|error| ApiError::bad(format!("no verdict: {error}"), None))?;
    let line = line(read);
    let written = tokio::task::spawn_blocking(move || append(&path, &line)).await;
    match written {
        Ok(Ok(())) => Ok(StatusCode::NO_CONTENT.into_response()),
        Ok(Err(error)) => {
            tracing::warn!(%error, "a verdict could not be written");
            Err(ApiError::of(500, "not_written", "the verdict could not be written; the server's log says why"))
        }
        Err(_) => Err(ApiError::of(500, "not_written", "the verdict could not be written")),
    }
}

fn line(read: Feedback) -> Value {
    let verdict = match read.verdict {
        Verdict::Up => "up",
        Verdict::Down => "down",
    };
    json!({
        "time": seconds(),
        "verdict": verdict,
        "model": read.model,
        "beside": read.beside,
        "task": read.task,
        "instruction": read.instruction,
        "answer": read.answer,
        "note": read.note,
        "temperature": read.temperature,
        "top_p": read.top_p,
        "seed": read.seed,
        "max_tokens": read.max_tokens,
    })
}

/// In one write, so that a line is there whole or not at all.
fn append(path: &Path, line: &Value) -> std::io::Result<()> {
    let _alone = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut file = fs_err::OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(format!("{line}\n").as_bytes())?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_fits_its_policy() {
        for tag in ["<script>", "</script>", "<style>", "</style>"] {
            assert_eq!(PAGE.matches(tag).count(), 1, "{tag}");
        }
        // What the policy would block, what would go elsewhere, and what would take text for markup.
        let forbidden = [
            "style=\"",
            " onclick=",
            "javascript:",
            "http://",
            "https://",
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
        ];
        for words in forbidden {
            assert!(!PAGE.contains(words), "{words}");
        }
        assert!(POLICY.starts_with("default-src 'none'; script-src 'sha256-"));
    }
}
