//! A tokenizer's files: `tokenizer.json`, `tokenizer_config.json`, `special_tokens_map.json`, `chat_template.jinja`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use asclepius_schema::{Fingerprint, write_atomically};
use serde_json::{Map, Value, json};
use tokenizers::Tokenizer;

use super::words::Words;
use super::{Control, GUARD, Inner, TextTokenizer, failed, looks_like_control};
use crate::TextError;

const TOKENIZER: &str = "tokenizer.json";
const CONFIG: &str = "tokenizer_config.json";
const SPECIAL_MAP: &str = "special_tokens_map.json";
const CHAT_TEMPLATE: &str = "chat_template.jinja";

/// Everything about a tokenizer that lies in files, before it is put to use.
pub(super) struct Parts {
    pub(super) json: String,
    pub(super) config: Map<String, Value>,
    pub(super) special_map: Map<String, Value>,
    pub(super) chat_template: Option<String>,
    /// What the model's own configuration says, by `bos`, `eos` and `pad`: used where the tokenizer is silent.
    pub(super) model_ids: [Option<u32>; 3],
    pub(super) path: PathBuf,
}

impl TextTokenizer {
    /// Loads a Hugging Face model directory, or a `tokenizer.json` with what lies beside it.
    ///
    /// # Errors
    /// When `tokenizer.json` is missing or damaged, a file beside it is damaged, or a special token it names is not in
    /// the vocabulary.
    pub fn load(dir_or_file: &Path) -> Result<Self, TextError> {
        let (directory, path) = if dir_or_file.is_dir() {
            (dir_or_file, dir_or_file.join(TOKENIZER))
        } else {
            (dir_or_file.parent().unwrap_or(Path::new("")), dir_or_file.to_owned())
        };
        let json = fs_err::read_to_string(&path)?;
        let config = object(&directory.join(CONFIG))?;
        let special_map = object(&directory.join(SPECIAL_MAP))?;
        let template_file = directory.join(CHAT_TEMPLATE);
        let chat_template = if template_file.exists() {
            Some(fs_err::read_to_string(template_file)?)
        } else {
            chat_template_of(&config)
        };
        let mut model_ids = [None; 3];
        for name in ["generation_config.json", "config.json"] {
            let model = object(&directory.join(name))?;
            for (slot, key) in model_ids.iter_mut().zip(["bos_token_id", "eos_token_id", "pad_token_id"]) {
                *slot = slot.or_else(|| model.get(key).and_then(first_id));
            }
        }
        Self::assemble(Parts { json, config, special_map, chat_template, model_ids, path })
    }

    pub(super) fn assemble(parts: Parts) -> Result<Self, TextError> {
        let Parts { json, config, special_map, chat_template, model_ids, path } = parts;
        let mut template: Tokenizer =
            json.parse().map_err(|source| TextError::TokenizerFile { path: path.clone(), source })?;
        // What a file says about cutting and padding belongs to whoever wrote it; lengths are the caller's business.
        template.with_truncation(None).map_err(failed("lift its truncation"))?;
        template.with_padding(None);
        template.set_encode_special_tokens(false);

        let added = template.get_added_tokens_decoder();
        let mut controls: Vec<Control> = added
            .iter()
            .filter(|(_, token)| looks_like_control(token))
            .map(|(&id, token)| Control {
                content: token.content.clone(),
                id,
                lstrip: token.lstrip,
                rstrip: token.rstrip,
            })
            .collect();

        let mut text = template.clone();
        let mut unflagged: Vec<_> =
            added.iter().filter(|(_, token)| looks_like_control(token) && !token.special).collect();
        unflagged.sort_by_key(|(id, _)| **id);
        text.add_tokens(
            unflagged.into_iter().map(|(_, token)| tokenizers::AddedToken { special: true, ..token.clone() }),
        )
        .map_err(failed("flag its control tokens"))?;
        text.add_tokens([tokenizers::AddedToken::from(GUARD, false).normalized(false)])
            .map_err(failed("take a guard token"))?;
        text.set_encode_special_tokens(true);

        let words = Words::of(&json, &text);

        let special = |role: &'static str, from_model: Option<u32>| -> Result<Option<Control>, TextError> {
            let named = config.get(role).and_then(token_text).or_else(|| special_map.get(role).and_then(token_text));
            let content = match named {
                Some(content) => content,
                None => match from_model.and_then(|id| template.id_to_token(id)) {
                    Some(content) => content,
                    None => return Ok(None),
                },
            };
            let Some(id) = template.token_to_id(&content) else {
                return Err(TextError::UnknownSpecial { path: path.clone(), role, token: content });
            };
            let flags = added.get(&id).map_or((false, false), |token| (token.lstrip, token.rstrip));
            Ok(Some(Control { content, id, lstrip: flags.0, rstrip: flags.1 }))
        };
        let bos = special("bos_token", model_ids[0])?;
        let eos = special("eos_token", model_ids[1])?;
        let pad = special("pad_token", model_ids[2])?;
        for token in [&bos, &eos, &pad].into_iter().flatten() {
            if !controls.iter().any(|control| control.id == token.id) {
                controls.push(token.clone());
            }
        }
        controls.sort_by(|a, b| b.content.len().cmp(&a.content.len()).then_with(|| a.content.cmp(&b.content)));

        let highest = template.get_vocab(true).into_values().max();
        let ids = |token: &Option<Control>| token.as_ref().map(|token| token.id);
        let fingerprint = Fingerprint::new("tokenizer")
            .bytes("json", json.as_bytes())
            .setting("specials", &[ids(&bos), ids(&eos), ids(&pad)])
            .setting("chat_template", &chat_template)
            .finish();
        Ok(Self(Arc::new(Inner {
            vocab_size: highest.map_or(0, |id| id as usize + 1),
            template,
            text,
            words,
            controls,
            bos,
            eos,
            pad,
            chat_template,
            fingerprint,
            json,
            config,
            special_map,
        })))
    }

    /// The same tokenizer with another chat template (or none).
    ///
    /// # Errors
    /// Never for a tokenizer that was loaded or trained; its files are read again.
    pub fn with_chat_template(&self, chat_template: Option<String>) -> Result<Self, TextError> {
        Self::assemble(Parts {
            json: self.0.json.clone(),
            config: self.0.config.clone(),
            special_map: self.0.special_map.clone(),
            chat_template,
            model_ids: [self.bos(), self.eos(), self.pad()],
            path: PathBuf::from(TOKENIZER),
        })
    }

    /// Writes `tokenizer.json`, `tokenizer_config.json` (with the chat template) and `special_tokens_map.json`, so that
    /// `AutoTokenizer.from_pretrained(directory)` gives the same ids. `tokenizer.json` is written as it was loaded.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn save(&self, directory: &Path) -> Result<(), TextError> {
        let inner = &self.0;
        fs_err::create_dir_all(directory)?;
        write_atomically(&directory.join(TOKENIZER), inner.json.as_bytes())?;
        let mut config = inner.config.clone();
        let mut special_map = inner.special_map.clone();
        for (role, token) in [("bos_token", &inner.bos), ("eos_token", &inner.eos), ("pad_token", &inner.pad)] {
            let Some(token) = token else { continue };
            for map in [&mut config, &mut special_map] {
                if map.get(role).and_then(token_text).is_none() {
                    map.insert(role.to_owned(), json!(token.content));
                }
            }
        }
        if !config.contains_key("tokenizer_class") {
            config.insert("tokenizer_class".to_owned(), json!("PreTrainedTokenizerFast"));
        }
        match &inner.chat_template {
            Some(source) => config.insert("chat_template".to_owned(), json!(source)),
            None => config.remove("chat_template"),
        };
        write_json(&directory.join(CONFIG), config)?;
        write_json(&directory.join(SPECIAL_MAP), special_map)?;
        // A file of this name would win over the configuration's entry.
        let template_file = directory.join(CHAT_TEMPLATE);
        if template_file.exists() {
            fs_err::remove_file(template_file)?;
        }
        Ok(())
    }
}

fn write_json(path: &Path, map: Map<String, Value>) -> Result<(), TextError> {
    let mut text = serde_json::to_string_pretty(&Value::Object(map)).expect("a JSON value always serialises");
    text.push('\n');
    Ok(write_atomically(path, text.as_bytes())?)
}

/// A JSON object from a file; an absent file is an empty one.
fn object(path: &Path) -> Result<Map<String, Value>, TextError> {
    if !path.exists() {
        return Ok(Map::new());
    }
    serde_json::from_str(&fs_err::read_to_string(path)?)
        .map_err(|source| TextError::Json { path: path.to_owned(), source })
}

/// A special token is written as its string or as an object with its flags.
pub(super) fn token_text(value: &Value) -> Option<String> {
    value.as_str().or_else(|| value.get("content")?.as_str()).map(str::to_owned)
}

/// An id, or the first of a list of them.
fn first_id(value: &Value) -> Option<u32> {
    let value = value.as_array().map_or(Some(value), |ids| ids.first())?;
    value.as_u64().and_then(|id| u32::try_from(id).ok())
}

/// The template itself, or the one called "default" (else the first) of a list of named ones.
fn chat_template_of(config: &Map<String, Value>) -> Option<String> {
    let value = config.get("chat_template")?;
    if let Some(source) = value.as_str() {
        return Some(source.to_owned());
    }
    let named = value.as_array()?;
    let default = named.iter().find(|entry| entry.get("name").and_then(Value::as_str) == Some("default"));
    default.or(named.first())?.get("template")?.as_str().map(str::to_owned)
}
