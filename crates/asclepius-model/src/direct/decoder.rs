//! A decoder on slices: embedding, blocks and head.

use asclepius_ops::cpu::{Host, Matrix, Real, head, in_pool, matrix, rows};
use asclepius_ops::profile::{self, Kind};
use asclepius_ops::{Parameter, PhiloxKey};

use super::attention::DirectCache;
use super::{Keep, Surroundings, surrounded};
use crate::engine::{MicroBatch, Recompute};
use crate::{Context, Decoder, ModelError, Result};

/// See [`crate::loss_and_gradients`].
pub(crate) fn loss_and_gradients<R: Real>(
    decoder: &Decoder,
    batch: &MicroBatch,
    dropout: Option<PhiloxKey>,
    recompute: Recompute,
) -> Result<f64> {
    let context = batch.context(decoder, dropout)?;
    in_pool(|| surrounded(&context, |around| there_and_back::<R>(decoder, batch, around, recompute)))
}

/// What stands for a block until its way back.
enum Segment<R> {
    Kept(Box<super::block::Kept<R>>),
    Input(Vec<R>),
}

fn there_and_back<R: Real>(
    decoder: &Decoder,
    batch: &MicroBatch,
    around: &Surroundings<'_, R>,
    recompute: Recompute,
) -> Result<f64> {
    let blocks = decoder.blocks();
    let keep = if recompute == Recompute::None { Keep::Everything } else { Keep::Products };
    let mut x = embed::<R>(decoder, &batch.ids)?;
    let mut segments = Vec::with_capacity(blocks.len());
    for block in blocks {
        if recompute == Recompute::Block {
            let (output, _) = block.direct(x.clone(), around, Keep::Nothing)?;
            segments.push(Segment::Input(std::mem::replace(&mut x, output)));
        } else {
            let (output, kept) = block.direct(x, around, keep)?;
            segments.extend(kept.map(|kept| Segment::Kept(Box::new(kept))));
            x = output;
        }
    }

    let normed = decoder.final_norm().rows(&x)?;
    let (head, bias) = decoder.head_parameters();
    let (loss, dnormed) = head::loss_and_gradient(&normed, head, bias, &batch.targets)?;
    drop(normed);
    if !loss.is_finite() {
        return Err(ModelError::NotFinite(loss));
    }
    if batch.targets.is_empty() {
        return Ok(loss);
    }
    let mut gradient = vec![R::zero(); x.len()];
    decoder.final_norm().rows_back(&x, &dnormed, &mut gradient)?;
    drop((x, dnormed));

    let embedding = decoder.embedding();
    for (index, (block, segment)) in blocks.iter().zip(segments).enumerate().rev() {
        let kept = match segment {
            Segment::Kept(kept) => Some(*kept),
            Segment::Input(input) => block.direct(input, around, Keep::Products)?.1,
        };
        if let Some(kept) = kept {
            block.direct_back(kept, &mut gradient, around, index > 0 || embedding.is_trainable())?;
        }
    }
    if embedding.is_trainable() {
        add_rows(embedding, &batch.ids, &gradient)?;
    }
    Ok(loss)
}

/// See [`crate::evaluate`].
pub(crate) fn evaluate<R: Real>(decoder: &Decoder, batch: &MicroBatch) -> Result<f64> {
    let context = batch.context(decoder, None)?;
    in_pool(|| {
        surrounded::<R, _>(&context, |around| {
            let mut x = embed::<R>(decoder, &batch.ids)?;
            for block in decoder.blocks() {
                x = block.direct(x, around, Keep::Nothing)?.0;
            }
            let (head, bias) = decoder.head_parameters();
            Ok(head::loss(&decoder.final_norm().rows(&x)?, head, bias, &batch.targets)?)
        })
    })
}

/// The scores after the last of each document's next tokens, `[documents, v]`; `caches` holds one entry a block.
pub(crate) fn next_scores<R: Real>(
    decoder: &Decoder,
    ids: &[u32],
    context: &Context,
    caches: &mut [DirectCache<R>],
) -> Result<Vec<R>> {
    in_pool(|| {
        surrounded::<R, _>(context, |around| {
            let mut x = embed::<R>(decoder, ids)?;
            for (block, cache) in decoder.blocks().iter().zip(caches) {
                block.direct_next(&mut x, around, cache)?;
            }
            let d = decoder.config().hidden_size;
            let last: Vec<R> = (around.documents.iter())
                .flat_map(|document| &x[(document.queries.end - 1) * d..document.queries.end * d])
                .copied()
                .collect();
            let normed = decoder.final_norm().rows(&last)?;
            let (head, bias) = decoder.head_parameters();
            let weight = Host::new(head.value());
            let mut scores =
                matrix::product(Matrix::new(&normed, d), Matrix::new(weight.slice::<R>()?, d).transposed());
            if let Some(bias) = bias {
                rows::add_to_rows(&mut scores, Host::new(bias.value()).slice::<R>()?, bias.value().elem_count());
            }
            Ok(scores)
        })
    })
}

fn embed<R: Real>(decoder: &Decoder, ids: &[u32]) -> Result<Vec<R>> {
    let _span = profile::span(Kind::Embedding, "embedding");
    let table = decoder.embedding();
    let (v, d) = table.value().dims2()?;
    if let Some(&id) = ids.iter().find(|&&id| id as usize >= v) {
        let error =
            asclepius_ops::OpsError::Index { operation: "embedding", what: "token", index: id as usize, bound: v };
        return Err(error.into());
    }
    let host = Host::new(table.value());
    let rows = host.slice::<R>()?;
    Ok(ids.iter().flat_map(|&id| &rows[id as usize * d..][..d]).copied().collect())
}

/// Adds each row of `gradient [t, d]` to its token's row, in order: tokens repeat.
fn add_rows<R: Real>(table: &Parameter, ids: &[u32], gradient: &[R]) -> Result<()> {
    let _span = profile::span(Kind::Embedding, "embedding, back");
    let (_, d) = table.value().dims2()?;
    table.with_gradient(|slot: &mut [R]| {
        for (&id, source) in ids.iter().zip(gradient.chunks_exact(d)) {
            for (target, &source) in slot[id as usize * d..][..d].iter_mut().zip(source) {
                *target += source;
            }
        }
    })?;
    Ok(())
}
