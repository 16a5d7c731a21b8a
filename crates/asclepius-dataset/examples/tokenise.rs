//! Tokenises and packs the texts of a Parquet file the way a training stage does, and says how long each part took.
//!
//!     tokenise TOKENIZER_DIR FILE.parquet CACHE_DIR SEQUENCE_LENGTH
//!
//! Prints one line of JSON. The cache decides whether tokens are made or found; `bench/tokenise.py` runs it both ways.

use std::path::Path;
use std::time::Instant;

use asclepius_dataset::{
    DatasetError, Order, Packing, Plan, PlanConfig, Side, TokenCache, in_order, pretrain_row, read_texts, text_bytes,
};
use asclepius_schema::Fingerprint;
use asclepius_text::TextTokenizer;

#[expect(clippy::print_stdout, reason = "the line is what this program is for")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [tokenizer, file, cache, sequence_length] = arguments.as_slice() else {
        return Err("usage: tokenise TOKENIZER_DIR FILE.parquet CACHE_DIR SEQUENCE_LENGTH".into());
    };
    let (file, sequence_length) = (Path::new(file), sequence_length.parse()?);
    let tokenizer = TextTokenizer::load(Path::new(tokenizer))?;
    let started = Instant::now();
    let key = Fingerprint::new("bench")
        .setting("tokenizer", &tokenizer.ids_fingerprint())
        .setting("sequence_length", &sequence_length)
        .file("rows", file)?
        .finish();
    let cache = TokenCache::new(cache);
    let kept = cache.open(&key)?;
    let found = kept.is_some();
    let sides = match kept {
        Some(sides) => sides,
        None => cache.make(&key, |writers| {
            in_order(
                read_texts(file, "note")?,
                text_bytes,
                |row| pretrain_row(row, &tokenizer, sequence_length, Packing::Documents),
                |row| -> Result<(), DatasetError> { writers.append(Side::Train, row) },
            )
        })?,
    };
    let tokenised = started.elapsed().as_secs_f64();
    let order = Order::Shuffled { seed: 0 };
    let config = PlanConfig { sequence_length, packing: Packing::Documents, micro_batch: 1, global_batch: 1, order };
    let plan = Plan::new(sides.train, config)?;
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{{\"seconds\": {seconds:.4}, \"tokenise_seconds\": {tokenised:.4}, \"pack_seconds\": {:.4}, \"found\": {found}, \
         \"documents\": {}, \"tokens\": {}, \"sequences\": {}, \"fill\": {:.5}}}",
        seconds - tokenised,
        plan.documents().len(),
        plan.tokens_per_epoch(),
        plan.sequences_per_epoch(),
        plan.tokens_per_epoch() as f64 / (plan.sequences_per_epoch() * sequence_length) as f64,
    );
    Ok(())
}
