//! What was admitted, counted as it passes: nothing of an article is kept but four bytes a patient.

use std::collections::BTreeMap;

use asclepius_schema::{Age, AgeUnit, ArticlesAndPatients, CorpusFigures, Count, Licence, Report, Sex};

use crate::specialty;

/// The age groups of the Medical Subject Headings, each from this many days of life on; [`ADULT`] split as there.
const AGE_GROUPS: [(f32, &str); 10] = [
    (0.0, "newborn (to 1 month)"),
    (30.0, "infant (1 to 23 months)"),
    (2.0 * YEAR, "preschool child (2 to 5)"),
    (6.0 * YEAR, "child (6 to 12)"),
    (13.0 * YEAR, "adolescent (13 to 18)"),
    (19.0 * YEAR, "young adult (19 to 24)"),
    (25.0 * YEAR, "adult (25 to 44)"),
    (45.0 * YEAR, "middle-aged (45 to 64)"),
    (65.0 * YEAR, "aged (65 to 79)"),
    (80.0 * YEAR, "aged (80 and over)"),
];
const YEAR: f32 = 365.0;
/// Twelve make a year, so that "24 months" is "2 years".
const MONTH: f32 = YEAR / 12.0;
const LENGTHS: [(u32, &str); 7] = [
    (0, "under 100 words"),
    (100, "100 to 199"),
    (200, "200 to 399"),
    (400, "400 to 799"),
    (800, "800 to 1599"),
    (1600, "1600 to 3199"),
    (3200, "3200 and more"),
];
const SEXES: [(Sex, &str); 3] = [(Sex::Female, "female"), (Sex::Male, "male"), (Sex::Unknown, "not stated")];

/// Counts admitted articles.
#[derive(Debug, Default)]
pub struct Tally {
    articles: u64,
    licences: BTreeMap<Licence, ArticlesAndPatients>,
    years: BTreeMap<i32, u64>,
    year_not_stated: u64,
    specialties: BTreeMap<&'static str, u64>,
    specialty_not_stated: u64,
    ages: [u64; AGE_GROUPS.len()],
    age_not_stated: u64,
    sexes: [u64; SEXES.len()],
    words: Vec<u32>,
}

impl Tally {
    /// Counts one article by its patients, who share licence, year and subjects.
    pub fn add(&mut self, reports: &[Report]) {
        let Some(first) = reports.first() else { return };
        self.articles += 1;
        let licensed = self.licences.entry(first.licence).or_default();
        licensed.articles += 1;
        licensed.patients += reports.len() as u64;
        match first.year {
            Some(year) => *self.years.entry(year).or_default() += 1,
            None => self.year_not_stated += 1,
        }
        let named = specialty::named(&first.subjects);
        self.specialty_not_stated += u64::from(named.is_empty());
        for specialty in named {
            *self.specialties.entry(specialty).or_default() += 1;
        }
        for report in reports {
            match report.age.map(age_group) {
                Some(group) => self.ages[group] += 1,
                None => self.age_not_stated += 1,
            }
            let sex = SEXES.iter().position(|(sex, _)| *sex == report.sex).expect("all three are listed");
            self.sexes[sex] += 1;
            let words = report.report.split_whitespace().count();
            self.words.push(u32::try_from(words).unwrap_or(u32::MAX));
        }
    }

    /// What was counted.
    pub fn finish(mut self) -> CorpusFigures {
        let rows = |names: &mut dyn Iterator<Item = &'static str>, counts: &[u64]| -> Vec<Count> {
            names.zip(counts).map(|(name, count)| Count { name: name.to_owned(), count: *count }).collect()
        };
        let mut ages = rows(&mut AGE_GROUPS.iter().map(|(_, name)| *name), &self.ages);
        ages.push(Count { name: "not stated".to_owned(), count: self.age_not_stated });
        let mut lengths = [0; LENGTHS.len()];
        for words in &self.words {
            lengths[band(&LENGTHS, *words)] += 1;
        }
        self.words.sort_unstable();
        let rank = |percent: usize| {
            self.words.get((self.words.len() * percent).div_ceil(100).max(1) - 1).copied().unwrap_or(0)
        };
        let mut specialties: Vec<Count> =
            self.specialties.iter().map(|(name, count)| Count { name: (*name).to_owned(), count: *count }).collect();
        // Stable, so that those equally often named stay in the order of the alphabet.
        specialties.sort_by_key(|row| std::cmp::Reverse(row.count));
        CorpusFigures {
            articles: self.articles,
            patients: self.words.len() as u64,
            licences: self.licences,
            years: self.years,
            year_not_stated: self.year_not_stated,
            specialties,
            specialty_not_stated: self.specialty_not_stated,
            ages,
            sexes: rows(&mut SEXES.iter().map(|(_, name)| *name), &self.sexes),
            lengths: rows(&mut LENGTHS.iter().map(|(_, name)| *name), &lengths),
            words: [0, 5, 50, 95, 100].map(rank),
        }
    }
}

/// The last band that begins at `value` or below.
fn band<T: PartialOrd + Copy>(bands: &[(T, &str)], value: T) -> usize {
    bands.partition_point(|(from, _)| *from <= value).max(1) - 1
}

fn age_group(age: Age) -> usize {
    let days = match age.unit {
        AgeUnit::Year => age.value * YEAR,
        AgeUnit::Month => age.value * MONTH,
        AgeUnit::Week => age.value * 7.0,
        AgeUnit::Day => age.value,
    };
    // Rounded, so that a year and twelve twelfths of one are the same.
    band(&AGE_GROUPS, days.round())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_fall_where_the_subject_headings_put_them() {
        for (value, unit, group) in [
            (0.0, AgeUnit::Day, "newborn (to 1 month)"),
            (29.0, AgeUnit::Day, "newborn (to 1 month)"),
            (4.0, AgeUnit::Week, "newborn (to 1 month)"),
            (1.0, AgeUnit::Month, "infant (1 to 23 months)"),
            (23.0, AgeUnit::Month, "infant (1 to 23 months)"),
            (24.0, AgeUnit::Month, "preschool child (2 to 5)"),
            (1.0, AgeUnit::Year, "infant (1 to 23 months)"),
            (5.0, AgeUnit::Year, "preschool child (2 to 5)"),
            (6.0, AgeUnit::Year, "child (6 to 12)"),
            (18.0, AgeUnit::Year, "adolescent (13 to 18)"),
            (44.0, AgeUnit::Year, "adult (25 to 44)"),
            (79.0, AgeUnit::Year, "aged (65 to 79)"),
            (104.0, AgeUnit::Year, "aged (80 and over)"),
        ] {
            assert_eq!(AGE_GROUPS[age_group(Age { value, unit })].1, group, "{value} {unit:?}");
        }
    }
}
