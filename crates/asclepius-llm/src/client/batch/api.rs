//! The endpoints behind the Batch API: files up and down as streams, batches begun, found and looked at.
//!
//! async-openai has them too, but holds whole files in memory; these have up to 200 MB.

use std::io::Write;
use std::time::Duration;

use fs_err::File;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::multipart::{Form, Part};
use reqwest::{Body, Method, RequestBuilder, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::transport::{Failure, failure, read};

/// What requests in a batch file name as their path, and the batch as its endpoint, wherever the API itself lies.
pub(super) const PATH: &str = "/v1/chat/completions";

/// A file gets its request's timeout and as long as this many bytes a second take.
const SLOWEST_BYTES_PER_SECOND: u64 = 50_000;

/// Batches a page when they are listed: the most there may be.
const PAGE: &str = "100";

/// The files and batches of one account.
#[derive(Debug, Clone)]
pub(super) struct Api {
    http: reqwest::Client,
    authorization: Option<HeaderValue>,
    base: Url,
    timeout: Duration,
}

/// Why something did not come about.
#[derive(Debug)]
pub(super) enum Broken {
    /// At the endpoint, or on the way to it.
    There(Failure),
    /// On this machine's disk.
    Here(std::io::Error),
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self::There(failure)
    }
}

/// A batch as the endpoint describes it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Batch {
    pub id: String,
    pub status: String,
    #[serde(default)]
    pub input_file_id: Option<String>,
    #[serde(default)]
    pub output_file_id: Option<String>,
    #[serde(default)]
    pub error_file_id: Option<String>,
    #[serde(default)]
    errors: Option<Errors>,
}

#[derive(Debug, Clone, Deserialize)]
struct Errors {
    #[serde(default)]
    data: Vec<BatchError>,
}

#[derive(Debug, Clone, Deserialize)]
struct BatchError {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    line: Option<u64>,
}

/// What OpenAI calls it when more tokens are queued than the account may.
pub(super) const TOO_MUCH: &str = "token_limit_exceeded";

impl Batch {
    /// Whether nothing more will come of it.
    pub fn is_over(&self) -> bool {
        matches!(self.status.as_str(), "failed" | "completed" | "expired" | "cancelled")
    }

    fn errors(&self) -> &[BatchError] {
        self.errors.as_ref().map_or(&[], |errors| &errors.data)
    }

    /// Whether it failed because too much was queued.
    pub fn was_too_much(&self) -> bool {
        self.errors().iter().any(|error| error.code.as_deref() == Some(TOO_MUCH))
    }

    /// Why it failed; never what was asked: words about a single line may quote it and are left out.
    pub fn problem(&self) -> String {
        let words = self.errors().iter().take(3).map(|error| {
            let code = error.code.as_deref().unwrap_or("error");
            match (error.line, &error.message) {
                (Some(line), _) => format!("{code} in line {line} of its file"),
                (None, Some(message)) => format!("{code}: {}", message.chars().take(300).collect::<String>()),
                (None, None) => code.to_owned(),
            }
        });
        let words: Vec<String> = words.collect();
        if words.is_empty() { "no details given".to_owned() } else { words.join("; ") }
    }
}

#[derive(Deserialize)]
struct Uploaded {
    id: String,
    #[serde(default)]
    bytes: Option<u64>,
}

#[derive(Deserialize)]
struct Page {
    data: Vec<Batch>,
    #[serde(default)]
    has_more: bool,
}

impl Api {
    pub fn new(http: reqwest::Client, authorization: Option<HeaderValue>, base: Url, timeout: Duration) -> Self {
        Self { http, authorization, base, timeout }
    }

    /// Sends a file of requests; gives its id.
    pub async fn upload(&self, path: &std::path::Path, name: &str) -> Result<String, Broken> {
        let file = File::open(path).map_err(Broken::Here)?;
        let length = file.metadata().map_err(Broken::Here)?.len();
        let (file, _) = file.into_parts();
        let part = Part::stream_with_length(Body::from(tokio::fs::File::from_std(file)), length);
        let form = Form::new().text("purpose", "batch").part("file", part.file_name(format!("{name}.jsonl")));
        let longest = self.timeout + Duration::from_secs(length / SLOWEST_BYTES_PER_SECOND);
        let uploaded: Uploaded = self.json(self.request(Method::POST, &["files"]).multipart(form), longest).await?;
        match uploaded.bytes {
            Some(bytes) if bytes != length => {
                Err(Failure::Lost(format!("{bytes} of {length} bytes of a file of requests arrived")).into())
            }
            _ => Ok(uploaded.id),
        }
    }

    /// Begins a batch over an uploaded file.
    pub async fn create(&self, file_id: &str, name: &str) -> Result<Batch, Broken> {
        let body = json!({
            "input_file_id": file_id, "endpoint": PATH, "completion_window": "24h", "metadata": {"asclepius": name},
        });
        self.json(self.request(Method::POST, &["batches"]).json(&body), self.timeout).await
    }

    /// The batch over this file, if one was begun.
    pub async fn find(&self, file_id: &str) -> Result<Option<Batch>, Broken> {
        let mut after: Option<String> = None;
        loop {
            let mut request = self.request(Method::GET, &["batches"]).query(&[("limit", PAGE)]);
            if let Some(after) = &after {
                request = request.query(&[("after", after)]);
            }
            let page: Page = self.json(request, self.timeout).await?;
            let last = page.data.last().map(|batch| batch.id.clone());
            let found = page.data.into_iter().find(|batch| batch.input_file_id.as_deref() == Some(file_id));
            // A list that repeats itself must not be read for ever.
            if found.is_some() || !page.has_more || last.is_none() || last == after {
                return Ok(found);
            }
            after = last;
        }
    }

    /// How a batch stands.
    pub async fn retrieve(&self, batch_id: &str) -> Result<Batch, Broken> {
        self.json(self.request(Method::GET, &["batches", batch_id]), self.timeout).await
    }

    /// Writes a file's content to `to`. The timeout is each chunk's: a file may take its time, a stall may not.
    pub async fn download(&self, file_id: &str, to: &mut impl Write) -> Result<(), Broken> {
        let late = |_| Failure::Lost(format!("nothing came of a file within {:?}", self.timeout));
        let request = self.request(Method::GET, &["files", file_id, "content"]);
        let response = tokio::time::timeout(self.timeout, request.send()).await.map_err(late)?.map_err(failure)?;
        if !response.status().is_success() {
            // The body is only read for what is wrong.
            tokio::time::timeout(self.timeout, read(response)).await.map_err(late)??;
            return Err(Failure::Lost("a file that came with neither success nor an error".to_owned()).into());
        }
        let mut response = response;
        while let Some(chunk) =
            tokio::time::timeout(self.timeout, response.chunk()).await.map_err(late)?.map_err(failure)?
        {
            to.write_all(&chunk).map_err(Broken::Here)?;
        }
        to.flush().map_err(Broken::Here)
    }

    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        let request = self.http.request(method, url);
        match &self.authorization {
            Some(value) => request.header(AUTHORIZATION, value.clone()),
            None => request,
        }
    }

    async fn json<T: DeserializeOwned>(&self, request: RequestBuilder, longest: Duration) -> Result<T, Broken> {
        let exchange = async { read(request.send().await.map_err(failure)?).await };
        let late = |_| Failure::Lost(format!("no whole response within {longest:?}"));
        let body = tokio::time::timeout(longest, exchange).await.map_err(late)??;
        serde_json::from_slice(&body).map_err(|error| {
            let place = format!("line {}, column {}", error.line(), error.column());
            Failure::Lost(format!("a response that is not what the Batch API answers ({place})")).into()
        })
    }
}
