//! A model as a GGUF file.

use std::path::Path;

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{DType, Tensor};
use safetensors::View;

use super::architecture::{Place, place};
use super::config::write_config;
use super::import::turn_rows;
use super::rope::{self, FREQUENCIES};
use super::value::GgufValue;
use super::vocabulary::write_tokenizer;
use super::writer::{self, Written};
use crate::checkpoint::cast;
use crate::rotary::RotaryScaling;
use crate::source::Source;
use crate::{ModelError, Result, parameter_shapes};

/// Writes the GGUF file `out`, whole or not at all, with matrices as `dtype` (f32, f16, bf16 or Q8_0) and norms and biases
/// as f32, as llama.cpp wants them. Tokenizer and chat template are those of `tokenizer_dir`. Rows that do not fill
/// Q8_0's blocks of 32 become f16.
///
/// # Errors
/// When the model or its tokenizer has no form in GGUF, a weight does not fit `dtype`, or `out` exists or cannot be written.
pub fn export(source: &mut Source, tokenizer_dir: &Path, out: &Path, dtype: GgmlDType) -> Result<()> {
    let config = source.config().clone();
    let mut metadata = write_config(&config)?;
    metadata.extend(write_tokenizer(tokenizer_dir, &config)?);
    let name = tokenizer_dir.file_name().map_or("model".into(), |name| name.to_string_lossy());
    metadata.insert("general.name".to_owned(), GgufValue::Text(name.into_owned()));
    metadata.insert("general.file_type".to_owned(), GgufValue::Unsigned(file_type(dtype)));
    metadata.insert("general.quantization_version".to_owned(), GgufValue::Unsigned(2));

    let mut places: Vec<(String, Place)> = Vec::new();
    let mut tensors = Vec::new();
    for (parameter, shape) in parameter_shapes(&config) {
        let place =
            place(&config, &parameter).ok_or_else(|| ModelError::NoGgufForm { what: format!("tensor {parameter}") })?;
        let dtype = match shape.as_slice() {
            [_] => GgmlDType::F32,
            [.., columns] if !columns.is_multiple_of(dtype.block_size()) => GgmlDType::F16,
            _ => dtype,
        };
        tensors.push(Written { name: place.tensor.clone(), shape, dtype });
        places.push((parameter, place));
    }
    let divisors = match config.rotary.scaling {
        RotaryScaling::Llama3 { .. } => rope::divisors(&config.rotary),
        _ => Vec::new(),
    };
    if !divisors.is_empty() {
        tensors.push(Written { name: FREQUENCIES.to_owned(), shape: vec![divisors.len()], dtype: GgmlDType::F32 });
    }
    let mut parameters = places.into_iter();
    writer::write(out, &metadata, &tensors, &mut |written| match parameters.next() {
        Some((parameter, place)) => {
            let tensor = source.read(&parameter)?;
            let tensor = match place.interleaved_heads {
                Some(heads) => turn_rows(&tensor, heads, tensor.dims()[0] / heads / 2)?,
                None => tensor,
            };
            bytes(&parameter, &tensor, written.dtype)
        }
        None => Ok(divisors.iter().flat_map(|divisor| divisor.to_le_bytes()).collect()),
    })
}

fn bytes(name: &str, tensor: &Tensor, dtype: GgmlDType) -> Result<Vec<u8>> {
    let plain = match dtype {
        GgmlDType::F32 => DType::F32,
        GgmlDType::F16 => DType::F16,
        GgmlDType::BF16 => DType::BF16,
        _ => return Ok(QTensor::quantize(tensor, dtype)?.data()?.into_owned()),
    };
    Ok(View::data(&cast(name, tensor, plain)?).into_owned())
}

/// llama.cpp's number of the type most matrices have.
fn file_type(dtype: GgmlDType) -> u64 {
    match dtype {
        GgmlDType::F16 => 1,
        GgmlDType::Q8_0 => 7,
        GgmlDType::BF16 => 32,
        _ => 0,
    }
}
