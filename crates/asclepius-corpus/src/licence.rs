//! The licence gate: what the article's own statements amount to, and whether that is admitted.
//!
//! Every statement is read for a class: addresses, labels, names, and restrictions in plain words. One class from all
//! of them is the licence; two are a conflict; none is no licence. A waiver that covers the data only is not the
//! article's licence.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use asclepius_schema::{Licence, Reason};
use regex::Regex;

use crate::pattern::pattern;

use crate::archive;
use crate::article::LicenceEvidence;

/// The licence that admits an article.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Admitted {
    pub licence: Licence,
    /// As the article gives it; empty when it gives none.
    pub url: String,
}

/// Reads the evidence and holds it against the classes admitted.
pub(crate) fn decide(evidence: &LicenceEvidence, admitted: &[Licence]) -> Result<Admitted, (Reason, String)> {
    let text = normalise(&evidence.text);
    let mut by_address = BTreeSet::new();
    let mut unclear = Vec::new();
    let mut urls = Vec::new();
    // An attribute may hold more than one address.
    let attributes = evidence.addresses.iter().flat_map(|address| separated(address));
    for address in attributes.chain(addresses_in(&evidence.text)) {
        match class_of_address(&address) {
            Address::Class(class) => {
                by_address.insert(class);
                urls.push((class, address));
            }
            Address::Unknown => unclear.push(address),
            Address::Other => {}
        }
    }
    let mut classes = by_address.clone();
    let by_words = classes_in_words(&text);
    classes.extend(by_words.iter().copied());
    let by_label: Vec<Licence> = evidence.labels.iter().filter_map(|label| class_of_label(label)).collect();
    classes.extend(by_label);

    if classes.contains(&Licence::Cc0) && classes.len() > 1 && waives_data_only(&text) {
        classes.remove(&Licence::Cc0);
    }
    let names =
        |classes: &BTreeSet<Licence>| classes.iter().map(|class| class.name()).collect::<Vec<_>>().join(" and ");
    if classes.len() > 1 {
        return Err((Reason::LicenceConflict, format!("the licence statements name {}", names(&classes))));
    }
    let restricted = restriction_in_words(&format!("{text}\n{}", normalise(&evidence.labels.join("\n"))));
    let Some(class) = classes.first().copied() else {
        if let Some(restriction) = restricted {
            return Err((
                Reason::LicenceNotAdmitted,
                format!("no licence class, but the text allows {restriction} only"),
            ));
        }
        let detail = match unclear.first() {
            Some(address) => format!("{} names no known licence", shorten(address)),
            None if evidence.stated => "the licence statement names no Creative Commons class".to_owned(),
            None => "no licence statement".to_owned(),
        };
        return Err((Reason::LicenceMissing, detail));
    };
    if let Some(address) = unclear.first() {
        return Err((
            Reason::LicenceConflict,
            format!("{} stands beside an unknown {}", class.name(), shorten(address)),
        ));
    }
    if let Some(restriction) = restricted.filter(|restriction| !restriction.allowed_by(class)) {
        return Err((
            Reason::LicenceConflict,
            format!("{} is named, but the text allows {restriction} only", class.name()),
        ));
    }
    if let Some(code) = evidence.archive.as_deref().filter(|code| !archive::says_nothing(code)) {
        let filed = class_of_label(code);
        if filed != Some(class) {
            let filed = archive::named(filed, code);
            let detail = format!("the licence statement is {}, PubMed Central files it as {filed}", class.name());
            return Err((Reason::LicenceConflict, detail));
        }
    }
    if !admitted.contains(&class) {
        return Err((Reason::LicenceNotAdmitted, class.name().to_owned()));
    }
    let url = urls.into_iter().find(|(of, _)| *of == class).map(|(_, url)| url).unwrap_or_default();
    Ok(Admitted { licence: class, url })
}

fn shorten(address: &str) -> String {
    address.chars().take(100).collect()
}

/// Lower case, one kind of dash, no runs of white space.
fn normalise(text: &str) -> String {
    let unified: String = text
        .chars()
        .map(|character| match character {
            '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
            other => other,
        })
        .collect();
    unified.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn addresses_in(text: &str) -> Vec<String> {
    static ADDRESS: LazyLock<Regex> =
        LazyLock::new(|| pattern(r#"(?i)(?:https?://|www\.)?(?:[a-z]+\.)*creativecommons\.org/[^\s()<>"'\]]*"#));
    ADDRESS.find_iter(text).map(|found| found.as_str().trim_end_matches(['.', ',', ';', ':']).to_owned()).collect()
}

/// The addresses of one attribute; a space inside a single one ("licenses/CC BY-NC/4.0") separates nothing.
fn separated(address: &str) -> Vec<String> {
    static START: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)[\s,;]+(?:https?:/|www\.)"));
    let mut found = Vec::new();
    let mut start = 0;
    for next in START.find_iter(address) {
        found.push(address[start..next.start()].to_owned());
        start = next.start() + next.as_str().find(['h', 'H', 'w', 'W']).unwrap_or(0);
    }
    found.push(address[start..].to_owned());
    found
}

enum Address {
    Class(Licence),
    /// Of Creative Commons, but not one of its classes.
    Unknown,
    /// Says nothing on a class.
    Other,
}

fn class_of_address(address: &str) -> Address {
    static PATH: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"creative-?commons\.org/+(?:deed\.[a-z-]+/+)?(?:licen[sc]es?|publicdomain)/+([^/?#]+(?:/(?:nc|nd|sa)\b)*)",
        )
    });
    static BARE: LazyLock<Regex> = LazyLock::new(|| pattern(r"creative-?commons\.org/+(by[a-z-]*)(?:/|$)"));
    let address = normalise(&address.replace("%20", " ").replace("%2f", "/").replace("%2F", "/"));
    let Some(found) = PATH.captures(&address).or_else(|| BARE.captures(&address)) else {
        return Address::Other;
    };
    let code = found[1].trim().replace([' ', '_', '+', '/'], "-");
    let code = code.trim_matches(|character: char| !character.is_ascii_alphanumeric());
    if address.contains("publicdomain") || matches!(code, "zero" | "cc0" | "cc-zero") {
        return if code.contains("zero") || code == "cc0" { Address::Class(Licence::Cc0) } else { Address::Unknown };
    }
    class_of_code(code).map_or(Address::Unknown, Address::Class)
}

/// `by-nc-nd` and its relatives, however joined; version and jurisdiction may follow.
fn class_of_code(code: &str) -> Option<Licence> {
    static CODE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"^(?:cc[ -]?)?by((?:[ -]?(?:nc|nd|sa))*)(?:[ -]?v?\d.*|[ -]licen[sc]e.*|licen[sc]e)?$")
    });
    let found = CODE.captures(code)?;
    let has = |part| found[1].contains(part);
    class_of(has("nc"), has("nd"), has("sa"))
}

fn class_of(non_commercial: bool, no_derivatives: bool, share_alike: bool) -> Option<Licence> {
    match (non_commercial, no_derivatives, share_alike) {
        (false, false, false) => Some(Licence::CcBy),
        (false, false, true) => Some(Licence::CcBySa),
        (false, true, false) => Some(Licence::CcByNd),
        (true, false, false) => Some(Licence::CcByNc),
        (true, false, true) => Some(Licence::CcByNcSa),
        (true, true, false) => Some(Licence::CcByNcNd),
        // There is no licence that forbids derivatives and tells how to share them.
        (_, true, true) => None,
    }
}

/// `license-type="cc-by-nc"`, `content-type="ccbylicense"`; `open-access` says nothing.
pub(crate) fn class_of_label(label: &str) -> Option<Licence> {
    let label = normalise(label).replace('_', "-");
    if let Address::Class(class) = class_of_address(&label) {
        return Some(class);
    }
    if label.starts_with("cc0") || label.starts_with("cc-0") || label.starts_with("cc 0") || label == "cc-zero" {
        return Some(Licence::Cc0);
    }
    // A bare "by" could be anything.
    let code = label.strip_prefix("creativecommons").map(|code| format!("cc-{}", code.trim_start_matches(['-', ' '])));
    let code = code.unwrap_or(label);
    if code.starts_with("cc") { class_of_code(&code) } else { None }
}

/// Classes that the text names: as codes ("CC BY-NC") and by their full names.
fn classes_in_words(text: &str) -> BTreeSet<Licence> {
    static CODE: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"\bcc[ -]{0,3}(?:licen[sc]e )?\(?by((?:[ -]{0,3}(?:nc|nd|sa)\b|(?:nc|nd|sa)+\b)*)"));
    static ZERO: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"\bcc[ -]?(?:0|zero)\b|public domain dedication|creative commons zero"));
    static NAME: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?:creative commons?|\bcc)\W+(?:[a-z0-9.()]+\W+){0,3}?attribution((?:[^a-z]{1,6}(?:non[ -]?commercial(?:ly)?|no[ -]?deriv[a-z]*|share[ -]?alike|works?|and|no|nc|nd|sa)\b)*)",
        )
    });
    let mut classes = BTreeSet::new();
    for found in CODE.captures_iter(text) {
        let parts = &found[1];
        classes.extend(class_of(parts.contains("nc"), parts.contains("nd"), parts.contains("sa")));
    }
    if ZERO.is_match(text) {
        classes.insert(Licence::Cc0);
    }
    for found in NAME.captures_iter(text) {
        let words = &found[1];
        classes.extend(class_of(
            words.contains("commercial") || words.contains("nc"),
            words.contains("deriv") || words.contains("nd "),
            words.contains("alike"),
        ));
    }
    classes
}

/// A limit on use stated in plain words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Restriction {
    NonCommercial,
    NoDerivatives,
    ShareAlike,
}

impl Restriction {
    fn allowed_by(self, class: Licence) -> bool {
        match self {
            Self::NonCommercial => matches!(class, Licence::CcByNc | Licence::CcByNcSa | Licence::CcByNcNd),
            Self::NoDerivatives => matches!(class, Licence::CcByNd | Licence::CcByNcNd),
            Self::ShareAlike => matches!(class, Licence::CcBySa | Licence::CcByNcSa),
        }
    }
}

impl std::fmt::Display for Restriction {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::NonCommercial => "non-commercial use",
            Self::NoDerivatives => "unaltered copies",
            Self::ShareAlike => "sharing under the same terms",
        })
    }
}

/// Limits in plain words, in the languages that licence statements of such articles are written in. A statement that
/// allows commercial use is set aside first; any other word on commerce is taken for a limit.
fn restriction_in_words(text: &str) -> Option<Restriction> {
    static BOTH: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"commercial(?:ly)?,? (?:and|or|and/or|as well as|or for|and for) (?:for )?non-? ?commercial(?:ly)?|non-? ?commercial(?:ly)?,? (?:and|or|and/or|as well as|or for|and for|or even) (?:for )?commercial(?:ly)?",
        )
    });
    static ALLOWED: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?:\beven|\bincluding|\bincludes) (?:for )?(?:commercial(?:ly)?|(?:comercial|com fins comerciais|con fines comerciales)\b)|(?:allows?|permits?|allowing|permitting)(?: for)?(?: any| free| unrestricted)? commercial|commercial (?:use|re-?use|usage|purposes?) (?:is|are) (?:allowed|permitted)|\b(?:both|whether) commercial|commercial or (?:otherwise|financial relationships?)|with or without (?:modifications?|alterations?|changes?)",
        )
    });
    static NON: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"commercial|\bcomercia(?:l|is|les)|commerciale|kommerziell|\b(?:not[ -]for[ -]profit|non-?profit) (?:use|purpose|re-?use)|\b(?:personal|private|educational|academic|scholarly|research|scientific)(?: (?:and|or|and/or|,) ?(?:personal|private|educational|academic|scholarly|research|scientific))*,? (?:use|uses|purposes?) only|only for (?:personal|private|educational|academic)|\bby-?nc\b",
        )
    });
    static KEPT: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"\bnon?[ -]{0,3}deriv|\bnot (?:\w+ ){0,4}derivative|derivative(?:s| works?)? (?:is|are) (?:not|prohibited|forbidden)|\bwithout (?:any )?(?:derivatives|modifications?|alterations?|changes?)\b|\bno (?:modifications?|adaptations?|alterations?|changes?)\b|\b(?:not|cannot|never)(?: be)? (?:(?:altered|modified|transformed|changed|adapted|edited|abridged)\b|share adapted|distribute (?:the |any )?(?:adapted|modified|remixed))|permission (?:under this licen[sc]e )?to share adapted|\bunchanged\b|\bunmodified\b|\bunaltered\b|distribution of modified material|\bby-?(?:nc-?)?nd\b|sin ?(?:obras? ?)?derivad|sem ?(?:obras? ?)?deriva|pas de modification|keine bearbeitung|non opere derivate",
        )
    });
    static ALIKE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"\bshare[ -]?alike|licen[sc]ed under (?:the )?(?:same|identical) terms|under (?:the|an?) (?:same|identical|similar) licen[sc]e|\bby-?(?:nc-?)?sa\b|comparti(?:r|lha) ?igual|partage dans les mêmes",
        )
    });
    let rest = BOTH.replace_all(text, " ");
    let rest = ALLOWED.replace_all(&rest, " ");
    if NON.is_match(&rest) {
        Some(Restriction::NonCommercial)
    } else if KEPT.is_match(&rest) {
        Some(Restriction::NoDerivatives)
    } else if ALIKE.is_match(&rest) {
        Some(Restriction::ShareAlike)
    } else {
        None
    }
}

/// Whether the dedication to the public domain is about data made available, not about the article.
fn waives_data_only(text: &str) -> bool {
    static DATA: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?:waiver|dedication|zero|\bcc[ -]?0).{0,200}\b(?:meta)?data\b|\b(?:meta)?data\b.{0,120}(?:waiver|dedication|zero|\bcc[ -]?0)",
        )
    });
    DATA.is_match(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(address: &str, label: &str, text: &str) -> Result<Licence, Reason> {
        let evidence = LicenceEvidence {
            addresses: if address.is_empty() { vec![] } else { vec![address.to_owned()] },
            labels: vec![label.to_owned()],
            text: text.to_owned(),
            stated: true,
            archive: None,
        };
        decide(&evidence, &[Licence::Cc0, Licence::CcBy]).map(|found| found.licence).map_err(|(reason, _)| reason)
    }

    #[test]
    fn plain_statements_of_both_admitted_classes_pass() {
        for (address, label, text) in [
            ("http://creativecommons.org/licenses/by/4.0/", "open-access", ""),
            ("https://creativecommons.org/licenses/by/3.0/igo/", "", "This is an open access article."),
            ("https://www.creativecommons.org/licenses/by/4.0/deed.en", "", ""),
            (
                "",
                "OpenAccess",
                "distributed under the terms of the Creative Commons Attribution License, which permits unrestricted use",
            ),
            (
                "",
                "",
                "under the Creative Commons Attribution 4.0 International License (https://creativecommons.org/licenses/by/4.0/).",
            ),
            ("", "CC BY", "Open access."),
            ("", "ccbylicense", "Open access."),
            ("", "", "This work is licensed under a CC-BY 4.0 licence."),
            (
                "",
                "",
                "licensed under CC\u{a0}BY\u{a0}4.0, which allows others to copy for any purpose, including commercial and non-commercial use",
            ),
            (
                "http://creativecommons.org/licenses/by/4.0/",
                "",
                "reuse for commercial or non-commercial purposes is allowed",
            ),
            (
                "",
                "OpenAccess",
                "Creative Commons Attribution 4.0 International License (http://creativecommons.org/licenses/by/4.0/). The Creative \
                 Commons Public Domain Dedication waiver (http://creativecommons.org/publicdomain/zero/1.0/) applies to the data made \
                 available in this article, unless otherwise stated.",
            ),
            ("http://creativecommons.org/licenses/by/4.0/", "", "© 2018 Association. All Rights Reserved"),
        ] {
            assert_eq!(of(address, label, text), Ok(Licence::CcBy), "{address} {label} {text}");
        }
        assert_eq!(of("https://creativecommons.org/publicdomain/zero/1.0/", "", ""), Ok(Licence::Cc0));
        assert_eq!(
            of("", "", "made available under the Creative Commons CC0 public domain dedication"),
            Ok(Licence::Cc0)
        );
    }

    #[test]
    fn everything_else_is_refused_for_what_it_is() {
        use Reason::{LicenceConflict as Conflict, LicenceMissing as Missing, LicenceNotAdmitted as Other};
        let by = "https://creativecommons.org/licenses/by/4.0/";
        for (address, label, text, reason) in [
            ("", "open-access", "", Missing),
            ("", "", "This is an open access article. All rights reserved.", Missing),
            ("", "", "This is a work of the US Government in the public domain.", Missing),
            ("https://creativecommons.org/publicdomain/mark/1.0/", "", "", Missing),
            ("", "", "distributed under a Creative Commons license", Missing),
            ("https://www.elsevier.com/tdm/userlicense/1.0/", "", "", Missing),
            ("https://creativecommons.org/licenses/sampling+/1.0/", "", "", Missing),
            ("http://creativecommons.org/licenses/by-nc/4.0/", "", "", Other),
            ("http://creativecommons.org/licenses/CC BY-NC/4.0", "", "", Other),
            ("http://creativecommons.org/licenses/by-sa/4.0/", "", "", Other),
            ("", "cc-by-nc-nd", "", Other),
            (
                "",
                "",
                "under a Creative Commons Attribution–NonCommercial–NoDerivatives 4.0 International License",
                Other,
            ),
            ("", "", "Creative Commons Attribution Non-Commercial License", Other),
            ("", "", "free for non-commercial use", Other),
            ("", "", "CC BY-ND 4.0", Other),
            (by, "", "which permits non-commercial use, provided the work is cited", Conflict),
            (by, "", "Creative Commons Attribution Non-Commercial License", Conflict),
            (by, "cc-by-nc", "", Conflict),
            (by, "", "under CC BY-SA", Conflict),
            (
                "http://creativecommons.org/licenses/by-nc/3.0",
                "",
                "Creative Commons Attribution-Noncommercial-Share Alike 3.0",
                Conflict,
            ),
            (by, "", "dedicated to the public under CC0", Conflict),
            (by, "", "no modifications or adaptations may be made", Conflict),
        ] {
            assert_eq!(of(address, label, text), Err(reason), "{address} {label} {text}");
        }
    }
}
