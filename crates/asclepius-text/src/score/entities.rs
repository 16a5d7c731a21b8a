//! Named entity recognition: the mentions an answer lists against those of its reference, exactly or overlapping.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use super::{Matches, words};

/// A mention as its words.
type Mention = Vec<String>;

static BULLET: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\s*(?:[-*•–]+|\d{1,3}[.)])\s+").expect("the pattern is valid"));
static SEPARATOR: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"[;\n]|,(?:\s|$)|\s(?:and|or)\s|\.\s").expect("the pattern is valid"));

/// The mentions of a list: parted by lines, commas, semicolons, "and" and "or"; a bullet, and a label before a colon, are
/// no part of a mention. Case, punctuation and articles do not count, and a mention counts once.
pub fn mentions(list: &str) -> BTreeSet<Mention> {
    let mut found = BTreeSet::new();
    for line in list.lines() {
        let line = BULLET.replace(line, "");
        let line = match line.split_once(": ") {
            Some((label, rest)) if label.split_whitespace().count() <= 4 && !rest.trim().is_empty() => rest,
            _ => &line,
        };
        for part in SEPARATOR.split(line) {
            let mut mention = words(part);
            mention.retain(|word| !matches!(word.as_str(), "a" | "an" | "the" | "and" | "or"));
            if !mention.is_empty() {
                found.insert(mention);
            }
        }
    }
    found
}

/// Mentions with the same words.
pub fn exact(answer: &str, reference: &str) -> Matches {
    Matches::of_sets(&mentions(answer), &mentions(reference))
}

/// Mentions that overlap, each matched with one at most, as many as possible: the words of one are in the other, or both
/// stand in the note over common words (relaxed matching, as in the i2b2 tasks).
pub fn relaxed(answer: &str, reference: &str, note: &str) -> Matches {
    let note = words(note);
    let place = |mentions: BTreeSet<Mention>| -> Vec<(Mention, Vec<usize>)> {
        let with_places = mentions.into_iter().map(|mention| {
            let places = occurrences(&note, &mention);
            (mention, places)
        });
        with_places.collect()
    };
    let (predicted, expected) = (place(mentions(answer)), place(mentions(reference)));
    let overlaps: Vec<Vec<usize>> = predicted
        .iter()
        .map(|one| (0..expected.len()).filter(|&index| overlap(one, &expected[index])).collect())
        .collect();
    let mut taken: Vec<Option<usize>> = vec![None; expected.len()];
    let matched =
        (0..predicted.len()).filter(|&index| assign(index, &overlaps, &mut taken, &mut BTreeSet::new())).count();
    Matches { matched, predicted: predicted.len(), expected: expected.len() }
}

/// Finds a partner for `index`, moving others where they have another one (Kuhn's augmenting paths).
fn assign(index: usize, overlaps: &[Vec<usize>], taken: &mut [Option<usize>], seen: &mut BTreeSet<usize>) -> bool {
    for &other in &overlaps[index] {
        if seen.insert(other) && taken[other].is_none_or(|holder| assign(holder, overlaps, taken, seen)) {
            taken[other] = Some(index);
            return true;
        }
    }
    false
}

/// Where a mention begins in a text.
fn occurrences(text: &[String], mention: &[String]) -> Vec<usize> {
    text.windows(mention.len()).enumerate().filter(|(_, window)| *window == mention).map(|(start, _)| start).collect()
}

fn overlap(one: &(Mention, Vec<usize>), other: &(Mention, Vec<usize>)) -> bool {
    let inside = |short: &Mention, long: &Mention| !occurrences(long, short).is_empty();
    inside(&one.0, &other.0)
        || inside(&other.0, &one.0)
        || one.1.iter().any(|&a| other.1.iter().any(|&b| a < b + other.0.len() && b < a + one.0.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_however_it_is_written() {
        let expected: BTreeSet<Mention> =
            [vec!["chest", "pain"], vec!["fever"], vec!["hb", "9.5"]].map(Owned::map_owned).into();
        for list in [
            "chest pain, fever, Hb 9.5",
            "- Chest pain\n- the fever\n- Hb 9.5.",
            "Symptoms: fever, chest pain and Hb 9.5",
            "1. Fever\n2) Hb 9.5; chest pain",
        ] {
            assert_eq!(mentions(list), expected, "{list}");
        }
        assert!(mentions(" \n- ").is_empty());
    }

    trait Owned {
        fn map_owned(self) -> Mention;
    }
    impl Owned for Vec<&str> {
        fn map_owned(self) -> Mention {
            self.into_iter().map(str::to_owned).collect()
        }
    }

    #[test]
    fn relaxed_takes_what_overlaps_and_each_mention_once() {
        let note = "Severe left chest pain radiating to the arm. No fever.";
        let counts = |answer, reference| {
            let found = relaxed(answer, reference, note);
            (found.matched, found.predicted, found.expected)
        };
        assert_eq!(counts("left chest pain", "chest pain radiating"), (1, 1, 1)); // only the note tells
        assert_eq!(counts("chest pain, pain", "left chest pain"), (1, 2, 1));
        // The first is matched to the second expected mention, since the second fits only the first.
        assert_eq!(counts("chest pain, severe left chest", "severe, chest pain radiating"), (2, 2, 2));
        assert_eq!(counts("dyspnea", "fever"), (0, 1, 1));
        assert_eq!(counts("", "fever"), (0, 0, 1));
        assert_eq!(exact("the Fever, cough", "fever"), Matches { matched: 1, predicted: 2, expected: 1 });
    }
}
