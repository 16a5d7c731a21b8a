//! The held-out sets: notes, the run's own instructions, and further files of instructions.

use std::path::{Path, PathBuf};

use asclepius_dataset::tokens::{pretrain_documents, sft_documents};
use asclepius_dataset::{DatasetError, Packing, TextRow, read_instructions_any, read_notes};
use asclepius_schema::Instruction;

use crate::EvalError;
use crate::answers::{Question, choose};
use crate::candidate::Candidate;
use crate::held_out::loss;
use crate::results::HeldOutLoss;

/// Rows no model was trained on, in memory.
#[derive(Debug)]
pub struct HeldOutSets {
    notes: Vec<TextRow>,
    /// By name: `answers` for the run's own.
    instructions: Vec<(String, Vec<Instruction>)>,
}

/// The longest document of each kind, in tokens; longer ones are split (notes) or shortened at the note (instructions).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lengths {
    /// Notes.
    pub notes: usize,
    /// Instructions.
    pub instructions: usize,
}

impl HeldOutSets {
    /// Reads the run's held-out notes and instructions, and further sets, which are named after their files.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn load(notes: &Path, instructions: &Path, further: &[PathBuf]) -> Result<Self, EvalError> {
        let notes = read_notes(notes)?.map(|note| Ok(TextRow::from(&note?))).collect::<Result<_, DatasetError>>()?;
        let mut sets = vec![("answers".to_owned(), read_instructions_any(instructions)?.collect::<Result<_, _>>()?)];
        for path in further {
            let name = path.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
            sets.push((name, read_instructions_any(path)?.collect::<Result<_, _>>()?));
        }
        Ok(Self { notes, instructions: sets })
    }

    /// At most `count` questions of each set.
    pub fn questions(&self, count: usize) -> Vec<Question> {
        self.instructions.iter().flat_map(|(_, rows)| choose(rows, count)).collect()
    }

    /// The candidate's loss on every set that has rows.
    ///
    /// # Errors
    /// When a row cannot be tokenised or the model fails.
    pub fn losses(&self, candidate: &Candidate, lengths: Lengths) -> Result<Vec<HeldOutLoss>, EvalError> {
        let limit = candidate.decoder.config().max_positions;
        let longest = lengths.notes.min(limit);
        let rows = self.notes.iter().cloned().map(Ok);
        let notes = pretrain_documents(rows, &candidate.tokenizer, longest, Packing::Documents)?;
        let mut losses: Vec<HeldOutLoss> = loss(candidate, "notes", &notes.documents, longest)?.into_iter().collect();
        let longest = lengths.instructions.min(limit);
        for (name, rows) in &self.instructions {
            let rows = rows.iter().cloned().map(Ok);
            let answers = sft_documents(rows, &candidate.tokenizer, &candidate.template, longest)?;
            losses.extend(loss(candidate, name, &answers.documents, longest)?);
        }
        Ok(losses)
    }
}
