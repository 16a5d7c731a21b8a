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
        'à'..='å' | 'ā' | 'ă' | 'ą' | 'ǎ' | 'ạ'..='ặ' => 'a',
        'è'..='ë' | 'ē'..='ě' | 'ẹ'..='ệ' | 'ə' => 'e',
        'ì'..='ï' | 'ĩ'..='ı' | 'ỉ'..='ị' => 'i',
        'ò'..='ö' | 'ø' | 'ō'..='ő' | 'ơ' | 'ọ'..='ợ' => 'o',
        'ù'..='ü' | 'ũ'..='ų' | 'ư' | 'ụ'..='ự' => 'u',
        'ý' | 'ÿ' | 'ỳ'..='ỹ' => 'y',
        'ç' | 'ć'..='č' => 'c',
        'ď'..='đ' => 'd',
        'ĝ'..='ģ' => 'g',
        'ĺ'..='ł' => 'l',
        'ñ' | 'ń'..='ň' => 'n',
        'ŕ'..='ř' => 'r',
        'ś'..='š' | 'ș' => 's',
        'ţ'..='ŧ' | 'ț' => 't',
        'ź'..='ž' => 'z',
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
    /// In the lists, but a word of the language too.
    Word,
    /// In the lists, but a term of medicine too.
    Term,
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
        // "Proline-rich", "Roux-like"; a name's second half is no word.
        let formed = lower.rsplit_once('-').is_some_and(|(first, last)| {
            let common = lists::is_common(last) && !lists::is_name(first);
            word.contains(&format!("-{last}")) && (common || lists::is_vocabulary(last) && !lists::is_name(last))
        });
        let (given, family) = (parts().any(lists::is_given) || lists::is_given(&plain), parts().any(lists::is_family));
        let town = lists::is_town(&plain);
        // Of names, only what is a word itself is one: "Banks" is no bank's.
        let listed = given || family || town;
        let of_language = |part: &str| if listed { lists::is_word(part) } else { lists::is_vocabulary(part) };
        let word = lower.split('-').all(of_language)
            || super::super::faithful::is_common(&lower)
            || !listed && super::super::faithful::counts_or_measures(&lower);
        let term = lists::is_term(&lower)
            || lower.split('-').any(|part| (lists::is_term(part) || is_heading(part)) && !lists::is_given(&fold(part)))
            || lower.split('-').any(lists::is_wide);
        if formed {
            return Self::Other;
        }
        match (word || term, listed) {
            (true, true) if term => Self::Term,
            (true, true) => Self::Word,
            (true, false) => Self::Other,
            (false, true) if given => Self::Given,
            (false, true) if family => Self::Family,
            (false, true) if lists::is_known_town(&plain) => Self::Town,
            (false, _) => {
                let foreign = if lower.is_ascii() { 0.0 } else { FOREIGN_LETTERS };
                let medical = if lists::is_medical_by_ending(&lower) { MEDICAL_ENDING } else { 0.0 };
                let parts = plain.split('-').count() as f32;
                Self::Unknown(lists::likeness(&plain) / parts.max(1.0) + foreign - medical)
            }
        }
    }
}
