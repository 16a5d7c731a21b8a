//! What must be nowhere: a key in no file and no log, a patient's text in none but the ledger and the datasets.

use std::collections::BTreeSet;
use std::path::Path;

use asclepius_dataset::{read_instructions, read_notes, read_reports};

use crate::support::{Act, ChatServer, Ended, KEY, Workspace, dropped, finished, snapshot};

/// Lines of reports, notes and answers long enough that none is said by chance.
fn lines_of(workspace: &Workspace) -> BTreeSet<String> {
    let file = |stage: &str, name: &str| workspace.stage(stage).join(name);
    let reports = read_reports(&file("corpus", "reports.parquet")).expect("written");
    let notes = read_notes(&file("notes", "notes.parquet")).expect("written");
    let rows = read_instructions(&file("instructions", "instructions.parquet")).expect("written");
    let texts = reports
        .map(|row| row.expect("sound").report)
        .chain(notes.map(|row| row.expect("sound").note))
        .chain(rows.map(|row| row.expect("sound").answer));
    texts
        .flat_map(|text| text.lines().map(str::trim).map(str::to_owned).collect::<Vec<_>>())
        .filter(|line| line.len() >= 40)
        .collect()
}

/// Fails where something that is said, or written outside of the ledger and the datasets, quotes one of these lines.
#[track_caller]
fn quotes_none(lines: &BTreeSet<String>, runs: &Path, ended: &[Ended]) {
    assert!(lines.len() > 20, "there is something to look for");
    let datasets = ["parquet", "ledger"];
    // The report and a blind sheet show sample rows, which is what they are for.
    let shows = |path: &Path| path.ends_with("report/index.html") || path.starts_with("sheets");
    let files = snapshot(runs).into_iter().filter(|(path, _)| {
        path.extension().is_none_or(|extension| datasets.iter().all(|dataset| extension != *dataset)) && !shows(path)
    });
    let said = ended
        .iter()
        .flat_map(|ended| [&ended.stdout, &ended.stderr])
        .map(|text| ("said".into(), text.clone().into_bytes()));
    for (path, content) in files.chain(said) {
        let text = String::from_utf8_lossy(&content);
        for line in lines {
            let start: String = line.chars().take(20).collect();
            assert!(!text.contains(line.as_str()), "{} quotes {start:?}..", path.display());
        }
    }
}

#[test]
fn no_key_and_no_patients_text_is_in_any_log_or_file_of_a_whole_run() {
    // Some servers put all they were sent into their errors: once in one that passes, once in one that costs a row.
    let server = ChatServer::start(|n| match n {
        1 => Act::Quote(500),
        3 => Act::Quote(429),
        4 => Act::Quote(400),
        _ => Act::Answer,
    });
    let workspace = Workspace::new();
    let command = |command: &str| {
        workspace
            .command(command)
            .set("teacher.endpoint", server.url())
            .set("teacher.model", "\"extractive-1\"")
            .set("teacher.concurrency", 1)
            .set("teacher.api_key_env", "\"ASCLEPIUS_TEST_KEY\"")
            .env("ASCLEPIUS_TEST_KEY", KEY)
    };
    let mut ended = vec![command("plan").ends(0), command("run").arg("-vv").ends(0)];
    assert_eq!(dropped(&workspace.stage("notes")).len(), 1, "the server refused one");
    for again in ["run", "report"] {
        ended.push(command(again).arg("-vv").ends(0));
    }
    for (path, content) in snapshot(workspace.path()) {
        let found = content.windows(KEY.len()).any(|window| window == KEY.as_bytes());
        assert!(!found, "the key is in {}", path.display());
    }
    quotes_none(&lines_of(&workspace), &workspace.runs(), &ended);
}

#[test]
fn the_shared_run_of_all_tests_keeps_its_texts_to_its_datasets() {
    quotes_none(&lines_of(finished()), &finished().runs(), &[]);
}
