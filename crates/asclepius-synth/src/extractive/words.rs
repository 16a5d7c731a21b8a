//! Sentences and abbreviations as the extraction rules need them: the seam to `asclepius-text`.

use std::ops::Range;
use std::sync::LazyLock;

use asclepius_text::{abbreviations, gates, sentences as splitter};
use regex::Regex;

use super::lexicon::pattern;

/// The sentences of a text, trimmed, none empty.
pub(crate) fn sentences(text: &str) -> Vec<&str> {
    splitter::split(text).into_iter().map(str::trim).filter(|sentence| !sentence.is_empty()).collect()
}

/// The text with every term of the abbreviation table replaced by its abbreviation. A definition in brackets that now
/// repeats the word before it goes.
pub(crate) fn shorten(text: &str) -> String {
    static BRACKET: LazyLock<Regex> = LazyLock::new(|| pattern(r"([\w/.-]+)\s*\(([\w/.-]+)\)"));
    // "no known allergies, pets or travel" would lose its "no" for all but the first.
    static LISTED_NEGATION: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"(?i)\bno known(?: drug)? allergies(?:,| or\b)"));
    let mut short = String::with_capacity(text.len());
    let mut end = 0;
    for kept in LISTED_NEGATION.find_iter(text) {
        short.push_str(&abbreviations::shorten(&text[end..kept.start()], 1.0));
        short.push_str(kept.as_str());
        end = kept.end();
    }
    short.push_str(&abbreviations::shorten(&text[end..], 1.0));
    BRACKET
        .replace_all(
            &short,
            |hit: &regex::Captures<'_>| {
                if hit[1].eq_ignore_ascii_case(&hit[2]) { hit[1].to_owned() } else { hit[0].to_owned() }
            },
        )
        .into_owned()
}

/// The text with every abbreviation of the table written out.
pub(crate) fn expand(text: &str) -> String {
    let mut written = String::with_capacity(text.len() * 2);
    let mut end = 0;
    for found in abbreviations::find(text) {
        written.push_str(&text[end..found.range.start]);
        if written.is_empty() {
            written.push_str(&with_capital(found.entry.term));
        } else {
            written.push_str(found.entry.term);
        }
        end = found.range.end;
    }
    written.push_str(&text[end..]);
    written
}

/// The table's abbreviations that a text uses, each once, in order, with what they stand for.
pub(crate) fn abbreviations_in(text: &str) -> Vec<(&'static str, &'static str)> {
    let mut pairs = Vec::new();
    for found in abbreviations::find(text) {
        let pair = (found.entry.abbreviation, found.entry.term);
        if !pairs.contains(&pair) {
            pairs.push(pair);
        }
    }
    pairs
}

/// The text begun like a sentence: with its first letter in upper case, unless its first word is an abbreviation, whose
/// case tells which one, or mixes cases (`pH`, `mRNA`).
pub(crate) fn begun(text: &str) -> String {
    let first = text.split_whitespace().next().unwrap_or_default();
    let abbreviated = abbreviations::find(first).first().is_some_and(|found| found.range.start == 0);
    if abbreviated || first.chars().skip(1).any(char::is_uppercase) { text.to_owned() } else { with_capital(text) }
}

/// Whether a text ends by asking, which no answer may.
pub(crate) fn asks(text: &str) -> bool {
    gates::ends_in_question(text).score > 0.0
}

/// The part of `text` in `range`, without a last word that the range cuts through: a bounded pattern ends where its bound
/// is, not where a word does. Empty if it cuts through the first one.
pub(crate) fn whole(text: &str, range: Range<usize>) -> &str {
    let part = &text[range.clone()];
    if part.starts_with(char::is_alphanumeric) && text[..range.start].ends_with(char::is_alphanumeric) {
        return "";
    }
    let cut = part.ends_with(char::is_alphanumeric) && text[range.end..].starts_with(char::is_alphanumeric);
    let part = if cut { part.rsplit_once(char::is_whitespace).map_or("", |(kept, _)| kept) } else { part };
    part.trim()
}

/// The text without what makes it ask.
pub(crate) fn unasked(text: &str) -> &str {
    let mut text = text.trim_end();
    while asks(text) {
        let last = text.chars().next_back().map_or(0, char::len_utf8);
        text = text[..text.len() - last].trim_end();
    }
    text
}

/// The text with its first letter in upper case.
fn with_capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

/// Lower-case words of a text: runs of letters and digits.
pub(crate) fn tokens(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase)
}

/// Words that carry no content of their own.
const STOP_WORDS: &str = " a an the of in on at to for from by with and or but as is are was were be been being it its this that \
these those he she they his her their him them who whom whose which what when where why how did does do done had has have not \
no any all each every s note patient pt list give name state say tell document documented record recorded mention mentioned ";

/// The words of a text that carry its content, lower case.
pub(crate) fn content_words(text: &str) -> Vec<String> {
    tokens(text).filter(|word| !STOP_WORDS.contains(&format!(" {word} "))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bracketed_repeats_of_an_abbreviation_go() {
        let short = shorten("magnetic resonance imaging (MRI) of the brain");
        assert_eq!(short, "MRI of the brain");
    }

    #[test]
    fn a_part_never_ends_inside_a_word() {
        let text = "100 mg every day";
        assert_eq!(whole(text, 0..9), "100 mg");
        assert_eq!(whole(text, 0..12), "100 mg every");
        assert_eq!(whole(text, 0..2), "");
        assert_eq!(whole(text, 1..6), "");
    }

    #[test]
    fn a_negated_list_keeps_its_negation() {
        let text = "had no known allergies, pets or travel";
        assert_eq!(shorten(text), text);
        assert_eq!(shorten("had no known allergies."), "had NKA.");
    }

    #[test]
    fn abbreviations_are_written_out_wherever_they_stand() {
        assert_eq!(expand("MRI."), "Magnetic resonance imaging.");
        assert_eq!(expand("The MRI."), "The magnetic resonance imaging.");
        assert_eq!(abbreviations_in("MRI, then MRI again"), [("MRI", "magnetic resonance imaging")]);
    }
}
