//! The `[notes]` and `[instruct]` tables.

use std::path::PathBuf;

use asclepius_schema::{Fingerprint, Task, hash_bytes};
use asclepius_text::{Prompt, Style};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{SynthError, prompts, seeds};

/// A kind of clinical note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoteType {
    /// What the stay was for, what happened and how it goes on.
    DischargeSummary,
    /// The stay by its events, without the frame of a summary.
    HospitalCourse,
    /// On arrival: history, examination, first results, first plan.
    Admission,
    /// One day of the stay: what is new, findings, plan.
    Progress,
    /// From the clinic to the doctor who referred the patient.
    ClinicLetter,
    /// The operation.
    Operative,
    /// A study with its findings and impression.
    Radiology,
    /// The emergency department's record.
    Emergency,
}

impl NoteType {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::DischargeSummary,
        Self::HospitalCourse,
        Self::Admission,
        Self::Progress,
        Self::ClinicLetter,
        Self::Operative,
        Self::Radiology,
        Self::Emergency,
    ];

    /// The name in configuration and prompts.
    pub fn key(self) -> &'static str {
        match self {
            Self::DischargeSummary => "discharge_summary",
            Self::HospitalCourse => "hospital_course",
            Self::Admission => "admission",
            Self::Progress => "progress",
            Self::ClinicLetter => "clinic_letter",
            Self::Operative => "operative",
            Self::Radiology => "radiology",
            Self::Emergency => "emergency",
        }
    }
}

/// How notes are written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NotesConfig {
    /// Directory to read reports from instead of the run's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<PathBuf>,
    /// A prompt file in place of the built-in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<PathBuf>,
    /// The kinds of note to draw from, one a report. Empty: a discharge summary, or a hospital course while the patient
    /// has not left. The extractive teacher writes one kind, whatever is asked for.
    pub types: Vec<NoteType>,
    /// How the notes are written down, whoever wrote them.
    pub style: Style,
    /// Sampling temperature, 0 to 2.
    pub temperature: f32,
    /// The most tokens a note may have; a reply that needs more than twice that is dropped as truncated.
    pub max_tokens: u32,
}

impl Default for NotesConfig {
    fn default() -> Self {
        Self {
            input: None,
            prompt: None,
            types: Vec::new(),
            style: Style::default(),
            temperature: 1.0,
            max_tokens: 4096,
        }
    }
}

impl NotesConfig {
    /// Checks what types cannot.
    ///
    /// # Errors
    /// Names the first key whose value is impossible.
    pub fn validate(&self) -> Result<(), SynthError> {
        if (1..self.types.len()).any(|index| self.types[..index].contains(&self.types[index])) {
            return Err(SynthError::Config { table: "notes", key: "types", problem: "names a kind twice" });
        }
        if let Some((key, problem)) = self.style.wrong() {
            return Err(SynthError::Config { table: "notes", key, problem });
        }
        check_sampling("notes", self.temperature, self.max_tokens)
    }

    /// The prompt that will be used.
    ///
    /// # Errors
    /// When the file cannot be read or is no prompt.
    pub fn load_prompt(&self) -> Result<Prompt, SynthError> {
        prompts::load(self.prompt.as_deref(), &prompts::NOTE)
    }

    /// Adds what can change a note: the prompt's content (its path does not count), the sampling, kinds and style, and the
    /// seed where something is drawn.
    ///
    /// # Errors
    /// When the prompt cannot be loaded.
    pub fn fingerprint(&self, fingerprint: Fingerprint, seed: u64) -> Result<Fingerprint, SynthError> {
        let prompt = self.load_prompt()?;
        let draws = self.types.len() > 1 || self.style.draws();
        let fingerprint = if draws { fingerprint.setting("seed", &seed) } else { fingerprint };
        Ok(fingerprint
            .bytes("note prompt", prompt.hash().as_bytes())
            .setting("types", &self.types)
            .setting("style", &self.style)
            .setting("temperature", &self.temperature)
            .setting("max_tokens", &self.max_tokens))
    }
}

/// How instructions are asked and answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InstructConfig {
    /// Directory to read notes from instead of the run's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<PathBuf>,
    /// Instructions per note, each for another task as long as there are tasks left.
    pub per_note: u32,
    /// The tasks to draw from.
    pub tasks: Vec<Task>,
    /// Share of the instructions that the note must not be able to answer, 0 to 1.
    pub unanswerable_fraction: f32,
    /// Greatest similarity (ROUGE-L) of a question to one asked before about the same note, or lately for the same task:
    /// one that is more like it is asked for again, then refused. 1 refuses nothing.
    pub question_similarity: f32,
    /// Sampling temperature, 0 to 2.
    pub temperature: f32,
    /// The most tokens a question or an answer may have.
    pub max_tokens: u32,
    /// A prompt file for questions in place of the built-in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub question_prompt: Option<PathBuf>,
    /// A prompt file for answers in place of the built-in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer_prompt: Option<PathBuf>,
}

impl Default for InstructConfig {
    fn default() -> Self {
        Self {
            input: None,
            per_note: 1,
            tasks: Task::ALL.to_vec(),
            unanswerable_fraction: 0.1,
            question_similarity: 0.9,
            temperature: 1.0,
            max_tokens: 1024,
            question_prompt: None,
            answer_prompt: None,
        }
    }
}

impl InstructConfig {
    /// Checks what types cannot.
    ///
    /// # Errors
    /// Names the first key whose value is impossible.
    pub fn validate(&self) -> Result<(), SynthError> {
        let wrong = |key, problem| Err(SynthError::Config { table: "instruct", key, problem });
        if self.per_note == 0 {
            return wrong("per_note", "must be at least 1");
        }
        if self.tasks.is_empty() {
            return wrong("tasks", "must name at least one task");
        }
        if (1..self.tasks.len()).any(|index| self.tasks[..index].contains(&self.tasks[index])) {
            return wrong("tasks", "names a task twice");
        }
        if !(0.0..=1.0).contains(&self.unanswerable_fraction) {
            return wrong("unanswerable_fraction", "must be between 0 and 1");
        }
        if !(0.0..=1.0).contains(&self.question_similarity) {
            return wrong("question_similarity", "must be between 0 and 1");
        }
        check_sampling("instruct", self.temperature, self.max_tokens)
    }

    /// The prompts that will be used: for questions, for answers.
    ///
    /// # Errors
    /// When a file cannot be read or is no prompt.
    pub fn load_prompts(&self) -> Result<(Prompt, Prompt), SynthError> {
        Ok((
            prompts::load(self.question_prompt.as_deref(), &prompts::QUESTION)?,
            prompts::load(self.answer_prompt.as_deref(), &prompts::ANSWER)?,
        ))
    }

    /// Adds what can change an instruction: the prompts' content (their paths do not count), the example questions,
    /// and every other key.
    ///
    /// # Errors
    /// When a prompt cannot be loaded.
    pub fn fingerprint(&self, fingerprint: Fingerprint) -> Result<Fingerprint, SynthError> {
        let (question, answer) = self.load_prompts()?;
        let examples: Vec<String> =
            Task::ALL.into_iter().map(|task| hash_bytes(seeds::questions(task).join("\n").as_bytes())).collect();
        Ok(fingerprint
            .bytes("question prompt", question.hash().as_bytes())
            .bytes("answer prompt", answer.hash().as_bytes())
            .setting("examples", &examples)
            .setting("per_note", &self.per_note)
            .setting("tasks", &self.tasks)
            .setting("unanswerable_fraction", &self.unanswerable_fraction)
            .setting("question_similarity", &self.question_similarity)
            .setting("temperature", &self.temperature)
            .setting("max_tokens", &self.max_tokens))
    }
}

fn check_sampling(table: &'static str, temperature: f32, max_tokens: u32) -> Result<(), SynthError> {
    if !(0.0..=2.0).contains(&temperature) {
        return Err(SynthError::Config { table, key: "temperature", problem: "must be between 0 and 2" });
    }
    if max_tokens == 0 {
        return Err(SynthError::Config { table, key: "max_tokens", problem: "must be at least 1" });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_values_are_named() {
        assert!(NotesConfig::default().validate().is_ok() && InstructConfig::default().validate().is_ok());
        let styled = NotesConfig { style: Style { typos: 0.9, ..Style::default() }, ..NotesConfig::default() };
        assert!(matches!(styled.validate(), Err(SynthError::Config { key: "style.typos", .. })));
        let twice = NotesConfig { types: vec![NoteType::Progress, NoteType::Progress], ..NotesConfig::default() };
        assert!(matches!(twice.validate(), Err(SynthError::Config { key: "types", .. })));
        let key = |config: InstructConfig| match config.validate() {
            Err(SynthError::Config { key, .. }) => key,
            other => panic!("{other:?}"),
        };
        assert_eq!(key(InstructConfig { per_note: 0, ..Default::default() }), "per_note");
        assert_eq!(key(InstructConfig { tasks: vec![], ..Default::default() }), "tasks");
        assert_eq!(key(InstructConfig { tasks: vec![Task::Qa, Task::Ner, Task::Qa], ..Default::default() }), "tasks");
        assert_eq!(
            key(InstructConfig { unanswerable_fraction: f32::NAN, ..Default::default() }),
            "unanswerable_fraction"
        );
        assert_eq!(key(InstructConfig { question_similarity: 1.5, ..Default::default() }), "question_similarity");
        assert_eq!(key(InstructConfig { temperature: 2.1, ..Default::default() }), "temperature");
        assert_eq!(key(InstructConfig { max_tokens: 0, ..Default::default() }), "max_tokens");
    }

    #[test]
    fn a_prompt_counts_by_its_content_and_not_by_its_path() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("mine.jinja");
        fs_err::write(&path, prompts::NOTE.source).expect("writable");
        let print = |config: &NotesConfig| config.fingerprint(Fingerprint::new("t"), 0).expect("loads").finish();
        let own = NotesConfig { prompt: Some(path.clone()), ..Default::default() };
        assert_eq!(print(&own), print(&NotesConfig::default()));
        fs_err::write(&path, "[user]\n<report>\n{{ report }}\n</report>\n").expect("writable");
        assert_ne!(print(&own), print(&NotesConfig::default()));
        let missing = NotesConfig { prompt: Some(directory.path().join("no.jinja")), ..Default::default() };
        let error = missing.load_prompt().expect_err("there is no such file").to_string();
        assert!(error.contains("no.jinja"), "{error}");
    }
}
