//! A chat API on loopback, on the standard library alone: it answers as the extractive teacher would, or misbehaves as
//! told, request by request.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

use asclepius_schema::Message;
use serde_json::{Value, json};

use super::binary::TOO_LONG;

/// What to do with one request.
#[derive(Debug, Clone, Copy)]
pub enum Act {
    /// Answer as the extractive teacher.
    Answer,
    /// The same, billed as this many tokens received and none sent.
    AnswerFor(u32),
    /// Answer with this text, whatever is asked.
    Say(&'static str),
    /// The same, but refuse to hold a reply to a schema.
    SayInWords(&'static str),
    /// Answer with this text, cut off by the limit on tokens.
    SayUntilCut(&'static str),
    /// Answer once the test says so.
    Hold,
    /// Answer as the extractive teacher, cut off by the limit on tokens.
    CutOff,
    /// Answer with this status, header line and body.
    Refuse(u16, &'static str, &'static str),
    /// Answer with this status and an error that quotes the key and all of the prompt wherever it can.
    Quote(u16),
    /// Never end: a byte a second, as long as anybody listens.
    Trickle,
    /// Answer behind a megabyte of headers.
    Headers,
    /// End the connection in the middle of an answer.
    BreakOff,
    /// Close the port, then the connection: from now on nobody listens.
    Vanish,
}

/// One request as it came in.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The `authorization` header.
    pub authorization: Option<String>,
    /// Whether the reply was to be held to a JSON schema.
    pub schema: bool,
    /// The text of the last message.
    pub prompt: String,
}

#[derive(Debug, Default)]
struct State {
    seen: Vec<Seen>,
    released: bool,
    down: bool,
    closed: bool,
}

/// What is done with a request, by its number and its prompt.
type Judge = dyn Fn(usize, &str) -> Act + Send + Sync;

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    act: Box<Judge>,
    address: SocketAddr,
}

/// The server; it listens until the test process ends, unless it vanishes.
pub struct ChatServer(Arc<Shared>);

impl ChatServer {
    /// Starts a server that does with request `n`, from 0, what `act(n)` says.
    pub fn start(act: impl Fn(usize) -> Act + Send + Sync + 'static) -> Self {
        Self::judging(move |n, _| act(n))
    }

    /// The same with an eye on what is asked: `act(n, prompt)`, the prompt being the last message's text.
    pub fn judging(act: impl Fn(usize, &str) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new(), act: Box::new(act), address });
        let inside = Arc::clone(&shared);
        std::thread::spawn(move || accept(listener, &inside));
        Self(shared)
    }

    /// The base URL for `teacher.endpoint`, as TOML.
    pub fn url(&self) -> String {
        format!("\"http://{}/v1\"", self.0.address)
    }

    /// Host and port, as an error names them.
    pub fn host(&self) -> String {
        self.0.address.to_string()
    }

    /// Every request so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.0.state.lock().expect("no handler panics").seen.clone()
    }

    /// How many requests came.
    pub fn requests(&self) -> usize {
        self.seen().len()
    }

    /// Waits until `count` requests have come in.
    #[track_caller]
    pub fn wait_for(&self, count: usize) {
        let state = self.0.state.lock().expect("no handler panics");
        let (state, result) = self
            .0
            .changed
            .wait_timeout_while(state, TOO_LONG, |state| state.seen.len() < count)
            .expect("no handler panics");
        assert!(!result.timed_out(), "{} of {count} requests came", state.seen.len());
    }

    /// Lets everything that is held, now or later, be answered.
    pub fn release(&self) {
        self.0.state.lock().expect("no handler panics").released = true;
        self.0.changed.notify_all();
    }
}

fn accept(listener: TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.state.lock().expect("no handler panics").down {
            break;
        }
        let Ok(stream) = stream else { continue };
        let shared = Arc::clone(shared);
        // A client that goes away in the middle ends its connection, nothing else.
        std::thread::spawn(move || connection(&stream, &shared).ok());
    }
    drop(listener);
    shared.state.lock().expect("no handler panics").closed = true;
    shared.changed.notify_all();
}

fn connection(stream: &TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    while let Some((line, headers, body)) = request(&mut reader)? {
        if line.starts_with("GET ") && line.contains("/models ") {
            send(stream, 200, "", &json!({"object": "list", "data": [{"id": MODEL, "object": "model"}]}).to_string())?;
            continue;
        }
        let header = |name: &str| {
            headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
        };
        let prompt = body["messages"].as_array().and_then(|all| all.last()?["content"].as_str()).unwrap_or_default();
        let number = {
            let mut state = shared.state.lock().expect("no handler panics");
            let schema = body["response_format"]["type"] == "json_schema";
            let prompt = prompt.to_owned();
            state.seen.push(Seen { authorization: header("authorization"), schema, prompt });
            state.seen.len() - 1
        };
        shared.changed.notify_all();
        match (shared.act)(number, prompt) {
            Act::Answer => send(stream, 200, "", &completion(&body, None, "stop"))?,
            Act::AnswerFor(tokens) => send(stream, 200, "", &completion(&body, Some(tokens), "stop"))?,
            Act::Say(text) => send(stream, 200, "", &said(&body, text, None, "stop"))?,
            Act::SayInWords(text) if body["response_format"].is_null() => {
                send(stream, 200, "", &said(&body, text, None, "stop"))?;
            }
            Act::SayInWords(_) => {
                let error =
                    json!({"message": "not supported", "code": "unsupported_parameter", "param": "response_format"});
                send(stream, 400, "", &json!({"error": error}).to_string())?;
            }
            Act::SayUntilCut(text) => send(stream, 200, "", &said(&body, text, None, "length"))?,
            Act::CutOff => send(stream, 200, "", &completion(&body, None, "length"))?,
            Act::Refuse(status, header, body) => send(stream, status, header, body)?,
            Act::Hold => {
                let state = shared.state.lock().expect("no handler panics");
                drop(shared.changed.wait_while(state, |state| !state.released).expect("no handler panics"));
                send(stream, 200, "", &completion(&body, None, "stop"))?;
            }
            Act::Quote(status) => {
                let key = header("authorization").unwrap_or_default();
                let error = json!({"message": format!("{key}: cannot take {prompt}"), "code": key, "param": prompt});
                send(stream, status, "", &json!({"error": error}).to_string())?;
            }
            Act::Trickle => trickle(stream, shared)?,
            Act::Headers => {
                let line = format!("x-padding: {}\r\n", "a".repeat(1000));
                send(stream, 200, line.repeat(1000).trim_end(), &completion(&body, None, "stop"))?;
            }
            Act::BreakOff => {
                let mut stream = stream;
                return write!(stream, "HTTP/1.1 200 X\r\ncontent-length: 100000\r\n\r\n{{");
            }
            Act::Vanish => {
                shared.state.lock().expect("no handler panics").down = true;
                // A connection wakes the thread that accepts them; it then closes the port.
                drop(TcpStream::connect(shared.address)?);
                let state = shared.state.lock().expect("no handler panics");
                drop(shared.changed.wait_while(state, |state| !state.closed).expect("no handler panics"));
                return Ok(());
            }
        }
    }
    Ok(())
}

/// A body that comes a byte a second.
fn trickle(mut stream: &TcpStream, shared: &Shared) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 200 X\r\ncontent-length: 100000\r\n\r\n")?;
    loop {
        stream.write_all(b" ")?;
        let state = shared.state.lock().expect("no handler panics");
        // Nobody says anything meanwhile; it is a wait that ends with its time.
        let second = std::time::Duration::from_secs(1);
        drop(shared.changed.wait_timeout_while(state, second, |_| true).expect("no handler panics"));
    }
}

type Request = (String, Vec<(String, String)>, Value);

/// The one model that the server lists.
pub const MODEL: &str = "stand-in";

/// The next request of a connection; none at its end.
fn request(reader: &mut impl BufRead) -> std::io::Result<Option<Request>> {
    let mut first = String::new();
    if reader.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    let mut line = String::new();
    let mut headers = Vec::new();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = length.map_or(0, |(_, value)| value.parse().expect("a length is a number"));
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some((first, headers, serde_json::from_slice(&body).unwrap_or(Value::Null))))
}

fn send(mut stream: &TcpStream, status: u16, header: &str, body: &str) -> std::io::Result<()> {
    let header = if header.is_empty() { String::new() } else { format!("{header}\r\n") };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{header}content-length: {length}\r\n\r\n{body}"
    )
}

fn completion(request: &Value, billed: Option<u32>, finish_reason: &str) -> String {
    let messages: Vec<Message> =
        serde_json::from_value(request["messages"].clone()).expect("a chat request has messages");
    let text = asclepius_synth::extractive::reply(&messages).expect("the prompts carry the teacher's tags");
    said(request, &text, billed, finish_reason)
}

fn said(request: &Value, text: &str, billed: Option<u32>, finish_reason: &str) -> String {
    let messages: Vec<Message> =
        serde_json::from_value(request["messages"].clone()).expect("a chat request has messages");
    let words = |text: &str| text.split_whitespace().count() as u32;
    // What the embedded teacher counts, so that rows are the same whoever serves it.
    let (sent, received) = match billed {
        Some(tokens) => (0, tokens),
        None => (messages.iter().map(|message| words(&message.content)).sum(), words(text)),
    };
    json!({
        "id": "x", "object": "chat.completion", "created": 0, "model": request["model"],
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}],
        "usage": {"prompt_tokens": sent, "completion_tokens": received, "total_tokens": sent + received},
    })
    .to_string()
}
