//! Writing a GGUF file, a tensor at a time.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::Path;

use candle_core::quantized::GgmlDType;

use super::file::number_of;
use super::value::GgufValue;
use crate::checkpoint::{publish_new, temporary_beside};
use crate::{ModelError, Result};

const ALIGNMENT: usize = 32;

/// A tensor to write.
pub(super) struct Written {
    pub(super) name: String,
    /// From the outermost size on.
    pub(super) shape: Vec<usize>,
    pub(super) dtype: GgmlDType,
}

impl Written {
    fn bytes(&self) -> usize {
        self.shape.iter().product::<usize>() / self.dtype.block_size() * self.dtype.type_size()
    }
}

/// Writes `path`, whole or not at all; `data` gives each tensor's bytes in turn.
pub(super) fn write(
    path: &Path,
    metadata: &BTreeMap<String, GgufValue>,
    tensors: &[Written],
    data: &mut dyn FnMut(&Written) -> Result<Vec<u8>>,
) -> Result<()> {
    let temporary = temporary_beside(path)?;
    let mut output = BufWriter::new(fs_err::File::create(&temporary)?);
    let mut header = b"GGUF".to_vec();
    header.extend(3_u32.to_le_bytes());
    header.extend((tensors.len() as u64).to_le_bytes());
    header.extend((metadata.len() as u64).to_le_bytes());
    // Readers look for this one first.
    let first = "general.architecture";
    let order =
        metadata.iter().filter(|entry| entry.0 == first).chain(metadata.iter().filter(|entry| entry.0 != first));
    for (key, value) in order {
        push_text(&mut header, key);
        push_value(&mut header, value);
    }
    let mut offset = 0;
    for tensor in tensors {
        push_text(&mut header, &tensor.name);
        header.extend((tensor.shape.len() as u32).to_le_bytes());
        for &size in tensor.shape.iter().rev() {
            header.extend((size as u64).to_le_bytes());
        }
        header.extend(number_of(tensor.dtype).to_le_bytes());
        header.extend((offset as u64).to_le_bytes());
        offset += tensor.bytes().next_multiple_of(ALIGNMENT);
    }
    header.resize(header.len().next_multiple_of(ALIGNMENT), 0);
    output.write_all(&header)?;
    for tensor in tensors {
        let mut bytes = data(tensor)?;
        if bytes.len() != tensor.bytes() {
            let problem = format!("{} bytes for {:?} in {:?}", bytes.len(), tensor.shape, tensor.dtype);
            return Err(ModelError::Gguf { path: path.to_owned(), place: tensor.name.clone(), problem });
        }
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
        output.write_all(&bytes)?;
    }
    output.flush()?;
    drop(output);
    publish_new(temporary, path)
}

fn push_text(header: &mut Vec<u8>, text: &str) {
    header.extend((text.len() as u64).to_le_bytes());
    header.extend(text.as_bytes());
}

fn push_value(header: &mut Vec<u8>, value: &GgufValue) {
    let mut push = |kind: u32, bytes: &[u8]| {
        header.extend(kind.to_le_bytes());
        header.extend(bytes);
    };
    match value {
        GgufValue::Unsigned(value) => match u32::try_from(*value) {
            Ok(small) => push(4, &small.to_le_bytes()),
            Err(_) => push(10, &value.to_le_bytes()),
        },
        GgufValue::Signed(value) => match i32::try_from(*value) {
            Ok(small) => push(5, &small.to_le_bytes()),
            Err(_) => push(11, &value.to_le_bytes()),
        },
        GgufValue::F32(value) => push(6, &value.to_le_bytes()),
        GgufValue::F64(value) => push(12, &value.to_le_bytes()),
        GgufValue::Bool(value) => push(7, &[u8::from(*value)]),
        GgufValue::Text(text) => {
            push(8, &[]);
            push_text(header, text);
        }
        GgufValue::Texts(texts) => {
            push_list(header, 8, texts.len());
            for text in texts {
                push_text(header, text);
            }
        }
        GgufValue::Integers(values) => {
            push_list(header, 5, values.len());
            for &value in values {
                header.extend((value as i32).to_le_bytes());
            }
        }
        GgufValue::Numbers(values) => {
            push_list(header, 6, values.len());
            for &value in values {
                header.extend((value as f32).to_le_bytes());
            }
        }
    }
}

fn push_list(header: &mut Vec<u8>, kind: u32, count: usize) {
    header.extend(9_u32.to_le_bytes());
    header.extend(kind.to_le_bytes());
    header.extend((count as u64).to_le_bytes());
}
