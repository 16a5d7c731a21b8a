//! The PMC-Patients tables (V1: CSV, V2: JSON): patients that others have cut out, with ages and sexes that others have read.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::LazyLock;

use asclepius_schema::{Age, AgeUnit, ArticleId, Licence, Report, ReportId, Sex};
use regex::Regex;

use crate::pattern::pattern;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::CorpusError;

/// The licence of the whole data set.
pub(crate) const LICENCE: Licence = Licence::CcByNcSa;
const LICENCE_URL: &str = "https://creativecommons.org/licenses/by-nc-sa/4.0/";
const COLUMNS: [&str; 7] = ["patient_id", "patient_uid", "PMID", "title", "patient", "age", "gender"];

#[derive(Debug, Deserialize)]
struct Row {
    #[serde(deserialize_with = "number")]
    patient_id: i64,
    patient_uid: String,
    #[serde(rename = "PMID", deserialize_with = "words")]
    pmid: String,
    title: String,
    patient: String,
    #[serde(deserialize_with = "words")]
    age: String,
    #[serde(default)]
    gender: Option<String>,
}

/// V1 has numbers where V2 has strings.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let text = words(deserializer)?;
    text.trim().parse().map_err(|_| D::Error::custom(format!("{text:?} is no number")))
}

/// A string, or what is one in the other version: numbers, and ages as lists, which V1 writes out.
fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    struct Words;
    impl<'de> Visitor<'de> for Words {
        type Value = String;

        fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.write_str("a string, a number or a list of ages")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
            Ok(text.to_owned())
        }

        fn visit_u64<E: Error>(self, value: u64) -> Result<String, E> {
            Ok(value.to_string())
        }

        fn visit_i64<E: Error>(self, value: i64) -> Result<String, E> {
            Ok(value.to_string())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<String, A::Error> {
            let mut ages = Vec::new();
            while let Some((value, unit)) = list.next_element::<(f64, String)>()? {
                ages.push(format!("[{value}, '{unit}']"));
            }
            Ok(format!("[{}]", ages.join(", ")))
        }
    }
    deserializer.deserialize_any(Words)
}

/// A row that is not what the table's others are.
#[derive(Debug)]
pub(crate) struct BadRow {
    /// From 1, the header not counted.
    pub row: u64,
    pub what: String,
}

/// Why reading ended before the table did.
#[derive(Debug)]
pub(crate) enum Ended<S> {
    /// Whoever takes the patients wants no more.
    Stopped(S),
    Failed(CorpusError),
}

type Take<'t, S> = &'t mut dyn FnMut(Result<Vec<Report>, BadRow>) -> Result<(), S>;

/// Patients of one article that follow each other, on their way out together.
struct Groups<'t, S> {
    waiting: Vec<Report>,
    source: String,
    take: Take<'t, S>,
}

impl<'t, S> Groups<'t, S> {
    fn new(path: &Path, take: Take<'t, S>) -> Self {
        let source = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self { waiting: Vec::new(), source, take }
    }

    fn flush(&mut self) -> Result<(), S> {
        if self.waiting.is_empty() { Ok(()) } else { (self.take)(Ok(std::mem::take(&mut self.waiting))) }
    }

    fn row(&mut self, row: u64, read: Result<Row, String>) -> Result<(), S> {
        match read.and_then(|row| report(row, &self.source)) {
            Ok(report) => {
                if self.waiting.first().is_some_and(|first| first.article_id != report.article_id) {
                    self.flush()?;
                }
                self.waiting.push(report);
                Ok(())
            }
            Err(what) => {
                self.flush()?;
                (self.take)(Err(BadRow { row, what }))
            }
        }
    }
}

/// Hands on the patients of a CSV (V1), those of one article that follow each other together.
///
/// # Errors
/// When the header is none of such a table, or `take` wants no more. A bad row is handed on as such.
pub(crate) fn read_csv<S>(path: &Path, reader: impl Read, take: Take<'_, S>) -> Result<(), Ended<S>> {
    let mut table = csv::Reader::from_reader(reader);
    let damaged = |problem: String| Ended::Failed(CorpusError::Table { path: path.to_owned(), row: 0, problem });
    let header = table.headers().map_err(|error| damaged(error.to_string()))?.clone();
    if let Some(missing) = COLUMNS.iter().find(|column| !header.iter().any(|name| name == **column)) {
        return Err(damaged(format!("there is no column {missing:?}, so this is no PMC-Patients table")));
    }
    let mut groups = Groups::new(path, take);
    for (row, read) in (1..).zip(table.into_deserialize()) {
        groups.row(row, read.map_err(|error| error.to_string())).map_err(Ended::Stopped)?;
    }
    groups.flush().map_err(Ended::Stopped)
}

/// Hands on the patients of a JSON list of objects (V2), or of objects that follow each other.
///
/// # Errors
/// When it is neither, or `take` wants no more. An object that is no patient is handed on as a bad row; where the list
/// itself is damaged the rest of it is one.
pub(crate) fn read_json<S>(path: &Path, reader: impl Read, take: Take<'_, S>) -> Result<(), Ended<S>> {
    let mut reader = BufReader::new(reader);
    let first = loop {
        let bytes = reader.fill_buf().map_err(|error| Ended::Failed(error.into()))?;
        let Some(first) = bytes.first().copied() else { break None };
        // Blanks and the mark of byte order before it.
        if first.is_ascii_whitespace() || matches!(first, 0xef | 0xbb | 0xbf) {
            reader.consume(1);
        } else {
            break Some(first);
        }
    };
    let mut groups = Groups::new(path, take);
    let mut row = 0;
    match first {
        Some(b'[') => {
            let mut stopped = None;
            let list = List { groups: &mut groups, row: &mut row, stopped: &mut stopped };
            let mut json = serde_json::Deserializer::from_reader(reader);
            let read = json.deserialize_seq(list).and_then(|()| json.end());
            if let Some(stop) = stopped {
                return Err(Ended::Stopped(stop));
            }
            if let Err(error) = read {
                groups.row(row + 1, Err(error.to_string())).map_err(Ended::Stopped)?;
            }
        }
        Some(b'{') => {
            for value in serde_json::Deserializer::from_reader(reader).into_iter::<serde_json::Value>() {
                row += 1;
                let read = value.and_then(serde_json::from_value).map_err(|error| error.to_string());
                groups.row(row, read).map_err(Ended::Stopped)?;
            }
        }
        _ => {
            let problem = "it begins with neither [ nor {, so this is no PMC-Patients list".to_owned();
            return Err(Ended::Failed(CorpusError::Table { path: path.to_owned(), row: 0, problem }));
        }
    }
    groups.flush().map_err(Ended::Stopped)
}

/// Reads a list an object at a time, so that the whole is never in memory.
struct List<'l, 't, S> {
    groups: &'l mut Groups<'t, S>,
    row: &'l mut u64,
    stopped: &'l mut Option<S>,
}

impl<'de, S> Visitor<'de> for List<'_, '_, S> {
    type Value = ();

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a list of patients")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(value) = list.next_element::<serde_json::Value>()? {
            *self.row += 1;
            let read = serde_json::from_value(value).map_err(|error| error.to_string());
            if let Err(stop) = self.groups.row(*self.row, read) {
                *self.stopped = Some(stop);
                return Err(A::Error::custom("no more is wanted"));
            }
        }
        Ok(())
    }
}

fn report(row: Row, source: &str) -> Result<Report, String> {
    let shape = || format!("patient_uid {:?} is not <PMCID digits>-<n>", row.patient_uid);
    let (digits, n) = row.patient_uid.split_once('-').ok_or_else(shape)?;
    let article_id = ArticleId::from_pmcid(digits).map_err(|_| shape())?;
    let n: u32 = n.parse().map_err(|_| shape())?;
    // One line, as the attribution that names it.
    let title = row.title.split_whitespace().collect::<Vec<_>>().join(" ");
    let sex = match row.gender.as_deref().unwrap_or_default().trim() {
        "M" => Sex::Male,
        "F" => Sex::Female,
        _ => Sex::Unknown,
    };
    Ok(Report {
        patient_id: row.patient_id,
        report_id: ReportId::new(&article_id, 1, n),
        attribution: format!(
            "{}. {article_id}, as cut out by PMC-Patients (Zhao et al., Scientific Data 2023). Licence {LICENCE} ({LICENCE_URL})",
            title.trim_end_matches('.')
        ),
        title,
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
        tables: Vec::new(),
        captions: Vec::new(),
        article_id,
    })
}

fn paragraphs(text: &str) -> String {
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n\n")
}

/// A Python literal such as `[[60.0, 'year']]`; of a compound age the largest unit, which comes first.
fn age(literal: &str) -> Option<Age> {
    static FIRST: LazyLock<Regex> = LazyLock::new(|| pattern(r"\[\s*([\d.]+)\s*,\s*'(\w+?)s?'"));
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
