//! Calls through the Batch API: gathered into files, asked at half the price, answered within a day.
//!
//! Each step is durable before the next: the calls of a batch as intents that name it, the file's id once it is uploaded,
//! the batch's id once it is begun, and its end once everything that came back is in the ledger. So a run that is
//! killed at any point finds its batches again, and begins none twice.

mod api;
mod driver;
mod landing;
mod results;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use asclepius_schema::Reason;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;

use self::api::Api;
use self::driver::Driver;
use self::results::{Ended, Line};
use super::ask::{Attempted, Progress, Step};
use super::{Inner, stopped};
use crate::budget::most_prompt_tokens;
use crate::ledger::{Intent, OpenBatch};
use crate::retry::BatchPace;
use crate::wire::{Meaning, RequestBody, Usage, meaning};
use crate::{Call, Completion, LlmError};

/// Calls that may wait to be written to a file of requests.
const QUEUE: usize = 256;

/// Bytes around the body of a request in a file: its id, method and path.
const AROUND: usize = 256;

/// A call on its way into a batch.
struct Arrival {
    intent: Intent,
    /// The request's body.
    body: Vec<u8>,
    /// Money set aside for it; whoever holds it settles it.
    dollars: f64,
    land: oneshot::Sender<Landed>,
}

/// What a call's request came to.
struct Landed {
    intent: u64,
    cap: u32,
    cost: f64,
    line: Line,
    kept: Kept,
}

/// Says that an answer is in the ledger, or need not be. Its batch is closed only when all of them have said so.
#[derive(Debug)]
struct Kept {
    count: Arc<AtomicU64>,
    _waited_for: mpsc::Sender<()>,
}

impl Kept {
    fn say(self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }
}

/// The calls' end of the driver.
#[derive(Debug)]
pub(super) struct Batches {
    arrivals: mpsc::Sender<Arrival>,
    /// Calls in batches of earlier runs that are not read yet, and how many requests each has there.
    found: Mutex<HashMap<String, u64>>,
    read: Notify,
    /// Batches begun and not read, and the requests in them.
    out: Mutex<(u64, u64)>,
    most_bytes: u64,
    driver: Mutex<Option<JoinHandle<()>>>,
}

/// What the driver is made of, until there is a client to drive.
pub(super) struct Plan {
    arrivals: mpsc::Receiver<Arrival>,
    found: BTreeMap<String, OpenBatch>,
    api: Api,
    directory: PathBuf,
    pace: BatchPace,
    enqueued_tokens: Option<u64>,
}

impl Batches {
    /// The two ends. `found` are batches of earlier runs, `directory` is where files lie on their way.
    pub fn new(
        transport: &crate::transport::Transport,
        found: BTreeMap<String, OpenBatch>,
        directory: PathBuf,
        pace: BatchPace,
        enqueued_tokens: Option<u64>,
    ) -> (Self, Plan) {
        let (sender, arrivals) = mpsc::channel(QUEUE);
        let mut keys = HashMap::new();
        for intent in found.values().flat_map(|batch| batch.intents.values()) {
            *keys.entry(intent.key.clone()).or_default() += 1;
        }
        let batches = Self {
            arrivals: sender,
            found: Mutex::new(keys),
            read: Notify::new(),
            out: Mutex::default(),
            most_bytes: pace.most_bytes,
            driver: Mutex::default(),
        };
        let api = Api::new(transport.http(), transport.authorization(), transport.base_url(), transport.timeout());
        (batches, Plan { arrivals, found, api, directory, pace, enqueued_tokens })
    }

    /// Starts to drive `client`; it is not kept alive by that.
    pub fn start(client: &Arc<Inner>, plan: Plan) {
        let Some(batches) = &client.batches else { return };
        let driver = Driver::new(Arc::downgrade(client), client.phase.subscribe(), client.pace, plan);
        *lock(&batches.driver) = Some(tokio::spawn(driver.run()));
    }

    /// Returns once nothing is driven any more; the client must have been told to stop.
    pub async fn stopped(&self) {
        let driver = lock(&self.driver).take();
        if let Some(driver) = driver {
            driver.await.ok(); // it only ever ends by returning, or with the runtime
        }
    }

    /// Batches begun and not read yet, and requests in them.
    pub fn out(&self) -> (u64, u64) {
        *lock(&self.out)
    }

    fn is_found(&self, key: &str) -> bool {
        lock(&self.found).contains_key(key)
    }

    /// Returns once no batch of an earlier run holds this call any more. Says whether one did.
    async fn found_is_read(&self, key: &str) -> bool {
        let mut waited = false;
        loop {
            let mut read = std::pin::pin!(self.read.notified());
            // Registered before looking, or a change between the two would be missed.
            read.as_mut().enable();
            if !self.is_found(key) {
                return waited;
            }
            waited = true;
            read.await;
        }
    }

    fn forget(&self, keys: &[String]) {
        let mut found = lock(&self.found);
        for key in keys {
            if let Some(count) = found.get_mut(key) {
                *count -= 1;
                if *count == 0 {
                    found.remove(key);
                }
            }
        }
        drop(found);
        self.read.notify_waiters();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
    /// Waits for a batch of an earlier run that holds this call. `None`: none does; `Some(false)`: stopped meanwhile.
    pub(super) async fn found_in_a_batch(&self, key: &str) -> Option<bool> {
        let batches = self.batches.as_ref().filter(|batches| batches.is_found(key))?;
        Some(self.unless_draining(batches.found_is_read(key)).await.is_some())
    }

    /// One attempt at a call as a part of a batch.
    pub(super) async fn attempt_batched(
        &self,
        batches: &Batches,
        call: &Call,
        key: &str,
        progress: &mut Progress<'_>,
    ) -> Result<Step, LlmError> {
        let cap_field = self.cap_field();
        let body = RequestBody {
            model: &self.model,
            call,
            repair: &progress.repair,
            cap_field,
            cap: progress.cap,
            extra_body: &self.extra_body,
        };
        let body = serde_json::to_vec(&body).expect("a request is plain data");
        if (body.len() + AROUND) as u64 > batches.most_bytes {
            let detail =
                format!("a request of {} bytes, but a file of requests holds {}", body.len(), batches.most_bytes);
            return self.drop_for_good(call, key, Reason::RequestRejected, detail, Attempted::free(progress.cap)).await;
        }
        let Some(reservation) = self.unless_draining(self.budget.reserve(call, progress.cap)).await else {
            return Ok(Step::Done(stopped()));
        };
        let Some(reservation) = reservation else { return Ok(Step::Done(over_budget())) };
        let intent = Intent {
            intent: self.ledger.next_intent(),
            key: key.to_owned(),
            row_id: call.row_id.clone(),
            stage: call.stage.to_owned(),
            prompt_tokens: most_prompt_tokens(call),
            completion_tokens: progress.cap,
            cost_usd: self.budget.most_of(call, progress.cap),
            batch: None,
        };
        let (land, landed) = oneshot::channel();
        let Ok(place) = batches.arrivals.reserve().await else {
            reservation.release();
            return self.stopped_or_failed();
        };
        place.send(Arrival { intent, body, dollars: reservation.hand_over(), land });
        match self.unless_draining(landed).await {
            Some(Ok(landed)) => self.land(call, key, progress, landed, cap_field).await,
            // Its batch goes on without us; the next run reads it.
            Some(Err(_)) | None => self.stopped_or_failed(),
        }
    }

    fn stopped_or_failed(&self) -> Result<Step, LlmError> {
        self.fatal.get().map_or_else(|| Ok(Step::Done(stopped())), |error| Err(error.clone()))
    }

    async fn land(
        &self,
        call: &Call,
        key: &str,
        progress: &mut Progress<'_>,
        landed: Landed,
        cap_field: &'static str,
    ) -> Result<Step, LlmError> {
        let Landed { intent, cap, cost, line, kept } = landed;
        let step = match line {
            Line::Answered(judged) => {
                let usage = judged.usage.unwrap_or_default();
                self.conclude(call, key, progress, judged, Attempted { intent, cost, cap, usage }).await
            }
            Line::Refused { status, problem } => {
                let detail = problem.detail(self.secret.as_deref(), call);
                match meaning(status, &problem, &detail) {
                    Meaning::Rejected(reason) => {
                        let paid = Attempted { intent, cost: 0.0, cap, usage: Usage::default() };
                        self.drop_for_good(call, key, reason, format!("HTTP {status}: {detail}"), paid).await
                    }
                    Meaning::RateLimited | Meaning::Transient => {
                        self.ledger.withdraw(intent);
                        Ok(self.again(progress, format!("in a batch: HTTP {status}: {detail}")))
                    }
                    Meaning::OtherCapField => {
                        self.ledger.withdraw(intent);
                        self.other_cap(cap_field, detail)
                    }
                    Meaning::Fatal(trouble) => {
                        self.ledger.withdraw(intent);
                        Err(self.trouble(trouble))
                    }
                }
            }
            Line::Unclear { detail } => Ok(self.again(progress, detail)),
            Line::Unanswered { detail, ended: Ended::Without } => {
                self.ledger.withdraw(intent);
                Ok(self.again(progress, detail))
            }
            Line::Unanswered { ended: Ended::TooMuch, .. } => Ok(Step::Again(std::time::Duration::ZERO)),
            Line::Unanswered { detail, ended: Ended::Cancelled } => {
                self.ledger.withdraw(intent);
                Ok(Step::Done(Completion::Pending { detail }))
            }
        };
        if step.is_ok() {
            kept.say();
        }
        step
    }

    /// A failure that may pass; the next batch is time enough to wait.
    fn again(&self, progress: &mut Progress<'_>, detail: String) -> Step {
        progress.failures += 1;
        self.lock_stats().failed += 1;
        if progress.failures < self.pace.attempts {
            return Step::Again(std::time::Duration::ZERO);
        }
        tracing::warn!(attempts = progress.failures, detail, "failed in batch after batch; the next run asks it again");
        Step::Done(Completion::Pending { detail })
    }
}

pub(super) fn over_budget() -> Completion {
    Completion::Pending { detail: "the budget does not allow another call".to_owned() }
}
