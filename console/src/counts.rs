//! The console's own figures, as Prometheus text. Numbers only, no person and no address.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use axum::http::StatusCode;

/// Counters since start.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    ok: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    pub(crate) login_failures: AtomicU64,
    pub(crate) stream_events: AtomicU64,
    pub(crate) stream_resets: AtomicU64,
}

impl Counts {
    pub(crate) fn answered(&self, status: StatusCode) {
        let counter = match status.as_u16() {
            0..=399 => &self.ok,
            400..=499 => &self.refused,
            _ => &self.failed,
        };
        counter.fetch_add(1, Relaxed);
    }

    pub(crate) fn text(&self, streams: usize) -> String {
        let rows = [
            ("requests_total{class=\"ok\"}", &self.ok),
            ("requests_total{class=\"refused\"}", &self.refused),
            ("requests_total{class=\"failed\"}", &self.failed),
            ("login_failures_total", &self.login_failures),
            ("stream_events_total", &self.stream_events),
            ("stream_resets_total", &self.stream_resets),
        ];
        let mut text = format!("# TYPE vigil_console_streams gauge\nvigil_console_streams {streams}\n");
        let mut family = "";
        for (name, counter) in rows {
            let of = name.split('{').next().unwrap_or(name);
            // Writing to a String cannot fail.
            if of != family {
                let _ = writeln!(text, "# TYPE vigil_console_{of} counter");
                family = of;
            }
            let _ = writeln!(text, "vigil_console_{name} {}", counter.load(Relaxed));
        }
        text
    }
}
