//! The client against a server that misbehaves on demand, over real HTTP.

mod batch;
mod batches;
mod faults;
mod kill;
mod server;

use std::path::Path;
use std::time::Duration;

use asclepius_llm::{
    BatchPace, Call, Client, Completion, Ledger, LlmError, Outcome, Pace, Reply, TeacherConfig, Trouble,
};
use asclepius_schema::{Message, Reason};
use serde_json::json;
use server::{Act, Server, chat};
use tempfile::TempDir;

const RATE_LIMITED: &str = r#"{"error":{"message":"slow down","type":"requests","code":"rate_limit_exceeded"}}"#;
const NO_QUOTA: &str =
    r#"{"error":{"message":"check your plan","type":"insufficient_quota","code":"insufficient_quota"}}"#;

/// As patient as the real one in attempts, but quick.
const QUICK: Pace = Pace {
    base: Duration::from_millis(2),
    longest: Duration::from_millis(20),
    attempts: 4,
    failures_to_pause: 3,
    patience: Duration::from_secs(30),
    batch: BatchPace { gather: Duration::from_millis(20), look: Duration::from_millis(2), ..BatchPace::OPENAI },
};

fn config() -> TeacherConfig {
    TeacherConfig {
        endpoint: "http://127.0.0.1:1/v1".to_owned(),
        model: Some("m".to_owned()),
        ..TeacherConfig::default()
    }
}

fn open(config: &TeacherConfig, url: &str, ledger: &Path) -> Client {
    Client::open_with(config, url, None, ledger, QUICK, None).expect("the ledger opens")
}

fn call(row: &str) -> Call {
    Call::new(row, "note", vec![Message::user(format!("<report>a report about {row}</report>"))], 0.7, 100)
}

struct Scene {
    server: Server,
    client: Client,
    ledger: TempDir,
}

async fn scene(script: impl IntoIterator<Item = Act>) -> Scene {
    let server = Server::start(script).await;
    let ledger = tempfile::tempdir().expect("a temporary directory");
    let client = open(&config(), &server.url, ledger.path());
    Scene { server, client, ledger }
}

impl Scene {
    async fn ask(&self, row: &str) -> Completion {
        self.client.complete(&call(row)).await.expect("the endpoint is usable")
    }

    /// Another run on the same ledger. The lock of the first one goes with its client.
    fn reopen(&mut self, config: &TeacherConfig) {
        let elsewhere = tempfile::tempdir().expect("a temporary directory");
        drop(std::mem::replace(&mut self.client, open(config, &self.server.url, elsewhere.path())));
        self.client = open(config, &self.server.url, self.ledger.path());
    }
}

fn text(completion: &Completion) -> &str {
    match completion {
        Completion::Reply(Reply { text, .. }) => text,
        other => panic!("expected a reply, got {other:?}"),
    }
}

fn reason(completion: &Completion) -> Reason {
    match completion {
        Completion::Dropped { reason, .. } => *reason,
        other => panic!("expected a drop, got {other:?}"),
    }
}

fn trouble(result: Result<Completion, LlmError>) -> Trouble {
    match result {
        Err(LlmError::Endpoint { trouble, .. }) => trouble,
        other => panic!("expected trouble, got {other:?}"),
    }
}

#[tokio::test]
async fn a_reply_is_paid_once_and_answered_from_the_ledger_ever_after() {
    let mut scene = scene([Act::Say("  a note ")]).await;
    let first = scene.ask("r1").await;
    let Completion::Reply(reply) = &first else { panic!("{first:?}") };
    assert_eq!((reply.text.as_str(), reply.model.as_str(), reply.finish_reason.as_str()), ("a note", "m", "stop"));
    assert_eq!((reply.prompt_tokens, reply.completion_tokens), (11, 5));
    assert_eq!(reply.lineage("h").request_key, scene.client.key(&call("r1")));
    assert_eq!(scene.ask("r1").await, first);

    scene.reopen(&config());
    let larger_cap = Call { max_tokens: 999, ..call("r1") };
    assert_eq!(scene.client.complete(&larger_cap).await.expect("known"), first);
    assert_eq!((scene.server.requests(), scene.client.stats().cached, scene.client.stats().calls), (1, 1, 0));

    let entries: Vec<_> =
        Ledger::read(scene.ledger.path()).expect("listed").map(|entry| entry.expect("sound")).collect();
    assert_eq!(entries.len(), 1);
    assert!(matches!(&entries[0].outcome, Outcome::Reply { served_model, .. } if served_model == "served-1"));
}

#[tokio::test]
async fn no_key_is_sent_unless_one_is_given_and_none_is_written() {
    let scene = scene([]).await;
    scene.ask("r1").await;
    assert!(scene.server.seen()[0].headers.get("authorization").is_none());

    let ledger = tempfile::tempdir().expect("a temporary directory");
    let key = Some("test-key-1".to_owned());
    let client = Client::open(&config(), &scene.server.url, key, ledger.path()).expect("opens");
    client.complete(&call("r1")).await.expect("answered");
    assert_eq!(scene.server.seen()[1].headers["authorization"], "Bearer test-key-1");
    assert!(!format!("{:?}", scene.server.seen()[1].body).contains("test-key-1"));
    for file in fs_err::read_dir(ledger.path()).expect("listed") {
        let content = fs_err::read_to_string(file.expect("listed").path()).expect("UTF-8");
        assert!(!content.contains("test-key-1"));
    }
}

#[tokio::test]
async fn vendor_fields_travel_and_make_another_call() {
    let mut scene = scene([]).await;
    scene.ask("r1").await;
    let mut extra = config();
    extra.extra_body.insert("chat_template_kwargs".to_owned(), json!({"enable_thinking": false}));
    scene.reopen(&extra);
    scene.ask("r1").await;
    let seen = scene.server.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[1].body["chat_template_kwargs"]["enable_thinking"], false);
    assert_eq!(seen[1].body["temperature"].to_string(), "0.7");
}

#[tokio::test]
async fn rate_limits_are_waited_out_and_never_spend_an_attempt() {
    let mut script = vec![Act::Status(429, vec![("retry-after", "0.01")], RATE_LIMITED); 10];
    script.push(Act::Status(429, vec![("retry-after-ms", "5")], RATE_LIMITED));
    script.push(Act::Status(429, vec![], RATE_LIMITED));
    // The attempts of a call, less one, are still there afterwards.
    script.extend(vec![Act::Status(500, vec![], "oops"); 3]);
    let scene = scene(script).await;
    assert_eq!(text(&scene.ask("r1").await), "fine");
    let stats = scene.client.stats();
    assert_eq!((stats.sent, stats.rate_limited, stats.failed, stats.calls), (16, 12, 3, 1));
}

#[tokio::test]
async fn a_pause_holds_for_every_call() {
    let scene = scene([Act::Status(429, vec![("retry-after", "0.2")], RATE_LIMITED)]).await;
    let before = tokio::time::Instant::now();
    let (first, second) = tokio::join!(scene.ask("r1"), async {
        scene.server.arrived(1).await;
        while scene.client.stats().rate_limited == 0 {
            tokio::task::yield_now().await;
        }
        scene.ask("r2").await
    });
    assert_eq!((text(&first), text(&second)), ("fine", "fine"));
    assert!(before.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn out_of_credit_is_no_rate_limit_and_stops_the_run_resumably() {
    let mut scene = scene([Act::Say("paid"), Act::Status(429, vec![("retry-after", "1")], NO_QUOTA)]).await;
    assert_eq!(text(&scene.ask("r1").await), "paid");
    let error = scene.client.complete(&call("r2")).await.expect_err("no credit");
    assert!(error.to_string().contains(&scene.server.url), "{error}");
    assert!(matches!(trouble(Err(error)), Trouble::OutOfCredit { .. }));
    assert!(matches!(trouble(scene.client.complete(&call("r3")).await), Trouble::OutOfCredit { .. }));
    assert_eq!(scene.server.requests(), 2, "nothing is asked after that");
    assert_eq!(text(&scene.ask("r1").await), "paid", "what the ledger knows is still answered");

    scene.reopen(&config());
    assert_eq!(text(&scene.ask("r2").await), "fine");
}

#[tokio::test]
async fn each_status_that_no_retry_helps_stops_the_run_at_once() {
    let cases = [
        (401, r#"{"error":{"message":"Incorrect API key provided: sk-abcd*1234."}}"#),
        (404, r#"{"error":{"message":"The model `m` does not exist","code":"model_not_found"}}"#),
        (400, r#"{"error":{"message":"no","code":"unsupported_value","param":"temperature"}}"#),
        (307, ""),
    ];
    for (status, body) in cases {
        let scene = scene([Act::Status(status, vec![("location", "http://elsewhere.test/v1")], body)]).await;
        let trouble = trouble(scene.client.complete(&call("r1")).await);
        let fits = match status {
            401 => matches!(trouble, Trouble::Access { status: 401, .. }) && !trouble.to_string().contains("sk-"),
            404 => matches!(trouble, Trouble::NotFound { .. }),
            400 => matches!(trouble, Trouble::Setting { .. }) && trouble.to_string().contains("temperature"),
            _ => matches!(&trouble, Trouble::Redirect { location } if location.contains("elsewhere")),
        };
        assert!(fits, "{status}: {trouble}");
        assert_eq!(scene.server.requests(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_truncated_reply_is_asked_again_with_a_larger_cap_once() {
    let cut = || Act::Body(chat("half a", "length"));
    let mut scene = scene([cut(), Act::Say("whole"), cut(), cut()]).await;
    assert_eq!(text(&scene.ask("r1").await), "whole");
    let dropped = scene.ask("r2").await;
    assert_eq!(reason(&dropped), Reason::Truncated);
    let caps: Vec<_> = scene.server.seen().iter().map(|seen| seen.body["max_tokens"].as_u64()).collect();
    assert_eq!(caps, [Some(100), Some(200), Some(100), Some(200)]);
    assert_eq!(scene.client.stats().completion_tokens, 20, "every attempt is counted");

    scene.reopen(&config());
    assert_eq!(scene.ask("r2").await, dropped, "the same caps would end the same way");
    assert_eq!(scene.server.requests(), 4);
    let larger = Call { max_tokens: 150, ..call("r2") };
    assert_eq!(text(&scene.client.complete(&larger).await.expect("answered")), "fine");
    assert_eq!(text(&scene.ask("r2").await), "fine", "and what was answered is known under any cap");
}

#[tokio::test]
async fn filtered_empty_refused_and_rejected_are_drops_of_their_own_and_final() {
    let refusal = json!({"choices": [{"message": {"content": null, "refusal": "no"}, "finish_reason": "stop"}]});
    let azure = r#"{"error":{"message":"filtered","code":"content_filter","status":400}}"#;
    let too_long = r#"{"error":{"message":"too many tokens","code":"context_length_exceeded"}}"#;
    let mut scene = scene([
        Act::Body(chat("a", "content_filter")),
        Act::Status(400, vec![], azure),
        Act::Body(chat(" \n", "stop")),
        Act::Body(refusal),
        Act::Status(400, vec![], too_long),
    ])
    .await;
    let expected = [Reason::Filtered, Reason::Filtered, Reason::Empty, Reason::Refusal, Reason::RequestRejected];
    for _ in 0..2 {
        for (row, expected) in expected.iter().enumerate() {
            assert_eq!(reason(&scene.ask(&row.to_string()).await), *expected, "row {row}");
        }
        scene.reopen(&config());
    }
    assert_eq!(scene.server.requests(), 5);
}

#[tokio::test]
async fn a_server_that_names_the_cap_otherwise_is_followed() {
    let body =
        r#"{"error":{"message":"Use 'max_completion_tokens'.","param":"max_tokens","code":"unsupported_parameter"}}"#;
    let scene = scene([Act::Status(400, vec![], body)]).await;
    assert_eq!(text(&scene.ask("r1").await), "fine");
    assert_eq!(text(&scene.ask("r2").await), "fine");
    let seen = scene.server.seen();
    assert_eq!(seen.len(), 3);
    for request in &seen[1..] {
        assert_eq!((request.body.get("max_tokens"), &request.body["max_completion_tokens"]), (None, &json!(100)));
    }
}

#[tokio::test]
async fn hung_broken_and_nonsensical_answers_are_asked_again() {
    let server = Server::start([
        Act::Hang,
        Act::BreakOff,
        Act::Status(200, vec![], "<html>welcome</html>"),
        Act::Body(json!({"choices": []})),
        Act::Status(503, vec![("retry-after", "0.01")], "overloaded"),
    ])
    .await;
    let ledger = tempfile::tempdir().expect("a temporary directory");
    let config = TeacherConfig { timeout_seconds: 0.2, ..config() };
    let pace = Pace { attempts: 6, ..QUICK };
    let client = Client::open_with(&config, &server.url, None, ledger.path(), pace, None).expect("opens");
    assert_eq!(text(&client.complete(&call("r1")).await.expect("usable")), "fine");
    assert_eq!((server.requests(), client.stats().failed), (6, 5));
}

#[tokio::test]
async fn a_call_that_keeps_failing_is_pending_and_asked_by_the_next_run() {
    let mut scene = scene(vec![Act::Status(500, vec![], "oops"); 4]).await;
    let Completion::Pending { detail } = scene.ask("r1").await else { panic!("it never succeeded") };
    assert!(detail.contains("500"), "{detail}");
    assert_eq!(scene.server.requests(), 4);
    scene.reopen(&config());
    assert_eq!(text(&scene.ask("r1").await), "fine");
}

#[tokio::test]
async fn call_after_call_failing_pauses_everyone_and_in_the_end_gives_the_endpoint_up_by_name() {
    let server = Server::start(vec![Act::Status(502, vec![], "bad gateway"); 1000]).await;
    let ledger = tempfile::tempdir().expect("a temporary directory");
    let pace = Pace { attempts: 1000, patience: Duration::from_millis(50), ..QUICK };
    let client = Client::open_with(&config(), &server.url, None, ledger.path(), pace, None).expect("opens");
    let calls: Vec<_> = (0..6).map(|row| call(&row.to_string())).collect();
    let ended = futures::future::join_all(calls.iter().map(|call| client.complete(call))).await;
    let errors: Vec<_> = ended.iter().filter_map(|ended| ended.as_ref().err()).collect();
    let error = errors.first().expect("no probe bears fruit").to_string();
    assert!(error.contains(&server.url) && error.contains("502"), "{error}");
    assert!(errors[0].is_resumable_stop());
    // Six go out at once, then one probe after each pause.
    assert!((8..=30).contains(&server.requests()), "{}", server.requests());
    let stats = client.stats();
    stats.check().expect("every call ended");
    assert_eq!(stats.pending, 6);
}

#[tokio::test]
async fn an_outage_that_ends_costs_no_row() {
    let scene = scene(vec![Act::Status(502, vec![], "bad gateway"); 10]).await;
    let calls: Vec<_> = (0..8).map(|row| call(&row.to_string())).collect();
    let ended = futures::future::join_all(calls.iter().map(|call| scene.client.complete(call))).await;
    for completion in ended {
        assert_eq!(text(&completion.expect("it works again")), "fine");
    }
    assert_eq!(scene.server.requests(), 10 + 8);
}

#[tokio::test]
async fn a_refused_connection_names_the_endpoint() {
    // A port that was free a moment ago, and that nobody listens on.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let url = format!("http://{}/v1", listener.local_addr().expect("it is bound"));
    drop(listener);
    let ledger = tempfile::tempdir().expect("a temporary directory");
    let client = open(&config(), &url, ledger.path());
    let error = client.complete(&call("r1")).await.expect_err("nobody listens");
    assert!(error.to_string().contains(&url) && error.to_string().contains("refused"), "{error}");
    assert!(matches!(trouble(Err(error)), Trouble::Unreachable { attempts: 4, .. }));

    // Of many calls, none of which comes to its last attempt: the pauses between them are as good.
    let ledger = tempfile::tempdir().expect("a temporary directory");
    let client = open(&config(), &url, ledger.path());
    let calls: Vec<_> = (0..8).map(|row| call(&row.to_string())).collect();
    let mut ended = futures::future::join_all(calls.iter().map(|call| client.complete(call))).await;
    ended.retain(Result::is_err);
    assert!(matches!(trouble(ended.remove(0)), Trouble::Unreachable { attempts: 4, .. }));
}

#[tokio::test]
async fn shutting_down_lets_calls_in_flight_land_and_leaves_the_rest_pending() {
    let server = Server::start([Act::Wait, Act::Wait]).await;
    let ledger = tempfile::tempdir().expect("a temporary directory");
    let client = open(&TeacherConfig { concurrency: 2, ..config() }, &server.url, ledger.path());
    let calls: Vec<_> = (0..5).map(|row| call(&row.to_string())).collect();
    let all = futures::future::join_all(calls.iter().map(|call| client.complete(call)));
    let stop = async {
        server.arrived(2).await;
        let shutdown = client.shutdown(Duration::from_mins(1));
        let mut shutdown = std::pin::pin!(shutdown);
        assert!(futures::poll!(&mut shutdown).is_pending(), "two calls are in flight");
        server.go(2);
        shutdown.await;
    };
    let (ended, ()) = tokio::join!(all, stop);
    let ended: Vec<_> = ended.into_iter().map(|completion| completion.expect("no trouble")).collect();
    assert_eq!(ended.iter().filter(|completion| matches!(completion, Completion::Reply(_))).count(), 2);
    assert_eq!(ended.iter().filter(|completion| matches!(completion, Completion::Pending { .. })).count(), 3);
    assert_eq!(server.requests(), 2);
}

#[tokio::test]
async fn a_call_that_outlives_the_grace_is_given_up() {
    let mut scene = scene([Act::Hang]).await;
    let call = call("r1");
    let (completion, ()) = tokio::join!(scene.client.complete(&call), async {
        scene.server.arrived(1).await;
        scene.client.shutdown(Duration::from_millis(20)).await;
    });
    assert!(matches!(completion.expect("no trouble"), Completion::Pending { .. }));
    assert!(matches!(scene.ask("r2").await, Completion::Pending { .. }));
    scene.reopen(&config());
    assert_eq!(text(&scene.ask("r1").await), "fine");
}

#[tokio::test]
async fn the_same_call_asked_twice_at_a_time_is_paid_once() {
    let scene = scene([Act::Wait]).await;
    let call = call("r1");
    let (first, second, ()) = tokio::join!(scene.client.complete(&call), scene.client.complete(&call), async {
        scene.server.arrived(1).await;
        scene.server.go(1);
    });
    assert_eq!(first.expect("answered"), second.expect("answered"));
    assert_eq!(scene.server.requests(), 1);
}

#[tokio::test]
async fn the_budget_is_a_cap_that_holds_over_runs() {
    let server = Server::start([]).await;
    let ledger = tempfile::tempdir().expect("a temporary directory");
    // The prompt is 37 bytes, and a message adds 16 tokens at most: a call costs at most 53 + 100 tokens of 1 dollar,
    // and turns out to cost 16.
    let config = TeacherConfig {
        price_per_million_input: Some(1e6),
        price_per_million_output: Some(1e6),
        budget_usd: Some(190.0),
        ..config()
    };
    let client = open(&config, &server.url, ledger.path());
    let mut replies = 0;
    for row in 0..5 {
        match client.complete(&call(&format!("r{row}"))).await.expect("no trouble") {
            Completion::Reply(_) => replies += 1,
            Completion::Pending { detail } => assert!(detail.contains("budget"), "{detail}"),
            Completion::Dropped { reason, detail } => panic!("{reason}: {detail}"),
        }
    }
    assert_eq!((replies, server.requests()), (3, 3));
    assert!((client.stats().cost_usd - 48.0).abs() < 1e-6);
    drop(client);
    let client = open(&config, &server.url, ledger.path());
    assert!((client.stats().spent_usd - 48.0).abs() < 1e-6);
    let again = client.complete(&call("r4")).await.expect("no trouble");
    assert!(matches!(again, Completion::Pending { .. }));
    assert_eq!(text(&client.complete(&call("r0")).await.expect("known")), "fine");
    assert_eq!(server.requests(), 3);
}

#[tokio::test]
async fn concurrency_is_bounded() {
    let server = Server::start(vec![Act::Wait; 6]).await;
    let ledger = tempfile::tempdir().expect("a temporary directory");
    let client = open(&TeacherConfig { concurrency: 2, ..config() }, &server.url, ledger.path());
    let calls: Vec<_> = (0..6).map(|row| call(&row.to_string())).collect();
    let all = futures::future::join_all(calls.iter().map(|call| client.complete(call)));
    let release = async {
        for released in 0..3 {
            server.arrived(2 * released + 2).await;
            assert_eq!(server.requests(), 2 * released + 2);
            server.go(2);
        }
    };
    let (ended, ()) = tokio::join!(all, release);
    assert!(ended.iter().all(|completion| matches!(completion, Ok(Completion::Reply(_)))));
}

#[test]
fn a_base_url_with_credentials_or_a_query_is_refused() {
    let ledger = tempfile::tempdir().expect("a temporary directory");
    for url in ["http://user:pass@host/v1", "http://host/v1?api-version=1", "not a url"] {
        let error = Client::open(&config(), url, None, ledger.path()).expect_err("refused");
        assert!(matches!(error, LlmError::Config { key: "endpoint", .. }) && error.is_usage(), "{error}");
        assert!(!error.to_string().contains("pass@"), "{error}");
    }
}
