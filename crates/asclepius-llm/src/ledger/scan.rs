//! Reading a whole file once: where each call's last entry lies, what was paid, which sends were never settled.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::lines::{Lines, Tail};
use super::record::{BatchRecord, BatchStep, Head, HeadOutcome, Intent, Paid};
use super::{Index, Position, parse_key};
use crate::LlmError;

/// What one file holds.
#[derive(Debug)]
pub(super) struct Scan {
    pub entries: u64,
    /// What settled sends cost, and what compaction carried over.
    pub settled: Paid,
    /// Intents that nothing settled, with what each may have cost.
    pub open: HashMap<u64, Paid>,
    /// Unsettled intents among what compaction carried over; `settled` holds their cost already.
    pub open_before: u64,
    pub last_intent: u64,
    /// Batches that are not closed, by name.
    pub batches: BTreeMap<String, OpenBatch>,
    pub tail: Tail,
}

/// A batch that was announced and not closed.
#[derive(Debug, Clone, Default)]
pub(crate) struct OpenBatch {
    /// The last step that is known; none where only its intents are.
    pub last: Option<BatchRecord>,
    /// What was asked in it and is not settled, by number.
    pub intents: HashMap<u64, Intent>,
}

impl Scan {
    /// Everything that was, or may have been, paid.
    pub fn paid(&self) -> Paid {
        let mut paid = self.settled;
        for open in self.open.values() {
            paid.add(*open);
        }
        paid
    }

    pub fn open_intents(&self) -> u64 {
        self.open_before + self.open.len() as u64
    }
}

/// Reads file number `file` and enters its calls into `index`.
pub(super) fn scan(path: &Path, file: u32, index: &mut Index) -> Result<Scan, LlmError> {
    let mut lines = Lines::open(path)?;
    let (mut entries, mut settled, mut open, mut open_before, mut last_intent) =
        (0, Paid::default(), HashMap::new(), 0, 0);
    let mut batches: BTreeMap<String, OpenBatch> = BTreeMap::new();
    // Which batch an intent is in.
    let mut batched: HashMap<u64, String> = HashMap::new();
    while let Some(span) = lines.next_sound()? {
        let head: Head = serde_json::from_slice(lines.json()).map_err(|_| lines.damaged("not a record"))?;
        if let Some(carried) = head.carried {
            settled.add(carried);
            open_before += head.open_intents;
            continue;
        }
        if let Some(intent) = head.withdrawn {
            open.remove(&intent);
            settle(&mut batches, &mut batched, intent);
            continue;
        }
        if head.batch.is_some() && head.key.is_none() {
            let step: BatchRecord = serde_json::from_slice(lines.json()).map_err(|_| lines.damaged("not a record"))?;
            if let BatchStep::Closed { unanswered_cost_nothing } = step.step {
                let closed = batches.remove(&step.batch).unwrap_or_default();
                for intent in closed.intents.keys() {
                    batched.remove(intent);
                    if unanswered_cost_nothing {
                        open.remove(intent);
                    }
                }
            } else {
                let name = step.batch.clone();
                batches.entry(name).or_default().last = Some(step);
            }
            continue;
        }
        let key = head.key.and_then(parse_key).ok_or_else(|| lines.damaged("its key is not 32 hex digits"))?;
        last_intent = last_intent.max(head.intent);
        let cost = Paid::one(head.prompt_tokens, head.completion_tokens, head.cost_usd);
        let Some(outcome) = head.outcome else {
            open.insert(head.intent, cost);
            if head.batch.is_some() {
                let intent: Intent = serde_json::from_slice(lines.json()).map_err(|_| lines.damaged("not a record"))?;
                let batch = intent.batch.clone().unwrap_or_default();
                batched.insert(intent.intent, batch.clone());
                batches.entry(batch).or_default().intents.insert(intent.intent, intent);
            }
            continue;
        };
        entries += 1;
        open.remove(&head.intent);
        settle(&mut batches, &mut batched, head.intent);
        settled.add(cost);
        if !matches!(outcome, HeadOutcome::Attempt(_)) {
            index.insert(key, Position { file, length: span.length, offset: span.offset });
        }
    }
    Ok(Scan { entries, settled, open, open_before, last_intent, batches, tail: lines.tail()? })
}

fn settle(batches: &mut BTreeMap<String, OpenBatch>, batched: &mut HashMap<u64, String>, intent: u64) {
    if let Some(batch) = batched.remove(&intent).and_then(|name| batches.get_mut(&name)) {
        batch.intents.remove(&intent);
    }
}
