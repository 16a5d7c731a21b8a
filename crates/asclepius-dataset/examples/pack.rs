//! How long best-fit packing takes: documents of drawn lengths, at 100,000 and at a million.

use std::time::Instant;

use asclepius_dataset::shuffle::permutation;
use asclepius_dataset::{Packing, Sequence, pack};

#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
fn main() {
    const SEQUENCE_LENGTH: usize = 2048;
    for count in [100_000, 1_000_000] {
        // Between 64 and 1,087 tokens, as notes are, and the same ones every time.
        let lengths: Vec<usize> = permutation(count, 7, 0).into_iter().map(|draw| 64 + draw % 1024).collect();
        let order = permutation(count, 0, 0);
        let started = Instant::now();
        let sequences = pack(&lengths, &order, SEQUENCE_LENGTH, Packing::Documents);
        let seconds = started.elapsed().as_secs_f64();
        let tokens: usize = sequences.iter().map(Sequence::tokens).sum();
        let fill = tokens as f64 / (sequences.len() * SEQUENCE_LENGTH) as f64;
        println!("{count:>9} documents  {:>8} sequences  fill {fill:.4}  {seconds:.3} s", sequences.len());
    }
}
