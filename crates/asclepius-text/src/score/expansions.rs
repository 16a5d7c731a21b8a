//! Abbreviation expansion: how many of the reference's abbreviations an answer writes out as the reference does.

use std::sync::LazyLock;

use regex::Regex;

use super::words;
use crate::abbreviations::abbreviate;

/// `BP: blood pressure`, `BP = ..`, `"BP" stands for ..`, a line or a part of one.
static PAIR: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"^[\s\-*•"'“]*(?P<short>[\p{L}\d&/+.\-]{1,15}?)["'”]?\s*(?::|=|–|—|->|→|\s-\s|\sstands for\s|\smeans\s|\srefers to\s|\sis short for\s)\s*["'“]?(?P<long>\S.*)$"#,
    )
    .expect("the pattern is valid")
});

/// Words that join an abbreviation to its meaning and are part of neither.
const JOINING: &[&str] =
    &["a", "an", "the", "stands", "for", "means", "refers", "to", "is", "short", "abbreviation", "abbreviated", "here"];

/// Correct and asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Expanded {
    /// Abbreviations whose expansion is the reference's, or another name of the same in the table of shorthand
    /// (leukaemia, leukemia).
    pub correct: usize,
    /// Abbreviations the reference expands; 0 where it expands none that can be told.
    pub asked: usize,
}

/// Compares an answer's expansions with the reference's. Where only one abbreviation is asked for, its expansion alone is
/// an answer.
pub fn expanded(answer: &str, reference: &str) -> Expanded {
    let asked: Vec<(Vec<String>, Vec<String>)> = segments(reference)
        .filter_map(|segment| {
            let pair = PAIR.captures(segment)?;
            Some((words(&pair["short"]), meaning(&pair["long"], &[])))
        })
        .filter(|(short, long)| !short.is_empty() && !long.is_empty())
        .collect();
    let alone = asked.len() == 1;
    let correct = asked.iter().filter(|(short, long)| {
        segments(answer).any(|segment| {
            let named = words(segment);
            let names_it = named.windows(short.len()).any(|window| window == short);
            (alone || names_it) && same(&meaning(segment, short), long)
        })
    });
    Expanded { correct: correct.count(), asked: asked.len() }
}

fn segments(text: &str) -> impl Iterator<Item = &str> {
    text.split(['\n', ';', ',']).flat_map(|part| part.split(". ")).filter(|part| !part.trim().is_empty())
}

/// What is left of a segment without the abbreviation and the words that join.
fn meaning(segment: &str, short: &[String]) -> Vec<String> {
    let mut left = words(segment);
    if let Some(at) =
        (!short.is_empty()).then(|| left.windows(short.len()).position(|window| window == short)).flatten()
    {
        left.drain(at..at + short.len());
    }
    left.retain(|word| !JOINING.contains(&word.as_str()));
    left
}

fn same(found: &[String], expected: &[String]) -> bool {
    let (found, expected) = (found.join(" "), expected.join(" "));
    found == expected || abbreviate(&found).is_some_and(|short| abbreviate(&expected) == Some(short))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expansions_are_told_however_they_are_joined() {
        for (answer, reference, correct, asked) in [
            ("IOP: intraocular pressure", "IOP: intraocular pressure", 1, 1),
            ("Intraocular pressure.", "IOP: intraocular pressure", 1, 1),
            ("\"IOP\" stands for the intraocular pressure", "IOP: intraocular pressure", 1, 1),
            ("intraocular pressure (IOP)", "IOP means intraocular pressure.", 1, 1),
            ("IOP: intraocular pressure or blood pressure", "IOP: intraocular pressure", 0, 1),
            (
                "- ECG: electrocardiogram\n- AF: atrial flutter",
                "- ECG: electrocardiogram\n- AF: atrial fibrillation",
                1,
                2,
            ),
            (
                "AF: atrial fibrillation, ECG: electrocardiogram",
                "ECG = electrocardiogram; AF = atrial fibrillation",
                2,
                2,
            ),
            // Two are asked for, so a meaning alone does not say of which.
            ("electrocardiogram", "ECG: electrocardiogram\nAF: atrial fibrillation", 0, 2),
            ("AML: acute myeloid leukaemia", "AML: acute myeloid leukemia", 1, 1),
            ("", "BP: blood pressure", 0, 1),
            ("blood pressure", "The note writes it out.", 0, 0),
        ] {
            assert_eq!(expanded(answer, reference), Expanded { correct, asked }, "{answer} | {reference}");
        }
    }
}
