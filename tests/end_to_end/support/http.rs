//! A client on the standard library alone, that sends whatever it is told and can leave in the middle of an answer.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use super::binary::{Running, TOO_LONG};

/// A server on loopback.
#[derive(Debug, Clone)]
pub struct Server {
    address: String,
}

/// What came back.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    /// Lower case.
    pub head: String,
    pub body: String,
}

impl Response {
    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Data of the events of a stream.
    pub fn events(&self) -> Vec<&str> {
        self.body.split("\n\n").filter_map(|event| event.strip_prefix("data: ")).collect()
    }
}

impl Server {
    /// The one whose start this process announces on stderr.
    #[track_caller]
    pub fn of(running: &mut Running) -> Self {
        let line = running.wait_for("http://");
        let (_, rest) = line.split_once("http://").expect("it was waited for");
        Self { address: rest.split('/').next().unwrap_or_default().to_owned() }
    }

    /// Sends a request; HTTP/1.0, so that a stream comes without chunks. `headers` are whole lines.
    pub fn send(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> BufReader<TcpStream> {
        let mut stream = TcpStream::connect(&self.address).expect("the server listens");
        stream.set_read_timeout(Some(TOO_LONG)).expect("a sound timeout");
        let host = if headers.to_ascii_lowercase().contains("host:") { "" } else { "host: localhost\r\n" };
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.0\r\n{host}{headers}content-length: {length}\r\n\r\n");
        // Who turns a request away early may not read all of it.
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        BufReader::new(stream)
    }

    /// Sends a request and reads the whole answer.
    #[track_caller]
    pub fn exchange(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Response {
        rest(self.send(method, path, headers, body), Vec::new())
    }

    /// `GET`
    #[track_caller]
    pub fn get(&self, path: &str) -> Response {
        self.exchange("GET", path, "", b"")
    }

    /// `POST` of JSON.
    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Response {
        self.exchange("POST", path, "content-type: application/json\r\n", body.to_string().as_bytes())
    }

    /// Asks for a stream and reads up to its first event; the connection is still open. The answer of a server that begins
    /// none.
    #[track_caller]
    pub fn begin_stream(&self, path: &str, body: &Value) -> Result<BufReader<TcpStream>, Response> {
        let mut reader = self.send("POST", path, "", body.to_string().as_bytes());
        let mut read = Vec::new();
        loop {
            let begin = read.len();
            let more = reader.read_until(b'\n', &mut read).expect("the stream begins");
            if read[begin..].starts_with(b"data: ") {
                return Ok(reader);
            }
            if more == 0 || begin == 0 && !read.starts_with(b"HTTP/1.0 200") {
                return Err(rest(reader, read));
            }
        }
    }
}

#[track_caller]
fn rest(mut reader: BufReader<TcpStream>, mut read: Vec<u8>) -> Response {
    let _ = reader.read_to_end(&mut read); // a server may reset after an early answer
    let text = String::from_utf8(read).expect("UTF-8");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {text:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line");
    Response { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}
