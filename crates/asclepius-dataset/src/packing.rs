//! Documents laid into sequences of bounded length. No padding is made, and every token lies in exactly one sequence.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How documents become sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Packing {
    /// Whole documents side by side, best fit first; attention and positions stay inside a document.
    #[default]
    Documents,
    /// All documents end to end, cut every `sequence_length` tokens; attention crosses documents, as in the paper.
    Stream,
    /// One document a sequence.
    None,
}

/// A stretch of one document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Index of the document.
    pub document: usize,
    /// First token.
    pub start: usize,
    /// One past the last token.
    pub end: usize,
}

impl Piece {
    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether there is no token.
    pub fn is_empty(&self) -> bool {
        self.end == self.start
    }
}

/// What one slot of a batch holds: at most `sequence_length` tokens.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sequence {
    /// Stretches of documents in the order they are laid down.
    pub pieces: Vec<Piece>,
}

impl Sequence {
    /// Number of tokens.
    pub fn tokens(&self) -> usize {
        self.pieces.iter().map(Piece::len).sum()
    }
}

/// Packs documents of the given lengths, visited in `order`, into sequences of at most `sequence_length` tokens.
///
/// `order` is a permutation of the documents' indices. Except under [`Packing::Stream`] no length may exceed
/// `sequence_length` ([`crate::Plan::new`] checks). How many sequences come out does not depend on `order`.
pub fn pack(lengths: &[usize], order: &[usize], sequence_length: usize, packing: Packing) -> Vec<Sequence> {
    match packing {
        Packing::Documents => best_fit(lengths, order, sequence_length),
        Packing::Stream => stream(lengths, order, sequence_length),
        Packing::None => order
            .iter()
            .filter(|&&document| lengths[document] > 0)
            .map(|&document| Sequence { pieces: vec![Piece { document, start: 0, end: lengths[document] }] })
            .collect(),
    }
}

/// Best fit decreasing: longest first (ties in the given order), each into the fullest sequence that still has room.
fn best_fit(lengths: &[usize], order: &[usize], sequence_length: usize) -> Vec<Sequence> {
    let mut longest_first = order.to_vec();
    longest_first.sort_by_key(|&document| std::cmp::Reverse(lengths[document]));
    let mut sequences: Vec<Sequence> = Vec::new();
    // Room left -> the sequences that have exactly so much.
    let mut open: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for document in longest_first {
        let length = lengths[document];
        if length == 0 {
            continue;
        }
        let fullest = open.range(length..).next().map(|(&room, _)| room);
        let (slot, room) = if let Some(room) = fullest {
            let slots = open.get_mut(&room).expect("the key was just found");
            let slot = slots.pop().expect("emptied entries are removed");
            if slots.is_empty() {
                open.remove(&room);
            }
            (slot, room)
        } else {
            sequences.push(Sequence::default());
            (sequences.len() - 1, sequence_length)
        };
        sequences[slot].pieces.push(Piece { document, start: 0, end: length });
        open.entry(room - length).or_default().push(slot);
    }
    sequences
}

fn stream(lengths: &[usize], order: &[usize], sequence_length: usize) -> Vec<Sequence> {
    let total: usize = lengths.iter().sum();
    let mut cuts = cuts(total, sequence_length).into_iter();
    let mut sequences = Vec::new();
    let mut current = Sequence::default();
    let mut room = cuts.next().unwrap_or(0);
    for &document in order {
        let mut start = 0;
        while start < lengths[document] {
            let end = lengths[document].min(start + room);
            current.pieces.push(Piece { document, start, end });
            room -= end - start;
            start = end;
            if room == 0 {
                sequences.push(std::mem::take(&mut current));
                room = cuts.next().unwrap_or(0);
            }
        }
    }
    sequences
}

/// Lengths that cut `total` tokens into stretches of `longest`, the last one shorter. A last stretch of a single
/// token would have nothing to predict, so it takes one from its neighbour.
pub fn cuts(total: usize, longest: usize) -> Vec<usize> {
    let mut lengths = vec![longest; total / longest];
    match (total % longest, lengths.last_mut()) {
        (0, _) => {}
        (1, Some(last)) if *last > 2 => {
            *last -= 1;
            lengths.push(2);
        }
        (rest, _) => lengths.push(rest),
    }
    lengths
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::shuffle::permutation;

    fn spread(sequences: &[Sequence], lengths: &[usize]) -> Vec<Vec<u32>> {
        let mut seen: Vec<Vec<u32>> = lengths.iter().map(|&length| vec![0; length]).collect();
        for piece in sequences.iter().flat_map(|sequence| &sequence.pieces) {
            seen[piece.document][piece.start..piece.end].iter_mut().for_each(|count| *count += 1);
        }
        seen
    }

    proptest! {
        #[test]
        fn every_token_lies_in_exactly_one_sequence_and_none_overflows(
            lengths in prop::collection::vec(1_usize..33, 0..60), seed: u64, epoch in 0_u64..5,
        ) {
            for packing in [Packing::Documents, Packing::Stream, Packing::None] {
                let sequences = pack(&lengths, &permutation(lengths.len(), seed, epoch), 32, packing);
                prop_assert!(spread(&sequences, &lengths).iter().flatten().all(|&count| count == 1));
                prop_assert!(sequences.iter().all(|sequence| (1..=32).contains(&sequence.tokens())));
                let other = pack(&lengths, &permutation(lengths.len(), seed, epoch + 1), 32, packing);
                prop_assert_eq!(sequences.len(), other.len());
            }
        }

        #[test]
        fn documents_are_never_cut_and_no_two_sequences_could_have_been_one(
            lengths in prop::collection::vec(1_usize..33, 1..60), seed: u64,
        ) {
            let sequences = pack(&lengths, &permutation(lengths.len(), seed, 0), 32, Packing::Documents);
            for piece in sequences.iter().flat_map(|sequence| &sequence.pieces) {
                prop_assert_eq!((piece.start, piece.end), (0, lengths[piece.document]));
            }
            let mut tokens: Vec<usize> = sequences.iter().map(Sequence::tokens).collect();
            tokens.sort_unstable();
            prop_assert!(tokens.len() < 2 || tokens[0] + tokens[1] > 32);
        }

        #[test]
        fn a_stream_is_full_but_for_its_end(lengths in prop::collection::vec(0_usize..90, 1..40), seed: u64) {
            let total: usize = lengths.iter().sum();
            let sequences = pack(&lengths, &permutation(lengths.len(), seed, 0), 32, Packing::Stream);
            prop_assert_eq!(sequences.len(), total.div_ceil(32));
            let short = sequences.iter().rev().skip(1).filter(|sequence| sequence.tokens() != 32).count();
            prop_assert_eq!(short, usize::from(total % 32 == 1 && total > 32));
        }
    }

    #[test]
    fn a_single_token_is_never_left_alone_behind_others() {
        assert_eq!(cuts(9, 4), [4, 3, 2]);
        assert_eq!(cuts(8, 4), [4, 4]);
        assert_eq!(cuts(10, 4), [4, 4, 2]);
        assert_eq!(cuts(1, 4), [1]);
        assert_eq!(cuts(0, 4), Vec::<usize>::new());
    }
}
