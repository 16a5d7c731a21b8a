//! What came of a fetch, counted: every article looked at is in exactly one of the counts.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Fetched, Skipped};

/// Articles by what became of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Articles looked at.
    #[serde(rename = "in")]
    pub input: u64,
    /// Articles that are there now and were not before.
    pub fetched: u64,
    /// Articles that were there already, whole.
    pub known: u64,
    /// Articles that are not wanted or not to be had, by [`Skipped::code`].
    pub dropped: BTreeMap<&'static str, u64>,
    /// Articles that asking again may bring, likewise.
    pub pending: BTreeMap<&'static str, u64>,
    /// Bytes of articles that came over the network.
    pub bytes: u64,
    /// The last articles in a row that the bucket did not answer for.
    #[serde(skip)]
    pub unanswered: u64,
}

impl Tally {
    /// Counts one article.
    pub fn add(&mut self, fetched: &Fetched) {
        self.input += 1;
        self.unanswered = match fetched {
            Fetched::Skipped(Skipped::Unreachable, _) => self.unanswered + 1,
            // Was asked for on disk only, so it says nothing about the bucket.
            Fetched::Known => self.unanswered,
            _ => 0,
        };
        match fetched {
            Fetched::New(bytes) => {
                self.fetched += 1;
                self.bytes += bytes;
            }
            Fetched::Known => self.known += 1,
            Fetched::Skipped(why, _) => {
                let counts = if why.is_pending() { &mut self.pending } else { &mut self.dropped };
                *counts.entry(why.code()).or_default() += 1;
            }
        }
    }

    /// Articles that asking again may bring.
    pub fn pending_total(&self) -> u64 {
        self.pending.values().sum()
    }

    /// Whether every article looked at is in exactly one count.
    pub fn balances(&self) -> bool {
        self.input == self.fetched + self.known + self.dropped.values().sum::<u64>() + self.pending_total()
    }
}
