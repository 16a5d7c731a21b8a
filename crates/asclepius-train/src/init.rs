//! `[pretrain.init]`: a Llama-shaped decoder from random weights, for demonstrations and experiments on small machines.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::config::TrainStage;
use crate::error::{Problem, TrainError};

/// Sizes of a new model and its tokenizer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InitConfig {
    /// Width of the residual stream. A multiple of `num_attention_heads`.
    pub hidden_size: usize,
    /// Width inside the feed-forward part.
    pub intermediate_size: usize,
    /// Blocks.
    pub num_hidden_layers: usize,
    /// Query heads. A multiple of `num_key_value_heads`.
    pub num_attention_heads: usize,
    /// Key and value heads; fewer than `num_attention_heads` is grouped-query attention.
    pub num_key_value_heads: usize,
    /// Tokens the tokenizer is trained to, its special tokens included. Ignored beside `tokenizer`, which brings its own.
    pub vocab_size: usize,
    /// Directory of a tokenizer to take instead of training one on the data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<PathBuf>,
    /// Texts the tokenizer is trained on, the first of the training split; 0 takes all.
    pub tokenizer_texts: usize,
    /// One matrix for token embeddings and the output head.
    pub tie_word_embeddings: bool,
    /// Longest sequence the model is made for, in tokens. Defaults to `sequence_length`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_position_embeddings: Option<usize>,
    /// Base of the rotary embedding's frequencies.
    pub rope_theta: f64,
    /// Epsilon of the norms.
    pub rms_norm_eps: f64,
    /// Standard deviation of the random weights.
    pub initializer_range: f64,
}

impl Default for InitConfig {
    fn default() -> Self {
        Self {
            hidden_size: 128,
            intermediate_size: 352,
            num_hidden_layers: 4,
            num_attention_heads: 4,
            num_key_value_heads: 2,
            vocab_size: 4096,
            tokenizer: None,
            tokenizer_texts: 0,
            tie_word_embeddings: true,
            max_position_embeddings: None,
            rope_theta: 10_000.0,
            rms_norm_eps: 1e-5,
            initializer_range: 0.02,
        }
    }
}

/// The tokenizer's numbers that go into a model's `config.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vocabulary {
    /// Rows of the embedding.
    pub size: usize,
    /// Id of the token before a document, where there is one.
    pub bos: Option<u32>,
    /// Id of the token after a document.
    pub eos: Option<u32>,
    /// Id of the padding token.
    pub pad: Option<u32>,
}

impl InitConfig {
    /// Checks that the sizes fit each other.
    ///
    /// # Errors
    /// [`TrainError::Setting`] with the key.
    pub fn validate(&self, stage: TrainStage) -> Result<(), TrainError> {
        let fail = |key, problem| Err(TrainError::Setting { table: stage.table(), key, problem });
        for (key, value) in [
            ("init.hidden_size", self.hidden_size),
            ("init.intermediate_size", self.intermediate_size),
            ("init.num_hidden_layers", self.num_hidden_layers),
            ("init.num_attention_heads", self.num_attention_heads),
            ("init.num_key_value_heads", self.num_key_value_heads),
        ] {
            if value == 0 {
                return fail(key, Problem::NotPositive);
            }
        }
        for (key, value, of, by) in [
            ("init.hidden_size", self.hidden_size, "num_attention_heads", self.num_attention_heads),
            ("init.num_attention_heads", self.num_attention_heads, "num_key_value_heads", self.num_key_value_heads),
        ] {
            if !value.is_multiple_of(by) {
                return fail(key, Problem::NotAMultiple { value, of, by });
            }
        }
        if !(self.hidden_size / self.num_attention_heads).is_multiple_of(2) {
            // The rotary embedding turns pairs of components.
            return fail(
                "init.num_attention_heads",
                Problem::Outside { value: self.num_attention_heads as f64, range: "hidden_size / an even number" },
            );
        }
        // A byte-level tokenizer starts from 256 bytes and three special tokens.
        if self.tokenizer.is_none() && self.vocab_size < 259 {
            return fail("init.vocab_size", Problem::Outside { value: self.vocab_size as f64, range: "at least 259" });
        }
        for (key, value) in [
            ("init.rope_theta", self.rope_theta),
            ("init.rms_norm_eps", self.rms_norm_eps),
            ("init.initializer_range", self.initializer_range),
        ] {
            if !(value.is_finite() && value > 0.0) {
                return fail(key, Problem::Outside { value, range: "a finite number above 0" });
            }
        }
        Ok(())
    }

    /// The `config.json` of the model, as transformers' `LlamaConfig` reads it.
    pub fn config_json(&self, vocabulary: Vocabulary, sequence_length: usize) -> Value {
        json!({
            "architectures": ["LlamaForCausalLM"],
            "attention_bias": false,
            "attention_dropout": 0.0,
            "bos_token_id": vocabulary.bos,
            "eos_token_id": vocabulary.eos,
            "head_dim": self.hidden_size / self.num_attention_heads,
            "hidden_act": "silu",
            "hidden_size": self.hidden_size,
            "initializer_range": self.initializer_range,
            "intermediate_size": self.intermediate_size,
            "max_position_embeddings": self.max_position_embeddings.unwrap_or(sequence_length),
            "mlp_bias": false,
            "model_type": "llama",
            "num_attention_heads": self.num_attention_heads,
            "num_hidden_layers": self.num_hidden_layers,
            "num_key_value_heads": self.num_key_value_heads,
            "pad_token_id": vocabulary.pad,
            "rms_norm_eps": self.rms_norm_eps,
            "rope_scaling": null,
            "rope_theta": self.rope_theta,
            "tie_word_embeddings": self.tie_word_embeddings,
            "torch_dtype": "float32",
            "use_cache": true,
            "vocab_size": vocabulary.size,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_do_not_divide_are_refused_by_key() {
        InitConfig::default().validate(TrainStage::Pretrain).expect("the defaults fit");
        for (init, expected) in [
            (InitConfig { num_attention_heads: 3, ..InitConfig::default() }, "init.hidden_size"),
            (InitConfig { num_key_value_heads: 3, ..InitConfig::default() }, "init.num_attention_heads"),
            (
                InitConfig { num_attention_heads: 128, num_key_value_heads: 1, ..InitConfig::default() },
                "init.num_attention_heads",
            ),
            (InitConfig { num_hidden_layers: 0, ..InitConfig::default() }, "init.num_hidden_layers"),
            (InitConfig { vocab_size: 100, ..InitConfig::default() }, "init.vocab_size"),
        ] {
            match init.validate(TrainStage::Pretrain) {
                Err(TrainError::Setting { key, .. }) => assert_eq!(key, expected),
                other => panic!("expected {expected} to be refused, got {other:?}"),
            }
        }
    }
}
