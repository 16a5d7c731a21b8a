//! Whether an article still stands, and whether it says of itself that it is a case report.

use std::sync::LazyLock;

use asclepius_schema::Reason;
use regex::Regex;

use crate::pattern::pattern;

use crate::article::Article;

fn retracting(word: &str) -> bool {
    ["retract", "withdraw", "removal"].iter().any(|part| word.contains(part))
}

fn correcting(word: &str) -> bool {
    ["correct", "errat", "corrigend", "concern"].iter().any(|part| word.contains(part))
}

/// Refuses notices of retraction or correction: they are about an article and none themselves, whatever their licence.
pub(crate) fn notice(article: &Article) -> Result<(), (Reason, String)> {
    let kind = article.kind.as_str();
    let refuse = |reason| Err((reason, format!("article-type {kind}")));
    match () {
        () if retracting(kind) => refuse(Reason::Retracted),
        () if correcting(kind) => refuse(Reason::Corrected),
        () => Ok(()),
    }
}

/// Refuses articles that were retracted or corrected.
pub(crate) fn check(article: &Article) -> Result<(), (Reason, String)> {
    static MARKED: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"^\W*(?:RETRACTED\b|WITHDRAWN\b|(?i:(?:retracted|withdrawn|removed)(?:\s+(?:article|paper|case report|chapter|publication))?\s*[:\]\)\-–—.])|(?i:(?:notice of\s+)?(?:retraction|withdrawal|removal)(?:\s+(?:note|notice|statement|to|of(?:\s*:|\s+“|\s+.{0,20}article)))?\s*:))|(?i:[\[(]retracted(?: article)?[\])]\W*$)",
        )
    });
    static CORRECTING: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)^\W*(?:corrigendum|erratum|errata|correction|author correction|publisher correction|expression of concern|editorial expression of concern)\b(?:\s+(?:to|for|on)\b|\s*[:.])",
        )
    });
    if let Some(relation) = article.relations.iter().find(|relation| retracting(relation)) {
        return Err((Reason::Retracted, format!("related-article-type {relation}")));
    }
    if let Some(event) = article.events.iter().find(|event| retracting(event)) {
        return Err((Reason::Retracted, format!("the article's history has {event}")));
    }
    if MARKED.is_match(&article.title) {
        return Err((Reason::Retracted, "the title says so".to_owned()));
    }
    if let Some(heading) = article.headings.iter().find(|heading| heading.to_lowercase().starts_with("retract")) {
        return Err((Reason::Retracted, format!("subject heading {heading}")));
    }
    if let Some(relation) = article.relations.iter().find(|relation| correcting(relation)) {
        return Err((Reason::Corrected, format!("related-article-type {relation}")));
    }
    if CORRECTING.is_match(&article.title) {
        return Err((Reason::Corrected, "the title says so".to_owned()));
    }
    Ok(())
}

/// How an article says that it is a case report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Declared {
    /// By its type.
    ByType,
    /// By a subject heading over a general type: believed only when the body looks like one.
    ByHeading,
}

/// Reads type and headings; the title does not count, since reviews and letters speak of case reports too.
pub(crate) fn declared(article: &Article) -> Result<Declared, (Reason, String)> {
    static CASE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)^(?:[\w&,-]+[ :/–-]+){0,4}case[ -](?:reports?|stud(?:y|ies)|series|presentations?|descriptions?|letters?|communications?)\b(?:\W+\w+){0,6}\W*$|^cases?$|^clinical cases?$",
        )
    });
    // "Review of case reports" is none.
    let is_case = |heading: &String| CASE.is_match(heading.trim()) && !heading.to_lowercase().starts_with("review");
    let kind = article.kind.as_str();
    let refuse = |detail: String| Err((Reason::NotCaseReport, detail));
    if matches!(kind, "case-report" | "case-reports" | "case-study" | "case-series" | "clinical-case") {
        let other = article.headings.iter().find(|heading| is_other_genre(heading));
        let also_case = article.headings.iter().any(is_case);
        return match other {
            Some(heading) if !also_case => refuse(format!("subject heading {heading}")),
            _ => Ok(Declared::ByType),
        };
    }
    let general = matches!(
        kind,
        "" | "research-article" | "other" | "brief-report" | "rapid-communication" | "article-commentary"
    );
    if general && article.headings.iter().any(is_case) {
        return Ok(Declared::ByHeading);
    }
    refuse(if kind.is_empty() { "no article-type".to_owned() } else { format!("article-type {kind}") })
}

/// Headings that contradict the type of a case report.
fn is_other_genre(heading: &str) -> bool {
    static OTHER: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)^(?:meeting (?:report|abstract)s?|conference (?:report|proceedings?)|study protocol|protocol|clinical trial|survey|editorial|book review|news|obituary|systematic review|review article|guidelines?|perspective|opinion|policy brief)$",
        )
    });
    OTHER.is_match(heading.trim())
}

/// Genres that a title gives away, and that are never about one patient.
pub(crate) fn title_of_study(title: &str) -> Option<&'static str> {
    static STUDIES: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
        [
            (r"(?i)randomi[sz]ed|controlled trial|clinical trial|phase (?:i{1,3}|[1-3]) ", "a clinical trial"),
            (r"(?i)\bsurvey\b|questionnaire|cross-sectional", "a survey"),
            (r"(?i)meta-analysis|systematic review|scoping review", "a review"),
            (r"(?i)study protocol|\bprotocol for\b", "a protocol"),
            (
                r"(?i)\bcohort\b|retrospective (?:study|analysis)|prospective study|case-control",
                "a study of many patients",
            ),
        ]
        .into_iter()
        .map(|(source, what)| (pattern(source), what))
        .collect()
    });
    STUDIES.iter().find(|(study, _)| study.is_match(title)).map(|(_, what)| *what)
}

/// "Case report and systematic review: .."
pub(crate) fn names_a_case(title: &str) -> bool {
    static CASE: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)\bcase (?:report|study|series|presentation)\b"));
    CASE.is_match(title) && !title.to_lowercase().contains("of case reports")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titled(title: &str) -> Article {
        Article { title: title.to_owned(), kind: "case-report".to_owned(), ..Article::default() }
    }

    #[test]
    fn marks_in_titles_are_told_from_the_medicine() {
        for title in [
            "RETRACTED: A case of scurvy",
            "RETRACTED A case of scurvy",
            "Retracted: A case",
            "[RETRACTED] A case",
            "RETRACTED ARTICLE: A case",
            "Retraction: A case",
            "Retraction Note: A case",
            "Retraction to: A case",
            "WITHDRAWN: A case",
            "A case of scurvy [Retracted]",
        ] {
            assert_eq!(check(&titled(title)).map_err(|(reason, _)| reason), Err(Reason::Retracted), "{title}");
        }
        for title in ["Corrigendum to: A case", "Erratum: A case", "Expression of concern: A case", "Correction to: A"]
        {
            assert_eq!(check(&titled(title)).map_err(|(reason, _)| reason), Err(Reason::Corrected), "{title}");
        }
        for title in [
            "Retraction pocket cholesteatoma: a case report",
            "Retracted stoma after colectomy: a case report",
            "Withdrawal seizures after baclofen",
            "Correction of scoliosis in a child",
            "Removal of a nail",
            "Withdrawal of levodopa in an old woman: a case report",
        ] {
            assert!(check(&titled(title)).is_ok(), "{title}");
        }
    }

    #[test]
    fn links_of_the_front_matter_decide() {
        for (relation, reason) in [
            ("retraction-forward", Some(Reason::Retracted)),
            ("retracted-article", Some(Reason::Retracted)),
            ("correction-forward", Some(Reason::Corrected)),
            ("concern-forward", Some(Reason::Corrected)),
            ("object-of-concern", Some(Reason::Corrected)),
            ("peer-reviewed-article", None),
            ("commentary", None),
        ] {
            let article = Article { relations: vec![relation.to_owned()], ..titled("A case") };
            assert_eq!(check(&article).err().map(|(reason, _)| reason), reason, "{relation}");
        }
    }
}
