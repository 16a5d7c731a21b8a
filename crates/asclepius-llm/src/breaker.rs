//! A pause for everyone when nothing succeeds any more, with one call at a time to see whether it is over.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::retry::Pace;

/// Failures in a row that say more of the endpoint than of chance: one in a thousand where a tenth of all requests fail.
const TROUBLE: u32 = 3;

/// Opens after failures in a row without a success between them; never drops anything.
#[derive(Debug)]
pub(crate) struct Breaker {
    pace: Pace,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    failures_in_a_row: u32,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    since: Instant,
    until: Instant,
    fruitless: u32,
    probing: bool,
}

/// What a failure led to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Tripped {
    No,
    /// Everyone pauses for this long, then one call looks again.
    Paused(Duration),
    /// It goes on failing for longer than anyone waits.
    GivenUp {
        after: Duration,
    },
}

/// The right to send. The one that probes gives its turn back when it ends without having said how.
#[derive(Debug)]
pub(crate) struct Pass<'breaker> {
    breaker: &'breaker Breaker,
    probe: bool,
}

impl Breaker {
    pub fn new(pace: Pace) -> Self {
        Self { pace, state: Mutex::default(), changed: Notify::new() }
    }

    /// Waits until a request may be sent.
    pub async fn pass(&self) -> Pass<'_> {
        loop {
            let changed = self.changed.notified();
            let mut changed = std::pin::pin!(changed);
            // Registered before looking, or a change between the two would be missed.
            changed.as_mut().enable();
            let until = {
                let mut state = self.lock();
                match &mut state.open {
                    None => return Pass { breaker: self, probe: false },
                    Some(open) if open.probing => None,
                    Some(open) if Instant::now() >= open.until => {
                        open.probing = true;
                        return Pass { breaker: self, probe: true };
                    }
                    Some(open) => Some(open.until),
                }
            };
            match until {
                None => changed.await,
                Some(until) => tokio::select! {
                    () = changed => {}
                    () = tokio::time::sleep_until(until) => {}
                },
            }
        }
    }

    /// How long the pause still lasts; `None` when there is none.
    pub fn paused(&self) -> Option<Duration> {
        self.lock().open.as_ref().map(|open| open.until.saturating_duration_since(Instant::now()))
    }

    /// How many probes of this pause have failed.
    pub fn fruitless(&self) -> u32 {
        self.lock().open.as_ref().map_or(0, |open| open.fruitless)
    }

    /// Whether failures come one after the other, rather than here and there among answers.
    pub fn is_troubled(&self) -> bool {
        self.lock().failures_in_a_row >= TROUBLE
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass<'_> {
    /// The endpoint works: it answered, if only to say that it is asked too fast. Returns whether that ended a pause.
    pub fn answered(mut self) -> bool {
        self.probe = false;
        let mut state = self.breaker.lock();
        state.failures_in_a_row = 0;
        let ended = state.open.take().is_some();
        drop(state);
        if ended {
            self.breaker.changed.notify_waiters();
        }
        ended
    }

    /// It failed in a way that may pass.
    pub fn failed(mut self) -> Tripped {
        let probe = std::mem::take(&mut self.probe);
        let pace = self.breaker.pace;
        let mut state = self.breaker.lock();
        state.failures_in_a_row += 1;
        let now = Instant::now();
        let (since, fruitless) = match &state.open {
            None if state.failures_in_a_row < pace.failures_to_pause => return Tripped::No,
            None => (now, 0),
            // What was sent before the pause says nothing new.
            Some(_) if !probe => return Tripped::No,
            Some(open) => (open.since, open.fruitless + 1),
        };
        let pause = pace.pause(fruitless);
        state.open = Some(Open { since, until: now + pause, fruitless, probing: false });
        drop(state);
        self.breaker.changed.notify_waiters();
        let after = now - since;
        if fruitless > 0 && after >= pace.patience { Tripped::GivenUp { after } } else { Tripped::Paused(pause) }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if !self.probe {
            return;
        }
        if let Some(open) = &mut self.breaker.lock().open {
            open.probing = false;
        }
        self.breaker.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker() -> Breaker {
        Breaker::new(Pace {
            failures_to_pause: 3,
            patience: Duration::from_secs(9),
            base: Duration::from_secs(8),
            ..Pace::default()
        })
    }

    #[tokio::test(start_paused = true)]
    async fn it_pauses_after_failures_in_a_row_probes_with_one_call_and_closes_on_an_answer() {
        let breaker = breaker();
        breaker.pass().await.failed();
        breaker.pass().await.failed();
        assert!(!breaker.pass().await.answered(), "an answer between failures starts the count anew");
        let late = breaker.pass().await;
        for _ in 0..2 {
            assert_eq!(breaker.pass().await.failed(), Tripped::No);
        }
        assert!(matches!(breaker.pass().await.failed(), Tripped::Paused(_)));
        assert_eq!(late.failed(), Tripped::No, "it was sent before the pause");

        let before = Instant::now();
        let probe = breaker.pass().await;
        assert!(before.elapsed() >= Duration::from_secs(4) && before.elapsed() <= Duration::from_secs(8));
        let mut second = std::pin::pin!(breaker.pass());
        assert!(futures::poll!(&mut second).is_pending(), "one probe at a time");
        assert!(probe.answered());
        assert!(!second.await.answered(), "and then everyone");
    }

    #[tokio::test(start_paused = true)]
    async fn fruitless_probes_wait_longer_each_time_and_end_in_giving_up() {
        let breaker = breaker();
        for _ in 0..3 {
            breaker.pass().await.failed();
        }
        drop(breaker.pass().await); // a probe that was cancelled says nothing
        assert!(matches!(breaker.pass().await.failed(), Tripped::Paused(_)), "at most eight seconds have passed");
        let before = Instant::now();
        assert!(matches!(breaker.pass().await.failed(), Tripped::GivenUp { .. }));
        assert!(before.elapsed() >= Duration::from_secs(8), "each pause is longer than the one before");
    }
}
