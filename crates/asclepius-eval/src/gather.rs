//! Everything the report shows, read from a run's directory. A stage that has not run is simply not there.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;

use asclepius_schema::{CallLineage, Dropped, Instruction, Licence, Manifest, Note, Task, read_dropped};
use serde::Deserialize;

use crate::EvalError;
use crate::results::Evaluation;

/// One line of `metrics.jsonl`, as far as the report needs it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Metric {
    /// Optimizer step.
    pub step: u64,
    /// Training loss; absent on evaluation rows.
    pub loss: Option<f64>,
    /// Held-out loss; absent on training rows.
    pub eval_loss: Option<f64>,
    /// Tokens the step computed.
    pub tokens: Option<u64>,
    /// Tokens with a label.
    pub supervised_tokens: Option<u64>,
    /// Seconds the step took.
    pub seconds: Option<f64>,
    /// The most memory in use so far: what tensors held on a card, or all that the process held.
    pub peak_memory_bytes: Option<u64>,
}

/// A finished stage.
#[derive(Debug, Clone)]
pub struct StageFacts {
    /// Its manifest.
    pub manifest: Manifest,
    /// What it dropped.
    pub dropped: Vec<Dropped>,
    /// Its metrics, where it trained.
    pub metrics: Vec<Metric>,
}

/// An article that rows were made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribution {
    /// Authors, title, journal, year, DOI and licence in one line.
    pub line: String,
    /// Its licence.
    pub licence: Licence,
    /// Where the licence's words are.
    pub licence_url: String,
}

/// A run as the report sees it.
#[derive(Debug, Clone, Default)]
pub struct RunFacts {
    /// The run's name.
    pub name: String,
    /// `config.resolved.toml`.
    pub configuration: String,
    /// Finished stages, in pipeline order.
    pub stages: Vec<StageFacts>,
    /// Models that wrote the data, sorted.
    pub teachers: Vec<String>,
    /// Notes in the dataset by the licence of their source.
    pub licences: BTreeMap<Licence, u64>,
    /// Instructions in the dataset by task.
    pub tasks: BTreeMap<Task, u64>,
    /// Rows by what was asked for (`note`, `question`, `answer`, a judge's rating of one) and the hash of the prompt that asked.
    pub prompts: BTreeMap<(&'static str, String), u64>,
    /// The articles behind the dataset: who is to be credited, and the licence with its address.
    pub attributions: BTreeMap<String, Attribution>,
    /// Words in each note of the dataset.
    pub note_words: Vec<usize>,
    /// Words in each question.
    pub question_words: Vec<usize>,
    /// Words in each answer, by task.
    pub answer_words: BTreeMap<Task, Vec<usize>>,
    /// The first instruction of each task.
    pub samples: Vec<Instruction>,
    /// The evaluation, where there is one.
    pub evaluation: Option<Evaluation>,
}

/// The directories of a run, in pipeline order.
const STAGES: [&str; 7] = ["corpus", "notes", "instructions", "dataset", "pretrain", "sft", "eval"];

impl RunFacts {
    /// Reads a run's directory.
    ///
    /// # Errors
    /// When a file that is there cannot be read as what it should be.
    pub fn gather(run_dir: &Path, name: &str, configuration: &str) -> Result<Self, EvalError> {
        let mut facts = Self { name: name.to_owned(), configuration: configuration.to_owned(), ..Self::default() };
        for directory in STAGES.map(|stage| run_dir.join(stage)) {
            if let Some(manifest) = Manifest::read(&directory)? {
                let (dropped, metrics) = (read_dropped(&directory)?, read_metrics(&directory)?);
                facts.stages.push(StageFacts { manifest, dropped, metrics });
            }
        }
        facts.add_dataset(&run_dir.join("dataset"))?;
        let path = run_dir.join("eval/report.json");
        if path.is_file() {
            let text = fs_err::read_to_string(&path)?;
            let evaluation = serde_json::from_str(&text).map_err(|source| EvalError::Json { path, source })?;
            facts.evaluation = Some(evaluation);
        }
        Ok(facts)
    }

    /// Reads a dataset's directory alone, which may have come from elsewhere.
    ///
    /// # Errors
    /// When a file that is there cannot be read as what it should be.
    pub fn of_dataset(directory: &Path) -> Result<Self, EvalError> {
        let mut facts = Self::default();
        if let Some(manifest) = Manifest::read(directory)? {
            facts.stages.push(StageFacts { manifest, dropped: read_dropped(directory)?, metrics: Vec::new() });
        }
        facts.add_dataset(directory)?;
        Ok(facts)
    }

    /// The finished stage of this name.
    pub fn stage(&self, name: &str) -> Option<&StageFacts> {
        self.stages.iter().find(|stage| stage.manifest.stage == name)
    }

    fn teacher(&mut self, model: &str) {
        if !model.is_empty() && !self.teachers.iter().any(|known| known == model) {
            self.teachers.push(model.to_owned());
        }
    }

    fn prompt(&mut self, asked_for: &'static str, call: &CallLineage) {
        if !call.prompt_hash.is_empty() {
            *self.prompts.entry((asked_for, call.prompt_hash.clone())).or_default() += 1;
        }
    }

    fn add_dataset(&mut self, directory: &Path) -> Result<(), EvalError> {
        for split in ["train", "validation"] {
            self.add_notes(&directory.join(format!("notes-{split}.parquet")))?;
            self.add_instructions(&directory.join(format!("instructions-{split}.parquet")))?;
        }
        self.teachers.sort_unstable();
        self.samples.sort_by_key(|row| row.task);
        Ok(())
    }

    fn add_notes(&mut self, path: &Path) -> Result<(), EvalError> {
        if !path.is_file() {
            return Ok(());
        }
        for note in asclepius_dataset::read_notes(path)? {
            let note: Note = note?;
            *self.licences.entry(note.licence).or_default() += 1;
            self.note_words.push(note.note.split_whitespace().count());
            self.teacher(&note.teacher_model);
            self.prompt("note", &note.note_call);
            if let Some(judge) = &note.judge {
                self.prompt("judge of the note", &judge.call);
            }
            self.attributions.entry(note.article_id.to_string()).or_insert(Attribution {
                line: note.attribution,
                licence: note.licence,
                licence_url: note.licence_url,
            });
        }
        Ok(())
    }

    fn add_instructions(&mut self, path: &Path) -> Result<(), EvalError> {
        if !path.is_file() {
            return Ok(());
        }
        for row in asclepius_dataset::read_instructions(path)? {
            let row = row?;
            *self.tasks.entry(row.task).or_default() += 1;
            self.question_words.push(row.question.split_whitespace().count());
            self.answer_words.entry(row.task).or_default().push(row.answer.split_whitespace().count());
            self.teacher(&row.teacher_model);
            self.prompt("question", &row.question_call);
            self.prompt("answer", &row.answer_call);
            if let Some(judge) = &row.judge {
                self.prompt("judge of the answer", &judge.call);
            }
            if !self.samples.iter().any(|sample| sample.task == row.task) {
                self.samples.push(row);
            }
        }
        Ok(())
    }
}

fn read_metrics(directory: &Path) -> Result<Vec<Metric>, EvalError> {
    let path = directory.join("metrics.jsonl");
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let mut rows = Vec::new();
    for line in BufReader::new(fs_err::File::open(&path)?).lines() {
        let row = serde_json::from_str(&line?).map_err(|source| EvalError::Json { path: path.clone(), source })?;
        rows.push(row);
    }
    Ok(rows)
}
