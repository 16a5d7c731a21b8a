//! Protected health information: the eighteen kinds of identifiers of the HIPAA Safe Harbor rule (45 CFR 164.514(b)(2)).
//!
//! [`scan`] gives spans with their kind. Patterns find what has a shape or a label; names and places, which have
//! neither, come from [`introduced`] and [`running`]. Eponyms, drugs, units and headings are no names.

mod codes;
mod context;
mod holidays;
mod introduced;
mod lists;
mod makers;
mod places;
mod plausible;
mod rare;
mod running;
mod shapes;
mod signed;
mod tokens;
mod word;

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use self::plausible::plausible;
use self::shapes::PATTERNS;
use super::Verdict;

/// The eighteen kinds, in the rule's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PhiKind {
    /// Names of persons.
    Name,
    /// Places smaller than a state: streets, towns, postal codes.
    Geography,
    /// Dates finer than a year.
    Date,
    /// Ages over 89.
    Age,
    /// Telephone numbers.
    Phone,
    /// Fax numbers.
    Fax,
    /// Electronic mail addresses.
    Mail,
    /// Social security numbers.
    SocialSecurity,
    /// Medical record numbers.
    MedicalRecord,
    /// Numbers of a health plan's beneficiary.
    HealthPlan,
    /// Account numbers.
    Account,
    /// Numbers of certificates and licences.
    Licence,
    /// Vehicle identifiers, plates included.
    Vehicle,
    /// Device identifiers and serial numbers.
    Device,
    /// Web addresses.
    Url,
    /// Internet protocol addresses.
    Ip,
    /// Biometric identifiers.
    Biometric,
    /// Photographs of the face and comparable images, and any other unique number.
    PhotoOrOther,
}

impl PhiKind {
    /// Every kind, in the rule's order.
    pub const ALL: [Self; 18] = [
        Self::Name,
        Self::Geography,
        Self::Date,
        Self::Age,
        Self::Phone,
        Self::Fax,
        Self::Mail,
        Self::SocialSecurity,
        Self::MedicalRecord,
        Self::HealthPlan,
        Self::Account,
        Self::Licence,
        Self::Vehicle,
        Self::Device,
        Self::Url,
        Self::Ip,
        Self::Biometric,
        Self::PhotoOrOther,
    ];

    /// For a person.
    pub fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Geography => "geography",
            Self::Date => "date",
            Self::Age => "age over 89",
            Self::Phone => "phone",
            Self::Fax => "fax",
            Self::Mail => "mail",
            Self::SocialSecurity => "social security",
            Self::MedicalRecord => "medical record",
            Self::HealthPlan => "health plan",
            Self::Account => "account",
            Self::Licence => "licence",
            Self::Vehicle => "vehicle",
            Self::Device => "device",
            Self::Url => "url",
            Self::Ip => "ip",
            Self::Biometric => "biometric",
            Self::PhotoOrOther => "photo or other",
        }
    }
}

/// An identifier in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhiSpan {
    /// Which of the eighteen.
    pub kind: PhiKind,
    /// Where, in bytes.
    pub range: Range<usize>,
}

/// A postal code behind the street and perhaps the town.
static ZIP_BEHIND: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^,?\s(?:[A-Z][\w'’.\-]+,?\s){0,3}(?P<id>\d{4,5}(?:-\d{4})?)(?:[.,;)\n]|$)")
        .expect("the pattern is valid")
});

/// A second day behind a first: "1/3–1/9", "March 3rd and 4th".
static DAY_BEHIND: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\s?(?:-|–|—|to|and|&|,|through|thru)\s?(?:the\s)?(?P<id>(?:1[0-2]|0?[1-9])/(?:3[01]|[12]\d|0?[1-9])(?:/(?:20)?\d\d)?|\d{1,2}(?:st|nd|rd|th))(?:[.,;)\n]|\s|$)")
        .expect("the pattern is valid")
});

/// A town behind a house, a street or another town: "Rose Cottage, Nether Wallop".
static TOWN_BEHIND: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^,\s(?P<id>[A-Z]\p{Ll}{2,}(?:[- ][A-Z]\p{Ll}+){0,2})(?:[.;:)\n]|,\s[A-Z]{2}(?-u:\b)|\s[A-Z]{1,2}\d{1,2}[A-Z]?(?-u:\b)|$)")
        .expect("the pattern is valid")
});

/// The state behind a town: "Tucson, Arizona".
static STATE_BEHIND: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(&format!(r"^,\s(?:{}|[A-Z]{{2}})(?:[.,;:)\s]|$)", rare::STATES)).expect("the pattern is valid")
});

/// A great age behind a name: "Doreen, 96, alert".
static AGE_BEHIND: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"^(?:\s\([a-z]+\))?(?:,\s|\s\(|\sis\s|\s\([a-z ]+,\s)(?P<id>9\d|1[01]\d)(?:[,.;)]|\s(?:and|who|with)\s)",
    )
    .expect("the pattern is valid")
});

/// A number behind a name, as labels and lists have it: "GREENE, ALMA 0044182-7".
static NUMBER_BEHIND: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^[ \t,]{1,4}[(#]?\s?(?P<id>[A-Z]{0,3}-?\d{5,}(?:-\d{1,4})?)(?:[\s.,;)]|$)")
        .expect("the pattern is valid")
});

/// The same pattern with ASCII word boundaries: those of Unicode send every text with a `°` to the slow engine.
fn ascii_boundaries(pattern: &str) -> String {
    pattern.replace(r"\b", r"(?-u:\b)")
}

/// A pattern of this module.
fn compiled(pattern: &str) -> Regex {
    Regex::new(&ascii_boundaries(pattern)).expect("the pattern is valid")
}

/// Every identifier of a text, in order, none overlapping another.
pub fn scan(text: &str) -> Vec<PhiSpan> {
    let mut found: Vec<PhiSpan> = Vec::new();
    let add = |found: &mut Vec<PhiSpan>, kind: PhiKind, range: Range<usize>| {
        if !found.iter().any(|span| span.range.start < range.end && range.start < span.range.end) {
            found.push(PhiSpan { kind, range });
        }
    };
    for (kind, pattern) in rare::patterns(text).chain(&*PATTERNS) {
        for hit in pattern.captures_iter(text) {
            let whole = hit.get(0).map(|whole| whole.range()).unwrap_or_default();
            let range = hit.name("id").map_or(whole.clone(), |id| id.range());
            if plausible(*kind, text, &whole, &range) {
                add(&mut found, *kind, range);
            }
        }
    }
    for (kind, range) in introduced::find(text) {
        match kind {
            PhiKind::Geography => join(&mut found, kind, range),
            _ => add(&mut found, kind, range),
        }
    }
    for (kind, range) in signed::find(text) {
        join(&mut found, kind, range);
    }
    for (kind, range) in running::find(text, &found) {
        join(&mut found, kind, range);
    }
    for (of, pattern, kind) in [
        (PhiKind::Name, &AGE_BEHIND, PhiKind::Age),
        (PhiKind::Name, &NUMBER_BEHIND, PhiKind::MedicalRecord),
        (PhiKind::Geography, &TOWN_BEHIND, PhiKind::Geography),
        (PhiKind::Geography, &ZIP_BEHIND, PhiKind::Geography),
        (PhiKind::Date, &DAY_BEHIND, PhiKind::Date),
    ] {
        let behind: Vec<Range<usize>> = found
            .iter()
            .filter(|span| span.kind == of)
            .filter_map(|span| {
                let id = pattern.captures(&text[span.range.end..])?.name("id")?.range();
                let id = span.range.end + id.start..span.range.end + id.end;
                let refused = match kind {
                    PhiKind::Date => plausible::is_rated(text, span.range.start),
                    PhiKind::Geography => text[id.clone()]
                        .split(' ')
                        .any(|word| word::is_heading(word) || lists::is_wide(&word::lower(word))),
                    _ => false,
                };
                (!refused).then_some(id)
            })
            .collect();
        for range in behind {
            add(&mut found, kind, range);
        }
    }
    if found.iter().any(|span| is_a_place_or_name(span.kind)) {
        let makers = makers::addresses(text);
        let inside = |range: &Range<usize>| makers.iter().any(|of| of.start <= range.start && range.end <= of.end);
        found.retain(|span| !(is_a_place_or_name(span.kind) && inside(&span.range)));
    }
    found.sort_by_key(|span| span.range.start);
    for at in 0..found.len() {
        let end = found[at].range.end;
        let next = found.get(at + 1).map_or(text.len(), |next| next.range.start);
        if found[at].kind != PhiKind::Geography || !text[end..].starts_with(", ") {
            continue;
        }
        let state = STATE_BEHIND
            .find(&text[end..])
            .map(|state| state.as_str().trim_end_matches(['.', ',', ';', ':', ')', ' ', '\n']));
        if let Some(state) = state.filter(|state| end + state.len() <= next) {
            found[at].range.end = end + state.len();
        }
    }
    found
}

/// Adds a run of names, together with the parts of it that are there already; what is of another kind stays.
fn join(found: &mut Vec<PhiSpan>, kind: PhiKind, mut range: Range<usize>) {
    for other in found.iter().filter(|span| !is_a_place_or_name(span.kind)).map(|span| &span.range) {
        if other.start <= range.start && range.start < other.end {
            range.start = other.end;
        } else if range.start < other.start && other.start < range.end {
            range.end = other.start;
        }
    }
    if range.is_empty() {
        return;
    }
    let meets = |span: &PhiSpan| span.range.start < range.end && range.start < span.range.end;
    let parts: Vec<PhiSpan> = found.extract_if(.., |span| meets(span)).collect();
    let kind = parts.first().map_or(kind, |part| part.kind);
    let start = parts.iter().map(|part| part.range.start).fold(range.start, usize::min);
    let end = parts.iter().map(|part| part.range.end).fold(range.end, usize::max);
    found.push(PhiSpan { kind, range: start..end });
}

/// Where the last bytes of a text begin, at a letter.
fn boundary(text: &str, bytes: usize) -> usize {
    text.floor_char_boundary(text.len().saturating_sub(bytes))
}

fn is_a_place_or_name(kind: PhiKind) -> bool {
    matches!(kind, PhiKind::Name | PhiKind::Geography)
}

/// Score: identifiers in the text.
pub fn phi(text: &str) -> Verdict {
    let spans = scan(text);
    let mut kinds: Vec<&str> = spans.iter().map(|span| span.kind.name()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let detail =
        if kinds.is_empty() { "none".to_owned() } else { format!("{} identifiers: {}", spans.len(), kinds.join(", ")) };
    Verdict::new(spans.len() as f32, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(PhiKind, &str)> {
        scan(text).into_iter().map(|span| (span.kind, &text[span.range])).collect()
    }

    #[test]
    fn identifiers_are_found_with_their_kind() {
        assert_eq!(
            found("Call 555-201-7788 or write a.b@c.org."),
            [(PhiKind::Phone, "555-201-7788"), (PhiKind::Mail, "a.b@c.org")]
        );
        assert_eq!(
            found("MRN: 00482913, seen on 03/14/2021"),
            [(PhiKind::MedicalRecord, "00482913"), (PhiKind::Date, "03/14/2021")]
        );
        assert_eq!(found("A 93-year-old man")[0].0, PhiKind::Age);
    }

    #[test]
    fn a_maker_has_an_address_and_persons_keep_theirs() {
        for text in ["A pump (Abiomed, Danvers, MA) was used.", "Read by the Axiom software (Erlangen, Germany)."] {
            assert_eq!(found(text), [], "{text}");
        }
        for (text, kept) in [
            ("Her daughter (Amina Hassan, Bristol, UK) was called.", "Amina Hassan"),
            ("He lives with his sister (Bristol, UK).", "Bristol"),
            ("He is a welder (works at Harlow Ltd., Bristol, UK).", "Bristol"),
            ("Seen at a clinic (St. Mary Hospital, Leeds, UK) before.", "Leeds"),
            ("Apgar 9-9-10, seen on 9-10-10.", "9-10-10"),
        ] {
            assert!(found(text).iter().any(|(_, span)| span.contains(kept)), "{text}: {:?}", found(text));
        }
    }

    #[test]
    fn medicine_is_no_identifier() {
        for text in [
            "Crohn's disease; Foley catheter placed; Parkinson disease; Glasgow Coma Scale 15.",
            "BP 120/80 mmHg, strength 5/5, GCS 15/15, Hb 9.5 g/dL, SpO2 98% on 2 L.",
            "Enoxaparin 40 mg SC daily. CT of the chest in 6 weeks. An 89-year-old woman.",
            "HISTORY OF PRESENT ILLNESS:\nPatient may take Aspirin. Past Medical History: none",
            "Facial weakness and a facial rash. Chart reviewed. Grade 2/6 murmur in 2019.",
        ] {
            assert_eq!(found(text), [], "{text}");
        }
    }
}
