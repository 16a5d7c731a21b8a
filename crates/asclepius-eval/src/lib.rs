//! Held-out loss, task scores and the report.
