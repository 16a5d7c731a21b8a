//! Memory and launches, by cudarc.

use std::ffi::c_void;
use std::sync::Arc;

use candle_core::backend::BackendStorage;
use candle_core::cuda_backend::{CudaDevice, CudaStorageSlice, WrapErr};
use candle_core::{CudaStorage, DType, Result, bail};
use cudarc::cublas::{result::gemm_ex, sys};
use cudarc::driver::{CudaSlice, CudaStream, DevicePtr, DeviceRepr, LaunchConfig, PushKernelArg, SyncOnDrop};
use half::{bf16, f16};

use super::flash::{FlashCall, FlashRoom, Way};
use super::{AdamWFactors, Argument, Form, Grid, Matrix, Module, Product};

/// Whether FlashAttention's kernels are in this build.
pub(crate) const HAS_FLASH_ATTENTION: bool = cfg!(flash_attention);

/// A card and the stream that everything runs on.
#[derive(Debug)]
pub(crate) struct Card {
    device: CudaDevice,
    stream: Arc<CudaStream>,
}

/// Where a tensor's numbers begin. The stream keeps its order around whatever is launched while this lives.
pub(crate) struct Memory<'a> {
    pub address: u64,
    _order: SyncOnDrop<'a>,
}

/// Where several tensors' numbers begin.
pub(crate) struct Addresses<'a>(Vec<Memory<'a>>);

impl Addresses<'_> {
    pub fn of(&self, index: usize) -> u64 {
        self.0[index].address
    }
}

impl Module {
    /// Its name, and its code as the build's nvcc left it.
    fn source(self) -> (&'static str, &'static str) {
        macro_rules! compiled {
            ($name:literal) => {
                ($name, include_str!(concat!(env!("OUT_DIR"), "/", $name, ".ptx")))
            };
        }
        match self {
            Self::Activation => compiled!("activation"),
            Self::AdamW => compiled!("adamw"),
            Self::Embedding => compiled!("embedding"),
            Self::Nf4 => compiled!("nf4"),
            Self::Norm => compiled!("norm"),
            Self::Rope => compiled!("rope"),
            Self::Softmax => compiled!("softmax"),
        }
    }
}

#[expect(unsafe_code, reason = "a struct of floats, laid out as in C, is what the kernel's parameter is")]
// SAFETY: `AdamWFactors` is `repr(C)` and has no padding, reference or destructor.
unsafe impl DeviceRepr for AdamWFactors {}

impl Card {
    /// The card that this memory lies on.
    pub fn of(storage: &CudaStorage) -> Result<Self> {
        let device = storage.device.clone();
        let stream = device.cuda_stream();
        Ok(Self { device, stream })
    }

    /// Numbers from the `start`-th on.
    pub fn memory<'a>(&'a self, storage: &'a CudaStorage, start: usize) -> Result<Memory<'a>> {
        match &storage.slice {
            CudaStorageSlice::F32(slice) => Ok(self.from(slice, start)),
            CudaStorageSlice::BF16(slice) => Ok(self.from(slice, start)),
            CudaStorageSlice::F16(slice) => Ok(self.from(slice, start)),
            CudaStorageSlice::F64(slice) => Ok(self.from(slice, start)),
            CudaStorageSlice::U32(slice) => Ok(self.from(slice, start)),
            CudaStorageSlice::U8(slice) => Ok(self.from(slice, start)),
            _ => bail!("kernels take f32, bf16, f16, f64, u32 and u8"),
        }
    }

    /// [`Card::memory`] of several.
    pub fn addresses<'a>(&'a self, memory: &[(&'a CudaStorage, usize)]) -> Result<Addresses<'a>> {
        memory.iter().map(|&(storage, start)| self.memory(storage, start)).collect::<Result<_>>().map(Addresses)
    }

    fn from<'a, N>(&'a self, slice: &'a CudaSlice<N>, start: usize) -> Memory<'a> {
        let (address, order) = slice.device_ptr(&self.stream);
        Memory { address: address + (start * size_of::<N>()) as u64, _order: order }
    }

    /// Memory for `count` numbers, whatever is in it: the caller's kernel writes every one of them.
    pub fn room(&self, dtype: DType, count: usize) -> Result<CudaStorage> {
        // The driver gives no empty memory.
        let count = count.max(1);
        match dtype {
            DType::F32 => self.room_of::<f32>(count),
            DType::BF16 => self.room_of::<bf16>(count),
            DType::F16 => self.room_of::<f16>(count),
            DType::F64 => self.room_of::<f64>(count),
            DType::U8 => self.room_of::<u8>(count),
            other => bail!("no kernel writes {}", other.as_str()),
        }
    }

    fn room_of<N: candle_core::cuda_backend::CudaDType + DeviceRepr>(&self, count: usize) -> Result<CudaStorage> {
        #[expect(unsafe_code, reason = "memory that is not set first")]
        // SAFETY: no number is read before the kernel that the memory is for has written all of them.
        let slice = unsafe { self.device.alloc::<N>(count)? };
        Ok(CudaStorage::wrap_cuda_slice(slice, self.device.clone()))
    }

    /// Sets `bytes` bytes from an address on to zero.
    pub fn zero(&self, address: u64, bytes: usize) -> Result<()> {
        self.stream.context().bind_to_thread().w()?;
        #[expect(unsafe_code, reason = "a part of a tensor's memory, which cudarc knows whole tensors of only")]
        // SAFETY: the caller holds the memory, and nothing but the stream's later work reads it.
        unsafe { cudarc::driver::result::memset_d8_async(address, 0, bytes, self.stream.cu_stream()) }.w()?;
        Ok(())
    }

    /// Runs a kernel over a grid.
    pub fn launch(&self, module: Module, kernel: &str, grid: Grid, arguments: &[Argument]) -> Result<()> {
        let (name, code) = module.source();
        let function = self.device.get_or_load_custom_func(kernel, name, code)?;
        let mut builder = function.builder();
        for argument in arguments {
            match argument {
                Argument::Address(value) | Argument::Word(value) => builder.arg(value),
                Argument::Long(value) => builder.arg(value),
                Argument::Int(value) => builder.arg(value),
                Argument::Float(value) => builder.arg(value),
                Argument::Factors(value) => builder.arg(value),
            };
        }
        let Ok(blocks) = u32::try_from(grid.blocks) else { bail!("{kernel}: {} blocks are too many", grid.blocks) };
        let config = LaunchConfig {
            grid_dim: (blocks, 1, 1),
            block_dim: (grid.threads as u32, 1, 1),
            shared_mem_bytes: grid.shared as u32,
        };
        #[expect(unsafe_code, reason = "a kernel is called by name, with what its source says it takes")]
        // SAFETY: the arguments are those of the kernel's declaration in `kernels/`, and its grid covers memory that the
        // caller holds.
        unsafe { builder.launch(config) }.w()?;
        Ok(())
    }
}

#[cfg(flash_attention)]
mod flash {
    //! `kernels/flash/dispatch.cu`, compiled by `tools/cuda/flash.sh` and linked with the CUDA runtime's static half, which
    //! works on the same context of the card as everything else here.

    use std::ffi::{CStr, c_char, c_void};

    use candle_core::cuda_backend::WrapErr;
    use candle_core::{Result, bail};

    use super::{Card, FlashCall, FlashRoom, Way};

    #[expect(unsafe_code, reason = "functions of a library that is linked")]
    unsafe extern "C" {
        fn asclepius_flash_launch(call: *const FlashCall, backward: i32, stream: *mut c_void) -> i32;
        fn asclepius_flash_room(call: *const FlashCall, backward: i32, room: *mut FlashRoom) -> i32;
        fn asclepius_flash_error(code: i32) -> *const c_char;
    }

    fn check(code: i32) -> Result<()> {
        if code == 0 {
            return Ok(());
        }
        #[expect(unsafe_code, reason = "as above")]
        // SAFETY: the runtime answers every code with a string that it never frees.
        let text = unsafe { CStr::from_ptr(asclepius_flash_error(code)) };
        bail!("FlashAttention: {}", text.to_string_lossy())
    }

    impl Card {
        /// Launches the kernels of a call.
        pub fn flash_attention(&self, way: Way, call: &FlashCall) -> Result<()> {
            self.stream.context().bind_to_thread().w()?;
            let stream = self.stream.cu_stream().cast();
            #[expect(unsafe_code, reason = "as above")]
            // SAFETY: the call's memory is held by the caller and is of the sizes that `attention.h` wants.
            check(unsafe { asclepius_flash_launch(call, i32::from(way == Way::Backward), stream) })
        }

        /// What a way of the call wants besides: memory, whose addresses are not looked at yet, and a choice of blocks.
        pub fn flash_room(&self, way: Way, call: &FlashCall) -> Result<FlashRoom> {
            self.stream.context().bind_to_thread().w()?;
            let mut room = FlashRoom::default();
            #[expect(unsafe_code, reason = "as above")]
            // SAFETY: the answer is written before the call returns.
            check(unsafe { asclepius_flash_room(call, i32::from(way == Way::Backward), &raw mut room) })?;
            Ok(room)
        }
    }
}

#[cfg(not(flash_attention))]
impl Card {
    pub fn flash_attention(&self, _: Way, _: &FlashCall) -> Result<()> {
        bail!("this build has no FlashAttention")
    }

    pub fn flash_room(&self, _: Way, _: &FlashCall) -> Result<FlashRoom> {
        bail!("this build has no FlashAttention")
    }
}

fn type_of(dtype: DType) -> Result<sys::cudaDataType> {
    match dtype {
        DType::F32 => Ok(sys::cudaDataType::CUDA_R_32F),
        DType::BF16 => Ok(sys::cudaDataType::CUDA_R_16BF),
        DType::F16 => Ok(sys::cudaDataType::CUDA_R_16F),
        other => bail!("no product of {}", other.as_str()),
    }
}

/// `target = product`, or with [`Product::adds`] `target += product`; summed in f32, everything contiguous.
pub(crate) fn product(card: &Card, target: Matrix<'_>, product: Product<'_>) -> Result<()> {
    use sys::cublasOperation_t::{CUBLAS_OP_N as AS_IT_IS, CUBLAS_OP_T as TURNED};
    let Product { left, right, form, rows, columns, inner, scale, adds } = product;
    let size = |size: usize| i32::try_from(size).map_err(|_| candle_core::Error::Msg(format!("a product over {size}")));
    let [rows, columns, inner] = [size(rows)?, size(columns)?, size(inner)?];
    let (target_memory, left_memory, right_memory) =
        (card.memory(target.0, target.1)?, card.memory(left.0, left.1)?, card.memory(right.0, right.1)?);
    // At 0 cuBLAS does not read what lies there.
    let kept = if adds { 1.0_f32 } else { 0.0 };
    let [scale, kept] = [&scale, &kept].map(|factor| std::ptr::from_ref(factor).cast::<c_void>());
    // cuBLAS counts down columns: what lies here row by row is transposed in its eyes, and it is asked for
    // `targetᵀ = kept targetᵀ + scale rightᵀ leftᵀ`.
    let (right_turned, right_width) = if form == Form::RightTransposed { (TURNED, inner) } else { (AS_IT_IS, columns) };
    let (left_turned, left_width) = if form == Form::LeftTransposed { (TURNED, rows) } else { (AS_IT_IS, inner) };
    let blas = card.device.cublas_handle();
    #[expect(unsafe_code, reason = "cuBLAS by its C interface; cudarc has no safe product of mixed types")]
    // SAFETY: the three matrices lie in memory held above, of the sizes given; the factors outlive the call, which reads
    // them at once in cuBLAS' default pointer mode.
    unsafe {
        gemm_ex(
            *blas.handle(),
            right_turned,
            left_turned,
            columns,
            rows,
            inner,
            scale,
            right_memory.address as *const c_void,
            type_of(right.0.dtype())?,
            right_width,
            left_memory.address as *const c_void,
            type_of(left.0.dtype())?,
            left_width,
            kept,
            target_memory.address as *mut c_void,
            type_of(target.0.dtype())?,
            columns,
            sys::cublasComputeType_t::CUBLAS_COMPUTE_32F,
            sys::cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT_TENSOR_OP,
        )
    }
    .map_err(|source| candle_core::Error::Msg(format!("cuBLAS: {source:?}")))
}
