//! A client killed with SIGKILL in the middle of its work, and the run that follows.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use asclepius_llm::{Completion, Ledger, TeacherConfig};
use futures::StreamExt;

use super::server::Server;
use super::{call, config, open};

const ROWS: usize = 120;
const IN_FLIGHT: usize = 8;

fn rows() -> Vec<String> {
    (0..ROWS).map(|row| format!("r{row:03}")).collect()
}

/// The process that is killed: asks for every row and says which ones were answered.
#[tokio::test]
#[ignore = "the test below starts it, in a process of its own"]
async fn child() {
    let variable = |name| std::env::var(name).expect("the test below sets it");
    let (url, ledger) = (variable("ASCLEPIUS_TEST_URL"), variable("ASCLEPIUS_TEST_LEDGER"));
    let client = open(&TeacherConfig { concurrency: IN_FLIGHT, ..config() }, &url, ledger.as_ref());
    let calls: Vec<_> = rows().iter().map(|row| call(row)).collect();
    let mut answers = futures::stream::iter(&calls)
        .map(|call| async { (&call.row_id, client.complete(call).await) })
        .buffer_unordered(IN_FLIGHT);
    while let Some((row, answer)) = answers.next().await {
        assert!(matches!(answer, Ok(Completion::Reply(_))));
        let mut out = std::io::stdout().lock();
        writeln!(out, "answered {row}").and_then(|()| out.flush()).expect("the parent reads");
    }
}

/// Runs the child until it has said `count` answers, kills it, and gives what it said.
fn run_and_kill(url: &str, ledger: &std::path::Path, count: usize) -> BTreeSet<String> {
    let mut child = Command::new(std::env::current_exe().expect("a test is a program"))
        .args(["--exact", "kill::child", "--ignored", "--nocapture"])
        .env("ASCLEPIUS_TEST_URL", url)
        .env("ASCLEPIUS_TEST_LEDGER", ledger)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the test can start itself");
    let out = BufReader::new(child.stdout.take().expect("it is piped"));
    // The test harness may have begun the line that the first answer ends.
    let answers = out
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| line.split_once("answered ")?.1.get(..4).map(str::to_owned));
    let said = answers.take(count).collect();
    child.kill().expect("it is ours");
    child.wait().expect("it is ours");
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_and_little_is_paid_twice_when_a_run_is_killed() {
    for moments in [vec![1], vec![9, 30], vec![64, 3, 20]] {
        let server = Server::start([]).await;
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut acknowledged = BTreeSet::new();
        for count in moments.iter().copied() {
            let (url, ledger) = (server.url.clone(), directory.path().to_owned());
            let said = tokio::task::spawn_blocking(move || run_and_kill(&url, &ledger, count)).await;
            let said = said.expect("no panic");
            assert_eq!(said.len(), count, "it ends only by being killed");
            acknowledged.extend(said);
        }
        let durable: BTreeSet<String> = Ledger::read(directory.path())
            .expect("listed")
            .map(|entry| entry.expect("a kill leaves nothing worse than a torn tail").row_id)
            .collect();
        assert!(acknowledged.is_subset(&durable), "lost: {:?}", acknowledged.difference(&durable));

        let client = open(&TeacherConfig { concurrency: IN_FLIGHT, ..config() }, &server.url, directory.path());
        for row in rows() {
            assert!(matches!(client.complete(&call(&row)).await, Ok(Completion::Reply(_))));
        }
        drop(client);
        let entries: Vec<String> =
            Ledger::read(directory.path()).expect("listed").map(|entry| entry.expect("sound").row_id).collect();
        let unique: BTreeSet<&String> = entries.iter().collect();
        assert_eq!((entries.len(), unique.len()), (ROWS, ROWS), "every row once");
        let paid_twice = server.requests() - ROWS;
        assert!(paid_twice <= moments.len() * IN_FLIGHT, "{paid_twice} paid twice over {} kills", moments.len());
    }
}
