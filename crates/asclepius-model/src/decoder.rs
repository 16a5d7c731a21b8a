//! A decoder: embedding, blocks, final norm and head; run whole or a block at a time.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use asclepius_ops::{Documents, Parameter, PhiloxKey, Targets, embedding, linear, linear_cross_entropy};
use candle_core::{DType, Device, Tensor};

use crate::block::{Block, Cache};
use crate::families::{self, Weights, phi};
use crate::layers::{Linear, Norm};
use crate::{Family, ModelConfig, ModelError, Result, checkpoint, parameter_shapes};

/// A decoder's weights. Fresh ones are frozen: [`Decoder::train_all`] or [`Decoder::attach`] makes some trainable.
#[derive(Clone, Debug)]
pub struct Decoder {
    config: ModelConfig,
    embedding: Parameter,
    blocks: Vec<Block>,
    norm: Norm,
    /// None where the head is the embedding.
    head: Option<Parameter>,
    head_bias: Option<Parameter>,
    pub(crate) lora: Option<crate::LoraConfig>,
}

/// What every block of one micro-batch is given beside its input.
#[derive(Clone, Debug)]
pub struct Context {
    /// Where documents begin and end.
    pub documents: Documents,
    /// Cosines of the positions' angles, `[t, r/2]`.
    pub cos: Tensor,
    /// Sines of the positions' angles, `[t, r/2]`.
    pub sin: Tensor,
    /// Draws dropout in training: seed, step and micro-batch folded in. None: no dropout.
    pub dropout: Option<PhiloxKey>,
}

impl Decoder {
    /// Reads a Hugging Face directory (`config.json`, `model.safetensors` or its shards); weights become `dtype`.
    ///
    /// # Errors
    /// When a file is missing or damaged, or the tensors are not exactly those the configuration asks for.
    pub fn load(dir: &Path, dtype: DType, device: &Device) -> Result<Self> {
        Self::load_with(dir, dtype, device, |_, name, value| Ok(Parameter::frozen(name, value)))
    }

    /// [`Decoder::load`] with every block's matrices in NF4, as [`Decoder::quantise`] leaves them; of those no more than
    /// one is ever there as `dtype`.
    ///
    /// # Errors
    /// As [`Decoder::load`].
    pub fn load_quantised(dir: &Path, dtype: DType, device: &Device) -> Result<Self> {
        Self::load_with(dir, dtype, device, |config, name, value| {
            let matrix = value.rank() == 2 && name.starts_with(families::outer(config).blocks);
            Ok(if matrix { Parameter::quantised(name, value)? } else { Parameter::frozen(name, value) })
        })
    }

    fn load_with(
        dir: &Path,
        dtype: DType,
        device: &Device,
        hold: impl Fn(&ModelConfig, &str, &Tensor) -> Result<Parameter>,
    ) -> Result<Self> {
        let mut config = ModelConfig::from_file(dir)?;
        if config.family == Family::Phi {
            // The first checkpoints were also published under a configuration that has been brought up to date.
            config.layout = phi::layout(checkpoint::tensor_names(dir)?.iter().map(String::as_str));
        }
        let hold = |name: &str, value: &Tensor| hold(&config, name, value);
        let parameters = checkpoint::read_model(dir, &config, dtype, device, &hold)?;
        Self::assemble(config, parameters)
    }

    /// Random weights in f32: normal with standard deviation `initializer_range`, norms 1, biases 0. Each tensor is a
    /// function of `seed` and its own name.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn init(config: ModelConfig, seed: u64, device: &Device) -> Result<Self> {
        let key = PhiloxKey::new(seed).fold_name("init");
        let mut parameters = BTreeMap::new();
        for (name, shape) in parameter_shapes(&config) {
            let count = shape.iter().product();
            let values = match name.rsplit_once('.') {
                Some((_, "bias")) => vec![0.0; count],
                _ if shape.len() == 1 => vec![1.0; count],
                _ => {
                    let scale = config.initializer_range as f32;
                    key.fold_name(&name).normals(count).into_iter().map(|normal| normal * scale).collect()
                }
            };
            let parameter = Parameter::frozen(name.as_str(), &Tensor::from_vec(values, shape, device)?);
            parameters.insert(name, parameter);
        }
        Self::assemble(config, parameters)
    }

    /// Random weights of `dtype` made on `device` by its own generator, which is quick and differs from device to device:
    /// for measuring time and memory, where the values say nothing.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn arbitrary(config: ModelConfig, dtype: DType, device: &Device) -> Result<Self> {
        let mut parameters = BTreeMap::new();
        for (name, shape) in parameter_shapes(&config) {
            let value = if shape.len() == 1 {
                Tensor::ones(shape, dtype, device)?
            } else {
                Tensor::randn(0.0, config.initializer_range as f32, shape, device)?.to_dtype(dtype)?
            };
            let parameter = Parameter::frozen(name.as_str(), &value);
            parameters.insert(name, parameter);
        }
        Self::assemble(config, parameters)
    }

    /// From exactly the parameters that [`parameter_shapes`] names.
    fn assemble(config: ModelConfig, mut parameters: BTreeMap<String, Parameter>) -> Result<Self> {
        let mut missing = Vec::new();
        let decoder = Self::build(
            config,
            &mut Weights(&mut |name, _| {
                parameters.remove(&name).unwrap_or_else(|| {
                    missing.push(name.clone());
                    let nothing = Tensor::zeros(0, DType::F32, &Device::Cpu).expect("an empty tensor needs no memory");
                    Parameter::frozen(name, &nothing)
                })
            }),
        );
        if missing.is_empty() && parameters.is_empty() {
            return Ok(decoder);
        }
        Err(ModelError::Tensors {
            path: "model".into(),
            missing,
            unexpected: parameters.into_keys().collect(),
            misshapen: Vec::new(),
        })
    }

    /// Puts a decoder together from what `weights` gives for each name and shape.
    pub(crate) fn build(config: ModelConfig, weights: &mut Weights<'_>) -> Self {
        let outer = families::outer(&config);
        let (v, d) = (config.vocab_size, config.hidden_size);
        let embedding = weights.weight(outer.embedding, &[v, d]);
        let blocks = (0..config.layers)
            .map(|layer| families::block(&config, weights, &format!("{}.{layer}", outer.blocks)))
            .collect();
        let norm = weights.norm(outer.norm, d, config.norm_epsilon, outer.norm_bias);
        let head = (!config.tied).then(|| weights.weight(outer.head, &[v, d]));
        let head_bias = outer.head_bias.then(|| weights.bias(outer.head, v));
        Self { config, embedding, blocks, norm, head, head_bias, lora: None }
    }

    /// The configuration.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Adds a token that ends a text, such as a template's end of turn, to those that are saved with the model.
    pub fn add_end_token(&mut self, token: u32) {
        if !self.config.eos.contains(&token) {
            self.config.eos.push(token);
        }
    }

    /// The settings of the attached adapters.
    pub fn lora(&self) -> Option<&crate::LoraConfig> {
        self.lora.as_ref()
    }

    pub(crate) fn embedding(&self) -> &Parameter {
        &self.embedding
    }

    pub(crate) fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    pub(crate) fn final_norm(&self) -> &Norm {
        &self.norm
    }

    /// The head's weight and bias.
    pub(crate) fn head_parameters(&self) -> (&Parameter, Option<&Parameter>) {
        (self.head.as_ref().unwrap_or(&self.embedding), self.head_bias.as_ref())
    }

    /// The type of the weights.
    pub fn dtype(&self) -> DType {
        self.embedding.value().dtype()
    }

    /// Where the weights live.
    pub fn device(&self) -> &Device {
        self.embedding.value().device()
    }

    /// What the blocks need for tokens at `positions [t]` in `documents`.
    ///
    /// # Errors
    /// When the device has no memory.
    pub fn context(&self, positions: &[u32], documents: Documents, dropout: Option<PhiloxKey>) -> Result<Context> {
        let (cos, sin) = self.config.rotary.tables(positions, self.dtype(), self.device())?;
        Ok(Context { documents, cos, sin, dropout })
    }

    /// Hidden states of tokens: `[t]` -> `[t, d]`.
    ///
    /// # Errors
    /// When an id is not in the vocabulary.
    pub fn embed(&self, ids: &[u32]) -> Result<Tensor> {
        Ok(embedding(ids, &self.embedding)?)
    }

    /// How many blocks there are.
    pub fn block_count(&self) -> usize {
        self.blocks.len()
    }

    /// Block `index`: `x [t, d]` -> `[t, d]`.
    ///
    /// # Errors
    /// When the shapes do not fit the context.
    pub fn block(&self, index: usize, x: &Tensor, context: &Context) -> Result<Tensor> {
        self.blocks[index].forward(x, context, None)
    }

    /// Block `index` on the next tokens of one document, whose earlier keys and values are in `cache`.
    ///
    /// # Errors
    /// When the shapes do not fit the context.
    pub fn block_cached(&self, index: usize, x: &Tensor, context: &Context, cache: &mut Cache) -> Result<Tensor> {
        self.blocks[index].forward(x, context, Some(cache))
    }

    /// The final norm: `[t, d]` -> `[t, d]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn head(&self, x: &Tensor) -> Result<Tensor> {
        self.norm.forward(x)
    }

    /// The loss summed over `targets`, from the final norm's output `[t, d]`: a scalar.
    ///
    /// # Errors
    /// When a target lies outside.
    pub fn loss(&self, x: &Tensor, targets: &Targets) -> Result<Tensor> {
        Ok(linear_cross_entropy(x, self.head.as_ref().unwrap_or(&self.embedding), self.head_bias.as_ref(), targets)?)
    }

    /// Scores of every token, from the final norm's output: `[t, d]` -> `[t, v]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn logits(&self, x: &Tensor) -> Result<Tensor> {
        Ok(linear(x, self.head.as_ref().unwrap_or(&self.embedding), self.head_bias.as_ref())?)
    }

    /// Every parameter, adapters included, in order of name.
    pub fn parameters(&self) -> Vec<Parameter> {
        let mut copy = self.clone();
        let mut parameters: Vec<Parameter> = copy.parameters_mut().into_iter().map(|p| p.clone()).collect();
        parameters.sort_by(|a, b| a.name().cmp(b.name()));
        parameters
    }

    /// The trainable parameters in order of name.
    pub fn trainable(&self) -> Vec<Parameter> {
        self.parameters().into_iter().filter(Parameter::is_trainable).collect()
    }

    /// Makes every parameter trainable.
    ///
    /// # Errors
    /// When a matrix is quantised, or there is no memory for the copies.
    pub fn train_all(&mut self) -> Result<()> {
        self.check_dense()?;
        for parameter in self.parameters_mut() {
            *parameter = Parameter::trainable(parameter.name(), parameter.value())?;
        }
        Ok(())
    }

    /// The same weights as constants, sharing their memory: what runs on it builds no graph.
    #[must_use]
    pub fn frozen(&self) -> Self {
        let mut frozen = self.clone();
        frozen.freeze();
        frozen
    }

    /// Makes every parameter a constant.
    pub fn freeze(&mut self) {
        for parameter in self.parameters_mut() {
            *parameter = parameter.constant();
        }
    }

    /// Overwrites the values of parameters by name, such as a training checkpoint's.
    ///
    /// # Errors
    /// When a name is not a parameter's or a shape differs; nothing is written then.
    pub fn restore(&self, values: &BTreeMap<String, Tensor>) -> Result<()> {
        let parameters: BTreeMap<String, Parameter> =
            self.parameters().into_iter().map(|p| (p.name().to_owned(), p)).collect();
        let (mut unexpected, mut misshapen) = (Vec::new(), Vec::new());
        for (name, value) in values {
            match parameters.get(name) {
                None => unexpected.push(name.clone()),
                Some(parameter) if parameter.value().dims() != value.dims() => {
                    misshapen.push(format!("{name}: {:?} for {:?}", value.dims(), parameter.value().dims()));
                }
                Some(_) => {}
            }
        }
        if !unexpected.is_empty() || !misshapen.is_empty() {
            return Err(ModelError::Tensors { path: "state".into(), missing: Vec::new(), unexpected, misshapen });
        }
        for (name, value) in values {
            parameters[name].set(value)?;
        }
        Ok(())
    }

    /// How many numbers are trained, of how many.
    pub fn trainable_parameters(&self) -> TrainableParameters {
        let parameters = self.parameters();
        let count = |parameter: &Parameter| parameter.value().elem_count();
        TrainableParameters {
            trainable: parameters.iter().filter(|p| p.is_trainable()).map(count).sum(),
            all: parameters.iter().map(count).sum(),
        }
    }

    /// Writes a Hugging Face directory: `config.json`, the weights (sharded at 5 GB), `generation_config.json`, and,
    /// from `tokenizer_dir`, the tokenizer's files that are there.
    ///
    /// # Errors
    /// When adapters are attached (merge or save them), a matrix is quantised, or a file cannot be written.
    pub fn save(&self, dir: &Path, tokenizer_dir: Option<&Path>) -> Result<()> {
        if self.lora.is_some() {
            return Err(ModelError::AlreadyAdapted);
        }
        self.check_dense()?;
        checkpoint::write_model(dir, &self.config, &self.parameters(), tokenizer_dir)
    }

    /// Refuses where 4 bits would be taken for the weights themselves.
    pub(crate) fn check_dense(&self) -> Result<()> {
        match self.linears().find(|linear| linear.weight.nf4().is_some()) {
            Some(linear) => Err(ModelError::Quantised { tensor: linear.weight.name().to_owned() }),
            None => Ok(()),
        }
    }

    pub(crate) fn linears(&self) -> impl Iterator<Item = &Linear> {
        self.blocks.iter().flat_map(Block::linears)
    }

    pub(crate) fn linears_mut(&mut self) -> impl Iterator<Item = &mut Linear> {
        self.blocks.iter_mut().flat_map(Block::linears_mut)
    }

    pub(crate) fn parameters_mut(&mut self) -> Vec<&mut Parameter> {
        let mut parameters = vec![&mut self.embedding];
        parameters.extend(self.norm.parameters_mut());
        parameters.extend(self.head.as_mut());
        parameters.extend(self.head_bias.as_mut());
        parameters.extend(self.blocks.iter_mut().flat_map(Block::parameters_mut));
        parameters
    }
}

/// How many numbers are trained, of how many; shown as PEFT's `print_trainable_parameters` prints it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrainableParameters {
    /// Numbers in trainable tensors.
    pub trainable: usize,
    /// Numbers in all tensors, adapters included.
    pub all: usize,
}

impl fmt::Display for TrainableParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = 100.0 * self.trainable as f64 / self.all.max(1) as f64;
        let (trainable, all) = (grouped(self.trainable), grouped(self.all));
        write!(f, "trainable params: {trainable} || all params: {all} || trainable%: {percent:.4}")
    }
}

fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
