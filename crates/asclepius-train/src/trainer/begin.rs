//! A run's beginning: buffers and optimizer made, the newest step directory restored, the logs cut back to it.

use asclepius_model::{Decoder, operations_per_token};
use asclepius_ops::device::memory;
use asclepius_ops::{GradientBuffer, PhiloxKey};
use tracing::info;

use super::Run;
use crate::TrainError;
use crate::adamw::AdamW;
use crate::checkpoint::RunState;
use crate::config::{Method, Precision};
use crate::error::Problem;
use crate::events::{EventLog, now};
use crate::job::{Beginning, Control, Job};
use crate::loss_scale::LossScale;
use crate::metrics::MetricsLog;
use crate::optimizer::Optimizer;
use crate::persist;
use crate::schedule::LearningRate;

impl Job<'_> {
    /// Refuses, before any work, what is impossible.
    pub(super) fn check(&self) -> Result<(), TrainError> {
        self.config.validate(self.stage)?;
        if self.config.early_stop.is_some() && self.held_out.is_none() {
            let problem = Problem::Missing { because: "it needs held-out data, and there is none" };
            return Err(TrainError::Setting { table: self.stage.table(), key: "early_stop", problem });
        }
        Ok(())
    }
}

impl<'a> Run<'a> {
    pub(super) fn begin(decoder: &'a Decoder, job: &'a Job<'a>, control: &'a dyn Control) -> Result<Self, TrainError> {
        let config = job.config;
        let gradients = GradientBuffer::new(&decoder.trainable())?;
        if gradients.parameters().is_empty() {
            return Err(TrainError::NothingTrainable);
        }
        let rule = AdamW { betas: config.betas, epsilon: config.epsilon, weight_decay: config.weight_decay };
        let optimizer = Optimizer::new(rule, config.optimizer, gradients.parameters(), config.master_weights)?
            .drawing_from(PhiloxKey::new(job.seed).fold_name("rounding"));
        let steps_per_epoch = job.train.steps_per_epoch() as u64;
        let total_steps = config.total_steps(job.stage, job.train);
        let rate = LearningRate::new(config.learning_rate, config.schedule, config.warmup_ratio, total_steps);

        fs_err::create_dir_all(job.directory)?;
        let mut fresh = RunState::new(total_steps, job.seed, job.identity.to_owned());
        fresh.loss_scale = (config.precision == Precision::F16).then(LossScale::default);
        let resumed = persist::resume(decoder, &optimizer, job, &fresh)?;
        let resumed_from = resumed.as_ref().map(|(state, _)| state.step);
        let metrics = MetricsLog::open(job.directory, resumed_from)?;
        let events = match config.tensorboard {
            true => Some(EventLog::open(job.directory, metrics.rows(), now())?),
            false => None,
        };
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
        control.started(&Beginning {
            steps_done: state.step,
            total_steps,
            steps_per_epoch,
            sequences_per_epoch: job.train.sequences_per_epoch() as u64,
            parameters,
        });
        Ok(Self {
            decoder,
            job,
            control,
            gradients,
            optimizer,
            rate,
            recompute: config.recompute_within(decoder.config(), memory(decoder.device()))?,
            steps_per_epoch,
            operations_per_token: operations_per_token(decoder.config(), config.method == Method::Full),
            state,
            resumed_from,
            checkpoint,
            metrics,
            events,
            all_reached: false,
        })
    }
}
