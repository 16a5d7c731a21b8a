//! Sentences and abbreviations as the extraction rules need them: the seam to `asclepius-text`.

use std::sync::LazyLock;

use asclepius_text::{abbreviations, sentences as splitter};
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
    let short = abbreviations::shorten(text, 1.0);
    BRACKET
        .replace_all(&short, |hit: &regex::Captures<'_>| {
            if hit[1].eq_ignore_ascii_case(&hit[2]) { hit[1].to_owned() } else { hit[0].to_owned() }
        })
        .into_owned()
}

/// A piece of text: a whole word with what it stands for, or anything else.
enum Piece<'a> {
    Abbreviation { short: &'a str, long: &'static str },
    Other(&'a str),
}

/// Cuts a text into abbreviations of the table and what stands between them.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    static WORD: LazyLock<Regex> = LazyLock::new(|| pattern(r"[A-Za-z0-9][\w/&.+]*"));
    let mut pieces = Vec::new();
    let mut end = 0;
    for word in WORD.find_iter(text) {
        if let Some((short, long)) = known(word.as_str()) {
            pieces.push(Piece::Other(&text[end..word.start()]));
            pieces.push(Piece::Abbreviation { short, long });
            end = word.start() + short.len();
        }
    }
    pieces.push(Piece::Other(&text[end..]));
    pieces
}

/// The abbreviation that a run of letters is, without the stop behind it, and what it stands for.
fn known(word: &str) -> Option<(&str, &'static str)> {
    let bare = word.trim_end_matches(['.', '/', '&', '+']);
    [word, bare].into_iter().find_map(|short| {
        // The first word of a line has a capital that its abbreviation lacks.
        let decapital = || abbreviations::expand(&short.to_lowercase()).filter(|_| is_capitalised(short));
        abbreviations::expand(short).or_else(decapital).map(|long| (short, long))
    })
}

/// Whether only the first letter of a word is upper case.
fn is_capitalised(word: &str) -> bool {
    word.len() > 1 && word.starts_with(char::is_uppercase) && !word.chars().skip(1).any(char::is_uppercase)
}

/// The text with every abbreviation of the table written out.
pub(crate) fn expand(text: &str) -> String {
    pieces(text).into_iter().fold(String::with_capacity(text.len()), |mut written, piece| {
        match piece {
            Piece::Abbreviation { short, long } if is_capitalised(short) || written.is_empty() => {
                written.push_str(&with_capital(long));
            }
            Piece::Abbreviation { long, .. } => written.push_str(long),
            Piece::Other(text) => written.push_str(text),
        }
        written
    })
}

/// The text with its first letter in upper case.
pub(crate) fn with_capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

/// The table's abbreviations that a text uses, each once, in order, with what they stand for.
pub(crate) fn abbreviations_in(text: &str) -> Vec<(&str, &'static str)> {
    let mut found: Vec<(&str, &'static str)> = Vec::new();
    for piece in pieces(text) {
        if let Piece::Abbreviation { short, long } = piece {
            if !found.iter().any(|(seen, _)| *seen == short) {
                found.push((short, long));
            }
        }
    }
    found
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
    fn abbreviations_are_written_out_wherever_they_stand() {
        assert_eq!(expand("MRI."), "Magnetic resonance imaging.");
        assert_eq!(expand("The MRI."), "The magnetic resonance imaging.");
        assert_eq!(abbreviations_in("MRI, then MRI again"), [("MRI", "magnetic resonance imaging")]);
    }
}
