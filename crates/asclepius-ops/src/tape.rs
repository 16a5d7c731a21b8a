//! Operations one after the other, and their way back, without candle's graph.
//!
//! candle's backward makes zeros for every tensor on the way and adds the gradient to them, and keeps whatever it can reach.
//! Here the first gradient of a tensor is taken as it comes, later ones are added in place, products straight into what they
//! are added to; and what is cheap to make again, norms and activations, need not be kept. The operations are the crate's
//! own: a tape runs wherever they have kernels (see [`can_run`]).

use candle_core::{D, DType, Tensor};

use crate::attention::Attention;
use crate::gpu::{self, Form};
use crate::kernel;
use crate::linear::expect;
use crate::lora::Low;
use crate::profile::{self, Kind};
use crate::{
    AttentionOptions, Documents, Gelu, OpsError, Parameter, PhiloxKey, Result, RopeLayout, activation, dropout, gelu,
    layer_norm, lora, norm, rms_norm, rope, swiglu,
};

/// A tensor on a tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value(usize);

/// Operations in the order they ran.
#[derive(Debug)]
pub struct Tape {
    nodes: Vec<Node>,
    steps: Vec<Step>,
    keeps: Keeps,
}

/// What a tape keeps for the way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeps {
    /// Whatever the way back reads.
    Everything,
    /// Of that only what a matrix product or attention made; norms and activations are made again.
    Products,
}

#[derive(Debug)]
struct Node {
    /// None once it is let go of, and of what is made again.
    value: Option<Tensor>,
    /// The step that made it; none for an input.
    made_by: Option<usize>,
    /// Whether the way back reads it.
    is_read: bool,
    /// Whether a gradient of it leads to something that wants one.
    is_wanted: bool,
    gradient: Option<Gradient>,
}

#[derive(Debug)]
struct Gradient {
    tensor: Tensor,
    /// Whether nothing else has a hold on its memory.
    is_own: bool,
}

#[derive(Debug)]
enum Step {
    Linear { x: Value, w: Parameter, bias: Option<Parameter> },
    Lora { x: Value, w: Parameter, bias: Option<Parameter>, a: Parameter, b: Parameter, low: Low },
    Norm { x: Value, w: Parameter, bias: Option<Parameter>, epsilon: f64 },
    Rope { x: Value, cos: Tensor, sin: Tensor },
    Attention { qkv: [Value; 3], operation: Attention },
    SwiGlu { gate: Value, up: Value },
    Gelu { x: Value, kind: Gelu },
    Dropout { x: Value, p: f32, key: PhiloxKey },
    Add { a: Value, b: Value },
    Shaped { x: Value, from: Vec<usize> },
    Split { x: Value, part: usize, parts: usize },
}

impl Step {
    /// What its way back is called in a profile.
    fn back_named(&self) -> (Kind, &'static str) {
        match self {
            Self::Linear { .. } => (Kind::Product, "linear, back"),
            Self::Lora { .. } => (Kind::Product, "linear with adapter, back"),
            Self::Norm { .. } => (Kind::Norm, "norm, back"),
            Self::Rope { .. } => (Kind::Elementwise, "rotary embedding, back"),
            Self::Attention { .. } => (Kind::Attention, "attention, back"),
            Self::SwiGlu { .. } => (Kind::Elementwise, "swiglu, back"),
            Self::Gelu { .. } => (Kind::Elementwise, "gelu, back"),
            Self::Dropout { .. } => (Kind::Elementwise, "dropout, back"),
            Self::Add { .. } | Self::Shaped { .. } => (Kind::Elementwise, "add, back"),
            Self::Split { .. } => (Kind::Elementwise, "split, back"),
        }
    }
}

/// Whether tapes run on tensors like these: where the operations have kernels.
pub fn can_run(tensors: &[&Tensor]) -> bool {
    kernel::has_kernel(tensors)
}

impl Tape {
    /// An empty tape.
    pub fn new(keeps: Keeps) -> Self {
        Self { nodes: Vec::new(), steps: Vec::new(), keeps }
    }

    /// Something to begin with; `is_wanted` where its gradient is asked for.
    pub fn input(&mut self, x: &Tensor, is_wanted: bool) -> Value {
        self.node(x.detach(), None, is_wanted)
    }

    /// [`crate::linear()`].
    ///
    /// # Errors
    /// As there; so with the others.
    pub fn linear(&mut self, x: Value, w: &Parameter, bias: Option<&Parameter>) -> Result<Value> {
        let _span = profile::span(Kind::Product, "linear");
        let y = with_bias(crate::linear(&self.get(x)?, &constant(w), None)?, bias)?;
        if w.is_trainable() {
            self.read(x);
        }
        let trained = w.is_trainable() || bias.is_some_and(Parameter::is_trainable);
        let is_wanted = self.wants(x) || trained;
        Ok(self.push(y, Step::Linear { x, w: w.clone(), bias: bias.cloned() }, is_wanted))
    }

    /// [`crate::lora()`], plus `bias`.
    ///
    /// # Errors
    /// As there.
    pub fn lora(
        &mut self,
        x: Value,
        (w, bias): (&Parameter, Option<&Parameter>),
        (a, b): (&Parameter, &Parameter),
        scaling: f64,
        dropped: Option<(f32, PhiloxKey)>,
    ) -> Result<Value> {
        let _span = profile::span(Kind::Product, "linear with adapter");
        if w.is_trainable() {
            return Err(broken(&format!("{} is trained below an adapter", w.name())));
        }
        let (y, low) = lora::forward_kept(&self.get(x)?, (w, bias), (a, b), scaling, dropped)?;
        if a.is_trainable() {
            self.read(x);
        }
        let is_wanted = self.wants(x) || a.is_trainable() || b.is_trainable();
        let step = Step::Lora { x, w: w.clone(), bias: bias.cloned(), a: a.clone(), b: b.clone(), low };
        Ok(self.push(y, step, is_wanted))
    }

    /// [`rms_norm`], or with a bias [`layer_norm`].
    ///
    /// # Errors
    /// As there.
    pub fn norm(&mut self, x: Value, w: &Parameter, bias: Option<&Parameter>, epsilon: f64) -> Result<Value> {
        let _span = profile::span(Kind::Norm, "norm");
        let y = normed(&self.get(x)?, w, bias, epsilon)?;
        self.read(x);
        let is_wanted = self.wants(x) || w.is_trainable() || bias.is_some_and(Parameter::is_trainable);
        Ok(self.push(y, Step::Norm { x, w: w.clone(), bias: bias.cloned(), epsilon }, is_wanted))
    }

    /// [`rope`], of features in halves.
    ///
    /// # Errors
    /// As there.
    pub fn rope(&mut self, x: Value, cos: &Tensor, sin: &Tensor) -> Result<Value> {
        let _span = profile::span(Kind::Elementwise, "rotary embedding");
        let y = rope(&self.get(x)?, cos, sin, RopeLayout::Halves)?;
        let is_wanted = self.wants(x);
        Ok(self.push(y, Step::Rope { x, cos: cos.clone(), sin: sin.clone() }, is_wanted))
    }

    /// [`crate::attention()`].
    ///
    /// # Errors
    /// As there.
    pub fn attention(&mut self, qkv: [Value; 3], documents: &Documents, options: &AttentionOptions) -> Result<Value> {
        let _span = profile::span(Kind::Attention, "attention");
        let [q, k, v] = [self.get(qkv[0])?, self.get(qkv[1])?, self.get(qkv[2])?];
        let (y, operation) = Attention::forward_kept([&q, &k, &v], documents, options)?;
        let is_wanted = qkv.iter().any(|&value| self.wants(value));
        for value in qkv {
            self.read(value);
        }
        let made = self.push(y, Step::Attention { qkv, operation }, is_wanted);
        self.read(made);
        Ok(made)
    }

    /// [`swiglu`].
    ///
    /// # Errors
    /// As there.
    pub fn swiglu(&mut self, gate: Value, up: Value) -> Result<Value> {
        let _span = profile::span(Kind::Elementwise, "swiglu");
        let y = swiglu(&self.get(gate)?, &self.get(up)?)?;
        self.read(gate);
        self.read(up);
        let is_wanted = self.wants(gate) || self.wants(up);
        Ok(self.push(y, Step::SwiGlu { gate, up }, is_wanted))
    }

    /// [`gelu`].
    ///
    /// # Errors
    /// As there.
    pub fn gelu(&mut self, x: Value, kind: Gelu) -> Result<Value> {
        let _span = profile::span(Kind::Elementwise, "gelu");
        let y = gelu(&self.get(x)?, kind)?;
        self.read(x);
        let is_wanted = self.wants(x);
        Ok(self.push(y, Step::Gelu { x, kind }, is_wanted))
    }

    /// [`dropout`].
    ///
    /// # Errors
    /// As there.
    pub fn dropout(&mut self, x: Value, p: f32, key: PhiloxKey) -> Result<Value> {
        let _span = profile::span(Kind::Elementwise, "dropout");
        let y = dropout(&self.get(x)?, p, key)?;
        let is_wanted = self.wants(x);
        Ok(self.push(y, Step::Dropout { x, p, key }, is_wanted))
    }

    /// `a + b`, of one shape.
    ///
    /// # Errors
    /// When the shapes differ.
    pub fn add(&mut self, a: Value, b: Value) -> Result<Value> {
        let _span = profile::span(Kind::Elementwise, "add");
        let (left, right) = (self.get(a)?, self.get(b)?);
        expect("add", "b", left.dims(), right.dims())?;
        let y = sum(&left, &right)?;
        let is_wanted = self.wants(a) || self.wants(b);
        Ok(self.push(y, Step::Add { a, b }, is_wanted))
    }

    /// The same numbers in another shape.
    ///
    /// # Errors
    /// When it holds more or fewer.
    pub fn shaped(&mut self, x: Value, dims: &[usize]) -> Result<Value> {
        let given = self.get(x)?;
        let is_wanted = self.wants(x);
        let from = given.dims().to_vec();
        Ok(self.push(given.reshape(dims)?, Step::Shaped { x, from }, is_wanted))
    }

    /// `x [.., n]` cut into `sizes` along its last dimension.
    ///
    /// # Errors
    /// When they are not `n` together.
    pub fn split(&mut self, x: Value, sizes: &[usize]) -> Result<Vec<Value>> {
        let _span = profile::span(Kind::Elementwise, "split");
        let whole = self.get(x)?;
        let is_wanted = self.wants(x);
        let mut start = 0;
        let mut values = Vec::with_capacity(sizes.len());
        for (part, &size) in sizes.iter().enumerate() {
            let y = whole.narrow(D::Minus1, start, size)?.contiguous()?;
            values.push(self.push(y, Step::Split { x, part, parts: sizes.len() }, is_wanted));
            start += size;
        }
        expect("split", "sizes together", &whole.dims()[whole.rank() - 1..], &[start])?;
        Ok(values)
    }

    /// The shape of a value that has not been let go of.
    ///
    /// # Errors
    /// When it has.
    pub fn dims(&self, x: Value) -> Result<&[usize]> {
        self.nodes[x.0].value.as_ref().map(Tensor::dims).ok_or_else(|| broken("a value was let go of"))
    }

    /// What came out; lets go of all that the way back does not read.
    ///
    /// # Errors
    /// When the value is gone.
    pub fn finish(&mut self, output: Value) -> Result<Tensor> {
        let y = self.get(output)?;
        for node in &mut self.nodes {
            let again = node.made_by.is_some_and(|step| self.steps[step].is_cheap());
            if !node.is_read || (again && self.keeps == Keeps::Products) {
                node.value = None;
            }
        }
        Ok(y)
    }

    /// The way back from `dy`, the gradient of `output`: parameters' gradients are added where they are summed, that of
    /// `input` is returned if it was wanted.
    ///
    /// # Errors
    /// When the shapes do not fit, or there is no memory.
    pub fn back(mut self, output: Value, dy: &Tensor, input: Value) -> Result<Option<Tensor>> {
        self.give(output, Gradient { tensor: dy.clone(), is_own: false })?;
        let mut split: Vec<Option<Tensor>> = Vec::new();
        while let Some(step) = self.steps.pop() {
            let made = self.nodes.iter().rposition(|node| node.made_by == Some(self.steps.len()));
            let made = made.ok_or_else(|| broken("a step made nothing"))?;
            if let Some(dy) = self.nodes[made].gradient.take() {
                let y = self.nodes[made].value.take();
                let (kind, name) = step.back_named();
                let _span = profile::span(kind, name);
                self.step_back(step, y, dy, &mut split)?;
            }
            // Nothing that ran earlier reads what came out later.
            self.nodes.truncate(made);
        }
        Ok(self.nodes.get_mut(input.0).and_then(|node| node.gradient.take()).map(|gradient| gradient.tensor))
    }

    fn step_back(
        &mut self,
        step: Step,
        y: Option<Tensor>,
        dy: Gradient,
        split: &mut Vec<Option<Tensor>>,
    ) -> Result<()> {
        match step {
            Step::Linear { x, w, bias } => {
                let rows = dy.tensor.contiguous()?;
                if self.wants(x) {
                    self.give_product(x, &rows, &w.dense()?.detach(), 1.0)?;
                }
                if w.is_trainable() {
                    deliver_product(&w, &rows, &self.get(x)?)?;
                }
                deliver_bias(bias.as_ref(), &rows)
            }
            Step::Lora { x, w, bias, a, b, low } => {
                let rows = dy.tensor.contiguous()?;
                deliver_bias(bias.as_ref(), &rows)?;
                let input = if self.nodes[x.0].is_read { Some(self.get(x)?) } else { None };
                let (du, a, scaling, dropped) = low.back(input.as_ref(), (&a, &b), &rows)?;
                if !self.wants(x) {
                    return Ok(());
                }
                // The narrow product first, as on the way there.
                match dropped {
                    None => self.give_product(x, &du, &a, scaling)?,
                    Some((p, key)) => self.give_own(x, dropout(&(du.matmul(&a)? * scaling)?, p, key)?)?,
                }
                self.give_product(x, &rows, &w.dense()?, 1.0)
            }
            Step::Norm { x, w, bias, epsilon } => {
                let given = self.get(x)?;
                // The residual stream's gradient is there already: one pass adds to it.
                let beside = self.nodes[x.0].gradient.take();
                let beside = beside.map(|gradient| gradient.tensor.contiguous()).transpose()?;
                let dy = dy.tensor.contiguous()?;
                self.give_own(x, norm::back(&given, &w, bias.as_ref(), epsilon, &dy, beside.as_ref())?)
            }
            Step::Rope { x, cos, sin } => {
                let dx = rope::back(&dy.tensor.contiguous()?, &cos, &sin)?;
                self.give_own(x, dx)
            }
            Step::Attention { qkv, operation } => {
                let y = y.ok_or_else(|| broken("what attention made is gone"))?;
                let [q, k, v] = [self.get(qkv[0])?, self.get(qkv[1])?, self.get(qkv[2])?];
                let gradients = operation.back([&q, &k, &v, &y, &dy.tensor.contiguous()?])?;
                for (value, gradient) in qkv.into_iter().zip(gradients) {
                    self.give_own(value, gradient)?;
                }
                Ok(())
            }
            Step::SwiGlu { gate, up } => {
                let (given, other) = (self.get(gate)?, self.get(up)?);
                let (dgate, dup) = activation::swiglu_back(&given, &other, &dy.tensor.contiguous()?)?;
                self.give_own(gate, dgate)?;
                self.give_own(up, dup)
            }
            Step::Gelu { x, kind } => {
                let given = self.get(x)?;
                self.give_own(x, activation::gelu_back(&given, &dy.tensor.contiguous()?, kind)?)
            }
            Step::Dropout { x, p, key } => self.give_own(x, dropout(&dy.tensor.contiguous()?, p, key)?),
            Step::Add { a, b } => {
                self.give(a, Gradient { tensor: dy.tensor.clone(), is_own: false })?;
                self.give(b, Gradient { tensor: dy.tensor, is_own: false })
            }
            Step::Shaped { x, from } => {
                let tensor = dy.tensor.reshape(from)?;
                self.give(x, Gradient { tensor, is_own: dy.is_own })
            }
            Step::Split { x, part, parts } => {
                // Parts come last to first.
                split.resize(parts, None);
                split[part] = Some(dy.tensor);
                if part > 0 {
                    return Ok(());
                }
                let gathered: Vec<Tensor> = std::mem::take(split).into_iter().flatten().collect();
                if gathered.len() != parts {
                    return Err(broken("a part of a split had no gradient"));
                }
                self.give_own(x, Tensor::cat(&gathered, D::Minus1)?.contiguous()?)
            }
        }
    }

    fn node(&mut self, value: Tensor, made_by: Option<usize>, is_wanted: bool) -> Value {
        self.nodes.push(Node { value: Some(value), made_by, is_read: false, is_wanted, gradient: None });
        Value(self.nodes.len() - 1)
    }

    fn push(&mut self, y: Tensor, step: Step, is_wanted: bool) -> Value {
        self.steps.push(step);
        self.node(y, Some(self.steps.len() - 1), is_wanted)
    }

    fn wants(&self, value: Value) -> bool {
        self.nodes[value.0].is_wanted
    }

    fn read(&mut self, value: Value) {
        self.nodes[value.0].is_read = true;
    }

    /// A value; what was let go of because it is cheap is made again and kept until its own step's way back.
    fn get(&mut self, value: Value) -> Result<Tensor> {
        if let Some(tensor) = &self.nodes[value.0].value {
            return Ok(tensor.clone());
        }
        let step = self.nodes[value.0].made_by.map(|step| self.steps[step].again());
        let tensor = match step {
            Some(Some(Again::Norm { x, w, bias, epsilon })) => normed(&self.get(x)?, &w, bias.as_ref(), epsilon)?,
            Some(Some(Again::SwiGlu { gate, up })) => swiglu(&self.get(gate)?, &self.get(up)?)?,
            Some(Some(Again::Gelu { x, kind })) => gelu(&self.get(x)?, kind)?,
            _ => return Err(broken("a value was let go of that is read again")),
        };
        self.nodes[value.0].value = Some(tensor.clone());
        Ok(tensor)
    }

    fn give_own(&mut self, to: Value, tensor: Tensor) -> Result<()> {
        self.give(to, Gradient { tensor, is_own: true })
    }

    /// Adds to the gradient of a value.
    fn give(&mut self, to: Value, more: Gradient) -> Result<()> {
        let node = &mut self.nodes[to.0];
        if !node.is_wanted {
            return Ok(());
        }
        node.gradient = Some(match node.gradient.take() {
            None => more,
            Some(so_far) => {
                let (into, other) = if so_far.is_own { (so_far, more) } else { (more, so_far) };
                if into.is_own && gpu::takes(&[&into.tensor, &other.tensor]) {
                    gpu::add_pair(&into.tensor, &other.tensor, &into.tensor)?;
                    into
                } else {
                    Gradient { tensor: sum(&into.tensor, &other.tensor)?, is_own: true }
                }
            }
        });
        Ok(())
    }

    /// Adds `scale a b` to the gradient of a value: `a [t, n]`, `b [n, m]`.
    fn give_product(&mut self, to: Value, a: &Tensor, b: &Tensor, scale: f64) -> Result<()> {
        if let Some(gradient) = &self.nodes[to.0].gradient
            && gradient.is_own
            && gpu::takes(&[&gradient.tensor, a, b])
        {
            return Ok(gpu::add_product_of(&gradient.tensor, a, b, Form::Plain, scale)?);
        }
        if gpu::takes(&[a, b]) {
            return self.give_own(to, gpu::product_of(a, b, Form::Plain, scale)?);
        }
        let product = a.matmul(b)?;
        self.give_own(to, if scale == 1.0 { product } else { (product * scale)? })
    }
}

/// A step that costs little beside a matrix product, to run once more.
enum Again {
    Norm { x: Value, w: Parameter, bias: Option<Parameter>, epsilon: f64 },
    SwiGlu { gate: Value, up: Value },
    Gelu { x: Value, kind: Gelu },
}

impl Step {
    fn is_cheap(&self) -> bool {
        matches!(self, Self::Norm { .. } | Self::SwiGlu { .. } | Self::Gelu { .. })
    }

    fn again(&self) -> Option<Again> {
        match self {
            Self::Norm { x, w, bias, epsilon } => {
                Some(Again::Norm { x: *x, w: w.clone(), bias: bias.clone(), epsilon: *epsilon })
            }
            Self::SwiGlu { gate, up } => Some(Again::SwiGlu { gate: *gate, up: *up }),
            Self::Gelu { x, kind } => Some(Again::Gelu { x: *x, kind: *kind }),
            _ => None,
        }
    }
}

/// The same weight, but no leaf of candle's graph.
fn constant(parameter: &Parameter) -> Parameter {
    parameter.constant()
}

fn normed(x: &Tensor, w: &Parameter, bias: Option<&Parameter>, epsilon: f64) -> Result<Tensor> {
    match bias {
        Some(bias) => layer_norm(x, &constant(w), &constant(bias), epsilon),
        None => rms_norm(x, &constant(w), epsilon),
    }
}

fn sum(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if gpu::takes(&[a, b]) {
        return Ok(gpu::sum_pair(&a.contiguous()?, &b.contiguous()?)?);
    }
    Ok((a + b)?)
}

/// `y + bias`, in place of `y`, which is the caller's own, where a kernel can.
pub(crate) fn with_bias(y: Tensor, bias: Option<&Parameter>) -> Result<Tensor> {
    let Some(bias) = bias.map(|bias| bias.value().detach()) else { return Ok(y) };
    expect("linear", "bias", &y.dims()[y.rank().saturating_sub(1)..], bias.dims())?;
    if gpu::takes(&[&y, &bias]) {
        gpu::add_row(&y, &bias)?;
        return Ok(y);
    }
    Ok(y.broadcast_add(&bias)?)
}

/// Adds `aᵀ b` to a parameter's gradient.
fn deliver_product(parameter: &Parameter, a: &Tensor, b: &Tensor) -> Result<()> {
    delivered(parameter, parameter.deliver_product(a, b, 1.0)?)
}

/// Adds `dy [t, out]`, summed over tokens, to a bias' gradient.
fn deliver_bias(bias: Option<&Parameter>, dy: &Tensor) -> Result<()> {
    let Some(bias) = bias.filter(|bias| bias.is_trainable()) else { return Ok(()) };
    // A narrow type would lose the later tokens.
    let wide = if dy.dtype() == DType::F64 { dy.clone() } else { dy.to_dtype(DType::F32)? };
    delivered(bias, bias.deliver(wide.sum(0)?)?)
}

pub(crate) fn delivered(parameter: &Parameter, left: Option<Tensor>) -> Result<()> {
    match left {
        None => Ok(()),
        Some(_) => Err(broken(&format!("{} has no place for its gradient", parameter.name()))),
    }
}

fn broken(what: &str) -> OpsError {
    OpsError::Candle(candle_core::Error::Msg(format!("tape: {what}")))
}
