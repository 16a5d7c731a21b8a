//! The prompts that ask a chat model, and what each is rendered with.

use std::path::Path;

use asclepius_schema::{Message, Task};
use asclepius_text::{Prompt, TextError, judge};
use serde::Serialize;

use crate::{NoteType, SynthError};

/// A prompt that is built in.
#[derive(Debug, Clone, Copy)]
pub struct Builtin {
    /// The file's name under `data/prompts`.
    pub name: &'static str,
    /// Its content.
    pub source: &'static str,
}

/// Report to note; rendered with `report` and `note_type`, which is empty where none is asked for.
pub const NOTE: Builtin =
    Builtin { name: "note.v3.jinja", source: include_str!("../../../data/prompts/note.v3.jinja") };
/// Note to question; rendered with `note`, `task`, `task_key`, `examples`, `asked`, `unanswerable`.
pub const QUESTION: Builtin =
    Builtin { name: "question.v2.jinja", source: include_str!("../../../data/prompts/question.v2.jinja") };
/// Note and question to answer; rendered with `note`, `task`, `task_key`, `question`.
pub const ANSWER: Builtin =
    Builtin { name: "answer.v2.jinja", source: include_str!("../../../data/prompts/answer.v2.jinja") };

/// Note beside its report to a rating; see [`asclepius_text::judge`].
pub const JUDGE_NOTE: Builtin = Builtin { name: judge::NOTE_PROMPT.0, source: judge::NOTE_PROMPT.1 };
/// Answer beside its note to a rating.
pub const JUDGE_ANSWER: Builtin = Builtin { name: judge::ANSWER_PROMPT.0, source: judge::ANSWER_PROMPT.1 };

/// Every built-in prompt.
pub const ALL: [Builtin; 5] = [NOTE, QUESTION, ANSWER, JUDGE_NOTE, JUDGE_ANSWER];

/// The prompt in the file, or else the built-in one.
pub(crate) fn load(path: Option<&Path>, builtin: &Builtin) -> Result<Prompt, SynthError> {
    Ok(match path {
        Some(path) => Prompt::load(path)?,
        None => Prompt::from_source(builtin.name, builtin.source)?,
    })
}

/// Renders a note prompt.
///
/// # Errors
/// When the prompt asks for a name that is not given.
pub fn note_messages(prompt: &Prompt, report: &str, note_type: Option<NoteType>) -> Result<Vec<Message>, TextError> {
    #[derive(Serialize)]
    struct Context<'a> {
        report: &'a str,
        note_type: &'static str,
    }
    prompt.render(Context { report, note_type: note_type.map_or("", NoteType::key) })
}

/// Questions that a question prompt shows so that another one is asked.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Shown<'a> {
    /// For the same task, about other notes.
    pub examples: &'a [String],
    /// About the same note, whatever the task.
    pub asked: &'a [String],
}

/// Renders a question prompt.
///
/// # Errors
/// When the prompt asks for a name that is not given.
pub fn question_messages(
    prompt: &Prompt,
    note: &str,
    task: Task,
    shown: Shown<'_>,
    unanswerable: bool,
) -> Result<Vec<Message>, TextError> {
    #[derive(Serialize)]
    struct Context<'a> {
        note: &'a str,
        task: &'static str,
        task_key: &'static str,
        #[serde(flatten)]
        shown: Shown<'a>,
        unanswerable: bool,
    }
    prompt.render(Context { note, task: task.title(), task_key: task.key(), shown, unanswerable })
}

/// Renders an answer prompt.
///
/// # Errors
/// When the prompt asks for a name that is not given.
pub fn answer_messages(prompt: &Prompt, note: &str, task: Task, question: &str) -> Result<Vec<Message>, TextError> {
    #[derive(Serialize)]
    struct Context<'a> {
        note: &'a str,
        task: &'static str,
        task_key: &'static str,
        question: &'a str,
    }
    prompt.render(Context { note, task: task.title(), task_key: task.key(), question })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_builtin_prompt_renders_with_what_it_is_given() {
        let prompt = |builtin: &Builtin| Prompt::from_source(builtin.name, builtin.source).expect("compiles");
        let examples = ["One?", "Two?", "Three?"].map(str::to_owned);
        for note_type in NoteType::ALL {
            let note = note_messages(&prompt(&NOTE), "REPORT", Some(note_type)).expect("renders");
            assert!(!note[1].content.contains("hospital course so far"), "{}", note[1].content);
        }
        let note = note_messages(&prompt(&NOTE), "REPORT", None).expect("renders");
        assert!(note[1].content.contains("hospital course so far"));
        assert!(note[1].content.ends_with("<report>\nREPORT\n</report>"), "{}", note[1].content);
        for task in Task::ALL {
            for unanswerable in [false, true] {
                let shown = Shown { examples: &examples[..2], asked: &examples[2..] };
                let messages = question_messages(&prompt(&QUESTION), "NOTE", task, shown, unanswerable);
                let text = &messages.expect("renders")[1].content;
                assert!(text.contains("<asked>\n- Three?\n</asked>"), "{text}");
                assert!(text.contains("<examples>\n- One?\n- Two?\n</examples>"), "{text}");
                assert!(
                    text.contains(&format!("<task>{}</task>", task.title())) && text.contains("The task: "),
                    "{text}"
                );
                assert!(text.contains(if unanswerable { "<answerable>no<" } else { "<answerable>yes<" }), "{text}");
            }
            let messages = answer_messages(&prompt(&ANSWER), "NOTE", task, "QUESTION").expect("renders");
            assert!(messages[1].content.contains("<question>\nQUESTION\n</question>"));
        }
    }
}
