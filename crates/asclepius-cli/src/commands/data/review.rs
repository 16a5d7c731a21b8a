//! `asclepius data review` and `asclepius data agreement`: rows to clinicians, and their ratings back.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use asclepius_dataset::{read_instructions, read_reports};
use asclepius_eval::agreement::Agreement;
use asclepius_eval::review::{Key, Ratings, csv_key, csv_sheet, draw, html_sheet, read_key};
use asclepius_schema::{Instruction, Manifest, ReportId, Split, write_atomically};
use serde_json::json;

use crate::failure::Outcome;
use crate::output;
use crate::pipeline::Pipeline;
use crate::stage::{Stage, input_file};
use crate::stages::ingest::REPORTS;

/// Writes `sheet.csv`, `sheet.html` and `key.csv`.
pub fn sheet(pipeline: &Pipeline, rows: usize, out: Option<PathBuf>, seed: u64) -> Outcome {
    let directory = pipeline.run_dir().join(Stage::Dataset.directory());
    if Manifest::read(&directory)?.is_none() {
        return Err(super::nothing(pipeline));
    }
    let corpus = pipeline.run_dir().join(Stage::Ingest.directory());
    let corpus = input_file(Stage::Dataset, Stage::Ingest, &corpus, REPORTS, &pipeline.label)?;
    let mut instructions: Vec<Instruction> = Vec::new();
    for split in [Split::Train, Split::Validation] {
        for row in read_instructions(&directory.join(format!("instructions-{}.parquet", split.name())))? {
            instructions.push(row?);
        }
    }
    let mut reports: HashMap<ReportId, String> = HashMap::new();
    for report in read_reports(&corpus)? {
        let report = report?;
        reports.insert(report.report_id, report.report);
    }
    let samples = draw(&instructions, rows, seed, |row| reports.get(&row.report_id).map(String::as_str));
    let out = out.unwrap_or_else(|| pipeline.run_dir().join("review"));
    fs_err::create_dir_all(&out)?;
    write_atomically(&out.join("sheet.csv"), &csv_sheet(&samples)?)?;
    write_atomically(&out.join("sheet.html"), html_sheet(&pipeline.config.name, &samples)?.as_bytes())?;
    write_atomically(&out.join("key.csv"), &csv_key(&samples)?)?;
    output::data(&format!(
        "{} rows in {out}/sheet.html and {out}/sheet.csv: one of them to each rater.\n\
         {out}/key.csv says what each row is: raters must not see it.",
        samples.len(),
        out = out.display()
    ))
}

/// Prints the agreement on each scale, and with a key on each task and teacher.
pub fn agreement(sheets: &[PathBuf], key: Option<&Path>, json: bool) -> Outcome {
    let ratings = Ratings::read(sheets)?;
    let mut groups: BTreeMap<String, BTreeMap<&'static str, Agreement>> =
        BTreeMap::from([("all".to_owned(), ratings.agreement(|_| true))]);
    if let Some(path) = key {
        let key = read_key(path)?;
        ratings.check_against(&key, path)?;
        let aspects: [fn(&Key) -> String; 2] =
            [|key| format!("task {}", key.task), |key| format!("teacher {}", key.teacher_model)];
        for aspect in aspects {
            for name in key.values().map(aspect) {
                let of = |item: &str| key.get(item).is_some_and(|key| aspect(key) == name);
                groups.entry(name.clone()).or_insert_with(|| ratings.agreement(of));
            }
        }
    }
    if json {
        let value = json!({ "raters": ratings.raters, "agreement": groups });
        return output::data(&serde_json::to_string_pretty(&value)?);
    }
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.3}"));
    let mut lines = vec![
        format!("raters: {}", ratings.raters.join(", ")),
        format!(
            "{:<28} {:<15} {:>6} {:>8} {:>6} {:>6} {:>7} {:>7} {:>7}",
            "rows", "scale", "items", "compared", "mean", "equal", "alpha", "cohen", "fleiss"
        ),
    ];
    for (group, scales) in &groups {
        for (scale, found) in scales {
            lines.push(format!(
                "{group:<28} {scale:<15} {:>6} {:>8} {:>6} {:>6} {:>7} {:>7} {:>7}",
                found.items,
                found.items_compared,
                found.mean.map_or("-".to_owned(), |mean| format!("{mean:.2}")),
                found.exact.map_or("-".to_owned(), |share| format!("{:.0}%", 100.0 * share)),
                number(found.krippendorff_alpha),
                number(found.cohen_kappa),
                number(found.fleiss_kappa),
            ));
        }
    }
    lines.push(
        "alpha: Krippendorff's, ordinal. cohen: Cohen's kappa, quadratic weights, two raters. fleiss: Fleiss' kappa, where \
         all were rated equally often. -: not defined, or nothing to compare."
            .to_owned(),
    );
    output::data(&lines.join("\n"))
}
