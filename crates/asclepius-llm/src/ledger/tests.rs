//! What the ledger promises, under damage.

use std::io::Write;

use proptest::prelude::*;

use super::*;

const FILE: &str = "calls.ledger";

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime without drivers")
}

fn reply(number: u64, text: &str) -> Entry {
    Entry {
        key: format!("{number:032x}"),
        row_id: format!("PMC{number}.1-1"),
        stage: "note".to_owned(),
        model: "m".to_owned(),
        max_tokens: 100,
        prompt_tokens: 3,
        completion_tokens: 2,
        intent: 0,
        cost_usd: None,
        outcome: Outcome::Reply {
            text: text.to_owned(),
            finish_reason: "stop".to_owned(),
            served_model: "m-1".to_owned(),
        },
    }
}

fn write(directory: &Path, entries: &[Entry]) {
    let ledger = Ledger::open(directory).expect("writable");
    let runtime = runtime();
    for entry in entries {
        runtime.block_on(ledger.append(entry)).expect("appended");
    }
}

fn read(directory: &Path) -> Vec<Entry> {
    Ledger::read(directory).expect("listed").collect::<Result<_, _>>().expect("sound")
}

#[test]
fn entries_come_back_and_the_last_of_a_key_counts() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let entries = [reply(1, "ä\n\"b\""), reply(2, ""), reply(1, "later")];
    write(directory.path(), &entries);
    assert_eq!(read(directory.path()), entries);

    let ledger = Ledger::open(directory.path()).expect("sound");
    assert_eq!(ledger.get(&entries[0].key).expect("readable"), Some(entries[2].clone()));
    assert_eq!(ledger.get(&reply(3, "").key).expect("readable"), None);
    let paid = Paid {
        prompt_tokens: 9,
        completion_tokens: 6,
        unpriced_prompt_tokens: 9,
        unpriced_completion_tokens: 6,
        cost_usd: 0.0,
    };
    assert_eq!(ledger.found(), Found { entries: 3, paid, paid_here: paid, open_intents: 0, torn_lines: 0 });
}

#[test]
fn an_attempt_is_counted_but_does_not_end_a_call() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let attempt = Entry { outcome: Outcome::Attempt { finish_reason: "length".to_owned() }, ..reply(1, "") };
    write(directory.path(), std::slice::from_ref(&attempt));
    let ledger = Ledger::open(directory.path()).expect("sound");
    assert_eq!(ledger.get(&attempt.key).expect("readable"), None);
    assert_eq!(ledger.found().paid.completion_tokens, 2);
}

fn intent(number: u64, call: u64) -> Intent {
    Intent {
        intent: number,
        key: reply(call, "").key,
        row_id: format!("PMC{call}.1-1"),
        stage: "note".to_owned(),
        prompt_tokens: 50,
        completion_tokens: 100,
        batch: None,
        cost_usd: Some(0.5),
    }
}

/// Three sends: answered for less than they might have cost, turned away, and never heard of again.
fn three_sends(directory: &Path) {
    let ledger = Ledger::open(directory).expect("writable");
    runtime().block_on(async {
        for call in 1..=3 {
            assert_eq!(ledger.next_intent(), call);
            ledger.announce(&intent(call, call)).await.expect("appended");
        }
        ledger.withdraw(2);
        ledger.append(&Entry { intent: 1, cost_usd: Some(0.1), ..reply(1, "a") }).await.expect("appended");
    });
}

#[test]
fn an_intent_that_nothing_settles_counts_in_full() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    three_sends(directory.path());
    let ledger = Ledger::open(directory.path()).expect("sound");
    let found = ledger.found();
    assert_eq!((found.entries, found.open_intents), (1, 1));
    assert!((found.paid.cost_usd - 0.6).abs() < 1e-9, "{found:?}");
    assert_eq!((found.paid.prompt_tokens, found.paid.completion_tokens), (3 + 50, 2 + 100));
    assert_eq!(ledger.next_intent(), 4, "numbers are not used twice");
    assert_eq!(ledger.get(&reply(3, "").key).expect("readable"), None);
}

#[test]
fn compaction_changes_the_size_and_nothing_else() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    three_sends(directory.path());
    let attempt = Entry { outcome: Outcome::Attempt { finish_reason: "length".to_owned() }, ..reply(4, "") };
    write(directory.path(), &[reply(5, "first"), attempt, reply(6, "c"), reply(5, "last")]);
    let path = directory.path().join(FILE);
    let before = Ledger::open(directory.path()).expect("sound").found();
    let bytes = fs_err::metadata(&path).expect("there").len();

    for _ in 0..2 {
        Ledger::compact(directory.path()).expect("compacted");
        let ledger = Ledger::open(directory.path()).expect("sound");
        let after = ledger.found();
        assert_eq!(after.paid, before.paid);
        assert_eq!((after.open_intents, after.torn_lines), (1, 0));
        let texts: Vec<_> = [1, 5, 6, 3, 4]
            .iter()
            .map(|call| match ledger.get(&reply(*call, "").key).expect("readable")?.outcome {
                Outcome::Reply { text, .. } => Some(text),
                _ => None,
            })
            .collect();
        assert_eq!(texts, [Some("a".to_owned()), Some("last".to_owned()), Some("c".to_owned()), None, None]);
    }
    assert!(fs_err::metadata(&path).expect("there").len() < bytes);
    assert_eq!(read(directory.path()).len(), 3);
}

#[test]
fn compaction_waits_for_nobody_and_takes_nothing_from_who_writes() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let ledger = Ledger::open(directory.path()).expect("writable");
    runtime().block_on(ledger.append(&reply(1, "a"))).expect("appended");
    assert!(matches!(Ledger::compact(directory.path()), Err(LlmError::LedgerLocked { .. })));
    runtime().block_on(ledger.append(&reply(2, "b"))).expect("appended");
    drop(ledger);
    assert_eq!(read(directory.path()).len(), 2);
}

#[test]
fn processes_with_names_of_their_own_share_a_directory_and_see_what_is_there() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    write(directory.path(), &[reply(1, "a")]);
    let first = Ledger::open_named(directory.path(), "shard-1-of-2").expect("free");
    let second = Ledger::open_named(directory.path(), "shard-2-of-2").expect("free");
    runtime().block_on(first.append(&reply(2, "b"))).expect("appended");
    runtime().block_on(second.append(&reply(3, "c"))).expect("appended");
    assert!(first.get(&reply(1, "").key).expect("readable").is_some());
    assert!(matches!(Ledger::open_named(directory.path(), "shard-1-of-2"), Err(LlmError::LedgerLocked { .. })));
    drop((first, second));
    let all = Ledger::open(directory.path()).expect("sound");
    for call in 1..=3 {
        assert!(all.get(&reply(call, "").key).expect("readable").is_some(), "{call}");
    }
    assert_eq!(all.paid_beside("-of-2").prompt_tokens, 3);
}

#[test]
fn a_ledger_of_the_first_version_is_continued() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let entry = serde_json::to_vec(&reply(1, "a")).expect("plain");
    let file = [lines::line_of(br#"{"asclepius_ledger":1}"#), lines::line_of(&entry)].concat();
    fs_err::write(directory.path().join(FILE), file).expect("writable");
    write(directory.path(), &[reply(2, "b")]);
    assert_eq!(read(directory.path()).len(), 2);
}

#[test]
fn a_second_process_is_turned_away_and_readers_are_not() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    write(directory.path(), &[reply(1, "a")]);
    let ledger = Ledger::open(directory.path()).expect("free");
    assert!(matches!(Ledger::open(directory.path()), Err(LlmError::LedgerLocked { .. })));
    assert_eq!(read(directory.path()).len(), 1);
    drop(ledger);
    Ledger::open(directory.path()).expect("free again");
}

#[test]
fn a_torn_tail_is_cut_off_counted_and_written_over() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    write(directory.path(), &[reply(1, "a")]);
    let path = directory.path().join(FILE);
    let sound = fs_err::read(&path).expect("written");
    let torn = lines::line_of(&serde_json::to_vec(&reply(2, "lost")).expect("plain"));
    for cut in 1..torn.len() {
        fs_err::write(&path, [&sound[..], &torn[..cut]].concat()).expect("writable");
        assert_eq!(read(directory.path()).len(), 1);
        let ledger = Ledger::open(directory.path()).expect("a torn tail is no error");
        assert_eq!(ledger.found().torn_lines, 1, "cut at {cut}");
        runtime().block_on(ledger.append(&reply(3, "c"))).expect("appended");
        drop(ledger);
        let keys: Vec<_> = read(directory.path()).into_iter().map(|entry| entry.key).collect();
        assert_eq!(keys, [reply(1, "").key, reply(3, "").key], "cut at {cut}");
    }
}

#[test]
fn a_file_torn_inside_its_first_line_starts_anew() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    fs_err::write(directory.path().join(FILE), &lines::header_line()[..9]).expect("writable");
    write(directory.path(), &[reply(1, "a")]);
    assert_eq!(read(directory.path()).len(), 1);
}

#[test]
fn damage_in_the_middle_names_file_and_line_and_changes_nothing() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    write(directory.path(), &[reply(1, "aaaa"), reply(2, "bbbb"), reply(3, "cccc")]);
    let path = directory.path().join(FILE);
    let mut bytes = fs_err::read(&path).expect("written");
    let at = bytes.windows(4).position(|window| window == b"bbbb").expect("it is there");
    bytes[at] ^= 1;
    fs_err::write(&path, &bytes).expect("writable");

    let error = Ledger::open(directory.path()).expect_err("damaged");
    assert!(matches!(&error, LlmError::LedgerDamaged { line: 3, .. }), "{error}");
    assert!(error.to_string().contains(FILE), "{error}");
    assert_eq!(fs_err::read(&path).expect("still there"), bytes);
    let items: Vec<_> = Ledger::read(directory.path()).expect("listed").collect();
    assert_eq!((items.len(), items[0].is_ok(), items[1].is_err()), (2, true, true));
}

#[test]
fn a_file_that_is_no_ledger_is_refused_and_kept() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join(FILE);
    let text = "some text that somebody put here, longer than a header line would be\n".repeat(3);
    for content in [text, String::from_utf8(lines::line_of(br#"{"asclepius_ledger":99}"#)).expect("ASCII")] {
        fs_err::write(&path, &content).expect("writable");
        assert!(matches!(Ledger::open(directory.path()), Err(LlmError::LedgerVersion { .. })));
        assert_eq!(fs_err::read_to_string(&path).expect("kept"), content);
    }
}

#[test]
fn entries_that_arrive_together_all_become_durable() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let ledger = Ledger::open(directory.path()).expect("writable");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    let ledger = std::sync::Arc::new(ledger);
    runtime.block_on(async {
        let tasks: Vec<_> = (0..500)
            .map(|number| {
                let ledger = ledger.clone();
                tokio::spawn(async move { ledger.append(&reply(number, "text")).await })
            })
            .collect();
        for task in tasks {
            task.await.expect("no panic").expect("appended");
        }
    });
    for number in 0..500 {
        let entry = reply(number, "text");
        assert_eq!(ledger.get(&entry.key).expect("readable"), Some(entry));
    }
    assert_eq!(read(directory.path()).len(), 500);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever byte of the file is flipped or wherever it is cut, no wrong entry comes back and no sound one before
    /// the damage is lost.
    #[test]
    fn no_damage_yields_a_wrong_entry(at in 0_usize..900, bit in 0_u8..8, cut in any::<bool>()) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let entries: Vec<_> = (1..=3).map(|number| reply(number, "some text")).collect();
        write(directory.path(), &entries);
        let path = directory.path().join(FILE);
        let mut bytes = fs_err::read(&path).expect("written");
        let at = at % bytes.len();
        let before = bytes[..at].split(|byte| *byte == b'\n').count().saturating_sub(2);
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] ^= 1 << bit;
        }
        let mut file = File::create(&path).expect("writable");
        file.write_all(&bytes).expect("written");
        drop(file);
        let sound: Vec<_> = Ledger::read(directory.path()).expect("listed").map_while(Result::ok).collect();
        prop_assert!(sound.len() >= before);
        prop_assert_eq!(&sound[..], &entries[..sound.len()]);
    }
}
