//! The server over real sockets: by hand where the request is to be wrong, and through our own client.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};

use asclepius_llm::{Call, Client, Completion, TeacherConfig};
use asclepius_schema::Message;
use asclepius_serve::{ChatReply, ChatRequest, Engine, EngineError, ServeOptions, serve};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Repeats the last message; some messages make it fail, and `wait` waits until it is told to go on.
struct Echo {
    arrived: Sender<()>,
    go: Mutex<Receiver<()>>,
}

impl Engine for Echo {
    fn models(&self) -> Vec<String> {
        vec!["echo-1".to_owned()]
    }

    fn complete(&self, request: &ChatRequest) -> Result<ChatReply, EngineError> {
        let last = request.messages.last().expect("the server lets no empty conversation in");
        match last.content.as_str() {
            "nonsense" => return Err(EngineError::BadRequest("nothing to say to that".to_owned())),
            "long" => return Err(EngineError::TooLong { tokens: 9, limit: 8 }),
            "break" => return Err(EngineError::Failed("out of order".into())),
            "panic" => panic!("on purpose"),
            "wait" => {
                self.arrived.send(()).expect("the test listens");
                self.go.lock().unwrap_or_else(PoisonError::into_inner).recv().expect("the test says go");
            }
            _ => {}
        }
        Ok(ChatReply {
            text: last.content.clone(),
            finish_reason: "stop".to_owned(),
            prompt_tokens: request.messages.len() as u32,
            completion_tokens: 1,
        })
    }
}

struct Served {
    address: SocketAddr,
    arrived: Receiver<()>,
    go: Sender<()>,
    stop: tokio::sync::oneshot::Sender<()>,
    done: tokio::task::JoinHandle<()>,
}

async fn start(options: ServeOptions) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let address = listener.local_addr().expect("it is bound");
    let (arrived_sender, arrived) = channel();
    let (go, go_receiver) = channel();
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let engine = Arc::new(Echo { arrived: arrived_sender, go: Mutex::new(go_receiver) });
    let done = tokio::spawn(async move {
        let shutdown = async {
            stopped.await.ok();
        };
        serve(listener, engine, options, shutdown).await.expect("it serves until it is told to stop");
    });
    Served { address, arrived, go, stop, done }
}

/// Sends one request as it is; the status, the headers and the body of what comes back.
async fn exchange(address: SocketAddr, head: &str, body: &str) -> (u16, String, Value) {
    let mut stream = TcpStream::connect(address).await.expect("the server listens");
    let request = format!("{head}\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut response = Vec::new();
    // A server that turns a request away early may reset the connection after its answer.
    stream.read_to_end(&mut response).await.ok();
    let response = String::from_utf8(response).expect("UTF-8");
    let (head, body) = response.split_once("\r\n\r\n").expect("a response has a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line");
    (status, head.to_ascii_lowercase(), serde_json::from_str(body).expect("every response is JSON"))
}

const CHAT: &str = "POST /v1/chat/completions HTTP/1.1";

fn asking(content: &str) -> String {
    json!({"model": "echo-1", "messages": [{"role": "user", "content": content}]}).to_string()
}

#[tokio::test]
async fn our_own_client_is_served() {
    let served = start(ServeOptions::default()).await;
    let ledger = tempfile::tempdir().expect("a temporary directory");
    let url = format!("http://{}/v1", served.address);
    let config = TeacherConfig { endpoint: url.clone(), model: Some("echo-1".to_owned()), ..TeacherConfig::default() };
    let client = Client::open(&config, &url, None, ledger.path()).expect("opens");
    let call = Call::new("r1", "note", vec![Message::system("s"), Message::user("<report>été</report>")], 0.0, 10);
    let Completion::Reply(reply) = client.complete(&call).await.expect("answered") else { panic!("no reply") };
    assert_eq!((reply.text.as_str(), reply.finish_reason.as_str()), ("<report>été</report>", "stop"));
    assert_eq!((reply.prompt_tokens, reply.completion_tokens), (2, 1));
    let too_long = Call::new("r2", "note", vec![Message::user("long")], 0.0, 10);
    let completion = client.complete(&too_long).await.expect("the endpoint is fine");
    assert!(matches!(&completion, Completion::Dropped { detail, .. } if detail.contains("context_length_exceeded")));
}

#[tokio::test]
async fn bodies_have_openais_shape() {
    let served = start(ServeOptions::default()).await;
    let (status, _, models) = exchange(served.address, "GET /v1/models HTTP/1.1", "").await;
    assert_eq!((status, &models["object"], &models["data"][0]["id"]), (200, &json!("list"), &json!("echo-1")));
    let (status, _, reply) = exchange(served.address, CHAT, &asking("hello")).await;
    assert_eq!((status, &reply["object"]), (200, &json!("chat.completion")));
    assert_eq!(reply["choices"][0]["message"], json!({"role": "assistant", "content": "hello"}));
    assert_eq!(reply["usage"], json!({"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}));
    let (status, _, health) = exchange(served.address, "GET /health HTTP/1.1", "").await;
    assert_eq!((status, &health["status"]), (200, &json!("ok")));
}

#[tokio::test]
async fn every_error_is_openais_json_and_the_server_lives_on() {
    let served = start(ServeOptions { max_body_bytes: 2000, ..ServeOptions::default() }).await;
    let unknown = asking("hello").replace("echo-1", "gpt");
    let streamed = asking("hello").replace("{\"model\"", "{\"stream\":true,\"model\"");
    let large = asking(&"x".repeat(4000));
    let cases: [(u16, &str, &str, &str); 10] = [
        (400, CHAT, "{", "null"),
        (400, CHAT, &streamed, "null"),
        (404, CHAT, &unknown, "\"model_not_found\""),
        (413, CHAT, &large, "\"body_too_large\""),
        (400, CHAT, &asking("nonsense"), "null"),
        (400, CHAT, &asking("long"), "\"context_length_exceeded\""),
        (500, CHAT, &asking("break"), "\"engine_failed\""),
        (500, CHAT, &asking("panic"), "\"engine_failed\""),
        (405, "GET /v1/chat/completions HTTP/1.1", "", "\"method_not_allowed\""),
        (404, "GET /v2 HTTP/1.1", "", "\"unknown_url\""),
    ];
    for (expected, head, body, code) in cases {
        let (status, _, answer) = exchange(served.address, head, body).await;
        assert_eq!((status, answer["error"]["code"].to_string().as_str()), (expected, code), "{head} {body:.80}");
        assert!(answer["error"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{answer}");
    }
    assert_eq!(exchange(served.address, CHAT, &asking("hello")).await.0, 200);
}

#[tokio::test]
async fn a_token_guards_everything_but_health() {
    let served = start(ServeOptions { token: Some("letmein".to_owned()), ..ServeOptions::default() }).await;
    let with = |token: &str| format!("{CHAT}\r\nauthorization: Bearer {token}");
    assert_eq!(exchange(served.address, &with("letmein"), &asking("a")).await.0, 200);
    for head in [CHAT.to_owned(), with("letmei"), with("letmeinn"), with("letmeim"), with("")] {
        let (status, _, answer) = exchange(served.address, &head, &asking("a")).await;
        assert_eq!((status, &answer["error"]["code"]), (401, &json!("invalid_api_key")));
    }
    assert_eq!(exchange(served.address, "GET /v1/models HTTP/1.1", "").await.0, 401);
    assert_eq!(exchange(served.address, "GET /health HTTP/1.1", "").await.0, 200);
}

#[tokio::test]
async fn who_finds_the_queue_full_is_told_to_come_back_and_who_is_inside_is_answered_at_shutdown() {
    let options = ServeOptions { max_in_flight: 1, max_waiting: 0, ..ServeOptions::default() };
    let Served { address, arrived, go, stop, done } = start(options).await;
    let first = tokio::spawn(async move { exchange(address, CHAT, &asking("wait")).await });
    let arrived = tokio::task::spawn_blocking(move || arrived.recv()).await.expect("no panic");
    arrived.expect("the engine works on it");
    let (status, head, answer) = exchange(address, CHAT, &asking("hello")).await;
    assert_eq!((status, &answer["error"]["code"]), (429, &json!("rate_limit_exceeded")));
    assert!(head.contains("retry-after: 1"), "{head}");

    stop.send(()).expect("it still serves");
    go.send(()).expect("the engine waits");
    assert_eq!(first.await.expect("no panic").0, 200);
    done.await.expect("it ends once everyone is answered");
}
