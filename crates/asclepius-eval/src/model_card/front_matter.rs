//! What the hub reads of a card: licence, base, tags, and figures as its `model-index` has them.

use std::collections::BTreeSet;

use asclepius_dataset::Whole;
use serde_json::json;

use super::{Base, ModelFacts, tested};
use crate::results::TaskScore;
use crate::{card, measures, scoreboard};

impl ModelFacts {
    /// The hub's name for the licence and, where that is `other`, a name for what it is: the base's, unless the sources ask
    /// for more than credit.
    pub(super) fn licence(&self) -> (String, Option<String>) {
        let terms = self.terms();
        let data = card::hub_licence(terms.name());
        let base = self.origin_licence.as_deref().unwrap_or("unknown");
        let credit_only = matches!(data.as_str(), "cc0-1.0" | "cc-by-4.0");
        match (terms.whole(), &self.origin, credit_only) {
            (Whole::Withheld, ..) => ("other".to_owned(), Some("not-to-be-published".to_owned())),
            (Whole::InParts, ..) => ("other".to_owned(), Some("none-fits-all-sources".to_owned())),
            (Whole::Under(_), Base::Random, _) => (data, None),
            (Whole::Nothing, Base::Random, _) => ("other".to_owned(), Some("unknown".to_owned())),
            (Whole::Under(_), _, true) if self.origin_licence.is_some() => (base.to_owned(), None),
            (Whole::Under(_), ..) => ("other".to_owned(), Some(format!("{base}-and-{data}"))),
            (Whole::Nothing, ..) => ("other".to_owned(), Some(format!("{base}-and-unknown"))),
        }
    }
}

/// A string as YAML has it: JSON's strings are some of YAML's.
fn quoted(text: &str) -> String {
    json!(text).to_string()
}

pub(super) fn front_matter(card: &mut String, model: &ModelFacts) {
    let mut key = |name: &str, value: &str| card.push_str(&format!("{name}: {value}\n"));
    let (licence, named) = model.licence();
    key("license", &quoted(&licence));
    if let Some(named) = named {
        key("license_name", &quoted(&named));
    }
    key("library_name", if model.is_adapter { "peft" } else { "transformers" });
    if let Some(id) = &model.base_model {
        key("base_model", &quoted(id));
        key("base_model_relation", if model.is_adapter { "adapter" } else { "finetune" });
    }
    key("pipeline_tag", "text-generation");
    key("language", "[en]");
    let adapter = if model.is_adapter { ", lora" } else { "" };
    key("tags", &format!("[medical, clinical, synthetic, asclepius{adapter}]"));
    if let Some(id) = &model.dataset_id {
        key("datasets", &format!("[{}]", quoted(id)));
    }
    index(card, model);
}

/// The figures of one table of one set.
struct Table {
    set: String,
    name: String,
    figures: Vec<Figure>,
}

struct Figure {
    measure: String,
    name: String,
    value: f64,
}

/// The figures of this model as the hub's `model-index` has them.
fn index(card: &mut String, model: &ModelFacts) {
    let tables = tables(model);
    if tables.is_empty() {
        return;
    }
    let figures = tables.iter().flat_map(|table| &table.figures);
    let named: BTreeSet<String> = figures.map(|figure| quoted(&figure.measure)).collect();
    card.push_str(&format!("metrics: [{}]\n", named.into_iter().collect::<Vec<_>>().join(", ")));
    card.push_str(&format!("model-index:\n- name: {}\n  results:\n", quoted(&model.name)));
    let dataset = quoted(model.dataset_id.as_deref().unwrap_or("asclepius"));
    for table in tables {
        let (task, set) = (quoted(&table.name), quoted(&format!("{}, held out", table.set)));
        card.push_str(&format!("  - task:\n      type: text-generation\n      name: {task}\n"));
        card.push_str(&format!("    dataset:\n      type: {dataset}\n      name: {set}\n    metrics:\n"));
        for Figure { measure, name, value } in table.figures {
            let (measure, name) = (quoted(&measure), quoted(&name));
            card.push_str(&format!("    - type: {measure}\n      name: {name}\n      value: {value:.6}\n"));
        }
    }
}

fn tables(model: &ModelFacts) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    let Some((evaluation, _)) = &model.evaluation else { return tables };
    let Some(tested) = tested(model, evaluation) else { return tables };
    let mut add = |set: &str, title: &str, measure: &str, over: String, value: f64| {
        let name = format!("{set}: {title}");
        let measured = format!("{} ({over})", scoreboard::words(measure));
        let figure = Figure { measure: measure.to_owned(), name: measured, value };
        match tables.iter_mut().find(|table| table.set == set && table.name == name) {
            Some(table) => table.figures.push(figure),
            None => tables.push(Table { set: set.to_owned(), name, figures: vec![figure] }),
        }
    };
    for row in evaluation.losses.iter().filter(|row| row.model == tested && row.perplexity.is_finite()) {
        let over = format!("{} rows, {} articles", row.rows, row.articles);
        add(&row.set, "loss", "perplexity", over, row.perplexity);
    }
    // Which kind of claim has no support is for the card's own tables.
    let is_indexed = |row: &&TaskScore| row.model == tested && !row.measure.starts_with("unsupported_");
    for row in evaluation.scores.iter().filter(is_indexed) {
        let Some(value) = row.value.filter(|value| value.is_finite()) else { continue };
        let mut over = format!("{} rows, {} articles", row.rows, row.articles);
        if let Some(spread) = row.spread {
            over.push_str(&format!(", 95 %: {:.3} to {:.3}", spread.low, spread.high));
        }
        add(&row.set, measures::title(&row.task), &row.measure, over, value);
    }
    tables
}

#[cfg(test)]
mod tests {
    use asclepius_schema::Licence;

    use super::super::tests::model;
    use super::*;

    #[test]
    fn a_model_is_as_free_as_the_less_free_of_base_and_sources() {
        let hub = || Base::Hub("us/base".to_owned());
        for (origin, licence, sources, expected) in [
            (hub(), Some("apache-2.0"), &[Licence::CcBy, Licence::Cc0][..], ("apache-2.0", None)),
            (hub(), Some("mit"), &[Licence::CcByNcSa], ("other", Some("mit-and-cc-by-nc-sa-4.0"))),
            (hub(), None, &[Licence::CcBy], ("other", Some("unknown-and-cc-by-4.0"))),
            (Base::Directory, None, &[], ("other", Some("unknown-and-unknown"))),
            (Base::Random, None, &[Licence::CcBySa], ("cc-by-sa-4.0", None)),
            (Base::Random, None, &[], ("other", Some("unknown"))),
            (hub(), Some("mit"), &[Licence::CcByNd], ("other", Some("not-to-be-published"))),
            (Base::Random, None, &[Licence::CcBySa, Licence::CcByNc], ("other", Some("none-fits-all-sources"))),
        ] {
            let (name, named) = model(origin, licence, sources).licence();
            assert_eq!((name.as_str(), named.as_deref()), expected, "{licence:?} {sources:?}");
        }
    }
}
