//! Reads files over and over on one thread and prints what it took: the other half of `bench/corpus.py`.
//!
//!     read_articles [--dump] ROUNDS PATH..

use std::io::Write;
use std::time::Instant;

use asclepius_corpus::{CorpusConfig, CorpusError, Outcome, SourceKind, ingest, read_only, sources};
use asclepius_schema::Licence;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let dump = arguments.first().is_some_and(|first| first == "--dump");
    arguments.drain(..usize::from(dump));
    let (rounds, paths) = arguments.split_first().ok_or("ROUNDS PATH..")?;
    let rounds: u32 = rounds.parse()?;
    let config = CorpusConfig {
        inputs: paths.iter().map(Into::into).collect(),
        licences: vec![Licence::Cc0, Licence::CcBy, Licence::CcByNcSa],
        ..CorpusConfig::default()
    };
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global()?;
    let mut files = Vec::new();
    for source in sources(&config)? {
        files.push((fs_err::read(&source.path)?, source));
    }
    let bytes: usize = files.iter().map(|(bytes, _)| bytes.len()).sum();
    let mut out = std::io::stdout().lock();
    let mut pass = |print: bool| -> Result<f64, CorpusError> {
        let started = Instant::now();
        let mut take = |outcome: Outcome| {
            if print { writeln!(out, "{outcome:#?}").map_err(CorpusError::Io) } else { Ok(()) }
        };
        ingest(&config, &mut take, &|_, _| ())?;
        Ok(started.elapsed().as_secs_f64())
    };
    // Expressions are compiled on first use.
    pass(dump)?;
    let mut judged = 0.0;
    for _ in 0..rounds {
        judged += pass(false)?;
    }
    let started = Instant::now();
    let mut letters = 0;
    for _ in 0..rounds {
        for (bytes, source) in &files {
            if source.kind == SourceKind::Xml {
                letters += read_only(bytes).map(|text| text.len()).sum::<usize>();
            }
        }
    }
    let read = started.elapsed().as_secs_f64();
    writeln!(
        out,
        "{{\"bytes\": {bytes}, \"rounds\": {rounds}, \"judged_seconds\": {judged}, \"read_seconds\": {read}, \"text_bytes\": {letters}}}"
    )?;
    Ok(())
}
