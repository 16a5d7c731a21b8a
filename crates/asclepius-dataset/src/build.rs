//! The dataset stage: notes and instructions through gates and duplicates, articles to their side, four files out.
//!
//! Inputs are read twice, once to judge and once to write, so that what is held in memory is the reports' texts, a
//! verdict a row and, for a while, the word sequences of the notes. Rows are joined by identity, never by position, and
//! keep their order; which of several rows that are alike stays is a matter of their ids, not of that order.

mod encoder;
mod figures;
mod judge;
mod ratings;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::convert::Infallible;
use std::path::{Path, PathBuf};

use asclepius_schema::{
    ArticleId, Counts, Dropped, DroppedWriter, Instruction, Licence, Note, Reason, ReportId, Split, Task,
};
use asclepius_text::{Exhibit, Gate, GatesConfig, Subject};

use crate::contamination::EvaluationSets;
use crate::membership::{Attack, MOST_REPORTS, keep_greatest};
use crate::split::{place, split_articles};
use crate::table::{Layout, Record, Writer, read_instructions, read_notes, read_reports};
use crate::{DatasetConfig, DatasetError, Membership, Terms, in_order};

pub use encoder::{Encoder, Texts};
pub use figures::{GateFigures, SideFigures};
use judge::{Row, Scores};
use ratings::Call;
pub use ratings::{Exhibits, Judge, RatingFigures};

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
#[derive(Debug, Clone, PartialEq, Default)]
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
    /// What each side holds.
    pub sides: BTreeMap<Split, SideFigures>,
    /// What the gates measured: of notes and of instructions, by gate.
    pub gates: BTreeMap<&'static str, BTreeMap<String, GateFigures>>,
    /// How the judge rated: notes and instructions; nothing where there is none.
    pub ratings: BTreeMap<&'static str, RatingFigures>,
    /// Words of what was written, by column: least, 5th, 50th and 95th percentile, greatest.
    pub words: BTreeMap<&'static str, [u32; 5]>,
    /// Distinct word sequences of the evaluation sets that were looked for.
    pub evaluation_sequences: u64,
    /// How well reports behind the training notes are told from held-out ones; none without either.
    pub membership: Option<Membership>,
}

impl Summary {
    /// Under what terms the notes that were written, and what is asked about them, can be passed on.
    pub fn terms(&self) -> Terms {
        Terms::of("note", self.licences.iter().map(|(licence, notes)| (*licence, *notes)))
    }
}

/// What was decided about a row: its scores and who rated it, or nothing when it is left out.
type Fate = Option<(Scores, Call)>;

/// Gates, removes duplicates and what overlaps evaluation sets, splits by article and writes
/// `{notes,instructions}-{train,validation}.parquet` into `out_dir`. What is left out goes to `dropped` and is counted.
/// `progress` is told rows done and rows in all. All threads of the current rayon pool work; what is written does not
/// depend on how many there are.
///
/// # Errors
/// When a file cannot be read or written, a row names a report or note that is not there, or no note is left.
pub fn build(
    inputs: &Inputs,
    config: &DatasetConfig,
    seed: u64,
    out_dir: &Path,
    dropped: &mut DroppedWriter,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Summary, DatasetError> {
    build_with(inputs, config, seed, out_dir, dropped, progress, Models::<Infallible>::default())
}

/// Models that see what no rule does.
pub struct Models<'a, A: Judge> {
    /// Rates rows that every rule lets through.
    pub judge: Option<&'a mut A>,
    /// Tells which notes mean the same.
    pub encoder: Option<&'a mut dyn Encoder<Error = A::Error>>,
}

impl<A: Judge> Default for Models<'_, A> {
    fn default() -> Self {
        Self { judge: None, encoder: None }
    }
}

/// The same with models. With a judge, files carry its score and the call that gave it; rows it has not rated yet are in
/// none of them and count as pending, as does what is asked about their note.
///
/// # Errors
/// See [`build`], and when a model cannot go on.
pub fn build_with<J, A: Judge>(
    inputs: &Inputs,
    config: &DatasetConfig<J>,
    seed: u64,
    out_dir: &Path,
    dropped: &mut DroppedWriter,
    progress: &(dyn Fn(u64, u64) + Sync),
    models: Models<'_, A>,
) -> Result<Summary, A::Error> {
    let Models { mut judge, encoder } = models;
    let sets = EvaluationSets::read(&config.evaluation_sets)?;
    let layout = if judge.is_some() { Layout::Judged } else { Layout::Plain };
    let (gates, done, total) = (&config.gates, 0, 0);
    let mut stage = Stage { inputs, gates, sets, layout, dropped, progress, done, total, summary: Summary::default() };
    stage.summary.evaluation_sequences = stage.sets.sequences() as u64;
    stage.total = 2 * (read_notes(&inputs.notes)?.total() + read_instructions(&inputs.instructions)?.total()) as u64;
    let (notes, note_articles) = stage.judge_notes(judge.as_deref_mut(), encoder)?;
    let (instructions, instruction_articles) = stage.judge_instructions(&notes.by_report, judge)?;
    let sides = split_articles(&instruction_articles, &note_articles, config.validation_fraction, seed);
    for side in sides.values() {
        *stage.summary.articles.entry(*side).or_default() += 1;
        stage.summary.sides.entry(*side).or_default().articles += 1;
    }
    stage.write_notes(notes.fates, &sides, out_dir)?;
    stage.write_instructions(instructions, &sides, out_dir)?;
    stage.summary.membership = stage.membership(&sides, seed, out_dir)?;
    Ok(stage.summary)
}

struct Stage<'a> {
    inputs: &'a Inputs,
    gates: &'a GatesConfig,
    sets: EvaluationSets,
    layout: Layout,
    dropped: &'a mut DroppedWriter,
    progress: &'a (dyn Fn(u64, u64) + Sync),
    done: u64,
    total: u64,
    summary: Summary,
}

struct JudgedNotes {
    fates: Vec<Fate>,
    /// What became of a report's note.
    by_report: HashMap<ReportId, Noted>,
}

/// What became of a report's note; of one written about twice, the best of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Noted {
    Dropped,
    Pending,
    In,
}

impl Noted {
    fn of(row: &Row) -> Self {
        match (&row.dropped, row.pending) {
            (Some(_), _) => Self::Dropped,
            (None, true) => Self::Pending,
            (None, false) => Self::In,
        }
    }
}

impl Stage<'_> {
    fn judge_notes<A: Judge>(
        &mut self,
        judge: Option<&mut A>,
        encoder: Option<&mut dyn Encoder<Error = A::Error>>,
    ) -> Result<(JudgedNotes, BTreeSet<ArticleId>), A::Error> {
        let mut reports: HashMap<ReportId, String> = HashMap::new();
        for report in read_reports(&self.inputs.reports)? {
            let report = report?;
            reports.insert(report.report_id, report.report);
        }
        let (inputs, gates, sets) = (self.inputs, self.gates, &self.sets);
        let plan = judge::plan(gates);
        let by_rules = |note: Note| {
            let report = reports.get(&note.report_id).ok_or_else(|| DatasetError::Orphan {
                path: inputs.notes.clone(),
                id: note.report_id.to_string(),
                missing: "report",
                parent: note.report_id.to_string(),
                parents: inputs.reports.clone(),
            })?;
            let mut judgement = gates.judge_note(&note.note, Some(report));
            judgement.add(gates, Gate::Contaminated, sets.overlap(&[&note.note]));
            let row = Row::new(note.report_id.to_string(), judgement, &[&note.note], Some(plan));
            Ok::<_, DatasetError>((row, note.report_id, note.article_id))
        };
        let (mut rows, mut origins) = (Vec::new(), Vec::new());
        let (progress, total) = (self.progress, self.total);
        in_order(
            read_notes(&inputs.notes)?,
            |note| note.note.len(),
            by_rules,
            |(row, report, article)| {
                rows.push(row);
                origins.push((report, article));
                progress(rows.len() as u64, total);
                Ok::<_, DatasetError>(())
            },
        )?;
        // Only a judge reads them again.
        let reports = if judge.is_some() { reports } else { HashMap::new() };
        self.done = rows.len() as u64;
        judge::drop_duplicates(&mut rows, "another note says the same");
        judge::drop_near_duplicates(&mut rows, gates);
        if let Some(encoder) = encoder {
            encoder::apply(encoder, &mut rows, gates, read_notes(&inputs.notes)?)?;
        }
        if let Some(judge) = judge {
            let count = rows.iter().filter(|row| row.is_in()).count() as u64;
            let stored = read_notes(&inputs.notes)?;
            let mut exhibits = rows.iter().zip(stored).filter(|(row, _)| row.is_in()).map(|(row, note)| {
                let note = note?;
                let report = reports.get(&note.report_id).cloned().unwrap_or_default();
                Ok((row.id.clone(), Exhibit::Note { report, note: note.note }))
            });
            let judged = judge.rate(Subject::Note, count, &mut exhibits)?;
            drop(exhibits);
            self.summary.ratings.insert("note", ratings::apply(&mut rows, judged, gates));
        }
        drop(reports);
        self.summary.gates.insert("note", figures::of_gates(&rows, gates));
        let mut by_report: HashMap<ReportId, Noted> = HashMap::new();
        let mut articles = BTreeSet::new();
        for ((report, article), row) in origins.into_iter().zip(&rows) {
            let noted = Noted::of(row);
            let known = by_report.entry(report).or_insert(noted);
            *known = noted.max(*known);
            if noted == Noted::In {
                articles.insert(article);
            }
        }
        let fates = settle(rows, self.dropped, &mut self.summary.notes)?;
        if self.summary.notes.out + self.summary.notes.pending == 0 {
            let nothing = DatasetError::NothingLeft {
                what: "note",
                path: self.inputs.notes.clone(),
                input: self.summary.notes.input,
                reasons: reasons(&self.summary.notes),
            };
            return Err(nothing.into());
        }
        Ok((JudgedNotes { fates, by_report }, articles))
    }

    fn judge_instructions<A: Judge>(
        &mut self,
        notes: &HashMap<ReportId, Noted>,
        judge: Option<&mut A>,
    ) -> Result<(Vec<Fate>, BTreeSet<ArticleId>), A::Error> {
        let (inputs, gates, sets) = (self.inputs, self.gates, &self.sets);
        let by_rules = |row: Instruction| {
            let noted = *notes.get(&row.report_id).ok_or_else(|| DatasetError::Orphan {
                path: inputs.instructions.clone(),
                id: row.row_id(),
                missing: "note of",
                parent: row.report_id.to_string(),
                parents: inputs.notes.clone(),
            })?;
            match noted {
                Noted::In => {}
                Noted::Pending => return Ok::<_, DatasetError>((Row::waiting(row.row_id()), row.article_id)),
                Noted::Dropped => {
                    let dropped = Row::dropped(row.row_id(), Reason::NoteDropped, "its note was dropped");
                    return Ok((dropped, row.article_id));
                }
            }
            let mut judgement = gates.judge_instruction(&row.question, &row.answer, &row.note);
            judgement.add(gates, Gate::Contaminated, sets.overlap(&[&row.question, &row.answer]));
            Ok((Row::new(row.row_id(), judgement, &[&row.note, &row.question], None), row.article_id))
        };
        let (mut rows, mut origins) = (Vec::new(), Vec::new());
        let (progress, total, done) = (self.progress, self.total, self.done);
        in_order(
            read_instructions(&inputs.instructions)?,
            |row| row.note.len() + row.question.len() + row.answer.len(),
            by_rules,
            |(row, article)| {
                rows.push(row);
                origins.push(article);
                progress(done + rows.len() as u64, total);
                Ok::<_, DatasetError>(())
            },
        )?;
        self.done += rows.len() as u64;
        judge::drop_duplicates(&mut rows, "asked already about this note");
        if let Some(judge) = judge {
            let count = rows.iter().filter(|row| row.is_in()).count() as u64;
            let stored = read_instructions(&inputs.instructions)?;
            let mut exhibits = rows.iter().zip(stored).filter(|(row, _)| row.is_in()).map(|(row, stored)| {
                let Instruction { note, question, answer, .. } = stored?;
                Ok((row.id.clone(), Exhibit::Answer { note, question, answer }))
            });
            let judged = judge.rate(Subject::Answer, count, &mut exhibits)?;
            drop(exhibits);
            self.summary.ratings.insert("instruction", ratings::apply(&mut rows, judged, gates));
        }
        self.summary.gates.insert("instruction", figures::of_gates(&rows, gates));
        let fates = settle(rows, self.dropped, &mut self.summary.instructions)?;
        let written = origins.into_iter().zip(&fates).filter(|(_, fate)| fate.is_some());
        let articles = written.map(|(article, _)| article).collect();
        Ok((fates, articles))
    }

    fn write_notes(
        &mut self,
        fates: Vec<Fate>,
        sides: &BTreeMap<ArticleId, Split>,
        out_dir: &Path,
    ) -> Result<(), DatasetError> {
        let mut files = Sides::<Note>::create("notes", out_dir, self.layout)?;
        let mut words = Vec::new();
        for (note, fate) in read_notes(&self.inputs.notes)?.zip(fates) {
            let mut note = note?;
            self.advance();
            let Some((scores, judge)) = fate else { continue };
            let side = sides[&note.article_id];
            note.split = Some(side);
            note.scores = named(&scores);
            note.judge = judge;
            *self.summary.licences.entry(note.licence).or_default() += 1;
            self.summary.sides.entry(side).or_default().notes += 1;
            words.push(count_words(&note.note));
            files.of(side).write(&note)?;
        }
        self.summary.words.insert("note", figures::quantiles(words));
        files.finish(&mut self.summary.files)
    }

    fn write_instructions(
        &mut self,
        fates: Vec<Fate>,
        sides: &BTreeMap<ArticleId, Split>,
        out_dir: &Path,
    ) -> Result<(), DatasetError> {
        let mut files = Sides::<Instruction>::create("instructions", out_dir, self.layout)?;
        let (mut questions, mut answers) = (Vec::new(), Vec::new());
        for (row, fate) in read_instructions(&self.inputs.instructions)?.zip(fates) {
            let mut row = row?;
            self.advance();
            let Some((scores, judge)) = fate else { continue };
            let side = sides[&row.article_id];
            row.split = Some(side);
            row.scores = named(&scores);
            row.judge = judge;
            *self.summary.tasks.entry(row.task).or_default() += 1;
            let holds = self.summary.sides.entry(side).or_default();
            holds.instructions += 1;
            holds.unanswerable += u64::from(row.unanswerable);
            *holds.tasks.entry(row.task).or_default() += 1;
            questions.push(count_words(&row.question));
            answers.push(count_words(&row.answer));
            files.of(side).write(&row)?;
        }
        self.summary.words.insert("question", figures::quantiles(questions));
        self.summary.words.insert("answer", figures::quantiles(answers));
        files.finish(&mut self.summary.files)
    }

    /// The attack of [`crate::membership`], with the training notes as what is published: those behind them against
    /// those of held-out articles, [`MOST_REPORTS`] of each at most, chosen by where their article falls in the split.
    fn membership(
        &self,
        sides: &BTreeMap<ArticleId, Split>,
        seed: u64,
        out_dir: &Path,
    ) -> Result<Option<Membership>, DatasetError> {
        let notes = |side| read_notes(&out_dir.join(file_name("notes", side)));
        let mut chosen: HashMap<ReportId, bool> = HashMap::new();
        for side in [Split::Train, Split::Validation] {
            let mut reports = Vec::new();
            for note in notes(side)? {
                let note = note?;
                debug_assert_eq!(sides.get(&note.article_id), Some(&side));
                reports.push((place(&note.article_id, seed).to_bits(), note.report_id));
            }
            reports.sort_unstable();
            reports.dedup();
            chosen.extend(reports.into_iter().take(MOST_REPORTS).map(|(_, report)| (report, side == Split::Train)));
        }
        let mut reports: Vec<(String, bool)> = Vec::with_capacity(chosen.len());
        for report in read_reports(&self.inputs.reports)? {
            let report = report?;
            if let Some(&member) = chosen.get(&report.report_id) {
                reports.push((report.report, member));
            }
        }
        let attack = Attack::new(reports.iter().map(|(report, member)| (report.as_str(), *member)));
        let mut scores = attack.scores();
        let overlaps = |note: Note| Ok::<_, DatasetError>(attack.overlaps(&note.note));
        in_order(
            notes(Split::Train)?,
            |note| note.note.len(),
            overlaps,
            |overlaps| {
                keep_greatest(&mut scores, &overlaps);
                Ok::<_, DatasetError>(())
            },
        )?;
        Ok(attack.outcome(&scores))
    }

    fn advance(&mut self) {
        self.done += 1;
        (self.progress)(self.done, self.total);
    }
}

fn named(scores: &Scores) -> Vec<(String, f32)> {
    scores.iter().map(|(gate, score)| (gate.name().to_owned(), *score)).collect()
}

fn count_words(text: &str) -> u32 {
    text.split_whitespace().count() as u32
}

/// Counts every judged row as out or pending, or names and counts it as dropped.
fn settle(rows: Vec<Row>, dropped: &mut DroppedWriter, counts: &mut Counts) -> Result<Vec<Fate>, DatasetError> {
    let mut fates = Vec::with_capacity(rows.len());
    for row in rows {
        counts.input += 1;
        match row.dropped {
            None if row.pending => {
                counts.pending += 1;
                fates.push(None);
            }
            None => {
                counts.out += 1;
                fates.push(Some((row.scores, row.judge)));
            }
            Some((reason, _, detail)) => {
                dropped.write(&Dropped::new(row.id, reason, detail), counts)?;
                fates.push(None);
            }
        }
    }
    Ok(fates)
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
    fn create(name: &'static str, directory: &Path, layout: Layout) -> Result<Self, DatasetError> {
        let writer = |side: Split| Writer::create_as(&directory.join(file_name(name, side)), layout);
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
