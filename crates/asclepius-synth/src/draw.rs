//! What is left to chance, decided by the run's seed and the row's id alone: no row's lot depends on another row, on
//! the order of work or on what else is in the corpus.

use asclepius_schema::{Fingerprint, Task};

use crate::{NoteType, seeds};

/// How many seed questions a question prompt shows.
const SEED_EXAMPLES: usize = 3;

/// The tasks of a note's instructions: a permutation of `tasks` drawn for the report, begun again where `count` is
/// larger, so that a note's tasks are as different as can be and all tasks are equally likely at every index.
pub fn tasks(seed: u64, report_id: &str, tasks: &[Task], count: u32) -> Vec<Task> {
    let mut order = tasks.to_vec();
    order.sort_by_key(|task| number(seed, "task", &format!("{report_id} {}", task.key())));
    order.into_iter().cycle().take(if tasks.is_empty() { 0 } else { count as usize }).collect()
}

/// The kind of note for a report, of those to choose from.
pub fn note_type(seed: u64, report_id: &str, types: &[NoteType]) -> Option<NoteType> {
    types.iter().copied().min_by_key(|kind| number(seed, "note type", &format!("{report_id} {}", kind.key())))
}

/// Whether the row's question is to be one that its note does not answer.
pub fn unanswerable(seed: u64, row_id: &str, fraction: f32) -> bool {
    // 24 bits are as many as an f32 holds without rounding, so 0 is never and 1 is always.
    let lot = (number(seed, "unanswerable", row_id) >> 40) as f32 / (1_u32 << 24) as f32;
    lot < fraction
}

/// The seed questions that the row's question prompt shows.
pub fn examples(seed: u64, row_id: &str, task: Task) -> Vec<String> {
    let mut questions = seeds::questions(task);
    questions.sort_by_key(|question| number(seed, "example", &format!("{row_id} {question}")));
    questions.truncate(SEED_EXAMPLES);
    questions.into_iter().map(str::to_owned).collect()
}

/// 64 uniform bits for a purpose and an identity.
pub(crate) fn number(seed: u64, purpose: &str, identity: &str) -> u64 {
    let hash = Fingerprint::new("draw")
        .bytes("seed", &seed.to_le_bytes())
        .bytes("purpose", purpose.as_bytes())
        .bytes("identity", identity.as_bytes())
        .finish();
    u64::from_str_radix(&hash[..16], 16).expect("a fingerprint is 32 hex digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notes_tasks_differ_and_all_tasks_are_drawn_about_equally() {
        let mut counts = [0_usize; 8];
        for n in 0..4000 {
            let drawn = tasks(7, &format!("PMC{n}.1-1"), &Task::ALL, 3);
            assert!(drawn[0] != drawn[1] && drawn[0] != drawn[2] && drawn[1] != drawn[2]);
            for task in drawn {
                counts[task as usize] += 1;
            }
        }
        assert!(counts.iter().all(|count| (1350..=1650).contains(count)), "{counts:?}");
        assert_eq!(tasks(7, "x", &[Task::Qa], 3), [Task::Qa; 3]);
        assert!(tasks(7, "x", &[], 3).is_empty());
    }

    #[test]
    fn the_unanswerable_share_is_what_was_asked_for() {
        let share = |fraction| (0..4000).filter(|n| unanswerable(1, &format!("r{n}#0"), fraction)).count();
        assert_eq!((share(0.0), share(1.0)), (0, 4000));
        assert!((320..=480).contains(&share(0.1)), "{}", share(0.1));
    }

    #[test]
    fn a_lot_depends_on_seed_and_row_alone() {
        assert_eq!(examples(1, "a#0", Task::Qa), examples(1, "a#0", Task::Qa));
        assert_ne!(examples(1, "a#0", Task::Qa), examples(2, "a#0", Task::Qa));
        assert_ne!(examples(1, "a#0", Task::Qa), examples(1, "a#1", Task::Qa));
        assert_eq!(examples(1, "a#0", Task::Ner).len(), 3);
    }
}
