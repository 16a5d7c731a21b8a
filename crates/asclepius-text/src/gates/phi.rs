//! Protected health information: the eighteen kinds of identifiers of the HIPAA Safe Harbor rule (45 CFR 164.514(b)(2)).
//!
//! [`scan`] gives spans with their kind. Patterns find what has a shape or a label; names and places, which have
//! neither, come from [`names`]. Eponyms, drugs, units and headings are no names.

mod codes;
mod holidays;
mod lists;
mod makers;
mod names;
mod unlisted;

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use self::holidays::{FOREIGN_MONTH, HOLIDAYS};
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

/// A number or code that a label introduces: it holds a digit.
const CODE: &str = r"(?P<id>(?:[A-Za-z]{0,6}[-/. ]?)?\d[A-Za-z0-9]*(?:[-/.][A-Za-z0-9]+|\s\d{2,}[A-Za-z0-9]*)*)";
/// What may stand between a label and its code.
const GAP: &str = r"(?:\s*(?:\b(?:number|numbers|no|nr|num|id|ids|identifier|code|ref|reference|is|was|of|reads?|recorded as|given as|listed as|on file|ending(?: in)?|plate|tag|template|hash|key)\b|[:#=.(]|№|-\s))*\s*[#:(]?\s*";
const MONTH: &str = r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?";

/// In the order of trust: where two overlap, the earlier counts.
static PATTERNS: LazyLock<Vec<(PhiKind, Regex)>> = LazyLock::new(|| {
    let labelled = |label: &str| format!(r"(?i)\b(?:{label})(?:\b|[.#:]){GAP}{CODE}\b");
    let ordinal = r"(?:st|nd|rd|th)?";
    let year = r"(?:(?:19|20)\d\d|['’]\d\d)";
    let list: Vec<(PhiKind, String)> = vec![
        (PhiKind::Mail, r"(?i)\b[a-z0-9._%+\-]+\s?(?:@|\(at\)|\[at\])\s?[a-z0-9\-]+(?:(?:\.|\s?\(dot\)\s?|\s?\[dot\]\s?)[a-z0-9\-]+)*(?:\.|\s?\(dot\)\s?|\s?\[dot\]\s?)[a-z]{2,}\b".into()),
        (PhiKind::Mail, r"(?i)\b[a-z0-9._\-]+(?: dot [a-z0-9_\-]+)+ at [a-z0-9\-]+(?: dot [a-z]{2,})+\b".into()),
        (PhiKind::Mail, r"(?i)\b[a-z0-9._\-]+ at [a-z0-9\-]+ dot [a-z]{2,}(?: dot [a-z]{2,})?\b".into()),
        (PhiKind::PhotoOrOther, r"(?i)\b[\w\-]+\.(?:jpe?g|png|tiff?|bmp|heic|gif|dcm|mp4|mov|avi)\b".into()),
        (PhiKind::Url, r"(?i)\b(?:https?|ftps?)\s?://\S+[\w/]".into()),
        (PhiKind::Url, r"(?i)\bwww\.[\w\-.]+\.[a-z]{2,}(?:/[\w\-./?=&%#]*)?".into()),
        (PhiKind::Url, r"(?i)\b(?:[a-z0-9\-]+\.)+(?:com|org|net|edu|gov|info|io|health|co\.uk|ac\.uk|nhs\.uk|de|fr|jp|eu|app|me|ca|au|in|br|it|es|nl|ch|se|no|us|link|care|clinic)(?:/[\w\-./?=&%#]+|\b)".into()),
        // Any host with a path behind it, whatever its ending.
        (PhiKind::Url, r"(?i)\b(?:[a-z0-9][a-z0-9\-]{2,}\.(?:[a-z0-9\-]+\.)*[a-z]{3,}|[a-z][a-z0-9\-]+\.(?:[a-z0-9\-]+\.)+[a-z]{2})/[\w\-./?=&%#~@]{3,}".into()),
        (PhiKind::Ip, r"\b(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?::\d{2,5}|/\d{1,2})?\b".into()),
        (PhiKind::Ip, r"(?i)\b(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}\b|\b(?:[0-9a-f]{1,4}:){1,6}(?::[0-9a-f]{1,4}){1,6}\b|\b(?:[0-9a-f]{1,4}:){2,7}:|(?:\s)::1\b".into()),
        (PhiKind::Device, r"(?i)\b(?:[0-9a-f]{2}[:\-]){5}[0-9a-f]{2}\b".into()),
        (PhiKind::Device, r"\(01\)\s?\d{14}(?:\s?\(\d\d\)\s?[\w\-]+)*".into()),
        (PhiKind::SocialSecurity, r"\b\d{3}[- ]\d{2}[- ]\d{4}\b".into()),
        // The British one.
        (PhiKind::SocialSecurity, r"\b[A-CEGHJ-PR-TW-Z]{2}\s?\d{2}\s?\d{2}\s?\d{2}\s?[A-D]\b".into()),
        (PhiKind::SocialSecurity, r"(?i)[x*]{3}[- ]?[x*]{2}[- ]?\d{4}\b|\bss\s?#\s*\d{9}\b".into()),
        (PhiKind::SocialSecurity, labelled(r"ssn|s\.s\.n|ss#|soc(?:ial)?\.? sec(?:urity)?\.?|social insurance|tax(?:payer)? id|national insurance")),
        (PhiKind::Fax, format!(r"(?i)\b(?:tele)?fa(?:x|csimile)(?:ed)?{GAP}(?:to\s|at\s)?(?P<id>\+?\(?\d[\d\s().\-–/]{{5,}}\d)")),
        (PhiKind::Biometric, r"(?i)\b(?:finger ?-?prints?|thumb ?-?prints?|palm ?-?prints?|voice ?-?prints?|retinal? scans?|iris (?:scans?|codes?|patterns?|templates?|photographs?|images?)|(?:palm|hand|finger) (?:vein|geometry)(?: scan| template)?|facial[- ]recognition|face ?-?id|fac(?:e|ial) (?:geometry|map|template|print)|faceprints?|hand geometry|gait signature|biometrics?|dna profiles?|genetic profiles?|ear ?prints?)(?:\s(?:template|scan|hash|record|id|code|file|enrolment|enrollment|reference|key|data|sample|profile|map|card|image))*(?:[\s:#]*[A-Z]{0,6}[-_ #]?\d[\w\-]*)?".into()),
        (PhiKind::MedicalRecord, labelled(r"mrn|m\.r\.n|mr#|med(?:ical)?\.? ?rec(?:ord)?s?|hosp(?:ital)?\.? ?(?:no|num|number|id|record)|chart|case record|patient (?:id|number|no|identifier)|pt ?id|pid|unit (?:record )?(?:number|no)|nhs|ur number|ur no|urn|emr|ehr|health record|case file|clinic number|h(?:osp)? ?no|record (?:no|number)|file (?:no|number)|empi|cpi")),
        (PhiKind::HealthPlan, labelled(r"member(?:ship)?(?: id)?|subscriber|policy(?: ?holder)?|beneficiary|insurance(?: card| policy| id)?|health[- ]?plan|medicare|medicaid|mbi|hicn|group (?:no|number|id)|payer id|plan (?:id|no|number)|insured|blue ?cross|aetna|cigna|humana|kaiser|tricare|ehic|health card|ohip|insurer|coverage|enrollee")),
        (PhiKind::Account, labelled(r"acc(?:oun)?t|billing|invoice|encounter|csn|fin|guarantor|bill|iban|bank|credit card|card ending|card|statement|receipt|visit (?:no|number|id)|ledger|payment|remittance|claim|hsn|har")),
        (PhiKind::Account, r"\b[A-Z]{2}\d{2}(?:\s?[A-Z0-9]{4}){3,7}\b".into()),
        (PhiKind::Licence, labelled(r"licen[cs]ed?|lic|dea|npi|driver['’]?s?|dl|passport|certificate|cert|certification|registration|reg|gmc|nmc|permit|board|credential|visa")),
        // Masked in the middle, as some states print it.
        (PhiKind::Licence, r"(?i)\b(?:licen[cs]e|lic|dl|dea|driver['’]?s?)\b[\s.:#]*(?:no\.?|number|id)?[\s.:#]*(?P<id>[A-Z]{2,}\*[A-Z0-9*]{4,})".into()),
        (PhiKind::Vehicle, r"\b[A-HJ-NPR-Z]{3}[A-HJ-NPR-Z0-9]{8}[A-HJ-NPR-Z0-9]{2}\d{4}\b".into()),
        (PhiKind::Vehicle, r"\b[A-HJ-NPR-Z0-9]{3}[A-HJ-NPR-Z0-9]{5}[0-9X][A-HJ-NPR-Z0-9]{2}\d{6}\b".into()),
        (PhiKind::Vehicle, r"(?i)\b(?:vin|vehicle id(?:entification)?(?: number)?|chassis)\b(?:\s*(?:number|no|is|was|[:#.]))*\s*(?P<id>[A-Z0-9][A-Z0-9\-]{5,})".into()),
        (PhiKind::Vehicle, r"(?:(?i:licen[cs]e|number|vehicle|reg(?:istration)?|car)\s(?i:plates?|tag|reg(?:istration)?\.?)|(?i:plates?|registered|registration|tag|reg\.?))(?i:\s(?:number|no\.?|is|was|read(?:ing|s)?|bearing|as))*[:# \t]*(?P<id>[A-Z0-9]{1,4}[-\s·]?[A-Z0-9]{1,4}(?:[-\s][A-Z0-9]{1,4})?)\b".into()),
        (PhiKind::Device, labelled(r"serial|s/n|sn|ser|device|udi|lot|implant(?: id)?|imei|pacemaker(?: (?:id|no|number|model))?|defibrillator|neurostimulator|loop recorder|generator (?:id|no|number)|pump id|asset|imsi|lead (?:id|sn)|model/serial|catalog|ref no|sensor id|hearing aid id")),
        // A serial number without the word for it.
        (PhiKind::Device, r"\b(?i:generator|stem|stent|valve|implant|pump|leads?|prosthesis|cup|liner|device|pacemaker|icd|monitor|recorder|defibrillator|shunt|lens|iol|mesh|stimulator|catheter)\s*[,:(]?\s*(?P<id>[A-Z]{2,5}-?\d{5,}[A-Z0-9\-]*)".into()),
        (PhiKind::PhotoOrOther, r"(?:^|[\s(,:])(?P<id>@[A-Za-z][\w.]{2,}\w)".into()),
        (PhiKind::PhotoOrOther, labelled(r"accession|specimen|study (?:id|no|number|subject)|subject|trial(?: id)?|barcode|bar code|badge|employee|student|sample|enrolment|enrollment|participant|registry|requisition|order|prescription|rx|ticket|inmate|service (?:no|number)|wristband|research|donor|unos|tracking|confirmation|authorization|authorisation|referral|employee id|military|biobank|staff")),
        (PhiKind::PhotoOrOther, r"(?i)\b(?:full[- ]?face|facial|face|frontal|head[- ]and[- ]shoulders?|portrait|passport[- ]style|mug ?shot|identifiable|unmasked|selfie|headshot)(?:\s(?:view|clinical|colou?r|frontal|digital))*\s?(?:photo(?:graph)?s?|pictures?|images?|snapshots?|selfie|video|portrait)?(?:\s(?:of|showing)\s(?:the\s|her\s|his\s)?(?:patient['’]?s?|face|full face)(?:\s(?:face|head))?)?".into()),
        (PhiKind::PhotoOrOther, r"(?i)\b(?:photo(?:graph)?s?|pictures?|images?|snapshots?|video|selfie)\s(?:of|showing|with)\s(?:the\s|her\s|his\s|their\s|patient['’]?s?\s|full\s|whole\s|entire\s|uncovered\s|un?masked\s)*(?:face|facial features|visible face)".into()),
        (PhiKind::Date, format!(r"(?i)\b\d{{1,2}}(?:st|nd|rd|th)?\sday\sof\s{MONTH}(?:,?\s{year})?\b")),
        (PhiKind::Date, format!(r"(?i)\b(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day,?\s(?:the\s)?)?\d{{1,2}}{ordinal}[\s\-./]*(?:of\s)?{MONTH}(?:[\s,\-./]*{year})?\b")),
        (PhiKind::Date, format!(r"(?i)\b\d{{1,2}}(?:er|\.|º)?\s(?:de\s)?(?:{FOREIGN_MONTH})(?:\s(?:de\s)?{year})?\b")),
        (PhiKind::Date, format!(r"(?i)\b(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth|(?:thir|four|fif|six|seven|eigh|nine)teenth|twentieth|thirtieth|(?:twenty|thirty)-(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth))\sof\s(?:january|february|march|april|may|june|july|august|september|october|november|december)(?:,?\s{year})?\b")),
        (PhiKind::Date, r"\b(?:[A-Z][\w'’]+\s){1,2}(?:Day|Eve),?\s(?:19|20)\d\d\b".into()),
        (PhiKind::Date, format!(r"(?i)\b{HOLIDAYS}(?:,?\s(?:of\s)?{year})?\b")),
        (PhiKind::Date, format!(r"(?i)\b(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day,?\s)?{MONTH}\s(?:the\s)?\d{{1,2}}{ordinal}\b(?:,?[\s\-./]*{year})?")),
        (PhiKind::Date, format!(r"(?i)\b{MONTH}[\s\-./]*\d{{1,2}}{ordinal}\b(?:,?[\s\-./]*{year})?")),
        (PhiKind::Date, format!(r"(?i)\b(?:(?:early|late|mid)[\s\-]?)?(?:january|february|march|april|may|june|july|august|september|october|november|december|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\.?(?:\sof)?[,\s\-/]*{year}\b")),
        (PhiKind::Date, r"\b(?:19|20)\d\d[-/.]\s?(?:1[0-2]|0?[1-9])[-/.]\s?(?:3[01]|[12]\d|0?[1-9])\b(?:T\d\d:\d\d(?::\d\d)?Z?)?".into()),
        (PhiKind::Date, r"\b(?:3[01]|[12]\d|0?[1-9])\s?[-/.]\s?(?:3[01]|[12]\d|0?[1-9])\s?[-/.]\s?(?:(?:19|20)\d\d|\d\d)\b".into()),
        (PhiKind::Date, r"\b(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\b".into()),
        (PhiKind::Date, r"(?i)\b(?:on|dated?|dob:?|since|until|from|before|after|by|born|d\.o\.b\.?:?|seen|due|admitted|discharged|readmitted|vaccinated|immuni[sz]ed|extubated|intubated|transfused|delivered|appt|appointment|follow-?up|f/u|visit|scheduled|booked|surgery|operation|started|stopped|removed|placed|collected|drawn|reported|reviewed|lmp|onset|ct|mri|cxr|echo|labs|eff(?:ective)?)[:.]?\s(?P<id>(?:1[0-2]|0?[1-9])[/\-](?:3[01]|[12]\d|0?[1-9]))\b".into()),
        (PhiKind::Date, r"(?i)\b(?P<id>(?:1[0-2]|0?[1-9])/(?:(?:19|20)\d\d))\b".into()),
        (PhiKind::Date, r"(?i)\b(?:in|since|of|until|by|during|last|from|through|and|to|this|before|after)\s(?P<id>(?:early |late |mid-?)?(?:january|february|april|june|july|august|september|october|november|december))\b".into()),
(PhiKind::Date, r"\b(?:on|before|after|since|until|till|by|over|around|during|for|of|at|last|this|next|seen|appt|visit)\s(?:the\s(?:day|night|eve|week|morning)\s(?:before|after|of)\s)?(?P<id>(?:[A-Z][\w'’\-]+\s){1,2}(?:Day|Eve|Festival|Night|Weekend))\b".into()),
        // "The 7th" of this month, where nothing follows that could be counted.
        (PhiKind::Date, r"(?i)\b(?:on|by|until|till|since|from|before|after|for|around|due|back)\s(?P<id>the\s(?:[12]\d|3[01]|\d)(?:st|nd|rd|th))(?:[.,;)]|\s(?:at|for|with|in the (?:morning|afternoon|evening)|she|he|we|they|pt|if)\b|$)".into()),
        (PhiKind::Date, format!(r"(?i)\b(?:{FOREIGN_MONTH})\s\d{{1,2}}(?:,?\s{year})?\b")),
        (PhiKind::Date, r"(?i)\b\d{1,2}[.\-/ ](?:i|ii|iii|iv|v|vi|vii|viii|ix|x|xi|xii)[.\-/ ](?:19|20)\d\d\b".into()),
        (PhiKind::Date, r"(?i)\b(?:3[01]|[12]\d|0?[1-9])[-/.](?:1[0-2]|0?[1-9])[-/.]1[34]\d\d\s?a?h\b".into()),
        (PhiKind::Date, r"(?i)\b(?:mon|tue|tues|wed|weds|thu|thur|thurs|fri|sat|sun|monday|tuesday|wednesday|thursday|friday|saturday|sunday|w/c|week commencing|w/e|tomorrow|today|yesterday|ma|ti|ke|pe)[,.]?\s(?:the\s)?(?:3[01]|[12]\d|0?[1-9])(?:/(?:3[01]|[12]\d|0?[1-9])\b|\.(?:1[0-2]|0?[1-9])\.|(?:st|nd|rd|th)\b)".into()),
        (PhiKind::Date, r"(?i)\b(?:w/c|board|meeting|clinic|list|note|progress|round|ward \d{1,2}|code blue|pt|ot|slt|signed|dnar|pick-?up|missed|next|review|mdt|letter|entry|called|rang|addendum|late entry|consult|conference|planned|booked|date|returned|cross-clamp|cultures? (?:of|from)|fistulogram|biopsy|swab|bloods|x-?ray|admission|discharge|out|closed|expired|expires|exp)\b[.:]?\s?(?:on\s|of\s|for\s)?(?P<id>(?:3[01]|[12]\d|0?[1-9])/(?:3[01]|[12]\d|0?[1-9]))\b".into()),
        (PhiKind::Date, r"\b(?P<id>(?:3[01]|[12]\d|0?[1-9])/(?:3[01]|[12]\d|0?[1-9]))\b".into()),
        (PhiKind::Age, r"(?i)\b(?:9\d|1[0-2]\d)(?:[-\s]?(?:years?|yrs?|y)[-\s]?(?:old|of age)\b|[-\s]?(?:yo|y/o|y\.o\.|yr\b|yrs\b|years?\b(?:\s?old)?)|\s?y\b|[mf]\b|\s[mf]\b)".into()),
        (PhiKind::Age, r"(?i)\b(?:aged?|age\s?:|age (?:is|was|of)|turned|turning|at)\s?(?P<id>(?:9\d|1[0-2]\d))\b".into()),
        (PhiKind::Age, r"(?i)\b(?:ninety(?:[-\s](?:one|two|three|four|five|six|seven|eight|nine))?|(?:one|a) hundred(?:[-\s](?:and[-\s])?(?:one|two|three|four|five|six|seven|eight|nine|ten))?)[-\s](?:years?|yrs?)(?:[-\s](?:old|of age))?\b|\b(?:aged?)\sninety[-\s]?(?:one|two|three|four|five|six|seven|eight|nine)?\b|\bcentenarian\b|\b10\dth birthday\b|\b9\d(?:st|nd|rd|th) (?:birthday|year)\b|\b(?:ninetieth|ninety-(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth)|(?:one[- ])?hundredth)\s(?:birthday|year)\b".into()),
        (PhiKind::Phone, format!(r"(?i)\b(?:phone|tel(?:ephone)?|mobile|cell(?:phone)?|pager|beeper|ext(?:ension)?|call(?:ed)?(?: at| on| back)?|contact|whatsapp|hotline|reach(?:ed|able)?(?: at| on)?|bleep|sms|text(?:ed)?(?:\s(?:her|him|them|me|us))?|mob|(?:land|clinic |direct )line|ring|dial)\b\.?{GAP}(?:at\s|on\s)?(?P<id>\+?\(?\d[\d\s().\-–/]{{2,}}\d(?:\s?(?:x|ext\.?|extension)\s?\d+)?)\b")),
        (PhiKind::Phone, r"(?i)\b(?:ph|phone|tel|number|call|ring|dial|h|w|c|home|work|office|bleep|pager)\b[^.\n]{0,16}?\b(?P<id>x\s?\d{4,5})\b".into()),
        (PhiKind::Phone, r"\b0\d(?:[\s.]\d\d){4}\b".into()),
        (PhiKind::Phone, r"\(0\d{1,4}\)\s?\d{3,4}(?:[\s\-]?\d{3,4})?".into()),
        (PhiKind::Phone, r"\+\d{1,3}[\s.\-]?(?:\(\d{1,4}\)[\s.\-]?)?\d{1,4}(?:[\s.\-]?\d{2,4}){1,4}\b".into()),
        (PhiKind::Phone, r"(?:\b1[\s.\-])?(?:\(\d{3}\)\s?|\b\d{3}[\s.\-–])\d{3}[\s.\-–]\d{4}\b(?:\s?(?:x|ext\.?)\s?\d+)?".into()),
        (PhiKind::Phone, r"\b[2-9]\d{2}[-–]\d{4}\b".into()),
        (PhiKind::Phone, r"\b0\d{2,4}[\s\-]\d{3,4}[\s\-]?\d{3,4}\b".into()),
        (PhiKind::Geography, r"\b\d{1,5}(?:-?[A-Za-z])?,?\s(?:(?:[NSEW]\.?|[NS][EW]|North|South|East|West)\s)?(?:(?:[A-Z][\w'’.\-]+|\d{1,3}(?:st|nd|rd|th))\s){1,4}(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Place|Pl|Way|Terrace|Ter|Crescent|Close|Highway|Hwy|Parkway|Pkwy|Square|Sq|Circle|Cir|Row|Gardens|Hill|Walk|Mews|Trail|Loop|Parade|Grove|Esplanade|Quay|Wharf|Rise|Green|Park|Chase|Alley|Path|Pike|Turnpike|Plaza|Bend|Ridge|Crossing|Nagar|Colony|Town)\b\.?(?:,?\s(?:Apt|Apartment|Unit|Suite|Ste|Flat|#)\.?\s?\w+)?".into()),
        (PhiKind::Geography, r"\b(?:[A-Z][a-zß-ü]+(?:straat|laan|gracht|kade|plein|singel|weg|gata|gatan|gate|gade|vej|vägen|katu|tie)|(?:[Uu]l(?:ica)?\.|[Uu]litsa)\s[A-ZÀ-Þ][\w'’\-]+)\s\d{1,4}[a-zA-Z]?\b".into()),
        (PhiKind::Geography, r"\b\d{1,4}(?:\s(?:bis|ter))?,?\s(?:[Pp]lace|[Aa]ll[ée]e|[Qq]uai|[Ii]mpasse|[Cc]hemin|[Cc]ours|[Ss]quare|[Aa]venue)\s(?:d[eu]s?\s|l[ae]s?\s)*[A-ZÀ-Þ][\w'’\-]+".into()),
        (PhiKind::Geography, r"\b(?:Rural (?:Route|Delivery)|Star Route)\s#?\d+(?:,?\sBox\s\d+\w?)?|\b(?:R\.?R\.?|HC)\s#?\d+,?\sBox\s\d+\w?".into()),
        (PhiKind::Geography, r"\b\d{1,3}(?:-\d{1,3}){1,2}\s[A-Z][a-z]+(?:-[A-Z]?[a-z]+|(?:ku|cho|machi|shi))\b".into()),
        (PhiKind::Geography, r"\b(?:(?:House|Plot|Door)(?:\s(?:No|no)\.?)?\s#?\d+[A-Z]?(?:,\s(?:Road|Street|Sector|Block|Lane|Phase)\s(?:No\.?\s)?\d+\w?)*(?:,\s[A-Z][a-z]+)?|(?:County|State|Farm|Parish)\s(?:Road|Route|Highway|Hwy)\s\d+|(?:Interstate|Highway|Hwy|Route|Motorway|Autobahn)\s[A-Z]?\d{1,3}|Blk\s\d+\w?|(?:Block|BLOCK)\s\d+[A-Z]?,\s[A-Z])".into()),
        (PhiKind::Geography, r"(?i)\bp\.?\s?o\.?\s?box\s\d+\b|\b(?:apt|apartment|suite|flat)\.?\s#?\d+[a-z]?\b".into()),
        (PhiKind::Geography, r"\b(?:[A-Z]{2}|Alabama|Arizona|California|Colorado|Florida|Georgia|Illinois|Indiana|Iowa|Kansas|Kentucky|Maine|Maryland|Massachusetts|Michigan|Minnesota|Nebraska|Nevada|Ohio|Oregon|Texas|Utah|Vermont|Virginia|Washington|Wisconsin)\s(?P<id>\d{5}(?:-\d{4})?)\b".into()),
        (PhiKind::Geography, r"(?i)\b(?:zip|zip ?code|postal code|postcode|plz)\b[\s:#]*(?:code|is|was)?[\s:]*(?P<id>[A-Z0-9]{2,5}[-\s]?[A-Z0-9]{2,4})\b".into()),
        (PhiKind::Geography, r"\bCAP\b[\s:]*(?P<id>\d{5})\b".into()),
        (PhiKind::Geography, r"\b[A-Z]{1,2}\d[A-Z\d]?\s\d[A-Z]{2}\b|\b[A-CEGHJ-NPR-TVXY]\d[A-Z]\s?\d[A-Z]\d\b".into()),
        (PhiKind::Geography, r"\b(?:[A-Z][a-zß-ü]+(?:straße|strasse|gasse|platz|weg|allee)\b|(?:[Rr]ue|Via|[Cc]alle|[Rr]ua|[Aa]venida|[Pp]iazza|[Pp]laza|[Bb]oulevard|[Pp]aseo)\s(?:d[aeu]l?(?:la|s)?\s|l[ae]\s)?[A-Z][\w'’\-]+)(?:\s\d+\w?)?".into()),
    ];
    list.into_iter()
        .chain(codes::patterns())
        .map(|(kind, pattern)| {
            (kind, Regex::new(&ascii_boundaries(&pattern)).unwrap_or_else(|error| panic!("{kind:?}: {error}")))
        })
        .collect()
});

/// A postal code behind the street and perhaps the town.
static ZIP_BEHIND: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^,?\s(?:[A-Z][\w'’.\-]+,?\s){0,3}(?P<id>\d{4,5}(?:-\d{4})?)(?:[.,;)\n]|$)")
        .expect("the pattern is valid")
});

/// A great age behind a name: "Doreen, 96, alert".
static AGE_BEHIND: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"^(?:\s\([a-z]+\))?(?:,\s|\s\(|\sis\s|\s\([a-z ]+,\s)(?P<id>9\d|1[01]\d)(?:[,.;)]|\s(?:and|who|with)\s)",
    )
    .expect("the pattern is valid")
});

/// What comes before scores in a row.
static SCORES: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"(?i)\b(?:apgar|scor(?:es?|ings?)|scales?|ratios?|ind(?:ex|ices))(?:\s(?:scores?|scores? of|was|were|is|are|of|at birth))*\s?[:=(]?\s?$";
    Regex::new(&ascii_boundaries(pattern)).expect("the pattern is valid")
});

/// The same pattern with ASCII word boundaries: those of Unicode send every text with a `°` to the slow engine.
fn ascii_boundaries(pattern: &str) -> String {
    pattern.replace(r"\b", r"(?-u:\b)")
}

/// Every identifier of a text, in order, none overlapping another.
pub fn scan(text: &str) -> Vec<PhiSpan> {
    let mut found: Vec<PhiSpan> = Vec::new();
    let add = |found: &mut Vec<PhiSpan>, kind: PhiKind, range: Range<usize>| {
        if !found.iter().any(|span| span.range.start < range.end && range.start < span.range.end) {
            found.push(PhiSpan { kind, range });
        }
    };
    for (kind, pattern) in &*PATTERNS {
        for hit in pattern.captures_iter(text) {
            let whole = hit.get(0).map(|whole| whole.range()).unwrap_or_default();
            let range = hit.name("id").map_or(whole.clone(), |id| id.range());
            if plausible(*kind, text, &whole, &range) {
                add(&mut found, *kind, range);
            }
        }
    }
    for (kind, range) in names::find(text) {
        add(&mut found, kind, range);
    }
    for (kind, range) in unlisted::find(text, &found) {
        join(&mut found, kind, range);
    }
    let ages: Vec<Range<usize>> = found
        .iter()
        .filter(|span| span.kind == PhiKind::Name)
        .filter_map(|span| {
            let age = AGE_BEHIND.captures(&text[span.range.end..])?.name("id")?.range();
            Some(span.range.end + age.start..span.range.end + age.end)
        })
        .collect();
    for range in ages {
        add(&mut found, PhiKind::Age, range);
    }
    let zips: Vec<Range<usize>> = found
        .iter()
        .filter(|span| span.kind == PhiKind::Geography)
        .filter_map(|span| {
            let zip = ZIP_BEHIND.captures(&text[span.range.end..])?.name("id")?.range();
            Some(span.range.end + zip.start..span.range.end + zip.end)
        })
        .collect();
    for range in zips {
        add(&mut found, PhiKind::Geography, range);
    }
    if found.iter().any(|span| is_a_place_or_name(span.kind)) {
        let makers = makers::addresses(text);
        let inside = |range: &Range<usize>| makers.iter().any(|of| of.start <= range.start && range.end <= of.end);
        found.retain(|span| !(is_a_place_or_name(span.kind) && inside(&span.range)));
    }
    found.sort_by_key(|span| span.range.start);
    found
}

/// Adds a run of names, together with the parts of it that are there already.
fn join(found: &mut Vec<PhiSpan>, kind: PhiKind, mut range: Range<usize>) {
    let meets = |span: &PhiSpan| span.range.start < range.end && range.start < span.range.end;
    let parts: Vec<usize> = (0..found.len()).filter(|&at| meets(&found[at])).collect();
    let Some(&first) = parts.first() else {
        found.push(PhiSpan { kind, range });
        return;
    };
    if parts.iter().any(|&at| !is_a_place_or_name(found[at].kind)) {
        return;
    }
    for &at in &parts {
        range = range.start.min(found[at].range.start)..range.end.max(found[at].range.end);
    }
    found[first].range = range;
    let mut at = 0;
    found.retain(|_| {
        at += 1;
        at - 1 == first || !parts.contains(&(at - 1))
    });
}

/// Where the last bytes of a text begin, at a letter.
fn boundary(text: &str, bytes: usize) -> usize {
    text.floor_char_boundary(text.len().saturating_sub(bytes))
}

fn is_a_place_or_name(kind: PhiKind) -> bool {
    matches!(kind, PhiKind::Name | PhiKind::Geography)
}

/// Refuses what has the shape of an identifier and is medicine.
fn plausible(kind: PhiKind, text: &str, whole: &Range<usize>, range: &Range<usize>) -> bool {
    let found = &text[range.clone()];
    let label = text[whole.start..range.start].to_lowercase();
    let digits = found.chars().filter(char::is_ascii_digit).count();
    let after = text[range.end..].trim_start();
    let unit = [
        "mg", "mcg", "ml", "cm", "mm", "%", "kg", "mmol", "days", "day", "hours", "weeks", "months", "years", "g/",
        "units", "tablets", "patients", "°", "minutes", "ng", "pg", "iu", "IU", "U/", "µ", "μ", "mEq", "/mm", "/µ",
        "/μ",
    ];
    let measured = unit.iter().any(|unit| after.starts_with(unit));
    match kind {
        PhiKind::PhotoOrOther if found.starts_with('@') => true,
        _ if matches!(
            kind,
            PhiKind::PhotoOrOther | PhiKind::SocialSecurity | PhiKind::Licence | PhiKind::HealthPlan
        ) && codes::is_of_medicine(found, &text[range.end..], range == whole) =>
        {
            false
        }
        PhiKind::PhotoOrOther if range == whole && digits >= 4 && !found.contains('.') => !measured,
        PhiKind::PhotoOrOther if label.contains("initials") => true,
        PhiKind::MedicalRecord
        | PhiKind::HealthPlan
        | PhiKind::Account
        | PhiKind::Licence
        | PhiKind::Device
        | PhiKind::PhotoOrOther
            if range != whole =>
        {
            // A year, or an eye's acuity behind "chart".
            let numbered = label.contains(['#', ':']) || label.contains("no") || label.contains("number");
            if !numbered && (is_year(found) || is_fraction(found)) {
                return false;
            }
            digits >= 4 && !measured
                || digits >= 3
                    && !measured
                    && (label.contains(['#', ':'])
                        || label.contains("no")
                        || label.contains("number")
                        || label.contains("id"))
        }
        PhiKind::SocialSecurity => {
            digits >= 6 || digits >= 4 && (range == whole || label.contains("last four") || label.starts_with('s'))
        }
        PhiKind::Vehicle if range == whole => found.chars().any(char::is_alphabetic) && digits >= 6,
        PhiKind::Vehicle if ["flown", "heli", "aircraft", "tail"].iter().any(|word| label.contains(word)) => true,
        PhiKind::Vehicle => {
            digits >= 1
                && found.chars().filter(|c| c.is_alphanumeric()).count() >= 4
                && found.chars().any(|c| c.is_ascii_uppercase())
        }
        // A taper has the shape of a network card's address.
        PhiKind::Device if range == whole => !measured,
        PhiKind::Phone if found.starts_with(['x', 'X']) => true,
        PhiKind::Phone if range != whole => {
            // "Red blood cell = 2540000" is a count.
            let counted = label.starts_with("cell") && text[..whole.start].trim_end().ends_with(char::is_alphabetic);
            (digits >= 7
                || (digits >= 4
                    && ["pager", "ext", "beeper", "bleep", "tel", "phone"].iter().any(|word| label.contains(word))))
                && !(measured || counted && label.contains('='))
        }
        PhiKind::Phone => digits >= 7 && !measured,
        PhiKind::Geography if range != whole => digits >= 1 && !measured,
        // Tumour stages and the parts of the coma scale have the shape of a Canadian postal code.
        PhiKind::Geography => {
            let staged = found.starts_with('T') && found[1..].contains('N') && found[1..].contains('M');
            let bowel =
                found.starts_with('A') && found[1..].contains('L') && found[1..].contains('B') && found.len() == 6;
            let coma =
                found.starts_with('E') && found[1..].contains('V') && found[1..].contains('M') && found.len() == 6;
            !(staged || coma || bowel)
        }
        // "103 m/z" is a mass over a charge.
        PhiKind::Age if range == whole && after.starts_with('/') => false,
        PhiKind::Age if label.trim() == "at" => {
            let mut next = text[range.end..].chars();
            matches!(next.next(), None | Some('.' | ',' | ';' | ')'))
                && !next.next().is_some_and(|c| c.is_ascii_digit())
        }
        PhiKind::PhotoOrOther if range == whole && !found.contains('.') => {
            let lower = found.to_lowercase();
            ["photo", "picture", "snapshot", "selfie", "portrait", "headshot", "mugshot", "mug shot"]
                .iter()
                .any(|word| lower.contains(word))
                || (lower.contains("image") || lower.contains("video"))
                    && (lower.contains("face") || lower.contains("facial"))
        }
        PhiKind::Date => {
            let bare =
                whole == range && found.len() <= 5 && found.contains('/') && !found.contains(char::is_alphabetic);
            if bare && !holidays::is_day_and_month(found, &text[..range.start], &text[range.end..]) {
                return false;
            }
            let counted = [
                "Hospital",
                "Post",
                "Admission",
                "Operative",
                "Cycle",
                "Study",
                "Treatment",
                "Day",
                "First",
                "Second",
                "Third",
                "Last",
                "Same",
                "Next",
            ];
            if found.ends_with("Day") && counted.iter().any(|word| found.starts_with(word)) {
                return false;
            }
            // "May" alone is a verb.
            let verb = found.to_lowercase().starts_with("may") && !found.contains(char::is_numeric);
            // "Apgar 9-10-10" are scores.
            let scored =
                range == whole && !found.contains(char::is_alphabetic) && SCORES.is_match(&text[..range.start]);
            // "5-10-15 units with meals" are doses.
            let dosed = measured && !found.contains(char::is_alphabetic);
            // "4.1. Mayo" ends a sentence with a figure.
            let cut = found.contains('\n')
                || text[..range.start].ends_with(['.', ':']) && found.contains(char::is_alphabetic);
            !found.is_empty() && !verb && !scored && !dosed && !cut
        }
        _ => true,
    }
}

fn is_year(code: &str) -> bool {
    code.len() == 4 && (code.starts_with("19") || code.starts_with("20")) && code.bytes().all(|c| c.is_ascii_digit())
}

fn is_fraction(code: &str) -> bool {
    code.split_once('/').is_some_and(|(above, below)| {
        [above, below].iter().all(|part| (1..=3).contains(&part.len()) && part.bytes().all(|c| c.is_ascii_digit()))
    })
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
