//! Which models are evaluated: the run's own, the base behind examples, and those that `eval.compare` names.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use asclepius_eval::{Candidate, Compared, Kind, ModelUnderTest};
use asclepius_llm::{TeacherConfig, offered_models};
use asclepius_schema::Fingerprint;
use asclepius_serve::model::name_of;
use asclepius_text::InstructionTemplate;

use crate::failure::{Failure, Hinted, Outcome};
use crate::models::RunModel;
use crate::run::Run;
use crate::training::start::{Start, fingerprint_files};

/// A model under test.
#[derive(Debug)]
pub struct Tested {
    pub name: String,
    pub kind: Kind,
    pub source: String,
    pub shots: usize,
    pub weights: Weights,
}

/// Where its answers come from.
#[derive(Debug)]
pub enum Weights {
    Run(RunModel),
    Directory(PathBuf),
    Api(Box<TeacherConfig>),
}

impl Tested {
    pub fn described(&self) -> ModelUnderTest {
        ModelUnderTest::new(&self.name, self.kind, &self.source, self.shots)
    }

    /// Loads what is not behind an API. A model of the run speaks as instruction tuning has it, another one by its own
    /// template where it has one.
    pub fn load(&self, run: &Run) -> Outcome<Candidate> {
        let gone = || anyhow!("{}: {} is gone", self.name, self.source);
        let (start, choice) = match &self.weights {
            Weights::Run(model) => {
                let choice = run.config().sft.as_ref().and_then(|sft| sft.template.as_deref());
                (model.load(run)?.ok_or_else(gone)?, choice)
            }
            Weights::Directory(path) => {
                let device = crate::device::device(&run.config().eval.device)?;
                let start = Start::load(self.source.clone(), path, &device)?;
                let own = start.tokenizer.chat_template().is_some();
                (start, own.then_some("chat"))
            }
            Weights::Api(_) => return Err(gone().into()),
        };
        let template = InstructionTemplate::choose(choice.unwrap_or("asclepius"), &start.tokenizer)?;
        Ok(Candidate { name: self.name.clone(), decoder: start.decoder, tokenizer: start.tokenizer, template })
    }
}

/// Adds the models that `eval.compare` names to a fingerprint: what lies in a directory, how an API is asked.
pub fn identify(compare: &[Compared], mut fingerprint: Fingerprint) -> Outcome<Fingerprint> {
    for (index, compared) in compare.iter().enumerate() {
        fingerprint = match (compared.api(), compared) {
            (None, Compared::Named(name)) => {
                let path = directory(&format!("eval.compare[{index}]"), name)?;
                fingerprint_files(&path, fingerprint.setting("compare", &index))?
            }
            (api, _) => {
                let api = api.unwrap_or_default();
                fingerprint.setting("compare", &(api.endpoint, api.model, api.extra_body))
            }
        };
    }
    Ok(fingerprint)
}

/// The directory of a model or adapter that `key` names.
pub fn directory(key: &str, name: &str) -> Outcome<PathBuf> {
    match Path::new(name).join("adapter_config.json").is_file() {
        true => Ok(PathBuf::from(name)),
        false => crate::base::resolve(key, name),
    }
}

/// All of them, in the order of the tables. No two have the same name.
pub fn list(run: &Run) -> Outcome<Vec<Tested>> {
    let config = &run.config().eval;
    let mut models: Vec<Tested> = Vec::new();
    for ((model, name), kind) in RunModel::ALL.into_iter().zip([Kind::Base, Kind::Pretrained, Kind::Tuned]) {
        let Some(directory) = model.directory(run) else { continue };
        let (name, source) = (model.title(run, name), directory.display().to_string());
        models.push(Tested {
            name: name.clone(),
            kind,
            source: source.clone(),
            shots: 0,
            weights: Weights::Run(model),
        });
        if config.shots > 0 && model == RunModel::Base {
            let name = format!("{name}, {} shots", config.shots);
            models.push(Tested {
                name,
                kind: Kind::FewShot,
                source,
                shots: config.shots,
                weights: Weights::Run(model),
            });
        }
    }
    for (index, compared) in config.compare.iter().enumerate() {
        let (name, source, weights) = match (compared.api(), compared) {
            (None, Compared::Named(name)) => {
                let path = directory(&format!("eval.compare[{index}]"), name)?;
                (name_of(Path::new(name)), name.clone(), Weights::Directory(path))
            }
            (api, _) => {
                let mut api = api.unwrap_or_default();
                if api.model.is_none() {
                    api.model = Some(only_model(run, index, &api)?);
                }
                (api.model_name().to_owned(), api.endpoint.clone(), Weights::Api(Box::new(api)))
            }
        };
        let taken = |name: &String| models.iter().any(|model| model.name == *name);
        let mut names = std::iter::once(name.clone()).chain((2..).map(|number| format!("{name} ({number})")));
        let name = names.find(|name| !taken(name)).unwrap_or(name);
        models.push(Tested { name, kind: Kind::Compared, source, shots: 0, weights });
    }
    Ok(models)
}

/// The model of an API that was named by its URL alone.
fn only_model(run: &Run, index: usize, api: &TeacherConfig) -> Outcome<String> {
    let offered = run.runtime.block_on(offered_models(&api.endpoint, None));
    let offered = offered.map_err(|error| Failure::usage(anyhow!(error).context(format!("eval.compare[{index}]"))))?;
    match offered.as_slice() {
        [only] => Ok(only.clone()),
        several => Err(Failure::usage(Hinted::new(
            format!(
                "eval.compare[{index}] = {:?} offers {} models: {}",
                api.endpoint,
                several.len(),
                several.join(", ")
            ),
            format!("name one: {{ endpoint = {:?}, model = \"..\" }}", api.endpoint),
        ))),
    }
}
