//! `asclepius model card`: what a run made, gathered from its directory; `model push` publishes the same.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use asclepius_eval::model_card::{Base, ModelFacts, Training, render};
use asclepius_eval::{Evaluation, RunFacts};
use asclepius_schema::{Manifest, write_atomically};
use asclepius_text::TextTokenizer;
use asclepius_train::{FINAL_DIRECTORY, TrainConfig, TrainStage};
use serde_json::Value;

use crate::args::{CardArgs, PipelineArgs};
use crate::commands::data::prompts;
use crate::failure::{Failure, Hinted, Outcome};
use crate::output;
use crate::pipeline::Pipeline;
use crate::run::{self, Run};
use crate::stage::Stage;
use crate::training::{stage_of, table};
use crate::{adapter, base, stages};

/// Settings that change no weights, or are paths of the machine they were made for.
const NOT_SHOWN: [&str; 10] =
    ["input", "base", "data", "template", "init.tokenizer", "device", "recompute", "save_every", "keep", "tensorboard"];

/// Prints the card, or writes it to a file.
pub fn run(pipeline: &PipelineArgs, card: &CardArgs, out: Option<&Path>) -> Outcome {
    let run = run::look(Pipeline::load(&pipeline.pipeline, &pipeline.set)?)?;
    let made = Made::gather(&run, card, None)?;
    let text = render(&made.facts, &prompts(&run.pipeline));
    match out {
        None => output::data(&text),
        Some(out) if out.exists() => Err(Failure::usage(anyhow!("--out {}: exists already", out.display()))),
        Some(out) => Ok(write_atomically(out, text.as_bytes())?),
    }
}

/// A model that a run made.
#[derive(Debug)]
pub struct Made {
    /// Where it lies.
    pub directory: PathBuf,
    /// What is known of it.
    pub facts: ModelFacts,
}

impl Made {
    /// Gathers what a run knows of its model. It has to be finished, and what the pipeline says it is.
    pub fn gather(run: &Run, card: &CardArgs, repository: Option<&str>) -> Outcome<Self> {
        let stage = stage(run, card)?;
        let own = RunFacts::gather(&run.directory, &run.config().name, "")?;
        let mut trainings = Vec::new();
        let mut datasets: Vec<(Option<PathBuf>, RunFacts)> = Vec::new();
        for stage in lineage(run, stage)? {
            finished(run, stage)?;
            let table = table(run, stage)?;
            let from_file = table.data_is_file(stage);
            if !from_file && !datasets.iter().any(|(input, _)| *input == table.input) {
                let facts = table.input.as_deref().map_or_else(|| Ok(own.clone()), RunFacts::of_dataset)?;
                datasets.push((table.input.clone(), facts));
            }
            let data = match from_file {
                true => "rows of a file that no run here made".to_owned(),
                false => format!("the {} of the dataset's training split", table.data(stage)),
            };
            let found = own.stage(stage.table()).ok_or_else(|| anyhow!("{}: its manifest is gone", stage.table()))?;
            let settings = settings(table, stage, run.config().seed)?;
            trainings.push(Training { stage: found.clone(), data, settings });
        }
        let directory = run.stage_dir(stage_of(stage)).join(FINAL_DIRECTORY);
        let is_adapter = directory.join(adapter::CONFIG_FILE).is_file();
        let first = table(run, *lineage(run, stage)?.first().unwrap_or(&stage))?;
        let origin = match (&first.base, is_adapter) {
            (None, _) => Base::Random,
            (Some(base), _) if !Path::new(base).is_dir() => Base::Hub(base.clone()),
            (Some(_), false) => card.base_id.clone().map_or(Base::Directory, Base::Hub),
            (Some(_), true) => Base::Directory,
        };
        if let (Base::Random, false, Some(id)) = (&origin, is_adapter, &card.base_id) {
            return Err(Failure::usage(anyhow!("--base-id {id}: the model began with random weights")));
        }
        let is_on_merged = is_adapter && adapter::merged_before(&directory)?.is_some();
        let named = match (&origin, is_adapter) {
            (_, true) => Some(adapter::named_base(&directory)?).filter(|base| !is_on_merged && on_the_hub(base)),
            (Base::Hub(id), false) => Some(id.clone()),
            (_, false) => None,
        };
        let own_name = format!("{}-{}", run.config().name, stage.table());
        let named_repository = repository.and_then(|repository| repository.rsplit('/').next());
        let facts = ModelFacts {
            name: named_repository.map_or(own_name, str::to_owned),
            repository: repository.map(str::to_owned),
            stage: stage.table(),
            origin_licence: first.base.as_deref().and_then(base::licence),
            origin,
            base_model: the_one(named, card.base_id.as_deref())?,
            is_adapter,
            is_on_merged,
            converses: TextTokenizer::load(&directory)?.chat_template().is_some(),
            trainings,
            datasets: datasets.into_iter().map(|(_, facts)| facts).collect(),
            dataset_id: card.dataset_id.clone(),
            evaluation: evaluation(run, &own),
        };
        Ok(Self { directory, facts })
    }
}

/// Whether a base's name is one that others have it under.
pub fn on_the_hub(base: &str) -> bool {
    base::is_hub_id(base) && !Path::new(base).exists()
}

/// The base's name on the hub: as the model has it, or as it is given where the model has none.
pub fn the_one(named: Option<String>, given: Option<&str>) -> Outcome<Option<String>> {
    match (named, given) {
        (Some(named), Some(given)) if named != given => {
            Err(Failure::usage(anyhow!("--base-id {given}: the model's base is {named} already")))
        }
        (named, given) => Ok(named.or_else(|| given.map(str::to_owned))),
    }
}

/// The stage that is asked for, or the last that the pipeline trains.
fn stage(run: &Run, card: &CardArgs) -> Outcome<TrainStage> {
    let config = run.config();
    match (card.stage, &config.sft, &config.pretrain) {
        (Some(stage), ..) => table(run, stage).map(|_| stage),
        (None, Some(_), _) => Ok(TrainStage::Sft),
        (None, None, Some(_)) => Ok(TrainStage::Pretrain),
        (None, None, None) => Err(Failure::usage(anyhow!("pipeline {} trains no model", run.pipeline.label))),
    }
}

/// The trainings that lead to a stage's model, in order.
fn lineage(run: &Run, stage: TrainStage) -> Outcome<Vec<TrainStage>> {
    let table = table(run, stage)?;
    let goes_on = stage == TrainStage::Sft && table.base.is_none() && table.init.is_none();
    Ok(if goes_on { vec![TrainStage::Pretrain, stage] } else { vec![stage] })
}

/// Refuses a stage that has not come to its end, or that was made from other data or settings than the pipeline says.
fn finished(run: &Run, stage: TrainStage) -> Outcome {
    let (stage, label) = (stage_of(stage), &run.pipeline.label);
    let directory = run.stage_dir(stage);
    if Manifest::read(&directory)?.is_none() {
        return Err(Failure::usage(Hinted::new(
            format!("{stage} has not finished in {}", directory.display()),
            format!("`asclepius {stage} {label}` makes its model"),
        )));
    }
    let there = directory.join(FINAL_DIRECTORY).is_dir();
    if there && run.stands(stage, &stages::fingerprint(run, stage)?)? {
        return Ok(());
    }
    Err(Failure::usage(Hinted::new(
        format!(
            "{} is not what {label} says: it was made from other data or settings, or is incomplete",
            directory.display()
        ),
        format!("`--set` what it was made with, or `asclepius {stage} {label} --fresh` makes it anew"),
    )))
}

/// The run's evaluation, unless it is of an earlier model.
fn evaluation(run: &Run, own: &RunFacts) -> Option<(Evaluation, String)> {
    let (evaluation, stage) = own.evaluation.clone().zip(own.stage(Stage::Eval.name()))?;
    let fingerprint = stage.manifest.fingerprint.clone();
    if stages::fingerprint(run, Stage::Eval).is_ok_and(|now| now == fingerprint) {
        return Some((evaluation, fingerprint));
    }
    tracing::warn!("the card has no scores: `asclepius eval {}` evaluates the run as it is now", run.pipeline.label);
    None
}

/// Every setting that can change the weights, as `key = value`.
fn settings(table: &TrainConfig, stage: TrainStage, seed: u64) -> Outcome<Vec<(String, String)>> {
    let table = TrainConfig { lora: table.adapters(), seed: Some(table.seed.unwrap_or(seed)), ..table.clone() };
    let mut rows = Vec::new();
    flatten("", &serde_json::to_value(&table)?, &mut rows);
    if stage == TrainStage::Sft {
        let template = match table.template {
            Some(template) if Path::new(&template).is_file() => "a file".to_owned(),
            template => template.unwrap_or_else(|| "asclepius".to_owned()),
        };
        rows.push(("template".to_owned(), template));
    }
    Ok(rows)
}

fn flatten(prefix: &str, value: &Value, rows: &mut Vec<(String, String)>) {
    match value {
        Value::Object(table) => {
            for (key, value) in table {
                let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                if !NOT_SHOWN.contains(&key.as_str()) && !value.is_null() {
                    flatten(&key, value, rows);
                }
            }
        }
        Value::String(text) => rows.push((prefix.to_owned(), text.clone())),
        Value::Array(items) => {
            let items: Vec<String> =
                items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned)).collect();
            rows.push((prefix.to_owned(), items.join(", ")));
        }
        other => rows.push((prefix.to_owned(), other.to_string())),
    }
}
