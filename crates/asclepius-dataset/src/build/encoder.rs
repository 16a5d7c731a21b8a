//! Which notes mean the same, in whatever words: whoever tells stands behind [`Encoder`], for no model is run from here.

use std::collections::HashMap;

use asclepius_schema::Note;
use asclepius_text::GatesConfig;
use asclepius_text::gates::Threshold;

use super::judge::{Row, drop_same_meaning, precedence};
use crate::DatasetError;
use crate::near_duplicates::Neighbour;

/// Texts of notes, in the order of their file.
pub type Texts<'a> = dyn Iterator<Item = Result<String, DatasetError>> + 'a;

/// Whoever reads texts for what they mean (sentence embeddings; Reimers and Gurevych, 2019).
pub trait Encoder {
    /// What ends the stage.
    type Error;

    /// For every text its nearest neighbour among those that precede it and stay, in the order of precedence; a text
    /// stays unless its cosine similarity to one that stays is above `greatest`. `precedence` lists places among `texts`,
    /// first come first; neighbours are places in that list.
    ///
    /// # Errors
    /// When a text cannot be read or encoded.
    fn nearest_preceding(
        &mut self,
        texts: &mut Texts<'_>,
        precedence: &[usize],
        greatest: Option<f32>,
    ) -> Result<Vec<Option<Neighbour>>, Self::Error>;
}

/// Measures how like in meaning each remaining note is to those before it by id, and drops those that are too alike.
/// `stored` are all notes, one a row.
pub(super) fn apply<E>(
    encoder: &mut dyn Encoder<Error = E>,
    rows: &mut [Row],
    gates: &GatesConfig,
    stored: impl Iterator<Item = Result<Note, DatasetError>>,
) -> Result<(), E> {
    let order = precedence(rows);
    let remaining = rows.iter().enumerate().filter(|(_, row)| row.is_in()).map(|(index, _)| index);
    let place: HashMap<usize, usize> = remaining.enumerate().map(|(place, index)| (index, place)).collect();
    let places: Vec<usize> = order.iter().map(|index| place[index]).collect();
    let greatest = match gates.same_meaning {
        Threshold::At(greatest) => Some(greatest),
        Threshold::Off => None,
    };
    let still_in = rows.iter().zip(stored).filter(|(row, _)| row.is_in());
    let mut texts = still_in.map(|(_, note)| note.map(|note| note.note));
    let nearest = encoder.nearest_preceding(&mut texts, &places, greatest)?;
    drop(texts);
    drop_same_meaning(rows, gates, &order, &nearest);
    Ok(())
}
