//! Which scores let a row through.

use std::borrow::Cow;
use std::fmt;

use asclepius_schema::Reason;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Verdict, copy_rate, ends_in_question, length, longest_copy, model_talk, numbers, refusal};
use crate::TextError;

/// A gate's threshold, or `false`: measured, but nothing is dropped.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Threshold {
    /// Scores are kept, rows too.
    Off,
    /// The last score that passes.
    At(f32),
}

impl Serialize for Threshold {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::Off => serializer.serialize_bool(false),
            // Through decimal text: 0.9 as f32 would otherwise come out as 0.8999999761581421.
            Self::At(score) => serializer.serialize_f64(score.to_string().parse().unwrap_or(f64::from(score))),
        }
    }
}

impl<'de> Deserialize<'de> for Threshold {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrFalse;
        impl Visitor<'_> for NumberOrFalse {
            type Value = Threshold;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a number, or false to switch the gate off")
            }

            fn visit_bool<E: Error>(self, on: bool) -> Result<Threshold, E> {
                if on {
                    return Err(E::custom("true is no threshold; give a number, or false to switch the gate off"));
                }
                Ok(Threshold::Off)
            }

            fn visit_f64<E: Error>(self, score: f64) -> Result<Threshold, E> {
                Ok(Threshold::At(score as f32))
            }

            fn visit_i64<E: Error>(self, score: i64) -> Result<Threshold, E> {
                Ok(Threshold::At(score as f32))
            }

            fn visit_u64<E: Error>(self, score: u64) -> Result<Threshold, E> {
                Ok(Threshold::At(score as f32))
            }
        }
        deserializer.deserialize_any(NumberOrFalse)
    }
}

impl JsonSchema for Threshold {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Threshold".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "number" }, { "const": false }] })
    }
}

/// Every gate. Its name is its key, its column in `scores`, and the order of the columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Gate {
    /// [`length`] of the answer, at least.
    AnswerWords,
    /// Sequences of words shared with an evaluation set, at most. Measured where those sets are known.
    Contaminated,
    /// [`copy_rate`] of the note, at most.
    Copied,
    /// [`longest_copy`] of the note, at most.
    CopiedStretch,
    /// [`length`] of the note, at most.
    MaxWords,
    /// [`length`] of the note, at least.
    MinWords,
    /// [`model_talk`] in any text, at most.
    ModelTalk,
    /// Similarity to another note, at most. Measured where all notes are known.
    NearDuplicate,
    /// [`numbers`] of the note, at least.
    Numbers,
    /// [`ends_in_question`] of the answer, at most.
    QuestionAnswer,
    /// [`refusal`] in any generated text, at most.
    Refusal,
}

impl Gate {
    /// Every gate, sorted by name.
    pub const ALL: [Self; 11] = [
        Self::AnswerWords,
        Self::Contaminated,
        Self::Copied,
        Self::CopiedStretch,
        Self::MaxWords,
        Self::MinWords,
        Self::ModelTalk,
        Self::NearDuplicate,
        Self::Numbers,
        Self::QuestionAnswer,
        Self::Refusal,
    ];

    /// Key in `[dataset.gates]` and field in `scores`.
    pub fn name(self) -> &'static str {
        match self {
            Self::AnswerWords => "answer_words",
            Self::Contaminated => "contaminated",
            Self::Copied => "copied",
            Self::CopiedStretch => "copied_stretch",
            Self::MaxWords => "max_words",
            Self::MinWords => "min_words",
            Self::ModelTalk => "model_talk",
            Self::NearDuplicate => "near_duplicate",
            Self::Numbers => "numbers",
            Self::QuestionAnswer => "question_answer",
            Self::Refusal => "refusal",
        }
    }

    /// What a row is dropped for.
    pub fn reason(self) -> Reason {
        match self {
            Self::AnswerWords | Self::MinWords => Reason::TooShort,
            Self::Contaminated => Reason::Contaminated,
            Self::Copied | Self::CopiedStretch => Reason::Copied,
            Self::MaxWords => Reason::TooLong,
            Self::ModelTalk => Reason::ModelTalk,
            Self::NearDuplicate => Reason::NearDuplicate,
            Self::Numbers => Reason::Unfaithful,
            Self::QuestionAnswer => Reason::QuestionAnswer,
            Self::Refusal => Reason::Refusal,
        }
    }

    /// Whether a high score is the good one.
    pub fn wants_at_least(self) -> bool {
        matches!(self, Self::AnswerWords | Self::MinWords | Self::Numbers)
    }

    /// The gate of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|gate| gate.name() == name)
    }

    fn is_share(self) -> bool {
        matches!(self, Self::Copied | Self::NearDuplicate | Self::Numbers)
    }
}

/// `[dataset.gates]`: a threshold for each gate, or `false`. Scores are measured and kept either way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GatesConfig {
    /// Fewest words of an answer.
    pub answer_words: Threshold,
    /// Most sequences of 13 words that a note, or a question or answer, shares with the evaluation sets of
    /// `dataset.evaluation_sets`.
    pub contaminated: Threshold,
    /// Greatest share of a note's words that are copied from the report in stretches of eight words or more. Off by
    /// default: a teacher that writes should pass 0.5, one that extracts never can.
    pub copied: Threshold,
    /// Longest stretch of words that a note may copy from the report.
    pub copied_stretch: Threshold,
    /// Most words of a note.
    pub max_words: Threshold,
    /// Fewest words of a note.
    pub min_words: Threshold,
    /// Most kinds of talk about being a model, in note, question or answer.
    pub model_talk: Threshold,
    /// Greatest similarity of two notes, as the Jaccard index of their sequences of 5 words; of two that are more alike,
    /// the one whose id sorts first stays. From 0.5 on: below, notes are alike because medicine is.
    pub near_duplicate: Threshold,
    /// Least share of a note's numbers that occur in the report.
    pub numbers: Threshold,
    /// 0: an answer must not end in a question mark.
    pub question_answer: Threshold,
    /// 0: note, question and answer must not open with a refusal.
    pub refusal: Threshold,
}

impl Default for GatesConfig {
    fn default() -> Self {
        Self {
            answer_words: Threshold::At(1.0),
            contaminated: Threshold::At(0.0),
            copied: Threshold::Off,
            copied_stretch: Threshold::Off,
            max_words: Threshold::Off,
            min_words: Threshold::At(20.0),
            model_talk: Threshold::At(0.0),
            near_duplicate: Threshold::At(0.8),
            numbers: Threshold::At(0.8),
            question_answer: Threshold::At(0.0),
            refusal: Threshold::At(0.0),
        }
    }
}

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
    /// The threshold of one gate.
    pub fn threshold(&self, gate: Gate) -> Threshold {
        match gate {
            Gate::AnswerWords => self.answer_words,
            Gate::Contaminated => self.contaminated,
            Gate::Copied => self.copied,
            Gate::CopiedStretch => self.copied_stretch,
            Gate::MaxWords => self.max_words,
            Gate::MinWords => self.min_words,
            Gate::ModelTalk => self.model_talk,
            Gate::NearDuplicate => self.near_duplicate,
            Gate::Numbers => self.numbers,
            Gate::QuestionAnswer => self.question_answer,
            Gate::Refusal => self.refusal,
        }
    }

    /// Refuses thresholds outside their gate's range.
    ///
    /// # Errors
    /// Naming the gate and what it takes.
    pub fn validate(&self) -> Result<(), TextError> {
        for gate in Gate::ALL {
            let Threshold::At(threshold) = self.threshold(gate) else { continue };
            let (range, expected) = match gate {
                Gate::NearDuplicate => (0.5..=1.0, "a share from 0.5 to 1"),
                _ if gate.is_share() => (0.0..=1.0, "a share from 0 to 1"),
                _ => (0.0..=f32::MAX, "a count from 0"),
            };
            if !range.contains(&threshold) {
                return Err(TextError::Threshold { gate: gate.name(), threshold, expected });
            }
        }
        Ok(())
    }

    /// Whether a score lets a row through.
    pub fn passes(&self, gate: Gate, score: f32) -> bool {
        match self.threshold(gate) {
            Threshold::Off => true,
            Threshold::At(threshold) if gate.wants_at_least() => score >= threshold,
            Threshold::At(threshold) => score <= threshold,
        }
    }

    /// All gates on a note; without the report, those that compare with it have no score.
    pub fn judge_note(&self, note: &str, report: Option<&str>) -> Judgement {
        let mut verdicts = vec![
            (Gate::MaxWords, length(note)),
            (Gate::MinWords, length(note)),
            (Gate::ModelTalk, model_talk(note)),
            (Gate::Refusal, refusal(note)),
        ];
        if let Some(report) = report {
            verdicts.push((Gate::Copied, copy_rate(note, report)));
            verdicts.push((Gate::CopiedStretch, longest_copy(note, report)));
            verdicts.push((Gate::Numbers, numbers(note, report)));
        }
        self.judge(verdicts)
    }

    /// All gates on a question and its answer. Its note passed [`Self::judge_note`].
    pub fn judge_instruction(&self, question: &str, answer: &str) -> Judgement {
        let worse = |a: Verdict, b: Verdict| if b.score > a.score { b } else { a };
        self.judge(vec![
            (Gate::AnswerWords, length(answer)),
            (Gate::ModelTalk, worse(model_talk(question), model_talk(answer))),
            (Gate::QuestionAnswer, ends_in_question(answer)),
            (Gate::Refusal, worse(refusal(question), refusal(answer))),
        ])
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_the_gates_and_a_threshold_is_a_number_or_false() {
        let config: GatesConfig =
            serde_json::from_str(r#"{"numbers": 0.9, "copied": false, "min_words": 3}"#).expect("three keys");
        assert_eq!(
            (config.numbers, config.copied, config.min_words),
            (Threshold::At(0.9), Threshold::Off, Threshold::At(3.0))
        );
        assert!(serde_json::to_string(&config).expect("plain data").contains(r#""numbers":0.9"#));
        let error = serde_json::from_str::<GatesConfig>(r#"{"numbers": true}"#).expect_err("true is no threshold");
        assert!(error.to_string().contains("false to switch the gate off"), "{error}");
        let names: Vec<_> = Gate::ALL.iter().map(|gate| gate.name()).collect();
        assert!(names.is_sorted());
        let keys = serde_json::to_value(GatesConfig::default()).expect("plain data");
        assert!(
            names.iter().all(|name| keys.get(name).is_some()) && keys.as_object().expect("a map").len() == names.len()
        );
    }

    #[test]
    fn thresholds_out_of_range_are_refused() {
        assert!(GatesConfig::default().validate().is_ok());
        let config = GatesConfig { numbers: Threshold::At(80.0), ..GatesConfig::default() };
        assert!(matches!(config.validate(), Err(TextError::Threshold { gate: "numbers", .. })));
        let config = GatesConfig { refusal: Threshold::At(f32::NAN), ..GatesConfig::default() };
        assert!(config.validate().is_err());
    }

    #[test]
    fn a_row_fails_for_one_reason_and_keeps_all_scores() {
        let config = GatesConfig { min_words: Threshold::At(3.0), ..GatesConfig::default() };
        let report = "Hemoglobin was 9.5 g/dL on day 3.";
        let good = config.judge_note("Hb 9.5 on day 3", Some(report));
        assert_eq!(good.failed, None);
        assert!(good.scores.is_sorted_by(|a, b| a.0 < b.0) && good.scores.len() == 7);
        let bad = config.judge_note("Hb 10.5 on day 3", Some(report));
        assert_eq!(bad.reason(), Some(Reason::Unfaithful));
        assert_eq!(config.judge_instruction("Which Hb?", "Do you mean day 3?").reason(), Some(Reason::QuestionAnswer));
        assert_eq!(config.judge_instruction("Which Hb?", " ").reason(), Some(Reason::TooShort));
    }
}
