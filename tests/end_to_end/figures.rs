//! What the case reports are: counted, conserved, and shown the same in the terminal, as JSON and in the report.

use asclepius_schema::CorpusFigures;
use serde_json::Value;

use crate::support::jats::{article, write};
use crate::support::{Workspace, asclepius, finished, manifest, quoted};

fn stats(workspace: &Workspace, json: bool, code: i32) -> crate::support::Ended {
    let command = asclepius(["data", "stats"]).arg(workspace.pipeline());
    if json { command.arg("--json").ends(code) } else { command.ends(code) }
}

/// Articles of which everything is known beforehand.
fn counted() -> Workspace {
    let workspace = Workspace::new();
    let folder = workspace.path().join("in");
    let articles = [
        ("PMC701", article("PMC701").subject("Cardiology").year(Some(2018))),
        (
            "PMC702",
            article("PMC702").licence("publicdomain/zero/1.0").patients(&["A 3-month-old girl", "A 9-year-old boy"]),
        ),
        ("PMC703", article("PMC703").subject("Paediatrics").subject("Cardiovascular Medicine").year(None)),
        ("PMC704", article("PMC704").patients(&["An 81-year-old woman"]).subject("Heart")),
        ("PMC705", article("PMC705").licence("licenses/by-nc/4.0")),
    ];
    for (name, article) in &articles {
        write(&folder, &format!("{name}.xml"), article.xml());
    }
    write(&folder, "PMC706.xml", articles[0].1.xml());
    write(&folder, "PMC707.xml", "no article");
    workspace.command("ingest").set("corpus.inputs", format!("[{}]", quoted(&folder))).ends(0);
    workspace
}

#[test]
fn figures_of_the_case_reports_are_what_went_in_and_every_table_adds_up() {
    let workspace = counted();
    let printed = stats(&workspace, false, 0).stdout;
    for row in [
        "ingest  4 of 7 articles, dropped: 1 licence_not_admitted, 1 duplicate, 1 unreadable; 5 of 5 patients",
        "4 articles, 5 patients admitted",
        "| admitted | 4 |",
        "| licence_not_admitted | 1 |",
        "| duplicate | 1 |",
        "| unreadable | 1 |",
        "| licence | patients |\n|---|---:|\n| CC0 | 2 |\n| CC BY | 3 |",
        "| year | articles |\n|---|---:|\n| 2018 | 1 |\n| 2019 | 2 |\n| not stated | 1 |",
        "| specialty | articles |\n|---|---:|\n| Cardiology | 2 |\n| Pediatrics | 1 |\n| not stated | 2 |",
        "| infant (1 to 23 months) | 1 |",
        "| child (6 to 12) | 1 |",
        "| middle-aged (45 to 64) | 2 |",
        "| aged (80 and over) | 1 |",
        "| sex | patients |\n|---|---:|\n| female | 2 |\n| male | 3 |",
        "| length of the case text | patients |\n|---|---:|\n| 200 to 399 | 5 |",
        "Licence of what is made from these articles, computed from the sources: CC BY\n",
    ] {
        assert!(printed.contains(row), "{row:?} is not in\n{printed}");
    }
    let stages: Value = serde_json::from_str(&stats(&workspace, true, 0).stdout).expect("stdout is JSON");
    let ingest = &stages[0];
    let figures: CorpusFigures = serde_json::from_value(ingest["details"]["corpus"].clone()).expect("figures");
    assert_eq!(figures.unbalanced(&counts(&ingest["counts"]), &counts(&ingest["also"]["patient"])), None);
    assert_eq!((figures.articles, figures.patients, figures.specialty_not_stated), (4, 5, 2));

    workspace.command("report").ends(0);
    let page = fs_err::read_to_string(workspace.stage("report").join("index.html")).expect("written");
    for words in ["The case reports", "Articles by specialty", "Cardiology", "Patients by age", "aged (80 and over)"] {
        assert!(page.contains(words), "{words:?} is not in the report");
    }
}

fn counts(value: &Value) -> asclepius_schema::Counts {
    serde_json::from_value(value.clone()).expect("counts")
}

#[test]
fn counts_or_figures_that_do_not_add_up_are_refused() {
    type Change = fn(&mut Value);
    let changes: [(Change, &str); 3] = [
        (|manifest| manifest["counts"]["in"] = 9.into(), "9 articles in"),
        (|manifest| manifest["details"]["corpus"]["years"]["2018"] = 7.into(), "years"),
        (|manifest| manifest["details"]["corpus"]["patients"] = 6.into(), "patients"),
    ];
    for (change, words) in changes {
        let workspace = counted();
        let mut changed = manifest(&workspace.stage("corpus"));
        change(&mut changed);
        write(&workspace.stage("corpus"), "manifest.json", changed.to_string());
        stats(&workspace, false, 1).says(&["ingest", words]);
        stats(&workspace, true, 1);
    }
}

#[test]
fn validation_counts_the_case_reports_anew() {
    let workspace = Workspace::finished();
    let validate = |code| asclepius(["data", "validate"]).arg(workspace.pipeline()).ends(code);
    validate(0);
    let mut changed = manifest(&workspace.stage("corpus"));
    let sexes = changed["details"]["corpus"]["sexes"].as_array_mut().expect("a table");
    let female = sexes[0]["count"].as_u64().expect("a count");
    let male = sexes[1]["count"].as_u64().expect("a count");
    assert!(female > 0);
    // It still adds up, and is still wrong.
    (sexes[0]["count"], sexes[1]["count"]) = ((female - 1).into(), (male + 1).into());
    write(&workspace.stage("corpus"), "manifest.json", changed.to_string());
    validate(1).says(&["reports.parquet", "manifest.json"]);
}

#[test]
fn a_run_of_an_earlier_version_without_figures_still_has_stats() {
    let workspace = Workspace::finished();
    let mut earlier = manifest(&workspace.stage("corpus"));
    earlier["details"].as_object_mut().expect("details").remove("corpus");
    write(&workspace.stage("corpus"), "manifest.json", earlier.to_string());
    let printed = stats(&workspace, false, 0).stdout;
    assert!(printed.contains("cut out by an earlier version"), "{printed}");
    assert!(stats(finished(), false, 0).stdout.contains("| age | patients |"));
}
