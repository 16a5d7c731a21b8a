//! One thread that owns the file: what arrives while it syncs goes into the next group, and a group costs one fsync.

use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use fs_err::{File, OpenOptions};
use tokio::sync::{mpsc, oneshot};

use super::lines::{MAX_GROUP_BYTES, header_line};
use crate::LlmError;

/// Lines that may wait for the next group before senders wait too.
const QUEUE: usize = 1024;

/// A group is gathered for this long for each line of the one before, up to the most. Each group wakes threads and writes
/// to the disk, a third of a call's processor time where thousands arrive in a second; where few do, the wait would cost
/// more than it saves, and a line that comes alone waits for nothing.
const GATHER_A_LINE: Duration = Duration::from_micros(70);
const MOST_GATHERED: Duration = Duration::from_millis(6);

/// How often, and how far apart, a lock is tried for that somebody holds.
const LOCK_TRIES: u32 = 20;
const LOCK_WAIT: Duration = Duration::from_millis(10);

struct Submission {
    line: Vec<u8>,
    /// Whoever waits for it; nobody waits for a note.
    durable: Option<oneshot::Sender<Result<u64, LlmError>>>,
}

/// The sending end of the thread.
#[derive(Debug)]
pub(super) struct Writer {
    // Both are `None` only while it is dropped.
    queue: Option<mpsc::Sender<Submission>>,
    thread: Option<JoinHandle<()>>,
    path: PathBuf,
}

/// Opens the file, new or not.
pub(super) fn open(path: &Path) -> Result<File, LlmError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    options.open(path).map_err(|source| LlmError::io(path, source))
}

/// Takes the file's lock, which lasts until what is returned is closed. The lock is a file of its own, since compaction
/// puts another file in the place of the one that is locked.
pub(super) fn lock(path: &Path) -> Result<File, LlmError> {
    let file = open(&path.with_extension("lock"))?;
    for again in (0..LOCK_TRIES).rev() {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            // A process that is about to end, or a child between its fork and its exec, holds it for a moment more.
            Err(std::fs::TryLockError::WouldBlock) if again > 0 => std::thread::sleep(LOCK_WAIT),
            Err(std::fs::TryLockError::WouldBlock) => break,
            Err(std::fs::TryLockError::Error(source)) => return Err(LlmError::io(path, source)),
        }
    }
    Err(LlmError::LedgerLocked { path: path.to_owned() })
}

impl Writer {
    /// Cuts the file to its sound bytes and starts the thread.
    pub fn start(file: File, path: PathBuf, sound_bytes: u64) -> Result<Self, LlmError> {
        let mut end = End { file, path: path.clone(), durable_bytes: sound_bytes, lost: None };
        end.cut_back().map_err(|source| LlmError::io(&path, source))?;
        if sound_bytes == 0 {
            end.write(&header_line())?;
            // A new file is durable only once its directory is.
            let parent = path.parent().unwrap_or(Path::new("."));
            File::open(parent).and_then(|parent| parent.sync_all()).map_err(|source| LlmError::io(parent, source))?;
        }
        let (queue, submissions) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || run(submissions, end))
            .map_err(|source| LlmError::io(&path, source))?;
        Ok(Self { queue: Some(queue), thread: Some(thread), path })
    }

    /// Appends a line; returns where it starts, once it is durable.
    pub async fn append(&self, line: Vec<u8>) -> Result<u64, LlmError> {
        self.append_placed(line, || {}).await
    }

    /// The same; `placed` is called once the line has its place, before all that is appended from then on.
    pub async fn append_placed(&self, line: Vec<u8>, placed: impl FnOnce()) -> Result<u64, LlmError> {
        let gone = || LlmError::io(&self.path, std::io::Error::other("the thread that writes it has ended"));
        let queue = self.queue.as_ref().ok_or_else(gone)?;
        let (durable, acknowledged) = oneshot::channel();
        queue.send(Submission { line, durable: Some(durable) }).await.map_err(|_| gone())?;
        placed();
        acknowledged.await.map_err(|_| gone())?
    }

    /// Appends a line that nobody waits for, with the next group; where too many lines wait already, it is left out.
    pub fn note(&self, line: Vec<u8>) {
        if let Some(queue) = &self.queue {
            queue.try_send(Submission { line, durable: None }).ok();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Closing the queue ends the thread once what it holds is written, and the thread closes the file.
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!(path = %self.path.display(), "the thread that writes the ledger panicked");
        }
    }
}

fn run(mut submissions: mpsc::Receiver<Submission>, mut end: End) {
    let (mut group, mut bytes) = (Vec::new(), Vec::new());
    let mut last = 0;
    while let Some(first) = submissions.blocking_recv() {
        bytes.clear();
        bytes.extend_from_slice(&first.line);
        group.push(first);
        if last > 1 {
            std::thread::sleep(GATHER_A_LINE.saturating_mul(last).min(MOST_GATHERED));
        }
        while (bytes.len() as u64) < MAX_GROUP_BYTES / 2
            && let Ok(next) = submissions.try_recv()
        {
            bytes.extend_from_slice(&next.line);
            group.push(next);
        }
        last = u32::try_from(group.len()).unwrap_or(u32::MAX);
        let mut offset = end.durable_bytes;
        let written = end.write(&bytes);
        for submission in group.drain(..) {
            let length = submission.line.len() as u64;
            // Whoever asked may have given up waiting; the line is durable all the same.
            if let Some(durable) = submission.durable {
                durable.send(written.clone().map(|()| offset)).ok();
            }
            offset += length;
        }
    }
}

/// The end of the file, where groups go.
struct End {
    file: File,
    path: PathBuf,
    durable_bytes: u64,
    lost: Option<LlmError>,
}

impl End {
    fn write(&mut self, bytes: &[u8]) -> Result<(), LlmError> {
        if let Some(lost) = &self.lost {
            return Err(lost.clone());
        }
        if let Err(source) = self.file.write_all(bytes) {
            let error = LlmError::io(&self.path, source);
            // Half a group must not stay in the middle of what follows.
            if self.cut_back().is_err() {
                self.lost = Some(error.clone());
            }
            return Err(error);
        }
        if let Err(source) = self.file.sync_data() {
            // After a failed fsync nobody knows what is on disk: write nothing more through this file.
            let error = LlmError::io(&self.path, source);
            self.lost = Some(error.clone());
            return Err(error);
        }
        self.durable_bytes += bytes.len() as u64;
        Ok(())
    }

    fn cut_back(&mut self) -> Result<(), std::io::Error> {
        self.file.set_len(self.durable_bytes)?;
        self.file.seek(SeekFrom::Start(self.durable_bytes))?;
        Ok(())
    }
}
