//! What a client has done, and the law that no call is lost.

use asclepius_schema::Reason;
use std::collections::BTreeMap;

use crate::ledger::Paid;
use crate::wire::Usage;
use crate::{Completion, LlmError};

/// What a client has done since it was opened.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stats {
    /// Calls that came in.
    pub asked: u64,
    /// Of these, those that ended with a text.
    pub replied: u64,
    /// Those that ended without one for good, by reason.
    pub dropped: BTreeMap<Reason, u64>,
    /// Those that the next run asks again: stopped, out of budget, or failed in a way that may pass.
    pub pending: u64,
    /// Those that have not ended.
    pub open: u64,
    /// Calls that the endpoint answered, whatever the answer was worth.
    pub calls: u64,
    /// Calls answered from the ledger.
    pub cached: u64,
    /// What those cost when they were asked.
    pub cached_usage: Paid,
    /// Requests sent in all.
    pub sent: u64,
    /// Requests that a rate limit turned away.
    pub rate_limited: u64,
    /// Requests that failed and may be repeated.
    pub failed: u64,
    /// Requests in flight now.
    pub in_flight: u64,
    /// Requests that may be in flight now: `concurrency`, or fewer while many are turned away.
    pub limit: u64,
    /// Batches that are out.
    pub batches: u64,
    /// Requests in them that are not answered yet.
    pub batched: u64,
    /// Tokens sent, as the provider counts them.
    pub prompt_tokens: u64,
    /// Tokens received, as the provider counts them.
    pub completion_tokens: u64,
    /// Tokens a minute that may be sent and received, where that is known.
    pub tokens_per_minute: Option<f64>,
    /// Seconds that everyone still pauses, where nothing succeeds or the provider asked for it.
    pub paused_seconds: Option<f64>,
    /// US dollars for them; 0 without prices.
    pub cost_usd: f64,
    /// US dollars that the ledger knows of, earlier runs included; 0 without prices.
    pub spent_usd: f64,
}

impl Stats {
    pub(super) fn count_cached(&mut self, paid: Paid) {
        self.cached += 1;
        self.cached_usage.add(paid);
    }

    /// Counts a request and gives its number.
    pub(super) fn send(&mut self) -> u64 {
        self.sent += 1;
        self.sent
    }

    pub(super) fn count_answer(&mut self, usage: Usage, cost: f64) {
        self.calls += 1;
        self.prompt_tokens += u64::from(usage.prompt_tokens);
        self.completion_tokens += u64::from(usage.completion_tokens);
        self.cost_usd += cost;
    }

    pub(super) fn begin(&mut self) {
        self.asked += 1;
        self.open += 1;
    }

    /// `None`: given up by whoever asked, or ended by an error that ends the run.
    pub(super) fn end(&mut self, completion: Option<&Completion>) {
        self.open -= 1;
        match completion {
            Some(Completion::Reply(_)) => self.replied += 1,
            Some(Completion::Dropped { reason, .. }) => *self.dropped.entry(*reason).or_default() += 1,
            Some(Completion::Pending { .. }) | None => self.pending += 1,
        }
    }

    /// Checks that every call which came in is accounted for: in = replied + dropped + pending, and none is open.
    ///
    /// # Errors
    /// [`LlmError::Unbalanced`] when calls appeared or vanished.
    pub fn check(&self) -> Result<(), LlmError> {
        let dropped = self.dropped.values().sum();
        if self.open == 0 && self.asked == self.replied + dropped + self.pending {
            return Ok(());
        }
        Err(LlmError::Unbalanced {
            asked: self.asked,
            replied: self.replied,
            dropped,
            pending: self.pending,
            open: self.open,
        })
    }
}
