//! Where the case is in an article, and where one patient ends and the next begins.
//!
//! Headings lead: numbered patients, then sections that announce a case together with the sections that go on with
//! it. Paragraphs that open with a number split what headings did not. Where no heading announces a case, the text is
//! taken from the paragraph that brings a person in up to the first that discusses.

use std::sync::LazyLock;

use regex::Regex;

use crate::pattern::pattern;

use crate::article::{Block, Section};
use crate::demographics;
use crate::headings::{Part, family_number, part, patient_number};
use crate::narrative;
use crate::prose::Paragraph;

/// One patient's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Patient {
    /// Paragraphs separated by one blank line.
    pub text: String,
    /// Titles of the sections the text is from.
    pub section: String,
    /// Where each `<p>` of it lies in the article; see [`Paragraph::place`].
    pub places: Vec<u32>,
}

/// What was found in a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub patients: Vec<Patient>,
    /// Headings announced the case; otherwise it was told from the text alone.
    pub announced: bool,
}

/// More than any number that a patient goes by.
const IN_A_FAMILY: u32 = 10_000;

#[derive(Debug, Clone)]
struct Piece<'a> {
    patient: Option<u32>,
    paragraph: &'a Paragraph,
    section: &'a str,
}

/// Cuts a body into patients; `None` when nobody's case is told. `title` is the article's.
pub(crate) fn find(body: &Section, title: &str) -> Option<Found> {
    if let Some(level) = announcing_level(body) {
        let patients = split(announced(level), title);
        let all: String = patients.iter().map(|patient| patient.text.as_str()).collect::<Vec<_>>().join("\n");
        let someone = narrative::mentions_one_person(&all) || narrative::personal_references(&all) >= 3;
        if all.split_whitespace().count() >= 20 && someone {
            return Some(Found { patients, announced: true });
        }
    }
    let patients = split(unannounced(body)?, title);
    let all: String = patients.iter().map(|patient| patient.text.as_str()).collect::<Vec<_>>().join("\n");
    let someone = narrative::personal_references(&all) >= 2 || narrative::opens_with_a_person(&all);
    someone.then_some(Found { patients, announced: false })
}

/// The shallowest section whose subsections announce a case.
fn announcing_level(section: &Section) -> Option<&Section> {
    let announces = |inner: &Section| matches!(part(inner), Part::Case | Part::Mixed | Part::Numbered(_));
    if section.sections().any(announces) {
        return Some(section);
    }
    let mut inner = section.sections().filter(|inner| !matches!(part(inner), Part::Discussion | Part::Apparatus));
    inner.find_map(announcing_level)
}

fn announced(level: &Section) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut telling = false;
    let mut numbered = None;
    let mut told = false;
    // How much was told before an introduction.
    let mut summary = 0;
    let alternating = alternates(level);
    for section in level.sections() {
        let found = part(section);
        if matches!(found, Part::Case | Part::Mixed | Part::Numbered(_)) && !told {
            pieces.drain(..summary);
            summary = 0;
        }
        match found {
            Part::Numbered(number) => {
                walk(section, Some(number), &section.title, &mut pieces);
                telling = true;
                numbered = (section.disguised || alternating).then_some(number);
            }
            // After a discussion a second section of that kind is about other people's cases.
            Part::Case | Part::Mixed if told && !telling => {}
            Part::Case => {
                walk(section, None, &section.title, &mut pieces);
                telling = true;
                numbered = None;
            }
            Part::Mixed => {
                let mut mixed = Vec::new();
                walk(section, None, &section.title, &mut mixed);
                pieces.extend(story(mixed));
                telling = true;
            }
            Part::Course if telling => walk(section, numbered, &section.title, &mut pieces),
            // "Chief complaint" before the section that announces the case.
            Part::Course if !told && section.introduces() => {
                walk(section, None, &section.title, &mut pieces);
                telling = true;
            }
            Part::Unknown | Part::Study if telling && goes_on(section) => {
                walk(section, numbered, &section.title, &mut pieces);
            }
            // What stands before an introduction sums the case up, should the case itself follow.
            Part::Opening => {
                summary = pieces.len();
                telling = false;
            }
            Part::Discussion => {
                told |= telling;
                telling = false;
            }
            Part::Course | Part::Unknown | Part::Study | Part::Apparatus => {}
        }
    }
    if !level.sections().any(|section| part(section) == Part::Discussion) {
        while pieces.len() > 1 && pieces.last().is_some_and(|last| narrative::is_discussion(last.paragraph)) {
            pieces.pop();
        }
    }
    pieces
}

/// Whether sections such as "Treatment" stand between those of numbered patients, so that each is about the one before.
fn alternates(level: &Section) -> bool {
    let parts: Vec<Part> = level.sections().map(part).collect();
    let numbered = |part: &Part| matches!(part, Part::Numbered(_));
    let first = parts.iter().position(numbered);
    let last = parts.iter().rposition(numbered);
    first.zip(last).is_some_and(|(first, last)| parts[first..=last].contains(&Part::Course))
}

/// Whether a section whose heading does not say so goes on about the patient.
fn goes_on(section: &Section) -> bool {
    let text = section.text();
    if part(section) == Part::Study {
        return narrative::narrates(&text) || narrative::introduction(&text).is_some();
    }
    narrative::narrates(&text) && !narrative::compares(&section.paragraphs())
}

/// Every paragraph below `section` that may be case text. `patient` is who the heading says it is about.
fn walk<'a>(section: &'a Section, patient: Option<u32>, top: &'a str, pieces: &mut Vec<Piece<'a>>) {
    let before = pieces.len();
    walk_blocks(section, patient, top, pieces);
    // Patients of one family are numbered from one again in the next.
    if let Some(family) = family_number(&section.title).filter(|_| patient.is_none()) {
        let numbered = pieces[before..].iter().any(|piece| piece.patient.is_some());
        for piece in &mut pieces[before..] {
            // What is said of a family as a whole is no patient's, unless nobody is numbered in it.
            if piece.patient.is_some() || !numbered {
                piece.patient = Some(piece.patient.unwrap_or(0) + family * IN_A_FAMILY);
            }
        }
    }
}

fn walk_blocks<'a>(section: &'a Section, patient: Option<u32>, top: &'a str, pieces: &mut Vec<Piece<'a>>) {
    let mut current = patient;
    let mut inherited = patient;
    for block in &section.blocks {
        match block {
            Block::Paragraph(paragraph) => {
                if patient.is_none() {
                    current = patient_number(&paragraph.text).or(current);
                }
                pieces.push(Piece { patient: current, paragraph, section: top });
            }
            Block::Section(inner) => match part(inner) {
                Part::Numbered(number) => {
                    let number = patient.unwrap_or(number);
                    walk(inner, Some(number), top, pieces);
                    if inner.disguised && patient.is_none() {
                        inherited = Some(number);
                    }
                }
                // Inside a case, "Background" may be the patient's own.
                Part::Opening if inner.introduces() => walk(inner, patient, top, pieces),
                found if found.is_outside() => {}
                _ => walk(inner, if inner.disguised { inherited } else { patient }, top, pieces),
            },
        }
    }
}

/// The stretch from the first paragraph that brings a person in to the first that discusses.
fn story(pieces: Vec<Piece<'_>>) -> Vec<Piece<'_>> {
    let start = pieces.iter().position(|piece| piece.paragraph.introduction().is_some());
    let start = start.or_else(|| pieces.iter().position(|piece| narrative::mentions_one_person(&piece.paragraph.text)));
    // The age may come later than the patient.
    let mut start = start.unwrap_or(0);
    while start > 0 && tells_of_someone(pieces[start - 1].paragraph) {
        start -= 1;
    }
    let told = pieces.into_iter().skip(start).enumerate();
    told.take_while(|(at, piece)| *at == 0 || !narrative::is_discussion(piece.paragraph))
        .map(|(_, piece)| piece)
        .collect()
}

fn tells_of_someone(paragraph: &Paragraph) -> bool {
    let text = &paragraph.text;
    narrative::mentions_one_person(text)
        && narrative::narrates(text)
        && narrative::personal_references(text) >= 2
        && !narrative::is_discussion(paragraph)
}

/// The case of a body in which no heading announces one.
fn unannounced(body: &Section) -> Option<Vec<Piece<'_>>> {
    let own: Vec<Piece<'_>> =
        body.own_paragraphs().map(|paragraph| Piece { patient: None, paragraph, section: "" }).collect();
    let mut units = vec![(Part::Unknown, own)];
    for section in body.sections() {
        let found = part(section);
        if matches!(found, Part::Apparatus) {
            continue;
        }
        let mut pieces = Vec::new();
        walk(section, None, &section.title, &mut pieces);
        units.push((found, pieces));
    }
    let aged = |pieces: &[Piece<'_>]| pieces.iter().any(|piece| piece.paragraph.introduction().is_some());
    let named = |pieces: &[Piece<'_>]| {
        let text = pieces.iter().map(|piece| piece.paragraph.text.as_str()).collect::<Vec<_>>().join("\n");
        narrative::mentions_one_person(&text) && narrative::narrates(&text)
    };
    let inside = |part: Part| !matches!(part, Part::Opening | Part::Discussion);
    let start = units
        .iter()
        .position(|(part, pieces)| inside(*part) && aged(pieces))
        .or_else(|| units.iter().position(|(part, pieces)| inside(*part) && *part != Part::Study && named(pieces)))
        .or_else(|| units.iter().position(|(part, pieces)| *part == Part::Opening && aged(pieces)));
    let mut pieces = Vec::new();
    for (at, (found, unit)) in units.into_iter().skip(start?).enumerate() {
        if at == 0 {
            let whole = unit.len();
            pieces.extend(patients_number(story(unit)));
            // The unit itself went over to discussion, so what follows is no case any more.
            if found == Part::Opening
                || (found == Part::Unknown && pieces.len() < whole && has_discussion(&pieces, whole))
            {
                break;
            }
        } else if matches!(found, Part::Discussion | Part::Opening) {
            break;
        } else if matches!(found, Part::Course | Part::Study) || unit_narrates(&unit) {
            pieces.extend(patients_number(unit));
        }
    }
    Some(pieces)
}

fn has_discussion(pieces: &[Piece<'_>], whole: usize) -> bool {
    !pieces.is_empty() && pieces.len() < whole
}

fn unit_narrates(unit: &[Piece<'_>]) -> bool {
    let text = unit.iter().map(|piece| piece.paragraph.text.as_str()).collect::<Vec<_>>().join("\n");
    narrative::narrates(&text)
}

/// Carries the number that a paragraph opens with on to those after it.
fn patients_number(pieces: Vec<Piece<'_>>) -> Vec<Piece<'_>> {
    let mut current = None;
    let carried = pieces.into_iter().map(|piece| {
        current = piece.patient.or_else(|| patient_number(&piece.paragraph.text)).or(current);
        Piece { patient: current, ..piece }
    });
    carried.collect()
}

/// One record a patient: by number where there are several, by the paragraphs that bring a person in where the article
/// says that there are several, and else one.
fn split(mut pieces: Vec<Piece<'_>>, title: &str) -> Vec<Patient> {
    let mut numbers: Vec<u32> = Vec::new();
    for number in pieces.iter().filter_map(|piece| piece.patient) {
        if !numbers.contains(&number) {
            numbers.push(number);
        }
    }
    if numbers.len() < 2 {
        numbers.clear();
        for piece in &mut pieces {
            piece.patient = None;
        }
        number_by_person(&mut pieces, title, &mut numbers);
    }
    if numbers.len() < 2 {
        return vec![join(pieces.iter())];
    }
    numbers.into_iter().map(|number| join(pieces.iter().filter(|piece| piece.patient == Some(number)))).collect()
}

fn number_by_person(pieces: &mut [Piece<'_>], title: &str, numbers: &mut Vec<u32>) {
    static NEW: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(?:An?|Another|One)\s"));
    static SEVERAL: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)\b(?:two|three|four|five|six|seven|eight|nine|ten|\d+|several|both|a pair of)\s+(?:[\w-]+\s+){0,4}?(?:cases|patients|siblings|brothers|sisters|children|infants|neonates|twins|women|men|boys|girls|individuals)\b|\bcase series\b|\bcase reports\b|\bsiblings\b|\btwins\b|\bcases\b",
        )
    });
    let opening = pieces.first().map_or("", |piece| piece.paragraph.text.as_str());
    let opening: String = opening.chars().take(300).collect();
    let several = SEVERAL.is_match(title)
        || pieces.iter().any(|piece| SEVERAL.is_match(piece.section))
        || SEVERAL.is_match(&opening);
    if !several {
        return;
    }
    // Everyone brought in, and whether as somebody new.
    let mut people: Vec<(_, bool)> = Vec::new();
    let mut current = None;
    for piece in pieces.iter_mut() {
        let text = &piece.paragraph.text;
        if piece.paragraph.introduction().is_some_and(|start| start <= 40) {
            let (age, sex) = demographics::age_and_sex(text);
            let age = age.map(|age| (age.value.to_bits(), age.unit as u8));
            let person = (age, sex as u8);
            let new = NEW.is_match(text);
            match people.iter_mut().find(|(known, _)| *known == person) {
                // Named in passing first, then told of.
                Some((_, introduced)) if !(new && *introduced) => *introduced |= new,
                _ if age.is_some() => {
                    people.push((person, new));
                    current = Some(people.len() as u32);
                }
                _ => {}
            }
        }
        piece.patient = current;
    }
    if people.len() >= 2 {
        numbers.extend(1..=people.len() as u32);
    }
}

fn join<'a, 'b: 'a>(pieces: impl Iterator<Item = &'a Piece<'b>>) -> Patient {
    let mut paragraphs: Vec<String> = Vec::new();
    let mut sections: Vec<&str> = Vec::new();
    let mut places = Vec::new();
    for piece in pieces {
        let text = narrative::case_sentences(&piece.paragraph.text);
        if text.chars().any(char::is_alphanumeric) {
            paragraphs.push(text);
            places.push(piece.paragraph.place);
            if !piece.section.is_empty() && !sections.contains(&piece.section) {
                sections.push(piece.section);
            }
        }
    }
    Patient { text: paragraphs.join("\n\n"), section: sections.join("; "), places }
}
