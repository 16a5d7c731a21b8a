//! What stands, what is stale, and what is made again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use asclepius_dataset::read_notes;
use asclepius_schema::{Note, hash_bytes};
use asclepius_synth::prompts::NOTE;

use crate::support::{
    Act, ChatServer, Workspace, asclepius, dropped, finished, json, lines, manifest, notes_from, quoted, reports,
    snapshot, snapshot_with_times,
};

const STAGES: [&str; 8] = ["ingest", "notes", "instruct", "dataset", "pretrain", "sft", "eval", "report"];

/// Where the stages keep their results, in the same order.
const DIRECTORIES: [&str; 8] = ["corpus", "notes", "instructions", "dataset", "pretrain", "sft", "eval", "report"];

/// A copy of the shared run whose report knows where it is now: the page shows the configuration, `workdir` included.
fn finished_here() -> Workspace {
    let workspace = Workspace::finished();
    workspace.command("report").ends(0);
    workspace
}

type Times = BTreeMap<PathBuf, (SystemTime, Vec<u8>)>;

/// What happened to each file of the run that is not as it was `before`.
fn touched(workspace: &Workspace, before: &Times) -> Vec<String> {
    let after = snapshot_with_times(&workspace.run_dir());
    let gone =
        before.keys().filter(|path| !after.contains_key(*path)).map(|path| format!("{} is gone", path.display()));
    let changed = after.iter().filter_map(|(path, (time, content))| match before.get(path) {
        None => Some(format!("{} is new", path.display())),
        Some((_, then)) if then != content => Some(format!("{} changed", path.display())),
        Some((then, _)) if then != time => Some(format!("{} was written again", path.display())),
        Some(_) => None,
    });
    gone.chain(changed).collect()
}

#[test]
fn a_second_run_says_so_and_touches_no_file() {
    let workspace = finished_here();
    let before = snapshot_with_times(&workspace.run_dir());
    let ended = workspace.command("run").ends(0);
    for stage in STAGES {
        ended.says(&[&format!("{stage}  up to date")]);
    }
    assert_eq!(touched(&workspace, &before), Vec::<String>::new());
    for stage in STAGES {
        workspace.command(stage).ends(0).says(&[&format!("{stage}  up to date")]);
    }
    assert_eq!(touched(&workspace, &before), Vec::<String>::new());
}

#[test]
fn a_run_ends_with_the_paths_worth_opening() {
    let workspace = Workspace::finished();
    let ended = workspace.command("run").ends(0);
    let paths: Vec<&str> = ended.stdout.lines().filter_map(|line| line.split_whitespace().next()).collect();
    for file in ["report/index.html", "dataset/instructions-train.parquet", "pretrain/final", "sft/final"] {
        let path = workspace.run_dir().join(file);
        assert!(path.exists());
        assert!(paths.contains(&path.to_str().expect("UTF-8")), "{file} is not in:\n{}", ended.stdout);
    }
}

#[test]
fn what_cannot_change_the_result_makes_nothing_stale() {
    let workspace = Workspace::finished();
    let before = snapshot(&workspace.run_dir());
    let ended = workspace
        .command("synth")
        .set("teacher.concurrency", 3)
        .set("teacher.timeout_seconds", 11.0)
        .set("teacher.price_per_million_input", 2.0)
        .set("teacher.price_per_million_output", 2.0)
        .ends(0);
    for stage in &STAGES[..4] {
        ended.says(&[&format!("{stage}  up to date")]);
    }
    let mut after = snapshot(&workspace.run_dir());
    after.retain(|path, _| path.starts_with("corpus") || path.starts_with("dataset") || path.starts_with("notes"));
    assert!(after.iter().all(|(path, content)| before.get(path) == Some(content)));
}

#[test]
fn a_stale_data_stage_is_made_again() {
    let workspace = Workspace::finished();
    let before = manifest(&workspace.stage("dataset"));
    let ended = workspace.command("synth").set("dataset.gates.answer_words", 2).ends(0);
    for stage in &STAGES[..3] {
        ended.says(&[&format!("{stage}  up to date")]);
    }
    assert!(!ended.stderr.contains("dataset  up to date"), "{}", ended.stderr);
    let after = manifest(&workspace.stage("dataset"));
    assert_ne!(before["fingerprint"], after["fingerprint"]);

    // And what reads it, in turn.
    let ended = workspace.command("synth").set("corpus.limit", 3).ends(0);
    assert!(!ended.stderr.contains("up to date"), "{}", ended.stderr);
    assert!(manifest(&workspace.stage("corpus"))["counts"]["in"].as_u64() <= Some(3));
}

#[test]
fn a_stale_data_stage_asks_only_what_changed() {
    let workspace = Workspace::finished();
    let server = ChatServer::start(|_| Act::Answer);
    let ended = workspace
        .command("synth")
        .set("teacher.endpoint", server.url())
        .set("teacher.model", "\"extractive-1\"")
        .set("corpus.limit", 3)
        .ends(0);
    assert!(!ended.stderr.contains("instruct  up to date"), "{}", ended.stderr);
    assert_eq!(server.requests(), 0, "every row that is left was answered before");
}

/// Notes of a workspace, and the file's bytes.
fn notes(workspace: &Workspace) -> (Vec<Note>, Vec<u8>) {
    let path = workspace.stage("notes").join("notes.parquet");
    let rows = read_notes(&path).expect("opens").map(|row| row.expect("sound"));
    (rows.collect(), fs_err::read(&path).expect("just read"))
}

#[test]
fn prompt_kinds_and_style_make_notes_stale_and_only_what_is_asked_otherwise_is_paid() {
    let server = ChatServer::start(|_| Act::Answer);
    let workspace = Workspace::new();
    let made = |settings: &[(&str, &str)]| {
        let before = server.requests();
        let command =
            settings.iter().fold(notes_from(&workspace, &server), |command, (key, value)| command.set(key, value));
        let ended = command.ends(0);
        assert!(!ended.stderr.contains("up to date"), "{settings:?}: {}", ended.stderr);
        (server.requests() - before, notes(&workspace))
    };
    let (asked, (plain, first)) = made(&[]);
    assert_eq!(asked, reports());

    // Style is put on what the teacher wrote.
    let (asked, (styled, _)) = made(&[("notes.style.headings", "true"), ("notes.style.telegraphic", "1.0")]);
    assert_eq!(asked, 0);
    assert!(styled.iter().zip(&plain).all(|(styled, plain)| styled.note != plain.note), "every note is styled");
    assert!(styled.iter().zip(&plain).all(|(styled, plain)| styled.note_call == plain.note_call));

    // Another kind is another question; with a second kind, those of the first were asked before.
    assert_eq!(made(&[("notes.types", "[\"progress\"]")]).0, reports());
    let kinds = ("notes.types", "[\"progress\", \"radiology\"]");
    let (others, _) = made(&[kinds]);
    assert!((1..reports()).contains(&others), "{others}");

    // A prompt that differs for one kind, and one that differs in nothing that is sent.
    let path = workspace.path().join("mine.jinja");
    let own = quoted(&path);
    let write = |more: &str| {
        let end = "Reply with the note alone";
        let source = NOTE.source.replace(end, &format!("{more}{end}"));
        assert_ne!(source, NOTE.source);
        fs_err::write(&path, &source).expect("writable");
        hash_bytes(source.as_bytes())
    };
    let hash = write("{% if note_type == \"progress\" %}Mind the day. {% endif %}");
    let (asked, (rows, _)) = made(&[kinds, ("notes.prompt", &own)]);
    assert_eq!(asked, reports() - others);
    assert!(rows.iter().all(|row| row.note_call.prompt_hash == hash));
    let hash = write("{# nobody sees this #}");
    let (asked, (rows, _)) = made(&[kinds, ("notes.prompt", &own)]);
    assert_eq!(asked, 0);
    assert!(rows.iter().all(|row| row.note_call.prompt_hash == hash), "rows name the prompt as it is now");
    // Sampling is asked for, too.
    assert_eq!(made(&[("notes.temperature", "0.5")]).0, reports());

    let (asked, (_, last)) = made(&[]);
    assert_eq!(asked, 0, "everything was answered before");
    assert!(last == first);
}

#[test]
fn what_counts_as_a_models_talk_is_the_gates_threshold_from_the_first_stage_on() {
    const TALK: &str = "As an AI language model I wrote this down: seen on the ward, in no distress, plan unchanged.";
    let server = ChatServer::start(|n| if n == 1 { Act::Say(TALK) } else { Act::Answer });
    let workspace = Workspace::new();
    notes_from(&workspace, &server).ends(0);
    let gone = dropped(&workspace.stage("notes"));
    assert_eq!(gone.iter().map(|(_, reason)| reason.as_str()).collect::<Vec<_>>(), ["model_talk"]);

    for (threshold, kept) in [("false", true), ("2", false), ("3", true)] {
        let ended = notes_from(&workspace, &server).set("dataset.gates.model_talk", threshold).ends(0);
        assert!(!ended.stderr.contains("up to date"), "{}", ended.stderr);
        let found = notes(&workspace).0.into_iter().find(|note| note.report_id.as_str() == gone[0].0);
        assert_eq!(found.map(|note| note.note), kept.then(|| TALK.to_owned()), "{threshold}");
    }
    assert_eq!(server.requests(), reports(), "a threshold asks nothing");
}

#[test]
fn stale_training_is_refused_without_fresh_and_changes_no_file() {
    for stage in ["pretrain", "sft"] {
        let workspace = Workspace::finished();
        let before = snapshot_with_times(&workspace.run_dir());
        let rate = format!("{stage}.learning_rate");
        let ended = workspace.command(stage).set(&rate, 5e-4).ends(2);
        ended.says(&[stage, "--fresh", &format!("asclepius {stage} {}", workspace.pipeline().display())]);
        assert_eq!(touched(&workspace, &before), Vec::<String>::new(), "by a command that was refused");

        let weights = |workspace: &Workspace| snapshot(&workspace.stage(stage).join("final"));
        let ended = workspace.command(stage).arg("--fresh").set(&rate, 5e-4).ends(0);
        assert!(!ended.stderr.contains("up to date"), "{}", ended.stderr);
        assert!(weights(&workspace) != weights(finished()), "trained anew");
        workspace.command(stage).set(&rate, 5e-4).ends(0).says(&["up to date"]);
    }
}

#[test]
fn stale_training_is_refused_in_a_whole_run_too() {
    let workspace = Workspace::finished();
    let ended = workspace.command("run").set("pretrain.max_steps", 7).ends(2);
    ended.says(&["pretrain", "--fresh"]);
    assert_eq!(snapshot(&workspace.stage("pretrain")), snapshot(&finished().stage("pretrain")));
}

#[test]
fn settings_that_change_no_weight_leave_training_alone() {
    let workspace = Workspace::finished();
    let ended =
        workspace.command("pretrain").set("pretrain.save_every", 2).set("pretrain.recompute", "\"block\"").ends(0);
    ended.says(&["pretrain  up to date"]);
}

#[test]
fn fresh_makes_everything_again_but_pays_for_nothing_twice() {
    let workspace = Workspace::finished();
    let ledger = snapshot(&workspace.stage("ledger"));
    assert!(!ledger.is_empty());
    let ended = workspace.command("synth").arg("--fresh").ends(0);
    assert!(!ended.stderr.contains("up to date"), "{}", ended.stderr);
    assert_eq!(snapshot(&workspace.stage("ledger")), ledger, "the ledger survives");
    let calls = &manifest(&workspace.stage("notes"))["details"];
    assert_eq!(calls["calls"], 0, "{calls}");
}

#[test]
fn what_is_missing_is_made_again_from_what_stands() {
    for (stage, directory) in STAGES.iter().zip(DIRECTORIES) {
        let workspace = Workspace::finished();
        let before = snapshot(&workspace.stage(directory));
        fs_err::remove_dir_all(workspace.stage(directory)).expect("the finished run has it");
        workspace.command("run").ends(0);
        let after = snapshot(&workspace.stage(directory));
        assert!(after.keys().eq(before.keys()), "{stage}: {:?}", after.keys());
        for (path, content) in before {
            let data = path.extension().is_some_and(|kind| kind == "parquet" || kind == "safetensors");
            assert!(!data || after[&path] == content, "{stage}: {} differs", path.display());
        }
    }
}

#[test]
fn a_lost_file_of_a_finished_stage_is_made_again() {
    for file in [
        "corpus/reports.parquet",
        "notes/notes.parquet",
        "instructions/instructions.parquet",
        "dataset/notes-train.parquet",
        "dataset/instructions-validation.parquet",
        "report/index.html",
    ] {
        let workspace = Workspace::finished();
        let path = workspace.run_dir().join(file);
        let before = fs_err::read(&path).expect("the finished run has it");
        fs_err::remove_file(&path).expect("it is a copy");
        let ended = workspace.command("run").run();
        assert_eq!(ended.code, Some(0), "without {file}:\n{}", ended.stderr);
        assert!(fs_err::read(&path).expect("made again").len() >= before.len() / 2, "{file}");
    }
}

#[test]
fn one_stage_of_a_run_can_be_chosen_and_what_follows_it() {
    let workspace = finished_here();
    let ended = workspace.command("run").arg("--only").arg("dataset").ends(0);
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    ended.says(&["dataset  up to date"]);
    let ended = workspace.command("run").arg("--from").arg("eval").ends(0);
    assert_eq!(ended.stderr.lines().count(), 2, "{}", ended.stderr);
    ended.says(&["eval  up to date", "report  up to date"]);
}

#[test]
fn the_resolved_configuration_is_kept_with_the_run() {
    let kept = fs_err::read_to_string(finished().run_dir().join("config.resolved.toml")).expect("kept");
    let printed = finished().command("run").arg("--dry-run").ends(0).stdout;
    assert_eq!(kept.trim_end(), printed.trim_end());
}

#[test]
fn every_stage_of_ci_tiny_runs_alone_from_committed_inputs() {
    for command in ["ingest", "notes", "instruct", "dataset", "synth", "pretrain", "sft"] {
        let workspace = Workspace::new();
        let workdir = quoted(&workspace.runs());
        asclepius([command, "ci-tiny"]).set("workdir", &workdir).ends(0);
        let made = snapshot(&workspace.runs().join("ci-tiny"));
        let last = if command == "synth" { "dataset" } else { command };
        let directory = STAGES.iter().zip(DIRECTORIES).find(|(stage, _)| **stage == last).expect("a stage").1;
        assert!(made.contains_key(&Path::new(directory).join("manifest.json")), "{command}");
    }
}

#[test]
fn training_runs_on_a_file_of_ones_own() {
    let workspace = Workspace::new();
    let file = quoted(&finished().stage("dataset").join("instructions-train.parquet"));
    workspace
        .command("sft")
        .set("sft.data", &file)
        .set("sft.base", quoted(&finished().stage("pretrain").join("final")))
        .set("sft.max_steps", 2)
        .ends(0);
    let stage = workspace.stage("sft");
    assert_eq!(lines(&stage.join("metrics.jsonl")).iter().filter(|row| row["loss"].is_number()).count(), 2);
    let adapter = json(&stage.join("final/adapter_config.json"));
    assert_eq!(adapter["r"], 4, "{adapter}");
}

#[test]
fn a_preview_marks_what_is_learned_and_changes_nothing() {
    let workspace = Workspace::finished();
    let before = snapshot_with_times(&workspace.run_dir());
    let shown = workspace.command("preview").arg("--rows").arg("1").ends(0).stdout;
    for words in ["[pretrain]", "[sft]", "⟦", "⟧"] {
        assert!(shown.contains(words), "{words:?} is not in:\n{shown}");
    }
    assert_eq!(touched(&workspace, &before), Vec::<String>::new());
}
