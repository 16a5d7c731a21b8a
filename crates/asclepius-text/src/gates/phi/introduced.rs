//! Names of persons by what introduces them: titles, labels, kin, degrees, initials, ages.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::word::{Nature, is_acronym, is_heading, is_name, is_town, lower, plain};
use super::{PhiKind, context, lists, places};

const WORD: &str = r"(?:(?:O['’]|Mc|Mac|D['’]|Al-|al-|El-|el-|Abu-)?[A-ZÀ-ÞŁŚŠŽČĆĐ][\p{Ll}'’]+(?:-[A-ZÀ-ÞŁŚŠŽČ]?[\p{L}]+)?|(?:O['’]|Mc)?[A-ZÀ-ÞŁ]{3,}(?:-[A-ZÀ-Þ]{2,})?)";
const PARTICLE: &str =
    r"(?:van der|van den|van|von|de la|de las|de los|del|de|da|dos|di|der|den|bin|bint|ibn|ben|ter|le|la|al|el|du)";

struct Patterns {
    /// In capitals before an age: "LE THI MAI 61F".
    capitals: Regex,
    /// In capitals behind a calling, with an initial: "RESIDENT: KIM J".
    listed: Regex,
    /// A family name and an initial: "ABDI, F.".
    filed: Regex,
    /// The same without the point: "SORENSEN, K".
    shelved: Regex,
    /// Two names with an initial between: "Anjali V. Menon".
    middle: Regex,
    /// "Mr. K.".
    abbreviated: Regex,
    /// "The Al-Harbi twins", "Novak baby".
    household: Regex,
    /// Who typed: "typed by lmw".
    typist: Regex,
    /// A letter or two for one who does something: "K. cried", "AJ wants".
    lettered: Regex,
    /// Written small behind a title or kin: "dr patel", "daughter maria".
    small: Regex,
    /// "Goes by" and a quoted name.
    nickname: Regex,
    /// "D.W." for a person.
    dotted: Regex,
    /// "-- jt, RN" below what somebody wrote.
    signature: Regex,
    titled: Regex,
    labelled: Regex,
    credentials: Regex,
    initials: Regex,
    reversed: Regex,
    subject: Regex,
    /// "Drs. A and B": the last of them.
    coupled: Regex,
    /// "Name: Family, Given".
    indexed: Regex,
    /// Two capitalised words before an age or a number of the patient's.
    known_by: Regex,
    /// Two capitalised words behind what is done with persons.
    met: Regex,
    /// Children by their names: "3 kids (Hector, Nelly, and Junior)".
    children: Regex,
    /// One of them.
    child: Regex,
    /// What stands before a "Family, Given" that is a person's whatever the names are.
    label: Regex,
}

static PATTERNS: LazyLock<Patterns> = LazyLock::new(|| {
    let sequence = format!(
        r"(?:[A-Z]\.[\s\-]?){{0,3}}(?:{PARTICLE}\s)?{WORD}(?:[ \t]+(?:[A-Z]\.?[ \t]+)?(?:{PARTICLE}\s)?{WORD}){{0,3}}"
    );
    let new = super::compiled;
    Patterns {
        listed: new(&format!(
            r"\b(?i:{}|patient|name)\s?:\s*(?P<id>[A-Z]\s[A-Z]{{3,}}|[A-Z]{{3,}}\s[A-Z])\b",
            context::CALLINGS
        )),
        capitals: new(r"\b(?P<id>(?:[A-Z]{2,}\s){1,3}[A-Z]{2,}),?\s\d{1,3}\s?(?:[MF]\b|yo\b|y/o\b|[Yy]ear)"),
        filed: new(&format!(r"\b(?P<id>{WORD},\s[A-Z]\.(?:\s?[A-Z]\.)?)(?:[\s;)]|$)")),
        shelved: new(
            r"\b(?P<before>(?i:by|attending|confirmed|read|reviewed|md|dr|name|pt|patient|provider|resident|tech|rn|surgeon)[:.]?\s)?(?P<id>[A-Z]{2,}(?:['’-][A-Z]{2,})?,\s[A-Z](?:\s?[A-Z])?)(?:[.\s;)]|$)",
        ),
        middle: new(&format!(r"\b(?P<id>{WORD}\s[A-Z]\.\s?(?:{PARTICLE}\s)?{WORD})")),
        abbreviated: new(
            r"\b(?:Mrs?|Ms|Miss|Mx|Drs?|Prof)\.?\s(?P<id>[A-Z](?:\.(?:\s?[A-Z]\.)?|\b))(?:[\s,;:)]|['’]s|$)",
        ),
        household: new(
            r"\b(?P<id>(?:(?:Al|El|Abu|O|Mc|De|Van)[-'’ ]?)?[A-Z]\p{Ll}+(?:-[A-Z]\p{Ll}+)?)\s(?:baby|babies|twins?|triplets|family|siblings?|brothers|sisters|newborn|household|parents|kids|boys|girls)\b",
        ),
        typist: new(
            r"(?i:\b(?:typed|transcribed|entered|dictated|scribed|charted|message taken|taken|received|verified|witnessed|drawn) by:?)\s(?P<id>[a-z]{2,4}|[A-Z]{2,4})\b",
        ),
        lettered: new(r"(?m)(?:^|[.!?;:]\s)(?P<id>[A-Z]\.|[ABCDJKLMPRT]J|J[DPTR])(?:['’]s)?\s"),
        small: new(&format!(
            r"\b(?:(?P<title>[Dd]r|[Mm]rs?|[Mm]s|[Mm]iss|[Pp]rof)\.?|(?i:{}))\s(?P<id>[a-z]{{3,}})\b",
            context::KIN
        )),
        nickname: new(
            r#"(?i:\b(?:goes by|answers to|calling (?:him|her|them)sel(?:f|ves)|known only as|names? as|then as|prefers(?: to be called)?|preferred name|nick-?named?|known as|calls (?:her|him)self|friend|nicknamed))[\s:]+["“'‘]?(?P<id>[A-Z][\p{Ll}]+|[A-Z]{3,}(?:\s[A-Z]{2,})?)"#,
        ),
        dotted: new(r"(?:^|[\s(,:/])(?P<id>(?:[A-Z]\.){2,3})(?:[\s,;:)]|'s|$)"),
        signature: new(
            r"(?m)(?:(?:--|—|–|~)\s?(?P<id>[a-z]{2}|[A-Z]{2,3})|/\s?(?:tech|rn|ma|cna|scribe)?\s?(?P<other>[A-Z]{2}))(?:,?\s(?:RN|LPN|MD|DO|NP|PA-?C?|MA|CNA|RT|PT|OT|SW))?\.?$",
        ),
        titled: new(&format!(
            r"\b(?:Drs?|DR|Doctor|MR|Mrs?|MRS|Ms|MS|Miss|Mister|Mx|Prof|PROF|Professor|Sir|Madam|Dame|Nurse|Sister|Father|Coach|Rev|Reverend|Pastor|Rabbi|Imam|Capt|Captain|Sgt|Lt|Maj|Col|Cpl|Pte|Det|Dra|Dña|Doña|Srta|Smt|Shri|Ato|Woizero|Hajji|Hajia|Alhaji|Alhaja|Datuk|Datin|Puan|Encik|Khun|Daw|Fru|Herrn|Mevr|Mevrouw|Meneer|Dhr|Oom|Tannie|Mzee|Mwalimu|Sheikh|Ustaz|Deputy|Trooper|Constable|Detective|Inspector|Deacon|Auntie|Aunty|Señora?|Sra?|Herr|Frau|Mme|Mlle|Monsieur|Madame|Signora?|Therapist|Midwife|Surgeon|Judge|Officer|Uncle|Aunt|Baby|(?:Baby|BABY|Newborn)\s(?:[Bb]oy|[Gg]irl|BOY|GIRL|[Tt]win(?:\s[AB12])?))\b\.?[ \t]+(?P<id>(?:[A-Z]\.?[ \t]){{0,3}}{sequence})|\b(?:RN|SSN|SRN|S/N|NP|PA|PA-C|LPN|CNA|CRNA|LCSW|SLP|EMT|HCA)[ \t]+(?P<other>{sequence})"
        )),
        labelled: new(&format!(
            concat!(
                r"(?:(?:(?i:{kin}|{callings}|patient(?:['’]s)?\sname|pt\sname|full\sname|first\sname|last\sname|surname|maiden\sname|given\sname|family\sname|name|(?:electronically\s)?signed(?:\sby)?|dictated(?:\sby)?|transcribed(?:\sby)?|reviewed\sby|authori[sz]ed\sby|verified\sby|witness(?:ed\sby)?|seen\sby|examined\sby|evaluated\sby|operated\sby|performed\sby|ordered\sby|requested\sby|grossed\sby|read\sby|referred\sby|accompanied\sby|cared\sfor\sby|prepared\sby|entered\sby|",
                r"cc|attn|attention|dear|sincerely|regards|named|called|known\sas|alias|aka|spoke\s(?:with|to)|discussed\swith|speak\sto|per|(?:for\s)?referring|referral\sof|for\sseeing|regarding|re|on\sbehalf\sof|consent\s(?:from|of)|history\sfrom|with\sher|with\shis|team|on[- ]call|preferred|(?:md|rn|np|rt|pa|sw|team|family|provider|doctor)\s(?:notified|aware|informed|paged))\b)|(?i:a\.k\.a\.?))(?:\s(?i:is|was|are))?\s*[:,\-–]?\s*(?i:is\s|named\s|called\s|\()?(?P<id>{sequence})",
            ),
            kin = context::KIN,
            callings = context::CALLINGS,
            sequence = sequence,
        )),
        credentials: new(&format!(
            r"\b(?P<id>{sequence}),?\s+(?:M\.?D\.?|D\.?O\.?|R\.?N\.?|Ph\.?D\.?|N\.?P\.?|PA-?C?|MBBS|FRCS|FACS|FRCP|FACC|DDS|LCSW|MSW|CRNA|PharmD|DPM|APRN|DNP|BSN|CNM|MPH|OD|LPN|CNA|DPT|PT|OT)\b"
        )),
        initials: new(&format!(
            r"\b(?P<id>(?:[A-Z]\.\s?){{1,3}}(?:{PARTICLE}\s)?[A-ZÀ-Þ][\p{{Ll}}'’]{{2,}}(?:-[A-Z]\p{{Ll}}+)?)"
        )),
        reversed: new(&format!(r"\b(?P<id>{WORD},\s{WORD}(?:\s[A-Z]\b\.?)?)")),
        coupled: new(&format!(
            r"\b(?:Drs|DRS|Doctors|Profs|Messrs|Mr and Mrs)\b\.?[ \t]+{sequence}(?:,[ \t]{sequence})*,?[ \t](?:and|&)[ \t](?P<id>{sequence})"
        )),
        indexed: new(&format!(
            r"(?:(?i:(?:(?:patient|pt|full|legal)?\s?name|patient|pt|ordering|attending|referring|requesting|reading|surgeon|radiologist|pathologist|provider|physician|clinician|consultant|resident|technologist|operator|assistant|nurse|pcp|nok|contact|mother|father|dictated by|signed by|verified by)(?:\s(?:physician|provider|md|dr|clinician))?\s*:)|\b(?:NAME|Name|PATIENT)(?:\s(?:OF PATIENT|is))?)[ \t]*(?P<id>[A-Z]{{2,}}(?:[ \t][A-Z]{{2,}}){{1,3}}\b|{WORD}(?:[ \t]{WORD})?,[ \t]{WORD}(?:[ \t](?:[A-Z]\b\.?|{WORD}))?)"
        )),
        known_by: new(&format!(
            r"(?P<id>{WORD}(?:,[ \t]{WORD}|[ \t]+(?:[A-Z]\.?[ \t]+)?(?:{PARTICLE}\s)?{WORD})(?:[ \t]{WORD})?)[\s,;(]{{1,3}}(?:(?i:dob|d\.o\.b|mrn|nhs|pid)\b|\d{{1,3}}[- ]?(?:[MF]\b|[my]/?[of]\b|yo?\b|y\.o|(?i:year|yr)s?[- ]old|,\s[a-z]))"
        )),
        met: new(&format!(
            r"(?i:\b(?:saw|met|remind(?:ed)?|telephoned|phoned|counsel+ed|thank(?:ed)?|informed|(?:worked|walked|seen|met|spoke|talked|staffed|reviewed|discussed|rounded|co-signed|signed)\s(?:with|by)|(?:obtained|given|taken|provided|granted|collected|completed)\s(?:by|from)))[ \t]+(?P<id>{WORD}[ \t]+(?:[A-Z]\.[ \t])?(?:{PARTICLE}\s)?{WORD}(?:[ \t]{WORD})?)"
        )),
        children: new(&format!(
            r"\b(?i:kids|children|sons|daughters|siblings|brothers|sisters|grandchildren|grandkids|twins|nephews|nieces)\s?[(:,]\s?(?P<id>{WORD}(?:,\s(?:and\s|&\s)?{WORD}|\s(?:and|&)\s{WORD})*)"
        )),
        child: new(WORD),
        label: new(
            r"(?i)\b(?:re|regarding|patient|name|pt|(?:ur\s?n|mrn|unit|nhs|hn|record|chart)\s?(?:no\.?|number|#)?[\s:#]*[\d-]{4,})\s?:?\s*$",
        ),
        subject: new(&format!(
            r"\b(?P<id>{WORD}\s+(?:[A-Z]\.\s)?(?:{PARTICLE}\s)?{WORD}(?:\s{WORD})?),?\s(?:is an?\s|was\s(?:seen|admitted|extubated|intubated|discharged|transferred|referred|brought|taken|born|examined|evaluated|sent|last\sseen)|(?:presents|presented|reports|reported|denies|denied|states|stated|tolerated|underwent|complains|complained|came|fell|arrived|called|agreed|agrees|consented|refused|lives|works|feels|felt|says|said|has\sbeen\s(?:seen|followed))\b)"
        )),
    }
});

/// Persons and places of a text.
pub(super) fn find(text: &str) -> Vec<(PhiKind, Range<usize>)> {
    let patterns = &*PATTERNS;
    let mut found = Vec::new();
    let id = |hit: &regex::Captures<'_>| hit.name("id").or(hit.name("other")).map(|id| id.range()).unwrap_or_default();
    found.extend(places::facilities(text));
    for hit in patterns.indexed.captures_iter(text) {
        let words = || text[id(&hit)].split([' ', '\t', ',']).filter(|word| !word.is_empty());
        if words().all(is_acronym) && !words().any(is_heading) {
            found.push((PhiKind::Name, id(&hit)));
        }
    }
    for hit in patterns.capitals.captures_iter(text) {
        let words = || text[id(&hit)].split(' ');
        if words().any(|word| word.len() >= 3 && is_name(word)) && !words().any(is_heading) {
            found.push((PhiKind::Name, id(&hit)));
        }
    }
    for hit in patterns.filed.captures_iter(text) {
        let family = text[id(&hit)].split(',').next().unwrap_or_default();
        if lists::is_family(&plain(family)) && !is_heading(family) {
            found.push((PhiKind::Name, id(&hit)));
        }
    }
    for hit in patterns.shelved.captures_iter(text) {
        let family = text[id(&hit)].split(',').next().unwrap_or_default();
        let known = lists::is_family(&plain(family)) && !lists::is_vocabulary(&lower(family));
        if (known || hit.name("before").is_some() && family.len() >= 4)
            && !is_heading(family)
            && !lists::is_term(&lower(family))
        {
            found.push((PhiKind::Name, id(&hit)));
        }
    }
    for hit in patterns.middle.captures_iter(text) {
        let mut words = text[id(&hit)].split_whitespace();
        let ends = [words.next().unwrap_or_default(), words.next_back().unwrap_or_default()];
        let name = |word: &&str| matches!(Nature::of(word), Nature::Given | Nature::Family | Nature::Unknown(_));
        let either =
            ends.iter().any(|word| is_name(word) || matches!(Nature::of(word), Nature::Unknown(score) if score > 0.0));
        if ends.iter().all(name) && either && !ends.iter().any(|word| is_heading(word)) {
            found.push((PhiKind::Name, id(&hit)));
        }
    }
    for hit in patterns.household.captures_iter(text) {
        let word = text[id(&hit)].trim_start_matches("Al-").trim_start_matches("El-");
        let named = matches!(Nature::of(word), Nature::Given | Nature::Family)
            || matches!(Nature::of(word), Nature::Unknown(score) if score > 0.0);
        if named && !is_heading(word) {
            found.push((PhiKind::Name, id(&hit)));
        }
    }
    for hit in patterns.listed.captures_iter(text) {
        if !text[id(&hit)].split(' ').any(is_heading) {
            found.push((PhiKind::Name, id(&hit)));
        }
    }
    for hit in patterns.typist.captures_iter(text) {
        let word = &text[id(&hit)];
        // "By SN Rosario" has a title.
        let title = text[id(&hit).end..].strip_prefix(' ').is_some_and(|next| next.starts_with(char::is_uppercase));
        if !title && !is_heading(word) && !lists::is_vocabulary(word) {
            found.push((PhiKind::Name, id(&hit)));
        }
    }
    for hit in patterns.lettered.captures_iter(text) {
        if context::is_done_by_persons(&text[id(&hit).end..]) {
            found.push((PhiKind::Name, id(&hit)));
        }
    }
    for hit in patterns.small.captures_iter(text) {
        let name = plain(&text[id(&hit)]);
        let known = if hit.name("title").is_some() {
            lists::is_name(&name) || !lists::is_vocabulary(&name) && !is_heading(&name)
        } else {
            lists::is_usual(&name) && !lists::is_vocabulary(&name)
        };
        if known {
            found.push((PhiKind::Name, id(&hit)));
        }
    }
    for hit in patterns.nickname.captures_iter(text) {
        let range = id(&hit);
        // "Known as OLGA THEN as".
        let first = text[range.clone()].split(' ').next().unwrap_or_default().len();
        let last = text[range.clone()].rsplit(' ').next().unwrap_or_default();
        let end = if lists::is_word(&lower(last)) && !is_name(last) { range.start + first } else { range.end };
        found.push((PhiKind::Name, range.start..end));
    }
    for hit in patterns.dotted.captures_iter(text).filter(|hit| !ABBREVIATIONS.contains(&&text[id(hit)])) {
        found.push((PhiKind::Name, id(&hit)));
    }
    for hit in patterns.signature.captures_iter(text) {
        if !matches!(&text[id(&hit)], "ND" | "NT" | "NR" | "NL" | "NC" | "AT" | "NS" | "RA" | "OS" | "OU" | "PO" | "IV")
        {
            found.push((PhiKind::Name, id(&hit)));
        }
    }
    for hit in patterns.reversed.captures_iter(text) {
        let range = id(&hit);
        let mut halves = text[range.clone()].split(',').map(str::trim);
        let (family, given) = (halves.next().unwrap_or_default(), halves.next().unwrap_or_default());
        let given = given.split_whitespace().next().unwrap_or_default();
        // "ANA, ANCA" lists what was tested.
        let listed = [given, family].iter().any(|word| is_acronym(word) && !is_name(word));
        let (given, family) = (plain(given), plain(family));
        let both = lists::is_given(&given) && !lists::is_given(&family) && !lists::is_town(&family);
        let both = both && !context::is_behind_eponyms(&text[range.end..]);
        // Behind a label neither need be known: "RE: Vasquez, Hortensia", "URN 1094627 O'SHANNESSY, Declan".
        let before = &text[super::boundary(&text[..range.start], 40)..range.start];
        let labelled = patterns.label.is_match(before)
            && (lists::is_family(&family) || !lists::is_vocabulary(&family))
            && (lists::is_given(&given) || !lists::is_vocabulary(&given));
        let is_a_name = labelled || both && (lists::is_family(&family) || !lists::is_vocabulary(&family));
        if (labelled || !listed) && !is_heading(&family) && !is_heading(&given) && is_a_name {
            found.push((PhiKind::Name, range));
        }
    }
    for pattern in [&patterns.titled, &patterns.credentials] {
        for hit in pattern.captures_iter(text) {
            // "Zepbound PA pending" is an authorisation, "left eye OD" an eye.
            let degree = hit.get(0).map_or("", |whole| &text[id(&hit).end.min(whole.end())..whole.end()]);
            let asked = matches!(degree.trim(), "PA" | "PT" | "OT" | "OD" | "DO")
                && !degree.starts_with(',')
                && !text[id(&hit)].split_whitespace().any(is_name);
            if asked {
                continue;
            }
            found.extend(trimmed(text, id(&hit)).map(|range| (PhiKind::Name, range)));
        }
    }
    for hit in patterns.labelled.captures_iter(text) {
        let whole = hit.get(0).map(|whole| whole.start()).unwrap_or_default();
        let before = &text[..whole];
        if before.ends_with(char::is_alphanumeric) || context::is_before_a_product(before) {
            continue;
        }
        found.extend(trimmed(text, id(&hit)).map(|range| (PhiKind::Name, range)));
    }
    for hit in patterns.initials.captures_iter(text) {
        // "8 mmol/L. After" and "39 °C. There" end a sentence with a unit.
        let before = text[..id(&hit).start].trim_end();
        let unit = context::is_before_a_letter(before) || text[id(&hit)].contains('\n');
        let range = trimmed(text, id(&hit)).filter(|range| !unit && has_word(&text[range.clone()]));
        found.extend(range.map(|range| (PhiKind::Name, range)));
    }
    for hit in patterns.coupled.captures_iter(text).chain(patterns.indexed.captures_iter(text)) {
        found.extend(trimmed(text, id(&hit)).map(|range| (PhiKind::Name, range)));
    }
    for hit in patterns
        .subject
        .captures_iter(text)
        .chain(patterns.met.captures_iter(text))
        .chain(patterns.known_by.captures_iter(text))
    {
        let range = id(&hit);
        if text[range.clone()].split_whitespace().any(|word| is_heading(word) || is_town(word) || is_acronym(word)) {
            continue;
        }
        found.extend(trimmed(text, range).map(|range| (PhiKind::Name, range)));
    }
    for hit in patterns.children.captures_iter(text) {
        let range = id(&hit);
        let names: Vec<Range<usize>> = patterns
            .child
            .find_iter(&text[range.clone()])
            .map(|word| range.start + word.start()..range.start + word.end())
            .collect();
        // "Children: Asthma" lists what they have.
        if names.iter().any(|name| lists::is_given(&plain(&text[name.clone()])) && !is_heading(&text[name.clone()])) {
            found.extend(names.into_iter().map(|name| (PhiKind::Name, name)));
        }
    }
    found.extend(patterns.abbreviated.captures_iter(text).map(|hit| (PhiKind::Name, id(&hit))));
    found.extend(places::introduced(text));
    // "ProTaper" and "SpO2" only begin like names.
    found.retain(|(_, range)| !text[range.end..].starts_with(char::is_alphanumeric));
    found
}

/// What has the form of initials and is no person's.
const ABBREVIATIONS: &[&str] = &[
    "U.S.", "U.K.", "U.S.A.", "I.V.", "I.M.", "P.O.", "P.R.", "P.R.N.", "E.R.", "E.D.", "I.D.", "D.O.", "M.D.", "R.N.",
    "N.P.", "B.I.D.", "T.I.D.", "Q.D.", "S.C.", "S.A.", "N.V.", "B.V.", "E.U.", "D.C.", "N.Y.", "L.A.", "A.M.", "P.M.",
    "B.C.", "A.D.", "C.I.", "S.D.", "Q.I.D.", "N.P.O.", "I.U.", "D.R.", "F.H.", "B.P.", "E.G.", "I.E.", "A.K.A.",
    "D.O.B.", "D.O.A.", "D.O.D.", "P.A.", "J.R.", "O.D.", "O.S.", "O.U.",
];

/// Without words at either end that are no names; nothing where an eponym is all there is.
fn trimmed(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let (mut start, mut end) = (range.start, range.end);
    loop {
        let rest = &text[start..end];
        let first = rest.split_whitespace().next()?;
        let titled = is_titled(text, start);
        let alone = first.len() == rest.len();
        // "Dr. Wilson" is a person, "Wilson disease" is not.
        let eponym = !is_name(first) || context::is_behind_eponyms(&text[start + first.len()..]) || alone && !titled;
        if !(is_heading(first) && eponym || is_foreign(first, titled)) {
            break;
        }
        start = end - rest[first.len()..].trim_start().len();
    }
    loop {
        let rest = &text[start..end];
        let last = rest.split_whitespace().next_back()?;
        let word = !is_name(last) && (is_heading(last) || is_foreign(last, false) && rest.contains(char::is_lowercase));
        if last.len() == rest.len() || !word {
            break;
        }
        end = start + rest[..rest.len() - last.len()].trim_end().len();
    }
    let stripped =
        text[start..end].trim_end_matches("'s").trim_end_matches("’s").trim_end_matches(['\'', '’', '-', '.']);
    let end = start + stripped.len();
    // "Mr. Achterhof's cell" is his telephone.
    let titled = is_titled(text, start);
    // "Sister Mary Joseph nodule".
    let sister = text[..start].trim_end().ends_with("Sister");
    let titled = titled && !sister;
    (end > start && (titled || !context::is_behind_eponyms(&text[end..]))).then_some(start..end)
}

fn is_titled(text: &str, start: usize) -> bool {
    context::is_before_the_titled(&text[..start]) || context::is_right_behind_kin(&text[..start])
}

/// An abbreviation or a word of the language, and no name; behind a title every word is one.
fn is_foreign(word: &str, titled: bool) -> bool {
    // Of three capitals few are a name.
    let short = is_acronym(word) && word.chars().count() <= 3 && !titled;
    short || !is_name(word) && (is_acronym(word) || !titled && lists::is_word(&lower(word)))
}

/// Whether more than initials is left.
fn has_word(name: &str) -> bool {
    name.split(|letter: char| !letter.is_alphabetic()).any(|word| word.chars().nth(1).is_some())
}
