//! Quantities, doses, ages and intervals as values with a unit, so that `0.5 g` is `500 mg` and `two weeks` `14 days`.

use std::sync::LazyLock;

use regex::Regex;

use super::codes;

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A measurement or dose, or a figure without a unit.
    Measure,
    /// A stretch of time.
    Interval,
    /// The patient's age.
    Age,
}

/// A figure with its unit, in that unit's base.
#[derive(Debug, Clone)]
pub(super) struct Quantity {
    pub kind: Kind,
    /// What the figure can mean: 1,200 is 1200 or, elsewhere in the world, 1.2.
    pub values: Vec<f64>,
    /// The last place the figure states, in the same base.
    pub precision: f64,
    /// How many of its base the unit is; a figure without a unit is compared without.
    pub scale: f64,
    pub unit: Option<String>,
    /// Says which one of several: a day, a stage, a case.
    pub counts: bool,
    /// What it counts, if that is time: how many bases one is, and the base.
    pub counted: Option<(f64, &'static str)>,
    /// Which grade, stage, class or type it is, with the letter behind the figure.
    pub designates: Option<(&'static str, Option<char>)>,
    /// Where in the line.
    pub at: usize,
}

static FIGURE: LazyLock<Regex> = LazyLock::new(|| {
    let number = r"\d+(?:[.,]\d+)*";
    let part = r"(?:e\d{1,2}|micrograms?|milligrams?|nanograms?|picograms?|kilograms?|grams?|millimoles?|micromoles?|milliequivalents?|(?:centi|milli|micro|nano)?met(?:er|re)s?|milliliters?|millilitres?|liters?|litres?|deciliters?|decilitres?|international units?|units?|mcg|mg|ug|ng|pg|fg|kg|gm|g|meq|mmol|umol|nmol|pmol|mosm|miu|uiu|iu|u|ml|dl|ul|cl|fl|l|mmhg|mm hg|cmh2o|cm h2o|kpa|cm|mm|um|nm|km|m2|m3|cm2|mm2|mm3|cm3|m|gy|cgy|hz|khz|mhz|bpm|msec|ms|mv|ma|kcal|fr|percent|%|beats?|breaths?|drops?|tablets?|capsules?|puffs?|°\s?c|°\s?f|degrees?(?: celsius| fahrenheit| c| f)?|celsius|fahrenheit|diopters?)";
    let over = r"(?:\s?(?:/|per)\s?(?:kg|dl|ml|ul|l|day|d|hours?|hr|h|minutes?|min|m|m2|mm3|week|dose|24 ?h|hpf|sec|s|year|g))*";
    let time = r"(?:seconds?|secs?|minutes?|mins?|hours?|hrs?|h|days?|d|weeks?|wks?|wk|w|months?|mths?|mos?|years?|yrs?|yr|y|decades?)";
    let age = r"(?:[- ]?(?P<ageunit>years?|yrs?|yr|months?|mos?|mo|weeks?|wks?|wk|days?|y|hours?)[- ]?(?:old|of age)\b|[- ]?(?P<yo>y/o|y\.o\.?|yo|y\.?/o\.?)|(?P<sexed>m|f)\b)";
    let pattern = format!(
        r"(?P<aged>\b(?:aged?|age:)\s(?:of\s|was\s|is\s)?)?(?P<art>\b(?:an?|per|each)\s(?P<arttime>minute|hour|day|week|month|year)\b)|(?P<aged2>\baged?:?\s(?:of\s|was\s|is\s)?)?(?P<n>{number})(?:{age}|(?:\s?-?\s?(?:(?:additional|further|more|consecutive|successive|subsequent|full|whole|extra|postoperative|hospital)\s)?(?P<time>{time})\b)|(?:\s?-?\s?(?P<unit>{part}{over})(?:[^a-z0-9]|$)))?"
    );
    // ASCII word boundaries: those of Unicode send every line with a "°" to the slow engine.
    Regex::new(&pattern.replace(r"\b", r"(?-u:\b)")).expect("the pattern is valid")
});

/// Whether a word is the name of a unit or of a stretch of time.
pub(super) fn is_unit(word: &str) -> bool {
    let named = format!("1 {word}");
    FIGURE.captures(&named).is_some_and(|hit| {
        hit.get(0).is_some_and(|whole| whole.as_str().trim() == named)
            && (hit.name("unit").is_some() || hit.name("time").is_some())
    })
}

/// Whether a word is a stretch of time.
pub(super) fn is_span(word: &str) -> bool {
    const SPANS: &[&str] = &["minute", "hour", "day", "week", "month", "year"];
    SPANS.contains(&word.strip_suffix('s').unwrap_or(word))
}

/// Words after which "a week" is a stretch of time.
const LONG: &[&str] = &[
    "for",
    "about",
    "within",
    "in",
    "after",
    "over",
    "than",
    "approximately",
    "nearly",
    "almost",
    "half",
    "of",
    "during",
    "through",
    "around",
    "only",
    "past",
    "last",
    "next",
    "had",
    "and",
    "or",
    "lasting",
    "took",
    "roughly",
    "some",
    "throughout",
    "until",
    "by",
    "every",
    "under",
    "at",
    "lasted",
    "just",
    "was",
    "to",
];

/// Words that a figure after them counts.
const COUNTED: &[&str] = &[
    "day", "days", "grade", "stage", "case", "week", "weeks", "month", "hour", "year", "type", "figure", "table",
    "class", "session", "dose", "cycle", "episode", "attempt", "step", "number",
];

/// What grades, stages, classes and types are called by; scores that come in classes are theirs.
fn designated(word: &str) -> Option<&'static str> {
    match word {
        "grade" | "grades" => Some("grade"),
        "stage" | "stages" => Some("stage"),
        "type" | "types" => Some("type"),
        "class" | "classes" | "nyha" | "asa" | "mallampati" => Some("class"),
        _ => None,
    }
}

/// The letter of "2b".
fn letter_behind(after: &str) -> Option<char> {
    let mut letters = after.chars();
    let letter = letters.next().filter(char::is_ascii_lowercase)?;
    letters.next().is_none_or(|next| !next.is_alphabetic()).then_some(letter)
}

/// Every quantity of a sentence in order. In `2-3 weeks` and `5 × 6 cm` each figure has the unit.
pub(super) fn find(line: &str) -> Vec<Quantity> {
    const SPANS: &[&str] = &["day", "week", "month", "hour", "year", "minute", "second"];
    let mut found: Vec<Quantity> = Vec::new();
    // Most lines tell no figure, and are spared the search.
    let figures = line.bytes().any(|byte| byte.is_ascii_digit()) || !line.is_ascii();
    if !figures && !SPANS.iter().any(|span| line.contains(span)) {
        return found;
    }
    for hit in FIGURE.captures_iter(line) {
        let whole = hit.get(0).expect("the whole always matches");
        if let Some(unit) = hit.name("arttime") {
            let before = line[..whole.start()].trim_end();
            // "Twice a day" is how often, "15 cigarettes a day" is how much.
            let word = before.rsplit(' ').next().unwrap_or_default();
            let long = LONG.contains(&word) || before.is_empty() || before.ends_with([',', '(', ';', ':', '-']);
            if long && hit.name("art").is_some_and(|art| art.as_str().starts_with('a')) {
                let (scale, unit) = time(unit.as_str());
                let value = vec![scale];
                found.push(Quantity {
                    kind: Kind::Interval,
                    values: value,
                    precision: 0.0,
                    scale,
                    unit: Some(unit.to_owned()),
                    counts: false,
                    counted: None,
                    designates: None,
                    at: whole.start(),
                });
            }
            continue;
        }
        let Some(number) = hit.name("n") else { continue };
        let before = line[..number.start()].chars().next_back();
        let coded = before.is_some_and(char::is_alphabetic) || codes::goes_on(&line[..number.start()]);
        if coded || is_marker(line, number.start(), number.end()) {
            continue;
        }
        // "2nd" is said as a word as often.
        let ordinal = ["st", "nd", "rd", "th"].iter().any(|end| {
            line[number.end()..]
                .strip_prefix(end)
                .is_some_and(|rest| !rest.starts_with(|next: char| next.is_alphanumeric()))
        });
        if ordinal {
            continue;
        }
        let aged = hit.name("aged2").is_some();
        let (kind, scale, unit) = if let Some(unit) = hit.name("time").filter(|_| is_aged(&line[..number.start()])) {
            let (scale, unit) = time(unit.as_str());
            (Kind::Age, scale, Some(unit.to_owned()))
        } else if let Some(unit) = hit.name("ageunit") {
            let (scale, unit) = time(unit.as_str());
            (Kind::Age, scale, Some(unit.to_owned()))
        } else if hit.name("yo").is_some()
            || hit.name("sexed").is_some()
            || opens_with_age(line, number.start(), number.end())
        {
            (Kind::Age, 12.0, Some("month".to_owned()))
        } else if hit.name("time").is_some_and(|unit| {
            let lens = is_signed(&line[..number.start()]);
            unit.as_str() == "d" && (lens || line[unit.end()..].starts_with("/c"))
        }) {
            // "-10.5 D" is a lens, "day 7 d/c" a discharge.
            (Kind::Measure, 1.0, None)
        } else if let Some(unit) = hit.name("time") {
            let (scale, unit) = time(unit.as_str());
            (if aged { Kind::Age } else { Kind::Interval }, scale, Some(unit.to_owned()))
        } else if let Some(unit) = hit.name("unit") {
            // "241 x 114 x 88 mm3" is told by its sides.
            let unit = unit.as_str();
            let side = [" x ", "× "].iter().any(|by| line[..number.start()].ends_with(by));
            let (scale, unit) = measure(if side { unit.trim_end_matches(['2', '3']) } else { unit });
            (Kind::Measure, scale, Some(unit))
        } else if aged {
            (Kind::Age, 12.0, Some("month".to_owned()))
        } else {
            (Kind::Measure, 1.0, None)
        };
        let (values, precision) = readings(number.as_str());
        let values = values.into_iter().map(|value| value * scale).collect();
        let before =
            line[..number.start()].trim_end_matches([' ', ':', '-', '=']).rsplit(' ').next().unwrap_or_default();
        let designates = designated(before).map(|of| (of, letter_behind(&line[number.end()..])));
        let counts = COUNTED.contains(&before) || designates.is_some();
        let counted = matches!(before, "day" | "days" | "week" | "weeks" | "month" | "hour").then(|| time(before));
        let at = number.start();
        found.push(Quantity {
            kind,
            values,
            precision: precision * scale,
            scale,
            unit,
            counts,
            counted,
            designates,
            at,
        });
        share_unit(&mut found, line, number.start());
    }
    found
}

/// The figure before takes the unit of the last one where only a dash, a cross or "to" stands between.
fn share_unit(found: &mut [Quantity], line: &str, start: usize) {
    let mut end = start;
    for index in (1..found.len()).rev() {
        let (left, right) = found.split_at_mut(index);
        let (Some(earlier), Some(later)) = (left.last_mut(), right.first()) else { return };
        let between = line[earlier.at..end]
            .trim_start_matches(|character: char| character.is_ascii_digit() || matches!(character, '.' | ','));
        // "4.4 by six hours" are two figures.
        let joined = match between.trim() {
            "-" | "to" | "and" | "or" => true,
            "x" | "×" | "/" | "*" | "by" => later.kind == Kind::Measure,
            _ => false,
        };
        if !joined || earlier.counts || earlier.unit.is_some() || later.unit.is_none() {
            return;
        }
        let scale = later.values.first().copied().unwrap_or(1.0);
        let stated = readings(
            &line[later.at..].chars().take_while(|c| c.is_ascii_digit() || matches!(c, '.' | ',')).collect::<String>(),
        );
        let scale = stated.0.first().filter(|value| **value != 0.0).map_or(1.0, |value| scale / value);
        earlier.values.iter_mut().for_each(|value| *value *= scale);
        earlier.precision *= scale;
        earlier.scale *= scale;
        (earlier.unit, earlier.kind) = (later.unit.clone(), later.kind);
        end = earlier.at;
    }
}

/// "-10.5" and "+2".
fn is_signed(before: &str) -> bool {
    let signed = before.strip_suffix(['-', '+']);
    signed.is_some_and(|before| before.is_empty() || before.ends_with([' ', '(', '/']))
}

/// "57 M, night watchman" at the beginning of a line.
fn opens_with_age(line: &str, start: usize, end: usize) -> bool {
    let sexed = line[end..].strip_prefix(" m").or_else(|| line[end..].strip_prefix(" f"));
    line[..start].trim().is_empty()
        && sexed.is_some_and(|rest| rest.is_empty() || rest.starts_with([',', '.', ';', ':']))
}

/// "A woman of " comes before an age.
fn is_aged(before: &str) -> bool {
    const PERSONS: &[&str] = &["man", "woman", "boy", "girl", "patient", "gentleman", "lady", "child", "infant"];
    before.strip_suffix(" of ").is_some_and(|before| {
        PERSONS.contains(&before.rsplit(|letter: char| !letter.is_alphabetic()).next().unwrap_or_default())
    })
}

/// `1.` or `2)` at a line's beginning, `#1`, and the `2/2` that means "secondary to".
fn is_marker(line: &str, start: usize, end: usize) -> bool {
    let after = &line[end..];
    let bare = line[..start]
        .trim_matches(|character: char| character.is_whitespace() || matches!(character, '-' | '*' | '(' | '#'))
        .is_empty();
    let marked = after.starts_with(['.', ')', ':']) && after[1..].chars().next().is_none_or(char::is_whitespace);
    // "Problem 1: ..."
    let heading = after.starts_with(':')
        && line[..start]
            .strip_suffix(' ')
            .is_some_and(|word| !word.is_empty() && word.bytes().all(|letter| letter.is_ascii_lowercase()));
    heading
        || (bare && (marked || line[..start].ends_with('#')))
        || (&line[start..end] == "2" && (after.starts_with("/2 ") || line[..start].ends_with(" 2/")))
}

fn readings(figure: &str) -> (Vec<f64>, f64) {
    let figure = figure.trim_end_matches(['.', ',']);
    let mut values = Vec::new();
    let mut places = figure.rsplit_once('.').map_or(0, |(_, fraction)| fraction.len());
    if figure.matches('.').count() <= 1 {
        let groups: Vec<&str> = figure.split('.').next().unwrap_or(figure).split(',').collect();
        if groups[1..].iter().all(|group| group.len() == 3) {
            values.extend(figure.replace(',', "").parse::<f64>().ok());
        }
        if groups.len() == 2 && !figure.contains('.') && (groups[1].len() != 3 || groups[0] == "0") {
            values.extend(figure.replace(',', ".").parse::<f64>().ok());
            if groups[1].len() != 3 {
                places = groups[1].len();
            }
        }
    }
    if values.is_empty() {
        values.extend(figure.split(['.', ',']).filter_map(|part| part.parse::<f64>().ok()));
        places = 0;
    }
    (values, 10_f64.powi(-(places as i32)))
}

/// Minutes, days or months: a month is no fixed number of days.
pub(super) fn time(unit: &str) -> (f64, &'static str) {
    match unit.as_bytes() {
        [b's', ..] => (1.0 / 60.0, "minute"),
        [b'm', b'i', ..] => (1.0, "minute"),
        [b'h', ..] => (1.0 / 24.0, "day"),
        [b'd', b'e', ..] => (120.0, "month"),
        [b'd', ..] => (1.0, "day"),
        [b'w', ..] => (7.0, "day"),
        [b'm', ..] => (1.0, "month"),
        _ => (12.0, "month"),
    }
}

/// A unit's base and how many of that it is.
fn measure(unit: &str) -> (f64, String) {
    let unit = unit.replace("per", "/").replace(char::is_whitespace, "");
    let (first, over) = unit.split_once('/').map_or((unit.as_str(), None), |(first, over)| (first, Some(over)));
    let plain = match first {
        "microgram" | "micrograms" | "ug" => "mcg",
        "nanogram" | "nanograms" => "ng",
        "picogram" | "picograms" => "pg",
        "millimole" | "millimoles" => "mmol",
        "micromole" | "micromoles" => "umol",
        "milliequivalent" | "milliequivalents" => "meq",
        "centimeter" | "centimeters" | "centimetre" | "centimetres" => "cm",
        "millimeter" | "millimeters" | "millimetre" | "millimetres" => "mm",
        "micrometer" | "micrometers" | "micrometre" | "micrometres" => "um",
        "nanometer" | "nanometers" | "nanometre" | "nanometres" => "nm",
        "meter" | "meters" | "metre" | "metres" => "m",
        "deciliter" | "deciliters" | "decilitre" | "decilitres" => "dl",
        "milligram" | "milligrams" => "mg",
        "gram" | "grams" | "gm" => "g",
        "kilogram" | "kilograms" => "kg",
        "milliliter" | "milliliters" | "millilitre" | "millilitres" => "ml",
        "liter" | "liters" | "litre" | "litres" => "l",
        "unit" | "units" | "iu" | "internationalunit" | "internationalunits" => "u",
        "percent" => "%",
        "cmh2o" | "kpa" => first,
        "beats" | "beat" | "bpm" => "beat",
        "breaths" | "breath" => "breath",
        other
            if other.starts_with(['°'])
                || other.starts_with("degree")
                || other == "celsius"
                || other == "fahrenheit" =>
        {
            if other.ends_with('f') || other.ends_with("fahrenheit") {
                "f"
            } else {
                "c"
            }
        }
        other => other,
    };
    let (scale, base) = match plain {
        "kg" => (1e6, "mg"),
        "g" => (1e3, "mg"),
        "mg" => (1.0, "mg"),
        "mcg" => (1e-3, "mg"),
        "l" => (1e3, "ml"),
        "dl" => (1e2, "ml"),
        "cl" => (1e1, "ml"),
        "cm" => (1e1, "mm"),
        "m" => (1e3, "mm"),
        other => (1.0, other),
    };
    // A rate over one's own minute is said with or without it.
    let over = over.filter(|_| !matches!(base, "beat" | "breath"));
    let base = match over {
        None => base.to_owned(),
        Some(over) => {
            let over = over
                .replace("hours", "h")
                .replace("hour", "h")
                .replace("hr", "h")
                .replace("minutes", "min")
                .replace("minute", "min")
                .replace("day", "d");
            format!("{base}/{over}")
        }
    };
    (scale, base)
}

impl Quantity {
    /// Whether the other one says which of the same: another grade where this is a grade.
    pub(super) fn designates_alike(&self, other: &Self) -> bool {
        self.designates.zip(other.designates).is_some_and(|((own, _), (other, _))| own == other)
    }

    /// Whether the other one is this grade, stage, class or type, or says it more precisely.
    pub(super) fn is_same_designation(&self, other: &Self) -> bool {
        let letter = |of: &Self| of.designates.and_then(|(_, letter)| letter);
        let fits = letter(self).is_none_or(|own| letter(other) == Some(own));
        self.designates_alike(other) && fits && self.values.first() == other.values.first()
    }

    /// The unit of time that an interval is told in, as [`Self::counted`] has it.
    pub(super) fn span(&self) -> Option<(f64, &'static str)> {
        let unit = ["minute", "day", "month"].into_iter().find(|unit| Some(*unit) == self.unit.as_deref())?;
        Some((self.scale, unit))
    }

    /// "A week", "a month": said of what is about so long.
    pub(super) fn is_about(&self) -> bool {
        self.kind == Kind::Interval && self.precision == 0.0
    }

    /// Whether the other interval is a day or two more or less, as far as a week or a month goes.
    pub(super) fn is_nearly(&self, other: &Self) -> bool {
        /// Of a length.
        const NEARLY: f64 = 0.16;
        let days = |of: &Self| match of.span()?.1 {
            "day" => of.values.first().copied(),
            "month" => of.values.first().map(|months| months * 30.4),
            _ => None,
        };
        let near = |own: f64, other: f64| own >= 7.0 && (own - other).abs() <= NEARLY * own;
        other.kind == Kind::Interval && days(self).zip(days(other)).is_some_and(|(own, other)| near(own, other))
    }

    /// Whether the other one is the same figure with another unit.
    pub(super) fn has_another_unit(&self, other: &Self) -> bool {
        let figure = |quantity: &Self| quantity.values.first().map(|value| value / quantity.scale);
        let same = figure(self).zip(figure(other)).is_some_and(|(own, other)| (own - other).abs() < 1e-6);
        same && (self.unit != other.unit || (self.scale - other.scale).abs() > 1e-9)
    }

    /// Whether `source` states the same, or states it more precisely and this is its rounding.
    pub(super) fn agrees(&self, source: &Self) -> bool {
        // "Day 6" is not "hour 6", and "six days" may be said for it.
        if let Some((scale, base)) = self.counted {
            let other = match source.kind {
                Kind::Interval => source.unit.as_deref().map(|unit| (source.scale, unit)),
                _ => source.counted,
            };
            if other.is_some_and(|(other, unit)| unit != base || (other - scale).abs() > 1e-9) {
                return false;
            }
        }
        // "13.1 s" is read as without a unit.
        let seconds = self.kind == Kind::Interval && self.scale < 0.1 && source.unit.is_none();
        let units = match (&self.unit, &source.unit) {
            (Some(own), Some(other)) => {
                // "0.4 g/kg/d" and "0.4 g/kg daily".
                let over = |one: &str, other: &str| one.strip_prefix(other).is_some_and(|rest| rest.starts_with('/'));
                own == other || over(own, other) || over(other, own)
            }
            // A figure whose unit one side leaves out, never a time. What counts days or stages is no dose.
            (Some(_), None) => {
                seconds || (self.kind == Kind::Measure && source.kind == Kind::Measure && !source.counts)
            }
            _ => self.kind == Kind::Measure && source.kind == Kind::Measure || self.unit.is_none(),
        };
        let (own, other) =
            if self.unit.is_some() == source.unit.is_some() { (1.0, 1.0) } else { (self.scale, source.scale) };
        let fits = |left: f64, right: f64| {
            self.is_rounding(left / own, right / other, source.precision / other, self.precision / own)
        };
        units && self.values.iter().any(|left| source.values.iter().any(|right| fits(*left, *right)))
    }

    fn is_rounding(&self, own: f64, other: f64, exact: f64, precision: f64) -> bool {
        let gap = (own - other).abs();
        // Rounding keeps at least two figures.
        let rounds = exact < precision * 0.99 && own >= 10.0 * precision && self.kind != Kind::Age;
        gap <= 1e-6 * own.abs().max(1e-6) || (rounds && gap <= precision * 0.5 + 1e-9)
    }
}
