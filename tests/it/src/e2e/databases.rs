//! A ClickHouse and a PostgreSQL of a run, and what stands in them.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use hostread_engines::{ClickHouseAccess, Engines};
use hostread_schemas::view::View;
use hostread_sink_clickhouse::ClickHouseSink;
use hostread_sink_kit::{Columns, Dump, Progress, Sink, VERSION_TICK_BITS};
use hostread_sink_postgres::PostgresSink;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

use super::proxy::Proxy;
use crate::engines_tests::{ask, clickhouse_sink, postgres_config, run, start_for_sinks, try_ask};

/// Rows of every table, by sink and view, each as text.
pub(super) type Tables = BTreeMap<(&'static str, View), Vec<String>>;

/// Running engines in a folder of their own.
pub(super) struct Databases {
    engines: Engines,
    /// What the binary is told.
    pub(super) clickhouse_proxy: Proxy,
    pub(super) postgres_proxy: Proxy,
    dir: TempDir,
}

/// One of both.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Engine {
    ClickHouse,
    Postgres,
}

/// Where a URL leads.
fn server(url: &str) -> SocketAddr {
    let behind = url.split_once("127.0.0.1:").unwrap().1;
    let digits = behind.split(|c: char| !c.is_ascii_digit()).next().unwrap();
    ([127, 0, 0, 1], digits.parse().unwrap()).into()
}

impl Databases {
    pub(super) async fn start() -> Self {
        let databases = Self::over(tempfile::tempdir().unwrap()).await;
        // Tables are there before the first reader asks.
        databases.clickhouse().migrate().await.unwrap();
        databases.postgres().migrate().await.unwrap();
        databases
    }

    /// Both engines over the folders in `dir`.
    async fn over(dir: TempDir) -> Self {
        let engines = start_for_sinks(dir.path()).await;
        Self {
            clickhouse_proxy: Proxy::start(server(&engines.clickhouse.url)).await,
            postgres_proxy: Proxy::start(server(&engines.postgres.url_sink)).await,
            engines,
            dir,
        }
    }

    /// As they stand in the binary's configuration.
    pub(super) fn settings(&self) -> String {
        self.settings_via(&self.clickhouse_proxy, &self.postgres_proxy)
    }

    /// Another way to both.
    pub(super) async fn proxies(&self) -> (Proxy, Proxy) {
        let (clickhouse, postgres) = (&self.engines.clickhouse, &self.engines.postgres);
        (
            Proxy::start(server(&clickhouse.url)).await,
            Proxy::start(server(&postgres.url_sink)).await,
        )
    }

    pub(super) fn settings_via(&self, to_clickhouse: &Proxy, to_postgres: &Proxy) -> String {
        let (clickhouse, postgres) = (&self.engines.clickhouse, &self.engines.postgres);
        let (header, secret) = &clickhouse.gate_header;
        let through = |proxy: &Proxy, url: &str| {
            url.replace(&server(url).to_string(), &proxy.address.to_string())
        };
        format!(
            "[clickhouse]\nurl = {:?}\nuser = {:?}\npassword = {:?}\nverdict_days_kept = 0\nheaders = {{ {header:?} = {secret:?} }}\n\
             [postgres]\nurl_owner = {:?}\nurl_sink = {:?}",
            through(to_clickhouse, &clickhouse.url),
            clickhouse.user,
            clickhouse.password,
            through(to_postgres, &postgres.url_owner),
            through(to_postgres, &postgres.url_sink),
        )
    }

    /// Sends a signal to an engine and all its children; PostgreSQL's are no group. Says whether it runs.
    pub(super) fn signal(&self, engine: Engine, signal: Signal) -> bool {
        let (clickhouse, postgres) = self.engines.pids();
        let pid = match engine {
            Engine::ClickHouse => clickhouse,
            Engine::Postgres => postgres,
        };
        let Some(pid) = pid else {
            return false;
        };
        for pid in family(pid) {
            // Some may be gone by now.
            kill(Pid::from_raw(pid), signal).ok();
        }
        true
    }

    /// Waits until both answer.
    pub(super) async fn wait_ready(&self) {
        for _ in 0..1_200 {
            let asked = self.try_ask("SELECT 1").await;
            if self.engines.ready() && asked.is_ok() && self.try_connect().await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("an engine does not come back: {:?}", self.engines.status());
    }

    /// A query of ClickHouse, which may be away.
    pub(super) async fn try_ask(&self, query: &str) -> Result<String, String> {
        let access = &self.engines.clickhouse;
        try_run(access, query).await
    }

    async fn try_connect(&self) -> Result<PgConnection, sqlx::Error> {
        PgConnection::connect(&self.engines.postgres.url_reader).await
    }

    /// As a person's role, which sees the tenant that its session names; PostgreSQL may be away.
    pub(super) async fn try_connect_as_reader(&self) -> Result<PgConnection, String> {
        self.try_connect().await.map_err(|error| error.to_string())
    }

    /// Both sinks' progress; they may be away.
    pub(super) async fn try_progress(&self) -> Result<[Option<Progress>; 2], String> {
        let (clickhouse, postgres) = (self.clickhouse(), self.postgres());
        let clickhouse = clickhouse.progress().await;
        let postgres = postgres.progress().await;
        let text = |error: hostread_sink_kit::SinkError| error.to_string();
        Ok([clickhouse.map_err(text)?, postgres.map_err(text)?])
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
        Databases::over(self.0).await
    }
}

async fn try_run(access: &ClickHouseAccess, query: &str) -> Result<String, String> {
    match try_ask(access, &access.user, &access.password, query).await {
        Ok((200, text)) => Ok(text),
        Ok((status, text)) => Err(format!("{status}: {text}")),
        Err(error) => Err(error.to_string()),
    }
}

/// A process with its children and theirs.
pub(super) fn family(pid: i32) -> Vec<i32> {
    let mut family = vec![pid];
    let parent = |pid: i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let behind = stat.rsplit_once(')')?.1;
        behind.split_whitespace().nth(1)?.parse::<i32>().ok()
    };
    let pids: Vec<i32> = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    let mut grown = true;
    while grown {
        let children = pids.iter().filter(|pid| !family.contains(pid));
        let children: Vec<i32> = children
            .filter(|pid| parent(**pid).is_some_and(|parent| family.contains(&parent)))
            .copied()
            .collect();
        grown = !children.is_empty();
        family.extend(children);
    }
    family
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
