//! The extractive teacher, `extractive-1`: a chat model's stand-in without a model.
//!
//! It reads a prompt's tagged blocks and nothing else. `<report>` asks for a note: the report's own sentences under
//! clinical headings, clipped and abbreviated. `<note>` with `<task>` asks for a question, and with `<question>` for its
//! answer, which stands in the note. It is a pure function: the same messages give the same reply, and no word of a note
//! or an answer comes from anywhere but the report, the abbreviation table and the short fixed list in [`fixed_words`].
//! What it writes shows that the machinery works, not that a model is good.

mod candidates;
mod chart;
mod coreference;
mod cues;
mod facts;
mod lexicon;
mod note;
mod relations;
mod tags;
mod unanswerable;
mod words;

use asclepius_schema::{Message, Task};

use self::candidates::Candidate;
use self::chart::Chart;
use self::cues::Section;
use self::tags::Blocks;

/// The name rows carry as their `teacher_model`.
pub const MODEL: &str = asclepius_llm::EXTRACTIVE_MODEL;

/// Why the extractive teacher has no reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExtractiveError {
    /// The conversation holds neither a report nor a note between tags on lines of their own.
    #[error("the extractive teacher needs a <report> or a <note> block that opens on a line of its own")]
    NoMaterial,
    /// A note came without saying what to do with it.
    #[error("the extractive teacher needs a <task> or a <question> block beside the <note>")]
    NoRequest,
    /// The task is none of the eight.
    #[error("<task> names {task:?}, which is none of the eight tasks")]
    UnknownTask {
        /// What the block holds.
        task: String,
    },
    /// The block is there but has no sentence in it.
    #[error("<{tag}> holds no sentence")]
    Empty {
        /// The empty block.
        tag: &'static str,
    },
}

/// Replies to a conversation as a chat model would.
///
/// # Errors
/// When the prompt's tags do not say what is wanted, or the text between them has no sentence.
pub fn reply(messages: &[Message]) -> Result<String, ExtractiveError> {
    let blocks = Blocks::read(messages);
    if let Some(note) = blocks.get("note") {
        let chart = Chart::read(note);
        if chart.lines.is_empty() {
            return Err(ExtractiveError::Empty { tag: "note" });
        }
        let task = blocks.get("task").map(parse_task).transpose()?;
        return match (blocks.get("question"), task) {
            (Some(question), task) => Ok(answer(&chart, task, question)),
            (None, Some(task)) => {
                let answerable = blocks.get("answerable").is_none_or(|word| !word.eq_ignore_ascii_case("no"));
                let shown = ["examples", "asked"].map(|tag| blocks.get(tag).unwrap_or_default()).join("\n");
                Ok(ask(&chart, task, answerable, note, &shown))
            }
            (None, None) => Err(ExtractiveError::NoRequest),
        };
    }
    let report = blocks.get("report").ok_or(ExtractiveError::NoMaterial)?;
    let note = note::write(report);
    if note.is_empty() { Err(ExtractiveError::Empty { tag: "report" }) } else { Ok(note) }
}

/// The words a note or an answer may hold that are neither the report's nor the abbreviation table's: the headings, and
/// what says that a note does not answer a question.
pub fn fixed_words() -> Vec<String> {
    let headings = Section::ALL.into_iter().map(Section::heading);
    let mut list: Vec<String> = headings.chain([unanswerable::REPLY_WORDS]).flat_map(words::tokens).collect();
    list.sort_unstable();
    list.dedup();
    list
}

fn parse_task(name: &str) -> Result<Task, ExtractiveError> {
    Task::parse(name).ok_or_else(|| ExtractiveError::UnknownTask { task: name.to_owned() })
}

/// A question about the note, chosen by the note's own bytes among those not asked yet.
fn ask(chart: &Chart<'_>, task: Task, answerable: bool, note: &str, asked: &str) -> String {
    let choice = asclepius_schema::Fingerprint::new("extractive question")
        .bytes("task", task.key().as_bytes())
        .bytes("note", note.as_bytes())
        .finish();
    let choice = u128::from_str_radix(&choice, 16).unwrap_or_default();
    if !answerable {
        let untold: Vec<String> = unanswerable::for_task(task, chart)
            .into_iter()
            .map(|(question, _)| question)
            .filter(|question| !asked.contains(question.as_str()))
            .collect();
        if let Some(question) = pick(&untold, choice) {
            return question.clone();
        }
    }
    let all = candidates::for_task(task, chart);
    let fresh: Vec<&Candidate> = all
        .iter()
        .filter(|candidate| !candidate.questions.iter().any(|question| asked.contains(question.as_str())))
        .collect();
    let pool = if fresh.is_empty() { all.iter().collect() } else { fresh };
    // Which thing to ask and how to word it are drawn from different digits of the hash.
    let question = pick(&pool, choice).and_then(|candidate| pick(&candidate.questions, choice >> 64));
    question.cloned().unwrap_or_else(|| "What does the note report first?".to_owned())
}

fn pick<T>(items: &[T], choice: u128) -> Option<&T> {
    items.get((choice % items.len().max(1) as u128) as usize)
}

/// The answer: this teacher's own for a question it could have asked, else what comes closest in the note.
fn answer(chart: &Chart<'_>, task: Option<Task>, question: &str) -> String {
    let question = question.trim();
    // The task that was named first; a question may still fit another better than not at all.
    let tasks: Vec<Task> = task.into_iter().chain(Task::ALL.into_iter().filter(|&other| Some(other) != task)).collect();
    for &task in &tasks {
        if let Some((_, reply)) = unanswerable::for_task(task, chart).into_iter().find(|(asked, _)| asked == question) {
            return reply;
        }
    }
    let own = tasks.iter().find_map(|&task| {
        let known = candidates::for_task(task, chart);
        known.into_iter().find(|candidate| candidate.questions.iter().any(|asked| asked == question))
    });
    if let Some(own) = own {
        return own.answer;
    }
    let named = task.map(|task| candidates::for_task(task, chart)).unwrap_or_default();
    closest_question(&named, question)
        .or_else(|| closest_line(chart, question))
        .unwrap_or_else(unanswerable::nothing_found)
}

/// The answer to the own question that says most of what `question` says, if it says at least two thirds of it.
fn closest_question(known: &[Candidate], question: &str) -> Option<String> {
    let wanted = words::content_words(question);
    if wanted.is_empty() {
        return None;
    }
    let overlap = |asked: &str| {
        let asked = words::content_words(asked);
        wanted.iter().filter(|word| asked.contains(word)).count() as f32 / wanted.len() as f32
    };
    let mut best: Option<(f32, &str)> = None;
    for candidate in known {
        for asked in &candidate.questions {
            let score = overlap(asked);
            if score >= 2.0 / 3.0 && best.is_none_or(|(top, _)| score > top) {
                best = Some((score, &candidate.answer));
            }
        }
    }
    best.map(|(_, answer)| answer.to_owned())
}

/// The line of the note that shares most content words with the question, abbreviations read either way; at least a
/// third of the question's words must be in it.
fn closest_line(chart: &Chart<'_>, question: &str) -> Option<String> {
    let mut wanted = words::content_words(question);
    wanted.sort_unstable();
    wanted.dedup();
    let mut best: Option<(usize, &str)> = None;
    for line in chart.lines.iter().filter(|line| !words::asks(line.text)) {
        let held: Vec<String> = words::content_words(line.text)
            .into_iter()
            .chain(words::content_words(&words::expand(line.text)))
            .collect();
        let shared = wanted.iter().filter(|word| held.contains(word)).count();
        if shared * 3 >= wanted.len().max(1) && shared > 0 && best.is_none_or(|(top, _)| shared > top) {
            best = Some((shared, line.text));
        }
    }
    best.map(|(_, line)| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "A 45-year-old woman presented with chest pain for two days. She had a history of hypertension. \
        On examination, her abdomen was soft. Chest CT revealed a 3 cm mass in the left lung. She was treated with aspirin \
        100 mg daily for suspected pericarditis. The mass was resected on day 3.\n\nShe was discharged and remained well \
        at 6-month follow-up.";

    fn note() -> String {
        reply(&[Message::user(format!("<report>\n{REPORT}\n</report>"))]).expect("a report gives a note")
    }

    #[test]
    fn each_task_gets_a_question_and_its_answer() {
        let note = note();
        for task in Task::ALL {
            let ask = format!("<task>{}</task>\n<note>\n{note}\n</note>", task.title());
            let question = reply(&[Message::user(ask)]).expect("a question");
            let request =
                format!("<task>{}</task>\n<note>\n{note}\n</note>\n<question>\n{question}\n</question>", task.key());
            let answer = reply(&[Message::user(request)]).expect("an answer");
            assert!(
                !answer.is_empty() && !answer.ends_with('?') && answer != unanswerable::nothing_found(),
                "{task:?}: {question}"
            );
        }
    }

    #[test]
    fn an_unanswerable_question_is_answered_with_the_reason() {
        let note = note();
        for task in Task::ALL {
            let ask = format!("<task>{}</task>\n<answerable>no</answerable>\n<note>\n{note}\n</note>", task.key());
            let question = reply(&[Message::user(ask)]).expect("a question");
            let request =
                format!("<task>{}</task>\n<note>\n{note}\n</note>\n<question>\n{question}\n</question>", task.key());
            let answer = reply(&[Message::user(request)]).expect("an answer");
            assert!(answer.starts_with("The note does not"), "{task:?}: {question} -> {answer}");
        }
    }

    #[test]
    fn what_was_asked_is_not_asked_again() {
        let note = note();
        let ask = |examples: &str| {
            let text = format!("<task>qa</task>\n<examples>\n{examples}\n</examples>\n<note>\n{note}\n</note>");
            reply(&[Message::user(text)]).expect("a question")
        };
        let first = ask("");
        assert_ne!(ask(&format!("- {first}")), first);
        assert_eq!(ask(""), first);
    }

    #[test]
    fn a_question_of_unknown_origin_is_answered_by_the_closest_line() {
        let note = note();
        let request = |question: &str| {
            let text = format!("<note>\n{note}\n</note>\n<question>\n{question}\n</question>");
            reply(&[Message::user(text)]).expect("an answer")
        };
        assert!(request("How long was the chest pain present?").starts_with("A 45-year-old woman"));
        assert_eq!(request("Which football club does he support?"), unanswerable::nothing_found());
    }

    #[test]
    fn prompts_without_material_or_request_are_refused() {
        assert_eq!(reply(&[Message::user("Hello")]), Err(ExtractiveError::NoMaterial));
        assert_eq!(reply(&[Message::user("<note>\nWell.\n</note>")]), Err(ExtractiveError::NoRequest));
        assert_eq!(reply(&[Message::user("<report>\n\n</report>")]), Err(ExtractiveError::Empty { tag: "report" }));
        let unknown = reply(&[Message::user("<task>tea</task>\n<note>\nIt is well.\n</note>")]);
        assert_eq!(unknown, Err(ExtractiveError::UnknownTask { task: "tea".to_owned() }));
    }
}
