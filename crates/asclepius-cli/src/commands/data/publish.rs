//! `asclepius data export` and `asclepius data push`: the dataset as the hub lays it out, in a folder or on the hub.

use std::path::Path;

use anyhow::{Context, anyhow};
use asclepius_eval::RunFacts;
use asclepius_eval::card::{self, ATTRIBUTIONS};
use asclepius_model::checkpoint::publish_directory;
use asclepius_schema::Split;

use crate::args::PushArgs;
use crate::commands::publish;
use crate::failure::{Failure, Hinted, Outcome};
use crate::hub::{Content, File, Kind};
use crate::output;
use crate::pipeline::Pipeline;
use crate::stage::Stage;

/// What the two kinds of rows are called in files and in the card.
const ROWS: [&str; 2] = ["instructions", "notes"];

/// Writes the folder.
pub fn export(pipeline: &Pipeline, out: &Path) -> Outcome {
    if out.exists() {
        return Err(Failure::usage(anyhow!("--out {}: exists already", out.display())));
    }
    let facts = facts(pipeline)?;
    if let Some(problem) = card::terms(&facts).problem() {
        tracing::warn!("the dataset cannot be published under one licence: {problem}");
    }
    let files = layout(pipeline, &facts)?;
    let write = |directory: &Path| {
        files.iter().try_for_each(|file| {
            let to = directory.join(&file.name);
            match &file.content {
                Content::Made(content) => fs_err::write(to, content),
                Content::Disk(from) => fs_err::copy(from, to).map(|_| ()),
            }
        })
    };
    publish_directory(out, |directory| Ok(write(directory)?))
        .with_context(|| format!("cannot write {}", out.display()))?;
    output::data(&format!("{}", out.display()))
}

/// Pushes the same files. What nobody may pass on is not passed on to the hub either, private or not.
pub fn push(pipeline: &Pipeline, args: &PushArgs) -> Outcome {
    let facts = facts(pipeline)?;
    may_be_passed_on(&facts)?;
    let problems = super::validate::problems(pipeline)?.problems;
    if !problems.is_empty() {
        return Err(Failure::Failed(
            Hinted::new(
                format!("the dataset is not what it should be: {}", problems.join("; ")),
                format!("`asclepius dataset {} --fresh` makes it anew", pipeline.label),
            )
            .into(),
        ));
    }
    let files = layout(pipeline, &facts)?;
    let summary = format!("{} by asclepius {}", facts.name, env!("CARGO_PKG_VERSION"));
    publish::run(args, Kind::Dataset, &files, is_rows, &summary)
}

/// Refuses what was made from sources that let nobody pass it on, or not all of it together.
fn may_be_passed_on(facts: &RunFacts) -> Outcome {
    let terms = card::terms(facts);
    match terms.problem() {
        None => Ok(()),
        Some(problem) => Err(Failure::usage(Hinted::new(
            format!("licence of the dataset: {}; it is not pushed, not even to a private repository", terms.name()),
            problem,
        ))),
    }
}

fn facts(pipeline: &Pipeline) -> Outcome<RunFacts> {
    let facts = RunFacts::gather(&pipeline.run_dir(), &pipeline.config.name, "")?;
    if facts.stage("dataset").is_none() {
        return Err(super::nothing(pipeline));
    }
    Ok(facts)
}

/// The card, the sources to credit, and the rows.
fn layout(pipeline: &Pipeline, facts: &RunFacts) -> Outcome<Vec<File>> {
    let directory = pipeline.run_dir().join(Stage::Dataset.directory());
    let made = |name: &str, text: String| File { name: name.to_owned(), content: Content::Made(text.into_bytes()) };
    let mut files = vec![
        made("README.md", card::render(facts, &super::prompts(pipeline))),
        made(ATTRIBUTIONS, card::attributions(facts)),
    ];
    for rows in ROWS {
        for split in [Split::Train, Split::Validation] {
            let name = asclepius_dataset::build::file_name(rows, split);
            let path = directory.join(&name);
            if !path.is_file() {
                return Err(Failure::Failed(anyhow!("{} does not exist", path.display())));
            }
            files.push(File { name, content: Content::Disk(path) });
        }
    }
    Ok(files)
}

/// Whether the card's patterns would take a file for rows of the dataset.
fn is_rows(path: &str) -> bool {
    let of = |rows: &str, split: Split| path.starts_with(&format!("{rows}-{}", split.name()));
    path.ends_with(".parquet")
        && ROWS.iter().any(|rows| [Split::Train, Split::Validation].iter().any(|split| of(rows, *split)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_that_would_be_loaded_beside_ours_are_left_over() {
        for rows in ["notes-train-00000-of-00002.parquet", "instructions-validation.parquet"] {
            assert!(is_rows(rows), "{rows}");
        }
        for other in ["README.md", "notes-train.csv", "old/notes-train.parquet", ".gitattributes", "notes.parquet"] {
            assert!(!is_rows(other), "{other}");
        }
    }
}
