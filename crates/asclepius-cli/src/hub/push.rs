//! A push: what the repository has already stays, what differs goes, and one commit names it all.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::api::{Entry, Info, small_file};
use super::{Api, Broken, File, Measured, Repository, large};

/// What is to lie in a repository.
#[derive(Debug)]
pub struct Push<'a> {
    /// Where.
    pub repository: &'a Repository,
    /// The files. Others that are there stay.
    pub files: &'a [File],
    /// Files that another push of the same may have left, and that must not lie beside these.
    pub is_left_over: fn(&str) -> bool,
    /// Whether everybody may see it.
    pub public: bool,
    /// Look, and change nothing.
    pub dry_run: bool,
    /// What the commit says.
    pub summary: &'a str,
}

/// What came of a push, or would.
#[derive(Debug, Default)]
pub struct Pushed {
    /// The repository was not there.
    pub created: bool,
    /// Whether everybody can see it.
    pub public: bool,
    /// Files that differed, with their bytes.
    pub changed: BTreeMap<String, u64>,
    /// Files that were there, with their bytes.
    pub unchanged: BTreeMap<String, u64>,
    /// Files that were removed.
    pub removed: BTreeSet<String>,
    /// Of the changed, those whose bytes the storage already had.
    pub known_to_storage: u64,
    /// The commit that holds all of it; none where there is nothing to commit, or nothing is to be changed.
    pub commit: Option<String>,
}

/// Why a push ended.
#[derive(Debug)]
pub enum Stopped {
    /// It did not come about.
    Broken(Broken),
    /// Everybody can see the repository, and nobody said so.
    IsPublic,
    /// The hub made it visible to everybody although it was asked not to.
    MadePublic,
    /// The repository's own rules leave this file out.
    Ignored(String),
    /// Somebody else committed in between.
    Overtaken,
}

impl From<Broken> for Stopped {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

/// Makes the repository hold the files. `on` is told each file as it is looked at, sent or committed, in few words.
///
/// # Errors
/// See [`Stopped`]. Large files that were sent stay with the storage: the next push does not send them again.
pub async fn push(api: &Api, push: &Push<'_>, on: &mut dyn FnMut(&str)) -> Result<Pushed, Stopped> {
    let measured: Vec<Measured<'_>> =
        push.files.iter().map(Measured::of).collect::<Result<_, _>>().map_err(Broken::from)?;
    let mut pushed = Pushed { public: push.public, ..Pushed::default() };
    let info = match api.info(push.repository).await? {
        Some(info) if !info.private && !push.public => return Err(Stopped::IsPublic),
        Some(info) => {
            pushed.public = !info.private;
            info
        }
        None => {
            pushed.created = true;
            if push.dry_run {
                pushed.changed = measured.iter().map(|file| (file.name().to_owned(), file.bytes)).collect();
                return Ok(pushed);
            }
            created(api, push).await?
        }
    };
    let difference = Difference::between(api, push, &measured, &info, on).await?;
    pushed.changed = difference.changed.iter().map(|file| (file.name().to_owned(), file.bytes)).collect();
    pushed.unchanged = difference.unchanged.iter().map(|file| (file.name().to_owned(), file.bytes)).collect();
    pushed.removed.clone_from(&difference.left_over);
    if push.dry_run || difference.is_none() {
        return Ok(pushed);
    }
    let modes = api.modes(push.repository, &difference.changed).await?;
    let with_modes = || difference.changed.iter().copied().zip(&modes);
    if let Some((file, _)) = with_modes().find(|(_, mode)| mode.should_ignore) {
        return Err(Stopped::Ignored(file.name().to_owned()));
    }
    // Storage takes no empty object.
    let is_large = |file: &Measured<'_>, mode: &str| mode == "lfs" && file.bytes > 0;
    let large: Vec<&Measured<'_>> =
        with_modes().filter(|(file, mode)| is_large(file, &mode.manner)).map(|(file, _)| file).collect();
    let sent = large::bring(api, push.repository, &large, &mut |file| on(&format!("sent {}", file.name()))).await?;
    pushed.known_to_storage = (large.len() - sent) as u64;
    let mut lines: Vec<Value> = Vec::new();
    for (file, mode) in with_modes() {
        lines.push(match is_large(file, &mode.manner) {
            true => {
                let value = json!({ "path": file.name(), "algo": "sha256", "oid": file.sha256, "size": file.bytes });
                json!({ "key": "lfsFile", "value": value })
            }
            false => small_file(file.name(), &file.read().map_err(Broken::from)?),
        });
    }
    let removed = difference.left_over.iter().map(|path| json!({ "key": "deletedFile", "value": { "path": path } }));
    lines.extend(removed);
    on("committing");
    pushed.commit = match api.commit(push.repository, push.summary, info.sha.as_deref(), &lines).await {
        Ok(commit) => Some(commit),
        Err(Broken::Refused { status: StatusCode::PRECONDITION_FAILED | StatusCode::CONFLICT, .. }) => {
            // It may have been our own, whose answer was lost.
            let now = api.info(push.repository).await?.filter(|now| now.sha != info.sha);
            let Some(now) = now else { return Err(Stopped::Overtaken) };
            match Difference::between(api, push, &measured, &now, on).await?.is_none() {
                true => now.sha,
                false => return Err(Stopped::Overtaken),
            }
        }
        Err(broken) => return Err(broken.into()),
    };
    Ok(pushed)
}

/// Makes the repository, and looks whether it is seen by whom it should be before anything is sent.
async fn created(api: &Api, push: &Push<'_>) -> Result<Info, Stopped> {
    api.create(push.repository, push.public).await?;
    let what = format!("looking at {} after it was made", push.repository);
    let info = api.info(push.repository).await?;
    let info = info.ok_or_else(|| Broken::Unreadable { what, problem: "it is not there".to_owned() })?;
    if !info.private && !push.public { Err(Stopped::MadePublic) } else { Ok(info) }
}

/// The files against what a commit holds.
struct Difference<'a> {
    changed: Vec<&'a Measured<'a>>,
    unchanged: Vec<&'a Measured<'a>>,
    left_over: BTreeSet<String>,
}

impl<'a> Difference<'a> {
    async fn between(
        api: &Api,
        push: &Push<'_>,
        files: &'a [Measured<'a>],
        info: &Info,
        on: &mut dyn FnMut(&str),
    ) -> Result<Self, Broken> {
        let there = match &info.sha {
            Some(commit) => api.tree(push.repository, commit).await?,
            None => BTreeMap::new(),
        };
        let mut found = Self { changed: Vec::new(), unchanged: Vec::new(), left_over: BTreeSet::new() };
        for file in files {
            on(&format!("comparing {}", file.name()));
            let same = match (there.get(file.name()), &info.sha) {
                (Some(entry), Some(commit)) => is_same(api, push.repository, commit, file, entry).await?,
                _ => false,
            };
            if same { found.unchanged.push(file) } else { found.changed.push(file) }
        }
        let ours = |path: &&String| files.iter().any(|file| file.name() == path.as_str());
        found.left_over =
            there.keys().filter(|path| (push.is_left_over)(path)).filter(|path| !ours(path)).cloned().collect();
        Ok(found)
    }

    fn is_none(&self) -> bool {
        self.changed.is_empty() && self.left_over.is_empty()
    }
}

/// Large files are told apart by their SHA-256, which the hub lists. Of small ones it lists Git's own hash, so those of
/// the same length are read.
async fn is_same(
    api: &Api,
    repository: &Repository,
    commit: &str,
    file: &Measured<'_>,
    entry: &Entry,
) -> Result<bool, Broken> {
    if let Some(large) = &entry.lfs {
        return Ok(large.oid == file.sha256);
    }
    if entry.size != file.bytes {
        return Ok(false);
    }
    Ok(api.content(repository, commit, file.name(), file.bytes).await? == file.read()?)
}
