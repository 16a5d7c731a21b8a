//! Wrong pipelines and command lines: refused with exit code 2, by name, before anything is made. And the pipelines that
//! come with the project.

use std::path::PathBuf;

use serde_json::Value;

use crate::support::{Ended, Workspace, asclepius, finished, quoted, root, snapshot};

/// Fails unless the workspace holds its pipeline file and nothing else.
#[track_caller]
fn made_nothing(workspace: &Workspace) {
    let made: Vec<PathBuf> = snapshot(workspace.path()).into_keys().collect();
    assert_eq!(made, [PathBuf::from("pipeline.toml")], "nothing is made by a command that is refused");
    assert!(!workspace.runs().exists(), "not even a directory");
}

/// Runs a pipeline that must be refused.
#[track_caller]
fn refused(pipeline: &str) -> Ended {
    let workspace = Workspace::with(pipeline);
    let ended = workspace.command("run").ends(2);
    made_nothing(&workspace);
    assert_eq!(ended.stdout, "", "stdout carries data");
    ended
}

#[test]
fn an_unknown_key_in_the_file_is_refused_with_file_line_and_nearest_key() {
    // `workdir` stands in line 1.
    for (pipeline, line, key, nearest) in [
        ("name = \"a\"\nsed = 3\n", 3, "sed", "seed"),
        ("[corpus]\ninput = [\"x\"]\n", 3, "corpus.input", "corpus.inputs"),
        ("[teacher]\n\nend_point = \"x\"\n", 4, "teacher.end_point", "teacher.endpoint"),
        ("[instruct]\nper_notes = 2\n", 3, "instruct.per_notes", "instruct.per_note"),
        ("[dataset.gates]\nmodel_tallk = false\n", 3, "dataset.gates.model_tallk", "dataset.gates.model_talk"),
        ("[pretrain]\nlearning_rat = 1e-3\n", 3, "pretrain.learning_rat", "pretrain.learning_rate"),
        ("[sft]\n[sft.lora]\nrnak = 4\n", 4, "sft.lora.rnak", "sft.lora.rank"),
        ("[sft.init]\nvocab_sise = 4\n", 3, "sft.init.vocab_sise", "sft.init.vocab_size"),
        ("sft.lora.rnak = 4\n", 2, "sft.lora.rnak", "sft.lora.rank"),
        ("sft = { lora = { rnak = 4 } }\n", 2, "sft.lora.rnak", "sft.lora.rank"),
        ("[eval]\nmax_token = 4\n", 3, "eval.max_token", "eval.max_tokens"),
        ("[pretrian]\nepochs = 1\n", 2, "pretrian", "pretrain"),
    ] {
        let said = refused(pipeline);
        said.says(&[&format!("pipeline.toml:{line}"), &format!("`{key}`"), &format!("`{nearest}`")]);
    }
}

#[test]
fn an_unknown_key_in_set_is_refused_with_the_nearest_key() {
    for (key, nearest) in [
        ("sft.epoch", "sft.epochs"),
        ("nmae", "name"),
        ("sft.lora.alpa", "sft.lora.alpha"),
        ("teacher.api_key", "teacher.api_key_env"),
    ] {
        let workspace = Workspace::new();
        let ended = workspace.command("run").set(key, 1).ends(2);
        ended.says(&["--set", &format!("`{key}`"), &format!("`{nearest}`")]);
        made_nothing(&workspace);
    }
}

#[test]
fn every_command_that_reads_a_pipeline_refuses_an_unknown_key() {
    for command in [
        "run", "synth", "ingest", "notes", "instruct", "dataset", "pretrain", "sft", "eval", "report", "plan",
        "preview",
    ] {
        let workspace = Workspace::new();
        workspace.command(command).set("sft.epoch", 1).ends(2).says(&["`sft.epoch`", "`sft.epochs`"]);
        made_nothing(&workspace);
    }
}

#[test]
fn a_value_that_cannot_be_is_refused_by_the_name_of_its_key() {
    for (pipeline, words) in [
        ("seed = \"three\"\n", ["pipeline.toml", "seed = \"three\""]),
        ("[pretrain]\nmethod = \"loar\"\n", ["pipeline.toml", "loar"]),
        ("[instruct]\ntasks = [\"poetry\"]\n", ["pipeline.toml", "poetry"]),
        ("[teacher]\nbudget_usd = 3.0\n", ["pipeline.toml", "budget_usd"]),
        ("[teacher]\nendpoint = \"gpt-4o\"\n", ["pipeline.toml", "endpoint"]),
        ("[dataset]\nvalidation_fraction = 1.5\n", ["pipeline.toml", "validation_fraction"]),
        ("name = \"../elsewhere\"\n", ["pipeline.toml", "name"]),
        ("seed = \n", ["pipeline.toml", "line 2"]),
        ("[sft]\nmethod = \"lora\"\nbase = \"no-such-directory\"\n", ["sft.base", "no-such-directory"]),
    ] {
        refused(pipeline).says(&words);
    }
}

#[test]
fn a_set_that_cannot_be_is_refused_by_the_name_of_its_key() {
    for (assignment, words) in [
        ("seed", ["--set", "seed"]),
        ("seed.deep=1", ["--set", "seed"]),
        ("sft.learning_rate=fast", ["--set", "learning_rate"]),
        ("instruct.per_note=-1", ["--set", "per_note"]),
    ] {
        let workspace = Workspace::new();
        workspace.command("run").arg("--set").arg(assignment).ends(2).says(&words);
        made_nothing(&workspace);
    }
}

#[test]
fn a_pipeline_that_is_not_there_is_named_beside_those_that_are() {
    let ended = asclepius(["run", "no-such-pipeline"]).ends(2);
    ended.says(&["no-such-pipeline", "demo", "ci-tiny", "llama3-8b"]);
    asclepius(["run", "--only", "nots"]).ends(2).says(&["nots", "notes"]);
    asclepius(["ingets"]).ends(2).says(&["ingets", "ingest"]);
}

#[test]
fn a_missing_input_is_named_before_any_work() {
    let workspace = Workspace::new();
    let ended = workspace.command("run").set("corpus.inputs", "[\"data/no-such-folder\"]").ends(2);
    ended.says(&["data/no-such-folder"]);
    made_nothing(&workspace);
}

#[test]
fn a_missing_key_variable_is_named_before_any_work() {
    for (command, value) in [("run", None), ("synth", None), ("notes", None), ("run", Some("")), ("run", Some("  "))] {
        let workspace = Workspace::new();
        let mut started = workspace
            .command(command)
            .set("teacher.endpoint", "\"http://127.0.0.1:9/v1\"")
            .set("teacher.model", "\"m\"")
            .set("teacher.api_key_env", "\"ASCLEPIUS_TEST_NO_SUCH_KEY\"");
        if let Some(value) = value {
            started = started.env("ASCLEPIUS_TEST_NO_SUCH_KEY", value);
        }
        started.ends(2).says(&["ASCLEPIUS_TEST_NO_SUCH_KEY", "api_key_env"]);
        made_nothing(&workspace);
    }
}

#[test]
fn credentials_in_the_endpoint_are_refused_before_any_work_and_never_shown() {
    let workspace = Workspace::new();
    for mode in ["", "--dry-run"] {
        let mut command = workspace
            .command("run")
            .set("teacher.endpoint", "\"http://someone:open-sesame@127.0.0.1:9/v1\"")
            .set("teacher.model", "\"m\"");
        if !mode.is_empty() {
            command = command.arg(mode);
        }
        let ended = command.ends(2);
        ended.says(&["endpoint", "credentials"]);
        assert!(!ended.stderr.contains("open-sesame") && !ended.stdout.contains("open-sesame"), "{ended:?}");
        made_nothing(&workspace);
    }
}

/// The names of the pipelines that come with the project.
fn pipelines() -> Vec<String> {
    let mut names: Vec<String> = fs_err::read_dir(root().join("pipelines"))
        .expect("the project has pipelines")
        .filter_map(|entry| {
            let name = entry.expect("readable").file_name();
            Some(name.to_string_lossy().strip_suffix(".toml")?.to_owned())
        })
        .collect();
    names.sort_unstable();
    for expected in ["ci-tiny", "demo", "llama3-8b", "llama3-8b-lora", "phi2-qlora", "smollm2"] {
        assert!(names.iter().any(|name| name == expected), "{expected} is part of the contract");
    }
    names
}

#[test]
fn a_dry_run_prints_the_resolved_configuration_of_every_pipeline_and_makes_nothing() {
    for name in pipelines() {
        let workspace = Workspace::new();
        let workdir = quoted(&workspace.runs());
        let ended = asclepius(["run", &name, "--dry-run"]).set("workdir", &workdir).ends(0);
        made_nothing(&workspace);
        let resolved: toml::Table = ended.stdout.parse().expect("stdout is the configuration as TOML");
        assert_eq!(resolved["name"].as_str(), Some(name.as_str()));
        assert_eq!(resolved["workdir"].as_str(), workspace.runs().to_str());
        assert!(resolved["teacher"]["timeout_seconds"].is_float(), "defaults are filled in");

        // What was printed is itself a pipeline, and the same one.
        let copy = workspace.path().join("printed.toml");
        fs_err::write(&copy, &ended.stdout).expect("writable");
        let again = asclepius(["run", "--dry-run"]).arg(&copy).ends(0);
        assert_eq!(again.stdout, ended.stdout, "{name}");
    }
}

#[test]
fn every_pipeline_can_be_planned_before_anything_runs() {
    for name in pipelines() {
        let workspace = Workspace::new();
        let mut command = asclepius(["plan", &name, "--json"]).set("workdir", quoted(&workspace.runs()));
        if name == "smollm2" {
            // Its base's config.json is on the hub, and tests have no network.
            command = command.set("pretrain.base", "\"data/bases/microsoft--phi-2\"");
        }
        let ended = command.ends(0);
        made_nothing(&workspace);
        let plan: Value = serde_json::from_str(&ended.stdout).expect("stdout is JSON");
        let training = plan["training"].as_array().expect("a list of stages");
        assert!(!training.is_empty(), "{plan}");
        for stage in training {
            let bytes = |part: &str| stage[format!("{part}_bytes")].as_u64().expect("a count of bytes");
            let parts: u64 = ["weight", "gradient", "optimizer", "activation"].map(bytes).into_iter().sum();
            assert_eq!(bytes("total"), parts, "{name}: {stage}");
            let (all, trained) = (stage["parameters"].as_u64(), stage["trainable"].as_u64());
            assert!(trained > Some(0), "{name}: {stage}");
            assert!(stage["method"] != "full" || trained == all, "{name}: {stage}");
        }
        if name.starts_with("llama3-8b") {
            assert_eq!(training[0]["base"], "meta-llama/Meta-Llama-3-8B");
            assert!(training.iter().any(|stage| stage["stage"] == "sft"));
        }
        if name == "llama3-8b" {
            assert_eq!(training[0]["parameters"], 8_030_261_248_u64, "as Meta counts them");
        }
    }
}

#[test]
fn a_plan_for_people_needs_no_run_and_makes_none() {
    let workspace = Workspace::new();
    let ended = workspace.command("plan").ends(0);
    for word in ["pretrain", "sft", "weights", "gradients", "optimizer", "activations"] {
        assert!(ended.stdout.contains(word), "{word:?} is not in:\n{}", ended.stdout);
    }
    made_nothing(&workspace);
}

#[test]
fn logs_in_a_pipe_hold_no_terminal_codes() {
    let workspace = Workspace::new();
    let dataset = quoted(&finished().stage("dataset"));
    let ended = workspace.command("pretrain").arg("-vv").without("NO_COLOR").set("pretrain.input", dataset).ends(0);
    ended.says(&["evaluated"]);
    assert!(!ended.stderr.contains('\u{1b}'), "{}", ended.stderr);
}

#[test]
fn a_paid_pipeline_can_be_tried_with_the_embedded_teacher_and_no_key() {
    let workspace = Workspace::new();
    let command = workspace.command("synth").set("teacher.model", "\"some-model\"");
    let command =
        command.set("teacher.api_key_env", "\"ASCLEPIUS_TEST_NO_SUCH_KEY\"").without("ASCLEPIUS_TEST_NO_SUCH_KEY");
    command.ends(0);
    let dropped = crate::support::manifest(&workspace.stage("notes"));
    assert_eq!(dropped["counts"]["pending"], 0);
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that skips says so")]
fn output_that_cannot_be_written_is_an_error() {
    let full = std::path::Path::new("/dev/full");
    if !full.exists() {
        eprintln!("skipped: no /dev/full here");
        return;
    }
    let sink = fs_err::OpenOptions::new().write(true).open(full).expect("writable in name");
    let status = std::process::Command::new(env!("CARGO_BIN_EXE_asclepius"))
        .arg("reference")
        .stdout(sink.into_parts().0)
        .stderr(std::process::Stdio::null())
        .status()
        .expect("the binary was built for this test");
    assert_eq!(status.code(), Some(3), "a full disk is a limit");
}
