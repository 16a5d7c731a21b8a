//! Held-out loss: the mean negative log-likelihood of supervised tokens, over rows no model was trained on.

use asclepius_dataset::{Document, Order, Packing, Plan, PlanConfig};
use asclepius_model::{MicroBatch, evaluate};

use crate::EvalError;
use crate::candidate::Candidate;
use crate::results::HeldOutLoss;

/// Rows that go through the model at once.
const ROWS: usize = 4;

/// The loss of `candidate` over `documents`, each seen by itself. `None` without a document.
///
/// # Errors
/// When a document is longer than `sequence_length`, or the model fails.
pub fn loss(
    candidate: &Candidate,
    set: &str,
    documents: &[Document],
    sequence_length: usize,
) -> Result<Option<HeldOutLoss>, EvalError> {
    if documents.is_empty() {
        return Ok(None);
    }
    let config = PlanConfig {
        sequence_length,
        packing: Packing::None,
        micro_batch: ROWS,
        global_batch: ROWS,
        order: Order::AsGiven,
    };
    let plan = Plan::new(documents.to_vec(), config)?;
    let (mut sum, mut supervised) = (0.0, 0);
    for batch in plan.first_epoch() {
        let tokens = batch.supervised;
        let batch = MicroBatch::new(batch.ids, batch.positions, batch.cumulative, &batch.labels)
            .and_then(|batch| evaluate(&candidate.decoder, &batch))
            .map_err(|source| candidate.failed(source))?;
        sum += batch;
        supervised += tokens;
    }
    let mean = sum / supervised.max(1) as f64;
    Ok(Some(HeldOutLoss {
        model: candidate.name.clone(),
        set: set.to_owned(),
        rows: documents.len(),
        supervised_tokens: supervised,
        loss: mean,
        perplexity: mean.exp(),
    }))
}
