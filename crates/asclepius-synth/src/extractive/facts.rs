//! Facts a doctor would look up in a note, each found by one pattern or in one section.

use std::sync::LazyLock;

use regex::Regex;

use super::candidates::Candidate;
use super::chart::Chart;
use super::cues::Section;
use super::lexicon::{self, pattern};
use super::words;

/// Every fact that the note holds and a rule finds.
pub(super) fn facts(chart: &Chart<'_>) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    let mut ask = |questions: &[&str], answer: Option<&str>| {
        if let Some(answer) = answer.map(str::trim).filter(|answer| !answer.is_empty()) {
            candidates.push(Candidate {
                questions: questions.iter().map(|&question| question.to_owned()).collect(),
                answer: words::begun(answer),
            });
        }
    };
    let first = |pattern: &Regex| {
        chart.lines.iter().find_map(|line| {
            let hit = pattern.captures(line.text)?;
            let hit = hit.get(1).or_else(|| hit.get(0)).map(|hit| words::whole(line.text, hit.range()))?;
            // "The diagnosis was made", "treated by us": the pattern fits, but what follows is no answer.
            let first_word = hit.split_whitespace().next().unwrap_or_default();
            (!EMPTY.contains(&first_word)).then_some(hit)
        })
    };
    ask(
        &["How old was the patient?", "At what age did this happen to the patient?"],
        chart.lines.iter().take(6).find_map(|line| lexicon::AGE.find(line.text)).map(|hit| hit.as_str()),
    );
    for (source, questions) in FACTS.iter() {
        ask(questions, first(source));
    }
    ask(
        &["What diagnosis does the note give?", "Which statement of the note names the diagnosis?"],
        chart.of(Section::Diagnosis).find(|line| line.to_lowercase().contains("diagnos") || line.contains("dx")),
    );
    ask(
        &["How did the patient fare in the end?", "What is the last thing the note says on the outcome?"],
        chart.of(Section::Plan).next_back(),
    );
    ask(
        &["What brought the patient to medical care?", "How does the note open the case?"],
        chart.of(Section::Complaint).next(),
    );
    let past: Vec<&str> = chart.of(Section::Past).collect();
    if (1..=3).contains(&past.len()) {
        ask(
            &["What is known of the patient's earlier history?", "Which background does the note give?"],
            Some(&past.join(" ")),
        );
    }
    let exam: Vec<&str> = chart.of(Section::Exam).collect();
    if (1..=4).contains(&exam.len()) {
        ask(&["What did the examination find?", "Describe the status on examination."], Some(&exam.join(" ")));
    }
    candidates
}

/// Words that begin no answer.
const EMPTY: [&str; 16] = [
    "made",
    "confirmed",
    "established",
    "given",
    "not",
    "reached",
    "suspected",
    "considered",
    "based",
    "supported",
    "delayed",
    "unclear",
    "us",
    "our",
    "this",
    "it",
];

/// Facts that one pattern finds: its first group is the answer.
static FACTS: LazyLock<Vec<(Regex, &'static [&'static str])>> = LazyLock::new(|| {
    let fact = |source: &str, questions: &'static [&'static str]| (pattern(source), questions);
    let level = r"(?:\s*\([^)]*\))?(?: (?:levels?|count|value|concentration))?[\s,:=]*(?:of|was|at|were|is|to be|on (?:admission|arrival|presentation) was)?[\s,:=]*";
    let value = r"(\d+(?:[.,]\d+)*(?:\s?[×x]\s?10\S{1,3})?\s?(?:%|[A-Za-z°µμ/]+(?:/[A-Za-z\d]+)?)?)";
    vec![
        fact(
            r"(?i)\b(?:BP|blood pressure)\D{0,20}?(\d{2,3}/\d{2,3}(?:\s?mm\s?Hg)?)",
            &["What was the blood pressure?", "Which blood pressure is noted?"],
        ),
        fact(
            r"(?i)\b(?:HR|heart rate|pulse(?: rate)?)\D{0,20}?(\d{2,3}(?:\s?(?:bpm|beats per minute|beats/min\w*|/min))?)",
            &["What was the heart rate?", "Which pulse rate does the note give?"],
        ),
        fact(
            r"(?i)\b(?:RR|respiratory rate)\D{0,20}?(\d{1,2}(?:\s?(?:breaths per minute|breaths/min\w*|/min|cycles/min\w*))?)\b",
            &["What was the respiratory rate?"],
        ),
        fact(
            r"(?i)\b(?:body temp(?:erature)?|temp(?:erature)?|fever of)\D{0,20}?(\d{2,3}(?:\.\d)?\s?(?:°\s?[CF]|℃))",
            &["What was the body temperature?", "How high was the temperature?"],
        ),
        fact(
            r"(?i)\b(?:SpO2|SaO2|O2 sat\w*|oxygen saturation)\D{0,25}?(\d{2,3}\s?%(?: on [\w ]{2,20})?)",
            &["What was the oxygen saturation?"],
        ),
        fact(
            r"\b(?:GCS|Glasgow [Cc]oma [Ss]c(?:ale|ore))\D{0,25}?(\d{1,2}(?:/15)?)\b",
            &["What was the GCS?", "Which Glasgow coma score is recorded?"],
        ),
        fact(
            &format!(r"\b(?i:h[ae]+moglobin|Hb|Hgb){level}{value}"),
            &["What was the haemoglobin?", "Which hemoglobin value is recorded?"],
        ),
        fact(
            &format!(r"\b(?i:WBC|white blood cells?|leu[ck]ocytes?){level}{value}"),
            &["What was the white cell count?", "Which WBC value does the note give?"],
        ),
        fact(
            &format!(r"\b(?i:CRP|C-reactive protein){level}{value}"),
            &["What was the CRP?", "How high was the C-reactive protein?"],
        ),
        fact(&format!(r"\b(?:[Pp]latelets?|PLT|[Pp]lt){level}{value}"), &["What was the platelet count?"]),
        fact(
            &format!(r"\b(?:[Cc]reatinine|Cr|[Cc]reat){level}{value}"),
            &["What was the creatinine?", "Which creatinine value is recorded?"],
        ),
        fact(
            r"\b[Uu]nderwent ([^.;,()]{5,120})",
            &["What did the patient undergo?", "Which intervention does the note say the patient underwent?"],
        ),
        fact(
            r"(?i)\b(?:diagnosed (?:with|as(?: having)?|to have)|(?:diagnosis|dx) (?:of|was|is)) ([^.;()]{4,140})",
            &["What was diagnosed?", "Which diagnosis was made?"],
        ),
        fact(
            r"(?i)\b(?:presented|presenting|p/w|admitted|seen|referred)(?: to [^,.;]{3,60}?)? (?:with|w/|for|because of|due to) ([^.;()]{4,160})",
            &["With what did the patient present?", "What was the reason for coming to hospital?"],
        ),
        fact(
            r"(?i)\b(?:was|were|is) treated (?:with|w/|by) ([^.;()]{4,140})",
            &["What was the patient treated with?", "Which treatment was given?"],
        ),
        fact(
            r"(?i)\b(?:d/c|discharged)(?: [^.;,()]{0,40}?)? on ([^.;()]{4,100})",
            &["When or on what was the patient discharged?"],
        ),
        fact(
            r"(?i)\b((?:measuring|measured|sized?)(?: about| approximately)? \d[^.;,()]{2,50})",
            &["What size does the note report?", "Which measurement is given for the lesion?"],
        ),
    ]
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_compile() {
        LazyLock::force(&FACTS);
    }
}
