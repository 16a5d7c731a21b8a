//! Whether a note says only what its report says, and an answer only what its note says: rules, no model.
//!
//! Both texts are read once ([`Reading`]). A gate takes each fact of its kind from the text and looks for it in the
//! source, first of all in the sentence that the text's own sentence comes from: the one that shares most of its words
//! with content. Scores count facts without support.

mod codes;
mod concepts;
mod denials;
mod figures;
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
use super::dates::Date;
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
    /// The source's codes, the same way.
    codes: OnceCell<codes::Codes>,
}

/// A sentence's origin is known when this share of its content stands in one sentence of the source.
const SAME_SENTENCE: f32 = 0.6;
/// Then it is the source's own.
const VERBATIM: f32 = 0.9;
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
        Self {
            text,
            source,
            reworded: false,
            overlaps,
            own_words,
            quantities,
            surroundings: OnceCell::new(),
            codes: OnceCell::new(),
        }
    }

    /// A text that is asked to say things in words of its own, as answers are.
    #[must_use]
    pub fn reworded(self) -> Self {
        let own_words = vec![true; self.own_words.len()];
        Self { reworded: true, own_words, ..self }
    }

    /// Doses, measurements and other figures that the source does not state with that unit, and grades, vertebrae,
    /// markers and the like of which it names others.
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
            Gate::Quantities => self.facts(|index, sentence| {
                let mut found = self.unsupported_figures(Kind::Measure, index, sentence);
                found.extend(self.unsupported_dates(sentence));
                let codes = self.codes.get_or_init(|| codes::Codes::of(self.source));
                found.extend(
                    codes
                        .lacking(sentence, self.source)
                        .into_iter()
                        .map(|code| format!("{code} in {}", sentence.line.trim())),
                );
                found
            }),
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

    /// Dates that no date of the source is, or tells more of.
    fn unsupported_dates(&self, sentence: &Sentence) -> Vec<String> {
        let known = || self.source.sentences.iter().flat_map(|sentence| sentence.dates.iter().flatten());
        let told = |date: &&Vec<Date>| date.iter().any(|own| known().any(|other| own.is_told_by(*other)));
        let unknown = sentence.dates.iter().filter(|date| !told(date));
        unknown.map(|date| format!("{} in {}", date[0], sentence.line.trim())).collect()
    }

    fn unsupported_times(&self, index: usize, sentence: &Sentence) -> Vec<String> {
        time_words(sentence, self.own_words[index])
            .into_iter()
            .filter(|word| !self.supported(index, |source| has_time(source, word)))
            .map(|word| format!("{word} in {}", sentence.line.trim()))
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
}

fn count(facts: &[String], what: &str) -> Verdict {
    Verdict::new(facts.len() as f32, format!("{} {what} have no support in the source", facts.len()))
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
        || figures::ORDINALS.contains(&word)
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
                      post-operative day. He took low-dose acetylsalicylate. No drug allergies were known, and the scan showed no trauma. The mass was 24 x 11 x 8 mm.";
        for (text, gate, wrong) in [
            ("BMI 18.5 kg/m2.", Gate::Quantities, 0),
            ("BMI 19.5 kg/m2.", Gate::Quantities, 1),
            ("Sutures out on day 12.", Gate::Quantities, 0),
            ("Sutures out on day 14.", Gate::Quantities, 1),
            ("Mass 24 x 11 x 8 mm3.", Gate::Quantities, 0),
            ("Meropenem given.", Gate::Drugs, 0),
            ("Ertapenem given.", Gate::Drugs, 1),
            ("Merrem given.", Gate::Drugs, 0),
            ("Zolpidem given.", Gate::Drugs, 1),
            ("Pt: M, 40 y", Gate::Sex, 0),
            ("Pt: F, 40 y", Gate::Sex, 1),
            ("Allergies: none.", Gate::Negation, 0),
            ("Scan done to look for trauma.", Gate::Negation, 0),
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
