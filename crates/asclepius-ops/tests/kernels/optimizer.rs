//! AdamW and the norm of gradients.

use asclepius_ops::PhiloxKey;
use asclepius_ops::dynamic_code::{CODES, CodeBook, SIGNED, UNSIGNED};
use half::{bf16, f16};
use proptest::prelude::*;

use crate::emulation::{
    Argument, Grid, Number, Output, assert_close, assert_close_beside, in_both_orders, input, is_there, launch,
};
use crate::{normals, wide};

/// Scale, keep, the moments' shares, the second one's keep, rate, correction, epsilon.
type Factors = [f32; 8];

/// Of step `step` with betas 0.9 and 0.99, weight decay 0.1.
fn factors(step: i32) -> Factors {
    let (rate, b1, b2) = (1e-2_f64, 0.9_f64, 0.99_f64);
    [0.5, 1.0 - rate * 0.1, 1.0 - b1, 1.0 - b2, b2, rate / (1.0 - b1.powi(step)), (1.0 - b2.powi(step)).sqrt(), 1e-8]
        .map(|factor| factor as f32)
}

/// The rule in f64 (Loshchilov and Hutter, 2019, algorithm 2).
fn update(value: &mut [f64], gradient: &[f32], first: &mut [f64], second: &mut [f64], factors: &Factors) {
    let [scale, keep, share1, share2, keep2, rate, correction, epsilon] = factors.map(f64::from);
    for at in 0..value.len() {
        let gradient = f64::from(gradient[at]) * scale;
        first[at] += share1 * (gradient - first[at]);
        second[at] = keep2 * second[at] + share2 * gradient * gradient;
        value[at] = value[at] * keep - rate * first[at] / (second[at].sqrt() / correction + epsilon);
    }
}

fn check<N: Number>(count: usize) {
    let mut value = normals::<N>(1, count);
    let (mut first, mut second) = (vec![0.0_f32; count], vec![0.0_f32; count]);
    for step in 1..=3 {
        let gradient = normals::<f32>(10 + step as u64, count);
        let (mut expected, mut m, mut v) = (wide(&value), wide(&first), wide(&second));
        update(&mut expected, &gradient, &mut m, &mut v, &factors(step));
        let whole = in_both_orders(|falling| {
            let mut after = Output::from(&value, N::poison());
            let (mut m, mut v) = (Output::from(&first, f32::NAN), Output::from(&second, f32::NAN));
            let arguments = [
                after.pointer(),
                input(&gradient),
                m.pointer(),
                v.pointer(),
                Argument::Long(count as i64),
                Argument::Floats(factors(step)),
                Argument::Int(0),
                Argument::Long(0),
                Argument::Long(0),
            ];
            launch(&format!("adamw_{}", N::NAME), Grid::threads_for(count.div_ceil(4), 64), &arguments, falling);
            [wide(&after.take()), wide(&m.take()), wide(&v.take())].concat()
        });
        value = whole[..count].iter().map(|&value| N::of(value)).collect();
        first = whole[count..2 * count].iter().map(|&value| value as f32).collect();
        second = whole[2 * count..].iter().map(|&value| value as f32).collect();
        assert_close("value", &value, &expected, 8.0);
        assert_close_beside("first", &first, &m, 8.0, 0.1);
        assert_close("second", &second, &v, 8.0);
    }
}

/// One moment as it is held.
struct Held {
    codes: Vec<u8>,
    scales: Vec<f32>,
}

impl Held {
    fn zeros(book: &CodeBook, count: usize) -> Self {
        Self { codes: vec![book.zero(); count], scales: vec![0.0; count.div_ceil(CODES)] }
    }

    fn decoded(&self, book: &CodeBook) -> Vec<f64> {
        let number = |(at, &code): (usize, &u8)| f64::from(book.decode(code) * self.scales[at / CODES]);
        self.codes.iter().enumerate().map(number).collect()
    }

    /// Whether these are the nearest codes to `values`, up to what f32 rounds.
    fn assert_encodes(&self, book: &CodeBook, values: &[f64]) {
        for (block, values) in values.chunks(CODES).enumerate() {
            let scale = values.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
            assert!((f64::from(self.scales[block]) - scale).abs() <= 1e-5 * scale, "the scale of block {block}");
            for (value, &code) in values.iter().zip(&self.codes[block * CODES..]) {
                let share = if scale > 0.0 { value / scale } else { 0.0 };
                let distance = |code: u8| (f64::from(book.decode(code)) - share).abs();
                let nearest = distance(book.encode(share as f32));
                let lifted = code == 1 && book.zero() == 0 && *value > 0.0;
                assert!(lifted || distance(code) <= nearest + 1e-6, "{share}: {code}");
            }
        }
    }
}

fn check_8bit<N: Number>(count: usize) {
    let mut value = normals::<N>(1, count);
    let (mut first, mut second) = (Held::zeros(&SIGNED, count), Held::zeros(&UNSIGNED, count));
    let books = [&SIGNED.values()[..], UNSIGNED.values(), SIGNED.midpoints(), UNSIGNED.midpoints()].concat();
    for step in 1..=3 {
        // Of seven magnitudes, so that moments of both ends of a book stand in a block.
        let spread = |(at, value): (usize, f32)| value * 10_f32.powi(-(at as i32 % 7));
        let gradient: Vec<f32> = normals::<f32>(10 + step as u64, count).into_iter().enumerate().map(spread).collect();
        let (mut expected, mut m, mut v) = (wide(&value), first.decoded(&SIGNED), second.decoded(&UNSIGNED));
        update(&mut expected, &gradient, &mut m, &mut v, &factors(step));
        let run = |falling| {
            let mut after = Output::from(&value, N::poison());
            let [mut m_codes, mut v_codes] = [&first.codes, &second.codes].map(|codes| Output::from(codes, 77));
            let [mut m_scales, mut v_scales] =
                [&first.scales, &second.scales].map(|scales| Output::from(scales, f32::NAN));
            let arguments = [
                after.pointer(),
                input(&gradient),
                m_codes.pointer(),
                m_scales.pointer(),
                v_codes.pointer(),
                v_scales.pointer(),
                input(&books),
                Argument::Long(count as i64),
                Argument::Floats(factors(step)),
                Argument::Int(0),
                Argument::Long(0),
                Argument::Long(0),
            ];
            // Fewer blocks than there are numbers for: each goes on with the next.
            let mut grid = Grid::blocks(count.div_ceil(3 * CODES), 128, 1, 4);
            grid.shared += 4 * CODES * 4;
            launch(&format!("adamw_8bit_{}", N::NAME), grid, &arguments, falling);
            let held = |codes: Output<u8>, scales: Output<f32>| Held { codes: codes.take(), scales: scales.take() };
            (after.take(), held(m_codes, m_scales), held(v_codes, v_scales))
        };
        let (rising, falling) = (run(false), run(true));
        assert!(rising.0 == falling.0 && rising.1.codes == falling.1.codes && rising.2.codes == falling.2.codes);
        (value, first, second) = rising;
        assert_close("value", &value, &expected, 8.0);
        first.assert_encodes(&SIGNED, &m);
        second.assert_encodes(&UNSIGNED, &v);
        assert!(v.iter().zip(&second.codes).all(|(&v, &code)| (v > 0.0) == (code > 0)), "a moment above 0 became 0");
    }
}

/// Rounding at random is right in the mean: an update far below the last place moves some weights by one place.
#[test]
fn stochastic_rounding_keeps_small_updates() {
    if !is_there() {
        return;
    }
    let count = 20_000;
    let value = vec![bf16::ONE; count];
    let gradient = vec![1.0_f32; count];
    let mut step = factors(1);
    // No decay, and a first step of 1e-4: an eightieth of the distance to the next number below 1.
    (step[1], step[5]) = (1.0, 1e-3);
    let (seed, stream) = PhiloxKey::new(3).fold(1).parts();
    let run = |at_random: i32| {
        let (mut after, mut m, mut v) =
            (Output::from(&value, bf16::NAN), Output::filled(count, 0.0_f32), Output::filled(count, 0.0_f32));
        let arguments = [
            after.pointer(),
            input(&gradient),
            m.pointer(),
            v.pointer(),
            Argument::Long(count as i64),
            Argument::Floats(step),
            Argument::Int(at_random),
            Argument::Long(seed as i64),
            Argument::Long(stream as i64),
        ];
        launch("adamw_bf16", Grid::threads_for(count, 256), &arguments, false);
        after.take().iter().map(|value| 1.0 - value.to_f64()).sum::<f64>() / count as f64
    };
    let [scale, _, share1, share2, _, rate, correction, _] = step.map(f64::from);
    let exact = rate * (share1 * scale) / ((share2.sqrt() * scale) / correction);
    assert_eq!(run(0), 0.0, "to the nearest nothing moves");
    let mean = run(1);
    // The standard error of a mean of `count` steps of 2^-8, each taken with probability exact / 2^-8.
    let error = (exact / 256.0 / count as f64).sqrt();
    assert!((mean - exact).abs() < 4.0 * error, "{mean} {exact} {error}");
}

#[test]
fn squares_are_summed_by_block() {
    if !is_there() {
        return;
    }
    let x = normals::<bf16>(1, 5000);
    let expected: f64 = wide(&x).iter().map(|value| value * value).sum();
    for (blocks, threads) in [(1, 32), (3, 64), (40, 256)] {
        let parts = in_both_orders(|falling| {
            let mut parts = Output::filled(blocks, f64::NAN);
            let arguments = [input(&x), parts.pointer(), Argument::Long(x.len() as i64)];
            launch("square_sum_bf16", Grid::blocks(blocks, threads, 1, 8), &arguments, falling);
            parts.take()
        });
        let sum: f64 = parts.iter().sum();
        assert!((sum - expected).abs() < 1e-10 * expected, "{sum} {expected}");
    }
    let mut parts = Output::filled(1, f64::NAN);
    let arguments = [input(&[1.0_f32, f32::NAN, 2.0]), parts.pointer(), Argument::Long(3)];
    launch("square_sum_f32", Grid::blocks(1, 32, 1, 8), &arguments, false);
    assert!(parts.take()[0].is_nan(), "a gradient that is no number shows");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]
    #[test]
    fn moments_of_any_length(count in 1_usize..900) {
        if is_there() {
            check::<f32>(count);
            check::<bf16>(count);
            check::<f16>(count);
            check_8bit::<f32>(count);
            check_8bit::<bf16>(count);
            check_8bit::<f16>(count);
        }
    }
}
