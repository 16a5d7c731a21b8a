//! What each gate measured over all rows, dropped ones included: figures for the card and for whoever sets thresholds.

use std::collections::BTreeMap;

use asclepius_schema::Task;
use asclepius_text::gates::Threshold;
use asclepius_text::{Gate, GatesConfig};
use serde::{Deserialize, Serialize};

use super::judge::Row;

/// One gate over one kind of row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateFigures {
    /// The threshold; none where the gate only measures.
    pub threshold: Option<f64>,
    /// Whether scores at the threshold and above pass, instead of those at it and below.
    pub at_least: bool,
    /// Rows it scored.
    pub scored: u64,
    /// Rows on the wrong side of the threshold.
    pub failed: u64,
    /// Rows dropped for it: those that failed no gate before.
    pub dropped: u64,
    /// Rows with a score above 0: of gates that count findings, those with one. None in manifests of earlier versions.
    #[serde(default)]
    pub above_zero: Option<u64>,
    /// Mean of all scores.
    pub mean: f64,
    /// Least score, the 5th, 50th and 95th percentile (the nearest rank), and the greatest.
    pub quantiles: [f32; 5],
}

/// The figures of every gate that scored a row, by name.
pub(super) fn of_gates(rows: &[Row], gates: &GatesConfig) -> BTreeMap<String, GateFigures> {
    let mut scores: BTreeMap<Gate, Vec<f32>> = BTreeMap::new();
    let mut dropped: BTreeMap<Gate, u64> = BTreeMap::new();
    for row in rows {
        for &(gate, score) in &row.scores {
            scores.entry(gate).or_default().push(score);
        }
        if let Some((_, Some(gate), _)) = row.dropped {
            *dropped.entry(gate).or_default() += 1;
        }
    }
    let figures = |(gate, mut scores): (Gate, Vec<f32>)| {
        // Sorted first, so that the sum does not depend on the order of rows.
        scores.sort_unstable_by(f32::total_cmp);
        let rank = |percent: usize| scores[(scores.len() * percent).div_ceil(100).max(1) - 1];
        let figures = GateFigures {
            threshold: match gates.threshold(gate) {
                // As the user typed it, not as the f32 next to it.
                Threshold::At(threshold) => threshold.to_string().parse().ok(),
                Threshold::Off => None,
            },
            at_least: gate.wants_at_least(),
            scored: scores.len() as u64,
            failed: scores.iter().filter(|score| !gates.passes(gate, **score)).count() as u64,
            dropped: dropped.get(&gate).copied().unwrap_or_default(),
            above_zero: Some(scores.iter().filter(|score| **score > 0.0).count() as u64),
            mean: scores.iter().map(|score| f64::from(*score)).sum::<f64>() / scores.len() as f64,
            quantiles: [0, 5, 50, 95, 100].map(rank),
        };
        (gate.name().to_owned(), figures)
    };
    scores.into_iter().map(figures).collect()
}

/// Words of the texts of one kind: least, 5th, 50th, 95th percentile, greatest.
pub(super) fn quantiles(mut values: Vec<u32>) -> [u32; 5] {
    values.sort_unstable();
    let rank = |percent: usize| values.get((values.len() * percent).div_ceil(100).max(1) - 1).copied().unwrap_or(0);
    [0, 5, 50, 95, 100].map(rank)
}

/// What a side of the dataset holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SideFigures {
    /// Articles with at least one row.
    pub articles: u64,
    /// Notes.
    pub notes: u64,
    /// Instructions.
    pub instructions: u64,
    /// Instructions that the note cannot answer, on purpose.
    pub unanswerable: u64,
    /// Instructions by task.
    pub tasks: BTreeMap<Task, u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_the_nearest_and_nothing_is_zero() {
        assert_eq!(quantiles((1..=100).rev().collect()), [1, 5, 50, 95, 100]);
        assert_eq!(quantiles(vec![7]), [7; 5]);
        assert_eq!(quantiles(Vec::new()), [0; 5]);
    }
}
