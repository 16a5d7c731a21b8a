//! A hub on loopback, with its storage on a port of its own: repositories, commits, Git LFS whole and in parts, and the
//! faults it is told to have. It takes what `huggingface_hub` sends, too.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// The one token that may write.
pub const TOKEN: &str = "hf_a_token_of_the_tests";

/// Files on a page of a tree.
const PAGE: usize = 3;

/// What a repository holds under a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// In Git itself.
    Small(Vec<u8>),
    /// A pointer into the storage: SHA-256 and size.
    Large(String, u64),
}

/// A repository.
#[derive(Debug, Clone, Default)]
pub struct Repository {
    pub private: bool,
    pub files: BTreeMap<String, Held>,
    pub commits: u32,
}

impl Repository {
    fn sha(&self) -> String {
        format!("{:040x}", 0xc0_ffee + self.commits)
    }
}

/// What goes wrong, or otherwise than usual.
#[derive(Debug, Clone, Copy, Default)]
pub struct Habits {
    /// Repositories are public whatever was asked for.
    pub makes_public: bool,
    /// The storage takes this many objects, then it is busy.
    pub takes: Option<usize>,
    /// The storage is busy for this many requests.
    pub busy_for: usize,
    /// Objects come in parts of this many bytes.
    pub parts_of: Option<usize>,
    /// The next commit takes place, and its answer is lost.
    pub loses_the_answer: bool,
    /// Somebody else commits before the next commit.
    pub is_overtaken: bool,
    /// An object that is fetched breaks off after so many bytes, each time.
    pub breaks_off_after: Option<usize>,
    /// What is fetched comes from the beginning, whatever was asked for.
    pub knows_no_ranges: bool,
    /// Every file that is fetched has another first byte than it should.
    pub garbles: bool,
}

#[derive(Debug, Default)]
struct State {
    repositories: BTreeMap<String, Repository>,
    objects: BTreeMap<String, Vec<u8>>,
    parts: BTreeMap<String, BTreeMap<usize, Vec<u8>>>,
    habits: Habits,
    asked: Vec<String>,
    wrong: Vec<String>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    hub: SocketAddr,
    storage: SocketAddr,
}

/// The hub; it listens until the test process ends.
#[derive(Debug)]
pub struct Hub(Arc<Shared>);

impl Hub {
    /// An empty one.
    pub fn start() -> Self {
        let bind = || TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let (hub, storage) = (bind(), bind());
        let address = |listener: &TcpListener| listener.local_addr().expect("it is bound");
        let shared = Shared { state: Mutex::default(), hub: address(&hub), storage: address(&storage) };
        let shared = Arc::new(shared);
        for (listener, serve) in [(hub, on_hub as fn(&Shared, &Request) -> Reply), (storage, on_storage)] {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let shared = Arc::clone(&shared);
                    // A client that goes away in the middle ends its connection, nothing else.
                    std::thread::spawn(move || connection(&stream, &shared, serve).ok());
                }
            });
        }
        Self(shared)
    }

    fn state<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.state.lock().expect("no handler panics"))
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://{}", self.0.hub)
    }

    /// Changes what it does from now on.
    pub fn habits(&self, habits: Habits) {
        self.state(|state| state.habits = habits);
    }

    /// A repository as it is now: `datasets/us/notes`, `models/us/notes`.
    pub fn repository(&self, name: &str) -> Option<Repository> {
        self.state(|state| state.repositories.get(name).cloned())
    }

    /// Puts one there.
    pub fn put(&self, name: &str, repository: Repository) {
        self.state(|state| state.repositories.insert(name.to_owned(), repository));
    }

    /// Puts a large file's content there, and gives what a repository holds of it.
    pub fn store(&self, content: &[u8]) -> Held {
        let oid = format!("{:x}", Sha256::digest(content));
        self.state(|state| state.objects.insert(oid.clone(), content.to_vec()));
        Held::Large(oid, content.len() as u64)
    }

    /// An object of the storage.
    pub fn object(&self, sha256: &str) -> Option<Vec<u8>> {
        self.state(|state| state.objects.get(sha256).cloned())
    }

    /// Requests since the last call, as `METHOD what`.
    pub fn asked(&self) -> Vec<String> {
        self.state(|state| std::mem::take(&mut state.asked))
    }

    /// Fails when a request was none that the real one would take, or the token went where it must not.
    #[track_caller]
    pub fn was_asked_rightly(&self) {
        self.state(|state| assert!(state.wrong.is_empty(), "{:?}", state.wrong));
    }
}

struct Request {
    method: String,
    path: String,
    query: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Request {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

enum Reply {
    Status(u16, String, Vec<u8>),
    /// The connection ends without an answer.
    Silence,
    /// It ends after so many bytes of the body.
    BrokenOff(u16, usize, Vec<u8>),
}

fn status(code: u16) -> Reply {
    Reply::Status(code, String::new(), Vec::new())
}

fn answer(value: &Value) -> Reply {
    Reply::Status(200, String::new(), value.to_string().into_bytes())
}

fn connection(stream: &TcpStream, shared: &Shared, serve: fn(&Shared, &Request) -> Reply) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = Request {
        method: method.to_owned(),
        path: path.trim_start_matches('/').to_owned(),
        query: query.to_owned(),
        headers: BTreeMap::new(),
        body: Vec::new(),
    };
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim_end().split_once(':') else { break };
        request.headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    request.body = match request.headers.get("content-length") {
        Some(length) => {
            let mut body = vec![0; length.parse().expect("a length is a number")];
            reader.read_exact(&mut body)?;
            body
        }
        None => chunked(&mut reader, &request)?,
    };
    let mut stream = stream;
    let (code, header, sent, body) = match serve(shared, &request) {
        Reply::Status(code, header, body) => (code, header, body.len(), body),
        Reply::BrokenOff(code, sent, body) => (code, String::new(), sent.min(body.len()), body),
        Reply::Silence => return Ok(()),
    };
    let length = body.len();
    let head = format!("HTTP/1.1 {code} X\r\nConnection: close\r\n{header}Content-Length: {length}\r\n\r\n");
    stream.write_all(&[head.as_bytes(), &body[..sent]].concat())
}

fn chunked(reader: &mut impl BufRead, request: &Request) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    while request.headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked") {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let length = usize::from_str_radix(line.trim(), 16).expect("a chunk has a length");
        let mut chunk = vec![0; length + 2];
        reader.read_exact(&mut chunk)?;
        if length == 0 {
            break;
        }
        body.extend_from_slice(&chunk[..length]);
    }
    Ok(body)
}

fn on_hub(shared: &Shared, request: &Request) -> Reply {
    let mut state = shared.state.lock().expect("no handler panics");
    let parts: Vec<&str> = request.path.split('/').collect();
    let token = request.headers.get("authorization").map(String::as_str);
    if token.is_some_and(|token| token != format!("Bearer {TOKEN}")) {
        return Reply::Status(401, "X-Error-Message: Invalid credentials in Authorization header\r\n".into(), vec![]);
    }
    let writes = token.is_some();
    let name = |kind: &str, namespace: &str, name: &str| format!("{kind}/{namespace}/{name}");
    let (what, reply) = match (request.method.as_str(), parts.as_slice()) {
        ("POST", ["api", "repos", "create"]) if writes => ("create", create(&mut state, &request.json())),
        ("GET", ["api", kind, namespace, id]) => ("info", info(&state, &name(kind, namespace, id), writes)),
        ("GET", ["api", kind, namespace, id, "tree", _]) => {
            ("tree", tree(shared, &state, &name(kind, namespace, id), request))
        }
        ("POST", ["api", kind, namespace, id, "preupload", "main"]) if writes => {
            ("preupload", preupload(&state, &name(kind, namespace, id), &request.json()))
        }
        ("POST", ["api", kind, namespace, id, "commit", "main"]) if writes => {
            ("commit", commit(&mut state, &name(kind, namespace, id), request))
        }
        ("POST", [.., "info", "lfs", "objects", "batch"]) if writes => ("batch", batch(shared, &state, request)),
        ("POST", ["verify"]) if writes => {
            let told = request.json();
            let held = state.objects.get(told["oid"].as_str().unwrap_or_default());
            ("verify", status(if held.is_some_and(|held| told["size"] == held.len()) { 200 } else { 422 }))
        }
        ("GET", ["api", kind, namespace, id, "revision", revision]) => {
            ("info", revised(&state, &name(kind, namespace, id), writes, revision))
        }
        ("GET", ["datasets", namespace, id, "resolve", _, path @ ..]) => {
            ("read", read(shared, &state, &name("datasets", namespace, id), &path.join("/")))
        }
        ("GET", [namespace, id, "resolve", _, path @ ..]) => {
            ("read", read(shared, &state, &name("models", namespace, id), &path.join("/")))
        }
        ("POST", _) if !writes => ("a write", status(401)),
        _ => {
            state.wrong.push(format!("{} {}", request.method, request.path));
            ("?", status(404))
        }
    };
    state.asked.push(what.to_owned());
    reply
}

fn create(state: &mut State, told: &Value) -> Reply {
    let text = |key: &str| told[key].as_str().unwrap_or_default().to_owned();
    let private = told["private"].as_bool().unwrap_or_else(|| told["visibility"] == "private");
    let kind = if told["type"] == "dataset" { "datasets" } else { "models" };
    let name = format!("{kind}/{}/{}", text("organization"), text("name"));
    if state.repositories.contains_key(&name) {
        return status(409);
    }
    if text("organization") == "strangers" {
        let body = json!({ "error": "You don't have the rights to create a dataset under strangers" });
        return Reply::Status(403, String::new(), body.to_string().into_bytes());
    }
    let files = BTreeMap::from([(".gitattributes".to_owned(), Held::Small(b"*.parquet filter=lfs\n".to_vec()))]);
    let private = private && !state.habits.makes_public;
    state.repositories.insert(name.clone(), Repository { private, files, commits: 1 });
    answer(&json!({ "url": name }))
}

fn info(state: &State, name: &str, writes: bool) -> Reply {
    match state.repositories.get(name).filter(|repository| writes || !repository.private) {
        Some(repository) => {
            answer(&json!({ "id": name, "sha": repository.sha(), "private": repository.private, "siblings": [] }))
        }
        None => status(if writes { 404 } else { 401 }),
    }
}

fn revised(state: &State, name: &str, writes: bool, revision: &str) -> Reply {
    let known = |repository: &Repository| revision == "main" || revision == repository.sha();
    match state.repositories.get(name) {
        Some(repository) if !known(repository) => {
            Reply::Status(404, format!("X-Error-Message: Invalid rev id: {revision}\r\n"), Vec::new())
        }
        _ => info(state, name, writes),
    }
}

/// A small file itself; of a large one, where it is.
fn read(shared: &Shared, state: &State, name: &str, path: &str) -> Reply {
    match state.repositories.get(name).and_then(|repository| repository.files.get(path)) {
        Some(Held::Small(content)) => Reply::Status(200, String::new(), garbled(state, content)),
        Some(Held::Large(oid, _)) => {
            let location = format!("Location: http://{}/object/{oid}?signature=secret\r\n", shared.storage);
            Reply::Status(302, location, Vec::new())
        }
        None => status(404),
    }
}

fn garbled(state: &State, content: &[u8]) -> Vec<u8> {
    let mut content = content.to_vec();
    if let Some(first) = content.first_mut().filter(|_| state.habits.garbles) {
        *first ^= 1;
    }
    content
}

/// An object, or the rest of one.
fn object(state: &State, request: &Request, oid: &str) -> Reply {
    let Some(content) = state.objects.get(oid) else { return status(404) };
    let content = garbled(state, content);
    let range = request.headers.get("range").filter(|_| !state.habits.knows_no_ranges);
    let from = range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    let (code, rest) = match from {
        Some(from) if from >= content.len() => return status(416),
        Some(from) => (206, content[from..].to_vec()),
        None => (200, content),
    };
    match state.habits.breaks_off_after {
        Some(bytes) if bytes < rest.len() => Reply::BrokenOff(code, bytes, rest),
        _ => Reply::Status(code, String::new(), rest),
    }
}

/// Git's name of a file's content.
fn git_name(content: &[u8]) -> String {
    format!("{:x}", Sha1::new().chain_update(format!("blob {}\0", content.len())).chain_update(content).finalize())
}

fn tree(shared: &Shared, state: &State, name: &str, request: &Request) -> Reply {
    let Some(repository) = state.repositories.get(name) else { return status(404) };
    let after = request.query.split_once("cursor=").map_or("", |(_, cursor)| cursor);
    let entries: Vec<Value> = repository
        .files
        .iter()
        .filter(|(path, _)| path.as_str() > after)
        .take(PAGE)
        .map(|(path, held)| match held {
            Held::Small(content) => {
                json!({ "type": "file", "path": path, "oid": git_name(content), "size": content.len() })
            }
            Held::Large(oid, size) => json!({
                "type": "file", "path": path, "oid": "0", "size": size,
                "lfs": { "oid": oid, "size": size, "pointerSize": 134 },
            }),
        })
        .collect();
    let last = entries.last().and_then(|entry| entry["path"].as_str()).unwrap_or_default();
    let more = entries.len() == PAGE;
    let next = format!("Link: <http://{}/{}?recursive=true&cursor={last}>; rel=\"next\"\r\n", shared.hub, request.path);
    Reply::Status(200, if more { next } else { String::new() }, Value::from(entries).to_string().into_bytes())
}

fn preupload(state: &State, name: &str, told: &Value) -> Reply {
    let Some(repository) = state.repositories.get(name) else { return status(404) };
    let ignored = repository.files.contains_key(".gitignore");
    let files: Vec<Value> = told["files"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|file| {
            let path = file["path"].as_str().unwrap_or_default();
            let sample = BASE64.decode(file["sample"].as_str().unwrap_or_default()).expect("a sample is base64");
            let large = sample.contains(&0) || path.ends_with(".parquet") || path.ends_with(".safetensors");
            json!({
                "path": path, "uploadMode": if large { "lfs" } else { "regular" },
                "shouldIgnore": ignored && Path::new(path).extension().is_some_and(|ending| ending == "tsv"),
            })
        })
        .collect();
    answer(&json!({ "files": files }))
}

fn batch(shared: &Shared, state: &State, request: &Request) -> Reply {
    let told = request.json();
    let objects: Vec<Value> = told["objects"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|object| {
            let (oid, size) = (object["oid"].as_str().unwrap_or_default(), object["size"].as_u64().unwrap_or(0));
            if state.objects.contains_key(oid) {
                return json!({ "oid": oid, "size": size });
            }
            let at = |path: &str| format!("http://{}/{path}/{oid}?signature=secret", shared.storage);
            let mut upload = json!({ "href": at("whole"), "header": {} });
            if let Some(bytes) = state.habits.parts_of.filter(|bytes| size > *bytes as u64) {
                let parts = (size as usize).div_ceil(bytes);
                upload["href"] = format!("http://{}/complete", shared.storage).into();
                upload["header"] = (1..=parts).map(|n| (format!("{n:05}"), at(&format!("part/{n}")))).collect();
                upload["header"]["chunk_size"] = bytes.to_string().into();
            }
            let verify = json!({ "href": format!("http://{}/verify", shared.hub), "header": {} });
            json!({ "oid": oid, "size": size, "actions": { "upload": upload, "verify": verify } })
        })
        .collect();
    answer(&json!({ "transfer": "basic", "objects": objects }))
}

fn commit(state: &mut State, name: &str, request: &Request) -> Reply {
    let State { repositories, objects, habits, wrong, .. } = state;
    let Some(repository) = repositories.get_mut(name) else { return status(404) };
    if std::mem::take(&mut habits.is_overtaken) {
        repository.commits += 1;
    }
    let text = String::from_utf8_lossy(&request.body);
    let mut files = repository.files.clone();
    for line in text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap_or_default()) {
        let value = &line["value"];
        let field = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        match line["key"].as_str() {
            Some("header") if value["parentCommit"].as_str().is_none_or(|parent| parent == repository.sha()) => {}
            Some("header") => return status(412),
            Some("file") => {
                let content = BASE64.decode(field("content")).expect("content is base64");
                files.insert(field("path"), Held::Small(content));
            }
            Some("lfsFile") if objects.contains_key(&field("oid")) => {
                files.insert(field("path"), Held::Large(field("oid"), value["size"].as_u64().unwrap_or(0)));
            }
            Some("deletedFile") => {
                files.remove(&field("path"));
            }
            _ => {
                wrong.push(format!("commit line {}", line["key"]));
                return status(400);
            }
        }
    }
    repository.files = files;
    repository.commits += 1;
    if std::mem::take(&mut habits.loses_the_answer) {
        return Reply::Silence;
    }
    answer(&json!({ "success": true, "commitOid": repository.sha(), "commitUrl": "there" }))
}

fn on_storage(shared: &Shared, request: &Request) -> Reply {
    let mut state = shared.state.lock().expect("no handler panics");
    if request.headers.contains_key("authorization") {
        state.wrong.push("the storage was shown the token".to_owned());
    }
    if request.headers.contains_key("transfer-encoding") {
        state.wrong.push("the storage takes no chunks".to_owned());
        return status(501);
    }
    if state.habits.takes == Some(0) || state.habits.busy_for > 0 {
        state.habits.busy_for = state.habits.busy_for.saturating_sub(1);
        state.asked.push("busy".to_owned());
        return status(503);
    }
    let parts: Vec<&str> = request.path.split('/').collect();
    let keep = |state: &mut State, oid: &str, bytes: Vec<u8>| {
        let found = format!("{:x}", Sha256::digest(&bytes));
        if found != oid {
            state.wrong.push(format!("{oid} has another content"));
            return status(400);
        }
        state.habits.takes = state.habits.takes.map(|takes| takes - 1);
        state.objects.insert(oid.to_owned(), bytes);
        status(200)
    };
    let (what, reply) = match (request.method.as_str(), parts.as_slice()) {
        ("GET", ["object", oid]) => ("object", object(&state, request, oid)),
        ("PUT", ["whole", oid]) => ("put", keep(&mut state, oid, request.body.clone())),
        ("PUT", ["part", number, oid]) => {
            let number: usize = number.parse().expect("the hub numbered it");
            let parts = state.parts.entry((*oid).to_owned()).or_default();
            parts.insert(number, request.body.clone());
            ("part", Reply::Status(200, format!("ETag: \"e{number}\"\r\n"), Vec::new()))
        }
        ("POST", ["complete"]) => {
            let told = request.json();
            let oid = told["oid"].as_str().unwrap_or_default();
            let held = state.parts.remove(oid).unwrap_or_default();
            let receipts: Vec<Value> =
                held.keys().map(|n| json!({ "partNumber": n, "etag": format!("\"e{n}\"") })).collect();
            if told["parts"] != Value::from(receipts) {
                state.wrong.push(format!("receipts: {}", told["parts"]));
            }
            ("complete", keep(&mut state, oid, held.into_values().flatten().collect()))
        }
        _ => ("?", status(404)),
    };
    state.asked.push(what.to_owned());
    reply
}
