//! Recordings as files: a real one, checked against what its header says of it, and ten thousand damaged ones.

use rand::rngs::SmallRng;
use rand::{Rng, RngCore, SeedableRng};
use vigil_codec::import::{NO_SAMPLE, edf, wfdb};

/// Damaged files a format, as everywhere in this crate.
const DAMAGED: u32 = 10_000;

fn shared(name: &str) -> Option<Vec<u8>> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data");
    let dir = std::env::var("VIGIL_SHARED_DATA").unwrap_or_else(|_| beside.to_owned());
    std::fs::read(format!("{dir}/{name}")).ok()
}

/// MIT-BIH record 100. Its header holds the first value and the checksum of each signal, computed by those who made it.
#[test]
fn mit_bih_100_is_read_to_the_last_sample() {
    let (Some(header), Some(data)) = (shared("ecg/100.hea"), shared("ecg/100.dat")) else {
        eprintln!("SKIPPED: ecg/100 is not there (set VIGIL_SHARED_DATA to the folder of recordings)");
        return;
    };
    let header = wfdb::Header::parse(&header).unwrap();
    assert_eq!((header.name.as_str(), header.files()), ("100", vec!["100.dat"]));
    let record = wfdb::record(&header, &[&data]).unwrap();
    let [ml, v5] = &record.signals[..] else { panic!("two leads") };
    for (signal, label, first, sum) in [(ml, "MLII", 995_i16, -22_131_i16), (v5, "V5", 1_011, 20_052)] {
        assert_eq!(
            (signal.label.as_str(), signal.counts.len(), (signal.rate.samples, signal.rate.seconds)),
            (label, 650_000, (360, 1))
        );
        assert_eq!(signal.counts[0], first);
        assert_eq!(signal.counts.iter().fold(0_i16, |sum, count| sum.wrapping_add(*count)), sum);
        assert!(!signal.counts.contains(&NO_SAMPLE));
        assert_eq!((signal.scale, signal.offset), (1.0 / 200.0, -1_024.0 / 200.0));
    }
    // The annotators put a mark on every beat: there the signal stands far above its resting line.
    let beats = String::from_utf8(shared("ecg/100_beats.csv").unwrap_or_default()).unwrap();
    let normal = beats.lines().filter(|line| line.split(',').nth(2) == Some("N"));
    let peaks: Vec<i16> = normal
        .filter_map(|line| line.split(',').next()?.parse::<usize>().ok())
        .filter_map(|at| ml.counts.get(at.saturating_sub(10)..at + 10)?.iter().copied().max())
        .collect();
    let high = peaks.iter().filter(|peak| **peak > 1_100).count();
    assert!(peaks.len() > 2_000 && high * 100 > peaks.len() * 99, "{high} of {}", peaks.len());

    // A damaged byte is noticed by the checksum.
    let mut damaged = data.clone();
    damaged[900_000] ^= 1;
    assert_eq!(wfdb::record(&header, &[&damaged]).unwrap_err().code(), "checksum");
    assert_eq!(wfdb::record(&header, &[&data[..data.len() - 1]]).unwrap_err().code(), "short");
}

fn damage(bytes: &mut Vec<u8>, rng: &mut SmallRng) {
    for _ in 0..rng.random_range(1..4) {
        let at = rng.random_range(0..bytes.len());
        match rng.random_range(0..4) {
            0 => bytes[at] = rng.random(),
            1 => bytes[at] ^= 1 << rng.random_range(0..8),
            2 => bytes[at] = *b"0123456789-+./x:(# \n".get(rng.random_range(0..20)).unwrap(),
            _ => bytes.truncate(at.max(1)),
        }
    }
}

#[test]
fn damaged_wfdb_files_are_read_or_refused() {
    let good = b"# c\nx 2 360/360(0) 4 10:00:00 02/01/2026\nx.dat 212x2:0+1 200(10)/mV 12 0 0 0 0 MLII\nx.dat 212+1 1e2/uV 12 4 0 0 0 V5\n";
    let mut rng = SmallRng::seed_from_u64(212);
    let (mut read, mut refused) = (0, 0);
    for _ in 0..DAMAGED {
        let mut header = good.to_vec();
        let mut data = vec![0_u8; rng.random_range(16..64)];
        damage(&mut header, &mut rng);
        if rng.random_bool(0.2) {
            rng.fill_bytes(&mut data);
        }
        let outcome = wfdb::Header::parse(&header).and_then(|header| {
            let files = vec![data.as_slice(); header.files().len()];
            wfdb::record(&header, &files)
        });
        match outcome {
            Ok(record) => {
                read += 1;
                assert!(record.signals.iter().all(|one| one.scale.is_finite() && one.counts.len() <= 64), "{record:?}");
            }
            Err(_) => refused += 1,
        }
    }
    assert!(read > 100 && refused > 1_000, "{read} read, {refused} refused");
}

#[test]
fn damaged_edf_files_are_read_or_refused() {
    let mut good = Vec::new();
    for (text, width) in [
        ("0", 8),
        ("X", 80),
        ("Startdate 02-MAR-2026 X X X", 80),
        ("02.03.26", 8),
        ("08.15.30", 8),
        ("512", 8),
        ("EDF+C", 44),
        ("2", 8),
        ("1", 8),
        ("1", 4),
        ("ECG II", 16),
        ("", 80),
        ("uV", 8),
        ("-5000", 8),
        ("5000", 8),
        ("-2000", 8),
        ("2000", 8),
        ("", 80),
        ("4", 8),
        ("", 32),
    ] {
        good.extend(format!("{text:<width$}").into_bytes());
    }
    good.extend([0; 16]);
    assert_eq!(edf::record(&good).unwrap().signals[0].counts.len(), 8);
    let mut rng = SmallRng::seed_from_u64(5);
    let (mut read, mut refused) = (0, 0);
    for _ in 0..DAMAGED {
        let mut bytes = good.clone();
        damage(&mut bytes, &mut rng);
        match edf::record(&bytes) {
            Ok(record) => {
                read += 1;
                assert!(record.signals.iter().all(|one| one.scale.is_finite() && one.counts.len() <= 8), "{record:?}");
            }
            Err(_) => refused += 1,
        }
    }
    assert!(read > 100 && refused > 1_000, "{read} read, {refused} refused");
}
