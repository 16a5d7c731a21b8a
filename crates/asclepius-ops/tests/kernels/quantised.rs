//! NF4, against the CPU's: the same bytes.

use asclepius_ops::dynamic_code::SIGNED;
use asclepius_ops::nf4::{BLOCK, Nf4, SCALE_BLOCK};
use half::{bf16, f16};
use proptest::prelude::*;

use crate::emulation::{Argument, Grid, Number, Output, assert_close, in_both_orders, input, is_there, launch};
use crate::{normals, wide};

fn check<N: Number>(values: &[N]) {
    let count = values.len();
    let plain: Vec<f32> = values.iter().map(|value| value.wide() as f32).collect();
    let blocks = count.div_ceil(BLOCK);
    let offset = 0.75_f32;
    let expected = Nf4::quantise_with_offset(&plain, offset);
    let name = |kernel: &str| format!("{kernel}_{}", N::NAME);
    let run = |falling: bool| {
        let (mut codes, mut scales) = (Output::filled(count.div_ceil(2), 0xEE_u8), Output::<f32>::new(blocks));
        let arguments = [input(values), codes.pointer(), scales.pointer(), Argument::Long(count as i64)];
        // A warp a block of numbers.
        launch(&name("nf4_quantise"), Grid::threads_for(blocks * 32, 128), &arguments, falling);
        let (codes, scales) = (codes.take(), scales.take());
        let mut scale_codes = Output::filled(blocks, 0xEE_u8);
        let mut scale_scales = Output::<f32>::new(blocks.div_ceil(SCALE_BLOCK));
        let arguments = [
            input(&scales),
            Argument::Float(offset),
            input(SIGNED.midpoints()),
            scale_codes.pointer(),
            scale_scales.pointer(),
            Argument::Int(blocks as i32),
        ];
        let grid = Grid::blocks(blocks.div_ceil(SCALE_BLOCK), SCALE_BLOCK, 1, 4);
        launch("nf4_quantise_scales", grid, &arguments, falling);
        (codes, scale_codes.take(), scale_scales.take())
    };
    let found = run(false);
    assert!(found == run(true), "a result depends on the order of threads");
    assert_eq!(found.0, expected.codes());
    assert_eq!(found.1, expected.scale_codes());
    assert_eq!(found.2, expected.scale_scales());

    let decoded = in_both_orders(|falling| {
        let mut out = Output::<N>::new(count);
        let arguments = [
            input(expected.codes()),
            input(expected.scale_codes()),
            input(expected.scale_scales()),
            Argument::Float(offset),
            input(SIGNED.values()),
            out.pointer(),
            Argument::Long(count as i64),
        ];
        let grid = Grid { shared: 16 * size_of::<f32>(), ..Grid::threads_for(count.div_ceil(8), 64) };
        launch(&name("nf4_dequantise"), grid, &arguments, falling);
        wide(&out.take())
    });
    let mut again = vec![0.0_f64; count];
    expected.decode(&mut again);
    let decoded: Vec<N> = decoded.into_iter().map(N::of).collect();
    assert_close("decoded", &decoded, &again, 1.0);
}

#[test]
fn lengths_around_a_block_and_blocks_of_zeros() {
    if !is_there() {
        return;
    }
    for count in [1, 2, 63, 64, 65, 127, 129, 64 * 256 + 1] {
        check(&normals::<f32>(5, count));
    }
    let mut values = normals::<f32>(6, 300);
    values[64..128].fill(0.0);
    check(&values);
    check(&[0.0_f32; 70]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    #[test]
    fn random_numbers(count in 1_usize..3000, seed: u64) {
        if is_there() {
            check(&normals::<f32>(seed, count));
            check(&normals::<bf16>(seed, count));
            check(&normals::<f16>(seed, count));
        }
    }
}
