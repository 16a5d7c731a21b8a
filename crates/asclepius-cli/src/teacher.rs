//! Which chat endpoint a run talks to. Embedded teachers are started here, so that the client only ever sees a URL.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use anyhow::Context;
use asclepius_llm::{Client, Endpoint, Share, TeacherConfig};
use asclepius_schema::Fingerprint;
use asclepius_serve::model::name_of;
use asclepius_serve::{
    Engine, EngineError, Gone, MOST_TOGETHER, ModelEngine, Prompt, Reply, Request, ServeOptions, serve,
};
use asclepius_synth::extractive;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::commands::model_directory;
use crate::failure::{Failure, Outcome};
use crate::run::Run;
use crate::stages::asking::refused;

/// The extractive teacher behind the server's engine door.
#[derive(Debug)]
pub struct ExtractiveEngine;

impl Engine for ExtractiveEngine {
    fn models(&self) -> Vec<String> {
        vec![extractive::MODEL.to_owned()]
    }

    fn answer(&self, request: &Request, _gone: &Gone, on_text: &mut dyn FnMut(&str)) -> Result<Reply, EngineError> {
        let bad = |words: String| EngineError::BadRequest(words);
        let Prompt::Conversation(messages) = &request.prompt else {
            return Err(bad("it answers conversations, and continues no text".to_owned()));
        };
        let text = extractive::reply(messages).map_err(|error| bad(error.to_string()))?;
        on_text(&text);
        // It has no tokenizer: words stand in for tokens in the usage it reports.
        let words = |text: &str| text.split_whitespace().count() as u32;
        Ok(Reply {
            prompt_tokens: messages.iter().map(|message| words(&message.content)).sum(),
            completion_tokens: words(&text),
            finish_reason: "stop",
        })
    }
}

/// The tables that say whom to ask.
pub const TEACHER: &str = "teacher";
pub const JUDGE: &str = "dataset.judge";

/// Checks what can be checked before any work: the key's variable is set, the model exists.
pub fn check(config: &TeacherConfig, table: &str) -> Outcome {
    match config.endpoint().map_err(|error| refused(error, table))? {
        Endpoint::Model => model_directory(&format!("{table}.model"), Path::new(config.model_name())),
        _ => config.api_key().map(drop).map_err(|error| refused(error, table)),
    }
}

/// What rows and the ledger call the teacher. A model of ours is called as its directory, with a hash of what lies in
/// it: a model trained anew is another teacher, one that was moved is not.
pub fn name(run: &Run) -> Outcome<&str> {
    name_in(&run.teacher, &run.config().teacher)
}

/// The same for the judge.
pub fn judge_name<'run>(run: &'run Run, config: &TeacherConfig) -> Outcome<&'run str> {
    name_in(&run.judge, config)
}

fn name_in<'run>(known: &'run OnceLock<String>, config: &TeacherConfig) -> Outcome<&'run str> {
    if let Some(name) = known.get() {
        return Ok(name);
    }
    let name = match config.endpoint().map_err(Failure::usage)? {
        Endpoint::Model => local_name(Path::new(config.model_name()))?,
        _ => config.model_name().to_owned(),
    };
    Ok(known.get_or_init(|| name))
}

fn local_name(directory: &Path) -> Outcome<String> {
    let mut paths = Vec::new();
    for entry in fs_err::read_dir(directory)? {
        let path = entry?.path();
        let counts = path
            .extension()
            .is_some_and(|extension| ["json", "jinja", "safetensors"].iter().any(|it| extension == *it));
        if counts && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    let mut fingerprint = Fingerprint::new("teacher");
    for path in &paths {
        let label = path.file_name().unwrap_or_default().to_string_lossy();
        fingerprint = fingerprint.file(&label, path)?;
    }
    let directory = fs_err::canonicalize(directory)?;
    Ok(format!("{}@{}", name_of(&directory), &fingerprint.finish()[..12]))
}

/// Where the judge's calls lie in the ledger's directory.
pub const JUDGE_LEDGER: &str = "judge";

/// Seconds that a model in this process may take for a reply. No connection can be lost to it, and asking a slow machine
/// again would only begin the same reply anew.
const MODEL_TIMEOUT: f64 = 86_400.0;

/// A client for the run's teacher, or its judge, and the embedded server it talks to, if any.
#[derive(Debug)]
pub struct Teacher {
    /// The client.
    pub client: Client,
    /// The table that says whom to ask.
    pub table: &'static str,
    /// The most that may be spent, in US dollars.
    pub budget_usd: Option<f64>,
    /// Ends the embedded server when dropped.
    _stop: Option<oneshot::Sender<()>>,
}

impl Teacher {
    /// Connects to the configured teacher, starting it first where it is embedded.
    pub fn open(run: &Run) -> Outcome<Self> {
        let share =
            run.shard.map(|shard| Share { name: shard.name(), siblings: shard.siblings(), fraction: shard.fraction() });
        Self::connect(run, run.config().teacher.clone(), TEACHER, name(run)?, &run.ledger, share.as_ref())
    }

    /// Connects to the judge. Its calls are kept apart from the teacher's: what one of them cost is none of the other's
    /// budget.
    pub fn judge(run: &Run, config: &TeacherConfig) -> Outcome<Self> {
        let name = judge_name(run, config)?;
        Self::connect(run, config.clone(), JUDGE, name, &run.ledger.join(JUDGE_LEDGER), None)
    }

    fn connect(
        run: &Run,
        mut config: TeacherConfig,
        table: &'static str,
        name: &str,
        ledger: &Path,
        share: Option<&Share>,
    ) -> Outcome<Self> {
        let refused = |error| refused(error, table);
        let key = config.api_key().map_err(refused)?;
        let (url, stop) = match config.endpoint().map_err(refused)? {
            Endpoint::Url(url) => (url, None),
            Endpoint::Extractive => serve_here(run, &config, Arc::new(ExtractiveEngine))?,
            Endpoint::Model => {
                let name = name.to_owned();
                let device = crate::device::device("auto").map_err(Failure::usage)?;
                let engine = ModelEngine::load_as(name.clone(), Path::new(config.model_name()), &[], &device)?;
                config.model = Some(name);
                config.timeout_seconds = MODEL_TIMEOUT;
                serve_here(run, &config, Arc::new(engine))?
            }
        };
        let _inside = run.runtime.enter();
        let client = Client::open_share(&config, &url, key, ledger, share).map_err(refused)?;
        Ok(Self { client, table, budget_usd: config.budget_usd, _stop: stop })
    }
}

/// Starts an embedded teacher on loopback; gives its base URL and what ends it when dropped.
fn serve_here(
    run: &Run,
    config: &TeacherConfig,
    engine: Arc<dyn Engine>,
) -> Outcome<(String, Option<oneshot::Sender<()>>)> {
    // As many at a time as the client asks, so that those that come together go through a model together.
    let max_in_flight = config.concurrency.min(MOST_TOGETHER);
    let options = ServeOptions { max_in_flight, reproducible: true, ..ServeOptions::default() };
    let (stop, stopped) = oneshot::channel::<()>();
    let listener = run.runtime.block_on(TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))));
    let listener = listener.context("the embedded teacher cannot listen on loopback")?;
    let address = listener.local_addr()?;
    run.runtime.spawn(async move {
        let shutdown = async {
            let _ = stopped.await; // a dropped sender means stop as well
        };
        serve(listener, engine, options, shutdown).await;
    });
    Ok((format!("http://{address}/v1"), Some(stop)))
}

/// `asclepius teacher`: the embedded teacher as a server, until interrupted.
pub fn run_server(port: u16) -> Outcome {
    let runtime = tokio::runtime::Runtime::new()?;
    let interrupt = crate::interrupt::Interrupt::listen(&runtime);
    runtime.block_on(async {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
        let address = listener.local_addr()?;
        crate::output::message(&format!("the extractive teacher listens on http://{address}/v1\n"));
        serve(listener, Arc::new(ExtractiveEngine), ServeOptions::default(), async move { interrupt.wait().await })
            .await;
        Ok(())
    })
}
