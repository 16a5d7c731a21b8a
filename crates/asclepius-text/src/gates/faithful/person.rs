//! Whether the patient is a man or a woman.

use super::reading::{Reading, Sentence};

const MALE: &[&str] = &["man", "male", "boy", "gentleman", "he", "him", "his", "himself", "men"];
const FEMALE: &[&str] = &["woman", "female", "girl", "lady", "she", "her", "hers", "herself", "women"];

/// Words of each sex: the ones that patients are introduced with, and how many there are.
#[derive(Debug, Default)]
struct Sex {
    introduced: Vec<Introduced>,
    male: usize,
    female: usize,
}

/// "A 45-year-old man".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Introduced {
    age: Option<u32>,
    male: bool,
}

fn read(reading: &Reading) -> Sex {
    let mut sex = Sex::default();
    for sentence in &reading.sentences {
        let mut introduced = false;
        let aged = sentence.words.iter().position(|word| matches!(word.text.as_str(), "old" | "aged" | "yo" | "age"));
        let tied = aged.or_else(|| {
            sentence
                .words
                .windows(2)
                .position(|pair| is_age(&pair[0].text) && matches!(pair[1].text.as_str(), "y" | "m" | "f"))
        });
        for (index, word) in sentence.words.iter().enumerate() {
            let text = word.text.as_str();
            // "45M" and "45 yo f"; "15f" may be fractions.
            let letter = index > 0
                && (word.capitals || !is_age(&sentence.words[index - 1].text))
                && (is_age(&sentence.words[index - 1].text)
                    || sentence.words[index - 1].text == "yo"
                    || sentence.words[index - 1].text == "old"
                    || sentence.words[index - 1].text == "o");
            let letter = letter || (word.capitals && is_labelled(sentence, index));
            let male = MALE.contains(&text) || (letter && text == "m");
            let female = FEMALE.contains(&text) || (letter && text == "f");
            sex.male += usize::from(male);
            sex.female += usize::from(female);
            let noun = !matches!(text, "he" | "him" | "his" | "himself" | "she" | "her" | "hers" | "herself");
            if let Some(tied) =
                tied.filter(|tied| (male || female) && noun && !introduced && index.abs_diff(*tied) <= 8)
            {
                introduced = true;
                sex.introduced.push(Introduced { age: age(sentence, tied), male });
            }
        }
    }
    sex
}

/// "Sex: F", and "Pt: M, 35 y" or "F, 40" at the beginning of a line.
fn is_labelled(sentence: &Sentence, at: usize) -> bool {
    const LABELS: &[&str] = &["patient", "pt", "re"];
    let text = |at: usize| sentence.words.get(at).map_or("", |word| word.text.as_str());
    let before = at.checked_sub(1).map_or("", text);
    let begins = at == 0 || (at == 1 && LABELS.contains(&before));
    let aged =
        is_age(text(at + 1)) && matches!(text(at + 2), "" | "y" | "yo" | "yr" | "yrs" | "year" | "years" | "with");
    matches!(before, "sex" | "gender") || (begins && aged)
}

/// The figure nearest to the word that says it is an age.
fn age(sentence: &Sentence, tied: usize) -> Option<u32> {
    let from = tied.saturating_sub(4);
    let near = &sentence.words[from..(tied + 4).min(sentence.words.len())];
    let ages = near.iter().enumerate().filter(|(_, word)| is_age(&word.text));
    ages.min_by_key(|(at, _)| (from + at).abs_diff(tied)).and_then(|(_, word)| word.text.parse().ok())
}

fn is_age(word: &str) -> bool {
    word.parse::<u32>().is_ok_and(|age| (1..=110).contains(&age))
}

/// Whether the text's patient is of the other sex than the source's.
pub(super) fn contradict(text: &Reading, source: &Reading) -> Option<String> {
    let (own, known) = (read(text), read(source));
    // Where the source tells of several patients, the age says whom the text means.
    let same_age = |own: &Introduced| {
        let known = known.introduced.iter().filter(|other| own.age.is_some() && other.age == own.age);
        known.map(|other| other.male).collect::<Vec<_>>()
    };
    let of_other_sex = own.introduced.iter().any(|own| {
        let same_age = same_age(own);
        !same_age.is_empty() && !same_age.contains(&own.male)
    });
    let introduced = own.introduced.first().zip(known.introduced.first()).is_some_and(|(own, first)| {
        let several = known.introduced.iter().any(|other| other.male != first.male);
        same_age(own).is_empty() && own.male != first.male && !(several && own.age.is_some())
    });
    let foreign = (own.male > 0 && known.male == 0 && known.female > 0)
        || (own.female > 0 && known.female == 0 && known.male > 0);
    (of_other_sex || introduced || foreign).then(|| format!("{own:?} for {known:?}"))
}
