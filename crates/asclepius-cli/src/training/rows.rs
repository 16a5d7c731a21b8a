//! The rows a training stage reads: the dataset's own split, or a file of the user's.

use std::path::{Path, PathBuf};

use asclepius_dataset::tokens::{Tokenised, pretrain_documents, sft_documents};
use asclepius_dataset::{DatasetError, TextRow, read_instructions_any, read_notes, read_texts};
use asclepius_schema::{Instruction, hash_bytes};
use asclepius_text::{InstructionTemplate, TextTokenizer};
use asclepius_train::{TrainConfig, TrainStage};

use crate::failure::{Failure, Hinted, Outcome};
use crate::run::Run;
use crate::stage::{Stage, input_file};
use crate::training::stage_of;

/// Which files a training stage reads.
#[derive(Debug)]
pub struct Files {
    train: PathBuf,
    held_out: Option<PathBuf>,
}

impl Files {
    /// Every file, for the fingerprint.
    pub fn all(&self) -> impl Iterator<Item = &Path> {
        [Some(self.train.as_path()), self.held_out.as_deref()].into_iter().flatten()
    }
}

/// The stage's files, or a usage error that says how to make them.
pub fn files(run: &Run, stage: TrainStage, table: &TrainConfig) -> Outcome<Files> {
    let data = table.data(stage);
    if table.data_is_file(stage) {
        let train = PathBuf::from(data);
        if train.is_file() {
            return Ok(Files { train, held_out: None });
        }
        let message = format!("{}.data = {data:?}: no such file", stage.table());
        return Err(Failure::usage(Hinted::new(
            message,
            "name a parquet file, or leave `data` out to train on the run's own dataset",
        )));
    }
    let directory = run.input_dir(table.input.as_deref(), Stage::Dataset);
    let file = |split| {
        input_file(stage_of(stage), Stage::Dataset, &directory, &format!("{data}-{split}.parquet"), &run.pipeline.label)
    };
    Ok(Files { train: file("train")?, held_out: Some(file("validation")?) })
}

/// Rows in memory, split into those trained on and those held out.
#[derive(Debug)]
pub enum TrainingRows {
    /// Notes, or texts of a file.
    Texts {
        /// Trained on.
        train: Vec<TextRow>,
        /// Held out.
        held_out: Vec<TextRow>,
    },
    /// Instructions.
    Instructions {
        /// Trained on.
        train: Vec<Instruction>,
        /// Held out.
        held_out: Vec<Instruction>,
    },
}

impl TrainingRows {
    /// Reads the stage's files.
    pub fn load(run: &Run, stage: TrainStage, table: &TrainConfig) -> Outcome<Self> {
        let files = files(run, stage, table)?;
        let seed = run.config().seed;
        let aside = |id: &str| held_out(seed, id, table.validation_fraction);
        Ok(match (stage, &files.held_out) {
            (TrainStage::Pretrain, Some(validation)) => {
                let notes = |path: &Path| -> Result<Vec<TextRow>, DatasetError> {
                    read_notes(path)?.map(|note| Ok(TextRow::from(&note?))).collect()
                };
                Self::Texts { train: notes(&files.train)?, held_out: notes(validation)? }
            }
            (TrainStage::Pretrain, None) => {
                let rows: Vec<TextRow> = read_texts(&files.train, table.text_column.as_deref().unwrap_or("note"))?
                    .collect::<Result<_, _>>()?;
                let (held_out, train) = rows.into_iter().partition(|row| aside(&row.id));
                Self::Texts { train, held_out }
            }
            (TrainStage::Sft, Some(validation)) => {
                let rows =
                    |path: &Path| -> Result<Vec<Instruction>, DatasetError> { read_instructions_any(path)?.collect() };
                Self::Instructions { train: rows(&files.train)?, held_out: rows(validation)? }
            }
            (TrainStage::Sft, None) => {
                let rows: Vec<Instruction> = read_instructions_any(&files.train)?.collect::<Result<_, _>>()?;
                // By article, so that no note is on both sides.
                let (held_out, train) = rows.into_iter().partition(|row| aside(row.article_id.as_str()));
                Self::Instructions { train, held_out }
            }
        })
    }

    /// The texts a tokenizer of this data's own is trained on.
    pub fn texts(&self) -> Vec<String> {
        match self {
            Self::Texts { train, .. } => train.iter().map(|row| row.text.clone()).collect(),
            Self::Instructions { train, .. } => {
                train.iter().flat_map(|row| [row.note.clone(), row.question.clone(), row.answer.clone()]).collect()
            }
        }
    }

    /// Token ids and loss masks of both sides.
    pub fn documents(&self, tokenizer: &TextTokenizer, table: &TrainConfig) -> Outcome<(Tokenised, Tokenised)> {
        let length = table.sequence_length;
        Ok(match self {
            Self::Texts { train, held_out } => {
                let documents = |rows: &[TextRow]| {
                    pretrain_documents(rows.iter().cloned().map(Ok), tokenizer, length, table.packing)
                };
                (documents(train)?, documents(held_out)?)
            }
            Self::Instructions { train, held_out } => {
                let template =
                    InstructionTemplate::choose(table.template.as_deref().unwrap_or("asclepius"), tokenizer)?;
                let documents =
                    |rows: &[Instruction]| sft_documents(rows.iter().cloned().map(Ok), tokenizer, &template, length);
                (documents(train)?, documents(held_out)?)
            }
        })
    }
}

/// Whether the row `id` is held out of a file: a draw from seed and id alone.
fn held_out(seed: u64, id: &str, fraction: f64) -> bool {
    let hash = hash_bytes(format!("held-out {seed} {id}").as_bytes());
    let draw = u64::from_str_radix(&hash[..12], 16).unwrap_or(u64::MAX);
    (draw as f64) < fraction * (1_u64 << 48) as f64
}
