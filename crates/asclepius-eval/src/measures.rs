//! What an answer is measured by, task by task. Each measure of a row is a numerator and a denominator, which add up over
//! rows; [`crate::statistics`] turns the sums into values.

use std::collections::BTreeMap;

use asclepius_schema::{Instruction, Task};
use asclepius_text::score::abstention::abstains;
use asclepius_text::score::{Matches, entities, expansions, rouge, squad, temporal};
use asclepius_text::{Gate, GatesConfig};

/// A row's measures by name: numerator and denominator.
pub type Measures = BTreeMap<&'static str, [f64; 2]>;

/// Tables that are no task's: over every answerable row, over the question whether to answer, over what answers claim.
pub const ALL: &str = "all";
/// See [`ALL`].
pub const ABSTENTION: &str = "abstention";
/// See [`ALL`].
pub const FAITHFULNESS: &str = "faithfulness";

/// The measure by which a table is read first, then the others.
///
/// - Named entity recognition: micro F1 of mentions with the same words, and of mentions that overlap.
/// - Abbreviation expansion: abbreviations written out as in the reference, of those asked for.
/// - Temporal information: micro F1 of dates, times and durations as values.
/// - Relation extraction, coreference, question answering: token F1 and exact match, as SQuAD has them.
/// - Paraphrasing, summarization: ROUGE-L.
pub fn of_table(table: &str) -> &'static [&'static str] {
    match table {
        ALL => &["token_f1", "rouge_l"],
        ABSTENTION => &["abstention_f1", "abstention_precision", "abstention_recall", "false_abstention"],
        FAITHFULNESS => &[
            "faithful",
            "unsupported_age",
            "unsupported_drugs",
            "unsupported_intervals",
            "unsupported_laterality",
            "unsupported_negation",
            "unsupported_quantities",
            "unsupported_sex",
            "unsupported_statements",
        ],
        task => match Task::parse(task) {
            Some(Task::Ner) => {
                &["entity_f1", "entity_precision", "entity_recall", "entity_f1_relaxed", "token_f1", "rouge_l"]
            }
            Some(Task::Abbreviation) => &["expansion_accuracy", "token_f1", "rouge_l"],
            Some(Task::Temporal) => &["time_f1", "time_precision", "time_recall", "token_f1", "rouge_l"],
            Some(Task::Relation | Task::Coreference | Task::Qa) => &["token_f1", "exact_match", "rouge_l"],
            Some(Task::Paraphrase | Task::Summary) => &["rouge_l", "token_f1"],
            None => &[],
        },
    }
}

/// Every table: the eight tasks in the order of the paper, then the three others.
pub fn tables() -> impl Iterator<Item = &'static str> {
    Task::ALL.into_iter().map(Task::key).chain([ALL, ABSTENTION, FAITHFULNESS])
}

/// A table's title for people.
pub fn title(table: &str) -> &str {
    match (Task::parse(table), table) {
        (Some(task), _) => task.title(),
        (None, ALL) => "All answerable questions",
        (None, ABSTENTION) => "Whether to answer",
        (None, FAITHFULNESS) => "What answers claim",
        (None, other) => other,
    }
}

/// Whether less is better.
pub fn lower_is_better(measure: &str) -> bool {
    measure.starts_with("unsupported_") || matches!(measure, "false_abstention" | "loss" | "bits_per_byte")
}

/// Whether a row counts in a table: tasks are measured on what the note answers.
pub fn counts_in(table: &str, task: Task, unanswerable: bool) -> bool {
    match table {
        ALL => !unanswerable,
        ABSTENTION | FAITHFULNESS => true,
        other => other == task.key() && !unanswerable,
    }
}

/// Measures `answer` to `row`.
///
/// An answer is faithful when none of its ages, drugs, quantities and sexes is without support in note and question: the
/// gates that drop a row of the dataset by default. An answer that claims nothing is faithful, so the share is to be read
/// beside the scores.
pub fn measure(row: &Instruction, answer: &str) -> Measures {
    let mut measures = Measures::new();
    let abstains = abstains(answer);
    abstention(&mut measures, row.unanswerable, abstains);
    faithfulness(&mut measures, row, answer);
    if row.unanswerable {
        return measures;
    }
    let reference = &row.answer;
    measures.insert("token_f1", [squad::token_f1(answer, reference), 1.0]);
    measures.insert("rouge_l", [rouge::rouge_l(answer, reference), 1.0]);
    measures.insert("false_abstention", [share(abstains), 1.0]);
    match row.task {
        Task::Ner => {
            let exact = entities::exact(answer, reference);
            matches(&mut measures, ["entity_f1", "entity_precision", "entity_recall"], exact);
            let relaxed = entities::relaxed(answer, reference, &row.note);
            measures.insert("entity_f1_relaxed", f1(relaxed));
        }
        Task::Abbreviation => {
            let expanded = expansions::expanded(answer, reference);
            measures.insert("expansion_accuracy", [expanded.correct as f64, expanded.asked as f64]);
        }
        Task::Temporal => {
            let found = temporal::compared(answer, reference);
            // A reference without an expression of time says nothing about those of an answer.
            let found = if found.expected == 0 { Matches::default() } else { found };
            matches(&mut measures, ["time_f1", "time_precision", "time_recall"], found);
        }
        Task::Relation | Task::Coreference | Task::Qa => {
            measures.insert("exact_match", [share(squad::exact_match(answer, reference)), 1.0]);
        }
        Task::Paraphrase | Task::Summary => {}
    }
    measures
}

fn share(is: bool) -> f64 {
    f64::from(u8::from(is))
}

fn f1(found: Matches) -> [f64; 2] {
    [2.0 * found.matched as f64, (found.predicted + found.expected) as f64]
}

fn matches(measures: &mut Measures, [score, precision, recall]: [&'static str; 3], found: Matches) {
    measures.insert(score, f1(found));
    measures.insert(precision, [found.matched as f64, found.predicted as f64]);
    measures.insert(recall, [found.matched as f64, found.expected as f64]);
}

fn abstention(measures: &mut Measures, unanswerable: bool, abstains: bool) {
    let (matched, predicted, expected) = (share(unanswerable && abstains), share(abstains), share(unanswerable));
    measures.insert("abstention_f1", [2.0 * matched, predicted + expected]);
    measures.insert("abstention_precision", [matched, predicted]);
    measures.insert("abstention_recall", [matched, expected]);
}

fn faithfulness(measures: &mut Measures, row: &Instruction, answer: &str) {
    let judgement = GatesConfig::default().judge_instruction(&row.question, answer, &row.note);
    let unsupported = |gate: Gate| judgement.scores.iter().any(|(name, score)| name == gate.name() && *score > 0.0);
    for gate in Gate::COMPARING {
        let name = of_table(FAITHFULNESS).iter().find(|name| name.strip_prefix("unsupported_") == Some(gate.name()));
        if let Some(name) = name {
            measures.insert(name, [share(unsupported(gate)), 1.0]);
        }
    }
    let drops = [Gate::Age, Gate::Drugs, Gate::Quantities, Gate::Sex];
    measures.insert("faithful", [share(!drops.into_iter().any(unsupported)), 1.0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(task: Task, question: &str, answer: &str, unanswerable: bool) -> Instruction {
        let (question, answer) = (question.to_owned(), answer.to_owned());
        Instruction { question, answer, unanswerable, ..crate::test_rows::row(1, 0, task) }
    }

    #[test]
    fn each_task_has_its_measure() {
        let of =
            |task, reference, answer, measure: &str| measure_of(&row(task, "?", reference, false), answer, measure);
        assert_eq!(of(Task::Ner, "chest pain, fever", "fever", "entity_f1"), [2.0, 3.0]);
        assert_eq!(of(Task::Ner, "chest pain, fever", "pain", "entity_f1"), [0.0, 3.0]);
        assert_eq!(of(Task::Ner, "chest pain, fever", "pain", "entity_f1_relaxed"), [2.0, 3.0]);
        assert_eq!(
            of(Task::Abbreviation, "IOP: intraocular pressure", "intraocular pressure", "expansion_accuracy"),
            [1.0, 1.0]
        );
        assert_eq!(of(Task::Temporal, "two weeks", "14 days", "time_f1"), [2.0, 2.0]);
        assert_eq!(of(Task::Temporal, "at night", "14 days", "time_f1"), [0.0, 0.0]);
        assert_eq!(of(Task::Qa, "Aspirin.", "the aspirin", "exact_match"), [1.0, 1.0]);
        for table in tables() {
            let task = Task::parse(table).unwrap_or(Task::Qa);
            let measures = measure(&row(task, "?", "fever", false), "fever");
            assert!(of_table(table).iter().all(|name| measures.contains_key(name)), "{table}: {measures:?}");
        }
    }

    fn measure_of(row: &Instruction, answer: &str, name: &str) -> [f64; 2] {
        measure(row, answer)[name]
    }

    #[test]
    fn an_unanswerable_row_is_measured_by_whether_the_answer_says_so() {
        let row = row(Task::Qa, "Which blood group?", "The note does not mention it.", true);
        let abstained = measure(&row, "The note does not mention the blood group.");
        assert_eq!(abstained["abstention_f1"], [2.0, 2.0]);
        let guessed = measure(&row, "Blood group A.");
        assert_eq!((guessed["abstention_recall"], guessed["abstention_precision"]), ([0.0, 1.0], [0.0, 0.0]));
        assert!(!guessed.contains_key("token_f1") && !guessed.contains_key("false_abstention"));
        assert!(!counts_in("qa", Task::Qa, true) && counts_in(ABSTENTION, Task::Qa, true));
    }

    #[test]
    fn what_the_note_does_not_support_is_seen() {
        let row = row(Task::Qa, "Which drug?", "Aspirin 100 mg", false);
        assert_eq!(measure(&row, "Aspirin 100 mg")["faithful"], [1.0, 1.0]);
        let wrong = measure(&row, "Heparin 200 mg");
        assert_eq!((wrong["faithful"], wrong["unsupported_drugs"]), ([0.0, 1.0], [1.0, 1.0]));
    }
}
