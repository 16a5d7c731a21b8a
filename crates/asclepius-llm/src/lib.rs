//! The chat client: every word a model writes for this project comes through here, is paid once and is never lost.
//!
//! - [`config`]: the `[teacher]` table.
//! - [`call`]: what is asked, its identity, and how it can end.
//! - [`client`]: one call from ledger to reply: limits, the only retry layer, budget, batches, shutdown.
//! - [`ledger`]: every answered call on disk, durable before it is acknowledged.
//! - `limits`, `gate`, `breaker`: how fast to ask, how many at a time, and when not to ask at all.
//! - `budget`, [`retry`]: for how much, and when to ask again.
//! - `offered`: which models an endpoint has.
//! - `shape`: whether a reply has the JSON schema that was asked for.
//! - `transport`, `wire`: real HTTP through async-openai, and the shapes of its bodies.
//! - [`error`]: what ends a run. What ends a row is a [`Completion`].
//!
//! The client only ever sees a URL. Embedded teachers are servers on loopback, started by the binary.

mod breaker;
mod budget;
pub mod call;
pub mod client;
pub mod config;
pub mod error;
mod gate;
pub mod ledger;
mod limits;
mod offered;
pub mod retry;
mod shape;
mod transport;
mod wire;

pub use call::{Call, Completion, Reply};
pub use client::{Client, Share, Stats};
pub use config::{EXTRACTIVE_MODEL, Endpoint, TeacherConfig};
pub use error::{LlmError, Trouble};
pub use ledger::{BatchRecord, BatchStep, Entry, Found, Intent, Ledger, Outcome, Paid, Record};
pub use offered::offered_models;
pub use retry::{BatchPace, Pace};
