//! Tokens kept from one run to the next: used when nothing they depend on changed, made again when something did.

use std::path::PathBuf;

use crate::support::{Workspace, snapshot};

const USED: &str = "the tokens of an earlier run are used";

/// The one directory of tokens a stage keeps.
fn kept(workspace: &Workspace, stage: &str) -> PathBuf {
    let directory = workspace.run_dir().join("tokens").join(stage);
    let entries: Vec<PathBuf> =
        fs_err::read_dir(&directory).expect("readable").map(|entry| entry.expect("readable").path()).collect();
    assert_eq!(entries.len(), 1, "{entries:?}");
    entries[0].clone()
}

fn weights(workspace: &Workspace, stage: &str) -> Vec<u8> {
    let name = if stage == "sft" { "adapter_model.safetensors" } else { "model.safetensors" };
    fs_err::read(workspace.stage(stage).join("final").join(name)).expect("a finished stage")
}

#[test]
fn a_second_training_uses_the_tokens_of_the_first_and_ends_the_same() {
    let workspace = Workspace::finished();
    for stage in ["pretrain", "sft"] {
        let (tokens, trained) = (kept(&workspace, stage), weights(&workspace, stage));
        let before = snapshot(&tokens);
        let again = workspace.command(stage).arg("--fresh").arg("-v").ends(0);
        again.says(&[USED]);
        assert_eq!(weights(&workspace, stage), trained, "{stage} from kept tokens");

        fs_err::remove_dir_all(workspace.run_dir().join("tokens").join(stage)).expect("removable");
        let anew = workspace.command(stage).arg("--fresh").arg("-v").ends(0);
        assert!(!anew.stderr.contains(USED), "{}", anew.stderr);
        assert_eq!(weights(&workspace, stage), trained, "{stage} from new tokens");
        assert_eq!(snapshot(&kept(&workspace, stage)), before);
    }
}

#[test]
fn a_preview_from_kept_tokens_is_the_preview_without_them() {
    let workspace = Workspace::finished();
    let preview = || workspace.command("preview").arg("--rows").arg("3").arg("-v").ends(0);
    let kept = preview();
    assert_eq!(kept.stderr.matches(USED).count(), 2, "{}", kept.stderr);
    fs_err::remove_dir_all(workspace.run_dir().join("tokens")).expect("removable");
    let made = preview();
    assert!(!made.stderr.contains(USED), "{}", made.stderr);
    assert_eq!(kept.stdout, made.stdout);
    assert!(!workspace.run_dir().join("tokens").exists(), "a preview leaves nothing behind");
}

#[test]
fn another_length_tokenizer_template_or_row_is_noticed() {
    let workspace = Workspace::finished();
    let template = workspace.path().join("plain.jinja");
    fs_err::write(&template, "Note: {{ note }}\nQ: {{ question }}\nA:").expect("writable");
    let unused = |key: &str, value: &str| {
        let ended = workspace.command("preview").set(key, value).arg("-v").ends(0);
        2 - ended.stderr.matches(USED).count()
    };
    assert_eq!(unused("sft.learning_rate", "0.01"), 0, "nothing that tokens depend on");
    assert_eq!(unused("pretrain.sequence_length", "96"), 1);
    assert_eq!(unused("sft.template", &template.display().to_string()), 1);
    // Another file of rows: pre-training takes it, tuning is as before.
    let rows = workspace.stage("dataset").join("notes-validation.parquet");
    assert_eq!(unused("pretrain.data", &rows.display().to_string()), 1);
    // The tokenizer comes from the data: another vocabulary is another tokenizer. Tuning has it from pre-training's result.
    assert_eq!(unused("pretrain.init.vocab_size", "300"), 1);
}

#[test]
fn damaged_tokens_are_named_and_made_again() {
    let workspace = Workspace::finished();
    let path = kept(&workspace, "pretrain").join("train.tokens");
    let (sound, trained) = (fs_err::read(&path).expect("readable"), weights(&workspace, "pretrain"));
    let mut damaged = sound.clone();
    damaged[100] ^= 1;
    fs_err::write(&path, damaged).expect("writable");
    let ended = workspace.command("pretrain").arg("--fresh").ends(0);
    ended.says(&["train.tokens", "its tokens part is damaged", "made anew"]);
    assert_eq!(fs_err::read(&path).expect("made again"), sound);
    assert_eq!(weights(&workspace, "pretrain"), trained);
}
