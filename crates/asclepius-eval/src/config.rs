//! The `[eval]` table.

use std::path::PathBuf;

use asclepius_llm::{Endpoint, TeacherConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::EvalError;

/// What is evaluated, and how much of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EvalConfig {
    /// A dataset directory to use instead of the run's own; its validation files are the held-out sets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<PathBuf>,
    /// Further held-out sets: parquet files with the five columns of the published dataset.
    pub sets: Vec<PathBuf>,
    /// Text that has nothing to do with notes, kept aside to show what training forgets: a UTF-8 file, a blank line between
    /// two texts. Its loss is the set `general`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub general: Option<PathBuf>,
    /// The most rows of a set whose loss is measured, spread evenly over the set. Absent: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<usize>,
    /// Held-out questions a set that every model answers, spread evenly over the tasks; 0 asks none.
    pub questions: usize,
    /// Worked examples from the training split that the base is shown before each question, as one more model beside the
    /// base without any; 0 leaves that out.
    pub shots: usize,
    /// The most tokens an answer may have.
    pub max_tokens: usize,
    /// 0 takes the likeliest token each time; above that answers are drawn.
    pub temperature: f64,
    /// Only the likeliest tokens whose probabilities add up to this are drawn from; 1 draws from all.
    pub top_p: f64,
    /// Seed of the draws of answers, examples and articles. Absent: the run's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Draws of articles behind each 95 % interval; 0 gives none.
    pub resamples: usize,
    /// Other models under the same questions: a model or adapter directory, the base URL of an OpenAI-compatible API that
    /// has one model, or a table as `[teacher]` is one (`{ endpoint = "http://..", model = "name" }`).
    pub compare: Vec<Compared>,
    /// Where models compute: `auto`, `cpu` or `cuda:0` and so on.
    pub device: String,
}

/// A model named in `eval.compare`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Compared {
    /// A directory, or the base URL of an API.
    Named(String),
    /// An API and how it is asked.
    Api(Box<TeacherConfig>),
}

impl Compared {
    /// The API, where it is one: without a model where only its URL is given.
    pub fn api(&self) -> Option<TeacherConfig> {
        match self {
            Self::Api(api) => Some((**api).clone()),
            Self::Named(url) if url.starts_with("http://") || url.starts_with("https://") => {
                Some(TeacherConfig { endpoint: url.clone(), ..TeacherConfig::default() })
            }
            Self::Named(_) => None,
        }
    }
}

impl Default for EvalConfig {
    fn default() -> Self {
        Self {
            input: None,
            sets: Vec::new(),
            general: None,
            rows: None,
            questions: 24,
            shots: 0,
            max_tokens: 96,
            temperature: 0.0,
            top_p: 1.0,
            seed: None,
            resamples: 1000,
            compare: Vec::new(),
            device: "auto".to_owned(),
        }
    }
}

impl EvalConfig {
    /// Checks the table.
    ///
    /// # Errors
    /// [`EvalError::Config`] naming the key.
    pub fn validate(&self) -> Result<(), EvalError> {
        let wrong = |key: &str, problem: String| Err(EvalError::Config { key: key.to_owned(), problem });
        if self.questions > 0 && self.max_tokens == 0 {
            return wrong("max_tokens", "is 0, so no question could be answered".to_owned());
        }
        if !(0.0..=10.0).contains(&self.temperature) {
            return wrong("temperature", format!("is {}, but must lie between 0 and 10", self.temperature));
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return wrong("top_p", format!("is {}, but must be above 0 and at most 1", self.top_p));
        }
        if self.rows == Some(0) {
            return wrong("rows", "is 0; leave it out to measure the loss of every row".to_owned());
        }
        if self.resamples == 1 {
            return wrong("resamples", "is 1, and one draw has no spread; give some hundreds, or 0 for none".to_owned());
        }
        if let Some(path) =
            self.sets.iter().find(|path| path.extension().is_none_or(|extension| extension != "parquet"))
        {
            return Err(EvalError::NotParquet { path: path.clone() });
        }
        for (index, compared) in self.compare.iter().enumerate() {
            let key = format!("compare[{index}]");
            match compared {
                Compared::Named(name) if name.trim().is_empty() => return wrong(&key, "is empty".to_owned()),
                Compared::Named(_) => {}
                Compared::Api(api) => api_only(api).or_else(|problem| wrong(&key, problem))?,
            }
        }
        Ok(())
    }
}

/// Refuses what is no API somewhere: a directory of ours is named by itself.
fn api_only(api: &TeacherConfig) -> Result<(), String> {
    match api.endpoint() {
        Ok(Endpoint::Url(_)) if !api.batch => api.validate().map_err(|error| format!(": {error}")),
        Ok(Endpoint::Url(_)) => Err("asks at once; leave `batch` out".to_owned()),
        Ok(_) => Err("needs an `endpoint` such as \"http://127.0.0.1:8000/v1\"; name a directory by itself".to_owned()),
        Err(error) => Err(format!(": {error}")),
    }
}
