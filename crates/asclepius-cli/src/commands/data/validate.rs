//! `asclepius data validate`: every row of the dataset read, and held against what its manifest and a reader rely on.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::anyhow;
use asclepius_corpus::figures::Tally;
use asclepius_dataset::{read_instructions, read_notes, read_reports};
use asclepius_schema::{Manifest, Reason, Report, Split, hash_bytes, read_dropped};
use asclepius_text::normalise_for_duplicates;

use crate::failure::{Failure, Outcome};
use crate::output;
use crate::pipeline::Pipeline;
use crate::stage::Stage;
use crate::stages::ingest::REPORTS;

/// What a dataset holds, and what is wrong with it.
#[derive(Debug)]
pub struct Checked {
    notes: u64,
    rows: u64,
    articles: usize,
    /// A line each; none where all is well.
    pub problems: Vec<String>,
}

/// Prints what the dataset holds, or fails with everything that is wrong with it.
pub fn run(pipeline: &Pipeline) -> Outcome {
    let Checked { notes, rows, articles, problems } = problems(pipeline)?;
    if problems.is_empty() {
        return output::data(&format!("ok: {notes} notes and {rows} instructions over {articles} articles"));
    }
    let directory = pipeline.run_dir().join(Stage::Dataset.directory());
    Err(Failure::Failed(anyhow!("{} is not what it should be:\n  {}", directory.display(), problems.join("\n  "))))
}

/// Reads every row of the dataset and checks what a reader relies on.
pub fn problems(pipeline: &Pipeline) -> Outcome<Checked> {
    let directory = pipeline.run_dir().join(Stage::Dataset.directory());
    let Some(manifest) = Manifest::read(&directory)? else { return Err(super::nothing(pipeline)) };
    let mut problems = Vec::new();
    let mut articles: BTreeMap<String, Split> = BTreeMap::new();
    let (mut rows, mut notes, mut ids) = (0_u64, 0_u64, BTreeSet::new());
    let (mut row_ids, mut noted, mut texts) = (BTreeSet::new(), BTreeMap::new(), HashMap::new());
    let mut place = |article: &str, split: Split, found: Option<Split>, file: &str, problems: &mut Vec<String>| {
        if found != Some(split) {
            problems.push(format!("{file}: a row of {article} says split {:?}", found.map(Split::name)));
        }
        if *articles.entry(article.to_owned()).or_insert(split) != split {
            problems.push(format!("{article} is in both splits"));
        }
    };
    for split in [Split::Train, Split::Validation] {
        let file = format!("notes-{}.parquet", split.name());
        for note in read_notes(&directory.join(&file))? {
            let note = note?;
            notes += 1;
            place(note.article_id.as_str(), split, note.split, &file, &mut problems);
            let text = hash_bytes(normalise_for_duplicates(&note.note).as_bytes());
            if let Some(other) = texts.insert(text, note.report_id.clone()) {
                problems.push(format!("{file}: the notes of {other} and {} are the same", note.report_id));
            }
            noted.insert(note.report_id, split);
        }
        let file = format!("instructions-{}.parquet", split.name());
        for row in read_instructions(&directory.join(&file))? {
            let row = row?;
            rows += 1;
            place(row.article_id.as_str(), split, row.split, &file, &mut problems);
            if !row_ids.insert(row.row_id()) {
                problems.push(format!("{file}: {} is there twice", row.row_id()));
            }
            if noted.get(&row.report_id) != Some(&split) {
                problems.push(format!("{file}: {}: its note is not in notes-{}.parquet", row.row_id(), split.name()));
            }
            if !ids.insert(row.answer_call.request_key.clone()) && !row.answer_call.request_key.is_empty() {
                problems.push(format!("{file}: two rows share the call {}", row.answer_call.request_key));
            }
            for span in &row.evidence {
                if row.note.get(span.start as usize..span.end as usize).is_none() {
                    problems.push(format!(
                        "{file}: {}: evidence {}..{} is not in the note",
                        row.row_id(),
                        span.start,
                        span.end
                    ));
                }
            }
        }
    }
    if rows != manifest.counts.out {
        problems.push(format!("manifest.json counts {} instructions, the files hold {rows}", manifest.counts.out));
    }
    let counted = manifest.also.get("note").map_or(notes, |counts| counts.out);
    if notes != counted {
        problems.push(format!("manifest.json counts {counted} notes, the files hold {notes}"));
    }
    let mut reasons: BTreeMap<Reason, u64> = BTreeMap::new();
    for row in read_dropped(&directory)? {
        *reasons.entry(row.reason).or_default() += 1;
    }
    for counts in std::iter::once(&manifest.counts).chain(manifest.also.values()) {
        for (reason, count) in &counts.dropped {
            let listed = reasons.entry(*reason).or_default();
            *listed = listed.wrapping_sub(*count);
        }
    }
    for (reason, left) in reasons.into_iter().filter(|(_, left)| *left != 0) {
        let left = left.cast_signed();
        problems.push(format!("dropped.jsonl and manifest.json disagree by {left} rows about {reason}"));
    }
    problems.extend(corpus_problems(pipeline)?);
    problems.sort_unstable();
    problems.dedup();
    Ok(Checked { notes, rows, articles: articles.len(), problems })
}

/// Counts the case reports anew and holds that against what their manifest says. Where they lie elsewhere, or were cut
/// out by an earlier version, there is nothing to hold.
fn corpus_problems(pipeline: &Pipeline) -> Outcome<Vec<String>> {
    let directory = pipeline.run_dir().join(Stage::Ingest.directory());
    let Some(manifest) = Manifest::read(&directory)? else { return Ok(Vec::new()) };
    let Some(figures) = asclepius_eval::corpus::figures(&manifest) else { return Ok(Vec::new()) };
    let (mut tally, mut article): (Tally, Vec<Report>) = Default::default();
    for report in read_reports(&directory.join(REPORTS))? {
        let report = report?;
        if article.first().is_some_and(|first| first.article_id != report.article_id) {
            tally.add(&article);
            article.clear();
        }
        article.push(report);
    }
    tally.add(&article);
    let same = tally.finish() == figures;
    Ok(if same { Vec::new() } else { vec![format!("{REPORTS} holds other case reports than manifest.json counts")] })
}
