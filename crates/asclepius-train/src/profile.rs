//! The trace of some steps: a file that Perfetto and chrome://tracing open, and how much of the time each kind of work took.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use asclepius_ops::profile::Timed;
use asclepius_schema::write_atomically;
use serde_json::{Value, json};

use crate::TrainError;

/// The trace, beside `metrics.jsonl`.
pub const PROFILE_FILE: &str = "profile.json";

/// Spans of steps in a row.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    steps: Vec<(u64, Vec<Timed>)>,
}

/// How the time of the profiled steps was spent.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// The trace.
    pub path: PathBuf,
    /// The first step and the last one.
    pub steps: [u64; 2],
    /// Seconds of a step, on average.
    pub step_seconds: f64,
    /// Share of the time by kind of work, the largest first; what no span covers is `idle`: on a card it waited or ran what
    /// lies between operations. A span's time is its own, without that of the spans in it.
    pub shares: Vec<(&'static str, f64)>,
}

impl Trace {
    pub fn add(&mut self, step: u64, spans: Vec<Timed>) {
        self.steps.push((step, spans));
    }

    /// Writes the trace into `directory`; nothing where no step was recorded.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, directory: &Path) -> Result<Option<Profile>, TrainError> {
        let (Some((first, _)), Some((last, _))) = (self.steps.first(), self.steps.last()) else { return Ok(None) };
        let (mut events, mut seconds, mut total, mut offset) = (Vec::new(), BTreeMap::<&str, f64>::new(), 0.0, 0.0);
        for (step, spans) in &self.steps {
            let whole = spans.iter().filter(|span| span.depth == 0).map(|span| span.seconds).sum::<f64>();
            for (index, span) in spans.iter().enumerate() {
                events.push(event(*step, offset, span));
                let inside = spans[index + 1..].iter().take_while(|inner| inner.depth > span.depth);
                let inside: f64 = inside.filter(|inner| inner.depth == span.depth + 1).map(|inner| inner.seconds).sum();
                *seconds.entry(span.kind.name()).or_default() += (span.seconds - inside).max(0.0);
            }
            total += whole;
            offset += whole;
        }
        let path = directory.join(PROFILE_FILE);
        let trace = json!({ "displayTimeUnit": "ms", "traceEvents": events });
        write_atomically(&path, trace.to_string().as_bytes())?;
        let mut shares: Vec<(&str, f64)> =
            seconds.into_iter().map(|(kind, seconds)| (kind, seconds / total.max(f64::MIN_POSITIVE))).collect();
        shares.sort_by(|left, right| right.1.total_cmp(&left.1));
        let step_seconds = total / self.steps.len() as f64;
        Ok(Some(Profile { path, steps: [*first, *last], step_seconds, shares }))
    }
}

/// A complete event of the Trace Event Format, its times in microseconds.
fn event(step: u64, offset: f64, span: &Timed) -> Value {
    json!({
        "name": span.name, "cat": span.kind.name(), "ph": "X", "pid": 0, "tid": 0,
        "ts": (offset + span.begin) * 1e6, "dur": span.seconds * 1e6, "args": { "step": step },
    })
}

#[cfg(test)]
mod tests {
    use asclepius_ops::profile::Kind;

    use super::*;

    #[test]
    fn a_share_is_a_spans_own_time_and_idle_is_what_no_span_covers() {
        let span = |kind, begin, seconds, depth| Timed { kind, name: "x", begin, seconds, depth };
        let spans = vec![
            span(Kind::Step, 0.0, 10.0, 0),
            span(Kind::Head, 1.0, 4.0, 1),
            span(Kind::Product, 1.0, 3.0, 2),
            span(Kind::Product, 6.0, 2.0, 1),
        ];
        let directory = tempfile::tempdir().expect("a directory");
        let mut trace = Trace::default();
        assert_eq!(trace.write(directory.path()).expect("nothing to write"), None);
        trace.add(3, spans.clone());
        trace.add(4, spans);
        let profile = trace.write(directory.path()).expect("writable").expect("two steps");
        assert_eq!(profile.shares, [("product", 0.5), ("idle", 0.4), ("head", 0.1)]);
        assert_eq!((profile.steps, profile.step_seconds), ([3, 4], 10.0));
        let file: Value = serde_json::from_str(&fs_err::read_to_string(&profile.path).expect("written")).expect("JSON");
        assert_eq!(file["traceEvents"].as_array().map(Vec::len), Some(8));
        assert_eq!(file["traceEvents"][6]["ts"], 11e6);
    }
}
