//! Whether a note says only what its report says, and an answer only what its note says: rules, no model.
//!
//! Both texts are read once ([`Reading`]). A gate takes each fact of its kind from the text and looks for it in the
//! source, first of all in the sentence that the text's own sentence comes from: the one that shares most of its words
//! with content. Scores count facts without support.

mod lexicon;
mod person;
mod polarity;
mod quantities;
mod reading;
mod sides;
mod statements;

use std::collections::BTreeSet;

pub use reading::Reading;

use self::quantities::{Kind, Quantity};
use self::reading::Sentence;
use super::Verdict;

/// A text beside its source, and what each gate needs of both.
pub struct Pair<'a> {
    text: &'a Reading,
    source: &'a Reading,
    /// For each sentence of the text, how much of it each sentence of the source holds.
    overlaps: Vec<Vec<f32>>,
    /// Quantities of the source, each with its sentence.
    quantities: Vec<(usize, Quantity)>,
}

/// A sentence's origin is known when this share of its content stands in one sentence of the source.
const SAME_SENTENCE: f32 = 0.6;

impl<'a> Pair<'a> {
    /// Aligns a text with its source.
    pub fn new(text: &'a Reading, source: &'a Reading) -> Self {
        let overlaps = text.sentences.iter().map(|sentence| source.overlaps(sentence)).collect();
        let found = source.sentences.iter().map(quantities::find).enumerate();
        let quantities =
            found.flat_map(|(index, found)| found.into_iter().map(move |quantity| (index, quantity))).collect();
        Self { text, source, overlaps, quantities }
    }

    /// Doses, measurements and other figures that the source does not state with that unit.
    pub fn quantities(&self) -> Verdict {
        self.figures(&[Kind::Measure], "quantities")
    }

    /// Intervals, times and frequencies that the source does not state.
    pub fn intervals(&self) -> Verdict {
        let figures = self.figures(&[Kind::Interval], "intervals").score as usize;
        let words = self.count(|index, sentence| {
            time_words(sentence)
                .into_iter()
                .filter(|word| !self.supported(index, |source| has_time(source, word)))
                .count()
        });
        count(figures + words, "intervals")
    }

    /// Ages that the source does not give its patient; "over 89" stands for any age above that.
    pub fn age(&self) -> Verdict {
        let known: Vec<&Quantity> = self
            .quantities
            .iter()
            .map(|(_, quantity)| quantity)
            .filter(|quantity| quantity.kind == Kind::Age)
            .collect();
        let above = known
            .iter()
            .any(|age| age.unit.as_deref() == Some("month") && age.values.iter().any(|value| *value > 89.0 * 12.0));
        let missing = self.count(|_, sentence| {
            let ages = quantities::find(sentence).into_iter().filter(|quantity| quantity.kind == Kind::Age);
            ages.filter(|age| {
                let general = above && age.values.iter().any(|value| (89.0 * 12.0..=90.0 * 12.0).contains(value));
                let figure = |(_, quantity): &(usize, Quantity)| {
                    quantity.unit.is_none() && age.values.iter().any(|value| quantity.values.contains(&(value / 12.0)))
                };
                // Where the source gives no age as such, a bare figure may be one.
                let supported = known.iter().any(|other| age.agrees(other))
                    || (known.is_empty() && self.quantities.iter().any(figure));
                !general && !supported
            })
            .count()
        });
        count(missing, "ages")
    }

    /// Whether the text makes a woman of a man or the reverse. Score: 1 or 0.
    pub fn sex(&self) -> Verdict {
        count(usize::from(person::contradict(self.text, self.source)), "statements of the patient's sex")
    }

    /// Drugs that the source does not name, or not where the sentence comes from.
    pub fn drugs(&self) -> Verdict {
        let missing = self.count(|index, sentence| {
            let named: BTreeSet<&str> = drugs_of(sentence).collect();
            named
                .into_iter()
                .filter(|drug| !self.supported(index, |source| drugs_of(source).any(|other| other == *drug)))
                .count()
        });
        count(missing, "drugs")
    }

    /// Left that was right, or a side that the source does not give.
    pub fn laterality(&self) -> Verdict {
        count(sides::contradictions(self.text, self.source, &self.overlaps), "sides")
    }

    /// Findings that the source denies and the text affirms, or the reverse.
    pub fn negation(&self) -> Verdict {
        count(polarity::contradictions(self.text, self.source, &self.overlaps), "negations")
    }

    /// Statements of which the source knows nothing, and clinical terms that it does not hold.
    pub fn statements(&self) -> Verdict {
        let (foreign, terms) = statements::unsupported(self.text, self.source, &self.overlaps);
        Verdict::new(
            (foreign + terms) as f32,
            format!("{foreign} statements and {terms} clinical terms are not in the source"),
        )
    }

    fn figures(&self, kinds: &[Kind], what: &str) -> Verdict {
        let missing = self.count(|index, sentence| {
            let asked = quantities::find(sentence).into_iter().filter(|quantity| kinds.contains(&quantity.kind));
            asked.filter(|quantity| !self.supported_figure(index, quantity)).count()
        });
        count(missing, what)
    }

    fn supported_figure(&self, index: usize, asked: &Quantity) -> bool {
        let mut support =
            self.quantities.iter().filter(|(_, quantity)| asked.agrees(quantity)).map(|(at, _)| *at).peekable();
        support.peek().is_some() && self.near_origin(index, support)
    }

    fn supported(&self, index: usize, holds: impl Fn(&Sentence) -> bool) -> bool {
        let mut support = (0..self.source.sentences.len()).filter(|&at| holds(&self.source.sentences[at])).peekable();
        support.peek().is_some() && self.near_origin(index, support)
    }

    /// Whether a fact's sentences are where this sentence comes from, as far as that is known.
    fn near_origin(&self, index: usize, support: impl Iterator<Item = usize>) -> bool {
        let overlaps = &self.overlaps[index];
        let best = overlaps.iter().copied().fold(0.0, f32::max);
        if best < SAME_SENTENCE || self.text.sentences[index].content.len() < 3 {
            return true;
        }
        let mut support = support;
        support.any(|at| overlaps[at] >= 0.5 * best)
    }

    fn count(&self, facts: impl Fn(usize, &Sentence) -> usize) -> usize {
        self.text.sentences.iter().enumerate().map(|(index, sentence)| facts(index, sentence)).sum()
    }
}

fn count(number: usize, what: &str) -> Verdict {
    Verdict::new(number as f32, format!("{number} {what} have no support in the source"))
}

fn drugs_of(sentence: &Sentence) -> impl Iterator<Item = &str> {
    sentence.words.iter().filter_map(|word| lexicon::drug(&word.text))
}

/// Times told without a figure: "last week", "daily", "in March".
const TIME_WORDS: &[(&str, &str)] = &[
    ("week", "week"),
    ("weeks", "week"),
    ("weekly", "week"),
    ("month", "month"),
    ("months", "month"),
    ("monthly", "month"),
    ("year", "year"),
    ("years", "year"),
    ("yearly", "year"),
    ("annually", "year"),
    ("hour", "hour"),
    ("hours", "hour"),
    ("hourly", "hour"),
    ("daily", "day"),
    ("minutes", "minute"),
    ("january", "january"),
    ("february", "february"),
    ("april", "april"),
    ("june", "june"),
    ("july", "july"),
    ("august", "august"),
    ("september", "september"),
    ("october", "october"),
    ("november", "november"),
    ("december", "december"),
    ("morning", "morning"),
    ("evening", "evening"),
    ("yesterday", "yesterday"),
    ("tomorrow", "tomorrow"),
];

fn time_words(sentence: &Sentence) -> Vec<&'static str> {
    let mut found = Vec::new();
    for (index, word) in sentence.words.iter().enumerate() {
        let before = |steps: usize| index.checked_sub(steps).map_or("", |at| sentence.words[at].text.as_str());
        // "Once a month" is how often: no interval, so its word is asked for here.
        let often = matches!(before(2), "once" | "twice" | "thrice" | "times");
        let counted =
            before(1).starts_with(|first: char| first.is_ascii_digit()) || (matches!(before(1), "a" | "an") && !often);
        if !counted {
            found.extend(TIME_WORDS.iter().find(|(name, _)| *name == word.text).map(|(_, unit)| *unit));
        }
    }
    found
}

fn has_time(sentence: &Sentence, unit: &str) -> bool {
    let same = |word: &str| {
        TIME_WORDS.iter().any(|(name, of)| *name == word && *of == unit)
            || (unit == "day" && matches!(word, "day" | "days" | "qd" | "d"))
            || (unit.len() > 4 && word.len() > 2 && unit.starts_with(word))
            || (unit == "year" && matches!(word, "y" | "yr" | "yrs" | "yo"))
    };
    sentence.words.iter().any(|word| same(&word.text))
}

/// Whether a word in lower case is a drug or a clinical term.
pub(super) fn is_drug_or_clinical(word: &str) -> bool {
    lexicon::drug(word).is_some() || lexicon::is_clinical(word)
}
