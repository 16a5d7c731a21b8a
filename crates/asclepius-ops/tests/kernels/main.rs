//! The CUDA kernels, their source run on the processor, against references in f64: random shapes, edges, outputs that hold
//! nothing until they are written, and threads in either order.

mod activation;
mod emulation;
mod norm;
mod optimizer;
mod quantised;
mod rows;

use asclepius_ops::PhiloxKey;
use candle_core::{DType, Device, Tensor};

use emulation::Number;

/// Normal numbers, already rounded to a type.
fn normals<N: Number>(seed: u64, count: usize) -> Vec<N> {
    PhiloxKey::new(seed).normals(count).into_iter().map(|value| N::of(f64::from(value))).collect()
}

fn wide<N: Number>(numbers: &[N]) -> Vec<f64> {
    numbers.iter().map(|number| number.wide()).collect()
}

/// The numbers as a variable in f64, for the references.
fn variable<N: Number>(numbers: &[N], shape: &[usize]) -> candle_core::Var {
    candle_core::Var::from_vec(wide(numbers), shape, &Device::Cpu).expect("as many as the shape says")
}

fn tensor<N: Number>(numbers: &[N], shape: &[usize]) -> Tensor {
    Tensor::from_vec(wide(numbers), shape, &Device::Cpu).expect("as many as the shape says")
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    tensor.to_dtype(DType::F64).and_then(|wide| wide.flatten_all()?.to_vec1()).expect("f64")
}

/// The gradients of variables for the gradient `dy` of `y`.
fn gradients(y: &Tensor, dy: &Tensor, variables: &[&candle_core::Var]) -> Vec<Vec<f64>> {
    let store = (y * dy).and_then(|product| product.sum_all()).and_then(|sum| sum.backward()).expect("differentiable");
    variables.iter().map(|variable| numbers(store.get(variable.as_tensor()).expect("it takes part"))).collect()
}
