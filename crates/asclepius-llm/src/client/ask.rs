//! One call from its first attempt to its end: the only place where requests are sent and repeated.

use std::sync::atomic::Ordering;
use std::time::Duration;

use asclepius_schema::{Message, Reason};
use tokio::time::Instant;

use super::batch::over_budget;
use super::{Inner, Phase, stopped};
use crate::breaker::{Pass, Tripped};
use crate::budget::{Reservation, most_prompt_tokens};
use crate::gate::Permit;
use crate::ledger::{Entry, Intent, Outcome};
use crate::retry::scatter;
use crate::transport::Failure;
use crate::wire::{Judged, Meaning, RequestBody, Usage, Verdict, meaning};
use crate::{Call, Completion, LlmError, Reply, Trouble, shape};

/// A reply that hit its cap is asked for once more with the cap times this.
const CAP_GROWTH: u32 = 2;

/// Failures of a call for which its wait does not double while other calls succeed.
const SPARED_DOUBLINGS: u32 = 2;

/// A rough count of the bytes of a token, for the tokens-a-minute limit until the provider's own count is known.
const BYTES_A_TOKEN: f64 = 4.0;

/// How one attempt went on.
pub(super) enum Step {
    Done(Completion),
    /// Ask again, after this wait.
    Again(Duration),
}

/// What a call has been through so far.
pub(super) struct Progress<'client> {
    pub cap: u32,
    extended: bool,
    pub repair: Vec<Message>,
    pub failures: u32,
    limited: u32,
    /// Whether it was sent before.
    again: bool,
    /// Its place among the calls in flight.
    place: Option<Permit<'client>>,
    /// Kept over attempts that cost nothing.
    announced: Option<Announced<'client>>,
}

/// A send that the ledger knows of, and the money set aside for it.
struct Announced<'client> {
    inner: &'client Inner,
    intent: u64,
    // `None` only once it is settled.
    reservation: Option<Reservation<'client>>,
    /// From the first byte sent until a response says that nothing was billed.
    in_doubt: bool,
}

impl Announced<'_> {
    /// The endpoint answered: returns the intent's number and the dollars.
    fn settle(mut self, usage: Option<Usage>) -> (u64, f64) {
        let dollars = self.reservation.take().map_or(0.0, |reservation| reservation.settle(usage));
        (self.intent, dollars)
    }
}

impl Drop for Announced<'_> {
    fn drop(&mut self) {
        let Some(reservation) = self.reservation.take() else { return };
        if self.in_doubt {
            // Nobody knows whether it was billed: it counts as spent here and, as an open intent, in the ledger.
            drop(reservation);
        } else {
            reservation.release();
            self.inner.ledger.withdraw(self.intent);
        }
    }
}

impl Inner {
    pub(super) async fn ask(&self, call: &Call, key: &str) -> Result<Completion, LlmError> {
        let mut progress = Progress {
            cap: call.max_tokens,
            extended: false,
            repair: Vec::new(),
            failures: 0,
            limited: 0,
            again: false,
            place: None,
            announced: None,
        };
        loop {
            if let Some(error) = self.fatal.get() {
                return Err(error.clone());
            }
            let step = match &self.batches {
                None => {
                    progress.place = self.unless_draining(self.gate.enter(progress.again)).await;
                    if progress.place.is_none() {
                        return Ok(stopped());
                    }
                    // Boxed, since thousands of calls wait at the gate for each that is being asked.
                    let step = Box::pin(self.attempt(call, key, &mut progress)).await;
                    // Before the place is another call's, which would ask what none can answer any more.
                    let step = step.inspect_err(|error| self.give_up(error))?;
                    progress.place = None;
                    step
                }
                Some(batches) => Box::pin(self.attempt_batched(batches, call, key, &mut progress)).await?,
            };
            match step {
                Step::Done(completion) => return Ok(completion),
                Step::Again(wait) => {
                    progress.again = true;
                    if !self.wait(wait).await {
                        return self.fatal.get().map_or_else(|| Ok(stopped()), |error| Err(error.clone()));
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
        self.unless_draining(tokio::time::sleep(wait)).await.is_some()
    }

    /// What `work` comes to; `None` when the client is shut down before.
    pub(super) async fn unless_draining<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        if self.draining() {
            return None;
        }
        tokio::select! {
            // Most work is done at once, and then nobody need listen for a shutdown.
            biased;
            done = work => Some(done),
            () = self.reached(Phase::Draining) => None,
        }
    }

    async fn attempt<'client>(
        &'client self,
        call: &Call,
        key: &str,
        progress: &mut Progress<'client>,
    ) -> Result<Step, LlmError> {
        let Some(pass) = self.unless_draining(self.breaker.pass()).await else { return Ok(Step::Done(stopped())) };
        let tokens = estimated_tokens(call, progress.cap);
        if !self.may_send(tokens).await {
            return Ok(Step::Done(stopped()));
        }
        if progress.announced.is_none() {
            match self.announce(call, key, progress.cap).await? {
                Ok(announced) => progress.announced = Some(announced),
                Err(pending) => {
                    self.limits.give_back(tokens, Instant::now());
                    return Ok(Step::Done(pending));
                }
            }
        }
        if let Some(error) = self.fatal.get() {
            return Err(error.clone());
        }
        if self.draining() {
            return Ok(Step::Done(stopped()));
        }
        let body = self.body(call, &progress.repair, progress.cap);
        let cap_field = body.cap_field;
        // From here until its entry is durable the call is in flight.
        let _flight = Flight::new(self);
        let number = self.lock_stats().send();
        if let Some(announced) = &mut progress.announced {
            announced.in_doubt = true;
        }
        let (sent, allowance) = tokio::select! {
            biased;
            () = self.reached(Phase::Stopped) => return Ok(Step::Done(stopped())),
            sent = self.transport.send(&body) => sent,
        };
        let now = Instant::now();
        self.limits.learn(number, &allowance, now);
        let judged = sent.and_then(|response| {
            response.judge().ok_or_else(|| Failure::Lost("a response without a choice in it".to_owned()))
        });
        let unbilled = |progress: &mut Progress<'_>| {
            if let Some(announced) = &mut progress.announced {
                announced.in_doubt = false;
            }
            self.limits.settle(tokens, 0.0, now);
        };
        match judged {
            Ok(judged) => {
                self.endpoint_works(pass);
                self.limits.admitted(number);
                self.answered(number, false);
                let (intent, cost) =
                    progress.announced.take().map_or((0, 0.0), |announced| announced.settle(judged.usage));
                let usage = judged.usage.unwrap_or_default();
                let used = f64::from(usage.prompt_tokens) + f64::from(usage.completion_tokens);
                self.limits.settle(tokens, if judged.usage.is_some() { used } else { tokens }, now);
                self.lock_stats().count_answer(usage, cost);
                let paid = Attempted { intent, cost, cap: progress.cap, usage };
                self.conclude(call, key, progress, judged, paid).await
            }
            Err(Failure::Lost(detail)) => {
                // It may have been worked on: its intent stays open, and the next attempt takes another.
                drop(progress.announced.take());
                self.failed(pass, progress, detail, None, number)
            }
            Err(Failure::Connect(detail)) => {
                unbilled(progress);
                // Of many calls each fails once, and then one at a time looks again: their attempts are one another's.
                let attempts = 1 + progress.failures.max(self.breaker.fruitless());
                if !self.ever_answered.load(Ordering::Relaxed) && attempts >= self.pace.attempts {
                    self.lock_stats().failed += 1;
                    return Err(self.trouble(Trouble::Unreachable { attempts, detail }));
                }
                self.failed(pass, progress, detail, None, number)
            }
            Err(Failure::Redirect(location)) => {
                unbilled(progress);
                Err(self.trouble(Trouble::Redirect { location }))
            }
            Err(Failure::Status { status, problem, retry_after }) => {
                unbilled(progress);
                self.ever_answered.store(true, Ordering::Relaxed);
                let detail = problem.detail(self.secret.as_deref(), call);
                let meaning = match meaning(status, &problem, &detail) {
                    // Not every call asks for a shape: one that does can be asked without.
                    Meaning::Fatal(Trouble::Setting { .. })
                        if problem.param == "response_format" && call.response_format.is_some() =>
                    {
                        Meaning::Rejected(Reason::RequestRejected)
                    }
                    meaning => meaning,
                };
                match meaning {
                    Meaning::RateLimited => {
                        self.endpoint_works(pass);
                        self.answered(number, true);
                        Ok(Step::Again(self.rate_limited(progress, retry_after, &detail, number)))
                    }
                    Meaning::Transient => {
                        self.failed(pass, progress, format!("HTTP {status}: {detail}"), retry_after, number)
                    }
                    Meaning::OtherCapField => {
                        self.endpoint_works(pass);
                        self.other_cap(cap_field, detail)
                    }
                    Meaning::Rejected(reason) => {
                        self.endpoint_works(pass);
                        let detail = format!("HTTP {status}: {detail}");
                        let (intent, cap) = (progress.announced.as_ref().map_or(0, |it| it.intent), progress.cap);
                        // The entry settles the intent at no cost.
                        if let Some(mut announced) = progress.announced.take()
                            && let Some(reservation) = announced.reservation.take()
                        {
                            reservation.release();
                        }
                        let paid = Attempted { intent, cost: 0.0, cap, usage: Usage::default() };
                        self.drop_for_good(call, key, reason, detail, paid).await
                    }
                    Meaning::Fatal(trouble) => Err(self.trouble(trouble)),
                }
            }
        }
    }

    /// What is sent, with the token cap under the name that it has here.
    pub(super) fn body<'call>(
        &'call self,
        call: &'call Call,
        repair: &'call [Message],
        cap: u32,
    ) -> RequestBody<'call> {
        let other = self.other_cap_field.load(Ordering::Relaxed);
        let cap_field = if other { "max_completion_tokens" } else { "max_tokens" };
        RequestBody { model: &self.model, call, repair, cap_field, cap, extra_body: &self.extra_body }
    }

    /// What precedes a send: the most that it may cost.
    pub(super) fn intent(&self, call: &Call, key: &str, cap: u32) -> Intent {
        Intent {
            intent: self.ledger.next_intent(),
            key: key.to_owned(),
            row_id: call.row_id.clone(),
            stage: call.stage.to_owned(),
            prompt_tokens: most_prompt_tokens(call),
            completion_tokens: cap,
            cost_usd: self.budget.most_of(call, cap),
            batch: None,
        }
    }

    /// The cap must go under its other name; where it did already, nothing helps.
    pub(super) fn other_cap(&self, sent_as: &'static str, detail: String) -> Result<Step, LlmError> {
        self.other_cap_field.store(true, Ordering::Relaxed);
        if sent_as == "max_completion_tokens" {
            return Err(self.trouble(Trouble::Setting { detail }));
        }
        Ok(Step::Again(Duration::ZERO))
    }

    /// Sets money aside and makes the intent to spend it durable. The inner error is a call that the budget, or a
    /// shutdown, leaves pending.
    async fn announce<'client>(
        &'client self,
        call: &Call,
        key: &str,
        cap: u32,
    ) -> Result<Result<Announced<'client>, Completion>, LlmError> {
        let Some(reservation) = self.unless_draining(self.budget.reserve(call, cap)).await else {
            return Ok(Err(stopped()));
        };
        let Some(reservation) = reservation else {
            return Ok(Err(over_budget()));
        };
        let intent = self.intent(call, key, cap);
        let announced =
            Announced { inner: self, intent: intent.intent, reservation: Some(reservation), in_doubt: false };
        self.ledger.announce(&intent).await?;
        Ok(Ok(announced))
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
            let over = async {
                tokio::select! {
                    () = tokio::time::sleep(pause + scatter(pause)) => {}
                    () = self.limits.lifted() => {}
                }
            };
            if self.unless_draining(over).await.is_none() {
                return false;
            }
        }
    }

    pub(super) async fn conclude(
        &self,
        call: &Call,
        key: &str,
        progress: &mut Progress<'_>,
        judged: Judged,
        paid: Attempted,
    ) -> Result<Step, LlmError> {
        let Judged { verdict, finish_reason, served_model, .. } = judged;
        let verdict = match verdict {
            Verdict::CutShort(text) if call.keeps_cut => Verdict::Text(text),
            other => other,
        };
        match verdict {
            Verdict::Text(text) => {
                let misshapen = call.response_format.as_ref().and_then(|format| shape::check(format, &text).err());
                if let Some(problem) = misshapen {
                    return self.misshapen(call, key, progress, (text, finish_reason, problem), paid).await;
                }
                let outcome = Outcome::Reply { text: text.clone(), finish_reason: finish_reason.clone(), served_model };
                // The next call may have the place while this is written: its intent, without which it is not sent, is
                // durable only with this.
                let entry = self.entry(call, key, &paid, outcome);
                self.ledger.append_placed(&entry, || progress.place = None).await?;
                Ok(Step::Done(Completion::Reply(Reply {
                    text,
                    finish_reason,
                    prompt_tokens: paid.usage.prompt_tokens,
                    completion_tokens: paid.usage.completion_tokens,
                    request_key: key.to_owned(),
                    model: self.model.clone(),
                })))
            }
            Verdict::CutShort(_) if !progress.extended => {
                self.ledger.append(&self.entry(call, key, &paid, Outcome::Attempt { finish_reason })).await?;
                progress.extended = true;
                progress.cap = largest_cap(call);
                Ok(Step::Again(Duration::ZERO))
            }
            Verdict::CutShort(_) => {
                let detail = format!("cut off at {} tokens, and before at {}", progress.cap, call.max_tokens);
                self.drop_for_good(call, key, Reason::Truncated, detail, paid).await
            }
            Verdict::Unusable { reason, detail } => self.drop_for_good(call, key, reason, detail, paid).await,
        }
    }

    /// A reply that has not the shape asked for is asked for once more, with what is wrong with it.
    async fn misshapen(
        &self,
        call: &Call,
        key: &str,
        progress: &mut Progress<'_>,
        (text, finish_reason, problem): (String, String, String),
        paid: Attempted,
    ) -> Result<Step, LlmError> {
        if !progress.repair.is_empty() {
            return self.drop_for_good(call, key, Reason::Malformed, problem, paid).await;
        }
        self.ledger.append(&self.entry(call, key, &paid, Outcome::Attempt { finish_reason })).await?;
        let ask = format!(
            "That is not what was asked for: {problem}. Answer again with the corrected JSON and nothing else."
        );
        progress.repair = vec![Message::assistant(text), Message::user(ask)];
        Ok(Step::Again(Duration::ZERO))
    }

    pub(super) async fn drop_for_good(
        &self,
        call: &Call,
        key: &str,
        reason: Reason,
        detail: String,
        paid: Attempted,
    ) -> Result<Step, LlmError> {
        let outcome = Outcome::Dropped { reason, detail: detail.clone() };
        self.ledger.append(&self.entry(call, key, &paid, outcome)).await?;
        Ok(Step::Done(Completion::Dropped { reason, detail }))
    }

    fn entry(&self, call: &Call, key: &str, paid: &Attempted, outcome: Outcome) -> Entry {
        Entry {
            key: key.to_owned(),
            row_id: call.row_id.clone(),
            stage: call.stage.to_owned(),
            model: self.model.clone(),
            max_tokens: paid.cap,
            prompt_tokens: paid.usage.prompt_tokens,
            completion_tokens: paid.usage.completion_tokens,
            intent: paid.intent,
            cost_usd: self.budget.has_prices().then_some(paid.cost),
            outcome,
        }
    }

    /// A failure that may pass: back off, then leave the call to the next run. Where nothing succeeds any more, everyone
    /// pauses, and in the end the endpoint is given up.
    fn failed(
        &self,
        pass: Pass<'_>,
        progress: &mut Progress<'_>,
        detail: String,
        retry_after: Option<Duration>,
        number: u64,
    ) -> Result<Step, LlmError> {
        progress.failures += 1;
        self.lock_stats().failed += 1;
        match pass.failed() {
            Tripped::No => {}
            Tripped::Paused(pause) => tracing::warn!(
                endpoint = self.endpoint,
                seconds = pause.as_secs_f64(),
                detail,
                "nothing succeeds any more: pausing, then one call looks again"
            ),
            Tripped::GivenUp { after } => {
                return Err(self.trouble(Trouble::Failing { seconds: after.as_secs(), detail }));
            }
        }
        if progress.failures < self.pace.attempts {
            // Where others are answered in between there is nothing to wait out: a row that fails by chance is not to
            // hold up those that are delivered after it.
            let spared = if self.breaker.is_troubled() { 0 } else { SPARED_DOUBLINGS };
            let backoff = self.pace.backoff(progress.failures.saturating_sub(spared).max(1));
            let Some(pause) = retry_after else { return Ok(Step::Again(backoff)) };
            self.limits.told_to_wait(pause, number, Instant::now());
            // Whoever was told to wait does, whatever others find out meanwhile.
            return Ok(Step::Again(backoff.max(pause + scatter(pause))));
        }
        tracing::warn!(
            attempts = progress.failures,
            detail,
            "a call failed again and again; the next run asks it again"
        );
        Ok(Step::Done(Completion::Pending { detail }))
    }

    fn endpoint_works(&self, pass: Pass<'_>) {
        self.ever_answered.store(true, Ordering::Relaxed);
        if pass.answered() {
            tracing::info!(endpoint = self.endpoint, "it works again: going on");
        }
    }

    fn answered(&self, number: u64, refused: bool) {
        let next = self.lock_stats().sent + 1;
        if let Some(limit) = self.gate.answered(number, next, refused) {
            tracing::info!(endpoint = self.endpoint, limit, "many requests were turned away: fewer at a time");
        }
    }

    /// A rate limit is no failure: it costs patience, never an attempt.
    fn rate_limited(
        &self,
        progress: &mut Progress<'_>,
        retry_after: Option<Duration>,
        detail: &str,
        number: u64,
    ) -> Duration {
        progress.limited += 1;
        self.lock_stats().rate_limited += 1;
        let now = Instant::now();
        if let Some(pause) = retry_after {
            if self.limits.paused(now) < pause {
                tracing::debug!(endpoint = self.endpoint, seconds = pause.as_secs_f64(), detail, "rate limited");
            }
            self.limits.told_to_wait(pause, number, now);
            return pause + scatter(pause);
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

/// What an answered attempt was and cost.
pub(super) struct Attempted {
    pub intent: u64,
    pub cost: f64,
    pub cap: u32,
    pub usage: Usage,
}

impl Attempted {
    /// Nothing was sent.
    pub(super) fn free(cap: u32) -> Self {
        Self { intent: 0, cost: 0.0, cap, usage: Usage::default() }
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
        let left = self.0.in_flight.fetch_sub(1, Ordering::SeqCst) - 1;
        if left == 0 {
            self.0.landed.notify_waiters();
        }
    }
}
