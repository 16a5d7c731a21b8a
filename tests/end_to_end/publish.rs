//! The dataset as a folder laid out for the hub, and pushed to a hub that behaves as it is told.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::hub::{Habits, Held, Hub, Repository, TOKEN};
use crate::support::jats::{sample, write};
use crate::support::{Asclepius, Ended, Workspace, asclepius, quoted, root};

const ROWS: [&str; 4] = [
    "instructions-train.parquet",
    "instructions-validation.parquet",
    "notes-train.parquet",
    "notes-validation.parquet",
];

/// A command with a home of its own, so that nobody's token is found.
pub(crate) fn with_home(command: Asclepius, home: &Path) -> Asclepius {
    command.env("HOME", home.to_str().expect("UTF-8")).without("HF_TOKEN").without("HF_HOME")
}

fn push(workspace: &Workspace, hub: &Hub, more: &[&str]) -> Asclepius {
    let command = asclepius(["-vv", "data", "push"]).arg(workspace.pipeline()).args(&["--repo", "us/notes"]);
    let command = command.args(&["--endpoint", &hub.url(), "--retry-seconds", "0", "--json"]).args(more);
    with_home(command, workspace.path()).env("HF_TOKEN", TOKEN)
}

#[track_caller]
fn told(ended: &Ended) -> Value {
    for text in [&ended.stdout, &ended.stderr] {
        assert!(!text.contains(TOKEN) && !text.contains("signature"), "{text}");
    }
    serde_json::from_str(&ended.stdout).expect("stdout is JSON")
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().expect("by name").keys().map(String::as_str).collect()
}

/// Fails unless the repository holds, byte for byte, what `data export` writes.
#[track_caller]
fn holds_the_export(hub: &Hub, workspace: &Workspace) {
    let folder = workspace.path().join("export");
    if folder.exists() {
        fs_err::remove_dir_all(&folder).expect("ours");
    }
    asclepius(["data", "export"]).arg(workspace.pipeline()).arg("--out").arg(&folder).ends(0);
    let repository = hub.repository("datasets/us/notes").expect("made");
    let mut names: Vec<String> = fs_err::read_dir(&folder)
        .expect("written")
        .map(|entry| entry.expect("readable").file_name().into_string().expect("UTF-8"))
        .collect();
    names.sort_unstable();
    let mut expected = vec!["README.md", "attributions.tsv"];
    expected.extend(ROWS);
    assert_eq!(names, expected);
    for name in names {
        let content = fs_err::read(folder.join(&name)).expect("readable");
        match &repository.files[&name] {
            Held::Small(held) => assert_eq!(held, &content, "{name}"),
            Held::Large(sha256, size) => {
                assert_eq!(*size, content.len() as u64);
                assert_eq!(hub.object(sha256).expect("sent"), content, "{name}");
            }
        }
        assert_eq!(name.ends_with(".parquet"), matches!(repository.files[&name], Held::Large(..)), "{name}");
    }
    hub.was_asked_rightly();
}

#[test]
fn a_push_makes_a_private_repository_and_sends_only_what_differs() {
    let (workspace, hub) = (Workspace::finished(), Hub::start());
    let looked = told(&push(&workspace, &hub, &["--dry-run"]).without("HF_TOKEN").ends(0));
    assert_eq!((&looked["created"], &looked["commit"]), (&Value::from(true), &Value::Null));
    assert_eq!(keys(&looked["changed"]).len(), 6);
    assert_eq!((hub.asked(), hub.repository("datasets/us/notes").is_none()), (vec!["info".to_owned()], true));

    let pushed = told(&push(&workspace, &hub, &[]).ends(0));
    assert_eq!((&pushed["created"], &pushed["public"]), (&Value::from(true), &Value::from(false)));
    assert_eq!(pushed["page"], format!("{}/datasets/us/notes", hub.url()));
    assert!(pushed["commit"].is_string(), "{pushed}");
    let repository = hub.repository("datasets/us/notes").expect("made");
    assert!(repository.private && repository.files.contains_key(".gitattributes"));
    holds_the_export(&hub, &workspace);
    assert_eq!(hub.asked().iter().filter(|what| *what == "put").count(), 4);

    let again = told(&push(&workspace, &hub, &[]).ends(0));
    assert_eq!((keys(&again["changed"]).len(), keys(&again["unchanged"]).len()), (0, 6));
    assert!(again["commit"].is_null());
    let asked = hub.asked();
    assert!(asked.iter().all(|what| ["info", "tree", "read"].contains(&what.as_str())), "{asked:?}");

    // Another split: the same notes and instructions, on other sides.
    workspace.command("dataset").set("dataset.validation_fraction", 0.6).ends(0);
    let changed = told(&push(&workspace, &hub, &[]).ends(0));
    assert_eq!(keys(&changed["unchanged"]), ["attributions.tsv"], "{changed}");
    holds_the_export(&hub, &workspace);
    // Back again: the storage still has every object.
    workspace.command("dataset").ends(0);
    hub.asked();
    let back = told(&push(&workspace, &hub, &[]).ends(0));
    assert_eq!(back["known_to_storage"], 4);
    assert!(!hub.asked().contains(&"put".to_owned()));
    holds_the_export(&hub, &workspace);
}

#[test]
fn a_push_that_broke_off_goes_on_and_passing_trouble_passes() {
    let (workspace, hub) = (Workspace::finished(), Hub::start());
    hub.habits(Habits { takes: Some(2), ..Habits::default() });
    let ended = push(&workspace, &hub, &["--tries", "2"]).ends(3);
    ended.says(&["sending notes-train.parquet: status 503", "hint: the same command goes on from here"]);
    let asked = hub.asked();
    assert_eq!(asked.iter().filter(|what| *what == "put").count(), 2, "{asked:?}");
    assert_eq!(asked.iter().filter(|what| *what == "busy").count(), 2, "{asked:?}");
    assert_eq!(hub.repository("datasets/us/notes").expect("made").commits, 1, "nothing half is committed");

    hub.habits(Habits { busy_for: 3, ..Habits::default() });
    let pushed = told(&push(&workspace, &hub, &[]).ends(0));
    assert_eq!((&pushed["created"], &pushed["known_to_storage"]), (&Value::from(false), &Value::from(2)));
    assert_eq!(hub.asked().iter().filter(|what| *what == "put").count(), 2);
    holds_the_export(&hub, &workspace);
}

#[test]
fn large_files_go_in_parts_where_the_hub_wants_them_so() {
    let (workspace, hub) = (Workspace::finished(), Hub::start());
    hub.habits(Habits { parts_of: Some(1000), ..Habits::default() });
    push(&workspace, &hub, &[]).ends(0);
    let asked = hub.asked();
    assert_eq!(asked.iter().filter(|what| *what == "complete").count(), 4, "{asked:?}");
    assert!(asked.iter().filter(|what| *what == "part").count() > 11, "{asked:?}");
    holds_the_export(&hub, &workspace);
}

#[test]
fn a_commit_whose_answer_is_lost_counts_and_one_that_was_overtaken_does_not() {
    let (workspace, hub) = (Workspace::finished(), Hub::start());
    hub.habits(Habits { loses_the_answer: true, ..Habits::default() });
    let pushed = told(&push(&workspace, &hub, &[]).ends(0));
    assert!(pushed["commit"].is_string(), "{pushed}");
    holds_the_export(&hub, &workspace);
    assert_eq!(hub.repository("datasets/us/notes").expect("made").commits, 2, "once");

    workspace.command("dataset").set("dataset.validation_fraction", 0.6).ends(0);
    hub.habits(Habits { is_overtaken: true, ..Habits::default() });
    push(&workspace, &hub, &[]).ends(3).says(&["somebody else committed to us/notes in between"]);
    push(&workspace, &hub, &[]).ends(0);
    holds_the_export(&hub, &workspace);
}

#[test]
fn what_is_private_does_not_become_public_by_accident() {
    let (workspace, hub) = (Workspace::finished(), Hub::start());
    hub.put("datasets/us/notes", Repository { commits: 1, ..Repository::default() });
    push(&workspace, &hub, &[]).ends(2).says(&["us/notes is there already, and everybody can see it", "--public"]);
    assert_eq!(hub.asked(), ["info"]);
    let pushed = told(&push(&workspace, &hub, &["--public"]).ends(0));
    assert_eq!(pushed["public"], true);
    holds_the_export(&hub, &workspace);

    let hub = Hub::start();
    hub.habits(Habits { makes_public: true, ..Habits::default() });
    push(&workspace, &hub, &[]).ends(1).says(&["the hub made it visible to everybody; nothing was sent"]);
    assert_eq!(hub.asked(), ["info", "create", "info"]);
}

#[test]
fn rows_of_an_earlier_layout_go_and_everything_else_stays() {
    let (workspace, hub) = (Workspace::finished(), Hub::start());
    let held = |text: &str| Held::Small(text.as_bytes().to_vec());
    let mut there = Repository { private: true, commits: 3, ..Repository::default() };
    for name in ["notes-train-00000-of-00002.parquet", "figure.png", "README.md"] {
        there.files.insert(name.to_owned(), held("x"));
    }
    hub.put("datasets/us/notes", there);
    let pushed = told(&push(&workspace, &hub, &[]).ends(0));
    assert_eq!(pushed["removed"][0], "notes-train-00000-of-00002.parquet", "{pushed}");
    let files = hub.repository("datasets/us/notes").expect("there").files;
    assert_eq!(files["figure.png"], held("x"));
    assert!(!files.contains_key("notes-train-00000-of-00002.parquet"));
    holds_the_export(&hub, &workspace);
}

#[test]
fn who_may_not_push_is_told_why_before_anything_is_sent() {
    let (workspace, hub) = (Workspace::finished(), Hub::start());
    let without = |more: &[&str]| push(&workspace, &hub, more).without("HF_TOKEN");
    without(&[]).ends(2).says(&["there is no token to push with", "HF_TOKEN", "--dry-run"]);
    without(&["--token-env", "NOBODY"]).ends(2).says(&["--token-env NOBODY: the variable is not set"]);
    assert!(hub.asked().is_empty());
    let wrong = push(&workspace, &hub, &[]).env("HF_TOKEN", "hf_old").ends(1);
    wrong.says(&["status 401", "Invalid credentials", "the token is not valid at this hub"]);
    assert!(!wrong.stderr.contains("hf_old"));
    let of = |repo: &str, endpoint: &str| {
        let command = asclepius(["data", "push"]).arg(workspace.pipeline()).args(&["--repo", repo]);
        with_home(command.args(&["--endpoint", endpoint]), workspace.path()).env("HF_TOKEN", TOKEN)
    };
    of("strangers/notes", &hub.url()).ends(1).says(&["don't have the rights", "allowed to write to strangers"]);
    of("notes", &hub.url()).ends(2).says(&["--repo \"notes\" is no repository", "NAMESPACE/NAME"]);
    of("us/notes", "http://hub.example").ends(2).says(&["--endpoint http://hub.example", "https"]);

    // The token that the hub's own tools keep.
    let kept = workspace.path().join(".cache/huggingface");
    fs_err::create_dir_all(&kept).expect("writable");
    fs_err::write(kept.join("token"), format!("{TOKEN}\n")).expect("writable");
    told(&without(&[]).ends(0));
    holds_the_export(&hub, &workspace);
}

#[test]
fn what_nobody_may_pass_on_and_what_is_damaged_is_not_pushed() {
    let hub = Hub::start();
    for (licences, admitted, words) in [
        (["by", "by-nd"], r#"["CC0", "CC BY", "CC BY-ND"]"#, "licence of the dataset: not to be published"),
        (["by-nc", "by-sa"], r#"["CC BY-NC", "CC BY-SA"]"#, "licence of the dataset: none fits all sources"),
    ] {
        let workspace = Workspace::new();
        let folder = workspace.path().join("in");
        for (name, licence) in ["PMC99000014", "PMC99000024"].into_iter().zip(licences) {
            write(&folder, &format!("{name}.xml"), sample(name, &format!("licenses/{licence}/4.0")));
        }
        let inputs = format!("[{}]", quoted(&folder));
        workspace.command("synth").set("corpus.inputs", inputs).set("corpus.licences", admitted).ends(0);
        let ended = push(&workspace, &hub, &["--public"]).ends(2);
        ended.says(&[words, "not even to a private repository", "hint: ", "corpus.licences = "]);
    }
    let workspace = Workspace::finished();
    let dataset = workspace.stage("dataset");
    fs_err::copy(dataset.join("notes-validation.parquet"), dataset.join("notes-train.parquet")).expect("writable");
    push(&workspace, &hub, &[]).ends(1).says(&["the dataset is not what it should be", "--fresh"]);
    let unfinished = Workspace::new();
    push(&unfinished, &hub, &[]).ends(2).says(&["no stage has finished"]);
    assert!(hub.asked().is_empty());
}

#[test]
fn a_repository_that_leaves_files_out_is_an_error_and_no_silence() {
    let (workspace, hub) = (Workspace::finished(), Hub::start());
    let mut there = Repository { private: true, commits: 1, ..Repository::default() };
    there.files.insert(".gitignore".to_owned(), Held::Small(b"*.tsv".to_vec()));
    hub.put("datasets/us/notes", there);
    push(&workspace, &hub, &[]).ends(1).says(&["us/notes leaves out attributions.tsv by its .gitignore"]);
    assert!(!hub.asked().contains(&"commit".to_owned()));
}

/// Through the library that people load datasets with; skipped, saying so, where `ASCLEPIUS_PYTHON` has it not.
#[test]
fn the_exported_folder_loads_as_its_card_declares() {
    let workspace = Workspace::finished();
    let folder = workspace.path().join("export");
    asclepius(["data", "export"]).arg(workspace.pipeline()).arg("--out").arg(&folder).ends(0);
    asclepius(["data", "export"]).arg(workspace.pipeline()).arg("--out").arg(&folder).ends(2).says(&["exists already"]);
    let python = std::env::var("ASCLEPIUS_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let checked = Command::new(&python).arg(root().join("tools/load_dataset.py")).arg(&folder).output();
    let checked = checked.expect("an interpreter, or a name that is one");
    let said = String::from_utf8_lossy(&checked.stdout);
    if checked.status.code() == Some(77) {
        #[expect(clippy::print_stderr, reason = "a skipped test has to say so")]
        {
            eprintln!("skipped: {python} has no {}", said.trim());
        }
        return;
    }
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    let found: Value = serde_json::from_str(&said).expect("the script prints JSON");
    let manifest = crate::support::manifest(&workspace.stage("dataset"));
    let rows = |config: &str| -> u64 {
        found[config]["rows"].as_object().expect("by split").values().filter_map(Value::as_u64).sum()
    };
    assert_eq!(rows("instructions"), manifest["counts"]["out"].as_u64().expect("counted"));
    assert_eq!(rows("notes"), manifest["also"]["note"]["out"].as_u64().expect("counted"));
}
