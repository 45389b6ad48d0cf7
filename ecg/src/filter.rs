//! Band-pass filters of second-order Butterworth halves (crate biquad), as a stream and over a whole strip.

use biquad::{Biquad, Coefficients, DirectForm2Transposed, Q_BUTTERWORTH_F64, Type};

/// A band, for a stream. The first sample is taken as the line at rest, so that it makes no step.
#[derive(Clone, Debug)]
pub(crate) struct Band {
    low_cut: DirectForm2Transposed<f64>,
    high_cut: DirectForm2Transposed<f64>,
    rest: Option<f64>,
}

impl Band {
    /// Between two frequencies, Hz. What reaches above 0.45 of the sampling rate ends there.
    pub(crate) fn new(rate: f64, from: f64, to: f64) -> Self {
        let low_cut = half(Type::HighPass, rate, from);
        Self { low_cut, high_cut: half(Type::LowPass, rate, to), rest: None }
    }

    pub(crate) fn run(&mut self, value: f64) -> f64 {
        let rest = *self.rest.get_or_insert(value);
        self.high_cut.run(self.low_cut.run(value - rest))
    }
}

fn half(kind: Type<f64>, rate: f64, at: f64) -> DirectForm2Transposed<f64> {
    let share = (2.0 * at / rate).clamp(1e-4, 0.9);
    // Nothing passes if the frequency were not one: it is, after the clamp.
    let none = Coefficients { a1: 0.0, a2: 0.0, b0: 0.0, b1: 0.0, b2: 0.0 };
    let coefficients = Coefficients::from_normalized_params(kind, share, Q_BUTTERWORTH_F64).unwrap_or(none);
    DirectForm2Transposed::<f64>::new(coefficients)
}

/// A band of a whole strip, forwards and backwards: nothing is shifted in time.
pub(crate) fn band(values: &[f64], rate: f64, from: f64, to: f64) -> Vec<f64> {
    let once = |values: &mut dyn Iterator<Item = f64>| {
        let mut band = Band::new(rate, from, to);
        values.map(|value| band.run(value)).collect::<Vec<_>>()
    };
    let mut forth = once(&mut values.iter().copied());
    let mut back = once(&mut forth.drain(..).rev());
    back.reverse();
    back
}

/// What lies below a frequency, of a whole strip, forwards and backwards.
pub(crate) fn below(values: &[f64], rate: f64, to: f64) -> Vec<f64> {
    let rest = values.first().copied().unwrap_or_default();
    let once = |values: &mut dyn Iterator<Item = f64>, rest: f64| {
        let mut low = half(Type::LowPass, rate, to);
        values.map(|value| low.run(value - rest) + rest).collect::<Vec<_>>()
    };
    let mut forth = once(&mut values.iter().copied(), rest);
    let end = forth.last().copied().unwrap_or_default();
    let mut back = once(&mut forth.drain(..).rev(), end);
    back.reverse();
    back
}

/// Mean power of a signal around its mean.
pub(crate) fn power(values: &[f64]) -> f64 {
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n
}
