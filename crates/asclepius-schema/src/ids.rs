//! Identifiers that stay the same from run to run, whatever else is in the corpus.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::SchemaError;

/// An article: `PMC1234567`, or `X` and 16 hex digits for one without a PMCID.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ArticleId(String);

impl ArticleId {
    /// The article with this PMCID, given with or without its `PMC`.
    ///
    /// # Errors
    /// When anything but 1 to 12 digits follows the optional prefix.
    pub fn from_pmcid(pmcid: &str) -> Result<Self, SchemaError> {
        let digits = pmcid.strip_prefix("PMC").unwrap_or(pmcid);
        let shaped = !digits.is_empty() && digits.len() <= 12 && digits.bytes().all(|byte| byte.is_ascii_digit());
        if shaped {
            Ok(Self(format!("PMC{digits}")))
        } else {
            Err(SchemaError::Id { value: pmcid.to_owned(), expected: "a PMCID: `PMC` and 1 to 12 digits" })
        }
    }

    /// An article without a PMCID, named by a hash of something that stays with it: its DOI, or else its bytes.
    pub fn from_identity(identity: &[u8]) -> Self {
        Self(format!("X{}", &blake3::hash(identity).to_hex()[..16]))
    }

    /// Takes an identifier that was written by an earlier stage, or by whoever made a foreign dataset.
    pub fn from_stored(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The identifier as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The digits of a PMCID, if this is one.
    pub fn pmcid_digits(&self) -> Option<u64> {
        self.0.strip_prefix("PMC")?.parse().ok()
    }
}

impl fmt::Display for ArticleId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// One patient of one version of an article: `PMC1234567.1-2` is the second.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReportId(String);

impl ReportId {
    /// The `n`-th patient (from 1) of `version` of `article`.
    pub fn new(article: &ArticleId, version: u32, n: u32) -> Self {
        Self(format!("{article}.{version}-{n}"))
    }

    /// Takes an identifier that was written by an earlier stage.
    pub fn from_stored(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The identifier as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ReportId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The dataset's `patient_id`: PMCID digits x 1000 + n, or for an article without one a hash with bit 62 set.
///
/// `n` counts patients from 1; the formula holds up to 999 of them.
pub fn patient_id(article: &ArticleId, n: u32) -> i64 {
    if let Some(digits) = article.pmcid_digits() {
        return digits as i64 * 1000 + i64::from(n);
    }
    let hash = blake3::hash(format!("{article}-{n}").as_bytes());
    let mut head = [0_u8; 8];
    head.copy_from_slice(&hash.as_bytes()[..8]);
    (i64::from_le_bytes(head) & ((1 << 62) - 1)) | (1 << 62)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pmcids_parse_with_and_without_prefix_and_nothing_else_does() {
        assert_eq!(ArticleId::from_pmcid("PMC123").expect("shaped").as_str(), "PMC123");
        assert_eq!(ArticleId::from_pmcid("123").expect("shaped").as_str(), "PMC123");
        for bad in ["", "PMC", "PMC12a", "pmc12", "PMC1234567890123"] {
            assert!(ArticleId::from_pmcid(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn patient_ids_follow_the_published_formula_and_hashes_never_collide_with_it() {
        let article = ArticleId::from_pmcid("PMC7654321").expect("shaped");
        assert_eq!(patient_id(&article, 2), 7_654_321_002);
        let hashed = patient_id(&ArticleId::from_identity(b"10.1000/x"), 1);
        assert!(hashed & (1 << 62) != 0 && hashed > 0);
    }
}
