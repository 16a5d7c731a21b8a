//! Where one sentence ends and the next begins, in clinical English.
//!
//! A full stop ends a sentence unless it belongs to an abbreviation ("Dr.", "e.g.", "et al."), an initial, a number
//! ("3.5") or a list marker ("2."); and only where white space and a plausible beginning follow. A line break ends one
//! where the next line begins like one, since notes are written in lines.

/// Lower-case words that keep their full stop to themselves, without it.
const ABBREVIATED: &[&str] = &[
    "al", "approx", "apr", "aug", "ca", "cf", "dec", "dept", "dr", "drs", "ed", "eds", "eg", "e.g", "etc", "feb",
    "fig", "figs", "hr", "hrs", "ie", "i.e", "inc", "jan", "jr", "jul", "jun", "lab", "labs", "mar", "max", "min",
    "mins", "mr", "mrs", "ms", "no", "nos", "nov", "oct", "prof", "pt", "ref", "refs", "resp", "sep", "sept", "sr",
    "st", "tab", "temp", "viz", "vol", "vs",
];

/// Of those, the ones that can also be a sentence's last word: they end one when a capital follows.
const CAN_END: &[&str] = &[
    "al", "apr", "aug", "dec", "etc", "feb", "hr", "hrs", "jan", "jul", "jun", "lab", "labs", "mar", "max", "min",
    "mins", "no", "nov", "oct", "sep", "sept", "temp",
];

/// Marks that may follow a full stop and still belong to its sentence.
const CLOSING: &[char] = &['"', '\'', ')', ']', '”', '’', '»'];

/// The sentences of a text in order, without the white space between them; none is empty.
pub fn split(text: &str) -> Vec<&str> {
    let mut sentences = Vec::new();
    let mut start = 0;
    let mut take = |from: usize, to: usize| {
        let sentence = text[from..to].trim();
        if !sentence.is_empty() {
            sentences.push(sentence);
        }
    };
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        let end = match character {
            '.' | '!' | '?' | '…' => {
                let mut end = at + character.len_utf8();
                while let Some(&(next, mark)) = characters.peek() {
                    if !(CLOSING.contains(&mark) || matches!(mark, '.' | '!' | '?')) {
                        break;
                    }
                    end = next + mark.len_utf8();
                    characters.next();
                }
                let sentence = &text[start..at];
                ends_here(sentence, character, &text[end..]).then_some(end)
            }
            '\n' => breaks_here(&text[start..at], &text[at + 1..]).then_some(at + 1),
            _ => None,
        };
        if let Some(end) = end {
            take(start, end);
            start = end;
        }
    }
    take(start, text.len());
    sentences
}

/// Whether the mark after `sentence` ends it, given what follows mark and closing quotes.
fn ends_here(sentence: &str, mark: char, after: &str) -> bool {
    if after.trim().is_empty() {
        return true;
    }
    if !after.starts_with(char::is_whitespace) {
        return false;
    }
    let line_break = after.trim_start_matches([' ', '\t']).starts_with('\n');
    let next = after.trim_start();
    let begins = next.chars().next().is_some_and(begins_sentence);
    if mark != '.' {
        return begins || line_break;
    }
    let word = last_word(sentence);
    let lower = word.to_lowercase();
    if is_initial(word) || is_list_marker(sentence) {
        return false;
    }
    if ABBREVIATED.contains(&lower.as_str()) {
        let capital = next.chars().next().is_some_and(char::is_uppercase);
        // "no. 3" is a number, "He said no. Then" is not.
        return CAN_END.contains(&lower.as_str()) && capital;
    }
    begins || line_break
}

/// Whether a line break ends the line before it.
fn breaks_here(line: &str, after: &str) -> bool {
    let next = after.trim_start_matches([' ', '\t', '\r']);
    // A blank line, a heading or list before, or a next line that begins like a sentence. Wrapped prose continues small.
    next.starts_with('\n')
        || line.trim_end().ends_with(':')
        || next.chars().next().is_none_or(|first| begins_sentence(first) || matches!(first, '-' | '*' | '•' | '#'))
}

fn begins_sentence(character: char) -> bool {
    character.is_uppercase()
        || character.is_numeric()
        // Scripts without case.
        || (character.is_alphabetic() && !character.is_lowercase())
        || matches!(character, '(' | '[' | '"' | '\'' | '“' | '‘' | '«' | '-' | '•' | '*' | '>' | '<' | '~' | '≥' | '≤')
}

fn last_word(text: &str) -> &str {
    let start = text
        .char_indices()
        .rev()
        .take_while(|(_, character)| character.is_alphanumeric() || *character == '.')
        .last()
        .map_or(text.len(), |(at, _)| at);
    text[start..].trim_start_matches('.')
}

/// A single capital, as in "J. Smith" or the end of "U.S.", but not the unit that ends "at 37 C." or a list's "A".
fn is_initial(word: &str) -> bool {
    let last = word.rsplit('.').next().unwrap_or(word);
    let mut characters = last.chars();
    matches!((characters.next(), characters.next()), (Some(only), None) if only.is_uppercase())
        && (word.contains('.') || !matches!(last, "C" | "F" | "A" | "B" | "I" | "L" | "U" | "X"))
}

/// "2." at the beginning of a line counts items.
fn is_list_marker(sentence: &str) -> bool {
    let line = sentence.rsplit('\n').next().unwrap_or(sentence).trim();
    !line.is_empty() && line.len() <= 3 && line.chars().all(|character| character.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_abbreviations_and_initials_do_not_end_a_sentence() {
        assert_eq!(
            split(
                "Dr. J. Smith gave 2.5 mg b.i.d. of the drug, e.g. at noon (approx. 3 h). Temp. was 38.2 °C. He improved."
            ),
            [
                "Dr. J. Smith gave 2.5 mg b.i.d. of the drug, e.g. at noon (approx. 3 h).",
                "Temp. was 38.2 °C.",
                "He improved."
            ]
        );
        assert_eq!(
            split("See Fig. 2 and Smith et al. for more. Was it no. 3? \"No.\" Then yes!"),
            ["See Fig. 2 and Smith et al. for more.", "Was it no. 3?", "\"No.\"", "Then yes!"]
        );
        assert_eq!(
            split("Seen in Mar. 2021. Back in Sept. The scan was clear."),
            ["Seen in Mar. 2021.", "Back in Sept.", "The scan was clear."]
        );
    }

    #[test]
    fn lines_of_a_note_are_sentences_and_wrapped_prose_is_not() {
        assert_eq!(
            split("HISTORY:\n- fever\n- cough\n1. Aspirin 100 mg\n\nShe was seen\nby us. Done"),
            ["HISTORY:", "- fever", "- cough", "1. Aspirin 100 mg", "She was seen\nby us.", "Done"]
        );
        assert!(split(" \n ").is_empty());
    }

    proptest! {
        #[test]
        fn nothing_but_white_space_is_lost(text in "[A-Za-z0-9 .!?\n()\"é…]{0,80}") {
            let kept: String = split(&text).concat().split_whitespace().collect();
            let all: String = text.split_whitespace().collect();
            prop_assert_eq!(kept, all);
        }
    }
}
