//! The `[eval]` table.

use std::fmt;
use std::path::PathBuf;

use asclepius_llm::{Endpoint, LlmError, TeacherConfig};
use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::EvalError;
use crate::realism::RealismConfig;

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
    /// How much the notes read like real ones. Absent: not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realism: Option<RealismConfig>,
    /// A chat model that rates all models' answers to a question from 1 to 4, without knowing whose they are: a table as
    /// `[teacher]` is one. It is asked at temperature 0. Absent: nobody is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judge: Option<Box<TeacherConfig>>,
    /// How often the judge is asked about each question, each time with the answers in another order; the first two show how
    /// far it agrees with itself.
    pub judge_runs: usize,
    /// Where models compute: `auto`, `cpu` or `cuda:0` and so on.
    pub device: String,
}

/// A model named in `eval.compare`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Compared {
    /// A directory, or the base URL of an API.
    Named(String),
    /// An API and how it is asked.
    Api(Box<TeacherConfig>),
}

/// By hand, so that a misspelt key of a table is named: serde's untagged enums only say that nothing fits.
impl<'de> Deserialize<'de> for Compared {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameOrTable;
        impl<'de> Visitor<'de> for NameOrTable {
            type Value = Compared;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a directory, the URL of an API, or a table with `endpoint` and `model`")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Compared, E> {
                Ok(Compared::Named(name.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Compared, A::Error> {
                TeacherConfig::deserialize(MapAccessDeserializer::new(table)).map(|api| Compared::Api(Box::new(api)))
            }
        }
        deserializer.deserialize_any(NameOrTable)
    }
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
            realism: None,
            judge: None,
            judge_runs: 2,
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
            return wrong(
                "resamples",
                "is 1, and one draw has no spread; give some hundreds, or 0 for none".to_owned(),
            );
        }
        if let Some(path) =
            self.sets.iter().find(|path| path.extension().is_none_or(|extension| extension != "parquet"))
        {
            return Err(EvalError::NotParquet { path: path.clone() });
        }
        self.realism.as_ref().map_or(Ok(()), RealismConfig::validate)?;
        if let Some(judge) = &self.judge {
            check_api("judge", judge)?;
            if self.judge_runs == 0 {
                return wrong("judge_runs", "is 0; leave `judge` out to ask none".to_owned());
            }
            if self.questions == 0 {
                return wrong("judge", "has nothing to rate, since eval.questions is 0".to_owned());
            }
        }
        for (index, compared) in self.compare.iter().enumerate() {
            let key = format!("compare[{index}]");
            match compared {
                Compared::Named(name) if name.trim().is_empty() => return wrong(&key, "is empty".to_owned()),
                Compared::Named(_) => {}
                Compared::Api(api) => check_api(&key, api)?,
            }
        }
        Ok(())
    }
}

/// Refuses what is no API somewhere: a directory of ours is named by itself. `key` is the table's.
fn check_api(key: &str, api: &TeacherConfig) -> Result<(), EvalError> {
    let wrong = |key: &str, problem: &str| Err(EvalError::Config { key: key.to_owned(), problem: problem.to_owned() });
    match api.validate() {
        Err(LlmError::Config { key: inner, problem }) => return wrong(&format!("{key}.{inner}"), &problem),
        Err(error) => return wrong(key, &format!("cannot be asked: {error}")),
        Ok(()) => {}
    }
    match api.endpoint() {
        Ok(Endpoint::Url(_)) if api.batch => {
            wrong(&format!("{key}.batch"), "is not for evaluations, which wait for answers")
        }
        Ok(Endpoint::Url(_)) => Ok(()),
        _ => wrong(&format!("{key}.endpoint"), "must be the URL of an API, such as \"http://127.0.0.1:8000/v1\""),
    }
}
