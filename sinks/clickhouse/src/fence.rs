//! Keeps out who no longer owns the sink, however late it writes.
//!
//! Invariant 1: ClickHouse itself looks, when an insert begins, whether its sender is the owner. So once a new owner is stored,
//! only what had begun before can still come; the new owner ends that, and waits.
//! ClickHouse has no conditional insert, but an insert may select from what is sent, and a selection can refuse.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

use clickhouse::Row;
use clickhouse::native::Block;
use hostread_sink_kit::{Result, SinkError};
use serde::Deserialize;

use crate::NAME;
use crate::client::Connection;
use crate::progress::Owned;

/// How often a new owner looks whether an insert of a former one still runs.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Begins the comment of every insert of rows.
const COMMENT: &str = "hostread sink, owner ";

#[derive(Row, Deserialize)]
struct Column {
    table: String,
    name: String,
    kind: String,
}

/// What an owner's inserts say.
#[derive(Debug)]
pub(crate) struct Fence {
    comment: String,
    /// Between INSERT INTO and FORMAT, by table.
    into: BTreeMap<String, String>,
}

impl Fence {
    pub(crate) async fn new(connection: &Connection, ours: Owned) -> Result<Self> {
        let columns: Vec<Column> = connection
            .rows(
                "reading the tables' columns",
                "SELECT table, name, type AS kind FROM system.columns WHERE database = 'serving' ORDER BY table, position",
            )
            .await?;
        let tables = columns.chunk_by(|one, next| one.table == next.table);
        let into = tables.filter_map(|columns| {
            let table = columns.first()?.table.clone();
            let text = into(&table, columns, ours);
            Some((table, text))
        });
        Ok(Self {
            comment: format!("{COMMENT}{}", ours.owner),
            into: into.collect(),
        })
    }

    /// Inserts rows, unless another one owns the sink by now.
    pub(crate) async fn insert(
        &self,
        connection: &Connection,
        table: &str,
        block: &Block,
        deadline: Instant,
    ) -> Result<()> {
        let into = self
            .into
            .get(table)
            .ok_or(SinkError::NotOpen { sink: NAME })?;
        let name = format!("serving.{table}");
        connection
            .insert_as(&name, into, &self.comment, block, deadline)
            .await
    }

    /// Ends what former owners are still inserting, and waits for it: an error when one still runs after the time that an insert
    /// may take, for a sink that another one writes is not owned.
    pub(crate) async fn end_former(&self, connection: &Connection) -> Result<()> {
        const DOING: &str = "ending a former owner's inserts";
        let theirs = format!(
            "query_kind = 'Insert' AND startsWith(Settings['log_comment'], '{COMMENT}') \
             AND Settings['log_comment'] != '{}'",
            self.comment
        );
        let (kill, count) = (
            format!("KILL QUERY WHERE {theirs} ASYNC"),
            format!("SELECT count() FROM system.processes WHERE {theirs}"),
        );
        let deadline = Instant::now() + connection.answer_most();
        loop {
            let running: Vec<u64> = connection.rows(DOING, &count).await?;
            if running.iter().all(|count| *count == 0) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(SinkError::Dependency {
                    sink: NAME,
                    doing: DOING.to_owned(),
                    source: "one still runs".into(),
                });
            }
            connection.execute(DOING, &kill).await?;
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// Selects what is sent, if the owner is still the one.
fn into(table: &str, columns: &[Column], ours: Owned) -> String {
    let (mut names, mut kinds) = (String::new(), String::new());
    for Column { name, kind, .. } in columns {
        let comma = if names.is_empty() { "" } else { ", " };
        let kind = kind.replace('\\', "\\\\").replace('\'', "\\'");
        write!(names, "{comma}{name}").expect("a string takes all");
        write!(kinds, "{comma}{name} {kind}").expect("a string takes all");
    }
    let (epoch, owner) = (ours.progress.epoch, ours.owner);
    format!(
        "serving.{table} ({names}) SELECT {names} FROM input('{kinds}') WHERE throwIf((SELECT count() FROM \
         (SELECT epoch, owner FROM internal.sink_progress WHERE sink = '{NAME}' ORDER BY epoch DESC, owner DESC LIMIT 1) \
         WHERE epoch = {epoch} AND owner = toUInt128('{owner}')) = 0, 'another one owns the sink') = 0"
    )
}
