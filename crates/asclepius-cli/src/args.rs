//! The command line: clap structs only, no logic.

mod hub;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use hub::{CardArgs, PullArgs, PushArgs, ReachArgs};

/// Case reports in, a clinical model out: synthetic notes, instructions, continued pre-training, instruction tuning.
#[derive(Debug, Parser)]
#[command(name = "asclepius", version, about, propagate_version = true)]
pub struct Cli {
    /// What to do; `run` when left out.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Say more (-v: info, -vv: debug); RUST_LOG-style filters are not read from the environment.
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
}

/// A pipeline and the values changed on the command line.
#[derive(Debug, Clone, Args)]
pub struct PipelineArgs {
    /// A pipeline file, or NAME for pipelines/NAME.toml.
    #[arg(default_value = "demo")]
    pub pipeline: String,
    /// Changes one key: `--set sft.epochs=1`. The value is TOML; what does not parse is a string.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// One stage alone.
#[derive(Debug, Clone, Args)]
pub struct StageArgs {
    /// The pipeline.
    #[command(flatten)]
    pub pipeline: PipelineArgs,
    /// Throw away what the stage made before. The ledger of paid calls stays.
    #[arg(long)]
    pub fresh: bool,
    /// Check the configuration, print it resolved, and stop.
    #[arg(long)]
    pub dry_run: bool,
    /// Of training, trace three steps after the first one into the stage's profile.json, which Perfetto opens.
    #[arg(long)]
    pub profile: bool,
}

/// The data half, or one process's share of it.
#[derive(Debug, Clone, Args)]
pub struct SynthArgs {
    /// The pipeline and what to do with it.
    #[command(flatten)]
    pub stage: StageArgs,
    /// Ask for this share of the reports only, beside other processes that ask for the rest; `synth` without it then
    /// makes the dataset of what all of them were answered.
    #[arg(long, value_name = "i/n")]
    pub shard: Option<asclepius_schema::Shard>,
}

/// What a report can be printed as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ReportFormat {
    /// The page, self-contained.
    Html,
    /// Markdown: the tables, without plots.
    Md,
}

/// The whole pipeline, or a part of it.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// The pipeline and what to do with it.
    #[command(flatten)]
    pub stage: StageArgs,
    /// Only this stage; may be given several times.
    #[arg(long, value_name = "STAGE")]
    pub only: Vec<crate::stage::Stage>,
    /// This stage and all that follow.
    #[arg(long, value_name = "STAGE", conflicts_with = "only")]
    pub from: Option<crate::stage::Stage>,
}

/// Models to talk to: those of a run, or a directory with adapters.
#[derive(Debug, Clone, Args)]
pub struct ModelArgs {
    /// The models of this pipeline's run: base, pre-trained and tuned.
    #[arg(default_value = "demo", conflicts_with = "model")]
    pub pipeline: String,
    /// Changes one key of the pipeline: `--set name=mine`.
    #[arg(long, value_name = "KEY=VALUE", conflicts_with = "model")]
    pub set: Vec<String>,
    /// A Hugging Face model directory instead.
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,
    /// A PEFT adapter directory on top of it; may be given several times.
    #[arg(long, value_name = "DIR", requires = "model")]
    pub adapter: Vec<PathBuf>,
    /// Where it computes: auto, cpu or cuda:N.
    #[arg(long, default_value = "auto")]
    pub device: String,
}

/// `asclepius serve`
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The models.
    #[command(flatten)]
    pub model: ModelArgs,
    /// Address to listen on; any other than loopback needs a token.
    #[arg(long, default_value = "127.0.0.1")]
    pub host: std::net::IpAddr,
    /// Port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = 8080)]
    pub port: u16,
    /// Environment variable that holds the token clients must send.
    #[arg(long, value_name = "NAME")]
    pub token_env: Option<String>,
    /// Requests that may wait while others are answered; more are turned away with 429.
    #[arg(long, value_name = "N", default_value_t = 1024)]
    pub max_waiting: usize,
    /// Where the page's verdicts on answers are appended; by default feedback.jsonl in the run's directory, and nowhere
    /// with --model.
    #[arg(long, value_name = "FILE")]
    pub feedback: Option<PathBuf>,
}

/// Every command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a pipeline: every stage whose result is missing or out of date.
    Run(RunArgs),
    /// Read articles, apply the gates, cut out the case reports.
    Ingest(StageArgs),
    /// Write one synthetic note a case report.
    Notes(StageArgs),
    /// Ask and answer instructions over each note.
    Instruct(StageArgs),
    /// Score, filter, split and write the Parquet dataset.
    Dataset(StageArgs),
    /// Continued pre-training on the notes.
    Pretrain(StageArgs),
    /// Instruction tuning on the question/answer pairs.
    Sft(StageArgs),
    /// Held-out loss and task scores.
    Eval(StageArgs),
    /// One self-contained HTML page about the run, and the same in Markdown.
    Report {
        /// The pipeline and what to do with it.
        #[command(flatten)]
        stage: StageArgs,
        /// Print the report in this format on stdout; without it the files are written and nothing is printed.
        #[arg(long, value_name = "FORMAT")]
        format: Option<ReportFormat>,
    },
    /// The data half: ingest to dataset.
    Synth(SynthArgs),
    /// What a run will need: rows, tokens, money, memory and time, before anything runs.
    Plan {
        /// The pipeline.
        #[command(flatten)]
        pipeline: PipelineArgs,
        /// Print JSON on stdout.
        #[arg(long)]
        json: bool,
    },
    /// Show rows as the model sees them, supervised tokens marked.
    Preview {
        /// The pipeline.
        #[command(flatten)]
        pipeline: PipelineArgs,
        /// How many rows of each training stage.
        #[arg(long, default_value_t = 3)]
        rows: usize,
        /// Print token ids and loss mask, one JSON object a row, on stdout.
        #[arg(long)]
        json: bool,
    },
    /// Talk to a model in the terminal.
    Chat {
        /// The model.
        #[command(flatten)]
        model: ModelArgs,
    },
    /// Serve models over an OpenAI-compatible API, with a page to try them on.
    Serve(ServeArgs),
    /// Run the embedded extractive teacher as an OpenAI-compatible server on loopback.
    Teacher {
        /// Port to listen on; 0 takes a free one.
        #[arg(long, default_value_t = 8081)]
        port: u16,
    },
    /// Look at models on disk and change their form.
    Model {
        /// What to do.
        #[command(subcommand)]
        command: ModelCommand,
    },
    /// Look at a run's data.
    Data {
        /// What to do.
        #[command(subcommand)]
        command: DataCommand,
    },
    /// Print shell completions.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Hold a device to the CPU: every operation over random shapes, then ten training steps.
    #[command(hide = true)]
    GpuCheck {
        /// The device: cuda:N, or cpu, which then runs as a GPU would.
        #[arg(long, default_value = "cuda:0")]
        device: String,
        /// Write everything that was found to this file.
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        /// What shapes, weights and rows are drawn from.
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// Random shapes an operation is tried with.
        #[arg(long, default_value = "8")]
        shapes: std::num::NonZeroUsize,
    },
    /// Time training steps of a model of published sizes with random weights; one JSON object a call.
    #[command(hide = true)]
    GpuBench {
        /// The device: cuda:N, or cpu.
        #[arg(long, default_value = "cuda:0")]
        device: String,
        /// Whose sizes.
        #[arg(long, default_value = "llama3-8b")]
        model: String,
        /// As many blocks, instead of the model's own number.
        #[arg(long)]
        layers: Option<std::num::NonZeroUsize>,
        /// full, lora or qlora.
        #[arg(long, default_value = "lora", value_parser = method)]
        method: asclepius_train::Method,
        /// Tokens of a sequence.
        #[arg(long, default_value = "4096")]
        length: std::num::NonZeroUsize,
        /// Sequences of a micro-batch.
        #[arg(long, default_value = "1")]
        rows: std::num::NonZeroUsize,
        /// Micro-batches of a step.
        #[arg(long, default_value = "1")]
        micro_batches: std::num::NonZeroUsize,
        /// Keep only every block's input for the way back.
        #[arg(long)]
        recompute: bool,
        /// The optimizer's moments in 8 bits.
        #[arg(long)]
        eight_bit: bool,
        /// Steps that are timed.
        #[arg(long, default_value = "8")]
        steps: std::num::NonZeroU64,
        /// Begin no step after so many seconds.
        #[arg(long, default_value_t = 30.0)]
        seconds: f64,
    },
    /// Print the reference of every configuration key as Markdown.
    #[command(hide = true)]
    Reference,
}

/// The types weights are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum WeightType {
    /// 32 bits.
    F32,
    /// 16 bits, IEEE 754's.
    F16,
    /// 16 bits, the upper half of f32.
    Bf16,
    /// Blocks of 32 with 8 bits a weight and a common scale; GGUF only.
    #[value(name = "q8_0")]
    Q8Zero,
}

/// `asclepius model ..`
#[derive(Debug, Subcommand)]
pub enum ModelCommand {
    /// Architecture and parameters of a model directory, a GGUF file or an adapter directory.
    Info {
        /// A Hugging Face model directory, a GGUF file or a PEFT adapter directory.
        model: PathBuf,
        /// Print JSON on stdout.
        #[arg(long)]
        json: bool,
    },
    /// Add an adapter into its base's weights.
    Merge {
        /// The base model directory.
        #[arg(long, value_name = "DIR")]
        model: PathBuf,
        /// The PEFT adapter directory.
        #[arg(long, value_name = "DIR")]
        adapter: PathBuf,
        /// Where to write the merged model.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Make a Hugging Face directory of a GGUF file.
    Import {
        /// The GGUF file.
        file: PathBuf,
        /// Where to write the directory.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Type of the weights; by default the file's own, f32 where it is quantised.
        #[arg(long, value_enum)]
        dtype: Option<WeightType>,
    },
    /// Write a model in another form: as a GGUF file where --out ends in .gguf, else as a Hugging Face directory.
    Export {
        /// A Hugging Face model directory.
        model: PathBuf,
        /// A PEFT adapter directory, which is merged into the weights.
        #[arg(long, value_name = "DIR")]
        adapter: Option<PathBuf>,
        /// The file or directory to write.
        #[arg(long, value_name = "PATH")]
        out: PathBuf,
        /// Type of the weights; by default the model's own.
        #[arg(long, value_enum)]
        dtype: Option<WeightType>,
    },
    /// Print the card of the model a run made: what went in, how it was trained, what it scores, how it is loaded.
    Card {
        /// The pipeline.
        #[command(flatten)]
        pipeline: PipelineArgs,
        /// What the run cannot know of it.
        #[command(flatten)]
        card: CardArgs,
        /// Write it to this file instead.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Push the model a run made, with its card, to a model repository on the hub; private unless told otherwise.
    Push {
        /// A pipeline, or the directory of a model or an adapter that no run here made.
        #[arg(default_value = "demo", value_name = "PIPELINE|DIR")]
        model: String,
        /// Changes one key of the pipeline: `--set name=mine`.
        #[arg(long, value_name = "KEY=VALUE")]
        set: Vec<String>,
        /// What the run cannot know of it.
        #[command(flatten)]
        card: CardArgs,
        /// The repository.
        #[command(flatten)]
        hub: PushArgs,
    },
    /// Pull a model or an adapter from the hub into a directory, every file checked; run again, it goes on where it ended.
    Pull(PullArgs),
    /// Load a model (and an adapter) strictly and run one forward pass.
    Check {
        /// A Hugging Face model directory.
        model: PathBuf,
        /// A PEFT adapter directory.
        #[arg(long, value_name = "DIR")]
        adapter: Option<PathBuf>,
    },
}

/// `asclepius data fetch`
#[derive(Debug, Args)]
pub struct FetchArgs {
    /// Articles by PMCID (`PMC123`: every version; `PMC123.2`: this one).
    #[arg(value_name = "PMCID")]
    pub articles: Vec<asclepius_corpus::fetch::Version>,
    /// A file with a PMCID at the head of each line; `#` begins a remark. Several files may be given.
    #[arg(long, value_name = "FILE")]
    pub ids: Vec<PathBuf>,
    /// Walk the bucket's whole metadata, as far as --limit goes.
    #[arg(long, conflicts_with_all = ["articles", "ids"])]
    pub walk: bool,
    /// Where to put them, laid out as in the bucket; what is there already is not fetched again.
    #[arg(long, value_name = "DIR", default_value = "articles")]
    pub out: PathBuf,
    /// Stop once this many articles have been looked at, fetched or not.
    #[arg(long, value_name = "N")]
    pub limit: Option<std::num::NonZeroUsize>,
    /// Licence codes of the articles wanted; the article's own statement decides later, in `ingest`.
    #[arg(long, value_name = "CLASS", value_delimiter = ',', default_values = ["CC0", "CC BY"], value_parser = licence)]
    pub licences: Vec<asclepius_schema::Licence>,
    /// The most requests a second; they follow each other, never several at once.
    #[arg(long, value_name = "RATE", default_value = "5", value_parser = rate)]
    pub requests_per_second: f64,
    /// How often a request is tried.
    #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u32).range(1..))]
    pub tries: u32,
    /// Seconds before the second try; the wait doubles with each, to two minutes at most.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = hub::seconds)]
    pub retry_seconds: f64,
    /// The bucket's address over HTTP.
    #[arg(long, value_name = "URL", default_value = asclepius_corpus::fetch::PUBLIC_BUCKET)]
    pub bucket: String,
    /// Print JSON on stdout.
    #[arg(long)]
    pub json: bool,
}

fn licence(text: &str) -> Result<asclepius_schema::Licence, String> {
    asclepius_schema::Licence::parse(text.trim()).ok_or_else(|| {
        let known: Vec<&str> = asclepius_schema::Licence::ALL.iter().map(|licence| licence.name()).collect();
        format!("the licence classes are {}", known.join(", "))
    })
}

fn rate(text: &str) -> Result<f64, String> {
    // Slower than one in ten days is a slip, and no timer's business.
    let fits = |rate: &f64| (1e-6..=1e6).contains(rate);
    text.parse().ok().filter(fits).ok_or_else(|| "a number from 0.000001 to 1000000".to_owned())
}

fn method(text: &str) -> Result<asclepius_train::Method, String> {
    serde_json::from_value(text.into()).map_err(|error| error.to_string())
}

/// `asclepius data ..`
#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Fetch articles from PubMed Central's public bucket, checked by MD5; run again, it goes on where it ended.
    Fetch(FetchArgs),
    /// Counts of every stage, with reasons; what the case reports are; the licence of what is made from them.
    Stats {
        /// The pipeline.
        #[command(flatten)]
        pipeline: PipelineArgs,
        /// Print JSON on stdout.
        #[arg(long)]
        json: bool,
    },
    /// Check every file of the dataset: columns, ids, splits, counts.
    Validate {
        /// The pipeline.
        #[command(flatten)]
        pipeline: PipelineArgs,
    },
    /// What was asked and paid: a summary of the ledger, also while a run writes to it.
    Calls {
        /// The pipeline.
        #[command(flatten)]
        pipeline: PipelineArgs,
        /// Write every call to this Parquet file, texts and costs included.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Print JSON on stdout.
        #[arg(long)]
        json: bool,
    },
    /// Print the dataset card as Markdown.
    Card {
        /// The pipeline.
        #[command(flatten)]
        pipeline: PipelineArgs,
        /// Print the whole list of sources to credit instead, as tab-separated values.
        #[arg(long)]
        attributions: bool,
    },
    /// Write the dataset as a folder laid out for the hub: card, sources to credit, rows.
    Export {
        /// The pipeline.
        #[command(flatten)]
        pipeline: PipelineArgs,
        /// Where to write the folder.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Push the same to a dataset repository on the hub, private unless told otherwise. Only what differs is sent.
    Push {
        /// The pipeline.
        #[command(flatten)]
        pipeline: PipelineArgs,
        /// The repository.
        #[command(flatten)]
        hub: PushArgs,
    },
    /// Pull a dataset from the hub into a directory, every file checked; run again, it goes on where it ended.
    Pull(PullArgs),
    /// Write a sheet of sampled rows for clinicians to rate blind, as CSV and as a page, and the key to it.
    Review {
        /// The pipeline.
        #[command(flatten)]
        pipeline: PipelineArgs,
        /// How many rows.
        #[arg(long, default_value = "50")]
        rows: std::num::NonZeroUsize,
        /// Where to write; by default `review` in the run's directory.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
        /// What rows and their order are drawn from.
        #[arg(long, default_value_t = 0)]
        seed: u64,
    },
    /// Read rated sheets, one a rater, and say how far the raters agree.
    Agreement {
        /// The rated sheets; a rater is called as the file is.
        #[arg(required = true, value_name = "SHEET")]
        sheets: Vec<PathBuf>,
        /// The key that was written with the sheet: checks the items, and adds figures by task and by teacher.
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
        /// Print JSON on stdout.
        #[arg(long)]
        json: bool,
    },
}
