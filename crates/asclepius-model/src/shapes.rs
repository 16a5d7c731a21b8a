//! The tensors a configuration asks for, named as in the checkpoint.

use std::collections::BTreeMap;

use crate::{Family, ModelConfig};

/// Every tensor of the checkpoint and its shape, in order of name. Without `lm_head.weight` where the head is tied.
pub fn parameter_shapes(config: &ModelConfig) -> BTreeMap<String, Vec<usize>> {
    let mut shapes = Shapes(BTreeMap::new());
    let (d, v, f) = (config.hidden_size, config.vocab_size, config.intermediate_size);
    let (queries, keys) = (config.heads * config.head_dim, config.key_value_heads * config.head_dim);
    let phi = config.family == Family::Phi;
    shapes.add("model.embed_tokens.weight", &[v, d]);
    shapes.norm(if phi { "model.final_layernorm" } else { "model.norm" }, d, phi);
    if !config.tied {
        shapes.linear("lm_head", v, d, phi);
    }
    for layer in 0..config.layers {
        let block = format!("model.layers.{layer}");
        let attention = format!("{block}.self_attn");
        let feed_forward = format!("{block}.mlp");
        shapes.norm(&format!("{block}.input_layernorm"), d, phi);
        match config.family {
            Family::Phi3 => shapes.linear(&format!("{attention}.qkv_proj"), queries + 2 * keys, d, false),
            _ => {
                for (name, out) in [("q_proj", queries), ("k_proj", keys), ("v_proj", keys)] {
                    shapes.linear(&format!("{attention}.{name}"), out, d, config.query_bias);
                }
            }
        }
        let output = if phi { "dense" } else { "o_proj" };
        shapes.linear(&format!("{attention}.{output}"), d, queries, config.output_bias);
        if config.family == Family::Qwen3 {
            shapes.norm(&format!("{attention}.q_norm"), config.head_dim, false);
            shapes.norm(&format!("{attention}.k_norm"), config.head_dim, false);
        }
        let bias = config.feed_forward_bias;
        if phi {
            shapes.linear(&format!("{feed_forward}.fc1"), f, d, bias);
            shapes.linear(&format!("{feed_forward}.fc2"), d, f, bias);
            continue;
        }
        shapes.norm(&format!("{block}.post_attention_layernorm"), d, false);
        if config.family == Family::Phi3 {
            shapes.linear(&format!("{feed_forward}.gate_up_proj"), 2 * f, d, bias);
        } else {
            shapes.linear(&format!("{feed_forward}.gate_proj"), f, d, bias);
            shapes.linear(&format!("{feed_forward}.up_proj"), f, d, bias);
        }
        shapes.linear(&format!("{feed_forward}.down_proj"), d, f, bias);
    }
    shapes.0
}

struct Shapes(BTreeMap<String, Vec<usize>>);

impl Shapes {
    fn add(&mut self, name: &str, shape: &[usize]) {
        self.0.insert(name.to_owned(), shape.to_vec());
    }

    fn norm(&mut self, module: &str, size: usize, bias: bool) {
        self.add(&format!("{module}.weight"), &[size]);
        if bias {
            self.add(&format!("{module}.bias"), &[size]);
        }
    }

    fn linear(&mut self, module: &str, out: usize, input: usize, bias: bool) {
        self.add(&format!("{module}.weight"), &[out, input]);
        if bias {
            self.add(&format!("{module}.bias"), &[out]);
        }
    }
}
