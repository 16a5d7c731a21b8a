//! Denials in words of one's own that the source affirms: what a phrase denies stands in one sentence of the source, and
//! nowhere does the source deny anything of it.

use super::outcomes::Outcome;
use super::polarity::Roles;
use super::reading::{Reading, Sentence, Word};

/// Words with content nearest to a denial that it is known by, and of these those that a sentence must hold.
const MOST: usize = 5;
const LEAST: usize = 2;
const HELD: f32 = 0.7;
/// With so much of it, a sentence that denies something may be where the denial comes from.
const TOUCHED: f32 = 0.5;

/// Sentences with a denial that nothing in the source supports.
pub(super) fn added(text: &Reading, source: &Reading, own_words: &[bool]) -> Vec<String> {
    let sentences = text.sentences.iter().zip(own_words).filter(|(_, own)| **own);
    let wrong = sentences.filter(|(sentence, _)| {
        (0..sentence.words.len()).any(|at| sentence.words[at].roles.is_cue() && is_added(sentence, at, source))
    });
    wrong.map(|(sentence, _)| format!("a denial of its own in {}", sentence.line.trim())).collect()
}

fn is_added(sentence: &Sentence, at: usize, source: &Reading) -> bool {
    let denied = denied(sentence, at);
    if denied.len() < LEAST {
        return false;
    }
    let mut against = false;
    for origin in &source.sentences {
        let held = denied.iter().filter(|stem| origin.content.iter().any(|other| other == *stem)).count();
        let share = held as f32 / denied.len() as f32;
        if held > 0 && share >= TOUCHED && denies_nearby(origin, &denied) {
            return false;
        }
        against |= held >= LEAST && share >= HELD;
    }
    against
}

/// The stems of the phrase that a denial stands in, the nearest first.
fn denied(sentence: &Sentence, at: usize) -> Vec<&str> {
    let words = &sentence.words;
    let phrase = words[at].phrase;
    let mut near: Vec<usize> = (0..words.len()).filter(|&other| words[other].phrase == phrase && other != at).collect();
    near.sort_by_key(|other| other.abs_diff(at));
    let mut stems: Vec<&str> = Vec::new();
    for word in near.into_iter().map(|other| &words[other]) {
        let counts = !word.stem.is_empty() && !word.roles.any(Roles::GRAMMAR | Roles::CUE);
        if counts && !stems.contains(&word.stem.as_str()) {
            stems.push(&word.stem);
        }
    }
    stems.truncate(MOST);
    stems
}

/// Words on each side of what is denied that may deny it.
const NEAR: usize = 6;

/// Whether a sentence says near any of the words that something is not, or what may be put so.
fn denies_nearby(sentence: &Sentence, denied: &[&str]) -> bool {
    const OTHERS: &[&str] = &[
        "only",
        "instead",
        "rather",
        "before",
        "until",
        "unlike",
        "except",
        "avoid",
        "stopped",
        "withheld",
        "held",
        "ceased",
        "resolved",
        "gone",
        "cleared",
        "settled",
        "alone",
        "single",
        "failed",
        "negative",
        "little",
        "few",
        "hardly",
        "barely",
        "outside",
        "deferred",
        "delayed",
        "omitted",
        "missed",
        "refused",
        "declined",
        "replaced",
        "spared",
        "off",
        "precluded",
        "prevented",
    ];
    let turns = |word: &Word| {
        word.roles.any(Roles::TURNS)
            || OTHERS.contains(&word.text.as_str())
            || matches!(
                Outcome::of(&word.text),
                Some(Outcome::Negative | Outcome::Normal | Outcome::Down | Outcome::Well(_))
            )
            || (word.text.starts_with("un") && word.text.len() > 6)
            || word.text.ends_with("less")
    };
    let words = &sentence.words;
    let places = (0..words.len()).filter(|&at| denied.contains(&words[at].stem.as_str()));
    places.into_iter().any(|at| {
        let near = &words[at.saturating_sub(NEAR)..words.len().min(at + NEAR + 1)];
        // A list may be long before "were negative" closes it, or after "nor" opens it.
        let listed = |word: &Word| {
            let denies = word.roles.is_cue() || Outcome::of(&word.text) == Some(Outcome::Negative);
            denies && word.clause == words[at].clause
        };
        near.iter().any(turns) || words.iter().any(listed)
    })
}
