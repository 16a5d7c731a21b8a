//! Word lists of the scan: given and family names and towns of many countries, capitalised terms of medicine that are no
//! names, and words in lower case; and how much a word looks like the former or the latter.

use std::sync::LazyLock;

use rustc_hash::{FxHashMap, FxHashSet};

type Words = LazyLock<FxHashSet<&'static str>>;

fn read(list: &'static str) -> FxHashSet<&'static str> {
    list.split_whitespace().collect()
}

static GIVEN: Words = LazyLock::new(|| read(include_str!("given.txt")));
static FAMILY: Words = LazyLock::new(|| read(include_str!("family.txt")));
static TOWNS: Words = LazyLock::new(|| read(include_str!("towns.txt")));
/// Eponyms, genera, brands, makers, scores and peoples.
static TERMS: Words = LazyLock::new(|| read(include_str!("terms.txt")));
/// Of the project's own texts, by `tools/make_words.py`.
static VOCABULARY: Words = LazyLock::new(|| read(include_str!("words.txt")));

pub(super) fn is_given(plain: &str) -> bool {
    GIVEN.contains(plain)
}

pub(super) fn is_family(plain: &str) -> bool {
    FAMILY.contains(plain)
}

pub(super) fn is_town(plain: &str) -> bool {
    TOWNS.contains(plain)
}

pub(super) fn is_term(lower: &str) -> bool {
    TERMS.contains(lower)
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
];
const BEGINNINGS: &[&str] = &[
    "un", "re", "non", "pre", "post", "over", "under", "out", "inter", "intra", "extra", "hyper", "hypo", "anti",
    "peri", "sub", "tele", "micro", "macro", "multi", "dis", "mis", "poly", "neuro", "cardio", "self", "super",
    "trans", "endo", "epi", "auto", "bio", "immuno", "radio", "chemo", "photo", "haemo", "hemo", "osteo", "para",
];

/// Whether a word in lower case, or what it is formed of, is one of everyday or clinical language.
pub(super) fn is_vocabulary(lower: &str) -> bool {
    let known = |word: &str| VOCABULARY.contains(word);
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
    let (mut names, mut words) = (0.0, 0.0);
    let parts = [&GIVEN, &FAMILY, &TOWNS].into_iter().flat_map(|list| list.iter()).flat_map(|name| name.split('-'));
    let unique: FxHashSet<&str> = parts.filter(|name| name.len() > 2).collect();
    for name in &unique {
        for_triples(name, |triple| {
            counts.entry(triple).or_default().0 += 1.0;
            names += 1.0;
        });
    }
    for word in VOCABULARY.iter().filter(|word| !unique.contains(*word)) {
        for_triples(word, |triple| {
            counts.entry(triple).or_default().1 += 1.0;
            words += 1.0;
        });
    }
    let share = |count: f32, of: f32| (count + SMOOTHING) / (of + TRIPLES);
    counts.into_iter().map(|(triple, (name, word))| (triple, (share(name, names) / share(word, words)).ln())).collect()
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
