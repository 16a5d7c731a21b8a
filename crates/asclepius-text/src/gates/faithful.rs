//! Whether a note says only what its report says, and an answer only what its note says: rules, no model.
//!
//! Both texts are read once ([`Reading`]). A gate takes each fact of its kind from the text and looks for it in the
//! source, first of all in the sentence that the text's own sentence comes from: the one that shares most of its words
//! with content. Scores count facts without support.

mod concepts;
mod denials;
mod findings;
mod levels;
mod lexicon;
mod opposites;
mod outcomes;
mod person;
mod places;
mod polarity;
mod quantities;
mod reading;
mod results;
mod shorthand;
mod sides;
mod statements;
mod times;

use std::cell::OnceCell;
use std::collections::BTreeSet;

pub use reading::Reading;

use self::quantities::{Kind, Quantity};
use self::reading::Sentence;
use self::times::{TIME_WORDS, has_time, time_words};
use super::{Gate, Verdict};

/// A text beside its source, and what each gate needs of both.
pub struct Pair<'a> {
    text: &'a Reading,
    source: &'a Reading,
    /// The text may say things in words of its own.
    reworded: bool,
    /// For each sentence of the text, how much of it each sentence of the source holds.
    overlaps: Vec<Vec<f32>>,
    /// For each sentence of the text, whether it is in words of its own: then only what contradicts counts against it.
    own_words: Vec<bool>,
    /// Quantities of the source, each with its sentence.
    quantities: Vec<(usize, &'a Quantity)>,
    /// What stands around each of them, once it is asked for.
    surroundings: OnceCell<Vec<places::Surroundings>>,
}

/// A sentence's origin is known when this share of its content stands in one sentence of the source.
const SAME_SENTENCE: f32 = 0.6;
/// Then it is the source's own.
const VERBATIM: f32 = 0.9;
/// So many of something may be counted by who writes.
const FEW: f64 = 4.0;
/// A sentence is copied when it shares so much of its content, and of its neighbouring words, with one of the source.
const COPIED: f32 = 0.5;

impl<'a> Pair<'a> {
    /// Aligns a text with its source.
    pub fn new(text: &'a Reading, source: &'a Reading) -> Self {
        let overlaps: Vec<Vec<f32>> = text.sentences.iter().map(|sentence| source.overlaps(sentence)).collect();
        let own = |(sentence, overlaps): (&Sentence, &Vec<f32>)| {
            let mut origins = source.sentences.iter().zip(overlaps).filter(|(_, overlap)| **overlap >= COPIED);
            !origins.any(|(origin, _)| sentence.copied_from(origin) >= COPIED)
        };
        let own_words = text.sentences.iter().zip(&overlaps).map(own).collect();
        let found = source.sentences.iter().map(|sentence| &sentence.quantities).enumerate();
        let quantities = found.flat_map(|(index, found)| found.iter().map(move |quantity| (index, quantity))).collect();
        Self { text, source, reworded: false, overlaps, own_words, quantities, surroundings: OnceCell::new() }
    }

    /// A text that is asked to say things in words of its own, as answers are.
    #[must_use]
    pub fn reworded(self) -> Self {
        let own_words = vec![true; self.own_words.len()];
        Self { reworded: true, own_words, ..self }
    }

    /// Doses, measurements and other figures that the source does not state with that unit.
    pub fn quantities(&self) -> Verdict {
        count(&self.unsupported(Gate::Quantities), "quantities")
    }

    /// Intervals, times and frequencies that the source does not state.
    pub fn intervals(&self) -> Verdict {
        count(&self.unsupported(Gate::Intervals), "intervals")
    }

    /// Ages that the source does not give its patient; "over 89" stands for any age above that.
    pub fn age(&self) -> Verdict {
        count(&self.unsupported(Gate::Age), "ages")
    }

    /// Whether the text makes a woman of a man or the reverse. Score: 1 or 0.
    pub fn sex(&self) -> Verdict {
        count(&self.unsupported(Gate::Sex), "statements of the patient's sex")
    }

    /// Drugs that the source does not name, or not where the sentence comes from.
    pub fn drugs(&self) -> Verdict {
        count(&self.unsupported(Gate::Drugs), "drugs")
    }

    /// Left that was right, or a side that the source does not give.
    pub fn laterality(&self) -> Verdict {
        count(&self.unsupported(Gate::Laterality), "sides")
    }

    /// Findings that the source denies and the text affirms, or the reverse, and results that came out the other way.
    pub fn negation(&self) -> Verdict {
        count(&self.unsupported(Gate::Negation), "negations")
    }

    /// Statements of which the source knows nothing, and clinical terms that it does not hold.
    pub fn statements(&self) -> Verdict {
        count(&self.unsupported(Gate::Statements), "statements and clinical terms")
    }

    /// The facts that speak against the text under one of these gates, in its own words as the gate reads them: for
    /// whoever checks verdicts by eye, and not for a log. Empty for the other gates.
    pub fn unsupported(&self, gate: Gate) -> Vec<String> {
        match gate {
            Gate::Age => self.facts(|_, sentence| self.unsupported_ages(sentence)),
            Gate::Drugs => self.facts(|index, sentence| self.unsupported_drugs(index, sentence)),
            Gate::Intervals => self.facts(|index, sentence| {
                let mut found = self.unsupported_figures(Kind::Interval, index, sentence);
                found.extend(self.unsupported_times(index, sentence));
                found
            }),
            Gate::Laterality => sides::contradictions(self.text, self.source, &self.overlaps),
            Gate::Negation => {
                let (text, source) = (self.text, self.source);
                let mut found = polarity::contradictions(text, source, &self.overlaps, &self.own_words);
                found.extend(findings::contradictions(text, source, &self.overlaps, &self.own_words, self.reworded));
                found.extend(results::contradictions(text, source, &self.overlaps, &self.own_words));
                found.extend(opposites::contradictions(text, source, &self.overlaps));
                found.extend(denials::added(text, source, &self.own_words));
                found
            }
            Gate::Quantities => self.facts(|index, sentence| self.unsupported_figures(Kind::Measure, index, sentence)),
            Gate::Sex => person::contradict(self.text, self.source).into_iter().collect(),
            Gate::Statements => {
                let measured = |index: usize| self.is_measured(index);
                statements::unsupported(self.text, self.source, &self.overlaps, self.reworded, &measured)
            }
            _ => Vec::new(),
        }
    }

    fn facts(&self, of_sentence: impl Fn(usize, &Sentence) -> Vec<String>) -> Vec<String> {
        self.text.sentences.iter().enumerate().flat_map(|(index, sentence)| of_sentence(index, sentence)).collect()
    }

    fn unsupported_ages(&self, sentence: &Sentence) -> Vec<String> {
        let known: Vec<&Quantity> = self
            .quantities
            .iter()
            .map(|(_, quantity)| *quantity)
            .filter(|quantity| quantity.kind == Kind::Age)
            .collect();
        let above = self.is_of_great_age();
        let ages = sentence.quantities.iter().filter(|quantity| quantity.kind == Kind::Age);
        ages.filter(|age| {
            let general = above && age.values.iter().any(|value| (89.0 * 12.0..=90.0 * 12.0).contains(value));
            let figure = |(_, quantity): &(usize, &Quantity)| {
                quantity.unit.is_none() && age.values.iter().any(|value| quantity.values.contains(&(value / 12.0)))
            };
            // Where the source gives no age as such, a bare figure may be one.
            let supported =
                known.iter().any(|other| age.agrees(other)) || (known.is_empty() && self.quantities.iter().any(figure));
            !general && !supported
        })
        .map(|age| around(sentence, age.at))
        .collect()
    }

    fn unsupported_drugs(&self, index: usize, sentence: &Sentence) -> Vec<String> {
        let named: BTreeSet<&str> = drugs_of(sentence).collect();
        // "Methylpred" and "vanc" name a drug by its beginning.
        let names = |word: &str, drug: &str| {
            lexicon::drug(word) == Some(drug)
                || (word.len() >= 4 && drug.starts_with(word))
                || is_acid_of(word, drug)
                || lexicon::misspells(word, drug)
        };
        named
            .into_iter()
            .filter(|drug| {
                let named = |source: &Sentence| source.words.iter().any(|word| names(&word.text, drug));
                // Words of one's own come from anywhere.
                let anywhere = || self.own_words[index] && self.source.sentences.iter().any(named);
                !self.supported(index, named) && !anywhere()
            })
            .map(str::to_owned)
            .collect()
    }

    fn unsupported_times(&self, index: usize, sentence: &Sentence) -> Vec<String> {
        time_words(sentence, self.own_words[index])
            .into_iter()
            .filter(|word| !self.supported(index, |source| has_time(source, word)))
            .map(|word| format!("{word} in {}", sentence.line.trim()))
            .collect()
    }

    fn unsupported_figures(&self, kind: Kind, index: usize, sentence: &Sentence) -> Vec<String> {
        let asked = sentence.quantities.iter().filter(|quantity| quantity.kind == kind);
        asked
            .filter(|quantity| !self.is_general_age(sentence, quantity))
            .filter(|quantity| !self.supported_figure(index, quantity) || self.is_misplaced(index, quantity))
            .map(|quantity| around(sentence, quantity.at))
            .collect()
    }

    /// "A man over 90" of one who is 93.
    fn is_general_age(&self, sentence: &Sentence, quantity: &Quantity) -> bool {
        let years = |value: &f64| {
            let years = if quantity.unit.is_some() { value / 12.0 } else { *value };
            (89.0..=90.0).contains(&years)
        };
        let before = sentence.line[..quantity.at].trim_end();
        let above = ["over", "above", "than", ">", "aged"].iter().any(|word| before.ends_with(word));
        above && quantity.values.iter().any(years) && self.is_of_great_age()
    }

    fn is_of_great_age(&self) -> bool {
        let ages = self.quantities.iter().filter(|(_, quantity)| quantity.kind == Kind::Age);
        ages.filter(|(_, age)| age.unit.as_deref() == Some("month"))
            .any(|(_, age)| age.values.iter().any(|value| *value > 89.0 * 12.0))
    }

    /// Whether the source states the figure where the the sentence comes from, or beside the same words.
    fn supported_figure(&self, index: usize, asked: &Quantity) -> bool {
        let line = self.text.sentences[index].line.as_str();
        let agreeing: Vec<&(usize, &Quantity)> =
            self.quantities.iter().filter(|(_, quantity)| asked.agrees(quantity)).collect();
        // "One" is an article as often.
        if self.own_words[index] && asked.unit.is_none() && !asked.counts && asked.values == [1.0] {
            return true;
        }
        // Who writes in words of his own counts what the source lists: "the first of two brothers", "four coils".
        let few = asked.values.iter().all(|value| (1.0..=FEW).contains(value) && value.fract() == 0.0);
        if self.own_words[index]
            && asked.kind == Kind::Measure
            && asked.unit.is_none()
            && few
            && (asked.values == [2.0] || !agreeing.is_empty())
        {
            return true;
        }
        if agreeing.is_empty() {
            return self.stated_otherwise(index, asked);
        }
        if self.own_words[index] && asked.kind == Kind::Measure && asked.unit.is_none() && !self.reworded {
            return true;
        }
        // In words of one's own a telling figure needs no word of the source beside it.
        let telling_figure =
            asked.precision < asked.scale * 0.99 || asked.values.iter().any(|value| value / asked.scale >= 13.0);
        let same_unit = asked.unit.is_none() || agreeing.iter().any(|(_, found)| found.unit == asked.unit);
        if self.own_words[index] && asked.kind == Kind::Measure && telling_figure && same_unit {
            return true;
        }
        let stems = self.context(line, asked.at);
        // One word alone may stand for something else there, a drug hardly.
        let telling = stems.len() > 1 || stems.iter().any(|stem| lexicon::DRUG_STEMS.contains(stem));
        let beside = |found: &(usize, &Quantity)| {
            let near = within(&self.source.sentences[found.0].line, found.1.at, FAR);
            // "Pred" and "vanc" stand for what they begin.
            let begins = |stem: &str| {
                let mut words = near.split(|letter: char| !letter.is_alphabetic());
                words.any(|word| word.len() >= 4 && lexicon::is_content(word) && stem.starts_with(word))
            };
            let told = |near: &str| stems.iter().any(|stem| near.contains(stem.as_str()));
            // Who writes in words of his own draws neighbouring sentences into one.
            let neighbour = |at: usize| self.source.sentences.get(at).is_some_and(|sentence| told(&sentence.line));
            told(near)
                || stems.iter().any(|stem| begins(stem))
                || (self.own_words[index]
                    && asked.kind == Kind::Interval
                    && (neighbour(found.0.wrapping_sub(1)) || neighbour(found.0 + 1)))
        };
        let best = self.overlaps[index].iter().copied().fold(0.0, f32::max);
        let copied = self.is_copied(index);
        if best >= SAME_SENTENCE && self.text.sentences[index].content.len() >= 3 {
            let near = self.near_origin(index, agreeing.iter().map(|(at, _)| *at));
            if near || copied {
                return near || self.stated_otherwise(index, asked);
            }
        }
        // A dose whose unit the source leaves out there is told from another figure by the words beside it alone.
        let stated = self.reworded || asked.unit.is_none() || agreeing.iter().any(|(_, found)| found.unit.is_some());
        (!telling && stated) || agreeing.iter().any(|found| beside(found)) || self.stated_otherwise(index, asked)
    }

    /// Beginnings of the words with content closest to a place in a line, as far as the source holds them.
    fn context(&self, line: &str, at: usize) -> Vec<String> {
        let (before, after) = line.split_at(at);
        let word = |word: &str| -> Option<String> {
            let word = word.trim_matches(|character: char| !character.is_alphabetic());
            let stem = reading::stem(word);
            let counts = lexicon::is_content(word) && word.is_ascii() && (3..=7).contains(&stem.len());
            (counts && self.source.known.contains(word)).then_some(stem)
        };
        let mut stems: Vec<String> = before.rsplit(' ').take(5).filter_map(word).take(2).collect();
        stems.extend(after.split(' ').skip(1).take(4).filter_map(word).take(1));
        stems
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
        let near = |at: usize| overlaps.get(at).is_some_and(|overlap| *overlap >= 0.5 * best);
        let support: Vec<usize> = support.collect();
        // Who writes in words of his own draws neighbouring sentences into one.
        support.iter().any(|&at| near(at))
            || (support.iter().any(|&at| near(at.wrapping_sub(1)) || near(at + 1)) && !self.is_copied(index))
    }

    /// Whether most pairs of neighbouring words stand in one sentence of the source.
    fn is_copied(&self, index: usize) -> bool {
        let sentence = &self.text.sentences[index];
        let origins = self.source.sentences.iter().zip(&self.overlaps[index]);
        origins.filter(|(_, overlap)| **overlap >= VERBATIM).any(|(origin, _)| sentence.copied_from(origin) >= 0.7)
    }

    /// Whether the sentence tells two or more figures and the source has them all, most of them in one sentence or two
    /// neighbouring ones: then it tells what the source tells, in whatever words.
    fn is_measured(&self, index: usize) -> bool {
        let told: Vec<&Quantity> = self.text.sentences[index]
            .quantities
            .iter()
            .filter(|quantity| quantity.unit.is_some() || quantity.values.iter().any(|value| *value >= 10.0))
            .collect();
        let places = |asked: &Quantity| -> BTreeSet<usize> {
            let agreeing = self.quantities.iter().filter(|(_, found)| asked.agrees(found));
            agreeing.flat_map(|(at, _)| [*at, at + 1]).collect()
        };
        let places: Vec<BTreeSet<usize>> = told.into_iter().map(places).collect();
        let together = |at: &usize| places.iter().filter(|places| places.contains(at)).count() * 3 >= places.len() * 2;
        places.len() >= 2 && places.iter().all(|places| !places.is_empty()) && places.iter().flatten().any(together)
    }

    /// A figure that the source has as an ordinal ("the fourth day"), or whose unit it says once for several ("at three
    /// months and at six").
    fn stated_otherwise(&self, index: usize, asked: &Quantity) -> bool {
        let stated = asked.values.first().map_or(0.0, |value| value / asked.scale);
        if asked.counts {
            let word = ORDINALS.get((stated as usize).wrapping_sub(1));
            let spelled = word.is_some_and(|word| self.source.known.contains(*word));
            let in_figures = |end: &str| {
                let ordinal = format!("{stated}{end}");
                let whole = |line: &str| {
                    line.match_indices(&ordinal)
                        .any(|(at, _)| !line[..at].ends_with(|last: char| last.is_ascii_digit()))
                };
                self.source.sentences.iter().any(|sentence| whole(&sentence.line))
            };
            return spelled || ["th", "st", "nd", "rd"].into_iter().any(in_figures);
        }
        // "Every 24 hours" is daily, "every 12" twice daily.
        let often = [24.0, 12.0, 8.0, 6.0].iter().any(|hours| (stated - hours).abs() < 1e-9);
        let hourly = (asked.scale - 1.0 / 24.0).abs() < 1e-9 && asked.unit.as_deref() == Some("day");
        let told = || DAILY.iter().any(|word| self.source.known.contains(*word));
        if asked.kind == Kind::Interval && often && hourly && told() {
            return true;
        }
        // "Nine days before" of what happened on day 1 of nine.
        let day =
            |(_, found): &(usize, &Quantity)| found.counts && found.counted.is_some() && found.counted == asked.span();
        let line = &self.text.sentences[index].line[asked.at..];
        let apart = || line.split([' ', ',', '.', ';', ')']).skip(1).take(2).any(|word| APART.contains(&word));
        if self.own_words[index] && asked.kind == Kind::Interval && apart() {
            let days = self.quantities.iter().filter(|found| day(found));
            if days.flat_map(|(_, found)| &found.values).any(|value| (value - stated).abs() < 1e-6) {
                return true;
            }
        }
        let bare = |at: usize| {
            let same = |(index, found): &&(usize, &Quantity)| *index == at && found.unit.is_none() && !found.counts;
            self.quantities.iter().filter(same).any(|(_, found)| found.values.contains(&stated))
        };
        let unit_once = |(at, found): &(usize, &Quantity)| {
            found.kind == Kind::Interval && found.unit == asked.unit && found.scale == asked.scale && bare(*at)
        };
        // In words of one's own the unit may come from elsewhere, unless the source has the figure with another one.
        let shares = |at: usize| self.overlaps[index].get(at).is_some_and(|overlap| *overlap > 0.0);
        let otherwise = |(at, found): &(usize, &Quantity)| {
            let same = found.values.iter().any(|value| (value / found.scale - stated).abs() < 1e-6);
            let unit = found.unit != asked.unit || (found.scale - asked.scale).abs() > 1e-9;
            found.kind == Kind::Interval && same && unit && shares(*at)
        };
        let elsewhere = || {
            !self.quantities.iter().any(otherwise) && (0..self.source.sentences.len()).any(|at| bare(at) && shares(at))
        };
        asked.kind == Kind::Interval
            && (self.quantities.iter().any(unit_once) || (self.own_words[index] && self.reworded && elsewhere()))
    }
}

fn count(facts: &[String], what: &str) -> Verdict {
    Verdict::new(facts.len() as f32, format!("{} {what} have no support in the source", facts.len()))
}

const ORDINALS: &[&str] = &[
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
];

/// Words after a stretch of time that lies between two events.
const APART: &[&str] = &["ago", "earlier", "previously", "before", "prior", "later", "after", "since"];

/// How often a day, without a figure for the hours between.
const DAILY: &[&str] = &["daily", "bid", "bd", "sid", "qd", "od", "tid", "tds", "qid", "qds", "twice"];

/// Bytes on each side of a figure in which the source must hold one of the words beside it.
const FAR: usize = 90;

/// What stands around a place.
fn within(line: &str, at: usize, bytes: usize) -> &str {
    let from = (0..=at.saturating_sub(bytes)).rev().find(|&from| line.is_char_boundary(from)).unwrap_or(0);
    let to = ((at + bytes).min(line.len())..=line.len()).find(|&to| line.is_char_boundary(to)).unwrap_or(line.len());
    &line[from..to]
}

/// A place in a sentence with some of what stands there.
fn around(sentence: &Sentence, at: usize) -> String {
    let line = sentence.line.as_str();
    let from = line[..at].char_indices().rev().take(30).last().map_or(at, |(from, _)| from);
    let to = line[at..].char_indices().nth(24).map_or(line.len(), |(to, _)| at + to);
    format!("{}[{}", &line[from..at], &line[at..to])
}

fn drugs_of(sentence: &Sentence) -> impl Iterator<Item = &str> {
    sentence.words.iter().filter_map(|word| lexicon::drug(&word.text))
}

/// "Alendronic acid" is alendronate.
fn is_acid_of(word: &str, drug: &str) -> bool {
    drug.strip_suffix("ate").is_some_and(|root| word.strip_suffix("ic") == Some(root))
}

/// Whether a word in lower case says how many, how much, how long or when.
pub(crate) fn counts_or_measures(word: &str) -> bool {
    reading::numeral(word).is_some()
        || ORDINALS.contains(&word)
        || TIME_WORDS.iter().any(|(name, _)| *name == word)
        || quantities::is_unit(word)
}

/// Whether any note may hold a word in lower case: it says nothing about a particular patient.
pub(crate) fn is_common(word: &str) -> bool {
    !lexicon::is_content(word)
}

/// Whether a word in lower case is a drug or a clinical term.
pub(crate) fn is_drug_or_clinical(word: &str) -> bool {
    lexicon::drug(word).is_some() || lexicon::is_clinical(word)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn against(text: &str, source: &str, gate: Gate) -> usize {
        let (text, source) = (Reading::of(text), Reading::of(source));
        Pair::new(&text, &source).unsupported(gate).len()
    }

    #[test]
    fn what_a_report_spells_otherwise_is_the_same() {
        let report = "A man with a body mass index of 18.5 kg/m2 was given meropemen. Sutures were removed on the 12th \
                      post-operative day. She took low-dose acetylsalicylate. The mass was 24 x 11 x 8 mm.";
        for (text, gate, wrong) in [
            ("BMI 18.5 kg/m2.", Gate::Quantities, 0),
            ("BMI 19.5 kg/m2.", Gate::Quantities, 1),
            ("Sutures out on day 12.", Gate::Quantities, 0),
            ("Sutures out on day 14.", Gate::Quantities, 1),
            ("Mass 24 x 11 x 8 mm3.", Gate::Quantities, 0),
            ("Meropenem given.", Gate::Drugs, 0),
            ("Ertapenem given.", Gate::Drugs, 1),
            ("Low-dose aspirin.", Gate::Drugs, 0),
        ] {
            assert_eq!(against(text, report, gate), wrong, "{text}");
        }
    }

    #[test]
    fn shorthand_says_what_prose_says() {
        let report = "A 45-year-old man had three weeks of fever. There was no rash and no swelling of the left knee. \
            Blood cultures were negative. Vancomycin 1 g was given every 12 hours for 7 days from day 3. The ejection fraction \
            was 55%. The right coronary artery was occluded.";
        let note =
            "45M, 3/52 fever. No rash, L knee swelling. BCx neg. Vanc 1 g q12h x7 d from D3. EF 55%. RCA occluded.";
        for gate in Gate::COMPARING {
            assert_eq!(against(note, report, gate), 0, "{gate:?}");
        }
        for (wrong, gate) in [
            ("3/12 fever", Gate::Intervals),
            ("Rash.", Gate::Negation),
            ("R knee swelling", Gate::Laterality),
            ("Vanc 1 mg q12h", Gate::Quantities),
            ("Vanc 1 g q12h x9 d", Gate::Intervals),
            ("LCA occluded", Gate::Laterality),
            ("45F with fever", Gate::Sex),
            ("54M with fever", Gate::Age),
            ("Given gentamicin.", Gate::Drugs),
            ("Splenectomy was performed.", Gate::Statements),
        ] {
            assert!(against(wrong, report, gate) > 0, "{wrong}: {gate:?}");
        }
    }

    #[test]
    fn an_age_over_89_may_be_said_in_general_and_no_other() {
        let report = "A 93-year-old woman fell.";
        for (note, wrong) in
            [(">89-year-old woman", 0), ("93 yo F", 0), ("91-year-old woman", 1), ("89-year-old woman", 0)]
        {
            assert_eq!(against(note, report, Gate::Age), wrong, "{note}");
        }
        assert_eq!(against(">89-year-old man", "An 80-year-old man fell.", Gate::Age), 1);
    }

    proptest! {
        #[test]
        fn any_text_is_read(
            text in "(?:twenty|five|30|no |w/o|q8h|x3|D3|[“°×–µéß'.,/+-]|[LR] knee|\\PC|mg|days| ){0,24}",
            source in "(?:thirty|six|30|not |neg|[“°×–µéß'.,/+-]|\\PC|right|week| ){0,24}",
        ) {
            let (text, source) = (Reading::of(&text), Reading::of(&source));
            for (text, source) in [(&text, &source), (&text, &text)] {
                let pair = Pair::new(text, source);
                for gate in Gate::COMPARING {
                    pair.unsupported(gate);
                }
            }
        }
    }
}
