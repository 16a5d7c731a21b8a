//! The dataset stage from files to files: nothing lost, articles kept together, the same bytes every time.

mod rows;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use asclepius_dataset::table::{Record, Writer};
use asclepius_dataset::{DatasetConfig, DatasetError, Inputs, Summary, build, read_instructions, read_notes};
use asclepius_schema::{ArticleId, DroppedWriter, Instruction, Licence, Note, Reason, Report, Split, read_dropped};

/// A note that passes every gate: its numbers are the report's, its wording is not.
const REPORT: &str = "A 54-year-old woman was admitted with fever of 38.5 degrees and a cough that had lasted 3 days. On \
    examination she appeared unwell, and crackles were heard over the left lower lobe. Radiography of the chest \
    demonstrated consolidation. Amoxicillin was started, and she was discharged after 5 days.";
const NOTE: &str = "CC: fever, cough.\nHPI: 54 yo F, T 38.5, cough x 3 d.\nPE: ill-looking, L base crackles.\nCXR: LLL \
    infiltrate.\nCourse: given amox with good response, sent home on day 5 feeling much better and eating well.\nPlan: \
    follow up in clinic with a repeat film, return at once if breathing gets worse or fever comes back again.";

struct Corpus {
    directory: tempfile::TempDir,
    inputs: Inputs,
}

fn write<R: Record>(path: &Path, rows: &[R]) {
    let mut writer = Writer::create(path).expect("writable");
    for row in rows {
        writer.write(row).expect("written");
    }
    writer.finish().expect("finished");
}

fn corpus(reports: &[Report], notes: &[Note], instructions: &[Instruction]) -> Corpus {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| directory.path().join(name);
    let inputs = Inputs {
        reports: path("reports.parquet"),
        notes: path("notes.parquet"),
        instructions: path("instructions.parquet"),
    };
    write(&inputs.reports, reports);
    write(&inputs.notes, notes);
    write(&inputs.instructions, instructions);
    Corpus { directory, inputs }
}

fn run(corpus: &Corpus, out: &str, seed: u64) -> (Result<Summary, DatasetError>, PathBuf) {
    let out = corpus.directory.path().join(out);
    fs_err::create_dir_all(&out).expect("writable");
    let mut dropped = DroppedWriter::create(&out).expect("writable");
    let progress = std::cell::Cell::new((0, 0));
    let summary = build(&corpus.inputs, &DatasetConfig::default(), seed, &out, &mut dropped, &|done, total| {
        progress.set((done, total));
    });
    dropped.finish().expect("written");
    if summary.is_ok() {
        assert_eq!(progress.get().0, progress.get().1);
    }
    (summary, out)
}

/// Two patients an article, two instructions a note.
fn plain(articles: u32) -> (Vec<Report>, Vec<Note>, Vec<Instruction>) {
    let mut reports = Vec::new();
    for article in 1..=articles {
        reports.extend((1..=2).map(|n| rows::report(article, n, REPORT)));
    }
    let note = |report: &Report| rows::note(report, &format!("{NOTE}\nDoctor: {}", letters(report.patient_id)));
    let notes: Vec<Note> = reports.iter().map(note).collect();
    let ask = |note: &Note| {
        [rows::instruction(note, 0, "What was given?", "Amox."), rows::instruction(note, 1, "Age?", "54 yo.")]
    };
    let instructions = notes.iter().flat_map(ask).collect();
    (reports, notes, instructions)
}

/// A number in letters: digits would count as facts.
fn letters(number: i64) -> String {
    number.to_string().bytes().map(|digit| char::from(digit - b'0' + b'a')).collect()
}

fn all<R: Record>(
    out: &Path,
    name: &str,
    read: impl Fn(&Path) -> Result<asclepius_dataset::Rows<R>, DatasetError>,
) -> [Vec<R>; 2] {
    ["train", "validation"].map(|side| {
        let rows = read(&out.join(format!("{name}-{side}.parquet"))).expect("written by the stage");
        rows.collect::<Result<_, _>>().expect("sound")
    })
}

#[test]
fn every_row_is_out_or_named_and_no_article_lies_on_both_sides() {
    let (reports, mut notes, mut instructions) = plain(12);
    notes[0].note = "As an AI language model, I cannot write this note.".to_owned();
    notes[3].note = notes[2].note.to_uppercase();
    instructions[9].answer = "Do you mean the antibiotic?".to_owned();
    instructions[10].answer = "I'm sorry, but I cannot help with that.".to_owned();
    instructions[13].question = instructions[12].question.clone();
    let corpus = corpus(&reports, &notes, &instructions);
    let (summary, out) = run(&corpus, "dataset", 5);
    let summary = summary.expect("rows are left");

    for (counts, unit) in [(&summary.notes, "note"), (&summary.instructions, "instruction")] {
        counts.check("dataset", unit).expect("balanced");
    }
    let dropped: BTreeMap<String, Reason> =
        read_dropped(&out).expect("readable").into_iter().map(|row| (row.id, row.reason)).collect();
    assert_eq!(dropped["PMC2.1-2"], Reason::Duplicate);
    assert_eq!(dropped["PMC1.1-1#0"], Reason::NoteDropped);
    assert_eq!(dropped["PMC2.1-2#1"], Reason::NoteDropped);
    assert_eq!(dropped["PMC3.1-1#1"], Reason::QuestionAnswer);
    assert_eq!(dropped["PMC3.1-2#0"], Reason::Refusal);
    assert_eq!(dropped["PMC4.1-1#1"], Reason::Duplicate);
    assert!(dropped.contains_key("PMC1.1-1"));
    assert_eq!(dropped.len(), 2 + 4 + 3);
    assert_eq!(summary.notes.dropped_total() + summary.instructions.dropped_total(), 9);

    let notes = all(&out, "notes", read_notes);
    let instructions = all(&out, "instructions", read_instructions);
    assert_eq!(notes.iter().map(Vec::len).sum::<usize>() as u64, summary.notes.out);
    assert_eq!(summary.files["instructions-train.parquet"], instructions[0].len() as u64);
    let articles = |side: usize| -> BTreeSet<&ArticleId> {
        notes[side]
            .iter()
            .map(|row| &row.article_id)
            .chain(instructions[side].iter().map(|row| &row.article_id))
            .collect()
    };
    assert!(articles(0).is_disjoint(&articles(1)));
    assert!(!instructions[0].is_empty() && !instructions[1].is_empty());
    assert_eq!(summary.articles[&Split::Train] as usize, articles(0).len());
    for (side, split) in [Split::Train, Split::Validation].into_iter().enumerate() {
        assert!(notes[side].iter().all(|row| row.split == Some(split) && !row.scores.is_empty()));
        assert!(instructions[side].iter().all(|row| row.split == Some(split) && !row.scores.is_empty()));
        assert!(notes[side].is_sorted_by_key(|row| row.patient_id));
    }
    assert_eq!(summary.licence, Some(Licence::CcBy));
    assert_eq!(summary.tasks.values().sum::<u64>(), summary.instructions.out);
}

#[test]
fn the_same_inputs_give_the_same_bytes_and_another_seed_another_split() {
    let (reports, notes, instructions) = plain(30);
    let corpus = corpus(&reports, &notes, &instructions);
    let files = |out: &Path| -> Vec<Vec<u8>> {
        ["notes-train", "notes-validation", "instructions-train", "instructions-validation"]
            .iter()
            .map(|name| fs_err::read(out.join(format!("{name}.parquet"))).expect("written"))
            .collect()
    };
    let first = files(&run(&corpus, "first", 5).1);
    assert_eq!(first, files(&run(&corpus, "second", 5).1));
    assert_ne!(first, files(&run(&corpus, "third", 6).1));
}

#[test]
fn a_note_that_states_other_numbers_than_its_report_is_unfaithful() {
    let (reports, mut notes, instructions) = plain(3);
    notes[1].note =
        NOTE.replace("54", "45").replace("38.5", "41.2").replace("day 5", "day 17").replace("x 3 d", "x 9 d");
    let corpus = corpus(&reports, &notes, &instructions);
    let (_, out) = run(&corpus, "dataset", 0);
    let dropped = read_dropped(&out).expect("readable");
    assert!(dropped.iter().any(|row| row.id == "PMC1.1-2" && row.reason == Reason::Unfaithful), "{dropped:?}");
}

#[test]
fn a_row_without_its_parent_is_an_error_that_names_both() {
    let (reports, notes, instructions) = plain(3);
    let (summary, _) = run(&corpus(&reports[1..], &notes, &instructions), "dataset", 0);
    let error = summary.expect_err("a report is missing").to_string();
    assert!(error.contains("PMC1.1-1") && error.contains("reports.parquet"), "{error}");
    let (summary, _) = run(&corpus(&reports, &notes[1..], &instructions), "dataset", 0);
    let error = summary.expect_err("a note is missing").to_string();
    assert!(error.contains("PMC1.1-1#0") && error.contains("notes.parquet"), "{error}");
}

#[test]
fn nothing_left_is_an_error_that_says_why() {
    let (reports, mut notes, _) = plain(2);
    for note in &mut notes {
        note.note = "I'm sorry, but as an AI language model I cannot do that.".to_owned();
    }
    let (summary, _) = run(&corpus(&reports, &notes, &[]), "dataset", 0);
    let error = summary.expect_err("no note is left").to_string();
    assert!(error.contains("no note is left of 4"), "{error}");
    let (summary, _) = run(&corpus(&[], &[], &[]), "dataset", 0);
    assert!(summary.expect_err("there was no note").to_string().contains("there was none"));
}

#[test]
fn settings_out_of_range_are_refused_and_unknown_keys_too() {
    for fraction in [-0.1, 1.0, f64::NAN] {
        let config = DatasetConfig { validation_fraction: fraction, ..DatasetConfig::default() };
        assert!(config.validate().is_err(), "{fraction}");
    }
    assert!(DatasetConfig::default().validate().is_ok());
    let config: Result<DatasetConfig, _> = serde_json::from_str(r#"{"validation_fractoin": 0.2}"#);
    assert!(config.expect_err("no such key").to_string().contains("validation_fractoin"));
}
