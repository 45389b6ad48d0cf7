//! `vigil bench` runs, loses nothing, and prints the object that docs/performance.md and other tools read. Its figures are
//! not judged here: machines are shared and noisy.

use crate::world::vigil;

#[test]
fn the_benchmark_prints_its_object_and_loses_nothing() {
    let output = vigil(&["bench", "--json", "--profile", "mixed", "--seconds", "2"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for number in [
        "readings_per_s",
        "publishes_per_s",
        "acked",
        "stored",
        "judged",
        "server_cpu_s",
        "server_rss_mib",
        "bytes_per_reading",
    ] {
        assert!(told[number].as_f64().is_some_and(|value| value > 0.0), "{number}: {told}");
    }
    for stage in ["fsync_per_s", "decode_readings_per_s", "engine_steps_per_s", "store_readings_per_s"] {
        assert!(told["limits"][stage].as_f64().is_some_and(|value| value > 0.0), "{stage}: {told}");
    }
    for times in ["puback_ms", "sos_to_stream_ms", "sos_to_page_ms", "sos_to_page_quiet_ms"] {
        assert!(told[times]["p50"].is_number() && told[times]["p99"].is_number(), "{times}: {told}");
    }
    assert_eq!(told["lost"], 0, "{told}");
    assert_eq!((&told["stored"], &told["judged"]), (&told["acked"], &told["acked"]), "{told}");
    assert_eq!(told["sos_seen"], told["sos_sent"], "{told}");
    assert_eq!(told["sos_paged"], told["sos_sent"], "{told}");
}

/// What cannot be measured as it was asked for is refused at once, in words.
#[test]
fn no_profile_passes_over_what_it_was_told() {
    let asked: [(&[&str], &str); 4] = [
        (&["--profile", "frames30", "--store", "timescale", "--dsn", "host=localhost"], "--store and --dsn are of"),
        (&["--profile", "mixed", "--dsn", "host=localhost"], "--store and --dsn are of"),
        (&["--profile", "fill", "--dsn", "host=localhost"], "--dsn is of --store timescale"),
        (&["--profile", "fill", "--load-cpus", "0"], "no load generator"),
    ];
    for (words, refusal) in asked {
        let output = vigil(&[&["bench"], words].concat()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(refusal), "{words:?}: {said}");
    }
}

/// A profile of a store says what it measured.
#[test]
fn strips_come_out_of_days_of_ecg() {
    let output = vigil(&["bench", "--json", "--profile", "strips", "--days", "1"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((report["blocks"].as_u64(), report["samples"].as_u64()), (Some(17_280), Some(21_600_000)));
    assert!(report["strip_ms"]["p50"].as_f64().unwrap() > 0.0, "{report}");
}
