//! Articles from a bucket on loopback, through the real binary: what came, what was there, what not and why.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::jats::{article, write};
use crate::support::{Asclepius, Bucket, Ended, Fault, Workspace, asclepius, lines, quoted, reports_in};

/// `asclepius data fetch` from `bucket` into `out`, without waits between tries and at no rate to speak of.
fn fetch(bucket: &str, out: &Path) -> Asclepius {
    asclepius(["data", "fetch", "--bucket", bucket, "--requests-per-second", "1e6", "--retry-seconds", "0", "--out"])
        .arg(out)
        // A proxy on the way to loopback would answer in its own words.
        .env("HTTP_PROXY", "http://127.0.0.1:9")
        .env("ALL_PROXY", "http://127.0.0.1:9")
}

fn tally(ended: &Ended) -> Value {
    let tally: Value = serde_json::from_str(&ended.stdout).expect("stdout is JSON");
    let sum = |counts: &Value| -> u64 {
        counts.as_object().expect("by reason").values().map(|count| count.as_u64().expect("a count")).sum()
    };
    let count = |key: &str| tally[key].as_u64().expect("a count");
    let out = count("fetched") + count("known") + sum(&tally["dropped"]) + sum(&tally["pending"]);
    assert_eq!(count("in"), out, "{tally}");
    tally
}

/// Ids and reasons of `not_fetched.jsonl`.
fn not_fetched(out: &Path) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("a string").to_owned();
    lines(&out.join("not_fetched.jsonl")).iter().map(|row| (text(&row["id"]), text(&row["reason"]))).collect()
}

fn xml(out: &Path, name: &str) -> PathBuf {
    out.join(name).join(format!("{name}.xml"))
}

#[test]
fn named_articles_come_checked_and_what_cannot_be_had_is_counted_by_reason() {
    let (bucket, workspace) = (Bucket::start(), Workspace::new());
    let out = workspace.path().join("articles");
    for (id, licence, more) in [
        ("PMC101.1", "\"CC BY\"", ""),
        ("PMC102.1", "\"CC BY\"", ""),
        ("PMC102.2", "\"CC BY\"", ""),
        ("PMC103.1", "\"CC BY-NC\"", ""),
        ("PMC104.1", "null", ""),
        ("PMC105.1", "\"CC BY\"", ", \"is_retracted\": true"),
        ("PMC106.1", "\"CC BY\"", ""),
        ("PMC107.1", "\"CC BY\"", ""),
    ] {
        bucket.put_article(id, &article(id).xml(), licence, more);
    }
    bucket.put("metadata/PMC108.1.json", "{\"license_code\": \"CC BY\", \"xml_url\": \"https://evil.example/../x\"}");
    // Gone; garbled as often as it is asked for; broken off, and busy.
    bucket.remove("PMC106.1/PMC106.1.xml");
    for _ in 0..2 {
        bucket.fault("PMC107.1/PMC107.1.xml", Fault::Garbled);
    }
    bucket.fault("PMC101.1/PMC101.1.xml", Fault::Cut);
    bucket.fault("metadata/PMC102.1.json", Fault::Busy);
    let ids =
        "# wanted\nPMC101.1, the first\n102\n\nPMC103.1\nPMC104.1\nPMC105.1\nPMC106.1\nPMC107.1\nPMC108.1\nPMC101.1\n";
    write(workspace.path(), "ids.txt", ids);
    let again = || fetch(&bucket.url(), &out).arg("PMC109").arg("--ids").arg(workspace.path().join("ids.txt"));

    let ended = again().ends(3);
    ended.says(&["1 of 10 articles are still pending", "the same command"]);
    for words in [
        "3 of 10 articles are in",
        "3 new",
        "not fetched: 2 absent, 2 licence_not_admitted, 1 metadata_unreadable, 1 retracted",
        "pending: 1 checksum",
        "not_fetched.jsonl says why",
    ] {
        assert!(ended.stdout.contains(words), "{words:?} is not in {}", ended.stdout);
    }
    let gone = [
        ("PMC109", "absent"),
        ("PMC103.1", "licence_not_admitted"),
        ("PMC104.1", "licence_not_admitted"),
        ("PMC105.1", "retracted"),
        ("PMC106.1", "absent"),
        ("PMC107.1", "checksum"),
        ("PMC108.1", "metadata_unreadable"),
    ];
    assert_eq!(not_fetched(&out), gone.map(|(id, reason)| (id.to_owned(), reason.to_owned())));
    let half = article("PMC101.1").xml().len() / 2;
    assert!(bucket.asked().contains(&format!("PMC101.1/PMC101.1.xml from {half}")), "taken up where it broke off");
    for name in ["PMC101.1", "PMC102.1", "PMC102.2"] {
        assert_eq!(fs_err::read_to_string(xml(&out, name)).expect("fetched"), article(name).xml());
    }
    assert!(!xml(&out, "PMC107.1").exists() && !xml(&out, "PMC106.1").exists());

    // The bucket is sound again: only what is missing is asked for.
    let ended = again().arg("--json").ends(0);
    let found = tally(&ended);
    assert_eq!((&found["fetched"], &found["known"]), (&Value::from(1), &Value::from(3)), "{found}");
    let asked = bucket.asked();
    let objects: Vec<&String> = asked.iter().filter(|path| path.contains(".xml")).collect();
    assert_eq!(objects, ["PMC106.1/PMC106.1.xml", "PMC107.1/PMC107.1.xml"]);

    // What was fetched is what ingest reads, metadata and all; of two versions the later one counts.
    workspace.command("ingest").set("corpus.inputs", format!("[{}]", quoted(&out))).ends(0);
    assert_eq!(reports_in(&workspace), ["PMC101.1-1", "PMC102.2-1", "PMC107.1-1"]);
}

#[test]
fn a_transfer_that_broke_off_goes_on_in_the_next_run() {
    let (bucket, workspace) = (Bucket::start(), Workspace::new());
    let out = workspace.path().join("articles");
    let text = article("PMC201.1").xml();
    bucket.put_article("PMC201.1", &text, "\"CC BY\"", "");
    bucket.fault("PMC201.1/PMC201.1.xml", Fault::Cut);
    let once = || fetch(&bucket.url(), &out).args(&["PMC201.1", "--tries", "1", "--json"]);
    assert_eq!(tally(&once().ends(3))["pending"]["unreachable"], 1);
    assert!(!xml(&out, "PMC201.1").exists(), "half an article is none");
    bucket.asked();
    let found = tally(&once().ends(0));
    let rest = text.len() - text.len() / 2;
    assert_eq!((&found["fetched"], &found["bytes"]), (&Value::from(1), &Value::from(rest)), "{found}");
    let key = "PMC201.1/PMC201.1.xml";
    assert_eq!(bucket.asked(), [format!("HEAD {key}"), format!("{key} from {}", text.len() / 2)]);
    assert_eq!(fs_err::read_to_string(xml(&out, "PMC201.1")).expect("fetched"), text);

    // Changed on disk, it is no longer what its MD5 says.
    fs_err::write(xml(&out, "PMC201.1"), "changed").expect("writable");
    assert_eq!(tally(&once().ends(0))["fetched"], 1);
    assert_eq!(fs_err::read_to_string(xml(&out, "PMC201.1")).expect("fetched"), text);
}

#[test]
fn a_walk_goes_through_every_page_and_stops_at_its_limit() {
    let (bucket, workspace) = (Bucket::start(), Workspace::new());
    let out = workspace.path().join("articles");
    for n in 301..308 {
        let id = format!("PMC{n}.1");
        bucket.put_article(&id, &article(&id).xml(), if n % 2 == 0 { "\"CC BY-NC-SA\"" } else { "\"CC BY\"" }, "");
    }
    bucket.put("other/PMC309.1.json", "{}");
    let walk = |more: &[&str]| tally(&fetch(&bucket.url(), &out).args(&["--walk", "--json"]).args(more).ends(0));
    let some = walk(&["--limit", "3"]);
    assert_eq!((&some["in"], &some["fetched"]), (&Value::from(3), &Value::from(2)), "{some}");
    bucket.asked();
    let all = walk(&[]);
    assert_eq!((&all["in"], &all["fetched"], &all["known"]), (&Value::from(7), &Value::from(2), &Value::from(2)));
    assert_eq!(all["dropped"]["licence_not_admitted"], 3, "{all}");
    let pages = bucket.asked().iter().filter(|path| path.starts_with('?')).count();
    assert_eq!(pages, 5, "seven keys, two on a page, and the empty one");
    let more = walk(&["--licences", "CC BY,CC BY-NC-SA"]);
    assert_eq!((&more["fetched"], &more["known"]), (&Value::from(3), &Value::from(4)), "{more}");
}

#[test]
fn requests_keep_their_rate_and_an_interrupted_fetch_goes_on() {
    let (bucket, workspace) = (Bucket::start(), Workspace::new());
    let out = workspace.path().join("articles");
    for id in ["PMC401.1", "PMC402.1"] {
        bucket.put_article(id, &article(id).xml(), "\"CC BY\"", "");
    }
    // The second request is days away, so that whatever comes before the interrupt is the first alone.
    let slow = asclepius(["data", "fetch", "PMC401.1", "PMC402.1", "--requests-per-second", "0.00001", "--bucket"]);
    let running = slow.arg(bucket.url()).arg("--out").arg(&out).start();
    bucket.wait_for(1);
    running.interrupt();
    let ended = running.ended().with(130);
    ended.says(&["the same command goes on"]);
    assert_eq!(bucket.asked(), ["metadata/PMC401.1.json"]);
    let found = tally(&fetch(&bucket.url(), &out).args(&["PMC401.1", "PMC402.1", "--json"]).ends(0));
    assert_eq!(found["fetched"], 2);
}

#[test]
fn a_bucket_out_of_reach_stops_the_fetch_and_loses_nothing() {
    let workspace = Workspace::new();
    let out = workspace.path().join("articles");
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        format!("http://{}/pmc", listener.local_addr().expect("it is bound"))
    };
    let ids: Vec<String> = (501..530).map(|n| format!("PMC{n}.1")).collect();
    let ended = fetch(&closed, &out).args(&["--tries", "1", "--json"]).args(&ids).ends(3);
    ended.says(&["did not answer for 10 articles in a row", "goes on from here"]);
    assert_eq!(tally(&ended)["pending"]["unreachable"], 10, "not all 29 are tried");
    fetch(&closed, &out).args(&["--walk", "--tries", "1"]).ends(1).says(&["listing"]);

    let bucket = Bucket::start();
    let ended = fetch(&bucket.url(), &out).args(&["PMC501.1", "PMC502"]).ends(1);
    ended.says(&["none of 2 articles could be fetched", "not_fetched.jsonl"]);
    assert_eq!(not_fetched(&out).len(), 2);
    fetch(&format!("{}/none", bucket.url()), &out).args(&["--walk", "--tries", "1"]).ends(1).says(&["no such bucket"]);
}

#[test]
fn wrong_command_lines_are_refused_before_anything_is_asked_or_written() {
    let (bucket, workspace) = (Bucket::start(), Workspace::new());
    let out = workspace.path().join("articles");
    write(workspace.path(), "bad.txt", "PMC1\nPMCID\n");
    write(workspace.path(), "none.txt", "# nothing\n");
    let file = |name: &str| workspace.path().join(name).to_str().expect("UTF-8").to_owned();
    for (arguments, words) in [
        (vec![], vec!["no article is named", "--walk"]),
        (vec!["PMC1x".to_owned()], vec!["PMC1x"]),
        (vec!["../../etc".to_owned()], vec!["../../etc"]),
        (vec!["--ids".to_owned(), file("bad.txt")], vec!["bad.txt", "line 2", "PMCID"]),
        (vec!["--ids".to_owned(), file("none.txt")], vec!["none.txt", "names no article"]),
        (vec!["--ids".to_owned(), file("absent.txt")], vec!["absent.txt"]),
        (vec!["PMC1".to_owned(), "--walk".to_owned()], vec!["--walk"]),
        (vec!["PMC1".to_owned(), "--licences".to_owned(), "CCBY".to_owned()], vec!["CCBY", "CC BY-NC-ND"]),
        (vec!["PMC1".to_owned(), "--requests-per-second".to_owned(), "0".to_owned()], vec!["--requests-per-second"]),
        (vec!["PMC1".to_owned(), "--limit".to_owned(), "0".to_owned()], vec!["--limit"]),
    ] {
        let command = asclepius(["data", "fetch", "--bucket"]).arg(bucket.url()).arg("--out").arg(&out);
        command.args(&arguments).ends(2).says(&words);
    }
    assert!(!out.exists() && bucket.asked().is_empty());
    for address in ["ftp://a.example", "no address"] {
        fetch(address, &out).arg("PMC1").ends(2).says(&[address]);
    }
}
