//! Held-out loss, row by row: the negative log-likelihood of supervised tokens, over rows no model was trained on.

use asclepius_dataset::tokens::{RowTokens, pretrain_row, sft_row};
use asclepius_dataset::{Document, Order, Packing, Plan, PlanConfig, TextRow};
use asclepius_model::{MicroBatch, evaluate};
use asclepius_schema::Instruction;
use serde::{Deserialize, Serialize};

use crate::EvalError;
use crate::candidate::Candidate;

/// A model's loss on one row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RowLoss {
    /// `notes`, `answers`, `general`, or the name of a further set.
    pub set: String,
    /// The row.
    pub row: String,
    /// Its article; bootstrap draws these.
    pub article: String,
    /// Supervised tokens.
    pub tokens: usize,
    /// Bytes of the text the loss is over: the note, or the answer.
    pub bytes: usize,
    /// Sum of the tokens' negative log-likelihoods, in nats; the end of the text is one of the tokens.
    pub nats: f64,
}

/// A text the loss is asked of.
#[derive(Debug, Clone)]
pub struct HeldOutText {
    /// The row.
    pub row: String,
    /// Its article.
    pub article: String,
    /// Its text.
    pub text: String,
}

/// The loss on a text, split where it is longer than the model or `sequence_length` allows.
///
/// # Errors
/// When the text cannot be tokenised or the model fails.
pub fn text_loss(
    candidate: &Candidate,
    set: &str,
    text: &HeldOutText,
    sequence_length: usize,
) -> Result<RowLoss, EvalError> {
    let longest = sequence_length.min(candidate.decoder.config().max_positions);
    let row = TextRow { id: text.row.clone(), text: text.text.clone() };
    let tokens = pretrain_row(row, &candidate.tokenizer, longest, Packing::Documents)?;
    let (tokens, nats) = sum(candidate, tokens, longest)?.unwrap_or_default();
    let (row, article) = (text.row.clone(), text.article.clone());
    Ok(RowLoss { set: set.to_owned(), row, article, tokens, bytes: text.text.len(), nats })
}

/// The loss on an answer. None where the row does not fit even without its note.
///
/// # Errors
/// As [`text_loss`].
pub fn answer_loss(
    candidate: &Candidate,
    set: &str,
    row: &Instruction,
    sequence_length: usize,
) -> Result<Option<RowLoss>, EvalError> {
    let longest = sequence_length.min(candidate.decoder.config().max_positions);
    let tokens = sft_row(row, &candidate.tokenizer, &candidate.template, longest)?;
    let Some((tokens, nats)) = sum(candidate, tokens, longest)? else { return Ok(None) };
    Ok(Some(RowLoss {
        set: set.to_owned(),
        row: row.row_id(),
        article: row.article_id.to_string(),
        tokens,
        bytes: row.answer.len(),
        nats,
    }))
}

/// Supervised tokens of a row's documents, and the sum of their losses.
fn sum(candidate: &Candidate, row: RowTokens, sequence_length: usize) -> Result<Option<(usize, f64)>, EvalError> {
    let RowTokens::Kept { documents, .. } = row else { return Ok(None) };
    let documents: Vec<Document> = documents.into_iter().filter(|document| document.supervised_tokens() > 0).collect();
    if documents.is_empty() {
        return Ok(None);
    }
    let rows = documents.len();
    let config = PlanConfig {
        sequence_length,
        packing: Packing::None,
        micro_batch: rows,
        global_batch: rows,
        order: Order::AsGiven,
    };
    let (mut tokens, mut nats) = (0, 0.0);
    for batch in Plan::new(documents, config)?.first_epoch() {
        tokens += batch.supervised;
        nats += MicroBatch::new(batch.ids, batch.positions, batch.cumulative, &batch.labels)
            .and_then(|batch| evaluate(&candidate.decoder, &batch))
            .map_err(|source| candidate.failed(source))?;
    }
    Ok(Some((tokens, nats)))
}
