//! What the case reports are, as tables: for the terminal and the card in Markdown, for the page as rows.

use asclepius_schema::{CorpusFigures, Count, Manifest};
use serde::Serialize;

/// The key of an ingest stage's manifest under which the figures lie.
const FIGURES: &str = "corpus";
/// Specialties shown; the rest are added up in one line.
const SPECIALTIES_SHOWN: usize = 15;

/// One table: what is counted, by what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Table {
    /// What the rows are told apart by.
    pub title: &'static str,
    /// What is counted.
    pub unit: &'static str,
    /// Labels and counts.
    pub rows: Vec<Count>,
}

/// The figures in an ingest stage's manifest; none where an earlier version wrote it.
pub fn figures(ingest: &Manifest) -> Option<CorpusFigures> {
    serde_json::from_value(ingest.details.get(FIGURES)?.clone()).ok()
}

/// Reasons, licences, years, specialties, ages, sexes and lengths, without rows that count nothing.
pub fn tables(ingest: &Manifest, figures: &CorpusFigures) -> Vec<Table> {
    let count = |name: String, count: u64| Count { name, count };
    let mut outcomes = vec![count("admitted".to_owned(), ingest.counts.out)];
    outcomes.extend(ingest.counts.dropped.iter().map(|(reason, n)| count(reason.code().to_owned(), *n)));
    let mut years: Vec<Count> = figures.years.iter().map(|(year, n)| count(year.to_string(), *n)).collect();
    years.push(count("not stated".to_owned(), figures.year_not_stated));
    let (most, rest) = figures.specialties.split_at(figures.specialties.len().min(SPECIALTIES_SHOWN));
    let mut specialties = most.to_vec();
    specialties.push(count(format!("{} others", rest.len()), rest.iter().map(|row| row.count).sum()));
    specialties.push(count("not stated".to_owned(), figures.specialty_not_stated));
    let licences = |part: fn(&asclepius_schema::ArticlesAndPatients) -> u64| {
        figures.licences.iter().map(|(licence, of)| count(licence.name().to_owned(), part(of))).collect()
    };
    let table = |title, unit, rows: Vec<Count>| Table {
        title,
        unit,
        rows: rows.into_iter().filter(|row| row.count > 0).collect(),
    };
    vec![
        table("outcome", "articles", outcomes),
        table("licence", "articles", licences(|of| of.articles)),
        table("licence", "patients", licences(|of| of.patients)),
        table("year", "articles", years),
        table("specialty", "articles", specialties),
        table("age", "patients", figures.ages.clone()),
        table("sex", "patients", figures.sexes.clone()),
        table("length of the case text", "patients", figures.lengths.clone()),
    ]
}

/// The tables in Markdown, and the lengths' quantiles; says so where an earlier version counted nothing.
pub fn markdown(ingest: &Manifest) -> String {
    let Some(figures) = figures(ingest) else {
        return "No figures of the case reports: they were cut out by an earlier version.\n".to_owned();
    };
    let mut text = format!("{} articles, {} patients admitted\n", figures.articles, figures.patients);
    for table in tables(ingest, &figures) {
        text.push_str(&format!("\n| {} | {} |\n|---|---:|\n", table.title, table.unit));
        for row in table.rows {
            text.push_str(&format!("| {} | {} |\n", row.name, row.count));
        }
    }
    text.push_str(&format!("\n{}\n\n{SPECIALTIES}\n", words(&figures)));
    text
}

/// The lengths in one sentence.
pub fn words(figures: &CorpusFigures) -> String {
    let [least, low, median, high, most] = figures.words;
    format!("Words of a case text: {least} to {most}, median {median}, 90 % from {low} to {high}.")
}

/// What the table of specialties is.
pub const SPECIALTIES: &str =
    "Specialties are those that an article's headings, MeSH terms and keywords name; one may name several.";
