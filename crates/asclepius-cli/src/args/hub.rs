//! What is said of the hub: where it is, which repository is pushed to or pulled from, what a card is to name.

use std::path::PathBuf;

use asclepius_train::TrainStage;
use clap::Args;

pub(super) fn seconds(text: &str) -> Result<f64, String> {
    let fits = |seconds: &f64| (0.0..=120.0).contains(seconds);
    text.parse().ok().filter(fits).ok_or_else(|| "a number from 0 to 120".to_owned())
}

fn hub_id(text: &str) -> Result<String, String> {
    let problem = || "NAMESPACE/NAME, of letters, digits, `-`, `_` and `.`".to_owned();
    crate::base::is_hub_id(text).then(|| text.to_owned()).ok_or_else(problem)
}

fn stage(text: &str) -> Result<TrainStage, String> {
    serde_json::from_value(text.into()).map_err(|_| "pretrain or sft".to_owned())
}

/// How the hub is reached.
#[derive(Debug, Args)]
pub struct ReachArgs {
    /// Environment variable that holds a token. Without it HF_TOKEN, then what `hf auth login` keeps.
    #[arg(long, value_name = "NAME")]
    pub token_env: Option<String>,
    /// The hub's address.
    #[arg(long, value_name = "URL", default_value = crate::hub::PUBLIC_HUB)]
    pub endpoint: String,
    /// How often a request is tried.
    #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u32).range(1..))]
    pub tries: u32,
    /// Seconds before the second try; the wait doubles with each, to two minutes at most.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    pub retry_seconds: f64,
    /// Print JSON on stdout.
    #[arg(long)]
    pub json: bool,
}

/// A repository to push to.
#[derive(Debug, Args)]
pub struct PushArgs {
    /// The repository: NAMESPACE/NAME. Made, private, where there is none.
    #[arg(long, value_name = "NAMESPACE/NAME")]
    pub repo: String,
    /// Everybody may see it: a new one is made public, and one that is public already is pushed to.
    #[arg(long)]
    pub public: bool,
    /// Say what would be sent, and change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// The hub.
    #[command(flatten)]
    pub reach: ReachArgs,
}

/// A repository to pull from.
#[derive(Debug, Args)]
pub struct PullArgs {
    /// The repository: NAMESPACE/NAME.
    #[arg(value_name = "NAMESPACE/NAME")]
    pub repo: String,
    /// The directory to make; it appears when all files are there.
    pub directory: PathBuf,
    /// A branch, a tag or a commit.
    #[arg(long, value_name = "REVISION", default_value = "main")]
    pub revision: String,
    /// The hub.
    #[command(flatten)]
    pub reach: ReachArgs,
}

/// What a card says that no run knows.
#[derive(Debug, Args)]
pub struct CardArgs {
    /// The stage whose model it is: pretrain or sft. By default the last that the pipeline trains.
    #[arg(long, value_name = "STAGE", value_parser = stage)]
    pub stage: Option<TrainStage>,
    /// What the base is called on the hub, where the run has it in a directory.
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = hub_id)]
    pub base_id: Option<String>,
    /// What the dataset is called on the hub, where it was pushed there.
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = hub_id)]
    pub dataset_id: Option<String>,
}
