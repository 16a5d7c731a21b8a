//! The gates that look at other articles: duplicates, exact and near, and evaluation sets.
//!
//! What is kept of an article is some 200 bytes, whatever its length; hashes of 64 bits stand for ids and texts.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use asclepius_schema::{Reason, Report};
use asclepius_text::minhash::binned::{Signature, similarity};

use crate::evaluation::EvaluationSets;
use crate::judge::Passed;

/// Keys are hashes already.
#[derive(Default)]
pub(crate) struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0.rotate_left(8)) ^ u64::from(*byte);
        }
    }

    fn write_u32(&mut self, key: u32) {
        // The table takes its place from the low bits and its tag from the high ones.
        self.0 = u64::from(key).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

type Table<K> = HashMap<K, u32, BuildHasherDefault<Hashed>>;

/// Texts by their signatures.
#[derive(Default)]
pub(crate) struct Near {
    bins: Vec<[u8; 64]>,
    bands: [Table<u32>; 6],
}

impl Near {
    /// The number of the earlier text that is most like this one, if one reaches `threshold`.
    pub fn find(&self, signature: &Signature, threshold: f64) -> Option<(u32, f64)> {
        let mut best: Option<(u32, f64)> = None;
        for (band, table) in signature.bands.iter().zip(&self.bands) {
            if let Some(number) = table.get(band) {
                let alike = similarity(&signature.bins, &self.bins[*number as usize]);
                if alike >= threshold && best.is_none_or(|(_, least)| alike > least) {
                    best = Some((*number, alike));
                }
            }
        }
        best
    }

    pub fn insert(&mut self, signature: &Signature) {
        let number = self.bins.len() as u32;
        self.bins.push(signature.bins);
        for (band, table) in signature.bands.iter().zip(&mut self.bands) {
            table.entry(*band).or_insert(number);
        }
    }
}

/// What was admitted so far.
pub(crate) struct Seen {
    /// By the hash of an article's id, its DOI or its text: its number.
    known: Table<u64>,
    /// Ids, one after the other, and where each ends.
    names: String,
    ends: Vec<u32>,
    near: Near,
    threshold: f64,
    sets: EvaluationSets,
}

fn key(kind: u8, bytes: &[u8]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[kind]);
    hasher.update(bytes);
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(first)
}

impl Seen {
    pub fn new(threshold: f64, sets: EvaluationSets) -> Self {
        Self { known: Table::default(), names: String::new(), ends: Vec::new(), near: Near::default(), threshold, sets }
    }

    fn name(&self, number: u32) -> &str {
        let at = number as usize;
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        &self.names[start..self.ends[at] as usize]
    }

    /// Takes an article in, unless it is one that is known.
    ///
    /// # Errors
    /// With the reason and the detail, which names the earlier article.
    pub fn admit(&mut self, passed: &Passed) -> Result<(), (Reason, String)> {
        if let Some(detail) = self.sets.hold(passed, self.threshold) {
            return Err((Reason::Contaminated, detail));
        }
        let id = passed.article_id.as_str();
        let keys = [key(0, id.as_bytes()), key(1, passed.doi.as_bytes()), key(2, &passed.text_key)];
        if self.known.contains_key(&keys[0]) {
            return Err((Reason::Duplicate, format!("{id} came before")));
        }
        if let Some(earlier) = self.known.get(&keys[1]).filter(|_| !passed.doi.is_empty()) {
            return Err((Reason::Duplicate, format!("its DOI is that of {}", self.name(*earlier))));
        }
        if let Some(earlier) = self.known.get(&keys[2]) {
            return Err((Reason::Duplicate, format!("its text is that of {}", self.name(*earlier))));
        }
        if self.threshold > 0.0 {
            if let Some((earlier, alike)) = self.near.find(&passed.signature, self.threshold) {
                let detail = format!("{:.0} % of its text is that of {}", alike * 100.0, self.name(earlier));
                return Err((Reason::NearDuplicate, detail));
            }
            self.near.insert(&passed.signature);
        }
        let number = self.ends.len() as u32;
        self.names.push_str(id);
        self.ends.push(self.names.len() as u32);
        for (at, key) in keys.into_iter().enumerate() {
            if at != 1 || !passed.doi.is_empty() {
                self.known.insert(key, number);
            }
        }
        Ok(())
    }
}

/// A hash of letters and digits only, so that spacing, case and punctuation make no new text.
pub(crate) fn text_key(reports: &[Report]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    let mut plain = Vec::new();
    for report in reports {
        plain.clear();
        for part in report.report.as_bytes().chunk_by(|one, next| one.is_ascii() == next.is_ascii()) {
            if part[0].is_ascii() {
                plain.extend(part.iter().filter(|byte| byte.is_ascii_alphanumeric()).map(u8::to_ascii_lowercase));
            } else {
                let letters = String::from_utf8_lossy(part);
                let lower = letters.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase);
                plain.extend_from_slice(lower.collect::<String>().as_bytes());
            }
        }
        hasher.update(&plain);
        hasher.update(b"\n");
    }
    let mut key = [0; 16];
    key.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    key
}
