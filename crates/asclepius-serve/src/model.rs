//! A model of ours as an engine: one base, and an adapter a name on top of it.

use std::path::{Path, PathBuf};

use asclepius_model::{Decoder, Finish, ModelError, Sampling, generate_with};
use asclepius_text::{InstructionTemplate, TextTokenizer};
use candle_core::{DType, Device};

use crate::{ChatReply, ChatRequest, Engine, EngineError, ServeError};

/// A model, or the same with one adapter.
#[derive(Debug)]
struct Voice {
    name: String,
    decoder: Decoder,
    tokenizer: TextTokenizer,
    template: InstructionTemplate,
    stop: Vec<u32>,
}

/// Answers with a model, its weights in f32. Adapters share the base's weights; each answers to a name of its own.
#[derive(Debug)]
pub struct ModelEngine {
    voices: Vec<Voice>,
}

impl ModelEngine {
    /// Loads a Hugging Face directory, and PEFT directories that belong to it. Each directory is served under its name,
    /// with its parent's before it where the name alone says little (`sft/final`). A conversation is rendered with the
    /// chat template in the adapter's directory, or in the model's, or else with the project's own.
    ///
    /// # Errors
    /// When a file is missing or damaged, an adapter does not fit, or two directories have one name.
    pub fn load(model: &Path, adapters: &[PathBuf], device: &Device) -> Result<Self, ServeError> {
        let base = Decoder::load(model, DType::F32, device)?;
        let tokenizer = TextTokenizer::load(model)?;
        let mut voices = Vec::with_capacity(1 + adapters.len());
        for adapter in adapters {
            let mut decoder = base.clone();
            decoder.load_adapter(adapter)?;
            let own = adapter.join("tokenizer.json").exists();
            let tokenizer = if own { TextTokenizer::load(adapter)? } else { tokenizer.clone() };
            voices.push(Voice::new(name_of(adapter), decoder, tokenizer)?);
        }
        voices.insert(0, Voice::new(name_of(model), base, tokenizer)?);
        for (index, voice) in voices.iter().enumerate() {
            if voices[..index].iter().any(|earlier| earlier.name == voice.name) {
                return Err(ServeError::SameName { name: voice.name.clone() });
            }
        }
        Ok(Self { voices })
    }
}

impl Engine for ModelEngine {
    fn models(&self) -> Vec<String> {
        self.voices.iter().map(|voice| voice.name.clone()).collect()
    }

    fn complete(&self, request: &ChatRequest) -> Result<ChatReply, EngineError> {
        let voice = self.voices.iter().find(|voice| voice.name == request.model);
        let voice = voice.ok_or_else(|| EngineError::BadRequest(format!("there is no model {:?}", request.model)))?;
        voice.answer(request)
    }
}

impl Voice {
    fn new(name: String, decoder: Decoder, tokenizer: TextTokenizer) -> Result<Self, ServeError> {
        let template = match tokenizer.chat_template() {
            Some(_) => InstructionTemplate::chat(&tokenizer)?,
            None => InstructionTemplate::asclepius(),
        };
        let mut stop = template.stop_ids(&tokenizer)?;
        stop.extend(&decoder.config().eos);
        stop.sort_unstable();
        stop.dedup();
        Ok(Self { name, decoder, tokenizer, template, stop })
    }

    fn answer(&self, request: &ChatRequest) -> Result<ChatReply, EngineError> {
        let prompt = self
            .template
            .encode_conversation(&self.tokenizer, &request.messages)
            .map_err(|error| EngineError::BadRequest(error.to_string()))?;
        let sampling = Sampling {
            temperature: request.temperature,
            top_p: request.top_p,
            seed: request.seed,
            max_new_tokens: request.max_tokens,
            stop: self.stop.clone(),
        };
        let mut made = Vec::new();
        let mut go_on = |token| {
            made.push(token);
            request.stop.is_empty() || cut(&self.tokenizer.decode(&made), &request.stop).is_none()
        };
        let generation = generate_with(&self.decoder, &prompt, &sampling, &mut go_on).map_err(|error| match error {
            ModelError::Prompt { tokens, limit } => EngineError::TooLong { tokens, limit },
            other => EngineError::Failed(Box::new(other)),
        })?;
        let mut text = self.tokenizer.decode(&generation.tokens);
        if let Some(end) = cut(&text, &request.stop) {
            text.truncate(end);
        }
        let finish_reason = match generation.finish {
            Finish::Stop | Finish::Cancelled => "stop",
            Finish::Length => "length",
        };
        Ok(ChatReply {
            text,
            finish_reason: finish_reason.to_owned(),
            prompt_tokens: prompt.len() as u32,
            completion_tokens: generation.tokens.len() as u32,
        })
    }
}

/// Where the first of the stop strings begins.
fn cut(text: &str, stops: &[String]) -> Option<usize> {
    stops.iter().filter_map(|stop| text.find(stop.as_str())).min()
}

fn name_of(directory: &Path) -> String {
    let part = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = part(directory).unwrap_or_else(|| "model".to_owned());
    let says_little = name == "final" || name.starts_with("step-");
    match directory.parent().and_then(part) {
        Some(parent) if says_little => format!("{parent}/{name}"),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_which_directory_it_is() {
        for (path, name) in [
            ("/models/llama", "llama"),
            ("runs/demo/sft/final", "sft/final"),
            ("runs/demo/pretrain/step-000500", "pretrain/step-000500"),
            ("final", "final"),
            ("/", "model"),
        ] {
            assert_eq!(name_of(Path::new(path)), name);
        }
    }

    #[test]
    fn a_reply_is_cut_at_the_earliest_stop() {
        let stops = ["###".to_owned(), "\n\n".to_owned()];
        assert_eq!(cut("a\n\nb###", &stops), Some(1));
        assert_eq!(cut("a", &stops), None);
    }
}
