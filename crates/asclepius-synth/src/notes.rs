//! Report to note: one call each.

use std::borrow::Borrow;

use asclepius_llm::{Call, Client, Completion};
use asclepius_schema::{Dropped, Note, Report};
use asclepius_text::{GatesConfig, Prompt, style};

use crate::{NotesConfig, SinkError, SynthError, delivery, draw, faults, prompts};

/// What became of a report.
#[derive(Debug, Clone, PartialEq)]
pub enum NoteOutcome {
    /// A note.
    Written(Box<Note>),
    /// No note, for good.
    Dropped(Dropped),
    /// No note yet: the next run asks again.
    Pending {
        /// The report.
        id: String,
        /// Why.
        detail: String,
    },
}

/// Writes a note for each report, `rows` of them at most at a time, and puts the style on it. A note in which the model speaks of
/// itself or declines more than `gates` allow is dropped. `on` is called exactly once a report with its index, in the order of `reports`.
///
/// # Errors
/// When the prompt cannot be loaded or rendered, when the client finds that no call can succeed, or when `on` fails;
/// replies that were under way are in the ledger then, and the rows before the failure were delivered.
pub async fn write_notes<R: Borrow<Report>>(
    reports: impl IntoIterator<Item = R>,
    config: &NotesConfig,
    gates: &GatesConfig,
    seed: u64,
    client: &Client,
    rows: usize,
    on: &mut (dyn FnMut(usize, NoteOutcome) -> Result<(), SinkError> + Send),
) -> Result<(), SynthError> {
    config.validate()?;
    let prompt = config.load_prompt()?;
    let work = |report: R| {
        let prompt = &prompt;
        async move { write_note(report.borrow(), config, gates, seed, prompt, client).await }
    };
    delivery::in_order(reports, rows, work, on).await
}

async fn write_note(
    report: &Report,
    config: &NotesConfig,
    gates: &GatesConfig,
    seed: u64,
    prompt: &Prompt,
    client: &Client,
) -> Result<NoteOutcome, SynthError> {
    let id = report.report_id.as_str();
    let messages = prompts::note_messages(prompt, &report.report, draw::note_type(seed, id, &config.types))?;
    let call = Call::new(id, "note", messages, config.temperature, config.max_tokens);
    let reply = match client.complete(&call).await? {
        Completion::Reply(reply) => reply,
        Completion::Dropped { reason, detail } => {
            return Ok(NoteOutcome::Dropped(Dropped::new(id, reason, format!("note: {detail}"))));
        }
        Completion::Pending { detail } => return Ok(NoteOutcome::Pending { id: id.to_owned(), detail }),
    };
    if let Some((reason, detail)) = faults::of_note(&reply.text, gates) {
        return Ok(NoteOutcome::Dropped(Dropped::new(id, reason, detail)));
    }
    Ok(NoteOutcome::Written(Box::new(Note {
        patient_id: report.patient_id,
        note_call: reply.lineage(prompt.hash()),
        teacher_model: reply.model,
        note: style::apply(&reply.text, &config.style, &|purpose| draw::number(seed, purpose, id)),
        report_id: report.report_id.clone(),
        article_id: report.article_id.clone(),
        licence: report.licence,
        licence_url: report.licence_url.clone(),
        attribution: report.attribution.clone(),
        split: None,
        scores: Vec::new(),
        judge: None,
    })))
}
