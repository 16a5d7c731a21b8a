//! AdamW (Loshchilov and Hutter, 2019, algorithm 2) by PyTorch's formulas, its moments in f32 whatever the weights are.
//!
//! With gradient g, moments m and v, step t from 1, learning rate r, weight decay w, decay rates b1 and b2:
//!
//! ```text
//! p <- p (1 - r w)
//! m <- m + (1 - b1) (g - m)
//! v <- b2 v + (1 - b2) g g
//! p <- p - r / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + epsilon)
//! ```

use asclepius_ops::gpu::AdamWFactors;
use asclepius_ops::runs_references_only;
use candle_core::{DType, Result, Tensor};
use rayon::prelude::*;

use crate::in_place;

/// Elements a thread updates at a time. The update has no sum over elements, so the size changes speed only.
pub(crate) const CHUNK: usize = 1 << 14;

/// What stays the same over a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamW {
    /// Decay rates of the two moments.
    pub betas: [f64; 2],
    /// Added to the denominator.
    pub epsilon: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
}

/// The moments of one parameter: f32, of its shape, on its device.
#[derive(Debug, Clone)]
pub struct Moments {
    /// Running mean of the gradient, m.
    pub first: Tensor,
    /// Running mean of its square, v.
    pub second: Tensor,
}

impl Moments {
    /// Zero moments for a parameter.
    ///
    /// # Errors
    /// When the device has no room.
    pub fn zeros_like(value: &Tensor) -> Result<Self> {
        let zeros = || Tensor::zeros(value.shape(), DType::F32, value.device());
        Ok(Self { first: zeros()?, second: zeros()? })
    }
}

/// The factors of one step, each computed once in f64, as PyTorch does in Python.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Factors {
    gradient: f64,
    decay: f64,
    beta1: f64,
    beta2: f64,
    step_size: f64,
    root_correction: f64,
    epsilon: f64,
}

impl Factors {
    /// As the card's kernels take them.
    pub(crate) fn on_card(&self) -> AdamWFactors {
        AdamWFactors {
            scale: self.gradient as f32,
            keep: self.decay as f32,
            first_share: (1.0 - self.beta1) as f32,
            second_share: (1.0 - self.beta2) as f32,
            second_keep: self.beta2 as f32,
            rate: self.step_size as f32,
            correction: self.root_correction as f32,
            epsilon: self.epsilon as f32,
        }
    }
}

impl AdamW {
    /// Updates `value` (any float type, any device) and `moments` in place.
    ///
    /// `gradient` is f32 of the same shape; `scale` is what it must be multiplied with first (one over the number of
    /// supervised tokens, and the clipping); `step` counts from 1.
    ///
    /// # Errors
    /// When shapes or devices differ.
    pub fn update(
        &self,
        value: &Tensor,
        gradient: &Tensor,
        moments: &Moments,
        scale: f64,
        learning_rate: f64,
        step: u64,
    ) -> Result<()> {
        check_shapes(value, gradient, &moments.first)?;
        let factors = self.factors(scale, learning_rate, step);
        if in_place::is_reachable(value) && in_place::is_reachable(gradient) && !runs_references_only() {
            fused(value, gradient, moments, &factors)
        } else {
            composed(value, gradient, moments, &factors)
        }
    }

    pub(crate) fn factors(&self, scale: f64, learning_rate: f64, step: u64) -> Factors {
        let [beta1, beta2] = self.betas;
        let power = step as f64;
        Factors {
            gradient: scale,
            decay: 1.0 - learning_rate * self.weight_decay,
            beta1,
            beta2,
            step_size: learning_rate / (1.0 - beta1.powf(power)),
            root_correction: (1.0 - beta2.powf(power)).sqrt(),
            epsilon: self.epsilon,
        }
    }
}

pub(crate) fn check_shapes(value: &Tensor, gradient: &Tensor, moment: &Tensor) -> Result<()> {
    if value.dims() == gradient.dims() && value.dims() == moment.dims() {
        return Ok(());
    }
    candle_core::bail!(
        "AdamW: weights {:?}, gradient {:?} and moments {:?} differ in shape",
        value.dims(),
        gradient.dims(),
        moment.dims()
    )
}

/// One pass over memory, on the CPU.
fn fused(value: &Tensor, gradient: &Tensor, moments: &Moments, factors: &Factors) -> Result<()> {
    in_place::read_f32(gradient, |gradient| {
        in_place::edit(&moments.first, |first: &mut [f32]| {
            in_place::edit(&moments.second, |second: &mut [f32]| {
                in_place::edit(value, |value: &mut [f32]| {
                    value
                        .par_chunks_mut(CHUNK)
                        .zip(gradient.par_chunks(CHUNK))
                        .zip(first.par_chunks_mut(CHUNK).zip(second.par_chunks_mut(CHUNK)))
                        .for_each(|((value, gradient), (first, second))| {
                            update_chunk(value, gradient, first, second, factors);
                        });
                    Ok(())
                })
            })
        })
    })
}

pub(crate) fn update_chunk(
    value: &mut [f32],
    gradient: &[f32],
    first: &mut [f32],
    second: &mut [f32],
    factors: &Factors,
) {
    let scale = factors.gradient as f32;
    let decay = factors.decay as f32;
    let (rest1, rest2) = ((1.0 - factors.beta1) as f32, (1.0 - factors.beta2) as f32);
    let beta2 = factors.beta2 as f32;
    let step_size = factors.step_size as f32;
    let root_correction = factors.root_correction as f32;
    let epsilon = factors.epsilon as f32;
    for (((value, &gradient), first), second) in value.iter_mut().zip(gradient).zip(first).zip(second) {
        let gradient = gradient * scale;
        *first += rest1 * (gradient - *first);
        *second = *second * beta2 + rest2 * (gradient * gradient);
        let denominator = second.sqrt() / root_correction + epsilon;
        *value = *value * decay - step_size * (*first / denominator);
    }
}

/// The same of candle ops: the reference twin, and what runs on other devices and types.
fn composed(value: &Tensor, gradient: &Tensor, moments: &Moments, factors: &Factors) -> Result<()> {
    let (value_after, first, second) = updated(value, gradient, &moments.first, &moments.second, factors)?;
    overwrite(&moments.first, &first)?;
    overwrite(&moments.second, &second)?;
    overwrite(value, &value_after)
}

/// The weights, in their own type, and both moments, in f32, after a step.
pub(crate) fn updated(
    value: &Tensor,
    gradient: &Tensor,
    first: &Tensor,
    second: &Tensor,
    factors: &Factors,
) -> Result<(Tensor, Tensor, Tensor)> {
    let gradient = (gradient.detach().to_dtype(DType::F32)? * factors.gradient)?;
    let first = (first + ((&gradient - first)? * (1.0 - factors.beta1))?)?;
    let second = ((second * factors.beta2)? + (gradient.sqr()? * (1.0 - factors.beta2))?)?;
    let denominator = ((second.sqrt()? / factors.root_correction)? + factors.epsilon)?;
    let decayed = (value.detach().to_dtype(DType::F32)? * factors.decay)?;
    let value_after = (decayed - ((&first / denominator)? * factors.step_size)?)?;
    Ok((value_after.to_dtype(value.dtype())?, first, second))
}

/// Copies `source` over `target`, in place. Both are contiguous and of one shape and type.
///
/// # Errors
/// When shapes, types or devices differ.
pub fn overwrite(target: &Tensor, source: &Tensor) -> Result<()> {
    target.slice_set(&source.contiguous()?, 0, 0)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    const ADAMW: AdamW = AdamW { betas: [0.9, 0.999], epsilon: 1e-8, weight_decay: 0.1 };

    fn wave(length: usize, frequency: f32) -> Tensor {
        let values: Vec<f32> = (0..length).map(|index| (index as f32 * frequency).sin()).collect();
        Tensor::from_vec(values, (length / 5, 5), &Device::Cpu).expect("the shape fits")
    }

    #[test]
    fn the_fused_update_agrees_with_the_composed_one() {
        let (left, right) = (wave(40_000, 0.01), wave(40_000, 0.01));
        let (fused_moments, composed_moments) =
            (Moments::zeros_like(&left).expect("room"), Moments::zeros_like(&right).expect("room"));
        for step in 1..=5 {
            let gradient = wave(40_000, 0.3 * step as f32);
            let factors = ADAMW.factors(0.5, 1e-2, step);
            fused(&left, &gradient, &fused_moments, &factors).expect("on the CPU");
            composed(&right, &gradient, &composed_moments, &factors).expect("the shapes agree");
        }
        let difference = (left - right)
            .and_then(|difference| difference.abs()?.max_all()?.to_scalar::<f32>())
            .expect("the shapes agree");
        assert!(difference < 1e-6, "{difference}");
    }

    #[test]
    fn sixteen_bit_weights_keep_moments_in_f32() {
        let value = wave(20, 0.1).to_dtype(DType::BF16).expect("a float type");
        let before =
            value.to_dtype(DType::F32).and_then(|value| value.flatten_all()?.to_vec1::<f32>()).expect("copied");
        let moments = Moments::zeros_like(&value).expect("room");
        ADAMW.update(&value, &wave(20, 0.7), &moments, 1.0, 0.1, 1).expect("the shapes agree");
        assert_eq!(moments.first.dtype(), DType::F32);
        let after = value.to_dtype(DType::F32).and_then(|value| value.flatten_all()?.to_vec1::<f32>()).expect("copied");
        assert!(before.iter().zip(&after).any(|(before, after)| (before - after).abs() > 0.05));
    }

    #[test]
    fn shapes_must_agree() {
        let value = wave(20, 0.1);
        let moments = Moments::zeros_like(&value).expect("room");
        assert!(ADAMW.update(&value, &wave(25, 0.1), &moments, 1.0, 0.1, 1).is_err());
    }
}
