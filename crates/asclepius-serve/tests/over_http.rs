//! The server over real sockets: by hand where the request is to be wrong, and through our own client.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use asclepius_llm::{Call, Client, Completion, TeacherConfig};
use asclepius_schema::Message;
use asclepius_serve::{Engine, EngineError, Gone, Page, Prompt, Reply, Request, ServeOptions, serve};
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

    fn answer(&self, request: &Request, gone: &Gone, on_text: &mut dyn FnMut(&str)) -> Result<Reply, EngineError> {
        let (last, count) = match &request.prompt {
            Prompt::Conversation(messages) => {
                let last = messages.last().expect("the server lets no empty conversation in");
                (last.content.as_str(), messages.len())
            }
            Prompt::Text(text) => (text.as_str(), 1),
        };
        match last {
            "nonsense" => return Err(EngineError::BadRequest("nothing to say to that".to_owned())),
            "long" => return Err(EngineError::TooLong { tokens: 9, limit: 8 }),
            "break" => return Err(EngineError::Failed("out of order".into())),
            "panic" => panic!("on purpose"),
            "break late" => {
                on_text("break");
                return Err(EngineError::Failed("out of order".into()));
            }
            "wait" => self.wait(),
            "talk" => {
                while !gone.is_set() {
                    on_text("and ");
                    std::thread::yield_now();
                }
                self.arrived.send(()).expect("the test listens");
                return Err(EngineError::Gone);
            }
            _ => {}
        }
        for word in last.split_inclusive(' ') {
            on_text(word);
        }
        Ok(Reply { finish_reason: "stop", prompt_tokens: count as u32, completion_tokens: 1 })
    }
}

impl Echo {
    fn wait(&self) {
        self.arrived.send(()).expect("the test listens");
        self.go.lock().unwrap_or_else(PoisonError::into_inner).recv().expect("the test says go");
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
        serve(listener, engine, options, shutdown).await;
    });
    Served { address, arrived, go, stop, done }
}

/// Sends one request as it is; the connection, to be read from.
async fn send(address: SocketAddr, head: &str, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("the server listens");
    let host = if head.contains("\r\nhost:") { "" } else { "host: localhost\r\n" };
    let request = format!("{head}\r\n{host}connection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await.expect("sent");
    stream
}

/// The status, the headers and the body of what comes back.
async fn exchange_text(address: SocketAddr, head: &str, body: &str) -> (u16, String, String) {
    let mut response = Vec::new();
    // A server that turns a request away early may reset the connection after its answer.
    send(address, head, body).await.read_to_end(&mut response).await.ok();
    let response = String::from_utf8(response).expect("UTF-8");
    let (head, body) = response.split_once("\r\n\r\n").expect("a response has a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line");
    (status, head.to_ascii_lowercase(), body.to_owned())
}

/// The same where the body is JSON.
async fn exchange(address: SocketAddr, head: &str, body: &str) -> (u16, String, Value) {
    let (status, head, body) = exchange_text(address, head, body).await;
    (status, head, serde_json::from_str(&body).expect("every response is JSON"))
}

/// The events of a stream; the last one is `[DONE]` where the answer is complete. HTTP/1.0 has no chunks.
async fn events(address: SocketAddr, path: &str, body: &Value) -> Vec<String> {
    let (status, head, body) = exchange_text(address, &format!("POST {path} HTTP/1.0"), &body.to_string()).await;
    assert!(status == 200 && head.contains("content-type: text/event-stream"), "{head}");
    let events = body.split("\n\n").filter(|event| !event.is_empty());
    events.map(|event| event.strip_prefix("data: ").expect("every event is data").to_owned()).collect()
}

const CHAT: &str = "POST /v1/chat/completions HTTP/1.1";
const TEXT: &str = "POST /v1/completions HTTP/1.1";

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
    let streamed = |content: &str| asking(content).replace("{\"model\"", "{\"stream\":true,\"model\"");
    let large = asking(&"x".repeat(4000));
    let cases: [(u16, &str, &str, &str); 12] = [
        (400, CHAT, "{", "null"),
        (400, CHAT, &streamed("long"), "\"context_length_exceeded\""),
        (500, CHAT, &streamed("break"), "\"engine_failed\""),
        (500, CHAT, &streamed("panic"), "\"engine_failed\""),
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
    let text = r#"{"model":"echo-1","prompt":"long"}"#;
    for (head, body, field) in [(CHAT, asking("long").as_str(), "messages"), (TEXT, text, "prompt")] {
        let (_, _, answer) = exchange(served.address, head, body).await;
        assert_eq!(answer["error"]["param"], field, "{answer}");
    }
    assert_eq!(exchange(served.address, CHAT, &asking("hello")).await.0, 200);
}

#[tokio::test]
async fn who_does_not_get_a_request_out_is_not_waited_for() {
    let patience = Duration::from_millis(250);
    let Served { address, arrived, go, stop: _stop, .. } =
        start(ServeOptions { patience, ..ServeOptions::default() }).await;
    let all = |mut stream: TcpStream| async move {
        let mut response = String::new();
        stream.read_to_string(&mut response).await.ok();
        response
    };
    // Half a head, nothing at all: the connection is closed. Half a body: that is said.
    let mut half = TcpStream::connect(address).await.expect("the server listens");
    half.write_all(b"POST /v1/chat/completions HTTP/1.1\r\nhost: loc").await.expect("sent");
    let silent = TcpStream::connect(address).await.expect("the server listens");
    let head = format!("{CHAT}\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{{");
    let mut slow = TcpStream::connect(address).await.expect("the server listens");
    slow.write_all(head.as_bytes()).await.expect("sent");
    let responses = tokio::join!(all(half), all(silent), all(slow));
    assert_eq!((responses.0.as_str(), responses.1.as_str()), ("", ""));
    assert!(responses.2.starts_with("HTTP/1.1 408") && responses.2.contains("too_slow"), "{}", responses.2);
    assert_eq!(exchange(address, CHAT, &asking("hello")).await.0, 200);
    // An answer may take as long as it takes.
    let waiting = tokio::spawn(async move { exchange(address, CHAT, &asking("wait")).await.0 });
    let arrived = tokio::task::spawn_blocking(move || arrived.recv()).await.expect("no panic");
    arrived.expect("the engine works on it");
    let late = TcpStream::connect(address).await.expect("the server listens");
    assert_eq!(all(late).await, "", "as long as another client is waited for");
    go.send(()).expect("the engine waits");
    assert_eq!(waiting.await.expect("no panic"), 200);
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
    while exchange(address, "GET /health HTTP/1.1", "").await.0 != 503 {}
    let (status, head, answer) = exchange(address, CHAT, &asking("hello")).await;
    assert_eq!((status, &answer["error"]["code"]), (503, &json!("shutting_down")));
    assert!(head.contains("retry-after: 1"), "{head}");
    go.send(()).expect("the engine waits");
    assert_eq!(first.await.expect("no panic").0, 200);
    done.await.expect("it ends once everyone is answered");
}

#[tokio::test]
async fn a_stream_comes_in_openais_chunks_and_says_what_was_used_if_asked() {
    let served = start(ServeOptions::default()).await;
    let user = json!([{"role": "user", "content": "one two"}]);
    let chat = json!({
        "model": "echo-1", "messages": user, "stream": true, "stream_options": {"include_usage": true},
    });
    let events_of_chat = events(served.address, "/v1/chat/completions", &chat).await;
    let (done, chunks) = events_of_chat.split_last().expect("events");
    assert_eq!(done, "[DONE]");
    let chunks: Vec<Value> = chunks.iter().map(|chunk| serde_json::from_str(chunk).expect("JSON")).collect();
    assert!(chunks.iter().all(|chunk| chunk["object"] == "chat.completion.chunk" && chunk["id"] == chunks[0]["id"]));
    let deltas: Vec<Value> = chunks.iter().map(|chunk| chunk["choices"][0]["delta"].clone()).collect();
    let expected = [json!({"role": "assistant", "content": "one "}), json!({"content": "two"}), json!({}), Value::Null];
    assert_eq!(deltas, expected);
    assert_eq!(chunks[2]["choices"][0]["finish_reason"], "stop");
    assert!(chunks[..3].iter().all(|chunk| chunk["usage"] == Value::Null));
    assert_eq!((&chunks[3]["choices"], &chunks[3]["usage"]["total_tokens"]), (&json!([]), &json!(2)));

    let text = json!({"model": "echo-1", "prompt": "one two", "stream": true});
    let chunks = events(served.address, "/v1/completions", &text).await;
    let texts: Vec<Value> = chunks[..chunks.len() - 1]
        .iter()
        .map(|chunk| serde_json::from_str::<Value>(chunk).expect("JSON")["choices"][0]["text"].clone())
        .collect();
    assert_eq!(texts, ["one ", "two", ""]);
    assert!(!chunks.concat().contains("usage"));

    // An engine that breaks after the status was sent says so in the stream, which then is not complete.
    let late = json!({"model": "echo-1", "prompt": "break late", "stream": true});
    let broken = events(served.address, "/v1/completions", &late).await;
    assert!(broken.len() == 2 && broken[1].contains("engine_failed"), "{broken:?}");
    let whole = json!({"model": "echo-1", "prompt": "break late"});
    assert_eq!(exchange(served.address, "POST /v1/completions HTTP/1.1", &whole.to_string()).await.0, 500);
}

#[tokio::test]
async fn the_engine_hears_of_clients_that_leave() {
    let served = start(ServeOptions::default()).await;
    let (address, arrived) = (served.address, Arc::new(Mutex::new(served.arrived)));
    for stream in [false, true] {
        let body = json!({"model": "echo-1", "prompt": "talk", "stream": stream}).to_string();
        let mut connection = send(address, "POST /v1/completions HTTP/1.1", &body).await;
        if stream {
            connection.read_exact(&mut [0; 64]).await.expect("the stream has begun");
        }
        drop(connection);
        let arrived = Arc::clone(&arrived);
        let left = move || arrived.lock().expect("nobody panics").recv();
        tokio::task::spawn_blocking(left).await.expect("no panic").expect("the engine stops talking");
    }
}

#[tokio::test]
async fn without_a_token_only_this_machine_and_the_servers_own_page_may_ask() {
    let served = start(ServeOptions::default()).await;
    let own = format!("http://{}", served.address);
    let cases = [
        (200, format!("host: {}", served.address)),
        (200, format!("host: {}\r\norigin: {own}", served.address)),
        (403, format!("host: {}\r\norigin: https://elsewhere.example", served.address)),
        (403, format!("host: {}\r\norigin: null", served.address)),
        (403, "host: rebound.example".to_owned()),
        (403, "host: rebound.example\r\norigin: http://rebound.example".to_owned()),
    ];
    for (expected, headers) in cases {
        let (status, _, answer) = exchange(served.address, &format!("{CHAT}\r\n{headers}"), &asking("hello")).await;
        assert_eq!(status, expected, "{headers} {answer}");
    }
}

#[tokio::test]
async fn the_page_talks_to_its_own_server_alone_and_keeps_verdicts() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let feedback = directory.path().join("feedback.jsonl");
    let page = Page { feedback: Some(feedback.clone()), ..Page::new("a run") };
    let served = start(ServeOptions { page: Some(page), ..ServeOptions::default() }).await;
    let (status, head, page) = exchange_text(served.address, "GET / HTTP/1.1", "").await;
    assert!(status == 200 && head.contains("content-type: text/html; charset=utf-8"), "{head}");
    for part in ["default-src 'none'", "script-src 'sha256-", "connect-src 'self'", "frame-ancestors 'none'"] {
        assert!(head.contains(part), "{part} is not in {head}");
    }
    assert!(!head.contains("unsafe") && !page.contains("http://") && !page.contains("https://"));
    let (_, _, content) = exchange(served.address, "GET /page HTTP/1.1", "").await;
    assert_eq!(
        (&content["title"], &content["models"], &content["feedback"]),
        (&json!("a run"), &json!(["echo-1"]), &json!(true))
    );
    assert_eq!(content["prompt"], "### Note\n{note}\n\n### Instruction\n{instruction}");

    let verdict = json!({
        "verdict": "up", "model": "echo-1", "note": "a\nnote", "instruction": "i", "answer": "b", "temperature": 0.0,
        "top_p": 1.0, "seed": 0, "max_tokens": 5,
    });
    for (expected, body) in [
        (204, verdict.clone()),
        (400, json!({"verdict": "up"})),
        (400, json!("up")),
        (204, {
            let mut down = verdict;
            down["verdict"] = "down".into();
            down
        }),
    ] {
        let (status, _, _) = exchange_text(served.address, "POST /feedback HTTP/1.1", &body.to_string()).await;
        assert_eq!(status, expected, "{body}");
    }
    let kept = fs_err::read_to_string(feedback).expect("it was written");
    let kept: Vec<Value> = kept.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    assert_eq!(kept.iter().map(|line| &line["verdict"]).collect::<Vec<_>>(), ["up", "down"]);
    assert_eq!((&kept[0]["note"], &kept[0]["answer"]), (&json!("a\nnote"), &json!("b")));

    let bare = start(ServeOptions::default()).await;
    assert_eq!(exchange(bare.address, "GET / HTTP/1.1", "").await.0, 404);
}
