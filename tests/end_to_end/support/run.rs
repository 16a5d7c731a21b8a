//! Run directories: fresh ones, one finished run that tests share, and what lies in them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::SystemTime;

use fs_err::File;
use serde_json::Value;
use tempfile::TempDir;

use super::{Asclepius, ChatServer, asclepius, quoted};

/// The pipeline most tests run.
const TINY: &str = include_str!("../tiny.toml");

/// A directory of a test's own, with a pipeline file and a place for runs.
#[derive(Debug)]
pub struct Workspace {
    directory: PathBuf,
    /// Removed with the workspace; none for the shared run.
    _temporary: Option<TempDir>,
}

impl Workspace {
    /// One with the tiny pipeline.
    pub fn new() -> Self {
        Self::with(TINY)
    }

    /// One with this pipeline, to which `workdir` is added.
    pub fn with(pipeline: &str) -> Self {
        let temporary = tempfile::tempdir().expect("a temporary directory");
        let workspace = Self { directory: temporary.path().to_owned(), _temporary: Some(temporary) };
        workspace.write(pipeline);
        workspace
    }

    fn write(&self, pipeline: &str) {
        let text = format!("workdir = {}\n{pipeline}", quoted(&self.runs()));
        fs_err::write(self.pipeline(), text).expect("writable");
    }

    /// One with the tiny pipeline and a copy of the shared finished run, for a test that changes it.
    pub fn finished() -> Self {
        let workspace = Self::new();
        copy(&finished().run_dir(), &workspace.run_dir());
        workspace
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.directory
    }

    /// The pipeline's file.
    pub fn pipeline(&self) -> PathBuf {
        self.directory.join("pipeline.toml")
    }

    /// `workdir`.
    pub fn runs(&self) -> PathBuf {
        self.directory.join("runs")
    }

    /// The run directory of a pipeline called `tiny`.
    pub fn run_dir(&self) -> PathBuf {
        self.runs().join("tiny")
    }

    /// A stage's directory in it.
    pub fn stage(&self, name: &str) -> PathBuf {
        self.run_dir().join(name)
    }

    /// `asclepius COMMAND PIPELINE`.
    pub fn command(&self, command: &str) -> Asclepius {
        asclepius([command]).arg(self.pipeline())
    }
}

/// The notes stage over the shared run's reports, asking `server` one call at a time.
pub fn notes_from(workspace: &Workspace, server: &ChatServer) -> Asclepius {
    workspace
        .command("notes")
        .set("notes.input", quoted(&finished().stage("corpus")))
        .set("teacher.endpoint", server.url())
        .set("teacher.model", "\"extractive-1\"")
        .set("teacher.concurrency", 1)
}

/// How many case reports the shared run has.
pub fn reports() -> usize {
    let count = manifest(&finished().stage("corpus"))["also"]["patient"]["out"].as_u64().expect("a count");
    assert!(count >= 5, "the tests below stop after the fourth at the latest");
    count as usize
}

/// A run of the whole tiny pipeline, made once a test process. Nobody may change it.
pub fn finished() -> &'static Workspace {
    static FINISHED: OnceLock<(Workspace, File)> = OnceLock::new();
    let (workspace, _) = FINISHED.get_or_init(|| {
        // Nothing is run at the end of a test process, so the run lies where the next one replaces it.
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("finished");
        fs_err::create_dir_all(&directory).expect("cargo made the parent");
        let lock = File::create(directory.join("lock")).expect("writable");
        lock.file().lock().expect("another test process ends before long");
        let workspace = Workspace { directory, _temporary: None };
        if workspace.runs().exists() {
            fs_err::remove_dir_all(workspace.runs()).expect("it is ours");
        }
        workspace.write(TINY);
        workspace.command("run").ends(0);
        (workspace, lock)
    });
    workspace
}

/// Every file below a directory with its content, by path.
pub type Snapshot = BTreeMap<PathBuf, Vec<u8>>;

/// See [`Snapshot`]; empty where there is no such directory.
pub fn snapshot(directory: &Path) -> Snapshot {
    files(directory)
        .into_iter()
        .map(|path| {
            let content = fs_err::read(&path).expect("readable");
            (path.strip_prefix(directory).expect("it lies inside").to_owned(), content)
        })
        .collect()
}

/// The same with the times of the last change.
pub fn snapshot_with_times(directory: &Path) -> BTreeMap<PathBuf, (SystemTime, Vec<u8>)> {
    snapshot(directory)
        .into_iter()
        .map(|(name, content)| {
            let changed = fs_err::metadata(directory.join(&name)).expect("just read").modified();
            (name, (changed.expect("every platform we test on keeps it"), content))
        })
        .collect()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs_err::read_dir(directory) else { return found };
    for entry in entries {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort_unstable();
    found
}

/// Copies a directory with everything in it.
pub fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).expect("it lies inside"));
        fs_err::create_dir_all(target.parent().expect("it is below `to`")).expect("writable");
        fs_err::copy(&file, &target).expect("writable");
    }
}

/// A JSON file.
#[track_caller]
pub fn json(path: &Path) -> Value {
    let text = fs_err::read_to_string(path).expect("it was written");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A JSON lines file.
#[track_caller]
pub fn lines(path: &Path) -> Vec<Value> {
    let text = fs_err::read_to_string(path).expect("it was written");
    text.lines().map(|line| serde_json::from_str(line).expect("one object a line")).collect()
}

/// A stage's manifest.
#[track_caller]
pub fn manifest(stage: &Path) -> Value {
    json(&stage.join("manifest.json"))
}

/// Ids of the case reports that ingest wrote, in the file's order.
#[track_caller]
pub fn reports_in(workspace: &Workspace) -> Vec<String> {
    let rows = asclepius_dataset::read_reports(&workspace.stage("corpus").join("reports.parquet")).expect("opens");
    rows.map(|row| row.expect("sound").report_id.to_string()).collect()
}

/// Ids and reasons of a stage's dropped rows, in the file's order.
#[track_caller]
pub fn dropped(stage: &Path) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("a string").to_owned();
    let rows = lines(&stage.join("dropped.jsonl"));
    rows.iter()
        .map(|row| {
            assert!(row["detail"].is_string(), "{row}");
            (text(&row["id"]), text(&row["reason"]))
        })
        .collect()
}
