//! Rows to tables: sums by article, intervals, and what every model has over the base.

use std::collections::BTreeMap;

use asclepius_schema::Task;

use crate::held_out::RowLoss;
use crate::judge::Judged;
use crate::measures::{ABSTENTION, counts_in, of_table, tables};
use crate::realism::{self, Realism};
use crate::results::{
    AnsweredQuestion, Difference, Evaluation, GeneratedAnswer, HeldOutLoss, ModelOutcome, Settings, TaskScore,
};
use crate::statistics::{Bootstrap, Sample};

/// Tables of all models. The first model is what the others are compared with. `sets` are the sets of instructions, which
/// have a table even where nothing was asked. `realism` is what a model trained on real notes gave for [`realism::KINDS`].
pub fn evaluate(
    outcomes: &[ModelOutcome],
    sets: &[String],
    settings: Settings,
    judged: Option<&Judged>,
    realism: Option<&ModelOutcome>,
) -> Evaluation {
    let mut bootstrap = Bootstrap::new(settings.asking.seed, settings.resamples);
    let mut evaluation = Evaluation { settings: Some(settings), ..Evaluation::default() };
    let base = outcomes.first();
    for outcome in outcomes {
        evaluation.models.push(outcome.model.clone());
        losses(&mut evaluation, &mut bootstrap, outcome, base);
        for set in sets {
            for table in tables() {
                scores(&mut evaluation, &mut bootstrap, outcome, base, (set, table));
            }
        }
    }
    let models: Vec<String> = evaluation.models.iter().map(|model| model.name.clone()).collect();
    evaluation.judge = judged.map(|judged| crate::judge::report(judged, &models, &mut bootstrap));
    evaluation.realism = realism.map(|outcome| realism_of(outcome, &mut bootstrap));
    evaluation.answers = side_by_side(outcomes);
    evaluation
}

/// Losses of one set, as sums over tokens and over bytes.
#[derive(Default)]
struct SetLosses {
    nats: Sample,
    bits: Sample,
    tokens: usize,
    bytes: usize,
}

/// By set, in the order in which sets come.
fn by_set(rows: &[RowLoss]) -> Vec<(&str, SetLosses)> {
    let mut sets: Vec<(&str, SetLosses)> = Vec::new();
    for row in rows {
        if sets.last().is_none_or(|(set, _)| *set != row.set) {
            sets.push((&row.set, SetLosses::default()));
        }
        let Some((_, set)) = sets.last_mut() else { continue };
        set.nats.add(&row.article, [row.nats, row.tokens as f64]);
        set.bits.add(&row.article, [row.nats / std::f64::consts::LN_2, row.bytes as f64]);
        set.tokens += row.tokens;
        set.bytes += row.bytes;
    }
    sets
}

impl SetLosses {
    /// As a row of the table; none where nothing was supervised.
    fn row(&self, model: &str, set: &str, bootstrap: &mut Bootstrap) -> Option<HeldOutLoss> {
        let loss = self.nats.value()?;
        Some(HeldOutLoss {
            model: model.to_owned(),
            set: set.to_owned(),
            rows: self.nats.rows(),
            articles: self.nats.articles(),
            supervised_tokens: self.tokens,
            bytes: self.bytes,
            loss,
            loss_spread: bootstrap.spread(&self.nats),
            perplexity: loss.exp(),
            bits_per_byte: self.bits.value(),
            bits_per_byte_spread: bootstrap.spread(&self.bits),
        })
    }
}

fn losses(evaluation: &mut Evaluation, bootstrap: &mut Bootstrap, outcome: &ModelOutcome, base: Option<&ModelOutcome>) {
    let others = base.filter(|base| base.model.name != outcome.model.name);
    let base_sets = others.map(|base| by_set(&base.losses)).unwrap_or_default();
    for (set, losses) in by_set(&outcome.losses) {
        let Some(row) = losses.row(&outcome.model.name, set, bootstrap) else { continue };
        evaluation.losses.push(row);
        let Some((_, base_losses)) = base_sets.iter().find(|(name, _)| *name == set) else { continue };
        let mut compare = |measure: &str, sample: &Sample, base_sample: &Sample| {
            evaluation.differences.extend(difference(
                bootstrap,
                outcome,
                base,
                (set, "", measure),
                sample,
                base_sample,
            ));
        };
        compare("bits_per_byte", &losses.bits, &base_losses.bits);
        // A loss a token means the same only where the tokens are the same.
        if losses.tokens == base_losses.tokens {
            compare("loss", &losses.nats, &base_losses.nats);
        }
    }
}

/// What a model trained on real notes makes of them, of the synthetic ones and of their reports.
fn realism_of(outcome: &ModelOutcome, bootstrap: &mut Bootstrap) -> Realism {
    let kinds = by_set(&outcome.losses);
    let name = &outcome.model.name;
    let rows = kinds.iter().filter_map(|(kind, losses)| losses.row(name, kind, bootstrap)).collect();
    let of = |wanted: &str| kinds.iter().find(|(kind, _)| *kind == wanted).map(|(_, losses)| &losses.bits);
    let [real, synthetic, reports] = realism::KINDS.map(of);
    let mut less = |other: Option<&Sample>, base: &str, paired: bool| {
        let (synthetic, other) = (synthetic?, other?);
        let spread = if paired { bootstrap.difference(synthetic, other) } else { bootstrap.apart(synthetic, other) };
        Some(Difference {
            model: name.clone(),
            base: base.to_owned(),
            set: realism::KINDS[1].to_owned(),
            task: String::new(),
            measure: "bits_per_byte".to_owned(),
            rows: synthetic.rows(),
            articles: synthetic.articles(),
            value: synthetic.value()? - other.value()?,
            spread,
        })
    };
    let differences = [less(reports, realism::KINDS[2], true), less(real, realism::KINDS[0], false)];
    Realism {
        model: outcome.model.source.clone(),
        kinds: rows,
        differences: differences.into_iter().flatten().collect(),
    }
}

fn difference(
    bootstrap: &mut Bootstrap,
    outcome: &ModelOutcome,
    base: Option<&ModelOutcome>,
    (set, task, measure): (&str, &str, &str),
    sample: &Sample,
    base_sample: &Sample,
) -> Option<Difference> {
    // Rows that only one of them has would make it a comparison of rows.
    if sample.rows() != base_sample.rows() {
        return None;
    }
    Some(Difference {
        model: outcome.model.name.clone(),
        base: base?.model.name.clone(),
        set: set.to_owned(),
        task: task.to_owned(),
        measure: measure.to_owned(),
        rows: sample.rows(),
        articles: sample.articles(),
        value: sample.value()? - base_sample.value()?,
        spread: bootstrap.difference(sample, base_sample),
    })
}

fn scores(
    evaluation: &mut Evaluation,
    bootstrap: &mut Bootstrap,
    outcome: &ModelOutcome,
    base: Option<&ModelOutcome>,
    (set, table): (&str, &str),
) {
    let others = base.filter(|base| base.model.name != outcome.model.name);
    for measure in of_table(table) {
        let sample = sample(outcome, set, table, measure);
        evaluation.scores.push(TaskScore {
            model: outcome.model.name.clone(),
            set: set.to_owned(),
            task: table.to_owned(),
            measure: (*measure).to_owned(),
            rows: sample.rows(),
            articles: sample.articles(),
            value: sample.value(),
            spread: bootstrap.spread(&sample),
        });
        if let Some(others) = others {
            let base_sample = self::sample(others, set, table, measure);
            evaluation.differences.extend(difference(
                bootstrap,
                outcome,
                base,
                (set, table, measure),
                &sample,
                &base_sample,
            ));
        }
    }
}

/// One measure over the rows of one table.
fn sample(outcome: &ModelOutcome, set: &str, table: &str, measure: &str) -> Sample {
    let mut sample = Sample::default();
    let rows = || outcome.predictions.iter().filter(|row| row.set == set);
    // Whether to answer can only be right or wrong where some rows cannot be answered, and the set says which.
    if table == ABSTENTION && !rows().any(|row| row.unanswerable == Some(true)) && measure != "false_abstention" {
        return sample;
    }
    for row in rows() {
        let Some(task) = Task::parse(&row.task) else { continue };
        let unanswerable = row.unanswerable == Some(true);
        if let Some(value) = row.measures.get(measure).filter(|_| counts_in(table, task, unanswerable)) {
            sample.add(&row.article, *value);
        }
    }
    sample
}

fn side_by_side(outcomes: &[ModelOutcome]) -> Vec<AnsweredQuestion> {
    let mut by_row: BTreeMap<(&str, &str), Vec<GeneratedAnswer>> = BTreeMap::new();
    for row in outcomes.iter().flat_map(|outcome| &outcome.predictions) {
        let first = of_table(&row.task).first().copied().unwrap_or_default();
        let value = row.measures.get(first).filter(|[_, denominator]| *denominator > 0.0);
        by_row.entry((&row.set, &row.row)).or_default().push(GeneratedAnswer {
            model: row.model.clone(),
            text: row.answer.text.clone(),
            cut_off: row.answer.finish == "length",
            value: value.map(|[numerator, denominator]| numerator / denominator),
        });
    }
    let asked = outcomes.first().map(|outcome| outcome.predictions.as_slice()).unwrap_or_default();
    let question = |row: &crate::results::Prediction| AnsweredQuestion {
        set: row.set.clone(),
        row: row.row.clone(),
        task: Task::parse(&row.task).map_or_else(String::new, |task| task.title().to_owned()),
        measure: of_table(&row.task).first().copied().unwrap_or_default().to_owned(),
        unanswerable: row.unanswerable,
        question: row.question.clone(),
        reference: row.reference.clone(),
        answers: by_row.get(&(row.set.as_str(), row.row.as_str())).cloned().unwrap_or_default(),
    };
    asked.iter().map(question).collect()
}
