//! What is decided about every row before anything is written: its gates first, then what only the whole set can tell.

use asclepius_schema::Reason;
use asclepius_text::gates::Judgement;
use asclepius_text::minhash::BandPlan;
use asclepius_text::{Gate, GatesConfig, Verdict, normalise_for_duplicates};

use crate::near_duplicates::{Neighbour, SEQUENCE_WORDS, Sketch, nearest_preceding};

/// Similarity looked for where nothing is dropped for it.
const MEASURED_SIMILARITY: f64 = 0.8;

/// A gate's score; names are kept once, in [`Gate`].
pub(super) type Scores = Box<[(Gate, f32)]>;

/// A row and what is known of it so far.
#[derive(Debug)]
pub(super) struct Row {
    /// What `dropped.jsonl` calls it.
    pub id: String,
    /// Its scores so far, sorted by gate.
    pub scores: Scores,
    /// Why it is dropped, with a line for a person and the gate that says so, if it is one.
    pub dropped: Option<(Reason, Option<Gate>, String)>,
    /// Whether what is to be known of it is still to come.
    pub pending: bool,
    /// Who rated it, where somebody did.
    pub judge: super::ratings::Call,
    /// Equal for rows that are the same but for case, spacing and punctuation.
    key: [u8; 32],
    /// Tells rows of one id apart, so that their order in the file does not matter.
    content: [u8; 32],
    sketch: Option<Sketch>,
}

impl Row {
    /// A row that its own gates judged. `texts` are what makes it a duplicate; `plan` asks for a sketch of the first.
    pub fn new(id: String, judgement: Judgement, texts: &[&str], plan: Option<BandPlan>) -> Self {
        let gate =
            |(name, score): (String, f32)| (Gate::named(&name).expect("scores are named after their gates"), score);
        let dropped = judgement.failed.map(|(gate, detail)| (gate.reason(), Some(gate), detail));
        let stays = dropped.is_none();
        Self {
            id,
            scores: judgement.scores.into_iter().map(gate).collect(),
            dropped,
            pending: false,
            judge: None,
            key: hash(texts.iter().map(|text| normalise_for_duplicates(text))),
            content: hash(texts.iter()),
            sketch: plan.filter(|_| stays).map(|plan| Sketch::new(texts.first().unwrap_or(&""), plan)),
        }
    }

    /// A row that is dropped for what happened elsewhere.
    pub fn dropped(id: String, reason: Reason, detail: &str) -> Self {
        let dropped = Some((reason, None, detail.to_owned()));
        let scores = Box::default();
        Self { id, scores, dropped, pending: false, judge: None, key: [0; 32], content: [0; 32], sketch: None }
    }

    /// A row that waits for what happens elsewhere.
    pub fn waiting(id: String) -> Self {
        let scores = Box::default();
        Self { id, scores, dropped: None, pending: true, judge: None, key: [0; 32], content: [0; 32], sketch: None }
    }

    /// Whether it was neither dropped nor left for later.
    pub fn is_in(&self) -> bool {
        self.dropped.is_none() && !self.pending
    }

    /// What a gate says that sees more than the row, of a row that is still in.
    pub fn add(&mut self, gates: &GatesConfig, gate: Gate, verdict: Verdict) {
        let mut scores = self.scores.to_vec();
        scores.insert(scores.partition_point(|(known, _)| *known < gate), (gate, verdict.score));
        self.scores = scores.into();
        if !gates.passes(gate, verdict.score) {
            self.dropped = Some((gate.reason(), Some(gate), format!("{}: {}", gate.name(), verdict.detail)));
        }
    }
}

fn hash(texts: impl Iterator<Item = impl AsRef<str>>) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for text in texts {
        let text = text.as_ref();
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    *hasher.finalize().as_bytes()
}

/// How the near-duplicate gate looks for what it measures.
pub(super) fn plan(gates: &GatesConfig) -> BandPlan {
    BandPlan::for_threshold(greatest_similarity(gates).unwrap_or(MEASURED_SIMILARITY))
}

fn greatest_similarity(gates: &GatesConfig) -> Option<f64> {
    match gates.near_duplicate {
        asclepius_text::gates::Threshold::At(threshold) => Some(f64::from(threshold)),
        asclepius_text::gates::Threshold::Off => None,
    }
}

/// Drops every row but one of those that are the same. Whatever order rows come in, the one whose id sorts first stays.
pub(super) fn drop_duplicates(rows: &mut [Row], otherwise: &str) {
    let mut first: std::collections::HashMap<[u8; 32], usize> = std::collections::HashMap::new();
    for index in precedence(rows) {
        let other = *first.entry(rows[index].key).or_insert(index);
        if other != index {
            let detail = format!("{otherwise} ({})", rows[other].id);
            rows[index].dropped = Some((Reason::Duplicate, None, detail));
            rows[index].sketch = None;
        }
    }
}

/// Measures how like each remaining row is to those before it by id, and drops those that are too alike.
pub(super) fn drop_near_duplicates(rows: &mut [Row], gates: &GatesConfig) {
    let order: Vec<usize> = precedence(rows).into_iter().filter(|&index| rows[index].sketch.is_some()).collect();
    let sketches: Vec<Sketch> = order.iter().filter_map(|&index| rows[index].sketch.take()).collect();
    let places: Vec<usize> = (0..sketches.len()).collect();
    let nearest = nearest_preceding(&sketches, &places, greatest_similarity(gates));
    for (&index, nearest) in order.iter().zip(&nearest) {
        let verdict = match nearest {
            None => Verdict::new(0.0, "none alike"),
            Some(near) => {
                let share = near.similarity;
                let other = &rows[order[near.index]].id;
                Verdict::new(
                    share as f32,
                    format!("{share:.3} of all sequences of {SEQUENCE_WORDS} words are shared with {other}"),
                )
            }
        };
        rows[index].add(gates, Gate::NearDuplicate, verdict);
    }
}

/// The same by what notes mean, as an encoder read those in `order`, first come first; neighbours are places in it.
pub(super) fn drop_same_meaning(rows: &mut [Row], gates: &GatesConfig, order: &[usize], nearest: &[Option<Neighbour>]) {
    for (&index, nearest) in order.iter().zip(nearest) {
        let verdict = match nearest {
            None => Verdict::new(0.0, "none before it"),
            Some(near) => {
                let other = &rows[order[near.index]].id;
                Verdict::new(near.similarity as f32, format!("means what {other} does: cosine {:.3}", near.similarity))
            }
        };
        rows[index].add(gates, Gate::SameMeaning, verdict);
    }
}

/// The rows that are still in, by id.
pub(super) fn precedence(rows: &[Row]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rows.len()).filter(|&index| rows[index].is_in()).collect();
    order.sort_by(|&left, &right| {
        let (left, right) = (&rows[left], &rows[right]);
        (&left.id, left.content).cmp(&(&right.id, right.content))
    });
    order
}
