//! All gates of a row, asked together.

use asclepius_schema::Reason;

use super::faithful::{Pair, Reading};
use super::phi::phi;
use super::{
    Gate, GatesConfig, Verdict, copies, ends_in_question, grounded, headings, language, length, model_talk, numbers,
    refusal, told,
};

/// What all gates of a row say together.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// Score by gate name, sorted.
    pub scores: Vec<(String, f32)>,
    /// The first gate that the row fails, in the order of [`Gate::ALL`], with a line for a person.
    pub failed: Option<(Gate, String)>,
}

impl Judgement {
    /// Why the row is dropped, if it is.
    pub fn reason(&self) -> Option<Reason> {
        self.failed.as_ref().map(|(gate, _)| gate.reason())
    }

    /// Adds what a gate says that sees more than the row. A row that failed already keeps its first reason.
    pub fn add(&mut self, gates: &GatesConfig, gate: Gate, verdict: Verdict) {
        let at = self.scores.partition_point(|(name, _)| name.as_str() < gate.name());
        self.scores.insert(at, (gate.name().to_owned(), verdict.score));
        if self.failed.is_none() && !gates.passes(gate, verdict.score) {
            self.failed = Some((gate, format!("{}: {}", gate.name(), verdict.detail)));
        }
    }
}

impl GatesConfig {
    /// All gates on a note; without the report, those that compare with it have no score.
    pub fn judge_note(&self, note: &str, report: Option<&str>) -> Judgement {
        let words = length(note);
        let mut verdicts = vec![
            (Gate::Headings, headings(note)),
            (Gate::Language, language(note)),
            (Gate::MaxWords, words.clone()),
            (Gate::MinWords, words),
            (Gate::ModelTalk, model_talk(note)),
            (Gate::Phi, phi(note)),
            (Gate::Refusal, refusal(note)),
        ];
        if let Some(report) = report {
            let (copied, stretch) = copies(note, report);
            verdicts.extend([(Gate::Copied, copied), (Gate::CopiedStretch, stretch)]);
            verdicts.push((Gate::Grounded, grounded(note, report)));
            verdicts.push((Gate::Numbers, numbers(note, report)));
            let (note, report) = (Reading::of(note), Reading::of(report));
            verdicts.extend(faithfulness(&Pair::new(&note, &report)));
        }
        self.judge(verdicts)
    }

    /// All gates on a question and its answer; its note passed [`Self::judge_note`]. What an answer says is looked for
    /// in note and question, except where it says that the note does not tell.
    pub fn judge_instruction(&self, question: &str, answer: &str, note: &str) -> Judgement {
        let worse = |a: Verdict, b: Verdict| if b.score > a.score { b } else { a };
        let mut verdicts = vec![
            (Gate::AnswerWords, length(answer)),
            (Gate::Language, worse(language(question), language(answer))),
            (Gate::ModelTalk, worse(model_talk(question), model_talk(answer))),
            (Gate::Phi, worse(phi(question), phi(answer))),
            (Gate::QuestionAnswer, ends_in_question(answer)),
            (Gate::Refusal, worse(refusal(question), refusal(answer))),
        ];
        verdicts.extend(comparison(question, answer, note));
        self.judge(verdicts)
    }

    fn judge(&self, mut verdicts: Vec<(Gate, Verdict)>) -> Judgement {
        verdicts.sort_by_key(|(gate, _)| *gate);
        let failed = verdicts
            .iter()
            .find(|(gate, verdict)| !self.passes(*gate, verdict.score))
            .map(|(gate, verdict)| (*gate, format!("{}: {}", gate.name(), verdict.detail)));
        let scores = verdicts.into_iter().map(|(gate, verdict)| (gate.name().to_owned(), verdict.score)).collect();
        Judgement { scores, failed }
    }
}

/// The gates that compare a text with its source, fact by fact.
fn faithfulness(pair: &Pair<'_>) -> [(Gate, Verdict); 8] {
    [
        (Gate::Age, pair.age()),
        (Gate::Drugs, pair.drugs()),
        (Gate::Intervals, pair.intervals()),
        (Gate::Laterality, pair.laterality()),
        (Gate::Negation, pair.negation()),
        (Gate::Quantities, pair.quantities()),
        (Gate::Sex, pair.sex()),
        (Gate::Statements, pair.statements()),
    ]
}

fn denies(question: &str) -> bool {
    question.split(|letter: char| !letter.is_alphabetic()).any(|word| {
        let lower = word.to_ascii_lowercase();
        matches!(
            lower.as_str(),
            "not" | "no" | "never" | "without" | "absent" | "excluded" | "denied" | "negative" | "t"
        )
    })
}

/// The same for an answer. Its facts may be the question's, too; what it denies, and which side it names, is the note's.
fn comparison(question: &str, answer: &str, note: &str) -> [(Gate, Verdict); 8] {
    let told = told(answer);
    let text = Reading::of(&told);
    let note = Reading::of(note);
    // "The right." says what the question asks of.
    let short = told.split_whitespace().count() < 6;
    let placed = short.then(|| Reading::of(&format!("{} {told}", question.trim_end_matches('?'))));
    let laterality = Pair::new(placed.as_ref().unwrap_or(&text), &note).laterality();
    // What is asked in the negative is answered by naming it.
    let negation = match denies(question) {
        true => Verdict::new(0.0, "the question denies"),
        false => Pair::new(&text, &note).reworded().negation(),
    };
    let both = note.followed_by(Reading::of(question));
    let facts = Pair::new(&text, &both).reworded();
    [
        (Gate::Age, facts.age()),
        (Gate::Drugs, facts.drugs()),
        (Gate::Intervals, facts.intervals()),
        (Gate::Laterality, laterality),
        (Gate::Negation, negation),
        (Gate::Quantities, facts.quantities()),
        (Gate::Sex, facts.sex()),
        (Gate::Statements, facts.statements()),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::Threshold;
    use super::*;

    #[test]
    fn an_answer_is_held_to_its_note_and_may_say_that_it_does_not_tell() {
        let on = Threshold::At(0.0);
        let config = GatesConfig { drugs: on, intervals: on, laterality: on, quantities: on, ..GatesConfig::default() };
        let note = "Plan:\n- Aspirin 100 mg daily for two weeks. No fever. Mass of the left lung.";
        for answer in
            ["Aspirin 100 mg for 14 days.", "The note does not mention a dose of heparin, so it cannot be answered."]
        {
            assert_eq!(config.judge_instruction("What was given?", answer, note).failed, None, "{answer}");
        }
        for answer in ["Heparin.", "Aspirin 200 mg daily.", "Aspirin for two months.", "A mass of the right lung."] {
            let reason = config.judge_instruction("What was found?", answer, note).reason();
            assert_eq!(reason, Some(Reason::Unfaithful), "{answer}");
        }
    }

    #[test]
    fn a_row_fails_for_one_reason_and_keeps_all_scores() {
        let config = GatesConfig { min_words: Threshold::At(3.0), ..GatesConfig::default() };
        let report = "Hemoglobin was 9.5 g/dL on day 3.";
        let good = config.judge_note("Hb 9.5 on day 3", Some(report));
        assert_eq!(good.failed, None);
        assert!(good.scores.is_sorted_by(|a, b| a.0 < b.0) && good.scores.len() == 19);
        let bad = config.judge_note("Hb 10.5 on day 3", Some(report));
        assert_eq!(bad.reason(), Some(Reason::Unfaithful));
        assert_eq!(
            config.judge_instruction("Which Hb?", "Do you mean day 3?", "Hb 9.5 on day 3").reason(),
            Some(Reason::QuestionAnswer)
        );
        assert_eq!(config.judge_instruction("Which Hb?", " ", "Hb 9.5 on day 3").reason(), Some(Reason::TooShort));
    }
}
