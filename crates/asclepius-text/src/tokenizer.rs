//! Text to token ids and back.
//!
//! Three doors in: [`TextTokenizer::encode_text`] for texts from outside, in which a special token's string is nothing
//! but text; [`TextTokenizer::encode_template`] for rendered templates, in which it is the token; and
//! [`TextTokenizer::encode_pieces`] for both in one sequence. None of them adds a token of its own.

mod files;
mod pre_tokenizers;
mod to_vocabulary;
mod train;
mod vocabulary;
mod words;

use std::sync::Arc;

use asclepius_schema::Fingerprint;
use serde_json::{Map, Value};
use tokenizers::{AddedToken, Tokenizer};

use crate::TextError;
use crate::template::Piece;

use words::Words;

pub use vocabulary::{TokenKind, Vocabulary, VocabularyModel};

/// Stands before a text that continues a sequence, so that the tokenizer does not take it for a beginning and put a
/// space before it. Private-use code points: no tokenizer knows them and no note holds them.
const GUARD: &str = "\u{F8A3}\u{F8B1}\u{F8A3}";

/// The strings of a trained tokenizer's special tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecialNames {
    /// Begins a document.
    pub bos: String,
    /// Ends a document or an answer.
    pub eos: String,
    /// Fills up, where something insists on padding.
    pub pad: String,
}

impl Default for SpecialNames {
    fn default() -> Self {
        Self { bos: "<|bos|>".to_owned(), eos: "<|eos|>".to_owned(), pad: "<|pad|>".to_owned() }
    }
}

/// A token that controls rather than says something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Control {
    pub(crate) content: String,
    pub(crate) id: u32,
    /// Swallows white space before it.
    pub(crate) lstrip: bool,
    /// Swallows white space after it.
    pub(crate) rstrip: bool,
}

/// A tokenizer with what its model directory says about it. Cheap to clone, shared between threads.
#[derive(Debug, Clone)]
pub struct TextTokenizer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Strings of control tokens become the tokens.
    template: Tokenizer,
    /// Strings of control tokens stay text; knows [`GUARD`].
    text: Tokenizer,
    /// What [`Inner::text`] gave before, where texts may be cut.
    words: Option<Words>,
    /// Longest first, so that the first match at a place is the longest one.
    controls: Vec<Control>,
    bos: Option<Control>,
    eos: Option<Control>,
    pad: Option<Control>,
    chat_template: Option<String>,
    vocab_size: usize,
    fingerprint: String,
    /// The files as they were loaded or trained, for [`TextTokenizer::save`].
    json: String,
    config: Map<String, Value>,
    special_map: Map<String, Value>,
}

impl Inner {
    fn encode_text(&self, text: &str) -> Result<Vec<u32>, TextError> {
        match &self.words {
            Some(words) => words.encode(&self.text, text).map_err(failed("encode a text")),
            None => ids(&self.text, text, "encode a text"),
        }
    }
}

fn failed(action: &'static str) -> impl FnOnce(tokenizers::Error) -> TextError {
    move |source| TextError::Tokenizer { action, source }
}

/// Ids alone: offsets and token strings cost as much again.
fn ids(tokenizer: &Tokenizer, text: &str, action: &'static str) -> Result<Vec<u32>, TextError> {
    Ok(tokenizer.encode_fast(text, false).map_err(failed(action))?.get_ids().to_vec())
}

/// `<think>` or `[INST]` steer a model even where a tokenizer's author forgot to flag them as special.
fn looks_like_control(token: &AddedToken) -> bool {
    let content = token.content.as_str();
    let enclosed = |open, close| content.len() > 2 && content.starts_with(open) && content.ends_with(close);
    token.special || enclosed('<', '>') || enclosed('[', ']')
}

impl TextTokenizer {
    /// Token ids of a text from outside. Nothing is added, and the string of a special token stays text.
    ///
    /// # Errors
    /// When the tokenizer cannot represent the text.
    pub fn encode_text(&self, text: &str) -> Result<Vec<u32>, TextError> {
        if text.contains(GUARD) {
            return ids(&self.guardless(), text, "encode a text");
        }
        self.0.encode_text(text)
    }

    /// As [`Self::encode_text`], each id with the byte in `text` at which its token ends.
    ///
    /// # Errors
    /// When the tokenizer cannot represent the text.
    pub fn encode_text_with_offsets(&self, text: &str) -> Result<Vec<(u32, usize)>, TextError> {
        let encoding =
            if text.contains(GUARD) { self.guardless().encode(text, false) } else { self.0.text.encode(text, false) }
                .map_err(failed("encode a text"))?;
        Ok(encoding.get_ids().iter().copied().zip(encoding.get_offsets().iter().map(|offsets| offsets.1)).collect())
    }

    /// Token ids of a text from outside that continues a sequence: as [`Self::encode_text`], but tokenizers that mark
    /// the beginning of a sequence with a space do not do so.
    ///
    /// # Errors
    /// When the tokenizer cannot represent the text.
    pub fn encode_following(&self, text: &str) -> Result<Vec<u32>, TextError> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        if text.contains(GUARD) {
            return ids(&self.guardless(), text, "encode a text");
        }
        let mut ids = self.0.encode_text(&format!("{GUARD}{text}"))?;
        ids.remove(0);
        Ok(ids)
    }

    /// Token ids of a rendered template: the string of a special token becomes the token. Nothing is added. Never for
    /// text from outside.
    ///
    /// # Errors
    /// When the tokenizer cannot represent the text.
    pub fn encode_template(&self, rendered: &str) -> Result<Vec<u32>, TextError> {
        ids(&self.0.template, rendered, "encode a template")
    }

    /// Token ids of a sequence of pieces; `continues` tells whether tokens stand before them. Neighbouring text pieces
    /// are encoded as one text, so tokens may span the seam between a template and a note as they would in any text.
    ///
    /// # Errors
    /// When the tokenizer cannot represent a text, or a special piece is not a token.
    pub fn encode_pieces(&self, pieces: &[Piece], continues: bool) -> Result<Vec<u32>, TextError> {
        let mut ids = Vec::new();
        let mut text = String::new();
        let flush = |text: &mut String, ids: &mut Vec<u32>| -> Result<(), TextError> {
            if !text.is_empty() {
                let begins = ids.is_empty() && !continues;
                ids.extend(if begins { self.encode_text(text)? } else { self.encode_following(text)? });
                text.clear();
            }
            Ok(())
        };
        for piece in pieces {
            if piece.special {
                flush(&mut text, &mut ids)?;
                ids.extend(self.encode_template(&piece.text)?);
            } else {
                text.push_str(&piece.text);
            }
        }
        flush(&mut text, &mut ids)?;
        Ok(ids)
    }

    /// Text of token ids, special tokens left out.
    pub fn decode(&self, ids: &[u32]) -> String {
        self.decode_or_spell(ids, true)
    }

    /// Text of token ids, special tokens as their strings.
    pub fn decode_with_specials(&self, ids: &[u32]) -> String {
        self.decode_or_spell(ids, false)
    }

    /// Models may emit anything; what the decoder refuses is spelt out token by token.
    fn decode_or_spell(&self, ids: &[u32], skip_specials: bool) -> String {
        self.0.template.decode(ids, skip_specials).unwrap_or_else(|_| {
            let kept = ids.iter().filter(|id| !skip_specials || !self.0.controls.iter().any(|token| token.id == **id));
            kept.filter_map(|&id| self.id_to_token(id)).collect()
        })
    }

    /// The token that begins a document.
    pub fn bos(&self) -> Option<u32> {
        self.0.bos.as_ref().map(|token| token.id)
    }

    /// The token that ends a document.
    pub fn eos(&self) -> Option<u32> {
        self.0.eos.as_ref().map(|token| token.id)
    }

    /// The token that fills up a batch. Nothing in Asclepius pads; other tools ask for it.
    pub fn pad(&self) -> Option<u32> {
        self.0.pad.as_ref().map(|token| token.id)
    }

    /// The string of [`Self::bos`].
    pub fn bos_token(&self) -> Option<&str> {
        self.0.bos.as_ref().map(|token| token.content.as_str())
    }

    /// The string of [`Self::eos`].
    pub fn eos_token(&self) -> Option<&str> {
        self.0.eos.as_ref().map(|token| token.content.as_str())
    }

    /// The string of [`Self::pad`].
    pub fn pad_token(&self) -> Option<&str> {
        self.0.pad.as_ref().map(|token| token.content.as_str())
    }

    /// The id of a token by its string.
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.0.template.token_to_id(token)
    }

    /// The string of a token by its id.
    pub fn id_to_token(&self, id: u32) -> Option<String> {
        self.0.template.id_to_token(id)
    }

    /// Whether the id is that of a token that controls rather than says something.
    pub fn is_special(&self, id: u32) -> bool {
        self.0.controls.iter().any(|token| token.id == id)
    }

    /// One more than the highest id: the least number of embedding rows a model needs.
    pub fn vocab_size(&self) -> usize {
        self.0.vocab_size
    }

    /// The Jinja source of the base's own chat template.
    pub fn chat_template(&self) -> Option<&str> {
        self.0.chat_template.as_deref()
    }

    /// 32 hex digits that change whenever an id, a special token or the chat template does.
    pub fn fingerprint(&self) -> &str {
        &self.0.fingerprint
    }

    /// 32 hex digits that change whenever the ids of a text do, and with nothing but that: not with the chat template.
    pub fn ids_fingerprint(&self) -> String {
        let ids = [self.bos(), self.eos(), self.pad()];
        Fingerprint::new("token ids").bytes("json", self.0.json.as_bytes()).setting("specials", &ids).finish()
    }

    /// Control tokens, longest first.
    pub(crate) fn controls(&self) -> &[Control] {
        &self.0.controls
    }

    /// For a text that holds the guard itself: slow, and never met outside an attack.
    fn guardless(&self) -> Tokenizer {
        let mut tokenizer = self.0.template.clone();
        tokenizer.set_encode_special_tokens(true);
        tokenizer
    }
}
