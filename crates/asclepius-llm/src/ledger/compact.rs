//! Writing a file anew with what still counts: the last entry of each call, and the sum of everything else.

use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use fs_err::File;

use super::lines::{header_line, line_of};
use super::record::{CarriedOver, Head, Paid};
use super::scan::Scan;
use super::{Index, Position};
use crate::LlmError;

/// A file smaller than this is left alone: reading it is quick, whatever it holds.
const WORTHWHILE_BYTES: u64 = 64 << 20;

/// Whether most of a file is records that no longer count.
pub(super) fn is_due(scan: &Scan, live_bytes: u64) -> bool {
    scan.tail.sound_bytes > WORTHWHILE_BYTES && live_bytes * 2 < scan.tail.sound_bytes
}

/// Replaces the file by one that means the same. The new one takes the old one's name only once it is durable, so an
/// interruption leaves the one or the other; who reads meanwhile goes on reading the old one.
pub(super) fn compact(path: &Path, file: u32, index: &Index, scan: &Scan) -> Result<(), LlmError> {
    let failed = |source| LlmError::io(path, source);
    let mut live: Vec<Position> = index.values().filter(|position| position.file == file).copied().collect();
    live.sort_unstable_by_key(|position| position.offset);

    let target = path.with_extension("compacted");
    let mut source = File::open(path).map_err(failed)?;
    let mut out = BufWriter::with_capacity(1 << 20, File::create(&target).map_err(failed)?);
    out.write_all(&header_line()).map_err(failed)?;
    let mut kept = Paid::default();
    let mut line = Vec::new();
    for position in live {
        line.resize(position.length as usize + 1, 0);
        source.seek(SeekFrom::Start(position.offset)).map_err(failed)?;
        source.read_exact(&mut line).map_err(failed)?;
        let json = super::lines::checked(&line[..line.len() - 1]).ok();
        let head: Option<Head> = json.and_then(|json| serde_json::from_slice(json).ok());
        let head =
            head.ok_or_else(|| failed(std::io::Error::other("an entry changed while the file was compacted")))?;
        kept.add(Paid::one(head.prompt_tokens, head.completion_tokens, head.cost_usd));
        out.write_all(&line).map_err(failed)?;
    }
    let paid = scan.paid();
    let carried = Paid {
        prompt_tokens: paid.prompt_tokens - kept.prompt_tokens,
        completion_tokens: paid.completion_tokens - kept.completion_tokens,
        cost_usd: (paid.cost_usd - kept.cost_usd).max(0.0),
        unpriced_prompt_tokens: paid.unpriced_prompt_tokens - kept.unpriced_prompt_tokens,
        unpriced_completion_tokens: paid.unpriced_completion_tokens - kept.unpriced_completion_tokens,
    };
    let record = CarriedOver { carried, open_intents: scan.open_intents() };
    out.write_all(&line_of(&serde_json::to_vec(&record).expect("a record is plain data"))).map_err(failed)?;
    let out = out.into_inner().map_err(|error| failed(error.into_error()))?;
    out.sync_all().map_err(failed)?;
    fs_err::rename(&target, path).map_err(failed)?;
    let parent = path.parent().unwrap_or(Path::new("."));
    File::open(parent).and_then(|parent| parent.sync_all()).map_err(|source| LlmError::io(parent, source))
}
