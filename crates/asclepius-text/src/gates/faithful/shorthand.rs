//! Ward shorthand written out, before a text is read.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use rustc_hash::FxHashMap;

use super::codes;
use crate::abbreviations;

/// Shorthand with a meaning that the table of terms has no place for: signs, and times as fractions ("6/52").
static SHORTHAND: LazyLock<Vec<(char, Regex, &str)>> = LazyLock::new(|| {
    let sign = |pattern: &str| Regex::new(pattern).expect("the pattern is valid");
    // Each with a character that a line must hold for it.
    let list = [
        (sign(r" ?\(\++[;,\s]*\)"), " positive"),
        (sign(r" ?\([-−–]\)"), " negative"),
        // No stroke.
        (sign(r"(?-u:\b)CVA tender"), "costovertebral angle tender"),
        (sign(r"(?i)(?-u:\b)w/o(?-u:\b)"), "without"),
        (sign(r"(?i)(?-u:\b)w/ ?"), "with "),
        (sign(r"(^|[\s(,])[+]ve(?-u:\b)"), "${1}positive"),
        (sign(r"(^|[\s(,])[-−–]ve(?-u:\b)"), "${1}negative"),
        (sign(r"([A-Za-z0-9])\+ve(?-u:\b)"), "${1} positive"),
        (sign(r"(?i)(?-u:\b)dz(?-u:\b)"), "disease"),
        (sign(r"(^|[^\d/.])(\d{1,2})/7(?-u:\b)"), "${1}${2} days"),
        // 20/40 is an eye's acuity.
        (sign(r"(^|[^\d/.])(\d{1,2})/52(?-u:\b)"), "${1}${2} weeks"),
        (sign(r"(^|[^\d/.])([1-9]|1\d|2[1-9]|[34]\d)/40(?-u:\b)"), "${1}${2} weeks"),
        // "Platelets 172 day 5" tells of no 172 days.
        (sign(r"(\d) ([Dd]ay) (\d)"), "${1}, ${2} ${3}"),
        // "3/12 nodes" is a count.
        (
            sign(
                r"(\d{1,2})/12(\s+(?:lymph|nodes?|LNs?|cores?|leads?|points?|positive|negative|samples?|biops\w+|criteria|pigs?))",
            ),
            "${1} of 12${2}",
        ),
        (sign(r"(^|[^\d/.])([1-9]\d?)/12(?-u:\b)"), "${1}${2} months"),
        (sign(r"(?-u:\b)[Ll]t\.? ([a-z])"), "left ${1}"),
        (sign(r"(?-u:\b)[Rr]t\.? ([a-z])"), "right ${1}"),
        (sign(r"(?-u:\b)(\d{1,3})\s?y/?o([MFmf])(?-u:\b)"), "${1} yo ${2}"),
        (sign(r"(?-u:\b)(\d{1,2})\+([0-6])(\s?(?:weeks|wks|wk)(?-u:\b)|/40)"), "${1} weeks and ${2} days"),
        (sign(r"(?-u:\b)[Qq](\d{1,2})\s?(h|hrs?|d|wks?|w|mo|min)(?-u:\b)"), "every ${1} ${2}"),
        (sign(r"/\s?(d|day|wk|week|mo|month)\s?[x×]\s?(\d{1,2})(?-u:\b)"), "/${1} for ${2} ${1}"),
        (
            sign(r"(?-u:\b)(daily|OD|qd|nocte)\s?[x×]\s?(\d{1,2})(\s*(?:[,.;)]|$|then|and|from))"),
            "${1} for ${2} days${3}",
        ),
        (sign(r"(?-u:\b)[x×](\d{1,3})\s?(h|hrs?|d|days?|wks?|w|mo|y|yrs?)(?-u:\b)"), "for ${1} ${2}"),
        (sign(r"(?-u:\b)[x×]([3-9]|\d{2,3})(?-u:\b)"), "x ${1}"),
    ];
    let needs = [
        '(', '(', 'C', '/', '/', '+', 'v', '+', 'z', '/', '/', '/', 'y', '/', '/', 't', 't', 'o', '+', 'q', 'x', 'x',
        'x', 'x',
    ];
    list.into_iter().zip(needs).map(|((pattern, words), needed)| (needed, pattern, words)).collect()
});

/// Whether a line can hold shorthand that begins with or holds this character: most do not, and are spared the search.
fn can_hold(line: &str, needed: char) -> bool {
    let bytes = line.as_bytes();
    let before_digit = |letters: &[u8]| {
        bytes.windows(2).any(|pair| letters.contains(&pair[0]) && (pair[1].is_ascii_digit() || pair[1] == b' '))
    };
    match needed {
        '(' => ["(+", "(-", "(−", "(–"].iter().any(|sign| line.contains(sign)),
        'C' => line.contains("CVA"),
        'q' => before_digit(b"qQ"),
        't' => ["lt", "rt", "Lt", "Rt"].iter().any(|side| line.contains(side)),
        'o' => line.contains("oM") || line.contains("oF") || line.contains("om") || line.contains("of"),
        // The second byte of the sign for times.
        'x' => before_digit(b"x\x97"),
        'v' => line.contains("-ve") || line.contains("−ve") || line.contains("–ve"),
        'z' => line.contains("dz") || line.contains("Dz") || line.contains("DZ"),
        other => line.contains(other),
    }
}

/// Stands on each side of what was written out, until the line is read.
pub(super) const EXPANDED: char = '\u{e000}';

/// "D3" and "HD#3" are a day, "vitamin D3" is none.
static DAY: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?-u:\b)(?P<vitamin>(?i:vit(?:amin)?\.?)\s?)?(?:H|PO)?D\s?#?(?P<day>\d{1,3})(?-u:\b)")
        .expect("the pattern is valid")
});

/// Powers of ten as they are written, the sign for them lost where a text has no raised figures ("14.8 × 109/L"), and
/// Roman numerals of grades, stages, classes and types.
fn numerals(text: Cow<'_, str>) -> Cow<'_, str> {
    static POWER: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\s?[x×∗*·]\s?10(?:\s?(?:\^|\*\*)\s?\(?(?P<sign>[-−]?\d{1,2})\)?|[eE](?P<e>\d{1,2})|\((?P<bracket>\d{1,2})\)|(?P<raised>[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,2})|(?P<lost>[2-9]|1[0-2])(?P<tail>\s?(?:/|cells|copies|platelets|colony|CFU|cfu|IU|U/)))").expect("the pattern is valid")
    });
    static ROMAN: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?-u:\b)(?P<of>[Gg]rades?|[Ss]tages?|[Tt]ypes?|[Cc]lass(?:es)?|NYHA|ASA|DSM|Mallampati|GRADE|STAGE|TYPE|CLASS)(?P<mark>[ :=-]{1,2})(?P<roman>I{1,3}|I?V|VI{1,3}|IX|X)(?P<letter>(?: [A-C]|[A-Da-d])?)(?-u:\b)").expect("the pattern is valid")
    });
    const RAISED: &str = "⁰¹²³⁴⁵⁶⁷⁸⁹";
    let mut text = text;
    if text.contains("10") && POWER.is_match(&text) {
        let power = |hit: &Captures<'_>| {
            let plain = ["sign", "e", "bracket", "lost"].iter().find_map(|name| hit.name(name));
            let power = match (plain, hit.name("raised")) {
                (Some(power), _) => power.as_str().replace('−', "-"),
                (None, Some(raised)) => raised
                    .as_str()
                    .chars()
                    .filter_map(|digit| RAISED.chars().position(|raised| raised == digit))
                    .map(|digit| digit.to_string())
                    .collect(),
                _ => return hit[0].to_owned(),
            };
            // "10^-3" keeps its sign, and is no unit.
            if power.starts_with('-') {
                return hit[0].to_owned();
            }
            format!(" e{power}{}", hit.name("tail").map_or("", |tail| tail.as_str()))
        };
        text = Cow::Owned(POWER.replace_all(&text, power).into_owned());
    }
    if text.contains(['I', 'V', 'X']) && ROMAN.is_match(&text) {
        let figure = |hit: &Captures<'_>| {
            let number = codes::roman(&hit["roman"].to_ascii_lowercase()).unwrap_or_default();
            format!("{}{}{number}{}", &hit["of"], &hit["mark"], hit["letter"].trim_start().to_ascii_lowercase())
        };
        text = Cow::Owned(ROMAN.replace_all(&text, figure).into_owned());
    }
    text
}

/// Replaces the table's abbreviations by what they stand for, and shorthand signs by words.
pub(super) fn write_out(text: &str) -> String {
    let mut text = numerals(spans_in_figures(text));
    for (needed, sign, words) in &*SHORTHAND {
        if can_hold(&text, *needed) {
            text = Cow::Owned(sign.replace_all(&text, *words).into_owned());
        }
    }
    if text.contains('D') {
        let day = |hit: &Captures<'_>| match hit.name("vitamin") {
            Some(_) => hit[0].to_owned(),
            // Behind a figure "day" alone would be its unit.
            None => format!("on day {}", &hit["day"]),
        };
        text = Cow::Owned(DAY.replace_all(&text, day).into_owned());
    }
    let text = text.as_ref();
    let mut result = String::with_capacity(text.len() * 2);
    let mut copied = 0;
    for found in abbreviations::find(text) {
        let Range { start, end } = found.range;
        ward_words(&text[copied..start], &mut result);
        expanded(found.entry.term, &mut result);
        copied = end;
    }
    ward_words(&text[copied..], &mut result);
    result
}

fn expanded(term: &str, to: &mut String) {
    to.push(EXPANDED);
    to.push_str(term);
    to.push(EXPANDED);
}

/// Copies a text with its ward abbreviations written out.
fn ward_words(text: &str, to: &mut String) {
    let mut copied = 0;
    let mut start = None;
    let ends = text.char_indices().chain([(text.len(), ' ')]);
    for (at, character) in ends {
        match start {
            None if character.is_ascii_alphanumeric() => start = Some(at),
            Some(from) if !character.is_alphanumeric() => {
                if let Some(term) = (at - from <= LONGEST_WARD_WORD).then(|| WARD.get(&text[from..at])).flatten() {
                    to.push_str(&text[copied..from]);
                    expanded(term, to);
                    copied = at;
                }
                start = None;
            }
            None if character.is_alphanumeric() => start = Some(at),
            _ => {}
        }
    }
    to.push_str(&text[copied..]);
}

/// Letters of the longest of [`WARD`].
const LONGEST_WARD_WORD: usize = 8;

/// Shorthand of the ward that the shared table has no place for: not told apart from other readings everywhere, or
/// never written out so in a report.
static WARD: LazyLock<FxHashMap<&str, &str>> = LazyLock::new(|| {
    const PAIRS: &[(&str, &str)] = &[
        ("AVB", "atrioventricular block"),
        ("CHB", "complete heart block"),
        ("chr", "chromosome"),
        ("SR", "sinus rhythm"),
        ("NSR", "normal sinus rhythm"),
        ("PPM", "permanent pacemaker"),
        ("TPW", "temporary pacing wire"),
        ("VEs", "ventricular ectopics"),
        ("RWMA", "regional wall motion abnormality"),
        ("LGE", "late enhancement"),
        ("IJV", "internal jugular vein"),
        ("WCC", "white cell count"),
        ("cx", "culture"),
        ("Cx", "culture"),
        ("IGRA", "interferon-gamma release assay"),
        ("TTG", "tissue transglutaminase"),
        ("tTG", "tissue transglutaminase"),
        ("BCx", "blood cultures"),
        ("UCx", "urine culture"),
        ("BCs", "blood cultures"),
        ("AFB", "acid-fast bacilli"),
        ("ZN", "Ziehl-Neelsen stain"),
        ("ESBL", "extended-spectrum beta-lactamase"),
        ("FOBT", "fecal occult blood test"),
        ("UPJ", "ureteropelvic junction"),
        ("UVJ", "ureterovesical junction"),
        ("RIF", "right iliac fossa"),
        ("LIF", "left iliac fossa"),
        ("RIH", "right inguinal hernia"),
        ("LIH", "left inguinal hernia"),
        ("RUZ", "right upper zone"),
        ("LUZ", "left upper zone"),
        ("USS", "ultrasound"),
        ("XR", "radiograph"),
        ("TVUSS", "transvaginal ultrasound"),
        ("TVUS", "transvaginal ultrasound"),
        ("EBL", "blood loss"),
        ("NWB", "non-weight-bearing"),
        ("SLR", "straight-leg raising"),
        ("CBG", "capillary glucose"),
        ("bili", "bilirubin"),
        ("Bili", "bilirubin"),
        ("Tbili", "bilirubin"),
        ("alb", "albumin"),
        ("Alb", "albumin"),
        ("creat", "creatinine"),
        ("Creat", "creatinine"),
        ("HCO3", "bicarbonate"),
        ("bicarb", "bicarbonate"),
        ("gluc", "glucose"),
        ("Na", "sodium"),
        ("plt", "platelets"),
        ("Plt", "platelets"),
        ("plts", "platelets"),
        ("Plts", "platelets"),
        ("lymphs", "lymphocytes"),
        ("neuts", "neutrophils"),
        ("trop", "troponin"),
        ("Trop", "troponin"),
        ("TnI", "troponin I"),
        ("TnT", "troponin T"),
        ("sats", "saturation"),
        ("Sats", "saturation"),
        ("obs", "observations"),
        ("VA", "visual acuity"),
        ("histo", "histology"),
        ("Histo", "histology"),
        ("abdo", "abdominal"),
        ("Abdo", "abdominal"),
        ("temp", "temperature"),
        ("cipro", "ciprofloxacin"),
        ("Cipro", "ciprofloxacin"),
        ("norepi", "norepinephrine"),
        ("Norepi", "norepinephrine"),
        ("epi", "epinephrine"),
        ("methylpred", "methylprednisolone"),
        ("nad", "normal"),
        ("NAD", "normal"),
        ("unremark", "unremarkable"),
        ("thromb", "thrombosis"),
        ("lymphad", "lymphadenopathy"),
        ("steroids", "corticosteroids"),
        ("Steroids", "corticosteroids"),
        ("necropsy", "autopsy"),
        ("Necropsy", "autopsy"),
        ("antibx", "antibiotics"),
        ("mths", "months"),
        ("mth", "month"),
        ("fortnight", "14 days"),
    ];
    PAIRS.iter().copied().collect()
});

/// Stretches of time and times of day that words tell, in figures: "half an hour" is 30 minutes, "9 pm" 21:00.
fn spans_in_figures(text: &str) -> Cow<'_, str> {
    static SPANS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
        [
            (r"(?i)(?-u:\b)(?:a year and a half|(?:one|1)(?: and a half|\.5) years?|18 mo)(?-u:\b)", "18 months"),
            (r"(?i)(?-u:\b)(?:an hour and a half|(?:one|1)(?: and a half|\.5) hours?)(?-u:\b)", "90 minutes"),
            (r"(?i)(?-u:\b)(?:a|one) quarter of an hour(?-u:\b)", "15 minutes"),
            (r"(?i)(?-u:\b)half (?:an|a|of an) hour(?-u:\b)", "30 minutes"),
            (r"(?i)(?-u:\b)half-hour(?-u:\b)", "30-minute"),
            (r"(?i)(?-u:\b)half a year(?-u:\b)", "6 months"),
            (r"(?i)(?-u:\b)(?:a|one) fortnight(?-u:\b)", "14 days"),
            (r"(?i)(?-u:\b)a couple of (days|weeks|months|hours|years)(?-u:\b)", "2 $1"),
        ]
        .map(|(pattern, figures)| (Regex::new(pattern).expect("the pattern is valid"), figures))
        .into()
    });
    static CLOCK: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)(?-u:\b)(?:(?P<hour>\d{1,2})(?:[:.](?P<minute>\d\d))?\s?(?P<half>[ap])\.?m(?-u:\b)|(?P<at>^|[^\d.,:])(?P<plain>0\d[0-5]\d)(?:$|(?P<end>[^\d.,:-])|(?P<stop>[.,:] ))|(?P<hh>[0-2]\d)(?P<mm>[0-5]\d)\s?(?:h|hrs|hours)(?-u:\b))").expect("the pattern is valid")
    });
    let mut text = Cow::Borrowed(text);
    if ["half", "Half", "quarter", "fortnight", "couple", "1.5"].iter().any(|word| text.contains(word)) {
        for (span, figures) in &*SPANS {
            if span.is_match(&text) {
                text = Cow::Owned(span.replace_all(&text, *figures).into_owned());
            }
        }
    }
    let digits = text.bytes().any(|byte| byte.is_ascii_digit());
    if digits && CLOCK.is_match(&text) {
        let clock = |hit: &Captures<'_>| {
            if let Some(plain) = hit.name("plain") {
                let end = hit.name("end").or(hit.name("stop")).map_or("", |end| end.as_str());
                return format!("{}{}:{}{end}", &hit["at"], &plain.as_str()[..2], &plain.as_str()[2..]);
            }
            if let (Some(hour), Some(minute)) = (hit.name("hh"), hit.name("mm")) {
                return format!("{}:{}", hour.as_str(), minute.as_str());
            }
            let hour = hit["hour"].parse::<u32>().unwrap_or_default();
            if !(1..=12).contains(&hour) {
                return hit[0].to_owned();
            }
            let after = hit["half"].eq_ignore_ascii_case("p");
            let minute = hit.name("minute").map_or("00", |minute| minute.as_str());
            format!("{:02}:{minute}", hour % 12 + if after { 12 } else { 0 })
        };
        text = Cow::Owned(CLOCK.replace_all(&text, clock).into_owned());
    }
    text
}
