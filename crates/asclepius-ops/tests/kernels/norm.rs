//! RMSNorm and LayerNorm.

use asclepius_ops::reference;
use half::{bf16, f16};
use proptest::prelude::*;

use crate::emulation::{
    Argument, Grid, NULL, Number, Output, assert_close, assert_close_beside, in_both_orders, input, is_there, launch,
};
use crate::{gradients, normals, numbers, tensor, variable};

const EPSILON: f32 = 1e-5;

struct Case {
    rows: usize,
    d: usize,
    threads: usize,
    /// Of the backward pass.
    blocks: usize,
}

fn check<N: Number>(case: &Case, centred: bool) {
    let &Case { rows, d, threads, blocks } = case;
    let (x, w, dy) = (normals::<N>(1, rows * d), normals::<N>(2, d), normals::<N>(3, rows * d));
    let b = centred.then(|| normals::<N>(4, d));
    let (x_var, w_var) = (variable(&x, &[rows, d]), variable(&w, &[d]));
    let b_var = b.as_ref().map(|b| variable(b, &[d]));
    let y = match &b_var {
        Some(b) => reference::layer_norm(&x_var, &w_var, b, f64::from(EPSILON)),
        None => reference::rms_norm(&x_var, &w_var, f64::from(EPSILON)),
    }
    .expect("the shapes fit");
    let variables: Vec<_> = [&x_var, &w_var].into_iter().chain(&b_var).collect();
    let expected = gradients(&y, &tensor(&dy, &[rows, d]), &variables);

    let beside = normals::<N>(9, rows * d);
    let (size, epsilon) = (Argument::Int(d as i32), Argument::Float(EPSILON));
    let name = |way: &str| format!("{}_norm_{way}_{}", if centred { "layer" } else { "rms" }, N::NAME);
    let found = in_both_orders(|falling| {
        let mut found = Output::<N>::new(rows * d);
        let mut arguments = vec![input(&x), input(&w)];
        arguments.extend(b.as_deref().map(input));
        arguments.extend([found.pointer(), size, epsilon]);
        launch(&name("forward"), Grid::blocks(rows, threads, 1, 4), &arguments, falling);
        found.take().into_iter().map(Number::wide).collect::<Vec<f64>>()
    });
    assert_close("y", &found.iter().map(|&value| N::of(value)).collect::<Vec<_>>(), &numbers(&y), 24.0);

    let backward = in_both_orders(|falling| {
        let mut dx = Output::<N>::new(rows * d);
        let (mut dw_parts, mut db_parts) = (Output::<f32>::new(blocks * d), Output::<f32>::new(blocks * d));
        let mut arguments = vec![input(&x), input(&w), input(&dy), input(&beside), dx.pointer(), dw_parts.pointer()];
        arguments.extend(centred.then(|| db_parts.pointer()));
        arguments.extend([Argument::Int(rows as i32), size, epsilon]);
        launch(&name("backward"), Grid::blocks(blocks, threads, 1, 4), &arguments, falling);
        let mut all: Vec<f64> = dx.take().iter().map(|number| number.wide()).collect();
        for parts in [Some(dw_parts), centred.then_some(db_parts)].into_iter().flatten() {
            let parts = parts.take();
            // Added to what is there.
            let mut sum = Output::from(&vec![1.0_f32; d], f32::NAN);
            let arguments = [input(&parts), sum.pointer(), Argument::Int(blocks as i32), Argument::Int(d as i32)];
            launch("sum_parts", Grid::threads_for(d, 64), &arguments, falling);
            all.extend(sum.take().iter().map(|&value| f64::from(value) - 1.0));
        }
        all
    });
    let dx: Vec<N> = backward[..rows * d].iter().map(|&value| N::of(value)).collect();
    // Of few features the three terms of dx nearly cancel: each is about this large.
    let smallest = x.chunks(d).map(|row| row.iter().map(|value| value.wide().powi(2)).sum::<f64>() / d as f64);
    let addends = 1.0 / smallest.fold(1.0, f64::min).sqrt();
    let sums: Vec<f64> = expected[0].iter().zip(&beside).map(|(dx, beside)| dx + beside.wide()).collect();
    assert_close_beside("dx", &dx, &sums, 8.0, addends + 4.0);
    for (index, expected) in expected[1..].iter().enumerate() {
        // Summed in f32 whatever the type, from numbers that were rounded to it.
        let found: Vec<f32> = backward[rows * d + index * d..][..d].iter().map(|&value| value as f32).collect();
        assert_close(["dw", "db"][index], &found, expected, 64.0 * (rows as f64).sqrt());
    }
}

fn check_all(case: &Case) {
    for centred in [false, true] {
        check::<f32>(case, centred);
        check::<bf16>(case, centred);
        check::<f16>(case, centred);
    }
}

#[test]
fn rows_of_any_length() {
    if !is_there() {
        return;
    }
    for (rows, d, threads, blocks) in
        [(1, 2, 32, 1), (3, 31, 32, 2), (2, 33, 64, 5), (5, 64, 256, 3), (7, 512, 32, 2), (1, 1025, 256, 1)]
    {
        check_all(&Case { rows, d, threads, blocks });
    }
}

#[test]
fn a_frozen_weight_has_no_gradient() {
    if !is_there() {
        return;
    }
    let (x, w) = (normals::<f32>(1, 20), normals::<f32>(2, 10));
    let mut dx = Output::<f32>::new(20);
    let head = [input(&x), input(&w), input(&x), NULL, dx.pointer(), NULL];
    let arguments = [&head[..], &[Argument::Int(2), Argument::Int(10), Argument::Float(EPSILON)]].concat();
    launch("rms_norm_backward_f32", Grid::blocks(1, 32, 1, 4), &arguments, false);
    assert!(dx.take().iter().all(|value| value.is_finite()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    #[test]
    fn random_shapes(rows in 1_usize..9, d in 2_usize..200, warps in 1_usize..9, blocks in 1_usize..7) {
        if is_there() {
            check_all(&Case { rows, d, threads: 32 * warps, blocks });
        }
    }
}
