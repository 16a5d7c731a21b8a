//! The optimizer over all trained parameters, and its state on disk.

use std::collections::BTreeMap;
use std::path::Path;

use asclepius_model::checkpoint::{TensorFile, write_tensors};
use asclepius_ops::{Parameter, PhiloxKey, gpu};
use candle_core::{DType, Tensor};

use crate::TrainError;
use crate::adamw::{AdamW, Moments, overwrite};
use crate::adamw8bit::{QuantisedMoments, SMALLEST};
use crate::checkpoint::{OPTIMIZER_FILE, verify_tensors};
use crate::config::OptimizerChoice;
use crate::on_card;

// The words of PyTorch's state dictionary.
const FIRST: &str = ".exp_avg";
const SECOND: &str = ".exp_avg_sq";
// The word of bitsandbytes' state dictionary, as a suffix.
const SCALES: &str = ".absmax";
const MASTER: &str = ".master";

/// AdamW with the moments of every trained parameter, in order of name.
#[derive(Debug)]
pub struct Optimizer {
    rule: AdamW,
    entries: Vec<Entry>,
    /// What rounding by chance is drawn from.
    key: PhiloxKey,
    /// The 8-bit codes, for a card's kernels.
    books: Option<Tensor>,
}

/// A parameter and what is carried for it from step to step.
#[derive(Debug)]
struct Entry {
    parameter: Parameter,
    state: State,
    /// The weight in f32, where that one is updated and the parameter's own follows.
    master: Option<Tensor>,
}

#[derive(Debug)]
enum State {
    Full(Moments),
    Quantised(QuantisedMoments),
}

impl Optimizer {
    /// Zero moments for `parameters`, which are sorted by name; with `masters`, an f32 copy of each that is not f32 itself.
    ///
    /// # Errors
    /// When there is no room.
    pub fn new(
        rule: AdamW,
        choice: OptimizerChoice,
        parameters: &[Parameter],
        masters: bool,
    ) -> Result<Self, TrainError> {
        let entries = parameters
            .iter()
            .map(|parameter| {
                let value = parameter.value();
                let state = match choice {
                    OptimizerChoice::Adamw8bit if value.elem_count() >= SMALLEST => {
                        State::Quantised(QuantisedMoments::zeros_like(value)?)
                    }
                    _ => State::Full(Moments::zeros_like(value)?),
                };
                let narrow = value.dtype() != DType::F32;
                let master = (masters && narrow).then(|| value.detach().to_dtype(DType::F32)).transpose()?;
                Ok(Entry { parameter: parameter.clone(), state, master })
            })
            .collect::<Result<Vec<_>, TrainError>>()?;
        let card = parameters.first().map(|parameter| parameter.value().device()).filter(|device| device.is_cuda());
        let books = card.map(on_card::books).transpose()?;
        Ok(Self { rule, entries, key: PhiloxKey::new(0), books })
    }

    /// Draws from `key` what narrow weights on a card are rounded by.
    #[must_use]
    pub fn drawing_from(self, key: PhiloxKey) -> Self {
        Self { key, ..self }
    }

    /// One step, counted from 1, on the gradients in the parameters' slots, each first multiplied by `scale`.
    ///
    /// # Errors
    /// When a parameter has no slot or the device fails.
    pub fn update(&self, scale: f64, learning_rate: f64, step: u64) -> Result<(), TrainError> {
        for Entry { parameter, state, master } in &self.entries {
            let Some(gradient) = parameter.gradient()? else {
                return Err(TrainError::NoGradient { step, names: vec![parameter.name().to_owned()] });
            };
            let value = master.as_ref().unwrap_or(parameter.value());
            if let Some(books) = self.books.as_ref().filter(|_| gpu::takes(&[value])) {
                let factors = self.rule.factors(scale, learning_rate, step);
                let key = self.key.fold(step).fold_name(parameter.name());
                match state {
                    State::Full(moments) => on_card::update(value, &gradient, moments, &factors, key),
                    State::Quantised(moments) => {
                        on_card::update_quantised(value, &gradient, moments, books, &factors, key)
                    }
                }?;
            } else {
                match state {
                    State::Full(moments) => self.rule.update(value, &gradient, moments, scale, learning_rate, step),
                    State::Quantised(moments) => {
                        self.rule.update_quantised(value, &gradient, moments, scale, learning_rate, step)
                    }
                }?;
            }
            if let Some(master) = master {
                overwrite(parameter.value(), &master.to_dtype(parameter.value().dtype())?)?;
            }
        }
        Ok(())
    }

    /// Bytes of the state, in memory and on disk.
    pub fn bytes(&self) -> u64 {
        self.tensors().iter().map(|(_, tensor)| (tensor.elem_count() * tensor.dtype().size_in_bytes()) as u64).sum()
    }

    /// Writes moments and master weights into a step directory, as they are held.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, directory: &Path) -> Result<(), TrainError> {
        let tensors = self.tensors().into_iter().map(|(name, tensor)| (name, tensor.clone())).collect();
        Ok(write_tensors(&directory.join(OPTIMIZER_FILE), &tensors)?)
    }

    /// Restores the moments from a step directory, exactly; master weights, too.
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
            .flat_map(|Entry { parameter, state, master }| {
                let name = parameter.name();
                let mut tensors = match state {
                    State::Full(moments) => {
                        vec![(format!("{name}{FIRST}"), &moments.first), (format!("{name}{SECOND}"), &moments.second)]
                    }
                    State::Quantised(QuantisedMoments { first, second }) => vec![
                        (format!("{name}{FIRST}"), &first.codes),
                        (format!("{name}{FIRST}{SCALES}"), &first.scales),
                        (format!("{name}{SECOND}"), &second.codes),
                        (format!("{name}{SECOND}{SCALES}"), &second.scales),
                    ],
                };
                tensors.extend(master.iter().map(|master| (format!("{name}{MASTER}"), master)));
                tensors
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use asclepius_ops::GradientBuffer;
    use candle_core::Device;

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
        let optimizer = Optimizer::new(RULE, OptimizerChoice::Adamw, buffer.parameters(), false).expect("room");
        for (index, parameter) in parameters.iter().enumerate() {
            let gradient = (parameter.value().detach() * (0.1 + index as f64)).expect("a vector");
            parameter.add_gradient(&gradient).expect("the shapes agree");
        }
        optimizer.update(1.0 / 3.0, 1e-3, 1).expect("gradients are there");
        optimizer.save(directory.path()).expect("writable");

        let fresh = Optimizer::new(RULE, OptimizerChoice::Adamw, buffer.parameters(), false).expect("room");
        fresh.load(directory.path()).expect("just written");
        for ((name, saved), (_, loaded)) in optimizer.tensors().into_iter().zip(fresh.tensors()) {
            let bits = |tensor: &Tensor| -> Vec<u32> {
                tensor.to_vec1::<f32>().expect("a vector").into_iter().map(f32::to_bits).collect()
            };
            assert_eq!(bits(saved), bits(loaded), "{name}");
        }
    }

    #[test]
    fn eight_bit_moments_are_held_and_kept_in_eight_bits_where_a_tensor_is_large() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let parameters = [parameter("large", SMALLEST), parameter("small", SMALLEST - 1)];
        let buffer = GradientBuffer::new(&parameters).expect("room");
        let new = || Optimizer::new(RULE, OptimizerChoice::Adamw8bit, buffer.parameters(), false).expect("room");
        let optimizer = new();
        let (large, small) = (SMALLEST as u64, SMALLEST as u64 - 1);
        assert_eq!(optimizer.bytes(), 2 * large + 8 * (large / 256) + 8 * small);
        for parameter in &parameters {
            parameter.add_gradient(&parameter.value().detach()).expect("the shapes agree");
        }
        optimizer.update(0.5, 1e-3, 1).expect("gradients are there");
        optimizer.save(directory.path()).expect("writable");
        let fresh = new();
        fresh.load(directory.path()).expect("just written");
        for ((name, saved), (_, loaded)) in optimizer.tensors().into_iter().zip(fresh.tensors()) {
            assert_eq!(saved.dtype(), loaded.dtype(), "{name}");
            let apart = saved.ne(loaded).and_then(|apart| apart.to_dtype(DType::F32)?.sum_all()?.to_scalar::<f32>());
            assert_eq!(apart.expect("one shape"), 0.0, "{name}");
        }
        let full = Optimizer::new(RULE, OptimizerChoice::Adamw, buffer.parameters(), false).expect("room");
        let error = full.load(directory.path()).expect_err("of another kind").to_string();
        assert!(error.contains("large.exp_avg.absmax"), "{error}");
    }

    #[test]
    fn bf16_weights_follow_masters_that_small_updates_move() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let ones = Tensor::ones(4, DType::BF16, &Device::Cpu).expect("room");
        let parameters = [Parameter::trainable("w", &ones).expect("room")];
        let buffer = GradientBuffer::new(&parameters).expect("room");
        parameters[0]
            .add_gradient(&Tensor::ones(4, DType::F32, &Device::Cpu).expect("room"))
            .expect("the shapes agree");
        let weight =
            || parameters[0].value().to_dtype(DType::F32).and_then(|w| w.to_vec1::<f32>()).expect("a vector")[0];
        // Each step moves by the rate, an eighth of a bf16's last place below 1.
        let rate = 2f64.powi(-11);
        let bare = Optimizer::new(RULE, OptimizerChoice::Adamw, buffer.parameters(), false).expect("room");
        (1..=8).for_each(|step| bare.update(1.0, rate, step).expect("updated"));
        assert_eq!(weight(), 1.0, "rounded back to where it was each time");

        let new = || Optimizer::new(RULE, OptimizerChoice::Adamw, buffer.parameters(), true).expect("room");
        let masters = new();
        (1..=5).for_each(|step| masters.update(1.0, rate, step).expect("updated"));
        masters.save(directory.path()).expect("writable");
        assert_eq!(masters.bytes(), 4 * (8 + 4));
        let resumed = new();
        resumed.load(directory.path()).expect("just written");
        (6..=8).for_each(|step| resumed.update(1.0, rate, step).expect("updated"));
        assert_eq!(weight(), 1.0 - 2f32.powi(-8));
        let error = bare.load(directory.path()).expect_err("without masters").to_string();
        assert!(error.contains("w.master"), "{error}");
    }

    #[test]
    fn other_parameters_are_named() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Optimizer::new(RULE, OptimizerChoice::Adamw, &[parameter("a", 3)], false)
            .and_then(|o| o.save(directory.path()))
            .expect("writable");
        let load = |parameters: &[Parameter]| {
            let optimizer = Optimizer::new(RULE, OptimizerChoice::Adamw, parameters, false).expect("room");
            optimizer.load(directory.path()).expect_err("other parameters").to_string()
        };
        assert!(load(&[parameter("a", 3), parameter("b", 3)]).contains("holds no tensor b.exp_avg"));
        assert!(load(&[parameter("b", 3)]).contains("a.exp_avg"));
        assert!(load(&[parameter("a", 4)]).contains("[3]"));
    }
}
