//! A device held to the CPU: every operation over random shapes, then ten training steps of a small random model.
//!
//! On a GPU each operation takes the way it always takes there. Asked of the CPU itself, operations run as their twins in
//! [`asclepius_ops::reference`], which is that same way without the device.

mod operations;
mod steps;

use asclepius_ops::references_only;
use candle_core::{DType, Device};
use serde::Serialize;

use crate::TrainError;

/// How far a device may be from the CPU's f32: `||a - b|| / ||b||` of values and gradients, `|a - b| / b` of a loss.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    operations: f64,
    losses: f64,
}

fn bounds(dtype: DType) -> Bounds {
    match dtype {
        // 8 bits of mantissa: one rounding is 2e-3, and an operation has a handful.
        DType::BF16 => Bounds { operations: 2e-2, losses: 2e-2 },
        // 11 bits: a quarter of that and less.
        DType::F16 => Bounds { operations: 5e-3, losses: 5e-3 },
        _ => Bounds { operations: 1e-4, losses: 1e-4 },
    }
}

/// The types every check runs in.
const DTYPES: [DType; 3] = [DType::F32, DType::BF16, DType::F16];

/// One operation in one type: the worst over all shapes.
#[derive(Debug, Clone, Serialize)]
pub struct OperationFinding {
    /// The operation, and the variant where there are several.
    pub operation: &'static str,
    /// `f32`, `bf16` or `f16`.
    pub dtype: &'static str,
    /// How many random shapes were tried.
    pub shapes: usize,
    /// `||a - b|| / ||b||` of its value against the CPU's f32 on the same inputs.
    pub value: f64,
    /// The same of its gradients, the worst of all arguments.
    pub gradient: f64,
    /// What both must not exceed.
    pub bound: f64,
    /// What stopped it, where it did not run.
    pub error: Option<String>,
}

/// One training run in one type.
#[derive(Debug, Clone, Serialize)]
pub struct TrainingFinding {
    /// `full`, `lora` or `qlora`, and how the moments are kept.
    pub method: &'static str,
    /// `f32`, `bf16` or `f16`.
    pub dtype: &'static str,
    /// The loss of each step on the device.
    pub losses: Vec<f64>,
    /// The loss of each step on the CPU in f32.
    pub reference: Vec<f64>,
    /// `|a - b| / b`, the worst of all steps.
    pub apart: f64,
    /// What it must not exceed.
    pub bound: f64,
    /// What stopped it, where it did not run.
    pub error: Option<String>,
}

/// Everything that was found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The device's own name.
    pub card: String,
    /// What shapes, weights and rows were drawn from.
    pub seed: u64,
    /// Every operation in every type.
    pub operations: Vec<OperationFinding>,
    /// Full, LoRA and QLoRA training in every type.
    pub training: Vec<TrainingFinding>,
}

impl OperationFinding {
    /// Whether it ran and stayed within its bound; a NaN does not.
    pub fn holds(&self) -> bool {
        self.error.is_none() && self.value <= self.bound && self.gradient <= self.bound
    }
}

impl TrainingFinding {
    /// Whether it ran to the last step within its bound; a NaN does not.
    pub fn holds(&self) -> bool {
        self.error.is_none() && self.losses.len() == self.reference.len() && self.apart <= self.bound
    }
}

impl Report {
    /// How many findings miss their bound.
    pub fn missed(&self) -> usize {
        let operations = self.operations.iter().filter(|finding| !finding.holds()).count();
        operations + self.training.iter().filter(|finding| !finding.holds()).count()
    }
}

/// Checks `device` with everything drawn from `seed`: each operation over `shapes` random shapes, then training.
///
/// # Errors
/// When the CPU's side fails, or the device cannot name itself. What fails on the device is a finding.
pub fn check(device: &Device, seed: u64, shapes: usize) -> Result<Report, TrainError> {
    let card = asclepius_ops::device::describe(device)?;
    let mut operations = Vec::new();
    for dtype in DTYPES {
        operations.extend(operations::check(device, dtype, seed, shapes)?);
    }
    let training = steps::check(device, seed)?;
    Ok(Report { card, seed, operations, training })
}

/// Runs `work` the way a device without kernels of its own goes; on the CPU that has to be asked for.
fn as_on_device<T>(device: &Device, work: impl FnOnce() -> T) -> T {
    if device.is_cpu() { references_only(work) } else { work() }
}
