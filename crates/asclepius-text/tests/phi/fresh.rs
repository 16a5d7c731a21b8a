//! The second set, `fresh.txt`, of another hand than the first and written without a look at the scan: people of many
//! origins, addresses of several countries, and what a ward puts on paper.

use asclepius_text::gates::phi::PhiKind;

use crate::Filled;

/// Each sentence with every identifier of its block, a sentence that identifies nobody before every third.
pub fn fill() -> Vec<Filled> {
    let blocks: Vec<&str> = include_str!("fresh.txt").split("\n= ").skip(1).collect();
    let lines = |block: &'static str, mark: &'static str| {
        block.lines().skip(1).filter_map(move |line| line.strip_prefix(mark)).collect::<Vec<_>>()
    };
    let clean: Vec<&str> =
        blocks.iter().filter(|block| block.starts_with("none")).flat_map(|block| lines(block, "- ")).collect();
    let mut rows: Vec<Filled> = Vec::new();
    for block in blocks.iter().filter(|block| !block.starts_with("none")) {
        let name = block.lines().next().expect("a kind");
        let kind = PhiKind::ALL.into_iter().find(|kind| format!("{kind:?}") == name).expect("one of the eighteen");
        for (at, sentence) in lines(block, "- ").into_iter().enumerate() {
            for (number, value) in lines(block, "+ ").into_iter().enumerate() {
                let place = sentence.find("{}").expect("every sentence has a place");
                let before = match (at * 5 + number) % 3 {
                    0 => format!("{}\n", clean[(at * 31 + number * 7) % clean.len()]),
                    _ => String::new(),
                };
                let from = before.len() + place;
                let text = format!("{before}{}{value}{}", &sentence[..place], &sentence[place + 2..]);
                rows.push((text, vec![(kind, from..from + value.len())]));
            }
        }
    }
    rows.extend(clean.into_iter().map(|text| (text.to_owned(), Vec::new())));
    rows
}
