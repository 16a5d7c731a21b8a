//! A sentence encoder in the dataset stage: what means the same in other words is measured, and dropped where asked.

use std::path::{Path, PathBuf};

use asclepius_dataset::read_notes;
use asclepius_schema::Note;
use serde_json::Value;

use crate::support::{Asclepius, Workspace, asclepius, finished, lines, manifest, quoted, root};

fn encoder() -> PathBuf {
    root().join("data/golden/bert")
}

/// The dataset stage over the shared run's rows.
fn stage(workspace: &Workspace) -> Asclepius {
    workspace.command("dataset").set("dataset.input", quoted(&finished().stage("instructions")))
}

fn encoded(workspace: &Workspace) -> Asclepius {
    stage(workspace).set("dataset.sentence_encoder", quoted(&encoder()))
}

fn notes(directory: &Path) -> Vec<Note> {
    let file = |split| directory.join(format!("notes-{split}.parquet"));
    let rows = ["train", "validation"].map(|split| read_notes(&file(split)).expect("opens"));
    let mut notes: Vec<Note> = rows.into_iter().flatten().map(|row| row.expect("sound")).collect();
    notes.sort_by(|left, right| left.report_id.cmp(&right.report_id));
    notes
}

fn score(note: &Note) -> Option<f32> {
    note.scores.iter().find(|(gate, _)| gate == "same_meaning").map(|(_, score)| *score)
}

#[test]
fn likeness_of_meaning_is_measured_and_nothing_else_changes() {
    let workspace = Workspace::new();
    encoded(&workspace).ends(0);
    let (ours, plain) = (notes(&workspace.stage("dataset")), notes(&finished().stage("dataset")));
    assert_eq!(score(&ours[0]), Some(0.0), "nothing comes before it");
    assert!(ours[1..].iter().all(|note| score(note).is_some_and(|score| score > 0.0 && score < 1.0)), "{ours:?}");
    let without = |note: &Note| {
        let scores = note.scores.iter().filter(|(gate, _)| gate != "same_meaning").cloned().collect();
        Note { scores, ..note.clone() }
    };
    assert_eq!(ours.iter().map(without).collect::<Vec<_>>(), plain);
    let figures = &manifest(&workspace.stage("dataset"))["details"]["gates"]["note"]["same_meaning"];
    assert_eq!((&figures["scored"], &figures["threshold"]), (&ours.len().into(), &Value::Null), "{figures}");
    encoded(&workspace).ends(0).says(&["up to date"]);
    stage(&workspace).ends(0);
    assert_eq!(notes(&workspace.stage("dataset")), plain);
}

#[test]
fn of_notes_that_mean_the_same_the_first_stays() {
    let workspace = Workspace::new();
    // Random weights see little difference between texts: all are alike.
    encoded(&workspace).set("dataset.gates.same_meaning", 0.3).set("dataset.validation_fraction", 0).ends(0);
    let directory = workspace.stage("dataset");
    let kept = read_notes(&directory.join("notes-train.parquet")).expect("opens").count() as u64;
    let counts = &manifest(&directory)["also"]["note"];
    let same = counts["dropped"]["same_meaning"].as_u64().expect("some are");
    assert_eq!(counts["in"].as_u64(), Some(kept + same), "{counts}");
    assert!(same > kept, "{counts}");
    let rows: Vec<Value> =
        lines(&directory.join("dropped.jsonl")).into_iter().filter(|row| row["reason"] == "same_meaning").collect();
    assert_eq!(rows.len() as u64, same);
    let first = rows[0]["detail"].as_str().expect("a detail");
    assert!(first.starts_with("same_meaning: means what PMC") && first.contains("cosine"), "{first}");
}

#[test]
fn an_encoder_that_is_none_is_refused_before_anything_is_done() {
    let workspace = Workspace::new();
    let refused = |named: &Path, words: &[&str]| {
        stage(&workspace).set("dataset.sentence_encoder", quoted(named)).ends(2).says(words);
    };
    refused(Path::new("no/such/place"), &["dataset.sentence_encoder", "no/such/place"]);
    refused(&root().join("data/ci-tiny/base"), &["dataset.sentence_encoder", "model_type", "llama"]);
    stage(&workspace)
        .set("dataset.gates.same_meaning", 0.9)
        .ends(2)
        .says(&["gates.same_meaning", "dataset.sentence_encoder"]);
    assert!(!workspace.stage("dataset").exists());
    asclepius(["run"]).arg(workspace.pipeline()).set("dataset.gates.same_meaning", 2).ends(2).says(&["same_meaning"]);
}
