//! Documents where they lie: in memory, or in a mapped file that is read as it is needed.

use std::ops::Range;
use std::sync::Arc;

use crate::{Document, TokenFile};

/// Documents by number, from 0. Cheap to clone.
#[derive(Debug, Clone)]
pub enum Documents {
    /// In memory.
    Held(Arc<[Document]>),
    /// In a file.
    Mapped(Arc<TokenFile>),
}

impl From<Vec<Document>> for Documents {
    fn from(documents: Vec<Document>) -> Self {
        Self::Held(documents.into())
    }
}

impl From<Arc<[Document]>> for Documents {
    fn from(documents: Arc<[Document]>) -> Self {
        Self::Held(documents)
    }
}

impl From<Arc<TokenFile>> for Documents {
    fn from(file: Arc<TokenFile>) -> Self {
        Self::Mapped(file)
    }
}

impl Documents {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Held(documents) => documents.len(),
            Self::Mapped(file) => file.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tokens of document `index`.
    ///
    /// # Panics
    /// When there is no such document; so do the other functions that take an index.
    pub fn length(&self, index: usize) -> usize {
        match self {
            Self::Held(documents) => documents[index].len(),
            Self::Mapped(file) => file.length(index),
        }
    }

    /// The row that document `index` was made from.
    pub fn id(&self, index: usize) -> &str {
        match self {
            Self::Held(documents) => &documents[index].id,
            Self::Mapped(file) => file.id(index),
        }
    }

    /// Gives `take` id and mask of the tokens in `range` of document `index`.
    pub fn each_token(&self, index: usize, range: Range<usize>, mut take: impl FnMut(u32, bool)) {
        match self {
            Self::Held(documents) => {
                let document = &documents[index];
                let ids = &document.ids[range.clone()];
                ids.iter().zip(&document.supervised[range]).for_each(|(&id, &supervised)| take(id, supervised));
            }
            Self::Mapped(file) => file.tokens(index, range).for_each(|(id, supervised)| take(id, supervised)),
        }
    }
}
