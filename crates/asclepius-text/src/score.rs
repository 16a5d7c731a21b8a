//! How close an answer comes to a reference, by the measures of each task.
//!
//! - [`squad`]: exact match and token F1; [`rouge`]: ROUGE-L. Both as the field's own scripts compute them.
//! - [`entities`]: mentions of a list, exactly or overlapping; [`expansions`]: abbreviations written out; [`temporal`]:
//!   dates and durations as values. Counts ([`Matches`]), which add up over rows.
//! - [`abstention`]: whether an answer says that the note does not tell.
//!
//! [`rouge_l`] here, over [`words`], is what rows are told apart by while they are made.

pub mod abstention;
pub mod entities;
pub mod expansions;
mod matches;
pub mod rouge;
pub mod squad;
pub mod temporal;

pub use matches::Matches;

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

/// F-measure (beta = 1) of the longest common subsequence of words (Lin 2004, "ROUGE", section 3).
pub fn rouge_l(answer: &str, reference: &str) -> f32 {
    let (answer, reference) = (words(answer), words(reference));
    harmonic(longest_common(&answer, &reference), answer.len(), reference.len())
}

/// Length of the longest common subsequence.
fn longest_common<T: PartialEq>(answer: &[T], reference: &[T]) -> usize {
    // One row of the usual table: lengths for the reference's prefixes against the words of the answer so far.
    let mut row = vec![0_usize; reference.len() + 1];
    for word in answer {
        let mut diagonal = 0;
        for (index, other) in reference.iter().enumerate() {
            let above = row[index + 1];
            row[index + 1] = if word == other { diagonal + 1 } else { above.max(row[index]) };
            diagonal = above;
        }
    }
    row[reference.len()]
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
        assert_eq!(squad::token_f1("The aspirin.", "the Aspirin"), 1.0);
        assert_eq!((squad::token_f1("", "x"), rouge::rouge_l("", "x")), (0.0, 0.0));
        assert_eq!((squad::token_f1("", "the"), rouge::rouge_l("", "")), (1.0, 0.0));
    }

    #[test]
    fn scores_are_what_the_formulas_give() {
        // Common words: x, b (once). Precision 2/3, recall 2/4.
        assert!((squad::token_f1("x b b", "b x c d") - 2.0 * 2.0 / 7.0).abs() < 1e-12);
        // Longest common subsequence: a b d.
        assert!((rouge_l("a x b d", "a b c d") - 2.0 * 3.0 / 8.0).abs() < 1e-6);
    }

    proptest! {
        #[test]
        fn scores_stay_within_bounds_and_order_only_lowers_them(a in "[b-d ]{0,12}", b in "[b-d ]{0,12}") {
            let (f1, rouge) = (squad::token_f1(&a, &b), f64::from(rouge_l(&a, &b)));
            prop_assert!((0.0..=1.0).contains(&f1) && rouge <= f1 + 1e-6);
            prop_assert!(rouge::rouge_l(&a, &b) <= f1);
            prop_assert_eq!(rouge_l(&a, &a), 1.0);
        }
    }
}
