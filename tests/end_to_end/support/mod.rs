//! What the tests stand on: the binary as a process, an HTTP client, a chat API, a bucket and a hub that behave as told,
//! articles, and run directories.

mod binary;
mod bucket;
pub mod http;
pub mod hub;
pub mod jats;
mod run;
mod server;

pub use binary::{Asclepius, Ended, KEY, Running, asclepius, quoted, root};
pub use bucket::{Bucket, Fault};
pub use run::{
    Workspace, copy, dropped, finished, json, lines, manifest, notes_from, reports, reports_in, snapshot,
    snapshot_with_times,
};
pub use server::{Act, ChatServer, Seen};
