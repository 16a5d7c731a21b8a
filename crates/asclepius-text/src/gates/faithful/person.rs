//! Whether the patient is a man or a woman.

use super::reading::Reading;

const MALE: &[&str] = &["man", "male", "boy", "gentleman", "he", "him", "his", "himself", "men"];
const FEMALE: &[&str] = &["woman", "female", "girl", "lady", "she", "her", "hers", "herself", "women"];

/// Words of each sex: the one that the patient is introduced with, and how many there are.
#[derive(Debug, Default)]
struct Sex {
    introduced: Option<bool>,
    male: usize,
    female: usize,
}

fn read(reading: &Reading) -> Sex {
    let mut sex = Sex::default();
    for sentence in &reading.sentences {
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
                    || sentence.words[index - 1].text == "o");
            let male = MALE.contains(&text) || (letter && text == "m");
            let female = FEMALE.contains(&text) || (letter && text == "f");
            sex.male += usize::from(male);
            sex.female += usize::from(female);
            let noun = !matches!(text, "he" | "him" | "his" | "himself" | "she" | "her" | "hers" | "herself");
            if (male || female)
                && noun
                && sex.introduced.is_none()
                && tied.is_some_and(|tied| index.abs_diff(tied) <= 8)
            {
                sex.introduced = Some(male);
            }
        }
    }
    sex
}

fn is_age(word: &str) -> bool {
    word.parse::<u32>().is_ok_and(|age| (1..=110).contains(&age))
}

/// Whether the text's patient is of the other sex than the source's.
pub(super) fn contradict(text: &Reading, source: &Reading) -> Option<String> {
    let (own, known) = (read(text), read(source));
    let introduced = own.introduced.is_some() && known.introduced.is_some() && own.introduced != known.introduced;
    let foreign = (own.male > 0 && known.male == 0 && known.female > 0)
        || (own.female > 0 && known.female == 0 && known.male > 0);
    (introduced || foreign).then(|| format!("{own:?} for {known:?}"))
}
