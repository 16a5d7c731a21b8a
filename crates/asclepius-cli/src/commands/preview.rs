//! `asclepius preview`: rows as the model sees them, supervised tokens marked.

use std::io::IsTerminal;

use anyhow::anyhow;
use asclepius_dataset::Document;
use asclepius_text::TextTokenizer;
use asclepius_train::TrainStage;
use serde_json::json;

use crate::args::PipelineArgs;
use crate::failure::{Failure, Outcome};
use crate::output;
use crate::pipeline::Pipeline;
use crate::run::{self, Run};
use crate::training::rows::TrainingRows;
use crate::training::start::Start;

/// Prints the first rows of each training stage.
pub fn run(args: &PipelineArgs, rows: usize, json: bool) -> Outcome {
    let run = run::open(Pipeline::load(&args.pipeline, &args.set)?)?;
    let tables = [(TrainStage::Pretrain, &run.config().pretrain), (TrainStage::Sft, &run.config().sft)];
    let mut shown = 0;
    for (stage, table) in tables {
        if table.is_some() {
            output::data(&preview(&run, stage, rows, json)?)?;
            shown += 1;
        }
    }
    if shown == 0 {
        return Err(Failure::usage(anyhow!(
            "pipeline {} trains nothing: no [pretrain] and no [sft] table",
            args.pipeline
        )));
    }
    Ok(())
}

fn preview(run: &Run, stage: TrainStage, count: usize, json: bool) -> Outcome<String> {
    let table = crate::training::table(run, stage)?;
    let rows = TrainingRows::load(run, stage, table)?;
    // A tokenizer that training would make is made here too, but beside the run, so that nothing is changed.
    let scratch = tempfile::tempdir()?;
    let start = Start::prepare(run, stage, table, &rows, scratch.path())?;
    let (train, _) = rows.documents(&start.tokenizer, table)?;
    if json {
        let line = |row: &Document| {
            json!({ "stage": stage.table(), "id": row.id, "ids": row.ids, "supervised": row.supervised }).to_string()
        };
        return Ok(train.documents.iter().take(count).map(line).collect::<Vec<_>>().join("\n"));
    }
    let mut text = format!(
        "[{}] {} rows, {} documents, {} tokens, {} supervised; {} shortened, {} split\n",
        stage.table(),
        train.rows,
        train.documents.len(),
        train.tokens(),
        train.documents.iter().map(Document::supervised_tokens).sum::<usize>(),
        train.shortened,
        train.split,
    );
    let colour = std::io::stdout().is_terminal();
    for document in train.documents.iter().take(count) {
        text.push_str(&format!(
            "\n--- {} ({} tokens)\n{}\n",
            document.id,
            document.len(),
            marked(document, &start.tokenizer, colour)
        ));
    }
    Ok(text)
}

/// The row's text, runs of supervised tokens in green, or between `⟦` and `⟧` where colours would not show.
fn marked(document: &Document, tokenizer: &TextTokenizer, colour: bool) -> String {
    let (open, close) = if colour { ("\u{1b}[32m", "\u{1b}[0m") } else { ("⟦", "⟧") };
    let mut text = String::new();
    let mut begin = 0;
    while begin < document.len() {
        let supervised = document.supervised[begin];
        let length = document.supervised[begin..].iter().take_while(|&&mark| mark == supervised).count();
        let words = tokenizer.decode_with_specials(&document.ids[begin..begin + length]);
        if supervised {
            text.push_str(open);
            text.push_str(&words);
            text.push_str(close);
        } else {
            text.push_str(&words);
        }
        begin += length;
    }
    text
}
