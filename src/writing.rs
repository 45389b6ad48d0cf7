//! The writer of readings for operators: lines of `/metrics`, the check of `/api/health`, and `GET /api/writer`.

use std::fmt::Write;

use console::Check;
use ingest::Writing;
use ingest::writer::COMMIT_BOUNDS_S;
use model::{Seq, Time};
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
        ("vigil_writer_backlog_peak_entries", writing.backlog.peak_entries as f64),
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

/// How far each reader of the journal is behind its end, entries.
fn lags(journal: &journal::Stats) -> Vec<serde_json::Value> {
    let lag = |(name, at): &(String, Seq)| serde_json::json!({ "name": name, "entries": journal.head.0.saturating_sub(at.0) });
    journal.cursors.iter().map(lag).collect()
}

/// What administrators get.
pub(crate) fn json(
    writing: &Writing,
    journal: &journal::Stats,
    store: Store,
    rows: u64,
    stats: Option<&Stats>,
) -> serde_json::Value {
    let sizes = stats.map(|stats| {
        serde_json::json!({
            "bytes": stats.file_bytes,
            "bytes_per_reading": stats.bytes_per_reading,
            "bytes_per_sealed_reading": stats.bytes_per_sealed_reading,
        })
    });
    serde_json::json!({
        "store": store,
        "rows": rows,
        "sizes": sizes,
        "cursors": lags(journal),
        "bounds_s": COMMIT_BOUNDS_S,
        "writer": writing,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    /// The plain numbers for operators are in both places, under the names that docs/api.md and docs/operations.md give them.
    #[tokio::test]
    async fn every_plain_number_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let journal = journal::Journal::open(dir.path(), "journal", &journal::Config::default()).unwrap();
        journal.append_wait(vec![vec![0], vec![0]]).await.unwrap();
        let records = store::records::Records::open(dir.path(), runtime::Clock::system()).unwrap();
        let readings = store::readings::Readings::open(dir.path(), &store::readings::Config::default()).unwrap();
        let (tasks, clock) = (runtime::Tasks::new(), runtime::Clock::system());
        let config = ingest::Config::default();
        let ingest = ingest::Ingest::start(config, dir.path(), &journal, &records, &readings, clock, &tasks).unwrap();
        let writing = ingest.writing();
        let stats = readings.stats().unwrap();
        let json = json(&writing, &journal.stats(), readings.store(), readings.count(), Some(&stats));
        for pointer in [
            "/writer/rows_per_s",
            "/writer/live/rows_per_s",
            "/writer/live/batch_rows",
            "/writer/backlog/batch_rows",
            "/writer/live/lag_s",
            "/writer/backlog/lag_s",
            "/writer/backlog/peak_entries",
            "/writer/oldest_unstored_s",
            "/sizes/bytes_per_reading",
            "/sizes/bytes_per_sealed_reading",
            "/cursors/0/entries",
        ] {
            assert!(json.pointer(pointer).is_some_and(serde_json::Value::is_number), "{pointer}: {json}");
        }
        let cursors = json["cursors"].as_array().unwrap();
        assert!(cursors.iter().any(|one| one["name"] == ingest::writer::CURSOR), "{cursors:?}");
        let mut lines = String::new();
        text(&mut lines, &writing);
        for name in [
            "rows_per_second",
            "batch_rows",
            "lag_seconds",
            "lag_entries",
            "oldest_unstored_seconds",
            "backlog_peak_entries",
        ] {
            assert!(lines.contains(&format!("\nvigil_writer_{name}")), "{name}");
        }
        assert!(tasks.stop(std::time::Duration::from_secs(30)).await.is_empty());
    }
}
