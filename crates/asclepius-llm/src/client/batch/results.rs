//! Output and error files of a batch, line by line.

use std::io::{BufRead, BufReader, Read as _};

use fs_err::File;
use serde::Deserialize;
use serde_json::Value;

use crate::transport::MAX_BODY_BYTES;
use crate::wire::{ChatResponse, Judged, Problem};

/// What one request of a batch came to.
#[derive(Debug)]
pub(super) enum Line {
    /// An answer.
    Answered(Judged),
    /// An error status, which is not billed.
    Refused { status: u16, problem: Problem },
    /// An answer that cannot be made out; it may be billed.
    Unclear { detail: String },
    /// Nothing: the batch ended before, or without it. Not billed.
    Unanswered { detail: String, ended: Ended },
}

/// How the batch of a request without an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The answer is missing, or came too late.
    Without,
    /// Somebody cancelled it.
    Cancelled,
    /// It was turned away as a whole, since too much was queued: no fault of the request.
    TooMuch,
}

#[derive(Deserialize)]
struct Row {
    custom_id: String,
    #[serde(default)]
    response: Option<Answer>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Answer {
    status_code: u16,
    #[serde(default)]
    body: Value,
}

/// What is next in a file.
pub(super) enum Read {
    /// What the request of this intent came to.
    Line(u64, Line),
    /// A line that cannot be read.
    Nonsense,
    /// Nothing more.
    End,
}

/// The lines of a file with the numbers of their intents.
pub(super) struct Results {
    reader: BufReader<File>,
    line: Vec<u8>,
}

impl Results {
    pub fn open(file: File) -> Self {
        Self { reader: BufReader::with_capacity(1 << 18, file), line: Vec::new() }
    }

    /// The next line that is not empty.
    pub fn next(&mut self) -> std::io::Result<Read> {
        loop {
            self.line.clear();
            // What is longer than any answer is read in pieces, none of which will make sense.
            let read = (&mut self.reader).take(MAX_BODY_BYTES as u64).read_until(b'\n', &mut self.line)?;
            if read == 0 {
                return Ok(Read::End);
            }
            if !self.line.trim_ascii().is_empty() {
                return Ok(line(&self.line).map_or(Read::Nonsense, |(intent, line)| Read::Line(intent, line)));
            }
        }
    }
}

/// The id of a request in its batch: its intent, which says all about it, and its call.
pub(super) fn custom_id(intent: u64, key: &str) -> String {
    format!("{intent}-{key}")
}

fn line(json: &[u8]) -> Option<(u64, Line)> {
    let row: Row = serde_json::from_slice(json).ok()?;
    let intent = row.custom_id.split('-').next()?.parse().ok()?;
    let line = match (row.response, row.error.filter(|error| !error.is_null())) {
        (Some(Answer { status_code: 200..300, body }), _) => {
            let judged = serde_json::from_value::<ChatResponse>(body).ok().and_then(ChatResponse::judge);
            judged.map_or_else(
                || Line::Unclear { detail: "an answer in a batch that is no chat completion".to_owned() },
                Line::Answered,
            )
        }
        (Some(Answer { status_code, body }), _) => {
            Line::Refused { status: status_code, problem: Problem::read(body.to_string().as_bytes()) }
        }
        (None, Some(error)) => {
            let code = error.get("code").and_then(Value::as_str).unwrap_or("no code").chars().take(80);
            Line::Unanswered {
                detail: format!("the batch ended with {:?} in its place", code.collect::<String>()),
                ended: Ended::Without,
            }
        }
        (None, None) => Line::Unclear { detail: "a line of a batch with neither answer nor error".to_owned() },
    };
    Some((intent, line))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_kind_of_line_is_told_apart() {
        let of = |value: Value| line(value.to_string().as_bytes());
        let body = json!({"choices": [{"message": {"content": "a note"}, "finish_reason": "stop"}]});
        let answered = of(json!({"custom_id": "7-ab", "response": {"status_code": 200, "body": body}, "error": null}));
        assert!(matches!(answered, Some((7, Line::Answered(_)))));
        let refused = json!({"error": {"message": "no", "code": "content_filter"}});
        let refused = of(json!({"custom_id": "8-ab", "response": {"status_code": 400, "body": refused}}));
        assert!(
            matches!(refused, Some((8, Line::Refused { status: 400, problem })) if problem.code == "content_filter")
        );
        let expired = of(json!({"custom_id": "9-ab", "response": null, "error": {"code": "batch_expired"}}));
        let Some((9, Line::Unanswered { detail, .. })) = expired else { panic!("{expired:?}") };
        assert!(detail.contains("batch_expired"));
        let unclear = of(json!({"custom_id": "1-ab", "response": {"status_code": 200, "body": "busy"}}));
        assert!(matches!(unclear, Some((1, Line::Unclear { .. }))));
        for nonsense in ["", "{", "[]", r#"{"custom_id": "x"}"#, r#"{"response": null}"#] {
            assert!(line(nonsense.as_bytes()).is_none(), "{nonsense}");
        }
    }
}
