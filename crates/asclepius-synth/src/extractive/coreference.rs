//! What pronouns and repeated nouns of a note refer to, where a rule can tell without guessing.

use std::sync::LazyLock;

use regex::Regex;

use super::candidates::Candidate;
use super::chart::{Chart, Line};
use super::lexicon::pattern;
use super::words;

/// Pronouns for the patient, nouns that were introduced earlier, and statements that point at the one before.
pub(super) fn references(chart: &Chart<'_>) -> Vec<Candidate> {
    static PRONOUN: LazyLock<Regex> = LazyLock::new(|| pattern(r"\b(?:[Hh]e|[Ss]he|[Hh]is|[Hh]er|[Hh]im|[Tt]he (?:patient|pt))\b"));
    static RELATIVE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"(?i)\b(?:mother|father|brother|sister|wife|husband|son|daughter|parents?|uncle|aunt|cousin|grand\w+|sibling|partner|colleague|donor|surgeon|physician)s?\b")
    });
    static THING: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"\b(?:[Tt]he|[Tt]his|[Tt]hat|[Tt]hese|[Tt]hose) (?:(?:same|said) )?(mass|lesions?|tumou?r|cyst|nodules?|swelling|ulcers?|abscess|fracture|aneurysm|thromb\w+|catheter|tube|stent|drain|defect|rash|pain|fever|headache|symptoms?|polyps?|stone|fistula|hematoma|haematoma|effusion|stenosis|specimen|graft|implant|foreign body|perforation|mutation|variant|seizures?|wound|hernia|operation|procedure|surgery|biopsy|infection)\b")
    });
    static PREVIOUS: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(This|These|It)\b"));
    let mut candidates = Vec::new();
    let person = chart.person();
    let mut introduced = false;
    for (index, Line { text, section }) in chart.lines.iter().enumerate() {
        let quotable = (20..=320).contains(&text.len());
        if let Some(person) = person {
            let opens = text.contains(person);
            if introduced && quotable && !opens {
                if let Some(hit) = PRONOUN.find(text) {
                    let near = index.checked_sub(1).map_or("", |before| chart.lines[before].text);
                    if !RELATIVE.is_match(text) && !RELATIVE.is_match(near) {
                        let pronoun = hit.as_str();
                        candidates.push(Candidate::new(
                            [
                                format!("To whom does \"{pronoun}\" refer in \"{text}\"?"),
                                format!("Who is meant by \"{pronoun}\" in the line \"{text}\"?"),
                            ],
                            words::with_capital(person),
                        ));
                    }
                }
            }
            introduced |= opens;
        }
        if !quotable {
            continue;
        }
        if let Some(hit) = THING.captures(text) {
            let head = hit.get(1).map_or("", |head| head.as_str());
            let mention = hit.get(0).map_or("", |mention| mention.as_str());
            if let Some(antecedent) = antecedent(&chart.lines[..index], head) {
                // Rarer than pronouns and the better exercise.
                for _ in 0..3 {
                    candidates.push(Candidate::new(
                        [
                            format!("What is \"{mention}\" in \"{text}\"?"),
                            format!("Which earlier mention does \"{mention}\" point back to in \"{text}\"?"),
                        ],
                        words::with_capital(antecedent),
                    ));
                }
            }
        }
        if let (Some(hit), Some(before)) = (PREVIOUS.find(text), index.checked_sub(1).map(|before| chart.lines[before])) {
            if before.section == *section {
                candidates.push(Candidate::new(
                    [format!("To which preceding statement does \"{}\" refer in \"{text}\"?", hit.as_str())],
                    before.text,
                ));
            }
        }
    }
    candidates
}

/// The first mention of a thing, introduced with an indefinite article or a count, with what describes it.
fn antecedent<'a>(before: &[Line<'a>], head: &str) -> Option<&'a str> {
    let singular = head.strip_suffix('s').filter(|stem| !stem.ends_with('s')).unwrap_or(head);
    let source = format!(
        r"(?i)\b(?:an?|one|two|three|multiple|several|numerous|large|small|right|left) (?:[\w.×/%'’-]+ ){{0,6}}?{}(?:s|es)?\b(?: (?:in|of|on|at|with|measuring|from|over|near|within|arising|involving) [^.,;:()]{{3,80}})?",
        regex::escape(singular)
    );
    let mention = pattern(&source);
    before.iter().find_map(|line| mention.find(line.text)).map(|hit| hit.as_str().trim())
}
