//! Which files are read, in which order.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::archive::{FileList, metadata_of};
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
    /// The PMC-Patients table, version 1.
    PmcPatientsCsv,
    /// The same, version 2: a list of objects.
    PmcPatientsJson,
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
const NAMED: &str = ".xml, .nxml, .xml.gz, .nxml.gz, .tar.gz, or a PMC-Patients .csv or .json";

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

/// The files that `config` names: inputs in their order, what is below a directory or matches a glob sorted by name. Of
/// several versions of an article in one input the preferred one comes first, since that is the one kept.
///
/// # Errors
/// When an input does not exist, is a file of a kind that is not read, is a directory or glob without any article file,
/// or is a data set whose own licence is not admitted.
pub fn sources(config: &CorpusConfig) -> Result<Vec<Source>, CorpusError> {
    let mut found = Vec::new();
    for input in &config.inputs {
        if input.exists() {
            found.extend(below(input, config)?);
            continue;
        }
        let Some(pattern) = input.to_str().filter(|text| text.contains(['*', '?', '['])) else {
            return Err(CorpusError::InputMissing { path: input.clone() });
        };
        let refuse = |problem: String| CorpusError::Glob { path: input.clone(), problem };
        let mut matching = Vec::new();
        for path in glob::glob(pattern).map_err(|error| refuse(error.to_string()))? {
            let path = path.map_err(|error| refuse(error.to_string()))?;
            // What a directory would pass over a glob passes over too; a table must be named whole.
            let is_read =
                path.is_dir() || path.file_name().is_some_and(|name| article_kind(&name.to_string_lossy()).is_some());
            if is_read {
                match below(&path, config) {
                    Ok(more) => matching.extend(more),
                    Err(CorpusError::InputEmpty { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        if matching.is_empty() {
            return Err(refuse(format!("matches no article file: expected {IN_DIRECTORIES}")));
        }
        found.extend(matching);
    }
    Ok(found)
}

/// The files of one path that exists.
fn below(input: &Path, config: &CorpusConfig) -> Result<Vec<Source>, CorpusError> {
    if input.is_dir() {
        let mut below = Vec::new();
        walk(input, "", &mut below)?;
        if below.is_empty() {
            return Err(CorpusError::InputEmpty { path: input.to_owned(), expected: IN_DIRECTORIES });
        }
        below.sort_by(|a, b| a.name.cmp(&b.name));
        prefer_versions(&mut below);
        return Ok(below);
    }
    let name = input.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let ends = |kind| input.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(kind));
    let table = match () {
        () if ends("csv") => Some(SourceKind::PmcPatientsCsv),
        () if ends("json") => Some(SourceKind::PmcPatientsJson),
        () => None,
    };
    let Some(kind) = table.or_else(|| article_kind(&name)) else {
        return Err(CorpusError::InputKind { path: input.to_owned(), expected: NAMED });
    };
    let licence = crate::pmc_patients::LICENCE;
    if table.is_some() && !config.licences.contains(&licence) {
        return Err(CorpusError::LicenceNotAdmitted { path: input.to_owned(), licence });
    }
    let bytes = fs_err::metadata(input)?.len();
    Ok(vec![Source { path: input.to_owned(), name, kind, bytes }])
}

/// The PMCID and version that a file of today's layout carries in its name.
fn version(source: &Source) -> Option<(u64, u32)> {
    let name = source.name.rsplit('/').next()?.strip_prefix("PMC")?;
    let mut parts = name.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Puts the preferred version of each article in the place of its first: one that is no author's manuscript, then the
/// highest. The others follow, to be counted as what they are.
fn prefer_versions(sources: &mut [Source]) {
    let mut places: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (place, source) in sources.iter().enumerate() {
        if let Some((article, _)) = version(source) {
            places.entry(article).or_default().push(place);
        }
    }
    for places in places.into_values().filter(|places| places.len() > 1) {
        let mut versions: Vec<Source> = places.iter().map(|place| sources[*place].clone()).collect();
        versions.sort_by_cached_key(|source| {
            let filed = metadata_of(&source.path).ok().flatten();
            let manuscript = filed.and_then(|filed| filed.is_manuscript).unwrap_or(false);
            (manuscript, Reverse(version(source)))
        });
        for (place, source) in places.into_iter().zip(versions) {
            sources[place] = source;
        }
    }
}

/// Old dumps' file lists in or below the inputs' directories, and beside their archives; sorted.
pub(crate) fn file_lists(config: &CorpusConfig) -> Result<Vec<PathBuf>, CorpusError> {
    let mut folders = BTreeSet::new();
    for source in sources(config)? {
        folders.extend(source.path.parent().map(Path::to_owned));
    }
    folders.extend(config.inputs.iter().filter(|input| input.is_dir()).cloned());
    let mut lists = Vec::new();
    for folder in folders {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder.as_path() };
        for entry in fs_err::read_dir(folder)? {
            let entry = entry?;
            if FileList::is_named(&entry.file_name().to_string_lossy()) {
                lists.push(entry.path());
            }
        }
    }
    lists.sort();
    Ok(lists)
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
