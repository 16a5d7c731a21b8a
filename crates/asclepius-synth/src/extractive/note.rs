//! A report rewritten as a note: its own sentences, sorted under headings, clipped and abbreviated.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

use super::cues::{self, Place, Section};
use super::lexicon::{self, pattern};
use super::words;

/// Writes the note. Every word of it is the report's, the abbreviation table's, or a heading's.
pub(crate) fn write(report: &str) -> String {
    let mut sections: [Vec<String>; 9] = Default::default();
    for (section, sentence) in sorted_sentences(report) {
        let line = clip(&words::shorten(&sentence), section);
        if !line.is_empty() {
            sections[section as usize].push(line);
        }
    }
    let mut note = String::new();
    for section in Section::ALL {
        let lines = &sections[section as usize];
        if lines.is_empty() {
            continue;
        }
        if !note.is_empty() {
            note.push('\n');
        }
        note.push_str(section.heading());
        note.push_str(":\n");
        if section.is_list() {
            for line in lines {
                note.push_str("- ");
                note.push_str(line);
                note.push('\n');
            }
        } else {
            note.push_str(&lines.join(" "));
            note.push('\n');
        }
    }
    note.truncate(note.trim_end().len());
    note
}

/// The report's sentences about the patient with their sections, in the report's order.
fn sorted_sentences(report: &str) -> Vec<(Section, String)> {
    let cleaned: Vec<Vec<String>> = report
        .split("\n\n")
        .map(|paragraph| words::sentences(paragraph).into_iter().map(clean).filter(|text| has_words(text)).collect())
        .collect();
    let clinical: Vec<Vec<String>> = cleaned
        .iter()
        .map(|paragraph| paragraph.iter().filter(|text| !cues::is_about_publication(text)).cloned().collect())
        .collect();
    // A report that is nothing but such sentences is still the report there is.
    let paragraphs = if clinical.iter().all(Vec::is_empty) { cleaned } else { clinical };

    let total: usize = paragraphs.iter().flatten().map(String::len).sum();
    let mut read = 0;
    let mut complaint_open = true;
    let mut sorted = Vec::new();
    for paragraph in paragraphs {
        let mut previous = None;
        for sentence in paragraph {
            let position = read as f32 / total.max(1) as f32;
            read += sentence.len();
            let mut section = cues::section(&sentence, Place { position, previous });
            // The sentence that introduces the patient opens the note, whatever else it tells.
            if complaint_open && (lexicon::AGE.is_match(&sentence) || sorted.is_empty()) {
                complaint_open = !lexicon::AGE.is_match(&sentence) && sorted.is_empty();
                section = Section::Complaint;
            }
            previous = (section != Section::Complaint).then_some(section);
            sorted.push((section, sentence));
        }
    }
    sorted
}

/// A sentence without references to literature, figures and tables, on one line.
fn clean(sentence: &str) -> String {
    static REFERENCES: LazyLock<[Regex; 4]> = LazyLock::new(|| {
        [
            pattern(r"\s*[\[(]\s*\d{1,3}(?:\s*[,–-]\s*\d{1,3})*\s*\]"),
            pattern(
                r"(?i)\s*[\[(]\s*(?:see |cf\. |in |video |additional )?(?:figures?|figs?\.?|tables?|supplement\w*|online resource|additional file|appendix|video|images?)\b[^()\[\]]*[\])]",
            ),
            pattern(r"(?i)\s*\([^()\d]*\b(?:figures?|figs?\.?|tables?)\s*\d+[a-z]?[^()\d]*\)"),
            pattern(r"\s+"),
        ]
    });
    let mut text = Cow::Borrowed(sentence);
    for (pattern, with) in REFERENCES.iter().zip(["", "", "", " "]) {
        text = Cow::Owned(pattern.replace_all(&text, with).into_owned());
    }
    text.replace(" ,", ",").replace(" .", ".").trim().to_owned()
}

fn has_words(text: &str) -> bool {
    text.split_whitespace().filter(|word| word.chars().any(char::is_alphabetic)).count() >= 2
}

/// Clips what a hurried writer leaves out; nothing is put in but a colon.
fn clip(sentence: &str, section: Section) -> String {
    static CONNECTIVE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"^(?:However|Moreover|Furthermore|In addition|Additionally|Therefore|Thus|Hence|Interestingly|Notably|Unfortunately|Fortunately|Of note|Meanwhile|As a result|For this reason),\s+",
        )
    });
    static SUBJECT: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"^(?:The (?:patient|pt) (?:(?:was|had|has|is)(?: been)?\s+|(underwent|received|reported|denied|complained)\b)|There (?:was|were|is|are)\s+)",
        )
    });
    static RESULT: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"^(?:(?:A|An|The|His|Her)\s+)?([^,;:.]{2,70}?)\s+(?:(?:has |also |then |further )?(?:showed|revealed|demonstrated|disclosed)(?: that(?: there (?:was|were))?)?)\s+",
        )
    });
    let mut text = CONNECTIVE.replace(sentence, "").into_owned();
    if section.is_list() || section == Section::Course {
        // What carries meaning stays: only the patient and the verbs of being and having go.
        text = SUBJECT.replace(&text, "$1").into_owned();
    }
    let result = (section == Section::Results).then(|| RESULT.captures(&text)).flatten();
    if let Some(hit) = result.filter(|hit| lexicon::TEST.is_match(&hit[1])) {
        text = format!("{}: {}", &hit[1], &text[hit[0].len()..]);
    }
    words::begun(text.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_and_figures_go_and_values_stay() {
        let text =
            "CT showed a mass (Figure 1A) of 3 cm (range 2–4) [12, 13] (see Table 2) (as can be seen in Figure 4).";
        assert_eq!(clean(text), "CT showed a mass of 3 cm (range 2–4).");
    }

    #[test]
    fn sentences_are_clipped_by_section() {
        assert_eq!(clip("The patient was intubated.", Section::Course), "Intubated.");
        assert_eq!(clip("The patient underwent a craniotomy.", Section::Course), "Underwent a craniotomy.");
        assert_eq!(clip("The patient had been treated abroad.", Section::Course), "Treated abroad.");
        assert_eq!(clip("There were no palpable nodes.", Section::Exam), "No palpable nodes.");
        assert_eq!(clip("A chest CT revealed that there was a nodule.", Section::Results), "Chest CT: a nodule.");
        assert_eq!(clip("However, she denied fever.", Section::History), "She denied fever.");
    }

    #[test]
    fn a_report_is_sorted_under_headings() {
        let report = "A 45-year-old woman presented with chest pain for two days. She had a history of hypertension. \
                      On examination, her abdomen was soft. Chest CT revealed a nodule (Figure 1). She was treated with \
                      aspirin 100 mg daily. Written informed consent was obtained.\n\nShe was discharged and remained \
                      well at follow-up.";
        let note = write(report);
        let headings: Vec<_> = note.lines().filter_map(Section::of_heading).collect();
        assert_eq!(
            headings,
            [Section::Complaint, Section::Past, Section::Exam, Section::Results, Section::Medications, Section::Plan]
        );
        assert!(!note.contains("consent") && !note.contains("Figure"), "{note}");
    }

    #[test]
    fn a_report_of_nothing_but_publication_talk_still_gives_a_note() {
        assert!(!write("We report a man with gout.").is_empty());
        assert_eq!(write(""), "");
    }
}
