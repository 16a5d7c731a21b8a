//! Streams synthetic articles out of a tar.gz that never exists through ingest and prints what that took of memory.
//!
//!     stream_synthetic ARTICLES
//!
//! One thread writes the archive into a pipe; every article is another one, of some 700 words, and all are admitted.

use std::io::{BufWriter, Write};
use std::time::Instant;

use asclepius_corpus::{CorpusConfig, Outcome, SourceKind, ingest_reader};
use flate2::Compression;
use flate2::write::GzEncoder;

const WORDS: [&str; 32] = [
    "fever", "cough", "pain", "lung", "liver", "renal", "acute", "mild", "severe", "drug", "dose", "daily", "scan",
    "mass", "edema", "rash", "blood", "count", "serum", "level", "raised", "normal", "left", "right", "upper", "lower",
    "lobe", "nodule", "biopsy", "culture", "fluid", "drain",
];

/// A number that looks drawn (SplitMix64).
fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn article(number: u64) -> String {
    let mut state = number;
    let mut text = String::new();
    for _ in 0..60 {
        text.push_str("The patient had ");
        for _ in 0..7 {
            text.push_str(WORDS[(draw(&mut state) % 32) as usize]);
            text.push(' ');
        }
        text.push_str("and was treated. ");
    }
    format!(
        "<article xmlns:xlink=\"x\" article-type=\"case-report\"><front><article-meta><article-id pub-id-type=\"pmcid\">PMC{number}</article-id>\
         <article-id pub-id-type=\"doi\">10.5555/{number}</article-id><title-group><article-title>Case {number}</article-title></title-group>\
         <permissions><license xlink:href=\"https://creativecommons.org/licenses/by/4.0/\"/></permissions></article-meta></front>\
         <body><sec><title>Case report</title><p>A 45-year-old man was admitted. {text}</p></sec></body></article>"
    )
}

fn write(pipe: std::io::PipeWriter, articles: u64) -> std::io::Result<()> {
    let mut archive = tar::Builder::new(GzEncoder::new(BufWriter::new(pipe), Compression::fast()));
    for number in 1..=articles {
        let bytes = article(number).into_bytes();
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        archive.append_data(&mut header, format!("PMC{number}.xml"), bytes.as_slice())?;
    }
    archive.into_inner()?.finish()?.flush()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let articles: u64 = std::env::args().nth(1).ok_or("ARTICLES")?.parse()?;
    let (reader, writer) = std::io::pipe()?;
    let writing = std::thread::spawn(move || write(writer, articles));
    let (mut admitted, mut dropped) = (0_u64, 0_u64);
    let started = Instant::now();
    let mut take = |outcome| {
        match outcome {
            Outcome::Admitted { .. } => admitted += 1,
            Outcome::Dropped(_) => dropped += 1,
            Outcome::PartDropped(_) => {}
        }
        Ok(())
    };
    ingest_reader(&CorpusConfig::default(), "synthetic.tar.gz", SourceKind::TarGz, reader, &mut take)?;
    writing.join().map_err(|_| "the writer ended")??;
    let status = fs_err::read_to_string("/proc/self/status")?;
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("VmHWM: unknown");
    writeln!(
        std::io::stdout(),
        "{admitted} admitted, {dropped} dropped, {:.0} s, peak {}",
        started.elapsed().as_secs_f64(),
        peak.trim_start_matches("VmHWM:").trim()
    )?;
    Ok(())
}
