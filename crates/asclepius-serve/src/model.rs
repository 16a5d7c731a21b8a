//! Models of ours as an engine: a base, and an adapter a name on top of it. Requests that come while the models work join
//! them at the next step.

use std::path::{Path, PathBuf};
use std::sync::mpsc;

use asclepius_model::{Decoder, Finish, Sampling};
use asclepius_text::{InstructionTemplate, TextTokenizer};
use candle_core::{DType, Device};

use crate::growing::Growing;
use crate::worker::{Job, News, work};
use crate::{Engine, EngineError, Gone, Prompt, Reply, Request, ServeError};

/// A model under the name it answers to.
#[derive(Debug)]
pub struct Voice {
    /// What a request asks for.
    pub name: String,
    /// The weights; clones of a decoder share them.
    pub decoder: Decoder,
    /// The model's tokenizer.
    pub tokenizer: TextTokenizer,
    /// How a conversation becomes its prompt.
    pub template: InstructionTemplate,
}

/// What is needed to put a question to a model.
#[derive(Debug)]
struct Listed {
    name: String,
    tokenizer: TextTokenizer,
    template: InstructionTemplate,
    stop: Vec<u32>,
    max_positions: usize,
}

/// Answers with models of ours.
#[derive(Debug)]
pub struct ModelEngine {
    listed: Vec<Listed>,
    jobs: mpsc::Sender<Job>,
}

impl ModelEngine {
    /// Loads a Hugging Face directory in f32, and PEFT directories that belong to it and share its weights. Each directory
    /// is served under its name, with its parent's before it where the name alone says little (`sft/final`). A
    /// conversation is rendered with the chat template in the adapter's directory, or in the model's, or else with the
    /// project's own.
    ///
    /// # Errors
    /// When a file is missing or damaged, an adapter does not fit, or two directories have one name.
    pub fn load(model: &Path, adapters: &[PathBuf], device: &Device) -> Result<Self, ServeError> {
        Self::load_as(name_of(model), model, adapters, device)
    }

    /// The same, with the model itself under another name.
    ///
    /// # Errors
    /// As [`ModelEngine::load`].
    pub fn load_as(name: String, model: &Path, adapters: &[PathBuf], device: &Device) -> Result<Self, ServeError> {
        let base = Voice::own_template(name, Decoder::load(model, DType::F32, device)?, TextTokenizer::load(model)?)?;
        let mut voices = vec![base];
        for adapter in adapters {
            let mut decoder = voices[0].decoder.clone();
            decoder.load_adapter(adapter)?;
            let own = adapter.join("tokenizer.json").exists();
            let tokenizer = if own { TextTokenizer::load(adapter)? } else { voices[0].tokenizer.clone() };
            voices.push(Voice::own_template(name_of(adapter), decoder, tokenizer)?);
        }
        Self::new(voices)
    }

    /// An engine of these models; the last is the one to take without a preference.
    ///
    /// # Errors
    /// When two have one name, nothing ends an answer, or no thread can be started.
    pub fn new(voices: Vec<Voice>) -> Result<Self, ServeError> {
        let mut listed: Vec<Listed> = Vec::with_capacity(voices.len());
        let mut decoders = Vec::with_capacity(voices.len());
        for Voice { name, decoder, tokenizer, template } in voices {
            if listed.iter().any(|earlier| earlier.name == name) {
                return Err(ServeError::SameName { name });
            }
            let mut stop = template.stop_ids(&tokenizer)?;
            stop.extend(&decoder.config().eos);
            stop.sort_unstable();
            stop.dedup();
            let max_positions = decoder.config().max_positions;
            listed.push(Listed { name, tokenizer, template, stop, max_positions });
            decoders.push(decoder);
        }
        let (jobs, waiting) = mpsc::channel();
        std::thread::Builder::new().name("models".to_owned()).spawn(move || work(decoders, &waiting))?;
        Ok(Self { listed, jobs })
    }
}

impl Voice {
    /// A model that is asked with its own chat template, or else with the project's.
    ///
    /// # Errors
    /// When its template does not parse.
    pub fn own_template(name: String, decoder: Decoder, tokenizer: TextTokenizer) -> Result<Self, ServeError> {
        let template = match tokenizer.chat_template() {
            Some(_) => InstructionTemplate::chat(&tokenizer)?,
            None => InstructionTemplate::asclepius(),
        };
        Ok(Self { name, decoder, tokenizer, template })
    }
}

impl Engine for ModelEngine {
    fn models(&self) -> Vec<String> {
        self.listed.iter().map(|listed| listed.name.clone()).collect()
    }

    fn answer(&self, request: &Request, gone: &Gone, on_text: &mut dyn FnMut(&str)) -> Result<Reply, EngineError> {
        let found = self.listed.iter().enumerate().find(|(_, listed)| listed.name == request.model);
        let (decoder, listed) =
            found.ok_or_else(|| EngineError::BadRequest(format!("there is no model {:?}", request.model)))?;
        let prompt = listed.encode(&request.prompt)?;
        let prompt_tokens = prompt.len() as u32;
        let reply = |finish_reason, made: usize| Reply { finish_reason, prompt_tokens, completion_tokens: made as u32 };
        if request.max_tokens == 0 {
            return Ok(reply("length", 0));
        }
        let sampling = Sampling {
            temperature: request.temperature,
            top_p: request.top_p,
            frequency_penalty: request.frequency_penalty,
            presence_penalty: request.presence_penalty,
            seed: request.seed,
            max_new_tokens: request.max_tokens,
            stop: listed.stop.clone(),
        };
        let (news, hears) = mpsc::channel();
        let job = Job { decoder, prompt, sampling, gone: gone.clone(), news };
        self.jobs.send(job).map_err(|_| lost())?;
        let mut growing = Growing::new(&listed.tokenizer, &request.stop);
        loop {
            match hears.recv() {
                Ok(News::Token(token)) => {
                    let (text, stopped) = growing.push(token);
                    hand_out(&text, on_text);
                    if stopped {
                        return Ok(reply("stop", growing.tokens()));
                    }
                }
                Ok(News::Ended(finish)) => {
                    let made = growing.tokens();
                    let (text, stopped) = growing.finish();
                    hand_out(&text, on_text);
                    return Ok(reply(if stopped || finish == Finish::Stop { "stop" } else { "length" }, made));
                }
                Ok(News::Failed(words)) => return Err(EngineError::Failed(words.into())),
                Err(_) if gone.is_set() => {
                    tracing::debug!(
                        model = listed.name,
                        completion_tokens = growing.tokens(),
                        "whoever asked has left"
                    );
                    return Err(EngineError::Gone);
                }
                Err(_) => return Err(lost()),
            }
        }
    }
}

fn hand_out(text: &str, on_text: &mut dyn FnMut(&str)) {
    if !text.is_empty() {
        on_text(text);
    }
}

fn lost() -> EngineError {
    EngineError::Failed("the thread that runs the models has ended".into())
}

impl Listed {
    fn encode(&self, prompt: &Prompt) -> Result<Vec<u32>, EngineError> {
        let bad = |error: asclepius_text::TextError| EngineError::BadRequest(error.to_string());
        let ids = match prompt {
            Prompt::Conversation(messages) => {
                self.template.encode_conversation(&self.tokenizer, messages).map_err(bad)?
            }
            // As a document in pre-training begins.
            Prompt::Text(text) => {
                let mut ids: Vec<u32> = self.tokenizer.bos().into_iter().collect();
                ids.extend(self.tokenizer.encode_text(text).map_err(bad)?);
                ids
            }
        };
        if ids.is_empty() {
            return Err(EngineError::BadRequest("the prompt has no token to go on from".to_owned()));
        }
        if ids.len() >= self.max_positions {
            return Err(EngineError::TooLong { tokens: ids.len(), limit: self.max_positions.saturating_sub(1) });
        }
        Ok(ids)
    }
}

/// A directory's name, with its parent's before it where it alone says little.
pub fn name_of(directory: &Path) -> String {
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
}
