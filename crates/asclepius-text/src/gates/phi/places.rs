//! Places smaller than a state by what names them: "lives in ...", "... Hospital".

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::word::{is_acronym, is_heading, is_town, lower, plain};
use super::{PhiKind, context, lists};

static PLACE: LazyLock<Regex> = LazyLock::new(|| {
    super::compiled(
        r"(?i:\b(?:lives?|living|lived|resid(?:es?|ed|ing)|resident|residing|native|born|raised|grew up|moved|relocated|travel(?:l?ed|l?ing)?|transferred|flew|trip|visit(?:ed|ing)?|vacation(?:ed|ing)?|holiday(?:ed|ing)?|honeymoon(?:ed)?|stayed|stationed|deployed|studied|camped|hiked|fled|employed|town|city|village|municipality|suburb|district|county|hometown|neighbou?rhood|commutes?|drove|based|farm|home|house|works?|address|returned|flown|practice|clinic|hospital)\s(?:alone\s|with\s\w+\s\w+\s)?(?:in|at|from|of|to|near|outside|around|is|for|back to|back from)|\b(?:address|city|town|village|county|municipality|hometown|birthplace|place of birth|location)\s?:|\bfrom|\bnear)\s+(?i:the\s(?:city|town|village|suburb)\sof\s|downtown\s|rural\s|nearby\s|central\s)?(?P<id>(?:St\.?\s|Saint\s|San\s|Santa\s|El\s|La\s|Los\s|Las\s|New\s|Port\s|Fort\s|North\s|South\s|East\s|West\s)?[A-ZÀ-ÞŁ][\p{Ll}'’\-]+(?:\s(?:de\s|del\s|am\s|upon\s|do\s|da\s)?[A-ZÀ-Þ][\p{Ll}'’\-]+){0,2})",
    )
});

static FACILITY: LazyLock<Regex> = LazyLock::new(|| {
    super::compiled(
        r"\b(?P<id>(?:(?:St\.?|Saint|Mount|Mt\.?)\s)?[A-ZÀ-Þ][\p{Ll}'’.\-]+(?:\s(?:of\s|de\s)?[A-ZÀ-Þ][\p{Ll}'’.\-]+){0,3}?\s(?:County|Parish|Township|Borough|Hospital|Clinic|Medical Cent(?:er|re)|Infirmary|Nursing Home|Care Home|Hospice|High School|Elementary|Nursery|Kindergarten|School|Primary|Academy|Pharmacy|Prison|Jail|Station|Barracks|Airport|Cottage|Church|Mosque|Temple|Shelter|Health Centre|Medical Practice|Facility|Klinikum|Lodge|Manor|University|College|Village|Valley|Falls|Heights|Springs|Beach|Prefecture))\b",
    )
});

/// Facilities and parts of towns by the word that their names end with.
pub(super) fn facilities(text: &str) -> Vec<(PhiKind, Range<usize>)> {
    let named = FACILITY.captures_iter(text).filter_map(|hit| Some(hit.name("id")?.range()));
    let named = named.filter(|range| {
        let words: Vec<&str> = text[range.clone()].split_whitespace().collect();
        let names = |word: &&str| !is_heading(word) && !lists::is_wide(&lower(word)) && !is_generic(word);
        words[..words.len() - 1].iter().any(names) && !is_generic(words[0])
    });
    named.map(|range| (PhiKind::Geography, range)).collect()
}

/// What stands behind "lives in", "moved to", "address:".
pub(super) fn introduced(text: &str) -> Vec<(PhiKind, Range<usize>)> {
    let mut found = Vec::new();
    for range in PLACE.captures_iter(text).filter_map(|hit| Some(hit.name("id")?.range())) {
        let words: Vec<&str> = text[range.clone()].split_whitespace().collect();
        let first = lower(words[0]);
        let wide = lists::is_wide(&first)
            && (words.len() == 1 || !matches!(first.as_str(), "new" | "north" | "south" | "east" | "west"));
        let wide = wide || words.iter().all(|word| lists::is_wide(&lower(word)));
        let after = &text[range.end..];
        if !wide
            && !is_heading(words[0])
            && !context::is_behind_eponyms(after)
            && !context::is_behind_provinces(after)
            && !is_month(&first)
            && !is_acronym(words[0])
        {
            let name = lists::is_given(&plain(words[0]))
                && !is_town(words[0])
                && !lists::is_facility(&lower(words[words.len() - 1]));
            found.push((if name { PhiKind::Name } else { PhiKind::Geography }, range));
        }
    }
    found
}

fn is_generic(word: &str) -> bool {
    const GENERIC: &[&str] = &[
        "outpatient",
        "local",
        "general",
        "community",
        "our",
        "this",
        "day",
        "regional",
        "tertiary",
        "the",
        "a",
        "district",
        "affiliated",
        "first",
        "second",
        "third",
        "provincial",
        "university",
        "teaching",
        "municipal",
        "referring",
    ];
    GENERIC.contains(&lower(word).as_str())
}

fn is_month(lower: &str) -> bool {
    const MONTHS: &[&str] = &[
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    MONTHS.contains(&lower)
}
