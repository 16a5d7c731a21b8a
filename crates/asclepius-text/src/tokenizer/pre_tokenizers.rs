//! How byte-level tokenizers cut a text into words before merging, by the names GGUF files use for it.
//!
//! The names and their expressions are llama.cpp's (`tokenizer.ggml.pre`); those of Hugging Face's `tokenizer.json` say
//! the same in steps of their own, so that both can be compared as lists of expressions.

use serde_json::{Value, json};

use crate::TextError;

/// GPT-2's words.
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
/// Each digit a word.
const DIGIT: &str = r"\p{N}";
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const GPT4O: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// What llama.cpp takes where a file names nothing: punctuation apart, digits by three.
const DEFAULT: [&str; 4] = [r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", r"[0-9][0-9][0-9]"];

/// One way to cut a text into words.
#[derive(Debug)]
pub(super) struct PreTokenizer {
    /// `tokenizer.ggml.pre`.
    pub(super) name: &'static str,
    /// Each cuts what the one before left; matches and what lies between them become words.
    splits: &'static [&'static str],
    /// Whether a word that is a token stays whole, whatever the merges would do.
    pub(super) ignore_merges: bool,
    /// Whether characters are composed first (Unicode NFC).
    pub(super) composed: bool,
    /// Whether llama.cpp begins a text with the bos token where the file does not say.
    pub(super) add_bos: bool,
}

const fn of(name: &'static str, splits: &'static [&'static str]) -> PreTokenizer {
    PreTokenizer { name, splits, ignore_merges: false, composed: false, add_bos: false }
}

const fn llama3(name: &'static str) -> PreTokenizer {
    PreTokenizer { ignore_merges: true, add_bos: true, ..of(name, &[LLAMA3]) }
}

/// Where several names mean the same, the first is the one that is written.
const KNOWN: &[PreTokenizer] = &[
    of("gpt-2", &[GPT2]),
    of("phi-2", &[GPT2]),
    of("smollm", &[DIGIT, GPT2]),
    of("starcoder", &[DIGIT, GPT2]),
    of("refact", &[DIGIT, GPT2]),
    of("command-r", &[DIGIT, GPT2]),
    llama3("llama-bpe"),
    llama3("llama3"),
    llama3("llama-v3"),
    of("dbrx", &[LLAMA3]),
    of("smaug-bpe", &[LLAMA3]),
    PreTokenizer { composed: true, ..of("qwen2", &[QWEN2]) },
    PreTokenizer { ignore_merges: true, add_bos: true, ..of("tekken", &[TEKKEN]) },
    of("gpt-4o", &[GPT4O]),
    of("default", &DEFAULT),
];

/// Whether a text's words are those of its pieces when it is cut as [`super::words`] cuts: byte-level steps with known
/// expressions, behind nothing or the composing of characters.
pub(super) fn keep_gaps(normalizer: &Value, pre_tokenizer: &Value) -> bool {
    let mut splits = Vec::new();
    let known = |split: &String| KNOWN.iter().any(|known| known.splits.contains(&split.as_str()));
    steps(pre_tokenizer, &mut splits)
        && !splits.is_empty()
        && splits.iter().all(known)
        && (normalizer.is_null() || normalizer["type"] == "NFC")
}

impl PreTokenizer {
    /// Every one there is.
    #[cfg(test)]
    pub(super) fn all() -> impl Iterator<Item = &'static Self> {
        KNOWN.iter()
    }

    /// The one of that name.
    pub(super) fn named(name: &str) -> Result<&'static Self, TextError> {
        KNOWN.iter().find(|known| known.name == name).ok_or_else(|| {
            let names: Vec<&str> = KNOWN.iter().map(|known| known.name).collect();
            TextError::Vocabulary {
                key: "tokenizer.ggml.pre",
                problem: format!("{name:?} is not known; known are {}", names.join(", ")),
            }
        })
    }

    /// The one that a `tokenizer.json` describes.
    pub(super) fn of_tokenizer(tokenizer: &Value) -> Result<&'static Self, TextError> {
        let unknown = |problem: &str| TextError::Vocabulary { key: "pre_tokenizer", problem: problem.to_owned() };
        let mut splits = Vec::new();
        if !steps(&tokenizer["pre_tokenizer"], &mut splits) {
            return Err(unknown("has steps GGUF has no name for"));
        }
        let composed = match tokenizer["normalizer"]["type"].as_str() {
            None => false,
            Some("NFC") => true,
            Some(_) => return Err(unknown("comes after a normalizer GGUF has no name for")),
        };
        let ignore_merges = tokenizer["model"]["ignore_merges"].as_bool().unwrap_or(false);
        KNOWN
            .iter()
            .find(|known| {
                known.splits == splits.as_slice()
                    && known.composed == composed
                    && known.ignore_merges == ignore_merges
                    // What files without a name fall back on is no name to give one.
                    && known.name != "default"
            })
            .ok_or_else(|| unknown("cuts words in a way GGUF has no name for"))
    }

    /// As `tokenizer.json` has it.
    pub(super) fn to_json(&self) -> Value {
        let bytes = |words: bool| json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": words });
        let (last, before) = self.splits.split_last().expect("every entry of the table has an expression");
        let (before, words) = if *last == GPT2 { (before, true) } else { (self.splits, false) };
        let mut parts: Vec<Value> = before
            .iter()
            .map(|split| match *split {
                DIGIT => json!({ "type": "Digits", "individual_digits": true }),
                regex => {
                    json!({ "type": "Split", "pattern": { "Regex": regex }, "behavior": "Isolated", "invert": false })
                }
            })
            .collect();
        if parts.is_empty() {
            return bytes(words);
        }
        parts.push(bytes(words));
        json!({ "type": "Sequence", "pretokenizers": parts })
    }
}

/// Appends the expressions of a pre-tokenizer's steps; false where one is something else.
fn steps(step: &Value, splits: &mut Vec<String>) -> bool {
    match step["type"].as_str() {
        Some("Sequence") => {
            step["pretokenizers"].as_array().is_some_and(|parts| parts.iter().all(|part| steps(part, splits)))
        }
        Some("Digits") if step["individual_digits"] == true => {
            splits.push(DIGIT.to_owned());
            true
        }
        Some("Split") if step["behavior"] == "Isolated" && step["invert"] != true => {
            let Some(regex) = step["pattern"]["Regex"].as_str() else { return false };
            splits.push(regex.to_owned());
            true
        }
        Some("ByteLevel") if step["add_prefix_space"] != true => {
            if step["use_regex"] != false {
                splits.push(GPT2.to_owned());
            }
            true
        }
        _ => false,
    }
}
