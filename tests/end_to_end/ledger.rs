//! What the ledger promises a user: kills, full disks and divided work cost nothing that was paid for.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::process::Command;

use asclepius_dataset::read_calls;
use asclepius_llm::{Ledger, Outcome};
use serde_json::Value;

use crate::support::{Act, ChatServer, Workspace, asclepius, finished, manifest, notes_from, reports, snapshot};

/// How often the run is killed: few times by default, a thousand for `just torture`.
fn kills() -> usize {
    let asked = std::env::var("ASCLEPIUS_TORTURE_KILLS").ok();
    asked.map_or(8, |count| count.parse().expect("ASCLEPIUS_TORTURE_KILLS is a number"))
}

/// Less than `bound`, differently each time: the moments of the kills are not to repeat.
fn draw(bound: usize) -> usize {
    (RandomState::new().hash_one(0_u8) % bound as u64) as usize
}

#[test]
fn a_run_killed_again_and_again_loses_nothing_and_pays_for_little_twice() {
    const IN_FLIGHT: usize = 4;
    let kills = kills();
    // Few requests are answered, so that there is still something to do at the last kill.
    let rare = (kills * IN_FLIGHT / reports()).max(2);
    let server = ChatServer::start(move |_| if draw(rare) == 0 { Act::Answer } else { Act::Hold });
    let workspace = Workspace::new();
    let notes = |server: &ChatServer| notes_from(&workspace, server).set("teacher.concurrency", IN_FLIGHT);
    let ledger = workspace.run_dir().join("ledger");
    let replies = || -> Vec<String> {
        let entries =
            Ledger::read(&ledger).expect("listed").map(|entry| entry.expect("nothing worse than a torn tail"));
        entries.filter(|entry| matches!(entry.outcome, Outcome::Reply { .. })).map(|entry| entry.row_id).collect()
    };
    let mut durable = Vec::new();
    for _ in 0..kills {
        let left = reports() - durable.len();
        if left == 0 {
            break;
        }
        let before = server.requests();
        let running = notes(&server).start();
        // At once, or after some of the requests that are sure to come.
        match draw(IN_FLIGHT.min(left) + 1) {
            0 => {}
            count => server.wait_for(before + count),
        }
        running.kill();
        let now = replies();
        assert!(now.starts_with(&durable), "what was durable stays as it was");
        durable = now;
    }
    assert!(!workspace.stage("notes").exists() || durable.len() == reports());
    let paid = server.requests();
    assert!(paid <= durable.len() + kills * IN_FLIGHT, "{paid} sent for {} replies", durable.len());

    let next = ChatServer::start(|_| Act::Answer);
    notes(&next).ends(0);
    assert_eq!(next.requests(), reports() - durable.len(), "only what was not durable is asked again");
    let all = replies();
    let unique: BTreeSet<&String> = all.iter().collect();
    assert_eq!((all.len(), unique.len()), (reports(), reports()), "every row once");
    let parquet = |workspace: &Workspace| {
        fs_err::read(workspace.stage("notes").join("notes.parquet")).expect("the stage has finished")
    };
    assert!(parquet(&workspace) == parquet(finished()), "the same bytes as without a kill");
}

#[test]
fn shards_ask_for_all_of_it_between_them_and_the_dataset_is_the_same() {
    let server = ChatServer::start(|_| Act::Answer);
    let workspace = Workspace::new();
    let synth = |shard: Option<&str>| {
        let command = workspace
            .command("synth")
            .set("teacher.endpoint", server.url())
            .set("teacher.model", "\"extractive-1\"")
            .set("teacher.concurrency", 2);
        shard.map_or_else(|| workspace.command("synth"), |shard| command.arg("--shard").arg(shard))
    };
    for shard in ["2/3", "1/3", "3/3"] {
        synth(Some(shard)).ends(0);
    }
    assert_eq!(server.requests(), reports() + 2 * 2 * reports(), "every call is asked by one of them");
    assert!(!workspace.stage("dataset").exists(), "a shard alone has not all the rows");

    // The embedded teacher would answer the same, but nothing is left to ask.
    synth(None).ends(0);
    let instructions = manifest(&workspace.stage("instructions"));
    assert_eq!(instructions["details"]["calls"], 0, "{instructions}");
    for stage in ["notes", "instructions", "dataset"] {
        let files = |workspace: &Workspace| {
            let mut files = snapshot(&workspace.stage(stage));
            files.retain(|path, _| path.extension().is_some_and(|extension| extension == "parquet"));
            files
        };
        assert!(files(&workspace) == files(finished()), "{stage}");
    }
    workspace.command("synth").arg("--shard").arg("4/3").ends(2).says(&["i/n"]);
}

#[test]
fn calls_can_be_counted_and_exported_while_they_are_made() {
    let server = ChatServer::start(|n| if n < 3 { Act::AnswerFor(40) } else { Act::Hold });
    let workspace = Workspace::new();
    let running = notes_from(&workspace, &server)
        .set("teacher.price_per_million_input", "0.0")
        .set("teacher.price_per_million_output", "1e6")
        .set("notes.max_tokens", 100)
        .start();
    server.wait_for(4);
    let file = workspace.path().join("calls.parquet");
    let ended = asclepius(["data", "calls"]).arg(workspace.pipeline()).arg("--json").arg("--out").arg(&file).ends(0);
    let sums: Value = serde_json::from_str(&ended.stdout).expect("JSON on stdout");
    assert_eq!((&sums["note reply"]["calls"], &sums["note reply"]["cost_usd"]), (&3.into(), &120.0.into()), "{sums}");
    assert_eq!((&sums["note unsettled"]["calls"], &sums["note unsettled"]["cost_usd"]), (&1.into(), &100.0.into()));
    let rows: Vec<_> = read_calls(&file).expect("ours").map(|row| row.expect("sound")).collect();
    assert_eq!(rows.len(), 4);
    assert!(rows[..3].iter().all(|row| row.text.is_some() && row.cost_usd == Some(40.0)));
    server.release();
    running.ended().with(0);
    let text = asclepius(["data", "calls"]).arg(workspace.pipeline()).ends(0).stdout;
    assert!(text.contains("note reply") && !text.contains("unsettled"), "{text}");
}

/// A file system of its own size, unmounted when dropped; none where this user may not mount one.
struct SmallDisk<'place>(&'place Path);

impl<'place> SmallDisk<'place> {
    fn mount(place: &'place Path, kibibytes: u32) -> Option<Self> {
        fs_err::create_dir_all(place).expect("writable");
        let size = format!("size={kibibytes}k");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(place).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(place))
    }

    fn grow(&self, kibibytes: u32) {
        let size = format!("remount,size={kibibytes}k");
        let status = Command::new("mount").args(["-o", &size]).arg(self.0).status().expect("it was mounted with it");
        assert!(status.success());
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status(); // nothing else can be done about it
    }
}

#[test]
fn a_full_disk_stops_the_run_in_clear_words_and_it_goes_on_once_there_is_room() {
    let workspace = Workspace::new();
    let runs = workspace.runs();
    let Some(disk) = SmallDisk::mount(&runs, 16) else { return };
    let server = ChatServer::start(|_| Act::Answer);
    notes_from(&workspace, &server).ends(3).says(&["No space left"]);
    assert!(!workspace.stage("notes").exists(), "half a stage is none");
    let durable = Ledger::read(&workspace.run_dir().join("ledger")).expect("listed").count();
    let asked = server.requests();

    disk.grow(8192);
    notes_from(&workspace, &server).ends(0);
    assert_eq!(server.requests() - asked, reports() - durable, "what is in the ledger is not asked again");
    let notes = fs_err::read(workspace.stage("notes").join("notes.parquet")).expect("finished");
    assert!(notes == fs_err::read(finished().stage("notes").join("notes.parquet")).expect("finished"));
}
