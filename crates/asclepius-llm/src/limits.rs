//! How fast to ask: what the configuration allows a minute, and what the provider asked us to wait.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
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
    pub fn per_minute(limit: f64, now: Instant) -> Self {
        let per_second = limit / 60.0;
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

    /// The provider's own limit a minute and how much of it is left. A bucket only ever learns to be stricter.
    pub fn learn(&mut self, limit: f64, remaining: Option<f64>, now: Instant) {
        self.refill(now);
        if limit / 60.0 < self.per_second {
            self.per_second = limit / 60.0;
            self.capacity = self.per_second.max(1.0);
        }
        self.level = self.level.min(self.capacity).min(remaining.unwrap_or(f64::INFINITY));
    }

    fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.level = (self.level + elapsed * self.per_second).min(self.capacity);
        self.at = self.at.max(now);
    }
}

/// What a response's headers say of one limit.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Level {
    /// The limit a minute.
    pub limit: Option<f64>,
    /// How much of it is left.
    pub remaining: Option<f64>,
    /// When all of it is there again.
    pub reset: Option<Duration>,
}

/// What a response's headers say of both limits.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Allowance {
    pub requests: Level,
    pub tokens: Level,
}

/// A limit that is used up is looked at again after this, whatever the headers say: some count by the day.
const LONGEST_EMPTY: Duration = Duration::from_mins(1);

/// Everything that can hold a request back before it is sent.
#[derive(Debug)]
pub(crate) struct Limits {
    requests: Mutex<Option<Bucket>>,
    tokens: Mutex<Option<Bucket>>,
    pause: Mutex<Option<Pause>>,
    lifted: Notify,
    recent: Mutex<Recent>,
}

/// How the last answers went: a bit each, 1 for told to wait, the latest lowest.
#[derive(Debug, Default)]
struct Recent {
    bits: u32,
    answers: u32,
}

impl Recent {
    const ANSWERS: u32 = 20;

    fn add(&mut self, refused: bool) {
        self.bits = ((self.bits << 1) | u32::from(refused)) & ((1 << Self::ANSWERS) - 1);
        self.answers = (self.answers + 1).min(Self::ANSWERS);
    }

    fn mostly_refused(&self) -> bool {
        self.bits.count_ones() * 2 >= self.answers
    }
}

/// Nothing is sent before `until`: the provider said so in answer to request number `asked_by`.
#[derive(Debug, Clone, Copy)]
struct Pause {
    until: Instant,
    asked_by: u64,
}

impl Limits {
    pub fn new(requests_per_minute: Option<u32>, tokens_per_minute: Option<u32>, now: Instant) -> Self {
        let bucket = |limit: Option<u32>| Mutex::new(limit.map(|limit| Bucket::per_minute(f64::from(limit), now)));
        Self {
            requests: bucket(requests_per_minute),
            tokens: bucket(tokens_per_minute),
            pause: Mutex::default(),
            lifted: Notify::new(),
            recent: Mutex::default(),
        }
    }

    /// Takes one request of `tokens` from the buckets; the wait that the fuller of both debts asks for.
    pub fn take(&self, tokens: f64, now: Instant) -> Duration {
        let take = |bucket: &Mutex<Option<Bucket>>, amount| Some(lock(bucket).as_mut()?.take(amount, now));
        let requests = take(&self.requests, 1.0).unwrap_or_default();
        requests.max(take(&self.tokens, tokens).unwrap_or_default())
    }

    /// Corrects what was taken for a request once its true size is known.
    pub fn settle(&self, taken: f64, used: f64, now: Instant) {
        if let Some(bucket) = lock(&self.tokens).as_mut() {
            bucket.give_back(taken - used, now);
        }
    }

    /// Gives a request back that was never sent.
    pub fn give_back(&self, tokens: f64, now: Instant) {
        if let Some(bucket) = lock(&self.requests).as_mut() {
            bucket.give_back(1.0, now);
        }
        self.settle(tokens, 0.0, now);
    }

    /// Learns from the headers of the response to request number `sent`. What is configured is never exceeded.
    pub fn learn(&self, sent: u64, allowance: &Allowance, now: Instant) {
        for (bucket, level) in [(&self.requests, allowance.requests), (&self.tokens, allowance.tokens)] {
            let Some(limit) = level.limit.filter(|limit| *limit > 0.0) else { continue };
            let mut bucket = lock(bucket);
            let bucket = bucket.get_or_insert_with(|| Bucket::per_minute(limit, now));
            bucket.learn(limit, level.remaining, now);
            if level.remaining.is_some_and(|remaining| remaining < 1.0)
                && let Some(reset) = level.reset
            {
                self.pause(reset.min(LONGEST_EMPTY), sent, now);
            }
        }
    }

    /// Tokens a minute, where that is known.
    pub fn tokens_per_minute(&self) -> Option<f64> {
        Some(lock(&self.tokens).as_ref()?.per_second * 60.0)
    }

    /// Request number `sent` was told to come back after `wait`. Where most are told so, it holds for every call; a few
    /// among many that are admitted wait alone, or refusals at random would stop everyone.
    pub fn told_to_wait(&self, wait: Duration, sent: u64, now: Instant) {
        let mut recent = lock(&self.recent);
        recent.add(true);
        let mostly_refused = recent.mostly_refused();
        drop(recent);
        if mostly_refused {
            self.pause(wait, sent, now);
        }
    }

    /// Nothing goes out for `wait`, since request number `sent` was answered so.
    fn pause(&self, wait: Duration, sent: u64, now: Instant) {
        let mut pause = lock(&self.pause);
        let until = now + wait;
        match pause.as_mut().filter(|pause| pause.until > now) {
            Some(pause) => {
                pause.until = pause.until.max(until);
                pause.asked_by = pause.asked_by.max(sent);
            }
            None => *pause = Some(Pause { until, asked_by: sent }),
        }
    }

    /// Request number `sent` was admitted. One that went out after the one which was told to wait shows that the limit
    /// does not hold any more, and ends the pause.
    pub fn admitted(&self, sent: u64) {
        lock(&self.recent).add(false);
        let mut pause = lock(&self.pause);
        if pause.is_some_and(|pause| sent > pause.asked_by) {
            *pause = None;
            drop(pause);
            self.lifted.notify_waiters();
        }
    }

    /// How long the provider's pause still lasts.
    pub fn paused(&self, now: Instant) -> Duration {
        lock(&self.pause).map_or(Duration::ZERO, |pause| pause.until.saturating_duration_since(now))
    }

    /// Returns when a pause is lifted before its time.
    pub async fn lifted(&self) {
        self.lifted.notified().await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_minute_sees_more_than_the_limit_and_a_seconds_burst() {
        let start = Instant::now();
        let mut bucket = Bucket::per_minute(120.0, start);
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
        let mut bucket = Bucket::per_minute(600.0, start);
        assert_eq!(bucket.take(100.0, start), Duration::ZERO);
        assert_eq!(bucket.take(10.0, start), Duration::from_secs(10));
        bucket.give_back(90.0, start);
        assert_eq!(bucket.take(1.0, start), Duration::from_millis(1100));
    }

    #[test]
    fn a_pause_never_ends_earlier_because_a_shorter_one_was_asked_for() {
        let start = Instant::now();
        let limits = Limits::new(None, None, start);
        limits.pause(Duration::from_secs(9), 1, start);
        limits.pause(Duration::from_secs(2), 2, start);
        assert_eq!(limits.paused(start + Duration::from_secs(1)), Duration::from_secs(8));
        assert_eq!(limits.paused(start + Duration::from_secs(10)), Duration::ZERO);
        assert_eq!(limits.take(1e9, start), Duration::ZERO);
    }

    #[test]
    fn a_few_refusals_among_many_answers_stop_nobody_else() {
        let start = Instant::now();
        let limits = Limits::new(None, None, start);
        limits.told_to_wait(Duration::from_secs(9), 1, start);
        assert_eq!(limits.paused(start), Duration::from_secs(9), "the first answer is all there is to go by");
        for sent in 2..20 {
            limits.admitted(sent);
        }
        for sent in 20..25 {
            limits.told_to_wait(Duration::from_secs(9), sent, start);
        }
        assert_eq!(limits.paused(start), Duration::ZERO, "a quarter is no crowd");
        for sent in 25..35 {
            limits.told_to_wait(Duration::from_secs(9), sent, start);
        }
        assert_eq!(limits.paused(start), Duration::from_secs(9));
    }

    #[test]
    fn a_later_request_that_is_admitted_ends_a_pause_and_an_earlier_one_does_not() {
        let start = Instant::now();
        let limits = Limits::new(None, None, start);
        limits.pause(Duration::from_secs(9), 5, start);
        limits.admitted(4);
        limits.admitted(5);
        assert_eq!(limits.paused(start), Duration::from_secs(9));
        limits.admitted(6);
        assert_eq!(limits.paused(start), Duration::ZERO);
    }

    #[test]
    fn headers_set_the_pace_but_never_above_what_is_configured() {
        let start = Instant::now();
        let limits = Limits::new(Some(60), None, start);
        let level = |limit, remaining| Level {
            limit: Some(limit),
            remaining: Some(remaining),
            reset: Some(Duration::from_secs(30)),
        };
        let all = Allowance { requests: level(6000.0, 5999.0), tokens: level(6000.0, 5000.0) };
        limits.learn(1, &all, start);
        assert_eq!(
            limits.take(100.0, start),
            Duration::ZERO,
            "the first request of the bucket, and a second of tokens"
        );
        assert_eq!(limits.take(1.0, start), Duration::from_secs(1), "60 a minute as configured");
        assert_eq!(limits.tokens_per_minute(), Some(6000.0));

        let empty = Allowance { requests: level(6000.0, 0.0), tokens: Level::default() };
        limits.learn(2, &empty, start);
        assert_eq!(limits.paused(start), Duration::from_secs(30), "nothing is left until the reset");
    }
}
