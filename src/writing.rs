//! The writer of readings for operators: lines of `/metrics`, the check of `/api/health`, and `GET /api/writer`.

use std::fmt::Write;

use console::Check;
use ingest::Writing;
use ingest::writer::COMMIT_BOUNDS_S;
use model::Time;
use store::readings::{Stats, Store};

/// Seconds that readings may wait, or a store may fail, before the server calls itself degraded.
const LATE_S: f64 = 60.0;

/// Prometheus lines.
pub(crate) fn text(out: &mut String, writing: &Writing) {
    for (name, live, backlog) in [
        ("vigil_writer_lag_entries", writing.live.entries as f64, writing.backlog.entries as f64),
        ("vigil_writer_lag_seconds", writing.live.lag_s, writing.backlog.lag_s),
        ("vigil_writer_rows_per_second", writing.live.rows_per_s, writing.backlog.rows_per_s),
        ("vigil_writer_batch_rows", writing.live.batch_rows as f64, writing.backlog.batch_rows as f64),
    ] {
        let _ =
            writeln!(out, "# TYPE {name} gauge\n{name}{{lane=\"live\"}} {live}\n{name}{{lane=\"backlog\"}} {backlog}");
    }
    for (name, value) in [
        ("vigil_writer_live_lag_worst_seconds", writing.live.worst_lag_s),
        ("vigil_writer_backlog_ranges", writing.backlog.ranges as f64),
        ("vigil_writer_oldest_unstored_seconds", writing.oldest_unstored_s),
        ("vigil_writer_failing", f64::from(u8::from(writing.trouble.is_some()))),
        ("vigil_writer_refused_entries", writing.refused_entries as f64),
    ] {
        let _ = writeln!(out, "# TYPE {name} gauge\n{name} {value}");
    }
    if let Some(eta) = writing.backlog.eta_s {
        let _ = writeln!(out, "# TYPE vigil_writer_drain_eta_seconds gauge\nvigil_writer_drain_eta_seconds {eta}");
    }
    let _ = writeln!(out, "# TYPE vigil_writer_retries_total counter");
    for (cause, count) in &writing.retries {
        let _ = writeln!(out, "vigil_writer_retries_total{{cause=\"{cause}\"}} {count}");
    }
    let name = "vigil_writer_commit_seconds";
    let _ = writeln!(out, "# TYPE {name} histogram");
    let mut total = 0;
    for (count, bound) in writing.commits.counts.iter().zip(COMMIT_BOUNDS_S) {
        total += count;
        let _ = writeln!(out, "{name}_bucket{{le=\"{bound}\"}} {total}");
    }
    let (count, sum) = (writing.commits.count(), writing.commits.sum_s);
    let _ = writeln!(out, "{name}_bucket{{le=\"+Inf\"}} {count}\n{name}_sum {sum}\n{name}_count {count}");
}

/// The line "readings" of the health page.
pub(crate) fn check(writing: &Writing, now: Time) -> Check {
    let waiting = writing.live.entries + writing.backlog.entries;
    let (ok, detail) = match &writing.trouble {
        Some(trouble) => {
            let since = now.since_us(trouble.since).max(0) as f64 / 1e6;
            let detail = format!("{waiting} entries wait for {since:.0} s ({}): {}", trouble.cause, trouble.text);
            (since < LATE_S && writing.oldest_unstored_s < LATE_S, detail)
        }
        None if writing.backlog.entries > 0 => {
            let eta =
                writing.backlog.eta_s.map_or("no end in sight yet".to_owned(), |s| format!("about {s:.0} s to go"));
            let detail = format!("live; {} entries of an outage follow, {eta}", writing.backlog.entries);
            (writing.live.lag_s < LATE_S, detail)
        }
        None => (writing.live.lag_s < LATE_S, format!("{waiting} entries not stored yet")),
    };
    let detail = match writing.refused_entries {
        0 => detail,
        n => format!("{detail}; {n} refused entries are in {}", ingest::writer::REFUSED_FILE),
    };
    Check { name: "readings".into(), ok, detail }
}

/// What administrators get.
pub(crate) fn json(writing: &Writing, store: Store, rows: u64, stats: Option<&Stats>) -> serde_json::Value {
    let sizes = stats.map(|stats| {
        serde_json::json!({
            "bytes": stats.file_bytes,
            "bytes_per_reading": stats.bytes_per_reading,
            "bytes_per_sealed_reading": stats.bytes_per_sealed_reading,
        })
    });
    serde_json::json!({ "store": store, "rows": rows, "sizes": sizes, "bounds_s": COMMIT_BOUNDS_S, "writer": writing })
}
