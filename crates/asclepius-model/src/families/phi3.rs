//! Phi-3 (Abdin et al., "Phi-3 Technical Report", 2024): Llama's block with q, k, v stacked in one matrix and gate, up in
//! another, attention that slides where the configuration has a window, and dropout on the way back into the residual.

use super::{Traits, Weights, phi};
use crate::block::{Attention, Block, FeedForward, attention_options};
use crate::config::Keys;
use crate::layers::Projections;
use crate::{ModelConfig, Result};

pub(super) fn traits(keys: &Keys<'_>) -> Result<Traits> {
    keys.silu()?;
    Ok(Traits {
        window: keys.optional_size("sliding_window")?,
        residual_dropout: phi::residual_dropout(keys)?,
        ..Traits::default()
    })
}

pub(super) fn block(config: &ModelConfig, weights: &mut Weights<'_>, name: &str) -> Block {
    let (d, f) = (config.hidden_size, config.intermediate_size);
    let (queries, keys) = (config.query_features(), config.key_features());
    Block {
        input_norm: weights.norm(&format!("{name}.input_layernorm"), d, config.norm_epsilon, false),
        attention: Attention {
            projections: Projections::Stacked(
                weights.linear(&format!("{name}.self_attn.qkv_proj"), queries + 2 * keys, d, false),
                [queries, keys, keys],
            ),
            head_norms: None,
            output: weights.linear(&format!("{name}.self_attn.o_proj"), d, queries, false),
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
            inner: Projections::Stacked(weights.linear(&format!("{name}.mlp.gate_up_proj"), 2 * f, d, false), [f, f]),
            down: weights.linear(&format!("{name}.mlp.down_proj"), d, f, false),
        },
        residual_dropout: config.residual_dropout,
    }
}
