//! How fast to ask: what the configuration allows a minute, and what the provider asked us to wait.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Requests or tokens a minute. At most a second's worth goes out in one burst, so that no minute sees noticeably
/// more than the limit; one that is larger than that waits until the bucket is full and leaves a debt.
#[derive(Debug)]
pub(crate) struct Bucket {
    per_second: f64,
    capacity: f64,
    level: f64,
    at: Instant,
}

impl Bucket {
    pub fn per_minute(limit: u32, now: Instant) -> Self {
        let per_second = f64::from(limit) / 60.0;
        let capacity = per_second.max(1.0);
        Self { per_second, capacity, level: capacity, at: now }
    }

    /// Takes `amount` and says how long to wait before using it. Those who come later wait behind.
    pub fn take(&mut self, amount: f64, now: Instant) -> Duration {
        self.refill(now);
        let needed = amount.min(self.capacity) - self.level;
        self.level -= amount;
        Duration::from_secs_f64((needed / self.per_second).max(0.0))
    }

    /// Gives back what was taken but not used; a negative amount is what was used beyond.
    pub fn give_back(&mut self, amount: f64, now: Instant) {
        self.refill(now);
        self.level = (self.level + amount).min(self.capacity);
    }

    fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.level = (self.level + elapsed * self.per_second).min(self.capacity);
        self.at = self.at.max(now);
    }
}

/// Everything that can hold a request back before it is sent.
#[derive(Debug)]
pub(crate) struct Limits {
    requests: Option<Mutex<Bucket>>,
    tokens: Option<Mutex<Bucket>>,
    /// Nothing is sent before this moment: the provider said so.
    not_before: Mutex<Option<Instant>>,
}

impl Limits {
    pub fn new(requests_per_minute: Option<u32>, tokens_per_minute: Option<u32>, now: Instant) -> Self {
        let bucket = |limit: Option<u32>| limit.map(|limit| Mutex::new(Bucket::per_minute(limit, now)));
        Self { requests: bucket(requests_per_minute), tokens: bucket(tokens_per_minute), not_before: Mutex::new(None) }
    }

    /// Takes one request of `tokens` from the buckets; the wait that the fuller of both debts asks for.
    pub fn take(&self, tokens: f64, now: Instant) -> Duration {
        let take = |bucket: &Option<Mutex<Bucket>>, amount| {
            let bucket = bucket.as_ref()?;
            Some(bucket.lock().unwrap_or_else(PoisonError::into_inner).take(amount, now))
        };
        let requests = take(&self.requests, 1.0).unwrap_or_default();
        requests.max(take(&self.tokens, tokens).unwrap_or_default())
    }

    /// Corrects what was taken for a request once its true size is known.
    pub fn settle(&self, taken: f64, used: f64, now: Instant) {
        if let Some(bucket) = &self.tokens {
            bucket.lock().unwrap_or_else(PoisonError::into_inner).give_back(taken - used, now);
        }
    }

    /// The provider asked for a pause of `wait`: it holds for every call.
    pub fn pause(&self, wait: Duration, now: Instant) {
        let until = now + wait;
        let mut not_before = self.not_before.lock().unwrap_or_else(PoisonError::into_inner);
        *not_before = Some(not_before.map_or(until, |earlier| earlier.max(until)));
    }

    /// How long the provider's pause still lasts.
    pub fn paused(&self, now: Instant) -> Duration {
        let not_before = *self.not_before.lock().unwrap_or_else(PoisonError::into_inner);
        not_before.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_minute_sees_more_than_the_limit_and_a_seconds_burst() {
        let start = Instant::now();
        let mut bucket = Bucket::per_minute(120, start);
        let sent: Vec<Duration> = (0..600).map(|_| bucket.take(1.0, start)).collect();
        for window in 0..4 {
            let from = Duration::from_secs(60 * window);
            let inside = sent.iter().filter(|at| **at >= from && **at < from + Duration::from_mins(1)).count();
            assert!((119..=122).contains(&inside), "{inside} in minute {window}");
        }
    }

    #[test]
    fn a_request_larger_than_the_bucket_goes_out_and_the_next_one_pays() {
        let start = Instant::now();
        let mut bucket = Bucket::per_minute(600, start);
        assert_eq!(bucket.take(100.0, start), Duration::ZERO);
        assert_eq!(bucket.take(10.0, start), Duration::from_secs(10));
        bucket.give_back(90.0, start);
        assert_eq!(bucket.take(1.0, start), Duration::from_millis(1100));
    }

    #[test]
    fn a_pause_never_ends_earlier_because_a_shorter_one_was_asked_for() {
        let start = Instant::now();
        let limits = Limits::new(None, None, start);
        limits.pause(Duration::from_secs(9), start);
        limits.pause(Duration::from_secs(2), start);
        assert_eq!(limits.paused(start + Duration::from_secs(1)), Duration::from_secs(8));
        assert_eq!(limits.paused(start + Duration::from_secs(10)), Duration::ZERO);
        assert_eq!(limits.take(1e9, start), Duration::ZERO);
    }
}
