//! Writing a file: rows in, one Parquet file out, under a temporary name until it is whole.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use asclepius_schema::SCHEMA_VERSION;
use fs_err::File;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use super::column::Column;
use super::records::{Layout, Record};
use crate::DatasetError;

/// The key of the schema version in the file's metadata.
pub(super) const SCHEMA_VERSION_KEY: &str = "schema_version";

/// Rows turned into columns at a time.
const BATCH_ROWS: usize = 512;
/// A row group ends at so many rows or bytes, so that readers stream in bounded memory.
const ROW_GROUP_ROWS: usize = 16_384;
const ROW_GROUP_BYTES: usize = 64 << 20;

/// Writes records to one Parquet file. The same rows give the same bytes, whatever the path, machine or hour.
///
/// Rows go to a hidden file beside `path`; [`Writer::finish`] makes it durable and gives it its name. A writer that
/// is dropped before leaves nothing behind.
#[derive(Debug)]
pub struct Writer<R: Record> {
    path: PathBuf,
    partial: PathBuf,
    layout: Layout,
    columns: Vec<Column<R>>,
    schema: SchemaRef,
    waiting: Vec<R>,
    rows: u64,
    file: Option<ArrowWriter<File>>,
}

impl<R: Record> Writer<R> {
    /// Starts the file that will be `path`, of plain columns.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn create(path: &Path) -> Result<Self, DatasetError> {
        Self::create_as(path, Layout::Plain)
    }

    /// Starts the file that will be `path`.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn create_as(path: &Path, layout: Layout) -> Result<Self, DatasetError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let partial = path.with_file_name(format!(".{name}.partial"));
        let columns = R::layout(layout);
        let fields: Vec<_> = columns.iter().map(|column| column.field(layout)).collect();
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        let options = ArrowWriterOptions::new()
            .with_properties(properties())
            // Arrow's own schema blob says nothing that Parquet's types do not say already.
            .with_skip_arrow_metadata(true);
        let file = ArrowWriter::try_new_with_options(File::create(&partial)?, Arc::clone(&schema), options)
            .map_err(|source| DatasetError::parquet(path, source))?;
        let (path, waiting) = (path.to_owned(), Vec::new());
        Ok(Self { path, partial, layout, columns, schema, waiting, rows: 0, file: Some(file) })
    }

    /// Appends a row.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&mut self, row: &R) -> Result<(), DatasetError> {
        self.waiting.push(row.clone());
        self.rows += 1;
        if self.waiting.len() == BATCH_ROWS { self.flush() } else { Ok(()) }
    }

    /// Completes the file, gives it its name and returns the number of rows.
    ///
    /// # Errors
    /// When the file cannot be written or renamed.
    pub fn finish(mut self) -> Result<u64, DatasetError> {
        self.flush()?;
        let file = self.file.take().expect("taken only here, and finish consumes the writer");
        let file = file.into_inner().map_err(|source| DatasetError::parquet(&self.path, source))?;
        file.sync_all()?;
        fs_err::rename(&self.partial, &self.path)?;
        Ok(self.rows)
    }

    fn flush(&mut self) -> Result<(), DatasetError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let arrays = self.columns.iter().map(|column| column.array(&self.waiting, self.layout)).collect();
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), arrays)
            .map_err(|source| DatasetError::parquet(&self.path, source.into()))?;
        self.waiting.clear();
        let file = self.file.as_mut().expect("taken only by finish, which consumes the writer");
        file.write(&batch).map_err(|source| DatasetError::parquet(&self.path, source))
    }
}

impl<R: Record> Drop for Writer<R> {
    fn drop(&mut self) {
        // After `finish` the name is gone and this does nothing; a leftover would only be overwritten next time.
        if self.partial.exists() {
            let _ = fs_err::remove_file(&self.partial);
        }
    }
}

fn properties() -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
        .set_created_by("asclepius".to_owned())
        .set_key_value_metadata(Some(vec![KeyValue::new(SCHEMA_VERSION_KEY.to_owned(), SCHEMA_VERSION.to_string())]))
        .build()
}
