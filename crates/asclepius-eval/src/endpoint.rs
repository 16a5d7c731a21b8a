//! A model behind an OpenAI-compatible API under the same questions as ours.

use asclepius_llm::{Call, Client, Completion};
use asclepius_text::InstructionTemplate;
use futures::stream::{self, StreamExt, TryStreamExt};

use crate::EvalError;
use crate::answers::{Answer, Asking, Question};

/// What the ledger calls these calls.
pub const STAGE: &str = "eval";

/// Calls begun at a time; the client holds back those that may not be in flight yet.
const AT_ONCE: usize = 256;

/// The model's answers in the order of `questions`. A question without an answer for good has an empty one, whose `finish`
/// says why; the API is not told the length of notes, so none is shortened. `on_answer` hears of each.
///
/// # Errors
/// When no call can be answered any more, and when some are still pending: what was answered is in the ledger.
pub async fn answer(
    client: &Client,
    name: &str,
    questions: &[Question],
    asking: &Asking,
    on_answer: impl Fn(),
) -> Result<Vec<Answer>, EvalError> {
    let failed = |source| EvalError::Llm { model: name.to_owned(), source: Box::new(source) };
    let calls = questions.iter().map(|Question { set, row, .. }| {
        let message = InstructionTemplate::user_message(&row.note, &row.question);
        let id = format!("{set}/{}", row.row_id());
        // Our own models' answers end at the limit as well.
        Call {
            keeps_cut: true,
            ..Call::new(id, STAGE, vec![message], asking.temperature as f32, asking.max_tokens as u32)
        }
    });
    let on_answer = &on_answer;
    let completions: Vec<Completion> = stream::iter(calls)
        .map(|call| async move {
            let completion = client.complete(&call).await;
            on_answer();
            completion
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await
        .map_err(failed)?;
    let mut pending = completions.iter().filter_map(|completion| match completion {
        Completion::Pending { detail } => Some(detail),
        _ => None,
    });
    if let Some(detail) = pending.next() {
        return Err(EvalError::Pending {
            model: name.to_owned(),
            pending: pending.count() + 1,
            questions: questions.len(),
            detail: detail.clone(),
        });
    }
    Ok(completions.into_iter().map(answered).collect())
}

fn answered(completion: Completion) -> Answer {
    match completion {
        Completion::Reply(reply) => Answer {
            finish: if reply.is_cut() { "length".to_owned() } else { reply.finish_reason },
            text: reply.text,
            prompt_tokens: reply.prompt_tokens,
            tokens: reply.completion_tokens,
            request_key: Some(reply.request_key),
            ..Answer::default()
        },
        Completion::Dropped { reason, .. } => Answer { finish: reason.code().to_owned(), ..Answer::default() },
        Completion::Pending { .. } => Answer::default(),
    }
}
