//! Whether a note speaks of its report's patient at all: the comparing gates look at facts, and a text without any has
//! nothing to compare.

use rustc_hash::FxHashSet;

use super::Verdict;

/// Shorter words are mostly grammar, and abbreviations that a report writes out.
const LEAST_LETTERS: usize = 4;
/// A word is told by so many letters: `fracture`, `fractured` and `fractures` are one.
const TOLD_BY: usize = 6;

/// Share of the different words of a note that its report has, too, among those of four letters or more, told by their
/// first six. A note without such words has 1: there is nothing to say against it.
pub fn grounded(note: &str, report: &str) -> Verdict {
    let (of_note, of_report) = (stems(note), stems(report));
    let shared = of_note.intersection(&of_report).count();
    let share = if of_note.is_empty() { 1.0 } else { shared as f32 / of_note.len() as f32 };
    Verdict::new(share, format!("{shared} of {} different words occur in the report", of_note.len()))
}

fn stems(text: &str) -> FxHashSet<[char; TOLD_BY]> {
    let words = text.split(|letter: char| !letter.is_alphabetic());
    words
        .filter_map(|word| {
            let mut stem = ['\0'; TOLD_BY];
            let mut letters = 0;
            for letter in word.chars().flat_map(char::to_lowercase).take(TOLD_BY) {
                stem[letters] = letter;
                letters += 1;
            }
            (letters >= LEAST_LETTERS).then_some(stem)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "A 62-year-old man presented with fractures of the left radius after a fall. The wrist was \
                          swollen and deformed. Radiography showed a displaced distal fracture, which was reduced and \
                          immobilised in a plaster cast for six weeks.";

    #[test]
    fn other_words_for_the_same_patient_are_grounded_and_talk_is_not() {
        let telegraphic =
            "62M, fall. Wrist swollen, deformed. XR: displaced distal radius fracture. Reduced, plaster cast 6/52.";
        assert!(grounded(telegraphic, REPORT).score > 0.8);
        for talk in [
            "Certainly, there is no template for this note as it uses different formatting across different sentences.",
            "Please go ahead and share the report. It might just show that you know everything about my mission.",
            "Patient was admitted with abdominal pain and vomiting; laparoscopic appendectomy was performed uneventfully.",
        ] {
            let verdict = grounded(talk, REPORT);
            assert!(verdict.score < 0.2, "{talk}: {verdict:?}");
        }
        assert_eq!(grounded("Hb 9.5, RR 14.", REPORT).score, 1.0);
        assert_eq!(grounded("FRACTURED radius", REPORT).detail, "2 of 2 different words occur in the report");
    }
}
