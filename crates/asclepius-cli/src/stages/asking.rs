//! What the stages that ask a model share: waiting for the work, stopping it, and what it cost.

use std::time::Duration;

use asclepius_llm::LlmError;
use asclepius_schema::{Fingerprint, Manifest};
use asclepius_synth::{SinkError, SynthError};
use asclepius_text::GatesConfig;

use crate::failure::{Failure, Outcome};
use crate::progress::StageBar;
use crate::run::Run;
use crate::stages::watch::Watch;
use crate::teacher::{TEACHER, Teacher};

/// How long calls in flight get after an interrupt.
const GRACE: Duration = Duration::from_secs(5);

/// How often the bar's words change, and how often a line says the same where there is no bar.
const BAR: Duration = Duration::from_millis(500);
const LINE: Duration = Duration::from_mins(1);

/// Waits for `work`, which is all that is asked of the teacher, saying how it goes.
pub fn wait(
    run: &Run,
    teacher: &Teacher,
    bar: &StageBar,
    work: impl Future<Output = Result<(), SynthError>>,
) -> Outcome {
    let finished = see_through(run, teacher, bar, work);
    close(run, teacher)?;
    finished
}

/// Ends the client and checks its books.
pub fn close(run: &Run, teacher: &Teacher) -> Outcome {
    // Nothing is in flight any more; what gathers batches must end before the ledger is opened again.
    run.runtime.block_on(teacher.client.shutdown(Duration::ZERO));
    teacher.client.stats().check()?;
    Ok(())
}

/// Waits for `work`, saying how it goes. An interrupt lets calls in flight end; their replies are in the ledger, and the same command goes on.
pub fn see_through(
    run: &Run,
    teacher: &Teacher,
    bar: &StageBar,
    work: impl Future<Output = Result<(), SynthError>>,
) -> Outcome {
    let every = if bar.is_drawn() { BAR } else { LINE };
    let watched = Watch::new(teacher.budget_usd).follow(bar, &teacher.client, every);
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
    run.check_interrupt()?;
    finished.map_err(|error| match error {
        SynthError::Llm(source) => refused(source, teacher.table),
        other => Failure::Failed(other.into()),
    })
}

/// Which exit code an error of the client's means, and whose it is: `table` is where its settings stand.
pub fn refused(error: LlmError, table: &str) -> Failure {
    let (usage, stopped) = (error.is_usage(), error.is_disk_full() || error.is_resumable_stop());
    let error = named(error, table);
    match usage {
        true => Failure::Usage(error),
        false if stopped => Failure::Limit(error),
        false => Failure::Failed(error),
    }
}

/// The client knows its settings as those of `[teacher]`; another table's are called by their own name.
pub fn named(error: LlmError, table: &str) -> anyhow::Error {
    if table == TEACHER {
        return error.into();
    }
    anyhow::anyhow!(error.to_string().replace(&format!("{TEACHER}."), &format!("{table}.")))
}

/// Hands an error of ours through the synthesis crate, which only knows that its receiver failed.
pub fn sink<E: std::error::Error + Send + Sync + 'static>(error: E) -> SinkError {
    Box::new(error)
}

/// Adds what makes a text count as a model's talk of itself, where that is not the usual.
pub fn talk(run: &Run, fingerprint: Fingerprint) -> Fingerprint {
    let thresholds = |gates: &GatesConfig| [gates.model_talk, gates.refusal, gates.question_answer];
    let ours = thresholds(&run.config().dataset.gates);
    match ours == thresholds(&GatesConfig::default()) {
        true => fingerprint,
        false => fingerprint.setting("talk", &ours),
    }
}

/// In a manifest's details, what of its money an earlier run spent.
pub const PAID_BEFORE: &str = "paid_before_usd";

/// Puts tokens and money into the manifest: of every call behind the rows, also where an earlier run asked it.
pub fn account(manifest: &mut Manifest, teacher: &Teacher) {
    let stats = teacher.client.stats();
    manifest.tokens.input = stats.prompt_tokens + stats.cached_usage.prompt_tokens;
    manifest.tokens.output = stats.completion_tokens + stats.cached_usage.completion_tokens;
    manifest.cost_usd = stats.cost_usd + stats.cached_usage.cost_usd;
    manifest.details.insert(PAID_BEFORE.to_owned(), stats.cached_usage.cost_usd.into());
    for (key, value) in
        [("calls", stats.calls), ("calls_from_ledger", stats.cached), ("retries", stats.rate_limited + stats.failed)]
    {
        manifest.details.insert(key.to_owned(), value.into());
    }
}
