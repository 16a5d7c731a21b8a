//! Scaled rotations in GGUF: keys for linear and YaRN scaling, a tensor of divisors for Llama 3's.

use serde_json::{Map, Value, json};

use super::file::GgufFile;
use super::value::GgufValue;
use crate::rotary::{Rotary, RotaryScaling, yarn_attention_factor};
use crate::{ModelError, Result};

/// Divisors of the frequencies, one a pair.
pub(super) const FREQUENCIES: &str = "rope_freqs.weight";
/// LongRoPE's, which are not read.
const LONG_ROPE: [&str; 2] = ["rope_factors_long.weight", "rope_factors_short.weight"];

/// Llama 3's bounds, the same in every published model; GGUF has no keys for them.
const LLAMA3_LOW: f64 = 1.0;
const LLAMA3_HIGH: f64 = 4.0;
/// Positions of Llama 3's first training.
const LLAMA3_POSITIONS: f64 = 8192.0;

/// What a scaling divides each pair's frequency by, in f32.
pub(super) fn divisors(rotary: &Rotary) -> Vec<f32> {
    let plain = Rotary { scaling: RotaryScaling::None, ..rotary.clone() };
    let pairs = plain.exact_frequencies().into_iter().zip(rotary.exact_frequencies());
    pairs.map(|(plain, scaled)| (plain / scaled) as f32).collect()
}

/// `rope_scaling` of `config.json`; none where positions are not scaled. `rotary` is without scaling.
pub(super) fn read(
    file: &mut GgufFile,
    prefix: &str,
    rotary: &Rotary,
    max_positions: usize,
) -> Result<Option<Map<String, Value>>> {
    for name in LONG_ROPE {
        if file.shape(name).is_some() {
            return Err(problem(file, name, "LongRoPE is not supported"));
        }
    }
    let divisors = match file.shape(FREQUENCIES) {
        Some(_) => Some(file.read(FREQUENCIES)?.to_dtype(candle_core::DType::F32)?.flatten_all()?.to_vec1::<f32>()?),
        None => None,
    };
    let metadata = file.metadata();
    let key = |name: &str| format!("{prefix}.rope.scaling.{name}");
    let factor = match metadata.number(&key("factor"))? {
        Some(factor) => Some(factor),
        None => metadata.number(&format!("{prefix}.rope.scale_linear"))?,
    };
    let factor = factor.filter(|&factor| factor != 1.0);
    let original = metadata.size(&key("original_context_length"))?;
    let kind = metadata.text(&key("type"))?.unwrap_or(if factor.is_some() { "linear" } else { "none" });
    if let Some(divisors) = divisors {
        if kind != "none" {
            return Err(metadata.problem(&key("type"), format!("{kind:?} and {FREQUENCIES} exclude each other")));
        }
        return llama3(file, rotary, &divisors, original);
    }
    let scaling = match (kind, factor) {
        ("none", _) | ("linear" | "yarn", None) => return Ok(None),
        ("linear", Some(factor)) => json!({ "rope_type": "linear", "factor": factor }),
        ("yarn", Some(factor)) => {
            for (name, usual) in [("yarn_ext_factor", 1.0), ("yarn_attn_factor", 1.0), ("yarn_log_multiplier", 0.0)] {
                if metadata.number(&key(name))?.is_some_and(|value| value != usual) {
                    return Err(metadata.problem(&key(name), "is not supported"));
                }
            }
            let mut scaling = json!({
                "rope_type": "yarn",
                "factor": factor,
                "original_max_position_embeddings": original.unwrap_or(max_positions),
                "beta_fast": metadata.number(&key("yarn_beta_fast"))?.unwrap_or(32.0),
                "beta_slow": metadata.number(&key("yarn_beta_slow"))?.unwrap_or(1.0),
            });
            if let Some(share) = metadata.number(&key("attn_factor"))? {
                scaling["attention_factor"] = json!(share * yarn_attention_factor(factor, 1.0));
            }
            scaling
        }
        (other, _) => {
            return Err(metadata.problem(&key("type"), format!("{other:?} is not supported; none, linear, yarn are")));
        }
    };
    Ok(scaling.as_object().cloned())
}

/// The numbers behind Llama 3's divisors; they must give the same ones again.
fn llama3(
    file: &GgufFile,
    rotary: &Rotary,
    divisors: &[f32],
    original: Option<usize>,
) -> Result<Option<Map<String, Value>>> {
    if divisors.len() != rotary.features / 2 {
        let text = format!("{} divisors for {} pairs of features", divisors.len(), rotary.features / 2);
        return Err(problem(file, FREQUENCIES, &text));
    }
    let factor = divisors.iter().copied().fold(1.0, f32::max);
    if divisors.iter().all(|&divisor| divisor == 1.0) {
        return Ok(None);
    }
    let factor = super::value::shortest(factor);
    let original_positions = original.map_or(LLAMA3_POSITIONS, |positions| positions as f64);
    let scaling = RotaryScaling::Llama3 {
        factor,
        low_frequency_factor: LLAMA3_LOW,
        high_frequency_factor: LLAMA3_HIGH,
        original_positions,
    };
    let again = self::divisors(&Rotary { scaling, ..rotary.clone() });
    let far = |(&a, b): (&f32, f32)| !a.is_finite() || (a - b).abs() > 1e-4 * b;
    if divisors.iter().zip(again).any(far) {
        let text = format!(
            "is not Llama 3's scaling by {factor} with bounds {LLAMA3_LOW} and {LLAMA3_HIGH} over {original_positions} \
             positions; no other is read"
        );
        return Err(problem(file, FREQUENCIES, &text));
    }
    let scaling = json!({
        "rope_type": "llama3",
        "factor": factor,
        "low_freq_factor": LLAMA3_LOW,
        "high_freq_factor": LLAMA3_HIGH,
        "original_max_position_embeddings": original_positions as u64,
    });
    Ok(scaling.as_object().cloned())
}

/// Keys of a scaling, after `<architecture>.rope.scaling.`; Llama 3's is a tensor beside them.
pub(super) fn written(rotary: &Rotary) -> std::result::Result<Vec<(&'static str, GgufValue)>, &'static str> {
    let number = |value: f64| GgufValue::F32(value as f32);
    Ok(match &rotary.scaling {
        RotaryScaling::None => Vec::new(),
        RotaryScaling::Linear { factor } => {
            vec![("type", GgufValue::Text("linear".to_owned())), ("factor", number(*factor))]
        }
        RotaryScaling::Llama3 { original_positions, .. } => {
            vec![("original_context_length", GgufValue::size(*original_positions as usize))]
        }
        RotaryScaling::Yarn { truncate: false, .. } => return Err("YaRN without truncate"),
        RotaryScaling::Yarn { factor, attention_factor, beta_fast, beta_slow, original_positions, truncate: true } => {
            let mut keys = vec![
                ("type", GgufValue::Text("yarn".to_owned())),
                ("factor", number(*factor)),
                ("original_context_length", GgufValue::size(*original_positions as usize)),
                ("yarn_beta_fast", number(*beta_fast)),
                ("yarn_beta_slow", number(*beta_slow)),
            ];
            let usual = yarn_attention_factor(*factor, 1.0);
            if *attention_factor != usual {
                keys.push(("attn_factor", number(attention_factor / usual)));
            }
            keys
        }
    })
}

fn problem(file: &GgufFile, tensor: &str, problem: &str) -> ModelError {
    ModelError::Gguf { path: file.path().to_owned(), place: tensor.to_owned(), problem: problem.to_owned() }
}
