//! Training with a trace: what it shows, and that nothing else changes.

use std::collections::BTreeSet;

use crate::support::{Workspace, asclepius};
use serde_json::Value;

#[test]
fn a_trace_shows_where_three_steps_went_and_changes_no_weight() {
    let workspace = Workspace::finished();
    for (stage, weights) in [("pretrain", "model.safetensors"), ("sft", "adapter_model.safetensors")] {
        let directory = workspace.stage(stage);
        let trained = || fs_err::read(directory.join("final").join(weights)).expect("a finished stage");
        let before = trained();
        let ended = workspace.command(stage).arg("--fresh").arg("--profile").ends(0);
        ended.says(&["profile  steps 2 to 4", "product", "attention", "idle", "profile.json"]);
        assert!(trained() == before, "{stage}");

        let file = fs_err::read_to_string(directory.join("profile.json")).expect("the trace");
        let trace: Value = serde_json::from_str(&file).expect("JSON");
        let events = trace["traceEvents"].as_array().expect("a list");
        let kinds: BTreeSet<&str> = events.iter().filter_map(|event| event["cat"].as_str()).collect();
        for kind in ["product", "attention", "norm", "elementwise", "head", "gradients", "optimizer", "data", "idle"] {
            assert!(kinds.contains(kind), "{stage}: no {kind} in {kinds:?}");
        }
        let number = |event: &Value, key: &str| event[key].as_f64().expect("a number");
        let steps: Vec<&Value> = events.iter().filter(|event| event["name"] == "step").collect();
        assert_eq!(steps.iter().map(|step| step["args"]["step"].as_u64()).collect::<Vec<_>>(), [2, 3, 4].map(Some));
        for event in events {
            let step = steps.iter().find(|step| step["args"] == event["args"]).expect("its step");
            let (begin, end) = (number(event, "ts"), number(event, "ts") + number(event, "dur"));
            let enclosing = (number(step, "ts"), number(step, "ts") + number(step, "dur"));
            assert!(begin >= enclosing.0 - 1.0 && end <= enclosing.1 + 1.0, "{event} outside {step}");
        }
    }
    let plain = Workspace::finished();
    assert!(!plain.stage("pretrain").join("profile.json").exists(), "nobody asked for one");
    asclepius(["pretrain"]).arg(plain.pipeline()).arg("--profile").ends(0).says(&["up to date"]);
}
