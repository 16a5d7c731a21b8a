//! Everything that is not a stage.

pub mod chat;
pub mod data;
pub mod model;
pub mod plan;
pub mod preview;
pub mod serve;

use serde_json::Value;

use crate::keys;
use crate::pipeline::PipelineConfig;

/// `docs/configuration.md`: every key with its default and its documentation.
pub fn reference(defaults: &Value) -> String {
    let mut text = String::from(
        "# Configuration reference\n\nEvery key of a pipeline file. Relative paths are relative to the current directory. \
         This page is made by\n`asclepius reference` from the configuration structs; a test holds it to them.\n",
    );
    text.push_str(&keys::reference(&PipelineConfig::schema(), defaults));
    text
}
