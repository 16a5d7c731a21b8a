//! The optimizer over all trained parameters, and its state on disk.

use std::collections::BTreeMap;
use std::path::Path;

use asclepius_model::checkpoint::{TensorFile, write_tensors};
use asclepius_ops::Parameter;
use candle_core::Tensor;

use crate::TrainError;
use crate::adamw::{AdamW, Moments, overwrite};
use crate::checkpoint::{OPTIMIZER_FILE, verify_tensors};

// The words of PyTorch's state dictionary.
const FIRST: &str = ".exp_avg";
const SECOND: &str = ".exp_avg_sq";

/// AdamW with the moments of every trained parameter, in order of name.
#[derive(Debug)]
pub struct Optimizer {
    rule: AdamW,
    entries: Vec<(Parameter, Moments)>,
}

impl Optimizer {
    /// Zero moments for `parameters`, which are sorted by name.
    ///
    /// # Errors
    /// When there is no room.
    pub fn new(rule: AdamW, parameters: &[Parameter]) -> Result<Self, TrainError> {
        let entries = parameters
            .iter()
            .map(|parameter| Ok((parameter.clone(), Moments::zeros_like(parameter.value())?)))
            .collect::<Result<_, TrainError>>()?;
        Ok(Self { rule, entries })
    }

    /// One step, counted from 1, on the gradients in the parameters' slots, each first multiplied by `scale`.
    ///
    /// # Errors
    /// When a parameter has no slot or the device fails.
    pub fn update(&self, scale: f64, learning_rate: f64, step: u64) -> Result<(), TrainError> {
        for (parameter, moments) in &self.entries {
            let Some(gradient) = parameter.gradient() else {
                return Err(TrainError::NoGradient { step, names: vec![parameter.name().to_owned()] });
            };
            self.rule.update(parameter.value(), &gradient, moments, scale, learning_rate, step)?;
        }
        Ok(())
    }

    /// Writes the moments into a step directory.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, directory: &Path) -> Result<(), TrainError> {
        let tensors = self.tensors().into_iter().map(|(name, tensor)| (name, tensor.clone())).collect();
        Ok(write_tensors(&directory.join(OPTIMIZER_FILE), &tensors)?)
    }

    /// Restores the moments from a step directory, exactly.
    ///
    /// # Errors
    /// When the file is damaged, or its tensors are not exactly those of the trained parameters.
    pub fn load(&self, directory: &Path) -> Result<(), TrainError> {
        self.verify(directory)?;
        let mut file = TensorFile::open(&directory.join(OPTIMIZER_FILE))?;
        for (name, target) in self.tensors() {
            overwrite(target, &file.read(&name, Some(target.dtype()), target.device())?)?;
        }
        Ok(())
    }

    /// Whether a step directory's file is whole and of these parameters, by its header.
    ///
    /// # Errors
    /// When it is not.
    pub fn verify(&self, directory: &Path) -> Result<(), TrainError> {
        let expected: BTreeMap<String, Vec<usize>> =
            self.tensors().into_iter().map(|(name, tensor)| (name, tensor.dims().to_vec())).collect();
        verify_tensors(&[directory.join(OPTIMIZER_FILE)], &expected)
    }

    fn tensors(&self) -> Vec<(String, &Tensor)> {
        self.entries
            .iter()
            .flat_map(|(parameter, moments)| {
                let name = parameter.name();
                [(format!("{name}{FIRST}"), &moments.first), (format!("{name}{SECOND}"), &moments.second)]
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use asclepius_ops::GradientBuffer;
    use candle_core::{DType, Device};

    use super::*;

    const RULE: AdamW = AdamW { betas: [0.9, 0.999], epsilon: 1e-8, weight_decay: 0.0 };

    fn parameter(name: &str, length: usize) -> Parameter {
        let value = Tensor::ones(length, DType::F32, &Device::Cpu).expect("room");
        Parameter::trainable(name, &value).expect("room")
    }

    #[test]
    fn moments_survive_the_disk_bit_for_bit() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let parameters = [parameter("a", 3), parameter("b", 5)];
        let buffer = GradientBuffer::new(&parameters).expect("room");
        let optimizer = Optimizer::new(RULE, buffer.parameters()).expect("room");
        for (index, parameter) in parameters.iter().enumerate() {
            let gradient = (parameter.value().detach() * (0.1 + index as f64)).expect("a vector");
            parameter.add_gradient(&gradient).expect("the shapes agree");
        }
        optimizer.update(1.0 / 3.0, 1e-3, 1).expect("gradients are there");
        optimizer.save(directory.path()).expect("writable");

        let fresh = Optimizer::new(RULE, buffer.parameters()).expect("room");
        fresh.load(directory.path()).expect("just written");
        for ((name, saved), (_, loaded)) in optimizer.tensors().into_iter().zip(fresh.tensors()) {
            let bits = |tensor: &Tensor| -> Vec<u32> {
                tensor.to_vec1::<f32>().expect("a vector").into_iter().map(f32::to_bits).collect()
            };
            assert_eq!(bits(saved), bits(loaded), "{name}");
        }
    }

    #[test]
    fn other_parameters_are_named() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Optimizer::new(RULE, &[parameter("a", 3)]).and_then(|o| o.save(directory.path())).expect("writable");
        let load = |parameters: &[Parameter]| {
            let optimizer = Optimizer::new(RULE, parameters).expect("room");
            optimizer.load(directory.path()).expect_err("other parameters").to_string()
        };
        assert!(load(&[parameter("a", 3), parameter("b", 3)]).contains("holds no tensor b.exp_avg"));
        assert!(load(&[parameter("b", 3)]).contains("a.exp_avg"));
        assert!(load(&[parameter("a", 4)]).contains("[3]"));
    }
}
