//! The eight stages, in the order data flows, and where each keeps its result.

use std::fmt;
use std::path::{Path, PathBuf};

use asclepius_schema::{Manifest, Standing};
use clap::ValueEnum;

use crate::failure::{Failure, Hinted, Outcome};

/// A stage of the pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub enum Stage {
    /// Articles to case reports.
    Ingest,
    /// Case reports to notes.
    Notes,
    /// Notes to questions and answers.
    Instruct,
    /// Rows to the filtered, split dataset.
    Dataset,
    /// Continued pre-training.
    Pretrain,
    /// Instruction tuning.
    Sft,
    /// Evaluation.
    Eval,
    /// The report page.
    Report,
}

impl Stage {
    /// Every stage, in order.
    pub const ALL: [Self; 8] =
        [Self::Ingest, Self::Notes, Self::Instruct, Self::Dataset, Self::Pretrain, Self::Sft, Self::Eval, Self::Report];

    /// The stages of `asclepius synth`.
    pub const SYNTH: [Self; 4] = [Self::Ingest, Self::Notes, Self::Instruct, Self::Dataset];

    /// The stage's name: its command and its manifest's `stage`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Notes => "notes",
            Self::Instruct => "instruct",
            Self::Dataset => "dataset",
            Self::Pretrain => "pretrain",
            Self::Sft => "sft",
            Self::Eval => "eval",
            Self::Report => "report",
        }
    }

    /// The stage's directory inside the run directory.
    pub fn directory(self) -> &'static str {
        match self {
            Self::Ingest => "corpus",
            Self::Instruct => "instructions",
            other => other.name(),
        }
    }

    /// Training stages are expensive: when stale, they ask before they throw anything away.
    pub fn is_training(self) -> bool {
        matches!(self, Self::Pretrain | Self::Sft)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The file `name` inside a stage's input directory, or a usage error that names the command which makes it.
pub fn input_file(stage: Stage, made_by: Stage, directory: &Path, name: &str, pipeline: &str) -> Outcome<PathBuf> {
    let path = directory.join(name);
    if path.is_file() {
        // A directory that was not made by a stage has no manifest, and answers for nothing.
        let written = Manifest::read(directory)?.and_then(|manifest| manifest.files.get(name).copied());
        let bytes = fs_err::metadata(&path)?.len();
        return match written {
            Some(written) if written != bytes => Err(crate::run::damage(
                &Standing::Damaged { path, bytes, written },
                format!("delete {} and `asclepius {made_by} {pipeline}` makes it anew", directory.display()),
            )),
            _ => Ok(path),
        };
    }
    Err(Failure::usage(Hinted::new(
        format!("{stage}: its input {} does not exist", path.display()),
        format!(
            "`asclepius {made_by} {pipeline}` makes it; `asclepius run {pipeline}` makes everything that is missing"
        ),
    )))
}
