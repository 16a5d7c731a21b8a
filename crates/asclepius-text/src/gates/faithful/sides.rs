//! Left and right, bound to what they stand beside.

use super::reading::{Reading, Sentence, Word};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
    Both,
}

fn side(sentence: &Sentence, at: usize) -> Option<Side> {
    let word = |index: usize| sentence.words.get(index).map_or("", |word| word.text.as_str());
    match word(at) {
        // "left the hospital", "was left open"
        "left"
            if matches!(
                word(at + 1),
                "the"
                    | "hospital"
                    | "home"
                    | "against"
                    | "untreated"
                    | "open"
                    | "intact"
                    | "alone"
                    | "in"
                    | "exposed"
                    | "unrepaired"
                    | "unclosed"
                    | "untouched"
                    | "behind"
                    | "him"
                    | "her"
                    | "us"
            ) || matches!(word(at.wrapping_sub(1)), "she" | "he" | "they" | "we" | "patient" | "who") =>
        {
            None
        }
        // "The left and right elbows" are both.
        "left" if matches!(word(at + 1), "and" | "or") && word(at + 2) == "right" => Some(Side::Both),
        "right" if matches!(word(at + 1), "and" | "or") && word(at + 2) == "left" => Some(Side::Both),
        "right" | "left"
            if at >= 2 && matches!(word(at - 1), "and" | "or") && matches!(word(at - 2), "left" | "right") =>
        {
            Some(Side::Both)
        }
        // "R + L".
        "left" | "l" if matches!(word(at + 1), "right" | "r") => both_letters(sentence, at, at + 1),
        "right" | "r" if matches!(word(at + 1), "left" | "l") => both_letters(sentence, at, at + 1),
        "left" | "l" if at > 0 && matches!(word(at - 1), "right" | "r") => both_letters(sentence, at - 1, at),
        "right" | "r" if at > 0 && matches!(word(at - 1), "left" | "l") => both_letters(sentence, at - 1, at),
        "left" if is_remainder(sentence, at) => None,
        "left" => Some(Side::Left),
        "right" if word(at + 1) == "after" => None,
        "right" => Some(Side::Right),
        "bilateral" | "bilaterally" | "both" => Some(Side::Both),
        "l" | "r" => letter(sentence, at),
        _ => None,
    }
}

/// Two sides next to each other, words or capitals.
fn both_letters(sentence: &Sentence, one: usize, other: usize) -> Option<Side> {
    let told = |at: usize| sentence.words[at].text.len() > 1 || sentence.words[at].capitals;
    (told(one) && told(other)).then_some(Side::Both)
}

/// "A defect left 3.5 x 8 cm wide".
fn is_remainder(sentence: &Sentence, at: usize) -> bool {
    let words = &sentence.words;
    let figure = |word: &Word| word.text.starts_with(|first: char| first.is_ascii_digit());
    let extent = words.get(at + 1).is_some_and(figure)
        && words.get(at + 2).is_some_and(|by| matches!(by.text.as_str(), "x" | "by"));
    let of = at.checked_sub(1).is_some_and(|before| words[before].phrase == words[at].phrase);
    extent && of && !words.iter().any(|word| word.text == "right")
}

/// A capital alone before a word ("R knee"), which is no litre and no room.
fn letter(sentence: &Sentence, at: usize) -> Option<Side> {
    let word = sentence.words.get(at).filter(|word| word.capitals)?;
    let figure =
        |near: Option<&Word>| near.is_some_and(|near| near.text.starts_with(|first: char| first.is_ascii_digit()));
    let (before, after) = (at.checked_sub(1).and_then(|at| sentence.words.get(at)), sentence.words.get(at + 1));
    let measured =
        after.is_none_or(|after| matches!(after.text.as_str(), "min" | "day" | "d" | "h" | "hr" | "kg" | "of"));
    if figure(before) || figure(after) || measured {
        return None;
    }
    // "NMDA-R" is a receptor.
    let hyphened = at > 0 && sentence.line.contains(&format!("{}-{}", sentence.words[at - 1].text, word.text));
    if hyphened {
        return None;
    }
    Some(if word.text == "l" { Side::Left } else { Side::Right })
}

struct Mention {
    sentence: usize,
    at: usize,
    side: Side,
}

fn mentions(reading: &Reading) -> Vec<Mention> {
    let in_sentence = |(sentence, words): (usize, &Sentence)| {
        let found = (0..words.words.len()).filter_map(|at| Some(Mention { sentence, at, side: side(words, at)? }));
        found.collect::<Vec<_>>()
    };
    reading.sentences.iter().enumerate().flat_map(in_sentence).collect()
}

/// Sides of the text whose closest mention in the source has another side, or that the source never gives.
pub(super) fn contradictions(text: &Reading, source: &Reading, overlaps: &[Vec<f32>]) -> Vec<String> {
    let known = mentions(source);
    let pair = Aligned { text, source, overlaps };
    let shown = |mention: &Mention| {
        let words = &text.sentences[mention.sentence].words;
        let near = &words[mention.at.saturating_sub(4)..(mention.at + 5).min(words.len())];
        near.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ")
    };
    // "Left more than right" gives both.
    let compared = |asked: &Mention| {
        let words = &text.sentences[asked.sentence].words;
        let near = &words[asked.at.saturating_sub(3)..(asked.at + 4).min(words.len())];
        near.iter().any(|word| word.text == "than" || word.text == "versus")
    };
    let plain = mentions(text)
        .into_iter()
        .filter(|asked| !compared(asked))
        .filter(|asked| pair.contradicted(asked, &known, true));
    let short = shorthand(text).into_iter();
    let short = short.filter(|asked| pair.contradicted(asked, &written_out(text, asked, source), false));
    plain.chain(short).map(|mention| shown(&mention)).collect()
}

struct Aligned<'a> {
    text: &'a Reading,
    source: &'a Reading,
    overlaps: &'a [Vec<f32>],
}

impl Aligned<'_> {
    /// Whether the mention in the source that is most like this one has the other side. `needed`: also where the source
    /// gives no side at all.
    fn contradicted(&self, asked: &Mention, known: &[Mention], needed: bool) -> bool {
        // Where a sentence names both sides, the sentence it comes from does not tell which is where.
        let words = &self.text.sentences[asked.sentence];
        let sides = (0..words.words.len()).filter_map(|at| side(words, at)).collect::<Vec<_>>();
        let one_side = sides.iter().all(|side| *side == sides[0]);
        let weight = if one_side { 6.0 } else { 1.0 };
        // Where it names left and right, only a much closer mention of the other side counts.
        let names_both = sides.contains(&Side::Left) && sides.contains(&Side::Right);
        let closer = if names_both { 1.0 } else { 0.5 };
        let closest = |side: Side| {
            let same = known.iter().filter(|mention| mention.side == side);
            same.map(|mention| {
                let words = likeness(
                    &self.text.sentences[asked.sentence],
                    asked.at,
                    &self.source.sentences[mention.sentence],
                    mention.at,
                );
                words + weight * self.overlaps[asked.sentence][mention.sentence]
            })
            .fold(None, |best: Option<f32>, likeness| Some(best.map_or(likeness, |best| best.max(likeness))))
        };
        let alike = |same: bool| {
            let mentions = known.iter().filter(|mention| (mention.side == asked.side) == same);
            mentions.map(|mention| self.goes_on_alike(asked, mention)).max().unwrap_or_default()
        };
        if alike(true) > alike(false) {
            return false;
        }
        if asked.side != Side::Both && self.is_of_both(asked, known) {
            return true;
        }
        let (left, right, both) = (closest(Side::Left), closest(Side::Right), closest(Side::Both));
        let (own, other) = match asked.side {
            // "Both" is too common a word to ask for; two sides in one sentence are both.
            Side::Both => return false,
            Side::Left => (left, right),
            Side::Right => (right, left),
        };
        match (own, other) {
            (None, None) => needed && both.is_none(),
            (None, Some(_)) => true,
            (Some(own), Some(other)) => own + closer < other,
            (Some(_), None) => false,
        }
    }
}

impl Aligned<'_> {
    /// How many words with content a mention in the source goes on with that this one has, too: "right disc had become
    /// pale" where "the right optic disc was pale".
    fn goes_on_alike(&self, asked: &Mention, known: &Mention) -> usize {
        let own = behind(&self.text.sentences[asked.sentence], asked.at);
        let other = behind(&self.source.sentences[known.sentence], known.at);
        own.iter().filter(|stem| other.contains(stem)).count()
    }

    /// Whether the source says of both sides what the text says of one, and never names that side beside any of its
    /// words.
    fn is_of_both(&self, asked: &Mention, known: &[Mention]) -> bool {
        let sentence = &self.text.sentences[asked.sentence];
        let (own, near) = (behind(sentence, asked.at), around(sentence, asked.at));
        let Some(noun) = own.first() else { return false };
        let both = |mention: &&Mention| mention.side == Side::Both;
        let named = |mention: &Mention| {
            let there = around(&self.source.sentences[mention.sentence], mention.at);
            near.iter().any(|stem| there.contains(stem))
        };
        let of_both =
            |mention: &Mention| behind(&self.source.sentences[mention.sentence], mention.at).first() == Some(noun);
        known.iter().filter(both).any(of_both)
            && !known.iter().any(|mention| mention.side == asked.side && named(mention))
    }
}

/// Words behind a side that may say what is there.
const BEHIND: usize = 6;

/// The stems of the words behind a side, up to the next side or the end of the clause.
fn behind(sentence: &Sentence, at: usize) -> Vec<&str> {
    let words = &sentence.words;
    let next = (at + 1..words.len().min(at + 1 + BEHIND))
        .take_while(|&next| words[next].clause == words[at].clause && side(sentence, next).is_none());
    next.map(|next| words[next].stem.as_str()).filter(|stem| !stem.is_empty()).collect()
}

/// Words of the shape of "LCA" or "RVOT", whose first letter may be a side.
fn shorthand(reading: &Reading) -> Vec<Mention> {
    let in_sentence = |(sentence, words): (usize, &Sentence)| {
        let found =
            words.words.iter().enumerate().filter(|(_, word)| word.capitals && (2..=5).contains(&word.text.len()));
        let side = |text: &str| match text.as_bytes()[0] {
            b'l' => Some(Side::Left),
            b'r' => Some(Side::Right),
            _ => None,
        };
        let found = found.filter_map(|(at, word)| Some(Mention { sentence, at, side: side(&word.text)? }));
        found.collect::<Vec<_>>()
    };
    reading.sentences.iter().enumerate().flat_map(in_sentence).collect()
}

/// Where the source has the shorthand, or the one for the other side, or the words it can stand for: "left coronary
/// artery" for "LCA". Words that begin alike and name no side ("lumbar puncture" for "LP") speak for the shorthand as
/// it is.
fn written_out(text: &Reading, asked: &Mention, source: &Reading) -> Vec<Mention> {
    let short = text.sentences[asked.sentence].words[asked.at].text.as_str();
    let rest = &short[1..];
    let mut found = Vec::new();
    for (sentence, words) in source.sentences.iter().enumerate() {
        for (at, word) in words.words.iter().enumerate() {
            let first = word.text.as_str();
            let side = if word.capitals && first.len() == short.len() && first[1..] == *rest {
                match first.as_bytes()[0] {
                    b'l' => Some(Side::Left),
                    b'r' => Some(Side::Right),
                    _ => None,
                }
            } else if first.starts_with(&short[..1]) || matches!(first, "left" | "right") {
                let after = words.words.get(at + 1..at + 1 + rest.len());
                let spelt = after.is_some_and(|after| {
                    after.iter().zip(rest.chars()).all(|(word, letter)| word.text.starts_with(letter))
                });
                match first {
                    _ if !spelt => None,
                    "left" => Some(Side::Left),
                    "right" => Some(Side::Right),
                    _ if word.stem.is_empty() => None,
                    _ => Some(asked.side),
                }
            } else {
                None
            };
            found.extend(side.map(|side| Mention { sentence, at, side }));
        }
    }
    found
}

/// How alike the words around two mentions are; the word that a side stands before counts most.
fn likeness(own: &Sentence, at: usize, other: &Sentence, other_at: usize) -> f32 {
    let word = |sentence: &Sentence, index: Option<usize>| {
        index.and_then(|index| sentence.words.get(index)).map_or(String::new(), |word| word.text.clone())
    };
    let same = |step: usize, forward: bool| {
        let index = |from: usize| if forward { from.checked_add(step) } else { from.checked_sub(step) };
        let own = word(own, index(at));
        !own.is_empty() && own == word(other, index(other_at))
    };
    let mut score = 0.0;
    for (step, weight) in [(1, 3.0), (2, 2.0), (3, 1.0)] {
        score += if same(step, true) { weight } else { 0.0 };
        score += if same(step, false) { weight / 2.0 } else { 0.0 };
    }
    let nearby = around(other, other_at);
    if figure(own, at).is_some_and(|own| figure(other, other_at) == Some(own)) {
        score += FIGURE;
    }
    score + around(own, at).iter().filter(|stem| nearby.contains(stem)).count() as f32
}

/// The stems around a side.
fn around(sentence: &Sentence, at: usize) -> Vec<&str> {
    let window = &sentence.words[at.saturating_sub(5)..(at + 6).min(sentence.words.len())];
    let stems = window.iter().map(|word| word.stem.as_str());
    stems.filter(|stem| !stem.is_empty() && *stem != "left" && *stem != "right").collect()
}

/// What the same figure beside both counts.
const FIGURE: f32 = 3.0;

/// The figure that goes with a side: "9 mm on the right", "right 9 mm".
fn figure(sentence: &Sentence, at: usize) -> Option<&str> {
    let words = &sentence.words;
    // With its unit: in "6/60" the first figure tells nothing.
    let is_figure = |at: usize| {
        let measured =
            words.get(at + 1).is_some_and(|unit| matches!(unit.text.as_str(), "mm" | "cm" | "ml" | "l" | "g" | "kg"));
        words.get(at).filter(|word| measured && word.text.starts_with(|c: char| c.is_ascii_digit()))
    };
    let before = || (1..=4).filter_map(|steps| at.checked_sub(steps)).find_map(is_figure);
    let after = || (1..=4).find_map(|steps| is_figure(at + steps));
    let on = (1..=2).filter_map(|steps| at.checked_sub(steps)).any(|at| words[at].text == "on");
    let found = if on { before() } else { after() };
    found.map(|word| word.text.as_str())
}

#[cfg(test)]
mod tests {
    use super::super::{Gate, Pair, Reading};

    #[test]
    fn one_side_of_what_is_on_both_is_an_error() {
        let report = "He had bilateral below-knee amputations, and the soles of both feet were numb. The right optic disc was \
                      pale; the left was swollen. The left eye showed a swollen disc.";
        let found = |note: &str| {
            let (note, report) = (Reading::of(note), Reading::of(report));
            Pair::new(&note, &report).unsupported(Gate::Laterality).len()
        };
        for right in [
            "Bilateral BKA.",
            "Both feet numb.",
            "R + L soles numb.",
            "A gap was left 3 x 2 cm wide.",
            "The right disc had become pale.",
            "Left disc swollen.",
        ] {
            assert_eq!(found(right), 0, "{right}");
        }
        for wrong in ["Left below-knee amputation.", "The sole of the right foot was numb."] {
            assert!(found(wrong) > 0, "{wrong}");
        }
    }
}
