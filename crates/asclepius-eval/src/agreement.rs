//! How far raters agree beyond chance, on an ordered scale.
//!
//! Krippendorff's alpha (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability") takes any number of raters and
//! items that some left out. Cohen's kappa with quadratic weights (Cohen 1968) is for two raters, Fleiss' kappa (Fleiss
//! 1971) for items that were all rated equally often. None is defined where every rating is the same.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// One item's ratings, by rater; `None` where a rater left it out.
pub type Item = Vec<Option<u8>>;

/// What raters said on one scale, and how far they agree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    /// Items at least one rater rated.
    pub items: usize,
    /// Items at least two raters rated: only these say anything about agreement.
    pub items_compared: usize,
    /// Raters who rated anything.
    pub raters: usize,
    /// Ratings in all.
    pub ratings: usize,
    /// Mean rating.
    pub mean: Option<f64>,
    /// Share of pairs of ratings of one item that are equal; each item counts once.
    pub exact: Option<f64>,
    /// Krippendorff's alpha for ordered values.
    pub krippendorff_alpha: Option<f64>,
    /// Cohen's kappa with quadratic weights, where two raters rated.
    pub cohen_kappa: Option<f64>,
    /// Fleiss' kappa, which takes values as unordered, where all compared items have the same number of ratings.
    pub fleiss_kappa: Option<f64>,
}

impl Agreement {
    /// The agreement over `items`, each with one place a rater.
    pub fn over(items: &[Item]) -> Self {
        let rated: Vec<Vec<u8>> = items
            .iter()
            .map(|item| item.iter().flatten().copied().collect())
            .filter(|item: &Vec<u8>| !item.is_empty())
            .collect();
        let compared: Vec<Vec<u8>> = rated.iter().filter(|item| item.len() > 1).cloned().collect();
        let places = items.iter().map(Vec::len).max().unwrap_or(0);
        let active: Vec<usize> = (0..places)
            .filter(|&rater| items.iter().any(|item| item.get(rater).copied().flatten().is_some()))
            .collect();
        let all: Vec<f64> = rated.iter().flatten().map(|&value| f64::from(value)).collect();
        let cohen_kappa = match active[..] {
            [one, other] => {
                let pairs: Vec<(u8, u8)> =
                    items.iter().filter_map(|item| Some(((*item.get(one)?)?, (*item.get(other)?)?))).collect();
                cohen_kappa(&pairs)
            }
            _ => None,
        };
        Self {
            items: rated.len(),
            items_compared: compared.len(),
            raters: active.len(),
            ratings: all.len(),
            mean: mean(&all),
            exact: mean(&compared.iter().map(|item| equal_pairs(item)).collect::<Vec<_>>()),
            krippendorff_alpha: krippendorff_alpha(&compared),
            cohen_kappa,
            fleiss_kappa: fleiss_kappa(&compared),
        }
    }
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The values that occur, in order.
fn categories(items: &[Vec<u8>]) -> Vec<u8> {
    items.iter().flatten().copied().collect::<BTreeSet<u8>>().into_iter().collect()
}

fn equal_pairs(item: &[u8]) -> f64 {
    let pairs_of = |count: usize| count * count.saturating_sub(1) / 2;
    let mut sorted = item.to_vec();
    sorted.sort_unstable();
    let equal: usize = sorted.chunk_by(|left, right| left == right).map(|same| pairs_of(same.len())).sum();
    equal as f64 / pairs_of(item.len()) as f64
}

/// alpha = 1 - (n - 1) * sum o_ck d_ck / sum n_c n_k d_ck over pairs of values c < k, where o_ck counts pairs of ratings
/// of one item, each item of m ratings weighing 1 / (m - 1); n_c sums o_ck over k, n all n_c; and for ordered values
/// d_ck = (n_c / 2 + n_(c+1) + .. + n_(k-1) + n_k / 2)^2.
///
/// `items` have two ratings or more each.
pub fn krippendorff_alpha(items: &[Vec<u8>]) -> Option<f64> {
    let values = categories(items);
    let place = |value: u8| values.partition_point(|known| *known < value);
    let count = values.len();
    let mut together = vec![vec![0.0_f64; count]; count];
    for item in items {
        let weight = 1.0 / (item.len() - 1) as f64;
        for (at, left) in item.iter().enumerate() {
            for (other, right) in item.iter().enumerate() {
                if at != other {
                    together[place(*left)][place(*right)] += weight;
                }
            }
        }
    }
    let totals: Vec<f64> = together.iter().map(|row| row.iter().sum()).collect();
    let all: f64 = totals.iter().sum();
    let (mut observed, mut expected) = (0.0, 0.0);
    for c in 0..count {
        for k in c + 1..count {
            let between: f64 = totals[c..=k].iter().sum::<f64>() - f64::midpoint(totals[c], totals[k]);
            observed += together[c][k] * between * between;
            expected += totals[c] * totals[k] * between * between;
        }
    }
    (expected > 0.0).then(|| 1.0 - (all - 1.0) * observed / expected)
}

/// kappa = 1 - sum w_ij o_ij / sum w_ij e_ij with w_ij = (i - j)^2, o the shares of pairs and e the products of both
/// raters' shares.
pub fn cohen_kappa(pairs: &[(u8, u8)]) -> Option<f64> {
    let n = pairs.len() as f64;
    let distance = |left: u8, right: u8| (f64::from(left) - f64::from(right)).powi(2);
    let observed: f64 = pairs.iter().map(|&(left, right)| distance(left, right)).sum();
    let mut expected = 0.0;
    for &(left, _) in pairs {
        expected += pairs.iter().map(|&(_, right)| distance(left, right)).sum::<f64>();
    }
    (expected > 0.0).then(|| 1.0 - observed * n / expected)
}

/// kappa = (P - Pe) / (1 - Pe), P the mean share of equal pairs an item, Pe the sum of squared shares of each value.
/// Nothing where items differ in their number of ratings.
pub fn fleiss_kappa(items: &[Vec<u8>]) -> Option<f64> {
    let raters = items.first()?.len();
    if items.iter().any(|item| item.len() != raters) {
        return None;
    }
    let observed = mean(&items.iter().map(|item| equal_pairs(item)).collect::<Vec<_>>())?;
    let all = (items.len() * raters) as f64;
    let share = |value: u8| items.iter().flatten().filter(|rating| **rating == value).count() as f64 / all;
    let expected: f64 = categories(items).into_iter().map(|value| share(value).powi(2)).sum();
    (expected < 1.0).then(|| (observed - expected) / (1.0 - expected))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn close(found: Option<f64>, expected: f64) {
        assert!(found.is_some_and(|found| (found - expected).abs() < 5e-4), "{found:?} for {expected}");
    }

    /// Krippendorff 2011, the reliability data of section C: four observers, twelve units, some left out.
    fn krippendorff() -> Vec<Item> {
        let observers = ["123321412...", "1233224125.3", ".3332342251.", "12332441251."]
            .map(|row| row.chars().map(|value| value.to_digit(10).map(|digit| digit as u8)).collect::<Vec<_>>());
        (0..12).map(|unit| observers.iter().map(|row| row[unit]).collect()).collect()
    }

    #[test]
    fn alpha_is_the_published_example() {
        let agreement = Agreement::over(&krippendorff());
        assert_eq!((agreement.raters, agreement.items, agreement.items_compared), (4, 12, 11));
        close(agreement.krippendorff_alpha, 0.815);
        assert_eq!((agreement.cohen_kappa, agreement.fleiss_kappa), (None, None));
    }

    #[test]
    fn kappas_are_the_textbook_ones() {
        // Two raters, yes and no: 20 and 15 agreed, 5 and 10 not.
        let mut pairs = Vec::new();
        for (left, right, times) in [(1, 1, 20), (1, 2, 5), (2, 1, 10), (2, 2, 15)] {
            pairs.extend(std::iter::repeat_n((left, right), times));
        }
        close(cohen_kappa(&pairs), 0.4);
        // Fleiss 1971 in the form every textbook has it: 14 raters, 10 subjects, 5 categories.
        let counts = [
            [0, 0, 0, 0, 14],
            [0, 2, 6, 4, 2],
            [0, 0, 3, 5, 6],
            [0, 3, 9, 2, 0],
            [2, 2, 8, 1, 1],
            [7, 7, 0, 0, 0],
            [3, 2, 6, 3, 0],
            [2, 5, 3, 2, 2],
            [6, 5, 2, 1, 0],
            [0, 2, 2, 3, 7],
        ];
        let items: Vec<Vec<u8>> = counts
            .iter()
            .map(|counts| {
                counts.iter().enumerate().flat_map(|(value, &times)| std::iter::repeat_n(value as u8, times)).collect()
            })
            .collect();
        close(fleiss_kappa(&items), 0.210);
    }

    #[test]
    fn what_cannot_be_told_is_not_told() {
        let same = vec![vec![Some(4), Some(4)]; 5];
        let agreement = Agreement::over(&same);
        assert_eq!(agreement.exact, Some(1.0));
        assert_eq!((agreement.krippendorff_alpha, agreement.cohen_kappa, agreement.fleiss_kappa), (None, None, None));
        let alone = Agreement::over(&[vec![Some(3), None], vec![Some(1), None]]);
        assert_eq!((alone.raters, alone.items_compared, alone.exact), (1, 0, None));
        assert_eq!(Agreement::over(&[]).mean, None);
    }

    proptest! {
        #[test]
        fn full_agreement_is_one_and_raters_may_change_places(
            ratings in prop::collection::vec((1_u8..=4, 1_u8..=4), 2..30),
        ) {
            let items: Vec<Item> = ratings.iter().map(|&(a, b)| vec![Some(a), Some(b)]).collect();
            let swapped: Vec<Item> = ratings.iter().map(|&(a, b)| vec![Some(b), Some(a)]).collect();
            let (one, other) = (Agreement::over(&items), Agreement::over(&swapped));
            for (left, right) in [
                (one.krippendorff_alpha, other.krippendorff_alpha),
                (one.cohen_kappa, other.cohen_kappa),
                (one.fleiss_kappa, other.fleiss_kappa),
            ] {
                prop_assert_eq!(left.is_some(), right.is_some());
                prop_assert!((left.unwrap_or(0.0) - right.unwrap_or(0.0)).abs() < 1e-9);
                prop_assert!(left.unwrap_or(0.0) <= 1.0 + 1e-12);
            }
            let agreed: Vec<Item> = ratings.iter().map(|&(a, _)| vec![Some(a), Some(a), Some(a)]).collect();
            let agreed = Agreement::over(&agreed);
            prop_assert!(agreed.krippendorff_alpha.is_none_or(|alpha| (alpha - 1.0).abs() < 1e-9));
            prop_assert!(agreed.fleiss_kappa.is_none_or(|kappa| (kappa - 1.0).abs() < 1e-9));
        }
    }
}
