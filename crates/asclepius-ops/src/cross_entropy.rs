//! The head and its loss in one operation: only supervised rows are projected, a chunk at a time, and the logits of all
//! rows never exist together.

use candle_core::Tensor;

use crate::{OpsError, Parameter, Result, reference};

/// Which rows are supervised, and by which token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Targets {
    rows: Vec<u32>,
    labels: Vec<u32>,
}

impl Targets {
    /// Row `rows[i]` of the hidden states is to predict token `labels[i]`.
    ///
    /// # Errors
    /// When there are not as many labels as rows, or the rows do not rise.
    pub fn new(rows: Vec<u32>, labels: Vec<u32>) -> Result<Self> {
        if rows.len() != labels.len() {
            return Err(OpsError::Shape {
                operation: "Targets::new",
                what: "labels",
                expected: vec![rows.len()],
                found: vec![labels.len()],
            });
        }
        if let Some(pair) = rows.windows(2).find(|pair| pair[0] >= pair[1]) {
            return Err(OpsError::Index {
                operation: "Targets::new",
                what: "row (rows must rise)",
                index: pair[0] as usize,
                bound: pair[1] as usize,
            });
        }
        Ok(Self { rows, labels })
    }

    /// From one label a row, `None` where the row is not supervised.
    pub fn from_labels(labels: &[Option<u32>]) -> Self {
        let (rows, labels) =
            labels.iter().enumerate().filter_map(|(row, label)| label.map(|label| (row as u32, label))).unzip();
        Self { rows, labels }
    }

    /// The supervised rows, rising.
    pub fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// The token each row is to predict.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// How many rows are supervised.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether nothing is supervised.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// The sum over the targets of `logsumexp(z) - z[label]` with `z = x[row] Wᵀ + b`: `x [t, d]`, `w [v, d]`, `bias [v]`
/// -> a scalar, f32 (f64 for f64 input). Divide by the number of supervised tokens of the whole step.
///
/// # Errors
/// When the shapes do not fit, or a row or label lies outside.
pub fn linear_cross_entropy(x: &Tensor, w: &Parameter, bias: Option<&Parameter>, targets: &Targets) -> Result<Tensor> {
    let (t, _) = x.dims2()?;
    let (v, _) = w.value().dims2()?;
    for (what, indices, bound) in [("row", &targets.rows, t), ("label", &targets.labels, v)] {
        if let Some(&index) = indices.iter().find(|&&index| index as usize >= bound) {
            return Err(OpsError::Index { operation: "linear_cross_entropy", what, index: index as usize, bound });
        }
    }
    if targets.is_empty() {
        // A sum over nothing; no gradient flows.
        return Ok(x.detach().flatten_all()?.narrow(0, 0, 0)?.sum_all()?);
    }
    reference::linear_cross_entropy(x, w.value(), bias.map(Parameter::value), targets)
}
