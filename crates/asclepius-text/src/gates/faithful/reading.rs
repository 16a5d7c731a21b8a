//! A text as the faithfulness gates read it: sentences of lower-case words, shorthand written out, numbers in figures.

use std::hash::{Hash, Hasher};

use rustc_hash::{FxHashMap, FxHashSet};

use super::quantities::{self, Quantity};
use super::shorthand::{EXPANDED, write_out};
use super::{concepts, lexicon, polarity};
use crate::gates::dates::{self, Date};
use crate::{sentences, shingles};

/// One word.
#[derive(Debug, Clone)]
pub(super) struct Word {
    /// In lower case, numerals as figures, American spelling.
    pub text: String,
    /// What words of one family share; empty for words without content.
    pub stem: String,
    /// Counts what ends a clause before the word: marks other than commas, and words such as "but".
    pub clause: u16,
    /// The same with commas.
    pub phrase: u16,
    /// Written in capitals throughout.
    pub capitals: bool,
    /// What the table says that an abbreviation stands for, and where the text has the abbreviation.
    pub expanded: bool,
    /// What the tables say that it names.
    pub sort: Option<concepts::Sort>,
    /// Part of a phrase that means one thing; the first word has the stem of that.
    pub joined: bool,
    /// What it does to words around it when a sentence denies.
    pub roles: polarity::Roles,
    /// What it shares with words that mean the same, if it can be denied.
    pub key: polarity::Key,
}

impl Word {
    fn new(text: String, (stem, sort): (String, Option<concepts::Sort>), at: &Position, capitals: bool) -> Self {
        let Position { clause, phrase, expanded, .. } = *at;
        // "NPO", be it nothing by mouth or a marker, denies nothing.
        let named = expanded && text == "nothing";
        let roles = if named { polarity::Roles::default() } else { polarity::Roles::of(&text) };
        Self {
            text,
            stem,
            clause,
            phrase,
            capitals,
            expanded,
            sort,
            joined: false,
            roles,
            key: polarity::Key::default(),
        }
    }
}

/// What has been read before a word.
#[derive(Debug, Default)]
struct Position {
    clause: u16,
    phrase: u16,
    expanded: bool,
    /// Within brackets that hold nothing but an abbreviation.
    in_name: bool,
}

/// One sentence.
#[derive(Debug, Clone, Default)]
pub(super) struct Sentence {
    pub words: Vec<Word>,
    /// The words with one space between them, marks kept: what the patterns for quantities read.
    pub line: String,
    /// Stems of the words with content, each once.
    pub content: Vec<String>,
    /// What it counts and measures, in order.
    pub quantities: Vec<Quantity>,
    /// Dates, each read in every way it can be; of them only month and year stand in the line.
    pub dates: Vec<Vec<Date>>,
    /// Hashes of neighbouring words, those that deny left out, sorted: how much of it is another sentence's.
    pub pairs: Vec<u64>,
}

impl Sentence {
    /// The share of this sentence's neighbouring words that are neighbours in `other`.
    pub fn copied_from(&self, other: &Self) -> f32 {
        shingles::common(&self.pairs, &other.pairs) as f32 / self.pairs.len().max(1) as f32
    }
}

fn pairs(words: &[Word]) -> Vec<u64> {
    let hash = |word: &Word| {
        let mut hasher = rustc_hash::FxHasher::default();
        word.text.hash(&mut hasher);
        hasher.finish()
    };
    let plain: Vec<u64> = words.iter().filter(|word| !word.roles.is_cue()).map(hash).collect();
    let mut pairs: Vec<u64> = plain.windows(2).map(|pair| pair[0].rotate_left(17) ^ pair[1]).collect();
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

/// A text, read once for all gates.
#[derive(Debug, Clone)]
pub struct Reading {
    pub(super) sentences: Vec<Sentence>,
    /// Sentences by the stem of a content word.
    pub(super) by_stem: FxHashMap<String, Vec<usize>>,
    /// Every word.
    pub(super) known: FxHashSet<String>,
    /// What each sentence says of each word, and where each word that can be denied stands.
    pub(super) polarity: polarity::Chart,
}

impl Reading {
    /// Reads a text.
    pub fn of(text: &str) -> Self {
        // Split first: what an abbreviation stands for does not begin like a sentence.
        let lines = sentences::split(text).into_iter().flat_map(|sentence| sentence.split('\n'));
        let sentence = |line: &str| {
            let dates = dates::find(line);
            let plain = dates::replaced(line, &dates, dates::Found::month_and_year);
            Sentence { dates: dates.into_iter().map(|date| date.readings).collect(), ..read(&write_out(&plain)) }
        };
        let sentences: Vec<Sentence> = lines.map(sentence).collect();
        let mut by_stem: FxHashMap<String, Vec<usize>> = FxHashMap::default();
        let mut known: FxHashSet<String> = FxHashSet::default();
        for (index, sentence) in sentences.iter().enumerate() {
            for word in &sentence.words {
                if !known.contains(word.text.as_str()) {
                    known.insert(word.text.clone());
                }
            }
            for stem in &sentence.content {
                match by_stem.get_mut(stem) {
                    Some(places) => places.push(index),
                    None => drop(by_stem.insert(stem.clone(), vec![index])),
                }
            }
        }
        let polarity = polarity::Chart::of(&sentences);
        Self { sentences, by_stem, known, polarity }
    }

    /// This text with another one after it.
    #[must_use]
    pub fn followed_by(self, other: Self) -> Self {
        let mut whole = self;
        let shift = whole.sentences.len();
        whole.sentences.extend(other.sentences);
        whole.polarity.append(other.polarity);
        whole.known.extend(other.known);
        for (stem, sentences) in other.by_stem {
            whole.by_stem.entry(stem).or_default().extend(sentences.into_iter().map(|at| at + shift));
        }
        whole
    }

    /// Whether a word occurs, or one that begins with it, or its own beginning: wards shorten words that way.
    pub(super) fn knows_word(&self, word: &str) -> bool {
        let shortened = |one: &str, other: &str| {
            one.len() >= 3 && other.len() >= one.len() + 2 && other.starts_with(one) && lexicon::is_content(one)
        };
        self.known.contains(word) || self.known.iter().any(|known| shortened(word, known) || shortened(known, word))
    }

    /// For each sentence of this text, the share of `asked`'s content that it holds.
    pub(super) fn overlaps(&self, asked: &Sentence) -> Vec<f32> {
        let mut counts = vec![0_u32; self.sentences.len()];
        for stem in &asked.content {
            for &index in self.by_stem.get(stem).map_or(&[][..], Vec::as_slice) {
                counts[index] += 1;
            }
        }
        let total = asked.content.len().max(1) as f32;
        counts.into_iter().map(|count| count as f32 / total).collect()
    }
}

/// Words that turn from one clause to the next.
const TURNS: &[&str] =
    &["but", "however", "although", "though", "except", "whereas", "while", "which", "who", "because", "yet"];

fn read(sentence: &str) -> Sentence {
    let mut words: Vec<Word> = Vec::new();
    let mut line = String::with_capacity(sentence.len());
    let mut rest = sentence;
    let mut position = Position::default();
    while let Some(first) = rest.chars().next() {
        let end = if first.is_ascii_digit() {
            figure_end(rest)
        } else if first.is_alphabetic() {
            rest.find(|character: char| !character.is_alphabetic()).unwrap_or(rest.len())
        } else {
            if first == EXPANDED {
                position.expanded = !position.expanded;
                rest = &rest[first.len_utf8()..];
                continue;
            }
            // "After #4" counts sessions, and nothing of the report's.
            if first == '#' && rest[1..].starts_with(|next: char| next.is_ascii_digit()) {
                rest = rest[1..].trim_start_matches(|next: char| next.is_ascii_digit());
                continue;
            }
            let mark = plain_mark(first);
            let stop = mark == '.' && rest[first.len_utf8()..].starts_with(char::is_whitespace);
            // "No costovertebral angle (CVA) tenderness" is one phrase.
            let named = mark == '(' && is_abbreviation(&rest[1..]);
            let closes_name = mark == ')' && position.in_name;
            position.in_name = named || (position.in_name && !closes_name);
            let marks_clause = matches!(mark, ';' | ':' | '(' | ')' | '?' | '!' | '[' | ']');
            let ends_clause = stop || (marks_clause && !named && !closes_name);
            position.clause += u16::from(ends_clause);
            position.phrase += u16::from(ends_clause || mark == ',');
            line.push(mark);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        let text = plain_word(&rest[..end]);
        let capitals = rest[..end].bytes().all(|letter| letter.is_ascii_uppercase());
        rest = &rest[end..];
        // "twenty-five" is one number.
        if let (Some(unit), Some(last)) = (numeral(&text).filter(|unit| (1..10).contains(unit)), words.last_mut()) {
            let tens = last.text.parse::<u32>().ok().filter(|tens| *tens >= 20 && tens % 10 == 0 && *tens < 100);
            // One mark of one byte stands between them.
            let before = line.strip_suffix(['-', ' ']).and_then(|line| line.strip_suffix(last.text.as_str()));
            if let Some((tens, length)) = tens.zip(before.map(str::len)).filter(|_| last.stem == "numeral") {
                line.truncate(length);
                last.text = (tens + unit).to_string();
                line.push_str(&last.text);
                continue;
            }
        }
        if TURNS.contains(&text.as_str()) {
            position.clause += 1;
            position.phrase += 1;
        }
        let word = match numeral(&text) {
            Some(value) => Word::new(value.to_string(), ("numeral".to_owned(), None), &position, capitals),
            None => {
                let meaning = meaning(&text);
                Word::new(text, meaning, &position, capitals)
            }
        };
        line.push_str(&word.text);
        words.push(word);
    }
    concepts::join_phrases(&mut words);
    for word in &mut words {
        if word.stem == "numeral" {
            word.stem.clear();
        }
        word.key = polarity::Key::of(word);
    }
    let mut content: Vec<String> = words.iter().map(|word| word.stem.clone()).filter(|stem| !stem.is_empty()).collect();
    content.sort_unstable();
    content.dedup();
    let quantities = quantities::find(&line);
    let pairs = pairs(&words);
    Sentence { words, line, content, quantities, dates: Vec::new(), pairs }
}

/// Whether brackets that have just opened hold nothing but an abbreviation, and the sentence goes on.
fn is_abbreviation(after: &str) -> bool {
    const LONGEST: usize = 8;
    let Some((inner, rest)) = after.split_once(')') else { return false };
    let written_out = inner.starts_with(EXPANDED) && inner.ends_with(EXPANDED);
    let capitals = inner.bytes().filter(u8::is_ascii_uppercase).count();
    let plain = inner.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let goes_on = rest.starts_with(' ') && rest[1..].starts_with(|next: char| next.is_ascii_lowercase());
    (written_out || (inner.len() <= LONGEST && capitals >= 2 && plain)) && goes_on
}

fn figure_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut end = 0;
    while digit(end) || (end > 0 && matches!(bytes.get(end), Some(b'.' | b',')) && digit(end - 1) && digit(end + 1)) {
        end += 1;
    }
    end
}

fn plain_mark(mark: char) -> char {
    match mark {
        '–' | '—' | '‐' | '‑' | '−' => '-',
        '\u{a0}' | '\u{2009}' | '\u{202f}' | '\t' => ' ',
        'µ' | 'μ' => 'u',
        '·' => '.',
        other => other,
    }
}

/// Lower case, American spelling.
pub(super) fn plain_word(word: &str) -> String {
    let lower =
        if word.is_ascii() { word.to_ascii_lowercase() } else { word.to_lowercase().replace(['µ', 'μ'], "u") };
    let spelt_otherwise = lower.as_bytes().windows(2).any(|pair| matches!(pair, b"ae" | b"oe" | b"is" | b"ou"));
    if lower.len() < 5 || !spelt_otherwise || lower.ends_with("oes") || lower.ends_with("oesn") {
        return lower;
    }
    let plain = lower
        .replace("ae", "e")
        .replace("oe", "e")
        .replace("isation", "ization")
        .replace("ising", "izing")
        .replace("ised", "ized");
    if plain.ends_with("our") && plain.len() == 6 { plain.replace("our", "or") } else { plain }
}

/// The stem of what a word means, empty for words without content, and what it names.
fn meaning(word: &str) -> (String, Option<concepts::Sort>) {
    let plain = || if lexicon::is_content(word) { stem(word) } else { String::new() };
    concepts::read(word).map_or_else(|| (plain(), None), |(stem, sort)| (stem, Some(sort)))
}

/// What the words of one family begin with.
pub(super) fn stem(word: &str) -> String {
    let word =
        word.strip_suffix("ies").or_else(|| word.strip_suffix("es")).or_else(|| word.strip_suffix('s')).unwrap_or(word);
    let word =
        word.strip_suffix("ing").or_else(|| word.strip_suffix("ed")).filter(|stem| stem.len() >= 4).unwrap_or(word);
    word.chars().take(7).collect::<String>().trim_end_matches(['y', 'i', 'e', 'a', 'o', 'u']).to_owned()
}

pub(super) fn numeral(word: &str) -> Option<u32> {
    // Ordinals are left: "the first".
    let value = match word {
        "zero" => 0,
        "one" => 1,
        "two" => 2,
        "three" => 3,
        "four" => 4,
        "five" => 5,
        "six" => 6,
        "seven" => 7,
        "eight" => 8,
        "nine" => 9,
        "ten" => 10,
        "eleven" => 11,
        "twelve" => 12,
        "thirteen" => 13,
        "fourteen" => 14,
        "fifteen" => 15,
        "sixteen" => 16,
        "seventeen" => 17,
        "eighteen" => 18,
        "nineteen" => 19,
        "twenty" => 20,
        "thirty" => 30,
        "forty" => 40,
        "fifty" => 50,
        "sixty" => 60,
        "seventy" => 70,
        "eighty" => 80,
        "ninety" => 90,
        _ => return None,
    };
    Some(value)
}
