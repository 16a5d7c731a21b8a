//! The bucket over HTTP: objects, parts of objects, and lists of keys, at a polite rate.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use quick_xml::Reader;
use quick_xml::events::Event;
use reqwest::header::{CONTENT_RANGE, ETAG, IF_RANGE, RANGE, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url};
use tokio::time::{Instant, MissedTickBehavior};

use super::FetchError;

/// Larger than any metadata or page of a listing; articles go to a file.
const SMALL_BYTES: usize = 8 << 20;
/// Longer than this nobody is made to wait.
const LONGEST_WAIT: Duration = Duration::from_mins(2);

/// What asking for an object came to.
pub(super) enum Got {
    Bytes(Vec<u8>),
    Absent,
    Failed(String),
}

pub(super) struct Bucket {
    client: Client,
    address: Url,
    rate: Option<tokio::time::Interval>,
    tries: u32,
    wait: Duration,
}

/// Whether asking again may help.
enum Failure {
    Passing(String, Option<Duration>),
    Lasting(Got),
}

impl Bucket {
    pub fn new(endpoint: &str, interval: Duration, tries: u32, wait: Duration) -> Result<Self, FetchError> {
        let refuse = |problem: String| FetchError::Address { address: endpoint.to_owned(), problem };
        let address =
            Url::parse(&format!("{}/", endpoint.trim_end_matches('/'))).map_err(|error| refuse(error.to_string()))?;
        if !matches!(address.scheme(), "http" | "https") || address.cannot_be_a_base() {
            return Err(refuse("is neither http nor https".to_owned()));
        }
        // Another provider may have been installed by the program: any serves.
        rustls::crypto::ring::default_provider().install_default().ok();
        let mut builder = Client::builder()
            .user_agent(concat!("asclepius/", env!("CARGO_PKG_VERSION")))
            // A bucket that sends elsewhere is not the bucket.
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(30))
            .read_timeout(Duration::from_mins(1));
        if is_loopback(&address) {
            builder = builder.no_proxy();
        }
        if address.scheme() == "http" {
            // Without TLS there is no need for the system's certificates, nor for there to be any.
            builder = builder.tls_certs_only([]);
        }
        let client = builder.build().map_err(|error| refuse(error.to_string()))?;
        let rate = (!interval.is_zero()).then(|| {
            let mut rate = tokio::time::interval(interval);
            rate.set_missed_tick_behavior(MissedTickBehavior::Delay);
            rate
        });
        Ok(Self { client, address, rate, tries: tries.max(1), wait })
    }

    /// One request, answered with success; `from` asks for what lies behind so many bytes.
    async fn ask(&mut self, url: &Url, from: u64, tag: Option<&str>) -> Result<Response, Failure> {
        if let Some(rate) = &mut self.rate {
            rate.tick().await;
        }
        let mut request = self.client.get(url.clone());
        if from > 0 {
            request = request.header(RANGE, format!("bytes={from}-"));
            if let Some(tag) = tag {
                request = request.header(IF_RANGE, format!("\"{tag}\""));
            }
        }
        let response = request.send().await.map_err(|error| Failure::Passing(reason(&error), None))?;
        let status = response.status();
        match status {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => Ok(response),
            StatusCode::NOT_FOUND | StatusCode::GONE => Err(Failure::Lasting(Got::Absent)),
            // Nothing lies behind what is there already.
            StatusCode::RANGE_NOT_SATISFIABLE if from > 0 => Err(Failure::Lasting(Got::Bytes(Vec::new()))),
            _ if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                let after = response.headers().get(RETRY_AFTER).and_then(|after| after.to_str().ok()?.parse().ok());
                Err(Failure::Passing(format!("status {status}"), after.map(Duration::from_secs)))
            }
            _ => Err(Failure::Lasting(Got::Failed(format!("status {status}")))),
        }
    }

    /// Waits before the next try; false when there is none.
    async fn again(&self, attempt: u32, asked: Option<Duration>) -> bool {
        if attempt + 1 >= self.tries {
            return false;
        }
        let own = self.wait.saturating_mul(1 << attempt.min(10));
        let wait = asked.unwrap_or(own).min(LONGEST_WAIT);
        if !wait.is_zero() {
            tokio::time::sleep_until(Instant::now() + wait).await;
        }
        true
    }

    async fn small(&mut self, url: &Url) -> Got {
        for attempt in 0.. {
            let (problem, after) = match self.ask(url, 0, None).await {
                Ok(response) => match collect(response).await {
                    Ok(bytes) => return Got::Bytes(bytes),
                    Err(problem) => (problem, None),
                },
                Err(Failure::Lasting(got)) => return got,
                Err(Failure::Passing(problem, after)) => (problem, after),
            };
            if !self.again(attempt, after).await {
                return Got::Failed(problem);
            }
        }
        Got::Failed("never asked".to_owned())
    }

    fn url(&self, key: &str) -> Url {
        let mut url = self.address.clone();
        url.set_path(&format!("{}{key}", self.address.path()));
        url
    }

    /// A small object.
    pub async fn get(&mut self, key: &str) -> Got {
        self.small(&self.url(key)).await
    }

    /// An object into a file that may hold its beginning already: the bytes fetched, and the object's tag.
    ///
    /// # Errors
    /// When the file cannot be written. The inner error says what the bucket answered.
    pub async fn get_into(&mut self, key: &str, path: &Path) -> Result<Result<(u64, Option<String>), Got>, FetchError> {
        let url = self.url(key);
        let (mut fetched, mut tag) = (0, None);
        for attempt in 0.. {
            let here = fs_err::metadata(path).map_or(0, |metadata| metadata.len());
            let (problem, after) = match self.ask(&url, here, tag.as_deref()).await {
                Ok(mut response) => {
                    let goes_on = response.status() == StatusCode::PARTIAL_CONTENT && here > 0;
                    if goes_on && !begins_at(&response, here) {
                        return Ok(Err(Got::Failed("another part than was asked for".to_owned())));
                    }
                    tag = response
                        .headers()
                        .get(ETAG)
                        .and_then(|tag| Some(tag.to_str().ok()?.trim_matches('"').to_owned()));
                    let mut file = if goes_on {
                        fs_err::OpenOptions::new().append(true).open(path)?
                    } else {
                        fs_err::File::create(path)?
                    };
                    let ended = loop {
                        match response.chunk().await {
                            Ok(Some(bytes)) => {
                                file.write_all(&bytes)?;
                                fetched += bytes.len() as u64;
                            }
                            Ok(None) => break None,
                            Err(error) => break Some(reason(&error)),
                        }
                    };
                    match ended {
                        None => return Ok(Ok((fetched, tag))),
                        Some(problem) => (problem, None),
                    }
                }
                Err(Failure::Lasting(Got::Bytes(_))) => return Ok(Ok((fetched, tag))),
                Err(Failure::Lasting(got)) => return Ok(Err(got)),
                Err(Failure::Passing(problem, after)) => (problem, after),
            };
            if !self.again(attempt, after).await {
                return Ok(Err(Got::Failed(problem)));
            }
        }
        Ok(Err(Got::Failed("never asked".to_owned())))
    }

    /// A page of keys that begin with `prefix`, those behind `after`, in order; empty at the end.
    pub async fn list(&mut self, prefix: &str, after: &str) -> Result<Vec<String>, FetchError> {
        let refuse = |problem: String| FetchError::Listing { after: after.to_owned(), problem };
        let mut url = self.address.clone();
        url.query_pairs_mut().append_pair("list-type", "2").append_pair("prefix", prefix);
        if !after.is_empty() {
            // Where a run begins anew is a key, so keys serve as well as the bucket's own tokens, which expire.
            url.query_pairs_mut().append_pair("start-after", after);
        }
        match self.small(&url).await {
            Got::Bytes(bytes) => keys(&bytes).map_err(refuse),
            Got::Absent => Err(refuse("there is no such bucket".to_owned())),
            Got::Failed(problem) => Err(refuse(problem)),
        }
    }
}

fn is_loopback(address: &Url) -> bool {
    let Some(host) = address.host_str() else { return false };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

fn reason(error: &reqwest::Error) -> String {
    // The innermost cause says what happened; the outer ones repeat the address.
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

fn begins_at(response: &Response, place: u64) -> bool {
    let range = response.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
    range.is_some_and(|range| range.starts_with(&format!("bytes {place}-")))
}

async fn collect(mut response: Response) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| reason(&error))? {
        if bytes.len() + chunk.len() > SMALL_BYTES {
            return Err(format!("more than {} MiB", SMALL_BYTES >> 20));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// The `<Key>`s of a `ListBucketResult`.
fn keys(bytes: &[u8]) -> Result<Vec<String>, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let mut reader = Reader::from_str(text);
    let (mut found, mut inside, mut listing) = (Vec::new(), None, false);
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(start) => match start.local_name().into_inner() {
                "ListBucketResult" => listing = true,
                "Key" => inside = Some(String::new()),
                _ => {}
            },
            Event::Text(text) => {
                if let Some(key) = &mut inside {
                    key.push_str(&text.into_inner());
                }
            }
            Event::End(end) if end.local_name().into_inner() == "Key" => found.extend(inside.take()),
            Event::Empty(start) if start.local_name().into_inner() == "ListBucketResult" => listing = true,
            Event::Eof => break,
            _ => {}
        }
    }
    if listing { Ok(found) } else { Err("the answer is no listing".to_owned()) }
}
