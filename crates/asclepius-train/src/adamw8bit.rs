//! AdamW with both moments in 8 bits: a code a number and a scale for every block of 256, a quarter of the memory.
//!
//! The rule is [`AdamW`]'s, in f32, block by block: decode, update, move the weights by the exact new moments, encode. So
//! only what is carried from step to step is rounded. (Dettmers et al., 8-bit Optimizers via Block-wise Quantization,
//! 2022, section 2; blocks of 256 as bitsandbytes has them since 0.43.)
//!
//! ```text
//! scale = max |x| over the block      code = nearest(x / scale)      x ~ book[code] scale
//! ```
//!
//! One thing differs: a second moment above 0 is never encoded as 0. A weight whose gradient has stopped would otherwise
//! be moved by m / epsilon, thousands of times the learning rate.

use candle_core::{DType, Result, Tensor};
use rayon::prelude::*;

use crate::adamw::{AdamW, CHUNK, Factors, check_shapes, overwrite, update_chunk, updated};
use crate::in_place;
use asclepius_ops::dynamic_code::{CODES, CodeBook, SIGNED, UNSIGNED};

/// Numbers that share a scale.
pub const BLOCK: usize = 256;
/// Tensors of fewer numbers keep f32 moments: norms and biases, which matter much and weigh little.
pub const SMALLEST: usize = 4096;

/// One moment of a parameter of n numbers.
#[derive(Debug, Clone)]
pub struct Quantised {
    /// u8, of the parameter's shape.
    pub codes: Tensor,
    /// Largest magnitude of each block, f32, `[ceil(n / 256)]`.
    pub scales: Tensor,
}

/// Both moments of one parameter, on its device.
#[derive(Debug, Clone)]
pub struct QuantisedMoments {
    /// Running mean of the gradient, m, by the signed book.
    pub first: Quantised,
    /// Running mean of its square, v, by the unsigned book.
    pub second: Quantised,
}

impl QuantisedMoments {
    /// Zero moments for a parameter.
    ///
    /// # Errors
    /// When the device has no room.
    pub fn zeros_like(value: &Tensor) -> Result<Self> {
        let zeros = |book: &CodeBook| -> Result<Quantised> {
            let codes = Tensor::full(book.zero(), value.shape(), value.device())?;
            // `full` broadcasts one number; the codes are edited in place.
            let scales = Tensor::zeros(value.elem_count().div_ceil(BLOCK), DType::F32, value.device())?;
            Ok(Quantised { codes: codes.copy()?, scales })
        };
        Ok(Self { first: zeros(&SIGNED)?, second: zeros(&UNSIGNED)? })
    }
}

impl AdamW {
    /// [`AdamW::update`] with moments in 8 bits, in place.
    ///
    /// # Errors
    /// When shapes or devices differ.
    pub fn update_quantised(
        &self,
        value: &Tensor,
        gradient: &Tensor,
        moments: &QuantisedMoments,
        scale: f64,
        learning_rate: f64,
        step: u64,
    ) -> Result<()> {
        check_shapes(value, gradient, &moments.first.codes)?;
        let factors = self.factors(scale, learning_rate, step);
        if in_place::is_reachable(value) && in_place::is_reachable(gradient) {
            fused(value, gradient, moments, &factors)
        } else {
            composed(value, gradient, moments, &factors)
        }
    }
}

/// A chunk of everything that is updated together; chunks are whole blocks, so no result depends on the threads.
struct Chunk<'a> {
    value: &'a mut [f32],
    gradient: &'a [f32],
    first: (&'a mut [u8], &'a mut [f32]),
    second: (&'a mut [u8], &'a mut [f32]),
}

/// One pass over memory, on the CPU.
fn fused(value: &Tensor, gradient: &Tensor, moments: &QuantisedMoments, factors: &Factors) -> Result<()> {
    const SCALES: usize = CHUNK / BLOCK;
    let (first, second) = (&moments.first, &moments.second);
    let run = |value: &mut [f32], gradient: &[f32], first: (&mut [u8], &mut [f32]), second: (&mut [u8], &mut [f32])| {
        value
            .par_chunks_mut(CHUNK)
            .zip(gradient.par_chunks(CHUNK))
            .zip(first.0.par_chunks_mut(CHUNK).zip(first.1.par_chunks_mut(SCALES)))
            .zip(second.0.par_chunks_mut(CHUNK).zip(second.1.par_chunks_mut(SCALES)))
            .for_each(|(((value, gradient), first), second)| {
                update_blocks(Chunk { value, gradient, first, second }, factors);
            });
    };
    in_place::read_f32(gradient, |gradient| {
        in_place::edit(&first.codes, |first_codes: &mut [u8]| {
            in_place::edit(&first.scales, |first_scales: &mut [f32]| {
                in_place::edit(&second.codes, |second_codes: &mut [u8]| {
                    in_place::edit(&second.scales, |second_scales: &mut [f32]| {
                        in_place::edit(value, |value: &mut [f32]| {
                            run(value, gradient, (first_codes, first_scales), (second_codes, second_scales));
                            Ok(())
                        })
                    })
                })
            })
        })
    })
}

fn update_blocks(chunk: Chunk<'_>, factors: &Factors) {
    let (mut first, mut second) = ([0.0; BLOCK], [0.0; BLOCK]);
    let blocks = chunk.value.chunks_mut(BLOCK).zip(chunk.gradient.chunks(BLOCK));
    let firsts = chunk.first.0.chunks_mut(BLOCK).zip(chunk.first.1);
    let seconds = chunk.second.0.chunks_mut(BLOCK).zip(chunk.second.1);
    for (((value, gradient), (first_codes, first_scale)), (second_codes, second_scale)) in
        blocks.zip(firsts).zip(seconds)
    {
        let (first, second) = (&mut first[..value.len()], &mut second[..value.len()]);
        decode(&SIGNED, first_codes, *first_scale, first);
        decode(&UNSIGNED, second_codes, *second_scale, second);
        update_chunk(value, gradient, first, second, factors);
        *first_scale = encode(&SIGNED, first, first_codes);
        *second_scale = encode(&UNSIGNED, second, second_codes);
        for (code, &value) in second_codes.iter_mut().zip(&*second) {
            *code = (*code).max(u8::from(value > 0.0));
        }
    }
}

fn decode(book: &CodeBook, codes: &[u8], scale: f32, values: &mut [f32]) {
    for (value, &code) in values.iter_mut().zip(codes) {
        *value = book.decode(code) * scale;
    }
}

/// Writes the codes of a block; returns its scale.
fn encode(book: &CodeBook, values: &[f32], codes: &mut [u8]) -> f32 {
    let scale = values.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    // A division that is not by zero; the block then decodes to 0 whatever its codes are.
    let divisor = if scale > 0.0 { scale } else { 1.0 };
    for (code, &value) in codes.iter_mut().zip(values) {
        *code = book.encode(value / divisor);
    }
    scale
}

/// The same of candle ops: the reference twin, and what runs on other devices and types.
fn composed(value: &Tensor, gradient: &Tensor, moments: &QuantisedMoments, factors: &Factors) -> Result<()> {
    let first = dequantise(&SIGNED, &moments.first)?;
    let second = dequantise(&UNSIGNED, &moments.second)?;
    let (value_after, first, second) = updated(value, gradient, &first, &second, factors)?;
    quantise(&SIGNED, &first, &moments.first, false)?;
    quantise(&UNSIGNED, &second, &moments.second, true)?;
    overwrite(value, &value_after)
}

/// What is held, as f32 in the parameter's shape.
fn dequantise(book: &CodeBook, held: &Quantised) -> Result<Tensor> {
    let device = held.codes.device();
    let (count, blocks) = (held.codes.elem_count(), held.scales.elem_count());
    let book = Tensor::from_slice(book.values(), CODES, device)?;
    let values = book.index_select(&held.codes.flatten_all()?.to_dtype(DType::U32)?, 0)?;
    let values = values.pad_with_zeros(0, 0, blocks * BLOCK - count)?.reshape((blocks, BLOCK))?;
    let values = values.broadcast_mul(&held.scales.reshape((blocks, 1))?)?;
    values.flatten_all()?.narrow(0, 0, count)?.reshape(held.codes.shape())
}

/// Replaces what is held by `values`; with `positive`, nothing above 0 becomes 0.
fn quantise(book: &CodeBook, values: &Tensor, held: &Quantised, positive: bool) -> Result<()> {
    let device = values.device();
    let (count, blocks) = (values.elem_count(), held.scales.elem_count());
    let padded = values.flatten_all()?.pad_with_zeros(0, 0, blocks * BLOCK - count)?.reshape((blocks, BLOCK))?;
    let scales = padded.abs()?.max_keepdim(1)?;
    let divisors = scales.eq(0_f32)?.to_dtype(DType::F32)?.add(&scales)?;
    let shares = padded.broadcast_div(&divisors)?.flatten_all()?;
    // The search by halves of `CodeBook::encode`, all numbers at once.
    let midpoints = Tensor::from_slice(book.midpoints(), CODES, device)?;
    let mut codes = shares.zeros_like()?;
    for half in [128_u32, 64, 32, 16, 8, 4, 2, 1] {
        let probes = (&codes + f64::from(half - 1))?.to_dtype(DType::U32)?;
        let above = shares.ge(&midpoints.index_select(&probes, 0)?)?.to_dtype(DType::F32)?;
        codes = (codes + (above * f64::from(half))?)?;
    }
    if positive {
        codes = codes.maximum(&padded.flatten_all()?.gt(0_f32)?.to_dtype(DType::F32)?)?;
    }
    let codes = codes.narrow(0, 0, count)?.reshape(values.shape())?.to_dtype(DType::U8)?;
    overwrite(&held.codes, &codes)?;
    overwrite(&held.scales, &scales.flatten_all()?)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    const ADAMW: AdamW = AdamW { betas: [0.9, 0.999], epsilon: 1e-8, weight_decay: 0.1 };
    /// Three and a half chunks, and a block cut short.
    const COUNT: usize = 3 * CHUNK + CHUNK / 2 + 77;

    fn wave(frequency: f32) -> Tensor {
        // Magnitudes of six decades, so that the whole book is used.
        let values: Vec<f32> =
            (0..COUNT).map(|index| (index as f32 * frequency).sin() * 10_f32.powi(-(index as i32 % 7))).collect();
        Tensor::from_vec(values, COUNT, &Device::Cpu).expect("the shape fits")
    }

    fn codes(tensor: &Tensor) -> Vec<u8> {
        tensor.to_vec1().expect("codes")
    }

    #[test]
    fn the_fused_update_agrees_with_the_composed_one() {
        let (left, right) = (wave(0.01), wave(0.01));
        let held = [&left, &right].map(|value| QuantisedMoments::zeros_like(value).expect("room"));
        for step in 1..=5 {
            let gradient = wave(0.3 * step as f32);
            let factors = ADAMW.factors(0.5, 1e-2, step);
            fused(&left, &gradient, &held[0], &factors).expect("on the CPU");
            composed(&right, &gradient, &held[1], &factors).expect("the shapes agree");
        }
        let difference = (&left - &right).and_then(|d| d.abs()?.max_all()?.to_scalar::<f32>()).expect("one shape");
        assert!(difference < 1e-3 * 1e-2, "{difference}");
        for (left, right) in [(&held[0].first, &held[1].first), (&held[0].second, &held[1].second)] {
            let apart = codes(&left.codes).iter().zip(codes(&right.codes)).filter(|&(&a, b)| a != b).count();
            // f32 rounds a few shares to the other side of a midpoint.
            assert!(apart * 1000 < COUNT, "{apart} codes differ");
        }
    }

    #[test]
    fn any_number_of_threads_gives_the_same_bits() {
        let run = |threads: usize| {
            let value = wave(0.01);
            let moments = QuantisedMoments::zeros_like(&value).expect("room");
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            pool.install(|| {
                for step in 1..=3 {
                    let gradient = wave(0.3 * step as f32);
                    ADAMW.update_quantised(&value, &gradient, &moments, 1.0, 1e-2, step).expect("one shape");
                }
            });
            let bits: Vec<u32> = value.to_vec1::<f32>().expect("f32").into_iter().map(f32::to_bits).collect();
            (bits, codes(&moments.first.codes), codes(&moments.second.codes))
        };
        let one = run(1);
        assert!(run(3) == one && run(2) == one);
    }

    #[test]
    fn a_block_is_off_by_at_most_the_widest_gap_of_its_book() {
        let values: Vec<f32> = wave(0.37).to_vec1().expect("f32");
        // Half the widest gap: 0.9 / 64 between signed fractions (and at the negative end), 0.9 / 128 between unsigned.
        for (book, bound, values) in [
            (&*SIGNED, 0.9 / 64.0 / 2.0, values.clone()),
            (&*UNSIGNED, 0.9 / 128.0 / 2.0, values.iter().map(|value| value.abs()).collect()),
        ] {
            for block in values.chunks(BLOCK) {
                let (mut codes, mut back) = ([0; BLOCK], [0.0; BLOCK]);
                let (codes, back) = (&mut codes[..block.len()], &mut back[..block.len()]);
                let scale = encode(book, block, codes);
                decode(book, codes, scale, back);
                for (value, back) in block.iter().zip(&*back) {
                    assert!((value - back).abs() <= bound * scale * 1.001, "{value} {back} of {scale}");
                }
            }
        }
    }

    #[test]
    fn a_weight_whose_gradient_has_stopped_is_not_flung_away() {
        // One number of the block is a million times the rest: their second moments would round to 0.
        let gradient = |rest: f32| {
            let mut values = vec![rest; BLOCK];
            values[0] = 1.0;
            Tensor::from_vec(values, BLOCK, &Device::Cpu).expect("a block")
        };
        for run in [fused, composed] {
            let value = Tensor::zeros(BLOCK, DType::F32, &Device::Cpu).expect("room");
            let moments = QuantisedMoments::zeros_like(&value).expect("room");
            for step in 1..=20 {
                let gradient = gradient(if step < 3 { 1e-5 } else { 0.0 });
                run(&value, &gradient, &moments, &ADAMW.factors(1.0, 1e-3, step)).expect("one shape");
            }
            let largest = value.abs().and_then(|v| v.max_all()?.to_scalar::<f32>()).expect("f32");
            assert!(largest < 20.0 * 1e-3 * 1.1, "{largest}");
        }
    }
}
