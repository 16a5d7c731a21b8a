//! The shared table of clinical shorthand: `data/abbreviations.csv`, columns `term,abbreviation`.
//!
//! An abbreviation may stand for several spellings of one thing, never for two things, so expanding needs no context.
//! Where it has several spellings the table's first one is its expansion.

use std::ops::Range;
use std::sync::LazyLock;

use rustc_hash::{FxHashMap, FxHashSet};

const CSV: &str = include_str!("../../../data/abbreviations.csv");

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The term, written out.
    pub term: &'static str,
    /// Its abbreviation.
    pub abbreviation: &'static str,
}

/// An abbreviation found in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where, in bytes.
    pub range: Range<usize>,
    /// What it stands for.
    pub entry: Entry,
}

struct Table {
    entries: Vec<Entry>,
    /// First entry by abbreviation.
    by_abbreviation: FxHashMap<&'static str, Entry>,
    /// First two bytes of every abbreviation.
    beginnings: FxHashSet<[u8; 2]>,
    /// By first word in lower case: the terms that begin with it, longest first.
    by_first_word: FxHashMap<String, Vec<Entry>>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let entries: Vec<Entry> = CSV
        .lines()
        .skip(1)
        .map(|line| {
            let (term, abbreviation) = line.split_once(',').expect("a test reads every line of the table");
            Entry { term, abbreviation }
        })
        .collect();
    let mut by_abbreviation = FxHashMap::default();
    let mut by_first_word: FxHashMap<String, Vec<Entry>> = FxHashMap::default();
    for entry in &entries {
        by_abbreviation.entry(entry.abbreviation).or_insert(*entry);
        by_first_word.entry(first_word(entry.term)).or_default().push(*entry);
    }
    for terms in by_first_word.values_mut() {
        terms.sort_by(|a, b| b.term.len().cmp(&a.term.len()).then_with(|| a.term.cmp(b.term)));
    }
    let beginnings = entries.iter().map(|entry| beginning(entry.abbreviation)).collect();
    Table { entries, by_abbreviation, beginnings, by_first_word }
});

/// The whole table, in the file's order.
pub fn table() -> &'static [Entry] {
    &TABLE.entries
}

/// What an abbreviation stands for; upper and lower case count, as `PT` and `pt` differ.
pub fn expand(abbreviation: &str) -> Option<&'static str> {
    TABLE.by_abbreviation.get(abbreviation).map(|entry| entry.term)
}

/// The abbreviation of a term, whatever its case.
pub fn abbreviate(term: &str) -> Option<&'static str> {
    let candidates = TABLE.by_first_word.get(&first_word(term))?;
    candidates.iter().find(|entry| entry.term.eq_ignore_ascii_case(term)).map(|entry| entry.abbreviation)
}

/// Every abbreviation of the table that occurs in a text as a whole word, in order; of overlapping ones the longest.
pub fn find(text: &str) -> Vec<Found> {
    let mut found = Vec::new();
    let mut position = 0;
    while let Some(start) = next_word(text, position) {
        if !TABLE.beginnings.contains(&beginning(&text[start..])) {
            position = end_of_word(text, start);
            continue;
        }
        // Abbreviations such as "f/u" and "H&P" hold marks, so every end that is a boundary is tried, the longest counts.
        let longest = text[start..].char_indices().map(|(at, c)| start + at + c.len_utf8()).take(LONGEST_ABBREVIATION);
        let mut hit = None;
        for end in longest.filter(|&end| ends_word(text, end)) {
            if let Some(entry) = TABLE.by_abbreviation.get(&text[start..end]) {
                hit = Some(Found { range: start..end, entry: *entry });
            }
        }
        position = hit.as_ref().map_or_else(|| end_of_word(text, start), |hit| hit.range.end);
        found.extend(hit);
    }
    found
}

fn beginning(text: &str) -> [u8; 2] {
    let bytes = text.as_bytes();
    [bytes.first().copied().unwrap_or_default(), bytes.get(1).copied().unwrap_or_default()]
}

/// Characters; no abbreviation of the table is longer.
const LONGEST_ABBREVIATION: usize = 12;

/// Replaces terms of the table by their abbreviations: whole words, whatever their case, the longest term first.
/// A definition such as "computed tomography (CT)" becomes "CT". `density` is the share of terms that are replaced,
/// 0 to 1; a term is replaced everywhere or nowhere, and those of a lower density are also replaced at a higher one.
pub fn shorten(text: &str, density: f64) -> String {
    shorten_where(text, density, |_| true)
}

/// The same for the terms that `chosen` picks.
pub fn shorten_where(text: &str, density: f64, chosen: impl Fn(&Entry) -> bool) -> String {
    let mut result = String::with_capacity(text.len());
    let mut copied = 0;
    let mut position = 0;
    while let Some(start) = next_word(text, position) {
        let word_end = end_of_word(text, start);
        position = word_end;
        let Some(candidates) = TABLE.by_first_word.get(&text[start..word_end].to_lowercase()) else { continue };
        let Some((entry, end)) = candidates.iter().find_map(|entry| {
            let end = matches_term(text, start, entry.term)?;
            stands_alone(text, start, end).then_some((*entry, end))
        }) else {
            continue;
        };
        if chance(entry.term) < density && chosen(&entry) {
            result.push_str(&text[copied..start]);
            result.push_str(entry.abbreviation);
            copied = end + definition_of(entry.abbreviation, &text[end..]);
        }
        position = position.max(end).max(copied);
    }
    result.push_str(&text[copied..]);
    result
}

/// Bytes of the definition in brackets that follows a term, 0 without one. Case does not count: "aPTT" and "APTT".
fn definition_of(abbreviation: &str, after: &str) -> usize {
    let defined = after.strip_prefix(" (").and_then(|rest| rest.split_once(')')).map(|(inside, _)| inside);
    defined.filter(|inside| inside.eq_ignore_ascii_case(abbreviation)).map_or(0, |inside| inside.len() + 3)
}

/// A fixed place of each term in 0..1, so that density needs no generator.
fn chance(term: &str) -> f64 {
    let hash = blake3::hash(term.as_bytes());
    let first: [u8; 4] = hash.as_bytes()[..4].try_into().expect("a hash has 32 bytes");
    f64::from(u32::from_le_bytes(first)) / (f64::from(u32::MAX) + 1.0)
}

fn first_word(term: &str) -> String {
    term[..end_of_word(term, 0)].to_lowercase()
}

/// The byte after `term` if `text` holds it at `start`; any run of white space matches a space, line breaks do not.
fn matches_term(text: &str, start: usize, term: &str) -> Option<usize> {
    let mut rest = &text[start..];
    for character in term.chars() {
        if character == ' ' {
            let trimmed = rest.trim_start_matches([' ', '\u{a0}']);
            if trimmed.len() == rest.len() {
                return None;
            }
            rest = trimmed;
        } else {
            let next = rest.chars().next()?;
            if !next.to_lowercase().eq(character.to_lowercase()) {
                return None;
            }
            rest = &rest[next.len_utf8()..];
        }
    }
    Some(text.len() - rest.len())
}

/// Not inside a word, a hyphenated compound or a possessive.
fn stands_alone(text: &str, start: usize, end: usize) -> bool {
    let joins =
        |character: char| character.is_alphanumeric() || matches!(character, '-' | '‐' | '–' | '\'' | '’' | '_');
    !text[..start].chars().next_back().is_some_and(joins) && !text[end..].chars().next().is_some_and(joins)
}

fn next_word(text: &str, from: usize) -> Option<usize> {
    text[from..].find(char::is_alphanumeric).map(|at| from + at)
}

fn end_of_word(text: &str, start: usize) -> usize {
    text[start..].find(|character: char| !character.is_alphanumeric()).map_or(text.len(), |at| start + at)
}

/// Whether a word could end before byte `end`.
fn ends_word(text: &str, end: usize) -> bool {
    !text[end..].chars().next().is_some_and(char::is_alphanumeric)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_table_is_well_formed_and_large_enough() {
        assert_eq!(CSV.lines().next(), Some("term,abbreviation"));
        assert!(table().len() >= 250, "{}", table().len());
        let mut terms = HashSet::new();
        for entry in table() {
            assert!(!entry.term.is_empty() && !entry.abbreviation.is_empty(), "{entry:?}");
            assert!(!entry.abbreviation.contains(','), "{entry:?} has a third column");
            assert!(entry.abbreviation.len() >= 2, "{entry:?} has no second byte to be told by");
            assert_eq!(entry.term.trim(), entry.term, "{entry:?}");
            assert!(entry.term.is_ascii() && entry.abbreviation.is_ascii(), "{entry:?}");
            assert!(entry.term.starts_with(|c: char| c.is_ascii_alphanumeric()), "{entry:?}");
            assert!(entry.abbreviation.len() <= LONGEST_ABBREVIATION, "{entry:?}");
            assert!(entry.abbreviation.starts_with(|c: char| c.is_ascii_alphanumeric()), "{entry:?}");
            assert!(terms.insert(entry.term.to_lowercase()), "{entry:?} occurs twice");
        }
    }

    #[test]
    fn terms_are_replaced_as_whole_words_and_the_longest_wins() {
        assert_eq!(
            shorten("Blood pressure fell; the patient's blood-pressure did not.", 1.0),
            "BP fell; the patient's blood-pressure did not."
        );
        assert_eq!(shorten("a history of hypertension", 1.0), shorten(&shorten("a history of hypertension", 1.0), 1.0));
        assert_eq!(shorten("computed tomography (CT) of the chest", 1.0), "CT of the chest");
        assert_eq!(shorten("Hemoglobin (HB) and haematocrit (both low)", 1.0), "Hb and Hct (both low)");
        assert_eq!(shorten("chronic obstructive pulmonary disease", 1.0), "COPD");
    }

    #[test]
    fn density_is_monotone_and_zero_changes_nothing() {
        let text = table().iter().map(|entry| entry.term).collect::<Vec<_>>().join("; ");
        assert_eq!(shorten(&text, 0.0), text);
        let lengths: Vec<usize> = [0.0, 0.3, 0.6, 1.0].map(|density| shorten(&text, density).len()).to_vec();
        assert!(lengths.is_sorted_by(|a, b| a > b), "{lengths:?}");
    }

    #[test]
    fn abbreviations_are_found_whole_and_told_apart_by_case() {
        let found = find("BP 120/80, HR 80 (bpm). f/u in 2 w; COPDx");
        let names: Vec<_> = found.iter().map(|hit| hit.entry.abbreviation).collect();
        assert!(names.starts_with(&["BP", "HR"]), "{names:?}");
        assert!(names.contains(&"f/u") && !names.contains(&"COPD"), "{names:?}");
        assert_eq!(expand("BP"), Some("blood pressure"));
        assert_eq!(expand("bp"), None);
        assert_eq!(abbreviate("Blood Pressure"), Some("BP"));
    }
}
