//! Names in running text that no label or title introduces: the lists know them, or they are capitalised, stand where a
//! name may, and are words of neither everyday language nor medicine.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::names::{AFTER_EPONYM, WIDE, is_acronym, is_word, lower, plain};
use super::{PhiKind, PhiSpan, lists};

/// A capitalised word of the text.
struct Token {
    range: Range<usize>,
    plain: String,
    nature: Nature,
    /// A sentence, a line or a field begins with it, so that its capital tells nothing.
    opens: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Nature {
    /// In the lists and nothing else.
    Given,
    Family,
    Town,
    /// In the lists, but a word or a term too.
    Ambiguous,
    /// In no list: how much it looks like a name.
    Unknown(f32),
    /// A word, or a term of medicine.
    Other,
}

impl Nature {
    fn of(word: &str) -> Self {
        let (lower, plain) = (lower(word), plain(word));
        let parts = || plain.split('-').filter(|part| !part.is_empty());
        let fold = |part: &str| if part.len() < lower.len() { part.to_owned() } else { String::new() };
        let (given, family) = (parts().any(lists::is_given) || lists::is_given(&plain), parts().any(lists::is_family));
        let town = lists::is_town(&plain);
        let medical = lists::is_term(&lower)
            || lower.split('-').any(|part| (lists::is_term(part) || is_word(part)) && !lists::is_given(&fold(part)))
            || lower.split('-').all(lists::is_vocabulary)
            || lower.split('-').any(|part| WIDE.contains(part))
            || super::super::faithful::counts_or_measures(&lower)
            || super::super::faithful::is_common(&lower);
        match (medical, given || family || town) {
            (true, true) => Self::Ambiguous,
            (true, false) => Self::Other,
            (false, true) if given => Self::Given,
            (false, true) if family => Self::Family,
            (false, true) => Self::Town,
            (false, false) => {
                let foreign = if lower.is_ascii() { 0.0 } else { FOREIGN_LETTERS };
                let medical = if is_medical_by_ending(&lower) { MEDICAL_ENDING } else { 0.0 };
                let parts = plain.split('-').count() as f32;
                Self::Unknown(lists::likeness(&plain) / parts.max(1.0) + foreign - medical)
            }
        }
    }
}

/// What a letter outside of English speaks for a name.
const FOREIGN_LETTERS: f32 = 4.0;
/// What an ending of medicine speaks against it.
const MEDICAL_ENDING: f32 = 5.0;
/// How much a word must look like a name within a sentence, at its beginning before what persons do, and there alone.
const WITHIN: f32 = -2.5;
const BEFORE_A_VERB: f32 = -2.0;
const ALONE: f32 = 5.0;

/// Endings of drugs, diseases, organisms, procedures and substances, which few names have.
fn is_medical_by_ending(lower: &str) -> bool {
    const ENDINGS: &[&str] = &[
        "itis",
        "osis",
        "oses",
        "emia",
        "aemia",
        "ectomy",
        "otomy",
        "ostomy",
        "plasty",
        "scopy",
        "graphy",
        "gram",
        "graph",
        "pathy",
        "ology",
        "ologist",
        "opathy",
        "trophy",
        "plasia",
        "penia",
        "uria",
        "oma",
        "omas",
        "mab",
        "nib",
        "vir",
        "cillin",
        "mycin",
        "floxacin",
        "azole",
        "prazole",
        "olol",
        "pril",
        "sartan",
        "statin",
        "gliptin",
        "gliflozin",
        "glutide",
        "parin",
        "xaban",
        "cycline",
        "sone",
        "solone",
        "caine",
        "zepam",
        "zolam",
        "barbital",
        "dipine",
        "oxide",
        "ase",
        "amide",
        "amine",
        "idine",
        "azine",
        "thiazide",
        "phylline",
        "tropin",
        "globin",
        "globulin",
        "lysin",
        "bacter",
        "bacterium",
        "coccus",
        "virus",
        "myces",
        "monas",
        "ella",
        "phage",
        "cyte",
        "cytes",
        "tion",
        "sion",
        "ness",
        "ment",
        "ments",
        "ity",
        "ous",
        "ical",
        "ular",
        "ating",
        "izing",
        "ising",
        "able",
        "ible",
        "ized",
        "ised",
        "ated",
        "ically",
        "ics",
        "ful",
        "less",
        "ship",
        "ward",
        "meter",
        "metry",
        "therapy",
        "genic",
        "lytic",
        "tic",
        "toxin",
        "logical",
        "phobia",
        "algia",
        "rrhea",
        "rrhoea",
        "rrhage",
        "plegia",
        "paresis",
        "ectasis",
        "megaly",
        "stenosis",
        "sclerosis",
        "ture",
        "tures",
        "ologic",
        "oid",
        "oids",
        "ol",
        "yl",
        "ine",
        "ide",
        "ate",
        "ium",
        "tide",
        "gesia",
        "alyzer",
        "alyser",
        "bies",
        "rose",
        "scan",
        "eutical",
    ];
    lower.len() >= 6 && ENDINGS.iter().any(|ending| lower.ends_with(ending))
}

/// What persons do, feel and are told, behind a name.
static VERB: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"^(?:['’]s\s[a-z]|\s(?:also |still |then |now |just |only |later |has |had |have |will |would |can |could |did |does |was |is |may |must |should |not |never |often |usually |again )*",
        r"(?:[a-z]+s (?:the|her|his|that|to|in|at|with|me|us|him|them|he|she|about|on|daily|nightly|well|a|an)\b|",
        r"(?:not|has|had|have|will|would|can|could|did|does|was|is|may|should|must|were|are|doing|able|unable|keen|happy|aware|present|well|comfortable|asleep|alert|adherent|supportive|worried|anxious|pleased|motivated|unwell|tearful|fine|tired|at|and [A-Z]|",
        r"cleaned|dressed|walked|walks|ambulated|ate|eats|slept|sleeps|asked|asks|tells|told|says|said|calls|called|rang|rings|phoned|phones|texted|texts|wrote|writes|replied|replies|reviewed|reviews|reports|reported|denies|denied|states|stated|notes|noted|",
        r"came|comes|went|goes|left|leaves|returned|returns|arrived|arrives|brought|brings|picked|opened|opens|gave|gives|took|takes|has|drove|drives|lives|lived|works|worked|visits|visited|stays|stayed|moved|fled|fell|managed|manages|refused|refuses|refusing|agreed|agrees|",
        r"disagreed|declined|declines|consented|confirms|confirmed|watched|watches|helps|helped|cares|cared|relapsed|missed|attended|attends|tolerated|tolerates|presented|presents|underwent|wishes|wished|wants|wanted|thinks|thought|believes|feels|felt|seems|seemed|looks|looked|",
        r"cried|died|dies|smokes|drinks|uses|used|plans|planned|prefers|remains|remained|understands|understood|signed|signs|administered|collected|collects|removed|changed|checked|assessed|saw|sees|met|meets|knows|knew|found|finds|carries|recovered|discharged|admitted|transferred|notified|informed))(?-u:\b))",
    ))
    .expect("the pattern is valid")
});

/// What stands before persons: kin, callings and what is done with them.
static BEFORE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?i)(?-u:\b)(?:by|with|to|told|called|calls|asked|asks|saw|met|meets|her|his|their|daughter|son|sons|daughters|wife|husband|partner|mother|father|mum|mom|dad|grandad|granny|grandmother|grandfather|stepfather|stepmother|",
        r"brother|sister|brothers|sisters|aunt|uncle|cousin|nephew|niece|children|twins|friend|neighbou?r|carer|companion|sponsor|patient|pt|thank|thanks|named|colleague|student|resident|intern|doctor|nurse|surgeon|therapist|let|per|and|&|",
        r"prescriber|recipient|donor|inmate|subject|agent|alternate|notary|solicitor|teacher|coach|foreman|counsellor|coordinator|scrub|crew|compressions|airway|lead|aide|driver|skier|diver|veteran|interpreter|consultant|physio|chaplain|index|reviewed|matron|deacon|detective|inspector|constable|sergeant|reverend|imam|sheikh|auntie|grandpa|grandma|nan|gran|bed \d+|\d\.|re:?|from|for|of) $",
    ))
    .expect("the pattern is valid")
});

/// What a name of a place ends with.
const FACILITIES: &[&str] = &[
    "hospital",
    "clinic",
    "infirmary",
    "hospice",
    "surgery",
    "practice",
    "school",
    "primary",
    "elementary",
    "academy",
    "college",
    "university",
    "church",
    "station",
    "facility",
    "prison",
    "jail",
    "mill",
    "yard",
    "plant",
    "pharmacy",
    "centre",
    "center",
    "home",
    "house",
    "lodge",
    "court",
    "manor",
    "park",
    "gardens",
    "farm",
    "road",
    "street",
    "lane",
    "avenue",
    "drive",
    "close",
    "terrace",
    "square",
    "beach",
    "island",
    "village",
    "county",
    "district",
    "institute",
    "barracks",
    "airport",
    "market",
    "cottage",
    "campus",
    "klinikum",
    "medical",
    "regional",
    "general",
    "memorial",
    "care",
    "teaching",
    "correctional",
];

/// Names that [`super::scan`]'s other rules left: whole runs of capitalised words.
pub(super) fn find(text: &str, found: &[PhiSpan]) -> Vec<(PhiKind, Range<usize>)> {
    let tokens = tokens(text);
    let spelled: Vec<&str> = found
        .iter()
        .filter(|span| span.kind == PhiKind::Name)
        .flat_map(|span| text[span.range.clone()].split_whitespace())
        .collect();
    let spelled: Vec<String> = spelled.into_iter().map(plain).filter(|word| word.len() >= 3).collect();
    let mut names: Vec<bool> = tokens.iter().map(|token| is_name(text, token, &spelled)).collect();
    // What stands among names is one: "Leroy Grace Tanner", "Toby, Isla and Grace".
    for _ in 0..2 {
        for at in 0..tokens.len() {
            let token = &tokens[at];
            if names[at] || matches!(token.nature, Nature::Other) || is_eponymous(text, token) {
                continue;
            }
            let beside = |other: usize, between: &str| {
                let joined = matches!(between, " " | " \"" | "\" " | " and " | " & " | "/" | ", " | ", and ");
                names[other]
                    && (matches!(between, " " | " \"" | "\" ") || joined && !matches!(token.nature, Nature::Ambiguous))
            };
            let before = at > 0 && beside(at - 1, &text[tokens[at - 1].range.end..token.range.start]);
            let after = at + 1 < tokens.len() && beside(at + 1, &text[token.range.end..tokens[at + 1].range.start]);
            let given = lists::is_given(&token.plain);
            names[at] = before && !token.opens || after && (!token.opens || given || token.nature != Nature::Ambiguous);
        }
    }
    // A name found once is one wherever it stands.
    let known: Vec<&str> =
        tokens.iter().zip(&names).filter(|(_, name)| **name).map(|(token, _)| token.plain.as_str()).collect();
    let again: Vec<bool> = tokens
        .iter()
        .map(|token| {
            let certain = !matches!(token.nature, Nature::Other | Nature::Ambiguous) || !token.opens;
            certain
                && token.nature != Nature::Other
                && known.contains(&token.plain.as_str())
                && !is_eponymous(text, token)
        })
        .collect();
    let names: Vec<bool> = names.iter().zip(again).map(|(one, other)| *one || other).collect();
    runs(text, &tokens, &names)
}

fn is_name(text: &str, token: &Token, spelled: &[String]) -> bool {
    let (before, after) = (&text[..token.range.start], &text[token.range.end..]);
    if is_eponymous(text, token) || is_binomial(after, token) {
        return false;
    }
    let again = spelled.contains(&token.plain);
    if !again && matches!(token.nature, Nature::Unknown(_) | Nature::Family) && is_thing(before, after) {
        return false;
    }
    let acts = || VERB.is_match(after);
    let among = || BEFORE.is_match(&before[super::boundary(before, 16)..]) || is_placed(before);
    match token.nature {
        Nature::Other => again && !token.opens,
        Nature::Ambiguous if lists::is_town(&token.plain) && is_placed(before) => {
            after.starts_with(['.', ',', ';', ')'])
        }
        Nature::Ambiguous => again || (!token.opens && lists::is_given(&token.plain) && among() && acts()),
        Nature::Given | Nature::Town => token.plain.len() >= 3 || again,
        Nature::Family => {
            again || !token.opens && token.plain.len() >= 3 || acts() || lists::likeness(&token.plain) > ALONE
        }
        Nature::Unknown(score) => {
            again
                || (token.plain.len() >= 4 || score > 0.0 && token.plain.len() >= 3)
                    && (!token.opens && score > WITHIN
                        || score > BEFORE_A_VERB && acts()
                        || !token.opens && among() && score > 2.0 * WITHIN
                        || score > ALONE)
        }
    }
}

/// An eponym, a product, a province, or words that an abbreviation stands behind: "Frontal Battery (FAB)".
fn is_eponymous(text: &str, token: &Token) -> bool {
    static SHORTENED: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^['’]?s?\s?[™®]|^\s(?i:province|region|state|prefecture|oblast)(?-u:\b)|^\s(?:[a-z]+\s)?(?:software|systems?|devices?|scanners?|kits?|assays?|platforms?|stents?|balloons?|pumps?|mesh|grafts?|clips?|pins?|lasers?|microscopes?|instruments?|analy[sz]ers?|ganglion|pedicle|honey|tape|foam|dressings?|boots?|strip)(?-u:\b)|^['’]s [A-Z]")
            .expect("the pattern is valid")
    });
    static ABBREVIATED: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^(?:\s[A-Za-z]+)?\s\(([A-Z][A-Za-z0-9\-]*[A-Z])s?\)").expect("the pattern is valid")
    });
    let after = &text[token.range.end..];
    let initial = text[token.range.clone()].chars().next();
    let shortened = || ABBREVIATED.captures(after).is_some_and(|hit| hit[1].chars().any(|one| Some(one) == initial));
    AFTER_EPONYM.is_match(after) || SHORTENED.is_match(after) || shortened()
}

/// A maker or a product, in brackets or before a figure, or the author of what is cited, where nothing tells of a person.
fn is_thing(before: &str, after: &str) -> bool {
    static FIGURE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^[-‑]\d|^\s\d+(?:[.,]\d+)?(?:\s?(?:mg|g|kg|ml|mL|mcg|µg|μg|IU|units?|mm|cm|Fr|French|G|T|mesh|catheters?|microcatheters?|valves?|devices?)(?-u:\b)|[-‑][A-Z]|x\d)|^(?:[/-][A-Za-z]+)?[™®]")
            .expect("the pattern is valid")
    });
    static THING: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^(?:\s[A-Za-z]+)?\s(?i:sutures?|curves?|models?|burs?|patterns?|holes?|capsule|bundle|panels?|cages?|masks?|mouthpieces?|incisions?|points|leaf|map|nuclei|processors?|microcatheters?|guidewires?|injections?|tablets?|cream|ointment|polymerase|laborator(?:y|ies)|diagnostics|healthcare|pharma(?:ceuticals?)?|inc|ltd|gmbh|corp(?:oration)?|company|co)(?-u:\b)")
            .expect("the pattern is valid")
    });
    static CITED: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?-u:\b)(?:described|proposed|introduced|developed|defined|classified|published|popularized|popularised|according|criteria) (?:by|to|of) (?:[A-Z][\w'’-]+(?:,| and| &) )*$")
            .expect("the pattern is valid")
    });
    let near = &before[super::boundary(before, 80)..];
    FIGURE.is_match(after)
        || THING.is_match(after)
        || CITED.is_match(near)
        || is_bracketed(near, after)
        || is_before_a_term(after)
}

/// "Endobronchial Ultrasound", "Caris Life Sciences", but "Hamanomachi Hospital".
fn is_before_a_term(after: &str) -> bool {
    let Some(next) = after.strip_prefix(' ').filter(|next| next.starts_with(char::is_uppercase)) else { return false };
    let word = &next[..next.find(|letter: char| !letter.is_alphabetic()).unwrap_or(next.len())];
    word.len() >= 4
        && word.chars().skip(1).all(char::is_lowercase)
        && Nature::of(word) == Nature::Other
        && !FACILITIES.contains(&lower(word).as_str())
}

/// What tells that brackets are about a person.
static PERSON: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?i)(?-u:\b)(?:daughter|son|wife|husband|spouse|mother|father|mum|mom|dad|brother|sister|partner|carer|caregiver|nok|kin|nurse|rn|md|np|",
        r"pa|dr|doctor|consultant|registrar|interpreter|friend|contact|aunt|uncle|niece|nephew|cousin|neighbou?r|grand\w+|step\w+|poa|proxy|guardian|",
        r"patient|pt|resident|physio|physiotherapist|ot|slt|midwife|surgeon|gp|tel|phone|mobile|cell|ext|dob|née|nee|formerly|aka|known as)(?-u:\b)|\d{3}[- ]\d{3}",
    ))
    .expect("the pattern is valid")
});

/// Within brackets that are not about a person: "(Dentsply Maillefer)", but "his daughter (Gwen)" and "(son Gwil visits)".
fn is_bracketed(near: &str, after: &str) -> bool {
    let Some(open) = near.rfind('(').filter(|&open| !near[open..].contains(')')) else { return false };
    let (outside, inside) = (format!("{} ", near[..open].trim_end()), &near[open + 1..]);
    let rest = &after[..after.floor_char_boundary(60)];
    let rest = &rest[..rest.find(')').unwrap_or(rest.len())];
    !BEFORE.is_match(&outside)
        && !BEFORE.is_match(inside)
        && !PERSON.is_match(inside)
        && !PERSON.is_match(rest)
        && !VERB.is_match(after)
}

/// How Latin epithets end.
const LATIN: &[&str] = &["us", "is", "ae", "ii", "um", "ans", "ens", "a", "i", "es"];

/// "Prototheca wickerhamii": a word in lower case behind it that is none.
fn is_binomial(after: &str, token: &Token) -> bool {
    let Some(next) = after.strip_prefix(' ') else { return false };
    let epithet = &next[..next.find(|letter: char| !letter.is_ascii_lowercase()).unwrap_or(next.len())];
    matches!(token.nature, Nature::Unknown(_)) && (epithet == "species" || epithet == "spp" || epithet == "sp")
        || epithet.len() >= 5
            && LATIN.iter().any(|ending| epithet.ends_with(ending))
            && !lists::is_vocabulary(epithet)
            && !is_word(epithet)
}

/// Capitalised words, with the hyphens and apostrophes inside of them.
fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut letters = text.char_indices().peekable();
    let mut previous = None;
    while let Some((start, first)) = letters.next() {
        let inside = previous.is_some_and(|before: char| before.is_alphanumeric() || matches!(before, '_' | '@' | '.'))
            && !matches!(previous, Some('.'));
        previous = Some(first);
        if !first.is_uppercase() || inside {
            continue;
        }
        let mut end = start + first.len_utf8();
        let mut small = 0;
        while let Some(&(at, letter)) = letters.peek() {
            let joins = matches!(letter, '-' | '\'' | '’' | '‑')
                && text[at + letter.len_utf8()..].starts_with(char::is_alphabetic);
            if !letter.is_alphabetic() && !joins {
                break;
            }
            small += usize::from(letter.is_lowercase());
            end = at + letter.len_utf8();
            previous = Some(letter);
            letters.next();
        }
        let mut word = &text[start..end];
        for ending in ["'s", "’s"] {
            word = word.strip_suffix(ending).unwrap_or(word);
        }
        let digits = text[start + word.len()..].starts_with(|next: char| next.is_ascii_digit() || next == '_');
        if small == 0 || digits || is_acronym(word) || !is_spelled_as_a_name(word) {
            continue;
        }
        let before = text[..start].trim_end_matches([' ', '\t', '"', '“', '(', '\'']);
        let opens = before.is_empty() || before.ends_with(['.', '!', '?', ':', ';', '\n', '-', '–', '*', '•', '>']);
        // "Dr. Lal" and "J. Lal" begin no sentence.
        let opens = opens && !ends_with_initial(before);
        found.push(Token { range: start..start + word.len(), plain: plain(word), nature: Nature::of(word), opens });
    }
    found
}

/// Neither "SUVmax" and "HBsAg" nor "D-dimer".
fn is_spelled_as_a_name(word: &str) -> bool {
    const BEGINNINGS: &[&str] =
        &["Mc", "Mac", "De", "Di", "Da", "Du", "Le", "La", "Van", "Fitz", "Von", "Del", "Ní", "Al"];
    word.split(['-', '‑', '\'', '’']).enumerate().all(|(at, part)| {
        let mut letters = part.char_indices().skip(1);
        let inner = letters.find(|(_, letter)| letter.is_uppercase());
        let single = part.chars().count() == 1;
        let elided = single && word[part.len()..].starts_with(['\'', '’']) && at == 0;
        inner.is_none_or(|(at, _)| BEGINNINGS.contains(&&part[..at])) && (!single || elided)
    })
}

fn ends_with_initial(before: &str) -> bool {
    let Some(before) = before.strip_suffix('.') else { return false };
    let last = before.rsplit(|letter: char| !letter.is_alphabetic()).next().unwrap_or_default();
    (last.chars().count() == 1 && last.chars().all(char::is_uppercase))
        || matches!(
            last,
            "Dr" | "Mr"
                | "Mrs"
                | "Ms"
                | "Prof"
                | "Fr"
                | "St"
                | "Sr"
                | "Det"
                | "Lt"
                | "Capt"
                | "Rev"
                | "Sgt"
                | "Smt"
                | "Cdr"
        )
}

/// Neighbouring names as one span, with particles, initials and what a place's name ends with.
fn runs(text: &str, tokens: &[Token], names: &[bool]) -> Vec<(PhiKind, Range<usize>)> {
    static PARTICLES: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^[ \t][\x22“]?(?:[A-Z]\.[ \t]?)?(?:(?:van der|van den|van|von|de la|de los|de|del|da|do|dos|das|di|der|den|bin|bint|ibn|ben|ter|le|la|al|el|du|y|upon|am|Freiherr von)[ \t])?$|^[\x22”] $")
            .expect("the pattern is valid")
    });
    static INITIALS: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^ (?:[A-Z]\. ?)*[A-Z]\.").expect("the pattern is valid"));
    static CODE_BEFORE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?-u:\b)\d{4,6}(?: [A-Z]{2})? $").expect("the pattern is valid"));
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if !names[at] {
            at += 1;
            continue;
        }
        let (start, mut last) = (at, at);
        while last + 1 < tokens.len()
            && names[last + 1]
            && PARTICLES.is_match(&text[tokens[last].range.end..tokens[last + 1].range.start])
        {
            last += 1;
        }
        let mut end = tokens[last].range.end;
        let mut place = tokens[start..=last].iter().all(|token| token.nature == Nature::Town);
        let mut next = last + 1;
        while let Some(token) = tokens.get(next) {
            if &text[end..token.range.start] != " " || !FACILITIES.contains(&lower(&text[token.range.clone()]).as_str())
            {
                break;
            }
            end = token.range.end;
            place = true;
            next += 1;
        }
        let mut from = tokens[start].range.start;
        place = place || is_placed(&text[..from]);
        end += INITIALS.find(&text[end..]).map_or(0, |initials| initials.end());
        // A postal code stands before its town.
        if place && let Some(code) = CODE_BEFORE.find(&text[super::boundary(&text[..from], 10)..from]) {
            from -= code.len();
        }
        found.push((if place { PhiKind::Geography } else { PhiKind::Name }, from..end));
        at = next.max(last + 1);
    }
    found
}

fn is_placed(before: &str) -> bool {
    static PLACED: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)(?-u:\b)(?:in|at|near|outside|around|lives|born in|moved to|from|off) (?:the )?$")
            .expect("the pattern is valid")
    });
    PLACED.is_match(&before[super::boundary(before, 16)..])
}
