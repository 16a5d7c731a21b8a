//! What the case reports of a corpus are, counted: it travels in the manifest of `ingest` to whoever shows it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Counts, Licence};

/// A label and how many carry it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// The label.
    pub name: String,
    /// How many.
    pub count: u64,
}

/// Articles and their patients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArticlesAndPatients {
    /// Articles.
    pub articles: u64,
    /// Patients of them.
    pub patients: u64,
}

/// The admitted part of a corpus.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorpusFigures {
    /// Articles admitted.
    pub articles: u64,
    /// Case reports cut out of them, one a patient.
    pub patients: u64,
    /// Both by the licence that admitted the article.
    pub licences: BTreeMap<Licence, ArticlesAndPatients>,
    /// Articles by the year they came out.
    pub years: BTreeMap<i32, u64>,
    /// Articles that state none.
    pub year_not_stated: u64,
    /// Articles by specialty, most first; an article may count for several.
    pub specialties: Vec<Count>,
    /// Articles whose subjects name no specialty.
    pub specialty_not_stated: u64,
    /// Patients by age group, the youngest first; those without a stated age last.
    pub ages: Vec<Count>,
    /// Patients by sex.
    pub sexes: Vec<Count>,
    /// Patients by the words of their case text.
    pub lengths: Vec<Count>,
    /// Words of a case text: least, 5th, 50th and 95th percentile (the nearest rank), greatest.
    pub words: [u32; 5],
}

impl CorpusFigures {
    /// The first table that does not add up to the articles or patients it is over, by name; also one that disagrees
    /// with what the stage counted.
    pub fn unbalanced(&self, articles: &Counts, patients: &Counts) -> Option<&'static str> {
        let sum = |rows: &[Count]| rows.iter().map(|row| row.count).sum::<u64>();
        let licensed = |part: fn(&ArticlesAndPatients) -> u64| self.licences.values().map(part).sum::<u64>();
        let named = self.articles.checked_sub(self.specialty_not_stated);
        let checks = [
            ("articles", self.articles == articles.out),
            ("patients", self.patients == patients.out),
            ("licences", licensed(|of| of.articles) == self.articles && licensed(|of| of.patients) == self.patients),
            ("years", self.years.values().sum::<u64>() + self.year_not_stated == self.articles),
            // An article may name several specialties, but each counts it once.
            (
                "specialties",
                named.is_some_and(|named| {
                    sum(&self.specialties) >= named && self.specialties.iter().all(|row| row.count <= named)
                }),
            ),
            ("ages", sum(&self.ages) == self.patients),
            ("sexes", sum(&self.sexes) == self.patients),
            ("lengths", sum(&self.lengths) == self.patients),
        ];
        checks.into_iter().find(|(_, holds)| !holds).map(|(name, _)| name)
    }
}
