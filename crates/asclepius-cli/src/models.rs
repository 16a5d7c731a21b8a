//! The models of a run that can be told apart: what training began with, after pre-training, after tuning.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use asclepius_model::Decoder;
use asclepius_serve::Voice;
use asclepius_text::{InstructionTemplate, TextTokenizer};
use asclepius_train::FINAL_DIRECTORY;
use candle_core::{DType, Device};

use crate::adapter::{find_base, merged_before};
use crate::failure::{Failure, Hinted, Outcome};
use crate::run::Run;
use crate::stage::Stage;
use crate::training::start::Start;

/// The models of a run that can be told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunModel {
    /// What training began with.
    Base,
    /// With continued pre-training.
    Pretrained,
    /// With instruction tuning as well.
    Tuned,
}

impl RunModel {
    /// All of them, in the order in which they were made, with their names.
    pub const ALL: [(Self, &'static str); 3] =
        [(Self::Base, "base"), (Self::Pretrained, "pretrained"), (Self::Tuned, "tuned")];

    /// Where its weights are; none for a model this pipeline does not have. Random weights lie where training led to.
    pub fn directory(self, run: &Run) -> Option<PathBuf> {
        let config = run.config();
        let last = |stage: Stage| Some(run.stage_dir(stage).join(FINAL_DIRECTORY)).filter(|path| path.is_dir());
        match self {
            Self::Base => {
                let first = config.pretrain.as_ref().or(config.sft.as_ref())?;
                first.base.as_ref().map(PathBuf::from).or_else(|| last(Stage::Pretrain)).or_else(|| last(Stage::Sft))
            }
            Self::Pretrained => config.pretrain.as_ref().and_then(|_| last(Stage::Pretrain)),
            Self::Tuned => config.sft.as_ref().and_then(|_| last(Stage::Sft)),
        }
    }

    /// Random weights are no base, and tables should not call them one.
    pub fn title(self, run: &Run, name: &str) -> String {
        let first = run.config().pretrain.as_ref().or(run.config().sft.as_ref());
        match self {
            Self::Base if first.is_some_and(|first| first.init.is_some()) => "untrained".to_owned(),
            _ => name.to_owned(),
        }
    }

    /// Loads it, adapters merged.
    pub fn load(self, run: &Run) -> Outcome<Option<Start>> {
        let Some(directory) = self.directory(run) else { return Ok(None) };
        let device = crate::device::device(&run.config().eval.device)?;
        let named = directory.display().to_string();
        let found = crate::base::resolve("eval: base", &named).unwrap_or(directory);
        let mut start = Start::load(named, &found, &device)?;
        start.decoder = self.as_it_began(run, start.decoder, &device)?;
        Ok(Some(start))
    }

    /// Random weights are a function of the seed and the sizes, so they need no copy on disk: a base of such is made of the
    /// sizes of what training led to.
    fn as_it_began(self, run: &Run, decoder: Decoder, device: &Device) -> Outcome<Decoder> {
        let first = run.config().pretrain.as_ref().or(run.config().sft.as_ref());
        match (self, first.filter(|first| first.init.is_some())) {
            (Self::Base, Some(first)) => {
                let seed = first.seed.unwrap_or(run.config().seed);
                Ok(Decoder::init(decoder.config().clone(), seed, device)?)
            }
            _ => Ok(decoder),
        }
    }
}

/// All models of a run at a time, adapters on shared weights where no other was merged into these before.
pub fn voices(run: &Run, device: &Device) -> Outcome<Vec<Voice>> {
    let mut bases = Bases { device, loaded: BTreeMap::new() };
    let choice = run.config().sft.as_ref().and_then(|sft| sft.template.as_deref()).unwrap_or("asclepius");
    let mut voices = Vec::new();
    for (model, name) in RunModel::ALL {
        let Some(directory) = model.directory(run) else { continue };
        let found = crate::base::resolve(name, &directory.display().to_string()).unwrap_or(directory);
        let (decoder, tokenizer) = bases.with_adapter(&found)?;
        let decoder = model.as_it_began(run, decoder, device)?;
        let mut voice = Voice::own_template(model.title(run, name), decoder, tokenizer)?;
        let template = InstructionTemplate::choose(choice, &voice.tokenizer)?;
        // One over note and question cannot render a conversation.
        if template.as_chat_template().is_some() {
            voice.template = template;
        }
        voices.push(voice);
    }
    if voices.is_empty() {
        return Err(Failure::usage(Hinted::new(
            format!("there is no model in {}", run.directory.display()),
            format!("`asclepius run {}` makes what is missing; or name a model with --model DIR", run.pipeline.label),
        )));
    }
    Ok(voices)
}

/// Weights that several models begin with, loaded once.
struct Bases<'a> {
    device: &'a Device,
    loaded: BTreeMap<PathBuf, Decoder>,
}

impl Bases<'_> {
    fn whole(&mut self, directory: &Path) -> Outcome<Decoder> {
        let key = fs_err::canonicalize(directory)?;
        if let Some(decoder) = self.loaded.get(&key) {
            return Ok(decoder.clone());
        }
        let decoder = Decoder::load(directory, DType::F32, self.device)?;
        self.loaded.insert(key, decoder.clone());
        Ok(decoder)
    }

    /// A model directory, or an adapter directory on the base it names.
    fn with_adapter(&mut self, directory: &Path) -> Outcome<(Decoder, TextTokenizer)> {
        if directory.join("config.json").is_file() {
            return Ok((self.whole(directory)?, TextTokenizer::load(directory)?));
        }
        let base = find_base(directory)?;
        let mut decoder = self.whole(&base)?;
        if let Some(earlier) = merged_before(directory)? {
            decoder.load_adapter(&earlier).with_context(|| format!("merged before {}", directory.display()))?;
            decoder.merge()?;
        }
        decoder.load_adapter(directory)?;
        let own = directory.join("tokenizer.json").is_file();
        Ok((decoder, TextTokenizer::load(if own { directory } else { &base })?))
    }
}
