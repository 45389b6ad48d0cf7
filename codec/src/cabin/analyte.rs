//! What laboratories and devices call a measurement, and the metric it is.
//!
//! LOINC and MDC codes are exact. Names are what analysers and health cabins in the field print; a name never decides over a
//! code of a known system that is not in the table, because "glucose" in urine or in spinal fluid is another measurement.

use model::Metric;

/// Metric of a LOINC code.
pub(super) fn loinc(code: &str) -> Option<Metric> {
    let more = LOINC.iter().find(|(known, _)| *known == code).map(|(_, metric)| *metric);
    more.or_else(|| Metric::ALL.iter().copied().find(|metric| metric.info().loinc == Some(code)))
}

/// Metric of an ISO/IEEE 11073-10101 code.
pub(super) fn mdc(code: &str) -> Option<Metric> {
    let code = code.parse().ok()?;
    let more = MDC.iter().find(|(known, _)| *known == code).map(|(_, metric)| *metric);
    more.or_else(|| Metric::from_mdc(code))
}

/// Metric of a name, whatever its case and spacing.
pub(super) fn name(name: &str) -> Option<Metric> {
    let folded: String = name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    let known = NAMES.iter().find(|(_, names)| names.contains(&folded.as_str())).map(|(metric, _)| *metric);
    known.or_else(|| Metric::ALL.iter().copied().find(|metric| metric.slug() == name || metric.info().zh == name))
}

/// Digits, a dash and a check digit: what LOINC codes look like.
pub(super) fn looks_like_loinc(code: &str) -> bool {
    code.split_once('-').is_some_and(|(number, check)| {
        let digits =
            |text: &str, max: usize| (1..=max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        digits(number, 6) && digits(check, 1)
    })
}

/// A specimen in which glucose or uric acid is not what it is in blood.
pub(super) fn is_urine(specimen: &str) -> bool {
    let first = specimen.split(['^', '&']).next().unwrap_or_default().trim().to_lowercase();
    matches!(first.as_str(), "u" | "ur" | "urn" | "uri" | "urine" | "尿" | "尿液")
}

/// Codes beside those of the metric table: same measurement, other method or unit.
static LOINC: &[(&str, Metric)] = &[
    ("8889-8", Metric::PulseRate),
    ("8893-0", Metric::PulseRate),
    ("59408-5", Metric::Spo2),
    ("8331-1", Metric::BodyTemperature),
    ("8333-7", Metric::BodyTemperature),
    ("76270-8", Metric::RespiratoryRate),
    ("3141-9", Metric::Weight),
    ("3137-7", Metric::Height),
    // Glucose in blood, serum or plasma, by mass and by substance.
    ("2339-0", Metric::Glucose),
    ("2340-8", Metric::Glucose),
    ("2341-6", Metric::Glucose),
    ("2345-7", Metric::Glucose),
    ("14749-6", Metric::Glucose),
    ("15074-8", Metric::Glucose),
    ("41653-7", Metric::Glucose),
    ("1554-5", Metric::Glucose),
    ("1558-6", Metric::Glucose),
    ("14771-0", Metric::Glucose),
    ("2093-3", Metric::Cholesterol),
    ("2571-8", Metric::Triglycerides),
    ("3084-1", Metric::UricAcid),
    ("59261-8", Metric::HbA1c),
    ("17856-6", Metric::HbA1c),
];

/// 11073-10101: glucose in capillary and venous blood and plasma; pulse of a cuff.
static MDC: &[(u32, Metric)] =
    &[(160_188, Metric::Glucose), (160_192, Metric::Glucose), (160_196, Metric::Glucose), (149_546, Metric::PulseRate)];

/// Letters and digits only, lower case.
static NAMES: &[(Metric, &[&str])] = &[
    (Metric::Glucose, &["glu", "gluc", "glucose", "bloodglucose", "bloodsugar", "glub", "葡萄糖", "血葡萄糖", "血糖"]),
    (Metric::Cholesterol, &["chol", "tc", "tcho", "tchol", "cholesterol", "totalcholesterol", "胆固醇", "总胆固醇"]),
    (Metric::Triglycerides, &["tg", "trig", "triglycerides", "triglyceride", "甘油三酯"]),
    (Metric::UricAcid, &["ua", "uricacid", "urica", "尿酸"]),
    (Metric::HbA1c, &["hba1c", "a1c", "ghb", "糖化血红蛋白"]),
    (Metric::Systolic, &["sys", "sbp", "nibpsys", "nibps", "systolic", "收缩压", "高压"]),
    (Metric::Diastolic, &["dia", "dbp", "nibpdia", "nibpd", "diastolic", "舒张压", "低压"]),
    (Metric::MeanArterialPressure, &["map", "nibpmean", "nibpm", "平均压", "平均动脉压"]),
    (Metric::HeartRate, &["hr", "heartrate", "心率"]),
    (Metric::PulseRate, &["pr", "pulse", "pulserate", "脉率", "脉搏"]),
    (Metric::Spo2, &["spo2", "血氧", "血氧饱和度"]),
    (Metric::RespiratoryRate, &["rr", "resp", "respiratoryrate", "呼吸", "呼吸频率"]),
    (Metric::BodyTemperature, &["bodytemp", "bodytemperature", "体温"]),
    (Metric::Weight, &["wt", "weight", "bodyweight", "体重"]),
    (Metric::Height, &["ht", "height", "bodyheight", "身高"]),
    (Metric::Bmi, &["bmi", "体质指数", "体重指数"]),
    (Metric::BodyFat, &["bodyfat", "fat", "pbf", "体脂率", "体脂"]),
];
