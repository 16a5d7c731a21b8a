//! A reply's text as it grows token by token: whole characters only, and nothing that may belong to a stop string.

use asclepius_text::TextTokenizer;

/// A character has at most four bytes, so as many tokens; what is no character after these never becomes one.
const MOST_HELD_TOKENS: usize = 16;

/// The text of the tokens so far.
#[derive(Debug)]
pub(crate) struct Growing<'a> {
    tokenizer: &'a TextTokenizer,
    stops: Stops<'a>,
    ids: Vec<u32>,
    /// Text is told by decoding from here: a token's text can depend on the one before it.
    from: usize,
    /// The text of the tokens before this one is known.
    known: usize,
}

impl<'a> Growing<'a> {
    pub fn new(tokenizer: &'a TextTokenizer, stops: &'a [String]) -> Self {
        Self { tokenizer, stops: Stops { stops, held: String::new() }, ids: Vec::new(), from: 0, known: 0 }
    }

    /// How many tokens came.
    pub fn tokens(&self) -> usize {
        self.ids.len()
    }

    /// Takes the next token; gives the text that is certain now, and whether a stop string ended it.
    pub fn push(&mut self, id: u32) -> (String, bool) {
        self.ids.push(id);
        let text = self.tokenizer.decode(&self.ids[self.from..]);
        if text.ends_with(char::REPLACEMENT_CHARACTER) && self.ids.len() - self.known < MOST_HELD_TOKENS {
            return (String::new(), false);
        }
        let new = self.new_text(&text);
        self.from = self.known;
        self.known = self.ids.len();
        self.stops.push(&new)
    }

    /// The rest, once no token comes any more.
    pub fn finish(mut self) -> (String, bool) {
        let text = self.tokenizer.decode(&self.ids[self.from..]);
        let new = self.new_text(&text);
        let (mut text, stopped) = self.stops.push(&new);
        if !stopped {
            text.push_str(&self.stops.held);
        }
        (text, stopped)
    }

    fn new_text(&self, text: &str) -> String {
        let before = self.tokenizer.decode(&self.ids[self.from..self.known]);
        text.get(before.len()..).unwrap_or_default().to_owned()
    }
}

/// Cuts a text that comes in pieces at the first of several strings.
#[derive(Debug)]
struct Stops<'a> {
    stops: &'a [String],
    /// May be the beginning of a stop string.
    held: String,
}

impl Stops<'_> {
    /// Takes a piece; gives what may be handed out, and whether a stop string came.
    fn push(&mut self, piece: &str) -> (String, bool) {
        self.held.push_str(piece);
        if let Some(end) = self.stops.iter().filter_map(|stop| self.held.find(stop.as_str())).min() {
            self.held.truncate(end);
            return (std::mem::take(&mut self.held), true);
        }
        let begins = |at: &usize| self.stops.iter().any(|stop| stop.starts_with(&self.held[*at..]));
        let at = self.held.char_indices().map(|(at, _)| at).find(begins).unwrap_or(self.held.len());
        let rest = self.held.split_off(at);
        (std::mem::replace(&mut self.held, rest), false)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(pieces: &[String], stops: &[String]) -> (String, bool) {
        let mut filter = Stops { stops, held: String::new() };
        let mut given = String::new();
        for piece in pieces {
            let (text, stopped) = filter.push(piece);
            given.push_str(&text);
            if stopped {
                return (given, true);
            }
        }
        (given + &filter.held, false)
    }

    proptest! {
        #[test]
        fn the_pieces_do_not_matter(
            pieces in prop::collection::vec("[abé]{0,4}", 0..12),
            stops in prop::collection::vec("[abé]{1,4}", 0..4),
        ) {
            let whole = pieces.concat();
            // The earliest end decides while a text grows, as it would if each character were a token.
            let ends = stops.iter().filter_map(|stop| whole.find(stop.as_str()));
            let (given, stopped) = cut(&pieces, &stops);
            match ends.min() {
                None => prop_assert_eq!((given, stopped), (whole, false)),
                Some(_) => {
                    prop_assert!(stopped);
                    let after = &whole[given.len()..];
                    prop_assert!(whole.starts_with(&given) && stops.iter().any(|stop| after.starts_with(stop.as_str())));
                    prop_assert!(stops.iter().all(|stop| !given.contains(stop.as_str())));
                }
            }
        }
    }

    #[test]
    fn a_stop_string_may_lie_across_pieces() {
        let pieces = ["one #".to_owned(), "#".to_owned(), "# two".to_owned()];
        assert_eq!(cut(&pieces, &["###".to_owned()]), ("one ".to_owned(), true));
        assert_eq!(cut(&pieces[..2], &["###".to_owned()]), ("one ##".to_owned(), false));
    }
}
