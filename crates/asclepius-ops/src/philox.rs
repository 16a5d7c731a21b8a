//! Random numbers without state: Philox4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011)
//! of a seed, a stream and an element's index. What is drawn depends on what it is for, never on what was drawn before.

/// What a stream of random numbers is for: a seed, and everything folded into it (step, micro-batch, tensor name).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhiloxKey {
    seed: u64,
    stream: u64,
}

impl PhiloxKey {
    /// The key of a run's seed.
    pub fn new(seed: u64) -> Self {
        Self { seed, stream: 0 }
    }

    /// The key with a number folded in: a step, a micro-batch, an epoch. The order of folds matters.
    #[must_use]
    pub fn fold(self, value: u64) -> Self {
        Self { stream: mix(self.stream.wrapping_add(GOLDEN) ^ mix(value)), ..self }
    }

    /// The key with a name folded in, such as a tensor's.
    #[must_use]
    pub fn fold_name(self, name: &str) -> Self {
        let bytes = name.as_bytes();
        bytes.chunks(8).fold(self.fold(bytes.len() as u64), |key, chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            key.fold(u64::from_le_bytes(word))
        })
    }

    /// Seed and stream, for a kernel that draws on a device what [`Self::uniform`] draws here.
    pub fn parts(self) -> (u64, u64) {
        (self.seed, self.stream)
    }

    /// Four words of 32 random bits: block `index` of this key's stream.
    pub fn block(self, index: u64) -> [u32; 4] {
        philox(
            [index as u32, (index >> 32) as u32, self.stream as u32, (self.stream >> 32) as u32],
            [self.seed as u32, (self.seed >> 32) as u32],
        )
    }

    /// Element `index`'s number, uniform in `[0, 1)`, a multiple of 2^-24.
    pub fn uniform(self, index: u64) -> f32 {
        to_unit(self.block(index / 4)[(index % 4) as usize])
    }

    /// `count` numbers, uniform in `[0, 1)`: what [`Self::uniform`] gives for elements 0, 1, ...
    pub fn uniforms(self, count: usize) -> Vec<f32> {
        (0..count.div_ceil(4) as u64).flat_map(|index| self.block(index)).take(count).map(to_unit).collect()
    }

    /// `count` normally distributed numbers, mean 0, standard deviation 1 (Box-Muller, two to a pair of words).
    pub fn normals(self, count: usize) -> Vec<f32> {
        let pair = |a: u32, b: u32| {
            // (0, 1], so that the logarithm is finite.
            let radius = (-2.0 * ((f64::from(a) + 1.0) / 4_294_967_296.0).ln()).sqrt();
            let (sine, cosine) = (std::f64::consts::TAU * f64::from(b) / 4_294_967_296.0).sin_cos();
            [(radius * cosine) as f32, (radius * sine) as f32]
        };
        (0..count.div_ceil(4) as u64)
            .flat_map(|index| {
                let [a, b, c, d] = self.block(index);
                let ([w, x], [y, z]) = (pair(a, b), pair(c, d));
                [w, x, y, z]
            })
            .take(count)
            .collect()
    }

    /// A number in `0..bound`, for shuffling (multiply-shift over 64 bits; the bias is below 2^-32 for any `u32` bound).
    pub fn below(self, index: u64, bound: u32) -> u32 {
        let [low, high, ..] = self.block(index);
        let word = u64::from(low) | u64::from(high) << 32;
        ((u128::from(word) * u128::from(bound)) >> 64) as u32
    }
}

/// The upper 24 bits as a number in `[0, 1)`.
pub(crate) fn to_unit(word: u32) -> f32 {
    (word >> 8) as f32 / 16_777_216.0
}

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// The finaliser of SplitMix64, a bijection of 64 bits.
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let first = u64::from(counter[0]) * 0xD251_1F53;
        let second = u64::from(counter[2]) * 0xCD9E_8D57;
        counter = [
            (second >> 32) as u32 ^ counter[1] ^ key[0],
            second as u32,
            (first >> 32) as u32 ^ counter[3] ^ key[1],
            first as u32,
        ];
        key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn philox_gives_the_published_words() {
        // The known answers distributed with the authors' Random123 library.
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
    }

    #[test]
    fn keys_differ_by_what_is_folded_and_in_which_order() {
        let key = PhiloxKey::new(7);
        assert_ne!(key.fold(1).fold(2), key.fold(2).fold(1));
        assert_ne!(key.fold_name("a"), key.fold_name("a\0"));
        assert_eq!(key.fold(3).uniforms(9)[6], key.fold(3).uniform(6));
    }

    #[test]
    fn normals_have_mean_zero_and_variance_one() {
        let normals = PhiloxKey::new(1).normals(100_000);
        let mean = normals.iter().map(|&x| f64::from(x)).sum::<f64>() / 1e5;
        let variance = normals.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / 1e5;
        // Four standard errors.
        assert!(mean.abs() < 0.013 && (variance - 1.0).abs() < 0.018, "{mean} {variance}");
    }
}
