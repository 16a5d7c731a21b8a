//! Planted errors: the gates on faithful notes, and on the same notes with one fact changed.
//!
//! The notes are the extractive teacher's, so they say only what their report says. Each kind of error changes one fact
//! in one place. The rules were tuned on every second article; the bounds below are for the other half, and
//! `cargo test --release -p asclepius-synth --test planted -- --nocapture` prints both tables and what was missed.

use std::collections::BTreeMap;
use std::path::Path;

use asclepius_synth::extractive;
use asclepius_synth::prompts;
use asclepius_text::gates::Gate;
use asclepius_text::{GatesConfig, Prompt};
use regex::{Captures, Regex};

/// Most errors of one kind in one note, spread over it.
const PER_NOTE: usize = 6;

struct Case {
    name: String,
    report: String,
    note: String,
}

/// An error kind: its name, where it can be planted, and what stands there afterwards.
struct Kind {
    name: &'static str,
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

fn kinds() -> Vec<Kind> {
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

fn prose(jats: &str) -> String {
    let paragraph = Regex::new(r"(?s)<title>(.*?)</title>|<p(?: [^>]*)?>(.*?)</p>").expect("a pattern");
    let tag = Regex::new(r"<[^>]+>").expect("a pattern");
    let (case, other) = (
        Regex::new(r"(?i)case|patient|presentation|history|investigation|treatment|outcome|follow|examination|diagnos|therap|finding").expect("a pattern"),
        Regex::new(r"(?i)discussion|introduction|background|conclusion|literature|method|consent|ethic|fund|conflict|review|learning|acknowl|limitation").expect("a pattern"),
    );
    let body = jats.find("<body").map_or("", |start| &jats[start..]);
    let body = &body[..body.find("</body>").unwrap_or(body.len())];
    let mut inside = false;
    let (mut all, mut told) = (Vec::new(), Vec::new());
    for hit in paragraph.captures_iter(body) {
        if let Some(title) = hit.get(1) {
            inside = if other.is_match(title.as_str()) { false } else { inside || case.is_match(title.as_str()) };
            continue;
        }
        let text = tag.replace_all(hit.get(2).map_or("", |text| text.as_str()), "");
        let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if !text.is_empty() {
            if inside {
                told.push(text.clone());
            }
            all.push(text);
        }
    }
    if told.iter().map(|text| text.split_whitespace().count()).sum::<usize>() >= 80 { told } else { all }.join("\n\n")
}

fn cases() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let prompt = Prompt::from_source(prompts::NOTE.name, prompts::NOTE.source).expect("the built-in prompt compiles");
    let mut cases = Vec::new();
    for directory in ["data/case-reports", "../shared/data/case-reports"] {
        let Ok(entries) = fs_err::read_dir(root.join(directory)) else { continue };
        let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "xml"));
        paths.sort();
        for path in paths {
            let report = prose(&fs_err::read_to_string(&path).expect("XML is text"));
            if report.split_whitespace().count() < 50 {
                continue;
            }
            let messages = prompts::note_messages(&prompt, &report).expect("renders");
            let Ok(note) = extractive::reply(&messages) else { continue };
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            cases.push(Case { name, report, note });
        }
    }
    cases
}

/// The scores of the faithfulness gates.
fn scores(note: &str, report: &str) -> Vec<(String, f32)> {
    const COMPARING: [Gate; 8] = [
        Gate::Age,
        Gate::Drugs,
        Gate::Intervals,
        Gate::Laterality,
        Gate::Negation,
        Gate::Quantities,
        Gate::Sex,
        Gate::Statements,
    ];
    let all = GatesConfig::default().judge_note(note, Some(report)).scores;
    all.into_iter().filter(|(name, _)| COMPARING.iter().any(|gate| gate.name() == name)).collect()
}

/// One change each, at up to [`PER_NOTE`] places spread over the note.
fn planted(kind: &Kind, note: &str) -> Vec<(String, String)> {
    let changes: Vec<(std::ops::Range<usize>, String)> =
        kind.pattern.captures_iter(note).filter_map(|hit| Some((hit.get(0)?.range(), (kind.change)(&hit)?))).collect();
    let changes: Vec<_> =
        changes.into_iter().filter(|(range, _)| !still_denied(kind.name, &note[..range.start])).collect();
    let step = changes.len().div_ceil(PER_NOTE).max(1);
    let changed = changes.iter().step_by(step).map(|(range, to)| {
        let mut text = note.to_owned();
        text.replace_range(range.clone(), to);
        let line_start = note[..range.start].rfind(['\n', '.']).map_or(0, |at| at + 1);
        let line_end = note[range.end..].find(['\n', '.']).map_or(note.len(), |at| range.end + at);
        let shown = format!("{} -> {to:?} in {:?}", &note[range.clone()], note[line_start..line_end].trim());
        (text, shown)
    });
    changed.collect()
}

/// "No rash, no swelling" denies the swelling without its second "no" too, so dropping that one is no error.
fn still_denied(kind: &str, before: &str) -> bool {
    let list = Regex::new(r"(?i)\b(?:no|not|without|denied|denies)\b[^.;:\n]*(?:,|\band|\bor) ?$").expect("a pattern");
    kind == "negation dropped" && list.is_match(before)
}

fn another_sex(note: &str) -> Option<String> {
    let words = Regex::new(
        r"(?i)\b(?:woman|man|female|male|girl|boy|gentleman|lady|she|he|hers|her|his|him|herself|himself)\b",
    )
    .expect("a pattern");
    words.is_match(note).then(|| {
        words
            .replace_all(note, |hit: &Captures<'_>| swap(&hit[0], SEXES).unwrap_or_else(|| hit[0].to_owned()))
            .into_owned()
    })
}

/// The introduction alone.
fn another_noun(note: &str) -> Option<String> {
    let words = Regex::new(r"(?i)\b(?:woman|man|female|male|girl|boy|gentleman|lady)\b").expect("a pattern");
    let hit = words.find(note)?;
    Some(format!("{}{}{}", &note[..hit.start()], swap(hit.as_str(), SEXES)?, &note[hit.end()..]))
}

/// Sentences of another patient's note that hold something of their own.
fn foreign_statements(other: &str) -> Vec<String> {
    let lines = asclepius_text::sentences::split(other);
    let long: Vec<&str> = lines.into_iter().filter(|line| line.split_whitespace().count() >= 7).collect();
    let step = long.len().div_ceil(PER_NOTE).max(1);
    long.into_iter().step_by(step).map(str::to_owned).collect()
}

#[derive(Default)]
struct Row {
    planted: usize,
    caught: usize,
    missed: Vec<String>,
}

fn measure(cases: &[&Case], all: &[Case]) -> (BTreeMap<&'static str, Row>, Vec<String>) {
    let mut table: BTreeMap<&'static str, Row> = BTreeMap::new();
    let mut flagged = Vec::new();
    for case in cases {
        let untouched = scores(&case.note, &case.report);
        let wrong: Vec<String> =
            untouched.iter().filter(|(_, score)| *score > 0.0).map(|(gate, score)| format!("{gate} {score}")).collect();
        if !wrong.is_empty() {
            flagged.push(format!("{}: {}", case.name, wrong.join(", ")));
        }
        let mut plant = |name: &'static str, note: &str, shown: String| {
            let row = table.entry(name).or_default();
            row.planted += 1;
            // A note that was flagged before must be flagged more.
            let caught = scores(note, &case.report).iter().zip(&untouched).any(|(after, before)| after.1 > before.1);
            row.caught += usize::from(caught);
            if !caught {
                row.missed.push(format!("{}: {shown}", case.name));
            }
        };
        for kind in kinds() {
            for (note, shown) in planted(&kind, &case.note) {
                plant(kind.name, &note, shown);
            }
        }
        if let Some(note) = another_sex(&case.note) {
            plant("sex", &note, "all words".to_owned());
        }
        if let Some(note) = another_noun(&case.note) {
            plant("sex, introduction alone", &note, "the first noun".to_owned());
        }
        let position = all.iter().position(|other| other.name == case.name).unwrap_or_default();
        let other = &all[(position + 7) % all.len()];
        for statement in foreign_statements(&other.note) {
            let note = format!("{}\n- {statement}\n", case.note);
            plant("another patient's statement", &note, statement);
        }
    }
    (table, flagged)
}

fn print(title: &str, notes: usize, table: &BTreeMap<&'static str, Row>, flagged: &[String]) {
    println!("\n{title}: {notes} notes, {} untouched ones flagged: {flagged:#?}", flagged.len());
    for (name, row) in table {
        println!(
            "{name:30} {:4} of {:4} caught, {:5.1} %",
            row.caught,
            row.planted,
            100.0 * row.caught as f64 / row.planted as f64
        );
    }
    for (name, row) in table {
        for missed in row.missed.iter().take(12) {
            println!("missed {name}: {missed}");
        }
    }
}

#[test]
fn planted_errors_are_caught_and_faithful_notes_pass() {
    let cases = cases();
    let half = |parity: usize| {
        cases.iter().enumerate().filter(|(at, _)| at % 2 == parity).map(|(_, case)| case).collect::<Vec<_>>()
    };
    let (tuned, held_back) = (half(0), half(1));
    let (table, flagged) = measure(&tuned, &cases);
    print("tuned on", tuned.len(), &table, &flagged);
    let (table, flagged) = measure(&held_back, &cases);
    print("held back", held_back.len(), &table, &flagged);
    assert!(flagged.len() * 20 <= held_back.len(), "{flagged:?}");
    for (name, row) in &table {
        let bound = if BELOW_NINETY.contains(name) { 50 } else { 90 };
        assert!(row.caught * 100 >= row.planted * bound, "{name}: {} of {}", row.caught, row.planted);
    }
}

/// Kinds that fall short of that: words such as "could not stand" hold nothing that the rules know, and "LCA" is also an
/// antigen.
const BELOW_NINETY: &[&str] = &["negation dropped", "side in shorthand"];
