//! Notes to instructions with answers.

use std::time::Instant;

use asclepius_dataset::{InstructionWriter, read_notes};
use asclepius_schema::{Counts, DroppedWriter, Fingerprint, Manifest, Note, StageDir};
use asclepius_synth::{InstructionOutcome, write_instructions};

use crate::failure::{Failure, Outcome};
use crate::progress::StageBar;
use crate::run::Run;
use crate::stage::{Stage, input_file};
use crate::stages::asking;
use crate::stages::notes::NOTES;
use crate::teacher::Teacher;

/// The file the stage writes.
pub const INSTRUCTIONS: &str = "instructions.parquet";

fn input(run: &Run) -> Outcome<std::path::PathBuf> {
    let directory = run.input_dir(run.config().instruct.input.as_deref(), Stage::Notes);
    input_file(Stage::Instruct, Stage::Notes, &directory, NOTES, &run.pipeline.label)
}

/// The notes, the prompts, the draws, the sampling and the model.
pub fn fingerprint(run: &Run) -> Outcome<String> {
    let teacher = &run.config().teacher;
    let fingerprint = Fingerprint::new("instruct")
        .file("notes", &input(run)?)?
        .setting("seed", &run.config().seed)
        .setting("model", &crate::teacher::name(run)?)
        .setting("extra_body", &teacher.extra_body);
    // Questions of a note that are asked together cannot show each other.
    let fingerprint = if teacher.batch { fingerprint.bytes("batch", b"") } else { fingerprint };
    let fingerprint = asking::talk(run, fingerprint);
    Ok(run.config().instruct.fingerprint(fingerprint).map_err(Failure::usage)?.finish())
}

/// Asks and answers `per_note` instructions a note.
pub fn execute(run: &Run, fingerprint: &str) -> Outcome<Manifest> {
    let started = Instant::now();
    let config = run.config();
    let notes: Vec<Note> = read_notes(&input(run)?)?.collect::<Result<_, _>>()?;
    let total = notes.len() as u64 * u64::from(config.instruct.per_note);
    let bar = StageBar::start("instruct", total);
    let directory = StageDir::begin(&run.directory, Stage::Instruct.directory())?;
    let mut instructions = InstructionWriter::create(&directory.path().join(INSTRUCTIONS))?;
    let mut dropped = DroppedWriter::create(directory.path())?;
    let mut counts = Counts { input: total, ..Counts::default() };
    let mut done = 0;
    let teacher = Teacher::open(run)?;
    let mut take = |_, outcome: InstructionOutcome| {
        match outcome {
            InstructionOutcome::Written(row) => {
                instructions.write(&row).map_err(asking::sink)?;
                counts.out += 1;
            }
            InstructionOutcome::Dropped(row) => dropped.write(&row, &mut counts).map_err(asking::sink)?,
            InstructionOutcome::Pending { id, detail } => {
                tracing::warn!(row = id, detail, "pending");
                counts.pending += 1;
            }
        }
        done += 1;
        bar.set(done);
        Ok(())
    };
    let work = write_instructions(
        &notes,
        &config.instruct,
        &config.dataset.gates,
        config.seed,
        &teacher.client,
        config.teacher.rows_at_once(),
        &mut take,
    );
    asking::wait(run, &teacher, &bar, work)?;
    instructions.finish()?;
    dropped.finish()?;
    bar.finish();
    let mut manifest = Manifest::new(Stage::Instruct.name(), fingerprint.to_owned(), "instruction");
    (manifest.counts, manifest.seconds) = (counts, started.elapsed().as_secs_f64());
    asking::account(&mut manifest, &teacher);
    directory.commit(&manifest)?;
    Ok(manifest)
}
