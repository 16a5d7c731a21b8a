//! Names in running text that no label or title introduces: the lists know them, or they are capitalised, stand where a
//! name may, and are words of neither everyday language nor medicine.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::tokens::{Token, tokens};
use super::word::{Nature, is_heading, lower, plain};
use super::{PhiKind, PhiSpan, context, lists};

/// How much a word must look like a name within a sentence, at its beginning before what persons do, and there alone.
const WITHIN: f32 = -2.5;
const BEFORE_A_VERB: f32 = -2.0;
const ALONE: f32 = 5.0;

/// Names that [`super::scan`]'s other rules left: whole runs of capitalised words.
pub(super) fn find(text: &str, found: &[PhiSpan]) -> Vec<(PhiKind, Range<usize>)> {
    let tokens = tokens(text);
    let spelled: Vec<&str> = found
        .iter()
        .filter(|span| span.kind == PhiKind::Name)
        .flat_map(|span| text[span.range.clone()].split_whitespace())
        .collect();
    let spelled: Vec<String> = spelled.into_iter().map(plain).filter(|word| word.len() >= 3).collect();
    let mut names: Vec<bool> = tokens.iter().map(|token| is_name(text, token, &spelled)).collect();
    // What stands among names is one: "Leroy Grace Tanner", "Toby, Isla and Grace".
    for _ in 0..2 {
        for at in 0..tokens.len() {
            let token = &tokens[at];
            if names[at] || matches!(token.nature, Nature::Other) || is_eponymous(text, token) {
                continue;
            }
            let beside = |other: usize, between: &str| {
                let joined = matches!(between, " " | " \"" | "\" " | " and " | " & " | "/" | ", " | ", and ");
                names[other]
                    && (matches!(between, " " | " \"" | "\" ") || joined && !matches!(token.nature, Nature::Ambiguous))
            };
            let before = at > 0 && beside(at - 1, &text[tokens[at - 1].range.end..token.range.start]);
            let after = at + 1 < tokens.len() && beside(at + 1, &text[token.range.end..tokens[at + 1].range.start]);
            let given = lists::is_given(&token.plain);
            names[at] = before && !token.opens || after && (!token.opens || given || token.nature != Nature::Ambiguous);
        }
    }
    // A name found once is one wherever it stands.
    let known: Vec<&str> =
        tokens.iter().zip(&names).filter(|(_, name)| **name).map(|(token, _)| token.plain.as_str()).collect();
    let again: Vec<bool> = tokens
        .iter()
        .map(|token| {
            let certain = !matches!(token.nature, Nature::Other | Nature::Ambiguous) || !token.opens;
            certain
                && token.nature != Nature::Other
                && known.contains(&token.plain.as_str())
                && !is_eponymous(text, token)
        })
        .collect();
    let names: Vec<bool> = names.iter().zip(again).map(|(one, other)| *one || other).collect();
    runs(text, &tokens, &names)
}

fn is_name(text: &str, token: &Token, spelled: &[String]) -> bool {
    let (before, after) = (&text[..token.range.start], &text[token.range.end..]);
    if is_eponymous(text, token) || is_binomial(after, token) {
        return false;
    }
    let again = spelled.contains(&token.plain);
    if !again && matches!(token.nature, Nature::Unknown(_) | Nature::Family) && is_thing(before, after) {
        return false;
    }
    let acts = || context::is_of_persons(after);
    let among = || context::is_before_persons(before) || context::is_before_places(before);
    if token.capital {
        return again || token.nature == Nature::Given && token.plain.len() > 5;
    }
    match token.nature {
        Nature::Other => again && !token.opens,
        Nature::Ambiguous
            if lists::is_town(&token.plain) && (code_before(before).is_some() || context::is_before_places(before)) =>
        {
            after.starts_with(['.', ',', ';', ')', '\n']) || after.is_empty()
        }
        Nature::Ambiguous => again || (!token.opens && lists::is_given(&token.plain) && among() && acts()),
        Nature::Given | Nature::Town => token.plain.len() >= 3 || again,
        Nature::Family => {
            again || !token.opens && token.plain.len() >= 3 || acts() || lists::likeness(&token.plain) > ALONE
        }
        Nature::Unknown(score) => {
            again
                || (token.plain.len() >= 4 || score > 0.0 && token.plain.len() >= 3)
                    && (!token.opens && score > WITHIN
                        || score > BEFORE_A_VERB && acts()
                        || !token.opens && among() && score > 2.0 * WITHIN
                        || score > ALONE)
        }
    }
}

/// An eponym, a product, a province, or words that an abbreviation stands behind.
fn is_eponymous(text: &str, token: &Token) -> bool {
    let after = &text[token.range.end..];
    context::is_behind_eponyms(after) || context::is_behind_things(&text[token.range.clone()], after)
}

/// A maker or a product, in brackets or before a figure, or the author of what is cited, where nothing tells of a person.
fn is_thing(before: &str, after: &str) -> bool {
    let near = &before[super::boundary(before, 80)..];
    context::is_between_things(near, after) || is_bracketed(near, after) || is_before_a_term(after)
}

/// "Endobronchial Ultrasound", "Caris Life Sciences", but "Hamanomachi Hospital".
fn is_before_a_term(after: &str) -> bool {
    let Some(next) = after.strip_prefix(' ').filter(|next| next.starts_with(char::is_uppercase)) else { return false };
    let word = &next[..next.find(|letter: char| !letter.is_alphabetic()).unwrap_or(next.len())];
    word.len() >= 4
        && word.chars().skip(1).all(char::is_lowercase)
        && Nature::of(word) == Nature::Other
        && !lists::is_facility(&lower(word))
}

/// Within brackets that are not about a person: "(Dentsply Maillefer)", but "his daughter (Gwen)" and "(son Gwil visits)".
fn is_bracketed(near: &str, after: &str) -> bool {
    let Some(open) = near.rfind('(').filter(|&open| !near[open..].contains(')')) else { return false };
    let (outside, inside) = (format!("{} ", near[..open].trim_end()), &near[open + 1..]);
    let rest = &after[..after.floor_char_boundary(60)];
    let rest = &rest[..rest.find(')').unwrap_or(rest.len())];
    !context::is_before_persons(&outside)
        && !context::is_before_persons(inside)
        && !context::speaks_of_persons(inside)
        && !context::speaks_of_persons(rest)
        && !context::is_of_persons(after)
}

/// How Latin epithets end.
const LATIN: &[&str] = &["us", "is", "ae", "ii", "um", "ans", "ens", "a", "i", "es"];

/// "Prototheca wickerhamii": a word in lower case behind it that is none.
fn is_binomial(after: &str, token: &Token) -> bool {
    let Some(next) = after.strip_prefix(' ') else { return false };
    let epithet = &next[..next.find(|letter: char| !letter.is_ascii_lowercase()).unwrap_or(next.len())];
    matches!(token.nature, Nature::Unknown(_)) && (epithet == "species" || epithet == "spp" || epithet == "sp")
        || epithet.len() >= 5
            && LATIN.iter().any(|ending| epithet.ends_with(ending))
            && !lists::is_vocabulary(epithet)
            && !is_heading(epithet)
}

/// Neighbouring names as one span, with particles, initials and what a place's name ends with.
fn runs(text: &str, tokens: &[Token], names: &[bool]) -> Vec<(PhiKind, Range<usize>)> {
    static PARTICLES: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^[ \t][\x22“]?(?:[A-Z]\.[ \t]?)?(?:(?:van der|van den|van|von|de la|de los|de|del|da|do|dos|das|di|der|den|bin|bint|ibn|ben|ter|le|la|al|el|du|y|upon|am|Freiherr von)[ \t])?$|^[\x22”] $")
            .expect("the pattern is valid")
    });
    static INITIALS: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^ (?:[A-Z]\. ?)*[A-Z]\.").expect("the pattern is valid"));
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if !names[at] {
            at += 1;
            continue;
        }
        let (start, mut last) = (at, at);
        while last + 1 < tokens.len()
            && names[last + 1]
            && PARTICLES.is_match(&text[tokens[last].range.end..tokens[last + 1].range.start])
        {
            last += 1;
        }
        let mut end = tokens[last].range.end;
        let run = &tokens[start..=last];
        let given = run.iter().any(|token| token.nature == Nature::Given && !lists::is_town(&token.plain));
        let mut place = !given && run.iter().any(|token| lists::is_town(&token.plain));
        let mut next = last + 1;
        while let Some(token) = tokens.get(next) {
            if &text[end..token.range.start] != " " || !lists::is_facility(&lower(&text[token.range.clone()])) {
                break;
            }
            end = token.range.end;
            place = true;
            next += 1;
        }
        let mut from = tokens[start].range.start;
        place = place || !given && context::is_before_places(&text[..from]);
        end += INITIALS.find(&text[end..]).map_or(0, |initials| initials.end());
        // A postal code stands before its town.
        if place && let Some(code) = code_before(&text[..from]) {
            from -= code.len();
        }
        found.push((if place { PhiKind::Geography } else { PhiKind::Name }, from..end));
        at = next.max(last + 1);
    }
    found
}

/// The postal code that some countries put before a town.
fn code_before(before: &str) -> Option<&str> {
    static CODE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?-u:\b)\d{4,6}(?: [A-Z]{2})? $").expect("the pattern is valid"));
    CODE.find(&before[super::boundary(before, 10)..]).map(|code| code.as_str())
}
