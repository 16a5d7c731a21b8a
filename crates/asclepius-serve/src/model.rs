//! A model of ours as an engine: one base, and an adapter a name on top of it. Requests that wait while the model works
//! go through it together.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};

use asclepius_model::{Decoder, Finish, Generation, Sampling, generate_each};
use asclepius_text::{InstructionTemplate, TextTokenizer};
use candle_core::{DType, Device};

use crate::{ChatReply, ChatRequest, Engine, EngineError, ServeError};

/// Requests that go through the model together: enough that its weights are read seldom, few enough that what it
/// remembers of each stays small beside them.
pub const MOST_TOGETHER: usize = 16;

/// A model, or the same with one adapter.
#[derive(Debug)]
struct Voice {
    name: String,
    decoder: Decoder,
    tokenizer: TextTokenizer,
    template: InstructionTemplate,
    stop: Vec<u32>,
    waiting: Mutex<Vec<Job>>,
    /// Held by whoever works for all that wait.
    turn: Mutex<()>,
}

/// A request on its way through the model.
#[derive(Debug)]
struct Job {
    prompt: Vec<u32>,
    sampling: Sampling,
    stop: Vec<String>,
    answer: mpsc::Sender<Result<ChatReply, EngineError>>,
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
        Self::load_as(name_of(model), model, adapters, device)
    }

    /// The same, with the model itself under another name.
    ///
    /// # Errors
    /// As [`ModelEngine::load`].
    pub fn load_as(name: String, model: &Path, adapters: &[PathBuf], device: &Device) -> Result<Self, ServeError> {
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
        voices.insert(0, Voice::new(name, base, tokenizer)?);
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
        Ok(Self { name, decoder, tokenizer, template, stop, waiting: Mutex::default(), turn: Mutex::default() })
    }

    fn answer(&self, request: &ChatRequest) -> Result<ChatReply, EngineError> {
        let prompt = self
            .template
            .encode_conversation(&self.tokenizer, &request.messages)
            .map_err(|error| EngineError::BadRequest(error.to_string()))?;
        let limit = self.decoder.config().max_positions;
        if prompt.len() >= limit {
            return Err(EngineError::TooLong { tokens: prompt.len(), limit: limit.saturating_sub(1) });
        }
        let sampling = Sampling {
            temperature: request.temperature,
            top_p: request.top_p,
            seed: request.seed,
            max_new_tokens: request.max_tokens,
            stop: self.stop.clone(),
        };
        let (answer, answered) = mpsc::channel();
        lock(&self.waiting).push(Job { prompt, sampling, stop: request.stop.clone(), answer });
        loop {
            let turn = lock(&self.turn);
            // Whoever had the turn before may have worked for this one.
            match answered.try_recv() {
                Ok(reply) => return reply,
                Err(mpsc::TryRecvError::Empty) => {}
                Err(mpsc::TryRecvError::Disconnected) => {
                    return Err(EngineError::Failed("the request's turn was lost to a panic".into()));
                }
            }
            let jobs: Vec<Job> = {
                let mut waiting = lock(&self.waiting);
                let together = waiting.len().min(MOST_TOGETHER);
                waiting.drain(..together).collect()
            };
            self.work(jobs);
            drop(turn);
        }
    }

    /// Answers all of `jobs`.
    fn work(&self, jobs: Vec<Job>) {
        let prompts: Vec<_> = jobs.iter().map(|job| (job.prompt.as_slice(), &job.sampling)).collect();
        let mut made: Vec<Vec<u32>> = vec![Vec::new(); jobs.len()];
        let mut go_on = |index: usize, token| {
            let stop = &jobs[index].stop;
            if stop.is_empty() {
                return true;
            }
            made[index].push(token);
            cut(&self.tokenizer.decode(&made[index]), stop).is_none()
        };
        match generate_each(&self.decoder, &prompts, &mut go_on) {
            Ok(generations) => {
                for (job, generation) in jobs.into_iter().zip(generations) {
                    let reply = self.reply(&job, &generation);
                    job.answer.send(Ok(reply)).ok(); // whoever asked may have gone
                }
            }
            Err(error) => {
                let words = error.to_string();
                for job in jobs {
                    job.answer.send(Err(EngineError::Failed(words.clone().into()))).ok();
                }
            }
        }
    }

    fn reply(&self, job: &Job, generation: &Generation) -> ChatReply {
        let mut text = self.tokenizer.decode(&generation.tokens);
        if let Some(end) = cut(&text, &job.stop) {
            text.truncate(end);
        }
        let finish_reason = match generation.finish {
            Finish::Stop | Finish::Cancelled => "stop",
            Finish::Length => "length",
        };
        ChatReply {
            text,
            finish_reason: finish_reason.to_owned(),
            prompt_tokens: job.prompt.len() as u32,
            completion_tokens: generation.tokens.len() as u32,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where the first of the stop strings begins.
fn cut(text: &str, stops: &[String]) -> Option<usize> {
    stops.iter().filter_map(|stop| text.find(stop.as_str())).min()
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

    #[test]
    fn a_reply_is_cut_at_the_earliest_stop() {
        let stops = ["###".to_owned(), "\n\n".to_owned()];
        assert_eq!(cut("a\n\nb###", &stops), Some(1));
        assert_eq!(cut("a", &stops), None);
    }
}
