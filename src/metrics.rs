//! What operators see: `/metrics` as Prometheus text and the checks of `/api/health`. Never a name, phone or value of a person.

use std::fmt::Write;

use console::Check;
use runtime::Clock;
use store::readings::{Stats, Store};
use store::records::ChannelHealth;

use crate::limits;
use crate::server::Parts;
use crate::writing;

/// Reads the parts' counters when asked.
pub struct Meters {
    parts: Parts,
}

impl std::fmt::Debug for Meters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meters")
    }
}

impl Meters {
    pub const fn new(parts: Parts) -> Self {
        Self { parts }
    }

    /// Prometheus text format.
    pub fn text(&self) -> String {
        let mut out = String::with_capacity(4_096);
        for (name, value) in self.parts.ingest.counters().snapshot() {
            counter(&mut out, &format!("vigil_ingest_{name}_total"), value);
        }
        self.alerting(&mut out);
        self.channels(&mut out);
        counter(&mut out, "vigil_records_quarantine_dropped_total", self.parts.records.quarantine_dropped());
        let missing = self.parts.ingest.missing();
        gauge(&mut out, "vigil_custody_gaps", missing.gaps as f64);
        gauge(&mut out, "vigil_custody_frames_missing", missing.frames as f64);
        if let Ok(lost) = self.parts.records.loss_counts() {
            counter(&mut out, "vigil_custody_frames_lost_total", lost.frames);
            counter(&mut out, "vigil_custody_readings_thinned_total", lost.readings_thinned);
        }
        process(&mut out);
        let door = self.parts.door.stats();
        for (name, value) in [
            ("accepted", door.accepted),
            ("accept_errors", door.accept_errors),
            ("logins", door.logins),
            ("publishes", door.publishes),
            ("publishes_refused", door.publishes_refused),
            ("publishes_ignored", door.publishes_ignored),
            ("taken_over", door.taken_over),
            ("bytes_in", door.bytes_in),
            ("bytes_out", door.bytes_out),
            ("down_sent", door.down_sent),
            ("down_dropped", door.down_dropped),
            ("down_too_large", door.down_too_large),
            ("wills", door.wills),
            ("wills_refused", door.wills_refused),
            ("paused", door.paused),
        ] {
            counter(&mut out, &format!("vigil_mqtt_{name}_total"), value);
        }
        gauge(&mut out, "vigil_mqtt_links", door.links as f64);
        gauge(&mut out, "vigil_mqtt_tasks", door.tasks as f64);
        let _ = writeln!(out, "# TYPE vigil_mqtt_closed_total counter");
        for (reason, count) in &door.closed {
            let _ = writeln!(out, "vigil_mqtt_closed_total{{reason=\"{}\"}} {count}", reason.as_str());
        }
        self.journal(&mut out);
        writing::text(&mut out, &self.parts.ingest.writing());
        gauge(&mut out, "vigil_readings_rows", self.parts.readings.count() as f64);
        if let Some(stats) = self.sizes() {
            gauge(&mut out, "vigil_readings_bytes", stats.file_bytes as f64);
            gauge(&mut out, "vigil_readings_bytes_per_reading", stats.bytes_per_reading);
            gauge(&mut out, "vigil_readings_bytes_per_sealed_reading", stats.bytes_per_sealed_reading);
        }
        out
    }

    /// Sizes of the readings store: a server is not asked for them here, it may be gone.
    fn sizes(&self) -> Option<Stats> {
        match self.parts.readings.store() {
            Store::Embedded => self.parts.readings.stats().ok(),
            Store::Timescale => self.parts.ingest.sizes(),
        }
    }

    /// The writer for administrators.
    pub fn writer(&self) -> serde_json::Value {
        let (readings, sizes) = (&self.parts.readings, self.sizes());
        let journal = self.parts.journal.stats();
        writing::json(&self.parts.ingest.writing(), &journal, readings.store(), readings.count(), sizes.as_ref())
    }

    fn alerting(&self, out: &mut String) {
        let stats = self.parts.alerting.stats();
        let engine = stats.engine;
        // Each sample ends in exactly one of these.
        let seen = [
            ("judged", engine.judged),
            ("no_rule", engine.no_rule),
            ("not_judged", engine.not_judged),
            ("late", engine.late),
            ("out_of_order", engine.out_of_order),
            ("duplicate", engine.duplicate),
            ("unattributed", engine.unattributed),
            ("test", engine.test),
        ];
        counter(out, "vigil_alerting_readings_total", seen.iter().map(|(_, count)| count).sum());
        let _ = writeln!(out, "# TYPE vigil_alerting_readings_by_fate_total counter");
        for (fate, count) in seen {
            let _ = writeln!(out, "vigil_alerting_readings_by_fate_total{{fate=\"{fate}\"}} {count}");
        }
        for (name, value) in [
            ("events", engine.events),
            ("fleeting", engine.fleeting),
            ("transitions", stats.transitions),
            ("undecodable_entries", stats.undecodable),
            ("damaged_entries", stats.damaged),
            ("checkpoints", stats.checkpoints),
            ("pages_accepted", stats.pages_accepted),
            ("pages_retried", stats.pages_retried),
            ("pages_refused", stats.pages_refused),
            ("pages_in_doubt", stats.pages_in_doubt),
            ("page_rounds", stats.rounds),
            ("steps_passed_over", stats.steps_passed_over),
            ("audits", stats.audits),
            ("audit_findings", stats.audit_findings),
        ] {
            counter(out, &format!("vigil_alerting_{name}_total"), value);
        }
        gauge(out, "vigil_alerting_position", stats.position as f64);
        gauge(out, "vigil_alerting_subjects", stats.subjects as f64);
        gauge(out, "vigil_alerting_present", stats.present as f64);
        gauge(out, "vigil_alerting_unattended", stats.unattended as f64);
        gauge(out, "vigil_alerting_pages_unsaved", stats.pages_unsaved as f64);
    }

    /// How each channel that was ever used fares.
    fn channels(&self, out: &mut String) {
        let Ok(rows) = self.parts.records.channel_health() else { return };
        for (name, value) in [
            ("dead", (|row| f64::from(u8::from(row.dead_since.is_some()))) as fn(&ChannelHealth) -> f64),
            ("failures_in_a_row", |row| f64::from(row.failures)),
            ("last_ok_seconds", |row| row.ok_at.map_or(0.0, |at| at.secs() as f64)),
            ("canary_ok_seconds", |row| row.canary_ok_at.map_or(0.0, |at| at.secs() as f64)),
        ] {
            let _ = writeln!(out, "# TYPE vigil_channel_{name} gauge");
            for row in &rows {
                let _ = writeln!(out, "vigil_channel_{name}{{channel=\"{}\"}} {}", row.channel, value(row));
            }
        }
    }

    /// Dead ones by name.
    fn channels_check(&self) -> Check {
        let rows = self.parts.records.channel_health().unwrap_or_default();
        let dead: Vec<_> = rows.iter().filter(|row| row.dead_since.is_some()).map(|row| row.channel.as_str()).collect();
        let detail =
            if dead.is_empty() { "no channel is dead".to_owned() } else { format!("dead: {}", dead.join(", ")) };
        Check { name: "channels".into(), ok: dead.is_empty(), detail }
    }

    fn journal(&self, out: &mut String) {
        let stats = self.parts.journal.stats();
        counter(out, "vigil_journal_entries_total", stats.entries);
        counter(out, "vigil_journal_groups_total", stats.groups);
        counter(out, "vigil_journal_refused_total", stats.refused);
        gauge(out, "vigil_journal_head", stats.head.0 as f64);
        gauge(out, "vigil_journal_disk_bytes", stats.pressure.disk_bytes as f64);
        gauge(out, "vigil_journal_queued_bytes", stats.pressure.queued_bytes as f64);
        let _ = writeln!(out, "# TYPE vigil_journal_lag_entries gauge");
        for (name, seq) in &stats.cursors {
            let lag = stats.head.0.saturating_sub(seq.0);
            let _ = writeln!(out, "vigil_journal_lag_entries{{cursor=\"{name}\"}} {lag}");
        }
    }

    /// One line a part; a false one makes the whole "degraded".
    pub fn checks(&self) -> Vec<Check> {
        let stats = self.parts.journal.stats();
        let journal = match (&stats.failure, stats.pressure.full) {
            (Some(failure), _) => (false, failure.clone()),
            (None, true) => (false, full(&stats)),
            (None, false) => (true, format!("{} entries, {} bytes kept", stats.head.0, stats.pressure.disk_bytes)),
        };
        let alerting = self.parts.alerting.stats();
        let behind = stats.head.0.saturating_sub(alerting.position);
        let judging = match (alerting.stalled, alerting.damaged) {
            (true, _) => (false, "the records do not take alarms: check the disk".to_owned()),
            (_, 1..) => (false, format!("{} journal entries were damaged on disk", alerting.damaged)),
            _ => (behind < ENGINE_LAG_MAX, format!("{behind} entries not judged yet")),
        };
        let paging = match alerting.unattended {
            0 => (true, "every alarm that waits for people has its next step".to_owned()),
            n => (false, format!("{n} alarms wait for people and nothing will remind anybody: the log names them")),
        };
        vec![
            Check { name: "journal".into(), ok: journal.0, detail: journal.1 },
            writing::check(&self.parts.ingest.writing(), Clock::system().now()),
            Check { name: "alerting".into(), ok: judging.0, detail: judging.1 },
            Check { name: "paging".into(), ok: paging.0, detail: paging.1 },
            self.channels_check(),
            Check { name: "mqtt".into(), ok: true, detail: format!("{} links", self.parts.door.stats().links) },
        ]
    }
}

/// Which reader holds the journal back, and what to look at.
fn full(stats: &journal::Stats) -> String {
    let slowest = stats.cursors.iter().min_by_key(|(_, seq)| *seq);
    match slowest.map(|(name, seq)| (name.as_str(), stats.head.0.saturating_sub(seq.0))) {
        Some((name, behind)) if stats.pressure.disk_bytes > stats.pressure.disk_bytes_max / 2 => {
            format!("full: new frames are refused because {name} is {behind} entries behind")
        }
        _ => "full: new frames are refused because the disk has no space or does not keep up".to_owned(),
    }
}

/// The process's own figures, under the names every dashboard knows.
fn process(out: &mut String) {
    let usage = limits::usage();
    for (name, value) in [
        ("process_open_fds", usage.open_files),
        ("process_max_fds", usage.open_files_max),
        ("process_resident_memory_bytes", usage.resident_bytes),
    ] {
        if let Some(value) = value {
            gauge(out, name, value as f64);
        }
    }
    let version = env!("CARGO_PKG_VERSION");
    let _ = writeln!(out, "# TYPE vigil_build_info gauge\nvigil_build_info{{version=\"{version}\"}} 1");
}

/// Entries the engine may be behind before the server calls itself degraded.
const ENGINE_LAG_MAX: u64 = 100_000;

fn counter(out: &mut String, name: &str, value: u64) {
    let _ = writeln!(out, "# TYPE {name} counter\n{name} {value}");
}

fn gauge(out: &mut String, name: &str, value: f64) {
    let _ = writeln!(out, "# TYPE {name} gauge\n{name} {value}");
}
