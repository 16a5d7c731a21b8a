//! TensorBoard's view of the metrics: an event file with every number of `metrics.jsonl` as a scalar.
//!
//! The file is a function of the metrics' rows and of the moment the run began, so resuming makes it anew from the rows
//! that are kept and no step appears twice. Formats: TFRecord framing (tensorflow/core/lib/io/record_writer.h) around
//! protocol buffers (tensorflow/core/util/event.proto, tensorflow/core/framework/summary.proto).

use std::io::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use asclepius_schema::write_atomically;
use crc::{CRC_32_ISCSI, Crc};
use fs_err::{File, OpenOptions};
use prost::Message;

use crate::TrainError;
use crate::metrics::MetricsRow;

/// The file's name in the stage's directory; TensorBoard looks for `tfevents`.
pub const EVENTS_FILE: &str = "events.out.tfevents.asclepius";

/// What the format's first record has to say.
const FILE_VERSION: &str = "brain.Event:2";

static CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    values: Vec<Scalar>,
}

#[derive(Clone, PartialEq, Message)]
struct Scalar {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// Seconds since 1970, for [`EventLog::open`].
pub fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// The event file of a run under way.
#[derive(Debug)]
pub struct EventLog {
    file: File,
    /// Seconds since 1970 at the last row.
    clock: f64,
}

impl EventLog {
    /// Writes the file anew with the rows there are, so timed that the last of them ends `now`, in seconds since 1970.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn open(directory: &Path, rows: &[MetricsRow], now: f64) -> Result<Self, TrainError> {
        let path = directory.join(EVENTS_FILE);
        let mut clock = now - rows.iter().map(seconds).sum::<f64>();
        let first = Event { wall_time: clock, file_version: Some(FILE_VERSION.to_owned()), ..Event::default() };
        let mut bytes = record(&first.encode_to_vec());
        for row in rows {
            clock += seconds(row);
            bytes.extend(record(&event(row, clock).encode_to_vec()));
        }
        write_atomically(&path, &bytes)?;
        Ok(Self { file: OpenOptions::new().append(true).open(&path)?, clock })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn append(&mut self, row: &MetricsRow) -> Result<(), TrainError> {
        self.clock += seconds(row);
        // One write a record: a reader that follows the file sees whole ones.
        Ok(self.file.write_all(&record(&event(row, self.clock).encode_to_vec()))?)
    }
}

fn seconds(row: &MetricsRow) -> f64 {
    match row {
        MetricsRow::Step(row) => row.seconds,
        MetricsRow::Evaluation(row) => row.eval_seconds,
    }
}

fn event(row: &MetricsRow, wall_time: f64) -> Event {
    let scalars: Vec<(&str, f64)> = match row {
        MetricsRow::Step(row) => vec![
            ("train/epoch", row.epoch),
            ("train/fill", row.fill),
            ("train/grad_norm", row.grad_norm),
            ("train/learning_rate", row.learning_rate),
            ("train/loss", row.loss),
            ("train/supervised_tokens", row.supervised_tokens as f64),
            ("train/tokens", row.tokens as f64),
            ("train/tokens_per_second", row.tokens_per_second),
        ],
        MetricsRow::Evaluation(row) => vec![("eval/loss", row.eval_loss), ("eval/seconds", row.eval_seconds)],
    };
    let values = scalars
        .into_iter()
        .map(|(tag, value)| Scalar { tag: tag.to_owned(), simple_value: Some(value as f32) })
        .collect();
    Event { wall_time, step: row.step() as i64, summary: Some(Summary { values }), ..Event::default() }
}

/// `length: u64, masked CRC of the length: u32, data, masked CRC of the data: u32`, little-endian.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(data.len() + 16);
    record.extend(length);
    record.extend(masked_crc(&length).to_le_bytes());
    record.extend(data);
    record.extend(masked_crc(data).to_le_bytes());
    record
}

/// CRC-32C, rotated and shifted so that a CRC of data which holds CRCs is no weaker (tensorflow/core/lib/hash/crc32c.h).
fn masked_crc(data: &[u8]) -> u32 {
    CRC32C.checksum(data).rotate_right(15).wrapping_add(0xa282_ead8)
}
