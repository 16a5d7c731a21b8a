//! The tensors a configuration asks for, named as in the checkpoint.

use std::collections::BTreeMap;

use asclepius_ops::Parameter;
use candle_core::{DType, Device, Tensor};

use crate::families::Weights;
use crate::{Decoder, ModelConfig};

/// Every tensor of the checkpoint and its shape, in order of name. Without `lm_head.weight` where the head is tied.
pub fn parameter_shapes(config: &ModelConfig) -> BTreeMap<String, Vec<usize>> {
    let mut shapes = BTreeMap::new();
    // The decoder is put together from one number seen in every place: what it asks for is what there is to know.
    let zero = Tensor::zeros((), DType::F32, &Device::Cpu).expect("one number needs no memory to speak of");
    Decoder::build(
        config.clone(),
        &mut Weights(&mut |name, shape| {
            shapes.insert(name.clone(), shape.to_vec());
            Parameter::frozen(name, &zero)
        }),
    );
    shapes
}
