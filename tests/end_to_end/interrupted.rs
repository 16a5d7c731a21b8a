//! Runs stopped and killed while they ask and while they train, and how the same command goes on.

use std::path::Path;

use serde_json::Value;

use crate::support::{
    Act, Asclepius, ChatServer, Running, Workspace, copy, finished, lines, manifest, notes_from, quoted, reports,
    snapshot,
};

#[test]
fn an_interrupt_keeps_what_is_in_flight_and_the_next_run_asks_the_rest() {
    let server = ChatServer::start(|n| if n < 2 { Act::Answer } else { Act::Hold });
    let workspace = Workspace::new();
    let mut running = notes_from(&workspace, &server).set("teacher.concurrency", 2).start();
    server.wait_for(4);
    running.interrupt();
    running.wait_for("stopping");
    server.release();
    running.ended().with(130).says(&["interrupted"]);
    assert_eq!(server.requests(), 4, "nothing new is sent after the interrupt");
    assert!(!workspace.stage("notes").exists(), "half a stage is none");

    let next = ChatServer::start(|_| Act::Answer);
    notes_from(&workspace, &next).ends(0);
    assert_eq!(next.requests(), reports() - 4, "both calls in flight were kept");
    assert_eq!(manifest(&workspace.stage("notes"))["details"]["calls_from_ledger"], 4);
}

#[test]
fn calls_in_flight_that_never_end_are_given_up_and_asked_again() {
    let server = ChatServer::start(|n| if n < 2 { Act::Answer } else { Act::Hold });
    let workspace = Workspace::new();
    let mut running = notes_from(&workspace, &server).set("teacher.concurrency", 2).start();
    server.wait_for(4);
    running.interrupt();
    running.wait_for("stopping");
    running.ended().with(130);

    let next = ChatServer::start(|_| Act::Answer);
    notes_from(&workspace, &next).ends(0);
    assert_eq!(next.requests(), reports() - 2);
}

#[test]
fn a_second_interrupt_ends_at_once() {
    let server = ChatServer::start(|_| Act::Hold);
    let workspace = Workspace::new();
    let mut running = notes_from(&workspace, &server).start();
    server.wait_for(1);
    running.interrupt();
    running.wait_for("stopping");
    running.interrupt();
    running.ended().with(130);
    let next = ChatServer::start(|_| Act::Answer);
    notes_from(&workspace, &next).ends(0);
    assert_eq!(next.requests(), reports());
}

#[test]
fn a_run_killed_while_it_asks_has_every_reply_it_had_acknowledged() {
    // One call at a time: when the fourth request comes, three replies are durable.
    let server = ChatServer::start(|n| if n < 3 { Act::Answer } else { Act::Hold });
    let workspace = Workspace::new();
    let running = notes_from(&workspace, &server).start();
    server.wait_for(4);
    running.kill();

    let next = ChatServer::start(|_| Act::Answer);
    notes_from(&workspace, &next).ends(0);
    assert_eq!(next.requests(), reports() - 3);
    let notes = |workspace: &Workspace| fs_err::read(workspace.stage("notes").join("notes.parquet")).expect("finished");
    assert!(notes(&workspace) == notes(finished()), "the same notes as without the kill");
}

#[test]
fn a_second_process_on_the_same_run_is_turned_away_and_does_no_harm() {
    let server = ChatServer::start(|n| if n == 0 { Act::Answer } else { Act::Hold });
    let workspace = Workspace::new();
    let running = notes_from(&workspace, &server).start();
    server.wait_for(2);
    notes_from(&workspace, &server).ends(1).says(&["another process", "runs"]);
    server.release();
    running.ended().with(0);
    assert_eq!(server.requests(), reports());
    assert_eq!(manifest(&workspace.stage("notes"))["counts"]["out"], reports());
}

/// Long enough that the interrupt, sent when an early step is reported, comes well before the end.
const STEPS: u64 = 60;

/// A training stage over the shared run's dataset and, for sft, its pre-trained model. Every step is evaluated, which
/// says on stderr how far it is.
fn training(workspace: &Workspace, stage: &str) -> Asclepius {
    let shared = finished();
    let mut command = workspace
        .command(stage)
        .arg("-v")
        .set(&format!("{stage}.input"), quoted(&shared.stage("dataset")))
        .set(&format!("{stage}.max_steps"), STEPS)
        .set(&format!("{stage}.eval_every"), 1)
        .set(&format!("{stage}.save_every"), 5);
    if stage == "sft" {
        command = command
            .set("sft.base", quoted(&shared.stage("pretrain").join("final")))
            .set("sft.sequence_length", 256)
            .set("sft.lora.dropout", 0.1);
    }
    command
}

/// What training left: the metrics without their times, and the weights' bytes.
fn result(stage: &Path, weights: &str) -> (Vec<Value>, Vec<u8>) {
    let mut rows = lines(&stage.join("metrics.jsonl"));
    for row in &mut rows {
        let row = row.as_object_mut().expect("an object a line");
        for time in ["seconds", "tokens_per_second", "eval_seconds", "peak_memory_bytes"] {
            row.remove(time);
        }
    }
    (rows, fs_err::read(stage.join("final").join(weights)).expect("training has finished"))
}

/// Waits until training has gone some steps past a checkpoint.
fn reach_a_step_between_checkpoints(running: &mut Running) {
    running.wait_for("step=8");
}

/// Trains once without a break, once with each kind of break, and compares.
fn breaks_leave_no_trace(stage: &str, weights: &str) {
    let unbroken = Workspace::new();
    training(&unbroken, stage).ends(0);
    let (rows, bytes) = result(&unbroken.stage(stage), weights);
    let steps = |rows: &[Value]| -> Vec<u64> {
        rows.iter().filter(|row| row["loss"].is_number()).map(|row| row["step"].as_u64().expect("a count")).collect()
    };
    assert_eq!(steps(&rows), (1..=STEPS).collect::<Vec<_>>());

    for killed in [false, true] {
        let broken = Workspace::new();
        let mut running = training(&broken, stage).start();
        reach_a_step_between_checkpoints(&mut running);
        if killed {
            running.kill();
        } else {
            running.interrupt();
            running.ended().with(130).says(&["interrupted"]);
        }
        assert!(!broken.stage(stage).join("final").exists(), "it was stopped before its end");
        let stopped = broken.stage(stage);
        assert!(!stopped.join("manifest.json").exists());

        // The evaluation at step 8 came after the checkpoint of step 5; an interrupt saves the last whole step.
        let mut again = training(&broken, stage).start();
        let line = again.wait_for("goes on after step");
        let step: u64 = line.rsplit(' ').next().and_then(|word| word.parse().ok()).expect("it ends with the step");
        if killed {
            assert!(step >= 5 && step.is_multiple_of(5), "{line}");
        } else {
            assert!(step >= 8, "{line}");
        }
        again.ended().with(0);
        let (rows_after, bytes_after) = result(&stopped, weights);
        assert_eq!(steps(&rows_after), steps(&rows), "every step once");
        assert!(rows_after == rows, "the same losses, norms and rates, bit for bit");
        assert!(bytes_after == bytes, "the same weights, bit for bit");
        assert_eq!(manifest(&stopped)["counts"]["out"], STEPS);
    }
}

#[test]
fn pre_training_goes_on_bit_for_bit_after_an_interrupt_and_after_a_kill() {
    breaks_leave_no_trace("pretrain", "model.safetensors");
}

#[test]
fn instruction_tuning_goes_on_bit_for_bit_after_an_interrupt_and_after_a_kill() {
    breaks_leave_no_trace("sft", "adapter_model.safetensors");
}

/// Kills one run over and over, each time a little later, with everything that carries state switched on: 8-bit moments,
/// dropout, early stopping, accumulation, several epochs, and a checkpoint being written at every step.
fn kills_leave_no_trace(stage: &str, weights: &str) {
    let steps = 24;
    let command = |workspace: &Workspace| {
        training(workspace, stage)
            .set(&format!("{stage}.max_steps"), steps)
            .set(&format!("{stage}.epochs"), 50)
            .set(&format!("{stage}.save_every"), 1)
            .set(&format!("{stage}.keep"), 2)
            .set(&format!("{stage}.global_batch"), 6)
            .set(&format!("{stage}.micro_batch"), 2)
            .set(&format!("{stage}.optimizer"), "adamw8bit")
            .set(&format!("{stage}.early_stop"), 20)
    };
    let unbroken = Workspace::new();
    command(&unbroken).ends(0);
    let (rows, bytes) = result(&unbroken.stage(stage), weights);
    let epochs = rows.iter().filter_map(|row| row["epoch"].as_f64()).fold(0.0, f64::max);
    assert!(epochs > 2.0, "it crosses the edges of epochs: {epochs}");

    let broken = Workspace::new();
    for step in (2..steps).step_by(3) {
        let mut running = command(&broken).start();
        running.wait_for(&format!("step={step}"));
        running.kill();
    }
    command(&broken).ends(0);
    let (rows_after, bytes_after) = result(&broken.stage(stage), weights);
    assert!(rows_after == rows, "the same losses, norms and rates, bit for bit");
    assert!(bytes_after == bytes, "the same weights, bit for bit");
}

#[test]
fn pre_training_killed_again_and_again_ends_bit_for_bit() {
    kills_leave_no_trace("pretrain", "model.safetensors");
}

#[test]
fn instruction_tuning_killed_again_and_again_ends_bit_for_bit() {
    kills_leave_no_trace("sft", "adapter_model.safetensors");
}

#[test]
fn training_killed_before_its_first_checkpoint_starts_over() {
    let workspace = Workspace::new();
    let command = || training(&workspace, "pretrain").set("pretrain.save_every", 0).set("pretrain.max_steps", 40);
    let mut running = command().start();
    running.wait_for("step=2");
    running.kill();
    command().ends(0);
    let (rows, _) = result(&workspace.stage("pretrain"), "model.safetensors");
    let steps = rows.iter().filter(|row| row["loss"].is_number()).count();
    assert_eq!(steps, 40, "the abandoned steps are not in the metrics");
}

#[test]
fn a_damaged_checkpoint_is_named_and_kept() {
    let workspace = Workspace::new();
    let mut running = training(&workspace, "pretrain").start();
    reach_a_step_between_checkpoints(&mut running);
    running.kill();
    let stage = workspace.stage("pretrain");
    let mut damaged = Vec::new();
    for (path, content) in snapshot(&stage) {
        if path.ends_with("optimizer.safetensors") {
            fs_err::write(stage.join(&path), &content[..content.len() / 2]).expect("writable");
            damaged.push(path);
        }
    }
    assert!(!damaged.is_empty(), "there is a checkpoint at step 5");
    training(&workspace, "pretrain").ends(1).says(&["optimizer.safetensors", "step-0000"]);
    assert!(damaged.iter().all(|path| stage.join(path).exists()), "what is left of it is kept");
}

#[test]
fn an_interrupted_run_goes_on_as_a_whole() {
    let workspace = Workspace::new();
    copy(&finished().stage("corpus"), &workspace.stage("corpus"));
    let server = ChatServer::start(|n| if n < 8 { Act::Answer } else { Act::Hold });
    let run = |server: &ChatServer| {
        workspace
            .command("run")
            .set("teacher.endpoint", server.url())
            .set("teacher.model", "\"extractive-1\"")
            .set("teacher.concurrency", 1)
    };
    // Every note is written; the questions have begun.
    let mut running = run(&server).start();
    server.wait_for(9);
    running.interrupt();
    running.wait_for("stopping");
    server.release();
    running.ended().with(130);
    let notes = workspace.stage("notes");
    let before = snapshot(&notes);
    assert!(before.len() > 1, "a finished stage stays");

    let next = ChatServer::start(|_| Act::Answer);
    let ended = run(&next).ends(0);
    ended.says(&["notes  up to date"]);
    assert_eq!(snapshot(&notes), before);
    let instructions = |workspace: &Workspace| {
        fs_err::read(workspace.stage("instructions").join("instructions.parquet")).expect("finished")
    };
    assert!(instructions(&workspace) == instructions(finished()));
    assert_eq!(server.requests() + next.requests(), reports() + 2 * 2 * reports(), "every call is paid once");
}
