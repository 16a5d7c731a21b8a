//! Which of many texts are almost the same: MinHash brings them together, their Jaccard similarity decides.
//!
//! What comes out depends on the texts and their order of precedence alone: not on threads, shards or the order the
//! texts were read in.

use std::num::NonZeroUsize;

use asclepius_text::minhash::{BandPlan, signature};
use asclepius_text::shingles::{jaccard, sequence_set};
use rayon::prelude::*;

/// Words in a sequence: fewer would find phrases every note has, more would miss edited ones.
pub const SEQUENCE_WORDS: NonZeroUsize = NonZeroUsize::new(5).expect("not zero");

/// What is kept of a text: its word sequences, and a hash of each band of their signature.
#[derive(Debug, Clone)]
pub struct Sketch {
    sequences: Box<[u64]>,
    bands: Box<[u32]>,
}

impl Sketch {
    /// The sketch of one text.
    pub fn new(text: &str, plan: BandPlan) -> Self {
        let sequences = sequence_set(text, SEQUENCE_WORDS).into_boxed_slice();
        let bands = plan.hashes(&signature(&sequences));
        Self { sequences, bands }
    }
}

/// The text most like another one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbour {
    /// Its index.
    pub index: usize,
    /// Jaccard similarity of the two, counted over all their sequences.
    pub similarity: f64,
}

/// For every sketch, its nearest neighbour among those that precede it and stay, as far as a band brought the two
/// together; see [`BandPlan`] for how seldom that fails.
///
/// `precedence` lists all indices of `sketches`, first come first. A text stays unless its similarity to one that
/// stays is above `greatest`; with `None` all stay. Of two that are equally near, the preceding one is named.
///
/// # Panics
/// When sketches were made after different plans, or `precedence` is not a permutation of their indices.
pub fn nearest_preceding(sketches: &[Sketch], precedence: &[usize], greatest: Option<f64>) -> Vec<Option<Neighbour>> {
    assert_eq!(sketches.len(), precedence.len(), "every sketch has one place");
    let bands = sketches.first().map_or(0, |sketch| sketch.bands.len());
    let shared: Vec<Buckets> = (0..bands).into_par_iter().map(|band| Buckets::of(sketches, precedence, band)).collect();
    // Texts that stay, by bucket: a great many copies of one text leave one entry, so each is compared once.
    let mut staying: Vec<Vec<Vec<u32>>> = shared.iter().map(|band| vec![Vec::new(); band.count]).collect();
    let mut compared = vec![u32::MAX; sketches.len()];
    let mut nearest = vec![None; sketches.len()];
    for (place, &index) in precedence.iter().enumerate() {
        let mut best: Option<(f64, u32)> = None;
        for (band, staying) in shared.iter().zip(&staying) {
            let Some(bucket) = band.bucket(place) else { continue };
            for &other in &staying[bucket] {
                if std::mem::replace(&mut compared[other as usize], place as u32) == place as u32 {
                    continue;
                }
                let (left, right) = (&sketches[index].sequences, &sketches[precedence[other as usize]].sequences);
                let most = left.len().min(right.len()) as f64 / left.len().max(right.len()).max(1) as f64;
                if best.is_some_and(|(similarity, _)| most < similarity) {
                    continue;
                }
                let similarity = jaccard(left, right);
                let nearer = best.is_none_or(|(known, at)| similarity > known || similarity == known && other < at);
                if nearer {
                    best = Some((similarity, other));
                }
            }
        }
        nearest[index] = best.map(|(similarity, other)| Neighbour { index: precedence[other as usize], similarity });
        let stays = !greatest.is_some_and(|greatest| best.is_some_and(|(similarity, _)| similarity > greatest));
        if stays {
            for (band, staying) in shared.iter().zip(&mut staying) {
                if let Some(bucket) = band.bucket(place) {
                    staying[bucket].push(place as u32);
                }
            }
        }
    }
    nearest
}

/// Which texts share a band, by their place in the order of precedence. Most share none and are in no bucket.
struct Buckets {
    of_place: Vec<u32>,
    count: usize,
}

impl Buckets {
    const NONE: u32 = u32::MAX;

    fn of(sketches: &[Sketch], precedence: &[usize], band: usize) -> Self {
        let mut keyed: Vec<(u32, u32)> = precedence
            .iter()
            .enumerate()
            .filter(|(_, index)| !sketches[**index].sequences.is_empty())
            .map(|(place, &index)| (sketches[index].bands[band], place as u32))
            .collect();
        keyed.sort_unstable();
        let mut buckets = Self { of_place: vec![Self::NONE; precedence.len()], count: 0 };
        for group in keyed.chunk_by(|left, right| left.0 == right.0).filter(|group| group.len() > 1) {
            for (_, place) in group {
                buckets.of_place[*place as usize] = buckets.count as u32;
            }
            buckets.count += 1;
        }
        buckets
    }

    fn bucket(&self, place: usize) -> Option<usize> {
        let bucket = self.of_place[place];
        (bucket != Self::NONE).then_some(bucket as usize)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const THRESHOLD: f64 = 0.8;

    fn sketches(texts: &[String]) -> Vec<Sketch> {
        let plan = BandPlan::for_threshold(THRESHOLD);
        texts.iter().map(|text| Sketch::new(text, plan)).collect()
    }

    /// A text of `words` words of its own, `changed` of them, spread evenly, replaced.
    fn text(words: usize, name: usize, changed: usize) -> String {
        let every = words.checked_div(changed).unwrap_or(usize::MAX);
        let word = |at: usize| if at % every == every - 1 { format!("x{name}y{at}") } else { format!("w{at}") };
        (0..words).map(word).collect::<Vec<_>>().join(" ")
    }

    fn dropped(found: &[Option<Neighbour>]) -> Vec<usize> {
        let above = |neighbour: &Option<Neighbour>| neighbour.is_some_and(|near| near.similarity > THRESHOLD);
        (0..found.len()).filter(|&index| above(&found[index])).collect()
    }

    #[test]
    fn texts_alike_are_dropped_and_others_stay_with_their_true_similarity() {
        // Four words changed of 200, the last among them, touch 16 of 196 sequences: 180/212 are shared.
        let texts = [text(200, 0, 0), text(200, 1, 4), text(200, 2, 6), "something else in few words".to_owned()];
        let found = nearest_preceding(&sketches(&texts), &[0, 1, 2, 3], Some(THRESHOLD));
        assert_eq!(dropped(&found), [1]);
        let near = found[1].expect("found");
        assert_eq!(near.index, 0);
        let sets: Vec<Vec<u64>> = texts.iter().map(|text| sequence_set(text, SEQUENCE_WORDS)).collect();
        assert_eq!(near.similarity, jaccard(&sets[0], &sets[1]));
        assert_eq!(found[3], None);
    }

    #[test]
    fn a_chain_does_not_drop_what_resembles_none_that_stays() {
        // b is like a, and c like b, but c is not like a: with b gone, c is alone.
        let a = text(300, 1, 4);
        let b = text(300, 1, 0);
        let c = text(300, 2, 6);
        let texts = [a, b, c];
        let found = nearest_preceding(&sketches(&texts), &[0, 1, 2], Some(THRESHOLD));
        assert_eq!(dropped(&found), [1]);
        assert_eq!(dropped(&nearest_preceding(&sketches(&texts), &[1, 0, 2], Some(THRESHOLD))), [0, 2]);
    }

    #[test]
    fn texts_without_words_are_never_alike() {
        let texts = [String::new(), "...".to_owned(), String::new()];
        assert_eq!(nearest_preceding(&sketches(&texts), &[0, 1, 2], Some(THRESHOLD)), [None, None, None]);
        assert!(nearest_preceding(&[], &[], None).is_empty());
    }

    #[test]
    fn a_thousand_versions_of_one_text_leave_one() {
        let texts: Vec<String> = (0..1000).map(|name| text(400, name, 1)).collect();
        let order: Vec<usize> = (0..1000).rev().collect();
        let found = nearest_preceding(&sketches(&texts), &order, Some(THRESHOLD));
        assert_eq!(dropped(&found).len(), 999);
        assert_eq!(found[999], None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
        /// Against the definition, worked out over all pairs; few words, so that likeness is common.
        #[test]
        fn what_is_found_is_what_all_pairs_say(
            texts in prop::collection::vec("([ab] ){4,9}", 2..24),
            seed: u64,
        ) {
            let mut order: Vec<usize> = (0..texts.len()).collect();
            order.sort_by_key(|&index| (index as u64 ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let found = nearest_preceding(&sketches(&texts), &order, Some(THRESHOLD));
            let sets: Vec<Vec<u64>> = texts.iter().map(|text| sequence_set(text, SEQUENCE_WORDS)).collect();
            let mut staying: Vec<usize> = Vec::new();
            let mut expected = Vec::new();
            for &index in &order {
                if staying.iter().any(|&other| jaccard(&sets[index], &sets[other]) > THRESHOLD) {
                    expected.push(index);
                } else {
                    staying.push(index);
                }
            }
            expected.sort_unstable();
            prop_assert_eq!(dropped(&found), expected);
            for (index, near) in found.iter().enumerate() {
                if let Some(near) = near {
                    prop_assert_eq!(near.similarity, jaccard(&sets[index], &sets[near.index]));
                }
            }
            for threads in [1, 3] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
                let again = pool.install(|| nearest_preceding(&sketches(&texts), &order, Some(THRESHOLD)));
                prop_assert_eq!(&again, &found);
            }
        }
    }
}
