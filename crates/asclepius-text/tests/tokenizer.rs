//! Tokenizers through the public door: trained, saved, loaded.

use std::path::Path;

use asclepius_schema::Message;
use asclepius_text::{InstructionTemplate, Piece, SpecialNames, TextTokenizer};
use proptest::prelude::*;
use serde_json::{Value, json};

const TEXTS: [&str; 4] = [
    "A 65-year-old man presented with chest pain and dyspnea. Blood pressure was 140/90 mmHg.",
    "The patient was treated with aspirin 100 mg daily. Troponin was 2.35 ng/mL.",
    "Fieber über 38,5 °C — naïve T-cells ↑, “quoted”.",
    "The patient presented with fever. The patient was treated with aspirin.",
];

fn trained() -> TextTokenizer {
    TextTokenizer::train_bpe(TEXTS.into_iter(), 320, &SpecialNames::default()).expect("four texts are enough")
}

fn read_json(path: &Path) -> Value {
    serde_json::from_str(&fs_err::read_to_string(path).expect("written")).expect("JSON")
}

#[test]
fn training_twice_gives_the_same_bytes() {
    let (first, second) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    trained().save(first.path()).expect("writable");
    trained().save(second.path()).expect("writable");
    for name in ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"] {
        let read = |directory: &tempfile::TempDir| fs_err::read(directory.path().join(name)).expect("written");
        assert_eq!(read(&first), read(&second), "{name}");
    }
    assert_eq!(trained().fingerprint(), trained().fingerprint());
}

#[test]
fn special_tokens_are_named_and_come_first() {
    let tokenizer = trained();
    assert_eq!((tokenizer.bos(), tokenizer.eos(), tokenizer.pad()), (Some(0), Some(1), Some(2)));
    assert_eq!((tokenizer.token_id("<|eos|>"), tokenizer.id_to_token(1).as_deref()), (Some(1), Some("<|eos|>")));
    assert!((260..=320).contains(&tokenizer.vocab_size()), "{}", tokenizer.vocab_size());
}

#[test]
fn special_strings_in_a_text_stay_text_and_in_a_template_they_are_tokens() {
    let tokenizer = trained();
    let text = "before <|eos|> after <|bos|>";
    let ids = tokenizer.encode_text(text).expect("bytes");
    assert!(ids.iter().all(|&id| id > 2), "{ids:?}");
    assert_eq!(tokenizer.decode(&ids), text);
    let ids = tokenizer.encode_template(text).expect("bytes");
    assert_eq!(ids.iter().filter(|&&id| id <= 2).collect::<Vec<_>>(), [&1, &0]);
    assert_eq!(tokenizer.decode(&ids), "before  after ");
    assert_eq!(tokenizer.decode_with_specials(&ids), text);
    let pieces = [Piece::special("<|bos|>"), Piece::text("x <|eos|>"), Piece::special("<|eos|>")];
    let ids = tokenizer.encode_pieces(&pieces, false).expect("bytes");
    assert_eq!((ids[0], ids[ids.len() - 1], ids.iter().filter(|&&id| id <= 2).count()), (0, 1, 2));
}

#[test]
fn the_guard_itself_is_only_text() {
    let tokenizer = trained();
    let text = "a \u{F8A3}\u{F8B1}\u{F8A3} b";
    for ids in [tokenizer.encode_text(text), tokenizer.encode_following(text)] {
        let ids = ids.expect("bytes");
        assert!(ids.iter().all(|&id| (id as usize) < tokenizer.vocab_size()));
        assert_eq!(tokenizer.decode(&ids), text);
    }
}

#[test]
fn what_is_saved_loads_as_the_same_tokenizer() {
    let directory = tempfile::tempdir().expect("a directory");
    let tokenizer = trained();
    tokenizer.save(directory.path()).expect("writable");
    for path in [directory.path().to_owned(), directory.path().join("tokenizer.json")] {
        let loaded = TextTokenizer::load(&path).expect("just saved");
        assert_eq!(loaded.fingerprint(), tokenizer.fingerprint());
        assert_eq!(loaded.chat_template(), tokenizer.chat_template());
        assert_eq!((loaded.bos(), loaded.eos(), loaded.pad()), (tokenizer.bos(), tokenizer.eos(), tokenizer.pad()));
        for text in TEXTS {
            assert_eq!(loaded.encode_text(text).expect("bytes"), tokenizer.encode_text(text).expect("bytes"));
        }
    }
}

#[test]
fn special_tokens_come_from_any_of_the_files_other_tools_write() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    let put = |name: &str, value: Value| fs_err::write(path(name), value.to_string()).expect("writable");
    trained().save(directory.path()).expect("writable");
    put(
        "tokenizer_config.json",
        json!({"bos_token": {"content": "<|bos|>", "lstrip": false}, "eos_token": null,
        "chat_template": [{"name": "tools", "template": "T"}, {"name": "default", "template": "D"}], "extra": 1}),
    );
    put("special_tokens_map.json", json!({}));
    put("generation_config.json", json!({"eos_token_id": [1, 2]}));
    put("config.json", json!({"eos_token_id": 2, "pad_token_id": 2}));
    let loaded = TextTokenizer::load(directory.path()).expect("consistent");
    assert_eq!((loaded.bos(), loaded.eos(), loaded.pad()), (Some(0), Some(1), Some(2)));
    assert_eq!(loaded.chat_template(), Some("D"));

    // What was found elsewhere is written where other tools look, and what was there stays.
    let target = tempfile::tempdir().expect("a directory");
    loaded.save(target.path()).expect("writable");
    let config = read_json(&target.path().join("tokenizer_config.json"));
    assert_eq!((&config["eos_token"], &config["extra"]), (&json!("<|eos|>"), &json!(1)));
    assert_eq!(config["bos_token"]["content"], json!("<|bos|>"));
    assert_eq!(TextTokenizer::load(target.path()).expect("just saved").fingerprint(), loaded.fingerprint());

    fs_err::write(path("chat_template.jinja"), "J").expect("writable");
    assert_eq!(TextTokenizer::load(directory.path()).expect("consistent").chat_template(), Some("J"));
}

#[test]
fn damaged_and_missing_files_are_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let error = || TextTokenizer::load(directory.path()).expect_err("nothing to load").to_string();
    assert!(error().contains("tokenizer.json"), "{}", error());
    fs_err::write(directory.path().join("tokenizer.json"), "{}").expect("writable");
    assert!(error().contains("not a readable tokenizer"), "{}", error());
    trained().save(directory.path()).expect("writable");
    fs_err::write(directory.path().join("tokenizer_config.json"), "{").expect("writable");
    assert!(error().contains("tokenizer_config.json"), "{}", error());
    fs_err::write(directory.path().join("tokenizer_config.json"), r#"{"bos_token": "<s>"}"#).expect("writable");
    assert!(error().contains("\"<s>\"") && error().contains("bos_token"), "{}", error());
}

#[test]
fn pieces_are_encoded_as_transformers_encodes_the_rendered_text() {
    // A normaliser that marks every stretch between special tokens, as Llama 2's does, and a special token that
    // swallows the white space after it, as Phi 3's do.
    let directory = tempfile::tempdir().expect("a directory");
    let token = |id, content: &str| {
        json!({"id": id, "content": content, "single_word": false, "lstrip": false,
        "rstrip": content == "<|user|>", "normalized": false, "special": content != "<think>"})
    };
    let mark = json!({"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"},
        {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]});
    let vocab = json!({"<s>": 0, "<|user|>": 1, "<think>": 2, "▁": 3, "a": 4, "b": 5, "<": 6, "t": 7, "h": 8, "i": 9,
        "n": 10, "k": 11, ">": 12, "\n": 13});
    let file = json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": mark, "pre_tokenizer": null,
        "added_tokens": [token(0, "<s>"), token(1, "<|user|>"), token(2, "<think>")],
        "post_processor": null, "decoder": null,
        "model": {"type": "BPE", "vocab": vocab, "merges": [], "unk_token": null},
    });
    fs_err::write(directory.path().join("tokenizer.json"), file.to_string()).expect("writable");
    fs_err::write(directory.path().join("tokenizer_config.json"), r#"{"bos_token": "<s>", "eos_token": "<s>"}"#)
        .expect("writable");
    let tokenizer = TextTokenizer::load(directory.path()).expect("a whole tokenizer");
    let source = "<s>{% for m in messages %}<|user|>\n{{ m.content }}{% endfor %}<think>a b";
    let template = InstructionTemplate::from_source("base", source).expect("it parses");
    let ids = template.encode_conversation(&tokenizer, &[Message::user("b a")]).expect("renders");
    assert_eq!(ids, tokenizer.encode_template("<s><|user|>\nb a<think>a b").expect("known letters"));
    assert_eq!(ids, [0, 1, 3, 5, 3, 4, 2, 3, 4, 3, 5]);
    // A token that steers the model is one even where the tokenizer's author did not flag it.
    assert_eq!(tokenizer.encode_text("<think>").expect("known letters"), [3, 6, 7, 8, 9, 10, 11, 12]);
}

#[test]
fn a_continued_text_gets_no_second_beginning() {
    // A tokenizer that marks words by "▁" and puts one before the first word of a sequence only, as Mistral's does.
    let directory = tempfile::tempdir().expect("a directory");
    let token = |id, content| {
        json!({"id": id, "content": content, "single_word": false, "lstrip": false,
        "rstrip": content == "[/INST]", "normalized": false, "special": true})
    };
    let file = json!({
        "version": "1.0", "truncation": {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0},
        "padding": null, "normalizer": null,
        "added_tokens": [token(0, "<s>"), token(1, "[/INST]")],
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": true},
        "post_processor": null,
        "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": true},
        "model": {"type": "BPE", "vocab": {"<s>": 0, "[/INST]": 1, "▁": 2, "a": 3, "b": 4}, "merges": []},
    });
    fs_err::write(directory.path().join("tokenizer.json"), file.to_string()).expect("writable");
    let tokenizer = TextTokenizer::load(directory.path()).expect("a whole tokenizer");
    assert_eq!(
        tokenizer.encode_text("ab a").expect("known letters"),
        [2, 3, 4, 2, 3],
        "the file's truncation is lifted"
    );
    assert_eq!(tokenizer.encode_following("ab a").expect("known letters"), [3, 4, 2, 3]);
    let pieces = [Piece::special("<s>"), Piece::text("a"), Piece::special("[/INST]"), Piece::text("b")];
    let ids = tokenizer.encode_pieces(&pieces, false).expect("known letters");
    assert_eq!(ids, [0, 3, 1, 4]);
    assert_eq!(ids, tokenizer.encode_template("<s>a[/INST]b").expect("known letters"), "as transformers would");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_text_survives(text in "\\PC{0,60}|[ \n\ta-z0-9<|>os]{0,60}") {
        let tokenizer = trained_once();
        prop_assert_eq!(tokenizer.decode(&tokenizer.encode_text(&text).expect("bytes")), text.clone());
        prop_assert_eq!(tokenizer.decode(&tokenizer.encode_following(&text).expect("bytes")), text);
    }
}

fn trained_once() -> TextTokenizer {
    static TRAINED: std::sync::OnceLock<TextTokenizer> = std::sync::OnceLock::new();
    TRAINED.get_or_init(trained).clone()
}
