//! Strips with known beats and noise of a known strength, from a seed: the same on every machine. Only for tests.
//!
//! A beat is a sum of five bells P, Q, R, S, T (after McSharry et al., IEEE Trans. Biomed. Eng. 50(3), 2003, without their
//! differential equation). Its numbers are those of an ordinary lead II.

use std::f64::consts::TAU;

/// Place before or after R in seconds (at 60 beats a minute), height in mV, width in seconds.
const WAVES: [(f64, f64, f64); 5] =
    [(-0.17, 0.12, 0.025), (-0.026, -0.12, 0.009), (0.0, 1.1, 0.011), (0.028, -0.25, 0.010), (0.28, 0.28, 0.045)];

/// The same of a pulse wave, after its foot: systolic and diastolic wave; heights of one.
const PULSE: [(f64, f64, f64); 2] = [(0.16, 1.0, 0.055), (0.42, 0.35, 0.09)];

/// Kinds of noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noise {
    /// Electrode motion: bursts of slow, high swings (up to 10 Hz), the kind that looks like beats.
    Motion,
    /// White: muscles.
    Muscle,
    /// 50 Hz.
    Mains,
    /// Below 0.5 Hz.
    Baseline,
}

/// Numbers from a seed (xorshift64*).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    pub const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// 0 to 1.
    pub fn even(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Gauss, mean 0, deviation 1.
    pub fn bell(&mut self) -> f64 {
        let radius = (-2.0 * self.even().max(1e-12).ln()).sqrt();
        radius * (TAU * self.even()).cos()
    }
}

/// Beats at a rate, each off by a few percent of the interval; seconds.
pub fn beats(seconds: f64, per_minute: f64, dice: &mut Dice) -> Vec<f64> {
    let interval = 60.0 / per_minute;
    let mut at = 0.3 * interval;
    let mut found = Vec::new();
    while at < seconds {
        found.push(at);
        at += interval * (1.0 + 0.03 * dice.bell()).clamp(0.8, 1.2);
    }
    found
}

/// The strip of these beats in mV, with 10 uV of an amplifier's own noise.
pub fn heart(beats: &[f64], seconds: f64, hz: f64, dice: &mut Dice) -> Vec<f64> {
    let mut values: Vec<f64> = (0..(seconds * hz) as usize).map(|_| 0.01 * dice.bell()).collect();
    for (index, beat) in beats.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|before| beats.get(before)).map_or(1.0, |before| beat - before);
        // At fast rates P and T come nearer.
        let near = before.min(1.0).sqrt();
        for (place, height, width) in WAVES {
            let (middle, width) = (beat + place * near, if place.abs() > 0.1 { width * near } else { width });
            let from = ((middle - 5.0 * width) * hz).max(0.0) as usize;
            let to = ((middle + 5.0 * width) * hz).max(0.0) as usize;
            for (i, value) in values.iter_mut().enumerate().take(to).skip(from) {
                *value += height * (-((i as f64 / hz - middle) / width).powi(2) / 2.0).exp();
            }
        }
    }
    values
}

/// The pulse wave of these beats, height 1, upright, with a little noise of the sensor.
pub fn pulse(beats: &[f64], seconds: f64, hz: f64, dice: &mut Dice) -> Vec<f64> {
    let mut values: Vec<f64> = (0..(seconds * hz) as usize).map(|_| 0.005 * dice.bell()).collect();
    for (index, beat) in beats.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|before| beats.get(before)).map_or(1.0, |before| beat - before);
        let near = before.min(1.0).sqrt();
        for (place, height, width) in PULSE {
            let (middle, width) = (beat + place * near, width * near);
            for (i, value) in values.iter_mut().enumerate() {
                *value += height * (-((i as f64 / hz - middle) / width).powi(2) / 2.0).exp();
            }
        }
    }
    values
}

/// Noise of one kind, deviation 1.
pub fn noise(kind: Noise, samples: usize, hz: f64, dice: &mut Dice) -> Vec<f64> {
    let tones = |count: usize, from: f64, to: f64, dice: &mut Dice| {
        let tones: Vec<_> = (0..count).map(|_| (from + (to - from) * dice.even(), dice.even() * TAU)).collect();
        let at = |i: usize| tones.iter().map(|(f, phase)| (TAU * f * i as f64 / hz + phase).sin()).sum::<f64>();
        (0..samples).map(at).collect::<Vec<_>>()
    };
    let mut values: Vec<f64> = match kind {
        Noise::Muscle => (0..samples).map(|_| dice.bell()).collect(),
        Noise::Mains => tones(1, 50.0, 50.0, dice),
        Noise::Baseline => tones(6, 0.05, 0.5, dice),
        Noise::Motion => {
            let swing = tones(40, 0.7, 10.0, dice);
            let gate = tones(5, 0.1, 0.8, dice);
            swing.iter().zip(gate).map(|(swing, gate)| swing * (0.3 + gate.max(0.0))).collect()
        }
    };
    let deviation = crate::filter::power(&values).sqrt().max(1e-9);
    for value in &mut values {
        *value /= deviation;
    }
    values
}

/// Adds noise so that the power of the heart over that of the noise is `snr_db`.
pub fn with_noise(heart: &[f64], kind: Noise, snr_db: f64, hz: f64, dice: &mut Dice) -> Vec<f64> {
    let strength = (crate::filter::power(heart) / 10_f64.powf(snr_db / 10.0)).sqrt();
    let noise = noise(kind, heart.len(), hz, dice);
    heart.iter().zip(noise).map(|(heart, noise)| heart + strength * noise).collect()
}

/// Counts of values in mV at `scale` mV each, held at the ends of 16 bits.
pub fn counts(values: &[f64], scale: f64) -> Vec<i16> {
    values.iter().map(|value| (value / scale).round().clamp(-32_767.0, 32_767.0) as i16).collect()
}
