//! The dynamic tree code: 256 numbers in -1 to 1 (or 0 to 1) that stand for a moment's values, dense where values of many
//! magnitudes fall. (Dettmers, 8-Bit Approximations for Parallelism in Deep Learning, 2016, section 3; Dettmers et al.,
//! 8-bit Optimizers via Block-wise Quantization, 2022, section 2.2; bitsandbytes' `create_dynamic_map`.)

use std::sync::LazyLock;

/// Codes of a book.
pub const CODES: usize = 256;

/// Powers of ten a book spans: the exponent takes from none to all of the bits beside the sign.
const DECADES: i32 = 7;

/// The first moment's book, negative numbers included.
pub static SIGNED: LazyLock<CodeBook> = LazyLock::new(|| CodeBook::new(true));
/// The second moment's book: its sign bit goes to the fraction.
pub static UNSIGNED: LazyLock<CodeBook> = LazyLock::new(|| CodeBook::new(false));

/// 256 rising numbers, and where one code's values end and the next one's begin.
#[derive(Debug)]
pub struct CodeBook {
    values: [f32; CODES],
    /// Halfway between neighbours; the last is infinite, so that a search by halves needs no bounds.
    midpoints: [f32; CODES],
    zero: u8,
}

impl CodeBook {
    fn new(signed: bool) -> Self {
        let mut values = Vec::with_capacity(CODES);
        for decade in 0..DECADES {
            // Each decade down has a bit less for the fraction.
            let fractions = 1_usize << if signed { decade } else { decade + 1 };
            let scale = 10_f64.powi(decade + 1 - DECADES) as f32;
            for fraction in 0..fractions {
                let mean = f32::midpoint(boundary(fraction, fractions), boundary(fraction + 1, fractions));
                values.push(scale * mean);
                if signed {
                    values.push(-(scale * mean));
                }
            }
        }
        values.extend([0.0, 1.0]);
        values.sort_by(f32::total_cmp);
        let values: [f32; CODES] = values.try_into().expect("2 + 2 (2^7 - 1), either way, are 256");
        let mut midpoints = [f32::INFINITY; CODES];
        for (midpoint, pair) in midpoints.iter_mut().zip(values.windows(2)) {
            *midpoint = f32::midpoint(pair[0], pair[1]);
        }
        let zero = values.iter().position(|&value| value == 0.0).expect("0 is in every book") as u8;
        Self { values, midpoints, zero }
    }

    /// The numbers, rising, `[256]`.
    pub fn values(&self) -> &[f32; CODES] {
        &self.values
    }

    /// Where code `i` ends and `i + 1` begins, `[256]`; the last is infinite.
    pub fn midpoints(&self) -> &[f32; CODES] {
        &self.midpoints
    }

    /// The code of 0.
    pub fn zero(&self) -> u8 {
        self.zero
    }

    /// The number a code stands for.
    pub fn decode(&self, code: u8) -> f32 {
        self.values[usize::from(code)]
    }

    /// The code whose number is nearest; a value exactly between two gets the upper one.
    pub fn encode(&self, value: f32) -> u8 {
        let mut code = 0;
        for half in [128, 64, 32, 16, 8, 4, 2, 1] {
            code += if value >= self.midpoints[code + half - 1] { half } else { 0 };
        }
        code as u8
    }
}

/// Boundary `index` of `count` equal parts of 0.1 to 1, in f32 and from the nearer end, as PyTorch's `linspace` has it.
fn boundary(index: usize, count: usize) -> f32 {
    let width = (1.0_f32 - 0.1) / count as f32;
    if index < count.div_ceil(2) { width.mul_add(index as f32, 0.1) } else { 1.0 - width * (count - index) as f32 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_code_is_its_own_nearest() {
        for book in [&*SIGNED, &*UNSIGNED] {
            for code in 0..=u8::MAX {
                assert_eq!(book.encode(book.decode(code)), code);
            }
            assert_eq!(book.decode(book.zero()), 0.0);
            assert_eq!(book.encode(f32::NAN), 0, "a NaN is no index out of bounds");
        }
        assert!((SIGNED.decode(SIGNED.zero() + 1) - 5.5e-7).abs() < 1e-12);
        assert_eq!((UNSIGNED.zero(), SIGNED.decode(255), UNSIGNED.decode(255)), (0, 1.0, 1.0));
    }

    proptest! {
        #[test]
        fn no_code_is_nearer_than_the_one_chosen(value in -1.0_f32..=1.0, exponent in 0_i32..8) {
            let value = value * 10_f32.powi(-exponent);
            for (book, value) in [(&*SIGNED, value), (&*UNSIGNED, value.abs())] {
                let distance = |code: u8| (f64::from(book.decode(code)) - f64::from(value)).abs();
                let chosen = distance(book.encode(value));
                let nearest = (0..=u8::MAX).map(distance).fold(f64::INFINITY, f64::min);
                prop_assert!(chosen <= nearest + 1e-9, "{value}: {chosen} {nearest}");
            }
        }
    }
}
