//! Models behind an OpenAI-compatible API, and the page to try them on.

use std::io::Read;

use serde_json::{Value, json};

use crate::support::http::{Response, Server};
use crate::support::{Asclepius, Running, Workspace, asclepius, finished, lines};

const CHAT: &str = "/v1/chat/completions";
const TEXT: &str = "/v1/completions";

/// The models of a copy of the shared run, on a free port.
fn command(workspace: &Workspace) -> Asclepius {
    workspace.command("serve").args(&["--port", "0", "--device", "cpu"])
}

fn start(command: Asclepius) -> (Running, Server) {
    let mut running = command.start();
    let server = Server::of(&mut running);
    (running, server)
}

fn asking(model: &str, extra: Value) -> Value {
    let mut body = json!({
        "model": model, "temperature": 1.5, "seed": 5, "max_tokens": 12,
        "messages": [{"role": "user", "content": "### Note\nFever and cough.\n\n### Instruction\nWhat was found?"}],
    });
    for (key, value) in extra.as_object().expect("an object of fields") {
        body[key] = value.clone();
    }
    body
}

fn content(response: &Response) -> String {
    assert_eq!(response.status, 200, "{response:?}");
    response.json()["choices"][0]["message"]["content"].as_str().expect("a text").to_owned()
}

/// The texts of a stream's events together.
fn streamed(response: &Response) -> String {
    let events = response.events();
    assert_eq!(events.last(), Some(&"[DONE]"), "{response:?}");
    let pieces = events[..events.len() - 1].iter().map(|event| {
        let event: Value = serde_json::from_str(event).expect("JSON");
        event["choices"][0]["delta"]["content"].as_str().unwrap_or_default().to_owned()
    });
    pieces.collect()
}

#[test]
fn the_models_of_a_run_answer_whole_and_streamed_alike() {
    let workspace = Workspace::finished();
    let (running, server) = start(command(&workspace));
    let listed = server.get("/v1/models").json();
    let names: Vec<&str> =
        listed["data"].as_array().expect("a list").iter().filter_map(|it| it["id"].as_str()).collect();
    assert_eq!(names, ["untrained", "pretrained", "tuned"]);

    let answers: Vec<String> = names.iter().map(|name| content(&server.post(CHAT, &asking(name, json!({}))))).collect();
    assert_ne!(answers[0], answers[1], "training shows");
    for (name, answer) in names.iter().zip(&answers) {
        let stream =
            server.post(CHAT, &asking(name, json!({"stream": true, "stream_options": {"include_usage": true}})));
        assert_eq!(&streamed(&stream), answer);
        let usage: Value = serde_json::from_str(stream.events().iter().rev().nth(1).expect("usage")).expect("JSON");
        let (prompt, made) = (&usage["usage"]["prompt_tokens"], &usage["usage"]["completion_tokens"]);
        assert!(prompt.as_u64() > Some(10) && made.as_u64() <= Some(12), "{usage}");
    }
    // A directory serves the same weights.
    let adapter = finished().stage("sft").join("final");
    let directories = asclepius(["serve", "--port", "0", "--device", "cpu", "--model"])
        .arg(finished().stage("pretrain").join("final"))
        .arg("--adapter")
        .arg(adapter);
    let (other, directory) = start(directories);
    assert_eq!(content(&directory.post(CHAT, &asking("pretrain/final", json!({})))), answers[1]);
    assert_eq!(content(&directory.post(CHAT, &asking("sft/final", json!({})))), answers[2]);
    for running in [running, other] {
        running.interrupt();
        running.ended().with(0);
    }
}

#[test]
fn a_draw_is_its_seeds_and_a_stop_string_ends_it_wherever_tokens_end() {
    let workspace = Workspace::finished();
    let (_running, server) = start(command(&workspace));
    let drawn = |extra: Value| {
        let mut fields = json!({"temperature": 1.2, "top_p": 0.95, "seed": 11, "max_tokens": 40});
        fields.as_object_mut().expect("an object").extend(extra.as_object().expect("an object").clone());
        asking("tuned", fields)
    };
    let whole = content(&server.post(CHAT, &drawn(json!({}))));
    assert_eq!(content(&server.post(CHAT, &drawn(json!({})))), whole);
    assert_ne!(content(&server.post(CHAT, &drawn(json!({"seed": 12})))), whole);
    // Every stretch of two characters of the text, so that many lie across the border of two tokens.
    let characters: Vec<char> = whole.chars().collect();
    for pair in characters.windows(2).step_by(5) {
        let stop: String = pair.iter().collect();
        let expected = whole.split(&stop).next().expect("a split has a first part");
        for stops in [json!(stop), json!(["never to be said", stop])] {
            assert_eq!(content(&server.post(CHAT, &drawn(json!({"stop": stops})))), expected, "{stop:?}");
        }
        let stream = server.post(CHAT, &drawn(json!({"stop": [stop], "stream": true})));
        assert_eq!(streamed(&stream), expected, "{stop:?}");
        assert!(stream.body.contains(r#""finish_reason":"stop""#));
    }
    let text = server.post(TEXT, &json!({"model": "tuned", "prompt": "The patient", "max_tokens": 3, "seed": 1}));
    let text = text.json();
    assert_eq!((&text["object"], &text["usage"]["completion_tokens"]), (&json!("text_completion"), &json!(3)));
    assert_eq!(text["choices"][0]["finish_reason"], "length");
}

#[test]
fn who_asks_together_is_answered_as_if_alone() {
    let workspace = Workspace::finished();
    let (_running, server) = start(command(&workspace));
    let question = |number: usize| {
        let model = ["untrained", "pretrained", "tuned"][number % 3];
        asking(model, json!({"temperature": 1, "seed": number, "max_tokens": 5 + number % 20}))
    };
    let alone: Vec<String> = (0..64).map(|number| content(&server.post(CHAT, &question(number)))).collect();
    let together: Vec<String> = std::thread::scope(|scope| {
        let (server, question) = (&server, &question);
        let asked: Vec<_> =
            (0..64).map(|number| scope.spawn(move || content(&server.post(CHAT, &question(number))))).collect();
        asked.into_iter().map(|thread| thread.join().expect("answered")).collect()
    });
    assert_eq!(together, alone);
}

#[test]
fn who_leaves_is_not_worked_for_and_who_is_inside_is_answered_to_the_end() {
    let workspace = Workspace::finished();
    let (mut running, server) = start(command(&workspace).args(&["-vv", "--max-waiting", "0"]));
    // Greedily these models say the same over and over, to the last of their positions.
    let endless = asking("tuned", json!({"max_tokens": 10_000, "stream": true, "temperature": 0}));
    drop(server.begin_stream(CHAT, &endless).expect("there is room"));
    running.wait_for("whoever asked has left");

    // Sixteen go through the models together, nobody may wait.
    let mut streams = Vec::new();
    let refused = loop {
        match server.begin_stream(CHAT, &endless) {
            Ok(stream) => streams.push(stream),
            Err(refused) => break refused,
        }
    };
    assert!(streams.len() >= 16, "{}", streams.len());
    assert!(refused.status == 429 && refused.head.contains("retry-after: 1"), "{refused:?}");
    assert_eq!(refused.json()["error"]["type"], "rate_limit_error");

    running.interrupt();
    running.wait_for("stopping");
    for mut stream in streams {
        let mut rest = String::new();
        stream.read_to_string(&mut rest).expect("who is inside is answered to the end");
        assert!(rest.ends_with("data: [DONE]\n\n"), "{rest:?}");
    }
    running.ended().with(0);
}

#[test]
fn an_address_that_others_reach_needs_a_token() {
    let workspace = Workspace::finished();
    let everywhere = || command(&workspace).args(&["--host", "0.0.0.0"]);
    everywhere().ends(2).says(&["--host 0.0.0.0", "--token-env"]);
    everywhere().args(&["--token-env", "ASCLEPIUS_TEST_TOKEN"]).ends(2).says(&["ASCLEPIUS_TEST_TOKEN"]);
    let guarded = everywhere().args(&["--token-env", "ASCLEPIUS_TEST_TOKEN"]);
    let (running, server) = start(guarded.env("ASCLEPIUS_TEST_TOKEN", crate::support::KEY));
    for (path, guarded) in [("/v1/models", true), ("/page", true), ("/", false), ("/health", false)] {
        let refused = server.get(path).status == 401;
        assert_eq!(refused, guarded, "{path}");
        let with = format!("authorization: Bearer {}\r\nhost: some.name\r\n", crate::support::KEY);
        assert_eq!(server.exchange("GET", path, &with, b"").status, 200, "{path}");
    }
    assert_eq!(server.post(CHAT, &asking("tuned", json!({}))).status, 401);
    running.interrupt();
    let ended = running.ended().with(0);
    assert!(!ended.stderr.contains(crate::support::KEY), "{ended:?}");
}

#[test]
fn a_run_without_models_and_a_directory_without_one_are_refused() {
    let workspace = Workspace::new();
    command(&workspace).ends(2).says(&["no model", "asclepius run", "--model"]);
    asclepius(["serve", "--model", "no/such/directory"]).ends(2).says(&["--model no/such/directory"]);
    asclepius(["serve", "--adapter", "x"]).ends(2).says(&["--model"]);
    command(&workspace).args(&["--set", "nmae=x"]).ends(2).says(&["nmae", "name"]);
}

#[test]
fn the_page_comes_whole_with_held_out_notes_and_keeps_verdicts() {
    let workspace = Workspace::finished();
    let (_running, server) = start(command(&workspace));
    let page = server.get("/");
    assert!(page.status == 200 && page.head.contains("content-security-policy: default-src 'none'"), "{}", page.head);
    for elsewhere in ["http://", "https://", "src=", "@import", "url("] {
        assert!(!page.body.contains(elsewhere), "{elsewhere}");
    }
    let offered = server.get("/page").json();
    assert_eq!((&offered["title"], &offered["compare"]), (&json!("tiny"), &json!(["untrained", "tuned"])));
    assert_eq!(offered["tasks"].as_array().map(Vec::len), Some(8));
    let samples = offered["samples"].as_array().expect("a list");
    let held_out = asclepius_dataset::read_notes(&workspace.stage("dataset").join("notes-validation.parquet"));
    let held_out: Vec<String> = held_out.expect("it is there").map(|note| note.expect("sound").note).collect();
    assert!(!samples.is_empty() && samples.iter().all(|sample| held_out.iter().any(|note| sample["note"] == **note)));
    assert!(samples.iter().any(|sample| sample["questions"].as_array().is_some_and(|asked| !asked.is_empty())));

    let verdict = json!({
        "verdict": "down", "model": "tuned", "beside": "untrained", "task": "qa", "note": "<b>note</b>", "instruction": "?",
        "answer": "no", "temperature": 0.7, "top_p": 1.0, "seed": 3, "max_tokens": 20,
    });
    assert_eq!(server.post("/feedback", &verdict).status, 204);
    assert_eq!(server.post("/feedback", &json!({"verdict": "maybe"})).status, 400);
    let origin = "origin: https://elsewhere.example\r\n";
    assert_eq!(server.exchange("POST", "/feedback", origin, verdict.to_string().as_bytes()).status, 403);
    let kept = lines(&workspace.run_dir().join("feedback.jsonl"));
    assert_eq!(kept.len(), 1);
    for (key, value) in verdict.as_object().expect("an object") {
        assert_eq!(&kept[0][key], value, "{key}");
    }
}

/// Numbers that are the same in every run of the tests.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % bound.max(1)
    }
}

/// A request that somebody got wrong: a field of another kind, or bytes that no longer are JSON.
fn mutated(sound: &Value, draw: &mut Draw) -> Vec<u8> {
    const JUNK: &[&str] = &[
        "null",
        "true",
        "-1",
        "0",
        "1e308",
        "1e999",
        "NaN",
        "Infinity",
        "99999999999999999999999",
        "-0.5",
        "\"\"",
        "\"\\u0000\\ud83d\"",
        "\"\\ud800\"",
        "[]",
        "{}",
        "[[[[[[[[]]]]]]]]",
        "[\"\"]",
        "[null]",
        "{\"role\":\"wizard\"}",
        "[{\"role\":\"wizard\",\"content\":\"x\"}]",
        "[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\"}]}]",
        "[{\"role\":\"user\",\"content\":7}]",
        "[{}]",
        "\"<|eos|>\"",
        "2.5",
        "[\"a\",\"b\",\"c\",\"d\",\"e\"]",
    ];
    let mut body = sound.clone();
    let fields = body.as_object_mut().expect("an object");
    let keys: Vec<String> = fields.keys().cloned().collect();
    let key = &keys[draw.below(keys.len())];
    fields[key] = json!("@junk@");
    let mut bytes = body.to_string().replace("\"@junk@\"", JUNK[draw.below(JUNK.len())]).into_bytes();
    for _ in 0..[0, 0, 1, 4][draw.below(4)] {
        if bytes.is_empty() {
            break;
        }
        let at = draw.below(bytes.len());
        match draw.below(4) {
            0 => bytes[at] ^= 1 << draw.below(8),
            1 => drop(bytes.remove(at)),
            2 => bytes.insert(at, draw.below(256) as u8),
            _ => bytes.truncate(at),
        }
    }
    bytes
}

#[test]
fn ten_thousand_wrong_requests_are_each_told_so_and_harm_nobody() {
    let workspace = Workspace::finished();
    let (running, server) = start(command(&workspace));
    let sound = [
        (
            CHAT,
            asking(
                "tuned",
                json!({"max_tokens": 1, "top_p": 0.5, "seed": 1, "stop": "x", "n": 1, "stream": false,
            "frequency_penalty": 0, "logit_bias": {}, "response_format": {"type": "text"}}),
            ),
        ),
        (
            TEXT,
            json!({"model": "tuned", "prompt": "a", "max_tokens": 1, "temperature": 0, "echo": false, "suffix": ""}),
        ),
    ];
    let before = content(&server.post(CHAT, &sound[0].1));
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (server, sound) = (&server, &sound);
            scope.spawn(move || {
                let mut draw = Draw(thread);
                for _ in 0..1250 {
                    let (path, body) = &sound[draw.below(sound.len())];
                    let body = mutated(body, &mut draw);
                    let response = server.exchange("POST", path, "", &body);
                    let said = || String::from_utf8_lossy(&body).into_owned();
                    assert!(matches!(response.status, 200 | 400 | 404), "{}\n{response:?}", said());
                    if response.status != 200 {
                        assert!(response.json()["error"]["message"].is_string(), "{}\n{response:?}", said());
                    }
                }
            });
        }
    });
    let huge = server.exchange("POST", CHAT, "", &vec![b'['; 5 << 20]);
    assert_eq!(huge.status, 413);
    assert_eq!(server.exchange("POST", CHAT, "", &vec![b'['; 1 << 20]).status, 400, "no stack is deep enough for it");
    assert_eq!(content(&server.post(CHAT, &sound[0].1)), before);
    running.interrupt();
    let ended = running.ended().with(0);
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
}
