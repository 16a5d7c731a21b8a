//! Where in its note an answer stands, as far as it stands there word for word.

use asclepius_schema::Span;

/// The shortest piece that counts as found: shorter ones occur anywhere.
const SHORTEST_BYTES: usize = 4;

/// Spans of `note` (bytes of its UTF-8) that the answer repeats, sorted, without overlaps.
///
/// The whole answer is looked for first, then its lines, their sentences, what follows a label and a colon, and the
/// items of a list; a part that is found is not taken apart further. The case of a first letter does not count. An
/// answer in words of its own has no spans.
pub fn spans(note: &str, answer: &str) -> Vec<Span> {
    let mut found = Vec::new();
    search(note, answer, 0, &mut found);
    found.sort_unstable();
    let mut merged: Vec<(usize, usize)> = Vec::new();
    for (start, end) in found {
        match merged.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => merged.push((start, end)),
        }
    }
    merged
        .into_iter()
        .filter_map(|(start, end)| Some(Span { start: u32::try_from(start).ok()?, end: u32::try_from(end).ok()? }))
        .collect()
}

fn search(note: &str, part: &str, depth: usize, found: &mut Vec<(usize, usize)>) {
    let part = part.trim().trim_start_matches("- ").trim();
    if part.len() < SHORTEST_BYTES {
        return;
    }
    if let Some(start) = position(note, part) {
        found.push((start, start + part.len()));
        return;
    }
    let smaller: Vec<&str> = match depth {
        0 => part.lines().collect(),
        1 => asclepius_text::sentences::split(part),
        2 => part.split_once(": ").map_or_else(|| vec![part], |(label, rest)| vec![label, rest]),
        3 => part.split(", ").collect(),
        _ => return,
    };
    for piece in smaller {
        search(note, piece, depth + 1, found);
    }
}

/// Where `part` begins in `note`, between word boundaries.
fn position(note: &str, part: &str) -> Option<usize> {
    let mut letters = part.chars();
    let first = letters.next()?;
    let rest = letters.as_str();
    let swapped: String =
        if first.is_uppercase() { first.to_lowercase().collect() } else { first.to_uppercase().collect() };
    let other = (swapped.len() == first.len_utf8()).then(|| format!("{swapped}{rest}"));
    let bounded = |text: &str| {
        note.match_indices(text).map(|(at, _)| at).find(|&at| {
            let open = !note[..at].ends_with(char::is_alphanumeric) || !text.starts_with(char::is_alphanumeric);
            let close =
                !note[at + text.len()..].starts_with(char::is_alphanumeric) || !text.ends_with(char::is_alphanumeric);
            open && close
        })
    };
    bounded(part).or_else(|| bounded(&other?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts<'a>(note: &'a str, answer: &str) -> Vec<&'a str> {
        spans(note, answer).into_iter().map(|span| &note[span.start as usize..span.end as usize]).collect()
    }

    #[test]
    fn the_largest_parts_that_stand_in_the_note_are_found() {
        let note = "Results:\n- Chest CT: a 3 cm mass.\n- MRI: no change.\nGiven aspirin and heparin. Fever, cough.";
        assert_eq!(texts(note, "Given aspirin and heparin."), ["Given aspirin and heparin."]);
        assert_eq!(
            texts(note, "- Chest CT: a 3 cm mass\n- MRI: no change"),
            ["Chest CT: a 3 cm mass", "MRI: no change"]
        );
        assert_eq!(texts(note, "A 3 cm mass"), ["a 3 cm mass"]);
        assert_eq!(texts(note, "heparin, fever"), ["heparin", "Fever"]);
        assert!(texts(note, "The tumour shrank.").is_empty());
        assert!(texts("feverish", "fever").is_empty());
    }
}
