//! A run that is stopped and gone on with ends as if it had never been stopped.

mod support;

use std::collections::BTreeSet;
use std::path::Path;

use asclepius_model::LoraConfig;
use asclepius_model::checkpoint::read_tensors;
use asclepius_train::{
    FINAL_DIRECTORY, METRICS_FILE, Method, MetricsRow, Precision, TrainConfig, TrainError, Unattended, read_metrics,
    step_directories,
};
use candle_core::Device;
use support::{StopAfter, config, train};

fn lora() -> TrainConfig {
    let adapters = LoraConfig { rank: 2, dropout: 0.2, ..LoraConfig::default() };
    TrainConfig { method: Method::Lora, lora: Some(adapters), ..config() }
}

/// What must be the same: all but durations.
fn numbers(directory: &Path) -> Vec<(u64, u64, u64, u64)> {
    let rows = read_metrics(&directory.join(METRICS_FILE)).expect("a finished run's metrics");
    rows.iter()
        .map(|row| match row {
            MetricsRow::Step(row) => {
                (row.step, row.loss.to_bits(), row.grad_norm.to_bits(), row.learning_rate.to_bits())
            }
            MetricsRow::Evaluation(row) => (row.step, row.eval_loss.to_bits(), 0, 0),
        })
        .collect()
}

fn steps(directory: &Path) -> Vec<u64> {
    step_directories(directory).expect("readable").into_iter().map(|(step, _)| step).collect()
}

fn assert_same_end(unbroken: &Path, resumed: &Path, weights: &str) {
    let read = |directory: &Path| fs_err::read(directory.join(FINAL_DIRECTORY).join(weights)).expect("finished");
    assert!(read(unbroken) == read(resumed), "the weights differ");
    let last = |directory: &Path| {
        let (_, path) = step_directories(directory).expect("readable").pop().expect("a checkpoint");
        fs_err::read(path.join("optimizer.safetensors")).expect("whole")
    };
    assert!(last(unbroken) == last(resumed), "the moments differ");
    assert_eq!(numbers(unbroken), numbers(resumed));
}

fn ten_steps_are_five_and_five(config: &TrainConfig, weights: &str) {
    let (unbroken, resumed) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let whole = train(config, unbroken.path(), &Unattended).expect("trains");
    assert_eq!((whole.steps, whole.interrupted, whole.resumed_from), (10, false, None));

    // It asks once a micro-batch, and the fifth step, an epoch's last, has only one: the sixth step is abandoned in the
    // middle of its accumulation.
    let part = train(config, resumed.path(), &StopAfter::questions(10)).expect("stops in order");
    assert!(part.interrupted && part.final_directory.is_none());
    assert_eq!(part.steps, 5);
    assert_eq!(steps(resumed.path()), [5]);
    let rest = train(config, resumed.path(), &Unattended).expect("goes on");
    assert_eq!((rest.steps, rest.resumed_from), (10, Some(5)));
    assert_eq!(rest.tokens, whole.tokens);
    assert_eq!((rest.first_loss, rest.final_loss), (whole.first_loss, whole.final_loss));
    assert_same_end(unbroken.path(), resumed.path(), weights);
}

#[test]
fn full_training_goes_on_bit_for_bit() {
    ten_steps_are_five_and_five(&config(), "model.safetensors");
}

#[test]
fn adapters_with_dropout_go_on_bit_for_bit() {
    ten_steps_are_five_and_five(&lora(), "adapter_model.safetensors");
}

#[test]
fn adapters_on_a_quantised_base_go_on_bit_for_bit() {
    ten_steps_are_five_and_five(&TrainConfig { method: Method::Qlora, ..lora() }, "adapter_model.safetensors");
}

#[test]
fn a_killed_run_goes_on_from_its_last_checkpoint_and_forgets_what_came_after() {
    let (unbroken, killed) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let config = TrainConfig { save_every: 3, keep: 9, ..config() };
    train(&config, unbroken.path(), &Unattended).expect("trains");
    train(&config, killed.path(), &StopAfter::questions(10)).expect("stops in order");
    assert_eq!(steps(killed.path()), [3, 5]);
    // A kill at step 5 would have left no checkpoint of it, but its metrics, half a row, half a step directory and half a
    // file.
    let half = killed.path().join(".partial-a1b2c3");
    fs_err::write(&half, "hal").expect("writable");
    fs_err::rename(killed.path().join("step-000005"), killed.path().join(".step-000006.partial")).expect("renamed");
    let metrics = killed.path().join(METRICS_FILE);
    let text = fs_err::read_to_string(&metrics).expect("written");
    fs_err::write(&metrics, format!("{text}{{\"step\":6,\"lo")).expect("writable");

    let rest = train(&config, killed.path(), &Unattended).expect("goes on");
    assert_eq!(rest.resumed_from, Some(3));
    assert!(!killed.path().join(".step-000006.partial").exists() && !half.exists());
    assert_same_end(unbroken.path(), killed.path(), "model.safetensors");
    assert_eq!(steps(killed.path()), [3, 6, 9, 10]);
}

#[test]
fn a_finished_run_finishes_again_without_a_step() {
    let directory = tempfile::tempdir().expect("a directory");
    train(&config(), directory.path(), &Unattended).expect("trains");
    let before = numbers(directory.path());
    fs_err::remove_dir_all(directory.path().join(FINAL_DIRECTORY)).expect("removable");
    // A stop at the first question would abandon a step if there were one.
    let again = train(&config(), directory.path(), &StopAfter::questions(0)).expect("nothing to do");
    assert_eq!((again.resumed_from, again.interrupted), (Some(10), false));
    assert!(directory.path().join(FINAL_DIRECTORY).join("model.safetensors").is_file());
    assert_eq!(numbers(directory.path()), before);
}

#[test]
fn a_checkpoint_of_other_settings_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    train(&config(), directory.path(), &StopAfter::questions(6)).expect("stops in order");
    let longer = TrainConfig { max_steps: Some(12), ..config() };
    let error = train(&longer, directory.path(), &Unattended).expect_err("another horizon, another schedule");
    assert!(matches!(&error, TrainError::Stale { directory } if directory.ends_with("step-000003")), "{error}");
}

#[test]
fn a_damaged_checkpoint_is_named() {
    for file in ["optimizer.safetensors", "model.safetensors", "state.json"] {
        let directory = tempfile::tempdir().expect("a directory");
        train(&config(), directory.path(), &StopAfter::questions(6)).expect("stops in order");
        let path = directory.path().join("step-000003").join(file);
        let bytes = fs_err::read(&path).expect("written");
        fs_err::write(&path, &bytes[..bytes.len() / 2]).expect("writable");
        let error = train(&config(), directory.path(), &Unattended).expect_err("cut short");
        assert!(error.to_string().contains(file), "{error}");
    }
}

#[test]
fn the_newest_checkpoints_are_kept_by_number() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = TrainConfig { save_every: 1, keep: 2, ..config() };
    train(&config, directory.path(), &Unattended).expect("trains");
    assert_eq!(steps(directory.path()), [9, 10]);
    for file in ["config.json", "model.safetensors", "optimizer.safetensors", "state.json"] {
        assert!(directory.path().join("step-000010").join(file).is_file(), "{file}");
    }
}

#[test]
fn the_old_checkpoint_goes_only_once_the_new_one_stands() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = TrainConfig { save_every: 1, keep: 1, ..config() };
    // A file where the third step directory would be written: that write fails.
    fs_err::write(directory.path().join(".step-000003.partial"), "").expect("writable");
    let error = train(&config, directory.path(), &Unattended).expect_err("step 3 cannot be written");
    assert!(error.to_string().contains(".step-000003.partial"), "{error}");
    assert_eq!(steps(directory.path()), [2]);
    fs_err::remove_file(directory.path().join(".step-000003.partial")).expect("removable");
    let rest = train(&config, directory.path(), &Unattended).expect("goes on");
    assert_eq!((rest.resumed_from, rest.steps), (Some(2), 10));
}

#[test]
fn sixteen_bit_weights_go_on_bit_for_bit_beside_adapters_in_full_precision() {
    let half = |config| TrainConfig { precision: Precision::Bf16, ..config };
    ten_steps_are_five_and_five(&half(config()), "model.safetensors");
    ten_steps_are_five_and_five(&half(lora()), "adapter_model.safetensors");
    let masters = TrainConfig { master_weights: true, ..half(config()) };
    ten_steps_are_five_and_five(&masters, "model.safetensors");
    let scaled = |method| TrainConfig { precision: Precision::F16, method, ..lora() };
    ten_steps_are_five_and_five(&scaled(Method::Lora), "adapter_model.safetensors");
    ten_steps_are_five_and_five(&scaled(Method::Qlora), "adapter_model.safetensors");

    let types = |config: &TrainConfig, file: &str| -> BTreeSet<&'static str> {
        let directory = tempfile::tempdir().expect("a directory");
        train(config, directory.path(), &Unattended).expect("trains");
        let tensors = read_tensors(&directory.path().join(FINAL_DIRECTORY).join(file), &Device::Cpu).expect("written");
        tensors.values().map(|tensor| tensor.dtype().as_str()).collect()
    };
    assert_eq!(types(&half(config()), "model.safetensors"), ["bf16"].into());
    assert_eq!(types(&masters, "model.safetensors"), ["bf16"].into());
    assert_eq!(types(&half(lora()), "adapter_model.safetensors"), ["f32"].into());
    assert_eq!(types(&scaled(Method::Lora), "adapter_model.safetensors"), ["f32"].into());
}
