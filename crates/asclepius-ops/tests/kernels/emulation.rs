//! The CUDA kernels' own source, compiled by this machine's C++ compiler and run on its processor; see
//! `kernels/host/emulation.hpp`.

use std::ffi::{CString, c_char, c_int, c_uint, c_void};
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

use half::{bf16, f16};
use libloading::Library;

/// A type of number that kernels have instances for.
pub trait Number: Copy + PartialEq + 'static {
    /// What ends a kernel's name.
    const NAME: &'static str;
    /// The distance from 1 to the next number.
    const EPSILON: f64;
    fn of(value: f64) -> Self;
    fn wide(self) -> f64;
    fn poison() -> Self {
        Self::of(f64::NAN)
    }
}

macro_rules! number {
    ($type:ty, $name:literal, $epsilon:expr, $of:expr, $wide:expr) => {
        impl Number for $type {
            const NAME: &'static str = $name;
            const EPSILON: f64 = $epsilon;
            fn of(value: f64) -> Self {
                $of(value)
            }
            fn wide(self) -> f64 {
                $wide(self)
            }
        }
    };
}
number!(f32, "f32", f32::EPSILON as f64, |value| value as f32, |value: f32| f64::from(value));
number!(bf16, "bf16", 1.0 / 128.0, |value: f64| bf16::from_f32(value as f32), |value: bf16| value.to_f64());
number!(f16, "f16", 1.0 / 1024.0, |value: f64| f16::from_f32(value as f32), |value: f16| value.to_f64());

/// Numbers a kernel writes: not a number until then, and with a margin behind that nothing may touch.
pub struct Output<N> {
    numbers: Vec<N>,
    count: usize,
    margin: N,
}

const MARGIN: usize = 64;

impl<N: Copy + PartialEq> Output<N> {
    /// `count` numbers that hold `poison`; the margin holds it too.
    pub fn filled(count: usize, poison: N) -> Self {
        Self { numbers: vec![poison; count + MARGIN], count, margin: poison }
    }

    /// A copy of `start`, which the kernel changes in place.
    pub fn from(start: &[N], margin: N) -> Self {
        let mut output = Self::filled(start.len(), margin);
        output.numbers[..start.len()].copy_from_slice(start);
        output
    }

    pub fn pointer(&mut self) -> Argument {
        Argument::Pointer(self.numbers.as_mut_ptr().cast())
    }

    /// What was written.
    pub fn take(mut self) -> Vec<N> {
        let untouched = |number: &N| same(number, &self.margin);
        assert!(self.numbers[self.count..].iter().all(untouched), "a kernel wrote behind its output");
        self.numbers.truncate(self.count);
        self.numbers
    }
}

impl<N: Number> Output<N> {
    pub fn new(count: usize) -> Self {
        Self::filled(count, N::poison())
    }
}

/// An argument as `cuLaunchKernel` takes it.
#[derive(Clone, Copy)]
pub enum Argument {
    Pointer(*mut c_void),
    Int(i32),
    Long(i64),
    Float(f32),
    /// A structure of floats.
    Floats([f32; 8]),
}

/// Equal, or both no number.
fn same<N: PartialEq>(one: &N, other: &N) -> bool {
    let is_nan = |number: &N| number.ne(number);
    one == other || is_nan(one) && is_nan(other)
}

/// Numbers a kernel reads.
pub fn input<N>(numbers: &[N]) -> Argument {
    Argument::Pointer(numbers.as_ptr().cast_mut().cast())
}

/// No numbers.
pub const NULL: Argument = Argument::Pointer(std::ptr::null_mut());

/// Blocks, threads of a block, and bytes of shared memory.
#[derive(Clone, Copy, Debug)]
pub struct Grid {
    pub blocks: usize,
    pub threads: usize,
    pub shared: usize,
}

impl Grid {
    /// A thread for each of `count`.
    pub fn threads_for(count: usize, threads: usize) -> Self {
        Self { blocks: count.div_ceil(threads).max(1), threads, shared: 0 }
    }

    /// So many blocks with room for `numbers` of `size` bytes for each warp.
    pub fn blocks(blocks: usize, threads: usize, numbers: usize, size: usize) -> Self {
        Self { blocks, threads, shared: numbers * size * (threads / 32) }
    }
}

type Launch = unsafe extern "C" fn(*const c_char, c_uint, c_uint, c_uint, *mut *mut c_void, c_int) -> c_int;

/// The library, or nothing where there is no C++ compiler.
fn library() -> Option<&'static Mutex<Library>> {
    static LIBRARY: OnceLock<Option<Mutex<Library>>> = OnceLock::new();
    LIBRARY.get_or_init(|| compile().map(Mutex::new)).as_ref()
}

fn compile() -> Option<Library> {
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    if Command::new(&compiler).arg("--version").output().is_err() {
        return None;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = folder.join(format!("kernels-{}.so", std::process::id()));
    // Products and sums are rounded one by one, and nothing is assumed of NaN: what the tests hold kernels to.
    let flags = ["-std=c++17", "-O1", "-ffp-contract=off", "-Wall", "-Werror", "-shared", "-fPIC", "-x", "c++"];
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels/host/all.cpp");
    let built =
        Command::new(&compiler).args(flags).arg(source).arg("-o").arg(&file).output().expect("it has run before");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    #[expect(unsafe_code, reason = "the library is ours; its initialisers fill a table")]
    // SAFETY: as above.
    let library = unsafe { Library::new(&file) }.expect("it was just built");
    fs_err::remove_file(&file).expect("it stays open");
    Some(library)
}

/// Says that a test was left out, where it was.
pub fn is_there() -> bool {
    let there = library().is_some();
    if !there {
        #[expect(clippy::print_stderr, reason = "a test that did not run must not look like one that did")]
        {
            eprintln!("skipped: no C++ compiler to run the kernels' source with");
        }
    }
    there
}

/// Runs a kernel; threads of a block in falling order between barriers with `falling`.
pub fn launch(name: &str, grid: Grid, arguments: &[Argument], falling: bool) {
    let library = library().expect("asked before").lock().unwrap_or_else(PoisonError::into_inner);
    let mut held: Vec<Argument> = arguments.to_vec();
    let mut pointers: Vec<*mut c_void> = held
        .iter_mut()
        .map(|argument| match argument {
            Argument::Pointer(value) => std::ptr::from_mut(value).cast(),
            Argument::Int(value) => std::ptr::from_mut(value).cast(),
            Argument::Long(value) => std::ptr::from_mut(value).cast(),
            Argument::Float(value) => std::ptr::from_mut(value).cast(),
            Argument::Floats(value) => value.as_mut_ptr().cast(),
        })
        .collect();
    let name = CString::new(name).expect("a name");
    #[expect(unsafe_code, reason = "the kernels' arguments have no types here, as on a card")]
    // SAFETY: the caller gives the arguments in the kernel's order, and memory of the sizes that it says.
    let code = unsafe {
        let launch: libloading::Symbol<'_, Launch> = library.get(b"launch").expect("it is exported");
        launch(
            name.as_ptr(),
            grid.blocks as c_uint,
            grid.threads as c_uint,
            grid.shared as c_uint,
            pointers.as_mut_ptr(),
            c_int::from(falling),
        )
    };
    assert_eq!(code, 0, "there is no kernel {name:?}");
}

/// Runs `work` with the threads of a block in rising and in falling order, and holds both to the same bits.
pub fn in_both_orders<N: PartialEq + std::fmt::Debug>(work: impl Fn(bool) -> Vec<N>) -> Vec<N> {
    let (rising, falling) = (work(false), work(true));
    let alike = rising.iter().zip(&falling).all(|(one, other)| same(one, other));
    assert!(alike, "a result depends on the order of threads: {rising:?} {falling:?}");
    rising
}

/// Holds numbers to those of a reference: `units` of the type's last place, of the number or of a hundredth of the largest.
pub fn assert_close<N: Number>(what: &str, found: &[N], expected: &[f64], units: f64) {
    let largest = expected.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
    assert_close_beside(what, found, expected, units, largest * 1e-2);
}

/// [`assert_close`] where numbers come of others that nearly cancel, of about the size `beside`.
pub fn assert_close_beside<N: Number>(what: &str, found: &[N], expected: &[f64], units: f64, beside: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        let bound = units * N::EPSILON * (expected.abs() + beside) + 1e-30;
        let apart = (found.wide() - expected).abs();
        assert!(
            apart <= bound,
            "{what}[{at}], {}: {} and {expected}, more than {bound:e} apart",
            N::NAME,
            found.wide()
        );
    }
}
