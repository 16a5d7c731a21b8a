//! Texts of a user's own: pre-trained on from every kind of file, and beside the synthetic notes in an evaluation.

use std::path::PathBuf;

use asclepius_dataset::read_notes;
use serde_json::{Value, json};

use crate::support::{Workspace, finished, json, lines, quoted};

/// The notes of the shared run's training split: report id and text.
fn notes() -> Vec<(String, String)> {
    let path = finished().stage("dataset").join("notes-train.parquet");
    let notes = read_notes(&path).expect("opens").map(|note| note.expect("sound"));
    notes.map(|note| (note.report_id.to_string(), note.note)).collect()
}

/// `notes` as CSV, with commas, quotes and line ends in the cells.
fn csv(notes: &[(String, String)]) -> String {
    let cell = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let rows = notes.iter().map(|(id, note)| format!("{},7,{}\n", cell(id), cell(note)));
    "report_id,age,text\n".to_owned() + &rows.collect::<String>()
}

fn file(workspace: &Workspace, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = workspace.path().join(name);
    fs_err::write(&path, text).expect("writable");
    path
}

#[test]
fn the_same_texts_train_the_same_from_parquet_csv_and_json_lines() {
    let notes = notes();
    let objects: Vec<String> =
        notes.iter().map(|(id, note)| json!({"report_id": id, "text": note}).to_string()).collect();
    let trained = |name: &str, text: Option<String>| {
        let workspace = Workspace::new();
        let path = text.map(|text| file(&workspace, name, text));
        let column = if path.is_some() { "\"text\"" } else { "\"note\"" };
        let path = path.unwrap_or_else(|| finished().stage("dataset").join("notes-train.parquet"));
        let command = workspace.command("pretrain").set("pretrain.data", quoted(&path)).set("pretrain.max_steps", 2);
        command.set("pretrain.text_column", column).set("pretrain.validation_fraction", 0.2).ends(0);
        fs_err::read(workspace.stage("pretrain").join("final/model.safetensors")).expect("weights")
    };
    let from_parquet = trained("", None);
    assert!(from_parquet == trained("notes.csv", Some(csv(&notes))), "CSV");
    assert!(from_parquet == trained("notes.jsonl", Some(objects.join("\n\n"))), "JSON Lines");
}

#[test]
fn a_file_of_texts_that_cannot_be_read_is_named_with_its_line() {
    for (name, text, words) in [
        ("short.csv", b"id,text\n1,A note.\n2\n".as_slice(), &["short.csv, line 3", "2"][..]),
        ("bytes.csv", b"text\nA note.\n\xff\xfe\n", &["bytes.csv, line 3", "UTF-8"]),
        ("column.csv", b"note\nA note.\n", &["column.csv", "no column \"text\""]),
        ("empty.csv", b"report_id,text\nr1,A note.\nr2, \n", &["empty.csv", "row r2 has no text"]),
        ("broken.jsonl", b"{\"text\": \"A note.\"}\n{\"text\": \"A no\n", &["broken.jsonl, line 2"]),
        ("list.jsonl", b"[\"A note.\"]\n", &["list.jsonl, line 1", "not a JSON object"]),
        ("number.jsonl", b"\n{\"text\": 7}\n", &["number.jsonl, line 2", "\"text\" is not text"]),
        ("column.jsonl", b"{\"note\": \"A note.\"}\n", &["column.jsonl", "no column \"text\""]),
        ("nothing.jsonl", b"{\"text\": \"A note.\"}\n{\"patient_id\": 4}\n", &["row patient-4 has no text"]),
    ] {
        let workspace = Workspace::new();
        let path = file(&workspace, name, text);
        let command = workspace.command("pretrain").set("pretrain.data", quoted(&path));
        command.set("pretrain.text_column", "\"text\"").ends(1).says(words);
        assert!(!workspace.stage("pretrain").join("final").exists(), "{name}");
    }
    let workspace = Workspace::new();
    let text = file(&workspace, "notes.txt", "A note.\n");
    let ended = workspace.command("pretrain").set("pretrain.data", quoted(&text)).ends(2);
    ended.says(&["pretrain.data", "notes.txt", ".csv"]);
    let pairs = file(&workspace, "pairs.csv", "note,question,answer\n");
    workspace.command("sft").set("sft.data", quoted(&pairs)).ends(2).says(&["sft.data", "pairs.csv", ".parquet"]);
}

/// `asclepius eval` with the shared run's pre-trained model as one that knows real notes.
fn realism(workspace: &Workspace, notes: &str, more: &str) -> crate::support::Asclepius {
    let model = quoted(&finished().stage("pretrain").join("final"));
    let table = format!("{{ model = {model}, notes = {notes}, text_column = \"text\"{more} }}");
    workspace.command("eval").arg("--fresh").set("eval.questions", 0).set("eval.realism", table)
}

#[test]
fn synthetic_notes_stand_between_real_ones_and_their_reports() {
    let workspace = Workspace::finished();
    // These are none of a hospital's: sentences that the notes do not have, at lengths of their own.
    let real: Vec<_> =
        (1..=6).map(|count| (count.to_string(), "Pt seen on rounds, doing well. ".repeat(count))).collect();
    let path = file(&workspace, "real.csv", csv(&real));
    let command = || realism(&workspace, &quoted(&path), ", rows = 5");
    command().ends(0);
    let report = json(&workspace.stage("eval").join("report.json"));
    let losses = lines(&workspace.stage("eval").join("losses.jsonl"));
    let bits = |set: &str| {
        let rows: Vec<_> = losses.iter().filter(|row| row["model"] == "realism" && row["set"] == set).collect();
        let sum = |name: &str| rows.iter().filter_map(|row| row[name].as_f64()).sum::<f64>();
        assert_eq!(rows.len(), 5, "{set}");
        (
            sum("nats") / std::f64::consts::LN_2 / sum("bytes"),
            rows.iter().map(|row| row["row"].clone()).collect::<Vec<_>>(),
        )
    };
    let found = report["realism"]["kinds"].as_array().expect("three kinds");
    let kinds: Vec<&Value> = found.iter().map(|row| &row["set"]).collect();
    assert_eq!(kinds, ["real notes", "synthetic notes", "case reports"]);
    for row in found {
        let (expected, _) = bits(row["set"].as_str().expect("a name"));
        assert!((row["bits_per_byte"].as_f64().expect("bits") - expected).abs() < 1e-9, "{row}");
    }
    assert_eq!(bits("synthetic notes").1, bits("case reports").1, "each note beside its own report");
    for (row, other) in
        report["realism"]["differences"].as_array().expect("two").iter().zip(["case reports", "real notes"])
    {
        assert_eq!(row["base"], other);
        let expected = bits("synthetic notes").0 - bits(other).0;
        assert!((row["value"].as_f64().expect("a number") - expected).abs() < 1e-9, "{row}");
        let (low, high) = (row["spread"]["low"].as_f64(), row["spread"]["high"].as_f64());
        assert!(low.expect("an interval") <= expected && expected <= high.expect("an interval"), "{row}");
    }
    let shown = workspace.command("report").set("eval.questions", 0).args(&["--format", "md"]);
    let table = format!(
        "{{ model = {}, notes = {}, text_column = \"text\", rows = 5 }}",
        quoted(&finished().stage("pretrain").join("final")),
        quoted(&path)
    );
    let shown = shown.set("eval.realism", table).ends(0).stdout;
    assert!(shown.contains("### Realism") && shown.contains("| synthetic notes | 5 |"), "{shown}");
    assert!(shown.contains("## Training") && shown.contains("GB of memory"), "{shown}");
    // Other notes are another evaluation.
    file(&workspace, "real.csv", csv(&real[1..]));
    command().ends(0).says(&["3 of 3 models"]);
}

#[test]
fn what_realism_lacks_is_named() {
    let workspace = Workspace::finished();
    fs_err::remove_dir_all(workspace.stage("eval")).expect("the finished run has it");
    let path = quoted(&file(&workspace, "real.csv", "text\nA note.\n"));
    realism(&workspace, &path, ", row = 5").ends(2).says(&["row"]);
    realism(&workspace, &path, ", rows = 0").ends(2).says(&["eval.realism.rows"]);
    realism(&workspace, "\"gone.csv\"", "").ends(2).says(&["gone.csv"]);
    let command =
        workspace.command("eval").set("eval.realism", format!("{{ model = \"no/such/place\", notes = {path} }}"));
    command.ends(2).says(&["eval.realism.model", "no/such/place"]);
    let column = quoted(&file(&workspace, "column.csv", "note\nA note.\n"));
    realism(&workspace, &column, "").ends(1).says(&["column.csv", "no column \"text\""]);
    assert!(!workspace.stage("eval").exists());
}
