//! The crate graph of ARCHITECTURE.md, held: an edge that is not in this table fails the build before it becomes a habit.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Which of our crates each crate may use. A new edge is made here and in ARCHITECTURE.md first.
const EDGES: &[(&str, &[&str])] = &[
    ("schema", &[]),
    ("ops", &[]),
    ("text", &["schema"]),
    ("llm", &["schema"]),
    ("corpus", &["schema", "text"]),
    ("synth", &["llm", "schema", "text"]),
    ("dataset", &["schema", "text"]),
    ("model", &["ops", "text"]),
    ("train", &["dataset", "model", "ops", "schema"]),
    ("eval", &["dataset", "llm", "model", "ops", "schema", "text"]),
    ("serve", &["model", "schema", "text"]),
    ("cli", &["corpus", "dataset", "eval", "llm", "model", "ops", "schema", "serve", "synth", "text", "train"]),
];

/// Outside crates that stay where they belong.
const CONFINED: &[(&str, &[&str])] = &[
    ("arrow", &["dataset"]),
    ("parquet", &["dataset"]),
    ("candle-core", &["ops", "model", "train", "eval", "serve", "cli"]),
    ("candle-transformers", &["model"]),
    ("cudarc", &["ops"]),
    ("async-openai", &["llm"]),
    ("tokio", &["llm", "synth", "eval", "serve", "cli", "corpus"]),
    ("axum", &["serve"]),
    ("tokenizers", &["text"]),
    ("minijinja", &["text", "synth", "eval"]),
    ("anyhow", &["cli"]),
    ("clap", &["cli"]),
    ("indicatif", &["cli"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// `[dependencies]` of every crate, by its name without the prefix; development dependencies do not shape the graph.
fn dependencies() -> BTreeMap<String, Vec<String>> {
    let mut all = BTreeMap::new();
    for entry in fs_err::read_dir(root().join("crates")).expect("the workspace has crates") {
        let entry = entry.expect("a readable directory");
        let manifest = fs_err::read_to_string(entry.path().join("Cargo.toml")).expect("a crate has a manifest");
        let manifest: toml::Table = manifest.parse().expect("cargo reads it, so it is TOML");
        let mut names: Vec<String> = manifest
            .get("dependencies")
            .and_then(toml::Value::as_table)
            .into_iter()
            .flat_map(toml::Table::keys)
            .cloned()
            .collect();
        names.sort_unstable();
        let name = entry.file_name().to_string_lossy().replace("asclepius-", "");
        all.insert(name, names);
    }
    all
}

#[test]
fn crates_depend_on_each_other_only_along_the_table() {
    let mut wrong = Vec::new();
    for (name, dependencies) in dependencies() {
        let Some((_, allowed)) = EDGES.iter().find(|(known, _)| *known == name) else {
            wrong.push(format!("crate {name} is not in the table"));
            continue;
        };
        for ours in dependencies.iter().filter_map(|dependency| dependency.strip_prefix("asclepius-")) {
            if !allowed.contains(&ours) {
                wrong.push(format!("{name} -> {ours}"));
            }
        }
    }
    assert!(wrong.is_empty(), "forbidden edges: {wrong:?}");
}

#[test]
fn outside_crates_stay_where_they_belong() {
    let mut wrong = Vec::new();
    for (name, dependencies) in dependencies() {
        for (outside, homes) in CONFINED {
            if dependencies.iter().any(|dependency| dependency == outside) && !homes.contains(&name.as_str()) {
                wrong.push(format!("{name} uses {outside}, which belongs to {homes:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn only_ops_chooses_the_device_at_compile_time() {
    let mut wrong = Vec::new();
    visit(&root().join("crates"), &mut |path, text| {
        let home = path.components().any(|part| part.as_os_str() == "asclepius-ops");
        if !home && text.contains("cfg(feature = \"cuda\")") {
            wrong.push(path.display().to_string());
        }
    });
    assert!(wrong.is_empty(), "cfg(cuda) outside asclepius-ops: {wrong:?}");
}

#[test]
fn every_module_says_why_it_exists() {
    let mut wrong = Vec::new();
    visit(&root().join("crates"), &mut |path, text| {
        if !text.starts_with("//! ") {
            wrong.push(path.display().to_string());
        }
    });
    assert!(wrong.is_empty(), "no module documentation: {wrong:?}");
}

#[test]
fn stage_runners_stay_thin() {
    let mut wrong = Vec::new();
    visit(&root().join("crates/asclepius-cli/src/stages"), &mut |path, text| {
        let lines = text.lines().count();
        if lines > 150 {
            wrong.push(format!("{}: {lines} lines", path.display()));
        }
    });
    assert!(wrong.is_empty(), "stage runners hold no domain logic: {wrong:?}");
}

fn visit(directory: &Path, on: &mut dyn FnMut(&Path, &str)) {
    let mut paths: Vec<PathBuf> =
        fs_err::read_dir(directory).expect("a directory").map(|entry| entry.expect("readable").path()).collect();
    paths.sort_unstable();
    for path in paths {
        if path.is_dir() {
            visit(&path, on);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            on(&path, &fs_err::read_to_string(&path).expect("source is text"));
        }
    }
}
