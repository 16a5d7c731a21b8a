//! Checks that run by themselves, since candle stops a gradient without a word.

use std::collections::BTreeSet;

use asclepius_dataset::{Batch, Plan};
use asclepius_ops::Parameter;
use candle_core::{DType, Tensor};

use crate::TrainError;

/// Suffixes of adapter matrices as PEFT names them.
const LORA_A: &str = "lora_A.weight";
const LORA_B: &str = "lora_B.weight";

/// Which parameters must have a gradient by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expectation {
    /// All but LoRA's A, which has none while B is zero.
    AllButLoraA,
    /// All.
    All,
}

/// Names the parameters whose gradient is missing, zero throughout, or not finite.
///
/// # Errors
/// [`TrainError::NoGradient`] with every such name; a tensor that cannot be read.
pub fn check_gradients(parameters: &[Parameter], expectation: Expectation, step: u64) -> Result<(), TrainError> {
    let mut names = Vec::new();
    for parameter in parameters {
        if expectation == Expectation::AllButLoraA && parameter.name().ends_with(LORA_A) {
            continue;
        }
        let peak = match parameter.gradient()? {
            Some(gradient) => largest(&gradient)?,
            None => 0.0,
        };
        if !(peak.is_finite() && peak > 0.0) {
            names.push(parameter.name().to_owned());
        }
    }
    if names.is_empty() { Ok(()) } else { Err(TrainError::NoGradient { step, names }) }
}

/// Names of LoRA's B matrices that are zero throughout.
///
/// # Errors
/// When a tensor cannot be read.
pub fn idle_adapters(parameters: &[Parameter]) -> Result<Vec<String>, TrainError> {
    let mut names = Vec::new();
    for parameter in parameters.iter().filter(|parameter| parameter.name().ends_with(LORA_B)) {
        if largest(parameter.value())? == 0.0 {
            names.push(parameter.name().to_owned());
        }
    }
    Ok(names)
}

/// Refuses an adapter of which a part would change nothing.
///
/// # Errors
/// [`TrainError::IdleAdapter`] with every B that is still zero; a tensor that cannot be read.
pub fn check_adapter_moved(parameters: &[Parameter]) -> Result<(), TrainError> {
    let names = idle_adapters(parameters)?;
    if names.is_empty() { Ok(()) } else { Err(TrainError::IdleAdapter { names }) }
}

/// Names of parameters whose values are not all finite.
///
/// # Errors
/// When a tensor cannot be read.
pub fn broken_weights(parameters: &[Parameter]) -> Result<Vec<String>, TrainError> {
    broken(parameters, |parameter| Ok(Some(parameter.value().clone())))
}

/// Names of parameters whose gradients are not all finite.
///
/// # Errors
/// When a tensor cannot be read.
pub fn broken_gradients(parameters: &[Parameter]) -> Result<Vec<String>, TrainError> {
    broken(parameters, |parameter| Ok(parameter.gradient()?))
}

fn broken(
    parameters: &[Parameter],
    tensor: impl Fn(&Parameter) -> Result<Option<Tensor>, TrainError>,
) -> Result<Vec<String>, TrainError> {
    let mut names = Vec::new();
    for parameter in parameters {
        if let Some(tensor) = tensor(parameter)?
            // Numbers times 0 are 0, a NaN or an infinity is not; a maximum would not see a NaN.
            && (tensor.detach() * 0.0)?.sum_all()?.to_dtype(DType::F64)?.to_scalar::<f64>()? != 0.0
        {
            names.push(parameter.name().to_owned());
        }
    }
    Ok(names)
}

/// Ids of the documents that `batch` was made of, by their tokens: a batch does not carry them, and only a failure asks.
/// Of a stream, whose segments are no documents, none.
pub fn documents_of(batch: &Batch, plan: &Plan) -> Vec<String> {
    let segments: BTreeSet<&[u32]> =
        batch.cumulative.windows(2).map(|pair| &batch.ids[pair[0] as usize..pair[1] as usize]).collect();
    let documents = plan.documents();
    let ids = |index: usize| {
        let mut ids = Vec::with_capacity(documents.length(index));
        documents.each_token(index, 0..documents.length(index), |id, _| ids.push(id));
        ids
    };
    (0..documents.len())
        .filter(|&index| segments.contains(ids(index).as_slice()))
        .map(|index| documents.id(index).to_owned())
        .collect()
}

fn largest(tensor: &Tensor) -> Result<f64, TrainError> {
    Ok(tensor.detach().abs()?.max_all()?.to_dtype(DType::F64)?.to_scalar::<f64>()?)
}

#[cfg(test)]
mod tests {
    use asclepius_ops::GradientBuffer;
    use candle_core::Device;

    use super::*;

    fn parameter(name: &str) -> Parameter {
        Parameter::trainable(name, &Tensor::zeros((2, 2), DType::F32, &Device::Cpu).expect("room")).expect("room")
    }

    #[test]
    fn every_parameter_without_a_gradient_is_named() {
        let parameters = [parameter("a.lora_A.weight"), parameter("b"), parameter("c"), parameter("d")];
        let _buffer = GradientBuffer::new(&parameters).expect("room");
        let ones = Tensor::ones((2, 2), DType::F32, &Device::Cpu).expect("room");
        parameters[1].add_gradient(&ones).expect("the shapes agree");
        parameters[2].add_gradient(&(ones * f64::NAN).expect("a matrix")).expect("the shapes agree");
        let named = |expectation| match check_gradients(&parameters, expectation, 1) {
            Err(TrainError::NoGradient { names, .. }) => names,
            other => panic!("expected names, got {other:?}"),
        };
        assert_eq!(named(Expectation::AllButLoraA), ["c", "d"]);
        assert_eq!(named(Expectation::All), ["a.lora_A.weight", "c", "d"]);
    }

    #[test]
    fn a_b_that_stayed_zero_is_named() {
        let idle = parameter("q.lora_B.weight");
        assert!(matches!(check_adapter_moved(&[idle, parameter("q.lora_A.weight")]),
            Err(TrainError::IdleAdapter { names }) if names == ["q.lora_B.weight"]));
        check_adapter_moved(&[parameter("q.lora_A.weight")]).expect("A may be anything");
    }
}
