//! NF4 with double quantisation: a frozen matrix in 4.127 bits a number. (Dettmers et al., QLoRA: Efficient Finetuning of
//! Quantized LLMs, 2023, section 3 and appendix E; the layout is bitsandbytes'.)
//!
//! ```text
//! block of 64:    scale = max |w|                      code = nearest of 16 quantiles of a normal to w / scale
//! scales:         offset = their mean; in blocks of 256, each less the offset is 8 bits of the signed dynamic code
//! w ~ quantile[code] (book[scale code] scale's scale + offset)
//! ```

use candle_core::{DType, Device, Result, Tensor};
use rayon::prelude::*;

use crate::dynamic_code::{CODES, SIGNED};
use crate::gpu::Nf4Parts;
use crate::kernel::{Host, Real};

/// Numbers that share a scale.
pub const BLOCK: usize = 64;
/// Scales that share a scale of their own.
pub const SCALE_BLOCK: usize = 256;

/// The 16 numbers that codes stand for, rising.
pub const QUANTILES: [f32; 16] = [
    -1.0,
    -0.696_192_8,
    -0.525_073_05,
    -0.394_917_5,
    -0.284_441_38,
    -0.184_773_43,
    -0.091_050_036,
    0.0,
    0.079_580_3,
    0.160_930_2,
    0.246_112_3,
    0.337_915_24,
    0.440_709_83,
    0.562_617,
    0.722_956_84,
    1.0,
];

/// Blocks that one thread decodes at a time.
const CHUNK: usize = 256;

/// A matrix in NF4, on the CPU.
#[derive(Debug, Clone)]
pub struct Nf4 {
    numbers: usize,
    /// Two numbers a byte, the first in the high half; each pair in order, row after row.
    codes: Vec<u8>,
    scale_codes: Vec<u8>,
    scale_scales: Vec<f32>,
    offset: f32,
}

impl Nf4 {
    /// Quantises numbers in row-major order.
    pub fn quantise(values: &[f32]) -> Self {
        let scales: Vec<f32> = values.par_chunks(BLOCK).map(largest).collect();
        // In f64: the mean of a million scales is then right to the last place, whatever the order.
        let sum: f64 = scales.iter().map(|&scale| f64::from(scale)).sum();
        let offset = (sum / scales.len().max(1) as f64) as f32;
        Self::quantise_with_offset(values, offset)
    }

    /// [`Self::quantise`] with a given offset of the scales: with bitsandbytes' own, its bytes.
    pub fn quantise_with_offset(values: &[f32], offset: f32) -> Self {
        let blocks = values.len().div_ceil(BLOCK);
        let (mut codes, mut scales) = (vec![0; values.len().div_ceil(2)], vec![0.0; blocks]);
        let bytes = codes.par_chunks_mut(BLOCK / 2);
        bytes.zip(values.par_chunks(BLOCK)).zip(&mut scales).for_each(|((bytes, values), scale)| {
            *scale = encode(values, bytes);
            // Centred only now: the codes go by the scale as it is.
            *scale -= offset;
        });
        let (mut scale_codes, mut scale_scales) = (vec![0; blocks], Vec::with_capacity(blocks.div_ceil(SCALE_BLOCK)));
        for (codes, scales) in scale_codes.chunks_mut(SCALE_BLOCK).zip(scales.chunks(SCALE_BLOCK)) {
            let scale = largest(scales);
            for (code, &value) in codes.iter_mut().zip(scales) {
                *code = if scale > 0.0 { SIGNED.encode(value / scale) } else { 0 };
            }
            scale_scales.push(scale);
        }
        Self { numbers: values.len(), codes, scale_codes, scale_scales, offset }
    }

    /// The numbers, in `out`, of which there must be as many: row-major, rounded from f32 to `R`.
    ///
    /// # Panics
    /// When `out` has another length.
    pub fn decode<R: Real>(&self, out: &mut [R]) {
        assert_eq!(out.len(), self.numbers, "as many as were quantised");
        out.par_chunks_mut(BLOCK * CHUNK).enumerate().for_each(|(chunk, out)| {
            for (block, out) in out.chunks_mut(BLOCK).enumerate() {
                let block = chunk * CHUNK + block;
                let scale = self.scale(block);
                let values = QUANTILES.map(|quantile| R::of(f64::from(quantile * scale)));
                let bytes = &self.codes[block * BLOCK / 2..];
                for (pair, byte) in out.chunks_mut(2).zip(bytes) {
                    pair[0] = values[usize::from(byte >> 4)];
                    if let Some(second) = pair.get_mut(1) {
                        *second = values[usize::from(byte & 15)];
                    }
                }
            }
        });
    }

    /// Its parts on a card, which decodes them itself.
    pub(crate) fn on_card(&self, device: &Device) -> Result<Nf4Parts> {
        let book: Vec<f32> = (0..CODES).map(|code| SIGNED.decode(code as u8)).collect();
        Ok(Nf4Parts {
            codes: [Tensor::new(self.codes.as_slice(), device)?, Tensor::new(self.scale_codes.as_slice(), device)?],
            scale_scales: Tensor::new(self.scale_scales.as_slice(), device)?,
            book: Tensor::new(book, device)?,
            offset: self.offset,
        })
    }

    /// The matrix again, on a device.
    ///
    /// # Errors
    /// When `shape` has another number of elements, or there is no memory.
    pub fn tensor(&self, shape: &[usize], dtype: DType, device: &Device) -> Result<Tensor> {
        if dtype == DType::F64 {
            let mut values = vec![0.0_f64; self.numbers];
            self.decode(&mut values);
            return Tensor::from_vec(values, shape, device);
        }
        let mut values = vec![0.0_f32; self.numbers];
        self.decode(&mut values);
        Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(dtype)?.to_device(device)
    }

    fn scale(&self, block: usize) -> f32 {
        SIGNED.decode(self.scale_codes[block]) * self.scale_scales[block / SCALE_BLOCK] + self.offset
    }

    /// Two codes a byte, the first in the high half.
    pub fn codes(&self) -> &[u8] {
        &self.codes
    }

    /// A byte for every block's scale.
    pub fn scale_codes(&self) -> &[u8] {
        &self.scale_codes
    }

    /// The scale of every block of scales.
    pub fn scale_scales(&self) -> &[f32] {
        &self.scale_scales
    }

    /// Bytes it takes.
    pub fn bytes(&self) -> usize {
        self.codes.len() + self.scale_codes.len() + 4 * self.scale_scales.len() + 4
    }
}

/// Quantises a tensor of any float type.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn of_tensor(value: &Tensor) -> Result<Nf4> {
    let value = value.detach().to_device(&Device::Cpu)?.to_dtype(DType::F32)?.contiguous()?;
    let host = Host::new(&value);
    Ok(Nf4::quantise(host.slice::<f32>()?))
}

fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |largest, value| largest.max(value.abs()))
}

/// Writes a block's codes; returns its scale.
fn encode(values: &[f32], bytes: &mut [u8]) -> f32 {
    let scale = largest(values);
    let inverse = 1.0 / scale;
    for (byte, pair) in bytes.iter_mut().zip(values.chunks(2)) {
        // A lone last number is followed by nothing, which reads as 0.
        let second = pair.get(1).copied().unwrap_or(0.0);
        *byte = nearest(pair[0] * inverse) << 4 | nearest(second * inverse);
    }
    scale
}

/// The code nearest to a number in -1 to 1; a NaN, as a block of zeros has them, is 0's.
fn nearest(value: f32) -> u8 {
    let mut code = 0;
    for half in [8, 4, 2, 1] {
        let at: usize = code + half - 1;
        code += if value > f32::midpoint(QUANTILES[at], QUANTILES[at + 1]) { half } else { 0 };
    }
    if value.is_nan() { 7 } else { code as u8 }
}
