//! The dataset stage from files to files: nothing lost, articles kept together, the same bytes every time.

mod rows;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use asclepius_dataset::table::{Record, Writer};
use asclepius_dataset::{
    DatasetConfig, DatasetError, GatesConfig, Inputs, Summary, Whole, build, read_instructions, read_notes,
};
use asclepius_schema::{ArticleId, DroppedWriter, Instruction, Licence, Note, Reason, Report, Split, read_dropped};
use asclepius_text::gates::Threshold;

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
    // Made from one text, the notes here are alike: what is done about that has tests of its own.
    let gates = GatesConfig { near_duplicate: Threshold::Off, ..made_up() };
    run_with(corpus, &DatasetConfig { gates, ..DatasetConfig::default() }, out, seed)
}

/// Gates for notes whose words are made up, and not their report's.
fn made_up() -> GatesConfig {
    GatesConfig { grounded: Threshold::Off, ..GatesConfig::default() }
}

fn settings() -> DatasetConfig {
    DatasetConfig { gates: made_up(), ..DatasetConfig::default() }
}

fn run_with(corpus: &Corpus, config: &DatasetConfig, out: &str, seed: u64) -> (Result<Summary, DatasetError>, PathBuf) {
    let out = corpus.directory.path().join(out);
    fs_err::create_dir_all(&out).expect("writable");
    let mut dropped = DroppedWriter::create(&out).expect("writable");
    let progress = Mutex::new((0, 0));
    let summary = build(&corpus.inputs, config, seed, &out, &mut dropped, &|done, total| {
        *progress.lock().expect("not poisoned") = (done, total);
    });
    dropped.finish().expect("written");
    if summary.is_ok() {
        let (done, total) = progress.into_inner().expect("not poisoned");
        assert_eq!(done, total);
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
    assert_eq!(summary.terms().whole(), Whole::Under(Licence::CcBy));
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
        let config: DatasetConfig = DatasetConfig { validation_fraction: fraction, ..DatasetConfig::default() };
        assert!(config.validate().is_err(), "{fraction}");
    }
    let config: DatasetConfig = DatasetConfig::default();
    assert!(config.validate().is_ok());
    let config: Result<DatasetConfig, _> = serde_json::from_str(r#"{"validation_fractoin": 0.2}"#);
    assert!(config.expect_err("no such key").to_string().contains("validation_fractoin"));
}

/// Notes with sentences of their own, so that only those made alike on purpose are.
fn distinct(articles: u32) -> (Vec<Report>, Vec<Note>, Vec<Instruction>) {
    let (reports, mut notes, mut instructions) = plain(articles);
    for note in &mut notes {
        let sentence = |line: usize| {
            (0..12)
                .map(|word| letters(note.patient_id * 1000 + (line * 12 + word) as i64))
                .collect::<Vec<_>>()
                .join(" ")
        };
        note.note = format!("{NOTE}\n{}.", (0..20).map(sentence).collect::<Vec<_>>().join(".\n"));
    }
    for row in &mut instructions {
        let note = notes.iter().find(|note| note.report_id == row.report_id).expect("every instruction has a note");
        row.note.clone_from(&note.note);
    }
    (reports, notes, instructions)
}

fn reasons(out: &Path) -> BTreeMap<String, (Reason, String)> {
    read_dropped(out).expect("readable").into_iter().map(|row| (row.id, (row.reason, row.detail))).collect()
}

#[test]
fn notes_almost_alike_leave_the_one_whose_id_sorts_first_in_whatever_order_they_come() {
    let (reports, mut notes, instructions) = distinct(8);
    // An edit of two words, and an exact copy of the edit but for its layout.
    notes[9].note = notes[4].note.replace("fever, cough", "pyrexia and cough");
    notes[11].note = notes[9].note.replace('\n', "\n\n").to_uppercase();
    let forward = corpus(&reports, &notes, &instructions);
    let (summary, out) = run_with(&forward, &settings(), "dataset", 5);
    let summary = summary.expect("rows are left");
    let dropped = reasons(&out);
    let notes_dropped: Vec<&String> = dropped.keys().filter(|id| !id.contains('#')).collect();
    assert_eq!(notes_dropped, ["PMC5.1-2", "PMC6.1-2"], "{dropped:?}");
    let (reason, detail) = &dropped["PMC5.1-2"];
    assert_eq!(*reason, Reason::NearDuplicate);
    assert!(detail.starts_with("near_duplicate: 0.9") && detail.ends_with("PMC3.1-1"), "{detail}");
    let (reason, detail) = &dropped["PMC6.1-2"];
    assert_eq!(*reason, Reason::Duplicate);
    assert!(detail.ends_with("(PMC5.1-2)"), "{detail}");
    assert_eq!(dropped["PMC5.1-2#0"].0, Reason::NoteDropped);
    let figures = &summary.gates["note"]["near_duplicate"];
    assert_eq!((figures.scored, figures.failed, figures.dropped), (15, 1, 1));

    notes.reverse();
    let backward = corpus(&reports, &notes, &instructions);
    let (other, out) = run_with(&backward, &settings(), "dataset", 5);
    assert_eq!(reasons(&out), dropped);
    assert_eq!(other.expect("rows are left"), summary);
}

#[test]
fn threads_change_no_byte() {
    let (reports, notes, instructions) = distinct(30);
    let corpus = corpus(&reports, &notes, &instructions);
    let files = |threads: usize| -> Vec<Vec<u8>> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        let name = format!("threads-{threads}");
        let (_, out) = pool.install(|| run_with(&corpus, &settings(), &name, 5));
        let mut names: Vec<PathBuf> = fs_err::read_dir(out).expect("there").map(|e| e.expect("there").path()).collect();
        names.sort_unstable();
        names.iter().map(|path| fs_err::read(path).expect("readable")).collect()
    };
    assert_eq!(files(1), files(4));
}

#[test]
fn what_an_evaluation_set_holds_is_dropped_and_says_from_which() {
    let (reports, notes, mut instructions) = distinct(6);
    instructions[8].answer =
        "The drug of choice in an adult who is not allergic and has no other disease is amoxicillin".to_owned();
    let corpus = corpus(&reports, &notes, &instructions);
    let exam = corpus.directory.path().join("exam.jsonl");
    let line = notes[2].note.lines().last().expect("a line");
    let before = notes[2].note.lines().rev().nth(1).expect("a line");
    let items = [
        serde_json::json!({"question": format!("Given: {before} {line}")}),
        serde_json::json!({"answer": {"long": instructions[8].answer}}),
    ];
    fs_err::write(&exam, items.map(|item| item.to_string()).join("\n")).expect("writable");
    let config = DatasetConfig { evaluation_sets: vec![exam], ..settings() };
    let (summary, out) = run_with(&corpus, &config, "dataset", 0);
    let summary = summary.expect("rows are left");
    let dropped = reasons(&out);
    let contaminated: Vec<&String> =
        dropped.iter().filter(|(_, why)| why.0 == Reason::Contaminated).map(|(id, _)| id).collect();
    assert_eq!(contaminated, ["PMC2.1-1", "PMC3.1-1#0"], "{dropped:?}");
    assert!(dropped["PMC2.1-1"].1.contains("exam.jsonl"));
    assert!(summary.evaluation_sequences > 10);
    assert_eq!(summary.gates["note"]["contaminated"].dropped, 1);

    let other = corpus.directory.path().join("exam.parquet");
    let own: Vec<&str> = notes[4].note.lines().rev().take(3).collect();
    write(&other, &[rows::note(&reports[4], &own.into_iter().rev().collect::<Vec<_>>().join("\n"))]);
    let config = DatasetConfig { evaluation_sets: vec![other], ..settings() };
    run_with(&corpus, &config, "again", 0).0.expect("rows are left");
    let dropped = reasons(&corpus.directory.path().join("again"));
    assert_eq!(dropped["PMC3.1-1"].0, Reason::Contaminated);
}

#[test]
fn membership_is_measured_against_held_out_articles() {
    let (mut reports, notes, instructions) = distinct(40);
    for (report, note) in reports.iter_mut().zip(&notes) {
        report.report = format!("{REPORT} {}", note.note);
    }
    let corpus = corpus(&reports, &notes, &instructions);
    let (summary, _) = run_with(&corpus, &settings(), "dataset", 5);
    let summary = summary.expect("rows are left");
    let membership = summary.membership.expect("both sides hold notes");
    assert_eq!(membership.members, summary.sides[&Split::Train].notes);
    assert_eq!(membership.non_members, summary.sides[&Split::Validation].notes);
    assert_eq!((membership.auc, membership.advantage), (1.0, 1.0), "the notes are copies: {membership:?}");
    let config = DatasetConfig { validation_fraction: 0.0, ..settings() };
    assert_eq!(run_with(&corpus, &config, "all", 5).0.expect("rows are left").membership, None);
}
