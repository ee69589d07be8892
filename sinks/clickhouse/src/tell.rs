//! Tells readers that numbers are being restated, beside the ranges that are written meanwhile.
//! Invariant: a row shows only while its writer owns the sink: the fence keeps later ones out, the view passes over those of
//! epochs before.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use async_trait::async_trait;
use clickhouse::native::Block;
use clickhouse::native::builder::BlockBuilder;
use hostread_schemas::{EventTimeMs, Tick};
use hostread_sink_kit::{RestatingRow, Result, SinkError, Teller, version_of};

use crate::NAME;
use crate::client::Connection;
use crate::encode::{Encoded, Millis};
use crate::fence::Fence;

pub(crate) const TABLE: &str = "restating";

pub(crate) struct RestatingTeller {
    pub(crate) connection: Connection,
    pub(crate) fence: Arc<Fence>,
    pub(crate) epoch: u64,
    /// Rows so far: one that lost its way and comes late is not the newest.
    pub(crate) told: AtomicU64,
}

#[async_trait]
impl Teller for RestatingTeller {
    async fn tell(&self, row: &RestatingRow) -> Result<()> {
        let count = self.told.fetch_add(1, Ordering::Relaxed);
        let version = version_of(self.epoch, Tick(count));
        let block = encode(row, version).map_err(|source| SinkError::Refused {
            sink: NAME,
            doing: format!("encoding \"{TABLE}\""),
            source,
        })?;
        // Tried once: the next row says more.
        let now = Instant::now();
        self.fence
            .insert(&self.connection, TABLE, &block, now)
            .await
    }
}

fn encode(row: &RestatingRow, version: u64) -> Encoded<Block> {
    let mut block = BlockBuilder::new();
    block.upsert_column::<u64>("version")?.add(version)?;
    block.upsert_column::<u64>("tick")?.add(row.tick.0)?;
    for (name, time) in [
        ("clock", row.clock),
        ("accepted_at", EventTimeMs(row.accepted_at_ms)),
        ("told_at", EventTimeMs(row.told_at_ms)),
    ] {
        block.upsert_column::<Millis>(name)?.add(Millis(time))?;
    }
    block.upsert_column::<&str>("stage")?.add(row.stage)?;
    block.upsert_column::<u64>("done")?.add(row.done)?;
    block.upsert_column::<u64>("total")?.add(row.total)?;
    Ok(block.build()?)
}
