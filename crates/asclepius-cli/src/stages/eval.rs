//! Held-out loss and answers of the base, the pre-trained and the tuned model.

use std::path::PathBuf;
use std::time::Instant;

use asclepius_eval::{BATCH, Candidate, Evaluation, HeldOutSets, Lengths, score};
use asclepius_schema::{Counts, Fingerprint, Manifest, StageDir, write_atomically};
use asclepius_text::InstructionTemplate;
use asclepius_train::TrainConfig;

use crate::failure::{Failure, Hinted, Outcome};
use crate::models::RunModel;
use crate::progress::StageBar;
use crate::run::Run;
use crate::stage::{Stage, input_file};

fn held_out(run: &Run, name: &str) -> Outcome<PathBuf> {
    let directory = run.input_dir(run.config().eval.input.as_deref(), Stage::Dataset);
    input_file(Stage::Eval, Stage::Dataset, &directory, name, &run.pipeline.label)
}

/// The held-out files, the settings, and what the models were made from.
pub fn fingerprint(run: &Run) -> Outcome<String> {
    let config = run.config();
    let mut fingerprint = Fingerprint::new("eval")
        .file("notes", &held_out(run, "notes-validation.parquet")?)?
        .file("instructions", &held_out(run, "instructions-validation.parquet")?)?
        .setting("questions", &config.eval.questions)
        .setting("max_tokens", &config.eval.max_tokens)
        .setting("seed", &config.seed);
    for set in &config.eval.sets {
        fingerprint = fingerprint.file("set", set).map_err(Failure::usage)?;
    }
    for stage in [Stage::Pretrain, Stage::Sft] {
        let manifest = Manifest::read(&run.stage_dir(stage))?;
        fingerprint = fingerprint.setting(stage.name(), &manifest.map(|manifest| manifest.fingerprint));
    }
    Ok(fingerprint.finish())
}

/// Evaluates one model after the other, so that only one is in memory.
pub fn execute(run: &Run, fingerprint: &str) -> Outcome<Manifest> {
    let started = Instant::now();
    let config = run.config();
    let notes = held_out(run, "notes-validation.parquet")?;
    if RunModel::ALL.into_iter().all(|(model, _)| model.directory(run).is_none()) {
        let hint = format!("`asclepius run {}` makes everything that is missing", run.pipeline.label);
        return Err(Failure::usage(Hinted::new(
            format!("eval: there is no model in {}", run.directory.display()),
            hint,
        )));
    }
    let sets = HeldOutSets::load(&notes, &held_out(run, "instructions-validation.parquet")?, &config.eval.sets)?;
    let mut questions = sets.questions(config.eval.questions);
    let mut evaluation = Evaluation::default();
    let (mut counts, mut done) = (Counts::default(), 0);
    let bar = StageBar::start("eval", (RunModel::ALL.len() * (questions.len() + 1)) as u64);
    for (model, name) in RunModel::ALL {
        let Some(start) = model.load(run)? else { continue };
        counts.input += 1;
        bar.say(model.title(run, name));
        let choice = config.sft.as_ref().and_then(|sft| sft.template.as_deref()).unwrap_or("asclepius");
        let template = InstructionTemplate::choose(choice, &start.tokenizer)?;
        let candidate =
            Candidate { name: model.title(run, name), decoder: start.decoder, tokenizer: start.tokenizer, template };
        let length = |table: &Option<TrainConfig>| table.as_ref().map_or(usize::MAX, |table| table.sequence_length);
        let lengths = Lengths { notes: length(&config.pretrain), instructions: length(&config.sft) };
        evaluation.losses.extend(sets.losses(&candidate, lengths)?);
        for questions in questions.chunks_mut(BATCH) {
            run.check_interrupt()?;
            score(&candidate, questions, config.eval.max_tokens)?;
            done += questions.len() as u64;
            bar.set(done);
        }
        counts.out += 1;
    }
    bar.finish();
    evaluation.answers = questions.into_iter().map(|question| question.answered).collect();
    evaluation.score_answers();
    let directory = StageDir::begin(&run.directory, Stage::Eval.directory())?;
    let text = serde_json::to_string_pretty(&evaluation)?;
    write_atomically(&directory.path().join("report.json"), text.as_bytes())?;
    let mut manifest = Manifest::new(Stage::Eval.name(), fingerprint.to_owned(), "model");
    (manifest.counts, manifest.seconds) = (counts, started.elapsed().as_secs_f64());
    directory.commit(&manifest)?;
    Ok(manifest)
}
