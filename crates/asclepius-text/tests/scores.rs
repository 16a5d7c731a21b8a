//! Scores against the field's own Python code: `tools/scores_golden.py` made `scores.json`.

use asclepius_text::score::{entities, rouge, squad, temporal};
use serde_json::Value;

fn golden(kind: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("scores.json")).expect("made by json.dump");
    all[kind].as_array().expect("a list").clone()
}

fn text<'a>(case: &'a Value, name: &str) -> &'a str {
    case[name].as_str().expect("a string")
}

#[test]
fn token_f1_exact_match_and_rouge_l_are_the_scripts() {
    let cases = golden("pairs");
    assert!(cases.len() > 100);
    for case in cases {
        let (answer, reference) = (text(&case, "answer"), text(&case, "reference"));
        for (name, score) in
            [("token_f1", squad::token_f1(answer, reference)), ("rouge_l", rouge::rouge_l(answer, reference))]
        {
            let expected = case[name].as_f64().expect("a number");
            assert!(
                (score - expected).abs() < 1e-12,
                "{name} of {answer:?} and {reference:?}: {score}, not {expected}"
            );
        }
        assert_eq!(
            Some(squad::exact_match(answer, reference)),
            case["exact_match"].as_bool(),
            "{answer:?} {reference:?}"
        );
    }
}

#[test]
fn spans_are_counted_as_nervaluate_counts_them() {
    let count = |case: &Value, name: &str| case[name].as_u64().expect("a count") as usize;
    for case in golden("spans") {
        let (answer, reference) = (text(&case, "answer"), text(&case, "reference"));
        let exact = entities::exact(answer, reference);
        let relaxed = entities::relaxed(answer, reference, text(&case, "note"));
        for (found, matched) in [(exact, "exact"), (relaxed, "overlapping")] {
            assert_eq!((found.predicted, found.expected), (count(&case, "predicted"), count(&case, "expected")));
            assert_eq!(found.matched, count(&case, matched), "{matched} of {answer:?} and {reference:?}");
        }
    }
}

#[test]
fn dates_are_read_as_dateutil_reads_them() {
    for case in golden("dates") {
        let found: Vec<String> = temporal::expressions(text(&case, "text")).into_iter().collect();
        assert_eq!(found, [text(&case, "date")], "{case}");
    }
}
