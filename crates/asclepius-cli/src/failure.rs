//! How a command ends: the error chain once, then `hint:` lines, and one of the five exit codes.

use std::fmt;

use anyhow::Error;

/// Why a command did not end with exit code 0.
#[derive(Debug)]
pub enum Failure {
    /// Exit code 1: the work failed.
    Failed(Error),
    /// Exit code 2: the command line or the configuration is wrong; nothing was done.
    Usage(Error),
    /// Exit code 3: a limit stopped the run, or rows are still pending.
    Limit(Error),
    /// Exit code 130: interrupted; the same command goes on from here.
    Interrupted,
}

/// The result of every command.
pub type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// A usage error from a message or an error.
    pub fn usage(error: impl Into<Error>) -> Self {
        Self::Usage(error.into())
    }

    /// The process's exit code.
    pub fn code(&self) -> u8 {
        match self {
            // A full disk is a limit: what is durable stays, and the same command goes on once there is room.
            Self::Failed(error) if is_disk_full(error) => 3,
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::Limit(_) => 3,
            Self::Interrupted => 130,
        }
    }

    /// The error, where there is one to print.
    pub fn error(&self) -> Option<&Error> {
        match self {
            Self::Failed(error) | Self::Usage(error) | Self::Limit(error) => Some(error),
            Self::Interrupted => None,
        }
    }
}

fn is_disk_full(error: &Error) -> bool {
    let full = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::StorageFull)
    };
    error.chain().any(full)
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// An error with advice that is printed after the chain.
#[derive(Debug)]
pub struct Hinted {
    message: String,
    hints: Vec<String>,
}

impl Hinted {
    /// An error message with one hint.
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hints: vec![hint.into()] }
    }
}

impl fmt::Display for Hinted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Hinted {}

/// The text a failed command leaves on stderr. Links of the chain that repeat what the one above said are left out.
pub fn render(error: &Error) -> String {
    let mut text = String::new();
    let mut last = String::new();
    for (depth, cause) in error.chain().enumerate() {
        let words = cause.to_string();
        if depth > 0 && last.contains(&words) {
            continue;
        }
        text.push_str(if depth == 0 { "error: " } else { "  because: " });
        text.push_str(&words);
        text.push('\n');
        last = words;
    }
    for cause in error.chain() {
        if let Some(hinted) = cause.downcast_ref::<Hinted>() {
            for hint in &hinted.hints {
                text.push_str("hint: ");
                text.push_str(hint);
                text.push('\n');
            }
        }
    }
    text
}
