//! What a sentence denies.

use super::SAME_SENTENCE;
use super::lexicon;
use super::reading::{Reading, Sentence, Word};

/// Deny what follows.
const DENY_AFTER: &[&str] =
    &["no", "without", "denied", "denies", "denying", "deny", "absence", "nor", "neither", "lack", "lacked"];
/// Deny the phrase they stand in.
const DENY_AROUND: &[&str] =
    &["not", "never", "cannot", "absent", "unable", "didn", "wasn", "couldn", "isn", "weren", "hadn"];
/// Deny what a following word ("of", "for", "out") names.
const DENY_WITH: &[(&str, &str)] =
    &[("negative", "for"), ("free", "of"), ("ruled", "out"), ("rule", "out"), ("none", "of"), ("instead", "of")];
/// End the reach of what denies.
const ENDS: &[&str] = &[
    "showed",
    "revealed",
    "was",
    "were",
    "is",
    "had",
    "has",
    "presented",
    "developed",
    "demonstrated",
    "underwent",
    "received",
    "reported",
    "after",
    "until",
    "then",
    "started",
    "did",
    "remained",
    "became",
];
/// Words that the reach of a denial says nothing about.
const GRAMMAR: &[&str] = &[
    "the", "and", "was", "were", "with", "for", "had", "has", "have", "been", "his", "her", "she", "any", "that",
    "this", "from", "are", "did", "does", "but", "which", "who", "there", "their", "other", "than", "into", "upon",
    "patient", "evidence", "sign", "signs", "any", "further", "pt", "also", "both", "such", "all", "due", "is", "be",
    "would", "could", "will", "may", "can", "its", "it", "he", "they", "or", "of", "in", "on", "at", "to", "as", "an",
    "by",
];

/// For each word, whether the sentence denies it.
fn denied(sentence: &Sentence) -> Vec<bool> {
    let words = &sentence.words;
    let mut denied = vec![false; words.len()];
    for (index, word) in words.iter().enumerate() {
        let text = word.text.as_str();
        let next = words.get(index + 1).map_or("", |next| next.text.as_str());
        if text == "not" && next == "only" {
            continue;
        }
        let after =
            DENY_AFTER.contains(&text) || DENY_WITH.iter().any(|(first, second)| *first == text && *second == next);
        if after {
            mark_after(words, index, &mut denied);
        } else if DENY_AROUND.contains(&text) {
            mark_around(words, index, &mut denied);
        }
    }
    denied
}

fn mark_after(words: &[Word], index: usize, denied: &mut [bool]) {
    let clause = words[index].clause;
    for (at, word) in words.iter().enumerate().skip(index + 1) {
        if word.clause != clause || (at > index + 1 && ENDS.contains(&word.text.as_str())) {
            return;
        }
        denied[at] = true;
    }
}

/// Back to what the verb's phrase begins with, forward to its end or the next verb.
fn mark_around(words: &[Word], index: usize, denied: &mut [bool]) {
    let phrase = words[index].phrase;
    let ends = |word: &Word| word.phrase != phrase || word.text == "that" || ENDS.contains(&word.text.as_str());
    for at in (0..index).rev() {
        // The verb that is denied stands right before.
        if ends(&words[at]) && (words[at].phrase != phrase || at + 1 < index) {
            break;
        }
        denied[at] = true;
    }
    for (at, word) in words.iter().enumerate().skip(index + 1) {
        if ends(word) && (word.phrase != phrase || at > index + 1) {
            break;
        }
        denied[at] = true;
    }
}

fn is_cue(word: &str) -> bool {
    DENY_AFTER.contains(&word) || DENY_AROUND.contains(&word)
}

/// Sentences of which some word is denied in the text and affirmed where the sentence comes from, or the reverse.
pub(super) fn contradictions(text: &Reading, source: &Reading, overlaps: &[Vec<f32>]) -> usize {
    let in_source: Vec<Vec<bool>> = source.sentences.iter().map(denied).collect();
    let contradicted = |(index, sentence): (usize, &Sentence)| {
        let overlaps = &overlaps[index];
        let best = overlaps.iter().copied().fold(0.0, f32::max);
        let own = denied(sentence);
        sentence
            .words
            .iter()
            .zip(own)
            .any(|(word, denied)| contradicts(word, denied, sentence, source, &in_source, overlaps, best))
    };
    text.sentences.iter().enumerate().filter(|asked| contradicted(*asked)).count()
}

fn contradicts(
    word: &Word,
    denied: bool,
    sentence: &Sentence,
    source: &Reading,
    in_source: &[Vec<bool>],
    overlaps: &[f32],
    best: f32,
) -> bool {
    let text = word.text.as_str();
    if text.len() < 3 || GRAMMAR.contains(&text) || is_cue(text) || !text.starts_with(char::is_alphabetic) {
        return false;
    }
    let clinical = lexicon::is_clinical(text);
    let aligned = best >= SAME_SENTENCE && sentence.content.len() >= 2;
    if !aligned && !clinical {
        return false;
    }
    let (mut same, mut other, mut anywhere) = (false, 0, false);
    for (at, candidate) in source.sentences.iter().enumerate() {
        let near = overlaps[at] >= 0.8 * best && (aligned || overlaps[at] > 0.0);
        if !near && !clinical {
            continue;
        }
        for (mentioned, &is_denied) in candidate.words.iter().zip(&in_source[at]) {
            if mentioned.text == text {
                anywhere |= is_denied == denied;
                same |= near && is_denied == denied;
                other += usize::from(near && is_denied != denied);
            }
        }
    }
    other > 0 && !same && (aligned || !anywhere)
}
