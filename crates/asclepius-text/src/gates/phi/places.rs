//! Places smaller than a state by what names them: "lives in ...", "... Hospital".

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::super::dates::MONTHS;
use super::word::{is_acronym, is_heading, is_town, lower, plain};
use super::{PhiKind, context, lists};

static PLACE: LazyLock<Regex> = LazyLock::new(|| {
    super::compiled(
        r"(?i:\b(?:lives?|living|lived|resid(?:es?|ed|ing)|resident|residing|native|born|raised|grew up|moved|relocated|travel(?:l?ed|l?ing)?|transferred|flew|trip|visit(?:ed|ing)?|vacation(?:ed|ing)?|holiday(?:ed|ing)?|honeymoon(?:ed)?|stayed|stationed|deployed|studied|camped|hiked|fled|employed|town|city|village|municipality|suburb|district|county|hometown|neighbou?rhood|commutes?|drove|based|farm|home|house|works?|address|returned|flown|practice|clinic|hospital)\s(?:alone\s|with\s\w+\s\w+\s)?(?:in|at|from|of|to|near|outside|around|is|for|back to|back from)|\b(?:address|city|town|village|county|municipality|hometown|birthplace|place of birth|location|uni|university|school|employer|workplace|facility|nursery|suburb)\s?:|\bfrom|\bnear)\s+(?i:the\s(?:city|town|village|suburb)\sof\s|downtown\s|rural\s|nearby\s|central\s)?(?P<id>(?:St\.?\s|Saint\s|San\s|Santa\s|El\s|La\s|Los\s|Las\s|New\s|Port\s|Fort\s|North\s|South\s|East\s|West\s)?[A-ZÀ-ÞŁ][\p{Ll}'’\-]+(?:\s(?:de\s|del\s|am\s|upon\s|do\s|da\s)?[A-ZÀ-Þ][\p{Ll}'’\-]+){0,2})",
    )
});

static FACILITY: LazyLock<Regex> = LazyLock::new(|| {
    const CAPITAL: &str = r"[A-ZÀ-Þ][\p{Ll}'’]+(?:-[A-ZÀ-Þ]?[\p{Ll}'’]+)*";
    super::compiled(&format!(
        r"\b(?P<id>(?:(?:St\.?|Saint|Ste\.?|Mount|Mt\.?|Fort|Ft\.?) )?{CAPITAL}(?: (?:of (?:the )?|de |the |and |& )?{CAPITAL}){{0,4}} (?:{})(?:,? (?:bldg|building|unit|wing)\s\w+)?)\b",
        lists::place_endings()
    ))
});

/// Houses named after the holy, wings of a building, hospitals whose names begin with the word for one.
static HOUSE: LazyLock<Regex> = LazyLock::new(|| {
    const CAPITAL: &str = r"[A-ZÀ-Þ][\p{L}'’\-]+";
    super::compiled(&format!(
        concat!(
            r"\b(?P<id>Our Lady of(?: the)? {0}(?:\s{0})?|(?:Sacred Heart|Holy (?:Cross|Family|Name|Spirit|Trinity))(?:\s{0})*|",
            r"(?:Hospital|Hôpital|Hopital|Clínica|Clinica|Clinique|Ospedale|Universidad|Université|Università|Centro|Instituto|Colegio|Escuela|École|Lycée|Klinik|Naval Clinic)",
            r"\s(?:de\s|del\s|da\s|do\s|di\s|la\s|el\s|des\s|du\s|d['’])*{0}(?:\s(?:de\s|del\s|la\s|da\s|do\s|of\s)?{0}){{0,3}}|",
            r"(?:Convent|Abbey|Priory|Church|Cathedral|Monastery|Borough|City|Town|Village|Isle) of (?:the |St\.? )?{0}(?:,\s{0})?|[A-Z]\p{{Ll}}+-(?:on|upon|sur|le|la|les|en|by|in|under|super|next|am|an|auf|sous|l[eè]s)-(?:the-)?[A-ZÀ-Þ]\p{{Ll}}+|",
            r"[A-Z]\p{{Ll}}{{3,}} \d{{1,2}} (?:North|South|East|West))\b",
        ),
        CAPITAL
    ))
});

/// Hospitals that go by their letters, or by a word that is an eponym or a virtue elsewhere.
static LETTERS: LazyLock<Regex> = LazyLock::new(|| {
    super::compiled(
        r"\b(?:at|from|to|via|of|@)\s(?:the\s)?(?P<id>NYU|MGH|BWH|BIDMC|UCSF|UCLA|UCSD|UCI|MSKCC|MDACC|UPMC|OHSU|UAB|UNC|UVA|VCU|USC|LSU|OSU|UIC|GWU|MUSC|UIHC|HUP|CHLA|CHOA|JHH|UTMB|UTSW|UTHealth|AIIMS|UCLH|MSK|BMC|RadNet|SickKids|CAMH|UHN|Mayo|Duke|Stanford|Yale|Baylor|Emory|Vanderbilt|Rush|Temple|Jefferson|Einstein|Cooper|Jackson|Grady|Parkland|Methodist|Presbyterian|Memorial|Mercy|Providence|Swedish|Legacy|Kaiser|Banner|Sutter|Brigham|Mass Gen(?:eral)?|Children['’]s|Cleveland Clinic|Royal Free|Brompton|Marsden)\b",
    )
});

/// Houses whose kind is written small: "the Carmelite convent", "Hartwell mill".
static SMALL: LazyLock<Regex> = LazyLock::new(|| {
    super::compiled(
        r"\b(?:at|near|from|in|to|by|outside|behind|reached|left)\s(?:the\s)?(?P<id>[A-Z][\p{L}.'’]+(?:\s[A-Z][\p{L}'’]+){0,2}\s(?:convent|monastery|mill|plant|factory|shipyard|campground|marina|casino|stadium|quarry|mine|bridge|ferry|depot|warehouse|call cent(?:er|re)|dealership|trailer park|mosque|gurdwara|library|mall|smelter|refinery|foundry|(?:[a-z]+ )?park|camp|gym|leisure cent(?:er|re)|rink|farm|ranch|vineyard|market|landfill|colliery|docks?|harbour|pier|beach|reservoir|festival|pub|diner|restaurant|hotel|motel|hostel|garage|bakery|salon|church|chapel|temple|school|college|campus|academy|nursery|daycare|barracks|airport|terminal|tunnel|roundabout|estate|building|nursing home|rest home|care home|group home|urgent care|elementary|shelter|jail|prison|pharmacy|dispensary|health post|clinic|hospital|surgery|township|village|reserve|reservation))\b",
    )
});

/// In capitals: "FROM NEWELL RD TRAIN STATION".
static CAPITALS: LazyLock<Regex> = LazyLock::new(|| {
    super::compiled(
        r"\b(?:FROM|AT|TO|NEAR|IN)\s(?:THE\s)?(?P<id>[A-Z]{3,}(?:\s[A-Z]{2,}){0,3}\s(?:STATION|HOSPITAL|ROAD|STREET|AVENUE|AVE|PARK|CLINIC|HOUSE|SCHOOL|PRISON|HOTEL|CENTRE|CENTER|LANE|MALL|AIRPORT|HOME|COLLEGE|UNIVERSITY))\b",
    )
});

/// Where somebody lives, on or off a street: "lives off Cedar-Riverside".
static LIVES: LazyLock<Regex> = LazyLock::new(|| {
    super::compiled(
        r"\b(?i:lives?|living|lived|resid(?:es?|ing)|apartment|apt|house|home|trailer|condo|flat|room)\s(?i:off|on|near|by|behind|above|beside|across from|over)\s(?:the\s)?(?P<id>[A-Z][\p{Ll}'’]+(?:[- ][A-Z][\p{Ll}'’]+){0,2})",
    )
});

/// Wards by the name of a building and a floor: "admitted to Ellison 9".
static WARD: LazyLock<Regex> = LazyLock::new(|| {
    super::compiled(
        r"\b(?i:(?:admitted|transferred|moved|brought|sent|discharged|returned|readmitted|went|called out|stepped down)(?:\s(?:back|up|down|over|out))?\s(?:to|from)|appointment(?:\sis)?\b[^.\n]{0,30}?\sin|bed on|boarding on|floor)\s(?P<id>[A-Z][\p{Ll}]{3,}\s\d{1,2}[A-Z]?)(?:[.,;)\n]|\s(?:after|with|for|on|from|in|and|at|by|where)\b|$)",
    )
});

/// Facilities and parts of the land or of a town by the word that their names end with.
pub(super) fn facilities(text: &str) -> Vec<(PhiKind, Range<usize>)> {
    let mut found = Vec::new();
    for hit in FACILITY.captures_iter(text) {
        found.extend(hit.name("id").and_then(|id| named(text, id.range())).map(|range| (PhiKind::Geography, range)));
    }
    let known = |word: &str| {
        is_heading(word)
            || lists::is_term(&lower(word))
            || is_generic(word)
            || is_broad(&lower(word))
            || is_acronym(word)
    };
    for hit in SMALL.captures_iter(text).chain(LIVES.captures_iter(text)) {
        let words = hit.name("id").map(|id| id.range()).unwrap_or_default();
        let mut first = text[words.clone()].split(['-', ' ']).filter(|word| word.starts_with(char::is_uppercase));
        if !first.any(|word| known(word) || lists::is_common(&lower(word)) && !is_town(word)) {
            found.push((PhiKind::Geography, words));
        }
    }
    for hit in CAPITALS.captures_iter(text) {
        let words = hit.name("id").map(|id| id.range()).unwrap_or_default();
        if text[words.clone()]
            .split(' ')
            .any(|word| !is_heading(word) && !lists::is_term(&lower(word)) && !lists::is_vocabulary(&lower(word)))
        {
            found.push((PhiKind::Geography, words));
        }
    }
    let houses = LETTERS.captures_iter(text).filter_map(|hit| Some(hit.name("id")?.range()));
    let houses = houses.filter(|range| !context::is_behind_eponyms(&text[range.end..]));
    found.extend(houses.map(|range| (PhiKind::Geography, range)));
    for hit in WARD.captures_iter(text) {
        let words = hit.name("id").map(|id| id.range()).unwrap_or_default();
        let first = text[words.clone()].split(' ').next().unwrap_or_default();
        if !known(first) && (!lists::is_common(&lower(first)) || is_town(first)) {
            found.push((PhiKind::Geography, words));
        }
    }
    for hit in HOUSE.captures_iter(text) {
        let words = hit.name("id").map(|id| id.range()).unwrap_or_default();
        let last = text[words.clone()].split_whitespace().next_back().unwrap_or_default();
        let ward = text[words.clone()].contains(|letter: char| letter.is_ascii_digit());
        let first = text[words.clone()].split_whitespace().next().unwrap_or_default();
        if !is_heading(last) && !lists::is_common(&lower(last))
            || ward && !is_heading(first) && !lists::is_common(&lower(first))
        {
            found.push((PhiKind::Geography, words));
        }
    }
    found
}

/// A place's name without the words before it that are no part of it; nothing where it names a service of medicine.
fn named(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let mut start = range.start;
    loop {
        let name = &text[start..range.end];
        let first = name.split_whitespace().next()?;
        if !(is_generic(first) || is_heading(first) || is_broad(&lower(first))) || first.starts_with("St") {
            break;
        }
        start += first.len() + name[first.len()..].len() - name[first.len()..].trim_start().len();
    }
    let words: Vec<&str> = text[start..range.end].split_whitespace().collect();
    let (last, before) = words.split_last()?;
    let is_site = lists::is_site(&lower(last));
    let names = before
        .iter()
        .map(|word| lower(word))
        .filter(|word| !(is_generic(word) || lists::is_facility(word) && !lists::is_site(word) && word != "royal"))
        .any(|word| {
            let common = lists::is_common(&word) && !lists::is_usual(&plain(&word)) && !is_site;
            !(common
                || is_heading(&word)
                || is_broad(&word)
                || lists::is_medical_by_ending(&word)
                || super::super::faithful::is_common(&word))
        });
    // "Cook County" is one whatever its first word is.
    let county = matches!(*last, "County" | "Parish" | "Township") && before.iter().any(|word| !is_generic(word));
    let names = names || county;
    // "(Varian Medical Systems)" is a maker.
    let treats = ["hospital", "clinic", "infirmary", "hospice", "home", "school", "university", "college"];
    let open = text[super::boundary(&text[..start], 40)..start]
        .rfind(['(', ')'])
        .map(|at| super::boundary(&text[..start], 40) + at);
    let bracketed =
        open.is_some_and(|at| text[at..].starts_with('(')) && !is_site && !treats.contains(&lower(last).as_str());
    let after = &text[range.end..];
    let tool = context::is_behind_eponyms(after) || context::is_behind_things(&text[start..], after);
    (names && !bracketed && !tool).then_some(start..range.end)
}

/// What stands behind "lives in", "moved to", "address:".
pub(super) fn introduced(text: &str) -> Vec<(PhiKind, Range<usize>)> {
    let mut found = Vec::new();
    for range in PLACE.captures_iter(text).filter_map(|hit| Some(hit.name("id")?.range())) {
        let words: Vec<&str> = text[range.clone()].split_whitespace().collect();
        let first = lower(words[0]);
        let wide = lists::is_wide(&first)
            && (words.len() == 1 || !matches!(first.as_str(), "new" | "north" | "south" | "east" | "west"));
        let service = |word: &&str| {
            let word = lower(word);
            lists::is_facility(&word) || lists::is_heading(&word) || lists::is_common(&word) && !lists::is_name(&word)
        };
        let wide = wide || words.iter().all(service) && !words.iter().any(|word| lists::is_known_town(&plain(word)));
        let wide = wide || words.iter().all(|word| lists::is_wide(&lower(word)));
        let after = &text[range.end..];
        if !wide
            && !is_heading(words[0])
            && !context::is_behind_eponyms(after)
            && !context::is_behind_provinces(after)
            && !MONTHS.contains(&first.as_str())
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

/// A part of the world or an adjective of it; a state or a country may name a facility.
fn is_broad(lower: &str) -> bool {
    let adjective = ["an", "ish", "ese", "ch", "ic", "ern"].iter().any(|ending| lower.ends_with(ending));
    lists::is_wide(lower) && (adjective || lists::is_common(lower) || lists::is_heading(lower))
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
