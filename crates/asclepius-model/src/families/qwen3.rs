//! Qwen3: Llama's block with a norm of each head's queries and of its keys.

use super::{Traits, Weights, llama, qwen2};
use crate::block::Block;
use crate::config::Keys;
use crate::{ModelConfig, Result};

pub(super) fn traits(keys: &Keys<'_>) -> Result<Traits> {
    keys.silu()?;
    let bias = keys.flag("attention_bias")?.unwrap_or(false);
    Ok(Traits { window: qwen2::window(keys)?, query_bias: bias, output_bias: bias, ..Traits::default() })
}

pub(super) fn block(config: &ModelConfig, weights: &mut Weights<'_>, name: &str) -> Block {
    let mut block = llama::block(config, weights, name);
    let mut norm =
        |of: &str| weights.norm(&format!("{name}.self_attn.{of}"), config.head_dim, config.norm_epsilon, false);
    block.attention.head_norms = Some((norm("q_norm"), norm("k_norm")));
    block
}
