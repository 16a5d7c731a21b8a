//! A signature from one permutation: quick to make and small to keep, for a stream of texts that is read once.
//!
//! A text's shingles (runs of five words) are hashed once and fall into bins; each bin keeps its least hash (one
//! permutation hashing, Li et al., NeurIPS 2012; empty bins borrow, Shrivastava and Li, ICML 2014). The share of bins
//! that agree estimates the Jaccard similarity of the shingles, with a standard error of about 0.05. That is one hash a
//! word and 88 bytes a text, where [`super::signature`] takes 128 hashes a word and finds what it looks for with a stated
//! probability: articles go by once and are many, the notes of a dataset are at hand to be compared for sure.

/// Bins of a signature.
pub const BINS: usize = 64;
/// Words of a shingle.
const SHINGLE: usize = 5;
/// Groups of bins by which candidates are found, and bins of each.
pub const BANDS: usize = 6;
const ROWS: usize = 3;

/// What is kept of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    /// The lowest byte of each bin's least hash.
    pub bins: [u8; BINS],
    /// A hash of the bins of each band, whole.
    pub bands: [u32; BANDS],
}

/// A multiplication that mixes well (the finaliser of SplitMix64).
#[inline]
fn mix(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

impl Signature {
    /// The signature of several texts taken together.
    pub fn of<'t>(texts: impl Iterator<Item = &'t str>) -> Self {
        const EMPTY: u32 = u32::MAX;
        let mut least = [EMPTY; BINS];
        let mut window = [0_u64; SHINGLE];
        let mut words = 0_usize;
        let mut add = |hash: u64, least: &mut [u32; BINS]| {
            words += 1;
            window.rotate_left(1);
            window[SHINGLE - 1] = hash;
            // The first words count as a shingle of their own, so that no text is without any.
            if words >= SHINGLE || words == 1 {
                let shingle = window.iter().fold(0_u64, |all, word| mix(all.rotate_left(5) ^ word));
                let bin = (shingle >> 58) as usize;
                least[bin] = least[bin].min((shingle as u32).min(EMPTY - 1));
            }
        };
        for text in texts {
            let mut hash = 0_u64;
            for byte in text.bytes() {
                if byte.is_ascii_alphanumeric() || byte >= 0xc3 {
                    hash = (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0000_0100_0000_01b3);
                    hash = hash.rotate_left(23);
                } else if byte < 0x80 && hash != 0 {
                    add(hash, &mut least);
                    hash = 0;
                }
            }
            if hash != 0 {
                add(hash, &mut least);
            }
        }
        let borrowed: [u32; BINS] = std::array::from_fn(|bin| {
            let from = (0..BINS).find(|step| least[(bin + step) % BINS] != EMPTY).unwrap_or(0);
            let value = least[(bin + from) % BINS];
            if from == 0 { value } else { mix(u64::from(value) ^ (from as u64) << 32) as u32 }
        });
        let bands = std::array::from_fn(|band| {
            borrowed[band * ROWS..(band + 1) * ROWS]
                .iter()
                .fold(band as u64 + 1, |all, bin| mix(all.rotate_left(17) ^ u64::from(*bin))) as u32
        });
        Self { bins: borrowed.map(|bin| bin as u8), bands }
    }
}

/// The share of bins that agree.
#[inline]
pub fn similarity(one: &[u8; BINS], other: &[u8; BINS]) -> f64 {
    let agreeing = one.iter().zip(other).filter(|(one, other)| one == other).count();
    agreeing as f64 / BINS as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `count` words, of which every `every`-th is another one in each `version`.
    fn text(count: usize, every: usize, version: usize) -> String {
        let word = |at: usize| {
            if every > 0 && at.is_multiple_of(every) { format!("other{version}x{at}") } else { format!("word{at}") }
        };
        (0..count).map(word).collect::<Vec<_>>().join(" ")
    }

    fn alike(one: &str, other: &str) -> f64 {
        similarity(&Signature::of([one].into_iter()).bins, &Signature::of([other].into_iter()).bins)
    }

    #[test]
    fn estimates_are_near_the_jaccard_similarity() {
        for (count, every) in [(600_usize, 0_usize), (600, 120), (600, 40), (600, 15), (120, 60)] {
            let changed = (count.checked_div(every).unwrap_or(0) * SHINGLE) as f64;
            let shingles = (count - SHINGLE + 1) as f64;
            let expected = (shingles - changed) / (shingles + changed);
            let found = alike(&text(count, every, 1), &text(count, every, 2));
            assert!((found - expected).abs() < 0.17, "{count} words, every {every}: {found} for {expected}");
        }
        assert!(alike(&text(600, 1, 1), &text(600, 1, 2)) < 0.1);
    }

    #[test]
    fn what_is_nearly_the_same_shares_a_band() {
        for version in 2..40 {
            let one = Signature::of([text(600, 100, 1).as_str()].into_iter());
            let other = Signature::of([text(600, 100, version).as_str()].into_iter());
            assert!(one.bands.iter().zip(&other.bands).any(|(one, other)| one == other), "{version}");
        }
        let plain = Signature::of(["A man, 45; came: home today.\n\nHe left"].into_iter());
        assert_eq!(plain, Signature::of(["a MAN 45 came home", "today he left"].into_iter()));
    }
}
