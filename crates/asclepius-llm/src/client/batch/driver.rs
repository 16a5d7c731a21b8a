//! The one task that gathers calls into files, begins batches and reads what comes back.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use fs_err::File;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::api::{Api, Batch, Broken, PATH, TOO_MUCH};
use super::results::{Ended, Line, custom_id};
use super::{Arrival, Inner, Kept, Landed, Plan, lock};
use crate::client::Phase;
use crate::ledger::{BatchRecord, BatchStep, Intent, OpenBatch};
use crate::retry::{BatchPace, Pace};
use crate::transport::Failure;
use crate::wire::{Meaning, meaning};
use crate::{Call, LlmError, Trouble};

/// Bytes of a token, for the limit on queued tokens until the provider says that it is reached.
const BYTES_A_TOKEN: f64 = 4.0;

/// See the module.
pub(super) struct Driver {
    client: Weak<Inner>,
    phase: watch::Receiver<Phase>,
    pace: Pace,
    batch_pace: BatchPace,
    pub(super) api: Api,
    pub(super) directory: PathBuf,
    arrivals: mpsc::Receiver<Arrival>,
    found: BTreeMap<String, OpenBatch>,
    gathering: Option<Gathered>,
    ready: VecDeque<Gathered>,
    out: Vec<Out>,
    /// Tokens that may be queued, as configured or learned.
    most_tokens: Option<f64>,
    /// Nothing more goes out before a batch comes back.
    full: bool,
}

/// A request somebody may wait for.
pub(super) struct Waiting {
    pub intent: Intent,
    pub dollars: f64,
    pub land: Option<oneshot::Sender<Landed>>,
}

/// Requests in a file, before they are sent.
struct Gathered {
    name: String,
    path: PathBuf,
    file: BufWriter<File>,
    bytes: u64,
    tokens: f64,
    calls: Vec<Waiting>,
}

/// A batch that was begun.
pub(super) struct Out {
    pub name: String,
    batch_id: String,
    tokens: f64,
    /// The calls of a batch that an earlier run began: somebody may wait for it to be read.
    found: Vec<String>,
    /// What is not answered yet, by intent.
    pub calls: HashMap<u64, Waiting>,
}

/// Why the driver ends: the client is gone, or cannot go on.
pub(super) enum End {
    Gone,
    Failed(LlmError),
}

impl From<LlmError> for End {
    fn from(error: LlmError) -> Self {
        Self::Failed(error)
    }
}

impl Driver {
    pub fn new(client: Weak<Inner>, phase: watch::Receiver<Phase>, pace: Pace, plan: Plan) -> Self {
        let Plan { arrivals, found, api, directory, pace: batch_pace, enqueued_tokens } = plan;
        Self {
            client,
            phase,
            pace,
            batch_pace,
            api,
            directory,
            arrivals,
            found,
            gathering: None,
            ready: VecDeque::new(),
            out: Vec::new(),
            most_tokens: enqueued_tokens.map(|tokens| tokens as f64),
            full: false,
        }
    }

    /// Drives until the client is told to stop. Whatever is under way then is broken off as a crash would, and taken up
    /// by the next run.
    pub async fn run(mut self) {
        let mut phase = self.phase.clone();
        let ended = tokio::select! {
            biased;
            _ = phase.wait_for(|phase| *phase >= Phase::Draining) => return,
            ended = self.work() => ended,
        };
        if let (Err(End::Failed(error)), Some(client)) = (ended, self.client.upgrade()) {
            client.give_up(&error);
        }
    }

    async fn work(&mut self) -> Result<(), End> {
        // What lies there belongs to nobody: files are on their way only while a process lives.
        fs_err::remove_dir_all(&self.directory).ok();
        fs_err::create_dir_all(&self.directory).map_err(|source| LlmError::io(&self.directory, source))?;
        self.take_up().await?;
        let mut gathered = Instant::now();
        let mut next_look = Instant::now();
        loop {
            tokio::select! {
                biased;
                arrival = self.arrivals.recv() => {
                    self.gather(arrival.ok_or(End::Gone)?)?;
                    gathered = Instant::now() + self.batch_pace.gather;
                }
                () = sleep_until(gathered), if self.gathering.is_some() => self.close_file()?,
                () = sleep_until(next_look), if !self.out.is_empty() => {
                    self.look().await?;
                    next_look = Instant::now() + self.batch_pace.look;
                }
            }
            self.submit().await?;
        }
    }

    /// The client; only ever for one step, since it ends when nobody else holds it.
    pub(super) fn client(&self) -> Result<Arc<Inner>, End> {
        self.client.upgrade().ok_or(End::Gone)
    }

    // Earlier runs.

    async fn take_up(&mut self) -> Result<(), End> {
        for (name, open) in std::mem::take(&mut self.found) {
            let tokens =
                open.intents.values().map(|intent| f64::from(intent.prompt_tokens)).sum::<f64>() / BYTES_A_TOKEN;
            let found = open.intents.values().map(|intent| intent.key.clone()).collect();
            let client = self.client()?;
            let calls = open.intents.into_values().map(|intent| {
                let dollars = client.budget.adopt(&intent);
                (intent.intent, Waiting { intent, dollars, land: None })
            });
            let mut out = Out { name: name.clone(), batch_id: String::new(), tokens, found, calls: calls.collect() };
            drop(client);
            match open.last.map(|record| record.step) {
                // Without a file there is no batch.
                None | Some(BatchStep::Closed { .. }) => {
                    self.close(out).await?;
                    continue;
                }
                Some(BatchStep::Created { batch_id }) => out.batch_id = batch_id,
                Some(BatchStep::Uploaded { file_id }) => {
                    let Some(batch) = self.begin(&name, &file_id, true).await? else {
                        self.close(out).await?;
                        continue;
                    };
                    self.record(&name, BatchStep::Created { batch_id: batch.id.clone() }).await?;
                    out.batch_id = batch.id;
                }
            }
            tracing::info!(
                batch = out.batch_id,
                calls = out.calls.len(),
                "a batch of an earlier run is still to be read"
            );
            self.push(out)?;
        }
        Ok(())
    }

    // Out.

    fn gather(&mut self, arrival: Arrival) -> Result<(), LlmError> {
        let Arrival { mut intent, body, dollars, land } = arrival;
        let mut line = Vec::with_capacity(body.len() + 160);
        let id = custom_id(intent.intent, &intent.key);
        write!(line, r#"{{"custom_id":"{id}","method":"POST","url":"{PATH}","body":"#).expect("memory takes it");
        line.extend_from_slice(&body);
        line.extend_from_slice(b"}\n");
        let (bytes, tokens) = (line.len() as u64, body.len() as f64 / BYTES_A_TOKEN);
        let is_full = |file: &Gathered| {
            file.calls.len() >= self.batch_pace.most_requests
                || file.bytes + bytes > self.batch_pace.most_bytes
                || self.most_tokens.is_some_and(|most| file.tokens + tokens > most)
        };
        if self.gathering.as_ref().is_some_and(is_full) {
            self.close_file()?;
        }
        let gathering = match &mut self.gathering {
            Some(gathering) => gathering,
            none => none.insert(Gathered::start(&self.directory)?),
        };
        gathering.file.write_all(&line).map_err(|source| LlmError::io(&gathering.path, source))?;
        gathering.bytes += bytes;
        gathering.tokens += tokens;
        intent.batch = Some(gathering.name.clone());
        gathering.calls.push(Waiting { intent, dollars, land: Some(land) });
        Ok(())
    }

    fn close_file(&mut self) -> Result<(), LlmError> {
        if let Some(mut gathered) = self.gathering.take() {
            gathered.file.flush().map_err(|source| LlmError::io(&gathered.path, source))?;
            self.ready.push_back(gathered);
        }
        Ok(())
    }

    /// Begins a batch for each file there is room for.
    async fn submit(&mut self) -> Result<(), End> {
        while let Some(next) = self.ready.front() {
            let queued: f64 = self.out.iter().map(|out| out.tokens).sum();
            let too_much = self.full || self.most_tokens.is_some_and(|most| queued + next.tokens > most);
            // What is too much even alone is for the endpoint to say.
            if too_much && !self.out.is_empty() {
                return Ok(());
            }
            let Some(gathered) = self.ready.pop_front() else { return Ok(()) };
            self.send(gathered).await?;
        }
        Ok(())
    }

    async fn send(&mut self, gathered: Gathered) -> Result<(), End> {
        let Gathered { name, path, tokens, calls, .. } = gathered;
        let client = self.client()?;
        client.ledger.announce_all(calls.iter().map(|call| &call.intent)).await?;
        drop(client);
        let mut tries = Tries::of("a file of requests");
        let file_id = loop {
            match self.api.upload(&path, &name).await {
                Ok(id) => break id,
                Err(broken) => self.wait(&mut tries, broken).await?,
            }
        };
        self.record(&name, BatchStep::Uploaded { file_id: file_id.clone() }).await?;
        fs_err::remove_file(&path).map_err(|source| LlmError::io(&path, source))?;
        let requests = calls.len() as u64;
        let calls = calls.into_iter().map(|call| (call.intent.intent, call)).collect();
        let mut out = Out { name, batch_id: String::new(), tokens, found: Vec::new(), calls };
        let Some(batch) = self.begin(&out.name, &file_id, false).await? else { return self.too_much(out).await };
        self.record(&out.name, BatchStep::Created { batch_id: batch.id.clone() }).await?;
        tracing::info!(batch = batch.id, requests, "a batch was begun");
        out.batch_id = batch.id;
        self.client()?.lock_stats().sent += requests;
        self.push(out)
    }

    /// Begins the batch over a file, once; `unsure` whether that has happened already. `None`: too much is queued.
    async fn begin(&mut self, name: &str, file_id: &str, unsure: bool) -> Result<Option<Batch>, End> {
        let mut tries = Tries::of("a batch");
        loop {
            // A request whose response was lost may have begun it.
            let begun = if unsure || tries.failures > 0 { self.api.find(file_id).await } else { Ok(None) };
            let begun = match begun {
                Ok(None) => self.api.create(file_id, name).await.map(Some),
                found => found,
            };
            match begun {
                Ok(batch) => return Ok(batch),
                Err(Broken::There(Failure::Status { problem, .. })) if problem.is(TOO_MUCH) => return Ok(None),
                Err(broken) => self.wait(&mut tries, broken).await?,
            }
        }
    }

    fn push(&mut self, out: Out) -> Result<(), End> {
        self.out.push(out);
        self.say()
    }

    /// Leaves the number of batches where it is shown.
    fn say(&self) -> Result<(), End> {
        let client = self.client()?;
        if let Some(batches) = &client.batches {
            let requests = self.out.iter().map(|out| out.calls.len() as u64).sum();
            *lock(&batches.out) = (self.out.len() as u64, requests);
        }
        Ok(())
    }

    // Back: see `landing`.

    async fn look(&mut self) -> Result<(), End> {
        let mut index = 0;
        while index < self.out.len() {
            let id = self.out[index].batch_id.clone();
            let mut tries = Tries::of("how a batch stands");
            let batch = loop {
                match self.api.retrieve(&id).await {
                    Ok(batch) => break batch,
                    Err(broken) => self.wait(&mut tries, broken).await?,
                }
            };
            if !batch.is_over() {
                index += 1;
                continue;
            }
            let out = self.out.remove(index);
            self.full = false;
            self.land(out, batch).await?;
            self.say()?;
        }
        Ok(())
    }

    /// The provider takes no more at a time: the batch is undone, its calls are gathered anew under a smaller limit.
    pub(super) async fn too_much(&mut self, out: Out) -> Result<(), End> {
        let queued: f64 = self.out.iter().map(|out| out.tokens).sum();
        if self.out.is_empty() && out.calls.len() <= 1 {
            let detail = "not even one request fits what may be queued at a time".to_owned();
            self.close(out).await?;
            return Err(self.client()?.trouble(Trouble::Batch { detail }).into());
        }
        let most = queued.max(out.tokens / 2.0);
        tracing::warn!(
            tokens = most,
            "the provider queues no more tokens than this at a time: smaller batches, one after another"
        );
        self.most_tokens = Some(self.most_tokens.map_or(most, |known| known.min(most)));
        self.full = !self.out.is_empty();
        // Files that are ready may be too large now.
        let ready: Vec<Gathered> = self.ready.drain(..).collect();
        for waiting in ready.into_iter().flat_map(|gathered| gathered.calls) {
            self.turn_back(waiting).await?;
        }
        self.close(out).await
    }

    /// Has a call ask anew, through another file.
    async fn turn_back(&self, waiting: Waiting) -> Result<(), End> {
        let (held, _) = mpsc::channel(1);
        let kept = Kept { count: Arc::default(), _waited_for: held };
        let line = Line::Unanswered { detail: "too much was queued".to_owned(), ended: Ended::TooMuch };
        self.hand_over(waiting, line, kept).await.map(drop)
    }

    /// Ends a batch that nothing will come of, and has its calls ask anew.
    pub(super) async fn close(&mut self, out: Out) -> Result<(), End> {
        self.closed(&out, true).await?;
        for waiting in out.calls.into_values() {
            self.turn_back(waiting).await?;
        }
        Ok(())
    }

    pub(super) async fn closed(&self, out: &Out, unanswered_cost_nothing: bool) -> Result<(), End> {
        self.record(&out.name, BatchStep::Closed { unanswered_cost_nothing }).await?;
        if let Some(batches) = &self.client()?.batches {
            batches.forget(&out.found);
        }
        Ok(())
    }

    async fn record(&self, name: &str, step: BatchStep) -> Result<(), End> {
        let client = self.client()?;
        let record = BatchRecord { batch: name.to_owned(), endpoint: client.endpoint.clone(), step };
        Ok(client.ledger.step(&record).await?)
    }

    /// Waits before something is tried again, as patiently as single calls are.
    pub(super) async fn wait(&self, tries: &mut Tries, broken: Broken) -> Result<(), End> {
        let failure = match broken {
            Broken::Here(source) => return Err(LlmError::io(&self.directory, source).into()),
            Broken::There(failure) => failure,
        };
        tries.failures += 1;
        let client = self.client()?;
        let (detail, wait) = match failure {
            Failure::Connect(detail) | Failure::Lost(detail) => (detail, None),
            Failure::Redirect(location) => return Err(client.trouble(Trouble::Redirect { location }).into()),
            Failure::Status { status, problem, retry_after } => {
                let nothing = Call::new("", "batch", Vec::new(), 0.0, 0);
                let detail = problem.detail(client.secret.as_deref(), &nothing);
                match meaning(status, &problem, &detail) {
                    Meaning::RateLimited => {
                        client.lock_stats().rate_limited += 1;
                        tries.since = None;
                        (detail, retry_after)
                    }
                    Meaning::Transient => (format!("HTTP {status}: {detail}"), retry_after),
                    Meaning::Fatal(trouble @ (Trouble::OutOfCredit { .. } | Trouble::Access { .. })) => {
                        return Err(client.trouble(trouble).into());
                    }
                    _ => {
                        let detail = format!(
                            "{} was refused (HTTP {status}: {detail}). A batch belongs to the project whose key began it; \
                             with teacher.batch = false a run goes on without those that are out and counts them as paid",
                            tries.what
                        );
                        return Err(client.trouble(Trouble::Batch { detail }).into());
                    }
                }
            }
        };
        let since = *tries.since.get_or_insert_with(Instant::now);
        if since.elapsed() > self.pace.patience {
            return Err(client.trouble(Trouble::Failing { seconds: since.elapsed().as_secs(), detail }).into());
        }
        client.lock_stats().failed += 1;
        drop(client);
        tracing::debug!(what = tries.what, failures = tries.failures, detail, "trying again");
        sleep(wait.unwrap_or_default().max(self.pace.backoff(tries.failures))).await;
        Ok(())
    }
}

/// How something went so far that is tried again and again.
pub(super) struct Tries {
    what: &'static str,
    failures: u32,
    since: Option<Instant>,
}

impl Tries {
    pub fn of(what: &'static str) -> Self {
        Self { what, failures: 0, since: None }
    }
}

impl Gathered {
    fn start(directory: &Path) -> Result<Self, LlmError> {
        // Every `RandomState` is keyed anew: no two batches of an account share a name.
        let name = format!("asclepius-{:016x}", RandomState::new().hash_one(0_u8));
        let path = directory.join(format!("{name}.jsonl"));
        let file = File::create(&path).map_err(|source| LlmError::io(&path, source))?;
        Ok(Self { name, path, file: BufWriter::new(file), bytes: 0, tokens: 0.0, calls: Vec::new() })
    }
}
