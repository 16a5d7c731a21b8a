//! Articles nobody can read, damaged files of our own, and stages whose input is not there.

use std::path::Path;

use serde_json::Value;

use crate::support::{Workspace, dropped, finished, manifest, quoted, root, snapshot};

/// A folder with two sound articles, both admitted.
fn sound_articles(workspace: &Workspace) -> std::path::PathBuf {
    let folder = workspace.path().join("articles");
    fs_err::create_dir(&folder).expect("writable");
    for name in ["PMC99000014.xml", "PMC99000024.xml"] {
        let article = fs_err::read(root().join("data/ci-tiny/case-reports").join(name)).expect("committed");
        fs_err::write(folder.join(name), article).expect("writable");
    }
    folder
}

#[test]
fn an_article_nobody_can_read_is_dropped_as_unreadable_and_the_run_goes_on() {
    let workspace = Workspace::new();
    let folder = sound_articles(&workspace);
    let sound = fs_err::read(folder.join("PMC99000014.xml")).expect("just written");
    let middle = sound.len() / 2;
    let junk: Vec<u8> = (0..4096_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut invalid = sound.clone();
    invalid[middle..middle + 4].copy_from_slice(b"\xff\xfe\xc3\x28");
    let unreadable: [(&str, &[u8]); 7] = [
        ("cut-short.xml", &sound[..middle]),
        ("empty.xml", b""),
        ("invalid-utf8.xml", &invalid),
        ("junk.nxml", &junk),
        ("junk.nxml.gz", &junk),
        ("junk.tar.gz", &junk),
        ("web-page.xml", b"<html><body><p>404</p></body></html>"),
    ];
    for (name, content) in &unreadable {
        fs_err::write(folder.join(name), content).expect("writable");
    }
    workspace.command("synth").set("corpus.inputs", format!("[{}]", quoted(&folder))).ends(0);

    let corpus = workspace.stage("corpus");
    let counts = &manifest(&corpus)["counts"];
    assert_eq!((&counts["in"], &counts["out"]), (&Value::from(9), &Value::from(2)), "{counts}");
    assert_eq!(counts["dropped"]["unreadable"], unreadable.len(), "{counts}");
    let listed = dropped(&corpus);
    for (name, _) in unreadable {
        let row = listed.iter().find(|(id, _)| id.contains(name.split('.').next().expect("a name")));
        assert_eq!(row.map(|(_, reason)| reason.as_str()), Some("unreadable"), "{name}: {listed:?}");
    }
    assert_eq!(listed.len(), 7, "{listed:?}");
    assert_eq!(manifest(&workspace.stage("dataset"))["also"]["note"]["in"], 2, "the run went on");
}

#[test]
fn a_folder_of_nothing_but_junk_admits_nothing() {
    let workspace = Workspace::new();
    let folder = workspace.path().join("articles");
    fs_err::create_dir(&folder).expect("writable");
    fs_err::write(folder.join("junk.xml"), "this is no article").expect("writable");
    // The second time, the stage that came to nothing must not count as done.
    for _ in 0..2 {
        let ended = workspace.command("run").set("corpus.inputs", format!("[{}]", quoted(&folder))).ends(1);
        ended.says(&["ingest", "admitted"]);
        assert!(!workspace.stage("notes").exists(), "nothing is asked about nothing");
    }
}

#[test]
fn a_folder_without_articles_is_named() {
    let workspace = Workspace::new();
    let folder = workspace.path().join("articles");
    fs_err::create_dir(&folder).expect("writable");
    fs_err::write(folder.join("notes.txt"), "no article").expect("writable");
    let ended = workspace.command("run").set("corpus.inputs", format!("[{}]", quoted(&folder))).ends(2);
    ended.says(&["corpus.inputs", folder.to_str().expect("UTF-8"), ".xml"]);
}

#[test]
fn articles_that_are_all_refused_are_an_error_that_points_at_the_reasons() {
    let workspace = Workspace::new();
    for _ in 0..2 {
        let ended =
            workspace.command("run").set("corpus.licences", "[\"CC0\"]").set("corpus.min_words", 100_000).ends(1);
        ended.says(&["ingest", "dropped.jsonl"]);
        let corpus = workspace.stage("corpus");
        assert_eq!(manifest(&corpus)["counts"]["out"], 0);
        assert_eq!(dropped(&corpus).len(), 5, "each with its reason");
    }
}

/// Cuts a file's end off.
fn cut_short(path: &Path) {
    let content = fs_err::read(path).expect("the finished run has it");
    fs_err::write(path, &content[..content.len() * 2 / 3]).expect("writable");
}

#[test]
fn a_damaged_parquet_file_is_named_and_nothing_else_is_touched() {
    for (file, next, remove) in [
        ("corpus/reports.parquet", "notes", "notes"),
        ("notes/notes.parquet", "instruct", "instructions"),
        ("instructions/instructions.parquet", "dataset", "dataset"),
        ("dataset/notes-train.parquet", "pretrain", "pretrain"),
        ("dataset/instructions-train.parquet", "sft", "sft"),
        ("dataset/instructions-validation.parquet", "sft", "sft"),
    ] {
        for whole_run in [false, true] {
            let workspace = Workspace::finished();
            cut_short(&workspace.run_dir().join(file));
            // As if the stage that reads it had never run.
            fs_err::remove_dir_all(workspace.stage(remove)).expect("the finished run has it");
            let mut before = snapshot(&workspace.run_dir());
            let ended = workspace.command(if whole_run { "run" } else { next }).ends(1);
            ended.says(&[file]);
            before.retain(|path, _| !path.starts_with("config.resolved.toml"));
            let after = snapshot(&workspace.run_dir());
            for (path, content) in &before {
                assert!(after.get(path) == Some(content), "{file} is damaged, and {} was touched", path.display());
            }
            assert!(!workspace.stage(remove).join("manifest.json").exists(), "nothing pretends to be done");
        }
    }
}

#[test]
fn damage_to_what_training_has_read_is_called_damage() {
    // Not "other data", with advice to throw the training away: it would be lost, and the file no better.
    for file in ["notes-train.parquet", "instructions-validation.parquet"] {
        let workspace = Workspace::finished();
        cut_short(&workspace.stage("dataset").join(file));
        workspace.command("run").ends(1).says(&[file]);
    }
}

#[test]
fn a_damaged_manifest_is_named() {
    for stage in ["corpus", "notes", "instructions", "dataset", "pretrain", "sft", "eval", "report"] {
        let workspace = Workspace::finished();
        let path = workspace.stage(stage).join("manifest.json");
        cut_short(&path);
        let damaged = fs_err::read(&path).expect("just written");
        workspace.command("run").ends(1).says(&[&format!("{stage}/manifest.json")]);
        assert_eq!(fs_err::read(&path).expect("still there"), damaged, "what is left of it is kept");
    }
}

#[test]
fn damage_inside_the_ledger_is_named_with_its_line_and_nothing_is_asked_again() {
    let workspace = Workspace::finished();
    let path = workspace.stage("ledger").join("calls.ledger");
    let mut content = fs_err::read(&path).expect("calls were made");
    let third = content.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(1).expect("several lines").0 + 30;
    content[third] ^= 1;
    fs_err::write(&path, &content).expect("writable");
    fs_err::remove_dir_all(workspace.stage("notes")).expect("the finished run has it");
    workspace.command("run").ends(1).says(&["calls.ledger", "line 3"]);
    assert_eq!(fs_err::read(&path).expect("still there"), content, "what is left of it is kept");
    assert!(!workspace.stage("notes").exists());
}

#[test]
fn damaged_weights_are_named() {
    let workspace = Workspace::finished();
    cut_short(&workspace.stage("pretrain").join("final/model.safetensors"));
    fs_err::remove_dir_all(workspace.stage("sft")).expect("the finished run has it");
    workspace.command("sft").ends(1).says(&["pretrain/final", "model.safetensors"]);
    let workspace = Workspace::finished();
    cut_short(&workspace.stage("sft").join("final/adapter_model.safetensors"));
    fs_err::remove_dir_all(workspace.stage("eval")).expect("the finished run has it");
    workspace.command("eval").ends(1).says(&["sft/final", "adapter_model.safetensors"]);
}

#[test]
fn a_stage_alone_without_its_input_names_the_command_that_makes_it() {
    for (stage, maker) in [
        ("notes", "asclepius ingest"),
        ("instruct", "asclepius notes"),
        ("dataset", "asclepius ingest"),
        ("pretrain", "asclepius dataset"),
        ("sft", "asclepius dataset"),
        ("eval", "asclepius dataset"),
        ("report", "asclepius run"),
    ] {
        let workspace = Workspace::new();
        let ended = workspace.command(stage).ends(2);
        ended.says(&[stage, &format!("{maker} {}", workspace.pipeline().display())]);
        assert!(!workspace.run_dir().join(stage).exists());
    }
}

#[test]
fn a_stage_in_the_middle_of_a_run_names_what_is_missing() {
    let workspace = Workspace::finished();
    for gone in ["pretrain", "sft"] {
        fs_err::remove_dir_all(workspace.stage(gone)).expect("the finished run has it");
    }
    let ended = workspace.command("sft").ends(2);
    ended.says(&["pretrain/final", &format!("asclepius pretrain {}", workspace.pipeline().display())]);
    fs_err::remove_dir_all(workspace.stage("notes")).expect("the finished run has it");
    let ended = workspace.command("dataset").ends(2);
    ended.says(&["notes/notes.parquet", &format!("asclepius notes {}", workspace.pipeline().display())]);
}

#[test]
fn a_file_of_ones_own_that_is_no_parquet_or_lacks_the_column_is_named() {
    let workspace = Workspace::new();
    let file = workspace.path().join("mine.parquet");
    fs_err::write(&file, "note\nA note.\n").expect("writable");
    workspace.command("pretrain").set("pretrain.data", quoted(&file)).ends(1).says(&["mine.parquet"]);

    let workspace = Workspace::new();
    let notes = quoted(&finished().stage("dataset").join("notes-train.parquet"));
    let command = workspace.command("pretrain").set("pretrain.data", notes).set("pretrain.text_column", "\"nose\"");
    command.ends(1).says(&["notes-train.parquet", "nose"]);
}

#[test]
fn training_that_never_took_a_step_is_not_in_the_way_of_the_corrected_command() {
    let workspace = Workspace::new();
    let dataset = quoted(&finished().stage("dataset"));
    let notes = quoted(&finished().stage("dataset").join("notes-train.parquet"));
    workspace.command("pretrain").set("pretrain.data", notes).set("pretrain.text_column", "\"nose\"").ends(1);
    workspace.command("pretrain").set("pretrain.input", dataset).ends(0);
}
