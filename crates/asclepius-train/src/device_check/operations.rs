//! Each operation on the device and on the CPU, from the same numbers, forward and back.

use asclepius_ops::{
    AttentionOptions, Documents, Gelu, GradientBuffer, Parameter, PhiloxKey, Result, RopeLayout, Targets, attention,
    dropout, embedding, gelu, layer_norm, linear, linear_cross_entropy, lora, rms_norm, rope, seed, swiglu,
};
use candle_core::{DType, Device, Tensor};

use super::{OperationFinding, as_on_device, bounds};
use crate::TrainError;

type Operation = Box<dyn Fn(&[Parameter]) -> Result<Tensor>>;

/// An operation with the shapes of its arguments, all of which get a gradient.
struct Case {
    name: &'static str,
    arguments: Vec<Vec<usize>>,
    run: Operation,
}

/// Random sizes for one round of cases.
struct Sizes {
    key: PhiloxKey,
    drawn: u64,
}

impl Sizes {
    fn between(&mut self, low: usize, high: usize) -> usize {
        self.drawn += 1;
        low + self.key.below(self.drawn, (high - low + 1) as u32) as usize
    }
}

/// Two documents or three over `tokens`.
fn documents(sizes: &mut Sizes, tokens: usize) -> Result<Documents> {
    let first = sizes.between(1, tokens - 2);
    let second = sizes.between(first + 1, tokens - 1);
    Documents::packed(vec![0, first as u32, second as u32, tokens as u32])
}

/// Cosines and sines of random angles, `[t, r/2]` each, on the argument's device and in its type.
fn angles(key: PhiloxKey, x: &Tensor, half: usize) -> Result<(Tensor, Tensor)> {
    let tokens = x.dim(0)?;
    let angles: Vec<f32> = key.normals(tokens * half);
    let on_device = |function: fn(f32) -> f32| -> Result<Tensor> {
        let values: Vec<f32> = angles.iter().copied().map(function).collect();
        Ok(Tensor::from_vec(values, (tokens, half), x.device())?.to_dtype(x.dtype())?)
    };
    Ok((on_device(f32::cos)?, on_device(f32::sin)?))
}

/// Every operation once, over shapes drawn from `key`.
fn cases(key: PhiloxKey) -> Result<Vec<Case>> {
    let mut sizes = Sizes { key, drawn: 0 };
    // Of a handful of features a layer norm leaves next to nothing, and a relative distance of that says nothing.
    let (t, d, f, v) = (sizes.between(3, 40), sizes.between(8, 70), sizes.between(2, 90), sizes.between(5, 120));
    let (groups, shared, half) = (sizes.between(1, 3), sizes.between(1, 4), sizes.between(1, 12));
    let (heads, head_dim, rank) = (groups * shared, 2 * half, sizes.between(1, 6));
    let turned = sizes.between(1, half);
    let packed = documents(&mut sizes, t)?;
    // A query that sees one key only has no gradient to compare.
    let window = sizes.between(2, t);
    let ids: Vec<u32> = (0..t).map(|_| sizes.between(0, v - 1) as u32).collect();
    let labels: Vec<Option<u32>> = (0..t).map(|row| (row % 3 != 1).then(|| sizes.between(0, v - 1) as u32)).collect();
    let scale = 1.0 / (head_dim as f64).sqrt();

    let mut cases = Vec::new();
    let mut add = |name, arguments: &[&[usize]], run: Operation| {
        let arguments = arguments.iter().map(|shape| shape.to_vec()).collect();
        cases.push(Case { name, arguments, run });
    };
    add("linear", &[&[t, d], &[f, d], &[f]], Box::new(|p| linear(p[0].value(), &p[1], Some(&p[2]))));
    add("embedding", &[&[v, d]], Box::new(move |p| embedding(&ids, &p[0])));
    add("rms_norm", &[&[t, d], &[d]], Box::new(|p| rms_norm(p[0].value(), &p[1], 1e-5)));
    add("layer_norm", &[&[t, d], &[d], &[d]], Box::new(|p| layer_norm(p[0].value(), &p[1], &p[2], 1e-5)));
    for (name, layout) in [("rope, halves", RopeLayout::Halves), ("rope, interleaved", RopeLayout::Interleaved)] {
        add(
            name,
            &[&[t, heads, head_dim]],
            Box::new(move |p| {
                let (cos, sin) = angles(key.fold_name("angles"), p[0].value(), turned)?;
                rope(p[0].value(), &cos, &sin, layout)
            }),
        );
    }
    for (name, window) in [("attention", None), ("attention, window", Some(window))] {
        let packed = packed.clone();
        add(
            name,
            &[&[t, heads, head_dim], &[t, groups, head_dim], &[t, groups, head_dim]],
            Box::new(move |p| {
                let options = AttentionOptions { scale, window };
                attention(p[0].value(), p[1].value(), p[2].value(), &packed, &options)
            }),
        );
    }
    // FlashAttention's head sizes, and documents longer than its blocks.
    for (name, size, has_window) in [
        ("attention of 64", 64, false),
        ("attention of 80", 80, false),
        ("attention of 96", 96, false),
        ("attention of 128", 128, false),
        ("window, heads of 64", 64, true),
        ("window, heads of 80", 80, true),
        ("window, heads of 96", 96, true),
        ("window, heads of 128", 128, true),
    ] {
        let (tokens, groups, shared) = (sizes.between(140, 420), sizes.between(1, 3), sizes.between(1, 3));
        let packed = documents(&mut sizes, tokens)?;
        let window = has_window.then(|| sizes.between(2, tokens));
        add(
            name,
            &[&[tokens, groups * shared, size], &[tokens, groups, size], &[tokens, groups, size]],
            Box::new(move |p| {
                let options = AttentionOptions { scale: 1.0 / (size as f64).sqrt(), window };
                attention(p[0].value(), p[1].value(), p[2].value(), &packed, &options)
            }),
        );
    }
    add("swiglu", &[&[t, f], &[t, f]], Box::new(|p| swiglu(p[0].value(), p[1].value())));
    for (name, kind) in [("gelu, erf", Gelu::Erf), ("gelu, tanh", Gelu::Tanh)] {
        add(name, &[&[t, f]], Box::new(move |p| gelu(p[0].value(), kind)));
    }
    add("dropout", &[&[t, f]], Box::new(move |p| dropout(p[0].value(), 0.3, key.fold_name("dropout"))));
    add(
        "lora",
        &[&[t, d], &[rank, d], &[f, rank]],
        Box::new(move |p| {
            let x = p[0].value();
            let w = Tensor::from_vec(key.fold_name("frozen").normals(f * d), (f, d), x.device())?;
            let w = Parameter::frozen("w", &w.to_dtype(x.dtype())?);
            lora(x, &w, &p[1], &p[2], 0.7, Some((0.2, key.fold_name("lora"))))
        }),
    );
    let targets = Targets::from_labels(&labels);
    add(
        "linear_cross_entropy",
        &[&[t, d], &[v, d], &[v]],
        Box::new(move |p| linear_cross_entropy(p[0].value(), &p[1], Some(&p[2]), &targets)),
    );
    add(
        "seed",
        &[&[t, d]],
        Box::new(move |p| {
            let x = p[0].value();
            let dy = Tensor::from_vec(key.fold_name("dy").normals(x.elem_count()), x.shape(), x.device())?;
            // A seed's value is 0: the sum of squares beside it has one to compare.
            Ok((seed(x, &dy)? + x.to_dtype(DType::F32)?.sqr()?.sum_all()?.to_dtype(x.dtype())?)?)
        }),
    );
    Ok(cases)
}

/// The value of a case and the gradient of each argument, in f32 on the CPU; arguments are `values` in `dtype`.
fn evaluate(case: &Case, values: &[Tensor], dtype: DType, device: &Device, key: PhiloxKey) -> Result<Vec<Tensor>> {
    let home = |tensor: &Tensor| -> Result<Tensor> {
        Ok(tensor.detach().to_dtype(DType::F32)?.to_device(&Device::Cpu)?.flatten_all()?)
    };
    let arguments = values
        .iter()
        .enumerate()
        .map(|(index, value)| Parameter::trainable(format!("p{index}"), &value.to_device(device)?.to_dtype(dtype)?))
        .collect::<Result<Vec<_>>>()?;
    let _buffer = GradientBuffer::new(&arguments)?;
    let y = (case.run)(&arguments)?;
    // Fixed weights, so that every element of the result matters differently.
    let weights = Tensor::from_vec(key.fold_name("projection").normals(y.elem_count()), y.shape(), device)?;
    let projected = (y.to_dtype(DType::F32)? * weights)?.sum_all()?;
    let mut store = projected.backward()?;
    Parameter::collect(&arguments, &mut store)?;
    let mut found = vec![home(&y)?];
    for argument in &arguments {
        let gradient = argument.gradient()?.ok_or_else(|| candle_core::Error::Msg("the buffer is gone".to_owned()))?;
        found.push(home(&gradient)?);
    }
    Ok(found)
}

fn distance(found: &Tensor, expected: &Tensor) -> Result<f64> {
    let norm = |tensor: &Tensor| -> Result<f64> {
        Ok(tensor.to_dtype(DType::F64)?.sqr()?.sum_all()?.to_scalar::<f64>()?.sqrt())
    };
    Ok(norm(&(found - expected)?)? / norm(expected)?.max(f64::MIN_POSITIVE))
}

/// The worst of every operation over `shapes` rounds of random shapes.
pub(super) fn check(
    device: &Device,
    dtype: DType,
    seed: u64,
    shapes: usize,
) -> std::result::Result<Vec<OperationFinding>, TrainError> {
    let mut findings: Vec<OperationFinding> = Vec::new();
    for round in 0..shapes {
        let key = PhiloxKey::new(seed).fold_name("device check").fold(round as u64);
        for (index, case) in cases(key)?.iter().enumerate() {
            let key = key.fold_name(case.name);
            // Rounded to the device's type first: what is compared is the arithmetic.
            let values = case
                .arguments
                .iter()
                .enumerate()
                .map(|(argument, shape)| {
                    // Half as wide as a standard normal: scores stay where a softmax has a slope everywhere.
                    let values = key.fold(argument as u64).normals(shape.iter().product());
                    let values: Vec<f32> = values.into_iter().map(|value| value * 0.5).collect();
                    Ok(Tensor::from_vec(values, shape.as_slice(), &Device::Cpu)?
                        .to_dtype(dtype)?
                        .to_dtype(DType::F32)?)
                })
                .collect::<Result<Vec<_>>>()?;
            let expected = evaluate(case, &values, DType::F32, &Device::Cpu, key)?;
            if findings.len() == index {
                findings.push(OperationFinding {
                    operation: case.name,
                    dtype: dtype.as_str(),
                    shapes,
                    value: 0.0,
                    gradient: 0.0,
                    bound: bounds(dtype).operations,
                    error: None,
                });
            }
            let finding = &mut findings[index];
            match as_on_device(device, || evaluate(case, &values, dtype, device, key)) {
                Err(error) => {
                    let shapes = &case.arguments;
                    finding.error.get_or_insert_with(|| format!("{error}; arguments {shapes:?}"));
                }
                Ok(found) => {
                    for (part, (found, expected)) in found.iter().zip(&expected).enumerate() {
                        let apart = distance(found, expected)?;
                        let worst = if part == 0 { &mut finding.value } else { &mut finding.gradient };
                        // A NaN stays.
                        *worst = if apart > *worst || apart.is_nan() { apart } else { *worst };
                    }
                }
            }
        }
    }
    Ok(findings)
}
