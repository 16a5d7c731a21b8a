//! The report: one self-contained HTML page about a run. All text goes through the template's escaping; only the
//! plots, which this crate draws, are inserted as they are.

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment};
use serde::Serialize;
use serde_json::json;

use crate::EvalError;
use crate::gather::{RunFacts, StageFacts};
use crate::plot::{Series, loss_curves};
use crate::scoreboard::Scoreboard;

/// Rows of the list of dropped rows that the page shows; `dropped.jsonl` has them all.
const DROPPED_SHOWN: usize = 200;

/// Sources the page names; `asclepius data card --attributions` has them all.
const SOURCES_SHOWN: usize = 200;

#[derive(Debug, Serialize)]
pub(crate) struct Tile {
    pub(crate) label: String,
    pub(crate) value: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct FunnelRow {
    pub(crate) stage: String,
    pub(crate) unit: String,
    pub(crate) input: u64,
    pub(crate) out: u64,
    pub(crate) dropped: u64,
    pub(crate) pending: u64,
    pub(crate) reasons: String,
    pub(crate) seconds: String,
}

#[derive(Debug, Serialize)]
struct Bar {
    label: String,
    count: u64,
    share: u64,
}

#[derive(Debug, Serialize)]
struct Sample {
    task: &'static str,
    question: String,
    answer: String,
    note: String,
    report_id: String,
    split: &'static str,
    licence: &'static str,
    attribution: String,
    teacher_model: String,
    prompts: String,
    calls: String,
    scores: String,
}

#[derive(Debug, Serialize)]
struct Training {
    title: String,
    sentence: String,
    plot: String,
}

/// Renders the page.
///
/// # Errors
/// When a plot or the template fails.
pub fn render(facts: &RunFacts) -> Result<String, EvalError> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    let template = environment.template_from_str(include_str!("page.html.jinja"))?;
    let dropped: Vec<_> = facts
        .stages
        .iter()
        .flat_map(|stage| stage.dropped.iter().map(|row| (stage.manifest.stage.as_str(), row)))
        .collect();
    let shown: Vec<_> = dropped
        .iter()
        .take(DROPPED_SHOWN)
        .map(|(stage, row)| json!({ "stage": stage, "id": row.id, "reason": row.reason.code(), "detail": row.detail }))
        .collect();
    let board = facts.evaluation.as_ref().map(Scoreboard::new);
    let dataset_licence =
        facts.stage("dataset").and_then(|stage| stage.manifest.details.get("licence").cloned()).unwrap_or_default();
    let terms = crate::card::terms(facts);
    let sources: Vec<_> = facts
        .attributions
        .iter()
        .take(SOURCES_SHOWN)
        .map(|(article, source)| json!({ "article": article, "licence": source.licence.name(), "line": source.line }))
        .collect();
    let fingerprints: Vec<_> = facts
        .stages
        .iter()
        .map(|stage| &stage.manifest)
        .map(|manifest| {
            json!({ "stage": manifest.stage, "fingerprint": manifest.fingerprint, "tool": manifest.tool_version })
        })
        .collect();
    let view = json!({
        "run": { "name": facts.name },
        "tiles": tiles(facts),
        "extractive": facts.teachers.iter().any(|model| model.starts_with("extractive")),
        "funnel": funnel(facts),
        "dropped_more": (dropped.len() > shown.len()).then_some(dropped.len()),
        "dropped": shown,
        "corpus": corpus(facts),
        "dataset_licence": dataset_licence.as_str(),
        "licence_problem": terms.problem(),
        "consequences": if terms.problem().is_some() { Vec::new() } else { terms.consequences() },
        "sources": sources,
        "sources_more": (facts.attributions.len() > SOURCES_SHOWN).then_some(facts.attributions.len()),
        "licences": bars(facts.licences.iter().map(|(licence, count)| (licence.name().to_owned(), *count)).collect()),
        "tasks": bars(facts.tasks.iter().map(|(task, count)| (task.title().to_owned(), *count)).collect()),
        "lengths": lengths(facts),
        "samples": samples(facts),
        "trainings": trainings(facts)?,
        "evaluation": board,
        "environment": environment_rows(facts),
        "fingerprints": fingerprints,
        "configuration": facts.configuration,
    });
    Ok(template.render(Serde(&view))?)
}

/// Tables of the case reports, with bars; none where ingest has not run, or an earlier version did.
fn corpus(facts: &RunFacts) -> Option<serde_json::Value> {
    let ingest = &facts.stage("ingest")?.manifest;
    let figures = crate::corpus::figures(ingest)?;
    let tables = crate::corpus::tables(ingest, &figures).into_iter().map(|table| {
        let rows = table.rows.into_iter().map(|row| (row.name, row.count)).collect();
        json!({ "title": table.title, "unit": table.unit, "rows": bars(rows) })
    });
    Some(json!({
        "tables": tables.collect::<Vec<_>>(),
        "words": crate::corpus::words(&figures),
        "specialties": crate::corpus::SPECIALTIES,
    }))
}

pub(crate) fn tiles(facts: &RunFacts) -> Vec<Tile> {
    let mut tiles = Vec::new();
    let mut tile = |label: &str, value: String| tiles.push(Tile { label: label.to_owned(), value });
    if let Some(stage) = facts.stage("ingest") {
        let counts = &stage.manifest.counts;
        tile("articles admitted", format!("{} of {}", counts.out, counts.input));
        if let Some(patients) = stage.manifest.also.get("patient") {
            tile("case reports", patients.out.to_string());
        }
    }
    if let Some(stage) = facts.stage("dataset") {
        if let Some(notes) = stage.manifest.also.get("note") {
            tile("notes", notes.out.to_string());
        }
        tile("instructions", stage.manifest.counts.out.to_string());
    }
    for (name, label) in [("pretrain", "pre-training loss"), ("sft", "tuning loss")] {
        if let Some((which, first, last)) = facts.stage(name).and_then(ends) {
            tile(&format!("{which} {label}"), format!("{first:.2} → {last:.2}"));
        }
    }
    let cost: f64 = facts.stages.iter().map(|stage| stage.manifest.cost_usd).sum();
    let asked = facts.teachers.iter().any(|model| !model.starts_with("extractive"));
    let paid = if asked && cost == 0.0 { "not counted".to_owned() } else { format!("${cost:.2}") };
    tile("paid to the API", paid);
    let seconds: f64 = facts.stages.iter().map(|stage| stage.manifest.seconds).sum();
    tile("wall clock", duration(seconds));
    tiles
}

/// First and last held-out loss, or training loss where nothing was held out; and which of them it is.
pub(crate) fn ends(stage: &StageFacts) -> Option<(&'static str, f64, f64)> {
    let held_out: Vec<f64> = stage.metrics.iter().filter_map(|row| row.eval_loss).collect();
    let (which, losses) = match held_out.len() {
        0 | 1 => ("training", stage.metrics.iter().filter_map(|row| row.loss).collect()),
        _ => ("held-out", held_out),
    };
    Some((which, *losses.first()?, *losses.last()?))
}

fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, _) => format!("{seconds:.1} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

pub(crate) fn funnel(facts: &RunFacts) -> Vec<FunnelRow> {
    let mut rows = Vec::new();
    for stage in &facts.stages {
        let manifest = &stage.manifest;
        let mut row = |unit: &str, counts: &asclepius_schema::Counts, seconds: String| {
            let reasons: Vec<String> =
                counts.dropped.iter().map(|(reason, count)| format!("{} {count}", reason.code())).collect();
            rows.push(FunnelRow {
                stage: manifest.stage.clone(),
                unit: unit.to_owned(),
                input: counts.input,
                out: counts.out,
                dropped: counts.dropped_total(),
                pending: counts.pending,
                reasons: reasons.join(", "),
                seconds,
            });
        };
        row(&manifest.unit, &manifest.counts, format!("{:.1}", manifest.seconds));
        for (unit, counts) in &manifest.also {
            row(unit, counts, String::new());
        }
    }
    rows
}

fn bars(rows: Vec<(String, u64)>) -> Vec<Bar> {
    let most = rows.iter().map(|(_, count)| *count).max().unwrap_or(0).max(1);
    rows.into_iter().map(|(label, count)| Bar { label, count, share: count * 100 / most }).collect()
}

/// How long notes, questions and answers are; and the median answer of each task.
fn lengths(facts: &RunFacts) -> Vec<serde_json::Value> {
    let answers: Vec<usize> = facts.answer_words.values().flatten().copied().collect();
    let mut tables = Vec::new();
    for (title, words) in [
        ("Words a note", &facts.note_words),
        ("Words a question", &facts.question_words),
        ("Words an answer", &answers),
    ] {
        if !words.is_empty() {
            tables.push(json!({ "title": title, "rows": bars(histogram(words)) }));
        }
    }
    let medians: Vec<(String, u64)> =
        facts.answer_words.iter().map(|(task, words)| (task.title().to_owned(), median(words))).collect();
    if !medians.is_empty() {
        tables.push(json!({ "title": "Words of the median answer, by task", "rows": bars(medians) }));
    }
    tables
}

fn median(words: &[usize]) -> u64 {
    let mut sorted = words.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len().div_ceil(2).saturating_sub(1)).copied().unwrap_or(0) as u64
}

/// Counts in about eight equal steps from nothing to the longest, on round bounds.
fn histogram(words: &[usize]) -> Vec<(String, u64)> {
    let Some(most) = words.iter().max() else { return Vec::new() };
    let least = most / 8 + 1;
    let step = [5, 10, 25].into_iter().find(|step| *step >= least).unwrap_or_else(|| least.next_multiple_of(25));
    let mut counts = vec![0_u64; most / step + 1];
    for count in words {
        counts[count / step] += 1;
    }
    counts
        .into_iter()
        .enumerate()
        .map(|(bin, count)| (format!("{} to {}", bin * step, (bin + 1) * step - 1), count))
        .collect()
}

fn samples(facts: &RunFacts) -> Vec<Sample> {
    let short = |hash: &str| hash.get(..12).unwrap_or(hash).to_owned();
    facts
        .samples
        .iter()
        .map(|row| {
            let calls = [&row.note_call, &row.question_call, &row.answer_call];
            Sample {
                task: row.task.title(),
                question: row.question.clone(),
                answer: row.answer.clone(),
                note: row.note.clone(),
                report_id: row.report_id.to_string(),
                split: row.split.map_or("", asclepius_schema::Split::name),
                licence: row.licence.name(),
                attribution: row.attribution.clone(),
                teacher_model: row.teacher_model.clone(),
                prompts: calls.map(|call| short(&call.prompt_hash)).join(" "),
                calls: calls.map(|call| short(&call.request_key)).join(" "),
                scores: row
                    .scores
                    .iter()
                    .map(|(gate, score)| format!("{gate} {score:.2}"))
                    .collect::<Vec<_>>()
                    .join(", "),
            }
        })
        .collect()
}

/// The training stages, and what they are.
pub(crate) const TRAININGS: [(&str, &str); 2] =
    [("pretrain", "Continued pre-training on the notes"), ("sft", "Instruction tuning on the answers")];

fn trainings(facts: &RunFacts) -> Result<Vec<Training>, EvalError> {
    let mut all = Vec::new();
    for (name, title) in TRAININGS {
        let Some(stage) = facts.stage(name) else { continue };
        let of = |value: fn(&crate::gather::Metric) -> Option<f64>| -> Vec<(f64, f64)> {
            stage.metrics.iter().filter_map(|row| Some((row.step as f64, value(row)?))).collect()
        };
        let series = [
            Series { label: "training".to_owned(), points: of(|row| row.loss), dotted: false },
            Series { label: "held out".to_owned(), points: of(|row| row.eval_loss), dotted: true },
        ];
        let series: Vec<Series> = series.into_iter().filter(|line| !line.points.is_empty()).collect();
        all.push(Training { title: title.to_owned(), sentence: training_sentence(stage), plot: loss_curves(&series)? });
    }
    Ok(all)
}

/// How long a stage trained, how fast, in how much memory, and what came of it.
pub(crate) fn training_sentence(stage: &StageFacts) -> String {
    let steps = stage.metrics.iter().map(|row| row.step).max().unwrap_or(0);
    let tokens: u64 = stage.metrics.iter().filter_map(|row| row.tokens).sum();
    let supervised: u64 = stage.metrics.iter().filter_map(|row| row.supervised_tokens).sum();
    let seconds: f64 = stage.metrics.iter().filter_map(|row| row.seconds).sum();
    let mut sentence = format!("{steps} optimizer steps over {tokens} tokens, {supervised} of them supervised");
    if seconds > 0.0 {
        sentence.push_str(&format!(", at {:.0} tokens a second", tokens as f64 / seconds));
    }
    if let Some(peak) = stage.metrics.iter().filter_map(|row| row.peak_memory_bytes).max() {
        sentence.push_str(&format!(", in at most {:.2} GB of memory", peak as f64 / 1e9));
    }
    if let Some((which, first, last)) = ends(stage) {
        sentence.push_str(&format!("; {which} loss {first:.3} before, {last:.3} after"));
    }
    sentence.push('.');
    if let Some(line) = stage.manifest.details.get("trainable").and_then(serde_json::Value::as_str) {
        sentence.push_str(&format!(" {line}."));
    }
    sentence
}

fn environment_rows(facts: &RunFacts) -> Vec<Tile> {
    let row = |label: &str, value: String| Tile { label: label.to_owned(), value };
    let mut rows = vec![row("teacher", facts.teachers.join(", "))];
    for (name, label) in [("pretrain", "pre-trained on"), ("sft", "tuned on")] {
        let device = facts.stage(name).and_then(|stage| stage.manifest.details.get("device")?.as_str());
        rows.extend(device.map(|device| row(label, device.to_owned())));
    }
    rows.extend([
        row("platform", format!("{} {}", std::env::consts::OS, std::env::consts::ARCH)),
        row("asclepius", env!("CARGO_PKG_VERSION").to_owned()),
    ]);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_stays_text() {
        let facts = RunFacts {
            name: "<script>alert(1)</script>".to_owned(),
            configuration: "</pre><img src=x onerror=alert(1)>".to_owned(),
            ..RunFacts::default()
        };
        let page = render(&facts).expect("renders");
        assert!(!page.contains("<script>") && !page.contains("<img"), "{page}");
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere() {
        let page = render(&RunFacts::default()).expect("renders");
        for marker in ["src=", "href=", "@import", "url("] {
            assert!(!page.contains(marker), "{marker}");
        }
    }

    #[test]
    fn histogram_bins_cover_every_note_once() {
        let bins = histogram(&[1, 24, 25, 180, 399]);
        assert_eq!(bins.iter().map(|(_, count)| count).sum::<u64>(), 5);
        assert_eq!((bins[0].0.as_str(), bins.len()), ("0 to 49", 8));
        assert_eq!(histogram(&[3, 12, 18])[2], ("10 to 14".to_owned(), 1));
    }

    #[test]
    fn lengths_are_of_notes_questions_and_answers_and_by_task() {
        let mut facts = RunFacts { note_words: vec![100, 200], question_words: vec![7, 9, 9], ..RunFacts::default() };
        facts.answer_words.insert(asclepius_schema::Task::Summary, vec![60, 20, 40]);
        let titles: Vec<_> = lengths(&facts).iter().map(|table| table["title"].clone()).collect();
        let expected = ["Words a note", "Words a question", "Words an answer", "Words of the median answer, by task"];
        assert_eq!(titles, expected);
        assert_eq!(lengths(&facts)[3]["rows"][0]["count"], 40);
        let page = render(&facts).expect("renders");
        assert!(expected.iter().all(|title| page.contains(title)), "{page}");
        assert!(lengths(&RunFacts::default()).is_empty());
    }
}
