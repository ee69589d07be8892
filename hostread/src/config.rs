//! What an operator may set: one typed struct, read from a TOML file over the commented defaults.
//! Unknown keys are an error. Secrets may stand in files named by `*_FILE` in the environment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use hostread_gateway::{GatewayConfig, TenantConfig};
use hostread_rules::Horizons;
use serde::Deserialize;

/// The commented defaults.
pub(crate) const DEFAULTS: &str = include_str!("../default.toml");

/// Everything.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Where everything is kept.
    pub(crate) data_dir: PathBuf,
    /// Folder with the engines' packages.
    pub(crate) engines_dir: PathBuf,
    /// 32 hexadecimal digits: names and event ids are hashed under it. Bound to the journal for life.
    pub(crate) id_key: String,
    /// Doors.
    #[serde(default)]
    pub(crate) gateway: GatewayConfig,
    /// Who may call.
    #[serde(default)]
    pub(crate) tenants: Vec<TenantConfig>,
    /// The event log.
    pub(crate) log: LogConfig,
    /// ClickHouse; empty: the embedded one.
    pub(crate) clickhouse: ClickHouseTarget,
    /// PostgreSQL; empty: the embedded one.
    pub(crate) postgres: PostgresTarget,
    /// The pipeline.
    pub(crate) pipeline: PipelineConfig,
}

/// The event log.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogConfig {
    /// `embedded` or `kafka`.
    pub(crate) kind: String,
    /// Kafka's bootstrap servers.
    pub(crate) brokers: String,
    /// Schema registry; empty: in process.
    pub(crate) registry_url: String,
    /// Partitions of every topic.
    pub(crate) partitions: u32,
    /// Copies that Kafka keeps.
    pub(crate) replication: i32,
}

/// A ClickHouse of one's own.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClickHouseTarget {
    /// HTTP address; empty: embedded.
    pub(crate) url: String,
    /// User.
    pub(crate) user: String,
    /// Password.
    pub(crate) password: String,
    /// Headers sent along.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
}

/// A PostgreSQL of one's own.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PostgresTarget {
    /// Of the owner, who migrates; empty: embedded.
    pub(crate) url_owner: String,
    /// Of the role that writes.
    pub(crate) url_sink: String,
}

/// The pipeline.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PipelineConfig {
    /// Dataflow threads.
    pub(crate) workers: usize,
    /// `wall` or `samples`.
    pub(crate) clock: String,
    /// A tick closes at this many events.
    pub(crate) tick_events_max: usize,
    /// A tick stays open this long at most.
    pub(crate) tick_open_ms_max: u64,
    /// A sink applies a range this often.
    pub(crate) range_ms: u64,
    /// The journal is compacted after this many events.
    pub(crate) compact_events: u64,
    /// How late the watermark runs.
    pub(crate) lateness_hours: i64,
    /// How late an event may come and still count.
    pub(crate) horizon_days: i32,
    /// When a number is published.
    pub(crate) publish_after_hours: i64,
    /// The longest lookback of any tenant.
    pub(crate) lookback_days: i32,
    /// How long conversions are kept.
    pub(crate) conversion_days: i32,
}

impl PipelineConfig {
    /// The horizons in the units of the rules.
    pub(crate) fn horizons(&self) -> Horizons {
        const HOUR_MS: i64 = 3_600_000;
        Horizons {
            lateness_ms: self.lateness_hours.saturating_mul(HOUR_MS),
            horizon_days: self.horizon_days,
            publish_after_ms: self.publish_after_hours.saturating_mul(HOUR_MS),
            lookback_days: self.lookback_days,
            conversion_days: self.conversion_days,
        }
    }
}

impl Config {
    /// Defaults, then the file, then what the environment says.
    pub(crate) fn load(file: Option<&Path>) -> Result<Self> {
        let mut builder = config::Config::builder()
            .add_source(config::File::from_str(DEFAULTS, config::FileFormat::Toml));
        if let Some(file) = file {
            builder = builder.add_source(config::File::from(file).format(config::FileFormat::Toml));
        }
        for (name, value) in secrets_from_files()? {
            builder = builder.set_override(name, value)?;
        }
        let environment = config::Environment::with_prefix("HOSTREAD")
            .prefix_separator("_")
            .separator("__")
            .try_parsing(true)
            .source(Some(own_environment()));
        let config: Self = builder
            .add_source(environment)
            .build()
            .context("reading the configuration")?
            .try_deserialize()
            .context("the configuration has a key or a value that cannot be used")?;
        config.check()?;
        Ok(config)
    }

    /// What can be checked without I/O.
    pub(crate) fn check(&self) -> Result<()> {
        ensure!(
            matches!(self.log.kind.as_str(), "embedded" | "kafka"),
            "log.kind is \"{}\"; it is \"embedded\" or \"kafka\"",
            self.log.kind
        );
        ensure!(
            matches!(self.pipeline.clock.as_str(), "wall" | "samples"),
            "pipeline.clock is \"{}\"; it is \"wall\" or \"samples\"",
            self.pipeline.clock
        );
        ensure!(
            (1..=256).contains(&self.log.partitions),
            "log.partitions is 1 to 256"
        );
        ensure!(
            (1..=64).contains(&self.pipeline.workers),
            "pipeline.workers is 1 to 64"
        );
        self.id_key_bytes()?;
        self.gateway.check(&self.tenants)?;
        Ok(())
    }

    /// The key that names are hashed under.
    pub(crate) fn id_key_bytes(&self) -> Result<[u8; 16]> {
        let digits = self.id_key.trim();
        ensure!(
            digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit()),
            "id_key has 32 hexadecimal digits; make one with `openssl rand -hex 16`"
        );
        Ok(u128::from_str_radix(digits, 16)?.to_be_bytes())
    }
}

/// `HOSTREAD_…` except the variables that are not configuration.
fn own_environment() -> config::Map<String, String> {
    std::env::vars()
        .filter(|(name, _)| name.starts_with("HOSTREAD_") && !name.ends_with("_FILE"))
        .filter(|(name, _)| {
            !matches!(
                name.as_str(),
                "HOSTREAD_TARGET_DIR" | "HOSTREAD_BIN" | "HOSTREAD_LOG" | "HOSTREAD_ENGINES"
            )
        })
        .collect()
}

/// `HOSTREAD_ID_KEY_FILE=/run/secrets/id_key` sets `id_key` to what the file holds.
fn secrets_from_files() -> Result<Vec<(String, String)>> {
    let mut secrets = Vec::new();
    for (name, path) in std::env::vars() {
        let Some(key) = name
            .strip_prefix("HOSTREAD_")
            .and_then(|n| n.strip_suffix("_FILE"))
        else {
            continue;
        };
        let value = std::fs::read_to_string(&path)
            .with_context(|| format!("reading the secret named by {name}"))?;
        let key = key.to_lowercase().replace("__", ".");
        secrets.push((key, value.trim().to_owned()));
    }
    Ok(secrets)
}
