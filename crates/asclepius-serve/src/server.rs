//! Routes, limits and shutdown.

use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::answer::answer;
use crate::page::{self, Page};
use crate::request::Endpoint;
use crate::response::ApiError;
use crate::{Engine, access, connections, response};

/// How long clients may take to fetch answers that are complete, once the server is shutting down.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// How a server behaves.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// What clients must send as `Authorization: Bearer`. None: programs on this machine and the server's own page may ask.
    pub token: Option<String>,
    /// Requests the engine works on at a time.
    pub max_in_flight: usize,
    /// Requests that may wait beside them; more are turned away with 429.
    pub max_waiting: usize,
    /// Bytes a request's body may have.
    pub max_body_bytes: usize,
    /// How long a client may take to send a request's head, and then its body.
    pub patience: Duration,
    /// Draw for a request that names no seed from its content: the same request, the same reply.
    pub reproducible: bool,
    /// The page at `/`; none: there is no page.
    pub page: Option<Page>,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            token: None,
            max_in_flight: std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
            max_waiting: 1024,
            max_body_bytes: 4 << 20,
            patience: Duration::from_secs(30),
            reproducible: false,
            page: None,
        }
    }
}

pub(crate) struct App {
    pub engine: Arc<dyn Engine>,
    pub page: Option<Page>,
    /// One permit a request the engine works on.
    pub working: Arc<Semaphore>,
    /// One permit a request inside, working or waiting.
    inside: Arc<Semaphore>,
    most_inside: u32,
    token: Option<String>,
    reproducible: bool,
    patience: Duration,
    closing: AtomicBool,
    started: u64,
    requests: AtomicU64,
}

/// Serves `engine` on `listener` until `shutdown` resolves. Requests inside are then still answered, new ones are told that
/// the server is going.
///
pub async fn serve(
    listener: TcpListener,
    engine: Arc<dyn Engine>,
    options: ServeOptions,
    shutdown: impl Future<Output = ()> + Send + 'static,
) {
    const MOST: usize = 1 << 20;
    let max_in_flight = options.max_in_flight.clamp(1, MOST);
    let most_inside = max_in_flight + options.max_waiting.min(MOST);
    let app = Arc::new(App {
        engine,
        page: options.page,
        token: options.token,
        reproducible: options.reproducible,
        patience: options.patience,
        inside: Arc::new(Semaphore::new(most_inside)),
        most_inside: most_inside as u32,
        working: Arc::new(Semaphore::new(max_in_flight)),
        closing: AtomicBool::new(false),
        started: seconds(),
        requests: AtomicU64::new(0),
    });
    let router = Router::new()
        .route("/", get(page::show))
        .route("/page", get(page::content))
        .route("/feedback", post(page::feedback))
        .route("/health", get(health))
        .route("/v1/models", get(models))
        .route("/v1/chat/completions", post(chat))
        .route("/v1/completions", post(text))
        .fallback(async || ApiError::of(404, "unknown_url", "there is no such path"))
        .method_not_allowed_fallback(async || ApiError::of(405, "method_not_allowed", "not with this method"))
        .layer(DefaultBodyLimit::max(options.max_body_bytes))
        .with_state(app.clone());
    let (tell, mut told) = watch::channel(false);
    let stopping = async move {
        shutdown.await;
        app.closing.store(true, Ordering::SeqCst);
        let _everyone = app.inside.acquire_many(app.most_inside).await;
        tell.send_replace(true);
    };
    let late = async move {
        // The sender is dropped by a server that has ended by itself.
        if told.wait_for(|told| *told).await.is_err() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(LAST_WORDS).await;
    };
    tokio::select! {
        () = connections::serve(listener, router, options.patience, stopping) => {}
        () = late => tracing::warn!("clients that did not fetch their answers are left"),
    }
}

/// Seconds since 1970.
pub(crate) fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl App {
    pub fn authorise(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        access::check(self.token.as_deref(), headers)
    }

    /// A place inside, unless the server is full or going.
    pub fn enter(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        if self.closing.load(Ordering::SeqCst) {
            return Err(ApiError::closing());
        }
        self.inside.clone().try_acquire_owned().map_err(|_| ApiError::busy())
    }

    pub fn next_number(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed)
    }

    /// The seed of a request that names none.
    pub fn seed(&self, number: u64, body: &[u8]) -> u64 {
        if !self.reproducible {
            return number;
        }
        let hash = asclepius_schema::hash_bytes(body);
        u64::from_str_radix(&hash[..16], 16).expect("a hash is hex digits")
    }
}

/// A request's body, or why there is none: handlers look at it after they have looked at who asks.
pub(crate) struct Body(pub Result<Bytes, ApiError>);

impl FromRequest<Arc<App>> for Body {
    type Rejection = Infallible;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Infallible> {
        let body = tokio::time::timeout(app.patience, Bytes::from_request(request, app)).await;
        Ok(Self(match body {
            Ok(body) => body.map_err(|rejection| match rejection.status().as_u16() {
                413 => ApiError::of(413, "body_too_large", "the body is larger than this server takes"),
                _ => ApiError::bad("the body could not be read".to_owned(), None),
            }),
            Err(_) => Err(ApiError::of(408, "too_slow", "the body took longer than this server waits")),
        }))
    }
}

async fn health(State(app): State<Arc<App>>) -> Response {
    if app.closing.load(Ordering::SeqCst) {
        return ApiError::closing().into_response();
    }
    Json(serde_json::json!({"status": "ok"})).into_response()
}

async fn models(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, ApiError> {
    app.authorise(&headers)?;
    Ok(Json(response::models(&app.engine.models(), app.started)).into_response())
}

async fn chat(State(app): State<Arc<App>>, headers: HeaderMap, Body(body): Body) -> Result<Response, ApiError> {
    app.authorise(&headers)?;
    answer(app, Endpoint::Chat, &body?).await
}

async fn text(State(app): State<Arc<App>>, headers: HeaderMap, Body(body): Body) -> Result<Response, ApiError> {
    app.authorise(&headers)?;
    answer(app, Endpoint::Text, &body?).await
}
