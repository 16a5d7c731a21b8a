//! A Batch API on loopback: files, batches that end as told, and moments at which it holds still.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, Response, Uri};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::server::chat;

/// What becomes of one request of a batch.
#[derive(Debug, Clone, PartialEq)]
pub enum Fate {
    /// This text.
    Say(&'static str),
    /// A text cut off by its cap.
    Cut,
    /// An error status with this body, in the error file.
    Status(u16, &'static str),
    /// No answer in time, as the error file says.
    Expire,
    /// No line anywhere.
    Missing,
    /// A line that is no chat completion.
    Garbage,
}

/// How a batch ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Completed,
    Expired,
    Cancelled,
    /// More requests are queued than there may be.
    TooMuch,
    /// Its file is refused.
    Invalid,
}

/// A moment at which the server holds still, before or after it has done what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    Upload { done: bool },
    Create { done: bool },
    Look,
    Output { half: bool },
    Errors,
}

pub const MOMENTS: [Moment; 8] = [
    Moment::Upload { done: false },
    Moment::Upload { done: true },
    Moment::Create { done: false },
    Moment::Create { done: true },
    Moment::Look,
    Moment::Output { half: false },
    Moment::Output { half: true },
    Moment::Errors,
];

#[derive(Debug, Clone)]
struct Made {
    status: &'static str,
    input: String,
    output: Option<String>,
    error: Option<String>,
    errors: Value,
}

type Decide<Of, What> = Box<dyn Fn(Of) -> What + Send + Sync>;

#[derive(Default)]
struct Store {
    files: HashMap<String, Vec<u8>>,
    batches: Vec<Made>,
    /// Requests of batches that were begun, by custom id.
    begun: Vec<Value>,
    hold: Option<Moment>,
    held: bool,
}

struct Shared {
    store: Mutex<Store>,
    reached: Notify,
    fate: Decide<(usize, Value), Fate>,
    end: Decide<usize, End>,
}

pub struct BatchServer {
    shared: Arc<Shared>,
    pub url: String,
}

impl BatchServer {
    /// `fate` is given how many requests were begun before, and the request; `end` the number of requests in a batch.
    pub async fn start(
        fate: impl Fn(usize, &Value) -> Fate + Send + Sync + 'static,
        end: impl Fn(usize) -> End + Send + Sync + 'static,
    ) -> Self {
        let shared = Arc::new(Shared {
            store: Mutex::default(),
            reached: Notify::new(),
            fate: Box::new(move |(number, request)| fate(number, &request)),
            end: Box::new(end),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let url = format!("http://{}/v1", listener.local_addr().expect("it is bound"));
        let app = Router::new()
            .route("/v1/files", post(upload))
            .route("/v1/files/{id}/content", get(content))
            .route("/v1/batches", post(create).get(list))
            .route("/v1/batches/{id}", get(retrieve))
            .layer(DefaultBodyLimit::disable())
            .with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { shared, url }
    }

    /// Every request of every batch that was begun, as it was written to its file.
    pub fn begun(&self) -> Vec<Value> {
        self.shared.store.lock().expect("no handler panics").begun.clone()
    }

    /// How many batches were begun.
    pub fn batches(&self) -> usize {
        self.shared.store.lock().expect("no handler panics").batches.len()
    }

    /// Holds still at `moment`, once.
    pub fn hold_at(&self, moment: Moment) {
        let mut store = self.shared.store.lock().expect("no handler panics");
        (store.hold, store.held) = (Some(moment), false);
    }

    /// Returns once that moment has come.
    pub async fn held(&self) {
        loop {
            let reached = self.shared.reached.notified();
            if self.shared.store.lock().expect("no handler panics").held {
                return;
            }
            reached.await;
        }
    }
}

/// Whether this is the moment; whoever asked waits for ever then.
fn is(shared: &Shared, moment: Moment) -> bool {
    let mut store = shared.store.lock().expect("no handler panics");
    let now = store.hold == Some(moment);
    if now {
        (store.hold, store.held) = (None, true);
        shared.reached.notify_waiters();
    }
    now
}

async fn hold(shared: &Shared, moment: Moment) {
    if is(shared, moment) {
        std::future::pending::<()>().await;
    }
}

fn answer(status: u16, body: &Value) -> Response<Body> {
    Response::builder().status(status).body(Body::from(body.to_string())).expect("a sound response")
}

/// The file in a form: what stands between the head of the part that has a name and the next boundary.
fn file_of(headers: &HeaderMap, form: &[u8]) -> Vec<u8> {
    let content_type = headers["content-type"].to_str().expect("ASCII");
    let boundary = content_type.split("boundary=").nth(1).expect("a form has a boundary");
    let find = |from: usize, what: &[u8]| {
        form[from..].windows(what.len()).position(|window| window == what).map(|at| from + at).expect("it is there")
    };
    let start = find(find(0, b"filename="), b"\r\n\r\n") + 4;
    form[start..find(start, format!("\r\n--{boundary}").as_bytes())].to_vec()
}

async fn upload(State(shared): State<Arc<Shared>>, headers: HeaderMap, form: Bytes) -> Response<Body> {
    hold(&shared, Moment::Upload { done: false }).await;
    assert!(form.windows(b"\r\n\r\nbatch\r\n".len()).any(|window| window == b"\r\n\r\nbatch\r\n"), "it has a purpose");
    let file = file_of(&headers, &form);
    let (id, bytes) = {
        let mut store = shared.store.lock().expect("no handler panics");
        let id = format!("file-{}", store.files.len());
        let bytes = file.len();
        store.files.insert(id.clone(), file);
        (id, bytes)
    };
    hold(&shared, Moment::Upload { done: true }).await;
    answer(200, &json!({"id": id, "bytes": bytes, "purpose": "batch"}))
}

fn described(number: usize, batch: &Made) -> Value {
    json!({
        "id": format!("batch-{number}"), "status": batch.status, "input_file_id": batch.input,
        "output_file_id": batch.output, "error_file_id": batch.error, "errors": batch.errors,
    })
}

async fn create(State(shared): State<Arc<Shared>>, body: Bytes) -> Response<Body> {
    hold(&shared, Moment::Create { done: false }).await;
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!((&body["endpoint"], &body["completion_window"]), (&"/v1/chat/completions".into(), &"24h".into()));
    let made = {
        let mut store = shared.store.lock().expect("no handler panics");
        let input = body["input_file_id"].as_str().expect("a name").to_owned();
        let file = String::from_utf8(store.files[&input].clone()).expect("UTF-8");
        let requests: Vec<Value> = file.lines().map(|line| serde_json::from_str(line).expect("JSON lines")).collect();
        let ended = (shared.end)(requests.len());
        let mut made = Made { status: "completed", input, output: None, error: None, errors: Value::Null };
        let failed = |code: &str| json!({"data": [{"code": code, "message": "no", "line": null}]});
        match ended {
            End::TooMuch => (made.status, made.errors) = ("failed", failed("token_limit_exceeded")),
            End::Invalid => (made.status, made.errors) = ("failed", failed("invalid_json_line")),
            End::Completed | End::Expired | End::Cancelled => {
                made.status = match ended {
                    End::Expired => "expired",
                    End::Cancelled => "cancelled",
                    _ => "completed",
                };
                let (mut output, mut error) = (String::new(), String::new());
                for request in requests {
                    let id = &request["custom_id"];
                    let fate = (shared.fate)((store.begun.len(), request.clone()));
                    let line = |status: u16, body: Value| json!({"custom_id": id, "response": {"status_code": status, "body": body}, "error": null});
                    match fate {
                        Fate::Say(text) => output += &format!("{}\n", line(200, chat(text, "stop"))),
                        Fate::Cut => output += &format!("{}\n", line(200, chat("half a", "length"))),
                        Fate::Garbage => output += &format!("{}\n", line(200, json!("<html>"))),
                        Fate::Status(status, body) => {
                            let body = serde_json::from_str(body).unwrap_or_else(|_| json!(body));
                            error += &format!("{}\n", line(status, body));
                        }
                        Fate::Expire => {
                            let late = json!({"code": "batch_expired", "message": "late"});
                            error += &format!("{}\n", json!({"custom_id": id, "response": null, "error": late}));
                        }
                        Fate::Missing => {}
                    }
                    store.begun.push(request);
                }
                for (content, place) in [(output, &mut made.output), (error, &mut made.error)] {
                    if !content.is_empty() {
                        let id = format!("file-{}", store.files.len());
                        store.files.insert(id.clone(), content.into_bytes());
                        *place = Some(id);
                    }
                }
            }
        }
        store.batches.push(made.clone());
        described(store.batches.len() - 1, &made)
    };
    hold(&shared, Moment::Create { done: true }).await;
    answer(200, &made)
}

async fn retrieve(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response<Body> {
    hold(&shared, Moment::Look).await;
    let number: Option<usize> = id.strip_prefix("batch-").and_then(|number| number.parse().ok());
    let store = shared.store.lock().expect("no handler panics");
    match number.and_then(|number| Some((number, store.batches.get(number)?))) {
        Some((number, batch)) => answer(200, &described(number, batch)),
        None => answer(404, &json!({"error": {"message": "no such batch"}})),
    }
}

/// A batch a page, so that whoever looks for one must turn pages.
async fn list(State(shared): State<Arc<Shared>>, uri: Uri) -> Response<Body> {
    let store = shared.store.lock().expect("no handler panics");
    let after = uri.query().and_then(|query| query.split("after=batch-").nth(1)?.parse::<usize>().ok());
    // The latest come first.
    let next = after.map_or(store.batches.len(), |after| after).checked_sub(1);
    let data: Vec<Value> = next.iter().map(|&number| described(number, &store.batches[number])).collect();
    answer(200, &json!({"data": data, "has_more": next.is_some_and(|number| number > 0)}))
}

async fn content(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response<Body> {
    let (content, is_output, is_error) = {
        let store = shared.store.lock().expect("no handler panics");
        let is_output = store.batches.iter().any(|batch| batch.output.as_ref() == Some(&id));
        let is_error = store.batches.iter().any(|batch| batch.error.as_ref() == Some(&id));
        (store.files[&id].clone(), is_output, is_error)
    };
    if is_output {
        hold(&shared, Moment::Output { half: false }).await;
        if is(&shared, Moment::Output { half: true }) {
            let half = Bytes::copy_from_slice(&content[..content.len() / 2]);
            let first = futures::stream::iter([Ok::<_, std::io::Error>(half)]);
            return Response::new(Body::from_stream(futures::StreamExt::chain(first, futures::stream::pending())));
        }
    }
    if is_error {
        hold(&shared, Moment::Errors).await;
    }
    Response::new(Body::from(content))
}
