//! The `[teacher]` table: which chat API answers, how fast it may be asked, and what that may cost.

use reqwest::Url;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::LlmError;

/// The name that the extractive teacher's rows carry.
pub const EXTRACTIVE_MODEL: &str = "extractive-1";

/// Rows begun for each call that may be in flight, and at the least: the client holds the calls back, and since rows are
/// delivered in order, one that is asked again and again must not keep those behind it from being begun. With every
/// fault at once and calls of 50 ms, 800 rows at a time gave an eighth of the goodput that 8192 give.
const ROWS_A_CALL: usize = 4;
const FEWEST_ROWS: usize = 8192;

/// Rows begun at a time where calls are gathered: a whole batch of the largest size.
const BATCHED_ROWS: usize = 50_000;

/// Who writes notes, questions and answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TeacherConfig {
    /// `embedded:extractive` (no model, deterministic), `embedded:model` (our own generation, `model` is its directory)
    /// or the base URL of an OpenAI-compatible API, such as `https://api.openai.com/v1`.
    pub endpoint: String,
    /// The model to ask for. Needed for everything but `embedded:extractive`.
    pub model: Option<String>,
    /// Fields added to every request as they are, for what a vendor offers beyond the common ones. Part of a call's identity.
    pub extra_body: Map<String, Value>,
    /// The environment variable that holds the API key. Absent: no key is sent.
    pub api_key_env: Option<String>,
    /// Calls in flight at a time.
    pub concurrency: usize,
    /// Requests a minute at most. Absent: no limit of our own.
    pub requests_per_minute: Option<u32>,
    /// Tokens a minute at most, sent and received together. Absent: no limit of our own.
    pub tokens_per_minute: Option<u32>,
    /// Seconds a request may take, counted from its send. Not for `embedded:model`, which takes as long as it takes.
    pub timeout_seconds: f64,
    /// Seconds that an endpoint may go on failing, with pauses in which nothing is sent, before the run stops; it can be
    /// continued. One that was never reached at all is given up after six attempts, as is a wrong address.
    pub patience_seconds: f64,
    /// US dollars for a million tokens sent. Absent: unknown.
    pub price_per_million_input: Option<f64>,
    /// US dollars for a million tokens received. Absent: unknown.
    pub price_per_million_output: Option<f64>,
    /// What the Batch API takes off the price, as a fraction.
    pub batch_discount: f64,
    /// US dollars that the whole run may spend on calls to this model, earlier attempts included. Needs both prices.
    /// Absent: no limit.
    pub budget_usd: Option<f64>,
    /// Ask through OpenAI's Batch API: at `batch_discount` off the price, answered within a day. Batches go on while
    /// nothing runs, and the next run reads them. Limits a minute, `concurrency` and `timeout_seconds` are not for them.
    pub batch: bool,
    /// Tokens that may be queued in batches at a time, which providers limit by account and model. Absent: found out.
    pub batch_enqueued_tokens: Option<u64>,
}

impl Default for TeacherConfig {
    fn default() -> Self {
        Self {
            endpoint: "embedded:extractive".to_owned(),
            model: None,
            extra_body: Map::new(),
            api_key_env: None,
            concurrency: 16,
            requests_per_minute: None,
            tokens_per_minute: None,
            timeout_seconds: 300.0,
            patience_seconds: 300.0,
            price_per_million_input: None,
            price_per_million_output: None,
            batch_discount: 0.5,
            budget_usd: None,
            batch: false,
            batch_enqueued_tokens: None,
        }
    }
}

/// What `endpoint` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// The teacher without a model, served on loopback.
    Extractive,
    /// Our own generation, served on loopback.
    Model,
    /// A chat API somewhere; without a slash at the end.
    Url(String),
}

impl TeacherConfig {
    /// Checks everything that can be checked without asking anyone.
    ///
    /// # Errors
    /// [`LlmError::Config`] naming the key.
    pub fn validate(&self) -> Result<(), LlmError> {
        let wrong = |key: &'static str, problem: String| Err(LlmError::Config { key, problem });
        let endpoint = self.endpoint()?;
        if self.model.as_deref().is_some_and(|model| model.trim().is_empty()) {
            return wrong("model", "is empty".to_owned());
        }
        if self.model.is_none() && endpoint != Endpoint::Extractive {
            return wrong("model", format!("is needed for endpoint {:?}", self.endpoint));
        }
        for key in ["messages", "model", "stream", "n"] {
            if self.extra_body.contains_key(key) {
                return wrong("extra_body", format!("must not set `{key}`, which the client sets itself"));
            }
        }
        if self.api_key_env.as_deref().is_some_and(str::is_empty) {
            return wrong("api_key_env", "is empty; leave it out to send no key".to_owned());
        }
        if self.concurrency == 0 {
            return wrong("concurrency", "must be at least 1".to_owned());
        }
        if self.requests_per_minute == Some(0) {
            return wrong("requests_per_minute", "must be at least 1".to_owned());
        }
        if self.tokens_per_minute == Some(0) {
            return wrong("tokens_per_minute", "must be at least 1".to_owned());
        }
        if !(self.timeout_seconds > 0.0 && self.timeout_seconds <= 86_400.0) {
            return wrong(
                "timeout_seconds",
                format!("is {}, but must be above 0 and at most a day", self.timeout_seconds),
            );
        }
        if !(self.patience_seconds >= 0.0 && self.patience_seconds <= 604_800.0) {
            return wrong(
                "patience_seconds",
                format!("is {}, but must be between 0 and a week", self.patience_seconds),
            );
        }
        let prices = [
            ("price_per_million_input", self.price_per_million_input),
            ("price_per_million_output", self.price_per_million_output),
            ("budget_usd", self.budget_usd),
        ];
        for (key, value) in prices {
            if value.is_some_and(|value| !value.is_finite() || value < 0.0) {
                return wrong(key, "must be a finite number of dollars, not below 0".to_owned());
            }
        }
        if !(0.0..=1.0).contains(&self.batch_discount) {
            return wrong("batch_discount", format!("is {}, but must lie between 0 and 1", self.batch_discount));
        }
        if self.budget_usd.is_some() && self.prices().is_none() {
            let needs = "needs price_per_million_input and price_per_million_output, or spending could not be counted";
            return wrong("budget_usd", needs.to_owned());
        }
        if self.batch && !matches!(endpoint, Endpoint::Url(_)) {
            return wrong("batch", format!("= true needs an API that has batches; {:?} has none", self.endpoint));
        }
        if self.batch_enqueued_tokens == Some(0) {
            return wrong("batch_enqueued_tokens", "must be at least 1".to_owned());
        }
        Ok(())
    }

    /// Tells the kinds of endpoint apart.
    ///
    /// # Errors
    /// [`LlmError::Config`] when it is none of them.
    pub fn endpoint(&self) -> Result<Endpoint, LlmError> {
        match self.endpoint.as_str() {
            "embedded:extractive" => Ok(Endpoint::Extractive),
            "embedded:model" => Ok(Endpoint::Model),
            url => {
                let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
                if rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/')) {
                    parse_base_url(url)?;
                    return Ok(Endpoint::Url(url.trim_end_matches('/').to_owned()));
                }
                Err(LlmError::Config {
                    key: "endpoint",
                    problem: format!(
                        "is {url:?}, but must be \"embedded:extractive\", \"embedded:model\" or the URL of a chat API \
                         such as \"http://127.0.0.1:8000/v1\""
                    ),
                })
            }
        }
    }

    /// The model asked for: `model`, or the extractive teacher's own name, whatever `model` says there.
    pub fn model_name(&self) -> &str {
        match self.endpoint() {
            Ok(Endpoint::Extractive) => EXTRACTIVE_MODEL,
            _ => self.model.as_deref().unwrap_or(EXTRACTIVE_MODEL),
        }
    }

    /// The API key, from the environment variable that `api_key_env` names; `None` when it names none, and for the
    /// embedded teachers, which take none.
    ///
    /// # Errors
    /// [`LlmError::ApiKeyMissing`] when the variable is not set, is empty or could not be sent as a header.
    pub fn api_key(&self) -> Result<Option<String>, LlmError> {
        if self.endpoint().is_ok_and(|endpoint| !matches!(endpoint, Endpoint::Url(_))) {
            return Ok(None); // so that a paid pipeline can be tried without a key
        }
        let Some(variable) = &self.api_key_env else { return Ok(None) };
        let missing = |problem| LlmError::ApiKeyMissing { variable: variable.clone(), problem };
        let key = std::env::var(variable).map_err(|_| missing("is not set"))?;
        let key = key.trim();
        if key.is_empty() {
            return Err(missing("is empty"));
        }
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(missing("holds characters that no key has"));
        }
        Ok(Some(key.to_owned()))
    }

    /// US dollars for one token sent and one received, when both prices are given; in batches with their discount.
    pub fn prices(&self) -> Option<(f64, f64)> {
        let part = if self.batch { 1.0 - self.batch_discount } else { 1.0 } / 1e6;
        Some((self.price_per_million_input? * part, self.price_per_million_output? * part))
    }

    /// Rows that may be worked on at a time so that calls can be asked as fast as the settings allow.
    pub fn rows_at_once(&self) -> usize {
        // A batch is as good as the number of calls that are there to be put into it.
        if self.batch { BATCHED_ROWS } else { self.concurrency.saturating_mul(ROWS_A_CALL).max(FEWEST_ROWS) }
    }
}

/// The URL of a chat API. Errors do not repeat it: it may hold what nobody should see.
pub(crate) fn parse_base_url(text: &str) -> Result<Url, LlmError> {
    let wrong = |problem: &str| LlmError::Config { key: "endpoint", problem: problem.to_owned() };
    let url = Url::parse(text).map_err(|error| wrong(&format!("is no URL: {error}")))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("must hold no credentials; name a variable with api_key_env"));
    }
    if !matches!(url.scheme(), "http" | "https") || url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("must be a plain http or https URL without a query"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_at_fault(config: &TeacherConfig) -> &'static str {
        match config.validate() {
            Err(LlmError::Config { key, .. }) => key,
            other => panic!("expected a configuration error, got {other:?}"),
        }
    }

    #[test]
    fn the_default_needs_no_model_and_no_key() {
        let config = TeacherConfig::default();
        config.validate().expect("the default is valid");
        assert_eq!(config.model_name(), EXTRACTIVE_MODEL);
        assert_eq!(config.api_key().expect("none is asked for"), None);
        assert_eq!(key_at_fault(&TeacherConfig { batch: true, ..config }), "batch");
    }

    #[test]
    fn each_impossible_setting_is_refused_by_the_name_of_its_key() {
        let of = |change: fn(&mut TeacherConfig)| {
            let mut config = TeacherConfig { model: Some("m".to_owned()), ..TeacherConfig::default() };
            config.endpoint = "https://host/v1".to_owned();
            change(&mut config);
            key_at_fault(&config)
        };
        assert_eq!(of(|config| config.endpoint = "embedded:gpt".to_owned()), "endpoint");
        assert_eq!(of(|config| config.endpoint = "https://".to_owned()), "endpoint");
        assert_eq!(of(|config| config.model = None), "model");
        assert_eq!(of(|config| config.concurrency = 0), "concurrency");
        assert_eq!(of(|config| config.requests_per_minute = Some(0)), "requests_per_minute");
        assert_eq!(of(|config| config.tokens_per_minute = Some(0)), "tokens_per_minute");
        assert_eq!(of(|config| config.timeout_seconds = f64::NAN), "timeout_seconds");
        assert_eq!(of(|config| config.patience_seconds = -1.0), "patience_seconds");
        assert_eq!(of(|config| config.budget_usd = Some(1.0)), "budget_usd");
        assert_eq!(of(|config| config.price_per_million_input = Some(-1.0)), "price_per_million_input");
        assert_eq!(of(|config| config.batch_discount = 1.5), "batch_discount");
        assert_eq!(of(|config| config.batch_enqueued_tokens = Some(0)), "batch_enqueued_tokens");
        assert_eq!(of(|config| drop(config.extra_body.insert("stream".to_owned(), true.into()))), "extra_body");
    }

    #[test]
    fn a_missing_key_variable_is_named() {
        let embedded = TeacherConfig {
            api_key_env: Some("ASCLEPIUS_TEST_VARIABLE_THAT_NOBODY_SETS".to_owned()),
            ..TeacherConfig::default()
        };
        assert_eq!(embedded.api_key().expect("the extractive teacher takes none"), None);
        let paid = TeacherConfig { endpoint: "https://host/v1".to_owned(), ..embedded };
        let message = paid.api_key().expect_err("it is not set").to_string();
        assert!(message.contains("ASCLEPIUS_TEST_VARIABLE_THAT_NOBODY_SETS"), "{message}");
    }
}
