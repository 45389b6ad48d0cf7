//! MIT-BIH 100 and the noise-stress records 118e24 and 118e00 against their annotated beats. SKIPPED where they are not.

use std::path::PathBuf;

use model::Rate;
use vigil_ecg as ecg;
use vigil_ecg::{Detector, Finding, SAME_BEAT_S, Verdict};

/// A file of the shared recordings.
pub(crate) fn shared(kind: &str, name: &str) -> Option<PathBuf> {
    let beside = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data"));
    let folder = std::env::var_os("VIGIL_SHARED_DATA").map_or(beside, PathBuf::from);
    let path = folder.join(kind).join(name);
    if path.is_file() {
        return Some(path);
    }
    eprintln!("SKIPPED: {name} is not there");
    None
}

/// Found, of the annotated ones; and annotated, of the found ones.
fn score(found: &[f64], annotated: &[f64]) -> (usize, usize, usize) {
    let mut open: Vec<f64> = annotated.to_vec();
    let hits = found.iter().filter(|at| {
        let near = open.iter().position(|beat| (*beat - **at).abs() <= SAME_BEAT_S);
        near.map(|index| open.remove(index)).is_some()
    });
    let hits = hits.count();
    (hits, annotated.len() - hits, found.len() - hits)
}

fn percent(part: usize, of: usize) -> f64 {
    100.0 * part as f64 / of.max(1) as f64
}

/// The first lead of a WFDB record of format 212 with two signals, and its annotated beats in seconds.
fn mit_bih() -> Option<(Vec<i16>, Vec<f64>)> {
    let bytes = std::fs::read(shared("ecg", "100.dat")?).unwrap();
    let signed = |raw: u16| if raw >= 2_048 { raw as i16 - 4_096 } else { raw as i16 };
    let lead = bytes.chunks_exact(3).map(|three| signed(u16::from(three[0]) + 256 * u16::from(three[1] % 16)) - 1_024);
    let text = std::fs::read_to_string(shared("ecg", "100_beats.csv")?).unwrap();
    let beats = text.lines().skip(1).filter_map(|line| {
        let mut cells = line.split(',');
        let (sample, symbol) = (cells.next()?.parse::<f64>().ok()?, cells.nth(1)?);
        ("NLRBAaJSVrFejnE/fQ?".contains(symbol) && !symbol.is_empty()).then_some(sample / 360.0)
    });
    Some((lead.collect(), beats.collect()))
}

fn seconds(found: &Finding, hz: f64) -> Vec<f64> {
    found.peaks.iter().map(|peak| *peak as f64 / hz).collect()
}

#[test]
fn mit_bih_100_as_a_stream_and_in_strips() {
    let Some((counts, annotated)) = mit_bih() else { return };
    assert_eq!((counts.len(), annotated.len()), (650_000, 2_273));
    let (mut detector, mut found) = (Detector::new(360.0).unwrap(), Vec::new());
    for count in &counts {
        detector.push(f64::from(*count) * 0.005, &mut found);
    }
    detector.finish(&mut found);
    let stream: Vec<f64> = found.iter().map(|at| *at as f64 / 360.0).collect();
    let (hits, missed, extra) = score(&stream, &annotated);
    eprintln!(
        "MIT-BIH 100, stream: {hits} hits, {missed} missed, {extra} extra; sensitivity {:.2} %, PPV {:.2} %",
        percent(hits, hits + missed),
        percent(hits, hits + extra)
    );
    assert!(missed <= 5 && extra <= 5);
    let (mut tally, mut usable, mut worst, mut strips) = ((0, 0, 0), 0, 0.0_f64, 0);
    for (index, strip) in counts.chunks_exact(3_600).enumerate() {
        let read = ecg::read(Rate { samples: 360, seconds: 1 }, 0.005, strip);
        let from = index as f64 * 10.0;
        let inside: Vec<f64> = annotated.iter().map(|at| at - from).filter(|at| (0.0..10.0).contains(at)).collect();
        let (hits, missed, extra) = score(&seconds(&read, 360.0), &inside);
        tally = (tally.0 + hits, tally.1 + missed, tally.2 + extra);
        usable += usize::from(read.verdict == Verdict::Usable);
        strips += 1;
        let rr: Vec<f64> = inside.windows(2).map(|pair| pair[1] - pair[0]).collect();
        if let (Some(rate), Some(truth)) = (read.heart_rate, ecg::heart_rate(&rr)) {
            worst = worst.max((rate - truth).abs());
        }
        if read.verdict != Verdict::Usable {
            eprintln!("at {from} s: {:?} {:?} {:?}", read.verdict, read.reason, read.figures);
        }
    }
    let (hits, missed, extra) = tally;
    eprintln!(
        "MIT-BIH 100, strips of 10 s: sensitivity {:.2} %, PPV {:.2} %; {usable} of {strips} usable; rate off by {worst:.1}/min at worst",
        percent(hits, hits + missed),
        percent(hits, hits + extra)
    );
    assert!(percent(hits, hits + missed) > 99.0 && percent(hits, hits + extra) > 99.0);
    assert!(usable * 100 >= strips * 95 && worst < 6.0);
}

/// One column of numbers.
fn column(name: &str) -> Option<Vec<f64>> {
    let text = std::fs::read_to_string(shared("ecg", name)?).unwrap();
    Some(text.lines().filter_map(|line| line.trim().parse().ok()).collect())
}

/// Two minutes of record 118 with electrode motion at a stated signal-to-noise ratio.
fn stress(name: &str) -> Option<(usize, usize, usize, f64)> {
    let (values, annotated) = (column(&format!("{name}.csv"))?, column(&format!("{name}_ann.csv"))?);
    let annotated: Vec<f64> = annotated.iter().map(|sample| sample / 360.0).collect();
    let counts = ecg::made::counts(&values, 0.005);
    let (mut verdicts, mut tally, mut worst) = ([0; 3], (0, 0, 0), 0.0_f64);
    for (index, strip) in counts.chunks_exact(3_600).enumerate() {
        let read = ecg::read(Rate { samples: 360, seconds: 1 }, 0.005, strip);
        verdicts[read.verdict as usize] += 1;
        let from = index as f64 * 10.0;
        let inside: Vec<f64> = annotated.iter().map(|at| at - from).filter(|at| (0.0..10.0).contains(at)).collect();
        let one = score(&seconds(&read, 360.0), &inside);
        let truth = ecg::heart_rate(&inside.windows(2).map(|pair| pair[1] - pair[0]).collect::<Vec<_>>());
        eprintln!(
            "{name} {from:>4} s {:?} {:?} rate {:?} of {truth:?}, {one:?}, {:.2?}",
            read.verdict, read.reason, read.heart_rate, read.figures
        );
        tally = (tally.0 + one.0, tally.1 + one.1, tally.2 + one.2);
        if let (Some(rate), Some(truth)) = (read.heart_rate, truth) {
            worst = worst.max((rate - truth).abs());
        }
    }
    let (hits, missed, extra) = tally;
    eprintln!(
        "{name}: sensitivity {:.1} %, PPV {:.1} %; usable, doubtful, unusable {verdicts:?}; rates told are off by {worst:.1}/min at worst",
        percent(hits, hits + missed),
        percent(hits, hits + extra)
    );
    Some((verdicts[0], verdicts[1], verdicts[2], worst))
}

#[test]
fn electrode_motion_is_told_from_a_heart() {
    let (Some(clean), Some(noisy)) = (stress("118e24"), stress("118e00")) else { return };
    assert!(clean.2 == 0, "24 dB can be read: {clean:?}");
    assert!(noisy.3 < 20.0, "what is told is not far off: {noisy:?}");
}
