//! Passages of running text with their identifiers marked in place, `unseen.txt` and `later.txt`, each written before
//! its writer looked at the scan (the second after a mend that the first asked for).

use asclepius_text::gates::phi::PhiKind;

use crate::Filled;

/// The passages of one set without their marks, and the sentences that identify nobody.
pub fn read(set: &str) -> Vec<Filled> {
    let (passages, clean) = set.split_once("\n= none\n").expect("a part that identifies nobody");
    let passages = passages.split("\n\n").filter(|passage| !passage.starts_with('#')).map(unmark);
    let clean = clean.lines().filter_map(|line| line.strip_prefix("- ")).map(|text| (text.to_owned(), Vec::new()));
    passages.chain(clean).collect()
}

fn unmark(passage: &str) -> Filled {
    let mut text = String::new();
    let mut labels = Vec::new();
    let mut rest = passage;
    while let Some((before, marked)) = rest.split_once('{') {
        let (kind, marked) = marked.split_once(':').expect("a kind");
        let (value, after) = marked.split_once('}').expect("the mark is closed");
        let kind = PhiKind::ALL.into_iter().find(|one| format!("{one:?}") == kind).expect("one of the eighteen");
        text.push_str(before);
        let start = text.len();
        text.push_str(value);
        labels.push((kind, start..text.len()));
        rest = after;
    }
    text.push_str(rest);
    (text, labels)
}
