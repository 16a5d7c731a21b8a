//! How far each word that denies reaches in its sentence.

use super::words::{DENY_WITH, Roles};
use crate::gates::faithful::concepts::Sort;
use crate::gates::faithful::reading::{Sentence, Word};

/// What a sentence says of one of its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    Affirmed,
    Denied,
    /// Said of a test.
    Positive,
    /// Said of a test, whose being done it does not deny.
    Negative,
    /// Where the reach of a denial is not sure.
    Open,
}

impl Said {
    pub const ALL: [Self; 5] = [Self::Affirmed, Self::Denied, Self::Positive, Self::Negative, Self::Open];
}

/// For each word, whether the sentence denies it.
pub fn said(sentence: &Sentence) -> Vec<Said> {
    let words = &sentence.words;
    let mut said = vec![Said::Affirmed; words.len()];
    for (index, word) in words.iter().enumerate() {
        if !word.roles.any(Roles::TURNS) {
            continue;
        }
        let text = word.text.as_str();
        let next = words.get(index + 1).map_or("", |next| next.text.as_str());
        if text == "not" && matches!(next, "only" | "yet") {
            continue;
        }
        // Denied now, and true before.
        if text == "no" && next == "longer" {
            mark_open(words, index, &mut said);
            continue;
        }
        // A count that declined to 6 was there.
        if text == "declined" && fell(words, index) {
            continue;
        }
        if text == "non" {
            if let Some(said) = said.get_mut(index + 1) {
                set(said, Said::Denied);
            }
            continue;
        }
        // "She ate nothing", "nobody in the family has died".
        if text == "nothing" && index > 0 && is_plain(&words[index - 1], word) {
            set(&mut said[index - 1], Said::Denied);
        } else if text == "nobody" {
            mark_open(words, index, &mut said);
        }
        if DENY_WITH.iter().any(|(first, second)| *first == text && *second == next)
            || word.roles.any(Roles::DENIES_AFTER)
        {
            mark_after(words, index, &mut said);
            // "The scan was declined", "stroke was ruled out".
            let passive = index > 0 && matches!(words[index - 1].text.as_str(), "was" | "were" | "been" | "being");
            if matches!(text, "declined" | "refused" | "ruled") || (text == "denied" && passive) {
                mark_before(words, index, Said::Denied, &mut said);
            } else if text == "negative" {
                mark_before(words, index, Said::Open, &mut said);
            }
        } else if word.roles.any(Roles::DENIES_AROUND) {
            // What did not settle goes on.
            if ENDING.contains(&next) {
                mark_open(words, index, &mut said);
            } else {
                mark_around(words, index, &mut said);
            }
        } else if word.roles.any(Roles::DENIES_BEFORE) {
            // "Imaging excluded thrombosis" denies what follows, "thrombosis was excluded" what stands before.
            let passive = index > 0 && matches!(words[index - 1].text.as_str(), "was" | "were" | "been" | "is" | "are");
            let object =
                words.get(index + 1).filter(|next| next.phrase == word.phrase && !next.roles.any(Roles::PLACES));
            match object {
                Some(_) if text == "avoided" && !passive => mark_open(words, index, &mut said),
                Some(_) if text == "excluded" && !passive => mark_after(words, index, &mut said),
                _ => mark_before(words, index, Said::Denied, &mut said),
            }
        } else if text == "free" && words.get(index + 1).is_none_or(|next| ends_free(word, next)) {
            mark_before(words, index, Said::Denied, &mut said);
        } else if text == "negative" || text == "undetectable" {
            mark_before(words, index, Said::Negative, &mut said);
        } else if text == "positive" {
            mark_before(words, index, Said::Positive, &mut said);
        } else if word.roles.any(Roles::OPENS) || (word.roles.any(Roles::OPENS_WITH_FOR) && next == "for") {
            mark_open(words, index, &mut said);
        }
        if matches!(text, "none" | "nil") {
            mark_label(words, index, &mut said);
        }
    }
    for (word, said) in words.iter().zip(&mut said) {
        if word.sort == Some(Sort::Absence) {
            *said = if *said == Said::Affirmed { Said::Denied } else { Said::Open };
        }
    }
    said
}

/// "Allergies: none": the few words that open a line, and that the whole of it answers.
fn mark_label(words: &[Word], index: usize, said: &mut [Said]) {
    const LONGEST: usize = 3;
    let opens = index > 0 && index <= LONGEST && words[index - 1].clause != words[index].clause;
    if opens && words[..index].iter().all(|word| word.clause == words[0].clause) {
        said[..index].fill(Said::Denied);
    }
}

/// Verbs of what comes to an end or gets better.
const ENDING: &[&str] = &[
    "abate",
    "alleviate",
    "cease",
    "clear",
    "control",
    "disappear",
    "heal",
    "help",
    "improve",
    "improving",
    "reduce",
    "relieve",
    "relieved",
    "resolve",
    "resolved",
    "respond",
    "responding",
    "settle",
    "settled",
    "stop",
    "subside",
];

/// Whether what declined went down: with "to 6", "by half", "over the years" or a manner behind it, and no "was" before.
fn fell(words: &[Word], index: usize) -> bool {
    let text = |at: usize| words.get(at).map_or("", |word| word.text.as_str());
    let next = text(index + 1);
    let figure = text(index + 2).starts_with(|first: char| first.is_ascii_digit());
    let passive = index > 0 && matches!(text(index - 1), "was" | "were" | "been");
    let manner =
        next.ends_with("ly") || matches!(next, "from" | "by" | "over" | "further" | "again" | "during" | "after");
    !passive && (manner || (next == "to" && figure))
}

/// A word that may be the verb of what follows it.
fn is_plain(before: &Word, word: &Word) -> bool {
    before.phrase == word.phrase && matches!(before.sort, None | Some(Sort::Other))
}

/// "Headache-free at two years": what is free is no free fluid.
fn ends_free(word: &Word, next: &Word) -> bool {
    next.phrase != word.phrase
        || next.roles.any(Roles::PLACES)
        || matches!(next.text.as_str(), "for" | "since" | "after")
}

/// The rest of the clause.
fn mark_open(words: &[Word], index: usize, said: &mut [Said]) {
    for at in index + 1..words.len() {
        if words[at].clause == words[index].clause {
            set(&mut said[at], Said::Open);
        }
    }
}

fn set(said: &mut Said, to: Said) {
    if *said != Said::Denied {
        *said = to;
    }
}

/// Up to the end of the clause or the next verb. Behind a comma only what "or" closes is denied for sure.
fn mark_after(words: &[Word], index: usize, said: &mut [Said]) {
    const SURE: usize = 7;
    let clause = words[index].clause;
    // "Symptoms such as fever, rash and pain" goes on.
    let such = |at: usize| words[at].text == "as" && words[at - 1].text == "such";
    let ends =
        |at: usize| words[at].clause != clause || (at > index + 1 && words[at].roles.any(Roles::ENDS) && !such(at));
    let end = (index + 1..words.len()).find(|&at| ends(at)).unwrap_or(words.len());
    // "No platelets were given": the verb goes with what is denied.
    let copula = |word: &Word| word.clause == clause && matches!(word.text.as_str(), "was" | "were" | "is" | "are");
    if words.get(end).is_some_and(copula) {
        for said in said.iter_mut().skip(end + 1).take(3) {
            set(said, Said::Open);
        }
    }
    // "No stool for six days" is over.
    let lasting = (index + 1..end).any(|at| {
        matches!(words[at].text.as_str(), "for" | "since")
            && words.get(at + 1).is_some_and(|next| next.text.starts_with(|first: char| first.is_ascii_digit()))
    });
    if lasting {
        for said in &mut said[index + 1..end] {
            set(said, Said::Open);
        }
        return;
    }
    // What a patient denies is the whole of a list.
    let whole = matches!(words[index].text.as_str(), "denied" | "denies" | "denying");
    let closes = |word: &Word| matches!(word.text.as_str(), "or" | "nor") || (whole && word.text == "and");
    let last_or = (index + 1..end).rev().find(|&at| closes(&words[at]));
    let mut since_mark = 0;
    let mut joined = false;
    let mut placed = false;
    for at in index + 1..end {
        let word = &words[at];
        if at > 0 && word.phrase != words[at - 1].phrase {
            since_mark = 0;
            joined = false;
            placed = false;
        }
        since_mark += 1;
        // "No ring at the slit lamp" denies no lamp.
        // "No facial weakness with symmetric smile" denies no smile.
        placed |= word.roles.any(Roles::PLACES) || matches!(word.text.as_str(), "to" | "with");
        // "Without invasion expanding the cavity" tells that it expanded.
        let participle =
            word.text.ends_with("ing") && word.sort.is_none() && at > index + 1 && !words[at - 1].stem.is_empty();
        joined |= participle && word.phrase == words[at - 1].phrase;
        joined |= (word.text == "and" && !whole) || word.roles.any(Roles::PLACES);
        let listed = last_or.is_some_and(|last| at < last || word.phrase == words[last].phrase);
        let first = word.phrase == words[index].phrase && !joined;
        // "No treatment needed" and "needed no treatment" say the same.
        let verb = word.roles.any(Roles::THERE);
        set(
            &mut said[at],
            if (listed || first) && since_mark <= SURE && !verb && !placed { Said::Denied } else { Said::Open },
        );
    }
}

/// Back over the verb's phrase, forward to the clause's end or the next verb.
fn mark_around(words: &[Word], index: usize, said: &mut [Said]) {
    const SURE: usize = 4;
    const LISTED: usize = 14;
    let phrase = words[index].phrase;
    let mut reached = index;
    let ends = |word: &Word| word.phrase != phrase || word.text == "that" || word.roles.any(Roles::ENDS);
    let there = words[index + 1..].iter().take(3).any(|word| word.roles.any(Roles::THERE) && word.phrase == phrase);
    let mut listed = false;
    for at in (0..index).rev() {
        let here = words[at].phrase == phrase;
        let verb = words[at].text == "that" || words[at].roles.any(Roles::ENDS);
        // The verb that is denied stands right before; of a list before it not all may be meant.
        let across = there && words[at].clause == words[index].clause;
        // "She was in pain and a scan was not done" denies the scan.
        let one =
            words[at].text == "and" && index > 0 && matches!(words[index - 1].text.as_str(), "was" | "is" | "has");
        if !(here || across) || (verb && at + 2 < index) || one {
            break;
        }
        listed |= !here;
        reached = at;
        set(&mut said[at], if there && !listed && index - at <= SURE + 2 { Said::Denied } else { Said::Open });
    }
    // "Fever, rash and cough did not occur": with nothing but the list before it, all of it is meant.
    let begins = reached == 0 || words[reached - 1].clause != words[index].clause;
    let closed = words[reached..index].iter().any(|word| matches!(word.text.as_str(), "and" | "or"));
    if listed && begins && closed && index - reached <= LISTED {
        said[reached..index].fill(Said::Denied);
    }
    let mut joined = false;
    for (at, word) in words.iter().enumerate().skip(index + 1) {
        if ends(word) && (word.phrase != phrase || at > index + 1) {
            break;
        }
        joined |= matches!(word.text.as_str(), "and" | "because" | "so" | "for" | "with" | "to" | "of")
            || word.roles.any(Roles::PLACES);
        set(&mut said[at], if !joined && at - index <= SURE { Said::Denied } else { Said::Open });
    }
}

/// Back over what "were negative" is said of: a list as far as the clause goes, its last phrase for sure.
fn mark_before(words: &[Word], index: usize, to: Said, said: &mut [Said]) {
    const SURE: usize = 6;
    let (clause, phrase) = (words[index].clause, words[index].phrase);
    for at in (0..index).rev() {
        let text = words[at].text.as_str();
        let verb = matches!(text, "was" | "were" | "is" | "are");
        // What denies for itself stands apart: "no pustules, test negative".
        let apart = words[at].roles.is_cue() && words[at].phrase != phrase;
        if words[at].clause != clause || apart || (words[at].roles.any(Roles::ENDS) && !(verb && at + 3 >= index)) {
            break;
        }
        set(&mut said[at], if words[at].phrase == phrase && index - at <= SURE { to } else { Said::Open });
    }
}
