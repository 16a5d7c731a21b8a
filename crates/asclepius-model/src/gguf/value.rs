//! The values of a GGUF file's metadata, and typed access to them by key.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::{ModelError, Result};

/// One value. Integers and floating-point numbers keep no width but that a reader needs to tell them apart.
#[derive(Clone, Debug, PartialEq)]
pub enum GgufValue {
    /// An integer without a sign; written in 32 bits where it fits.
    Unsigned(u64),
    /// An integer with a sign; written in 32 bits where it fits.
    Signed(i64),
    /// A number in f32.
    F32(f32),
    /// A number in f64.
    F64(f64),
    /// True or false.
    Bool(bool),
    /// A text.
    Text(String),
    /// A list of texts.
    Texts(Vec<String>),
    /// A list of integers, or of truth values as 0 and 1; written in 32 bits with a sign.
    Integers(Vec<i64>),
    /// A list of numbers; written in f32.
    Numbers(Vec<f64>),
}

impl GgufValue {
    /// The size as it is written.
    pub(crate) fn size(value: usize) -> Self {
        Self::Unsigned(value as u64)
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Unsigned(_) | Self::Signed(_) => "an integer",
            Self::F32(_) | Self::F64(_) => "a number",
            Self::Bool(_) => "true or false",
            Self::Text(_) => "a text",
            Self::Texts(_) => "a list of texts",
            Self::Integers(_) => "a list of integers",
            Self::Numbers(_) => "a list of numbers",
        }
    }
}

/// The shortest decimal number that is this one in f32: what a converter read before it wrote the value in f32.
pub(crate) fn shortest(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}

/// A GGUF file's metadata by key.
#[derive(Clone, Debug)]
pub struct Metadata {
    path: PathBuf,
    values: BTreeMap<String, GgufValue>,
}

impl Metadata {
    pub(crate) fn new(path: &Path, values: BTreeMap<String, GgufValue>) -> Self {
        Self { path: path.to_owned(), values }
    }

    /// Every key and its value, in order of key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &GgufValue)> {
        self.values.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&GgufValue> {
        self.values.get(key)
    }

    pub(crate) fn problem(&self, key: &str, problem: impl Into<String>) -> ModelError {
        ModelError::Gguf { path: self.path.clone(), place: key.to_owned(), problem: problem.into() }
    }

    fn wrong(&self, key: &str, value: &GgufValue, wanted: &str) -> ModelError {
        self.problem(key, format!("is {}, not {wanted}", value.kind()))
    }

    pub(crate) fn required<T>(&self, key: &str, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| self.problem(key, "is missing"))
    }

    pub(crate) fn text(&self, key: &str) -> Result<Option<&str>> {
        match self.get(key) {
            None => Ok(None),
            Some(GgufValue::Text(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(key, other, "a text")),
        }
    }

    /// A count or an id. A list whose entries are all the same counts as one of them: some converters write one a layer.
    pub(crate) fn size(&self, key: &str) -> Result<Option<usize>> {
        let problem = |value: i64| self.problem(key, format!("{value} is no size"));
        match self.get(key) {
            None => Ok(None),
            Some(GgufValue::Unsigned(value)) => {
                let size = u32::try_from(*value).map_err(|_| self.problem(key, format!("{value} is out of range")))?;
                Ok(Some(size as usize))
            }
            Some(GgufValue::Signed(value)) => Ok(Some(u32::try_from(*value).map_err(|_| problem(*value))? as usize)),
            Some(GgufValue::Integers(values)) => match values.split_first() {
                Some((first, rest)) if rest.iter().all(|value| value == first) => {
                    Ok(Some(u32::try_from(*first).map_err(|_| problem(*first))? as usize))
                }
                _ => Err(self.problem(key, "differs from layer to layer, which is not supported")),
            },
            Some(other) => Err(self.wrong(key, other, "an integer")),
        }
    }

    pub(crate) fn number(&self, key: &str) -> Result<Option<f64>> {
        match self.get(key) {
            None => Ok(None),
            Some(GgufValue::F32(value)) if value.is_finite() => Ok(Some(shortest(*value))),
            Some(GgufValue::F64(value)) if value.is_finite() => Ok(Some(*value)),
            Some(GgufValue::F32(_) | GgufValue::F64(_)) => Err(self.problem(key, "is not finite")),
            Some(other) => Err(self.wrong(key, other, "a number")),
        }
    }

    pub(crate) fn flag(&self, key: &str) -> Result<Option<bool>> {
        match self.get(key) {
            None => Ok(None),
            Some(GgufValue::Bool(value)) => Ok(Some(*value)),
            Some(other) => Err(self.wrong(key, other, "true or false")),
        }
    }

    pub(crate) fn texts(&self, key: &str) -> Result<Option<&[String]>> {
        match self.get(key) {
            None => Ok(None),
            Some(GgufValue::Texts(texts)) => Ok(Some(texts)),
            Some(other) => Err(self.wrong(key, other, "a list of texts")),
        }
    }

    pub(crate) fn integers(&self, key: &str) -> Result<Option<&[i64]>> {
        match self.get(key) {
            None => Ok(None),
            Some(GgufValue::Integers(values)) => Ok(Some(values)),
            Some(other) => Err(self.wrong(key, other, "a list of integers")),
        }
    }

    pub(crate) fn numbers(&self, key: &str) -> Result<Option<&[f64]>> {
        match self.get(key) {
            None => Ok(None),
            Some(GgufValue::Numbers(values)) => Ok(Some(values)),
            Some(other) => Err(self.wrong(key, other, "a list of numbers")),
        }
    }
}
