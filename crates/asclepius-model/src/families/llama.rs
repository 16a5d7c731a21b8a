//! Llama 1 to 3 and SmolLM2 (Touvron et al., "LLaMA", 2023): the block that most others take over.

use super::{Traits, Weights};
use crate::block::{Attention, Block, FeedForward, attention_options};
use crate::config::Keys;
use crate::layers::Projections;
use crate::{ModelConfig, Result};

pub(super) fn traits(keys: &Keys<'_>) -> Result<Traits> {
    keys.silu()?;
    let bias = keys.flag("attention_bias")?.unwrap_or(false);
    let feed_forward_bias = keys.flag("mlp_bias")?.unwrap_or(false);
    Ok(Traits { query_bias: bias, output_bias: bias, feed_forward_bias, ..Traits::default() })
}

pub(super) fn block(config: &ModelConfig, weights: &mut Weights<'_>, name: &str) -> Block {
    let (d, f) = (config.hidden_size, config.intermediate_size);
    let (queries, keys) = (config.query_features(), config.key_features());
    let (attention, feed_forward) = (format!("{name}.self_attn"), format!("{name}.mlp"));
    let (query_bias, inner_bias) = (config.query_bias, config.feed_forward_bias);
    Block {
        input_norm: weights.norm(&format!("{name}.input_layernorm"), d, config.norm_epsilon, false),
        attention: Attention {
            projections: Projections::Apart([
                weights.linear(&format!("{attention}.q_proj"), queries, d, query_bias),
                weights.linear(&format!("{attention}.k_proj"), keys, d, query_bias),
                weights.linear(&format!("{attention}.v_proj"), keys, d, query_bias),
            ]),
            head_norms: None,
            output: weights.linear(&format!("{attention}.o_proj"), d, queries, config.output_bias),
            options: attention_options(config),
            head_dim: config.head_dim,
        },
        feed_forward_norm: Some(weights.norm(
            &format!("{name}.post_attention_layernorm"),
            d,
            config.norm_epsilon,
            false,
        )),
        feed_forward: FeedForward::Gated {
            inner: Projections::Apart([
                weights.linear(&format!("{feed_forward}.gate_proj"), f, d, inner_bias),
                weights.linear(&format!("{feed_forward}.up_proj"), f, d, inner_bias),
            ]),
            down: weights.linear(&format!("{feed_forward}.down_proj"), d, f, inner_bias),
        },
        residual_dropout: config.residual_dropout,
    }
}
