//! The model card: Markdown with the front matter the hub reads, written from the run that made the model. Nothing in it
//! depends on when or where the run took place: the same run has the same card on every machine.

mod front_matter;

use std::collections::BTreeMap;

use asclepius_dataset::Terms;

use crate::card::{self, ATTRIBUTIONS, PromptFile, plain};
use crate::gather::{RunFacts, StageFacts};
use crate::page::ends;
use crate::results::{Evaluation, Kind};
use crate::scoreboard::{self, Scoreboard};

/// What training began with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    /// Random weights.
    Random,
    /// A model of the hub.
    Hub(String),
    /// A directory that has no name anybody else knows.
    Directory,
}

/// One training that led to the model.
#[derive(Debug, Clone)]
pub struct Training {
    /// Its manifest and its curve.
    pub stage: StageFacts,
    /// The rows it read, in words.
    pub data: String,
    /// Settings that can change the weights, with their values.
    pub settings: Vec<(String, String)>,
}

/// A model that a run made.
#[derive(Debug, Clone)]
pub struct ModelFacts {
    /// What the card calls it.
    pub name: String,
    /// Its repository, where it has one.
    pub repository: Option<String>,
    /// `pretrain` or `sft`: the stage that made it.
    pub stage: &'static str,
    /// What the first training began with.
    pub origin: Base,
    /// The licence of that, as its own card has it.
    pub origin_licence: Option<String>,
    /// What is its base on the hub: the model an adapter fits, or what a whole model began with.
    pub base_model: Option<String>,
    /// Whether another adapter was merged into the base before this one was trained.
    pub is_on_merged: bool,
    /// Whether it is a PEFT adapter, not a whole model.
    pub is_adapter: bool,
    /// Whether its tokenizer brings a template for conversations.
    pub converses: bool,
    /// The trainings that led to it, in order.
    pub trainings: Vec<Training>,
    /// The datasets they read, each once.
    pub datasets: Vec<RunFacts>,
    /// The dataset's name on the hub.
    pub dataset_id: Option<String>,
    /// The evaluation of this model, and the fingerprint of what was evaluated.
    pub evaluation: Option<(Evaluation, String)>,
}

impl ModelFacts {
    /// What may be done with what was made of all its sources.
    pub fn terms(&self) -> Terms {
        Terms::of("note", self.datasets.iter().flat_map(|facts| facts.licences.clone()))
    }

    /// The repository, or what stands for it.
    fn at(&self) -> &str {
        self.repository.as_deref().unwrap_or("NAMESPACE/NAME")
    }

    fn is_extractive(&self) -> bool {
        self.datasets.iter().any(card::extractive)
    }
}

/// Renders the card. Of `prompts`, those that wrote a row are named.
pub fn render(model: &ModelFacts, prompts: &[PromptFile]) -> String {
    let mut card = String::from("---\n");
    front_matter::front_matter(&mut card, model);
    card.push_str("---\n");
    heading(&mut card, model);
    loading(&mut card, model);
    base(&mut card, model);
    data(&mut card, model, prompts);
    training(&mut card, model);
    evaluation(&mut card, model);
    limits(&mut card, model);
    fingerprints(&mut card, model);
    card
}

/// What the evaluation calls the model.
fn tested(model: &ModelFacts, evaluation: &Evaluation) -> Option<String> {
    let kind = if model.stage == "sft" { Kind::Tuned } else { Kind::Pretrained };
    evaluation.models.iter().find(|tested| tested.kind == kind).map(|tested| tested.name.clone())
}

fn heading(card: &mut String, model: &ModelFacts) {
    let what = if model.is_adapter { "A LoRA adapter" } else { "A language model" };
    let on = match (&model.base_model, &model.origin) {
        (Some(id), _) if model.is_adapter => format!(" for [{id}](https://huggingface.co/{id})"),
        (Some(id), _) => format!(" that began as [{id}](https://huggingface.co/{id})"),
        (None, Base::Random) if !model.is_adapter => " that began with random weights".to_owned(),
        (None, _) => String::new(),
    };
    let trained = match model.stage {
        "sft" if model.trainings.len() > 1 => {
            "pre-trained on synthetic clinical notes, then tuned on instructions over them"
        }
        "sft" => "tuned on instructions over synthetic clinical notes",
        _ => "pre-trained on synthetic clinical notes",
    };
    card.push_str(&format!("\n# {}\n\n{what}{on}, {trained}. ", plain(&model.name)));
    if !model.datasets.is_empty() {
        card.push_str("The notes were written from published case reports; no patient record was used.");
    }
    card.push_str(
        "\n\n> **Not for clinical use.** For research. It is no medical device and no substitute for clinical judgement; what it \
         says of a note can be wrong and sound right.\n",
    );
    if let Some(problem) = model.terms().problem() {
        card.push_str(&format!("\n> **This model must not be published.** {problem}\n"));
    }
    if model.is_extractive() {
        card.push_str(
            "\n> **Trained on what the extractive teacher wrote**: fixed rules sorted the reports' own sentences; no language \
             model wrote them. Such a model shows that the machinery works. Nothing here says that it is good.\n",
        );
    }
}

fn loading(card: &mut String, model: &ModelFacts) {
    let at = model.at();
    let class = if model.is_adapter { "AutoPeftModelForCausalLM" } else { "AutoModelForCausalLM" };
    let library = if model.is_adapter { "peft" } else { "transformers" };
    let imports = match model.is_adapter {
        true => format!("from {library} import {class}\nfrom transformers import AutoTokenizer"),
        false => format!("from {library} import {class}, AutoTokenizer"),
    };
    card.push_str(&format!(
        "\n## How to load it\n\n```python\n{imports}\n\nmodel = {class}.from_pretrained(\"{at}\")\n\
         tokenizer = AutoTokenizer.from_pretrained(\"{at}\")\n"
    ));
    card.push_str(if model.stage == "sft" && model.converses {
        "note, question = \"...\", \"...\"\n\
         message = {\"role\": \"user\", \"content\": f\"### Note\\n{note}\\n\\n### Instruction\\n{question}\"}\n\
         inputs = tokenizer.apply_chat_template([message], add_generation_prompt=True, return_tensors=\"pt\", return_dict=True)\n"
    } else {
        "inputs = tokenizer(\"...\", return_tensors=\"pt\")\n"
    });
    card.push_str(
        "answer = model.generate(**inputs, max_new_tokens=256, do_sample=False)\n\
         print(tokenizer.decode(answer[0, inputs[\"input_ids\"].shape[1]:], skip_special_tokens=True))\n```\n",
    );
    if model.stage == "sft" && !model.converses {
        card.push_str(
            "\nIt was tuned with a template of its own over note and question, which its tokenizer does not bring: a prompt has \
             to be laid out as that template does.\n",
        );
    }
    card.push_str("\nOr as an OpenAI-compatible server with a page to try it on:\n\n```sh\n");
    let own = at.rsplit('/').next().unwrap_or(at);
    card.push_str(&format!("asclepius model pull {at} {own}\n"));
    card.push_str(&match (&model.base_model, model.is_adapter) {
        (Some(id), true) => {
            let base = id.rsplit('/').next().unwrap_or(id);
            let base = if base == own { "base" } else { base };
            format!("asclepius model pull {id} {base}\nasclepius serve --model {base} --adapter {own}\n```\n")
        }
        (_, true) => format!("asclepius serve --model BASE --adapter {own}\n```\n"),
        (_, false) => format!("asclepius serve --model {own}\n```\n"),
    });
}

fn base(card: &mut String, model: &ModelFacts) {
    card.push_str("\n## What it began with\n\n");
    card.push_str(&match (&model.origin, &model.origin_licence) {
        (Base::Random, _) => "Random weights.\n".to_owned(),
        (Base::Hub(id), Some(licence)) => format!("{id}, under `{}`, as its own card says.\n", plain(licence)),
        (Base::Hub(id), None) => format!("{id}. Its licence is not known here: its page on the hub says it.\n"),
        (Base::Directory, licence) => format!(
            "A model that has no name on the hub. Licence: {}.\n",
            licence.as_deref().map_or("not known".to_owned(), plain)
        ),
    });
    if model.is_adapter {
        card.push_str(&match (&model.base_model, model.is_on_merged) {
            (Some(id), _) => format!("\nThe adapter fits {id}, and no other model.\n"),
            (None, true) => {
                "\nThe adapter of pre-training was merged into that; this one fits what came of it, and not the bare \
                             base.\n"
                    .to_owned()
            }
            (None, false) => {
                "\nThe adapter fits the model it was trained on, which has no name on the hub.\n".to_owned()
            }
        });
    }
    let (licence, named) = model.licence();
    card.push_str(&format!(
        "\nLicence of this model, computed from base and sources: **{}**. Whether a model is bound by the licences of what it was \
         trained on is not settled; this card assumes that it is.\n",
        named.unwrap_or(licence)
    ));
}

fn data(card: &mut String, model: &ModelFacts, prompts: &[PromptFile]) {
    card.push_str("\n## What it was trained on\n\n");
    for training in &model.trainings {
        card.push_str(&format!("- {}: {}\n", training.stage.manifest.stage, training.data));
    }
    if model.datasets.is_empty() {
        card.push_str("\nNothing is known here of the licences of these rows, or of who wrote them.\n");
        return;
    }
    if let Some(id) = &model.dataset_id {
        card.push_str(&format!("\nThe dataset is [{id}](https://huggingface.co/datasets/{id}).\n"));
    }
    card.push_str("\n| articles | notes | instructions |\n|---:|---:|---:|\n");
    for facts in &model.datasets {
        let (articles, notes) = (facts.attributions.len(), facts.note_words.len());
        card.push_str(&format!("| {articles} | {notes} | {} |\n", facts.tasks.values().sum::<u64>()));
    }
    card.push_str(
        "\nHeld-out rows are among them, split off by article.\n\n| licence of the source | notes |\n|---|---:|\n",
    );
    let terms = model.terms();
    for (licence, count) in terms.sources() {
        card.push_str(&format!("| {} | {count} |\n", licence.name()));
    }
    card.push('\n');
    for sentence in terms.consequences() {
        card.push_str(&format!("- {sentence}\n"));
    }
    let mut teachers: Vec<String> =
        model.datasets.iter().flat_map(|facts| &facts.teachers).map(|name| plain(name)).collect();
    teachers.sort_unstable();
    teachers.dedup();
    card.push_str(&format!(
        "\n`{ATTRIBUTIONS}`, which is pushed beside this card, names every article to credit.\n\nWritten by: {}.\n",
        teachers.join(", ")
    ));
    let mut written: BTreeMap<(&str, &String), u64> = BTreeMap::new();
    for ((asked_for, hash), rows) in model.datasets.iter().flat_map(|facts| &facts.prompts) {
        *written.entry((asked_for, hash)).or_default() += rows;
    }
    if !written.is_empty() {
        card.push_str("\n| prompt for the | file | hash | rows |\n|---|---|---|---:|\n");
    }
    for ((asked_for, hash), rows) in written {
        let file = prompts.iter().find(|prompt| prompt.hash == *hash);
        let file = file.map_or("not among the files at hand".to_owned(), |prompt| plain(&prompt.name));
        card.push_str(&format!("| {asked_for} | {file} | `{hash}` | {rows} |\n"));
    }
    for facts in &model.datasets {
        let dataset = facts.stage("dataset").map(|stage| &stage.manifest);
        card::membership(card, dataset);
        card.push_str(&format!("\n{}\n", card::contamination(dataset)));
    }
}

fn training(card: &mut String, model: &ModelFacts) {
    card.push_str("\n## How it was trained\n");
    for training in &model.trainings {
        let StageFacts { manifest, metrics, .. } = &training.stage;
        let title = if manifest.stage == "sft" { "Instruction tuning" } else { "Continued pre-training" };
        let steps = metrics.iter().map(|row| row.step).max().unwrap_or(0);
        let tokens: u64 = metrics.iter().filter_map(|row| row.tokens).sum();
        let supervised: u64 = metrics.iter().filter_map(|row| row.supervised_tokens).sum();
        card.push_str(&format!(
            "\n### {title}\n\n{steps} optimizer steps over {tokens} tokens, {supervised} of them supervised"
        ));
        if let Some((which, first, last)) = ends(&training.stage) {
            card.push_str(&format!("; {which} loss {first:.3} before, {last:.3} after"));
        }
        card.push('.');
        if let Some(line) = manifest.details.get("trainable").and_then(serde_json::Value::as_str) {
            card.push_str(&format!(" {}.", plain(line)));
        }
        if let Some(rows) = manifest.also.get("row") {
            card.push_str(&format!(" {} rows were used, {} left out.", rows.out, rows.dropped_total()));
        }
        card.push_str("\n\n| setting | value |\n|---|---|\n");
        for (key, value) in &training.settings {
            card.push_str(&format!("| `{key}` | {} |\n", plain(value)));
        }
    }
}

fn evaluation(card: &mut String, model: &ModelFacts) {
    card.push_str("\n## What it scores\n\n");
    let Some((evaluation, _)) = &model.evaluation else {
        card.push_str("Not evaluated as it is here.\n");
        return;
    };
    let mut shown = evaluation.clone();
    // Where a model lay, or on which machine it answered, is nobody's business.
    shown.models.iter_mut().for_each(|model| model.source.clear());
    let mut board = Scoreboard::new(&shown);
    // Questions quote their notes.
    board.open.clear();
    board.more.clear();
    for (_, rows) in &mut board.sets {
        rows.retain(|row| row.rows > 0);
    }
    let name = tested(model, evaluation).unwrap_or_default();
    card.push_str(&format!(
        "On held-out articles; this model is `{}`. Intervals are of draws of articles. A few rows make rough figures.\n",
        plain(&name)
    ));
    card.push_str(scoreboard::markdown(&board, &plain).trim_end());
    card.push('\n');
}

fn limits(card: &mut String, model: &ModelFacts) {
    card.push_str("\n## Limits\n\n");
    let mut limit = |text: &str| card.push_str(&format!("- {text}\n"));
    limit("Not for clinical use: it was tried on no patient, and its figures above are of synthetic notes.");
    limit("It makes things up, most of all where the note does not say.");
    if !model.datasets.is_empty() {
        limit(
            "Case reports are the unusual cases, in English: common disease is under-represented in what it has read.",
        );
        limit("What a published report tells of a person, the model may repeat.");
    }
    if model.datasets.iter().any(|facts| !card::extractive(facts)) {
        limit("A language model wrote what it was trained on; its errors and habits are in here.");
    }
    if model.origin != Base::Random {
        limit("The base's own limits and biases remain; what the base was trained on is not known here.");
    }
}

fn fingerprints(card: &mut String, model: &ModelFacts) {
    card.push_str(
        "\n## Made by\n\nFingerprints stand for everything that can change a stage's output: inputs, settings, seed.\n\n\
         | stage | asclepius | fingerprint |\n|---|---|---|\n",
    );
    let made = |stage: &&StageFacts| !matches!(stage.manifest.stage.as_str(), "pretrain" | "sft" | "eval");
    let data = model.datasets.iter().flat_map(|facts| facts.stages.iter().filter(made));
    for stage in data.chain(model.trainings.iter().map(|training| &training.stage)) {
        let manifest = &stage.manifest;
        card.push_str(&format!("| {} | {} | `{}` |\n", manifest.stage, manifest.tool_version, manifest.fingerprint));
    }
    if let Some((_, fingerprint)) = &model.evaluation {
        card.push_str(&format!("| eval | {} | `{fingerprint}` |\n", env!("CARGO_PKG_VERSION")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use asclepius_schema::Licence;

    use crate::results::{ModelUnderTest, TaskScore};

    pub(super) fn model(origin: Base, licence: Option<&str>, sources: &[Licence]) -> ModelFacts {
        let licences = sources.iter().map(|licence| (*licence, 1)).collect();
        ModelFacts {
            name: "x".to_owned(),
            repository: None,
            stage: "sft",
            origin,
            origin_licence: licence.map(str::to_owned),
            base_model: None,
            is_on_merged: false,
            is_adapter: true,
            converses: true,
            trainings: Vec::new(),
            datasets: vec![RunFacts { licences, ..RunFacts::default() }],
            dataset_id: None,
            evaluation: None,
        }
    }

    #[test]
    fn names_from_outside_are_no_mark_up_and_where_models_lay_is_not_told() {
        let hostile = "x\"\n---\n<script> | [a](b)";
        let mut model = model(Base::Directory, None, &[Licence::Cc0]);
        model.datasets[0].teachers.push(hostile.to_owned());
        let tested = |name: &str, kind| ModelUnderTest::new(name, kind, "/home/somebody/models", 0);
        let compared = ModelUnderTest { cut_off: 1, ..tested(hostile, Kind::Compared) };
        let score = TaskScore {
            model: "tuned".to_owned(),
            set: hostile.to_owned(),
            task: "ner".to_owned(),
            measure: "entity_f1".to_owned(),
            rows: 3,
            articles: 2,
            value: Some(0.5),
            spread: None,
        };
        let evaluation = Evaluation {
            models: vec![tested("tuned", Kind::Tuned), compared],
            scores: vec![score],
            ..Evaluation::default()
        };
        model.evaluation = Some((evaluation, "0123".to_owned()));
        let card = render(&model, &[]);
        let (front, body) = card[4..].split_once("\n---\n").expect("front matter");
        assert!(front.contains(r#"name: "x\"\n---\n<script> | [a](b): Named Entity Recognition""#), "{front}");
        assert!(!body.contains("<script>") && !body.contains("[a](b)"), "{body}");
        assert!(!card.contains("somebody"), "{card}");
        assert!(body.contains("1 of 0 answers cut off"), "{body}");
    }

    #[test]
    fn an_adapter_says_which_model_it_fits() {
        let mut model = model(Base::Hub("us/base".to_owned()), Some("mit"), &[Licence::Cc0]);
        model.is_on_merged = true;
        let card = render(&model, &[]);
        assert!(card.contains("and not the bare base") && !card.contains("base_model"), "{card}");
        assert!(card.contains("--model BASE --adapter NAME"), "{card}");
        model.base_model = Some("us/merged".to_owned());
        let card = render(&model, &[]);
        assert!(
            card.contains("base_model: \"us/merged\"\n") && card.contains("fits us/merged, and no other"),
            "{card}"
        );
    }
}
