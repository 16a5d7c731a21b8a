//! The word lists of the scan, in `lists/`: what each holds stands at its head, where it comes from in `lists/README.md`.
//! And how much a word looks like the names among them.

use std::sync::LazyLock;

use rustc_hash::{FxHashMap, FxHashSet};

/// In which lists a word is, each list a bit.
type Lists = u16;

const GIVEN: Lists = 1;
const FAMILY: Lists = 1 << 1;
const TOWN: Lists = 1 << 2;
const TERM: Lists = 1 << 4;
const HEADING: Lists = 1 << 5;
const VOCABULARY: Lists = 1 << 6;
const WIDE: Lists = 1 << 7;
const FACILITY: Lists = 1 << 8;
const SITE: Lists = 1 << 9;
/// Given names that are usual as such, even where they are words.
const USUAL: Lists = 1 << 11;
/// Towns that are known for themselves.
const KNOWN_TOWN: Lists = 1 << 12;
/// Words of the project's own texts: what notes and reports are made of.
const COMMON: Lists = 1 << 10;

const FILES: [(Lists, &str); 15] = [
    (GIVEN | USUAL, include_str!("lists/given.txt")),
    (GIVEN, include_str!("lists/more_given.txt")),
    (FAMILY, include_str!("lists/family.txt")),
    (FAMILY, include_str!("lists/more_family.txt")),
    (TOWN | KNOWN_TOWN, include_str!("lists/towns.txt")),
    (TOWN, include_str!("lists/more_towns.txt")),
    (TERM, include_str!("lists/terms.txt")),
    (TERM, include_str!("lists/more_terms.txt")),
    (HEADING, include_str!("lists/headings.txt")),
    (VOCABULARY | COMMON, include_str!("lists/words.txt")),
    (VOCABULARY, include_str!("lists/more_words.txt")),
    (VOCABULARY, include_str!("lists/also_words.txt")),
    (WIDE, include_str!("lists/wide.txt")),
    (FACILITY, include_str!("lists/facilities.txt")),
    (SITE, include_str!("lists/sites.txt")),
];

/// The words of a list, without the lines that say what it holds.
fn words(list: &'static str) -> impl Iterator<Item = &'static str> {
    list.lines().filter(|line| !line.starts_with('#')).flat_map(str::split_ascii_whitespace)
}

static LISTS: LazyLock<FxHashMap<&'static str, Lists>> = LazyLock::new(|| {
    let bytes: usize = FILES.iter().map(|(_, list)| list.len()).sum();
    let mut lists = FxHashMap::default();
    lists.reserve(bytes / 8);
    for (list, text) in FILES {
        for word in words(text) {
            *lists.entry(word).or_default() |= list;
        }
    }
    lists
});

fn is_in(word: &str, lists: Lists) -> bool {
    LISTS.get(word).is_some_and(|found| found & lists != 0)
}

/// A given name, in lower case and without accents.
pub(super) fn is_given(plain: &str) -> bool {
    is_in(plain, GIVEN)
}

/// A given name that is usual as such, even where it is a word.
pub(super) fn is_usual(plain: &str) -> bool {
    is_in(plain, USUAL)
}

/// A family name, in lower case and without accents.
pub(super) fn is_family(plain: &str) -> bool {
    is_in(plain, FAMILY)
}

/// A name of a person, in lower case and without accents; of one with a hyphen every part is.
pub(super) fn is_name(plain: &str) -> bool {
    is_in(plain, GIVEN | FAMILY) || plain.contains('-') && plain.split('-').all(|part| is_in(part, GIVEN | FAMILY))
}

/// A town, in lower case and without accents.
pub(super) fn is_town(plain: &str) -> bool {
    is_in(plain, TOWN)
}

/// A town that is known for itself, wherever its name stands.
pub(super) fn is_known_town(plain: &str) -> bool {
    is_in(plain, KNOWN_TOWN)
}

/// A capitalised term of medicine.
pub(super) fn is_term(lower: &str) -> bool {
    is_in(lower, TERM)
}

/// A word that is no name whatever stands before it.
pub(super) fn is_heading(lower: &str) -> bool {
    is_in(lower, HEADING)
}

/// A country, a state, an adjective of one.
pub(super) fn is_wide(lower: &str) -> bool {
    is_in(lower, WIDE)
}

/// What the name of a place ends with.
pub(super) fn is_facility(lower: &str) -> bool {
    is_in(lower, FACILITY | SITE)
}

/// What the name of a part of the land or of a town ends with.
pub(super) fn is_site(lower: &str) -> bool {
    is_in(lower, SITE)
}

/// Whether words that stand beside one another are a town of several: "salt-lake-city".
pub(super) fn is_town_of(plain: &[&str]) -> bool {
    is_town(&plain.join("-"))
}

/// Whether two words beside one another are an eponym: "charles-bonnet".
pub(super) fn is_term_of(first: &str, second: &str) -> bool {
    is_in(first, GIVEN | FAMILY | TERM) && is_term(&format!("{first}-{second}"))
}

/// A word that any note or report may have.
pub(super) fn is_common(lower: &str) -> bool {
    is_in(lower, COMMON)
}

/// What the names of places end with, as alternatives of a pattern, capitalised.
pub(super) fn place_endings() -> String {
    let capital = |word: &str| match word {
        "pd" | "fd" => word.to_uppercase(),
        _ => format!("{}{}", word[..1].to_uppercase(), &word[1..]),
    };
    let endings: Vec<String> =
        LISTS.iter().filter(|(_, lists)| *lists & (FACILITY | SITE) != 0).map(|(word, _)| capital(word)).collect();
    endings.join("|")
}

/// What words are formed with, and what stands instead in the word that they are formed of.
const ENDINGS: &[(&str, &[&str])] = &[
    ("ies", &["y"]),
    ("es", &["", "e", "is"]),
    ("s", &[""]),
    ("ied", &["y"]),
    ("ed", &["", "e"]),
    ("ing", &["", "e"]),
    ("ly", &["", "le"]),
    ("er", &["", "e"]),
    ("al", &["", "e"]),
    ("able", &["", "e"]),
    ("ation", &["", "e"]),
    ("ist", &["", "y"]),
    ("ness", &["", "y"]),
    ("ity", &["", "e"]),
    ("ment", &[""]),
    ("less", &[""]),
    ("ful", &[""]),
];
const BEGINNINGS: &[&str] = &[
    "un", "re", "non", "pre", "post", "over", "under", "out", "inter", "intra", "extra", "hyper", "hypo", "anti",
    "peri", "sub", "tele", "micro", "macro", "multi", "dis", "mis", "poly", "neuro", "cardio", "self", "super",
    "trans", "endo", "epi", "auto", "bio", "immuno", "radio", "chemo", "photo", "haemo", "hemo", "osteo", "para",
];

/// A word of everyday or clinical language, in lower case, in just this form.
pub(super) fn is_word(lower: &str) -> bool {
    is_in(lower, VOCABULARY)
}

/// Whether a word in lower case, or what it is formed of, is one of everyday or clinical language.
pub(super) fn is_vocabulary(lower: &str) -> bool {
    let known = |word: &str| is_in(word, VOCABULARY);
    if known(lower) {
        return true;
    }
    let formed = |(ending, instead): &(&str, &[&str])| {
        let least = if ending.starts_with('s') { 3 } else { 4 };
        let stem = lower.strip_suffix(ending).filter(|stem| stem.len() >= least);
        stem.is_some_and(|stem| {
            let doubled = stem.len() >= 4 && stem.as_bytes()[stem.len() - 1] == stem.as_bytes()[stem.len() - 2];
            instead.iter().any(|end| known(&format!("{stem}{end}")))
                || (doubled && stem.is_char_boundary(stem.len() - 1) && known(&stem[..stem.len() - 1]))
        })
    };
    if ENDINGS.iter().any(formed) {
        return true;
    }
    BEGINNINGS.iter().any(|begin| lower.strip_prefix(begin).is_some_and(|rest| rest.len() >= 4 && known(rest)))
}

static MEDICAL_ENDINGS: LazyLock<FxHashSet<&str>> =
    LazyLock::new(|| words(include_str!("lists/endings.txt")).collect());

/// Whether a word ends as drugs, diseases, organisms, procedures and substances do, and few names.
pub(super) fn is_medical_by_ending(lower: &str) -> bool {
    lower.len() >= 6
        && lower.char_indices().skip(1).any(|(at, _)| lower.len() - at <= 9 && MEDICAL_ENDINGS.contains(&lower[at..]))
}

/// How many times likelier a word's triples of letters are among names than among words, as a logarithm.
pub(super) fn likeness(plain: &str) -> f32 {
    let mut sum = 0.0;
    for_triples(plain, |triple| sum += LIKENESS.get(&triple).copied().unwrap_or(0.0));
    sum
}

/// What every triple counts beside those seen.
const SMOOTHING: f32 = 0.5;
/// About how many triples letters form.
const TRIPLES: f32 = 5000.0;

static LIKENESS: LazyLock<FxHashMap<u32, f32>> = LazyLock::new(|| {
    let mut counts: FxHashMap<u32, (f32, f32)> = FxHashMap::default();
    let (mut names, mut vocabulary) = (0.0, 0.0);
    for (word, lists) in LISTS.iter() {
        if lists & (GIVEN | FAMILY | TOWN) != 0 {
            for part in word.split('-').filter(|part| part.len() > 2) {
                for_triples(part, |triple| {
                    counts.entry(triple).or_default().0 += 1.0;
                    names += 1.0;
                });
            }
        } else if lists & VOCABULARY != 0 {
            for_triples(word, |triple| {
                counts.entry(triple).or_default().1 += 1.0;
                vocabulary += 1.0;
            });
        }
    }
    let share = |count: f32, of: f32| (count + SMOOTHING) / (of + TRIPLES);
    counts
        .into_iter()
        .map(|(triple, (name, word))| (triple, (share(name, names) / share(word, vocabulary)).ln()))
        .collect()
});

/// Three neighbouring letters as one number, with one place before and behind the word.
fn for_triples(word: &str, mut each: impl FnMut(u32)) {
    let letters = std::iter::once(b'^').chain(word.bytes()).chain(std::iter::once(b'$'));
    let mut last = [0_u8; 2];
    for (at, letter) in letters.enumerate() {
        if at >= 2 {
            each(u32::from_be_bytes([0, last[0], last[1], letter]));
        }
        last = [last[1], letter];
    }
}
