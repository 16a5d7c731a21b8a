//! What can go wrong between rows and batches.

/// Errors of this crate; each names the file, row or key it is about.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// A document is longer than one sequence may be.
    #[error("document {id}: {tokens} tokens do not fit into a sequence of {sequence_length}")]
    DocumentTooLong {
        /// The row the document was made from.
        id: String,
        /// Its length in tokens.
        tokens: usize,
        /// The most a sequence holds.
        sequence_length: usize,
    },
    /// A document's loss mask does not cover its tokens.
    #[error("document {id}: a loss mask of {mask} for {tokens} tokens")]
    MaskLength {
        /// The row the document was made from.
        id: String,
        /// Its length in tokens.
        tokens: usize,
        /// The mask's length.
        mask: usize,
    },
    /// A row would train nothing.
    #[error("row {id}: no token of it is supervised, so it would train nothing")]
    NothingSupervised {
        /// The row.
        id: String,
    },
    /// There is nothing to train on.
    #[error("no documents to pack: the data is empty")]
    NoDocuments,
    /// A training setting that cannot be.
    #[error("{key} = {value}: must be {expected}")]
    Setting {
        /// The configuration key.
        key: &'static str,
        /// What was given.
        value: String,
        /// What would do.
        expected: &'static str,
    },
}
