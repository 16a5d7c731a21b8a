//! A projection on slices: `y = x Wᵀ + b + scaling (dropout(x) Aᵀ) Bᵀ`.

use asclepius_ops::cpu::matrix::{self, Fresh, Matrix, MatrixMut, Workers};
use asclepius_ops::cpu::{Host, Real, elements, rows};
use asclepius_ops::{Parameter, PhiloxKey};

use crate::Result;
use crate::layers::{Adapter, Linear};

/// The columns of wider rows that a projection writes to or reads from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Columns {
    pub(super) first: usize,
    /// Elements from one row to the next.
    pub(super) stride: usize,
}

/// What an adapter keeps for the way back: `dropout(x) Aᵀ`, `[t, r]`; nothing where there is no adapter.
pub(super) type Low<R> = Option<Vec<R>>;

fn dropped<R: Real>(adapter: &Adapter, x: &[R], key: Option<PhiloxKey>) -> Option<Vec<R>> {
    let key = key.filter(|_| adapter.dropout > 0.0)?.fold_name(adapter.a.name());
    let mut dropped = x.to_vec();
    elements::drop_elements(&mut dropped, adapter.dropout, key);
    Some(dropped)
}

/// A weight's numbers, row-major.
enum Numbers<'a, R> {
    Held(Host<'a>),
    /// Decoded, for as long as they are multiplied.
    Decoded(Vec<R>),
}

impl<R: Real> Numbers<'_, R> {
    fn slice(&self) -> Result<&[R]> {
        match self {
            Self::Held(host) => Ok(host.slice()?),
            Self::Decoded(numbers) => Ok(numbers),
        }
    }
}

impl Linear {
    fn numbers<R: Real>(&self) -> Numbers<'_, R> {
        match self.weight.nf4() {
            Some(held) => {
                let mut numbers = vec![R::zero(); self.weight.value().elem_count()];
                held.decode(&mut numbers);
                Numbers::Decoded(numbers)
            }
            None => Numbers::Held(Host::new(self.weight.value())),
        }
    }

    pub(super) fn sizes(&self) -> Result<(usize, usize)> {
        Ok(self.weight.value().dims2().map(|(out, input)| (input, out))?)
    }

    /// Adds the projection of `x [t, in]` to `out [t, out]`.
    pub(super) fn add<R: Real>(&self, x: &[R], out: &mut [R], key: Option<PhiloxKey>) -> Result<Low<R>> {
        let (input, size) = self.sizes()?;
        let weight = self.numbers::<R>();
        let w = Matrix::new(weight.slice()?, input).transposed();
        matrix::add_product(MatrixMut::new(out, size), R::one(), Matrix::new(x, input), w, Workers::All);
        self.add_rest(x, out, Columns { first: 0, stride: size }, key)
    }

    /// Writes `x Wᵀ` to the next columns of `out`.
    pub(super) fn write_product<R: Real>(&self, x: &[R], out: &mut Fresh<R>) -> Result<()> {
        let (input, _) = self.sizes()?;
        let weight = self.numbers::<R>();
        out.write_columns(Matrix::new(x, input), Matrix::new(weight.slice()?, input).transposed());
        Ok(())
    }

    /// Adds to columns of `out` what is beside `x Wᵀ`: bias and adapter.
    pub(super) fn add_rest<R: Real>(
        &self,
        x: &[R],
        out: &mut [R],
        at: Columns,
        key: Option<PhiloxKey>,
    ) -> Result<Low<R>> {
        let (input, size) = self.sizes()?;
        let t = x.len() / input;
        let out = &mut out[at.first..];
        if let Some(bias) = &self.bias {
            rows::add_to_rows(out, Host::new(bias.value()).slice::<R>()?, at.stride);
        }
        let Some(adapter) = &self.adapter else { return Ok(None) };
        let (a, b) = (Host::new(adapter.a.value()), Host::new(adapter.b.value()));
        let a = Matrix::new(a.slice::<R>()?, input);
        let rank = a.rows();
        let dropped = dropped(adapter, x, key);
        let low = matrix::product(Matrix::new(dropped.as_deref().unwrap_or(x), input), a.transposed());
        let up = Matrix::new(b.slice::<R>()?, rank).transposed();
        let out = MatrixMut::strided(out, t, size, at.stride);
        matrix::add_product(out, R::of(adapter.scaling), Matrix::new(&low, rank), up, Workers::All);
        Ok(Some(low))
    }

    /// Writes the gradient of the input, `[t, in]`, for that of the output, or adds it with `add`; adds those of the
    /// weights where they are summed. `x` is needed where [`Linear::needs_input`] says so.
    pub(super) fn backward<R: Real>(
        &self,
        x: &[R],
        low: Option<&[R]>,
        dy: &[R],
        at: Columns,
        dx: Option<(&mut [R], bool)>,
        key: Option<PhiloxKey>,
    ) -> Result<()> {
        let back = self.begin(dy, at)?;
        if let Some((dx, add)) = dx {
            back.input(dx, add, key)?;
        }
        back.weights(x, low, key)
    }

    /// The way back in two steps, for a layer whose input is made again between them.
    pub(super) fn begin<'a, R: Real>(&'a self, dy: &'a [R], at: Columns) -> Result<Backward<'a, R>> {
        let (input, size) = self.sizes()?;
        let t = dy.len() / at.stride;
        let tail = &dy[at.first..];
        let rows = Matrix::strided(tail, t, size, at.stride);
        let low = match &self.adapter {
            Some(adapter) => {
                let b = Host::new(adapter.b.value());
                let b = Matrix::new(b.slice::<R>()?, adapter.b.value().dims2()?.1);
                let mut low = vec![R::zero(); t * b.columns()];
                let out = MatrixMut::new(&mut low, b.columns());
                matrix::add_product(out, R::of(adapter.scaling), rows, b, Workers::All);
                Some(low)
            }
            None => None,
        };
        Ok(Backward { linear: self, input, rows, tail, stride: at.stride, low })
    }
}

/// A projection on its way back.
pub(super) struct Backward<'a, R> {
    linear: &'a Linear,
    input: usize,
    /// The output's gradient.
    rows: Matrix<'a, R>,
    tail: &'a [R],
    stride: usize,
    /// `scaling dy B`, `[t, r]`.
    low: Option<Vec<R>>,
}

impl<R: Real> Backward<'_, R> {
    /// The gradient of the input in memory of its own; see [`Backward::input`].
    pub(super) fn fresh_input(&self, key: Option<PhiloxKey>) -> Result<Vec<R>> {
        let weight = self.linear.numbers::<R>();
        let mut dx = matrix::product(self.rows, Matrix::new(weight.slice()?, self.input));
        self.adapter_input(&mut dx, key)?;
        Ok(dx)
    }

    /// `dx = dy W + dropout(scaling dy B A)`, or `+=` with `add`.
    pub(super) fn input(&self, dx: &mut [R], add: bool, key: Option<PhiloxKey>) -> Result<()> {
        let weight = self.linear.numbers::<R>();
        let w = Matrix::new(weight.slice()?, self.input);
        if add {
            matrix::add_product(MatrixMut::new(dx, self.input), R::one(), self.rows, w, Workers::All);
        } else {
            matrix::write_product(MatrixMut::new(dx, self.input), self.rows, w, Workers::All);
        }
        self.adapter_input(dx, key)
    }

    fn adapter_input(&self, dx: &mut [R], key: Option<PhiloxKey>) -> Result<()> {
        let (Some(adapter), Some(low)) = (&self.linear.adapter, &self.low) else { return Ok(()) };
        let a = Host::new(adapter.a.value());
        let a = Matrix::new(a.slice::<R>()?, self.input);
        let low = Matrix::new(low, a.rows());
        match key.filter(|_| adapter.dropout > 0.0) {
            Some(key) => {
                let mut reached = matrix::product(low, a);
                elements::drop_elements(&mut reached, adapter.dropout, key.fold_name(adapter.a.name()));
                elements::add(dx, &reached);
            }
            None => matrix::add_product(MatrixMut::new(dx, self.input), R::one(), low, a, Workers::All),
        }
        Ok(())
    }

    /// `dW += dyᵀ x`, `db += sum(dy)`, `dA += (scaling dy B)ᵀ dropout(x)`, `dB += scaling dyᵀ (dropout(x) Aᵀ)`, each where it is
    /// trained.
    pub(super) fn weights(&self, x: &[R], low: Option<&[R]>, key: Option<PhiloxKey>) -> Result<()> {
        let Linear { weight, bias, adapter } = self.linear;
        add_outer(weight, R::one(), self.rows, || Matrix::new(x, self.input))?;
        if let Some(bias) = bias.as_ref().filter(|bias| bias.is_trainable()) {
            let sum = rows::sum_of_rows(self.tail, self.rows.columns(), self.stride);
            bias.with_gradient(|db| elements::add(db, &sum))?;
        }
        let (Some(adapter), Some(du), Some(low)) = (adapter, &self.low, low) else { return Ok(()) };
        let rank = adapter.a.value().dims2()?.0;
        if adapter.a.is_trainable() {
            let dropped = dropped(adapter, x, key);
            let x = Matrix::new(dropped.as_deref().unwrap_or(x), self.input);
            add_outer(&adapter.a, R::one(), Matrix::new(du, rank), || x)?;
        }
        add_outer(&adapter.b, R::of(adapter.scaling), self.rows, || Matrix::new(low, rank))
    }
}

/// Adds `factor dyᵀ x` to the gradient of a trained parameter.
fn add_outer<'a, R: Real>(
    parameter: &Parameter,
    factor: R,
    dy: Matrix<'_, R>,
    x: impl FnOnce() -> Matrix<'a, R>,
) -> Result<()> {
    if !parameter.is_trainable() {
        return Ok(());
    }
    let x = x();
    parameter.with_gradient(|dw| {
        matrix::add_product(MatrixMut::new(dw, x.columns()), factor, dy.transposed(), x, Workers::All);
    })?;
    Ok(())
}
