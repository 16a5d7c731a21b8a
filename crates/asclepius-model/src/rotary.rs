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
    /// YaRN (Peng et al., "YaRN: Efficient Context Window Extension of Large Language Models", 2023): pairs that turn
    /// seldom within the first training's positions divided by `factor`, those that turn often kept, those between
    /// blended by their number; and cosines and sines scaled.
    Yarn {
        /// The divisor.
        factor: f64,
        /// Multiplies cosines and sines, so that scores are divided by the paper's temperature.
        attention_factor: f64,
        /// Pairs that turn at least this often are kept.
        beta_fast: f64,
        /// Pairs that turn at most this often are divided.
        beta_slow: f64,
        /// Positions of the first training.
        original_positions: f64,
        /// Whether the two bounds are rounded outwards to whole pairs.
        truncate: bool,
    },
}

/// YaRN's scale of cosines and sines where the configuration gives none: `0.1 m ln factor + 1`.
pub(crate) fn yarn_attention_factor(factor: f64, m: f64) -> f64 {
    if factor > 1.0 { 0.1 * m * factor.ln() + 1.0 } else { 1.0 }
}

impl Rotary {
    /// The angle a position adds in each of the `features / 2` pairs, in f32 as transformers holds them.
    pub fn frequencies(&self) -> Vec<f32> {
        self.exact_frequencies().into_iter().map(|frequency| frequency as f32).collect()
    }

    /// As [`Self::frequencies`], before they are rounded.
    pub(crate) fn exact_frequencies(&self) -> Vec<f64> {
        (0..self.features / 2)
            .map(|pair| {
                let frequency = self.theta.powf(-((2 * pair) as f64) / self.features as f64);
                self.scaled(pair, frequency)
            })
            .collect()
    }

    /// Cosines and sines `[t, features / 2]` of the angles of `positions [t]`.
    ///
    /// # Errors
    /// When the device has no memory.
    pub fn tables(&self, positions: &[u32], dtype: DType, device: &Device) -> Result<(Tensor, Tensor)> {
        let frequencies = self.frequencies();
        let scale = match self.scaling {
            RotaryScaling::Yarn { attention_factor, .. } => attention_factor as f32,
            _ => 1.0,
        };
        let shape = (positions.len(), frequencies.len());
        let mut cosines = Vec::with_capacity(shape.0 * shape.1);
        let mut sines = Vec::with_capacity(shape.0 * shape.1);
        for &position in positions {
            for &frequency in &frequencies {
                // The product is rounded to f32 first, as it is in transformers; then exact.
                let (sine, cosine) = f64::from(position as f32 * frequency).sin_cos();
                cosines.push(cosine as f32 * scale);
                sines.push(sine as f32 * scale);
            }
        }
        Ok((
            Tensor::from_vec(cosines, shape, device)?.to_dtype(dtype)?,
            Tensor::from_vec(sines, shape, device)?.to_dtype(dtype)?,
        ))
    }

    fn scaled(&self, pair: usize, frequency: f64) -> f64 {
        match self.scaling {
            RotaryScaling::None => frequency,
            RotaryScaling::Linear { factor } => frequency / factor,
            RotaryScaling::Llama3 { factor, low_frequency_factor, high_frequency_factor, original_positions } => {
                let turns = original_positions * frequency / std::f64::consts::TAU;
                let kept =
                    ((turns - low_frequency_factor) / (high_frequency_factor - low_frequency_factor)).clamp(0.0, 1.0);
                frequency * (kept + (1.0 - kept) / factor)
            }
            RotaryScaling::Yarn { factor, beta_fast, beta_slow, original_positions, truncate, .. } => {
                // The pair, not whole, that turns this often within the first training's positions.
                let bound = |turns: f64| {
                    let wavelength = original_positions / (turns * std::f64::consts::TAU);
                    self.features as f64 * wavelength.ln() / (2.0 * self.theta.ln())
                };
                let (low, high) = (bound(beta_fast), bound(beta_slow));
                let (low, high) = if truncate { (low.floor(), high.ceil()) } else { (low, high) };
                let (low, high) = (low.max(0.0), high.min((self.features - 1) as f64));
                let width = if low == high { 0.001 } else { high - low };
                let divided = ((pair as f64 - low) / width).clamp(0.0, 1.0);
                frequency * (1.0 - divided + divided / factor)
            }
        }
    }
}
