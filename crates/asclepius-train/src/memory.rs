//! What a run will take in memory, from settings and sizes alone, and what follows from it for recomputation.

use asclepius_model::{ModelConfig, Plan, PlanOptions, Recompute, plan};

use crate::TrainError;
use crate::config::{Method, OptimizerChoice, Precision, RecomputeChoice, TrainConfig};

/// On the CPU `recompute = "auto"` keeps everything as long as a micro-batch's activations take up to this many bytes.
const AUTO_KEEPS_UP_TO: u64 = 1 << 30;

/// Memory of common cards, in GB as their makers count them.
const CARDS: [u64; 5] = [16, 24, 40, 80, 141];

/// What of a card's memory a run may take: the driver's own, its libraries' workspaces and what freed blocks leave unused
/// take the rest.
fn usable(bytes: u64) -> u64 {
    (bytes / 100 * 95).saturating_sub(700_000_000)
}

impl TrainConfig {
    /// Parameters and bytes of training a model of these sizes with micro-batches full to the brim.
    ///
    /// # Errors
    /// When an adapter's target matches nothing.
    pub fn memory(&self, model: &ModelConfig) -> Result<Plan, TrainError> {
        self.memory_with(model, self.recompute(model)?)
    }

    /// What is kept of the forward pass: as asked for, and `auto` by the size of the activations.
    ///
    /// # Errors
    /// When an adapter's target matches nothing.
    pub fn recompute(&self, model: &ModelConfig) -> Result<Recompute, TrainError> {
        self.recompute_within(model, None)
    }

    /// [`TrainConfig::recompute`] on a card of so many bytes, where `auto` recomputes no more than it must.
    ///
    /// # Errors
    /// When an adapter's target matches nothing.
    pub fn recompute_within(&self, model: &ModelConfig, card: Option<u64>) -> Result<Recompute, TrainError> {
        if let (RecomputeChoice::Auto, Some(card)) = (self.recompute, card) {
            return Ok(self.least_recompute(model, card)?.unwrap_or(Recompute::Block));
        }
        Ok(match self.recompute {
            RecomputeChoice::None => Recompute::None,
            RecomputeChoice::Selective => Recompute::Selective,
            RecomputeChoice::Block => Recompute::Block,
            RecomputeChoice::Auto => {
                let kept = self.memory_with(model, Recompute::None)?.activation_bytes;
                if kept <= AUTO_KEEPS_UP_TO { Recompute::None } else { Recompute::Block }
            }
        })
    }

    /// The least recomputation that fits a card of so many bytes, if any does.
    fn least_recompute(&self, model: &ModelConfig, card: u64) -> Result<Option<Recompute>, TrainError> {
        for recompute in [Recompute::None, Recompute::Selective, Recompute::Block] {
            if self.memory_with(model, recompute)?.total_bytes() <= usable(card) {
                return Ok(Some(recompute));
            }
        }
        Ok(None)
    }

    /// For cards of common sizes, in GB: the least recomputation that the run fits with, if any does.
    ///
    /// # Errors
    /// When an adapter's target matches nothing.
    pub fn cards(&self, model: &ModelConfig) -> Result<Vec<(u64, Option<Recompute>)>, TrainError> {
        CARDS.iter().map(|&size| Ok((size, self.least_recompute(model, size * 1_000_000_000)?))).collect()
    }

    fn memory_with(&self, model: &ModelConfig, recompute: Recompute) -> Result<Plan, TrainError> {
        let lora = self.adapters().unwrap_or_default();
        let method = match self.method {
            Method::Full => asclepius_model::Method::Full,
            Method::Lora => asclepius_model::Method::Lora(lora),
            Method::Qlora => asclepius_model::Method::Qlora(lora),
        };
        let bytes = match self.precision {
            Precision::F32 => 4,
            Precision::Bf16 | Precision::F16 => 2,
        };
        let options = PlanOptions {
            tokens: self.micro_batch * self.sequence_length,
            bytes,
            recompute,
            eight_bit: self.optimizer == OptimizerChoice::Adamw8bit,
            master_weights: self.master_weights,
            on_card: self.precision != Precision::F32 || self.device.starts_with("cuda"),
        };
        Ok(plan(model, &method, &options)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::init::{InitConfig, Vocabulary};

    #[test]
    fn auto_recomputes_where_activations_are_large() {
        let vocabulary = Vocabulary { size: 512, bos: Some(0), eos: Some(1), pad: Some(2) };
        let model = ModelConfig::from_json(InitConfig::default().config_json(vocabulary, 2048)).expect("a Llama");
        let choose = |micro_batch, recompute| {
            let config = TrainConfig { micro_batch, recompute, ..TrainConfig::default() };
            config.recompute(&model).expect("nothing to match")
        };
        assert_eq!(choose(1, RecomputeChoice::Auto), Recompute::None);
        assert_eq!(choose(128, RecomputeChoice::Auto), Recompute::Block);
        assert_eq!(choose(128, RecomputeChoice::None), Recompute::None);
        assert_eq!(choose(1, RecomputeChoice::Block), Recompute::Block);
    }

    #[test]
    fn a_larger_card_recomputes_no_more_and_too_small_a_one_says_so() {
        let vocabulary = Vocabulary { size: 128_256, bos: Some(0), eos: Some(1), pad: Some(2) };
        let sizes = InitConfig {
            hidden_size: 4096,
            intermediate_size: 14_336,
            num_hidden_layers: 32,
            num_attention_heads: 32,
            num_key_value_heads: 8,
            tie_word_embeddings: false,
            ..InitConfig::default()
        };
        let model = ModelConfig::from_json(sizes.config_json(vocabulary, 8192)).expect("a Llama");
        let config = |method, optimizer| TrainConfig {
            method,
            optimizer,
            lora: (method == Method::Lora).then(asclepius_model::LoraConfig::default),
            precision: Precision::Bf16,
            device: "cuda:0".to_owned(),
            sequence_length: 2048,
            micro_batch: 2,
            ..TrainConfig::default()
        };
        let fits = |config: &TrainConfig| -> Vec<Option<Recompute>> {
            config.cards(&model).expect("every linear layer").into_iter().map(|(_, recompute)| recompute).collect()
        };
        let (none, block) = (Some(Recompute::None), Some(Recompute::Block));
        // 16, 24, 40, 80 and 141 GB.
        let lora = config(Method::Lora, OptimizerChoice::Adamw);
        assert_eq!(fits(&lora), [None, block, none, none, none]);
        let full = config(Method::Full, OptimizerChoice::Adamw8bit);
        assert_eq!(fits(&full), [None, None, None, block, none]);
        assert_eq!(fits(&config(Method::Full, OptimizerChoice::Adamw)), [None, None, None, None, none]);
        assert_eq!(full.recompute_within(&model, Some(80_000_000_000)).expect("fits"), Recompute::Block);
        assert_eq!(full.recompute_within(&model, Some(141_000_000_000)).expect("fits"), Recompute::None);
    }
}
