//! Named weights, frozen or trainable, and the one flat buffer in which their gradients are summed.
//!
//! A frozen parameter is no candle variable, so nothing computes a gradient for it. A trainable one is a leaf; its
//! gradient is added into its slot of a [`GradientBuffer`], which outlives the graph and is contiguous over all
//! parameters, as a collective or a norm wants it.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};

use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, CudaStorage, DType, InplaceOp1, InplaceOp2, InplaceOp3, Layout, Tensor, Var};

use crate::gpu::{self, EmbeddingRows, Form, Nf4Parts, View};
use crate::kernel::{self, Real};
use crate::nf4::{self, Nf4};
use crate::{OpsError, Result};

/// A weight of a model. Clones share value and gradient.
#[derive(Clone, Debug)]
pub struct Parameter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    value: Tensor,
    /// What `value` only stands in for.
    held: Option<Arc<Nf4>>,
    /// The same, where `value` is on a card.
    held_on_card: Option<Nf4Parts>,
    slot: RwLock<Option<Tensor>>,
    /// Whether the slot is to be read as zeros, which are not written yet.
    owes_zeros: AtomicBool,
}

impl Parameter {
    /// A weight that no gradient is computed for. `name` as in the checkpoint.
    pub fn frozen(name: impl Into<String>, value: &Tensor) -> Self {
        Self::new(name.into(), value.detach(), None, None)
    }

    /// A weight that is trained; its value is copied into a variable of its own. `name` as in the checkpoint.
    ///
    /// # Errors
    /// When the copy cannot be made.
    pub fn trainable(name: impl Into<String>, value: &Tensor) -> Result<Self> {
        let value = Var::from_tensor(&value.detach())?.into_inner();
        Ok(Self::new(name.into(), value, None, None))
    }

    /// A matrix that no gradient is computed for, held in NF4: an eighth of the memory of f32.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn quantised(name: impl Into<String>, value: &Tensor) -> Result<Self> {
        Self::held(name.into(), Arc::new(nf4::of_tensor(value)?), value, value.dtype())
    }

    fn held(name: String, held: Arc<Nf4>, like: &Tensor, dtype: DType) -> Result<Self> {
        // Not a number anywhere: whoever takes it for the weight shall notice.
        let value = Tensor::full(f32::NAN, (), like.device())?.to_dtype(dtype)?.broadcast_as(like.shape())?;
        let device = like.device();
        let held_on_card = if device.is_cuda() { Some(held.on_card(device)?) } else { None };
        Ok(Self::new(name, value, Some(held), held_on_card))
    }

    fn new(name: String, value: Tensor, held: Option<Arc<Nf4>>, held_on_card: Option<Nf4Parts>) -> Self {
        let (slot, owes_zeros) = (RwLock::new(None), AtomicBool::new(false));
        Self(Arc::new(Inner { name, value, held, held_on_card, slot, owes_zeros }))
    }

    /// The weight as a constant of type `dtype`; a quantised one is from here on decoded to it.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn converted(&self, dtype: DType) -> Result<Self> {
        match &self.0.held {
            Some(held) => Self::held(self.0.name.clone(), Arc::clone(held), &self.0.value, dtype),
            None => Ok(Self::frozen(self.name(), &self.value().to_dtype(dtype)?)),
        }
    }

    /// The same weight as a constant, sharing its memory.
    #[must_use]
    pub fn constant(&self) -> Self {
        if self.0.held.is_some() { self.clone() } else { Self::frozen(self.name(), self.value()) }
    }

    /// The name in the checkpoint.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The weight: a leaf of the graph if trainable, a constant if frozen. In-place operations on it (an optimizer's
    /// update) are seen by every clone. Of a [`Parameter::quantised`] one only shape, type and device: its numbers are
    /// [`Parameter::dense`]'s.
    pub fn value(&self) -> &Tensor {
        &self.0.value
    }

    /// What it is held in, if quantised.
    pub fn nf4(&self) -> Option<&Nf4> {
        self.0.held.as_deref()
    }

    /// The weight itself: [`Parameter::value`], or decoded for as long as the tensor lives.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn dense(&self) -> Result<Tensor> {
        let value = &self.0.value;
        if let Some(parts) = &self.0.held_on_card
            && gpu::has_kernels_for(value.dtype())
        {
            return Ok(gpu::decode_nf4(parts, value.dims(), value.dtype())?);
        }
        Ok(match &self.0.held {
            Some(held) => held.tensor(value.dims(), value.dtype(), value.device())?,
            None => value.clone(),
        })
    }

    /// Whether a gradient is computed for it.
    pub fn is_trainable(&self) -> bool {
        self.0.value.is_variable()
    }

    /// Overwrites the value; same shape, any float type.
    ///
    /// # Errors
    /// When the shapes differ, or it is quantised.
    pub fn set(&self, value: &Tensor) -> Result<()> {
        let own = &self.0.value;
        if self.0.held.is_some() {
            return Err(OpsError::Quantised { name: self.0.name.clone() });
        }
        if own.dims() != value.dims() {
            return Err(OpsError::Shape {
                operation: "Parameter::set",
                what: "value",
                expected: own.dims().to_vec(),
                found: value.dims().to_vec(),
            });
        }
        let value = value.detach().to_device(own.device())?.to_dtype(own.dtype())?.contiguous()?;
        own.inplace_op2(&value, &Assign)?;
        Ok(())
    }

    /// The gradient summed so far, in the parameter's shape, f32 (f64 for an f64 parameter): a view into the buffer.
    /// `None` while no [`GradientBuffer`] holds the parameter.
    ///
    /// # Errors
    /// When the device fails.
    pub fn gradient(&self) -> Result<Option<Tensor>> {
        let Some(slot) = self.slot() else { return Ok(None) };
        if self.0.owes_zeros.swap(false, Ordering::Relaxed) {
            gpu::zero(&slot)?;
        }
        Ok(Some(slot))
    }

    /// Whether a [`GradientBuffer`] holds the parameter.
    pub fn has_gradient(&self) -> bool {
        self.slot().is_some()
    }

    /// Where gradients are summed, whatever lies there.
    fn slot(&self) -> Option<Tensor> {
        self.0.slot.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Adds `gradient` (the parameter's shape) into the slot. False if there is none to add to.
    ///
    /// # Errors
    /// When the shapes differ.
    pub fn add_gradient(&self, gradient: &Tensor) -> Result<bool> {
        let Some(slot) = self.gradient()? else { return Ok(false) };
        if slot.dims() != gradient.dims() {
            return Err(OpsError::Shape {
                operation: "Parameter::add_gradient",
                what: "gradient",
                expected: slot.dims().to_vec(),
                found: gradient.dims().to_vec(),
            });
        }
        add_in_place(&slot, gradient)?;
        Ok(true)
    }

    /// Lets `add` add to the gradient where it is summed, in row-major order. False, without a call, if there is no slot.
    ///
    /// # Errors
    /// When the slot is on another device or of another type.
    pub fn with_gradient<R: Real>(&self, add: impl FnOnce(&mut [R])) -> Result<bool> {
        let Some(slot) = self.gradient()? else { return Ok(false) };
        slot.inplace_op1(&Edit::<R, _> { edit: RefCell::new(Some(add)), scalar: PhantomData })?;
        Ok(true)
    }

    /// Where an operation's backward leaves the gradient of this parameter: in the slot if there is one (then autograd
    /// gets nothing), else with autograd.
    pub(crate) fn deliver(&self, gradient: Tensor) -> candle_core::Result<Option<Tensor>> {
        match self.add_gradient(&gradient) {
            Ok(true) => Ok(None),
            Ok(false) => Ok(Some(gradient.to_dtype(self.0.value.dtype())?)),
            Err(error) => Err(candle_core::Error::wrap(error)),
        }
    }

    /// Adds row `i` of `gradient [t, d]` into row `rows[i]` of the slot of a `[v, d]` parameter; with autograd, where there
    /// is no slot, as a whole matrix.
    pub(crate) fn deliver_rows(
        &self,
        rows: &Tensor,
        on_card: Option<&EmbeddingRows>,
        gradient: &Tensor,
    ) -> candle_core::Result<Option<Tensor>> {
        let slot = self.gradient().map_err(candle_core::Error::wrap)?;
        if let (Some(slot), Some(rows)) = (&slot, on_card)
            && gpu::takes(&[gradient])
        {
            gpu::add_rows(rows, gradient, slot)?;
            return Ok(None);
        }
        if let Some(slot) = slot.filter(|slot| kernel::fused(&[slot, gradient])) {
            slot.inplace_op3(rows, gradient, &AccumulateRows)?;
            return Ok(None);
        }
        // A token's rows are many: in the type of the slot, a narrow one would lose the later ones.
        let dtype = gradient_dtype(gradient.dtype());
        let zeros = Tensor::zeros(self.0.value.shape(), dtype, gradient.device())?;
        self.deliver(zeros.index_add(rows, &gradient.to_dtype(dtype)?, 0)?)
    }

    /// Adds `scale aᵀ b` to the gradient, `a [rows, out]` and `b [rows, in]` of a `[out, in]` parameter, both contiguous: on a card
    /// in place, elsewhere as [`Self::deliver`] does.
    pub(crate) fn deliver_product(&self, a: &Tensor, b: &Tensor, scale: f64) -> candle_core::Result<Option<Tensor>> {
        let Some(slot) = self.slot().filter(|_| gpu::takes(&[a, b])) else {
            let product = a.t()?.matmul(b)?;
            return self.deliver(if scale == 1.0 { product } else { (product * scale)? });
        };
        // The first product of a step is written over what the last one left.
        let adds = !self.0.owes_zeros.swap(false, Ordering::Relaxed);
        gpu::product_into(&slot, a, b, Form::LeftTransposed, scale, adds)?;
        Ok(None)
    }

    /// Moves what autograd left for each trainable parameter in `store` into its slot.
    ///
    /// # Errors
    /// When a gradient has not the shape of its parameter.
    pub fn collect(parameters: &[Self], store: &mut GradStore) -> Result<()> {
        for parameter in parameters.iter().filter(|parameter| parameter.is_trainable()) {
            if let Some(gradient) = store.remove(parameter.value()) {
                parameter.add_gradient(&gradient)?;
            }
        }
        Ok(())
    }
}

/// Numbers of a slot on a card up to which it is cleared with its neighbours.
const WRITTEN_AT_ONCE: usize = 1 << 12;

/// The gradients of all trainable parameters, one flat contiguous tensor: f32, or f64 where the parameters are f64.
#[derive(Debug)]
pub struct GradientBuffer {
    flat: Tensor,
    parameters: Vec<Parameter>,
}

impl GradientBuffer {
    /// Makes a zeroed buffer for the trainable ones among `parameters`, in order of name, and gives each its slot.
    ///
    /// # Errors
    /// When f64 and narrower parameters are mixed, or there is no memory.
    pub fn new(parameters: &[Parameter]) -> Result<Self> {
        let mut trainable: Vec<Parameter> = parameters.iter().filter(|p| p.is_trainable()).cloned().collect();
        trainable.sort_by(|a, b| a.name().cmp(b.name()));
        trainable.dedup_by(|a, b| Arc::ptr_eq(&a.0, &b.0));
        let device = trainable.first().map_or(&candle_core::Device::Cpu, |p| p.value().device());
        let dtype = trainable.first().map_or(DType::F32, |p| gradient_dtype(p.value().dtype()));
        let count = trainable.iter().map(|p| p.value().elem_count()).sum::<usize>();
        let flat = Tensor::zeros(count, dtype, device)?;
        let mut offset = 0;
        for parameter in &trainable {
            let found = gradient_dtype(parameter.value().dtype());
            if found != dtype {
                return Err(OpsError::MixedGradients { name: parameter.name().to_owned(), expected: dtype, found });
            }
            let size = parameter.value().elem_count();
            let slot = flat.narrow(0, offset, size)?.reshape(parameter.value().shape())?;
            *parameter.0.slot.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(slot);
            offset += size;
        }
        Ok(Self { flat, parameters: trainable })
    }

    /// All gradients end to end, `[n]`, in order of parameter name.
    ///
    /// # Errors
    /// When the device fails.
    pub fn flat(&self) -> Result<&Tensor> {
        for parameter in &self.parameters {
            parameter.gradient()?;
        }
        Ok(&self.flat)
    }

    /// The parameters that have a slot, in order of name.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Forgets what was summed. On a card zeros are written where a slot is small; into a large one the next product goes as
    /// it is, without a pass that clears it and a read of what is clear.
    ///
    /// # Errors
    /// When the device fails.
    pub fn zero(&self) -> Result<()> {
        if gpu::takes(&[&self.flat]) {
            let (mut start, mut end) = (0, 0);
            for parameter in &self.parameters {
                let size = parameter.value().elem_count();
                let waits = size > WRITTEN_AT_ONCE;
                parameter.0.owes_zeros.store(waits, Ordering::Relaxed);
                if waits {
                    self.zero_between(start, end)?;
                    start = end + size;
                }
                end += size;
            }
            return self.zero_between(start, end);
        }
        if !kernel::fused(&[&self.flat]) {
            return Ok(self.flat.zero_set()?);
        }
        self.flat.inplace_op1(&Scale(0.0))?;
        Ok(())
    }

    fn zero_between(&self, start: usize, end: usize) -> Result<()> {
        if start == end {
            return Ok(());
        }
        Ok(gpu::zero(&self.flat.narrow(0, start, end - start)?)?)
    }

    /// The Euclidean norm over all gradients, summed in f64 in a fixed order.
    ///
    /// # Errors
    /// When the device fails.
    pub fn norm(&self) -> Result<f64> {
        if gpu::takes(&[&self.flat]) {
            return Ok(gpu::square_sum(self.flat()?)?.to_scalar::<f64>()?.sqrt());
        }
        if !kernel::fused(&[&self.flat]) {
            return Ok(self.flat()?.to_dtype(DType::F64)?.sqr()?.sum_all()?.to_scalar::<f64>()?.sqrt());
        }
        let host = kernel::Host::new(&self.flat);
        let total = if self.flat.dtype() == DType::F64 {
            kernel::ordered_sum(host.slice::<f64>()?, |x| x * x)
        } else {
            kernel::ordered_sum(host.slice::<f32>()?, |x| f64::from(x) * f64::from(x))
        };
        Ok(total.sqrt())
    }

    /// Multiplies every gradient by `factor`, in place.
    ///
    /// # Errors
    /// When the device fails.
    pub fn scale(&self, factor: f64) -> Result<()> {
        if kernel::fused(&[&self.flat]) {
            self.flat.inplace_op1(&Scale(factor))?;
        } else {
            let scaled = self.flat()?.affine(factor, 0.0)?;
            self.flat.slice_set(&scaled, 0, 0)?;
        }
        Ok(())
    }
}

impl Drop for GradientBuffer {
    fn drop(&mut self) {
        for parameter in &self.parameters {
            parameter.0.owes_zeros.store(false, Ordering::Relaxed);
            *parameter.0.slot.write().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
        }
    }
}

fn gradient_dtype(dtype: DType) -> DType {
    if dtype == DType::F64 { DType::F64 } else { DType::F32 }
}

fn add_in_place(slot: &Tensor, gradient: &Tensor) -> Result<()> {
    let mut gradient = gradient.detach().contiguous()?;
    if !gpu::takes(&[&gradient]) {
        gradient = gradient.to_dtype(slot.dtype())?;
    }
    if kernel::has_kernel(&[slot]) {
        slot.inplace_op2(&gradient, &Accumulate)?;
    } else {
        // candle has no addition in place; the view writes through to the buffer.
        let sum = (slot.detach() + gradient)?;
        slot.inplace_op2(&sum, &Assign)?;
    }
    Ok(())
}

/// Hands a contiguous CPU tensor's elements to a function, once.
struct Edit<R, F> {
    edit: RefCell<Option<F>>,
    scalar: PhantomData<fn(R)>,
}

impl<R: Real, F: FnOnce(&mut [R])> InplaceOp1 for Edit<R, F> {
    fn name(&self) -> &'static str {
        "edit"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        let (start, end) = kernel::bounds(layout)?;
        let Some(elements) = R::elements_mut(storage) else {
            candle_core::bail!("a gradient buffer of {}", R::DTYPE.as_str())
        };
        if let Some(edit) = self.edit.borrow_mut().take() {
            edit(&mut elements[start..end]);
        }
        Ok(())
    }
}

struct Assign;

impl InplaceOp2 for Assign {
    fn name(&self) -> &'static str {
        "assign"
    }

    fn cpu_fwd(
        &self,
        target: &mut CpuStorage,
        target_layout: &Layout,
        source: &CpuStorage,
        source_layout: &Layout,
    ) -> candle_core::Result<()> {
        use candle_core::backend::BackendStorage;
        source.copy_strided_src(target, target_layout.start_offset(), source_layout)
    }

    fn cuda_fwd(
        &self,
        target: &mut CudaStorage,
        target_layout: &Layout,
        source: &CudaStorage,
        source_layout: &Layout,
    ) -> candle_core::Result<()> {
        use candle_core::backend::BackendStorage;
        source.copy_strided_src(target, target_layout.start_offset(), source_layout)
    }
}

/// `target += source`, both contiguous; f32 or f64 on the CPU, on a card f32 += f32, bf16 or f16.
pub(crate) struct Accumulate;

impl InplaceOp2 for Accumulate {
    fn name(&self) -> &'static str {
        "accumulate"
    }

    fn cpu_fwd(
        &self,
        target: &mut CpuStorage,
        target_layout: &Layout,
        source: &CpuStorage,
        source_layout: &Layout,
    ) -> candle_core::Result<()> {
        match target {
            CpuStorage::F32(target) => accumulate(target, target_layout, source, source_layout),
            CpuStorage::F64(target) => accumulate(target, target_layout, source, source_layout),
            _ => candle_core::bail!("a gradient buffer is f32 or f64"),
        }
    }

    fn cuda_fwd(
        &self,
        target: &mut CudaStorage,
        target_layout: &Layout,
        source: &CudaStorage,
        source_layout: &Layout,
    ) -> candle_core::Result<()> {
        let source = View { storage: source, layout: source_layout };
        gpu::add_into(View { storage: target, layout: target_layout }, source)
    }
}

fn accumulate<R: Real>(
    target: &mut [R],
    target_layout: &Layout,
    source: &CpuStorage,
    source_layout: &Layout,
) -> candle_core::Result<()> {
    let source = kernel::slice::<R>(source, source_layout)?;
    let (start, end) = kernel::bounds(target_layout)?;
    kernel::add_assign(&mut target[start..end], source);
    Ok(())
}

struct AccumulateRows;

impl InplaceOp3 for AccumulateRows {
    fn name(&self) -> &'static str {
        "accumulate_rows"
    }

    fn cpu_fwd(
        &self,
        target: &mut CpuStorage,
        target_layout: &Layout,
        rows: &CpuStorage,
        rows_layout: &Layout,
        source: &CpuStorage,
        source_layout: &Layout,
    ) -> candle_core::Result<()> {
        let (start, end) = kernel::bounds(rows_layout)?;
        let rows = &rows.as_slice::<u32>()?[start..end];
        match target {
            CpuStorage::F32(target) => accumulate_rows(target, target_layout, rows, source, source_layout),
            CpuStorage::F64(target) => accumulate_rows(target, target_layout, rows, source, source_layout),
            _ => candle_core::bail!("a gradient buffer is f32 or f64"),
        }
    }
}

fn accumulate_rows<R: Real>(
    target: &mut [R],
    target_layout: &Layout,
    rows: &[u32],
    source: &CpuStorage,
    source_layout: &Layout,
) -> candle_core::Result<()> {
    let (_, d) = target_layout.shape().dims2()?;
    let (start, end) = kernel::bounds(target_layout)?;
    let target = &mut target[start..end];
    // One thread, in order: rows repeat, and the sum must not depend on who comes first.
    for (&row, source) in rows.iter().zip(kernel::slice::<R>(source, source_layout)?.chunks_exact(d)) {
        let row = row as usize * d;
        kernel::add_row(&mut target[row..row + d], source);
    }
    Ok(())
}

struct Scale(f64);

impl InplaceOp1 for Scale {
    fn name(&self) -> &'static str {
        "scale"
    }

    fn cpu_fwd(&self, target: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        let (start, end) = kernel::bounds(layout)?;
        match target {
            CpuStorage::F32(target) => kernel::scale(&mut target[start..end], self.0),
            CpuStorage::F64(target) => kernel::scale(&mut target[start..end], self.0),
            _ => candle_core::bail!("a gradient buffer is f32 or f64"),
        }
        Ok(())
    }
}
