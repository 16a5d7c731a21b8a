//! Rows worked on in parallel and handed on in their own order, a bounded number at a time.

use rayon::prelude::*;

use crate::DatasetError;

/// Rows worked on together.
const CHUNK_ROWS: usize = 1024;

/// Together they hold at most about this many bytes of text, so that a file of very long rows is bounded, too.
const CHUNK_BYTES: usize = 8 << 20;

/// Gives `make` every row, on all threads of the current rayon pool, and `take` what it made, in the order of the rows.
///
/// What comes out, the first error included, does not depend on the number of threads. At most three chunks of rows are
/// in memory: one being read, one being worked on, one being taken. `weigh` says about how many bytes a row holds.
///
/// # Errors
/// The first error in the order of the rows, of the rows themselves, of `make` or of `take`.
pub fn in_order<T, M, E>(
    rows: impl Iterator<Item = Result<T, DatasetError>> + Send,
    weigh: impl Fn(&T) -> usize + Sync,
    make: impl Fn(T) -> Result<M, DatasetError> + Sync,
    mut take: impl FnMut(M) -> Result<(), E> + Send,
) -> Result<(), E>
where
    T: Send,
    M: Send,
    E: From<DatasetError> + Send,
{
    let mut rows = rows.fuse();
    let mut waiting = chunk(&mut rows, &weigh);
    let mut made: Vec<Result<M, DatasetError>> = Vec::new();
    while !(waiting.is_empty() && made.is_empty()) {
        let (work, done) = (std::mem::take(&mut waiting), std::mem::take(&mut made));
        let take = &mut take;
        let rows = &mut rows;
        // Reading and taking are serial; beside the next chunk's work they cost no time of their own.
        let (next, taken) = rayon::join(
            || work.into_par_iter().map(|row| row.and_then(&make)).collect(),
            || -> Result<_, E> {
                done.into_iter().try_for_each(|made| take(made?))?;
                Ok(chunk(rows, &weigh))
            },
        );
        (waiting, made) = (taken?, next);
    }
    Ok(())
}

/// The next rows; a row that could not be read is the last one.
fn chunk<T>(
    rows: &mut impl Iterator<Item = Result<T, DatasetError>>,
    weigh: &impl Fn(&T) -> usize,
) -> Vec<Result<T, DatasetError>> {
    let mut chunk = Vec::new();
    let mut bytes = 0;
    while chunk.len() < CHUNK_ROWS && bytes < CHUNK_BYTES {
        let Some(row) = rows.next() else { break };
        bytes += row.as_ref().map_or(CHUNK_BYTES, weigh);
        chunk.push(row);
    }
    chunk
}
