//! Where training starts: random weights and a tokenizer of their own, a base, or what pre-training made.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use asclepius_model::{Decoder, ModelConfig};
use asclepius_schema::Fingerprint;
use asclepius_text::{InstructionTemplate, SpecialNames, TextTokenizer};
use asclepius_train::{FINAL_DIRECTORY, InitConfig, Method, TrainConfig, TrainStage, Vocabulary};
use candle_core::{DType, Device};

use crate::failure::{Failure, Hinted, Outcome};
use crate::run::Run;
use crate::stage::Stage;
use crate::training::rows::TrainingRows;
use crate::{adapter, base};

/// Weights up to this size are hashed whole; of larger ones, the size, both ends and the configuration count.
const HASHED_BYTES: u64 = 1 << 30;

/// A model to train, and what goes with it.
#[derive(Debug)]
pub struct Start {
    /// The weights, all frozen, no adapters.
    pub decoder: Decoder,
    /// The model's tokenizer.
    pub tokenizer: TextTokenizer,
    /// What an adapter trained from here names as its base.
    pub base: String,
    /// An adapter that was merged into the weights in memory.
    pub merged_adapter: Option<PathBuf>,
    /// Where the tokenizer's files lie.
    pub tokenizer_dir: PathBuf,
}

/// Where a stage without `base` and `init` starts: what pre-training made.
fn pretrained(run: &Run, stage: TrainStage) -> Outcome<PathBuf> {
    let directory = run.stage_dir(Stage::Pretrain).join(FINAL_DIRECTORY);
    if directory.is_dir() {
        return Ok(directory);
    }
    Err(Failure::usage(Hinted::new(
        format!("{}: its base {} does not exist", stage.table(), directory.display()),
        format!(
            "`asclepius pretrain {0}` makes it, `asclepius run {0}` everything; or name a model in {1}.base",
            run.pipeline.label,
            stage.table()
        ),
    )))
}

/// Adds to a fingerprint what the start depends on beside the settings.
pub fn identify(run: &Run, stage: TrainStage, table: &TrainConfig, fingerprint: Fingerprint) -> Outcome<Fingerprint> {
    let directory = match (&table.init, &table.base) {
        (Some(InitConfig { tokenizer: Some(tokenizer), .. }), _) => {
            return Ok(fingerprint.file("tokenizer", &tokenizer_file(tokenizer))?);
        }
        (Some(_), _) => return Ok(fingerprint),
        (None, Some(base)) if !Path::new(base).is_dir() => return Ok(fingerprint.setting("base", base)),
        (None, Some(base)) => PathBuf::from(base),
        (None, None) => pretrained(run, stage)?,
    };
    fingerprint_files(&directory, fingerprint)
}

/// Adds to a fingerprint what lies in a model's directory.
pub fn fingerprint_files(directory: &Path, mut fingerprint: Fingerprint) -> Outcome<Fingerprint> {
    let mut files: Vec<PathBuf> =
        fs_err::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    files.sort_unstable();
    for file in files.iter().filter(|file| file.extension().is_some_and(|kind| kind == "json" || kind == "safetensors"))
    {
        let bytes = fs_err::metadata(file)?.len();
        fingerprint = match bytes <= HASHED_BYTES {
            true => fingerprint.file("base", file)?,
            false => fingerprint.setting("base", &bytes).bytes("ends", &ends(file)?),
        };
    }
    Ok(fingerprint)
}

/// The first and the last mebibyte of a large file: its header, and weights that training changes.
fn ends(path: &Path) -> std::io::Result<Vec<u8>> {
    const LENGTH: usize = 1 << 20;
    let mut file = fs_err::File::open(path)?;
    let mut bytes = vec![0; 2 * LENGTH];
    file.read_exact(&mut bytes[..LENGTH])?;
    file.seek(SeekFrom::End(-(LENGTH as i64)))?;
    file.read_exact(&mut bytes[LENGTH..])?;
    Ok(bytes)
}

fn tokenizer_file(path: &Path) -> PathBuf {
    if path.is_dir() { path.join("tokenizer.json") } else { path.to_owned() }
}

impl Start {
    /// Loads or makes the model that a stage trains. A trained tokenizer is kept in the stage's `directory`.
    pub fn prepare(
        run: &Run,
        stage: TrainStage,
        table: &TrainConfig,
        rows: &TrainingRows<'_>,
        directory: &Path,
    ) -> Outcome<Self> {
        let device = crate::device::device(&table.device)?;
        let seed = table.seed.unwrap_or(run.config().seed);
        if let Some(init) = &table.init {
            return Self::random(init, table.sequence_length, seed, rows, directory, &device);
        }
        let key = format!("{}.base", stage.table());
        let (named, found) = match &table.base {
            Some(base) => (base.clone(), base::resolve(&key, base)?),
            None => {
                let directory = pretrained(run, stage)?;
                (directory.display().to_string(), directory)
            }
        };
        Self::load_as(named, &found, &device, table.method == Method::Qlora)
            .with_context(|| format!("{key} = {}", found.display()))
            .map_err(Failure::Failed)
    }

    /// A model directory, or an adapter directory, which is merged into the base it names.
    pub fn load(named: String, directory: &Path, device: &Device) -> anyhow::Result<Self> {
        Self::load_as(named, directory, device, false)
    }

    /// The same; a model directory's matrices `quantised` as they are read, so that they are never all there whole.
    fn load_as(named: String, directory: &Path, device: &Device, quantised: bool) -> anyhow::Result<Self> {
        if directory.join("config.json").is_file() {
            let load = if quantised { Decoder::load_quantised } else { Decoder::load };
            let decoder = load(directory, DType::F32, device)?;
            let tokenizer = TextTokenizer::load(directory)?;
            return Ok(Self {
                decoder,
                tokenizer,
                base: named,
                merged_adapter: None,
                tokenizer_dir: directory.to_owned(),
            });
        }
        let found = adapter::find_base(directory)
            .map_err(|failure| failure.error().map_or_else(|| anyhow!("interrupted"), |error| anyhow!("{error:#}")))?;
        let named = adapter::named_base(directory)?;
        let named =
            if base::is_hub_id(&named) && !Path::new(&named).is_dir() { named } else { found.display().to_string() };
        let mut start = Self::load(named, &found, device)?;
        if let Some(earlier) = adapter::merged_before(directory)? {
            start.decoder.load_adapter(&earlier).with_context(|| format!("merged before {}", directory.display()))?;
            start.decoder.merge()?;
        }
        start.decoder.load_adapter(directory)?;
        start.decoder.merge()?;
        start.merged_adapter = Some(directory.to_owned());
        Ok(start)
    }

    /// Gives the tokenizer the chat template that instruction tuning uses, so that whoever serves the result asks as it
    /// was trained. The base's own stays where that is the one.
    pub fn speak(&mut self, table: &TrainConfig, directory: &Path) -> Outcome {
        let template = InstructionTemplate::choose(table.template.as_deref().unwrap_or("asclepius"), &self.tokenizer)?;
        if let Some(source) = template.as_chat_template() {
            self.tokenizer = self.tokenizer.with_chat_template(Some(source.to_owned()))?;
        }
        self.tokenizer_dir = directory.join("tokenizer");
        fs_err::create_dir_all(&self.tokenizer_dir)?;
        self.tokenizer.save(&self.tokenizer_dir)?;
        Ok(())
    }

    fn random(
        init: &InitConfig,
        sequence_length: usize,
        seed: u64,
        rows: &TrainingRows<'_>,
        directory: &Path,
        device: &Device,
    ) -> Outcome<Self> {
        let tokenizer = match &init.tokenizer {
            Some(path) => TextTokenizer::load(path)?,
            None => {
                let limit = if init.tokenizer_texts == 0 { usize::MAX } else { init.tokenizer_texts };
                TextTokenizer::train_bpe(
                    rows.texts(limit)?.iter().map(String::as_str),
                    init.vocab_size,
                    &SpecialNames::default(),
                )?
            }
        };
        let tokenizer_dir = directory.join("tokenizer");
        fs_err::create_dir_all(&tokenizer_dir)?;
        tokenizer.save(&tokenizer_dir)?;
        let vocabulary = Vocabulary {
            size: tokenizer.vocab_size(),
            bos: tokenizer.bos(),
            eos: tokenizer.eos(),
            pad: tokenizer.pad(),
        };
        let config = ModelConfig::from_json(init.config_json(vocabulary, sequence_length))?;
        let decoder = Decoder::init(config, seed, device)?;
        Ok(Self { decoder, tokenizer, base: "random weights".to_owned(), merged_adapter: None, tokenizer_dir })
    }
}
