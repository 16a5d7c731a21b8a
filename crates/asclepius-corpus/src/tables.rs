//! A table as text: a line a row, the rows of its head as one, spans filled.

use crate::prose;
use crate::xml::Element;

/// More than any table about a patient has; what is larger is a data set.
const CELLS: usize = 4000;
const BYTES: usize = 48 << 10;
const COLUMNS: usize = 60;

/// A table that is none about a patient.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLarge {
    /// How many rows were read before that was clear.
    pub rows: usize,
}

/// Rows of equal width, as far as they have been filled.
#[derive(Default)]
struct Grid {
    head: Vec<Vec<String>>,
    body: Vec<Vec<String>>,
    /// Of each column, what reaches down from above and for how many more rows.
    hanging: Vec<(usize, String)>,
    cells: usize,
    bytes: usize,
}

/// The text of a `<table-wrap>`; `None` when it holds no rows, as where a table is a picture.
///
/// # Errors
/// [`TooLarge`]: nothing of it is kept.
pub(crate) fn text(wrap: Element<'_>, label: &str) -> Result<Option<String>, TooLarge> {
    let mut lines: Vec<String> = (!label.is_empty()).then(|| label.to_owned()).into_iter().collect();
    let before = lines.len();
    let mut tables = Vec::new();
    wrap.walk(|element| {
        let found = element.name() == "table";
        if found {
            tables.push(element);
        }
        found
    });
    let (mut cells, mut bytes) = (0, 0);
    for table in tables {
        let mut grid = Grid { cells, bytes, ..Grid::default() };
        grid.rows(table, false)?;
        (cells, bytes) = (grid.cells, grid.bytes);
        grid.lines(&mut lines);
    }
    if lines.len() == before {
        return Ok(None);
    }
    for foot in wrap.elements().filter(|element| element.name() == "table-wrap-foot") {
        notes(foot, &mut lines);
    }
    let text = lines.join("\n");
    if text.len() > 2 * BYTES { Err(TooLarge { rows: lines.len() }) } else { Ok(Some(text)) }
}

/// Footnotes, a line each, with their marks.
fn notes(element: Element<'_>, lines: &mut Vec<String>) {
    let mut mark = String::new();
    for child in element.elements() {
        match child.name() {
            "label" => mark = child.text(),
            "p" => {
                for paragraph in prose::paragraphs(child) {
                    let mark = std::mem::take(&mut mark);
                    lines.push(if mark.is_empty() { paragraph.text } else { format!("{mark} {}", paragraph.text) });
                }
            }
            "permissions" | "attrib" => {}
            _ => notes(child, lines),
        }
    }
}

impl Grid {
    fn rows(&mut self, element: Element<'_>, head: bool) -> Result<(), TooLarge> {
        for child in element.elements() {
            match child.name() {
                "tr" | "row" => self.row(child, head)?,
                "thead" => {
                    self.rows(child, true)?;
                    self.hanging.clear();
                }
                "tbody" | "tfoot" | "tgroup" => {
                    self.rows(child, false)?;
                    // A span ends with its part of the table.
                    self.hanging.clear();
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn row(&mut self, row: Element<'_>, in_head: bool) -> Result<(), TooLarge> {
        let mut filled: Vec<String> = Vec::new();
        let cells: Vec<Element<'_>> =
            row.elements().filter(|cell| matches!(cell.name(), "td" | "th" | "entry")).collect();
        // A head without `<thead>`: first rows of nothing but head cells.
        let head =
            in_head || (self.body.is_empty() && !cells.is_empty() && cells.iter().all(|cell| cell.name() == "th"));
        for cell in cells.iter().copied() {
            self.hang(&mut filled)?;
            let text = cell_text(cell);
            let (columns, rows) = spans(cell);
            for _ in 0..columns.min(COLUMNS.saturating_sub(filled.len())) {
                if rows > 1 {
                    let column = filled.len();
                    if self.hanging.len() <= column {
                        self.hanging.resize(column + 1, (0, String::new()));
                    }
                    self.hanging[column] = (rows - 1, text.clone());
                }
                self.take(text.len())?;
                filled.push(text.clone());
            }
        }
        self.hang(&mut filled)?;
        if filled.iter().all(String::is_empty) {
            return Ok(());
        }
        // A heading over the rows that follow it stands once.
        if cells.len() == 1 && !head && filled.len() > 1 && filled.iter().all(|cell| *cell == filled[0]) {
            filled.truncate(1);
        }
        if head { &mut self.head } else { &mut self.body }.push(filled);
        Ok(())
    }

    /// Fills the next columns with what reaches down into them.
    fn hang(&mut self, filled: &mut Vec<String>) -> Result<(), TooLarge> {
        while let Some((left, text)) = self.hanging.get_mut(filled.len()).filter(|(left, _)| *left > 0) {
            *left -= 1;
            filled.push(text.clone());
            self.take(filled.last().map_or(0, String::len))?;
        }
        Ok(())
    }

    fn take(&mut self, bytes: usize) -> Result<(), TooLarge> {
        (self.cells, self.bytes) = (self.cells + 1, self.bytes + bytes);
        let rows = self.head.len() + self.body.len() + 1;
        if self.cells > CELLS || self.bytes > BYTES { Err(TooLarge { rows }) } else { Ok(()) }
    }

    fn lines(self, lines: &mut Vec<String>) {
        let line = |cells: &[String]| format!("| {} |", cells.join(" | "));
        if !self.head.is_empty() {
            let width = self.head.iter().map(Vec::len).max().unwrap_or_default();
            let mut head = vec![String::new(); width];
            for (column, text) in head.iter_mut().enumerate() {
                let (mut last, mut between) = ("", "");
                for row in &self.head {
                    let Some(part) = row.get(column).filter(|part| !part.is_empty() && *part != last) else { continue };
                    text.push_str(between);
                    text.push_str(part);
                    // "Day: 1" below a name for several columns, "Before surgery" of one over two rows.
                    let mut beside = [column.checked_sub(1), Some(column + 1)].into_iter().flatten();
                    between = if beside.any(|at| row.get(at) == Some(part)) { ": " } else { " " };
                    last = part;
                }
            }
            lines.push(line(&head));
            lines.push(line(&vec!["---".to_owned(); width]));
        }
        lines.extend(self.body.iter().map(|row| line(row)));
    }
}

fn cell_text(cell: Element<'_>) -> String {
    let paragraphs = prose::paragraphs(cell).into_iter().map(|paragraph| paragraph.text);
    paragraphs.collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// How many columns and rows a cell reaches over; what makes no sense counts as one.
fn spans(cell: Element<'_>) -> (usize, usize) {
    let (mut columns, mut rows, mut first, mut last) = (1, 1, None, None);
    for (name, value) in cell.attributes() {
        let number = value.trim().parse::<usize>().ok();
        let column = || value.trim_start_matches(|character: char| !character.is_ascii_digit()).parse::<usize>().ok();
        match name {
            "colspan" => columns = number.unwrap_or(1),
            "rowspan" => rows = number.unwrap_or(1),
            // The other model of tables counts the rows below, and names columns, as a rule by number.
            "morerows" => rows = number.unwrap_or(0).saturating_add(1),
            "namest" => first = column(),
            "nameend" => last = column(),
            _ => {}
        }
    }
    if let Some(reach) = first.zip(last).and_then(|(first, last): (usize, usize)| last.checked_sub(first)) {
        columns = reach.saturating_add(1);
    }
    (columns.clamp(1, COLUMNS), rows.max(1))
}
