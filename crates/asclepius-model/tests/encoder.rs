//! Sentence encoders against transformers' vectors of the same texts; `tools/encoder_golden.py` made them.

use std::path::{Path, PathBuf};

use asclepius_model::{ModelError, SentenceEncoder};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Row {
    text: String,
    vector: Vec<f32>,
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/golden/bert")
}

fn rows(directory: &Path) -> Vec<Row> {
    let text = fs_err::read_to_string(directory.join("vectors.json")).expect("golden vectors");
    serde_json::from_str(&text).expect("JSON")
}

/// A copy of the golden model whose file of that name was changed.
fn changed(name: &str, change: impl FnOnce(&mut Value)) -> tempfile::TempDir {
    let copy = tempfile::tempdir().expect("a directory");
    fs_err::create_dir(copy.path().join("1_Pooling")).expect("a directory");
    for file in
        ["config.json", "tokenizer.json", "model.safetensors", "sentence_bert_config.json", "1_Pooling/config.json"]
    {
        fs_err::copy(golden().join(file), copy.path().join(file)).expect("a file");
    }
    let path = copy.path().join(name);
    let mut value = serde_json::from_str(&fs_err::read_to_string(&path).expect("a file")).expect("JSON");
    change(&mut value);
    fs_err::write(&path, value.to_string()).expect("a file");
    copy
}

fn refused(directory: &Path) -> String {
    SentenceEncoder::load(directory).expect_err("it must be refused").to_string()
}

#[test]
fn vectors_are_those_of_transformers() {
    let encoder = SentenceEncoder::load(&golden()).expect("loads");
    assert_eq!(encoder.dimensions(), 24);
    for Row { text, vector } in rows(&golden()) {
        let ours = encoder.encode(&text).expect("encodes");
        let worst = ours.iter().zip(&vector).map(|(ours, theirs)| (ours - theirs).abs()).fold(0.0, f32::max);
        assert!(ours.len() == vector.len() && worst < 2e-6, "{text:?}: {worst}");
    }
}

#[test]
fn the_first_token_may_stand_for_the_text() {
    let first = changed("1_Pooling/config.json", |file| {
        *file = json!({"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false});
    });
    let (mean, first) = (SentenceEncoder::load(&golden()), SentenceEncoder::load(first.path()));
    let (mean, first) = (mean.expect("loads"), first.expect("loads"));
    let text = "A 65-year-old man with chest pain";
    let (mean, first) = (mean.encode(text).expect("encodes"), first.encode(text).expect("encodes"));
    assert!((first.iter().map(|value| value * value).sum::<f32>() - 1.0).abs() < 1e-5);
    assert!(mean.iter().zip(&first).any(|(mean, first)| (mean - first).abs() > 0.01));
}

#[test]
fn what_is_no_sentence_encoder_is_refused_by_file_and_key() {
    let llama = golden().with_file_name("llama");
    assert!(refused(&llama).contains("config.json: model_type: is \"llama\""), "{}", refused(&llama));
    let both = changed("1_Pooling/config.json", |file| file["pooling_mode_max_tokens"] = true.into());
    assert!(refused(both.path()).contains("1_Pooling/config.json: pooling_mode_*"), "{}", refused(both.path()));
    let heads = changed("config.json", |file| file["num_attention_heads"] = 5.into());
    assert!(refused(heads.path()).contains("num_attention_heads: is 5"), "{}", refused(heads.path()));
    let wide = changed("config.json", |file| file["intermediate_size"] = 57.into());
    let problem = refused(wide.path());
    assert!(problem.contains("model.safetensors") && problem.contains("intermediate"), "{problem}");
    let small = changed("config.json", |file| file["vocab_size"] = 7.into());
    assert!(matches!(SentenceEncoder::load(small.path()), Err(ModelError::TokenCount { rows: 7, .. })));
    let short = changed("sentence_bert_config.json", |file| file["max_seq_length"] = 2.into());
    assert!(refused(short.path()).contains("max_position_embeddings"), "{}", refused(short.path()));
}
