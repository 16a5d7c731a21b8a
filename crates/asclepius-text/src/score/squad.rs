//! Exact match and token F1 as SQuAD scores answers (Rajpurkar et al. 2016; the official `evaluate-v2.0.py`): lower case,
//! without ASCII punctuation and without articles.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::Regex;

static ARTICLES: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\b(?:a|an|the)\b").expect("the pattern is valid"));

/// The tokens SQuAD compares. Punctuation goes without leaving a space: `9.5` is `95`, on both sides.
pub fn tokens(text: &str) -> Vec<String> {
    let bare: String = text.to_lowercase().chars().filter(|letter| !letter.is_ascii_punctuation()).collect();
    ARTICLES.replace_all(&bare, " ").split_whitespace().map(str::to_owned).collect()
}

/// Whether both texts have the same tokens.
pub fn exact_match(answer: &str, reference: &str) -> bool {
    tokens(answer) == tokens(reference)
}

/// Harmonic mean of precision and recall over the bag of tokens, 0 to 1; 1 where neither text has any.
pub fn token_f1(answer: &str, reference: &str) -> f64 {
    let (answer, reference) = (tokens(answer), tokens(reference));
    let mut left: HashMap<&str, usize> = HashMap::new();
    for token in &reference {
        *left.entry(token).or_default() += 1;
    }
    let mut common = 0;
    for token in &answer {
        if let Some(count) = left.get_mut(token.as_str()).filter(|count| **count > 0) {
            *count -= 1;
            common += 1;
        }
    }
    match answer.len() + reference.len() {
        0 => 1.0,
        both => 2.0 * f64::from(common) / both as f64,
    }
}
