//! `asclepius serve`: a model behind an OpenAI-compatible API.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context, anyhow};
use asclepius_serve::{MOST_TOGETHER, ModelEngine, ServeOptions, serve};
use tokio::net::TcpListener;

use crate::args::ModelArgs;
use crate::commands::{adapter_directory, model_directory};
use crate::failure::{Failure, Hinted, Outcome};
use crate::interrupt::Interrupt;
use crate::output;
use crate::training::start::refuse_unmerged;

/// Serves until interrupted.
pub fn run(model: &ModelArgs, host: IpAddr, port: u16, token_env: Option<&str>) -> Outcome {
    let token = token_env.map(token).transpose()?;
    if !host.is_loopback() && token.is_none() {
        return Err(Failure::usage(Hinted::new(
            format!("--host {host}: anyone who reaches this address could use the model"),
            "name an environment variable that holds a token with --token-env NAME",
        )));
    }
    let engine = engine(model)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let interrupt = Interrupt::listen(&runtime);
    runtime.block_on(async {
        let address = SocketAddr::new(host, port);
        let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
        let address = listener.local_addr()?;
        output::message(&format!("serving on http://{address}/v1\n"));
        // What waits inside the engine goes through the model together.
        let options = ServeOptions { token, max_in_flight: MOST_TOGETHER, ..ServeOptions::default() };
        serve(listener, Arc::new(engine), options, async move { interrupt.wait().await }).await?;
        Ok(())
    })
}

/// Loads a model with its adapters.
pub fn engine(model: &ModelArgs) -> Outcome<ModelEngine> {
    model_directory("--model", &model.model)?;
    for adapter in &model.adapter {
        adapter_directory("--adapter", adapter)?;
        refuse_unmerged(&model.model, adapter)?;
    }
    let device = crate::device::device(&model.device).map_err(Failure::usage)?;
    Ok(ModelEngine::load(&model.model, &model.adapter, &device)?)
}

fn token(variable: &str) -> Outcome<String> {
    match std::env::var(variable) {
        Ok(token) if !token.trim().is_empty() => Ok(token.trim().to_owned()),
        _ => Err(Failure::usage(anyhow!("--token-env {variable}: the variable is not set, or empty"))),
    }
}
