//! Day and night: means of both, and for blood pressure how far it falls at night. Pure.
//!
//! Sources: European Society of Hypertension, position paper on ambulatory blood pressure monitoring (O'Brien and others,
//! J Hypertens 2013; 31: 1731-1768): fixed narrow times 09:00-21:00 and 01:00-06:00, which leave out getting up and going to bed; at
//! least 20 valid readings by day and 7 at night, of one recording of 24 hours (readings gathered over weeks are no recording); dipping by the fall of the night's mean: extreme more than 20 %, normal 10-20 %,
//! reduced 0-10 %, none or rising ("riser") below 0.

use serde_json::{Value, json};

use super::series::Point;
use super::stats::mean;
use super::{DAY_US, rounded};

/// Minutes of the wall clock, from and to.
const DAY: (u16, u16) = (9 * 60, 21 * 60);
const NIGHT: (u16, u16) = (60, 6 * 60);
/// Readings needed by day and at night.
const DAY_MIN: usize = 20;
const NIGHT_MIN: usize = 7;
/// Fall of the night's mean, in percent of the day's: from here on a dipper, and beyond here an extreme one.
const DIPPER: f64 = 10.0;
const EXTREME: f64 = 20.0;
const SOURCE: &str =
    "ESH 2013 (J Hypertens 31:1731): one 24 h recording, 09:00-21:00 / 01:00-06:00, >= 20 by day and 7 at night";

/// How blood pressure behaves at night.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dipping {
    Extreme,
    Dipper,
    Reduced,
    Riser,
}

impl Dipping {
    fn of(percent: f64) -> Self {
        match percent {
            _ if percent > EXTREME => Self::Extreme,
            _ if percent >= DIPPER => Self::Dipper,
            _ if percent >= 0.0 => Self::Reduced,
            _ => Self::Riser,
        }
    }

    const fn slug(self) -> &'static str {
        match self {
            Self::Extreme => "extreme",
            Self::Dipper => "dipper",
            Self::Reduced => "reduced",
            Self::Riser => "riser",
        }
    }
}

fn within(points: &[Point], (from, to): (u16, u16)) -> impl Iterator<Item = f64> + use<'_> {
    points.iter().filter(move |point| (from..to).contains(&point.shown.minute)).map(|point| point.value)
}

/// The latest 24 hours that are a recording: enough readings by day and at night. Points are in time order.
fn recording(points: &[Point]) -> Option<&[Point]> {
    let is_in = |point: &Point, (from, to): (u16, u16)| usize::from((from..to).contains(&point.shown.minute));
    let (mut first, mut day, mut night) = (points.len(), 0, 0);
    for (last, end) in points.iter().enumerate().rev() {
        while let Some(before) = first.checked_sub(1).and_then(|place| points.get(place))
            && end.at.since_us(before.at) < DAY_US
        {
            (first, day, night) = (first - 1, day + is_in(before, DAY), night + is_in(before, NIGHT));
        }
        if day >= DAY_MIN && night >= NIGHT_MIN {
            return points.get(first..=last);
        }
        (day, night) = (day - is_in(end, DAY), night - is_in(end, NIGHT));
    }
    None
}

/// `pressure`: dipping has a meaning.
pub(super) fn day_night(points: &[Point], pressure: bool, decimals: u8) -> Value {
    let (day, night): (Vec<f64>, Vec<f64>) = (within(points, DAY).collect(), within(points, NIGHT).collect());
    let recording = recording(points).filter(|_| pressure);
    let why = match () {
        () if day.len() < DAY_MIN => Some("too_few_by_day"),
        () if night.len() < NIGHT_MIN => Some("too_few_at_night"),
        () if recording.is_none() => Some("no_24h_recording"),
        () => None,
    };
    let of_recording = |times| recording.map(|points| within(points, times).collect::<Vec<f64>>()).unwrap_or_default();
    let (by_day, at_night) = (of_recording(DAY), of_recording(NIGHT));
    // Judged as it is shown.
    let percent = match (mean(&by_day), mean(&at_night)) {
        (Some(day), Some(night)) if day > 0.0 => Some(rounded((1.0 - night / day) * 100.0, 1)),
        _ => None,
    };
    let part = |(from, to): (u16, u16), values: &[f64]| {
        let mean = mean(values).map(|mean| rounded(mean, decimals + 1));
        json!({ "from": clock(from), "to": clock(to), "n": values.len(), "mean": mean })
    };
    let recording = recording.and_then(|points| Some((points.first()?.at, points.last()?.at)));
    let recording = recording.map(
        |(from, to)| json!({ "from": from, "to": to, "day": part(DAY, &by_day), "night": part(NIGHT, &at_night) }),
    );
    json!({
        "day": part(DAY, &day), "night": part(NIGHT, &night), "recording": recording, "dip_percent": percent,
        "dipping": percent.map(|percent| Dipping::of(percent).slug()), "why": why.filter(|_| pressure),
        "needs": { "day": DAY_MIN, "night": NIGHT_MIN }, "source": SOURCE,
    })
}

/// Minutes since midnight as people write them; the end of a day is 24:00.
pub(super) fn clock(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

#[cfg(test)]
mod tests {
    use super::super::series::tests::points_at;
    use super::*;

    /// Home readings gathered over weeks are many, and no recording of 24 hours.
    #[test]
    fn readings_of_many_days_are_no_recording() {
        let mut all = Vec::new();
        for day in 1..=20 {
            all.extend(points_at(&format!("2026-10-{day:02}"), &[(3 * 60, 100.0), (10 * 60, 140.0), (20 * 60, 140.0)]));
        }
        let found = day_night(&all, true, 0);
        assert_eq!((&found["dipping"], &found["dip_percent"]), (&Value::Null, &Value::Null));
        assert_eq!((&found["why"], &found["recording"]), (&json!("no_24h_recording"), &Value::Null));
        assert_eq!((&found["day"]["n"], &found["night"]["n"]), (&json!(40), &json!(20)));
        // One recording among them, and home readings after it: judged by itself.
        all.extend(points_at("2026-10-21", &[(9 * 60, 150.0); 20]));
        all.extend(points_at("2026-10-22", &[(3 * 60, 147.0); 7]));
        all.extend(points_at("2026-10-23", &[(3 * 60, 90.0), (10 * 60, 190.0)]));
        let found = day_night(&all, true, 0);
        assert_eq!(
            (&found["dip_percent"], &found["dipping"], &found["why"]),
            (&json!(2.0), &json!("reduced"), &Value::Null)
        );
        let recording = &found["recording"];
        assert_eq!((&recording["day"]["n"], &recording["night"]["n"]), (&json!(20), &json!(7)));
        assert_eq!((&recording["day"]["mean"], &recording["night"]["mean"]), (&json!(150.0), &json!(147.0)));
        // A night more than 24 hours after the first of the day is another recording.
        let mut apart = points_at("2026-10-21", &[(9 * 60, 150.0); 20]);
        apart.extend(points_at("2026-10-23", &[(3 * 60, 147.0); 7]));
        assert_eq!(day_night(&apart, true, 0)["why"], json!("no_24h_recording"));
    }

    /// 20 values of 140 by day and 7 at night: 126 is 10 % less, exactly.
    #[test]
    fn dipping_by_hand() {
        let with_night = |night: f64, n: usize| {
            let mut all = points_at("2026-11-20", &[(9 * 60, 140.0); 20]);
            all.extend(points_at("2026-11-21", &vec![(3 * 60, night); n]));
            // Getting up and going to bed do not count.
            all.extend(points_at("2026-11-21", &[(6 * 60, 300.0), (21 * 60, 300.0), (30, 300.0)]));
            day_night(&all, true, 0)
        };
        let found = with_night(126.0, 7);
        assert_eq!((&found["dip_percent"], &found["dipping"]), (&json!(10.0), &json!("dipper")));
        assert_eq!((&found["day"]["mean"], &found["night"]["mean"]), (&json!(140.0), &json!(126.0)));
        assert_eq!((&found["day"]["from"], &found["night"]["to"]), (&json!("09:00"), &json!("06:00")));
        for (night, dipping) in
            [(111.0, "extreme"), (112.0, "dipper"), (127.0, "reduced"), (140.0, "reduced"), (141.0, "riser")]
        {
            assert_eq!(with_night(night, 7)["dipping"], json!(dipping), "{night}");
        }
        let thin = with_night(126.0, 6);
        assert_eq!((&thin["dipping"], &thin["why"]), (&Value::Null, &json!("too_few_at_night")));
        assert_eq!(thin["night"]["mean"], json!(126.0), "the mean is shown with how many it is of");
        let pulse = day_night(&points_at("2026-11-20", &[(600, 70.0); 30]), false, 0);
        assert_eq!((&pulse["dipping"], &pulse["why"]), (&Value::Null, &Value::Null), "not a pressure");
    }
}
