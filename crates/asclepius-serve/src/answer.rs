//! From a request's body to its answer, whole or as a stream of server-sent events.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Json;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::request::{Asked, Endpoint};
use crate::response::{ApiError, Heading};
use crate::server::{App, seconds};
use crate::{EngineError, Gone, Reply, request};

/// What the engine's thread says. A reply is bounded by its tokens, so the channel need not be: whoever reads slowly keeps
/// no place among those that are worked on.
enum News {
    Text(String),
    Done(Result<Reply, EngineError>),
}

/// An answer in the making. Dropped, as it is when the client leaves, it tells the engine.
struct Hearing {
    news: UnboundedReceiver<News>,
    gone: Gone,
}

impl Drop for Hearing {
    fn drop(&mut self) {
        self.gone.leave();
    }
}

impl Hearing {
    async fn next(&mut self) -> News {
        let panicked = || News::Done(Err(EngineError::Failed("it panicked".into())));
        self.news.recv().await.unwrap_or_else(panicked)
    }
}

/// Answers one request.
pub(crate) async fn answer(app: Arc<App>, endpoint: Endpoint, body: &[u8]) -> Result<Response, ApiError> {
    let number = app.next_number();
    let Asked { request, stream, include_usage } = request::parse(endpoint, body, app.seed(number, body))?;
    let known = app.engine.models();
    if !known.contains(&request.model) {
        return Err(ApiError::unknown_model(&request.model, &known));
    }
    let inside = app.enter()?;
    let working = app.working.clone().acquire_owned().await.expect("nothing closes the semaphore");
    let heading = Heading { endpoint, number, created: seconds(), model: request.model.clone() };
    let (say, news) = unbounded_channel();
    let mut hearing = Hearing { news, gone: Gone::default() };
    let gone = hearing.gone.clone();
    tokio::task::spawn_blocking(move || {
        let on_text = &mut |text: &str| drop(say.send(News::Text(text.to_owned()))); // who left is seen by `gone`
        let result = app.engine.answer(&request, &gone, on_text);
        if let Ok(reply) = &result {
            let Reply { prompt_tokens, completion_tokens, .. } = reply;
            tracing::debug!(number, model = request.model, prompt_tokens, completion_tokens, "answered");
        }
        drop((working, inside));
        say.send(News::Done(result)).ok();
    });
    // What cannot be answered says so by its status, which a stream has sent before its first piece.
    let first = match hearing.next().await {
        News::Done(Err(error)) => return Err(ApiError::of_engine(&error, endpoint)),
        first => first,
    };
    if !stream {
        return whole(&heading, first, hearing).await;
    }
    let streaming = Streaming { heading, hearing, include_usage, first: true, ready: Some(first), left: Vec::new() };
    let events = stream::unfold(streaming, |mut streaming| async move {
        let event = streaming.next().await?;
        Some((Ok::<_, Infallible>(event), streaming))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()).into_response())
}

async fn whole(heading: &Heading, first: News, mut hearing: Hearing) -> Result<Response, ApiError> {
    let mut text = String::new();
    let mut news = first;
    loop {
        match news {
            News::Text(piece) => text.push_str(&piece),
            News::Done(Ok(reply)) => return Ok(Json(heading.whole(&text, &reply)).into_response()),
            News::Done(Err(error)) => return Err(ApiError::of_engine(&error, heading.endpoint)),
        }
        news = hearing.next().await;
    }
}

struct Streaming {
    heading: Heading,
    hearing: Hearing,
    include_usage: bool,
    /// No piece was sent yet.
    first: bool,
    ready: Option<News>,
    /// Events that end the stream, the last one first.
    left: Vec<String>,
}

impl Streaming {
    async fn next(&mut self) -> Option<Event> {
        if let Some(data) = self.left.pop() {
            return Some(Event::default().data(data));
        }
        let news = match self.ready.take() {
            Some(news) => news,
            None if self.hearing.news.is_closed() && self.hearing.news.is_empty() => return None,
            None => self.hearing.next().await,
        };
        let first = std::mem::replace(&mut self.first, false);
        let data = match news {
            News::Text(text) => self.piece(Some(&text), first, None),
            News::Done(Ok(reply)) => {
                self.left.push("[DONE]".to_owned());
                if self.include_usage {
                    self.left.push(self.heading.used(&reply).to_string());
                }
                self.hearing.news.close();
                self.piece(None, first, Some(reply.finish_reason))
            }
            News::Done(Err(error)) => {
                self.hearing.news.close();
                ApiError::of_engine(&error, self.heading.endpoint).to_json()
            }
        };
        Some(Event::default().data(data.to_string()))
    }

    fn piece(&self, text: Option<&str>, first: bool, finish: Option<&str>) -> Value {
        let mut piece = self.heading.piece(text, first, finish);
        if self.include_usage {
            piece["usage"] = Value::Null;
        }
        piece
    }
}
