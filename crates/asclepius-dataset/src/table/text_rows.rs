//! Texts to train on or to measure, from the kinds of file that people have them in.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use csv::StringRecord;
use fs_err::File;
use serde_json::Value;

use super::reader::ParquetTexts;
use crate::DatasetError;

/// Endings of the files that [`read_texts`] reads.
pub const TEXT_FILES: [&str; 3] = ["parquet", "csv", "jsonl"];

/// Columns that name a row, best first, and what goes before their value.
pub(super) const NAMES: [(&str, &str); 2] = [("report_id", ""), ("patient_id", "patient-")];

/// A text to train on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextRow {
    /// What names the row in messages: its `report_id` or `patient_id`, or its number in the file.
    pub id: String,
    /// The text.
    pub text: String,
}

/// The texts of one column, in order; see [`read_texts`].
#[derive(Debug)]
pub struct TextRows {
    source: Source,
    total: usize,
    failed: bool,
}

#[derive(Debug)]
enum Source {
    Parquet(Box<ParquetTexts>),
    Csv(Box<CsvTexts>),
    JsonLines(JsonTexts),
}

/// Reads one text column of a Parquet file, of a CSV file with a header, or of JSON Lines (one object a line). Rows are
/// named by their `report_id` or `patient_id` where there is one.
///
/// # Errors
/// When the file cannot be read, is not what its ending says, or has no such column; a row without text is an error too,
/// which comes when the row is reached.
pub fn read_texts(path: &Path, column: &str) -> Result<TextRows, DatasetError> {
    let (source, total) = match path.extension().and_then(|ending| ending.to_str()) {
        Some("csv") => {
            let total = CsvTexts::open(path, column)?.count()?;
            (Source::Csv(Box::new(CsvTexts::open(path, column)?)), total)
        }
        Some("jsonl") => {
            let total = JsonTexts::open(path, column)?.count()?;
            (Source::JsonLines(JsonTexts::open(path, column)?), total)
        }
        _ => {
            let texts = ParquetTexts::open(path, column)?;
            let total = texts.total();
            (Source::Parquet(Box::new(texts)), total)
        }
    };
    Ok(TextRows { source, total, failed: false })
}

impl TextRows {
    /// Rows in the whole file.
    pub fn total(&self) -> usize {
        self.total
    }
}

impl Iterator for TextRows {
    type Item = Result<TextRow, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let row = match &mut self.source {
            Source::Parquet(texts) => texts.read(),
            Source::Csv(texts) => texts.read(),
            Source::JsonLines(texts) => texts.read(),
        };
        self.failed = row.is_err();
        row.transpose()
    }
}

/// What is wrong with a line of a file of text, counted from 1.
fn wrong(path: &Path, line: u64, problem: impl std::fmt::Display) -> DatasetError {
    DatasetError::Line { path: path.to_owned(), line, problem: problem.to_string() }
}

#[derive(Debug)]
struct CsvTexts {
    path: PathBuf,
    reader: csv::Reader<File>,
    record: StringRecord,
    text: usize,
    /// The column that names rows, and what goes before.
    name: Option<(usize, &'static str)>,
    before: usize,
}

impl CsvTexts {
    fn open(path: &Path, column: &str) -> Result<Self, DatasetError> {
        let mut reader = csv::Reader::from_reader(File::open(path)?);
        let header = reader.headers().map_err(|error| wrong(path, 1, error))?;
        let place = |wanted: &str| header.iter().position(|name| name.trim() == wanted);
        let missing = || DatasetError::MissingColumn { path: path.to_owned(), column: column.to_owned() };
        let text = place(column).ok_or_else(missing)?;
        let name = NAMES.iter().find_map(|(name, before)| Some((place(name)?, *before)));
        Ok(Self { path: path.to_owned(), reader, record: StringRecord::new(), text, name, before: 0 })
    }

    /// Moves to the next record.
    fn advance(&mut self) -> Result<bool, DatasetError> {
        let found = self.reader.read_record(&mut self.record);
        found.map_err(|error| {
            let line = error.position().map_or_else(|| self.reader.position().line(), csv::Position::line);
            wrong(&self.path, line, error)
        })
    }

    fn count(mut self) -> Result<usize, DatasetError> {
        let mut rows = 0;
        while self.advance()? {
            rows += 1;
        }
        Ok(rows)
    }

    fn read(&mut self) -> Result<Option<TextRow>, DatasetError> {
        if !self.advance()? {
            return Ok(None);
        }
        let cell = |place: usize| self.record.get(place).unwrap_or_default();
        let named = self.name.map(|(place, before)| (cell(place).trim(), before)).filter(|(name, _)| !name.is_empty());
        let id = named.map_or_else(|| format!("row-{}", self.before), |(name, before)| format!("{before}{name}"));
        self.before += 1;
        match cell(self.text) {
            text if text.trim().is_empty() => Err(DatasetError::NoText { path: self.path.clone(), id }),
            text => Ok(Some(TextRow { id, text: text.to_owned() })),
        }
    }
}

#[derive(Debug)]
struct JsonTexts {
    path: PathBuf,
    lines: BufReader<File>,
    line: String,
    column: String,
    /// Lines and rows so far.
    number: u64,
    before: usize,
}

impl JsonTexts {
    fn open(path: &Path, column: &str) -> Result<Self, DatasetError> {
        let lines = BufReader::new(File::open(path)?);
        let (path, column) = (path.to_owned(), column.to_owned());
        Ok(Self { path, lines, line: String::new(), column, number: 0, before: 0 })
    }

    /// Moves to the next line that holds something.
    fn advance(&mut self) -> Result<bool, DatasetError> {
        loop {
            self.line.clear();
            self.number += 1;
            match self.lines.read_line(&mut self.line) {
                Ok(0) => return Ok(false),
                Ok(_) if self.line.trim().is_empty() => {}
                Ok(_) => return Ok(true),
                Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                    return Err(wrong(&self.path, self.number, "not UTF-8"));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn count(mut self) -> Result<usize, DatasetError> {
        let mut rows = 0;
        while self.advance()? {
            if rows == 0 && self.object()?.get(&self.column).is_none() {
                return Err(DatasetError::MissingColumn { path: self.path, column: self.column });
            }
            rows += 1;
        }
        Ok(rows)
    }

    fn object(&self) -> Result<Value, DatasetError> {
        let object: Value = serde_json::from_str(&self.line).map_err(|error| wrong(&self.path, self.number, error))?;
        if object.is_object() { Ok(object) } else { Err(wrong(&self.path, self.number, "not a JSON object")) }
    }

    fn read(&mut self) -> Result<Option<TextRow>, DatasetError> {
        if !self.advance()? {
            return Ok(None);
        }
        let object = self.object()?;
        let name = NAMES.iter().find_map(|(name, before)| match object.get(name)? {
            Value::String(name) => Some(format!("{before}{name}")),
            Value::Number(number) => Some(format!("{before}{number}")),
            _ => None,
        });
        let id = name.unwrap_or_else(|| format!("row-{}", self.before));
        self.before += 1;
        match object.get(&self.column) {
            Some(Value::String(text)) if !text.trim().is_empty() => Ok(Some(TextRow { id, text: text.clone() })),
            None | Some(Value::Null | Value::String(_)) => Err(DatasetError::NoText { path: self.path.clone(), id }),
            Some(_) => Err(wrong(&self.path, self.number, format_args!("{:?} is not text", self.column))),
        }
    }
}
