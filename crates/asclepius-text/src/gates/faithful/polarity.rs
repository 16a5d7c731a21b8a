//! What a sentence denies.
//!
//! Each word is affirmed, denied or left open ([`said`]). A word of the text is held to the mention in the source that
//! is most like it, by the words around both and by the sentences they stand in.

mod words;

use std::hash::{Hash, Hasher};
use std::ops::BitOr;

use rustc_hash::{FxHashMap, FxHasher};

use self::words::DENY_WITH;
pub(super) use self::words::Roles;
use super::reading::{Reading, Sentence, Word};
use super::{SAME_SENTENCE, concepts, lexicon};

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

impl Said {
    const ALL: [Self; 5] = [Self::Affirmed, Self::Denied, Self::Positive, Self::Negative, Self::Open];
}

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
            || text.len() >= 4 && text.starts_with(char::is_alphabetic) && !word.roles.any(Roles::GRAMMAR | Roles::CUE);
        if !counts {
            return Self::NONE;
        }
        let shared = if let Some(generic) = generic.or_else(|| concepts::of(text)) {
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

    /// Whether a denied word qualifies the next one, which is what is denied.
    fn qualifies(&self, sentence: &Sentence, at: usize) -> bool {
        let (word, next) = (&sentence.words[at], sentence.words.get(at + 1));
        next.is_some_and(|next| {
            self.said[at + 1] == Said::Denied
                && next.phrase == word.phrase
                && !next.stem.is_empty()
                && self.keys[at + 1] != Key::NONE
        })
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

/// For each word, whether the sentence denies it.
fn said(sentence: &Sentence) -> Vec<Said> {
    let words = &sentence.words;
    let mut said = vec![Said::Affirmed; words.len()];
    for (index, word) in words.iter().enumerate() {
        if !word.roles.any(Roles::TURNS) {
            continue;
        }
        let text = word.text.as_str();
        let next = words.get(index + 1).map_or("", |next| next.text.as_str());
        if (text == "not" && matches!(next, "only" | "yet")) || (text == "no" && next == "longer") {
            continue;
        }
        if text == "non" {
            if let Some(said) = said.get_mut(index + 1) {
                set(said, Said::Denied);
            }
            continue;
        }
        if DENY_WITH.iter().any(|(first, second)| *first == text && *second == next)
            || word.roles.any(Roles::DENIES_AFTER)
        {
            mark_after(words, index, &mut said);
            // "The scan was declined", "stroke was ruled out".
            if matches!(text, "declined" | "refused" | "ruled") {
                mark_before(words, index, Said::Denied, &mut said);
            } else if text == "negative" {
                mark_before(words, index, Said::Open, &mut said);
            }
        } else if word.roles.any(Roles::DENIES_AROUND) {
            mark_around(words, index, &mut said);
        } else if word.roles.any(Roles::DENIES_BEFORE) {
            // "Imaging excluded thrombosis" denies what follows, "thrombosis was excluded" what stands before.
            let passive = index > 0 && matches!(words[index - 1].text.as_str(), "was" | "were" | "been" | "is" | "are");
            let object =
                words.get(index + 1).filter(|next| next.phrase == word.phrase && !next.roles.any(Roles::PLACES));
            match object {
                Some(_) if text == "avoided" && !passive => mark_open(words, index, &mut said),
                Some(_) if text == "excluded" && !passive => mark_after(words, index, &mut said),
                _ => mark_before(words, index, Said::Denied, &mut said),
            }
        } else if text == "free" && words.get(index + 1).is_none_or(|next| ends_free(word, next)) {
            mark_before(words, index, Said::Denied, &mut said);
        } else if text == "negative" || text == "undetectable" {
            mark_before(words, index, Said::Negative, &mut said);
        } else if text == "positive" {
            mark_before(words, index, Said::Positive, &mut said);
        } else if word.roles.any(Roles::OPENS) {
            mark_open(words, index, &mut said);
        }
    }
    said
}

/// "Headache-free at two years": what is free is no free fluid.
fn ends_free(word: &Word, next: &Word) -> bool {
    next.phrase != word.phrase
        || next.roles.any(Roles::PLACES)
        || matches!(next.text.as_str(), "for" | "since" | "after")
}

/// The rest of the clause.
fn mark_open(words: &[Word], index: usize, said: &mut [Said]) {
    for at in index + 1..words.len() {
        if words[at].clause == words[index].clause {
            set(&mut said[at], Said::Open);
        }
    }
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
    let ends = |at: usize| words[at].clause != clause || (at > index + 1 && words[at].roles.any(Roles::ENDS));
    let end = (index + 1..words.len()).find(|&at| ends(at)).unwrap_or(words.len());
    // "No platelets were given": the verb goes with what is denied.
    let copula = |word: &Word| word.clause == clause && matches!(word.text.as_str(), "was" | "were" | "is" | "are");
    if words.get(end).is_some_and(copula) {
        for said in said.iter_mut().skip(end + 1).take(3) {
            set(said, Said::Open);
        }
    }
    // "No stool for six days" is over.
    let lasting = (index + 1..end).any(|at| {
        matches!(words[at].text.as_str(), "for" | "since")
            && words.get(at + 1).is_some_and(|next| next.text.starts_with(|first: char| first.is_ascii_digit()))
    });
    if lasting {
        for said in &mut said[index + 1..end] {
            set(said, Said::Open);
        }
        return;
    }
    let last_or = (index + 1..end).rev().find(|&at| matches!(words[at].text.as_str(), "or" | "nor"));
    let mut since_mark = 0;
    let mut joined = false;
    let mut placed = false;
    for at in index + 1..end {
        let word = &words[at];
        if at > 0 && word.phrase != words[at - 1].phrase {
            since_mark = 0;
            joined = false;
            placed = false;
        }
        since_mark += 1;
        // "No ring at the slit lamp" denies no lamp.
        placed |= word.roles.any(Roles::PLACES) || word.text == "to";
        joined |= word.text == "and" || word.roles.any(Roles::PLACES);
        let listed = last_or.is_some_and(|last| at < last || word.phrase == words[last].phrase);
        let first = word.phrase == words[index].phrase && !joined;
        // "No treatment needed" and "needed no treatment" say the same.
        let verb = word.roles.any(Roles::THERE);
        set(
            &mut said[at],
            if (listed || first) && since_mark <= SURE && !verb && !placed { Said::Denied } else { Said::Open },
        );
    }
}

/// Back over the verb's phrase, forward to the clause's end or the next verb.
fn mark_around(words: &[Word], index: usize, said: &mut [Said]) {
    const SURE: usize = 4;
    const LISTED: usize = 14;
    let phrase = words[index].phrase;
    let mut reached = index;
    let ends = |word: &Word| word.phrase != phrase || word.text == "that" || word.roles.any(Roles::ENDS);
    let there = words[index + 1..].iter().take(3).any(|word| word.roles.any(Roles::THERE) && word.phrase == phrase);
    let mut listed = false;
    for at in (0..index).rev() {
        let here = words[at].phrase == phrase;
        let verb = words[at].text == "that" || words[at].roles.any(Roles::ENDS);
        // The verb that is denied stands right before; of a list before it not all may be meant.
        let across = there && words[at].clause == words[index].clause;
        if !(here || across) || (verb && at + 2 < index) {
            break;
        }
        listed |= !here;
        reached = at;
        set(&mut said[at], if there && !listed && index - at <= SURE + 2 { Said::Denied } else { Said::Open });
    }
    // "Fever, rash and cough did not occur": with nothing but the list before it, all of it is meant.
    let begins = reached == 0 || words[reached - 1].clause != words[index].clause;
    if listed && begins && index - reached <= LISTED {
        said[reached..index].fill(Said::Denied);
    }
    let mut joined = false;
    for (at, word) in words.iter().enumerate().skip(index + 1) {
        if ends(word) && (word.phrase != phrase || at > index + 1) {
            break;
        }
        joined |= matches!(word.text.as_str(), "and" | "because" | "so" | "for" | "with" | "to" | "of")
            || word.roles.any(Roles::PLACES);
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
        if words[at].clause != clause || (words[at].roles.any(Roles::ENDS) && !(verb && at + 3 >= index)) {
            break;
        }
        set(&mut said[at], if words[at].phrase == phrase && index - at <= SURE { to } else { Said::Open });
    }
}

fn is_verb(word: &Word) -> bool {
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
    reworded: bool,
    own_words: &[bool],
) -> Vec<String> {
    let contradicted = |(index, sentence): (usize, &Sentence)| -> Option<String> {
        if turned(sentence, source, &overlaps[index]) {
            return Some(format!("denials in {}", sentence.line.trim()));
        }
        let own = &text.polarity.lines[index];
        // A list of names, or what an abbreviation stands for, says nothing of what it names.
        let naming = reworded && !sentence.words.iter().any(is_verb);
        let at = (0..sentence.words.len()).find(|&at| {
            let asked = own.mention(at);
            if naming && asked.said == Said::Affirmed {
                return false;
            }
            // "No pulmonary embolism" denies the embolism.
            if own_words[index] && asked.said == Said::Denied && own.qualifies(sentence, at) {
                return false;
            }
            let manner = Manner { reworded, own_words: own_words[index] };
            contradicts(sentence, own, &asked, source, &overlaps[index], manner)
        })?;
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

/// How a sentence stands to its source.
#[derive(Clone, Copy)]
struct Manner {
    /// The text was asked to use words of its own.
    reworded: bool,
    /// The sentence does.
    own_words: bool,
}

fn contradicts(
    sentence: &Sentence,
    line: &Line,
    asked: &Mention,
    source: &Reading,
    overlaps: &[f32],
    manner: Manner,
) -> bool {
    if line.keys[asked.at] == Key::NONE || asked.said == Said::Open {
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
        if manner.own_words && found.said == Said::Denied && candidate.qualifies(&source.sentences[index], at) {
            continue;
        }
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
        // What is denied may be something else that goes by a common word.
        Said::Denied if manner.own_words => OWN_WORDS_ALONE,
        Said::Denied => DENIED_ALONE,
        _ if is_clinical(&sentence.words[asked.at].text) => 0.0,
        // What the source only ever denies, in whatever words.
        Said::Affirmed if manner.own_words && same.is_none() => ONLY_DENIED,
        _ if manner.own_words => OWN_WORDS_ALONE,
        _ => ALONE,
    };
    let alone = if manner.reworded { alone + REWORDED } else { alone };
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

/// Least likeness of the only mention, what a text in other words needs beside that, and by how much the opposite must be
/// the closer one.
const ALONE: f32 = 0.8;
const DENIED_ALONE: f32 = 1.5;
const OWN_WORDS_ALONE: f32 = 2.5;
const ONLY_DENIED: f32 = 1.2;
const COMMON_ALONE: f32 = 2.5;
const REWORDED: f32 = 0.7;
const CLOSER: f32 = 0.75;

/// Words that two mentions share around them.
fn likeness(own: &[Key], at: usize, other: &[Key], other_at: usize) -> f32 {
    fn around(keys: &[Key], at: usize) -> (&[Key], &[Key]) {
        (&keys[at.saturating_sub(WINDOW)..at], &keys[at + 1..(at + WINDOW + 1).min(keys.len())])
    }
    let (before, after) = around(other, other_at);
    let shared = |key: &&Key| **key != Key::NONE && (before.contains(key) || after.contains(key));
    let (own_before, own_after) = around(own, at);
    own_before.iter().chain(own_after).filter(shared).count() as f32
}
