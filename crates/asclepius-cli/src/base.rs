//! Base models: a directory as it is, or a hub id, fetched once into the hub's usual cache.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use asclepius_model::ModelConfig;
use hf_hub::api::sync::{ApiBuilder, ApiRepo};

use crate::failure::{Failure, Hinted, Outcome};

/// Files a base may bring beside its weights; only the first two must be there.
const FILES: [&str; 5] =
    ["config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "generation_config.json"];

/// Configurations that are public knowledge, so that a plan needs neither network nor licence click.
const KNOWN: [(&str, &str); 2] = [
    ("meta-llama/Meta-Llama-3-8B", include_str!("../../../data/bases/meta-llama--Meta-Llama-3-8B/config.json")),
    ("microsoft/phi-2", include_str!("../../../data/bases/microsoft--phi-2/config.json")),
];

/// Whether `base` can only mean a hub id: `organisation/model`, and no such directory here.
pub fn is_hub_id(base: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    base.split_once('/').is_some_and(|(organisation, model)| part(organisation) && part(model))
}

/// Refuses a base that is neither a model directory nor a hub id.
pub fn check(key: &str, base: &str) -> Outcome {
    let directory = Path::new(base);
    if directory.is_dir() {
        let config = directory.join("config.json");
        return if config.is_file() {
            Ok(())
        } else {
            Err(Failure::usage(anyhow!("{key} = {base:?}: {} does not exist", config.display())))
        };
    }
    if is_hub_id(base) {
        return Ok(());
    }
    Err(Failure::usage(Hinted::new(
        format!("{key} = {base:?}: no such directory, and not a hub id"),
        "give a Hugging Face model directory, or an id such as `HuggingFaceTB/SmolLM2-135M`",
    )))
}

/// The model directory of `base`, downloaded first where it is a hub id.
pub fn resolve(key: &str, base: &str) -> Outcome<PathBuf> {
    check(key, base)?;
    if Path::new(base).is_dir() {
        return Ok(PathBuf::from(base));
    }
    let repository = hub(key, base)?;
    let listed = repository.info().with_context(|| unreachable_hub(key, base)).map_err(Failure::Failed)?;
    let names: Vec<String> = listed.siblings.into_iter().map(|file| file.rfilename).collect();
    let weights = |name: &&String| {
        !name.contains('/') && (name.ends_with(".safetensors") || name.as_str() == "model.safetensors.index.json")
    };
    if !names.iter().any(|name| weights(&name)) {
        return Err(Failure::Failed(anyhow!("{key} = {base:?}: the hub's files hold no safetensors weights")));
    }
    let wanted = names.iter().filter(|name| FILES.contains(&name.as_str()) || weights(name));
    fetched(key, base, &repository, wanted.map(String::as_str))
}

/// The directory of a sentence encoder, its `files` downloaded first where `named` is a hub id.
pub fn encoder(key: &str, named: &str, files: &[&str]) -> Outcome<PathBuf> {
    check(key, named)?;
    if Path::new(named).is_dir() {
        return Ok(PathBuf::from(named));
    }
    let repository = hub(key, named)?;
    let listed = repository.info().with_context(|| unreachable_hub(key, named)).map_err(Failure::Failed)?;
    let there = |name: &&str| listed.siblings.iter().any(|file| file.rfilename == **name);
    fetched(key, named, &repository, files.iter().copied().filter(there))
}

/// Where the hub's cache keeps the repository that `names` are the files of, each fetched unless it is there.
fn fetched<'a>(key: &str, base: &str, repository: &ApiRepo, names: impl Iterator<Item = &'a str>) -> Outcome<PathBuf> {
    let mut directory = None;
    for name in names {
        let path = repository.get(name).with_context(|| format!("{key} = {base:?}: {name} could not be fetched"))?;
        directory = path.ancestors().nth(Path::new(name).components().count()).map(Path::to_owned);
    }
    directory.ok_or_else(|| Failure::Failed(anyhow!("{key} = {base:?}: the hub lists no files")))
}

/// The configuration of `base`, without its weights.
pub fn config(key: &str, base: &str) -> Outcome<ModelConfig> {
    check(key, base)?;
    let directory = Path::new(base);
    if directory.is_dir() {
        return Ok(ModelConfig::from_file(directory)?);
    }
    if let Some((_, text)) = KNOWN.iter().find(|(id, _)| *id == base) {
        let value = serde_json::from_str(text).expect("the files in data/bases are JSON");
        return Ok(ModelConfig::from_json(value)?);
    }
    let path = hub(key, base)?.get("config.json").with_context(|| unreachable_hub(key, base))?;
    Ok(ModelConfig::from_file(path.parent().unwrap_or(Path::new(".")))?)
}

fn hub(key: &str, base: &str) -> Outcome<ApiRepo> {
    // `new`, not `from_env`: no variable is read that the configuration does not name.
    let api = ApiBuilder::new().with_progress(true).build().with_context(|| unreachable_hub(key, base))?;
    Ok(api.model(base.to_owned()))
}

fn unreachable_hub(key: &str, base: &str) -> String {
    format!("{key} = {base:?} is no directory here, and could not be fetched from the hub")
}
