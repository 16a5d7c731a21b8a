//! What a ledger holds: intents before a send, entries after it, and what compaction carried over.

use asclepius_schema::Reason;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

/// A send about to happen, durable before it does. Until an entry or a withdrawal names it, nobody knows whether it was
/// billed, and it counts in full.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// Its number, unique in its file, from 1.
    pub intent: u64,
    /// The call's identity.
    pub key: String,
    /// The row it is for.
    pub row_id: String,
    /// What it is for: `note`, `question`, `answer` ..
    pub stage: String,
    /// The most tokens that the request may be counted as.
    pub prompt_tokens: u32,
    /// The most tokens that the reply may have.
    pub completion_tokens: u32,
    /// US dollars for both; absent without prices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// The batch it goes out in; absent for a request of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<String>,
}

/// A step of a batch, durable before the next one is taken. What a batch asks is in the intents that name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchRecord {
    /// The batch's name: our own, known before anything is sent.
    pub batch: String,
    /// The base URL it belongs to.
    pub endpoint: String,
    /// How far it is.
    pub step: BatchStep,
}

/// How far a batch is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchStep {
    /// Its requests lie with the provider. The batch itself may have been begun or not.
    Uploaded {
        /// The provider's id of the file.
        file_id: String,
    },
    /// It was begun: its requests will be billed.
    Created {
        /// The provider's id of the batch.
        batch_id: String,
    },
    /// Everything that came back is in the ledger.
    Closed {
        /// Whether what did not come back was not billed; else its intents stay open.
        unanswered_cost_nothing: bool,
    },
}

/// What a call came to, or one paid attempt at it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The call's identity.
    pub key: String,
    /// The row it was for.
    pub row_id: String,
    /// What it was for: `note`, `question`, `answer` ..
    pub stage: String,
    /// The model asked for.
    pub model: String,
    /// The token cap of the attempt that ended it.
    pub max_tokens: u32,
    /// Tokens sent in that attempt.
    pub prompt_tokens: u32,
    /// Tokens received in that attempt.
    pub completion_tokens: u32,
    /// The intent that this settles; 0 where there was none.
    #[serde(default, skip_serializing_if = "is_none")]
    pub intent: u64,
    /// US dollars for that attempt; absent without prices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// How it ended.
    pub outcome: Outcome,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn is_none(intent: &u64) -> bool {
    *intent == 0
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// With a text.
    Reply {
        /// The text.
        text: String,
        /// The provider's finish reason.
        finish_reason: String,
        /// The model as the provider names it.
        served_model: String,
    },
    /// Without one, for good.
    Dropped {
        /// Why.
        reason: Reason,
        /// What exactly.
        detail: String,
    },
    /// Paid, but followed by another attempt.
    Attempt {
        /// The provider's finish reason.
        finish_reason: String,
    },
}

/// The end of an intent whose request was turned away: nothing was billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawn {
    /// The intent.
    pub withdrawn: u64,
}

/// What was paid in records that compaction left out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CarriedOver {
    /// The sum.
    pub carried: Paid,
    /// Intents among them that were never settled.
    pub open_intents: u64,
}

/// One line of a ledger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Record {
    /// A call or an attempt that ended.
    Entry(Entry),
    /// A send announced.
    Intent(Intent),
    /// A send that cost nothing.
    Withdrawn(Withdrawn),
    /// A step of a batch.
    Batch(BatchRecord),
    /// What compaction left out.
    CarriedOver(CarriedOver),
}

/// Tokens and money over many records. Tokens whose price was known when they were paid are in `cost_usd`, and beside
/// it only those whose price was not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Paid {
    /// Tokens sent.
    pub prompt_tokens: u64,
    /// Tokens received.
    pub completion_tokens: u64,
    /// US dollars, at the prices of their time.
    pub cost_usd: f64,
    /// Of `prompt_tokens`, those that are not in `cost_usd`.
    pub unpriced_prompt_tokens: u64,
    /// Of `completion_tokens`, those that are not in `cost_usd`.
    pub unpriced_completion_tokens: u64,
}

impl Paid {
    pub(crate) fn one(prompt_tokens: u32, completion_tokens: u32, cost_usd: Option<f64>) -> Self {
        let (prompt_tokens, completion_tokens) = (u64::from(prompt_tokens), u64::from(completion_tokens));
        let unpriced = if cost_usd.is_some() { (0, 0) } else { (prompt_tokens, completion_tokens) };
        Self {
            prompt_tokens,
            completion_tokens,
            cost_usd: cost_usd.unwrap_or(0.0),
            unpriced_prompt_tokens: unpriced.0,
            unpriced_completion_tokens: unpriced.1,
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.prompt_tokens += other.prompt_tokens;
        self.completion_tokens += other.completion_tokens;
        self.cost_usd += other.cost_usd;
        self.unpriced_prompt_tokens += other.unpriced_prompt_tokens;
        self.unpriced_completion_tokens += other.unpriced_completion_tokens;
    }
}

/// What the index needs of a line; its texts are skipped, not copied.
#[derive(Deserialize)]
pub(super) struct Head<'line> {
    #[serde(borrow, default)]
    pub key: Option<&'line str>,
    #[serde(default)]
    pub intent: u64,
    #[serde(default)]
    pub prompt_tokens: u32,
    #[serde(default)]
    pub completion_tokens: u32,
    #[serde(default)]
    pub cost_usd: Option<f64>,
    #[serde(default)]
    pub outcome: Option<HeadOutcome>,
    #[serde(default)]
    pub withdrawn: Option<u64>,
    #[serde(default)]
    pub carried: Option<Paid>,
    #[serde(default)]
    pub open_intents: u64,
    /// Of a batch's step and of the intents in it, which are then read in full.
    #[serde(default)]
    pub batch: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum HeadOutcome {
    Reply(IgnoredAny),
    Dropped(IgnoredAny),
    Attempt(IgnoredAny),
}
