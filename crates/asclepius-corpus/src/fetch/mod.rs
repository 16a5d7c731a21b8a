//! Articles from PubMed Central's public bucket: named by id, or found by walking its metadata.
//!
//! The bucket is read without an account. Requests follow each other, at a rate; a file that was begun is taken up where it
//! broke off, and counts only once its MD5 is what the metadata says. Nothing but the bucket's own address is ever asked.

mod bucket;
mod place;
mod tally;

use std::path::{Path, PathBuf};
use std::time::Duration;

use asclepius_schema::Licence;

use crate::archive::says_nothing;
use crate::licence::class_of_label;
use bucket::{Bucket, Got};
pub use place::Version;
use place::{Place, metadata_key};
pub use tally::Tally;

/// The address of PubMed Central's public bucket, as the National Library of Medicine gives it (`pmc-oa-opendata` in
/// `us-east-1`).
pub const PUBLIC_BUCKET: &str = "https://pmc-oa-opendata.s3.amazonaws.com";

/// What is fetched, from where, and how fast.
#[derive(Debug, Clone)]
pub struct FetchConfig {
    /// The bucket's address, without a trailing slash.
    pub endpoint: String,
    /// Where the bucket's layout is rebuilt: `metadata/` and one folder a version.
    pub out: PathBuf,
    /// Articles asked for, every version of those without one; empty: all that the metadata lists.
    pub articles: Vec<Version>,
    /// Metadata with another licence code, or none, is kept but its article is not fetched.
    pub licences: Vec<Licence>,
    /// Stop once this many articles have been looked at.
    pub limit: Option<usize>,
    /// The least time between two requests.
    pub interval: Duration,
    /// Tries of one request, and the wait after the first that failed; it doubles.
    pub tries: u32,
    /// See `tries`.
    pub wait: Duration,
}

/// Why an article was not fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Skipped {
    /// Its licence code is not among those asked for, or there is none: null is not open.
    Licence,
    /// It was retracted.
    Retracted,
    /// The bucket has no such article.
    Absent,
    /// Its metadata cannot be read or names no XML of the article.
    Metadata,
    /// What arrived is not what its MD5 says.
    Checksum,
    /// The bucket did not answer, or with an error.
    Unreachable,
}

impl Skipped {
    /// Every reason.
    pub const ALL: [Self; 6] =
        [Self::Licence, Self::Retracted, Self::Absent, Self::Metadata, Self::Checksum, Self::Unreachable];

    /// The code in summaries and in the list of what was not fetched.
    pub fn code(self) -> &'static str {
        match self {
            Self::Licence => "licence_not_admitted",
            Self::Retracted => "retracted",
            Self::Absent => "absent",
            Self::Metadata => "metadata_unreadable",
            Self::Checksum => "checksum",
            Self::Unreachable => "unreachable",
        }
    }

    /// Whether asking again later may bring it.
    pub fn is_pending(self) -> bool {
        matches!(self, Self::Checksum | Self::Unreachable)
    }
}

/// What became of one article.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// It is there now; so many bytes were fetched for it.
    New(u64),
    /// It was there already, whole.
    Known,
    /// It is not there, and why.
    Skipped(Skipped, String),
}

/// What stops fetching altogether.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The address is none.
    #[error("the bucket's address {address:?}: {problem}")]
    Address {
        /// As given.
        address: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The bucket's listing could not be read, so nothing is known of what it holds.
    #[error("the bucket's listing after {after:?}: {problem}")]
    Listing {
        /// The last key that was listed.
        after: String,
        /// What is wrong.
        problem: String,
    },
    /// A file could not be written; the message names it.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Fetches what is asked for and tells `on` of every article, in order; `on` returns whether to go on.
///
/// # Errors
/// When the address is none, the listing fails, or a file cannot be written. An article that fails is told, and the
/// next one fetched; what is there already is not fetched again, so that running anew takes up where a run ended.
pub async fn fetch(config: &FetchConfig, on: &mut dyn FnMut(&Version, &Fetched) -> bool) -> Result<(), FetchError> {
    let mut bucket = Bucket::new(&config.endpoint, config.interval, config.tries, config.wait)?;
    let mut seen = 0;
    let mut wanted = config.articles.iter();
    let mut walk = String::new();
    let mut ready: Vec<Version> = Vec::new();
    let walking = config.articles.is_empty();
    loop {
        if config.limit.is_some_and(|limit| seen >= limit) {
            return Ok(());
        }
        let Some(version) = ready.pop() else {
            // More names: of the next article, or of the next page.
            if walking {
                let page = bucket.list("metadata/PMC", &walk).await?;
                let Some(last) = page.last() else { return Ok(()) };
                walk.clone_from(last);
                ready.extend(page.iter().rev().filter_map(|key| Version::of_key(key)));
            } else {
                let Some(next) = wanted.next() else { return Ok(()) };
                if next.version.is_some() {
                    ready.push(*next);
                } else {
                    let page = bucket.list(&format!("metadata/PMC{}.", next.article), "").await?;
                    ready.extend(page.iter().rev().filter_map(|key| Version::of_key(key)));
                    if ready.is_empty() {
                        seen += 1;
                        let absent = Fetched::Skipped(Skipped::Absent, "no version of it is listed".to_owned());
                        if !on(next, &absent) {
                            return Ok(());
                        }
                    }
                }
            }
            continue;
        };
        seen += 1;
        let fetched = one(&mut bucket, config, &version).await?;
        if !on(&version, &fetched) {
            return Ok(());
        }
    }
}

async fn one(bucket: &mut Bucket, config: &FetchConfig, version: &Version) -> Result<Fetched, FetchError> {
    let skip = |why, detail: String| Ok(Fetched::Skipped(why, detail));
    let stem = version.stem();
    let kept = config.out.join("metadata").join(format!("{stem}.json"));
    let bytes = match fs_err::read(&kept) {
        Ok(bytes) => bytes,
        Err(_) => match bucket.get(&metadata_key(version)).await {
            Got::Bytes(bytes) => {
                write(&kept, &bytes)?;
                bytes
            }
            Got::Absent => return skip(Skipped::Absent, "there is no metadata of it".to_owned()),
            Got::Failed(problem) => return skip(Skipped::Unreachable, problem),
        },
    };
    let place = match Place::parse(&bytes, version) {
        Ok(place) => place,
        Err(problem) => {
            // Asked for anew the next time.
            fs_err::remove_file(&kept)?;
            return skip(Skipped::Metadata, problem);
        }
    };
    if place.retracted {
        return skip(Skipped::Retracted, "its metadata says so".to_owned());
    }
    let code = place.licence.unwrap_or_default();
    let class = Some(code.as_str()).filter(|code| !says_nothing(code)).and_then(class_of_label);
    if !class.is_some_and(|class| config.licences.contains(&class)) {
        let named = if code.is_empty() { "no licence code" } else { code.as_str() };
        return skip(Skipped::Licence, named.to_owned());
    }
    let target = config.out.join(&stem).join(format!("{stem}.xml"));
    if target.exists() && place.md5.as_deref().is_none_or(|md5| md5_of(&target).is_ok_and(|found| found == md5)) {
        return Ok(Fetched::Known);
    }
    download(bucket, &place.key, place.md5.as_deref(), &target).await
}

/// Fetches an object beside its target, taking up what is there, and gives it its name once it is whole.
async fn download(bucket: &mut Bucket, key: &str, md5: Option<&str>, target: &Path) -> Result<Fetched, FetchError> {
    let part = target.with_extension("xml.part");
    if let Some(folder) = target.parent() {
        fs_err::create_dir_all(folder)?;
    }
    // A part of another version of the object would not match: then once more from the beginning.
    for anew in [false, true] {
        if anew {
            fs_err::remove_file(&part)?;
        }
        let (bytes, tag) = match bucket.get_into(key, &part).await? {
            Ok(done) => done,
            Err(Got::Absent) => {
                return Ok(Fetched::Skipped(Skipped::Absent, format!("there is no {key}")));
            }
            Err(Got::Failed(problem)) => return Ok(Fetched::Skipped(Skipped::Unreachable, problem)),
            Err(Got::Bytes(_)) => (0, None),
        };
        // S3's tag of an object that was stored in one piece is its MD5.
        let tag = tag.filter(|tag| place::is_md5(tag));
        let Some(expected) = md5.map(str::to_owned).or(tag) else {
            return Ok(Fetched::Skipped(Skipped::Checksum, format!("nothing says what the MD5 of {key} is")));
        };
        if md5_of(&part)? == expected {
            fs_err::File::open(&part)?.sync_all()?;
            fs_err::rename(&part, target)?;
            return Ok(Fetched::New(bytes));
        }
    }
    fs_err::remove_file(&part)?;
    Ok(Fetched::Skipped(Skipped::Checksum, format!("the MD5 of {key} is not what its metadata says")))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), FetchError> {
    if let Some(folder) = path.parent() {
        fs_err::create_dir_all(folder)?;
    }
    let part = path.with_extension("json.part");
    fs_err::write(&part, bytes)?;
    Ok(fs_err::rename(part, path)?)
}

fn md5_of(path: &Path) -> Result<String, std::io::Error> {
    use md5::Digest;
    let mut digest = md5::Md5::new();
    let mut file = fs_err::File::open(path)?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = std::io::Read::read(&mut file, &mut buffer)?;
        if read == 0 {
            break;
        }
        digest.update(&buffer[..read]);
    }
    Ok(format!("{:032x}", u128::from_be_bytes(digest.finalize().into())))
}
