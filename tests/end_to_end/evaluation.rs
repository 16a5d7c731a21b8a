//! What models are asked, what their answers are worth, and how an evaluation goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use asclepius_dataset::{DatasetError, read_instructions, write_rows};
use asclepius_schema::{Instruction, Task};
use serde_json::Value;

use crate::support::{Act, Asclepius, ChatServer, Workspace, finished, json, lines, quoted, snapshot};

/// `asclepius eval` over the shared run's models and dataset, in a copy of it.
fn eval(workspace: &Workspace) -> Asclepius {
    workspace.command("eval").arg("--fresh")
}

fn report(workspace: &Workspace) -> Value {
    json(&workspace.stage("eval").join("report.json"))
}

fn list<'a>(value: &'a Value, name: &str) -> &'a Vec<Value> {
    value[name].as_array().expect("a list")
}

#[track_caller]
fn score<'a>(report: &'a Value, model: &str, set: &str, task: &str, measure: &str) -> &'a Value {
    let fits =
        |row: &&Value| row["model"] == model && row["set"] == set && row["task"] == task && row["measure"] == measure;
    list(report, "scores").iter().find(fits).expect("every measure of every table has a row")
}

/// Rows that their notes answer.
fn validation() -> Vec<Instruction> {
    let path = finished().stage("dataset").join("instructions-validation.parquet");
    let rows = read_instructions(&path).expect("opens").map(|row| row.expect("sound"));
    rows.filter(|row| !row.unanswerable).collect()
}

/// A set of questions of a test's own.
fn set(workspace: &Workspace, name: &str, rows: Vec<Instruction>) -> PathBuf {
    let path = workspace.path().join(name);
    write_rows::<_, DatasetError>(&path, rows.into_iter().map(Ok)).expect("writable");
    path
}

#[test]
fn every_number_can_be_looked_up() {
    let workspace = Workspace::finished();
    eval(&workspace).set("eval.questions", 8).ends(0);
    let report = report(&workspace);
    let models: Vec<&str> = list(&report, "models").iter().filter_map(|model| model["name"].as_str()).collect();
    assert_eq!(models, ["untrained", "pretrained", "tuned"]);
    let predictions = lines(&workspace.stage("eval").join("predictions.jsonl"));
    let mut measured = 0;
    for row in list(&report, "scores").iter().filter(|row| Task::parse(row["task"].as_str().expect("text")).is_some()) {
        let of_row = predictions.iter().filter(|line| {
            line["model"] == row["model"] && line["task"] == row["task"] && line["unanswerable"] == false
        });
        let (mut numerator, mut denominator, mut rows) = (0.0, 0.0, 0);
        for line in of_row {
            let measure = &line["measures"][row["measure"].as_str().expect("text")];
            numerator += measure[0].as_f64().expect("a number");
            denominator += measure[1].as_f64().expect("a number");
            rows += 1;
        }
        assert_eq!(row["rows"], rows, "{row}");
        match row["value"].as_f64() {
            None => assert_eq!(denominator, 0.0, "{row}"),
            Some(value) => {
                measured += 1;
                assert!((value - numerator / denominator).abs() < 1e-9, "{row}: {numerator} / {denominator}");
            }
        }
    }
    assert!(measured > 0);
    let losses = lines(&workspace.stage("eval").join("losses.jsonl"));
    for row in list(&report, "losses") {
        let of_row = || losses.iter().filter(|line| line["model"] == row["model"] && line["set"] == row["set"]);
        let sum = |name: &str| of_row().filter_map(|line| line[name].as_f64()).sum::<f64>();
        let (loss, bits) = (row["loss"].as_f64().expect("a loss"), row["bits_per_byte"].as_f64().expect("bits"));
        assert!((loss - sum("nats") / sum("tokens")).abs() < 1e-9, "{row}");
        assert!((bits - sum("nats") / std::f64::consts::LN_2 / sum("bytes")).abs() < 1e-9, "{row}");
        assert_eq!(row["rows"], of_row().count(), "{row}");
    }
    for line in &predictions {
        assert!(
            line["teacher_model"] == "extractive-1" && line["calls"][2].as_str().is_some_and(|key| key.len() == 32)
        );
    }
}

#[test]
fn a_table_without_rows_is_null_and_neither_nought_nor_an_error() {
    let workspace = Workspace::finished();
    let rows: Vec<_> = validation().into_iter().take(1).collect();
    let task = rows[0].task;
    let path = set(&workspace, "single.parquet", rows);
    eval(&workspace).set("eval.sets", format!("[{}]", quoted(&path))).ends(0);
    let report = report(&workspace);
    for other in Task::ALL.into_iter().filter(|other| *other != task) {
        let row = score(&report, "tuned", "single", other.key(), "token_f1");
        assert!(row["value"].is_null() && row["spread"].is_null() && row["rows"] == 0, "{row}");
    }
    let asked = score(&report, "tuned", "single", task.key(), "token_f1");
    assert!(asked["value"].is_number() && asked["spread"].is_null(), "one article has no interval: {asked}");
    // Nothing in the set is marked as unanswerable.
    assert!(score(&report, "tuned", "single", "abstention", "abstention_recall")["value"].is_null());
    let results = json(&workspace.stage("eval").join("results.json"));
    let empty = Task::ALL.into_iter().find(|other| *other != task).expect("eight tasks");
    let name = format!("asclepius_single_{}", empty.key());
    assert!(results["results"][&name]["token_f1,none"].is_null(), "{}", results["results"][&name]);
    assert_eq!(results["results"][&name]["token_f1_stderr,none"], "N/A");
    assert_eq!(results["n-samples"][&name]["effective"], 0);
    for part in ["configs", "versions", "n-shot", "higher_is_better"] {
        assert!(results[part].get(&name).is_some(), "{part}");
    }
    let page = fs_err::read_to_string(finished().stage("report").join("index.html")).expect("a page");
    assert!(!page.contains("NaN"));
}

#[test]
fn whether_to_answer_is_measured_on_rows_that_are_marked() {
    let workspace = Workspace::finished();
    let mut rows: Vec<_> = validation().into_iter().take(4).collect();
    for row in rows.iter_mut().take(3) {
        row.unanswerable = true;
        "The note does not mention it, so it cannot be answered from it.".clone_into(&mut row.answer);
    }
    let path = set(&workspace, "marked.parquet", rows);
    let server = ChatServer::start(|_| Act::Say("The note does not mention it."));
    let ended = eval(&workspace)
        .set("eval.sets", format!("[{}]", quoted(&path)))
        .set("eval.questions", 8)
        .set("eval.compare", format!("[{}]", server.url()));
    ended.ends(0);
    let report = report(&workspace);
    let value = |measure| score(&report, "stand-in", "marked", "abstention", measure)["value"].as_f64();
    assert_eq!(value("abstention_recall"), Some(1.0));
    assert_eq!(value("abstention_precision"), Some(0.75));
    assert_eq!(value("false_abstention"), Some(1.0));
    assert_eq!(score(&report, "stand-in", "marked", "all", "token_f1")["rows"], 1, "only what can be answered");
    assert_eq!(score(&report, "tuned", "marked", "abstention", "abstention_recall")["value"], 0.0);
}

#[test]
fn a_base_behind_examples_is_shown_rows_of_the_training_split() {
    let workspace = Workspace::finished();
    let command = || eval(&workspace).set("eval.shots", 2).set("eval.questions", 4);
    command().ends(0);
    let first = made(&workspace);
    let train = finished().stage("dataset").join("instructions-train.parquet");
    let train: BTreeSet<String> =
        read_instructions(&train).expect("opens").map(|row| row.expect("sound").row_id()).collect();
    let predictions = lines(&workspace.stage("eval").join("predictions.jsonl"));
    let shown: Vec<_> = predictions.iter().filter(|line| line["model"] == "untrained, 2 shots").collect();
    assert_eq!(shown.len(), 4);
    for line in shown {
        let examples: BTreeSet<_> = list(line, "examples").iter().filter_map(Value::as_str).collect();
        assert!(examples.len() <= 2 && !examples.is_empty(), "{line}");
        assert!(examples.iter().all(|row| train.contains(*row)), "{line}");
    }
    assert!(predictions.iter().filter(|line| line["model"] == "tuned").all(|line| list(line, "examples").is_empty()));
    command().ends(0);
    assert!(first == made(&workspace), "the same draws");
}

/// An evaluation's files but for the manifest, which says how long it took.
fn made(workspace: &Workspace) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = snapshot(&workspace.stage("eval"));
    files.remove(Path::new("manifest.json"));
    files
}

#[test]
fn drawn_answers_follow_the_seed() {
    let workspace = Workspace::finished();
    let texts = |seed: u64| {
        eval(&workspace).set("eval.temperature", 1.0).set("eval.seed", seed).ends(0);
        let predictions = lines(&workspace.stage("eval").join("predictions.jsonl"));
        predictions.iter().map(|line| line["text"].to_string()).collect::<Vec<_>>()
    };
    let first = texts(1);
    assert_eq!(first, texts(1));
    assert_ne!(first, texts(2));
}

#[test]
fn other_models_join_by_directory_and_by_endpoint_and_are_asked_once() {
    let workspace = Workspace::finished();
    let server = ChatServer::start(|_| Act::Say("Aspirin 100 mg."));
    let adapter = quoted(&finished().stage("sft").join("final"));
    let api = format!("{{ endpoint = {}, model = \"large\" }}", server.url());
    let command = || eval(&workspace).set("eval.compare", format!("[{adapter}, {api}]"));
    command().ends(0);
    let report = report(&workspace);
    let models: Vec<&str> = list(&report, "models").iter().filter_map(|model| model["name"].as_str()).collect();
    assert_eq!(models, ["untrained", "pretrained", "tuned", "sft/final", "large"]);
    let asked = server.requests();
    assert_eq!(asked, 2, "as many as there are questions");
    let predictions = lines(&workspace.stage("eval").join("predictions.jsonl"));
    let of = |model: &str| {
        let rows = predictions.iter().filter(|line| line["model"] == model);
        rows.map(|line| line["text"].to_string()).collect::<Vec<_>>()
    };
    assert_eq!(of("tuned"), of("sft/final"), "the same adapter on the same base");
    assert_eq!(of("large"), ["\"Aspirin 100 mg.\"", "\"Aspirin 100 mg.\""]);
    let called = predictions.iter().filter(|line| line["model"] == "large");
    assert!(called.clone().all(|line| line["request_key"].as_str().is_some_and(|key| key.len() == 32)));
    let differences = list(&report, "differences");
    assert!(differences.iter().all(|row| row["base"] == "untrained" && row["value"].is_number()));
    assert!(
        differences.iter().any(|row| row["model"] == "large")
            && !list(&report, "losses").iter().any(|row| row["model"] == "large")
    );
    command().ends(0);
    assert_eq!(server.requests(), asked, "answers are in the ledger");
}

#[test]
fn an_answer_that_an_api_cut_at_the_limit_is_an_answer() {
    let workspace = Workspace::finished();
    let server = ChatServer::start(|_| Act::SayUntilCut("Fever and"));
    let api = format!("[{{ endpoint = {}, model = \"large\" }}]", server.url());
    let command = |tokens: usize| eval(&workspace).set("eval.compare", &api).set("eval.max_tokens", tokens);
    command(8).ends(0);
    assert_eq!(server.requests(), 2, "nothing is asked twice");
    let predictions = lines(&workspace.stage("eval").join("predictions.jsonl"));
    for line in predictions.iter().filter(|line| line["model"] == "large") {
        assert!(line["finish"] == "length" && line["text"] != "", "{line}");
    }
    let report = report(&workspace);
    let large = list(&report, "models").iter().find(|model| model["name"] == "large").expect("it was asked");
    assert!(large["cut_off"] == 2 && large["unanswered"] == serde_json::json!({}), "{large}");
    command(8).ends(0);
    assert_eq!(server.requests(), 2, "cut answers are in the ledger");
    command(9).ends(0);
    assert_eq!(server.requests(), 4, "under another limit they are other answers");
}

#[test]
fn an_evaluation_that_broke_off_goes_on_with_the_next_model() {
    let workspace = Workspace::finished();
    fs_err::remove_dir_all(workspace.stage("eval")).expect("the finished run has it");
    let refusal = Act::Refuse(401, "", r#"{"error": {"message": "no"}}"#);
    let willing = Arc::new(AtomicBool::new(false));
    let opened = Arc::clone(&willing);
    let server = ChatServer::start(move |_| if opened.load(Ordering::Relaxed) { Act::Say("Fever.") } else { refusal });
    let api = format!("[{{ endpoint = {}, model = \"large\", concurrency = 1 }}]", server.url());
    let command = || workspace.command("eval").set("eval.compare", &api);
    command().ends(1).says(&["large", &server.host(), "401"]);
    assert!(!workspace.stage("eval").exists());
    let kept = snapshot(&workspace.run_dir().join(".eval.models"));
    assert_eq!(kept.len(), 3, "what the run's own models gave: {:?}", kept.keys());
    willing.store(true, Ordering::Relaxed);
    command().ends(0);
    assert!(!workspace.run_dir().join(".eval.models").exists());
    let continued = made(&workspace);
    command().arg("--fresh").ends(0);
    assert!(continued == made(&workspace), "as if it had not broken off");
    command().ends(0).says(&["up to date"]);
    command().set("eval.max_tokens", 4).ends(0).says(&["4 of 4 models"]);
}

#[test]
fn text_kept_aside_has_a_loss_of_its_own() {
    let workspace = Workspace::finished();
    let file = workspace.path().join("general.txt");
    fs_err::write(&file, "The ship left the harbour at noon.\n\nBread needs flour, water and salt.\n")
        .expect("writable");
    eval(&workspace).set("eval.general", quoted(&file)).set("eval.questions", 0).ends(0);
    let report = report(&workspace);
    let general: Vec<_> = list(&report, "losses").iter().filter(|row| row["set"] == "general").collect();
    assert_eq!(general.len(), 3);
    assert!(general.iter().all(|row| row["rows"] == 2 && row["bits_per_byte"].as_f64().is_some_and(|bits| bits > 0.0)));
    let over = list(&report, "differences").iter().filter(|row| row["set"] == "general" && row["measure"] == "loss");
    assert_eq!(over.count(), 2);
}

#[test]
fn wrong_settings_are_named_before_any_work() {
    let workspace = Workspace::finished();
    fs_err::remove_dir_all(workspace.stage("eval")).expect("the finished run has it");
    let empty = workspace.path().join("empty.txt");
    fs_err::write(&empty, "\n").expect("writable");
    for (key, value, words) in [
        ("eval.temperature", "-1.0", &["eval.temperature", "-1"][..]),
        ("eval.top_p", "0.0", &["eval.top_p"]),
        ("eval.rows", "0", &["eval.rows"]),
        ("eval.resamples", "1", &["eval.resamples"]),
        ("eval.sets", "[\"rows.csv\"]", &["eval.sets", "rows.csv"]),
        ("eval.sets", "[\"absent.parquet\"]", &["absent.parquet"]),
        ("eval.general", "\"absent.txt\"", &["absent.txt"]),
        ("eval.compare", "[\"no/such/place\"]", &["eval.compare[0]", "no/such/place"]),
        ("eval.compare", "[{ endpoint = \"http://127.0.0.1:9/v1\" }]", &["eval.compare[0]", "model"]),
        ("eval.compare", "[{ endpoint = \"embedded:extractive\" }]", &["eval.compare[0]", "endpoint"]),
        ("eval.compare", "[{ endpoint = \"http://127.0.0.1:9/v1\", modle = \"x\" }]", &["modle"]),
    ] {
        workspace.command("eval").set(key, value).ends(2).says(words);
        assert!(!workspace.stage("eval").exists(), "{key} = {value}");
    }
    workspace.command("eval").set("eval.general", quoted(&empty)).ends(2).says(&["eval.general", "empty.txt"]);
}

#[test]
fn a_report_is_printed_as_markdown_and_its_page_loads_nothing() {
    let workspace = Workspace::finished();
    let printed = workspace.command("report").args(&["--format", "md"]).ends(0).stdout;
    for words in ["# tiny", "## Held-out evaluation", "| tuned |", "Named Entity Recognition", "extractive teacher"] {
        assert!(printed.contains(words), "{words:?} is not in\n{printed}");
    }
    let page = workspace.command("report").args(&["--format", "html"]).ends(0).stdout;
    for words in ["Side by side", "Every measure", "bits a byte"] {
        assert!(page.contains(words), "{words:?} is not on the page");
    }
    assert!(["src=", "href=", "@import", "url("].iter().all(|marker| !page.contains(marker)));
}

#[test]
fn a_judge_rates_blind_and_what_it_says_otherwise_is_no_rating() {
    // One of the first run's replies cannot be read.
    static FIRST: AtomicBool = AtomicBool::new(true);
    let workspace = Workspace::finished();
    let server = ChatServer::judging(|_, prompt| {
        assert!(!prompt.contains("untrained") && !prompt.contains("tuned"), "no model is named");
        match FIRST.swap(false, Ordering::Relaxed) {
            true => Act::Say("I like the first one."),
            false => Act::Say("{\"A\": 1, \"B\": 2, \"C\": 4}"),
        }
    });
    let judge = format!(
        "{{ endpoint = {}, model = \"judge\", concurrency = 1, price_per_million_input = 0.0, price_per_million_output = 1e5 }}",
        server.url()
    );
    let command = || eval(&workspace).set("eval.judge", &judge).set("eval.questions", 4);
    command().ends(0);
    let report = report(&workspace);
    let judged = &report["judge"];
    assert_eq!(
        (&judged["replies"], &judged["unreadable"], &judged["runs"]),
        (&8.into(), &1.into(), &2.into()),
        "{judged}"
    );
    // A tenth of a dollar a word: seven replies of six and one of five.
    assert!(judged["cost_usd"].as_f64().is_some_and(|cost| (cost - 4.7).abs() < 1e-9), "{judged}");
    assert!(judged["agreement"]["items_compared"] == 9, "{judged}");
    let judgements = lines(&workspace.stage("eval").join("judgements.jsonl"));
    assert_eq!(judgements.len(), 24);
    for model in list(judged, "models") {
        assert_eq!(model["ratings"], 7, "{model}");
        let of_model = judgements.iter().filter(|row| row["model"] == model["model"]);
        let ratings: Vec<f64> = of_model.clone().filter_map(|row| row["rating"].as_f64()).collect();
        let mean = ratings.iter().sum::<f64>() / 7.0;
        assert!(model["mean"].as_f64().is_some_and(|found| (found - mean).abs() < 1e-9), "{model}");
        // The letters move, so a judge that likes the third place likes no model.
        let letters: BTreeSet<String> = of_model.map(|row| row["letter"].to_string()).collect();
        assert!(letters.len() > 1, "{model}");
    }
    let asked = server.requests();
    command().ends(0);
    assert_eq!(server.requests(), asked, "ratings are in the ledger");
    eval(&workspace).set("eval.judge", "{ endpoint = \"embedded:extractive\" }").ends(2).says(&["eval.judge"]);
    let page =
        workspace.command("report").set("eval.judge", &judge).set("eval.questions", 4).args(&["--format", "html"]);
    assert!(page.ends(0).stdout.contains("weighted kappa"));
}
