//! A ClickHouse and a PostgreSQL of a run, and what stands in them.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use hostread_engines::Engines;
use hostread_schemas::view::View;
use hostread_sink_clickhouse::ClickHouseSink;
use hostread_sink_kit::{Columns, Dump, Progress, Sink, VERSION_TICK_BITS};
use hostread_sink_postgres::PostgresSink;
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

use crate::engines_tests::{ask, clickhouse_sink, postgres_config, run, start_for_sinks};

/// Rows of every table, by sink and view, each as text.
pub(super) type Tables = BTreeMap<(&'static str, View), Vec<String>>;

/// Running engines in a folder of their own.
pub(super) struct Databases {
    engines: Engines,
    dir: TempDir,
}

impl Databases {
    pub(super) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let engines = start_for_sinks(dir.path()).await;
        let databases = Self { engines, dir };
        // Tables are there before the first reader asks.
        databases.clickhouse().migrate().await.unwrap();
        databases.postgres().migrate().await.unwrap();
        databases
    }

    /// As they stand in the binary's configuration.
    pub(super) fn settings(&self) -> String {
        let (clickhouse, postgres) = (&self.engines.clickhouse, &self.engines.postgres);
        let (header, secret) = &clickhouse.gate_header;
        format!(
            "[clickhouse]\nurl = {:?}\nuser = {:?}\npassword = {:?}\nverdict_days_kept = 0\nheaders = {{ {header:?} = {secret:?} }}\n\
             [postgres]\nurl_owner = {:?}\nurl_sink = {:?}",
            clickhouse.url,
            clickhouse.user,
            clickhouse.password,
            postgres.url_owner,
            postgres.url_sink
        )
    }

    pub(super) fn clickhouse(&self) -> ClickHouseSink {
        clickhouse_sink(&self.engines.clickhouse)
    }

    pub(super) fn postgres(&self) -> PostgresSink {
        PostgresSink::new(postgres_config(&self.engines.postgres)).unwrap()
    }

    /// A query of ClickHouse, past the door.
    pub(super) async fn ask(&self, query: &str) -> String {
        run(&self.engines.clickhouse, query).await
    }

    /// Puts a file's rows into ClickHouse.
    pub(super) async fn put(&self, insert: &str, file: &[u8]) {
        let access = &self.engines.clickhouse;
        let query = [insert.as_bytes(), b"\n", file].concat();
        let (status, text) = ask(access, &access.user, &access.password, query).await;
        assert_eq!(status, 200, "{insert}: {text}");
    }

    /// As the role that sees every tenant.
    pub(super) async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.engines.postgres.url_sink)
            .await
            .unwrap()
    }

    /// As a person's role, which sees the tenant that its session names.
    pub(super) async fn connect_as_reader(&self) -> PgConnection {
        PgConnection::connect(&self.engines.postgres.url_reader)
            .await
            .unwrap()
    }

    /// Everything that stands in the views' tables. With the version, its epoch is cut off: the tick stays.
    pub(super) async fn tables(&self, columns: Columns) -> Tables {
        let (clickhouse, postgres) = (self.clickhouse(), self.postgres());
        let mut tables = Tables::new();
        for view in View::ALL {
            for (sink, dumped) in [
                ("clickhouse", clickhouse.dump(*view, columns).await),
                ("postgres", postgres.dump(*view, columns).await),
            ] {
                let mut rows = dumped.unwrap();
                if columns == Columns::RowAndVersion {
                    rows = rows.iter().map(|row| without_epoch(row)).collect();
                    rows.sort_unstable();
                }
                if !rows.is_empty() {
                    tables.insert((sink, *view), rows);
                }
            }
        }
        tables
    }

    /// Both sinks' progress.
    pub(super) async fn progress(&self) -> [Option<Progress>; 2] {
        [
            self.clickhouse().progress().await.unwrap(),
            self.postgres().progress().await.unwrap(),
        ]
    }

    /// As `hostread sinks resync` leaves them.
    pub(super) async fn clear(&self) {
        self.clickhouse().clear().await.unwrap();
        self.postgres().clear().await.unwrap();
    }

    /// Stops the engines, cleanly; what they hold stays.
    pub(super) async fn rest(self) -> Resting {
        self.engines.stop().await;
        Resting(self.dir)
    }

    pub(super) async fn stop(self) {
        self.engines.stop().await;
        // As root the engines' files are elsewhere.
        if let Ok(elsewhere) = fs::read_link(self.dir.path().join("engines")) {
            fs::remove_dir_all(elsewhere).unwrap();
        }
    }
}

/// Engines that do not run.
pub(super) struct Resting(TempDir);

impl Resting {
    /// Holds a folder of each engine.
    pub(super) fn folder(&self) -> PathBuf {
        // As root it is elsewhere.
        fs::canonicalize(self.0.path().join("engines")).unwrap()
    }

    pub(super) async fn wake(self) -> Databases {
        let engines = start_for_sinks(self.0.path()).await;
        Databases {
            engines,
            dir: self.0,
        }
    }
}

fn without_epoch(row: &str) -> String {
    let mut row: serde_json::Value = serde_json::from_str(row).unwrap();
    let version = match &mut row {
        serde_json::Value::Array(columns) => columns.last_mut().unwrap(),
        columns => columns.get_mut("version").unwrap(),
    };
    let number = version
        .as_u64()
        .or_else(|| version.as_str()?.parse().ok())
        .unwrap();
    *version = (number % (1 << VERSION_TICK_BITS)).into();
    row.to_string()
}
