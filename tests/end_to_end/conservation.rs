//! No row appears, vanishes or comes twice; the same inputs, seed and replies give the same bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use asclepius_dataset::{read_instructions, read_notes, read_reports};
use asclepius_schema::{Instruction, Note, Report};
use serde_json::Value;

use crate::support::{Act, ChatServer, Workspace, asclepius, dropped, finished, lines, manifest, quoted, snapshot};

/// A run in which every data stage drops rows.
fn lossy() -> Workspace {
    let body = r#"{"error": {"message": "content management policy", "code": "content_filter"}}"#;
    // One call at a time: one note is refused, and the first of the questions and answers that follow five notes.
    let server = ChatServer::start(move |n| if matches!(n, 1 | 5) { Act::Refuse(400, "", body) } else { Act::Answer });
    let mut words: Vec<usize> = notes_of(&finished().stage("notes").join("notes.parquet"))
        .iter()
        .map(|row| row.note.split_whitespace().count())
        .collect();
    words.sort_unstable();
    let workspace = Workspace::new();
    workspace
        .command("synth")
        .set("teacher.endpoint", server.url())
        .set("teacher.model", "\"extractive-1\"")
        .set("teacher.concurrency", 1)
        // Stops the two shortest, of which one may be the note that was refused.
        .set("dataset.gates.min_words", words[2])
        .ends(0);
    workspace
}

fn count(value: &Value) -> u64 {
    value.as_u64().expect("a count")
}

/// `in = out + dropped + pending` for every unit, and as many lines in dropped.jsonl, reason by reason.
#[track_caller]
fn balances(stage: &Path) {
    let manifest = manifest(stage);
    let also = manifest.get("also").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
    for counts in [&manifest["counts"]].into_iter().chain(also.values()) {
        let by_reason = counts["dropped"].as_object().expect("counts by reason");
        let gone: u64 = by_reason.values().map(count).sum();
        let sum = count(&counts["out"]) + gone + count(&counts["pending"]);
        assert_eq!(count(&counts["in"]), sum, "{}: {counts}", stage.display());
        for (reason, number) in by_reason {
            *reasons.entry(reason.clone()).or_default() += count(number);
        }
    }
    let mut listed: BTreeMap<String, u64> = BTreeMap::new();
    if stage.join("dropped.jsonl").exists() || !reasons.is_empty() {
        for (_, reason) in dropped(stage) {
            *listed.entry(reason).or_default() += 1;
        }
    }
    assert_eq!(listed, reasons, "{}", stage.display());
}

fn reports_of(workspace: &Workspace) -> Vec<Report> {
    let path = workspace.stage("corpus").join("reports.parquet");
    read_reports(&path).expect("opens").map(|row| row.expect("sound")).collect()
}

fn notes_of(path: &Path) -> Vec<Note> {
    read_notes(path).expect("opens").map(|row| row.expect("sound")).collect()
}

fn instructions_of(path: &Path) -> Vec<Instruction> {
    read_instructions(path).expect("opens").map(|row| row.expect("sound")).collect()
}

/// As a set, which it must be.
#[track_caller]
fn unique(ids: impl IntoIterator<Item = String>) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    for id in ids {
        assert!(seen.insert(id.clone()), "{id} comes twice");
    }
    seen
}

/// Every id that goes into a stage comes out of it or is listed as dropped, never both.
#[track_caller]
fn accounts(into: &BTreeSet<String>, out: &BTreeSet<String>, listed: &BTreeSet<String>) {
    assert!(out.is_disjoint(listed), "kept and dropped: {:?}", out.intersection(listed));
    let after: BTreeSet<String> = out.union(listed).cloned().collect();
    assert_eq!(&after, into);
}

/// Follows every row through the data stages of a run.
#[track_caller]
fn follow(workspace: &Workspace, per_note: u32) {
    let gone = |stage: &str| unique(dropped(&workspace.stage(stage)).into_iter().map(|(id, _)| id));
    let reports = unique(reports_of(workspace).iter().map(|row| row.report_id.to_string()));

    let notes =
        unique(notes_of(&workspace.stage("notes").join("notes.parquet")).iter().map(|row| row.report_id.to_string()));
    accounts(&reports, &notes, &gone("notes"));

    let asked: BTreeSet<String> =
        notes.iter().flat_map(|note| (0..per_note).map(move |index| format!("{note}#{index}"))).collect();
    let path = workspace.stage("instructions").join("instructions.parquet");
    let instructions = unique(instructions_of(&path).iter().map(Instruction::row_id));
    accounts(&asked, &instructions, &gone("instructions"));

    let dataset = workspace.stage("dataset");
    let both = |kind: &str| ["train", "validation"].map(|split| dataset.join(format!("{kind}-{split}.parquet")));
    let [train, validation] = both("notes").map(|path| notes_of(&path));
    let kept = unique(train.iter().chain(&validation).map(|row| row.report_id.to_string()));
    let (gone_notes, gone_rows): (BTreeSet<_>, BTreeSet<_>) =
        gone("dataset").into_iter().partition(|id| !id.contains('#'));
    accounts(&notes, &kept, &gone_notes);
    let [train_rows, validation_rows] = both("instructions").map(|path| instructions_of(&path));
    let kept_rows = unique(train_rows.iter().chain(&validation_rows).map(Instruction::row_id));
    accounts(&instructions, &kept_rows, &gone_rows);

    unique(train.iter().chain(&validation).map(|row| row.note.clone()));
    unique(
        train_rows.iter().chain(&validation_rows).map(|row| format!("{}\n{}\n{}", row.note, row.question, row.answer)),
    );
    unique(train_rows.iter().chain(&validation_rows).map(|row| row.answer_call.request_key.clone()));
    let articles = |notes: &[Note], rows: &[Instruction]| -> BTreeSet<String> {
        let notes = notes.iter().map(|row| row.article_id.to_string());
        notes.chain(rows.iter().map(|row| row.article_id.to_string())).collect()
    };
    let (trained, held_out) = (articles(&train, &train_rows), articles(&validation, &validation_rows));
    assert!(trained.is_disjoint(&held_out), "no article is on both sides");
    assert!(!trained.is_empty() && !held_out.is_empty());
}

#[test]
fn every_manifest_of_a_run_balances_and_every_row_is_accounted_for() {
    let workspace = finished();
    for stage in ["corpus", "notes", "instructions", "dataset", "pretrain", "sft", "eval", "report"] {
        balances(&workspace.stage(stage));
    }
    follow(workspace, 2);
    let corpus = workspace.stage("corpus");
    let articles: BTreeSet<String> = reports_of(workspace).iter().map(|row| row.article_id.to_string()).collect();
    assert_eq!(count(&manifest(&corpus)["counts"]["out"]), articles.len() as u64);
    assert_eq!(count(&manifest(&corpus)["counts"]["in"]), 5, "as many as there are files");
    assert!(notes_of(&workspace.stage("notes").join("notes.parquet")).len() >= articles.len(), "a note a patient");
}

#[test]
fn rows_that_are_dropped_on_the_way_are_counted_and_listed() {
    let workspace = lossy();
    for stage in ["corpus", "notes", "instructions", "dataset"] {
        balances(&workspace.stage(stage));
    }
    follow(&workspace, 2);
    for stage in ["corpus", "notes", "instructions", "dataset"] {
        assert!(!dropped(&workspace.stage(stage)).is_empty(), "{stage} dropped something");
    }
}

#[test]
fn the_dataset_validates_and_its_card_says_what_it_is() {
    let workspace = finished();
    let data = |command: &str| asclepius(["data", command]).arg(workspace.pipeline()).ends(0).stdout;
    assert!(data("validate").starts_with("ok"), "{}", data("validate"));
    let card = data("card");
    for words in ["extractive-1", "CC"] {
        assert!(card.contains(words), "{words:?} is not in the card:\n{card}");
    }
    for words in ["note.v3.jinja", "near_duplicate", "AUC", "license: cc0-1.0", "data_files"] {
        assert!(card.contains(words), "{words:?} is not in the card:\n{card}");
    }
    let sources = asclepius(["data", "card", "--attributions"]).arg(workspace.pipeline()).ends(0).stdout;
    assert!(sources.lines().count() > 2 && sources.starts_with("article_id\tlicence"), "{sources}");
    assert!(data("stats").contains("| gate on the note |"));
    let stats = asclepius(["data", "stats", "--json"]).arg(workspace.pipeline()).ends(0).stdout;
    let stats: Value = serde_json::from_str(&stats).expect("stdout is JSON");
    assert_eq!(stats.as_array().map(Vec::len), Some(8), "a manifest a stage");
}

#[test]
fn clinicians_rate_blind_and_their_agreement_is_read_back() {
    let workspace = finished();
    let out = workspace.runs().join("sheets");
    let review = |rows: &str| {
        asclepius(["data", "review", "--rows", rows, "--out"]).arg(&out).arg(workspace.pipeline()).ends(0).stdout
    };
    assert!(review("3").starts_with("3 rows in"));
    let read = |name: &str| fs_err::read_to_string(out.join(name)).expect("written");
    let (sheet, key) = (read("sheet.csv"), read("key.csv"));
    assert!(!sheet.contains("extractive") && key.contains("extractive"));
    assert!(read("sheet.html").contains("data-item=\"R003\""));
    review("3");
    assert_eq!((read("sheet.csv"), read("key.csv")), (sheet, key), "the same draw");

    let rate = |rater: &str, ratings: &str| {
        let path = out.join(format!("{rater}.csv"));
        fs_err::write(&path, format!("item,note_faithful,answer_right\n{ratings}")).expect("writable");
        path
    };
    let ann = rate("ann", "R001,4,1\nR002,3,2\nR003,4,\n");
    let ben = rate("ben", "R002,3,2\nR001,4,1\nR003,1,4\n");
    let agreement = |json: bool| {
        let command = asclepius(["data", "agreement"]).arg(&ann).arg(&ben).arg("--key").arg(out.join("key.csv"));
        if json { command.arg("--json").ends(0).stdout } else { command.ends(0).stdout }
    };
    let found: Value = serde_json::from_str(&agreement(true)).expect("stdout is JSON");
    let answer = &found["agreement"]["all"]["answer_right"];
    assert_eq!(answer["krippendorff_alpha"].as_f64(), Some(1.0), "{found}");
    assert_eq!(answer["items_compared"].as_u64(), Some(2));
    assert!(found["agreement"]["all"]["note_faithful"]["cohen_kappa"].as_f64().is_some_and(|kappa| kappa < 0.5));
    assert!(found["agreement"]["teacher extractive-1"].is_object(), "{found}");
    assert!(agreement(false).contains("raters: ann, ben"));

    let bad = rate("cat", "R001,9,1\n");
    let failed = asclepius(["data", "agreement"]).arg(&bad).ends(1).stderr;
    assert!(failed.contains("cat.csv, line 2") && failed.contains("note_faithful"), "{failed}");
    let other = rate("dan", "R999,1,1\n");
    let failed = asclepius(["data", "agreement"]).arg(&other).arg("--key").arg(out.join("key.csv")).ends(1).stderr;
    assert!(failed.contains("R999"), "{failed}");
}

/// What of a run must not depend on when, where, how fast and by whom it was made.
fn reproducible(workspace: &Workspace, name: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = snapshot(&workspace.runs().join(name));
    files.retain(|path, _| {
        let kind = path.extension().and_then(|kind| kind.to_str()).unwrap_or_default();
        let named = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        matches!(kind, "parquet" | "safetensors") || matches!(named, "dropped.jsonl" | "tokenizer.json" | "config.json")
    });
    files
}

#[test]
fn the_same_inputs_seed_and_replies_give_the_same_bytes() {
    let once = reproducible(finished(), "tiny");
    let weights = once.keys().filter(|path| path.ends_with("final/model.safetensors")).count();
    assert!(weights == 1 && once.len() >= 12, "{:?}", once.keys());

    // Another name, place, endpoint, pace and price; the same replies.
    let server = ChatServer::start(|_| Act::Answer);
    let workspace = Workspace::new();
    workspace
        .command("run")
        .set("name", "\"another\"")
        .set("teacher.endpoint", server.url())
        .set("teacher.model", "\"extractive-1\"")
        .set("teacher.concurrency", 3)
        .set("teacher.timeout_seconds", 77.0)
        .set("teacher.price_per_million_input", 1.0)
        .set("teacher.price_per_million_output", 1.0)
        .ends(0);
    let twice = reproducible(&workspace, "another");
    assert_eq!(once.keys().collect::<Vec<_>>(), twice.keys().collect::<Vec<_>>());
    for (path, content) in &once {
        assert!(twice[path] == *content, "{} differs", path.display());
    }
    let losses = |stage: PathBuf| -> Vec<Value> {
        lines(&stage.join("metrics.jsonl")).iter().map(|row| row["loss"].clone()).collect()
    };
    for stage in ["pretrain", "sft"] {
        assert_eq!(losses(finished().stage(stage)), losses(workspace.runs().join("another").join(stage)));
    }
}

#[test]
fn another_seed_gives_another_split_or_model() {
    let workspace = Workspace::new();
    let dataset = quoted(&finished().stage("dataset"));
    workspace.command("pretrain").set("seed", 4).set("pretrain.input", dataset).ends(0);
    let weights = |workspace: &Workspace| {
        fs_err::read(workspace.stage("pretrain").join("final/model.safetensors")).expect("trained")
    };
    assert!(weights(&workspace) != weights(finished()));
}
