//! A ClickHouse and a PostgreSQL of a run, and what stands in them.

use std::collections::BTreeMap;
use std::fs;

use hostread_engines::{Engines, EnginesConfig};
use hostread_schemas::view::View;
use hostread_sink_clickhouse::{ClickHouseConfig, ClickHouseSink, tenant_tables};
use hostread_sink_kit::{Columns, Dump, Progress, Sink, VERSION_TICK_BITS};
use hostread_sink_postgres::{PostgresConfig, PostgresSink};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

use crate::engines_tests::{launcher_exe, packages_dir, run};

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
        let engines = Engines::start(EnginesConfig {
            packages_dir: packages_dir(),
            data_dir: dir.path().to_owned(),
            launcher_exe: launcher_exe(),
            readers: Vec::new(),
            filtered_tables: tenant_tables(),
            clickhouse_memory_bytes_max: 2 << 30,
        })
        .await
        .unwrap();
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
        let access = &self.engines.clickhouse;
        let (header, secret) = &access.gate_header;
        let config = ClickHouseConfig::new(&access.url, &access.user, &access.password);
        let mut config = config.header(header, secret);
        // MIX-1's days may be long past by the server's clock.
        config.verdict_days_kept = None;
        ClickHouseSink::new(config).unwrap()
    }

    pub(super) fn postgres(&self) -> PostgresSink {
        let access = &self.engines.postgres;
        PostgresSink::new(PostgresConfig::new(&access.url_owner, &access.url_sink)).unwrap()
    }

    /// A query of ClickHouse, past the door.
    pub(super) async fn ask(&self, query: &str) -> String {
        run(&self.engines.clickhouse, query).await
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

    pub(super) async fn stop(self) {
        self.engines.stop().await;
        // As root the engines' files are elsewhere.
        if let Ok(elsewhere) = fs::read_link(self.dir.path().join("engines")) {
            fs::remove_dir_all(elsewhere).unwrap();
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
