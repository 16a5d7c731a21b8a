//! What `chat` and `serve` talk to: the models of a run with its held-out notes, or a directory with adapters.

use std::collections::BTreeMap;
use std::path::PathBuf;

use asclepius_dataset::{read_instructions, read_notes};
use asclepius_schema::Task;
use asclepius_serve::model::name_of;
use asclepius_serve::{Engine, ModelEngine, Page, Question, Sample, TaskExamples};
use asclepius_synth::seeds;

use crate::adapter::refuse_unmerged;
use crate::args::ModelArgs;
use crate::commands::{adapter_directory, model_directory};
use crate::failure::{Failure, Outcome};
use crate::pipeline::Pipeline;
use crate::run::{self, Run};
use crate::stage::Stage;

/// For those who have no note at hand; written for this project, about nobody.
const NOTE: &str = include_str!("../../../../data/sample-note.txt");

/// Notes of a run that are offered.
const SAMPLES: usize = 24;

/// Characters of a note that stand for it in a list.
const TITLE_CHARACTERS: usize = 60;

/// Models, and what the page shows of them.
#[derive(Debug)]
pub struct Served {
    pub engine: ModelEngine,
    pub page: Page,
    /// The run's directory, where it is a run's models.
    pub directory: Option<PathBuf>,
}

impl Served {
    /// Loads what the command line names.
    pub fn load(args: &ModelArgs) -> Outcome<Self> {
        let device = crate::device::device(&args.device).map_err(Failure::usage)?;
        let Some(model) = &args.model else {
            let run = run::look(Pipeline::load(&args.pipeline, &args.set)?)?;
            let engine = ModelEngine::new(crate::models::voices(&run, &device)?)?;
            let mut page = page(run.config().name.clone(), &engine);
            let held_out = held_out(&run)?;
            if !held_out.is_empty() {
                page.samples = held_out;
            }
            return Ok(Self { engine, page, directory: Some(run.directory) });
        };
        model_directory("--model", model)?;
        for adapter in &args.adapter {
            adapter_directory("--adapter", adapter)?;
            refuse_unmerged(model, adapter)?;
        }
        let engine = ModelEngine::load(model, &args.adapter, &device)?;
        let page = page(name_of(model), &engine);
        Ok(Self { engine, page, directory: None })
    }
}

fn page(title: String, engine: &ModelEngine) -> Page {
    let mut page = Page::new(title);
    let models = engine.models();
    page.compare = match models.as_slice() {
        [first, .., last] => vec![first.clone(), last.clone()],
        other => other.to_vec(),
    };
    page.tasks = Task::ALL
        .into_iter()
        .map(|task| TaskExamples {
            key: task.key().to_owned(),
            title: task.title().to_owned(),
            instructions: seeds::questions(task).into_iter().map(str::to_owned).collect(),
        })
        .collect();
    page.samples = vec![Sample { title: "A made-up note".to_owned(), note: NOTE.to_owned(), questions: Vec::new() }];
    page
}

/// Held-out notes, with what was asked over them.
fn held_out(run: &Run) -> Outcome<Vec<Sample>> {
    let directory = run.input_dir(run.config().eval.input.as_deref(), Stage::Dataset);
    let (notes, instructions) =
        (directory.join("notes-validation.parquet"), directory.join("instructions-validation.parquet"));
    if !notes.is_file() {
        return Ok(Vec::new());
    }
    let mut samples = BTreeMap::new();
    for note in read_notes(&notes)?.take(SAMPLES) {
        let note = note?;
        let title = format!("{}: {}", note.report_id, beginning(&note.note));
        samples.insert(note.report_id, Sample { title, note: note.note, questions: Vec::new() });
    }
    if instructions.is_file() {
        for row in read_instructions(&instructions)? {
            let row = row?;
            if let Some(sample) = samples.get_mut(&row.report_id) {
                sample.questions.push(Question { task: row.task.key().to_owned(), instruction: row.question });
            }
        }
    }
    Ok(samples.into_values().collect())
}

fn beginning(note: &str) -> String {
    let line = note.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(TITLE_CHARACTERS) {
        Some((end, _)) => format!("{}…", line[..end].trim_end()),
        None => line,
    }
}
