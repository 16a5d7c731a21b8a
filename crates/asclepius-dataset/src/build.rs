//! The dataset stage: notes and instructions through gates and duplicates, articles to their side, four files out.
//!
//! Inputs are read twice, once to judge and once to write, so that what is held in memory is the reports' texts and a
//! verdict a row. Rows are joined by identity, never by position, and keep their order.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use asclepius_schema::{
    ArticleId, Counts, Dropped, DroppedWriter, Instruction, Licence, Note, Reason, ReportId, Split, Task,
};
use asclepius_text::gates::Judgement;
use asclepius_text::normalise_for_duplicates;

use crate::split::split_articles;
use crate::table::{Record, Writer, read_instructions, read_notes, read_reports};
use crate::{DatasetConfig, DatasetError, licence_of};

/// The files the stage reads.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// What ingest wrote.
    pub reports: PathBuf,
    /// What the notes stage wrote.
    pub notes: PathBuf,
    /// What the instruct stage wrote.
    pub instructions: PathBuf,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// Notes in, out and dropped.
    pub notes: Counts,
    /// Instructions in, out and dropped.
    pub instructions: Counts,
    /// Rows of each file written, by file name.
    pub files: BTreeMap<String, u64>,
    /// Articles with at least one row, by side.
    pub articles: BTreeMap<Split, u64>,
    /// Instructions written, by task.
    pub tasks: BTreeMap<Task, u64>,
    /// Notes written, by licence.
    pub licences: BTreeMap<Licence, u64>,
    /// The licence the whole can carry, if there is one; see [`licence_of`].
    pub licence: Option<Licence>,
}

/// What was decided about a row: its scores, or nothing when it was dropped.
type Fate = Option<Vec<(String, f32)>>;

/// Gates, removes exact duplicates, splits by article and writes `{notes,instructions}-{train,validation}.parquet`
/// into `out_dir`. What is left out goes to `dropped` and is counted. `progress` is told rows done and rows in all.
///
/// # Errors
/// When a file cannot be read or written, a row names a report or note that is not there, or no note is left.
pub fn build(
    inputs: &Inputs,
    config: &DatasetConfig,
    seed: u64,
    out_dir: &Path,
    dropped: &mut DroppedWriter,
    progress: &dyn Fn(u64, u64),
) -> Result<Summary, DatasetError> {
    let mut stage = Stage { inputs, config, dropped, progress, done: 0, total: 0, summary: Summary::default() };
    stage.total = 2 * (read_notes(&inputs.notes)?.total() + read_instructions(&inputs.instructions)?.total()) as u64;
    let (notes, note_articles) = stage.judge_notes()?;
    let (instructions, instruction_articles) = stage.judge_instructions(&notes.by_report)?;
    let sides = split_articles(&instruction_articles, &note_articles, config.validation_fraction, seed);
    for side in sides.values() {
        *stage.summary.articles.entry(*side).or_default() += 1;
    }
    stage.write_notes(notes.fates, &sides, out_dir)?;
    stage.write_instructions(instructions, &sides, out_dir)?;
    stage.summary.licence = licence_of(stage.summary.licences.keys().copied());
    Ok(stage.summary)
}

struct Stage<'a> {
    inputs: &'a Inputs,
    config: &'a DatasetConfig,
    dropped: &'a mut DroppedWriter,
    progress: &'a dyn Fn(u64, u64),
    done: u64,
    total: u64,
    summary: Summary,
}

struct JudgedNotes {
    fates: Vec<Fate>,
    /// Whether a report's note came through.
    by_report: HashMap<ReportId, bool>,
}

impl Stage<'_> {
    fn judge_notes(&mut self) -> Result<(JudgedNotes, BTreeSet<ArticleId>), DatasetError> {
        let mut reports: HashMap<ReportId, String> = HashMap::new();
        for report in read_reports(&self.inputs.reports)? {
            let report = report?;
            reports.insert(report.report_id, report.report);
        }
        let mut judged = JudgedNotes { fates: Vec::new(), by_report: HashMap::new() };
        let mut articles = BTreeSet::new();
        let mut seen = HashSet::new();
        for note in read_notes(&self.inputs.notes)? {
            let note = note?;
            let report = reports.get(&note.report_id).ok_or_else(|| DatasetError::Orphan {
                path: self.inputs.notes.clone(),
                id: note.report_id.to_string(),
                missing: "report",
                parent: note.report_id.to_string(),
                parents: self.inputs.reports.clone(),
            })?;
            let verdict = verdict_of(self.config.gates.judge_note(&note.note, Some(report))).and_then(|scores| {
                first_of_its_kind(&mut seen, &[&note.note], scores, "an earlier note says the same")
            });
            self.summary.notes.input += 1;
            let fate = settle(verdict, || note.report_id.to_string(), self.dropped, &mut self.summary.notes)?;
            // A report written about twice counts as noted when either note came through.
            *judged.by_report.entry(note.report_id).or_default() |= fate.is_some();
            if fate.is_some() {
                articles.insert(note.article_id);
            }
            judged.fates.push(fate);
            self.advance();
        }
        if self.summary.notes.out == 0 {
            return Err(DatasetError::NothingLeft {
                what: "note",
                path: self.inputs.notes.clone(),
                input: self.summary.notes.input,
                reasons: reasons(&self.summary.notes),
            });
        }
        Ok((judged, articles))
    }

    fn judge_instructions(
        &mut self,
        notes: &HashMap<ReportId, bool>,
    ) -> Result<(Vec<Fate>, BTreeSet<ArticleId>), DatasetError> {
        let mut fates = Vec::new();
        let mut articles = BTreeSet::new();
        let mut seen = HashSet::new();
        for row in read_instructions(&self.inputs.instructions)? {
            let row = row?;
            let noted = *notes.get(&row.report_id).ok_or_else(|| DatasetError::Orphan {
                path: self.inputs.instructions.clone(),
                id: row.row_id(),
                missing: "note of",
                parent: row.report_id.to_string(),
                parents: self.inputs.notes.clone(),
            })?;
            let verdict = if noted {
                verdict_of(self.config.gates.judge_instruction(&row.question, &row.answer, &row.note)).and_then(
                    |scores| {
                        first_of_its_kind(
                            &mut seen,
                            &[&row.note, &row.question],
                            scores,
                            "asked before about this note",
                        )
                    },
                )
            } else {
                Err((Reason::NoteDropped, "its note was dropped".to_owned()))
            };
            self.summary.instructions.input += 1;
            let fate = settle(verdict, || row.row_id(), self.dropped, &mut self.summary.instructions)?;
            if fate.is_some() {
                articles.insert(row.article_id);
            }
            fates.push(fate);
            self.advance();
        }
        Ok((fates, articles))
    }

    fn write_notes(
        &mut self,
        fates: Vec<Fate>,
        sides: &BTreeMap<ArticleId, Split>,
        out_dir: &Path,
    ) -> Result<(), DatasetError> {
        let mut files = Sides::<Note>::create("notes", out_dir)?;
        for (note, fate) in read_notes(&self.inputs.notes)?.zip(fates) {
            let mut note = note?;
            self.advance();
            let Some(scores) = fate else { continue };
            let side = sides[&note.article_id];
            note.split = Some(side);
            note.scores = scores;
            *self.summary.licences.entry(note.licence).or_default() += 1;
            files.of(side).write(&note)?;
        }
        files.finish(&mut self.summary.files)
    }

    fn write_instructions(
        &mut self,
        fates: Vec<Fate>,
        sides: &BTreeMap<ArticleId, Split>,
        out_dir: &Path,
    ) -> Result<(), DatasetError> {
        let mut files = Sides::<Instruction>::create("instructions", out_dir)?;
        for (row, fate) in read_instructions(&self.inputs.instructions)?.zip(fates) {
            let mut row = row?;
            self.advance();
            let Some(scores) = fate else { continue };
            let side = sides[&row.article_id];
            row.split = Some(side);
            row.scores = scores;
            *self.summary.tasks.entry(row.task).or_default() += 1;
            files.of(side).write(&row)?;
        }
        files.finish(&mut self.summary.files)
    }

    fn advance(&mut self) {
        self.done += 1;
        (self.progress)(self.done, self.total);
    }
}

/// A row's scores, or why it is dropped and a line for a person.
type Verdict = Result<Vec<(String, f32)>, (Reason, String)>;

fn verdict_of(judgement: Judgement) -> Verdict {
    match judgement.failed {
        None => Ok(judgement.scores),
        Some((gate, detail)) => Err((gate.reason(), detail)),
    }
}

fn first_of_its_kind(
    seen: &mut HashSet<[u8; 32]>,
    texts: &[&str],
    scores: Vec<(String, f32)>,
    otherwise: &str,
) -> Verdict {
    if seen.insert(duplicate_key(texts)) { Ok(scores) } else { Err((Reason::Duplicate, otherwise.to_owned())) }
}

/// Counts a judged row as out, or names and counts it as dropped.
fn settle(
    verdict: Verdict,
    id: impl FnOnce() -> String,
    dropped: &mut DroppedWriter,
    counts: &mut Counts,
) -> Result<Fate, DatasetError> {
    match verdict {
        Ok(scores) => {
            counts.out += 1;
            Ok(Some(scores))
        }
        Err((reason, detail)) => {
            dropped.write(&Dropped::new(id(), reason, detail), counts)?;
            Ok(None)
        }
    }
}

/// Two rows with the same key are the same but for case, spacing and punctuation.
fn duplicate_key(texts: &[&str]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for text in texts {
        let normal = normalise_for_duplicates(text);
        hasher.update(&(normal.len() as u64).to_le_bytes());
        hasher.update(normal.as_bytes());
    }
    *hasher.finalize().as_bytes()
}

fn reasons(counts: &Counts) -> String {
    if counts.dropped.is_empty() {
        return "there was none".to_owned();
    }
    counts.dropped.iter().map(|(reason, count)| format!("{reason} {count}")).collect::<Vec<_>>().join(", ")
}

/// The two files of one record type.
struct Sides<R: Record> {
    name: &'static str,
    train: Writer<R>,
    validation: Writer<R>,
}

impl<R: Record> Sides<R> {
    fn create(name: &'static str, directory: &Path) -> Result<Self, DatasetError> {
        let writer = |side: Split| Writer::create(&directory.join(file_name(name, side)));
        Ok(Self { name, train: writer(Split::Train)?, validation: writer(Split::Validation)? })
    }

    fn of(&mut self, side: Split) -> &mut Writer<R> {
        match side {
            Split::Train => &mut self.train,
            Split::Validation => &mut self.validation,
        }
    }

    fn finish(self, files: &mut BTreeMap<String, u64>) -> Result<(), DatasetError> {
        files.insert(file_name(self.name, Split::Train), self.train.finish()?);
        files.insert(file_name(self.name, Split::Validation), self.validation.finish()?);
        Ok(())
    }
}

/// The name of one side's file: `notes-train.parquet` and so on.
pub fn file_name(records: &str, side: Split) -> String {
    format!("{records}-{}.parquet", side.name())
}
