//! One field of a record as an Arrow column. Every column is nullable, as in files written by pandas, so that our
//! files and the published dataset's can be concatenated.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Float32Array, Float64Array, Int32Array, Int64Array, ListArray, StringArray,
    StructArray, UInt32Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use asclepius_schema::Span;

use super::{Layout, score_names};

/// How a field is read off a record; this decides the column's type.
#[derive(Debug)]
pub(super) enum Get<R> {
    Int64(fn(&R) -> i64),
    Int32(fn(&R) -> Option<i32>),
    Float32(fn(&R) -> Option<f32>),
    Float64(fn(&R) -> Option<f64>),
    Boolean(fn(&R) -> bool),
    Text(fn(&R) -> Option<&str>),
    Texts(fn(&R) -> &[String]),
    /// A struct of float32, one field a gate; a gate that was not measured is null.
    Scores(fn(&R) -> &[(String, f32)]),
    Spans(fn(&R) -> &[Span]),
}

/// One column of a record's file.
#[derive(Debug)]
pub struct Column<R> {
    pub(super) name: &'static str,
    pub(super) get: Get<R>,
}

impl<R> Column<R> {
    /// The column's Arrow field in a file of this layout.
    pub(super) fn field(&self, layout: Layout) -> Field {
        Field::new(self.name, data_type(&self.get, layout), true)
    }

    /// The column's values for `rows`.
    pub(super) fn array(&self, rows: &[R], layout: Layout) -> ArrayRef {
        match self.get {
            Get::Int64(get) => Arc::new(Int64Array::from_iter_values(rows.iter().map(get))),
            Get::Int32(get) => Arc::new(rows.iter().map(get).collect::<Int32Array>()),
            Get::Float32(get) => Arc::new(rows.iter().map(get).collect::<Float32Array>()),
            Get::Float64(get) => Arc::new(rows.iter().map(get).collect::<Float64Array>()),
            Get::Boolean(get) => Arc::new(rows.iter().map(get).map(Some).collect::<BooleanArray>()),
            Get::Text(get) => Arc::new(rows.iter().map(get).collect::<StringArray>()),
            Get::Texts(get) => {
                let values = StringArray::from_iter_values(rows.iter().flat_map(get));
                let offsets = OffsetBuffer::from_lengths(rows.iter().map(|row| get(row).len()));
                Arc::new(ListArray::new(text_item(), offsets, Arc::new(values), None))
            }
            Get::Scores(get) => {
                let column = |name: &&str| -> ArrayRef {
                    let score = |row: &R| get(row).iter().find(|(gate, _)| gate == name).map(|&(_, score)| score);
                    Arc::new(rows.iter().map(score).collect::<Float32Array>())
                };
                Arc::new(StructArray::new(score_fields(layout), score_names(layout).iter().map(column).collect(), None))
            }
            Get::Spans(get) => {
                let spans = || rows.iter().flat_map(get);
                let starts: ArrayRef = Arc::new(UInt32Array::from_iter_values(spans().map(|span| span.start)));
                let ends: ArrayRef = Arc::new(UInt32Array::from_iter_values(spans().map(|span| span.end)));
                let values = StructArray::new(span_fields(), vec![starts, ends], None);
                let offsets = OffsetBuffer::from_lengths(rows.iter().map(|row| get(row).len()));
                Arc::new(ListArray::new(span_item(), offsets, Arc::new(values), None))
            }
        }
    }
}

fn data_type<R>(get: &Get<R>, layout: Layout) -> DataType {
    match get {
        Get::Int64(_) => DataType::Int64,
        Get::Int32(_) => DataType::Int32,
        Get::Float32(_) => DataType::Float32,
        Get::Float64(_) => DataType::Float64,
        Get::Boolean(_) => DataType::Boolean,
        Get::Text(_) => DataType::Utf8,
        Get::Texts(_) => DataType::List(text_item()),
        Get::Scores(_) => DataType::Struct(score_fields(layout)),
        Get::Spans(_) => DataType::List(span_item()),
    }
}

fn text_item() -> FieldRef {
    // `element` is the name the Parquet specification asks for.
    Arc::new(Field::new("element", DataType::Utf8, true))
}

fn score_fields(layout: Layout) -> Fields {
    score_names(layout).into_iter().map(|name| Field::new(name, DataType::Float32, true)).collect()
}

fn span_fields() -> Fields {
    ["start", "end"].into_iter().map(|name| Field::new(name, DataType::UInt32, true)).collect()
}

fn span_item() -> FieldRef {
    Arc::new(Field::new("element", DataType::Struct(span_fields()), true))
}

/// A value read back: `None` where the cell is null or of another type (types are checked when a file is opened).
pub(super) trait Cell: Sized {
    fn read(array: &dyn Array, row: usize) -> Option<Self>;
}

macro_rules! primitive_cell {
    ($($value:ty => $array:ty),*) => {
        $(impl Cell for $value {
            fn read(array: &dyn Array, row: usize) -> Option<Self> {
                let array = array.as_any().downcast_ref::<$array>()?;
                array.is_valid(row).then(|| array.value(row).into())
            }
        })*
    };
}

primitive_cell!(i64 => Int64Array, i32 => Int32Array, f32 => Float32Array, f64 => Float64Array, bool => BooleanArray, u32 => UInt32Array,
    String => StringArray);

fn list<T>(array: &dyn Array, row: usize, item: impl Fn(&dyn Array, usize) -> Option<T>) -> Option<Vec<T>> {
    let array = array.as_any().downcast_ref::<ListArray>()?;
    if array.is_null(row) {
        return None;
    }
    let values = array.value(row);
    (0..values.len()).map(|index| item(&values, index)).collect()
}

impl Cell for Vec<String> {
    fn read(array: &dyn Array, row: usize) -> Option<Self> {
        list(array, row, String::read)
    }
}

impl Cell for Vec<Span> {
    fn read(array: &dyn Array, row: usize) -> Option<Self> {
        list(array, row, |values, index| {
            let spans = values.as_any().downcast_ref::<StructArray>()?;
            let part = |name| u32::read(spans.column_by_name(name)?, index);
            Some(Span { start: part("start")?, end: part("end")? })
        })
    }
}

impl Cell for Vec<(String, f32)> {
    /// Whatever gates the file measured, sorted by name.
    fn read(array: &dyn Array, row: usize) -> Option<Self> {
        let scores = array.as_any().downcast_ref::<StructArray>()?;
        if scores.is_null(row) {
            return None;
        }
        let score = |(field, column): (&FieldRef, &ArrayRef)| Some((field.name().clone(), f32::read(column, row)?));
        let mut scores: Self = scores.fields().iter().zip(scores.columns()).filter_map(score).collect();
        scores.sort_by(|left, right| left.0.cmp(&right.0));
        Some(scores)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lists_come_back_row_by_row(rows in prop::collection::vec(prop::collection::vec(".{0,8}", 0..4), 0..9)) {
            let column = Column::<Vec<String>> { name: "words", get: Get::Texts(|row| row) };
            let array = column.array(&rows, Layout::Plain);
            let back: Vec<_> = (0..rows.len()).filter_map(|row| Vec::<String>::read(&array, row)).collect();
            prop_assert_eq!(back, rows);
        }
    }
}
