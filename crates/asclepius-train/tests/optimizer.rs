//! AdamW, clipping and schedules against the numbers that `tools/oracle/optimizer_golden.py` took from PyTorch and
//! transformers.

use std::collections::BTreeMap;

use asclepius_train::{AdamW, LearningRate, Moments, Schedule, clip_factor};
use candle_core::{Device, Tensor};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    peak: f64,
    warmup_ratio: f64,
    betas: [f64; 2],
    epsilon: f64,
    weight_decay: f64,
    max_norm: f64,
    shapes: BTreeMap<String, Vec<usize>>,
    start: BTreeMap<String, Vec<f32>>,
    gradients: Vec<BTreeMap<String, Vec<f32>>>,
    rates: BTreeMap<String, Vec<f64>>,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    norm: f64,
    values: BTreeMap<String, Vec<f32>>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/optimizer.json")).expect("the generator writes this shape")
}

fn tensor(values: &[f32], shape: &[usize]) -> Tensor {
    Tensor::from_slice(values, shape, &Device::Cpu).expect("the shape fits")
}

#[test]
fn schedules_are_those_of_transformers() {
    let golden = golden();
    for (name, schedule) in
        [("cosine", Schedule::Cosine), ("linear", Schedule::Linear), ("constant", Schedule::Constant)]
    {
        let expected = &golden.rates[name];
        let rate = LearningRate::new(golden.peak, schedule, golden.warmup_ratio, expected.len() as u64);
        for (step, &expected) in expected.iter().enumerate() {
            let rate = rate.at(step as u64);
            assert!((rate - expected).abs() <= 1e-15 * golden.peak, "{name}, step {step}: {rate} and {expected}");
        }
    }
}

#[test]
fn ten_clipped_steps_are_those_of_torch() {
    let golden = golden();
    let adamw = AdamW { betas: golden.betas, epsilon: golden.epsilon, weight_decay: golden.weight_decay };
    let rate = LearningRate::new(golden.peak, Schedule::Cosine, golden.warmup_ratio, golden.steps.len() as u64);
    let values: BTreeMap<&str, Tensor> =
        golden.shapes.iter().map(|(name, shape)| (name.as_str(), tensor(&golden.start[name], shape))).collect();
    let moments: BTreeMap<&str, Moments> =
        values.iter().map(|(&name, value)| (name, Moments::zeros_like(value).expect("room"))).collect();
    for (index, (gradients, expected)) in golden.gradients.iter().zip(&golden.steps).enumerate() {
        let squares: f64 = gradients.values().flatten().map(|&value| f64::from(value) * f64::from(value)).sum();
        let norm = squares.sqrt();
        assert!((norm - expected.norm).abs() <= 1e-6 * expected.norm);
        let scale = clip_factor(norm, golden.max_norm);
        for (&name, value) in &values {
            let gradient = tensor(&gradients[name], &golden.shapes[name]);
            let learning_rate = rate.at(index as u64);
            adamw
                .update(value, &gradient, &moments[name], scale, learning_rate, index as u64 + 1)
                .expect("the shapes agree");
            let found = value.flatten_all().and_then(|value| value.to_vec1::<f32>()).expect("f32 on the CPU");
            for (found, expected) in found.iter().zip(&expected.values[name]) {
                assert!((found - expected).abs() <= 1e-6, "{name}, step {}: {found} and {expected}", index + 1);
            }
        }
    }
}
