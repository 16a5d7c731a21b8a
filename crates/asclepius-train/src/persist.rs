//! A run's way to disk and back: the trained model or adapter, with the optimizer and the state beside it in a step
//! directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use asclepius_model::Decoder;
use asclepius_model::checkpoint::read_tensors;

use crate::TrainError;
use crate::checkpoint::{
    FINAL_DIRECTORY, RunState, publish, read_state, recover, rotate, step_directories, step_name, verify_tensors,
    weight_files, write_state,
};
use crate::job::{Control, Job};
use crate::optimizer::Optimizer;

/// Beside the tensors' own bytes: headers, configuration, state, a tokenizer of the usual size.
const OTHER_BYTES: u64 = 16 << 20;

/// Writes a step directory, reads it back, and only then removes the oldest beyond `keep`.
///
/// # Errors
/// When the disk has no room or does not take it; what was there before is then untouched.
pub fn save_step(
    decoder: &Decoder,
    optimizer: &Optimizer,
    job: &Job<'_>,
    control: &dyn Control,
    state: &RunState,
) -> Result<PathBuf, TrainError> {
    let name = step_name(state.step);
    check_room(job, control, &name, weight_bytes(decoder) + optimizer.bytes())?;
    let write = |partial: &Path| {
        write_model(decoder, job, partial)?;
        optimizer.save(partial)?;
        write_state(partial, state)
    };
    let verify = |partial: &Path| {
        verify_model(decoder, partial)?;
        optimizer.verify(partial)?;
        read_state(partial).map(drop)
    };
    let directory = publish(job.directory, &name, write, verify)?;
    rotate(job.directory, job.config.keep, state.patience.best.map(|best| best.step))?;
    Ok(directory)
}

/// Writes the finished model or adapter.
///
/// # Errors
/// When the disk has no room or does not take it.
pub fn save_final(decoder: &Decoder, job: &Job<'_>, control: &dyn Control) -> Result<PathBuf, TrainError> {
    check_room(job, control, FINAL_DIRECTORY, weight_bytes(decoder))?;
    let write = |partial: &Path| write_model(decoder, job, partial);
    publish(job.directory, FINAL_DIRECTORY, write, |partial| verify_model(decoder, partial))
}

/// Restores weights and moments from the newest step directory, if there is one.
///
/// # Errors
/// When it was made from other data or settings than `expected` says, or is damaged.
pub fn resume(
    decoder: &Decoder,
    optimizer: &Optimizer,
    job: &Job<'_>,
    expected: &RunState,
) -> Result<Option<(RunState, PathBuf)>, TrainError> {
    recover(job.directory)?;
    let Some((_, directory)) = step_directories(job.directory)?.pop() else { return Ok(None) };
    let state = read_state(&directory)?;
    let same = state.identity == expected.identity
        && state.seed == expected.seed
        && state.total_steps == expected.total_steps
        && state.step <= state.total_steps;
    if !same {
        return Err(TrainError::Stale { directory });
    }
    restore_weights(decoder, &directory)?;
    optimizer.load(&directory)?;
    Ok(Some((state, directory)))
}

/// Puts the weights of a step directory into `decoder`.
///
/// # Errors
/// When they are damaged, or not exactly those that `decoder` trains.
pub fn restore_weights(decoder: &Decoder, directory: &Path) -> Result<(), TrainError> {
    verify_model(decoder, directory)?;
    for file in weight_files(directory)? {
        decoder.restore(&read_tensors(&file, decoder.device())?)?;
    }
    Ok(())
}

/// Refuses to begin a directory that the disk has no room for: a write that fails halfway would leave it full.
fn check_room(job: &Job<'_>, control: &dyn Control, name: &str, tensors: u64) -> Result<(), TrainError> {
    let needed = tensors + OTHER_BYTES;
    let available = control.available_bytes(job.directory)?;
    if needed <= available {
        return Ok(());
    }
    Err(TrainError::NoRoom { directory: job.directory.join(name), needed, available })
}

fn weight_bytes(decoder: &Decoder) -> u64 {
    let bytes = |value: &candle_core::Tensor| (value.elem_count() * value.dtype().size_in_bytes()) as u64;
    decoder.trainable().iter().map(|parameter| bytes(parameter.value())).sum()
}

fn write_model(decoder: &Decoder, job: &Job<'_>, directory: &Path) -> Result<(), TrainError> {
    match decoder.lora() {
        Some(_) => decoder.save_adapter(directory, job.base)?,
        None => decoder.save(directory, job.tokenizer)?,
    }
    Ok(())
}

fn verify_model(decoder: &Decoder, directory: &Path) -> Result<(), TrainError> {
    let expected: BTreeMap<String, Vec<usize>> = decoder
        .trainable()
        .iter()
        .map(|parameter| (parameter.name().to_owned(), parameter.value().dims().to_vec()))
        .collect();
    verify_tensors(&weight_files(directory)?, &expected)
}
