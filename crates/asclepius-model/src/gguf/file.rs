//! A GGUF file whose header has been checked against its length; tensors are read as they are asked for.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::TensorInfo;
use candle_core::{DType, Device, Shape, Tensor};

use super::header::{self, Described};
use super::value::Metadata;
use crate::{ModelError, Result};

/// The types that are read: ggml's number, its name, candle's type.
const KINDS: [(u32, &str, GgmlDType); 13] = [
    (0, "F32", GgmlDType::F32),
    (1, "F16", GgmlDType::F16),
    (2, "Q4_0", GgmlDType::Q4_0),
    (3, "Q4_1", GgmlDType::Q4_1),
    (6, "Q5_0", GgmlDType::Q5_0),
    (7, "Q5_1", GgmlDType::Q5_1),
    (8, "Q8_0", GgmlDType::Q8_0),
    (10, "Q2_K", GgmlDType::Q2K),
    (11, "Q3_K", GgmlDType::Q3K),
    (12, "Q4_K", GgmlDType::Q4K),
    (13, "Q5_K", GgmlDType::Q5K),
    (14, "Q6_K", GgmlDType::Q6K),
    (30, "BF16", GgmlDType::BF16),
];

/// ggml's number of a type that is read.
pub(super) fn number_of(dtype: GgmlDType) -> u32 {
    KINDS.iter().find(|kind| kind.2 == dtype).map_or(0, |kind| kind.0)
}

/// A tensor's place in a file.
#[derive(Clone, Debug)]
struct Entry {
    shape: Vec<usize>,
    kind: &'static str,
    dtype: GgmlDType,
    offset: u64,
    bytes: u64,
}

/// A GGUF file.
#[derive(Debug)]
pub struct GgufFile {
    path: PathBuf,
    file: fs_err::File,
    metadata: Metadata,
    entries: BTreeMap<String, Entry>,
    data_start: u64,
}

impl GgufFile {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// When the file cannot be read or is cut short, its header is not one, or a tensor has a type that is not read or
    /// lies outside the file or on another one. The message names the key or tensor.
    pub fn open(path: &Path) -> Result<Self> {
        let mut file = fs_err::File::open(path)?;
        let length = file.metadata()?.len();
        let header = header::read(path, &mut file, length)?;
        let problem = |tensor: &str, problem: String| ModelError::Gguf {
            path: path.to_owned(),
            place: tensor.to_owned(),
            problem,
        };
        let mut entries = BTreeMap::new();
        for (name, described) in header.tensors {
            let entry = entry(&described).map_err(|text| problem(&name, text))?;
            let end = header.data_start.checked_add(entry.offset).and_then(|start| start.checked_add(entry.bytes));
            if end.is_none_or(|end| end > length) {
                let text = format!(
                    "{} bytes at {} of the data are not in a file of {length} bytes, whose data begins at {}: it is cut \
                     short or its offsets are wrong",
                    entry.bytes, entry.offset, header.data_start
                );
                return Err(problem(&name, text));
            }
            if !entry.offset.is_multiple_of(header.alignment) {
                let text = format!("begins at {}, which is no multiple of {}", entry.offset, header.alignment);
                return Err(problem(&name, text));
            }
            entries.insert(name, entry);
        }
        let mut places: Vec<(&String, &Entry)> = entries.iter().collect();
        places.sort_by_key(|(_, entry)| entry.offset);
        for pair in places.windows(2) {
            if pair[0].1.offset + pair[0].1.bytes > pair[1].1.offset {
                return Err(problem(pair[1].0, format!("lies on the bytes of {}", pair[0].0)));
            }
        }
        Ok(Self { path: path.to_owned(), file, metadata: header.metadata, entries, data_start: header.data_start })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The metadata.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The tensors' names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// A tensor's shape, from the outermost size on.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.entries.get(name).map(|entry| entry.shape.as_slice())
    }

    /// How many tensors of each type there are, such as `Q4_K`, and bytes of all tensors.
    pub fn types(&self) -> (BTreeMap<&'static str, usize>, u64) {
        let mut counts = BTreeMap::new();
        for entry in self.entries.values() {
            *counts.entry(entry.kind).or_default() += 1;
        }
        (counts, self.entries.values().map(|entry| entry.bytes).sum())
    }

    /// The one 16-bit type that every matrix has, or f32.
    pub(super) fn dtype(&self) -> DType {
        let mut types: Vec<GgmlDType> =
            self.entries.values().filter(|entry| entry.shape.len() > 1).map(|entry| entry.dtype).collect();
        types.dedup();
        match types.as_slice() {
            [GgmlDType::F16] => DType::F16,
            [GgmlDType::BF16] => DType::BF16,
            _ => DType::F32,
        }
    }

    /// Reads a tensor: f32, f16 and bf16 as they are, quantised ones as f32.
    ///
    /// # Errors
    /// When there is no such tensor, or it cannot be read.
    pub fn read(&mut self, name: &str) -> Result<Tensor> {
        let problem = |problem: String| ModelError::Gguf { path: self.path.clone(), place: name.to_owned(), problem };
        let entry = self.entries.get(name).ok_or_else(|| problem("is not there".to_owned()))?;
        let plain = match entry.dtype {
            GgmlDType::F32 => Some(DType::F32),
            GgmlDType::F16 => Some(DType::F16),
            GgmlDType::BF16 => Some(DType::BF16),
            _ => None,
        };
        if let Some(dtype) = plain {
            let mut bytes = vec![0; entry.bytes as usize];
            self.file.seek(SeekFrom::Start(self.data_start + entry.offset))?;
            self.file.read_exact(&mut bytes)?;
            return Ok(Tensor::from_raw_buffer(&bytes, dtype, &entry.shape, &Device::Cpu)?);
        }
        let info =
            TensorInfo { ggml_dtype: entry.dtype, shape: Shape::from(entry.shape.clone()), offset: entry.offset };
        let quantised = info
            .read(&mut self.file, self.data_start, &Device::Cpu)
            .map_err(|error| problem(format!("cannot be read: {error}")))?;
        Ok(quantised.dequantize(&Device::Cpu)?)
    }
}

fn entry(described: &Described) -> std::result::Result<Entry, String> {
    let Some(&(_, kind, dtype)) = KINDS.iter().find(|kind| kind.0 == described.kind) else {
        let names: Vec<&str> = KINDS.iter().map(|kind| kind.1).collect();
        return Err(format!("type {} is not read; {} are", described.kind, names.join(", ")));
    };
    let shape = &described.shape;
    let count = shape.iter().try_fold(1_usize, |count, &size| count.checked_mul(size));
    let count = count.filter(|&count| count > 0).ok_or_else(|| format!("has no sizes: {shape:?}"))?;
    let block = dtype.block_size();
    if !shape.last().is_some_and(|columns| columns.is_multiple_of(block)) {
        return Err(format!("rows of {shape:?} are no multiple of {kind}'s blocks of {block}"));
    }
    let bytes = (count / block).checked_mul(dtype.type_size()).ok_or_else(|| format!("is too large: {shape:?}"))?;
    Ok(Entry { shape: shape.clone(), kind, dtype, offset: described.offset, bytes: bytes as u64 })
}
