//! What a report will be asked for, before anything is: prompts rendered as a run would, replies guessed.

use asclepius_text::{Exhibit, JudgePrompts, Prompt};

use crate::prompts::Shown;
use crate::{InstructConfig, NotesConfig, SynthError, draw, prompts};

/// English prose under byte-level BPE vocabularies of 32k to 200k: about four bytes a token.
const BYTES_A_TOKEN: f64 = 4.0;

/// Tokens that a chat template adds to a prompt of two messages, about.
const TOKENS_AROUND: u64 = 12;

/// A question as our prompts ask for it: one sentence.
const QUESTION: &str =
    "Which of the findings on admission led to the change of treatment that was made on the third day?";

/// Calls, and the tokens they will take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Expected {
    /// Requests.
    pub requests: u64,
    /// Tokens sent.
    pub prompt_tokens: u64,
    /// Tokens received.
    pub completion_tokens: u64,
    /// Tokens received if every reply is as long as it may be.
    pub most_completion_tokens: u64,
}

impl Expected {
    /// Adds another's.
    pub fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.prompt_tokens += other.prompt_tokens;
        self.completion_tokens += other.completion_tokens;
        self.most_completion_tokens += other.most_completion_tokens;
    }

    fn call(&mut self, messages: &[asclepius_schema::Message], reply: u64, most: u32) {
        let bytes: usize = messages.iter().map(|message| message.content.len()).sum();
        self.requests += 1;
        self.prompt_tokens += tokens(bytes) + TOKENS_AROUND;
        self.completion_tokens += reply.min(u64::from(most));
        self.most_completion_tokens += u64::from(most);
    }
}

/// Tokens of so many bytes of text, about.
pub fn tokens(bytes: usize) -> u64 {
    (bytes as f64 / BYTES_A_TOKEN).round() as u64
}

/// A verdict as our prompts ask for it: a sentence or two in JSON.
const VERDICT_TOKENS: u64 = 80;

/// Renders prompts as a run would.
#[derive(Debug)]
pub struct Estimate<'config> {
    notes: &'config NotesConfig,
    instruct: &'config InstructConfig,
    seed: u64,
    note_prompt: Prompt,
    question_prompt: Prompt,
    answer_prompt: Prompt,
}

impl<'config> Estimate<'config> {
    /// Loads the prompts.
    ///
    /// # Errors
    /// When one cannot be loaded.
    pub fn new(notes: &'config NotesConfig, instruct: &'config InstructConfig, seed: u64) -> Result<Self, SynthError> {
        let (question_prompt, answer_prompt) = instruct.load_prompts()?;
        Ok(Self { notes, instruct, seed, note_prompt: notes.load_prompt()?, question_prompt, answer_prompt })
    }

    /// What a report will be asked for: its note, guessed to be as long as the report where it may be, and for each
    /// instruction a question of one sentence and an answer of half its cap.
    ///
    /// # Errors
    /// When a prompt cannot be rendered.
    pub fn of(&self, report_id: &str, report: &str) -> Result<Expected, SynthError> {
        let mut expected = Expected::default();
        let (note_tokens, note) = self.note(report);
        expected.call(
            &prompts::note_messages(&self.note_prompt, report, self.notes.types.first().copied())?,
            note_tokens,
            self.notes.max_tokens,
        );

        let most = self.instruct.max_tokens;
        let tasks = draw::tasks(self.seed, report_id, &self.instruct.tasks, self.instruct.per_note);
        for (index, task) in tasks.into_iter().enumerate() {
            let id = format!("{report_id}#{index}");
            let examples = draw::examples(self.seed, &id, task);
            let unanswerable = draw::unanswerable(self.seed, &id, self.instruct.unanswerable_fraction);
            let shown = Shown { examples: &examples, asked: &[] };
            let messages = prompts::question_messages(&self.question_prompt, note, task, shown, unanswerable)?;
            expected.call(&messages, tokens(QUESTION.len()), most);
            let messages = prompts::answer_messages(&self.answer_prompt, note, task, QUESTION)?;
            expected.call(&messages, u64::from(most) / 2, most);
        }
        Ok(expected)
    }

    /// What a judge will be asked about a report's note and answers if every gate lets them through: a verdict of a
    /// sentence or two each.
    ///
    /// # Errors
    /// When a prompt cannot be rendered.
    pub fn of_judge(&self, report: &str, prompts: &JudgePrompts, most: u32) -> Result<Expected, SynthError> {
        let mut expected = Expected::default();
        let note = self.note(report).1.to_owned();
        let messages = prompts.messages(&Exhibit::Note { report: report.to_owned(), note: note.clone() })?;
        expected.call(&messages, VERDICT_TOKENS, most);
        let answer = "x".repeat((f64::from(self.instruct.max_tokens) / 2.0 * BYTES_A_TOKEN) as usize);
        let messages = prompts.messages(&Exhibit::Answer { note, question: QUESTION.to_owned(), answer })?;
        for _ in 0..self.instruct.per_note {
            expected.call(&messages, VERDICT_TOKENS, most);
        }
        Ok(expected)
    }

    /// Tokens of a report's note, and a text of that length: the report's own, as far as it may be.
    fn note<'report>(&self, report: &'report str) -> (u64, &'report str) {
        let note_tokens = tokens(report.len()).min(u64::from(self.notes.max_tokens));
        let end = report.floor_char_boundary((note_tokens as f64 * BYTES_A_TOKEN) as usize);
        (note_tokens, &report[..end.min(report.len())])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_priced_by_what_is_really_sent_for_it() {
        let (notes, instruct) = (NotesConfig::default(), InstructConfig { per_note: 2, ..InstructConfig::default() });
        let estimate = Estimate::new(&notes, &instruct, 1).expect("the prompts are built in");
        let report = "A 54-year-old man came with chest pain. ".repeat(100);
        let expected = estimate.of("PMC1.1-1", &report).expect("renders");
        assert_eq!(expected.requests, 1 + 2 * 2);
        // The report once and its note four times, and around them prompts of some hundred tokens.
        let texts = 5 * tokens(report.len());
        assert!((texts + 500..texts + 5000).contains(&expected.prompt_tokens), "{expected:?}, texts {texts}");
        let most = notes.max_tokens + 4 * instruct.max_tokens;
        assert_eq!(expected.most_completion_tokens, u64::from(most));
        assert!(expected.completion_tokens < expected.most_completion_tokens);
        let prompts = JudgePrompts::load(None, None).expect("they are built in");
        let judged = estimate.of_judge(&report, &prompts, 500).expect("renders");
        assert_eq!((judged.requests, judged.most_completion_tokens), (3, 3 * 500));
        // The report once, its note three times, and two answers of half their cap.
        let shown = 4 * tokens(report.len()) + u64::from(instruct.max_tokens);
        assert!((shown + 600..shown + 2500).contains(&judged.prompt_tokens), "{judged:?}, shown {shown}");

        let longer = estimate.of("PMC1.1-1", &report.repeat(2)).expect("renders");
        assert_eq!(longer.prompt_tokens - expected.prompt_tokens, texts, "the rest of the prompts is the same");
    }
}
