//! What a model gave, kept on disk until all models are done: an evaluation that is interrupted goes on with the next one.

use std::path::PathBuf;

use asclepius_eval::ModelOutcome;
use asclepius_schema::write_atomically;

use crate::failure::Outcome;
use crate::run::Run;

/// The outcomes of one evaluation, by its fingerprint; those of another one are thrown away.
#[derive(Debug)]
pub struct Kept {
    directory: PathBuf,
    parent: PathBuf,
}

impl Kept {
    pub fn open(run: &Run, fingerprint: &str) -> Outcome<Self> {
        let parent = run.directory.join(".eval.models");
        let directory = parent.join(fingerprint);
        if parent.is_dir() && !directory.is_dir() {
            fs_err::remove_dir_all(&parent)?;
        }
        fs_err::create_dir_all(&directory)?;
        Ok(Self { directory, parent })
    }

    /// The outcome of model number `index`: as it was kept, or else as `make` makes it. It is read back from the file either
    /// way, so that an evaluation that was interrupted gives the same bytes.
    pub fn outcome(&self, index: usize, make: impl FnOnce() -> Outcome<ModelOutcome>) -> Outcome<ModelOutcome> {
        let path = self.directory.join(format!("{index}.json"));
        if !path.is_file() {
            write_atomically(&path, serde_json::to_string(&make()?)?.as_bytes())?;
        }
        let text = fs_err::read_to_string(&path)?;
        Ok(serde_json::from_str(&text).map_err(|source| asclepius_eval::EvalError::Json { path, source })?)
    }

    pub fn forget(self) -> Outcome {
        Ok(fs_err::remove_dir_all(self.parent)?)
    }
}
