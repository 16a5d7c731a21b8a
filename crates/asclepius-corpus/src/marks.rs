//! The places of a file where an element may begin or end, or where markup hides them: what lets all between be passed
//! over at the speed of a vector search.

use memchr::memmem::Finder;

/// Markup inside which nothing is an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hiding {
    Comment,
    CData,
    Instruction,
}

impl Hiding {
    fn begin(self) -> &'static [u8] {
        match self {
            Self::Comment => b"<!--",
            Self::CData => b"<![CDATA[",
            Self::Instruction => b"<?",
        }
    }

    /// What ends it.
    pub fn end(self) -> &'static [u8] {
        match self {
            Self::Comment => b"-->",
            Self::CData => b"]]>",
            Self::Instruction => b"?>",
        }
    }
}

/// What stands at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// The name searched for, in a tag or not.
    Name,
    Hiding(Hiding),
}

impl Mark {
    /// Its bytes, where `name` is searched for.
    pub fn len(self, name: &str) -> usize {
        match self {
            Self::Name => name.len(),
            Self::Hiding(hiding) => hiding.begin().len(),
        }
    }
}

/// One string, and how far it has been searched for.
struct Ahead<'n> {
    finder: Finder<'n>,
    /// Place in the file of the next occurrence, or up to where there is none.
    at: u64,
    found: bool,
}

impl<'n> Ahead<'n> {
    fn new(needle: &'n [u8]) -> Self {
        Self { finder: Finder::new(needle), at: 0, found: false }
    }

    /// The next occurrence from `from` on, in bytes of which the first is the file's byte `base`.
    fn next(&mut self, bytes: &[u8], base: u64, from: usize) -> Option<usize> {
        let from = base + from as u64;
        if !self.found || self.at < from {
            let start = if self.found { from } else { self.at.max(from) };
            let rest = bytes.get((start - base) as usize..).unwrap_or_default();
            let next = self.finder.find(rest);
            self.found = next.is_some();
            // The end may be the beginning of an occurrence.
            let searched = rest.len().saturating_sub(self.finder.needle().len() - 1);
            self.at = start + next.unwrap_or(searched) as u64;
        }
        self.found.then(|| (self.at - base) as usize)
    }
}

/// Looks for a name, and for what may hide it.
pub(crate) struct Marks<'n> {
    name: Ahead<'n>,
    declaration: Ahead<'static>,
    instruction: Ahead<'static>,
}

impl<'n> Marks<'n> {
    pub fn new(name: &'n str) -> Self {
        Self { name: Ahead::new(name.as_bytes()), declaration: Ahead::new(b"<!"), instruction: Ahead::new(b"<?") }
    }

    /// The next mark from `from` on; `base` is the place in the file of the first of `bytes`. Places may not go back.
    pub fn next(&mut self, bytes: &[u8], base: u64, from: usize) -> Option<(usize, Mark)> {
        let name = self.name.next(bytes, base, from).map(|at| (at, Mark::Name));
        let mut hiding = self.instruction.next(bytes, base, from).map(|at| (at, Hiding::Instruction));
        let mut after = from;
        while let Some(at) = self.declaration.next(bytes, base, after) {
            if hiding.is_some_and(|(known, _)| known < at) || name.is_some_and(|(known, _)| known < at) {
                break;
            }
            let (here, kinds) = (&bytes[at..], [Hiding::Comment, Hiding::CData]);
            if let Some(kind) = kinds.into_iter().find(|kind| here.starts_with(kind.begin())) {
                hiding = Some((at, kind));
                break;
            }
            // Cut off by the end of the bytes: told when there are more.
            if kinds.into_iter().any(|kind| kind.begin().starts_with(here)) {
                break;
            }
            after = at + 1;
        }
        let hiding = hiding.map(|(at, kind)| (at, Mark::Hiding(kind)));
        [name, hiding].into_iter().flatten().min_by_key(|(at, _)| *at)
    }
}
