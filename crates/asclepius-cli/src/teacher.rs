//! Which chat endpoint a run talks to. Embedded teachers are started here, so that the client only ever sees a URL.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use asclepius_llm::{Client, Endpoint, Share, TeacherConfig};
use asclepius_serve::{ChatReply, ChatRequest, Engine, EngineError, ServeOptions, serve};
use asclepius_synth::extractive;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

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

    fn complete(&self, request: &ChatRequest) -> Result<ChatReply, EngineError> {
        let text = extractive::reply(&request.messages).map_err(|error| EngineError::BadRequest(error.to_string()))?;
        // It has no tokenizer: words stand in for tokens in the usage it reports.
        let words = |text: &str| text.split_whitespace().count() as u32;
        Ok(ChatReply {
            prompt_tokens: request.messages.iter().map(|message| words(&message.content)).sum(),
            completion_tokens: words(&text),
            finish_reason: "stop".to_owned(),
            text,
        })
    }
}

/// Checks what can be checked before any work: the key's variable is set, the teacher exists.
pub fn check(config: &TeacherConfig) -> Outcome {
    match config.endpoint().map_err(Failure::usage)? {
        Endpoint::Model => Err(Failure::usage(anyhow!(
            "teacher.endpoint = \"embedded:model\" is not in this version; `asclepius serve` a model and name its URL"
        ))),
        _ => config.api_key().map(drop).map_err(Failure::usage),
    }
}

/// A client for the run's teacher, and the embedded server it talks to, if any.
#[derive(Debug)]
pub struct Teacher {
    /// The client.
    pub client: Client,
    /// Ends the embedded server when dropped.
    _stop: Option<oneshot::Sender<()>>,
}

impl Teacher {
    /// Connects to the configured teacher, starting it first where it is embedded.
    pub fn open(run: &Run) -> Outcome<Self> {
        let config = &run.config().teacher;
        let key = config.api_key().map_err(Failure::usage)?;
        let (url, stop) = match config.endpoint().map_err(Failure::usage)? {
            Endpoint::Url(url) => (url, None),
            _ => {
                let (address, stop) = run.runtime.block_on(start_extractive(SocketAddr::from(([127, 0, 0, 1], 0))))?;
                (format!("http://{address}/v1"), Some(stop))
            }
        };
        let _inside = run.runtime.enter();
        let share =
            run.shard.map(|shard| Share { name: shard.name(), siblings: shard.siblings(), fraction: shard.fraction() });
        let client = Client::open_share(config, &url, key, &run.ledger, share.as_ref()).map_err(refused)?;
        Ok(Self { client, _stop: stop })
    }
}

async fn start_extractive(address: SocketAddr) -> Outcome<(SocketAddr, oneshot::Sender<()>)> {
    let listener = TcpListener::bind(address).await.context("the embedded teacher cannot listen on loopback")?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(async move {
        let shutdown = async {
            let _ = stopped.await; // a dropped sender means stop as well
        };
        if let Err(error) = serve(listener, Arc::new(ExtractiveEngine), ServeOptions::default(), shutdown).await {
            tracing::error!(%error, "the embedded teacher stopped");
        }
    });
    Ok((address, stop))
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
            .await?;
        Ok(())
    })
}
