//! A GGUF file as a Hugging Face directory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use candle_core::{DType, Tensor};

use super::architecture::{Place, place};
use super::config::{architecture, read_config};
use super::file::GgufFile;
use super::rope::FREQUENCIES;
use super::vocabulary::read_tokenizer;
use crate::checkpoint::{cast, publish_directory, write_directory_json, write_sharded};
use crate::config::dtype_name;
use crate::{Family, ModelConfig, ModelError, Result, parameter_shapes};

/// What was imported.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The configuration written.
    pub config: ModelConfig,
    /// The type of the weights written.
    pub dtype: DType,
    /// Whether the file held a tokenizer.
    pub tokenizer: bool,
}

/// Phi-2's q, k and v, stacked in one tensor by early converters.
const STACKED: &str = "attn_qkv";

/// Reads the GGUF file `path` and writes the directory `out`, whole or not at all: `config.json`, the weights (sharded at
/// 5 GB), the tokenizer's files, `generation_config.json`. `dtype` of the weights: by default the file's own if that is
/// f32, f16 or bf16, else f32.
///
/// # Errors
/// When the file is damaged or of an architecture, tokenizer or type that is not read, its tensors are not exactly those
/// its sizes ask for, a weight does not fit `dtype`, or `out` exists or cannot be written.
pub fn import(path: &Path, out: &Path, dtype: Option<DType>) -> Result<Imported> {
    let mut file = GgufFile::open(path)?;
    let dtype = dtype.unwrap_or_else(|| file.dtype());
    let config = read_config(&mut file, dtype)?;
    let places = places(&file, &config)?;
    let tokenizer = read_tokenizer(&file, architecture(&file)?)?;
    if let Some(tokenizer) = &tokenizer
        && tokenizer.vocab_size() > config.vocab_size
    {
        return Err(ModelError::TokenCount {
            path: path.to_owned(),
            tokens: tokenizer.vocab_size(),
            rows: config.vocab_size,
        });
    }
    let sizes: Vec<(String, usize)> = parameter_shapes(&config)
        .into_iter()
        .map(|(name, shape)| (name, shape.iter().product::<usize>() * dtype.size_in_bytes()))
        .collect();
    publish_directory(out, |dir| {
        write_sharded(dir, &sizes, &mut |name| {
            let tensor = read(&mut file, &config, name, &places[name])?;
            cast(name, &tensor, dtype)
        })?;
        if let Some(tokenizer) = &tokenizer {
            let failed = |source| ModelError::Tokenizer { path: path.to_owned(), source };
            tokenizer.save(dir).map_err(failed)?;
        }
        write_directory_json(dir, &config)
    })?;
    tracing::info!(file = %path.display(), dtype = dtype_name(dtype), "imported");
    Ok(Imported { config, dtype, tokenizer: tokenizer.is_some() })
}

/// Where every parameter lies; the file must hold these and nothing else.
fn places(file: &GgufFile, config: &ModelConfig) -> Result<BTreeMap<String, Place>> {
    let mut unexpected: BTreeSet<String> = file.names().map(str::to_owned).collect();
    unexpected.remove(FREQUENCIES);
    let (mut missing, mut misshapen) = (Vec::new(), Vec::new());
    let mut places = BTreeMap::new();
    for (name, wanted) in parameter_shapes(config) {
        let problem = "every family that is read has a place for each parameter";
        let mut place = place(config, &name).expect(problem);
        let mut wanted = wanted;
        if file.shape(&place.tensor).is_none()
            && let Some(stacked) = stacked(config, &place.tensor)
            && file.shape(&stacked).is_some()
        {
            place.tensor = stacked;
            wanted[0] = config.query_features() + 2 * config.key_features();
        }
        unexpected.remove(&place.tensor);
        match file.shape(&place.tensor) {
            None => missing.push(place.tensor.clone()),
            Some(found) if found != wanted => misshapen.push(format!("{}: {found:?} for {wanted:?}", place.tensor)),
            Some(_) => {}
        }
        places.insert(name, place);
    }
    if missing.is_empty() && unexpected.is_empty() && misshapen.is_empty() {
        return Ok(places);
    }
    let unexpected = unexpected.into_iter().collect();
    Err(ModelError::Tensors { path: file.path().to_owned(), missing, unexpected, misshapen })
}

/// The name of the stacked tensor that may stand for a Phi's q, k or v.
fn stacked(config: &ModelConfig, tensor: &str) -> Option<String> {
    let parts: Vec<&str> = tensor.split('.').collect();
    match parts.as_slice() {
        [blk, layer, "attn_q" | "attn_k" | "attn_v", kind] if config.family == Family::Phi => {
            Some(format!("{blk}.{layer}.{STACKED}.{kind}"))
        }
        _ => None,
    }
}

/// A parameter, its rows in Hugging Face's order.
fn read(file: &mut GgufFile, config: &ModelConfig, name: &str, place: &Place) -> Result<Tensor> {
    let tensor = file.read(&place.tensor)?;
    if place.tensor.contains(STACKED) && config.family == Family::Phi {
        let (queries, keys) = (config.query_features(), config.key_features());
        let (start, rows) = match name {
            _ if name.contains("q_proj") => (0, queries),
            _ if name.contains("k_proj") => (queries, keys),
            _ => (queries + keys, keys),
        };
        return Ok(tensor.narrow(0, start, rows)?.contiguous()?);
    }
    match place.interleaved_heads {
        Some(heads) => turn_rows(&tensor, heads, 2),
        None => Ok(tensor),
    }
}

/// Swaps, within every head's rows, the two axes of pairs. `inner = 2` undoes the interleaving (`[h, r/2, 2, ..]` to
/// `[h, 2, r/2, ..]`), `inner = r/2` makes it.
pub(super) fn turn_rows(tensor: &Tensor, heads: usize, inner: usize) -> Result<Tensor> {
    let shape = tensor.dims().to_vec();
    let rows = shape[0];
    let columns = tensor.elem_count() / rows;
    let split = (heads, rows / heads / inner, inner, columns);
    Ok(tensor.reshape(split)?.transpose(1, 2)?.contiguous()?.reshape(shape)?)
}
