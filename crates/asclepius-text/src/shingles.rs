//! Texts as sets of word sequences ("shingles"), each a 64-bit hash, so that the overlap of many texts can be counted.
//!
//! Words are those of [`crate::score::words`]: lower case, no punctuation, numbers whole. The hashes are defined here
//! and stay what they are from one release to the next, since what is dropped depends on them.

use std::num::NonZeroUsize;

/// Two different sequences get the same hash with a probability of about 2^-64.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Hashes of a text's words, in order: FNV-1a over the lower-case bytes, then mixed.
pub fn word_hashes(text: &str) -> Vec<u64> {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let bytes = text.as_bytes();
    let mut hashes = Vec::with_capacity(text.len() / 6);
    let mut word: Option<u64> = None;
    let add = |word: Option<u64>, byte: u8| Some((word.unwrap_or(OFFSET) ^ u64::from(byte)).wrapping_mul(PRIME));
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        if byte.is_ascii() {
            // A point or comma between two digits belongs to the number.
            let in_number = || {
                matches!(byte, b'.' | b',')
                    && at.checked_sub(1).is_some_and(|before| bytes[before].is_ascii_digit())
                    && bytes.get(at + 1).is_some_and(u8::is_ascii_digit)
            };
            if byte.is_ascii_alphanumeric() || in_number() {
                word = add(word, byte.to_ascii_lowercase());
            } else if let Some(hash) = word.take() {
                hashes.push(mixed(hash));
            }
            at += 1;
            continue;
        }
        let character = text[at..].chars().next().expect("a byte that is not ASCII begins a character here");
        if character.is_alphanumeric() {
            let mut buffer = [0; 4];
            for lower in character.to_lowercase() {
                for &byte in lower.encode_utf8(&mut buffer).as_bytes() {
                    word = add(word, byte);
                }
            }
        } else if let Some(hash) = word.take() {
            hashes.push(mixed(hash));
        }
        at += character.len_utf8();
    }
    hashes.extend(word.map(mixed));
    hashes
}

/// Hashes of every sequence of `words` words of the text, in order and with repetitions; none in a shorter text.
pub fn sequences(text: &str, words: NonZeroUsize) -> Vec<u64> {
    word_hashes(text).windows(words.get()).map(sequence).collect()
}

/// The distinct sequences of `words` words of the text, sorted. A text that has words, but fewer than that, is one
/// sequence of them all, so that it can still be told from others.
pub fn sequence_set(text: &str, words: NonZeroUsize) -> Vec<u64> {
    let hashes = word_hashes(text);
    let mut set: Vec<u64> = match hashes.len() {
        0 => Vec::new(),
        count if count < words.get() => vec![sequence(&hashes)],
        _ => hashes.windows(words.get()).map(sequence).collect(),
    };
    set.sort_unstable();
    set.dedup();
    set
}

/// How many elements two sorted sets share.
pub fn common(left: &[u64], right: &[u64]) -> usize {
    let (mut at, mut other, mut common) = (0, 0, 0);
    // Without a branch on which is smaller: that one is right half of the time, and a wrong guess costs more than both.
    while at < left.len() && other < right.len() {
        let (a, b) = (left[at], right[other]);
        common += usize::from(a == b);
        at += usize::from(a <= b);
        other += usize::from(b <= a);
    }
    common
}

/// Jaccard similarity of two sorted sets: shared elements over all elements; 0 for two empty ones, which say nothing.
pub fn jaccard(left: &[u64], right: &[u64]) -> f64 {
    let shared = common(left, right);
    match left.len() + right.len() - shared {
        0 => 0.0,
        all => shared as f64 / all as f64,
    }
}

fn sequence(words: &[u64]) -> u64 {
    // Rotated, so that the order of words counts.
    mixed(words.iter().fold(words.len() as u64, |hash, word| (hash.rotate_left(23) ^ word).wrapping_mul(MULTIPLIER)))
}

/// Spreads every bit over all others (the finaliser of MurmurHash3).
fn mixed(mut hash: u64) -> u64 {
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashMap};

    use proptest::prelude::*;

    use super::*;
    use crate::score::words;

    const TWO: NonZeroUsize = NonZeroUsize::new(2).expect("not zero");

    #[test]
    fn what_is_dropped_does_not_change_with_a_release() {
        // Signatures and what they find hang on these numbers.
        assert_eq!(word_hashes("Hb 9.5"), word_hashes("hb, 9.5."));
        let hashes = word_hashes("Hb 9.5 g/dL");
        assert_eq!(hashes.len(), 4);
        assert_eq!(mixed(1), 0xb456_bcfc_34c2_cb2c);
    }

    #[test]
    fn overlap_is_counted_over_sets() {
        let left = sequence_set("fever and cough, fever and chills", TWO);
        assert_eq!(left.len(), 4, "`fever and` counts once");
        let right = sequence_set("Fever and rash", TWO);
        assert_eq!(common(&left, &right), 1);
        assert!((jaccard(&left, &right) - 1.0 / 5.0).abs() < 1e-12);
        assert_eq!(jaccard(&[], &[]), 0.0);
        assert_eq!(sequence_set("fever", TWO).len(), 1);
        assert!(sequences("fever", TWO).is_empty());
        assert_ne!(sequences("a b", TWO), sequences("b a", TWO));
    }

    proptest! {
        #[test]
        fn hashed_words_are_the_words(text in "[a-cA-C0-2.,; ßİé\u{300}-]{0,24}") {
            let (words, hashes) = (words(&text), word_hashes(&text));
            prop_assert_eq!(words.len(), hashes.len(), "{:?}", words);
            let mut known: HashMap<u64, &str> = HashMap::new();
            for (word, hash) in words.iter().zip(&hashes) {
                prop_assert_eq!(*known.entry(*hash).or_insert(word), word);
            }
            let distinct: BTreeSet<&String> = words.iter().collect();
            prop_assert_eq!(distinct.len(), known.len());
        }

        #[test]
        fn merging_counts_what_sets_share(a in prop::collection::btree_set(0_u64..40, 0..30), b in prop::collection::btree_set(0_u64..40, 0..30)) {
            let shared = a.intersection(&b).count();
            let (a, b): (Vec<u64>, Vec<u64>) = (a.into_iter().collect(), b.into_iter().collect());
            prop_assert_eq!(common(&a, &b), shared);
            prop_assert_eq!(jaccard(&a, &b), jaccard(&b, &a));
        }
    }
}
