//! Which files are read, in which order.

use std::path::{Path, PathBuf};

use crate::{CorpusConfig, CorpusError};

/// What a file is, told from its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceKind {
    /// JATS: one article or a set of them.
    Xml,
    /// The same, compressed.
    XmlGz,
    /// An archive with JATS members among others.
    TarGz,
    /// The PMC-Patients table.
    PmcPatientsCsv,
}

/// One file of the corpus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Where it is.
    pub path: PathBuf,
    /// Its name in records and reasons: relative to the input it was found under, with forward slashes.
    pub name: String,
    /// What it is.
    pub kind: SourceKind,
    /// Its size on disk in bytes.
    pub bytes: u64,
}

const IN_DIRECTORIES: &str = ".xml, .nxml, .xml.gz, .nxml.gz or .tar.gz";
const NAMED: &str = ".xml, .nxml, .xml.gz, .nxml.gz, .tar.gz or a PMC-Patients .csv";

/// Whether a name (of a file, or of a member of an archive) promises JATS, and compressed or not.
pub(crate) fn article_kind(name: &str) -> Option<SourceKind> {
    let lower = name.to_ascii_lowercase();
    let (stem, compressed) = lower.strip_suffix(".gz").map_or((lower.as_str(), false), |stem| (stem, true));
    match (stem.rsplit_once('.')?.1, compressed) {
        ("tar", true) => Some(SourceKind::TarGz),
        ("xml" | "nxml", true) => Some(SourceKind::XmlGz),
        ("xml" | "nxml", false) => Some(SourceKind::Xml),
        _ => None,
    }
}

/// The files that `config` names: inputs in their order, what is below a directory sorted by name.
///
/// # Errors
/// When an input does not exist, is a file of a kind that is not read, is a directory without any article file, or is
/// a data set whose own licence is not admitted.
pub fn sources(config: &CorpusConfig) -> Result<Vec<Source>, CorpusError> {
    let mut found = Vec::new();
    for input in &config.inputs {
        if !input.exists() {
            return Err(CorpusError::InputMissing { path: input.clone() });
        }
        if input.is_dir() {
            let mut below = Vec::new();
            walk(input, "", &mut below)?;
            if below.is_empty() {
                return Err(CorpusError::InputEmpty { path: input.clone(), expected: IN_DIRECTORIES });
            }
            below.sort_by(|a, b| a.name.cmp(&b.name));
            found.extend(below);
        } else {
            let name = input.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let is_csv = input.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
            let kind = if is_csv { Some(SourceKind::PmcPatientsCsv) } else { article_kind(&name) };
            let Some(kind) = kind else {
                return Err(CorpusError::InputKind { path: input.clone(), expected: NAMED });
            };
            let licence = crate::pmc_patients::LICENCE;
            if is_csv && !config.licences.contains(&licence) {
                return Err(CorpusError::LicenceNotAdmitted { path: input.clone(), licence });
            }
            let bytes = fs_err::metadata(input)?.len();
            found.push(Source { path: input.clone(), name, kind, bytes });
        }
    }
    Ok(found)
}

fn walk(directory: &Path, prefix: &str, found: &mut Vec<Source>) -> Result<(), CorpusError> {
    for entry in fs_err::read_dir(directory)? {
        let entry = entry?;
        let file_name = entry.file_name().to_string_lossy().into_owned();
        let name = if prefix.is_empty() { file_name.clone() } else { format!("{prefix}/{file_name}") };
        // Of links only those to files are followed: one to a directory may lead back up.
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), &name, found)?;
        } else if let Some(kind) = article_kind(&file_name) {
            let metadata = fs_err::metadata(entry.path())?;
            if metadata.is_file() {
                found.push(Source { path: entry.path(), name, kind, bytes: metadata.len() });
            }
        }
    }
    Ok(())
}
