//! The loop, in the order a step runs: gradients of every micro-batch, guards, update, metrics, evaluation, checkpoint.

use std::path::PathBuf;
use std::time::Instant;

use asclepius_dataset::Batch;
use asclepius_model::{Decoder, MicroBatch, ModelError, Recompute, evaluate, loss_and_gradients};
use asclepius_ops::{GradientBuffer, PhiloxKey};
use candle_core::DType;
use tracing::{info, warn};

use crate::TrainError;
use crate::adamw::AdamW;
use crate::checkpoint::{DataPosition, RunState};
use crate::clip::clip_factor;
use crate::config::Precision;
use crate::guards::{Expectation, check_adapter_moved, check_gradients, idle_adapters};
use crate::job::{Control, Job, Summary};
use crate::metrics::{EvaluationRow, MetricsLog, MetricsRow, StepRow, write_trainer_state};
use crate::optimizer::Optimizer;
use crate::persist;
use crate::schedule::LearningRate;

/// Trains `decoder` (as it came: without adapters, all frozen) as `job` says, going on from the newest step directory.
///
/// # Errors
/// When the settings are impossible or not built yet, before any work; when a guard stops the run, with the last good
/// checkpoint kept; when data, model or disk fail.
pub fn run(decoder: &mut Decoder, job: &Job<'_>, control: &dyn Control) -> Result<Summary, TrainError> {
    job.config.validate(job.stage)?;
    job.config.refuse_unbuilt(job.stage)?;
    if job.config.precision == Precision::Bf16 {
        decoder.convert(DType::BF16)?;
    }
    match job.config.adapters() {
        Some(lora) => decoder.attach(&lora, job.seed)?,
        None => decoder.train_all()?,
    }
    let mut run = Run::begin(decoder, job, control)?;
    if run.resumed_from.is_none() {
        run.evaluate()?;
    }
    if !run.is_done() {
        run.dry_step()?;
    }
    while !run.is_done() {
        if !run.step()? {
            run.save()?;
            return run.summary(None);
        }
        if run.is_done() || run.is_due(job.config.eval_every) {
            run.evaluate()?;
        }
        if run.is_done() || run.is_due(job.config.save_every) {
            run.save()?;
        }
    }
    check_adapter_moved(run.gradients.parameters())?;
    let directory = persist::save_final(decoder, job)?;
    run.summary(Some(directory))
}

struct Run<'a> {
    decoder: &'a Decoder,
    job: &'a Job<'a>,
    control: &'a dyn Control,
    gradients: GradientBuffer,
    optimizer: Optimizer,
    rate: LearningRate,
    recompute: Recompute,
    steps_per_epoch: u64,
    state: RunState,
    resumed_from: Option<u64>,
    /// The newest step directory, and its step.
    checkpoint: Option<(u64, PathBuf)>,
    metrics: MetricsLog,
    /// Whether every trained tensor has been seen to get a gradient, LoRA's A included.
    all_reached: bool,
}

impl<'a> Run<'a> {
    fn begin(decoder: &'a Decoder, job: &'a Job<'a>, control: &'a dyn Control) -> Result<Self, TrainError> {
        let config = job.config;
        let gradients = GradientBuffer::new(&decoder.trainable())?;
        if gradients.parameters().is_empty() {
            return Err(TrainError::NothingTrainable);
        }
        let rule = AdamW { betas: config.betas, epsilon: config.epsilon, weight_decay: config.weight_decay };
        let optimizer = Optimizer::new(rule, gradients.parameters())?;
        let steps_per_epoch = job.train.steps_per_epoch() as u64;
        let total_steps = config.total_steps(job.stage, steps_per_epoch);
        let rate = LearningRate::new(config.learning_rate, config.schedule, config.warmup_ratio, total_steps);

        fs_err::create_dir_all(job.directory)?;
        let fresh = RunState::new(total_steps, job.seed, job.identity.to_owned());
        let resumed = persist::resume(decoder, &optimizer, job, &fresh)?;
        let resumed_from = resumed.as_ref().map(|(state, _)| state.step);
        let metrics = MetricsLog::open(job.directory, resumed_from)?;
        let (state, checkpoint) = match resumed {
            Some((state, path)) => {
                info!(step = state.step, total_steps, "resuming");
                let step = state.step;
                (state, Some((step, path)))
            }
            None => (fresh, None),
        };
        let parameters = decoder.trainable_parameters();
        info!(trainable = parameters.trainable, all = parameters.all, "parameters");
        control.started(state.step, total_steps, parameters);
        Ok(Self {
            decoder,
            job,
            control,
            gradients,
            optimizer,
            rate,
            recompute: config.recompute(decoder.config())?,
            steps_per_epoch,
            state,
            resumed_from,
            checkpoint,
            metrics,
            all_reached: false,
        })
    }

    fn is_done(&self) -> bool {
        self.state.step >= self.state.total_steps
    }

    fn is_due(&self, every: u64) -> bool {
        every > 0 && self.state.step.is_multiple_of(every)
    }

    fn epoch(&self) -> f64 {
        self.state.step as f64 / self.steps_per_epoch as f64
    }

    /// One optimizer step. False if it was abandoned because the caller wants to stop.
    fn step(&mut self) -> Result<bool, TrainError> {
        let started = Instant::now();
        let done = self.state.step;
        let (mut loss, mut tokens, mut supervised, mut capacity) = (0.0, 0, 0, 0);
        self.gradients.zero()?;
        for micro in 0..self.job.train.micro_batches(done as usize) {
            if self.control.should_stop() {
                return Ok(false);
            }
            let batch = self.job.train.batch(done as usize, micro);
            (tokens, supervised, capacity) =
                (tokens + batch.tokens(), supervised + batch.supervised, capacity + batch.capacity);
            loss += self.accumulate(batch, micro as u64)?;
        }
        let step = done + 1;
        if supervised == 0 {
            return Err(TrainError::NothingSupervised { step });
        }
        // The mean is over the supervised tokens of the whole global batch, however they fell into micro-batches.
        let mean = 1.0 / supervised as f64;
        let loss = self.finite("loss", loss * mean)?;
        let grad_norm = self.finite("gradient norm", self.gradients.norm()? * mean)?;
        self.check_gradients()?;
        let learning_rate = self.rate.at(done);
        let scale = mean * clip_factor(grad_norm, self.job.config.max_grad_norm);
        self.optimizer.update(scale, learning_rate, step)?;

        let seconds = started.elapsed().as_secs_f64();
        self.advance(tokens as u64, seconds);
        let row = StepRow {
            step,
            epoch: self.epoch(),
            loss,
            learning_rate,
            grad_norm,
            tokens: tokens as u64,
            supervised_tokens: supervised as u64,
            fill: tokens as f64 / capacity as f64,
            tokens_per_second: tokens as f64 / seconds.max(f64::MIN_POSITIVE),
            seconds,
        };
        self.metrics.append(MetricsRow::Step(row))?;
        self.control.stepped(&row, self.state.total_steps);
        Ok(true)
    }

    /// Adds a micro-batch's gradients to the step's; returns its summed loss.
    fn accumulate(&self, batch: Batch, micro: u64) -> Result<f64, TrainError> {
        let dropout = PhiloxKey::new(self.job.seed).fold_name("dropout").fold(self.state.step).fold(micro);
        match loss_and_gradients(self.decoder, &micro_batch(batch)?, Some(dropout), self.recompute) {
            Err(ModelError::NotFinite(value)) => self.finite("loss", value),
            other => Ok(other?),
        }
    }

    /// The longest micro-batch forward and backward, thrown away: what does not fit fails now, not hours in.
    fn dry_step(&self) -> Result<(), TrainError> {
        let started = Instant::now();
        let batch = self.job.train.longest_batch();
        let tokens = batch.tokens();
        self.accumulate(batch, 0)?;
        self.gradients.zero()?;
        info!(tokens, seconds = started.elapsed().as_secs_f64(), recompute = ?self.recompute, "longest batch tried");
        Ok(())
    }

    fn finite(&self, what: &'static str, value: f64) -> Result<f64, TrainError> {
        if value.is_finite() {
            return Ok(value);
        }
        let last_checkpoint = self.checkpoint.as_ref().map(|(_, path)| path.clone());
        Err(TrainError::NotFinite { step: self.state.step + 1, what, value, last_checkpoint })
    }

    /// In the first steps: did a gradient reach every trained tensor?
    fn check_gradients(&mut self) -> Result<(), TrainError> {
        if self.all_reached {
            return Ok(());
        }
        // LoRA's A gets a gradient once an update above rate 0 has moved B.
        let moved = (0..self.state.step).any(|step| self.rate.at(step) > 0.0);
        let expectation = if moved { Expectation::All } else { Expectation::AllButLoraA };
        check_gradients(self.gradients.parameters(), expectation, self.state.step + 1)?;
        self.all_reached = moved;
        Ok(())
    }

    fn advance(&mut self, tokens: u64, seconds: f64) {
        let state = &mut self.state;
        state.step += 1;
        state.tokens += tokens;
        state.seconds += seconds;
        state.next_learning_rate = self.rate.at(state.step);
        state.data =
            DataPosition { epoch: state.step / self.steps_per_epoch, step_in_epoch: state.step % self.steps_per_epoch };
    }

    /// The mean loss over everything held out, a micro-batch at a time.
    fn evaluate(&mut self) -> Result<(), TrainError> {
        let Some(plan) = self.job.held_out else { return Ok(()) };
        let started = Instant::now();
        let (mut loss, mut supervised) = (0.0, 0);
        for batch in plan.first_epoch() {
            if batch.supervised > 0 {
                supervised += batch.supervised as u64;
                loss += evaluate(self.decoder, &micro_batch(batch)?)?;
            }
        }
        if supervised == 0 {
            return Err(TrainError::NothingHeldOut);
        }
        let row = EvaluationRow {
            step: self.state.step,
            epoch: self.epoch(),
            eval_loss: self.finite("held-out loss", loss / supervised as f64)?,
            eval_supervised_tokens: supervised,
            eval_seconds: started.elapsed().as_secs_f64(),
        };
        self.metrics.append(MetricsRow::Evaluation(row))?;
        self.control.evaluated(&row);
        Ok(())
    }

    /// A checkpoint of the last whole step, if there is not one yet.
    fn save(&mut self) -> Result<(), TrainError> {
        let step = self.state.step;
        if step == 0 || self.checkpoint.as_ref().is_some_and(|(saved, _)| *saved == step) {
            return Ok(());
        }
        if !idle_adapters(self.gradients.parameters())?.is_empty() {
            // Nothing has moved yet (a warm-up begins at rate 0), and starting over repeats these steps exactly.
            warn!(step, "no checkpoint: the adapter changes nothing yet");
            return Ok(());
        }
        self.metrics.sync()?;
        let path = persist::save_step(self.decoder, &self.optimizer, self.job, &self.state)?;
        self.checkpoint = Some((step, path));
        self.write_trainer_state()
    }

    fn write_trainer_state(&self) -> Result<(), TrainError> {
        let epochs = self.state.total_steps as f64 / self.steps_per_epoch as f64;
        let config = self.job.config;
        write_trainer_state(self.job.directory, self.metrics.rows(), self.state.total_steps, epochs, config.micro_batch)
    }

    fn summary(&self, final_directory: Option<PathBuf>) -> Result<Summary, TrainError> {
        self.metrics.sync()?;
        self.write_trainer_state()?;
        let mut losses = Vec::new();
        let mut evaluations = Vec::new();
        for row in self.metrics.rows() {
            match row {
                MetricsRow::Step(row) => losses.push(row.loss),
                MetricsRow::Evaluation(row) => evaluations.push(*row),
            }
        }
        Ok(Summary {
            steps: self.state.step,
            total_steps: self.state.total_steps,
            resumed_from: self.resumed_from,
            first_loss: losses.first().copied(),
            final_loss: losses.last().copied(),
            evaluations,
            tokens: self.state.tokens,
            seconds: self.state.seconds,
            parameters: self.decoder.trainable_parameters(),
            interrupted: !self.is_done(),
            final_directory,
        })
    }
}

fn micro_batch(batch: Batch) -> Result<MicroBatch, TrainError> {
    Ok(MicroBatch::new(batch.ids, batch.positions, batch.cumulative, &batch.labels)?)
}
