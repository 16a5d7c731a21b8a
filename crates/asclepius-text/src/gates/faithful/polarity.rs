//! What a sentence denies.
//!
//! Each word is affirmed, denied or left open ([`said`]). A word of the text is held to the mention in the source that
//! is most like it, by the words around both and by the sentences they stand in.

mod reach;
mod words;

use std::hash::{Hash, Hasher};
use std::ops::BitOr;

use rustc_hash::{FxHashMap, FxHasher};

pub(super) use self::reach::Said;
use self::reach::said;
pub(super) use self::words::Roles;
use super::reading::{Reading, Sentence, Word};
use super::{SAME_SENTENCE, concepts, lexicon};

/// Words on each side that tell how alike two mentions are.
const WINDOW: usize = 4;
/// What the sentences' overlap counts beside that.
const SENTENCE_WEIGHT: f32 = 4.0;

/// What words that mean the same have in common.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct Key(u64);

impl Key {
    /// Of a word that has nothing to deny.
    const NONE: Self = Self(0);

    /// Of a word whose text, stem and roles are set.
    pub fn of(word: &Word) -> Self {
        let text = word.text.as_str();
        // A drug goes by all of its names.
        let generic = lexicon::generic(text);
        let counts = generic.is_some()
            || (word.sort.is_some() && !word.stem.is_empty())
            || text.len() >= 4 && text.starts_with(char::is_alphabetic) && !word.roles.any(Roles::GRAMMAR | Roles::CUE);
        if !counts || (word.joined && word.stem.is_empty()) {
            return Self::NONE;
        }
        let shared = if let Some(generic) = generic {
            generic
        } else if word.stem.is_empty() {
            text.strip_suffix('s').unwrap_or(text)
        } else {
            word.stem.as_str()
        };
        let mut hasher = FxHasher::default();
        shared.hash(&mut hasher);
        Self(hasher.finish().max(1))
    }
}

/// A text by what it says of its words.
#[derive(Debug, Clone, Default)]
pub(super) struct Chart {
    lines: Vec<Line>,
    /// Each word that can be denied.
    by_key: FxHashMap<Key, Places>,
}

/// One sentence, by word.
#[derive(Debug, Clone)]
struct Line {
    said: Vec<Said>,
    /// Under a narrowing word.
    narrowed: Vec<bool>,
    keys: Vec<Key>,
}

/// Where a word stands in a text: sentences, and places in them.
#[derive(Debug, Clone, Default)]
struct Places {
    all: Vec<(usize, usize)>,
    /// What is said of it at any of them, a bit for each of [`Said`], and the same again where it is narrowed.
    ever_said: u16,
}

impl Chart {
    pub fn of(sentences: &[Sentence]) -> Self {
        let mut chart = Self { lines: sentences.iter().map(Line::of).collect(), by_key: FxHashMap::default() };
        for (index, line) in chart.lines.iter().enumerate() {
            for (at, key) in line.keys.iter().enumerate().filter(|(_, key)| **key != Key::NONE) {
                let places = chart.by_key.entry(*key).or_default();
                places.all.push((index, at));
                places.ever_said |= bit(line.said[at], line.narrowed[at]);
            }
        }
        chart
    }

    /// Whether a sentence denies one of its words; nothing where that is not sure.
    pub fn denies(&self, sentence: usize, at: usize) -> Option<bool> {
        match self.lines.get(sentence)?.said.get(at)? {
            Said::Denied => Some(true),
            Said::Open => None,
            _ => Some(false),
        }
    }

    /// What a sentence says of one of its words.
    pub fn said(&self, sentence: usize, at: usize) -> Said {
        self.lines[sentence].said[at]
    }

    pub fn is_narrowed(&self, sentence: usize, at: usize) -> bool {
        self.lines[sentence].narrowed[at]
    }

    pub fn keys(&self, sentence: usize) -> &[Key] {
        &self.lines[sentence].keys
    }

    /// Where a word stands: sentences, and places in them.
    pub fn places(&self, key: Key) -> &[(usize, usize)] {
        self.by_key.get(&key).map_or(&[], |places| places.all.as_slice())
    }

    /// This chart with that of the text behind it.
    pub fn append(&mut self, other: Self) {
        let shift = self.lines.len();
        self.lines.extend(other.lines);
        for (key, places) in other.by_key {
            let own = self.by_key.entry(key).or_default();
            own.all.extend(places.all.into_iter().map(|(index, at)| (index + shift, at)));
            own.ever_said |= places.ever_said;
        }
    }
}

impl Line {
    fn of(sentence: &Sentence) -> Self {
        let narrowed = |at: usize| {
            let before = &sentence.words[at.saturating_sub(3)..at];
            before.iter().any(|word| word.roles.any(Roles::NARROWS))
        };
        Self {
            said: said(sentence),
            narrowed: (0..sentence.words.len()).map(narrowed).collect(),
            keys: sentence.words.iter().map(|word| word.key).collect(),
        }
    }

    fn mention(&self, at: usize) -> Mention {
        Mention { said: self.said[at], narrowed: self.narrowed[at], at }
    }
}

fn bit(said: Said, narrowed: bool) -> u16 {
    1 << (said as u16 + if narrowed { 8 } else { 0 })
}

/// A word that can be affirmed or denied, in one sentence.
struct Mention {
    said: Said,
    /// Under a narrowing word.
    narrowed: bool,
    at: usize,
}

/// Whether a word makes a statement of what it stands in.
pub(super) fn is_verb(word: &Word) -> bool {
    const OTHERS: &[&str] =
        &["be", "been", "have", "shows", "gives", "needs", "does", "will", "can", "could", "may", "got", "took"];
    let text = word.text.as_str();
    word.roles.any(Roles::ENDS | Roles::THERE) || OTHERS.contains(&text) || (text.len() > 4 && text.ends_with("ed"))
}

/// Sentences of which some word is denied in the text and affirmed where it comes from, or the reverse.
pub(super) fn contradictions(
    text: &Reading,
    source: &Reading,
    overlaps: &[Vec<f32>],
    own_words: &[bool],
) -> Vec<String> {
    let contradicted = |(index, sentence): (usize, &Sentence)| -> Option<String> {
        if turned(sentence, source, &overlaps[index]) {
            return Some(format!("denials in {}", sentence.line.trim()));
        }
        let own = &text.polarity.lines[index];
        if own_words[index] {
            return None;
        }
        let at = (0..sentence.words.len())
            .find(|&at| contradicts(sentence, own, &own.mention(at), source, &overlaps[index]))?;
        let word = if own.said[at] == Said::Denied { "denied" } else { "affirmed" };
        Some(format!("{} {word} in {}", sentence.words[at].text, sentence.line.trim()))
    };
    text.sentences.iter().enumerate().filter_map(contradicted).collect()
}

/// Whether a sentence that is the source's own, word for word, denies more or less often than there.
fn turned(sentence: &Sentence, source: &Reading, overlaps: &[f32]) -> bool {
    let cues = |sentence: &Sentence| sentence.words.iter().filter(|word| word.roles.is_cue()).count();
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

fn contradicts(sentence: &Sentence, line: &Line, asked: &Mention, source: &Reading, overlaps: &[f32]) -> bool {
    let absence = sentence.words[asked.at].sort == Some(concepts::Sort::Absence);
    if line.keys[asked.at] == Key::NONE || asked.said == Said::Open || absence {
        return false;
    }
    let Some(places) = source.polarity.by_key.get(&line.keys[asked.at]) else { return false };
    if places.ever_said & opposites(asked) == 0 {
        return false;
    }
    let has_content = !sentence.words[asked.at].stem.is_empty();
    let (mut same, mut other, mut wider): (Option<f32>, Option<f32>, Option<f32>) = (None, None, None);
    for &(index, at) in &places.all {
        let candidate = &source.polarity.lines[index];
        let found = candidate.mention(at);
        let alike = likeness(&line.keys, asked.at, &candidate.keys, at) + SENTENCE_WEIGHT * overlaps[index];
        let against = opposed(asked.said, found.said);
        // "No previous falls" and no fall elsewhere: then there was none.
        let best = if against && found.narrowed == asked.narrowed {
            &mut other
        } else if against && found.narrowed && asked.said == Said::Affirmed {
            &mut wider
        } else {
            &mut same
        };
        *best = Some(best.map_or(alike, |best| best.max(alike)));
    }
    let Some(other) = other.or(wider.filter(|_| same.is_none())) else { return false };
    let alone = match asked.said {
        _ if !has_content => COMMON_ALONE,
        Said::Denied => DENIED_ALONE,
        _ if is_clinical(&sentence.words[asked.at].text) => 0.0,
        _ => ALONE,
    };
    // Where the source says both, the closer one counts.
    match same {
        None => other >= alone,
        Some(same) => other >= same + CLOSER && other >= COMMON_ALONE,
    }
}

/// "Asthmatic" as much as asthma.
fn is_clinical(word: &str) -> bool {
    lexicon::is_clinical(word) || concepts::of(word).is_some_and(lexicon::is_clinical)
}

fn opposed(one: Said, other: Said) -> bool {
    let either = |left, right| (one == left && other == right) || (one == right && other == left);
    either(Said::Affirmed, Said::Denied)
        || either(Said::Positive, Said::Negative)
        || either(Said::Positive, Said::Denied)
}

/// What would have to be said of the word somewhere to speak against a mention, as [`bit`]s.
fn opposites(asked: &Mention) -> u16 {
    let against = Said::ALL.iter().filter(|other| opposed(asked.said, **other));
    let wider = asked.said == Said::Affirmed;
    let bits = |other: &Said| bit(*other, asked.narrowed) | if wider { bit(*other, true) } else { 0 };
    against.map(bits).fold(0, BitOr::bitor)
}

/// Least likeness of the only mention, and by how much the opposite must be the closer one.
const ALONE: f32 = 0.8;
const DENIED_ALONE: f32 = 1.5;
const COMMON_ALONE: f32 = 2.5;
const CLOSER: f32 = 0.75;

/// Words that two mentions share around them.
pub(super) fn likeness(own: &[Key], at: usize, other: &[Key], other_at: usize) -> f32 {
    fn around(keys: &[Key], at: usize) -> (&[Key], &[Key]) {
        (&keys[at.saturating_sub(WINDOW)..at], &keys[at + 1..(at + WINDOW + 1).min(keys.len())])
    }
    let (before, after) = around(other, other_at);
    let shared = |key: &&Key| **key != Key::NONE && (before.contains(key) || after.contains(key));
    let (own_before, own_after) = around(own, at);
    own_before.iter().chain(own_after).filter(shared).count() as f32
}
