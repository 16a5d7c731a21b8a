//! `asclepius data fetch`: articles from PubMed Central's public bucket to a folder that `corpus.inputs` may name.

use std::collections::BTreeSet;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::anyhow;
use asclepius_corpus::fetch::{FetchConfig, FetchError, Fetched, Tally, Version, fetch};
use fs_err::File;
use serde_json::json;

use crate::args::FetchArgs;
use crate::failure::{Failure, Hinted, Outcome};
use crate::interrupt::Interrupt;
use crate::output;
use crate::progress::StageBar;

/// Names every article that was not fetched, and why; of the last run alone.
const NOT_FETCHED: &str = "not_fetched.jsonl";
/// After this many articles in a row without an answer the bucket is taken to be out of reach.
const MOST_UNANSWERED: u64 = 10;

/// How fetching ended, when nothing failed.
enum Ended {
    Whole,
    Interrupted,
    OutOfReach(String),
}

/// Fetches, writes the list of what was not, and prints what came of it.
pub fn run(args: &FetchArgs) -> Outcome {
    let config = config(args)?;
    fs_err::create_dir_all(&config.out)?;
    let _alone = crate::run::lock(&config.out, "wait for it, or name another folder with --out")?;
    let mut list = NotFetched::create(&config.out)?;
    let mut tally = Tally::default();
    let ended = work(&config, &mut tally, &mut list);
    let listed = list.finish();
    if !tally.balances() {
        return Err(anyhow!("the counts of fetched articles do not add up: {tally:?}").into());
    }
    // What came is told even where the next thing that is told is a failure.
    if tally.input > 0 || ended.is_ok() {
        report(args, &tally)?;
    }
    let ended = ended?;
    listed?;
    match ended {
        Ended::Interrupted => Err(Failure::Interrupted),
        Ended::OutOfReach(problem) => Err(Failure::Limit(anyhow!(
            "{} did not answer for {MOST_UNANSWERED} articles in a row ({problem}); the same command goes on from here",
            config.endpoint
        ))),
        Ended::Whole if tally.pending_total() > 0 => Err(Failure::Limit(anyhow!(
            "{} of {} articles are still pending; the same command asks for them again",
            tally.pending_total(),
            tally.input
        ))),
        Ended::Whole if tally.fetched + tally.known == 0 => Err(Failure::Failed(
            Hinted::new(
                format!("none of {} articles could be fetched", tally.input),
                format!("{} says why, one by one", config.out.join(NOT_FETCHED).display()),
            )
            .into(),
        )),
        Ended::Whole => Ok(()),
    }
}

fn config(args: &FetchArgs) -> Outcome<FetchConfig> {
    let mut articles = args.articles.clone();
    for path in &args.ids {
        articles.extend(read_ids(path)?);
    }
    let mut seen = BTreeSet::new();
    articles.retain(|version| seen.insert(*version));
    if articles.is_empty() && !args.walk {
        return Err(Failure::usage(Hinted::new(
            "data fetch: no article is named",
            "PMCIDs, `--ids FILE`, or `--walk` (with `--limit N`: the bucket holds millions)",
        )));
    }
    Ok(FetchConfig {
        endpoint: args.bucket.clone(),
        out: args.out.clone(),
        articles,
        licences: args.licences.clone(),
        limit: args.limit.map(std::num::NonZero::get),
        interval: Duration::from_secs_f64(1.0 / args.requests_per_second),
        tries: args.tries,
        wait: Duration::from_secs_f64(args.retry_seconds),
    })
}

/// The PMCIDs at the head of a file's lines; whatever follows a comma or a blank is not read.
fn read_ids(path: &Path) -> Outcome<Vec<Version>> {
    let text = fs_err::read_to_string(path).map_err(Failure::usage)?;
    let mut found = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let line = line.split('#').next().unwrap_or_default().trim_start_matches('\u{feff}');
        let Some(id) = line.split([',', ';', ' ', '\t']).map(str::trim).find(|cell| !cell.is_empty()) else { continue };
        let id =
            id.parse().map_err(|problem| Failure::usage(anyhow!("{}: line {number}: {problem}", path.display())))?;
        found.push(id);
    }
    if found.is_empty() {
        return Err(Failure::usage(anyhow!("{} names no article", path.display())));
    }
    Ok(found)
}

fn work(config: &FetchConfig, tally: &mut Tally, list: &mut NotFetched) -> Outcome<Ended> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let interrupt = Interrupt::listen(&runtime);
    let known = config.articles.len().min(config.limit.unwrap_or(usize::MAX)) as u64;
    let bar = match (known, config.limit) {
        (0, Some(limit)) => StageBar::start("fetch", limit as u64),
        (0, None) => StageBar::open_ended("fetch"),
        _ => StageBar::start("fetch", known),
    };
    let (mut failed, mut out_of_reach) = (None, None);
    let mut on = |version: &Version, fetched: &Fetched| {
        tally.add(fetched);
        // An article without a version may have several.
        if config.articles.len() as u64 <= tally.input && config.limit.is_none() && known > 0 {
            bar.set_total(tally.input);
        }
        bar.set(tally.input);
        bar.say(format!("{} new, {:.1} MB", tally.fetched, tally.bytes as f64 / 1e6));
        if let Fetched::Skipped(why, detail) = fetched {
            failed = list.write(version, why.code(), detail).err();
            if tally.unanswered >= MOST_UNANSWERED {
                out_of_reach = Some(detail.clone());
            }
        }
        failed.is_none() && out_of_reach.is_none()
    };
    let done: Option<Result<(), FetchError>> = runtime.block_on(async {
        tokio::select! {
            biased; // an interrupt comes before one more request
            () = interrupt.wait() => None,
            done = fetch(config, &mut on) => Some(done),
        }
    });
    bar.finish();
    if let Some(error) = failed {
        return Err(error.into());
    }
    match done {
        None => Ok(Ended::Interrupted),
        Some(Err(error @ FetchError::Address { .. })) => Err(Failure::usage(error)),
        Some(Err(error)) => Err(error.into()),
        Some(Ok(())) => Ok(out_of_reach.map_or(Ended::Whole, Ended::OutOfReach)),
    }
}

/// `not_fetched.jsonl`, under another name until it is whole.
struct NotFetched {
    file: BufWriter<File>,
    part: PathBuf,
    path: PathBuf,
}

impl NotFetched {
    fn create(out: &Path) -> Outcome<Self> {
        let (path, part) = (out.join(NOT_FETCHED), out.join(format!("{NOT_FETCHED}.part")));
        Ok(Self { file: BufWriter::new(File::create(&part)?), part, path })
    }

    fn write(&mut self, version: &Version, reason: &str, detail: &str) -> std::io::Result<()> {
        writeln!(self.file, "{}", json!({ "id": version.to_string(), "reason": reason, "detail": detail }))
    }

    fn finish(mut self) -> Outcome {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        Ok(fs_err::rename(&self.part, &self.path)?)
    }
}

fn report(args: &FetchArgs, tally: &Tally) -> Outcome {
    if args.json {
        return output::data(&serde_json::to_string_pretty(tally)?);
    }
    let mut lines = vec![format!(
        "{} of {} articles are in {}: {} new ({:.1} MB), {} there before",
        tally.fetched + tally.known,
        tally.input,
        args.out.display(),
        tally.fetched,
        tally.bytes as f64 / 1e6,
        tally.known
    )];
    for (what, counts) in [("not fetched", &tally.dropped), ("pending", &tally.pending)] {
        if !counts.is_empty() {
            let reasons: Vec<String> = counts.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
            lines.push(format!("{what}: {}", reasons.join(", ")));
        }
    }
    if tally.fetched + tally.known < tally.input {
        lines.push(format!("{} says why, one by one", args.out.join(NOT_FETCHED).display()));
    }
    if tally.fetched + tally.known > 0 {
        let folder = args.out.display().to_string();
        lines.push(format!("to read them: asclepius run --set name=NEW --set 'corpus.inputs=[{folder:?}]'"));
    }
    output::data(&lines.join("\n"))
}
