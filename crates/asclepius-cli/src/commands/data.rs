//! `asclepius data ..`: a run's data, looked at without changing it.

mod calls;
mod fetch;
mod review;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::anyhow;
use asclepius_corpus::figures::Tally;
use asclepius_dataset::{Terms, read_instructions, read_notes, read_reports};
use asclepius_eval::RunFacts;
use asclepius_eval::card::PromptFile;
use asclepius_schema::{Licence, Manifest, Reason, Report, Split, hash_bytes, read_dropped};
use asclepius_text::normalise_for_duplicates;
use serde_json::Value;

use crate::args::{DataCommand, PipelineArgs};
use crate::failure::{Failure, Hinted, Outcome};
use crate::output;
use crate::pipeline::Pipeline;
use crate::stage::Stage;
use crate::stages::ingest::REPORTS;
use crate::summary;

/// Dispatches.
pub fn run(command: DataCommand) -> Outcome {
    match command {
        DataCommand::Fetch(args) => fetch::run(&args),
        DataCommand::Stats { pipeline, json } => stats(&load(&pipeline)?, json),
        DataCommand::Validate { pipeline } => validate(&load(&pipeline)?),
        DataCommand::Calls { pipeline, out, json } => calls::run(&load(&pipeline)?, out.as_deref(), json),
        DataCommand::Card { pipeline, attributions } => card(&load(&pipeline)?, attributions),
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

/// Reads every row of the dataset and checks what a reader relies on.
fn validate(pipeline: &Pipeline) -> Outcome {
    let directory = pipeline.run_dir().join(Stage::Dataset.directory());
    let Some(manifest) = Manifest::read(&directory)? else { return Err(nothing(pipeline)) };
    let mut problems = Vec::new();
    let mut articles: BTreeMap<String, Split> = BTreeMap::new();
    let (mut rows, mut notes, mut ids) = (0_u64, 0_u64, BTreeSet::new());
    let (mut row_ids, mut noted, mut texts) = (BTreeSet::new(), BTreeMap::new(), HashMap::new());
    let mut place = |article: &str, split: Split, found: Option<Split>, file: &str, problems: &mut Vec<String>| {
        if found != Some(split) {
            problems.push(format!("{file}: a row of {article} says split {:?}", found.map(Split::name)));
        }
        if *articles.entry(article.to_owned()).or_insert(split) != split {
            problems.push(format!("{article} is in both splits"));
        }
    };
    for split in [Split::Train, Split::Validation] {
        let file = format!("notes-{}.parquet", split.name());
        for note in read_notes(&directory.join(&file))? {
            let note = note?;
            notes += 1;
            place(note.article_id.as_str(), split, note.split, &file, &mut problems);
            let text = hash_bytes(normalise_for_duplicates(&note.note).as_bytes());
            if let Some(other) = texts.insert(text, note.report_id.clone()) {
                problems.push(format!("{file}: the notes of {other} and {} are the same", note.report_id));
            }
            noted.insert(note.report_id, split);
        }
        let file = format!("instructions-{}.parquet", split.name());
        for row in read_instructions(&directory.join(&file))? {
            let row = row?;
            rows += 1;
            place(row.article_id.as_str(), split, row.split, &file, &mut problems);
            if !row_ids.insert(row.row_id()) {
                problems.push(format!("{file}: {} is there twice", row.row_id()));
            }
            if noted.get(&row.report_id) != Some(&split) {
                problems.push(format!("{file}: {}: its note is not in notes-{}.parquet", row.row_id(), split.name()));
            }
            if !ids.insert(row.answer_call.request_key.clone()) && !row.answer_call.request_key.is_empty() {
                problems.push(format!("{file}: two rows share the call {}", row.answer_call.request_key));
            }
            for span in &row.evidence {
                if row.note.get(span.start as usize..span.end as usize).is_none() {
                    problems.push(format!(
                        "{file}: {}: evidence {}..{} is not in the note",
                        row.row_id(),
                        span.start,
                        span.end
                    ));
                }
            }
        }
    }
    if rows != manifest.counts.out {
        problems.push(format!("manifest.json counts {} instructions, the files hold {rows}", manifest.counts.out));
    }
    let counted = manifest.also.get("note").map_or(notes, |counts| counts.out);
    if notes != counted {
        problems.push(format!("manifest.json counts {counted} notes, the files hold {notes}"));
    }
    let mut reasons: BTreeMap<Reason, u64> = BTreeMap::new();
    for row in read_dropped(&directory)? {
        *reasons.entry(row.reason).or_default() += 1;
    }
    for counts in std::iter::once(&manifest.counts).chain(manifest.also.values()) {
        for (reason, count) in &counts.dropped {
            let listed = reasons.entry(*reason).or_default();
            *listed = listed.wrapping_sub(*count);
        }
    }
    for (reason, left) in reasons.into_iter().filter(|(_, left)| *left != 0) {
        let left = left.cast_signed();
        problems.push(format!("dropped.jsonl and manifest.json disagree by {left} rows about {reason}"));
    }
    problems.extend(corpus_problems(pipeline)?);
    problems.sort_unstable();
    problems.dedup();
    if problems.is_empty() {
        output::data(&format!("ok: {notes} notes and {rows} instructions over {} articles", articles.len()))?;
        return Ok(());
    }
    Err(Failure::Failed(anyhow!("{} is not what it should be:\n  {}", directory.display(), problems.join("\n  "))))
}

/// Counts the case reports anew and holds that against what their manifest says. Where they lie elsewhere, or were cut
/// out by an earlier version, there is nothing to hold.
fn corpus_problems(pipeline: &Pipeline) -> Outcome<Vec<String>> {
    let directory = pipeline.run_dir().join(Stage::Ingest.directory());
    let Some(manifest) = Manifest::read(&directory)? else { return Ok(Vec::new()) };
    let Some(figures) = asclepius_eval::corpus::figures(&manifest) else { return Ok(Vec::new()) };
    let (mut tally, mut article): (Tally, Vec<Report>) = Default::default();
    for report in read_reports(&directory.join(REPORTS))? {
        let report = report?;
        if article.first().is_some_and(|first| first.article_id != report.article_id) {
            tally.add(&article);
            article.clear();
        }
        article.push(report);
    }
    tally.add(&article);
    let same = tally.finish() == figures;
    Ok(if same { Vec::new() } else { vec![format!("{REPORTS} holds other case reports than manifest.json counts")] })
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
fn prompts(pipeline: &Pipeline) -> Vec<PromptFile> {
    let built_in = asclepius_synth::prompts::ALL.map(|prompt| PromptFile::new(prompt.name, prompt.source));
    let config = &pipeline.config;
    let named = [&config.notes.prompt, &config.instruct.question_prompt, &config.instruct.answer_prompt];
    let named = named.into_iter().flatten().filter_map(|path| {
        let source = fs_err::read_to_string(path).ok()?;
        Some(PromptFile::new(&path.file_name()?.to_string_lossy(), &source))
    });
    built_in.into_iter().chain(named).collect()
}
