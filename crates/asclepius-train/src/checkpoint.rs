//! Step directories, `step-000500/`: weights or adapter, optimizer, state. They appear whole or not at all, and an older
//! one goes only after a newer one has been read back.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use asclepius_model::checkpoint::TensorFile;
use asclepius_schema::PARTIAL_FILE_PREFIX;
use fs_err::File;
use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::error::CheckpointProblem;
use crate::horizon::Patience;
use crate::loss_scale::LossScale;

/// The moments, named after their parameters.
pub const OPTIMIZER_FILE: &str = "optimizer.safetensors";
/// Where the run stood.
pub const STATE_FILE: &str = "state.json";
/// The directory of the finished model or adapter.
pub const FINAL_DIRECTORY: &str = "final";
const PREFIX: &str = "step-";
const PARTIAL: &str = ".partial";
const OLD: &str = ".old";
/// Version 2 added `patience`.
const STATE_VERSION: u32 = 2;
/// The oldest version that is read.
const FIRST_VERSION: u32 = 1;

/// Where a run stood when a checkpoint was written. Shuffling, dropout and learning rate are functions of seed and step,
/// so this is all that the run's future depends on beside weights and moments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunState {
    /// Version of this file's layout.
    pub version: u32,
    /// Optimizer steps done.
    pub step: u64,
    /// Optimizer steps of the whole run: the schedule's horizon.
    pub total_steps: u64,
    /// The learning rate of the next step.
    pub next_learning_rate: f64,
    /// Seed of shuffling and dropout, which also take the step.
    pub seed: u64,
    /// Where in the data the next step begins.
    pub data: DataPosition,
    /// Tokens that went through the model so far.
    pub tokens: u64,
    /// Time spent in training so far.
    pub seconds: f64,
    /// Fingerprint of data and settings.
    pub identity: String,
    /// What early stopping remembers; nothing where it is off, as in every file of version 1.
    #[serde(default)]
    pub patience: Patience,
    /// In f16, what the next step's loss is scaled by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_scale: Option<LossScale>,
}

impl RunState {
    /// The state before the first of `total_steps`.
    pub(crate) fn new(total_steps: u64, seed: u64, identity: String) -> Self {
        let data = DataPosition { epoch: 0, step_in_epoch: 0 };
        Self {
            version: STATE_VERSION,
            step: 0,
            total_steps,
            next_learning_rate: 0.0,
            seed,
            data,
            tokens: 0,
            seconds: 0.0,
            identity,
            patience: Patience::default(),
            loss_scale: None,
        }
    }
}

/// A place in the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataPosition {
    /// Passes finished.
    pub epoch: u64,
    /// Optimizer steps finished in the current pass.
    pub step_in_epoch: u64,
}

/// The name of a step's directory.
pub fn step_name(step: u64) -> String {
    format!("{PREFIX}{step:06}")
}

/// The step directories in `directory` with their steps, by number.
///
/// # Errors
/// When the directory cannot be read.
pub fn step_directories(directory: &Path) -> Result<Vec<(u64, PathBuf)>, TrainError> {
    let mut found = Vec::new();
    if !directory.exists() {
        return Ok(found);
    }
    for entry in fs_err::read_dir(directory)? {
        let path = entry?.path();
        let step = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix(PREFIX));
        if let Some(step) = step.and_then(|digits| digits.parse().ok())
            && path.is_dir()
        {
            found.push((step, path));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Mends what an interrupted [`publish`] or [`rotate`] left: a directory that was moved aside while its successor had not
/// yet taken its name gets it back, whatever is half written or half removed goes.
///
/// # Errors
/// When the directory cannot be read or a leftover not removed.
pub fn recover(directory: &Path) -> Result<(), TrainError> {
    for entry in fs_err::read_dir(directory)? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if name.starts_with(PARTIAL_FILE_PREFIX) && path.is_file() {
            fs_err::remove_file(&path)?;
        }
        let Some(name) = name.strip_prefix('.').filter(|_| path.is_dir()) else { continue };
        let known = |name: &str| name.starts_with(PREFIX) || name == FINAL_DIRECTORY;
        if name.strip_suffix(PARTIAL).is_some_and(known) {
            fs_err::remove_dir_all(&path)?;
        } else if let Some(name) = name.strip_suffix(OLD).filter(|name| known(name)) {
            if directory.join(name).exists() {
                fs_err::remove_dir_all(&path)?;
            } else {
                fs_err::rename(&path, directory.join(name))?;
            }
        }
    }
    Ok(())
}

/// Writes a directory through a temporary name: `write` fills it, everything is fsynced, `verify` reads it back, and
/// only then it takes its name, replacing what stood there.
///
/// # Errors
/// When writing or verifying fails; what stood there before is then untouched.
pub fn publish(
    parent: &Path,
    name: &str,
    write: impl FnOnce(&Path) -> Result<(), TrainError>,
    verify: impl FnOnce(&Path) -> Result<(), TrainError>,
) -> Result<PathBuf, TrainError> {
    let (partial, old, target) =
        (parent.join(format!(".{name}{PARTIAL}")), parent.join(format!(".{name}{OLD}")), parent.join(name));
    for leftover in [&partial, &old] {
        if leftover.exists() {
            fs_err::remove_dir_all(leftover)?;
        }
    }
    fs_err::create_dir_all(&partial)?;
    write(&partial)?;
    for path in sorted_files(&partial)? {
        File::open(&path)?.sync_all()?;
    }
    File::open(&partial)?.sync_all()?;
    verify(&partial)?;
    if target.exists() {
        fs_err::rename(&target, &old)?;
    }
    fs_err::rename(&partial, &target)?;
    File::open(parent)?.sync_all()?;
    if old.exists() {
        fs_err::remove_dir_all(&old)?;
    }
    Ok(target)
}

/// Removes all but the `keep` step directories of the highest numbers, and `best`, the step whose weights are the best.
///
/// # Errors
/// When one cannot be removed.
pub fn rotate(directory: &Path, keep: usize, best: Option<u64>) -> Result<(), TrainError> {
    let found = step_directories(directory)?;
    for (step, path) in &found[..found.len().saturating_sub(keep)] {
        if best == Some(*step) {
            continue;
        }
        // Under another name first: what is removed by halves must not look like a checkpoint.
        let aside = directory.join(format!(".{}{PARTIAL}", step_name(*step)));
        fs_err::rename(path, &aside)?;
        fs_err::remove_dir_all(&aside)?;
    }
    Ok(())
}

/// Writes `state.json`.
///
/// # Errors
/// When the file cannot be written.
pub fn write_state(directory: &Path, state: &RunState) -> Result<(), TrainError> {
    let path = directory.join(STATE_FILE);
    let mut text =
        serde_json::to_string_pretty(state).map_err(|error| problem(&path, CheckpointProblem::Json(error)))?;
    text.push('\n');
    Ok(fs_err::write(&path, text)?)
}

/// Reads `state.json`.
///
/// # Errors
/// When the file is missing, damaged, or of another version.
pub fn read_state(directory: &Path) -> Result<RunState, TrainError> {
    let path = directory.join(STATE_FILE);
    let state: RunState = serde_json::from_slice(&fs_err::read(&path)?)
        .map_err(|error| problem(&path, CheckpointProblem::Json(error)))?;
    if (FIRST_VERSION..=STATE_VERSION).contains(&state.version) {
        Ok(state)
    } else {
        Err(problem(&path, CheckpointProblem::Version { found: state.version, expected: STATE_VERSION }))
    }
}

/// Reads the headers of the tensor files and checks that together they hold exactly `expected`, each of its shape. A file's length is checked against its header, so one cut short is noticed.
///
/// # Errors
/// When a file is damaged, or a tensor is missing, unexpected, or of another shape.
pub fn verify_tensors(files: &[PathBuf], expected: &BTreeMap<String, Vec<usize>>) -> Result<(), TrainError> {
    let mut missing: BTreeSet<&String> = expected.keys().collect();
    for path in files {
        let file = TensorFile::open(path)?;
        for name in file.names() {
            let found = file.shape(name).unwrap_or_default();
            match expected.get_key_value(name) {
                None => return Err(problem(path, CheckpointProblem::UnexpectedTensor(name.to_owned()))),
                Some((_, shape)) if shape != found => {
                    let (found, expected) = (found.to_vec(), shape.clone());
                    return Err(problem(path, CheckpointProblem::Shape { name: name.to_owned(), found, expected }));
                }
                Some((name, _)) => missing.remove(name),
            };
        }
    }
    match (missing.first(), files.first()) {
        (None, _) => Ok(()),
        (Some(&name), Some(path)) => Err(problem(path, CheckpointProblem::MissingTensor(name.clone()))),
        (Some(_), None) => Err(TrainError::NothingTrainable),
    }
}

/// The safetensors files in a directory other than the optimizer's, sorted.
///
/// # Errors
/// When the directory cannot be read.
pub fn weight_files(directory: &Path) -> Result<Vec<PathBuf>, TrainError> {
    let is_weights = |path: &PathBuf| {
        path.extension().is_some_and(|extension| extension == "safetensors") && !path.ends_with(OPTIMIZER_FILE)
    };
    Ok(sorted_files(directory)?.into_iter().filter(is_weights).collect())
}

fn sorted_files(directory: &Path) -> Result<Vec<PathBuf>, TrainError> {
    let mut files = Vec::new();
    for entry in fs_err::read_dir(directory)? {
        let path = entry?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort_unstable();
    Ok(files)
}

pub(crate) fn problem(path: &Path, problem: CheckpointProblem) -> TrainError {
    TrainError::Checkpoint { path: path.to_owned(), problem }
}

#[cfg(test)]
mod tests {
    use asclepius_model::checkpoint::write_tensors;
    use candle_core::{DType, Device, Tensor};

    use super::*;

    fn directories(parent: &Path) -> Vec<u64> {
        step_directories(parent).expect("readable").into_iter().map(|(step, _)| step).collect()
    }

    #[test]
    fn steps_are_ordered_and_kept_by_number_not_by_name() {
        let parent = tempfile::tempdir().expect("a temporary directory");
        for step in [999_999, 1_000_000, 5, 40] {
            fs_err::create_dir(parent.path().join(step_name(step))).expect("writable");
        }
        fs_err::create_dir(parent.path().join(".step-000007.partial")).expect("writable");
        assert_eq!(directories(parent.path()), [5, 40, 999_999, 1_000_000]);
        rotate(parent.path(), 2, None).expect("removable");
        assert_eq!(directories(parent.path()), [999_999, 1_000_000]);
        rotate(parent.path(), 2, None).expect("nothing to do");
        assert_eq!(directories(parent.path()), [999_999, 1_000_000]);
        rotate(parent.path(), 1, Some(999_999)).expect("nothing to do");
        assert_eq!(directories(parent.path()), [999_999, 1_000_000], "the best stays");
    }

    #[test]
    fn a_kill_between_the_renames_costs_nothing() {
        let content = |path: &Path| fs_err::read_to_string(path.join("a")).expect("whole");
        for name in ["final", "step-000005"] {
            let parent = tempfile::tempdir().expect("a temporary directory");
            let make = |name: &str, text: &str| {
                fs_err::create_dir(parent.path().join(name)).expect("writable");
                fs_err::write(parent.path().join(name).join("a"), text).expect("writable");
            };
            let hidden = || {
                let entries = fs_err::read_dir(parent.path()).expect("readable");
                entries
                    .filter(|entry| entry.as_ref().is_ok_and(|e| e.file_name().as_encoded_bytes()[0] == b'.'))
                    .count()
            };
            // Moved aside, the successor complete but without its name.
            make(&format!(".{name}.old"), "old");
            make(&format!(".{name}.partial"), "new");
            recover(parent.path()).expect("mendable");
            assert_eq!((content(&parent.path().join(name)), hidden()), ("old".to_owned(), 0));
            // The successor stands, its predecessor not yet removed.
            make(&format!(".{name}.old"), "older");
            recover(parent.path()).expect("mendable");
            assert_eq!((content(&parent.path().join(name)), hidden()), ("old".to_owned(), 0));
            // Nothing of ours is touched.
            make(".cache.old", "a user's");
            recover(parent.path()).expect("nothing to mend");
            assert_eq!(content(&parent.path().join(".cache.old")), "a user's");
        }
    }

    #[test]
    fn a_directory_that_does_not_verify_never_takes_the_name() {
        let parent = tempfile::tempdir().expect("a temporary directory");
        let write = |content: &'static str| {
            move |path: &Path| -> Result<(), TrainError> { Ok(fs_err::write(path.join("a"), content)?) }
        };
        publish(parent.path(), "final", write("1"), |_| Ok(())).expect("writable");
        let refuse = |path: &Path| Err(problem(path, CheckpointProblem::MissingTensor("a".to_owned())));
        publish(parent.path(), "final", write("2"), refuse).expect_err("does not verify");
        assert_eq!(fs_err::read(parent.path().join("final/a")).expect("still there"), b"1");
        publish(parent.path(), "final", write("3"), |_| Ok(())).expect("the leftover is no obstacle");
        assert_eq!(fs_err::read(parent.path().join("final/a")).expect("replaced"), b"3");
    }

    #[test]
    fn a_tensor_file_must_be_whole_and_hold_exactly_what_is_expected() {
        let parent = tempfile::tempdir().expect("a temporary directory");
        let path = parent.path().join(OPTIMIZER_FILE);
        let tensor = Tensor::ones(4, DType::F32, &Device::Cpu).expect("room");
        write_tensors(&path, &BTreeMap::from([("a".to_owned(), tensor)])).expect("writable");
        let verify = |names: &[&str], shape: usize| {
            let expected = names.iter().map(|&name| (name.to_owned(), vec![shape])).collect();
            verify_tensors(std::slice::from_ref(&path), &expected)
        };
        verify(&["a"], 4).expect("just written");
        for (names, shape) in [(vec!["a", "b"], 4), (vec![], 4), (vec!["a"], 5)] {
            let error = verify(&names, shape).expect_err("something else was expected");
            assert!(matches!(error, TrainError::Checkpoint { .. }), "{error}");
        }
        let bytes = fs_err::read(&path).expect("written");
        fs_err::write(&path, &bytes[..bytes.len() - 1]).expect("writable");
        let error = verify(&["a"], 4).expect_err("cut short");
        assert!(error.to_string().contains(OPTIMIZER_FILE), "{error}");
    }

    #[test]
    fn a_state_survives_the_disk_and_another_version_is_refused() {
        let parent = tempfile::tempdir().expect("a temporary directory");
        let state = RunState { step: 3, tokens: 7, ..RunState::new(10, 1, "id".to_owned()) };
        write_state(parent.path(), &state).expect("writable");
        assert_eq!(read_state(parent.path()).expect("readable"), state);
        let mut old = serde_json::to_value(&state).expect("plain data");
        old["version"] = 1.into();
        old.as_object_mut().and_then(|old| old.remove("patience")).expect("it is written");
        fs_err::write(parent.path().join(STATE_FILE), old.to_string()).expect("writable");
        let read = read_state(parent.path()).expect("version 1 lacks what had not been thought of");
        assert_eq!(RunState { version: 2, ..read }, state);
        write_state(parent.path(), &RunState { version: 3, ..state }).expect("writable");
        assert!(matches!(read_state(parent.path()), Err(TrainError::Checkpoint { .. })));
    }
}
