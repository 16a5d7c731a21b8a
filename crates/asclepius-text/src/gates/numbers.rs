//! Numbers as values: `1,200`, `1200` and `1200.0` are one, `seven` and `7` are one.

use std::collections::HashSet;
use std::sync::LazyLock;

use regex::Regex;

use super::dates;
use crate::score::words;

static NUMBER: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\d+(?:[.,]\d+)*").expect("the pattern is valid"));

/// Every value that a text states, in figures or in words.
pub(super) fn known(text: &str) -> HashSet<String> {
    let mut values: HashSet<String> = NUMBER.find_iter(text).flat_map(|found| readings(found.as_str())).collect();
    let words = words(text);
    for (index, word) in words.iter().enumerate() {
        let Some(value) = in_words(word) else { continue };
        values.insert(value.to_string());
        if value >= 20 && value % 10 == 0 {
            let unit = words.get(index + 1).and_then(|next| in_words(next)).filter(|unit| (1..10).contains(unit));
            values.extend(unit.map(|unit| (value + unit).to_string()));
        }
    }
    values
}

/// The numbers a text must answer for, each with its possible readings.
pub(super) fn stated(text: &str) -> Vec<Vec<String>> {
    // The month of 27/08/2020 may stand in words elsewhere.
    let text = dates::replaced(text, &dates::find(text), dates::Found::day_and_year);
    NUMBER
        .find_iter(&text)
        .filter(|found| {
            let (before, after) = (&text[..found.start()], &text[found.end()..]);
            !belongs_to_a_name(before)
                && !is_list_marker(before, after)
                && !is_secondary_to(before, found.as_str(), after)
                && !is_unit_of_time(before, found.as_str())
        })
        .map(|found| readings(found.as_str()))
        .collect()
}

/// `T2`, `q8h`, `SpO2`: part of a term rather than a measurement.
fn belongs_to_a_name(before: &str) -> bool {
    before.chars().next_back().is_some_and(char::is_alphabetic)
}

/// `3.` or `3)` at the beginning of a line, and `#3`, count items of the note itself.
fn is_list_marker(before: &str, after: &str) -> bool {
    let line_start =
        before.rsplit('\n').next().unwrap_or(before).chars().all(|c| c.is_whitespace() || matches!(c, '-' | '*' | '('));
    let mut next = after.chars();
    let marked = matches!(next.next(), Some('.' | ')' | ':')) && next.next().is_none_or(char::is_whitespace);
    (line_start && marked) || before.ends_with('#') && line_start_before_hash(before)
}

fn line_start_before_hash(before: &str) -> bool {
    before.trim_end_matches('#').rsplit('\n').next().is_some_and(|line| line.trim().is_empty())
}

/// `2/2` is shorthand for "secondary to".
fn is_secondary_to(before: &str, number: &str, after: &str) -> bool {
    let digit = |c: char| c.is_ascii_digit();
    let first =
        before.ends_with(|c: char| c.is_whitespace()) && after.starts_with("/2") && !after[2..].starts_with(digit);
    let second = before.ends_with(" 2/") && after.starts_with(char::is_whitespace);
    number == "2" && (first || second)
}

/// The 12 of `3/12`, which is three months, the 52 of weeks, the 7 of days.
fn is_unit_of_time(before: &str, number: &str) -> bool {
    let of = before.strip_suffix('/').is_some_and(|of| of.ends_with(|last: char| last.is_ascii_digit()));
    of && matches!(number, "7" | "12" | "40" | "52")
}

/// A figure as a value. A comma before three digits can separate thousands or, elsewhere in the world, decimals.
fn readings(figure: &str) -> Vec<String> {
    let parts: Vec<&str> = figure.split(',').collect();
    let whole = parts[0];
    let groups = parts[1..].iter().enumerate().all(|(index, part)| {
        let digits = if index + 2 == parts.len() { part.split('.').next().unwrap_or(part) } else { part };
        digits.len() == 3
    });
    let mut readings = Vec::new();
    if parts.len() == 1 || (groups && whole.len() <= 3) {
        readings.push(canonical(&figure.replace(',', "")));
    }
    if parts.len() == 2 && !figure.contains('.') {
        readings.push(canonical(&figure.replace(',', ".")));
    }
    if readings.is_empty() || figure.matches('.').count() > 1 {
        // A list such as 1,2,5 or a date such as 3.4.2019: its parts.
        readings = figure.split(['.', ',']).map(canonical).collect();
    }
    readings
}

/// Without leading zeros, and without trailing ones after the point.
fn canonical(figure: &str) -> String {
    let (whole, fraction) = figure.split_once('.').unwrap_or((figure, ""));
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let whole = if whole.is_empty() { "0" } else { whole };
    if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
}

/// Numerals, ordinals and adverbs up to ninety.
fn in_words(word: &str) -> Option<u32> {
    const UNITS: [(&str, &str); 20] = [
        ("zero", "zeroth"),
        ("one", "first"),
        ("two", "second"),
        ("three", "third"),
        ("four", "fourth"),
        ("five", "fifth"),
        ("six", "sixth"),
        ("seven", "seventh"),
        ("eight", "eighth"),
        ("nine", "ninth"),
        ("ten", "tenth"),
        ("eleven", "eleventh"),
        ("twelve", "twelfth"),
        ("thirteen", "thirteenth"),
        ("fourteen", "fourteenth"),
        ("fifteen", "fifteenth"),
        ("sixteen", "sixteenth"),
        ("seventeen", "seventeenth"),
        ("eighteen", "eighteenth"),
        ("nineteen", "nineteenth"),
    ];
    const TENS: [&str; 8] = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
    let unit = UNITS.iter().position(|(numeral, ordinal)| word == *numeral || word == *ordinal);
    let tens = TENS.iter().position(|tens| word == *tens).map(|index| 10 * (index + 2));
    let other = match word {
        "once" | "single" => Some(1),
        "twice" | "double" | "both" => Some(2),
        "thrice" => Some(3),
        _ => None,
    };
    unit.or(tens).or(other).map(|value| value as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_the_values_they_can_mean() {
        assert_eq!(readings("007.50"), ["7.5"]);
        assert_eq!(readings("1,200"), ["1200", "1.2"]);
        assert_eq!(readings("1,200.5"), ["1200.5"]);
        assert_eq!(readings("38,5"), ["38.5"]);
        assert_eq!(readings("3.4.2019"), ["3", "4", "2019"]);
        assert_eq!(readings("1,2,5"), ["1", "2", "5"]);
    }

    #[test]
    fn shorthand_and_list_markers_are_not_stated_numbers() {
        let values = |text| stated(text).concat();
        assert_eq!(values("AKI 2/2 sepsis, 2/20 nodes"), ["2", "20"]);
        assert_eq!(values("1. fever\n (2) 3 days\n#1 cough, lead #4"), ["3", "4"]);
        assert_eq!(values("2/12 old, 27/08/2020, 9/2019"), ["2", "27", "2020", "2019"]);
        assert!(known("twenty two days, eighty-five").contains("22"));
        assert!(known("eighty-five").contains("85"));
    }
}
