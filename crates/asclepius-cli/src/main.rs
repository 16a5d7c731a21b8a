//! The `asclepius` binary: command line, pipeline configuration, stage runners, progress and exit codes.
//!
//! - `args`: clap structs only; `main`: dispatch, and the one place that decides the exit code.
//! - `pipeline`, `keys`: a pipeline file, `--set` on top, unknown keys answered with the nearest known one.
//! - `run`: which stages run, which stand; `stages`: one runner each, joining a stage's crate to the dataset's files.
//! - `training`: rows, start and view of a training run; `base`: models by directory or hub id; `adapter`: what an
//!   adapter was trained on; `models`: those of a run; `teacher`: the embedded teacher.
//! - `commands`: everything that is not a stage; `hub`: where they push to and pull from; `device`: where things are computed.
//! - `progress`, `summary`, `output`, `interrupt`, `failure`: what a person sees, and how a command ends.

mod adapter;
mod args;
mod base;
mod commands;
mod device;
mod failure;
mod hub;
mod interrupt;
mod keys;
mod models;
mod output;
mod pipeline;
mod progress;
mod run;
mod stage;
mod stages;
mod summary;
mod teacher;
mod training;

use std::process::ExitCode;

use asclepius_model::Recompute;
use asclepius_train::device_bench::Workload;
use clap::{CommandFactory, Parser};
use tracing_subscriber::EnvFilter;

use crate::args::{Cli, Command, PipelineArgs, RunArgs, StageArgs};
use crate::failure::{Failure, Outcome};
use crate::stage::Stage;

#[global_allocator]
static ALLOCATOR: asclepius_ops::cpu::memory::Allocator = asclepius_ops::cpu::memory::Allocator;

fn main() -> ExitCode {
    asclepius_ops::cpu::memory::keep_freed();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // clap prints help to stdout and errors to stderr itself; 2 is its code for a bad command line, too.
            let _ = error.print();
            return ExitCode::from(u8::from(error.use_stderr()) * 2);
        }
    };
    log_to_stderr(cli.verbose);
    match dispatch(cli.command.unwrap_or_else(run_the_demo)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            match failure.error() {
                Some(error) => output::message(&failure::render(error)),
                None => output::message("interrupted; the same command goes on from here\n"),
            }
            ExitCode::from(failure.code())
        }
    }
}

/// What `asclepius` without arguments means.
fn run_the_demo() -> Command {
    let pipeline = PipelineArgs { pipeline: "demo".to_owned(), set: Vec::new() };
    let stage = StageArgs { pipeline, fresh: false, dry_run: false, profile: false };
    Command::Run(RunArgs { stage, only: Vec::new(), from: None })
}

fn log_to_stderr(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "warn,asclepius=info",
        _ => "info,asclepius=debug",
    };
    // `asclepius=` covers every crate whose name starts so.
    let filter = EnvFilter::new(level);
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(progress::LogWriter::default)
        .with_ansi(output::colours(&std::io::stderr()))
        .with_target(false)
        .without_time()
        .init();
}

fn dispatch(command: Command) -> Outcome {
    match command {
        Command::Run(args) => run::pipeline(&args),
        Command::Ingest(args) => run::stages(&args, &[Stage::Ingest]),
        Command::Notes(args) => run::stages(&args, &[Stage::Notes]),
        Command::Instruct(args) => run::stages(&args, &[Stage::Instruct]),
        Command::Dataset(args) => run::stages(&args, &[Stage::Dataset]),
        Command::Pretrain(args) => run::stages(&args, &[Stage::Pretrain]),
        Command::Sft(args) => run::stages(&args, &[Stage::Sft]),
        Command::Eval(args) => run::stages(&args, &[Stage::Eval]),
        Command::Report { stage, format } => commands::report::run(&stage, format),
        Command::Synth(args) => run::synth(&args),
        Command::Plan { pipeline, json } => commands::plan::run(&pipeline, json),
        Command::Preview { pipeline, rows, json } => commands::preview::run(&pipeline, rows, json),
        Command::Chat { model } => commands::chat::run(&model),
        Command::Serve(args) => commands::serve::run(&args),
        Command::Teacher { port } => teacher::run_server(port),
        Command::Model { command } => commands::model::run(command),
        Command::Data { command } => commands::data::run(command),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "asclepius", &mut script);
            output::data(&String::from_utf8(script).map_err(Failure::usage)?)?;
            Ok(())
        }
        Command::GpuCheck { device, json, seed, shapes } => {
            commands::gpu_check::run(&device, json.as_deref(), seed, shapes.get())
        }
        Command::GpuBench {
            device,
            model,
            layers,
            method,
            length,
            rows,
            micro_batches,
            recompute,
            eight_bit,
            steps,
            seconds,
        } => {
            let workload = Workload {
                model,
                layers: layers.map(Into::into),
                method,
                length: length.get(),
                rows: rows.get(),
                micro_batches: micro_batches.get(),
                recompute: if recompute { Recompute::Block } else { Recompute::None },
                eight_bit,
                steps: steps.get(),
                seconds,
            };
            commands::gpu_check::bench(&device, &workload)
        }
        Command::Reference => {
            let defaults = serde_json::to_value(commands::reference_defaults())?;
            output::data(&commands::reference(&defaults))?;
            Ok(())
        }
    }
}
