//! What a cache of tokens promises: it gives back what went in, whoever made it, and believes nothing that is damaged.

mod rows;

use std::path::Path;

use asclepius_dataset::{
    DatasetError, Document, Documents, Order, Packing, Plan, PlanConfig, RowTokens, Side, Sides, TextRow, TokenCache,
    TokenFile, Tokenised, in_order, pretrain_documents, pretrain_row, sft_documents, text_bytes,
};
use asclepius_text::{InstructionTemplate, SpecialNames, TextTokenizer};
use proptest::prelude::*;

const KEY: &str = "0123456789abcdef0123456789abcdef";

fn tokenizer() -> TextTokenizer {
    let texts = ["CC: fever, cough. 54 yo F, T 38.5, cough x 3 d.", "What is the temperature? It is 38.5 degrees."];
    TextTokenizer::train_bpe(texts.into_iter(), 300, &SpecialNames::default()).expect("trainable")
}

fn texts(count: usize) -> Vec<TextRow> {
    let text = |n: usize| TextRow { id: format!("PMC{n}.1-1"), text: "CC: fever, T 38.5. ".repeat(1 + n % 7) };
    (0..count).map(text).collect()
}

fn make(cache: &TokenCache, key: &str, rows: &[TextRow]) -> Result<Sides, DatasetError> {
    let tokenizer = tokenizer();
    cache.make(key, |writers| {
        in_order(
            rows.iter().cloned().map(Ok),
            text_bytes,
            |row| pretrain_row(row, &tokenizer, 48, Packing::Documents),
            |row| {
                let side = if writers.rows().is_multiple_of(5) { Side::HeldOut } else { Side::Train };
                writers.append(side, row)
            },
        )
    })
}

fn all(file: &TokenFile) -> Vec<Document> {
    (0..file.len()).map(|index| file.document(index)).collect()
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs_err::read_dir(directory).expect("readable");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    names
}

fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool").install(work)
}

#[test]
fn what_is_kept_is_what_was_made() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let cache = TokenCache::new(directory.path());
    assert!(cache.open(KEY).expect("nothing is there").is_none());
    let rows = texts(40);
    make(&cache, KEY, &rows).expect("made");
    let sides = cache.open(KEY).expect("sound").expect("kept");
    for (side, which) in [(&sides.held_out, true), (&sides.train, false)] {
        let rows =
            rows.iter().enumerate().filter(|(n, _)| n.is_multiple_of(5) == which).map(|(_, row)| Ok(row.clone()));
        let made = pretrain_documents(rows, &tokenizer(), 48, Packing::Documents).expect("texts");
        assert_eq!(all(side), made.documents);
        assert_eq!(*side.tally(), made.tally);
        assert_eq!(side.total(), made.tokens());
        assert!(made.tally.split > 0, "some rows are split, or the test says nothing about them");
    }
}

#[test]
fn damage_of_any_byte_and_any_cut_is_noticed_by_name() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let cache = TokenCache::new(directory.path());
    make(&cache, KEY, &texts(4)).expect("made");
    let path = directory.path().join(KEY).join("train.tokens");
    let sound = fs_err::read(&path).expect("readable");
    let refused = |bytes: &[u8], what: &str| {
        // A new file each time: the old one's pages may still be mapped.
        fs_err::remove_file(&path).expect("removable");
        fs_err::write(&path, bytes).expect("writable");
        let error = cache.open(KEY).expect_err(what).to_string();
        assert!(error.contains("train.tokens"), "{what}: {error}");
    };
    for at in 0..sound.len() {
        let mut bytes = sound.clone();
        bytes[at] ^= 0x10;
        refused(&bytes, &format!("byte {at} of {}", sound.len()));
    }
    for length in 0..sound.len() {
        refused(&sound[..length], &format!("cut at {length}"));
    }
    refused(&[sound.clone(), vec![0]].concat(), "one byte too many");
    make(&cache, KEY, &texts(4)).expect("made anew");
    assert_eq!(fs_err::read(&path).expect("readable"), sound);
}

#[test]
fn tokens_of_something_else_are_refused() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let cache = TokenCache::new(directory.path());
    make(&cache, KEY, &texts(4)).expect("made");
    let other = "fedcba9876543210fedcba9876543210";
    fs_err::rename(directory.path().join(KEY), directory.path().join(other)).expect("renamed");
    let error = cache.open(other).expect_err("made from something else").to_string();
    assert!(error.contains("made from other data"), "{error}");
}

#[test]
fn a_failed_attempt_leaves_what_was_there_and_a_whole_one_replaces_it() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let cache = TokenCache::new(directory.path());
    make(&cache, "first", &texts(4)).expect("made");
    let mut broken = texts(9);
    broken[7].text.clear();
    let error = make(&cache, "second", &broken).expect_err("a row has no text").to_string();
    assert!(error.contains("PMC7.1-1"), "{error}");
    assert_eq!(names(directory.path()), ["first"]);

    // What a process that was killed leaves behind.
    fs_err::create_dir(directory.path().join(".partial-second")).expect("writable");
    fs_err::write(directory.path().join(".partial-second/train.tokens"), b"ASCTOKEN").expect("writable");
    assert_eq!(cache.open("first").expect("sound").expect("kept").train.tally().rows, 3);
    make(&cache, "second", &texts(9)).expect("made");
    assert_eq!(names(directory.path()), ["second"]);
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let tokenizer = tokenizer();
    let rows = texts(2500);
    let pretrain = || pretrain_documents(rows.iter().cloned().map(Ok), &tokenizer, 48, Packing::Documents);
    let instructions: Vec<_> = (0..1100_u32)
        .map(|n| {
            let note = rows::note(&rows::report(n + 1, 1, ""), &"cough x 3 d. ".repeat(n as usize % 60));
            rows::instruction(&note, 0, "What is the temperature?", "It is 38.5 degrees.")
        })
        .collect();
    let template = InstructionTemplate::asclepius();
    let sft = || sft_documents(instructions.iter().cloned().map(Ok), &tokenizer, &template, 260);
    let both = |threads| -> (Tokenised, Tokenised) {
        on_threads(threads, || (pretrain().expect("texts"), sft().expect("they fit")))
    };
    let serial = both(1);
    assert!(serial.1.tally.shortened > 0 && (serial.1.tally.shortened as usize) < instructions.len());
    for threads in [2, 8] {
        assert!(both(threads) == serial, "{threads} threads");
    }
}

#[test]
fn of_two_bad_rows_the_first_is_named_whoever_meets_it() {
    let mut rows = texts(2200);
    rows[1900].text.clear();
    rows[40].text.clear();
    for threads in [1, 2, 8] {
        let documents = on_threads(threads, || {
            pretrain_documents(rows.iter().cloned().map(Ok), &tokenizer(), 48, Packing::Documents)
        });
        let error = documents.expect_err("two rows have no text").to_string();
        assert!(error.contains("PMC40.1-1"), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_plan_over_a_file_is_the_plan_over_memory(
        masks in prop::collection::vec(prop::collection::vec(any::<bool>(), 2..17), 1..30), which in 0_usize..3,
    ) {
        let documents: Vec<Document> = masks.into_iter().enumerate().map(|(index, supervised)| Document {
            ids: (0..supervised.len() as u32).map(|token| (index as u32) << 16 | token).collect(),
            supervised,
            id: format!("Zeile-ä-{index}"),
        }).collect();
        let directory = tempfile::tempdir().expect("a temporary directory");
        let sides = TokenCache::new(directory.path()).make(KEY, |writers| -> Result<(), DatasetError> {
            documents.iter().try_for_each(|document| {
                writers.append(Side::Train, RowTokens::Kept { documents: vec![document.clone()], shortened: false })
            })
        }).expect("made");
        prop_assert!(sides.held_out.is_empty());
        let config = PlanConfig {
            sequence_length: 16,
            packing: [Packing::Documents, Packing::Stream, Packing::None][which],
            micro_batch: 2,
            global_batch: 4,
            order: Order::Shuffled { seed: 3 },
        };
        let held = Plan::new(documents, config.clone()).expect("short enough");
        let mapped = Plan::new(Documents::from(sides.train), config).expect("short enough");
        prop_assert_eq!(held.tokens_per_epoch(), mapped.tokens_per_epoch());
        for step in 0..2 * held.steps_per_epoch() {
            for micro in 0..held.micro_batches(step) {
                prop_assert_eq!(held.batch(step, micro), mapped.batch(step, micro));
            }
        }
    }
}
