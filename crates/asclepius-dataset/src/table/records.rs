//! The columns of each record type, in the order they lie in the file.
//!
//! `instructions` starts with the five columns of the published dataset (same names, same types), so that either file
//! can stand in for the other; then comes the lineage.

use asclepius_schema::{
    Age, AgeUnit, ArticleId, CallLineage, CallRecord, Instruction, JudgeCall, Licence, Note, Report, ReportId, Sex,
    Split, Task,
};
use asclepius_text::Gate;

use super::column::{Column, Get};
use super::reader::Cells;
use crate::DatasetError;

/// What a file holds beside a record's plain columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    /// Nothing: what no judge was asked about.
    #[default]
    Plain,
    /// A judge's score and the call that gave it.
    Judged,
}

/// Gates whose scores a row can carry, sorted: the fields of the `scores` column, the same in every file of a layout.
pub fn score_names(layout: Layout) -> Vec<&'static str> {
    let held = |gate: &Gate| layout == Layout::Judged || *gate != Gate::Judge;
    Gate::ALL.into_iter().filter(held).map(Gate::name).collect()
}

/// A type that has a Parquet layout here.
pub trait Record: Clone + Sized + 'static {
    /// What one is called in messages.
    const NAME: &'static str;
    /// Columns that even a foreign file must have; see [`super::read_instructions_any`].
    const LEAST: &'static [&'static str];
    /// Columns that files of earlier versions lack: read as empty there.
    const LATER: &'static [&'static str] = &[];
    /// Its columns, in order.
    fn columns() -> Vec<Column<Self>>;
    /// Those that follow where a judge was asked.
    fn judge_columns() -> Vec<Column<Self>> {
        Vec::new()
    }
    /// All columns of a file of this layout, in order.
    fn layout(layout: Layout) -> Vec<Column<Self>> {
        let mut columns = Self::columns();
        if layout == Layout::Judged {
            columns.extend(Self::judge_columns());
        }
        columns
    }
    /// Reads one row.
    ///
    /// # Errors
    /// When a cell is null or holds what this version does not know.
    fn read(cells: &Cells<'_>) -> Result<Self, DatasetError>;
}

/// Columns of the fields that notes and instructions share after their texts.
macro_rules! lineage_columns {
    () => {
        [
            Column { name: "report_id", get: Get::Text(|row: &Self| Some(row.report_id.as_str())) },
            Column { name: "article_id", get: Get::Text(|row: &Self| Some(row.article_id.as_str())) },
            Column { name: "licence", get: Get::Text(|row: &Self| Some(row.licence.name())) },
            Column { name: "licence_url", get: Get::Text(|row: &Self| Some(&row.licence_url)) },
            Column { name: "attribution", get: Get::Text(|row: &Self| Some(&row.attribution)) },
            Column { name: "teacher_model", get: Get::Text(|row: &Self| Some(&row.teacher_model)) },
            Column { name: "split", get: Get::Text(|row: &Self| row.split.map(Split::name)) },
        ]
    };
}

/// The five columns of one call to the chat API.
macro_rules! call_columns {
    ($prefix:literal, $call:ident) => {
        [
            Column {
                name: concat!($prefix, "_prompt_hash"),
                get: Get::Text(|row: &Self| Some(&row.$call.prompt_hash)),
            },
            Column {
                name: concat!($prefix, "_request_key"),
                get: Get::Text(|row: &Self| Some(&row.$call.request_key)),
            },
            Column {
                name: concat!($prefix, "_finish_reason"),
                get: Get::Text(|row: &Self| Some(&row.$call.finish_reason)),
            },
            Column {
                name: concat!($prefix, "_prompt_tokens"),
                get: Get::Int32(|row: &Self| Some(row.$call.prompt_tokens)),
            },
            Column {
                name: concat!($prefix, "_completion_tokens"),
                get: Get::Int32(|row: &Self| Some(row.$call.completion_tokens)),
            },
        ]
    };
}

/// The columns of a judge's call; null where it gave no rating.
macro_rules! judge_columns {
    () => {
        vec![
            Column { name: "judge_model", get: Get::Text(|row| Some(&row.judge.as_ref()?.model)) },
            Column { name: "judge_prompt_hash", get: Get::Text(|row| Some(&row.judge.as_ref()?.call.prompt_hash)) },
            Column { name: "judge_request_key", get: Get::Text(|row| Some(&row.judge.as_ref()?.call.request_key)) },
            Column { name: "judge_finish_reason", get: Get::Text(|row| Some(&row.judge.as_ref()?.call.finish_reason)) },
            Column { name: "judge_prompt_tokens", get: Get::Int32(|row| Some(row.judge.as_ref()?.call.prompt_tokens)) },
            Column {
                name: "judge_completion_tokens",
                get: Get::Int32(|row| Some(row.judge.as_ref()?.call.completion_tokens)),
            },
        ]
    };
}

fn read_judge(cells: &Cells<'_>) -> Result<Option<Box<JudgeCall>>, DatasetError> {
    let Some(model) = cells.beside("judge_model")? else { return Ok(None) };
    Ok(Some(Box::new(JudgeCall {
        model,
        call: CallLineage {
            prompt_hash: cells.beside("judge_prompt_hash")?.unwrap_or_default(),
            request_key: cells.beside("judge_request_key")?.unwrap_or_default(),
            finish_reason: cells.beside("judge_finish_reason")?.unwrap_or_default(),
            prompt_tokens: cells.beside("judge_prompt_tokens")?.unwrap_or_default(),
            completion_tokens: cells.beside("judge_completion_tokens")?.unwrap_or_default(),
        },
    })))
}

macro_rules! read_call {
    ($cells:ident, $prefix:literal) => {
        CallLineage {
            prompt_hash: $cells.get_or_default(concat!($prefix, "_prompt_hash"))?,
            request_key: $cells.get_or_default(concat!($prefix, "_request_key"))?,
            finish_reason: $cells.get_or_default(concat!($prefix, "_finish_reason"))?,
            prompt_tokens: $cells.get_or_default(concat!($prefix, "_prompt_tokens"))?,
            completion_tokens: $cells.get_or_default(concat!($prefix, "_completion_tokens"))?,
        }
    };
}

impl Record for Report {
    const NAME: &'static str = "report";
    const LEAST: &'static [&'static str] = &["report_id", "report"];
    const LATER: &'static [&'static str] = &["tables", "captions"];

    fn columns() -> Vec<Column<Self>> {
        vec![
            Column { name: "patient_id", get: Get::Int64(|row| row.patient_id) },
            Column { name: "report_id", get: Get::Text(|row| Some(row.report_id.as_str())) },
            Column { name: "article_id", get: Get::Text(|row| Some(row.article_id.as_str())) },
            Column { name: "title", get: Get::Text(|row| Some(&row.title)) },
            Column { name: "report", get: Get::Text(|row| Some(&row.report)) },
            Column { name: "age", get: Get::Float32(|row| row.age.map(|age| age.value)) },
            Column { name: "age_unit", get: Get::Text(|row| row.age.map(|age| unit_name(age.unit))) },
            Column { name: "sex", get: Get::Text(|row| Some(sex_name(row.sex))) },
            Column { name: "licence", get: Get::Text(|row| Some(row.licence.name())) },
            Column { name: "licence_url", get: Get::Text(|row| Some(&row.licence_url)) },
            Column { name: "attribution", get: Get::Text(|row| Some(&row.attribution)) },
            Column { name: "doi", get: Get::Text(|row| Some(&row.doi)) },
            Column { name: "pmid", get: Get::Text(|row| Some(&row.pmid)) },
            Column { name: "journal", get: Get::Text(|row| Some(&row.journal)) },
            Column { name: "year", get: Get::Int32(|row| row.year) },
            Column { name: "subjects", get: Get::Texts(|row| &row.subjects) },
            Column { name: "source", get: Get::Text(|row| Some(&row.source)) },
            Column { name: "section", get: Get::Text(|row| Some(&row.section)) },
            Column { name: "tables", get: Get::Texts(|row| &row.tables) },
            Column { name: "captions", get: Get::Texts(|row| &row.captions) },
        ]
    }

    fn read(cells: &Cells<'_>) -> Result<Self, DatasetError> {
        let age = match (cells.optional("age")?, cells.optional::<String>("age_unit")?) {
            (Some(value), Some(_)) => Some(Age {
                value,
                unit: cells.word("age_unit", "year, month, week or day", |name| {
                    [AgeUnit::Year, AgeUnit::Month, AgeUnit::Week, AgeUnit::Day]
                        .into_iter()
                        .find(|&unit| unit_name(unit) == name)
                })?,
            }),
            _ => None,
        };
        Ok(Self {
            patient_id: cells.get("patient_id")?,
            report_id: ReportId::from_stored(cells.get::<String>("report_id")?),
            article_id: ArticleId::from_stored(cells.get::<String>("article_id")?),
            title: cells.get("title")?,
            report: cells.get("report")?,
            age,
            sex: cells.word("sex", "female, male or unknown", |name| {
                [Sex::Female, Sex::Male, Sex::Unknown].into_iter().find(|&sex| sex_name(sex) == name)
            })?,
            licence: cells.word("licence", LICENCES, Licence::parse)?,
            licence_url: cells.get("licence_url")?,
            attribution: cells.get("attribution")?,
            doi: cells.get("doi")?,
            pmid: cells.get("pmid")?,
            journal: cells.get("journal")?,
            year: cells.optional("year")?,
            subjects: cells.get("subjects")?,
            source: cells.get("source")?,
            section: cells.get("section")?,
            tables: cells.later("tables")?,
            captions: cells.later("captions")?,
        })
    }
}

impl Record for Note {
    const NAME: &'static str = "note";
    const LEAST: &'static [&'static str] = &["report_id", "note"];

    fn columns() -> Vec<Column<Self>> {
        let texts = [
            Column { name: "patient_id", get: Get::Int64(|row: &Self| row.patient_id) },
            Column { name: "note", get: Get::Text(|row| Some(&row.note)) },
        ];
        let scores = Column { name: "scores", get: Get::Scores(|row: &Self| &row.scores) };
        texts.into_iter().chain(lineage_columns!()).chain(call_columns!("note", note_call)).chain([scores]).collect()
    }

    fn judge_columns() -> Vec<Column<Self>> {
        judge_columns!()
    }

    fn read(cells: &Cells<'_>) -> Result<Self, DatasetError> {
        Ok(Self {
            patient_id: cells.get("patient_id")?,
            note: cells.get("note")?,
            report_id: ReportId::from_stored(cells.get::<String>("report_id")?),
            article_id: ArticleId::from_stored(cells.get::<String>("article_id")?),
            licence: cells.word("licence", LICENCES, Licence::parse)?,
            licence_url: cells.get("licence_url")?,
            attribution: cells.get("attribution")?,
            teacher_model: cells.get("teacher_model")?,
            split: split(cells)?,
            note_call: read_call!(cells, "note"),
            scores: cells.get_or_default("scores")?,
            judge: read_judge(cells)?,
        })
    }
}

impl Record for Instruction {
    const NAME: &'static str = "instruction";
    const LEAST: &'static [&'static str] = &["patient_id", "note", "question", "answer", "task"];

    fn columns() -> Vec<Column<Self>> {
        let published = [
            Column { name: "patient_id", get: Get::Int64(|row: &Self| row.patient_id) },
            Column { name: "note", get: Get::Text(|row| Some(&row.note)) },
            Column { name: "question", get: Get::Text(|row| Some(&row.question)) },
            Column { name: "answer", get: Get::Text(|row| Some(&row.answer)) },
            Column { name: "task", get: Get::Text(|row| Some(row.task.title())) },
        ];
        let rest = [
            Column { name: "scores", get: Get::Scores(|row: &Self| &row.scores) },
            Column { name: "evidence", get: Get::Spans(|row| &row.evidence) },
            Column { name: "instruction_index", get: Get::Int32(|row| Some(row.index as i32)) },
            Column { name: "unanswerable", get: Get::Boolean(|row| row.unanswerable) },
        ];
        published
            .into_iter()
            .chain(lineage_columns!())
            .chain(call_columns!("note", note_call))
            .chain(call_columns!("question", question_call))
            .chain(call_columns!("answer", answer_call))
            .chain(rest)
            .collect()
    }

    fn judge_columns() -> Vec<Column<Self>> {
        judge_columns!()
    }

    fn read(cells: &Cells<'_>) -> Result<Self, DatasetError> {
        let patient_id: i64 = cells.get("patient_id")?;
        let named = |column, prefix| {
            Ok::<_, DatasetError>(match cells.optional_or_absent::<String>(column)? {
                Some(id) => id,
                None => format!("{prefix}{patient_id}"),
            })
        };
        Ok(Self {
            patient_id,
            note: cells.get("note")?,
            question: cells.get("question")?,
            answer: cells.get("answer")?,
            task: cells.word("task", "one of the eight tasks by its published name", Task::parse)?,
            report_id: ReportId::from_stored(named("report_id", "patient-")?),
            article_id: ArticleId::from_stored(named("article_id", "patient-")?),
            // A foreign file has no index: its row number keeps rows of one patient apart.
            index: cells.get_or("instruction_index", || cells.row() as i32)? as u32,
            unanswerable: cells.get_or_default("unanswerable")?,
            licence: if cells.optional_or_absent::<String>("licence")?.is_some() {
                cells.word("licence", LICENCES, Licence::parse)?
            } else {
                Licence::CcByNcSa
            },
            licence_url: cells.get_or_default("licence_url")?,
            attribution: cells.get_or_default("attribution")?,
            teacher_model: cells.get_or_default("teacher_model")?,
            split: split(cells)?,
            note_call: read_call!(cells, "note"),
            question_call: read_call!(cells, "question"),
            answer_call: read_call!(cells, "answer"),
            scores: cells.get_or_default("scores")?,
            evidence: cells.get_or_default("evidence")?,
            judge: read_judge(cells)?,
        })
    }
}

impl Record for CallRecord {
    const NAME: &'static str = "call";
    const LEAST: &'static [&'static str] = &["request_key", "outcome"];

    fn columns() -> Vec<Column<Self>> {
        vec![
            Column { name: "request_key", get: Get::Text(|row| Some(&row.request_key)) },
            Column { name: "row_id", get: Get::Text(|row| Some(&row.row_id)) },
            Column { name: "stage", get: Get::Text(|row| Some(&row.stage)) },
            Column { name: "model", get: Get::Text(|row| Some(&row.model)) },
            Column { name: "outcome", get: Get::Text(|row| Some(&row.outcome)) },
            Column { name: "reason", get: Get::Text(|row| Some(&row.reason)) },
            Column { name: "max_tokens", get: Get::Int32(|row| Some(row.max_tokens)) },
            Column { name: "prompt_tokens", get: Get::Int32(|row| Some(row.prompt_tokens)) },
            Column { name: "completion_tokens", get: Get::Int32(|row| Some(row.completion_tokens)) },
            Column { name: "cost_usd", get: Get::Float64(|row| row.cost_usd) },
            Column { name: "text", get: Get::Text(|row| row.text.as_deref()) },
        ]
    }

    fn read(cells: &Cells<'_>) -> Result<Self, DatasetError> {
        Ok(Self {
            request_key: cells.get("request_key")?,
            row_id: cells.get("row_id")?,
            stage: cells.get("stage")?,
            model: cells.get("model")?,
            outcome: cells.get("outcome")?,
            reason: cells.get("reason")?,
            max_tokens: cells.get("max_tokens")?,
            prompt_tokens: cells.get("prompt_tokens")?,
            completion_tokens: cells.get("completion_tokens")?,
            cost_usd: cells.optional("cost_usd")?,
            text: cells.optional("text")?,
        })
    }
}

const LICENCES: &str = "a Creative Commons class such as CC0 or CC BY";

fn split(cells: &Cells<'_>) -> Result<Option<Split>, DatasetError> {
    if cells.optional_or_absent::<String>("split")?.is_none() {
        return Ok(None);
    }
    let parse = |name: &str| [Split::Train, Split::Validation].into_iter().find(|split| split.name() == name);
    cells.word("split", "train or validation", parse).map(Some)
}

fn unit_name(unit: AgeUnit) -> &'static str {
    match unit {
        AgeUnit::Year => "year",
        AgeUnit::Month => "month",
        AgeUnit::Week => "week",
        AgeUnit::Day => "day",
    }
}

fn sex_name(sex: Sex) -> &'static str {
    match sex {
        Sex::Female => "female",
        Sex::Male => "male",
        Sex::Unknown => "unknown",
    }
}
