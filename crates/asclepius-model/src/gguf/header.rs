//! The header of a GGUF file, read without trusting it: every count and length is held against the bytes that are left.
//!
//! candle has a reader too, but its errors name no key, and it replaces what is not UTF-8.

use std::collections::BTreeMap;
use std::io::{BufReader, Read};
use std::path::Path;

use super::value::{GgufValue, Metadata};
use crate::{ModelError, Result};

/// Bytes a header may have; the largest vocabularies need a tenth of it.
const HEADER_LIMIT: u64 = 256 << 20;
/// Entries of a list; the largest vocabularies have an eighth of it.
const LIST_LIMIT: u64 = 1 << 22;
const TENSOR_LIMIT: u64 = 1 << 20;
const DIMENSION_LIMIT: u32 = 4;

/// What a header says of a tensor.
#[derive(Clone, Debug)]
pub(super) struct Described {
    /// Sizes from the outermost on, as everywhere but in the file.
    pub(super) shape: Vec<usize>,
    pub(super) kind: u32,
    /// From the start of the tensors' data.
    pub(super) offset: u64,
}

/// A header as read.
pub(super) struct Header {
    pub(super) metadata: Metadata,
    pub(super) tensors: BTreeMap<String, Described>,
    /// Where the tensors' data begins.
    pub(super) data_start: u64,
    pub(super) alignment: u64,
}

struct Reader<'a> {
    path: &'a Path,
    input: BufReader<&'a mut fs_err::File>,
    position: u64,
    length: u64,
    /// What is being read, for messages.
    place: String,
}

/// Reads the header of a file of `length` bytes, from its start.
pub(super) fn read(path: &Path, file: &mut fs_err::File, length: u64) -> Result<Header> {
    let mut reader =
        Reader { path, input: BufReader::new(file), position: 0, length, place: "the first bytes".to_owned() };
    let magic: [u8; 4] = reader.bytes()?;
    if &magic != b"GGUF" {
        return Err(reader.problem(format!("are {magic:02x?}, not \"GGUF\"")));
    }
    "version".clone_into(&mut reader.place);
    match reader.u32()? {
        2 | 3 => {}
        version if version.swap_bytes() <= 3 => return Err(reader.problem("big-endian files are not read")),
        version => return Err(reader.problem(format!("{version} is not read; 2 and 3 are"))),
    }
    "tensor count".clone_into(&mut reader.place);
    let tensor_count = reader.count(24, TENSOR_LIMIT)?;
    "key count".clone_into(&mut reader.place);
    let key_count = reader.count(13, LIST_LIMIT)?;

    let mut values = BTreeMap::new();
    for index in 0..key_count {
        reader.place = format!("key {index}");
        let key = reader.text()?;
        reader.place.clone_from(&key);
        let kind = reader.u32()?;
        let value = reader.value(kind)?;
        if values.insert(key, value).is_some() {
            return Err(reader.problem("is there twice"));
        }
    }
    let metadata = Metadata::new(path, values);

    let mut tensors = BTreeMap::new();
    for index in 0..tensor_count {
        reader.place = format!("tensor {index}");
        let name = reader.text()?;
        reader.place.clone_from(&name);
        let dimensions = reader.u32()?;
        if dimensions == 0 || dimensions > DIMENSION_LIMIT {
            return Err(reader.problem(format!("has {dimensions} dimensions, not 1 to {DIMENSION_LIMIT}")));
        }
        let mut shape = Vec::new();
        for _ in 0..dimensions {
            let size = reader.u64()?;
            shape.push(usize::try_from(size).map_err(|_| reader.problem(format!("a size of {size}")))?);
        }
        shape.reverse();
        let described = Described { shape, kind: reader.u32()?, offset: reader.u64()? };
        if tensors.insert(name, described).is_some() {
            return Err(reader.problem("is there twice"));
        }
    }
    let position = reader.position;
    let alignment = metadata.size("general.alignment")?.unwrap_or(32) as u64;
    if !alignment.is_power_of_two() || alignment > 1 << 20 {
        return Err(metadata.problem("general.alignment", format!("{alignment} is no alignment")));
    }
    Ok(Header { metadata, tensors, data_start: position.next_multiple_of(alignment), alignment })
}

impl Reader<'_> {
    fn problem(&self, problem: impl Into<String>) -> ModelError {
        ModelError::Gguf { path: self.path.to_owned(), place: self.place.clone(), problem: problem.into() }
    }

    /// Refuses what the file, or a header, is too short for.
    fn claim(&mut self, bytes: u64) -> Result<()> {
        let end = self.position.checked_add(bytes).filter(|&end| end <= self.length);
        let end = end.ok_or_else(|| {
            let left = self.length - self.position;
            self.problem(format!("takes {bytes} bytes, but the file ends after {left} more: it is cut short"))
        })?;
        if end > HEADER_LIMIT {
            return Err(self.problem(format!("lies {end} bytes into the file; headers are shorter")));
        }
        self.position = end;
        Ok(())
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.claim(N as u64)?;
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.bytes()?))
    }

    fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.bytes()?))
    }

    /// A count of things of at least `least` bytes each.
    fn count(&mut self, least: u64, limit: u64) -> Result<u64> {
        let count = self.u64()?;
        let left = self.length - self.position;
        if count > limit || count.saturating_mul(least) > left {
            return Err(self.problem(format!("a count of {count}, but {left} bytes are left")));
        }
        Ok(count)
    }

    fn text(&mut self) -> Result<String> {
        let length = self.u64()?;
        self.claim(length)?;
        let mut bytes = vec![0; length as usize];
        self.input.read_exact(&mut bytes)?;
        String::from_utf8(bytes).map_err(|error| self.problem(format!("a text is not UTF-8: {}", error.utf8_error())))
    }

    /// An integer of kind 0 to 5, 7, 10 or 11, in i128 so that all fit.
    fn integer(&mut self, kind: u32) -> Result<Option<i128>> {
        Ok(Some(match kind {
            0 => i128::from(u8::from_le_bytes(self.bytes()?)),
            1 => i128::from(i8::from_le_bytes(self.bytes()?)),
            2 => i128::from(u16::from_le_bytes(self.bytes()?)),
            3 => i128::from(i16::from_le_bytes(self.bytes()?)),
            4 => i128::from(self.u32()?),
            5 => i128::from(i32::from_le_bytes(self.bytes()?)),
            7 => match self.bytes::<1>()? {
                [value @ (0 | 1)] => i128::from(value),
                [other] => return Err(self.problem(format!("{other} is neither true nor false"))),
            },
            10 => i128::from(self.u64()?),
            11 => i128::from(i64::from_le_bytes(self.bytes()?)),
            _ => return Ok(None),
        }))
    }

    fn value(&mut self, kind: u32) -> Result<GgufValue> {
        if let Some(integer) = self.integer(kind)? {
            return Ok(match kind {
                7 => GgufValue::Bool(integer == 1),
                _ => match u64::try_from(integer) {
                    Ok(value) => GgufValue::Unsigned(value),
                    Err(_) => GgufValue::Signed(integer as i64),
                },
            });
        }
        match kind {
            6 => Ok(GgufValue::F32(f32::from_le_bytes(self.bytes()?))),
            12 => Ok(GgufValue::F64(f64::from_le_bytes(self.bytes()?))),
            8 => Ok(GgufValue::Text(self.text()?)),
            9 => self.list(),
            _ => Err(self.problem(format!("type {kind} is not one of GGUF's"))),
        }
    }

    fn list(&mut self) -> Result<GgufValue> {
        let kind = self.u32()?;
        let least = match kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            8 | 10..=12 => 8,
            9 => return Err(self.problem("a list of lists is not read")),
            _ => return Err(self.problem(format!("a list of type {kind}, which is not one of GGUF's"))),
        };
        let count = self.count(least, LIST_LIMIT)?;
        Ok(match kind {
            8 => GgufValue::Texts((0..count).map(|_| self.text()).collect::<Result<_>>()?),
            6 => GgufValue::Numbers(
                (0..count).map(|_| Ok(f64::from(f32::from_le_bytes(self.bytes()?)))).collect::<Result<_>>()?,
            ),
            12 => GgufValue::Numbers((0..count).map(|_| Ok(f64::from_le_bytes(self.bytes()?))).collect::<Result<_>>()?),
            _ => {
                let mut values = Vec::new();
                for _ in 0..count {
                    let value = self.integer(kind)?.and_then(|value| i64::try_from(value).ok());
                    values.push(value.ok_or_else(|| self.problem("an entry is out of range"))?);
                }
                GgufValue::Integers(values)
            }
        })
    }
}
