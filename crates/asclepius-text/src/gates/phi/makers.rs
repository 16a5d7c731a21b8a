//! Addresses of makers: "(Illumina, San Diego, CA)" says where a product comes from, and nothing of a patient.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::lists;
use super::word::plain;

static BRACKETS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\([^()]{6,400}\)").expect("the pattern is valid"));

/// Words of a company's name, and the signs of a product's.
static COMPANY: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?-u:\b)(?:Inc|Ltd|LLC|Co|Corp|GmbH|AG|KG|BV|B\.V|S\.?A|S\.?p\.?[Aa]|S\.?r\.?[Ll]|PVT|Pvt|Limited|Company|Corporation|[Ii]ncorporated|Pharma\w*|Biotech\w*|Biosystems|Biosciences|Technolog\w+|Devices|Diagnostics|Instruments|Laboratories|Scientific)(?-u:\b)|[®™]")
        .expect("the pattern is valid")
});

/// What a maker is named behind, where nothing else tells it for one.
static PRODUCT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)(?:(?-u:\b)(?:kits?|systems?|platforms?|sequencers?|software|devices?|analy[sz]ers?|scanners?|assays?|arrays?|chips?|panels?|catheters?|stents?|reagents?|instruments?|microscopes?|monitors?|machines?|ventilators?|pumps?|implants?|prosthes[ei]s|lasers?|probes?|antibod(?:y|ies)|media|medium|files?|burs?|composites?|cements?|sealers?|solutions?|sutures?|mesh(?:es)?|tubes?|powder|resins?|needles?|suite|machine learning|version\s[\d.]+)|[®™])\s*$")
        .expect("the pattern is valid")
});

/// Persons, their homes and their employers have addresses of the same form.
static PERSONAL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)(?-u:\b)(?:lives?|living|lived|resid\w+|native|born|raised|home|house|address|town|city|village|suburb|county|work(?:s|ed|ing|er|place)?|employ\w+|job|dr|mr|mrs|ms|prof|md|rn|mother|father|parents?|wife|husband|son|daughter|brother|sister|family|contact|street|road|avenue)(?-u:\b)")
        .expect("the pattern is valid")
});

static PERSON: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)(?-u:\b)(?:lives?|living|works|employ\w+|dr|mr|mrs|ms|prof|mother|father|parents?|wife|husband|son|daughter|brother|sister|contact)(?-u:\b)")
        .expect("the pattern is valid")
});

/// A state's letters and a postal code.
static CODE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?-u:\b)([A-Z]{2}) \d{5}(?:-\d{4})?(?-u:\b)").expect("the pattern is valid"));

/// So have the places that treat them and those they come from; and an address may have a number.
static TREATING: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)(?-u:\b)(?:moved|travel\w*|visit\w*|transferred|referred|hospital|clinic|cent(?:er|re)|university|infirmary)(?-u:\b)|\d{4}|from$")
        .expect("the pattern is valid")
});

/// How far before the brackets such words are looked for, in bytes.
const NEAR: usize = 40;

/// The brackets that hold the address of a product's maker.
pub(super) fn addresses(text: &str) -> Vec<Range<usize>> {
    let brackets = BRACKETS.find_iter(text).map(|found| found.range());
    brackets.filter(|range| is_address(text, range)).collect()
}

fn is_address(text: &str, range: &Range<usize>) -> bool {
    let before = text[..range.start].trim_end();
    let before = &before[super::boundary(before, NEAR)..];
    let before = before.rsplit(['\n', ';']).next().unwrap_or_default();
    text[range.start + 1..range.end - 1].split(';').any(|part| is_address_of(part, before))
        && !PERSONAL.is_match(before)
}

/// Whether a part of the brackets is an address, by its own words and those before the brackets.
fn is_address_of(part: &str, before: &str) -> bool {
    let last = part.rsplit(',').next().unwrap_or_default().trim();
    if last.len() == part.trim().len() || !is_wide(last) && !last.ends_with(|digit: char| digit.is_ascii_digit()) {
        return false;
    }
    let part = CODE.replace_all(part, "$1");
    let parts: Vec<&str> = part.split(',').map(str::trim).collect();
    if parts.len() < 2 || !parts.last().is_some_and(|last| is_wide(last)) {
        return false;
    }
    if COMPANY.is_match(&part) || PRODUCT.is_match(before) {
        return !PERSON.is_match(&part);
    }
    // Maker, town, country.
    parts.len() >= 3
        && !PERSONAL.is_match(&part)
        && !parts[0].split_whitespace().any(|word| lists::is_usual(&plain(word)))
        && !TREATING.is_match(&part)
        && !TREATING.is_match(before)
}

/// A country or a state, or the two letters for one.
fn is_wide(place: &str) -> bool {
    let place = place.trim_end_matches('.');
    let code = (2..=3).contains(&place.len()) && place.bytes().all(|letter| letter.is_ascii_uppercase());
    let mut words = place.split_whitespace().peekable();
    code || (words.peek().is_some() && words.all(|word| lists::is_wide(&word.to_lowercase())))
}
