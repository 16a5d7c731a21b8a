//! Words and phrases of one meaning: nouns with the adjectives and verbs for the same finding, what wards and patients
//! call it, and findings named by organ and state.

use std::sync::LazyLock;

use rustc_hash::FxHashMap;

use super::lexicon;
use super::reading::{Word, plain_word, stem};

/// What a word names, as far as denying it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// A complaint, a sign or a disease: there or not.
    Finding,
    /// A test or a treatment: done or not.
    Procedure,
    /// A finding that the word says is not there.
    Absence,
    /// What is neither there nor done, such as a part of the body, or what the tables do not know.
    Other,
}

/// Each line names one thing; what stands before the colon stands for all.
const TABLES: [(Sort, &str); 4] = [
    // Findings, too, but not there.
    (Sort::Absence, include_str!("concepts/absences.txt")),
    (Sort::Finding, include_str!("concepts/findings.txt")),
    (Sort::Procedure, include_str!("concepts/procedures.txt")),
    (Sort::Other, include_str!("concepts/words.txt")),
];

/// What words stand for.
#[derive(Debug, Clone, Copy)]
struct Concept {
    name: &'static str,
    sort: Sort,
}

/// The tables, by single words and by the first words of phrases.
#[derive(Default)]
struct Concepts {
    words: FxHashMap<String, Concept>,
    /// The words behind the first one, the longest phrase first, and what it stands for.
    phrases: FxHashMap<String, Vec<(Vec<String>, Concept)>>,
}

static CONCEPTS: LazyLock<Concepts> = LazyLock::new(|| {
    let mut concepts = Concepts::default();
    let rows = TABLES.iter().flat_map(|(sort, table)| table.lines().map(|line| (*sort, line)));
    for (sort, line) in rows.filter(|(_, line)| !line.starts_with('#')) {
        let Some((name, others)) = line.split_once(':') else { continue };
        let concept = Concept { name, sort };
        let itself = (sort != Sort::Absence).then_some(name);
        for spelt in others.split(',').map(str::trim).chain(itself).filter(|spelt| !spelt.is_empty()) {
            let mut words = spelt.split([' ', '-']).map(plain_word);
            let Some(word) = words.next() else { continue };
            let rest: Vec<String> = words.collect();
            if rest.is_empty() {
                concepts.words.insert(word, concept);
            } else {
                concepts.phrases.entry(word).or_default().push((rest, concept));
            }
        }
    }
    concepts.phrases.values_mut().for_each(|phrases| phrases.sort_by_key(|(rest, _)| usize::MAX - rest.len()));
    concepts
});

/// The name that stands for all of a word's meaning.
pub(super) fn of(word: &str) -> Option<&'static str> {
    find(word).map(|concept| concept.name)
}

/// What a word names, by the tables, by its ending, or as a drug.
pub(super) fn sort_of(word: &Word) -> Sort {
    match word.sort {
        Some(sort) => sort,
        None if lexicon::drug(&word.text).is_some() => Sort::Procedure,
        None if lexicon::is_clinical(&word.text) => Sort::Finding,
        None => Sort::Other,
    }
}

fn find(word: &str) -> Option<Concept> {
    CONCEPTS.words.get(word).copied()
}

/// The stem of what a word means, and what it names, if the tables hold it.
pub(super) fn read(word: &str) -> Option<(String, Sort)> {
    find(word).map(|concept| (stem(concept.name), concept.sort))
}

/// Gives each phrase's first word the stem of what the phrase means, and the others none.
pub(super) fn join_phrases(words: &mut [Word]) {
    let mut at = 0;
    while at < words.len() {
        let phrases = CONCEPTS.phrases.get(&words[at].text).into_iter().flatten();
        let here = &words[at..];
        let stands = |rest: &[String]| {
            let next = here.get(1..=rest.len());
            next.is_some_and(|next| {
                next.iter().zip(rest).all(|(word, own)| word.text == *own && word.phrase == here[0].phrase)
            })
        };
        let found = phrases.into_iter().find(|(rest, _)| stands(rest)).map(|(rest, concept)| (rest.len(), *concept));
        let Some((behind, concept)) = found else {
            at += 1;
            continue;
        };
        words[at].stem = stem(concept.name);
        words[at].sort = Some(concept.sort);
        words[at].joined = true;
        for word in &mut words[at + 1..=at + behind] {
            word.stem.clear();
            word.sort = Some(concept.sort);
            word.joined = true;
        }
        at += behind + 1;
    }
}

/// "Splenomegaly" is an enlarged spleen: the organs, where a word names them together with their size.
pub(super) fn enlarged(word: &str) -> &'static [&'static str] {
    match word {
        "hepatomegaly" => &["liver"],
        "splenomegaly" => &["spleen"],
        "hepatosplenomegaly" | "organomegaly" => &["liver", "spleen"],
        "cardiomegaly" => &["heart"],
        "lymphadenopathy" | "adenopathy" => &["node", "nodes"],
        "goiter" | "goitre" | "thyromegaly" => &["thyroid"],
        _ => &[],
    }
}
