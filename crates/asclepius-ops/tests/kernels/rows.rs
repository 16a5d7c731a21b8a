//! Rows of scores, and the rows of an embedding.

use asclepius_ops::{Documents, Targets, reference};
use candle_core::{D, DType};
use half::{bf16, f16};
use proptest::prelude::*;

use crate::emulation::{Argument, Grid, NULL, Number, Output, assert_close, in_both_orders, input, is_there, launch};
use crate::{gradients, normals, numbers, tensor, variable};

fn check_loss<N: Number>(rows: usize, v: usize, threads: usize, with_bias: bool) {
    // With the unit matrix as head, its scores are what goes in.
    let (x, bias) = (normals::<N>(1, rows * v), normals::<N>(2, v));
    let labels: Vec<u32> = (0..rows).map(|row| ((row * 7 + 3) % v) as u32).collect();
    let mut unit = vec![N::of(0.0); v * v];
    unit.iter_mut().step_by(v + 1).for_each(|one| *one = N::of(1.0));
    let x_var = variable(&x, &[rows, v]);
    let bias_tensor = with_bias.then(|| tensor(&bias, &[v]));
    let targets = Targets::new((0..rows as u32).collect(), labels.clone()).expect("a label a row");
    let loss = reference::linear_cross_entropy(&x_var, &tensor(&unit, &[v, v]), bias_tensor.as_ref(), &targets)
        .expect("the shapes fit");
    let store = loss.backward().expect("differentiable");
    let factor = 0.25_f32;
    let dz = (store.get(x_var.as_tensor()).expect("it takes part") * f64::from(factor)).expect("a product");

    for gradient in [0, 1] {
        let whole = in_both_orders(|falling| {
            let (mut scores, mut losses) = (Output::from(&x, N::poison()), Output::<f32>::new(rows));
            let arguments = [
                scores.pointer(),
                if with_bias { input(&bias) } else { NULL },
                input(&labels),
                losses.pointer(),
                Argument::Int(v as i32),
                Argument::Int(gradient),
                Argument::Float(factor),
            ];
            launch(&format!("cross_entropy_{}", N::NAME), Grid::blocks(rows, threads, 1, 4), &arguments, falling);
            let losses = losses.take().into_iter().map(f64::from);
            losses.chain(scores.take().into_iter().map(Number::wide)).collect::<Vec<f64>>()
        });
        let sum: f64 = whole[..rows].iter().sum();
        let expected: f64 = loss.to_scalar().expect("a number");
        assert!((sum - expected).abs() <= 1e-5 * expected, "{sum} {expected}");
        let scores: Vec<N> = whole[rows..].iter().map(|&value| N::of(value)).collect();
        if gradient == 1 {
            assert_close("dz", &scores, &numbers(&dz), 16.0);
        } else {
            assert!(scores == x, "no gradient was asked for");
        }
    }
}

/// One document's attention by the two kernels and three products, its weights and their gradient in `N`.
fn check_attention<N: Number>(queries: usize, before: usize, heads: usize, window: Option<usize>, threads: usize) {
    let (keys, d, scale) = (before + queries, 4, 0.5_f64);
    let rows = heads * queries;
    let scores = normals::<N>(1, rows * keys);
    let name = |kernel: &str| format!("{kernel}_{}", N::NAME);
    let rest = [queries as i32, keys as i32, before as i32, window.unwrap_or(0) as i32].map(Argument::Int);
    let grid = Grid::blocks(rows, threads, 1, 4);
    let weights = in_both_orders(|falling| {
        let mut weights = Output::from(&scores, N::poison());
        let arguments = [&[weights.pointer()][..], &rest, &[Argument::Float(scale as f32)]].concat();
        launch(&name("masked_softmax"), grid, &arguments, falling);
        weights.take().into_iter().map(Number::wide).collect()
    });
    // What the mask leaves, in f64.
    let z = variable(&scores, &[heads, queries, keys]);
    let documents = Documents::single(queries, keys).expect("one document");
    let document = documents.iter().next().expect("one document");
    let mask: Vec<f64> = (0..queries)
        .flat_map(|row| {
            let visible = document.visible(row, window);
            (0..keys).map(move |key| if visible.contains(&key) { 0.0 } else { f64::NEG_INFINITY })
        })
        .collect();
    let mask = candle_core::Tensor::from_vec(mask, (1, queries, keys), z.device()).expect("a mask");
    let masked = (z.as_tensor() * scale).and_then(|z| z.broadcast_add(&mask)).expect("the shapes fit");
    let p = candle_nn::ops::softmax(&masked, D::Minus1).expect("any shape");
    let found: Vec<N> = weights.iter().map(|&value| N::of(value)).collect();
    assert_close("p", &found, &numbers(&p), 24.0);

    let (dy, values) = (normals::<N>(2, rows * d), normals::<N>(3, heads * keys * d));
    let dp = tensor(&dy, &[heads, queries, d])
        .matmul(&tensor(&values, &[heads, keys, d]).transpose(1, 2).expect("three").contiguous().expect("a copy"))
        .expect("the shapes fit");
    let dp: Vec<N> = numbers(&dp.to_dtype(DType::F64).expect("f64")).into_iter().map(N::of).collect();
    let dz = in_both_orders(|falling| {
        let mut dz = Output::from(&dp, N::poison());
        let arguments = [input(&found), dz.pointer(), Argument::Int(keys as i32), Argument::Float(scale as f32)];
        launch(&name("masked_softmax_backward"), grid, &arguments, falling);
        dz.take().into_iter().map(Number::wide).collect()
    });
    let expected = gradients(&p, &tensor(&dp, &[heads, queries, keys]), &[&z]);
    let dz: Vec<N> = dz.into_iter().map(N::of).collect();
    // The weights that come back are rounded, and with them their sum: far from the largest, more units.
    assert_close("dz", &dz, &expected[0], 100.0);
}

fn check_embedding<N: Number>(tokens: &[u32], v: usize, d: usize) {
    let dy = normals::<N>(1, tokens.len() * d);
    let mut order: Vec<u32> = (0..tokens.len() as u32).collect();
    order.sort_by_key(|&row| tokens[row as usize]);
    let (mut ids, mut starts) = (Vec::new(), Vec::new());
    for (place, &row) in order.iter().enumerate() {
        if ids.last() != Some(&tokens[row as usize]) {
            ids.push(tokens[row as usize]);
            starts.push(place as u32);
        }
    }
    starts.push(order.len() as u32);
    let w = variable(&vec![N::of(0.0); v * d], &[v, d]);
    let rows = candle_core::Tensor::new(tokens, w.device()).expect("ids");
    let y = reference::embedding(&rows, &w).expect("ids below v");
    let expected = gradients(&y, &tensor(&dy, &[tokens.len(), d]), &[&w]);
    let found = in_both_orders(|falling| {
        let mut dw = Output::from(&vec![0.5_f32; v * d], f32::NAN);
        let arguments = [input(&dy), input(&ids), input(&starts), input(&order), dw.pointer(), Argument::Int(d as i32)];
        launch(&format!("embedding_backward_{}", N::NAME), Grid::blocks(ids.len(), 32, 0, 4), &arguments, falling);
        dw.take().into_iter().map(|value| value - 0.5).collect()
    });
    assert_close("dw", &found, &expected[0], 64.0);
}

#[test]
fn edges() {
    if !is_there() {
        return;
    }
    check_loss::<f32>(1, 1, 32, false);
    check_loss::<f32>(2, 2, 256, true);
    check_attention::<f32>(1, 0, 1, None, 32);
    check_attention::<bf16>(3, 2, 1, Some(1), 64);
    check_embedding::<f32>(&[4; 9], 5, 3);
}

#[test]
fn scores_far_apart_stay_numbers() {
    if !is_there() {
        return;
    }
    let scores = [1e4_f32, -1e4, 3e38, -3e38];
    let (mut z, mut losses) = (Output::from(&scores, f32::NAN), Output::<f32>::new(2));
    let arguments = [
        z.pointer(),
        NULL,
        input(&[0_u32, 1]),
        losses.pointer(),
        Argument::Int(2),
        Argument::Int(1),
        Argument::Float(1.0),
    ];
    launch("cross_entropy_f32", Grid::blocks(2, 32, 1, 4), &arguments, false);
    assert_eq!(z.take(), [0.0, 0.0, 1.0, -1.0]);
    assert_eq!(losses.take(), [0.0, f32::INFINITY]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, ..ProptestConfig::default() })]
    #[test]
    fn losses_of_any_shape(rows in 1_usize..6, v in 1_usize..150, warps in 1_usize..5, bias: bool) {
        if is_there() {
            check_loss::<f32>(rows, v, 32 * warps, bias);
            check_loss::<bf16>(rows, v, 32 * warps, bias);
            check_loss::<f16>(rows, v, 32 * warps, bias);
        }
    }

    #[test]
    fn weights_of_any_shape(
        queries in 1_usize..20, before in 0_usize..40, heads in 1_usize..4, window in 0_usize..30, warps in 1_usize..3,
    ) {
        if is_there() {
            let window = (window > 0).then_some(window);
            check_attention::<f32>(queries, before, heads, window, 32 * warps);
            check_attention::<bf16>(queries, before, heads, window, 32 * warps);
            check_attention::<f16>(queries, before, heads, window, 32 * warps);
        }
    }

    #[test]
    fn rows_of_any_ids(tokens in prop::collection::vec(0_u32..12, 1..60), d in 1_usize..70) {
        if is_there() {
            check_embedding::<f32>(&tokens, 12, d);
            check_embedding::<bf16>(&tokens, 12, d);
            check_embedding::<f16>(&tokens, 12, d);
        }
    }
}
