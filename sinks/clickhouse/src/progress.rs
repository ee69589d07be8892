//! The progress row: who owns the sink, and up to which tick it is filled.
//! One row an owner; the highest (epoch, owner) is in charge, so of two that opened at once one is left.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Instant;

use clickhouse::Row;
use clickhouse::native::Block;
use clickhouse::native::builder::BlockBuilder;
use hostread_schemas::Tick;
use hostread_sink_kit::{Progress, Result, SinkError};
use serde::Deserialize;

use crate::NAME;
use crate::client::Connection;
use crate::encode::Encoded;

/// What a stored owner looks like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Owned {
    pub(crate) progress: Progress,
    /// Random, so that two owners of one epoch are told apart.
    pub(crate) owner: u128,
}

#[derive(Row, Deserialize)]
struct Stored {
    epoch: u64,
    owner: u128,
    journal_id: u128,
    upper: u64,
}

/// A number that no other process draws.
pub(crate) fn new_owner() -> u128 {
    let half = || u128::from(RandomState::new().build_hasher().finish());
    (half() << 64) | half()
}

pub(crate) async fn read(connection: &Connection) -> Result<Option<Owned>> {
    let rows: Vec<Stored> = connection
        .rows(
            "reading the progress",
            "SELECT epoch, owner, journal_id, upper FROM internal.sink_progress WHERE sink = 'clickhouse' \
             ORDER BY epoch DESC, owner DESC, upper DESC LIMIT 1",
        )
        .await?;
    Ok(rows.first().map(|row| Owned {
        progress: Progress {
            journal_id: row.journal_id,
            epoch: row.epoch,
            upper: Tick(row.upper),
        },
        owner: row.owner,
    }))
}

pub(crate) async fn write(connection: &Connection, owned: Owned, deadline: Instant) -> Result<()> {
    let block = block(owned).map_err(|source| SinkError::Refused {
        sink: NAME,
        doing: "encoding the progress".to_owned(),
        source,
    })?;
    connection
        .insert("internal.sink_progress", &block, deadline)
        .await
}

fn block(owned: Owned) -> Encoded<Block> {
    let Owned { progress, owner } = owned;
    let mut block = BlockBuilder::new();
    block.upsert_column::<&str>("sink")?.add(NAME)?;
    block.upsert_column::<u64>("epoch")?.add(progress.epoch)?;
    block.upsert_column::<u128>("owner")?.add(owner)?;
    block
        .upsert_column::<u128>("journal_id")?
        .add(progress.journal_id)?;
    block.upsert_column::<u64>("upper")?.add(progress.upper.0)?;
    Ok(block.build()?)
}
