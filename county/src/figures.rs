//! Every number of the model, each with where it is from. `facts` are the documents quoted in docs/county.md, `recording` is
//! MIMIC II s00001 (32 h of one patient, a row a minute) and `assumed` means that no source was found: change it and look.

/// 2026-11-16 00:00 in Shanghai, a Monday.
pub(crate) const START_S: i64 = 1_794_758_400;
pub(crate) const MINUTE_US: i64 = 60_000_000;
pub(crate) const DAY_MIN: i64 = 1_440;
/// Seconds between two ticks. The server's are 5 s apart; silence is that exact, and nothing else depends on it.
pub(crate) const TICK_S: i64 = 15;

// ---- who there is ----

/// Townships of the county: one in ten of its people lose their power at once (facts: "township (10 %)").
pub(crate) const TOWNSHIPS: u32 = 10;
/// Of those from 60 years on, younger than 65 (assumed; 2020 census as remembered).
pub(crate) const YOUNGER_THAN_65: f64 = 0.28;
/// Hypertension, with a cuff at home (facts: 55 %, two readings a day: 52,500 in the county).
pub(crate) const CUFF: f64 = 0.55;
/// A glucose meter, one finger prick a day (assumed).
pub(crate) const GLUCOSE: f64 = 0.08;
/// A finger clip for oxygen, a minute every morning (assumed).
pub(crate) const CLIP: f64 = 0.05;
/// Of those, chronic low oxygen with a doctor's flag: NEWS2 scale 2 judges them (assumed).
pub(crate) const CLIP_SCALE2: f64 = 0.2;
/// A thermometer, every morning (assumed).
pub(crate) const THERMOMETER: f64 = 0.05;
/// Heart failure, with a scale, every morning (assumed).
pub(crate) const HEART_FAILURE: f64 = 0.02;

// ---- cuffs ----

/// Both readings of a day in the morning; the others one in the morning and one in the evening. 80 % of all readings are then in
/// two morning hours (facts).
pub(crate) const BOTH_IN_THE_MORNING: f64 = 0.6;
/// Minutes of the day.
pub(crate) const MORNING: (f64, f64) = (390.0, 510.0);
pub(crate) const EVENING: (f64, f64) = (1_020.0, 1_260.0);
/// Means of treated people: chosen so that 1 % of single readings are 180 or 110 and more (facts: 1 % of cuff readings in crisis);
/// a test shows it.
pub(crate) const SYSTOLIC: (f64, f64) = (142.0, 12.0);
pub(crate) const DIASTOLIC: (f64, f64) = (80.0, 8.0);
/// One person's cuff readings spread by 9.9 and 6.5 mmHg (recording, NBP): half of the variance is the body from hour to hour, half
/// the measurement.
pub(crate) const SYSTOLIC_BODY_SD: f64 = 7.0;
pub(crate) const DIASTOLIC_BODY_SD: f64 = 4.6;
pub(crate) const SYSTOLIC_CUFF_SD: f64 = 7.0;
pub(crate) const DIASTOLIC_CUFF_SD: f64 = 4.6;
/// A measurement fails, and is made again two minutes later (assumed).
pub(crate) const CUFF_FAILS: f64 = 0.03;
/// A badly placed cuff or an arm that moves, and the extra spread in mmHg (assumed).
pub(crate) const CUFF_BAD: f64 = 0.01;
pub(crate) const CUFF_BAD_SD: f64 = 20.0;
/// An elder who is asked to measure again does so within one to five minutes (facts: re-measure prompt within 1-5 min; how many do
/// is assumed).
pub(crate) const MEASURES_AGAIN: f64 = 0.8;

// ---- other measurements now and then ----

/// Fasting glucose of treated diabetics, mmol/L, between and within people (assumed; low and high ends are rare).
pub(crate) const GLUCOSE_MEAN: (f64, f64) = (7.6, 1.3);
pub(crate) const GLUCOSE_BODY_SD: f64 = 1.0;
/// Meters of ISO 15197 are within 15 % in 95 of 100 cases.
pub(crate) const GLUCOSE_METER_SD_SHARE: f64 = 0.07;
/// Meters whose clock was never set: their stored records have no sure time and are not judged (facts: clock errors; share assumed).
pub(crate) const CLOCK_NEVER_SET: f64 = 0.01;
pub(crate) const TEMPERATURE: (f64, f64) = (36.5, 0.2);
pub(crate) const TEMPERATURE_BODY_SD: f64 = 0.15;
pub(crate) const THERMOMETER_SD: f64 = 0.1;
/// Weight from morning to morning and of the scale, kg (assumed).
pub(crate) const WEIGHT: (f64, f64) = (62.0, 9.0);
pub(crate) const WEIGHT_BODY_SD: f64 = 0.35;
pub(crate) const SCALE_SD: f64 = 0.1;
/// Readings of one sitting with a finger clip, ten seconds apart (facts: hold for a minute at least).
pub(crate) const CLIP_READINGS: i64 = 7;
pub(crate) const CLIP_SCALE2_MEAN: (f64, f64) = (90.5, 1.0);
/// Their limits of P1 lie 8 % lower (NEWS2: 83 instead of 91), and so do their crises.
pub(crate) const CLIP_SCALE2_LOWER: f64 = 8.0;

// ---- bands: a report a minute of heart rate, oxygen and respiration ----

/// Per vital sign: middle and spread between people (assumed, around the simulator's), slow wander of a body and its memory in
/// minutes, fast scatter of a sensor (recording: 2.23 /min, 0.37 %, 1.63 /min around the running median), share of minutes in which a
/// stray value begins, its size (recording: 5 in 1,890, 3 in 1,573 and 38 in 1,891 minutes).
pub(crate) struct Sign {
    pub(crate) mean: (f64, f64),
    pub(crate) body_sd: f32,
    pub(crate) body_memory_min: f32,
    pub(crate) sensor_sd: f32,
    pub(crate) stray: f64,
    /// Lowest and highest size of it.
    pub(crate) stray_by: (f64, f64),
    /// Share that goes up.
    pub(crate) stray_up: f64,
    /// What full activity adds, and night takes (the simulator's).
    pub(crate) activity: f32,
    pub(crate) night: f32,
}

pub(crate) const SIGNS: [Sign; 3] = [
    // Heart rate, /min. Slow wander: recording, 3.7 in all and 0.28 after five minutes.
    Sign {
        mean: (71.0, 8.0),
        body_sd: 2.5,
        body_memory_min: 40.0,
        sensor_sd: 2.2,
        stray: 0.0026,
        stray_by: (12.0, 42.0),
        stray_up: 0.9,
        activity: 14.0,
        night: -6.0,
    },
    // Oxygen, %. Recording: 1.11 in all, 0.74 after a quarter of an hour, 0.45 after an hour.
    Sign {
        mean: (97.0, 0.7),
        body_sd: 0.9,
        body_memory_min: 60.0,
        sensor_sd: 0.37,
        stray: 0.0019,
        stray_by: (3.0, 6.0),
        stray_up: 0.0,
        activity: -0.3,
        night: -0.5,
    },
    // Respiration, /min. Recording: 2.49 in all, 0.27 after a quarter of an hour and 0.23 after an hour.
    Sign {
        mean: (15.5, 1.3),
        body_sd: 1.3,
        body_memory_min: 120.0,
        sensor_sd: 1.63,
        stray: 0.020,
        stray_by: (5.0, 8.0),
        stray_up: 0.85,
        activity: 1.8,
        night: -1.2,
    },
];
/// A stray value lasts longer than a minute (recording: 8 of 46 runs).
pub(crate) const STRAY_GOES_ON: f64 = 0.17;
/// The device itself marks a stray value as motion (assumed).
pub(crate) const STRAY_MARKED: f64 = 0.5;
/// Activity above which half of the minutes are marked as motion (assumed).
pub(crate) const MOTION_FROM: f32 = 0.7;
/// Oxygen sensor without contact: begins in this share of minutes, lasts so many on average (recording: 11 runs in 32 h, in all 363
/// minutes; a third of the length assumed for a strap).
pub(crate) const SENSOR_OFF: f64 = 0.0057;
pub(crate) const SENSOR_OFF_MIN: f64 = 10.0;
/// Battery, % a minute: empty in two and a half days; charged in the evening for an hour, forgotten so often (assumed).
pub(crate) const DRAIN: f32 = 100.0 / 3_600.0;
pub(crate) const FORGETS_TO_CHARGE: f64 = 0.15;
/// Bands that say by an event that they were taken off (assumed).
pub(crate) const SAYS_REMOVED: f64 = 0.5;

// ---- lines ----

/// Interruptions of a home's line a day, their middle length in minutes and the spread of its logarithm (assumed: most are minutes,
/// one in eight is longer than half an hour), the longest.
pub(crate) const LINE_CUTS_A_DAY: f64 = 0.2;
pub(crate) const LINE_CUT_MIN: f64 = 6.0;
pub(crate) const LINE_CUT_SPREAD: f64 = 1.4;
pub(crate) const LINE_CUT_LONGEST_MIN: f64 = 720.0;
/// The township without power: six hours (facts: "township back after 6 h"), from 13:00 of the middle day; gateways come back within a
/// quarter of an hour and then empty their outboxes, so many frames a second (assumed).
pub(crate) const POWER_CUT_FROM_MIN: i64 = 780;
pub(crate) const POWER_CUT_MIN: i64 = 360;
pub(crate) const BACK_WITHIN_MIN: f64 = 15.0;
pub(crate) const DRAINS_PER_S: i64 = 5;
/// Devices that are ahead of or behind the server by up to two minutes after all correction (assumed).
pub(crate) const CLOCK_OFF: f64 = 0.01;
pub(crate) const CLOCK_OFF_S: f64 = 120.0;

// ---- calls ----

/// Presses a day and elder (facts: 1 %).
pub(crate) const SOS_A_DAY: f64 = 0.01;
/// Real ones (facts: 89 % of 10,207 emergency calls in 南宁 2005 were invalid).
pub(crate) const SOS_REAL: f64 = 0.11;
/// Pressed again within five minutes; a mistaken press cancelled at the device (assumed).
pub(crate) const SOS_AGAIN: f64 = 0.3;
pub(crate) const SOS_CANCELLED: f64 = 0.2;
/// Falls of a wearer a day (assumed: three in ten from 65 years on fall once a year), and detections without a fall (assumed).
pub(crate) const FALL_A_DAY: f64 = 0.0008;
pub(crate) const FALL_FALSE_A_DAY: f64 = 0.02;

// ---- crises of the scenario, a day and person who has the device (chosen to have some of each, not epidemiology) ----

pub(crate) const HYPERTENSIVE_A_DAY: f64 = 0.0005;
pub(crate) const DESATURATION_A_DAY: f64 = 0.002;
pub(crate) const BRADYCARDIA_A_DAY: f64 = 0.001;
pub(crate) const TACHYCARDIA_A_DAY: f64 = 0.001;
pub(crate) const HYPOGLYCAEMIA_A_DAY: f64 = 0.003;
pub(crate) const FEVER_A_DAY: f64 = 0.003;
pub(crate) const WEIGHT_GAIN_A_DAY: f64 = 0.003;
/// Minutes for which streams show one (facts of the task: ten).
pub(crate) const CRISIS_MIN: i64 = 10;

// ---- seats ----

/// Mean handling of a real alarm and of a false one, seconds (facts, section 4: tables for 240 and 120 s).
pub(crate) const HANDLING_REAL_S: f64 = 240.0;
pub(crate) const HANDLING_FALSE_S: f64 = 120.0;
/// EEMUA 191: one in ten minutes, 6 an hour; peak hour 15; flood above 10 in ten minutes, over below 5.
pub(crate) const EEMUA_PER_HOUR: f64 = 6.0;
pub(crate) const EEMUA_PEAK_HOUR: f64 = 15.0;
pub(crate) const FLOOD_ABOVE: u32 = 10;
pub(crate) const FLOOD_OVER_BELOW: u32 = 5;
/// Silences of one township within ten minutes that are one incident.
pub(crate) const INCIDENT_FROM: usize = 10;
