//! A file cut into its articles, as bytes: cheap enough for one thread to feed many, and never more in memory than one
//! article may have.
//!
//! Outside of articles every tag is read, so that a set that ends early is noticed; inside one only what could end it
//! is looked at, and what could hide that: comments, CDATA and processing instructions.

use std::io::BufRead;
use std::sync::Arc;

use memchr::{memchr, memmem};

use crate::encoding::{Told, Transcoder, tell};
use crate::marks::{Mark, Marks};

/// The most bytes of XML one article may have.
pub(crate) const ARTICLE_BYTES: usize = 32 << 20;
/// The most bytes of a tag or document type outside of articles.
const TAG_BYTES: usize = 1 << 20;
const READ_BYTES: usize = 1 << 16;

/// Why an article, or the rest of a file, cannot be read.
#[derive(Debug)]
pub(crate) struct Damage {
    /// Byte of the (decompressed) file; of one that is not UTF-8, of its text as UTF-8.
    pub position: u64,
    /// What is wrong there.
    pub what: String,
}

/// One article's bytes, or, when the file ends early, what there is of them.
#[derive(Debug)]
pub(crate) struct Raw {
    pub bytes: Vec<u8>,
    /// Where they begin in the (decompressed) file; see [`Damage::position`].
    pub position: u64,
    /// What the file was written in where that is not UTF-8.
    pub encoding: Option<&'static str>,
    /// The document type, whose internal subset may declare entities.
    pub doctype: Option<Arc<str>>,
}

/// Yields every `<article>` of a reader, or what is wrong with it.
pub(crate) struct Split<R> {
    inner: R,
    /// Of a file that is not UTF-8; what is in the buffer has gone through it.
    transcoder: Option<Transcoder>,
    buffer: Vec<u8>,
    /// Place in the file of the buffer's first byte.
    base: u64,
    /// What is before this place in the buffer has been dealt with.
    at: usize,
    doctype: Option<Arc<str>>,
    /// Names of the elements open around the next article.
    around: Vec<Vec<u8>>,
    any: bool,
    finished: bool,
}

impl<R: BufRead> Split<R> {
    pub fn new(inner: R) -> Self {
        Self {
            inner,
            transcoder: None,
            buffer: Vec::new(),
            base: 0,
            at: 0,
            doctype: None,
            around: Vec::new(),
            any: false,
            finished: false,
        }
    }

    fn damage(&self, what: impl Into<String>) -> Damage {
        Damage { position: self.base + self.at as u64, what: what.into() }
    }

    /// Reads on; false at the end of the file.
    fn fill(&mut self) -> Result<bool, Damage> {
        let before = self.buffer.len();
        loop {
            let read = match self.inner.fill_buf() {
                Ok(bytes) => {
                    let bytes = &bytes[..bytes.len().min(READ_BYTES)];
                    match &mut self.transcoder {
                        None => self.buffer.extend_from_slice(bytes),
                        Some(transcoder) => transcoder.append(bytes, &mut self.buffer, bytes.is_empty()),
                    }
                    bytes.len()
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    let position = self.base + self.buffer.len() as u64;
                    return Err(Damage { position, what: error.to_string() });
                }
            };
            self.inner.consume(read);
            // A decoder may have to see more before it gives anything.
            if read == 0 || self.buffer.len() > before {
                return Ok(self.buffer.len() > before);
            }
        }
    }

    /// Finds out what the file is written in, and turns what has been read of it into UTF-8.
    fn begin(&mut self) -> Result<(), Damage> {
        let mut whole = false;
        loop {
            match tell(&self.buffer, whole).map_err(|what| self.damage(what))? {
                Told::Unsure => whole = !self.fill()?,
                Told::Utf8 => return Ok(()),
                Told::Other(mut transcoder) => {
                    let bytes = std::mem::take(&mut self.buffer);
                    transcoder.append(&bytes, &mut self.buffer, false);
                    self.transcoder = Some(transcoder);
                    return Ok(());
                }
            }
        }
    }

    /// Forgets what has been dealt with.
    fn drop_read(&mut self) {
        self.base += self.at as u64;
        self.buffer.drain(..self.at);
        self.at = 0;
    }

    /// Passes over everything up to and including `end`, keeping none of it; false when the file ends first.
    fn skip_past(&mut self, end: &[u8]) -> Result<bool, Damage> {
        loop {
            if let Some(found) = memmem::find(&self.buffer[self.at..], end) {
                self.at += found + end.len();
                return Ok(true);
            }
            self.at = self.at.max(self.buffer.len().saturating_sub(end.len() - 1));
            self.drop_read();
            if !self.fill()? {
                return Ok(false);
            }
        }
    }

    /// The end of the markup that begins at `from`, quotes and the brackets of a document type respected.
    fn tag_end(&mut self, from: usize) -> Result<usize, Damage> {
        let (mut quote, mut depth, mut at) = (None, 0_usize, from + 1);
        loop {
            while let Some(byte) = self.buffer.get(at).copied() {
                at += 1;
                match (quote, byte) {
                    (Some(open), byte) => {
                        if open == byte {
                            quote = None;
                        }
                    }
                    (None, b'"' | b'\'') => quote = Some(byte),
                    (None, b'[') => depth += 1,
                    (None, b']') => depth = depth.saturating_sub(1),
                    (None, b'>') if depth == 0 => return Ok(at),
                    (None, _) => {}
                }
            }
            if at - from > TAG_BYTES {
                return Err(self.damage(format!("a tag of more than {} KiB", TAG_BYTES >> 10)));
            }
            if !self.fill()? {
                return Err(self.damage("the file ends inside a tag"));
            }
        }
    }

    /// Reads to the end of the next article. `Err((damage, true))` ends the file.
    fn read(&mut self) -> Result<Option<Raw>, (Damage, bool)> {
        let fatal = |damage| (damage, true);
        if !self.any {
            self.begin().map_err(fatal)?;
        }
        loop {
            self.drop_read();
            let Some(found) = memchr(b'<', &self.buffer) else {
                self.at = self.buffer.len();
                if self.fill().map_err(fatal)? {
                    continue;
                }
                self.at = self.buffer.len();
                return match self.around.pop() {
                    Some(name) => {
                        Err(fatal(self.damage(format!("the file ends inside <{}>", String::from_utf8_lossy(&name)))))
                    }
                    None => Ok(None),
                };
            };
            self.at = found;
            while self.buffer.len() < found + 9 && self.fill().map_err(fatal)? {}
            let rest = &self.buffer[found..];
            let hidden: Option<&[u8]> = match () {
                () if rest.starts_with(b"<!--") => Some(b"-->"),
                () if rest.starts_with(b"<![CDATA[") => Some(b"]]>"),
                () if rest.starts_with(b"<?") => Some(b"?>"),
                () => None,
            };
            if let Some(end) = hidden {
                if !self.skip_past(end).map_err(fatal)? {
                    return Err(fatal(self.damage("the file ends inside a comment or instruction")));
                }
                continue;
            }
            let end = self.tag_end(found).map_err(fatal)?;
            let tag = &self.buffer[found + 1..end - 1];
            if tag.first() == Some(&b'!') {
                self.doctype = Some(String::from_utf8_lossy(tag).into());
                self.at = end;
                continue;
            }
            if let Some(name) = tag.strip_prefix(b"/") {
                let name = local_name(name).to_vec();
                if self.around.pop().as_ref() != Some(&name) {
                    return Err(fatal(self.damage(format!(
                        "</{}> closes nothing",
                        String::from_utf8_lossy(&name[..name.len().min(40)])
                    ))));
                }
                self.at = end;
                continue;
            }
            let name = local_name(tag).to_vec();
            let closed = tag.ends_with(b"/");
            if name != b"article" {
                if !closed {
                    if self.around.len() >= 100 {
                        return Err(fatal(self.damage("elements nest deeper than 100 around an article")));
                    }
                    self.around.push(name);
                }
                self.at = end;
                continue;
            }
            if closed {
                return Ok(Some(self.take(end)));
            }
            return self.article(end);
        }
    }

    /// The bytes from here to `end`.
    fn take(&mut self, end: usize) -> Raw {
        let raw = Raw {
            bytes: self.buffer[self.at..end].to_vec(),
            position: self.base + self.at as u64,
            encoding: self.transcoder.as_ref().map(Transcoder::name),
            doctype: self.doctype.clone(),
        };
        self.at = end;
        raw
    }

    /// From inside the article that begins here, to its end.
    fn article(&mut self, mut from: usize) -> Result<Option<Raw>, (Damage, bool)> {
        /// Longer than any mark and what stands around it.
        const CONTEXT: usize = 128;
        let fatal = |damage| (damage, true);
        let position = self.base + self.at as u64;
        let mut depth = 1_usize;
        let mut oversize = false;
        let mut marks = Marks::new("article");
        loop {
            if self.buffer.len() - self.at > ARTICLE_BYTES {
                oversize = true;
            }
            if oversize && from > self.at + CONTEXT {
                let keep = from - CONTEXT;
                self.at = keep;
                self.drop_read();
                from -= keep;
            }
            // A mark at the buffer's end is looked at again with what follows it.
            let limit = self.buffer.len();
            let Some((start, mark)) = marks.next(&self.buffer, self.base, from) else {
                from = from.max(limit.saturating_sub(CONTEXT));
                if self.fill().map_err(fatal)? {
                    continue;
                }
                if oversize {
                    return Err((too_large(position), true));
                }
                let end = self.buffer.len();
                self.around.clear();
                return Ok(Some(self.take(end)));
            };
            let after = start + mark.len("article");
            if limit - after < CONTEXT && self.fill().map_err(fatal)? {
                from = start.max(from);
                continue;
            }
            let hidden = match mark {
                Mark::Hiding(hiding) => hiding.end(),
                Mark::Name => {
                    from = after;
                    match tag_around(&self.buffer, self.at, start, after) {
                        Some(true) => {
                            let end =
                                memchr(b'>', &self.buffer[after..]).map_or(self.buffer.len(), |end| after + end + 1);
                            depth -= 1;
                            from = end;
                            if depth == 0 {
                                if oversize {
                                    self.at = end;
                                    return Err((too_large(position), false));
                                }
                                return Ok(Some(self.take(end)));
                            }
                        }
                        Some(false) => {
                            let end =
                                memchr(b'>', &self.buffer[after..]).map_or(self.buffer.len(), |end| after + end + 1);
                            if !self.buffer[..end].ends_with(b"/>") {
                                depth += 1;
                            }
                            from = end;
                        }
                        None => {}
                    }
                    continue;
                }
            };
            // Hidden text may be as long as it likes: it counts into the article's bytes.
            match memmem::find(&self.buffer[after..], hidden) {
                Some(end) => from = after + end + hidden.len(),
                None if oversize => {
                    self.at = start;
                    if !self.skip_past(hidden).map_err(fatal)? {
                        return Err((too_large(position), true));
                    }
                    from = self.at;
                }
                None => {
                    from = start;
                    if !self.fill().map_err(fatal)? {
                        let end = self.buffer.len();
                        self.around.clear();
                        return Ok(Some(self.take(end)));
                    }
                }
            }
        }
    }
}

fn too_large(position: u64) -> Damage {
    Damage { position, what: format!("an article of more than {} MiB", ARTICLE_BYTES >> 20) }
}

/// Whether the word `article` at `start..after` is the name of a tag: of an end tag, of a start tag, or of none.
fn tag_around(buffer: &[u8], floor: usize, start: usize, after: usize) -> Option<bool> {
    let follows = buffer.get(after).is_none_or(|byte| byte.is_ascii_whitespace() || matches!(byte, b'>' | b'/'));
    if !follows {
        return None;
    }
    let mut before = &buffer[floor..start];
    if let Some(prefixed) = before.strip_suffix(b":") {
        let prefix = prefixed.iter().rev().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
        before = &prefixed[..prefixed.len() - prefix];
    }
    match before {
        [.., b'<', b'/'] => Some(true),
        [.., b'<'] => Some(false),
        _ => None,
    }
}

/// The name at the beginning of a tag's inside, without its prefix.
fn local_name(tag: &[u8]) -> &[u8] {
    let end = tag.iter().position(|byte| byte.is_ascii_whitespace() || *byte == b'/').unwrap_or(tag.len());
    let name = &tag[..end];
    name.iter().position(|byte| *byte == b':').map_or(name, |colon| &name[colon + 1..])
}

impl<R: BufRead> Iterator for Split<R> {
    type Item = Result<Raw, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.finished {
            return None;
        }
        let item = match self.read() {
            Ok(Some(article)) => Some(Ok(article)),
            Ok(None) if self.any => None,
            Ok(None) => Some(Err(self.damage("there is no <article> in it"))),
            Err((mut damage, last)) => {
                self.finished = last;
                if let Some(transcoder) = &self.transcoder {
                    damage.what.push_str(&format!(" (in the text decoded from {})", transcoder.name()));
                }
                Some(Err(damage))
            }
        };
        self.finished |=
            item.is_none() || !self.any && matches!(&item, Some(Err(damage)) if damage.what.starts_with("there is no"));
        self.any = true;
        item
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn split(xml: &str, capacity: usize) -> Vec<Result<String, String>> {
        let reader = BufReader::with_capacity(capacity, xml.as_bytes());
        let articles = Split::new(reader).map(|raw| match raw {
            Ok(raw) => {
                let start = raw.position as usize;
                assert_eq!(&xml.as_bytes()[start..start + raw.bytes.len()], raw.bytes);
                Ok(String::from_utf8(raw.bytes).expect("a part of a string"))
            }
            Err(damage) => Err(damage.what),
        });
        articles.collect()
    }

    #[test]
    fn articles_are_cut_whatever_hides_their_ends_and_however_the_file_arrives() {
        let one = "<article a='x>y'><!-- </article> --><p>an article <![CDATA[</article>]]></p><?x </article>?><sub-article/></article >";
        let two = "<n:article><article-title/><article>nested</article></n:article>";
        let xml = format!(
            "\u{feff}<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b \"</article>\">]><!-- <article> --><set>{one} and {two}<article/></set>"
        );
        let expected = vec![Ok(one.to_owned()), Ok(two.to_owned()), Ok("<article/>".to_owned())];
        for capacity in [1, 2, 3, 7, 64, 65_536] {
            assert_eq!(split(&xml, capacity), expected, "{capacity}");
        }
    }

    #[test]
    fn what_is_too_large_is_passed_over_and_the_next_article_read() {
        let large =
            format!("<set><article><p a=\"{}\"/></article><article>b</article></set>", "x".repeat(ARTICLE_BYTES));
        let found = split(&large, 65_536);
        assert!(found[0].as_ref().is_err_and(|what| what.contains("32 MiB")), "{:?}", found[0].as_ref().err());
        assert_eq!(found[1..], [Ok("<article>b</article>".to_owned())]);
        let hidden = format!("<set><article><!--{}--></article><article>b</article></set>", "x".repeat(ARTICLE_BYTES));
        assert_eq!(split(&hidden, 65_536)[1..], [Ok("<article>b</article>".to_owned())]);
        let tag = format!("<set a=\"{}\"/>", "x".repeat(TAG_BYTES * 2));
        assert!(split(&tag, 65_536)[0].as_ref().is_err_and(|what| what.contains("a tag of more")));
    }

    #[test]
    fn a_set_that_ends_early_or_is_none_says_so() {
        for (xml, whole, what) in [
            ("", 0, "no <article>"),
            ("plain words", 0, "no <article>"),
            ("{\"a\": 1}", 0, "no <article>"),
            ("<set><article>a</article>", 1, "ends inside <set>"),
            ("<set></sets>", 0, "</sets> closes nothing"),
            ("\u{0}\u{1}\u{2}\u{3}", 0, "no UTF-8"),
        ] {
            let mut found = split(xml, 64);
            let damage = found.pop().expect("something").expect_err("damaged");
            assert_eq!(found.len(), whole, "{xml}");
            assert!(damage.contains(what), "{xml}: {damage}");
        }
    }
}
