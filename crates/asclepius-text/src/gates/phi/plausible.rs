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
        // "E0S1T1C1" is a score of Oxford's.
        PhiKind::PhotoOrOther
            if found.len() >= 8
                && found.contains(char::is_alphabetic)
                && found.chars().all(char::is_alphanumeric)
                && (range == whole && (1..5).contains(&digits) || is_of_genetics(found, &text[range.end..])) =>
        {
            false
        }
        // From one base to another.
        PhiKind::PhotoOrOther
            if range == whole
                && found.bytes().all(|c| c.is_ascii_digit())
                && is_between_bases(&text[..range.start], &text[range.end..]) =>
        {
            false
        }
        // "2540000" is a count.
        PhiKind::PhotoOrOther if range == whole && found.len() == 7 && found.ends_with("000") => false,
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
            let mixed = digits >= 2 && found.len() >= 6 && found.chars().any(|c| c.is_ascii_uppercase());
            (digits >= 4 || mixed && kind == PhiKind::Licence) && !measured
                || digits >= 3
                    && !measured
                    && (label.contains(['#', ':'])
                        || label.contains("no")
                        || label.contains("number")
                        || label.contains("id"))
        }
        // A year, a measure or a count behind the word is no code.
        PhiKind::Biometric if found.contains(|c: char| c.is_ascii_digit()) => {
            let code = found.rsplit(char::is_whitespace).next().unwrap_or_default();
            let lettered = code.contains(|c: char| c.is_alphabetic() || matches!(c, '-' | '_' | '/' | '#' | ':'));
            !measured && !is_year(code) && !is_fraction(code) && (digits >= 4 || digits >= 2 && lettered)
        }
        // The words alone are one where they say that the thing is held or was used, and no test of the eye or the hand.
        PhiKind::Biometric => {
            let before = &text[super::boundary(&text[..range.start], 40)..range.start];
            let before = before.rsplit(['.', '\n']).next().unwrap_or_default();
            let after = &text[range.end..text.ceil_char_boundary((range.end + 40).min(text.len()))];
            let after = after.split(['.', '\n']).next().unwrap_or_default();
            found.len() > "thumb".len() && (HELD.is_match(before) || HELD.is_match(after))
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
                    && ["pager", "pgr", "ascom", "spectralink", "ext", "beeper", "bleep", "tel", "phone"]
                        .iter()
                        .any(|word| label.contains(word))))
                && !(measured || counted && label.contains('='))
        }
        PhiKind::Phone => digits >= 7 && !measured,
        PhiKind::Geography if range != whole => found.chars().any(char::is_lowercase) || digits >= 1 && !measured,
        // Tumour stages and the parts of the coma scale have the shape of a Canadian postal code.
        PhiKind::Geography => {
            let staged = found.starts_with('T') && found[1..].contains('N') && found[1..].contains('M');
            let bowel =
                found.starts_with('A') && found[1..].contains('L') && found[1..].contains('B') && found.len() == 6;
            let coma = found.len() == 6 && ['E', 'V', 'M'].iter().all(|part| found.contains(*part));
            !(staged || coma || bowel)
        }
        // "103 m/z" is a mass over a charge.
        PhiKind::Age if range == whole && (after.starts_with('/') || text[..range.start].ends_with('-')) => false,
        PhiKind::Age if label.trim() == "at" => {
            let near = &text[super::boundary(&text[..range.start], 80)..range.start];
            let mut next = text[range.end..].chars();
            OF_A_LIFE.is_match(near)
                && matches!(next.next(), None | Some('.' | ',' | ';' | ')'))
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
            let begins = whole.start < range.start || whole.start == 0 || text[..whole.start].ends_with('\n');
            let opens = begins
                && range != whole
                && text[whole.start..range.start].chars().all(|c| matches!(c, '.' | ';' | ' ' | '\n'));
            let rated =
                ["/2", "/4", "/5", "/6", "/10"].iter().any(|of| found.ends_with(of)) && !is_more_than_whole(found);
            if opens && bare_figures(found) {
                return !rated && !counted_behind(after);
            }
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
            // "60-45-30-15" is a taper.
            let inner = found.chars().find(|c| matches!(c, '-' | '/' | '.'));
            let row = inner.is_some_and(|inner| {
                let figure = |c: char| c.is_ascii_digit();
                text[..range.start].strip_suffix(inner).is_some_and(|before| before.ends_with(figure))
                    || text[range.end..].strip_prefix(inner).is_some_and(|after| after.starts_with(figure))
            });
            let row = row && !found.contains(char::is_alphabetic);
            // "Apgar 9-10-10" are scores.
            let scored =
                range == whole && !found.contains(char::is_alphabetic) && SCORES.is_match(&text[..range.start]);
            // "5-10-15 units with meals" are doses.
            let dosed = measured && !found.contains(char::is_alphabetic);
            // "The 3rd and 4th day" are counted.
            let counted = (found.to_lowercase().starts_with("the ") || found.starts_with(|c: char| c.is_ascii_digit()))
                && ["st", "nd", "rd", "th"].iter().any(|ending| found.ends_with(ending))
                && (ORDINAL_BEHIND.is_match(&text[range.end..]) || is_counted_by_ordinals(after));
            // "GCS declined to 6/15" is a score.
            let near = &text[super::boundary(&text[..range.start], 40)..range.start];
            let scored = scored || bare_figures(found) && is_rated(text, range.start);
            let scored =
                scored || found.ends_with("/15") && ["GCS", "Glasgow", "coma"].iter().any(|word| near.contains(word));
            // "3.8-10.5" is a range.
            let separators: Vec<char> = found.chars().filter(|c| matches!(c, '/' | '-' | '.')).collect();
            let ranged = found.chars().all(|c| !c.is_alphabetic()) && separators.windows(2).any(|two| two[0] != two[1]);
            let filed = bare_figures(found)
                && ["NiTi", "nd ", "hand file", "K-file", "file", "taper"].iter().any(|word| after.starts_with(word));
            // "4.1. Mayo" ends a sentence with a figure.
            let cut = found.contains('\n')
                || text[..range.start].ends_with(['.', ':']) && found.contains(char::is_alphabetic);
            !found.is_empty() && !row && !ranged && !filed && !counted && !verb && !scored && !dosed && !cut
        }
        _ => true,
    }
}

/// An accession of a sequence, a marker, a change of a base or of an amino acid.
fn is_of_genetics(code: &str, after: &str) -> bool {
    static GENETICS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^(?:[A-Z]{2}\d{6}|D\d{1,2}S\d+|\d+[ACGT]|[A-Z]+\d{1,3}[A-Z]\d+[A-Z])$")
            .expect("the pattern is valid")
    });
    GENETICS.is_match(code) || after.starts_with('>')
}

fn is_between_bases(before: &str, after: &str) -> bool {
    let figures = |text: &str| text.len() >= 7 && text.bytes().all(|c| c.is_ascii_digit());
    after.strip_prefix(['-', '–', '_']).is_some_and(|after| figures(&after[..after.floor_char_boundary(7)]))
        || before.strip_suffix(['-', '–', '_']).is_some_and(|before| figures(&before[super::boundary(before, 7)..]))
}

/// What ordinals count: "on the 5th day", "from the 3rd rib".
fn is_counted_by_ordinals(after: &str) -> bool {
    let word =
        after[..after.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(after.len())].trim_end_matches('s');
    [
        "percentile",
        "centile",
        "week",
        "day",
        "night",
        "month",
        "year",
        "hour",
        "time",
        "floor",
        "rib",
        "toe",
        "finger",
        "digit",
        "ray",
        "nerve",
        "ventricle",
        "metatarsal",
        "metacarpal",
        "intercostal",
        "cycle",
        "dose",
        "postoperative",
        "post",
        "postpartum",
        "hospital",
        "trimester",
        "decade",
        "grade",
        "line",
        "attempt",
        "episode",
        "admission",
        "visit",
        "most",
        "pregnancy",
        "child",
        "born",
        "degree",
        "cranial",
        "stage",
        "century",
        "edition",
        "generation",
        "part",
        "pas",
        "place",
        "session",
        "case",
        "patient",
        "lumbar",
        "thoracic",
        "cervical",
        "sacral",
        "left",
        "right",
        "proximal",
        "distal",
        "branch",
        "toe",
        "step",
        "round",
        "course",
        "set",
        "infusion",
        "injection",
        "treatment",
        "gestational",
        "consecutive",
        "space",
        "portion",
        "molar",
        "premolar",
        "tooth",
        "vertebra",
        "chromosome",
        "exon",
        "seizure",
        "operation",
    ]
    .contains(&word)
}

static ORDINAL_BEHIND: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\s(?:and|or|to|through)\s(?:the\s)?\d").expect("the pattern is valid"));

/// What is done with what the body is known by.
static HELD: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)identi|stored|consent|on file|\baccess|attach|enrol|kiosk|registry|verif|match|captured|\bsigned")
        .expect("the pattern is valid")
});

/// Of whom an age is told by "at" alone.
static OF_A_LIFE: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"(?i)\b(?:died|dies|dead|death|deceased|passed|lived|lives|living|alive|still|alone|independent|retired|married|drives|drove|golfs|mother|father|mom|mum|dad|parents?|grand\w+|gran|nan|aunt|uncle|sister|brother|wife|husband|man|woman|lady|gentleman|widow|cousin|mgm|mgf|pgm|pgf)\b";
    Regex::new(&super::ascii_boundaries(pattern)).expect("the pattern is valid")
});

fn is_year(code: &str) -> bool {
    code.len() == 4 && (code.starts_with("19") || code.starts_with("20")) && code.bytes().all(|c| c.is_ascii_digit())
}

/// Whether what is rated stands shortly before: "strength from 4/5", "pain was 7/10".
pub(super) fn is_rated(text: &str, start: usize) -> bool {
    const RATED: &[&str] = &[
        "strength", "power", "pain", "acuity", "score", "motor", "muscle", "vision", "VAS", "NRS", "Power", "Pain",
        "Strength", "murmur",
    ];
    let near = &text[super::boundary(&text[..start], 40)..start];
    let near = near.rsplit(['\n', ';']).next().unwrap_or_default();
    RATED.iter().any(|word| near.contains(word))
}

fn is_more_than_whole(figures: &str) -> bool {
    let halves = figures.split_once('/').map(|(part, whole)| (part.parse::<u32>(), whole.parse::<u32>()));
    matches!(halves, Some((Ok(part), Ok(whole))) if part > whole)
}

fn bare_figures(found: &str) -> bool {
    found.len() <= 5 && found.contains('/') && !found.contains(char::is_alphabetic)
}

/// Whether what is counted follows: "3/12 later", "2/7 of cough", "1/3 positive".
fn counted_behind(after: &str) -> bool {
    let word = after[..after.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(after.len())].to_lowercase();
    matches!(
        word.as_str(),
        "of" | "later"
            | "ago"
            | "history"
            | "hx"
            | "positive"
            | "negative"
            | "nodes"
            | "cores"
            | "patients"
            | "strength"
            | "power"
            | "on"
            | "in"
            | "pain"
            | "murmur"
            | "systolic"
            | "diastolic"
            | "bottles"
            | "blood"
            | "sets"
            | "joints"
            | "cases"
            | "eyes"
            | "with"
            | "and"
            | "to"
            | "over"
            | "visits"
    )
}

fn is_fraction(code: &str) -> bool {
    code.split_once('/').is_some_and(|(above, below)| {
        [above, below].iter().all(|part| (1..=3).contains(&part.len()) && part.bytes().all(|c| c.is_ascii_digit()))
    })
}
