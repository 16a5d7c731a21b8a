//! Money: what was spent, what calls in flight may still cost, and the cap on both.

use std::sync::{Mutex, PoisonError};

use asclepius_schema::Message;
use tokio::sync::Notify;

use crate::Call;
use crate::ledger::{Intent, Paid};
use crate::wire::Usage;

/// Tokens that a chat template adds around one message, generously.
const TOKENS_AROUND_A_MESSAGE: usize = 16;

/// A cap on spending. Before a call is sent its greatest possible cost is reserved, so the cap holds whatever comes.
#[derive(Debug)]
pub(crate) struct Budget {
    prices: Option<(f64, f64)>,
    limit: Option<f64>,
    account: Mutex<Account>,
    changed: Notify,
}

#[derive(Debug, Clone, Copy)]
struct Account {
    spent: f64,
    reserved: f64,
    calls: u64,
}

/// Money set aside for one send. Dropping it unsettled counts it as spent: nobody knows whether the call was billed.
#[derive(Debug)]
pub(crate) struct Reservation<'budget> {
    budget: &'budget Budget,
    dollars: f64,
}

impl Budget {
    /// `prices` in dollars a token, sent and received; `paid` by earlier runs, at their own prices where they had any.
    pub fn new(prices: Option<(f64, f64)>, limit: Option<f64>, paid: Paid) -> Self {
        let unpriced = prices.map_or(0.0, |(input, output)| {
            paid.unpriced_prompt_tokens as f64 * input + paid.unpriced_completion_tokens as f64 * output
        });
        let spent = paid.cost_usd + unpriced;
        let account = Mutex::new(Account { spent, reserved: 0.0, calls: 0 });
        Self { prices, limit, account, changed: Notify::new() }
    }

    /// Sets aside what `call` may cost at most; waits while only calls in flight stand in the way. `None`: the budget
    /// does not allow it.
    pub async fn reserve(&self, call: &Call, cap: u32) -> Option<Reservation<'_>> {
        let dollars = self.most(call, cap);
        if self.limit.is_none() {
            // Nothing can stand in the way, so nobody waits or is woken.
            let mut account = self.lock();
            account.reserved += dollars;
            account.calls += 1;
            return Some(Reservation { budget: self, dollars });
        }
        loop {
            let changed = self.changed.notified();
            let mut changed = std::pin::pin!(changed);
            // Registered before looking, or a change between the two would be missed.
            changed.as_mut().enable();
            {
                let mut account = self.lock();
                let fits = self.limit.is_none_or(|limit| account.spent + account.reserved + dollars <= limit);
                if fits {
                    account.reserved += dollars;
                    account.calls += 1;
                    return Some(Reservation { budget: self, dollars });
                }
                if account.calls == 0 {
                    return None;
                }
            }
            changed.await;
        }
    }

    /// Takes over a request that an earlier run announced and that was counted as spent; gives the money set aside.
    pub fn adopt(&self, intent: &Intent) -> f64 {
        let dollars = intent
            .cost_usd
            .unwrap_or_else(|| self.cost(f64::from(intent.prompt_tokens), f64::from(intent.completion_tokens)));
        let mut account = self.lock();
        account.spent -= dollars;
        account.reserved += dollars;
        account.calls += 1;
        dollars
    }

    /// What [`Reservation::hand_over`] let go of.
    pub fn take_over(&self, dollars: f64) -> Reservation<'_> {
        Reservation { budget: self, dollars }
    }

    /// Dollars spent, earlier runs included.
    pub fn spent(&self) -> f64 {
        self.lock().spent
    }

    /// Dollars for this many tokens; 0 without prices.
    pub fn cost(&self, prompt_tokens: f64, completion_tokens: f64) -> f64 {
        self.prices.map_or(0.0, |(input, output)| prompt_tokens * input + completion_tokens * output)
    }

    /// Whether money can be counted.
    pub fn has_prices(&self) -> bool {
        self.prices.is_some()
    }

    /// The most that a call may cost; `None` without prices.
    pub fn most_of(&self, call: &Call, cap: u32) -> Option<f64> {
        self.prices.map(|_| self.most(call, cap))
    }

    fn most(&self, call: &Call, cap: u32) -> f64 {
        self.cost(f64::from(most_prompt_tokens(call)), f64::from(cap))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self, reserved: f64, spent: f64) {
        let mut account = self.lock();
        account.reserved -= reserved;
        account.spent += spent;
        account.calls -= 1;
        if account.calls == 0 {
            // What rounding left behind must not add up over a million calls.
            account.reserved = 0.0;
        }
        drop(account);
        if self.limit.is_some() {
            self.changed.notify_waiters();
        }
    }
}

/// The most tokens that a call's messages may be counted as: a token is at least a byte of text.
pub(crate) fn most_prompt_tokens(call: &Call) -> u32 {
    let bytes = |message: &Message| message.content.len() + TOKENS_AROUND_A_MESSAGE;
    u32::try_from(call.messages.iter().map(bytes).sum::<usize>()).unwrap_or(u32::MAX)
}

impl Reservation<'_> {
    /// The call was answered, with these tokens; without a count its greatest cost is taken. Returns the dollars.
    pub fn settle(self, usage: Option<Usage>) -> f64 {
        let spent = usage.map_or(self.dollars, |usage| {
            self.budget.cost(f64::from(usage.prompt_tokens), f64::from(usage.completion_tokens))
        });
        self.close(spent);
        spent
    }

    /// The call was turned away: nothing is billed.
    pub fn release(self) {
        self.close(0.0);
    }

    /// Lets go of the money without settling it: whoever takes it over does.
    pub fn hand_over(self) -> f64 {
        let dollars = self.dollars;
        std::mem::forget(self);
        dollars
    }

    fn close(self, spent: f64) {
        self.budget.close(self.dollars, spent);
        std::mem::forget(self);
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        self.budget.close(self.dollars, self.dollars);
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// 84 bytes and 16 tokens around them: 100 tokens of prompt at most.
    fn call() -> Call {
        Call::new("r", "note", vec![Message::user("x".repeat(84))], 0.0, 100)
    }

    type Reserving<'budget> = std::pin::Pin<Box<dyn Future<Output = Option<Reservation<'budget>>> + 'budget>>;

    fn poll<'budget>(reserving: &mut Reserving<'budget>) -> Poll<Option<Reservation<'budget>>> {
        reserving.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    fn at_once<'budget>(budget: &'budget Budget, call: &'budget Call) -> Poll<Option<Reservation<'budget>>> {
        poll(&mut (Box::pin(budget.reserve(call, 100)) as Reserving<'budget>))
    }

    #[test]
    fn what_may_be_spent_is_reserved_and_the_cap_holds() {
        let budget = Budget::new(Some((0.01, 0.02)), Some(10.0), Paid::one(300, 0, None));
        assert!((budget.spent() - 3.0).abs() < 1e-9);
        let call = call();
        let Poll::Ready(Some(first)) = at_once(&budget, &call) else {
            panic!("3 of 10 are spent, a call costs 3 at most")
        };
        let Poll::Ready(Some(second)) = at_once(&budget, &call) else { panic!("6 of 10 are spent or reserved") };
        let mut third: Reserving<'_> = Box::pin(budget.reserve(&call, 100));
        assert!(poll(&mut third).is_pending(), "it may fit once a call in flight turns out cheaper");
        let usage = Usage { prompt_tokens: 20, completion_tokens: 10 };
        assert!((first.settle(Some(usage)) - 0.4).abs() < 1e-9);
        let Poll::Ready(Some(third)) = poll(&mut third) else { panic!("3.4 spent, 3 reserved, 3 asked for") };
        drop(second);
        third.release();
        assert!((budget.spent() - 6.4).abs() < 1e-9, "a call whose end is unknown counts in full");
        let Poll::Ready(Some(fourth)) = at_once(&budget, &call) else { panic!("9.4 fits") };
        fourth.settle(None);
        assert!(matches!(at_once(&budget, &call), Poll::Ready(None)));
    }

    #[test]
    fn without_a_limit_everything_fits() {
        let budget = Budget::new(None, None, Paid::default());
        assert!(matches!(at_once(&budget, &call()), Poll::Ready(Some(_))));
    }
}
