//! Published articles, where they lie beside this checkout; they are never part of it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use asclepius_dataset::read_reports;

use crate::support::{Workspace, dropped, manifest, quoted, root};

/// A folder of the real data, or nothing, said aloud.
fn shared(folder: &str) -> Option<PathBuf> {
    let path = root().join("../shared/data").join(folder);
    if path.exists() {
        return Some(path);
    }
    #[expect(clippy::print_stderr, reason = "a skipped test must say so")]
    {
        eprintln!("skipped: there is no {}", path.display());
    }
    None
}

fn articles_in(folder: &Path) -> BTreeSet<String> {
    fs_err::read_dir(folder)
        .expect("it exists")
        .filter_map(|entry| entry.expect("readable").file_name().into_string().ok())
        .filter(|name| name.contains(".xml"))
        .collect()
}

/// Runs `command` on a folder; gives the sources that were admitted and the ids that were dropped.
fn ingest(workspace: &Workspace, command: &str, folder: &Path, code: i32) -> (BTreeSet<String>, Vec<(String, String)>) {
    workspace
        .command(command)
        .set("corpus.inputs", format!("[{}]", quoted(folder)))
        .set("instruct.per_note", 1)
        .ends(code);
    let corpus = workspace.stage("corpus");
    let reports = read_reports(&corpus.join("reports.parquet")).expect("opens");
    let admitted: BTreeSet<String> = reports.map(|row| row.expect("sound").source).collect();
    let gone = dropped(&corpus);
    let manifest = manifest(&corpus);
    assert_eq!(manifest["counts"]["in"], articles_in(folder).len(), "{manifest}");
    assert_eq!(manifest["counts"]["out"], admitted.len(), "{manifest}");
    assert!(manifest["also"]["patient"]["out"].as_u64() >= manifest["counts"]["out"].as_u64(), "{manifest}");
    (admitted, gone)
}

#[test]
fn every_real_article_is_admitted_or_has_a_reason() {
    let Some(folder) = shared("case-reports") else { return };
    let workspace = Workspace::new();
    let (admitted, gone) = ingest(&workspace, "synth", &folder, 0);
    let all = articles_in(&folder);
    assert!(admitted.is_subset(&all));
    assert_eq!(admitted.len() + gone.len(), all.len(), "dropped: {gone:?}");
    for name in all.difference(&admitted) {
        let id = name.split('.').next().expect("a name");
        assert!(gone.iter().any(|(dropped, _)| dropped.starts_with(id)), "{name} is neither admitted nor listed");
    }
    assert!(admitted.len() > all.len() / 2, "most are human case reports under CC BY: {gone:?}");
    assert!(gone.iter().all(|(_, reason)| reason != "unreadable"), "{gone:?}");

    // A note a patient, and an instruction a note, but for what is listed with its reason.
    let patients = manifest(&workspace.stage("corpus"))["also"]["patient"]["out"].clone();
    let notes = manifest(&workspace.stage("notes"))["counts"].clone();
    assert_eq!((&notes["in"], &notes["out"]), (&patients, &patients), "{notes}");
    let instructions = manifest(&workspace.stage("instructions"))["counts"].clone();
    assert_eq!((&instructions["in"], &instructions["out"]), (&patients, &patients), "{instructions}");
}

#[test]
fn every_article_that_must_be_refused_is_refused() {
    let Some(folder) = shared("reject") else { return };
    let (admitted, gone) = ingest(&Workspace::new(), "ingest", &folder, 1);
    assert_eq!(admitted, BTreeSet::new());
    // What is printed inside one of them is counted apart.
    let (parts, articles): (Vec<_>, Vec<_>) = gone.iter().partition(|(_, reason)| reason == "sub_article");
    assert_eq!(articles.len(), articles_in(&folder).len(), "{gone:?}");
    assert!(parts.iter().all(|(id, _)| articles.iter().any(|(article, _)| id.starts_with(article))), "{parts:?}");
}
