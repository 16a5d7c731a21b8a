//! The pass over the corpus: every article gets exactly one outcome, in the order of the sources.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::io::{self, BufRead, BufReader, Read};
use std::rc::Rc;

use asclepius_schema::ids::patient_id;
use asclepius_schema::{ArticleId, Dropped, Fingerprint, Reason, Report, ReportId};
use flate2::read::MultiGzDecoder;
use fs_err::File;

use crate::article::{Article, Section, split_pmcid};
use crate::headings::{Part, part};
use crate::licence::Admitted;
use crate::patients::Patient;
use crate::source::article_kind;
use crate::standing::Declared;
use crate::xml::{Articles, Damage};
use crate::{
    CorpusConfig, CorpusError, Source, SourceKind, demographics, human, language, licence, narrative, patients,
    pmc_patients, sources, standing,
};

/// Raised whenever the rules read the same article differently, so that finished stages are made anew.
const RULES: u32 = 3;
/// A body with fewer words than this, apparatus aside, is no body.
const BODY_WORDS: usize = 20;
/// After this many authors the attribution says "et al.".
const AUTHORS_NAMED: usize = 20;

/// What became of one article.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It passed every gate.
    Admitted {
        /// The article.
        article_id: ArticleId,
        /// Its patients, in the article's order; at least one.
        reports: Vec<Report>,
        /// Patients of it whose own text was too short, by report id.
        skipped: Vec<Dropped>,
    },
    /// It did not, or could not be read.
    Dropped(Dropped),
}

/// Adds to `fingerprint` everything that can change what [`ingest`] yields: the rules, the settings and every byte of
/// the inputs with their names below the configured paths.
///
/// # Errors
/// As [`sources`], and when a file cannot be read.
pub fn fingerprint_inputs(config: &CorpusConfig, fingerprint: Fingerprint) -> Result<Fingerprint, CorpusError> {
    let mut fingerprint = fingerprint
        .setting("rules", &RULES)
        .setting("licences", &config.licences)
        .setting("limit", &config.limit)
        .setting("min_words", &config.min_words);
    for source in sources(config)? {
        fingerprint = fingerprint.bytes("name", source.name.as_bytes()).file("content", &source.path)?;
    }
    Ok(fingerprint)
}

/// Reads every source and hands each article's outcome to `on`. `progress` is told bytes of source files done and in
/// total, after every article.
///
/// # Errors
/// When a source is missing or of no readable kind, or when `on` fails. An article that cannot be read is an outcome,
/// not an error.
pub fn ingest(
    config: &CorpusConfig,
    on: &mut dyn FnMut(Outcome) -> Result<(), CorpusError>,
    progress: &dyn Fn(u64, u64),
) -> Result<(), CorpusError> {
    config.validate()?;
    let sources = sources(config)?;
    let total = sources.iter().map(|source| source.bytes).sum();
    let mut pass =
        Pass { config, on, progress, total, before: 0, inside: Rc::default(), seen: Seen::default(), read: 0 };
    for source in &sources {
        if pass.is_full() {
            break;
        }
        pass.source(source)?;
        pass.before += source.bytes;
        pass.inside.set(0);
        progress(pass.before, total);
    }
    Ok(())
}

/// What was admitted so far, for the duplicate gate.
#[derive(Default)]
pub(crate) struct Seen {
    articles: HashSet<ArticleId>,
    dois: HashMap<String, ArticleId>,
    texts: HashMap<[u8; 16], ArticleId>,
}

struct Pass<'a> {
    config: &'a CorpusConfig,
    on: &'a mut dyn FnMut(Outcome) -> Result<(), CorpusError>,
    progress: &'a dyn Fn(u64, u64),
    total: u64,
    /// Bytes of the sources before the present one, and of the present one.
    before: u64,
    inside: Rc<Cell<u64>>,
    seen: Seen,
    read: usize,
}

/// Counts what is taken from a file, so that progress through an archive shows.
struct Counted<R> {
    inner: R,
    count: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.count.set(self.count.get() + read as u64);
        Ok(read)
    }
}

impl Pass<'_> {
    fn is_full(&self) -> bool {
        self.config.limit.is_some_and(|limit| self.read >= limit)
    }

    fn yields(&mut self, outcome: Outcome) -> Result<(), CorpusError> {
        self.read += 1;
        (self.on)(outcome)?;
        (self.progress)(self.before + self.inside.get(), self.total);
        Ok(())
    }

    fn unreadable(&mut self, name: &str, detail: &str) -> Result<(), CorpusError> {
        self.yields(Outcome::Dropped(Dropped::new(name, Reason::Unreadable, format!("{name}: {detail}"))))
    }

    fn source(&mut self, source: &Source) -> Result<(), CorpusError> {
        let file = match File::open(&source.path) {
            Ok(file) => file,
            // The kind, not the message: that one names a path of this machine.
            Err(error) => return self.unreadable(&source.name, &error.kind().to_string()),
        };
        let file = BufReader::with_capacity(1 << 16, Counted { inner: file, count: Rc::clone(&self.inside) });
        match source.kind {
            SourceKind::Xml => self.articles(&source.name, file),
            SourceKind::XmlGz => self.articles(&source.name, BufReader::new(MultiGzDecoder::new(file))),
            SourceKind::TarGz => self.archive(&source.name, MultiGzDecoder::new(file)),
            SourceKind::PmcPatientsCsv => self.table(source, file),
        }
    }

    /// Members in the archive's order; links and what has no article's name are passed over, nothing is unpacked.
    fn archive(&mut self, name: &str, reader: impl Read) -> Result<(), CorpusError> {
        let mut archive = tar::Archive::new(reader);
        let entries = match archive.entries() {
            Ok(entries) => entries,
            Err(error) => return self.unreadable(name, &error.to_string()),
        };
        for entry in entries {
            if self.is_full() {
                return Ok(());
            }
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => return self.unreadable(name, &error.to_string()),
            };
            let member = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let full = format!("{name}/{member}");
            match article_kind(&member) {
                Some(SourceKind::Xml) => self.articles(&full, BufReader::new(entry))?,
                Some(SourceKind::XmlGz) => self.articles(&full, BufReader::new(MultiGzDecoder::new(entry)))?,
                _ => {}
            }
        }
        Ok(())
    }

    fn articles(&mut self, name: &str, reader: impl BufRead) -> Result<(), CorpusError> {
        for root in Articles::new(reader) {
            if self.is_full() {
                return Ok(());
            }
            match root.map(|root| Article::read(&root)) {
                Err(Damage { position, what }) => self.unreadable(name, &format!("byte {position}: {what}"))?,
                Ok(None) => self.unreadable(name, "byte 0: an <article> without <article-meta>")?,
                Ok(Some(mut article)) => {
                    let stem = file_name(name).split_once('.').map_or(file_name(name), |(stem, _)| stem);
                    if article.pmcid.is_none() && stem.starts_with("PMC") {
                        article.pmcid = split_pmcid(stem).0;
                    }
                    let outcome = match judge(&article, name, self.config, &mut self.seen) {
                        Ok(outcome) => outcome,
                        Err((reason, detail)) => Outcome::Dropped(Dropped::new(
                            article.id().as_str(),
                            reason,
                            format!("{}: {detail}", file_name(name)),
                        )),
                    };
                    self.yields(outcome)?;
                }
            }
        }
        Ok(())
    }

    fn table(&mut self, source: &Source, reader: impl Read) -> Result<(), CorpusError> {
        for group in pmc_patients::read(&source.path, reader)? {
            if self.is_full() {
                return Ok(());
            }
            let outcome = match group {
                Err(pmc_patients::BadRow { row, what }) => Outcome::Dropped(Dropped::new(
                    format!("{}#{row}", source.name),
                    Reason::Unreadable,
                    format!("{}: row {row}: {what}", source.name),
                )),
                Ok(reports) => {
                    admit(reports, self.config.min_words, "", &mut self.seen).unwrap_or_else(|(id, reason, detail)| {
                        Outcome::Dropped(Dropped::new(id, reason, format!("{}: {detail}", source.name)))
                    })
                }
            };
            self.yields(outcome)?;
        }
        Ok(())
    }
}

fn file_name(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// Every gate in its order: of articles, the licence decides first.
fn judge(article: &Article, name: &str, config: &CorpusConfig, seen: &mut Seen) -> Result<Outcome, (Reason, String)> {
    standing::notice(article)?;
    let licence = licence::decide(&article.licence, &config.licences)?;
    standing::check(article)?;
    let declared = standing::declared(article)?;
    human::check(article)?;
    let body = body(article)?;
    let share = language::english_share(&body.text());
    if share < language::LEAST_ENGLISH {
        return Err((Reason::Language, format!("{:.0} % of the words are English function words", share * 100.0)));
    }
    let patients = case(article, body, declared)?;
    let reports =
        patients.into_iter().zip(1..).map(|(patient, n)| report(article, &licence, patient, n, name)).collect();
    admit(reports, config.min_words, &article.doi, seen).map_err(|(_, reason, detail)| (reason, detail))
}

fn body(article: &Article) -> Result<&Section, (Reason, String)> {
    let Some(body) = article.body.as_ref() else {
        return Err((Reason::NoBody, "there is no <body>".to_owned()));
    };
    let own: usize = body.own_paragraphs().map(|paragraph| paragraph.text.split_whitespace().count()).sum();
    let sections = body.sections().filter(|section| part(section) != Part::Apparatus);
    let words = own + sections.map(|section| section.text().split_whitespace().count()).sum::<usize>();
    if words < BODY_WORDS {
        return Err((Reason::NoBody, format!("the <body> has {words} words")));
    }
    Ok(body)
}

fn case(article: &Article, body: &Section, declared: Declared) -> Result<Vec<Patient>, (Reason, String)> {
    let refuse = |detail: &str| Err((Reason::NotCaseReport, detail.to_owned()));
    let Some(found) = patients::find(body, &article.title) else {
        return refuse("the body tells no patient's case");
    };
    if declared == Declared::ByHeading && !found.announced {
        return refuse("a subject heading says case report, but no section announces a case");
    }
    let aged = found.patients.iter().any(|patient| narrative::introduction(&patient.text).is_some());
    let titled = standing::names_a_case(&article.title);
    if let Some(study) = standing::title_of_study(&article.title).filter(|_| !(aged && (found.announced || titled))) {
        return refuse(&format!("by its title {study}"));
    }
    Ok(found.patients)
}

/// Length and duplicates, over the patients of one article. An error names the article, the reason and the detail.
fn admit(
    reports: Vec<Report>,
    min_words: usize,
    doi: &str,
    seen: &mut Seen,
) -> Result<Outcome, (String, Reason, String)> {
    let article_id =
        reports.first().map(|report| report.article_id.clone()).expect("an article that got here has patients");
    let refuse = |reason, detail| Err((article_id.to_string(), reason, detail));
    let words = |report: &Report| report.report.split_whitespace().count();
    let longest = reports.iter().map(words).max().unwrap_or(0);
    let (kept, short): (Vec<Report>, Vec<Report>) = reports.into_iter().partition(|report| words(report) >= min_words);
    if kept.is_empty() {
        return refuse(Reason::TooShort, format!("{longest} words of case text, {min_words} asked for"));
    }
    if seen.articles.contains(&article_id) {
        return refuse(Reason::Duplicate, format!("{article_id} came before"));
    }
    let doi = doi.to_lowercase();
    if let Some(earlier) = seen.dois.get(&doi).filter(|_| !doi.is_empty()) {
        return refuse(Reason::Duplicate, format!("its DOI is that of {earlier}"));
    }
    let key = text_key(&kept);
    if let Some(earlier) = seen.texts.get(&key) {
        return refuse(Reason::Duplicate, format!("its text is that of {earlier}"));
    }
    seen.articles.insert(article_id.clone());
    seen.texts.insert(key, article_id.clone());
    if !doi.is_empty() {
        seen.dois.insert(doi, article_id.clone());
    }
    let skipped = short
        .iter()
        .map(|report| {
            Dropped::new(
                report.report_id.as_str(),
                Reason::TooShort,
                format!("{} words, {min_words} asked for", words(report)),
            )
        })
        .collect();
    Ok(Outcome::Admitted { article_id, reports: kept, skipped })
}

/// A hash of letters and digits only, so that spacing, case and punctuation make no new text.
fn text_key(reports: &[Report]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    let mut plain = String::new();
    for report in reports {
        plain.clear();
        plain
            .extend(report.report.chars().filter(|character| character.is_alphanumeric()).flat_map(char::to_lowercase));
        hasher.update(plain.as_bytes());
        hasher.update(b"\n");
    }
    let mut key = [0; 16];
    key.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    key
}

fn report(article: &Article, licence: &Admitted, patient: Patient, n: u32, name: &str) -> Report {
    let article_id = article.id();
    let mut subjects: Vec<String> = article.headings.iter().chain(&article.keywords).cloned().collect();
    subjects.sort_unstable();
    subjects.dedup();
    Report {
        patient_id: patient_id(&article_id, n),
        report_id: ReportId::new(&article_id, article.version, n),
        title: article.title.clone(),
        age: demographics::age(&patient.text),
        sex: demographics::sex(&patient.text),
        licence: licence.licence,
        licence_url: licence.url.clone(),
        attribution: attribution(article, &article_id, licence),
        doi: article.doi.clone(),
        pmid: article.pmid.clone(),
        journal: article.journal.clone(),
        year: article.year,
        subjects,
        source: file_name(name).to_owned(),
        report: patient.text,
        section: patient.section,
        article_id,
    }
}

/// Authors, title, journal, year, DOI, PMCID and licence in one line, with what was done to the text.
fn attribution(article: &Article, id: &ArticleId, licence: &Admitted) -> String {
    let mut parts = Vec::new();
    if !article.authors.is_empty() {
        let named = article.authors.iter().take(AUTHORS_NAMED).cloned().collect::<Vec<_>>().join(", ");
        parts.push(if article.authors.len() > AUTHORS_NAMED { format!("{named}, et al") } else { named });
    }
    parts.push(article.title.trim_end_matches('.').to_owned());
    parts.push(article.journal.clone());
    parts.push(article.year.map(|year| year.to_string()).unwrap_or_default());
    if !article.doi.is_empty() {
        parts.push(format!("https://doi.org/{}", article.doi));
    }
    if article.pmcid.is_some() {
        parts.push(id.to_string());
    }
    let url = if licence.url.is_empty() { String::new() } else { format!(" ({})", licence.url) };
    parts.push(format!("Licence {}{url}", licence.licence));
    parts.push("Changed: only the case text is kept, without citations, figures and tables".to_owned());
    parts.retain(|part| !part.is_empty());
    let line = parts.join(". ");
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}
