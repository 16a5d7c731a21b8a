//! `asclepius serve`: models behind an OpenAI-compatible API, and the page.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use asclepius_serve::{Engine, MOST_TOGETHER, ServeOptions, serve};
use tokio::net::TcpListener;

use crate::args::ServeArgs;
use crate::commands::served::Served;
use crate::failure::{Failure, Hinted, Outcome};
use crate::interrupt::Interrupt;
use crate::output;

/// Serves until interrupted.
pub fn run(args: &ServeArgs) -> Outcome {
    let token = args.token_env.as_deref().map(token).transpose()?;
    let ServeArgs { host, port, .. } = *args;
    if !host.is_loopback() && token.is_none() {
        return Err(Failure::usage(Hinted::new(
            format!("--host {host}: anyone who reaches this address could use the model"),
            "name an environment variable that holds a token with --token-env NAME",
        )));
    }
    let Served { engine, mut page, directory } = Served::load(&args.model)?;
    page.feedback = args.feedback.clone().or_else(|| directory.map(|run| run.join("feedback.jsonl")));
    if let Some(path) = &page.feedback {
        writable(path)?;
    }
    let runtime = tokio::runtime::Runtime::new()?;
    let interrupt = Interrupt::listen(&runtime);
    runtime.block_on(async {
        let address = SocketAddr::new(host, port);
        let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
        let address = listener.local_addr()?;
        let names = engine.models().join(", ");
        output::message(&format!("serving {names} on http://{address}/v1; the page: http://{address}/\n"));
        let options = ServeOptions {
            token,
            max_in_flight: MOST_TOGETHER,
            max_waiting: args.max_waiting,
            page: Some(page),
            ..ServeOptions::default()
        };
        serve(listener, Arc::new(engine), options, async move { interrupt.wait().await }).await;
        Ok(())
    })
}

/// A file that could not be written to would be found out by the first verdict only.
fn writable(path: &PathBuf) -> Outcome {
    match fs_err::OpenOptions::new().create(true).append(true).open(path) {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::usage(Hinted::new(error.to_string(), "--feedback FILE names another place"))),
    }
}

fn token(variable: &str) -> Outcome<String> {
    match std::env::var(variable) {
        Ok(token) if !token.trim().is_empty() => Ok(token.trim().to_owned()),
        _ => Err(Failure::usage(anyhow!("--token-env {variable}: the variable is not set, or empty"))),
    }
}
