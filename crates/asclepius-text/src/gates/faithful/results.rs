//! How a result came out: positive or negative, normal or not, up or down, better or worse.
//!
//! Each such word of the text is held to the one in the source that is said of the same things.

use rustc_hash::FxHashMap;

use super::concepts::{self, Sort};
use super::outcomes::{self, About, Outcome};
use super::polarity::Roles;
use super::reading::{Reading, Sentence, Word};
use super::{SAME_SENTENCE, levels, lexicon};

/// A word that tells an outcome, and what it is said of.
struct Mention<'a> {
    sentence: usize,
    at: usize,
    outcome: Outcome,
    /// The nearest first.
    subjects: Vec<&'a str>,
    /// Told in other words, such as "was found": speaks for the same outcome only.
    implied: bool,
}

/// Words on each side that it may be said of; of a list before it more.
const BEFORE: usize = 5;
const AFTER: usize = 4;
/// The same for words of many meanings.
const NEAR: usize = 4;
const BEHIND: usize = 8;
const LIST: usize = 16;

/// Letters that a word is known by.
const STEM: usize = 7;

/// What a word can be known by in another sentence.
fn subject(word: &Word) -> Option<&str> {
    let figure = word.text.len() >= 2 && word.text.starts_with(|first: char| first.is_ascii_digit());
    let short = word.capitals && word.text.len() == 2;
    let verb = matches!(
        word.text.as_str(),
        "got" | "became" | "remained" | "stayed" | "looked" | "seemed" | "came" | "went" | "found" | "still" | "again"
    );
    // "Eye" has no stem of its own.
    // Of "neck stiff" the neck is what the state is said of.
    if word.joined {
        let end = word.text.char_indices().nth(STEM).map_or(word.text.len(), |(end, _)| end);
        let counts = lexicon::is_content(&word.text) && Outcome::of(&word.text).is_none();
        return counts.then_some(&word.text[..end]);
    }
    let bare = word.stem.is_empty() && word.text.len() >= 3 && lexicon::is_content(&word.text);
    if word.sort == Some(Sort::Absence) {
        return None;
    }
    let counts = figure || short || bare || (!word.stem.is_empty() && Outcome::of(&word.text).is_none());
    let known_by = if figure || short || bare { word.text.as_str() } else { word.stem.as_str() };
    (counts && !verb).then_some(known_by)
}

fn mentions(reading: &Reading) -> Vec<Mention<'_>> {
    let mut found = Vec::new();
    for (sentence, read) in reading.sentences.iter().enumerate() {
        for (at, word) in read.words.iter().enumerate() {
            // "Undisplaced" says by itself that something is not.
            let denied = match word.sort {
                Some(Sort::Absence) => Some(false),
                _ => reading.polarity.denies(sentence, at),
            };
            // "No splenomegaly" tells of the spleen's size.
            for organ in concepts::enlarged(&word.text) {
                let outcome = match denied {
                    Some(true) => Outcome::Well(About::Size),
                    Some(false) => Outcome::Ill(About::Size),
                    None => continue,
                };
                found.push(Mention { sentence, at, outcome, subjects: vec![organ], implied: false });
            }
            let grown = outcomes::of_growth(&read.words, at, denied == Some(true));
            let Some(outcome) = grown.or_else(|| Outcome::of(&word.text)) else {
                found.extend(implied(read, sentence, at));
                continue;
            };
            let before = at.checked_sub(1).map_or("", |at| read.words[at].text.as_str());
            let next = read.words.get(at + 1).map_or("", |next| next.text.as_str());
            if outcomes::names(before, &word.text, next) || is_reference(&read.words, at) || is_named(word) {
                continue;
            }
            let outcome = match denied {
                // "No growth" has its denial in it.
                _ if grown.is_some() => Some(outcome),
                Some(false) => Some(outcome),
                Some(true) => outcome.denied(),
                None if is_no_longer(&read.words, at) => outcome.denied(),
                None if stands_alone(read, at) => Some(outcome),
                None => Some(outcome).filter(|outcome| matches!(outcome, Outcome::Positive | Outcome::Negative)),
            };
            let Some(outcome) = outcome else { continue };
            found.push(Mention { sentence, at, outcome, subjects: subjects(read, at, outcome), implied: false });
        }
    }
    found
}

/// "Red blood cells" are not red.
fn is_named(word: &Word) -> bool {
    word.joined && word.sort == Some(Sort::Other)
}

/// "No longer detectable".
fn is_no_longer(words: &[Word], at: usize) -> bool {
    words[at.saturating_sub(4)..at].windows(2).any(|pair| pair[0].text == "no" && pair[1].text == "longer")
}

/// "(normal: 1.7-8.6)" and "normal < 26" tell what is usual.
fn is_reference(words: &[Word], at: usize) -> bool {
    let figure = |word: &Word| word.text.starts_with(|first: char| first.is_ascii_digit());
    let (next, behind) = (words.get(at + 1), words.get(at + 2));
    let of = next.is_some_and(|next| matches!(next.text.as_str(), "range" | "value" | "values" | "reference" | "ref"));
    let in_clause = next.is_some_and(|next| figure(next) && next.clause == words[at].clause);
    let range = next.zip(behind).is_some_and(|(next, behind)| {
        figure(next) && figure(behind) && next.clause == behind.clause && next.clause == words[at].clause + 1
    });
    words[at].text == "normal" && ((of && behind.is_some_and(figure)) || in_clause || range)
}

/// Whether a state that a denial before it may reach has a subject of its own there: "no rash, neck stiff" and "he never
/// had a rash and his feet were swollen".
fn stands_alone(sentence: &Sentence, at: usize) -> bool {
    let word = &sentence.words[at];
    let before = sentence.words[..at].iter().rev().take_while(|before| before.phrase == word.phrase);
    let mut own = before.take_while(|before| !before.roles.is_cue()).peekable();
    // "Weight loss" in a list of what is denied is no statement of its own, "neck stiff" is.
    let noun =
        ["ness", "ing", "ion", "ment", "loss", "ancy", "ema", "oms", "dity"].iter().any(|end| word.text.ends_with(end));
    let beside = !noun && own.peek().is_some_and(|before| subject(before).is_some());
    let copula =
        |word: &Word| matches!(word.text.as_str(), "was" | "were" | "is" | "are" | "remained" | "looked" | "appeared");
    let within = sentence.words[..at].iter().rev().take(3).any(copula);
    let denied_here =
        sentence.words[..at].iter().rev().take(4).any(|before| before.phrase == word.phrase && before.roles.is_cue());
    (beside || within) && !denied_here
}

/// "Strep" is what "streptococcal" begins with.
fn is_same(one: &str, other: &str) -> bool {
    const LEAST: usize = 5;
    one == other || one.len().min(other.len()) >= LEAST && (one.starts_with(other) || other.starts_with(one))
}

/// "DNA was found in urine but not in blood" gives two results without the word for either.
fn implied(sentence: &Sentence, number: usize, at: usize) -> Option<Mention<'_>> {
    let word = &sentence.words[at];
    let outcome = match word.text.as_str() {
        "found" | "isolated" | "identified" | "yielded" | "revealed" | "showed" => Outcome::Positive,
        _ if word.roles.is_cue() => Outcome::Negative,
        _ => return None,
    };
    let around = &sentence.words[at.saturating_sub(BEFORE)..(at + BEFORE + 1).min(sentence.words.len())];
    let subjects = around.iter().filter(|near| near.clause == word.clause).filter_map(subject).collect();
    Some(Mention { sentence: number, at, outcome, subjects, implied: true })
}

fn subjects(sentence: &Sentence, at: usize, outcome: Outcome) -> Vec<&str> {
    let word = &sentence.words[at];
    // Said of the patient.
    if let Outcome::Well(about @ (About::Symptoms | About::Consciousness))
    | Outcome::Ill(about @ (About::Symptoms | About::Consciousness)) = outcome
    {
        return vec![if about == About::Symptoms { "symptoms of the patient" } else { "the patient awake" }];
    }
    let near = |next: &&Word| next.clause == word.clause;
    let before = &sentence.words[..at];
    // Of a list with brackets in it, back to the verb or the outcome before: "were found to be intact" is one verb.
    let nearest = before.iter().rev().position(|word| subject(word).is_some()).unwrap_or(LIST);
    let verb = |word: &Word, steps: usize| steps > 2.max(nearest) && word.roles.any(Roles::ENDS);
    let list = before.iter().rev().enumerate().take(LIST);
    // "Decreased to normal" tells of one thing.
    let list =
        list.take_while(|(steps, word)| (*steps < 2 || Outcome::of(&word.text).is_none()) && !verb(word, *steps));
    let list: Vec<&str> = list.filter_map(|(_, word)| subject(word)).collect();
    let reach = if outcome.is_near() { NEAR } else { BEFORE };
    let one = before.iter().rev().take(reach).take_while(near).filter_map(subject);
    let before = if outcome.closes_lists() { list } else { one.collect() };
    // "Negative for HIV" and "normal platelets" name it behind.
    let next = sentence.words.get(at + 1).filter(near);
    let names = next.is_some_and(|next| {
        matches!(next.text.as_str(), "for" | "to" | "in" | "of" | "level" | "levels" | "serum") || !next.stem.is_empty()
    });
    // "Swelling or redness of the hands".
    let names =
        names || sentence.words[at + 1..].iter().take(3).any(|next| next.text == "of" && next.phrase == word.phrase);
    let names = names && !matches!(word.text.as_str(), "grew" | "grown" | "growth");
    let reach = if names { BEHIND } else { AFTER };
    // "Brisk without clonus" says nothing of clonus.
    let after = sentence.words[at + 1..].iter().take(reach);
    let after = after.take_while(|next| next.phrase == word.phrase && !next.roles.is_cue());
    // "Was negative, as were hepatitis B and C serology".
    let also = sentence.words[at + 1..]
        .windows(2)
        .take(2)
        .any(|pair| pair[0].text == "as" && matches!(pair[1].text.as_str(), "was" | "were"));
    let others = sentence.words[at + 1..].iter().skip(2).take(if also { LIST + LIST } else { 0 }).filter_map(subject);
    let after = after.filter_map(subject).chain(others);
    // "And the negative CD61 expression" says nothing of what stands before.
    let article = at.checked_sub(1).is_some_and(|at| matches!(sentence.words[at].text.as_str(), "the" | "a" | "an"));
    if names && article {
        return after.collect();
    }
    if names { after.chain(before).collect() } else { before.into_iter().chain(after).collect() }
}

/// Least likeness of an opposite outcome, and by how much it must be the closer one; the same in words of one's own.
const ALIKE: f32 = 2.0;
const OWN_WORDS_ALIKE: f32 = 2.3;
const OWN_WORDS_NEAR: f32 = 2.1;
const CLOSER: f32 = 0.9;
const OWN_WORDS_CLOSER: f32 = 1.2;
/// What it costs that a farther subject is shared, not the first, and how many may be.
const LATER: f32 = 0.3;
const SUBJECTS: usize = 3;
/// What the sentences' overlap counts beside the subjects.
const SENTENCE_WEIGHT: f32 = 2.0;

/// The nearest subject of a mention that another one has, too: where both have it.
fn same_subject(asked: &Mention<'_>, found: &Mention<'_>) -> Option<(usize, usize)> {
    asked.subjects.iter().take(SUBJECTS).enumerate().find_map(|(of, own)| {
        let at = found.subjects.iter().position(|subject| is_same(subject, own))?;
        Some((of, at))
    })
}

/// Outcomes of the text whose closest mention in the source came out the other way.
pub(super) fn contradictions(
    text: &Reading,
    source: &Reading,
    overlaps: &[Vec<f32>],
    own_words: &[bool],
) -> Vec<String> {
    let known = mentions(source);
    let spelled = spelled(text, source);
    let asked: Vec<Mention<'_>> = mentions(text)
        .into_iter()
        .filter(|asked| !asked.implied)
        .map(|asked| {
            let written_out = |subject: &str| spelled.get(subject).cloned().unwrap_or_default();
            let subjects = asked.subjects.iter().flat_map(|&subject| {
                let out = written_out(subject);
                if out.is_empty() { vec![subject] } else { out }
            });
            Mention { subjects: subjects.collect(), ..asked }
        })
        .collect();
    let contradicted = |asked: &Mention<'_>| {
        let (mut same, mut other) = (0.0_f32, 0.0_f32);
        for found in &known {
            let opposed = asked.outcome.is_opposed(found.outcome);
            if (!opposed && !asked.outcome.agrees(found.outcome)) || (opposed && found.implied) {
                continue;
            }
            let Some((of, at)) = same_subject(asked, found) else { continue };
            let others = asked.subjects.iter().enumerate().filter(|(index, _)| *index != of).take(5);
            let shared = others.filter(|(_, subject)| found.subjects.contains(subject)).count();
            let alike = 2.0 - LATER * of as f32 - 0.02 * at as f32
                + shared as f32
                + SENTENCE_WEIGHT * overlaps[asked.sentence][found.sentence];
            // The sentence that it comes from says the same.
            let alike =
                if !opposed && overlaps[asked.sentence][found.sentence] >= SAME_SENTENCE { alike + 3.0 } else { alike };
            let best = if opposed { &mut other } else { &mut same };
            *best = best.max(alike);
        }
        let own = own_words[asked.sentence];
        let (alike, closer) = match own {
            // Words of few meanings tell more than "normal" and "low".
            true if asked.outcome.is_near() => (OWN_WORDS_NEAR, OWN_WORDS_CLOSER),
            true => (OWN_WORDS_ALIKE, OWN_WORDS_CLOSER),
            false => (ALIKE, CLOSER),
        };
        other >= alike && other >= same + closer
    };
    let shown = |asked: &Mention<'_>| {
        let word = &text.sentences[asked.sentence].words[asked.at].text;
        format!("{word} ({:?}) in {}", asked.outcome, text.sentences[asked.sentence].line.trim())
    };
    let wrong = |asked: &&Mention<'_>| {
        contradicted(asked) || levels::contradicts(&text.sentences[asked.sentence], asked.at, asked.outcome)
    };
    asked.iter().filter(wrong).map(shown).collect()
}

/// Abbreviations of the text that the source writes out, by its words' initials: "UDS" for a urine drug screen.
fn spelled<'a>(text: &'a Reading, source: &'a Reading) -> FxHashMap<&'a str, Vec<&'a str>> {
    let words = text.sentences.iter().flat_map(|sentence| &sentence.words);
    let short =
        words.filter(|word| word.capitals && (2..=5).contains(&word.text.len()) && !source.known.contains(&word.text));
    let mut found: FxHashMap<&str, Vec<&str>> = FxHashMap::default();
    for word in short {
        let name = subject(word).unwrap_or(word.text.as_str());
        if found.contains_key(name) {
            continue;
        }
        let out = source.sentences.iter().find_map(|sentence| {
            (0..sentence.words.len()).find_map(|start| written_out(&word.text, &sentence.words[start..]))
        });
        found.insert(name, out.unwrap_or_default());
    }
    found
}

/// The stems of the words whose initials an abbreviation is, if they stand at the beginning of `words`.
fn written_out<'a>(short: &str, words: &'a [Word]) -> Option<Vec<&'a str>> {
    let mut letters = short.chars().peekable();
    let mut stems = Vec::new();
    for word in words {
        let Some(&letter) = letters.peek() else { break };
        if matches!(word.text.as_str(), "of" | "and" | "the" | "for") && !stems.is_empty() {
            continue;
        }
        if !word.text.starts_with(letter) || word.clause != words[0].clause {
            return None;
        }
        letters.next();
        // "Antinuclear antibody" is ANA.
        let rest = word.text.strip_prefix("anti").filter(|rest| rest.len() >= 4);
        if rest.is_some_and(|rest| letters.peek().is_some_and(|&letter| rest.starts_with(letter))) {
            letters.next();
        }
        stems.extend(subject(word));
    }
    (letters.peek().is_none() && !stems.is_empty()).then_some(stems)
}
