//! What has a shape or a label: numbers, codes, dates, ages, addresses of streets and machines.

use std::sync::LazyLock;

use regex::Regex;

use super::holidays::{FOREIGN_MONTH, HOLIDAYS};
use super::{PhiKind, codes};

/// A number or code that a label introduces: it holds a digit.
const CODE: &str = r"(?P<id>(?:[A-Za-z]{0,6}[-/. ]?)?\d[A-Za-z0-9]*(?:[-/.][A-Za-z0-9]+|\s\d{2,}[A-Za-z0-9]*)*)";
/// What may stand between a label and its code.
const GAP: &str = r"(?:\s*(?:\b(?:number|numbers|no|nr|num|id|ids|identifier|code|ref|reference|is|was|of|reads?|recorded as|given as|listed as|on file|ending(?: in)?|plate|tag|template|hash|key)\b|[:#=.(]|№|-\s))*\s*[#:(]?\s*";
const MONTH: &str = r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?";

/// In the order of trust: where two overlap, the earlier counts.
pub(super) static PATTERNS: LazyLock<Vec<(PhiKind, Regex)>> = LazyLock::new(|| {
    let labelled = |label: &str| format!(r"(?i)\b(?:{label})(?:\b|[.#:]){GAP}{CODE}\b");
    let ordinal = r"(?:st|nd|rd|th)?";
    let year = r"(?:(?:19|2[0-2])\d\d|['’]\d\d)";
    let list: Vec<(PhiKind, String)> = vec![
        (PhiKind::Ip, r"\b(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?::\d{2,5}|/\d{1,2})?\b".into()),
        (PhiKind::Device, r"\(01\)\s?\d{14}(?:\s?\(\d\d\)\s?[\w\-]+)*".into()),
        (PhiKind::SocialSecurity, r"\b\d{3}[- ]\d{2}[- ]\d{4}\b".into()),
        // The British one.
        (PhiKind::SocialSecurity, r"\b[A-Z]{2}\s?\d{2}\s?\d{2}\s?\d{2}\s?[A-D]\b".into()),
        (PhiKind::SocialSecurity, r"(?i)[x*]{3}[- ]?[x*]{2}[- ]?\d{4}\b|\bss\s?#\s*\d{9}\b".into()),
        (PhiKind::SocialSecurity, labelled(r"ssn|s\.s\.n|ss#|soc(?:ial)?\.? sec(?:urity)?\.?|social insurance|tax(?:payer)? id|national insurance")),
        (PhiKind::Fax, format!(r"(?i)\b(?:tele)?fa(?:x|csimile)(?:ed)?(?:(?:\s[a-z]+){{1,3}}\s(?:to|at)\s|{GAP}(?:to\s|at\s|on\s)?)(?P<id>\+?\(?\d[\d\s().\-–/]{{5,}}\d)")),
        (PhiKind::MedicalRecord, labelled(r"mrn|m\.r\.n|mr#|med(?:ical)?\.? ?rec(?:ord)?s?|hosp(?:ital)?\.? ?(?:no|num|number|id|record)|chart|case record|patient (?:id|number|no|identifier)|pt ?id|pid|unit (?:record )?(?:number|no)|nhs|ur number|ur no|urn|emr|ehr|health record|case file|clinic number|notes (?:no|number)|h(?:osp)? ?no|record (?:no|number)|file (?:no|number)|empi|cpi")),
        (PhiKind::MedicalRecord, r"\b(?:MRN|UHID|NHI)\b[^.;\n]{0,48}?\s(?P<id>\d[\d\-]{5,}\d)\b".into()),
        (PhiKind::HealthPlan, r"\b(?i:insurance|insurer|medical aid|med aid|scheme|health fund|payer|coverage|cover):?\s(?:[A-Z][A-Za-z]+\s){1,3}(?P<id>[A-Z]{0,4}\d[\d\s\-]{5,}\d)\b".into()),
        (PhiKind::Device, r"\b(?i:serial|s/n|sn|lot)(?i:\s(?:no\.?|number))?[\s:#]*(?P<id>[A-Z]{2,}(?:-[A-Z0-9]+)+)\b".into()),
        (PhiKind::PhotoOrOther, r"\b(?:DSC|DSCN|IMG|PXL|MVI|VID)[_-]?\d{3,}(?:\s?(?:-|–|to)\s?(?:DSC|DSCN|IMG|PXL|MVI|VID)[_-]?\d{3,})?\b".into()),
        (PhiKind::HealthPlan, labelled(r"member(?:ship)?(?: id)?|subscriber|policy(?: ?holder)?|beneficiary|insurance(?: card| policy| id)?|health[- ]?plan|medicare|medicaid|mbi|hicn|group (?:no|number|id)|payer id|plan (?:id|no|number)|insured|blue ?cross|aetna|cigna|humana|kaiser|tricare|ehic|health card|ohip|insurer|coverage|enrollee|auth|prior auth|pre-?cert")),
        (PhiKind::Account, labelled(r"acc(?:oun)?t|a/c|sort code|bsb|billing|invoice|encounter|csn|fin|guarantor|bill|iban|bank|credit card|card ending|card|statement|receipt|visit (?:no|number|id)|ledger|payment|remittance|claim|hsn|har|hsa|fsa|hra|checking|savings|flex card|copay card")),
        (PhiKind::Account, r"\b[A-Z]{2}\d{2}(?:\s?[A-Z0-9]{4}){3,7}\b".into()),
        (PhiKind::Licence, labelled(r"licen[cs]ed?|lic|dea|npi|driver['’]?s?|dl|passport|certificate|cert|certification|registration|reg|cdl|gmc|nmc|permit|board|credential|visa")),
        // Masked in the middle, as some states print it.
        (PhiKind::Licence, r"(?i)\b(?:licen[cs]e|lic|dl|dea|driver['’]?s?)\b[\s.:#]*(?:no\.?|number|id)?[\s.:#]*(?P<id>[A-Z]{2,}\*[A-Z0-9*]{4,})".into()),
        (PhiKind::Vehicle, r"\b[A-HJ-NPR-Z]{3}[A-HJ-NPR-Z0-9]{8}[A-HJ-NPR-Z0-9]{2}\d{4}\b".into()),
        (PhiKind::Vehicle, r"\b[A-HJ-NPR-Z0-9]{3}[A-HJ-NPR-Z0-9]{5}[0-9X][A-HJ-NPR-Z0-9]{2}\d{6}\b".into()),
        (PhiKind::Vehicle, r"(?i)\b(?:vin|vehicle id(?:entification)?(?: number)?|chassis)\b(?:\s*(?:number|no|is|was|[:#.]))*\s*(?P<id>[A-Z0-9][A-Z0-9\-]{5,})".into()),
        (PhiKind::Vehicle, r"(?:(?i:licen[cs]e|number|vehicle|reg(?:istration)?|car)\s(?i:plates?|tag|reg(?:istration)?\.?)|(?i:plates?|registered|registration|tag|reg\.?))(?i:\s(?:number|no\.?|is|was|read(?:ing|s)?|bearing|as))*[:# \t]*(?P<id>[A-Z0-9]{1,4}[-\s·]?[A-Z0-9]{1,5}(?:[-\s][A-Z0-9]{1,4})?)\b".into()),
        (PhiKind::Vehicle, r"\b(?i:car|van|truck|pickup|suv|sedan|ute|lorry|moped|minivan|motorcycle|trailer|scooter)\b[^.;\n]{0,24}?,\s(?P<id>[A-Z0-9]{2,4}-[A-Z0-9]{2,4})\b".into()),
        (PhiKind::Device, labelled(r"serial|s/n|sn|ser|device|udi|lot|implant(?: id)?|imei|pacemaker(?: (?:id|no|number|model))?|defibrillator|neurostimulator|loop recorder|generator (?:id|no|number)|pump id|asset|imsi|lead (?:id|sn)|model/serial|ref no|sensor id|hearing aid id")),
        // A serial number without the word for it.
        (PhiKind::Device, r"\b(?i:generator|stem|stent|valve|implant|pump|leads?|prosthesis|cup|liner|device|pacemaker|icd|monitor|recorder|defibrillator|shunt|lens|iol|mesh|stimulator|catheter)\s*[,:(]?\s*(?P<id>[A-Z]{2,5}-?\d{5,}[A-Z0-9\-]*)".into()),
        (PhiKind::PhotoOrOther, r"(?:^|[\s(,:])(?P<id>@[A-Za-z][\w.]{2,}\w)".into()),
        (PhiKind::PhotoOrOther, labelled(r"accession|specimen|study (?:id|no|number|subject)|subject|trial(?: id)?|barcode|bar code|badge|employee|student|sample|enrolment|enrollment|participant|registry|requisition|order|prescription|rx|ticket|inmate|service (?:no|number)|wristband|research|donor|unos|tracking|confirmation|authorization|authorisation|referral|employee id|military|biobank|staff|alien|kit|band|wrist ?band|bracelet|a-?number|uscis|rid|tube|cassette|container")),
        (PhiKind::PhotoOrOther, r"(?i)\b(?:full[- ]?face|facial|face|frontal|head[- ]and[- ]shoulders?|portrait|passport[- ]style|mug ?shot|identifiable|unmasked|selfie|headshot)(?:\s(?:view|clinical|colou?r|frontal|digital))*\s?(?:photo(?:graph)?s?|pictures?|images?|snapshots?|selfie|video|portrait)?(?:\s(?:of|showing)\s(?:the\s|her\s|his\s)?(?:patient['’]?s?|face|full face)(?:\s(?:face|head))?)?".into()),
        (PhiKind::PhotoOrOther, r"(?i)\b(?:photo(?:graph)?s?|pictures?|images?|snapshots?|video|selfie)\s(?:of|showing|with)\s(?:the\s|her\s|his\s|their\s|patient['’]?s?\s|full\s|whole\s|entire\s|uncovered\s|un?masked\s)*(?:face|facial features|visible face)".into()),
        (PhiKind::Date, format!(r"(?i)\b(?:the\s)?(?:(?:first|second|third|fourth|fifth|last|final|1st|2nd|3rd|4th|5th)\s(?:(?:few|two|three|couple of)\s)?(?:(?:half|part|quarter|third|fortnight|mon|tues?|wed|thurs?|fri|sat|sun)(?:days?)?|wednesday|saturday|wks?|weeks?|weekend|days?)|(?:week|wk) [1-5])\s(?:of\s|in\s)?{MONTH}\b(?:,?\s{year})?|\b(?:wk|week) of (?:1[0-2]|0?[1-9])/(?:3[01]|[12]\d|0?[1-9])\b|\b\d{{1,2}}{MONTH}(?:\d\d|\d{{4}})\b|\b(?:early|late|mid|(?:the\s)?(?:end|beginning|start|middle) of)[\s\-]?(?:january|february|march|april|may|june|july|august|september|october|november|december|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\b(?:,?\s{year})?")),
        (PhiKind::Date, format!(r"(?i)\b\d{{1,2}}(?:st|nd|rd|th)?\sday\sof\s{MONTH}(?:,?\s{year})?\b")),
        (PhiKind::Date, format!(r"(?i)\b(?:(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day,?|(?:wk|week) (?:beg\w*|of|ending|commencing)|w/[bce])\s(?:the\s)?)?\d{{1,2}}{ordinal}[\s\-./]*(?:of\s)?{MONTH}(?:[\s,\-./]*{year})?\b")),
        (PhiKind::Date, format!(r"(?i)\b\d{{1,2}}(?:(?:er|º)?\s|\.\s?)(?:de\s)?(?:{FOREIGN_MONTH})(?:\s(?:de\s)?{year})?\b|\b(?:{FOREIGN_MONTH})\s\d{{1,2}}(?:,?\s{year})?\b")),
        (PhiKind::Date, format!(r"(?i)\b{MONTH}\s(?:the\s)?(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth|(?:thir|four|fif|six|seven|eigh|nine)teenth|twentieth|thirtieth|(?:twenty|thirty)-(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth))\b|\b(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth|(?:thir|four|fif|six|seven|eigh|nine)teenth|twentieth|thirtieth|(?:twenty|thirty)-(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth))\sof\s(?:january|february|march|april|may|june|july|august|september|october|november|december)(?:,?\s{year})?\b")),
        (PhiKind::Date, r"\b(?:[A-Z][\w'’]+\s){1,2}(?:Day|Eve),?\s(?:19|20)\d\d\b".into()),
        (PhiKind::Date, format!(r"(?i)\b{HOLIDAYS}(?:,?\s(?:of\s)?{year})?\b")),
        (PhiKind::Date, format!(r"(?i)\b(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day,?\s)?{MONTH}\s(?:the\s)?\d{{1,2}}{ordinal}\b(?:,?[\s\-./]*{year})?")),
        (PhiKind::Date, format!(r"(?i)\b{MONTH}[\s\-./]*\d{{1,2}}{ordinal}\b(?:,?[\s\-./]*{year})?")),
        (PhiKind::Date, format!(r"(?i)\b(?:(?:early|late|mid)[\s\-]?)?(?:january|february|march|april|may|june|july|august|september|october|november|december|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\.?(?:\sof)?[,\s\-/]*{year}\b")),
        (PhiKind::Date, concat!(
            // Corpora for research move years on by a century or two.
            r"\b(?:19|2[0-2])\d\d[-/.]\s?(?:1[0-2]|0?[1-9])[-/.]\s?(?:3[01]|[12]\d|0?[1-9])\b(?:T\d\d:\d\d(?::\d\d)?Z?)?|",
            r"\b(?:3[01]|[12]\d|0?[1-9])\s?[-/.]\s?(?:3[01]|[12]\d|0?[1-9])\s?[-/.]\s?(?:(?:19|2[0-2])\d\d|\d\d)\b|",
            r"\b(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\b",
        ).into()),
        (PhiKind::Date, r"(?i)\b(?:on|dated?|dob:?|since|until|from|before|after|by|born|d\.o\.b\.?:?|seen|due|begun|began|last|done|drawn|given|sent|return|recheck|rtc|rtw|inr|admitted|discharged|readmitted|vaccinated|immuni[sz]ed|extubated|intubated|transfused|delivered|appt|appointment|follow-?up|f/u|visit|scheduled|booked|surgery|operation|started|stopped|removed|placed|collected|drawn|reported|reviewed|lmp|onset|ct|mri|cxr|echo|labs|eff(?:ective)?|lov|nov|rov|lv|dos|doi|dod|tod|soc|roc|tomorrow|tmrw|yest|last (?:visit|seen|dose|drink|fill|refill|void|bm|hd|dialysis|office visit|menses)|(?:script|rx|prescription|note|labs?|visit|letter|report|study|scan|mri|ct|cxr|echo|film|ekg|ecg|email|message|order|call|fax|cultures?|cx|biopsy|bx|injury|accident|discharge|dc|d/c|admission|admit|surgery|op|procedure|result|refill|panel|cbc|bmp|cmp) (?:of|from|dated)|(?:preg|hcg|upt|covid|flu|rsv|strep|swab|pcr|cx|culture|quant|ppd|hiv|rpr|ua|uds|tox) (?:neg|pos|negative|positive|done|drawn|sent))[:.]?\s(?P<id>(?:1[0-2]|0?[1-9])[/\-](?:3[01]|[12]\d|0?[1-9]))\b".into()),
        (PhiKind::Date, r"(?i)\b(?P<id>(?:1[0-2]|0?[1-9])[/-](?:(?:19|20)\d\d))\b".into()),
        (PhiKind::Date, r"(?i)\b(?:date of birth|d\.?o\.?b\.?|birthday)(?:\sis|\swas|:)?\s(?P<id>(?:(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|oh|zero|first|second|third)[\s\-]?){2,7})\b".into()),
        (PhiKind::Date, r"\b(?i:in|since|of|until|till|by|during|last|next|from|through|and|to|this|past|before|after)\s(?P<id>(?i:(?:early |late |mid-?)?(?:january|february|april|june|july|august|september|october|november|december))|Jan|Feb|Mar|March|Apr|May|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\b".into()),
(PhiKind::Date, r"\b(?:on|before|after|since|until|till|by|over|around|during|for|of|at|last|this|next|seen|appt|visit)\s(?:the\s(?:day|night|eve|week|morning)\s(?:before|after|of)\s)?(?P<id>(?:[A-Z][\w'’\-]+\s){1,2}(?:Day|Eve|Festival|Night|Weekend))\b".into()),
        // "The 7th" of this month, where nothing follows that could be counted.
        (PhiKind::Date, r"(?i)\b(?:on|by|until|till|since|from|before|after|for|around|due|back|to|of|through|thru|discharged|admitted|seen|operated|delivered|died|begun|began)\s(?P<id>(?:the\s(?:evening|morning|night|afternoon|day)\sof\s)?(?:the\s)?(?:[12]\d|3[01]|\d)(?:st|nd|rd|th)(?:\s(?:inst|ult|prox)(?:ant|imo)?\.?)?)(?:[.,;:)!?]|\s(?:[a-z]|I\b)|\s*$|\n)".into()),
        (PhiKind::Date, r"(?i)\b\d{1,2}[.\-/ ](?:i|ii|iii|iv|v|vi|vii|viii|ix|x|xi|xii)[.\-/ ](?:19|20)\d\d\b|\b(?:3[01]|[12]\d|0?[1-9])[-/.](?:1[0-2]|0?[1-9])[-/.]1[34]\d\d\s?a?h\b|\b\d{1,2}\s?[월月]\s?\d{1,2}\s?[일日]".into()),
        (PhiKind::Date, r"(?i)\b(?:mon|tue|tues|wed|weds|thu|thur|thurs|fri|sat|sun|monday|tuesday|wednesday|thursday|friday|saturday|sunday|w/c|week commencing|w/e|tomorrow|today|yesterday|ma|ti|ke|pe|tis|ons|tors|lör|lør|søn|lun|jeu|ven|jue|vie|seg|qua|qui|czw)[,.]?\s(?:the\s)?(?:3[01]|[12]\d|0?[1-9])(?:/(?:3[01]|[12]\d|0?[1-9])\b|\.(?:1[0-2]|0?[1-9])\.|(?:st|nd|rd|th)\b)".into()),
        (PhiKind::Date, r"(?i)\b(?:w/c|w/o|wk of|week of|board|meeting|clinic|list|note|progress|round|ward \d{1,2}|code blue|pt|ot|slt|signed|dnar|pick-?up|missed|next|review|mdt|letter|entry|called|rang|addendum|late entry|consult|conference|planned|booked|date|returned|cross-clamp|cultures? (?:of|from)|fistulogram|biopsy|swab|bloods|x-?ray|admission|discharge|out|closed|expired|expires|exp)\b[.:]?\s?(?:on\s|of\s|for\s)?(?P<id>(?:3[01]|[12]\d|0?[1-9])\s?/\s?(?:3[01]|[12]\d|0?[1-9]))\b".into()),
        // A line of a course begins with its day; strengths, pains and murmurs have other figures.
        (PhiKind::Date, r"(?m)(?:^|[.;]\s)(?P<id>(?:1[0-2]|0?[1-9])/(?:3[01]|[12]\d|0?[1-9])):?\s[A-Za-z]".into()),
        (PhiKind::Date, r"\b(?P<id>(?:3[01]|[12]\d|0?[1-9])/(?:3[01]|[12]\d|0?[1-9]))\b".into()),
        (PhiKind::Age, r"(?i)\b(?:9\d|1[01]\d)(?:[-\s]?(?:years?|yrs?|y)[-\s]?(?:old|of age)\b|[-\s]?(?:yo|y/o|y\.o\.|yr\b|yrs\b|years?\b(?:\s?old)?)|\s?y\b|[mf]\b|\s[mf]\b)".into()),
        (PhiKind::Age, r"(?i)\b(?:aged?|age\s?:|age (?:is|was|of)|turned|turns|turning|at|delightful|lovely|pleasant|spry|frail)\s?(?P<id>(?:9\d|1[01]\d))\b".into()),
        (PhiKind::Age, r"(?i)\b(?:ninety(?:[-\s](?:one|two|three|four|five|six|seven|eight|nine))?|(?:one|a) hundred(?:[-\s](?:and[-\s])?(?:one|two|three|four|five|six|seven|eight|nine|ten))?)[-\s](?:years?|yrs?)(?:[-\s](?:old|of age))?\b|\b(?:aged?)\sninety[-\s]?(?:one|two|three|four|five|six|seven|eight|nine)?\b|\bninety-(?:one|two|three|four|five|six|seven|eight|nine)[,;)]|\bcentenarian\b|\b10\dth birthday\b|\b9\d(?:st|nd|rd|th) (?:birthday|year)\b|\b(?:ninetieth|ninety-(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth)|(?:one[- ])?hundredth)\s(?:birthday|year)\b".into()),
        (PhiKind::Phone, format!(r"(?i)\b(?:phone|tel(?:ephone)?|mobile|cell(?:phone)?|pager|pgr|spectralink|ascom|beeper|ext(?:ension)?|call(?:ed)?(?: at| on| back)?|contact|whatsapp|hotline|reach(?:ed|able)?(?: at| on)?|bleep|sms|text(?:ed)?(?:\s(?:her|him|them|me|us))?|mob|(?:land|clinic |direct )line|ring|dial|tfno|tlfn?o?|tél|telef(?:on|oon|ono)|rufnummer)\b\.?{GAP}(?:at\s|on\s)?(?P<id>\+?\(?\d[\d\s().\-–/]{{2,}}\d(?:\s?(?:x|ext\.?|extension)\s?\d+)?)\b")),
        (PhiKind::Phone, r"(?i)\b(?:ph|phone|tel|number|call|ring|dial|cell|mobile|contact|on|at|to|ext|h|w|c|home|work|office|bleep|pager)\b[^.\n]{0,16}?\b(?P<id>x\s?\d{4,5})\b".into()),
        (PhiKind::Phone, concat!(
            r"\b0\d(?:[\s.]\d\d){4}\b|",
            r"\(0\d{1,4}\)\s?\d{3,4}(?:[\s\-]?\d{3,4})?|",
            r"\+\d{1,3}[\s.\-]?(?:\(\d{1,4}\)[\s.\-]?)?\d{1,4}(?:[\s.\-]?\d{2,4}){1,4}\b|",
            r"(?:\b1[\s.\-])?(?:\(\d{3}\)\s?|\b\d{3}[\s.\-–])\d{3}[\s.\-–]\d{4}\b(?:\s?(?:x|ext\.?)\s?\d+)?|",
            r"\b[2-9]\d{2}[-–]\d{4}\b|",
            r"\b0\d{2,4}[\s\-]\d{3,4}[\s\-]?\d{3,4}\b",
        ).into()),
        (PhiKind::Geography, r"\b\d{1,5}(?:-?[A-Za-z]|\s?[½¼¾]|[ -]1/2)?,?\s(?:(?:[NSEW]\.?|[NS][EW]|North|South|East|West)\s)?(?:(?:[A-Z][\w'’.\-]+|\d{1,3}(?:st|nd|rd|th))\s){1,4}(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Place|Pl|Way|Terrace|Ter|Crescent|Close|Highway|Hwy|Parkway|Pkwy|Square|Sq|Circle|Cir|Row|Gardens|Hill|Walk|Mews|Trail|Loop|Parade|Grove|Esplanade|Quay|Wharf|Rise|Green|Park|Chase|Alley|Path|Pike|Turnpike|Plaza|Bend|Ridge|Crossing|Nagar|Colony|Town|Bank|Brow|Fold|Croft|Mead|View|Garth|Gate|Wynd|Brae|Cottages?|Villas?|Mount|Dene|Leas|Vale|Heights|Hollow|Landing|Cove|Broadway|Promenade|Strand|Embankment|Mansions|Buildings|Estate|Meadows?)\b\.?(?:,?\s(?:Apt|Apartment|Unit|Suite|Ste|Flat|#)\.?\s?\w+)?".into()),
        // A street without a house's number.
        (PhiKind::Geography, r"(?:\b(?:on|at|off|near|along|outside|from|by)\s|:\s)(?:the\s)?(?P<id>[MA]\d{2,3}|(?:[NSEW]\.?\s)?(?:[A-Z][\p{Ll}'’]+\s){1,3}(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Place|Pl|Way|Terrace|Crescent|Highway|Hwy|Parkway|Pkwy|Square|Circle|Turnpike|Pike))\b".into()),
        // What is named after a saint.
        (PhiKind::Geography, r"\b(?:to|at|from|in|of|near|the|via)\s(?P<id>(?:St\.?|Saint|Mt\.?|Mount|SS|Ft\.?|Fort|Camp|Lake|Cape|Port|Point|Glen|Isle)\s[A-Z][\p{Ll}]+(?:['’]s)?(?:\s(?:and|&)\s(?:St\.?\s)?[A-Z][\p{Ll}]+(?:['’]s)?)?)(?:[.,;)\n]|\s(?:on|for|with|and|by|after|last|this|in|at|via|to|where|who|yesterday|today|ED|ER)\b|$)".into()),
        (PhiKind::Geography, r"\b(?:[A-Z][a-zß-ü]+(?:straat|laan|gracht|kade|plein|singel|weg|gata|gatan|gate|gade|vej|vägen|katu|tie)|(?:[Uu]l(?:ica)?\.|[Uu]litsa)\s[A-ZÀ-Þ][\w'’\-]+)\s\d{1,4}[a-zA-Z]?\b".into()),
        (PhiKind::Geography, r"\b\d{1,4}(?:\s(?:bis|ter))?,?\s(?:[Rr]ue|[Bb]oulevard|[Pp]lace|[Aa]ll[ée]e|[Qq]uai|[Ii]mpasse|[Cc]hemin|[Cc]ours|[Ss]quare|[Aa]venue)\s(?:d[eu]s?\s|l[ae]s?\s)*[A-ZÀ-Þ][\w'’\-]+(?:,\s(?:\d{5}\s)?[A-ZÀ-Þ][\p{L}'’\-]+)?".into()),
        (PhiKind::Geography, r"\b(?:Rural (?:Route|Delivery)|Star Route)\s#?\d+(?:,?\sBox\s\d+\w?)?|\b(?:R\.?R\.?|HC)\s#?\d+,?\sBox\s\d+\w?".into()),
        (PhiKind::Geography, r"\b\d{1,3}(?:-\d{1,3}){1,2}\s[A-Z][a-z]+(?:-[A-Z]?[a-z]+|(?:ku|cho|machi|shi))\b".into()),
        (PhiKind::Geography, r"\b(?:(?:House|Plot|Door)(?:\s(?:No|no)\.?)?\s#?\d+[A-Z]?(?:,\s(?:Road|Street|Sector|Block|Lane|Phase)\s(?:No\.?\s)?\d+\w?)*(?:,\s[A-Z][a-z]+)?|(?:County|State|Farm|Parish)\s(?:Road|Route|Highway|Hwy)\s\d+|(?:Interstate|Highway|Hwy|Route|Rte|Rt|Motorway|Autobahn)\.?\s[A-Z]?\d{1,3}[A-Z]?\b|I-\d{2}\b|(?:US|SR|CR)[- ]\d{2,3}\b|Blk\s\d+\w?|(?:Block|BLOCK)\s\d+[A-Z]?,\s[A-Z])".into()),
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
            (kind, Regex::new(&super::ascii_boundaries(&pattern)).unwrap_or_else(|error| panic!("{kind:?}: {error}")))
        })
        .collect()
});
