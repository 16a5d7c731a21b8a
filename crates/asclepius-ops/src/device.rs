//! Where tensors live: the one place that knows which devices this build can use.

use candle_core::Device;

use crate::{OpsError, Result};

/// The device of that name: `cpu`, `cuda:N`, or `auto` (the first GPU where there is one, else the CPU).
///
/// # Errors
/// For an unknown name, and for a GPU that this build or this machine does not have.
pub fn device(name: &str) -> Result<Device> {
    match name {
        "cpu" => Ok(Device::Cpu),
        "auto" => Ok(cuda("cuda:0", 0).unwrap_or(Device::Cpu)),
        _ => {
            let ordinal = name
                .strip_prefix("cuda:")
                .and_then(|ordinal| ordinal.parse().ok())
                .ok_or_else(|| OpsError::UnknownDevice(name.to_owned()))?;
            cuda(name, ordinal)
        }
    }
}

fn cuda(name: &str, ordinal: usize) -> Result<Device> {
    if !candle_core::utils::cuda_is_available() {
        return Err(OpsError::DeviceUnavailable {
            name: name.to_owned(),
            reason: "this build has no CUDA support".to_owned(),
        });
    }
    Device::new_cuda(ordinal)
        .map_err(|source| OpsError::DeviceUnavailable { name: name.to_owned(), reason: source.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parsed_and_absent_devices_are_errors() {
        assert!(matches!(device("cpu"), Ok(Device::Cpu)));
        assert!(device("auto").is_ok());
        assert!(matches!(device("gpu"), Err(OpsError::UnknownDevice(_))));
        assert!(matches!(device("cuda:x"), Err(OpsError::UnknownDevice(_))));
        if !candle_core::utils::cuda_is_available() {
            assert!(matches!(device("cuda:0"), Err(OpsError::DeviceUnavailable { .. })));
        }
    }
}
