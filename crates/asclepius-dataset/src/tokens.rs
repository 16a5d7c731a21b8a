//! Rows to documents: token ids and loss mask are made together, so they cannot drift apart.

use asclepius_schema::{Dropped, Instruction, Note, Reason};
use asclepius_text::{InstructionTemplate, TextError, TextTokenizer};

use crate::DatasetError;
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

/// Documents, and what had to be done to rows that were too long.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tokenised {
    /// In the order of the rows.
    pub documents: Vec<Document>,
    /// Rows that came in.
    pub rows: u64,
    /// Rows whose note was shortened at its end to fit (instruction tuning).
    pub shortened: u64,
    /// Rows split into several documents (pre-training).
    pub split: u64,
    /// Rows that do not fit even without their note (instruction tuning).
    pub dropped: Vec<Dropped>,
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

/// Documents for pre-training: bos (where the tokenizer has one) + text + eos (likewise), the loss on every token but
/// the first. A text longer than `sequence_length` is cut into several documents.
///
/// [`Packing::Stream`] lays documents end to end across sequences, as in the paper, so there nothing is cut here, and
/// a document's first token is asked for as well: it follows the document before.
///
/// # Errors
/// When a row is an error, has no text, or the tokenizer fails; names the row.
pub fn pretrain_documents(
    texts: impl IntoIterator<Item = Result<TextRow, DatasetError>>,
    tokenizer: &TextTokenizer,
    sequence_length: usize,
    packing: Packing,
) -> Result<Tokenised, DatasetError> {
    let mut all = Tokenised::default();
    for row in texts {
        let TextRow { id, text } = row?;
        let body = tokenizer.encode_text(&text).map_err(|source| DatasetError::row(&id, source))?;
        if body.is_empty() {
            return Err(DatasetError::NothingSupervised { id });
        }
        let ids: Vec<u32> = tokenizer.bos().into_iter().chain(body).chain(tokenizer.eos()).collect();
        all.rows += 1;
        if packing == Packing::Stream {
            all.documents.push(Document { supervised: vec![true; ids.len()], ids, id });
            continue;
        }
        let pieces = cuts(ids.len(), sequence_length);
        all.split += u64::from(pieces.len() > 1);
        let mut start = 0;
        for (number, &length) in pieces.iter().enumerate() {
            let mut supervised = vec![true; length];
            supervised[0] = false;
            let id = if pieces.len() == 1 { id.clone() } else { format!("{id}#{}", number + 1) };
            all.documents.push(Document { ids: ids[start..start + length].to_vec(), supervised, id });
            start += length;
        }
    }
    Ok(all)
}

/// Documents for instruction tuning: the template around note and question, unsupervised, then answer and its end,
/// supervised. A row longer than `sequence_length` loses the end of its note, never of its answer; one that does not fit
/// without any of its note is left out, by name.
///
/// # Errors
/// When a row is an error, has no supervised token, or the template or tokenizer fails; names the row.
pub fn sft_documents(
    rows: impl IntoIterator<Item = Result<Instruction, DatasetError>>,
    tokenizer: &TextTokenizer,
    template: &InstructionTemplate,
    sequence_length: usize,
) -> Result<Tokenised, DatasetError> {
    let mut all = Tokenised::default();
    for row in rows {
        let row = row?;
        let id = row.row_id();
        all.rows += 1;
        let encoded = template.encode_within(tokenizer, &row.note, &row.question, &row.answer, sequence_length);
        let (encoded, shortened) = match encoded {
            Err(TextError::DoesNotFit { needed, max_tokens }) => {
                let detail = format!("{needed} tokens without any of the note, sequence_length is {max_tokens}");
                all.dropped.push(Dropped::new(id, Reason::TooLong, detail));
                continue;
            }
            other => other.map_err(|source| DatasetError::row(&id, source))?,
        };
        let document = Document { ids: encoded.ids, supervised: encoded.supervised, id };
        if document.supervised_tokens() == 0 {
            return Err(DatasetError::NothingSupervised { id: document.id });
        }
        all.shortened += u64::from(shortened);
        all.documents.push(document);
    }
    Ok(all)
}
