//! The feed-forward branch on slices.

use asclepius_ops::cpu::matrix::Fresh;
use asclepius_ops::cpu::{Real, elements};
use asclepius_ops::{Gelu, PhiloxKey};

use super::linear::{Columns, Low};
use crate::Result;
use crate::block::FeedForward;
use crate::layers::Linear;

/// What the branch keeps: its projections before the activation, `[t, 2 f]` or `[t, f]`, and its adapters' inner products.
#[derive(Debug)]
pub(super) struct Kept<R> {
    inner: Vec<R>,
    inner_low: Vec<Low<R>>,
    output_low: Low<R>,
}

/// The branch in one shape: layers into one buffer, an activation over its rows, a layer back.
struct Parts<'a> {
    inner: &'a [Linear],
    activation: Activation,
    output: &'a Linear,
    /// Features that go into the output layer.
    f: usize,
    /// Features of the buffer.
    width: usize,
}

#[derive(Clone, Copy)]
enum Activation {
    SwiGlu,
    Gelu(Gelu),
}

impl FeedForward {
    fn parts(&self) -> Result<Parts<'_>> {
        Ok(match self {
            Self::Gated { inner, down } => {
                let f = down.sizes()?.0;
                Parts { inner: inner.linears(), activation: Activation::SwiGlu, output: down, f, width: 2 * f }
            }
            Self::Plain { inner, activation, output } => {
                let f = output.sizes()?.0;
                let activation = Activation::Gelu(*activation);
                Parts { inner: std::slice::from_ref(inner), activation, output, f, width: f }
            }
        })
    }

    /// Adds the branch of `x [t, d]` to `out [t, d]`.
    pub(super) fn add<R: Real>(&self, x: &[R], out: &mut [R], key: Option<PhiloxKey>) -> Result<Kept<R>> {
        let parts = self.parts()?;
        let (inner, inner_low) = project(parts.inner, x, parts.width, key)?;
        let activated = match parts.activation {
            Activation::SwiGlu => elements::swiglu(&inner, parts.f),
            Activation::Gelu(kind) => elements::gelu(&inner, kind),
        };
        let output_low = parts.output.add(&activated, out, key)?;
        Ok(Kept { inner, inner_low, output_low })
    }

    /// The gradient of `x`, written to `dx` or added, where it is wanted, for that of the branch, `dy [t, d]`.
    pub(super) fn backward<R: Real>(
        &self,
        x: &[R],
        kept: Kept<R>,
        dy: &[R],
        dx: Option<(&mut [R], bool)>,
        key: Option<PhiloxKey>,
    ) -> Result<()> {
        let parts = self.parts()?;
        let d = parts.output.sizes()?.1;
        let Kept { mut inner, inner_low, output_low } = kept;
        let output = parts.output.begin(dy, Columns { first: 0, stride: d })?;
        let mut activated = output.fresh_input(key)?;
        match parts.activation {
            Activation::SwiGlu => elements::swiglu_backward(&mut inner, &mut activated, parts.f),
            Activation::Gelu(kind) => elements::gelu_backward(&mut inner, &mut activated, kind),
        }
        output.weights(&activated, output_low.as_deref(), key)?;
        drop((activated, output_low));
        project_back(parts.inner, x, &inner_low, &inner, parts.width, dx, key)
    }
}

/// Projects `x` by each of `linears`, side by side into rows of `width`.
pub(super) fn project<R: Real>(
    linears: &[Linear],
    x: &[R],
    width: usize,
    key: Option<PhiloxKey>,
) -> Result<(Vec<R>, Vec<Low<R>>)> {
    let input = linears.first().map_or(Ok(1), |linear| linear.sizes().map(|(input, _)| input))?;
    let mut fresh = Fresh::new(x.len() / input, width);
    for linear in linears {
        linear.write_product(x, &mut fresh)?;
    }
    let mut out = fresh.finish();
    let mut first = 0;
    let low = linears
        .iter()
        .map(|linear| {
            let at = Columns { first, stride: width };
            first += linear.sizes()?.1;
            linear.add_rest(x, &mut out, at, key)
        })
        .collect::<Result<_>>()?;
    Ok((out, low))
}

/// The way back of [`project`]: the gradient of `x` is written to `dx`, or added to it, where it is wanted.
pub(super) fn project_back<R: Real>(
    linears: &[Linear],
    x: &[R],
    low: &[Low<R>],
    dy: &[R],
    width: usize,
    dx: Option<(&mut [R], bool)>,
    key: Option<PhiloxKey>,
) -> Result<()> {
    let mut first = 0;
    let (mut dx, mut add) = match dx {
        Some((dx, add)) => (Some(dx), add),
        None => (None, false),
    };
    for (linear, low) in linears.iter().zip(low) {
        let at = Columns { first, stride: width };
        first += linear.sizes()?.1;
        linear.backward(x, low.as_deref(), dy, at, dx.as_deref_mut().map(|dx| (dx, add)), key)?;
        add = true;
    }
    Ok(())
}
