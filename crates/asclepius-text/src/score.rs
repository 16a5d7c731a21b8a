//! How close an answer comes to a reference: token F1 and ROUGE-L.
//!
//! Both compare words in lower case without punctuation, count repetitions, and are symmetric in neither argument's
//! length: 1 for the same words, 0 for none in common.

use std::collections::HashMap;

/// Lower-case words and numbers of a text; a decimal point or comma inside a number stays in it.
pub fn words(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    let mut words = Vec::new();
    let mut word = String::new();
    for (index, &character) in characters.iter().enumerate() {
        let digit = |at: Option<usize>| at.and_then(|at| characters.get(at)).is_some_and(char::is_ascii_digit);
        let inside_number = matches!(character, '.' | ',') && digit(index.checked_sub(1)) && digit(Some(index + 1));
        if character.is_alphanumeric() || inside_number {
            word.extend(character.to_lowercase());
        } else if !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Harmonic mean of precision and recall over the bag of words (as SQuAD scores answers).
pub fn token_f1(answer: &str, reference: &str) -> f32 {
    let (answer, reference) = (words(answer), words(reference));
    let mut left: HashMap<&str, usize> = HashMap::new();
    for word in &reference {
        *left.entry(word).or_default() += 1;
    }
    let mut common = 0;
    for word in &answer {
        if let Some(count) = left.get_mut(word.as_str()).filter(|count| **count > 0) {
            *count -= 1;
            common += 1;
        }
    }
    harmonic(common, answer.len(), reference.len())
}

/// F-measure (beta = 1) of the longest common subsequence of words (Lin 2004, "ROUGE", section 3).
pub fn rouge_l(answer: &str, reference: &str) -> f32 {
    let (answer, reference) = (words(answer), words(reference));
    // One row of the usual table: lengths for the reference's prefixes against the words of the answer so far.
    let mut row = vec![0_usize; reference.len() + 1];
    for word in &answer {
        let mut diagonal = 0;
        for (index, other) in reference.iter().enumerate() {
            let above = row[index + 1];
            row[index + 1] = if word == other { diagonal + 1 } else { above.max(row[index]) };
            diagonal = above;
        }
    }
    harmonic(row[reference.len()], answer.len(), reference.len())
}

/// Two texts without words are the same; one without cannot have any in common.
fn harmonic(common: usize, answer: usize, reference: usize) -> f32 {
    if answer + reference == 0 {
        return 1.0;
    }
    2.0 * common as f32 / (answer + reference) as f32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_compared_without_case_and_punctuation() {
        assert_eq!(words("Hb 9.5 g/dL, (BP: 1,200)."), ["hb", "9.5", "g", "dl", "bp", "1,200"]);
        assert_eq!(token_f1("The aspirin.", "the Aspirin"), 1.0);
        assert_eq!(token_f1("", "x"), 0.0);
        assert_eq!(token_f1("", ""), 1.0);
    }

    #[test]
    fn scores_are_what_the_formulas_give() {
        // Common words: a, b (once). Precision 2/3, recall 2/4.
        assert!((token_f1("a b b", "b a c d") - 2.0 * 2.0 / 7.0).abs() < 1e-6);
        // Longest common subsequence: a b d.
        assert!((rouge_l("a x b d", "a b c d") - 2.0 * 3.0 / 8.0).abs() < 1e-6);
    }

    proptest! {
        #[test]
        fn scores_stay_within_bounds_and_order_only_lowers_them(a in "[a-c ]{0,12}", b in "[a-c ]{0,12}") {
            let (f1, rouge) = (token_f1(&a, &b), rouge_l(&a, &b));
            prop_assert!((0.0..=1.0).contains(&f1) && rouge <= f1 + 1e-6);
            prop_assert_eq!(rouge_l(&a, &a), 1.0);
        }
    }
}
