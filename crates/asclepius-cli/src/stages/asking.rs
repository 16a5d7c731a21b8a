//! What the two stages that ask a teacher share: the run's teacher, waiting for the work, and stopping it.

use std::time::Duration;

use asclepius_llm::LlmError;
use asclepius_schema::Manifest;
use asclepius_synth::{SinkError, SynthError};

use crate::failure::{Failure, Outcome};
use crate::progress::StageBar;
use crate::run::Run;
use crate::stages::watch::Watch;
use crate::teacher::Teacher;

/// How long calls in flight get after an interrupt.
const GRACE: Duration = Duration::from_secs(5);

/// How often the bar's words change, and how often a line says the same where there is no bar.
const BAR: Duration = Duration::from_millis(500);
const LINE: Duration = Duration::from_mins(1);

/// Waits for `work`, saying how it goes. An interrupt lets calls in flight end; their replies are in the ledger, and the same command goes on.
pub fn wait(
    run: &Run,
    teacher: &Teacher,
    bar: &StageBar,
    work: impl Future<Output = Result<(), SynthError>>,
) -> Outcome {
    let every = if bar.is_drawn() { BAR } else { LINE };
    let watched = Watch::new(run.config().teacher.budget_usd).follow(bar, &teacher.client, every);
    let finished = run.runtime.block_on(async {
        tokio::pin!(work, watched);
        loop {
            tokio::select! {
                biased; // an interrupt comes before one more call
                () = run.interrupt.wait() => {
                    let ((), finished) = tokio::join!(teacher.client.shutdown(GRACE), work);
                    break finished;
                }
                finished = &mut work => break finished,
                () = &mut watched => {}
            }
        }
    });
    // Nothing is in flight any more; what gathers batches must end before the ledger is opened again.
    run.runtime.block_on(teacher.client.shutdown(Duration::ZERO));
    teacher.client.stats().check()?;
    run.check_interrupt()?;
    finished.map_err(|error| match error {
        SynthError::Llm(source) => refused(source),
        other => Failure::Failed(other.into()),
    })
}

/// Which exit code an error of the client's means.
pub fn refused(error: LlmError) -> Failure {
    match error.is_usage() {
        true => Failure::usage(error),
        false if error.is_disk_full() || error.is_resumable_stop() => Failure::Limit(error.into()),
        false => Failure::Failed(error.into()),
    }
}

/// Hands an error of ours through the synthesis crate, which only knows that its receiver failed.
pub fn sink<E: std::error::Error + Send + Sync + 'static>(error: E) -> SinkError {
    Box::new(error)
}

/// Puts tokens and money into the manifest.
pub fn account(manifest: &mut Manifest, teacher: &Teacher) {
    let stats = teacher.client.stats();
    manifest.tokens.input = stats.prompt_tokens;
    manifest.tokens.output = stats.completion_tokens;
    manifest.cost_usd = stats.cost_usd;
    for (key, value) in
        [("calls", stats.calls), ("calls_from_ledger", stats.cached), ("retries", stats.rate_limited + stats.failed)]
    {
        manifest.details.insert(key.to_owned(), value.into());
    }
}
