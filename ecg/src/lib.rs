//! ECG and PPG: where the heart beats in a strip, how fast, and whether the strip is good enough to say so. Pure: no I/O, no clock.
//!
//! - [`Detector`]: R peaks of a running stream, sample by sample, in bounded memory (Pan and Tompkins 1985, `detector.rs`).
//! - [`read`]: a strip as a whole: peaks, RR intervals, heart rate, signal quality (`quality.rs`) with the reason.
//! - [`pulse::read`]: the same of a strip of a pulse wave (PPG).
//!
//! What this is not: a certified arrhythmia detector. It counts beats. Ventricular fibrillation, a paced rhythm or beats below
//! 0.15 mV are not recognised as what they are: they look like noise, like beats, or like none (docs/devices.md, "Heart rate
//! from ECG").

mod detector;
mod filter;
#[cfg(feature = "made")]
pub mod made;
pub mod pulse;
mod quality;
mod rhythm;
mod second;
mod strip;

pub use detector::Detector;
pub use quality::{Figures, Reason, Verdict};
pub use rhythm::{PAUSE_S, heart_rate};
pub use strip::{Finding, Quiet, best, read, read_blocks};

/// Slowest sampling that is looked at, Hz: a QRS of 80 ms has eight samples then.
pub const RATE_HZ_MIN: f64 = 100.0;
/// Faster sampling is averaged down to at most this, Hz, before anything else: 2 ms are finer than any question asked here.
pub const RATE_HZ_MAX: f64 = 500.0;
/// Beats closer than this are one, seconds: the refractory period of Pan and Tompkins.
pub const REFRACTORY_S: f64 = 0.2;
/// Peaks of two sources nearer than this are the same beat, seconds (ANSI/AAMI EC57).
pub const SAME_BEAT_S: f64 = 0.15;
