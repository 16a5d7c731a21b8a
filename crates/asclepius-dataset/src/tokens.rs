//! Rows to documents: token ids and loss mask are made together, so they cannot drift apart.

/// One row as the model sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Token ids.
    pub ids: Vec<u32>,
    /// For each token, whether the loss asks the model to predict it. As long as `ids`.
    pub supervised: Vec<bool>,
    /// The row it was made from; `#k` is appended to the k-th piece of a row that was split.
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
