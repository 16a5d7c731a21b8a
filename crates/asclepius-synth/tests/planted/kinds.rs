//! The kinds of error, and where each can be planted in a text.

use std::ops::Range;

use regex::{Captures, Regex};

/// Most errors of one kind in one text, spread over it.
pub const PER_TEXT: usize = 6;

/// An error kind: its name, where it can be planted, and what stands there afterwards.
pub struct Kind {
    pub name: &'static str,
    pattern: Regex,
    change: fn(&Captures<'_>) -> Option<String>,
}

fn kind(name: &'static str, pattern: &str, change: fn(&Captures<'_>) -> Option<String>) -> Kind {
    Kind { name, pattern: Regex::new(pattern).expect("a pattern"), change }
}

/// Another figure of the same shape.
fn other_figure(figure: &str) -> String {
    let value: f64 = figure.parse().unwrap_or(1.0);
    let places = figure.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let changed = if value >= 10.0 { value * 1.5 } else { value * 3.0 };
    format!("{changed:.places$}")
}

fn swap(word: &str, pairs: &[(&str, &str)]) -> Option<String> {
    let lower = word.to_lowercase();
    let to = pairs.iter().find_map(|(a, b)| {
        if *a == lower {
            Some(*b)
        } else if *b == lower {
            Some(*a)
        } else {
            None
        }
    })?;
    if word.starts_with(char::is_uppercase) {
        let mut letters = to.chars();
        return letters.next().map(|first| first.to_uppercase().chain(letters).collect());
    }
    Some(to.to_owned())
}

pub fn kinds() -> Vec<Kind> {
    const DRUG: &str = r"(?i)\b(?:aspirin|ASA|heparin|warfarin|amoxicillin|vancomycin|ceftriaxone|cefazolin|metronidazole|prednisone|prednisolone|methylprednisolone|dexamethasone|hydrocortisone|furosemide|metformin|enoxaparin|clopidogrel|atorvastatin|amlodipine|lisinopril|metoprolol|levetiracetam|methotrexate|rituximab|cyclophosphamide|acyclovir|ciprofloxacin|levofloxacin|doxycycline|azithromycin|morphine|fentanyl|propofol|ketamine|insulin|levothyroxine|omeprazole|pantoprazole|ibuprofen|acetaminophen|paracetamol|tacrolimus|fluconazole|apixaban|rivaroxaban|clindamycin|meropenem|colchicine|infliximab|epinephrine|norepinephrine|midazolam|lidocaine|bupivacaine|[a-z]{3,}(?:cillin|mycin|floxacin|prazole|olol|statin|mab|tinib))\b";
    vec![
        kind(
            "dose or measurement",
            r"\b(\d+(?:\.\d+)?)(\s?(?:mg|g|mcg|mL|ml|mmHg|g/dL|mg/dL|mmol/L|U/L|cm|mm|units|IU|%)\b)",
            |hit| Some(format!("{}{}", other_figure(&hit[1]), &hit[2])),
        ),
        kind("bare number", r"\b(\d{2,}(?:\.\d+)?)( [a-z])", |hit| {
            Some(format!("{}{}", other_figure(&hit[1]), &hit[2]))
        }),
        kind("unit", r"\b(\d+(?:\.\d+)?\s?)(mg/dL|mg|mcg|µg|g/dL|g|mL|L|cm|mm|mmol/L|mEq/L)\b", |hit| {
            let pairs = [
                ("mg", "g"),
                ("mcg", "mg"),
                ("µg", "mg"),
                ("g/dL", "g/L"),
                ("mL", "L"),
                ("cm", "mm"),
                ("mg/dL", "mmol/L"),
                ("mEq/L", "mg/L"),
            ];
            let to = pairs.iter().find_map(|(a, b)| {
                if *a == &hit[2] {
                    Some(*b)
                } else if *b == &hit[2] {
                    Some(*a)
                } else {
                    None
                }
            })?;
            Some(format!("{}{to}", &hit[1]))
        }),
        kind("left and right", r"(?i)\b(left|right)\b", |hit| swap(&hit[1], &[("left", "right")])),
        kind("side in shorthand", r"\b([LR])(LL|UL|UQ|LQ|LE|UE|CA)\b", |hit| {
            Some(format!("{}{}", if &hit[1] == "L" { "R" } else { "L" }, &hit[2]))
        }),
        kind("negation dropped", r"(?i)(?:\b(?:not|no|without|never)\b|\b(?:denied|denies)\b) ?", |hit| {
            let word = hit[0].trim().to_lowercase();
            Some(match word.as_str() {
                "without" => "with ".to_owned(),
                "denied" | "denies" => "reported ".to_owned(),
                _ => String::new(),
            })
        }),
        kind("result turned", r"(?i)\b(positive|negative)\b", |hit| swap(&hit[1], &[("positive", "negative")])),
        kind(
            "negation added",
            r"\b(was|were|is|had|showed|revealed|presented with|reported|developed)\b( [a-z]+)",
            |hit| {
                if matches!(&hit[2], " not" | " no" | " been" | " never") {
                    return None;
                }
                Some(match &hit[1] {
                    copula @ ("was" | "were" | "is") => format!("{copula} not{}", &hit[2]),
                    "presented with" => format!("presented without{}", &hit[2]),
                    verb => format!("{verb} no{}", &hit[2]),
                })
            },
        ),
        kind(
            "interval unit",
            r"(?i)(\d+|\b(?:an?|one|two|three|four|five|six|seven|eight|nine|ten|several|next|last|few))([ -])(days?|weeks?|months?|hours?)\b",
            |hit| {
                let pairs = [
                    ("week", "month"),
                    ("weeks", "months"),
                    ("day", "week"),
                    ("days", "weeks"),
                    ("hour", "day"),
                    ("hours", "days"),
                ];
                let to = pairs.iter().find_map(|(a, b)| {
                    if *a == &hit[3] {
                        Some(*b)
                    } else if *b == &hit[3] {
                        Some(*a)
                    } else {
                        None
                    }
                })?;
                Some(format!("{}{}{to}", &hit[1], &hit[2]))
            },
        ),
        kind(
            "interval length",
            r"\b(\d+|two|three|four|five|six|seven|eight|nine|ten)([ -](?:days?|weeks?|months?|hours?|minutes?)\b)",
            |hit| {
                let words = ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];
                let figure = match words.iter().position(|word| *word == &hit[1]) {
                    Some(at) => words[(at + 4) % words.len()].to_owned(),
                    None => other_figure(&hit[1]),
                };
                Some(format!("{figure}{}", &hit[2]))
            },
        ),
        kind("another drug", DRUG, |hit| {
            let others = ["gabapentin", "linezolid", "digoxin", "sertraline"];
            Some(others[hit[0].len() % others.len()].to_owned())
        }),
        kind("age", r"\b(\d{1,2})([- ]?(?:year|month|day|week)s?[- ]old|[- ]?yo\b|[- ]?y/o)", |hit| {
            let age: u32 = hit[1].parse().ok()?;
            Some(format!("{}{}", if age > 20 { age - 9 } else { age + 7 }, &hit[2]))
        }),
    ]
}

const SEXES: &[(&str, &str)] = &[
    ("man", "woman"),
    ("male", "female"),
    ("boy", "girl"),
    ("gentleman", "lady"),
    ("he", "she"),
    ("his", "her"),
    ("him", "her"),
    ("himself", "herself"),
];

/// One change each, at up to [`PER_TEXT`] places spread over the note.
pub fn planted(kind: &Kind, note: &str) -> Vec<(String, String)> {
    let changes: Vec<(Range<usize>, String)> =
        kind.pattern.captures_iter(note).filter_map(|hit| Some((hit.get(0)?.range(), (kind.change)(&hit)?))).collect();
    let changes: Vec<_> =
        changes.into_iter().filter(|(range, _)| !still_denied(kind.name, &note[..range.start])).collect();
    let step = changes.len().div_ceil(PER_TEXT).max(1);
    let changed = changes.iter().step_by(step).map(|(range, to)| {
        let mut text = note.to_owned();
        text.replace_range(range.clone(), to);
        if to.is_empty() && begins(&note[..range.start]) {
            let first: String = text[range.start..].chars().take(1).flat_map(char::to_uppercase).collect();
            let length = text[range.start..].chars().next().map_or(0, char::len_utf8);
            text.replace_range(range.start..range.start + length, &first);
        }
        let line_start = note[..range.start].rfind(['\n', '.']).map_or(0, |at| at + 1);
        let line_end = note[range.end..].find(['\n', '.']).map_or(note.len(), |at| range.end + at);
        let shown = format!("{} -> {to:?} in {:?}", &note[range.clone()], note[line_start..line_end].trim());
        (text, shown)
    });
    changed.collect()
}

/// Whether a sentence begins after this.
fn begins(before: &str) -> bool {
    let before = before.trim_end_matches(' ');
    before.is_empty() || before.ends_with(['.', '\n', '-'])
}

/// "No rash, no swelling" denies the swelling without its second "no" too, so dropping that one is no error.
fn still_denied(kind: &str, before: &str) -> bool {
    let list = Regex::new(r"(?i)\b(?:no|not|without|denied|denies)\b[^.;:\n]*(?:,|\band|\bor) ?$").expect("a pattern");
    kind == "negation dropped" && list.is_match(before)
}

pub fn another_sex(text: &str) -> Option<String> {
    let words = Regex::new(
        r"(?i)\b(?:woman|man|female|male|girl|boy|gentleman|lady|she|he|hers|her|his|him|herself|himself)\b",
    )
    .expect("a pattern");
    words.is_match(text).then(|| {
        words
            .replace_all(text, |hit: &Captures<'_>| swap(&hit[0], SEXES).unwrap_or_else(|| hit[0].to_owned()))
            .into_owned()
    })
}

/// The introduction alone.
pub fn another_noun(text: &str) -> Option<String> {
    let words = Regex::new(r"(?i)\b(?:woman|man|female|male|girl|boy|gentleman|lady)\b").expect("a pattern");
    let hit = words.find(text)?;
    Some(format!("{}{}{}", &text[..hit.start()], swap(hit.as_str(), SEXES)?, &text[hit.end()..]))
}

/// Sentences of another patient's note that hold something of their own.
pub fn foreign_statements(other: &str) -> Vec<String> {
    let lines = asclepius_text::sentences::split(other);
    let long: Vec<&str> = lines.into_iter().filter(|line| line.split_whitespace().count() >= 7).collect();
    let step = long.len().div_ceil(PER_TEXT).max(1);
    long.into_iter().step_by(step).map(str::to_owned).collect()
}
