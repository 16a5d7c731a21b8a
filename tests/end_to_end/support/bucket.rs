//! A bucket on loopback as PubMed Central lays out its own, over plain HTTP: objects, parts of them and pages of keys,
//! and the faults it is told to have.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

use md5::{Digest, Md5};

use super::binary::TOO_LONG;

/// Keys on a page of the listing.
const PAGE: usize = 2;

/// What goes wrong with one request for a key.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// Half of the bytes, then the connection ends.
    Cut,
    /// 503.
    Busy,
    /// As many bytes, but others.
    Garbled,
}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<String, Vec<u8>>,
    faults: Vec<(String, Fault)>,
    asked: Vec<String>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    address: SocketAddr,
}

/// The bucket; it listens until the test process ends.
#[derive(Debug)]
pub struct Bucket(Arc<Shared>);

impl Bucket {
    /// An empty one.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new(), address });
        let inside = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that goes away in the middle ends its connection, nothing else.
                let _ = answer(&stream, &inside);
            }
        });
        Self(shared)
    }

    /// Its address, for `--bucket`.
    pub fn url(&self) -> String {
        format!("http://{}/pmc", self.0.address)
    }

    /// Stores an object.
    pub fn put(&self, key: &str, bytes: impl Into<Vec<u8>>) {
        self.state(|state| state.objects.insert(key.to_owned(), bytes.into()));
    }

    /// Takes an object away.
    pub fn remove(&self, key: &str) {
        self.state(|state| state.objects.remove(key));
    }

    /// Stores `PMC<id>.<version>` with its metadata; `licence` is the code as JSON, `more` further fields.
    pub fn put_article(&self, name: &str, xml: &str, licence: &str, more: &str) {
        let md5 = format!("{:032x}", u128::from_be_bytes(Md5::digest(xml).into()));
        let url = format!("s3://pmc/{name}/{name}.xml?md5={md5}");
        let metadata = format!(r#"{{"pmcid": "{name}", "license_code": {licence}, "xml_url": "{url}"{more}}}"#);
        self.put(&format!("metadata/{name}.json"), metadata);
        self.put(&format!("{name}/{name}.xml"), xml);
    }

    /// The next request for this key goes wrong; as often as it is said.
    pub fn fault(&self, key: &str, fault: Fault) {
        self.state(|state| state.faults.push((key.to_owned(), fault)));
    }

    /// Path and first byte of every request since the last call.
    pub fn asked(&self) -> Vec<String> {
        self.state(|state| std::mem::take(&mut state.asked))
    }

    /// Waits until `count` requests have come in.
    #[track_caller]
    pub fn wait_for(&self, count: usize) {
        let state = self.0.state.lock().expect("no handler panics");
        let waited = self.0.changed.wait_timeout_while(state, TOO_LONG, |state| state.asked.len() < count);
        let (state, result) = waited.expect("no handler panics");
        assert!(!result.timed_out(), "{:?}, but {count} requests were to come", state.asked);
    }

    fn state<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.state.lock().expect("no handler panics"))
    }
}

fn answer(stream: &TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let (mut line, mut range) = (String::new(), None);
    reader.read_line(&mut line)?;
    let is_head = line.starts_with("HEAD");
    let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        if header.trim().is_empty() {
            break;
        }
        if let Some(value) = header.to_lowercase().strip_prefix("range: bytes=") {
            range = value.trim().trim_end_matches('-').parse::<usize>().ok();
        }
    }
    let mut state = shared.state.lock().expect("no handler panics");
    let from = range.map(|from| format!(" from {from}")).unwrap_or_default();
    let asked = target.trim_start_matches("/pmc").trim_start_matches('/');
    state.asked.push(format!("{}{asked}{from}", if is_head { "HEAD " } else { "" }));
    shared.changed.notify_all();
    let Some(path) = target.strip_prefix("/pmc").map(|path| path.trim_start_matches('/')) else {
        return empty(stream, 404);
    };
    if let Some(query) = path.strip_prefix('?') {
        return send(stream, 200, "", listing(&state, query).as_bytes());
    }
    if is_head {
        return match state.objects.get(path) {
            Some(bytes) => head(stream, 200, &format!("Content-Length: {}\r\n", bytes.len())),
            None => head(stream, 404, ""),
        };
    }
    let at = state.faults.iter().position(|(key, _)| key == path);
    let fault = at.map(|at| state.faults.remove(at).1);
    let Some(bytes) = state.objects.get(path) else { return empty(stream, 404) };
    let from = range.unwrap_or(0);
    if from >= bytes.len() {
        return empty(stream, 416);
    }
    let mut body = bytes[from..].to_vec();
    match fault {
        Some(Fault::Busy) => return empty(stream, 503),
        Some(Fault::Garbled) => body.fill(b'?'),
        Some(Fault::Cut) | None => {}
    }
    let whole = body.len();
    if matches!(fault, Some(Fault::Cut)) {
        body.truncate(whole / 2);
    }
    let status = if range.is_some() { 206 } else { 200 };
    let header =
        format!("Content-Range: bytes {from}-{}/{}\r\nContent-Length: {whole}\r\n", bytes.len() - 1, bytes.len());
    head(stream, status, &header)?;
    let mut stream = stream;
    stream.write_all(&body)
}

fn listing(state: &State, query: &str) -> String {
    let field = |name: &str| {
        let value = query.split('&').find_map(|pair| pair.strip_prefix(name)).unwrap_or_default();
        value.replace("%2F", "/")
    };
    let (prefix, after) = (field("prefix="), field("start-after="));
    let keys = state.objects.keys().filter(|key| key.starts_with(&prefix) && **key > after).take(PAGE);
    let keys: Vec<String> = keys
        .map(|key| {
            format!(
                "<Contents><Key>{key}</Key><Size>1</Size><LastModified>2026-01-01T00:00:00Z</LastModified></Contents>"
            )
        })
        .collect();
    format!("<?xml version=\"1.0\"?><ListBucketResult xmlns=\"s3\">{}</ListBucketResult>", keys.concat())
}

fn head(mut stream: &TcpStream, status: u16, headers: &str) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 {status} X\r\nConnection: close\r\n{headers}\r\n")
}

fn send(mut stream: &TcpStream, status: u16, headers: &str, body: &[u8]) -> std::io::Result<()> {
    head(stream, status, &format!("{headers}Content-Length: {}\r\n", body.len()))?;
    stream.write_all(body)
}

fn empty(stream: &TcpStream, status: u16) -> std::io::Result<()> {
    send(stream, status, "", b"")
}
