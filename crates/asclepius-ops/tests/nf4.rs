//! NF4 against what `tools/nf4_golden.py` took from bitsandbytes, and against its own definition.

use std::collections::BTreeMap;

use asclepius_ops::nf4::{Nf4, QUANTILES};
use asclepius_ops::{Parameter, linear};
use candle_core::{Device, Tensor};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    cases: BTreeMap<String, Case>,
}

#[derive(Deserialize)]
struct Case {
    codes: String,
    offset: f32,
    scale_codes: String,
    scale_scales: Vec<f32>,
    decoded_every_7th: Vec<f32>,
}

/// Uniform in 0 to 1, as the script has it.
fn scrambled(index: usize) -> f64 {
    let mut value = (index as u32).wrapping_mul(0x9E37_79B1);
    value = (value ^ value >> 15).wrapping_mul(0x85EB_CA77);
    f64::from((value ^ value >> 13) >> 8) / f64::from(1 << 24)
}

fn matrix(rows: usize, columns: usize) -> Vec<f32> {
    let number = |index: usize| (0..3).map(|part| scrambled(3 * index + part)).sum::<f64>() - 1.5;
    (0..rows * columns).map(|index| (number(index) * 2_f64.powi((index / columns % 7) as i32 - 5)) as f32).collect()
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal")).collect()
}

fn decoded(held: &Nf4, numbers: usize) -> Vec<f32> {
    let mut values = vec![f32::NAN; numbers];
    held.decode(&mut values);
    values
}

#[test]
fn codes_and_scales_are_those_of_bitsandbytes() {
    let golden: Golden =
        serde_json::from_str(include_str!("golden/nf4.json")).expect("the generator writes this shape");
    let mut odd = matrix(7, 69);
    odd[64..128].fill(0.0);
    odd[130] = 40.0;
    for (at, value) in odd[192..257].iter_mut().enumerate() {
        *value = (at as f32 - 32.0) / 32.0;
    }
    for (name, values) in
        [("plain", matrix(24, 128)), ("wide", matrix(50, 384)), ("odd", odd), ("small", matrix(3, 10))]
    {
        let case = &golden.cases[name];
        let held = Nf4::quantise_with_offset(&values, case.offset);
        assert_eq!(held.codes(), hex(&case.codes), "{name}");
        assert_eq!(held.scale_scales(), case.scale_scales, "{name}");
        // On a processor theirs finds a scale's code in a table of finite steps, so on a border it may be the neighbour.
        let scale_codes = hex(&case.scale_codes);
        let apart = |block: usize| held.scale_codes()[block].abs_diff(scale_codes[block]);
        assert_eq!(held.scale_codes().len(), scale_codes.len(), "{name}");
        assert!((0..scale_codes.len()).all(|block| apart(block) <= 1), "{name}");
        assert!((0..scale_codes.len()).filter(|&block| apart(block) == 1).count() * 40 <= scale_codes.len(), "{name}");
        let every_7th = decoded(&held, values.len()).into_iter().enumerate().step_by(7);
        for ((at, found), expected) in every_7th.zip(&case.decoded_every_7th) {
            // The books agree to the last places only, see the test of the dynamic code.
            let close = (found - expected).abs() <= 1e-6 * expected.abs();
            assert!(close || apart(at / 64) == 1, "{name}: {found} {expected}");
        }
        let own = decoded(&Nf4::quantise(&values), values.len());
        let largest = case.scale_scales.iter().fold(case.offset, |largest, scale| largest.max(*scale));
        let apart = own.iter().zip(decoded(&held, values.len())).map(|(own, given)| (own - given).abs());
        assert!(apart.fold(0.0, f32::max) <= 0.01 * largest, "{name}: its own offset is nearly the same");
    }
}

#[test]
fn numbers_come_back_to_the_nearest_quantile_and_memory_is_an_eighth() {
    let values = matrix(64, 640);
    let held = Nf4::quantise(&values);
    assert!(held.bytes() * 8 < 4 * values.len() * 104 / 100, "{} bytes", held.bytes());
    let gap = QUANTILES.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f32::max);
    for (block, found) in values.chunks(64).zip(decoded(&held, values.len()).chunks(64)) {
        let scale = block.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        for (value, found) in block.iter().zip(found) {
            assert!((value - found).abs() <= (gap / 2.0 + 0.03) * scale + 0.02, "{value} {found} {scale}");
        }
    }
    assert!(decoded(&Nf4::quantise(&[]), 0).is_empty());
}

#[test]
fn a_quantised_weight_is_multiplied_as_it_decodes_and_gets_no_gradient() {
    let values = matrix(48, 40);
    let w = Tensor::from_vec(values.clone(), (48, 40), &Device::Cpu).expect("as many as the shape says");
    let held = Parameter::quantised("w", &w).expect("a matrix");
    let plain = Tensor::from_vec(decoded(&Nf4::quantise(&values), values.len()), (48, 40), &Device::Cpu).expect("same");
    let plain = Parameter::frozen("w", &plain);
    let product = |w: &Parameter| {
        let x = Parameter::trainable("x", &Tensor::from_vec(matrix(5, 40), (5, 40), &Device::Cpu).expect("shape"));
        let x = x.expect("a small copy");
        let y = linear(x.value(), w, None).expect("they fit");
        let store = y.sqr().and_then(|y| y.sum_all()).and_then(|y| y.backward()).expect("differentiable");
        let dx = store.get(x.value()).expect("reached").clone();
        assert!(store.get(w.value()).is_none());
        [y, dx].map(|tensor| tensor.flatten_all().and_then(|flat| flat.to_vec1::<f32>()).expect("f32"))
    };
    assert_eq!(product(&held), product(&plain));
    assert_eq!(held.value().dims(), [48, 40]);
    assert!(!held.is_trainable());
    let refused = held.set(plain.value()).expect_err("4 bits are not written over");
    assert!(refused.to_string().contains('w') && refused.to_string().contains("NF4"), "{refused}");
}
