//! Held-out loss and answers of the run's models, and of those they are compared with.

mod api;
mod held;
mod kept;
mod realism;
mod tested;

use std::path::PathBuf;
use std::time::Instant;

use asclepius_eval::{Settings, evaluate, files};
use asclepius_schema::{Counts, Fingerprint, Manifest, StageDir};

use crate::failure::{Failure, Hinted, Outcome};
use crate::progress::StageBar;
use crate::run::Run;
use crate::stage::{Stage, input_file};
use held::Held;
use kept::Kept;
use tested::Weights;

fn held_out(run: &Run, name: &str) -> Outcome<PathBuf> {
    let directory = run.input_dir(run.config().eval.input.as_deref(), Stage::Dataset);
    input_file(Stage::Eval, Stage::Dataset, &directory, name, &run.pipeline.label)
}

/// The held-out files, the settings, and what the models were made from.
pub fn fingerprint(run: &Run) -> Outcome<String> {
    let config = &run.config().eval;
    let mut fingerprint = Fingerprint::new("eval")
        .file("notes", &held_out(run, "notes-validation.parquet")?)?
        .file("instructions", &held_out(run, "instructions-validation.parquet")?)?
        .setting("questions", &config.questions)
        .setting("max_tokens", &config.max_tokens)
        .setting("rows", &config.rows)
        .setting("sampling", &(config.temperature, config.top_p))
        .setting("resamples", &config.resamples)
        .setting("seed", &config.seed.unwrap_or(run.config().seed));
    if config.shots > 0 {
        let examples = held_out(run, "instructions-train.parquet")?;
        fingerprint = fingerprint.setting("shots", &config.shots).file("examples", &examples)?;
    }
    if let Some(judge) = &config.judge {
        let asked = (&judge.model, &judge.extra_body, config.judge_runs, asclepius_eval::judge::prompt_hash());
        fingerprint = fingerprint.setting("judge", &asked);
    }
    for file in config.sets.iter().chain(&config.general) {
        fingerprint = fingerprint.file("set", file).map_err(Failure::usage)?;
    }
    if let Some(realism) = &config.realism {
        fingerprint = realism::identify(run, realism, fingerprint)?;
    }
    for stage in [Stage::Pretrain, Stage::Sft] {
        let manifest = Manifest::read(&run.stage_dir(stage))?;
        fingerprint = fingerprint.setting(stage.name(), &manifest.map(|manifest| manifest.fingerprint));
    }
    Ok(tested::identify(&config.compare, fingerprint)?.finish())
}

/// Evaluates one model after the other, so that only one is in memory. What a model gave is kept until all are done.
pub fn execute(run: &Run, fingerprint: &str) -> Outcome<Manifest> {
    let started = Instant::now();
    let config = &run.config().eval;
    let held = Held::gather(run)?;
    let models = tested::list(run)?;
    if models.is_empty() {
        let hint = format!("`asclepius run {}` makes everything that is missing", run.pipeline.label);
        let message = format!("eval: there is no model in {}, and eval.compare names none", run.directory.display());
        return Err(Failure::usage(Hinted::new(message, hint)));
    }
    let kept = Kept::open(run, fingerprint)?;
    let real = realism::Shown::gather(run)?;
    let work = (held.questions.len() as u64 + 1) * models.len() as u64;
    let bar = StageBar::start("eval", work + real.as_ref().map_or(0, |real| real.texts.len() as u64));
    let mut outcomes = Vec::with_capacity(models.len());
    for (index, model) in models.iter().enumerate() {
        run.check_interrupt()?;
        bar.say(model.name.clone());
        outcomes.push(kept.outcome(index, || match &model.weights {
            Weights::Api(api) => api::ask(run, model, api, &held.questions, &held.asking, &bar),
            _ => held.put_to(run, model, &bar),
        })?);
        bar.set((held.questions.len() as u64 + 1) * (index as u64 + 1));
    }
    let realism = real.map(|real| kept.outcome(models.len(), || real.put_to(run, &bar))).transpose()?;
    let settings = Settings { asking: held.asking, questions: config.questions, resamples: config.resamples };
    let names: Vec<String> = held.sets.names().map(str::to_owned).collect();
    bar.say("the judge");
    let judged = api::judge(run, &held.questions, &outcomes, held.asking.seed)?;
    bar.finish();
    let evaluation = evaluate(&outcomes, &names, settings, judged.as_ref(), realism.as_ref());
    let directory = StageDir::begin(&run.directory, Stage::Eval.directory())?;
    files::write(directory.path(), &evaluation, &outcomes, judged.as_ref(), realism.as_ref())?;
    let mut manifest = Manifest::new(Stage::Eval.name(), fingerprint.to_owned(), "model");
    let count = outcomes.len() as u64;
    manifest.counts = Counts { input: count, out: count, ..Counts::default() };
    for model in &evaluation.models {
        manifest.tokens.input += model.prompt_tokens;
        manifest.tokens.output += model.answer_tokens;
        manifest.cost_usd += model.cost_usd;
    }
    manifest.cost_usd += judged.map_or(0.0, |judged| judged.cost_usd);
    manifest.seconds = started.elapsed().as_secs_f64();
    directory.commit(&manifest)?;
    kept.forget()?;
    Ok(manifest)
}
