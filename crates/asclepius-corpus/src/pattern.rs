//! Regular expressions as fast as the automaton goes.
//!
//! `\b` of Unicode stops the lazy automaton at the first letter beyond ASCII, and any article has one; the classes of
//! Unicode make it large. Text that gets here has only plain white space, so smaller classes say the same.

use aho_corasick::{AhoCorasick, MatchKind};
use regex::Regex;

/// Letters of the alphabets that names and terms are written in, digits, the underscore; no punctuation.
const WORD: &str = r"0-9A-Za-z_\x{c0}-\x{1fff}";
const SPACE: &str = r"\t-\r\x20";
const DIGIT: &str = "0-9";

/// Compiles a fixed pattern with `\b`, `\w`, `\W`, `\s` and `\d` in their small forms.
pub(crate) fn pattern(source: &str) -> Regex {
    Regex::new(&narrow(source)).expect("a fixed pattern")
}

/// An automaton for fixed strings. Of matches that overlap the first counts, which is what the vector search can do.
pub(crate) fn literals(strings: impl IntoIterator<Item = impl AsRef<[u8]>>) -> AhoCorasick {
    let automaton = AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(strings);
    automaton.expect("short fixed strings make an automaton")
}

fn narrow(source: &str) -> String {
    let mut narrowed = String::with_capacity(source.len() * 2);
    let mut inside = false;
    let mut characters = source.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            inside = if inside { character != ']' } else { character == '[' };
            narrowed.push(character);
            continue;
        }
        let class = match characters.next().expect("a fixed pattern does not end in a backslash") {
            'b' if !inside => {
                narrowed.push_str(r"(?-u:\b)");
                continue;
            }
            'W' if !inside => {
                narrowed.push_str(&format!("[^{WORD}]"));
                continue;
            }
            'w' => WORD,
            's' => SPACE,
            'd' => DIGIT,
            other => {
                narrowed.push('\\');
                narrowed.push(other);
                continue;
            }
        };
        if inside { narrowed.push_str(class) } else { narrowed.push_str(&format!("[{class}]")) }
    }
    narrowed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrow_classes_match_what_clinical_english_has() {
        let word = pattern(r"(?i)\b(?:aged?)\s*(\d+)[\s-]+(\w+)\W*$");
        let found = word.captures("A woman AGED 45 Müller’").expect("matches");
        assert_eq!((&found[1], &found[2]), ("45", "Müller"));
        assert!(pattern(r"[^\s()<>\]]+").is_match("x") && !pattern(r"[^\s()<>\]]").is_match(") ]("));
    }
}
