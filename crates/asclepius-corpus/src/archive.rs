//! What PubMed Central files beside an article: today's metadata, one JSON a version, and the old dumps' file list.
//!
//! Neither admits anything: a code contradicts the article's own licence or it does not, and a missing one says
//! nothing. A retraction that only stands here counts.

use std::collections::HashMap;
use std::path::Path;

use asclepius_schema::{ArticleId, Licence};
use serde::Deserialize;

use crate::CorpusError;

/// What is filed about one article.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filed {
    /// The licence code as filed.
    pub licence: Option<String>,
    pub retracted: bool,
}

/// `metadata/PMC<id>.<version>.json`, as far as a gate needs it.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    #[serde(default)]
    pub license_code: Option<String>,
    #[serde(default)]
    pub is_retracted: Option<bool>,
    #[serde(default)]
    pub is_manuscript: Option<bool>,
}

impl Metadata {
    /// Reads the bytes of one file.
    ///
    /// # Errors
    /// When they are no JSON object of that shape.
    pub fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    fn filed(&self) -> Filed {
        Filed { licence: self.license_code.clone(), retracted: self.is_retracted.unwrap_or(false) }
    }
}

/// The metadata of the file at `path`, where it lies in today's layout: beside the article, or in `metadata` beside its
/// folder. `Err` names a file that is there and cannot be read.
pub(crate) fn metadata_of(path: &Path) -> Result<Option<Metadata>, String> {
    let Some(name) = path.file_name().map(|name| name.to_string_lossy()) else { return Ok(None) };
    let lower = name.to_ascii_lowercase();
    let stem_length =
        [".xml.gz", ".nxml.gz", ".xml", ".nxml"].iter().find_map(|end| lower.strip_suffix(end)).map(str::len);
    let Some(stem) = stem_length.and_then(|length| name.get(..length)).filter(|stem| stem.starts_with("PMC")) else {
        return Ok(None);
    };
    let file = format!("{stem}.json");
    let folder = path.parent().unwrap_or(Path::new(""));
    let beside = folder.parent().unwrap_or(Path::new(""));
    for candidate in [folder.join(&file), folder.join("metadata").join(&file), beside.join("metadata").join(&file)] {
        match fs_err::read(&candidate) {
            Ok(bytes) => {
                return Metadata::parse(&bytes).map(Some).map_err(|error| format!("its metadata {file}: {error}"));
            }
            Err(error)
                if error.kind() == std::io::ErrorKind::NotFound
                    || error.kind() == std::io::ErrorKind::NotADirectory => {}
            Err(error) => return Err(format!("its metadata {file}: {}", error.kind())),
        }
    }
    Ok(None)
}

/// The rows of `oa_file_list.csv` or of a package's `*.filelist.csv`, by PMCID: a licence and whether it is retracted.
#[derive(Debug, Default)]
pub(crate) struct FileList {
    rows: HashMap<u32, u8>,
    codes: Vec<String>,
}

const RETRACTED: u8 = 128;

impl FileList {
    /// Whether a file of this name is such a list.
    pub fn is_named(name: &str) -> bool {
        name == "oa_file_list.csv" || name == "oa_comm_file_list.csv" || name.ends_with(".filelist.csv")
    }

    /// Adds the rows of one list.
    ///
    /// # Errors
    /// [`CorpusError::Table`] with the row, when a column is missing or a row is torn.
    pub fn read(&mut self, path: &Path) -> Result<(), CorpusError> {
        let damaged = |row, problem: String| CorpusError::Table { path: path.to_owned(), row, problem };
        let mut table = csv::ReaderBuilder::new().flexible(true).from_reader(fs_err::File::open(path)?);
        let header = table.headers().map_err(|error| damaged(0, error.to_string()))?.clone();
        let column = |names: &[&str]| header.iter().position(|name| names.contains(&name.trim()));
        let id = column(&["Accession ID", "AccessionID"]);
        let Some((id, licence)) = id.zip(column(&["License"])) else {
            return Err(damaged(0, "there are no columns \"Accession ID\" and \"License\"".to_owned()));
        };
        let retracted = column(&["Retracted"]);
        for (row, record) in table.records().enumerate() {
            let record = record.map_err(|error| damaged(row as u64 + 1, error.to_string()))?;
            let digits = record.get(id).and_then(|id| id.trim().strip_prefix("PMC")?.parse::<u32>().ok());
            let Some(digits) = digits else {
                return Err(damaged(row as u64 + 1, "the accession id is no PMCID".to_owned()));
            };
            let code = record.get(licence).unwrap_or_default().trim();
            let known = self.codes.iter().position(|known| known == code).or_else(|| {
                self.codes.push(code.to_owned());
                (self.codes.len() < usize::from(RETRACTED)).then(|| self.codes.len() - 1)
            });
            let Some(known) = known else {
                return Err(damaged(row as u64 + 1, "more than 127 licence codes".to_owned()));
            };
            let gone = retracted.and_then(|at| record.get(at)).is_some_and(|value| value.eq_ignore_ascii_case("yes"));
            self.rows.insert(digits, known as u8 | if gone { RETRACTED } else { 0 });
        }
        Ok(())
    }

    fn of(&self, article: &ArticleId) -> Option<Filed> {
        let digits = u32::try_from(article.pmcid_digits()?).ok()?;
        let row = self.rows.get(&digits)?;
        let code = self.codes.get(usize::from(row & !RETRACTED))?;
        Some(Filed { licence: Some(code.clone()), retracted: row & RETRACTED != 0 })
    }

    /// What is filed about an article: in its metadata, else in a list.
    pub fn filed(&self, metadata: Option<&Metadata>, article: &ArticleId) -> Filed {
        let listed = self.of(article).unwrap_or_default();
        match metadata.map(Metadata::filed) {
            Some(filed) => {
                Filed { licence: filed.licence.or(listed.licence), retracted: filed.retracted || listed.retracted }
            }
            None => listed,
        }
    }
}

/// Codes that say that nothing was read, not that something else was.
pub(crate) fn says_nothing(code: &str) -> bool {
    let code = code.trim();
    code.is_empty() || ["NO-CC CODE", "none", "null", "unknown", "other"].iter().any(|no| code.eq_ignore_ascii_case(no))
}

/// What the class of a filed code is called, for a message.
pub(crate) fn named(class: Option<Licence>, code: &str) -> String {
    class.map_or_else(|| code.chars().take(40).collect(), |class| class.name().to_owned())
}
