//! For each task, everything this teacher can ask about a note, with the answers that stand in it.

use std::sync::LazyLock;

use asclepius_schema::Task;
use regex::Regex;

use super::chart::Chart;
use super::cues::Section;
use super::lexicon::{self, pattern};
use super::{coreference, facts, relations, words};

/// One thing to ask: wordings of the question, and the answer.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) questions: Vec<String>,
    pub(crate) answer: String,
}

impl Candidate {
    pub(super) fn new<const N: usize>(questions: [impl Into<String>; N], answer: impl Into<String>) -> Self {
        Self { questions: questions.into_iter().map(Into::into).collect(), answer: answer.into() }
    }
}

/// Longest list an answer gives; a longer one is not asked for.
pub(super) const MOST_ITEMS: usize = 24;

/// What can be asked about the note for this task. Empty only for a note without a sentence.
pub(crate) fn for_task(task: Task, chart: &Chart<'_>) -> Vec<Candidate> {
    let mut candidates = match task {
        Task::Ner => entities(chart),
        Task::Abbreviation => abbreviations(chart),
        Task::Relation => relations::relations(chart),
        Task::Temporal => relations::times(chart),
        Task::Coreference => coreference::references(chart),
        Task::Paraphrase => paraphrases(chart),
        Task::Summary => summaries(chart),
        Task::Qa => facts::facts(chart),
    };
    candidates.retain(|candidate| !candidate.answer.trim().is_empty() && !words::asks(&candidate.answer));
    if candidates.is_empty() {
        candidates = fallback(task, chart);
    }
    candidates
}

/// What any note with one sentence can be asked, in the manner of the task.
fn fallback(task: Task, chart: &Chart<'_>) -> Vec<Candidate> {
    let stated = chart.lines.iter().find(|line| !words::asks(line.text)).or(chart.lines.first());
    let Some(first) = stated.map(|line| words::unasked(line.text)) else { return Vec::new() };
    let question = match task {
        Task::Ner => "Which statement names the patient's main problem at the start of the note?",
        Task::Abbreviation => "Write the opening statement of the note without any abbreviation.",
        Task::Relation => "What does the note connect with the patient in its opening statement?",
        Task::Temporal => "What does the note report first?",
        Task::Coreference => "About whom does the opening statement of the note speak?",
        Task::Paraphrase => "Give the opening statement of the note in full words.",
        Task::Summary => "Name the one statement that opens the note.",
        Task::Qa => "With what does the note begin?",
    };
    let answer = match task {
        Task::Abbreviation | Task::Paraphrase => words::expand(first),
        _ => first.to_owned(),
    };
    vec![Candidate::new([question], answer)]
}

/// Mentions over all lines: in order, each once.
fn collect<'a>(chart: &Chart<'a>, what: &Regex, keep: impl Fn(&'a str, &str, usize) -> bool) -> Vec<&'a str> {
    let mut found: Vec<&str> = Vec::new();
    for line in &chart.lines {
        for mention in lexicon::mentions(what, line.text, |word, at| keep(line.text, word, at)) {
            if !found.iter().any(|seen| seen.eq_ignore_ascii_case(mention)) {
                found.push(mention);
            }
        }
    }
    found
}

/// A comma list of mentions, unless it is empty or too long to be a fair question.
fn listed<const N: usize>(found: &[&str], questions: [&str; N]) -> Option<Candidate> {
    (!found.is_empty() && found.len() <= MOST_ITEMS).then(|| Candidate::new(questions, found.join(", ")))
}

fn entities(chart: &Chart<'_>) -> Vec<Candidate> {
    let disease = |word: &str| !lexicon::NOT_CONDITIONS.iter().any(|not| word.to_lowercase().ends_with(not));
    let drugs = collect(chart, &lexicon::DRUG, |_, _, _| true);
    let present = collect(chart, &lexicon::FINDING, |line, _, at| !lexicon::negated(line, at));
    let absent = collect(chart, &lexicon::FINDING, |line, _, at| lexicon::negated(line, at));
    let tests = collect(chart, &lexicon::TEST, |_, _, _| true);
    let procedures = collect(chart, &lexicon::PROCEDURE, |_, _, _| true);
    let conditions = collect(chart, &lexicon::CONDITION, |line, word, at| disease(word) && !lexicon::negated(line, at));
    [
        listed(
            &drugs,
            [
                "List all drugs and drug classes named in the note.",
                "Which medications does the note mention?",
                "Extract every medication that appears in this note.",
            ],
        ),
        listed(
            &present,
            [
                "Which symptoms and signs are recorded as present?",
                "Identify the symptoms and clinical signs that the note affirms.",
                "Pick out the positive symptoms and signs.",
            ],
        ),
        listed(
            &absent,
            ["Which symptoms or signs does the note record as absent?", "Extract the pertinent negative findings."],
        ),
        listed(
            &tests,
            [
                "Name the investigations mentioned in the note.",
                "Which tests and imaging studies appear in this note?",
                "Extract the diagnostic tests.",
            ],
        ),
        listed(
            &procedures,
            [
                "Which procedures and interventions are named?",
                "Extract all procedures and non-drug treatments from the note.",
            ],
        ),
        listed(
            &conditions,
            [
                "Identify the diseases and disorders affirmed in this note.",
                "List the diagnoses and conditions that the note names.",
            ],
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn abbreviations(chart: &Chart<'_>) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    let mut all: Vec<(&str, &str)> = Vec::new();
    for line in &chart.lines {
        for (short, long) in words::abbreviations_in(line.text).into_iter().chain(defined_in(line.text)) {
            if !all.iter().any(|(seen, _)| *seen == short) {
                all.push((short, long));
            }
        }
    }
    for (short, long) in &all {
        candidates.push(Candidate::new(
            [
                format!("What does \"{short}\" stand for in this note?"),
                format!("Give the full form of the abbreviation \"{short}\"."),
            ],
            format!("{short}: {long}"),
        ));
    }
    for (section, lines) in sections(chart) {
        let pairs: Vec<_> = all
            .iter()
            .filter(|(short, _)| {
                lines.iter().any(|line| words::abbreviations_in(line).iter().any(|(found, _)| found == short))
            })
            .collect();
        if (2..=MOST_ITEMS).contains(&pairs.len()) {
            let heading = section.heading();
            let answer: Vec<String> = pairs.iter().map(|(short, long)| format!("- {short}: {long}")).collect();
            // Several at once are the better exercise: give them the weight of several single ones.
            for _ in 0..2 {
                candidates.push(Candidate::new(
                    [
                        format!("Expand the abbreviations used under {heading}."),
                        format!("Write out each abbreviation in the section {heading}."),
                    ],
                    answer.join("\n"),
                ));
            }
        }
    }
    candidates
}

/// Abbreviations that the text itself defines, as in "myelodysplastic syndrome (MDS)": the initials must fit.
fn defined_in(text: &str) -> Vec<(&str, &str)> {
    static DEFINED: LazyLock<Regex> = LazyLock::new(|| pattern(r"\(([A-Z][A-Za-z]{1,6})\)"));
    let mut found = Vec::new();
    for hit in DEFINED.captures_iter(text) {
        let (whole, short) = (hit.get(0), hit.get(1));
        let (Some(whole), Some(short)) = (whole, short) else { continue };
        let initials: Vec<char> =
            short.as_str().chars().filter(|c| c.is_uppercase()).flat_map(char::to_lowercase).collect();
        let before = text[..whole.start()].trim_end();
        let starts: Vec<usize> = before
            .char_indices()
            .filter(|&(at, c)| c.is_alphanumeric() && !before[..at].ends_with(char::is_alphanumeric))
            .map(|(at, _)| at)
            .collect();
        if initials.len() < 2 || starts.len() < initials.len() {
            continue;
        }
        let first = starts[starts.len() - initials.len()];
        let fits = starts[starts.len() - initials.len()..]
            .iter()
            .zip(&initials)
            .all(|(&at, initial)| before[at..].chars().next().is_some_and(|c| c.to_lowercase().eq([*initial])));
        if fits {
            found.push((short.as_str(), &before[first..]));
        }
    }
    found
}

/// The note's own sections with their lines, in order.
fn sections<'a>(chart: &Chart<'a>) -> Vec<(Section, Vec<&'a str>)> {
    Section::ALL
        .into_iter()
        .map(|section| (section, chart.of(section).collect::<Vec<_>>()))
        .filter(|(_, lines)| !lines.is_empty())
        .collect()
}

fn paraphrases(chart: &Chart<'_>) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    let reworded = |text: &str| words::expand(&fronted_to_end(text).unwrap_or_else(|| text.to_owned()));
    for line in chart.quotable().filter(|line| line.text.split_whitespace().count() >= 5) {
        let answer = reworded(line.text);
        if answer != line.text {
            let text = line.text;
            candidates.push(Candidate::new(
                [
                    format!("Rewrite this line of the note in full words: \"{text}\""),
                    format!("Paraphrase for a reader who knows no abbreviations: \"{text}\""),
                    format!("Restate in plain terms: \"{text}\""),
                ],
                answer,
            ));
        }
    }
    for (section, lines) in sections(chart) {
        let length: usize = lines.iter().map(|line| line.len()).sum();
        let answer = lines.iter().map(|line| reworded(line)).collect::<Vec<_>>().join(" ");
        if lines.len() >= 2 && length <= 700 && answer != lines.join(" ") {
            let heading = section.heading();
            candidates.push(Candidate::new(
                [
                    format!("Put the section {heading} into full words and running text."),
                    format!("Reword the section {heading} so that no abbreviation is left."),
                ],
                answer,
            ));
        }
    }
    candidates
}

/// A sentence with its leading circumstance moved to the end: "On day 3, he walked." becomes "He walked on day 3."
fn fronted_to_end(text: &str) -> Option<String> {
    static FRONTED: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"^((?:On|At|In|After|During|Upon|Before|Within|Following|Over|Since|Until) [^,.;()]{3,50}), ([^;]+?)(\.?)$",
        )
    });
    let hit = FRONTED.captures(text)?;
    let (circumstance, main) = (&hit[1], &hit[2]);
    // A further clause or list would swallow what is put behind it.
    if main.contains([',', ':', '(']) || main.split_whitespace().count() < 3 {
        return None;
    }
    let mut letters = circumstance.chars();
    let first = letters.next()?.to_lowercase();
    Some(format!("{} {}{}", words::begun(main), first.chain(letters).collect::<String>(), &hit[3]))
}

fn summaries(chart: &Chart<'_>) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    let best = |section| {
        let lines: Vec<&str> = chart.of(section).filter(|line| line.len() <= 400).collect();
        chart.central(&lines, 1).first().copied()
    };
    let opening = chart.of(Section::Complaint).next().or_else(|| chart.lines.first().map(|line| line.text));
    let diagnosis = best(Section::Diagnosis).or_else(|| best(Section::Results));
    let treatment = best(Section::Course).or_else(|| best(Section::Medications));
    let outcome = chart.of(Section::Plan).next_back().or_else(|| chart.of(Section::Course).next_back());
    let mut key: Vec<&str> = Vec::new();
    for line in [opening, diagnosis, treatment, outcome].into_iter().flatten() {
        if !key.contains(&line) {
            key.push(line);
        }
    }
    if key.len() >= 2 {
        for _ in 0..3 {
            candidates.push(Candidate::new(
                [
                    "Summarise the note in a few sentences.",
                    "Give a short handover: complaint, main finding, treatment and outcome.",
                    "Condense this note to its key statements.",
                    "What should a colleague know about this case in brief?",
                ],
                key.join(" "),
            ));
        }
    }
    for (section, lines) in sections(chart) {
        if lines.len() >= 3 && section != Section::Complaint {
            let heading = section.heading();
            let short: Vec<&str> = lines.iter().copied().filter(|line| line.len() <= 400).collect();
            candidates.push(Candidate::new(
                [
                    format!("Reduce the section {heading} to its two main statements."),
                    format!("Sum up the section {heading} in two lines."),
                ],
                chart.central(&short, 2).join(" "),
            ));
        }
    }
    candidates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fronted_circumstance_moves_behind_the_clause() {
        assert_eq!(fronted_to_end("On day 3, he walked unaided.").as_deref(), Some("He walked unaided on day 3."));
        assert_eq!(fronted_to_end("On day 3, he walked, ran and fell."), None);
    }

    #[test]
    fn a_definition_must_fit_its_initials() {
        assert_eq!(defined_in("a myelodysplastic syndrome (MDS) was found"), []);
        assert_eq!(
            defined_in("had benign prostatic enlargement (BPE) then"),
            [("BPE", "benign prostatic enlargement")]
        );
        assert_eq!(defined_in("the wall (LV) of the heart"), []);
    }
}
