//! An evaluation for people: the numbers of the tables with their intervals, for the page and for Markdown.

use serde::Serialize;

use crate::judge::JudgeReport;
use crate::measures::{FAITHFULNESS, lower_is_better, of_table, tables, title};
use crate::realism::Realism;
use crate::results::{AnsweredQuestion, Difference, Evaluation, HeldOutLoss, Kind, TaskScore};
use crate::statistics::Spread;

/// Questions whose answers stand side by side in the open: one a task.
const OPEN: usize = 4;

/// A number with its interval, as text and as a place on a line from 0 to 1.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Cell {
    /// The value; a dash where there is nothing to measure.
    pub text: String,
    /// `0.31 to 0.52`; empty without one.
    pub interval: String,
    /// Where value and interval lie, in per cent of the line.
    pub line: Option<[f64; 3]>,
    /// The best of its row.
    pub best: bool,
    /// For a difference: `better`, `worse`, or empty where the interval holds 0.
    pub verdict: &'static str,
}

/// One row of a table of scores.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScoreRow {
    /// The table's title.
    pub task: String,
    /// The measure.
    pub measure: String,
    /// Rows and articles it is over.
    pub rows: usize,
    /// See `rows`.
    pub articles: usize,
    /// One a model.
    pub cells: Vec<Cell>,
    /// What the last of the run's models has over the first.
    pub difference: Cell,
    /// Whether it is its table's first measure.
    pub first: bool,
}

/// One row of the table of losses.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LossRow {
    /// The model.
    pub model: String,
    /// Nats a token (perplexity), bits a byte, and bits a byte over the first model: one of each a set.
    pub cells: Vec<[Cell; 3]>,
}

/// How often 1, 2, 3 and 4 were given: in per cent, and counted.
pub type Shares = [(f64, usize); 4];

/// What a judge gave each model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JudgeTable {
    /// Who rated, how often, and how far it agrees with itself.
    pub sentence: String,
    /// Model, mean rating, shares, difference to the first.
    pub rows: Vec<(String, Cell, Shares, Cell)>,
}

/// What a model trained on real notes makes of three kinds of text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RealismTable {
    /// Which model it is, and how far the synthetic notes are from the other two kinds.
    pub sentence: String,
    /// Kind, texts, nats a token (perplexity), bits a byte.
    pub rows: Vec<(String, usize, Cell, Cell)>,
}

/// The tables of one evaluation.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Scoreboard {
    /// Models of the tables of scores.
    pub models: Vec<String>,
    /// Sets of the table of losses, with what they are over.
    pub loss_sets: Vec<String>,
    /// The table of losses.
    pub losses: Vec<LossRow>,
    /// For each set of instructions its rows.
    pub sets: Vec<(String, Vec<ScoreRow>)>,
    /// The two models whose difference is shown: the first, and the last of the run's own.
    pub compared: Option<(String, String)>,
    /// How much the notes read like real ones, where that was asked.
    pub realism: Option<RealismTable>,
    /// The judge's ratings, where one was asked.
    pub judge: Option<JudgeTable>,
    /// One sentence a model that needs one: what it is, what was cut off or not answered.
    pub remarks: Vec<String>,
    /// How answers were drawn and intervals made.
    pub method: String,
    /// Questions with answers, those in the open first.
    pub open: Vec<AnsweredQuestion>,
    /// The others.
    pub more: Vec<AnsweredQuestion>,
}

impl Scoreboard {
    /// Lays an evaluation out.
    pub fn new(evaluation: &Evaluation) -> Self {
        let models: Vec<String> = evaluation.models.iter().map(|model| model.name.clone()).collect();
        let own =
            evaluation.models.iter().rev().find(|model| model.kind != Kind::Compared).map(|model| model.name.clone());
        let compared = own.or_else(|| models.last().cloned()).zip(models.first().cloned());
        let compared = compared.filter(|(last, first)| last != first).map(|(last, first)| (first, last));
        let (open, more) = side_by_side(&evaluation.answers);
        let mut board = Self {
            judge: evaluation.judge.as_ref().map(judge_table),
            realism: evaluation.realism.as_ref().map(realism_table),
            remarks: remarks(evaluation),
            method: method(evaluation),
            open,
            more,
            compared,
            ..Self::default()
        };
        (board.loss_sets, board.losses) = losses(evaluation);
        let mut sets: Vec<&str> = Vec::new();
        for row in &evaluation.scores {
            if !sets.contains(&row.set.as_str()) {
                sets.push(&row.set);
            }
        }
        for set in sets.into_iter().filter(|set| evaluation.answers.iter().any(|row| row.set == **set)) {
            let rows = tables().flat_map(|table| board.rows(evaluation, &models, set, table)).collect();
            board.sets.push((set.to_owned(), rows));
        }
        board.models = models;
        board
    }

    fn rows(&self, evaluation: &Evaluation, models: &[String], set: &str, table: &str) -> Vec<ScoreRow> {
        let row = |(index, measure): (usize, &&str)| {
            let scores = models.iter().map(|model| {
                let mut of_model = evaluation.scores.iter().filter(|row| row.model == *model);
                of_model.find(|row| row.set == set && row.task == table && row.measure == **measure)
            });
            let scores: Vec<Option<&TaskScore>> = scores.collect();
            let mut cells: Vec<Cell> = scores.iter().map(|score| score_cell(*score)).collect();
            // Who claims nothing is faithful: the most faithful is not the best.
            if table != FAITHFULNESS {
                mark_best(&mut cells, &scores, lower_is_better(measure));
            }
            let known = scores.iter().flatten().next();
            ScoreRow {
                task: title(table).to_owned(),
                measure: words(measure),
                rows: known.map_or(0, |score| score.rows),
                articles: known.map_or(0, |score| score.articles),
                cells,
                difference: self.difference(evaluation, (set, table, measure)),
                first: index == 0,
            }
        };
        of_table(table).iter().enumerate().map(row).collect()
    }

    fn difference(&self, evaluation: &Evaluation, (set, table, measure): (&str, &str, &str)) -> Cell {
        let Some((_, last)) = &self.compared else { return Cell::default() };
        let found = evaluation
            .differences
            .iter()
            .find(|row| row.model == *last && row.set == set && row.task == table && row.measure == measure);
        found.map_or_else(Cell::default, difference_cell)
    }
}

/// A measure's name for people.
pub(crate) fn words(measure: &str) -> String {
    measure.replace('_', " ").replace(" f1", " F1").replace("rouge l", "ROUGE-L")
}

fn interval(spread: Option<Spread>, digits: usize) -> String {
    spread.map_or_else(String::new, |spread| format!("{:.digits$} to {:.digits$}", spread.low, spread.high))
}

fn score_cell(score: Option<&TaskScore>) -> Cell {
    let Some((score, value)) = score.and_then(|score| Some((score, score.value?))) else {
        return Cell { text: "–".to_owned(), ..Cell::default() };
    };
    let line = score.spread.map_or([value, value, value], |spread| [value, spread.low, spread.high]);
    Cell {
        text: format!("{value:.3}"),
        interval: interval(score.spread, 2),
        line: Some(line.map(|place| (place * 1000.0).round() / 10.0)),
        ..Cell::default()
    }
}

fn mark_best(cells: &mut [Cell], scores: &[Option<&TaskScore>], lower: bool) {
    let values: Vec<Option<f64>> = scores.iter().map(|score| score.and_then(|score| score.value)).collect();
    let best = values.iter().flatten().copied().reduce(if lower { f64::min } else { f64::max });
    // Where all are equal none stands out.
    let differ = values.iter().flatten().any(|value| Some(*value) != best);
    for (cell, value) in cells.iter_mut().zip(values) {
        cell.best = differ && value.is_some() && value == best;
    }
}

fn difference_cell(row: &Difference) -> Cell {
    let better = if lower_is_better(&row.measure) { row.value < 0.0 } else { row.value > 0.0 };
    let sure = row.spread.is_some_and(|spread| spread.excludes_zero());
    let verdict = match (sure, better) {
        (false, _) => "",
        (true, true) => "better",
        (true, false) => "worse",
    };
    let signed = |value: f64| format!("{value:+.2}");
    Cell {
        text: format!("{:+.3}", row.value),
        interval: row
            .spread
            .map_or_else(String::new, |spread| format!("{} to {}", signed(spread.low), signed(spread.high))),
        verdict,
        ..Cell::default()
    }
}

/// Nats a token with the perplexity, and bits a byte.
fn loss_cells(row: &HeldOutLoss) -> [Cell; 2] {
    let nats = Cell {
        text: format!("{:.3} ({:.1})", row.loss, row.perplexity),
        interval: interval(row.loss_spread, 2),
        ..Cell::default()
    };
    let bits = row.bits_per_byte.map_or_else(Cell::default, |bits| Cell {
        text: format!("{bits:.3}"),
        interval: interval(row.bits_per_byte_spread, 2),
        ..Cell::default()
    });
    [nats, bits]
}

fn realism_table(realism: &Realism) -> RealismTable {
    let mut sentence = format!(
        "How likely a model that was trained on real notes ({}) finds each kind of text; the nearer the synthetic notes come to real \
         ones that it has not seen, the more they read like them.",
        realism.model
    );
    for row in &realism.differences {
        let interval = row.spread.map(|spread| format!(" ({:+.2} to {:+.2})", spread.low, spread.high));
        let interval = interval.unwrap_or_default();
        sentence
            .push_str(&format!(" Bits a byte of the {} less the {}: {:+.3}{interval}.", row.set, row.base, row.value));
    }
    let rows = realism.kinds.iter().map(|row| {
        let [nats, bits] = loss_cells(row);
        (row.set.clone(), row.rows, nats, bits)
    });
    RealismTable { sentence, rows: rows.collect() }
}

fn losses(evaluation: &Evaluation) -> (Vec<String>, Vec<LossRow>) {
    let (mut sets, mut models): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    for row in &evaluation.losses {
        if !sets.contains(&row.set.as_str()) {
            sets.push(&row.set);
        }
        if !models.contains(&row.model.as_str()) {
            models.push(&row.model);
        }
    }
    let of_set = |set: &str| evaluation.losses.iter().filter(|row| row.set == set).collect::<Vec<_>>();
    let cells = |model: &str, set: &str| {
        let rows = of_set(set);
        let Some(row) = rows.iter().find(|row| row.model == model) else { return Default::default() };
        let least =
            |value: &dyn Fn(&HeldOutLoss) -> f64| rows.iter().map(|row| value(row)).fold(f64::INFINITY, f64::min);
        let [nats, mut bits] = loss_cells(row);
        bits.best = rows.len() > 1
            && row.bits_per_byte.is_some_and(|bits| bits <= least(&|row| row.bits_per_byte.unwrap_or(f64::INFINITY)));
        let over = evaluation
            .differences
            .iter()
            .find(|row| row.model == model && row.set == set && row.task.is_empty() && row.measure == "bits_per_byte");
        [nats, bits, over.map_or_else(Cell::default, difference_cell)]
    };
    let rows = models
        .iter()
        .map(|model| LossRow { model: (*model).to_owned(), cells: sets.iter().map(|set| cells(model, set)).collect() })
        .collect();
    let headed = sets.iter().map(|set| {
        let rows = of_set(set);
        let (texts, articles) = rows.first().map_or((0, 0), |row| (row.rows, row.articles));
        format!("{set} ({texts} rows, {articles} articles)")
    });
    (headed.collect(), rows)
}

fn judge_table(report: &JudgeReport) -> JudgeTable {
    let mut sentence = format!(
        "{} rated every model's answer to each question from 1 (wrong) to 4 (complete), {} times, without names and in an order of \
         its own each time. {} of {} replies could not be read and count as no rating.",
        report.judge, report.runs, report.unreadable, report.replies
    );
    for (reason, count) in &report.unanswered {
        sentence.push_str(&format!(" {count} had no reply ({reason})."));
    }
    if let Some(agreement) = &report.agreement {
        let kappa = agreement.cohen_kappa.map_or_else(|| "not defined".to_owned(), |kappa| format!("{kappa:.2}"));
        let exact = agreement.exact.map_or_else(String::new, |exact| format!("; {:.0} % are the same", exact * 100.0));
        sentence.push_str(&format!(" Its first two runs agree with a weighted kappa of {kappa}{exact}."));
    }
    if report.cost_usd > 0.0 {
        sentence.push_str(&format!(" It cost ${:.2}.", report.cost_usd));
    }
    let signed = |spread: Option<Spread>| {
        spread.map_or_else(String::new, |spread| format!("{:+.2} to {:+.2}", spread.low, spread.high))
    };
    let rows = report.models.iter().map(|row| {
        let text = row.mean.map_or_else(|| "–".to_owned(), |mean| format!("{mean:.2}"));
        let mean = Cell { text, interval: interval(row.spread, 2), ..Cell::default() };
        let all = row.ratings.max(1) as f64;
        let shares = row.counts.map(|count| ((count as f64 / all * 1000.0).round() / 10.0, count));
        let sure = row.difference_spread.is_some_and(|spread| spread.excludes_zero());
        let difference = row.difference.map_or_else(Cell::default, |difference| Cell {
            text: format!("{difference:+.2}"),
            interval: signed(row.difference_spread),
            verdict: match (sure, difference > 0.0) {
                (false, _) => "",
                (true, true) => "better",
                (true, false) => "worse",
            },
            ..Cell::default()
        });
        (row.model.clone(), mean, shares, difference)
    });
    JudgeTable { sentence, rows: rows.collect() }
}

fn remarks(evaluation: &Evaluation) -> Vec<String> {
    let mut remarks = Vec::new();
    for model in &evaluation.models {
        let mut parts = Vec::new();
        match model.kind {
            Kind::FewShot => {
                parts.push(format!("the base behind {} worked examples of the training split", model.shots));
            }
            Kind::Compared if !model.source.is_empty() => parts.push(format!("from {}", model.source)),
            _ => {}
        }
        if model.cut_off > 0 {
            parts.push(format!("{} of {} answers cut off by the limit on tokens", model.cut_off, model.questions));
        }
        for (reason, count) in &model.unanswered {
            parts.push(format!("{count} questions without an answer ({reason}), measured as empty"));
        }
        if !model.too_long.is_empty() {
            parts.push(format!("{} rows too long for it, without a loss", model.too_long.len()));
        }
        if model.cost_usd > 0.0 {
            parts.push(format!("${:.2}", model.cost_usd));
        }
        if !parts.is_empty() {
            remarks.push(format!("{}: {}.", model.name, parts.join("; ")));
        }
    }
    remarks
}

fn method(evaluation: &Evaluation) -> String {
    let Some(settings) = &evaluation.settings else { return String::new() };
    let asking = settings.asking;
    let drawn = match asking.temperature > 0.0 {
        true => {
            format!("drawn at temperature {} and top-p {} (seed {})", asking.temperature, asking.top_p, asking.seed)
        }
        false => "greedy".to_owned(),
    };
    let intervals = match settings.resamples {
        0 => "No intervals were asked for".to_owned(),
        resamples => format!(
            "Intervals hold 95 % of {resamples} draws of articles (bootstrap); differences compare both models on the same draw"
        ),
    };
    format!("Answers are {drawn}, of at most {} tokens. {intervals}.", asking.max_tokens)
}

/// One question of each task first, as many as fit.
fn side_by_side(answers: &[AnsweredQuestion]) -> (Vec<AnsweredQuestion>, Vec<AnsweredQuestion>) {
    let mut tasks: Vec<&str> = Vec::new();
    let (mut open, mut more) = (Vec::new(), Vec::new());
    for row in answers {
        if tasks.len() < OPEN && !tasks.contains(&row.task.as_str()) {
            tasks.push(&row.task);
            open.push(row.clone());
        } else {
            more.push(row.clone());
        }
    }
    (open, more)
}

/// The tables in Markdown. `plain` makes text from outside text in Markdown too.
pub fn markdown(board: &Scoreboard, plain: &dyn Fn(&str) -> String) -> String {
    let mut text = String::new();
    let with = |cell: &Cell| match cell.interval.is_empty() {
        true => cell.text.clone(),
        false => format!("{} ({})", cell.text, cell.interval),
    };
    if !board.losses.is_empty() {
        text.push_str("\n### Loss\n\n| model |");
        for set in &board.loss_sets {
            let set = plain(set);
            text.push_str(&format!(" {set}: nats a token (perplexity) | bits a byte | less the first model's |"));
        }
        text.push_str(&format!("\n|---|{}\n", "---:|---:|---:|".repeat(board.loss_sets.len())));
        for row in &board.losses {
            let cells: Vec<String> = row.cells.iter().flatten().map(with).collect();
            text.push_str(&format!("| {} | {} |\n", plain(&row.model), cells.join(" | ")));
        }
    }
    for (set, rows) in &board.sets {
        text.push_str(&format!("\n### Scores: {}\n\n| task | measure | rows | articles |", plain(set)));
        for model in &board.models {
            text.push_str(&format!(" {} |", plain(model)));
        }
        let difference =
            board.compared.as_ref().map(|(first, last)| format!(" {} less {} |", plain(last), plain(first)));
        text.push_str(&difference.clone().unwrap_or_default());
        let columns = board.models.len() + usize::from(difference.is_some());
        text.push_str(&format!("\n|---|---|---:|---:|{}\n", "---:|".repeat(columns)));
        for row in rows {
            let mut cells: Vec<String> = row.cells.iter().map(with).collect();
            if difference.is_some() {
                cells.push(with(&row.difference));
            }
            let (rows, articles) = (row.rows, row.articles);
            text.push_str(&format!(
                "| {} | {} | {rows} | {articles} | {} |\n",
                row.task,
                row.measure,
                cells.join(" | ")
            ));
        }
    }
    if let Some(realism) = &board.realism {
        text.push_str(&format!("\n### Realism\n\n{}\n\n", plain(&realism.sentence)));
        text.push_str("| text | texts | nats a token (perplexity) | bits a byte |\n|---|---:|---:|---:|\n");
        for (kind, texts, nats, bits) in &realism.rows {
            text.push_str(&format!("| {kind} | {texts} | {} | {} |\n", with(nats), with(bits)));
        }
    }
    if let Some(judge) = &board.judge {
        text.push_str(&format!("\n### The judge\n\n{}\n\n", plain(&judge.sentence)));
        text.push_str(
            "| model | mean | 1 | 2 | 3 | 4 | less the first model's |\n|---|---:|---:|---:|---:|---:|---:|\n",
        );
        for (model, mean, counts, difference) in &judge.rows {
            let counts = counts.map(|(_, count)| count.to_string()).join(" | ");
            text.push_str(&format!("| {} | {} | {counts} | {} |\n", plain(model), with(mean), with(difference)));
        }
    }
    if !board.method.is_empty() {
        text.push_str(&format!("\n{}\n", board.method));
    }
    for remark in &board.remarks {
        text.push_str(&format!("\n- {}", plain(remark)));
    }
    for row in &board.open {
        text.push_str(&format!("\n\n**{}** ({}): {}\n", row.task, plain(&row.row), plain(&row.question)));
        text.push_str(&format!("\n- reference: {}", plain(&row.reference)));
        for answer in &row.answers {
            text.push_str(&format!("\n- {}: {}", plain(&answer.model), plain(&answer.text)));
        }
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gather::RunFacts;
    use crate::results::{GeneratedAnswer, ModelUnderTest};

    const HOSTILE: &str = "<script>alert(1)</script> | [x](javascript:1)\n# <img src=x onerror=alert(1)>";

    fn evaluation() -> Evaluation {
        let score = |model: &str, value: Option<f64>| TaskScore {
            model: model.to_owned(),
            set: "answers".to_owned(),
            task: "ner".to_owned(),
            measure: "entity_f1".to_owned(),
            rows: 3,
            articles: 2,
            value,
            spread: value.map(|value| Spread { standard_error: 0.1, low: value - 0.1, high: value + 0.1 }),
        };
        let difference = Difference {
            model: "tuned".to_owned(),
            base: "base".to_owned(),
            set: "answers".to_owned(),
            task: "ner".to_owned(),
            measure: "entity_f1".to_owned(),
            rows: 3,
            articles: 2,
            value: 0.4,
            spread: Some(Spread { standard_error: 0.1, low: 0.2, high: 0.6 }),
        };
        let answer = |model: &str| GeneratedAnswer {
            model: model.to_owned(),
            text: HOSTILE.to_owned(),
            cut_off: true,
            value: Some(0.5),
        };
        let question = AnsweredQuestion {
            set: "answers".to_owned(),
            row: HOSTILE.to_owned(),
            task: "Named Entity Recognition".to_owned(),
            measure: "entity_f1".to_owned(),
            unanswerable: Some(false),
            question: HOSTILE.to_owned(),
            reference: HOSTILE.to_owned(),
            answers: vec![answer("base"), answer("tuned")],
        };
        Evaluation {
            models: vec![
                ModelUnderTest::new("base", Kind::Base, HOSTILE, 0),
                ModelUnderTest::new("tuned", Kind::Tuned, "x", 0),
                ModelUnderTest::new(HOSTILE, Kind::Compared, HOSTILE, 0),
            ],
            scores: vec![score("base", Some(0.3)), score("tuned", Some(0.7)), score(HOSTILE, None)],
            differences: vec![difference],
            answers: vec![question],
            ..Evaluation::default()
        }
    }

    #[test]
    fn values_intervals_and_differences_stand_in_one_row() {
        let board = Scoreboard::new(&evaluation());
        let row = &board.sets[0].1[0];
        assert_eq!(
            (row.task.as_str(), row.measure.as_str(), row.first),
            ("Named Entity Recognition", "entity F1", true)
        );
        assert_eq!(
            (row.cells[1].text.as_str(), row.cells[1].interval.as_str(), row.cells[1].best),
            ("0.700", "0.60 to 0.80", true)
        );
        assert_eq!((row.cells[2].text.as_str(), row.cells[2].line), ("–", None));
        assert_eq!((row.difference.text.as_str(), row.difference.verdict), ("+0.400", "better"));
        assert_eq!(board.compared, Some(("base".to_owned(), "tuned".to_owned())));
    }

    #[test]
    fn hostile_text_stays_text_on_the_page_and_in_markdown() {
        let facts = RunFacts { evaluation: Some(evaluation()), ..RunFacts::default() };
        let page = crate::render(&facts).expect("renders");
        assert!(!page.contains("<script>") && !page.contains("<img"), "{page}");
        assert!(page.contains("Side by side") && page.contains("&lt;script&gt;"), "{page}");
        let text = crate::markdown::render(&facts);
        assert!(!text.contains("<script>") && !text.contains("[x](") && !text.contains("\n# <"), "{text}");
    }
}
