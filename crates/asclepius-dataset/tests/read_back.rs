//! Our files through pyarrow and duckdb. Skipped, saying so, where the interpreter named by `ASCLEPIUS_PYTHON`
//! (default: `python3`) is missing or has no pyarrow and duckdb.

mod rows;

use std::process::Command;

use asclepius_dataset::table::{Layout, Record, Writer, score_names};
use asclepius_schema::{Instruction, SCHEMA_VERSION, Span, Split};
use serde_json::{Value, json};

/// What both readers say of the files, or why they were not asked.
fn read_back(paths: &[std::path::PathBuf]) -> Result<Vec<Value>, String> {
    let python = std::env::var("ASCLEPIUS_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/read_back.py");
    let output =
        Command::new(&python).arg(script).args(paths).output().map_err(|error| format!("{python}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    if output.status.code() == Some(77) {
        return Err(format!("{python} has no {}", said.trim()));
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_str(&said).expect("the script prints JSON"))
}

fn write<R: Record>(path: &std::path::Path, rows: &[R]) {
    let mut writer = Writer::create(path).expect("writable");
    for row in rows {
        writer.write(row).expect("written");
    }
    writer.finish().expect("finished");
}

#[test]
fn pyarrow_and_duckdb_read_every_column_as_the_contract_types_it() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let paths = ["reports", "notes", "instructions"].map(|name| directory.path().join(format!("{name}.parquet")));
    let report = rows::report(7_654_321, 2, "Ein Fall: 38,5 °C, µg ≥ 3.\n\nSecond paragraph.");
    let mut note = rows::note(&report, "CC: fever 38.5 °C");
    note.split = Some(Split::Train);
    note.scores = vec![("copied".to_owned(), 0.25), ("numbers".to_owned(), 1.0)];
    let plain = rows::instruction(&note, 0, "Fever?", "38.5 °C");
    let rich = Instruction {
        evidence: vec![Span { start: 4, end: 18 }, Span { start: 0, end: 2 }],
        scores: note.scores.clone(),
        ..rows::instruction(&note, 1, "Temp?", "38.5")
    };
    write(&paths[0], std::slice::from_ref(&report));
    write(&paths[1], std::slice::from_ref(&note));
    write(&paths[2], &[plain, rich]);
    let files = match read_back(&paths) {
        Ok(files) => files,
        Err(why) => {
            #[expect(clippy::print_stderr, reason = "a skipped test has to say so")]
            {
                eprintln!("skipped: {why}");
            }
            return;
        }
    };

    for file in &files {
        assert_eq!(file["pyarrow"]["metadata"], json!({ "schema_version": SCHEMA_VERSION.to_string() }));
        assert_eq!(file["pyarrow"]["compression"], json!(["ZSTD"]));
        assert_eq!(file["pyarrow"]["rows"], file["duckdb"]["rows"]);
    }
    let [reports, notes, instructions] = &files[..] else { panic!("three files were asked for") };
    assert_eq!(reports["pyarrow"]["rows"][0]["report"], json!(report.report));
    assert_eq!(reports["pyarrow"]["columns"]["subjects"], "list<element: string>");
    assert_eq!(notes["duckdb"]["rows"][0]["patient_id"], json!(7_654_321_002_i64));
    assert_eq!(notes["duckdb"]["rows"][0]["split"], "train");

    let columns = instructions["pyarrow"]["columns"].as_object().expect("an object");
    let names: Vec<&String> = columns.keys().collect();
    assert_eq!(names[..5], ["patient_id", "note", "question", "answer", "task"]);
    assert_eq!(
        names[5..12],
        ["report_id", "article_id", "licence", "licence_url", "attribution", "teacher_model", "split"]
    );
    for part in ["note", "question", "answer"] {
        for name in ["prompt_hash", "request_key", "finish_reason"] {
            assert_eq!(columns[&format!("{part}_{name}")], "string");
        }
        for name in ["prompt_tokens", "completion_tokens"] {
            assert_eq!(columns[&format!("{part}_{name}")], "int32");
        }
    }
    assert_eq!(columns["patient_id"], "int64");
    let gates =
        score_names(Layout::Plain).into_iter().map(|name| format!("{name}: float")).collect::<Vec<_>>().join(", ");
    assert_eq!(columns["scores"], format!("struct<{gates}>"));
    assert_eq!(columns["evidence"], "list<element: struct<start: uint32, end: uint32>>");
    let row = &instructions["duckdb"]["rows"][1];
    assert_eq!(row["evidence"], json!([{ "start": 4, "end": 18 }, { "start": 0, "end": 2 }]));
    assert_eq!(row["scores"]["copied"], 0.25);
    assert_eq!(row["scores"]["max_words"], Value::Null);
    assert_eq!(row["task"], "Question Answering");
}
