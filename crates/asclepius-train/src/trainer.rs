//! The loop, in the order a step runs: gradients of every micro-batch, guards, update, metrics, evaluation, checkpoint.

mod begin;
mod evaluate;
mod finish;

use std::path::PathBuf;
use std::time::Instant;

use asclepius_dataset::Batch;
use asclepius_model::{Decoder, Loss, MicroBatch, ModelError, Recompute, add_scaled_gradients};
use asclepius_ops::device::{forget_peak_memory, peak_memory, peak_rate};
use asclepius_ops::{GradientBuffer, PhiloxKey};
use tracing::{info, warn};

use crate::TrainError;
use crate::checkpoint::{DataPosition, RunState};
use crate::clip::clip_factor;
use crate::config::{Method, Precision};
use crate::events::EventLog;
use crate::guards::{
    Expectation, broken_gradients, broken_weights, check_adapter_moved, check_gradients, documents_of,
};
use crate::job::{Control, Job, Summary};
use crate::loss_scale::LossScale;
use crate::metrics::{MetricsLog, MetricsRow, StepRow};
use crate::optimizer::Optimizer;
use crate::schedule::LearningRate;

/// Trains `decoder` (as it came: without adapters, all frozen) as `job` says, going on from the newest step directory.
///
/// # Errors
/// When the settings are impossible or not built yet, before any work; when a guard stops the run, with the last good
/// checkpoint kept; when data, model or disk fail.
pub fn run(decoder: &mut Decoder, job: &Job<'_>, control: &dyn Control) -> Result<Summary, TrainError> {
    job.check()?;
    if job.config.precision != Precision::F32 {
        decoder.convert(job.config.precision.dtype())?;
    }
    match job.config.adapters() {
        Some(lora) => decoder.attach(&lora, job.seed)?,
        None => decoder.train_all()?,
    }
    if job.config.method == Method::Qlora {
        decoder.quantise()?;
    }
    forget_peak_memory(decoder.device());
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
        if run.is_done() || run.is_due(job.config.save_every) || run.is_best() {
            run.save()?;
        }
    }
    check_adapter_moved(run.gradients.parameters())?;
    run.finish()
}

/// What a step's micro-batches come to.
struct Sums {
    loss: f64,
    tokens: usize,
    supervised: usize,
    capacity: usize,
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
    operations_per_token: f64,
    state: RunState,
    resumed_from: Option<u64>,
    /// The newest step directory, and its step.
    checkpoint: Option<(u64, PathBuf)>,
    metrics: MetricsLog,
    events: Option<EventLog>,
    /// Whether every trained tensor has been seen to get a gradient, LoRA's A included.
    all_reached: bool,
}

impl Run<'_> {
    fn is_done(&self) -> bool {
        self.state.step >= self.state.total_steps || self.has_stopped_early()
    }

    fn has_stopped_early(&self) -> bool {
        self.state.patience.is_exhausted(self.job.config.early_stop)
    }

    /// Whether these weights are the best so far, by early stopping.
    fn is_best(&self) -> bool {
        self.state.patience.best.is_some_and(|best| best.step == self.state.step)
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
        let step = self.state.step + 1;
        let (sums, mean, scale, grad_norm) = loop {
            let Some(sums) = self.sums()? else { return Ok(false) };
            // The mean is over the supervised tokens of the whole global batch, however they fell into micro-batches.
            let (mean, scale) = (1.0 / sums.supervised as f64, self.loss_scale());
            let grad_norm = self.gradients.norm()? * mean / scale;
            if grad_norm.is_finite() {
                break (sums, mean, scale, grad_norm);
            }
            if !self.state.loss_scale.as_mut().is_some_and(LossScale::halve) {
                let tensors = broken_gradients(self.gradients.parameters())?;
                return Err(self.not_finite("gradient norm", grad_norm, tensors, Vec::new()));
            }
            warn!(step, scale, "a gradient left f16's range: the step is run again with half the scale");
        };
        let loss = sums.loss * mean;
        self.check_gradients()?;
        let learning_rate = self.rate.at(step - 1);
        let factor = mean / scale * clip_factor(grad_norm, self.job.config.max_grad_norm);
        self.optimizer.update(factor, learning_rate, step)?;
        if let Some(scale) = &mut self.state.loss_scale {
            scale.held();
        }

        let device = self.decoder.device();
        device.synchronize()?;
        let (seconds, tokens) = (started.elapsed().as_secs_f64(), sums.tokens);
        self.advance(tokens as u64, seconds);
        let row = StepRow {
            step,
            epoch: self.epoch(),
            loss,
            learning_rate,
            grad_norm,
            tokens: tokens as u64,
            supervised_tokens: sums.supervised as u64,
            fill: tokens as f64 / sums.capacity as f64,
            tokens_per_second: tokens as f64 / seconds.max(f64::MIN_POSITIVE),
            seconds,
            mfu: peak_rate(device).map(|peak| self.operations_per_token * tokens as f64 / seconds / peak),
            loss_scale: (self.state.loss_scale.is_some()).then_some(scale),
            peak_memory_bytes: peak_memory(device),
        };
        self.record(MetricsRow::Step(row))?;
        self.control.stepped(&row, self.state.total_steps);
        Ok(true)
    }

    /// What the next step's gradients were computed times.
    fn loss_scale(&self) -> f64 {
        self.state.loss_scale.map_or(1.0, |scale| scale.scale)
    }

    /// The gradients of a step's micro-batches, added up from zero, and their loss. None where the caller wants to stop.
    fn sums(&mut self) -> Result<Option<Sums>, TrainError> {
        let done = self.state.step;
        let (mut losses, mut tokens, mut supervised, mut capacity) = (Vec::new(), 0, 0, 0);
        self.gradients.zero()?;
        for micro in 0..self.job.train.micro_batches(done as usize) {
            if self.control.should_stop() {
                return Ok(None);
            }
            let batch = self.job.train.batch(done as usize, micro);
            (tokens, supervised, capacity) =
                (tokens + batch.tokens(), supervised + batch.supervised, capacity + batch.capacity);
            losses.push(self.accumulate(&batch, micro as u64)?);
        }
        if supervised == 0 {
            let batches = (0..self.job.train.micro_batches(done as usize))
                .map(|micro| self.job.train.batch(done as usize, micro));
            let rows = batches.flat_map(|batch| documents_of(&batch, self.job.train)).collect();
            return Err(TrainError::NothingSupervised { step: done + 1, rows });
        }
        // Read only now: a card works through all micro-batches without waiting for this thread.
        let mut loss = 0.0;
        for (micro, part) in losses.iter().enumerate() {
            loss += self.value_of(part, || self.job.train.batch(done as usize, micro))?;
        }
        Ok(Some(Sums { loss, tokens, supervised, capacity }))
    }

    /// Adds a micro-batch's gradients to the step's; returns its summed loss.
    fn accumulate(&self, batch: &Batch, micro: u64) -> Result<Loss, TrainError> {
        let dropout = PhiloxKey::new(self.job.seed).fold_name("dropout").fold(self.state.step).fold(micro);
        Ok(add_scaled_gradients(self.decoder, &micro_batch(batch)?, Some(dropout), self.recompute, self.loss_scale())?)
    }

    /// A micro-batch's loss as a number, which it must be.
    fn value_of(&self, loss: &Loss, batch: impl FnOnce() -> Batch) -> Result<f64, TrainError> {
        match loss.value() {
            Err(ModelError::NotFinite(value)) => Err(self.broken_loss("loss", value, &batch())?),
            other => Ok(other?),
        }
    }

    /// The longest micro-batch forward and backward, thrown away: what does not fit fails now, not hours in.
    fn dry_step(&self) -> Result<(), TrainError> {
        let started = Instant::now();
        let batch = self.job.train.longest_batch();
        let tokens = batch.tokens();
        self.value_of(&self.accumulate(&batch, 0)?, || batch)?;
        self.gradients.zero()?;
        info!(tokens, seconds = started.elapsed().as_secs_f64(), recompute = ?self.recompute, "longest batch tried");
        Ok(())
    }

    /// What to say of a batch whose loss is no number: the broken weights, or else the rows that broke sound ones.
    fn broken_loss(&self, what: &'static str, value: f64, batch: &Batch) -> Result<TrainError, TrainError> {
        let tensors = broken_weights(&self.decoder.parameters())?;
        let plan = if what == "loss" { Some(self.job.train) } else { self.job.held_out };
        let rows = plan.filter(|_| tensors.is_empty()).map(|plan| documents_of(batch, plan)).unwrap_or_default();
        Ok(self.not_finite(what, value, tensors, rows))
    }

    fn not_finite(&self, what: &'static str, value: f64, tensors: Vec<String>, rows: Vec<String>) -> TrainError {
        let last_checkpoint = self.checkpoint.as_ref().map(|(_, path)| path.clone());
        TrainError::NotFinite { step: self.state.step + 1, what, value, tensors, rows, last_checkpoint }
    }

    /// Writes a row wherever rows are written.
    fn record(&mut self, row: MetricsRow) -> Result<(), TrainError> {
        self.metrics.append(row)?;
        match &mut self.events {
            Some(events) => events.append(&row),
            None => Ok(()),
        }
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
}

fn micro_batch(batch: &Batch) -> Result<MicroBatch, TrainError> {
    let Batch { ids, positions, cumulative, labels, .. } = batch.clone();
    Ok(MicroBatch::new(ids, positions, cumulative, &labels)?)
}
