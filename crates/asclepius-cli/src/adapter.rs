//! What an adapter was trained on: the base it names, and the adapter that was merged into that base before.
//!
//! `adapter_config.json` names a base by hub id or by path, and PEFT takes a path as it stands, wherever it is called from.
//! So a base on disk is named by its absolute path. How it lies as seen from the adapter stands beside that, in a file of our
//! own, so that a run that was moved, or copied to another machine, still finds its own base. PEFT's files have no place
//! for a merged adapter either.

use std::path::{Component, Path, PathBuf};

use anyhow::{Context, anyhow};
use asclepius_schema::write_atomically;
use serde::{Deserialize, Serialize};

use crate::base;
use crate::failure::{Failure, Hinted, Outcome};

/// PEFT's settings.
pub const CONFIG_FILE: &str = "adapter_config.json";

/// Where base and merged adapter lie as seen from the adapter.
const ORIGIN_FILE: &str = "origin.json";

/// Named the merged adapter alone, as seen from the directory the run was started in.
const EARLIER_ORIGIN_FILE: &str = "merged_adapter.json";

/// Files of ours beside PEFT's: they are of this machine, and not published.
pub const OWN_FILES: [&str; 2] = [ORIGIN_FILE, EARLIER_ORIGIN_FILE];

#[derive(Debug, Default, Serialize, Deserialize)]
struct Origin {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    merged_adapter: Option<PathBuf>,
}

impl Origin {
    /// What is known of an adapter's origin, with paths that can be opened.
    fn of(adapter: &Path) -> anyhow::Result<Self> {
        let read = |name: &str| -> anyhow::Result<Option<Self>> {
            let path = adapter.join(name);
            if !path.is_file() {
                return Ok(None);
            }
            let parsed = serde_json::from_str(&fs_err::read_to_string(&path)?);
            parsed.map(Some).with_context(|| format!("{}: not readable JSON", path.display()))
        };
        let Some(seen) = read(ORIGIN_FILE)? else { return Ok(read(EARLIER_ORIGIN_FILE)?.unwrap_or_default()) };
        let from_here = |path: PathBuf| {
            let path = adapter.join(path);
            fs_err::canonicalize(&path).unwrap_or(path)
        };
        Ok(Self { base: seen.base.map(from_here), merged_adapter: seen.merged_adapter.map(from_here) })
    }
}

/// What an adapter's configuration is to call a base: a directory by its absolute path, a hub id by itself.
pub fn name_of_base(base: &str) -> Outcome<String> {
    let path = Path::new(base);
    Ok(if path.is_dir() { fs_err::canonicalize(path)?.display().to_string() } else { base.to_owned() })
}

/// Keeps beside an adapter how its base, and the adapter merged into that before, lie as seen from it.
pub fn record_origin(adapter: &Path, base: &str, merged_adapter: Option<&Path>) -> Outcome {
    let here = fs_err::canonicalize(adapter)?;
    let seen = |path: &Path| Ok::<_, std::io::Error>(seen_from(&here, &fs_err::canonicalize(path)?));
    let base = Some(Path::new(base)).filter(|base| base.is_dir());
    let origin = Origin { base: base.map(seen).transpose()?, merged_adapter: merged_adapter.map(seen).transpose()? };
    if origin.base.is_none() && origin.merged_adapter.is_none() {
        return Ok(());
    }
    Ok(write_atomically(&adapter.join(ORIGIN_FILE), serde_json::to_string(&origin)?.as_bytes())?)
}

/// `to` as seen from the directory `from`, both absolute and without links.
fn seen_from(from: &Path, to: &Path) -> PathBuf {
    let shared = from.components().zip(to.components()).take_while(|(left, right)| left == right).count();
    let up = from.components().skip(shared).map(|_| Component::ParentDir);
    up.chain(to.components().skip(shared)).collect()
}

/// The base that an adapter's configuration names.
pub fn named_base(adapter: &Path) -> anyhow::Result<String> {
    let path = adapter.join(CONFIG_FILE);
    let config: serde_json::Value = serde_json::from_str(&fs_err::read_to_string(&path)?)
        .with_context(|| format!("{}: not readable JSON", path.display()))?;
    let base = config.get("base_model_name_or_path").and_then(serde_json::Value::as_str);
    base.map(str::to_owned).ok_or_else(|| anyhow!("{}: names no base", path.display()))
}

/// Where that base lies here: as it is named, or as it lay beside the adapter; none where it is on the hub, or gone.
fn base_here(adapter: &Path) -> anyhow::Result<Option<PathBuf>> {
    let named = PathBuf::from(named_base(adapter)?);
    let beside = Origin::of(adapter)?.base;
    Ok(std::iter::once(named).chain(beside).find(|base| base.is_dir()))
}

/// The base's directory; downloaded first where it is on the hub.
pub fn find_base(adapter: &Path) -> Outcome<PathBuf> {
    match base_here(adapter)? {
        Some(base) => Ok(base),
        None => {
            let key = format!("{}: base_model_name_or_path", adapter.join(CONFIG_FILE).display());
            base::resolve(&key, &named_base(adapter)?)
        }
    }
}

/// The adapter that must be merged into the base before `adapter` fits it, where there is one.
pub fn merged_before(adapter: &Path) -> anyhow::Result<Option<PathBuf>> {
    Ok(Origin::of(adapter)?.merged_adapter)
}

/// Refuses to put `adapter` on a base that lacks the adapter merged before it: it would load, and answer wrongly.
pub fn refuse_unmerged(model: &Path, adapter: &Path) -> Outcome {
    let Some(earlier) = merged_before(adapter)? else { return Ok(()) };
    let same = match (base_here(adapter)?.map(fs_err::canonicalize), fs_err::canonicalize(model)) {
        (Some(Ok(base)), Ok(model)) => base == model,
        _ => false,
    };
    if !same {
        return Ok(());
    }
    Err(Failure::usage(Hinted::new(
        format!("{} was trained on {} with {} merged into it", adapter.display(), model.display(), earlier.display()),
        format!(
            "`asclepius model merge --model {} --adapter {} --out DIR` makes that model; then use DIR",
            model.display(),
            earlier.display()
        ),
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_seen_from_another_and_leads_there() {
        for (from, to, seen) in [
            ("/runs/x/sft/final", "/runs/x/pretrain/final", "../../pretrain/final"),
            ("/a", "/models/llama", "../models/llama"),
            ("/a/b", "/a/b", ""),
            ("/a/b", "/a", ".."),
        ] {
            assert_eq!(seen_from(Path::new(from), Path::new(to)), Path::new(seen), "{from} {to}");
        }
    }

    #[test]
    fn a_base_that_moved_along_with_its_adapter_is_found() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let run = |name: &str, stage: &str| directory.path().join(name).join(stage).join("final");
        for stage in ["pretrain", "sft"] {
            fs_err::create_dir_all(run("before", stage)).expect("writable");
        }
        let base = run("before", "pretrain");
        let name = name_of_base(&base.display().to_string()).expect("it is there");
        assert!(Path::new(&name).is_absolute(), "{name}");
        let config = serde_json::json!({ "base_model_name_or_path": name }).to_string();
        fs_err::write(run("before", "sft").join(CONFIG_FILE), config).expect("writable");
        record_origin(&run("before", "sft"), &name, None).expect("writable");
        assert_eq!(find_base(&run("before", "sft")).expect("it is there"), Path::new(&name));

        fs_err::rename(directory.path().join("before"), directory.path().join("after")).expect("ours");
        let found = find_base(&run("after", "sft")).expect("it came along");
        let same = |path: &Path| fs_err::canonicalize(path).expect("it is there");
        assert_eq!(same(&found), same(&run("after", "pretrain")));
    }

    #[test]
    fn a_hub_id_stays_one_and_needs_no_file() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        assert_eq!(name_of_base("microsoft/phi-2").expect("no directory"), "microsoft/phi-2");
        record_origin(directory.path(), "microsoft/phi-2", None).expect("nothing to write");
        assert!(!directory.path().join(ORIGIN_FILE).exists());
        // As earlier versions wrote it.
        let earlier = r#"{"merged_adapter":"runs/x/pretrain/final"}"#;
        fs_err::write(directory.path().join(EARLIER_ORIGIN_FILE), earlier).expect("writable");
        let merged = merged_before(directory.path()).expect("readable");
        assert_eq!(merged.as_deref(), Some(Path::new("runs/x/pretrain/final")));
    }
}
