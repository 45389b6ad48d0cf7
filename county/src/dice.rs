//! Random numbers from a seed: each person, and each kind of happening, has a stream of its own, so that one more reading here
//! changes nothing there.

use rand::rngs::SmallRng;
use rand::{Rng, RngCore, SeedableRng};

/// A stream of random numbers.
#[derive(Debug)]
pub(crate) struct Dice(SmallRng);

impl Dice {
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        Self(SmallRng::seed_from_u64(
            seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ stream.wrapping_mul(0xD1B5_4A32_D192_ED03),
        ))
    }

    /// 0 to 1.
    pub(crate) fn unit(&mut self) -> f64 {
        self.0.random::<f64>()
    }

    pub(crate) fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    pub(crate) fn between(&mut self, (low, high): (f64, f64)) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: u32) -> u32 {
        self.0.random_range(0..end.max(1))
    }

    /// Normal with mean 0 and deviation 1 (Box and Muller), with its tails.
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// `mean` and deviation.
    pub(crate) fn around(&mut self, (mean, sd): (f64, f64)) -> f64 {
        mean + sd * self.normal()
    }

    /// As [`Dice::normal`], cheap and without tails (at most 3.5): four 16-bit numbers out of one draw.
    pub(crate) fn bell(&mut self) -> f32 {
        let draw = self.0.next_u64();
        let sum = (0..4).map(|part| (draw >> (16 * part)) & 0xFFFF).sum::<u64>();
        (sum as f32 / 65_536.0 - 2.0) * 1.732_050_8
    }

    /// Exponential.
    pub(crate) fn wait(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }

    /// How many of something that happens `mean` times (Poisson; for large means its normal likeness).
    pub(crate) fn count(&mut self, mean: f64) -> u32 {
        if mean > 60.0 {
            return (mean + mean.sqrt() * self.normal()).round().max(0.0) as u32;
        }
        let (mut count, mut product, end) = (0, self.unit(), (-mean).exp());
        while product > end {
            count += 1;
            product *= self.unit();
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bells_have_mean_zero_and_deviation_one() {
        let mut dice = Dice::new(1, 1);
        for cheap in [true, false] {
            let drawn: Vec<f64> =
                (0..20_000).map(|_| if cheap { f64::from(dice.bell()) } else { dice.normal() }).collect();
            let mean = drawn.iter().sum::<f64>() / drawn.len() as f64;
            let sd = (drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / drawn.len() as f64).sqrt();
            assert!(mean.abs() < 0.03 && (sd - 1.0).abs() < 0.03, "{mean} {sd}");
        }
    }

    #[test]
    fn counts_have_their_mean() {
        let mut dice = Dice::new(2, 1);
        for mean in [0.5, 5.0, 400.0] {
            let total: u32 = (0..2_000).map(|_| dice.count(mean)).sum();
            assert!((f64::from(total) / 2_000.0 / mean - 1.0).abs() < 0.06, "{mean}");
        }
    }
}
