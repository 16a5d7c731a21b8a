//! Adapters on adapters: instruction tuning that starts from an adapter merges it first, and nobody afterwards may take
//! the tuned adapter for one of the bare base.

use crate::support::{Workspace, asclepius, finished, lines, quoted};

/// The tiny pipeline with LoRA in both stages, on the shared run's model.
pub(crate) fn twice_adapted() -> Workspace {
    let tiny = include_str!("tiny.toml");
    let (before, rest) = tiny.split_once("[pretrain.init]").expect("the tiny pipeline starts from random weights");
    let (_, after) = rest.split_once("[sft]").expect("and tunes");
    let base = quoted(&finished().stage("pretrain").join("final"));
    let lora = "rank = 4\nalpha = 8.0\ntargets = \"all-linear\"\n";
    let before = before.replace("data = \"notes\"", &format!("data = \"notes\"\nmethod = \"lora\"\nbase = {base}"));
    Workspace::with(&format!("{before}[pretrain.lora]\n{lora}\n[sft]{after}"))
}

#[test]
fn a_tuned_adapter_is_evaluated_on_the_base_it_was_trained_on() {
    let workspace = twice_adapted();
    workspace.command("run").ends(0);
    let trained = lines(&workspace.stage("sft").join("metrics.jsonl"));
    let trained = trained.iter().filter_map(|row| row["eval_loss"].as_f64()).next_back().expect("evaluated at the end");
    let report = fs_err::read_to_string(workspace.stage("eval").join("report.json")).expect("evaluated");
    let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    let evaluated = report["losses"]
        .as_array()
        .and_then(|rows| rows.iter().find(|row| row["model"] == "tuned" && row["set"] == "answers"))
        .and_then(|row| row["loss"].as_f64())
        .expect("the tuned model has a loss on the answers");
    assert!((trained - evaluated).abs() / trained < 1e-5, "{trained} in training, {evaluated} in evaluation");
}

#[test]
fn an_adapter_trained_on_a_base_in_4_bits_serves_the_base_as_published() {
    let workspace = Workspace::finished();
    let base = finished().stage("pretrain").join("final");
    let qlora = |command: &str| {
        let lora = "{ rank = 4, alpha = 8.0, targets = \"all-linear\" }";
        workspace.command(command).set("sft.method", "\"qlora\"").set("sft.base", quoted(&base)).set("sft.lora", lora)
    };
    qlora("sft").arg("--fresh").ends(0);
    let losses: Vec<f64> = lines(&workspace.stage("sft").join("metrics.jsonl"))
        .iter()
        .filter_map(|row| row["eval_loss"].as_f64())
        .collect();
    let (first, last) = (losses[0], losses[losses.len() - 1]);
    assert!(last < first, "{losses:?}");
    asclepius(["model", "check"]).arg(&base).arg("--adapter").arg(workspace.stage("sft").join("final")).ends(0);
    qlora("eval").ends(0);
    let report = fs_err::read_to_string(workspace.stage("eval").join("report.json")).expect("evaluated");
    let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    let tuned = report["losses"].as_array().and_then(|rows| {
        rows.iter().find(|row| row["model"] == "tuned" && row["set"] == "answers").and_then(|row| row["loss"].as_f64())
    });
    let tuned = tuned.expect("the tuned model has a loss on the answers");
    assert!((tuned - last).abs() < 0.02 * last, "{last} on 4 bits, {tuned} on the base itself");
}

#[test]
fn an_adapter_that_needs_another_merged_first_is_refused_on_the_bare_base_and_taken_on_the_merged_one() {
    let workspace = twice_adapted();
    for stage in ["synth", "pretrain", "sft"] {
        workspace.command(stage).ends(0);
    }
    let base = finished().stage("pretrain").join("final");
    let (first, second) = (workspace.stage("pretrain").join("final"), workspace.stage("sft").join("final"));
    let ended = asclepius(["model", "check"]).arg(&base).arg("--adapter").arg(&second).ends(2);
    ended.says(&["merged into it", "model merge"]);

    let merged = workspace.path().join("merged");
    let merge = asclepius(["model", "merge", "--model"]).arg(&base).arg("--adapter").arg(&first);
    merge.arg("--out").arg(&merged).ends(0);
    asclepius(["model", "check"]).arg(&merged).arg("--adapter").arg(&second).ends(0);
}

#[test]
fn rows_that_do_not_fit_without_their_note_are_left_out_by_name() {
    let workspace = Workspace::finished();
    workspace.command("sft").arg("--fresh").set("sft.sequence_length", 180).ends(0);
    let manifest = crate::support::manifest(&workspace.stage("sft"));
    let rows = &manifest["also"]["row"];
    let left_out = rows["dropped"]["too_long"].as_u64().expect("some rows of the tiny dataset are longer");
    let named = lines(&workspace.stage("sft").join("dropped.jsonl"));
    assert_eq!(named.len() as u64, left_out);
    assert_eq!(rows["in"].as_u64(), Some(rows["out"].as_u64().expect("a count") + left_out));
}
