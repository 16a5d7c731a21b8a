//! Clipping by the global norm.

/// What PyTorch's `clip_grad_norm_` adds to the norm before dividing by it.
const EPSILON: f64 = 1e-6;

/// What a gradient of norm `norm` is multiplied with: `max_norm / (norm + 1e-6)`, at most 1; `max_norm` 0 leaves it.
pub fn clip_factor(norm: f64, max_norm: f64) -> f64 {
    if max_norm == 0.0 { 1.0 } else { (max_norm / (norm + EPSILON)).min(1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clipping_follows_torch() {
        assert_eq!(clip_factor(0.5, 1.0), 1.0);
        assert!((clip_factor(4.0, 1.0) - 1.0 / 4.000_001).abs() < 1e-15);
        assert_eq!(clip_factor(4.0, 0.0), 1.0);
    }
}
