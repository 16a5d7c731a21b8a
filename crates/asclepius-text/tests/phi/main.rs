//! The identifier scan against a labelled set: clinical sentences with identifiers of all eighteen kinds in many spellings,
//! and with eponyms, drugs, scores and dates as years that are none.
//!
//! Sentences and values are this test's own; nothing is taken from the scan's patterns or lists. A label counts as found
//! where spans cover at least half of it, a span as right where it lies on a label.
//! `cargo test --release -p asclepius-text --test phi -- --nocapture` prints the table and every miss.

mod clean;
mod fresh;
mod labelled;
mod numbers;
mod unseen;

use std::collections::BTreeMap;

use asclepius_text::gates::phi::{PhiKind, scan};
use clean::CLEAN;
use labelled::PEOPLE;
use numbers::NUMBERS;

/// A text and what in it identifies somebody.
type Filled = (String, Vec<(PhiKind, std::ops::Range<usize>)>);

fn fill() -> Vec<Filled> {
    let mut rows = Vec::new();
    for set in PEOPLE.iter().chain(NUMBERS) {
        for (at, sentence) in set.sentences.iter().enumerate() {
            for (number, value) in set.values.iter().enumerate() {
                let start = sentence.find("{}").expect("every sentence has a place");
                // Odd spacing in every seventh, a clean sentence before every third.
                let gap = if (at + number) % 7 == 0 { "  " } else { "" };
                let before = if (at * 5 + number) % 3 == 0 { CLEAN[(at * 31 + number * 7) % CLEAN.len()] } else { "" };
                let before = if before.is_empty() { String::new() } else { format!("{before}\n") };
                let text = format!("{before}{}{gap}{value}{}", &sentence[..start], &sentence[start + 2..]);
                let from = before.len() + start + gap.len();
                rows.push((text, vec![(set.kind, from..from + value.len())]));
            }
        }
    }
    rows.extend(CLEAN.iter().map(|text| ((*text).to_owned(), Vec::new())));
    rows
}

#[test]
fn identifiers_of_all_eighteen_kinds_are_found() {
    measure(&fill(), 2000, [98, 90]);
}

#[test]
fn identifiers_in_the_words_of_another_hand_are_found() {
    measure(&fresh::fill(), 2000, [98, 90]);
}

#[test]
fn identifiers_in_running_text_are_found() {
    measure(&unseen::read(include_str!("unseen.txt")), 780, [98, 90]);
}

#[test]
fn identifiers_in_running_text_written_later_are_found() {
    measure(&unseen::read(include_str!("later.txt")), 170, [95, 90]);
}

#[test]
fn identifiers_in_plain_passages_are_found() {
    measure(&unseen::read(include_str!("third.txt")), 100, [96, 90]);
}

#[test]
fn identifiers_in_notes_of_american_wards_are_found() {
    measure(&unseen::read(include_str!("fourth.txt")), 390, [98, 95]);
}

#[test]
fn identifiers_in_many_spellings_are_found() {
    measure(&unseen::read(include_str!("fifth.txt")), 400, [90, 95]);
}

#[test]
fn identifiers_in_the_manners_of_many_hands_are_found() {
    measure(&unseen::read(include_str!("sixth.txt")), 480, [90, 95]);
}

#[test]
fn identifiers_in_the_manner_of_the_corpora_are_found() {
    measure(&unseen::read(include_str!("seventh.txt")), 400, [90, 95]);
}

/// Of a hundred sentences that identify nobody, of all sets, at most so many are flagged.
const FLAGGED_OF_A_HUNDRED: usize = 2;

#[test]
fn sentences_that_identify_nobody_are_left_alone() {
    let sets = [
        include_str!("unseen.txt"),
        include_str!("later.txt"),
        include_str!("third.txt"),
        include_str!("fourth.txt"),
        include_str!("fifth.txt"),
        include_str!("sixth.txt"),
        include_str!("seventh.txt"),
    ];
    let rows: Vec<Filled> = sets.into_iter().flat_map(unseen::read).filter(|(_, labels)| labels.is_empty()).collect();
    let sentences: Vec<&str> = rows.iter().map(|(text, _)| text.as_str()).chain(CLEAN.iter().copied()).collect();
    let flagged: Vec<&&str> = sentences.iter().filter(|text| !scan(text).is_empty()).collect();
    assert!(sentences.len() >= 500, "{} sentences", sentences.len());
    assert!(flagged.len() * 100 <= sentences.len() * FLAGGED_OF_A_HUNDRED, "{flagged:#?}");
}

/// Prints the table and every miss, and holds the percentages of labels found and of spans right.
#[expect(clippy::print_stdout, reason = "figures and misses are what --nocapture is for")]
fn measure(rows: &[Filled], least_labels: usize, [least_found, least_right]: [usize; 2]) {
    let mut table: BTreeMap<PhiKind, (usize, usize, usize)> = BTreeMap::new();
    let (mut right, mut spans) = (0, 0);
    let (mut misses, mut false_alarms) = (Vec::new(), Vec::new());
    for (text, labels) in rows {
        let found = scan(text);
        let meet = |span: &std::ops::Range<usize>, label: &std::ops::Range<usize>| {
            span.start < label.end && label.start < span.end
        };
        for span in &found {
            spans += 1;
            if labels.iter().any(|(_, label)| meet(&span.range, label)) {
                right += 1;
            } else {
                false_alarms.push(format!("{:?} {:?} in {text:?}", span.kind, &text[span.range.clone()]));
            }
        }
        for (kind, label) in labels {
            let covered: usize = found
                .iter()
                .map(|span| span.range.end.min(label.end).saturating_sub(span.range.start.max(label.start)))
                .sum();
            let row = table.entry(*kind).or_default();
            row.0 += 1;
            if covered * 2 >= label.len() {
                row.1 += 1;
                row.2 += usize::from(found.iter().any(|span| span.kind == *kind && meet(&span.range, label)));
            } else {
                misses.push(format!("{kind:?} {:?} in {:?}", &text[label.clone()], around(text, label)));
            }
        }
    }
    for (kind, (labels, hit, named)) in &table {
        println!(
            "{:20} {hit:4} of {labels:4} found, {:5.1} %; {named} as this kind",
            kind.name(),
            100.0 * *hit as f64 / *labels as f64
        );
    }
    let labels: usize = table.values().map(|row| row.0).sum();
    let hit: usize = table.values().map(|row| row.1).sum();
    println!("all: {hit} of {labels} found, {right} of {spans} spans right");
    for miss in &misses {
        println!("missed {miss}");
    }
    for alarm in &false_alarms {
        println!("false alarm {alarm}");
    }
    assert!(labels >= least_labels && table.len() == 18, "{labels} labels");
    assert!(hit * 100 >= labels * least_found, "{hit} of {labels}");
    assert!(right * 100 >= spans * least_right, "{right} of {spans}");
}

/// The label with some of the text on both sides.
fn around<'t>(text: &'t str, label: &std::ops::Range<usize>) -> &'t str {
    let from = text.floor_char_boundary(label.start.saturating_sub(60));
    &text[from..text.ceil_char_boundary(label.end + 60)]
}
