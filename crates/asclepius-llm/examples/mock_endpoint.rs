//! A chat API of the least cost: answers every POST after a fixed time. Runs in a process of its own, so that what the
//! client costs can be told from what the server costs.
//!
//!     mock_endpoint LATENCY_MS [REPLY_BYTES [faults]]
//!
//! Prints the base URL, then serves until it is killed. With `faults`, of the answers 20 % are a 429 that asks for 0.1 s
//! of patience, 5 % a 503, 2 % never come, 1 % end in a reset, 1 % are no JSON and 1 % are cut off by the token limit.

use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let latency = Duration::from_millis(arguments.next().ok_or("LATENCY_MS is missing")?.parse()?);
    let bytes: usize = arguments.next().map_or(Ok(600), |text| text.parse())?;
    let text = "Chest pain since two days. ".repeat(bytes / 27 + 1);
    let body = format!(
        r#"{{"id":"x","object":"chat.completion","created":0,"model":"mock","choices":[{{"index":0,"message":{{"role":"assistant","content":"{}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":150,"completion_tokens":150,"total_tokens":300}}}}"#,
        &text[..bytes]
    );
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    let cut = body.replace(r#""finish_reason":"stop""#, r#""finish_reason":"length""#);
    let cut = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{cut}", cut.len());
    let answers = Arc::new(Answers {
        latency,
        faults: arguments.next().is_some_and(|word| word == "faults"),
        sound: (head + &body).into_bytes(),
        cut: cut.into_bytes(),
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.bind("127.0.0.1:0".parse()?)?;
        // A thousand connections come at once.
        let listener: TcpListener = socket.listen(4096)?;
        writeln!(std::io::stdout(), "http://{}/v1", listener.local_addr()?)?;
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(serve(stream, answers.clone()));
        }
    })
}

struct Answers {
    latency: Duration,
    faults: bool,
    sound: Vec<u8>,
    cut: Vec<u8>,
}

const TOO_MANY: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 0.1\r\ncontent-length: 2\r\n\r\n{}";
const UNAVAILABLE: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nbusy";
const NO_JSON: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>";

async fn serve(mut stream: TcpStream, answers: Arc<Answers>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(8192);
    loop {
        let length = loop {
            if let Some(length) = request_length(&buffer)
                && buffer.len() >= length
            {
                break length;
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        buffer.drain(..length);
        tokio::time::sleep(answers.latency).await;
        // Every `RandomState` is keyed anew, which is all the chance that faults need.
        let drawn = if answers.faults { RandomState::new().hash_one(0_u8) % 100 } else { 99 };
        let response = match drawn {
            0..20 => TOO_MANY,
            20..25 => UNAVAILABLE,
            25..27 => std::future::pending().await,
            27 => {
                stream.set_zero_linger()?; // closed by a reset
                return Ok(());
            }
            28 => NO_JSON,
            29 => &answers.cut,
            _ => &answers.sound,
        };
        stream.write_all(response).await?;
    }
}

/// Bytes of the first request in `buffer`, once its head is there.
fn request_length(buffer: &[u8]) -> Option<usize> {
    let head = buffer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&buffer[..head]).ok()?;
    let lengths = text.lines().filter_map(|line| line.split_once(':'));
    let length = lengths.filter(|(name, _)| name.eq_ignore_ascii_case("content-length")).map(|(_, value)| value).next();
    Some(head + length.and_then(|length| length.trim().parse().ok()).unwrap_or(0))
}
