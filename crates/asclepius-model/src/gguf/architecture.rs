//! The architectures that GGUF and this crate share: their names, and which GGUF tensor holds which parameter.
//!
//! Names and the order of rows are llama.cpp's.

use crate::{Family, ModelConfig};

/// A `general.architecture`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// Llama, and Mistral, which GGUF does not tell apart.
    Llama,
    /// Qwen2 and 2.5.
    Qwen2,
    /// Qwen3.
    Qwen3,
    /// Phi-1, 1.5 and 2.
    Phi2,
    /// Phi-3.
    Phi3,
}

impl Architecture {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Llama, Self::Qwen2, Self::Qwen3, Self::Phi2, Self::Phi3];

    /// The name in `general.architecture`, and before the keys of sizes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
            Self::Phi2 => "phi2",
            Self::Phi3 => "phi3",
        }
    }

    /// The architecture that a family is written as.
    pub fn of(family: Family) -> Self {
        match family {
            Family::Llama | Family::Mistral => Self::Llama,
            Family::Qwen2 => Self::Qwen2,
            Family::Qwen3 => Self::Qwen3,
            Family::Phi => Self::Phi2,
            Family::Phi3 => Self::Phi3,
        }
    }

    /// Key of the norms' epsilon.
    pub(super) fn epsilon_key(self) -> &'static str {
        if self == Self::Phi2 { "attention.layer_norm_epsilon" } else { "attention.layer_norm_rms_epsilon" }
    }
}

/// Where a parameter lies in a GGUF file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The tensor's name there.
    pub(super) tensor: String,
    /// Heads whose rows are interleaved there: features `i` and `i + r/2` of a head, which turn together, are neighbours.
    pub(super) interleaved_heads: Option<usize>,
}

/// Where the parameter of that name (in today's layout) lies; none for names GGUF has no place for.
pub(super) fn place(config: &ModelConfig, parameter: &str) -> Option<Place> {
    let plain = |tensor: String| Some(Place { tensor, interleaved_heads: None });
    let (module, kind) = parameter.rsplit_once('.')?;
    let outer = match module {
        "model.embed_tokens" => Some("token_embd"),
        "model.norm" | "model.final_layernorm" => Some("output_norm"),
        "lm_head" => Some("output"),
        _ => None,
    };
    if let Some(outer) = outer {
        return plain(format!("{outer}.{kind}"));
    }
    let (layer, module) = module.strip_prefix("model.layers.")?.split_once('.')?;
    let name = match module {
        "input_layernorm" => "attn_norm",
        "post_attention_layernorm" => "ffn_norm",
        "self_attn.q_proj" => "attn_q",
        "self_attn.k_proj" => "attn_k",
        "self_attn.v_proj" => "attn_v",
        "self_attn.qkv_proj" => "attn_qkv",
        "self_attn.o_proj" | "self_attn.dense" => "attn_output",
        "self_attn.q_norm" => "attn_q_norm",
        "self_attn.k_norm" => "attn_k_norm",
        "mlp.gate_proj" => "ffn_gate",
        // Phi-3's gate and up lie in one, as in its checkpoints.
        "mlp.up_proj" | "mlp.gate_up_proj" | "mlp.fc1" => "ffn_up",
        "mlp.down_proj" | "mlp.fc2" => "ffn_down",
        _ => return None,
    };
    let interleaved_heads = match (Architecture::of(config.family), name) {
        (Architecture::Llama, "attn_q") => Some(config.heads),
        (Architecture::Llama, "attn_k") => Some(config.key_value_heads),
        _ => None,
    };
    Some(Place { tensor: format!("blk.{layer}.{name}.{kind}"), interleaved_heads })
}
