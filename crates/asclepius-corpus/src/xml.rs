//! Articles as small element trees, streamed one at a time out of a reader that may hold many.
//!
//! Tolerant where real files are (document types, missing declarations, named entities, processing instructions),
//! strict where a file is damaged: one that ends early or does not nest is refused with its position. Document types
//! are never fetched, and every article has a byte budget, so that no input can take all memory.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read};
use std::sync::LazyLock;

use quick_xml::Reader;
use quick_xml::escape::resolve_html5_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use regex::Regex;

/// The most bytes of XML one article may have.
const ARTICLE_BYTES: u64 = 64 << 20;
/// The most bytes that entities declared inside a file may add to one article.
const ENTITY_BYTES: usize = 1 << 20;
/// JATS nests a few dozen deep; what goes beyond this is an attack on the stack.
const DEPTH: usize = 200;
/// Read past without a tree: nothing downstream looks inside, and reference lists are half of a file.
const SKIPPED: [&str; 5] = ["ref-list", "sub-article", "response", "tex-math", "floats-group"];

/// One element.
#[derive(Debug, Default, Clone)]
pub(crate) struct Element {
    /// Local name.
    pub name: String,
    /// Local names and values.
    pub attributes: Vec<(String, String)>,
    /// In document order.
    pub children: Vec<Node>,
}

/// An element's child.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    /// An element.
    Element(Element),
    /// Character data, entities resolved.
    Text(String),
}

impl Element {
    /// Child elements.
    pub fn elements(&self) -> impl Iterator<Item = &Element> {
        self.children.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// The first child element with this name.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.elements().find(|element| element.name == name)
    }

    /// An attribute's value, by local name.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Every element below with this name, in document order.
    pub fn descendants<'a>(&'a self, name: &str, found: &mut Vec<&'a Element>) {
        for element in self.elements() {
            if element.name == name {
                found.push(element);
            }
            element.descendants(name, found);
        }
    }

    /// All character data below, white space collapsed.
    pub fn text(&self) -> String {
        let mut raw = String::new();
        self.append_text(&mut raw);
        raw.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn append_text(&self, raw: &mut String) {
        for node in &self.children {
            match node {
                Node::Text(text) => raw.push_str(text),
                Node::Element(element) => element.append_text(raw),
            }
        }
    }
}

/// Why a file could not be read further.
#[derive(Debug)]
pub(crate) struct Damage {
    /// Byte of the (decompressed) file.
    pub position: u64,
    /// What is wrong there.
    pub what: String,
}

/// A reader that fails once it has given more than its budget.
struct Metered<R> {
    inner: R,
    left: u64,
}

impl<R: BufRead> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let take = available.len().min(buffer.len());
        buffer[..take].copy_from_slice(&available[..take]);
        self.consume(take);
        Ok(take)
    }
}

impl<R: BufRead> BufRead for Metered<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            return Err(io::Error::other(format!("an article of more than {} MiB", ARTICLE_BYTES >> 20)));
        }
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.left = self.left.saturating_sub(amount as u64);
        self.inner.consume(amount);
    }
}

/// Yields every `<article>` of a reader, or once what is wrong with it.
pub(crate) struct Articles<R: BufRead> {
    reader: Reader<Metered<R>>,
    buffer: Vec<u8>,
    declared: BTreeMap<String, String>,
    /// Names of the elements open around the next article.
    around: Vec<String>,
    any: bool,
    finished: bool,
}

impl<R: BufRead> Articles<R> {
    pub fn new(inner: R) -> Self {
        let mut reader = Reader::from_reader(Metered { inner, left: ARTICLE_BYTES });
        reader.config_mut().expand_empty_elements = true;
        Self { reader, buffer: Vec::new(), declared: BTreeMap::new(), around: Vec::new(), any: false, finished: false }
    }

    fn damage(&self, what: impl Into<String>) -> Damage {
        Damage { position: self.reader.buffer_position(), what: what.into() }
    }

    /// Reads to the end of the next article.
    fn read(&mut self) -> Result<Option<Element>, Damage> {
        self.reader.get_mut().left = ARTICLE_BYTES;
        let mut open: Vec<Element> = Vec::new();
        let mut skipping = 0_usize;
        let mut expanded = 0_usize;
        loop {
            self.buffer.clear();
            let event = match self.reader.read_event_into(&mut self.buffer) {
                Ok(event) => event,
                Err(error) => {
                    let position = self.reader.error_position();
                    return Err(Damage { position, what: error.to_string() });
                }
            };
            match event {
                Event::Start(start) if open.is_empty() => {
                    let name = start.local_name().as_ref().to_owned();
                    if name == "article" {
                        let article = element(&start, &self.declared).map_err(|what| self.damage(what))?;
                        open.push(article);
                    } else {
                        self.around.push(name);
                    }
                }
                Event::Start(start) => {
                    if skipping > 0 {
                        skipping += 1;
                        continue;
                    }
                    if open.len() >= DEPTH {
                        return Err(self.damage(format!("elements nest deeper than {DEPTH}")));
                    }
                    let child = element(&start, &self.declared).map_err(|what| self.damage(what))?;
                    if SKIPPED.contains(&child.name.as_str()) {
                        skipping = 1;
                    }
                    open.push(child);
                }
                Event::End(_) if open.is_empty() => {
                    self.around.pop();
                }
                Event::End(_) => {
                    skipping = skipping.saturating_sub(1);
                    if skipping > 0 {
                        continue;
                    }
                    let done = open.pop().expect("not empty in this arm");
                    match open.last_mut() {
                        Some(parent) => parent.children.push(Node::Element(done)),
                        None => return Ok(Some(done)),
                    }
                }
                Event::Text(text) if skipping == 0 => append(&mut open, &text.into_inner()),
                Event::CData(text) if skipping == 0 => append(&mut open, &text.into_inner()),
                Event::GeneralRef(reference) if skipping == 0 && !open.is_empty() => {
                    let text = resolve(&reference, &self.declared);
                    expanded += text.len();
                    if expanded > ENTITY_BYTES {
                        return Err(self.damage("entities expand without end"));
                    }
                    append(&mut open, &text);
                }
                Event::DocType(text) => self.declared = declarations(&text.into_inner()),
                Event::Eof => {
                    let inside = open.last().map(|element| element.name.clone()).or_else(|| self.around.pop());
                    return match inside {
                        Some(name) => Err(self.damage(format!("the file ends inside <{name}>"))),
                        None => Ok(None),
                    };
                }
                _ => {}
            }
        }
    }
}

impl<R: BufRead> Iterator for Articles<R> {
    type Item = Result<Element, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.finished {
            return None;
        }
        let item = match self.read() {
            Ok(Some(article)) => Some(Ok(article)),
            Ok(None) if self.any => None,
            Ok(None) => Some(Err(self.damage("there is no <article> in it"))),
            Err(damage) => Some(Err(damage)),
        };
        self.any = true;
        self.finished = !matches!(item, Some(Ok(_)));
        item
    }
}

fn element(start: &BytesStart<'_>, declared: &BTreeMap<String, String>) -> Result<Element, String> {
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| error.to_string())?;
        let value = unescape(&attribute.value, declared);
        attributes.push((attribute.key.local_name().as_ref().to_owned(), value));
    }
    Ok(Element { name: start.local_name().as_ref().to_owned(), attributes, children: Vec::new() })
}

fn append(open: &mut [Element], text: &str) {
    let Some(parent) = open.last_mut() else { return };
    if let Some(Node::Text(before)) = parent.children.last_mut() {
        before.push_str(text);
    } else {
        parent.children.push(Node::Text(text.to_owned()));
    }
}

/// An entity's text. One that nothing declares stays as written: leaving it out would change what is said.
fn resolve(reference: &BytesRef<'_>, declared: &BTreeMap<String, String>) -> String {
    if let Ok(Some(character)) = reference.resolve_char_ref() {
        return character.to_string();
    }
    let name = reference.borrow().into_inner();
    match resolve_html5_entity(&name) {
        Some(text) => text.to_owned(),
        None => declared.get(name.as_ref()).cloned().unwrap_or_else(|| format!("&{name};")),
    }
}

/// `value` with its references resolved, each at most once.
fn unescape(value: &str, declared: &BTreeMap<String, String>) -> String {
    if !value.contains('&') {
        return value.to_owned();
    }
    let mut text = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find('&') {
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(end) = rest.find(';').filter(|end| (1..=32).contains(end)) {
            text.push_str(&resolve(&BytesRef::new(&rest[..end]), declared));
            rest = &rest[end + 1..];
        } else {
            text.push('&');
        }
    }
    text.push_str(rest);
    text
}

/// Plain text entities of an internal subset. Values with markup or further references are left alone.
fn declarations(doctype: &str) -> BTreeMap<String, String> {
    static ENTITY: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"<!ENTITY\s+([\w.:-]+)\s+(?:"([^"<]{0,1024})"|'([^'<]{0,1024})')\s*>"#).expect("a fixed pattern")
    });
    let none = BTreeMap::new();
    ENTITY
        .captures_iter(doctype)
        .filter_map(|found| {
            let value = found.get(2).or_else(|| found.get(3))?.as_str();
            Some((found[1].to_owned(), unescape(value, &none)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(xml: &str) -> Vec<Result<Element, Damage>> {
        Articles::new(xml.as_bytes()).collect()
    }

    #[test]
    fn document_types_entities_and_sets_are_read_through() {
        let xml = "\u{feff}<!DOCTYPE x PUBLIC \"-//N//D\" \"none.dtd\" [<!ENTITY drug \"as&#112;irin\">]>\n\
                   <set><article a='&lt;1'>caf&eacute; &#x3b2; &drug; &nowhere; &amp;</article>\
                   <article><b><![CDATA[x < y]]></b></article></set>";
        let articles: Vec<_> = read(xml).into_iter().map(|article| article.expect("well formed")).collect();
        assert_eq!(articles[0].text(), "café β aspirin &nowhere; &");
        assert_eq!(articles[0].attribute("a"), Some("<1"));
        assert_eq!(articles[1].text(), "x < y");
        assert_eq!(articles.len(), 2);
    }

    #[test]
    fn damage_is_told_with_its_position_and_what_came_before_is_kept() {
        for (xml, whole, what) in [
            ("", 0, "no <article>"),
            ("plain words", 0, "no <article>"),
            ("{\"a\": 1}", 0, "no <article>"),
            ("<article><front>", 0, "ends inside <front>"),
            ("<set><article>a</article><article><p>b", 1, "ends inside <p>"),
            ("<set><article>a</article>", 1, "ends inside <set>"),
            ("<article><p>a</article>", 0, "p"),
            ("<article><p a='1>", 0, ""),
        ] {
            let mut found = read(xml);
            let damage = found.pop().expect("something").expect_err("damaged");
            assert_eq!(found.len(), whole, "{xml}");
            assert!(damage.what.contains(what), "{xml}: {}", damage.what);
        }
        let bytes = b"<article><p>caf\xe9 au lait</p></article>";
        let damage = Articles::new(&bytes[..]).next().expect("something").expect_err("not UTF-8");
        assert!(damage.position <= bytes.len() as u64, "{damage:?}");
    }

    #[test]
    fn a_bomb_of_entities_or_depth_ends_in_an_error() {
        let bomb =
            format!("<!DOCTYPE a [<!ENTITY a \"{}\">]><article>{}</article>", "ha".repeat(500), "&a;".repeat(2000));
        assert!(read(&bomb)[0].is_err());
        let nested = format!("<!DOCTYPE a [<!ENTITY a \"1\"><!ENTITY b \"&a;&a;\">]><article>{}</article>", "&b;");
        assert_eq!(read(&nested)[0].as_ref().expect("small").text(), "&a;&a;");
        assert!(read(&"<article>".repeat(5000))[0].is_err());
    }
}
