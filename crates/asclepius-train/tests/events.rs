//! TensorBoard's event file, by a reader that shares nothing with the writer.

mod support;

use std::path::Path;

use asclepius_train::{EVENTS_FILE, METRICS_FILE, MetricsRow, TrainConfig, Unattended, read_metrics};
use support::{StopAfter, config, train};

/// CRC-32C a bit at a time, masked as the format asks.
fn masked(data: &[u8]) -> u32 {
    let mut crc = !0_u32;
    for &byte in data {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
        }
    }
    (!crc).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// The frames' contents; every length and checksum must be right.
fn frames(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        let length = number(0) as usize;
        assert_eq!((number(4), number(8)), (0, masked(&bytes[..8])));
        assert_eq!(number(12 + length), masked(&bytes[12..12 + length]));
        frames.push(&bytes[12..12 + length]);
        bytes = &bytes[16 + length..];
    }
    frames
}

/// A protocol buffer's fields: number, and payload (of a varint, its value as eight bytes).
fn fields(mut bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = bytes[0];
            *bytes = &bytes[1..];
            value |= u64::from(byte & 127) << shift;
            if byte < 128 {
                break;
            }
        }
        value
    }
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let length = match key & 7 {
            0 => {
                found.push((key >> 3, varint(&mut bytes).to_le_bytes().to_vec()));
                continue;
            }
            1 => 8,
            2 => varint(&mut bytes) as usize,
            5 => 4,
            other => panic!("wire type {other}"),
        };
        found.push((key >> 3, bytes[..length].to_vec()));
        bytes = &bytes[length..];
    }
    found
}

/// Step, tag and value of every scalar.
fn scalars(directory: &Path) -> Vec<(u64, String, f32)> {
    let bytes = fs_err::read(directory.join(EVENTS_FILE)).expect("written");
    let mut found = Vec::new();
    let frames = frames(&bytes);
    assert!(fields(frames[0]).iter().any(|(field, text)| *field == 3 && text == b"brain.Event:2"));
    for frame in &frames[1..] {
        let event = fields(frame);
        let payload = |number| event.iter().find(|(field, _)| *field == number).map(|(_, payload)| payload);
        // A step of 0 is the default, which the format leaves out.
        let step = payload(2).map_or(0, |step| u64::from_le_bytes(step[..].try_into().expect("a varint")));
        for (_, value) in fields(payload(5).expect("a summary")) {
            let value = fields(&value);
            let number = f32::from_le_bytes(value[1].1[..].try_into().expect("a float"));
            found.push((step, String::from_utf8(value[0].1.clone()).expect("a tag"), number));
        }
    }
    found
}

#[test]
fn every_row_is_there_once_with_its_numbers_also_after_a_break() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = TrainConfig { tensorboard: true, save_every: 2, ..config() };
    train(&config, directory.path(), &StopAfter::questions(10)).expect("stops in order");
    let path = directory.path().join(EVENTS_FILE);
    // A kill leaves half a record, and steps after the checkpoint.
    let mut bytes = fs_err::read(&path).expect("written");
    bytes.truncate(bytes.len() - 3);
    fs_err::write(&path, bytes).expect("writable");
    train(&config, directory.path(), &Unattended).expect("goes on");

    let expected: Vec<(u64, f32)> = read_metrics(&directory.path().join(METRICS_FILE))
        .expect("written")
        .iter()
        .map(|row| match row {
            MetricsRow::Step(row) => (row.step, row.loss as f32),
            MetricsRow::Evaluation(row) => (row.step, row.eval_loss as f32),
        })
        .collect();
    let scalars = scalars(directory.path());
    let losses: Vec<(u64, f32)> = scalars
        .iter()
        .filter(|(_, tag, _)| tag == "train/loss" || tag == "eval/loss")
        .map(|(step, _, value)| (*step, *value))
        .collect();
    assert_eq!(losses, expected);
    let rates = scalars.iter().filter(|(_, tag, _)| tag == "train/learning_rate").count();
    assert_eq!(rates, 10);
}
