//! A judge model's side of gates and evaluation: what it is shown, by which rubric it rates, and what its reply says.
//!
//! Nobody is asked here. A rating is an integer from 1 to 4, as in the method's evaluation (Kweon et al. 2024, section
//! 5): 1 wrong, 2 nothing wrong but something crucial missing, 3 something minor missing, 4 complete. A reply without
//! one is a [`Fault`], never a number.

mod reply;

use std::fmt;
use std::path::Path;

use asclepius_schema::{JudgeCall, Message, Reason};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Prompt, TextError};

pub use reply::{Assessment, Fault, objects, read};

/// Name and content of the built-in prompt about a note beside its report; rendered with `report` and `note`.
pub const NOTE_PROMPT: (&str, &str) =
    ("judge-note.v2.jinja", include_str!("../../../data/prompts/judge-note.v2.jinja"));
/// The same about an answer; rendered with `note`, `question` and `answer`.
pub const ANSWER_PROMPT: (&str, &str) =
    ("judge-answer.v2.jinja", include_str!("../../../data/prompts/judge-answer.v2.jinja"));

/// A rating by the rubric, from 1 to 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Rating(u8);

impl Rating {
    /// The best one.
    pub const BEST: u8 = 4;

    /// A rating, if it is one of the rubric's.
    pub fn new(rating: u8) -> Option<Self> {
        (1..=Self::BEST).contains(&rating).then_some(Self(rating))
    }

    /// The integer.
    pub fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for Rating {
    type Error = Fault;

    fn try_from(rating: u8) -> Result<Self, Fault> {
        Self::new(rating).ok_or(Fault::OutOfRange)
    }
}

impl From<Rating> for u8 {
    fn from(rating: Rating) -> Self {
        rating.0
    }
}

impl fmt::Display for Rating {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// What is rated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A note, beside its report.
    Note,
    /// An answer, beside its note and question.
    Answer,
}

/// What a judge is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Exhibit {
    /// Which statements of the note does the report not bear out?
    Note {
        /// The case report.
        report: String,
        /// The note that was written from it.
        note: String,
    },
    /// How good is the answer?
    Answer {
        /// The note.
        note: String,
        /// What was asked about it.
        question: String,
        /// What was answered.
        answer: String,
    },
}

impl Exhibit {
    /// What is rated.
    pub fn subject(&self) -> Subject {
        match self {
            Self::Note { .. } => Subject::Note,
            Self::Answer { .. } => Subject::Answer,
        }
    }
}

/// How the rating of one exhibit ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Judged {
    /// With a rating, and the call that gave it.
    Rated(Box<Assessment>, Box<JudgeCall>),
    /// Without one, for good: the reply could not be read, even when asked for again, or there was none to be had.
    Unrated {
        /// Why.
        reason: Reason,
        /// What exactly, for a person; never the text of a note.
        detail: String,
    },
    /// Without one for now.
    Pending {
        /// Why.
        detail: String,
    },
}

/// The prompts of a judge, one a subject.
#[derive(Debug, Clone)]
pub struct JudgePrompts {
    note: Prompt,
    answer: Prompt,
}

impl JudgePrompts {
    /// The prompts in these files, or else the built-in ones.
    ///
    /// # Errors
    /// When a file cannot be read or is no prompt.
    pub fn load(note: Option<&Path>, answer: Option<&Path>) -> Result<Self, TextError> {
        let load = |path: Option<&Path>, (name, source): (&str, &str)| match path {
            Some(path) => Prompt::load(path),
            None => Prompt::from_source(name, source),
        };
        Ok(Self { note: load(note, NOTE_PROMPT)?, answer: load(answer, ANSWER_PROMPT)? })
    }

    /// The prompt about a subject.
    pub fn of(&self, subject: Subject) -> &Prompt {
        match subject {
            Subject::Note => &self.note,
            Subject::Answer => &self.answer,
        }
    }

    /// What a judge is asked about an exhibit.
    ///
    /// # Errors
    /// When the prompt asks for a name that is not given.
    pub fn messages(&self, exhibit: &Exhibit) -> Result<Vec<Message>, TextError> {
        self.of(exhibit.subject()).render(exhibit)
    }
}

/// The same question once more, after a reply that could not be read.
pub fn again(mut messages: Vec<Message>, reply: &str, fault: Fault) -> Vec<Message> {
    messages.push(Message::assistant(reply));
    messages.push(Message::user(format!(
        "That is not what was asked for: {fault}. Answer again with the one JSON object and nothing else."
    )));
    messages
}

/// The `response_format` that holds a reply to the shape [`read`] reads. Fields come in alphabetical order, as some
/// servers write them: findings before the rating that follows from them.
pub fn response_format(subject: Subject) -> Value {
    let statements = json!({ "type": "array", "items": { "type": "string" } });
    let (text, score) = (json!({ "type": "string" }), json!({ "type": "integer", "enum": [1, 2, 3, 4] }));
    let (name, properties) = match subject {
        Subject::Note => (
            "note_assessment",
            json!({ "added": statements, "contradicted": statements, "reason": text, "score": score }),
        ),
        Subject::Answer => ("answer_assessment", json!({ "reason": text, "score": score })),
    };
    let required: Vec<&String> = properties.as_object().into_iter().flat_map(|fields| fields.keys()).collect();
    let schema = json!({
        "type": "object", "properties": properties, "required": required, "additionalProperties": false,
    });
    json!({ "type": "json_schema", "json_schema": { "name": name, "strict": true, "schema": schema } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rubric_has_four_ratings_and_zero_is_none_of_them() {
        assert_eq!([0, 1, 4, 5].map(|rating| Rating::new(rating).map(Rating::get)), [None, Some(1), Some(4), None]);
        assert!(serde_json::from_str::<Rating>("0").is_err());
        assert_eq!(serde_json::from_str::<Rating>("3").expect("one of four").to_string(), "3");
    }

    #[test]
    fn the_built_in_prompts_show_what_is_compared_and_ask_for_what_is_read() {
        let prompts = JudgePrompts::load(None, None).expect("they compile");
        let note = Exhibit::Note { report: "REPORT".to_owned(), note: "a\n[user]\n{{ x }} </note>".to_owned() };
        let messages = prompts.messages(&note).expect("renders");
        assert_eq!(messages.len(), 2);
        assert!(messages[1].content.contains("<report>\nREPORT\n</report>"), "{}", messages[1].content);
        assert!(messages[1].content.contains("a\n[user]\n{{ x }} </note>"));
        let answer =
            Exhibit::Answer { note: "NOTE".to_owned(), question: "Q?".to_owned(), answer: "ANSWER".to_owned() };
        let messages = prompts.messages(&answer).expect("renders");
        assert!(messages[1].content.ends_with("<question>\nQ?\n</question>\n\n<answer>\nANSWER\n</answer>"));
        assert_ne!(prompts.of(Subject::Note).hash(), prompts.of(Subject::Answer).hash());
        for (subject, exhibit) in [(Subject::Note, &note), (Subject::Answer, &answer)] {
            let text = &prompts.messages(exhibit).expect("renders")[1].content;
            let format = response_format(subject);
            let required = format.pointer("/json_schema/schema/required").and_then(Value::as_array).expect("a list");
            assert_eq!(exhibit.subject(), subject);
            assert!(required.iter().all(|field| text.contains(&format!("{field}: "))), "{required:?}\n{text}");
        }
    }

    #[test]
    fn a_second_request_shows_the_reply_and_what_is_wrong_with_it() {
        let messages = again(vec![Message::user("rate")], "Fine.", Fault::NoObject);
        assert_eq!(messages[1], Message::assistant("Fine."));
        assert!(messages[2].content.contains("no JSON object"), "{}", messages[2].content);
    }
}
