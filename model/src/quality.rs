//! Quality of a measurement: a value is present (perhaps doubtful), or absent with a coded cause. Never a sentinel number.

use serde::{Deserialize, Serialize};

macro_rules! qualities {
    ($($(#[$doc:meta])* $name:ident = $id:literal, $slug:literal, $zh:literal, value: $value:literal, judged: $judged:literal;)*) => {
        /// Coded quality. Ids are stored: append only, never reuse.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[repr(u8)]
        pub enum Quality { $($(#[$doc])* $name = $id,)* }

        impl Quality {
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Word on the wire, in SQL and in JSON.
            pub const fn slug(self) -> &'static str { match self { $(Self::$name => $slug,)* } }
            /// Word on Chinese screens.
            pub const fn zh(self) -> &'static str { match self { $(Self::$name => $zh,)* } }
            /// A number stands beside this code.
            pub const fn has_value(self) -> bool { match self { $(Self::$name => $value,)* } }
            /// Rules may judge the value. Doubtful values are stored and drawn, never judged.
            pub const fn is_judged(self) -> bool { match self { $(Self::$name => $judged,)* } }
            pub const fn id(self) -> u8 { self as u8 }
            pub fn from_id(id: u8) -> Option<Self> { Self::ALL.iter().copied().find(|q| q.id() == id) }
            pub fn parse(slug: &str) -> Option<Self> { Self::ALL.iter().copied().find(|q| q.slug() == slug) }
        }
    };
}

qualities! {
    /// A good value.
    Ok = 0, "ok", "正常", value: true, judged: true;
    /// The sensor moved while measuring; the value is kept and not judged.
    Motion = 1, "motion", "有体动", value: true, judged: false;
    /// The device said its battery was low while measuring.
    LowBattery = 2, "low_battery", "电量低", value: true, judged: true;
    /// The time of measuring is not sure.
    ClockSuspect = 3, "clock_suspect", "时间可疑", value: true, judged: false;
    /// The unit does not fit the value (kPa for mmHg, mg/dL for mmol/L).
    UnitSuspect = 4, "unit_suspect", "单位可疑", value: true, judged: false;
    /// Outside what a living person can show; kept as received, never judged.
    OutOfRange = 5, "out_of_range", "超出合理范围", value: true, judged: false;
    /// The device itself doubts the value (questionable pulse, sample too small); kept, never judged.
    Questionable = 6, "questionable", "设备存疑", value: true, judged: false;
    /// The signal behind the value (its ECG) is too noisy to count heart beats in; kept, never judged.
    Noisy = 7, "noisy", "信号质量差", value: true, judged: false;
    /// No value and no cause given.
    Absent = 16, "absent", "无数值", value: false, judged: false;
    /// Off the body: finger out, band not worn.
    SensorOff = 17, "sensor_off", "探头脱落", value: false, judged: false;
    /// The device tried and failed (cuff error).
    MeasurementFailed = 18, "measurement_failed", "测量失败", value: false, judged: false;
    /// ECG lead off.
    LeadOff = 19, "lead_off", "导联脱落", value: false, judged: false;
    /// Above what the device can measure ("HI"). Of a measurement made now and then beyond every upper limit, though it has no number.
    OverRange = 20, "over_range", "高于量程", value: false, judged: false;
    /// Below what the device can measure ("LO"). Of a measurement made now and then beyond every lower limit.
    UnderRange = 21, "under_range", "低于量程", value: false, judged: false;
    /// A device's special value ("not a number", "not at this resolution", reserved).
    SpecialValue = 22, "special_value", "特殊值", value: false, judged: false;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_slugs_are_unique_and_found_again() {
        for quality in Quality::ALL {
            assert_eq!(Quality::from_id(quality.id()), Some(*quality));
            assert_eq!(Quality::parse(quality.slug()), Some(*quality));
            assert!(quality.has_value() || !quality.is_judged(), "{quality:?}: nothing to judge");
        }
    }
}
