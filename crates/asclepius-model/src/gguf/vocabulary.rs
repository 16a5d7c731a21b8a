//! A tokenizer's keys in a GGUF file.

use std::collections::BTreeMap;
use std::path::Path;

use asclepius_text::{TextTokenizer, TokenKind, Vocabulary, VocabularyModel};

use super::architecture::Architecture;
use super::file::GgufFile;
use super::value::GgufValue;
use crate::{ModelConfig, ModelError, Result};

const MODEL: &str = "tokenizer.ggml.model";
const PRE: &str = "tokenizer.ggml.pre";
const TOKENS: &str = "tokenizer.ggml.tokens";
const TYPES: &str = "tokenizer.ggml.token_type";
const SCORES: &str = "tokenizer.ggml.scores";
const MERGES: &str = "tokenizer.ggml.merges";
const TEMPLATE: &str = "tokenizer.chat_template";

/// The tokenizer of a file; none where the file says that it has none.
///
/// # Errors
/// When a key is missing or of another type, or the kind of tokenizer is not known.
pub fn read_tokenizer(file: &GgufFile, architecture: Architecture) -> Result<Option<TextTokenizer>> {
    let Some(vocabulary) = read_vocabulary(file, architecture)? else { return Ok(None) };
    let path = file.path();
    TextTokenizer::from_vocabulary(&vocabulary, path)
        .map(Some)
        .map_err(|source| ModelError::Tokenizer { path: path.to_owned(), source })
}

fn read_vocabulary(file: &GgufFile, architecture: Architecture) -> Result<Option<Vocabulary>> {
    let metadata = file.metadata();
    let kind = metadata.required(MODEL, metadata.text(MODEL)?)?;
    let model = match kind {
        "none" | "no_vocab" => return Ok(None),
        "gpt2" => VocabularyModel::ByteLevel {
            pre: metadata.text(PRE)?.unwrap_or("default").to_owned(),
            merges: metadata.required(MERGES, metadata.texts(MERGES)?)?.to_vec(),
        },
        "llama" => {
            let scores = metadata.required(SCORES, metadata.numbers(SCORES)?)?;
            VocabularyModel::SentencePiece {
                scores: scores.iter().map(|&score| score as f32).collect(),
                space_prefix: metadata.flag("tokenizer.ggml.add_space_prefix")?.unwrap_or(true),
            }
        }
        other => return Err(metadata.problem(MODEL, format!("{other:?} is not known; known are gpt2, llama"))),
    };
    let tokens = metadata.required(TOKENS, metadata.texts(TOKENS)?)?;
    let kinds = match metadata.integers(TYPES)? {
        None => vec![TokenKind::Normal; tokens.len()],
        Some(numbers) => numbers
            .iter()
            .map(|&number| {
                TokenKind::from_number(number)
                    .ok_or_else(|| metadata.problem(TYPES, format!("{number} is no type of token")))
            })
            .collect::<Result<Vec<_>>>()?,
    };
    let id = |name: &str| -> Result<Option<u32>> {
        Ok(metadata.size(&format!("tokenizer.ggml.{name}_token_id"))?.map(|id| id as u32))
    };
    // As llama.cpp does it: Phi-3's template relies on it, and the file has no key for it.
    let name = metadata.text("general.name")?.unwrap_or("").to_lowercase();
    let strips = architecture == Architecture::Phi3 && (name.contains("phi-3") || name.contains("phi3"));
    let kept = ["<unk>", "<s>", "<|endoftext|>"].map(str::to_owned).to_vec();
    let mut vocabulary = Vocabulary {
        model,
        tokens: tokens.to_vec(),
        kinds,
        bos: id("bos")?,
        eos: id("eos")?,
        unknown: id("unknown")?,
        pad: id("padding")?,
        add_bos: metadata.flag("tokenizer.ggml.add_bos_token")?,
        add_eos: metadata.flag("tokenizer.ggml.add_eos_token")?,
        strip_right_except: strips.then_some(kept),
        chat_template: metadata.text(TEMPLATE)?.map(str::to_owned),
    };
    drop_padding(&mut vocabulary);
    Ok(Some(vocabulary))
}

/// Converters name every row of an embedding that is longer than the vocabulary; those names are no tokens.
fn drop_padding(vocabulary: &mut Vocabulary) {
    while vocabulary.kinds.len() == vocabulary.tokens.len()
        && vocabulary.kinds.last() == Some(&TokenKind::Unused)
        && vocabulary.tokens.last().is_some_and(|token| *token == format!("[PAD{}]", vocabulary.tokens.len() - 1))
    {
        vocabulary.kinds.pop();
        vocabulary.tokens.pop();
        if let VocabularyModel::SentencePiece { scores, .. } = &mut vocabulary.model {
            scores.truncate(vocabulary.tokens.len());
        }
    }
}

/// The keys of a directory's tokenizer; where there is none, a file is told so.
///
/// # Errors
/// When the tokenizer cannot be read, has no form in GGUF, or has more tokens than the model.
pub fn write_tokenizer(dir: &Path, config: &ModelConfig) -> Result<BTreeMap<String, GgufValue>> {
    let mut keys = BTreeMap::new();
    let mut set = |key: &str, value: GgufValue| keys.insert(key.to_owned(), value);
    let id = |id: u32| GgufValue::size(id as usize);
    let failed = |source| ModelError::Tokenizer { path: dir.to_owned(), source };
    let mut ends: Vec<u32> = Vec::new();
    if dir.join("tokenizer.json").is_file() {
        let tokenizer = TextTokenizer::load(dir).map_err(failed)?;
        let mut vocabulary = tokenizer.to_vocabulary().map_err(failed)?;
        if vocabulary.tokens.len() > config.vocab_size {
            return Err(ModelError::TokenCount {
                path: dir.to_owned(),
                tokens: vocabulary.tokens.len(),
                rows: config.vocab_size,
            });
        }
        for row in vocabulary.tokens.len()..config.vocab_size {
            vocabulary.tokens.push(format!("[PAD{row}]"));
            vocabulary.kinds.push(TokenKind::Unused);
        }
        match vocabulary.model {
            VocabularyModel::ByteLevel { pre, merges } => {
                set(MODEL, GgufValue::Text("gpt2".to_owned()));
                set(PRE, GgufValue::Text(pre));
                set(MERGES, GgufValue::Texts(merges));
            }
            VocabularyModel::SentencePiece { mut scores, space_prefix } => {
                let least = scores.iter().copied().fold(0.0, f32::min);
                scores.resize(vocabulary.tokens.len(), least);
                set(MODEL, GgufValue::Text("llama".to_owned()));
                set(PRE, GgufValue::Text("default".to_owned()));
                set(SCORES, GgufValue::Numbers(scores.into_iter().map(f64::from).collect()));
                set("tokenizer.ggml.add_space_prefix", GgufValue::Bool(space_prefix));
            }
        }
        set(TOKENS, GgufValue::Texts(vocabulary.tokens));
        set(TYPES, GgufValue::Integers(vocabulary.kinds.into_iter().map(|kind| kind as i64).collect()));
        let flags = [("add_bos_token", vocabulary.add_bos), ("add_eos_token", vocabulary.add_eos)];
        for (name, flag) in flags {
            if let Some(flag) = flag {
                set(&format!("tokenizer.ggml.{name}"), GgufValue::Bool(flag));
            }
        }
        for (name, token) in [("unknown", vocabulary.unknown), ("padding", vocabulary.pad)] {
            if let Some(token) = token {
                set(&format!("tokenizer.ggml.{name}_token_id"), id(token));
            }
        }
        if let Some(template) = vocabulary.chat_template {
            set(TEMPLATE, GgufValue::Text(template));
        }
        ends.extend(vocabulary.eos);
        if let Some(bos) = vocabulary.bos.or(config.bos) {
            set("tokenizer.ggml.bos_token_id", id(bos));
        }
    } else {
        set(MODEL, GgufValue::Text("none".to_owned()));
        if let Some(bos) = config.bos {
            set("tokenizer.ggml.bos_token_id", id(bos));
        }
    }
    for &end in &config.eos {
        if !ends.contains(&end) {
            ends.push(end);
        }
    }
    for (name, end) in ["eos", "eot", "eom"].into_iter().zip(&ends) {
        set(&format!("tokenizer.ggml.{name}_token_id"), id(*end));
    }
    if ends.len() > 3 {
        tracing::warn!(tokens = ?&ends[3..], "GGUF has keys for three end tokens; these are left out");
    }
    Ok(keys)
}
