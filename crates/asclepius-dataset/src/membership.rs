//! What published notes give away about the reports behind them: an attack on membership, and how well it does.
//!
//! Synthetic notes are no anonymous data: whoever holds a report may find out that it was among those the notes were
//! written from. The attack here is the plain one. A report's score is its overlap with the note most like it; reports
//! behind the published notes (members) are then told from reports that nothing published was written from.

use std::collections::HashMap;
use std::num::NonZeroUsize;

use asclepius_text::shingles::sequence_set;
use rustc_hash::FxBuildHasher;
use serde::{Deserialize, Serialize};

/// Words in a sequence: shorter ones are everybody's, longer ones survive only in copies.
pub const SEQUENCE_WORDS: NonZeroUsize = NonZeroUsize::new(4).expect("not zero");

/// Reports of each kind that the attack is tried on, at most: enough for a standard error of about 0.01.
pub const MOST_REPORTS: usize = 2_000;

/// How well reports behind the notes are told from others.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Membership {
    /// Reports tried that notes were written from.
    pub members: u64,
    /// Reports tried that no published note was written from.
    pub non_members: u64,
    /// Words in a sequence; see [`SEQUENCE_WORDS`].
    pub sequence_words: u64,
    /// Mean score of the members.
    pub member_overlap: f64,
    /// Mean score of the others.
    pub non_member_overlap: f64,
    /// Probability that a member scores above another report, a tie counting half: 0.5 is guessing, 1 is certainty.
    pub auc: f64,
    /// Standard error of `auc`, after Hanley and McNeil 1982.
    pub auc_standard_error: f64,
    /// Membership advantage (Yeom et al. 2018): true less false positive rate, at the best threshold.
    pub advantage: f64,
}

/// Reports under attack, fed with the published notes one by one.
#[derive(Debug)]
pub struct Attack {
    /// Whether each report is a member.
    member: Vec<bool>,
    /// The reports that hold a sequence.
    holders: HashMap<u64, Vec<u32>, FxBuildHasher>,
}

impl Attack {
    /// The reports, each with whether a published note was written from it.
    pub fn new<'a>(reports: impl IntoIterator<Item = (&'a str, bool)>) -> Self {
        let mut attack = Self { member: Vec::new(), holders: HashMap::default() };
        for (report, member) in reports {
            let index = attack.member.len() as u32;
            attack.member.push(member);
            for sequence in sequence_set(report, SEQUENCE_WORDS) {
                attack.holders.entry(sequence).or_default().push(index);
            }
        }
        attack
    }

    /// What one note says about each report it shares anything with: the share of the note's distinct sequences that
    /// the report holds, too.
    pub fn overlaps(&self, note: &str) -> Vec<(u32, f64)> {
        let sequences = sequence_set(note, SEQUENCE_WORDS);
        let mut shared: HashMap<u32, u32, FxBuildHasher> = HashMap::default();
        for holder in sequences.iter().filter_map(|sequence| self.holders.get(sequence)).flatten() {
            *shared.entry(*holder).or_default() += 1;
        }
        shared.into_iter().map(|(report, count)| (report, f64::from(count) / sequences.len() as f64)).collect()
    }

    /// No report resembles any note so far.
    pub fn scores(&self) -> Vec<f64> {
        vec![0.0; self.member.len()]
    }

    /// How well these scores, the greatest overlap of each report with any note, tell the two kinds apart; `None` where
    /// one kind is missing.
    pub fn outcome(&self, scores: &[f64]) -> Option<Membership> {
        let of = |member: bool| -> Vec<f64> {
            scores.iter().zip(&self.member).filter(|(_, is)| **is == member).map(|(score, _)| *score).collect()
        };
        let (members, others) = (of(true), of(false));
        if members.is_empty() || others.is_empty() {
            return None;
        }
        let (auc, advantage) = area_and_advantage(&members, &others);
        let mean = |scores: &[f64]| scores.iter().sum::<f64>() / scores.len() as f64;
        Some(Membership {
            members: members.len() as u64,
            non_members: others.len() as u64,
            sequence_words: SEQUENCE_WORDS.get() as u64,
            member_overlap: mean(&members),
            non_member_overlap: mean(&others),
            auc,
            auc_standard_error: standard_error(auc, members.len() as f64, others.len() as f64),
            advantage,
        })
    }
}

/// Keeps the greatest overlap of each report.
pub fn keep_greatest(scores: &mut [f64], overlaps: &[(u32, f64)]) {
    for (report, overlap) in overlaps {
        let score = &mut scores[*report as usize];
        *score = score.max(*overlap);
    }
}

/// Area under the ROC curve by the rank-sum statistic, ties halved, and the greatest distance of the curve from the
/// diagonal.
fn area_and_advantage(members: &[f64], others: &[f64]) -> (f64, f64) {
    let mut all: Vec<(f64, bool)> =
        members.iter().map(|&score| (score, true)).chain(others.iter().map(|&score| (score, false))).collect();
    all.sort_by(|left, right| right.0.total_cmp(&left.0));
    let (total, total_others) = (members.len() as f64, others.len() as f64);
    let (mut above, mut above_others) = (0.0, 0.0);
    let (mut pairs, mut advantage) = (0.0, 0.0_f64);
    for tied in all.chunk_by(|left, right| left.0 == right.0) {
        let here = tied.iter().filter(|(_, member)| *member).count() as f64;
        let here_others = tied.len() as f64 - here;
        pairs += here_others * (above + here / 2.0);
        above += here;
        above_others += here_others;
        advantage = advantage.max(above / total - above_others / total_others);
    }
    (pairs / (total * total_others), advantage)
}

/// Hanley and McNeil 1982, "The meaning and use of the area under a ROC curve", equation 2.
fn standard_error(auc: f64, members: f64, others: f64) -> f64 {
    let (q1, q2) = (auc / (2.0 - auc), 2.0 * auc * auc / (1.0 + auc));
    let square = auc * auc;
    let variance =
        (auc * (1.0 - auc) + (members - 1.0) * (q1 - square) + (others - 1.0) * (q2 - square)) / (members * others);
    variance.max(0.0).sqrt()
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use proptest::prelude::*;

    use super::*;

    fn attack(reports: &[(String, bool)], notes: &[String]) -> Option<Membership> {
        let attack = Attack::new(reports.iter().map(|(report, member)| (report.as_str(), *member)));
        let mut scores = attack.scores();
        for note in notes {
            keep_greatest(&mut scores, &attack.overlaps(note));
        }
        attack.outcome(&scores)
    }

    fn words(name: usize, count: usize) -> String {
        (0..count).map(|at| format!("w{name}x{at}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn copies_give_every_member_away_and_unrelated_notes_give_nothing() {
        let reports: Vec<(String, bool)> = (0..40).map(|name| (words(name, 60), name < 20)).collect();
        let copies: Vec<String> = (0..20).map(|name| format!("HPI: {}", words(name, 40))).collect();
        let certain = attack(&reports, &copies).expect("both kinds");
        assert_eq!((certain.auc, certain.advantage, certain.auc_standard_error), (1.0, 1.0, 0.0));
        assert!(certain.member_overlap > 0.9 && certain.non_member_overlap == 0.0);
        let others: Vec<String> = (100..120).map(|name| words(name, 40)).collect();
        let guess = attack(&reports, &others).expect("both kinds");
        assert_eq!((guess.auc, guess.advantage), (0.5, 0.0));
        assert!((guess.auc_standard_error - 0.0918).abs() < 5e-3, "{}", guess.auc_standard_error);
        assert_eq!(attack(&reports[..20], &copies), None);
    }

    #[test]
    fn the_nearest_note_counts_whichever_it_is() {
        let reports = [(words(0, 60), true), (words(1, 60), false)];
        let near = format!("{} {}", words(0, 20), words(7, 20));
        let nearer = words(0, 30);
        for notes in [[near.clone(), nearer.clone()], [nearer, near]] {
            assert_eq!(attack(&reports, &notes).expect("both kinds").member_overlap, 1.0);
        }
    }

    proptest! {
        #[test]
        fn area_and_advantage_are_what_their_definitions_say(
            members in prop::collection::vec(0_u8..6, 1..12),
            others in prop::collection::vec(0_u8..6, 1..12),
        ) {
            let floats = |values: &[u8]| -> Vec<f64> { values.iter().map(|&value| f64::from(value)).collect() };
            let (auc, advantage) = area_and_advantage(&floats(&members), &floats(&others));
            let mut wins = 0.0;
            for member in &members {
                for other in &others {
                    wins += match member.cmp(other) {
                        Ordering::Greater => 1.0,
                        Ordering::Equal => 0.5,
                        Ordering::Less => 0.0,
                    };
                }
            }
            prop_assert!((auc - wins / (members.len() * others.len()) as f64).abs() < 1e-12);
            let rate = |values: &[u8], at: u8| values.iter().filter(|&&v| v >= at).count() as f64 / values.len() as f64;
            let best = (0..=6).map(|at| rate(&members, at) - rate(&others, at)).fold(0.0, f64::max);
            prop_assert!((advantage - best).abs() < 1e-12);
        }
    }
}
