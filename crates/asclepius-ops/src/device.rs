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
        "auto" => Ok(gpu::open("cuda:0", 0).unwrap_or(Device::Cpu)),
        _ => {
            let ordinal = name
                .strip_prefix("cuda:")
                .and_then(|ordinal| ordinal.parse().ok())
                .ok_or_else(|| OpsError::UnknownDevice(name.to_owned()))?;
            gpu::open(name, ordinal)
        }
    }
}

/// Why `auto` is the CPU in a build made for GPUs; nothing where there is a GPU, or where the build is for the CPU.
pub fn fallback() -> Option<String> {
    gpu::open("cuda:0", 0).err().filter(|_| cfg!(feature = "cuda")).map(|error| error.to_string())
}

/// What a device calls itself: `cpu`, or the card's name, as `NVIDIA H100 80GB HBM3`.
///
/// # Errors
/// When the driver does not answer.
pub fn describe(device: &Device) -> Result<String> {
    match device {
        Device::Cpu => Ok("cpu".to_owned()),
        _ => gpu::describe(device),
    }
}

fn unavailable(name: &str, reason: impl Into<String>) -> OpsError {
    OpsError::DeviceUnavailable { name: name.to_owned(), reason: reason.into() }
}

#[cfg(feature = "cuda")]
mod gpu {
    use candle_core::Device;

    use super::unavailable;
    use crate::Result;

    /// Card number `ordinal`.
    pub fn open(name: &str, ordinal: usize) -> Result<Device> {
        if let Some(library) = missing_library() {
            return Err(unavailable(name, format!("{library} is not on this machine's library path")));
        }
        Device::new_cuda(ordinal).map_err(|source| unavailable(name, source.to_string()))
    }

    /// candle's `new_cuda` panics where a library it opens is missing, so they are looked for first.
    #[expect(unsafe_code, reason = "opening a shared library runs its initialisers; these are NVIDIA's own")]
    fn missing_library() -> Option<&'static str> {
        // SAFETY: the one precondition is that loading these libraries is sound, which any use of the card supposes.
        let present = unsafe {
            [
                ("libcuda.so (the NVIDIA driver)", cudarc::driver::sys::is_culib_present()),
                ("libcublas.so", cudarc::cublas::sys::is_culib_present()),
                ("libcurand.so", cudarc::curand::sys::is_culib_present()),
            ]
        };
        present.into_iter().find_map(|(library, is_present)| (!is_present).then_some(library))
    }

    pub fn describe(device: &Device) -> Result<String> {
        let card = device.as_cuda_device()?.cuda_stream();
        card.context().name().map_err(|source| unavailable("cuda", source.to_string()))
    }
}

/// What stands there in a build for the CPU: the same door, closed.
#[cfg(not(feature = "cuda"))]
mod gpu {
    use candle_core::Device;

    use super::unavailable;
    use crate::Result;

    pub fn open(name: &str, _: usize) -> Result<Device> {
        Err(unavailable(name, "this build has no CUDA support"))
    }

    pub fn describe(_: &Device) -> Result<String> {
        Err(unavailable("cuda", "this build has no CUDA support"))
    }
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
        assert!(matches!(device("cuda:9999"), Err(OpsError::DeviceUnavailable { name, .. }) if name == "cuda:9999"));
        assert_eq!(describe(&Device::Cpu).expect("always there"), "cpu");
        assert_eq!(fallback().is_some(), cfg!(feature = "cuda") && device("auto").is_ok_and(|device| device.is_cpu()));
    }
}
