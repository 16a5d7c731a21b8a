//! Mistral (Jiang et al., "Mistral 7B", 2023): Llama's block, whose attention slides where the configuration has a window.

use super::Traits;
use crate::Result;
use crate::config::Keys;

pub(super) fn traits(keys: &Keys<'_>) -> Result<Traits> {
    keys.silu()?;
    Ok(Traits { window: keys.optional_size("sliding_window")?, ..Traits::default() })
}
