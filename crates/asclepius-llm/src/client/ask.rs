//! One call from its first attempt to its end: the only place where requests are sent and repeated.

use std::sync::atomic::Ordering;
use std::time::Duration;

use asclepius_schema::Reason;
use tokio::time::Instant;

use super::{Inner, Phase, stopped};
use crate::ledger::{Entry, Outcome};
use crate::retry::scatter;
use crate::transport::Failure;
use crate::wire::{Judged, Meaning, Usage, Verdict, meaning, request_body};
use crate::{Call, Completion, LlmError, Reply, Trouble};

/// A reply that hit its cap is asked for once more with the cap times this.
const CAP_GROWTH: u32 = 2;

/// A rough count of the bytes of a token, for the tokens-a-minute limit until the provider's own count is known.
const BYTES_A_TOKEN: f64 = 4.0;

/// How one attempt went on.
enum Step {
    Done(Completion),
    /// Ask again, after this wait.
    Again(Duration),
}

/// What a call has been through so far.
struct Progress {
    cap: u32,
    extended: bool,
    failures: u32,
    limited: u32,
}

impl Inner {
    pub(super) async fn ask(&self, call: &Call, key: &str) -> Result<Completion, LlmError> {
        let mut progress = Progress { cap: call.max_tokens, extended: false, failures: 0, limited: 0 };
        loop {
            if let Some(error) = self.fatal.get() {
                return Err(error.clone());
            }
            match self.attempt(call, key, &mut progress).await? {
                Step::Done(completion) => return Ok(completion),
                Step::Again(wait) => {
                    if !self.wait(wait).await {
                        return Ok(stopped());
                    }
                }
            }
        }
    }

    /// Waits; false when the client is shut down before the wait is over.
    async fn wait(&self, wait: Duration) -> bool {
        if wait.is_zero() {
            return !self.draining();
        }
        tokio::select! {
            biased;
            () = self.reached(Phase::Draining) => false,
            () = tokio::time::sleep(wait) => true,
        }
    }

    async fn attempt(&self, call: &Call, key: &str, progress: &mut Progress) -> Result<Step, LlmError> {
        let cap_field =
            if self.other_cap_field.load(Ordering::Relaxed) { "max_completion_tokens" } else { "max_tokens" };
        let body = request_body(call, &self.model, cap_field, progress.cap, &self.extra_body);
        let tokens = estimated_tokens(call, progress.cap);
        let reservation = tokio::select! {
            biased;
            () = self.reached(Phase::Draining) => return Ok(Step::Done(stopped())),
            reservation = self.budget.reserve(call, progress.cap) => reservation,
        };
        let Some(reservation) = reservation else {
            return Ok(Step::Done(Completion::Pending { detail: "the budget does not allow another call".to_owned() }));
        };
        if !self.may_send(tokens).await {
            reservation.release();
            return Ok(Step::Done(stopped()));
        }
        if let Some(error) = self.fatal.get() {
            reservation.release();
            return Err(error.clone());
        }
        // From here until its entry is durable the call is in flight.
        let _flight = Flight::new(self);
        self.lock_stats().sent += 1;
        let sent = tokio::select! {
            biased;
            () = self.reached(Phase::Stopped) => return Ok(Step::Done(stopped())),
            sent = self.transport.send(&body) => sent,
        };
        let judged = sent.and_then(|response| {
            response.judge().ok_or_else(|| Failure::Lost("a response without a choice in it".to_owned()))
        });
        match judged {
            Ok(judged) => {
                let cost = reservation.settle(judged.usage);
                let usage = judged.usage.unwrap_or(Usage { prompt_tokens: 0, completion_tokens: 0 });
                let used = f64::from(usage.prompt_tokens) + f64::from(usage.completion_tokens);
                self.limits.settle(tokens, if judged.usage.is_some() { used } else { tokens }, Instant::now());
                self.given_up_in_a_row.store(0, Ordering::Relaxed);
                self.count_answer(usage, cost);
                self.conclude(call, key, progress, judged, usage).await
            }
            Err(Failure::Lost(detail)) => {
                // It may have been worked on: its reservation counts as spent.
                drop(reservation);
                self.failed(progress, detail, None)
            }
            Err(Failure::Connect(detail)) => {
                reservation.release();
                self.limits.settle(tokens, 0.0, Instant::now());
                progress.failures += 1;
                self.lock_stats().failed += 1;
                if progress.failures >= self.pace.attempts {
                    return Err(self.trouble(Trouble::Unreachable { attempts: progress.failures, detail }));
                }
                Ok(Step::Again(self.pace.backoff(progress.failures)))
            }
            Err(Failure::Redirect(location)) => {
                reservation.release();
                Err(self.trouble(Trouble::Redirect { location }))
            }
            Err(Failure::Status { status, problem, retry_after }) => {
                reservation.release();
                self.limits.settle(tokens, 0.0, Instant::now());
                let detail = problem.detail(self.secret.as_deref(), call);
                match meaning(status, &problem, &detail) {
                    Meaning::RateLimited => Ok(Step::Again(self.rate_limited(progress, retry_after, &detail))),
                    Meaning::Transient => self.failed(progress, format!("HTTP {status}: {detail}"), retry_after),
                    Meaning::OtherCapField => {
                        let known = self.other_cap_field.swap(true, Ordering::Relaxed);
                        if known && cap_field == "max_completion_tokens" {
                            return Err(self.trouble(Trouble::Setting { detail }));
                        }
                        Ok(Step::Again(Duration::ZERO))
                    }
                    Meaning::Rejected(reason) => {
                        let detail = format!("HTTP {status}: {detail}");
                        self.given_up_in_a_row.store(0, Ordering::Relaxed);
                        let usage = Usage { prompt_tokens: 0, completion_tokens: 0 };
                        self.drop_for_good(call, key, progress.cap, reason, detail, usage).await
                    }
                    Meaning::Fatal(trouble) => Err(self.trouble(trouble)),
                }
            }
        }
    }

    /// Waits for the provider's pause and our own limits; false when the client is shut down meanwhile.
    async fn may_send(&self, tokens: f64) -> bool {
        let turn = self.limits.take(tokens, Instant::now());
        if !self.wait(turn).await {
            return false;
        }
        loop {
            let pause = self.limits.paused(Instant::now());
            if pause.is_zero() {
                return !self.draining();
            }
            if !self.wait(pause + scatter(pause)).await {
                return false;
            }
        }
    }

    async fn conclude(
        &self,
        call: &Call,
        key: &str,
        progress: &mut Progress,
        judged: Judged,
        usage: Usage,
    ) -> Result<Step, LlmError> {
        let Judged { verdict, finish_reason, served_model, .. } = judged;
        match verdict {
            Verdict::Text(text) => {
                let outcome = Outcome::Reply { text: text.clone(), finish_reason: finish_reason.clone(), served_model };
                self.ledger.append(&self.entry(call, key, progress.cap, usage, outcome)).await?;
                Ok(Step::Done(Completion::Reply(Reply {
                    text,
                    finish_reason,
                    prompt_tokens: usage.prompt_tokens,
                    completion_tokens: usage.completion_tokens,
                    request_key: key.to_owned(),
                    model: self.model.clone(),
                })))
            }
            Verdict::CutShort if !progress.extended => {
                let outcome = Outcome::Attempt { finish_reason };
                self.ledger.append(&self.entry(call, key, progress.cap, usage, outcome)).await?;
                progress.extended = true;
                progress.cap = largest_cap(call);
                Ok(Step::Again(Duration::ZERO))
            }
            Verdict::CutShort => {
                let detail = format!("cut off at {} tokens, and before at {}", progress.cap, call.max_tokens);
                self.drop_for_good(call, key, progress.cap, Reason::Truncated, detail, usage).await
            }
            Verdict::Unusable { reason, detail } => {
                self.drop_for_good(call, key, progress.cap, reason, detail, usage).await
            }
        }
    }

    async fn drop_for_good(
        &self,
        call: &Call,
        key: &str,
        cap: u32,
        reason: Reason,
        detail: String,
        usage: Usage,
    ) -> Result<Step, LlmError> {
        let outcome = Outcome::Dropped { reason, detail: detail.clone() };
        self.ledger.append(&self.entry(call, key, cap, usage, outcome)).await?;
        Ok(Step::Done(Completion::Dropped { reason, detail }))
    }

    fn entry(&self, call: &Call, key: &str, cap: u32, usage: Usage, outcome: Outcome) -> Entry {
        Entry {
            key: key.to_owned(),
            row_id: call.row_id.clone(),
            stage: call.stage.to_owned(),
            model: self.model.clone(),
            max_tokens: cap,
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
            outcome,
        }
    }

    /// A failure that may pass: back off, then pend, and in the end give the endpoint up.
    fn failed(&self, progress: &mut Progress, detail: String, retry_after: Option<Duration>) -> Result<Step, LlmError> {
        progress.failures += 1;
        self.lock_stats().failed += 1;
        if progress.failures < self.pace.attempts {
            if let Some(pause) = retry_after {
                self.limits.pause(pause, Instant::now());
            }
            return Ok(Step::Again(self.pace.backoff(progress.failures)));
        }
        let calls = self.given_up_in_a_row.fetch_add(1, Ordering::Relaxed) + 1;
        if calls >= self.pace.failing_calls {
            return Err(self.trouble(Trouble::Failing { calls, attempts: progress.failures, detail }));
        }
        tracing::warn!(
            attempts = progress.failures,
            detail,
            "a call failed again and again; the next run asks it again"
        );
        Ok(Step::Done(Completion::Pending { detail }))
    }

    /// A rate limit is no failure: it costs patience, never an attempt.
    fn rate_limited(&self, progress: &mut Progress, retry_after: Option<Duration>, detail: &str) -> Duration {
        progress.limited += 1;
        self.lock_stats().rate_limited += 1;
        let now = Instant::now();
        if let Some(pause) = retry_after {
            if self.limits.paused(now) < pause {
                tracing::info!(
                    endpoint = self.endpoint,
                    seconds = pause.as_secs_f64(),
                    detail,
                    "rate limited: pausing"
                );
            }
            self.limits.pause(pause, now);
            return Duration::ZERO;
        }
        if progress.limited.is_power_of_two() && progress.limited >= 8 {
            tracing::warn!(
                endpoint = self.endpoint,
                times = progress.limited,
                detail,
                "still rate limited: waiting on"
            );
        }
        self.pace.backoff(progress.limited)
    }
}

pub(super) fn largest_cap(call: &Call) -> u32 {
    call.max_tokens.saturating_mul(CAP_GROWTH)
}

fn estimated_tokens(call: &Call, cap: u32) -> f64 {
    let bytes: usize = call.messages.iter().map(|message| message.content.len()).sum();
    bytes as f64 / BYTES_A_TOKEN + f64::from(cap)
}

/// A request in flight, as long as it lives.
struct Flight<'client>(&'client Inner);

impl<'client> Flight<'client> {
    fn new(inner: &'client Inner) -> Self {
        inner.in_flight.fetch_add(1, Ordering::SeqCst);
        Self(inner)
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
        self.0.landed.notify_waiters();
    }
}
