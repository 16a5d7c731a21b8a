//! Optimizer, schedule, accumulation, checkpoints and the training loop.
