//! The report as Markdown, for where a page cannot be shown: the same numbers, without the samples and the plots.

use crate::card::plain;
use crate::gather::RunFacts;
use crate::page::{TRAININGS, funnel, tiles, training_sentence};
use crate::scoreboard::{self, Scoreboard};

/// Renders the report. Text from outside is escaped, so that it stays text.
pub fn render(facts: &RunFacts) -> String {
    let mut text = format!("# {}\n\n", plain(&facts.name));
    text.push_str("An Asclepius run: case reports to synthetic notes, instructions, and a model trained on them.\n");
    if facts.teachers.iter().any(|model| model.starts_with("extractive")) {
        text.push_str(
            "\n> **Made by the extractive teacher.** Fixed rules sorted the reports' own sentences; no language model wrote \
             them. The data shows that the machinery works. It makes no model good, and no score here says that one is.\n",
        );
    }
    text.push_str("\n| | |\n|---|---:|\n");
    for tile in tiles(facts) {
        text.push_str(&format!("| {} | {} |\n", tile.label, plain(&tile.value)));
    }
    text.push_str(
        "\n## Every row accounted for\n\n| stage | unit | in | out | dropped | pending | dropped because |\n",
    );
    text.push_str("|---|---|---:|---:|---:|---:|---|\n");
    for row in funnel(facts) {
        let (stage, unit, reasons) = (plain(&row.stage), plain(&row.unit), plain(&row.reasons));
        let (input, out, dropped, pending) = (row.input, row.out, row.dropped, row.pending);
        text.push_str(&format!("| {stage} | {unit} | {input} | {out} | {dropped} | {pending} | {reasons} |\n"));
    }
    let trained: Vec<_> = TRAININGS.iter().filter_map(|(name, title)| Some((title, facts.stage(name)?))).collect();
    if !trained.is_empty() {
        text.push_str("\n## Training\n");
        for (title, stage) in trained {
            text.push_str(&format!("\n**{title}.** {}\n", plain(&training_sentence(stage))));
        }
    }
    if let Some(evaluation) = &facts.evaluation {
        text.push_str("\n## Held-out evaluation\n");
        text.push_str(&scoreboard::markdown(&Scoreboard::new(evaluation), &plain));
    }
    text
}
