//! Training: optimizer, schedule, accumulation, checkpoints and the loop. Plain synchronous code.
//!
//! - [`config`], [`init`]: the `[pretrain]` and `[sft]` tables, checked before any work; [`memory`]: what they will take.
//! - [`horizon`]: when training ends.
//! - [`job`]: what a run is given and hands back; [`trainer`]: the loop, in the order a step runs.
//! - [`schedule`], [`clip`], [`adamw`], [`in_place`], [`optimizer`]: from a gradient to new weights.
//! - [`adamw8bit`]: the same with moments in 8 bits.
//! - [`guards`]: checks that run by themselves; [`device_check`]: a device held to the CPU;
//!   [`device_bench`]: what a step takes on it.
//! - [`metrics`], [`events`]: what a run says about itself; [`checkpoint`], [`persist`]: how it goes on after being stopped.
//!
//! A run is a function of its data, settings and seed: stopped anywhere and gone on with, it ends with the same bits.

pub mod adamw;
pub mod adamw8bit;
pub mod checkpoint;
pub mod clip;
pub mod config;
pub mod device_bench;
pub mod device_check;
mod error;
pub mod events;
pub mod guards;
pub mod horizon;
pub mod in_place;
pub mod init;
pub mod job;
pub mod loss_scale;
pub mod memory;
pub mod metrics;
mod on_card;
pub mod optimizer;
pub mod persist;
pub mod schedule;
pub mod trainer;

pub use adamw::{AdamW, Moments};
pub use checkpoint::{DataPosition, FINAL_DIRECTORY, RunState, step_directories};
pub use clip::clip_factor;
pub use config::{Method, OptimizerChoice, Precision, RecomputeChoice, TrainConfig, TrainStage};
pub use error::{CheckpointProblem, Problem, TrainError};
pub use events::EVENTS_FILE;
pub use horizon::{Best, Patience};
pub use init::{InitConfig, Vocabulary};
pub use job::{Beginning, Control, Job, Summary, Unattended};
pub use metrics::{EvaluationRow, METRICS_FILE, MetricsRow, StepRow, TRAINER_STATE_FILE, read_metrics};
pub use optimizer::Optimizer;
pub use schedule::{LearningRate, Schedule};
pub use trainer::run;
