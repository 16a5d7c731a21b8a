//! What pronouns and repeated nouns of a note refer to, where a rule can tell without guessing.

use std::sync::LazyLock;

use regex::Regex;

use super::candidates::Candidate;
use super::chart::{Chart, Line};
use super::lexicon::pattern;
use super::words;

/// Pronouns for the patient, nouns that were introduced earlier, and statements that point at the one before.
pub(super) fn references(chart: &Chart<'_>) -> Vec<Candidate> {
    static PRONOUN: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"\b(?:[Hh]e|[Ss]he|[Hh]is|[Hh]er|[Hh]im|[Tt]he (?:patient|pt))\b"));
    static RELATIVE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)\b(?:mother|father|brother|sister|wife|husband|son|daughter|parents?|uncle|aunt|cousin|grand\w+|sibling|partner|colleague|donor|surgeon|physician)s?\b",
        )
    });
    static PREVIOUS: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(This|These|It)\b"));
    let mut candidates = Vec::new();
    let person = chart.person();
    let mut introduced = false;
    for (index, Line { text, section }) in chart.lines.iter().enumerate() {
        let quotable = (20..=320).contains(&text.len());
        if let Some(person) = person {
            let opens = text.contains(person);
            let pronoun = (introduced && quotable && !opens).then(|| PRONOUN.find(text)).flatten();
            let near = index.checked_sub(1).map_or("", |before| chart.lines[before].text);
            // Where a relative is about, a pronoun may be theirs.
            if let Some(pronoun) = pronoun.filter(|_| !RELATIVE.is_match(text) && !RELATIVE.is_match(near)) {
                let pronoun = pronoun.as_str();
                candidates.push(Candidate::new(
                    [
                        format!("To whom does \"{pronoun}\" refer in \"{text}\"?"),
                        format!("Who is meant by \"{pronoun}\" in the line \"{text}\"?"),
                    ],
                    words::begun(person),
                ));
            }
            introduced |= opens;
        }
        if !quotable {
            continue;
        }
        if let Some(hit) = DEFINITE.captures(text) {
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
                        words::begun(antecedent),
                    ));
                }
            }
        }
        let before = index.checked_sub(1).map(|before| chart.lines[before]).filter(|before| before.section == *section);
        if let (Some(hit), Some(before)) = (PREVIOUS.find(text), before) {
            candidates.push(Candidate::new(
                [format!("To which preceding statement does \"{}\" refer in \"{text}\"?", hit.as_str())],
                before.text,
            ));
        }
    }
    candidates
}

/// Things that a report introduces once and then comes back to; singular.
const THINGS: [&str; 48] = [
    "mass",
    "lesion",
    "tumor",
    "tumour",
    "cyst",
    "nodule",
    "swelling",
    "ulcer",
    "abscess",
    "fracture",
    "aneurysm",
    "thrombus",
    "catheter",
    "tube",
    "stent",
    "drain",
    "defect",
    "rash",
    "pain",
    "fever",
    "headache",
    "symptom",
    "polyp",
    "stone",
    "fistula",
    "hematoma",
    "haematoma",
    "effusion",
    "stenosis",
    "specimen",
    "graft",
    "implant",
    "perforation",
    "mutation",
    "variant",
    "seizure",
    "wound",
    "hernia",
    "operation",
    "procedure",
    "surgery",
    "biopsy",
    "bx",
    "infection",
    "node",
    "clot",
    "bleeding",
    "foreign body",
];

/// "The mass", "these lesions": a thing taken as known.
static DEFINITE: LazyLock<Regex> =
    LazyLock::new(|| pattern(&format!(r"\b(?:[Tt]he|[Tt]his|[Tt]hat|[Tt]hese|[Tt]hose) ({})s?\b", THINGS.join("|"))));

/// For each thing, how a text introduces it: with an article or a count, and with what describes it.
static INTRODUCED: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let introduced = |thing| {
        pattern(&format!(
            r"(?i)\b(?:an?|one|two|three|multiple|several|numerous|large|small|right|left) (?:[\w.×/%'’-]+ ){{0,6}}?{thing}(?:s|es)?\b(?: (?:in|of|on|at|with|measuring|from|over|near|within|arising|involving) [^.,;:()]{{3,80}})?"
        ))
    };
    THINGS.iter().map(introduced).collect()
});

/// The first mention of a thing before it is taken as known.
fn antecedent<'a>(before: &[Line<'a>], thing: &str) -> Option<&'a str> {
    let index = THINGS.iter().position(|known| *known == thing)?;
    before.iter().find_map(|line| INTRODUCED[index].find(line.text).map(|hit| words::whole(line.text, hit.range())))
}
