//! Unknown configuration keys, found before any work and answered with the nearest known one.
//!
//! The known keys are not listed here: they are read from the JSON schema that `schemars` derives from each crate's
//! configuration struct, so a key is declared once.

use schemars::Schema;
use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A key that no configuration struct declares.
#[derive(Debug, PartialEq, Eq)]
pub struct UnknownKey {
    /// The key with its tables: `pretrain.lora.rnak`.
    pub path: String,
    /// Line in the file, from 1.
    pub line: usize,
    /// The known key of the same table that is closest in spelling, with its tables.
    pub nearest: Option<String>,
}

/// Every unknown key of a pipeline file, in the file's order.
pub fn unknown_keys(text: &str, table: &Spanned<DeTable<'_>>, schema: &Schema) -> Vec<UnknownKey> {
    let mut found = Vec::new();
    walk(text, table.get_ref(), schema.as_value(), schema.as_value(), &mut Vec::new(), &mut found);
    found.sort_by_key(|key| key.line);
    found
}

fn walk(
    text: &str,
    table: &DeTable<'_>,
    root: &Value,
    node: &Value,
    path: &mut Vec<String>,
    found: &mut Vec<UnknownKey>,
) {
    let Some(properties) = properties(root, node) else {
        return; // free-form, such as extra_body
    };
    for (key, value) in table {
        let name = key.get_ref().to_string();
        path.push(name.clone());
        if let Some((_, child)) = properties.iter().find(|(known, _)| **known == name) {
            if let DeValue::Table(inner) = value.get_ref() {
                walk(text, inner, root, child, path, found);
            }
        } else {
            let prefix = path[..path.len() - 1].join(".");
            found.push(UnknownKey {
                path: path.join("."),
                line: text[..key.span().start].matches('\n').count() + 1,
                nearest: nearest(&name, properties.iter().map(|(known, _)| known.as_str()))
                    .map(|known| if prefix.is_empty() { known.to_owned() } else { format!("{prefix}.{known}") }),
            });
        }
        path.pop();
    }
}

/// The declared keys of a schema node, references and alternatives (`Option`, enums with tables) followed.
fn properties<'a>(root: &'a Value, node: &'a Value) -> Option<Vec<(&'a String, &'a Value)>> {
    if let Some(reference) = node.get("$ref").and_then(Value::as_str) {
        return properties(root, root.pointer(reference.strip_prefix('#')?)?);
    }
    if let Some(map) = node.get("properties").and_then(Value::as_object) {
        return Some(map.iter().collect());
    }
    let alternatives = ["anyOf", "oneOf", "allOf"].iter().find_map(|key| node.get(key).and_then(Value::as_array))?;
    let merged: Vec<_> = alternatives.iter().filter_map(|inner| properties(root, inner)).flatten().collect();
    (!merged.is_empty()).then_some(merged)
}

/// The candidate closest to `name`, unless even that one has little to do with it.
pub fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .min()
        .filter(|(distance, candidate)| *distance <= (name.len().max(candidate.len())).div_ceil(2))
        .map(|(_, candidate)| candidate)
}

/// All keys with their types, defaults and documentation, as a Markdown table: the reference page's body.
pub fn reference(schema: &Schema, defaults: &Value) -> String {
    let root = schema.as_value();
    let mut out = String::new();
    describe(root, root, defaults, "", &mut out);
    out
}

fn describe(root: &Value, node: &Value, defaults: &Value, table: &str, out: &mut String) {
    let Some(properties) = properties(root, node) else { return };
    let (tables, keys): (Vec<_>, Vec<_>) = properties.into_iter().partition(|(_, child)| is_table(root, child));
    if !keys.is_empty() {
        let title = if table.is_empty() { "Top level".to_owned() } else { format!("`[{table}]`") };
        out.push_str(&format!("\n## {title}\n\n| key | default | meaning |\n|---|---|---|\n"));
    }
    for (key, child) in keys {
        let default = defaults.get(key).filter(|value| !value.is_null()).map_or(String::new(), shown);
        let meaning = documentation(root, child);
        out.push_str(&format!("| `{key}` | {default} | {meaning} |\n"));
    }
    for (key, child) in tables {
        let inner = if table.is_empty() { key.clone() } else { format!("{table}.{key}") };
        describe(root, child, defaults.get(key).unwrap_or(&Value::Null), &inner, out);
    }
}

/// A default as a person would type it: JSON keeps an f32 as the f64 next to it.
fn shown(value: &Value) -> String {
    match value.as_f64() {
        Some(number) if value.is_f64() && f64::from(number as f32) == number => format!("`{:?}`", number as f32),
        _ => format!("`{value}`"),
    }
}

fn is_table(root: &Value, node: &Value) -> bool {
    properties(root, node).is_some()
}

fn documentation(root: &Value, node: &Value) -> String {
    let own = node.get("description").and_then(Value::as_str);
    let referred = || {
        let reference = node.get("$ref").and_then(Value::as_str)?;
        root.pointer(reference.strip_prefix('#')?)?.get("description").and_then(Value::as_str)
    };
    own.or_else(referred).unwrap_or("").replace('\n', " ").replace('|', "\\|")
}
