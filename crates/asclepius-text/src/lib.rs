//! Tokenizers, prompt and chat templates, quality gates: pure functions over text.
