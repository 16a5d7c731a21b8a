//! Chat APIs that are slow, down, strict or expensive, and keys that stay secret.

use serde_json::Value;

use crate::support::{
    Act, ChatServer, Ended, KEY, Workspace, asclepius, dropped, finished, manifest, notes_from, quoted, reports,
    snapshot,
};

/// Fails if the key is anywhere in what was said or written.
#[track_caller]
fn holds_no_key(workspace: &Workspace, ended: &Ended) {
    assert!(!ended.stdout.contains(KEY) && !ended.stderr.contains(KEY), "{ended:?}");
    for (path, content) in snapshot(workspace.path()) {
        let found = content.windows(KEY.len()).any(|window| window == KEY.as_bytes());
        assert!(!found, "the key is in {}", path.display());
    }
}

/// The notes of the shared run, byte by byte.
#[track_caller]
fn wrote_the_same_notes(workspace: &Workspace) {
    let notes = |workspace: &Workspace| {
        fs_err::read(workspace.stage("notes").join("notes.parquet")).expect("the stage has finished")
    };
    assert!(notes(workspace) == notes(finished()), "the same replies make the same file");
}

#[test]
fn the_key_is_sent_and_never_shown() {
    let server = ChatServer::start(|_| Act::Answer);
    let workspace = Workspace::new();
    let command = || {
        notes_from(&workspace, &server)
            .set("teacher.api_key_env", "\"ASCLEPIUS_TEST_KEY\"")
            .env("ASCLEPIUS_TEST_KEY", KEY)
    };
    let ended = command().arg("-vv").ends(0);
    assert_eq!(server.requests(), reports());
    for seen in server.seen() {
        assert_eq!(seen.authorization, Some(format!("Bearer {KEY}")));
    }
    holds_no_key(&workspace, &ended);
    holds_no_key(&workspace, &command().arg("--dry-run").ends(0));
    wrote_the_same_notes(&workspace);
}

#[test]
fn no_key_is_sent_unless_one_is_named() {
    let server = ChatServer::start(|_| Act::Answer);
    let workspace = Workspace::new();
    let command = notes_from(&workspace, &server);
    let ended = command.env("OPENAI_API_KEY", KEY).env("OPENAI_BASE_URL", "http://127.0.0.1:9/v1").ends(0);
    assert!(server.seen().iter().all(|seen| seen.authorization.as_deref().is_none_or(|sent| !sent.contains(KEY))));
    assert_eq!(server.requests(), reports(), "the endpoint of the configuration is asked, not the environment's");
    holds_no_key(&workspace, &ended);
}

#[test]
fn a_refused_key_ends_the_run_without_being_repeated() {
    // Some providers quote the key that they refuse.
    let body =
        r#"{"error": {"message": "Incorrect API key: sk-test-4b1d-never-to-be-seen", "code": "invalid_api_key"}}"#;
    let server = ChatServer::start(move |_| Act::Refuse(401, "", body));
    let workspace = Workspace::new();
    let command = notes_from(&workspace, &server).set("teacher.api_key_env", "\"ASCLEPIUS_TEST_KEY\"");
    let ended = command.env("ASCLEPIUS_TEST_KEY", KEY).arg("-vv").ends(1);
    ended.says(&[&server.host(), "401", "api_key_env"]);
    assert_eq!(server.requests(), 1, "a wrong key is not tried again");
    holds_no_key(&workspace, &ended);
}

#[test]
fn an_endpoint_that_goes_down_is_named_and_what_it_answered_is_kept() {
    let server = ChatServer::start(|n| if n < 2 { Act::Answer } else { Act::Vanish });
    let workspace = Workspace::new();
    // It is not given up at once, and after that the run can be continued.
    notes_from(&workspace, &server).set("teacher.patience_seconds", 1).ends(3).says(&[&server.host(), "pausing"]);
    assert!(!workspace.stage("notes").exists(), "half a stage is none");

    let back = ChatServer::start(|_| Act::Answer);
    notes_from(&workspace, &back).ends(0);
    assert_eq!(back.requests(), reports() - 2, "only what was not answered is asked");
    wrote_the_same_notes(&workspace);
}

#[test]
fn limits_and_failures_that_pass_are_waited_out() {
    let server = ChatServer::start(|n| match n {
        0 | 3 => Act::Refuse(429, "retry-after: 0", r#"{"error": {"message": "Rate limit reached"}}"#),
        1 => Act::Refuse(500, "", "oops"),
        4 => Act::Refuse(503, "retry-after: 0", r#"{"error": {"message": "overloaded"}}"#),
        _ => Act::Answer,
    });
    let workspace = Workspace::new();
    notes_from(&workspace, &server).ends(0);
    assert_eq!(server.requests(), reports() + 4);
    let manifest = manifest(&workspace.stage("notes"));
    assert_eq!(manifest["counts"]["out"], reports());
    assert_eq!(manifest["details"]["retries"], 4, "{manifest}");
    wrote_the_same_notes(&workspace);
}

#[test]
fn no_credit_ends_the_run_and_keeps_what_was_paid() {
    let body = r#"{"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}"#;
    let server = ChatServer::start(move |n| if n < 3 { Act::Answer } else { Act::Refuse(429, "", body) });
    let workspace = Workspace::new();
    notes_from(&workspace, &server).ends(3).says(&[&server.host(), "credit"]);
    assert_eq!(server.requests(), 4, "credit does not come back by asking");

    let paid = ChatServer::start(|_| Act::Answer);
    notes_from(&workspace, &paid).ends(0);
    assert_eq!(paid.requests(), reports() - 3);
}

#[test]
fn a_request_that_the_provider_refuses_is_a_dropped_row() {
    let body = r#"{"error": {"message": "content management policy", "code": "content_filter"}}"#;
    let server = ChatServer::start(move |n| if n == 1 { Act::Refuse(400, "", body) } else { Act::Answer });
    let workspace = Workspace::new();
    notes_from(&workspace, &server).ends(0);
    let counts = manifest(&workspace.stage("notes"))["counts"].clone();
    assert_eq!((&counts["out"], &counts["pending"]), (&Value::from(reports() - 1), &Value::from(0)), "{counts}");
    assert_eq!(dropped(&workspace.stage("notes")).len(), 1);
}

#[test]
fn the_embedded_teacher_answers_the_same_as_a_server_of_its_own() {
    let mut server = asclepius(["teacher", "--port", "0"]).start();
    let line = server.wait_for("http://");
    let url = line.split_whitespace().find(|word| word.starts_with("http://")).expect("just found");
    let workspace = Workspace::new();
    workspace
        .command("notes")
        .set("notes.input", quoted(&finished().stage("corpus")))
        .set("teacher.endpoint", format!("{url:?}"))
        .set("teacher.model", "\"extractive-1\"")
        .ends(0);
    wrote_the_same_notes(&workspace);
    server.interrupt();
    server.ended().with(0);
}

#[test]
fn a_model_of_ours_writes_the_notes_and_several_at_a_time_change_none() {
    let trained = Workspace::new();
    // Untrained but for a step, and with room for whole reports.
    trained
        .command("pretrain")
        .set("pretrain.input", quoted(&finished().stage("dataset")))
        .set("pretrain.init.max_position_embeddings", 8192)
        .set("pretrain.max_steps", 1)
        .ends(0);
    let model = trained.stage("pretrain").join("final");
    let notes = |workspace: &Workspace, concurrency: usize| {
        workspace
            .command("notes")
            .set("notes.input", quoted(&finished().stage("corpus")))
            .set("notes.max_tokens", 400)
            .set("teacher.endpoint", "\"embedded:model\"")
            .set("teacher.model", quoted(&model))
            .set("teacher.concurrency", concurrency)
            // What a reply may take over the network: a model in the process takes as long as it takes.
            .set("teacher.timeout_seconds", 0.001)
            .ends(0);
        let rows = asclepius_dataset::read_notes(&workspace.stage("notes").join("notes.parquet")).expect("written");
        rows.map(|row| row.expect("sound")).collect::<Vec<_>>()
    };
    let workspace = Workspace::new();
    let alone = notes(&workspace, 1);
    let counts = manifest(&workspace.stage("notes"))["counts"].clone();
    assert_eq!((&counts["in"], &counts["pending"]), (&Value::from(reports()), &Value::from(0)), "{counts}");
    assert!(!alone.is_empty() && alone.iter().all(|note| note.teacher_model.starts_with("pretrain/final@")));
    assert_eq!(notes(&Workspace::new(), 4), alone);

    let missing = workspace.command("notes").set("teacher.endpoint", "\"embedded:model\"");
    missing.set("teacher.model", "\"no/such/model\"").ends(2).says(&["teacher.model", "no/such/model"]);
}

#[test]
fn a_budget_that_is_reached_leaves_rows_pending_and_is_never_overrun() {
    // 100 tokens at a dollar may be received, 40 are: after two calls, 150 dollars do not allow a third.
    let server = ChatServer::start(|_| Act::AnswerFor(40));
    let workspace = Workspace::new();
    let with_budget = |server: &ChatServer, budget: u32| {
        notes_from(&workspace, server)
            .set("notes.max_tokens", 100)
            .set("teacher.price_per_million_input", "0.0")
            .set("teacher.price_per_million_output", "1e6")
            .set("teacher.budget_usd", format!("{budget}.0"))
    };
    let ended = with_budget(&server, 150).ends(3);
    ended.says(&["notes", "pending"]);
    assert_eq!(server.requests(), 2);
    let first = manifest(&workspace.stage("notes"));
    let counts = &first["counts"];
    assert_eq!((&counts["in"], &counts["out"]), (&Value::from(reports()), &Value::from(2)), "{first}");
    assert_eq!(counts["pending"], reports() - 2, "{first}");
    assert_eq!(first["cost_usd"], 80.0);

    with_budget(&server, 150).ends(3);
    assert_eq!(server.requests(), 2, "money spent by an earlier run counts");

    with_budget(&server, 1000).ends(0);
    assert_eq!(server.requests(), reports(), "only the rest is asked");
    let last = manifest(&workspace.stage("notes"));
    assert_eq!((&last["counts"]["out"], &last["counts"]["pending"]), (&Value::from(reports()), &Value::from(0)));
    // What the rows cost is the same however many runs it took.
    assert_eq!(
        (&last["cost_usd"], &last["details"]["paid_before_usd"]),
        (&(40.0 * reports() as f64).into(), &80.0.into())
    );
    assert_eq!(last["tokens"]["output"], 40 * reports());
    with_budget(&server, 1000).arg("--fresh").ends(0);
    let again = manifest(&workspace.stage("notes"));
    assert_eq!((&again["cost_usd"], &again["tokens"]), (&last["cost_usd"], &last["tokens"]));
}

#[test]
fn a_run_goes_no_further_than_rows_that_are_pending() {
    let server = ChatServer::start(|_| Act::AnswerFor(40));
    let workspace = Workspace::new();
    let ended = workspace
        .command("run")
        .set("teacher.endpoint", server.url())
        .set("teacher.model", "\"extractive-1\"")
        .set("teacher.concurrency", 1)
        .set("notes.max_tokens", 100)
        .set("teacher.price_per_million_input", "0.0")
        .set("teacher.price_per_million_output", "1e6")
        .set("teacher.budget_usd", "150.0")
        .ends(3);
    ended.says(&["notes", "pending"]);
    assert!(!workspace.stage("instructions").exists());
}
