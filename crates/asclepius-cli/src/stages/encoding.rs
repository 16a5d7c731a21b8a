//! The dataset stage's sentence encoder: which notes mean the same.

use std::path::PathBuf;

use anyhow::Context;
use asclepius_dataset::Texts;
use asclepius_dataset::near_duplicates::Neighbour;
use asclepius_model::SentenceEncoder;
use asclepius_model::encoder::nearest_preceding;
use asclepius_schema::Fingerprint;
use rayon::prelude::*;
use serde_json::{Map, Value};

use crate::base;
use crate::failure::{Failure, Outcome};
use crate::progress::StageBar;
use crate::run::Run;

const KEY: &str = "dataset.sentence_encoder";

/// Texts in memory at once.
const TEXTS: usize = 256;

/// Files that decide what a text's vector is; the first three must be there.
const FILES: [&str; 5] =
    ["config.json", "tokenizer.json", "model.safetensors", "sentence_bert_config.json", "1_Pooling/config.json"];

fn directory(run: &Run) -> Outcome<Option<PathBuf>> {
    let named = run.config().dataset.sentence_encoder.as_deref();
    named.map(|named| base::encoder(KEY, named, &FILES)).transpose()
}

/// Adds the encoder's files. Nothing where there is none, so that datasets made before there was one stand: its gate is
/// taken out of `gates`, too.
pub fn fingerprint(run: &Run, gates: &mut Map<String, Value>, mut fingerprint: Fingerprint) -> Outcome<Fingerprint> {
    let Some(directory) = directory(run)? else {
        gates.remove("same_meaning");
        return Ok(fingerprint);
    };
    for name in FILES.iter().filter(|name| directory.join(name).is_file()) {
        fingerprint = fingerprint.file(&format!("sentence encoder {name}"), &directory.join(name))?;
    }
    Ok(fingerprint)
}

/// A sentence encoder with a bar of its own.
#[derive(Debug)]
pub struct Encoder<'run> {
    run: &'run Run,
    encoder: SentenceEncoder,
}

impl<'run> Encoder<'run> {
    /// The pipeline's encoder, if it has one.
    pub fn open(run: &'run Run) -> Outcome<Option<Self>> {
        let Some(directory) = directory(run)? else { return Ok(None) };
        let encoder = SentenceEncoder::load(&directory).with_context(|| KEY).map_err(Failure::usage)?;
        Ok(Some(Self { run, encoder }))
    }
}

impl asclepius_dataset::Encoder for Encoder<'_> {
    type Error = Failure;

    fn nearest_preceding(
        &mut self,
        texts: &mut Texts<'_>,
        precedence: &[usize],
        greatest: Option<f32>,
    ) -> Outcome<Vec<Option<Neighbour>>> {
        let bar = StageBar::start("encode", precedence.len() as u64);
        let dimensions = self.encoder.dimensions();
        let mut vectors: Vec<f32> = Vec::with_capacity(precedence.len() * dimensions);
        loop {
            let some = texts.take(TEXTS).collect::<Result<Vec<String>, _>>()?;
            if some.is_empty() {
                break;
            }
            for vector in some.par_iter().map(|text| self.encoder.encode(text)).collect::<Result<Vec<_>, _>>()? {
                vectors.extend(vector);
            }
            bar.set((vectors.len() / dimensions) as u64);
            self.run.check_interrupt()?;
        }
        bar.finish();
        let in_order = |place: &usize| &vectors[place * dimensions..(place + 1) * dimensions];
        let vectors: Vec<f32> = precedence.iter().flat_map(in_order).copied().collect();
        let nearest = nearest_preceding(&vectors, dimensions, greatest);
        let neighbour = |near: asclepius_model::encoder::Nearest| Neighbour {
            index: near.index,
            similarity: f64::from(near.similarity),
        };
        Ok(nearest.into_iter().map(|near| near.map(neighbour)).collect())
    }
}
