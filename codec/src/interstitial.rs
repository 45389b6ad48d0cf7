//! What holds for glucose under the skin, whatever protocol tells it.

use model::Metric;

use crate::{Bound, Measured, unit};

/// A sensor under the skin says 40 and 400 mg/dL for everything below and above: bounds, not values.
pub(crate) fn clipped(reading: &Measured) -> Option<Bound> {
    let is_interstitial = reading.metric == Metric::GlucoseInterstitial;
    let raw = reading.raw.as_ref().filter(|raw| is_interstitial && raw.unit == unit::MG_PER_DL.ucum)?;
    match raw.text.as_str() {
        "40" => Some(Bound::AtMost),
        "400" => Some(Bound::AtLeast),
        _ => None,
    }
}
