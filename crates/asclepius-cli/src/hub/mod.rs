//! The Hugging Face hub, written to and read from: a repository made where there is none, what differs sent, one commit a
//! push; the files of one commit a pull.
//!
//! `hf-hub` 0.5, which fetches base models, has no upload, and 1.0 would bring a hundred crates and a C build. What it
//! takes is a handful of requests, made here on the connection the chat client stands on already. The way of a push:
//! look at the repository (`api/datasets/ID`), make it (`api/repos/create`), list it (`tree`), ask how each file is to
//! come (`preupload`), send the large ones to where Git LFS's `batch` says, and name all of them in one `commit`.
//!
//! - `api`: requests, tries, and the answers as types.
//! - `large`: files by Git LFS, whole or in parts.
//! - `push`: what differs, in which order it goes, and what came of it.
//! - `pull`: what a commit holds, brought here and checked.
//!
//! The token goes to the hub alone: never to the storage that large files are sent to, to another host, or to a log.

mod api;
mod large;
mod pull;
mod push;

use std::io::Read;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

pub use api::{Api, ApiOptions, Broken};
pub use pull::{Pull, Pulled, Unfetched, cached_problem, pull};
pub use push::{Push, Pushed, Stopped, push};

/// The public hub.
pub const PUBLIC_HUB: &str = "https://huggingface.co";

/// Bytes from the head of a file by which the hub tells text from binary.
const SAMPLE_BYTES: usize = 512;

/// What a repository holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A dataset.
    Dataset,
    /// A model or an adapter.
    Model,
}

impl Kind {
    /// What the hub calls one.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dataset => "dataset",
            Self::Model => "model",
        }
    }
}

/// A repository: `namespace/name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// What it holds.
    pub kind: Kind,
    /// A user or an organisation.
    pub namespace: String,
    /// Its name there.
    pub name: String,
}

impl std::fmt::Display for Repository {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.namespace, self.name)
    }
}

/// A file as it is to lie in the repository.
#[derive(Debug, Clone)]
pub struct File {
    /// Its path there.
    pub name: String,
    /// What it holds.
    pub content: Content,
}

/// Where a file's bytes are.
#[derive(Debug, Clone)]
pub enum Content {
    /// On disk.
    Disk(PathBuf),
    /// In memory.
    Made(Vec<u8>),
}

/// A file and what the hub knows files by.
#[derive(Debug)]
struct Measured<'a> {
    file: &'a File,
    bytes: u64,
    /// In hexadecimal, as Git LFS names objects.
    sha256: String,
    sample: Vec<u8>,
}

impl<'a> Measured<'a> {
    /// Reads the file once.
    fn of(file: &'a File) -> std::io::Result<Self> {
        let mut hasher = Sha256::new();
        let (mut bytes, mut sample) = (0, Vec::with_capacity(SAMPLE_BYTES));
        let mut take = |part: &[u8]| {
            hasher.update(part);
            bytes += part.len() as u64;
            sample.extend_from_slice(&part[..part.len().min(SAMPLE_BYTES - sample.len())]);
        };
        match &file.content {
            Content::Made(content) => take(content),
            Content::Disk(path) => {
                let mut opened = fs_err::File::open(path)?;
                let mut buffer = vec![0; 1 << 20];
                loop {
                    let read = opened.read(&mut buffer)?;
                    if read == 0 {
                        break;
                    }
                    take(&buffer[..read]);
                }
            }
        }
        let sha256 = format!("{:x}", hasher.finalize());
        Ok(Self { file, bytes, sha256, sample })
    }

    fn name(&self) -> &str {
        &self.file.name
    }

    /// All of it.
    fn read(&self) -> std::io::Result<Vec<u8>> {
        match &self.file.content {
            Content::Made(content) => Ok(content.clone()),
            Content::Disk(path) => fs_err::read(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_sha256_wherever_it_lies() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("notes");
        let content = "abc".repeat(700_000).into_bytes();
        fs_err::write(&path, &content).expect("writable");
        let file = |content| File { name: "notes".to_owned(), content };
        let (made, disk) = (file(Content::Made(content)), file(Content::Disk(path)));
        let (made, disk) = (Measured::of(&made).expect("in memory"), Measured::of(&disk).expect("readable"));
        assert_eq!((&made.sha256, made.bytes, &made.sample), (&disk.sha256, 2_100_000, &disk.sample));
        assert_eq!(made.sample.len(), SAMPLE_BYTES);
        let file = file(Content::Made(b"abc".to_vec()));
        // FIPS 180-2, appendix B.1.
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Measured::of(&file).expect("in memory").sha256, known);
    }
}
