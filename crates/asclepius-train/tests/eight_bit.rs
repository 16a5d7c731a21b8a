//! Training with moments in 8 bits: as good as with f32 ones, and as exactly gone on with.

mod support;

use std::path::Path;

use asclepius_model::Decoder;
use asclepius_train::{Control, OptimizerChoice, Summary, TrainConfig, Unattended, step_directories};
use support::{StopAfter, config, decoder, decoder_of, train_on};

/// Wide enough that its matrices have 4096 numbers and more: smaller ones keep f32 moments.
fn wide() -> Decoder {
    decoder_of(64, 96)
}

fn train(optimizer: OptimizerChoice, steps: u64, directory: &Path, control: &dyn Control) -> Summary {
    let config = TrainConfig { optimizer, max_steps: Some(steps), learning_rate: 3e-3, ..config() };
    train_on(&mut wide(), &config, directory, control).expect("trains")
}

#[test]
fn the_loss_stays_within_two_percent_of_f32_moments() {
    let losses = |optimizer| {
        let directory = tempfile::tempdir().expect("a directory");
        let summary = train(optimizer, 40, directory.path(), &Unattended);
        let ends = summary.evaluations.first().zip(summary.evaluations.last()).expect("evaluated");
        (ends.0.eval_loss, ends.1.eval_loss)
    };
    let (full, eight) = (losses(OptimizerChoice::Adamw), losses(OptimizerChoice::Adamw8bit));
    assert!(full.0 == eight.0 && full.1 < 0.6 * full.0, "{full:?} {eight:?}");
    assert!(full.1 != eight.1, "another optimizer");
    assert!((full.1 - eight.1).abs() < 0.02 * full.0, "{full:?} {eight:?}");
}

#[test]
fn ten_steps_are_five_and_five_bit_for_bit() {
    let (whole, broken) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let run = |directory: &Path, control: &dyn Control| train(OptimizerChoice::Adamw8bit, 10, directory, control);
    run(whole.path(), &Unattended);
    assert_eq!(run(broken.path(), &StopAfter::questions(10)).steps, 5);
    assert_eq!(run(broken.path(), &Unattended).resumed_from, Some(5));
    for file in ["model.safetensors", "optimizer.safetensors"] {
        let last = |directory: &Path| {
            let (_, path) = step_directories(directory).expect("readable").pop().expect("a checkpoint");
            fs_err::read(path.join(file)).expect("whole")
        };
        assert!(last(whole.path()) == last(broken.path()), "{file} differs");
    }
}

#[test]
fn small_tensors_keep_their_moments_in_f32() {
    assert!(decoder().parameters().iter().all(|parameter| parameter.value().elem_count() < 4096));
    let weights = |optimizer| {
        let directory = tempfile::tempdir().expect("a directory");
        support::train(&TrainConfig { optimizer, ..config() }, directory.path(), &Unattended).expect("trains");
        fs_err::read(directory.path().join("final/model.safetensors")).expect("written")
    };
    assert_eq!(weights(OptimizerChoice::Adamw8bit), weights(OptimizerChoice::Adamw));
}
