//! A report as CSV for spreadsheets: one figure a line, in a fixed order, so that months can be put under each other.

use std::fmt::Write;

use super::report::{Report, Times, Value};

/// UTF-8 with a byte-order mark: without it a Chinese Excel reads the labels as GBK.
const MARK: char = '\u{feff}';

/// `section,name,figure,value`; times in UTC.
pub(super) fn text(report: &Report) -> String {
    let mut table = Table::new();
    table.line(["section", "name", "figure", "value"]);
    table.line(["report", "", "from", &report.from.to_string()]);
    table.line(["report", "", "to", &report.to.to_string()]);
    table.line(["report", "", "seats", &format!("{:.2}", report.seats)]);
    for row in &report.by_priority {
        let name = row.priority.slug();
        table.line(["priority", name, "alarms", &row.alarms.to_string()]);
        table.line(["priority", name, "late", &row.late.to_string()]);
        for (figure, times) in
            [("answer", &row.answer), ("accept", &row.accept), ("arrive", &row.arrive), ("resolve", &row.resolve)]
        {
            table.times(name, figure, times);
        }
    }
    for row in &report.by_hour {
        let name = row.hour.to_string();
        for (figure, count) in [("seats", row.seats), ("P1", row.p1), ("P2", row.p2), ("P3", row.p3), ("T", row.t)] {
            table.line(["hour", &name, figure, &count.to_string()]);
        }
    }
    for (section, values) in [("rule", &report.rules), ("device", &report.device_kinds), ("team", &report.teams)] {
        for value in values {
            table.value(section, value);
        }
    }
    for (elder, alarms) in &report.elders {
        table.line(["elder", &elder.to_string(), "alarms", &alarms.to_string()]);
    }
    table.line(["quality", "", "top_tenth_share", &share(report.top_tenth_share)]);
    table.line(["quality", "", "chattering", &report.chattering.to_string()]);
    table.line(["quality", "", "standing", &report.standing.to_string()]);
    for flood in &report.floods {
        let stretch = format!("{}/{}", flood.from, flood.to);
        table.line(["flood", &stretch, "alarms", &flood.alarms.to_string()]);
    }
    table.into_text()
}

/// A table for spreadsheets.
pub(crate) struct Table(String);

impl Table {
    pub(crate) fn new() -> Self {
        Self(String::from(MARK))
    }

    pub(crate) fn into_text(self) -> String {
        self.0
    }

    pub(crate) fn line<const N: usize>(&mut self, cells: [&str; N]) {
        for (index, cell) in cells.iter().enumerate() {
            if index > 0 {
                self.0.push(',');
            }
            self.cell(cell);
        }
        self.0.push_str("\r\n");
    }

    /// Quoted where needed (RFC 4180). A cell that a spreadsheet would take for a formula is made text.
    fn cell(&mut self, text: &str) {
        let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
        let guard = if formula { "'" } else { "" };
        if formula || text.contains(['"', ',', '\n', '\r']) {
            // Writing to a string cannot fail.
            let _ = write!(self.0, "\"{guard}{}\"", text.replace('"', "\"\""));
        } else {
            self.0.push_str(text);
        }
    }

    fn times(&mut self, name: &str, figure: &str, times: &Times) {
        let seconds = |value: Option<i64>| value.map(|value| value.to_string()).unwrap_or_default();
        for (part, value) in [
            ("count", times.count.to_string()),
            ("p50_s", seconds(times.p50_s)),
            ("p95_s", seconds(times.p95_s)),
            ("within_60_s", share(times.within_60_s)),
            ("within_180_s", share(times.within_180_s)),
        ] {
            self.line(["priority", name, &format!("{figure}_{part}"), &value]);
        }
    }

    fn value(&mut self, section: &str, value: &Value) {
        for (figure, text) in [
            ("alarms", value.alarms.to_string()),
            ("labelled_true", value.labelled_true.to_string()),
            ("labelled_false", value.labelled_false.to_string()),
            ("predictive", share(value.predictive)),
        ] {
            self.line([section, &value.name, figure, &text]);
        }
    }
}

fn share(value: Option<f64>) -> String {
    value.map(|value| format!("{value:.4}")).unwrap_or_default()
}
