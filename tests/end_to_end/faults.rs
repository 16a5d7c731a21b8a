//! Everything that goes wrong on the way to a chat API, through the real binary: no row is lost to it, none comes twice.

use std::process::Command;

use serde_json::Value;

use crate::support::jats::{article, write};
use crate::support::{Act, Asclepius, ChatServer, Workspace, finished, manifest, notes_from, quoted, reports};

/// The notes of a run, byte by byte.
fn notes(workspace: &Workspace) -> Vec<u8> {
    fs_err::read(workspace.stage("notes").join("notes.parquet")).expect("the stage has finished")
}

/// The notes stage over the shared run's reports and a server that does this.
fn over_a_server(act: impl Fn(usize) -> Act + Send + Sync + 'static) -> (ChatServer, Workspace, Asclepius) {
    let (server, workspace) = (ChatServer::start(act), Workspace::new());
    let command = notes_from(&workspace, &server);
    (server, workspace, command)
}

#[test]
fn with_every_fault_at_once_every_row_ends_and_the_notes_are_the_same() {
    const ROWS: usize = 80;
    const UNLUCKY: &str = "pmc1007x1"; // the drug of one report alone
    let workspace = Workspace::new();
    let folder = workspace.path().join("in");
    for row in 0..ROWS {
        let id = format!("PMC{}", 1000 + row);
        write(&folder, &format!("{id}.xml"), article(&id).xml());
    }
    workspace.command("ingest").set("corpus.inputs", format!("[{}]", quoted(&folder))).ends(0);
    let ask = |server: &ChatServer, workspace: &Workspace, corpus: &Workspace| {
        workspace
            .command("notes")
            .set("notes.input", quoted(&corpus.stage("corpus")))
            .set("teacher.endpoint", server.url())
            .set("teacher.model", "\"extractive-1\"")
            .set("teacher.concurrency", 16)
            .set("teacher.timeout_seconds", 2)
    };
    // Of the first hundred requests 20 are told to wait, 5 find it busy, 2 hang, 1 is broken off, 1 is no JSON and 1 is
    // cut off. One row is never answered at all.
    let server = ChatServer::judging(|n, prompt| match (n * 37) % 100 {
        _ if prompt.contains(UNLUCKY) => Act::Refuse(503, "", "busy"),
        _ if n >= 100 => Act::Answer,
        0..20 => Act::Refuse(429, "retry-after: 0", r#"{"error": {"message": "Rate limit reached"}}"#),
        20..25 => Act::Refuse(503, "", "busy"),
        25..27 => Act::Hold,
        27 => Act::BreakOff,
        28 => Act::Refuse(200, "", r#"{"choices": [{"#),
        29 => Act::CutOff,
        _ => Act::Answer,
    });
    ask(&server, &workspace, &workspace).ends(3).says(&["pending"]);
    let first = manifest(&workspace.stage("notes"));
    let counts = &first["counts"];
    assert_eq!((&counts["in"], &counts["out"]), (&Value::from(ROWS), &Value::from(ROWS - 1)), "{first}");
    assert_eq!((&counts["pending"], &counts["dropped"]), (&Value::from(1), &Value::Object(serde_json::Map::new())));

    let next = ChatServer::start(|_| Act::Answer);
    ask(&next, &workspace, &workspace).ends(0);
    assert_eq!(next.requests(), 1, "what failed for a while is asked again, and nothing else");
    let last = manifest(&workspace.stage("notes"));
    assert_eq!((&last["counts"]["out"], &last["counts"]["pending"]), (&Value::from(ROWS), &Value::from(0)), "{last}");

    let undisturbed = Workspace::new();
    ask(&next, &undisturbed, &workspace).ends(0);
    assert!(notes(&workspace) == notes(&undisturbed), "the faults leave no trace in the rows");
}

#[test]
fn a_server_of_a_byte_a_second_is_cut_off_by_the_timeout_and_asked_again() {
    let (server, workspace, command) = over_a_server(|n| if n < 2 { Act::Trickle } else { Act::Answer });
    command.set("teacher.timeout_seconds", 1.5).ends(0);
    assert_eq!(server.requests(), reports() + 2);
    assert!(notes(&workspace) == notes(finished()));
}

#[test]
fn a_megabyte_of_headers_is_a_failure_like_any_other() {
    let (server, workspace, command) = over_a_server(|n| if n == 1 { Act::Headers } else { Act::Answer });
    command.ends(0);
    assert_eq!(server.requests(), reports() + 1);
    assert!(notes(&workspace) == notes(finished()));
}

#[test]
fn a_name_that_does_not_resolve_is_named_and_the_run_goes_on_with_one_that_does() {
    let (server, workspace, command) = over_a_server(|_| Act::Answer);
    let nowhere = command.set("teacher.endpoint", "\"http://chat-api.localhost.invalid:9/v1\"");
    // A proxy on the way would answer in its own words.
    let nowhere =
        ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"].iter().fold(nowhere, |it, name| it.without(name));
    let ended = nowhere.set("teacher.patience_seconds", 1).ends(3);
    ended.says(&["chat-api.localhost.invalid:9", "dns error"]);
    assert!(!workspace.stage("notes").exists(), "half a stage is none");
    notes_from(&workspace, &server).ends(0);
    assert!(notes(&workspace) == notes(finished()));
}

/// The wall clock of a process that leaps by up to 27 years, back or forth, each time it is read. At the first leap it
/// makes the file that `LEAPS` names.
const LEAPING_CLOCK: &str = r#"
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *now) {
    static long reads;
    int failed = (int)syscall(SYS_clock_gettime, clock, now);
    if (failed || clock != CLOCK_REALTIME) return failed;
    long read = __sync_fetch_and_add(&reads, 1);
    const char *mark = getenv("LEAPS");
    if (read == 0 && mark) fclose(fopen(mark, "w"));
    now->tv_sec += (read * 7919 % 20001 - 10000) * 86400;
    return 0;
}
"#;

#[test]
fn a_wall_clock_that_leaps_about_changes_nothing() {
    // Retry-After as a date, by the server's clock and not by ours.
    const WAIT: &str = "date: Sun, 06 Nov 1994 08:49:37 GMT\r\nretry-after: Sun, 06 Nov 1994 08:49:38 GMT";
    let (server, workspace, command) = over_a_server(|n| match n {
        0 | 2 | 3 => Act::Refuse(429, WAIT, "{}"),
        1 => Act::Refuse(503, WAIT, "{}"),
        _ => Act::Answer,
    });
    let (source, library) = (workspace.path().join("clock.c"), workspace.path().join("clock.so"));
    let mark = workspace.path().join("leapt");
    fs_err::write(&source, LEAPING_CLOCK).expect("writable");
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).output();
    if !built.is_ok_and(|built| built.status.success()) || !cfg!(target_os = "linux") {
        return; // no compiler for it here
    }
    let path = |path: &std::path::Path| path.to_str().expect("paths of tests are UTF-8").to_owned();
    command.env("LD_PRELOAD", &path(&library)).env("LEAPS", &path(&mark)).ends(0);
    assert!(mark.exists(), "it was read, so it leapt");
    assert_eq!(server.requests(), reports() + 4);
    assert!(notes(&workspace) == notes(finished()));
}
