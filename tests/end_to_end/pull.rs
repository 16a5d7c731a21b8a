//! Models and datasets pulled from a hub that behaves as it is told, and used.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::publish::with_home;
use crate::support::hub::{Habits, Held, Hub, Repository, TOKEN};
use crate::support::{Asclepius, Ended, Workspace, asclepius, finished, json, quoted, snapshot};

/// `asclepius KIND pull us/NAME DIR`, with a home in `home`.
fn pull(kind: &str, name: &str, directory: &Path, hub: &Hub, home: &Path) -> Asclepius {
    let command = asclepius([kind, "pull", &format!("us/{name}")]).arg(directory);
    with_home(command.args(&["--endpoint", &hub.url(), "--retry-seconds", "0"]), home).env("HF_TOKEN", TOKEN)
}

fn push(workspace: &Workspace, hub: &Hub, stage: &str, name: &str, more: &[&str]) -> Asclepius {
    let command = asclepius(["model", "push"]).arg(workspace.pipeline());
    let command =
        command.args(&["--repo", &format!("us/{name}"), "--stage", stage, "--endpoint", &hub.url()]).args(more);
    with_home(command.args(&["--retry-seconds", "0"]), workspace.path()).env("HF_TOKEN", TOKEN)
}

#[track_caller]
fn no_secret(ended: &Ended) {
    for text in [&ended.stdout, &ended.stderr] {
        assert!(!text.contains(TOKEN) && !text.contains("signature"), "{text}");
    }
}

/// Names in a directory, hidden ones too.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs_err::read_dir(directory).expect("readable");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    names
}

/// A hub with one private model: a small file and a large one of 100,000 bytes.
fn a_hub() -> (Hub, BTreeMap<PathBuf, Vec<u8>>) {
    let hub = Hub::start();
    let weights: Vec<u8> = (0..100_000_u32).map(|n| (n % 251) as u8).collect();
    let mut repository = Repository { private: true, commits: 7, ..Repository::default() };
    repository.files.insert("config.json".to_owned(), Held::Small(b"{}\n".to_vec()));
    repository.files.insert("model.safetensors".to_owned(), hub.store(&weights));
    repository.files.insert("onnx/model.onnx".to_owned(), hub.store(b"not ours"));
    hub.put("models/us/model", repository);
    let files = [("config.json", b"{}\n".to_vec()), ("model.safetensors", weights)];
    (hub, files.into_iter().map(|(name, content)| (PathBuf::from(name), content)).collect())
}

#[test]
fn what_was_pushed_is_pulled_byte_for_byte_and_used() {
    let (hub, run) = (Hub::start(), finished());
    let home = tempfile::tempdir().expect("a temporary directory");
    let (base, adapter) = (home.path().join("base"), home.path().join("adapter"));
    no_secret(&push(run, &hub, "pretrain", "base", &[]).ends(0));
    push(run, &hub, "sft", "adapter", &[]).ends(2).says(&["nobody else has it under that name", "--base-id"]);
    no_secret(&push(run, &hub, "sft", "adapter", &["--base-id", "us/base"]).ends(0));
    assert!(hub.repository("models/us/base").expect("made").private);

    no_secret(&pull("model", "base", &base, &hub, home.path()).ends(0));
    let ended = pull("model", "adapter", &adapter, &hub, home.path()).ends(0);
    assert!(ended.stdout.contains("an adapter on us/base"), "{}", ended.stdout);
    for (stage, pulled) in [("pretrain", &base), ("sft", &adapter)] {
        let made = snapshot(&run.stage(stage).join("final"));
        let mut came = snapshot(pulled);
        for ours in ["README.md", "attributions.tsv"] {
            assert!(came.remove(Path::new(ours)).is_some_and(|content| !content.is_empty()), "{ours}");
        }
        for (name, content) in &came {
            if name != Path::new("adapter_config.json") {
                assert_eq!(made.get(name), Some(content), "{}", name.display());
            }
            let text = String::from_utf8_lossy(content);
            assert!(!text.contains(run.path().to_str().expect("UTF-8")), "{}", name.display());
        }
        let left: Vec<_> = made.keys().filter(|name| !came.contains_key(*name)).collect();
        assert!(left.iter().all(|name| *name == Path::new("origin.json")), "{left:?}");
    }
    let (mut was, mut is) =
        (json(&run.stage("sft").join("final/adapter_config.json")), json(&adapter.join("adapter_config.json")));
    assert_eq!(is["base_model_name_or_path"], "us/base");
    assert!(Path::new(was["base_model_name_or_path"].as_str().expect("a path")).is_absolute());
    (was["base_model_name_or_path"], is["base_model_name_or_path"]) = Default::default();
    assert_eq!(was, is);
    assert_eq!(names(home.path()), ["adapter", "base"]);

    asclepius(["model", "check"]).arg(&base).arg("--adapter").arg(&adapter).ends(0);
    let chat = asclepius(["chat", "--device", "cpu", "--model"]).arg(&base).arg("--adapter").arg(&adapter);
    let said = chat.input("Fever for two days.\n.\n/max-tokens 8\n/compare\nWhat was found?\n").ends(0);
    assert!(said.stdout.contains("[adapter]"), "{}", said.stdout);
    hub.was_asked_rightly();
}

#[test]
fn a_pulled_dataset_is_what_was_pushed_and_trains() {
    let (hub, workspace) = (Hub::start(), Workspace::finished());
    let push = asclepius(["data", "push"]).arg(workspace.pipeline()).args(&["--repo", "us/notes"]);
    with_home(push.args(&["--endpoint", &hub.url()]), workspace.path()).env("HF_TOKEN", TOKEN).ends(0);
    let (exported, pulled) = (workspace.path().join("exported"), workspace.path().join("pulled"));
    asclepius(["data", "export"]).arg(workspace.pipeline()).arg("--out").arg(&exported).ends(0);
    let ended = pull("data", "notes", &pulled, &hub, workspace.path()).arg("--json").ends(0);
    let told: Value = serde_json::from_str(&ended.stdout).expect("stdout is JSON");
    assert_eq!(
        told["left_out"].as_object().map(|left_out| left_out.keys().cloned().collect()),
        Some(vec![".gitattributes".to_owned()])
    );
    assert_eq!(snapshot(&exported), snapshot(&pulled));
    workspace.command("sft").arg("--fresh").set("sft.input", quoted(&pulled)).set("sft.max_steps", 2).ends(0);
    let card = asclepius(["model", "card"]).arg(workspace.pipeline()).set("sft.input", quoted(&pulled));
    let card = card.set("sft.max_steps", 2).ends(0).stdout;
    assert!(card.contains("Written by: extractive"), "{card}");
    hub.was_asked_rightly();
}

#[test]
fn nothing_is_written_outside_the_directory_whatever_a_repository_calls_its_files() {
    for name in ["../model.safetensors", "a/../../x.json", "/tmp/x.json", "..\\x.json", "a//x.json", "x\n.json"] {
        let (hub, _) = a_hub();
        let mut repository = hub.repository("models/us/model").expect("put there");
        repository.files.insert(name.to_owned(), Held::Small(b"mine".to_vec()));
        hub.put("models/us/model", repository);
        let home = tempfile::tempdir().expect("a temporary directory");
        let inner = home.path().join("inner");
        fs_err::create_dir(&inner).expect("writable");
        let ended = pull("model", "model", &inner.join("model"), &hub, &inner).ends(1);
        ended.says(&["us/model holds a file called", "nothing was fetched"]);
        assert_eq!((names(home.path()), names(&inner)), (vec!["inner".to_owned()], Vec::new()), "{name}");
        assert!(!hub.asked().contains(&"read".to_owned()), "{name}");
    }
}

#[test]
fn a_pull_that_breaks_off_leaves_no_directory_and_goes_on_in_the_middle_of_a_file() {
    for knows_no_ranges in [false, true] {
        let (hub, files) = a_hub();
        let home = tempfile::tempdir().expect("a temporary directory");
        let directory = home.path().join("model");
        hub.habits(Habits { breaks_off_after: Some(30_000), knows_no_ranges, ..Habits::default() });
        let tried = pull("model", "model", &directory, &hub, home.path()).args(&["--tries", "2"]).ends(3);
        tried.says(&["fetching model.safetensors of us/model", "the same command goes on from here"]);
        no_secret(&tried);
        assert_eq!(names(home.path()), [".pulling-model"]);
        let part =
            names(&home.path().join(".pulling-model")).into_iter().find(|name| Path::new(name).extension().is_some());
        let part = home.path().join(".pulling-model").join(part.expect("what came is kept"));
        let expected = if knows_no_ranges { 30_000 } else { 60_000 };
        assert_eq!(fs_err::metadata(part).expect("there").len(), expected);

        hub.asked();
        hub.habits(Habits { knows_no_ranges, ..Habits::default() });
        pull("model", "model", &directory, &hub, home.path()).ends(0).says(&[]);
        assert_eq!(hub.asked().iter().filter(|what| *what == "object").count(), 1);
        assert_eq!(snapshot(&directory), files);
        assert_eq!(names(home.path()), ["model"]);
        hub.was_asked_rightly();
    }
}

#[test]
fn what_is_not_what_the_hub_lists_is_thrown_away() {
    let (hub, files) = a_hub();
    let home = tempfile::tempdir().expect("a temporary directory");
    let directory = home.path().join("model");
    let pull = || pull("model", "model", &directory, &hub, home.path());
    hub.habits(Habits { garbles: true, ..Habits::default() });
    pull().ends(1).says(&["config.json of us/model is damaged", "Git's SHA-1", "fetches it anew"]);
    assert!(names(home.path()).is_empty());
    // The small file is sound, and stays.
    hub.habits(Habits { breaks_off_after: Some(10), ..Habits::default() });
    pull().args(&["--tries", "1"]).ends(3).says(&["fetching model.safetensors of us/model"]);
    hub.habits(Habits { garbles: true, knows_no_ranges: true, ..Habits::default() });
    pull().ends(1).says(&["model.safetensors of us/model is damaged", "SHA-256", "is listed"]);
    assert!(!directory.exists());
    hub.asked();
    hub.habits(Habits::default());
    pull().ends(0);
    assert!(!hub.asked().contains(&"config.json".to_owned()));
    assert_eq!(snapshot(&directory), files);
}

#[test]
fn who_may_not_and_what_is_not_there_is_told_by_name() {
    let (hub, _) = a_hub();
    let home = tempfile::tempdir().expect("a temporary directory");
    let directory = home.path().join("model");
    let of = |name: &str| pull("model", name, &directory, &hub, home.path());
    of("model").without("HF_TOKEN").ends(1).says(&["looking at us/model", "status 401", "HF_TOKEN", "--token-env"]);
    let wrong = of("model").env("HF_TOKEN", "hf_old").ends(1);
    wrong.says(&["looking at us/model", "Invalid credentials", "the token is not valid at this hub"]);
    assert!(!wrong.stderr.contains("hf_old"));
    of("nothing").ends(1).says(&["looking at us/nothing", "status 404", "is there a model us/nothing"]);
    of("model").args(&["--revision", "v9"]).ends(1).says(&["us/model (revision v9)", "Invalid rev id: v9"]);
    pull("data", "model", &directory, &hub, home.path()).ends(1).says(&["is there a dataset us/model"]);
    pull("model", "model/x", &directory, &hub, home.path()).ends(2).says(&["is no repository", "NAMESPACE/NAME"]);
    with_home(asclepius(["model", "pull", "us/model"]).arg(&directory), home.path())
        .args(&["--endpoint", "http://127.0.0.1:1", "--tries", "2", "--retry-seconds", "0"])
        .ends(3)
        .says(&["looking at us/model", "no connection"]);
    // Listed, and gone from the storage.
    let mut repository = hub.repository("models/us/model").expect("put there");
    repository.files.insert("model.safetensors".to_owned(), Held::Large("0".repeat(64), 5));
    hub.put("models/us/model", repository);
    of("model").ends(1).says(&["fetching model.safetensors of us/model", "status 404"]);
    let mut empty = Repository { commits: 1, ..Repository::default() };
    empty.files.insert("notes.bin".to_owned(), Held::Small(b"x".to_vec()));
    hub.put("models/us/empty", empty);
    of("empty").ends(1).says(&["us/empty holds nothing that belongs to a model"]);
    assert!(!directory.exists());

    fs_err::create_dir(&directory).expect("writable");
    of("model").ends(2).says(&["exists already"]);
    assert!(names(&directory).is_empty());
}
