//! Articles to case reports.

use std::time::Instant;

use anyhow::anyhow;
use asclepius_corpus::figures::Tally;
use asclepius_corpus::{CorpusError, Outcome as Article, fingerprint_inputs, ingest, sources};
use asclepius_dataset::{ReportWriter, Terms};
use asclepius_schema::{Counts, DroppedWriter, Fingerprint, Manifest, StageDir};
use asclepius_synth::SinkError;

use crate::failure::{Failure, Outcome};
use crate::progress::StageBar;
use crate::run::Run;
use crate::stage::Stage;

/// Where the manifest keeps what the case reports are.
pub const CORPUS_FIGURES: &str = "corpus";

/// The file ingest writes.
pub const REPORTS: &str = "reports.parquet";

/// The articles' bytes and the gates' settings.
pub fn fingerprint(run: &Run) -> Outcome<String> {
    let corpus = &run.config().corpus;
    sources(corpus).map_err(Failure::usage)?; // a missing input is a wrong configuration, found before any work
    Ok(fingerprint_inputs(corpus, Fingerprint::new("ingest"))?.finish())
}

/// Reads every article once; each is either admitted or dropped with a reason.
pub fn execute(run: &Run, fingerprint: &str) -> Outcome<Manifest> {
    let started = Instant::now();
    let bar = StageBar::start("ingest", 0);
    let directory = StageDir::begin(&run.directory, Stage::Ingest.directory())?;
    let mut reports = ReportWriter::create(&directory.path().join(REPORTS))?;
    let mut dropped = DroppedWriter::create(directory.path())?;
    let (mut counts, mut patients, mut parts) = (Counts::default(), Counts::default(), Counts::default());
    let mut tally = Tally::default();
    let mut take = |article: Article| -> Result<(), SinkError> {
        if run.interrupt.is_set() {
            return Err("interrupted".into());
        }
        match article {
            Article::Admitted { reports: cases, skipped, .. } => {
                counts.input += 1;
                counts.out += 1;
                patients.input += (cases.len() + skipped.len()) as u64;
                patients.out += cases.len() as u64;
                tally.add(&cases);
                for case in &cases {
                    reports.write(case)?;
                }
                for row in &skipped {
                    dropped.write(row, &mut patients)?;
                }
            }
            Article::Dropped(row) => {
                counts.input += 1;
                dropped.write(&row, &mut counts)?;
            }
            Article::PartDropped(row) => {
                parts.input += 1;
                dropped.write(&row, &mut parts)?;
            }
        }
        Ok(())
    };
    let progress = |done, total| {
        bar.set_total(total);
        bar.set(done);
    };
    let passed = ingest(&run.config().corpus, &mut |article| take(article).map_err(CorpusError::Receiver), &progress);
    run.check_interrupt()?;
    passed?;
    reports.finish()?;
    dropped.finish()?;
    bar.finish();
    let figures = tally.finish();
    if let Some(table) = figures.unbalanced(&counts, &patients) {
        return Err(anyhow!("the figures of {table} do not add up to what was admitted").into());
    }
    let terms = Terms::of("article", figures.licences.iter().map(|(licence, admitted)| (*licence, admitted.articles)));
    if let Some(problem) = terms.problem() {
        tracing::warn!("what is made from these articles cannot be published under one licence: {problem}");
    }
    let mut manifest = Manifest::new(Stage::Ingest.name(), fingerprint.to_owned(), "article");
    manifest.details.insert(CORPUS_FIGURES.to_owned(), serde_json::to_value(&figures)?);
    (manifest.counts, manifest.seconds) = (counts, started.elapsed().as_secs_f64());
    manifest.also.insert("patient".to_owned(), patients);
    // Only what is left out of an article counts here, not what it is made of.
    if parts.input > 0 {
        manifest.also.insert("part".to_owned(), parts);
    }
    directory.commit(&manifest)?;
    Ok(manifest)
}
