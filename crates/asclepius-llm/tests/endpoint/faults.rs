//! Everything that goes wrong on the way to a chat API, at once and one by one; and replies that must have a shape.

use std::time::Duration;

use asclepius_llm::{Call, Client, Completion, Pace, Share, TeacherConfig, Trouble};
use asclepius_schema::Reason;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::server::{Act, Server, chat};
use super::{QUICK, RATE_LIMITED, call, config, open, reason, text, trouble};

#[tokio::test]
async fn with_every_fault_at_once_every_row_ends_and_none_is_counted_twice() {
    let faults = |n: usize| match n % 20 {
        0..4 => Act::Status(429, vec![("retry-after", "0.01")], RATE_LIMITED),
        4 => Act::Status(503, vec![], "busy"),
        5 if n < 200 => Act::Hang,
        6 => Act::BreakOff,
        7 => Act::Status(200, vec![], "{\"choices\": [{"),
        8 => Act::Body(chat("half a", "length")),
        9 => Act::Body(json!({"choices": []})),
        _ => Act::Say("fine"),
    };
    let server = Server::start((0..2000).map(faults)).await;
    let ledger = tempfile::tempdir().expect("a temporary directory");
    let config = TeacherConfig { timeout_seconds: 0.3, concurrency: 30, ..config() };
    let mut left: Vec<Call> = (0..300).map(|row| call(&format!("r{row}"))).collect();
    for run in 0.. {
        assert!(run < 10, "{} rows are still pending", left.len());
        let client = open(&config, &server.url, ledger.path());
        let ended = futures::future::join_all(left.iter().map(|call| client.complete(call))).await;
        let stats = client.stats();
        stats.check().expect("every call ended");
        assert_eq!(stats.asked, left.len() as u64);
        let pending: Vec<Call> = std::mem::take(&mut left)
            .into_iter()
            .zip(ended)
            .filter_map(|(call, ended)| match ended.expect("no fault here ends a run") {
                Completion::Pending { .. } => Some(call),
                // Cut off twice in a row by chance: a drop by its own rule.
                Completion::Dropped { reason, .. } => (reason != Reason::Truncated).then_some(call),
                Completion::Reply(_) => None,
            })
            .collect();
        left = pending;
        if left.is_empty() {
            break;
        }
    }
}

/// A server that reads a request and then does as `answer` says, for each connection.
async fn raw<F, A>(answer: F) -> String
where
    F: Fn(tokio::net::TcpStream) -> A + Send + 'static,
    A: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let url = format!("http://{}/v1", listener.local_addr().expect("it is bound"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 1 << 16];
            if stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                tokio::spawn(answer(stream));
            }
        }
    });
    url
}

async fn ask_raw(url: &str, timeout_seconds: f64) -> Completion {
    let ledger = tempfile::tempdir().expect("a temporary directory");
    let config = TeacherConfig { timeout_seconds, ..config() };
    let pace = Pace { attempts: 2, ..QUICK };
    let client = Client::open_with(&config, url, None, ledger.path(), pace, None).expect("opens");
    client.complete(&call("r1")).await.expect("one failing call ends no run")
}

#[tokio::test]
async fn a_response_that_trickles_in_is_cut_by_the_timeout_of_the_whole() {
    let url = raw(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n").await.ok();
        let mut tick = tokio::time::interval(Duration::from_millis(10));
        while stream.write_all(b" ").await.is_ok() {
            tick.tick().await;
        }
    })
    .await;
    let Completion::Pending { detail } = ask_raw(&url, 0.2).await else { panic!("it never ends") };
    assert!(detail.contains("within"), "{detail}");
}

#[tokio::test]
async fn a_megabyte_of_headers_is_a_failure_like_any_other() {
    let url = raw(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\n").await.ok();
        let line = format!("x-padding: {}\r\n", "a".repeat(1000));
        for _ in 0..1000 {
            if stream.write_all(line.as_bytes()).await.is_err() {
                return;
            }
        }
        stream.write_all(b"content-length: 2\r\n\r\n{}").await.ok();
    })
    .await;
    assert!(matches!(ask_raw(&url, 30.0).await, Completion::Pending { .. }));
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_said_so() {
    let ledger = tempfile::tempdir().expect("a temporary directory");
    // Reserved to exist nowhere. A proxy on the way would answer in its own words.
    let client = open(&config(), "http://chat-api.localhost.invalid:9/v1", ledger.path());
    if std::env::vars().any(|(name, _)| name.eq_ignore_ascii_case("http_proxy")) {
        return;
    }
    let trouble = trouble(client.complete(&call("r1")).await);
    assert!(matches!(trouble, Trouble::Unreachable { .. }), "{trouble}");
}

fn graded(row: &str) -> Call {
    let schema = json!({
        "type": "object", "properties": {"score": {"type": "integer", "minimum": 1, "maximum": 4}},
        "required": ["score"], "additionalProperties": false,
    });
    let format = json!({"type": "json_schema", "json_schema": {"name": "grade", "strict": true, "schema": schema}});
    Call { response_format: Some(format), ..call(row) }
}

#[tokio::test]
async fn a_reply_of_the_wrong_shape_is_asked_again_once_with_what_is_wrong() {
    let server = Server::start([
        Act::Say("The score is 3."),
        Act::Say(r#"{"score": 3}"#),
        Act::Say(r#"{"score": 9}"#),
        Act::Say(r#"{"score": 5}"#),
    ])
    .await;
    let ledger = tempfile::tempdir().expect("a temporary directory");
    let client = open(&config(), &server.url, ledger.path());
    assert_eq!(text(&client.complete(&graded("r1")).await.expect("usable")), r#"{"score": 3}"#);
    let seen = server.seen();
    assert_eq!(seen[0].body["response_format"]["json_schema"]["name"], "grade");
    let repair = seen[1].body["messages"].as_array().expect("a list");
    assert_eq!(repair.len(), 3);
    assert_eq!((&repair[1]["role"], &repair[1]["content"]), (&json!("assistant"), &json!("The score is 3.")));
    assert!(repair[2]["content"].as_str().is_some_and(|ask| ask.contains("not JSON")));

    let dropped = client.complete(&graded("r2")).await.expect("usable");
    assert_eq!(reason(&dropped), Reason::Malformed);
    assert_eq!(client.complete(&graded("r2")).await.expect("known"), dropped);
    assert_eq!(server.requests(), 4);
    assert_eq!(client.stats().completion_tokens, 20, "every attempt is paid and counted");
}

#[tokio::test]
async fn shares_of_a_run_spend_their_parts_of_the_budget_and_know_each_others_replies_later() {
    let server = Server::start([]).await;
    let ledger = tempfile::tempdir().expect("a temporary directory");
    // A call costs at most 53 + 100 dollars and turns out to cost 16.
    let config = TeacherConfig {
        price_per_million_input: Some(1e6),
        price_per_million_output: Some(1e6),
        budget_usd: Some(2.0 * 170.0),
        ..config()
    };
    let share = |index: u32| Share { name: format!("shard-{index}-of-2"), siblings: "-of-2".to_owned(), fraction: 0.5 };
    for index in 1..=2 {
        let share = share(index);
        let client = Client::open_with(&config, &server.url, None, ledger.path(), QUICK, Some(&share)).expect("opens");
        for row in 0..2 {
            assert_eq!(text(&client.complete(&call(&format!("{index}-{row}"))).await.expect("usable")), "fine");
        }
        let third = client.complete(&call(&format!("{index}-2"))).await.expect("usable");
        assert!(
            matches!(third, Completion::Pending { .. }),
            "two of 16 are spent of 170, and 153 may follow: {third:?}"
        );
    }
    let all = open(&config, &server.url, ledger.path());
    assert!((all.stats().spent_usd - 64.0).abs() < 1e-6);
    for row in ["1-0", "2-1"] {
        assert_eq!(text(&all.complete(&call(row)).await.expect("known")), "fine");
    }
    assert_eq!(server.requests(), 4);
}

#[tokio::test]
async fn a_send_whose_end_nobody_saw_counts_in_full_in_the_next_run() {
    let server = Server::start([Act::Hang]).await;
    let ledger = tempfile::tempdir().expect("a temporary directory");
    let config = TeacherConfig {
        price_per_million_input: Some(1e6),
        price_per_million_output: Some(1e6),
        budget_usd: Some(1000.0),
        ..config()
    };
    let client = open(&config, &server.url, ledger.path());
    let asked = call("r1");
    tokio::select! {
        _ = client.complete(&asked) => panic!("the server never answers"),
        () = server.arrived(1) => {}
    }
    drop(client);
    // The task that was given up lets go of the ledger once it is polled.
    tokio::task::yield_now().await;
    let client = open(&config, &server.url, ledger.path());
    // 34 bytes of prompt and 16 tokens around them, and 100 that might have come back.
    assert!((client.stats().spent_usd - 150.0).abs() < 1e-6, "{}", client.stats().spent_usd);
    assert_eq!(client.ledger().found().open_intents, 1);
    assert_eq!(text(&client.complete(&asked).await.expect("usable")), "fine");
}
