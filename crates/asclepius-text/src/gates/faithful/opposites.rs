//! Words that exclude each other, said of the same thing: external rotation that was internal, a thin wall that was
//! thick, and whatever begins with "hyper" where the source has "hypo".

use std::sync::LazyLock;

use rustc_hash::FxHashMap;

use super::polarity::Roles;
use super::reading::{Reading, Sentence, Word};

/// Each line two sides.
static OPPOSITES: LazyLock<FxHashMap<&str, Side>> = LazyLock::new(|| {
    let lines = include_str!("opposites.txt").lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once(" | ")).enumerate();
    let words = pairs.flat_map(|(pair, (one, other))| {
        let side =
            move |first: bool, words: &'static str| words.split(", ").map(move |word| (word, Side { pair, first }));
        side(true, one).chain(side(false, other))
    });
    words.collect()
});

/// One side of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Side {
    pair: usize,
    first: bool,
}

/// Words on each side that tell what it is said of.
const NEAR: usize = 3;

/// Words of the text whose opposite the source says of the same things, where it never says them of these.
pub(super) fn contradictions(text: &Reading, source: &Reading, overlaps: &[Vec<f32>]) -> Vec<String> {
    let known = places(source);
    let mut found = Vec::new();
    for (index, sentence) in text.sentences.iter().enumerate() {
        for (at, word) in sentence.words.iter().enumerate() {
            if text.polarity.denies(index, at) != Some(false) {
                continue;
            }
            let wrong = match OPPOSITES.get(word.text.as_str()) {
                // "A gain in fat and a loss of muscle" says both.
                Some(side) if names_both(sentence, *side) => false,
                Some(side) => is_turned(sentence, at, *side, &known, source, &overlaps[index]),
                None => is_mirrored(&word.text, source),
            };
            if wrong {
                found.push(format!("{} in {}", word.text, sentence.line.trim()));
            }
        }
    }
    found
}

/// Where the source has a word of each pair.
fn places(source: &Reading) -> FxHashMap<usize, Vec<(Side, usize, usize)>> {
    let mut places: FxHashMap<usize, Vec<(Side, usize, usize)>> = FxHashMap::default();
    for (index, sentence) in source.sentences.iter().enumerate() {
        for (at, word) in sentence.words.iter().enumerate() {
            if let Some(side) = OPPOSITES.get(word.text.as_str()) {
                places.entry(side.pair).or_default().push((*side, index, at));
            }
        }
    }
    places
}

fn names_both(sentence: &Sentence, side: Side) -> bool {
    let others = sentence.words.iter().filter_map(|word| OPPOSITES.get(word.text.as_str()));
    others.into_iter().any(|other| other.pair == side.pair && other.first != side.first)
}

/// Share of a sentence's content that the source's must hold.
const ALIKE: f32 = 0.25;

fn is_turned(
    sentence: &Sentence,
    at: usize,
    side: Side,
    known: &FxHashMap<usize, Vec<(Side, usize, usize)>>,
    source: &Reading,
    overlaps: &[f32],
) -> bool {
    let own = around(sentence, at);
    let (mut with, mut against) = (false, false);
    for (found, index, place) in known.get(&side.pair).into_iter().flatten() {
        let there = &source.sentences[*index];
        let beside = own.iter().any(|stem| around(there, *place).contains(stem));
        with |= found.first == side.first && (beside || overlaps[*index] >= ALIKE);
        against |= found.first != side.first && beside && overlaps[*index] >= ALIKE;
    }
    against && !with
}

/// The stems nearest to a word in its phrase: the noun that it stands before, or what it is said of.
fn around(sentence: &Sentence, at: usize) -> Vec<&str> {
    let words = &sentence.words;
    let near = &words[at.saturating_sub(NEAR)..words.len().min(at + NEAR + 1)];
    let tells = |word: &&Word| {
        let own = std::ptr::eq(*word, &raw const words[at]);
        !own && word.phrase == words[at].phrase && !word.stem.is_empty() && !word.roles.any(Roles::TURNS)
    };
    near.iter().filter(tells).map(|word| word.stem.as_str()).collect()
}

/// "Hypercellular" where the source knows only "hypocellular".
fn is_mirrored(word: &str, source: &Reading) -> bool {
    const PREFIXES: &[(&str, &str)] = &[("hyper", "hypo"), ("tachy", "brady")];
    /// Letters of the root that tell it.
    const ROOT: usize = 5;
    let mirrored = |from: &str, to: &str| {
        let rest = word.strip_prefix(from).filter(|rest| rest.len() >= 4)?;
        let root = &rest[..rest.char_indices().nth(ROOT).map_or(rest.len(), |(end, _)| end)];
        let begins = |prefix: &str| {
            let whole = format!("{prefix}{root}");
            source.known.iter().any(|known| known.starts_with(&whole))
        };
        Some(begins(to) && !begins(from))
    };
    PREFIXES
        .iter()
        .any(|(one, other)| mirrored(one, other).unwrap_or_default() || mirrored(other, one).unwrap_or_default())
}
