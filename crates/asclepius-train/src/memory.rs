//! What a run will take in memory, from settings and sizes alone, and what follows from it for recomputation.

use asclepius_model::{ModelConfig, Plan, PlanOptions, Recompute, plan};

use crate::TrainError;
use crate::config::{Method, OptimizerChoice, Precision, RecomputeChoice, TrainConfig};

/// `recompute = "auto"` keeps everything as long as a micro-batch's activations take up to this many bytes.
const AUTO_KEEPS_UP_TO: u64 = 1 << 30;

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

    fn memory_with(&self, model: &ModelConfig, recompute: Recompute) -> Result<Plan, TrainError> {
        let lora = self.adapters().unwrap_or_default();
        let method = match self.method {
            Method::Full => asclepius_model::Method::Full,
            Method::Lora => asclepius_model::Method::Lora(lora),
            Method::Qlora => asclepius_model::Method::Qlora(lora),
        };
        let bytes = match self.precision {
            Precision::F32 => 4,
            Precision::Bf16 => 2,
        };
        let options = PlanOptions {
            tokens: self.micro_batch * self.sequence_length,
            bytes,
            recompute,
            eight_bit: self.optimizer == OptimizerChoice::Adamw8bit,
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
}
