//! A model that rates what the rules let through: what becomes of its ratings, and what they cost.

use std::path::Path;

use asclepius_dataset::{read_instructions, read_notes};
use asclepius_schema::{Instruction, Note, hash_bytes};
use asclepius_text::judge::{ANSWER_PROMPT, NOTE_PROMPT};
use serde_json::{Value, json};

use crate::support::{
    Act, Asclepius, ChatServer, KEY, Seen, Workspace, asclepius, dropped, finished, lines, manifest, quoted, reports,
    snapshot,
};

const FAULTLESS: &str = r#"{"added": [], "contradicted": [], "reason": "all of it is there", "score": 4}"#;
const WRONG: &str =
    r#"{"added": [], "contradicted": ["on the left"], "reason": "the side is the other one", "score": 1}"#;
const FAULTLESS_ANSWER: &str = r#"{"reason": "right and complete", "score": 4}"#;
const BRIEF_ANSWER: &str = r#"{"reason": "leaves out the dose", "score": 3}"#;

/// What to say of a note, or of an answer.
fn faultless(prompt: &str) -> &'static str {
    if prompt.contains("<answer>") { FAULTLESS_ANSWER } else { FAULTLESS }
}

/// The dataset stage over the shared run's rows, rated by `server` one at a time.
fn rated(workspace: &Workspace, server: &ChatServer) -> Asclepius {
    unrated(workspace)
        .set("dataset.judge.endpoint", server.url())
        .set("dataset.judge.model", "\"judge-1\"")
        .set("dataset.judge.concurrency", 1)
}

/// The same without a judge.
fn unrated(workspace: &Workspace) -> Asclepius {
    workspace.command("dataset").set("dataset.input", quoted(&finished().stage("instructions")))
}

/// Notes and instructions that every rule lets through.
fn through() -> (usize, usize) {
    let manifest = manifest(&finished().stage("dataset"));
    let count = |value: &Value| value.as_u64().expect("a count") as usize;
    (count(&manifest["also"]["note"]["out"]), count(&manifest["counts"]["out"]))
}

fn notes(workspace: &Workspace) -> Vec<Note> {
    let file = |split| workspace.stage("dataset").join(format!("notes-{split}.parquet"));
    let rows = ["train", "validation"].map(|split| read_notes(&file(split)).expect("opens"));
    rows.into_iter().flatten().map(|row| row.expect("sound")).collect()
}

fn instructions(workspace: &Workspace) -> Vec<Instruction> {
    let file = |split| workspace.stage("dataset").join(format!("instructions-{split}.parquet"));
    let rows = ["train", "validation"].map(|split| read_instructions(&file(split)).expect("opens"));
    rows.into_iter().flatten().map(|row| row.expect("sound")).collect()
}

fn score(scores: &[(String, f32)]) -> Option<f32> {
    scores.iter().find(|(gate, _)| gate == "judge").map(|(_, score)| *score)
}

fn parquet(stage: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    snapshot(stage).into_iter().filter(|(path, _)| path.extension().is_some_and(|it| it == "parquet")).collect()
}

#[test]
fn ratings_stand_in_the_rows_with_the_call_that_gave_them() {
    let server =
        ChatServer::judging(|_, prompt| Act::Say(if prompt.contains("<answer>") { BRIEF_ANSWER } else { FAULTLESS }));
    let workspace = Workspace::new();
    rated(&workspace, &server).ends(0);
    let (note_count, row_count) = through();
    assert_eq!(server.requests(), note_count + row_count);
    assert!(server.seen().iter().all(|seen| seen.schema), "the server takes a schema");

    let rows = notes(&workspace);
    assert_eq!(rows.len(), note_count);
    for note in &rows {
        let judge = note.judge.as_ref().expect("it was rated");
        assert_eq!((score(&note.scores), judge.model.as_str()), (Some(4.0), "judge-1"));
        assert_eq!(judge.call.prompt_hash, hash_bytes(NOTE_PROMPT.1.as_bytes()));
        assert_eq!((judge.call.request_key.len(), judge.call.finish_reason.as_str()), (32, "stop"));
        assert!(judge.call.prompt_tokens > 100 && judge.call.completion_tokens > 0);
        let shown = |seen: &&Seen| seen.prompt.contains(&format!("<note>\n{}\n</note>", note.note));
        assert!(server.seen().iter().find(shown).is_some_and(|seen| seen.prompt.contains("<report>\n")));
    }
    for row in instructions(&workspace) {
        assert_eq!(score(&row.scores), Some(3.0));
        assert_eq!(row.judge.expect("it was rated").call.prompt_hash, hash_bytes(ANSWER_PROMPT.1.as_bytes()));
    }
    // The rows are otherwise those that no judge saw.
    let plain = |note: &Note| {
        let scores = note.scores.iter().filter(|(gate, _)| gate != "judge").cloned().collect();
        Note { scores, judge: None, ..note.clone() }
    };
    assert_eq!(rows.iter().map(plain).collect::<Vec<_>>(), notes(finished()));

    let manifest = manifest(&workspace.stage("dataset"));
    let judge = &manifest["details"]["judge"];
    assert_eq!(judge["model"], "judge-1");
    assert_eq!(judge["ratings"]["note"], json!({"rated": {"4": note_count}, "unrated": {}, "pending": 0}));
    assert_eq!(judge["ratings"]["instruction"]["rated"], json!({"3": row_count}));
    assert_eq!(manifest["details"]["calls"], note_count + row_count);
    assert!(manifest["tokens"]["input"].as_u64() > Some(1000), "{manifest}");
    let figures = &manifest["details"]["gates"]["note"]["judge"];
    assert_eq!((&figures["scored"], &figures["threshold"]), (&json!(note_count), &Value::Null), "{figures}");

    let card = asclepius(["data", "card"]).arg(workspace.pipeline()).ends(0).stdout;
    for words in ["### The judge", "judge-1", "| judge of the answer | judge-answer.v2.jinja |", "name: judge_model"] {
        assert!(card.contains(words), "{words:?} is not in:\n{card}");
    }
    let calls = asclepius(["data", "calls"]).arg(workspace.pipeline()).arg("--json").ends(0).stdout;
    let calls: Value = serde_json::from_str(&calls).expect("JSON");
    assert_eq!(calls["judge note reply"]["calls"], note_count, "{calls}");
    assert_eq!(calls["judge answer reply"]["calls"], row_count);
    asclepius(["data", "validate"]).arg(workspace.pipeline()).ends(0);
}

#[test]
fn without_a_judge_nothing_is_different() {
    let workspace = Workspace::new();
    let server = ChatServer::judging(|_, prompt| Act::Say(faultless(prompt)));
    rated(&workspace, &server).ends(0);
    unrated(&workspace).set("dataset.judge_max_tokens", 7).ends(0);
    let (ours, theirs) = (workspace.stage("dataset"), finished().stage("dataset"));
    assert!(parquet(&ours) == parquet(&theirs));
    let of = |stage: &Path| {
        let mut manifest = manifest(stage);
        manifest["seconds"] = Value::Null;
        manifest
    };
    assert_eq!(of(&ours), of(&theirs), "not even the fingerprint");
    let card = |workspace: &Workspace| asclepius(["data", "card"]).arg(workspace.pipeline()).ends(0).stdout;
    assert!(!card(finished()).contains("judge_") && !card(finished()).contains("The judge"));
}

#[test]
fn a_threshold_drops_what_is_rated_below_it_and_asks_nothing_about_it() {
    let server =
        ChatServer::judging(|_, prompt| Act::Say(if prompt.contains("<answer>") { FAULTLESS_ANSWER } else { WRONG }));
    let first = notes(finished()).into_iter().map(|note| note.report_id.to_string()).min().expect("a note");
    let workspace = Workspace::new();
    // Nothing is left, and nothing is asked about notes that are gone.
    rated(&workspace, &server).set("dataset.gates.judge", 3).ends(1).says(&["judge", "note"]);
    let (note_count, row_count) = through();
    assert_eq!(server.requests(), note_count);

    let of_first = instructions(finished()).iter().filter(|row| row.report_id.as_str() == first).count();
    let order: Vec<String> = read_notes(&finished().stage("notes").join("notes.parquet"))
        .expect("opens")
        .map(|row| row.expect("sound").report_id.to_string())
        .filter(|id| notes(finished()).iter().any(|note| note.report_id.as_str() == id))
        .collect();
    let at = order.iter().position(|id| *id == first).expect("it is in");
    let server = ChatServer::judging(move |n, prompt| Act::Say(if n == at { WRONG } else { faultless(prompt) }));
    let workspace = Workspace::new();
    let strict = || rated(&workspace, &server).set("dataset.gates.judge", 3);
    strict().ends(0).says(&["1 judge"]);
    assert_eq!(server.requests(), note_count + row_count - of_first);
    let stage = workspace.stage("dataset");
    let listed = dropped(&stage);
    assert!(listed.contains(&(first.clone(), "judge".to_owned())), "{listed:?}");
    assert_eq!(listed.iter().filter(|(_, reason)| reason == "note_dropped").count(), of_first);
    let rows = lines(&stage.join("dropped.jsonl"));
    let row = rows.iter().find(|row| row["reason"] == "judge").expect("just seen");
    assert_eq!(row["detail"], r#"judge: rated 1 of 4: the side is the other one [contradicted: "on the left"]"#);
    let figures = &manifest(&stage)["details"]["gates"]["note"]["judge"];
    assert_eq!((&figures["threshold"], &figures["dropped"], &figures["failed"]), (&json!(3.0), &json!(1), &json!(1)));
    let before = parquet(&stage);

    // A threshold re-reads; what was not asked for the note that was gone is asked now.
    rated(&workspace, &server).ends(0);
    assert_eq!(server.requests(), note_count + row_count);
    assert_eq!(notes(&workspace).len(), note_count);
    strict().ends(0);
    assert_eq!(server.requests(), note_count + row_count, "nothing is asked twice");
    assert!(parquet(&stage) == before);
    strict().ends(0).says(&["up to date"]);
}

#[test]
fn replies_that_cannot_be_read_are_asked_for_again_then_counted_and_are_no_score() {
    let fenced = "My verdict {as asked}:\n```json\n{\"reason\": \"fine\", \"score\": 4}\n```\nThat is all.";
    // The first request shows that the server holds nothing to a schema. Then all notes come, then two of them again.
    let (note_count, row_count) = through();
    let again = 1 + note_count;
    let server = ChatServer::start(move |n| {
        Act::SayInWords(match n {
            2 => "Rating: 0",
            3 => "I would say four.",
            n if n == again => "{\"score\": 0}",
            _ => fenced,
        })
    });
    let workspace = Workspace::new();
    let strict = || rated(&workspace, &server).set("dataset.gates.judge", 2);
    strict().ends(0).says(&["no rating", "malformed"]);
    assert_eq!(server.requests(), 1 + note_count + row_count + 2);
    let seen = server.seen();
    assert!(seen[0].schema && seen[1..].iter().all(|seen| !seen.schema), "one look is enough");
    assert!(seen[again].prompt.contains("no JSON object"), "{}", seen[again].prompt);

    let rows = notes(&workspace);
    assert_eq!(rows.len(), note_count, "a row that nobody could rate stays");
    let scores: Vec<_> = rows.iter().map(|note| score(&note.scores)).collect();
    assert_eq!(scores.iter().filter(|score| score.is_none()).count(), 1);
    assert!(scores.iter().flatten().all(|score| *score == 4.0), "{scores:?}");
    assert_eq!(rows.iter().filter(|note| note.judge.is_none()).count(), 1);
    let manifest = manifest(&workspace.stage("dataset"));
    let ratings = &manifest["details"]["judge"]["ratings"];
    assert_eq!(ratings["note"], json!({"rated": {"4": note_count - 1}, "unrated": {"malformed": 1}, "pending": 0}));
    let figures = &manifest["details"]["gates"]["note"]["judge"];
    assert_eq!((&figures["scored"], &figures["mean"]), (&json!(note_count - 1), &json!(4.0)), "{figures}");
    let card = asclepius(["data", "card"]).arg(workspace.pipeline()).ends(0).stdout;
    assert!(card.contains(&format!("| note | 0 | 0 | 0 | {} | malformed 1 | 0 |", note_count - 1)), "{card}");

    let (before, asked) = (parquet(&workspace.stage("dataset")), server.requests());
    strict().arg("--fresh").ends(0);
    assert_eq!(server.requests(), asked, "what could not be read is in the ledger, too");
    assert!(parquet(&workspace.stage("dataset")) == before);
}

#[test]
fn a_judge_that_goes_down_is_continued_with_and_nothing_is_paid_twice() {
    let answers = |_: usize, prompt: &str| Act::Say(faultless(prompt));
    let whole = Workspace::new();
    let server = ChatServer::judging(answers);
    rated(&whole, &server).set("dataset.judge.concurrency", 6).ends(0);

    let (note_count, row_count) = through();
    // Once among the notes, once among the answers.
    let workspace = Workspace::new();
    for stop in [2, note_count] {
        let server = ChatServer::judging(move |n, prompt| if n < stop { answers(n, prompt) } else { Act::Vanish });
        let command = rated(&workspace, &server).set("dataset.judge.patience_seconds", 1);
        command.ends(3).says(&[&server.host(), "dataset.judge.patience_seconds"]);
        assert!(!workspace.stage("dataset").exists(), "half a stage is none");
    }
    let back = ChatServer::judging(answers);
    rated(&workspace, &back).ends(0);
    assert_eq!(back.requests(), row_count - 2, "only what was not answered is asked");
    assert!(parquet(&workspace.stage("dataset")) == parquet(&whole.stage("dataset")));
}

#[test]
fn a_budget_leaves_rows_pending_and_is_the_judges_own() {
    // A verdict on a note has ten words, and may have 100 tokens at a dollar: 121 dollars allow three.
    let words = FAULTLESS.split_whitespace().count();
    let server = ChatServer::judging(|_, prompt| Act::Say(faultless(prompt)));
    let workspace = Workspace::new();
    let with_budget = |budget: usize| {
        rated(&workspace, &server)
            .set("dataset.judge_max_tokens", 100)
            .set("dataset.judge.price_per_million_input", "0.0")
            .set("dataset.judge.price_per_million_output", "1e6")
            .set("dataset.judge.budget_usd", format!("{budget}.0"))
            .set("teacher.price_per_million_input", "0.0")
            .set("teacher.price_per_million_output", "1.0")
            .set("teacher.budget_usd", "0.0")
    };
    let ended = with_budget(100 + 2 * words);
    ended.ends(3).says(&["pending", "dataset.judge.budget_usd"]);
    assert_eq!(server.requests(), 3);
    let (note_count, row_count) = through();
    let first = manifest(&workspace.stage("dataset"));
    assert_eq!(first["cost_usd"], json!((3 * words) as f64));
    let counts = &first["also"]["note"];
    assert_eq!((&counts["out"], &counts["pending"]), (&json!(3), &json!(note_count - 3)), "{first}");
    assert_eq!((&first["counts"]["out"], &first["counts"]["pending"]), (&json!(0), &json!(row_count)), "{first}");
    assert_eq!(notes(&workspace).len(), 3);

    with_budget(100_000).ends(0).says(&["$"]);
    assert_eq!(server.requests(), note_count + row_count, "only the rest is asked");
    let last = manifest(&workspace.stage("dataset"));
    assert_eq!((&last["counts"]["pending"], &last["also"]["note"]["pending"]), (&json!(0), &json!(0)));
    with_budget(1).ends(0).says(&["up to date"]);
}

#[test]
fn who_judges_and_by_which_prompt_makes_it_stale_and_how_fast_does_not() {
    let server = ChatServer::judging(|_, prompt| Act::Say(faultless(prompt)));
    let workspace = Workspace::new();
    rated(&workspace, &server).ends(0);
    let elsewhere = ChatServer::judging(|_, prompt| Act::Say(faultless(prompt)));
    rated(&workspace, &elsewhere)
        .set("dataset.judge.concurrency", 5)
        .set("dataset.judge.price_per_million_input", 1.0)
        .ends(0)
        .says(&["up to date"]);
    assert_eq!(elsewhere.requests(), 0);

    let (note_count, row_count) = through();
    let prompt = workspace.path().join("mine.jinja");
    fs_err::write(&prompt, format!("{}\nBe strict.\n", NOTE_PROMPT.1)).expect("writable");
    let own = || rated(&workspace, &server).set("dataset.judge_note_prompt", quoted(&prompt));
    own().ends(0);
    assert_eq!(server.requests(), 2 * note_count + row_count, "only the prompt about notes is another");
    let hash = hash_bytes(&fs_err::read(&prompt).expect("just written"));
    assert!(notes(&workspace).iter().all(|note| note.judge.as_ref().is_some_and(|it| it.call.prompt_hash == hash)));
    let card = asclepius(["data", "card"]);
    let card = card.arg(workspace.pipeline()).set("dataset.judge_note_prompt", quoted(&prompt)).ends(0).stdout;
    assert!(card.contains("| judge of the note | mine.jinja |"), "{card}");

    rated(&workspace, &server).set("dataset.judge.model", "\"judge-2\"").ends(0);
    assert_eq!(server.requests(), 3 * note_count + 2 * row_count, "another model is asked everything");
    rated(&workspace, &server).ends(0);
    assert_eq!(server.requests(), 3 * note_count + 2 * row_count, "the first one's ratings are in the ledger");
    let missing = rated(&workspace, &server).set("dataset.judge_note_prompt", "\"no/such.jinja\"");
    missing.ends(2).says(&["no/such.jinja"]);
}

#[test]
fn a_judge_that_cannot_be_is_refused_before_any_work() {
    let judge = "[dataset.judge]\nendpoint = \"http://127.0.0.1:9/v1\"\n";
    for (pipeline, words) in [
        ("[dataset.gates]\njudge = 3\n".to_owned(), ["gates.judge", "[dataset.judge]"]),
        (judge.to_owned(), ["dataset.judge.model", "is needed"]),
        (format!("{judge}model = \"m\"\nend_point = 1\n"), ["`dataset.judge.end_point`", "`dataset.judge.endpoint`"]),
        (format!("{judge}model = \"m\"\nbudget_usd = 3\n"), ["dataset.judge.budget_usd", "price_per_million"]),
        (format!("{judge}model = \"m\"\nconcurrency = \"x\"\n"), ["pipeline.toml", "concurrency"]),
        ("[dataset.judge]\nmodel = \"m\"\n".to_owned(), ["dataset.judge.endpoint", "embedded:extractive"]),
        (format!("{judge}model = \"m\"\n[dataset.gates]\njudge = 5\n"), ["gate judge", "from 1 to 4"]),
        (format!("[dataset]\njudge_max_tokens = 0\n{judge}model = \"m\"\n"), ["judge_max_tokens", "at least 1"]),
    ] {
        let workspace = Workspace::with(&pipeline);
        workspace.command("dataset").ends(2).says(&words);
        assert!(!workspace.runs().exists(), "{pipeline}");
    }
    let workspace = Workspace::finished();
    let server = ChatServer::start(|_| Act::Say(FAULTLESS));
    let command = || {
        workspace
            .command("dataset")
            .set("dataset.judge.endpoint", server.url())
            .set("dataset.judge.model", "\"judge-1\"")
            .set("dataset.judge.api_key_env", "\"ASCLEPIUS_TEST_JUDGE_KEY\"")
            .without("ASCLEPIUS_TEST_JUDGE_KEY")
    };
    command().ends(2).says(&["dataset.judge.api_key_env", "ASCLEPIUS_TEST_JUDGE_KEY"]);
    let refuses = ChatServer::start(|_| Act::Refuse(401, "", r#"{"error": {"message": "no"}}"#));
    let ended = command().set("dataset.judge.endpoint", refuses.url()).env("ASCLEPIUS_TEST_JUDGE_KEY", KEY);
    ended.ends(1).says(&["401", "dataset.judge.api_key_env"]);
}

#[test]
fn a_plan_prices_the_judge_before_anything_is_asked() {
    let plan = |workspace: &Workspace, judge: bool| {
        let command = asclepius(["plan"]).arg(workspace.pipeline()).arg("--json");
        let command = match judge {
            false => command,
            true => command
                .set("dataset.judge.endpoint", "\"http://127.0.0.1:9/v1\"")
                .set("dataset.judge.model", "\"judge-1\"")
                .set("dataset.judge.price_per_million_input", 1.0)
                .set("dataset.judge.price_per_million_output", 10.0),
        };
        serde_json::from_str::<Value>(&command.ends(0).stdout).expect("JSON")
    };
    let judged = &plan(finished(), true)["judge"];
    // Each note once, and the answers to both of its instructions.
    assert_eq!(judged["requests"], 3 * reports(), "{judged}");
    let (sent, received) = (judged["prompt_tokens"].as_u64(), judged["completion_tokens"].as_u64());
    let cost = sent.expect("a count") as f64 / 1e6 + received.expect("a count") as f64 / 1e5;
    assert!((judged["cost_usd"].as_f64().expect("prices are given") - cost).abs() < 1e-9, "{judged}");
    assert!(judged["cost_usd_at_most"].as_f64() > judged["cost_usd"].as_f64());
    assert!(plan(finished(), false).get("judge").is_none());
}
