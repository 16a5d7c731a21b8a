//! Times told in words, without a figure.

use super::reading::Sentence;

/// Times told without a figure: "last week", "daily", "in March".
pub(super) const TIME_WORDS: &[(&str, &str)] = &[
    ("week", "week"),
    ("weeks", "week"),
    ("weekly", "week"),
    ("month", "month"),
    ("months", "month"),
    ("monthly", "month"),
    ("year", "year"),
    ("years", "year"),
    ("yearly", "year"),
    ("annually", "year"),
    ("hour", "hour"),
    ("hours", "hour"),
    ("hourly", "hour"),
    ("daily", "day"),
    ("minutes", "minute"),
    ("january", "january"),
    ("february", "february"),
    ("april", "april"),
    ("june", "june"),
    ("july", "july"),
    ("august", "august"),
    ("september", "september"),
    ("october", "october"),
    ("november", "november"),
    ("december", "december"),
    ("morning", "morning"),
    ("evening", "evening"),
    ("yesterday", "yesterday"),
    ("tomorrow", "tomorrow"),
];

/// In words of one's own "the same year" and "weeks later" are ways to tell a story, "every week" is none.
pub(super) fn time_words(sentence: &Sentence, own_words: bool) -> Vec<&'static str> {
    const STORY_BEFORE: &[&str] = &["same", "that", "this", "first", "few", "several", "many", "some"];
    const STORY_BEHIND: &[&str] = &["later", "earlier", "ago", "before", "after", "prior"];
    let mut found = Vec::new();
    for (index, word) in sentence.words.iter().enumerate() {
        let before = |steps: usize| index.checked_sub(steps).map_or("", |at| sentence.words[at].text.as_str());
        // "Once a month" is how often: no interval, so its word is asked for here.
        let often = matches!(before(2), "once" | "twice" | "thrice" | "times");
        let counted =
            before(1).starts_with(|first: char| first.is_ascii_digit()) || (matches!(before(1), "a" | "an") && !often);
        let behind = sentence.words.get(index + 1).map_or("", |next| next.text.as_str());
        let free = own_words && (STORY_BEFORE.contains(&before(1)) || STORY_BEHIND.contains(&behind));
        if !counted && !free {
            found.extend(TIME_WORDS.iter().find(|(name, _)| *name == word.text).map(|(_, unit)| *unit));
        }
    }
    found
}

pub(super) fn has_time(sentence: &Sentence, unit: &str) -> bool {
    let same = |word: &str| {
        TIME_WORDS.iter().any(|(name, of)| *name == word && *of == unit)
            || (unit == "day"
                && matches!(
                    word,
                    "day" | "days" | "qd" | "d" | "od" | "bd" | "bid" | "tds" | "tid" | "qds" | "qid" | "nocte"
                ))
            || (unit.len() > 4 && word.len() > 2 && unit.starts_with(word))
            || (unit == "week" && matches!(word, "wk" | "wks" | "w"))
            || (unit == "month" && matches!(word, "mo" | "mos"))
            || (unit == "year" && matches!(word, "y" | "yr" | "yrs" | "yo"))
            || (unit == "morning" && matches!(word, "am" | "m" | "mane"))
            || (unit == "evening" && matches!(word, "pm" | "night" | "nocte"))
    };
    sentence.words.iter().any(|word| same(&word.text))
}
