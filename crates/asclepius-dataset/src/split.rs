//! Training or validation, decided for whole articles: rows of one article never lie on both sides.

use std::collections::{BTreeMap, BTreeSet};

use asclepius_schema::{ArticleId, Split};

/// Where an article falls on `0..1` under `seed`; an article keeps its place whatever else is in the corpus.
pub(crate) fn place(article: &ArticleId, seed: u64) -> f64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"asclepius split 1");
    hasher.update(&seed.to_le_bytes());
    hasher.update(article.as_str().as_bytes());
    let mut head = [0_u8; 8];
    hasher.finalize_xof().fill(&mut head);
    u64::from_le_bytes(head) as f64 / 2_f64.powi(64)
}

/// Assigns every article of `core` and `rest` a side: validation where its place lies below `fraction`.
///
/// Where `fraction` is above 0 and `core` has two articles or more, each side gets at least one of `core`: the one
/// nearest to the border crosses it. Small corpora would otherwise have nothing held out.
pub fn split_articles(
    core: &BTreeSet<ArticleId>,
    rest: &BTreeSet<ArticleId>,
    fraction: f64,
    seed: u64,
) -> BTreeMap<ArticleId, Split> {
    let side = |article: &ArticleId| if place(article, seed) < fraction { Split::Validation } else { Split::Train };
    let mut sides: BTreeMap<ArticleId, Split> =
        core.union(rest).map(|article| (article.clone(), side(article))).collect();
    if fraction <= 0.0 || core.len() < 2 {
        return sides;
    }
    let mut placed: Vec<(f64, &ArticleId)> = core.iter().map(|article| (place(article, seed), article)).collect();
    placed.sort_by(|left, right| left.0.total_cmp(&right.0).then_with(|| left.1.cmp(right.1)));
    let held_out = placed.iter().filter(|(_, article)| sides[*article] == Split::Validation).count();
    if held_out == 0 {
        sides.insert(placed[0].1.clone(), Split::Validation);
    } else if held_out == placed.len() {
        sides.insert(placed[held_out - 1].1.clone(), Split::Train);
    }
    sides
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn articles(numbers: std::ops::Range<u32>) -> BTreeSet<ArticleId> {
        numbers.map(|number| ArticleId::from_pmcid(&number.to_string()).expect("digits")).collect()
    }

    proptest! {
        #[test]
        fn both_sides_are_there_from_two_articles_on(count in 2_u32..30, seed: u64, fraction in 0.01_f64..0.99) {
            let core = articles(0..count);
            let sides = split_articles(&core, &articles(100..110), fraction, seed);
            prop_assert_eq!(sides.len(), core.len() + 10);
            for side in [Split::Train, Split::Validation] {
                prop_assert!(core.iter().any(|article| sides[article] == side));
            }
        }

        #[test]
        fn more_articles_move_none_that_was_not_on_the_border(seed: u64) {
            let few = split_articles(&articles(0..60), &BTreeSet::new(), 0.3, seed);
            let many = split_articles(&articles(0..90), &BTreeSet::new(), 0.3, seed);
            let moved = few.iter().filter(|(article, side)| many[*article] != **side).count();
            prop_assert!(moved <= 1);
        }
    }

    #[test]
    fn the_fraction_is_kept_over_many_articles_and_none_is_none() {
        let many = articles(0..5000);
        let held_out = |fraction| {
            let sides = split_articles(&many, &BTreeSet::new(), fraction, 11);
            sides.values().filter(|&&side| side == Split::Validation).count()
        };
        assert!((400..600).contains(&held_out(0.1)), "{}", held_out(0.1));
        assert_eq!(held_out(0.0), 0);
    }
}
