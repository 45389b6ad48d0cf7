//! Parquet, Snappy, row groups of a bounded size. Columns as in CSV, but the instant is one column of type TIMESTAMP (microseconds,
//! UTC) and what is not there is null.

use std::fs::File;
use std::mem::take;
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::Sink;
use super::row::Row;

/// Rows of one group: some 20 MB of memory.
const GROUP_ROWS: usize = 100_000;

const SCHEMA: &str = "
message reading {
  required binary subject (STRING);
  required binary metric (STRING);
  optional binary loinc (STRING);
  required int64 mdc;
  required binary unit (STRING);
  required int64 taken_at (TIMESTAMP(MICROS, true));
  optional double value;
  required binary quality (STRING);
  required binary device (STRING);
  optional binary raw_value (STRING);
  optional binary raw_unit (STRING);
}";

pub(super) struct Parquet {
    writer: SerializedFileWriter<File>,
    rows: Vec<Row>,
}

impl Parquet {
    pub(super) fn new(file: File) -> anyhow::Result<Self> {
        let schema = Arc::new(parse_message_type(SCHEMA)?);
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let writer = SerializedFileWriter::new(file, schema, Arc::new(properties))?;
        Ok(Self { writer, rows: Vec::new() })
    }

    fn group(&mut self) -> anyhow::Result<()> {
        let rows = take(&mut self.rows);
        if rows.is_empty() {
            return Ok(());
        }
        let mut group = self.writer.next_row_group()?;
        let mut number = 0;
        while let Some(mut column) = group.next_column()? {
            put(column.untyped(), number, &rows)?;
            column.close()?;
            number += 1;
        }
        group.close()?;
        Ok(())
    }
}

/// Writes one column of a group.
fn put(column: &mut ColumnWriter<'_>, number: usize, rows: &[Row]) -> anyhow::Result<()> {
    match column {
        ColumnWriter::ByteArrayColumnWriter(column) => {
            let cells: Vec<Option<&str>> = rows.iter().map(|row| text(row, number)).collect();
            let there: Vec<i16> = cells.iter().map(|cell| i16::from(cell.is_some())).collect();
            let values: Vec<ByteArray> = cells.into_iter().flatten().map(ByteArray::from).collect();
            column.write_batch(&values, Some(&there), None)?;
        }
        ColumnWriter::Int64ColumnWriter(column) => {
            let of = |row: &Row| if number == 3 { i64::from(row.metric.mdc) } else { row.taken_at.micros() };
            column.write_batch(&rows.iter().map(of).collect::<Vec<_>>(), None, None)?;
        }
        ColumnWriter::DoubleColumnWriter(column) => {
            let there: Vec<i16> = rows.iter().map(|row| i16::from(row.value.is_some())).collect();
            let values: Vec<f64> = rows.iter().filter_map(|row| row.value).collect();
            column.write_batch(&values, Some(&there), None)?;
        }
        _ => anyhow::bail!("a column of a type that the schema does not have"),
    }
    Ok(())
}

/// The text of one column, by its place in the schema.
fn text(row: &Row, number: usize) -> Option<&str> {
    match number {
        0 => Some(&row.subject),
        1 => Some(row.metric.slug),
        2 => row.metric.loinc,
        4 => Some(row.metric.unit),
        7 => Some(row.quality),
        8 => Some(&row.device),
        9 => row.raw.as_ref().map(|(raw, _)| raw.as_str()),
        _ => row.raw.as_ref().map(|(_, unit)| unit.as_str()),
    }
}

impl Sink for Parquet {
    fn row(&mut self, row: Row) -> anyhow::Result<()> {
        self.rows.push(row);
        if self.rows.len() >= GROUP_ROWS { self.group() } else { Ok(()) }
    }

    fn end(mut self: Box<Self>) -> anyhow::Result<()> {
        self.group()?;
        self.writer.close()?;
        Ok(())
    }
}
