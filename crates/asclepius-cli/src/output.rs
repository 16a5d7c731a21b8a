//! The one door to stdout, which carries data and summaries only.

use std::io::{ErrorKind, IsTerminal, Write};

use anyhow::Context;

use crate::failure::Outcome;

/// Writes text to stdout, ended by a line break. A reader that closed the pipe has seen enough; any other failure is one.
pub fn data(text: &str) -> Outcome {
    let newline = if text.ends_with('\n') { "" } else { "\n" };
    piece(&format!("{text}{newline}"))
}

/// The same as it stands: a part of what is to come.
pub fn piece(text: &str) -> Outcome {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Ok(Err(error).context("the output could not be written")?)
        }
        _ => Ok(()),
    }
}

/// Writes a message to stderr.
pub fn message(text: &str) {
    let _ = write!(std::io::stderr(), "{text}");
}

/// Whether what goes to `stream` may be coloured: it is a terminal, and the user did not say no (no-color.org).
pub fn colours(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A note or a model may say anything; what would steer the terminal is spelt out.
pub fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\t' => printable.push(character),
            control if control.is_control() => printable.extend(control.escape_default()),
            other => printable.push(other),
        }
    }
    printable
}
