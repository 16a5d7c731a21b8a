//! `eval/report.json`: what an evaluation found, as data.

use serde::{Deserialize, Serialize};

/// A model's loss on one held-out set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeldOutLoss {
    /// `base`, `pretrained` or `tuned`.
    pub model: String,
    /// `notes` or `answers`.
    pub set: String,
    /// Rows in the set.
    pub rows: usize,
    /// Supervised tokens the mean is over.
    pub supervised_tokens: usize,
    /// Mean negative log-likelihood, nats a supervised token.
    pub loss: f64,
    /// `exp(loss)`.
    pub perplexity: f64,
}

/// One model's answer to one held-out question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GeneratedAnswer {
    /// The model.
    pub model: String,
    /// Its greedy answer.
    pub text: String,
    /// Token F1 against the teacher's answer, 0 to 1.
    pub token_f1: f64,
    /// ROUGE-L F1 against it, 0 to 1.
    pub rouge_l: f64,
}

/// A held-out question with every model's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnsweredQuestion {
    /// The row: report and index.
    pub row: String,
    /// The task's published name.
    pub task: String,
    /// The question.
    pub question: String,
    /// The teacher's answer.
    pub reference: String,
    /// Each model's answer, in the order of the models.
    pub answers: Vec<GeneratedAnswer>,
}

/// Mean scores of one model over one task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskScore {
    /// The model.
    pub model: String,
    /// The task's published name.
    pub task: String,
    /// Questions.
    pub rows: usize,
    /// Mean token F1.
    pub token_f1: f64,
    /// Mean ROUGE-L F1.
    pub rouge_l: f64,
}

/// An evaluation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Loss of every model on every set.
    pub losses: Vec<HeldOutLoss>,
    /// Scores by task and model, sorted.
    pub scores: Vec<TaskScore>,
    /// Questions with answers.
    pub answers: Vec<AnsweredQuestion>,
    /// Rows of the sets that no model could be given, and why.
    pub left_out: Vec<String>,
}

impl Evaluation {
    /// Means over the answers, by task in the paper's order and then by model in order of appearance.
    pub fn score_answers(&mut self) {
        self.scores.clear();
        for task in asclepius_schema::Task::ALL {
            let rows: Vec<_> = self.answers.iter().filter(|row| row.task == task.title()).collect();
            let Some(first) = rows.first() else { continue };
            for (index, answer) in first.answers.iter().enumerate() {
                let mean = |of: &dyn Fn(&GeneratedAnswer) -> f64| {
                    rows.iter().map(|row| of(&row.answers[index])).sum::<f64>() / rows.len() as f64
                };
                self.scores.push(TaskScore {
                    model: answer.model.clone(),
                    task: task.title().to_owned(),
                    rows: rows.len(),
                    token_f1: mean(&|answer| answer.token_f1),
                    rouge_l: mean(&|answer| answer.rouge_l),
                });
            }
        }
    }
}
