//! Relations and times: what a note ties together, and when it says things happened.

use std::sync::LazyLock;

use regex::Regex;

use super::candidates::{Candidate, MOST_ITEMS};
use super::chart::{Chart, Line, clause_after};
use super::lexicon::{self, pattern};
use super::words;

/// Tests with their results, drugs with their doses and purposes, events with their causes.
pub(super) fn relations(chart: &Chart<'_>) -> Vec<Candidate> {
    static PURPOSE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"\b(?:for (?:the )?(?:treatment|management|control|suspected|presumed|possible)|to (?:treat|control|manage|prevent|relieve|reduce)|because of|due to|2/2)\s+([^.,;()]{4,80})",
        )
    });
    static CAUSE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"\b(?:due to|d/t|secondary to|2/2|caused by|because of|attributed to|attributable to|resulting from|as a result of|induced by)\s+([^.,;()]{4,100})",
        )
    });
    static DOSE_END: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"\s(?:was|were|had|has|is|are|to|and|with|which|who|because|but|as|in|on|until|plus|then|given|started|added|led|for (?:the|an?|left|right|his|her|suspected|presumed|possible|persistent|treatment|tx))(?:\s|$)",
        )
    });
    let mut found = Vec::new();
    let mut doses = Vec::new();
    let mut candidates = Vec::new();
    for Line { text, .. } in &chart.lines {
        if let Some((test, finding)) = result_of(text) {
            found.push((test, finding));
        }
        for drug in lexicon::DRUG.find_iter(text) {
            let rest = &text[drug.end()..];
            // The dose belongs to the last drug before it.
            let reach = lexicon::DRUG.find(rest).map_or(rest.len(), |next| next.start());
            if let Some(dose) = lexicon::DOSE.find(&rest[..reach]).filter(|dose| dose.start() <= 30) {
                let dose = words::whole(rest, dose.range());
                let dose = dose[..DOSE_END.find(dose).map_or(dose.len(), |word| word.start())].trim();
                if !doses
                    .iter()
                    .any(|(seen, known): &(&str, &str)| seen.eq_ignore_ascii_case(drug.as_str()) && *known == dose)
                {
                    doses.push((drug.as_str(), dose));
                }
            }
        }
        if let (Some(drug), Some(purpose)) = (lexicon::DRUG.find(text), PURPOSE.captures(text)) {
            let purpose = purpose.get(1).map_or("", |purpose| words::whole(text, purpose.range()));
            candidates.push(Candidate::new(
                [
                    format!("For what was {} given, according to \"{text}\"?", drug.as_str()),
                    format!("Link {} to the problem it was meant for in \"{text}\".", drug.as_str()),
                ],
                format!("{}: {purpose}", drug.as_str()),
            ));
        }
        if let Some(cause) = CAUSE.captures(text).and_then(|hit| hit.get(1)).filter(|_| text.len() <= 300) {
            candidates.push(Candidate::new(
                [
                    format!("Which cause does the note give in \"{text}\"?"),
                    format!("To what is the event in \"{text}\" attributed?"),
                ],
                words::whole(text, cause.range()),
            ));
        }
    }
    for (test, finding) in &found {
        let others = found.iter().filter(|(name, _)| name.eq_ignore_ascii_case(test)).count();
        if others == 1 {
            candidates.push(Candidate::new(
                [format!("What did the {test} show?"), format!("Which finding does the note tie to the {test}?")],
                *finding,
            ));
        }
    }
    if found.len() >= 2 {
        let answer: Vec<String> = found.iter().take(8).map(|(test, finding)| format!("- {test}: {finding}")).collect();
        let question = if found.len() > 8 {
            [
                "Pair the first eight investigations in the note with their results.",
                "For the first eight tests reported, match test and result.",
            ]
        } else {
            [
                "Pair each investigation in the note with its result.",
                "Match every test that has a result with that result.",
            ]
        };
        candidates.push(Candidate::new(question, answer.join("\n")));
    }
    if !doses.is_empty() && doses.len() <= MOST_ITEMS {
        let answer: Vec<String> = doses.iter().map(|(drug, dose)| format!("- {drug}: {dose}")).collect();
        for _ in 0..2 {
            candidates.push(Candidate::new(
                [
                    "Which dose or regimen belongs to each drug?",
                    "Connect the drugs in the note with the doses at which they were given.",
                ],
                answer.join("\n"),
            ));
        }
    }
    candidates
}

/// The first investigation that a line names and what it found, if the line says so.
fn result_of(text: &str) -> Option<(&str, &str)> {
    static FINDS: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"^[^.;]{0,40}?(?::|\b(?:showed|revealed|demonstrated|disclosed|confirmed|identified|detected|grew|was|were))\s+",
        )
    });
    // "CT was performed" says that there was a test, not what it found.
    const NO_RESULT: [&str; 9] =
        ["performed", "done", "obtained", "taken", "conducted", "ordered", "sent", "carried", "not performed"];
    let test = lexicon::TEST.find(text)?;
    let verb = FINDS.find(&text[test.end()..])?;
    let finding = clause_after(text, 0..test.end() + verb.end());
    let finding = finding.strip_prefix("that ").unwrap_or(finding);
    let says = (1..=240).contains(&finding.len()) && !NO_RESULT.iter().any(|word| finding.starts_with(word));
    says.then_some((test.as_str(), finding))
}

/// Events with the expressions of time that date them.
pub(super) fn times(chart: &Chart<'_>) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    let mut dated: Vec<(&str, &str)> = Vec::new();
    for line in chart.quotable() {
        let times: Vec<_> =
            lexicon::TIME.find_iter(line.text).map(|hit| hit.as_str().trim()).filter(|time| time.len() > 4).collect();
        let [time] = times[..] else { continue };
        dated.push((time, line.text));
        if let Some(event) = without(line.text, time) {
            candidates.push(Candidate::new(
                [
                    format!("At what time, or over what period, was this: \"{event}\""),
                    format!("How does the note date the following? \"{event}\""),
                ],
                words::begun(time),
            ));
        }
    }
    for (time, event) in &dated {
        if dated.iter().filter(|(other, _)| other.eq_ignore_ascii_case(time)).count() == 1 {
            candidates.push(Candidate::new(
                [
                    format!("What does the note report for the time \"{time}\"?"),
                    format!("Which statement of the note belongs to \"{time}\"?"),
                ],
                *event,
            ));
        }
    }
    if dated.len() >= 2 {
        let answer: Vec<String> =
            dated.iter().take(6).map(|(time, event)| format!("- {}: {event}", words::begun(time))).collect();
        let questions = if dated.len() > 6 {
            [
                "List the first six dated events of the note, each with its time.",
                "Which times does the note give for its first six dated events?",
            ]
        } else {
            [
                "List the dated events of the note, each with its time.",
                "Which times and dates does the note give, and for what?",
            ]
        };
        for _ in 0..2 {
            candidates.push(Candidate::new(questions, answer.join("\n")));
        }
    }
    candidates
}

/// The sentence without its expression of time, when that leaves a sentence to ask about.
fn without(text: &str, time: &str) -> Option<String> {
    let at = text.find(time)?;
    let left = text[..at].trim_end();
    let right = text[at + time.len()..].trim_start_matches([',', ' ']);
    // Cut out of the middle, the words on either side would no longer fit together.
    let event = if left.is_empty() {
        words::begun(right)
    } else if right.trim_matches(['.', ' ']).is_empty() {
        format!("{}.", left.trim_end_matches([',', ';']))
    } else {
        return None;
    };
    (event.split_whitespace().count() >= 4).then_some(event)
}
