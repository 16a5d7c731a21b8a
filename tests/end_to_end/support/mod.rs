//! What the tests stand on: the binary as a process, a chat API that behaves as told, and run directories.

mod binary;
mod run;
mod server;

pub use binary::{Asclepius, Ended, Running, asclepius, quoted, root};
pub use run::{
    Workspace, copy, dropped, finished, json, lines, manifest, notes_from, reports, snapshot, snapshot_with_times,
};
pub use server::{Act, ChatServer};
