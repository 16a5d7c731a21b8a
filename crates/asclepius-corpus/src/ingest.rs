//! The pass over the corpus: every article gets exactly one outcome, in the order of the sources, and after it one for
//! each part of it that is left out.
//!
//! One thread reads and cuts files into articles, the threads of the pool judge them, and the caller's thread takes
//! the results in their order and holds each against those before it. What is under way is bounded in number and in
//! bytes, so that the corpus may be of any size.

use std::cell::RefCell;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use asclepius_schema::{ArticleId, Dropped, Fingerprint, Reason, Report};
use flate2::read::MultiGzDecoder;
use fs_err::File;

use crate::archive::{FileList, Metadata, metadata_of};
use crate::evaluation::EvaluationSets;
use crate::judge::{Judged, Passed, Verdict, judge, unreadable};
use crate::seen::Seen;
use crate::source::{article_kind, file_lists};
use crate::split::{ARTICLE_BYTES, Raw, Split};
use crate::{CorpusConfig, CorpusError, Source, SourceKind, pmc_patients, sources};

/// Raised whenever the rules read the same article differently, so that finished stages are made anew.
const RULES: u32 = 6;
/// Articles judged or waiting, for each thread.
const QUEUED: usize = 16;
/// Bytes of articles judged or waiting.
const QUEUED_BYTES: usize = 2 * ARTICLE_BYTES;

/// What became of one article.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It passed every gate.
    Admitted {
        /// The article.
        article_id: ArticleId,
        /// Its patients, in the article's order; at least one.
        reports: Vec<Report>,
        /// Patients of it whose own text was too short, by report id.
        skipped: Vec<Dropped>,
    },
    /// It did not, or could not be read.
    Dropped(Dropped),
    /// Not an article but a part of the one before: a translation or reply printed inside it, which is not read, or a
    /// table or figure that others hold the rights to. Counted beside articles, of those read to their end.
    PartDropped(Dropped),
}

/// Adds to `fingerprint` everything that can change what [`ingest`] yields: the rules, the settings and every byte of
/// the inputs with their names below the configured paths.
///
/// # Errors
/// As [`sources`], and when a file cannot be read.
pub fn fingerprint_inputs(config: &CorpusConfig, fingerprint: Fingerprint) -> Result<Fingerprint, CorpusError> {
    let mut fingerprint = fingerprint
        .setting("rules", &RULES)
        .setting("licences", &config.licences)
        .setting("limit", &config.limit)
        .setting("min_words", &config.min_words)
        .setting("near_duplicate", &config.near_duplicate);
    for source in sources(config)? {
        fingerprint = fingerprint.bytes("name", source.name.as_bytes()).file("content", &source.path)?;
        if let Ok(Some(metadata)) = metadata_of(&source.path) {
            fingerprint = fingerprint.bytes("metadata", format!("{metadata:?}").as_bytes());
        }
    }
    for path in file_lists(config)?.iter().chain(&config.evaluation_sets) {
        fingerprint = fingerprint.file("list", path)?;
    }
    Ok(fingerprint)
}

/// Reads every source and hands each article's outcome to `on`. `progress` is told bytes of source files done and in
/// total, after every article.
///
/// # Errors
/// When a source is missing or of no readable kind, or when `on` fails. An article that cannot be read is an outcome,
/// not an error.
pub fn ingest(
    config: &CorpusConfig,
    on: &mut dyn FnMut(Outcome) -> Result<(), CorpusError>,
    progress: &dyn Fn(u64, u64),
) -> Result<(), CorpusError> {
    config.validate()?;
    let sources = sources(config)?;
    let total = sources.iter().map(|source| source.bytes).sum();
    let mut lists = FileList::default();
    for path in file_lists(config)? {
        lists.read(&path)?;
    }
    let read = |queue: &Queue<'_, '_>| -> Result<(), Stop> {
        for source in &sources {
            let before = queue.taken.load(Ordering::Relaxed);
            queue.source(source)?;
            queue.taken.store(before + source.bytes, Ordering::Relaxed);
        }
        Ok(())
    };
    pass(config, &lists, &read, on, &|done| progress(done.min(total), total))
}

/// The same for one source that is no file: `name` stands in records and reasons.
///
/// # Errors
/// As [`ingest`]; a table's header that is none.
pub fn ingest_reader(
    config: &CorpusConfig,
    name: &str,
    kind: SourceKind,
    reader: impl Read + Send,
    on: &mut dyn FnMut(Outcome) -> Result<(), CorpusError>,
) -> Result<(), CorpusError> {
    config.validate()?;
    let reader = Mutex::new(Some(reader));
    let read = |queue: &Queue<'_, '_>| -> Result<(), Stop> {
        let reader = reader.lock().unwrap_or_else(PoisonError::into_inner).take();
        let source = Source { path: name.into(), name: name.to_owned(), kind, bytes: 0 };
        reader.map_or(Ok(()), |reader| queue.reader(&source, reader, None))
    };
    pass(config, &FileList::default(), &read, on, &|_| ())
}

/// The same again on the caller's thread alone, an article at a time: for sources so small that handing them to other
/// threads would cost more than reading them.
///
/// # Errors
/// As [`ingest_reader`].
pub fn ingest_small(
    config: &CorpusConfig,
    name: &str,
    kind: SourceKind,
    bytes: &[u8],
    on: &mut dyn FnMut(Outcome) -> Result<(), CorpusError>,
) -> Result<(), CorpusError> {
    config.validate()?;
    let mut seen = Seen::new(config.near_duplicate, EvaluationSets::read(&config.evaluation_sets)?);
    let failed = RefCell::new(None);
    let take = RefCell::new(|verdict: Verdict| {
        settle_all(verdict, &mut seen, on).map_err(|error| {
            *failed.borrow_mut() = Some(error);
            Stop
        })
    });
    let (lists, budget, stopped) = (FileList::default(), Budget::default(), AtomicBool::new(false));
    let left = AtomicU64::new(config.limit.map_or(u64::MAX, |limit| limit as u64));
    let to = To::Here { take: &take, failed: &failed };
    let taken = Arc::new(AtomicU64::new(0));
    let queue = Queue { config, lists: &lists, to, left, budget: &budget, stopped: &stopped, taken };
    let source = Source { path: name.into(), name: name.to_owned(), kind, bytes: bytes.len() as u64 };
    // Why it stopped stands in `failed`, or no more was asked for.
    let _ = queue.reader(&source, bytes, None);
    failed.into_inner().map_or(Ok(()), Err)
}

/// Nobody wants any more, or no more is asked for.
struct Stop;

/// An article's place in the order of outcomes.
enum Slot {
    /// It is being judged.
    Judging(Receiver<Verdict>),
    Ready(Judged),
    Failed(CorpusError),
}

/// Bytes of articles under way.
#[derive(Default)]
struct Budget {
    used: Mutex<usize>,
    freed: Condvar,
}

impl Budget {
    fn take(&self, bytes: usize) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        while *used > 0 && *used + bytes > QUEUED_BYTES {
            used = self.freed.wait(used).unwrap_or_else(PoisonError::into_inner);
        }
        *used += bytes;
    }

    fn give(&self, bytes: usize) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) -= bytes;
        self.freed.notify_all();
    }
}

fn pass(
    config: &CorpusConfig,
    lists: &FileList,
    read: &(dyn Fn(&Queue<'_, '_>) -> Result<(), Stop> + Sync),
    on: &mut dyn FnMut(Outcome) -> Result<(), CorpusError>,
    progress: &dyn Fn(u64),
) -> Result<(), CorpusError> {
    let mut seen = Seen::new(config.near_duplicate, EvaluationSets::read(&config.evaluation_sets)?);
    let (sender, slots) = sync_channel(QUEUED * rayon::current_num_threads());
    let (budget, taken, stopped) = (Budget::default(), Arc::new(AtomicU64::new(0)), AtomicBool::new(false));
    let counted = Arc::clone(&taken);
    let (budget, stopped) = (&budget, &stopped);
    // The scope outlives the reader, which hands it work; it runs on this thread, not in the pool it waits for.
    rayon::in_place_scope(|scope| {
        std::thread::scope(|threads| {
            threads.spawn(move || {
                let left = AtomicU64::new(config.limit.map_or(u64::MAX, |limit| limit as u64));
                let queue = Queue { config, lists, to: To::Pool { scope, sender }, left, budget, stopped, taken };
                // Either the files are read or nobody listens: both end here.
                let _ = read(&queue);
            });
            let mut take = || -> Result<(), CorpusError> {
                for slot in &slots {
                    let verdict = match slot {
                        Slot::Ready(judged) => judged.into(),
                        Slot::Failed(error) => return Err(error),
                        Slot::Judging(verdict) => verdict.recv().map_err(|_| CorpusError::Judge)?,
                    };
                    settle_all(verdict, &mut seen, on)?;
                    progress(counted.load(Ordering::Relaxed));
                }
                Ok(())
            };
            let taken = take();
            stopped.store(true, Ordering::Relaxed);
            // A reader that waits for room is let go.
            drop(slots);
            taken
        })
    })
}

/// Hands on what became of an article, and of its parts.
fn settle_all(
    verdict: Verdict,
    seen: &mut Seen,
    on: &mut dyn FnMut(Outcome) -> Result<(), CorpusError>,
) -> Result<(), CorpusError> {
    on(settle(verdict.judged, seen))?;
    verdict.parts.into_iter().try_for_each(|part| on(Outcome::PartDropped(part)))
}

/// Holds an article against those before it.
fn settle(judged: Judged, seen: &mut Seen) -> Outcome {
    let passed = match judged {
        Judged::Dropped(dropped) => return Outcome::Dropped(dropped),
        Judged::Passed(passed) => passed,
    };
    match seen.admit(&passed) {
        Ok(()) => {
            let Passed { article_id, reports, skipped, .. } = passed;
            Outcome::Admitted { article_id, reports, skipped }
        }
        Err((reason, detail)) => {
            Outcome::Dropped(Dropped::new(passed.article_id.as_str(), reason, format!("{}: {detail}", passed.source)))
        }
    }
}

/// Who judges, and who takes what comes of it.
enum To<'q, 's> {
    /// The threads of the pool judge; the caller's takes, in order.
    Pool { scope: &'q rayon::Scope<'s>, sender: SyncSender<Slot> },
    /// Everything happens on this thread.
    Here { take: &'q RefCell<dyn FnMut(Verdict) -> Result<(), Stop> + 'q>, failed: &'q RefCell<Option<CorpusError>> },
}

/// The reading thread's side.
struct Queue<'q, 's> {
    config: &'s CorpusConfig,
    lists: &'s FileList,
    to: To<'q, 's>,
    /// How many more articles are asked for.
    left: AtomicU64,
    budget: &'s Budget,
    stopped: &'s AtomicBool,
    /// Bytes of source files read.
    taken: Arc<AtomicU64>,
}

/// Counts what is taken from a file, so that progress through an archive shows.
struct Counted<R> {
    inner: R,
    count: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.count.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

impl Queue<'_, '_> {
    /// Takes the next place in the order.
    fn place(&self) -> Result<(), Stop> {
        if self.stopped.load(Ordering::Relaxed) {
            return Err(Stop);
        }
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 {
            return Err(Stop);
        }
        self.left.store(left - 1, Ordering::Relaxed);
        Ok(())
    }

    fn ready(&self, judged: Judged) -> Result<(), Stop> {
        self.place()?;
        match &self.to {
            To::Pool { sender, .. } => sender.send(Slot::Ready(judged)).map_err(|_| Stop),
            To::Here { take, .. } => (take.borrow_mut())(judged.into()),
        }
    }

    fn unreadable(&self, name: &str, detail: &str) -> Result<(), Stop> {
        self.ready(Judged::Dropped(unreadable(name, detail)))
    }

    fn source(&self, source: &Source) -> Result<(), Stop> {
        let file = match File::open(&source.path) {
            Ok(file) => file,
            // The kind, not the message: that one names a path of this machine.
            Err(error) => return self.unreadable(&source.name, &error.kind().to_string()),
        };
        let metadata = match metadata_of(&source.path) {
            Ok(metadata) => metadata,
            Err(problem) => return self.unreadable(&source.name, &problem),
        };
        self.reader(source, Counted { inner: file, count: Arc::clone(&self.taken) }, metadata)
    }

    fn reader(&self, source: &Source, reader: impl Read, metadata: Option<Metadata>) -> Result<(), Stop> {
        let reader = BufReader::with_capacity(1 << 16, reader);
        match source.kind {
            SourceKind::Xml => self.articles(&source.name, reader, metadata),
            SourceKind::XmlGz => self.articles(&source.name, BufReader::new(MultiGzDecoder::new(reader)), metadata),
            SourceKind::TarGz => self.archive(&source.name, MultiGzDecoder::new(reader)),
            SourceKind::PmcPatientsCsv | SourceKind::PmcPatientsJson => self.table(source, reader),
        }
    }

    /// Members in the archive's order. Nothing is unpacked; a member that is a link or leads out of the archive is
    /// refused all the same, since what it would be is not what is in it.
    fn archive(&self, name: &str, reader: impl Read) -> Result<(), Stop> {
        let mut archive = tar::Archive::new(reader);
        let entries = match archive.entries() {
            Ok(entries) => entries,
            Err(error) => return self.unreadable(name, &error.to_string()),
        };
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => return self.unreadable(name, &error.to_string()),
            };
            let member = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let Some(kind @ (SourceKind::Xml | SourceKind::XmlGz)) = article_kind(&member) else { continue };
            let full = format!("{name}/{member}");
            let kind_of_entry = entry.header().entry_type();
            if kind_of_entry.is_dir() {
                continue;
            }
            if !kind_of_entry.is_file() && !kind_of_entry.is_contiguous() && !kind_of_entry.is_gnu_sparse() {
                self.unreadable(&full, "a link, not a file")?;
            } else if member.starts_with('/') || member.split('/').any(|part| part == "..") {
                self.unreadable(&full, "its name leads out of the archive")?;
            } else if kind == SourceKind::Xml {
                self.articles(&full, BufReader::new(entry), None)?;
            } else {
                self.articles(&full, BufReader::new(MultiGzDecoder::new(entry)), None)?;
            }
        }
        Ok(())
    }

    fn articles(&self, name: &str, reader: impl BufRead, metadata: Option<Metadata>) -> Result<(), Stop> {
        let name: Arc<str> = name.into();
        let metadata = metadata.map(Arc::new);
        for raw in Split::new(reader) {
            match raw {
                Ok(raw) => self.judge(raw, &name, metadata.clone())?,
                Err(damage) => self.unreadable(&name, &format!("byte {}: {}", damage.position, damage.what))?,
            }
        }
        Ok(())
    }

    fn judge(&self, raw: Raw, name: &Arc<str>, metadata: Option<Arc<Metadata>>) -> Result<(), Stop> {
        self.place()?;
        let (config, lists, budget) = (self.config, self.lists, self.budget);
        let (scope, sender) = match &self.to {
            To::Pool { scope, sender } => (scope, sender),
            To::Here { take, .. } => {
                let verdict = judge(&raw, name, config, &|article| lists.filed(metadata.as_deref(), article));
                return (take.borrow_mut())(verdict);
            }
        };
        let (judged, slot) = sync_channel(1);
        let bytes = raw.bytes.len();
        budget.take(bytes);
        if sender.send(Slot::Judging(slot)).is_err() {
            budget.give(bytes);
            return Err(Stop);
        }
        let name = Arc::clone(name);
        scope.spawn(move |_| {
            let result = judge(&raw, &name, config, &|article| lists.filed(metadata.as_deref(), article));
            drop(raw);
            budget.give(bytes);
            // Nobody waits for it any more when the caller has failed.
            let _ = judged.send(result);
        });
        Ok(())
    }

    fn table(&self, source: &Source, reader: impl Read) -> Result<(), Stop> {
        let mut take = |group: Result<Vec<Report>, pmc_patients::BadRow>| {
            let judged = match group {
                Err(pmc_patients::BadRow { row, what }) => Judged::Dropped(Dropped::new(
                    format!("{}#{row}", source.name),
                    Reason::Unreadable,
                    format!("{}: row {row}: {what}", source.name),
                )),
                Ok(reports) => table_group(reports, self.config.min_words, &source.name),
            };
            self.ready(judged)
        };
        let read = match source.kind {
            SourceKind::PmcPatientsJson => pmc_patients::read_json(&source.path, reader, &mut take),
            _ => pmc_patients::read_csv(&source.path, reader, &mut take),
        };
        match read {
            Ok(()) => Ok(()),
            Err(pmc_patients::Ended::Stopped(stop)) => Err(stop),
            Err(pmc_patients::Ended::Failed(error)) => {
                match &self.to {
                    // Nobody may be listening any more.
                    To::Pool { sender, .. } => drop(sender.send(Slot::Failed(error))),
                    To::Here { failed, .. } => *failed.borrow_mut() = Some(error),
                }
                Err(Stop)
            }
        }
    }
}

/// The patients of one article, as others have cut them out.
fn table_group(reports: Vec<Report>, min_words: usize, source: &str) -> Judged {
    let (id, pmid) = reports.first().map(|report| (report.article_id.clone(), report.pmid.clone())).unzip();
    let id = id.expect("a group has at least one row");
    match Passed::new(reports, min_words, "", &pmid.unwrap_or_default(), source) {
        Ok(passed) => Judged::Passed(passed),
        Err((reason, detail)) => Judged::Dropped(Dropped::new(id.as_str(), reason, format!("{source}: {detail}"))),
    }
}
