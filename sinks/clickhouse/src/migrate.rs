//! Brings the tables up to date: ordered files, one statement each, each applied once and remembered with its checksum.
//! Invariant: a file that was applied never changes; a changed one is refused before anything is done.
//! A statement can be repeated, so a stop between it and its record does no harm.

use clickhouse::Row;
use clickhouse::native::Block;
use clickhouse::native::builder::BlockBuilder;
use hostread_sink_kit::{Result, SinkError};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::NAME;
use crate::client::Connection;
use crate::config::ClickHouseConfig;
use crate::encode::Encoded;

struct Migration {
    name: &'static str,
    sql: &'static str,
}

macro_rules! migration {
    ($name:literal) => {
        Migration {
            name: $name,
            sql: include_str!(concat!("../migrations/", $name, ".sql")),
        }
    };
}

/// In order; a new file goes to the end.
const MIGRATIONS: &[Migration] = &[
    migration!("0001_verdicts"),
    migration!("0002_downloads"),
    migration!("0003_downloads_daily"),
    migration!("0004_conversions"),
    migration!("0005_credits"),
    migration!("0006_attribution_daily"),
    migration!("0007_delivery_daily"),
    migration!("0008_pacing"),
    migration!("0009_anomalies"),
    migration!("0010_restatements"),
    migration!("0011_late_after_seal"),
    migration!("0012_freshness"),
    migration!("0013_view_verdicts"),
    migration!("0014_view_verdicts_daily"),
    migration!("0015_view_downloads"),
    migration!("0016_view_downloads_daily"),
    migration!("0017_view_conversions"),
    migration!("0018_view_attribution"),
    migration!("0019_view_attribution_daily"),
    migration!("0020_view_delivery_daily"),
    migration!("0021_view_pacing"),
    migration!("0022_view_anomalies"),
    migration!("0023_view_restatements"),
    migration!("0024_view_late_after_seal"),
    migration!("0025_view_freshness"),
    migration!("0026_restating"),
    migration!("0027_view_freshness"),
    migration!("0028_verdicts_evidence"),
    migration!("0029_view_verdicts"),
    migration!("0030_conversions_path"),
    migration!("0031_view_conversions"),
    migration!("0032_view_touchpoints"),
    migration!("0033_view_downloads_daily"),
    migration!("0034_credits_shapley"),
    migration!("0035_view_attribution"),
];

/// What must be there before the first file can be remembered.
const BEFORE: &[&str] = &[
    "CREATE DATABASE IF NOT EXISTS serving",
    "CREATE DATABASE IF NOT EXISTS hostread",
    "CREATE DATABASE IF NOT EXISTS internal",
    "CREATE TABLE IF NOT EXISTS internal.migrations (name String, checksum String, \
     applied_at DateTime64(3, 'UTC') DEFAULT now64(3)) ENGINE = MergeTree ORDER BY name",
    "CREATE TABLE IF NOT EXISTS internal.sink_progress (sink LowCardinality(String), epoch UInt64, owner UInt128, \
     journal_id UInt128, upper UInt64, written_at DateTime64(3, 'UTC') DEFAULT now64(3)) \
     ENGINE = ReplacingMergeTree(upper) ORDER BY (sink, epoch, owner)",
];

#[derive(Row, Deserialize)]
struct Applied {
    name: String,
    checksum: String,
}

pub(crate) async fn migrate(connection: &Connection, config: &ClickHouseConfig) -> Result<()> {
    for sql in BEFORE {
        connection.execute("preparing the migrations", sql).await?;
    }
    let applied: Vec<Applied> = connection
        .rows(
            "reading the migrations",
            "SELECT name, any(checksum) AS checksum FROM internal.migrations GROUP BY name ORDER BY name",
        )
        .await?;
    for migration in outstanding(MIGRATIONS, &applied)? {
        let doing = format!("migration \"{}\"", migration.name);
        connection.execute(&doing, migration.sql).await?;
        let block = record(migration).map_err(|source| SinkError::Refused {
            sink: NAME,
            doing: doing.clone(),
            source,
        })?;
        connection
            .insert("internal.migrations", &block, connection.deadline())
            .await?;
        tracing::info!(sink = NAME, migration = migration.name, "migrated");
    }
    keep_verdicts(connection, config.verdict_days_kept).await
}

fn checksum(sql: &str) -> String {
    use std::fmt::Write;
    let digest = Sha256::digest(sql.as_bytes());
    digest.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a string takes all");
        hex
    })
}

/// The files that are not applied yet, or why there is nothing to be done.
fn outstanding<'a>(all: &'a [Migration], applied: &[Applied]) -> Result<Vec<&'a Migration>> {
    let refused = |file: &str, reason: &str| {
        Err(SinkError::Migration {
            sink: NAME,
            file: file.to_owned(),
            reason: reason.to_owned(),
        })
    };
    for done in applied {
        match all.iter().find(|migration| migration.name == done.name) {
            None => {
                return refused(
                    &done.name,
                    "is applied, but not part of this version: a newer one was here",
                );
            }
            Some(migration) if checksum(migration.sql) != done.checksum => {
                return refused(&done.name, "has changed since it was applied");
            }
            Some(_) => {}
        }
    }
    let is_done = |migration: &Migration| applied.iter().any(|done| done.name == migration.name);
    let first_new = all
        .iter()
        .position(|migration| !is_done(migration))
        .unwrap_or(all.len());
    match all
        .iter()
        .skip(first_new)
        .find(|migration| is_done(migration))
    {
        Some(later) => refused(later.name, "is applied, but an earlier one is not"),
        None => Ok(all.iter().skip(first_new).collect()),
    }
}

fn record(migration: &Migration) -> Encoded<Block> {
    let mut block = BlockBuilder::new();
    block.upsert_column::<&str>("name")?.add(migration.name)?;
    block
        .upsert_column::<String>("checksum")?
        .add(checksum(migration.sql))?;
    Ok(block.build()?)
}

/// How long verdicts are kept is a setting, not a migration: it may change at each start.
async fn keep_verdicts(connection: &Connection, days: Option<u32>) -> Result<()> {
    const DOING: &str = "setting how long verdicts are kept";
    let shown: Vec<String> = connection
        .rows(
            DOING,
            "SELECT engine_full FROM system.tables WHERE database = 'serving' AND name = 'verdicts'",
        )
        .await?;
    let has = |text: &str| shown.iter().any(|engine| engine.contains(text));
    match days {
        Some(days) if !has(&format!("TTL day + toIntervalDay({days}) ")) => {
            let sql = format!(
                "ALTER TABLE serving.verdicts MODIFY TTL day + toIntervalDay({days}) SETTINGS materialize_ttl_after_modify = 0"
            );
            connection.execute(DOING, &sql).await
        }
        None if has(" TTL ") => {
            connection
                .execute(DOING, "ALTER TABLE serving.verdicts REMOVE TTL")
                .await
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use super::*;

    const TWO: &[Migration] = &[
        Migration {
            name: "0001_a",
            sql: "A",
        },
        Migration {
            name: "0002_b",
            sql: "B",
        },
    ];

    fn applied(name: &str, sql: &str) -> Applied {
        Applied {
            name: name.to_owned(),
            checksum: checksum(sql),
        }
    }

    #[test]
    fn only_new_ones_in_order() {
        let names = |applied: &[Applied]| -> Vec<&str> {
            let outstanding = outstanding(TWO, applied).unwrap();
            outstanding.iter().map(|migration| migration.name).collect()
        };
        assert_eq!(names(&[]), ["0001_a", "0002_b"]);
        assert_eq!(names(&[applied("0001_a", "A")]), ["0002_b"]);
        assert!(names(&[applied("0001_a", "A"), applied("0002_b", "B")]).is_empty());
    }

    #[test]
    fn changed_unknown_and_skipped_ones_are_refused() {
        assert!(outstanding(TWO, &[applied("0001_a", "a")]).is_err());
        assert!(outstanding(TWO, &[applied("0009_z", "Z")]).is_err());
        assert!(outstanding(TWO, &[applied("0002_b", "B")]).is_err());
    }

    #[test]
    fn every_file_is_listed_in_order_with_one_statement() {
        let mut files: Vec<String> =
            std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations"))
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
        files.sort();
        let listed: Vec<String> = MIGRATIONS
            .iter()
            .map(|m| format!("{}.sql", m.name))
            .collect();
        assert_eq!(files, listed);
        // A comment's text may have one; what stands between the quotes is every second piece.
        let outside_quotes = |sql: &'static str| sql.split('\'').step_by(2);
        assert!(
            MIGRATIONS
                .iter()
                .all(|m| outside_quotes(m.sql).all(|piece| !piece.contains(';')))
        );
    }
}
