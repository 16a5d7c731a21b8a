//! An article read onto its tape, as far as is asked for.

use std::borrow::Cow;

use memchr::memmem;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::entities::{declarations, resolve};
use super::{Element, Item, Kind, Tree, local};
use crate::marks::{Mark, Marks};
use crate::split::Damage;

/// The most bytes that entities declared inside a file may add to one article.
const ENTITY_BYTES: usize = 1 << 20;
/// JATS nests a few dozen deep; what goes beyond this is an attack on the stack.
const DEPTH: usize = 200;
/// Passed over, their tags and attributes apart: nothing downstream looks inside, and reference lists are half of a file.
const SKIPPED: [&str; 4] = ["ref-list", "sub-article", "response", "tex-math"];

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
                let Some(text) = resolve(&reference, &self.tree.declared) else {
                    return Err(self.damage(format!("the entity {} expands without end", &*reference)));
                };
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
    let mut depth = 1_usize;
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
