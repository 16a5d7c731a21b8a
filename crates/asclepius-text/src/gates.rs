//! Evidence to verdict, for every row that could enter the dataset.
//!
//! A gate is a pure function from texts to a score with one line for a person; whether a score is good enough is the
//! configuration's business ([`GatesConfig`]). Details never hold a note's words, but for what a judge
//! quotes of one.

mod config;
mod dates;
pub mod faithful;
mod grounded;
mod judgement;
mod numbers;
pub mod phi;

use std::sync::LazyLock;

use regex::Regex;
use rustc_hash::FxHashSet;

pub use config::{Gate, GatesConfig, Threshold};
pub use grounded::grounded;
pub use judgement::Judgement;

use crate::score::words;
use crate::shingles::word_hashes;

/// What a gate found.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// In the gate's own unit: a count, or a share in 0..=1.
    pub score: f32,
    /// For a person; never a note's words.
    pub detail: String,
}

impl Verdict {
    /// A score and its line.
    pub fn new(score: f32, detail: impl Into<String>) -> Self {
        Self { score, detail: detail.into() }
    }
}

/// Words in a copied stretch before it counts as copied: shorter ones are common phrases.
pub const COPIED_WORDS: usize = 8;

static MODEL_TALK: LazyLock<Vec<(&str, Regex)>> = LazyLock::new(|| {
    [
        ("as an AI", r"as an? (?:ai|artificial intelligence)\b"),
        ("I am an AI", r"i(?: am|['’]m) (?:just |only )?an? (?:ai|artificial intelligence|language model|chat ?bot)\b"),
        ("AI model", r"\bai (?:language )?model\b"),
        ("AI assistant", r"\bai[- ](?:assistant|chat ?bot)\b"),
        ("language model", r"\b(?:large )?language models?\b"),
        ("training data", r"\bmy (?:training|training data)\b"),
        ("knowledge cutoff", r"\bknowledge cut-?\s?off\b"),
        ("a model's or vendor's name", r"\b(?:chatgpt|openai|gpt-?[345](?:\.5|o)?)\b"),
        ("virtual assistant", r"\bas a (?:virtual|digital) assistant\b"),
        ("programmed", r"\bi (?:was|am|have been) (?:programmed|trained|designed) to\b"),
        (
            "no access",
            r"\bi (?:do not|don['’]t|cannot|can['’]t) (?:have )?access (?:to )?(?:real-time|patient|medical) ",
        ),
    ]
    .map(|(name, pattern)| (name, Regex::new(&format!("(?i){pattern}")).expect("the patterns are valid")))
    .into()
});

static REFUSAL: LazyLock<Regex> = LazyLock::new(|| {
    let unable = r"(?:can ?not|can['’]t|could not|am unable to|am not able to|['’]m unable to|['’]m not able to|must decline|won['’]t|will not|am not comfortable|['’]m not comfortable)";
    let object = r"(?:assist|help|comply|fulfil|fulfill|complete this|do that|do this|generate|create|write|provide (?:medical|that|this|a|an|any)|process (?:this|that|your)|engage|continue)";
    Regex::new(&format!(
        r"(?i)\b(?:i {unable}|i{unable}|i (?:must|have to) (?:decline|refuse) to|^unable to)\s+(?:\w+\s+)?{object}\b"
    ))
    .expect("the pattern is valid")
});

/// The model speaks of itself. Score: how many kinds of such talk occur.
pub fn model_talk(text: &str) -> Verdict {
    let found: Vec<&str> =
        MODEL_TALK.iter().filter(|(_, pattern)| pattern.is_match(text)).map(|(name, _)| *name).collect();
    let detail = if found.is_empty() { "none".to_owned() } else { format!("says: {}", found.join(", ")) };
    Verdict::new(found.len() as f32, detail)
}

/// The model declines. Score: 1 if the text opens with that, else 0. "The note does not say" is an answer.
pub fn refusal(text: &str) -> Verdict {
    let opening: String = text.trim_start().chars().take(160).collect();
    // Patients decline too; a reply that declines does so in the first person, in its first words.
    match REFUSAL.find(&opening).filter(|found| found.start() <= 60) {
        Some(_) => Verdict::new(1.0, "opens with a refusal"),
        None => Verdict::new(0.0, "none"),
    }
}

/// The text ends by asking. Score: 1 or 0.
pub fn ends_in_question(text: &str) -> Verdict {
    let end = text
        .trim_end_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '”' | '’' | ')' | ']' | '*' | '_'));
    if end.ends_with('?') { Verdict::new(1.0, "ends in a question mark") } else { Verdict::new(0.0, "none") }
}

/// Score: lines that are headings, or begin with one.
pub fn headings(text: &str) -> Verdict {
    let heading = |line: &str| {
        let line = line.trim().trim_matches(['*', '#', ' ']);
        let head = line.split_once(':').map_or(line, |(head, _)| head);
        let words = head.split_whitespace().count();
        let capitals = head.chars().any(char::is_alphabetic) && !head.chars().any(char::is_lowercase);
        let starts = head.starts_with(char::is_uppercase);
        (1..=6).contains(&words) && starts && (line.contains(':') || (capitals && head.len() > 2))
    };
    let count = text.lines().filter(|line| heading(line)).count();
    Verdict::new(count as f32, format!("{count} headings"))
}

/// Score: share of the words that are another language's: its small words, or written in another script.
pub fn language(text: &str) -> Verdict {
    static FOREIGN: LazyLock<FxHashSet<&str>> = LazyLock::new(|| FOREIGN_WORDS.iter().copied().collect());
    const FOREIGN_WORDS: &[&str] = &[
        "der", "die", "das", "und", "ist", "wurde", "mit", "nicht", "eine", "einer", "dem", "den", "von", "zur", "el",
        "los", "las", "que", "una", "con", "por", "paciente", "del", "fue", "se", "les", "des", "une", "dans", "est",
        "avec", "pour", "du", "le", "la", "et", "il", "della", "che", "di", "per", "stato", "uma", "não", "foi", "com",
        "het", "een", "van", "och", "som", "på", "ve", "bir",
    ];
    let words = words(text);
    let foreign = words
        .iter()
        .filter(|word| {
            let other_script = word.chars().any(|letter| {
                !letter.is_ascii()
                    && (letter.is_alphabetic() && letter > '\u{3ff}' && letter < '\u{1e00}' || letter > '\u{2fff}')
            });
            other_script || FOREIGN.contains(word.as_str())
        })
        .count();
    let share = if words.is_empty() { 0.0 } else { foreign as f32 / words.len() as f32 };
    Verdict::new(share, format!("{foreign} of {} words are another language's", words.len()))
}

/// An answer without the sentences that say what the note does not tell.
fn told(answer: &str) -> String {
    static UNTOLD: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)\b(?:note|record|chart|text) (?:does not|doesn['’]t|did not|never)|cannot be (?:answered|determined)|\bnot (?:mentioned|stated|documented|specified|recorded|given|provided|described)\b").expect("the pattern is valid")
    });
    let kept = crate::sentences::split(answer).into_iter().filter(|sentence| !UNTOLD.is_match(sentence));
    kept.collect::<Vec<_>>().join("\n")
}

/// Score: words of the text.
pub fn length(text: &str) -> Verdict {
    let count = words(text).len();
    Verdict::new(count as f32, format!("{count} words"))
}

/// Score: share of the note's numbers that occur in the report, 1 where the note has none. Spelling does not count
/// (1,200 and 1200, 5.0 and 5, seven and 7); list markers and numbers inside names (T2DM, q8h) are not asked for.
pub fn numbers(note: &str, report: &str) -> Verdict {
    let known = numbers::known(report);
    let asked = numbers::stated(note);
    let missing = asked.iter().filter(|readings| !readings.iter().any(|reading| known.contains(reading))).count();
    if asked.is_empty() {
        return Verdict::new(1.0, "no number");
    }
    let share = (asked.len() - missing) as f32 / asked.len() as f32;
    Verdict::new(share, format!("{missing} of {} numbers are not in the report", asked.len()))
}

/// How much of the note is the report verbatim. Score: share of its words that lie in a stretch of at least
/// [`COPIED_WORDS`] words which the report holds too.
pub fn copy_rate(note: &str, report: &str) -> Verdict {
    copies(note, report).0
}

/// Score: words of the longest stretch that note and report share; 0 below [`COPIED_WORDS`].
pub fn longest_copy(note: &str, report: &str) -> Verdict {
    copies(note, report).1
}

/// [`copy_rate`] and [`longest_copy`], which come of one comparison.
pub(crate) fn copies(note: &str, report: &str) -> (Verdict, Verdict) {
    let (covered, total, longest) = copied(note, report);
    let score = if total == 0 { 0.0 } else { covered as f32 / total as f32 };
    let rate = format!("{covered} of {total} words are copied, the longest stretch has {longest}");
    let stretch = format!("the longest copied stretch has {longest} words");
    (Verdict::new(score, rate), Verdict::new(longest as f32, stretch))
}

/// Words of the note that lie in a copied stretch, all its words, and the length of the longest such stretch. Stretches
/// are found by their runs of [`COPIED_WORDS`]; two that touch in the note count as one.
fn copied(note: &str, report: &str) -> (usize, usize, usize) {
    let (note, report) = (word_hashes(note), word_hashes(report));
    let known: FxHashSet<&[u64]> = report.windows(COPIED_WORDS).collect();
    let (mut covered, mut longest) = (0, 0);
    let (mut stretch, mut covered_to) = (0, 0);
    for (start, window) in note.windows(COPIED_WORDS).enumerate() {
        if !known.contains(window) {
            continue;
        }
        let end = start + COPIED_WORDS;
        let from = covered_to.max(start);
        stretch = if start > 0 && covered_to >= end - 1 { stretch + end - from } else { COPIED_WORDS };
        covered += end - from;
        covered_to = end;
        longest = longest.max(stretch);
    }
    (covered, note.len(), longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_heard_and_medicine_is_not_taken_for_one() {
        for talk in ["As an AI language model, I ...", "I'm an AI and", "my knowledge cutoff", "ChatGPT wrote this"] {
            assert!(model_talk(talk).score >= 1.0, "{talk}");
        }
        for medicine in
            ["moderate AI on echo, severe MR", "Trained nurse was present", "as an aid to walking", "language delay"]
        {
            assert_eq!(model_talk(medicine).score, 0.0, "{medicine}");
        }
    }

    #[test]
    fn refusals_are_told_from_answers() {
        for refused in [
            "I'm sorry, but I cannot assist with that.",
            "I am unable to provide medical advice.",
            "I can’t help with this",
        ] {
            assert_eq!(refusal(refused).score, 1.0, "{refused}");
        }
        for answer in [
            "The note does not say, so it cannot be answered.",
            "Patient was unable to walk with support.",
            "I cannot tell from the note when the fever began.",
            "She declined help with feeding.",
        ] {
            assert_eq!(refusal(answer).score, 0.0, "{answer}");
        }
    }

    #[test]
    fn a_question_at_the_end_counts_and_one_inside_does_not() {
        assert_eq!(ends_in_question("What else would you like to know?\" ").score, 1.0);
        assert_eq!(ends_in_question("Infection? No: reaction.").score, 0.0);
    }

    #[test]
    fn numbers_are_compared_as_values() {
        let report = "A sixty-five-year-old man, 1,200 mL, 38,5 °C, 5.0 mg twice daily on day 03, BP 140/90, IgG 1200.";
        let note = "1. 65 yo M\n2) T2DM, SpO2 ok\n- 1200 ml, 38.5 C, 5 mg x2, HD#3, q8h, BP 140/90";
        assert_eq!(numbers(note, report).score, 1.0);
        let wrong = numbers("38.6 C, 5 mg", report);
        assert_eq!((wrong.score, wrong.detail.as_str()), (0.5, "1 of 2 numbers are not in the report"));
        assert_eq!(numbers("no figure", report).score, 1.0);
    }

    #[test]
    fn copying_is_measured_in_stretches() {
        let report = "one two three four five six seven eight nine ten eleven twelve";
        assert_eq!(copy_rate(report, report).score, 1.0);
        assert_eq!(longest_copy(report, report).score, 12.0);
        assert_eq!(copy_rate("one two three four five six seven", report).score, 0.0);
        let half = "one two three four five six seven eight x x x x x x x x";
        assert_eq!((copy_rate(half, report).score, longest_copy(half, report).score), (0.5, 8.0));
        assert_eq!(copy_rate("", report).score, 0.0);
    }
}
