//! Whether a level is high, low or normal, by the figure beside it: what adults have of what laboratories measure.
//!
//! A claim counts as wrong only where it is so in every unit in use, and by a margin, since laboratories differ.

use super::outcomes::Outcome;
use super::reading::{Sentence, Word};

/// A quantity by the words for it, and its usual range in each unit.
struct Analyte {
    names: &'static [&'static str],
    usual: &'static [(f64, f64)],
}

const fn analyte(names: &'static [&'static str], usual: &'static [(f64, f64)]) -> Analyte {
    Analyte { names, usual }
}

const ANALYTES: &[Analyte] = &[
    analyte(&["crp", "reactive"], &[(0.0, 10.0), (0.0, 1.0)]),
    analyte(&["esr", "sedimentation"], &[(0.0, 25.0)]),
    analyte(&["procalcitonin", "pct"], &[(0.0, 0.5)]),
    analyte(&["albumin"], &[(35.0, 50.0), (3.5, 5.0)]),
    analyte(&["sodium"], &[(135.0, 146.0)]),
    analyte(&["potassium"], &[(3.5, 5.2)]),
    analyte(&["creatinine"], &[(45.0, 115.0), (0.5, 1.3)]),
    analyte(&["urea", "bun"], &[(2.5, 8.0), (7.0, 22.0)]),
    analyte(&["hemoglobin"], &[(115.0, 175.0), (11.5, 17.5)]),
    analyte(&["platelets", "platelet"], &[(150.0, 450.0), (150_000.0, 450_000.0)]),
    analyte(&["wbc", "leukocytes", "leukocytosis", "leukocyte", "white"], &[(4.0, 11.0), (4000.0, 11000.0)]),
    analyte(&["lactate"], &[(0.4, 2.2)]),
    analyte(&["calcium"], &[(2.1, 2.65), (8.4, 10.6), (1.1, 1.35)]),
    analyte(&["magnesium"], &[(0.65, 1.05), (1.6, 2.6)]),
    analyte(&["alt", "alanine", "ast", "aspartate"], &[(5.0, 50.0)]),
    analyte(&["alp", "alkaline"], &[(30.0, 135.0)]),
    analyte(&["bilirubin"], &[(3.0, 21.0), (0.2, 1.2)]),
    analyte(&["troponin"], &[(0.0, 40.0), (0.0, 0.05)]),
    analyte(&["ferritin"], &[(15.0, 300.0)]),
    analyte(&["tsh", "thyrotropin", "stimulating"], &[(0.3, 5.0)]),
    analyte(&["ammonia"], &[(10.0, 80.0)]),
    analyte(&["ck", "kinase"], &[(20.0, 250.0)]),
    analyte(&["ldh", "dehydrogenase"], &[(100.0, 280.0)]),
    analyte(&["glucose"], &[(3.8, 7.8), (68.0, 140.0)]),
    analyte(&["amylase", "lipase"], &[(10.0, 150.0)]),
    analyte(&["selenium"], &[(0.6, 1.8), (60.0, 160.0)]),
    analyte(&["inr", "normalized"], &[(0.8, 1.3)]),
    analyte(&["fibrinogen"], &[(1.8, 4.2), (180.0, 420.0)]),
    analyte(&["tryptase"], &[(0.0, 11.5)]),
    analyte(&["ph"], &[(7.34, 7.46)]),
    analyte(&["ca", "125"], &[(0.0, 37.0)]),
    analyte(&["bnp", "natriuretic"], &[(0.0, 125.0)]),
];

/// By how much a figure must lie outside of the range to be called normal wrongly, and inside to be called high or low.
const MARGIN: f64 = 0.08;
const WITHIN: f64 = 0.3;
/// "Fell to" and "increased by" tell of a course instead.
const STATES: &[&str] = &["elevated", "raised", "raized", "high", "low", "normal"];
/// Words between what a figure is of and the claim.
const OF: usize = 5;

/// Whether the figure beside a word for a level says something else.
pub(super) fn contradicts(sentence: &Sentence, at: usize, claim: Outcome) -> bool {
    let words = &sentence.words;
    if !STATES.contains(&words[at].text.as_str()) {
        return false;
    }
    // "2.8 (low)" and "low at 2.8"; "normal 98-279" is a range.
    let text = |at: usize| words.get(at).map_or("", |word| word.text.as_str());
    let alone = words.get(at + 1).is_none_or(|next| next.clause != words[at].clause);
    let figure = if at > 0 && alone && value(&words[at - 1]).is_some() {
        at - 1
    } else if matches!(text(at + 1), "at" | "of") && words.get(at + 2).is_some_and(|next| value(next).is_some()) {
        at + 2
    } else if alone_range(words, at) {
        at + 1
    } else {
        return named_behind(words, at).is_some_and(|(analyte, value)| is_wrong(analyte, value, claim));
    };
    let phrase = words[at.min(figure)].phrase;
    let of = words[at.min(figure).saturating_sub(OF)..at.min(figure)].iter().rev();
    let Some(analyte) = of.take_while(|word| word.phrase == phrase).find_map(of_name) else { return false };
    is_wrong(analyte, value(&words[figure]).unwrap_or_default(), claim)
}

fn is_wrong(analyte: &Analyte, value: f64, claim: Outcome) -> bool {
    analyte.usual.iter().all(|&(low, high)| {
        let (above, below) = (value > high * (1.0 + MARGIN), value < low * (1.0 - MARGIN));
        match claim {
            Outcome::Normal => above || below,
            Outcome::Up => value < high * (1.0 - WITHIN),
            // Below nothing there is no low.
            _ if low == 0.0 => value > high,
            _ => value > low * (1.0 + WITHIN),
        }
    })
}

/// "Markers were high (CRP 164 mg/L, ...)": what the brackets that follow name first, and its figure.
fn named_behind(words: &[Word], at: usize) -> Option<(&'static Analyte, f64)> {
    let behind = words.get(at + 1..)?;
    let within = behind.iter().take_while(|word| word.clause == words[at].clause + 1).take(OF);
    let analyte = within.clone().find_map(of_name)?;
    Some((analyte, within.skip(1).find_map(value)?))
}

/// "Normal (7.42)": a figure alone in brackets.
fn alone_range(words: &[Word], at: usize) -> bool {
    let (next, behind) = (words.get(at + 1), words.get(at + 2));
    next.is_some_and(|next| {
        value(next).is_some()
            && next.clause == words[at].clause + 1
            && behind.is_none_or(|behind| behind.clause != next.clause)
    })
}

fn of_name(word: &Word) -> Option<&'static Analyte> {
    ANALYTES.iter().find(|analyte| analyte.names.contains(&word.text.as_str()))
}

fn value(word: &Word) -> Option<f64> {
    let figure = word.text.starts_with(|first: char| first.is_ascii_digit());
    figure.then(|| word.text.replace(',', "").parse().ok()).flatten()
}
