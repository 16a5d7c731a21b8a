//! Token ids of a text piece by piece, the pieces remembered: a clinical text says the same words over and over.
//!
//! The library makes the ids, of a piece as of a whole text; what is ours is knowing where a text may be cut without any id
//! changing, for the tokenizers whose pre-tokenizers are known: byte-level BPE with the expressions of
//! [`super::pre_tokenizers`].

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use rustc_hash::FxHashMap;
use serde::Deserialize;
use serde_json::Value;
use tokenizers::Tokenizer;

use super::pre_tokenizers;

/// Pieces longer than this come once; they are not remembered.
const LONGEST: usize = 40;

/// Pieces a memory holds at most. The commonest come first, so a full one takes no more.
const MOST: usize = 1 << 17;

/// Ids of pieces seen before. Threads take one each while they encode.
#[derive(Debug, Default)]
pub(super) struct Words {
    idle: Mutex<Vec<Memory>>,
}

#[derive(Debug, Default)]
struct Memory {
    places: FxHashMap<Box<str>, Range<u32>>,
    ids: Vec<u32>,
}

/// What is looked at of a `tokenizer.json`.
#[derive(Debug, Deserialize)]
struct Described {
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    model: Model,
}

#[derive(Debug, Deserialize)]
struct Model {
    r#type: Option<String>,
    dropout: Option<f64>,
}

impl Words {
    /// For a `tokenizer.json` and what was loaded from it; none where texts may not be cut at [`cuts`].
    pub(super) fn of(json: &str, loaded: &Tokenizer) -> Option<Self> {
        let Described { normalizer, pre_tokenizer, model } = serde_json::from_str(json).ok()?;
        // Added tokens that are not special are found in texts before anything else is done with them.
        let whole = loaded.get_added_tokens_decoder().values().all(|token| {
            token.special
                || !(token.lstrip || token.rstrip || token.single_word || token.content.contains(char::is_whitespace))
        });
        let merges =
            model.r#type.is_none_or(|name| name == "BPE") && model.dropout.is_none_or(|dropout| dropout == 0.0);
        (whole && merges && pre_tokenizers::keep_gaps(&normalizer, &pre_tokenizer)).then(Self::default)
    }

    /// What `tokenizer` gives for `text`.
    ///
    /// # Errors
    /// As the tokenizer.
    pub(super) fn encode(&self, tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>, tokenizers::Error> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let mut memory = idle().pop().unwrap_or_default();
        let mut ids = Vec::with_capacity(text.len() / 3);
        let mut begin = 0;
        let mut result = Ok(());
        for end in cuts(text).chain([text.len()]) {
            result = memory.encode(tokenizer, &text[begin..end], &mut ids);
            if result.is_err() {
                break;
            }
            begin = end;
        }
        idle().push(memory);
        result.map(|()| ids)
    }
}

impl Memory {
    fn encode(&mut self, tokenizer: &Tokenizer, piece: &str, ids: &mut Vec<u32>) -> Result<(), tokenizers::Error> {
        if let Some(place) = self.places.get(piece) {
            ids.extend_from_slice(&self.ids[place.start as usize..place.end as usize]);
            return Ok(());
        }
        let encoding = tokenizer.encode_fast(piece, false)?;
        let new = encoding.get_ids();
        ids.extend_from_slice(new);
        if piece.len() <= LONGEST && self.places.len() < MOST {
            let start = self.ids.len() as u32;
            self.ids.extend_from_slice(new);
            self.places.insert(piece.into(), start..self.ids.len() as u32);
        }
        Ok(())
    }
}

/// Where a text may be cut: before a space and behind a line break, each alone between two characters that are not white
/// space, and the line break not before a slash.
///
/// In none of the known expressions does a match run on from there: a space only ever begins one unless more white space
/// stands beside it, and a line break ends one, or has slashes behind it. Nor does a match see that the text was cut, for
/// what looks ahead is `\s+(?!\S)`, which gives a lone line break either way. Composing characters (NFC) leaves both alone.
fn cuts(text: &str) -> impl Iterator<Item = usize> {
    let black = |character: Option<char>| character.is_some_and(|character| !character.is_whitespace());
    let before = move |at: usize| black(text[..at].chars().next_back());
    let behind = move |at: usize| text[at + 1..].chars().next();
    text.bytes().enumerate().filter_map(move |(at, byte)| match byte {
        b' ' if before(at) && black(behind(at)) => Some(at),
        b'\n' if before(at) && black(behind(at)) && behind(at) != Some('/') => Some(at + 1),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::tokenizer::pre_tokenizers::PreTokenizer;
    use crate::{SpecialNames, TextTokenizer};

    #[test]
    fn a_text_is_cut_between_words_and_lines_only() {
        let text = "BP 120/80,\nno  fever.\n\nPlan: x \n y\u{a0}z a\tb\nc ";
        let mut pieces = Vec::new();
        let mut begin = 0;
        for end in cuts(text).chain([text.len()]) {
            pieces.push(&text[begin..end]);
            begin = end;
        }
        assert_eq!(pieces, ["BP", " 120/80,\n", "no  fever.\n\nPlan:", " x \n y\u{a0}z", " a\tb\n", "c "]);
    }

    /// A trained tokenizer with every known way to cut words in turn.
    fn tokenizers() -> Vec<(String, Tokenizer, Words)> {
        let notes = "The patient's BP was 120/80 mmHg, don't give 5 mg.\nPlan: follow-up in 2 weeks (CT).\n\nÉtat général: bon.";
        let trained = TextTokenizer::train_bpe([notes].into_iter(), 330, &SpecialNames::default()).expect("it trains");
        let directory = tempfile::tempdir().expect("a directory");
        trained.save(directory.path()).expect("writable");
        let text = fs_err::read_to_string(directory.path().join("tokenizer.json")).expect("written");
        let mut json: Value = serde_json::from_str(&text).expect("JSON");
        PreTokenizer::all()
            .map(|known| {
                json["pre_tokenizer"] = known.to_json();
                json["normalizer"] = if known.composed { json!({ "type": "NFC" }) } else { Value::Null };
                json["model"]["ignore_merges"] = known.ignore_merges.into();
                let mut tokenizer: Tokenizer = json.to_string().parse().expect("a tokenizer");
                tokenizer.set_encode_special_tokens(true);
                let words = Words::of(&json.to_string(), &tokenizer).expect("each is known");
                (known.name.to_owned(), tokenizer, words)
            })
            .collect()
    }

    /// How many tokens each word has.
    fn words_of(tokenizer: &Tokenizer, text: &str) -> Vec<usize> {
        let encoding = tokenizer.encode(text, false).expect("bytes are always represented");
        encoding.get_word_ids().chunk_by(|a, b| a == b).map(<[_]>::len).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn pieces_give_the_ids_of_the_whole(
            parts in prop::collection::vec(
                prop_oneof![
                    4 => Just(" ".to_owned()), 2 => Just("\n".to_owned()),
                    1 => "[ \n\r\t\u{a0}\u{2003}\u{3000}]{1,3}", 4 => "[a-zA-Z]{1,6}", 2 => "[0-9]{1,5}",
                    2 => "[.,;:/(){}<>+=%$^~|'’-]{1,3}", 1 => "['](s|t|re|LL|D|x)", 1 => "[éÉßΩя漢字🩺ﬁ]{1,3}",
                    1 => "[\u{301}\u{308}\u{323}]{1,2}", 1 => "[٣५²]{1,4}", 1 => Just("<|eos|>".to_owned()),
                ],
                0..40,
            ),
        ) {
            static TOKENIZERS: std::sync::OnceLock<Vec<(String, Tokenizer, Words)>> = std::sync::OnceLock::new();
            let text = parts.concat();
            for (name, tokenizer, words) in TOKENIZERS.get_or_init(tokenizers) {
                let whole = tokenizer.encode_fast(text.as_str(), false).expect("bytes are always represented");
                let pieces = words.encode(tokenizer, &text).expect("as the whole");
                prop_assert_eq!(pieces, whole.get_ids().to_vec(), "{} {:?}", name, text);
                // A small vocabulary gives the same ids for other words too, so words are compared as well.
                let mut begin = 0;
                let mut lengths = Vec::new();
                for end in cuts(&text).chain([text.len()]) {
                    lengths.extend(words_of(tokenizer, &text[begin..end]));
                    begin = end;
                }
                prop_assert_eq!(lengths, words_of(tokenizer, &text), "{} {:?}", name, text);
            }
        }
    }

    #[test]
    fn what_is_not_known_is_encoded_whole() {
        let known = json!({ "model": { "type": "BPE" }, "pre_tokenizer": { "type": "ByteLevel", "use_regex": true } });
        let tokenizer = Tokenizer::new(tokenizers::models::bpe::BPE::default());
        assert!(Words::of(&known.to_string(), &tokenizer).is_some());
        for (key, value) in [
            ("pre_tokenizer", json!({ "type": "Metaspace" })),
            ("pre_tokenizer", json!({ "type": "Split", "pattern": { "Regex": "..." }, "behavior": "Isolated" })),
            ("pre_tokenizer", Value::Null),
            ("normalizer", json!({ "type": "Lowercase" })),
            ("model", json!({ "type": "Unigram" })),
            ("model", json!({ "type": "BPE", "dropout": 0.1 })),
        ] {
            let mut other = known.clone();
            other[key] = value;
            assert!(Words::of(&other.to_string(), &tokenizer).is_none(), "{other}");
        }
        let mut spaced = tokenizer.clone();
        spaced.add_tokens([tokenizers::AddedToken::from("New York", false)]).expect("added");
        assert!(Words::of(&known.to_string(), &spaced).is_none(), "a token with a space could be cut");
    }
}
