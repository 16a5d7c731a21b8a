//! What a model says to held-out questions.

use std::collections::BTreeMap;

use asclepius_model::{Finish, Sampling, generate_each};
use asclepius_ops::PhiloxKey;
use asclepius_schema::{Instruction, Task};
use serde::{Deserialize, Serialize};

use crate::EvalError;
use crate::candidate::Candidate;
use crate::few_shot::Examples;

/// A held-out question.
#[derive(Debug, Clone)]
pub struct Question {
    /// The set it is from.
    pub set: String,
    /// The row.
    pub row: Instruction,
    /// Whether the set says which of its rows cannot be answered.
    pub labelled: bool,
}

/// At most `count` rows, taken from the tasks in turn and in file order, so that each task is asked about equally often.
pub fn choose(rows: &[Instruction], count: usize) -> Vec<Instruction> {
    let mut by_task: BTreeMap<Task, Vec<&Instruction>> = BTreeMap::new();
    for row in rows {
        by_task.entry(row.task).or_default().push(row);
    }
    let longest = by_task.values().map(Vec::len).max().unwrap_or(0);
    let in_turn = (0..longest).flat_map(|index| by_task.values().filter_map(move |rows| rows.get(index).copied()));
    let mut chosen: Vec<_> = in_turn.take(count).cloned().collect();
    chosen.sort_by_key(|row| (row.task, row.row_id()));
    chosen
}

/// How answers are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Asking {
    /// The most tokens an answer may have.
    pub max_tokens: usize,
    /// 0 takes the likeliest token each time.
    pub temperature: f64,
    /// Only the likeliest tokens whose probabilities add up to this are drawn from; 1 draws from all.
    pub top_p: f64,
    /// Of the draws: each question has its own, whoever is asked beside it.
    pub seed: u64,
}

impl Asking {
    fn sampling(&self, row: &str, stop: &[u32]) -> Sampling {
        let [low, high, ..] = PhiloxKey::new(self.seed).fold_name("answers").fold_name(row).block(0);
        Sampling {
            temperature: self.temperature,
            top_p: (self.top_p < 1.0).then_some(self.top_p),
            seed: u64::from(low) | u64::from(high) << 32,
            max_new_tokens: self.max_tokens,
            stop: stop.to_vec(),
            ..Sampling::default()
        }
    }
}

/// A model's answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// What it said, without white space around it; empty where it gave no answer.
    pub text: String,
    /// `stop`, or `length` where the limit cut it off; for an endpoint that gave none, why not.
    pub finish: String,
    /// Tokens of the prompt.
    pub prompt_tokens: u32,
    /// Tokens of the answer.
    pub tokens: u32,
    /// Whether the note had to lose its end for the prompt to fit.
    pub note_shortened: bool,
    /// Rows of the training split that were shown as examples.
    pub examples: Vec<String>,
    /// The call's identity in the ledger, for a model behind an endpoint.
    pub request_key: Option<String>,
}

/// Questions that are answered together: enough that reading the weights is shared, few enough that what is remembered of
/// their notes stays small.
pub const BATCH: usize = 8;

/// Lets `candidate` answer `questions` together, behind `examples` where there are some.
///
/// # Errors
/// When a prompt cannot be made, does not fit even without its note, or the model fails; names the row.
pub fn answer(
    candidate: &Candidate,
    questions: &[Question],
    examples: Option<&Examples>,
    asking: &Asking,
) -> Result<Vec<Answer>, EvalError> {
    let limit = candidate.decoder.config().max_positions;
    let room = limit.saturating_sub(asking.max_tokens).max(limit / 2);
    let stop = candidate.template.stop_ids(&candidate.tokenizer)?;
    let mut prompts = Vec::with_capacity(questions.len());
    let mut answers = Vec::with_capacity(questions.len());
    for Question { row, .. } in questions {
        let id = row.row_id();
        let shown = examples.map(|examples| examples.draw(row)).unwrap_or_default();
        let turns: Vec<_> =
            shown.iter().map(|row| (row.note.as_str(), row.question.as_str(), row.answer.as_str())).collect();
        let (template, tokenizer) = (&candidate.template, &candidate.tokenizer);
        let prompt = match turns.is_empty() {
            true => template.encode_prompt_within(tokenizer, &row.note, &row.question, room),
            false => template.encode_after_examples(tokenizer, &turns, &row.note, &row.question, room),
        };
        let (prompt, note_shortened) = prompt.map_err(|source| EvalError::Prompt {
            row: id.clone(),
            model: candidate.name.clone(),
            source: Box::new(source),
        })?;
        answers.push(Answer {
            prompt_tokens: prompt.len() as u32,
            note_shortened,
            examples: shown.iter().map(|row| row.row_id()).collect(),
            ..Answer::default()
        });
        prompts.push((prompt, asking.sampling(&id, &stop)));
    }
    let prompts: Vec<(&[u32], &Sampling)> = prompts.iter().map(|(ids, sampling)| (ids.as_slice(), sampling)).collect();
    let generations =
        generate_each(&candidate.decoder, &prompts, &mut |_, _| true).map_err(|source| candidate.failed(source))?;
    for (answer, generation) in answers.iter_mut().zip(generations) {
        candidate.tokenizer.decode(&generation.tokens).trim().clone_into(&mut answer.text);
        answer.tokens = generation.tokens.len() as u32;
        let finish = if generation.finish == Finish::Stop { "stop" } else { "length" };
        finish.clone_into(&mut answer.finish);
    }
    Ok(answers)
}
