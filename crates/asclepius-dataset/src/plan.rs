//! Micro-batches by step: what a trainer asks for. A plan holds no position, so a run can start at any step.

use std::sync::{Arc, Mutex, PoisonError};

use crate::packing::{Packing, Sequence, pack};
use crate::{DatasetError, Documents, shuffle};

/// Which order an epoch visits its documents in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Another one each epoch, a function of (seed, epoch).
    Shuffled {
        /// The seed.
        seed: u64,
    },
    /// As the documents were given: for evaluation.
    AsGiven,
}

/// How documents are dealt out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanConfig {
    /// The most tokens a sequence holds.
    pub sequence_length: usize,
    /// How documents become sequences.
    pub packing: Packing,
    /// Sequences (rows where packing is none) a micro-batch.
    pub micro_batch: usize,
    /// Sequences (rows) an optimizer step; a multiple of `micro_batch`.
    pub global_batch: usize,
    /// The order of an epoch.
    pub order: Order,
}

/// One micro-batch: all its tokens laid end to end, t in all; no padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Token ids, `[t]`.
    pub ids: Vec<u32>,
    /// `[t]`: the token the model should predict after this one; `None` where the loss does not ask, in particular
    /// at the end of each document, so that no document predicts the first token of the next.
    pub labels: Vec<Option<u32>>,
    /// `[t]`: each token's position, from 0 in each document (stream packing: in each sequence).
    pub positions: Vec<u32>,
    /// `[n + 1]`: where each of the n documents (stream packing: sequences) starts, and t. Attention stays inside.
    pub cumulative: Vec<u32>,
    /// How many labels there are.
    pub supervised: usize,
    /// Tokens that would have fit: sequences in this micro-batch times `sequence_length`.
    pub capacity: usize,
}

impl Batch {
    /// Number of tokens, t.
    pub fn tokens(&self) -> usize {
        self.ids.len()
    }

    /// Supervised rows only: (indices into `0..t`, the label of each), both `[supervised]`.
    pub fn targets(&self) -> (Vec<u32>, Vec<u32>) {
        (0_u32..).zip(&self.labels).filter_map(|(row, label)| label.map(|label| (row, label))).unzip()
    }
}

/// All micro-batches of a run.
#[derive(Debug)]
pub struct Plan {
    documents: Documents,
    lengths: Vec<usize>,
    config: PlanConfig,
    sequences_per_epoch: usize,
    // Packing an epoch takes a moment, and steps ask for the same epoch again and again.
    current: Mutex<Option<(u64, Arc<[Sequence]>)>>,
}

impl Plan {
    /// Plans over `documents`.
    ///
    /// # Errors
    /// When a size is zero, `global_batch` is no multiple of `micro_batch`, there is no document, or one is longer
    /// than `sequence_length` (allowed under [`Packing::Stream`]).
    pub fn new(documents: impl Into<Documents>, config: PlanConfig) -> Result<Self, DatasetError> {
        let documents = documents.into();
        check(&documents, &config)?;
        let lengths = (0..documents.len()).map(|index| documents.length(index)).collect();
        let mut plan = Self { documents, lengths, config, sequences_per_epoch: 0, current: Mutex::new(None) };
        plan.sequences_per_epoch = plan.epoch_sequences(0).len();
        if plan.sequences_per_epoch == 0 {
            return Err(DatasetError::NoDocuments);
        }
        Ok(plan)
    }

    /// The documents, as given.
    pub fn documents(&self) -> &Documents {
        &self.documents
    }

    /// How the documents are dealt out.
    pub fn config(&self) -> &PlanConfig {
        &self.config
    }

    /// Sequences an epoch; the same in every epoch.
    pub fn sequences_per_epoch(&self) -> usize {
        self.sequences_per_epoch
    }

    /// Tokens an epoch.
    pub fn tokens_per_epoch(&self) -> usize {
        self.lengths.iter().sum()
    }

    /// Optimizer steps an epoch. The last one may hold fewer sequences than `global_batch`.
    pub fn steps_per_epoch(&self) -> usize {
        self.sequences_per_epoch.div_ceil(self.config.global_batch)
    }

    /// The epoch, from 0, that `step` (from 0 over the whole run) lies in.
    pub fn epoch_of(&self, step: usize) -> usize {
        step / self.steps_per_epoch()
    }

    /// Micro-batches of `step`, at least one; fewer than `global_batch / micro_batch` at most at an epoch's end.
    pub fn micro_batches(&self, step: usize) -> usize {
        self.sequences_of(step).len().div_ceil(self.config.micro_batch)
    }

    /// Micro-batch `micro` of `step`, counted from 0 over the whole run.
    ///
    /// # Panics
    /// When `micro` is not below [`Plan::micro_batches`] of `step`.
    pub fn batch(&self, step: usize, micro: usize) -> Batch {
        let range = self.sequences_of(step);
        let start = range.start + micro * self.config.micro_batch;
        assert!(start < range.end, "step {step} has no micro-batch {micro}");
        let end = range.end.min(start + self.config.micro_batch);
        self.lay(&self.epoch_sequences(self.epoch_of(step) as u64)[start..end])
    }

    /// Labels in all micro-batches of `step`: what its summed loss is divided by.
    pub fn supervised_in_step(&self, step: usize) -> usize {
        (0..self.micro_batches(step)).map(|micro| self.batch(step, micro).supervised).sum()
    }

    /// The first epoch's micro-batch with the most tokens: the one to try memory on before step 1.
    pub fn longest_batch(&self) -> Batch {
        let (mut longest, mut most) = ((0, 0), 0);
        let sequences = self.epoch_sequences(0);
        for step in 0..self.steps_per_epoch() {
            let range = self.sequences_of(step);
            for (micro, chunk) in sequences[range].chunks(self.config.micro_batch).enumerate() {
                let tokens = chunk.iter().map(Sequence::tokens).sum();
                if tokens > most {
                    (longest, most) = ((step, micro), tokens);
                }
            }
        }
        self.batch(longest.0, longest.1)
    }

    /// Every micro-batch of the first epoch in order: for evaluation.
    pub fn first_epoch(&self) -> impl Iterator<Item = Batch> + '_ {
        (0..self.steps_per_epoch())
            .flat_map(move |step| (0..self.micro_batches(step)).map(move |micro| self.batch(step, micro)))
    }

    /// Indices of `step`'s sequences inside its epoch.
    fn sequences_of(&self, step: usize) -> std::ops::Range<usize> {
        let start = (step % self.steps_per_epoch()) * self.config.global_batch;
        start..self.sequences_per_epoch.min(start + self.config.global_batch)
    }

    fn epoch_sequences(&self, epoch: u64) -> Arc<[Sequence]> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((cached, sequences)) = &*current
            && *cached == epoch
        {
            return Arc::clone(sequences);
        }
        let sequences: Arc<[Sequence]> = self.pack_epoch(epoch).into();
        *current = Some((epoch, Arc::clone(&sequences)));
        sequences
    }

    fn pack_epoch(&self, epoch: u64) -> Vec<Sequence> {
        let PlanConfig { sequence_length, packing, order, .. } = self.config;
        let count = self.lengths.len();
        match order {
            Order::AsGiven => pack(&self.lengths, &(0..count).collect::<Vec<_>>(), sequence_length, packing),
            Order::Shuffled { seed } => {
                let order = shuffle::permutation(count, seed, epoch);
                let mut sequences = pack(&self.lengths, &order, sequence_length, packing);
                // Best fit lays long documents down first; a step should not see only one kind.
                let slots = shuffle::permutation(sequences.len(), !seed, epoch);
                slots.into_iter().map(|slot| std::mem::take(&mut sequences[slot])).collect()
            }
        }
    }

    fn lay(&self, sequences: &[Sequence]) -> Batch {
        let total = sequences.iter().map(Sequence::tokens).sum();
        let mut batch = Batch {
            ids: Vec::with_capacity(total),
            labels: Vec::with_capacity(total),
            positions: Vec::with_capacity(total),
            cumulative: vec![0],
            supervised: 0,
            capacity: sequences.len() * self.config.sequence_length,
        };
        for sequence in sequences {
            for piece in &sequence.pieces {
                self.documents
                    .each_token(piece.document, piece.start..piece.end, |id, supervised| batch.append(id, supervised));
                if self.config.packing != Packing::Stream {
                    batch.close_segment();
                }
            }
            if self.config.packing == Packing::Stream {
                batch.close_segment();
            }
        }
        batch
    }
}

impl Batch {
    /// Adds a token to the open segment; it is the label of the one before it, if that lies in the same segment.
    fn append(&mut self, id: u32, supervised: bool) {
        let position = self.ids.len() as u32 - self.cumulative.last().copied().unwrap_or(0);
        if position > 0
            && supervised
            && let Some(before) = self.labels.last_mut()
        {
            *before = Some(id);
            self.supervised += 1;
        }
        self.ids.push(id);
        self.labels.push(None);
        self.positions.push(position);
    }

    fn close_segment(&mut self) {
        self.cumulative.push(self.ids.len() as u32);
    }
}

fn check(documents: &Documents, config: &PlanConfig) -> Result<(), DatasetError> {
    let at_least = |key: &'static str, value: usize, least: usize, expected: &'static str| {
        if value >= least { Ok(()) } else { Err(DatasetError::Setting { key, value: value.to_string(), expected }) }
    };
    at_least("sequence_length", config.sequence_length, 2, "at least 2")?;
    at_least("micro_batch", config.micro_batch, 1, "at least 1")?;
    at_least("global_batch", config.global_batch, 1, "at least 1")?;
    if !config.global_batch.is_multiple_of(config.micro_batch) {
        return Err(DatasetError::Setting {
            key: "global_batch",
            value: config.global_batch.to_string(),
            expected: "a multiple of micro_batch",
        });
    }
    if let Documents::Held(held) = documents
        && let Some(broken) = held.iter().find(|document| document.ids.len() != document.supervised.len())
    {
        return Err(DatasetError::MaskLength {
            id: broken.id.clone(),
            tokens: broken.ids.len(),
            mask: broken.supervised.len(),
        });
    }
    let too_long = |index: &usize| documents.length(*index) > config.sequence_length;
    match (0..documents.len()).find(too_long).filter(|_| config.packing != Packing::Stream) {
        Some(index) => Err(DatasetError::DocumentTooLong {
            id: documents.id(index).to_owned(),
            tokens: documents.length(index),
            sequence_length: config.sequence_length,
        }),
        None => Ok(()),
    }
}
