//! A tokenizer as GGUF files hold it, made into one of this crate: tokens by id, what each is for, and merges or scores.

use std::collections::HashMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::TextTokenizer;
use super::files::Parts;
use super::pre_tokenizers::PreTokenizer;
use crate::TextError;

/// The mark of a space in SentencePiece's tokens.
pub(super) const SPACE: &str = "\u{2581}";

/// What a token is for; the numbers are those of `tokenizer.ggml.token_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// A piece of text.
    Normal = 1,
    /// What stands for text that cannot be represented.
    Unknown = 2,
    /// Steers the model; in a text from outside its string is nothing but text.
    Control = 3,
    /// Is cut out of a text before anything else.
    UserDefined = 4,
    /// Fills a hole.
    Unused = 5,
    /// One byte of a character that is no token.
    Byte = 6,
}

impl TokenKind {
    /// The kind of that number.
    pub fn from_number(number: i64) -> Option<Self> {
        [Self::Normal, Self::Unknown, Self::Control, Self::UserDefined, Self::Unused, Self::Byte]
            .into_iter()
            .find(|kind| *kind as i64 == number)
    }
}

/// How text becomes tokens.
#[derive(Clone, Debug, PartialEq)]
pub enum VocabularyModel {
    /// Bytes as characters, merged in order (`gpt2`).
    ByteLevel {
        /// The name of the way words are cut (`tokenizer.ggml.pre`).
        pre: String,
        /// Pairs to merge, the earliest first; a space between them.
        merges: Vec<String>,
    },
    /// SentencePiece's byte-pair encoding with fallback to bytes (`llama`).
    SentencePiece {
        /// The higher, the earlier a token is merged; one a token.
        scores: Vec<f32>,
        /// Whether a space is put before a text.
        space_prefix: bool,
    },
}

/// A tokenizer as GGUF files hold it.
#[derive(Clone, Debug, PartialEq)]
pub struct Vocabulary {
    /// How text becomes tokens.
    pub model: VocabularyModel,
    /// Strings by id.
    pub tokens: Vec<String>,
    /// What each token is for; one a token.
    pub kinds: Vec<TokenKind>,
    /// Begins a document.
    pub bos: Option<u32>,
    /// Ends a document.
    pub eos: Option<u32>,
    /// Stands for what cannot be represented.
    pub unknown: Option<u32>,
    /// Fills up a batch.
    pub pad: Option<u32>,
    /// Whether other tools are to put [`Self::bos`] before a text; `None`: what is usual for the model.
    pub add_bos: Option<bool>,
    /// Whether other tools are to put [`Self::eos`] after a text.
    pub add_eos: Option<bool>,
    /// Control tokens swallow the white space behind them, except those of these strings; `None`: no token does.
    pub strip_right_except: Option<Vec<String>>,
    /// The Jinja source of the chat template.
    pub chat_template: Option<String>,
}

fn problem(key: &'static str, problem: impl Into<String>) -> TextError {
    TextError::Vocabulary { key, problem: problem.into() }
}

impl TextTokenizer {
    /// The tokenizer that a GGUF file describes; `path` is the file, for messages.
    ///
    /// # Errors
    /// When the lists have different lengths, a token is there twice, an id lies outside, the way words are cut is not
    /// known, or a merge is of tokens that are not there.
    pub fn from_vocabulary(vocabulary: &Vocabulary, path: &Path) -> Result<Self, TextError> {
        let tokens = &vocabulary.tokens;
        if vocabulary.kinds.len() != tokens.len() {
            let counts = format!("{} types for {} tokens", vocabulary.kinds.len(), tokens.len());
            return Err(problem("tokenizer.ggml.token_type", counts));
        }
        let mut ids: HashMap<&str, u32> = HashMap::with_capacity(tokens.len());
        for (id, token) in tokens.iter().enumerate() {
            if let Some(earlier) = ids.insert(token, id as u32) {
                return Err(problem("tokenizer.ggml.tokens", format!("{token:?} is both {earlier} and {id}")));
            }
        }
        let token = |key: &'static str, id: Option<u32>| match id.map(|id| (id, tokens.get(id as usize))) {
            None => Ok(None),
            Some((_, Some(token))) => Ok(Some(token)),
            Some((id, None)) => Err(problem(key, format!("{id} is no id of {} tokens", tokens.len()))),
        };
        let bos = token("tokenizer.ggml.bos_token_id", vocabulary.bos)?;
        let eos = token("tokenizer.ggml.eos_token_id", vocabulary.eos)?;
        let pad = token("tokenizer.ggml.padding_token_id", vocabulary.pad)?;
        let unknown = token("tokenizer.ggml.unknown_token_id", vocabulary.unknown)?;

        let model = match &vocabulary.model {
            VocabularyModel::ByteLevel { pre, merges } => byte_level(PreTokenizer::named(pre)?, merges)?,
            VocabularyModel::SentencePiece { scores, space_prefix } => {
                if scores.len() != tokens.len() {
                    let counts = format!("{} scores for {} tokens", scores.len(), tokens.len());
                    return Err(problem("tokenizer.ggml.scores", counts));
                }
                sentence_piece(vocabulary, scores, *space_prefix, &ids)
            }
        };
        let add_bos = vocabulary.add_bos.unwrap_or(model.add_bos);
        let add_eos = vocabulary.add_eos.unwrap_or(false);
        let json = json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": added_tokens(vocabulary),
            "normalizer": model.normalizer,
            "pre_tokenizer": model.pre_tokenizer,
            "post_processor": post_processor(bos.filter(|_| add_bos), eos.filter(|_| add_eos), &ids),
            "decoder": model.decoder,
            "model": {
                "type": "BPE",
                "dropout": null,
                "unk_token": if model.byte_fallback { unknown } else { None },
                "continuing_subword_prefix": null,
                "end_of_word_suffix": null,
                "fuse_unk": model.byte_fallback,
                "byte_fallback": model.byte_fallback,
                "ignore_merges": model.ignore_merges,
                "vocab": tokens.iter().enumerate().map(|(id, token)| (token.clone(), json!(id))).collect::<Map<_, _>>(),
                "merges": model.merges,
            },
        });
        let mut config = Map::new();
        config.insert("add_bos_token".to_owned(), json!(add_bos));
        config.insert("add_eos_token".to_owned(), json!(add_eos));
        config.insert("add_prefix_space".to_owned(), json!(false));
        config.insert("clean_up_tokenization_spaces".to_owned(), json!(false));
        config.insert("tokenizer_class".to_owned(), json!("PreTrainedTokenizerFast"));
        let mut special_map = Map::new();
        let roles = [("bos_token", bos), ("eos_token", eos), ("pad_token", pad), ("unk_token", unknown)];
        for (role, token) in roles {
            let Some(token) = token else { continue };
            config.insert(role.to_owned(), json!(token));
            special_map.insert(role.to_owned(), json!(token));
        }
        Self::assemble(Parts {
            json: serde_json::to_string(&json).expect("a JSON value always serialises"),
            config,
            special_map,
            chat_template: vocabulary.chat_template.clone(),
            model_ids: [None; 3],
            path: path.to_owned(),
        })
    }
}

/// What tells the two kinds of model apart in `tokenizer.json`.
struct Described {
    normalizer: Value,
    pre_tokenizer: Value,
    decoder: Value,
    merges: Vec<Value>,
    byte_fallback: bool,
    ignore_merges: bool,
    add_bos: bool,
}

fn byte_level(pre: &PreTokenizer, merges: &[String]) -> Result<Described, TextError> {
    let merges = merges
        .iter()
        .map(|merge| {
            let (left, right) = merge
                .split_once(' ')
                .ok_or_else(|| problem("tokenizer.ggml.merges", format!("{merge:?} is no pair")))?;
            Ok(json!([left, right]))
        })
        .collect::<Result<_, TextError>>()?;
    Ok(Described {
        normalizer: if pre.composed { json!({ "type": "NFC" }) } else { Value::Null },
        pre_tokenizer: pre.to_json(),
        decoder: json!({ "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true }),
        merges,
        byte_fallback: false,
        ignore_merges: pre.ignore_merges,
        add_bos: pre.add_bos,
    })
}

/// SentencePiece merges the neighbours whose joint token has the highest score: every way to cut a token in two tokens is
/// a merge, in order of the joint token's score, then of the halves'.
fn sentence_piece(vocabulary: &Vocabulary, scores: &[f32], space_prefix: bool, ids: &HashMap<&str, u32>) -> Described {
    let normal = |id: u32| vocabulary.kinds[id as usize] == TokenKind::Normal;
    let score = |id: u32| scores[id as usize];
    let mut merges: Vec<(u32, u32, u32)> = Vec::new();
    for (id, token) in (0..).zip(&vocabulary.tokens).filter(|(id, _)| normal(*id)) {
        for (cut, _) in token.char_indices().skip(1) {
            let halves = (ids.get(&token[..cut]).copied(), ids.get(&token[cut..]).copied());
            if let (Some(left), Some(right)) = halves
                && normal(left)
                && normal(right)
            {
                merges.push((id, left, right));
            }
        }
    }
    merges.sort_by(|a, b| {
        let of = |merge: &(u32, u32, u32)| [score(merge.0), score(merge.1), score(merge.2)];
        let (a_scores, b_scores) = (of(a), of(b));
        let by_score = b_scores[0].total_cmp(&a_scores[0]).then(a.0.cmp(&b.0));
        by_score.then(b_scores[1].total_cmp(&a_scores[1])).then(b_scores[2].total_cmp(&a_scores[2]))
    });
    let replace = json!({ "type": "Replace", "pattern": { "String": " " }, "content": SPACE });
    let mut steps = vec![
        json!({ "type": "Replace", "pattern": { "String": SPACE }, "content": " " }),
        json!({ "type": "ByteFallback" }),
        json!({ "type": "Fuse" }),
    ];
    let normalizer = if space_prefix {
        steps.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
        json!({ "type": "Sequence", "normalizers": [{ "type": "Prepend", "prepend": SPACE }, replace] })
    } else {
        replace
    };
    let token = |id: u32| vocabulary.tokens[id as usize].as_str();
    Described {
        normalizer,
        pre_tokenizer: Value::Null,
        decoder: json!({ "type": "Sequence", "decoders": steps }),
        merges: merges.into_iter().map(|(_, left, right)| json!([token(left), token(right)])).collect(),
        byte_fallback: true,
        ignore_merges: false,
        add_bos: true,
    }
}

fn added_tokens(vocabulary: &Vocabulary) -> Vec<Value> {
    let mut added = Vec::new();
    for (id, (token, kind)) in vocabulary.tokens.iter().zip(&vocabulary.kinds).enumerate() {
        let special = match kind {
            TokenKind::Control | TokenKind::Unknown => true,
            TokenKind::UserDefined => false,
            TokenKind::Normal | TokenKind::Unused | TokenKind::Byte => continue,
        };
        let strips = vocabulary.strip_right_except.as_ref().is_some_and(|kept| special && !kept.contains(token));
        added.push(json!({
            "id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": strips,
            "normalized": false, "special": special,
        }));
    }
    added
}

fn post_processor(bos: Option<&String>, eos: Option<&String>, ids: &HashMap<&str, u32>) -> Value {
    if bos.is_none() && eos.is_none() {
        return Value::Null;
    }
    let special = |token: &String, sequence: u8| json!({ "SpecialToken": { "id": token, "type_id": sequence } });
    let around = |name: &str, sequence: u8| -> Vec<Value> {
        let text = json!({ "Sequence": { "id": name, "type_id": sequence } });
        let before = bos.map(|bos| special(bos, sequence));
        before.into_iter().chain([text]).chain(eos.map(|eos| special(eos, sequence))).collect()
    };
    let known: Map<String, Value> = [bos, eos]
        .into_iter()
        .flatten()
        .map(|token| (token.clone(), json!({ "id": token, "ids": [ids[token.as_str()]], "tokens": [token] })))
        .collect();
    let pair: Vec<Value> = around("A", 0).into_iter().chain(around("B", 1)).collect();
    json!({ "type": "TemplateProcessing", "single": around("A", 0), "pair": pair, "special_tokens": known })
}
