//! The held-out sets: notes, the run's own instructions, further files of instructions, and text of any other kind.

use std::path::{Path, PathBuf};

use asclepius_dataset::{read_instructions_any, read_notes};
use asclepius_schema::Instruction;

use crate::EvalError;
use crate::answers::{Question, choose};
use crate::candidate::Candidate;
use crate::held_out::{HeldOutText, RowLoss, answer_loss, text_loss};

/// The set of the run's own instructions.
pub const ANSWERS: &str = "answers";
/// The set of notes.
pub const NOTES: &str = "notes";
/// The set of text that has nothing to do with notes.
pub const GENERAL: &str = "general";

/// Rows no model was trained on, in memory.
#[derive(Debug)]
pub struct HeldOutSets {
    /// By name: notes, and general text where there is some.
    texts: Vec<(&'static str, Vec<HeldOutText>)>,
    /// By name: [`ANSWERS`] for the run's own.
    instructions: Vec<(String, Vec<Instruction>)>,
}

/// The longest document of each kind, in tokens; longer ones are split (notes) or shortened at the note (instructions).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lengths {
    /// Notes.
    pub notes: usize,
    /// Instructions.
    pub instructions: usize,
}

/// Losses of one model.
#[derive(Debug, Default)]
pub struct Losses {
    /// Row by row.
    pub rows: Vec<RowLoss>,
    /// Rows that do not fit even without their note.
    pub too_long: Vec<String>,
}

impl HeldOutSets {
    /// Reads the run's held-out notes and instructions, further sets, which are named after their files, and general text.
    ///
    /// # Errors
    /// When a file cannot be read, two sets have the same name, or the general text is none.
    pub fn load(
        notes: &Path,
        instructions: &Path,
        further: &[PathBuf],
        general: Option<&Path>,
    ) -> Result<Self, EvalError> {
        let mut held_out = Vec::new();
        for note in read_notes(notes)? {
            let note = note?;
            let (row, article) = (note.report_id.to_string(), note.article_id.to_string());
            held_out.push(HeldOutText { row, article, text: note.note });
        }
        let mut texts = vec![(NOTES, held_out)];
        texts.extend(general.map(|path| Ok::<_, EvalError>((GENERAL, general_texts(path)?))).transpose()?);
        let mut sets = vec![(ANSWERS.to_owned(), read_instructions_any(instructions)?.collect::<Result<_, _>>()?)];
        for path in further {
            let name = path.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
            let taken = [NOTES, GENERAL].contains(&name.as_str()) || sets.iter().any(|(known, _)| *known == name);
            if taken {
                let problem = format!("{}: there is another set called {name:?}; rename the file", path.display());
                return Err(EvalError::Config { key: "sets".to_owned(), problem });
            }
            sets.push((name, read_instructions_any(path)?.collect::<Result<_, _>>()?));
        }
        Ok(Self { texts, instructions: sets })
    }

    /// At most `count` questions of each set. The run's own rows say whether they can be answered; those of another file do
    /// where any is marked.
    pub fn questions(&self, count: usize) -> Vec<Question> {
        let sets = self.instructions.iter();
        sets.flat_map(|(name, rows)| {
            let labelled = name == ANSWERS || rows.iter().any(|row| row.unanswerable);
            choose(rows, count).into_iter().map(move |row| Question { set: name.clone(), row, labelled })
        })
        .collect()
    }

    /// The names of the sets of instructions.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.instructions.iter().map(|(name, _)| name.as_str())
    }

    /// The candidate's loss on at most `most` rows of every set, spread evenly.
    ///
    /// # Errors
    /// When a row cannot be tokenised or the model fails.
    pub fn losses(&self, candidate: &Candidate, lengths: Lengths, most: Option<usize>) -> Result<Losses, EvalError> {
        let mut losses = Losses::default();
        for (name, texts) in &self.texts {
            for text in evenly(texts, most) {
                losses.rows.push(text_loss(candidate, name, text, lengths.notes)?);
            }
        }
        for (name, rows) in &self.instructions {
            for row in evenly(rows, most) {
                match answer_loss(candidate, name, row, lengths.instructions)? {
                    Some(loss) => losses.rows.push(loss),
                    None => losses.too_long.push(row.row_id()),
                }
            }
        }
        Ok(losses)
    }
}

/// Texts of a file, a blank line between two; each is an article of its own to the bootstrap.
fn general_texts(path: &Path) -> Result<Vec<HeldOutText>, EvalError> {
    let problem = |problem: &str| EvalError::Config {
        key: "general".to_owned(),
        problem: format!("= {}: {problem}", path.display()),
    };
    let bytes = fs_err::read(path)?;
    let text = String::from_utf8(bytes).map_err(|_| problem("is not UTF-8"))?.replace("\r\n", "\n");
    let mut texts: Vec<String> = vec![String::new()];
    for line in text.lines() {
        match texts.last_mut() {
            Some(last) if !line.trim().is_empty() => {
                if !last.is_empty() {
                    last.push('\n');
                }
                last.push_str(line);
            }
            _ => texts.push(String::new()),
        }
    }
    texts.retain(|text| !text.is_empty());
    if texts.is_empty() {
        return Err(problem("holds no text"));
    }
    let named = texts.into_iter().enumerate().map(|(index, text)| {
        let row = format!("text-{}", index + 1);
        HeldOutText { article: row.clone(), row, text }
    });
    Ok(named.collect())
}

/// At most `most` of the rows, at even distances.
fn evenly<T>(rows: &[T], most: Option<usize>) -> impl Iterator<Item = &T> {
    let count = most.unwrap_or(usize::MAX).min(rows.len());
    (0..count).map(move |index| &rows[index * rows.len() / count])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_taken_at_even_distances() {
        let rows: Vec<usize> = (0..10).collect();
        let taken = |most| evenly(&rows, most).copied().collect::<Vec<_>>();
        assert_eq!(taken(Some(3)), [0, 3, 6]);
        assert_eq!(taken(Some(99)).len(), 10);
        assert_eq!(taken(None).len(), 10);
        assert_eq!(evenly(&rows[..0], Some(2)).count(), 0);
    }

    #[test]
    fn general_text_is_parted_by_blank_lines() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("general.txt");
        fs_err::write(&path, "\n\nFirst line\nsecond\r\n\n  \nOther text\n").expect("writable");
        let texts: Vec<_> = general_texts(&path).expect("two texts").into_iter().map(|text| text.text).collect();
        assert_eq!(texts, ["First line\nsecond", "Other text"]);
        fs_err::write(&path, " \n").expect("writable");
        let error = general_texts(&path).expect_err("empty").to_string();
        assert!(error.contains("eval.general") && error.contains("general.txt"), "{error}");
        fs_err::write(&path, [0xff, 0xfe]).expect("writable");
        assert!(general_texts(&path).expect_err("bytes").to_string().contains("UTF-8"));
    }
}
