//! Requests to the hub: which are tried again, what an answer means, and where the token goes.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::header::{AUTHORIZATION, HeaderValue, LINK, RETRY_AFTER};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Kind, Measured, Repository};

/// Longer than any answer of the hub but a file.
const MOST_BYTES: usize = 64 << 20;
/// Longer than this nobody is made to wait between two tries.
pub(super) const LONGEST_WAIT: Duration = Duration::from_mins(2);
/// For a request that brings or fetches little.
const SHORT: Duration = Duration::from_mins(1);
/// The hub checks every file of a commit before it answers.
const COMMIT: Duration = Duration::from_mins(10);
/// The branch that is read and written.
const BRANCH: &str = "main";
/// Files asked about at a time; the hub refuses more than a thousand.
const FILES_AT_A_TIME: usize = 256;

/// Why a push or a pull did not come about.
#[derive(Debug)]
pub enum Broken {
    /// The hub, or its storage, said no.
    Refused {
        /// What it was asked for.
        what: String,
        /// With which status.
        status: StatusCode,
        /// In its own words.
        words: String,
    },
    /// No answer, or only ones that said "later", after all tries.
    Unreachable {
        /// What was asked for.
        what: String,
        /// The last problem.
        problem: String,
    },
    /// An answer that is none to the question.
    Unreadable {
        /// What was asked for.
        what: String,
        /// What is wrong with the answer.
        problem: String,
    },
    /// A file here cannot be read.
    Here(std::io::Error),
}

impl std::fmt::Display for Broken {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused { what, status, words } if words.is_empty() => write!(formatter, "{what}: status {status}"),
            Self::Refused { what, status, words } => write!(formatter, "{what}: status {status}: {words}"),
            Self::Unreachable { what, problem } | Self::Unreadable { what, problem } => {
                write!(formatter, "{what}: {problem}")
            }
            Self::Here(error) => error.fmt(formatter),
        }
    }
}

impl std::error::Error for Broken {}

impl From<std::io::Error> for Broken {
    fn from(error: std::io::Error) -> Self {
        Self::Here(error)
    }
}

/// How the hub is reached. Not to be printed: it holds the token.
pub struct ApiOptions {
    /// Its address.
    pub endpoint: String,
    /// Who asks; without one only what is public is seen.
    pub token: Option<String>,
    /// How often a request is tried.
    pub tries: u32,
    /// Wait before the second try; it doubles with each.
    pub wait: Duration,
}

/// The hub at one address, as one user.
#[derive(Debug)]
pub struct Api {
    client: Client,
    endpoint: Url,
    authorization: Option<HeaderValue>,
    pub(super) tries: u32,
    pub(super) wait: Duration,
}

/// What the hub says of a repository.
#[derive(Debug, Deserialize)]
pub(super) struct Info {
    /// The last commit; none before the first.
    #[serde(default)]
    pub sha: Option<String>,
    #[serde(default)]
    pub private: bool,
}

/// A file of a repository.
#[derive(Debug, Deserialize)]
pub(super) struct Entry {
    #[serde(rename = "type")]
    kind: String,
    pub path: String,
    #[serde(default)]
    pub size: u64,
    /// Git's name of the content; of the pointer to it where Git LFS keeps it.
    #[serde(default)]
    pub oid: String,
    #[serde(default)]
    pub lfs: Option<LargeEntry>,
}

/// The same where Git LFS keeps it.
#[derive(Debug, Deserialize)]
pub(super) struct LargeEntry {
    /// SHA-256 in hexadecimal.
    pub oid: String,
}

#[derive(Deserialize)]
struct Modes {
    files: Vec<Mode>,
}

/// How a file is to come.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Mode {
    path: String,
    #[serde(rename = "uploadMode")]
    pub manner: String,
    #[serde(default)]
    pub should_ignore: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Committed {
    commit_oid: String,
}

impl Api {
    /// Checks the address; asks for nothing.
    ///
    /// # Errors
    /// Says what is wrong with the address, or with the token.
    pub fn new(options: ApiOptions) -> Result<Self, String> {
        let address = format!("{}/", options.endpoint.trim_end_matches('/'));
        let endpoint = Url::parse(&address).map_err(|error| error.to_string())?;
        let loopback = is_loopback(&endpoint);
        match endpoint.scheme() {
            "https" => {}
            "http" if loopback => {}
            "http" => return Err("over http the token could be read on the way; https is needed".to_owned()),
            _ => return Err("is neither http nor https".to_owned()),
        }
        let authorization = options.token.map(|token| {
            let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
                .map_err(|_| "the token holds characters that no token has".to_owned())?;
            value.set_sensitive(true);
            Ok::<_, String>(value)
        });
        // Another provider may have been installed by the program: any serves.
        rustls::crypto::ring::default_provider().install_default().ok();
        let mut builder = Client::builder()
            .user_agent(concat!("asclepius/", env!("CARGO_PKG_VERSION")))
            .retry(reqwest::retry::never())
            .redirect(Policy::custom(stay))
            .connect_timeout(Duration::from_secs(30));
        if loopback {
            builder = builder.no_proxy();
        }
        if endpoint.scheme() == "http" {
            // Without TLS there is no need for the system's certificates, nor for there to be any.
            builder = builder.tls_certs_only([]);
        }
        Ok(Self {
            client: builder.build().map_err(|error| error.to_string())?,
            endpoint,
            authorization: authorization.transpose()?,
            tries: options.tries.max(1),
            wait: options.wait,
        })
    }

    /// Whether there is a token.
    pub fn is_known(&self) -> bool {
        self.authorization.is_some()
    }

    /// Where people look at a repository.
    pub fn page(&self, repository: &Repository) -> Url {
        self.files(repository, &[])
    }

    /// An address below the hub's.
    fn url<'a>(&self, parts: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = self.endpoint.clone();
        url.path_segments_mut().expect("http addresses have paths").pop_if_empty().extend(parts);
        url
    }

    pub(super) fn api(&self, repository: &Repository, parts: &[&str]) -> Url {
        let kind = match repository.kind {
            Kind::Dataset => "datasets",
            Kind::Model => "models",
        };
        let head = ["api", kind, &repository.namespace, &repository.name];
        self.url(head.into_iter().chain(parts.iter().copied()))
    }

    pub(super) fn files(&self, repository: &Repository, parts: &[&str]) -> Url {
        let head = match repository.kind {
            Kind::Dataset => Some("datasets"),
            Kind::Model => None,
        };
        let id = [repository.namespace.as_str(), &repository.name];
        self.url(head.into_iter().chain(id).chain(parts.iter().copied()))
    }

    /// A request that carries the token where it goes to the hub itself.
    pub(super) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        let own = url.origin() == self.endpoint.origin();
        let request = self.client.request(method, url).timeout(SHORT);
        match &self.authorization {
            Some(token) if own => request.header(AUTHORIZATION, token.clone()),
            _ => request,
        }
    }

    /// A request that carries no token, wherever it goes.
    pub(super) fn bare(&self, method: Method, url: Url) -> RequestBuilder {
        self.client.request(method, url)
    }

    /// An address that the hub gave for its storage.
    pub(super) fn storage(&self, what: &str, address: &str) -> Result<Url, Broken> {
        let broken = |problem: String| Broken::Unreadable { what: what.to_owned(), problem };
        let url = self.endpoint.join(address).map_err(|error| broken(format!("its address is none: {error}")))?;
        match url.scheme() {
            "https" => Ok(url),
            "http" if self.endpoint.scheme() == "http" => Ok(url),
            _ => Err(broken("the hub sends us to an address without TLS".to_owned())),
        }
    }

    /// Asks until there is an answer, at most as often as the options say. `request` makes the request anew each time.
    pub(super) async fn send(
        &self,
        what: &str,
        request: impl AsyncFn() -> Result<RequestBuilder, Broken>,
    ) -> Result<Response, Broken> {
        self.send_for(what, |status| status.is_success(), request).await
    }

    /// The same, where other statuses are answers, too.
    pub(super) async fn send_for(
        &self,
        what: &str,
        is_answer: impl Fn(StatusCode) -> bool,
        request: impl AsyncFn() -> Result<RequestBuilder, Broken>,
    ) -> Result<Response, Broken> {
        let mut wait = self.wait;
        for attempt in 1.. {
            let (problem, asked) = match request().await?.send().await {
                Ok(response) if is_answer(response.status()) => return Ok(response),
                Ok(response) if may_pass(response.status()) => {
                    let after = response.headers().get(RETRY_AFTER).and_then(|after| after.to_str().ok()?.parse().ok());
                    (format!("status {}", response.status()), after.map(Duration::from_secs))
                }
                Ok(response) => return Err(refused(what, response).await),
                Err(error) => (reason(&error), None),
            };
            if attempt >= self.tries {
                return Err(Broken::Unreachable { what: what.to_owned(), problem });
            }
            tracing::info!(what, problem, attempt, "asking again");
            let wait_now = asked.unwrap_or(wait).min(LONGEST_WAIT);
            if !wait_now.is_zero() {
                tokio::time::sleep(wait_now).await;
            }
            wait = wait.saturating_mul(2);
        }
        unreachable!("the last try returns")
    }

    pub(super) async fn json<T: DeserializeOwned>(
        &self,
        what: &str,
        request: impl AsyncFn() -> Result<RequestBuilder, Broken>,
    ) -> Result<T, Broken> {
        let response = self.send(what, request).await?;
        parse(what, &collect(what, response, MOST_BYTES).await?)
    }

    /// What the hub says of a repository; none where there is none, or none that the token may see.
    pub(super) async fn info(&self, repository: &Repository) -> Result<Option<Info>, Broken> {
        let what = format!("looking at {repository}");
        let url = self.api(repository, &[]);
        match self.json(&what, async || Ok::<_, Broken>(self.request(Method::GET, url.clone()))).await {
            Ok(info) => Ok(Some(info)),
            Err(Broken::Refused { status: StatusCode::NOT_FOUND, .. }) => Ok(None),
            // Whoever says nothing of himself is not told whether there is one.
            Err(Broken::Refused { status: StatusCode::UNAUTHORIZED, .. }) if !self.is_known() => Ok(None),
            Err(broken) => Err(broken),
        }
    }

    /// Makes the repository; one that another process made in between is as good.
    pub(super) async fn create(&self, repository: &Repository, public: bool) -> Result<(), Broken> {
        let what = format!("making {repository}");
        let body = json!({
            "name": repository.name, "organization": repository.namespace, "type": repository.kind.name(),
            "private": !public,
        });
        let url = self.url(["api", "repos", "create"]);
        match self.send(&what, async || Ok(self.request(Method::POST, url.clone()).json(&body))).await {
            Ok(_) | Err(Broken::Refused { status: StatusCode::CONFLICT, .. }) => Ok(()),
            Err(broken) => Err(broken),
        }
    }

    /// Every file of a commit, by path.
    pub(super) async fn tree(&self, repository: &Repository, commit: &str) -> Result<BTreeMap<String, Entry>, Broken> {
        let what = format!("listing {repository}");
        let mut url = self.api(repository, &["tree", commit]);
        url.set_query(Some("recursive=true"));
        let mut found = BTreeMap::new();
        loop {
            let response = self.send(&what, async || Ok::<_, Broken>(self.request(Method::GET, url.clone()))).await?;
            let next = next_page(&response);
            let page: Vec<Entry> = parse(&what, &collect(&what, response, MOST_BYTES).await?)?;
            let files = page.into_iter().filter(|entry| entry.kind == "file");
            found.extend(files.map(|entry| (entry.path.clone(), entry)));
            let Some(next) = next else { return Ok(found) };
            let next = self.endpoint.join(&next).ok().filter(|next| next.origin() == url.origin() && *next != url);
            url = next.ok_or_else(|| Broken::Unreadable {
                what: what.clone(),
                problem: "the next page of the list is nowhere".to_owned(),
            })?;
        }
    }

    /// A file's bytes at a commit, of which there are `bytes`.
    pub(super) async fn content(
        &self,
        repository: &Repository,
        commit: &str,
        name: &str,
        bytes: u64,
    ) -> Result<Vec<u8>, Broken> {
        let what = format!("reading {name} of {repository}");
        let parts: Vec<&str> = ["resolve", commit].into_iter().chain(name.split('/')).collect();
        let url = self.files(repository, &parts);
        let response = self.send(&what, async || Ok::<_, Broken>(self.request(Method::GET, url.clone()))).await?;
        collect(&what, response, bytes as usize + 1).await
    }

    /// How each file is to come, in the order of `files`.
    pub(super) async fn modes(&self, repository: &Repository, files: &[&Measured<'_>]) -> Result<Vec<Mode>, Broken> {
        let what = format!("asking how files come to {repository}");
        let url = self.api(repository, &["preupload", BRANCH]);
        let mut modes = Vec::with_capacity(files.len());
        for files in files.chunks(FILES_AT_A_TIME) {
            let asked: Vec<Value> = files
                .iter()
                .map(|file| json!({ "path": file.name(), "size": file.bytes, "sample": BASE64.encode(&file.sample) }))
                .collect();
            let body = json!({ "files": asked });
            let told: Modes =
                self.json(&what, async || Ok(self.request(Method::POST, url.clone()).json(&body))).await?;
            let mut told: BTreeMap<String, Mode> =
                told.files.into_iter().map(|mode| (mode.path.clone(), mode)).collect();
            for file in files {
                modes.push(told.remove(file.name()).ok_or_else(|| Broken::Unreadable {
                    what: what.clone(),
                    problem: format!("nothing is said of {}", file.name()),
                })?);
            }
        }
        Ok(modes)
    }

    /// The address of Git LFS for a repository.
    pub(super) fn large_files(&self, repository: &Repository) -> Url {
        let git = Repository { name: format!("{}.git", repository.name), ..repository.clone() };
        self.files(&git, &["info", "lfs", "objects", "batch"])
    }

    /// Commits `lines`, one JSON value each, on top of `parent`; gives the commit's id. One whose answer was lost may have
    /// taken place: tried again, it is then refused for no longer being on top.
    pub(super) async fn commit(
        &self,
        repository: &Repository,
        summary: &str,
        parent: Option<&str>,
        lines: &[Value],
    ) -> Result<String, Broken> {
        let what = format!("committing to {repository}");
        let mut header = json!({ "summary": summary, "description": "" });
        if let Some(parent) = parent {
            header["parentCommit"] = parent.into();
        }
        let head = json!({ "key": "header", "value": header });
        let lines: Vec<String> = std::iter::once(&head).chain(lines).map(Value::to_string).collect();
        let body = lines.join("\n") + "\n";
        let url = self.api(repository, &["commit", BRANCH]);
        let committed: Committed = self
            .json(&what, async || {
                Ok(self
                    .request(Method::POST, url.clone())
                    .timeout(COMMIT)
                    .header(reqwest::header::CONTENT_TYPE, "application/x-ndjson")
                    .body(body.clone()))
            })
            .await?;
        Ok(committed.commit_oid)
    }
}

/// A file as a commit carries it when Git itself keeps it.
pub(super) fn small_file(name: &str, content: &[u8]) -> Value {
    json!({ "key": "file", "value": { "path": name, "encoding": "base64", "content": BASE64.encode(content) } })
}

/// Follows the hub to another page of its own, and nowhere else: what is asked for carries the token.
fn stay(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let same = attempt.previous().last().is_some_and(|from| from.origin() == attempt.url().origin());
    if same && attempt.previous().len() < 5 { attempt.follow() } else { attempt.stop() }
}

fn is_loopback(url: &Url) -> bool {
    match url.host_str().map(|host| host.trim_matches(['[', ']'])) {
        Some("localhost") => true,
        Some(host) => host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback()),
        None => false,
    }
}

fn may_pass(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
}

/// Why a request came to nothing. Addresses are left out: those of the storage hold what opens it.
pub(super) fn reason(error: &reqwest::Error) -> String {
    let what = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke off"
    };
    let mut cause: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(error);
    while let Some(deeper) = cause.and_then(std::error::Error::source) {
        cause = Some(deeper);
    }
    cause.map_or_else(|| what.to_owned(), |cause| format!("{what} ({cause})"))
}

/// What the hub says when it says no: in a header, or in the body.
async fn refused(what: &str, response: Response) -> Broken {
    let status = response.status();
    let said = response.headers().get("x-error-message").and_then(|words| words.to_str().ok()).map(str::to_owned);
    let words = match said {
        Some(words) => words,
        None => {
            let body = collect(what, response, 1 << 16).await.unwrap_or_default();
            let body: Value = serde_json::from_slice(&body).unwrap_or_default();
            body["error"].as_str().or_else(|| body["message"].as_str()).unwrap_or_default().to_owned()
        }
    };
    let words = words.chars().filter(|letter| !letter.is_control()).take(300).collect();
    Broken::Refused { what: what.to_owned(), status, words }
}

async fn collect(what: &str, mut response: Response, most: usize) -> Result<Vec<u8>, Broken> {
    let mut bytes = Vec::new();
    loop {
        let part = response.chunk().await;
        let part = part.map_err(|error| Broken::Unreachable { what: what.to_owned(), problem: reason(&error) })?;
        let Some(part) = part else { return Ok(bytes) };
        if bytes.len() + part.len() > most {
            let problem = format!("the answer is longer than {most} bytes");
            return Err(Broken::Unreadable { what: what.to_owned(), problem });
        }
        bytes.extend_from_slice(&part);
    }
}

pub(super) fn parse<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T, Broken> {
    serde_json::from_slice(bytes).map_err(|error| Broken::Unreadable {
        what: what.to_owned(),
        problem: format!("not the answer asked for: {error}"),
    })
}

pub(super) async fn read<T: DeserializeOwned>(what: &str, response: Response) -> Result<T, Broken> {
    parse(what, &collect(what, response, MOST_BYTES).await?)
}

/// The address of the next page, as RFC 8288 gives it.
fn next_page(response: &Response) -> Option<String> {
    let links = response.headers().get(LINK)?.to_str().ok()?;
    let next = links.split(',').find(|link| link.contains("rel=\"next\""))?;
    Some(next.split_once('<')?.1.split_once('>')?.0.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(endpoint: &str) -> Result<Api, String> {
        let token = Some("hf_secret".to_owned());
        Api::new(ApiOptions { endpoint: endpoint.to_owned(), token, tries: 1, wait: Duration::ZERO })
    }

    #[test]
    fn addresses_are_the_hubs_and_a_token_does_not_go_in_the_clear() {
        let hub = api("https://hub.example").expect("an address");
        let repository = Repository { kind: Kind::Dataset, namespace: "us".to_owned(), name: "notes".to_owned() };
        assert_eq!(hub.page(&repository).as_str(), "https://hub.example/datasets/us/notes");
        assert_eq!(
            hub.large_files(&repository).as_str(),
            "https://hub.example/datasets/us/notes.git/info/lfs/objects/batch"
        );
        let model = Repository { kind: Kind::Model, ..repository };
        assert_eq!(hub.page(&model).as_str(), "https://hub.example/us/notes");
        assert_eq!(hub.api(&model, &["tree", "x"]).as_str(), "https://hub.example/api/models/us/notes/tree/x");
        assert!(api("http://hub.example").expect_err("in the clear").contains("https"));
        assert!(api("ftp://hub.example").is_err() && api("hub").is_err());
        api("http://127.0.0.1:9").expect("loopback");
    }

    #[test]
    fn the_token_goes_to_the_hub_and_nowhere_else_and_is_not_shown() {
        let hub = api("https://hub.example").expect("an address");
        let token = |url: &str, bare: bool| {
            let url = Url::parse(url).expect("an address");
            let request = if bare { hub.bare(Method::PUT, url) } else { hub.request(Method::POST, url) };
            request.build().expect("sound").headers().contains_key(AUTHORIZATION)
        };
        assert!(token("https://hub.example/api", false));
        assert!(!token("https://storage.example/x", false) && !token("https://hub.example/x", true));
        assert!(!token("http://hub.example/x", false));
        assert!(!format!("{hub:?}").contains("hf_secret"));
        assert!(hub.storage("x", "http://storage.example/x").is_err(), "without TLS");
    }
}
