//! Case reports to notes.

use std::time::Instant;

use asclepius_dataset::{NoteWriter, read_reports};
use asclepius_schema::{Counts, DroppedWriter, Fingerprint, Manifest, Report, StageDir};
use asclepius_synth::{NoteOutcome, write_notes};

use crate::failure::{Failure, Outcome};
use crate::progress::StageBar;
use crate::run::Run;
use crate::stage::{Stage, input_file};
use crate::stages::asking;
use crate::stages::ingest::REPORTS;
use crate::teacher::Teacher;

/// The file the stage writes.
pub const NOTES: &str = "notes.parquet";

fn input(run: &Run) -> Outcome<std::path::PathBuf> {
    let directory = run.input_dir(run.config().notes.input.as_deref(), Stage::Ingest);
    input_file(Stage::Notes, Stage::Ingest, &directory, REPORTS, &run.pipeline.label)
}

/// The reports, the prompt, the sampling and the model.
pub fn fingerprint(run: &Run) -> Outcome<String> {
    let teacher = &run.config().teacher;
    let fingerprint = Fingerprint::new("notes")
        .file("reports", &input(run)?)?
        .setting("model", &crate::teacher::name(run)?)
        .setting("extra_body", &teacher.extra_body);
    let fingerprint = match run.shard {
        Some(shard) => fingerprint.bytes("shard", shard.to_string().as_bytes()),
        None => fingerprint,
    };
    let fingerprint = asking::talk(run, fingerprint);
    Ok(run.config().notes.fingerprint(fingerprint, run.config().seed).map_err(Failure::usage)?.finish())
}

/// Asks for a note a report.
pub fn execute(run: &Run, fingerprint: &str) -> Outcome<Manifest> {
    let started = Instant::now();
    let mut reports: Vec<Report> = read_reports(&input(run)?)?.collect::<Result<_, _>>()?;
    if let Some(shard) = run.shard {
        reports.retain(|report| shard.holds(report.report_id.as_str()));
    }
    let bar = StageBar::start("notes", reports.len() as u64);
    let directory = StageDir::begin(&run.directory, Stage::Notes.directory())?;
    let mut notes = NoteWriter::create(&directory.path().join(NOTES))?;
    let mut dropped = DroppedWriter::create(directory.path())?;
    let mut counts = Counts { input: reports.len() as u64, ..Counts::default() };
    let teacher = Teacher::open(run)?;
    let mut take = |index: usize, outcome: NoteOutcome| {
        match outcome {
            NoteOutcome::Written(note) => {
                notes.write(&note).map_err(asking::sink)?;
                counts.out += 1;
            }
            NoteOutcome::Dropped(row) => dropped.write(&row, &mut counts).map_err(asking::sink)?,
            NoteOutcome::Pending { id, detail } => {
                tracing::warn!(report = id, detail, "pending");
                counts.pending += 1;
            }
        }
        bar.set(index as u64 + 1);
        Ok(())
    };
    let config = run.config();
    let work = write_notes(
        &reports,
        &config.notes,
        &config.dataset.gates,
        config.seed,
        &teacher.client,
        config.teacher.rows_at_once(),
        &mut take,
    );
    asking::wait(run, &teacher, &bar, work)?;
    notes.finish()?;
    dropped.finish()?;
    bar.finish();
    let mut manifest = Manifest::new(Stage::Notes.name(), fingerprint.to_owned(), "report");
    (manifest.counts, manifest.seconds) = (counts, started.elapsed().as_secs_f64());
    asking::account(&mut manifest, &teacher);
    directory.commit(&manifest)?;
    Ok(manifest)
}
