//! What came back of a batch: given to whoever waits for it, or else to the ledger.

use std::io::BufWriter;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fs_err::File;
use tokio::sync::mpsc;

use super::api::Batch;
use super::driver::{Driver, End, Out, Tries, Waiting};
use super::results::{Ended, Line, Read, Results};
use super::{Inner, Kept, Landed};
use crate::ledger::{Entry, Intent, Outcome};
use crate::wire::{Judged, Meaning, Problem, Usage, Verdict, meaning};
use crate::{Call, LlmError, Trouble};

impl Driver {
    pub(super) async fn land(&mut self, mut out: Out, batch: Batch) -> Result<(), End> {
        if batch.status == "failed" {
            if batch.was_too_much() {
                return self.too_much(out).await;
            }
            let detail = format!("the batch {} failed: {}", batch.id, batch.problem());
            self.close(out).await?;
            return Err(self.client()?.trouble(Trouble::Batch { detail }).into());
        }
        let requests = out.calls.len();
        let (held, mut released) = mpsc::channel(1);
        let kept = Arc::new(AtomicU64::new(0));
        let mut handed_over = 0;
        let mut unreadable = 0_u64;
        let files = [batch.output_file_id, batch.error_file_id];
        for file_id in files.into_iter().flatten().filter(|id| !id.is_empty()) {
            let mut results = self.download(&out.name, &file_id).await?;
            loop {
                let (intent, line) = match results.next().map_err(|source| LlmError::io(&self.directory, source))? {
                    Read::Line(intent, line) => (intent, line),
                    Read::Nonsense => {
                        unreadable += 1;
                        continue;
                    }
                    Read::End => break,
                };
                // What an earlier reading settled is not there any more.
                let Some(waiting) = out.calls.remove(&intent) else { continue };
                let kept = Kept { count: kept.clone(), _waited_for: held.clone() };
                handed_over += u64::from(self.hand_over(waiting, line, kept).await?);
            }
        }
        let unanswered = out.calls.len();
        tracing::info!(batch = batch.id, status = batch.status, requests, unanswered, unreadable, "a batch was read");
        if unreadable > 0 {
            tracing::warn!(batch = batch.id, lines = unreadable, "lines of a batch's files cannot be read");
        }
        let ended = if batch.status == "cancelled" { Ended::Cancelled } else { Ended::Without };
        let detail = format!("the batch {} ended as {} without its answer", batch.id, batch.status);
        // Whoever waits for what did not come is told; their intents go with the batch's end.
        for (_, waiting) in std::mem::take(&mut out.calls) {
            let kept = Kept { count: kept.clone(), _waited_for: held.clone() };
            let line = Line::Unanswered { detail: detail.clone(), ended };
            handed_over += u64::from(self.hand_over(waiting, line, kept).await?);
        }
        drop(held);
        // Nobody sends on it: it closes when the last answer is in the ledger, or given up.
        released.recv().await;
        if kept.load(Ordering::Relaxed) < handed_over {
            // Somebody gave up before an answer was in the ledger; the next run reads the batch again.
            return Ok(());
        }
        self.closed(&out, unreadable == 0).await
    }

    async fn download(&mut self, name: &str, file_id: &str) -> Result<Results, End> {
        let path = self.directory.join(format!("{name}.answers.jsonl"));
        let failed = |source| LlmError::io(&path, source);
        let mut tries = Tries::of("a file of answers");
        loop {
            let mut file = BufWriter::new(File::create(&path).map_err(failed)?);
            match self.api.download(file_id, &mut file).await {
                Ok(()) => break,
                Err(broken) => self.wait(&mut tries, broken).await?,
            }
        }
        let file = File::open(&path).map_err(failed)?;
        // It lives on as long as it is open.
        fs_err::remove_file(&path).map_err(failed)?;
        Ok(Results::open(file))
    }

    /// Settles the money of a request and gives its answer to whoever waits for it, or else to the ledger. Returns
    /// whether somebody has to say that it was kept.
    pub(super) async fn hand_over(&self, waiting: Waiting, line: Line, kept: Kept) -> Result<bool, End> {
        let Waiting { intent, dollars, land } = waiting;
        let client = self.client()?;
        let reservation = client.budget.take_over(dollars);
        let cost = match &line {
            Line::Answered(judged) => {
                let cost = reservation.settle(judged.usage);
                client.lock_stats().count_answer(judged.usage.unwrap_or_default(), cost);
                cost
            }
            Line::Unclear { .. } => {
                let cost = reservation.settle(None);
                let outcome = Outcome::Attempt { finish_reason: "unclear".to_owned() };
                client.ledger.append(&entry(&client, &intent, cost, Usage::default(), outcome)).await?;
                cost
            }
            Line::Refused { .. } | Line::Unanswered { .. } => {
                reservation.release();
                0.0
            }
        };
        let landed = Landed { intent: intent.intent, cap: intent.completion_tokens, cost, line, kept };
        let alone = match land {
            None => landed,
            Some(land) => match land.send(landed) {
                Ok(()) => return Ok(true),
                Err(alone) => alone,
            },
        };
        match alone.line {
            Line::Answered(judged) => {
                let usage = judged.usage.unwrap_or_default();
                client.ledger.append(&entry(&client, &intent, cost, usage, outcome(judged))).await?;
            }
            Line::Refused { status, problem } => refused(&client, &intent, status, problem).await?,
            // In the ledger already, or settled by the batch's end.
            Line::Unclear { .. } | Line::Unanswered { .. } => {}
        }
        Ok(false)
    }
}

/// What an answer comes to that nobody waits for. One that was cut short is asked for again.
fn outcome(judged: Judged) -> Outcome {
    let Judged { verdict, finish_reason, served_model, .. } = judged;
    match verdict {
        Verdict::Text(text) => Outcome::Reply { text, finish_reason, served_model },
        Verdict::CutShort(_) => Outcome::Attempt { finish_reason },
        Verdict::Unusable { reason, detail } => Outcome::Dropped { reason, detail },
    }
}

/// A request that was turned away while nobody waited for it. The words of the refusal may quote what was sent, which
/// is not at hand: they are left out.
async fn refused(client: &Inner, intent: &Intent, status: u16, problem: Problem) -> Result<(), LlmError> {
    let detail =
        Problem { message: String::new(), ..problem.clone() }.detail(None, &Call::new("", "batch", Vec::new(), 0.0, 0));
    match meaning(status, &problem, &detail) {
        Meaning::Rejected(reason) => {
            let outcome = Outcome::Dropped { reason, detail: format!("HTTP {status}: {detail}") };
            client.ledger.append(&entry(client, intent, 0.0, Usage::default(), outcome)).await
        }
        _ => {
            client.ledger.withdraw(intent.intent);
            Ok(())
        }
    }
}

fn entry(client: &Inner, intent: &Intent, cost: f64, usage: Usage, outcome: Outcome) -> Entry {
    Entry {
        key: intent.key.clone(),
        row_id: intent.row_id.clone(),
        stage: intent.stage.clone(),
        model: client.model.clone(),
        max_tokens: intent.completion_tokens,
        prompt_tokens: usage.prompt_tokens,
        completion_tokens: usage.completion_tokens,
        intent: intent.intent,
        cost_usd: client.budget.has_prices().then_some(cost),
        outcome,
    }
}
