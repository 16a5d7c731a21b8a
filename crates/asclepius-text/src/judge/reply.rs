//! A judge's reply as a rating: JSON by itself, in code fences or with prose around it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Rating;

/// Characters of a reason, or of a statement, that are kept: one line in a list of dropped rows.
const LONGEST_TEXT: usize = 300;

/// Statements of one kind that are kept.
const MOST_STATEMENTS: usize = 20;

/// Under which names models give the rating, whatever they were asked for.
const RATING_FIELDS: [&str; 2] = ["score", "rating"];

/// What a judge says of one exhibit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assessment {
    /// Its rating.
    pub rating: Rating,
    /// Why, in its own words (empty: it gives no reason).
    pub reason: String,
    /// Statements of a note that its report does not hold.
    pub added: Vec<String>,
    /// Statements of a note that its report contradicts.
    pub contradicted: Vec<String>,
}

impl Assessment {
    /// One line for a person. It is the judge's own words, and may quote the note.
    pub fn detail(&self) -> String {
        let mut detail = format!("rated {} of {}", self.rating, Rating::BEST);
        if !self.reason.is_empty() {
            detail.push_str(&format!(": {}", self.reason));
        }
        for (what, statements) in [("contradicted", &self.contradicted), ("added", &self.added)] {
            if !statements.is_empty() {
                let quoted: Vec<String> = statements.iter().map(|statement| format!("{statement:?}")).collect();
                detail.push_str(&format!(" [{what}: {}]", quoted.join(", ")));
            }
        }
        detail
    }
}

/// Why a reply has no rating in it, in words that a model can act on. Never quotes the reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// There is no JSON in it.
    #[error("the reply holds no JSON object")]
    NoObject,
    /// There is, but it rates nothing.
    #[error("the JSON object lacks the field \"score\"")]
    NoRating,
    /// What it says is none of the rubric's ratings.
    #[error("\"score\" is none of the integers 1, 2, 3 and 4")]
    OutOfRange,
}

/// Reads a judge's reply. Of several objects the last one that rates counts: thoughts come before conclusions, and what a
/// reply quotes comes inside a string.
///
/// # Errors
/// When there is no rating in it, or none of the rubric's.
pub fn read(reply: &str) -> Result<Assessment, Fault> {
    let objects = objects(reply);
    let rated = objects.iter().rev().find_map(|object| Some((object, rating_field(object)?)));
    let Some((object, rating)) = rated else {
        return Err(if objects.is_empty() { Fault::NoObject } else { Fault::NoRating });
    };
    Ok(Assessment {
        rating: Rating::of(rating).ok_or(Fault::OutOfRange)?,
        reason: field(object, "reason").and_then(Value::as_str).map(one_line).unwrap_or_default(),
        added: statements(object, "added"),
        contradicted: statements(object, "contradicted"),
    })
}

/// Every JSON object of a text that lies in no other one, in order.
pub fn objects(text: &str) -> Vec<Map<String, Value>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find('{') {
        rest = &rest[start..];
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
        match values.next() {
            Some(Ok(Value::Object(object))) => {
                rest = &rest[values.byte_offset()..];
                found.push(object);
            }
            // A brace of the prose around it.
            _ => rest = &rest[1..],
        }
    }
    found
}

fn field<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn rating_field(object: &Map<String, Value>) -> Option<&Value> {
    RATING_FIELDS.into_iter().find_map(|name| field(object, name))
}

impl Rating {
    /// A rating as models write it: 3, 3.0, "3" and "3/4" are ratings; 3.5, 0, null and "good" are none.
    pub fn of(value: &Value) -> Option<Self> {
        let whole = match value {
            Value::Number(number) => number.as_f64().filter(|number| number.fract() == 0.0)?,
            Value::String(text) => {
                let text = text.trim();
                text.strip_suffix("/4").unwrap_or(text).trim().parse::<u8>().ok()?.into()
            }
            _ => return None,
        };
        (0.0..=9.0).contains(&whole).then(|| Self::new(whole as u8)).flatten()
    }
}

fn statements(object: &Map<String, Value>, name: &str) -> Vec<String> {
    let listed = field(object, name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    listed.map(one_line).filter(|statement| !statement.is_empty()).take(MOST_STATEMENTS).collect()
}

/// A text from a model as one line of bounded length, without what could steer a terminal.
fn one_line(text: &str) -> String {
    let words: Vec<String> = text
        .split_whitespace()
        .map(|word| word.chars().filter(|letter| !letter.is_control()).collect::<String>())
        .filter(|word| !word.is_empty())
        .collect();
    let line = words.join(" ");
    match line.char_indices().nth(LONGEST_TEXT) {
        Some((end, _)) => format!("{} ..", line[..end].trim_end()),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rating(reply: &str) -> Result<u8, Fault> {
        read(reply).map(|assessment| assessment.rating.get())
    }

    #[test]
    fn a_rating_is_found_wherever_models_put_it() {
        for (reply, expected) in [
            (r#"{"reason": "fine", "score": 4}"#, 4),
            ("```json\n{\"reason\": \"dose\", \"score\": 1}\n```", 1),
            ("Here is my assessment:\n\n{\"score\": 2, \"reason\": \"x\"}\n\nI hope this helps {really}.", 2),
            ("<think>{\"score\": 1} or rather more, {hm}</think>\n{\"score\": 3}", 3),
            (r#"{"reason": "it says {\"score\": 4}", "score": 1}"#, 1),
            (r#"[{"score": 3}]"#, 3),
            (r#"{"Score": "3/4"}"#, 3),
            (r#"{"rating": " 2 "}"#, 2),
            (r#"{"score": 3.0}"#, 3),
            (r#"{"score": 2} {"note": "no rating here"}"#, 2),
            ("{\n  \"score\": 4,\n  \"reason\": \"{[}\"\n}", 4),
        ] {
            assert_eq!(rating(reply), Ok(expected), "{reply}");
        }
    }

    #[test]
    fn what_holds_no_rating_is_a_fault_and_never_a_number() {
        for (reply, expected) in [
            ("", Fault::NoObject),
            ("4", Fault::NoObject),
            ("Score: 4", Fault::NoObject),
            ("{score: 4}", Fault::NoObject),
            (r#"{"score": 4"#, Fault::NoObject),
            ("{{{{", Fault::NoObject),
            (r#"{"verdict": 4}"#, Fault::NoRating),
            (r#"{"result": {"score": 4}}"#, Fault::NoRating),
            (r#"{"score": 0}"#, Fault::OutOfRange),
            (r#"{"score": 5}"#, Fault::OutOfRange),
            (r#"{"score": -1}"#, Fault::OutOfRange),
            (r#"{"score": 3.5}"#, Fault::OutOfRange),
            (r#"{"score": null}"#, Fault::OutOfRange),
            (r#"{"score": "good"}"#, Fault::OutOfRange),
            (r#"{"score": true}"#, Fault::OutOfRange),
            (r#"{"score": [4]}"#, Fault::OutOfRange),
            (r#"{"score": 1e300}"#, Fault::OutOfRange),
            (r#"{"score": 3} {"score": 9}"#, Fault::OutOfRange),
        ] {
            assert_eq!(rating(reply), Err(expected), "{reply}");
        }
    }

    #[test]
    fn reasons_and_statements_are_lines_of_bounded_length() {
        let long = "word ".repeat(200);
        let reply = format!(
            r#"{{"added": ["a\n\u001b[31mb", "", 7], "contradicted": ["12 mg"], "reason": "{long}", "score": 1}}"#
        );
        let assessment = read(&reply).expect("it rates");
        assert_eq!(assessment.added, ["a [31mb"]);
        assert!(assessment.reason.ends_with(" ..") && assessment.reason.chars().count() <= LONGEST_TEXT + 3);
        let detail = read(r#"{"contradicted": ["12 mg"], "added": ["x"], "reason": "a dose", "score": 1}"#)
            .map(|assessment| assessment.detail());
        assert_eq!(detail, Ok(r#"rated 1 of 4: a dose [contradicted: "12 mg"] [added: "x"]"#.to_owned()));
        let bare = read(r#"{"score": 4}"#).map(|assessment| assessment.detail());
        assert_eq!(bare, Ok("rated 4 of 4".to_owned()));
    }

    proptest! {
        #[test]
        fn anything_around_a_reply_without_braces_changes_nothing(before in "[^{}]{0,40}", after in "[^{}]{0,40}", score in 1_u8..=4) {
            let reply = format!("{before}{{\"reason\": \"r\", \"score\": {score}}}{after}");
            prop_assert_eq!(rating(&reply), Ok(score));
        }

        #[test]
        fn no_text_is_too_strange_to_be_read(reply in ".{0,200}") {
            if let Ok(rating) = rating(&reply) {
                prop_assert!((1..=4).contains(&rating));
            }
        }
    }
}
