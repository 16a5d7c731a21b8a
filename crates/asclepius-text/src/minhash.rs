//! MinHash: a short signature of a set, whose equal entries tell how much of two sets is shared.
//!
//! Broder 1997, "On the resemblance and containment of documents": under a random permutation of everything there is,
//! two sets have the same least element with a probability of their Jaccard similarity. [`BandPlan`] cuts a signature
//! into bands whose equality brings two sets together (Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets",
//! section 3.4). What is found that way is a candidate: [`crate::shingles::jaccard`] has the last word.

pub mod binned;

/// Entries of a signature, each under a permutation of its own.
pub const PERMUTATIONS: usize = 128;

/// Entries that are kept in registers while a set goes by.
const TOGETHER: usize = 32;

/// A set's signature.
pub type Signature = [u32; PERMUTATIONS];

/// The signature of a set of hashes; the order of its elements and repetitions do not count. An empty set has the
/// greatest value in every entry.
///
/// Entry `i` is the least value of a permutation of the 32-bit numbers, drawn once and for all: exclusive or with a
/// key, multiply by an odd number, fold, multiply by another, fold. Elements count by 32 bits of their hash.
pub fn signature(set: &[u64]) -> Signature {
    let mut signature = [u32::MAX; PERMUTATIONS];
    // Compiled for each vector width and chosen at run time.
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || fill(set, &mut signature),
    );
    signature
}

#[inline(always)]
fn fill(set: &[u64], signature: &mut Signature) {
    for (block, least) in signature.chunks_exact_mut(TOGETHER).enumerate() {
        let keys: [[u32; 2]; TOGETHER] = std::array::from_fn(|lane| KEYS[block * TOGETHER + lane]);
        let mut lanes = [u32::MAX; TOGETHER];
        for element in set {
            let element = (element ^ (element >> 32)) as u32;
            for (lane, [key, odd]) in lanes.iter_mut().zip(&keys) {
                let mut value = (element ^ key).wrapping_mul(*odd);
                value ^= value >> 15;
                value = value.wrapping_mul(0x846c_a68b);
                value ^= value >> 16;
                *lane = (*lane).min(value);
            }
        }
        least.copy_from_slice(&lanes);
    }
}

/// A key and an odd multiplier for each permutation: successive outputs of SplitMix64 from a fixed start.
const KEYS: [[u32; 2]; PERMUTATIONS] = {
    let mut keys = [[0; 2]; PERMUTATIONS];
    let mut state = 0x6173_636c_6570_6975_u64;
    let mut index = 0;
    while index < PERMUTATIONS {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut drawn = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        drawn = (drawn ^ (drawn >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        drawn ^= drawn >> 31;
        keys[index] = [(drawn >> 32) as u32, drawn as u32 | 1];
        index += 1;
    }
    keys
};

/// How a signature is cut: `bands` of `rows` entries each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BandPlan {
    /// How many bands.
    pub bands: usize,
    /// Entries in each.
    pub rows: usize,
}

/// The greatest probability with which a pair at the threshold may be missed.
pub const MISSED: f64 = 1e-3;

impl BandPlan {
    /// The plan with the longest bands, and so the fewest candidates, that misses a pair as similar as `threshold`
    /// with a probability of at most [`MISSED`]; pairs more similar are missed more rarely still.
    pub fn for_threshold(threshold: f64) -> Self {
        let plan = |rows| Self { bands: PERMUTATIONS / rows, rows };
        (1..=PERMUTATIONS).rev().map(plan).find(|plan| plan.missed(threshold) <= MISSED).unwrap_or(plan(1))
    }

    /// The probability that a pair of this similarity has no band in common: (1 - s^rows)^bands.
    pub fn missed(self, similarity: f64) -> f64 {
        (1.0 - similarity.powi(self.rows as i32)).powi(self.bands as i32)
    }

    /// A hash of each band. Two signatures with equal bands have equal hashes; the reverse holds but for chance.
    pub fn hashes(self, signature: &Signature) -> Box<[u32]> {
        let band = |entries: &[u32]| {
            let fold = |hash: u64, &entry: &u32| (hash.rotate_left(29) ^ u64::from(entry)).wrapping_mul(MULTIPLIER);
            (entries.iter().fold(0, fold) >> 32) as u32
        };
        signature.chunks_exact(self.rows).take(self.bands).map(band).collect()
    }
}

const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::*;

    fn set(range: std::ops::Range<u64>) -> Vec<u64> {
        range.map(|n| n.wrapping_mul(0xd6e8_feb8_6659_fd93).rotate_left(31).wrapping_mul(MULTIPLIER)).collect()
    }

    #[test]
    fn equal_entries_estimate_the_similarity_without_bias() {
        // Over many pairs, so that the mean is known closely: 128 entries x 60 pairs, standard error about 0.006.
        for shared in [20, 50, 80] {
            let mut equal = 0;
            for pair in 0..60_u64 {
                let from = pair * 1_000;
                let (left, right) = (set(from..from + 100), set(from + 100 - shared..from + 200 - shared));
                let (left, right) = (signature(&left), signature(&right));
                equal += left.iter().zip(&right).filter(|(a, b)| a == b).count();
            }
            let (estimate, truth) = (equal as f64 / (60.0 * 128.0), shared as f64 / (200 - shared) as f64);
            assert!((estimate - truth).abs() < 0.025, "{shared}: {estimate} for {truth}");
        }
    }

    #[test]
    fn order_and_repetition_do_not_count_and_permutations_differ() {
        let forward = set(0..300);
        let mut other: Vec<u64> = forward.iter().rev().copied().collect();
        other.extend_from_slice(&forward[..10]);
        assert_eq!(signature(&forward), signature(&other));
        assert_eq!(signature(&[]), [u32::MAX; PERMUTATIONS]);
        let mut least: Vec<u32> = signature(&forward).to_vec();
        least.sort_unstable();
        least.dedup();
        assert!(least.len() > 120, "permutations share their least elements");
    }

    #[test]
    fn plans_keep_what_they_promise() {
        for percent in 50..=99 {
            let threshold = f64::from(percent) / 100.0;
            let plan = BandPlan::for_threshold(threshold);
            assert!(plan.bands * plan.rows <= PERMUTATIONS && plan.missed(threshold) <= MISSED);
            assert!(plan.missed(threshold + 0.01) < plan.missed(threshold));
        }
        assert_eq!(BandPlan::for_threshold(0.8), BandPlan { bands: 25, rows: 5 });
    }

    #[test]
    fn bands_agree_where_entries_do() {
        let plan = BandPlan::for_threshold(0.8);
        let mut changed = signature(&set(0..50));
        let hashes = plan.hashes(&changed);
        changed[7] ^= 1;
        let other = plan.hashes(&changed);
        let differing: Vec<usize> = (0..plan.bands).filter(|&band| hashes[band] != other[band]).collect();
        assert_eq!(differing, [7 / plan.rows]);
    }
}
