//! Every gate over one article: a pure function, so that articles are judged beside each other.
//!
//! The front matter decides first. Where it refuses, the body, most of the file, is never read.

use asclepius_schema::ids::patient_id;
use asclepius_schema::{ArticleId, Dropped, Reason, Report, ReportId};
use asclepius_text::minhash::binned::Signature;

use crate::archive::Filed;
use crate::article::{Article, Section, split_pmcid};
use crate::floats::{self, Floats};
use crate::headings::{Part, part};
use crate::licence::Admitted;
use crate::patients::Patient;
use crate::seen::text_key;
use crate::split::{Damage, Raw, Split};
use crate::standing::Declared;
use crate::xml::{Element, Writer};
use crate::{CorpusConfig, demographics, human, language, licence, narrative, patients, standing, sub_articles};

/// A body with fewer words than this, apparatus aside, is no body.
const BODY_WORDS: usize = 20;
/// After this many authors the attribution says "et al.".
const AUTHORS_NAMED: usize = 20;

/// An article as far as it can be judged by itself.
#[derive(Debug)]
pub(crate) enum Judged {
    Passed(Passed),
    Dropped(Dropped),
}

/// An article's judgement, and what of it is left out, whether it passed or not.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub judged: Judged,
    /// Sub-articles, and floats that are not the article's own. Only of an article that was read to its end.
    pub parts: Vec<Dropped>,
}

impl From<Judged> for Verdict {
    fn from(judged: Judged) -> Self {
        Self { judged, parts: Vec::new() }
    }
}

/// An article that passed every gate but those that look at others.
#[derive(Debug)]
pub(crate) struct Passed {
    pub article_id: ArticleId,
    pub doi: String,
    pub pmid: String,
    /// At least one.
    pub reports: Vec<Report>,
    /// Patients whose own text was too short.
    pub skipped: Vec<Dropped>,
    /// Of all letters and digits of the reports.
    pub text_key: [u8; 16],
    pub signature: Signature,
    /// The file, for a reason's detail.
    pub source: String,
}

pub(crate) fn unreadable(name: &str, detail: &str) -> Dropped {
    Dropped::new(name, Reason::Unreadable, format!("{name}: {detail}"))
}

/// Judges one article of the file `name`. `filed` is what PubMed Central says of an article beside the article itself.
pub(crate) fn judge(raw: &Raw, name: &str, config: &CorpusConfig, filed: &dyn Fn(&ArticleId) -> Filed) -> Verdict {
    let damaged = |Damage { position, what }| {
        let decoded = raw.encoding.map(|encoding| format!(" (in the text decoded from {encoding})"));
        let detail = format!("byte {}: {what}{}", raw.position + position, decoded.unwrap_or_default());
        Verdict::from(Judged::Dropped(unreadable(name, &detail)))
    };
    let text = match simdutf8::compat::from_utf8(&raw.bytes) {
        Ok(text) => text,
        Err(error) => {
            let what = format!("it is no {}", raw.encoding.unwrap_or("UTF-8"));
            return damaged(Damage { position: error.valid_up_to() as u64, what });
        }
    };
    let mut writer = Writer::new(text, raw.doctype.as_deref());
    if let Err(damage) = writer.read_to("front") {
        return damaged(damage);
    }
    let Some(mut article) = Article::front(writer.so_far().root()) else {
        // Only what can be read to its end is no article; the rest is damaged.
        return match writer.read() {
            Err(damage) if !writer.is_finished() => damaged(damage),
            _ => damaged(Damage { position: 0, what: "an <article> without <article-meta>".to_owned() }),
        };
    };
    if article.pmcid.is_none() {
        let stem = file_name(name).split_once('.').map_or(file_name(name), |(stem, _)| stem);
        if stem.starts_with("PMC") {
            article.pmcid = split_pmcid(stem).0;
        }
    }
    let dropped = |article: &Article, reason, detail: &str| {
        Judged::Dropped(Dropped::new(article.id().as_str(), reason, format!("{}: {detail}", file_name(name))))
    };
    let mut admitted = None;
    if article.pmcid.is_some() || !article.doi.is_empty() {
        let filed = filed(&article.id());
        if article.licence.archive.is_none() {
            article.licence.archive = filed.licence;
        }
        if filed.retracted {
            article.events.push("retracted by PubMed Central's metadata".to_owned());
        }
        match front(&article, config) {
            // A notice of retraction at an article's end outweighs what kind of article it is.
            Err((Reason::NotCaseReport, _)) if writer.rest().contains("related-article") => {}
            Err((reason, detail)) => return dropped(&article, reason, &detail).into(),
            Ok(passed) => admitted = Some(passed),
        }
    }
    if !writer.is_finished()
        && let Err(damage) = writer.read()
    {
        return damaged(damage);
    }
    let root = writer.so_far().root();
    article.read_on(root);
    let mut parts = sub_articles::inside(root, &article.id(), file_name(name));
    let passed = whole(&article, root, admitted, config, &mut parts)
        .and_then(|reports| Passed::new(reports, config.min_words, &article.doi, &article.pmid, file_name(name)));
    let judged = match passed {
        Ok(passed) => Judged::Passed(passed),
        Err((reason, detail)) => dropped(&article, reason, &detail),
    };
    Verdict { judged, parts }
}

pub(crate) fn file_name(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// The gates over the front matter: the licence decides first.
fn front(article: &Article, config: &CorpusConfig) -> Result<(Admitted, Declared), (Reason, String)> {
    standing::notice(article)?;
    let licence = licence::decide(&article.licence, &config.licences)?;
    standing::check(article)?;
    Ok((licence, standing::declared(article)?))
}

/// Every gate, in the same order. `admitted` is what the front matter came to, where it was judged by itself; what
/// follows the body may still retract an article or correct it.
fn whole(
    article: &Article,
    root: Element<'_>,
    admitted: Option<(Admitted, Declared)>,
    config: &CorpusConfig,
    parts: &mut Vec<Dropped>,
) -> Result<Vec<Report>, (Reason, String)> {
    let (licence, declared) = match admitted {
        Some(admitted) => {
            standing::check(article)?;
            admitted
        }
        None => front(article, config)?,
    };
    human::check(article)?;
    let body = body(article)?;
    let share = language::english_share(body.paragraphs().into_iter().map(|paragraph| paragraph.text.as_str()));
    if share < language::LEAST_ENGLISH {
        return Err((Reason::Language, format!("{:.0} % of the words are English function words", share * 100.0)));
    }
    let patients = case(article, body, declared)?;
    let (floats, foreign) = floats::of_patients(root, &patients, &article.id());
    parts.extend(foreign);
    let theirs = patients.into_iter().zip(floats).zip(1..);
    Ok(theirs.map(|((patient, floats), n)| report(article, &licence, patient, floats, n)).collect())
}

impl Passed {
    /// The gate of length, over the patients of one article.
    ///
    /// # Errors
    /// When no patient's text is long enough.
    pub fn new(
        reports: Vec<Report>,
        min_words: usize,
        doi: &str,
        pmid: &str,
        source: &str,
    ) -> Result<Self, (Reason, String)> {
        let article_id =
            reports.first().map(|report| report.article_id.clone()).expect("an article that got here has patients");
        let words = |report: &Report| report.report.split_whitespace().take(min_words).count();
        let (mut longest, mut kept, mut skipped) = (0, Vec::with_capacity(reports.len()), Vec::new());
        for mut report in reports {
            let words = words(&report);
            longest = longest.max(words);
            if words < min_words {
                let detail = format!("{words} words, {min_words} asked for");
                skipped.push(Dropped::new(report.report_id.as_str(), Reason::TooShort, detail));
            } else {
                source.clone_into(&mut report.source);
                kept.push(report);
            }
        }
        if kept.is_empty() {
            return Err((Reason::TooShort, format!("{longest} words of case text, {min_words} asked for")));
        }
        Ok(Self {
            text_key: text_key(&kept),
            signature: Signature::of(kept.iter().map(|report| report.report.as_str())),
            article_id,
            doi: doi.to_lowercase(),
            pmid: pmid.to_owned(),
            reports: kept,
            skipped,
            source: source.to_owned(),
        })
    }
}

fn body(article: &Article) -> Result<&Section, (Reason, String)> {
    let Some(body) = article.body.as_ref() else {
        return Err((Reason::NoBody, "there is no <body>".to_owned()));
    };
    let paragraphs = body
        .own_paragraphs()
        .chain(body.sections().filter(|section| part(section) != Part::Apparatus).flat_map(Section::paragraphs));
    // Counting on would change nothing.
    let words = paragraphs.flat_map(|paragraph| paragraph.text.split_whitespace()).take(BODY_WORDS).count();
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

fn report(article: &Article, licence: &Admitted, patient: Patient, floats: Floats, n: u32) -> Report {
    let article_id = article.id();
    let mut subjects: Vec<String> = article.headings.iter().chain(&article.keywords).cloned().collect();
    subjects.sort_unstable();
    subjects.dedup();
    let (age, sex) = demographics::age_and_sex(&patient.text);
    Report {
        patient_id: patient_id(&article_id, n),
        report_id: ReportId::new(&article_id, article.version, n),
        title: article.title.clone(),
        age,
        sex,
        licence: licence.licence,
        licence_url: licence.url.clone(),
        attribution: attribution(article, &article_id, licence),
        doi: article.doi.clone(),
        pmid: article.pmid.clone(),
        journal: article.journal.clone(),
        year: article.year,
        subjects,
        source: String::new(),
        report: patient.text,
        section: patient.section,
        tables: floats.tables,
        captions: floats.captions,
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
    parts.push(
        "Changed: only the case text is kept, without citations and figures; tables and captions apart".to_owned(),
    );
    parts.retain(|part| !part.is_empty());
    let line = parts.join(". ");
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What every article of a file says, title and paragraphs, without any gate: the reader by itself. Damaged ones are
/// passed over.
pub fn read_only(bytes: &[u8]) -> impl Iterator<Item = String> {
    Split::new(bytes).filter_map(|raw| {
        let raw = raw.ok()?;
        let mut writer = Writer::new(std::str::from_utf8(&raw.bytes).ok()?, raw.doctype.as_deref());
        writer.read().ok()?;
        let root = writer.so_far().root();
        let mut article = Article::front(root)?;
        article.read_on(root);
        let body = article.body.as_ref().map(Section::text).unwrap_or_default();
        Some(format!("{}\n{body}", article.title))
    })
}
