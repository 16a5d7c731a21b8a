//! Note, question and answer to token ids with their loss mask.
//!
//! A template is Jinja, as chat templates are; the project's own is one too, so that what is trained, what other tools
//! render from the saved `chat_template` and what a server answers agree by construction. Texts from outside never
//! pass through the template: it renders placeholders, and they are replaced afterwards, so that nothing a note says
//! can become a special token or template code.

use std::path::Path;
use std::sync::Arc;

use asclepius_schema::{Message, hash_bytes};
use serde::Serialize;

use crate::jinja::Compiled;
use crate::{TextError, TextTokenizer};

/// The project's own template. A tokenizer that is trained here carries it as its chat template.
pub const ASCLEPIUS: &str = include_str!("template/asclepius.jinja");

/// A stretch of a sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Its text; of a special piece, one token's string.
    pub text: String,
    /// Whether the text is a special token. In all other pieces such a string is nothing but text.
    pub special: bool,
}

impl Piece {
    /// Text, whatever it says.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), special: false }
    }

    /// One special token.
    pub fn special(token: impl Into<String>) -> Self {
        Self { text: token.into(), special: true }
    }
}

/// A row as the model sees it. Both lists have the same length.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Encoded {
    /// Token ids.
    pub ids: Vec<u32>,
    /// For each token, whether the loss asks the model to predict it: the answer and what ends it.
    pub supervised: Vec<bool>,
}

/// How an instruction over a note becomes a sequence. Cheap to clone.
#[derive(Debug, Clone)]
pub struct InstructionTemplate {
    name: String,
    hash: String,
    source: Arc<str>,
    compiled: Compiled,
    /// Written over `messages`, as a base's chat template is, instead of over `note` and `question`.
    conversational: bool,
}

/// What a template can refer to.
#[derive(Serialize)]
struct Context<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    bos_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    eos_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pad_token: Option<&'a str>,
    add_generation_prompt: bool,
    messages: Vec<Message>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    question: Option<String>,
}

/// Pieces of a row, prompt and answer apart.
struct Rendered {
    prompt: Vec<Piece>,
    answer: Vec<Piece>,
}

impl InstructionTemplate {
    /// The project's own.
    pub fn asclepius() -> Self {
        Self::from_source("asclepius", ASCLEPIUS).expect("a test renders the built-in template")
    }

    /// The base's own chat template; note and instruction are one message of the user.
    ///
    /// # Errors
    /// When the tokenizer has none, or it does not parse.
    pub fn chat(tokenizer: &TextTokenizer) -> Result<Self, TextError> {
        Self::from_source("chat", tokenizer.chat_template().ok_or(TextError::NoChatTemplate)?)
    }

    /// A template file: over `messages` like a chat template, or over `note` and `question`, in which case the answer
    /// and the end-of-sequence token follow what it renders.
    ///
    /// # Errors
    /// When the file cannot be read or does not parse.
    pub fn from_file(path: &Path) -> Result<Self, TextError> {
        Self::from_source(&path.display().to_string(), &fs_err::read_to_string(path)?)
    }

    /// What the `template` key says: `"asclepius"`, `"chat"`, or a file's path.
    ///
    /// # Errors
    /// As [`Self::chat`] and [`Self::from_file`].
    pub fn choose(setting: &str, tokenizer: &TextTokenizer) -> Result<Self, TextError> {
        match setting {
            "asclepius" => Ok(Self::asclepius()),
            "chat" => Self::chat(tokenizer),
            path => Self::from_file(Path::new(path)),
        }
    }

    /// A template from its source; `name` is for error messages.
    ///
    /// # Errors
    /// When it does not parse.
    pub fn from_source(name: &str, source: &str) -> Result<Self, TextError> {
        if source.contains(PLACEHOLDER_OPEN) {
            let problem = "it contains the private-use character U+E4A5, which marks where texts go in";
            return Err(TextError::TemplateShape { name: name.to_owned(), problem });
        }
        let over_messages = regex::Regex::new(r"\bmessages\b").expect("the pattern is valid");
        Ok(Self {
            name: name.to_owned(),
            hash: hash_bytes(source.as_bytes()),
            source: source.into(),
            compiled: Compiled::chat(name, source)?,
            conversational: over_messages.is_match(source),
        })
    }

    /// The name given at construction.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// 32 hex digits of the source's hash.
    pub fn template_hash(&self) -> &str {
        &self.hash
    }

    /// The source as a `chat_template` that other tools can render, to be saved with a model that was tuned on it; none
    /// where it is not written over `messages`.
    pub fn as_chat_template(&self) -> Option<&str> {
        self.conversational.then_some(&*self.source)
    }

    /// The message in which a conversational template puts a note and an instruction to the model.
    pub fn user_message(note: &str, question: &str) -> Message {
        Message::user(format!("### Note\n{note}\n\n### Instruction\n{question}"))
    }

    /// The prompt, up to where the answer begins.
    ///
    /// # Errors
    /// When the template does not render, or loses or repeats the note or the question.
    pub fn render(&self, tokenizer: &TextTokenizer, note: &str, question: &str) -> Result<Vec<Piece>, TextError> {
        let rendered = self.prompt_with_placeholders(tokenizer)?;
        self.fill(tokenizer, &rendered, &[note, question])
    }

    /// Ids and mask of a whole row, made together. Exactly one token begins the sequence where the tokenizer has one
    /// for that (a chat template decides for itself); the answer and the token that ends it are supervised.
    ///
    /// # Errors
    /// When the template does not render to a prompt that an answer can follow, or nothing ends an answer.
    pub fn encode(
        &self,
        tokenizer: &TextTokenizer,
        note: &str,
        question: &str,
        answer: &str,
    ) -> Result<Encoded, TextError> {
        let Rendered { prompt, answer } = self.rendered(tokenizer, note, question, answer)?;
        let mut ids = tokenizer.encode_pieces(&prompt, false)?;
        let mut supervised = vec![false; ids.len()];
        ids.extend(tokenizer.encode_pieces(&answer, true)?);
        supervised.resize(ids.len(), true);
        Ok(Encoded { ids, supervised })
    }

    /// Ids of the prompt alone, for generation: exactly the unsupervised beginning of [`Self::encode`].
    ///
    /// # Errors
    /// As [`Self::render`].
    pub fn encode_prompt(&self, tokenizer: &TextTokenizer, note: &str, question: &str) -> Result<Vec<u32>, TextError> {
        tokenizer.encode_pieces(&self.render(tokenizer, note, question)?, false)
    }

    /// As [`Self::encode`], with the note shortened at its end until the row has at most `max_tokens`; also whether
    /// that was needed. Question and answer are never cut.
    ///
    /// # Errors
    /// As [`Self::encode`], and when even an empty note leaves too many tokens.
    pub fn encode_within(
        &self,
        tokenizer: &TextTokenizer,
        note: &str,
        question: &str,
        answer: &str,
        max_tokens: usize,
    ) -> Result<(Encoded, bool), TextError> {
        shorten_note(
            tokenizer,
            note,
            max_tokens,
            |note| self.encode(tokenizer, note, question, answer),
            |row| row.ids.len(),
        )
    }

    /// As [`Self::encode_prompt`], with the note shortened at its end until the prompt has at most `max_tokens`; also
    /// whether that was needed.
    ///
    /// # Errors
    /// As [`Self::render`], and when even an empty note leaves too many tokens.
    pub fn encode_prompt_within(
        &self,
        tokenizer: &TextTokenizer,
        note: &str,
        question: &str,
        max_tokens: usize,
    ) -> Result<(Vec<u32>, bool), TextError> {
        shorten_note(tokenizer, note, max_tokens, |note| self.encode_prompt(tokenizer, note, question), Vec::len)
    }

    /// As [`Self::encode_prompt_within`] behind worked examples (note, question, answer) of earlier turns. Each example's note
    /// is shortened to its share of `max_tokens`, the last note to what is left.
    ///
    /// # Errors
    /// As [`Self::render`] and [`Self::encode`], and when an example or the prompt does not fit without its note.
    pub fn encode_after_examples(
        &self,
        tokenizer: &TextTokenizer,
        examples: &[(&str, &str, &str)],
        note: &str,
        question: &str,
        max_tokens: usize,
    ) -> Result<(Vec<u32>, bool), TextError> {
        let share = max_tokens / (examples.len() + 1);
        let mut turns = Vec::new();
        for &(note, question, answer) in examples {
            let (note, _) = shorten_note(
                tokenizer,
                note,
                share,
                |note| Ok((note.to_owned(), self.encode(tokenizer, note, question, answer)?.ids.len())),
                |(_, length)| *length,
            )
            .map(|((note, _), shortened)| (note, shortened))?;
            turns.push((note, question, answer));
        }
        let encode = |note: &str| {
            if self.conversational {
                let mut messages = Vec::with_capacity(2 * turns.len() + 1);
                for (note, question, answer) in &turns {
                    messages.extend([Self::user_message(note, question), Message::assistant(*answer)]);
                }
                messages.push(Self::user_message(note, question));
                return self.encode_conversation(tokenizer, &messages);
            }
            let mut ids = Vec::new();
            for (note, question, answer) in &turns {
                ids.extend(self.encode(tokenizer, note, question, answer)?.ids);
            }
            ids.extend(self.encode_prompt(tokenizer, note, question)?);
            Ok(ids)
        };
        shorten_note(tokenizer, note, max_tokens, encode, Vec::len)
    }

    /// Ids of a conversation that waits for the assistant, for a server. Every message is text from outside.
    ///
    /// # Errors
    /// When the template is not written over `messages`, or does not render them.
    pub fn encode_conversation(&self, tokenizer: &TextTokenizer, messages: &[Message]) -> Result<Vec<u32>, TextError> {
        if !self.conversational {
            return Err(self.shape("it is written over note and question, so it cannot render a conversation"));
        }
        let held = messages
            .iter()
            .enumerate()
            .map(|(index, message)| Ok(Message { role: message.role, content: self.placeholder(index)? }))
            .collect::<Result<_, TextError>>()?;
        let rendered = self.render_messages(tokenizer, held, true)?;
        let texts: Vec<&str> = messages.iter().map(|message| message.content.as_str()).collect();
        tokenizer.encode_pieces(&self.pieces(tokenizer, &rendered, &texts)?, false)
    }

    /// The tokens at which generation stops: the one that ends an answer in this template, and the tokenizer's end of
    /// sequence. Sorted, unique, never empty.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn stop_ids(&self, tokenizer: &TextTokenizer) -> Result<Vec<u32>, TextError> {
        let rendered = self.rendered(tokenizer, "", "", "")?;
        let ends = rendered.answer.iter().filter(|piece| piece.special);
        let mut ids: Vec<u32> = ends.filter_map(|piece| tokenizer.token_id(&piece.text)).collect();
        ids.extend(tokenizer.eos());
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }

    fn shape(&self, problem: &'static str) -> TextError {
        TextError::TemplateShape { name: self.name.clone(), problem }
    }

    fn rendered(
        &self,
        tokenizer: &TextTokenizer,
        note: &str,
        question: &str,
        answer: &str,
    ) -> Result<Rendered, TextError> {
        let prompt = self.prompt_with_placeholders(tokenizer)?;
        let (lead, tail) = self.around_answer(tokenizer, &prompt)?;
        let mut pieces = self.pieces(tokenizer, &lead, &[])?;
        pieces.push(Piece::text(answer));
        pieces.extend(self.end_of_answer(tokenizer, &tail)?);
        Ok(Rendered { prompt: self.fill(tokenizer, &prompt, &[note, question])?, answer: pieces })
    }

    fn prompt_with_placeholders(&self, tokenizer: &TextTokenizer) -> Result<String, TextError> {
        let message = Self::user_message(&self.placeholder(NOTE)?, &self.placeholder(QUESTION)?);
        self.render_messages(tokenizer, vec![message], true)
    }

    /// What stands between prompt and answer, and after the answer, once there is one.
    fn around_answer(&self, tokenizer: &TextTokenizer, prompt: &str) -> Result<(String, String), TextError> {
        if !self.conversational {
            return Ok((String::new(), String::new()));
        }
        let answer = self.placeholder(ANSWER)?;
        let user = Self::user_message(&self.placeholder(NOTE)?, &self.placeholder(QUESTION)?);
        let whole = self.render_messages(tokenizer, vec![user, Message::assistant(answer.clone())], false)?;
        let (before, tail) =
            whole.split_once(&answer).ok_or_else(|| self.shape("it renders no message of the assistant"))?;
        // Some templates put a space, or an empty thought, between the turn's opening and the answer.
        let lead = before.strip_prefix(prompt).ok_or_else(|| {
            self.shape("a conversation with an answer does not begin with the prompt for that answer")
        })?;
        Ok((lead.to_owned(), tail.to_owned()))
    }

    /// Up to the first special token after the answer: what comes later is the next turn's business.
    fn end_of_answer(&self, tokenizer: &TextTokenizer, tail: &str) -> Result<Vec<Piece>, TextError> {
        let mut pieces = self.pieces(tokenizer, tail, &[])?;
        if let Some(end) = pieces.iter().position(|piece| piece.special) {
            pieces.truncate(end + 1);
            return Ok(pieces);
        }
        pieces.retain(|piece| !piece.text.trim().is_empty());
        let eos = tokenizer.eos_token().ok_or_else(|| TextError::NoEnd { name: self.name.clone() })?;
        pieces.push(Piece::special(eos));
        Ok(pieces)
    }

    fn render_messages(
        &self,
        tokenizer: &TextTokenizer,
        messages: Vec<Message>,
        add_generation_prompt: bool,
    ) -> Result<String, TextError> {
        let plain = !self.conversational;
        self.compiled.render(&Context {
            bos_token: tokenizer.bos_token(),
            eos_token: tokenizer.eos_token(),
            pad_token: tokenizer.pad_token(),
            add_generation_prompt,
            messages,
            note: plain.then(|| self.placeholder(NOTE)).transpose()?,
            question: plain.then(|| self.placeholder(QUESTION)).transpose()?,
        })
    }

    /// As [`Self::pieces`], for a prompt: note and question occur once each, and one token begins it.
    fn fill(&self, tokenizer: &TextTokenizer, rendered: &str, texts: &[&str]) -> Result<Vec<Piece>, TextError> {
        for index in 0..texts.len() {
            if rendered.matches(&self.placeholder(index)?).count() != 1 {
                return Err(self.shape("it must render the note and the question exactly once each"));
            }
        }
        let mut pieces = self.pieces(tokenizer, rendered, texts)?;
        if let Some(bos) = tokenizer.bos_token() {
            let begins = |piece: &Piece| piece.special && piece.text == bos;
            if !self.conversational && !pieces.first().is_some_and(begins) {
                pieces.insert(0, Piece::special(bos));
            }
            // Where a template writes the token and a file's author wrote it again.
            while pieces.len() > 1 && begins(&pieces[0]) && begins(&pieces[1]) {
                pieces.remove(0);
            }
        }
        Ok(pieces)
    }

    /// Cuts a rendered template at its control tokens and puts the texts in for their placeholders.
    fn pieces(&self, tokenizer: &TextTokenizer, rendered: &str, texts: &[&str]) -> Result<Vec<Piece>, TextError> {
        let mut pieces = Vec::new();
        let mut parts = rendered.split(PLACEHOLDER_OPEN);
        cut_at_controls(tokenizer, parts.next().unwrap_or_default(), &mut pieces);
        for part in parts {
            let (index, after) =
                part.split_once(PLACEHOLDER_CLOSE).ok_or_else(|| self.shape("it takes the texts it is given apart"))?;
            let index = index.chars().next().map_or(usize::MAX, |c| (c as usize).wrapping_sub(PLACEHOLDER_BASE));
            let text = texts.get(index).ok_or_else(|| self.shape("it renders a text where none belongs"))?;
            pieces.push(Piece::text(*text));
            cut_at_controls(tokenizer, after, &mut pieces);
        }
        pieces.retain(|piece| !piece.text.is_empty());
        Ok(pieces)
    }

    /// Private-use characters survive trimming, case changes and JSON, and no template holds them.
    fn placeholder(&self, index: usize) -> Result<String, TextError> {
        let index = u32::try_from(PLACEHOLDER_BASE + index).ok().filter(|code| *code < 0xF800).and_then(char::from_u32);
        let index = index.ok_or_else(|| self.shape("the conversation has more than 4,800 messages"))?;
        Ok(format!("{PLACEHOLDER_OPEN}{index}{PLACEHOLDER_CLOSE}"))
    }
}

const PLACEHOLDER_OPEN: char = '\u{E4A5}';
const PLACEHOLDER_CLOSE: char = '\u{E4A6}';
const PLACEHOLDER_BASE: usize = 0xE500;
const NOTE: usize = 0;
const QUESTION: usize = 1;
const ANSWER: usize = 2;

fn cut_at_controls(tokenizer: &TextTokenizer, text: &str, pieces: &mut Vec<Piece>) {
    let mut rest = text;
    let mut from = 0;
    while from < rest.len() {
        let Some(control) = tokenizer.controls().iter().find(|control| rest[from..].starts_with(&control.content))
        else {
            from += rest[from..].chars().next().map_or(1, char::len_utf8);
            continue;
        };
        let before = &rest[..from];
        pieces.push(Piece::text(if control.lstrip { before.trim_end() } else { before }));
        pieces.push(Piece::special(control.content.as_str()));
        let after = &rest[from + control.content.len()..];
        rest = if control.rstrip { after.trim_start() } else { after };
        from = 0;
    }
    pieces.push(Piece::text(rest));
}

/// Encodes with ever less of the note until the result fits.
fn shorten_note<T>(
    tokenizer: &TextTokenizer,
    note: &str,
    max_tokens: usize,
    encode: impl Fn(&str) -> Result<T, TextError>,
    length: impl Fn(&T) -> usize,
) -> Result<(T, bool), TextError> {
    let whole = encode(note)?;
    let mut excess = length(&whole).saturating_sub(max_tokens);
    if excess == 0 {
        return Ok((whole, false));
    }
    let ends: Vec<usize> = tokenizer.encode_text_with_offsets(note)?.into_iter().map(|(_, end)| end).collect();
    let mut keep = ends.len();
    while keep > 0 {
        // A cut inside a word can take more tokens than the word; then the next round cuts further.
        keep = keep.saturating_sub(excess.max(1));
        let cut = keep.checked_sub(1).map_or(0, |last| word_boundary(note, ends[last]));
        let shortened = encode(&note[..cut])?;
        excess = length(&shortened).saturating_sub(max_tokens);
        if excess == 0 {
            return Ok((shortened, true));
        }
    }
    Err(TextError::DoesNotFit { needed: max_tokens + excess, max_tokens })
}

/// The end of the last whole word at or before `end`; `end` itself where that would cost more than a long word.
fn word_boundary(text: &str, end: usize) -> usize {
    let mut end = end.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    if text[end..].chars().next().is_none_or(char::is_whitespace) {
        return text[..end].trim_end().len();
    }
    match text[..end].rfind(char::is_whitespace) {
        Some(space) if end - space <= 40 => text[..space].trim_end().len(),
        _ => end,
    }
}
