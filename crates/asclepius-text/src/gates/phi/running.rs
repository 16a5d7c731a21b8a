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
    let mut names: Vec<bool> = (0..tokens.len()).map(|at| is_name(text, &tokens, at, &spelled)).collect();
    for at in 1..tokens.len() {
        if is_a_pair(text, &tokens, at) {
            names[at - 1..=at].fill(true);
        }
    }
    for range in places_of_words(text, &tokens) {
        names[range].fill(true);
    }
    for range in towns_of_several(text, &tokens) {
        names[range].fill(true);
    }
    let eponyms: Vec<usize> = (1..tokens.len())
        .filter(|&at| {
            matches!(&text[tokens[at - 1].range.end..tokens[at].range.start], " " | "-" | "–")
                && lists::is_term_of(&tokens[at - 1].plain, &tokens[at].plain)
        })
        .collect();
    for &at in &eponyms {
        names[at - 1..=at].fill(false);
    }
    // What stands among names is one: "Leroy Grace Tanner", "Toby, Isla and Grace".
    for _ in 0..2 {
        for at in 0..tokens.len() {
            let token = &tokens[at];
            if names[at] || matches!(token.nature, Nature::Other) {
                continue;
            }
            let beside = |other: usize, between: &str| {
                let joined = matches!(between, " " | " \"" | "\" " | " and " | " & " | "/" | ", " | ", and " | "; ")
                    || is_a_number_between(between);
                let usual = !matches!(token.nature, Nature::Word | Nature::Term)
                    || between == "/" && lists::is_family(&token.plain)
                    || token.nature == Nature::Word && lists::is_usual(&token.plain) && between != "; ";
                names[other] && (matches!(between, " " | " \"" | "\" ") || joined && usual)
            };
            let before = at > 0 && beside(at - 1, &text[tokens[at - 1].range.end..token.range.start]);
            let after = at + 1 < tokens.len() && beside(at + 1, &text[token.range.end..tokens[at + 1].range.start]);
            let given = lists::is_given(&token.plain);
            let ambiguous = matches!(token.nature, Nature::Word | Nature::Term);
            let beside = before && !token.opens || after && (!token.opens || given || !ambiguous);
            names[at] = beside && !is_eponymous(text, token);
        }
    }
    // A name found once is one wherever it stands.
    let known: Vec<&str> =
        tokens.iter().zip(&names).filter(|(_, name)| **name).map(|(token, _)| token.plain.as_str()).collect();
    let again: Vec<bool> = tokens
        .iter()
        .map(|token| {
            let certain = !matches!(token.nature, Nature::Other | Nature::Word | Nature::Term)
                || !token.opens
                || token.nature == Nature::Word && lists::is_usual(&token.plain);
            certain
                && token.nature != Nature::Other
                && known.contains(&token.plain.as_str())
                && !context::is_behind_an_article(&text[..token.range.start])
                && !is_eponymous(text, token)
        })
        .collect();
    let mut names: Vec<bool> = names.iter().zip(again).map(|(one, other)| *one || other).collect();
    for &at in &eponyms {
        names[at - 1..=at].fill(false);
    }
    runs(text, &tokens, &names)
}

fn is_name(text: &str, tokens: &[Token], at: usize, spelled: &[String]) -> bool {
    let token = &tokens[at];
    let (before, after) = (&text[..token.range.start], &text[token.range.end..]);
    let again = spelled.contains(&token.plain);
    if token.nature == Nature::Other && !again {
        return false;
    }
    if is_eponymous(text, token)
        || is_binomial(after, token)
        || context::is_of_a_strain(before)
        || context::is_of_the_body(before)
    {
        return false;
    }
    if again {
        return (token.nature != Nature::Other || !token.opens) && !context::is_behind_an_article(before);
    }
    if token.capital {
        let short = token.plain.split('-').any(|part| part.len() < 4);
        return token.nature == Nature::Given && token.plain.len() > 5 && !short;
    }
    let placed = context::is_before_places(before);
    let near = &before[super::boundary(before, 80)..];
    let family = token.plain.strip_suffix('s').is_some_and(lists::is_family);
    let article = context::is_behind_an_article(before) && !family && !is_before_a_place(after);
    // "F/u w/ Pomeroy 6/21".
    let with = token.nature == Nature::Family && (before.ends_with("w/ ") || before.ends_with("with "));
    let thing = || !placed && !with && (article || is_thing(near, after));
    let acts = || context::is_of_persons(after);
    let among = || placed || context::is_before_persons(before);
    let town = lists::is_town(&token.plain)
        && !lists::is_wide(&token.plain)
        && !is_heading(&token.plain)
        && (context::is_within_places(before)
            && !after.starts_with('-')
            && !after.trim_start().starts_with(char::is_uppercase)
            || context::is_behind_towns(after)
            || code_before(before).is_some()
            || placed && ends(after));
    match token.nature {
        Nature::Other => false,
        Nature::Word | Nature::Term if town => true,
        Nature::Term if super::super::faithful::is_common(&token.plain) => false,
        Nature::Term if token.opens => {
            lists::is_usual(&token.plain) && context::is_done_by_persons(after)
                || lists::is_name(&token.plain) && context::is_of_an_age(after)
        }
        Nature::Term => {
            lists::is_given(&token.plain) && among() && acts()
                || lists::is_name(&token.plain) && context::is_done_by_persons(after) && !article
        }
        Nature::Word if token.opens => {
            lists::is_given(&token.plain) && context::is_done_by_persons(after) && !thing()
                || lists::is_name(&token.plain) && context::is_of_an_age(after)
        }
        Nature::Word => {
            !is_in_a_title(text, tokens, at)
                && !thing()
                && (lists::is_usual(&token.plain)
                    || lists::is_name(&token.plain) && context::is_before_the_told(before)
                    || acts() && context::is_before_persons(before))
        }
        Nature::Given if before.ends_with('(') && after.starts_with(')') => lists::is_usual(&token.plain),
        Nature::Given => token.plain.len() >= 3 && (!thing() || context::is_of_an_age(after)),
        Nature::Town => !context::is_between_things(near, after),
        Nature::Family => {
            !thing() && (!token.opens && token.plain.len() >= 3 || acts() || lists::likeness(&token.plain) > ALONE)
        }
        Nature::Unknown(_) if lists::is_town(&token.plain) && !token.opens && before.ends_with(char::is_whitespace) => {
            !context::is_between_things(near, after) && !is_bracketed(near, after)
        }
        Nature::Unknown(score) => {
            !thing()
                && (!after.starts_with(" of the ") || context::is_before_persons(before))
                && (token.plain.len() >= 4 || score > 0.0 && token.plain.len() >= 3)
                && (!token.opens && (score > WITHIN || lists::is_town(&token.plain))
                    || (score > BEFORE_A_VERB || lists::is_town(&token.plain)) && acts()
                    || !token.opens && among() && score > 2.0 * WITHIN
                    || score > ALONE)
        }
    }
}

/// A given and a family name beside one another, even where both are words: "Terry Gill", "GRACE YOUNG".
fn is_a_pair(text: &str, tokens: &[Token], at: usize) -> bool {
    let (given, family) = (&tokens[at - 1], &tokens[at]);
    let after = &text[family.range.end..];
    &text[given.range.end..family.range.start] == " "
        && given.capital == family.capital
        && lists::is_usual(&given.plain)
        && lists::is_family(&family.plain)
        && family.plain.len() >= 3
        && !(lists::is_heading(&given.plain) || lists::is_heading(&family.plain) && lists::is_term(&given.plain))
        && !is_eponymous(text, family)
        && !is_in_a_title(text, tokens, at - 1)
        && !context::is_between_things(&text[..given.range.start], after)
        && !is_before_a_term(after)
}

/// "1) Adebayo 2) Cross": a number of a list.
fn is_a_number_between(between: &str) -> bool {
    let number = between.trim_end_matches(['.', ')', ' ']).trim_start();
    between.starts_with(' ') && (1..=2).contains(&number.len()) && number.bytes().all(|digit| digit.is_ascii_digit())
}

/// Capitalised words that notes do not have, where a place stands: "in Swift Current.", "at Silver Maples".
fn places_of_words(text: &str, tokens: &[Token]) -> Vec<Range<usize>> {
    const MOST_WORDS: usize = 3;
    let medical = |token: &Token| {
        lists::is_term(&token.plain)
            || lists::is_wide(&token.plain)
            || lists::is_medical_by_ending(&token.plain)
            || super::super::faithful::counts_or_measures(&token.plain)
            || is_heading(&token.plain)
    };
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let mut end = at + 1;
        while end < tokens.len() && &text[tokens[end - 1].range.end..tokens[end].range.start] == " " {
            end += 1;
        }
        let run = &tokens[at..end];
        let (start, after) = (run[0].range.start, &text[run[run.len() - 1].range.end..]);
        if run.len() <= MOST_WORDS
            && !run.iter().any(|token| token.capital)
            && (is_a_site(run)
                || !run.iter().any(medical)
                    && run.iter().any(|token| {
                        !lists::is_common(&token.plain) && !super::super::faithful::is_common(&token.plain)
                    }))
            && context::is_within_places(&text[..start])
            && ends(after)
        {
            found.push(at..end);
        }
        at = end;
    }
    found
}

/// "Long Meadow", "Silver Creek": words that notes have, before what the name of a place ends with.
fn is_a_site(run: &[Token]) -> bool {
    run.len() == 2 && lists::is_site(&run[1].plain) && !lists::is_medical_by_ending(&run[0].plain)
}

/// Towns whose names are several words, by the words' places.
fn towns_of_several(text: &str, tokens: &[Token]) -> Vec<Range<usize>> {
    let beside = |at: usize| {
        let between = &text[tokens[at].range.end..tokens[at + 1].range.start];
        between == " " || between == ". " && matches!(tokens[at].plain.as_str(), "st" | "ft" | "mt")
    };
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let longest = (2..=3).rev().find(|&words| {
            at + words <= tokens.len()
                && (at..at + words - 1).all(beside)
                && lists::is_town_of(
                    &tokens[at..at + words].iter().map(|token| token.plain.as_str()).collect::<Vec<_>>(),
                )
        });
        let thing = |words: usize| {
            let last = &tokens[at + words - 1];
            is_eponymous(text, last) || context::is_between_things(&text[..last.range.start], &text[last.range.end..])
        };
        if let Some(words) = longest.filter(|&words| !thing(words)) {
            found.push(at..at + words);
        }
        at += longest.unwrap_or(1);
    }
    found
}

/// "Hamanomachi Hospital".
fn is_before_a_place(after: &str) -> bool {
    after.strip_prefix(' ').is_some_and(|next| {
        let word = &next[..next.find(|letter: char| !letter.is_alphabetic()).unwrap_or(next.len())];
        word.starts_with(char::is_uppercase) && lists::is_facility(&lower(word))
    })
}

/// Whether a sentence or a part of one ends there.
fn ends(after: &str) -> bool {
    let next = after.strip_prefix(' ').unwrap_or_default();
    let word = &next[..next.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(next.len())];
    let year = next.get(..4).is_some_and(|year| year.bytes().all(|digit| digit.is_ascii_digit()));
    after.is_empty()
        || year
        || after.starts_with(['.', ',', ';', ')', '\n'])
        || matches!(
            word,
            "under"
                | "via"
                | "as"
                | "or"
                | "while"
                | "when"
                | "because"
                | "from"
                | "at"
                | "in"
                | "if"
                | "and"
                | "with"
                | "but"
                | "for"
                | "since"
                | "on"
                | "to"
                | "by"
                | "where"
                | "who"
                | "after"
                | "last"
                | "until"
                | "till"
                | "before"
                | "tonight"
                | "tomorrow"
                | "ED"
                | "yesterday"
                | "today"
        )
}

/// "Emergency Severity Index", but "Nurse Grace": behind a capitalised word that is neither a name nor a calling.
fn is_in_a_title(text: &str, tokens: &[Token], at: usize) -> bool {
    let Some(last) = at.checked_sub(1).map(|last| &tokens[last]) else { return false };
    let start = tokens[at].range.start;
    &text[last.range.end..start] == " "
        && matches!(last.nature, Nature::Other)
        && !context::is_before_persons(&text[..start])
        && !last.opens
}

/// An eponym, a product, a province, or words that an abbreviation stands behind.
fn is_eponymous(text: &str, token: &Token) -> bool {
    let after = &text[token.range.end..];
    context::is_behind_eponyms(after) || context::is_behind_things(&text[token.range.clone()], after)
}

/// A maker or a product, in brackets or before a figure, or the author of what is cited, where nothing tells of a person.
fn is_thing(near: &str, after: &str) -> bool {
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
    // "Feldstein (Teaneck)".
    let named = near[..open].strip_suffix(' ').and_then(|near| near.rsplit([' ', '.']).next()).unwrap_or_default();
    if matches!(Nature::of(named), Nature::Given | Nature::Family) && named.starts_with(char::is_uppercase) {
        return false;
    }
    let (outside, inside) = (format!("{} ", near[..open].trim_end()), &near[open + 1..]);
    let rest = &after[..after.floor_char_boundary(60)];
    let rest = &rest[..rest.find(')').unwrap_or(rest.len())];
    !context::is_before_persons(&outside)
        && !context::speaks_of_persons(&outside[super::boundary(&outside, 12)..])
        && !context::is_before_a_service(&outside)
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
    // "De la Vega" at the beginning of a line.
    static CAPITAL_PARTICLES: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?-u:\b)(?:De la|De los|De las|Del|De|Della|Di|Da|Dos|Van de[rn]?|Van|Von der|Von|Le|La|El|Bin|Ibn|Ben|Ten|Ter|Abu|Umm|Ould|St\.) $")
            .expect("the pattern is valid")
    });
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
        let given = run.iter().any(|token| lists::is_given(&token.plain));
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
        from -= CAPITAL_PARTICLES.find(&text[..from]).map_or(0, |particles| particles.len());
        let town = run.iter().any(|token| lists::is_town(&token.plain));
        place = place || town && (code_before(&text[..from]).is_some() || context::is_behind_towns(&text[end..]));
        place = place || (town || !given) && context::is_before_places(&text[..from]);
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
