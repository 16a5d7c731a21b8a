//! Losses, logits and the gradient of every tensor, with and without adapters, against what `tools/oracle/golden.py` took from
//! transformers and peft.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use asclepius_model::checkpoint::read_tensors;
use asclepius_model::{Decoder, Layout, MicroBatch, ModelConfig, Recompute, loss_and_gradients};
use asclepius_ops::GradientBuffer;
use candle_core::{DType, Device, Tensor};
use serde::Deserialize;
use serde_json::{Value, json};

const FAMILIES: [&str; 12] = [
    "llama",
    "llama-biases",
    "llama-linear",
    "llama-yarn",
    "llama-yarn-whole",
    "llama3",
    "mistral",
    "phi",
    "phi-first",
    "phi3",
    "qwen2",
    "qwen3",
];

fn golden(family: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/golden").join(family)
}

#[derive(Deserialize)]
struct Rows {
    scored: usize,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    ids: Vec<u32>,
    supervised: Vec<bool>,
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs_err::read_to_string(path).expect("committed")).expect("JSON")
}

/// The scored rows laid end to end.
fn batch() -> MicroBatch {
    let rows: Rows = serde_json::from_value(json(&golden("rows.json"))).expect("the generator writes this shape");
    let (mut ids, mut positions, mut labels, mut cumulative) = (Vec::new(), Vec::new(), Vec::new(), vec![0]);
    for row in &rows.rows[..rows.scored] {
        let next = |index: usize| row.supervised.get(index + 1) == Some(&true);
        labels.extend((0..row.ids.len()).map(|index| next(index).then(|| row.ids[index + 1])));
        ids.extend(&row.ids);
        positions.extend(0..row.ids.len() as u32);
        cumulative.push(ids.len() as u32);
    }
    MicroBatch::new(ids, positions, cumulative, &labels).expect("as many of each")
}

fn distance(found: &Tensor, expected: &Tensor) -> f64 {
    let norm = |tensor: &Tensor| -> f64 {
        let squares =
            tensor.detach().to_dtype(DType::F64).and_then(|tensor| tensor.sqr()?.sum_all()?.to_scalar::<f64>());
        squares.expect("finite").sqrt()
    };
    norm(&(found.detach() - expected).expect("one shape")) / norm(expected)
}

/// Holds a decoder against what is expected under `prefix`.
fn compare(family: &str, prefix: &str, decoder: &Decoder, loss: &Value, expected: &BTreeMap<String, Tensor>) {
    let batch = batch();
    let buffer = GradientBuffer::new(&decoder.parameters()).expect("f32");
    let sum = loss_and_gradients(decoder, &batch, None, Recompute::Block).expect("a sound batch");
    let loss = loss.as_f64().expect("a number");
    assert!((sum - loss).abs() <= 1e-5 * loss, "{family} {prefix}: a loss of {sum}, not {loss}");

    let context = decoder.context(&batch.positions, batch.documents.clone(), None).expect("small");
    let mut x = decoder.embed(&batch.ids).expect("in range");
    for index in 0..decoder.block_count() {
        x = decoder.block(index, &x, &context).expect("fits");
    }
    let logits = decoder.head(&x).and_then(|x| decoder.logits(&x)).expect("fits");
    let apart = distance(&logits, &expected[&format!("{prefix}.logits")]);
    assert!(apart <= 1e-4, "{family} {prefix}: logits {apart:.1e} apart");

    let names: BTreeSet<String> = buffer.parameters().iter().map(|p| format!("{prefix}.{}", p.name())).collect();
    let wanted: BTreeSet<String> =
        expected.keys().filter(|name| name.starts_with(prefix) && !name.ends_with(".logits")).cloned().collect();
    assert_eq!(names, wanted, "{family} {prefix}");
    for parameter in buffer.parameters() {
        let gradient = parameter.gradient().expect("no device").expect("in the buffer");
        let apart = distance(&gradient, &expected[&format!("{prefix}.{}", parameter.name())]);
        assert!(apart <= 1e-4, "{family} {prefix} {}: gradients {apart:.1e} apart", parameter.name());
    }
}

#[test]
fn losses_logits_and_gradients_are_those_of_transformers() {
    for family in FAMILIES {
        let directory = golden(family);
        let expected = read_tensors(&directory.join("expected.safetensors"), &Device::Cpu).expect("committed");
        let losses = json(&directory.join("expected.json"));
        let load = || Decoder::load(&directory, DType::F32, &Device::Cpu).expect("as transformers saved it");
        let mut decoder = load();
        decoder.train_all().expect("small");
        compare(family, "full", &decoder, &losses["full_loss"], &expected);
        let mut decoder = load();
        decoder.load_adapter(&directory.join("adapter")).expect("as peft saved it");
        decoder.train_adapters().expect("small");
        compare(family, "lora", &decoder, &losses["lora_loss"], &expected);
    }
}

#[test]
fn phi_s_first_layout_is_known_by_its_tensors() {
    let first = ModelConfig::from_file(&golden("phi-first")).expect("old keys are read");
    let current = ModelConfig::from_file(&golden("phi")).expect("sound");
    assert_eq!((first.layout, current.layout), (Layout::First, Layout::Current));
    assert_eq!((&first.rotary, first.intermediate_size), (&current.rotary, current.intermediate_size));

    // The old tensors under today's configuration, as they were also published.
    let dir = tempfile::tempdir().expect("a temporary directory");
    fs_err::copy(golden("phi/config.json"), dir.path().join("config.json")).expect("writable");
    fs_err::copy(golden("phi-first/model.safetensors"), dir.path().join("model.safetensors")).expect("writable");
    let decoder = Decoder::load(dir.path(), DType::F32, &Device::Cpu).expect("known by its tensors");
    assert_eq!(decoder.config().layout, Layout::First);
    decoder.save(&dir.path().join("again"), None).expect("writable");
    let again = Decoder::load(&dir.path().join("again"), DType::F32, &Device::Cpu).expect("just written");
    assert_eq!(again.parameters().len(), decoder.parameters().len());
}

#[test]
fn what_a_family_cannot_do_is_refused_by_key() {
    let refused = |family: &str, key: &str, value: Value| {
        let mut config = json(&golden(family).join("config.json"));
        config[key] = value;
        ModelConfig::from_json(config).expect_err("cannot be computed").to_string()
    };
    let longrope = json!({ "type": "longrope", "short_factor": [1.0], "long_factor": [1.0] });
    let mut config = json(&golden("phi3").join("config.json"));
    config.as_object_mut().expect("an object").remove("rope_parameters");
    config["rope_scaling"] = longrope;
    let error = ModelConfig::from_json(config).expect_err("another angle for every length").to_string();
    assert!(error.contains("longrope"), "{error}");
    for (family, key, value) in [
        ("phi", "qk_layernorm", json!(true)),
        ("phi", "hidden_act", json!("silu")),
        ("phi", "attention_dropout", json!(0.1)),
        ("phi3", "embd_pdrop", json!(0.1)),
        ("phi3", "resid_pdrop", json!(1.0)),
    ] {
        let error = refused(family, key, value);
        assert!(error.contains(key), "{error}");
    }
}
