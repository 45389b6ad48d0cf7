//! The metric table: one row a metric. To add a metric, add a row; the store, the wire and the console read this table.
//!
//! Sources: MDC = ISO/IEEE 11073-10101 (partition 2, code = 131072 + term); LOINC; UCUM. Plausible ranges are Vigil's
//! guard against impossible numbers (ingest marks them `out_of_range`), not clinical limits.

use std::fmt;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

/// How a metric is measured: decides whether a gap in a trend is a gap or just the next measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// A stream while worn (bands, bedside monitors). A pause longer than minutes is a gap.
    Stream,
    /// Now and then (cuff, scale, glucose meter).
    Spot,
    /// Blocks of samples; not a number.
    Waveform,
}

/// One row of the table.
#[derive(Clone, Debug, Serialize)]
pub struct Info {
    /// Stored id. Append only, never reuse.
    pub id: u16,
    /// Word on the wire, in SQL, JSON and URLs.
    pub slug: &'static str,
    pub zh: &'static str,
    pub en: &'static str,
    /// UCUM unit.
    pub unit: &'static str,
    /// Unit as people read it.
    pub unit_shown: &'static str,
    pub loinc: Option<&'static str>,
    /// ISO/IEEE 11073 code, the key on the wire. Vigil's own metrics have codes from `0xF000_0000`.
    pub mdc: u32,
    /// MDC code of the unit, for the wire.
    pub unit_mdc: u32,
    /// Values outside are kept and marked `out_of_range`.
    #[serde(serialize_with = "range")]
    pub plausible: RangeInclusive<f64>,
    /// Decimals shown.
    pub decimals: u8,
    pub shape: Shape,
}

fn range<S: serde::Serializer>(range: &RangeInclusive<f64>, s: S) -> Result<S::Ok, S::Error> {
    [*range.start(), *range.end()].serialize(s)
}

macro_rules! metrics {
    ($($name:ident = $id:literal, $slug:literal, $zh:literal, $en:literal, $unit:literal, $shown:literal, $loinc:expr, $mdc:literal, $unit_mdc:literal, $range:expr, $decimals:literal, $shape:ident;)*) => {
        /// What was measured. Ids are stored.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum Metric { $($name = $id,)* }

        static TABLE: &[Info] = &[$(Info {
            id: $id, slug: $slug, zh: $zh, en: $en, unit: $unit, unit_shown: $shown, loinc: $loinc, mdc: $mdc,
            unit_mdc: $unit_mdc, plausible: $range, decimals: $decimals, shape: Shape::$shape,
        },)*];

        impl Metric {
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stored id back to the metric.
            pub const fn from_id(id: u16) -> Option<Self> { match id { $($id => Some(Self::$name),)* _ => None } }
            /// The wire code back to the metric.
            pub const fn from_mdc(mdc: u32) -> Option<Self> { match mdc { $($mdc => Some(Self::$name),)* _ => None } }
            pub fn from_slug(slug: &str) -> Option<Self> { match slug { $($slug => Some(Self::$name),)* _ => None } }
            const fn row(self) -> usize {
                // Ids are given in order without gaps, so the first guess is right; the search keeps a future gap correct.
                let guess = (self as usize).wrapping_sub(1);
                if guess < Self::ALL.len() && Self::ALL[guess] as u16 == self as u16 { return guess; }
                let mut i = 0; while i < Self::ALL.len() { if Self::ALL[i] as u16 == self as u16 { return i; } i += 1; }
                0
            }
        }
    };
}

// Bit 31 set: Vigil's own code, for what 11073 does not number or where the number was not verified.
metrics! {
    HeartRate = 1, "heart_rate", "心率", "Heart rate", "/min", "次/分", Some("8867-4"), 147_842, 264_864, 20.0..=300.0, 0, Stream;
    PulseRate = 2, "pulse_rate", "脉率", "Pulse rate", "/min", "次/分", Some("8867-4"), 149_530, 264_864, 20.0..=300.0, 0, Stream;
    Spo2 = 3, "spo2", "血氧饱和度", "Oxygen saturation", "%", "%", Some("2708-6"), 150_456, 262_688, 40.0..=100.0, 0, Stream;
    RespiratoryRate = 4, "respiratory_rate", "呼吸频率", "Respiratory rate", "/min", "次/分", Some("9279-1"), 151_562, 264_928, 2.0..=80.0, 0, Stream;
    Systolic = 5, "systolic", "收缩压", "Systolic pressure", "mm[Hg]", "mmHg", Some("8480-6"), 150_021, 266_016, 50.0..=300.0, 0, Spot;
    Diastolic = 6, "diastolic", "舒张压", "Diastolic pressure", "mm[Hg]", "mmHg", Some("8462-4"), 150_022, 266_016, 20.0..=200.0, 0, Spot;
    MeanArterialPressure = 7, "mean_arterial_pressure", "平均动脉压", "Mean arterial pressure", "mm[Hg]", "mmHg", Some("8478-0"), 150_023, 266_016, 30.0..=250.0, 0, Spot;
    BodyTemperature = 8, "body_temperature", "体温", "Body temperature", "Cel", "℃", Some("8310-5"), 150_364, 268_192, 25.0..=45.0, 1, Spot;
    Glucose = 9, "glucose", "血糖", "Glucose", "mmol/L", "mmol/L", Some("14743-9"), 160_184, 266_866, 0.5..=50.0, 1, Spot;
    Weight = 10, "weight", "体重", "Weight", "kg", "kg", Some("29463-7"), 188_736, 263_875, 2.0..=350.0, 1, Spot;
    Height = 11, "height", "身高", "Height", "cm", "cm", Some("8302-2"), 188_740, 263_441, 40.0..=250.0, 1, Spot;
    Bmi = 12, "bmi", "体质指数", "Body mass index", "kg/m2", "kg/m²", Some("39156-5"), 188_752, 264_096, 5.0..=100.0, 1, Spot;
    BodyFat = 13, "body_fat", "体脂率", "Body fat", "%", "%", Some("41982-0"), 188_748, 262_688, 1.0..=80.0, 1, Spot;
    Steps = 14, "steps", "步数", "Steps", "{steps}", "步", Some("55423-8"), 0xF000_0001, 262_656, 0.0..=200_000.0, 0, Spot;
    Battery = 15, "battery", "电量", "Battery", "%", "%", None, 67_996, 262_688, 0.0..=100.0, 0, Spot;
    PerfusionIndex = 16, "perfusion_index", "灌注指数", "Perfusion index", "%", "%", Some("61006-3"), 150_488, 262_688, 0.0..=30.0, 1, Stream;
    Ecg = 17, "ecg", "心电图", "ECG", "mV", "mV", Some("11524-6"), 131_328, 266_418, -20.0..=20.0, 3, Waveform;
    ArterialSystolic = 18, "arterial_systolic", "有创收缩压", "Arterial systolic pressure", "mm[Hg]", "mmHg", Some("76215-3"), 150_037, 266_016, 20.0..=300.0, 0, Stream;
    ArterialDiastolic = 19, "arterial_diastolic", "有创舒张压", "Arterial diastolic pressure", "mm[Hg]", "mmHg", Some("76213-8"), 150_038, 266_016, 10.0..=200.0, 0, Stream;
    ArterialMean = 20, "arterial_mean", "有创平均压", "Arterial mean pressure", "mm[Hg]", "mmHg", Some("76214-6"), 150_039, 266_016, 15.0..=250.0, 0, Stream;
    Ppg = 21, "ppg", "光电容积脉搏波", "PPG", "1", "", Some("76524-8"), 150_452, 262_656, -1e9..=1e9, 0, Waveform;
    SkinTemperature = 22, "skin_temperature", "体表温度", "Skin temperature", "Cel", "℃", Some("39106-0"), 150_388, 268_192, 10.0..=45.0, 1, Spot;
    GlucoseInterstitial = 23, "glucose_interstitial", "组织间液葡萄糖", "Interstitial glucose", "mmol/L", "mmol/L", Some("105272-9"), 160_212, 266_866, 0.5..=50.0, 1, Stream;
    RrInterval = 24, "rr_interval", "RR 间期", "RR interval", "ms", "ms", Some("8637-1"), 147_240, 264_338, 200.0..=3_000.0, 0, Stream;
    CuffPressure = 25, "cuff_pressure", "袖带压", "Cuff pressure", "mm[Hg]", "mmHg", None, 0xF000_0002, 266_016, 0.0..=300.0, 0, Stream;
    MusclePercentage = 26, "muscle_percentage", "肌肉率", "Muscle percentage", "%", "%", None, 0xF000_0003, 262_688, 1.0..=90.0, 1, Spot;
    MuscleMass = 27, "muscle_mass", "肌肉量", "Muscle mass", "kg", "kg", Some("73964-9"), 0xF000_0004, 263_875, 1.0..=150.0, 1, Spot;
    FatFreeMass = 28, "fat_free_mass", "去脂体重", "Fat free mass", "kg", "kg", None, 188_756, 263_875, 1.0..=200.0, 1, Spot;
    SoftLeanMass = 29, "soft_lean_mass", "软瘦组织量", "Soft lean mass", "kg", "kg", None, 188_760, 263_875, 1.0..=200.0, 1, Spot;
    BodyWater = 30, "body_water", "身体水分", "Body water", "kg", "kg", Some("73706-4"), 188_764, 263_875, 1.0..=150.0, 1, Spot;
    BasalMetabolism = 31, "basal_metabolism", "基础代谢", "Basal metabolic rate", "kcal/d", "千卡/天", None, 0xF000_0005, 0, 300.0..=5_000.0, 0, Spot;
    BodyImpedance = 32, "body_impedance", "生物电阻抗", "Body impedance", "Ohm", "Ω", None, 0xF000_0006, 266_432, 50.0..=3_000.0, 1, Spot;
    VisceralFat = 33, "visceral_fat", "内脏脂肪等级", "Visceral fat level", "1", "级", None, 0xF000_0007, 262_656, 1.0..=60.0, 0, Spot;
    HbA1c = 34, "hba1c", "糖化血红蛋白", "HbA1c", "%", "%", Some("4548-4"), 160_220, 262_688, 2.0..=25.0, 1, Spot;
    Cholesterol = 35, "cholesterol", "总胆固醇", "Total cholesterol", "mmol/L", "mmol/L", Some("14647-2"), 0xF000_0008, 266_866, 0.5..=30.0, 2, Spot;
    Triglycerides = 36, "triglycerides", "甘油三酯", "Triglycerides", "mmol/L", "mmol/L", Some("14927-8"), 0xF000_0009, 266_866, 0.1..=60.0, 2, Spot;
    UricAcid = 37, "uric_acid", "尿酸", "Uric acid", "umol/L", "μmol/L", Some("14933-6"), 0xF000_000A, 0, 20.0..=2_000.0, 0, Spot;
    RoomTemperature = 38, "room_temperature", "室温", "Room temperature", "Cel", "℃", None, 0xF000_000B, 268_192, -40.0..=80.0, 1, Stream;
    RoomHumidity = 39, "room_humidity", "室内湿度", "Room humidity", "%", "%", None, 0xF000_000C, 262_688, 0.0..=100.0, 0, Stream;
    DiskUsed = 40, "disk_used", "磁盘占用", "Disk used", "%", "%", None, 0xF000_000D, 262_688, 0.0..=100.0, 0, Spot;
    MemoryUsed = 41, "memory_used", "内存占用", "Memory used", "%", "%", None, 0xF000_000E, 262_688, 0.0..=100.0, 0, Spot;
    BoardTemperature = 42, "board_temperature", "主板温度", "Board temperature", "Cel", "℃", None, 0xF000_000F, 268_192, -40.0..=130.0, 0, Spot;
    OutboxAge = 43, "outbox_age", "待传最久时长", "Oldest unsent reading", "s", "秒", None, 0xF000_0010, 264_320, 0.0..=1e8, 0, Spot;
    OutboxDepth = 44, "outbox_depth", "待传帧数", "Frames not sent yet", "{frames}", "帧", None, 0xF000_0011, 262_656, 0.0..=1e12, 0, Spot;
}

impl Metric {
    /// The metric's row.
    pub fn info(self) -> &'static Info {
        &TABLE[self.row()]
    }

    pub const fn id(self) -> u16 {
        self as u16
    }

    pub fn slug(self) -> &'static str {
        self.info().slug
    }

    /// The value is one a living person can show.
    pub fn is_plausible(self, value: f64) -> bool {
        self.info().plausible.contains(&value)
    }
}

impl fmt::Debug for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.slug())
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.slug())
    }
}

impl Serialize for Metric {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() { s.serialize_str(self.slug()) } else { s.serialize_u16(self.id()) }
    }
}

/// A word that is no metric, and where to find those that are.
struct Unknown<'a>(&'a str);

impl fmt::Display for Unknown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word: String = self.0.chars().take(64).collect();
        write!(f, "unknown metric {word:?}; GET /api/metrics lists them all")?;
        let near = Metric::ALL.iter().filter(|metric| {
            let slug = metric.slug();
            slug.contains(word.as_str()) || slug.split('_').any(|part| part.len() > 3 && word.contains(part))
        });
        for (nth, metric) in near.take(4).enumerate() {
            write!(f, "{}{metric}", if nth == 0 { "; near: " } else { ", " })?;
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Metric {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        if d.is_human_readable() {
            let slug = std::borrow::Cow::<'de, str>::deserialize(d)?;
            Self::from_slug(&slug).ok_or_else(|| D::Error::custom(Unknown(&slug)))
        } else {
            let id = u16::deserialize(d)?;
            Self::from_id(id).ok_or_else(|| D::Error::custom(format!("unknown metric id {id}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_key_is_unique_and_found_again() {
        let mut labels = HashSet::new();
        for metric in Metric::ALL.iter().copied() {
            let info = metric.info();
            assert_eq!(info.id, metric.id());
            assert_eq!(Metric::from_id(info.id), Some(metric));
            assert_eq!(Metric::from_mdc(info.mdc), Some(metric));
            assert_eq!(Metric::from_slug(info.slug), Some(metric));
            assert!(labels.insert(info.zh) && labels.insert(info.en), "{metric}: label used twice");
            assert!(info.plausible.start() < info.plausible.end(), "{metric}");
            assert!(!info.unit.is_empty());
        }
    }

    #[test]
    fn zero_is_not_a_plausible_vital_sign() {
        for metric in [Metric::HeartRate, Metric::Spo2, Metric::Systolic, Metric::RespiratoryRate, Metric::Glucose] {
            assert!(!metric.is_plausible(0.0), "{metric}");
            assert!(!metric.is_plausible(f64::NAN), "{metric}");
        }
    }
}
