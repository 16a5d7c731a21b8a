//! Statements and clinical terms that the source knows nothing of.

use super::lexicon;
use super::reading::{Reading, stem};

/// A statement needs this many words with content to be judged as a whole.
const FEWEST_WORDS: usize = 4;
/// Least share of a statement's content that the source must hold somewhere, and in one sentence.
const LEAST_KNOWN: f32 = 0.6;
const LEAST_TOGETHER: f32 = 0.3;

/// Names of one thing, by stem.
const SAME: &[&[&str]] = &[
    &["cancer", "carcinom", "maligna", "tumor", "neoplas", "mass"],
    &["bleed", "hemorrh"],
    &["fracture", "fractur", "broken"],
    &["hyperte", "hypertn"],
    &["pyrexia", "fever", "febrile", "febril"],
    &["dyspne", "breath"],
    &["pruritu", "itch"],
    &["emesis", "vomit"],
    &["lymphad", "lymph", "node"],
    &["smoker", "smok", "tobacc"],
    &["infarct", "infarction"],
    &["stroke", "cerebro"],
    &["clot", "thromb", "thrombu"],
    &["anemia", "anem", "anemic"],
    &["paralys", "plegia", "paresis"],
    &["metasta"],
    &["dilatat", "dilat", "dilatio"],
    &["jaundic", "icteru"],
];

/// Statements without support, and clinical terms without support in the others.
pub(super) fn unsupported(text: &Reading, source: &Reading, overlaps: &[Vec<f32>]) -> (usize, usize) {
    let (mut statements, mut terms) = (0, 0);
    let knows = |stem: &str| source.by_stem.contains_key(stem) || alike(stem, source);
    for (sentence, overlaps) in text.sentences.iter().zip(overlaps) {
        let total = sentence.content.len();
        let known = sentence.content.iter().filter(|stem| knows(stem)).count() as f32 / total.max(1) as f32;
        let together = overlaps.iter().copied().fold(0.0, f32::max);
        if total >= FEWEST_WORDS && (known < LEAST_KNOWN || (total > FEWEST_WORDS && together < LEAST_TOGETHER)) {
            statements += 1;
            continue;
        }
        let mut foreign: Vec<&str> = sentence
            .words
            .iter()
            .map(|word| word.text.as_str())
            .filter(|word| lexicon::is_clinical(word) && lexicon::drug(word).is_none())
            .filter(|word| !source.known.contains(*word) && !knows(&stem(word)))
            .collect();
        foreign.sort_unstable();
        foreign.dedup();
        terms += foreign.len();
    }
    (statements, terms)
}

fn alike(stem: &str, source: &Reading) -> bool {
    SAME.iter()
        .filter(|names| names.contains(&stem))
        .any(|names| names.iter().any(|name| source.by_stem.contains_key(*name)))
}
