//! Tokens from prompts, one at a time for each, with a key-value cache. Prompts that come together go through the model
//! together: at each step every weight is read once for all of them.

use std::collections::BTreeMap;
use std::fmt;

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
    /// Taken from a token's logit for every time it was made, as OpenAI's API defines it: small models repeat themselves.
    pub frequency_penalty: f64,
    /// Taken from a token's logit once it was made at all.
    pub presence_penalty: f64,
    /// Of the draw.
    pub seed: u64,
    /// The most tokens to make.
    pub max_new_tokens: usize,
    /// Tokens that end the text; not part of the result.
    pub stop: Vec<u32>,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_p: None,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            seed: 0,
            max_new_tokens: 256,
            stop: Vec::new(),
        }
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
    let mut batch = Batch::new(decoder);
    for (index, (prompt, sampling)) in prompts.iter().enumerate() {
        match sampling.max_new_tokens {
            0 => batch.check(prompt)?,
            _ => batch.join(index as u64, prompt, sampling)?,
        }
    }
    let mut generations = vec![Generation { tokens: Vec::new(), finish: Finish::Length }; prompts.len()];
    while !batch.is_empty() {
        for Made { id, token, finish } in batch.step()? {
            let generation = &mut generations[id as usize];
            if let Some(finish) = finish {
                generation.finish = finish;
            }
            let Some(token) = token else { continue };
            generation.tokens.push(token);
            if !on_token(id as usize, token) {
                generation.finish = Finish::Cancelled;
                batch.leave(id);
            }
        }
    }
    Ok(generations)
}

/// Tokens of a prompt that go through the model in one step: enough that its weights are read seldom, few enough that
/// those who wait for their next token hardly notice who joins them.
const CHUNK: usize = 512;

/// Temperatures below this one divide scores beyond what f32 holds, and draw the likeliest token anyway.
const COLDEST: f64 = 1e-5;

/// Texts that are continued together, a token a step. Any may join or leave between two steps; a long prompt is read over
/// several of them, in pieces that do not depend on who else is there.
pub struct Batch {
    session: Session,
    /// In the order in which they joined; those whose prompt has not been begun are last, and not in the session yet.
    running: Vec<Running>,
}

/// What a step did for one text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made {
    /// The name the text joined under.
    pub id: u64,
    /// The new token; none where a stop token came.
    pub token: Option<u32>,
    /// Set once the text has ended, and so has left.
    pub finish: Option<Finish>,
}

/// A text that is being continued.
struct Running {
    id: u64,
    choose: LogitsProcessor,
    penalties: Penalties,
    stop: Vec<u32>,
    /// What the model has not seen yet: the rest of the prompt, or the last token.
    next: Vec<u32>,
    left: usize,
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<u64> = self.running.iter().map(|running| running.id).collect();
        f.debug_struct("Batch").field("running", &ids).finish_non_exhaustive()
    }
}

impl Batch {
    /// An empty one, on weights that are shared and not changed.
    pub fn new(decoder: &Decoder) -> Self {
        Self { session: Session::new(decoder.frozen()), running: Vec::new() }
    }

    /// How many texts are being continued.
    pub fn len(&self) -> usize {
        self.running.len()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// Whether a prompt can be continued.
    ///
    /// # Errors
    /// When it is empty, fills the model's positions, or holds a token outside the vocabulary.
    pub fn check(&self, prompt: &[u32]) -> Result<()> {
        let config = self.session.decoder.config();
        let limit = config.max_positions;
        if prompt.is_empty() || prompt.len() >= limit {
            return Err(ModelError::Prompt { tokens: prompt.len(), limit: limit.saturating_sub(1) });
        }
        let bound = config.vocab_size;
        match prompt.iter().find(|&&id| id as usize >= bound) {
            Some(&id) => {
                let (operation, what) = ("embedding", "token");
                Err(asclepius_ops::OpsError::Index { operation, what, index: id as usize, bound }.into())
            }
            None => Ok(()),
        }
    }

    /// Takes a prompt in, under a name that nothing in here has. At least one token is made for it.
    ///
    /// # Errors
    /// As [`Self::check`]; the others are not touched then.
    pub fn join(&mut self, id: u64, prompt: &[u32], sampling: &Sampling) -> Result<()> {
        self.check(prompt)?;
        let room = self.session.decoder.config().max_positions - prompt.len();
        self.running.push(Running {
            id,
            choose: LogitsProcessor::new(
                sampling.seed,
                (sampling.temperature >= COLDEST).then_some(sampling.temperature),
                sampling.top_p,
            ),
            penalties: Penalties {
                frequency: sampling.frequency_penalty,
                presence: sampling.presence_penalty,
                made: BTreeMap::new(),
            },
            stop: sampling.stop.clone(),
            next: prompt.to_vec(),
            left: sampling.max_new_tokens.clamp(1, room),
        });
        Ok(())
    }

    /// Forgets a text; nothing happens where there is none of this name.
    pub fn leave(&mut self, id: u64) {
        if let Some(slot) = self.running.iter().position(|running| running.id == id) {
            self.running.remove(slot);
            self.session.remove(slot);
        }
    }

    /// One step: a token for each text whose prompt the model has seen to its end.
    ///
    /// # Errors
    /// When a product fails or scores are not numbers. What is remembered is worth nothing then.
    pub fn step(&mut self) -> Result<Vec<Made>> {
        let mut room = CHUNK;
        let mut taken = Vec::with_capacity(self.running.len());
        for running in &self.running {
            let waiting = running.next.len();
            if waiting > 1 && room == 0 {
                break;
            }
            let take = waiting.min(CHUNK);
            if waiting > 1 {
                room = room.saturating_sub(take);
            }
            taken.push(take);
        }
        let next: Vec<&[u32]> = self.running.iter().zip(&taken).map(|(running, &take)| &running.next[..take]).collect();
        let scores = self.session.step(&next)?;
        let mut made = Vec::with_capacity(taken.len());
        for ((running, take), scores) in self.running.iter_mut().zip(taken).zip(scores) {
            running.next.drain(..take);
            if running.next.is_empty() {
                made.push(running.choose(&scores)?);
            }
        }
        for ended in made.iter().filter(|made| made.finish.is_some()) {
            self.leave(ended.id);
        }
        Ok(made)
    }
}

impl Running {
    fn choose(&mut self, scores: &Tensor) -> Result<Made> {
        let token = self.choose.sample(&self.penalties.apply(scores)?)?;
        if self.stop.contains(&token) {
            return Ok(Made { id: self.id, token: None, finish: Some(Finish::Stop) });
        }
        self.penalties.count(token);
        self.next.push(token);
        self.left -= 1;
        Ok(Made { id: self.id, token: Some(token), finish: (self.left == 0).then_some(Finish::Length) })
    }
}

/// What is taken from the logits of tokens that were made before.
struct Penalties {
    frequency: f64,
    presence: f64,
    /// How often each token was made; empty where nothing is taken for it.
    made: BTreeMap<u32, u32>,
}

impl Penalties {
    fn count(&mut self, token: u32) {
        if self.frequency != 0.0 || self.presence != 0.0 {
            *self.made.entry(token).or_default() += 1;
        }
    }

    /// `scores`, `[v]`, less what is taken: `count x frequency + presence` of every token made.
    fn apply(&self, scores: &Tensor) -> Result<Tensor> {
        if self.made.is_empty() {
            return Ok(scores.clone());
        }
        let mut values = scores.to_dtype(DType::F32)?.to_vec1::<f32>()?;
        for (&token, &count) in &self.made {
            values[token as usize] -= (f64::from(count) * self.frequency + self.presence) as f32;
        }
        Ok(Tensor::new(values, &Device::Cpu)?)
    }
}

/// Documents that are being continued, with what the model remembers of them.
struct Session {
    decoder: Decoder,
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

impl Session {
    fn new(decoder: Decoder) -> Self {
        let memory = match scalar(&decoder) {
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
                next.iter().zip(caches).map(|(next, caches)| step(&self.decoder, next, caches)).collect()
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
                let scores = next_scores(&self.decoder, &ids, &context, caches)?;
                let v = self.decoder.config().vocab_size;
                scores.chunks_exact(v).map(|scores| Ok(Tensor::new(scores, &Device::Cpu)?)).collect()
            }
        };
        for (length, next) in self.lengths.iter_mut().zip(next) {
            *length += next.len();
        }
        scores
    }

    /// Forgets a document, where it has been begun.
    fn remove(&mut self, slot: usize) {
        if slot >= self.lengths.len() {
            return;
        }
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
