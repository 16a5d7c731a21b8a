//! Addresses of makers: "(Illumina, San Diego, CA)" says where a product comes from, and nothing of a patient.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::lists;
use super::word::is_only_a_name;

static BRACKETS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\([^()]{6,160}\)").expect("the pattern is valid"));

/// Words of a company's name, and the signs of a product's.
static COMPANY: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?-u:\b)(?:Inc|Ltd|LLC|Co|Corp|GmbH|AG|KG|BV|B\.V|S\.?A|S\.?p\.?A|Limited|Company|Corporation|[Ii]ncorporated|Pharma\w*|Biotech\w*|Biosystems|Biosciences|Technolog\w+|Devices|Diagnostics|Instruments|Laboratories|Scientific)(?-u:\b)|[®™]")
        .expect("the pattern is valid")
});

/// What a maker is named behind, where nothing else tells it for one.
static PRODUCT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)(?:(?-u:\b)(?:kits?|systems?|platforms?|sequencers?|software|devices?|analy[sz]ers?|scanners?|assays?|arrays?|chips?|panels?|catheters?|stents?|reagents?|instruments?|microscopes?|monitors?|machines?|ventilators?|pumps?|implants?|prosthes[ei]s|lasers?|probes?|antibod(?:y|ies)|media|medium|version\s[\d.]+)|[®™])\s*$")
        .expect("the pattern is valid")
});

/// Persons, their homes and their employers have addresses of the same form.
static PERSONAL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)(?-u:\b)(?:lives?|living|lived|resid\w+|native|born|raised|home|house|address|town|city|village|suburb|county|work(?:s|ed|ing|er|place)?|employ\w+|job|dr|mr|mrs|ms|prof|md|rn|mother|father|parents?|wife|husband|son|daughter|brother|sister|family|contact|street|road|avenue)(?-u:\b)")
        .expect("the pattern is valid")
});

/// So have the places that treat them and those they come from; and an address may have a number.
static TREATING: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)(?-u:\b)(?:from|moved|travel\w*|visit\w*|transferred|referred|hospital|clinic|cent(?:er|re)|university|infirmary)(?-u:\b)|\d{4}")
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
    let inside = &text[range.start + 1..range.end - 1];
    let parts: Vec<&str> = inside.split(',').map(str::trim).collect();
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return false };
    if parts.len() < 2 || !is_wide(last) {
        return false;
    }
    let before = text[..range.start].trim_end();
    let from = (0..=before.len().saturating_sub(NEAR)).rev().find(|&from| before.is_char_boundary(from)).unwrap_or(0);
    let before = before[from..].rsplit(['\n', ';']).next().unwrap_or_default();
    let personal = PERSONAL.is_match(inside) || PERSONAL.is_match(before);
    if personal || COMPANY.is_match(inside) || PRODUCT.is_match(before) {
        return !personal;
    }
    // Maker, town, country.
    parts.len() >= 3
        && first.starts_with(|letter: char| letter.is_uppercase() || letter.is_ascii_digit())
        && !first.split_whitespace().any(is_only_a_name)
        && !TREATING.is_match(inside)
        && !TREATING.is_match(before)
}

/// A country or a state, or the two letters for one.
fn is_wide(place: &str) -> bool {
    let place = place.trim_end_matches('.');
    let code = (2..=3).contains(&place.len()) && place.bytes().all(|letter| letter.is_ascii_uppercase());
    let mut words = place.split_whitespace().peekable();
    code || (words.peek().is_some() && words.all(|word| lists::is_wide(&word.to_lowercase())))
}
