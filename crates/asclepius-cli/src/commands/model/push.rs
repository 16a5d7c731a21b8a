//! `asclepius model push`: a model or an adapter directory on the hub.

use std::path::Path;

use anyhow::anyhow;
use asclepius_eval::RunFacts;
use serde_json::Value;

use crate::args::HubArgs;
use crate::commands::data::publish::may_be_passed_on;
use crate::commands::publish;
use crate::failure::{Failure, Hinted, Outcome};
use crate::hub::{Content, File, Kind};

/// Endings of the files that a model or an adapter consists of.
const ENDINGS: [&str; 5] = [".json", ".safetensors", ".jinja", ".model", ".md"];

/// Pushes the directory's own files. One that lies in a run is as free as the run's dataset.
pub fn run(directory: &Path, args: &HubArgs) -> Outcome {
    let adapter = directory.join("adapter_config.json");
    if !adapter.is_file() && !directory.join("config.json").is_file() {
        return Err(Failure::usage(Hinted::new(
            format!("{}: neither a model nor an adapter directory", directory.display()),
            "a run's are `pretrain/final` and `sft/final`",
        )));
    }
    let run_dir = directory.parent().and_then(Path::parent).filter(|run| run.join("dataset/manifest.json").is_file());
    if let Some(run_dir) = run_dir {
        may_be_passed_on(&RunFacts::gather(run_dir, "", "")?)?;
    }
    let base = if adapter.is_file() { Some(base_of(&adapter)?) } else { None };
    let mut names: Vec<String> = Vec::new();
    for entry in fs_err::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_file() && !name.starts_with('.') && ENDINGS.iter().any(|ending| name.ends_with(ending)) {
            names.push(name);
        }
    }
    if !names.iter().any(|name| name.ends_with(".safetensors")) {
        return Err(Failure::usage(anyhow!("{}: holds no weights (.safetensors)", directory.display())));
    }
    names.sort_unstable();
    let disk = |name: &String| File { name: name.clone(), content: Content::Disk(directory.join(name)) };
    let mut files: Vec<File> = names.iter().map(disk).collect();
    if !names.iter().any(|name| name == "README.md") {
        let text = card(&args.repo, base.as_deref()).into_bytes();
        files.push(File { name: "README.md".to_owned(), content: Content::Made(text) });
    }
    let summary = format!("by asclepius {}", env!("CARGO_PKG_VERSION"));
    publish::run(args, Kind::Model, &files, |_| false, &summary)
}

/// The base an adapter names; said aloud where nobody else has it under that name.
fn base_of(adapter: &Path) -> Outcome<String> {
    let text = fs_err::read_to_string(adapter)?;
    let config: Value = serde_json::from_str(&text).map_err(|error| anyhow!("{}: {error}", adapter.display()))?;
    let base = config["base_model_name_or_path"].as_str().unwrap_or_default().to_owned();
    if Path::new(&base).exists() || !crate::base::is_hub_id(&base) {
        tracing::warn!(
            base,
            "the adapter names a base by where it lies here: push the base, too, or `asclepius model merge` the two first"
        );
    }
    Ok(base)
}

fn card(repository: &str, base: Option<&str>) -> String {
    let name = repository.rsplit('/').next().unwrap_or(repository);
    let hub_base = base.filter(|base| crate::base::is_hub_id(base) && !Path::new(base).exists());
    let library = if base.is_some() { "peft" } else { "transformers" };
    let what = if base.is_some() { "A LoRA adapter" } else { "A language model" };
    let named = hub_base.map(|base| format!("base_model: {base}\n")).unwrap_or_default();
    let on = hub_base.map(|base| format!(" on {base}")).unwrap_or_default();
    format!(
        "---\nlibrary_name: {library}\n{named}pipeline_tag: text-generation\ntags: [medical, clinical]\n---\n\n# {name}\n\n\
         {what}{on}, trained by asclepius {} on synthetic clinical notes written from published case reports. No patient record \
         was used. No medical device, and no substitute for clinical judgement.\n",
        env!("CARGO_PKG_VERSION")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_names_the_base_where_others_have_it_too() {
        let here = card("us/adapter", Some("runs/x/pretrain/final"));
        assert!(here.starts_with("---\nlibrary_name: peft\npipeline_tag") && !here.contains("runs/"), "{here}");
        let there = card("us/adapter", Some("microsoft/phi-2"));
        assert!(there.contains("base_model: microsoft/phi-2\n") && there.contains("# adapter\n"), "{there}");
        assert!(card("us/model", None).contains("library_name: transformers"));
    }
}
