//! Finds the notes of a Parquet file that are almost the same as another one, and says how long each part took.
//!
//!     near_duplicates FILE.parquet THRESHOLD
//!
//! The clock starts when the texts are in memory. Prints one line of JSON; `bench/near_duplicates.py` reads it.

use std::path::Path;
use std::time::Instant;

use asclepius_dataset::near_duplicates::{Sketch, nearest_preceding};
use asclepius_dataset::{DatasetError, read_texts};
use asclepius_text::minhash::BandPlan;
use rayon::prelude::*;

#[expect(clippy::print_stdout, reason = "the line is what this program is for")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, threshold] = arguments.as_slice() else {
        return Err("usage: near_duplicates FILE.parquet THRESHOLD".into());
    };
    let threshold: f64 = threshold.parse()?;
    let texts: Vec<String> =
        read_texts(Path::new(file), "note")?.map(|row| Ok(row?.text)).collect::<Result<_, DatasetError>>()?;
    let plan = BandPlan::for_threshold(threshold);
    let started = Instant::now();
    let sketches: Vec<Sketch> = texts.par_iter().map(|text| Sketch::new(text, plan)).collect();
    let sketched = started.elapsed().as_secs_f64();
    let order: Vec<usize> = (0..sketches.len()).collect();
    let nearest = nearest_preceding(&sketches, &order, Some(threshold));
    let seconds = started.elapsed().as_secs_f64();
    let above = |near: &Option<_>| matches!(near, Some(asclepius_dataset::near_duplicates::Neighbour { similarity, .. }) if *similarity > threshold);
    let dropped: Vec<usize> = (0..nearest.len()).filter(|&index| above(&nearest[index])).collect();
    println!(
        "{}",
        serde_json::json!({
            "seconds": seconds,
            "sketch_seconds": sketched,
            "search_seconds": seconds - sketched,
            "notes": texts.len(),
            "bytes": texts.iter().map(String::len).sum::<usize>(),
            "bands": plan.bands,
            "rows": plan.rows,
            "dropped": dropped,
            "peak_rss_bytes": peak_rss_bytes(),
        })
    );
    Ok(())
}

/// The most memory the process has held, as Linux counts it; 0 elsewhere.
fn peak_rss_bytes() -> u64 {
    let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).map_or(0, |kib| kib * 1024)
}
