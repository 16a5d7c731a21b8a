//! The order of an epoch: a function of (seed, epoch) alone, so that any step of a run can be addressed without
//! having walked there.

/// `0..length` in the order of `epoch` under `seed`: indices sorted by a BLAKE3 keystream of the two.
pub fn permutation(length: usize, seed: u64, epoch: u64) -> Vec<usize> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"asclepius shuffle 1");
    hasher.update(&seed.to_le_bytes());
    hasher.update(&epoch.to_le_bytes());
    let mut stream = hasher.finalize_xof();
    let mut keyed: Vec<(u64, usize)> = (0..length)
        .map(|index| {
            let mut key = [0_u8; 8];
            stream.fill(&mut key);
            (u64::from_le_bytes(key), index)
        })
        .collect();
    keyed.sort_unstable();
    keyed.into_iter().map(|(_, index)| index).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_is_a_permutation_that_depends_on_seed_and_epoch_only() {
        let first = permutation(100, 7, 0);
        assert_eq!(first, permutation(100, 7, 0));
        assert_ne!(first, permutation(100, 7, 1));
        assert_ne!(first, permutation(100, 8, 0));
        let mut sorted = first;
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn the_order_is_pinned_so_that_an_old_run_can_be_resumed_by_a_new_binary() {
        assert_eq!(permutation(8, 0, 0), [0, 1, 7, 5, 2, 3, 4, 6]);
    }
}
