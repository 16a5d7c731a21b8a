//! What the licences of the articles make of the dataset's: computed, said in stats, card and report, and where no
//! licence fits, said before anybody publishes it.

use serde_json::Value;

use crate::support::jats::{sample, write};
use crate::support::{Ended, Workspace, asclepius, manifest, quoted};

const ZERO: &str = "publicdomain/zero/1.0";
const ARTICLES: [&str; 4] = ["PMC99000014", "PMC99000024", "PMC99000026", "PMC99000028"];

/// The data half over four sample reports under these licences.
fn synth(licences: [&str; 4], admitted: &str) -> (Workspace, Ended) {
    let workspace = Workspace::new();
    let folder = workspace.path().join("in");
    for (name, licence) in ARTICLES.iter().zip(licences) {
        write(&folder, &format!("{name}.xml"), sample(name, licence));
    }
    let command = workspace.command("synth").set("corpus.inputs", format!("[{}]", quoted(&folder)));
    let ended = command.set("corpus.licences", admitted).ends(0);
    (workspace, ended)
}

fn data(workspace: &Workspace, arguments: &[&str]) -> String {
    asclepius(["data"]).args(arguments).arg(workspace.pipeline()).ends(0).stdout
}

/// Everything that says what the dataset's licence is.
fn everywhere(workspace: &Workspace) -> [(&'static str, String); 3] {
    workspace.command("report").ends(0);
    let page = fs_err::read_to_string(workspace.stage("report").join("index.html")).expect("written");
    [("stats", data(workspace, &["stats"])), ("card", data(workspace, &["card"])), ("report", page)]
}

#[track_caller]
fn all_say(workspace: &Workspace, words: &[&str]) {
    for (place, text) in everywhere(workspace) {
        // The page escapes, and the card's list of credits is no place for what is looked for.
        let text = text.replace("&quot;", "\"").replace("&#x27;", "'");
        for words in words {
            assert!(text.contains(words), "{words:?} is not in the {place}:\n{text}");
        }
    }
}

#[test]
fn every_condition_of_a_source_binds_the_whole() {
    let by = "licenses/by/4.0";
    for (licences, admitted, licence, hub, consequence) in [
        ([ZERO; 4], r#"["CC0", "CC BY"]"#, "CC0", "cc0-1.0", "used for anything"),
        ([by, ZERO, by, ZERO], r#"["CC0", "CC BY"]"#, "CC BY", "cc-by-4.0", "credits the articles"),
        (
            [by, ZERO, "licenses/by-sa/4.0", ZERO],
            r#"["CC0", "CC BY", "CC BY-SA"]"#,
            "CC BY-SA",
            "cc-by-sa-4.0",
            "What is made from it and passed on carries CC BY-SA too: it is made from 2 notes under CC BY-SA.",
        ),
        (
            [by, "licenses/by-nc/4.0", ZERO, "licenses/by-nc-sa/4.0"],
            r#"["CC0", "CC BY", "CC BY-NC", "CC BY-NC-SA"]"#,
            "CC BY-NC-SA",
            "cc-by-nc-sa-4.0",
            "must not be used for commerce, nor, to be safe, may a model trained on it: it is made from 1 note under CC BY-NC \
             and 1 note under CC BY-NC-SA.",
        ),
    ] {
        let (workspace, ended) = synth(licences, admitted);
        assert!(!ended.stderr.contains("cannot be published"), "{}", ended.stderr);
        ended.says(&[&format!("licence: {licence}")]);
        let details = &manifest(&workspace.stage("dataset"))["details"];
        assert_eq!(details["licence"], licence, "{details}");
        let notes: u64 =
            details["licence_sources"].as_object().expect("by licence").values().filter_map(Value::as_u64).sum();
        assert_eq!(notes, manifest(&workspace.stage("dataset"))["also"]["note"]["out"]);
        all_say(&workspace, &[licence, consequence]);
        assert!(data(&workspace, &["card"]).starts_with(&format!("---\nlicense: {hub}\nlanguage")));

        let credits = data(&workspace, &["card", "--attributions"]);
        assert_eq!(credits.lines().count(), 1 + ARTICLES.len(), "{credits}");
        for (article, licence) in ARTICLES.iter().zip(licences) {
            let line = credits.lines().find(|line| line.starts_with(article)).expect("credited");
            assert!(line.contains(licence), "{line}");
        }
        let page = fs_err::read_to_string(workspace.stage("report").join("index.html")).expect("written");
        assert!(page.contains("Sources to credit (4)") && ARTICLES.iter().all(|article| page.contains(article)));
    }
}

#[test]
fn without_its_setting_a_narrower_licence_makes_no_dataset() {
    let workspace = Workspace::new();
    let folder = workspace.path().join("in");
    write(&folder, "PMC99000014.xml", sample("PMC99000014", "licenses/by-nc-nd/4.0"));
    write(&folder, "PMC99000024.xml", sample("PMC99000024", "licenses/by-sa/4.0"));
    workspace.command("synth").set("corpus.inputs", format!("[{}]", quoted(&folder))).ends(1);
    let counts = &manifest(&workspace.stage("corpus"))["counts"];
    assert_eq!((&counts["out"], &counts["dropped"]["licence_not_admitted"]), (&Value::from(0), &Value::from(2)));
}

#[test]
fn sources_that_exclude_each_other_have_no_licence_and_everybody_hears_of_it() {
    let sources = ["licenses/by/4.0", "licenses/by-sa/4.0", ZERO, "licenses/by-nc-sa/4.0"];
    let (workspace, ended) = synth(sources, r#"["CC0", "CC BY", "CC BY-SA", "CC BY-NC-SA"]"#);
    ended.says(&["cannot be published under one licence", "CC BY-SA (1 article)", "CC BY-NC-SA (1 note)"]);
    assert_eq!(manifest(&workspace.stage("dataset"))["details"]["licence"], "none fits all sources");
    let ways = r#"corpus.licences = ["CC0", "CC BY", "CC BY-SA"] leaves 4 notes and makes it CC BY-SA"#;
    all_say(&workspace, &["no licence does both", "can be published apart", ways]);
    let card = data(&workspace, &["card"]);
    assert!(card.starts_with("---\nlicense: other\nlicense_name: by-row\n"), "{card}");
    assert!(card.contains("**This dataset cannot be published under one licence.**"), "{card}");
}

#[test]
fn what_nobody_may_pass_on_is_made_and_marked_as_such() {
    let sources = ["licenses/by/4.0", "licenses/by-nd/4.0", ZERO, ZERO];
    let (workspace, ended) = synth(sources, r#"["CC0", "CC BY", "CC BY-ND"]"#);
    ended.says(&["cannot be published under one licence", "CC BY-ND (1 article)", "licence: not to be published"]);
    all_say(
        &workspace,
        &[
            "CC BY-ND (1 note) lets nobody pass on what was made from it",
            r#"corpus.licences = ["CC0", "CC BY"] leaves"#,
            "makes it CC BY.",
        ],
    );
    let card = data(&workspace, &["card"]);
    assert!(card.starts_with("---\nlicense: other\nlicense_name: not-to-be-published\n"), "{card}");
}

#[test]
fn pmc_patients_takes_its_setting_and_makes_everything_its_own_licence() {
    let workspace = Workspace::new();
    let case = "He was treated with amoxicillin 500 mg three times a day for a week. The fever went away on day 3, and the \
                C-reactive protein fell from 120 mg/L to 8 mg/L. Blood cultures stayed sterile, and the chest film showed a \
                small infiltrate in the right lower lobe that was gone after two weeks. He went home without complaints on day 7. ";
    let csv = format!(
        "patient_id,patient_uid,PMID,file_path,title,patient,age,gender,relevant_articles,similar_patients\r\n\
         0,7665777-1,33492400,a.xml,Fever,\"A 60-year-old man was admitted with fever and a cough.\n{case}\",\"[[60.0, 'year']]\",M,{{}},{{}}\r\n"
    );
    let table = workspace.path().join("patients.csv");
    fs_err::write(&table, csv).expect("writable");
    let article = workspace.path().join("PMC99000024.xml");
    fs_err::write(&article, sample("PMC99000024", "licenses/by/4.0")).expect("writable");
    let inputs = format!("[{}, {}]", quoted(&table), quoted(&article));
    let refused = workspace.command("synth").set("corpus.inputs", &inputs).ends(2);
    refused.says(&[
        "patients.csv",
        "corpus.licences",
        "\"CC BY-NC-SA\"",
        "everything made from it would then be CC BY-NC-SA",
    ]);
    assert!(!workspace.stage("corpus").exists());

    let admitted = r#"["CC0", "CC BY", "CC BY-NC-SA"]"#;
    workspace.command("synth").set("corpus.inputs", &inputs).set("corpus.licences", admitted).ends(0);
    let dataset = manifest(&workspace.stage("dataset"));
    assert_eq!(dataset["also"]["note"]["out"], 2, "{dataset}");
    assert_eq!(dataset["details"]["licence"], "CC BY-NC-SA");
    all_say(&workspace, &["CC BY-NC-SA", "must not be used for commerce"]);
    let credits = data(&workspace, &["card", "--attributions"]);
    assert!(credits.contains("as cut out by PMC-Patients"), "{credits}");
}
