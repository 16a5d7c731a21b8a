//! The loop: it learns, it counts right, and its guards stop it.

mod support;

use asclepius_dataset::Packing;
use asclepius_model::checkpoint::{read_tensors, write_tensors};
use asclepius_model::{Decoder, LoraConfig};
use asclepius_train::{
    METRICS_FILE, Method, MetricsRow, Precision, RecomputeChoice, StepRow, TRAINER_STATE_FILE, TrainConfig, TrainError,
    Unattended, read_metrics, step_directories,
};
use candle_core::{DType, Device};
use support::{StopAfter, config, decoder, train, train_on};

fn steps(config: &TrainConfig) -> Vec<StepRow> {
    let directory = tempfile::tempdir().expect("a directory");
    train(config, directory.path(), &Unattended).expect("trains");
    let rows = read_metrics(&directory.path().join(METRICS_FILE)).expect("written");
    rows.into_iter()
        .filter_map(|row| match row {
            MetricsRow::Step(row) => Some(row),
            MetricsRow::Evaluation(_) => None,
        })
        .collect()
}

#[test]
fn it_learns_and_says_what_it_did() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = TrainConfig { max_steps: Some(40), eval_every: 20, ..config() };
    let summary = train(&config, directory.path(), &Unattended).expect("trains");
    let evaluations: Vec<u64> = summary.evaluations.iter().map(|row| row.step).collect();
    assert_eq!(evaluations, [0, 20, 40]);
    let losses: Vec<f64> = summary.evaluations.iter().map(|row| row.eval_loss).collect();
    // Random weights know nothing: the loss starts near ln 48.
    assert!((losses[0] - 48_f64.ln()).abs() < 0.3, "{losses:?}");
    assert!(losses[2] < 0.6 * losses[0], "{losses:?}");
    assert!(summary.final_loss < summary.first_loss);
    assert!(directory.path().join("final/config.json").is_file());
    assert!(directory.path().join(TRAINER_STATE_FILE).is_file());

    let trained = Decoder::load(&directory.path().join("final"), DType::F32, &Device::Cpu).expect("loads again");
    assert_eq!(trained.parameters().len(), decoder().parameters().len());
}

#[test]
fn adapters_learn_and_leave_the_base_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let adapters = LoraConfig { rank: 4, ..LoraConfig::default() };
    let config = TrainConfig {
        method: Method::Lora,
        lora: Some(adapters),
        max_steps: Some(30),
        learning_rate: 3e-2,
        ..config()
    };
    let mut adapted = decoder();
    let summary = train_on(&mut adapted, &config, directory.path(), &Unattended).expect("trains");
    let losses: Vec<f64> = summary.evaluations.iter().map(|row| row.eval_loss).collect();
    assert!(losses.last() < losses.first(), "{losses:?}");
    assert!(summary.parameters.trainable < summary.parameters.all / 2);
    assert!(directory.path().join("final/adapter_config.json").is_file());

    let mut fresh = decoder();
    fresh.load_adapter(&directory.path().join("final")).expect("a PEFT directory");
    for (left, right) in fresh.parameters().iter().zip(adapted.parameters()) {
        let bits = |tensor: &candle_core::Tensor| tensor.flatten_all().and_then(|t| t.to_vec1::<f32>()).expect("f32");
        assert_eq!(left.name(), right.name());
        assert!(bits(left.value()) == bits(right.value()), "{}", left.name());
    }
}

#[test]
fn in_f16_a_scaled_loss_gives_the_gradients_of_f32() {
    for method in [Method::Lora, Method::Qlora] {
        let of = |precision| {
            let lora = Some(LoraConfig { rank: 4, ..LoraConfig::default() });
            steps(&TrainConfig { method, lora, precision, ..config() })
        };
        let (narrow, wide) = (of(Precision::F16), of(Precision::F32));
        assert_eq!(narrow.len(), wide.len());
        for (narrow, wide) in narrow.iter().zip(&wide) {
            assert_eq!((narrow.loss_scale, wide.loss_scale), (Some(1024.0), None));
            assert!((narrow.loss - wide.loss).abs() < 5e-3 * wide.loss, "{narrow:?} {wide:?}");
            assert!((narrow.grad_norm - wide.grad_norm).abs() < 2e-2 * wide.grad_norm, "{narrow:?} {wide:?}");
        }
    }
}

#[test]
fn a_gradient_that_leaves_f16_is_computed_again_with_a_smaller_scale() {
    let model = tempfile::tempdir().expect("a directory");
    decoder().save(model.path(), None).expect("writable");
    let file = model.path().join("model.safetensors");
    let mut tensors = read_tensors(&file, &Device::Cpu).expect("just written");
    // What goes back to the blocks is as much larger.
    let norm = tensors.get_mut("model.norm.weight").expect("a Llama has one");
    *norm = (&*norm * 2000.0).expect("a vector");
    write_tensors(&file, &tensors).expect("writable");
    let rows = |precision| {
        let mut decoder = Decoder::load(model.path(), DType::F32, &Device::Cpu).expect("loads");
        let directory = tempfile::tempdir().expect("a directory");
        let lora = Some(LoraConfig { rank: 4, ..LoraConfig::default() });
        let config = TrainConfig { method: Method::Lora, lora, precision, learning_rate: 1e-4, ..config() };
        let summary = train_on(&mut decoder, &config, directory.path(), &Unattended).expect("trains");
        assert_eq!(summary.steps, 10);
        let rows = read_metrics(&directory.path().join(METRICS_FILE)).expect("written");
        rows.into_iter().filter_map(|row| if let MetricsRow::Step(row) = row { Some(row) } else { None })
    };
    for (narrow, wide) in rows(Precision::F16).zip(rows(Precision::F32)) {
        let scale = narrow.loss_scale.expect("in f16");
        assert!((1.0..1024.0).contains(&scale) && scale.log2().fract() == 0.0, "{narrow:?}");
        assert!((narrow.loss - wide.loss).abs() < 2e-2 * wide.loss, "{narrow:?} {wide:?}");
    }
}

#[test]
fn how_the_global_batch_is_cut_does_not_matter() {
    // Ragged rows, so that a mean of means would differ.
    let base = TrainConfig { packing: Packing::None, global_batch: 8, max_steps: Some(8), ..config() };
    let whole = steps(&TrainConfig { micro_batch: 8, ..base.clone() });
    let cut = steps(&TrainConfig { micro_batch: 1, ..base });
    for (whole, cut) in whole.iter().zip(&cut) {
        assert_eq!(whole.supervised_tokens, cut.supervised_tokens);
        assert!((whole.loss - cut.loss).abs() < 1e-6 * whole.loss.max(1.0), "{whole:?} {cut:?}");
        assert!((whole.grad_norm - cut.grad_norm).abs() < 1e-5 * whole.grad_norm, "{whole:?} {cut:?}");
    }
}

#[test]
fn packing_changes_the_fill_but_counts_every_token() {
    let epoch = |packing| steps(&TrainConfig { packing, max_steps: None, epochs: Some(1), ..config() });
    let (packed, rows) = (epoch(Packing::Documents), epoch(Packing::None));
    let total = |rows: &[StepRow]| {
        rows.iter().map(|row| (row.tokens, row.supervised_tokens)).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
    };
    assert_eq!(total(&packed), total(&rows));
    let fill = |rows: &[StepRow]| rows.iter().map(|row| row.fill).sum::<f64>() / rows.len() as f64;
    assert!(fill(&packed) > 0.85 && fill(&rows) < 0.5, "{} {}", fill(&packed), fill(&rows));
}

#[test]
fn recomputing_blocks_gives_the_same_bits() {
    let run = |recompute| steps(&TrainConfig { recompute, ..config() });
    for (none, block) in run(RecomputeChoice::None).iter().zip(run(RecomputeChoice::Block)) {
        assert_eq!(none.loss.to_bits(), block.loss.to_bits());
        assert_eq!(none.grad_norm.to_bits(), block.grad_norm.to_bits());
    }
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_checkpoint() {
    let directory = tempfile::tempdir().expect("a directory");
    let wild = TrainConfig { learning_rate: 1e30, warmup_ratio: 0.2, save_every: 1, ..config() };
    // The first update of a warm-up has rate 0, so the first checkpoint is sound and the second is not yet looked at.
    let error = train(&wild, directory.path(), &Unattended).expect_err("weights of 1e30 overflow");
    let TrainError::NotFinite { step, last_checkpoint, .. } = &error else { panic!("{error}") };
    let kept = last_checkpoint.as_ref().expect("written before the failure");
    assert!(kept.join("state.json").is_file());
    let newest = step_directories(directory.path()).expect("readable").pop().expect("one");
    assert_eq!(newest, (step - 1, kept.clone()));
    assert!(!directory.path().join("final").exists());
    assert!(error.to_string().contains(&kept.display().to_string()), "{error}");
}

#[test]
fn a_tensor_that_no_gradient_reaches_is_named() {
    // A second layer whose attention output is thrown away: nothing flows back to what made it.
    let directory = tempfile::tempdir().expect("a directory");
    decoder().save(directory.path(), None).expect("writable");
    let weights = directory.path().join("model.safetensors");
    let mut tensors = read_tensors(&weights, &Device::Cpu).expect("just written");
    let output = tensors.get_mut("model.layers.1.self_attn.o_proj.weight").expect("a Llama has one");
    *output = output.zeros_like().expect("room");
    write_tensors(&weights, &tensors).expect("writable");
    let mut broken = Decoder::load(directory.path(), DType::F32, &Device::Cpu).expect("whole");

    let run = directory.path().join("run");
    let error = train_on(&mut broken, &config(), &run, &Unattended).expect_err("a gradient is missing");
    let TrainError::NoGradient { step: 1, names } = &error else { panic!("{error}") };
    let unreached = ["input_layernorm", "self_attn.k_proj", "self_attn.q_proj", "self_attn.v_proj"];
    let expected: Vec<String> = unreached.map(|module| format!("model.layers.1.{module}.weight")).into();
    assert_eq!(*names, expected);
}

#[test]
fn stopping_before_the_first_step_leaves_nothing_to_go_on_from() {
    let directory = tempfile::tempdir().expect("a directory");
    let summary = train(&config(), directory.path(), &StopAfter::questions(0)).expect("stops in order");
    assert!(summary.interrupted);
    assert_eq!((summary.steps, summary.final_loss), (0, None));
    assert!(step_directories(directory.path()).expect("readable").is_empty());
}
