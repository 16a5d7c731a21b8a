//! Paragraphs as text.
//!
//! Inline markup is read through. References to the literature and to figures are apparatus: a bracket that holds
//! nothing else goes, a number that is nothing else goes, and a reference that is part of the sentence stays as words.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::LazyLock;

use memchr::memmem;
use regex::Regex;

use crate::narrative;
use crate::pattern::pattern;

use crate::xml::{Element, Node};

/// One paragraph of running text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Paragraph {
    pub text: String,
    /// How many references to the literature it made.
    pub citations: usize,
    /// It is nothing but a few words in bold or italics.
    pub heading: bool,
    /// The few words in bold or italics that it opens with; empty when it opens otherwise.
    pub lead: String,
    /// Where the `<p>` that it is from lies in its article.
    pub place: u32,
    /// See [`Self::introduction`].
    pub(crate) introduction: OnceCell<Option<usize>>,
}

impl Paragraph {
    /// Where it first brings in one person with an age, if it does; looked for once.
    pub fn introduction(&self) -> Option<usize> {
        *self.introduction.get_or_init(|| narrative::introduction(&self.text))
    }
}

// Marks for what the second pass decides on; private-use characters, which are taken out of the article's own text.
const CITED: char = '\u{e000}';
const OPEN: char = '\u{e001}';
const CLOSE: char = '\u{e002}';

/// The text of an element that holds inline content only.
pub(crate) fn inline(element: Element<'_>) -> Paragraph {
    let mut raw = String::new();
    gather(element, &mut raw, &mut Vec::new());
    finish(&raw, false)
}

/// Plain text with the same spaces, hyphens and dashes as that of a paragraph.
pub(crate) fn inline_text(text: &str) -> String {
    finish(text, false).text
}

/// The paragraphs of a `<p>`: more than one where a list or quotation interrupts it.
pub(crate) fn paragraphs(element: Element<'_>) -> Vec<Paragraph> {
    let mut raw = String::new();
    let mut inner = Vec::new();
    gather(element, &mut raw, &mut inner);
    let heading = inner.is_empty() && is_heading(element);
    let first = Paragraph { lead: lead(element), ..finish(&raw, heading) };
    let mut found = vec![first];
    for element in inner {
        found.extend(blocks(element));
    }
    found.retain(|paragraph| !paragraph.text.is_empty());
    found
}

fn blocks(element: Element<'_>) -> Vec<Paragraph> {
    if element.name() == "p" {
        return paragraphs(element);
    }
    element
        .elements()
        .filter(|child| !matches!(child.name(), "title" | "label" | "fig" | "table-wrap" | "graphic"))
        .flat_map(blocks)
        .collect()
}

fn marked(name: &str) -> bool {
    matches!(name, "bold" | "italic" | "underline" | "sc" | "styled-content")
}

/// "**Discussion:** The mechanism .."
fn lead(element: Element<'_>) -> String {
    let blank = |node: &Node<'_>| matches!(node, Node::Text(text) if text.trim().is_empty());
    let mut nodes = element.children().skip_while(blank);
    let Some(Node::Element(first)) =
        nodes.next().filter(|node| matches!(node, Node::Element(first) if marked(first.name())))
    else {
        return String::new();
    };
    let text = first.text();
    let ended = text.ends_with([':', '.', '-', '–', '—'])
        || matches!(nodes.next(), Some(Node::Text(rest)) if rest.trim_start().starts_with([':', '.', '-', '–', '—']));
    if ended && (1..=6).contains(&text.split_whitespace().count()) { text } else { String::new() }
}

fn is_heading(element: Element<'_>) -> bool {
    let mut words = 0;
    for node in element.children() {
        match node {
            Node::Text(text) if text.chars().any(char::is_alphanumeric) => return false,
            Node::Text(_) => {}
            Node::Element(child) if marked(child.name()) => words += child.text().split_whitespace().count(),
            Node::Element(_) => return false,
        }
    }
    (1..=8).contains(&words)
}

/// Appends the running text below `element`; block elements inside it are handed back in `inner`.
fn gather<'a>(element: Element<'a>, raw: &mut String, inner: &mut Vec<Element<'a>>) {
    for node in element.children() {
        let child = match node {
            Node::Text(text) => {
                append(text, raw);
                continue;
            }
            Node::Element(child) => child,
        };
        match child.name() {
            "xref" => cross_reference(child, raw),
            "sup" => superscript(child, raw, inner),
            "list" | "disp-quote" | "p" | "verse-group" | "speech" => inner.push(child),
            "fig"
            | "fig-group"
            | "table-wrap"
            | "media"
            | "supplementary-material"
            | "graphic"
            | "inline-graphic"
            | "fn"
            | "label"
            | "object-id"
            | "def-list"
            | "boxed-text"
            | "inline-supplementary-material"
            | "annotation"
            | "index-term"
            | "table-wrap-group" => {}
            "break" => raw.push(' '),
            "alternatives" => {
                if let Some(math) = child.child("math").or_else(|| child.elements().next()) {
                    gather(math, raw, inner);
                }
            }
            _ => gather(child, raw, inner),
        }
    }
}

fn cross_reference(element: Element<'_>, raw: &mut String) {
    let text = element.text();
    let kind = element.attribute("ref-type").unwrap_or_default();
    let literature = kind == "bibr";
    match kind.as_ref() {
        "bibr" if !text.chars().any(char::is_alphabetic) && !is_year(&text) => raw.push(CITED),
        "aff" | "fn" | "table-fn" | "corresp" | "author-notes" => {}
        "bibr"
        | "fig"
        | "table"
        | "supplementary-material"
        | "media"
        | "video"
        | "app"
        | "boxed-text"
        | "disp-formula" => {
            raw.push(OPEN);
            raw.push_str(&text);
            raw.push(CLOSE);
            if literature {
                raw.push(CITED);
            }
        }
        _ => raw.push_str(&text),
    }
}

fn is_year(text: &str) -> bool {
    let digits = text.trim_end_matches(|character: char| character.is_ascii_lowercase());
    digits.len() == 4 && (digits.starts_with("19") || digits.starts_with("20"))
}

/// Powers of ten keep their meaning ("10^9"), citation marks go, everything else is read as written.
fn superscript<'a>(element: Element<'a>, raw: &mut String, inner: &mut Vec<Element<'a>>) {
    let mut text = String::new();
    gather(element, &mut text, inner);
    let numeric = text.chars().all(|character| character.is_ascii_digit() || " ,;-–—−+".contains(character));
    let before = raw.trim_end().chars().last();
    let after_sentence = before.is_some_and(|character| ".)]\"”".contains(character));
    if text.contains(CITED) || (numeric && after_sentence) {
        raw.push(CITED);
    } else if numeric
        && text.chars().any(|character| character.is_ascii_digit())
        && before.is_some_and(|character| character.is_ascii_digit())
    {
        raw.push('^');
        raw.push_str(text.trim());
    } else {
        raw.push_str(&text);
    }
}

/// Text without the characters that serve as marks here.
fn append(text: &str, raw: &mut String) {
    if memchr::memchr(MARK, text.as_bytes()).is_none() {
        raw.push_str(text);
    } else {
        raw.extend(text.chars().filter(|character| !matches!(*character, CITED | OPEN | CLOSE)));
    }
}

fn finish(raw: &str, heading: bool) -> Paragraph {
    // "as remarked in ref. 5" without the number says nothing.
    static NAMED: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            "(?i)\\s*\\b(?:in |see |from |as in )?(?:refs?\\.?|references?|reference no\\.?)\\s*(?:\u{e000}|[\\[(][\u{e000}\\s,;–-]+[\\])])",
        )
    });
    static ADJACENT: LazyLock<Regex> = LazyLock::new(|| pattern("\u{e000}(?:[\\s,;–—-]*\u{e000})*"));
    static AGE_DASHES: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"(\d)[–—−-](years?|yrs?|months?|weeks?|days?)[–—−]"));
    let mut text = collapse(raw);
    let marked = memchr::memchr(MARK, text.as_bytes()).is_some();
    let citations = if marked { memmem::find_iter(text.as_bytes(), CITED_BYTES).count() } else { 0 };
    // Each pass costs more than a look at whether it could find anything.
    if citations > 0 && may_name_a_reference(text.as_bytes()) {
        replace(&mut text, &NAMED, "\u{e000}");
    }
    drop_brackets(&mut text);
    if citations > 0 {
        replace(&mut text, &ADJACENT, "\u{e000}");
    }
    if marked {
        text = drop_marks(&text);
    }
    if memchr::memchr(DASH, text.as_bytes()).is_some() {
        replace(&mut text, &AGE_DASHES, "$1-$2-");
    }
    punctuate(&mut text);
    Paragraph { text, citations, heading, ..Paragraph::default() }
}

/// The first byte of every mark, and of some other rare characters.
const MARK: u8 = 0xee;
const CITED_BYTES: &[u8] = "\u{e000}".as_bytes();
/// The first byte of every dash beyond ASCII.
const DASH: u8 = 0xe2;

/// Whether a "ref" stands so near before a citation or bracket that it may be its word.
fn may_name_a_reference(bytes: &[u8]) -> bool {
    /// More than "erence no. " has.
    const NEAR: usize = 24;
    let named = |lower: &[u8]| {
        memmem::find_iter(bytes, lower).any(|at| {
            let after = &bytes[at..bytes.len().min(at + NEAR)];
            at > 0
                && bytes[at - 1].eq_ignore_ascii_case(&b'r')
                && after.iter().any(|byte| matches!(*byte, MARK | b'(' | b'['))
        })
    };
    named(b"ef") || named(b"EF")
}

fn replace(text: &mut String, expression: &Regex, by: &str) {
    if let Cow::Owned(replaced) = expression.replace_all(text, by) {
        *text = replaced;
    }
}

/// One kind of blank and of hyphen, no invisible characters, and no blanks at either end.
fn collapse(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut at = 0;
    while at < raw.len() {
        let run = plain_run(&raw.as_bytes()[at..]);
        push_run(&raw[at..at + run], &mut text);
        at += run;
        let Some(character) = raw[at..].chars().next() else { break };
        at += character.len_utf8();
        match character {
            '\u{ad}' | '\u{200b}' | '\u{200c}' | '\u{200d}' | '\u{2060}' | '\u{feff}' => {}
            // Some publishers set every hyphen as U+2010 or U+2011; words and ages are read with the plain one.
            '\u{2010}' | '\u{2011}' | '\u{fe63}' | '\u{ff0d}' => text.push('-'),
            _ if character.is_whitespace() || character.is_control() => {
                if !text.ends_with(' ') && !text.is_empty() {
                    text.push(' ');
                }
            }
            _ => text.push(character),
        }
    }
    text.truncate(text.trim_end_matches(' ').len());
    text
}

/// How many bytes from here on are printable ASCII.
fn plain_run(bytes: &[u8]) -> usize {
    const WIDTH: usize = 32;
    let is_plain = |byte: &u8| (b' '..=b'~').contains(byte);
    // Whole stretches first, without a branch a byte.
    let whole = bytes.chunks_exact(WIDTH).take_while(|chunk| chunk.iter().fold(true, |all, byte| all & is_plain(byte)));
    let start = whole.count() * WIDTH;
    start + bytes[start..].iter().take_while(|byte| is_plain(byte)).count()
}

/// Appends printable ASCII, runs of blanks as one.
fn push_run(mut run: &str, text: &mut String) {
    if text.is_empty() || text.ends_with(' ') {
        run = run.trim_start_matches(' ');
    }
    while let Some(doubled) = memmem::find(run.as_bytes(), b"  ") {
        text.push_str(&run[..=doubled]);
        run = run[doubled..].trim_start_matches(' ');
    }
    text.push_str(run);
}

/// Takes out every innermost bracket that holds only references.
fn drop_brackets(text: &mut String) {
    /// What is longer is part of the sentence.
    const LONGEST: usize = 400;
    for _ in 0..3 {
        let bytes = text.as_bytes();
        let mut taken: Vec<(usize, usize)> = Vec::new();
        let mut from = 0;
        while let Some(found) = memchr::memchr2(b'(', b'[', &bytes[from..]) {
            let open = from + found;
            from = open + 1;
            let Some(length) = bytes[from..].iter().position(|byte| matches!(byte, b'(' | b'[' | b')' | b']')) else {
                break;
            };
            let close = from + length;
            if matches!(bytes[close], b'(' | b'[') {
                from = close;
                continue;
            }
            let inside = &text[open + 1..close];
            from = close + 1;
            if (inside.len() <= LONGEST || inside.chars().count() <= LONGEST) && is_apparatus(inside) {
                let before = text[..open].trim_end_matches(' ').len();
                taken.push((before.max(taken.last().map_or(0, |last| last.1)), close + 1));
            }
        }
        if taken.is_empty() {
            return;
        }
        let mut kept = String::with_capacity(text.len());
        let mut at = 0;
        for (start, end) in taken {
            kept.push_str(&text[at..start]);
            at = end;
        }
        kept.push_str(&text[at..]);
        *text = kept;
    }
}

/// Whether the inside of a bracket only points elsewhere.
fn is_apparatus(inside: &str) -> bool {
    static WRAPPED: LazyLock<Regex> = LazyLock::new(|| pattern("\u{e001}[^\u{e001}\u{e002}]*\u{e002}"));
    static PLAIN: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)\b(?:(?:supplementary|supplemental|additional|online|appendix|extended data)\s+)*(?:figs?\b\.?|figures?|tables?|videos?|movies?|plates?|appendix|additional files?)\s*S?\d+\s*[A-Za-z]{0,3}\b(?:\s*(?:[-–,&/]|and)\s*S?(?:\d+[A-Za-z]?|[A-Za-z])\b)*",
        )
    });
    static WORDS: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?ix)^(?:[\s,;:.&/*–—-]
            | \b(?:see|also|and|or|in|to|of|the|as|e\.g|i\.e|cf|reviewed|shown|not|refs?|references?|panels?|insets?|inserts?|left|right|upper|lower|top|bottom|
              middle|arrows?|arrowheads?|asterisks?|circles?|white|black|red|blue|yellow|green|orange|dotted|dashed|solid|line|lines|online|
              supplementary|supplemental|supplement|additional|files?|material|figs?|figures?|tables?|videos?|appendix|images?|data|available)\b
            | \b[A-Za-z]{1,2}\b | \bS?\d{1,2}[A-Za-z]?\b )*$",
        )
    });
    // "(the course of treatment can be seen in Figure 4)"; a number in it would be a finding.
    static POINTING: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)^[^\d]*\b(?:is|are|was|were|can\s+be)\s+(?:seen|shown|found|depicted|illustrated|summari[sz]ed|presented|listed|displayed)\s+in\s*(?:the\s*)?$",
        )
    });
    static ET_AL: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"^\s*(?:see\s+)?\p{Lu}[\p{L}'’-]+(?:\s+[\p{L}'’-]+)?\s+et al\.?,?\s*(?:\d{4}[a-z]?)?\s*$")
    });
    static AUTHOR_YEAR: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"^\s*(?:(?:see|e\.g\.|cf\.|also|reviewed in|for review),?\s*)*(?:(?:van|von|der|den|de|del|della|di|da|dos|la|le|el|al|ter|ten)\s+)*\p{Lu}[\p{L}'’. -]{0,60}(?:,?\s*et al\.?|(?:,|\s+and|\s*&)\s+\p{Lu}[\p{L}'’. -]{0,60})?,?\s*$",
        )
    });
    let marked = inside.contains(CITED) || inside.contains(OPEN);
    let plain = inside.bytes().any(|byte| byte.is_ascii_digit()) && PLAIN.is_match(inside);
    if !marked && !plain {
        return inside.contains("et al") && ET_AL.is_match(inside);
    }
    let rest = WRAPPED.replace_all(inside, "").replace(CITED, "");
    let rest = PLAIN.replace_all(&rest, "");
    if WORDS.is_match(&rest) || (rest.split_whitespace().count() <= 12 && POINTING.is_match(&rest)) {
        return true;
    }
    marked && rest.split(';').all(|part| WORDS.is_match(part) || AUTHOR_YEAR.is_match(part))
}

/// Takes the marks out; one for a citation goes together with the space before it.
fn drop_marks(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut from = 0;
    for at in memchr::memchr_iter(MARK, text.as_bytes()) {
        let mark = text[at..].chars().next().filter(|character| matches!(*character, CITED | OPEN | CLOSE));
        if let Some(mark) = mark {
            clean.push_str(&text[from..at]);
            // Where a citation stood between two words its space is still needed.
            if mark == CITED {
                clean.truncate(clean.trim_end_matches(' ').len());
            }
            from = at + mark.len_utf8();
        }
    }
    clean.push_str(&text[from..]);
    clean
}

/// Repairs what taking things out leaves: stray spaces and doubled commas.
fn punctuate(text: &mut String) {
    static EMPTY: LazyLock<Regex> = LazyLock::new(|| pattern(r"\s*(?:\(\s*[,;.]?\s*\)|\[\s*[,;.]?\s*\])"));
    static DOUBLED: LazyLock<Regex> = LazyLock::new(|| pattern(r"([,;])(?:\s*[,;])+"));
    static STOPPED: LazyLock<Regex> = LazyLock::new(|| pattern(r"[,;]\s*\.(\s|$)"));
    #[expect(clippy::needless_bitwise_bool, reason = "without branches the loop is a vector's")]
    let odd = |(before, after): (&u8, &u8)| {
        matches!(after, b',' | b';' | b'.' | b')' | b']') & matches!(before, b' ' | b',' | b';' | b'(' | b'[')
            | (*before == b' ') & (*after == b' ')
    };
    let bytes = text.as_bytes();
    if bytes.iter().zip(bytes.get(1..).unwrap_or_default()).fold(false, |any, pair| any | odd(pair)) {
        replace(text, &EMPTY, "");
        replace(text, &DOUBLED, "$1");
        replace(text, &STOPPED, ".$1");
        *text = without_stray_blanks(text);
    }
    text.truncate(text.trim_end_matches(' ').len());
}

fn without_stray_blanks(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut characters = text.trim().chars().peekable();
    while let Some(character) = characters.next() {
        if character == ' ' {
            // ".5" is a number, " ." is a full stop that lost its word.
            let stray = match characters.peek() {
                Some(',' | ';' | ')' | ']') => true,
                Some('.') => {
                    let mut ahead = characters.clone();
                    ahead.next();
                    ahead.next().is_none_or(|after| !after.is_ascii_digit())
                }
                _ => clean.ends_with(' '),
            };
            if stray {
                continue;
            }
        }
        clean.push(character);
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::Writer;

    fn texts(xml: &str) -> Vec<String> {
        let xml = format!("<article><p>{xml}</p></article>");
        let mut writer = Writer::new(&xml, None);
        writer.read().expect("well formed");
        let root = writer.so_far().root();
        paragraphs(root.child("p").expect("there")).into_iter().map(|paragraph| paragraph.text).collect()
    }

    #[test]
    fn references_go_and_words_stay() {
        let fig = |text: &str| format!("<xref ref-type=\"fig\" rid=\"f\">{text}</xref>");
        let bib = |text: &str| format!("<xref ref-type=\"bibr\" rid=\"r\">{text}</xref>");
        for (xml, text) in [
            (format!("CT showed a mass ({}).", fig("Figure 1A")), "CT showed a mass."),
            (
                format!("CT showed a mass ({}, arrow; see also {}–insert) and", fig("Figure 1A"), fig("2")),
                "CT showed a mass and",
            ),
            (format!("{} shows the scan.", fig("Figure 1")), "Figure 1 shows the scan."),
            (format!("no events (the whole process can be seen in {}).", fig("Figure 4")), "no events."),
            (
                format!("a mass (3 of 4 nodes were found in {}).", fig("Figure 4")),
                "a mass (3 of 4 nodes were found in Figure 4).",
            ),
            (format!("as known ({}, {}–{}). Then", bib("1"), bib("3"), bib("5")), "as known. Then"),
            (format!("as known [{},{}].", bib("1"), bib("2")), "as known."),
            (format!("as remarked in Ref. ({}). Then [Raghu et al. ({})].", bib("1"), bib("2")), "as remarked. Then."),
            (format!("as remarked in Ref. {}. Then", bib("1")), "as remarked. Then"),
            (format!("a scar.<sup>{},{}</sup> The", bib("1"), bib("2")), "a scar. The"),
            (format!("as in ({}; {}).", bib("Smith et al., 2010"), bib("Lee, 2011")), "as in."),
            (format!("{} found it.", bib("Smith et al. (2010)")), "Smith et al. (2010) found it."),
            (format!("so (Park et al., {}; Lee and Ito, {}).", bib("2019"), bib("2020a")), "so."),
            (format!("so (van der Riet et al., {}).", bib("2018")), "so."),
            (format!("a score of 5 (normal &lt;3, {})", fig("Table 1")), "a score of 5 (normal <3, Table 1)"),
            ("a scan (Fig. 2A and B) with a 3 cm mass (arrow)".to_owned(), "a scan with a 3 cm mass (arrow)"),
            (
                "5 × 10<sup>9</sup>/L, 20 kg/m<sup>2</sup>, CD4<sup>+</sup> T, 5<sup>th</sup>".to_owned(),
                "5 × 10^9/L, 20 kg/m2, CD4+ T, 5th",
            ),
            ("p &lt; .05, a\u{a0}<italic>b</italic> c&#xAD;d".to_owned(), "p < .05, a b cd"),
            ("A 45‐year‐old man, a 3–month–old girl".to_owned(), "A 45-year-old man, a 3-month-old girl"),
            (
                "He (a man of 50 years [1962]) (vitamin B12) left.".to_owned(),
                "He (a man of 50 years [1962]) (vitamin B12) left.",
            ),
        ] {
            assert_eq!(texts(&xml), [text], "{xml}");
        }
    }

    #[test]
    fn floats_and_lists_inside_a_paragraph_do_not_run_into_it() {
        let xml = "He had:<list><list-item><label>1</label><p>fever</p></list-item><list-item><p>cough</p></list-item></list>\
                   <fig><label>Figure 1</label><caption><p>A scan.</p></caption></fig>";
        assert_eq!(texts(xml), ["He had:", "fever", "cough"]);
    }
}
