//! The dataset card: Markdown with the front matter the hub reads, and every figure in it from the run's own files.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use asclepius_dataset::build::{GateFigures, RatingFigures, SideFigures};
use asclepius_dataset::table::{Layout, hub_features};
use asclepius_dataset::{GatesConfig, Membership, Terms, Whole};
use asclepius_schema::{Instruction, Manifest, Note, Split, Task, hash_bytes};
use asclepius_text::Rating;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::gather::RunFacts;

/// Sources the card lists; beyond that it names the command that lists all.
const SOURCES_SHOWN: usize = 100;

/// The file of all sources to credit, where a dataset is laid out for the hub.
pub const ATTRIBUTIONS: &str = "attributions.tsv";

/// A prompt that rows can come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptFile {
    /// Its file's name.
    pub name: String,
    /// What rows call it.
    pub hash: String,
    /// Its content.
    pub source: String,
}

impl PromptFile {
    /// A prompt file of this content.
    pub fn new(name: &str, source: &str) -> Self {
        Self { name: name.to_owned(), hash: hash_bytes(source.as_bytes()), source: source.to_owned() }
    }
}

/// The hub's name for the licence computed from the sources; `other` where there is none.
pub(crate) fn hub_licence(licence: &str) -> String {
    match licence {
        "CC0" => "cc0-1.0".to_owned(),
        known if known.starts_with("CC ") => format!("{}-4.0", known.to_lowercase().replace(' ', "-")),
        _ => "other".to_owned(),
    }
}

/// The evaluation sets the dataset was compared with.
#[derive(Deserialize)]
struct Sets {
    files: Vec<String>,
    sequences: u64,
}

/// The judge that rated the rows.
#[derive(Deserialize)]
struct JudgeFacts {
    model: String,
    ratings: BTreeMap<String, RatingFigures>,
}

/// What the dataset stage wrote about itself under `key`; nothing where an earlier version did not.
fn detail<T: DeserializeOwned>(dataset: Option<&Manifest>, key: &str) -> Option<T> {
    serde_json::from_value(dataset?.details.get(key)?.clone()).ok()
}

fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Renders the card of a run whose dataset stage has finished. Of `prompts`, those that wrote a row are shown.
pub fn render(facts: &RunFacts, prompts: &[PromptFile]) -> String {
    let dataset = facts.stage("dataset").map(|stage| &stage.manifest);
    let mut card = String::new();
    heading(&mut card, facts, dataset);
    let judge: Option<JudgeFacts> = detail(dataset, "judge");
    columns(&mut card, judge.is_some());
    sources(&mut card, facts);
    making(&mut card, facts, prompts);
    card.push_str("\n## What the gates measured\n\n");
    card.push_str(&dataset.map(figures).unwrap_or_default());
    if let Some(judge) = &judge {
        card.push_str(&ratings(judge));
    }
    membership(&mut card, dataset);
    limits(&mut card, facts, dataset, judge.is_some());
    card
}

fn heading(card: &mut String, facts: &RunFacts, dataset: Option<&Manifest>) {
    let licence: String = detail(dataset, "licence").unwrap_or_else(|| "unknown".to_owned());
    let rows: u64 = facts.tasks.values().sum();
    let size = match rows {
        0..1_000 => "n<1K",
        1_000..10_000 => "1K<n<10K",
        10_000..100_000 => "10K<n<100K",
        _ => "100K<n<1M",
    };
    card.push_str(&format!(
        "---\nlicense: {}\n{}language: [en]\ntags: [medical, clinical, synthetic]\n\
         task_categories: [question-answering, summarization, text-generation]\nsize_categories: [{size}]\nconfigs:\n",
        hub_licence(&licence),
        // The hub wants a name where the licence is none it knows.
        match terms(facts).whole() {
            Whole::InParts => "license_name: by-row\n",
            Whole::Withheld => "license_name: not-to-be-published\n",
            Whole::Nothing | Whole::Under(_) => "",
        }
    ));
    for kind in ["instructions", "notes"] {
        card.push_str(&format!("- config_name: {kind}\n  data_files:\n"));
        for split in ["train", "validation"] {
            card.push_str(&format!("  - split: {split}\n    path: {kind}-{split}*.parquet\n"));
        }
    }
    let sides: BTreeMap<Split, SideFigures> = detail(dataset, "sides").unwrap_or_default();
    let judged = dataset.is_some_and(|dataset| dataset.details.contains_key("judge"));
    declaration(card, &sides, if judged { Layout::Judged } else { Layout::Plain });
    card.push_str(&format!(
        "---\n\n# {}\n\n{} written from published case reports, and {} with answers over them. No patient record was \
         used. Licence, computed from the sources: **{licence}**; each row carries its source's licence and attribution line.\n",
        facts.name,
        counted(facts.note_words.len() as u64, "synthetic clinical note"),
        counted(rows, "instruction"),
    ));
    if let Some(problem) = terms(facts).problem() {
        card.push_str(&format!("\n> **This dataset cannot be published under one licence.** {problem}\n"));
    }
    if extractive(facts) {
        card.push_str(
            "\n> **Made by the extractive teacher**: fixed rules sorted the reports' own sentences; no language model wrote \
             them. Such data shows that the machinery works. It makes no model good.\n",
        );
    }
    card.push_str("\n## What it holds\n\n");
    if !sides.is_empty() {
        card.push_str(
            "| split | articles | notes | instructions | unanswerable on purpose |\n|---|---:|---:|---:|---:|\n",
        );
        for (split, side) in &sides {
            card.push_str(&format!(
                "| {} | {} | {} | {} | {} |\n",
                split.name(),
                side.articles,
                side.notes,
                side.instructions,
                side.unanswerable
            ));
        }
        card.push_str("\nSplit by article: no patient and no article is on both sides.\n\n");
    }
    card.push_str("| task | instructions |\n|---|---:|\n");
    for task in Task::ALL {
        if let Some(count) = facts.tasks.get(&task) {
            card.push_str(&format!("| {} | {count} |\n", task.title()));
        }
    }
    let words: BTreeMap<String, [u32; 5]> = detail(dataset, "words").unwrap_or_default();
    if !words.is_empty() {
        card.push_str("\n| words of a | least | 5 % | median | 95 % | most |\n|---|---:|---:|---:|---:|---:|\n");
        for (column, quantiles) in &words {
            card.push_str(&format!("| {column} | {} |\n", quantiles.map(|words| words.to_string()).join(" | ")));
        }
    }
}

/// What the hub's `datasets` library is to find: every column with its type, and the rows of each split.
fn declaration(card: &mut String, sides: &BTreeMap<Split, SideFigures>, layout: Layout) {
    type Rows = fn(&SideFigures) -> u64;
    card.push_str("dataset_info:\n");
    let kinds: [(&str, String, Rows); 2] = [
        ("instructions", hub_features::<Instruction>(layout, 2), |side| side.instructions),
        ("notes", hub_features::<Note>(layout, 2), |side| side.notes),
    ];
    for (kind, features, rows) in kinds {
        card.push_str(&format!("- config_name: {kind}\n  features:\n{features}"));
        if !sides.is_empty() {
            card.push_str("  splits:\n");
        }
        for (split, side) in sides {
            card.push_str(&format!("  - name: {}\n    num_examples: {}\n", split.name(), rows(side)));
        }
    }
}

/// What a reader has to know of the columns beyond their names.
fn columns(card: &mut String, judged: bool) {
    card.push_str(
        "\n## Columns\n\n\
         - `patient_id`: the case report's number (digits of the article's PMCID x 1000 + its place in the article). No \
         hospital's number, and no person's.\n\
         - `note`, `question`, `answer`, `task`: as in the published Asclepius dataset, so that either can stand in for the \
         other.\n\
         - `report_id`, `article_id`, `licence`, `licence_url`, `attribution`: where the row comes from, under which licence, \
         and the line that credits it.\n\
         - `teacher_model`, `*_prompt_hash`, `*_request_key`, `*_finish_reason`, `*_prompt_tokens`, `*_completion_tokens`: what \
         wrote each text, asked with which prompt.\n\
         - `scores`: what each gate measured, null where it does not apply; see below.\n\
         - `evidence` (instructions): bytes of the note, from `start` to before `end`, that support the answer.\n\
         - `unanswerable` (instructions): asked on purpose so that the note has no answer.\n",
    );
    if judged {
        card.push_str(
            "- `judge_model`, `judge_*`: which model rated the row (`scores.judge`), and the call; null where it gave no \
             rating.\n",
        );
    }
    card.push_str(
        "\n```python\nfrom datasets import load_dataset\n\n\
         rows = load_dataset(\"NAMESPACE/NAME\", \"instructions\")  # or \"notes\"\n```\n",
    );
}

/// Under what terms the notes, and what is asked about them, can be passed on.
pub fn terms(facts: &RunFacts) -> Terms {
    Terms::of("note", facts.licences.iter().map(|(licence, notes)| (*licence, *notes)))
}

pub(crate) fn extractive(facts: &RunFacts) -> bool {
    facts.teachers.iter().any(|model| model.starts_with("extractive"))
}

fn sources(card: &mut String, facts: &RunFacts) {
    card.push_str("\n## Sources and licences\n\n| licence of the source | notes |\n|---|---:|\n");
    for (licence, count) in &facts.licences {
        card.push_str(&format!("| {} | {count} |\n", licence.name()));
    }
    card.push('\n');
    for sentence in terms(facts).consequences() {
        card.push_str(&format!("- {sentence}\n"));
    }
    let all = facts.attributions.len();
    card.push_str(&format!("\nWritten from {all} articles, to be credited as follows"));
    if all > SOURCES_SHOWN {
        card.push_str(&format!(
            " (the first {SOURCES_SHOWN}; `{ATTRIBUTIONS}` beside this card lists all, as does `asclepius data card \
             --attributions`, and each row has its own)"
        ));
    }
    card.push_str(":\n\n");
    for (article, source) in facts.attributions.iter().take(SOURCES_SHOWN) {
        // Most lines say it themselves.
        let said = source.line.contains(source.licence.name()) && source.line.contains(&source.licence_url);
        let licence = match (said, source.licence_url.is_empty()) {
            (true, _) => String::new(),
            (false, true) => format!(" ({})", source.licence),
            (false, false) => format!(" ({}, <{}>)", source.licence, source.licence_url),
        };
        card.push_str(&format!("- {article}: {}{licence}\n", plain(&source.line)));
    }
}

/// Every source to credit, as tab-separated values: article, licence, its address, attribution line.
pub fn attributions(facts: &RunFacts) -> String {
    let mut text = String::from("article_id\tlicence\tlicence_url\tattribution\n");
    for (article, source) in &facts.attributions {
        let cells = [article.as_str(), source.licence.name(), &source.licence_url, &source.line];
        text.push_str(&cells.map(|cell| cell.replace(['\t', '\n', '\r'], " ")).join("\t"));
        text.push('\n');
    }
    text
}

/// A line from outside, which must not become mark-up.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\r' | '\t' => plain.push(' '),
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' => {
                plain.push('\\');
                plain.push(character);
            }
            other => plain.push(other),
        }
    }
    plain
}

fn making(card: &mut String, facts: &RunFacts, prompts: &[PromptFile]) {
    let teachers: Vec<String> = facts.teachers.iter().map(|model| plain(model)).collect();
    card.push_str(&format!("\n## How it was made\n\nWritten by: {}.\n", teachers.join(", ")));
    if let Some(dataset) = facts.stage("dataset") {
        let manifest = &dataset.manifest;
        card.push_str(&format!(
            "Put together by asclepius {}; fingerprint of everything that went in, settings included: `{}`.\n",
            manifest.tool_version, manifest.fingerprint
        ));
    }
    card.push_str("\n| stage | in | out | pending | dropped | tokens sent | received | US dollars |\n");
    card.push_str("|---|---:|---:|---:|---|---:|---:|---:|\n");
    let (mut sent, mut received, mut dollars) = (0, 0, 0.0);
    let made = |stage: &str| matches!(stage, "ingest" | "notes" | "instruct" | "dataset");
    for manifest in facts.stages.iter().map(|stage| &stage.manifest).filter(|manifest| made(&manifest.stage)) {
        let also = manifest.also.iter().map(|(unit, counts)| (unit, counts, None));
        let own = (&manifest.unit, &manifest.counts, Some(manifest));
        for (unit, counts, whole) in std::iter::once(own).chain(also) {
            let reasons: Vec<String> =
                counts.dropped.iter().map(|(reason, count)| format!("{} {count}", reason.code())).collect();
            let paid = whole.map_or(" |  | ".to_owned(), |manifest| {
                format!("{} | {} | {:.2}", manifest.tokens.input, manifest.tokens.output, manifest.cost_usd)
            });
            card.push_str(&format!(
                "| {} ({unit}s) | {} | {} | {} | {} | {paid} |\n",
                manifest.stage,
                counts.input,
                counts.out,
                counts.pending,
                reasons.join(", ")
            ));
        }
        sent += manifest.tokens.input;
        received += manifest.tokens.output;
        dollars += manifest.cost_usd;
    }
    card.push_str(&format!(
        "\nIn all {sent} tokens were sent and {received} received, for {dollars:.2} US dollars at the prices the pipeline states \
         (0 where it states none).\n"
    ));
    if facts.prompts.is_empty() {
        return;
    }
    card.push_str("\n### Prompts\n\n| for the | prompt | hash, as in the rows | rows |\n|---|---|---|---:|\n");
    let file = |hash: &str| prompts.iter().find(|prompt| prompt.hash == hash);
    for ((asked_for, hash), rows) in &facts.prompts {
        let name = file(hash).map_or("not among the files at hand", |prompt| prompt.name.as_str());
        card.push_str(&format!("| {asked_for} | {name} | `{hash}` | {rows} |\n"));
    }
    let mut shown: Vec<&PromptFile> = facts.prompts.keys().filter_map(|(_, hash)| file(hash)).collect();
    shown.sort_by(|left, right| left.name.cmp(&right.name));
    shown.dedup();
    for prompt in shown {
        // Indented, so that nothing in a prompt can end the block.
        let indented: Vec<String> = prompt.source.lines().map(|line| format!("    {line}")).collect();
        card.push_str(&format!(
            "\n<details><summary>{}</summary>\n\n{}\n\n</details>\n",
            prompt.name,
            indented.join("\n")
        ));
    }
}

/// The gates' figures in a dataset stage's manifest, as Markdown tables.
pub fn figures(dataset: &Manifest) -> String {
    let gates: BTreeMap<String, BTreeMap<String, GateFigures>> = detail(Some(dataset), "gates").unwrap_or_default();
    if gates.is_empty() {
        return "No figures: the dataset was made by an earlier version.\n".to_owned();
    }
    let mut text = String::new();
    for (kind, gates) in &gates {
        if !text.is_empty() {
            text.push('\n');
        }
        // A failure to write to a string does not happen.
        let _ = writeln!(
            text,
            "| gate on the {kind} | passes | rows scored | above 0 | failed | dropped for it | mean | least | 5 % | median | 95 % | \
             most |\n|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
        );
        for (gate, figures) in gates {
            let passes = match figures.threshold {
                None => "all: measured only".to_owned(),
                Some(threshold) if figures.at_least => format!("{threshold} and more"),
                Some(threshold) => format!("{threshold} and less"),
            };
            let counted = |count: Option<u64>| count.map_or_else(|| "-".to_owned(), |count| count.to_string());
            let judged = |count: u64| counted(figures.threshold.map(|_| count));
            let _ = writeln!(
                text,
                "| {gate} | {passes} | {} | {} | {} | {} | {} | {} |",
                figures.scored,
                counted(figures.above_zero.filter(|_| !figures.at_least)),
                judged(figures.failed),
                judged(figures.dropped),
                short(figures.mean),
                figures.quantiles.map(|score| short(f64::from(score))).join(" | ")
            );
        }
    }
    text.push_str(
        "\nScores are of all rows that came in, dropped ones included; a row is dropped for the first gate it fails. Near \
         duplicates are looked for among the notes that passed every other gate. What a gate's number is, as the setting has \
         it that drops rows for it:\n\n",
    );
    let meanings = meanings();
    let scored: BTreeSet<&String> = gates.values().flat_map(BTreeMap::keys).collect();
    for gate in scored {
        if let Some(meaning) = meanings.get(gate) {
            let _ = writeln!(text, "- `{gate}`: {meaning}");
        }
    }
    text
}

/// How the judge rated, as Markdown.
fn ratings(judge: &JudgeFacts) -> String {
    let mut text = format!(
        "\n### The judge\n\n{} read what every other gate let through, each note beside its report and each answer beside its \
         note, and rated it at temperature 0: 1 something is wrong, 2 nothing wrong but something that matters is missing (of a \
         note: added), 3 only something minor, 4 faultless. Its ratings are a model's opinion. Rows whose rating could not be \
         read, asked for twice, are kept without a score.\n\n| kind | 1 | 2 | 3 | 4 | without a rating | pending |\n\
         |---|---:|---:|---:|---:|---|---:|\n",
        plain(&judge.model)
    );
    for (kind, figures) in &judge.ratings {
        let rated: Vec<String> = (1..=Rating::BEST)
            .map(|rating| Rating::new(rating).and_then(|rating| figures.rated.get(&rating)).unwrap_or(&0).to_string())
            .collect();
        let why: Vec<String> =
            figures.unrated.iter().map(|(reason, count)| format!("{} {count}", reason.code())).collect();
        let why = if why.is_empty() { "0".to_owned() } else { why.join(", ") };
        let _ = writeln!(text, "| {kind} | {} | {why} | {} |", rated.join(" | "), figures.pending);
    }
    text
}

/// What the configuration says of each gate's threshold, in its first sentence.
fn meanings() -> BTreeMap<String, String> {
    let schema = schemars::schema_for!(GatesConfig);
    let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let first = |text: &str| text.replace('\n', " ").split_inclusive(". ").next().unwrap_or_default().trim().to_owned();
    properties.filter_map(|(gate, about)| Some((gate.clone(), first(about.get("description")?.as_str()?)))).collect()
}

/// Three decimals at most.
fn short(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// What a gate measured on one kind of row.
fn gate(dataset: Option<&Manifest>, kind: &str, name: &str) -> Option<GateFigures> {
    let mut gates: BTreeMap<String, BTreeMap<String, GateFigures>> = detail(dataset, "gates")?;
    gates.get_mut(kind)?.remove(name)
}

/// The scan for identifiers, told in words: whoever answers for privacy reads this first.
fn identifiers(card: &mut String, dataset: Option<&Manifest>) {
    let found: Vec<String> = ["note", "instruction"]
        .into_iter()
        .filter_map(|kind| {
            let figures = gate(dataset, kind, "phi")?;
            Some(format!(
                "{} of {} {kind}s ({:.0} places in all)",
                figures.above_zero?,
                figures.scored,
                figures.mean * figures.scored as f64
            ))
        })
        .collect();
    if found.is_empty() {
        return;
    }
    let fate = match gate(dataset, "note", "phi").and_then(|figures| figures.threshold) {
        None => {
            "None was dropped for it: `dataset.gates.phi` is off, and a number there drops rows with more.".to_owned()
        }
        Some(most) => format!("Rows with more than {most} were dropped."),
    };
    card.push_str(&format!(
        "The reports are published ones; what they tell of a person, the notes may tell, too. A scan for what could identify \
         one (the eighteen kinds of the HIPAA Safe Harbor rule) found something of that look in {}. {fate} Each row carries its count as `scores.phi`.\n\n",
        found.join(" and in ")
    ));
}

fn copying(card: &mut String, dataset: Option<&Manifest>) {
    let (Some(share), Some(stretch)) = (gate(dataset, "note", "copied"), gate(dataset, "note", "copied_stretch"))
    else {
        return;
    };
    card.push_str(&format!(
        "Of a note's words, {:.0} % on average ({:.0} % at most) stand in its report in the same stretch of eight words or more; \
         the longest such stretch has {} words.\n\n",
        100.0 * share.mean,
        100.0 * f64::from(share.quantiles[4]),
        stretch.quantiles[4]
    ));
}

/// What the notes give away, as a section.
pub(crate) fn membership(card: &mut String, dataset: Option<&Manifest>) {
    card.push_str("\n## What the notes give away\n\n");
    identifiers(card, dataset);
    copying(card, dataset);
    let Some(found) = detail::<Option<Membership>>(dataset, "membership").flatten() else {
        card.push_str("Not measured: it takes notes on both sides of the split.\n");
        return;
    };
    card.push_str(&format!(
        "Whoever holds a report can try to tell whether it is behind a training note, by the share of a note's sequences of {} \
         words that the report holds, too, for the note most like it. Tried on {} reports behind training notes and {} of \
         held-out articles: AUC **{:.3}** (standard error {:.3}; 0.5 is guessing), membership advantage **{:.3}** (0 is none, 1 \
         certainty). Mean overlap {:.3} against {:.3}. A stronger attack may do better.\n",
        found.sequence_words,
        found.members,
        found.non_members,
        found.auc,
        found.auc_standard_error,
        found.advantage,
        found.member_overlap,
        found.non_member_overlap,
    ));
    if found.members.min(found.non_members) < 100 {
        card.push_str("\nSo few reports make this a rough figure.\n");
    }
}

/// Which evaluation sets the dataset was compared with, in a sentence.
pub(crate) fn contamination(dataset: Option<&Manifest>) -> String {
    match detail::<Sets>(dataset, "evaluation_sets").filter(|sets| !sets.files.is_empty()) {
        None => {
            "Not compared with any evaluation set: a model made from it may have seen what it is tested on.".to_owned()
        }
        Some(sets) => format!(
            "Compared with {} ({} sequences of 13 words): rewordings of their texts, and texts shorter than that, are not found.",
            sets.files.iter().map(|name| plain(name)).collect::<Vec<_>>().join(", "),
            sets.sequences
        ),
    }
}

fn limits(card: &mut String, facts: &RunFacts, dataset: Option<&Manifest>, judged: bool) {
    card.push_str("\n## Limits\n\n");
    let mut limit = |text: &str| card.push_str(&format!("- {text}\n"));
    limit(
        "The notes resemble the published reports they were written from, and case reports are the unusual cases: common disease \
         is under-represented, and so is every language but English.",
    );
    if judged {
        limit(
            "A language model judged what the rules let through: it overlooks errors, and takes sound statements for wrong ones.",
        );
    }
    if !extractive(facts) && judged {
        limit("A language model wrote notes, questions and answers.");
    } else if !extractive(facts) {
        limit(
            "A language model wrote notes, questions and answers. The gates are rules: they miss errors no rule describes.",
        );
    }
    limit(&contamination(dataset));
    limit("Near duplicates are near in their words; the same case told in other words stays.");
    limit("No substitute for clinical judgement; nothing trained on it is a medical device.");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licences_have_the_hubs_names_and_none_is_other() {
        for (ours, theirs) in
            [("CC0", "cc0-1.0"), ("CC BY-NC-SA", "cc-by-nc-sa-4.0"), ("none fits all sources", "other")]
        {
            assert_eq!(hub_licence(ours), theirs);
        }
    }

    #[test]
    fn what_comes_from_outside_is_no_mark_up() {
        assert_eq!(plain("A <b> | *x*\n# y"), "A \\<b\\> \\| \\*x\\* \\# y");
        let mut facts = RunFacts::default();
        let source = crate::gather::Attribution {
            line: "Doe J. [A case](javascript:x)".to_owned(),
            licence: asclepius_schema::Licence::CcBy,
            licence_url: "https://creativecommons.org/licenses/by/4.0/".to_owned(),
        };
        facts.attributions.insert("PMC1".to_owned(), source);
        let card = render(&facts, &[]);
        assert!(card.contains("- PMC1: Doe J. \\[A case\\](javascript:x) (CC BY, <https://"), "{card}");
        assert_eq!(attributions(&facts).lines().count(), 2);
    }

    #[test]
    fn prompts_are_shown_by_hash_and_unknown_ones_are_said_to_be() {
        let mut facts = RunFacts::default();
        let prompt = PromptFile::new("note.v1.jinja", "[user]\n```\nWrite {{ report }}");
        facts.prompts.insert(("note", prompt.hash.clone()), 7);
        facts.prompts.insert(("answer", "0123".to_owned()), 7);
        let card = render(&facts, std::slice::from_ref(&prompt));
        assert!(card.contains(&format!("| note | note.v1.jinja | `{}` | 7 |", prompt.hash)), "{card}");
        assert!(card.contains("| answer | not among the files at hand | `0123` | 7 |"), "{card}");
        assert!(card.contains("\n    ```\n    Write {{ report }}\n"), "{card}");
    }
}
