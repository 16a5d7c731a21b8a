//! The way back: a tokenizer of this crate in the form GGUF files hold it.

use std::collections::HashMap;

use serde_json::Value;

use super::TextTokenizer;
use super::pre_tokenizers::PreTokenizer;
use super::vocabulary::{SPACE, TokenKind, Vocabulary, VocabularyModel};
use crate::TextError;

fn problem(key: &'static str, problem: impl Into<String>) -> TextError {
    TextError::Vocabulary { key, problem: problem.into() }
}

impl TextTokenizer {
    /// The tokenizer in the form GGUF files hold it.
    ///
    /// # Errors
    /// When it is not byte-level or SentencePiece's byte-pair encoding, or cuts words in a way that has no name there.
    pub fn to_vocabulary(&self) -> Result<Vocabulary, TextError> {
        let json: Value = serde_json::from_str(&self.0.json)
            .map_err(|source| TextError::Json { path: "tokenizer.json".into(), source })?;
        let model = &json["model"];
        let kind = model["type"].as_str().unwrap_or("BPE");
        if kind != "BPE" {
            return Err(problem("model.type", format!("{kind:?} has no form in GGUF; BPE has")));
        }
        let (tokens, kinds) = tokens(&json, self.vocab_size())?;
        let merges = merges(model)?;
        let byte_fallback = model["byte_fallback"] == true;
        let described = if byte_fallback {
            let space_prefix = space_prefix(&json)?;
            VocabularyModel::SentencePiece { scores: scores(&tokens, &merges), space_prefix }
        } else {
            let pre = PreTokenizer::of_tokenizer(&json)?;
            let merges = merges.into_iter().map(|(left, right)| format!("{left} {right}")).collect();
            VocabularyModel::ByteLevel { pre: pre.name.to_owned(), merges }
        };
        let config = &self.0.config;
        let adds = |key: &str, token: Option<&str>, first: bool| {
            let said = config.get(key).and_then(Value::as_bool);
            Some(
                said.unwrap_or_else(|| token.is_some_and(|token| template_adds(&json["post_processor"], token, first))),
            )
        };
        let unknown = config.get("unk_token").and_then(super::files::token_text);
        let unknown = unknown.or_else(|| model["unk_token"].as_str().map(str::to_owned));
        Ok(Vocabulary {
            model: described,
            kinds,
            bos: self.bos(),
            eos: self.eos(),
            unknown: unknown.and_then(|token| self.token_id(&token)),
            pad: self.pad(),
            add_bos: adds("add_bos_token", self.bos_token(), true),
            add_eos: adds("add_eos_token", self.eos_token(), false),
            strip_right_except: None,
            chat_template: self.chat_template().map(str::to_owned),
            tokens,
        })
    }
}

/// Strings and kinds by id; ids that no token has are filled as llama.cpp's converter fills them.
fn tokens(json: &Value, count: usize) -> Result<(Vec<String>, Vec<TokenKind>), TextError> {
    let mut tokens: Vec<String> = (0..count).map(|id| format!("[PAD{id}]")).collect();
    let mut kinds = vec![TokenKind::Unused; count];
    let unknown = json["model"]["unk_token"].as_str();
    let bytes = json["model"]["byte_fallback"] == true;
    for (token, id) in json["model"]["vocab"].as_object().into_iter().flatten() {
        let id = id.as_u64().filter(|&id| (id as usize) < count);
        let id = id.ok_or_else(|| problem("model.vocab", format!("{token:?} has no id")))? as usize;
        token.clone_into(&mut tokens[id]);
        kinds[id] = match token.as_str() {
            token if Some(token) == unknown && bytes => TokenKind::Unknown,
            token if bytes && token.len() == 6 && token.starts_with("<0x") && token.ends_with('>') => TokenKind::Byte,
            _ => TokenKind::Normal,
        };
    }
    for added in json["added_tokens"].as_array().into_iter().flatten() {
        let id = added["id"].as_u64().filter(|&id| (id as usize) < count);
        let (Some(id), Some(token)) = (id, added["content"].as_str()) else {
            return Err(problem("added_tokens", format!("{added} has no id or no content")));
        };
        token.clone_into(&mut tokens[id as usize]);
        if kinds[id as usize] != TokenKind::Unknown {
            kinds[id as usize] = if added["special"] == true { TokenKind::Control } else { TokenKind::UserDefined };
        }
    }
    Ok((tokens, kinds))
}

/// Merges are pairs, or one text with a space between the two.
fn merges(model: &Value) -> Result<Vec<(&str, &str)>, TextError> {
    fn pair(merge: &Value) -> Option<(&str, &str)> {
        match merge {
            Value::String(text) => text.split_once(' '),
            Value::Array(pair) => Some((pair.first()?.as_str()?, pair.get(1)?.as_str()?)),
            _ => None,
        }
    }
    let merges = model["merges"].as_array().map_or(&[][..], Vec::as_slice);
    merges
        .iter()
        .map(|merge| pair(merge).ok_or_else(|| problem("model.merges", format!("{merge} is no pair"))))
        .collect()
}

/// Scores that put the joint tokens in the order of their merges, and those that are never merged behind them.
fn scores(tokens: &[String], merges: &[(&str, &str)]) -> Vec<f32> {
    let mut ranks: HashMap<String, usize> = HashMap::with_capacity(merges.len());
    for (rank, (left, right)) in merges.iter().enumerate() {
        ranks.entry(format!("{left}{right}")).or_insert(rank);
    }
    let score = |(id, token): (usize, &String)| -(ranks.get(token).copied().unwrap_or(merges.len() + id) as f32);
    tokens.iter().enumerate().map(score).collect()
}

/// Whether a SentencePiece tokenizer puts a space before a text; it may say so in either of two places.
fn space_prefix(json: &Value) -> Result<bool, TextError> {
    let steps = |value: &Value, list: &str| match value["type"].as_str() {
        None => Vec::new(),
        Some("Sequence") => value[list].as_array().cloned().unwrap_or_default(),
        Some(_) => vec![value.clone()],
    };
    let mut prefix = false;
    let all =
        steps(&json["normalizer"], "normalizers").into_iter().chain(steps(&json["pre_tokenizer"], "pretokenizers"));
    for step in all {
        match step["type"].as_str() {
            Some("Prepend") if step["prepend"] == SPACE => prefix = true,
            Some("Replace") if step["pattern"]["String"] == " " && step["content"] == SPACE => {}
            Some("Metaspace") if step["split"] == false => prefix = step["prepend_scheme"] != "never",
            _ => return Err(problem("normalizer", format!("{step} has no form in GGUF"))),
        }
    }
    Ok(prefix)
}

/// Whether a post-processor puts `token` first (or last).
fn template_adds(processor: &Value, token: &str, first: bool) -> bool {
    if let Some(parts) = processor["processors"].as_array() {
        return parts.iter().any(|part| template_adds(part, token, first));
    }
    let single = processor["single"].as_array().map_or(&[][..], Vec::as_slice);
    let place = if first { single.first() } else { single.last() };
    place.is_some_and(|place| place["SpecialToken"]["id"] == token)
}
