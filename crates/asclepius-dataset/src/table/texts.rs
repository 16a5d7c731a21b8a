//! Every text of any Parquet file, nested ones included, whatever its columns are called.

use std::path::Path;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use fs_err::File;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::reader::guarded;
use crate::DatasetError;

/// Gives `on` every text of the file, in no order that a caller may rely on.
///
/// # Errors
/// When the file cannot be read or is no Parquet file.
pub fn for_each_text(path: &Path, on: &mut dyn FnMut(&str)) -> Result<(), DatasetError> {
    let damaged = |source| DatasetError::parquet(path, source);
    let file = File::open(path)?.into_parts().0;
    let builder = guarded(path, || ParquetRecordBatchReaderBuilder::try_new(file))?.map_err(damaged)?;
    let mut reader = guarded(path, || builder.with_batch_size(512).build())?.map_err(damaged)?;
    while let Some(batch) = guarded(path, || reader.next())? {
        let batch = batch.map_err(|source| damaged(source.into()))?;
        for column in batch.columns() {
            texts(column.as_ref(), on).map_err(|source| damaged(source.into()))?;
        }
    }
    Ok(())
}

fn texts(array: &dyn Array, on: &mut dyn FnMut(&str)) -> Result<(), arrow::error::ArrowError> {
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().iter().flatten().for_each(on),
        DataType::LargeUtf8 | DataType::Utf8View => texts(&cast(array, &DataType::Utf8)?, on)?,
        DataType::Dictionary(_, values) => texts(&cast(array, values)?, on)?,
        DataType::List(_) => texts(array.as_list::<i32>().values(), on)?,
        DataType::LargeList(_) => texts(array.as_list::<i64>().values(), on)?,
        DataType::FixedSizeList(..) => texts(array.as_fixed_size_list().values(), on)?,
        DataType::Struct(_) => {
            for column in array.as_struct().columns() {
                texts(column.as_ref(), on)?;
            }
        }
        DataType::Map(..) => {
            for column in array.as_map().entries().columns() {
                texts(column.as_ref(), on)?;
            }
        }
        // Numbers, dates and bytes hold no words.
        _ => {}
    }
    Ok(())
}
