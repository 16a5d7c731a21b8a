//! What a model says to held-out questions.

use std::collections::{BTreeMap, HashMap};

use asclepius_model::{Finish, Sampling, generate_each};
use asclepius_ops::PhiloxKey;
use asclepius_schema::{ArticleId, Instruction, Task};
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

/// At most `count` rows: the tasks in turn, so that each is asked about equally often, and of a task the first row about an
/// article that fewest of the rows before are about, so that the answers say something of many patients.
pub fn choose(rows: &[Instruction], count: usize) -> Vec<Instruction> {
    let mut by_task: BTreeMap<Task, Vec<&Instruction>> = BTreeMap::new();
    for row in rows {
        by_task.entry(row.task).or_default().push(row);
    }
    let mut asked: HashMap<&ArticleId, usize> = HashMap::new();
    let mut chosen = Vec::with_capacity(count.min(rows.len()));
    while chosen.len() < count && !by_task.is_empty() {
        for left in by_task.values_mut().take(count - chosen.len()) {
            let times = |row: &Instruction| asked.get(&row.article_id).copied().unwrap_or(0);
            let Some(next) = (0..left.len()).min_by_key(|&index| times(left[index])) else { continue };
            let row = left.remove(next);
            *asked.entry(&row.article_id).or_default() += 1;
            chosen.push(row.clone());
        }
        by_task.retain(|_, left| !left.is_empty());
    }
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::test_rows::row;

    #[test]
    fn questions_are_spread_over_tasks_and_over_articles() {
        // Nine articles with a row of every task, in the order of a file.
        let rows: Vec<Instruction> = (0..9)
            .flat_map(|article| Task::ALL.into_iter().zip(0..).map(move |(task, index)| row(article, index, task)))
            .collect();
        let chosen = choose(&rows, 18);
        let of = |article: usize| chosen.iter().filter(|row| row.patient_id == article as i64).count();
        assert_eq!((0..9).map(of).collect::<Vec<_>>(), [2; 9]);
        for task in Task::ALL {
            let asked: Vec<_> = chosen.iter().filter(|row| row.task == task).map(|row| row.patient_id).collect();
            assert!(
                (2..=3).contains(&asked.len()) && asked.iter().collect::<BTreeSet<_>>().len() == asked.len(),
                "{asked:?}"
            );
        }
        assert_eq!(choose(&rows, 18), chosen);
        assert_eq!(choose(&rows, 1000).len(), 72);
        // A task that only one article has is asked about all the same.
        let rare = choose(&[row(1, 0, Task::Qa), row(2, 0, Task::Qa), row(1, 1, Task::Ner), row(1, 2, Task::Ner)], 4);
        assert_eq!(
            rare.iter().map(|row| row.task).collect::<Vec<_>>().iter().filter(|task| **task == Task::Ner).count(),
            2
        );
    }
}
