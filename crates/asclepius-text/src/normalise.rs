//! The form in which two texts count as the same.

use crate::score::words;

/// A text's words in lower case, one space between them: case, punctuation, mark-up and line breaks do not count,
/// numbers do.
pub fn normalise_for_duplicates(text: &str) -> String {
    words(text).join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout_does_not_count_and_numbers_do() {
        let plain = normalise_for_duplicates("BP was 120/80; Hb 9.5.");
        assert_eq!(normalise_for_duplicates("**BP** was\n\n120/80 - hb 9.5"), plain);
        assert_ne!(normalise_for_duplicates("BP was 120/80; Hb 9.6."), plain);
        assert_eq!(normalise_for_duplicates(" \n—"), "");
    }
}
