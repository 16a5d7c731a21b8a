//! `asclepius data ..`: a run's data, looked at without changing it.

mod calls;
mod fetch;
mod publish;
mod review;
mod validate;

use std::collections::BTreeMap;

use anyhow::anyhow;
use asclepius_dataset::Terms;
use asclepius_eval::RunFacts;
use asclepius_eval::card::PromptFile;
use asclepius_schema::{Licence, Manifest};
use serde_json::Value;

use crate::args::{DataCommand, PipelineArgs};
use crate::commands::pull;
use crate::failure::{Failure, Hinted, Outcome};
use crate::hub::Kind;
use crate::output;
use crate::pipeline::Pipeline;
use crate::stage::Stage;
use crate::summary;

/// Dispatches.
pub fn run(command: DataCommand) -> Outcome {
    match command {
        DataCommand::Fetch(args) => fetch::run(&args),
        DataCommand::Stats { pipeline, json } => stats(&load(&pipeline)?, json),
        DataCommand::Validate { pipeline } => validate::run(&load(&pipeline)?),
        DataCommand::Calls { pipeline, out, json } => calls::run(&load(&pipeline)?, out.as_deref(), json),
        DataCommand::Card { pipeline, attributions } => card(&load(&pipeline)?, attributions),
        DataCommand::Export { pipeline, out } => publish::export(&load(&pipeline)?, &out),
        DataCommand::Push { pipeline, hub } => publish::push(&load(&pipeline)?, &hub),
        DataCommand::Pull(args) => pull::run(&args, Kind::Dataset),
        DataCommand::Review { pipeline, rows, out, seed } => review::sheet(&load(&pipeline)?, rows.get(), out, seed),
        DataCommand::Agreement { sheets, key, json } => review::agreement(&sheets, key.as_deref(), json),
    }
}

fn load(args: &PipelineArgs) -> Outcome<Pipeline> {
    Pipeline::load(&args.pipeline, &args.set)
}

fn stats(pipeline: &Pipeline, json: bool) -> Outcome {
    let mut manifests = Vec::new();
    for stage in Stage::ALL {
        manifests.extend(Manifest::read(&pipeline.run_dir().join(stage.directory()))?);
    }
    if manifests.is_empty() {
        return Err(nothing(pipeline));
    }
    for manifest in &manifests {
        check(manifest)?;
    }
    if json {
        return output::data(&serde_json::to_string_pretty(&manifests)?);
    }
    let mut lines: Vec<String> =
        manifests.iter().map(|manifest| summary::stage_line(manifest, manifest.seconds)).collect();
    let find = |stage: Stage| manifests.iter().find(|manifest| manifest.stage == stage.name());
    if let Some(ingest) = find(Stage::Ingest) {
        lines.push(format!("\n{}", asclepius_eval::corpus::markdown(ingest)));
    }
    lines.extend(licence(&manifests));
    if let Some(dataset) = find(Stage::Dataset) {
        lines.push(format!("\n{}", asclepius_eval::card::figures(dataset)));
    }
    output::data(&lines.join("\n"))
}

/// Refuses a manifest whose counts do not add up, or whose figures are not of what it counts.
fn check(manifest: &Manifest) -> Outcome {
    manifest.counts.check(&manifest.stage, &manifest.unit)?;
    for (unit, counts) in &manifest.also {
        counts.check(&manifest.stage, unit)?;
    }
    let figures = (manifest.stage == Stage::Ingest.name()).then(|| asclepius_eval::corpus::figures(manifest)).flatten();
    if let Some((figures, patients)) = figures.zip(manifest.also.get("patient"))
        && let Some(table) = figures.unbalanced(&manifest.counts, patients)
    {
        return Err(anyhow!("ingest: the figures of {table} do not add up to what was admitted").into());
    }
    Ok(())
}

/// The licence of what was made, or of what can be made from the articles that were admitted.
fn licence(manifests: &[Manifest]) -> Option<String> {
    let of = |stage: Stage| manifests.iter().find(|manifest| manifest.stage == stage.name());
    let counted = |value: &Value| serde_json::from_value::<BTreeMap<Licence, u64>>(value.clone()).ok();
    let dataset = of(Stage::Dataset).and_then(|dataset| counted(dataset.details.get("licence_sources")?));
    let (what, terms) = match dataset {
        Some(sources) => ("the dataset", Terms::of("note", sources)),
        None => {
            let figures = asclepius_eval::corpus::figures(of(Stage::Ingest)?)?;
            let articles = figures.licences.iter().map(|(licence, admitted)| (*licence, admitted.articles));
            ("what is made from these articles", Terms::of("article", articles))
        }
    };
    let mut text = format!("Licence of {what}, computed from the sources: {}\n", terms.name());
    for sentence in terms.consequences() {
        text.push_str(&format!("- {sentence}\n"));
    }
    text.push_str("`asclepius data card --attributions` lists the sources to credit.");
    Some(text)
}

fn nothing(pipeline: &Pipeline) -> Failure {
    Failure::usage(Hinted::new(
        format!("no stage has finished in {}", pipeline.run_dir().display()),
        format!("`asclepius run {}` makes everything", pipeline.label),
    ))
}

fn card(pipeline: &Pipeline, attributions: bool) -> Outcome {
    let facts = RunFacts::gather(&pipeline.run_dir(), &pipeline.config.name, "")?;
    if facts.stage("dataset").is_none() {
        return Err(nothing(pipeline));
    }
    if attributions {
        return output::data(&asclepius_eval::card::attributions(&facts));
    }
    output::data(&asclepius_eval::card::render(&facts, &prompts(pipeline)))
}

/// The prompts a row of this pipeline can come from: those built in, and those the pipeline names, where they can still
/// be read. The card shows the ones whose hash is in the rows.
pub fn prompts(pipeline: &Pipeline) -> Vec<PromptFile> {
    let built_in = asclepius_synth::prompts::ALL.map(|prompt| PromptFile::new(prompt.name, prompt.source));
    let config = &pipeline.config;
    let judge = [&config.dataset.judge_note_prompt, &config.dataset.judge_answer_prompt];
    let named = [&config.notes.prompt, &config.instruct.question_prompt, &config.instruct.answer_prompt];
    let named = named.into_iter().chain(judge);
    let named = named.flatten().filter_map(|path| {
        let source = fs_err::read_to_string(path).ok()?;
        Some(PromptFile::new(&path.file_name()?.to_string_lossy(), &source))
    });
    built_in.into_iter().chain(named).collect()
}
