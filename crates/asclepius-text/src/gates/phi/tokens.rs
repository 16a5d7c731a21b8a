//! The capitalised words of a text.

use std::ops::Range;

use super::lists;
use super::word::{Nature, is_acronym, plain};

/// A capitalised word of the text.
pub(super) struct Token {
    pub(super) range: Range<usize>,
    pub(super) plain: String,
    pub(super) nature: Nature,
    /// A sentence, a line or a field begins with it, so that its capital tells nothing.
    pub(super) opens: bool,
    /// Written in capitals throughout.
    pub(super) capital: bool,
}

/// Capitalised words, with the hyphens and apostrophes inside of them.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut letters = text.char_indices().peekable();
    let mut previous = None;
    while let Some((start, first)) = letters.next() {
        let inside = previous.is_some_and(|before: char| before.is_alphanumeric() || matches!(before, '_' | '@' | '.'))
            && !matches!(previous, Some('.'));
        previous = Some(first);
        if !first.is_uppercase() || inside {
            continue;
        }
        let mut end = start + first.len_utf8();
        let mut small = 0;
        while let Some(&(at, letter)) = letters.peek() {
            let joins = matches!(letter, '-' | '\'' | '’' | '‑')
                && text[at + letter.len_utf8()..].starts_with(char::is_alphabetic);
            if !letter.is_alphabetic() && !joins {
                break;
            }
            small += usize::from(letter.is_lowercase());
            end = at + letter.len_utf8();
            previous = Some(letter);
            letters.next();
        }
        let mut word = &text[start..end];
        for ending in ["'s", "’s"] {
            word = word.strip_suffix(ending).unwrap_or(word);
        }
        let digits = text[start + word.len()..].starts_with(|next: char| next.is_ascii_digit() || next == '_');
        let capital = is_acronym(word);
        let letters_enough = if capital { word.len() >= 3 } else { small > 0 && is_spelled_as_a_name(word) };
        let nature = if letters_enough && !digits { Nature::of(word) } else { Nature::Other };
        // In capitals only what the lists know is told from an abbreviation.
        if !letters_enough || digits || capital && !lists::is_name(&plain(word)) {
            continue;
        }
        let before = text[..start].trim_end_matches([' ', '\t', '"', '“', '(', '\'']);
        let opens = before.is_empty() || before.ends_with(['.', '!', '?', ':', ';', '\n', '-', '–', '*', '•', '>']);
        // "Dr. Lal" and "J. Lal" begin no sentence.
        let opens = opens && !ends_with_initial(before);
        found.push(Token { range: start..start + word.len(), plain: plain(word), nature, opens, capital });
    }
    found
}

/// Neither "SUVmax" and "HBsAg" nor "D-dimer".
fn is_spelled_as_a_name(word: &str) -> bool {
    const BEGINNINGS: &[&str] =
        &["Mc", "Mac", "De", "Di", "Da", "Du", "Le", "La", "Van", "Fitz", "Von", "Del", "Ní", "Al"];
    word.split(['-', '‑', '\'', '’']).enumerate().all(|(at, part)| {
        let mut letters = part.char_indices().skip(1);
        let inner = letters.find(|(_, letter)| letter.is_uppercase());
        let single = part.chars().count() == 1;
        let elided = single && at == 0 && word[part.len()..].starts_with(['\'', '’']);
        inner.is_none_or(|(at, _)| BEGINNINGS.contains(&&part[..at])) && (!single || elided)
    })
}

fn ends_with_initial(before: &str) -> bool {
    let Some(before) = before.strip_suffix('.') else { return false };
    let last = before.rsplit(|letter: char| !letter.is_alphabetic()).next().unwrap_or_default();
    (last.chars().count() == 1 && last.chars().all(char::is_uppercase))
        || matches!(
            last,
            "Dr" | "Wm"
                | "Jas"
                | "Chas"
                | "Geo"
                | "Thos"
                | "Mr"
                | "Mrs"
                | "Ms"
                | "Prof"
                | "Fr"
                | "St"
                | "Sr"
                | "Det"
                | "Lt"
                | "Capt"
                | "Rev"
                | "Sgt"
                | "Smt"
                | "Cdr"
        )
}
