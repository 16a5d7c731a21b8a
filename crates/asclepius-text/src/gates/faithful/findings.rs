//! What a text says in words of its own that is there or done, or is not, beside what its source says of the same.
//!
//! Findings, tests, treatments and drugs are compared, and nothing else: other words of a sentence in words of one's own
//! tell nothing by being denied or not.

use super::concepts::{self, Sort};
use super::outcomes::Outcome;
use super::polarity::{Key, Roles, Said, is_verb, likeness};
use super::reading::{Reading, Sentence, Word};

/// A word of a text that names what is there or done.
struct Asked<'a> {
    sentence: &'a Sentence,
    index: usize,
    at: usize,
    said: Said,
    key: Key,
}

impl Asked<'_> {
    /// Whether the word names what can be there or be done by itself.
    fn is_known(&self) -> bool {
        concepts::sort_of(&self.sentence.words[self.at]) != Sort::Other
    }

    fn is_finding(&self) -> bool {
        matches!(concepts::sort_of(&self.sentence.words[self.at]), Sort::Finding | Sort::Absence)
    }

    /// Whether it does so by itself, with the word before it ("residual filling"), or because the sentence says that it
    /// was done ("challenge performed"); if not, whether it is a word with content that no table holds.
    fn names_something(&self) -> bool {
        let word = &self.sentence.words[self.at];
        !word.stem.is_empty()
            && !word.text.ends_with("ly")
            && (word.sort != Some(Sort::Other) || self.is_told_with_others())
    }

    fn is_told_with_others(&self) -> bool {
        modifier(self.sentence, self.at).is_some() || self.is_done()
    }

    /// How close the opposite must be, where nothing else is said.
    fn least(&self) -> f32 {
        match self.said {
            Said::Denied if !self.is_finding() => LEAST,
            _ if self.is_known() => 0.0,
            _ if self.is_told_with_others() => ONLY_DENIED / 2.0,
            _ => ONLY_DENIED,
        }
    }

    /// "No intravenous drug use" denies the use, and "segments unchanged" is no finding.
    fn is_part_of_more(&self, text: &Reading, source: &Reading) -> bool {
        let words = &self.sentence.words;
        let word = &words[self.at];
        if self.said == Said::Denied {
            let next = words.get(self.at + 1).filter(|next| next.phrase == word.phrase && !next.stem.is_empty());
            let narrows = word.roles.any(Roles::NARROWS);
            let known = next.is_some_and(|next| source.by_stem.contains_key(&next.stem));
            return narrows || known && text.polarity.said(self.index, self.at + 1) == Said::Denied;
        }
        let sound = |other: &Word| {
            let outcome = Outcome::of(&other.text);
            other.phrase == word.phrase
                && matches!(outcome, Some(Outcome::Normal | Outcome::Negative | Outcome::Well(_)))
        };
        !self.is_known() && words.iter().any(sound)
    }

    fn is_done(&self) -> bool {
        let word = &self.sentence.words[self.at];
        let next = self.sentence.words[self.at + 1..].iter().take(3).take_while(|next| next.phrase == word.phrase);
        !word.stem.is_empty() && next.into_iter().any(|next| next.roles.any(Roles::THERE))
    }
}

/// What a source says of it: the closest mention for and against.
#[derive(Default)]
struct Weighed {
    with: Option<f32>,
    against: Option<f32>,
    /// Against it, but only of something narrower: "no further bleeding".
    narrower: Option<f32>,
    /// Something ended, was stopped or got better, so that there were two states.
    ended: bool,
    /// The sentence of the closest mention against it.
    against_in: Option<usize>,
}

/// What the sentences' overlap counts beside words shared around two mentions.
const SENTENCE_WEIGHT: f32 = 4.0;
/// Where the source says both, by how much the opposite must be the closer one, and how close at least.
const CLOSER: f32 = 1.5;
const CLOSEST: f32 = 3.5;
/// Where it says the opposite alone, how close that must be for a procedure that the text denies: what was done at one
/// time may be left undone at another. A finding is there or not, wherever it is told.
const LEAST: f32 = 2.5;
/// The same for a word that the source only ever denies, and that may be anything.
const ONLY_DENIED: f32 = 2.2;

/// Findings and procedures of which the source says the opposite.
pub(super) fn contradictions(
    text: &Reading,
    source: &Reading,
    overlaps: &[Vec<f32>],
    own_words: &[bool],
    reworded: bool,
) -> Vec<String> {
    let mut found = Vec::new();
    let sentences = text.sentences.iter().enumerate().zip(own_words).filter(|(_, own)| **own);
    for ((index, sentence), _) in sentences {
        // A list of names, or what an abbreviation stands for, says nothing of what it names.
        let naming = reworded && !sentence.words.iter().any(is_verb);
        for (at, word) in sentence.words.iter().enumerate() {
            let said = text.polarity.said(index, at);
            let told = match said {
                Said::Affirmed => !naming,
                Said::Denied => true,
                _ => false,
            };
            if !told || word.key == Key::default() {
                continue;
            }
            let asked = Asked { sentence, index, at, said, key: word.key };
            let told = asked.names_something() && !asked.is_part_of_more(text, source);
            if told && is_contradicted(&asked, text, source, &overlaps[index]) {
                let told = if said == Said::Denied { "denied" } else { "affirmed" };
                found.push(format!("{} {told} in {}", word.text, sentence.line.trim()));
            }
        }
    }
    found
}

fn is_contradicted(asked: &Asked<'_>, text: &Reading, source: &Reading, overlaps: &[f32]) -> bool {
    let denied = asked.said == Said::Denied;
    let weighed = weigh(asked, text, source, overlaps);
    let of_a_time = || denied && is_of_a_time(asked, weighed.against_in.map(|index| &source.sentences[index]));
    match (weighed.with, weighed.against) {
        (None, Some(against)) => against >= asked.least() && !(denied && weighed.ended || of_a_time()),
        (None, None) => !denied && weighed.narrower.is_some(),
        (Some(with), Some(against)) => against >= with + CLOSER && against >= CLOSEST && !of_a_time(),
        (Some(_), None) => false,
    }
}

fn weigh(asked: &Asked<'_>, text: &Reading, source: &Reading, overlaps: &[f32]) -> Weighed {
    let mut weighed = Weighed::default();
    let own = text.polarity.keys(asked.index);
    let narrowed = text.polarity.is_narrowed(asked.index, asked.at);
    for &(index, at) in source.polarity.places(asked.key) {
        let said = source.polarity.said(index, at);
        let alike = likeness(own, asked.at, source.polarity.keys(index), at) + SENTENCE_WEIGHT * overlaps[index];
        let opposed = match asked.said {
            Said::Denied => matches!(said, Said::Affirmed | Said::Positive),
            _ => matches!(said, Said::Denied),
        };
        let sentence = &source.sentences[index];
        weighed.ended |= is_over(sentence, at);
        let narrowed_there = source.polarity.is_narrowed(index, at);
        let apart = narrowed_there && !is_slight(sentence, at) && !narrows_alike(asked, sentence, at);
        let of_another = match asked.said {
            Said::Denied => narrowed || !shares_modifier(asked, sentence, at),
            _ if narrowed_there && !narrowed => false,
            _ => !(shares_modifier(asked, sentence, at) && is_as_wide(asked, sentence, at)),
        };
        let slot = if !opposed || apart || of_another {
            &mut weighed.with
        } else if narrowed_there && !narrowed {
            &mut weighed.narrower
        } else {
            &mut weighed.against
        };
        let closest = slot.is_none_or(|best| alike > best);
        if closest {
            *slot = Some(alike);
        }
        if closest && weighed.against == Some(alike) {
            weighed.against_in = Some(index);
        }
    }
    weighed
}

/// Whether the text narrows with the same words: "no oral steroids", "oral steroids".
fn narrows_alike(asked: &Asked<'_>, sentence: &Sentence, at: usize) -> bool {
    let mut narrowing = sentence.words[at.saturating_sub(3)..at].iter().filter(|word| word.roles.any(Roles::NARROWS));
    narrowing.all(|word| asked.sentence.words.iter().any(|own| own.text == word.text))
}

/// "No significant swelling" says that there was none to speak of; "no previous" and "no oral" say less.
fn is_slight(sentence: &Sentence, at: usize) -> bool {
    const SLIGHT: &[&str] = &[
        "significant",
        "obvious",
        "definite",
        "major",
        "marked",
        "acute",
        "clear",
        "gross",
        "overt",
        "evident",
        "large",
        "active",
    ];
    let before = sentence.words[at.saturating_sub(3)..at].iter();
    before.filter(|word| word.roles.any(Roles::NARROWS)).all(|word| SLIGHT.contains(&word.text.as_str()))
}

/// "No intravenous drug use" says nothing of drugs: what qualifies the word must stand in the source's sentence, too,
/// unless that qualifies nothing where it denies.
fn shares_modifier(asked: &Asked<'_>, sentence: &Sentence, at: usize) -> bool {
    let Some(own) = modifier(asked.sentence, asked.at) else { return true };
    // A word that may be anything is known by the one before it.
    if !asked.is_known() && !asked.is_done() {
        return modifier(sentence, at).is_some_and(|other| other.key == own.key);
    }
    let held = sentence.words.iter().any(|word| word.key == own.key);
    held || (asked.said != Said::Denied && modifier(sentence, at).is_none())
}

/// Whether what the source denies is no narrower than what the text tells: "no ductal stone" says nothing of others.
fn is_as_wide(asked: &Asked<'_>, sentence: &Sentence, at: usize) -> bool {
    modifier(sentence, at).is_none_or(|other| asked.sentence.words.iter().any(|word| word.key == other.key))
}

/// The word with content right before another one in the same phrase.
fn modifier(sentence: &Sentence, at: usize) -> Option<&Word> {
    let before = sentence.words.get(at.checked_sub(1)?)?;
    let qualifies = before.phrase == sentence.words[at].phrase
        && !before.stem.is_empty()
        && before.key != Key::default()
        && !before.roles.any(Roles::TURNS | Roles::NARROWS | Roles::ENDS | Roles::THERE);
    qualifies.then_some(before)
}

/// Whether a denial is of what came later: "no further fits", "no fever since", "free of pain by day 3"; what the source
/// says with the same word of time is of the same.
fn is_of_a_time(asked: &Asked<'_>, there: Option<&Sentence>) -> bool {
    const LATER: &[&str] = &[
        "again",
        "afterwards",
        "currently",
        "discharge",
        "follow",
        "further",
        "later",
        "longer",
        "more",
        "now",
        "previous",
        "previously",
        "prior",
        "remained",
        "remains",
        "residual",
        "review",
        "since",
        "still",
        "subsequently",
        "thereafter",
        "until",
        "yet",
    ];
    const FROM: &[&str] = &["after", "at", "by", "during", "from", "on", "in", "within"];
    const TIMES: &[&str] = &[
        "day",
        "days",
        "hour",
        "hours",
        "week",
        "weeks",
        "month",
        "months",
        "year",
        "years",
        "visit",
        "discharge",
        "time",
    ];
    let words = &asked.sentence.words;
    let clause = words[asked.at].clause;
    let is_time = |word: &Word| TIMES.contains(&word.text.as_str());
    (0..words.len()).filter(|&at| words[at].clause == clause).any(|at| {
        let text = words[at].text.as_str();
        let has = |word: &Word| there.is_some_and(|there| there.words.iter().any(|other| other.text == word.text));
        let next = words[at + 1..].iter().take(3);
        let figure = next.clone().find(|word| word.text.starts_with(|first: char| first.is_ascii_digit()));
        // "Day 6 - afebrile".
        let dated =
            TIMES.contains(&text) && figure.is_some_and(|figure| std::ptr::eq(figure, &raw const words[at + 1]));
        let of_time = (dated || FROM.contains(&text) && next.clone().any(is_time)) && !figure.is_some_and(has);
        of_time || (LATER.contains(&text) && !has(&words[at]))
    })
}

/// Words on each side of a mention that may tell that it ended.
const BESIDE: usize = 6;

/// Whether a mention's surroundings tell that it ended or changed.
fn is_over(sentence: &Sentence, at: usize) -> bool {
    let words = &sentence.words;
    let mut near = (at.saturating_sub(BESIDE)..words.len().min(at + BESIDE + 1)).filter(|near| *near != at);
    near.any(|near| words[near].clause == words[at].clause && ends(&words[near]))
}

/// Whether a word tells that something ended or changed.
fn ends(word: &Word) -> bool {
    const ENDINGS: &[&str] = &[
        "stopped",
        "ceased",
        "resolved",
        "settled",
        "subsided",
        "disappeared",
        "gone",
        "cleared",
        "removed",
        "healed",
        "relieved",
        "controlled",
        "free",
        "withdrawn",
        "discontinued",
        "recovered",
        "vanished",
        "abated",
        "resolution",
        "eliminated",
        "replaced",
        "held",
        "suspended",
        "switched",
        "changed",
        "regressed",
        "corrected",
        "treated",
        "extubated",
        "weaned",
        "remission",
    ];
    ENDINGS.contains(&word.text.as_str()) || matches!(Outcome::of(&word.text), Some(Outcome::Better | Outcome::Down))
}
