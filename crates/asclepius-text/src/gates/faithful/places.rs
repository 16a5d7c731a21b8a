//! Whether a figure stands beside what the source says of another one: "creatinine 109 on day 9" where day 9 is the
//! discharge and day 6 had the creatinine.

use std::hash::{Hash, Hasher};

use rustc_hash::{FxHashSet, FxHasher};

use super::quantities::{Kind, Quantity};
use super::{Pair, lexicon, reading};

/// Hashes of the words and figures around a place.
pub(super) type Surroundings = Vec<u64>;

/// Bytes on each side that count.
const REACH: usize = 80;
/// What the place of another figure must share with the text's, and by how much more than any place of its own.
const LEAST_SHARED: usize = 2;
const CLOSER: usize = 2;
/// So many times in a sentence are a series.
const SERIES: usize = 3;

fn hash(token: &str) -> u64 {
    let mut hasher = FxHasher::default();
    token.hash(&mut hasher);
    hasher.finish()
}

/// What stands around a figure, up to the end of its sentence.
fn surroundings(line: &str, at: usize) -> Surroundings {
    let own_end = at + line[at..].bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
    let from = (0..=at.saturating_sub(REACH)).rev().find(|&from| line.is_char_boundary(from)).unwrap_or(0);
    let to = ((own_end + REACH).min(line.len())..=line.len()).find(|&to| line.is_char_boundary(to));
    let mut found = tokens(line[from..at].rsplit([';', '|']).next().unwrap_or_default());
    found.extend(tokens(line[own_end..to.unwrap_or(line.len())].split([';', '|']).next().unwrap_or_default()));
    found.sort_unstable();
    found.dedup();
    found
}

/// What stands in the same phrase: in "240 on day 9, 196 on day 12" a day goes with the figure before it.
fn phrase(line: &str, at: usize) -> Surroundings {
    const MARKS: [char; 5] = [',', ';', ':', '|', '('];
    let before = line[..at].rsplit(MARKS).next().unwrap_or_default();
    let after = line[at..].trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let mut found = tokens(before);
    found.extend(tokens(after.split([',', ';', '|', '(']).next().unwrap_or_default()));
    found
}

fn tokens(text: &str) -> Surroundings {
    let words = text.split(|letter: char| !(letter.is_alphanumeric() || letter == '.'));
    let token = |word: &str| {
        let word = word.trim_matches('.');
        if word.starts_with(|first: char| first.is_ascii_digit()) {
            return (word.len() >= 2).then(|| hash(word));
        }
        // A drug goes by all of its names.
        let stem = reading::stem(lexicon::generic(word).unwrap_or(word));
        (lexicon::is_content(word) && !is_time(word) && stem.len() >= 3).then(|| hash(&stem))
    };
    words.filter_map(token).collect()
}

fn is_time(word: &str) -> bool {
    matches!(word, "days" | "weeks" | "months" | "years" | "hours" | "minutes" | "later")
}

fn shared(one: &[u64], other: &[u64]) -> usize {
    one.iter().filter(|token| other.binary_search(token).is_ok()).count()
}

impl Pair<'_> {
    /// Whether a figure that the source knows stands where the source has another one of its kind.
    pub(super) fn is_misplaced(&self, index: usize, asked: &Quantity) -> bool {
        let counted = asked.counts && asked.kind == Kind::Measure;
        // An answer draws together what stands apart.
        if self.reworded || !(asked.kind == Kind::Interval || counted) {
            return false;
        }
        // A series of times tells a course, in whatever order the source has it.
        let times = self.text.sentences[index].quantities.iter().filter(|quantity| quantity.kind == Kind::Interval);
        if self.own_words[index] && times.count() >= SERIES {
            return false;
        }
        let line = &self.text.sentences[index].line;
        let own = surroundings(line, asked.at);
        if own.len() < LEAST_SHARED {
            return false;
        }
        let all = self.surroundings.get_or_init(|| {
            let place =
                |(sentence, found): &(usize, &Quantity)| surroundings(&self.source.sentences[*sentence].line, found.at);
            self.quantities.iter().map(place).collect()
        });
        // What the source tells in one sentence, the text tells in one too.
        let own_sentences: FxHashSet<usize> =
            self.quantities.iter().filter(|(_, found)| asked.agrees(found)).map(|(sentence, _)| *sentence).collect();
        let beside = phrase(line, asked.at);
        let (mut here, mut elsewhere, mut other_unit) = (0, 0, 0);
        for ((sentence, found), around) in self.quantities.iter().zip(all) {
            let bare = found.kind == Kind::Measure && found.unit.is_none() && !found.counts;
            if asked.agrees(found) {
                if shared(&beside, around) > 0 {
                    return false;
                }
                here = here.max(shared(&own, around));
            } else if found.kind == asked.kind && found.counts == asked.counts && !own_sentences.contains(sentence) {
                let shared = shared(&own, around);
                elsewhere = elsewhere.max(shared);
                if asked.has_another_unit(found) {
                    other_unit = other_unit.max(shared);
                }
            } else if bare
                && found
                    .values
                    .iter()
                    .any(|value| asked.values.iter().any(|own| (own / asked.scale - value).abs() < 1e-6))
            {
                // "At three months and at six": the unit is said once.
                here = here.max(shared(&own, around));
            }
        }
        // In words of one's own less of the surroundings is the source's,
        // unless the figure stands there with another unit.
        // or a drug's name tells where it comes from.
        let named = || super::drugs_of(&self.text.sentences[index]).next().is_some();
        let more = usize::from(self.own_words[index] && !named());
        if other_unit >= LEAST_SHARED && other_unit >= here + CLOSER {
            return true;
        }
        elsewhere >= LEAST_SHARED + more && elsewhere >= here + CLOSER
    }
}
