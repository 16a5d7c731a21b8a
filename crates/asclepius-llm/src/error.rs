//! What ends the work on a chat API. What befalls a single row is not here: see [`crate::Completion`].

use std::path::PathBuf;
use std::sync::Arc;

/// Why the client cannot go on.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LlmError {
    /// A key of `[teacher]` holds what cannot be.
    #[error("teacher.{key} {problem}")]
    Config {
        /// The key.
        key: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// `api_key_env` names a variable that holds no key.
    #[error("teacher.api_key_env names the environment variable {variable}, which {problem}")]
    ApiKeyMissing {
        /// The variable.
        variable: String,
        /// What is wrong with it; never its value.
        problem: &'static str,
    },
    /// The HTTP client could not be made.
    #[error("cannot prepare a connection to {endpoint}: {problem}")]
    Prepare {
        /// The base URL.
        endpoint: String,
        /// The HTTP library's own words.
        problem: String,
    },
    /// The endpoint cannot serve this run; what was answered before is in the ledger.
    #[error("{endpoint}: {trouble}")]
    Endpoint {
        /// The base URL.
        endpoint: String,
        /// What is wrong.
        trouble: Trouble,
    },
    /// Calls appeared or vanished: a fault of this program.
    #[error(
        "{asked} calls came in, but {replied} were answered, {dropped} dropped, {pending} left pending and {open} never ended"
    )]
    Unbalanced {
        /// Calls that came in.
        asked: u64,
        /// Those that ended with a text.
        replied: u64,
        /// Those that ended without one for good.
        dropped: u64,
        /// Those left to the next run.
        pending: u64,
        /// Those without an end.
        open: u64,
    },
    /// The ledger could not be read or written.
    #[error("ledger {path}: {source}")]
    LedgerIo {
        /// The file.
        path: PathBuf,
        /// The operating system's words.
        source: Arc<std::io::Error>,
    },
    /// The ledger is damaged at a place that an interrupted write cannot explain.
    #[error("ledger {path}, line {line}: {problem}; sound records follow it, so this is no interrupted write")]
    LedgerDamaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The ledger was written by another version.
    #[error("ledger {path}: {problem}")]
    LedgerVersion {
        /// The file.
        path: PathBuf,
        /// What was found.
        problem: String,
    },
    /// Another process writes to the ledger.
    #[error("ledger {path} is in use by another process; two runs cannot share a run directory")]
    LedgerLocked {
        /// The file.
        path: PathBuf,
    },
}

/// What keeps an endpoint from serving at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// No connection, after as many attempts as are made.
    #[error("cannot be reached after {attempts} attempts ({detail})")]
    Unreachable {
        /// Attempts made.
        attempts: u32,
        /// The last one's error.
        detail: String,
    },
    /// Call after call fails, and none succeeds in between, however long everyone pauses.
    #[error(
        "has failed for {seconds} s without an answer in between (teacher.patience_seconds); the last error: {detail}"
    )]
    Failing {
        /// For how long.
        seconds: u64,
        /// The last one's error.
        detail: String,
    },
    /// The key is wrong, or must not do this.
    #[error("refuses access (HTTP {status}: {detail}); check the key in the variable that teacher.api_key_env names")]
    Access {
        /// HTTP status.
        status: u16,
        /// The provider's words.
        detail: String,
    },
    /// The account has no credit left.
    #[error("is out of credit ({detail}); what was answered is kept, run again when there is credit")]
    OutOfCredit {
        /// The provider's words.
        detail: String,
    },
    /// There is no such path or model.
    #[error("knows no such path or model (HTTP {status}: {detail}); check teacher.endpoint and teacher.model")]
    NotFound {
        /// HTTP status.
        status: u16,
        /// The provider's words.
        detail: String,
    },
    /// A setting of every request is refused.
    #[error("refuses a setting of every request ({detail}); check teacher.model and teacher.extra_body")]
    Setting {
        /// The provider's words.
        detail: String,
    },
    /// The Batch API does not do what it is for.
    #[error("has a Batch API that does not go on: {detail}")]
    Batch {
        /// What is wrong.
        detail: String,
    },
    /// The endpoint sends us elsewhere.
    #[error("answers with a redirect to {location:?}, which is not followed; set teacher.endpoint to where it leads")]
    Redirect {
        /// Where to.
        location: String,
    },
}

impl LlmError {
    pub(crate) fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::LedgerIo { path: path.into(), source: Arc::new(source) }
    }

    /// Whether the configuration or environment is at fault, so that nothing was or could be started.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Config { .. } | Self::ApiKeyMissing { .. })
    }

    /// Whether the endpoint stopped serving a run that it can serve again: out of credit, or failing for long.
    pub fn is_resumable_stop(&self) -> bool {
        let Self::Endpoint { trouble, .. } = self else { return false };
        matches!(trouble, Trouble::OutOfCredit { .. } | Trouble::Failing { .. })
    }

    /// Whether the disk is full: everything acknowledged is safe, and the run goes on once there is room.
    pub fn is_disk_full(&self) -> bool {
        let full = [std::io::ErrorKind::StorageFull, std::io::ErrorKind::QuotaExceeded];
        matches!(self, Self::LedgerIo { source, .. } if full.contains(&source.kind()))
    }
}
