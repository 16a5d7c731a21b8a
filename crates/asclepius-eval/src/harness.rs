//! Results in the layout that lm-evaluation-harness writes, one file a model, so that its readers read ours.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::measures::lower_is_better;
use crate::results::{Evaluation, Kind, ModelUnderTest};

/// Version of the tasks: goes up when a measure changes its meaning.
const TASK_VERSION: f64 = 1.0;

/// What `lm_eval --output_path` would have written about `model`: values as `<measure>,none`, a measure without rows as
/// null, a missing standard error as `"N/A"`.
pub fn results(evaluation: &Evaluation, model: &ModelUnderTest) -> Value {
    let settings = evaluation.settings.as_ref();
    let mut tasks: BTreeMap<String, HarnessTask> = BTreeMap::new();
    for row in evaluation.losses.iter().filter(|row| row.model == model.name) {
        let task = tasks
            .entry(format!("asclepius_{}_loss", row.set))
            .or_insert_with(|| HarnessTask::new(&row.set, row.rows, "loglikelihood"));
        let error = |spread: Option<crate::statistics::Spread>| spread.map(|spread| spread.standard_error);
        task.metric("loss", Some(row.loss), error(row.loss_spread));
        task.metric("perplexity", Some(row.perplexity), None);
        task.metric("bits_per_byte", row.bits_per_byte, error(row.bits_per_byte_spread));
    }
    for row in evaluation.scores.iter().filter(|row| row.model == model.name) {
        let name = if row.set == crate::sets::ANSWERS { row.task.clone() } else { format!("{}_{}", row.set, row.task) };
        let task = tasks
            .entry(format!("asclepius_{name}"))
            .or_insert_with(|| HarnessTask::new(&row.set, row.rows, "generate_until"));
        task.rows = task.rows.max(row.rows);
        task.metric(&row.measure, row.value, row.spread.map(|spread| spread.standard_error));
    }
    let of = |part: &dyn Fn(&str, &HarnessTask) -> Value| -> Value {
        Value::Object(tasks.iter().map(|(name, task)| (name.clone(), part(name, task))).collect::<Map<_, _>>())
    };
    let asking = settings.map(|settings| settings.asking);
    let generation = asking.map(|asking| {
        json!({
            "max_gen_toks": asking.max_tokens, "temperature": asking.temperature, "top_p": asking.top_p,
            "do_sample": asking.temperature > 0.0,
        })
    });
    let (kind, argument) = match model.kind {
        Kind::Compared if model.source.starts_with("http") => ("local-chat-completions", "base_url"),
        _ => ("asclepius", "pretrained"),
    };
    json!({
        "results": of(&|name, task| {
            let mut values = Map::new();
            values.insert("alias".to_owned(), name.into());
            values.extend(task.values.clone());
            Value::Object(values)
        }),
        "group_subtasks": of(&|_, _| json!([])),
        "configs": of(&|name, task| json!({
            "task": name, "dataset_name": task.set, "test_split": "validation", "output_type": task.output,
            "num_fewshot": model.shots, "generation_kwargs": if task.output == "generate_until" { generation.clone() } else { None },
            "metric_list": task.measures.iter().map(|measure| json!({
                "metric": measure, "aggregation": "ratio_of_sums", "higher_is_better": !is_lower_better(measure),
            })).collect::<Vec<_>>(),
            "metadata": { "version": TASK_VERSION },
        })),
        "versions": of(&|_, _| json!(TASK_VERSION)),
        "n-shot": of(&|_, _| json!(model.shots)),
        "higher_is_better": of(&|_, task| {
            Value::Object(task.measures.iter().map(|measure| (measure.clone(), (!is_lower_better(measure)).into())).collect())
        }),
        "n-samples": of(&|_, task| json!({ "original": task.rows, "effective": task.rows })),
        "config": {
            "model": kind, "model_args": format!("{argument}={}", model.source), "limit": settings.map(|settings| settings.questions),
            "bootstrap_iters": settings.map(|settings| settings.resamples), "gen_kwargs": generation,
            "random_seed": asking.map(|asking| asking.seed), "fewshot_seed": asking.map(|asking| asking.seed),
        },
        "model_source": "asclepius", "model_name": model.name, "model_name_sanitized": file_name(&model.name),
        "asclepius_version": env!("CARGO_PKG_VERSION"),
    })
}

/// A model's name as part of a file's.
pub fn file_name(model: &str) -> String {
    model
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() || "-._".contains(letter) { letter } else { '_' })
        .collect()
}

fn is_lower_better(measure: &str) -> bool {
    lower_is_better(measure) || measure == "perplexity"
}

/// One task of the harness.
struct HarnessTask {
    set: String,
    rows: usize,
    output: &'static str,
    measures: Vec<String>,
    values: Map<String, Value>,
}

impl HarnessTask {
    fn new(set: &str, rows: usize, output: &'static str) -> Self {
        Self { set: set.to_owned(), rows, output, measures: Vec::new(), values: Map::new() }
    }

    fn metric(&mut self, measure: &str, value: Option<f64>, standard_error: Option<f64>) {
        self.measures.push(measure.to_owned());
        self.values.insert(format!("{measure},none"), value.into());
        let error = standard_error.map_or_else(|| "N/A".into(), Value::from);
        self.values.insert(format!("{measure}_stderr,none"), error);
    }
}
