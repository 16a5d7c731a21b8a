//! Notes and instructions through the real client and real HTTP, against a small server on loopback that replies by
//! extraction, or badly when told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use asclepius_llm::{Client, TeacherConfig};
use asclepius_schema::{Age, AgeUnit, ArticleId, Licence, Message, Note, Reason, Report, ReportId, Sex};
use asclepius_synth::{
    InstructConfig, InstructionOutcome, NoteOutcome, NotesConfig, extractive, write_instructions, write_notes,
};
use asclepius_text::GatesConfig;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

type Replier = dyn Fn(&[Message]) -> String + Send + Sync;

/// A chat server; returns its base URL and the number of requests so far.
async fn serve(replier: Arc<Replier>) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let requests = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (replier, count) = (Arc::clone(&replier), Arc::clone(&count));
            tokio::spawn(async move { answer(stream, &replier, &count).await });
        }
    });
    (format!("http://{address}/v1"), requests)
}

async fn answer(stream: TcpStream, replier: &Arc<Replier>, count: &AtomicUsize) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        count.fetch_add(1, Ordering::SeqCst);
        let body: Value = serde_json::from_slice(&body).expect("a JSON body");
        let messages: Vec<Message> = serde_json::from_value(body["messages"].clone()).expect("messages");
        let reply = json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 0, "model": body["model"],
            "choices": [{"index": 0, "finish_reason": "stop", "logprobs": null,
                         "message": {"role": "assistant", "content": replier(&messages), "refusal": null}}],
            "usage": {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12},
        })
        .to_string();
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", reply.len());
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(reply.as_bytes()).await?;
    }
}

fn report(n: u32) -> Report {
    let article_id = ArticleId::from_pmcid(&format!("PMC{n}")).expect("digits");
    Report {
        patient_id: i64::from(n) * 1000 + 1,
        report_id: ReportId::new(&article_id, 1, 1),
        article_id,
        title: "A case".to_owned(),
        report: format!(
            "A {n}-year-old man presented with chest pain for two days. On examination his blood pressure was 120/80 mmHg. \
             Chest CT showed a mass. He was given aspirin 100 mg daily. He was discharged on day {n}."
        ),
        age: Some(Age { value: n as f32, unit: AgeUnit::Year }),
        sex: Sex::Male,
        licence: Licence::Cc0,
        licence_url: String::new(),
        attribution: "Us".to_owned(),
        doi: String::new(),
        pmid: String::new(),
        journal: String::new(),
        year: None,
        subjects: Vec::new(),
        source: "a.xml".to_owned(),
        section: "Case".to_owned(),
        tables: Vec::new(),
        captions: Vec::new(),
    }
}

async fn notes(reports: &[Report], client: &Client) -> Vec<NoteOutcome> {
    let mut outcomes = Vec::new();
    let mut on = |index: usize, outcome: NoteOutcome| {
        assert_eq!(index, outcomes.len(), "rows come in order");
        outcomes.push(outcome);
        Ok(())
    };
    write_notes(reports, &NotesConfig::default(), &GatesConfig::default(), 5, client, 3, &mut on)
        .await
        .expect("the server replies");
    outcomes
}

fn written(outcomes: Vec<NoteOutcome>) -> Vec<Note> {
    let note = |outcome| match outcome {
        NoteOutcome::Written(note) => *note,
        other => panic!("{other:?}"),
    };
    outcomes.into_iter().map(note).collect()
}

async fn instructions(notes: &[Note], config: &InstructConfig, client: &Client) -> Vec<InstructionOutcome> {
    let mut outcomes = Vec::new();
    let mut on = |_, outcome| {
        outcomes.push(outcome);
        Ok(())
    };
    write_instructions(notes, config, &GatesConfig::default(), 5, client, 3, &mut on)
        .await
        .expect("the server replies");
    outcomes
}

fn open(url: &str, ledger: &std::path::Path) -> Client {
    Client::open(
        &TeacherConfig { endpoint: url.to_owned(), model: Some(extractive::MODEL.to_owned()), ..Default::default() },
        url,
        None,
        ledger,
    )
    .expect("an empty ledger")
}

fn by_extraction() -> Arc<Replier> {
    Arc::new(|messages| extractive::reply(messages).expect("a built-in prompt"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_become_notes_and_instructions_and_a_second_run_asks_nothing() {
    let (url, requests) = serve(by_extraction()).await;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let client = open(&url, directory.path());
    let reports: Vec<Report> = (20..32).map(report).collect();
    let config = InstructConfig { per_note: 3, ..Default::default() };

    let first_notes = written(notes(&reports, &client).await);
    let first = instructions(&first_notes, &config, &client).await;
    assert_eq!(first.len(), 36);
    for (position, outcome) in first.iter().enumerate() {
        let InstructionOutcome::Written(row) = outcome else { panic!("{outcome:?}") };
        let report = &reports[position / 3];
        assert_eq!(row.row_id(), format!("{}#{}", report.report_id, position % 3));
        assert_eq!(row.teacher_model, extractive::MODEL);
        assert!(row.note.contains(&format!("{}-year-old", 20 + position / 3)), "{}", row.note);
        assert_eq!((row.answer_call.prompt_tokens, row.answer_call.finish_reason.as_str()), (7, "stop"));
        assert!(row.question_call.request_key != row.answer_call.request_key);
        assert!(row.evidence.iter().all(|span| row.note.get(span.start as usize..span.end as usize).is_some()));
    }
    let sent = requests.load(Ordering::SeqCst);
    assert_eq!(sent, 12 + 72);

    let again = written(notes(&reports, &client).await);
    assert_eq!(again, first_notes);
    assert_eq!(instructions(&again, &config, &client).await, first);
    assert_eq!(requests.load(Ordering::SeqCst), sent, "every call is in the ledger");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_that_must_not_enter_are_dropped_with_their_reason() {
    let bad: Arc<Replier> = Arc::new(|messages| {
        let text = &messages.last().expect("a prompt has messages").content;
        if text.contains("20-year-old") {
            "As an AI language model, I cannot write medical notes.".to_owned()
        } else if text.contains("<question>") {
            "Do you mean the chest pain?".to_owned()
        } else {
            extractive::reply(messages).expect("a built-in prompt")
        }
    });
    let (url, _) = serve(bad).await;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let client = open(&url, directory.path());
    let outcomes = notes(&[report(20), report(21)], &client).await;
    let NoteOutcome::Dropped(dropped) = &outcomes[0] else { panic!("{outcomes:?}") };
    assert!(matches!(dropped.reason, Reason::ModelTalk | Reason::Refusal), "{dropped:?}");
    assert_eq!(dropped.id, "PMC20.1-1");
    let note = written(outcomes[1..].to_vec());

    let outcomes = instructions(&note, &InstructConfig::default(), &client).await;
    let [InstructionOutcome::Dropped(dropped)] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert_eq!((dropped.id.as_str(), dropped.reason), ("PMC21.1-1#0", Reason::QuestionAnswer));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_shutdown_rows_are_pending_and_a_later_row_of_a_note_waits_for_the_earlier() {
    let (url, _) = serve(by_extraction()).await;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let client = open(&url, directory.path());
    let note = written(notes(&[report(30)], &client).await);
    client.shutdown(std::time::Duration::ZERO).await;
    let outcomes = instructions(&note, &InstructConfig { per_note: 2, ..Default::default() }, &client).await;
    let [InstructionOutcome::Pending { id, .. }, InstructionOutcome::Pending { detail, .. }] = &outcomes[..] else {
        panic!("{outcomes:?}")
    };
    assert_eq!((id.as_str(), detail.as_str()), ("PMC30.1-1#0", "waits for PMC30.1-1#0"));
}

/// Enough notes for several rounds in most partitions, asked by a teacher with few questions: what it repeats is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_depend_on_earlier_rounds_and_neither_on_concurrency_nor_on_shards() {
    let few: Arc<Replier> = Arc::new(|messages| {
        let text = &messages.last().expect("a prompt has messages").content;
        if text.contains("<question>") {
            return "Aspirin 100 mg daily.".to_owned();
        }
        let questions = ["Which drug was given?", "What did the scan of his chest show?"];
        let fresh = questions.iter().find(|question| !text.contains(**question));
        (*fresh.unwrap_or(&questions[0])).to_owned()
    });
    let (url, requests) = serve(few).await;
    let config = InstructConfig { tasks: vec![asclepius_schema::Task::Qa], ..Default::default() };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let seeds = (0..2000)
        .map(|n| report(100 + n))
        .filter(|report| asclepius_schema::partition(report.report_id.as_str()) < 2)
        .take(30)
        .map(|report| Note {
            patient_id: report.patient_id,
            note: report.report,
            report_id: report.report_id,
            article_id: report.article_id,
            licence: report.licence,
            licence_url: String::new(),
            attribution: String::new(),
            teacher_model: String::new(),
            split: None,
            note_call: asclepius_schema::CallLineage::default(),
            scores: Vec::new(),
            judge: None,
        });
    let all: Vec<Note> = seeds.collect();
    let run = async |notes: &[Note], name: &str, rows: usize| {
        let client = open(&url, &directory.path().join(name));
        let mut outcomes = Vec::new();
        let mut on = |_, outcome| {
            outcomes.push(outcome);
            Ok(())
        };
        write_instructions(notes, &config, &GatesConfig::default(), 5, &client, rows, &mut on)
            .await
            .expect("the server replies");
        outcomes
    };
    let whole = run(&all, "whole", 7).await;
    let refused = |outcome: &&InstructionOutcome| matches!(outcome, InstructionOutcome::Dropped(dropped) if dropped.reason == Reason::NearDuplicate);
    assert!(whole.iter().filter(refused).count() >= 8, "two questions do not last for three rounds of a partition");
    assert!(matches!(whole[0], InstructionOutcome::Written(_)));
    assert_eq!(run(&all, "one", 1).await, whole);

    let before = requests.load(Ordering::SeqCst);
    assert_eq!(run(&all, "whole", 64).await, whole);
    assert_eq!(requests.load(Ordering::SeqCst), before, "the ledger has every call");
    for (number, name) in ["1/2", "2/2"].iter().enumerate() {
        let shard: asclepius_schema::Shard = name.parse().expect("a shard");
        let held = |note: &&Note| shard.holds(note.report_id.as_str());
        let own: Vec<Note> = all.iter().filter(held).cloned().collect();
        let expected: Vec<InstructionOutcome> =
            all.iter().zip(&whole).filter(|(note, _)| held(note)).map(|(_, outcome)| outcome.clone()).collect();
        assert_eq!(run(&own, &format!("shard{number}"), 16).await, expected, "{name}");
    }
}
