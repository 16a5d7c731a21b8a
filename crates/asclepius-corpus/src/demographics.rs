//! Age and sex of a patient as the case text states them.

use std::sync::LazyLock;

use asclepius_schema::{Age, AgeUnit, Sex};
use regex::Regex;

use crate::pattern::pattern;

const UNITS: &str = r"(years?|yrs?|y|months?|mo|weeks?|wks?|days?)";
const TENS: [(&str, f32); 8] = [
    ("twenty", 20.0),
    ("thirty", 30.0),
    ("forty", 40.0),
    ("fifty", 50.0),
    ("sixty", 60.0),
    ("seventy", 70.0),
    ("eighty", 80.0),
    ("ninety", 90.0),
];
const ONES: [&str; 20] = [
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

/// What follows a number that is half a unit more.
const HALF: [&str; 6] = ["½", "1/2", "and a half", "and-a-half", "and one half", "and-one-half"];

/// An age and where it stands in the text.
struct Stated {
    age: Age,
    start: usize,
    end: usize,
}

/// The patient's age: the first one stated that is not a relative's. A decade ("in her sixties") is no age.
pub fn age(text: &str) -> Option<Age> {
    stated(text).map(|found| found.age)
}

/// Both, for what one of them costs.
pub(crate) fn age_and_sex(text: &str) -> (Option<Age>, Sex) {
    let stated = stated(text);
    let sex = sex_beside(text, stated.as_ref());
    (stated.map(|found| found.age), sex)
}

fn stated(text: &str) -> Option<Stated> {
    static OLD: LazyLock<Regex> = LazyLock::new(|| {
        pattern(&format!(
            r"(?i)\b(\d{{1,3}}(?:[.,]\d{{1,2}})?|[a-z]+(?:[- ][a-z]+)?)(?:\s*½|\s*1/2|[- ]and[- ](?:a|one)[- ]half)?[\s-]*{UNITS}(?:[\s,-]*(?:and[\s-]*)?\d{{1,2}}[\s-]*(?:months?|weeks?|days?))?[\s-]*(?:old\b|of[\s-]age\b|olds\b)"
        ))
    });
    static AGED: LazyLock<Regex> = LazyLock::new(|| {
        pattern(&format!(
            r"(?i)\b(?:aged?|at the age of|age of|age[:=]|(?:man|woman|boy|girl|lady|gentleman|male|female|patient|child) of)\s*(?:(\d{{1,3}}(?:\.\d)?)\b(?:\s*-?\s*{UNITS}\b)?|([a-z]+(?:-[a-z]+)?)\s+{UNITS}\b)"
        ))
    });
    static SHORT: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)\b(\d{1,3})(?:\s|-)?(?:(y)\b[\s/.-]*o\b|(y)[/.]\s?o\b|(yo)\b|(?:y|yr|yrs|years?)[\s-]+(?:man|woman|male|female|boy|girl|lady|gentleman)\b)",
        )
    });
    static DECADE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)^[^.;]{0,100}\b(?:man|woman|patient|male|female|person|gentleman|lady)\s+in (?:his|her|their) (?:early |mid|late )?[\s-]*(?:\d0s|teens|twenties|thirties|forties|fifties|sixties|seventies|eighties|nineties)\b",
        )
    });
    let mut first: Option<Stated> = None;
    for expression in [&*OLD, &*AGED, &*SHORT] {
        // What lies after an age already found cannot be the first.
        let end = first.as_ref().map_or(text.len(), |first| first.end);
        for found in expression.captures_iter(&text[..end]).take(12) {
            let whole = found.get(0).expect("group 0 always takes part");
            // Each alternative of an expression has a group for the number and perhaps one for the unit after it.
            let mut groups = found.iter().skip(1).flatten();
            let Some(number) = groups.next() else { continue };
            let Some((mut value, start)) = value(number.as_str(), whole.start()) else { continue };
            if HALF.iter().any(|half| text[number.end()..].trim_start_matches([' ', '-']).starts_with(half)) {
                value += 0.5;
            }
            let unit = unit(groups.next().map_or("year", |unit| unit.as_str()));
            if unit == AgeUnit::Year && value > 120.0 || of_a_relative(&text[..start], &text[whole.end()..]) {
                continue;
            }
            if first.as_ref().is_none_or(|first| start < first.start) {
                first = Some(Stated { age: Age { value, unit }, start, end: whole.end() });
            }
            break;
        }
    }
    let first = first?;
    // "A man in his forties, diagnosed at the age of 12": what comes after the decade is no age at presentation.
    let vague = DECADE.find(text).is_some_and(|decade| decade.start() < first.start);
    (!vague).then_some(first)
}

fn unit(text: &str) -> AgeUnit {
    match text.to_ascii_lowercase().as_bytes() {
        [b'm', ..] => AgeUnit::Month,
        [b'w', ..] => AgeUnit::Week,
        [b'd', ..] => AgeUnit::Day,
        _ => AgeUnit::Year,
    }
}

/// A number in digits or words; of two words ("healthy four", "sixty-two") the last ones that make a number.
fn value(text: &str, start: usize) -> Option<(f32, usize)> {
    if let Ok(value) = text.replace(',', ".").parse() {
        return Some((value, start));
    }
    let lower = text.to_lowercase();
    let one = |word: &str| ONES.iter().position(|known| *known == word).map(|at| at as f32);
    let ten = |word: &str| TENS.iter().find(|(known, _)| *known == word).map(|(_, value)| *value);
    if let Some((first, second)) = lower.split_once(['-', ' ']) {
        if let (Some(tens), Some(ones)) = (ten(first), one(second).filter(|ones| *ones < 10.0)) {
            return Some((tens + ones, start));
        }
        let value = ten(second).or_else(|| one(second))?;
        return Some((value, start + first.len() + 1));
    }
    ten(&lower).or_else(|| one(&lower)).map(|value| (value, start))
}

/// "his 60-year-old father", "born to a 28-year-old mother"; but "the second patient, his 27-year-old cousin".
fn of_a_relative(before: &str, after: &str) -> bool {
    static PARENT: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)(?:\bborn (?:to|of|by|from)|\bdelivered (?:to|by)|\bmother (?:was|is),?|\bfather (?:was|is),?|\bmother,|\bfather,|\bparents (?:were|are),?)\s+(?:(?:a|an|the|her|his|healthy|parents?,?)\s+)*$",
        )
    });
    static BIRTH: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)\b(?:born|delivered|delivery|birth)\b[^.;]{0,90}\b(?:to|of|by|from)\s+(?:(?:an?|the|her|his|healthy|our)\s+)+(?:[\w-]+\s+){0,2}$",
        )
    });
    static INFANT: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"(?i)\b(?:neonate|newborn|infant|baby|foetus|fetus|boy|girl|child)\b[^.;]*$"));
    static MOTHER: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"(?i)^\W*(?:\w+\W+){0,3}?(?:mother|father|primigravida|primipara|multipara|gravida)\b")
    });
    static POSSESSED: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)(?:\b(?:his|her|whose|their)|['’]s)\s+$"));
    static PATIENT: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)\b(?:patient|case|sibling|proband)(?:\s+was|\s+is)?,?\s+(?:his|her|their)\s+$|^\W*(?:case \d+\W+)?(?:his|her)\s+$",
        )
    });
    static RELATIVE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)^\W*(?:\w+\W+){0,2}?(?:mother|father|brother|sister|husband|wife|son|daughter|donor|uncle|aunt)\b",
        )
    });
    // A text that opens with the mother is about her; a father stands beside a mother.
    static OPENS: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)^\W*(?:the\s+)?mother,?\s*$"));
    static FATHER: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)^\W*father\b"));
    if OPENS.is_match(before) {
        return false;
    }
    let start = before.char_indices().rev().take(140).last().map_or(0, |(at, _)| at);
    let tail = &before[start..];
    PARENT.is_match(tail)
        || (tail.contains("mother and") && FATHER.is_match(after))
        || BIRTH.is_match(tail)
        || (INFANT.is_match(tail) && MOTHER.is_match(after))
        || (POSSESSED.is_match(tail) && !PATIENT.is_match(tail) && RELATIVE.is_match(after))
}

/// The patient's sex: from the noun that follows the age, else from the first nouns, else from the pronouns.
pub fn sex(text: &str) -> Sex {
    sex_beside(text, stated(text).as_ref())
}

fn sex_beside(text: &str, stated: Option<&Stated>) -> Sex {
    if let Some(found) = stated {
        let after: String =
            text[found.end..].chars().take(110).take_while(|character| !".;".contains(*character)).collect();
        let before: String = text[..found.start].chars().rev().take(50).collect::<Vec<_>>().into_iter().rev().collect();
        let before = before.rsplit(['.', ';']).next().unwrap_or_default().to_owned();
        if let Some(sex) = sex_of_letter(&after) {
            return sex;
        }
        for phrase in [&after, &before] {
            if let Some(sex) = sex_of_noun(before_relatives(phrase)) {
                return sex;
            }
        }
    }
    let opening: String = text.chars().take(300).collect();
    if let Some(sex) = sex_of_noun(before_relatives(&opening)) {
        return sex;
    }
    let (mut female, mut male) = (0, 0);
    for word in text.split(|character: char| !character.is_alphanumeric()).take(600) {
        match word.to_ascii_lowercase().as_str() {
            "she" | "her" | "hers" | "herself" | "mrs" | "ms" => female += 1,
            "he" | "his" | "him" | "himself" | "mr" => male += 1,
            _ => {}
        }
    }
    match (female, male) {
        (0, 0) => Sex::Unknown,
        (female, male) if female >= 3 * male => Sex::Female,
        (female, male) if male >= 3 * female => Sex::Male,
        _ => Sex::Unknown,
    }
}

/// What is said before the phrase turns to somebody else of the family.
fn before_relatives(phrase: &str) -> &str {
    static RELATIVE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)\b(?:born|delivered|whose|(?:his|her|their|the|to an?) (?:\w+ )?(?:mother|father|parents?|wife|husband|brother|sister|son|daughter|spouse|donor))\b",
        )
    });
    RELATIVE.find(phrase).map_or(phrase, |found| &phrase[..found.start()])
}

/// "A 45-year-old M", "71 y/o F"; anywhere else a single letter may be a unit or a genus.
fn sex_of_letter(after: &str) -> Option<Sex> {
    static LETTER: LazyLock<Regex> = LazyLock::new(|| pattern(r"^[\s,/]*([FM])(?:[\s,]|$)"));
    LETTER.captures(after).map(|found| if &found[1] == "F" { Sex::Female } else { Sex::Male })
}

fn sex_of_noun(phrase: &str) -> Option<Sex> {
    static NOUN: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)\b(?:(?P<female>woman|women|female|girl|schoolgirl|lady|primigravid[a-z]*|primipara|primiparous|nulliparous|nulligravid[a-z]*|multigravid[a-z]*|multipara|multiparous|gravida|pregnant|g\d\s?p\d\w*|housewife|nun)|(?P<male>man|male|boy|schoolboy|gentleman))\b",
        )
    });
    let found = NOUN.captures(phrase)?;
    Some(if found.name("female").is_some() { Sex::Female } else { Sex::Male })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_read_with_their_unit() {
        for (text, value, unit) in [
            ("A 45-year-old man", 45.0, AgeUnit::Year),
            ("A 3 month old girl", 3.0, AgeUnit::Month),
            ("a two-day-old neonate", 2.0, AgeUnit::Day),
            ("A sixty-two-year-old woman", 62.0, AgeUnit::Year),
            ("A healthy four-year-old boy", 4.0, AgeUnit::Year),
            ("A 1.5-year-old boy", 1.5, AgeUnit::Year),
            ("The patient, aged 33 years, came", 33.0, AgeUnit::Year),
            ("A woman aged 71 was", 71.0, AgeUnit::Year),
            ("An 81 y/o man", 81.0, AgeUnit::Year),
            ("A 50yo man", 50.0, AgeUnit::Year),
            ("He was 19 years of age", 19.0, AgeUnit::Year),
            ("A 60 years old lady", 60.0, AgeUnit::Year),
            ("A boy was born to a 28-year-old mother. Now, the 6-week-old infant", 6.0, AgeUnit::Week),
            ("The proband was a 7 month-23-day old girl", 7.0, AgeUnit::Month),
            ("A never-smoking woman of 66 years", 66.0, AgeUnit::Year),
            ("The second patient, his 27-year-old brother-in-law", 27.0, AgeUnit::Year),
            ("A girl aged five years presented", 5.0, AgeUnit::Year),
            ("A four-and-one-half-year-old girl", 4.5, AgeUnit::Year),
            ("A 2½-year-old boy", 2.5, AgeUnit::Year),
            ("An eight and a half months old boy", 8.5, AgeUnit::Month),
            ("With a 2-year history of cough, this 40-year-old", 40.0, AgeUnit::Year),
            ("The mother, 34-years old, primigravida, underwent all tests.", 34.0, AgeUnit::Year),
            ("Patient 2 was a 10-year-8-month-old male", 10.0, AgeUnit::Year),
        ] {
            assert_eq!(age(text), Some(Age { value, unit }), "{text}");
        }
        for text in [
            "A man in his 40s, found to have diabetes at the age of 12, came",
            "A male neonate was delivered at 38 weeks by cesarean section to a healthy 30-year-old primigravida.",
            "A girl was born at term to a previously well 28-year-old woman",
            "The infant's 31-year-old mother",
            "A patient was born from a healthy 27 year old mother and 32 year old father.",
            "A man in his sixties",
            "for 3 years",
            "at 34 weeks of gestation",
            "As had his 60-year-old father",
        ] {
            assert_eq!(age(text), None, "{text}");
        }
    }

    #[test]
    fn sex_is_read_from_nouns_then_pronouns() {
        for (text, sex_stated) in [
            ("A 45-year-old man", Sex::Male),
            ("A 29-year-old G2P1 presented", Sex::Female),
            ("A 45-year-old patient came. She had fever. Her husband drove her.", Sex::Female),
            ("A male infant was born to a 28-year-old woman.", Sex::Male),
            ("The patient was seen.", Sex::Unknown),
            ("A 45-year-old M with fever", Sex::Male),
            ("A 3-day-old neonate, born to a 25-year-old woman, was seen. He was pale and his pulse fast.", Sex::Male),
            ("The patient had M. tuberculosis in the sputum. She coughed.", Sex::Female),
            ("A previously healthy female, 30 years old, came.", Sex::Female),
        ] {
            assert_eq!(sex(text), sex_stated, "{text}");
        }
    }
}
