//! From beats to intervals and a rate.

use crate::SAME_BEAT_S;

/// Time without a beat that is told as a pause, seconds (ACC/AHA/HRS 2018 guideline on bradycardia: pauses longer than 3 s).
pub const PAUSE_S: f64 = 3.0;
/// Shortest stretch whose open end says something, seconds.
const OPEN_S_MIN: f64 = 2.0;
/// An end without a beat counts as an interval when it is longer than so many of the others.
const OPEN_FACTOR: f64 = 1.6;

/// Beats a minute of RR intervals in seconds: of their mean, so that a pause and an early beat both count for what they last.
pub fn heart_rate(intervals: &[f64]) -> Option<f64> {
    let sum: f64 = intervals.iter().sum();
    (!intervals.is_empty() && sum > 0.0).then(|| 60.0 * intervals.len() as f64 / sum)
}

/// Intervals of one stretch without a gap, `length` seconds long, whose beats are at `beats` seconds. Beginning and end count
/// when they are longer than the beats let expect: what has not ended is at least that long.
pub(crate) fn intervals(beats: &[f64], length: f64) -> (Vec<f64>, Vec<f64>) {
    let closed: Vec<f64> = beats.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let mut sorted = closed.clone();
    sorted.sort_by(f64::total_cmp);
    let least = sorted.get(sorted.len() / 2).map_or(OPEN_S_MIN, |median| f64::max(median * OPEN_FACTOR, OPEN_S_MIN));
    let ends = match (beats.first(), beats.last()) {
        (Some(first), Some(last)) => vec![*first, length - last],
        _ => vec![length],
    };
    (closed, ends.into_iter().filter(|end| *end > least).collect())
}

/// Share of beats that both found: matched / (matched + of one alone), the bSQI of Li, Mark, Clifford (Physiol. Meas. 29(1), 2008).
/// Beats so near to an end that a detector may not see them count only when matched. No beats of either: they agree.
pub(crate) fn agreement(one: &[f64], other: &[f64], length: f64) -> f64 {
    let inner = |at: f64| at > 0.35 && at < length - 0.35;
    let (mut i, mut j, mut matched, mut alone) = (0, 0, 0_u32, 0_u32);
    loop {
        match (one.get(i), other.get(j)) {
            (Some(a), Some(b)) if (a - b).abs() <= SAME_BEAT_S => {
                (i, j, matched) = (i + 1, j + 1, matched + 1);
            }
            (Some(a), Some(b)) if a < b => (i, alone) = (i + 1, alone + u32::from(inner(*a))),
            (Some(a), None) => (i, alone) = (i + 1, alone + u32::from(inner(*a))),
            (_, Some(b)) => (j, alone) = (j + 1, alone + u32::from(inner(*b))),
            (None, None) => break,
        }
    }
    if matched + alone == 0 { 1.0 } else { f64::from(matched) / f64::from(matched + alone) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_counts_for_what_it_lasts_also_at_the_ends() {
        let beats: Vec<f64> = (0..5).map(|i| 0.5 + f64::from(i) * 0.8).collect();
        let (closed, open) = intervals(&beats, 10.0);
        assert_eq!((closed.len(), open.len()), (4, 1));
        let rate = heart_rate(&[closed, open].concat()).unwrap();
        assert!((30.0..33.0).contains(&rate), "five intervals in 9.5 s: {rate}");
        assert_eq!(intervals(&[], 10.0), (vec![], vec![10.0]));
        assert_eq!(intervals(&[0.4, 1.2], 1.5).1, Vec::<f64>::new());
        assert_eq!(heart_rate(&[]), None);
    }

    #[test]
    #[allow(clippy::float_cmp, reason = "quotients of small whole numbers")]
    fn two_lists_agree_as_far_as_their_beats_are_the_same() {
        let one: Vec<f64> = (1..10).map(f64::from).collect();
        let late: Vec<f64> = one.iter().map(|at| at + 0.1).collect();
        let half: Vec<f64> = one.iter().map(|at| at + 0.5).collect();
        assert_eq!(agreement(&one, &late, 11.0), 1.0);
        assert_eq!(agreement(&one, &half, 11.0), 0.0);
        assert_eq!(agreement(&one, &late[..8], 11.0), 8.0 / 9.0);
        assert_eq!(agreement(&one, &[0.1, 1.0], 11.0), 1.0 / 9.0, "one at the edge counts only when matched");
        assert_eq!(agreement(&[], &[], 11.0), 1.0);
    }
}
