//! A run's work in parts: 64 partitions by a hash that never changes, dealt out whole to processes that know nothing of
//! each other.

use std::fmt;
use std::str::FromStr;

/// Partitions that every run has, however many processes share it.
pub const PARTITIONS: u32 = 64;

/// The partition of a report: a function of its id alone, so that everything made from one report stays together.
pub fn partition(report_id: &str) -> u32 {
    let hash = blake3::hash(report_id.as_bytes());
    u32::from(hash.as_bytes()[0]) % PARTITIONS
}

/// One of several processes that share a run, written `i/n`, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    index: u32,
    count: u32,
}

impl Shard {
    /// Whether the work on this report is this process's.
    pub fn holds(self, report_id: &str) -> bool {
        self.holds_partition(partition(report_id))
    }

    /// Its part of all partitions.
    pub fn fraction(self) -> f64 {
        let held = (0..PARTITIONS).filter(|partition| self.holds_partition(*partition)).count();
        held as f64 / f64::from(PARTITIONS)
    }

    /// A name for its files: `shard-3-of-8`.
    pub fn name(self) -> String {
        format!("shard-{}{}", self.index, self.siblings())
    }

    /// What the names of this division's files end with.
    pub fn siblings(self) -> String {
        format!("-of-{}", self.count)
    }

    fn holds_partition(self, partition: u32) -> bool {
        partition % self.count == self.index - 1
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = |part: &str| part.parse::<u32>().ok().filter(|number| *number > 0);
        let parts = text.split_once('/').and_then(|(index, count)| Some((parse(index)?, parse(count)?)));
        match parts {
            Some((index, count)) if index <= count && count <= PARTITIONS => Ok(Self { index, count }),
            _ => Err(format!("a shard is written i/n, with 1 <= i <= n <= {PARTITIONS}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_report_is_held_by_exactly_one_shard_of_any_division() {
        let ids: Vec<String> = (0..2000).map(|number| format!("PMC{number}.1-1")).collect();
        for count in [1, 2, 3, 8, 64] {
            let shards: Vec<Shard> =
                (1..=count).map(|index| format!("{index}/{count}").parse().expect("sound")).collect();
            for id in &ids {
                assert_eq!(shards.iter().filter(|shard| shard.holds(id)).count(), 1, "{id} of {count}");
            }
            let whole: f64 = shards.iter().map(|shard| shard.fraction()).sum();
            assert!((whole - 1.0).abs() < 1e-12);
            assert!(shards.iter().all(|shard| ids.iter().any(|id| shard.holds(id))), "none is idle");
        }
    }

    #[test]
    fn partitions_never_change() {
        // Where a report's calls were paid depends on it.
        // As `printf PMC1.1-1 | b3sum` begins: 0x70 = 112 = 64 + 48.
        assert_eq!(["PMC1.1-1", "PMC2.1-1", "PMC7654321.2-3"].map(partition), [48, 49, 42]);
    }

    #[test]
    fn what_is_no_shard_is_refused() {
        for text in ["0/2", "3/2", "1/65", "1", "a/b", "-1/2", "1/0"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
        let shard: Shard = "3/8".parse().expect("sound");
        assert_eq!(
            (shard.to_string(), shard.name(), shard.siblings()),
            ("3/8".into(), "shard-3-of-8".into(), "-of-8".into())
        );
    }
}
