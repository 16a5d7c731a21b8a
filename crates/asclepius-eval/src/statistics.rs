//! How sure a number is: bootstrap over articles (Efron & Tibshirani 1993, chapter 13). Rows of one article are no
//! independent observations, so articles are drawn, never rows.

use std::collections::BTreeMap;

use asclepius_ops::PhiloxKey;
use serde::{Deserialize, Serialize};

/// A ratio of sums, by article: a mean, a micro F1, a loss a token. Every measure here is one.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    articles: BTreeMap<String, [f64; 2]>,
    rows: usize,
}

impl Sample {
    /// Counts one row. A row adds its article even where it adds nothing to the sums, so that samples of two models over the
    /// same rows have the same articles.
    pub fn add(&mut self, article: &str, [numerator, denominator]: [f64; 2]) {
        self.rows += 1;
        // No `entry`, which would copy the name for every row.
        if let Some(sums) = self.articles.get_mut(article) {
            sums[0] += numerator;
            sums[1] += denominator;
        } else {
            self.articles.insert(article.to_owned(), [numerator, denominator]);
        }
    }

    /// Rows counted.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Articles they are of.
    pub fn articles(&self) -> usize {
        self.articles.len()
    }

    /// The ratio over all rows; nothing where its denominator is 0.
    pub fn value(&self) -> Option<f64> {
        let sums = self.articles.values().fold([0.0, 0.0], |sums, of| [sums[0] + of[0], sums[1] + of[1]]);
        ratio(sums)
    }

    fn sums(&self) -> Vec<[f64; 2]> {
        self.articles.values().copied().collect()
    }
}

fn ratio([numerator, denominator]: [f64; 2]) -> Option<f64> {
    (denominator > 0.0).then(|| numerator / denominator)
}

/// What the bootstrap says of a value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Standard deviation over the resamples.
    pub standard_error: f64,
    /// The 2.5th percentile of the resamples.
    pub low: f64,
    /// The 97.5th.
    pub high: f64,
}

impl Spread {
    /// Whether the interval leaves 0 out.
    pub fn excludes_zero(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }
}

/// The same draws of articles for everything that is compared.
#[derive(Debug)]
pub struct Bootstrap {
    key: PhiloxKey,
    resamples: usize,
    /// For each number of articles, `resamples` times as many indices.
    draws: BTreeMap<usize, Vec<u32>>,
}

impl Bootstrap {
    /// `resamples` draws from a seed; 0 gives no spread at all.
    pub fn new(seed: u64, resamples: usize) -> Self {
        Self { key: PhiloxKey::new(seed).fold_name("bootstrap"), resamples, draws: BTreeMap::new() }
    }

    /// The spread of a sample's value; none for fewer than two articles, which say nothing of others.
    pub fn spread(&mut self, sample: &Sample) -> Option<Spread> {
        let sums = sample.sums();
        self.over(sums.len(), |drawn| ratio(total(&sums, drawn)))
    }

    /// The spread of `sample`'s value less `base`'s, both over the same articles of each draw (paired).
    pub fn difference(&mut self, sample: &Sample, base: &Sample) -> Option<Spread> {
        if !sample.articles.keys().eq(base.articles.keys()) {
            return None;
        }
        let (sums, base) = (sample.sums(), base.sums());
        self.over(sums.len(), |drawn| Some(ratio(total(&sums, drawn))? - ratio(total(&base, drawn))?))
    }

    /// The spread of `sample`'s value less `other`'s, each over draws of its own: the two have no article in common.
    pub fn apart(&mut self, sample: &Sample, other: &Sample) -> Option<Spread> {
        let (sums, others) = (sample.sums(), other.sums());
        if sums.len() < 2 || others.len() < 2 {
            return None;
        }
        let of_other = draws(self.key.fold_name("other"), others.len(), self.resamples);
        let drawn = self.draws(sums.len()).chunks_exact(sums.len()).zip(of_other.chunks_exact(others.len()));
        spread(
            drawn.filter_map(|(drawn, of_other)| Some(ratio(total(&sums, drawn))? - ratio(total(&others, of_other))?)),
        )
    }

    fn over(&mut self, articles: usize, value: impl Fn(&[u32]) -> Option<f64>) -> Option<Spread> {
        if articles < 2 {
            return None;
        }
        spread(self.draws(articles).chunks_exact(articles).filter_map(value))
    }

    fn draws(&mut self, articles: usize) -> &[u32] {
        let (key, resamples) = (self.key, self.resamples);
        self.draws.entry(articles).or_insert_with(|| draws(key, articles, resamples))
    }
}

/// `resamples` times as many indices as there are articles.
fn draws(key: PhiloxKey, articles: usize, resamples: usize) -> Vec<u32> {
    let key = key.fold(articles as u64);
    let one = |resample| (0..articles as u64).map(move |index| key.fold(resample).below(index, articles as u32));
    (0..resamples as u64).flat_map(one).collect()
}

/// The spread of the values of all draws. A draw without anything to count has none, and is no evidence.
fn spread(values: impl Iterator<Item = f64>) -> Option<Spread> {
    let mut values: Vec<f64> = values.collect();
    if values.len() < 2 {
        return None;
    }
    values.sort_by(f64::total_cmp);
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (values.len() - 1) as f64;
    Some(Spread { standard_error: variance.sqrt(), low: quantile(&values, 0.025), high: quantile(&values, 0.975) })
}

fn total(sums: &[[f64; 2]], drawn: &[u32]) -> [f64; 2] {
    drawn.iter().fold([0.0, 0.0], |total, &index| {
        let of = sums[index as usize];
        [total[0] + of[0], total[1] + of[1]]
    })
}

/// Between neighbours of a sorted list linearly, as numpy's default has it.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample(values: &[(usize, f64)]) -> Sample {
        let mut sample = Sample::default();
        for (article, value) in values {
            sample.add(&format!("PMC{article}"), [*value, 1.0]);
        }
        sample
    }

    #[test]
    fn the_interval_of_a_mean_is_that_of_the_normal_law() {
        // 400 articles with values 0..400 / 400: standard error of the mean is sd / sqrt(400) = 0.2887 / 20.
        let values: Vec<_> = (0..400).map(|index| (index, index as f64 / 400.0)).collect();
        let sample = sample(&values);
        let spread = Bootstrap::new(1, 2000).spread(&sample).expect("400 articles");
        let expected = 0.288_675 / 20.0;
        assert!((spread.standard_error - expected).abs() < 0.05 * expected, "{spread:?}");
        assert!((spread.high - spread.low - 3.92 * expected).abs() < 0.3 * expected, "{spread:?}");
        assert!(sample.value().is_some_and(|value| (value - 0.49875).abs() < 1e-12));
    }

    #[test]
    fn rows_of_one_article_are_one_observation() {
        let many: Vec<_> = (0..200).map(|index| (index / 20, (index / 20) as f64)).collect();
        let few: Vec<_> = (0..10).map(|index| (index, index as f64)).collect();
        let (many, few) = (sample(&many), sample(&few));
        assert_eq!((many.rows(), many.articles(), few.rows()), (200, 10, 10));
        let mut bootstrap = Bootstrap::new(3, 500);
        assert_eq!(bootstrap.spread(&many), bootstrap.spread(&few));
    }

    #[test]
    fn a_pair_is_compared_on_the_same_articles() {
        let base: Vec<_> = (0..30).map(|index| (index, (index * 7 % 13) as f64)).collect();
        let better: Vec<_> = base.iter().map(|(article, value)| (*article, value + 0.5)).collect();
        let (base, better) = (sample(&base), sample(&better));
        let mut bootstrap = Bootstrap::new(0, 200);
        let spread = bootstrap.difference(&better, &base).expect("30 articles");
        assert!((spread.low - 0.5).abs() < 1e-9 && (spread.high - 0.5).abs() < 1e-9 && spread.excludes_zero());
        let other = sample(&[(1, 1.0), (99, 2.0)]);
        assert_eq!(bootstrap.difference(&better, &other), None);
    }

    #[test]
    fn what_cannot_be_told_is_nothing_and_never_a_number() {
        let mut bootstrap = Bootstrap::new(0, 100);
        assert_eq!(Sample::default().value(), None);
        assert_eq!(bootstrap.spread(&Sample::default()), None);
        assert_eq!(bootstrap.spread(&sample(&[(1, 0.5), (1, 0.7)])), None);
        let mut empty = Sample::default();
        empty.add("PMC1", [0.0, 0.0]);
        empty.add("PMC2", [0.0, 0.0]);
        assert_eq!((empty.value(), bootstrap.spread(&empty)), (None, None));
        assert_eq!(Bootstrap::new(0, 0).spread(&sample(&[(1, 0.5), (2, 0.7)])), None);
    }

    proptest! {
        #[test]
        fn an_interval_holds_only_what_articles_have(values in prop::collection::vec((0_usize..12, 0.0_f64..1.0), 2..40), seed: u64) {
            let sample = sample(&values);
            if let Some(spread) = Bootstrap::new(seed, 60).spread(&sample) {
                prop_assert!(spread.low <= spread.high && spread.low >= 0.0 && spread.high <= 1.0);
                prop_assert_eq!(Some(spread), Bootstrap::new(seed, 60).spread(&sample));
            }
        }
    }
}
