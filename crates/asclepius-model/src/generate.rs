//! Tokens from a prompt, one at a time, with a key-value cache.

use asclepius_ops::Documents;
use candle_transformers::generation::LogitsProcessor;

use crate::{Cache, Decoder, ModelError, Result};

/// How the next token is chosen, and when to stop.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// 0 takes the likeliest token; otherwise logits are divided by it.
    pub temperature: f64,
    /// Only the likeliest tokens whose probabilities add up to this are drawn from.
    pub top_p: Option<f64>,
    /// Of the draw.
    pub seed: u64,
    /// The most tokens to make.
    pub max_new_tokens: usize,
    /// Tokens that end the text; not part of the result.
    pub stop: Vec<u32>,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: 0.0, top_p: None, seed: 0, max_new_tokens: 256, stop: Vec::new() }
    }
}

/// Why generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// A stop token came.
    Stop,
    /// The limit of tokens, or of the model's positions, was reached.
    Length,
    /// The caller said so.
    Cancelled,
}

/// What came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generation {
    /// The new tokens, without prompt and stop token.
    pub tokens: Vec<u32>,
    /// Why it ended.
    pub finish: Finish,
}

/// Continues `prompt`.
///
/// # Errors
/// When the prompt is empty, fills the model's positions, or holds a token outside the vocabulary.
pub fn generate(decoder: &Decoder, prompt: &[u32], sampling: &Sampling) -> Result<Generation> {
    generate_with(decoder, prompt, sampling, &mut |_| true)
}

/// Continues `prompt`, handing out each token as it is made; `on_token` returns whether to go on.
///
/// # Errors
/// As [`generate`].
pub fn generate_with(
    decoder: &Decoder,
    prompt: &[u32],
    sampling: &Sampling,
    on_token: &mut dyn FnMut(u32) -> bool,
) -> Result<Generation> {
    let limit = decoder.config().max_positions;
    if prompt.is_empty() || prompt.len() >= limit {
        return Err(ModelError::Prompt { tokens: prompt.len(), limit: limit.saturating_sub(1) });
    }
    let decoder = &decoder.frozen();
    let temperature = (sampling.temperature > 0.0).then_some(sampling.temperature);
    let mut choose = LogitsProcessor::new(sampling.seed, temperature, sampling.top_p);
    let mut caches = vec![Cache::default(); decoder.block_count()];
    let mut tokens = Vec::new();
    let mut next = prompt.to_vec();
    let budget = sampling.max_new_tokens.min(limit - prompt.len());
    while tokens.len() < budget {
        let logits = step(decoder, &next, &mut caches)?;
        let token = choose.sample(&logits)?;
        if sampling.stop.contains(&token) {
            return Ok(Generation { tokens, finish: Finish::Stop });
        }
        tokens.push(token);
        if !on_token(token) {
            return Ok(Generation { tokens, finish: Finish::Cancelled });
        }
        next = vec![token];
    }
    Ok(Generation { tokens, finish: Finish::Length })
}

/// Runs the next tokens of the cached document; gives the scores after the last of them, `[v]`.
///
/// # Errors
/// When a token is outside the vocabulary.
pub fn step(decoder: &Decoder, next: &[u32], caches: &mut [Cache]) -> Result<candle_core::Tensor> {
    let earlier = caches.first().map_or(0, Cache::tokens);
    let positions: Vec<u32> = (earlier..earlier + next.len()).map(|position| position as u32).collect();
    let documents = Documents::single(next.len(), earlier + next.len())?;
    let context = decoder.context(&positions, documents, None)?;
    let mut x = decoder.embed(next)?;
    for (index, cache) in caches.iter_mut().enumerate() {
        x = decoder.block_cached(index, &x, &context, cache)?;
    }
    let last = x.narrow(0, next.len() - 1, 1)?;
    Ok(decoder.logits(&decoder.head(&last)?)?.detach().squeeze(0)?)
}
