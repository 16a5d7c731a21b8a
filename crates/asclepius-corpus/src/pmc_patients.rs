//! The PMC-Patients table (V1, CSV): patients that others have cut out, with ages and sexes that others have read.

use std::io::Read;
use std::path::Path;
use std::sync::LazyLock;

use asclepius_schema::{Age, AgeUnit, ArticleId, Licence, Report, ReportId, Sex};
use regex::Regex;
use serde::Deserialize;

use crate::CorpusError;

/// The licence of the whole data set.
pub(crate) const LICENCE: Licence = Licence::CcByNcSa;
const LICENCE_URL: &str = "https://creativecommons.org/licenses/by-nc-sa/4.0/";
const COLUMNS: [&str; 7] = ["patient_id", "patient_uid", "PMID", "title", "patient", "age", "gender"];

#[derive(Debug, Deserialize)]
struct Row {
    patient_id: i64,
    patient_uid: String,
    #[serde(rename = "PMID")]
    pmid: String,
    title: String,
    patient: String,
    age: String,
    gender: String,
}

/// A row that is not what the table's others are.
#[derive(Debug)]
pub(crate) struct BadRow {
    /// From 1, the header not counted.
    pub row: u64,
    pub what: String,
}

/// The table's patients, those of one article that follow each other together.
pub(crate) fn read<R: Read>(path: &Path, reader: R) -> Result<Groups<R>, CorpusError> {
    let mut table = csv::Reader::from_reader(reader);
    let damaged = |problem: String| CorpusError::Table { path: path.to_owned(), row: 0, problem };
    let header = table.headers().map_err(|error| damaged(error.to_string()))?.clone();
    if let Some(missing) = COLUMNS.iter().find(|column| !header.iter().any(|name| name == **column)) {
        return Err(damaged(format!("there is no column {missing:?}, so this is no PMC-Patients table")));
    }
    Ok(Groups {
        rows: table.into_deserialize(),
        row: 0,
        waiting: None,
        source: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
    })
}

pub(crate) struct Groups<R> {
    rows: csv::DeserializeRecordsIntoIter<R, Row>,
    row: u64,
    waiting: Option<Result<Report, BadRow>>,
    source: String,
}

impl<R: Read> Groups<R> {
    fn next_report(&mut self) -> Option<Result<Report, BadRow>> {
        if let Some(waiting) = self.waiting.take() {
            return Some(waiting);
        }
        let row = self.rows.next()?;
        self.row += 1;
        let read = row.map_err(|error| error.to_string()).and_then(|row| report(row, &self.source));
        Some(read.map_err(|what| BadRow { row: self.row, what }))
    }
}

impl<R: Read> Iterator for Groups<R> {
    type Item = Result<Vec<Report>, BadRow>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut group = match self.next_report()? {
            Ok(report) => vec![report],
            Err(bad) => return Some(Err(bad)),
        };
        while let Some(next) = self.next_report() {
            match next {
                Ok(report) if report.article_id == group[0].article_id => group.push(report),
                other => {
                    self.waiting = Some(other);
                    break;
                }
            }
        }
        Some(Ok(group))
    }
}

fn report(row: Row, source: &str) -> Result<Report, String> {
    let shape = || format!("patient_uid {:?} is not <PMCID digits>-<n>", row.patient_uid);
    let (digits, n) = row.patient_uid.split_once('-').ok_or_else(shape)?;
    let article_id = ArticleId::from_pmcid(digits).map_err(|_| shape())?;
    let n: u32 = n.parse().map_err(|_| shape())?;
    let sex = match row.gender.trim() {
        "M" => Sex::Male,
        "F" => Sex::Female,
        _ => Sex::Unknown,
    };
    Ok(Report {
        patient_id: row.patient_id,
        report_id: ReportId::new(&article_id, 1, n),
        attribution: format!(
            "{}. {article_id}, as cut out by PMC-Patients (Zhao et al., Scientific Data 2023). Licence {LICENCE} ({LICENCE_URL})",
            row.title.trim_end_matches('.')
        ),
        title: row.title,
        report: paragraphs(&row.patient),
        age: age(&row.age),
        sex,
        licence: LICENCE,
        licence_url: LICENCE_URL.to_owned(),
        doi: String::new(),
        pmid: row.pmid,
        journal: String::new(),
        year: None,
        subjects: Vec::new(),
        source: source.to_owned(),
        section: String::new(),
        article_id,
    })
}

fn paragraphs(text: &str) -> String {
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n\n")
}

/// A Python literal such as `[[60.0, 'year']]`; of a compound age the largest unit, which comes first.
fn age(literal: &str) -> Option<Age> {
    static FIRST: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\[\s*([\d.]+)\s*,\s*'(\w+?)s?'").expect("a fixed pattern"));
    let found = FIRST.captures(literal)?;
    let unit = match &found[2] {
        "year" => AgeUnit::Year,
        "month" => AgeUnit::Month,
        "week" => AgeUnit::Week,
        "day" => AgeUnit::Day,
        _ => return None,
    };
    Some(Age { value: found[1].parse().ok()?, unit })
}
