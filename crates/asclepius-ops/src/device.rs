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

/// All memory of a card, in bytes; none of the CPU.
pub fn memory(device: &Device) -> Option<u64> {
    device.is_cuda().then(|| gpu::memory(device)).flatten()
}

/// The most memory in use at once, in bytes: of a card what tensors have held since [`forget_peak_memory`], on the CPU the
/// process's largest resident set so far, whatever it was for.
pub fn peak_memory(device: &Device) -> Option<u64> {
    if device.is_cuda() { gpu::peak_memory(device) } else { crate::cpu::memory::peak_resident() }
}

/// Counts a card's [`peak_memory`] from what is held now.
pub fn forget_peak_memory(device: &Device) {
    if device.is_cuda() {
        gpu::forget_peak_memory(device);
    }
}

/// Whether products of bf16 run on the device: on the CPU, and on cards from Ampere (compute capability 8.0) on.
pub fn knows_bf16(device: &Device) -> bool {
    !device.is_cuda() || gpu::capability(device).is_some_and(|capability| capability >= 80)
}

/// What a card's makers promise of 16-bit products with sums in f32, in operations a second, by the name it gives itself;
/// none for a card that is not in the table. Dense, without sparsity (NVIDIA's data sheets).
pub fn peak_rate(device: &Device) -> Option<f64> {
    let name = describe(device).ok().filter(|_| device.is_cuda())?;
    // The first name that occurs counts: an H100 over PCIe runs slower than the others.
    let promised = [
        ("H100 PCIe", 756.0),
        ("H100", 989.4),
        ("H200", 989.4),
        ("B200", 2250.0),
        ("A100", 312.0),
        ("A800", 312.0),
        ("A40", 149.7),
        ("A30", 165.0),
        ("A10", 125.0),
        ("L40S", 362.0),
        ("L40", 181.0),
        ("L4", 121.0),
        ("RTX 4090", 165.2),
        ("RTX 3090", 71.0),
        ("T4", 65.0),
    ];
    promised.into_iter().find(|(card, _)| name.contains(card)).map(|(_, rate)| rate * 1e12)
}

fn unavailable(name: &str, reason: impl Into<String>) -> OpsError {
    OpsError::DeviceUnavailable { name: name.to_owned(), reason: reason.into() }
}

#[cfg(feature = "cuda")]
mod gpu {
    use candle_core::Device;
    use cudarc::driver::result::mem_pool as pools;
    use cudarc::driver::sys::{self, CUmemPool_attribute as Attribute};

    use super::unavailable;
    use crate::Result;

    /// Card number `ordinal`.
    pub fn open(name: &str, ordinal: usize) -> Result<Device> {
        if let Some(library) = missing_library() {
            return Err(unavailable(name, format!("{library} is not on this machine's library path")));
        }
        let device = Device::new_cuda(ordinal).map_err(|source| unavailable(name, source.to_string()))?;
        check_capability(name, &device)?;
        keep_freed(&device);
        Ok(device)
    }

    /// The compute capability that the kernels are compiled for, without its dot.
    const BUILT_FOR: &str = env!("ASCLEPIUS_COMPUTE_CAPABILITY");

    /// Machine code runs on cards of its own generation only, from its own capability on.
    fn check_capability(name: &str, device: &Device) -> Result<()> {
        let found =
            capability(device).ok_or_else(|| unavailable(name, "the driver does not say what the card can do"))?;
        let built = BUILT_FOR.parse::<i32>().unwrap_or(0);
        if built / 10 == found / 10 && built <= found {
            return Ok(());
        }
        let card = describe(device).unwrap_or_else(|_| "the card".to_owned());
        Err(unavailable(
            name,
            format!(
                "{card} has compute capability {}.{}, and this program is built for {}.{}: build it with \
                 CUDA_COMPUTE_CAP={found}",
                found / 10,
                found % 10,
                built / 10,
                built % 10
            ),
        ))
    }

    /// A card's compute capability without its dot.
    pub fn capability(device: &Device) -> Option<i32> {
        let stream = device.as_cuda_device().ok()?.cuda_stream();
        stream.context().compute_capability().ok().map(|(major, minor)| 10 * major + minor)
    }

    /// The pool that the card's tensors come from.
    #[expect(unsafe_code, reason = "the driver's C interface; cudarc has no safe one for pools")]
    fn pool(device: &Device) -> Option<sys::CUmemoryPool> {
        let stream = device.as_cuda_device().ok()?.cuda_stream();
        let mut pool = std::ptr::null_mut();
        // SAFETY: the pool is written before the call returns, and the driver owns it for as long as there is a context.
        unsafe { sys::cuDeviceGetDefaultMemPool(&raw mut pool, stream.context().cu_device()) }.result().ok()?;
        Some(pool)
    }

    /// By itself the driver hands freed memory back whenever something waits for the card, and asks for it anew.
    #[expect(unsafe_code, reason = "as above")]
    fn keep_freed(device: &Device) {
        let Some(pool) = pool(device) else { return };
        let mut all = u64::MAX;
        // SAFETY: this attribute is a number of 64 bits.
        let kept =
            unsafe { pools::set_attribute(pool, Attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, (&raw mut all).cast()) };
        // A driver that knows no such thing is only slower.
        kept.ok();
    }

    pub fn memory(device: &Device) -> Option<u64> {
        let stream = device.as_cuda_device().ok()?.cuda_stream();
        stream.context().total_mem().ok().map(|bytes| bytes as u64)
    }

    #[expect(unsafe_code, reason = "as above")]
    pub fn peak_memory(device: &Device) -> Option<u64> {
        let mut bytes = 0_u64;
        // SAFETY: this attribute is a number of 64 bits.
        unsafe {
            pools::get_attribute(pool(device)?, Attribute::CU_MEMPOOL_ATTR_USED_MEM_HIGH, (&raw mut bytes).cast())
        }
        .ok()?;
        Some(bytes)
    }

    #[expect(unsafe_code, reason = "as above")]
    pub fn forget_peak_memory(device: &Device) {
        let Some(pool) = pool(device) else { return };
        let mut zero = 0_u64;
        // SAFETY: this attribute is a number of 64 bits; zero is the one value that it takes.
        let forgotten =
            unsafe { pools::set_attribute(pool, Attribute::CU_MEMPOOL_ATTR_USED_MEM_HIGH, (&raw mut zero).cast()) };
        // The peak is then only larger than it need be.
        forgotten.ok();
    }

    /// candle's `new_cuda` panics where a library it opens is missing, so they are looked for first.
    #[expect(unsafe_code, reason = "opening a shared library runs its initialisers; these are NVIDIA's own")]
    fn missing_library() -> Option<&'static str> {
        // SAFETY: the one precondition is that loading these libraries is sound, which any use of the card supposes.
        let present = unsafe {
            [
                ("libcuda.so (the NVIDIA driver)", sys::is_culib_present()),
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

    pub fn capability(_: &Device) -> Option<i32> {
        None
    }

    pub fn memory(_: &Device) -> Option<u64> {
        None
    }

    pub fn peak_memory(_: &Device) -> Option<u64> {
        None
    }

    pub fn forget_peak_memory(_: &Device) {}
}

/// Events in a card's stream, for [`crate::profile`].
#[cfg(feature = "cuda")]
pub(crate) mod marks {
    use std::sync::Arc;

    use candle_core::Device;
    use cudarc::driver::{CudaEvent, CudaStream, sys};

    pub type Mark = CudaEvent;

    /// A card's stream, and the event its times are counted from.
    pub struct Clock {
        stream: Arc<CudaStream>,
        zero: CudaEvent,
    }

    fn event(stream: &CudaStream) -> Option<CudaEvent> {
        stream.record_event(Some(sys::CUevent_flags::CU_EVENT_DEFAULT)).ok()
    }

    impl Clock {
        /// None on the CPU, and where the driver has no events.
        pub fn start(device: &Device) -> Option<Self> {
            let stream = device.as_cuda_device().ok()?.cuda_stream();
            let zero = event(&stream)?;
            Some(Self { stream, zero })
        }

        pub fn mark(&self) -> Option<Mark> {
            event(&self.stream)
        }

        /// Seconds from the clock's start to the event; waits for it.
        pub fn seconds(&self, mark: &Mark) -> f64 {
            self.zero.elapsed_ms(mark).map_or(0.0, |milliseconds| f64::from(milliseconds) / 1e3)
        }
    }
}

/// What stands there in a build for the CPU.
#[cfg(not(feature = "cuda"))]
pub(crate) mod marks {
    use std::convert::Infallible;

    use candle_core::Device;

    pub struct Mark;

    pub struct Clock(Infallible);

    impl Clock {
        pub fn start(_: &Device) -> Option<Self> {
            None
        }

        pub fn mark(&self) -> Option<Mark> {
            match self.0 {}
        }

        pub fn seconds(&self, _: &Mark) -> f64 {
            match self.0 {}
        }
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
