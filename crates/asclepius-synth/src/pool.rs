//! Questions asked before, shown in later prompts so that later questions differ, and held against them.
//!
//! What a note's prompt shows must not depend on which call ended first, nor on how a run is divided. So notes belong to
//! the run's partitions, of which a shard holds whole ones, and within a partition to rounds in the order of the notes. A
//! note sees what the rounds before its own have asked, and waits for them; of that, a bounded number a task is kept.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use asclepius_schema::{PARTITIONS, Task, partition};
use asclepius_text::score::rouge_l;
use tokio::sync::watch;

use crate::draw;

/// Notes of a round. With the run's partitions, 256 notes are asked about before one has to wait.
const ROUND: usize = 4;
/// Questions kept for a task and a partition: the latest.
const KEPT: usize = 12;
/// How many of them a question prompt shows.
const SHOWN: usize = 2;

/// A note's place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    partition: usize,
    /// Among the notes of its partition.
    position: usize,
}

/// What the rounds before a note have asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    by_task: BTreeMap<Task, VecDeque<String>>,
}

impl Asked {
    /// Of a task, oldest first.
    pub fn of(&self, task: Task) -> impl Iterator<Item = &String> {
        self.by_task.get(&task).into_iter().flatten()
    }

    /// Those that the row's first prompt shows.
    pub fn shown(&self, seed: u64, row_id: &str, task: Task) -> Vec<String> {
        let mut known: Vec<&String> = self.of(task).collect();
        known.sort_by_key(|question| draw::number(seed, "asked before", &format!("{row_id} {question}")));
        known.into_iter().take(SHOWN).cloned().collect()
    }

    /// Takes a question in, unless it is almost one that is there.
    fn add(&mut self, task: Task, question: String, greatest: f32) {
        let known = self.by_task.entry(task).or_default();
        if is_new(&question, known.iter(), greatest) {
            known.push_back(question);
            if known.len() > KEPT {
                known.pop_front();
            }
        }
    }
}

/// Whether a question is at most `greatest` like each of the others (ROUGE-L).
pub(crate) fn is_new<'q>(question: &str, others: impl IntoIterator<Item = &'q String>, greatest: f32) -> bool {
    others.into_iter().all(|other| rouge_l(question, other) <= greatest)
}

#[derive(Debug, Default)]
struct Rounds {
    /// How many are closed.
    closed: usize,
    asked: Asked,
    /// A row without which the next round cannot be told.
    open: Option<String>,
    /// What was asked about notes of the round in progress, by position.
    waiting: BTreeMap<usize, Vec<(Task, String)>>,
}

/// The pool of a run, or of a shard.
pub(crate) struct Pool {
    partitions: Vec<watch::Sender<Rounds>>,
    placed: Mutex<Vec<usize>>,
    greatest: f32,
}

impl Pool {
    pub fn new(greatest: f32) -> Self {
        let partitions = (0..PARTITIONS).map(|_| watch::Sender::new(Rounds::default())).collect();
        Self { partitions, placed: Mutex::new(vec![0; PARTITIONS as usize]), greatest }
    }

    /// The next place in a report's partition. To be called in the order of the notes.
    pub fn place(&self, report_id: &str) -> Place {
        let partition = partition(report_id) as usize;
        let mut placed = self.placed.lock().unwrap_or_else(PoisonError::into_inner);
        let position = placed[partition];
        placed[partition] += 1;
        Place { partition, position }
    }

    /// What was asked before, once that is known; or the row that keeps it open.
    pub async fn before(&self, place: Place) -> Result<Asked, String> {
        let round = place.position / ROUND;
        if round == 0 {
            return Ok(Asked::default());
        }
        let mut rounds = self.partitions[place.partition].subscribe();
        let Ok(rounds) = rounds.wait_for(|rounds| rounds.closed >= round || rounds.open.is_some()).await else {
            return Err("the pool of questions".to_owned());
        };
        if rounds.closed >= round { Ok(rounds.asked.clone()) } else { Err(rounds.open.clone().unwrap_or_default()) }
    }

    /// What was asked about a note, all of which is known.
    pub fn asked(&self, place: Place, questions: Vec<(Task, String)>) {
        self.partitions[place.partition].send_modify(|rounds| {
            rounds.waiting.insert(place.position, questions);
            let first = rounds.closed * ROUND;
            if (first..first + ROUND).all(|position| rounds.waiting.contains_key(&position)) {
                for (_, questions) in std::mem::take(&mut rounds.waiting) {
                    for (task, question) in questions {
                        rounds.asked.add(task, question, self.greatest);
                    }
                }
                rounds.closed += 1;
            }
        });
    }

    /// A row of the note is open: the rounds after it have to wait for another run.
    pub fn left_open(&self, place: Place, row_id: &str) {
        self.partitions[place.partition].send_modify(|rounds| {
            rounds.open.get_or_insert_with(|| row_id.to_owned());
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Notes of one partition.
    fn reports(count: usize) -> Vec<String> {
        let all = (0..).map(|number| format!("PMC{number}.1-1")).filter(|id| partition(id) == 5);
        all.take(count).collect()
    }

    fn question(number: usize) -> (Task, String) {
        let words = ["fever", "rash", "cough", "pain", "oedema", "stroke", "ulcer", "biopsy", "graft", "murmur"];
        (Task::Qa, format!("{} {} {number}?", words[number % 10], words[(number * 7 + 3) % 10]))
    }

    #[tokio::test]
    async fn a_note_sees_the_rounds_before_its_own_whatever_order_they_end_in() {
        let ids = reports(3 * ROUND);
        let run = async |order: &[usize]| {
            let pool = Pool::new(0.9);
            let places: Vec<Place> = ids.iter().map(|id| pool.place(id)).collect();
            for &position in order {
                pool.asked(places[position], vec![question(position)]);
            }
            let seen: Vec<String> =
                pool.before(places[2 * ROUND]).await.expect("closed").of(Task::Qa).cloned().collect();
            assert!(pool.before(places[ROUND - 1]).await.expect("the first").of(Task::Qa).next().is_none());
            seen
        };
        let forward: Vec<usize> = (0..2 * ROUND).collect();
        let mixed: Vec<usize> = (0..ROUND).rev().chain((ROUND..2 * ROUND).rev()).collect();
        let seen = run(&forward).await;
        assert_eq!(seen, run(&mixed).await);
        assert_eq!(seen, forward.iter().map(|&number| question(number).1).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn what_waits_for_an_open_row_is_told_which_and_the_same_round_goes_on() {
        let pool = Pool::new(0.9);
        let places: Vec<Place> = reports(2 * ROUND).iter().map(|id| pool.place(id)).collect();
        let later = pool.before(places[ROUND]);
        pool.left_open(places[1], "PMC1.1-1#0");
        assert_eq!(later.await.expect_err("open"), "PMC1.1-1#0");
        assert!(pool.before(places[2]).await.is_ok());
    }

    #[test]
    fn the_pool_is_bounded_and_holds_nothing_twice() {
        let mut asked = Asked::default();
        for number in 0..40 {
            asked.add(Task::Qa, question(number).1, 0.9);
            asked.add(Task::Qa, question(number).1.to_uppercase(), 0.9);
        }
        assert_eq!(asked.of(Task::Qa).count(), KEPT);
        assert_eq!(asked.of(Task::Qa).last(), Some(&question(39).1));
        assert_eq!(asked.shown(1, "a#0", Task::Qa).len(), SHOWN);
        assert_eq!(asked.shown(1, "a#0", Task::Ner), Vec::<String>::new());
        assert!(!is_new("What was the final diagnosis", [&"What was the final diagnosis?".to_owned()], 0.9));
    }
}
