//! Documents in one file that is mapped, not loaded: 100,000 notes are read as they are asked for.
//!
//! Little-endian throughout, one part after the other:
//!
//! | part | bytes | what |
//! |---|---|---|
//! | header | 48 | magic, [`LAYOUT_VERSION`], the key's hash (32 hex digits) |
//! | words | 4 a token | id in the lower 31 bits, loss mask in the highest, so that the two cannot drift apart |
//! | index | 16 a document | where its words end, and where its name ends, both u64 |
//! | names | | row identities, end to end |
//! | footer | | JSON: lengths and BLAKE3 hashes of the parts, and the [`Tally`] |
//! | trailer | 48 | the footer's length, its BLAKE3 hash, magic |
//!
//! A reader believes nothing: every byte lies under the key, a hash or a length that is checked when the file is opened.

use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use fs_err::File;
use memmap2::Mmap;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::DatasetError;
use crate::tokens::{Document, RowTokens, Tally};

/// Changes whenever a file of an earlier version would be read differently.
pub const LAYOUT_VERSION: u32 = 1;

const MAGIC: &[u8; 8] = b"ASCTOKEN";
const HEADER: usize = 48;
const TRAILER: usize = 48;
const SUPERVISED: u32 = 1 << 31;

/// Bytes hashed at once: all threads share the check of a large file.
const SEGMENT: usize = 4 << 20;

#[derive(Debug, Serialize, Deserialize)]
struct Footer {
    words: usize,
    documents: usize,
    names: usize,
    words_hash: String,
    index_hash: String,
    names_hash: String,
    tally: Tally,
}

fn header(key: &str) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&LAYOUT_VERSION.to_le_bytes());
    // Its hash, so that a key of any length fits.
    header[16..].copy_from_slice(asclepius_schema::hash_bytes(key.as_bytes()).as_bytes());
    header
}

/// The hash of a part: of the hashes of its segments, so that they can be made side by side.
#[derive(Debug, Default)]
struct Segments {
    whole: blake3::Hasher,
    open: blake3::Hasher,
    filled: usize,
}

impl Segments {
    fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(SEGMENT - self.filled));
            self.open.update(now);
            self.filled += now.len();
            if self.filled == SEGMENT {
                self.close();
            }
            bytes = later;
        }
    }

    fn close(&mut self) {
        self.whole.update(self.open.finalize().as_bytes());
        self.open.reset();
        self.filled = 0;
    }

    fn finish(mut self) -> String {
        if self.filled > 0 {
            self.close();
        }
        self.whole.finalize().to_hex().to_string()
    }
}

fn hash(bytes: &[u8]) -> String {
    let segments: Vec<blake3::Hash> = bytes.par_chunks(SEGMENT).map(blake3::hash).collect();
    let mut whole = blake3::Hasher::new();
    for segment in &segments {
        whole.update(segment.as_bytes());
    }
    whole.finalize().to_hex().to_string()
}

/// Writes a file of documents, one after the other. Only sixteen bytes and the name of each stay in memory.
#[derive(Debug)]
pub struct TokenWriter {
    path: PathBuf,
    file: BufWriter<File>,
    hash: Segments,
    words: usize,
    index: Vec<u8>,
    names: Vec<u8>,
    tally: Tally,
}

impl TokenWriter {
    /// Begins the file at `path`, which must not exist, for tokens made from what `key` stands for.
    ///
    /// # Errors
    /// When the file exists or cannot be written.
    pub fn create(path: &Path, key: &str) -> Result<Self, DatasetError> {
        let mut file = BufWriter::with_capacity(1 << 20, File::create_new(path)?);
        file.write_all(&header(key))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            hash: Segments::default(),
            words: 0,
            index: Vec::new(),
            names: Vec::new(),
            tally: Tally::default(),
        })
    }

    /// Adds what a row became.
    ///
    /// # Errors
    /// When the file cannot be written, or an id does not fit into 31 bits; names the row.
    pub fn append(&mut self, row: RowTokens) -> Result<(), DatasetError> {
        for document in self.tally.count(row) {
            if let Some(id) = document.ids.iter().find(|&&id| id >= SUPERVISED) {
                let problem = format!("token id {id} of row {} does not fit into 31 bits", document.id);
                return Err(DatasetError::TokenFile { path: self.path.clone(), problem });
            }
            let word = |(&id, &supervised): (&u32, &bool)| id | if supervised { SUPERVISED } else { 0 };
            let words = document.ids.iter().zip(&document.supervised).map(word);
            let bytes: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
            self.file.write_all(&bytes)?;
            self.hash.update(&bytes);
            self.words += document.len();
            self.names.extend_from_slice(document.id.as_bytes());
            self.index.extend((self.words as u64).to_le_bytes());
            self.index.extend((self.names.len() as u64).to_le_bytes());
        }
        Ok(())
    }

    /// Rows added so far.
    pub fn rows(&self) -> u64 {
        self.tally.rows
    }

    /// Ends the file, and waits until the disk has it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn finish(mut self) -> Result<(), DatasetError> {
        let footer = Footer {
            words: self.words,
            documents: self.index.len() / 16,
            names: self.names.len(),
            words_hash: self.hash.finish(),
            index_hash: hash(&self.index),
            names_hash: hash(&self.names),
            tally: self.tally,
        };
        let footer = serde_json::to_vec(&footer).expect("plain data serialises");
        self.file.write_all(&self.index)?;
        self.file.write_all(&self.names)?;
        self.file.write_all(&footer)?;
        self.file.write_all(&(footer.len() as u64).to_le_bytes())?;
        self.file.write_all(blake3::hash(&footer).as_bytes())?;
        self.file.write_all(MAGIC)?;
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        Ok(())
    }
}

/// An open file of documents. What it needs in memory is the file's own pages, which the system takes back at will.
#[derive(Debug)]
pub struct TokenFile {
    map: Mmap,
    words: usize,
    documents: usize,
    tally: Tally,
}

impl TokenFile {
    /// Opens the file at `path` and checks every byte of it.
    ///
    /// # Errors
    /// When there is no such file, it was made from something else than `key` stands for, or is not as it was written;
    /// the message names the file and the part.
    pub fn open(path: &Path, key: &str) -> Result<Self, DatasetError> {
        let file = File::open(path)?;
        #[expect(unsafe_code, reason = "a mapping is a promise about other processes, which no type can make")]
        // SAFETY: files of tokens get their name when they are whole and are never written again; a newer one takes
        // another inode. Whoever truncates one by hand while it is read ends the process, as with any mapped file.
        let map = unsafe { Mmap::map(file.file()) }?;
        let footer = verify(&map, key).map_err(|problem| DatasetError::TokenFile { path: path.to_owned(), problem })?;
        Ok(Self { map, words: footer.words, documents: footer.documents, tally: footer.tally })
    }

    /// How many documents it holds.
    pub fn len(&self) -> usize {
        self.documents
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.documents == 0
    }

    /// Number of tokens, all documents together.
    pub fn total(&self) -> usize {
        self.words
    }

    /// What was done to the rows it was made from.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Number of tokens of document `index`.
    ///
    /// # Panics
    /// When there is no such document; so do the other functions that take an index.
    pub fn length(&self, index: usize) -> usize {
        self.ends(index).0 - self.start(index).0
    }

    /// The row it was made from; `#k` (from 1) is appended to the k-th piece of a row that was split.
    pub fn id(&self, index: usize) -> &str {
        let names = &self.map[HEADER + self.words * 4 + self.documents * 16..];
        std::str::from_utf8(&names[self.start(index).1..self.ends(index).1]).expect("checked when the file was opened")
    }

    /// Id and mask of the tokens in `range` of document `index`.
    pub fn tokens(&self, index: usize, range: Range<usize>) -> impl Iterator<Item = (u32, bool)> + '_ {
        let (start, end) = (self.start(index).0, self.ends(index).0);
        assert!(range.end <= end - start, "document {index} has {} tokens", end - start);
        let bytes = &self.map[HEADER + 4 * (start + range.start)..HEADER + 4 * (start + range.end)];
        bytes.as_chunks().0.iter().map(|&word| {
            let word = u32::from_le_bytes(word);
            (word & !SUPERVISED, word & SUPERVISED != 0)
        })
    }

    /// Document `index`, in memory.
    pub fn document(&self, index: usize) -> Document {
        let (ids, supervised) = self.tokens(index, 0..self.length(index)).unzip();
        Document { ids, supervised, id: self.id(index).to_owned() }
    }

    fn start(&self, index: usize) -> (usize, usize) {
        index.checked_sub(1).map_or((0, 0), |before| self.ends(before))
    }

    /// Where words and name of document `index` end.
    fn ends(&self, index: usize) -> (usize, usize) {
        assert!(index < self.documents, "there are {} documents, none has number {index}", self.documents);
        let at = HEADER + self.words * 4 + index * 16;
        (number(&self.map[at..at + 8]), number(&self.map[at + 8..at + 16]))
    }
}

fn number(bytes: &[u8]) -> usize {
    u64::from_le_bytes(bytes.try_into().expect("eight bytes")) as usize
}

/// The footer of a sound file; of any other, what is wrong with it.
fn verify(map: &[u8], key: &str) -> Result<Footer, String> {
    if map.len() < HEADER + TRAILER || &map[..8] != MAGIC {
        return Err("not a file of tokens".to_owned());
    }
    if map[..HEADER] != header(key) {
        return Err("its tokens were made from other data, settings, or by another version".to_owned());
    }
    let (body, trailer) = map[HEADER..].split_at(map.len() - HEADER - TRAILER);
    let (length, rest) = trailer.split_at(8);
    let length = number(length);
    if &rest[32..] != MAGIC || length > body.len() {
        return Err("its end is missing or damaged".to_owned());
    }
    let (body, footer) = body.split_at(body.len() - length);
    if blake3::hash(footer).as_bytes() != &rest[..32] {
        return Err("its footer is damaged".to_owned());
    }
    let footer: Footer = serde_json::from_slice(footer).map_err(|error| format!("its footer: {error}"))?;
    let parts = [footer.words.checked_mul(4), footer.documents.checked_mul(16), Some(footer.names)];
    if parts.iter().try_fold(0_usize, |sum, part| sum.checked_add((*part)?)) != Some(body.len()) {
        return Err("it is not as long as its footer says".to_owned());
    }
    let (words, rest) = body.split_at(footer.words * 4);
    let (index, names) = rest.split_at(footer.documents * 16);
    for (part, bytes, written) in [
        ("tokens", words, &footer.words_hash),
        ("index", index, &footer.index_hash),
        ("names", names, &footer.names_hash),
    ] {
        if hash(bytes) != *written {
            return Err(format!("its {part} part is damaged"));
        }
    }
    // What a sound writer wrote is in order; a panic in the middle of a run is not the way to find out.
    let mut before = (0, 0);
    for (document, entry) in index.chunks_exact(16).enumerate() {
        let ends = (number(&entry[..8]), number(&entry[8..]));
        let named = names.get(before.1..ends.1).is_some_and(|name| std::str::from_utf8(name).is_ok());
        if ends.0 <= before.0 || ends.0 > footer.words || !named {
            return Err(format!("its index is out of order at document {document}"));
        }
        before = ends;
    }
    if before == (footer.words, footer.names) { Ok(footer) } else { Err("its index does not cover it".to_owned()) }
}
