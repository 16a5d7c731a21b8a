//! Loss and gradients, a block at a time, the way back through the blocks in reverse. On the CPU in f32 and f64 the blocks
//! run on slices, by [`crate::direct`]; on a card on tapes, by [`crate::taped`]. Elsewhere (bf16 on the CPU, and the twins)
//! each runs on a cut-off input as a graph of candle's, so that at most one block's graph need exist.

use asclepius_ops::cross_entropy::loss_and_gradient;
use asclepius_ops::profile::{self, Kind};
use asclepius_ops::{Documents, Parameter, PhiloxKey, Targets, seed};
use candle_core::{DType, Tensor, Var};

use crate::{Context, Decoder, ModelError, Result, direct, taped};

/// What is kept of the forward pass for the way back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recompute {
    /// Everything a block's way back needs.
    #[default]
    None,
    /// What cannot be had again without a matrix product: norms and activations are made again.
    Selective,
    /// Every block's input; the block runs again on the way back.
    Block,
}

/// Tokens laid end to end, and what is to be learnt from them.
#[derive(Clone, Debug)]
pub struct MicroBatch {
    /// Token ids, `[t]`.
    pub ids: Vec<u32>,
    /// Each token's position in its document, `[t]`.
    pub positions: Vec<u32>,
    /// Where documents begin and end.
    pub documents: Documents,
    /// The supervised rows and the tokens they are to predict.
    pub targets: Targets,
}

impl MicroBatch {
    /// From one label a token (`None`: not supervised) and cumulative document lengths starting with 0.
    ///
    /// # Errors
    /// When the parts do not cover the same tokens.
    pub fn new(ids: Vec<u32>, positions: Vec<u32>, cumulative: Vec<u32>, labels: &[Option<u32>]) -> Result<Self> {
        let documents = Documents::packed(cumulative)?;
        let batch = Self { ids, positions, documents, targets: Targets::from_labels(labels) };
        batch.check()?;
        Ok(batch)
    }

    fn check(&self) -> Result<()> {
        let (tokens, positions, covered) = (self.ids.len(), self.positions.len(), self.documents.query_tokens());
        if tokens == positions && tokens == covered {
            return Ok(());
        }
        Err(ModelError::MicroBatch { tokens, positions, covered })
    }

    pub(crate) fn context(&self, decoder: &Decoder, dropout: Option<PhiloxKey>) -> Result<Context> {
        self.check()?;
        decoder.context(&self.positions, self.documents.clone(), dropout)
    }
}

/// A micro-batch's summed loss, which a card may still be working on.
#[derive(Clone, Debug)]
pub struct Loss(Found);

#[derive(Clone, Debug)]
enum Found {
    Number(f64),
    OnCard(Tensor),
}

impl Loss {
    /// The number; waits for the card.
    ///
    /// # Errors
    /// When it is not finite: what was added to the gradients is then worth nothing.
    pub fn value(&self) -> Result<f64> {
        let value = match &self.0 {
            Found::Number(value) => *value,
            Found::OnCard(loss) => scalar(loss)?,
        };
        if value.is_finite() { Ok(value) } else { Err(ModelError::NotFinite(value)) }
    }
}

/// The loss summed over the micro-batch's targets; its gradients are added into the slots of the trainable parameters,
/// which must lie in a [`asclepius_ops::GradientBuffer`]. Divide both by the supervised tokens of the whole step.
///
/// # Errors
/// When the batch does not fit the model, a parameter is in no buffer, or the loss is not finite (what was added to the
/// gradients is then worth nothing).
pub fn loss_and_gradients(
    decoder: &Decoder,
    batch: &MicroBatch,
    dropout: Option<PhiloxKey>,
    recompute: Recompute,
) -> Result<f64> {
    add_gradients(decoder, batch, dropout, recompute)?.value()
}

/// [`loss_and_gradients`] that does not wait for a card: the next micro-batch's work is handed over while it is at this one.
///
/// # Errors
/// When the batch does not fit the model, or a parameter is in no buffer. That the loss is finite is for
/// [`Loss::value`] to say.
pub fn add_gradients(
    decoder: &Decoder,
    batch: &MicroBatch,
    dropout: Option<PhiloxKey>,
    recompute: Recompute,
) -> Result<Loss> {
    add_scaled_gradients(decoder, batch, dropout, recompute, 1.0)
}

/// [`add_gradients`] with every gradient times `scale`, from the head's input on back, so that f16 holds it
/// (Micikevicius et al., 2018). The loss is not scaled. For adapters: what is trained in or behind the head would go without.
///
/// # Errors
/// As [`add_gradients`], and with a scale other than 1 on a model without adapters.
pub fn add_scaled_gradients(
    decoder: &Decoder,
    batch: &MicroBatch,
    dropout: Option<PhiloxKey>,
    recompute: Recompute,
    scale: f64,
) -> Result<Loss> {
    if scale != 1.0 {
        if decoder.lora().is_none() {
            return Err(ModelError::NotAdapted);
        }
        return match taped::fits(decoder) {
            true => by_tape(decoder, batch, dropout, recompute, scale),
            false => by_graph(decoder, batch, dropout, recompute, scale),
        };
    }
    let number = |found| match found {
        Ok(value) | Err(ModelError::NotFinite(value)) => Ok(Loss(Found::Number(value))),
        Err(error) => Err(error),
    };
    match direct::scalar(decoder) {
        Some(DType::F64) => {
            check_buffers(&decoder.trainable())?;
            number(direct::loss_and_gradients::<f64>(decoder, batch, dropout, recompute))
        }
        Some(_) => {
            check_buffers(&decoder.trainable())?;
            number(direct::loss_and_gradients::<f32>(decoder, batch, dropout, recompute))
        }
        None if taped::fits(decoder) => by_tape(decoder, batch, dropout, recompute, 1.0),
        None => by_graph(decoder, batch, dropout, recompute, 1.0),
    }
}

/// [`loss_and_gradients`] on tapes whatever the device: the way of every card, for tests where there is none.
///
/// # Errors
/// As [`loss_and_gradients`].
#[doc(hidden)]
pub fn loss_and_gradients_by_tape(
    decoder: &Decoder,
    batch: &MicroBatch,
    dropout: Option<PhiloxKey>,
    recompute: Recompute,
) -> Result<f64> {
    by_tape(decoder, batch, dropout, recompute, 1.0)?.value()
}

fn by_tape(
    decoder: &Decoder,
    batch: &MicroBatch,
    dropout: Option<PhiloxKey>,
    recompute: Recompute,
    scale: f64,
) -> Result<Loss> {
    let context = batch.context(decoder, dropout)?;
    let parameters = decoder.trainable();
    check_buffers(&parameters)?;
    let embedded = profiled(Kind::Embedding, "embedding", || decoder.embed(&batch.ids))?;
    // A gradient goes on to the embedding, or to blocks that are trained; below the first of those nobody asks for it.
    let mut below = embedded.track_op();
    let mut wants_input = Vec::with_capacity(decoder.block_count());
    for block in decoder.blocks() {
        wants_input.push(below);
        below = below || block.is_trained();
    }
    let mut x = embedded.detach();
    let mut kept = Vec::with_capacity(decoder.block_count());
    for (index, block) in decoder.blocks().iter().enumerate() {
        let input = x;
        let (output, tape) = block.taped(&input, &context, recompute, wants_input[index])?;
        x = output;
        // Run again on the way back from its input alone.
        kept.push(if recompute == Recompute::Block { Segment::Input(input) } else { Segment::Tape(tape) });
    }

    let (normed, norm) = profiled(Kind::Norm, "norm", || decoder.final_norm().taped_alone(&x))?;
    drop(x);
    let (weight, bias) = decoder.head_parameters();
    let head = || loss_and_gradient(&normed, weight, bias, &batch.targets);
    let (loss, gradient) = profiled(Kind::Head, "head", head)?;
    let sum = Loss(Found::OnCard(loss));
    if batch.targets.is_empty() {
        return Ok(sum);
    }
    drop(normed);
    let Some(mut gradient) = norm.back(&scaled(gradient, scale)?)? else { return Ok(sum) };

    for (index, segment) in kept.into_iter().enumerate().rev() {
        let tape = match segment {
            Segment::Tape(tape) => tape,
            Segment::Input(input) => decoder.blocks()[index].taped(&input, &context, recompute, wants_input[index])?.1,
        };
        match tape.back(&gradient)? {
            Some(next) => gradient = next,
            None => break,
        }
    }

    if embedded.track_op() {
        let _span = profile::span(Kind::Embedding, "embedding, back");
        let mut store = seed(&embedded, &gradient)?.backward()?;
        Parameter::collect(&parameters, &mut store)?;
    }
    Ok(sum)
}

fn scaled(gradient: Tensor, scale: f64) -> Result<Tensor> {
    if scale == 1.0 { Ok(gradient) } else { Ok((gradient * scale)?) }
}

/// What there is of a block for the way back.
enum Segment {
    Tape(taped::Kept),
    Input(Tensor),
}

fn check_buffers(parameters: &[Parameter]) -> Result<()> {
    match parameters.iter().find(|parameter| !parameter.has_gradient()) {
        Some(parameter) => Err(ModelError::NoGradientBuffer { tensor: parameter.name().to_owned() }),
        None => Ok(()),
    }
}

/// [`loss_and_gradients`] through candle's graph whatever the device: the way of what has no kernels, and what the other ways
/// are held to. A graph keeps what its operations keep, so `Selective` is `None` here.
///
/// # Errors
/// As [`loss_and_gradients`].
pub fn loss_and_gradients_by_graph(
    decoder: &Decoder,
    batch: &MicroBatch,
    dropout: Option<PhiloxKey>,
    recompute: Recompute,
) -> Result<f64> {
    by_graph(decoder, batch, dropout, recompute, 1.0)?.value()
}

fn by_graph(
    decoder: &Decoder,
    batch: &MicroBatch,
    dropout: Option<PhiloxKey>,
    recompute: Recompute,
    scale: f64,
) -> Result<Loss> {
    let context = batch.context(decoder, dropout)?;
    let parameters = decoder.trainable();
    check_buffers(&parameters)?;
    let embedded = profiled(Kind::Embedding, "embedding", || decoder.embed(&batch.ids))?;

    let frozen = decoder.frozen();
    let mut x = embedded.detach();
    let mut segments = Vec::with_capacity(decoder.block_count());
    for index in 0..decoder.block_count() {
        let _span = profile::span(Kind::Block, "block");
        let (input, output) = match recompute {
            Recompute::None | Recompute::Selective => {
                let input = leaf(&x)?;
                let output = decoder.block(index, &input, &context)?;
                x = output.detach();
                (input, Some(output))
            }
            Recompute::Block => {
                let input = x;
                x = frozen.block(index, &input, &context)?;
                (input, None)
            }
        };
        segments.push((input, output));
    }

    let head = profile::span(Kind::Head, "head");
    let input = leaf(&x)?;
    let loss = decoder.loss(&decoder.head(&input)?, &batch.targets)?;
    let sum = Loss(Found::OnCard(loss.detach()));
    if batch.targets.is_empty() {
        return Ok(sum);
    }
    let mut gradient = scaled(backward(&loss, &input, &parameters)?, scale)?;
    drop((loss, head));

    for (index, (input, output)) in segments.into_iter().enumerate().rev() {
        let _span = profile::span(Kind::Block, "block, back");
        let (input, output) = if let Some(output) = output {
            (input, output)
        } else {
            let input = leaf(&input)?;
            let output = decoder.block(index, &input, &context)?;
            (input, output)
        };
        gradient = backward(&seed(&output, &gradient)?, &input, &parameters)?;
    }

    if embedded.track_op() {
        let _span = profile::span(Kind::Embedding, "embedding, back");
        let mut store = seed(&embedded, &gradient)?.backward()?;
        Parameter::collect(&parameters, &mut store)?;
    }
    Ok(sum)
}

/// The loss summed over the micro-batch's targets; no gradients, no dropout.
///
/// # Errors
/// When the batch does not fit the model.
pub fn evaluate(decoder: &Decoder, batch: &MicroBatch) -> Result<f64> {
    match direct::scalar(decoder) {
        Some(DType::F64) => return direct::evaluate::<f64>(decoder, batch),
        Some(_) => return direct::evaluate::<f32>(decoder, batch),
        None => {}
    }
    let decoder = decoder.frozen();
    let context = batch.context(&decoder, None)?;
    let mut x = decoder.embed(&batch.ids)?;
    for index in 0..decoder.block_count() {
        x = decoder.block(index, &x, &context)?;
    }
    scalar(&decoder.loss(&decoder.head(&x)?, &batch.targets)?)
}

fn profiled<T>(kind: Kind, name: &'static str, work: impl FnOnce() -> T) -> T {
    let _span = profile::span(kind, name);
    work()
}

/// A variable of its own that a block's graph begins at.
fn leaf(x: &Tensor) -> Result<Tensor> {
    Ok(Var::from_tensor(&x.detach())?.into_inner())
}

/// Runs back from `scalar`: parameters' gradients go to their slots, that of `input` is returned.
fn backward(scalar: &Tensor, input: &Tensor, parameters: &[Parameter]) -> Result<Tensor> {
    let mut store = scalar.backward()?;
    Parameter::collect(parameters, &mut store)?;
    Ok(store.remove(input).map_or_else(|| input.zeros_like(), |gradient| Ok(gradient.detach()))?)
}

fn scalar(loss: &Tensor) -> Result<f64> {
    Ok(loss.to_dtype(DType::F64)?.to_scalar::<f64>()?)
}
