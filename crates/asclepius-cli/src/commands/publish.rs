//! What `data push` and `model push` share: who pushes, to which repository, how it ends and what is said of it.

use anyhow::anyhow;
use serde_json::json;

use crate::args::PushArgs;
use crate::commands::reach;
use crate::failure::{Failure, Hinted, Outcome};
use crate::hub::{File, Kind, Push, Pushed, Repository, Stopped, push};
use crate::interrupt::Interrupt;
use crate::output;
use crate::progress::StageBar;

/// Pushes `files` and prints what came of it.
pub fn run(args: &PushArgs, kind: Kind, files: &[File], is_left_over: fn(&str) -> bool, summary: &str) -> Outcome {
    let repository = reach::repository("--repo", &args.repo, kind)?;
    let api = reach::api(&args.reach)?;
    if !api.is_known() && !args.dry_run {
        return Err(Failure::usage(Hinted::new(
            format!("--repo {repository}: there is no token to push with"),
            format!(
                "a token that may write goes into the variable {} (or one that --token-env names), or `hf auth \
                 login` keeps it; --dry-run looks without one",
                reach::USUAL_VARIABLE
            ),
        )));
    }
    let pushing =
        Push { repository: &repository, files, is_left_over, public: args.public, dry_run: args.dry_run, summary };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let interrupt = Interrupt::listen(&runtime);
    let bar = StageBar::open_ended("push");
    let done = runtime.block_on(async {
        let mut on = |words: &str| bar.say(words);
        tokio::select! {
            biased; // an interrupt comes before one more request
            () = interrupt.wait() => None,
            done = push(&api, &pushing, &mut on) => Some(done),
        }
    });
    bar.finish();
    match done {
        None => Err(Failure::Interrupted),
        Some(Ok(pushed)) => report(args, &repository, &pushed, api.page(&repository).as_str()),
        Some(Err(stopped)) => Err(failure(args, &repository, stopped)),
    }
}

fn failure(args: &PushArgs, repository: &Repository, stopped: Stopped) -> Failure {
    let hinted = |message: String, hint: &str| Hinted::new(message, hint);
    match stopped {
        Stopped::IsPublic => Failure::usage(hinted(
            format!("{repository} is there already, and everybody can see it; nothing was sent"),
            "--public says that this is meant; or make it private in its settings, or name another with --repo",
        )),
        Stopped::MadePublic => Failure::Failed(
            hinted(
                format!("{repository} was to be private, and the hub made it visible to everybody; nothing was sent"),
                "the namespace may be set up so; make it private in its settings and push again",
            )
            .into(),
        ),
        Stopped::Ignored(name) => Failure::Failed(
            hinted(
                format!("{repository} leaves out {name} by its .gitignore; nothing was committed"),
                "take the rule out of it, or push to another repository",
            )
            .into(),
        ),
        Stopped::Overtaken => Failure::Limit(anyhow!(
            "somebody else committed to {repository} in between; the same command looks again at what differs"
        )),
        Stopped::Broken(broken) => {
            let rights = format!("the token has to be allowed to write to {}", repository.namespace);
            reach::failure(&args.reach, broken, &rights)
        }
    }
}

fn report(args: &PushArgs, repository: &Repository, pushed: &Pushed, page: &str) -> Outcome {
    if args.reach.json {
        let value = json!({
            "repository": repository.to_string(), "page": page, "dry_run": args.dry_run, "created": pushed.created,
            "public": pushed.public, "changed": pushed.changed, "unchanged": pushed.unchanged,
            "removed": pushed.removed, "known_to_storage": pushed.known_to_storage, "commit": pushed.commit,
        });
        return output::data(&serde_json::to_string_pretty(&value)?);
    }
    let visible = if pushed.public { "public" } else { "private" };
    let (change, create) = if args.dry_run { ("would change", "would be made") } else { ("changed", "was made") };
    let mut lines = Vec::new();
    if pushed.created {
        lines.push(format!("{repository} {create}, {visible}"));
    }
    let bytes = |files: &std::collections::BTreeMap<String, u64>| files.values().sum::<u64>() as f64 / 1e6;
    lines.push(format!(
        "{} {change} ({:.1} MB), {} as they were ({:.1} MB)",
        files(pushed.changed.len()),
        bytes(&pushed.changed),
        pushed.unchanged.len(),
        bytes(&pushed.unchanged)
    ));
    lines.extend(pushed.changed.iter().map(|(name, bytes)| format!("  {name}  {bytes} bytes")));
    lines.extend(pushed.removed.iter().map(|name| format!("  {name}  removed: left over from another push")));
    if pushed.known_to_storage > 0 {
        lines.push(format!("{} of them the hub's storage had already", pushed.known_to_storage));
    }
    lines.push(match (&pushed.commit, args.dry_run) {
        (Some(commit), _) => format!("{visible}, at {page} (commit {commit})"),
        (None, false) => format!("nothing to do: {page} is up to date ({visible})"),
        (None, true) => format!("nothing was sent to {page}"),
    });
    output::data(&lines.join("\n"))
}

fn files(count: usize) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{count} files") }
}
