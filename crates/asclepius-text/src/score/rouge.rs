//! ROUGE-L (Lin 2004, "ROUGE", section 3) as the `rouge_score` package computes it: words of ASCII letters and digits, no
//! stemming, one sequence a text.

use super::longest_common;

/// Lower-case runs of `a-z` and `0-9`; everything else parts them.
pub fn tokens(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let parts = lower.split(|letter: char| !letter.is_ascii_alphanumeric());
    parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// F-measure (beta = 1) of the longest common subsequence of tokens, 0 to 1; 0 where either text has none.
pub fn rouge_l(answer: &str, reference: &str) -> f64 {
    let (answer, reference) = (tokens(answer), tokens(reference));
    if answer.is_empty() || reference.is_empty() {
        return 0.0;
    }
    2.0 * longest_common(&answer, &reference) as f64 / (answer.len() + reference.len()) as f64
}
