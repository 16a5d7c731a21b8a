//! Low-rank adapters: attached to a decoder, saved and loaded as PEFT directories, merged into the weights.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use asclepius_ops::{Parameter, PhiloxKey};
use candle_core::{DType, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::checkpoint::{TensorFile, write_json, write_tensors};
use crate::layers::Adapter;
use crate::{Decoder, ModelError, Result};

/// Gives A `[r, in]` and B `[out, r]` of the layer of that name, `in` and `out`.
type Matrices<'a> = &'a mut dyn FnMut(&str, usize, usize) -> Result<(Tensor, Tensor)>;

/// What PEFT puts before a tensor's name.
const PREFIX: &str = "base_model.model.";

/// Low-rank adaptation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LoraConfig {
    /// Rank of the added matrices.
    pub rank: usize,
    /// The addition is scaled by `alpha / rank` (with `rslora` by `alpha / sqrt(rank)`).
    pub alpha: f64,
    /// Probability of dropping an input of the first matrix in training.
    pub dropout: f32,
    /// Names of the layers that get an adapter (`["q_proj", "v_proj"]`), or `"all-linear"` for every one but the head.
    pub targets: LoraTargets,
    /// Scale by `alpha / sqrt(rank)` instead.
    pub rslora: bool,
}

/// Which linear layers get an adapter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum LoraTargets {
    /// Every linear layer of every block.
    Keyword(AllLinear),
    /// Layers by the last part of their name, or by their whole name.
    Names(Vec<String>),
}

/// The one keyword there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AllLinear {
    /// Every linear layer of every block.
    #[serde(rename = "all-linear")]
    AllLinear,
}

impl Default for LoraConfig {
    fn default() -> Self {
        Self { rank: 8, alpha: 16.0, dropout: 0.0, targets: LoraTargets::Keyword(AllLinear::AllLinear), rslora: false }
    }
}

impl LoraConfig {
    /// Checks the numbers.
    ///
    /// # Errors
    /// [`ModelError::Lora`] with the key.
    pub fn validate(&self) -> Result<()> {
        let fail = |key, value: String, expected| Err(ModelError::Lora { key, value, expected });
        if self.rank == 0 {
            return fail("rank", self.rank.to_string(), "at least 1");
        }
        if !(self.alpha.is_finite() && self.alpha > 0.0) {
            return fail("alpha", self.alpha.to_string(), "a number above 0");
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return fail("dropout", self.dropout.to_string(), "at least 0 and below 1");
        }
        if matches!(&self.targets, LoraTargets::Names(names) if names.is_empty()) {
            return fail("targets", "[]".to_owned(), "\"all-linear\" or at least one name");
        }
        Ok(())
    }

    /// The factor of `B A`.
    pub fn scaling(&self) -> f64 {
        let rank = self.rank as f64;
        self.alpha / if self.rslora { rank.sqrt() } else { rank }
    }

    /// The layers among `names` (whole, as `model.layers.0.self_attn.q_proj`) that get an adapter.
    ///
    /// # Errors
    /// When a target matches none.
    pub fn select<'a>(&self, names: &[&'a str]) -> Result<BTreeSet<&'a str>> {
        let LoraTargets::Names(targets) = &self.targets else { return Ok(names.iter().copied().collect()) };
        let mut selected = BTreeSet::new();
        for target in targets {
            let before = selected.len();
            let suffix = format!(".{target}");
            let matching: Vec<&str> =
                names.iter().copied().filter(|name| name == target || name.ends_with(&suffix)).collect();
            selected.extend(&matching);
            if matching.is_empty() && selected.len() == before {
                return Err(ModelError::NoSuchTarget { target: target.clone(), available: last_parts(names) });
            }
        }
        Ok(selected)
    }
}

fn last_parts(names: &[&str]) -> Vec<String> {
    let parts: BTreeSet<&str> = names.iter().map(|name| name.rsplit('.').next().unwrap_or(name)).collect();
    parts.into_iter().map(str::to_owned).collect()
}

impl Decoder {
    /// Freezes the decoder and attaches fresh adapters in f32: A Kaiming uniform (a = sqrt 5, so within
    /// `1 / sqrt(in)`), B zero. Each A is a function of `seed` and its own name.
    ///
    /// # Errors
    /// When a target matches nothing, a number is out of range, or adapters are attached already.
    pub fn attach(&mut self, config: &LoraConfig, seed: u64) -> Result<()> {
        let key = PhiloxKey::new(seed).fold_name("lora");
        self.attach_with(config, &mut |name, input, out| {
            let bound = 1.0 / (input as f32).sqrt();
            let count = config.rank * input;
            let a = key.fold_name(name).uniforms(count).into_iter().map(|u| (2.0 * u - 1.0) * bound).collect();
            Ok((Tensor::from_vec::<_, f32>(a, (config.rank, input), &candle_core::Device::Cpu)?, {
                Tensor::zeros((out, config.rank), DType::F32, &candle_core::Device::Cpu)?
            }))
        })?;
        self.train_adapters()
    }

    /// Attaches the adapters of a PEFT directory, frozen; [`Decoder::train_adapters`] makes them trainable.
    ///
    /// # Errors
    /// When a file is missing or damaged, asks for what is not supported, or its tensors do not fit the model.
    pub fn load_adapter(&mut self, dir: &Path) -> Result<()> {
        let config = read_config(dir)?;
        let path = dir.join("adapter_model.safetensors");
        let mut file = TensorFile::open(&path)?;
        let mut unexpected: BTreeSet<String> = file.names().map(str::to_owned).collect();
        let (mut missing, mut misshapen) = (Vec::new(), Vec::new());
        self.attach_with(&config, &mut |name, input, out| {
            let mut take = |matrix: &str, shape: (usize, usize)| {
                let key = format!("{PREFIX}{name}.{matrix}.weight");
                if !unexpected.remove(&key) {
                    missing.push(key);
                } else if file.shape(&key) != Some(&[shape.0, shape.1]) {
                    misshapen.push(format!("{key}: {:?} for {shape:?}", file.shape(&key).unwrap_or(&[])));
                } else {
                    return file.read(&key, Some(DType::F32), &candle_core::Device::Cpu);
                }
                Ok(Tensor::zeros(shape, DType::F32, &candle_core::Device::Cpu)?)
            };
            Ok((take("lora_A", (config.rank, input))?, take("lora_B", (out, config.rank))?))
        })?;
        if missing.is_empty() && unexpected.is_empty() && misshapen.is_empty() {
            return Ok(());
        }
        self.detach_adapters();
        Err(ModelError::Tensors { path, missing, unexpected: unexpected.into_iter().collect(), misshapen })
    }

    /// Makes the adapters' matrices, and nothing else, trainable.
    ///
    /// # Errors
    /// When there is no memory for the copies.
    pub fn train_adapters(&mut self) -> Result<()> {
        self.freeze();
        for adapter in self.linears_mut().filter_map(|linear| linear.adapter.as_mut()) {
            for parameter in [&mut adapter.a, &mut adapter.b] {
                *parameter = Parameter::trainable(parameter.name(), parameter.value())?;
            }
        }
        Ok(())
    }

    /// Writes a PEFT directory: `adapter_config.json` and `adapter_model.safetensors`. `base` is what it says it belongs
    /// to: a directory or a hub id.
    ///
    /// # Errors
    /// When there is no adapter, every B of it is zero, or a file cannot be written.
    pub fn save_adapter(&self, dir: &Path, base: &str) -> Result<()> {
        let config = self.lora.as_ref().ok_or(ModelError::NotAdapted)?;
        let mut tensors = BTreeMap::new();
        let mut targets = BTreeSet::new();
        let mut zero = Vec::new();
        for linear in self.linears() {
            let Some(adapter) = &linear.adapter else { continue };
            targets.insert(linear.name().rsplit('.').next().unwrap_or(linear.name()).to_owned());
            let largest: f64 = adapter.b.value().abs()?.max_all()?.to_dtype(DType::F64)?.to_scalar()?;
            if largest == 0.0 {
                zero.push(adapter.b.name().to_owned());
            }
            for parameter in [&adapter.a, &adapter.b] {
                tensors.insert(parameter.name().to_owned(), parameter.value().detach());
            }
        }
        if 2 * zero.len() == tensors.len() {
            return Err(ModelError::EmptyAdapter { tensor: zero.swap_remove(0) });
        }
        write_tensors(&dir.join("adapter_model.safetensors"), &tensors)?;
        // Layers named whole share last parts with layers that have no adapter; then the whole names are the list.
        let names: Vec<String> = self.adapted_names();
        let all: usize = self
            .linears()
            .filter(|linear| targets.contains(linear.name().rsplit('.').next().unwrap_or_default()))
            .count();
        let targets: Vec<String> = if all == names.len() { targets.into_iter().collect() } else { names };
        let whole_alpha = config.alpha.fract() == 0.0;
        let alpha = if whole_alpha { json!(config.alpha as i64) } else { json!(config.alpha) };
        let value = json!({
            "base_model_name_or_path": base,
            "bias": "none",
            "fan_in_fan_out": false,
            "inference_mode": true,
            "init_lora_weights": true,
            "lora_alpha": alpha,
            "lora_dropout": f64::from((config.dropout * 1e6).round()) / 1e6,
            "modules_to_save": null,
            "peft_type": "LORA",
            "r": config.rank,
            "target_modules": targets,
            "task_type": "CAUSAL_LM",
            "use_dora": false,
            "use_rslora": config.rslora,
        });
        write_json(&dir.join("adapter_config.json"), &value)
    }

    /// Holds the frozen matrices of every block in NF4 from here on, as QLoRA does; embedding, norms and head stay as they
    /// are. (Dettmers et al., 2023, section 3.)
    ///
    /// # Errors
    /// When there is no memory.
    pub fn quantise(&mut self) -> Result<()> {
        // One after the other: a matrix is let go of before the next is quantised.
        for linear in self.linears_mut() {
            let weight = &linear.weight;
            if !weight.is_trainable() && weight.nf4().is_none() {
                linear.weight = Parameter::quantised(weight.name(), weight.value())?;
            }
        }
        Ok(())
    }

    /// Adds every adapter to its weight, `W + scaling * B A` in f32, and removes it. What remains is frozen, and
    /// dense again where it was quantised.
    ///
    /// # Errors
    /// When there is no adapter.
    pub fn merge(&mut self) -> Result<()> {
        if self.lora.take().is_none() {
            return Err(ModelError::NotAdapted);
        }
        self.freeze();
        for linear in self.linears_mut() {
            let Some(adapter) = linear.adapter.take() else { continue };
            let weight = linear.weight.dense()?;
            let wide = if weight.dtype() == DType::F64 { DType::F64 } else { DType::F32 };
            let added = adapter.b.value().to_dtype(wide)?.matmul(&adapter.a.value().to_dtype(wide)?)?;
            let merged = (weight.to_dtype(wide)? + (added * adapter.scaling)?)?.to_dtype(weight.dtype())?;
            linear.weight = Parameter::frozen(linear.weight.name(), &merged);
        }
        Ok(())
    }

    fn adapted_names(&self) -> Vec<String> {
        let linears = self.linears();
        linears.filter(|linear| linear.adapter.is_some()).map(|linear| linear.name().to_owned()).collect()
    }

    fn detach_adapters(&mut self) {
        self.lora = None;
        for linear in self.linears_mut() {
            linear.adapter = None;
        }
    }

    /// Attaches adapters with the matrices that `matrices(name, in, out)` gives; everything is frozen afterwards.
    fn attach_with(&mut self, config: &LoraConfig, matrices: Matrices<'_>) -> Result<()> {
        config.validate()?;
        if self.lora.is_some() {
            return Err(ModelError::AlreadyAdapted);
        }
        let names: Vec<String> = self.linears().map(|linear| linear.name().to_owned()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let selected = config.select(&names)?;
        // Over a narrower base, too: an update of theirs is often below what 8 bits of mantissa can hold.
        let dtype = if self.dtype() == DType::F64 { DType::F64 } else { DType::F32 };
        let device = self.device().clone();
        self.freeze();
        for linear in self.linears_mut() {
            if !selected.contains(linear.name()) {
                continue;
            }
            let name = linear.name().to_owned();
            let (out, input) = linear.weight.value().dims2()?;
            let (a, b) = matrices(&name, input, out)?;
            let place = |matrix: &str, value: Tensor| {
                let value = value.to_dtype(dtype)?.to_device(&device)?;
                Ok::<_, ModelError>(Parameter::frozen(format!("{PREFIX}{name}.{matrix}.weight"), &value))
            };
            linear.adapter = Some(Adapter {
                a: place("lora_A", a)?,
                b: place("lora_B", b)?,
                scaling: config.scaling(),
                dropout: config.dropout,
            });
        }
        self.lora = Some(config.clone());
        Ok(())
    }
}

/// The settings in a PEFT directory's `adapter_config.json`.
fn read_config(dir: &Path) -> Result<LoraConfig> {
    let path = dir.join("adapter_config.json");
    let text = fs_err::read_to_string(&path)?;
    let value: Value = serde_json::from_str(&text).map_err(|source| ModelError::Json { path: path.clone(), source })?;
    let problem = |key: &str, problem: String| ModelError::Config { path: path.clone(), key: key.to_owned(), problem };
    let present = |key: &str| value.get(key).filter(|value| !value.is_null());
    if present("peft_type").and_then(Value::as_str) != Some("LORA") {
        return Err(problem("peft_type", "is not LORA".to_owned()));
    }
    for key in ["use_dora", "fan_in_fan_out", "lora_bias"] {
        if present(key).and_then(Value::as_bool) == Some(true) {
            return Err(problem(key, "is not supported".to_owned()));
        }
    }
    for key in ["modules_to_save", "rank_pattern", "alpha_pattern", "layers_to_transform"] {
        let empty = |value: &Value| match value {
            Value::Array(items) => items.is_empty(),
            Value::Object(items) => items.is_empty(),
            _ => false,
        };
        if present(key).is_some_and(|value| !empty(value)) {
            return Err(problem(key, "is not supported".to_owned()));
        }
    }
    if present("bias").is_some_and(|bias| bias != "none") {
        return Err(problem("bias", "trained biases are not supported".to_owned()));
    }
    let targets = match present("target_modules") {
        Some(Value::String(keyword)) if keyword == "all-linear" => LoraTargets::Keyword(AllLinear::AllLinear),
        Some(Value::Array(names)) => {
            LoraTargets::Names(names.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        }
        _ => return Err(problem("target_modules", "is not a list of names".to_owned())),
    };
    let number = |key: &str| present(key).and_then(Value::as_f64).ok_or_else(|| problem(key, "is missing".to_owned()));
    let config = LoraConfig {
        rank: number("r")? as usize,
        alpha: number("lora_alpha")?,
        dropout: number("lora_dropout").unwrap_or(0.0) as f32,
        targets,
        rslora: present("use_rslora").and_then(Value::as_bool).unwrap_or(false),
    };
    config.validate()?;
    Ok(config)
}
