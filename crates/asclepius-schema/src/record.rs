//! The rows that travel between stages.
//!
//! A stage knows its input's record and its own output's. Columns on disk carry the same names.

use serde::{Deserialize, Serialize};

use crate::{ArticleId, Licence, ReportId, Task};

/// The unit an age was stated in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AgeUnit {
    /// Years.
    Year,
    /// Months.
    Month,
    /// Weeks.
    Week,
    /// Days.
    Day,
}

/// A patient's age as the report states it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Age {
    /// How many units.
    pub value: f32,
    /// The unit.
    pub unit: AgeUnit,
}

/// A patient's sex as the report states it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sex {
    /// Female.
    Female,
    /// Male.
    Male,
    /// Not stated, or not told for sure.
    Unknown,
}

/// One patient's case, cut out of one article: what ingest writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// See [`crate::ids::patient_id`].
    pub patient_id: i64,
    /// `<PMCID>.<version>-<n>`.
    pub report_id: ReportId,
    /// The article the case is from.
    pub article_id: ArticleId,
    /// The article's title.
    pub title: String,
    /// The case text: paragraphs separated by one blank line.
    pub report: String,
    /// Age at presentation, when stated.
    pub age: Option<Age>,
    /// Sex.
    pub sex: Sex,
    /// The licence class that admitted the article.
    pub licence: Licence,
    /// The licence's URL as the article gives it (empty: none given).
    pub licence_url: String,
    /// Authors, title, journal, year, DOI and licence in one line.
    pub attribution: String,
    /// Digital object identifier (empty: none).
    pub doi: String,
    /// PubMed id (empty: none).
    pub pmid: String,
    /// Journal title (empty: none).
    pub journal: String,
    /// Year of publication.
    pub year: Option<i32>,
    /// Subjects the article lists: headings, keywords; sorted, unique.
    pub subjects: Vec<String>,
    /// The source's file name (inside an archive: the member's), without directories.
    pub source: String,
    /// Title of the section, or sections, that the text is from.
    pub section: String,
    /// Tables that the case text refers to or holds, each as text: its label, a line `| cell | cell |` for every row (those
    /// of the head as one, closed by a line `| --- | --- |`), and its footnotes, a line each. Never part of `report`.
    pub tables: Vec<String>,
    /// Captions of the tables and figures that the case text refers to or holds, labels included, in the article's order.
    /// Never part of `report`.
    pub captions: Vec<String>,
}

/// Where a generated text came from: one accepted call to the chat API.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CallLineage {
    /// Hash of the prompt template's file.
    pub prompt_hash: String,
    /// The call's identity in the ledger.
    pub request_key: String,
    /// The provider's finish reason.
    pub finish_reason: String,
    /// Tokens sent.
    pub prompt_tokens: i32,
    /// Tokens received.
    pub completion_tokens: i32,
}

/// Which model rated a row, and the call that did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct JudgeCall {
    /// The model that was asked.
    pub model: String,
    /// The call.
    pub call: CallLineage,
}

/// Which part of the dataset a row belongs to. Articles are split, never rows of one article.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// For training.
    Train,
    /// Held out.
    Validation,
}

impl Split {
    /// The value of the `split` column.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
        }
    }
}

/// A span of the note, in bytes of its UTF-8, end exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

/// One synthetic clinical note.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Note {
    /// See [`crate::ids::patient_id`].
    pub patient_id: i64,
    /// The note.
    pub note: String,
    /// The report it was written from.
    pub report_id: ReportId,
    /// The article it was written from.
    pub article_id: ArticleId,
    /// Licence of the source.
    pub licence: Licence,
    /// Its URL.
    pub licence_url: String,
    /// Attribution line of the source.
    pub attribution: String,
    /// The model that wrote it.
    pub teacher_model: String,
    /// Empty until the dataset stage assigns it.
    pub split: Option<Split>,
    /// The call that wrote the note.
    pub note_call: CallLineage,
    /// Gate scores by gate name, sorted; empty until the dataset stage measures them.
    pub scores: Vec<(String, f32)>,
    /// Who rated the note against its report, where somebody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge: Option<Box<JudgeCall>>,
}

/// One instruction over a note, with its answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Instruction {
    /// See [`crate::ids::patient_id`].
    pub patient_id: i64,
    /// The note.
    pub note: String,
    /// The instruction or question.
    pub question: String,
    /// The answer.
    pub answer: String,
    /// The task.
    pub task: Task,
    /// The report the note was written from.
    pub report_id: ReportId,
    /// The article the note was written from.
    pub article_id: ArticleId,
    /// Which of the note's instructions this is, from 0.
    pub index: u32,
    /// Asked on purpose so that the note cannot answer it.
    pub unanswerable: bool,
    /// Licence of the source.
    pub licence: Licence,
    /// Its URL.
    pub licence_url: String,
    /// Attribution line of the source.
    pub attribution: String,
    /// The model that wrote note, question and answer.
    pub teacher_model: String,
    /// Empty until the dataset stage assigns it.
    pub split: Option<Split>,
    /// The call that wrote the note.
    pub note_call: CallLineage,
    /// The call that wrote the question.
    pub question_call: CallLineage,
    /// The call that wrote the answer.
    pub answer_call: CallLineage,
    /// Gate scores by gate name, sorted; empty until the dataset stage measures them.
    pub scores: Vec<(String, f32)>,
    /// Spans of the note that support the answer.
    pub evidence: Vec<Span>,
    /// Who rated the answer against its note, where somebody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge: Option<Box<JudgeCall>>,
}

impl Instruction {
    /// The row's identity inside the run: report and index.
    pub fn row_id(&self) -> String {
        format!("{}#{}", self.report_id, self.index)
    }
}

/// One call or attempt as the ledger has it, for export.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CallRecord {
    /// The call's identity; a row's lineage names it.
    pub request_key: String,
    /// The row it was for.
    pub row_id: String,
    /// What it was for: `note`, `question`, `answer`, `judge note` ..
    pub stage: String,
    /// The model asked for (empty: announced, and no answer seen).
    pub model: String,
    /// `reply`, `dropped`, `attempt` (paid, and followed by another one) or `unsettled` (sent, and no answer seen).
    pub outcome: String,
    /// Why it was dropped, or the provider's finish reason.
    pub reason: String,
    /// The token cap.
    pub max_tokens: i32,
    /// Tokens sent; the most they may have been where no answer was seen.
    pub prompt_tokens: i32,
    /// Tokens received; likewise.
    pub completion_tokens: i32,
    /// US dollars; none without prices.
    pub cost_usd: Option<f64>,
    /// The reply.
    pub text: Option<String>,
}
