//! What a model says to held-out questions, beside what the teacher said.

use std::collections::BTreeMap;

use asclepius_model::{Sampling, generate_batch};
use asclepius_schema::{Instruction, Task};
use asclepius_text::score::{rouge_l, token_f1};

use crate::EvalError;
use crate::candidate::Candidate;
use crate::results::{AnsweredQuestion, GeneratedAnswer};

/// At most `count` rows, taken from the tasks in turn and in file order, so that each task is asked about equally often.
pub fn choose(rows: &[Instruction], count: usize) -> Vec<Question> {
    let mut by_task: BTreeMap<Task, Vec<&Instruction>> = BTreeMap::new();
    for row in rows {
        by_task.entry(row.task).or_default().push(row);
    }
    let longest = by_task.values().map(Vec::len).max().unwrap_or(0);
    let in_turn = (0..longest).flat_map(|index| by_task.values().filter_map(move |rows| rows.get(index).copied()));
    let mut chosen: Vec<_> = in_turn.take(count).map(Question::new).collect();
    chosen.sort_by(|a, b| (a.task, &a.answered.row).cmp(&(b.task, &b.answered.row)));
    chosen
}

/// A held-out question, and the answers it has had so far.
#[derive(Debug, Clone)]
pub struct Question {
    note: String,
    task: Task,
    /// What goes into the results.
    pub answered: AnsweredQuestion,
}

impl Question {
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

/// Questions that are answered together: enough that reading the weights is shared, few enough that what is remembered of
/// their notes stays small.
pub const BATCH: usize = 8;

/// Lets `candidate` answer questions greedily, all together, and scores each answer against the teacher's.
///
/// # Errors
/// When a prompt cannot be made, does not fit even without its note, or the model fails.
pub fn score(candidate: &Candidate, questions: &mut [Question], max_tokens: usize) -> Result<(), EvalError> {
    let limit = candidate.decoder.config().max_positions;
    let room = limit.saturating_sub(max_tokens).max(limit / 2);
    let mut prompts = Vec::with_capacity(questions.len());
    for question in &*questions {
        let (note, asked) = (&question.note, &question.answered.question);
        let (prompt, _) = candidate.template.encode_prompt_within(&candidate.tokenizer, note, asked, room)?;
        prompts.push(prompt);
    }
    let prompts: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
    let stop = candidate.template.stop_ids(&candidate.tokenizer)?;
    let sampling = Sampling { temperature: 0.0, max_new_tokens: max_tokens, stop, ..Sampling::default() };
    let generations = generate_batch(&candidate.decoder, &prompts, &sampling, &mut |_, _| true)
        .map_err(|source| candidate.failed(source))?;
    for (question, generation) in questions.iter_mut().zip(generations) {
        let text = candidate.tokenizer.decode(&generation.tokens).trim().to_owned();
        let reference = &question.answered.reference;
        question.answered.answers.push(GeneratedAnswer {
            model: candidate.name.clone(),
            token_f1: f64::from(token_f1(&text, reference)),
            rouge_l: f64::from(rouge_l(&text, reference)),
            text,
        });
    }
    Ok(())
}
