//! `asclepius model push`: the model a run made, with its card, or a model of the user's own, on the hub.

use std::path::Path;

use anyhow::{Context, anyhow};
use asclepius_eval::RunFacts;
use asclepius_eval::card::{ATTRIBUTIONS, attributions};
use asclepius_eval::model_card::render;
use serde_json::{Value, json};

use super::ENDINGS;
use super::card::{Made, on_the_hub, the_one};
use crate::args::{CardArgs, PushArgs};
use crate::commands::data::prompts;
use crate::commands::publish;
use crate::failure::{Failure, Hinted, Outcome};
use crate::hub::{Content, File, Kind};
use crate::pipeline::Pipeline;
use crate::{adapter, run};

const CARD: &str = "README.md";

/// Pushes a run's model, or a directory.
pub fn run(model: &str, set: &[String], card: &CardArgs, args: &PushArgs) -> Outcome {
    let directory = Path::new(model);
    if !directory.is_dir() {
        return of_run(&Pipeline::load(model, set)?, card, args);
    }
    if !set.is_empty() || card.stage.is_some() || card.dataset_id.is_some() {
        return Err(Failure::usage(anyhow!(
            "{model} is a directory: --set, --stage and --dataset-id are of a pipeline"
        )));
    }
    of_directory(directory, card.base_id.as_deref(), args)
}

/// What nobody may pass on is not passed on to the hub either, private or not.
fn of_run(pipeline: &Pipeline, card: &CardArgs, args: &PushArgs) -> Outcome {
    let run = run::look(pipeline.clone())?;
    let Made { directory, facts } = Made::gather(&run, card, Some(&args.repo))?;
    let terms = facts.terms();
    if let Some(problem) = terms.problem() {
        return Err(Failure::usage(Hinted::new(
            format!(
                "licence of what the model was trained on: {}; it is not pushed, not even to a private repository",
                terms.name()
            ),
            problem,
        )));
    }
    if facts.is_on_merged && facts.base_model.is_none() {
        return Err(on_merged(&directory)?);
    }
    let mut files = files(&directory, facts.base_model.as_deref())?;
    let mut sources = RunFacts::default();
    sources.attributions.extend(facts.datasets.iter().flat_map(|facts| facts.attributions.clone()));
    let mut made = |name: &str, text: String| {
        files.retain(|file| file.name != name);
        files.push(File { name: name.to_owned(), content: Content::Made(text.into_bytes()) });
    };
    made(CARD, render(&facts, &prompts(pipeline)));
    if !sources.attributions.is_empty() {
        made(ATTRIBUTIONS, attributions(&sources));
    }
    let summary = format!("{} of {} by asclepius {}", facts.stage, pipeline.config.name, env!("CARGO_PKG_VERSION"));
    publish::run(args, Kind::Model, &files, is_of_a_model, &summary)
}

/// A model that no run here made: its own card goes along, or one that says little.
fn of_directory(directory: &Path, base_id: Option<&str>, args: &PushArgs) -> Outcome {
    let is_adapter = directory.join(adapter::CONFIG_FILE).is_file();
    if !is_adapter && !directory.join("config.json").is_file() {
        return Err(Failure::usage(Hinted::new(
            format!("{}: neither a model nor an adapter directory", directory.display()),
            "to push what a run made, name its pipeline",
        )));
    }
    let stage = fs_err::canonicalize(directory)?.parent().map(Path::to_owned);
    if let Some(stage) = stage.filter(|stage| stage.join("metrics.jsonl").is_file()) {
        return Err(Failure::usage(Hinted::new(
            format!(
                "{} is a run's: pushed as a directory, it would have no card, and nobody would look at its licence",
                directory.display()
            ),
            format!(
                "`asclepius model push PIPELINE --stage {} --repo {}`; the run's own `config.resolved.toml` is a pipeline, too",
                stage.file_name().unwrap_or_default().display(),
                args.repo
            ),
        )));
    }
    let is_on_merged = is_adapter && adapter::merged_before(directory)?.is_some();
    if is_on_merged && base_id.is_none() {
        return Err(on_merged(directory)?);
    }
    let named = if is_adapter { Some(adapter::named_base(directory)?) } else { None };
    let named = named.filter(|base| !is_on_merged && on_the_hub(base));
    let base_id = the_one(named, base_id)?;
    let mut files = files(directory, base_id.as_deref())?;
    if !files.iter().any(|file| file.name == CARD) {
        let text = short_card(&args.repo, is_adapter, base_id.as_deref()).into_bytes();
        files.push(File { name: CARD.to_owned(), content: Content::Made(text) });
    }
    let summary = format!("by asclepius {}", env!("CARGO_PKG_VERSION"));
    publish::run(args, Kind::Model, &files, is_of_a_model, &summary)
}

/// The directory's files as they are published: an adapter names its base by the name others have it under.
fn files(directory: &Path, base_id: Option<&str>) -> Outcome<Vec<File>> {
    let mut names: Vec<String> = Vec::new();
    for entry in fs_err::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_published = !name.starts_with('.') && !adapter::OWN_FILES.contains(&name.as_str());
        if entry.path().is_file() && is_published && ENDINGS.iter().any(|ending| name.ends_with(ending)) {
            names.push(name);
        }
    }
    names.sort_unstable();
    if !names.iter().any(|name| name.ends_with(".safetensors")) {
        return Err(Failure::usage(anyhow!("{}: holds no weights (.safetensors)", directory.display())));
    }
    let file = |name: String| {
        let content = match name == adapter::CONFIG_FILE {
            true => Content::Made(published_config(directory, base_id)?),
            false => Content::Disk(directory.join(&name)),
        };
        Ok(File { name, content })
    };
    names.into_iter().map(file).collect()
}

/// An adapter's configuration with the base's name on the hub in place of where it lies here.
fn published_config(directory: &Path, base_id: Option<&str>) -> Outcome<Vec<u8>> {
    let path = directory.join(adapter::CONFIG_FILE);
    let text = fs_err::read_to_string(&path)?;
    let named = adapter::named_base(directory)?;
    let base_id = base_id.ok_or_else(|| {
        Failure::usage(Hinted::new(
            format!("the adapter's base is {named}, which is a directory here: nobody else has it under that name"),
            "--base-id NAMESPACE/NAME says what it is called on the hub (`asclepius model push` brings it there, too); or \
             `asclepius model merge` makes one model of both, which can be pushed",
        ))
    })?;
    if named == base_id {
        return Ok(text.into_bytes());
    }
    let mut config: Value =
        serde_json::from_str(&text).with_context(|| format!("{}: not readable JSON", path.display()))?;
    config["base_model_name_or_path"] = json!(base_id);
    Ok((serde_json::to_string_pretty(&config)? + "\n").into_bytes())
}

/// Why an adapter on a merged base is not pushed under the bare base's name.
fn on_merged(directory: &Path) -> Outcome<Failure> {
    let (base, earlier) = (adapter::named_base(directory)?, adapter::merged_before(directory)?.unwrap_or_default());
    let here = if Path::new(&base).is_dir() { base.clone() } else { "BASE".to_owned() };
    Ok(Failure::usage(Hinted::new(
        format!(
            "the adapter was trained on {base} with {} merged into it: on {base} itself it gives another model",
            earlier.display()
        ),
        format!(
            "`asclepius model merge --model {here} --adapter {} --out DIR` makes that model; push DIR, and give its name with \
             --base-id here",
            earlier.display()
        ),
    )))
}

/// Files that would be loaded beside another model's, if a push left them.
fn is_of_a_model(name: &str) -> bool {
    let weights = (name.starts_with("model") || name.starts_with("adapter_model")) && name.ends_with(".safetensors");
    weights || matches!(name, "config.json" | "model.safetensors.index.json" | adapter::CONFIG_FILE)
}

fn short_card(repository: &str, is_adapter: bool, base: Option<&str>) -> String {
    let name = repository.rsplit('/').next().unwrap_or(repository);
    let (library, what) = if is_adapter { ("peft", "A LoRA adapter") } else { ("transformers", "A language model") };
    let relation = if is_adapter { "adapter" } else { "finetune" };
    let named = base.map(|base| format!("base_model: {base}\nbase_model_relation: {relation}\n")).unwrap_or_default();
    let on = base.map(|base| format!(" on {base}")).unwrap_or_default();
    format!(
        "---\nlibrary_name: {library}\n{named}pipeline_tag: text-generation\ntags: [medical, clinical]\n---\n\n# {name}\n\n\
         {what}{on}, pushed by asclepius {}; its training is not recorded here. No medical device, and no substitute for \
         clinical judgement.\n",
        env!("CARGO_PKG_VERSION")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_card_names_the_base_where_it_has_a_name() {
        let here = short_card("us/adapter", true, None);
        assert!(here.starts_with("---\nlibrary_name: peft\npipeline_tag"), "{here}");
        let there = short_card("us/adapter", true, Some("microsoft/phi-2"));
        assert!(there.contains("base_model: microsoft/phi-2\n") && there.contains("# adapter\n"), "{there}");
        assert!(short_card("us/model", false, None).contains("library_name: transformers"));
    }

    #[test]
    fn only_what_would_be_loaded_beside_the_model_is_left_over() {
        for name in
            ["model-00001-of-00002.safetensors", "adapter_model.safetensors", "config.json", "adapter_config.json"]
        {
            assert!(is_of_a_model(name), "{name}");
        }
        for name in ["README.md", "tokenizer.json", "extra.safetensors", ".gitattributes", "onnx/model.onnx"] {
            assert!(!is_of_a_model(name), "{name}");
        }
    }
}
