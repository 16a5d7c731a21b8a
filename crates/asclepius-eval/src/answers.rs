//! What a model says to held-out questions, beside what the teacher said.

use std::collections::BTreeMap;

use asclepius_model::{Sampling, generate};
use asclepius_schema::{Instruction, Task};
use asclepius_text::score::{rouge_l, token_f1};

use crate::candidate::Candidate;
use crate::results::{AnsweredQuestion, GeneratedAnswer};
use crate::EvalError;

/// At most `count` rows, taken from the tasks in turn and in file order, so that each task is asked about equally often.
pub fn choose(rows: &[Instruction], count: usize) -> Vec<AnsweredQuestionSource> {
    let mut by_task: BTreeMap<Task, Vec<&Instruction>> = BTreeMap::new();
    for row in rows {
        by_task.entry(row.task).or_default().push(row);
    }
    let longest = by_task.values().map(Vec::len).max().unwrap_or(0);
    let in_turn = (0..longest).flat_map(|index| by_task.values().filter_map(move |rows| rows.get(index).copied()));
    let mut chosen: Vec<_> = in_turn.take(count).map(AnsweredQuestionSource::new).collect();
    chosen.sort_by(|a, b| (a.task, &a.answered.row).cmp(&(b.task, &b.answered.row)));
    chosen
}

/// A question to ask, and the answers it has had so far.
#[derive(Debug, Clone)]
pub struct AnsweredQuestionSource {
    note: String,
    task: Task,
    /// What goes into the results.
    pub answered: AnsweredQuestion,
}

impl AnsweredQuestionSource {
    fn new(row: &Instruction) -> Self {
        let answered = AnsweredQuestion {
            row: row.row_id(),
            task: row.task.title().to_owned(),
            question: row.question.clone(),
            reference: row.answer.clone(),
            answers: Vec::new(),
        };
        Self { note: row.note.clone(), task: row.task, answered }
    }
}

/// Lets `candidate` answer one question greedily and scores the answer against the teacher's.
///
/// # Errors
/// When the prompt cannot be made or the model fails. A prompt that leaves no room for an answer is not an error: it is
/// answered with nothing, and scores 0.
pub fn score(
    candidate: &Candidate,
    question: &mut AnsweredQuestionSource,
    max_tokens: usize,
    stop: &dyn Fn() -> bool,
) -> Result<(), EvalError> {
    if stop() {
        return Ok(());
    }
    let prompt = candidate.template.encode_prompt(&candidate.tokenizer, &question.note, &question.answered.question)?;
    let room = candidate.decoder.config().max_positions.saturating_sub(prompt.len());
    let sampling = Sampling {
        temperature: 0.0,
        max_new_tokens: max_tokens.min(room),
        stop_ids: candidate.template.stop_ids(&candidate.tokenizer),
        ..Sampling::default()
    };
    let text = if room == 0 {
        String::new()
    } else {
        let generation = generate(&candidate.decoder, &prompt, &sampling).map_err(|source| candidate.failed(source))?;
        candidate.tokenizer.decode(&generation.ids).trim().to_owned()
    };
    let reference = &question.answered.reference;
    question.answered.answers.push(GeneratedAnswer {
        model: candidate.name.clone(),
        token_f1: f64::from(token_f1(&text, reference)),
        rouge_l: f64::from(rouge_l(&text, reference)),
        text,
    });
    Ok(())
}
