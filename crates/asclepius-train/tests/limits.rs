//! What ends a run: tokens, held-out loss that has stopped falling, a full disk, rows with nothing to learn.

mod support;

use std::path::Path;

use asclepius_model::LoraConfig;
use asclepius_train::{Control, Method, TrainConfig, TrainError, Unattended, step_directories};
use support::{StopAfter, config, decoder, documents, train, train_documents, train_on};

/// Far too fast a rate: the held-out loss falls, then wanders.
fn wandering() -> TrainConfig {
    TrainConfig {
        max_steps: Some(60),
        learning_rate: 0.3,
        eval_every: 2,
        save_every: 4,
        early_stop: Some(3),
        ..config()
    }
}

fn weights(directory: &Path, name: &str) -> Vec<u8> {
    fs_err::read(directory.join(name).join("model.safetensors")).expect("whole")
}

#[test]
fn early_stopping_keeps_the_best_weights_and_goes_on_bit_for_bit() {
    let (whole, broken) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let summary = train(&wandering(), whole.path(), &Unattended).expect("trains");
    let best = summary.best.expect("evaluations were made");
    assert!(summary.stopped_early && summary.steps < 60, "{summary:?}");
    assert_eq!(summary.steps, best.step + 3 * 2);
    let lowest = summary.evaluations.iter().skip(1).map(|row| row.eval_loss).fold(f64::INFINITY, f64::min);
    assert_eq!(best.eval_loss, lowest);
    let kept = format!("step-{:06}", best.step);
    assert!(weights(whole.path(), "final") == weights(whole.path(), &kept), "the best, not the last");
    let marked = summary.evaluations.iter().rfind(|row| row.best == Some(true)).map(|row| row.step);
    assert_eq!(marked, Some(best.step));

    // Two micro-batches a step: stopped one step after the best, inside the accumulation of the next.
    let part = train(&wandering(), broken.path(), &StopAfter::questions(7)).expect("stops in order");
    assert!(part.interrupted && part.steps < summary.steps);
    let rest = train(&wandering(), broken.path(), &Unattended).expect("goes on");
    assert_eq!((rest.best, rest.steps, rest.stopped_early), (Some(best), summary.steps, true));
    assert!(weights(whole.path(), "final") == weights(broken.path(), "final"));
}

#[test]
fn a_run_ends_with_the_step_that_reaches_its_tokens() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = TrainConfig { max_steps: None, max_tokens: Some(500), eval_every: 0, ..config() };
    let summary = train(&config, directory.path(), &Unattended).expect("trains");
    assert!(summary.tokens >= 500 && summary.tokens < 500 + 4 * 32, "{}", summary.tokens);
}

/// A disk with room for so many bytes.
struct Disk(u64);

impl Control for Disk {
    fn available_bytes(&self, _directory: &Path) -> std::io::Result<u64> {
        Ok(self.0)
    }
}

#[test]
fn a_disk_without_room_is_told_before_anything_is_written() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = TrainConfig { save_every: 3, ..config() };
    train(&config, directory.path(), &StopAfter::questions(6)).expect("stops in order");
    let before = step_directories(directory.path()).expect("readable");
    let error = train(&config, directory.path(), &Disk(1000)).expect_err("1000 bytes are no room");
    let TrainError::NoRoom { directory: named, needed, available: 1000 } = &error else { panic!("{error}") };
    assert!(*needed > 1000 && named.ends_with("step-000006"), "{error}");
    assert_eq!(step_directories(directory.path()).expect("readable"), before, "the last good one stays");
    assert!(!directory.path().join(".step-000006.partial").exists());
    train(&config, directory.path(), &Unattended).expect("goes on where there is room");
}

#[test]
fn an_adapter_that_a_rate_of_zero_leaves_idle_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let idle = TrainConfig {
        method: Method::Lora,
        lora: Some(LoraConfig { rank: 2, ..LoraConfig::default() }),
        learning_rate: 0.0,
        max_steps: Some(2),
        ..config()
    };
    let error = train(&idle, directory.path(), &Unattended).expect_err("B is still zero");
    assert!(matches!(&error, TrainError::IdleAdapter { names } if names.len() == 14), "{error}");
    assert!(!directory.path().join("final").exists());
}

#[test]
fn rows_of_which_nothing_is_learnt_are_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut masked = documents(40);
    for document in &mut masked {
        document.supervised.fill(false);
    }
    let error = train_documents(&mut decoder(), masked, &config(), directory.path(), &Unattended)
        .expect_err("there is nothing to learn");
    let TrainError::NothingSupervised { step: 1, rows } = &error else { panic!("{error}") };
    assert!(!rows.is_empty() && rows.iter().all(|row| row.starts_with("document-")), "{rows:?}");
    assert!(error.to_string().contains(&rows[0]), "{error}");
}

#[test]
fn a_weight_that_is_no_number_is_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut broken = decoder();
    let name = "model.layers.1.mlp.up_proj.weight";
    let parameters = broken.parameters();
    let parameter = parameters.iter().find(|parameter| parameter.name() == name).expect("a Llama has one");
    let value = (parameter.value().detach() * f64::NAN).expect("a matrix");
    parameter.set(&value).expect("one shape");
    let config = TrainConfig { eval_every: 0, ..config() };
    let error = train_on(&mut broken, &config, directory.path(), &Unattended).expect_err("the loss is NaN");
    let TrainError::NotFinite { step: 1, tensors, .. } = &error else { panic!("{error}") };
    assert_eq!(tensors, &[name]);
    assert!(error.to_string().contains(name), "{error}");
}
