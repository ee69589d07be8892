//! The sink itself: connection, owner, one transaction a range.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use hostread_schemas::view::View;
use hostread_schemas::{Names, Tick};
use hostread_sink_kit::{
    Admission, Chunk, Columns, Dump, Progress, RangeBatch, Result, Sink, SinkError, admit, claim,
    plan_chunks, telemetry,
};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection, PgConnection};

use crate::config::PostgresConfig;
use crate::error::classed;
use crate::rows::Encoded;
use crate::tables::{TABLES, table};
use crate::{NAME, VIEWS, rows};

const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MOST: Duration = Duration::from_secs(1);

static MIGRATIONS: Migrator = sqlx::migrate!();

/// Writes ranges to PostgreSQL.
pub struct PostgresSink {
    config: PostgresConfig,
    ours: Option<Progress>,
    /// Taken out while in use, so that a broken one is not used again.
    connection: Option<PgConnection>,
}

impl std::fmt::Debug for PostgresSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresSink")
            .field("ours", &self.ours)
            .finish_non_exhaustive()
    }
}

impl PostgresSink {
    /// A sink that is not connected yet. No I/O.
    pub fn new(config: PostgresConfig) -> Result<Self> {
        config.validate()?;
        Ok(Self {
            config,
            ours: None,
            connection: None,
        })
    }

    async fn connect(&self) -> Result<PgConnection> {
        const DOING: &str = "connecting";
        let options = self.config.options("url_sink", &self.config.url_sink)?;
        PgConnection::connect_with(&options)
            .await
            .map_err(|error| classed(DOING, error))
    }

    /// The connection that ranges go through.
    async fn taken(&mut self) -> Result<PgConnection> {
        match self.connection.take() {
            Some(connection) => Ok(connection),
            None => self.connect().await,
        }
    }

    async fn apply_once(
        &mut self,
        batch: &RangeBatch,
        names: &Names,
        ours: Progress,
    ) -> Result<()> {
        let mut connection = self.taken().await?;
        let limit = Duration::from_secs(u64::from(self.config.statement_secs_max) * 3);
        tokio::time::timeout(limit, write_range(&mut connection, batch, names, ours))
            .await
            .unwrap_or_else(|elapsed| {
                Err(SinkError::Dependency {
                    sink: NAME,
                    doing: "writing a range".to_owned(),
                    source: Box::new(elapsed),
                })
            })?;
        // Only a connection that did all that was asked is kept.
        self.connection = Some(connection);
        Ok(())
    }
}

async fn write_range(
    connection: &mut PgConnection,
    batch: &RangeBatch,
    names: &Names,
    ours: Progress,
) -> Result<()> {
    const DOING: &str = "writing a range";
    let failed = |error| classed(DOING, error);
    let started = Instant::now();
    let mut transaction = connection.begin().await.map_err(failed)?;
    let stored = locked(&mut transaction).await?;
    let Admission::Write { from } = admit(NAME, stored, ours, batch)? else {
        return transaction.rollback().await.map_err(failed);
    };
    let mut written = 0;
    for chunk in plan_chunks(&batch.upserts, from, VIEWS) {
        let started = Instant::now();
        write_chunk(&mut transaction, &chunk, ours.epoch, names)
            .await
            .map_err(|error| classed(&format!("writing \"{}\"", chunk.view.name()), error))?;
        fail::fail_point!("postgres.chunk_sent");
        written += chunk.rows.len();
        telemetry::rows_written(
            NAME,
            chunk.view.name(),
            batch,
            chunk.rows.len(),
            started.elapsed(),
        );
    }
    let moved = sqlx::query(
        "UPDATE serving.sink_progress SET upper = $1, written_at = now() \
         WHERE sink = 'postgres' AND epoch = $2 AND upper < $1",
    )
    .bind(signed(batch.upper.0))
    .bind(signed(ours.epoch))
    .execute(&mut *transaction)
    .await
    .map_err(failed)?;
    if moved.rows_affected() != 1 {
        return Err(SinkError::NotOpen { sink: NAME });
    }
    fail::fail_point!("postgres.before_commit");
    transaction.commit().await.map_err(failed)?;
    fail::fail_point!("postgres.committed");
    telemetry::range_written(NAME, batch.lower, batch.upper, written, started.elapsed());
    Ok(())
}

async fn write_chunk(
    connection: &mut PgConnection,
    chunk: &Chunk<'_>,
    epoch: u64,
    names: &Names,
) -> std::result::Result<(), sqlx::Error> {
    let Some(table) = table(chunk.view) else {
        return Ok(());
    };
    let Encoded { upserts, deletes } = rows::encode(chunk, epoch, names);
    for (statement, rows) in [(table.upsert, upserts), (table.delete, deletes)] {
        if let Some(rows) = rows {
            sqlx::query(statement)
                .bind(rows)
                .execute(&mut *connection)
                .await?;
        }
    }
    Ok(())
}

/// What is stored, locked until the transaction ends: of two owners one waits for the other.
async fn locked(connection: &mut PgConnection) -> Result<Option<Progress>> {
    let row = sqlx::query_as::<_, (String, i64, i64)>(
        "SELECT journal_id, epoch, upper FROM serving.sink_progress WHERE sink = 'postgres' FOR UPDATE",
    )
    .fetch_optional(connection)
    .await
    .map_err(|error| classed("reading the progress", error))?;
    Ok(row.map(stored))
}

fn stored((journal_id, epoch, upper): (String, i64, i64)) -> Progress {
    Progress {
        journal_id: u128::from_str_radix(&journal_id, 16).unwrap_or_default(),
        epoch: epoch.unsigned_abs(),
        upper: Tick(upper.unsigned_abs()),
    }
}

/// Epochs and ticks have fewer than 63 bits.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

async fn take_ownership(connection: &mut PgConnection, journal_id: u128) -> Result<Progress> {
    let failed = |error| classed("opening", error);
    let mut transaction = connection.begin().await.map_err(failed)?;
    let stored = locked(&mut transaction).await?;
    let claimed = claim(NAME, stored, journal_id)?;
    let query = if stored.is_some() {
        "UPDATE serving.sink_progress SET epoch = $2, upper = $3, written_at = now() \
         WHERE sink = 'postgres' AND journal_id = $1"
    } else {
        "INSERT INTO serving.sink_progress (sink, journal_id, epoch, upper) VALUES ('postgres', $1, $2, $3) \
         ON CONFLICT DO NOTHING"
    };
    let done = sqlx::query(query)
        .bind(format!("{journal_id:032x}"))
        .bind(signed(claimed.epoch))
        .bind(signed(claimed.upper.0))
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
    if done.rows_affected() != 1 {
        return Err(SinkError::Dependency {
            sink: NAME,
            doing: "opening".to_owned(),
            source: "another one opened it at the same moment".into(),
        });
    }
    transaction.commit().await.map_err(failed)?;
    fail::fail_point!("postgres.claimed");
    Ok(claimed)
}

#[async_trait]
impl Sink for PostgresSink {
    fn name(&self) -> &'static str {
        NAME
    }

    fn views(&self) -> &'static [View] {
        VIEWS
    }

    async fn migrate(&mut self) -> Result<()> {
        let options = self.config.options("url_owner", &self.config.url_owner)?;
        let owner = PgPoolOptions::new()
            .max_connections(1)
            .connect_with(options)
            .await
            .map_err(|error| classed("connecting", error))?;
        let mut migrator = Migrator::with_migrations(MIGRATIONS.iter().cloned().collect());
        migrator.dangerous_set_table_name("serving.migrations");
        migrator.create_schema("serving");
        let outcome = migrator.run(&owner).await;
        owner.close().await;
        outcome.map_err(|error| match error {
            MigrateError::Execute(error) => classed("migrating", error),
            MigrateError::ExecuteMigration(error, version) => {
                classed(&format!("migration {version}"), error)
            }
            other => SinkError::Migration {
                sink: NAME,
                file: "migrations".to_owned(),
                reason: other.to_string(),
            },
        })
    }

    async fn open(&mut self, journal_id: u128) -> Result<Progress> {
        let mut connection = self.taken().await?;
        let claimed = take_ownership(&mut connection, journal_id).await?;
        self.connection = Some(connection);
        self.ours = Some(claimed);
        telemetry::opened(NAME, claimed.epoch, claimed.upper);
        Ok(claimed)
    }

    async fn apply(&mut self, batch: &RangeBatch, names: &Names) -> Result<()> {
        let ours = self.ours.ok_or(SinkError::NotOpen { sink: NAME })?;
        let deadline = Instant::now() + Duration::from_secs(u64::from(self.config.retry_secs_max));
        let mut pause = RETRY_FIRST;
        loop {
            // A commit whose answer got lost is found stored, and skipped, by the next attempt.
            match self.apply_once(batch, names, ours).await {
                Err(error) if error.may_retry() && Instant::now() + pause < deadline => {
                    telemetry::retried(NAME, &error, None);
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(RETRY_MOST);
                }
                outcome => return outcome,
            }
        }
    }

    async fn progress(&self) -> Result<Option<Progress>> {
        let mut connection = self.connect().await?;
        let row = sqlx::query_as::<_, (String, i64, i64)>(
            "SELECT journal_id, epoch, upper FROM serving.sink_progress WHERE sink = 'postgres'",
        )
        .fetch_optional(&mut connection)
        .await
        .map_err(|error| classed("reading the progress", error))?;
        Ok(row.map(stored))
    }

    async fn clear(&mut self) -> Result<()> {
        let failed = |error| classed("emptying the tables", error);
        self.ours = None;
        let mut connection = self.connect().await?;
        let mut transaction = connection.begin().await.map_err(failed)?;
        // The progress first: an owner under way is waited for, and the next one finds nothing.
        for statement in ["DELETE FROM serving.sink_progress WHERE sink = 'postgres'"]
            .into_iter()
            .chain(TABLES.iter().map(|table| table.empty))
        {
            sqlx::query(statement)
                .execute(&mut *transaction)
                .await
                .map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)
    }
}

#[async_trait]
impl Dump for PostgresSink {
    async fn dump(&self, view: View, columns: Columns) -> Result<Vec<String>> {
        let Some(table) = table(view) else {
            return Ok(Vec::new());
        };
        let query = match columns {
            Columns::Row => table.dump,
            Columns::RowAndVersion => table.dump_with_version,
        };
        let mut connection = self.connect().await?;
        let mut lines = sqlx::query_scalar::<_, String>(query)
            .fetch_all(&mut connection)
            .await
            .map_err(|error| classed("reading a table back", error))?;
        lines.sort_unstable();
        Ok(lines)
    }
}
