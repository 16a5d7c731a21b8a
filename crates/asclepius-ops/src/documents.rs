//! Where documents begin and end in a pack.

use crate::{OpsError, Result};

/// Cumulative lengths of the documents laid end to end: `[0, end of first, .., t]`, for queries and for keys.
///
/// In training both are the same. With a key-value cache a document has more keys than queries; its queries are its last
/// tokens, so the causal mask is aligned at the bottom right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Documents {
    /// Ends of the documents among the queries, starting with 0; the last is `t`.
    pub query: Vec<u32>,
    /// Ends of the documents among the keys, starting with 0; the last is `s`.
    pub key: Vec<u32>,
}

impl Documents {
    /// Documents whose keys are their queries, by cumulative lengths starting with 0.
    ///
    /// # Errors
    /// When the lengths do not start with 0 or decrease.
    pub fn packed(cumulative: Vec<u32>) -> Result<Self> {
        Self::new(cumulative.clone(), cumulative)
    }

    /// One document of `queries` tokens, the last of `keys`.
    ///
    /// # Errors
    /// When there are fewer keys than queries.
    pub fn single(queries: usize, keys: usize) -> Result<Self> {
        Self::new(vec![0, queries as u32], vec![0, keys as u32])
    }

    /// Documents by cumulative lengths of queries and keys.
    ///
    /// # Errors
    /// When one does not start with 0 or decreases, their numbers differ, or a document has fewer keys than queries.
    pub fn new(query: Vec<u32>, key: Vec<u32>) -> Result<Self> {
        for lengths in [&query, &key] {
            let problem = if lengths.first() != Some(&0) {
                "cumulative lengths start with 0"
            } else if lengths.windows(2).any(|pair| pair[0] > pair[1]) {
                "cumulative lengths do not decrease"
            } else {
                continue;
            };
            return Err(OpsError::Documents { problem, lengths: lengths.clone() });
        }
        let documents = Self { query, key };
        if documents.query.len() != documents.key.len() {
            return Err(OpsError::Documents {
                problem: "as many documents of keys as of queries are needed",
                lengths: documents.key,
            });
        }
        if documents.iter().any(|document| document.queries.len() > document.keys.len()) {
            return Err(OpsError::Documents {
                problem: "a document has fewer keys than queries",
                lengths: documents.key,
            });
        }
        Ok(documents)
    }

    /// How many documents there are.
    pub fn count(&self) -> usize {
        self.query.len().saturating_sub(1)
    }

    /// All queries: `t`.
    pub fn query_tokens(&self) -> usize {
        self.query.last().copied().unwrap_or(0) as usize
    }

    /// All keys: `s`.
    pub fn key_tokens(&self) -> usize {
        self.key.last().copied().unwrap_or(0) as usize
    }

    /// The documents in order.
    pub fn iter(&self) -> impl Iterator<Item = Document> + '_ {
        self.query.windows(2).zip(self.key.windows(2)).map(|(query, key)| Document {
            queries: query[0] as usize..query[1] as usize,
            keys: key[0] as usize..key[1] as usize,
        })
    }
}

/// One document of a pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its rows among the queries.
    pub queries: std::ops::Range<usize>,
    /// Its rows among the keys.
    pub keys: std::ops::Range<usize>,
}

impl Document {
    /// The keys that query `row` (counted from the document's first) may see, counted from the document's first key.
    pub fn visible(&self, row: usize, window: Option<usize>) -> std::ops::Range<usize> {
        let end = self.keys.len() - self.queries.len() + row + 1;
        end.saturating_sub(window.unwrap_or(end))..end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cached_document_sees_all_that_came_before() {
        let documents = Documents::new(vec![0, 1, 4], vec![0, 5, 8]).expect("well formed");
        let visible: Vec<_> = documents.iter().map(|document| document.visible(0, None)).collect();
        assert_eq!(visible, [0..5, 0..1]);
        let last = documents.iter().last().expect("two documents");
        assert_eq!(last.visible(2, Some(2)), 1..3);
    }

    #[test]
    fn malformed_lengths_are_refused() {
        assert!(Documents::packed(vec![]).is_err());
        assert!(Documents::packed(vec![1, 2]).is_err());
        assert!(Documents::packed(vec![0, 3, 2]).is_err());
        assert!(Documents::new(vec![0, 3], vec![0, 2]).is_err());
        assert!(Documents::new(vec![0, 3], vec![0, 2, 3]).is_err());
    }
}
