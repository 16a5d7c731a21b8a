//! `asclepius model pull` and `asclepius data pull`: a repository's files in a directory that appears whole.

use std::path::Path;

use anyhow::{Context, anyhow};
use asclepius_model::checkpoint::publish_directory;
use reqwest::StatusCode;
use serde_json::json;

use crate::adapter;
use crate::args::PullArgs;
use crate::commands::model::ENDINGS;
use crate::commands::reach;
use crate::failure::{Failure, Hinted, Outcome};
use crate::hub::{Broken, Kind, Pull, Pulled, Repository, Unfetched, pull};
use crate::interrupt::Interrupt;
use crate::output;
use crate::progress::StageBar;
use crate::run::lock;

/// Files that are named when they are left out; of more, only how many there are is said.
const NAMED: usize = 8;

/// Pulls a repository into a directory.
pub fn run(args: &PullArgs, kind: Kind) -> Outcome {
    let repository = reach::repository("repository", &args.repo, kind)?;
    let directory = args.directory.as_path();
    if directory.exists() {
        return Err(Failure::usage(anyhow!("{}: exists already", directory.display())));
    }
    let Some(name) = directory.file_name() else {
        return Err(Failure::usage(anyhow!("{}: names no directory", directory.display())));
    };
    let api = reach::api(&args.reach)?;
    // Beside the directory, so that files are moved into it and not copied.
    let staging = directory.with_file_name(format!(".pulling-{}", name.to_string_lossy()));
    fs_err::create_dir_all(&staging)?;
    let alone = lock(&staging, "wait for it, or pull into another directory")?;
    let pulling = Pull {
        repository: &repository,
        revision: &args.revision,
        is_wanted: match kind {
            Kind::Dataset => is_of_dataset,
            Kind::Model => is_of_model,
        },
        staging: &staging,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let interrupt = Interrupt::listen(&runtime);
    let bar = StageBar::open_ended("pull");
    let done = runtime.block_on(async {
        let mut on = |words: &str| bar.say(output::printable(words));
        tokio::select! {
            biased; // an interrupt comes before one more request
            () = interrupt.wait() => None,
            done = pull(&api, &pulling, &mut on) => Some(done),
        }
    });
    bar.finish();
    match done {
        None => Err(Failure::Interrupted),
        Some(Err(unfetched)) => {
            drop(alone);
            forget_if_empty(&staging)?;
            Err(failure(args, &repository, api.is_known(), unfetched))
        }
        Some(Ok(pulled)) => {
            publish_directory(directory, |to| Ok(pulled.place(to)?))
                .with_context(|| format!("cannot write {}", directory.display()))?;
            drop(alone);
            fs_err::remove_dir_all(&staging)?;
            report(args, &repository, &pulled)
        }
    }
}

/// What of a model's repository is a model: files of ours and of the formats that are read here, at its top.
fn is_of_model(name: &str) -> bool {
    !name.contains('/') && !name.starts_with('.') && ENDINGS.iter().any(|ending| name.ends_with(ending))
}

fn is_of_dataset(name: &str) -> bool {
    !name.starts_with('.')
}

/// A pull that brought nothing leaves nothing.
fn forget_if_empty(staging: &Path) -> Outcome {
    let mut names = Vec::new();
    for entry in fs_err::read_dir(staging)? {
        names.push(entry?.file_name());
    }
    if names.iter().all(|name| name == ".lock") {
        fs_err::remove_dir_all(staging)?;
    }
    Ok(())
}

fn failure(args: &PullArgs, repository: &Repository, is_known: bool, unfetched: Unfetched) -> Failure {
    let hinted = |message: String, hint: String| Failure::Failed(Hinted::new(message, hint).into());
    let kind = repository.kind.name();
    match unfetched {
        Unfetched::Outside(name) => Failure::Failed(anyhow!(
            "{repository} holds a file called {name:?}, which would not lie in {}; nothing was fetched",
            args.directory.display()
        )),
        Unfetched::Nothing => Failure::Failed(anyhow!("{repository} holds nothing that belongs to a {kind}")),
        Unfetched::Differs { name, problem } => hinted(
            format!("{name} of {repository} is damaged: {problem}"),
            "it was thrown away; the same command fetches it anew".to_owned(),
        ),
        Unfetched::Broken(broken) => match &broken {
            Broken::Refused { status: StatusCode::NOT_FOUND, .. } => hinted(
                format!("{broken}"),
                format!("is there a {kind} {repository}, with this revision and file, that you may see?"),
            ),
            Broken::Refused { status: StatusCode::UNAUTHORIZED, .. } if !is_known => hinted(
                format!("{broken}"),
                format!(
                    "there is no such {kind}, or it is not for everybody: a token that may read it goes into the variable {} (or \
                     one that --token-env names), or `hf auth login` keeps it",
                    reach::USUAL_VARIABLE
                ),
            ),
            _ => {
                let rights = format!("the token has to be allowed to read {repository}; its page says who may");
                reach::failure(&args.reach, broken, &rights)
            }
        },
    }
}

fn report(args: &PullArgs, repository: &Repository, pulled: &Pulled) -> Outcome {
    let directory = args.directory.display();
    if args.reach.json {
        let value = json!({
            "repository": repository.to_string(), "commit": pulled.commit, "directory": args.directory,
            "files": pulled.files, "left_out": pulled.left_out,
        });
        return output::data(&serde_json::to_string_pretty(&value)?);
    }
    let bytes = pulled.files.values().sum::<u64>() as f64 / 1e6;
    let mut lines = vec![format!(
        "{repository} at commit {}: {} files ({bytes:.1} MB) in {directory}",
        pulled.commit,
        pulled.files.len()
    )];
    if !pulled.left_out.is_empty() {
        let mut names: Vec<&str> = pulled.left_out.keys().take(NAMED).map(String::as_str).collect();
        names.extend((pulled.left_out.len() > NAMED).then_some("..."));
        let kind = repository.kind.name();
        lines.push(format!("{} left out, as no part of a {kind}: {}", pulled.left_out.len(), names.join(", ")));
    }
    if args.directory.join(adapter::CONFIG_FILE).is_file() {
        lines.push(format!("an adapter on {}", adapter::named_base(&args.directory)?));
    }
    output::data(&output::printable(&lines.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_what_lies_at_the_top_in_a_format_that_is_read_here() {
        for name in ["config.json", "model-00001-of-00002.safetensors", "tokenizer.model", "README.md", "LICENSE.txt"] {
            assert!(is_of_model(name), "{name}");
        }
        for name in ["pytorch_model.bin", "onnx/config.json", ".gitattributes", "original/params.json", "x.gguf"] {
            assert!(!is_of_model(name), "{name}");
        }
        assert!(is_of_dataset("data/train.parquet") && !is_of_dataset(".gitattributes"));
    }
}
