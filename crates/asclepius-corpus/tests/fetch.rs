//! The fetcher against a plain HTTP server of the test's own, which misbehaves as it is told.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use asclepius_corpus::fetch::{FetchConfig, FetchError, Fetched, Skipped, Version, fetch};
use asclepius_schema::Licence;
use md5::Digest;

/// What goes wrong with the next request for a key.
#[derive(Clone, Copy)]
enum Fault {
    /// Half of the bytes, then the connection ends.
    Cut,
    /// 503.
    Busy,
    /// Other bytes.
    Garbled,
}

#[derive(Default)]
struct Bucket {
    objects: BTreeMap<String, Vec<u8>>,
    faults: Vec<(String, Fault)>,
    /// Path and range of every request.
    asked: Vec<String>,
}

struct Server {
    endpoint: String,
    bucket: Arc<Mutex<Bucket>>,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let endpoint = format!("http://{}/pmc", listener.local_addr().expect("bound"));
        let bucket = Arc::new(Mutex::new(Bucket::default()));
        let shared = Arc::clone(&bucket);
        // Ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that leaves is no failure of the server's.
                let _ = answer(stream, &shared);
            }
        });
        Self { endpoint, bucket }
    }

    fn put(&self, key: &str, bytes: impl Into<Vec<u8>>) {
        self.bucket.lock().expect("not poisoned").objects.insert(key.to_owned(), bytes.into());
    }

    fn put_article(&self, name: &str, licence: &str, more: &str) -> Vec<u8> {
        let xml = format!("<article>{name}{}</article>", "x".repeat(5000)).into_bytes();
        let md5 = format!("{:032x}", u128::from_be_bytes(md5::Md5::digest(&xml).into()));
        let metadata = format!(
            "{{\"pmcid\": \"{name}\", \"license_code\": {licence}, \"xml_url\": \"s3://pmc/{name}/{name}.xml?md5={md5}\"{more}}}"
        );
        self.put(&format!("metadata/{name}.json"), metadata);
        self.put(&format!("{name}/{name}.xml"), xml.clone());
        xml
    }

    fn fault(&self, key: &str, fault: Fault) {
        self.bucket.lock().expect("not poisoned").faults.push((key.to_owned(), fault));
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.bucket.lock().expect("not poisoned").asked)
    }
}

fn answer(stream: TcpStream, bucket: &Mutex<Bucket>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut line, mut range) = (String::new(), None);
    reader.read_line(&mut line)?;
    let head = line.starts_with("HEAD");
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
    let mut bucket = bucket.lock().expect("not poisoned");
    let from = range.map(|from| format!(" from {from}")).unwrap_or_default();
    bucket.asked.push(format!("{}{target}{from}", if head { "HEAD " } else { "" }));
    let mut stream = stream;
    let path = target.strip_prefix("/pmc").unwrap_or("elsewhere").trim_start_matches('/');
    if let Some(query) = path.strip_prefix('?') {
        let field = |name: &str| {
            let value = query.split('&').find_map(|pair| pair.strip_prefix(name)).unwrap_or_default();
            value.replace("%2F", "/")
        };
        let (prefix, after) = (field("prefix="), field("start-after="));
        let keys = bucket.objects.keys().filter(|key| key.starts_with(&prefix) && **key > after).take(2);
        let keys = keys.map(|key| {
            format!(
                "<Contents><Key>{key}</Key><Size>1</Size><LastModified>2026-01-01T00:00:00Z</LastModified></Contents>"
            )
        });
        let keys = keys.collect::<Vec<_>>().concat();
        let body = format!("<?xml version=\"1.0\"?><ListBucketResult xmlns=\"s3\">{keys}</ListBucketResult>");
        return write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    }
    if head {
        let Some(bytes) = bucket.objects.get(path) else {
            return write!(stream, "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        };
        let size = bytes.len();
        return write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n");
    }
    let at = bucket.faults.iter().position(|(key, _)| key == path);
    let fault = at.map(|at| bucket.faults.remove(at).1);
    let Some(bytes) = bucket.objects.get(path) else {
        return write!(stream, "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    };
    let from = range.unwrap_or(0);
    if from >= bytes.len() {
        return write!(stream, "HTTP/1.1 416 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    }
    let mut body = bytes[from..].to_vec();
    let length = body.len();
    match fault {
        Some(Fault::Busy) => {
            return write!(stream, "HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        }
        Some(Fault::Cut) => body.truncate(length / 2),
        Some(Fault::Garbled) => body.fill(b'?'),
        None => {}
    }
    let status = if range.is_some() { "206 Partial Content" } else { "200 OK" };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\nContent-Range: bytes {from}-{}/{}\r\n\r\n",
        bytes.len() - 1,
        bytes.len()
    )?;
    stream.write_all(&body)
}

fn config(server: &Server, out: &Path, articles: &[&str]) -> FetchConfig {
    FetchConfig {
        endpoint: server.endpoint.clone(),
        out: out.to_owned(),
        articles: articles.iter().map(|name| name.parse().expect("a PMCID")).collect(),
        licences: vec![Licence::Cc0, Licence::CcBy],
        limit: None,
        interval: Duration::ZERO,
        tries: 3,
        wait: Duration::ZERO,
    }
}

fn run(config: &FetchConfig) -> Result<Vec<(String, Fetched)>, FetchError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut all = Vec::new();
    let mut on = |version: &Version, fetched: &Fetched| {
        all.push((version.to_string(), fetched.clone()));
        true
    };
    runtime.block_on(fetch(config, &mut on))?;
    Ok(all)
}

fn why(found: &[(String, Fetched)]) -> Vec<(&str, Option<Skipped>)> {
    let reason = |fetched: &Fetched| match fetched {
        Fetched::Skipped(skipped, _) => Some(*skipped),
        Fetched::New(_) | Fetched::Known => None,
    };
    found.iter().map(|(name, fetched)| (name.as_str(), reason(fetched))).collect()
}

#[test]
fn walking_fetches_what_is_open_once_and_again_nothing() {
    let (server, folder) = (Server::start(), tempfile::tempdir().expect("a temporary directory"));
    let xml = server.put_article("PMC1.1", "\"CC BY\"", "");
    server.put_article("PMC2.1", "null", "");
    server.put_article("PMC3.1", "\"CC BY-NC\"", "");
    server.put_article("PMC4.1", "\"CC0\"", ", \"is_retracted\": true");
    server.put_article("PMC5.2", "\"CC0\"", "");
    server.put(
        "metadata/PMC6.1.json",
        "{\"license_code\": \"CC BY\", \"xml_url\": \"https://evil.example/../../etc/passwd\"}",
    );
    server.put("other/PMC7.1.json", "{}");
    let config = config(&server, folder.path(), &[]);
    let expected = [
        ("PMC1.1", None),
        ("PMC2.1", Some(Skipped::Licence)),
        ("PMC3.1", Some(Skipped::Licence)),
        ("PMC4.1", Some(Skipped::Retracted)),
        ("PMC5.2", None),
        ("PMC6.1", Some(Skipped::Metadata)),
    ];
    let found = run(&config).expect("a bucket");
    assert_eq!(why(&found), expected);
    assert_eq!(found[0].1, Fetched::New(xml.len() as u64));
    assert_eq!(fs_err::read(folder.path().join("PMC1.1/PMC1.1.xml")).expect("written"), xml);
    server.asked();
    let again = run(&config).expect("a bucket");
    assert_eq!(why(&again), expected);
    assert_eq!((&again[0].1, &again[4].1), (&Fetched::Known, &Fetched::Known));
    let asked = server.asked();
    assert!(asked.iter().all(|path| path.starts_with("/pmc?") || path.contains("PMC6")), "{asked:?}");

    let limited = FetchConfig { limit: Some(2), ..config };
    assert_eq!(run(&limited).expect("a bucket").len(), 2);
}

#[test]
fn broken_transfers_are_taken_up_and_checked() {
    let (server, folder) = (Server::start(), tempfile::tempdir().expect("a temporary directory"));
    let xml = server.put_article("PMC1.1", "\"CC BY\"", "");
    let key = "PMC1.1/PMC1.1.xml";
    server.fault("metadata/PMC1.1.json", Fault::Busy);
    server.fault(key, Fault::Cut);
    let config = config(&server, folder.path(), &["PMC1"]);
    assert_eq!(run(&config).expect("a bucket")[0].1, Fetched::New(xml.len() as u64));
    let half = xml.len() / 2;
    assert_eq!(
        server.asked(),
        [
            "/pmc?list-type=2&prefix=metadata%2FPMC1.",
            "/pmc/metadata/PMC1.1.json",
            "/pmc/metadata/PMC1.1.json",
            &format!("/pmc/{key}"),
            &format!("HEAD /pmc/{key}"),
            &format!("/pmc/{key} from {half}")
        ]
    );

    // A run that was ended left the beginning; another left the beginning of something else.
    let target = folder.path().join(key);
    for (left, times) in
        [(xml[..100].to_vec(), 2), (b"something else".to_vec(), 3), (xml.clone(), 1), (vec![b'x'; 9000], 2)]
    {
        fs_err::remove_file(&target).expect("there");
        fs_err::write(target.with_extension("xml.part"), &left).expect("writable");
        assert!(matches!(run(&config).expect("a bucket")[0].1, Fetched::New(_)));
        assert_eq!(fs_err::read(&target).expect("written"), xml);
        assert_eq!(server.asked().iter().filter(|path| path.contains(key)).count(), times);
    }
    // A file that was changed on disk is fetched anew.
    fs_err::write(&target, "changed").expect("writable");
    assert!(matches!(run(&config).expect("a bucket")[0].1, Fetched::New(_)));
    assert_eq!(fs_err::read(&target).expect("written"), xml);
}

#[test]
fn what_cannot_be_had_is_told_and_the_next_one_fetched() {
    let (server, folder) = (Server::start(), tempfile::tempdir().expect("a temporary directory"));
    server.put_article("PMC1.1", "\"CC BY\"", "");
    server.put_article("PMC2.1", "\"CC BY\"", "");
    server.put_article("PMC3.1", "\"CC BY\"", "");
    for _ in 0..2 {
        server.fault("PMC1.1/PMC1.1.xml", Fault::Garbled);
    }
    for _ in 0..3 {
        server.fault("PMC2.1/PMC2.1.xml", Fault::Busy);
    }
    let found =
        run(&config(&server, folder.path(), &["PMC1.1", "PMC2.1", "PMC9", "PMC9.1", "PMC3.1"])).expect("a bucket");
    assert_eq!(
        why(&found),
        [
            ("PMC1.1", Some(Skipped::Checksum)),
            ("PMC2.1", Some(Skipped::Unreachable)),
            ("PMC9", Some(Skipped::Absent)),
            ("PMC9.1", Some(Skipped::Absent)),
            ("PMC3.1", None),
        ]
    );
    assert!(
        !folder.path().join("PMC1.1/PMC1.1.xml").exists() && !folder.path().join("PMC1.1/PMC1.1.xml.part").exists()
    );

    for endpoint in ["ftp://a.example", "no address"] {
        let bad = FetchConfig { endpoint: endpoint.to_owned(), ..config(&server, folder.path(), &[]) };
        assert!(matches!(run(&bad), Err(FetchError::Address { .. })), "{endpoint}");
    }
    let elsewhere =
        FetchConfig { endpoint: format!("{}/none", server.endpoint), tries: 1, ..config(&server, folder.path(), &[]) };
    assert!(matches!(run(&elsewhere), Err(FetchError::Listing { .. })));
}
