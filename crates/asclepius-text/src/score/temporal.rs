//! Temporal information: dates, days of a course, times of day and durations, as values: `two weeks` is `14 days`, and
//! `March 12, 2020` is `2020-03-12`.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::Matches;

const NUMBER: &str = r"(?:\d+(?:\.\d+)?|an?|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|(?:twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)(?:[- ](?:one|two|three|four|five|six|seven|eight|nine))?|half an?)";
const UNIT: &str = r"(?:seconds?|secs?|minutes?|mins?|hours?|hrs?|h|days?|weeks?|wks?|months?|mos?|years?|yrs?)";
const MONTH: &str = r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?";

/// What an expression's captures come to; nothing where they are no such expression after all.
type Read = fn(&Captures<'_>) -> Option<Vec<String>>;

/// Expressions in the order in which they are looked for; what one has taken the next do not see.
static EXPRESSIONS: LazyLock<Vec<(Regex, Read)>> = LazyLock::new(|| {
    let list: Vec<(String, Read)> = vec![
        // Ages are no times of the course.
        (format!(r"\b{NUMBER}[\s-]*(?:{UNIT}|y)[\s-]*(?:old|of age)\b|\b\d+\s?(?:y/o|yo)\b|\baged?\s\d+\b"), |_| None),
        (r"\b(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})\b".to_owned(), |hit| {
            date(int(hit, "y"), int(hit, "m"), int(hit, "d"))
        }),
        (r"\b(?P<a>\d{1,2})/(?P<b>\d{1,2})/(?P<y>\d{4}|\d{2})\b".to_owned(), |hit| {
            let (a, b) = (int(hit, "a")?, int(hit, "b")?);
            // Month first, as in the notes of American hospitals, unless that cannot be.
            let (month, day) = if a > 12 { (b, a) } else { (a, b) };
            let year = int(hit, "y").map(|year| if year < 100 { year + 2000 } else { year });
            date(year, Some(month), Some(day))
        }),
        (format!(r"\b(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\s(?:of\s)?(?P<m>{MONTH})(?:,?\s(?P<y>\d{{4}}))?\b"), |hit| {
            date(int(hit, "y"), month(&hit["m"]), int(hit, "d"))
        }),
        (format!(r"\b(?P<m>{MONTH})\s(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\b(?:,?\s(?P<y>\d{{4}})\b)?"), |hit| {
            date(int(hit, "y"), month(&hit["m"]), int(hit, "d"))
        }),
        (format!(r"\b(?P<m>{MONTH}),?\s(?:of\s)?(?P<y>(?:19|20)\d{{2}})\b"), |hit| {
            date(int(hit, "y"), month(&hit["m"]), None)
        }),
        (format!(r"\b(?:in|since|during|until|by|of|last|early|late|mid)[\s-](?P<m>{MONTH})\b"), |hit| {
            date(None, month(&hit["m"]), None)
        }),
        (r"\b(?P<h>\d{1,2}):(?P<min>\d{2})(?:\s?(?P<half>[ap])\.?m\b)?".to_owned(), |hit| {
            clock(int(hit, "h")?, int(hit, "min")?, hit.name("half").map(|half| half.as_str()))
        }),
        (r"\b(?P<h>\d{1,2})\s?(?P<half>[ap])\.?m\b".to_owned(), |hit| clock(int(hit, "h")?, 0, Some(&hit["half"]))),
        (format!(r"\b(?:post-?operative\s?(?:day\s)?|pod)\s?#?(?P<n>{NUMBER})\b"), |hit| {
            Some(vec![format!("POD{}", number(&hit["n"])?)])
        }),
        (
            format!(
                r"\b(?:hospital\s|hospitali[sz]ation\s|hosp\.?\s)?(?P<unit>day|week|month|year|hd)\s?#?(?P<n>{NUMBER})\b"
            ),
            |hit| {
                let unit = if &hit["unit"] == "hd" { "day" } else { &hit["unit"] };
                Some(vec![format!("{unit} {}", number(&hit["n"])?)])
            },
        ),
        (format!(r"\bevery\s(?P<n>{NUMBER})[\s-]*(?P<unit>{UNIT})\b|\bq\s?(?P<q>\d+)\s?h\b"), |hit| {
            let (n, unit) = match hit.name("q") {
                Some(hours) => (hours.as_str(), "h"),
                None => (hit.name("n")?.as_str(), hit.name("unit")?.as_str()),
            };
            Some(vec![format!("every {}", duration(number(n)?, unit)?)])
        }),
        (format!(r"\b(?P<low>{NUMBER})\s?(?:-|–|to|or)\s?(?P<high>{NUMBER})[\s-]*(?P<unit>{UNIT})\b"), |hit| {
            // "Twenty-one" is one number.
            if let Some(count) = number(&format!("{}-{}", &hit["low"], &hit["high"])) {
                return Some(vec![duration(count, &hit["unit"])?]);
            }
            let both = [&hit["low"], &hit["high"]].map(|n| duration(number(n)?, &hit["unit"]));
            both.into_iter().collect()
        }),
        (format!(r"\b(?P<n>{NUMBER})(?:\sand\sa\s(?P<half>half))?[\s-]*(?P<unit>{UNIT})\b"), |hit| {
            let half = if hit.name("half").is_some() { 0.5 } else { 0.0 };
            Some(vec![duration(number(&hit["n"])? + half, &hit["unit"])?])
        }),
        (r"\b(?P<y>(?:19|20)\d{2})\b".to_owned(), |hit| date(int(hit, "y"), None, None)),
    ];
    list.into_iter().map(|(pattern, read)| (Regex::new(&pattern).expect("the patterns are valid"), read)).collect()
});

/// The values of every expression of time in a text: dates as `2020-03-12` (`2020-03`, `2020`, `XXXX-03-12`), times of day
/// as `T06:15`, days of a course as `day 6` or `POD2`, durations in ISO 8601 (`P14D`, `PT36H`, `P3M`; weeks count as days,
/// years as months), and `every PT8H`. Ages are left out.
pub fn expressions(text: &str) -> BTreeSet<String> {
    let mut left = text.to_lowercase();
    let mut found = BTreeSet::new();
    for (pattern, read) in EXPRESSIONS.iter() {
        let mut taken = Vec::new();
        for hit in pattern.captures_iter(&left) {
            found.extend(read(&hit).into_iter().flatten());
            taken.extend(hit.get(0).map(|whole| whole.range()));
        }
        for range in taken {
            let blank = "\n".repeat(range.len());
            left.replace_range(range, &blank);
        }
    }
    found
}

/// Values in both, as counts.
pub fn compared(answer: &str, reference: &str) -> Matches {
    Matches::of_sets(&expressions(answer), &expressions(reference))
}

fn int(hit: &Captures<'_>, name: &str) -> Option<u32> {
    hit.name(name)?.as_str().parse().ok()
}

fn month(name: &str) -> Option<u32> {
    const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    MONTHS.iter().position(|month| name.starts_with(month)).map(|index| index as u32 + 1)
}

fn date(year: Option<u32>, month: Option<u32>, day: Option<u32>) -> Option<Vec<String>> {
    let fits = month.is_none_or(|month| (1..=12).contains(&month)) && day.is_none_or(|day| (1..=31).contains(&day));
    let year = year.map_or_else(|| "XXXX".to_owned(), |year| format!("{year:04}"));
    let parts = [Some(year), month.map(|month| format!("{month:02}")), day.map(|day| format!("{day:02}"))];
    fits.then(|| vec![parts.into_iter().flatten().collect::<Vec<_>>().join("-")])
}

fn clock(hour: u32, minute: u32, half: Option<&str>) -> Option<Vec<String>> {
    let hour = match half {
        Some("p") if hour < 12 => hour + 12,
        Some("a") if hour == 12 => 0,
        _ => hour,
    };
    (hour < 24 && minute < 60).then(|| vec![format!("T{hour:02}:{minute:02}")])
}

fn number(text: &str) -> Option<f64> {
    const WORDS: [&str; 20] = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
    ];
    const TENS: [&str; 8] = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
    let place = |words: &[&str], word: &str| words.iter().position(|known| *known == word).map(|at| at as f64);
    let (head, tail) = text.split_once(['-', ' ']).unwrap_or((text, ""));
    match text {
        "a" | "an" => Some(1.0),
        "half a" | "half an" => Some(0.5),
        _ => match place(&TENS, head) {
            Some(tens) => Some(10.0 * (tens + 2.0) + if tail.is_empty() { 0.0 } else { place(&WORDS, tail)? }),
            None => place(&WORDS, text).or_else(|| text.parse().ok()),
        },
    }
}

/// ISO 8601: months where the unit is a month or a year, else seconds, in the largest unit that leaves nothing over.
fn duration(count: f64, unit: &str) -> Option<String> {
    let (seconds, months) = match unit {
        unit if unit.starts_with("mo") => (0.0, 1.0),
        unit if unit.starts_with('y') => (0.0, 12.0),
        unit if unit.starts_with('s') => (1.0, 0.0),
        unit if unit.starts_with('m') => (60.0, 0.0),
        unit if unit.starts_with('h') => (3600.0, 0.0),
        unit if unit.starts_with('d') => (86_400.0, 0.0),
        unit if unit.starts_with('w') => (604_800.0, 0.0),
        _ => return None,
    };
    if months > 0.0 {
        return Some(format!("P{}M", count * months));
    }
    let seconds = (count * seconds).round() as u64;
    Some(match seconds {
        whole if whole % 86_400 == 0 => format!("P{}D", whole / 86_400),
        whole if whole % 3600 == 0 => format!("PT{}H", whole / 3600),
        whole if whole % 60 == 0 => format!("PT{}M", whole / 60),
        whole => format!("PT{whole}S"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_values() {
        for (text, values) in [
            ("On day 6", &["day 6"][..]),
            ("HD#3, hospital day three, POD 2 and postoperative day 2", &["POD2", "day 3"]),
            ("for two weeks (14 days)", &["P14D"]),
            ("after 36 hours, then 1.5 days", &["PT36H"]),
            ("one year or 12 months", &["P12M"]),
            ("55 minutes after eating", &["PT55M"]),
            ("a 22-year-old woman, aged 22, 3 months of age", &[]),
            ("2-3 weeks", &["P14D", "P21D"]),
            ("every 8 hours, q8h", &["every PT8H"]),
            ("March 12, 2020; 12 March 2020; 3/12/2020; 2020-03-12", &["2020-03-12"]),
            ("25/12/2019", &["2019-12-25"]),
            ("in June 2018 and since May", &["2018-06", "XXXX-05"]),
            ("he may walk in 2019", &["2019"]),
            ("at 06:15, 6:15 am and 9 pm", &["T06:15", "T21:00"]),
            ("half an hour; one and a half hours", &["PT30M", "PT90M"]),
            ("500 mg daily", &[]),
            ("twenty-one days, seventy days and eighty five minutes", &["P21D", "P70D", "PT85M"]),
        ] {
            let expected: BTreeSet<String> = values.iter().map(|value| (*value).to_owned()).collect();
            assert_eq!(expressions(text), expected, "{text}");
        }
    }

    #[test]
    fn values_are_compared_and_wording_is_not() {
        let found = compared("It lasted 14 days, until day 20.", "two weeks");
        assert_eq!(found, Matches { matched: 1, predicted: 2, expected: 1 });
    }
}
