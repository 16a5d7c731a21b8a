//! The bucket: objects, parts of objects, and pages of keys, at a polite rate.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use futures::StreamExt;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::{ClientOptions, HttpClient, HttpConnector};
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::{BackoffConfig, GetOptions, GetRange, GetResult, ObjectStore, RetryConfig, path};
use reqwest::{Client, Url};
use tokio::time::MissedTickBehavior;

use super::FetchError;

/// Larger than any metadata; articles go to a file.
const SMALL_BYTES: u64 = 8 << 20;
/// Longer than this nobody is made to wait.
const LONGEST_WAIT: Duration = Duration::from_mins(2);

/// What asking for an object came to.
pub(super) enum Got {
    Bytes(Vec<u8>),
    Absent,
    Failed(String),
}

pub(super) struct Bucket {
    store: AmazonS3,
    rate: Option<tokio::time::Interval>,
    tries: u32,
}

/// Gives the store a client that goes nowhere else.
#[derive(Debug)]
struct Given(Client);

impl HttpConnector for Given {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}

impl Bucket {
    pub fn new(endpoint: &str, interval: Duration, tries: u32, wait: Duration) -> Result<Self, FetchError> {
        let refuse = |problem: String| FetchError::Address { address: endpoint.to_owned(), problem };
        let address = Url::parse(endpoint).map_err(|error| refuse(error.to_string()))?;
        if !matches!(address.scheme(), "http" | "https") || address.cannot_be_a_base() {
            return Err(refuse("is neither http nor https".to_owned()));
        }
        let client = client(&address).map_err(|error| refuse(error.to_string()))?;
        let tries = tries.max(1);
        let backoff = BackoffConfig {
            // It draws from a range that must not be empty.
            init_backoff: wait.max(Duration::from_millis(1)),
            max_backoff: LONGEST_WAIT,
            base: 2.0,
        };
        let retry =
            RetryConfig { backoff, max_retries: tries as usize - 1, retry_timeout: LONGEST_WAIT.saturating_mul(tries) };
        let store = AmazonS3Builder::new()
            // The address is the bucket's own; its name is asked for and appears nowhere.
            .with_bucket_name("pmc")
            .with_virtual_hosted_style_request(true)
            .with_endpoint(endpoint.trim_end_matches('/'))
            .with_allow_http(true)
            .with_skip_signature(true)
            .with_retry(retry)
            .with_http_connector(Given(client))
            .build()
            .map_err(|error| refuse(error.to_string()))?;
        let rate = (!interval.is_zero()).then(|| {
            let mut rate = tokio::time::interval(interval);
            rate.set_missed_tick_behavior(MissedTickBehavior::Delay);
            rate
        });
        Ok(Self { store, rate, tries })
    }

    async fn ask(&mut self, key: &str, options: GetOptions) -> Result<GetResult, Got> {
        if let Some(rate) = &mut self.rate {
            rate.tick().await;
        }
        let key = path::Path::parse(key).map_err(|error| Got::Failed(error.to_string()))?;
        self.store.get_opts(&key, options).await.map_err(|error| match error {
            object_store::Error::NotFound { .. } => Got::Absent,
            error => Got::Failed(reason(&error)),
        })
    }

    /// A small object.
    pub async fn get(&mut self, key: &str) -> Got {
        let mut problem = String::new();
        // What breaks off in the middle: the store asks again only where the bucket tags its objects.
        for _ in 0..self.tries {
            let found = match self.ask(key, GetOptions::default()).await {
                Ok(found) => found,
                Err(got) => return got,
            };
            if found.meta.size > SMALL_BYTES {
                return Got::Failed(format!("more than {} MiB", SMALL_BYTES >> 20));
            }
            match found.bytes().await {
                Ok(bytes) => return Got::Bytes(bytes.into()),
                Err(error) => problem = reason(&error),
            }
        }
        Got::Failed(problem)
    }

    /// An object into a file that may hold its beginning already: the bytes fetched, and the object's tag.
    ///
    /// # Errors
    /// When the file cannot be written. The inner error says what the bucket answered.
    pub async fn get_into(&mut self, key: &str, path: &Path) -> Result<Result<(u64, Option<String>), Got>, FetchError> {
        let (mut fetched, mut problem) = (0, String::new());
        for _ in 0..self.tries {
            let mut here = fs_err::metadata(path).map_or(0, |metadata| metadata.len());
            let mut options = GetOptions::default();
            if here > 0 {
                let whole = match self.ask(key, GetOptions::new().with_head(true)).await {
                    Ok(found) => found.meta,
                    Err(got) => return Ok(Err(got)),
                };
                if whole.size == here {
                    return Ok(Ok((fetched, whole.e_tag.map(plain))));
                }
                if here < whole.size {
                    options = options.with_range(Some(GetRange::Offset(here))).with_if_match(whole.e_tag);
                } else {
                    here = 0;
                }
            }
            let found = match self.ask(key, options).await {
                Ok(found) => found,
                Err(got) => return Ok(Err(got)),
            };
            let tag = found.meta.e_tag.clone().map(plain);
            let mut file = if here > 0 {
                fs_err::OpenOptions::new().append(true).open(path)?
            } else {
                fs_err::File::create(path)?
            };
            let mut parts = found.into_stream();
            loop {
                match parts.next().await {
                    Some(Ok(bytes)) => {
                        file.write_all(&bytes)?;
                        fetched += bytes.len() as u64;
                    }
                    Some(Err(error)) => {
                        problem = reason(&error);
                        break;
                    }
                    None => return Ok(Ok((fetched, tag))),
                }
            }
        }
        Ok(Err(Got::Failed(problem)))
    }

    /// A page of keys that begin with `prefix`, those behind `after`, in order; empty at the end.
    pub async fn list(&mut self, prefix: &str, after: &str) -> Result<Vec<String>, FetchError> {
        if let Some(rate) = &mut self.rate {
            rate.tick().await;
        }
        // Where a run begins anew is a key, so keys serve as well as the bucket's own tokens, which expire.
        let offset = (!after.is_empty()).then(|| after.to_owned());
        let page = self.store.list_paginated(Some(prefix), PaginatedListOptions { offset, ..Default::default() }).await;
        match page {
            Ok(page) => Ok(page.result.objects.into_iter().map(|object| object.location.to_string()).collect()),
            Err(error) => {
                let mut problem = reason(&error);
                // Of a listing the store keeps the status in words only.
                if problem.contains("404 Not Found") {
                    "there is no such bucket".clone_into(&mut problem);
                }
                Err(FetchError::Listing { after: after.to_owned(), problem })
            }
        }
    }
}

fn client(address: &Url) -> reqwest::Result<Client> {
    // Another provider may have been installed by the program: any serves.
    rustls::crypto::ring::default_provider().install_default().ok();
    let mut builder = Client::builder()
        .user_agent(concat!("asclepius/", env!("CARGO_PKG_VERSION")))
        // A bucket that sends elsewhere is not the bucket.
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(30))
        .read_timeout(Duration::from_mins(1));
    if is_loopback(address) {
        builder = builder.no_proxy();
    }
    if address.scheme() == "http" {
        // Without TLS there is no need for the system's certificates, nor for there to be any.
        builder = builder.tls_certs_only([]);
    }
    builder.build()
}

/// A tag without its quotes.
fn plain(tag: String) -> String {
    tag.trim_matches('"').to_owned()
}

fn is_loopback(address: &Url) -> bool {
    let Some(host) = address.host_str() else { return false };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

fn reason(error: &object_store::Error) -> String {
    // The innermost cause says what happened; the outer ones repeat the address.
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string().trim_end_matches([':', ' ']).to_owned()
}
