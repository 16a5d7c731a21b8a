//! A run's way to disk and back: the trained model or adapter, with the optimizer and the state beside it in a step
//! directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use asclepius_model::Decoder;
use asclepius_model::checkpoint::read_tensors;

use crate::TrainError;
use crate::checkpoint::{
    RunState, publish, read_state, remove_partials, rotate, step_directories, step_name, verify_tensors, weight_files,
    write_state,
};
use crate::job::Job;
use crate::optimizer::Optimizer;

/// The directory of the finished model or adapter.
pub const FINAL_DIRECTORY: &str = "final";

/// Writes a step directory, reads it back, and only then removes the oldest beyond `keep`.
///
/// # Errors
/// When the disk does not take it; what was there before is then untouched.
pub fn save_step(
    decoder: &Decoder,
    optimizer: &Optimizer,
    job: &Job<'_>,
    state: &RunState,
) -> Result<PathBuf, TrainError> {
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
    let directory = publish(job.directory, &step_name(state.step), write, verify)?;
    rotate(job.directory, job.config.keep)?;
    Ok(directory)
}

/// Writes the finished model or adapter.
///
/// # Errors
/// When the disk does not take it.
pub fn save_final(decoder: &Decoder, job: &Job<'_>) -> Result<PathBuf, TrainError> {
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
    remove_partials(job.directory)?;
    let Some((_, directory)) = step_directories(job.directory)?.pop() else { return Ok(None) };
    let state = read_state(&directory)?;
    let same = state.identity == expected.identity
        && state.seed == expected.seed
        && state.total_steps == expected.total_steps
        && state.step <= state.total_steps;
    if !same {
        return Err(TrainError::Stale { directory });
    }
    verify_model(decoder, &directory)?;
    for file in weight_files(&directory)? {
        decoder.restore(&read_tensors(&file, decoder.device())?)?;
    }
    optimizer.load(&directory)?;
    Ok(Some((state, directory)))
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
