//! Units on the wire: the metric's own, a known other one (converted once, here), or unknown (the value is doubtful).
//!
//! kPa for mmHg and mg/dL for mmol/L are the dangerous mix-ups. Codes: ISO/IEEE 11073-10101 partition 4 (262144 + term).

use model::Metric;

pub(super) enum Fit {
    /// The metric's own unit.
    Own,
    /// Was in a known other unit; the value in the metric's own.
    Converted(f64),
    /// We do not know how to read the number.
    Unknown,
}

const MMHG: u32 = 266_016;
const KPA: u32 = 265_987;
const MMOL_L: u32 = 266_866;
const MG_DL: u32 = 264_274;
const CEL: u32 = 268_192;
const FAHR: u32 = 266_560;
const KG: u32 = 263_875;
const G: u32 = 263_872;
const LB: u32 = 263_904;
const CM: u32 = 263_441;
const M: u32 = 263_424;
/// Beats, breaths and plain counts a minute are one unit to us: the metric says what is counted.
const PER_MINUTE: [u32; 3] = [264_864, 264_928, 264_832];

const MMHG_PER_KPA: f64 = 7.500_62;
/// Molar mass of glucose, 180.16 g/mol, over ten.
const MG_DL_PER_MMOL_L: f64 = 18.016;
const KG_PER_LB: f64 = 0.453_592_37;

/// `value` of the unit `code` in the metric's own unit; `None` when the code is not one we can read for this metric.
pub fn in_own_unit(metric: Metric, code: u32, value: f64) -> Option<f64> {
    match to_own(metric, code, value) {
        Fit::Own => Some(value),
        Fit::Converted(converted) => Some(converted),
        Fit::Unknown => None,
    }
}

/// Reads `value` in the unit `code` (0: not stated, so the metric's own).
pub(super) fn to_own(metric: Metric, code: u32, value: f64) -> Fit {
    let own = metric.info().unit_mdc;
    if code == own || code == 0 || (PER_MINUTE.contains(&own) && PER_MINUTE.contains(&code)) {
        return Fit::Own;
    }
    let converted = match (own, code) {
        (MMHG, KPA) => value * MMHG_PER_KPA,
        // The molar mass belongs to glucose alone.
        (MMOL_L, MG_DL) if metric == Metric::Glucose => value / MG_DL_PER_MMOL_L,
        (CEL, FAHR) => (value - 32.0) * 5.0 / 9.0,
        (KG, LB) => value * KG_PER_LB,
        (KG, G) => value / 1_000.0,
        (CM, M) => value * 100.0,
        _ => return Fit::Unknown,
    };
    // Three decimals are beyond what any of these devices measures, and keep 16 kPa from becoming 120.00991999999999.
    Fit::Converted((converted * 1_000.0).round() / 1_000.0)
}
