//! Dates, however they are written: `27/08/2020`, `August 27th, 2020` and `27 Aug` are one.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// A day or a month, with or without its year.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Date {
    pub day: Option<u32>,
    pub month: u32,
    pub year: Option<u32>,
}

impl Date {
    /// Whether another one is this one, or tells more of it.
    pub fn is_told_by(self, other: Self) -> bool {
        self.month == other.month
            && (self.day.is_none() || self.day == other.day)
            && self.year.zip(other.year).is_none_or(|(own, other)| own == other)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [day, year] = [self.day, self.year].map(|figure| figure.map(|figure| figure.to_string()));
        let month = Some(MONTHS[self.month as usize - 1].to_owned());
        formatter.write_str(&[day, month, year].into_iter().flatten().collect::<Vec<_>>().join(" "))
    }
}

/// A date in a text, read in each way it can be: day before month, or behind it.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub range: Range<usize>,
    /// At least one.
    pub readings: Vec<Date>,
}

/// In lower case.
pub(super) const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

static DATE: LazyLock<Regex> = LazyLock::new(|| {
    let month = r"(?i:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?";
    let year = r"(?:19|20)\d\d";
    let day = r"\d{1,2}(?:st|nd|rd|th)?";
    Regex::new(&format!(
        r"(?-u:\b)(?:(?P<one>\d{{1,2}})(?:/(?P<other>\d{{1,2}})/(?P<short>{year}|\d\d)|\.(?P<dotted>\d{{1,2}})\.(?P<long>{year}))|(?P<iso>{year})-(?P<isomonth>\d\d)-(?P<isoday>\d\d)|(?P<number>\d{{1,2}})/(?P<of>{year})|(?P<day>{day})(?:\sof)?[\s-](?P<month>{month})(?:,?[\s-](?P<year>{year}))?|(?P<first>{month}),?[\s-](?:of\s)?(?:(?P<behind>{day})(?:,?\s(?P<last>{year}))?|(?P<whole>{year})))(?-u:\b)"
    ))
    .expect("the pattern is valid")
});

fn month(name: &str) -> Option<u32> {
    // "It may 5 times" has no capital.
    let begins = name.get(..3).filter(|_| name.starts_with(|first: char| first.is_ascii_uppercase()))?;
    MONTHS.iter().position(|month| month.starts_with(&begins.to_ascii_lowercase())).map(|place| place as u32 + 1)
}

fn read(hit: &Captures<'_>) -> Vec<Date> {
    let figure = |name: &str| -> Option<u32> {
        hit.name(name)?.as_str().trim_end_matches(|letter: char| letter.is_ascii_alphabetic()).parse().ok()
    };
    let named = |name: &str| hit.name(name).and_then(|name| month(name.as_str()));
    let full = |year: u32| if year < 100 { 2000 + year } else { year };
    let years =
        || ["short", "long", "year", "last", "whole", "of", "iso"].iter().find_map(|name| figure(name)).map(full);
    let mut readings = Vec::new();
    if let (Some(one), Some(other)) = (figure("one"), figure("other").or_else(|| figure("dotted"))) {
        readings.push((Some(one), other));
        if one != other {
            readings.push((Some(other), one));
        }
    } else if let Some(number) = figure("isomonth") {
        readings.push((figure("isoday"), number));
    } else if let Some(number) = figure("number") {
        readings.push((None, number));
    } else if let Some(month) = named("month") {
        readings.push((figure("day"), month));
    } else if let Some(month) = named("first") {
        readings.push((figure("behind"), month));
    }
    let real =
        |(day, month): &(Option<u32>, u32)| (1..=12).contains(month) && day.is_none_or(|day| (1..=31).contains(&day));
    let dates = readings.into_iter().filter(real).map(|(day, month)| Date { day, month, year: years() });
    dates.collect()
}

/// Every date of a text.
pub(super) fn find(text: &str) -> Vec<Found> {
    if !text.bytes().any(|byte| byte.is_ascii_digit()) {
        return Vec::new();
    }
    let found = DATE.captures_iter(text).filter_map(|hit| {
        let readings = read(&hit);
        (!readings.is_empty()).then(|| Found { range: hit.get(0).expect("the whole always matches").range(), readings })
    });
    found.collect()
}

/// A text with other words for each of its dates.
pub(super) fn replaced<'a>(text: &'a str, found: &[Found], words: impl Fn(&Found) -> String) -> Cow<'a, str> {
    if found.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut result = String::with_capacity(text.len());
    let mut copied = 0;
    for date in found {
        result.push_str(&text[copied..date.range.start]);
        result.push_str(&words(date));
        copied = date.range.end;
    }
    result.push_str(&text[copied..]);
    Cow::Owned(result)
}

impl Found {
    /// The month's name, where it is sure, and the year.
    pub fn month_and_year(&self) -> String {
        let [first, others @ ..] = self.readings.as_slice() else { return String::new() };
        let month = others.iter().all(|other| other.month == first.month).then(|| MONTHS[first.month as usize - 1]);
        let year = first.year.map(|year| year.to_string());
        [month.map(str::to_owned), year].into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    /// The figures that a text that names the month has, too: the day, where it is sure, and the year.
    pub fn day_and_year(&self) -> String {
        let [first, others @ ..] = self.readings.as_slice() else { return String::new() };
        let day = first.day.filter(|_| others.iter().all(|other| other.day == first.day));
        [day, first.year].into_iter().flatten().map(|figure| figure.to_string()).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(date: &str, by: &str) -> bool {
        let (own, other) = (find(date), find(by));
        let readings = |found: &[Found]| found.iter().flat_map(|found| found.readings.clone()).collect::<Vec<_>>();
        readings(&own).iter().any(|own| readings(&other).iter().any(|other| own.is_told_by(*other)))
    }

    #[test]
    fn dates_are_the_same_in_every_spelling() {
        for date in [
            "27/08/2020",
            "08/27/2020",
            "27.08.2020",
            "2020-08-27",
            "27 August 2020",
            "Aug 27th, 2020",
            "27th of August",
            "August 2020",
            "08/2020",
            "27 Aug",
            "27/8/20",
            "27-Aug-2020",
        ] {
            assert!(told(date, "On August 27, 2020, she was operated on."), "{date}");
        }
        assert!(told("09/2019", "He was operated on in September, 2019."));
        for date in ["28/08/2020", "27/09/2020", "27/08/2019", "09/2020", "Aug 26", "August 2019"] {
            assert!(!told(date, "On August 27, 2020, she was operated on."), "{date}");
        }
        assert!(!told("27 August 2020", "In August 2020 she was operated on."));
        for none in ["20/40", "120/80/60", "may 5 times", "4.5.6", "3/12", "2020", "32/13/2020"] {
            assert!(find(none).is_empty(), "{none}");
        }
    }
}
