//! One file: rows of one view that one tick left. Pure.

use std::sync::Arc;

use bytes::Bytes;
use hostread_schemas::view::{Change, View, ViewKey, ViewValue};
use hostread_schemas::{Names, Tick};
use hostread_sink_kit::{CHUNK_ROWS_MAX, write_columns};
use parquet::basic::{Compression, ZstdLevel};
use parquet::column::reader::ColumnReader;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;

use crate::columns::Columns;

const ROW: &str = "row";
/// How `row` is written; a number that is not known is refused.
const FORMAT: (&str, &str) = ("hostread.format", "3");
/// The numbers before, each with the views whose rows ended before their last field: a verdict before its evidence, a
/// conversion before its path.
const BEFORE: [(&str, &[View]); 2] = [
    ("1", &[View::Verdicts, View::Conversions]),
    ("2", &[View::Conversions]),
];

/// The rows as they stood before the tick.
pub(crate) fn encode(view: View, tick: Tick, left: &[Change], names: &Names) -> Result<Vec<u8>> {
    let mut groups = left
        .chunks(CHUNK_ROWS_MAX)
        .map(|rows| columns(view, rows, names));
    let Some(first) = groups.next().transpose()? else {
        return Err(ParquetError::General("a file without rows".to_owned()));
    };
    let schema = Arc::new(first.schema(view.name())?);
    let mut file =
        SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties(tick, &first)))?;
    for columns in std::iter::once(Ok(first)).chain(groups) {
        let columns = columns?;
        let mut group = file.next_row_group()?;
        let mut at = 0;
        while let Some(mut column) = group.next_column()? {
            columns.write(at, &mut column)?;
            column.close()?;
            at += 1;
        }
        group.close()?;
    }
    file.into_inner()
}

fn properties(tick: Tick, columns: &Columns) -> WriterProperties {
    let said = [FORMAT, ("hostread.tick", &tick.0.to_string())]
        .map(|(key, value)| KeyValue::new(key.to_owned(), value.to_owned()));
    let properties = WriterProperties::builder()
        // No version of a library in it: the same rows are the same bytes.
        .set_created_by("hostread".to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_dictionary_enabled(false)
        .set_key_value_metadata(Some(said.to_vec()));
    let with_dictionary = columns.repetitive().map(ColumnPath::from);
    with_dictionary
        .fold(properties, |properties, column| {
            properties.set_column_dictionary_enabled(column, true)
        })
        .build()
}

fn columns(view: View, left: &[Change], names: &Names) -> Result<Columns> {
    let mut columns = Columns::default();
    let rows = || left.iter().map(|change| (&change.key, change.old.as_ref()));
    let Ok(()) = write_columns(view, rows(), names, &mut columns);
    columns.bools("present", rows().map(|(_, value)| value.is_some()));
    let exact: std::result::Result<Vec<Vec<u8>>, _> =
        rows().map(|row| postcard::to_stdvec(&row)).collect();
    let exact = exact.map_err(|error| ParquetError::External(Box::new(error)))?;
    columns.bytes(ROW, exact);
    Ok(columns)
}

/// The rows of a file, in its order.
pub(crate) fn decode(bytes: Vec<u8>) -> Result<Vec<(ViewKey, Option<ViewValue>)>> {
    let file = SerializedFileReader::new(Bytes::from(bytes))?;
    let metadata = file.metadata().file_metadata();
    let said = metadata.key_value_metadata().into_iter().flatten();
    let format = said.into_iter().find(|said| said.key == FORMAT.0);
    let format = format.and_then(|said| said.value.as_deref());
    let shorter = shorter(format).ok_or_else(|| damaged("the file is of another format"))?;
    let of = metadata.schema_descr().name();
    let whole = shorter.iter().all(|view| view.name() != of);
    let columns = metadata.schema_descr().columns().iter();
    let at = columns
        .map(|column| column.name())
        .position(|name| name == ROW);
    let at = at.ok_or_else(|| damaged("the file has no rows that can be read back"))?;
    let mut rows = Vec::new();
    for group in 0..file.num_row_groups() {
        let group = file.get_row_group(group)?;
        let ColumnReader::ByteArrayColumnReader(mut reader) = group.get_column_reader(at)? else {
            return Err(damaged("the rows are not bytes"));
        };
        let count = usize::try_from(group.metadata().num_rows()).unwrap_or(0);
        let mut values = Vec::new();
        reader.read_records(count, None, None, &mut values)?;
        for value in values {
            rows.push(exact(value.data(), whole)?);
        }
    }
    Ok(rows)
}

/// The views whose rows end before their last field; `None`: nobody knows the format.
fn shorter(format: Option<&str>) -> Option<&'static [View]> {
    let format = format?;
    if format == FORMAT.1 {
        return Some(&[]);
    }
    let before = BEFORE.iter().find(|(number, _)| *number == format);
    before.map(|(_, views)| *views)
}

/// A row as it was written, with its last field or without.
fn exact(bytes: &[u8], whole: bool) -> Result<(ViewKey, Option<ViewValue>)> {
    let row = if whole {
        postcard::from_bytes(bytes)
    } else {
        // `Evidence::None`, no steps; a row without a value ends before it.
        postcard::from_bytes(&[bytes, &[0]].concat())
    };
    row.map_err(|error| ParquetError::External(Box::new(error)))
}

fn damaged(why: &str) -> ParquetError {
    ParquetError::General(why.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use super::*;
    use hostread_schemas::view::{Evidence, Verdict, VerdictKey, VerdictRow};
    use hostread_schemas::{
        Day, EnclosureId, EpisodeId, EventId, EventTimeMs, ListenerId, TenantId,
    };
    use hostread_sink_kit::conformance::samples::{key, value};

    fn stored(row: &(ViewKey, Option<ViewValue>)) -> Vec<u8> {
        postcard::to_stdvec(row).unwrap()
    }

    /// Rows that end before their last field, which is nothing, are read as those that have it.
    fn short(key: ViewKey, value: ViewValue) {
        let then = (key, Some(value));
        let mut bytes = stored(&then);
        assert_eq!(exact(&bytes, true).unwrap(), then);
        bytes.pop();
        assert_eq!(exact(&bytes, false).unwrap(), then);
        assert!(exact(&bytes, true).is_err());
        let gone = (key, None);
        assert_eq!(exact(&stored(&gone), false).unwrap(), gone);
    }

    #[test]
    fn a_verdict_of_before_has_no_evidence() {
        let key = ViewKey::Verdicts(VerdictKey {
            tenant: TenantId(1),
            day: Day(20_000),
            request: EventId::from(7),
        });
        let row = |evidence| {
            ViewValue::Verdicts(VerdictRow {
                time: EventTimeMs(5),
                verdict: Verdict::Status,
                enclosure: EnclosureId(2),
                episode: EpisodeId(3),
                listener: ListenerId(4),
                sent_bytes: 300,
                evidence,
            })
        };
        short(key, row(Evidence::None));
        let now = (key, Some(row(Evidence::Status(304))));
        assert_eq!(exact(&stored(&now), true).unwrap(), now);
    }

    #[test]
    fn a_conversion_of_before_has_no_path() {
        for number in 0..20 {
            let ViewValue::Conversions(mut row) = value(View::Conversions, number) else {
                panic!("another view");
            };
            row.path = Box::default();
            short(key(View::Conversions, number), ViewValue::Conversions(row));
        }
    }

    #[test]
    fn every_format_so_far_is_known_and_no_other() {
        let shorter = |format| shorter(Some(format)).map(<[View]>::len);
        let found = ["0", "1", "2", "3", "4"].map(shorter);
        assert_eq!(found, [None, Some(2), Some(1), Some(0), None]);
    }
}
