//! `asclepius data calls`: what was asked and paid, read off the ledger, also while a run writes to it.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use asclepius_dataset::CallWriter;
use asclepius_llm::{BatchRecord, BatchStep, Entry, Intent, Ledger, Outcome as Ending, Record};
use asclepius_schema::CallRecord;
use serde::Serialize;

use crate::failure::Outcome;
use crate::output;
use crate::pipeline::Pipeline;
use crate::teacher::JUDGE_LEDGER;

#[derive(Debug, Default, Serialize)]
struct Sum {
    calls: u64,
    prompt_tokens: u64,
    completion_tokens: u64,
    cost_usd: f64,
}

impl Sum {
    fn add(&mut self, prompt_tokens: u64, completion_tokens: u64, cost_usd: f64) {
        self.calls += 1;
        self.prompt_tokens += prompt_tokens;
        self.completion_tokens += completion_tokens;
        self.cost_usd += cost_usd;
    }
}

/// Prints a summary, and writes every call to `out`.
pub fn run(pipeline: &Pipeline, out: Option<&Path>, json: bool) -> Outcome {
    let directory = pipeline.run_dir().join("ledger");
    if !directory.is_dir() {
        return Err(super::nothing(pipeline));
    }
    let mut writer = out.map(CallWriter::create).transpose()?;
    let mut sums: BTreeMap<String, Sum> = BTreeMap::new();
    // What is announced and not settled so far: as many as were in flight, over all runs.
    let mut open: HashMap<(u64, String), Intent> = HashMap::new();
    let mut withdrawn: HashMap<u64, String> = HashMap::new();
    let mut count = |sums: &mut BTreeMap<String, Sum>, row: CallRecord| -> Outcome {
        let (sent, received) = (row.prompt_tokens.max(0) as u64, row.completion_tokens.max(0) as u64);
        let sum = sums.entry(format!("{} {}", row.stage, row.outcome)).or_default();
        sum.add(sent, received, row.cost_usd.unwrap_or(0.0));
        if let Some(writer) = &mut writer {
            writer.write(&row)?;
        }
        Ok(())
    };
    for record in Ledger::records(&directory)?.chain(Ledger::records(&directory.join(JUDGE_LEDGER))?) {
        match record? {
            Record::Intent(intent) => {
                withdrawn.insert(intent.intent, intent.key.clone());
                open.insert((intent.intent, intent.key.clone()), intent);
            }
            Record::Withdrawn(record) => {
                if let Some(key) = withdrawn.remove(&record.withdrawn) {
                    open.remove(&(record.withdrawn, key));
                }
            }
            Record::Entry(entry) => {
                open.remove(&(entry.intent, entry.key.clone()));
                withdrawn.remove(&entry.intent);
                count(&mut sums, ended(entry))?;
            }
            Record::Batch(BatchRecord { batch, step: BatchStep::Closed { unanswered_cost_nothing: true }, .. }) => {
                open.retain(|_, intent: &mut Intent| intent.batch.as_ref() != Some(&batch));
            }
            Record::Batch(_) => {}
            Record::CarriedOver(record) => {
                let sum = sums.entry("compacted away".to_owned()).or_default();
                sum.add(record.carried.prompt_tokens, record.carried.completion_tokens, record.carried.cost_usd);
            }
        }
    }
    let mut open: Vec<Intent> = open.into_values().collect();
    open.sort_by(|one, other| (&one.row_id, &one.stage, one.intent).cmp(&(&other.row_id, &other.stage, other.intent)));
    for intent in open {
        count(&mut sums, unsettled(intent))?;
    }
    if let Some(writer) = writer {
        writer.finish()?;
    }
    output::data(&if json { serde_json::to_string_pretty(&sums)? } else { table(&sums) })
}

fn tokens(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn ended(entry: Entry) -> CallRecord {
    let (outcome, reason, text) = match entry.outcome {
        Ending::Reply { text, finish_reason, .. } => ("reply", finish_reason, Some(text)),
        Ending::Dropped { reason, .. } => ("dropped", reason.code().to_owned(), None),
        Ending::Attempt { finish_reason } => ("attempt", finish_reason, None),
    };
    CallRecord {
        request_key: entry.key,
        row_id: entry.row_id,
        stage: entry.stage,
        model: entry.model,
        outcome: outcome.to_owned(),
        reason,
        max_tokens: tokens(entry.max_tokens),
        prompt_tokens: tokens(entry.prompt_tokens),
        completion_tokens: tokens(entry.completion_tokens),
        cost_usd: entry.cost_usd,
        text,
    }
}

fn unsettled(intent: Intent) -> CallRecord {
    CallRecord {
        request_key: intent.key,
        row_id: intent.row_id,
        stage: intent.stage,
        outcome: "unsettled".to_owned(),
        max_tokens: tokens(intent.completion_tokens),
        prompt_tokens: tokens(intent.prompt_tokens),
        completion_tokens: tokens(intent.completion_tokens),
        cost_usd: intent.cost_usd,
        ..CallRecord::default()
    }
}

fn table(sums: &BTreeMap<String, Sum>) -> String {
    let mut lines =
        vec![format!("{:<20} {:>9} {:>14} {:>14} {:>12}", "", "calls", "tokens in", "tokens out", "dollars")];
    for (name, sum) in sums {
        lines.push(format!(
            "{name:<20} {:>9} {:>14} {:>14} {:>12.4}",
            sum.calls, sum.prompt_tokens, sum.completion_tokens, sum.cost_usd
        ));
    }
    lines.join("\n")
}
