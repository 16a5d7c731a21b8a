//! Whether an answer says that the note does not tell.

use std::sync::LazyLock;

use regex::Regex;

static UNTOLD: LazyLock<Regex> = LazyLock::new(|| {
    let teller = r"(?:note|record|chart|text|document|documentation|report|summary)";
    let tell = r"(?:mention|state|say|tell|give|contain|provide|include|specify|describe|document|record|report|use|hold|name|indicate|address|discuss|explain|answer|list)";
    Regex::new(&format!(
        r"(?i)\b{teller}s?\s(?:itself\s)?(?:does not|do not|doesn['’]t|don['’]t|did not|never)\s(?:\w+\s)?{tell}|\bcan(?:not|'t|’t| not) be (?:answered|determined|told|inferred|established)\b|\b(?:is|are|was|were)?\s?not (?:mentioned|stated|documented|specified|recorded)\b|\bno (?:mention|information|record|documentation|details?)\b|\bunanswerable\b|\b(?:insufficient|not enough) information\b|\bi (?:cannot|can['’]t) tell\b"
    ))
    .expect("the pattern is valid")
});

/// Whether the answer's first sentence says that the note does not hold what was asked for. What an answer adds after having
/// answered ("the dose is not documented") is no abstention.
pub fn abstains(answer: &str) -> bool {
    crate::sentences::split(answer.trim()).first().is_some_and(|first| UNTOLD.is_match(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn abstentions_are_told_from_answers() {
        for answer in [
            "The note does not mention the patient's blood group, so it cannot be answered from it.",
            "The note does not use the abbreviation \"ERCP\", so it cannot be answered from it.",
            "This cannot be determined: the record never states a weight.",
            "Not documented.",
            "There is no mention of allergies in the note.",
            "The note doesn’t actually specify the dose.",
        ] {
            assert!(abstains(answer), "{answer}");
        }
        for answer in [
            "",
            "Aspirin 100 mg. The duration is not documented.",
            "No fever, no chills.",
            "He did not report pain.",
            "Day 6",
            "Heparin was not given.",
            "Surgery was not indicated.",
        ] {
            assert!(!abstains(answer), "{answer}");
        }
    }
}
