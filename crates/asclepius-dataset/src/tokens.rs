//! Rows to documents: token ids and loss mask are made together, so they cannot drift apart.

use asclepius_schema::{Dropped, Instruction, Note, Reason};
use asclepius_text::{InstructionTemplate, TextError, TextTokenizer};
use serde::{Deserialize, Serialize};

use crate::DatasetError;
use crate::in_order::in_order;
use crate::packing::{Packing, cuts};
use crate::table::TextRow;

/// One row as the model sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Token ids.
    pub ids: Vec<u32>,
    /// For each token, whether the loss asks the model to predict it. As long as `ids`.
    pub supervised: Vec<bool>,
    /// The row it was made from; `#k` (from 1) is appended to the k-th piece of a row that was split.
    pub id: String,
}

impl Document {
    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no token.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Number of tokens the loss asks for. The first token never counts: nothing precedes it.
    pub fn supervised_tokens(&self) -> usize {
        self.supervised.iter().skip(1).filter(|&&supervised| supervised).count()
    }
}

/// Documents in memory, and what had to be done to their rows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tokenised {
    /// In the order of the rows.
    pub documents: Vec<Document>,
    /// Rows in, split, shortened and left out.
    pub tally: Tally,
}

impl Tokenised {
    /// Number of tokens.
    pub fn tokens(&self) -> usize {
        self.documents.iter().map(Document::len).sum()
    }
}

impl From<&Note> for TextRow {
    fn from(note: &Note) -> Self {
        Self { id: note.report_id.to_string(), text: note.note.clone() }
    }
}

/// What one row became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowTokens {
    /// Documents to train on: one, or the pieces of a row that was split.
    Kept {
        /// In the order of the row's text.
        documents: Vec<Document>,
        /// Whether its note was shortened to fit.
        shortened: bool,
    },
    /// It does not fit even without its note.
    Dropped(Dropped),
}

/// What was done to rows on their way to documents, all rows together.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Rows that came in.
    pub rows: u64,
    /// Rows whose note was shortened at its end to fit (instruction tuning).
    pub shortened: u64,
    /// Rows split into several documents (pre-training).
    pub split: u64,
    /// Supervised tokens, without those that begin a document.
    pub supervised: u64,
    /// Rows that do not fit even without their note (instruction tuning).
    pub dropped: Vec<Dropped>,
}

impl Tally {
    /// Counts one row, and gives back its documents.
    pub fn count(&mut self, row: RowTokens) -> Vec<Document> {
        self.rows += 1;
        match row {
            RowTokens::Kept { documents, shortened } => {
                self.shortened += u64::from(shortened);
                self.split += u64::from(documents.len() > 1);
                self.supervised += documents.iter().map(Document::supervised_tokens).sum::<usize>() as u64;
                documents
            }
            RowTokens::Dropped(dropped) => {
                self.dropped.push(dropped);
                Vec::new()
            }
        }
    }
}

/// A row for pre-training: bos (where the tokenizer has one) + text + eos (likewise), the loss on every token but the
/// first. A text longer than `sequence_length` is cut into several documents.
///
/// [`Packing::Stream`] lays documents end to end across sequences, as in the paper, so there nothing is cut here, and
/// a document's first token is asked for as well: it follows the document before.
///
/// # Errors
/// When the row has no text or the tokenizer fails; names the row.
pub fn pretrain_row(
    row: TextRow,
    tokenizer: &TextTokenizer,
    sequence_length: usize,
    packing: Packing,
) -> Result<RowTokens, DatasetError> {
    let TextRow { id, text } = row;
    let body = tokenizer.encode_text(&text).map_err(|source| DatasetError::row(&id, source))?;
    if body.is_empty() {
        return Err(DatasetError::NothingSupervised { id });
    }
    let ids: Vec<u32> = tokenizer.bos().into_iter().chain(body).chain(tokenizer.eos()).collect();
    if packing == Packing::Stream {
        let documents = vec![Document { supervised: vec![true; ids.len()], ids, id }];
        return Ok(RowTokens::Kept { documents, shortened: false });
    }
    let pieces = cuts(ids.len(), sequence_length);
    let mut documents = Vec::with_capacity(pieces.len());
    let mut start = 0;
    for (number, &length) in pieces.iter().enumerate() {
        let mut supervised = vec![true; length];
        supervised[0] = false;
        let id = if pieces.len() == 1 { id.clone() } else { format!("{id}#{}", number + 1) };
        documents.push(Document { ids: ids[start..start + length].to_vec(), supervised, id });
        start += length;
    }
    Ok(RowTokens::Kept { documents, shortened: false })
}

/// A row for instruction tuning: the template around note and question, unsupervised, then answer and its end,
/// supervised. A row longer than `sequence_length` loses the end of its note, never of its answer; one that does not fit
/// without any of its note is left out, by name.
///
/// # Errors
/// When the row has no supervised token, or the template or tokenizer fails; names the row.
pub fn sft_row(
    row: &Instruction,
    tokenizer: &TextTokenizer,
    template: &InstructionTemplate,
    sequence_length: usize,
) -> Result<RowTokens, DatasetError> {
    let id = row.row_id();
    let encoded = template.encode_within(tokenizer, &row.note, &row.question, &row.answer, sequence_length);
    let (encoded, shortened) = match encoded {
        Err(TextError::DoesNotFit { needed, max_tokens }) => {
            let detail = format!("{needed} tokens without any of the note, sequence_length is {max_tokens}");
            return Ok(RowTokens::Dropped(Dropped::new(id, Reason::TooLong, detail)));
        }
        other => other.map_err(|source| DatasetError::row(&id, source))?,
    };
    let document = Document { ids: encoded.ids, supervised: encoded.supervised, id };
    if document.supervised_tokens() == 0 {
        return Err(DatasetError::NothingSupervised { id: document.id });
    }
    Ok(RowTokens::Kept { documents: vec![document], shortened })
}

/// Documents for pre-training, in memory, as [`pretrain_row`] makes them.
///
/// # Errors
/// When a row is an error, or as [`pretrain_row`].
pub fn pretrain_documents<R>(
    texts: R,
    tokenizer: &TextTokenizer,
    sequence_length: usize,
    packing: Packing,
) -> Result<Tokenised, DatasetError>
where
    R: IntoIterator<Item = Result<TextRow, DatasetError>, IntoIter: Send>,
{
    collect(texts.into_iter(), text_bytes, |row| pretrain_row(row, tokenizer, sequence_length, packing))
}

/// Documents for instruction tuning, in memory, as [`sft_row`] makes them.
///
/// # Errors
/// When a row is an error, or as [`sft_row`].
pub fn sft_documents<R>(
    rows: R,
    tokenizer: &TextTokenizer,
    template: &InstructionTemplate,
    sequence_length: usize,
) -> Result<Tokenised, DatasetError>
where
    R: IntoIterator<Item = Result<Instruction, DatasetError>, IntoIter: Send>,
{
    collect(rows.into_iter(), instruction_bytes, |row| sft_row(&row, tokenizer, template, sequence_length))
}

/// Bytes of text in a row, for [`in_order`].
pub fn text_bytes(row: &TextRow) -> usize {
    row.text.len()
}

/// Bytes of text in a row, for [`in_order`].
pub fn instruction_bytes(row: &Instruction) -> usize {
    row.note.len() + row.question.len() + row.answer.len()
}

fn collect<T: Send>(
    rows: impl Iterator<Item = Result<T, DatasetError>> + Send,
    weigh: impl Fn(&T) -> usize + Sync,
    make: impl Fn(T) -> Result<RowTokens, DatasetError> + Sync,
) -> Result<Tokenised, DatasetError> {
    let mut all = Tokenised::default();
    in_order(rows, weigh, make, |row| -> Result<(), DatasetError> {
        all.documents.extend(all.tally.count(row));
        Ok(())
    })?;
    Ok(all)
}
