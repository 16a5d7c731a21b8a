//! Reading a file: rows come one by one, row groups are decoded as they are reached.

use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use arrow::array::{Array, ArrayRef};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use asclepius_schema::SCHEMA_VERSION;
use fs_err::File;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;

use super::column::Cell;
use super::records::{Layout, Record};
use super::text_rows::{NAMES, TextRow};
use super::writer::SCHEMA_VERSION_KEY;
use crate::DatasetError;

/// Rows decoded at a time.
const BATCH_ROWS: usize = 512;

/// One row's cells, by column name.
#[derive(Debug)]
pub struct Cells<'a> {
    table: &'a Table,
    batch: &'a [(String, ArrayRef)],
    row: usize,
}

impl Cells<'_> {
    /// The row's number in the file, from 0.
    pub(super) fn row(&self) -> usize {
        self.table.before + self.row
    }

    fn has(&self, column: &str) -> bool {
        self.array(column).is_some()
    }

    /// A cell that must hold something.
    pub(super) fn get<T: Cell>(&self, column: &'static str) -> Result<T, DatasetError> {
        self.optional(column)?.ok_or_else(|| self.problem(column, "is empty".to_owned()))
    }

    /// A cell that may be null, of a column that must be there.
    pub(super) fn optional<T: Cell>(&self, column: &'static str) -> Result<Option<T>, DatasetError> {
        let array = self.array(column).ok_or_else(|| self.table.missing(column))?;
        Ok(T::read(array, self.row))
    }

    /// A cell that may be null, of a column that foreign files lack.
    pub(super) fn optional_or_absent<T: Cell>(&self, column: &'static str) -> Result<Option<T>, DatasetError> {
        if self.table.lenient && !self.has(column) { Ok(None) } else { self.optional(column) }
    }

    /// As [`Cells::get`], or what `default` gives where a foreign file has nothing.
    pub(super) fn get_or<T: Cell>(&self, column: &'static str, default: impl FnOnce() -> T) -> Result<T, DatasetError> {
        if !self.table.lenient {
            return self.get(column);
        }
        Ok(self.optional_or_absent(column)?.unwrap_or_else(default))
    }

    pub(super) fn get_or_default<T: Cell + Default>(&self, column: &'static str) -> Result<T, DatasetError> {
        self.get_or(column, T::default)
    }

    /// As [`Cells::get`], or nothing where a file of an earlier version lacks the column.
    pub(super) fn later<T: Cell + Default>(&self, column: &'static str) -> Result<T, DatasetError> {
        if self.has(column) { self.get(column) } else { Ok(T::default()) }
    }

    /// A cell that may be null, of a column that only files of one layout have.
    pub(super) fn beside<T: Cell>(&self, column: &'static str) -> Result<Option<T>, DatasetError> {
        if self.has(column) { self.optional(column) } else { Ok(None) }
    }

    /// A cell that holds one of a closed set of words.
    pub(super) fn word<T>(
        &self,
        column: &'static str,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, DatasetError> {
        let text: String = self.get(column)?;
        parse(&text).ok_or_else(|| self.problem(column, format!("holds {text:?}, expected {expected}")))
    }

    fn array(&self, column: &str) -> Option<&dyn Array> {
        self.batch.iter().find(|(name, _)| name == column).map(|(_, array)| array.as_ref())
    }

    fn problem(&self, column: &'static str, problem: String) -> DatasetError {
        DatasetError::Cell { path: self.table.path.clone(), row: self.row(), column, problem }
    }
}

/// A file being read, batch by batch, with every column in the type this version writes it in.
struct Table {
    path: PathBuf,
    /// Name and wanted type of the columns that are read.
    wanted: Vec<(String, Wanted)>,
    reader: ParquetRecordBatchReader,
    batch: Vec<(String, ArrayRef)>,
    batch_rows: usize,
    /// Rows in earlier batches.
    before: usize,
    rows: usize,
    lenient: bool,
}

/// The type a column is read as. Structs are taken as they lie: their fields are looked up by name.
#[derive(Clone)]
enum Wanted {
    As(DataType),
    AsIs,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Table").field("path", &self.path).field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl Table {
    /// Opens `path` for the `wanted` columns; those in `must` have to be there.
    fn open(path: &Path, wanted: Vec<(String, Wanted)>, must: &[&str], lenient: bool) -> Result<Self, DatasetError> {
        let damaged = |source| DatasetError::parquet(path, source);
        let file = File::open(path)?.into_parts().0;
        // Arrow's schema blob, where a file has one, may ask for types that only its writer knows.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let builder =
            guarded(path, || ParquetRecordBatchReaderBuilder::try_new_with_options(file, options))?.map_err(damaged)?;
        let metadata = builder.metadata().file_metadata();
        let version = metadata
            .key_value_metadata()
            .and_then(|pairs| pairs.iter().find(|pair| pair.key == SCHEMA_VERSION_KEY))
            .and_then(|pair| pair.value.as_deref()?.parse::<u32>().ok());
        if let Some(found) = version.filter(|&version| version > SCHEMA_VERSION) {
            return Err(DatasetError::Newer { path: path.to_owned(), found, known: SCHEMA_VERSION });
        }
        let rows = usize::try_from(metadata.num_rows()).unwrap_or_default();
        let fields = builder.schema().fields().clone();
        if let Some(column) = must.iter().find(|name| fields.find(name).is_none()) {
            return Err(missing(path, column));
        }
        let roots: Vec<usize> =
            (0..fields.len()).filter(|&index| wanted.iter().any(|(name, _)| name == fields[index].name())).collect();
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
        let reader =
            guarded(path, || builder.with_projection(mask).with_batch_size(BATCH_ROWS).build())?.map_err(damaged)?;
        Ok(Self { path: path.to_owned(), wanted, reader, batch: Vec::new(), batch_rows: 0, before: 0, rows, lenient })
    }

    /// Decodes the next batch; `false` at the end.
    fn advance(&mut self) -> Result<bool, DatasetError> {
        self.before += self.batch_rows;
        self.batch_rows = 0;
        let Some(batch) = guarded(&self.path, || self.reader.next())? else { return Ok(false) };
        let batch = batch.map_err(|source| DatasetError::parquet(&self.path, source.into()))?;
        self.batch = self.typed(&batch)?;
        self.batch_rows = batch.num_rows();
        Ok(true)
    }

    fn typed(&self, batch: &RecordBatch) -> Result<Vec<(String, ArrayRef)>, DatasetError> {
        let mut typed = Vec::with_capacity(batch.num_columns());
        for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
            let wanted = self.wanted.iter().find(|(name, _)| name == field.name());
            let array = match wanted {
                Some((_, Wanted::As(wanted))) if wanted != array.data_type() => {
                    let strict = CastOptions { safe: false, ..CastOptions::default() };
                    cast_with_options(array, wanted, &strict).map_err(|_| DatasetError::ColumnType {
                        path: self.path.clone(),
                        column: field.name().clone(),
                        found: array.data_type().to_string(),
                        expected: wanted.to_string(),
                    })?
                }
                _ => array.clone(),
            };
            typed.push((field.name().clone(), array));
        }
        Ok(typed)
    }

    fn missing(&self, column: &str) -> DatasetError {
        missing(&self.path, column)
    }
}

/// The decoder checks much but not all of what it reads, and panics on some damage: to the caller that is a damaged
/// file like any other, and the reader is not used again.
pub(super) fn guarded<T>(path: &Path, decode: impl FnOnce() -> T) -> Result<T, DatasetError> {
    catch_unwind(AssertUnwindSafe(decode)).map_err(|panic| {
        let words = panic.downcast_ref::<String>().map(String::as_str);
        let words = words.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no further detail");
        DatasetError::parquet(path, ParquetError::General(format!("cannot be decoded: {words}")))
    })
}

fn missing(path: &Path, column: &str) -> DatasetError {
    DatasetError::MissingColumn { path: path.to_owned(), column: column.to_owned() }
}

/// The records of one file, in order.
#[derive(Debug)]
pub struct Rows<R: Record> {
    table: Table,
    next: usize,
    failed: bool,
    record: PhantomData<R>,
}

impl<R: Record> Rows<R> {
    /// Opens a file of ours: every column must be there, but for those that earlier versions did not write.
    pub(super) fn open(path: &Path) -> Result<Self, DatasetError> {
        let columns = R::columns();
        let must: Vec<&str> =
            columns.iter().map(|column| column.name).filter(|name| !R::LATER.contains(name)).collect();
        Self::with(path, &must, false)
    }

    /// Opens a file of anyone's: only [`Record::LEAST`] must be there.
    pub(super) fn open_lenient(path: &Path) -> Result<Self, DatasetError> {
        Self::with(path, R::LEAST, true)
    }

    fn with(path: &Path, must: &[&str], lenient: bool) -> Result<Self, DatasetError> {
        let wanted = R::layout(Layout::Judged)
            .iter()
            .map(|column| {
                let field = column.field(Layout::Judged);
                let wanted = match field.data_type() {
                    DataType::Struct(_) | DataType::List(_) => Wanted::AsIs,
                    other => Wanted::As(other.clone()),
                };
                (column.name.to_owned(), wanted)
            })
            .collect();
        let table = Table::open(path, wanted, must, lenient)?;
        Ok(Self { table, next: 0, failed: false, record: PhantomData })
    }

    /// Rows in the whole file.
    pub fn total(&self) -> usize {
        self.table.rows
    }
}

impl<R: Record> Iterator for Rows<R> {
    type Item = Result<R, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let row = step(&mut self.table, &mut self.next).and_then(|row| {
            row.map(|row| R::read(&Cells { table: &self.table, batch: &self.table.batch, row })).transpose()
        });
        self.failed = row.is_err();
        row.transpose()
    }
}

/// The index of the next row inside the current batch, decoding another when it is used up.
fn step(table: &mut Table, next: &mut usize) -> Result<Option<usize>, DatasetError> {
    while *next == table.batch_rows {
        *next = 0;
        if !table.advance()? {
            return Ok(None);
        }
    }
    *next += 1;
    Ok(Some(*next - 1))
}

/// The texts of one column of a Parquet file, in order.
#[derive(Debug)]
pub(super) struct ParquetTexts {
    table: Table,
    column: String,
    next: usize,
}

impl ParquetTexts {
    /// # Errors
    /// When the file cannot be read, is no Parquet file, or has no such column.
    pub(super) fn open(path: &Path, column: &str) -> Result<Self, DatasetError> {
        let names = NAMES.map(|(name, _)| name);
        let wanted = [column].into_iter().chain(names).map(|name| (name.to_owned(), Wanted::As(DataType::Utf8)));
        let table = Table::open(path, wanted.collect(), &[column], true)?;
        Ok(Self { table, column: column.to_owned(), next: 0 })
    }

    /// Rows in the whole file.
    pub(super) fn total(&self) -> usize {
        self.table.rows
    }

    pub(super) fn read(&mut self) -> Result<Option<TextRow>, DatasetError> {
        let Some(row) = step(&mut self.table, &mut self.next)? else { return Ok(None) };
        let cells = Cells { table: &self.table, batch: &self.table.batch, row };
        let mut name = None;
        for (column, before) in NAMES {
            name = name.or(cells.optional_or_absent::<String>(column)?.map(|name| format!("{before}{name}")));
        }
        let id = name.unwrap_or_else(|| format!("row-{}", cells.row()));
        let text = cells.array(&self.column).and_then(|array| String::read(array, row));
        let text = text.filter(|text| !text.trim().is_empty());
        let text = text.ok_or_else(|| DatasetError::NoText { path: self.table.path.clone(), id: id.clone() })?;
        Ok(Some(TextRow { id, text }))
    }
}
