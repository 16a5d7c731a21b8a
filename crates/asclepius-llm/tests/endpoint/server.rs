//! A chat API on loopback that misbehaves as told, request by request.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};

/// What to do with one request.
#[derive(Debug, Clone)]
pub enum Act {
    /// Answer with this text.
    Say(&'static str),
    /// Answer with this whole body, status 200.
    Body(Value),
    /// Answer with this status, headers and body.
    Status(u16, Vec<(&'static str, &'static str)>, &'static str),
    /// Never answer.
    Hang,
    /// Begin an answer of the promised length and break off.
    BreakOff,
    /// Answer once the test says so.
    Wait,
}

/// One request as it came in.
#[derive(Debug, Clone)]
pub struct Seen {
    pub headers: HeaderMap,
    pub body: Value,
}

#[derive(Debug)]
struct Shared {
    script: Mutex<VecDeque<Act>>,
    seen: Mutex<Vec<Seen>>,
    arrived: Notify,
    /// Holds a permit for each waiting request that may be answered.
    go: Semaphore,
}

pub struct Server {
    shared: Arc<Shared>,
    pub url: String,
}

impl Server {
    /// Starts a server that follows `script`, then says "fine" to everything.
    pub async fn start(script: impl IntoIterator<Item = Act>) -> Self {
        let shared = Arc::new(Shared {
            script: Mutex::new(script.into_iter().collect()),
            seen: Mutex::default(),
            arrived: Notify::new(),
            go: Semaphore::new(0),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let url = format!("http://{}/v1", listener.local_addr().expect("it is bound"));
        let app = Router::new().route("/v1/chat/completions", post(answer)).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { shared, url }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().expect("no handler panics").clone()
    }

    pub fn requests(&self) -> usize {
        self.seen().len()
    }

    /// Returns once `count` requests have come in.
    pub async fn arrived(&self, count: usize) {
        loop {
            let arrived = self.shared.arrived.notified();
            if self.requests() >= count {
                return;
            }
            arrived.await;
        }
    }

    /// Lets `count` requests that wait be answered.
    pub fn go(&self, count: usize) {
        self.shared.go.add_permits(count);
    }
}

pub fn chat(text: &str, finish_reason: &str) -> Value {
    json!({
        "id": "x", "object": "chat.completion", "created": 0, "model": "served-1",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16},
    })
}

fn respond(status: u16, headers: &[(&str, &str)], body: String) -> Response<Body> {
    let mut response = Response::builder().status(status).header("content-type", "application/json");
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Body::from(body)).expect("sound headers")
}

async fn answer(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: String) -> Response<Body> {
    let body = serde_json::from_str(&body).expect("the client sends JSON");
    let act = {
        shared.seen.lock().expect("no handler panics").push(Seen { headers, body });
        shared.script.lock().expect("no handler panics").pop_front().unwrap_or(Act::Say("fine"))
    };
    shared.arrived.notify_waiters();
    match act {
        Act::Say(text) => respond(200, &[], chat(text, "stop").to_string()),
        Act::Body(body) => respond(200, &[], body.to_string()),
        Act::Status(status, headers, body) => respond(status, &headers, body.to_owned()),
        Act::Hang => std::future::pending().await,
        Act::BreakOff => {
            let half = [Ok("{\"choices\": ["), Err(std::io::Error::other("broken off"))];
            Response::new(Body::from_stream(futures::stream::iter(half)))
        }
        Act::Wait => {
            shared.go.acquire().await.expect("never closed").forget();
            respond(200, &[], chat("fine", "stop").to_string())
        }
    }
}
