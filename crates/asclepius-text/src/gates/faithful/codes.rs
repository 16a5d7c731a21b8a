//! Letters with a number that name one of several, and figures that only mean something together: vertebrae and
//! dermatomes ("L4/5"), markers ("CD20"), cranial nerves, and fractions such as power 4/5 and acuity 20/40.
//!
//! One of the text's is unsupported where the source has others like it and not this one.

use rustc_hash::FxHashSet;

use super::figures::{ENDS, ORDINALS};
use super::lexicon;
use super::reading::{Reading, Sentence, Word};

/// All that a text names so.
#[derive(Debug, Clone, Default)]
pub(super) struct Codes {
    /// Letters in lower case and the number behind them.
    named: FxHashSet<(String, u16)>,
    /// Numbers of cranial nerves.
    nerves: FxHashSet<u16>,
    fractions: FxHashSet<(u32, u32)>,
}

/// Letters of the longest code.
const LETTERS: usize = 6;
/// A range of codes is no longer.
const SPAN: u16 = 12;
/// Letters before a number that are units, or signs for times and for powers of ten.
const UNITS: &[&str] = &["m", "mm", "cm", "km", "x", "e", "q", "h"];

impl Codes {
    pub fn of(reading: &Reading) -> Self {
        let mut all = Self::default();
        for sentence in &reading.sentences {
            if sentence.line.bytes().any(|byte| byte.is_ascii_digit()) {
                all.named.extend(named(&sentence.line, true));
                all.fractions.extend(fractions(&sentence.line));
                all.fractions.extend(parts(&sentence.words));
            }
            all.nerves.extend(nerves(&sentence.words));
        }
        all
    }

    /// What a sentence names that the text of these codes does not have, though it has others like it.
    pub fn lacking(&self, sentence: &Sentence, source: &Reading) -> Vec<String> {
        let mut found = Vec::new();
        if sentence.line.bytes().any(|byte| byte.is_ascii_digit()) {
            let other = |code: &(String, u16)| self.named.iter().any(|known| known.0 == code.0);
            let codes = named(&sentence.line, false).into_iter();
            found.extend(
                codes
                    .filter(|code| !self.named.contains(code) && other(code))
                    .map(|(letters, number)| format!("{letters}{number}")),
            );
            let other = |part: u32, whole: u32| self.fractions.iter().any(|known| known.0 == part || known.1 == whole);
            let fractions = fractions(&sentence.line).into_iter().chain(parts(&sentence.words));
            found.extend(
                fractions
                    .filter(|fraction| !self.fractions.contains(fraction) && other(fraction.0, fraction.1))
                    .filter(|fraction| !is_score(*fraction, sentence, source))
                    .map(|(part, whole)| format!("{part}/{whole}")),
            );
        }
        let nerves = nerves(&sentence.words).into_iter();
        let unknown = nerves.filter(|nerve| !self.nerves.is_empty() && !self.nerves.contains(nerve));
        found.extend(unknown.map(|nerve| format!("cranial nerve {nerve}")));
        found
    }
}

/// Whether the source tells a score of a scale whose length everybody knows: "GCS 12" for 12/15.
fn is_score((part, whole): (u32, u32), sentence: &Sentence, source: &Reading) -> bool {
    const WHOLE: &[u32] = &[10, 15, 30];
    const BEFORE: usize = 5;
    if !WHOLE.contains(&whole) {
        return false;
    }
    let part = part.to_string();
    let Some(at) = sentence.words.iter().position(|word| word.text == part) else { return false };
    let of = sentence.words[at.saturating_sub(BEFORE)..at].iter().map(|word| word.stem.as_str());
    let of: Vec<&str> = of.filter(|stem| !stem.is_empty()).collect();
    source.sentences.iter().any(|other| {
        other.words.iter().any(|word| word.text == part)
            && other.words.iter().any(|word| of.contains(&word.stem.as_str()))
    })
}

/// Whether a number behind this is of a code that has begun: the 5 of "L4/5".
pub(super) fn goes_on(before: &str) -> bool {
    let Some(code) = before.strip_suffix(['/', '-']) else { return false };
    let letters = code.trim_end_matches(|digit: char| digit.is_ascii_digit());
    let counted = (1..=2).contains(&(code.len() - letters.len()));
    let begun = letters.strip_suffix(['c', 't', 'l', 's']);
    counted && begun.is_some_and(|before| !before.ends_with(char::is_alphanumeric))
}

/// The codes of a line in lower case. `loosely`: also where a space stands between, and all of a range.
fn named(line: &str, loosely: bool) -> Vec<(String, u16)> {
    let bytes = line.as_bytes();
    let mut found: Vec<(String, u16)> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let starts = bytes[at].is_ascii_lowercase() && (at == 0 || !is_part(line, at - 1));
        if !starts {
            at += 1;
            continue;
        }
        let end = run(bytes, at, u8::is_ascii_lowercase);
        let mark = bytes.get(end).is_some_and(|byte| *byte == b'-' || (loosely && *byte == b' '));
        let letters = &line[at..end];
        at = end;
        // "T1WI" is T1.
        let Some((mut number, mut rest)) = number(line, end + usize::from(mark), loosely) else { continue };
        if letters.len() > LETTERS || UNITS.contains(&letters) || lexicon::is_common(letters) {
            continue;
        }
        found.push((letters.to_owned(), number));
        // "L4-5", "C4 to C6", "T3 and T4".
        while let Some((next, end, fills)) = following(line, rest, letters) {
            let fills = fills && loosely && next > number && next - number <= SPAN;
            let from = if fills { number + 1 } else { next };
            found.extend((from..=next).map(|each| (letters.to_owned(), each)));
            (number, rest) = (next, end);
        }
        at = at.max(rest);
    }
    found
}

/// A number of one to three digits that ends there: no decimals, and no letters behind it unless it is read loosely.
fn number(line: &str, from: usize, loosely: bool) -> Option<(u16, usize)> {
    let bytes = line.as_bytes();
    let end = run(bytes, from, u8::is_ascii_digit);
    let goes_on = (!loosely && bytes.get(end).is_some_and(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii()))
        || (matches!(bytes.get(end), Some(b'.' | b',')) && bytes.get(end + 1).is_some_and(u8::is_ascii_digit));
    if end == from || end - from > 3 || goes_on {
        return None;
    }
    Some((line[from..end].parse().ok()?, end))
}

/// The next number of the same letters, where it ends, and whether those between are meant.
fn following(line: &str, from: usize, letters: &str) -> Option<(u16, usize, bool)> {
    const MARKS: [(&str, bool); 8] = [
        ("-", true),
        (" - ", true),
        (" to ", true),
        (" through ", true),
        ("/", false),
        (" and ", false),
        (", ", false),
        (" or ", false),
    ];
    let rest = line.get(from..)?;
    let (mark, fills) = MARKS.iter().find(|(mark, _)| rest.starts_with(mark))?;
    let begin = from + mark.len();
    let again = line[begin..].starts_with(letters);
    // "T3, 4 days later" goes on otherwise.
    if !again && !matches!(*mark, "-" | "/") {
        return None;
    }
    let (number, end) = number(line, begin + if again { letters.len() } else { 0 }, false)?;
    Some((number, end, *fills))
}

fn run(bytes: &[u8], from: usize, holds: impl Fn(&u8) -> bool) -> usize {
    from + bytes.get(from..).unwrap_or_default().iter().take_while(|byte| holds(byte)).count()
}

/// Whether a byte belongs to a word or a number.
fn is_part(line: &str, at: usize) -> bool {
    let byte = line.as_bytes()[at];
    byte.is_ascii_alphanumeric() || !byte.is_ascii()
}

/// "4/5", "20/40" and "145/87"; no dates of three parts, no decimals.
fn fractions(line: &str) -> Vec<(u32, u32)> {
    let bytes = line.as_bytes();
    let mut found = Vec::new();
    for (slash, _) in line.match_indices('/') {
        let from = slash - bytes[..slash].iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        let end = run(bytes, slash + 1, u8::is_ascii_digit);
        let apart = |at: Option<&u8>| {
            at.is_none_or(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b',')))
        };
        let before = from.checked_sub(1).map(|at| &bytes[at]);
        let behind = bytes
            .get(end)
            .filter(|byte| !matches!(byte, b'.' | b',') || bytes.get(end + 1).is_some_and(u8::is_ascii_digit));
        if from == slash || end == slash + 1 || !apart(before) || !apart(behind) {
            continue;
        }
        let (Ok(part), Ok(whole)) = (line[from..slash].parse(), line[slash + 1..end].parse()) else { continue };
        found.push((part, whole));
        // "2-3/5" is 2/5 as well.
        let first = before.filter(|byte| **byte == b'-').and_then(|_| {
            let digits = bytes[..from - 1].iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
            line[from - 1 - digits..from - 1].parse().ok()
        });
        found.extend(first.map(|first| (first, whole)));
    }
    found
}

/// "Two of five", "4 out of 5".
fn parts(words: &[Word]) -> Vec<(u32, u32)> {
    let figure = |at: usize| words.get(at).and_then(|word| word.text.parse::<u32>().ok());
    let text = |at: usize| words.get(at).map_or("", |word| word.text.as_str());
    let part = |at: usize| {
        let whole = match text(at + 1) {
            "of" => figure(at + 2),
            "out" => figure(at + 3),
            _ => None,
        };
        figure(at).zip(whole)
    };
    (0..words.len()).filter_map(part).collect()
}

/// The cranial nerves that a sentence names, by number.
fn nerves(words: &[Word]) -> Vec<u16> {
    let text = |at: usize| words.get(at).map_or("", |word| word.text.as_str());
    let mut found = Vec::new();
    for at in 0..words.len() {
        match text(at) {
            "nerve" | "nerves" | "palsy" | "palsies" => {
                let of_nerve = text(at).starts_with("nerve");
                found.extend(
                    counted_before(words, at)
                        .filter(|(_, word)| of_nerve || !is_ordinal(word))
                        .map(|(number, _)| number),
                );
                if of_nerve && at > 0 && text(at - 1) == "cranial" {
                    found.extend(listed(words, at + 1));
                }
            }
            "cn" => found.extend(listed(words, at + 1)),
            _ => {}
        }
    }
    found
}

/// Which nerve stands right before: "the left sixth cranial nerve", "6th nerve", and no "grade 4 facial nerve".
fn counted_before(words: &[Word], at: usize) -> Option<(u16, &str)> {
    let mut before = words[..at].iter().enumerate().rev().skip_while(|(_, word)| word.text == "cranial").peekable();
    let ended = before.next_if(|(_, word)| ENDS.contains(&word.text.as_str())).is_some();
    let (place, word) = before.next()?;
    let figure = word.text.starts_with(|first: char| first.is_ascii_digit());
    nerve(words, place).filter(|_| ended == figure).map(|number| (number, word.text.as_str()))
}

/// Numbers in a row: "III, IV and VI".
fn listed(words: &[Word], from: usize) -> Vec<u16> {
    let mut found = Vec::new();
    for at in from..words.len() {
        match nerve(words, at) {
            Some(number) => found.push(number),
            None if words[at].text == "and" && !found.is_empty() => {}
            None => break,
        }
    }
    found
}

fn is_ordinal(word: &str) -> bool {
    ORDINALS.contains(&word)
}

/// The nerve that a word names or counts.
fn nerve(words: &[Word], at: usize) -> Option<u16> {
    const NAMES: &[(&str, u16)] = &[
        ("oculomotor", 3),
        ("trochlear", 4),
        ("trigeminal", 5),
        ("abducens", 6),
        ("abducent", 6),
        ("facial", 7),
        ("vestibulocochlear", 8),
        ("glossopharyngeal", 9),
        ("vagus", 10),
        ("vagal", 10),
        ("hypoglossal", 12),
    ];
    let word = words.get(at)?;
    let text = word.text.as_str();
    let named = NAMES.iter().find(|(name, _)| *name == text).map(|(_, number)| *number);
    let counted = || ORDINALS.iter().take(12).position(|ordinal| *ordinal == text).map(|place| place as u16 + 1);
    let roman = || word.capitals.then(|| roman(text)).flatten();
    let figure = || text.parse().ok().filter(|number| (1..=12).contains(number));
    named.or_else(counted).or_else(roman).or_else(figure)
}

/// A Roman numeral up to twelve, in lower case.
pub(super) fn roman(numeral: &str) -> Option<u16> {
    const NUMERALS: [&str; 12] = ["i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii"];
    NUMERALS.iter().position(|each| *each == numeral).map(|place| place as u16 + 1)
}

#[cfg(test)]
mod tests {
    use super::super::{Gate, Pair, Reading};

    #[test]
    fn others_of_the_same_kind_are_errors_and_other_spellings_none() {
        let report = "The tumour was grade III, NYHA class II was noted, and a type 2 endoleak. A stage II A carcinoma. The \
                      left sixth nerve was weak. The lesion reached from C4 to C6, with hypesthesia below T4 and herniation \
                      at L4–L5; T1WI was dark. Cells stained for CD20 and CD3. On day 3 two nerve biopsies were taken. Power was 2–3/5 in both arms, the acuity \
                      20/400, and 3 of 12 nodes were involved.";
        let found = |note: &str| {
            let (note, report) = (Reading::of(note), Reading::of(report));
            Pair::new(&note, &report).unsupported(Gate::Quantities).len()
        };
        for right in [
            "Tumour grade 3.",
            "NYHA 2.",
            "Type II endoleak.",
            "Stage IIA carcinoma.",
            "Left VI nerve palsy.",
            "CN VI weak.",
            "6th nerve weak.",
            "Grade 3 abducens palsy.",
            "On day 3 abducens nerve weak.",
            "Two nerve biopsies.",
            "Left abducens palsy.",
            "Lesion at C5.",
            "L4/5 herniation.",
            "Dark on T1.",
            "CD-20 positive.",
            "Power 2/5.",
            "VA 20/400.",
            "Nodes 3/12 positive.",
            "1-to-1 conduction.",
        ] {
            assert_eq!(found(right), 0, "{right}");
        }
        for wrong in [
            "Tumour grade 2.",
            "NYHA III.",
            "Type I endoleak.",
            "Stage IIIA carcinoma.",
            "Stage IIB carcinoma.",
            "Left III nerve palsy.",
            "Left oculomotor nerve palsy.",
            "3rd nerve weak.",
            "Left third cranial nerve weak.",
            "Lesion at C7.",
            "Hypoaesthesia below T10.",
            "L3/4 herniation.",
            "CD30 positive.",
            "Power 4/5.",
            "VA 20/200.",
            "Nodes 5/12 positive.",
        ] {
            assert!(found(wrong) > 0, "{wrong}");
        }
    }
}
