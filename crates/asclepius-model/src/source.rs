//! A model's tensors as they are asked for, from files or from memory, in today's layout whatever the checkpoint's: what
//! is written in another form needs no decoder.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};

use crate::checkpoint::{Checkpoint, cast, copy_tokenizer, publish_directory, write_directory_json, write_sharded};
use crate::families::phi::{self, Layout};
use crate::{Decoder, Family, ModelConfig, ModelError, Result, parameter_shapes};

/// A model's tensors by today's names.
#[derive(Debug)]
pub struct Source {
    /// The configuration in today's keys.
    config: ModelConfig,
    /// The layout of [`Self::held`].
    layout: Layout,
    held: Held,
}

#[derive(Debug)]
enum Held {
    Files(Checkpoint),
    Memory(BTreeMap<String, Tensor>),
}

impl Source {
    /// The tensors of a Hugging Face directory, in its own types.
    ///
    /// # Errors
    /// When a file is missing or damaged, or the tensors are not exactly those the configuration asks for.
    pub fn open(dir: &Path) -> Result<Self> {
        let mut config = ModelConfig::from_file(dir)?;
        if config.family == Family::Phi {
            config.layout = phi::layout(crate::checkpoint::tensor_names(dir)?.iter().map(String::as_str));
        }
        let held = Held::Files(Checkpoint::open(dir, &config)?);
        Ok(Self { layout: config.layout, config: phi::in_current_layout(&config)?, held })
    }

    /// The tensors of a decoder, such as one whose adapters were merged.
    ///
    /// # Errors
    /// When adapters are attached, or a matrix is quantised.
    pub fn of(decoder: &Decoder) -> Result<Self> {
        if decoder.lora().is_some() {
            return Err(ModelError::AlreadyAdapted);
        }
        decoder.check_dense()?;
        let config = decoder.config();
        let tensors = decoder.parameters();
        let tensors = tensors.iter().map(|p| (p.name().to_owned(), p.value().detach())).collect();
        Ok(Self { layout: config.layout, config: phi::in_current_layout(config)?, held: Held::Memory(tensors) })
    }

    /// The configuration.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The type that every tensor has, or f32 where they differ.
    pub fn dtype(&self) -> DType {
        match &self.held {
            Held::Files(checkpoint) => checkpoint.dtype(),
            Held::Memory(tensors) => tensors.values().next().map_or(DType::F32, Tensor::dtype),
        }
    }

    /// A tensor by its name in today's layout, in the type it is held in.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&mut self, name: &str) -> Result<Tensor> {
        let (stored, rows) = match self.layout {
            Layout::Current => (name.to_owned(), None),
            Layout::First => phi::first_name(&self.config, name),
        };
        let tensor = match &mut self.held {
            Held::Files(checkpoint) => checkpoint.read(&stored, None, &Device::Cpu)?,
            Held::Memory(tensors) => tensors.get(&stored).cloned().ok_or_else(|| ModelError::Tensors {
                path: "model".into(),
                missing: vec![stored.clone()],
                unexpected: Vec::new(),
                misshapen: Vec::new(),
            })?,
        };
        match rows {
            Some(rows) => Ok(tensor.narrow(0, rows.start, rows.len())?.contiguous()?),
            None => Ok(tensor),
        }
    }
}

/// Writes a Hugging Face directory, whole or not at all, in today's layout with weights as `dtype`, and the tokenizer's
/// files from `tokenizer_dir`.
///
/// # Errors
/// When a weight does not fit `dtype`, or `out` exists or cannot be written.
pub fn export_directory(source: &mut Source, tokenizer_dir: &Path, out: &Path, dtype: DType) -> Result<()> {
    let mut config = source.config().clone();
    config.set_dtype(dtype);
    let sizes: Vec<(String, usize)> = parameter_shapes(&config)
        .into_iter()
        .map(|(name, shape)| (name, shape.iter().product::<usize>() * dtype.size_in_bytes()))
        .collect();
    publish_directory(out, |dir| {
        write_sharded(dir, &sizes, &mut |name| cast(name, &source.read(name)?, dtype))?;
        copy_tokenizer(tokenizer_dir, dir)?;
        write_directory_json(dir, &config)
    })
}
