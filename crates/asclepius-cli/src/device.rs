//! The device a person asked for, and a word where `auto` is not what they may think.

use std::sync::Once;

use candle_core::Device;

use crate::output;

/// The device of that name. A build for GPUs that finds none says so, once, before it goes on with the CPU.
///
/// # Errors
/// For an unknown name, and for a GPU that this build or this machine does not have.
pub fn device(name: &str) -> asclepius_ops::Result<Device> {
    static SAID: Once = Once::new();
    let device = asclepius_ops::device(name)?;
    if name == "auto"
        && device.is_cpu()
        && let Some(reason) = asclepius_ops::device::fallback()
    {
        SAID.call_once(|| output::message(&format!("on the CPU: {reason}\n")));
    }
    Ok(device)
}
