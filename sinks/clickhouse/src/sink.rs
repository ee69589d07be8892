//! The sink itself: owner, ranges, chunks, progress.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use async_trait::async_trait;
use clickhouse::native::Block;
use clickhouse::native::builder::BlockBuilder;
use hostread_schemas::view::View;
use hostread_schemas::{EventTimeMs, Names, Tick};
use hostread_sink_kit::{
    Admission, Chunk, FreshnessRow, Progress, RangeBatch, Result, Sink, SinkError, Teller,
    VERSION_TICK_BITS, admit, claim, plan_chunks, telemetry,
};

use crate::client::Connection;
use crate::config::ClickHouseConfig;
use crate::encode::{Encoded, Millis};
use crate::fence::Fence;
use crate::progress::{self, Owned};
use crate::tell::{self, RestatingTeller};
use crate::{NAME, VIEWS, migrate, rows};

/// Writes ranges to ClickHouse.
pub struct ClickHouseSink {
    pub(crate) connection: Connection,
    config: ClickHouseConfig,
    ours: Option<(Owned, Arc<Fence>)>,
}

impl std::fmt::Debug for ClickHouseSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClickHouseSink")
            .field("config", &self.config)
            .field("ours", &self.ours)
            .finish_non_exhaustive()
    }
}

impl ClickHouseSink {
    /// A sink that is not connected yet. No I/O.
    pub fn new(config: ClickHouseConfig) -> Result<Self> {
        Ok(Self {
            connection: Connection::new(&config)?,
            config,
            ours: None,
        })
    }

    /// What is stored, if it is not another owner's who opened at the same moment.
    async fn stored(&self, ours: Owned) -> Result<Option<Progress>> {
        let stored = progress::read(&self.connection).await?;
        if let Some(Owned { progress, owner }) = stored
            && (progress.journal_id, progress.epoch)
                == (ours.progress.journal_id, ours.progress.epoch)
            && owner != ours.owner
        {
            return Err(SinkError::Fenced {
                sink: NAME,
                stored: progress.epoch,
                ours: ours.progress.epoch,
            });
        }
        Ok(stored.map(|stored| stored.progress))
    }

    async fn write_chunks(
        &self,
        batch: &RangeBatch,
        from: Tick,
        (ours, fence): (Owned, &Fence),
        names: &Names,
        deadline: Instant,
    ) -> Result<usize> {
        let mut written = 0;
        for chunk in plan_chunks(&batch.upserts, from, VIEWS) {
            let started = Instant::now();
            let table = chunk.view.name();
            fail::fail_point!("clickhouse.before_chunk");
            if let Some(block) = encode(&chunk, ours.progress.epoch, names)? {
                let inserted = fence.insert(&self.connection, table, &block, deadline);
                if let Err(error) = inserted.await {
                    // Refused, perhaps because another one owns the sink by now: then that is what is wrong.
                    if !error.may_retry() {
                        admit(NAME, self.stored(ours).await?, ours.progress, batch)?;
                    }
                    return Err(error);
                }
            }
            fail::fail_point!("clickhouse.chunk_written");
            written += chunk.rows.len();
            telemetry::rows_written(NAME, table, batch, chunk.rows.len(), started.elapsed());
        }
        Ok(written)
    }
}

#[async_trait]
impl Sink for ClickHouseSink {
    fn name(&self) -> &'static str {
        NAME
    }

    fn views(&self) -> &'static [View] {
        VIEWS
    }

    async fn migrate(&mut self) -> Result<()> {
        migrate::migrate(&self.connection, &self.config).await
    }

    async fn open(&mut self, journal_id: u128) -> Result<Progress> {
        let stored = self.progress().await?;
        let ours = Owned {
            progress: claim(NAME, stored, journal_id)?,
            owner: progress::new_owner(),
        };
        progress::write(&self.connection, ours, self.connection.deadline()).await?;
        fail::fail_point!("clickhouse.claimed");
        self.stored(ours).await?;
        let fence = Fence::new(&self.connection, ours).await?;
        fence.end_former(&self.connection).await?;
        self.ours = Some((ours, Arc::new(fence)));
        telemetry::opened(NAME, ours.progress.epoch, ours.progress.upper);
        Ok(ours.progress)
    }

    async fn apply(&mut self, batch: &RangeBatch, names: &Names) -> Result<()> {
        let owned = self.ours.as_ref();
        let (ours, fence) = owned.ok_or(SinkError::NotOpen { sink: NAME })?;
        let ours = *ours;
        let started = Instant::now();
        let deadline = self.connection.deadline();
        let stored = self.stored(ours).await?;
        let Admission::Write { from } = admit(NAME, stored, ours.progress, batch)? else {
            return Ok(());
        };
        let written = self
            .write_chunks(batch, from, (ours, fence), names, deadline)
            .await?;
        let progress = Progress {
            upper: batch.upper,
            ..ours.progress
        };
        fail::fail_point!("clickhouse.before_progress");
        progress::write(&self.connection, Owned { progress, ..ours }, deadline).await?;
        fail::fail_point!("clickhouse.progress_written");
        if let Some(row) = &batch.freshness {
            self.write_freshness(row, ours.progress.epoch).await;
        }
        telemetry::range_written(NAME, batch.lower, batch.upper, written, started.elapsed());
        Ok(())
    }

    /// Tables are written one after the other: the newest row says how far an owner had come that ended in between.
    async fn begun_upper(&self) -> Result<Tick> {
        let newest = VIEWS.iter().map(|view| {
            let (table, ticks) = (view.name(), 1_u64 << VERSION_TICK_BITS);
            format!(
                "SELECT max(version % {ticks}) + 1 AS upper, count() AS rows FROM serving.{table}"
            )
        });
        let newest: Vec<String> = newest.collect();
        let sql = format!(
            "SELECT max(upper) FROM ({}) WHERE rows > 0",
            newest.join(" UNION ALL ")
        );
        let uppers: Vec<u64> = self.connection.rows("reading the newest row", &sql).await?;
        Ok(Tick(uppers.first().copied().unwrap_or_default()))
    }

    fn teller(&self) -> Option<Box<dyn Teller>> {
        let (ours, fence) = self.ours.as_ref()?;
        Some(Box::new(RestatingTeller {
            connection: self.connection.clone(),
            fence: Arc::clone(fence),
            epoch: ours.progress.epoch,
            told: AtomicU64::new(0),
        }))
    }

    async fn progress(&self) -> Result<Option<Progress>> {
        let stored = progress::read(&self.connection).await?;
        Ok(stored.map(|stored| stored.progress))
    }

    async fn parts_count(&self) -> Result<u64> {
        let counts: Vec<u64> = self
            .connection
            .rows(
                "counting parts",
                "SELECT count() FROM system.parts WHERE active AND database = 'serving'",
            )
            .await?;
        Ok(counts.first().copied().unwrap_or_default())
    }

    async fn clear(&mut self) -> Result<()> {
        const DOING: &str = "emptying the tables";
        self.ours = None;
        // A stop in the middle must not leave an upper above tables without rows: no journal has the id 0, so nobody
        // can open the sink before it was emptied to the end.
        let epoch = self.progress().await?.map_or(0, |stored| stored.epoch) + 1;
        let nobody = Owned {
            progress: Progress {
                journal_id: 0,
                epoch,
                upper: Tick(0),
            },
            owner: progress::new_owner(),
        };
        progress::write(&self.connection, nobody, self.connection.deadline()).await?;
        let tables = VIEWS
            .iter()
            .map(|view| view.name())
            .chain(["freshness", tell::TABLE]);
        for table in tables {
            self.connection
                .execute(DOING, &format!("TRUNCATE TABLE serving.{table}"))
                .await?;
        }
        self.connection
            .execute(DOING, "TRUNCATE TABLE internal.sink_progress")
            .await
    }
}

impl ClickHouseSink {
    /// The range is stored already: what goes wrong here is counted, not raised.
    async fn write_freshness(&self, row: &FreshnessRow, epoch: u64) {
        let outcome = match freshness(row, epoch) {
            Ok(block) => {
                let now = Instant::now();
                self.connection
                    .insert("serving.freshness", &block, now)
                    .await
                    .is_ok()
            }
            Err(_) => false,
        };
        if !outcome {
            metrics::counter!("sink_freshness_rows_lost_total", "sink" => NAME).increment(1);
            tracing::warn!(sink = NAME, "a freshness row was not written");
        }
    }
}

fn encode(chunk: &Chunk<'_>, epoch: u64, names: &Names) -> Result<Option<Block>> {
    rows::encode(chunk, epoch, names).map_err(|source| SinkError::Refused {
        sink: NAME,
        doing: format!("encoding \"{}\"", chunk.view.name()),
        source,
    })
}

fn freshness(row: &FreshnessRow, epoch: u64) -> Encoded<Block> {
    let mut block = BlockBuilder::new();
    block.upsert_column::<u64>("tick")?.add(row.tick.0)?;
    block.upsert_column::<u64>("epoch")?.add(epoch)?;
    block
        .upsert_column::<Millis>("clock")?
        .add(Millis(row.clock))?;
    let accepted = Millis(EventTimeMs(row.accepted_at_ms));
    block
        .upsert_column::<Millis>("accepted_at")?
        .add(accepted)?;
    let visible = Millis(EventTimeMs(row.visible_at_ms));
    block.upsert_column::<Millis>("visible_at")?.add(visible)?;
    block.upsert_column::<u64>("events")?.add(row.events)?;
    Ok(block.build()?)
}
