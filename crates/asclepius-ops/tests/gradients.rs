//! Every operation against finite differences in f64, and against its reference in f64 and f32.

use asclepius_ops::{
    AttentionOptions, Documents, Gelu, GradientBuffer, Parameter, PhiloxKey, RopeLayout, Targets, attention, dropout,
    embedding, gelu, layer_norm, linear, linear_cross_entropy, lora, reference, rms_norm, rope, seed, swiglu,
};
use candle_core::{DType, Device, Tensor};

type Function<'a> = &'a dyn Fn(&[Parameter]) -> Tensor;

fn random(name: &str, shape: &[usize]) -> Tensor {
    let values = PhiloxKey::new(1).fold_name(name).normals(shape.iter().product());
    Tensor::from_vec(values, shape, &Device::Cpu)
        .expect("as many as the shape says")
        .to_dtype(DType::F64)
        .expect("cast")
}

fn parameters(shapes: &[&[usize]], dtype: DType) -> Vec<Parameter> {
    shapes
        .iter()
        .enumerate()
        .map(|(index, shape)| {
            let name = format!("p{index}");
            let value = random(&name, shape).to_dtype(dtype).expect("cast");
            Parameter::trainable(name, &value).expect("a small copy")
        })
        .collect()
}

/// The function's output against fixed weights, so that every output element matters differently.
fn project(y: &Tensor) -> Tensor {
    let weights = random("projection", y.dims()).to_dtype(y.dtype()).expect("cast");
    (y * weights).expect("one shape").sum_all().expect("a sum")
}

fn value(function: Function<'_>, parameters: &[Parameter]) -> f64 {
    project(&function(parameters)).to_dtype(DType::F64).expect("cast").to_scalar().expect("a scalar")
}

/// The gradients of all parameters: `through_slots` as the buffer got them, else as autograd did.
fn gradients(function: Function<'_>, parameters: &[Parameter], through_slots: bool) -> Vec<Vec<f64>> {
    let buffer = through_slots.then(|| GradientBuffer::new(parameters).expect("one type"));
    let mut store = project(&function(parameters)).backward().expect("differentiable");
    if buffer.is_some() {
        Parameter::collect(parameters, &mut store).expect("shapes fit");
    }
    parameters
        .iter()
        .map(|parameter| {
            let gradient = match &buffer {
                Some(_) => parameter.gradient().expect("no device").expect("in the buffer"),
                None => store.remove(parameter.value()).expect("every parameter gets a gradient"),
            };
            gradient.to_dtype(DType::F64).expect("cast").flatten_all().expect("flat").to_vec1().expect("f64")
        })
        .collect()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
    norm(&mut a.iter().zip(b).map(|(a, b)| a - b)) / norm(&mut b.iter().copied()).max(1e-30)
}

/// Checks gradients in f64 against central differences.
fn check(name: &str, shapes: &[&[usize]], function: Function<'_>) {
    let parameters = parameters(shapes, DType::F64);
    let autograd = gradients(function, &parameters, false);
    let slots = gradients(function, &parameters, true);
    let step = 1e-5;
    for (index, parameter) in parameters.iter().enumerate() {
        let original: Vec<f64> = parameter.value().detach().flatten_all().and_then(|t| t.to_vec1()).expect("f64");
        let at = |element: usize, shift: f64| {
            let mut moved = original.clone();
            moved[element] += shift;
            let moved = Tensor::from_vec(moved, parameter.value().shape(), &Device::Cpu).expect("same shape");
            parameter.set(&moved).expect("same shape");
            value(function, &parameters)
        };
        let numeric: Vec<f64> =
            (0..original.len()).map(|element| (at(element, step) - at(element, -step)) / (2.0 * step)).collect();
        at(0, 0.0);
        let difference = distance(&autograd[index], &numeric);
        assert!(difference < 1e-7, "{name}: gradient {index} is off by {difference:e}");
        assert!(distance(&slots[index], &autograd[index]) < 1e-14, "{name}: slot {index}");
    }
}

/// Checks an operation against its reference, value and gradients, in f64 and f32, and both by finite differences.
fn agree(name: &str, shapes: &[&[usize]], operation: Function<'_>, reference: Function<'_>) {
    check(name, shapes, operation);
    check(&format!("reference {name}"), shapes, reference);
    for (dtype, bound) in [(DType::F64, 1e-12), (DType::F32, 3e-6)] {
        let parameters = parameters(shapes, dtype);
        let [a, b] = [operation, reference].map(|function| {
            let y = function(&parameters).detach();
            y.to_dtype(DType::F64).and_then(|y| y.flatten_all()).and_then(|y| y.to_vec1::<f64>()).expect("numbers")
        });
        assert!(distance(&a, &b) < bound, "{name} in {dtype:?}: {:e}", distance(&a, &b));
        let pairs = gradients(operation, &parameters, false).into_iter().zip(gradients(reference, &parameters, false));
        for (index, (a, b)) in pairs.enumerate() {
            assert!(distance(&a, &b) < bound, "{name} in {dtype:?}, gradient {index}: {:e}", distance(&a, &b));
        }
    }
}

#[test]
fn linear_with_and_without_bias() {
    agree("linear", &[&[5, 3], &[4, 3], &[4]], &|p| linear(p[0].value(), &p[1], Some(&p[2])).expect("fits"), &|p| {
        reference::linear(p[0].value(), p[1].value(), Some(p[2].value())).expect("fits")
    });
    check("linear of three dimensions", &[&[2, 5, 3], &[4, 3]], &|p| linear(p[0].value(), &p[1], None).expect("fits"));
}

#[test]
fn a_frozen_weight_gets_no_gradient() {
    let x = Parameter::trainable("x", &random("x", &[2, 3])).expect("small");
    let w = Parameter::frozen("w", &random("w", &[4, 3]));
    let store = linear(x.value(), &w, None).and_then(|y| Ok(y.sum_all()?.backward()?)).expect("differentiable");
    assert!(store.get(x.value()).is_some());
    assert_eq!(store.get_ids().count(), 1);
    assert!(!w.has_gradient());
    assert!(GradientBuffer::new(&[w, x]).expect("f64").parameters().iter().all(|p| p.name() == "x"));
}

#[test]
fn embedding_adds_up_repeated_tokens() {
    let ids = [2, 0, 2, 1];
    agree("embedding", &[&[4, 3]], &|p| embedding(&ids, &p[0]).expect("in range"), &|p| {
        reference::embedding(&Tensor::new(&ids, &Device::Cpu).expect("ids"), p[0].value()).expect("in range")
    });
    assert!(embedding(&[4], &Parameter::frozen("w", &random("w", &[4, 3]))).is_err());
}

#[test]
fn norms() {
    agree("rms_norm", &[&[70, 11], &[11]], &|p| rms_norm(p[0].value(), &p[1], 1e-5).expect("fits"), &|p| {
        reference::rms_norm(p[0].value(), p[1].value(), 1e-5).expect("fits")
    });
    check("rms_norm of heads", &[&[3, 2, 4], &[4]], &|p| rms_norm(p[0].value(), &p[1], 1e-5).expect("fits"));
    agree(
        "layer_norm",
        &[&[5, 11], &[11], &[11]],
        &|p| layer_norm(p[0].value(), &p[1], &p[2], 1e-5).expect("fits"),
        &|p| reference::layer_norm(p[0].value(), p[1].value(), p[2].value(), 1e-5).expect("fits"),
    );
}

#[test]
fn rope_full_and_partial_in_both_layouts() {
    let angles = random("angles", &[5, 2]);
    for layout in [RopeLayout::Halves, RopeLayout::Interleaved] {
        for d in [4, 7] {
            let table = |p: &[Parameter], sine: bool| {
                let table = if sine { angles.sin() } else { angles.cos() };
                table.and_then(|table| table.to_dtype(p[0].value().dtype())).expect("a table")
            };
            agree(
                "rope",
                &[&[5, 3, d]],
                &|p| rope(p[0].value(), &table(p, false), &table(p, true), layout).expect("fits"),
                &|p| reference::rope(p[0].value(), &table(p, false), &table(p, true), layout).expect("fits"),
            );
        }
    }
}

#[test]
fn attention_over_documents_heads_and_windows() {
    let packed = Documents::packed(vec![0, 3, 3, 10]).expect("rising");
    let cached = Documents::new(vec![0, 2, 5], vec![0, 6, 9]).expect("keys before queries");
    for (documents, heads, groups, window) in [
        (&packed, 2, 2, None),
        (&packed, 6, 2, None),
        (&packed, 2, 1, Some(3)),
        (&cached, 4, 2, None),
        (&cached, 2, 2, Some(2)),
    ] {
        let options = AttentionOptions { scale: 0.6, window };
        let (t, s) = (documents.query_tokens(), documents.key_tokens());
        agree(
            "attention",
            &[&[t, heads, 3], &[s, groups, 3], &[s, groups, 3]],
            &|p| attention(p[0].value(), p[1].value(), p[2].value(), documents, &options).expect("fits"),
            &|p| reference::attention(p[0].value(), p[1].value(), p[2].value(), documents, &options).expect("fits"),
        );
    }
}

#[test]
fn attention_over_more_queries_than_a_tile() {
    let documents = Documents::packed(vec![0, 300, 310]).expect("rising");
    for window in [None, Some(40)] {
        let options = AttentionOptions { scale: 0.5, window };
        let parameters = parameters(&[&[310, 2, 4], &[310, 1, 4], &[310, 1, 4]], DType::F64);
        let fused =
            |p: &[Parameter]| attention(p[0].value(), p[1].value(), p[2].value(), &documents, &options).expect("fits");
        let twin = |p: &[Parameter]| {
            reference::attention(p[0].value(), p[1].value(), p[2].value(), &documents, &options).expect("fits")
        };
        for (a, b) in gradients(&fused, &parameters, false).iter().zip(&gradients(&twin, &parameters, false)) {
            assert!(distance(a, b) < 1e-12);
        }
    }
}

#[test]
fn activations() {
    agree("swiglu", &[&[5, 7], &[5, 7]], &|p| swiglu(p[0].value(), p[1].value()).expect("one shape"), &|p| {
        reference::swiglu(p[0].value(), p[1].value()).expect("one shape")
    });
    check("gelu erf", &[&[4, 5]], &|p| gelu(p[0].value(), Gelu::Erf).expect("any shape"));
    agree("gelu tanh", &[&[4, 5]], &|p| gelu(p[0].value(), Gelu::Tanh).expect("any shape"), &|p| {
        reference::gelu(p[0].value(), Gelu::Tanh).expect("any shape")
    });
}

#[test]
fn dropout_repeats_its_mask_and_keeps_the_mean() {
    let key = PhiloxKey::new(3);
    agree("dropout", &[&[4, 5]], &|p| dropout(p[0].value(), 0.3, key).expect("any shape"), &|p| {
        reference::dropout(p[0].value(), 0.3, key).expect("any shape")
    });
    let ones = Tensor::ones(40_000, DType::F32, &Device::Cpu).expect("small");
    let kept: Vec<f32> = dropout(&ones, 0.3, key).and_then(|y| Ok(y.to_vec1()?)).expect("f32");
    let twin: Vec<f32> = reference::dropout(&ones, 0.3, key).and_then(|y| Ok(y.to_vec1()?)).expect("f32");
    assert_eq!(kept, twin);
    let mean = kept.iter().sum::<f32>() / 4e4;
    assert!((mean - 1.0).abs() < 0.015, "{mean}");
    assert!(kept.iter().all(|&x| x == 0.0 || (x - 1.0 / 0.7).abs() < 1e-6));
}

#[test]
fn cross_entropy_of_supervised_rows() {
    let targets = Targets::from_labels(&[Some(3), None, Some(0), Some(6), None]);
    agree(
        "linear_cross_entropy",
        &[&[5, 4], &[7, 4]],
        &|p| (linear_cross_entropy(p[0].value(), &p[1], None, &targets).expect("in range") * 0.3).expect("a scalar"),
        &|p| {
            let loss = reference::linear_cross_entropy(p[0].value(), p[1].value(), None, &targets).expect("in range");
            (loss * 0.3).expect("a scalar")
        },
    );
    agree(
        "linear_cross_entropy with bias",
        &[&[5, 4], &[7, 4], &[7]],
        &|p| {
            let loss = linear_cross_entropy(p[0].value(), &p[1], Some(&p[2]), &targets).expect("in range");
            (loss * 0.3).expect("a scalar")
        },
        &|p| {
            let (w, bias) = (p[1].value(), Some(p[2].value()));
            let loss = reference::linear_cross_entropy(p[0].value(), w, bias, &targets).expect("in range");
            (loss * 0.3).expect("a scalar")
        },
    );
}

#[test]
fn cross_entropy_in_chunks_and_of_nothing() {
    let labels: Vec<_> = (0..2500).map(|row| Some(row % 5)).collect();
    let targets = Targets::from_labels(&labels);
    let parameters = parameters(&[&[2500, 3], &[5, 3]], DType::F64);
    let fused = |p: &[Parameter]| linear_cross_entropy(p[0].value(), &p[1], None, &targets).expect("in range");
    let twin = |p: &[Parameter]| {
        reference::linear_cross_entropy(p[0].value(), p[1].value(), None, &targets).expect("in range")
    };
    for (a, b) in gradients(&fused, &parameters, true).iter().zip(&gradients(&twin, &parameters, true)) {
        assert!(distance(a, b) < 1e-12);
    }
    let nothing = linear_cross_entropy(parameters[0].value(), &parameters[1], None, &Targets::default());
    assert_eq!(nothing.and_then(|loss| Ok(loss.to_scalar::<f64>()?)).expect("a scalar"), 0.0);
    let outside = Targets::from_labels(&[Some(5)]);
    assert!(linear_cross_entropy(parameters[0].value(), &parameters[1], None, &outside).is_err());
    assert!(Targets::new(vec![1, 1], vec![0, 0]).is_err());
}

#[test]
fn lora_with_a_frozen_weight() {
    let w = random("w", &[4, 3]);
    for dropped in [None, Some((0.4, PhiloxKey::new(5)))] {
        let frozen = |p: &[Parameter]| Parameter::frozen("w", &w.to_dtype(p[0].value().dtype()).expect("cast"));
        agree(
            "lora",
            &[&[6, 3], &[2, 3], &[4, 2]],
            &|p| lora(p[0].value(), &frozen(p), &p[1], &p[2], 0.7, dropped).expect("fits"),
            &|p| {
                reference::lora(p[0].value(), frozen(p).value(), p[1].value(), p[2].value(), 0.7, dropped)
                    .expect("fits")
            },
        );
    }
    check("lora with a trainable weight", &[&[6, 3], &[4, 3], &[2, 3], &[4, 2]], &|p| {
        lora(p[0].value(), &p[1], &p[2], &p[3], 0.7, None).expect("fits")
    });
}

#[test]
fn seed_hands_back_what_it_was_given() {
    let x = Parameter::trainable("x", &random("x", &[3, 2])).expect("small");
    let dy = random("dy", &[3, 2]);
    let y = (x.value() * 2.0).expect("any shape");
    let store = seed(&y, &dy).and_then(|scalar| Ok(scalar.backward()?)).expect("differentiable");
    let gradient: Vec<Vec<f64>> = store.get(x.value()).and_then(|g| g.to_vec2().ok()).expect("a gradient");
    let expected: Vec<Vec<f64>> = (dy * 2.0).and_then(|dy| dy.to_vec2()).expect("f64");
    assert_eq!(gradient, expected);
    assert!(seed(&y, &random("dy", &[2, 3])).is_err());
}

#[test]
fn gradients_add_up_in_one_flat_buffer() {
    let a = Parameter::trainable("b", &random("b", &[2, 2]).to_dtype(DType::F32).expect("cast")).expect("small");
    let b = Parameter::trainable("a", &random("a", &[3]).to_dtype(DType::F32).expect("cast")).expect("small");
    let buffer = GradientBuffer::new(&[a.clone(), b.clone()]).expect("one type");
    assert_eq!(buffer.parameters().iter().map(Parameter::name).collect::<Vec<_>>(), ["a", "b"]);
    let ones = Tensor::ones((2, 2), DType::F32, &Device::Cpu).expect("small");
    assert!(a.add_gradient(&ones).expect("same shape") && a.add_gradient(&ones).expect("same shape"));
    buffer.scale(0.5).expect("in place");
    assert_eq!(buffer.flat().expect("no device").to_vec1::<f32>().expect("f32"), [0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]);
    assert_eq!(buffer.norm().expect("a number"), 2.0);
    buffer.zero().expect("in place");
    assert_eq!(buffer.norm().expect("a number"), 0.0);
    drop(buffer);
    assert!(!a.has_gradient());
}
