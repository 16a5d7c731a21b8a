//! Where a step's time goes: spans of work by kind, while a recording runs. On a card a span begins and ends at events in
//! its stream, so that nothing waits for it and what is measured is the card's time, not that of launching.
//!
//! One recording at a time, of the one thread that trains: what its workers do is its span's. Without a recording a span
//! costs one relaxed load.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use candle_core::Device;

use crate::device::marks;

/// What kind of work a span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Matrix products, adapters' among them.
    Product,
    /// Attention; on the CPU with its rotary embedding.
    Attention,
    /// Root-mean-square and layer norms.
    Norm,
    /// Activations, dropout, rotary embedding, sums.
    Elementwise,
    /// Rows of the embedding, looked up and added to.
    Embedding,
    /// The head's cross-entropy, but for its products where they are told apart.
    Head,
    /// A whole block, where its operations are not told apart.
    Block,
    /// Gradients set to zero, their norm.
    Gradients,
    /// The optimizer's update.
    Optimizer,
    /// Micro-batches gathered.
    Data,
    /// What encloses others.
    Step,
}

impl Kind {
    /// Its word in a trace. What encloses others is, by itself, the time that none of them took.
    pub fn name(self) -> &'static str {
        match self {
            Self::Product => "product",
            Self::Attention => "attention",
            Self::Norm => "norm",
            Self::Elementwise => "elementwise",
            Self::Embedding => "embedding",
            Self::Head => "head",
            Self::Block => "block",
            Self::Gradients => "gradients",
            Self::Optimizer => "optimizer",
            Self::Data => "data",
            Self::Step => "idle",
        }
    }
}

/// A span that ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timed {
    /// What it is.
    pub kind: Kind,
    /// Its name, as `linear, back`.
    pub name: &'static str,
    /// Seconds from the recording's beginning.
    pub begin: f64,
    /// Seconds it took.
    pub seconds: f64,
    /// How many spans enclose it.
    pub depth: usize,
}

static RECORDS: AtomicBool = AtomicBool::new(false);
static RECORDING: Mutex<Option<Recording>> = Mutex::new(None);

enum Mark {
    Host(f64),
    Card(marks::Mark),
}

struct Open {
    kind: Kind,
    name: &'static str,
    begin: Mark,
    end: Option<Mark>,
    depth: usize,
}

struct Recording {
    started: Instant,
    card: Option<marks::Clock>,
    spans: Vec<Open>,
    depth: usize,
}

impl Recording {
    fn mark(&self) -> Mark {
        let on_card = self.card.as_ref().and_then(marks::Clock::mark);
        on_card.map_or_else(|| Mark::Host(self.started.elapsed().as_secs_f64()), Mark::Card)
    }

    fn seconds(&self, mark: &Mark) -> f64 {
        match (mark, &self.card) {
            (Mark::Host(seconds), _) => *seconds,
            (Mark::Card(mark), Some(clock)) => clock.seconds(mark),
            (Mark::Card(_), None) => 0.0,
        }
    }
}

fn recording() -> MutexGuard<'static, Option<Recording>> {
    RECORDING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Begins to record what runs on `device`; what was recorded before is forgotten. Call it when the device is idle.
pub fn start(device: &Device) {
    *recording() =
        Some(Recording { started: Instant::now(), card: marks::Clock::start(device), spans: Vec::new(), depth: 0 });
    RECORDS.store(true, Ordering::Relaxed);
}

/// Ends the recording: its spans in the order they began. Call it when the device is idle again.
pub fn stop() -> Vec<Timed> {
    RECORDS.store(false, Ordering::Relaxed);
    let Some(recording) = recording().take() else { return Vec::new() };
    let timed = |open: &Open| {
        let (begin, end) = (recording.seconds(&open.begin), recording.seconds(open.end.as_ref()?));
        Some(Timed { kind: open.kind, name: open.name, begin, seconds: (end - begin).max(0.0), depth: open.depth })
    };
    recording.spans.iter().filter_map(timed).collect()
}

/// A span of work, to be held while it runs.
#[must_use = "it ends when it is dropped"]
#[derive(Debug)]
pub struct Span(Option<usize>);

/// Begins a span, where a recording runs.
pub fn span(kind: Kind, name: &'static str) -> Span {
    if !RECORDS.load(Ordering::Relaxed) {
        return Span(None);
    }
    let mut recording = recording();
    let Some(recording) = recording.as_mut() else { return Span(None) };
    let begin = recording.mark();
    let depth = recording.depth;
    recording.depth += 1;
    recording.spans.push(Open { kind, name, begin, end: None, depth });
    Span(Some(recording.spans.len() - 1))
}

impl Drop for Span {
    fn drop(&mut self) {
        let Some(index) = self.0 else { return };
        let mut recording = recording();
        let Some(recording) = recording.as_mut() else { return };
        let end = recording.mark();
        recording.depth = recording.depth.saturating_sub(1);
        // A recording that began meanwhile does not know the span.
        if let Some(open) = recording.spans.get_mut(index) {
            open.end = Some(end);
        }
    }
}
