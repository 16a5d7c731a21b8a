//! Whether the source has a figure of the text, in that unit and where the text puts it.

use std::collections::BTreeSet;

use super::quantities::{self, Kind, Quantity};
use super::reading::{self, Sentence, Word};
use super::{Pair, SAME_SENTENCE, around, lexicon};

/// So many of something may be counted by who writes.
const FEW: f64 = 4.0;

/// By what a number counts.
pub(super) const ORDINALS: &[&str] = &[
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

/// Behind a figure they make it an ordinal.
pub(super) const ENDS: &[&str] = &["th", "st", "nd", "rd"];

/// The stems of what "type 2" stands before.
fn typed(line: &str, at: usize) -> Vec<String> {
    const WORDS: usize = 3;
    let behind = line[at..].split([' ', ',', '.', ';', '(', ')']).skip(1).take(WORDS);
    behind.filter(|word| lexicon::is_content(word)).map(reading::stem).collect()
}

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

impl Pair<'_> {
    /// Figures of a sentence without support.
    pub(super) fn unsupported_figures(&self, kind: Kind, index: usize, sentence: &Sentence) -> Vec<String> {
        let asked = sentence.quantities.iter().filter(|quantity| quantity.kind == kind);
        asked
            .filter(|quantity| !self.is_general_age(sentence, quantity))
            .filter(|quantity| {
                self.is_other_designation(index, quantity)
                    || !self.supported_figure(index, quantity)
                    || self.is_misplaced(index, quantity)
            })
            .map(|quantity| around(sentence, quantity.at))
            .collect()
    }

    /// A grade, where the source has grades and not this one. Of types only those of the same thing are alike.
    fn is_other_designation(&self, index: usize, asked: &Quantity) -> bool {
        let Some((of, _)) = asked.designates else { return false };
        let own = typed(&self.text.sentences[index].line, asked.at);
        let alike = |(sentence, found): &&(usize, &Quantity)| {
            let of_same = of != "type" || {
                let other = typed(&self.source.sentences[*sentence].line, found.at);
                own.iter().any(|stem| other.contains(stem))
            };
            asked.designates_alike(found) && of_same
        };
        let mut others = self.quantities.iter().filter(alike).peekable();
        others.peek().is_some() && !others.any(|(_, found)| asked.is_same_designation(found))
    }

    /// Whether the source states the figure where the sentence comes from, or beside the same words.
    fn supported_figure(&self, index: usize, asked: &Quantity) -> bool {
        let line = self.text.sentences[index].line.as_str();
        // In words of one's own six days are a week.
        let about = |found: &Quantity| self.own_words[index] && asked.is_about() && asked.is_nearly(found);
        let agreeing: Vec<&(usize, &Quantity)> =
            self.quantities.iter().filter(|(_, found)| asked.agrees(found) || about(found)).collect();
        // "One" is an article as often.
        if self.own_words[index] && asked.unit.is_none() && !asked.counts && asked.values == [1.0] {
            return true;
        }
        // Who writes in words of his own counts what the source lists: "the first of two brothers", "four coils".
        let few = asked.values.iter().all(|value| (1.0..=FEW).contains(value) && value.fract() == 0.0);
        if self.own_words[index]
            && asked.kind == Kind::Measure
            && asked.unit.is_none()
            && !asked.counts
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
        let (stems, names_drug) = self.context(line, asked.at);
        // One word alone may stand for something else there, a drug hardly.
        let telling = stems.len() > 1 || names_drug;
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

    /// Beginnings of the words with content closest to a place in a line, as far as the source holds them, and whether
    /// one of these names a drug.
    fn context(&self, line: &str, at: usize) -> (Vec<String>, bool) {
        let (before, after) = line.split_at(at);
        let word = |word: &str| -> Option<(String, bool)> {
            let word = word.trim_matches(|character: char| !character.is_alphabetic());
            let stem = reading::stem(word);
            let counts = lexicon::is_content(word) && word.is_ascii() && (3..=7).contains(&stem.len());
            (counts && self.source.known.contains(word)).then(|| (stem, lexicon::drug(word).is_some()))
        };
        let near = before.rsplit(' ').take(5).filter_map(word).take(2);
        let (stems, drugs): (Vec<String>, Vec<bool>) =
            near.chain(after.split(' ').skip(1).take(4).filter_map(word).take(1)).unzip();
        (stems, drugs.contains(&true))
    }

    /// Whether the sentence tells two or more figures and the source has them all, most of them in one sentence or two
    /// neighbouring ones: then it tells what the source tells, in whatever words.
    pub(super) fn is_measured(&self, index: usize) -> bool {
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

    /// "The fourth day", "the 20th hospital day" of what counts days; "the tenth week" of ten weeks.
    fn has_ordinal(&self, number: f64, span: Option<(f64, &'static str)>) -> bool {
        /// Words between the ordinal and what it counts.
        const BETWEEN: usize = 3;
        let spelt = ORDINALS.get((number as usize).wrapping_sub(1));
        let figure = number.to_string();
        self.source.sentences.iter().any(|sentence| {
            let words = &sentence.words;
            (0..words.len()).any(|at| {
                let ended = words.get(at + 1).is_some_and(|end| ENDS.contains(&end.text.as_str()));
                let ordinal = Some(&words[at].text.as_str()) == spelt || (words[at].text == figure && ended);
                let mut behind = words[at + 1..].iter().take(BETWEEN + usize::from(ended));
                let counts = |word: &Word| {
                    quantities::is_span(&word.text) && span.is_some_and(|span| span == quantities::time(&word.text))
                };
                // "On the 5th and 9th post-operative day".
                let listed = || {
                    let joins = |word: &&Word| {
                        ORDINALS.contains(&word.text.as_str())
                            || ENDS.contains(&word.text.as_str())
                            || word.text.starts_with(|first: char| first.is_ascii_digit())
                            || matches!(
                                word.text.as_str(),
                                "and" | "or" | "to" | "post" | "operative" | "postoperative" | "hospital"
                            )
                    };
                    words[at + 1..].iter().find(|word| !joins(word)).is_some_and(counts)
                };
                // "On day seventh".
                let before = at.checked_sub(1).is_some_and(|before| counts(&words[before]));
                ordinal && (span.is_none() || before || behind.any(counts) || listed())
            })
        })
    }

    /// A figure that the source has as an ordinal ("the fourth day"), or whose unit it says once for several ("at three
    /// months and at six").
    fn stated_otherwise(&self, index: usize, asked: &Quantity) -> bool {
        let stated = asked.values.first().map_or(0.0, |value| value / asked.scale);
        let span = asked.counted.or_else(|| asked.span());
        if (asked.counts || asked.kind == Kind::Interval) && self.has_ordinal(stated, span) {
            return true;
        }
        // "A week" up to the seventh day.
        let in_days = span.filter(|(_, base)| *base == "day").and_then(|_| asked.values.first());
        if asked.is_about() && in_days.is_some_and(|days| self.has_ordinal(*days, Some((1.0, "day")))) {
            return true;
        }
        if asked.counts {
            return false;
        }
        // "Nodes 9 and 10" of the 9th and 10th.
        if asked.kind == Kind::Measure && asked.unit.is_none() && stated > FEW && self.has_ordinal(stated, None) {
            return true;
        }
        // "Every 24 hours" is daily, "every 12" twice daily.
        let often = [24.0, 12.0, 8.0, 6.0].iter().any(|hours| (stated - hours).abs() < 1e-9);
        let hourly = (asked.scale - 1.0 / 24.0).abs() < 1e-9 && asked.unit.as_deref() == Some("day");
        let told = || DAILY.iter().any(|word| self.source.known.contains(*word));
        if asked.kind == Kind::Interval && often && hourly && told() {
            return true;
        }
        // "Nine days before" of what happened on day 1 of nine, "34 days in intensive care" of who left it on day 34.
        let day =
            |(_, found): &(usize, &Quantity)| found.counts && found.counted.is_some() && found.counted == asked.span();
        let line = &self.text.sentences[index].line[asked.at..];
        let apart = || line.split([' ', ',', '.', ';', ')']).skip(1).take(2).any(|word| APART.contains(&word));
        if self.own_words[index] && asked.kind == Kind::Interval && (stated > FEW || apart()) {
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

#[cfg(test)]
mod tests {
    use super::super::{Gate, Reading};
    use super::Pair;

    #[test]
    fn figures_are_the_same_however_they_are_written() {
        let report = "The white cell count was 14.8 × 109/L and platelets 210 × 10^9/L. A 2.7 centimeter foreign body was \
                      removed, and 5 micrograms were given. On the 20th hospital day he had fever; in the tenth week after \
                      surgery he walked. The second lesion was smaller. DSM-V criteria were met. The wound was closed on the 5th and 9th \
                      post-operative day. After two additional months, on March 27th, he left; on day 7 he had gone to rehab.";
        let found = |note: &str| {
            let (note, report) = (Reading::of(note), Reading::of(report));
            let pair = Pair::new(&note, &report);
            [Gate::Quantities, Gate::Intervals].into_iter().map(|gate| pair.unsupported(gate).len()).sum::<usize>()
        };
        for right in [
            "WCC 14.8 x 10^9/L.",
            "WCC 14.8 × 10⁹/L, platelets 210.",
            "WCC 14.8 x10(9)/L.",
            "A 2.7 cm foreign body.",
            "Given 5 mcg.",
            "Fever on hospital day 20.",
            "Walked ten weeks after surgery.",
            "DSM-5 criteria met.",
            "POD 5 + POD 9: wound closed.",
            "27 Mar: left after two months.",
            "D7 d/c to rehab.",
        ] {
            assert_eq!(found(right), 0, "{right}");
        }
        for wrong in [
            "WCC 14.8 x 10^6/L.",
            "WCC 15.8 x 10^9/L.",
            "A 2.7 mm foreign body.",
            "Given 5 mg.",
            "Fever on hospital day 2.",
            "Walked six weeks after surgery.",
            "17 Mar: left.",
            "Left after three months.",
        ] {
            assert!(found(wrong) > 0, "{wrong}");
        }
    }
}
