//! SwiGLU, GELU, dropout and the rotary embedding: a thread to a number.

use asclepius_ops::{Gelu, PhiloxKey, RopeLayout, reference};
use half::{bf16, f16};
use proptest::prelude::*;

use crate::emulation::{
    Argument, Grid, Number, Output, assert_close, assert_close_beside, in_both_orders, input, is_there, launch,
};
use crate::{gradients, normals, numbers, tensor, variable};

fn run<N: Number>(name: &str, count: usize, read: &[&[N]], outputs: usize, rest: &[Argument]) -> Vec<Vec<N>> {
    let whole = in_both_orders(|falling| {
        let mut written: Vec<Output<N>> = (0..outputs).map(|_| Output::new(count)).collect();
        let mut arguments: Vec<Argument> = read.iter().map(|numbers| input(numbers)).collect();
        arguments.extend(written.iter_mut().map(Output::pointer));
        arguments.push(Argument::Long(count as i64));
        arguments.extend(rest);
        launch(&format!("{name}_{}", N::NAME), Grid::threads_for(count, 64), &arguments, falling);
        written.into_iter().flat_map(Output::take).map(Number::wide).collect::<Vec<f64>>()
    });
    whole.chunks(count).map(|part| part.iter().map(|&value| N::of(value)).collect()).collect()
}

fn check_gates<N: Number>(count: usize) {
    let (gate, up, dy) = (normals::<N>(1, count), normals::<N>(2, count), normals::<N>(3, count));
    let shape = [count];
    let (gate_var, up_var, dy_tensor) = (variable(&gate, &shape), variable(&up, &shape), tensor(&dy, &shape));
    let y = reference::swiglu(&gate_var, &up_var).expect("one shape");
    assert_close("swiglu", &run("swiglu_forward", count, &[&gate, &up], 1, &[])[0], &numbers(&y), 16.0);
    let expected = gradients(&y, &dy_tensor, &[&gate_var, &up_var]);
    let found = run("swiglu_backward", count, &[&gate, &up, &dy], 2, &[]);
    assert_close("dgate", &found[0], &expected[0], 16.0);
    assert_close("dup", &found[1], &expected[1], 16.0);
    for (kind, by_tanh) in [(Gelu::Erf, 0), (Gelu::Tanh, 1)] {
        let y = reference::gelu(&gate_var, kind).expect("any shape");
        let rest = [Argument::Int(by_tanh)];
        assert_close("gelu", &run("gelu_forward", count, &[&gate], 1, &rest)[0], &numbers(&y), 32.0);
        let expected = gradients(&y, &dy_tensor, &[&gate_var]);
        assert_close("dx", &run("gelu_backward", count, &[&gate, &dy], 1, &rest)[0], &expected[0], 32.0);
    }
    let key = PhiloxKey::new(7).fold(9).fold_name("q_proj");
    let (seed, stream) = key.parts();
    let rest = [Argument::Float(0.3), Argument::Long(seed as i64), Argument::Long(stream as i64)];
    let dropped = reference::dropout(gate_var.as_tensor(), 0.3, key).expect("any shape");
    assert_close("dropout", &run("dropout", count, &[&gate], 1, &rest)[0], &numbers(&dropped), 4.0);
}

/// Gradients of any type are added to a sum in f32.
fn check_sum<N: Number>(count: usize) {
    let (sum, source) = (normals::<f32>(4, count), normals::<N>(5, count));
    let found = in_both_orders(|falling| {
        let mut after = Output::from(&sum, f32::NAN);
        let arguments = [after.pointer(), input(&source), Argument::Long(count as i64)];
        launch(&format!("add_{}", N::NAME), Grid::threads_for(count, 64), &arguments, falling);
        after.take()
    });
    let expected = sum.iter().zip(&source).map(|(&sum, source)| sum + source.wide() as f32);
    assert_eq!(found, expected.collect::<Vec<f32>>());
}

/// What the query heads of a group want of their key head becomes one sum.
fn check_groups<N: Number>(groups: usize, each: usize, d: usize) {
    let x = normals::<N>(6, groups * each * d);
    let sums: Vec<f64> =
        (0..groups * d).map(|at| (0..each).map(|row| x[(at / d * each + row) * d + at % d].wide()).sum()).collect();
    let found = run("sum_groups", groups * d, &[&x], 1, &[each, d].map(|size| Argument::Int(size as i32)));
    assert_close_beside("sum", &found[0], &sums, 4.0, 4.0);
}

/// [`check_rope`]'s kernel for sizes that are whole packs.
fn turn_packs<N: Number>(x: &[N], [cos, sin]: [&[N]; 2], [t, h, d, half]: [usize; 4]) -> Vec<N> {
    let lanes = 16 / size_of::<N>();
    let count = t * h * (d / lanes - half / lanes);
    let whole = in_both_orders(|falling| {
        let mut y = Output::<N>::new(x.len());
        let numbers = [h, d, half].map(|size| Argument::Int(size as i32));
        let arguments = [
            &[input(x), input(cos), input(sin), y.pointer(), Argument::Long(count as i64)][..],
            &numbers,
            &[Argument::Float(1.0)],
        ];
        launch(&format!("rope_packed_{}", N::NAME), Grid::threads_for(count, 64), &arguments.concat(), falling);
        y.take().into_iter().map(Number::wide).collect::<Vec<f64>>()
    });
    whole.into_iter().map(N::of).collect()
}

/// The sum of two, also written over the first.
fn check_pair<N: Number>(count: usize) {
    let (a, b) = (normals::<N>(7, count), normals::<N>(8, count));
    let sums: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a.wide() + b.wide()).collect();
    assert_close_beside("sum", &run("sum_pair", count, &[&a, &b], 1, &[])[0], &sums, 1.0, 1.0);
    let found = in_both_orders(|falling| {
        let mut over = Output::from(&a, N::of(f64::NAN));
        let arguments = [over.pointer(), input(&b), over.pointer(), Argument::Long(count as i64)];
        launch(&format!("sum_pair_{}", N::NAME), Grid::threads_for(count, 64), &arguments, falling);
        over.take().into_iter().map(Number::wide).collect::<Vec<f64>>()
    });
    assert_close_beside("sum in place", &found.into_iter().map(N::of).collect::<Vec<N>>(), &sums, 1.0, 1.0);
}

fn check_rope<N: Number>(t: usize, h: usize, d: usize, half: usize) {
    let (x, dy) = (normals::<N>(1, t * h * d), normals::<N>(2, t * h * d));
    let angles = normals::<N>(3, t * half);
    let [cos, sin] = [f64::cos, f64::sin].map(|of| angles.iter().map(|a| N::of(of(a.wide()))).collect::<Vec<N>>());
    for (layout, interleaved) in [(RopeLayout::Halves, 0), (RopeLayout::Interleaved, 1)] {
        let x_var = variable(&x, &[t, h, d]);
        let [cos_tensor, sin_tensor] = [&cos, &sin].map(|angles| tensor(angles, &[t, half]));
        let y = reference::rope(&x_var, &cos_tensor, &sin_tensor, layout).expect("the shapes fit");
        let expected = gradients(&y, &tensor(&dy, &[t, h, d]), &[&x_var]);
        let turn = |x: &[N], sign: f32| {
            let rest = [h as i32, d as i32, half as i32, interleaved].map(Argument::Int);
            run("rope", x.len(), &[x, &cos, &sin], 1, &[&rest[..], &[Argument::Float(sign)]].concat()).remove(0)
        };
        assert_close("y", &turn(&x, 1.0), &numbers(&y), 16.0);
        assert_close("dx", &turn(&dy, -1.0), &expected[0], 16.0);
        let lanes = 16 / size_of::<N>();
        if layout == RopeLayout::Halves && half.is_multiple_of(lanes) && (d - 2 * half).is_multiple_of(lanes) {
            assert_close("y in packs", &turn_packs(&x, [&cos, &sin], [t, h, d, half]), &numbers(&y), 16.0);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    #[test]
    fn gates_of_any_length(count in 1_usize..400) {
        if is_there() {
            check_gates::<f32>(count);
            check_gates::<bf16>(count);
            check_gates::<f16>(count);
            check_sum::<f32>(count);
            check_sum::<bf16>(count);
            check_sum::<f16>(count);
            check_pair::<f32>(count);
            check_pair::<bf16>(count);
            check_pair::<f16>(count);
        }
    }

    #[test]
    fn groups_of_any_shape(groups in 1_usize..9, each in 1_usize..7, d in 1_usize..20) {
        if is_there() {
            check_groups::<f32>(groups, each, d);
            check_groups::<bf16>(groups, each, d);
            check_groups::<f16>(groups, each, d);
        }
    }

    #[test]
    fn turned_heads_of_any_shape(t in 1_usize..6, h in 1_usize..4, half in 1_usize..9, passing in 0_usize..5) {
        if is_there() {
            check_rope::<f32>(t, h, 2 * half + passing, half);
            check_rope::<bf16>(t, h, 2 * half + passing, half);
            check_rope::<f16>(t, h, 2 * half + passing, half);
        }
    }
}

#[test]
fn heads_of_whole_packs() {
    if is_there() {
        for (t, h, half, passing) in [(3, 2, 8, 0), (1, 4, 32, 0), (5, 1, 16, 48), (2, 3, 8, 8)] {
            check_rope::<f32>(t, h, 2 * half + passing, half);
            check_rope::<bf16>(t, h, 2 * half + passing, half);
            check_rope::<f16>(t, h, 2 * half + passing, half);
        }
    }
}

#[test]
fn large_numbers_stay_numbers() {
    if !is_there() {
        return;
    }
    let extremes = [-1e30_f32, -200.0, -0.0, 0.0, 200.0, 1e30];
    let ones = [1.0_f32; 6];
    for by_tanh in [0, 1] {
        let found = run("gelu_backward", 6, &[&extremes, &ones], 1, &[Argument::Int(by_tanh)]).remove(0);
        assert!(found[1..5].iter().all(|value| value.is_finite()), "{found:?}");
    }
    let found = run("swiglu_forward", 6, &[&extremes, &ones], 1, &[]).remove(0);
    assert_eq!(found, [0.0, 0.0, 0.0, 0.0, 200.0, 1e30]);
}
