//! A device held to the CPU. No card is needed: asked of the CPU, operations run the way a card runs them.

use serde_json::Value;

use crate::support::asclepius;

#[test]
fn the_way_a_card_goes_agrees_with_the_kernels_on_the_cpu() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("check.json");
    asclepius(["gpu-check", "--device", "cpu", "--shapes", "2", "--seed", "5", "--json"]).arg(&file).ends(0);
    let report: Value = serde_json::from_str(&fs_err::read_to_string(&file).expect("written")).expect("JSON");
    assert_eq!(report["card"], "cpu");
    let operations = report["operations"].as_array().expect("a list");
    let training = report["training"].as_array().expect("a list");
    let named = |rows: &[Value], key: &str, dtype: &str| -> Vec<String> {
        let rows = rows.iter().filter(|row| row["dtype"] == dtype);
        rows.filter_map(|row| row[key].as_str().map(str::to_owned)).collect()
    };
    assert_eq!(named(operations, "operation", "f32"), named(operations, "operation", "bf16"));
    assert!(named(operations, "operation", "f32").len() >= 14, "{operations:?}");
    for dtype in ["f32", "bf16"] {
        assert_eq!(named(training, "method", dtype), ["full", "full, 8-bit moments", "lora", "qlora"]);
    }
    for row in training {
        let losses: Vec<f64> = row["losses"].as_array().expect("a list").iter().filter_map(Value::as_f64).collect();
        assert_eq!(losses.len(), 10);
        // Other types go other ways: equal bits would mean that one run was looked at twice.
        assert_ne!(row["losses"], row["reference"], "{row}");
    }
}

#[test]
fn a_card_that_is_not_there_is_named() {
    let ended = asclepius(["gpu-check", "--device", "cuda:63"]).ends(2);
    ended.says(&["cuda:63", "not available"]);
}
