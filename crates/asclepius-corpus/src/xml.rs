//! One article as a flat tape of its elements and texts, over the bytes it came in.
//!
//! Tolerant where real files are (document types, named entities, processing instructions), strict where an article is
//! damaged: one that ends early or does not nest is refused with its position. Nothing is ever fetched. A node costs a
//! few words of one vector, and text is copied only where an entity changes it.

mod entities;
mod writer;

use std::borrow::Cow;

use quick_xml::events::attributes::Attributes;

use self::entities::{Declared, unescape};
pub(crate) use self::writer::Writer;

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
    declared: Declared,
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
    /// Its place in document order.
    pub fn place(self) -> u32 {
        self.at
    }

    /// The place after its last descendant.
    pub fn end(self) -> u32 {
        self.item().end
    }

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

    /// The element at a place of the same article that [`Self::place`] gave.
    pub fn other(self, place: u32) -> Element<'t> {
        Element { tree: self.tree, at: place }
    }

    /// Every element below, in document order. `true` from `pass` leaves out what is inside of an element.
    pub fn walk(self, mut pass: impl FnMut(Element<'t>) -> bool) {
        let end = self.item().end;
        let mut at = self.at + 1;
        while at < end {
            let element = Element { tree: self.tree, at };
            let item = element.item();
            at = if item.kind == Kind::Element && pass(element) { item.end } else { at + 1 };
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split::Damage;

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
        assert_eq!(read("<article>&b;</article>", Some(nested), text_of).expect("small"), "11");
        let endless = "<!DOCTYPE a [<!ENTITY a \"&b;\"><!ENTITY b \"&a;\">]>";
        let damage = read("<article>&b;</article>", Some(endless), text_of).expect_err("a circle");
        assert_eq!(damage.what, "the entity b expands without end");
        assert!(read(&"<article>".repeat(5000), None, |_| ()).is_err());
    }
}
