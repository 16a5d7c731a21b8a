//! The client: what is shared by all calls, and what a call goes through before and after it is asked.

mod ask;
mod batch;
mod stats;

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use asclepius_schema::Reason;
use serde_json::{Map, Value};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tracing::Instrument;

use crate::breaker::Breaker;
use crate::budget::Budget;
use crate::config::parse_base_url;
use crate::gate::Gate;
use crate::ledger::{Ledger, Outcome, Paid};
use crate::limits::Limits;
use crate::retry::Pace;
use crate::transport::Transport;
use crate::wire::is_cut;
use crate::{Call, Completion, LlmError, Reply, TeacherConfig, Trouble, shape};
use batch::Batches;

pub use stats::Stats;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Running,
    /// Nothing new is sent; what is in flight may end.
    Draining,
    /// What is in flight is given up.
    Stopped,
}

/// The chat client. Clones share everything.
#[derive(Debug, Clone)]
pub struct Client(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    endpoint: String,
    model: String,
    extra_body: Map<String, Value>,
    secret: Option<String>,
    pace: Pace,
    transport: Transport,
    ledger: Ledger,
    limits: Limits,
    budget: Budget,
    gate: Gate,
    breaker: Breaker,
    phase: watch::Sender<Phase>,
    in_flight: AtomicUsize,
    landed: Notify,
    /// Set once, by the first call that finds that no other can succeed.
    fatal: OnceLock<LlmError>,
    /// Whether the endpoint was there at all in this run: if not, its address is the likelier fault.
    ever_answered: AtomicBool,
    other_cap_field: AtomicBool,
    /// What calls go through instead, where they are asked in batches.
    batches: Option<Batches>,
    /// Calls being asked now, so that the same call asked twice at a time is paid once.
    turns: Mutex<HashMap<String, Asked>>,
    stats: Mutex<Stats>,
}

impl Client {
    /// Opens the ledger in `ledger_dir` and prepares to ask `base_url` (`.../v1`). Nothing is sent yet.
    ///
    /// # Errors
    /// When the configuration is impossible, the URL is none, or the ledger cannot be opened: see [`Ledger::open`].
    pub fn open(
        config: &TeacherConfig,
        base_url: &str,
        api_key: Option<String>,
        ledger_dir: &Path,
    ) -> Result<Self, LlmError> {
        Self::open_share(config, base_url, api_key, ledger_dir, None)
    }

    /// The same as one of several processes that share the work, the ledger's directory and the budget.
    ///
    /// # Errors
    /// See [`Client::open`].
    pub fn open_share(
        config: &TeacherConfig,
        base_url: &str,
        api_key: Option<String>,
        ledger_dir: &Path,
        share: Option<&Share>,
    ) -> Result<Self, LlmError> {
        config.validate()?;
        let patience = Duration::from_secs_f64(config.patience_seconds);
        Self::open_with(config, base_url, api_key, ledger_dir, Pace { patience, ..Pace::default() }, share)
    }

    /// The same with a pace of one's own in place of the configured patience.
    ///
    /// # Errors
    /// See [`Client::open`].
    pub fn open_with(
        config: &TeacherConfig,
        base_url: &str,
        api_key: Option<String>,
        ledger_dir: &Path,
        pace: Pace,
        share: Option<&Share>,
    ) -> Result<Self, LlmError> {
        config.validate()?;
        let url = parse_base_url(base_url)?;
        let timeout = Duration::from_secs_f64(config.timeout_seconds);
        let transport = Transport::new(&url, api_key.as_deref(), timeout)?;
        let ledger = match share {
            None => Ledger::open(ledger_dir)?,
            Some(share) => Ledger::open_named(ledger_dir, &share.name)?,
        };
        let found = ledger.found();
        let budget = match share {
            None => Budget::new(config.prices(), config.budget_usd, found.paid),
            Some(share) => {
                // What siblings spend comes out of their own shares; what was spent before is divided like the rest.
                let before = Budget::new(config.prices(), None, ledger.paid_beside(&share.siblings)).spent();
                let limit = config.budget_usd.map(|budget| (budget - before).max(0.0) * share.fraction);
                Budget::new(config.prices(), limit, found.paid_here)
            }
        };
        let (batches, plan) = match config.batch {
            true => {
                let base = url.as_str().trim_end_matches('/');
                check_batches(&ledger, base)?;
                let name = share.map_or("calls", |share| &share.name);
                let directory = ledger_dir.join(format!("{name}.batches"));
                let found = ledger.batches().clone();
                let tokens = config.batch_enqueued_tokens;
                let (batches, plan) = Batches::new(&transport, found, directory, pace.batch, tokens);
                (Some(batches), Some(plan))
            }
            false => {
                warn_of_batches(&ledger);
                (None, None)
            }
        };
        let fraction = share.map_or(1.0, |share| share.fraction);
        let part = |limit: Option<u32>| limit.map(|limit| ((f64::from(limit) * fraction) as u32).max(1));
        let inner = Arc::new(Inner {
            endpoint: url.as_str().trim_end_matches('/').to_owned(),
            model: config.model_name().to_owned(),
            extra_body: config.extra_body.clone(),
            secret: api_key,
            pace,
            transport,
            ledger,
            limits: Limits::new(part(config.requests_per_minute), part(config.tokens_per_minute), Instant::now()),
            budget,
            gate: Gate::new(config.concurrency),
            breaker: Breaker::new(pace),
            phase: watch::Sender::new(Phase::Running),
            in_flight: AtomicUsize::new(0),
            landed: Notify::new(),
            fatal: OnceLock::new(),
            ever_answered: AtomicBool::new(false),
            other_cap_field: AtomicBool::new(false),
            batches,
            turns: Mutex::new(HashMap::new()),
            stats: Mutex::new(Stats::default()),
        });
        if let Some(plan) = plan {
            Batches::start(&inner, plan);
        }
        Ok(Self(inner))
    }

    /// Whether calls are gathered into batches.
    pub fn is_batched(&self) -> bool {
        self.0.batches.is_some()
    }

    /// The model that is asked for.
    pub fn model(&self) -> &str {
        &self.0.model
    }

    /// The base URL that is asked.
    pub fn endpoint(&self) -> &str {
        &self.0.endpoint
    }

    /// The ledger behind the client.
    pub fn ledger(&self) -> &Ledger {
        &self.0.ledger
    }

    /// The identity of `call` with this client's model and settings, see [`Call::key`].
    pub fn key(&self, call: &Call) -> String {
        call.key(&self.0.model, &self.0.extra_body)
    }

    /// What was done so far.
    pub fn stats(&self) -> Stats {
        let inner = &*self.0;
        let paused = inner.breaker.paused().unwrap_or_default().max(inner.limits.paused(Instant::now()));
        let (batches, batched) = inner.batches.as_ref().map_or((0, 0), Batches::out);
        Stats {
            batches,
            batched,
            in_flight: inner.in_flight.load(Ordering::Relaxed) as u64,
            limit: u64::from(inner.gate.limit()),
            tokens_per_minute: inner.limits.tokens_per_minute(),
            paused_seconds: Some(paused.as_secs_f64()).filter(|seconds| *seconds > 0.0),
            spent_usd: inner.budget.spent(),
            ..inner.lock_stats().clone()
        }
    }

    /// Answers `call`: from the ledger if it was answered before, else by asking the endpoint. A reply is durable
    /// before it is returned. Dropping the future gives up a request in flight, whose reply is then lost.
    ///
    /// # Errors
    /// When no call can be answered: the endpoint is unreachable, keeps failing, refuses access or has no credit
    /// left, or the ledger cannot be read or written. Calls that follow fail at once with the same error.
    pub async fn complete(&self, call: &Call) -> Result<Completion, LlmError> {
        let inner = &self.0;
        let mut counted = Counted::new(inner);
        let completion = inner.complete(call, &self.key(call)).await;
        if let Err(error) = &completion {
            inner.give_up(error);
        }
        counted.end(completion.as_ref().ok());
        completion
    }

    /// Sends nothing more, lets calls in flight end for `grace`, then gives them up. Every call that has not ended by
    /// then, and every later one that the ledger cannot answer, is [`Completion::Pending`].
    pub async fn shutdown(&self, grace: Duration) {
        self.0.phase.send_modify(|phase| *phase = Phase::Draining.max(*phase));
        let all_landed = async {
            loop {
                let mut landed = std::pin::pin!(self.0.landed.notified());
                landed.as_mut().enable();
                if self.0.in_flight.load(Ordering::SeqCst) == 0 {
                    return;
                }
                landed.await;
            }
        };
        if tokio::time::timeout(grace, all_landed).await.is_err() {
            let left = self.0.in_flight.load(Ordering::SeqCst);
            tracing::warn!(calls = left, "gave up calls in flight; the next run asks them again");
        }
        self.0.phase.send_replace(Phase::Stopped);
        if let Some(batches) = &self.0.batches {
            batches.stopped().await;
        }
    }
}

/// Batches can only be read where they are.
fn check_batches(ledger: &Ledger, base_url: &str) -> Result<(), LlmError> {
    let mut endpoints = ledger.batches().values().filter_map(|batch| Some(&batch.last.as_ref()?.endpoint));
    if let Some(endpoint) = endpoints.find(|endpoint| *endpoint != base_url) {
        let problem = format!(
            "is {base_url}, but batches of this run are still to be read at {endpoint}; name that one, or set batch = false \
             to count them as paid and go on without"
        );
        return Err(LlmError::Config { key: "endpoint", problem });
    }
    if let [name, ..] = ledger.batches_beside() {
        let problem = format!("= true, but {name} has batches that are still to be read; run that shard again first");
        return Err(LlmError::Config { key: "batch", problem });
    }
    Ok(())
}

fn warn_of_batches(ledger: &Ledger) {
    let batches = ledger.batches().len() + ledger.batches_beside().len();
    if batches > 0 {
        tracing::warn!(
            batches,
            "batches of an earlier run are out and count as paid; a run with teacher.batch = true reads them, this one asks \
             their calls again"
        );
    }
}

fn stopped() -> Completion {
    Completion::Pending { detail: "stopped before it was answered".to_owned() }
}

impl Inner {
    /// No call can succeed any more.
    fn give_up(&self, error: &LlmError) {
        // Whoever comes next need not find out again.
        self.fatal.get_or_init(|| error.clone());
        // Nor need those wait that are about to ask.
        self.phase.send_if_modified(|phase| {
            let running = *phase == Phase::Running;
            *phase = Phase::Draining.max(*phase);
            running
        });
    }

    fn lock_stats(&self) -> std::sync::MutexGuard<'_, Stats> {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn complete(self: &Arc<Self>, call: &Call, key: &str) -> Result<Completion, LlmError> {
        if let Some(known) = self.recall(call, key)? {
            return Ok(known);
        }
        let turn = Turn::new(self, key);
        // Not by waiting where nobody is in the way: who begins thousands of calls at a time would be made to yield now and
        // then, and the calls at which that happens would go out after all the others.
        let _alone = match turn.lock.try_lock() {
            Ok(alone) => alone,
            Err(_) => turn.lock.lock().await,
        };
        if turn.waited
            && let Some(known) = self.recall(call, key)?
        {
            return Ok(known);
        }
        if self.found_in_a_batch(key).await.is_some()
            && let Some(known) = self.recall(call, key)?
        {
            return Ok(known);
        }
        if let Some(error) = self.fatal.get() {
            return Err(error.clone());
        }
        if self.draining() {
            return Ok(stopped());
        }
        // In a task of its own, so that calls are worked on by every thread of the runtime, whoever waits for them.
        let (inner, call, key) = (self.clone(), call.clone(), key.to_owned());
        let span = tracing::debug_span!("call", row = call.row_id, stage = call.stage, key);
        let mut asked = AbortOnDrop(tokio::spawn(async move { inner.ask(&call, &key).await }.instrument(span)));
        match (&mut asked.0).await {
            Ok(ended) => ended,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // Only the runtime itself cancels it: it is shutting down.
            Err(_) => Ok(stopped()),
        }
    }

    async fn reached(&self, phase: Phase) {
        // The sender lives as long as `self`, so the channel cannot be closed here.
        self.phase.subscribe().wait_for(|now| *now >= phase).await.ok();
    }

    fn draining(&self) -> bool {
        *self.phase.borrow() >= Phase::Draining
    }

    fn trouble(&self, trouble: Trouble) -> LlmError {
        LlmError::Endpoint { endpoint: self.endpoint.clone(), trouble }
    }

    /// What the ledger knows of the call. A drop that a larger cap may change does not count under a larger cap.
    fn recall(&self, call: &Call, key: &str) -> Result<Option<Completion>, LlmError> {
        let Some(entry) = self.ledger.get(key)? else { return Ok(None) };
        let paid = Paid::one(entry.prompt_tokens, entry.completion_tokens, entry.cost_usd);
        let completion = match entry.outcome {
            // What came of a batch that nobody waited for was not looked at.
            Outcome::Reply { text, .. } if !fits(call, &text) => return Ok(None),
            // A reply that a limit cut says what that limit gives, and nothing of another one.
            Outcome::Reply { finish_reason, .. }
                if is_cut(&finish_reason) && !(call.keeps_cut && call.max_tokens == entry.max_tokens) =>
            {
                return Ok(None);
            }
            Outcome::Reply { text, finish_reason, .. } => Completion::Reply(Reply {
                text,
                finish_reason,
                prompt_tokens: entry.prompt_tokens,
                completion_tokens: entry.completion_tokens,
                request_key: entry.key,
                model: entry.model,
            }),
            Outcome::Dropped { reason: Reason::Truncated, .. }
                if call.keeps_cut || ask::largest_cap(call) > entry.max_tokens =>
            {
                return Ok(None);
            }
            Outcome::Dropped { reason: Reason::RequestRejected, .. } if call.max_tokens != entry.max_tokens => {
                return Ok(None);
            }
            Outcome::Dropped { reason, detail } => Completion::Dropped { reason, detail },
            Outcome::Attempt { .. } => return Ok(None),
        };
        self.lock_stats().count_cached(paid);
        Ok(Some(completion))
    }
}

fn fits(call: &Call, text: &str) -> bool {
    call.response_format.as_ref().is_none_or(|format| shape::check(format, text).is_ok())
}

/// One of several processes that share a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Share {
    /// The name of its ledger file: unique among those that run at a time.
    pub name: String,
    /// What the names of all files of this division end with.
    pub siblings: String,
    /// Its part of the work, which is its part of the budget and of the limits a minute.
    pub fraction: f64,
}

/// A task that nobody waits for any more is given up.
struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A call that came in, counted as pending where nobody waits for its end.
struct Counted<'client> {
    inner: &'client Inner,
    ended: bool,
}

impl<'client> Counted<'client> {
    fn new(inner: &'client Inner) -> Self {
        inner.lock_stats().begin();
        Self { inner, ended: false }
    }

    fn end(&mut self, completion: Option<&Completion>) {
        self.ended = true;
        self.inner.lock_stats().end(completion);
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.inner.lock_stats().end(None);
        }
    }
}

/// A call being asked, and how many wait for its answer or ask it.
#[derive(Debug, Default)]
struct Asked {
    lock: Arc<tokio::sync::Mutex<()>>,
    interested: usize,
}

/// The right to ask one call; whoever asks the same one meanwhile waits and then finds it in the ledger.
struct Turn<'client> {
    inner: &'client Inner,
    key: String,
    lock: Arc<tokio::sync::Mutex<()>>,
    /// Whether somebody else was asking it.
    waited: bool,
}

impl<'client> Turn<'client> {
    fn new(inner: &'client Inner, key: &str) -> Self {
        let mut turns = inner.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = turns.entry(key.to_owned()).or_default();
        asked.interested += 1;
        Self { inner, key: key.to_owned(), lock: asked.lock.clone(), waited: asked.interested > 1 }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut turns = self.inner.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(asked) = turns.get_mut(&self.key) {
            asked.interested -= 1;
            if asked.interested == 0 {
                turns.remove(&self.key);
            }
        }
    }
}
