//! ClickHouse and PostgreSQL: the embedded ones, or those that the configuration names.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use hostread_engines::{Access, Engines, EnginesConfig, ReaderConfig};
use hostread_sink_clickhouse::{ClickHouseConfig, tenant_tables};
use hostread_sink_postgres::PostgresConfig;

use crate::config::Config;

/// Memory that the embedded ClickHouse may use.
const CLICKHOUSE_BYTES_MAX: u64 = 4 << 30;
/// Folder of the embedded engines below the data folder.
const ENGINES_DIR: &str = "engines";

/// Where rows are written and read.
#[derive(Clone, Debug)]
pub(crate) struct Targets {
    pub(crate) clickhouse: ClickHouseConfig,
    pub(crate) postgres: PostgresConfig,
}

impl Targets {
    /// With engines that this process runs, where the configuration names none of its own.
    pub(crate) fn with(config: &Config, engines: Option<&Engines>) -> Result<Self> {
        let access = engines.map(|engines| Access {
            clickhouse: engines.clickhouse.clone(),
            postgres: engines.postgres.clone(),
        });
        Self::new(config, access.as_ref())
    }

    /// From another process: the configuration's, else the embedded engines of a running `hostread up`.
    pub(crate) fn find(config: &Config) -> Result<Self> {
        if config.own_clickhouse() && config.own_postgres() {
            return Self::new(config, None);
        }
        let dir = config.data_dir.join(ENGINES_DIR);
        let Ok(access) = Access::load(&dir) else {
            bail!(
                "no databases: set {} (docs/reference/configuration.md), or start `hostread up` on {} first",
                missing(config).join(" and "),
                config.data_dir.display()
            );
        };
        Self::new(config, Some(&access))
    }

    fn new(config: &Config, access: Option<&Access>) -> Result<Self> {
        let clickhouse = if config.own_clickhouse() {
            let target = &config.clickhouse;
            let mut clickhouse = ClickHouseConfig::new(&target.url, &target.user, &target.password);
            for (name, value) in &target.headers {
                clickhouse = clickhouse.header(name, value);
            }
            clickhouse
        } else {
            let access = &access.context("no ClickHouse")?.clickhouse;
            let (name, value) = &access.gate_header;
            ClickHouseConfig::new(&access.url, &access.user, &access.password).header(name, value)
        };
        let postgres = if config.own_postgres() {
            PostgresConfig::new(&config.postgres.url_owner, &config.postgres.url_sink)
        } else {
            let access = &access.context("no PostgreSQL")?.postgres;
            PostgresConfig::new(&access.url_owner, &access.url_sink)
        };
        let mut targets = Self {
            clickhouse,
            postgres,
        };
        let days = config.clickhouse.verdict_days_kept;
        targets.clickhouse.verdict_days_kept = (days > 0).then_some(days);
        targets.clickhouse.validate()?;
        targets.postgres.validate()?;
        Ok(targets)
    }
}

fn missing(config: &Config) -> Vec<&'static str> {
    let mut missing = Vec::new();
    if !config.own_clickhouse() {
        missing.push("clickhouse.url");
    }
    if !config.own_postgres() {
        missing.push("postgres.url_owner and postgres.url_sink");
    }
    missing
}

/// Starts the embedded engines where the configuration names none of its own.
pub(crate) async fn start_engines(config: &Config) -> Result<Option<Engines>> {
    if config.own_clickhouse() && config.own_postgres() {
        return Ok(None);
    }
    let readers = config
        .tenants
        .iter()
        .map(|tenant| ReaderConfig {
            tenant: tenant.name.clone(),
        })
        .collect();
    let engines = Engines::start(EnginesConfig {
        packages_dir: config.engines_dir.clone(),
        data_dir: absolute(&config.data_dir)?.join(ENGINES_DIR),
        launcher_exe: std::env::current_exe()?,
        readers,
        filtered_tables: tenant_tables(),
        clickhouse_memory_bytes_max: CLICKHOUSE_BYTES_MAX,
    })
    .await
    .context("starting the embedded engines")?;
    Ok(Some(engines))
}

fn absolute(path: &Path) -> Result<std::path::PathBuf> {
    std::path::absolute(path).context("making the data folder's path absolute")
}

/// A prerequisite of the embedded engines that is missing, with the line that installs it.
pub(crate) fn check_engines(config: &Config) -> Result<()> {
    if config.own_clickhouse() && config.own_postgres() {
        return Ok(());
    }
    ensure!(
        cfg!(all(target_os = "linux", target_arch = "x86_64")),
        "the embedded engines are built for Linux on x86-64; elsewhere set clickhouse.url, postgres.url_owner and postgres.url_sink to databases of your own"
    );
    hostread_engines::check_packages(&config.engines_dir).with_context(|| {
        format!(
            "looked in {} (engines_dir; run it from the checkout, or set HOSTREAD_ENGINES_DIR)",
            config.engines_dir.display()
        )
    })
}
