//! The one door to stdout, which carries data and summaries only.

use std::io::Write;

/// Writes text to stdout. A reader that closed the pipe ends the output, not the work.
pub fn data(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let newline = if text.ends_with('\n') { "" } else { "\n" };
    let _ = write!(stdout, "{text}{newline}").and_then(|()| stdout.flush());
}

/// Writes a message to stderr.
pub fn message(text: &str) {
    let _ = write!(std::io::stderr(), "{text}");
}
