//! A pipeline file: each crate's configuration struct under its table, `--set` on top, checked before any work.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use asclepius_corpus::CorpusConfig;
use asclepius_dataset::DatasetConfig;
use asclepius_eval::EvalConfig;
use asclepius_llm::{Endpoint, TeacherConfig};
use asclepius_synth::{InstructConfig, NotesConfig};
use asclepius_train::{TrainConfig, TrainStage};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use toml::de::DeTable;

use crate::failure::{Failure, Hinted, Outcome};
use crate::keys;
use crate::stage::Stage;
use crate::stages::asking::named;
use crate::teacher::JUDGE;

/// One run, from articles to report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PipelineConfig {
    /// The run's name; its directory is `<workdir>/<name>`.
    pub name: String,
    /// Where runs are kept, relative to the current directory.
    pub workdir: PathBuf,
    /// Seed of every draw: tasks, splits, initial weights, shuffling, dropout.
    pub seed: u64,
    /// Threads for computing; 0 takes every core.
    pub threads: usize,
    /// Where case reports come from, and which are admitted.
    pub corpus: CorpusConfig,
    /// The chat model that writes notes, questions and answers.
    pub teacher: TeacherConfig,
    /// How notes are written.
    pub notes: NotesConfig,
    /// How instructions and answers are written.
    pub instruct: InstructConfig,
    /// Gates and splits.
    pub dataset: DatasetConfig<TeacherConfig>,
    /// Continued pre-training; a pipeline without this table has no such stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pretrain: Option<TrainConfig>,
    /// Instruction tuning; a pipeline without this table has no such stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sft: Option<TrainConfig>,
    /// Evaluation.
    pub eval: EvalConfig,
}

impl Default for PipelineConfig {
    fn default() -> Self {
        Self {
            name: "demo".to_owned(),
            workdir: PathBuf::from("runs"),
            seed: 0,
            threads: 0,
            corpus: CorpusConfig::default(),
            teacher: TeacherConfig::default(),
            notes: NotesConfig::default(),
            instruct: InstructConfig::default(),
            dataset: DatasetConfig::default(),
            pretrain: None,
            sft: None,
            eval: EvalConfig::default(),
        }
    }
}

/// A checked pipeline and how it was named.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// What the user typed, for hints.
    pub label: String,
    /// The resolved configuration.
    pub config: PipelineConfig,
}

impl Pipeline {
    /// Reads, overrides and checks a pipeline.
    ///
    /// # Errors
    /// A usage error that names the file, the key and the nearest known key.
    pub fn load(name: &str, overrides: &[String]) -> Outcome<Self> {
        let path = locate(name)?;
        let text = fs_err::read_to_string(&path).map_err(Failure::usage)?;
        let file = path.display().to_string();
        check_keys(&text, &file)?;
        let parsed: Result<PipelineConfig, _> = toml::from_str(&text);
        // The file is checked by itself first: only here do errors still know their line.
        parsed.map_err(|error| Failure::usage(anyhow!("{file}: {}", error.to_string().trim_end())))?;
        let mut table: toml::Table = toml::from_str(&text).with_context(|| file.clone()).map_err(Failure::Usage)?;
        for assignment in overrides {
            set(&mut table, assignment)?;
        }
        if !overrides.is_empty() {
            check_keys(&toml::to_string(&table).map_err(Failure::usage)?, "--set")?;
        }
        let config = PipelineConfig::deserialize(table)
            .map_err(|error| Failure::usage(anyhow!("{file} with --set: {}", error.to_string().trim_end())))?;
        config.check().map_err(|error| Failure::Usage(error.context(file)))?;
        Ok(Self { label: name.to_owned(), config })
    }

    /// The run's directory.
    pub fn run_dir(&self) -> PathBuf {
        self.config.workdir.join(&self.config.name)
    }
}

impl PipelineConfig {
    /// Whether `run` has this stage to do: training where there is a table for it, and the data half and evaluation
    /// unless everything that trains reads files of the user's own.
    pub fn has(&self, stage: Stage) -> bool {
        let tables = [(TrainStage::Pretrain, &self.pretrain), (TrainStage::Sft, &self.sft)];
        let mut tables = tables.into_iter().filter_map(|(stage, table)| Some((stage, table.as_ref()?))).peekable();
        let files_only = tables.peek().is_some() && tables.all(|(stage, table)| table.data_is_file(stage));
        match stage {
            Stage::Pretrain => self.pretrain.is_some(),
            Stage::Sft => self.sft.is_some(),
            Stage::Report => true,
            Stage::Eval => !files_only || self.eval.input.is_some(),
            _ => !files_only,
        }
    }

    /// The JSON schema of a pipeline file: the one list of known keys.
    pub fn schema() -> schemars::Schema {
        schema_for!(PipelineConfig)
    }

    fn check(&self) -> anyhow::Result<()> {
        let named = !self.name.is_empty()
            && self.name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
            && !self.name.starts_with('.');
        if !named {
            return Err(anyhow!(
                "name = {:?}: letters, digits, `-`, `_` and `.` only, as it names a directory",
                self.name
            ));
        }
        self.corpus.validate().context("[corpus]")?;
        self.teacher.validate().context("[teacher]")?;
        self.notes.validate().context("[notes]")?;
        self.instruct.validate().context("[instruct]")?;
        self.dataset.validate().context("[dataset]")?;
        if let Some(judge) = &self.dataset.judge {
            check_judge(judge).context("[dataset.judge]")?;
        }
        if let Some(pretrain) = &self.pretrain {
            pretrain.validate(TrainStage::Pretrain).context("[pretrain]")?;
        }
        if let Some(sft) = &self.sft {
            sft.validate(TrainStage::Sft).context("[sft]")?;
        }
        self.eval.validate().context("[eval]")
    }
}

/// The keys of `[teacher]`, but for the one that cannot judge.
fn check_judge(judge: &TeacherConfig) -> anyhow::Result<()> {
    judge.validate().map_err(|error| named(error, JUDGE))?;
    if judge.endpoint()? == Endpoint::Extractive {
        return Err(anyhow!(
            "{JUDGE}.endpoint = {:?}: sorting sentences is no judgement; name a chat API's base URL, or embedded:model",
            judge.endpoint
        ));
    }
    Ok(())
}

/// A path as typed, or `pipelines/NAME.toml`.
fn locate(name: &str) -> Outcome<PathBuf> {
    let typed = PathBuf::from(name);
    if typed.is_file() {
        return Ok(typed);
    }
    let named = Path::new("pipelines").join(format!("{}.toml", name.strip_suffix(".toml").unwrap_or(name)));
    if named.is_file() {
        return Ok(named);
    }
    let mut known: Vec<String> = fs_err::read_dir("pipelines")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_string_lossy().strip_suffix(".toml").map(str::to_owned))
        .collect();
    known.sort_unstable();
    let hint = if known.is_empty() {
        "run from the project's root, or give the path of a pipeline file".to_owned()
    } else {
        format!("known pipelines: {}", known.join(", "))
    };
    Err(Failure::usage(Hinted::new(
        format!("no pipeline {name}: neither {name} nor {} is a file", named.display()),
        hint,
    )))
}

fn check_keys(text: &str, file: &str) -> Outcome {
    let table = DeTable::parse(text)
        .map_err(|error| Failure::usage(anyhow!("{file}: not valid TOML: {}", error.to_string().trim_end())))?;
    let unknown = keys::unknown_keys(text, &table, &PipelineConfig::schema());
    let Some(first) = unknown.first() else { return Ok(()) };
    let place = if file == "--set" { file.to_owned() } else { format!("{file}:{}", first.line) };
    let hint = match &first.nearest {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => "`asclepius reference` lists every key".to_owned(),
    };
    Err(Failure::usage(Hinted::new(format!("{place}: unknown key `{}`", first.path), hint)))
}

/// Puts `a.b.c=value` into the table. What does not parse as TOML is a string.
fn set(table: &mut toml::Table, assignment: &str) -> Outcome {
    let Some((key, value)) = assignment.split_once('=') else {
        return Err(Failure::usage(anyhow!("--set {assignment}: expected KEY=VALUE")));
    };
    let parsed = format!("value = {value}").parse::<toml::Table>().ok().and_then(|mut table| table.remove("value"));
    let value = parsed.unwrap_or_else(|| toml::Value::String(value.to_owned()));
    let mut parts: Vec<&str> = key.trim().split('.').collect();
    let last = parts.pop().unwrap_or_default();
    let mut inner = table;
    for part in parts {
        let entry = inner.entry(part).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        inner = entry
            .as_table_mut()
            .ok_or_else(|| Failure::usage(anyhow!("--set {assignment}: `{part}` is a value, not a table")))?;
    }
    inner.insert(last.to_owned(), value);
    Ok(())
}
