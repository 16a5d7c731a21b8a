//! Real HTTP through async-openai, on a service of our own.
//!
//! async-openai's own service retries three times by itself, follows redirects and proxies, reads bodies of any
//! length, and logs the ones it cannot parse. Here a response is read once, bounded, parsed and classified before
//! async-openai sees it, and what it says is left where the caller finds it: so there is one retry layer (ours), headers
//! are seen, a body is parsed once, and no text reaches a log.

use std::cell::RefCell;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Once;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use async_openai::config::OpenAIConfig;
use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use reqwest::header::{AUTHORIZATION, DATE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Response, Url};

use crate::LlmError;
use crate::limits::{Allowance, Level};
use crate::retry::retry_after;
use crate::wire::{ChatResponse, Problem, RequestBody};

/// A response longer than this is no chat completion.
pub(crate) const MAX_BODY_BYTES: usize = 16 << 20;

tokio::task_local! {
    /// What the service leaves for the call that it works for: both run in the same task.
    static SEEN: RefCell<Seen>;
}

/// What came back, beside what async-openai makes of it.
#[derive(Debug, Default)]
struct Seen {
    response: Option<ChatResponse>,
    allowance: Allowance,
}

/// Why one attempt brought no response to judge.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// No connection: nothing was sent.
    #[error("{0}")]
    Connect(String),
    /// Sent, but no whole, sound response came back; it may have been worked on, and be billed.
    #[error("{0}")]
    Lost(String),
    /// An answer with an error status.
    #[error("HTTP {status}")]
    Status { status: u16, problem: Problem, retry_after: Option<Duration> },
    /// An answer that sends us elsewhere.
    #[error("redirect to {0:?}")]
    Redirect(String),
}

/// The connection to one endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Transport {
    client: async_openai::Client<OpenAIConfig>,
    service: Service,
    base_url: Url,
    timeout: Duration,
}

impl Transport {
    pub fn new(base_url: &Url, api_key: Option<&str>, timeout: Duration) -> Result<Self, LlmError> {
        let failed = |problem: String| LlmError::Prepare { endpoint: base_url.to_string(), problem };
        install_tls_provider();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("asclepius/", env!("CARGO_PKG_VERSION")))
            .retry(reqwest::retry::never())
            .redirect(reqwest::redirect::Policy::none());
        if is_loopback(base_url) {
            builder = builder.no_proxy();
        }
        if base_url.scheme() == "http" {
            // Without TLS there is no need for the system's certificates, nor for there to be any.
            builder = builder.tls_certs_only([]);
        }
        let http = builder.build().map_err(|error| failed(causes(&error)))?;
        let authorization = match api_key {
            None => None,
            Some(key) => {
                let mut value = HeaderValue::from_str(&format!("Bearer {key}"))
                    .map_err(|_| failed("the API key cannot be sent as a header".to_owned()))?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        // Every field is set, so that nothing of async-openai's environment variables remains; the key goes in below.
        let config = OpenAIConfig::new()
            .with_api_base(base_url.as_str().trim_end_matches('/'))
            .with_api_key("")
            .with_org_id("")
            .with_project_id("");
        let service = Service { http: http.clone(), authorization };
        let client = async_openai::Client::build(http, config).with_http_service(service.clone());
        Ok(Self { client, service, base_url: base_url.clone(), timeout })
    }

    /// The connection itself.
    pub fn http(&self) -> reqwest::Client {
        self.service.http.clone()
    }

    /// What every request carries as its `authorization`.
    pub fn authorization(&self) -> Option<HeaderValue> {
        self.service.authorization.clone()
    }

    pub fn base_url(&self) -> Url {
        self.base_url.clone()
    }

    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Sends one request, once. The timeout's clock starts here, not when the call began to wait for its turn. Beside
    /// the result stands what the response's headers said of limits.
    pub async fn send(&self, body: &RequestBody<'_>) -> (Result<ChatResponse, Failure>, Allowance) {
        let exchange = async {
            let chat = self.client.chat();
            let ended = tokio::time::timeout(self.timeout, chat.create_byot::<_, ()>(body)).await;
            let seen = SEEN.with(RefCell::take);
            let result = match ended {
                Ok(Ok(())) => seen.response.ok_or_else(|| Failure::Lost("no response was seen".to_owned())),
                Ok(Err(OpenAIError::Boxed(error))) => match error.downcast::<Failure>() {
                    Ok(failure) => Err(*failure),
                    Err(error) => Err(Failure::Lost(error.to_string())),
                },
                Ok(Err(error)) => Err(Failure::Lost(error.to_string())),
                Err(_) => Err(Failure::Lost(format!("no whole response within {:?}", self.timeout))),
            };
            (result, seen.allowance)
        };
        SEEN.scope(RefCell::default(), exchange).await
    }
}

/// What async-openai sends its requests through.
#[derive(Debug, Clone)]
struct Service {
    http: reqwest::Client,
    authorization: Option<HeaderValue>,
}

impl tower::Service<HttpRequestFactory> for Service {
    type Response = Response;
    type Error = OpenAIError;
    type Future = Pin<Box<dyn Future<Output = Result<Response, OpenAIError>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), OpenAIError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, factory: HttpRequestFactory) -> Self::Future {
        let Self { http, authorization } = self.clone();
        Box::pin(async move {
            let mut request = factory.build().await?;
            match authorization {
                Some(value) => request.headers_mut().insert(AUTHORIZATION, value),
                None => request.headers_mut().remove(AUTHORIZATION),
            };
            exchange(&http, request).await.map_err(|failure| OpenAIError::Boxed(Box::new(failure)))
        })
    }
}

/// What an error of the connection means.
pub(crate) fn failure(error: reqwest::Error) -> Failure {
    let connect = error.is_connect();
    let words = causes(&error.without_url());
    if connect { Failure::Connect(words) } else { Failure::Lost(words) }
}

/// The body of a successful response, bounded; every other response as the failure it is.
pub(crate) async fn read(mut response: Response) -> Result<Vec<u8>, Failure> {
    let status = response.status();
    let mut body =
        Vec::with_capacity(response.content_length().map_or(0, |length| length as usize).min(MAX_BODY_BYTES));
    while let Some(chunk) = response.chunk().await.map_err(failure)? {
        if body.len() + chunk.len() > MAX_BODY_BYTES {
            return Err(Failure::Lost(format!("a response of more than {MAX_BODY_BYTES} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    if status.is_redirection() {
        return Err(Failure::Redirect(header(response.headers(), LOCATION.as_str()).unwrap_or_default().to_owned()));
    }
    if !status.is_success() {
        let headers = response.headers();
        let value = |name| header(headers, name);
        let (milliseconds, text, dated) = (value("retry-after-ms"), value(RETRY_AFTER.as_str()), value(DATE.as_str()));
        let pause = retry_after(milliseconds, text, dated, SystemTime::now());
        return Err(Failure::Status { status: status.as_u16(), problem: Problem::read(&body), retry_after: pause });
    }
    Ok(body)
}

async fn exchange(http: &reqwest::Client, request: reqwest::Request) -> Result<Response, Failure> {
    let response = http.execute(request).await.map_err(failure)?;
    let status = response.status();
    SEEN.with(|seen| seen.borrow_mut().allowance = allowance(response.headers()));
    let body = read(response).await?;
    match serde_json::from_slice::<ChatResponse>(&body) {
        Ok(read) => SEEN.with(|seen| seen.borrow_mut().response = Some(read)),
        Err(error) => {
            // The error's own words may quote the body; its position does not.
            let place = format!("line {}, column {}", error.line(), error.column());
            return Err(Failure::Lost(format!("HTTP {status}, but the body is no chat completion ({place})")));
        }
    }
    Ok(http::Response::new("null").into())
}

/// What the headers that OpenAI introduced, and others took over, say of limits.
fn allowance(headers: &HeaderMap) -> Allowance {
    let number = |name: &str| header(headers, name)?.trim().parse::<f64>().ok().filter(|number| *number >= 0.0);
    let level = |limit, remaining, reset| Level {
        limit: number(limit),
        remaining: number(remaining),
        reset: header(headers, reset).and_then(span),
    };
    Allowance {
        requests: level("x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
        tokens: level("x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    }
}

/// A span of time as those headers write it: `120ms`, `1m6.5s`, or a bare number of seconds.
fn span(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(rest.len());
        seconds += number
            * match &rest[..letters] {
                "" | "s" => 1.0,
                "ms" => 1e-3,
                "m" => 60.0,
                "h" => 3600.0,
                "d" => 86_400.0,
                _ => return None,
            };
        rest = &rest[letters..];
    }
    Duration::try_from_secs_f64(seconds).ok()
}

fn header<'headers>(headers: &'headers HeaderMap, name: &str) -> Option<&'headers str> {
    headers.get(name)?.to_str().ok()
}

/// An error and what it came from, on one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_words = cause.to_string();
        if !words.ends_with(&cause_words) {
            words = format!("{words}: {cause_words}");
        }
        source = cause.source();
    }
    words
}

fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

fn install_tls_provider() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // An error means that the process has chosen one already, which serves as well.
        rustls::crypto::ring::default_provider().install_default().ok();
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_time_in_headers_are_read_and_nonsense_is_not() {
        let cases = [("120ms", 0.12), ("1m6.5s", 66.5), ("6m0s", 360.0), ("7", 7.0), ("1h2m3s", 3723.0), ("0s", 0.0)];
        for (text, seconds) in cases {
            assert_eq!(span(text), Some(Duration::from_secs_f64(seconds)), "{text}");
        }
        for nonsense in ["soon", "5x", "2026-01-01T00:00:00Z", "ms", "1e400s"] {
            assert_eq!(span(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn loopback_is_told_from_the_rest() {
        let of = |url: &str| is_loopback(&Url::parse(url).expect("a URL"));
        for url in ["http://127.0.0.1:80/v1", "http://localhost/v1", "http://[::1]:9/v1", "http://[::ffff:127.0.0.1]/"]
        {
            assert!(of(url), "{url}");
        }
        for url in ["https://api.example.org/v1", "http://10.0.0.1/", "http://localhost.example.org/"] {
            assert!(!of(url), "{url}");
        }
    }
}
