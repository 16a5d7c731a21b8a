//! Identifiers whose words or shapes few texts have: their patterns are tried only where a trigger is found, since each
//! costs a pass over the text.

use std::sync::LazyLock;

use regex::Regex;

use super::PhiKind;

/// Shops that stand in many towns.
const SHOPS: &str = r"Walmart|Wal-Mart|Kroger|CVS|Walgreens?|Target|Costco|Safeway|Aldi|Lidl|Tesco|Asda|Sainsbury['’]?s|Boots|Superdrug|Publix|Rite Aid|Wegmans|Shaw['’]s|Hannaford|McDonald['’]?s|Starbucks|Dunkin|Wendy['’]s|Subway|Shell|Exxon|Chevron|Arco|7-Eleven|Wawa|Sheetz|Dollar (?:General|Tree)|Home Depot|Lowe['’]s|Menards|Meijer|H-E-B|HEB|Winn-Dixie|Food Lion|Giant|Hy-Vee|Albertsons|Fred Meyer|Ralphs|Vons|Stop (?:&|and) Shop|Whole Foods|Sam['’]s Club|Apria|Lincare|Quest|LabCorp|Tim Hortons|Shoppers|Woolworths|Coles|Bunnings|Chemist Warehouse|Spar|Checkers|Shoprite|Pick n Pay|Carrefour|Big C|Amtrak|Greyhound|Uber";
/// What the body is known by, and what stands between such words and the code it is stored under.
const BIOMETRIC: &str = r"(?:(?:right|left|r|l)\s)?(?:(?:index|middle|ring|little|thumb)\s)?finger(?: ?-?prints?|[- ]scans?|[- ]veins?)|foot ?-?prints?|voice (?:recordings?|samples?|ids?|models?|clone)|voice ?-?prints?|gait (?:recording|video|analysis file|signature|profile)|gaitprint|thumb(?: ?-?prints?)?|palm(?: ?-?prints?|[- ](?:veins?|scans?))|retina(?:l)? (?:scans?|photos?|images?|maps?|templates?|id)|iris(?: (?:scans?|codes?|patterns?|templates?|photographs?|images?|id|photo))?|(?:palm|hand|finger|face|foot)[- ](?:vein|geometry|scan|recognition|unlock)|facial[- ]recognition|face ?-?id|touch ?-?id|fac(?:e|ial)[- ]?(?:geometry|map|template|print|hash|scan|match)|faceprints?|hand geometry|vein (?:map|pattern|scan)|(?:heart(?:beat)?|ecg|keystroke) (?:signature|biometric|print)|biometrics?|dna (?:profiles?|fingerprint|print)|str profile|ear ?prints?|lip ?prints?|bite ?mark|dental (?:chart|print|record|template)";
const ON_FILE: &str = r"template|tmpl|scan|hash|record|id|code|file|enrol|enrolment|enrollment|ref|reference|key|data|check-in|sample|profile|map|card|image|sheet|login|log-in|print|no|nr|number|clock|used|for|to|e-sign|in|on|of|the|his|her|was|is|as|under|stored|saved|kept|taken|enrolled|recorded|filed|registered|captured|matched|match|verified|reads|left|right|thumb|finger|index|l|r|photo|recognition|recording|unlock|slot|serial|token|consent|time|attendance|terminal|kiosk|device";
/// States and provinces that plates and towns are named with.
pub(super) const STATES: &str = "Alabama|Alaska|Arizona|Arkansas|California|Colorado|Connecticut|Delaware|Florida|Georgia|Hawaii|Idaho|Illinois|Indiana|Iowa|Kansas|Kentucky|Louisiana|Maine|Maryland|Massachusetts|Michigan|Minnesota|Mississippi|Missouri|Montana|Nebraska|Nevada|New Hampshire|New Jersey|New Mexico|New York|North Carolina|North Dakota|Ohio|Oklahoma|Oregon|Pennsylvania|Rhode Island|South Carolina|South Dakota|Tennessee|Texas|Utah|Vermont|Virginia|Washington|West Virginia|Wisconsin|Wyoming|Ontario|Quebec|Alberta|Manitoba|Saskatchewan|NSW|Victoria|Queensland";

/// Patterns, and what a text has where one of them may match.
struct Group {
    trigger: Regex,
    patterns: Vec<(PhiKind, Regex)>,
}

static GROUPS: LazyLock<Vec<Group>> = LazyLock::new(|| {
    let group = |trigger: &str, patterns: Vec<(PhiKind, String)>| Group {
        trigger: super::compiled(trigger),
        patterns: patterns.into_iter().map(|(kind, pattern)| (kind, super::compiled(&pattern))).collect(),
    };
    vec![group(NET, net()), group(BODY, body()), group(FIGURES, figures()), group(PLACES, places())]
});

/// The patterns that may match somewhere in a text, in the order of trust.
pub(super) fn patterns(text: &str) -> impl Iterator<Item = &'static (PhiKind, Regex)> {
    GROUPS.iter().filter(|group| group.trigger.is_match(text)).flat_map(|group| &group.patterns)
}

const NET: &str = r"(?i)@|[(\[]at[)\]]| dot |://|www\.|\.[a-z]{2,}/|\.(?:com|org|net|edu|gov|info|io|health|co\.uk|ac\.uk|nhs\.uk|de|fr|jp|eu|app|me|ca|au|in|br|it|es|nl|ch|se|no|us|link|care|clinic|jpe?g|png|tiff?|bmp|heic|gif|dcm|mp4|mov|avi|wav|mp3|m4a|pdf)\b|[0-9a-f]{1,4}[:-][0-9a-f]{0,4}[:-][0-9a-f]|\s::1";

fn net() -> Vec<(PhiKind, String)> {
    vec![
        (PhiKind::Mail, r"(?i)\b[a-z0-9._%+\-]+\s?(?:@|\(at\)|\[at\])\s?[a-z0-9\-]+(?:(?:\.|\s?\(dot\)\s?|\s?\[dot\]\s?)[a-z0-9\-]+)*(?:\.|\s?\(dot\)\s?|\s?\[dot\]\s?)[a-z]{2,}\b".into()),
        (PhiKind::Mail, r"(?i)\b[a-z0-9._\-]+(?: dot [a-z0-9_\-]+)+ at [a-z0-9\-]+(?: dot [a-z]{2,})+\b".into()),
        (PhiKind::Mail, r"(?i)\b[a-z0-9._\-]+ at [a-z0-9\-]+ dot [a-z]{2,}(?: dot [a-z]{2,})?\b".into()),
        (PhiKind::Url, r"(?i)\b(?:https?|ftps?)\s?://\S+[\w/]".into()),
        (PhiKind::Url, r"(?i)\bwww\.[\w\-.]+\.[a-z]{2,}(?:/[\w\-./?=&%#]*)?".into()),
        (PhiKind::Url, r"(?i)\b(?:[a-z0-9\-]+\.)+(?:com|org|net|edu|gov|info|io|health|co\.uk|ac\.uk|nhs\.uk|de|fr|jp|eu|app|me|ca|au|in|br|it|es|nl|ch|se|no|us|link|care|clinic)(?:/[\w\-./?=&%#]+|\b)".into()),
        // Any host with a path behind it, whatever its ending.
        (PhiKind::Url, r"(?i)\b(?:[a-z0-9][a-z0-9\-]{2,}\.(?:[a-z0-9\-]+\.)*[a-z]{3,}|[a-z][a-z0-9\-]+\.(?:[a-z0-9\-]+\.)+[a-z]{2})/[\w\-./?=&%#~@]{3,}".into()),
        (PhiKind::PhotoOrOther, r"(?i)\b[\w\-]+\.(?:jpe?g|png|tiff?|bmp|heic|gif|dcm|mp4|mov|avi|wav|mp3|m4a|pdf)\b".into()),
        (PhiKind::Ip, r"(?i)\b(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}\b|\b(?:[0-9a-f]{1,4}:){1,6}(?::[0-9a-f]{1,4}){1,6}\b|\b(?:[0-9a-f]{1,4}:){2,7}:|(?:\s)::1\b".into()),
        (PhiKind::Device, r"(?i)\b(?:[0-9a-f]{2}[:\-]){5}[0-9a-f]{2}\b".into()),
    ]
}

const BODY: &str = r"(?i)(?:finger|thumb|foot|palm|voice|face|gait|ear|lip) ?-?(?:prints?|hash)|(?:finger|palm|hand|foot|face|facial)[- ]?(?:scan|vein|geometry|recog|unlock|id\b|map|template|print|hash|match)|retinal? (?:scan|photo|image|map|template|id\b)|\biris[ :#/_-]+(?:scan|code|pattern|template|photo|image|id\b|[a-z/_-]*\d)|voice (?:rec|samp|id\b|mod|clone)|gait (?:rec|video|anal|sig|prof)|\bthumb [^.]{0,20}\d|biometric|dna (?:prof|fing|print)|vein (?:map|pattern|scan)|touch ?-?id|str profile|bite ?mark|dental (?:chart|print|record|template)|keystroke|heart(?:beat)? sig|ecg (?:sig|bio|print)";

fn body() -> Vec<(PhiKind, String)> {
    vec![
        (
            PhiKind::Biometric,
            format!(
                r"(?i)\b(?:{BIOMETRIC})(?:[\s:#=,(.\-]|\b(?:{ON_FILE})\b){{0,12}}(?:(?-i:[A-Z]{{1,5}}\s)?(?:[A-Za-z]{{1,10}}[-_/#:.])*[A-Za-z]{{0,6}}\d[\w*]*(?:[-_/:.#][\w*]+)*(?:\s\d+(?:-\d+)+)?(?:,\s(?:hash|id|ref|key)\s[\w:]+)?|(?:[A-Za-z]+[-_/])+[\w]*\d[\w\-]*)"
            ),
        ),
        (
            PhiKind::Biometric,
            format!(r"(?i)\b(?:{BIOMETRIC})(?:\s(?:template|scan|hash|record|profile|map|image|data|sample)\b)*"),
        ),
    ]
}

const FIGURES: &str = r"(?i)\b\d\d?\.\d\d?\.(?:\s|$)|\s(?:is|was|reads?|under|as)\s[a-z]{0,3}-?[a-z]{0,4}[- ]?\d[\d -]{4}|\b(?:last|final)[\s:]{1,2}(?:four|4|digits?|\d{4}\b)|\b(?:ending|ends?)[\s:]{1,2}(?:in|with|\d{4}\b)|[x*•.…]{2,}[- ]?\d\d|\d-[x*•]|\d\d-\d\d-\d\d|[a-z]\s?#|\b(?:licen[cs]e|lic|cdl|dl|dea|npi|permit|passport|certificate|commission)\b,?\s(?:no|nr|num|#)|\b(?:date of birth|birth ?date|d\.?o\.?b|born)\b|\d/\d\d?\s(?:@\s?|at\s)?[012]\d:?\d\d|\b\d{3}[ .]\d{4}\b|\(\d{3}\)\s?\d{7}|\b(?:truck|pickup|suv|sedan|ute|lorry|moped|minivan|motorcycle|motorbike|scooter|jeep|parked|towed|plates?)\b";

fn figures() -> Vec<(PhiKind, String)> {
    vec![
        // A day and a month with points, as where the day comes first.
        (PhiKind::Date, r"(?i)\b(?:rv|r/v|review|am|vom|den|bis|seit|ab|termin|kontrolle|appt|clinic|f/?u)\s(?P<id>(?:3[01]|[12]\d|0?[1-9])\.(?:1[0-2]|0?[1-9])\.)(?:\s|$)".into()),
        // The number, what it is for, and then the figures.
        (PhiKind::PhotoOrOther, r"\b(?i:licen[cs]e|passport|permit|certificate|registration|badge|account|policy|member(?:ship)?|chart|record|hospital|card|claim|case|phone|medicaid|medicare|insurance|plan)\b(?i:\s(?:number|no\.?|id))?\s(?:[a-z]+\s){1,6}(?:is|was|reads?|under|as)\s(?P<id>[A-Z]{0,3}-?[A-Z]{0,4}[- ]?\d[\d -]{4,}\d[A-Z]?)\b".into()),
        (PhiKind::SocialSecurity, r"(?i)\b(?:ssn?|soc(?:ial)?(?: sec(?:urity)?)?)\b[^.;\n\d]{0,24}?\b(?:last|ending|ends?|final)[\s:]{1,2}(?:(?:four|4|digits?|of|in|with|is|are)[\s:]{1,2}){0,3}(?P<id>\d{4})\b".into()),
        // Masked, wherever the mask lies.
        (PhiKind::SocialSecurity, r"(?i)\b\d{3}[- ]\d{2}[- ][x*•]{2}\d{2}\b|\b\d{3}[- ][x*•]{2}[- ]\d{4}\b|\b[x*•\d]{3}-[x*•]{2}-\d{4}\b".into()),
        // Three pairs of figures, as older hospitals file them.
        (PhiKind::MedicalRecord, r"\b(?:MRN?|MR#|(?i:charts?|record|file|folder|unit|hosp\w*|wrong no|merged?|duplicate|no|now|pt|patient|is|was|be)|#)\b?[\s.:#(]{0,3}(?P<id>\d{2,4}-\d{2}-\d{2,4})\b".into()),
        (PhiKind::MedicalRecord, r"\b(?:MRN?|(?i:hosp|pt|patient|unit|ur|hn|med rec|chart|file|case))\s?#\s?:?\s?(?P<id>[A-Z]{0,3}-?\d[\dA-Z\-]{3,})\b".into()),
        // The last figures of a card or an account.
        (PhiKind::Account, r"(?i)\b(?:accounts?|acct|a/c|cards?|visa|mastercard|master card|mc|amex|discover|checking|chequing|savings|debit|credit|hsa|fsa|bank|iban|giro|autopay)\b[^.;\n\d]{0,24}?(?:\b(?:last|ending|ends?|final)[\s:]{1,2}(?:(?:four|4|digits?|of|in|with|is|are|no\.?)[\s:]{1,2}){0,3}|[x*•.…]{2,}[- ]?)(?P<id>\d{4})\b".into()),
        (PhiKind::Licence, r"(?i)\b(?:licen[cs]e|lic|cdl|dl|dea|npi|permit|passport|certificate|commission)\b,?\s(?:no\.?|nr\.?|num(?:ber)?|#)[\s:#]*(?P<id>[A-Z]{0,4}-?\d[\dA-Z\-]{3,})\b".into()),
        (PhiKind::Vehicle, format!(r"\b(?i:car|van|truck|pickup|suv|sedan|ute|lorry|moped|minivan|motorcycle|motorbike|trailer|scooter|jeep|bike|parked|vehicle|driver|driving|drives|towed|lot|garage)\b[^.\n]{{0,70}}?\b(?:{STATES})\s(?:(?i:plates?|tags?|reg\w*|lic\w*)[\s.:#]{{1,2}}){{0,2}}(?P<id>\d{{1,4}}[- ]?[A-Z]{{2,4}}\d?|[A-Z]{{1,4}}[- ]?\d{{2,4}}[A-Z]{{0,2}})\b")),
        (PhiKind::Date, r"(?i)\b(?:date of birth|birth ?date|d\.?o\.?b\.?|born)(?:\s(?:is|was|on))?[\s:]*(?P<id>\d{1,2}[\s.]\d{1,2}[\s.](?:19|20)?\d{2}|(?:[0-2]\d|3[01])(?:[0-2]\d|3[01])(?:19|20)?\d{2})\b".into()),
        // A time of the day behind it.
        (PhiKind::Date, r"\b(?P<id>(?:1[0-2]|0?[1-9])/(?:3[01]|[12]\d|0?[1-9]))\s(?:@\s?|at\s)?(?:(?:[01]\d|2[0-3]):?[0-5]\d)(?:[.,;)\s]|h|$)".into()),
        (PhiKind::Phone, r"\(\d{3}\)\s?\d{7}\b".into()),
        (PhiKind::Phone, r"\b(?i:work|home|cell|mobile|phone|ph|tel|call(?:ed|s)?|ring|reach(?:ed)?|number|office|line|voicemail|vm|pager|text|desk|contact|beeper|sms|dial)\b[:#]?\s(?:(?i:number|no\.?|phone|line|at|on|is|ph|her|him|back|me)[\s:]{1,2}){0,2}(?P<id>[2-9]\d{2}[ .]\d{4})\b".into()),
    ]
}

const PLACES: &str = r"(?i)\b(?:lives?|living|resid(?:es?|ing)|stays?|staying|moved|address|addr|home|house)[:\s]{1,2}(?:(?:at|to|of|is)[:\s]{1,2})?\d|[a-z],?\s\d{5}\b|\b(?:walmart|wal-mart|kroger|cvs|walgreens?|target|costco|safeway|aldi|lidl|tesco|asda|sainsbury|boots|superdrug|publix|rite aid|wegmans|shaw.?.?s|hannaford|mcdonald\W*s?|starbucks|dunkin|wendy|subway|shell|exxon|chevron|arco|7-eleven|wawa|sheetz|dollar \w+|home depot|lowe\W*s|menards|meijer|h-e-b|heb|winn-dixie|food lion|giant|hy-vee|albertsons|ralphs|vons|whole foods|apria|lincare|quest|labcorp|tim hortons|woolworths|coles|shoprite|pick n pay|carrefour|greyhound)\s(?:on|in|at|near|off)\s|\d(?:st|nd|rd|th)\s(?:st\.?\s|ave\.?\s)?(?:and|&)\s|\s(?:and|&)\s\d{1,3}(?:st|nd|rd|th)\b|\b(?:corner|intersection) of|\b(?:gps|coord\w*|lat(?:itude)?|location|pin|found at|grid)[\s:(]{1,3}-?\d|\d\.\d\d+°?\s?[ns],?\s?\d|\b(?:vfw|legion|elks|moose|masonic|teamsters|ibew|uaw|local)\s(?:post|lodge|local|hall|branch)|\b(?:works?|working|worked|employed|job|shifts?|stopped|cashier|clerk|cook|teacher|teaches|janitor|volunteers?)\s(?:at|for|by)\s|\b(?:exit|mile\s?marker|mile\s?post|mm|junction|jct\.?)\s\d";

fn places() -> Vec<(PhiKind, String)> {
    vec![
        // A street without the word for one, between the house's number and the town.
        (PhiKind::Geography, r"\b(?:(?i:lives?|living|resid(?:es?|ing)|stays?|staying|moved|address|addr|home|house|at|to|of|is)[:\s]{1,2})+(?P<id>\d{1,5}(?:[A-Za-z]|\s?[½¼¾]|[ -]1/2)?\s(?:[NSEW]\.?\s)?[A-Z]\p{Ll}+(?:\s[A-Z]\p{Ll}+)?,\s[A-Z]\p{Ll}+(?:\s[A-Z]\p{Ll}+)?)(?:[.,;)\n]|$)".into()),
        (PhiKind::Geography, r"\b(?:in|at|of|from|near|to|outside)\s(?P<id>[A-Z]\p{Ll}+(?:\s[A-Z]\p{Ll}+){0,2},?\s\d{5}(?:-\d{4})?)(?:[.,;)\n]|\s[a-z(]|$)".into()),
        // A shop by its street or town.
        (PhiKind::Geography, format!(r"\b(?:{SHOPS})\s(?:on|in|at|near|off)\s(?:the\s)?(?:[A-Z]\p{{Ll}}+\s)?(?:[A-Z]\p{{Ll}}+|\d{{1,3}}(?:st|nd|rd|th)?)(?:\s(?:St|Ave|Rd|Blvd|Dr|Hwy|Pike|Street|Road|Avenue)\b)?")),
        // Where two streets meet.
        (PhiKind::Geography, r"\b(?:at|near|on|off|of|by)\s\d{1,3}(?:st|nd|rd|th)\s(?:St\.?\s|Ave\.?\s)?(?:and|&)\s(?:[NSEW]\.?\s)?[A-Z]\p{Ll}+|\b[A-Z]\p{Ll}+\s(?:St\.?\s|Ave\.?\s)?(?:and|&)\s\d{1,3}(?:st|nd|rd|th)\b|\b(?:corner of|intersection of)\s(?:[A-Z]\p{Ll}+|\d{1,3}(?:st|nd|rd|th))\s(?:St\.?\s|Ave\.?\s)?(?:and|&)\s[A-Z]\p{Ll}+".into()),
        // A point of the map.
        (PhiKind::Geography, r"(?i)\b(?:gps|coord\w*|lat(?:itude)?|location|pin|found at|grid)[\s:(]{1,3}(?P<id>-?\d{1,3}\.\d{2,}°?\s?[NS]?,?\s?-?\d{1,3}\.\d{2,}(?:°?\s?[EW])?)".into()),
        (PhiKind::Geography, r"\b\d{1,2}\.\d{2,}°?\s?[NS],?\s?\d{1,3}\.\d{2,}°?\s?[EW]\b".into()),
        (PhiKind::Geography, r"\b(?:VFW|American Legion|Legion|Elks|Moose|Masonic|Teamsters|IBEW|UAW|Local)\s(?:Post|Lodge|Local|Hall|Branch)\s?#?\d{1,4}\b".into()),
        // Who is worked for.
        (PhiKind::Geography, r"\b(?i:works?|working|worked|employed|job|shifts?|stopped|cashier|clerk|cook|teacher|teaches|janitor|volunteers?)\s(?:at|for|by)\s(?:the\s)?(?P<id>[A-Z][\p{L}'’]+(?:\s(?:n|&|and|of|[A-Z]\b|[A-Z][\p{L}'’]+)){0,3})".into()),
        // Exits, junctions and stones of a road.
        (PhiKind::Geography, r"\b(?:[Ee]xit|[Mm]ile\s?(?:[Mm]arker|[Pp]ost)|[Mm]ilepost|MM|[Jj]unction|[Jj]ct\.?)\s\d{1,3}[A-Z]?,?\s(?:(?:on|off|of|near|in)\s)?(?:the\s)?(?:I-\d+|[A-Z]\p{Ll}+(?:\s[A-Z]\p{Ll}+)?)".into()),
    ]
}
