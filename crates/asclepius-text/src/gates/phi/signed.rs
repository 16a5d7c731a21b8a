//! Who signs, and who is written to: initials, logins and lone names where a note, a message or a line of it ends.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::word::{Nature, is_heading, is_name, lower, plain};
use super::{PhiKind, lists};

/// What stands behind the name of somebody who signs.
const DEGREES: &str = r"PGY[- ]?\d|MD|DO|RN|BSN|NP|FNP|PNP|APRN|ARNP|DNP|PA-?C?|MBBS|MBChB|LPN|LVN|CNA|HCA|CPhT|RPh|PharmD|RT|RRT|RD|RDN|LD|PT|PTA|DPT|OT|OTR|COTA|SLP|SW|LCSW|LICSW|LSW|MSW|CRNA|CNM|MA|CMA|RMA|EMT|EMT-P|MS-?[34]|R[1-5]|CA-?[1-3]|FY[12]|ST[1-8]|CT[12]|SHO|HO|SpR|DPM|DDS|DMD|OD|RPSGT|RDMS|RDCS|RVT|RNC|RNC-OB|CCRN|CEN|RMN|RGN|SRN|RHIT|CCS|CPC|UC|HUC|CHW|LMT|ATC|CDCES|ENT|PCT|MLT|MLS|SRNA";

/// Services, shifts and parts that a name stands behind.
const SERVICES: &str = r"peds|ped(?:iatrics)?|paeds|anes(?:thesia)?|anaesthesia|ortho|surgery|surg|medicine|ob|gyn|ob/gyn|obgyn|obs|cards?|cardiology|neuro|neurology|neurosurg|nsgy|renal|nephro|gi|pulm|id|onc|heme|haem|rads?|radiology|icu|micu|sicu|itu|psych|uro|ent|derm|ophtho|vascular|plastics|palliative|hospice|primary|charge|nights?|days?|relief|sitter|tech|pharmacy|pharm|ride|driver|escort|transport|contact|provider|staff|team|coverage|cover|backup|chief|senior|junior|consultant|1st|2nd|on[- ]?call|oncall|from|to|cc|author|by|recorder|runner|circulating|relief|poc|baby|fob|mob|dad|mom|mum";

struct Patterns {
    /// Initials and a degree: "TLK PGY-2".
    initials: Regex,
    /// Initials behind what somebody did: "gross by MQ".
    done: Regex,
    /// Initials and nothing else where the text ends: "stop the drip at six. LB".
    last: Regex,
    /// The same in small letters: "Sitter relieved. -jmc".
    scribbled: Regex,
    /// The name an account has, before a degree: "-rkhan, RPh".
    login: Regex,
    /// Behind a dash: "- Ute".
    dashed: Regex,
    /// Behind a greeting at the end: "xo Lou", "Thanks,\nMarisol".
    greeted: Regex,
    /// Where the text ends: "See in a year. Haverstock".
    alone: Regex,
    /// Behind whom a service is called by: "Renal: Osborne."
    service: Regex,
    /// Written to in small letters: "lena can u look".
    asked: Regex,
    /// Who wrote and who typed: "RBT/kl".
    typed: Regex,
}

static PATTERNS: LazyLock<Patterns> = LazyLock::new(|| {
    const NAME: &str = r"[A-ZÀ-ÞŁŚŠŽČĆĐ][\p{Ll}'’]+(?:-[A-Z][\p{Ll}]+)?";
    let new = super::compiled;
    Patterns {
        initials: new(&format!(
            r"(?m)(?:^|[.!?)\]%\d]\s{{1,2}}|\s?[-–—~/]{{1,2}}\s?|(?i:by|sig|signed):?\s)(?P<id>[A-Z]{{2,3}}),?\s(?:{DEGREES})\b[.\s]*$"
        )),
        done: new(
            r"(?i:\b(?:gross(?:ed)?|prepared|read|reviewed|collected|checked|interpreted|released|signed(?: out)?|screened|reported|verified|witnessed|drawn|completed|administered|transcribed|abstracted|coded|scanned|filed|logged|inspected|calibrated|counted|removed|changed|dispensed|mixed|double-checked|scored|scanned|typed) by:?\s)(?P<id>[A-Z]{2,3})(?:[.,;)\n/]|\s(?:at|on|\d)|\s*$)",
        ),
        last: new(r"(?:[.!?)]\s{1,2}|\n|\s[-–—~]{1,2}\s?|\s/)(?P<id>[A-Z]{2,3})\s*$"),
        scribbled: new(r"(?:[.!?)]\s*|\n)[-–—~/]{1,2}\s?(?P<id>[a-z]{2,3})\s*$"),
        login: new(&format!(r"(?:^|[\s.])[-–—~/]{{1,2}}\s?(?P<id>[a-z]{{2,14}}\d{{0,3}}),?\s(?:{DEGREES})\b[.\s]*$")),
        dashed: new(&format!(
            r"(?m)\S\s*[-–—~]{{1,2}}\s?(?P<id>{NAME}(?:\s(?:[A-Z]\b\.?|{NAME}))?)(?:,\s(?:{DEGREES}))?\s*$"
        )),
        greeted: new(&format!(
            r"(?m)\b(?i:xo+x?o?|xx+|love|hugs|best(?: wishes)?|(?:many )?thanks(?: again| so much)?|thank you|thx|tx|ta|cheers|(?:kind |warm |best |with )*regards|warmly|sincerely|respectfully|cordially|yours(?: truly| sincerely| faithfully)?|later|ciao|merci|gracias|obrigad[oa]|danke|gruss|grüsse|mfg|saludos|atte|take care|bye)[,.!]?\s{{1,2}}[-–—]?\s?(?P<id>{NAME}(?:\s(?:[A-Z]\b\.?|{NAME}))?)\s*$"
        )),
        alone: new(&format!(r"[.!?)\d]\s{{1,2}}(?:/\s?)?(?P<id>{NAME}(?:\s{NAME})?)\s*$")),
        service: new(&format!(
            r"\b(?i:{SERVICES})\s?:\s(?:Drs?\.?\s)?(?P<id>{NAME}(?:\s(?:[A-Z]\b\.?|{NAME}))?)(?:[.,;/)\n]|\s\(|\s+$|$)"
        )),
        asked: new(
            r#"(?m)(?:^|["“‘:]\s?)(?P<id>[a-z]{3,10}),?\s(?:can (?:u|you)|could (?:u|you)|pls|plz|please|are (?:u|you)|r u|do (?:u|you)|did (?:u|you)|fyi|thx|thanks)\b"#,
        ),
        typed: new(r"(?m)(?:^|[.]\s)(?P<id>[A-Z]{2,3}\s?[/:]\s?[a-z]{2,3})\s*$"),
    }
});

/// What has the form of initials where notes end, and is none.
const ABBREVIATIONS: &[&str] = &[
    "ABG", "ABX", "ADL", "AKI", "AMA", "AM", "AP", "ASA", "BID", "BMP", "BP", "BS", "CBC", "CKD", "CMO", "CPR", "CT",
    "CTA", "CTM", "CXR", "DC", "DNI", "DNR", "DVT", "ECG", "ED", "EEG", "EF", "EKG", "EMG", "ER", "ET", "ETT", "EVD",
    "FU", "GI", "GOC", "GU", "HD", "HF", "HOB", "HPI", "HR", "HS", "IBD", "ICD", "ICU", "ID", "IM", "INR", "IO", "IP",
    "IV", "IVF", "JP", "LE", "LFT", "LOS", "LP", "LR", "MAR", "MI", "MR", "MRA", "MRI", "NA", "NAD", "NG", "NGT",
    "NKA", "NPO", "NS", "OD", "OK", "OOB", "OP", "OR", "ORL", "OS", "OT", "OU", "PCA", "PCN", "PCP", "PCR", "PD", "PE",
    "PEG", "PET", "PM", "PMD", "PO", "POC", "PR", "PRN", "PT", "PTA", "QD", "QHS", "QID", "RA", "ROM", "RTC", "RTW",
    "RUE", "LUE", "RLE", "LLE", "SC", "SI", "SL", "SLP", "SNF", "SOB", "SQ", "SR", "SSI", "SW", "TBD", "TID", "TKO",
    "TPN", "TTE", "TEE", "UA", "UE", "UOP", "US", "USS", "UTD", "VA", "VAC", "VNA", "VS", "VSS", "VT", "WBC", "WNL",
    "XR", "YO", "MD", "DO", "RN", "NP", "PA", "II", "III", "IX", "VI", "VII", "XI", "AF", "AFB", "AVR", "BPH", "CAD",
    "CHF", "CMV", "CSF", "CVA", "DM", "DKA", "EBV", "ENT", "FFP", "GBS", "GVH", "HBV", "HCV", "HIV", "HPV", "HSV",
    "HTN", "ITP", "MS", "MVR", "OSA", "PAD", "PPH", "PPI", "RSV", "SAH", "SDH", "SLE", "TB", "TIA", "TTP", "UC", "UTI",
    "VTE", "VZV", "ADA", "MOM", "DAD", "POA", "NOK", "GP", "OPD", "MDT", "DSU", "TTO", "TTA", "NBM", "NFR", "NRP",
    "CPB", "EOL", "LMP", "OB", "GYN", "FHT", "IOL", "CS", "PPD", "EDD", "SVD", "FYI", "TY", "THX", "PLS", "ASAP", "CA",
    "TX", "NY", "MA", "USA", "UK", "EU", "EP", "CCU", "RT", "HO", "HX", "RX", "DX", "SX", "TX", "FX", "BX", "AX",
];

/// Which words may be a name there.
type Names<'a> = &'a dyn Fn(&str) -> bool;

/// How many bytes before the end of a line a signature begins at the farthest.
const LONGEST: usize = 60;

/// Names and initials of those who sign.
pub(super) fn find(text: &str) -> Vec<(PhiKind, Range<usize>)> {
    let patterns = &*PATTERNS;
    let mut found = Vec::new();
    let last = text.trim_end().len();
    let initials = |word: &str| {
        !ABBREVIATIONS.contains(&word)
            && !is_heading(word)
            && !lists::is_term(&lower(word))
            && !lists::is_word(&lower(word))
    };
    // A dash may lead a list, and a last word may be a diagnosis: there only what may be a name.
    let may_be = |word: &str| {
        word.split_whitespace().all(|word| match Nature::of(word) {
            Nature::Given | Nature::Family => true,
            Nature::Word => {
                lists::is_usual(&plain(word)) || lists::is_family(&plain(word)) && !lists::is_common(&lower(word))
            }
            Nature::Unknown(score) => score > 0.0 && !is_heading(word),
            Nature::Town | Nature::Term | Nature::Other => word.trim_end_matches('.').len() == 1,
        })
    };
    let degreed = |word: &str| !ABBREVIATIONS.contains(&word);
    let unlisted =
        |word: &str| !lists::is_vocabulary(&lower(word)) && !is_heading(word) && !lists::is_term(&lower(word));
    let dashed = |word: &str| {
        may_be(word) && word.split_whitespace().any(is_name)
            || text[..last].ends_with(word) && word.split_whitespace().all(|word| is_name(word) || unlisted(word))
    };
    let greeted = |word: &str| {
        let first = word.split_whitespace().next().unwrap_or_default();
        !is_heading(first) && (is_name(first) || !lists::is_vocabulary(&lower(first)))
    };
    let login = |word: &str| !lists::is_word(word);
    let asked = |word: &str| lists::is_usual(word) && !lists::is_word(word);
    let any = |_: &str| true;
    let asks = ["can u", "can you", "could", "pls", "plz", "please", "are u", "are you", "r u", "fyi", "thx", "thanks"];
    let asks = asks.iter().any(|word| text.contains(word)).then_some((&patterns.asked, &asked as Names<'_>));
    let anywhere: [(&Regex, Names<'_>); 2] = [(&patterns.done, &initials), (&patterns.service, &may_be)];
    for (pattern, names) in anywhere.into_iter().chain(asks) {
        let ids = pattern.captures_iter(text).filter_map(|hit| Some(hit.name("id")?.range()));
        found.extend(ids.filter(|range| names(&text[range.clone()])).map(|range| (PhiKind::Name, range)));
    }
    let ending: [(&Regex, Names<'_>); 5] = [
        (&patterns.initials, &degreed),
        (&patterns.login, &login),
        (&patterns.typed, &any),
        (&patterns.dashed, &dashed),
        (&patterns.greeted, &greeted),
    ];
    let at_last: [(&Regex, Names<'_>); 3] =
        [(&patterns.last, &initials), (&patterns.scribbled, &login), (&patterns.alone, &may_be)];
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let end = start + line.trim_end().len();
        let from = start.max(text.floor_char_boundary(end.saturating_sub(LONGEST)));
        for (pattern, names) in &ending {
            let id = pattern.captures_at(&text[..end], from).and_then(|hit| Some(hit.name("id")?.range()));
            found.extend(id.filter(|range| names(&text[range.clone()])).map(|range| (PhiKind::Name, range)));
        }
        start += line.len();
    }
    let from = text.floor_char_boundary(last.saturating_sub(LONGEST));
    for (pattern, names) in at_last {
        let id = pattern.captures_at(text, from).and_then(|hit| Some(hit.name("id")?.range()));
        found.extend(id.filter(|range| names(&text[range.clone()])).map(|range| (PhiKind::Name, range)));
    }
    found
}
