//! Talking to models in the terminal.

use crate::support::{asclepius, finished};

#[test]
fn notes_tasks_and_comparisons_are_at_hand() {
    let said = "/note 1\n/task\n/task qa\n/max-tokens 8\n/compare\nWhat was found?\n/nonsense\n/temperature nan\n\n";
    let chat = |input: &str| asclepius(["chat", "--device", "cpu"]).arg(finished().pipeline()).input(input).ends(0);
    let ended = chat(said);
    ended.says(&["question> ", "Named Entity Recognition", "untrained beside tuned", "/nonsense", "/temperature nan"]);
    let labels: Vec<&str> = ended.stdout.lines().filter(|line| line.starts_with('[')).collect();
    assert!(labels.starts_with(&["[untrained]"]) && labels.contains(&"[tuned]"), "{}", ended.stdout);
    assert_eq!(chat(said).stdout, ended.stdout, "greedy answers are the same each time");

    let pasted = chat("/temperature 1.5\n/seed 5\n/note\nFever for two days.\n.\nWhat was found?\n");
    assert!(!pasted.stdout.trim().is_empty());

    let directory = asclepius(["chat", "--device", "cpu", "--model"]).arg(finished().stage("pretrain").join("final"));
    let first = directory.input("Fever for two days.\n.\n/temperature 1.5\n/seed 5\nWhat was found?\n").ends(0);
    first.says(&["note> ", "question> "]);
    assert!(!first.stdout.trim().is_empty());
}
