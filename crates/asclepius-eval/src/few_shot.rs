//! Worked examples from the training split, for a base that was never shown the tasks.

use std::collections::BTreeMap;
use std::path::Path;

use asclepius_dataset::DatasetError;
use asclepius_ops::PhiloxKey;
use asclepius_schema::{Instruction, Task};

use crate::EvalError;
use crate::answers::Question;

/// Rows kept of each task: far more than a prompt shows, far fewer than a training split may have.
const KEPT: usize = 256;

/// Rows of the training split that examples are drawn from, without unanswerable ones: some of each task, whatever the
/// file's order.
#[derive(Debug, Clone)]
pub struct Examples {
    key: PhiloxKey,
    shots: usize,
    by_task: BTreeMap<Task, Vec<(u64, Instruction)>>,
}

impl Examples {
    /// Reads the rows of `path`, of which `shots` are drawn with `seed` for each of `questions`.
    ///
    /// # Errors
    /// When a row cannot be read, or a question has no row to be shown.
    pub fn read(
        seed: u64,
        shots: usize,
        rows: impl Iterator<Item = Result<Instruction, DatasetError>>,
        questions: &[Question],
        path: &Path,
    ) -> Result<Self, EvalError> {
        let mut examples = Self { key: PhiloxKey::new(seed).fold_name("examples"), shots, by_task: BTreeMap::new() };
        for row in rows {
            examples.offer(row?);
        }
        match questions.iter().find(|question| examples.draw(&question.row).is_empty()) {
            Some(question) => Err(EvalError::NoExamples { shots, path: path.to_owned(), row: question.row.row_id() }),
            None => Ok(examples),
        }
    }

    /// Examples a question is shown.
    pub fn shots(&self) -> usize {
        self.shots
    }

    /// Takes a row of the training split in.
    fn offer(&mut self, row: Instruction) {
        if row.unanswerable {
            return;
        }
        let rank = rank(self.key, &row.row_id());
        let kept = self.by_task.entry(row.task).or_default();
        let place = kept.partition_point(|(other, _)| *other < rank);
        if place < KEPT {
            kept.insert(place, (rank, row));
            kept.truncate(KEPT);
        }
    }

    /// The examples of a question: of its task where that has any, of other articles and of different articles as far as there
    /// are, in an order of the question's own.
    pub fn draw(&self, question: &Instruction) -> Vec<&Instruction> {
        let key = self.key.fold_name(&question.row_id());
        let of_task = self.by_task.get(&question.task).filter(|rows| !rows.is_empty());
        let any = self.by_task.values().filter(|_| of_task.is_none());
        let rows = of_task.into_iter().chain(any).flatten().map(|(_, row)| row);
        let others = rows.filter(|row| row.article_id != question.article_id);
        let mut ranked: Vec<_> = others.map(|row| (rank(key, &row.row_id()), row)).collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        let mut drawn: Vec<&Instruction> = Vec::with_capacity(self.shots);
        let (first, again): (Vec<_>, Vec<_>) = ranked.iter().enumerate().partition(|(index, (_, row))| {
            ranked[..*index].iter().all(|(_, earlier)| earlier.article_id != row.article_id)
        });
        drawn.extend(first.into_iter().chain(again).map(|(_, (_, row))| *row).take(self.shots));
        drawn
    }
}

fn rank(key: PhiloxKey, row: &str) -> u64 {
    let [low, high, ..] = key.fold_name(row).block(0);
    u64::from(low) | u64::from(high) << 32
}
