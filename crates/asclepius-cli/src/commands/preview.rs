//! `asclepius preview`: rows as the model sees them, supervised tokens marked.

use anyhow::anyhow;
use asclepius_dataset::{Document, TokenCache};
use asclepius_text::TextTokenizer;
use asclepius_train::TrainStage;
use serde_json::json;

use crate::args::PipelineArgs;
use crate::failure::{Failure, Outcome};
use crate::output;
use crate::pipeline::Pipeline;
use crate::run::{self, Run};
use crate::training::rows::{self, TrainingRows};
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
    let rows = TrainingRows::open(run, stage, table)?;
    // A tokenizer that training would make is made here too, but beside the run, so that nothing is changed; so are
    // tokens that no run has kept.
    let scratch = tempfile::tempdir()?;
    let start = Start::prepare(run, stage, table, &rows, scratch.path())?;
    let making = TokenCache::new(scratch.path().join("tokens"));
    let kept = rows::cache(run, stage);
    let train = rows.tokens(&start.tokenizer, &kept, &making, &|_| run.check_interrupt())?.train;
    let shown = (0..count.min(train.len())).map(|index| train.document(index));
    if json {
        let line = |row: Document| {
            json!({ "stage": stage.table(), "id": row.id, "ids": row.ids, "supervised": row.supervised }).to_string()
        };
        return Ok(shown.map(line).collect::<Vec<_>>().join("\n"));
    }
    let tally = train.tally();
    let marks = Marks::choose(output::colours(&std::io::stdout()));
    let mut text = format!(
        "[{}] {} rows, {} documents, {} tokens, {} supervised; {} shortened, {} split, {} left out\n{}\n",
        stage.table(),
        tally.rows,
        train.len(),
        train.total(),
        tally.supervised,
        tally.shortened,
        tally.split,
        tally.dropped.len(),
        marks.legend(),
    );
    for document in shown {
        text.push_str(&format!(
            "\n--- {} ({} tokens, {} supervised)\n{}\n",
            document.id,
            document.len(),
            document.supervised_tokens(),
            marks.row(&document, &start.tokenizer)
        ));
    }
    Ok(text)
}

/// What stands around a stretch of a row: supervised tokens, and special tokens, whose strings in a note are but text.
#[derive(Debug)]
struct Marks {
    supervised: (&'static str, &'static str),
    special: (&'static str, &'static str),
}

impl Marks {
    fn choose(colours: bool) -> Self {
        match colours {
            // Green; reversed. Each ends what it began and nothing else, so that one may lie inside the other.
            true => Self { supervised: ("\u{1b}[32m", "\u{1b}[39m"), special: ("\u{1b}[7m", "\u{1b}[27m") },
            false => Self { supervised: ("⟦", "⟧"), special: ("‹", "›") },
        }
    }

    fn legend(&self) -> String {
        let (supervised, special) = (self.supervised, self.special);
        format!("{}supervised{}, {}special token{}", supervised.0, supervised.1, special.0, special.1)
    }

    /// The row's text with its marks.
    fn row(&self, document: &Document, tokenizer: &TextTokenizer) -> String {
        let kind = |token: usize| (document.supervised[token], tokenizer.is_special(document.ids[token]));
        let mut text = String::new();
        let mut begin = 0;
        while begin < document.len() {
            let (supervised, special) = kind(begin);
            let end = (begin + 1..document.len()).find(|&token| special || kind(token) != kind(begin));
            let end = end.unwrap_or(document.len());
            let opens = supervised && (begin == 0 || !document.supervised[begin - 1]);
            let closes = supervised && (end == document.len() || !document.supervised[end]);
            let words = output::printable(&tokenizer.decode_with_specials(&document.ids[begin..end]));
            for (wanted, part) in [
                (opens, self.supervised.0),
                (special, self.special.0),
                (true, words.as_str()),
                (special, self.special.1),
                (closes, self.supervised.1),
            ] {
                text.push_str(if wanted { part } else { "" });
            }
            begin = end;
        }
        text
    }
}
