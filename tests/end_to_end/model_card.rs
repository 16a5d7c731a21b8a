//! The card of what a run made, and what keeps a model from being pushed.

use serde_json::Value;

use crate::adapters::twice_adapted;
use crate::publish::with_home;
use crate::support::hub::{Held, Hub, TOKEN};
use crate::support::jats::{sample, write};
use crate::support::{Asclepius, Workspace, asclepius, finished, json, lines, manifest, quoted};

fn card(workspace: &Workspace) -> Asclepius {
    asclepius(["model", "card"]).arg(workspace.pipeline())
}

/// The front matter as YAML, and the rest.
#[track_caller]
fn parts(card: &str) -> (Value, &str) {
    let (front, rest) = card.strip_prefix("---\n").and_then(|card| card.split_once("\n---\n")).expect("front matter");
    (serde_norway::from_str(front).unwrap_or_else(|error| panic!("{error}: {front}")), rest)
}

#[test]
fn the_card_of_an_adapter_says_what_went_in_and_what_came_of_it() {
    let run = finished();
    let text = card(run).args(&["--base-id", "us/base", "--dataset-id", "us/notes"]).ends(0).stdout;
    let (front, body) = parts(&text);
    for (key, value) in [
        ("library_name", "peft"),
        ("base_model", "us/base"),
        ("base_model_relation", "adapter"),
        ("pipeline_tag", "text-generation"),
    ] {
        assert_eq!(front[key], value, "{key}");
    }
    assert_eq!((&front["datasets"][0], &front["language"][0]), (&"us/notes".into(), &"en".into()));
    assert!(front["tags"].as_array().expect("a list").contains(&"lora".into()));
    let licence = &manifest(&run.stage("dataset"))["details"]["licence"];
    assert_eq!(
        (licence, &front["license"]),
        (&"CC0".into(), &"cc0-1.0".into()),
        "what began at random is as free as its data"
    );

    // Figures of the evaluation, as they stand in it.
    let report = json(&run.stage("eval").join("report.json"));
    let scored: Vec<f64> = report["scores"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|row| row["model"] == "tuned" && !row["measure"].as_str().expect("text").starts_with("unsupported_"))
        .filter_map(|row| row["value"].as_f64())
        .collect();
    let results = front["model-index"][0]["results"].as_array().expect("a list");
    let told: Vec<f64> = results
        .iter()
        .filter(|result| !result["task"]["name"].as_str().expect("a name").ends_with(": loss"))
        .flat_map(|result| result["metrics"].as_array().expect("a list"))
        .map(|metric| metric["value"].as_f64().expect("a number"))
        .collect();
    assert_eq!(told.len(), scored.len());
    assert!(!told.is_empty() && told.iter().zip(&scored).all(|(told, scored)| (told - scored).abs() < 1e-5));

    let sft = manifest(&run.stage("sft"));
    let curve: Vec<f64> =
        lines(&run.stage("sft").join("metrics.jsonl")).iter().filter_map(|row| row["eval_loss"].as_f64()).collect();
    let losses = format!("held-out loss {:.3} before, {:.3} after", curve[0], curve[curve.len() - 1]);
    for words in [
        "**Not for clinical use.**",
        "Trained on what the extractive teacher wrote",
        "4 optimizer steps over",
        &losses,
        "| `lora.rank` | 4 |",
        "| `lora.targets` | q\\_proj, v\\_proj |",
        "| `precision` | f32 |",
        "| `template` | asclepius |",
        "### Continued pre-training",
        "AutoPeftModelForCausalLM.from_pretrained(\"NAMESPACE/NAME\")",
        "asclepius serve --model base --adapter NAME",
        "The adapter fits us/base, and no other model.",
        "| prompt for the | file | hash | rows |",
        "## What the notes give away",
        "Not compared with any evaluation set",
        "| untrained |",
        sft["fingerprint"].as_str().expect("text"),
        manifest(&run.stage("corpus"))["fingerprint"].as_str().expect("text"),
    ] {
        assert!(body.contains(words), "{words}: {body}");
    }
    for row in report["answers"].as_array().expect("a list") {
        assert!(!body.contains(row["question"].as_str().expect("text")), "questions quote notes: {row}");
    }
    assert!(!text.contains(run.path().to_str().expect("UTF-8")), "{text}");

    // Wherever the run lies, whenever it ran.
    let copied = Workspace::finished();
    let again = card(&copied).args(&["--base-id", "us/base", "--dataset-id", "us/notes"]).ends(0).stdout;
    assert_eq!(again, text);
    let file = copied.path().join("CARD.md");
    card(&copied).args(&["--base-id", "us/base", "--dataset-id", "us/notes", "--out"]).arg(&file).ends(0);
    assert_eq!(fs_err::read_to_string(&file).expect("written"), text);
    card(&copied).arg("--out").arg(&file).ends(2).says(&["exists already"]);
}

#[test]
fn the_card_of_a_whole_model_is_of_that_model() {
    let text = card(finished()).args(&["--stage", "pretrain"]).ends(0).stdout;
    let (front, body) = parts(&text);
    assert_eq!((&front["library_name"], front.get("base_model")), (&"transformers".into(), None));
    assert!(body.contains("# tiny-pretrain") && !body.contains("### Instruction tuning"), "{body}");
    assert!(body.contains("| `init.hidden_size` | 32 |") && body.contains("Random weights."), "{body}");
    card(finished()).args(&["--stage", "pretrain", "--base-id", "us/x"]).ends(2).says(&["began with random weights"]);
    card(finished()).args(&["--base-id", "x"]).ends(2).says(&["NAMESPACE/NAME"]);
    card(finished()).args(&["--stage", "eval"]).ends(2).says(&["pretrain or sft"]);
}

#[test]
fn what_is_not_finished_or_not_what_the_pipeline_says_has_no_card() {
    let unfinished = Workspace::new();
    card(&unfinished).ends(2).says(&["pretrain has not finished in", "hint: `asclepius pretrain "]);
    let other = card(finished()).set("sft.learning_rate", 0.5).ends(2);
    other.says(&["is not what", "made from other data or settings", "--fresh"]);
    let text = card(finished()).set("eval.questions", 1).ends(0);
    text.says(&["the card has no scores"]);
    assert!(text.stdout.contains("Not evaluated as it is here.") && !text.stdout.contains("model-index"));
    let no_adapter = Workspace::finished();
    fs_err::remove_file(no_adapter.stage("sft").join("manifest.json")).expect("there");
    card(&no_adapter).ends(2).says(&["sft has not finished in"]);
}

fn push(what: &str, hub: &Hub, workspace: &Workspace) -> Asclepius {
    let command = asclepius(["model", "push", what, "--repo", "us/model", "--endpoint", &hub.url()]);
    with_home(command, workspace.path()).env("HF_TOKEN", TOKEN)
}

#[test]
fn what_nobody_may_pass_on_is_no_model_to_push() {
    let (hub, workspace) = (Hub::start(), Workspace::new());
    let folder = workspace.path().join("in");
    for (name, licence) in ["PMC99000014", "PMC99000024"].into_iter().zip(["by", "by-nd"]) {
        write(&folder, &format!("{name}.xml"), sample(name, &format!("licenses/{licence}/4.0")));
    }
    let (inputs, admitted) = (format!("[{}]", quoted(&folder)), r#"["CC0", "CC BY", "CC BY-ND"]"#);
    let with = |command: Asclepius| command.set("corpus.inputs", &inputs).set("corpus.licences", admitted);
    for stage in ["synth", "pretrain"] {
        with(workspace.command(stage)).ends(0);
    }
    let pipeline = workspace.pipeline().display().to_string();
    let ended = with(push(&pipeline, &hub, &workspace)).args(&["--stage", "pretrain", "--public"]).ends(2);
    ended.says(&["licence of what the model was trained on: not to be published", "not even to a private repository"]);
    assert!(hub.asked().is_empty());
    let text = with(card(&workspace)).args(&["--stage", "pretrain"]).ends(0).stdout;
    assert_eq!(parts(&text).0["license_name"], "not-to-be-published");
    assert!(text.contains("**This model must not be published.**"), "{text}");
}

#[test]
fn an_adapter_on_a_merged_base_is_pushed_under_the_merged_models_name_only() {
    let (hub, workspace) = (Hub::start(), twice_adapted());
    for stage in ["synth", "pretrain", "sft"] {
        workspace.command(stage).ends(0);
    }
    let pipeline = workspace.pipeline().display().to_string();
    let ended = push(&pipeline, &hub, &workspace).ends(2);
    ended.says(&["merged into it", "it gives another model", "asclepius model merge --model", "--base-id"]);
    assert!(hub.asked().is_empty());
    push(&pipeline, &hub, &workspace).args(&["--base-id", "us/merged"]).ends(0);
    let pushed = hub.repository("models/us/model").expect("made");
    assert!(!pushed.files.contains_key("origin.json"));
    let Held::Small(config) = &pushed.files["adapter_config.json"] else { panic!("it is small") };
    let config: Value = serde_json::from_slice(config).expect("JSON");
    assert_eq!(config["base_model_name_or_path"], "us/merged");

    // The directory alone has neither card nor licence.
    let directory = workspace.stage("sft").join("final").display().to_string();
    push(&directory, &hub, &workspace).ends(2).says(&["is a run's", "--stage sft"]);
    let copy = workspace.path().join("mine");
    crate::support::copy(&workspace.stage("sft").join("final"), &copy);
    let copy = copy.display().to_string();
    push(&copy, &hub, &workspace).ends(2).says(&["it gives another model", "--base-id"]);
    // One without a file of ours is taken at its word.
    fs_err::remove_file(workspace.path().join("mine/origin.json")).expect("a copy of it");
    push(&copy, &hub, &workspace).ends(2).says(&["nobody else has it under that name", "--base-id"]);
    push(&copy, &hub, &workspace).args(&["--stage", "sft"]).ends(2).says(&["are of a pipeline"]);
    let corpus = workspace.stage("corpus").display().to_string();
    push(&corpus, &hub, &workspace).ends(2).says(&["neither a model nor an adapter directory"]);
    hub.was_asked_rightly();
}
