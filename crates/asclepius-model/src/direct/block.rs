//! A block on slices: norms and residual around the two branches.

use asclepius_ops::cpu::{Real, elements};

use super::attention::DirectCache;
use super::{Keep, Surroundings, attention, feed_forward};
use crate::Result;
use crate::block::Block;
use crate::layers::Norm;

/// What a block keeps for the way back.
#[derive(Debug)]
pub(super) struct Kept<R> {
    input: Normed<R>,
    attention: attention::Kept<R>,
    /// Between the branches, where one follows the other.
    middle: Option<Normed<R>>,
    feed_forward: feed_forward::Kept<R>,
}

/// What went into a norm, and what came out if that is kept.
#[derive(Debug)]
struct Normed<R> {
    x: Vec<R>,
    normed: Option<Vec<R>>,
}

impl<R: Real> Normed<R> {
    fn new(x: Vec<R>, normed: Vec<R>, keep: Keep) -> Self {
        Self { x, normed: (keep == Keep::Everything).then_some(normed) }
    }

    /// What came out: kept, or made again if a gradient needs it.
    fn output(&mut self, norm: &Norm, needed: bool) -> Result<Vec<R>> {
        match self.normed.take() {
            Some(normed) => Ok(normed),
            None if needed => norm.rows(&self.x),
            None => Ok(Vec::new()),
        }
    }
}

impl Block {
    /// `x [t, d]` -> `[t, d]`, and what the way back needs unless nothing is to be kept.
    pub(super) fn direct<R: Real>(
        &self,
        x: Vec<R>,
        around: &Surroundings<'_, R>,
        keep: Keep,
    ) -> Result<(Vec<R>, Option<Kept<R>>)> {
        let normed = self.input_norm.rows(&x)?;
        let mut out = x.clone();
        let attention = self.residual(&mut out, "attention", around, |out| self.attention.add(&normed, out, around))?;
        let key = around.dropout;
        let Some(norm) = &self.feed_forward_norm else {
            let feed_forward =
                self.residual(&mut out, "feed_forward", around, |out| self.feed_forward.add(&normed, out, key))?;
            let input = Normed::new(x, normed, keep);
            let kept = Kept { input, attention, middle: None, feed_forward };
            return Ok((out, (keep != Keep::Nothing).then_some(kept)));
        };
        let input = Normed::new(x, normed, keep);
        // Without a way back, what attention kept is of no use while the feed-forward layer runs.
        let attention = (keep != Keep::Nothing).then_some((input, attention));
        let normed = norm.rows(&out)?;
        let middle = attention.is_some().then(|| out.clone());
        let feed_forward =
            self.residual(&mut out, "feed_forward", around, |out| self.feed_forward.add(&normed, out, key))?;
        let (Some((input, attention)), Some(middle)) = (attention, middle) else { return Ok((out, None)) };
        let middle = Some(Normed::new(middle, normed, keep));
        Ok((out, Some(Kept { input, attention, middle, feed_forward })))
    }

    /// The block on the next tokens of each document.
    pub(super) fn direct_next<R: Real>(
        &self,
        x: &mut [R],
        around: &Surroundings<'_, R>,
        cache: &mut DirectCache<R>,
    ) -> Result<()> {
        let normed = self.input_norm.rows(x)?;
        self.attention.add_next(&normed, x, around, cache)?;
        let normed = match &self.feed_forward_norm {
            Some(norm) => norm.rows(x)?,
            None => normed,
        };
        self.feed_forward.add(&normed, x, around.dropout)?;
        Ok(())
    }

    /// Lets `add` add a branch to `out`, through the residual dropout of training where there is one.
    fn residual<R: Real, T>(
        &self,
        out: &mut [R],
        part: &str,
        around: &Surroundings<'_, R>,
        add: impl FnOnce(&mut [R]) -> Result<T>,
    ) -> Result<T> {
        let Some(key) = self.residual_key(part, around.dropout) else { return add(out) };
        let mut branch = vec![R::zero(); out.len()];
        let kept = add(&mut branch)?;
        elements::drop_elements(&mut branch, self.residual_dropout, key);
        elements::add(out, &branch);
        Ok(kept)
    }

    /// The gradient of a branch for that of what it was added to.
    fn branch_gradient<R: Real>(&self, dy: &[R], part: &str, around: &Surroundings<'_, R>) -> Option<Vec<R>> {
        let key = self.residual_key(part, around.dropout)?;
        let mut dropped = dy.to_vec();
        elements::drop_elements(&mut dropped, self.residual_dropout, key);
        Some(dropped)
    }

    /// Turns the gradient of the output into that of the input; those of weights are added where they are summed. Without
    /// `to_input` nobody asks for the input's, and what is left in `dy` is not it.
    pub(super) fn direct_back<R: Real>(
        &self,
        kept: Kept<R>,
        dy: &mut [R],
        around: &Surroundings<'_, R>,
        to_input: bool,
    ) -> Result<()> {
        let Kept { mut input, attention, middle, feed_forward } = kept;
        let fed_needs_input = self.feed_forward.needs_input();
        let mut dnormed = vec![R::zero(); dy.len()];
        let Some(mut middle) = middle else {
            let x = input.output(&self.input_norm, fed_needs_input || self.attention.needs_input())?;
            let (fed, attended) =
                (self.branch_gradient(dy, "feed_forward", around), self.branch_gradient(dy, "attention", around));
            let fed = fed.as_deref().unwrap_or(dy);
            self.feed_forward.backward(&x, feed_forward, fed, Some((&mut dnormed, false)), around.dropout)?;
            let attended = attended.as_deref().unwrap_or(dy);
            self.attention.backward(&x, attention, attended, Some((&mut dnormed, true)), around)?;
            return self.input_norm.rows_back(&input.x, &dnormed, dy);
        };
        let norm = self.feed_forward_norm.as_ref().unwrap_or(&self.input_norm);
        let x = middle.output(norm, fed_needs_input)?;
        let branch = self.branch_gradient(dy, "feed_forward", around);
        let fed = branch.as_deref().unwrap_or(dy);
        self.feed_forward.backward(&x, feed_forward, fed, Some((&mut dnormed, false)), around.dropout)?;
        norm.rows_back(&middle.x, &dnormed, dy)?;
        drop((middle, x));

        let x = input.output(&self.input_norm, self.attention.needs_input())?;
        let branch = self.branch_gradient(dy, "attention", around);
        let attended = branch.as_deref().unwrap_or(dy);
        let to_input = to_input || self.input_norm.weight.is_trainable();
        let into = to_input.then_some((dnormed.as_mut_slice(), false));
        self.attention.backward(&x, attention, attended, into, around)?;
        if to_input {
            self.input_norm.rows_back(&input.x, &dnormed, dy)?;
        }
        Ok(())
    }
}
