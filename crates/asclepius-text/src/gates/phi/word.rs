//! One word: its forms, and whether lists and letters make it a name, a place, a term or a word of the language.

use super::lists;

/// Without what stands around it and the genitive, in lower case.
pub(super) fn lower(word: &str) -> String {
    let trimmed = word.trim_matches(|c: char| !c.is_alphanumeric());
    trimmed.trim_end_matches("'s").trim_end_matches("’s").to_lowercase()
}

/// As the lists have it: in lower case, without accents and apostrophes.
pub(super) fn plain(word: &str) -> String {
    let word = lower(word);
    let folded = word.chars().map(|letter| match letter {
        'á' | 'à' | 'â' | 'ä' | 'ã' | 'å' | 'ą' => 'a',
        'é' | 'è' | 'ê' | 'ë' | 'ę' | 'ě' => 'e',
        'í' | 'ì' | 'î' | 'ï' => 'i',
        'ó' | 'ò' | 'ô' | 'ö' | 'õ' | 'ø' => 'o',
        'ú' | 'ù' | 'û' | 'ü' | 'ů' => 'u',
        'ñ' | 'ń' => 'n',
        'ç' | 'č' | 'ć' => 'c',
        'ł' => 'l',
        'š' | 'ś' | 'ş' => 's',
        'ž' | 'ź' | 'ż' => 'z',
        'ý' => 'y',
        'ř' => 'r',
        other => other,
    });
    folded.filter(|letter| !matches!(letter, '\'' | '’')).collect()
}

/// Two letters or more, all of them capital.
pub(super) fn is_acronym(word: &str) -> bool {
    let mut letters = word.chars().filter(|c| c.is_alphabetic()).peekable();
    let first = letters.next();
    first.is_some_and(char::is_uppercase) && letters.peek().is_some() && letters.all(char::is_uppercase)
}

/// A word that is no name whatever stands before it.
pub(super) fn is_heading(word: &str) -> bool {
    let lower = lower(word);
    lists::is_heading(&lower) || super::super::faithful::is_drug_or_clinical(&lower)
}

/// A name of a person that the lists know.
pub(super) fn is_name(word: &str) -> bool {
    lists::is_name(&plain(word))
}

/// A name of a person and nothing else.
pub(super) fn is_only_a_name(word: &str) -> bool {
    let plain = plain(word);
    lists::is_name(&plain) && !lists::is_ambiguous(&plain)
}

pub(super) fn is_town(word: &str) -> bool {
    lists::is_town(&plain(word))
}

/// What a capitalised word is, whatever stands around it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Nature {
    /// In the lists and nothing else.
    Given,
    Family,
    Town,
    /// In the lists, but a word or a term too.
    Ambiguous,
    /// In no list: how much it looks like a name.
    Unknown(f32),
    /// A word, or a term of medicine.
    Other,
}

/// What a letter outside of English speaks for a name.
const FOREIGN_LETTERS: f32 = 4.0;
/// What an ending of medicine speaks against it.
const MEDICAL_ENDING: f32 = 5.0;

impl Nature {
    pub(super) fn of(word: &str) -> Self {
        let (lower, plain) = (lower(word), plain(word));
        let parts = || plain.split('-').filter(|part| !part.is_empty());
        let fold = |part: &str| if part.len() < lower.len() { part.to_owned() } else { String::new() };
        let (given, family) = (parts().any(lists::is_given) || lists::is_given(&plain), parts().any(lists::is_family));
        let town = lists::is_town(&plain);
        // Of names, only what is a word itself is one: "Banks" is no bank's.
        let listed = given || family || town;
        let medical = lists::is_term(&lower)
            || lower.split('-').any(|part| (lists::is_term(part) || is_heading(part)) && !lists::is_given(&fold(part)))
            || lower.split('-').all(|part| if listed { lists::is_word(part) } else { lists::is_vocabulary(part) })
            || lower.split('-').any(lists::is_wide)
            || super::super::faithful::counts_or_measures(&lower)
            || super::super::faithful::is_common(&lower);
        match (medical, listed) {
            (true, true) => Self::Ambiguous,
            (true, false) => Self::Other,
            (false, true) if given => Self::Given,
            (false, true) if family => Self::Family,
            (false, true) => Self::Town,
            (false, false) => {
                let foreign = if lower.is_ascii() { 0.0 } else { FOREIGN_LETTERS };
                let medical = if lists::is_medical_by_ending(&lower) { MEDICAL_ENDING } else { 0.0 };
                let parts = plain.split('-').count() as f32;
                Self::Unknown(lists::likeness(&plain) / parts.max(1.0) + foreign - medical)
            }
        }
    }
}
