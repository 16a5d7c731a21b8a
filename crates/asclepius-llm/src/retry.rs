//! When to ask again: the only retry layer there is.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How patient the client is with a failing endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The longest first wait after a failure; it doubles with each further one.
    pub base: Duration,
    /// The longest wait of our own choice. What the provider asks for may be longer.
    pub longest: Duration,
    /// Attempts a call gets, not counting those that a rate limit turned away.
    pub attempts: u32,
    /// Failures in a row, over all calls, after which everyone pauses.
    pub failures_to_pause: u32,
    /// How long the endpoint may go on failing, seen by one call after each pause, before it is given up.
    pub patience: Duration,
    /// How batches are gathered and looked after.
    pub batch: BatchPace,
}

/// How calls become batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchPace {
    /// A file of requests is closed when for so long no call came.
    pub gather: Duration,
    /// How often a batch that is out is looked at.
    pub look: Duration,
    /// The most requests of a batch.
    pub most_requests: usize,
    /// The most bytes of a file of requests.
    pub most_bytes: u64,
}

impl BatchPace {
    /// What OpenAI's Batch API takes.
    pub const OPENAI: Self = Self {
        gather: Duration::from_secs(2),
        look: Duration::from_secs(20),
        most_requests: 50_000,
        most_bytes: 200_000_000,
    };
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            base: Duration::from_millis(500),
            longest: Duration::from_mins(1),
            attempts: 6,
            failures_to_pause: 10,
            patience: Duration::from_mins(5),
            batch: BatchPace::OPENAI,
        }
    }
}

impl Pace {
    /// A wait before attempt `failures + 1`, anywhere between nothing and the exponential bound ("full jitter"), so
    /// that calls which failed together do not come back together.
    pub(crate) fn backoff(&self, failures: u32) -> Duration {
        self.bound(failures.saturating_sub(1)).mul_f64(fraction())
    }

    /// How long everyone pauses after `fruitless` probes: at least half of the bound, or there would be no pause.
    pub(crate) fn pause(&self, fruitless: u32) -> Duration {
        self.bound(fruitless).mul_f64(0.5 + fraction() / 2.0)
    }

    fn bound(&self, doublings: u32) -> Duration {
        self.base.saturating_mul(1_u32 << doublings.min(20)).min(self.longest)
    }
}

/// What to add to a pause that the provider asked for, so that the calls it held do not all go out at its end.
pub(crate) fn scatter(pause: Duration) -> Duration {
    (pause / 10).min(Duration::from_secs(1)).mul_f64(fraction())
}

/// A number in [0, 1) that differs from call to call and process to process; only ever a wait depends on it.
fn fraction() -> f64 {
    // Every `RandomState` is keyed anew, which is all the chance that spreading out needs.
    (RandomState::new().hash_one(0_u8) >> 11) as f64 / (1_u64 << 53) as f64
}

/// A pause longer than this is cut: no limit lasts so long, and a wrong date should not stop a run for good.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// What `Retry-After` (or OpenAI's `retry-after-ms`) asks for: a number of seconds, or a date, which is taken by the
/// clock that wrote it where the response is dated. Ours may be wrong, or be set right at any moment.
pub(crate) fn retry_after(
    milliseconds: Option<&str>,
    seconds_or_date: Option<&str>,
    dated: Option<&str>,
    now: SystemTime,
) -> Option<Duration> {
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
    let seconds = milliseconds.and_then(number).map(|milliseconds| milliseconds / 1000.0).or_else(|| {
        let text = seconds_or_date?;
        number(text).or_else(|| {
            let ours = || now.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
            let now = dated.and_then(http_date).map_or_else(ours, |seconds| seconds as f64);
            Some((http_date(text)? as f64 - now).max(0.0))
        })
    })?;
    Some(Duration::from_secs_f64(seconds.min(LONGEST_PAUSE.as_secs_f64())))
}

/// Seconds since 1970 of `Sun, 06 Nov 1994 08:49:37 GMT`, the one form of date that HTTP senders may produce.
fn http_date(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = text.split_once(", ")?.1.split(' ');
    let day: i64 = words.next()?.parse().ok()?;
    let month = words.next()?;
    let month = MONTHS.iter().position(|name| *name == month)? as i64 + 1;
    let year: i64 = words.next()?.parse().ok()?;
    let mut clock = words.next()?.split(':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let in_range = (1..=31).contains(&day) && (1970..=9999).contains(&year) && hour < 24 && minute < 60 && second <= 60;
    if words.next() != Some("GMT") || !in_range {
        return None;
    }
    // Days since 1970-01-01 in the Gregorian calendar, counting years from March so that leap days come last.
    let (shifted_year, shifted_month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = shifted_year / 4 - shifted_year / 100 + shifted_year / 400;
    let days = shifted_year * 365 + leap_days + (153 * shifted_month + 2) / 5 + day - 1 - 719_468;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_retry_after_are_understood_and_nonsense_is_not() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_770);
        let of = |text| retry_after(None, Some(text), None, now);
        assert_eq!(of("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(7)));
        assert_eq!(of("Thu, 01 Jan 1970 00:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(of("12"), Some(Duration::from_secs(12)));
        assert_eq!(of("0.25"), Some(Duration::from_millis(250)));
        assert_eq!(retry_after(Some("1500"), Some("9"), None, now), Some(Duration::from_millis(1500)));
        assert_eq!(of("99999999"), Some(LONGEST_PAUSE));
        for nonsense in ["", "-1", "soon", "NaN", "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 CET"] {
            assert_eq!(of(nonsense), None, "{nonsense}");
        }
        assert_eq!(http_date("Tue, 29 Feb 2000 00:00:00 GMT"), Some(951_782_400));
    }

    #[test]
    fn a_date_is_taken_by_the_clock_that_wrote_it() {
        let of =
            |now| retry_after(None, Some("Sun, 06 Nov 1994 08:49:37 GMT"), Some("Sun, 06 Nov 1994 08:49:30 GMT"), now);
        for ours in [UNIX_EPOCH, UNIX_EPOCH + Duration::from_hours(24 * 365 * 60), UNIX_EPOCH - Duration::from_hours(1)]
        {
            assert_eq!(of(ours), Some(Duration::from_secs(7)));
        }
        let nonsense = retry_after(None, Some("Thu, 01 Jan 1970 00:00:09 GMT"), Some("today"), UNIX_EPOCH);
        assert_eq!(nonsense, Some(Duration::from_secs(9)));
    }

    #[test]
    fn backoff_stays_under_its_bound_and_is_not_always_the_same() {
        let pace = Pace { base: Duration::from_secs(1), longest: Duration::from_secs(5), ..Pace::default() };
        for (failures, bound) in [(1, 1), (2, 2), (3, 4), (4, 5), (60, 5)] {
            let waits: Vec<_> = (0..50).map(|_| pace.backoff(failures)).collect();
            assert!(waits.iter().all(|wait| *wait <= Duration::from_secs(bound)));
            assert!(waits.iter().any(|wait| *wait != waits[0]));
        }
    }
}
