//! The angles by which positions turn queries and keys, and their scaling to longer contexts.

use candle_core::{DType, Device, Tensor};

use crate::Result;

/// How positions turn queries and keys.
#[derive(Clone, Debug, PartialEq)]
pub struct Rotary {
    /// Base of the frequencies.
    pub theta: f64,
    /// Features of a head that turn, from the first on.
    pub features: usize,
    /// Changes to the frequencies.
    pub scaling: RotaryScaling,
}

/// Changes to the frequencies for contexts longer than the first training's.
#[derive(Clone, Debug, PartialEq)]
pub enum RotaryScaling {
    /// None.
    None,
    /// Every frequency divided by `factor`.
    Linear {
        /// The divisor.
        factor: f64,
    },
    /// Llama 3.1: low frequencies divided by `factor`, high ones kept, those between blended.
    Llama3 {
        /// The divisor.
        factor: f64,
        /// Wavelengths above `original_positions` over this are divided.
        low_frequency_factor: f64,
        /// Wavelengths below `original_positions` over this are kept.
        high_frequency_factor: f64,
        /// Positions of the first training.
        original_positions: f64,
    },
}

impl Rotary {
    /// The angle a position adds in each of the `features / 2` pairs, in f32 as transformers holds them.
    pub fn frequencies(&self) -> Vec<f32> {
        (0..self.features / 2)
            .map(|pair| {
                let frequency = self.theta.powf(-((2 * pair) as f64) / self.features as f64);
                self.scaling.apply(frequency) as f32
            })
            .collect()
    }

    /// Cosines and sines `[t, features / 2]` of the angles of `positions [t]`.
    ///
    /// # Errors
    /// When the device has no memory.
    pub fn tables(&self, positions: &[u32], dtype: DType, device: &Device) -> Result<(Tensor, Tensor)> {
        let frequencies = self.frequencies();
        let shape = (positions.len(), frequencies.len());
        let mut cosines = Vec::with_capacity(shape.0 * shape.1);
        let mut sines = Vec::with_capacity(shape.0 * shape.1);
        for &position in positions {
            for &frequency in &frequencies {
                // The product is rounded to f32 first, as it is in transformers; then exact.
                let (sine, cosine) = f64::from(position as f32 * frequency).sin_cos();
                cosines.push(cosine as f32);
                sines.push(sine as f32);
            }
        }
        Ok((
            Tensor::from_vec(cosines, shape, device)?.to_dtype(dtype)?,
            Tensor::from_vec(sines, shape, device)?.to_dtype(dtype)?,
        ))
    }
}

impl RotaryScaling {
    fn apply(&self, frequency: f64) -> f64 {
        match *self {
            Self::None => frequency,
            Self::Linear { factor } => frequency / factor,
            Self::Llama3 { factor, low_frequency_factor, high_frequency_factor, original_positions } => {
                let turns = original_positions * frequency / std::f64::consts::TAU;
                let kept =
                    ((turns - low_frequency_factor) / (high_frequency_factor - low_frequency_factor)).clamp(0.0, 1.0);
                frequency * (kept + (1.0 - kept) / factor)
            }
        }
    }
}
