//! Tokens from prompts, one at a time for each, with a key-value cache. Prompts that come together go through the model
//! together: at each step every weight is read once for all of them.

use asclepius_ops::Documents;
use candle_core::{DType, Device, Tensor};
use candle_transformers::generation::LogitsProcessor;

use crate::direct::{DirectCache, next_scores, scalar};
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
    let mut generations = generate_batch(decoder, &[prompt], sampling, &mut |_, token| on_token(token))?;
    Ok(generations.swap_remove(0))
}

/// Continues each of `prompts`; `on_token` is given the prompt's index and the new token, and returns whether that prompt
/// goes on. Which others run beside a prompt does not change how its tokens are drawn: each has a draw of its own from the
/// seed.
///
/// # Errors
/// As [`generate`], for any of them.
pub fn generate_batch(
    decoder: &Decoder,
    prompts: &[&[u32]],
    sampling: &Sampling,
    on_token: &mut dyn FnMut(usize, u32) -> bool,
) -> Result<Vec<Generation>> {
    let prompts: Vec<_> = prompts.iter().map(|prompt| (*prompt, sampling)).collect();
    generate_each(decoder, &prompts, on_token)
}

/// The same where each prompt has a sampling of its own.
///
/// # Errors
/// As [`generate`], for any of them.
pub fn generate_each(
    decoder: &Decoder,
    prompts: &[(&[u32], &Sampling)],
    on_token: &mut dyn FnMut(usize, u32) -> bool,
) -> Result<Vec<Generation>> {
    let limit = decoder.config().max_positions;
    if let Some((prompt, _)) = prompts.iter().find(|(prompt, _)| prompt.is_empty() || prompt.len() >= limit) {
        return Err(ModelError::Prompt { tokens: prompt.len(), limit: limit.saturating_sub(1) });
    }
    let decoder = &decoder.frozen();
    let mut generations = vec![Generation { tokens: Vec::new(), finish: Finish::Length }; prompts.len()];
    let mut running: Vec<Running> = prompts
        .iter()
        .enumerate()
        .filter(|(_, (_, sampling))| sampling.max_new_tokens > 0)
        .map(|(index, (prompt, sampling))| Running {
            index,
            choose: LogitsProcessor::new(
                sampling.seed,
                (sampling.temperature > 0.0).then_some(sampling.temperature),
                sampling.top_p,
            ),
            next: prompt.to_vec(),
            left: sampling.max_new_tokens.min(limit - prompt.len()),
        })
        .collect();
    let mut session = Session::new(decoder);
    while !running.is_empty() {
        let next: Vec<&[u32]> = running.iter().map(|running| running.next.as_slice()).collect();
        let scores = session.step(&next)?;
        let mut ended = Vec::new();
        for (slot, (running, scores)) in running.iter_mut().zip(scores).enumerate() {
            let generation = &mut generations[running.index];
            let token = running.choose.sample(&scores)?;
            if prompts[running.index].1.stop.contains(&token) {
                generation.finish = Finish::Stop;
                ended.push(slot);
                continue;
            }
            generation.tokens.push(token);
            running.next = vec![token];
            running.left -= 1;
            if !on_token(running.index, token) {
                generation.finish = Finish::Cancelled;
                ended.push(slot);
            } else if running.left == 0 {
                ended.push(slot);
            }
        }
        for slot in ended.into_iter().rev() {
            running.remove(slot);
            session.remove(slot);
        }
    }
    Ok(generations)
}

/// A prompt that is being continued.
struct Running {
    index: usize,
    choose: LogitsProcessor,
    next: Vec<u32>,
    left: usize,
}

/// Documents that are being continued, with what the model remembers of them.
struct Session<'a> {
    decoder: &'a Decoder,
    /// Tokens each document has so far.
    lengths: Vec<usize>,
    memory: Memory,
}

enum Memory {
    /// On slices, all documents together: one entry a block.
    Direct(Vec<DirectCache<f32>>),
    /// As tensors, a document at a time: for each, one entry a block.
    Graph(Vec<Vec<Cache>>),
}

impl<'a> Session<'a> {
    fn new(decoder: &'a Decoder) -> Self {
        let memory = match scalar(decoder) {
            Some(DType::F32) => Memory::Direct(vec![DirectCache::default(); decoder.block_count()]),
            _ => Memory::Graph(Vec::new()),
        };
        Self { decoder, lengths: Vec::new(), memory }
    }

    /// Runs the next tokens of each document; gives for each the scores after the last of them, `[v]`.
    fn step(&mut self, next: &[&[u32]]) -> Result<Vec<Tensor>> {
        self.lengths.resize(next.len(), 0);
        let scores = match &mut self.memory {
            Memory::Graph(caches) => {
                caches.resize_with(next.len(), || vec![Cache::default(); self.decoder.block_count()]);
                next.iter().zip(caches).map(|(next, caches)| step(self.decoder, next, caches)).collect()
            }
            Memory::Direct(caches) => {
                let ids = next.concat();
                let starts = self.lengths.iter().zip(next);
                let positions: Vec<u32> =
                    starts.flat_map(|(&start, next)| start as u32..(start + next.len()) as u32).collect();
                let mut cumulative = vec![0];
                for next in next {
                    cumulative.push(cumulative.last().copied().unwrap_or(0) + next.len() as u32);
                }
                let context = self.decoder.context(&positions, Documents::packed(cumulative)?, None)?;
                let scores = next_scores(self.decoder, &ids, &context, caches)?;
                let v = self.decoder.config().vocab_size;
                scores.chunks_exact(v).map(|scores| Ok(Tensor::new(scores, &Device::Cpu)?)).collect()
            }
        };
        for (length, next) in self.lengths.iter_mut().zip(next) {
            *length += next.len();
        }
        scores
    }

    /// Forgets a document.
    fn remove(&mut self, slot: usize) {
        self.lengths.remove(slot);
        match &mut self.memory {
            Memory::Direct(caches) => caches.iter_mut().for_each(|cache| cache.remove(slot)),
            Memory::Graph(caches) => drop(caches.remove(slot)),
        }
    }
}

/// Runs the next tokens of the cached document; gives the scores after the last of them, `[v]`.
///
/// # Errors
/// When a token is outside the vocabulary.
pub fn step(decoder: &Decoder, next: &[u32], caches: &mut [Cache]) -> Result<Tensor> {
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
