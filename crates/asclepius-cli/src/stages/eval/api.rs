//! A model behind an API, and the judge: their calls go through the client, with ledgers of their own beside the teacher's.

use std::time::Duration;

use asclepius_eval::judge::{self, Judged};
use asclepius_eval::{Asking, EvalError, ModelOutcome, Prediction, Question, endpoint, harness};
use asclepius_llm::{Client, TeacherConfig};

use crate::failure::{Failure, Outcome};
use crate::progress::StageBar;
use crate::run::Run;
use crate::stages::asking::refused;
use crate::stages::eval::tested::Tested;

/// Where a compared model's settings stand.
const COMPARED: &str = "eval.compare";
/// Where the judge's do.
const JUDGE: &str = "eval.judge";

/// How long calls in flight get after an interrupt.
const GRACE: Duration = Duration::from_secs(5);

/// Puts all questions to the model. What was answered before, in a run that broke off, is not asked again.
pub fn ask(
    run: &Run,
    model: &Tested,
    api: &TeacherConfig,
    questions: &[Question],
    asking: &Asking,
    bar: &StageBar,
) -> Outcome<ModelOutcome> {
    let client = open(run, &model.name, api, COMPARED)?;
    let answers = wait(run, (&client, COMPARED), async {
        endpoint::answer(&client, &model.name, questions, asking, || bar.set(bar.position().0 + 1)).await
    })?;
    let rows = questions.iter().zip(answers);
    let predictions = rows.map(|(question, answer)| Prediction::new(&model.name, question, answer)).collect();
    let mut outcome = ModelOutcome::new(model.described(), predictions);
    outcome.model.cost_usd = client.stats().spent_usd;
    Ok(outcome)
}

/// Lets the judge rate everybody's answers, where there is one.
pub fn judge(run: &Run, questions: &[Question], outcomes: &[ModelOutcome], seed: u64) -> Outcome<Option<Judged>> {
    let config = &run.config().eval;
    let Some(api) = &config.judge else { return Ok(None) };
    let name = api.model_name();
    let client = open(run, &format!("judge-{name}"), api, JUDGE)?;
    let asked = (seed, config.judge_runs);
    let judgements =
        wait(run, (&client, JUDGE), async { judge::judge(&client, questions, outcomes, asked, || {}).await })?;
    Ok(Some(Judged { judge: name.to_owned(), cost_usd: client.stats().spent_usd, judgements }))
}

/// A client with a ledger under `name`: prices and budgets are each endpoint's own, so what one was paid does not count
/// against another. `table` is where its settings stand.
pub fn open(run: &Run, name: &str, api: &TeacherConfig, table: &str) -> Outcome<Client> {
    let key = api.api_key().map_err(Failure::usage)?;
    let ledger = run.directory.join("ledger").join("eval").join(harness::file_name(name));
    fs_err::create_dir_all(&ledger)?;
    let _inside = run.runtime.enter();
    Client::open(api, api.endpoint.trim_end_matches('/'), key, &ledger).map_err(|error| refused(error, table))
}

/// Waits for `work`; an interrupt lets calls in flight end.
pub fn wait<T>(
    run: &Run,
    (client, table): (&Client, &str),
    work: impl Future<Output = Result<T, EvalError>>,
) -> Outcome<T> {
    let finished = run.runtime.block_on(async {
        tokio::pin!(work);
        tokio::select! {
            biased; // an interrupt comes before one more call
            () = run.interrupt.wait() => {
                let ((), finished) = tokio::join!(client.shutdown(GRACE), work);
                finished
            }
            finished = &mut work => finished,
        }
    });
    run.runtime.block_on(client.shutdown(Duration::ZERO));
    run.check_interrupt()?;
    finished.map_err(|error| match error {
        EvalError::Llm { model, source } => match refused(*source, table) {
            Failure::Usage(error) => Failure::Usage(error.context(model)),
            Failure::Limit(error) => Failure::Limit(error.context(model)),
            Failure::Failed(error) => Failure::Failed(error.context(model)),
            Failure::Interrupted => Failure::Interrupted,
        },
        EvalError::Pending { .. } => Failure::Limit(error.into()),
        other => Failure::Failed(other.into()),
    })
}
