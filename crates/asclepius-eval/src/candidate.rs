//! A model under test.

use asclepius_model::{Decoder, ModelError};
use asclepius_text::{InstructionTemplate, TextTokenizer};

use crate::EvalError;

/// A model with what it takes to talk to it.
#[derive(Debug)]
pub struct Candidate {
    /// How tables call it: `base`, `pretrained`, `tuned`.
    pub name: String,
    /// The weights, adapters attached or merged.
    pub decoder: Decoder,
    /// Its tokenizer.
    pub tokenizer: TextTokenizer,
    /// How a question is put to it.
    pub template: InstructionTemplate,
}

impl Candidate {
    pub(crate) fn failed(&self, source: ModelError) -> EvalError {
        EvalError::Model { model: self.name.clone(), source: Box::new(source) }
    }
}
