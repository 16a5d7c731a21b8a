//! `eval/report.json`, `eval/predictions.jsonl` and `eval/losses.jsonl`: what an evaluation found, as data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::answers::{Answer, Asking, Question};
use crate::held_out::RowLoss;
use crate::judge::JudgeReport;
use crate::measures::measure;
use crate::realism::Realism;
use crate::sets::Losses;
use crate::statistics::Spread;

/// Which model it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// What training began with.
    Base,
    /// The same behind worked examples.
    FewShot,
    /// After continued pre-training.
    Pretrained,
    /// After instruction tuning.
    Tuned,
    /// Named in `eval.compare`.
    Compared,
}

/// A model under test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelUnderTest {
    /// How tables call it.
    pub name: String,
    /// Which one it is.
    pub kind: Kind,
    /// Its directory or hub id, or its endpoint.
    pub source: String,
    /// Worked examples a question.
    pub shots: usize,
    /// Questions put to it.
    pub questions: usize,
    /// Answers that the limit on tokens cut off.
    pub cut_off: usize,
    /// Questions an endpoint gave no answer to, by reason; they are measured as empty answers.
    pub unanswered: BTreeMap<String, usize>,
    /// Rows that do not fit the model even without their note, and have no loss.
    pub too_long: Vec<String>,
    /// Tokens of all prompts.
    pub prompt_tokens: u64,
    /// Tokens of all answers.
    pub answer_tokens: u64,
    /// US dollars for an endpoint's calls; 0 without prices.
    pub cost_usd: f64,
}

/// Everything one model gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelOutcome {
    /// The model.
    pub model: ModelUnderTest,
    /// Its loss on every row; none for a model behind an endpoint.
    pub losses: Vec<RowLoss>,
    /// Its answers.
    pub predictions: Vec<Prediction>,
}

impl ModelUnderTest {
    /// One that was asked nothing yet.
    pub fn new(name: &str, kind: Kind, source: &str, shots: usize) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            source: source.to_owned(),
            shots,
            questions: 0,
            cut_off: 0,
            unanswered: BTreeMap::new(),
            too_long: Vec::new(),
            prompt_tokens: 0,
            answer_tokens: 0,
            cost_usd: 0.0,
        }
    }
}

impl ModelOutcome {
    /// A model's answers, counted.
    pub fn new(mut model: ModelUnderTest, predictions: Vec<Prediction>) -> Self {
        model.questions = predictions.len();
        for Prediction { answer, .. } in &predictions {
            model.prompt_tokens += u64::from(answer.prompt_tokens);
            model.answer_tokens += u64::from(answer.tokens);
            let finish = answer.finish.as_str();
            if finish == "length" {
                model.cut_off += 1;
            } else if finish != "stop" && answer.text.is_empty() {
                // Whatever a provider calls the end of an answer, an answer has words.
                *model.unanswered.entry(finish.to_owned()).or_default() += 1;
            }
        }
        Self { model, losses: Vec::new(), predictions }
    }

    /// The same with its losses.
    #[must_use]
    pub fn with_losses(mut self, losses: Losses) -> Self {
        self.model.too_long = losses.too_long;
        self.losses = losses.rows;
        self
    }
}

/// One model's answer to one question, with everything that a number in the tables is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// The model.
    pub model: String,
    /// The set.
    pub set: String,
    /// The row: report and index.
    pub row: String,
    /// The report its note was written from.
    pub report: String,
    /// The report's article.
    pub article: String,
    /// The task's short name.
    pub task: String,
    /// Whether the note cannot answer it; none where the set does not say.
    pub unanswerable: Option<bool>,
    /// The question.
    pub question: String,
    /// The dataset's answer.
    pub reference: String,
    /// The model's.
    #[serde(flatten)]
    pub answer: Answer,
    /// Numerators and denominators by measure.
    pub measures: BTreeMap<String, [f64; 2]>,
    /// The model that wrote note, question and reference.
    pub teacher_model: String,
    /// The calls that wrote note, question and reference, as the ledger names them.
    pub calls: [String; 3],
}

impl Prediction {
    /// Measures an answer.
    pub fn new(model: &str, question: &Question, answer: Answer) -> Self {
        let Question { set, row, labelled } = question;
        let measures = measure(row, &answer.text);
        let calls = [&row.note_call, &row.question_call, &row.answer_call].map(|call| call.request_key.clone());
        Self {
            model: model.to_owned(),
            set: set.clone(),
            row: row.row_id(),
            report: row.report_id.to_string(),
            article: row.article_id.to_string(),
            task: row.task.key().to_owned(),
            unanswerable: labelled.then_some(row.unanswerable),
            question: row.question.clone(),
            reference: row.answer.clone(),
            answer,
            measures: measures.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            teacher_model: row.teacher_model.clone(),
            calls,
        }
    }
}

/// A model's loss on one held-out set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeldOutLoss {
    /// The model.
    pub model: String,
    /// `notes`, `answers`, `general`, or the name of a further set.
    pub set: String,
    /// Rows in the set.
    pub rows: usize,
    /// Articles they are of.
    pub articles: usize,
    /// Supervised tokens the mean is over.
    pub supervised_tokens: usize,
    /// Bytes of text they stand for.
    pub bytes: usize,
    /// Mean negative log-likelihood, nats a supervised token.
    pub loss: f64,
    /// Its spread over articles.
    pub loss_spread: Option<Spread>,
    /// `exp(loss)`.
    pub perplexity: f64,
    /// Bits a byte of text, which models with different tokenizers share; the end of a text counts as a token without bytes.
    pub bits_per_byte: Option<f64>,
    /// Its spread over articles.
    pub bits_per_byte_spread: Option<Spread>,
}

/// A measure of one model over one table of one set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskScore {
    /// The model.
    pub model: String,
    /// The set.
    pub set: String,
    /// A task's short name, or `all`, `abstention`, `faithfulness`.
    pub task: String,
    /// What is measured.
    pub measure: String,
    /// Rows of the table.
    pub rows: usize,
    /// Articles they are of.
    pub articles: usize,
    /// The value; none where there is nothing to measure.
    pub value: Option<f64>,
    /// Its spread over articles; none for fewer than two.
    pub spread: Option<Spread>,
}

/// What one model has over the base, on the same rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The model.
    pub model: String,
    /// What it is compared with.
    pub base: String,
    /// The set.
    pub set: String,
    /// As in [`TaskScore`]; empty for losses.
    pub task: String,
    /// As in [`TaskScore`], or `loss`, `bits_per_byte`.
    pub measure: String,
    /// Rows both are measured on.
    pub rows: usize,
    /// Articles they are of.
    pub articles: usize,
    /// The model's value less the base's.
    pub value: f64,
    /// Its spread over draws of articles, both models on the same draw.
    pub spread: Option<Spread>,
}

/// One model's answer to one held-out question, as the page shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GeneratedAnswer {
    /// The model.
    pub model: String,
    /// Its answer.
    pub text: String,
    /// Whether the limit on tokens cut it off.
    pub cut_off: bool,
    /// The task's first measure, where the row has it.
    pub value: Option<f64>,
}

/// A held-out question with every model's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnsweredQuestion {
    /// The set.
    pub set: String,
    /// The row: report and index.
    pub row: String,
    /// The task's published name.
    pub task: String,
    /// The task's first measure.
    pub measure: String,
    /// Whether the note cannot answer it; none where the set does not say.
    pub unanswerable: Option<bool>,
    /// The question.
    pub question: String,
    /// The teacher's answer.
    pub reference: String,
    /// Each model's answer, in the order of the models.
    pub answers: Vec<GeneratedAnswer>,
}

/// How the evaluation was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// How answers were drawn.
    #[serde(flatten)]
    pub asking: Asking,
    /// Questions a set at most.
    pub questions: usize,
    /// Draws of articles behind each interval.
    pub resamples: usize,
}

/// An evaluation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// How it was made.
    pub settings: Option<Settings>,
    /// The models, in the order of the tables.
    #[serde(default)]
    pub models: Vec<ModelUnderTest>,
    /// Loss of every model on every set.
    pub losses: Vec<HeldOutLoss>,
    /// Every measure of every table of every set, by model.
    pub scores: Vec<TaskScore>,
    /// Every other model against the first.
    #[serde(default)]
    pub differences: Vec<Difference>,
    /// How much the synthetic notes read like real ones, where that was asked.
    #[serde(default)]
    pub realism: Option<Realism>,
    /// What a judge said of the answers, where one was asked.
    #[serde(default)]
    pub judge: Option<JudgeReport>,
    /// Questions with answers.
    pub answers: Vec<AnsweredQuestion>,
}
