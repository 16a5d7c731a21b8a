//! Reading a whole file once: where each call's last entry lies, what was paid, which sends were never settled.

use std::collections::HashMap;
use std::path::Path;

use super::lines::{Lines, Tail};
use super::record::{Head, HeadOutcome, Paid};
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
    pub tail: Tail,
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
    while let Some(span) = lines.next_sound()? {
        let head: Head = serde_json::from_slice(lines.json()).map_err(|_| lines.damaged("not a record"))?;
        if let Some(carried) = head.carried {
            settled.add(carried);
            open_before += head.open_intents;
            continue;
        }
        if let Some(intent) = head.withdrawn {
            open.remove(&intent);
            continue;
        }
        let key = head.key.and_then(parse_key).ok_or_else(|| lines.damaged("its key is not 32 hex digits"))?;
        last_intent = last_intent.max(head.intent);
        let cost = Paid::one(head.prompt_tokens, head.completion_tokens, head.cost_usd);
        let Some(outcome) = head.outcome else {
            open.insert(head.intent, cost);
            continue;
        };
        entries += 1;
        open.remove(&head.intent);
        settled.add(cost);
        if !matches!(outcome, HeadOutcome::Attempt(_)) {
            index.insert(key, Position { file, length: span.length, offset: span.offset });
        }
    }
    Ok(Scan { entries, settled, open, open_before, last_intent, tail: lines.tail()? })
}
