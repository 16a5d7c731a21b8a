//! Which scores let a row through.

use std::borrow::Cow;
use std::fmt;

use asclepius_schema::Reason;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::TextError;
use crate::judge::Rating;

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
    /// [`Pair::age`] of note or answer, at most.
    Age,
    /// [`length`] of the answer, at least.
    AnswerWords,
    /// Sequences of words shared with an evaluation set, at most. Measured where those sets are known.
    Contaminated,
    /// [`copy_rate`] of the note, at most.
    Copied,
    /// [`longest_copy`] of the note, at most.
    CopiedStretch,
    /// [`Pair::drugs`] of note or answer, at most.
    Drugs,
    /// [`grounded`] of the note, at least.
    Grounded,
    /// [`headings`] of the note, at least.
    Headings,
    /// [`Pair::intervals`] of note or answer, at most.
    Intervals,
    /// Rating of note or answer by a judge model (see [`crate::judge`]), at least. Measured where there is one.
    Judge,
    /// [`language`] of any generated text, at most.
    Language,
    /// [`Pair::laterality`] of note or answer, at most.
    Laterality,
    /// [`length`] of the note, at most.
    MaxWords,
    /// [`length`] of the note, at least.
    MinWords,
    /// [`model_talk`] in any text, at most.
    ModelTalk,
    /// Similarity to another note, at most. Measured where all notes are known.
    NearDuplicate,
    /// [`Pair::negation`] of note or answer, at most.
    Negation,
    /// [`numbers`] of the note, at least.
    Numbers,
    /// [`phi`] in any generated text, at most.
    Phi,
    /// [`Pair::quantities`] of note or answer, at most.
    Quantities,
    /// [`ends_in_question`] of the answer, at most.
    QuestionAnswer,
    /// [`refusal`] in any generated text, at most.
    Refusal,
    /// Cosine similarity of meaning to another note, at most. Measured where a sentence encoder reads them.
    SameMeaning,
    /// [`Pair::sex`] of note or answer, at most.
    Sex,
    /// [`Pair::statements`] of note or answer, at most.
    Statements,
}

impl Gate {
    /// Every gate, sorted by name.
    pub const ALL: [Self; 25] = [
        Self::Age,
        Self::AnswerWords,
        Self::Contaminated,
        Self::Copied,
        Self::CopiedStretch,
        Self::Drugs,
        Self::Grounded,
        Self::Headings,
        Self::Intervals,
        Self::Judge,
        Self::Language,
        Self::Laterality,
        Self::MaxWords,
        Self::MinWords,
        Self::ModelTalk,
        Self::NearDuplicate,
        Self::Negation,
        Self::Numbers,
        Self::Phi,
        Self::Quantities,
        Self::QuestionAnswer,
        Self::Refusal,
        Self::SameMeaning,
        Self::Sex,
        Self::Statements,
    ];

    /// Those that compare the facts of a text with its source's.
    pub const COMPARING: [Self; 8] = [
        Self::Age,
        Self::Drugs,
        Self::Intervals,
        Self::Laterality,
        Self::Negation,
        Self::Quantities,
        Self::Sex,
        Self::Statements,
    ];

    /// Key in `[dataset.gates]` and field in `scores`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::AnswerWords => "answer_words",
            Self::Contaminated => "contaminated",
            Self::Copied => "copied",
            Self::CopiedStretch => "copied_stretch",
            Self::Drugs => "drugs",
            Self::Grounded => "grounded",
            Self::Headings => "headings",
            Self::Intervals => "intervals",
            Self::Judge => "judge",
            Self::Language => "language",
            Self::Laterality => "laterality",
            Self::MaxWords => "max_words",
            Self::MinWords => "min_words",
            Self::ModelTalk => "model_talk",
            Self::NearDuplicate => "near_duplicate",
            Self::Negation => "negation",
            Self::Numbers => "numbers",
            Self::Phi => "phi",
            Self::Quantities => "quantities",
            Self::QuestionAnswer => "question_answer",
            Self::Refusal => "refusal",
            Self::SameMeaning => "same_meaning",
            Self::Sex => "sex",
            Self::Statements => "statements",
        }
    }

    /// What a row is dropped for.
    pub fn reason(self) -> Reason {
        match self {
            Self::AnswerWords | Self::MinWords => Reason::TooShort,
            Self::Contaminated => Reason::Contaminated,
            Self::Copied | Self::CopiedStretch => Reason::Copied,
            Self::Judge => Reason::Judge,
            Self::Language => Reason::Language,
            Self::Headings => Reason::Malformed,
            Self::MaxWords => Reason::TooLong,
            Self::ModelTalk => Reason::ModelTalk,
            Self::NearDuplicate => Reason::NearDuplicate,
            Self::SameMeaning => Reason::SameMeaning,
            Self::Phi => Reason::Phi,
            Self::QuestionAnswer => Reason::QuestionAnswer,
            Self::Refusal => Reason::Refusal,
            Self::Age
            | Self::Drugs
            | Self::Grounded
            | Self::Intervals
            | Self::Laterality
            | Self::Negation
            | Self::Numbers
            | Self::Quantities
            | Self::Sex
            | Self::Statements => Reason::Unfaithful,
        }
    }

    /// Whether a high score is the good one.
    pub fn wants_at_least(self) -> bool {
        matches!(
            self,
            Self::AnswerWords | Self::Grounded | Self::Headings | Self::Judge | Self::MinWords | Self::Numbers
        )
    }

    /// The gate of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|gate| gate.name() == name)
    }

    fn is_share(self) -> bool {
        matches!(
            self,
            Self::Copied | Self::Grounded | Self::Language | Self::NearDuplicate | Self::Numbers | Self::SameMeaning
        )
    }
}

/// `[dataset.gates]`: a threshold for each gate, or `false`. Scores are measured and kept either way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GatesConfig {
    /// Most ages in a note, or an answer, that its report, or note, does not give. An age over 89 may be generalised.
    pub age: Threshold,
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
    /// Most drugs in a note, or an answer, that its report, or note, does not name there.
    pub drugs: Threshold,
    /// Least share of the different words of a note, of four letters or more, that its report has, too. Faithful notes in
    /// words of their own have 0.54 and more (40 notes), against another patient's report 0.30 and less; what a model that
    /// is too small says instead of a note has 0.23 and less.
    pub grounded: Threshold,
    /// Fewest headings of a note.
    pub headings: Threshold,
    /// Most times and intervals without support in the report, or the note. Of 14 faithful notes in words of their own that
    /// nothing was mended for it flags one, and catches 26 of 29 wrong intervals in them.
    pub intervals: Threshold,
    /// Least rating, 1 to 4, by the model of `[dataset.judge]`: of a note beside its report, of an answer beside its
    /// note. Only rows that pass every other gate are rated; one without a readable rating stays, and is counted. For notes
    /// in words of their own it is the surest gate: of 31 with one planted error each a capable chat model rated all 1, of
    /// 11 faithful ones all 4.
    pub judge: Threshold,
    /// Greatest share of words that are another language's, in note, question or answer.
    pub language: Threshold,
    /// Most lefts and rights that are the other side, or none, in the report, or the note. Of sides changed in notes that
    /// keep the report's words it catches 97 of 100, in notes in words of their own 65 of 75; of 72 such notes that are
    /// faithful it flags two.
    pub laterality: Threshold,
    /// Most words of a note.
    pub max_words: Threshold,
    /// Fewest words of a note.
    pub min_words: Threshold,
    /// Most kinds of talk about being a model, in note, question or answer.
    pub model_talk: Threshold,
    /// Greatest similarity of two notes, as the Jaccard index of their sequences of 5 words; of two that are more alike,
    /// the one whose id sorts first stays. From 0.5 on: below, notes are alike because medicine is.
    pub near_duplicate: Threshold,
    /// Most sentences that affirm what the report, or the note, denies, or the reverse. Off by default: in notes that
    /// keep the report's words it catches 97 of 100 such errors, and then 0 is the threshold to set; of 14 faithful
    /// notes in words of their own that nothing was mended for it flags six, and catches 34 of 58 such errors.
    pub negation: Threshold,
    /// Least share of a note's numbers that occur in the report.
    pub numbers: Threshold,
    /// Most identifiers of persons (the eighteen kinds of the HIPAA Safe Harbor rule) in note, question or answer.
    pub phi: Threshold,
    /// Most doses and measurements whose value and unit have no support in the report, or the note, and grades, stages,
    /// vertebrae, markers and fractions of which it has others.
    pub quantities: Threshold,
    /// 0: an answer must not end in a question mark.
    pub question_answer: Threshold,
    /// 0: note, question and answer must not open with a refusal.
    pub refusal: Threshold,
    /// Greatest cosine similarity of two notes' meaning, as `dataset.sentence_encoder` reads it; of two that are more
    /// alike, the one whose id sorts first stays. By all-MiniLM-L6-v2, two notes about one patient in different words are
    /// 0.83 to 0.93 alike (18 pairs), notes about different patients up to 0.84, half of them below 0.56.
    pub same_meaning: Threshold,
    /// 0: the patient's sex must be the report's, or the note's.
    pub sex: Threshold,
    /// Most statements and clinical terms of which the report, or the note, knows nothing. Off by default: of 14
    /// faithful notes in words of their own that nothing was mended for it flags six, and catches ten of 14 statements
    /// about somebody else. 0 is the threshold for notes that keep the report's words.
    pub statements: Threshold,
}

impl Default for GatesConfig {
    fn default() -> Self {
        Self {
            age: Threshold::At(0.0),
            answer_words: Threshold::At(1.0),
            contaminated: Threshold::At(0.0),
            copied: Threshold::Off,
            copied_stretch: Threshold::Off,
            drugs: Threshold::At(0.0),
            grounded: Threshold::At(0.4),
            headings: Threshold::Off,
            intervals: Threshold::At(0.0),
            judge: Threshold::Off,
            language: Threshold::At(0.2),
            laterality: Threshold::At(0.0),
            max_words: Threshold::Off,
            min_words: Threshold::At(20.0),
            model_talk: Threshold::At(0.0),
            near_duplicate: Threshold::At(0.8),
            negation: Threshold::Off,
            numbers: Threshold::At(0.8),
            phi: Threshold::Off,
            quantities: Threshold::At(0.0),
            question_answer: Threshold::At(0.0),
            refusal: Threshold::At(0.0),
            same_meaning: Threshold::Off,
            sex: Threshold::At(0.0),
            statements: Threshold::Off,
        }
    }
}

impl GatesConfig {
    /// The threshold of one gate.
    pub fn threshold(&self, gate: Gate) -> Threshold {
        match gate {
            Gate::Age => self.age,
            Gate::AnswerWords => self.answer_words,
            Gate::Contaminated => self.contaminated,
            Gate::Copied => self.copied,
            Gate::CopiedStretch => self.copied_stretch,
            Gate::Drugs => self.drugs,
            Gate::Grounded => self.grounded,
            Gate::Headings => self.headings,
            Gate::Intervals => self.intervals,
            Gate::Judge => self.judge,
            Gate::Language => self.language,
            Gate::Laterality => self.laterality,
            Gate::MaxWords => self.max_words,
            Gate::MinWords => self.min_words,
            Gate::ModelTalk => self.model_talk,
            Gate::NearDuplicate => self.near_duplicate,
            Gate::Negation => self.negation,
            Gate::Numbers => self.numbers,
            Gate::Phi => self.phi,
            Gate::Quantities => self.quantities,
            Gate::QuestionAnswer => self.question_answer,
            Gate::Refusal => self.refusal,
            Gate::SameMeaning => self.same_meaning,
            Gate::Sex => self.sex,
            Gate::Statements => self.statements,
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
                Gate::Judge => (1.0..=f32::from(Rating::BEST), "a rating from 1 to 4"),
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
        let config = GatesConfig { judge: Threshold::At(0.0), ..GatesConfig::default() };
        assert!(matches!(config.validate(), Err(TextError::Threshold { gate: "judge", .. })));
        let config = GatesConfig { refusal: Threshold::At(f32::NAN), ..GatesConfig::default() };
        assert!(config.validate().is_err());
    }
}
