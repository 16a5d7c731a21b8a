//! Qwen2 and Qwen2.5: Llama's block with biases on q, k and v, and a window that a switch of its own turns on.

use super::Traits;
use crate::Result;
use crate::config::Keys;

pub(super) fn traits(keys: &Keys<'_>) -> Result<Traits> {
    keys.silu()?;
    Ok(Traits { window: window(keys)?, query_bias: true, ..Traits::default() })
}

/// The window, where it is turned on for every layer.
pub(super) fn window(keys: &Keys<'_>) -> Result<Option<usize>> {
    if !keys.flag("use_sliding_window")?.unwrap_or(false) {
        return Ok(None);
    }
    if keys.optional_size("max_window_layers")?.is_some_and(|layers| layers > 0) {
        return Err(keys.problem("max_window_layers", "windows in some layers only are not supported"));
    }
    keys.optional_size("sliding_window")
}
