//! The real binary, end to end, on small inputs: what a user sees, what lies on disk afterwards, and how it goes on.
//!
//! - `support`: starting the binary, a chat API, a bucket and a hub on loopback, and one finished run that tests share.
//! - `adapters`: tuning on top of an adapter, and rows that fit no sequence.
//! - `configuration`: wrong pipelines and command lines, refused before any work; the pipelines that come along.
//! - `bad_input`: articles nobody can read, damaged files of our own, stages without their input.
//! - `teacher`: chat APIs that are slow, down, strict or expensive, and keys that stay secret.
//! - `judge`: a model that rates what the rules let through.
//! - `encoder`: a model that tells which notes mean the same.
//! - `faults`: everything that goes wrong on the way to a chat API; `secrets`: what must be in no file and no log.
//! - `interrupted`: runs stopped and killed while they ask and while they train.
//! - `ledger`: kills, full disks and divided work cost nothing that was paid for.
//! - `rerun`: what stands, what is stale, what is made again.
//! - `profile`: training with a trace.
//! - `tokens`: tokens kept from one run to the next, and what is made anew.
//! - `conservation`: no row appears, vanishes or comes twice; the same inputs give the same bytes.
//! - `models`: models in and out of GGUF files, and what the model commands say of what they are given.
//! - `gpu`: a device held to the CPU.
//! - `articles`: published articles, where they lie beside this checkout.
//! - `inputs`: every shape articles come in; `hostile`: those made to do harm.
//! - `fetch`: articles from a bucket that answers as it is told.
//! - `licences`: what the licences of the articles make of the dataset's; `figures`: what the case reports are.
//! - `serve`: models behind the API, and the page; `chat`: the same in the terminal.
//! - `texts`: texts of a user's own, to train on and to compare with.
//! - `evaluation`: what models are asked, what their answers are worth, and how an evaluation goes on.
//! - `publish`: the dataset as a folder and on a hub; `model_card`: what is said of a model, and when it is not pushed;
//!   `pull`: both fetched again, and used.
//!
//! No test sleeps or reads a clock: they wait for lines on the binary's stderr and for requests at their own server.

mod adapters;
mod articles;
mod bad_input;
mod chat;
mod configuration;
mod conservation;
mod encoder;
mod evaluation;
mod faults;
mod fetch;
mod figures;
mod gpu;
mod hostile;
mod inputs;
mod interrupted;
mod judge;
mod ledger;
mod licences;
mod model_card;
mod models;
mod profile;
mod publish;
mod pull;
mod rerun;
mod secrets;
mod serve;
mod support;
mod teacher;
mod texts;
mod tokens;
