//! What a judge makes of rows that passed every rule: whoever asks it stands behind [`Judge`], for nothing is sent from
//! here.

use std::collections::BTreeMap;
use std::convert::Infallible;

use asclepius_schema::{JudgeCall, Reason};
use asclepius_text::{Exhibit, Gate, GatesConfig, Judged, Rating, Subject, Verdict};
use serde::{Deserialize, Serialize};

use super::judge::Row;
use crate::DatasetError;

/// Rows as a judge is shown them: their names in `dropped.jsonl`, and what is rated.
pub type Exhibits<'a> = dyn Iterator<Item = Result<(String, Exhibit), DatasetError>> + 'a;

/// Whoever rates rows beyond what rules see.
pub trait Judge {
    /// What ends the stage.
    type Error: From<DatasetError>;

    /// Rates `count` exhibits of one kind; one answer each, in their order. Called for notes, then for answers.
    ///
    /// # Errors
    /// When an exhibit cannot be read, or no further one can be rated.
    fn rate(&mut self, subject: Subject, count: u64, exhibits: &mut Exhibits<'_>) -> Result<Vec<Judged>, Self::Error>;
}

/// Nobody.
impl Judge for Infallible {
    type Error = DatasetError;

    fn rate(&mut self, _: Subject, _: u64, _: &mut Exhibits<'_>) -> Result<Vec<Judged>, DatasetError> {
        match *self {}
    }
}

/// How the rating of one kind of row went.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RatingFigures {
    /// Rows by rating.
    pub rated: BTreeMap<Rating, u64>,
    /// Rows without one, for good, by why: kept, without a score.
    pub unrated: BTreeMap<Reason, u64>,
    /// Rows that the next run asks about.
    pub pending: u64,
}

/// Puts the ratings on the rows they are of, in order; rows that were dropped before have none.
pub(super) fn apply(rows: &mut [Row], judged: Vec<Judged>, gates: &GatesConfig) -> RatingFigures {
    let mut figures = RatingFigures::default();
    let mut judged = judged.into_iter();
    for row in rows.iter_mut().filter(|row| row.is_in()) {
        // Whoever got no answer at all is asked again.
        match judged.next().unwrap_or(Judged::Pending { detail: String::new() }) {
            Judged::Rated(assessment, call) => {
                *figures.rated.entry(assessment.rating).or_default() += 1;
                let score = f32::from(assessment.rating.get());
                row.add(gates, Gate::Judge, Verdict::new(score, assessment.detail()));
                row.judge = Some(call);
            }
            Judged::Unrated { reason, .. } => *figures.unrated.entry(reason).or_default() += 1,
            Judged::Pending { .. } => {
                figures.pending += 1;
                row.pending = true;
            }
        }
    }
    figures
}

/// What a row keeps of its rating.
pub(super) type Call = Option<Box<JudgeCall>>;
