//! Sentence encoders: a BERT whose token states are pooled to one vector a text, so that texts which mean the same lie
//! close together (Reimers and Gurevych, 2019, section 3). The layout is that of sentence-transformers.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use asclepius_ops::cpu::matrix::{Matrix, product};
use asclepius_text::TextTokenizer;
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config};
use rayon::prelude::*;
use serde::Deserialize;
use serde_json::Value;

use crate::checkpoint::TensorFile;
use crate::{ModelError, Result};

const WEIGHTS: &str = "model.safetensors";

/// Rows compared at once with those before them.
const ROWS: usize = 256;
/// Columns of one product: so many vectors that stay.
const COLUMNS: usize = 4096;
/// Similarities are told in steps of this, so that the last bits of a product decide nothing.
const STEP: f32 = 1e-5;

/// A model directory: `config.json`, `tokenizer.json`, `model.safetensors`; `sentence_bert_config.json` and
/// `1_Pooling/config.json` where the defaults (as many tokens as there are positions, the mean of the tokens) are not meant.
pub struct SentenceEncoder {
    directory: PathBuf,
    bert: BertModel,
    tokenizer: TextTokenizer,
    begin: u32,
    end: u32,
    /// Tokens that are read at once, without the two that enclose them.
    window: usize,
    pooling: Pooling,
    dimensions: usize,
}

impl std::fmt::Debug for SentenceEncoder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SentenceEncoder").field("dimensions", &self.dimensions).finish_non_exhaustive()
    }
}

/// How token states become one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pooling {
    Mean,
    First,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PoolingFile {
    pooling_mode_cls_token: bool,
    pooling_mode_mean_tokens: bool,
    pooling_mode_max_tokens: bool,
    pooling_mode_mean_sqrt_len_tokens: bool,
    pooling_mode_weightedmean_tokens: bool,
    pooling_mode_lasttoken: bool,
}

impl SentenceEncoder {
    /// Reads a model directory, in f32.
    ///
    /// # Errors
    /// When a file is missing or damaged, the model is no BERT, or its vectors are pooled in a way that is not known.
    pub fn load(directory: &Path) -> Result<Self> {
        let path = directory.join("config.json");
        let raw: Value = parse(&path)?;
        let wrong = |key: &str, problem: String| ModelError::Config { path: path.clone(), key: key.into(), problem };
        let family = raw.get("model_type").and_then(Value::as_str).unwrap_or_default().to_owned();
        if family != "bert" {
            return Err(wrong("model_type", format!("is {family:?}; a sentence encoder is a \"bert\"")));
        }
        let config: Config = serde_json::from_value(raw).map_err(|error| wrong("a key", error.to_string()))?;
        if config.num_attention_heads == 0 || !config.hidden_size.is_multiple_of(config.num_attention_heads) {
            let heads = format!("is {}, which does not divide {}", config.num_attention_heads, config.hidden_size);
            return Err(wrong("num_attention_heads", heads));
        }
        let tokenizer = TextTokenizer::load(directory)
            .map_err(|source| ModelError::Tokenizer { path: directory.to_owned(), source })?;
        if tokenizer.vocab_size() > config.vocab_size {
            let (tokens, rows) = (tokenizer.vocab_size(), config.vocab_size);
            return Err(ModelError::TokenCount { path: directory.to_owned(), tokens, rows });
        }
        let special = |token: &str| {
            let problem = format!("its tokenizer has no {token}, which encloses every text of a BERT");
            tokenizer.token_id(token).ok_or_else(|| wrong("model_type", problem))
        };
        let (begin, end) = (special("[CLS]")?, special("[SEP]")?);
        let longest = longest(directory)?.unwrap_or(usize::MAX).min(config.max_position_embeddings);
        let window = longest.checked_sub(2).filter(|&window| window > 0);
        let window = window.ok_or_else(|| wrong("max_position_embeddings", format!("is {longest}, at least 3")))?;
        let pooling = pooling(directory)?;
        let weights = directory.join(WEIGHTS);
        let bert = BertModel::load(variables(&weights)?, &config)
            .map_err(|error| ModelError::Damaged { path: weights, problem: error.to_string() })?;
        Ok(Self {
            directory: directory.to_owned(),
            bert,
            tokenizer,
            begin,
            end,
            window,
            pooling,
            dimensions: config.hidden_size,
        })
    }

    /// Elements of a vector.
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// The vector of a text, `[dimensions]`, of length 1. A text longer than the model's positions is read in windows;
    /// what is pooled is the tokens of all. An empty text has a vector, too.
    ///
    /// # Errors
    /// When the tokenizer or the model cannot take the text, or what comes out is not finite.
    pub fn encode(&self, text: &str) -> Result<Vec<f32>> {
        let ids = self
            .tokenizer
            .encode_text(text)
            .map_err(|source| ModelError::Tokenizer { path: self.directory.clone(), source })?;
        let mut sum = vec![0.0f32; self.dimensions];
        let windows = ids.len().div_ceil(self.window).max(1);
        for window in 0..windows {
            let ids = &ids[window * self.window..ids.len().min((window + 1) * self.window)];
            let enclosed: Vec<u32> = [self.begin].into_iter().chain(ids.iter().copied()).chain([self.end]).collect();
            let input = Tensor::new(enclosed, &Device::Cpu)?.unsqueeze(0)?;
            let states = self.bert.forward(&input, &input.zeros_like()?, None)?.squeeze(0)?;
            let pooled = match self.pooling {
                Pooling::Mean => states.sum(0)?,
                Pooling::First => states.get(0)?,
            };
            for (sum, value) in sum.iter_mut().zip(pooled.to_vec1::<f32>()?) {
                *sum += value;
            }
        }
        let length = sum.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
        if !(length.is_finite() && length > 0.0) {
            let problem = format!("gives a text a vector of length {length}");
            return Err(ModelError::Damaged { path: self.directory.join(WEIGHTS), problem });
        }
        Ok(sum.into_iter().map(|value| (f64::from(value) / length) as f32).collect())
    }
}

fn parse<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs_err::read_to_string(path)?;
    serde_json::from_str(&text).map_err(|source| ModelError::Json { path: path.to_owned(), source })
}

/// `max_seq_length`, which sentence-transformers keeps beside the model.
fn longest(directory: &Path) -> Result<Option<usize>> {
    let path = directory.join("sentence_bert_config.json");
    if !path.is_file() {
        return Ok(None);
    }
    let file: Value = parse(&path)?;
    Ok(file.get("max_seq_length").and_then(Value::as_u64).map(|length| length as usize))
}

fn pooling(directory: &Path) -> Result<Pooling> {
    let path = directory.join("1_Pooling").join("config.json");
    if !path.is_file() {
        return Ok(Pooling::Mean);
    }
    let file: PoolingFile = parse(&path)?;
    let others = [
        file.pooling_mode_max_tokens,
        file.pooling_mode_mean_sqrt_len_tokens,
        file.pooling_mode_weightedmean_tokens,
        file.pooling_mode_lasttoken,
    ];
    match (file.pooling_mode_mean_tokens, file.pooling_mode_cls_token, others.contains(&true)) {
        (true, false, false) => Ok(Pooling::Mean),
        (false, true, false) => Ok(Pooling::First),
        _ => Err(ModelError::Config {
            path,
            key: "pooling_mode_*".to_owned(),
            problem: "is neither the mean of the tokens alone nor the first token alone".to_owned(),
        }),
    }
}

/// Weights by name, in f32. Tables of positions, which some files hold beside them, are not weights.
fn variables(path: &Path) -> Result<VarBuilder<'static>> {
    let mut file = TensorFile::open(path)?;
    let names: Vec<String> = file.names().map(str::to_owned).collect();
    let mut tensors = HashMap::new();
    for name in names.into_iter().filter(|name| !name.ends_with("position_ids")) {
        let tensor = file.read(&name, Some(DType::F32), &Device::Cpu)?;
        tensors.insert(name, tensor);
    }
    Ok(VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu))
}

/// A vector's nearest one among those before it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Nearest {
    /// Its index.
    pub index: usize,
    /// Cosine similarity, -1 to 1, rounded to five decimals.
    pub similarity: f32,
}

/// For every row of `vectors`, `[n, dimensions]`, each of length 1, the nearest among the rows before it that stay. A row
/// stays unless its similarity to one that stays is above `greatest`; with `None` all stay. Of two that are equally near
/// the first is named. All threads of the current pool work; n (n - 1) / 2 similarities are computed.
///
/// # Panics
/// When the last row is not whole.
pub fn nearest_preceding(vectors: &[f32], dimensions: usize, greatest: Option<f32>) -> Vec<Option<Nearest>> {
    assert!(dimensions > 0 && vectors.len().is_multiple_of(dimensions), "whole rows");
    let mut nearest: Vec<Option<Nearest>> = Vec::with_capacity(vectors.len() / dimensions);
    let (mut staying, mut staying_index) = (Vec::new(), Vec::new());
    for block in vectors.chunks(ROWS * dimensions) {
        let first = nearest.len();
        let rows = Matrix::new(block, dimensions);
        let mut best = vec![None; rows.rows()];
        for (chunk, indices) in staying.chunks(COLUMNS * dimensions).zip(staying_index.chunks(COLUMNS)) {
            let similarities = product(rows, Matrix::new(chunk, dimensions).transposed());
            best.par_iter_mut().zip(similarities.par_chunks(indices.len())).for_each(|(best, similarities)| {
                for (&index, &similarity) in indices.iter().zip(similarities) {
                    improve(best, index, similarity);
                }
            });
        }
        let among = product(rows, rows.transposed());
        let mut stays = Vec::with_capacity(rows.rows());
        for (row, mut best) in best.into_iter().enumerate() {
            let similarities = &among[row * rows.rows()..];
            for other in (0..row).filter(|&other| stays[other]) {
                improve(&mut best, first + other, similarities[other]);
            }
            let too_near =
                best.zip(greatest).is_some_and(|(best, greatest): (Nearest, f32)| best.similarity > greatest);
            stays.push(!too_near);
            nearest.push(best);
        }
        for (row, _) in stays.into_iter().enumerate().filter(|(_, stays)| *stays) {
            staying.extend_from_slice(&block[row * dimensions..(row + 1) * dimensions]);
            staying_index.push(first + row);
        }
    }
    nearest
}

fn improve(best: &mut Option<Nearest>, index: usize, similarity: f32) {
    let similarity = ((similarity / STEP).round() * STEP).clamp(-1.0, 1.0);
    if best.is_none_or(|known| similarity > known.similarity) {
        *best = Some(Nearest { index, similarity });
    }
}

#[cfg(test)]
mod tests {
    use asclepius_ops::philox::PhiloxKey;

    use super::*;

    const DIMENSIONS: usize = 8;

    /// `[count, DIMENSIONS]`, every third a little away from one before it.
    fn vectors(count: usize) -> Vec<f32> {
        let key = PhiloxKey::new(3).fold_name("vectors");
        let mut rows: Vec<Vec<f32>> = Vec::new();
        for row in 0..count {
            let draw = |element: usize, scale: f32| (key.fold(row as u64).uniform(element as u64) - 0.5) * scale;
            let mut vector: Vec<f32> = match row % 3 {
                2 => (0..DIMENSIONS).map(|at| rows[row / 2][at] + draw(at, 0.3)).collect(),
                _ => (0..DIMENSIONS).map(|at| draw(at, 1.0)).collect(),
            };
            let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
            for value in &mut vector {
                *value /= length;
            }
            rows.push(vector);
        }
        rows.concat()
    }

    fn one_by_one(vectors: &[f32], greatest: Option<f32>) -> Vec<Option<(usize, f32)>> {
        let rows: Vec<&[f32]> = vectors.chunks(DIMENSIONS).collect();
        let (mut found, mut stays): (Vec<Option<(usize, f32)>>, Vec<bool>) = (Vec::new(), Vec::new());
        for (at, row) in rows.iter().enumerate() {
            let mut best = None;
            for other in (0..at).filter(|&other| stays[other]) {
                let similarity = row.iter().zip(rows[other]).map(|(a, b)| a * b).sum::<f32>();
                if best.is_none_or(|(_, known)| similarity > known) {
                    best = Some((other, similarity));
                }
            }
            stays.push(!greatest.zip(best).is_some_and(|(greatest, (_, known))| known > greatest));
            found.push(best);
        }
        found
    }

    #[test]
    fn blocks_find_what_one_by_one_finds() {
        // More than one block, and more than one product of those that stay.
        let vectors = vectors(ROWS * 3 + 17);
        for greatest in [None, Some(0.9), Some(0.5), Some(-1.0)] {
            let found = nearest_preceding(&vectors, DIMENSIONS, greatest);
            let expected = one_by_one(&vectors, greatest);
            assert_eq!(found.len(), expected.len());
            for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
                let close = match (found, expected) {
                    (None, None) => true,
                    (Some(found), Some((_, similarity))) => (found.similarity - similarity).abs() < 2.0 * STEP,
                    _ => false,
                };
                assert!(close, "{at} at {greatest:?}: {found:?}, {expected:?}");
            }
        }
    }

    #[test]
    fn of_copies_only_the_first_stays_and_is_named() {
        let one = vectors(1);
        let found = nearest_preceding(&one.repeat(600), DIMENSIONS, Some(0.99));
        assert_eq!(found[0], None);
        assert!(found[1..].iter().all(|found| *found == Some(Nearest { index: 0, similarity: 1.0 })), "{found:?}");
    }
}
