//! A decoder's sizes, read from a Hugging Face `config.json` by its `model_type`.

use std::path::{Path, PathBuf};

use candle_core::DType;
use serde_json::{Map, Value};

use crate::families::phi::{self, Layout};
use crate::families::{self, Activation};
use crate::rotary::{Rotary, RotaryScaling, yarn_attention_factor};
use crate::{ModelError, Result};

/// The families whose tensors this crate knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Llama 1 to 3, SmolLM2 and everything else of `model_type` llama.
    Llama,
    /// Mistral: Llama's block with a sliding window where the configuration has one.
    Mistral,
    /// Qwen2 and 2.5: Llama's block with biases on q, k and v.
    Qwen2,
    /// Qwen3: Llama's block with a norm of each head's queries and keys.
    Qwen3,
    /// Phi-1.5 and Phi-2: attention and feed-forward side by side, layer norms, biases, a head bias.
    Phi,
    /// Phi-3: Llama's block with q, k, v in one matrix and gate, up in another.
    Phi3,
}

impl Family {
    /// The `model_type` of `config.json`.
    pub fn model_type(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Mistral => "mistral",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
            Self::Phi => "phi",
            Self::Phi3 => "phi3",
        }
    }

    fn parse(model_type: &str) -> Option<Self> {
        [Self::Llama, Self::Mistral, Self::Qwen2, Self::Qwen3, Self::Phi, Self::Phi3]
            .into_iter()
            .find(|family| family.model_type() == model_type)
    }
}

/// A decoder's sizes and constants.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfig {
    /// Which tensors there are and how a block computes.
    pub family: Family,
    /// How the checkpoint's tensors are cut and named.
    pub layout: Layout,
    /// Rows of the embedding.
    pub vocab_size: usize,
    /// Features of the hidden state.
    pub hidden_size: usize,
    /// Features inside the feed-forward layer.
    pub intermediate_size: usize,
    /// Blocks.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub key_value_heads: usize,
    /// Features of a head.
    pub head_dim: usize,
    /// Added under the root of every norm.
    pub norm_epsilon: f64,
    /// How positions turn queries and keys.
    pub rotary: Rotary,
    /// The most positions the model was made for.
    pub max_positions: usize,
    /// Keys a query sees at most, where attention slides.
    pub window: Option<usize>,
    /// Whether the head is the embedding.
    pub tied: bool,
    /// Whether q, k and v have biases.
    pub query_bias: bool,
    /// Whether the attention's output projection has a bias.
    pub output_bias: bool,
    /// Whether the feed-forward layers have biases.
    pub feed_forward_bias: bool,
    /// The feed-forward layer's non-linearity.
    pub activation: Activation,
    /// Probability of dropping, in training, a feature that attention or feed-forward adds to the residual.
    pub residual_dropout: f32,
    /// Standard deviation of random initial weights.
    pub initializer_range: f64,
    /// The token before a document, where there is one.
    pub bos: Option<u32>,
    /// Tokens that end a text.
    pub eos: Vec<u32>,
    /// The file as it was read, for writing it back.
    raw: Map<String, Value>,
}

impl ModelConfig {
    /// Reads `config.json`; a directory stands for the file of that name in it.
    ///
    /// # Errors
    /// When the file cannot be read, or [`Self::from_json`] refuses it.
    pub fn from_file(path: &Path) -> Result<Self> {
        let path = if path.is_dir() { path.join("config.json") } else { path.to_owned() };
        let text = fs_err::read_to_string(&path)?;
        let value = serde_json::from_str(&text).map_err(|source| ModelError::Json { path: path.clone(), source })?;
        Self::parse(value, &path)
    }

    /// The configuration that a `config.json` of this content describes.
    ///
    /// # Errors
    /// When a key is missing or of another type, the family is unknown, or the sizes do not fit each other.
    pub fn from_json(value: Value) -> Result<Self> {
        Self::parse(value, Path::new("config.json"))
    }

    /// What `config.json` is to hold: the file as it was read.
    pub fn to_json(&self) -> Value {
        Value::Object(self.raw.clone())
    }

    /// Says in the `config.json` that is written what type the weights beside it have; nothing is computed with it.
    pub fn set_dtype(&mut self, dtype: DType) {
        // The key of today's transformers, where it is used, and the one that every version reads.
        for key in ["torch_dtype", "dtype"] {
            if key == "torch_dtype" || self.raw.contains_key(key) {
                self.raw.insert(key.to_owned(), dtype_name(dtype).into());
            }
        }
    }

    /// Features of all query heads together.
    pub fn query_features(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Features of all key heads together, or of all value heads.
    pub fn key_features(&self) -> usize {
        self.key_value_heads * self.head_dim
    }

    fn parse(value: Value, path: &Path) -> Result<Self> {
        let Value::Object(raw) = value else {
            return Err(ModelError::Config {
                path: path.to_owned(),
                key: "config".to_owned(),
                problem: "is not a JSON object".to_owned(),
            });
        };
        let model_type = Keys { raw: &raw, path }.text("model_type")?.to_owned();
        let (family, layout) = match Family::parse(&model_type) {
            Some(family) => (family, Layout::Current),
            None if model_type == phi::FIRST_MODEL_TYPE => (Family::Phi, Layout::First),
            None => return Err(ModelError::UnknownFamily { path: path.to_owned(), found: model_type }),
        };
        let current = (layout == Layout::First).then(|| phi::current_keys(&raw));
        let keys = Keys { raw: current.as_ref().unwrap_or(&raw), path };
        let traits = families::traits(family, &keys)?;
        let hidden_size = keys.size("hidden_size")?;
        let heads = keys.size("num_attention_heads")?;
        let key_value_heads = keys.optional_size("num_key_value_heads")?.unwrap_or(heads);
        if key_value_heads == 0 || !heads.is_multiple_of(key_value_heads) {
            return Err(keys.problem("num_key_value_heads", format!("does not divide num_attention_heads = {heads}")));
        }
        let head_dim = match keys.optional_size("head_dim")? {
            Some(head_dim) => head_dim,
            None if hidden_size % heads == 0 => hidden_size / heads,
            None => return Err(keys.problem("hidden_size", format!("is not a multiple of {heads} heads"))),
        };
        Ok(Self {
            family,
            layout,
            vocab_size: keys.size("vocab_size")?,
            hidden_size,
            intermediate_size: keys.size("intermediate_size")?,
            layers: keys.size("num_hidden_layers")?,
            heads,
            key_value_heads,
            head_dim,
            norm_epsilon: keys.number(traits.epsilon_key)?.unwrap_or(1e-6),
            rotary: rotary(&keys, traits.turned, head_dim)?,
            max_positions: keys.optional_size("max_position_embeddings")?.unwrap_or(2048),
            window: traits.window,
            tied: keys.flag("tie_word_embeddings")?.unwrap_or(false),
            query_bias: traits.query_bias,
            output_bias: traits.output_bias,
            feed_forward_bias: traits.feed_forward_bias,
            activation: traits.activation,
            residual_dropout: traits.residual_dropout,
            initializer_range: keys.number("initializer_range")?.unwrap_or(0.02),
            bos: keys.tokens("bos_token_id")?.first().copied(),
            eos: keys.tokens("eos_token_id")?,
            raw: raw.clone(),
        })
    }
}

fn rotary(keys: &Keys<'_>, turned: f64, head_dim: usize) -> Result<Rotary> {
    // transformers 5 writes one `rope_parameters`; before it there were `rope_theta` and `rope_scaling`.
    let nested =
        ["rope_parameters", "rope_scaling"].into_iter().find_map(|key| Some((key, keys.raw.get(key)?.as_object()?)));
    let nested_keys = nested.map(|(_, raw)| Keys { raw, path: keys.path });
    let number = |key: &str| -> Result<Option<f64>> {
        if let Some(nested) = &nested_keys
            && let Some(value) = nested.number(key)?
        {
            return Ok(Some(value));
        }
        keys.number(key)
    };
    let theta = number("rope_theta")?.unwrap_or(10_000.0);
    let partial = number("partial_rotary_factor")?.unwrap_or(turned);
    let features = (head_dim as f64 * partial) as usize;
    if features == 0 || !features.is_multiple_of(2) || features > head_dim {
        return Err(keys.problem("partial_rotary_factor", format!("turns {features} of {head_dim} features of a head")));
    }
    let Some(nested) = nested_keys else {
        return Ok(Rotary { theta, features, scaling: RotaryScaling::None });
    };
    let kind = nested.raw.get("rope_type").or_else(|| nested.raw.get("type")).and_then(Value::as_str);
    let required = |key: &str| nested.number(key)?.ok_or_else(|| nested.problem(key, "is missing"));
    let scaling = match kind.unwrap_or("default") {
        "default" => RotaryScaling::None,
        "linear" => RotaryScaling::Linear { factor: required("factor")? },
        "llama3" => RotaryScaling::Llama3 {
            factor: required("factor")?,
            low_frequency_factor: required("low_freq_factor")?,
            high_frequency_factor: required("high_freq_factor")?,
            original_positions: required("original_max_position_embeddings")?,
        },
        "yarn" => yarn(keys, &nested)?,
        other => return Err(keys.problem("rope_scaling", format!("type {other:?} is not supported"))),
    };
    Ok(Rotary { theta, features, scaling })
}

/// As transformers reads it: what is not given follows from the other numbers.
fn yarn(keys: &Keys<'_>, nested: &Keys<'_>) -> Result<RotaryScaling> {
    let positions = keys.number("max_position_embeddings")?;
    let original_positions = nested
        .number("original_max_position_embeddings")?
        .or(positions)
        .ok_or_else(|| nested.problem("original_max_position_embeddings", "is missing"))?;
    let factor = nested
        .number("factor")?
        .or(positions.map(|positions| positions / original_positions))
        .ok_or_else(|| nested.problem("factor", "is missing"))?;
    let given = |key: &str| Ok::<_, ModelError>(nested.number(key)?.filter(|&value| value != 0.0));
    let attention_factor = match (nested.number("attention_factor")?, given("mscale")?, given("mscale_all_dim")?) {
        (Some(attention_factor), ..) => attention_factor,
        (None, Some(one), Some(all)) => yarn_attention_factor(factor, one) / yarn_attention_factor(factor, all),
        _ => yarn_attention_factor(factor, 1.0),
    };
    Ok(RotaryScaling::Yarn {
        factor,
        attention_factor,
        beta_fast: given("beta_fast")?.unwrap_or(32.0),
        beta_slow: given("beta_slow")?.unwrap_or(1.0),
        original_positions,
        truncate: nested.flag("truncate")?.unwrap_or(true),
    })
}

/// Typed access to a JSON object's keys.
pub(crate) struct Keys<'a> {
    raw: &'a Map<String, Value>,
    path: &'a Path,
}

impl<'a> Keys<'a> {
    pub(crate) fn problem(&self, key: &str, problem: impl Into<String>) -> ModelError {
        ModelError::Config { path: PathBuf::from(self.path), key: key.to_owned(), problem: problem.into() }
    }

    /// What the activation's name stands for; none where there is no name.
    pub(crate) fn activation<A: Copy>(&self, known: &[(&str, A)]) -> Result<Option<A>> {
        let Some(found) = self.raw.get("hidden_act").and_then(Value::as_str) else { return Ok(None) };
        if let Some(&(_, activation)) = known.iter().find(|(name, _)| *name == found) {
            return Ok(Some(activation));
        }
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        Err(self.problem("hidden_act", format!("{found:?} is not one of {names:?}")))
    }

    /// Refuses an activation other than the one `swiglu` computes with.
    pub(crate) fn silu(&self) -> Result<()> {
        self.activation(&[("silu", ()), ("swish", ())]).map(|_| ())
    }

    fn present(&self, key: &str) -> Option<&'a Value> {
        self.raw.get(key).filter(|value| !value.is_null())
    }

    fn text(&self, key: &str) -> Result<&'a str> {
        self.present(key).and_then(Value::as_str).ok_or_else(|| self.problem(key, "is not a text"))
    }

    pub(crate) fn size(&self, key: &str) -> Result<usize> {
        self.optional_size(key)?.ok_or_else(|| self.problem(key, "is missing"))
    }

    pub(crate) fn optional_size(&self, key: &str) -> Result<Option<usize>> {
        self.present(key)
            .map(|value| {
                value
                    .as_u64()
                    .map(|value| value as usize)
                    .ok_or_else(|| self.problem(key, format!("{value} is not a size")))
            })
            .transpose()
    }

    pub(crate) fn number(&self, key: &str) -> Result<Option<f64>> {
        self.present(key)
            .map(|value| value.as_f64().ok_or_else(|| self.problem(key, format!("{value} is not a number"))))
            .transpose()
    }

    pub(crate) fn flag(&self, key: &str) -> Result<Option<bool>> {
        self.present(key)
            .map(|value| value.as_bool().ok_or_else(|| self.problem(key, format!("{value} is not true or false"))))
            .transpose()
    }

    /// One id, several, or none.
    fn tokens(&self, key: &str) -> Result<Vec<u32>> {
        let id = |value: &Value| {
            value
                .as_u64()
                .and_then(|id| u32::try_from(id).ok())
                .ok_or_else(|| self.problem(key, format!("{value} is not a token id")))
        };
        match self.present(key) {
            None => Ok(Vec::new()),
            Some(Value::Array(values)) => values.iter().map(id).collect(),
            Some(value) => Ok(vec![id(value)?]),
        }
    }
}
/// transformers' name of a type.
pub(crate) fn dtype_name(dtype: DType) -> &'static str {
    match dtype {
        DType::F16 => "float16",
        DType::BF16 => "bfloat16",
        _ => "float32",
    }
}
