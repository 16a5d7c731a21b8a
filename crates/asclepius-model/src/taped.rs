//! A block's way there and back on a tape: the way of a card, and of every device where the operations have kernels.

use asclepius_ops::tape::{Value, can_run};
use asclepius_ops::{Keeps, Tape};
use candle_core::{DType, Tensor};

use crate::block::{Attention, Block, FeedForward};
use crate::layers::{Linear, Norm, Projections};
use crate::{Context, Decoder, Recompute, Result};

/// Whether blocks of this decoder run on tapes: their weights, and adapters of any type, have kernels.
pub(crate) fn fits(decoder: &Decoder) -> bool {
    let parameters = decoder.parameters();
    // Adapters are f32 over a narrower base, and cast where they are used.
    let values: Vec<&Tensor> = parameters
        .iter()
        .map(asclepius_ops::Parameter::value)
        .filter(|value| value.dtype() == decoder.dtype())
        .collect();
    decoder.dtype() != DType::F64 && can_run(&values)
}

/// What a block keeps for the way back.
#[derive(Debug)]
pub(crate) struct Kept {
    tape: Tape,
    input: Value,
    output: Value,
}

impl Kept {
    /// The gradient of the block's input, for that of its output; those of weights are added where they are summed.
    pub fn back(self, dy: &Tensor) -> Result<Option<Tensor>> {
        Ok(self.tape.back(self.output, dy, self.input)?)
    }
}

impl Block {
    /// `x [t, d]` -> `[t, d]`, and what is kept of it. `wants_input` where the input's gradient is asked for.
    pub(crate) fn taped(
        &self,
        x: &Tensor,
        context: &Context,
        recompute: Recompute,
        wants_input: bool,
    ) -> Result<(Tensor, Kept)> {
        let mut tape = Tape::new(match recompute {
            Recompute::None => Keeps::Everything,
            Recompute::Selective | Recompute::Block => Keeps::Products,
        });
        let input = tape.input(x, wants_input);
        let normed = self.input_norm.taped(&mut tape, input)?;
        let attended = self.attention.taped(&mut tape, normed, context)?;
        let attended = self.taped_residual(&mut tape, attended, "attention", context)?;
        let middle = tape.add(input, attended)?;
        let normed = match &self.feed_forward_norm {
            Some(norm) => norm.taped(&mut tape, middle)?,
            None => normed,
        };
        let fed = self.feed_forward.taped(&mut tape, normed, context)?;
        let fed = self.taped_residual(&mut tape, fed, "feed_forward", context)?;
        let output = tape.add(middle, fed)?;
        Ok((tape.finish(output)?, Kept { tape, input, output }))
    }

    /// The residual dropout of training, where there is one.
    fn taped_residual(&self, tape: &mut Tape, branch: Value, part: &str, context: &Context) -> Result<Value> {
        match self.residual_key(part, context.dropout) {
            Some(key) => Ok(tape.dropout(branch, self.residual_dropout, key)?),
            None => Ok(branch),
        }
    }
}

impl Attention {
    fn taped(&self, tape: &mut Tape, x: Value, context: &Context) -> Result<Value> {
        let t = context.documents.query_tokens();
        let [mut q, mut k, mut v] = self.projections.taped(tape, x, context)?;
        for (value, norm) in [
            (&mut q, self.head_norms.as_ref().map(|(queries, _)| queries)),
            (&mut k, self.head_norms.as_ref().map(|(_, keys)| keys)),
        ] {
            *value = self.heads(tape, *value, t)?;
            if let Some(norm) = norm {
                *value = norm.taped(tape, *value)?;
            }
            *value = tape.rope(*value, &context.cos, &context.sin)?;
        }
        v = self.heads(tape, v, t)?;
        let y = tape.attention([q, k, v], &context.documents, &self.options)?;
        let features = self.output.weight.value().dim(1)?;
        let joined = tape.shaped(y, &[t, features])?;
        self.output.taped(tape, joined, context)
    }

    /// `[t, h d]` -> `[t, h, d]`.
    fn heads(&self, tape: &mut Tape, x: Value, t: usize) -> Result<Value> {
        let features = tape.dims(x)?.last().copied().unwrap_or(0);
        Ok(tape.shaped(x, &[t, features / self.head_dim, self.head_dim])?)
    }
}

impl FeedForward {
    fn taped(&self, tape: &mut Tape, x: Value, context: &Context) -> Result<Value> {
        match self {
            Self::Gated { inner, down } => {
                let [gate, up] = inner.taped(tape, x, context)?;
                let activated = tape.swiglu(gate, up)?;
                down.taped(tape, activated, context)
            }
            Self::Plain { inner, activation, output } => {
                let projected = inner.taped(tape, x, context)?;
                let activated = tape.gelu(projected, *activation)?;
                output.taped(tape, activated, context)
            }
        }
    }
}

impl<const N: usize> Projections<N> {
    fn taped(&self, tape: &mut Tape, x: Value, context: &Context) -> Result<[Value; N]> {
        let parts = match self {
            Self::Apart(linears) => {
                linears.iter().map(|linear| linear.taped(tape, x, context)).collect::<Result<Vec<_>>>()?
            }
            Self::Stacked(linear, sizes) => {
                let y = linear.taped(tape, x, context)?;
                tape.split(y, sizes)?
            }
        };
        Ok(parts.try_into().expect("either way there is one value a projection"))
    }
}

impl Linear {
    fn taped(&self, tape: &mut Tape, x: Value, context: &Context) -> Result<Value> {
        let Some(adapter) = &self.adapter else { return Ok(tape.linear(x, &self.weight, self.bias.as_ref())?) };
        let weights = (&self.weight, self.bias.as_ref());
        Ok(tape.lora(x, weights, (&adapter.a, &adapter.b), adapter.scaling, adapter.dropped(context.dropout))?)
    }
}

impl Norm {
    fn taped(&self, tape: &mut Tape, x: Value) -> Result<Value> {
        Ok(tape.norm(x, &self.weight, self.bias.as_ref(), self.epsilon)?)
    }
}
