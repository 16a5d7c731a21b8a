//! Files and directories that appear whole or not at all: write to a temporary name, fsync, rename; the manifest last.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::{Manifest, SchemaError};

/// What the temporary names of [`write_atomically`] begin with: a process that was killed may have left one.
pub const PARTIAL_FILE_PREFIX: &str = ".partial-";

/// Writes `bytes` to `path` through a temporary name beside it.
///
/// # Errors
/// When the directory cannot be written.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), SchemaError> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(PARTIAL_FILE_PREFIX)
        .tempfile_in(parent)
        .map_err(|source| naming(path, source))?;
    file.write_all(bytes).map_err(|source| naming(path, source))?;
    file.as_file().sync_all().map_err(|source| naming(path, source))?;
    // A temporary file is private to its owner; what we publish follows the usual rule.
    set_default_permissions(file.path())?;
    file.persist(path).map_err(|source| naming(path, source.error))?;
    sync_directory(parent)
}

fn naming(path: &Path, source: std::io::Error) -> std::io::Error {
    std::io::Error::new(source.kind(), format!("failed to write {}: {source}", path.display()))
}

#[cfg(unix)]
fn set_default_permissions(path: &Path) -> Result<(), SchemaError> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o644))?)
}

#[cfg(not(unix))]
fn set_default_permissions(_path: &Path) -> Result<(), SchemaError> {
    Ok(())
}

fn sync_directory(path: &Path) -> Result<(), SchemaError> {
    // A rename is durable only once its directory is.
    fs_err::File::open(path)?.sync_all()?;
    Ok(())
}

/// A stage's directory under construction: files are written into a hidden sibling, which takes the final name when
/// the manifest is complete. What stood there before stays until then.
#[derive(Debug)]
pub struct StageDir {
    partial: PathBuf,
    target: PathBuf,
}

impl StageDir {
    /// Starts `run_dir/name` anew; leftovers of an interrupted attempt are removed.
    ///
    /// # Errors
    /// When the directories cannot be made.
    pub fn begin(run_dir: &Path, name: &str) -> Result<Self, SchemaError> {
        let partial = run_dir.join(format!(".{name}.partial"));
        if partial.exists() {
            fs_err::remove_dir_all(&partial)?;
        }
        fs_err::create_dir_all(&partial)?;
        Ok(Self { partial, target: run_dir.join(name) })
    }

    /// Where to write.
    pub fn path(&self) -> &Path {
        &self.partial
    }

    /// Writes the manifest and puts the directory in place. Returns its final path.
    ///
    /// # Errors
    /// When the counts do not balance or a rename fails; the earlier directory is then still in place or in `.old`.
    pub fn commit(self, manifest: &Manifest) -> Result<PathBuf, SchemaError> {
        manifest.write(&self.partial)?;
        let parent = self.target.parent().unwrap_or(Path::new(".")).to_owned();
        let name = self.target.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let old = parent.join(format!(".{name}.old"));
        if old.exists() {
            fs_err::remove_dir_all(&old)?;
        }
        if self.target.exists() {
            fs_err::rename(&self.target, &old)?;
        }
        fs_err::rename(&self.partial, &self.target)?;
        sync_directory(&parent)?;
        if old.exists() {
            fs_err::remove_dir_all(&old)?;
        }
        Ok(self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_replaces_the_earlier_one_only_when_it_is_whole() {
        let run = tempfile::tempdir().expect("a temporary directory");
        let first = StageDir::begin(run.path(), "corpus").expect("writable");
        write_atomically(&first.path().join("a"), b"1").expect("writable");
        let target = first.commit(&Manifest::new("ingest", "1".to_owned(), "article")).expect("committed");

        let second = StageDir::begin(run.path(), "corpus").expect("writable");
        write_atomically(&second.path().join("a"), b"2").expect("writable");
        assert_eq!(fs_err::read(target.join("a")).expect("still there"), b"1");
        let mut unbalanced = Manifest::new("ingest", "2".to_owned(), "article");
        unbalanced.counts.input = 1;
        assert!(second.commit(&unbalanced).is_err());
        assert_eq!(fs_err::read(target.join("a")).expect("still there"), b"1");

        let third = StageDir::begin(run.path(), "corpus").expect("writable");
        write_atomically(&third.path().join("a"), b"3").expect("writable");
        third.commit(&Manifest::new("ingest", "3".to_owned(), "article")).expect("committed");
        assert_eq!(fs_err::read(target.join("a")).expect("replaced"), b"3");
        assert!(!run.path().join(".corpus.old").exists());
    }
}
