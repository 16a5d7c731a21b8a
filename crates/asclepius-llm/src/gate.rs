//! How many calls may be in flight: what is configured, and fewer while the provider turns many of them away.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Semaphore;

/// Share of a window's answers that must be refusals before the limit shrinks. A provider that refuses at random, or
/// whose requests-a-minute bucket is merely at its brim, stays below; one that is overrun does not.
const CROWDED: f64 = 0.4;

/// Answers that a window has at least, so that a few refusals by chance do not look like a crowd.
const SMALLEST_WINDOW: u32 = 20;

/// Additive increase, multiplicative decrease: at most one decrease a window of answers.
#[derive(Debug)]
pub(crate) struct Gate {
    semaphore: Semaphore,
    /// Held by the one new call that is next: the others wait behind it, and calls that ask again do not.
    next: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    most: u32,
    limit: u32,
    /// Permits to withhold as they come back, since the limit shrank while they were out.
    debt: u32,
    answers: u32,
    refusals: u32,
    /// Answers to requests sent before this one belong to an earlier window.
    window_from: u64,
}

/// The right to have one request in flight.
#[derive(Debug)]
pub(crate) struct Permit<'gate>(&'gate Gate);

impl Gate {
    pub fn new(most: usize) -> Self {
        let most = u32::try_from(most).unwrap_or(u32::MAX).min(Semaphore::MAX_PERMITS.min(1 << 28) as u32);
        let state = State { most, limit: most, debt: 0, answers: 0, refusals: 0, window_from: 0 };
        Self { semaphore: Semaphore::new(most as usize), next: tokio::sync::Mutex::default(), state: Mutex::new(state) }
    }

    /// Waits for a place. A call that asks `again` goes before all that have not asked yet: rows are delivered in order,
    /// so one that comes to its end late keeps many others from being begun.
    pub async fn enter(&self, again: bool) -> Permit<'_> {
        let _next = if again { None } else { Some(self.next.lock().await) };
        self.semaphore.acquire().await.expect("nothing closes the semaphore").forget();
        Permit(self)
    }

    /// How many may be in flight now.
    pub fn limit(&self) -> u32 {
        self.lock().limit
    }

    /// Request number `sent` was answered, or refused as too many; `next` is the number of the next request. Returns
    /// the new limit where it shrank.
    pub fn answered(&self, sent: u64, next: u64, refused: bool) -> Option<u32> {
        let mut state = self.lock();
        if sent < state.window_from {
            return None;
        }
        state.answers += 1;
        state.refusals += u32::from(refused);
        let window = state.limit.max(SMALLEST_WINDOW);
        if f64::from(state.refusals) >= CROWDED * f64::from(window) {
            let smaller = ((f64::from(state.limit) * 0.7) as u32).max(1);
            let fewer = state.limit - smaller;
            state.debt += fewer - self.semaphore.forget_permits(fewer as usize) as u32;
            let shrank = smaller < state.limit;
            state.limit = smaller;
            (state.answers, state.refusals, state.window_from) = (0, 0, next);
            return shrank.then_some(smaller);
        }
        if state.answers >= window {
            let larger = (state.limit + (state.limit / 10).max(1)).min(state.most);
            let more = larger - state.limit;
            let paid = more.min(state.debt);
            state.debt -= paid;
            state.limit = larger;
            (state.answers, state.refusals) = (0, 0);
            self.semaphore.add_permits((more - paid) as usize);
        }
        None
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        if state.debt > 0 {
            state.debt -= 1;
        } else {
            self.0.semaphore.add_permits(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Plays rounds in which everyone who may is in flight, and each is refused with the chance that `refuse` gives.
    fn play(gate: &Gate, rounds: u32, mut refuse: impl FnMut(u32) -> bool) -> u64 {
        let mut sent = 0;
        let mut admitted = 0;
        for _ in 0..rounds {
            let (first, limit) = (sent, gate.limit());
            sent += u64::from(limit);
            for place in 0..limit {
                let refused = refuse(place);
                admitted += u64::from(!refused);
                gate.answered(first + u64::from(place), sent, refused);
            }
        }
        admitted
    }

    #[test]
    fn refusals_at_random_do_not_strangle_it() {
        let gate = Gate::new(100);
        let mut draw = 12_345_u64;
        let admitted = play(&gate, 500, |_| {
            draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (draw >> 33) % 100 < 20
        });
        assert!(admitted as f64 >= 0.99 * 0.8 * 100.0 * 500.0, "{admitted}");
    }

    #[test]
    fn an_overrun_provider_is_asked_by_fewer_at_a_time_and_by_more_again_later() {
        let gate = Gate::new(200);
        play(&gate, 60, |place| place >= 20);
        let limit = gate.limit();
        assert!((10..=40).contains(&limit), "{limit} in flight where 20 are admitted");
        play(&gate, 200, |_| false);
        assert_eq!(gate.limit(), 200);
    }

    #[test]
    fn a_call_that_asks_again_goes_before_those_that_have_not_asked() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime without drivers");
        runtime.block_on(async {
            let gate = Gate::new(1);
            let held = gate.enter(false).await;
            let mut waiting: Vec<_> = [false, false, false, true].map(|again| Box::pin(gate.enter(again))).into();
            for enter in &mut waiting {
                assert!(futures::poll!(enter).is_pending());
            }
            drop(held);
            // One new call is next already; whoever asks again is before the others.
            let first = waiting.remove(0).await;
            drop(first);
            let again = waiting.pop().expect("the last one").await;
            assert!(futures::poll!(&mut waiting[0]).is_pending());
            drop(again);
            drop(waiting.remove(0).await);
        });
    }

    #[test]
    fn one_burst_of_refusals_shrinks_it_once() {
        let gate = Gate::new(100);
        for sent in 0..100 {
            gate.answered(sent, 100, true);
        }
        assert_eq!(gate.limit(), 70);
    }

    proptest! {
        /// However limits change while permits are out, as many can be out afterwards as the limit says.
        #[test]
        fn permits_and_limit_agree(steps in proptest::collection::vec((any::<bool>(), any::<bool>()), 1..400)) {
            let gate = Gate::new(30);
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime without drivers");
            let mut out = Vec::new();
            for (sent, (enter, refused)) in steps.into_iter().enumerate() {
                if enter && gate.semaphore.available_permits() > 0 {
                    out.push(runtime.block_on(gate.enter(sent.is_multiple_of(2))));
                } else {
                    out.pop();
                }
                gate.answered(sent as u64, sent as u64, refused);
            }
            out.clear();
            prop_assert_eq!(gate.semaphore.available_permits(), gate.limit() as usize);
        }
    }
}
