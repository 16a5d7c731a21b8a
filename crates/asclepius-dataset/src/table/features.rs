//! Columns as the hub's `datasets` library declares them in a card, so that what loads is what was meant.

use super::column::Get;
use super::records::{Layout, Record, score_names};

/// The `features` of a record's file in a card's `dataset_info`: YAML, indented by `indent` blanks.
pub fn hub_features<R: Record>(layout: Layout, indent: usize) -> String {
    let mut text = String::new();
    let mut line = |depth: usize, words: &str| text.push_str(&format!("{}{words}\n", " ".repeat(indent + 2 * depth)));
    for column in R::layout(layout) {
        line(0, &format!("- name: {}", column.name));
        match column.get {
            Get::Int64(_) => line(1, "dtype: int64"),
            Get::Int32(_) => line(1, "dtype: int32"),
            Get::Float32(_) => line(1, "dtype: float32"),
            Get::Float64(_) => line(1, "dtype: float64"),
            Get::Boolean(_) => line(1, "dtype: bool"),
            Get::Text(_) => line(1, "dtype: string"),
            Get::Texts(_) => line(1, "list: string"),
            Get::Scores(_) => {
                line(1, "struct:");
                for gate in score_names(layout) {
                    line(1, &format!("- name: {gate}"));
                    line(2, "dtype: float32");
                }
            }
            Get::Spans(_) => {
                line(1, "list:");
                for end in ["start", "end"] {
                    line(1, &format!("- name: {end}"));
                    line(2, "dtype: uint32");
                }
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use asclepius_schema::{Instruction, Note};

    use super::*;

    #[test]
    fn every_column_is_declared_with_the_published_five_first() {
        let yaml = hub_features::<Instruction>(Layout::Plain, 2);
        let top: Vec<&str> = yaml.lines().filter_map(|line| line.strip_prefix("  - name: ")).collect();
        assert_eq!(top[..5], ["patient_id", "note", "question", "answer", "task"]);
        assert_eq!(top.len(), Instruction::columns().len());
        assert!(
            yaml.starts_with("  - name: patient_id\n    dtype: int64\n  - name: note\n    dtype: string\n"),
            "{yaml}"
        );
        assert!(yaml.contains("  - name: evidence\n    list:\n    - name: start\n      dtype: uint32\n"), "{yaml}");
        let notes = hub_features::<Note>(Layout::Plain, 0);
        assert!(!notes.contains("judge"), "{notes}");
        let judged = hub_features::<Note>(Layout::Judged, 0);
        assert!(judged.contains("  - name: judge\n    dtype: float32\n"), "{judged}");
        assert!(judged.ends_with("- name: judge_completion_tokens\n  dtype: int32\n"), "{judged}");
        assert!(notes.contains("- name: scores\n  struct:\n  - name: age\n    dtype: float32\n"), "{notes}");
    }
}
