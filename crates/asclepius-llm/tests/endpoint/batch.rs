//! Calls through the Batch API: what becomes of each request, and of a run that is killed at any moment.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use asclepius_llm::{BatchPace, Call, Client, Completion, Ledger, LlmError, Outcome, Pace, TeacherConfig, Trouble};
use asclepius_schema::Reason;
use serde_json::Value;
use tempfile::TempDir;

use super::batches::{BatchServer, End, Fate, MOMENTS};
use super::{QUICK, call, config, reason, text};

/// A prompt costs a dollar a token before the discount, and a reply too.
fn batched() -> TeacherConfig {
    TeacherConfig { batch: true, price_per_million_input: Some(1e6), price_per_million_output: Some(1e6), ..config() }
}

fn open(config: &TeacherConfig, url: &str, ledger: &Path, most_requests: usize) -> Client {
    let pace = Pace { batch: BatchPace { most_requests, ..QUICK.batch }, ..QUICK };
    Client::open_with(config, url, None, ledger, pace, None).expect("the ledger opens")
}

fn directory() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn rows(count: usize) -> Vec<Call> {
    (0..count).map(|row| call(&format!("r{row:02}"))).collect()
}

async fn ask(client: &Client, calls: &[Call]) -> Vec<Completion> {
    let all = futures::future::join_all(calls.iter().map(|call| client.complete(call))).await;
    all.into_iter().map(|completion| completion.expect("the endpoint is usable")).collect()
}

/// The rows whose replies the ledger holds, each as often as it does.
fn replies(ledger: &Path) -> Vec<String> {
    let entries = Ledger::read(ledger).expect("listed").map(|entry| entry.expect("sound"));
    entries.filter(|entry| matches!(entry.outcome, Outcome::Reply { .. })).map(|entry| entry.row_id).collect()
}

/// The row that a request of a batch is about.
fn row(request: &Value) -> String {
    let prompt = request["body"]["messages"][0]["content"].as_str().expect("a prompt");
    prompt.split("about ").nth(1).and_then(|rest| rest.split('<').next()).expect("as `call` writes it").to_owned()
}

#[tokio::test]
async fn calls_are_gathered_split_and_paid_at_half_the_price() {
    let server = BatchServer::start(|_, _| Fate::Say("fine"), |_| End::Completed).await;
    let ledger = directory();
    let client = open(&batched(), &server.url, ledger.path(), 5);
    for completion in ask(&client, &rows(12)).await {
        assert_eq!(text(&completion), "fine");
    }
    let begun = server.begun();
    assert_eq!((begun.len(), server.batches()), (12, 3), "five at most in each");
    let ids: BTreeSet<&str> = begun.iter().filter_map(|request| request["custom_id"].as_str()).collect();
    assert_eq!(ids.len(), 12);
    for request in &begun {
        assert_eq!((&request["method"], &request["url"]), (&"POST".into(), &"/v1/chat/completions".into()));
        assert_eq!((&request["body"]["model"], &request["body"]["max_tokens"]), (&"m".into(), &100.into()));
    }
    // 11 tokens sent and 5 received, a dollar each, less a half.
    assert!((client.stats().cost_usd - 12.0 * 8.0).abs() < 1e-9);
    client.stats().check().expect("every call ended");
    client.shutdown(Duration::ZERO).await;
    drop(client);

    let client = open(&batched(), &server.url, ledger.path(), 5);
    assert!((client.stats().spent_usd - 96.0).abs() < 1e-9);
    for completion in ask(&client, &rows(12)).await {
        assert_eq!(text(&completion), "fine");
    }
    assert_eq!(server.begun().len(), 12, "the ledger knows them all");
}

#[tokio::test]
async fn every_end_of_a_request_has_its_own_rule() {
    let filtered = r#"{"error": {"message": "no", "code": "content_filter"}}"#;
    let server = BatchServer::start(
        move |begun, request| match (begun < 6, row(request).as_str()) {
            (true, "r00") => Fate::Cut,
            (true, "r01") => Fate::Status(500, "oops"),
            (true, "r02") => Fate::Expire,
            (true, "r03") => Fate::Missing,
            (true, "r04") => Fate::Garbage,
            (_, "r05") => Fate::Status(400, filtered),
            _ => Fate::Say("fine"),
        },
        |_| End::Expired,
    )
    .await;
    let ledger = directory();
    let client = open(&batched(), &server.url, ledger.path(), 50);
    let ended = ask(&client, &rows(6)).await;
    assert!(ended[..5].iter().all(|completion| text(completion) == "fine"));
    assert_eq!(reason(&ended[5]), Reason::Filtered);
    let begun = server.begun();
    assert_eq!(begun.len(), 6 + 5, "each but the refused one is asked once more");
    let again = begun[6..].iter().find(|request| row(request) == "r00").expect("it was cut short");
    assert_eq!(again["body"]["max_tokens"], 200);
    // Five whole replies and one cut short, 8 dollars each; what is garbage may have cost all that was set aside.
    let most = (35.0 + 16.0 + 100.0) / 2.0;
    assert!((client.stats().spent_usd - (6.0 * 8.0 + most)).abs() < 1e-9, "{}", client.stats().spent_usd);
    client.stats().check().expect("every call ended");
    client.shutdown(Duration::ZERO).await;
    drop(client);
    let found = Ledger::open(ledger.path()).expect("sound").found();
    assert_eq!(found.open_intents, 0, "what was not billed does not count");
    assert!((found.paid.cost_usd - (48.0 + most)).abs() < 1e-9, "{found:?}");
}

#[tokio::test]
async fn a_batch_that_ends_without_a_file_is_asked_again_and_in_the_end_left_pending() {
    let server = BatchServer::start(|_, _| Fate::Missing, |_| End::Completed).await;
    let ledger = directory();
    let client = open(&batched(), &server.url, ledger.path(), 50);
    for completion in ask(&client, &rows(3)).await {
        assert!(matches!(completion, Completion::Pending { .. }), "{completion:?}");
    }
    assert_eq!(server.batches(), QUICK.attempts as usize);
    assert!(client.stats().spent_usd.abs() < 1e-9);
}

#[tokio::test]
async fn a_cancelled_batch_is_not_begun_again_by_itself() {
    let cancelled = AtomicUsize::new(0);
    let server = BatchServer::start(
        |begun, _| if begun == 1 { Fate::Missing } else { Fate::Say("fine") },
        move |_| if cancelled.fetch_add(1, Ordering::Relaxed) == 0 { End::Cancelled } else { End::Completed },
    )
    .await;
    let ledger = directory();
    let client = open(&batched(), &server.url, ledger.path(), 50);
    let ended = ask(&client, &rows(3)).await;
    assert_eq!((text(&ended[0]), text(&ended[2])), ("fine", "fine"), "what was answered before is kept");
    assert!(matches!(&ended[1], Completion::Pending { detail } if detail.contains("cancelled")), "{:?}", ended[1]);
    client.shutdown(Duration::ZERO).await;
    drop(client);
    let client = open(&batched(), &server.url, ledger.path(), 50);
    assert_eq!(text(&ask(&client, &rows(3)).await[1]), "fine");
    assert_eq!(server.begun().len(), 4);
}

#[tokio::test]
async fn what_may_be_queued_is_found_out() {
    let server =
        BatchServer::start(|_, _| Fate::Say("fine"), |n| if n > 4 { End::TooMuch } else { End::Completed }).await;
    let ledger = directory();
    let client = open(&batched(), &server.url, ledger.path(), 50);
    for completion in ask(&client, &rows(13)).await {
        assert_eq!(text(&completion), "fine");
    }
    assert_eq!(server.begun().len(), 13, "none was begun twice");
    assert!(server.batches() <= 13, "{}", server.batches());

    let told = TeacherConfig { batch_enqueued_tokens: Some(200), ..batched() };
    let ledger = directory();
    let told = open(&told, &server.url, ledger.path(), 50);
    let before = server.batches();
    ask(&told, &rows(13)).await;
    assert!(server.batches() - before >= 4, "as configured, no batch was turned away");
}

#[tokio::test]
async fn a_file_that_is_refused_ends_the_run_in_clear_words() {
    let server = BatchServer::start(|_, _| Fate::Say("fine"), |_| End::Invalid).await;
    let ledger = directory();
    let client = open(&batched(), &server.url, ledger.path(), 50);
    let error = client.complete(&call("r1")).await.expect_err("nothing will come of it");
    assert!(error.to_string().contains("invalid_json_line") && error.to_string().contains(&server.url), "{error}");
    assert!(matches!(error, LlmError::Endpoint { trouble: Trouble::Batch { .. }, .. }));
    client.shutdown(Duration::ZERO).await;
    drop(client);
    assert_eq!(Ledger::open(ledger.path()).expect("sound").found().open_intents, 0);
}

#[tokio::test]
async fn the_budget_holds_for_batches() {
    let server = BatchServer::start(|_, _| Fate::Say("fine"), |_| End::Completed).await;
    let ledger = directory();
    // At half the price a call costs 75.50 dollars at most, and turns out to cost 8.
    let config = TeacherConfig { budget_usd: Some(170.0), ..batched() };
    let client = open(&config, &server.url, ledger.path(), 50);
    let ended = ask(&client, &rows(15)).await;
    let replies = ended.iter().filter(|completion| matches!(completion, Completion::Reply(_))).count();
    assert_eq!(replies, 12, "12 * 8 + 75.5 is above, 11 * 8 + 75.5 is not");
    assert_eq!(server.begun().len(), 12);
    assert!(client.stats().spent_usd <= 170.0);
}

/// The process that is killed.
#[tokio::test]
#[ignore = "the test below starts it, in a process of its own"]
async fn child() {
    let variable = |name| std::env::var(name).expect("the test below sets it");
    let (url, ledger) = (variable("ASCLEPIUS_TEST_URL"), variable("ASCLEPIUS_TEST_LEDGER"));
    let client = open(&batched(), &url, ledger.as_ref(), 7);
    ask(&client, &rows(ROWS)).await;
}

const ROWS: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_killed_at_any_moment_begins_no_request_twice_and_loses_no_answer() {
    for moment in MOMENTS {
        // One request in each batch is answered in the error file, so that there is one.
        let filtered = r#"{"error": {"message": "no", "code": "content_filter"}}"#;
        let fate = move |_, request: &Value| match row(request).as_str() {
            "r03" | "r09" | "r17" => Fate::Status(400, filtered),
            _ => Fate::Say("fine"),
        };
        let server = BatchServer::start(fate, |_| End::Completed).await;
        let ledger = directory();
        server.hold_at(moment);
        let mut child = Command::new(std::env::current_exe().expect("a test is a program"))
            .args(["--exact", "batch::child", "--ignored", "--nocapture"])
            .env("ASCLEPIUS_TEST_URL", &server.url)
            .env("ASCLEPIUS_TEST_LEDGER", ledger.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("the test can start itself");
        server.held().await;
        child.kill().expect("it is ours");
        child.wait().expect("it is ours");

        let client = open(&batched(), &server.url, ledger.path(), 7);
        let ended = ask(&client, &rows(ROWS)).await;
        let answered = ended.iter().filter(|completion| matches!(completion, Completion::Reply(_))).count();
        assert_eq!(answered, ROWS - 3, "{moment:?}");
        client.shutdown(Duration::ZERO).await;
        drop(client);
        assert_eq!(server.begun().len(), ROWS, "{moment:?}: no request was begun twice");
        let all = replies(ledger.path());
        let unique: BTreeSet<&String> = all.iter().collect();
        assert_eq!((all.len(), unique.len()), (ROWS - 3, ROWS - 3), "{moment:?}: every answer once");
        let found = Ledger::open(ledger.path()).expect("sound").found();
        assert_eq!(found.open_intents, 0, "{moment:?}");
        assert!((found.paid.cost_usd - 8.0 * (ROWS - 3) as f64).abs() < 1e-9, "{moment:?}: {found:?}");
        let left = fs_err::read_dir(ledger.path().join("calls.batches")).expect("it was used").count();
        assert_eq!(left, 0, "{moment:?}: no file is left behind");
    }
}

#[tokio::test]
async fn batches_that_are_out_belong_to_their_endpoint_and_can_be_left_behind() {
    let server = BatchServer::start(|_, _| Fate::Say("fine"), |_| End::Completed).await;
    let ledger = directory();
    server.hold_at(super::batches::Moment::Look);
    let client = open(&batched(), &server.url, ledger.path(), 50);
    let calls = rows(3);
    let (ended, ()) = tokio::join!(ask(&client, &calls), async {
        server.held().await;
        client.shutdown(Duration::from_millis(20)).await;
    });
    assert!(ended.iter().all(|completion| matches!(completion, Completion::Pending { .. })));
    drop(client);

    let elsewhere = Client::open(&batched(), "http://127.0.0.1:9/v1", None, ledger.path()).expect_err("they are here");
    assert!(matches!(elsewhere, LlmError::Config { key: "endpoint", .. }), "{elsewhere}");
    assert!(elsewhere.to_string().contains(&server.url), "{elsewhere}");

    let alone = open(&TeacherConfig { batch: false, ..batched() }, &server.url, ledger.path(), 50);
    let most = 3.0 * (35.0 + 16.0 + 100.0) / 2.0;
    assert!((alone.stats().spent_usd - most).abs() < 1e-9, "what is out counts in full");
    drop(alone);

    let client = open(&batched(), &server.url, ledger.path(), 50);
    assert!(ask(&client, &calls).await.iter().all(|completion| text(completion) == "fine"));
    assert_eq!(server.begun().len(), 3);
    assert!((client.stats().spent_usd - 3.0 * 8.0).abs() < 1e-9);
}
