//! A chat API of the least cost: answers every POST after a fixed time. Runs in a process of its own, so that what the
//! client costs can be told from what the server costs.
//!
//!     mock_endpoint LATENCY_MS [REPLY_BYTES]
//!
//! Prints the base URL, then serves until it is killed.

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
    let response: Arc<[u8]> = Arc::from((head + &body).into_bytes());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.bind("127.0.0.1:0".parse()?)?;
        // A thousand connections come at once.
        let listener: TcpListener = socket.listen(4096)?;
        writeln!(std::io::stdout(), "http://{}/v1", listener.local_addr()?)?;
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(serve(stream, latency, response.clone()));
        }
    })
}

async fn serve(mut stream: TcpStream, latency: Duration, response: Arc<[u8]>) -> std::io::Result<()> {
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
        tokio::time::sleep(latency).await;
        stream.write_all(&response).await?;
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
