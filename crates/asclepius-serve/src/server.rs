//! Routes, limits and shutdown.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::response::ApiError;
use crate::{Engine, ServeError, request, response};

/// How a server behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServeOptions {
    /// What clients must send as `Authorization: Bearer`. None: anyone who reaches the server may ask.
    pub token: Option<String>,
    /// Requests the engine works on at a time.
    pub max_in_flight: usize,
    /// Requests that may wait beside them; more are turned away with 429.
    pub max_waiting: usize,
    /// Bytes a request's body may have.
    pub max_body_bytes: usize,
    /// Draw for a request that names no seed from its content: the same request, the same reply.
    pub reproducible: bool,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            token: None,
            max_in_flight: std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
            max_waiting: 1024,
            max_body_bytes: 4 << 20,
            reproducible: false,
        }
    }
}

struct App {
    engine: Arc<dyn Engine>,
    token: Option<String>,
    reproducible: bool,
    /// One permit a request inside, working or waiting.
    inside: Semaphore,
    /// One permit a request the engine works on.
    working: Semaphore,
    started: u64,
    requests: AtomicU64,
}

/// Serves `engine` on `listener` until `shutdown` resolves; requests inside are then still answered.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    engine: Arc<dyn Engine>,
    options: ServeOptions,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let max_in_flight = options.max_in_flight.clamp(1, Semaphore::MAX_PERMITS / 2);
    let app = App {
        engine,
        token: options.token,
        reproducible: options.reproducible,
        inside: Semaphore::new(max_in_flight + options.max_waiting.min(Semaphore::MAX_PERMITS / 2)),
        working: Semaphore::new(max_in_flight),
        started: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        requests: AtomicU64::new(0),
    };
    let router = Router::new()
        .route("/health", get(async || Json(serde_json::json!({"status": "ok"}))))
        .route("/v1/models", get(models))
        .route("/v1/chat/completions", post(chat))
        .fallback(async || ApiError::of(404, "unknown_url", "there is no such path"))
        .method_not_allowed_fallback(async || ApiError::of(405, "method_not_allowed", "not with this method"))
        .layer(DefaultBodyLimit::max(options.max_body_bytes))
        .with_state(Arc::new(app));
    axum::serve(listener, router).with_graceful_shutdown(shutdown).await?;
    Ok(())
}

impl App {
    fn authorise(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let Some(token) = &self.token else { return Ok(()) };
        let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        if sent.is_some_and(|sent| same(sent, token.as_bytes())) {
            return Ok(());
        }
        Err(ApiError::of(401, "invalid_api_key", "send the server's token as `Authorization: Bearer`"))
    }
}

/// Compares without telling by its duration how much of the token was right.
fn same(sent: &[u8], token: &[u8]) -> bool {
    let differing = sent.iter().zip(token).fold(0, |differing, (left, right)| differing | (left ^ right));
    sent.len() == token.len() && std::hint::black_box(differing) == 0
}

fn content_seed(body: &[u8]) -> u64 {
    let hash = asclepius_schema::hash_bytes(body);
    u64::from_str_radix(&hash[..16], 16).expect("a hash is hex digits")
}

async fn models(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, ApiError> {
    app.authorise(&headers)?;
    Ok(Json(response::models(&app.engine.models(), app.started)).into_response())
}

async fn chat(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    app.authorise(&headers)?;
    let body = body.map_err(|rejection| match rejection.status().as_u16() {
        413 => ApiError::of(413, "body_too_large", "the body is larger than this server takes"),
        _ => ApiError::bad("the body could not be read".to_owned(), None),
    })?;
    let number = app.requests.fetch_add(1, Ordering::Relaxed);
    let unseeded = if app.reproducible { content_seed(&body) } else { number };
    let request = request::parse(&body, unseeded)?;
    let known = app.engine.models();
    if !known.contains(&request.model) {
        return Err(ApiError::unknown_model(&request.model, &known));
    }
    let _inside = app.inside.try_acquire().map_err(|_| ApiError::busy())?;
    let _working = app.working.acquire().await.expect("nothing closes the semaphore");
    let model = request.model.clone();
    let engine = app.engine.clone();
    let reply = tokio::task::spawn_blocking(move || engine.complete(&request)).await;
    let reply = reply.map_err(|_| ApiError::of(500, "engine_failed", "the engine panicked"))??;
    let created = SystemTime::now().duration_since(UNIX_EPOCH).map_or(app.started, |since| since.as_secs());
    tracing::debug!(
        number,
        model,
        prompt_tokens = reply.prompt_tokens,
        completion_tokens = reply.completion_tokens,
        "answered"
    );
    Ok(Json(response::completion(number, created, &model, &reply)).into_response())
}
