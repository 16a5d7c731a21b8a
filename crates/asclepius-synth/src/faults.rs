//! Why a text that came back is not taken, whatever the dataset's gates are set to: a row on such a text would teach it.

use asclepius_schema::Reason;
use asclepius_text::{Verdict, gates};

/// Labels that models put before what was asked for.
const LABELS: [&str; 5] = ["Question:", "Instruction:", "Task:", "Answer:", "Response:"];

/// A question with more characters is a text of another kind.
const LONGEST_QUESTION: usize = 1500;

type Fault = (Reason, String);
type Gate = fn(&str) -> Verdict;

/// The text without a label in front of it and quotation marks around the whole of it.
pub(crate) fn unlabelled(text: &str) -> &str {
    let text = text.trim();
    let bare = text.trim_start_matches('*');
    let text = LABELS
        .iter()
        .find_map(|label| bare.strip_prefix(label))
        .map_or(text, |rest| rest.trim_start_matches('*').trim());
    let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.filter(|inner| !inner.contains('"')).unwrap_or(text).trim()
}

/// What speaks against a note.
pub(crate) fn of_note(text: &str) -> Option<Fault> {
    spoken(text, "note")
}

/// What speaks against a question.
pub(crate) fn of_question(text: &str) -> Option<Fault> {
    if text.is_empty() {
        return Some((Reason::Empty, "question: nothing but a label".to_owned()));
    }
    let length = text.chars().count();
    if length > LONGEST_QUESTION {
        return Some((Reason::Malformed, format!("question: {length} characters are no question")));
    }
    spoken(text, "question")
}

/// What speaks against an answer.
pub(crate) fn of_answer(text: &str) -> Option<Fault> {
    if text.is_empty() {
        return Some((Reason::Empty, "answer: nothing but a label".to_owned()));
    }
    spoken(text, "answer")
}

/// A model that speaks of itself, declines, or (in an answer) asks back.
fn spoken(text: &str, field: &str) -> Option<Fault> {
    let checks: [(Reason, Gate); 3] = [
        (Reason::ModelTalk, gates::model_talk),
        (Reason::Refusal, gates::refusal),
        (Reason::QuestionAnswer, gates::ends_in_question),
    ];
    // A question may end as questions do, and a note may hold one.
    let asked = if field == "answer" { 3 } else { 2 };
    checks[..asked].iter().find_map(|(reason, gate)| {
        let verdict = gate(text);
        (verdict.score > 0.0).then(|| (*reason, format!("{field}: {}", verdict.detail)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(fault: Option<Fault>) -> Option<Reason> {
        fault.map(|(reason, _)| reason)
    }

    #[test]
    fn labels_and_quotation_marks_go_and_quotations_stay() {
        assert_eq!(unlabelled(" **Question:** What is it? "), "What is it?");
        assert_eq!(unlabelled("\"What is it?\""), "What is it?");
        assert_eq!(unlabelled("\"It\" and \"she\""), "\"It\" and \"she\"");
        assert_eq!(unlabelled("Answer:"), "");
        assert_eq!(unlabelled("Answers vary."), "Answers vary.");
    }

    #[test]
    fn each_field_is_held_to_its_own_rules() {
        assert_eq!(reason(of_note("Plan: f/u?")), None);
        assert_eq!(reason(of_question("What is it?")), None);
        assert_eq!(reason(of_answer("What is it?")), Some(Reason::QuestionAnswer));
        for check in [of_note, of_question, of_answer] {
            assert_eq!(reason(check("As an AI language model I do.")), Some(Reason::ModelTalk));
            assert_eq!(reason(check("I'm sorry, but I cannot assist with that.")), Some(Reason::Refusal));
        }
        assert_eq!(reason(of_question("")), Some(Reason::Empty));
        assert_eq!(reason(of_question(&"why ".repeat(500))), Some(Reason::Malformed));
    }
}
