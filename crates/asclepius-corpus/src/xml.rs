//! One article as a flat tape of its elements and texts, over the bytes it came in.
//!
//! Tolerant where real files are (document types, named entities, processing instructions), strict where an article is
//! damaged: one that ends early or does not nest is refused with its position. Nothing is ever fetched. A node costs a
//! few words of one vector, and text is copied only where an entity changes it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use memchr::memmem;
use quick_xml::Reader;
use quick_xml::escape::resolve_html5_entity;
use quick_xml::events::attributes::Attributes;
use quick_xml::events::{BytesRef, BytesStart, Event};
use regex::Regex;

use crate::marks::{Mark, Marks};
use crate::split::Damage;

/// The most bytes that entities declared inside a file may add to one article.
const ENTITY_BYTES: usize = 1 << 20;
/// JATS nests a few dozen deep; what goes beyond this is an attack on the stack.
const DEPTH: usize = 200;
/// Passed over whole: nothing downstream looks inside, and reference lists are half of a file.
const SKIPPED: [&str; 5] = ["ref-list", "sub-article", "response", "tex-math", "floats-group"];

/// Where a piece of text lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Element,
    /// In the article's own bytes.
    Text,
    /// In the text that entities were resolved into.
    Resolved,
}

/// A node of the tape; children follow their element.
#[derive(Debug, Clone, Copy)]
struct Item {
    kind: Kind,
    /// Of a text, the text; of an element its name with prefix and attributes.
    start: u32,
    length: u32,
    /// Of an element: the length of its name with prefix, and of the prefix.
    name: u32,
    prefix: u32,
    /// The place on the tape after the last descendant.
    end: u32,
}

/// An article's tape.
#[derive(Debug)]
pub(crate) struct Tree<'x> {
    source: &'x str,
    resolved: String,
    items: Vec<Item>,
    declared: BTreeMap<String, String>,
}

/// One element.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Element<'t> {
    tree: &'t Tree<'t>,
    at: u32,
}

/// An element's child.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Node<'t> {
    /// An element.
    Element(Element<'t>),
    /// Character data, entities resolved.
    Text(&'t str),
}

impl<'t> Element<'t> {
    fn item(self) -> Item {
        self.tree.items[self.at as usize]
    }

    /// Local name.
    pub fn name(self) -> &'t str {
        let item = self.item();
        &self.tree.source[(item.start + item.prefix) as usize..(item.start + item.name) as usize]
    }

    /// Children in document order.
    pub fn children(self) -> impl Iterator<Item = Node<'t>> {
        let end = self.item().end;
        let mut at = self.at + 1;
        std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let here = at;
            let item = &self.tree.items[here as usize];
            at = item.end;
            Some(match item.kind {
                Kind::Element => Node::Element(Element { tree: self.tree, at: here }),
                Kind::Text | Kind::Resolved => Node::Text(self.tree.text(item)),
            })
        })
    }

    /// Child elements.
    pub fn elements(self) -> impl Iterator<Item = Element<'t>> {
        self.children().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// The first child element with this name.
    pub fn child(self, name: &str) -> Option<Element<'t>> {
        self.elements().find(|element| element.name() == name)
    }

    /// Local names and values of the attributes, references in them resolved. A malformed one ends them.
    pub fn attributes(self) -> impl Iterator<Item = (&'t str, Cow<'t, str>)> {
        let item = self.item();
        let inside = &self.tree.source[item.start as usize..(item.start + item.length) as usize];
        let mut attributes = Attributes::new(inside, item.name as usize);
        attributes.with_checks(false);
        attributes.map_while(Result::ok).map(|attribute| {
            let key: &'t str = local(attribute.key.into_inner());
            let value = match attribute.value {
                Cow::Borrowed(value) if !value.contains('&') => Cow::Borrowed(value),
                value => Cow::Owned(unescape(&value, &self.tree.declared)),
            };
            (key, value)
        })
    }

    /// An attribute's value, by local name.
    pub fn attribute(self, name: &str) -> Option<Cow<'t, str>> {
        self.attributes().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// Every element below with this name, in document order.
    pub fn descendants(self, name: &str, found: &mut Vec<Element<'t>>) {
        for at in self.at + 1..self.item().end {
            let element = Element { tree: self.tree, at };
            if element.item().kind == Kind::Element && element.name() == name {
                found.push(element);
            }
        }
    }

    /// All character data below, as written.
    pub fn texts(self) -> impl Iterator<Item = &'t str> {
        let items = &self.tree.items[self.at as usize + 1..self.item().end as usize];
        items.iter().filter(|item| item.kind != Kind::Element).map(|item| self.tree.text(item))
    }

    /// All character data below, white space collapsed.
    pub fn text(self) -> String {
        let mut text = String::new();
        // A blank is owed where white space came between words.
        let mut owed = false;
        for part in self.texts() {
            let mut words = part.split_whitespace();
            owed |= part.starts_with(char::is_whitespace);
            let Some(first) = words.next() else {
                continue;
            };
            if owed && !text.is_empty() {
                text.push(' ');
            }
            text.push_str(first);
            for word in words {
                text.push(' ');
                text.push_str(word);
            }
            owed = part.ends_with(char::is_whitespace);
        }
        text
    }
}

impl Tree<'_> {
    fn text(&self, item: &Item) -> &str {
        let range = item.start as usize..(item.start + item.length) as usize;
        if item.kind == Kind::Resolved { &self.resolved[range] } else { &self.source[range] }
    }

    /// The `<article>`.
    pub fn root(&self) -> Element<'_> {
        Element { tree: self, at: 0 }
    }
}

fn local(name: &str) -> &str {
    // Names are short: a loop is faster than a search.
    name.bytes().rposition(|byte| byte == b':').map_or(name, |colon| &name[colon + 1..])
}

/// A tape as it is written.
pub(crate) struct Writer<'x> {
    tree: Tree<'x>,
    reader: Reader<&'x [u8]>,
    /// Where the reader began: what was passed over lies before.
    begun: usize,
    open: Vec<u32>,
    expanded: usize,
    /// Whether the last item is a text that character data may still join.
    joining: bool,
}

/// What a step of reading came to.
enum Step {
    On,
    Finished,
}

impl<'x> Writer<'x> {
    pub fn new(source: &'x str, doctype: Option<&str>) -> Self {
        let declared = doctype.map(declarations).unwrap_or_default();
        let items = Vec::with_capacity(source.len() / 24);
        Self {
            tree: Tree { source, resolved: String::new(), items, declared },
            reader: reader(source),
            begun: 0,
            open: Vec::new(),
            expanded: 0,
            joining: false,
        }
    }

    /// Reads up to the end of the first element with this name, or of the article.
    ///
    /// # Errors
    /// Where the article is damaged; a position counts from its beginning.
    pub fn read_to(&mut self, name: &str) -> Result<(), Damage> {
        while let Step::On = self.step(name)? {}
        Ok(())
    }

    /// Reads the rest.
    ///
    /// # Errors
    /// As [`Self::read_to`].
    pub fn read(&mut self) -> Result<(), Damage> {
        self.read_to("")
    }

    /// Whether the article's end has been read.
    pub fn is_finished(&self) -> bool {
        self.open.is_empty() && !self.tree.items.is_empty()
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'x str {
        &self.tree.source[self.position().min(self.tree.source.len())..]
    }

    /// What has been written so far; what is still open ends here.
    pub fn so_far(&mut self) -> &Tree<'x> {
        let end = self.tree.items.len() as u32;
        for at in &self.open {
            self.tree.items[*at as usize].end = end;
        }
        self.joining = false;
        &self.tree
    }

    fn position(&self) -> usize {
        self.begun + self.reader.buffer_position() as usize
    }

    fn damage(&self, what: impl Into<String>) -> Damage {
        Damage { position: self.position() as u64, what: what.into() }
    }

    fn step(&mut self, stop: &str) -> Result<Step, Damage> {
        let event = match self.reader.read_event() {
            Ok(event) => event,
            Err(error) => {
                let position = self.begun as u64 + self.reader.error_position();
                return Err(Damage { position, what: error.to_string() });
            }
        };
        match event {
            Event::Start(start) => {
                let name = self.element(&start)?;
                if SKIPPED.contains(&name) && self.open.len() > 1 {
                    self.skip(name)?;
                    self.open.pop();
                }
            }
            Event::Empty(start) => {
                let name = self.element(&start)?;
                self.open.pop();
                if self.open.is_empty() || name == stop {
                    return Ok(Step::Finished);
                }
            }
            Event::End(end) => {
                self.joining = false;
                let name = end.local_name().into_inner();
                let Some(at) = self.open.pop() else {
                    return Err(self.damage(format!("</{name}> closes nothing")));
                };
                let length = self.tree.items.len() as u32;
                self.tree.items[at as usize].end = length;
                let opened = Element { tree: &self.tree, at }.name();
                if opened != name {
                    return Err(self.damage(format!("<{opened}> is closed by </{name}>")));
                }
                if self.open.is_empty() || name == stop {
                    return Ok(Step::Finished);
                }
            }
            Event::Text(text) => self.append(text.into_inner()),
            Event::CData(text) => self.append(text.into_inner()),
            Event::GeneralRef(reference) => {
                let text = resolve(&reference, &self.tree.declared);
                self.expanded += text.len();
                if self.expanded > ENTITY_BYTES {
                    return Err(self.damage("entities expand without end"));
                }
                self.append(text);
            }
            Event::Eof => {
                let inside = self.open.last().map_or("article", |at| Element { tree: &self.tree, at: *at }.name());
                return Err(self.damage(format!("the file ends inside <{inside}>")));
            }
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
        Ok(Step::On)
    }

    fn offset(&self, part: &str) -> Option<u32> {
        let at = (part.as_ptr() as usize).checked_sub(self.tree.source.as_ptr() as usize)?;
        (at + part.len() <= self.tree.source.len()).then_some(at as u32)
    }

    /// Opens an element and gives its local name.
    fn element(&mut self, start: &BytesStart<'x>) -> Result<&'x str, Damage> {
        self.joining = false;
        if self.open.len() >= DEPTH {
            return Err(self.damage(format!("elements nest deeper than {DEPTH}")));
        }
        // In the front matter an attribute decides what may be shared, so none may be lost to a slip before it.
        if self.open.len() < 16 && self.tree.items.len() < 4096 {
            for attribute in start.attributes() {
                attribute.map_err(|error| self.damage(error.to_string()))?;
            }
        }
        let inside: &str = start;
        let begins = self.offset(inside).ok_or_else(|| self.damage("a tag outside of the article"))?;
        let name = start.name().into_inner().len();
        let local = local(&self.tree.source[begins as usize..begins as usize + name]);
        let at = self.tree.items.len() as u32;
        self.tree.items.push(Item {
            kind: Kind::Element,
            start: begins,
            length: inside.len() as u32,
            name: name as u32,
            prefix: (name - local.len()) as u32,
            end: at + 1,
        });
        self.open.push(at);
        Ok(local)
    }

    /// Passes over the inside of the element just opened.
    fn skip(&mut self, name: &'x str) -> Result<(), Damage> {
        let from = self.position();
        let end = end_of(self.tree.source, from, name);
        let Some(end) = end else {
            return Err(Damage {
                position: self.tree.source.len() as u64,
                what: format!("the file ends inside <{name}>"),
            });
        };
        self.reader = reader(&self.tree.source[end..]);
        self.begun = end;
        Ok(())
    }

    fn append(&mut self, text: Cow<'x, str>) {
        if text.is_empty() || self.open.is_empty() {
            return;
        }
        let offset = match &text {
            Cow::Borrowed(text) => self.offset(text),
            Cow::Owned(_) => None,
        };
        let length = text.len() as u32;
        if self.joining
            && let Some(last) = self.tree.items.last_mut()
        {
            if last.kind == Kind::Text {
                if offset == Some(last.start + last.length) {
                    last.length += length;
                    return;
                }
                let start = self.tree.resolved.len();
                let range = last.start as usize..(last.start + last.length) as usize;
                self.tree.resolved.push_str(&self.tree.source[range]);
                (last.kind, last.start) = (Kind::Resolved, start as u32);
            }
            self.tree.resolved.push_str(&text);
            last.length += length;
            return;
        }
        let end = self.tree.items.len() as u32 + 1;
        let (kind, start) = match offset {
            Some(offset) => (Kind::Text, offset),
            None => {
                self.tree.resolved.push_str(&text);
                (Kind::Resolved, self.tree.resolved.len() as u32 - length)
            }
        };
        self.tree.items.push(Item { kind, start, length, name: 0, prefix: 0, end });
        self.joining = true;
    }
}

fn reader(source: &str) -> Reader<&[u8]> {
    let mut reader = Reader::from_str(source);
    let config = reader.config_mut();
    // Nesting is checked here: what is passed over would be missed by the reader's own check.
    config.check_end_names = false;
    config.allow_unmatched_ends = true;
    reader
}

/// The place after the end tag of the element whose inside begins at `from`.
fn end_of(source: &str, from: usize, name: &str) -> Option<usize> {
    let bytes = source.as_bytes();
    let mut marks = Marks::new(name);
    let mut depth = 1;
    let mut at = from;
    while let Some((start, mark)) = marks.next(bytes, 0, at) {
        let after = start + mark.len(name);
        if let Mark::Hiding(hiding) = mark {
            at = after + memmem::find(&bytes[after..], hiding.end())? + hiding.end().len();
            continue;
        }
        at = after;
        if !bytes.get(after).is_some_and(|byte| byte.is_ascii_whitespace() || matches!(byte, b'>' | b'/')) {
            continue;
        }
        let before = source[from..start].trim_end_matches(|character: char| {
            character == ':' || character == '_' || character.is_ascii_alphanumeric()
        });
        let prefixed = before.len() == start - from || bytes[start - 1] == b':';
        if !prefixed {
            continue;
        }
        if before.ends_with("</") {
            depth -= 1;
            at = after + memmem::find(&bytes[after..], b">")? + 1;
            if depth == 0 {
                return Some(at);
            }
        } else if before.ends_with('<') {
            let end = after + memmem::find(&bytes[after..], b">")? + 1;
            depth += usize::from(bytes[end - 2] != b'/');
            at = end;
        }
    }
    None
}

/// An entity's text. One that nothing declares stays as written: leaving it out would change what is said.
fn resolve(reference: &BytesRef<'_>, declared: &BTreeMap<String, String>) -> Cow<'static, str> {
    if let Ok(Some(character)) = reference.resolve_char_ref() {
        return Cow::Owned(character.to_string());
    }
    let name = reference.borrow().into_inner();
    match resolve_html5_entity(&name) {
        Some(text) => Cow::Borrowed(text),
        None => Cow::Owned(declared.get(name.as_ref()).cloned().unwrap_or_else(|| format!("&{name};"))),
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
    // Not narrowed: what a name may hold is not for us to say.
    static ENTITY: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"<!ENTITY\s+([\w.:-]+)\s+(?:"([^"<]{0,1024})"|'([^'<]{0,1024})')\s*>"#).expect("a fixed pattern")
    });
    if !doctype.contains("<!ENTITY") {
        return BTreeMap::new();
    }
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

    fn read<T>(xml: &str, doctype: Option<&str>, look: impl FnOnce(Element<'_>) -> T) -> Result<T, Damage> {
        let mut writer = Writer::new(xml, doctype);
        writer.read()?;
        Ok(look(writer.so_far().root()))
    }

    fn text_of(root: Element<'_>) -> String {
        root.text()
    }

    #[test]
    fn entities_comments_and_cdata_are_read_through() {
        let doctype = "!DOCTYPE x PUBLIC \"-//N//D\" \"none.dtd\" [<!ENTITY drug \"as&#112;irin\">]";
        let text = |xml: &str| read(xml, Some(doctype), text_of).expect("well formed");
        assert_eq!(
            text("<article a='&lt;1'>caf&eacute; &#x3b2; &drug; &nowhere; &amp;</article>"),
            "café β aspirin &nowhere; &"
        );
        assert_eq!(text("<article><b><![CDATA[x < y]]></b> <i> z</i><!-- no -->w&lt;v</article>"), "x < y zw<v");
        let attribute = |root: Element<'_>| root.attribute("a").map(Cow::into_owned);
        assert_eq!(read("<n:article b:a='&lt;1'/>", None, attribute).expect("well formed").as_deref(), Some("<1"));
    }

    #[test]
    fn what_is_passed_over_leaves_its_neighbours() {
        let xml = "<article>a<ref-list x='1'><ref-list/><!-- </ref-list> --><ref-list>ref-list</ref-list></ref-list>b\
                   <sub-article><p/></sub-article>c<response-x>d</response-x></article>";
        assert_eq!(read(xml, None, text_of).expect("well formed"), "abcd");
    }

    #[test]
    fn damage_is_told_with_its_position() {
        for (xml, what) in [
            ("<article><front>", "ends inside <front>"),
            ("<article><p>b", "ends inside <p>"),
            ("<article><ref-list><p></article>", "ends inside <ref-list>"),
            ("<article><p>a</article>", "<p> is closed by </article>"),
            ("<article><p a='1>", ""),
            ("<article a=1></article>", ""),
        ] {
            let damage = read(xml, None, |_| ()).expect_err("damaged");
            assert!(damage.what.contains(what) && damage.position <= xml.len() as u64, "{xml}: {}", damage.what);
        }
    }

    #[test]
    fn a_bomb_of_entities_or_depth_ends_in_an_error() {
        let doctype = format!("<!DOCTYPE a [<!ENTITY a \"{}\">]>", "ha".repeat(500));
        assert!(read(&format!("<article>{}</article>", "&a;".repeat(2000)), Some(&doctype), |_| ()).is_err());
        let nested = "<!DOCTYPE a [<!ENTITY a \"1\"><!ENTITY b \"&a;&a;\">]>";
        assert_eq!(read("<article>&b;</article>", Some(nested), text_of).expect("small"), "&a;&a;");
        assert!(read(&"<article>".repeat(5000), None, |_| ()).is_err());
    }
}
