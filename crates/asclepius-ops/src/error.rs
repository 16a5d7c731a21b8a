//! What can go wrong in an operation.

use candle_core::DType;

/// Errors of this crate; shapes, types and names are fields.
#[derive(Debug, thiserror::Error)]
pub enum OpsError {
    /// candle refused an operation; its message names the operation and the shapes.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
    /// Two arguments do not fit each other.
    #[error("{operation}: {what} is {found:?}, expected {expected:?}")]
    Shape {
        /// The operation that was called.
        operation: &'static str,
        /// The argument, and the dimension if one is meant.
        what: &'static str,
        /// What the other arguments ask for.
        expected: Vec<usize>,
        /// What was given.
        found: Vec<usize>,
    },
    /// A row or token index lies outside its tensor.
    #[error("{operation}: {what} {index} is not below {bound}")]
    Index {
        /// The operation that was called.
        operation: &'static str,
        /// What is indexed.
        what: &'static str,
        /// The index.
        index: usize,
        /// The first index that does not exist.
        bound: usize,
    },
    /// A weight held in 4 bits was to be overwritten.
    #[error("{name} is held in NF4 and cannot be overwritten")]
    Quantised {
        /// The parameter.
        name: String,
    },
    /// Cumulative document lengths that do not describe the tensors.
    #[error("documents: {problem}: {lengths:?}")]
    Documents {
        /// What is wrong.
        problem: &'static str,
        /// The lengths as given.
        lengths: Vec<u32>,
    },
    /// Parameters of two types cannot share one gradient buffer.
    #[error("gradient buffer: {name} is {found:?}, the parameters before it are {expected:?}")]
    MixedGradients {
        /// The parameter.
        name: String,
        /// The gradient type of the parameters before it.
        expected: DType,
        /// The gradient type it would need.
        found: DType,
    },
    /// A device name that is not `auto`, `cpu` or `cuda:N`.
    #[error("unknown device {0:?}: use \"auto\", \"cpu\" or \"cuda:0\"")]
    UnknownDevice(String),
    /// A device this build or this machine does not have.
    #[error("device {name:?} is not available: {reason}")]
    DeviceUnavailable {
        /// The device as asked for.
        name: String,
        /// Why it cannot be used.
        reason: String,
    },
}

/// The result of an operation.
pub type Result<T> = std::result::Result<T, OpsError>;
