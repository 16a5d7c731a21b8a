//! Why a text that came back is not taken: nothing more is to be asked about a note in which the model declines. What
//! counts as such is what the dataset's gates `model_talk`, `refusal` and `question_answer` are set to.

use asclepius_schema::Reason;
use asclepius_text::{Gate, GatesConfig, Verdict, gates};

/// Labels that models put before what was asked for.
const LABELS: [&str; 5] = ["Question:", "Instruction:", "Task:", "Answer:", "Response:"];

/// A question with more characters is a text of another kind.
const LONGEST_QUESTION: usize = 1500;

type Fault = (Reason, String);
type Measure = fn(&str) -> Verdict;

/// The gates that are looked at here, in their order.
pub(crate) const GATES: [Gate; 3] = [Gate::ModelTalk, Gate::Refusal, Gate::QuestionAnswer];

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
pub(crate) fn of_note(text: &str, gates: &GatesConfig) -> Option<Fault> {
    spoken(text, "note", gates)
}

/// What speaks against a question.
pub(crate) fn of_question(text: &str, gates: &GatesConfig) -> Option<Fault> {
    if text.is_empty() {
        return Some((Reason::Empty, "question: nothing but a label".to_owned()));
    }
    let length = text.chars().count();
    if length > LONGEST_QUESTION {
        return Some((Reason::Malformed, format!("question: {length} characters are no question")));
    }
    spoken(text, "question", gates)
}

/// What speaks against an answer.
pub(crate) fn of_answer(text: &str, gates: &GatesConfig) -> Option<Fault> {
    if text.is_empty() {
        return Some((Reason::Empty, "answer: nothing but a label".to_owned()));
    }
    spoken(text, "answer", gates)
}

/// A model that speaks of itself, declines, or (in an answer) asks back.
fn spoken(text: &str, field: &str, thresholds: &GatesConfig) -> Option<Fault> {
    let measures: [Measure; 3] = [gates::model_talk, gates::refusal, gates::ends_in_question];
    // A question may end as questions do, and a note may hold one.
    let asked = if field == "answer" { 3 } else { 2 };
    GATES.into_iter().zip(measures).take(asked).find_map(|(gate, measure)| {
        let verdict = measure(text);
        let fails = !thresholds.passes(gate, verdict.score);
        fails.then(|| (gate.reason(), format!("{field}: {}", verdict.detail)))
    })
}

#[cfg(test)]
mod tests {
    use asclepius_text::gates::Threshold;

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
        let gates = GatesConfig::default();
        assert_eq!(reason(of_note("Plan: f/u?", &gates)), None);
        assert_eq!(reason(of_question("What is it?", &gates)), None);
        assert_eq!(reason(of_answer("What is it?", &gates)), Some(Reason::QuestionAnswer));
        for check in [of_note, of_question, of_answer] {
            assert_eq!(reason(check("As an AI language model I do.", &gates)), Some(Reason::ModelTalk));
            assert_eq!(reason(check("I'm sorry, but I cannot assist with that.", &gates)), Some(Reason::Refusal));
        }
        assert_eq!(reason(of_question("", &gates)), Some(Reason::Empty));
        assert_eq!(reason(of_question(&"why ".repeat(500), &gates)), Some(Reason::Malformed));
    }

    #[test]
    fn what_is_a_fault_is_the_gates_business() {
        let gates =
            GatesConfig { model_talk: Threshold::At(1.0), question_answer: Threshold::Off, ..GatesConfig::default() };
        assert_eq!(reason(of_note("ChatGPT wrote this.", &gates)), None);
        let twice = "ChatGPT, an AI assistant, wrote this.";
        assert_eq!(reason(of_note(twice, &gates)), Some(Reason::ModelTalk));
        assert_eq!(reason(of_answer("What is it?", &gates)), None);
        let off = GatesConfig { model_talk: Threshold::Off, ..gates };
        assert_eq!(reason(of_note(twice, &off)), None);
        assert_eq!(reason(of_question("", &off)), Some(Reason::Empty), "nothing is never a question");
    }
}
