//! CSV (RFC 4180) in UTF-8 with a header line. An absent value is an empty cell; a number has as many digits as it needs to be
//! read back as the same number.

use std::fs::File;
use std::io::BufWriter;

use super::Sink;
use super::row::Row;

/// The columns, in order (docs/storage.md says what they mean).
pub(super) const COLUMNS: [&str; 12] = [
    "subject",
    "metric",
    "loinc",
    "mdc",
    "unit",
    "taken_at",
    "taken_at_us",
    "value",
    "quality",
    "device",
    "raw_value",
    "raw_unit",
];

pub(super) struct Csv(csv::Writer<BufWriter<File>>);

impl Csv {
    pub(super) fn new(file: File) -> anyhow::Result<Self> {
        let mut writer = csv::Writer::from_writer(BufWriter::new(file));
        writer.write_record(COLUMNS)?;
        Ok(Self(writer))
    }
}

impl Sink for Csv {
    fn row(&mut self, row: Row) -> anyhow::Result<()> {
        let info = row.metric;
        let (raw, raw_unit) = row.raw.unwrap_or_default();
        let cells = [
            &row.subject,
            info.slug,
            info.loinc.unwrap_or_default(),
            &info.mdc.to_string(),
            info.unit,
            &row.taken_at.to_string(),
            &row.taken_at.micros().to_string(),
            &row.value.map(|value| value.to_string()).unwrap_or_default(),
            row.quality,
            &row.device,
            &raw,
            &raw_unit,
        ];
        Ok(self.0.write_record(cells)?)
    }

    fn end(mut self: Box<Self>) -> anyhow::Result<()> {
        Ok(self.0.flush()?)
    }
}
