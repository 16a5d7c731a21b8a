//! A pull: the files of one commit, each held to the hash the hub lists for it, and put in place together.
//!
//! `hf-hub` 0.5, which fetches bases into the hub's usual cache, is not used here: it checks no hash ([`cached_problem`]
//! does afterwards), names files here by what the server calls them, and shows the token to the storage.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use fs_err::{File, OpenOptions};
use reqwest::header::{LOCATION, RANGE};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use sha1::{Digest, Sha1};

use super::api::{Entry, Info, LONGEST_WAIT};
use super::large::time_for;
use super::{Api, Broken, Content, Measured, Repository};

/// From the hub to its storage is one.
const MOST_REDIRECTIONS: usize = 5;
/// A long file is spoken of again after so many bytes.
const BYTES_BETWEEN_WORDS: u64 = 64 << 20;

/// What is to be brought from a repository.
#[derive(Debug)]
pub struct Pull<'a> {
    /// Where from.
    pub repository: &'a Repository,
    /// A branch, a tag or a commit.
    pub revision: &'a str,
    /// Which of its files.
    pub is_wanted: fn(&str) -> bool,
    /// Where files lie, by hash, until all are there; what an earlier pull left in it is not fetched again.
    pub staging: &'a Path,
}

/// The files of a commit, all of them here and sound.
#[derive(Debug)]
pub struct Pulled {
    /// The commit.
    pub commit: String,
    /// Files with their bytes.
    pub files: BTreeMap<String, u64>,
    /// Files that were not wanted, with their bytes.
    pub left_out: BTreeMap<String, u64>,
    /// Where each file lies, by its name in the repository.
    staged: BTreeMap<String, PathBuf>,
}

/// Why a pull ended.
#[derive(Debug)]
pub enum Unfetched {
    /// It did not come about.
    Broken(Broken),
    /// The repository holds a file of this name, which would lie outside the directory.
    Outside(String),
    /// It holds nothing that is wanted.
    Nothing,
    /// What came is not what the hub lists.
    Differs {
        /// The file.
        name: String,
        /// Listed and found hash.
        problem: String,
    },
}

impl<E: Into<Broken>> From<E> for Unfetched {
    fn from(error: E) -> Self {
        Self::Broken(error.into())
    }
}

impl Pulled {
    /// Lays the files out below `directory`; they leave the staging directory.
    ///
    /// # Errors
    /// When a file cannot be moved, or a directory not be made.
    pub fn place(&self, directory: &Path) -> std::io::Result<()> {
        // One object may be several files.
        let mut last: BTreeMap<&PathBuf, &String> = BTreeMap::new();
        last.extend(self.staged.iter().map(|(name, object)| (object, name)));
        for (name, object) in &self.staged {
            let to = directory.join(name);
            fs_err::create_dir_all(to.parent().unwrap_or(directory))?;
            if last.get(object) == Some(&name) {
                fs_err::rename(object, to)?;
            } else {
                fs_err::copy(object, to)?;
            }
        }
        Ok(())
    }
}

/// Brings every wanted file into the staging directory. `on` is told each, in few words.
///
/// # Errors
/// See [`Unfetched`]. What came stays: the next pull does not fetch it again, and goes on in the middle of a file.
pub async fn pull(api: &Api, pull: &Pull<'_>, on: &mut dyn FnMut(&str)) -> Result<Pulled, Unfetched> {
    let commit = api.commit_of(pull.repository, pull.revision).await?;
    let listed = api.tree(pull.repository, &commit).await?;
    if let Some(name) = listed.keys().find(|name| !lies_inside(name)) {
        return Err(Unfetched::Outside(name.clone()));
    }
    let (wanted, left_out): (BTreeMap<_, _>, BTreeMap<_, _>) =
        listed.into_iter().partition(|(name, _)| (pull.is_wanted)(name));
    if wanted.is_empty() {
        return Err(Unfetched::Nothing);
    }
    let bytes =
        |files: &BTreeMap<String, Entry>| files.iter().map(|(name, entry)| (name.clone(), entry.size)).collect();
    let (files, left_out) = (bytes(&wanted), bytes(&left_out));
    let mut staged = BTreeMap::new();
    for (name, entry) in &wanted {
        on(&format!("fetching {name}"));
        staged.insert(name.clone(), bring(api, pull, &commit, entry, on).await?);
    }
    Ok(Pulled { commit, files, left_out, staged })
}

/// Whether a repository's path leads to a place below the directory it is pulled to, and to one place only.
fn lies_inside(name: &str) -> bool {
    let goes_down = |part: Component<'_>| matches!(part, Component::Normal(_));
    let is_plain = |part: &str| !matches!(part, "" | "." | "..");
    Path::new(name).components().all(goes_down)
        && name.split('/').all(is_plain)
        && !name.chars().any(|letter| letter == '\\' || letter.is_control())
}

/// The file with the entry's content, from an earlier pull or fetched now.
async fn bring(
    api: &Api,
    pull: &Pull<'_>,
    commit: &str,
    entry: &Entry,
    on: &mut dyn FnMut(&str),
) -> Result<PathBuf, Unfetched> {
    let hash = Hash::of(pull.repository, entry)?;
    let whole = pull.staging.join(hash.text());
    if whole.is_file() && hash.problem(&whole)?.is_none() {
        return Ok(whole);
    }
    let part = whole.with_extension("part");
    fetch(api, pull.repository, commit, entry, &part, on).await?;
    if let Some(problem) = hash.problem(&part)? {
        // Whatever it is, nothing can be added to it.
        fs_err::remove_file(&part)?;
        return Err(Unfetched::Differs { name: entry.path.clone(), problem });
    }
    fs_err::rename(&part, &whole)?;
    Ok(whole)
}

/// What the hub lists a file's content by.
enum Hash<'a> {
    /// Of large files, in hexadecimal.
    Sha256(&'a str),
    /// Git's name of the others: SHA-1 over a heading and the content.
    Git(&'a str),
}

impl<'a> Hash<'a> {
    fn of(repository: &Repository, entry: &'a Entry) -> Result<Self, Broken> {
        let (hash, digits) = match &entry.lfs {
            Some(large) => (Self::Sha256(&large.oid), 64),
            None => (Self::Git(&entry.oid), 40),
        };
        let text = hash.text();
        if text.len() == digits && text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Ok(hash);
        }
        let what = format!("listing {repository}");
        Err(Broken::Unreadable { what, problem: format!("{} has no hash", entry.path) })
    }

    fn text(&self) -> &'a str {
        match self {
            Self::Sha256(text) | Self::Git(text) => text,
        }
    }

    /// What keeps the file from being the listed one.
    fn problem(&self, path: &Path) -> std::io::Result<Option<String>> {
        let (name, found) = match self {
            Self::Sha256(_) => {
                let name = path.display().to_string();
                let file = super::File { name, content: Content::Disk(path.to_owned()) };
                ("SHA-256", Measured::of(&file)?.sha256)
            }
            Self::Git(_) => ("Git's SHA-1", git_hash(path)?),
        };
        let same = found.eq_ignore_ascii_case(self.text());
        Ok((!same).then(|| format!("{name} of what came is {found}, and {} is listed", self.text())))
    }
}

/// What keeps a file in the hub's usual cache from being the one that its name there, the hub's hash of it, stands for.
/// Nothing is said of a file under another kind of name: a mirror may give one.
///
/// # Errors
/// When the file cannot be read.
pub fn cached_problem(file: &Path) -> std::io::Result<Option<String>> {
    let file = fs_err::canonicalize(file)?;
    let listed = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let hash = match (listed.len(), listed.bytes().all(|digit| digit.is_ascii_hexdigit())) {
        (64, true) => Hash::Sha256(listed),
        (40, true) => Hash::Git(listed),
        _ => return Ok(None),
    };
    hash.problem(&file)
}

fn git_hash(path: &Path) -> std::io::Result<String> {
    let content = fs_err::read(path)?;
    let mut hasher = Sha1::new();
    hasher.update(format!("blob {}\0", content.len()));
    hasher.update(content);
    Ok(format!("{:x}", hasher.finalize()))
}

/// Brings the file, from where an earlier try ended, as often as the options say.
async fn fetch(
    api: &Api,
    repository: &Repository,
    commit: &str,
    entry: &Entry,
    part: &Path,
    on: &mut dyn FnMut(&str),
) -> Result<(), Broken> {
    let mut wait = api.wait;
    for attempt in 1.. {
        let here = if part.is_file() { fs_err::metadata(part)?.len() } else { 0 };
        match stream(api, repository, commit, entry, part, here, on).await {
            Err(Broken::Unreachable { what, problem }) if attempt < api.tries => {
                tracing::info!(what, problem, attempt, "going on");
                if !wait.is_zero() {
                    tokio::time::sleep(wait).await;
                }
                wait = wait.saturating_mul(2).min(LONGEST_WAIT);
            }
            ended => return ended,
        }
    }
    unreachable!("the last try returns")
}

async fn stream(
    api: &Api,
    repository: &Repository,
    commit: &str,
    entry: &Entry,
    part: &Path,
    here: u64,
    on: &mut dyn FnMut(&str),
) -> Result<(), Broken> {
    let what = format!("fetching {} of {repository}", entry.path);
    let from = if here > entry.size { 0 } else { here };
    if here == entry.size && part.is_file() {
        return Ok(());
    }
    let parts: Vec<&str> = ["resolve", commit].into_iter().chain(entry.path.split('/')).collect();
    let mut response = open(api, &what, api.files(repository, &parts), from, time_for(entry.size - from)).await?;
    // Who does not know ranges begins at the beginning.
    let goes_on = from > 0 && response.status() == StatusCode::PARTIAL_CONTENT;
    let mut file = match goes_on {
        true => OpenOptions::new().append(true).open(part)?,
        false => File::create(part)?,
    };
    let mut bytes = if goes_on { from } else { 0 };
    loop {
        let piece = response.chunk().await;
        let piece =
            piece.map_err(|error| Broken::Unreachable { what: what.clone(), problem: super::api::reason(&error) });
        let Some(piece) = piece? else { break };
        let before = bytes / BYTES_BETWEEN_WORDS;
        bytes += piece.len() as u64;
        if bytes > entry.size {
            return Err(Broken::Unreadable {
                what,
                problem: format!("more came than the {} bytes listed", entry.size),
            });
        }
        file.write_all(&piece)?;
        if bytes / BYTES_BETWEEN_WORDS > before {
            on(&format!("fetching {} ({} of {} MB)", entry.path, bytes / 1_000_000, entry.size / 1_000_000));
        }
    }
    file.sync_all()?;
    if bytes < entry.size {
        return Err(Broken::Unreachable { what, problem: format!("{bytes} of {} bytes came", entry.size) });
    }
    Ok(())
}

/// Asks the hub for a file, and the storage it sends us to, which is not shown the token.
async fn open(api: &Api, what: &str, url: Url, from: u64, time: Duration) -> Result<Response, Broken> {
    let ranged = |request: RequestBuilder| match from {
        0 => request.timeout(time),
        from => request.timeout(time).header(RANGE, format!("bytes={from}-")),
    };
    let answers = |status: StatusCode| status.is_success() || status.is_redirection();
    let mut response = api.send_for(what, answers, async || Ok(ranged(api.request(Method::GET, url.clone())))).await?;
    for _ in 0..MOST_REDIRECTIONS {
        if response.status().is_success() {
            return Ok(response);
        }
        let to = response.headers().get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or_default();
        let to = api.storage(what, to)?;
        response = api.send_for(what, answers, async || Ok(ranged(api.bare(Method::GET, to.clone())))).await?;
    }
    Err(Broken::Unreadable { what: what.to_owned(), problem: "it is sent on and on".to_owned() })
}

impl Api {
    /// The commit that a branch, a tag or a commit's id stands for.
    async fn commit_of(&self, repository: &Repository, revision: &str) -> Result<String, Broken> {
        let what = format!("looking at {repository} (revision {revision})");
        let url = self.api(repository, &["revision", revision]);
        let info: Info = self.json(&what, async || Ok(self.request(Method::GET, url.clone()))).await?;
        info.sha.ok_or_else(|| Broken::Unreadable { what, problem: "it has no commit".to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_below_the_directory_are_taken() {
        for name in ["README.md", "data/train-00000.parquet", "a b/ü", "..a", ".gitattributes", "a:b"] {
            assert!(lies_inside(name), "{name}");
        }
        for name in [
            "",
            "..",
            "../x",
            "a/../../x",
            "a/../b",
            "/etc/passwd",
            "./x",
            "a/./b",
            "a//b",
            "a/",
            "a\\..\\x",
            "a\nb",
            "a\0",
        ] {
            assert!(!lies_inside(name), "{name}");
        }
    }

    #[test]
    fn a_small_file_is_known_as_git_knows_it() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("x");
        fs_err::write(&path, "hello\n").expect("writable");
        // `echo hello | git hash-object --stdin`
        assert_eq!(git_hash(&path).expect("readable"), "ce013625030ba8dba906f756967f9e9ca394464a");
    }
}
