//! What has the shape of an identifier and is medicine: counts, doses, scores, stages.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::{PhiKind, codes, holidays};

/// What comes before scores in a row.
static SCORES: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"(?i)\b(?:apgar|scor(?:es?|ings?)|scales?|ratios?|ind(?:ex|ices))(?:\s(?:scores?|scores? of|was|were|is|are|of|at birth))*\s?[:=(]?\s?$";
    Regex::new(&super::ascii_boundaries(pattern)).expect("the pattern is valid")
});

/// Refuses what has the shape of an identifier and is medicine.
pub(super) fn plausible(kind: PhiKind, text: &str, whole: &Range<usize>, range: &Range<usize>) -> bool {
    let found = &text[range.clone()];
    let label = text[whole.start..range.start].to_lowercase();
    let digits = found.chars().filter(char::is_ascii_digit).count();
    let after = text[range.end..].trim_start();
    let unit = [
        "mg", "mcg", "ml", "cm", "mm", "%", "kg", "mmol", "days", "day", "hours", "weeks", "months", "years", "g/",
        "units", "tablets", "patients", "°", "minutes", "ng", "pg", "iu", "IU", "U/", "µ", "μ", "mEq", "/mm", "/µ",
        "/μ",
    ];
    let measured = unit.iter().any(|unit| after.starts_with(unit));
    match kind {
        PhiKind::PhotoOrOther if found.starts_with('@') => true,
        _ if matches!(
            kind,
            PhiKind::PhotoOrOther | PhiKind::SocialSecurity | PhiKind::Licence | PhiKind::HealthPlan
        ) && codes::is_of_medicine(found, &text[range.end..], range == whole) =>
        {
            false
        }
        PhiKind::PhotoOrOther if range == whole && digits >= 4 && !found.contains('.') => !measured,
        PhiKind::PhotoOrOther if label.contains("initials") => true,
        PhiKind::MedicalRecord
        | PhiKind::HealthPlan
        | PhiKind::Account
        | PhiKind::Licence
        | PhiKind::Device
        | PhiKind::PhotoOrOther
            if range != whole =>
        {
            // A year, or an eye's acuity behind "chart".
            let numbered = label.contains(['#', ':']) || label.contains("no") || label.contains("number");
            if !numbered && (is_year(found) || is_fraction(found)) {
                return false;
            }
            digits >= 4 && !measured
                || digits >= 3
                    && !measured
                    && (label.contains(['#', ':'])
                        || label.contains("no")
                        || label.contains("number")
                        || label.contains("id"))
        }
        PhiKind::SocialSecurity => {
            digits >= 6 || digits >= 4 && (range == whole || label.contains("last four") || label.starts_with('s'))
        }
        PhiKind::Vehicle if range == whole => found.chars().any(char::is_alphabetic) && digits >= 6,
        PhiKind::Vehicle if ["flown", "heli", "aircraft", "tail"].iter().any(|word| label.contains(word)) => true,
        PhiKind::Vehicle => {
            digits >= 1
                && found.chars().filter(|c| c.is_alphanumeric()).count() >= 4
                && found.chars().any(|c| c.is_ascii_uppercase())
        }
        // A taper has the shape of a network card's address.
        PhiKind::Device if range == whole => !measured,
        PhiKind::Phone if found.starts_with(['x', 'X']) => true,
        PhiKind::Phone if range != whole => {
            // "Red blood cell = 2540000" is a count.
            let counted = label.starts_with("cell") && text[..whole.start].trim_end().ends_with(char::is_alphabetic);
            (digits >= 7
                || (digits >= 4
                    && ["pager", "ext", "beeper", "bleep", "tel", "phone"].iter().any(|word| label.contains(word))))
                && !(measured || counted && label.contains('='))
        }
        PhiKind::Phone => digits >= 7 && !measured,
        PhiKind::Geography if range != whole => digits >= 1 && !measured,
        // Tumour stages and the parts of the coma scale have the shape of a Canadian postal code.
        PhiKind::Geography => {
            let staged = found.starts_with('T') && found[1..].contains('N') && found[1..].contains('M');
            let bowel =
                found.starts_with('A') && found[1..].contains('L') && found[1..].contains('B') && found.len() == 6;
            let coma =
                found.starts_with('E') && found[1..].contains('V') && found[1..].contains('M') && found.len() == 6;
            !(staged || coma || bowel)
        }
        // "103 m/z" is a mass over a charge.
        PhiKind::Age if range == whole && after.starts_with('/') => false,
        PhiKind::Age if label.trim() == "at" => {
            let mut next = text[range.end..].chars();
            matches!(next.next(), None | Some('.' | ',' | ';' | ')'))
                && !next.next().is_some_and(|c| c.is_ascii_digit())
        }
        PhiKind::PhotoOrOther if range == whole && !found.contains('.') => {
            let lower = found.to_lowercase();
            ["photo", "picture", "snapshot", "selfie", "portrait", "headshot", "mugshot", "mug shot"]
                .iter()
                .any(|word| lower.contains(word))
                || (lower.contains("image") || lower.contains("video"))
                    && (lower.contains("face") || lower.contains("facial"))
        }
        PhiKind::Date => {
            let bare =
                whole == range && found.len() <= 5 && found.contains('/') && !found.contains(char::is_alphabetic);
            if bare && !holidays::is_day_and_month(found, &text[..range.start], &text[range.end..]) {
                return false;
            }
            let counted = [
                "Hospital",
                "Post",
                "Admission",
                "Operative",
                "Cycle",
                "Study",
                "Treatment",
                "Day",
                "First",
                "Second",
                "Third",
                "Last",
                "Same",
                "Next",
            ];
            if found.ends_with("Day") && counted.iter().any(|word| found.starts_with(word)) {
                return false;
            }
            // "May" alone is a verb.
            let verb = found.to_lowercase().starts_with("may") && !found.contains(char::is_numeric);
            // "Apgar 9-10-10" are scores.
            let scored =
                range == whole && !found.contains(char::is_alphabetic) && SCORES.is_match(&text[..range.start]);
            // "5-10-15 units with meals" are doses.
            let dosed = measured && !found.contains(char::is_alphabetic);
            // "4.1. Mayo" ends a sentence with a figure.
            let cut = found.contains('\n')
                || text[..range.start].ends_with(['.', ':']) && found.contains(char::is_alphabetic);
            !found.is_empty() && !verb && !scored && !dosed && !cut
        }
        _ => true,
    }
}

fn is_year(code: &str) -> bool {
    code.len() == 4 && (code.starts_with("19") || code.starts_with("20")) && code.bytes().all(|c| c.is_ascii_digit())
}

fn is_fraction(code: &str) -> bool {
    code.split_once('/').is_some_and(|(above, below)| {
        [above, below].iter().all(|part| (1..=3).contains(&part.len()) && part.bytes().all(|c| c.is_ascii_digit()))
    })
}
