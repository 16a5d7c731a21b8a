//! The rows a training stage reads: the dataset's own split, or a file of the user's.

use std::path::{Path, PathBuf};

use asclepius_dataset::token_file::LAYOUT_VERSION;
use asclepius_dataset::{
    DatasetError, RowTokens, Side, SideWriters, Sides, TextRow, TokenCache, in_order, instruction_bytes, pretrain_row,
    read_instructions_any, read_notes, read_texts, sft_row, text_bytes,
};
use asclepius_schema::{Fingerprint, Instruction, hash_bytes};
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
            "name a file of texts or rows, or leave `data` out to train on the run's own dataset",
        )));
    }
    let directory = run.input_dir(table.input.as_deref(), Stage::Dataset);
    let file = |split| {
        input_file(stage_of(stage), Stage::Dataset, &directory, &format!("{data}-{split}.parquet"), &run.pipeline.label)
    };
    Ok(Files { train: file("train")?, held_out: Some(file("validation")?) })
}

/// The rows of a training stage, read as they are asked for.
#[derive(Debug)]
pub struct TrainingRows<'a> {
    stage: TrainStage,
    table: &'a TrainConfig,
    files: Files,
    seed: u64,
}

type Read<'a, T> = Box<dyn Iterator<Item = Result<(Side, T), DatasetError>> + Send + 'a>;

impl<'a> TrainingRows<'a> {
    /// Finds the stage's files, and looks whether they have the columns it reads.
    pub fn open(run: &Run, stage: TrainStage, table: &'a TrainConfig) -> Outcome<Self> {
        let rows = Self { stage, table, files: files(run, stage, table)?, seed: run.config().seed };
        match stage {
            TrainStage::Pretrain => drop(rows.read_texts()?),
            TrainStage::Sft => drop(rows.read_instructions()?),
        }
        Ok(rows)
    }

    /// Notes, or texts of a file.
    fn read_texts(&self) -> Result<Read<'_, TextRow>, DatasetError> {
        let Some(validation) = &self.files.held_out else {
            let texts = read_texts(&self.files.train, self.table.text_column.as_deref().unwrap_or("note"))?;
            return Ok(Box::new(texts.map(|row| row.map(|row| (self.draw(&row.id), row)))));
        };
        let notes = |path: &Path, side| -> Result<_, DatasetError> {
            Ok(read_notes(path)?.map(move |note| note.map(|note| (side, TextRow::from(&note)))))
        };
        Ok(Box::new(notes(&self.files.train, Side::Train)?.chain(notes(validation, Side::HeldOut)?)))
    }

    fn read_instructions(&self) -> Result<Read<'_, Instruction>, DatasetError> {
        let Some(validation) = &self.files.held_out else {
            let rows = read_instructions_any(&self.files.train)?;
            // By article, so that no note is on both sides.
            return Ok(Box::new(rows.map(|row| row.map(|row| (self.draw(row.article_id.as_str()), row)))));
        };
        let rows = |path: &Path, side| -> Result<_, DatasetError> {
            Ok(read_instructions_any(path)?.map(move |row| row.map(|row| (side, row))))
        };
        Ok(Box::new(rows(&self.files.train, Side::Train)?.chain(rows(validation, Side::HeldOut)?)))
    }

    fn draw(&self, id: &str) -> Side {
        if held_out(self.seed, id, self.table.validation_fraction) { Side::HeldOut } else { Side::Train }
    }

    /// The first `limit` texts a tokenizer of this data's own is trained on.
    pub fn texts(&self, limit: usize) -> Result<Vec<String>, DatasetError> {
        fn trained_on<T>(row: Result<(Side, T), DatasetError>) -> Option<Result<T, DatasetError>> {
            row.map(|(side, row)| (side == Side::Train).then_some(row)).transpose()
        }
        match self.stage {
            TrainStage::Pretrain => {
                let texts = self.read_texts()?.filter_map(trained_on).take(limit);
                texts.map(|row| Ok(row?.text)).collect()
            }
            TrainStage::Sft => {
                let mut texts = Vec::new();
                for row in self.read_instructions()?.filter_map(trained_on).take(limit) {
                    let row = row?;
                    texts.extend([row.note, row.question, row.answer]);
                }
                texts.truncate(limit);
                Ok(texts)
            }
        }
    }

    /// What the tokens depend on: the rows, how they are cut, and what makes ids and mask of them.
    fn key(&self, tokenizer: &TextTokenizer, template: Option<&InstructionTemplate>) -> Outcome<String> {
        let table = self.table;
        let mut key = Fingerprint::new(self.stage.table())
            .setting("layout", &LAYOUT_VERSION)
            .setting("version", &env!("CARGO_PKG_VERSION"))
            .setting("tokenizer", &tokenizer.ids_fingerprint())
            .setting("template", &template.map(InstructionTemplate::template_hash))
            .setting("sequence_length", &table.sequence_length)
            .setting("packing", &table.packing)
            .setting("text_column", &table.text_column)
            .setting("own split", &self.files.held_out.is_some())
            .setting("held out", &(self.seed, table.validation_fraction));
        for file in self.files.all() {
            key = key.file("rows", file)?;
        }
        Ok(key.finish())
    }

    /// Token ids and loss masks of both sides: from `kept`, where they are sound, else made by way of `making`, which
    /// may be the same cache. `progress` is told how many rows are done, and may stop the work.
    pub fn tokens(
        &self,
        tokenizer: &TextTokenizer,
        kept: &TokenCache,
        making: &TokenCache,
        progress: &(dyn Fn(u64) -> Outcome + Sync),
    ) -> Outcome<Sides> {
        let template = match self.stage {
            TrainStage::Pretrain => None,
            TrainStage::Sft => {
                Some(InstructionTemplate::choose(self.table.template.as_deref().unwrap_or("asclepius"), tokenizer)?)
            }
        };
        let key = self.key(tokenizer, template.as_ref())?;
        match kept.open(&key) {
            Ok(Some(sides)) => {
                tracing::info!(key, "the tokens of an earlier run are used");
                return Ok(sides);
            }
            Ok(None) => {}
            Err(problem) => tracing::warn!("{problem}; the tokens are made anew"),
        }
        let length = self.table.sequence_length;
        making.make(&key, |writers| match &template {
            None => in_order(
                self.read_texts()?,
                |(_, row)| text_bytes(row),
                |(side, row)| Ok((side, pretrain_row(row, tokenizer, length, self.table.packing)?)),
                |row| keep(writers, row, progress),
            ),
            Some(template) => in_order(
                self.read_instructions()?,
                |(_, row)| instruction_bytes(row),
                |(side, row)| Ok((side, sft_row(&row, tokenizer, template, length)?)),
                |row| keep(writers, row, progress),
            ),
        })
    }
}

fn keep(
    writers: &mut SideWriters,
    (side, row): (Side, RowTokens),
    progress: &(dyn Fn(u64) -> Outcome + Sync),
) -> Outcome {
    const ROWS: u64 = 1000; // often enough for a person who waits
    writers.append(side, row)?;
    if writers.rows().is_multiple_of(ROWS) { progress(writers.rows()) } else { Ok(()) }
}

/// Where a run keeps the tokens of a stage: beside the stages, since they depend on nothing but what their key says, and
/// `--fresh` need not make them again.
pub fn cache(run: &Run, stage: TrainStage) -> TokenCache {
    TokenCache::new(run.directory.join("tokens").join(stage.table()))
}

/// Whether the row `id` is held out of a file: a draw from seed and id alone.
fn held_out(seed: u64, id: &str, fraction: f64) -> bool {
    let hash = hash_bytes(format!("held-out {seed} {id}").as_bytes());
    let draw = u64::from_str_radix(&hash[..12], 16).unwrap_or(u64::MAX);
    (draw as f64) < fraction * (1_u64 << 48) as f64
}
