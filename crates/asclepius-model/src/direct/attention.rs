//! The attention branch on slices.

use asclepius_ops::cpu::heads::{self, Attended, HeadLayout, Heads, QkvGradients, Rotation};
use asclepius_ops::cpu::{Host, Real, elements};
use asclepius_ops::{Documents, RopeLayout};

use super::Surroundings;
use super::feed_forward::{project, project_back};
use super::linear::{Columns, Low};
use crate::Result;
use crate::block::Attention;
use crate::layers::Norm;

/// What the branch keeps: turned queries and keys and the values in rows `[q, k, v]`, what attention made of them, queries
/// and keys before their norms where there are norms, and its adapters' inner products.
#[derive(Debug)]
pub(super) struct Kept<R> {
    qkv: Vec<R>,
    plain: Option<[Vec<R>; 2]>,
    attended: Attended<R>,
    qkv_low: Vec<Low<R>>,
    output_low: Low<R>,
}

/// Keys and values of the tokens so far, of each document that is being continued, `[s, g d]`.
#[derive(Clone, Debug, Default)]
pub(crate) struct DirectCache<R> {
    keys: Vec<Vec<R>>,
    values: Vec<Vec<R>>,
}

impl<R> DirectCache<R> {
    /// Forgets a document; those behind it move up.
    pub(crate) fn remove(&mut self, document: usize) {
        self.keys.remove(document);
        self.values.remove(document);
    }
}

/// Where queries, keys and values lie in a row.
struct Layouts {
    q: HeadLayout,
    k: HeadLayout,
    v: HeadLayout,
    width: usize,
}

impl Attention {
    fn layouts(&self) -> Result<Layouts> {
        let d = self.head_dim;
        let queries = self.output.sizes()?.0;
        let width = self.projections.linears().iter().map(|linear| Ok(linear.sizes()?.1)).sum::<Result<usize>>()?;
        let keys = (width - queries) / 2;
        let layout = |features: usize, offset| HeadLayout { count: features / d, d, offset, stride: width };
        Ok(Layouts { q: layout(queries, 0), k: layout(keys, queries), v: layout(keys, queries + keys), width })
    }

    /// Queries, keys and values of `x [t, d]`, turned, in rows `[q, k, v]`.
    fn project<R: Real>(&self, x: &[R], layouts: &Layouts, around: &Surroundings<'_, R>) -> Result<Projected<R>> {
        let (mut qkv, low) = project(self.projections.linears(), x, layouts.width, around.dropout)?;
        let plain = match &self.head_norms {
            Some((queries, keys)) => {
                Some([norm_heads(queries, &mut qkv, layouts.q)?, norm_heads(keys, &mut qkv, layouts.k)?])
            }
            None => None,
        };
        turn(&mut qkv, layouts, around, false);
        Ok(Projected { qkv, plain, low })
    }

    fn over<'a, R: Real>(
        &'a self,
        qkv: &'a [R],
        layouts: &Layouts,
        documents: &'a Documents,
    ) -> heads::Attention<'a, R> {
        let heads = |layout| Heads { data: qkv, layout };
        heads::Attention {
            q: heads(layouts.q),
            k: heads(layouts.k),
            v: heads(layouts.v),
            documents,
            options: &self.options,
        }
    }

    /// Adds the branch of `x [t, d]` to `out [t, d]`.
    pub(super) fn add<R: Real>(&self, x: &[R], out: &mut [R], around: &Surroundings<'_, R>) -> Result<Kept<R>> {
        let layouts = self.layouts()?;
        let Projected { qkv, plain, low } = self.project(x, &layouts, around)?;
        let attended = self.over(&qkv, &layouts, around.documents).forward();
        let output_low = self.output.add(&attended.output, out, around.dropout)?;
        Ok(Kept { qkv, plain, attended, qkv_low: low, output_low })
    }

    /// The branch of the next tokens of each document, whose earlier keys and values are in `cache`, added to `out`.
    pub(super) fn add_next<R: Real>(
        &self,
        x: &[R],
        out: &mut [R],
        around: &Surroundings<'_, R>,
        cache: &mut DirectCache<R>,
    ) -> Result<()> {
        let layouts = self.layouts()?;
        let Projected { qkv, .. } = self.project(x, &layouts, around)?;
        let features = layouts.k.count * layouts.k.d;
        let alone = HeadLayout::alone(layouts.k.count, layouts.k.d);
        cache.keys.resize_with(around.documents.count(), Vec::new);
        cache.values.resize_with(around.documents.count(), Vec::new);
        let outputs: Vec<Vec<R>> = {
            use rayon::prelude::*;
            let units: Vec<_> = around.documents.iter().zip(cache.keys.iter_mut().zip(&mut cache.values)).collect();
            units
                .into_par_iter()
                .map(|(document, (keys, values))| {
                    let rows = &qkv[document.queries.start * layouts.width..document.queries.end * layouts.width];
                    for row in rows.chunks_exact(layouts.width) {
                        keys.extend_from_slice(&row[layouts.k.offset..][..features]);
                        values.extend_from_slice(&row[layouts.v.offset..][..features]);
                    }
                    let single = Documents::single(document.queries.len(), keys.len() / features)?;
                    let attention = heads::Attention {
                        q: Heads { data: rows, layout: layouts.q },
                        k: Heads { data: keys, layout: alone },
                        v: Heads { data: values, layout: alone },
                        documents: &single,
                        options: &self.options,
                    };
                    Ok(attention.forward().output)
                })
                .collect::<Result<_>>()?
        };
        self.output.add(&outputs.concat(), out, around.dropout)?;
        Ok(())
    }

    /// The gradient of `x`, written to `dx` or added, where it is wanted, for that of the branch, `dy [t, d]`.
    pub(super) fn backward<R: Real>(
        &self,
        x: &[R],
        kept: Kept<R>,
        dy: &[R],
        dx: Option<(&mut [R], bool)>,
        around: &Surroundings<'_, R>,
    ) -> Result<()> {
        let layouts = self.layouts()?;
        let Kept { qkv, plain, attended, qkv_low, output_low } = kept;
        let output = self.output.begin(dy, Columns { first: 0, stride: self.output.sizes()?.1 })?;
        let dattended = output.fresh_input(around.dropout)?;
        output.weights(&attended.output, output_low.as_deref(), around.dropout)?;
        drop(output);
        let mut dqkv = vec![R::zero(); qkv.len()];
        self.over(&qkv, &layouts, around.documents).backward(&attended, &dattended, QkvGradients::Together(&mut dqkv));
        drop((qkv, attended, dattended));
        turn(&mut dqkv, &layouts, around, true);
        if let (Some((queries, keys)), Some([plain_queries, plain_keys])) = (&self.head_norms, plain) {
            norm_heads_back(queries, &plain_queries, &mut dqkv, layouts.q)?;
            norm_heads_back(keys, &plain_keys, &mut dqkv, layouts.k)?;
        }
        project_back(self.projections.linears(), x, &qkv_low, &dqkv, layouts.width, dx, around.dropout)
    }
}

/// Turns queries and keys in place.
fn turn<R: Real>(qkv: &mut [R], layouts: &Layouts, around: &Surroundings<'_, R>, backwards: bool) {
    let t = qkv.len() / layouts.width;
    let half = around.cos.len() / t.max(1);
    let rotation = Rotation { cos: around.cos, sin: around.sin, half, pairs: RopeLayout::Halves, backwards };
    heads::rotate(qkv, layouts.q, &rotation);
    heads::rotate(qkv, layouts.k, &rotation);
}

struct Projected<R> {
    qkv: Vec<R>,
    plain: Option<[Vec<R>; 2]>,
    low: Vec<Low<R>>,
}

fn gathered<R: Real>(data: &[R], layout: HeadLayout) -> Vec<R> {
    let columns = layout.offset..layout.offset + layout.count * layout.d;
    data.chunks_exact(layout.stride).flat_map(|row| &row[columns.clone()]).copied().collect()
}

fn scatter<R: Real>(data: &mut [R], layout: HeadLayout, source: &[R]) {
    let features = layout.count * layout.d;
    for (row, source) in data.chunks_exact_mut(layout.stride).zip(source.chunks_exact(features)) {
        row[layout.offset..layout.offset + features].copy_from_slice(source);
    }
}

/// Norms every head in place; gives what was there before.
fn norm_heads<R: Real>(norm: &Norm, data: &mut [R], layout: HeadLayout) -> Result<Vec<R>> {
    let plain = gathered(data, layout);
    let normed = norm.rows(&plain)?;
    scatter(data, layout, &normed);
    Ok(plain)
}

fn norm_heads_back<R: Real>(norm: &Norm, plain: &[R], gradient: &mut [R], layout: HeadLayout) -> Result<()> {
    let dy = gathered(gradient, layout);
    let mut dx = vec![R::zero(); dy.len()];
    norm.rows_back(plain, &dy, &mut dx)?;
    scatter(gradient, layout, &dx);
    Ok(())
}

impl Norm {
    /// The norm of rows, on slices.
    pub(super) fn rows<R: Real>(&self, x: &[R]) -> Result<Vec<R>> {
        self.with(|norm| norm.forward(x))
    }

    /// Adds the gradient of `x` to `dx`, and those of weight and bias where they are summed.
    pub(super) fn rows_back<R: Real>(&self, x: &[R], dy: &[R], dx: &mut [R]) -> Result<()> {
        let gradients = self.with(|norm| norm.backward(x, dy, dx))?;
        let parts = [(Some(&self.weight), Some(gradients.weight)), (self.bias.as_ref(), gradients.bias)];
        for (parameter, gradient) in parts {
            if let (Some(parameter), Some(gradient)) = (parameter.filter(|p| p.is_trainable()), gradient) {
                parameter.with_gradient(|slot| elements::add(slot, &gradient))?;
            }
        }
        Ok(())
    }

    fn with<R: Real, T>(&self, work: impl FnOnce(&asclepius_ops::cpu::rows::Norm<'_, R>) -> T) -> Result<T> {
        let weight = Host::new(self.weight.value());
        let bias = self.bias.as_ref().map(|bias| Host::new(bias.value()));
        Ok(work(&asclepius_ops::cpu::rows::Norm {
            weight: weight.slice()?,
            bias: bias.as_ref().map(Host::slice).transpose()?,
            epsilon: self.epsilon,
        }))
    }
}
