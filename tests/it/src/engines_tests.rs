//! The engines' launcher and the SQL door, on real engines.
//! Needs: `npm ci --prefix engines`, and a launcher: `HOSTREAD_BIN`, or `hostread` (or the example `engines_up`) built
//! in the same target directory.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests panic, and print seeds"
)]

mod launcher;
mod sql_door;

use std::path::{Path, PathBuf};

use hostread_engines::{ClickHouseAccess, Engines, EnginesConfig, PostgresAccess, ReaderConfig};
use hostread_sink_clickhouse::{ClickHouseConfig, ClickHouseSink, tenant_tables};
use hostread_sink_postgres::PostgresConfig;
use reqwest::Client;

/// The folder with the pinned packages.
pub(crate) fn packages_dir() -> PathBuf {
    std::env::var_os("HOSTREAD_ENGINES_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../engines"),
        PathBuf::from,
    )
}

/// A binary whose `main` becomes an engine when asked.
pub(crate) fn launcher_exe() -> PathBuf {
    if let Some(path) = std::env::var_os("HOSTREAD_BIN") {
        return PathBuf::from(path);
    }
    // Tests run from `<target>/<profile>/deps`.
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let found = [
        profile.join("hostread"),
        profile.join("examples/engines_up"),
    ];
    let found = found.into_iter().find(|path| path.is_file());
    found.expect("a launcher is built: cargo build -p hostread, or set HOSTREAD_BIN")
}

/// For the tables of our sinks; nobody but us asks ClickHouse.
fn config_for_sinks(data_dir: &Path) -> EnginesConfig {
    EnginesConfig {
        packages_dir: packages_dir(),
        data_dir: data_dir.to_owned(),
        launcher_exe: launcher_exe(),
        readers: Vec::new(),
        filtered_tables: tenant_tables(),
        clickhouse_memory_bytes_max: 2 << 30,
    }
}

pub(crate) async fn start_for_sinks(data_dir: &Path) -> Engines {
    Engines::start(config_for_sinks(data_dir)).await.unwrap()
}

/// And for a tenant who reads them.
pub(crate) async fn start_for_sinks_and(data_dir: &Path, tenant: &str) -> Engines {
    let tenant = tenant.to_owned();
    let config = EnginesConfig {
        readers: vec![ReaderConfig { tenant }],
        ..config_for_sinks(data_dir)
    };
    Engines::start(config).await.unwrap()
}

/// With two readers, of two tables that our sinks do not have.
fn config(data_dir: &Path) -> EnginesConfig {
    let reader = |tenant: &str| ReaderConfig {
        tenant: tenant.to_owned(),
    };
    EnginesConfig {
        readers: vec![reader("ten_a"), reader("ten_b")],
        filtered_tables: vec!["downloads".to_owned(), "credits".to_owned()],
        ..config_for_sinks(data_dir)
    }
}

async fn start(data_dir: &Path) -> Engines {
    Engines::start(config(data_dir)).await.unwrap()
}

/// What the sink into these engines' ClickHouse is made of.
pub(crate) fn clickhouse_config(access: &ClickHouseAccess) -> ClickHouseConfig {
    let (header, secret) = &access.gate_header;
    let config = ClickHouseConfig::new(&access.url, &access.user, &access.password);
    let mut config = config.header(header, secret);
    // What tests write may be long past by the server's clock.
    config.verdict_days_kept = None;
    config
}

/// The sink into these engines' ClickHouse.
pub(crate) fn clickhouse_sink(access: &ClickHouseAccess) -> ClickHouseSink {
    ClickHouseSink::new(clickhouse_config(access)).unwrap()
}

/// What the sink into these engines' PostgreSQL is made of.
pub(crate) fn postgres_config(access: &PostgresAccess) -> PostgresConfig {
    PostgresConfig::new(&access.url_owner, &access.url_sink)
}

/// Status and text of a query sent straight to ClickHouse, past the door; data may follow it.
pub(crate) async fn ask(
    access: &ClickHouseAccess,
    user: &str,
    password: &str,
    query: impl AsRef<[u8]>,
) -> (u16, String) {
    try_ask(access, user, password, query).await.unwrap()
}

/// As `ask`, of one that may be away.
pub(crate) async fn try_ask(
    access: &ClickHouseAccess,
    user: &str,
    password: &str,
    query: impl AsRef<[u8]>,
) -> reqwest::Result<(u16, String)> {
    let (gate, secret) = &access.gate_header;
    let answer = Client::new()
        .post(&access.url)
        .header(gate, secret)
        .header("X-ClickHouse-User", user)
        .header("X-ClickHouse-Key", password)
        .body(query.as_ref().to_vec())
        .send()
        .await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

/// A query of our own user; panics unless it works.
pub(crate) async fn run(access: &ClickHouseAccess, query: &str) -> String {
    let (status, text) = ask(access, &access.user, &access.password, query).await;
    assert_eq!(status, 200, "{query}: {text}");
    text
}

/// Tries `step` until it answers true.
pub(crate) async fn eventually(what: &str, mut step: impl AsyncFnMut() -> bool) {
    for _ in 0..600 {
        if step().await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("never seen: {what}");
}
