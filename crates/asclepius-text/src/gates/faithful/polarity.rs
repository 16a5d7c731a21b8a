//! What a sentence denies.
//!
//! Each word is affirmed, denied or left open ([`said`]). A word of the text is held to the mention in the source that
//! is most like it, by the words around both and by the sentences they stand in.

use rustc_hash::FxHashMap;

use super::reading::{Reading, Sentence, Word};
use super::{SAME_SENTENCE, lexicon};

/// What a sentence says of one of its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Affirmed,
    Denied,
    /// Said of a test.
    Positive,
    /// Said of a test, whose being done it does not deny.
    Negative,
    /// Where the reach of a denial is not sure.
    Open,
}

/// Deny what follows.
const DENY_AFTER: &[&str] = &[
    "no", "without", "denied", "denies", "denying", "deny", "absence", "nor", "neither", "lack", "lacked", "lacks",
    "nil", "refused", "declined",
];
/// Deny the phrase they stand in.
const DENY_AROUND: &[&str] = &[
    "not", "never", "cannot", "unable", "didn", "wasn", "couldn", "isn", "weren", "hadn", "doesn", "hasn", "haven",
    "don", "aren",
];
/// Deny what stands before them.
const DENY_BEFORE: &[&str] = &["absent", "excluded"];
/// Leave open whether what follows is done.
const OPEN_AFTER: &[&str] =
    &["avoid", "avoided", "avoiding", "avoidance", "refrain", "against", "unless", "whether", "if"];
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
    "are",
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
    "despite",
    "followed",
    "as",
    "because",
    "so",
    "since",
];
/// Verbs that say whether something was there or done: "heparin was not given" denies the heparin.
const THERE: &[&str] = &[
    "used",
    "given",
    "required",
    "needed",
    "performed",
    "done",
    "found",
    "seen",
    "detected",
    "present",
    "identified",
    "noted",
    "observed",
    "started",
    "implanted",
    "received",
    "available",
    "administered",
    "necessary",
    "recorded",
    "reported",
    "visible",
    "palpable",
    "heard",
    "obtained",
    "measured",
    "tested",
    "indicated",
    "prescribed",
    "undertaken",
    "repeated",
];
/// Narrow what is denied: "no further bleeding" tells of bleeding.
const NARROWING: &[&str] = &[
    "family",
    "familial",
    "relative",
    "relatives",
    "maternal",
    "paternal",
    "mother",
    "father",
    "brother",
    "sister",
    "further",
    "prior",
    "previous",
    "previously",
    "other",
    "recurrent",
    "new",
    "residual",
    "ongoing",
    "active",
    "significant",
    "earlier",
    "past",
    "more",
    "additional",
    "another",
    "longer",
    "only",
    "obvious",
    "definite",
    "major",
    "marked",
    "acute",
    "regular",
    "sustained",
    "second",
    "subsequent",
    "specific",
    "clear",
    "gross",
    "overt",
    "evident",
    "usual",
    "large",
];
/// Words that the reach of a denial says nothing about.
const GRAMMAR: &[&str] = &[
    "the",
    "and",
    "was",
    "were",
    "with",
    "for",
    "had",
    "has",
    "have",
    "been",
    "his",
    "her",
    "she",
    "any",
    "that",
    "this",
    "from",
    "are",
    "did",
    "does",
    "but",
    "which",
    "who",
    "there",
    "their",
    "other",
    "than",
    "into",
    "upon",
    "patient",
    "evidence",
    "sign",
    "signs",
    "further",
    "also",
    "both",
    "such",
    "all",
    "due",
    "would",
    "could",
    "will",
    "may",
    "can",
    "its",
    "they",
    "history",
    "about",
    "after",
    "before",
    "during",
    "over",
    "under",
    "while",
    "when",
    "then",
    "only",
    "very",
    "showed",
    "revealed",
    "reported",
    "presented",
    "because",
    "since",
    "until",
    "day",
    "days",
    "week",
    "weeks",
    "month",
    "months",
    "year",
    "years",
    "hour",
    "hours",
    "left",
    "right",
    "noted",
    "positive",
    "note",
    "known",
    "case",
    "time",
    "well",
    "still",
    "yet",
];
/// Words on each side that tell how alike two mentions are.
const WINDOW: usize = 4;
/// What the sentences' overlap counts beside that.
const SENTENCE_WEIGHT: f32 = 4.0;

/// A text by what it says of its words.
#[derive(Debug, Clone, Default)]
pub(super) struct Chart {
    /// For each sentence, of each word.
    said: Vec<Vec<Said>>,
    /// Sentence and place of each word that can be denied, by its key.
    by_key: FxHashMap<String, Vec<(usize, usize)>>,
}

impl Chart {
    pub fn of(sentences: &[Sentence]) -> Self {
        let mut by_key: FxHashMap<String, Vec<(usize, usize)>> = FxHashMap::default();
        for (index, sentence) in sentences.iter().enumerate() {
            for (at, word) in sentence.words.iter().enumerate() {
                let Some(key) = key(word) else { continue };
                match by_key.get_mut(key) {
                    Some(places) => places.push((index, at)),
                    None => drop(by_key.insert(key.to_owned(), vec![(index, at)])),
                }
            }
        }
        Self { said: sentences.iter().map(said).collect(), by_key }
    }
}

/// A word that can be affirmed or denied, in one sentence.
struct Mention {
    said: Said,
    /// Under a narrowing word.
    narrowed: bool,
    at: usize,
}

/// For each word, whether the sentence denies it.
fn said(sentence: &Sentence) -> Vec<Said> {
    let words = &sentence.words;
    let mut said = vec![Said::Affirmed; words.len()];
    for (index, word) in words.iter().enumerate() {
        let text = word.text.as_str();
        let next = words.get(index + 1).map_or("", |next| next.text.as_str());
        if (text == "not" && matches!(next, "only" | "yet")) || (text == "no" && next == "longer") {
            continue;
        }
        if DENY_WITH.iter().any(|(first, second)| *first == text && *second == next) || DENY_AFTER.contains(&text) {
            mark_after(words, index, &mut said);
            // "The scan was declined", "stroke was ruled out".
            if matches!(text, "declined" | "refused" | "ruled") {
                mark_before(words, index, Said::Denied, &mut said);
            } else if text == "negative" {
                mark_before(words, index, Said::Open, &mut said);
            }
        } else if DENY_AROUND.contains(&text) {
            mark_around(words, index, &mut said);
        } else if DENY_BEFORE.contains(&text) {
            mark_before(words, index, Said::Denied, &mut said);
        } else if text == "negative" || text == "undetectable" {
            mark_before(words, index, Said::Negative, &mut said);
        } else if text == "positive" {
            mark_before(words, index, Said::Positive, &mut said);
        } else if OPEN_AFTER.contains(&text) {
            for at in index + 1..words.len() {
                if words[at].clause == word.clause {
                    set(&mut said[at], Said::Open);
                }
            }
        }
    }
    said
}

fn set(said: &mut Said, to: Said) {
    if *said != Said::Denied {
        *said = to;
    }
}

/// Up to the end of the clause or the next verb. Behind a comma only what "or" closes is denied for sure.
fn mark_after(words: &[Word], index: usize, said: &mut [Said]) {
    const SURE: usize = 7;
    let clause = words[index].clause;
    let ends = |at: usize| words[at].clause != clause || (at > index + 1 && ENDS.contains(&words[at].text.as_str()));
    let end = (index + 1..words.len()).find(|&at| ends(at)).unwrap_or(words.len());
    let last_or = (index + 1..end).rev().find(|&at| matches!(words[at].text.as_str(), "or" | "nor"));
    let mut since_mark = 0;
    let mut joined = false;
    for at in index + 1..end {
        let word = &words[at];
        if at > 0 && word.phrase != words[at - 1].phrase {
            since_mark = 0;
            joined = false;
        }
        since_mark += 1;
        joined |= word.text == "and";
        let listed = last_or.is_some_and(|last| at < last || word.phrase == words[last].phrase);
        let first = word.phrase == words[index].phrase && !joined;
        // "No treatment needed" and "needed no treatment" say the same.
        let verb = THERE.contains(&word.text.as_str());
        set(&mut said[at], if (listed || first) && since_mark <= SURE && !verb { Said::Denied } else { Said::Open });
    }
}

/// Back over the verb's phrase, forward to the clause's end or the next verb.
fn mark_around(words: &[Word], index: usize, said: &mut [Said]) {
    const SURE: usize = 4;
    let phrase = words[index].phrase;
    let ends = |word: &Word| word.phrase != phrase || word.text == "that" || ENDS.contains(&word.text.as_str());
    let there =
        words[index + 1..].iter().take(3).any(|word| THERE.contains(&word.text.as_str()) && word.phrase == phrase);
    for at in (0..index).rev() {
        // The verb that is denied stands right before.
        if ends(&words[at]) && (words[at].phrase != phrase || at + 2 < index) {
            break;
        }
        set(&mut said[at], if there && index - at <= SURE + 2 { Said::Denied } else { Said::Open });
    }
    let mut joined = false;
    for (at, word) in words.iter().enumerate().skip(index + 1) {
        if ends(word) && (word.phrase != phrase || at > index + 1) {
            break;
        }
        joined |= matches!(word.text.as_str(), "and" | "because" | "so");
        set(&mut said[at], if !joined && at - index <= SURE { Said::Denied } else { Said::Open });
    }
}

/// Back over what "were negative" is said of: a list as far as the clause goes, its last phrase for sure.
fn mark_before(words: &[Word], index: usize, to: Said, said: &mut [Said]) {
    const SURE: usize = 6;
    let (clause, phrase) = (words[index].clause, words[index].phrase);
    for at in (0..index).rev() {
        let text = words[at].text.as_str();
        let verb = matches!(text, "was" | "were" | "is" | "are");
        if words[at].clause != clause || (ENDS.contains(&text) && !(verb && at + 3 >= index)) {
            break;
        }
        set(&mut said[at], if words[at].phrase == phrase && index - at <= SURE { to } else { Said::Open });
    }
}

fn is_verb(word: &str) -> bool {
    const OTHERS: &[&str] =
        &["be", "been", "have", "shows", "gives", "needs", "does", "will", "can", "could", "may", "got", "took"];
    ENDS.contains(&word) || THERE.contains(&word) || OTHERS.contains(&word) || (word.len() > 4 && word.ends_with("ed"))
}

pub(super) fn is_cue(word: &str) -> bool {
    DENY_AFTER.contains(&word) || DENY_AROUND.contains(&word) || DENY_BEFORE.contains(&word)
}

/// What two words have in common if they mean the same; nothing where a word has nothing to deny.
fn key(word: &Word) -> Option<&str> {
    let text = word.text.as_str();
    let counts = text.len() >= 4 && text.starts_with(char::is_alphabetic) && !GRAMMAR.contains(&text) && !is_cue(text);
    if !counts {
        return None;
    }
    Some(if word.stem.is_empty() { text.strip_suffix('s').unwrap_or(text) } else { word.stem.as_str() })
}

fn mention(sentence: &Sentence, said: &[Said], at: usize) -> Mention {
    let before = &sentence.words[at.saturating_sub(3)..at];
    Mention { said: said[at], narrowed: before.iter().any(|word| NARROWING.contains(&word.text.as_str())), at }
}

/// Sentences of which some word is denied in the text and affirmed where it comes from, or the reverse.
pub(super) fn contradictions(text: &Reading, source: &Reading, overlaps: &[Vec<f32>], reworded: bool) -> Vec<String> {
    let contradicted = |(index, sentence): (usize, &Sentence)| -> Option<String> {
        if turned(sentence, source, &overlaps[index]) {
            return Some(format!("denials in {}", sentence.line.trim()));
        }
        let own = &text.polarity.said[index];
        // A list of names, or what an abbreviation stands for, says nothing of what it names.
        let naming = reworded && !sentence.words.iter().any(|word| is_verb(&word.text));
        let at = (0..sentence.words.len()).find(|&at| {
            let asked = mention(sentence, own, at);
            if naming && asked.said == Said::Affirmed {
                return false;
            }
            contradicts(sentence, &asked, source, &overlaps[index], reworded)
        })?;
        let word = if own[at] == Said::Denied { "denied" } else { "affirmed" };
        Some(format!("{} {word} in {}", sentence.words[at].text, sentence.line.trim()))
    };
    text.sentences.iter().enumerate().filter_map(contradicted).collect()
}

/// Whether a sentence that is the source's own, word for word, denies more or less often than there.
fn turned(sentence: &Sentence, source: &Reading, overlaps: &[f32]) -> bool {
    let cues = |sentence: &Sentence| sentence.words.iter().filter(|word| is_cue(&word.text)).count();
    let mut origins = source
        .sentences
        .iter()
        .zip(overlaps)
        .filter(|(_, overlap)| **overlap >= SAME_SENTENCE)
        .filter(|(origin, _)| origin.words.len().abs_diff(sentence.words.len()) * 5 <= sentence.words.len().max(10))
        .filter(|(origin, _)| sentence.copied_from(origin) >= 0.8)
        .map(|(origin, _)| cues(origin) == cues(sentence))
        .peekable();
    sentence.pairs.len() >= 2 && origins.peek().is_some() && !origins.any(|same| same)
}

fn contradicts(sentence: &Sentence, asked: &Mention, source: &Reading, overlaps: &[f32], reworded: bool) -> bool {
    let Some(wanted) = key(&sentence.words[asked.at]).filter(|_| asked.said != Said::Open) else { return false };
    let has_content = !sentence.words[asked.at].stem.is_empty();
    let (mut same, mut other): (Option<f32>, Option<f32>) = (None, None);
    for &(index, at) in source.polarity.by_key.get(wanted).map_or(&[][..], Vec::as_slice) {
        let candidate = &source.sentences[index];
        let found = mention(candidate, &source.polarity.said[index], at);
        let alike = likeness(sentence, asked.at, candidate, at) + SENTENCE_WEIGHT * overlaps[index];
        let opposite = opposed(asked.said, found.said) && found.narrowed == asked.narrowed;
        let best = if opposite { &mut other } else { &mut same };
        *best = Some(best.map_or(alike, |best| best.max(alike)));
    }
    let Some(other) = other else { return false };
    let alone = match asked.said {
        _ if !has_content => COMMON_ALONE,
        // What is denied may be something else that goes by a common word.
        Said::Denied => DENIED_ALONE,
        _ if lexicon::is_clinical(&sentence.words[asked.at].text) => 0.0,
        _ => ALONE,
    };
    let alone = if reworded { alone + REWORDED } else { alone };
    // Where the source says both, the closer one counts.
    match same {
        None => other >= alone,
        Some(same) => other >= same + CLOSER && other >= COMMON_ALONE,
    }
}

fn opposed(one: Said, other: Said) -> bool {
    let either = |left, right| (one == left && other == right) || (one == right && other == left);
    either(Said::Affirmed, Said::Denied)
        || either(Said::Positive, Said::Negative)
        || either(Said::Positive, Said::Denied)
}

/// Least likeness of the only mention, what a text in other words needs beside that, and by how much the opposite must be
/// the closer one.
const ALONE: f32 = 0.8;
const DENIED_ALONE: f32 = 1.5;
const COMMON_ALONE: f32 = 2.5;
const REWORDED: f32 = 0.7;
const CLOSER: f32 = 0.75;

/// Words that two mentions share around them.
fn likeness(own: &Sentence, at: usize, other: &Sentence, other_at: usize) -> f32 {
    fn around(sentence: &Sentence, at: usize) -> impl Iterator<Item = &str> {
        let range = at.saturating_sub(WINDOW)..(at + WINDOW + 1).min(sentence.words.len());
        range.filter(move |&near| near != at).filter_map(|near| key(&sentence.words[near]))
    }
    let nearby: Vec<&str> = around(other, other_at).collect();
    around(own, at).filter(|key| nearby.contains(key)).count() as f32
}
