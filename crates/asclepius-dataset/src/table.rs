//! Records on disk: one Parquet file of reports, notes or instructions, written and read as a stream.
//!
//! [`column`] says how a field becomes an Arrow column and comes back, [`records`] lists the columns of each record
//! type, [`writer`] and [`reader`] move whole files; [`for_each_text`] and [`read_texts`] read anybody's;
//! [`hub_features`] declares the columns as a card does.

mod column;
mod features;
mod reader;
mod records;
mod text_rows;
mod texts;
mod writer;

use std::path::Path;

use asclepius_schema::{CallRecord, Instruction, Note, Report};

pub use column::Column;
pub use features::hub_features;
pub use reader::Rows;
pub use records::{Layout, Record, score_names};
pub use text_rows::{TEXT_FILES, TextRow, TextRows, read_texts};
pub use texts::for_each_text;
pub use writer::Writer;

use crate::DatasetError;

/// Writes reports.
pub type ReportWriter = Writer<Report>;
/// Writes notes.
pub type NoteWriter = Writer<Note>;
/// Writes instructions.
pub type InstructionWriter = Writer<Instruction>;

/// Writes calls.
pub type CallWriter = Writer<CallRecord>;

/// Reads what [`ReportWriter`] wrote, in order.
///
/// # Errors
/// When the file cannot be read, is no Parquet file or lacks a column.
pub fn read_reports(path: &Path) -> Result<Rows<Report>, DatasetError> {
    Rows::open(path)
}

/// Reads what [`NoteWriter`] wrote, in order.
///
/// # Errors
/// When the file cannot be read, is no Parquet file or lacks a column.
pub fn read_notes(path: &Path) -> Result<Rows<Note>, DatasetError> {
    Rows::open(path)
}

/// Reads what [`InstructionWriter`] wrote, in order.
///
/// # Errors
/// When the file cannot be read, is no Parquet file or lacks a column.
pub fn read_instructions(path: &Path) -> Result<Rows<Instruction>, DatasetError> {
    Rows::open(path)
}

/// Reads what [`CallWriter`] wrote, in order.
///
/// # Errors
/// When the file cannot be read, is no Parquet file or lacks a column.
pub fn read_calls(path: &Path) -> Result<Rows<CallRecord>, DatasetError> {
    Rows::open(path)
}

/// Reads instructions from any file that has the published dataset's five columns `patient_id, note, question,
/// answer, task`; lineage that is missing is filled in: the article and report are named after `patient_id`, the
/// licence is the published dataset's CC BY-NC-SA, and everything else is empty.
///
/// # Errors
/// When the file cannot be read, is no Parquet file or lacks one of the five columns.
pub fn read_instructions_any(path: &Path) -> Result<Rows<Instruction>, DatasetError> {
    Rows::open_lenient(path)
}

/// Writes all `rows` to `path` and returns how many there were.
///
/// # Errors
/// When a row is an error or the file cannot be written; nothing is left at `path` then.
pub fn write_rows<R: Record, E: From<DatasetError>>(
    path: &Path,
    rows: impl IntoIterator<Item = Result<R, E>>,
) -> Result<u64, E> {
    let mut writer = Writer::create(path)?;
    for row in rows {
        writer.write(&row?)?;
    }
    Ok(writer.finish()?)
}
