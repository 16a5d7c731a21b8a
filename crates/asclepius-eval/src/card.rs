//! The dataset card: Markdown with the front matter the hub reads.

use std::fmt::Write;

use crate::gather::RunFacts;

/// The hub's name for the licence computed from the sources.
fn hub_licence(licence: &str) -> String {
    match licence {
        "CC0" => "cc0-1.0".to_owned(),
        other => format!("{}-4.0", other.to_lowercase().replace(' ', "-")),
    }
}

/// Renders the card of a run whose dataset stage has finished.
pub fn render(facts: &RunFacts) -> String {
    let mut card = String::new();
    let mut line = |text: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(card, "{text}");
    };
    let licence = facts
        .stage("dataset")
        .and_then(|stage| stage.manifest.details.get("licence"))
        .and_then(serde_json::Value::as_str)
        .unwrap_or("unknown");
    let rows: u64 = facts.tasks.values().sum();
    let size = match rows {
        0..1_000 => "n<1K",
        1_000..10_000 => "1K<n<10K",
        10_000..100_000 => "10K<n<100K",
        _ => "100K<n<1M",
    };
    line("---");
    line(&format!("license: {}", hub_licence(licence)));
    line("language: [en]");
    line("tags: [medical, clinical, synthetic]");
    line("task_categories: [question-answering, summarization, text-generation]");
    line(&format!("size_categories: [{size}]"));
    line("---");
    line(&format!("\n# {}\n", facts.name));
    line(&format!(
        "{} synthetic clinical notes written from published case reports, and {rows} instructions with answers over them. \
         No patient record was used. Licence, computed from the sources: **{licence}**; each row carries its source's \
         licence and attribution line.\n",
        facts.note_words.len(),
    ));
    if facts.teachers.iter().any(|model| model.starts_with("extractive")) {
        line(
            "> **Made by the extractive teacher**: fixed rules sorted the reports' own sentences; no language model wrote \
             them. Such data shows that the machinery works. It makes no model good.\n",
        );
    }
    line(&format!("Written by: {}.\n", facts.teachers.join(", ")));
    line("| task | instructions |\n|---|---:|");
    for (task, count) in &facts.tasks {
        line(&format!("| {} | {count} |", task.title()));
    }
    line("\n| licence of the source | notes |\n|---|---:|");
    for (licence, count) in &facts.licences {
        line(&format!("| {} | {count} |", licence.name()));
    }
    line("\n| stage | in | out | dropped |\n|---|---:|---:|---|");
    for stage in facts
        .stages
        .iter()
        .filter(|stage| matches!(stage.manifest.stage.as_str(), "ingest" | "notes" | "instruct" | "dataset"))
    {
        let counts = &stage.manifest.counts;
        let reasons: Vec<String> =
            counts.dropped.iter().map(|(reason, count)| format!("{} {count}", reason.code())).collect();
        line(&format!(
            "| {} ({}s) | {} | {} | {} |",
            stage.manifest.stage,
            stage.manifest.unit,
            counts.input,
            counts.out,
            reasons.join(", ")
        ));
    }
    line(
        "\nSynthetic notes can resemble the published reports they were written from. They are no substitute for clinical \
         judgement, and nothing trained on them is a medical device.",
    );
    card
}
