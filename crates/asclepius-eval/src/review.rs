//! Rows for clinicians to rate without knowing what wrote them, and their ratings read back.
//!
//! A sheet shows report, note, question and answer under a code; which row, task and teacher a code stands for is in
//! a key that raters do not get. Sampled rows are spread over the tasks and mixed; the same data and seed give the same
//! sheet.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use asclepius_schema::{Instruction, Task, hash_bytes};
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment};
use serde::{Deserialize, Serialize};

use crate::EvalError;
use crate::agreement::{Agreement, Item};

/// What is asked about a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Scale {
    /// Its column in the sheet.
    pub name: &'static str,
    /// The question to the rater.
    pub asks: &'static str,
    /// What 1, 2, 3 and 4 mean.
    pub anchors: [&'static str; 4],
}

/// Every scale, each from 1 (worst) to 4 (best). The last is the one models' answers are judged by, too.
pub const SCALES: [Scale; 3] = [
    Scale {
        name: "note_faithful",
        asks: "Does the note say what the report says?",
        anchors: [
            "a finding, drug, value or course that the report contradicts or does not state, and that would matter",
            "something the report does not state, of little consequence",
            "nothing wrong, but something that matters is left out",
            "nothing wrong, nothing that matters left out",
        ],
    },
    Scale {
        name: "note_realistic",
        asks: "Could the note be from a hospital's records?",
        anchors: ["plainly not", "rather not", "rather so", "could not be told from one"],
    },
    Scale {
        name: "answer_right",
        asks: "Is the answer right, going by the note alone?",
        anchors: [
            "something wrong or beside the question, or an answer where the note gives none",
            "nothing wrong, but something crucial is missing",
            "nothing wrong, something minor is missing",
            "complete, or rightly says that the note does not tell",
        ],
    },
];

/// The greatest rating; the least is 1.
pub const BEST: u8 = 4;

/// One row of the sheet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// Its code.
    pub item: String,
    /// The published report.
    pub report: String,
    /// The note written from it.
    pub note: String,
    /// The question about the note.
    pub question: String,
    /// Its answer.
    pub answer: String,
    /// What the code stands for.
    #[serde(skip)]
    pub key: Key,
}

/// What a code stands for; raters do not see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// The code.
    pub item: String,
    /// The row.
    pub row_id: String,
    /// Its task, by its short name.
    pub task: String,
    /// The model that wrote it.
    pub teacher_model: String,
    /// Whether the note was not to answer the question.
    pub unanswerable: bool,
}

/// Draws `count` of the rows, as evenly over the tasks as there are rows, in an order that gives nothing away.
/// `report_of` finds a row's report.
pub fn draw<'a>(
    rows: &[Instruction],
    count: usize,
    seed: u64,
    report_of: impl Fn(&Instruction) -> Option<&'a str>,
) -> Vec<Sample> {
    let place = |purpose: &str, row: &Instruction| hash_bytes(format!("{purpose} {seed} {}", row.row_id()).as_bytes());
    let mut by_task: BTreeMap<Task, Vec<&Instruction>> = BTreeMap::new();
    for row in rows {
        by_task.entry(row.task).or_default().push(row);
    }
    // In turns, so that a task with few rows leaves its share to the others.
    let mut drawn: Vec<(usize, String, &Instruction)> = Vec::new();
    for rows in by_task.values_mut() {
        rows.sort_by_cached_key(|row| place("draw", row));
        drawn.extend(rows.iter().enumerate().map(|(turn, row)| (turn, place("turn", row), *row)));
    }
    drawn.sort_by(|left, right| (left.0, &left.1).cmp(&(right.0, &right.1)));
    drawn.truncate(count);
    drawn.sort_by_cached_key(|(_, _, row)| place("order", row));
    let sample = |(number, (_, _, row)): (usize, &(usize, String, &Instruction))| {
        let item = format!("R{:03}", number + 1);
        Sample {
            report: report_of(row).unwrap_or_default().to_owned(),
            note: row.note.clone(),
            question: row.question.clone(),
            answer: row.answer.clone(),
            key: Key {
                item: item.clone(),
                row_id: row.row_id(),
                task: row.task.key().to_owned(),
                teacher_model: row.teacher_model.clone(),
                unanswerable: row.unanswerable,
            },
            item,
        }
    };
    drawn.iter().enumerate().map(sample).collect()
}

/// The sheet as CSV: code, texts, an empty column a scale, and one for remarks.
///
/// # Errors
/// Never for text; the CSV writer's interface allows for it.
pub fn csv_sheet(samples: &[Sample]) -> Result<Vec<u8>, EvalError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let header = ["item", "report", "note", "question", "answer"].into_iter();
    writer.write_record(header.chain(SCALES.map(|scale| scale.name)).chain(["remark"]))?;
    for sample in samples {
        let texts =
            [&sample.item, &sample.report, &sample.note, &sample.question, &sample.answer].map(|text| cell(text));
        let empty = std::iter::repeat_n(String::new(), SCALES.len() + 1);
        writer.write_record(texts.into_iter().chain(empty))?;
    }
    finished(writer)
}

/// The key as CSV.
///
/// # Errors
/// Never for text; the CSV writer's interface allows for it.
pub fn csv_key(samples: &[Sample]) -> Result<Vec<u8>, EvalError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for sample in samples {
        writer.serialize(&sample.key)?;
    }
    finished(writer)
}

fn finished(writer: csv::Writer<Vec<u8>>) -> Result<Vec<u8>, EvalError> {
    writer.into_inner().map_err(|error| EvalError::Io(error.into_error()))
}

/// A text that a spreadsheet would take for a formula gets a space in front.
fn cell(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!(" {text}") } else { text.to_owned() }
}

/// The sheet as one HTML page, which saves the ratings as the CSV file that [`Ratings::read`] takes. It asks the network
/// for nothing.
///
/// # Errors
/// When the template fails.
pub fn html_sheet(name: &str, samples: &[Sample]) -> Result<String, EvalError> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_template("review", include_str!("review.html.jinja"))?;
    let context = serde_json::json!({ "name": name, "samples": samples, "scales": SCALES, "best": BEST });
    Ok(environment.get_template("review")?.render(Serde(context))?)
}

/// Ratings of one or more raters over the same items.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ratings {
    /// Raters, in the order they were read.
    pub raters: Vec<String>,
    /// By item, scale and rater.
    given: BTreeMap<String, [Vec<Option<u8>>; SCALES.len()]>,
}

impl Ratings {
    /// Reads one file a rater: a sheet with its scales filled in, as far as the rater got. The rater is called as the
    /// file is, without its ending.
    ///
    /// # Errors
    /// When a file cannot be read, has no `item` column or none of the scales, names an item twice, or holds something
    /// else than 1 to 4 or nothing; the file, line and column are named. Two files of one name are refused, too.
    pub fn read(paths: &[PathBuf]) -> Result<Self, EvalError> {
        let mut ratings = Self::default();
        for path in paths {
            let rater = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if ratings.raters.contains(&rater) {
                return Err(EvalError::Ratings {
                    path: path.clone(),
                    line: 0,
                    problem: format!("a rater called {rater} was read already"),
                });
            }
            ratings.raters.push(rater);
            ratings.read_one(path)?;
        }
        Ok(ratings)
    }

    fn read_one(&mut self, path: &Path) -> Result<(), EvalError> {
        let rater = self.raters.len() - 1;
        let wrong = |line, problem: String| EvalError::Ratings { path: path.to_owned(), line, problem };
        // Spreadsheets write a byte order mark and either separator.
        let text = fs_err::read_to_string(path)?;
        let text = text.trim_start_matches('\u{feff}');
        let header = text.lines().next().unwrap_or_default();
        let separator = if header.contains(';') && !header.contains(',') { b';' } else { b',' };
        let mut reader = csv::ReaderBuilder::new().delimiter(separator).from_reader(text.as_bytes());
        let broken = |error: csv::Error| {
            let line = error.position().map_or(0, csv::Position::line);
            wrong(line, error.to_string())
        };
        let columns = reader.headers().map_err(broken)?.clone();
        let column = |name: &str| columns.iter().position(|column| column.trim() == name);
        let item_at = column("item").ok_or_else(|| wrong(1, "no column \"item\"".to_owned()))?;
        let scales = SCALES.map(|scale| column(scale.name));
        if scales.iter().all(Option::is_none) {
            let names = SCALES.map(|scale| scale.name).join(", ");
            return Err(wrong(1, format!("none of the columns {names}")));
        }
        let mut seen = BTreeSet::new();
        for record in reader.records() {
            let record = record.map_err(broken)?;
            let line = record.position().map_or(0, csv::Position::line);
            let item = record.get(item_at).unwrap_or_default().trim().to_owned();
            if item.is_empty() {
                return Err(wrong(line, "no item".to_owned()));
            }
            if !seen.insert(item.clone()) {
                return Err(wrong(line, format!("item {item} a second time")));
            }
            let given = self.given.entry(item.clone()).or_default();
            for (scale, at) in scales.iter().enumerate() {
                let text = at.and_then(|at| record.get(at)).unwrap_or_default().trim();
                let value = match text.parse::<u8>() {
                    _ if text.is_empty() => None,
                    Ok(value) if (1..=BEST).contains(&value) => Some(value),
                    _ => {
                        let name = SCALES[scale].name;
                        return Err(wrong(line, format!("item {item}: {name} is {text:?}, not 1 to {BEST} or empty")));
                    }
                };
                given[scale].resize(rater, None);
                given[scale].push(value);
            }
        }
        Ok(())
    }

    /// Refuses items that a key does not hold: the sheets are of another draw.
    ///
    /// # Errors
    /// Naming the first such item.
    pub fn check_against(&self, key: &HashMap<String, Key>, path: &Path) -> Result<(), EvalError> {
        match self.given.keys().find(|item| !key.contains_key(*item)) {
            None => Ok(()),
            Some(item) => Err(EvalError::Ratings {
                path: path.to_owned(),
                line: 0,
                problem: format!("item {item} was rated, but is not in the key: is it another sheet's?"),
            }),
        }
    }

    /// Agreement on each scale, over the items that `chosen` takes.
    pub fn agreement(&self, chosen: impl Fn(&str) -> bool) -> BTreeMap<&'static str, Agreement> {
        let of = |scale: usize| -> Vec<Item> {
            let items = self.given.iter().filter(|(item, _)| chosen(item));
            items
                .map(|(_, given)| {
                    let mut item = given[scale].clone();
                    item.resize(self.raters.len(), None);
                    item
                })
                .collect()
        };
        SCALES.iter().enumerate().map(|(at, scale)| (scale.name, Agreement::over(&of(at)))).collect()
    }
}

/// Reads what [`csv_key`] wrote, by item.
///
/// # Errors
/// When the file cannot be read or is no key.
pub fn read_key(path: &Path) -> Result<HashMap<String, Key>, EvalError> {
    let text = fs_err::read(path)?;
    let mut key = HashMap::new();
    for row in csv::Reader::from_reader(text.as_slice()).deserialize() {
        let row: Key = row.map_err(|error| EvalError::Ratings {
            path: path.to_owned(),
            line: error.position().map_or(0, csv::Position::line),
            problem: error.to_string(),
        })?;
        key.insert(row.item.clone(), row);
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(count: usize) -> Vec<Instruction> {
        let row = |number: usize| {
            // One task in ten rows is rare.
            let task = if number.is_multiple_of(10) { Task::Summary } else { Task::Qa };
            let note = format!("=note {number}, \"quoted\"\n<b>second</b> line");
            Instruction { note, ..crate::test_rows::row(number, 0, task) }
        };
        (0..count).map(row).collect()
    }

    fn drawn(rows: &[Instruction], seed: u64) -> Vec<Sample> {
        draw(rows, 12, seed, |_| Some("the report"))
    }

    #[test]
    fn draws_are_even_over_tasks_and_repeat() {
        let mut rows = rows(60);
        let samples = drawn(&rows, 3);
        assert_eq!(samples.iter().filter(|sample| sample.key.task == "summary").count(), 6);
        assert_ne!(samples, drawn(&rows, 4));
        rows.reverse();
        assert_eq!(samples, drawn(&rows, 3));
        assert_eq!(drawn(&rows[..5], 3).len(), 5);
    }

    #[test]
    fn sheets_are_blind_and_the_key_is_not() {
        let samples = drawn(&rows(60), 3);
        let sheet = String::from_utf8(csv_sheet(&samples).expect("written")).expect("text");
        let page = html_sheet("demo", &samples).expect("rendered");
        for text in [&sheet, &page] {
            assert!(!text.contains("some-teacher") && !text.contains("PMC") && !text.contains("summary"), "{text}");
        }
        assert!(page.contains("&lt;b&gt;second") && !page.contains("<b>second"));
        assert!(!page.contains("http"), "the page asks the network for nothing");
        assert!(sheet.contains("\" =note") && sheet.contains(", - that one") || sheet.contains(" - that one"));
        let key = String::from_utf8(csv_key(&samples).expect("written")).expect("text");
        assert!(key.contains("some-teacher") && key.contains("PMC"));
    }

    #[test]
    fn ratings_come_back_by_item_whatever_their_order() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = |name: &str| directory.path().join(name);
        let samples = drawn(&rows(60), 3);
        fs_err::write(path("key.csv"), csv_key(&samples).expect("written")).expect("writable");
        fs_err::write(path("ann.csv"), "item,note_faithful,answer_right\nR001,4,1\nR002,3,\n").expect("writable");
        fs_err::write(path("ben.csv"), "\u{feff}item;answer_right;note_faithful\r\nR003;2;2\r\nR001;1;4\r\n")
            .expect("writable");
        // A sheet nobody has filled in holds no rating: texts and scales have columns of their own.
        fs_err::write(path("sheet.csv"), csv_sheet(&samples).expect("written")).expect("writable");
        let unrated = Ratings::read(&[path("sheet.csv")]).expect("readable").agreement(|_| true);
        assert!(unrated.len() == SCALES.len() && unrated.values().all(|found| found.ratings == 0));
        let ratings = Ratings::read(&[path("ann.csv"), path("ben.csv")]).expect("readable");
        assert_eq!(ratings.raters, ["ann", "ben"]);
        let key = read_key(&path("key.csv")).expect("readable");
        ratings.check_against(&key, &path("key.csv")).expect("of this draw");
        let found = ratings.agreement(|_| true);
        let faithful = &found["note_faithful"];
        assert_eq!((faithful.items, faithful.items_compared, faithful.raters, faithful.ratings), (3, 1, 2, 4));
        assert_eq!(faithful.exact, Some(1.0));
        assert_eq!(found["note_realistic"].ratings, 0);
        assert_eq!(ratings.agreement(|item| item == "R002")["note_faithful"].ratings, 1);
        let other = HashMap::from([("R001".to_owned(), key["R001"].clone())]);
        let error = ratings.check_against(&other, &path("key.csv")).expect_err("another draw").to_string();
        assert!(error.contains("R002"), "{error}");
    }

    #[test]
    fn wrong_ratings_are_named_by_file_line_and_column() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("ann.csv");
        for (text, words) in [
            ("item,answer_right\nR001,4\nR002,5\n", "ann.csv, line 3: item R002: answer_right is \"5\""),
            ("item,answer_right\nR001,good\n", "line 2"),
            ("item,answer_right\nR001,1\nR001,2\n", "R001 a second time"),
            ("item,remark\nR001,1\n", "none of the columns"),
            ("row,answer_right\nR001,1\n", "no column \"item\""),
            ("item,answer_right\n,1\n", "no item"),
        ] {
            fs_err::write(&path, text).expect("writable");
            let error = Ratings::read(std::slice::from_ref(&path)).expect_err("wrong").to_string();
            assert!(error.contains(words), "{error}");
        }
        fs_err::write(&path, "item,answer_right\nR001,1\n").expect("writable");
        assert!(Ratings::read(&[path.clone(), path]).is_err());
    }
}
