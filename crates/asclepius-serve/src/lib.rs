//! OpenAI-compatible server over an engine.
