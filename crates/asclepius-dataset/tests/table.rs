//! Files as others meet them: what is written comes back, byte for byte the same each time, and damage is told.

mod rows;

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::record_batch::RecordBatch;
use asclepius_dataset::table::{Layout, Record, Writer, score_names};
use asclepius_dataset::{
    DatasetError, Rows, read_instructions, read_instructions_any, read_notes, read_reports, read_texts, write_rows,
};
use asclepius_schema::{Age, AgeUnit, Instruction, JudgeCall, Licence, Note, Report, Sex, Span, Split, Task};
use parquet::arrow::ArrowWriter;
use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["\\PC{0,40}", "[a-zà-ÿ°µ≥\n]{0,80}", Just(String::new())]
}

fn age() -> impl Strategy<Value = Option<Age>> {
    let unit = prop::sample::select(vec![AgeUnit::Year, AgeUnit::Month, AgeUnit::Week, AgeUnit::Day]);
    prop::option::of((0.0_f32..120.0, unit).prop_map(|(value, unit)| Age { value, unit }))
}

fn any_report() -> impl Strategy<Value = Report> {
    let sex = prop::sample::select(vec![Sex::Female, Sex::Male, Sex::Unknown]);
    let facts = (age(), sex, prop::sample::select(Licence::ALL.to_vec()), prop::option::of(1800..2100));
    let texts = || prop::collection::vec(text(), 0..4);
    (1_u32..9_999_999, 1_u32..9, text(), facts, (texts(), texts(), texts())).prop_map(
        |(article, n, body, (age, sex, licence, year), (subjects, tables, captions))| Report {
            tables,
            captions,
            age,
            sex,
            licence,
            year,
            subjects,
            ..rows::report(article, n, &body)
        },
    )
}

fn scores() -> impl Strategy<Value = Vec<(String, f32)>> {
    let names = score_names(Layout::Plain);
    let count = names.len();
    prop::sample::subsequence(names, 0..=count)
        .prop_flat_map(|names| {
            let count = names.len();
            (Just(names), prop::collection::vec(0.0_f32..1.0, count))
        })
        .prop_map(|(names, scores)| names.into_iter().map(str::to_owned).zip(scores).collect())
}

fn split() -> impl Strategy<Value = Option<Split>> {
    prop::option::of(prop::sample::select(vec![Split::Train, Split::Validation]))
}

fn any_note() -> impl Strategy<Value = Note> {
    (any_report(), text(), split(), scores(), any::<i32>()).prop_map(|(report, text, split, scores, tokens)| {
        let mut note = Note { split, scores, ..rows::note(&report, &text) };
        note.note_call.prompt_tokens = tokens;
        note
    })
}

fn any_instruction() -> impl Strategy<Value = Instruction> {
    let task = prop::sample::select(Task::ALL.to_vec());
    let span = (any::<u32>(), any::<u32>()).prop_map(|(start, end)| Span { start, end });
    let evidence = prop::collection::vec(span, 0..4);
    (any_note(), 0_u32..9, text(), text(), task, any::<bool>(), evidence).prop_map(
        |(note, index, question, answer, task, unanswerable, evidence)| Instruction {
            task,
            unanswerable,
            evidence,
            split: note.split,
            scores: note.scores.clone(),
            ..rows::instruction(&note, index, &question, &answer)
        },
    )
}

fn write<R: Record>(path: &Path, rows: &[R]) {
    let mut writer = Writer::create(path).expect("writable");
    for row in rows {
        writer.write(row).expect("written");
    }
    assert_eq!(writer.finish().expect("finished"), rows.len() as u64);
}

fn round<R: Record>(rows: &[R], read: impl Fn(&Path) -> Result<Rows<R>, DatasetError>) -> Vec<R> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("rows.parquet");
    write(&path, rows);
    let reader = read(&path).expect("readable");
    assert_eq!(reader.total(), rows.len());
    reader.collect::<Result<_, _>>().expect("rows as written")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn reports_come_back(rows in prop::collection::vec(any_report(), 0..9)) {
        prop_assert_eq!(round(&rows, read_reports), rows);
    }

    #[test]
    fn notes_come_back(rows in prop::collection::vec(any_note(), 0..9)) {
        prop_assert_eq!(round(&rows, read_notes), rows);
    }

    #[test]
    fn instructions_come_back(rows in prop::collection::vec(any_instruction(), 0..9)) {
        prop_assert_eq!(round(&rows, read_instructions_any), rows.clone());
        prop_assert_eq!(round(&rows, read_instructions), rows);
    }
}

#[test]
fn a_judges_ratings_have_columns_only_in_files_of_that_layout() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("notes.parquet");
    let report = rows::report(1, 1, "text");
    let mut rated = rows::note(&report, "rated");
    rated.scores = vec![("copied".to_owned(), 0.5), ("judge".to_owned(), 3.0)];
    rated.judge = Some(Box::new(JudgeCall { model: "judge-1".to_owned(), call: rows::call("judge") }));
    let written = [rated.clone(), rows::note(&report, "unrated")];
    for layout in [Layout::Judged, Layout::Plain] {
        let mut writer = Writer::create_as(&path, layout).expect("writable");
        for row in &written {
            writer.write(row).expect("written");
        }
        writer.finish().expect("finished");
        let back: Vec<Note> = read_notes(&path).expect("opens").collect::<Result<_, _>>().expect("sound");
        let mut expected = written.to_vec();
        if layout == Layout::Plain {
            expected[0] = Note { scores: vec![("copied".to_owned(), 0.5)], judge: None, ..rated.clone() };
        }
        assert_eq!(back, expected, "{layout:?}");
    }
}

#[test]
fn rows_come_back_over_several_batches_and_row_groups() {
    let reports: Vec<_> = (1..40_000_u32).map(|n| rows::report(n, 1, &format!("text {n}"))).collect();
    assert_eq!(round(&reports, read_reports), reports);
}

#[test]
fn the_same_rows_give_the_same_bytes_whatever_the_name() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let reports: Vec<_> =
        (1..2_000_u32).map(|n| rows::report(n % 700 + 1, n, &"wörd ".repeat(n as usize % 90))).collect();
    let (first, second) = (directory.path().join("a.parquet"), directory.path().join("another.parquet"));
    write(&first, &reports);
    write(&second, &reports);
    let bytes = fs_err::read(&first).expect("readable");
    assert_eq!(bytes, fs_err::read(&second).expect("readable"));
    assert!(!String::from_utf8_lossy(&bytes).contains("ARROW:schema"));
}

#[test]
fn a_file_appears_whole_or_not_at_all() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("reports.parquet");
    let mut writer = Writer::create(&path).expect("writable");
    writer.write(&rows::report(1, 1, "text")).expect("written");
    drop(writer);
    assert_eq!(fs_err::read_dir(directory.path()).expect("readable").count(), 0);

    let rows = [Ok(rows::report(1, 1, "text")), Err(DatasetError::NoDocuments)];
    write_rows(&path, rows).expect_err("the second row is an error");
    assert!(!path.exists());
}

#[test]
fn damage_and_absence_name_the_file() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("reports.parquet");
    let absent = read_reports(&path).expect_err("there is no file").to_string();
    assert!(absent.contains("reports.parquet"), "{absent}");

    write(&path, &[rows::report(1, 1, "text")]);
    let bytes = fs_err::read(&path).expect("readable");
    for damaged in [&bytes[..bytes.len() / 2], b"not parquet at all", b""] {
        fs_err::write(&path, damaged).expect("writable");
        let error = read_reports(&path).expect_err("damaged");
        assert!(matches!(error, DatasetError::Parquet { .. }), "{error}");
        assert!(error.to_string().contains("reports.parquet"), "{error}");
    }

    write(&path, &[rows::report(1, 1, "text")]);
    let error = read_notes(&path).expect_err("reports are no notes").to_string();
    assert!(error.contains("no column \"note\""), "{error}");
}

#[test]
fn a_byte_that_flips_on_disk_never_brings_the_reader_down() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("reports.parquet");
    let reports: Vec<_> = (1..50_u32).map(|n| rows::report(n, 1, &"fever and cough ".repeat(n as usize % 7))).collect();
    write(&path, &reports);
    let sound = fs_err::read(&path).expect("readable");
    for at in (0..sound.len()).step_by(7) {
        let mut bytes = sound.clone();
        bytes[at] ^= 0x55;
        fs_err::write(&path, &bytes).expect("writable");
        // Rows or an error: both will do, what a flipped letter says cannot be known here.
        let _ = read_reports(&path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    }
}

fn foreign(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    compressed(path, columns, Compression::UNCOMPRESSED);
}

fn compressed(path: &Path, columns: Vec<(&str, ArrayRef)>, codec: Compression) {
    let batch = RecordBatch::try_from_iter(columns).expect("columns of one length");
    let file = fs_err::File::create(path).expect("writable");
    let properties = WriterProperties::builder().set_compression(codec).build();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).expect("a plain schema");
    writer.write(&batch).expect("written");
    writer.close().expect("finished");
}

fn published(task: &str) -> Vec<(&'static str, ArrayRef)> {
    let text = |texts: [&str; 2]| -> ArrayRef { Arc::new(StringArray::from(texts.to_vec())) };
    vec![
        ("patient_id", Arc::new(Int64Array::from(vec![7, 7]))),
        ("note", text(["Pt w/ HTN.", "Pt w/ DM."])),
        ("question", text(["What?", "Which?"])),
        ("answer", text(["HTN", "DM"])),
        ("task", text(["Question Answering", task])),
    ]
}

#[test]
fn the_published_five_columns_are_enough_to_train_on() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("published.parquet");
    foreign(&path, published("Paraphrasing"));
    let rows: Vec<_> = read_instructions_any(&path).expect("five columns").collect::<Result<_, _>>().expect("sound");
    assert_eq!((rows[1].task, rows[1].licence, rows[1].split), (Task::Paraphrase, Licence::CcByNcSa, None));
    assert_ne!(rows[0].row_id(), rows[1].row_id());
    let error = read_instructions(&path).expect_err("no lineage").to_string();
    assert!(error.contains("no column \"report_id\""), "{error}");

    let texts: Vec<_> = read_texts(&path, "note").expect("a column").collect::<Result<_, _>>().expect("sound");
    assert_eq!((texts[1].id.as_str(), texts[1].text.as_str()), ("patient-7", "Pt w/ DM."));
    let error = read_texts(&path, "body").expect_err("no such column").to_string();
    assert!(error.contains("no column \"body\""), "{error}");
}

#[test]
fn every_usual_compression_is_read() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let codecs = [
        Compression::SNAPPY, // what pyarrow and pandas write unless told otherwise
        Compression::GZIP(GzipLevel::default()),
        Compression::BROTLI(BrotliLevel::default()),
        Compression::LZ4_RAW,
        Compression::ZSTD(ZstdLevel::default()),
    ];
    for codec in codecs {
        let path = directory.path().join("published.parquet");
        compressed(&path, published("Paraphrasing"), codec);
        let rows: Vec<_> =
            read_instructions_any(&path).expect("five columns").collect::<Result<_, _>>().expect("sound");
        assert_eq!(rows.len(), 2, "{codec}");
    }
}

#[test]
fn a_cell_that_means_nothing_is_named_by_row_and_column() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("published.parquet");
    foreign(&path, published("Guessing"));
    let error = read_instructions_any(&path).expect("five columns").nth(1).expect("a row").expect_err("no such task");
    assert!(error.to_string().contains("row 1: \"task\" holds \"Guessing\""), "{error}");

    let mut columns = published("Paraphrasing");
    columns[3].1 = Arc::new(StringArray::from(vec![Some("HTN"), None]));
    foreign(&path, columns);
    let error = read_instructions_any(&path).expect("five columns").nth(1).expect("a row").expect_err("no answer");
    assert!(error.to_string().contains("row 1: \"answer\" is empty"), "{error}");

    let mut columns = published("Paraphrasing");
    columns[0].1 = Arc::new(StringArray::from(vec!["seven", "7"]));
    foreign(&path, columns);
    let error = read_instructions_any(&path).expect("five columns").next().expect("a row").expect_err("no number");
    assert!(matches!(error, DatasetError::ColumnType { .. }), "{error}");
}
