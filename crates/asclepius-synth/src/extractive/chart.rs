//! A note taken apart again: its sentences with their sections. Works on any note, best on one of this teacher's own.

use std::ops::Range;

use super::cues::Section;
use super::lexicon;
use super::words;

/// One sentence or list line of a note.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line<'a> {
    /// The section it stands under, when the heading is one of ours.
    pub(crate) section: Option<Section>,
    /// The text without its bullet.
    pub(crate) text: &'a str,
}

/// A note's lines in order.
#[derive(Debug)]
pub(crate) struct Chart<'a> {
    pub(crate) lines: Vec<Line<'a>>,
}

impl<'a> Chart<'a> {
    /// Takes a note apart.
    pub(crate) fn read(note: &'a str) -> Self {
        let mut lines = Vec::new();
        let mut section = None;
        let mut opens_block = true;
        for raw in note.lines() {
            let raw = raw.trim().trim_matches(['*', '#']).trim();
            let after_blank = std::mem::replace(&mut opens_block, raw.is_empty());
            if raw.is_empty() {
                continue;
            }
            if let Some(found) = Section::of_heading(raw) {
                section = Some(found);
                continue;
            }
            // Headings of other hands stand at the head of a block; elsewhere a colon ends a line of text.
            if after_blank && raw.ends_with(':') && raw.split_whitespace().count() <= 5 {
                section = None;
                continue;
            }
            let text = raw.trim_start_matches(['-', '•', '*']).trim_start();
            lines.extend(words::sentences(text).into_iter().map(|text| Line { section, text }));
        }
        Self { lines }
    }

    /// The lines of one section.
    pub(crate) fn of(&self, section: Section) -> impl DoubleEndedIterator<Item = &'a str> + '_ {
        self.lines.iter().filter(move |line| line.section == Some(section)).map(|line| line.text)
    }

    /// Lines that may be quoted in a question: neither scraps nor half a page.
    pub(crate) fn quotable(&self) -> impl Iterator<Item = &Line<'a>> + '_ {
        self.lines.iter().filter(|line| (20..=320).contains(&line.text.len()) && !line.text.ends_with('?'))
    }

    /// What introduces the patient, such as "A 45-year-old woman", from the first line that does.
    pub(crate) fn person(&self) -> Option<&'a str> {
        self.lines.iter().take(6).find_map(|line| lexicon::PERSON.find(line.text)).map(|hit| hit.as_str().trim())
    }

    /// The `count` lines of `range` whose words recur most over the note, in the note's order.
    pub(crate) fn central(&self, lines: &[&'a str], count: usize) -> Vec<&'a str> {
        let mut frequency = std::collections::BTreeMap::<String, usize>::new();
        for line in &self.lines {
            let mut words = words::content_words(line.text);
            words.sort_unstable();
            words.dedup();
            for word in words {
                *frequency.entry(word).or_default() += 1;
            }
        }
        let weight = |line: &str| {
            let words = words::content_words(line);
            let sum: usize = words.iter().map(|word| frequency.get(word).copied().unwrap_or_default()).sum();
            // A long line must not win by its length alone.
            sum as f32 / (words.len() as f32 + 4.0)
        };
        let mut order: Vec<usize> = (0..lines.len()).collect();
        order.sort_by(|&a, &b| weight(lines[b]).total_cmp(&weight(lines[a])).then(a.cmp(&b)));
        order.truncate(count);
        order.sort_unstable();
        order.into_iter().map(|index| lines[index]).collect()
    }
}

/// The clause of `text` around `at`: up to the stops on either side.
pub(crate) fn clause_after(text: &str, at: Range<usize>) -> &str {
    let rest = &text[at.end..];
    let stop = rest.find([';', '.']).filter(|&stop| !rest[stop + 1..].starts_with(|next: char| next.is_ascii_digit()));
    rest[..stop.unwrap_or(rest.len())].trim().trim_end_matches([',', '.'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_comes_apart_into_lines_with_sections() {
        let chart = Chart::read(
            "Chief Complaint:\nA 5-year-old boy with fever. He coughed.\n\nResults:\n- CT: normal.\n\n**Other:**\nLoose line here.",
        );
        let lines: Vec<_> = chart.lines.iter().map(|line| (line.section, line.text)).collect();
        assert_eq!(
            lines,
            [
                (Some(Section::Complaint), "A 5-year-old boy with fever."),
                (Some(Section::Complaint), "He coughed."),
                (Some(Section::Results), "CT: normal."),
                (None, "Loose line here."),
            ]
        );
        assert_eq!(chart.person(), Some("A 5-year-old boy"));
    }
}
