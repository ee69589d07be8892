//! The block of a chunk. The tables are in `migrations/`, the columns of a view in the kit.

use clickhouse::native::Block;
use hostread_schemas::Names;
use hostread_sink_kit::{Chunk, version_of, write_columns};

use crate::VIEWS;
use crate::encode::{Columns, Encoded};

/// The block of a chunk; `None` for a view that ClickHouse does not keep.
pub(crate) fn encode(chunk: &Chunk<'_>, epoch: u64, names: &Names) -> Encoded<Option<Block>> {
    if !VIEWS.contains(&chunk.view) {
        return Ok(None);
    }
    let mut block = Columns::default();
    let rows = || chunk.rows.iter();
    write_columns(
        chunk.view,
        rows().map(|row| (&row.key, row.value.as_ref())),
        names,
        &mut block,
    )?;
    block.column("version", rows().map(|row| version_of(epoch, row.tick)))?;
    block.column(
        "is_deleted",
        rows().map(|row| u8::from(row.value.is_none())),
    )?;
    Ok(Some(block.build()?))
}
