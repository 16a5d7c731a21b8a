//! Questions written by hand, a file a task under `data/seeds`: examples of the manner, not of the wording to repeat.

use asclepius_schema::Task;

/// The seed questions of a task, in file order.
pub fn questions(task: Task) -> Vec<&'static str> {
    let file = match task {
        Task::Ner => include_str!("../../../data/seeds/ner.txt"),
        Task::Abbreviation => include_str!("../../../data/seeds/abbreviation.txt"),
        Task::Relation => include_str!("../../../data/seeds/relation.txt"),
        Task::Temporal => include_str!("../../../data/seeds/temporal.txt"),
        Task::Coreference => include_str!("../../../data/seeds/coreference.txt"),
        Task::Paraphrase => include_str!("../../../data/seeds/paraphrase.txt"),
        Task::Summary => include_str!("../../../data/seeds/summary.txt"),
        Task::Qa => include_str!("../../../data/seeds/qa.txt"),
    };
    file.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_task_has_twenty_different_questions() {
        let mut all = BTreeSet::new();
        for task in Task::ALL {
            let questions = questions(task);
            assert!(questions.len() >= 20, "{task:?}: {}", questions.len());
            for question in questions {
                assert!(question.ends_with(['.', '?']), "{task:?}: {question}");
                assert!(all.insert(question), "asked twice: {question}");
            }
        }
    }

    #[test]
    fn no_two_questions_of_a_task_begin_alike() {
        for task in Task::ALL {
            let begin = |question: &'static str| question.split(' ').take(2).collect::<Vec<_>>().join(" ");
            let begins: BTreeSet<_> = questions(task).into_iter().map(begin).collect();
            assert!(begins.len() * 5 >= questions(task).len() * 4, "{task:?}: {} beginnings", begins.len());
        }
    }
}
