//! Base models: a directory as it is, or a hub id, fetched once into the hub's usual cache.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use asclepius_model::ModelConfig;
use hf_hub::api::sync::{ApiBuilder, ApiRepo};

use crate::failure::{Failure, Hinted, Outcome};
use crate::hub::cached_problem;

/// Files a base may bring beside its weights; only the first two must be there.
const FILES: [&str; 6] = [
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "generation_config.json",
    CARD,
];

/// What says, among other things, under which licence a base is.
const CARD: &str = "README.md";

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

/// Where the hub's cache keeps the repository that `names` are the files of, each fetched unless it is there, and what is
/// fetched held to the hash that the cache files it under.
fn fetched<'a>(key: &str, base: &str, repository: &ApiRepo, names: impl Iterator<Item = &'a str>) -> Outcome<PathBuf> {
    let cache = hf_hub::Cache::default().model(base.to_owned());
    let mut directory: Option<PathBuf> = None;
    for name in names {
        let was_there = cache.get(name).is_some();
        let path = repository.get(name).with_context(|| unreachable_hub(key, base))?;
        if !was_there {
            held_to_its_hash(&path).with_context(|| format!("{key} = {base:?}: {name} is not what the hub has"))?;
        }
        let of = path.ancestors().nth(Path::new(name).components().count()).map(Path::to_owned);
        if directory.is_some() && directory != of {
            return Err(Failure::Failed(anyhow!("{key} = {base:?}: the repository changed meanwhile; run it again")));
        }
        directory = of;
    }
    directory.ok_or_else(|| Failure::Failed(anyhow!("{key} = {base:?}: the hub lists no files")))
}

/// Takes a file out of the cache that is not what it is filed as, so that the next run fetches it again.
fn held_to_its_hash(file: &Path) -> anyhow::Result<()> {
    let Some(problem) = cached_problem(file)? else { return Ok(()) };
    fs_err::remove_file(fs_err::canonicalize(file)?)?;
    if file.is_symlink() {
        fs_err::remove_file(file)?;
    }
    Err(anyhow!("{problem}; it was removed, and a second run fetches it again"))
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
    let repository = hub(key, base)?;
    Ok(ModelConfig::from_file(&fetched(key, base, &repository, std::iter::once("config.json"))?)?)
}

/// The licence that a base's own card states, where that card lies here; nobody is asked.
pub fn licence(base: &str) -> Option<String> {
    let directory = Path::new(base);
    let card = match directory.is_dir() {
        true => directory.join(CARD),
        false => std::env::home_dir().and_then(|_| hf_hub::Cache::default().model(base.to_owned()).get(CARD))?,
    };
    stated_licence(&fs_err::read_to_string(card).ok()?)
}

/// `license` in a card's front matter, or `license_name` where the licence is none the hub has a name for.
fn stated_licence(card: &str) -> Option<String> {
    let (front, _) = card.strip_prefix("---\n")?.split_once("\n---")?;
    let of = |key: &str| {
        let value = front.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        let value = value.trim().trim_matches(['"', '\'']);
        let sound = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        (!value.is_empty() && value.chars().all(sound)).then(|| value.to_owned())
    };
    of("license").filter(|licence| licence != "other").or_else(|| of("license_name"))
}

fn hub(key: &str, base: &str) -> Outcome<ApiRepo> {
    // `new`, not `from_env`: no variable is read that the configuration does not name.
    let api = ApiBuilder::new().with_progress(true).build().with_context(|| unreachable_hub(key, base))?;
    Ok(api.model(base.to_owned()))
}

fn unreachable_hub(key: &str, base: &str) -> String {
    format!("{key} = {base:?} is no directory here, and could not be fetched from the hub")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_what_it_is_filed_as_leaves_the_cache() {
        let root = tempfile::tempdir().expect("a directory");
        let (blobs, snapshot) = (root.path().join("blobs"), root.path().join("snapshots/1"));
        fs_err::create_dir_all(&blobs).expect("a directory");
        fs_err::create_dir_all(&snapshot).expect("a directory");
        // Of "weights" and of "config" with Git's heading: `sha256sum`, `git hash-object`.
        for (name, content, hash) in [
            ("w", "weights", "9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c"),
            ("c", "config", "30fa1ceaf36334498cbd5a1e976cd4e7a7b63cc2"),
        ] {
            let (blob, file) = (blobs.join(hash), snapshot.join(name));
            std::os::unix::fs::symlink(&blob, &file).expect("a link");
            fs_err::write(&blob, content).expect("a file");
            held_to_its_hash(&file).expect("the hash is right");
            fs_err::write(&blob, "other").expect("a file");
            let problem = held_to_its_hash(&file).expect_err("the hash is another");
            assert!(problem.to_string().contains(hash), "{problem}");
            assert!(!file.is_symlink() && !blob.exists());
        }
    }

    #[test]
    fn a_base_is_under_the_licence_its_card_states() {
        for (card, licence) in [
            ("---\nlicense: apache-2.0\ntags: [x]\n---\n# A", Some("apache-2.0")),
            ("---\nlibrary_name: x\nlicense: other\nlicense_name: llama3\n---\n", Some("llama3")),
            ("---\nlicense: \"mit\"\n---\n", Some("mit")),
            ("---\nlicense: |\n  words\n---\n", None),
            ("# A card without front matter\nlicense: mit\n", None),
            ("---\ntags: [x]\n---\nlicense: mit\n", None),
        ] {
            assert_eq!(stated_licence(card).as_deref(), licence, "{card}");
        }
    }
}
