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
/// `id_key` of the defaults: a sample value that every copy has.
pub(crate) const DEFAULT_ID_KEY: &str = "686f737472656164206c6f63616c2031";

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
    /// The SQL door to the embedded ClickHouse.
    pub(crate) sql: SqlConfig,
    /// The pipeline.
    pub(crate) pipeline: PipelineConfig,
}

/// The SQL door to the embedded ClickHouse.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SqlConfig {
    /// Address and port.
    pub(crate) listen: String,
}

/// The event log.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogConfig {
    /// `embedded` or `kafka`.
    pub(crate) kind: String,
    /// Folder of the embedded log; empty: `log` in the data folder.
    pub(crate) dir: PathBuf,
    /// Kafka's bootstrap servers.
    pub(crate) brokers: String,
    /// Schema registry; empty: in process.
    pub(crate) registry_url: String,
    /// Partitions of every topic.
    pub(crate) partitions: u32,
    /// Copies that Kafka keeps.
    pub(crate) replication: i32,
    /// librdkafka's own properties.
    pub(crate) properties: BTreeMap<String, String>,
}

impl LogConfig {
    pub(crate) fn is_kafka(&self) -> bool {
        self.kind == "kafka"
    }
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
    pub(crate) headers: BTreeMap<String, String>,
    /// Days that verdicts stay, by the server's clock; 0: for ever.
    pub(crate) verdict_days_kept: u32,
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
    /// Address and port of health and metrics of `hostread pipeline`.
    pub(crate) listen: String,
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
    /// Schema ids that no registry will ever give.
    pub(crate) refused_schema_ids: Vec<u32>,
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
    /// Defaults, then the file, then what the environment says, then secrets from files.
    pub(crate) fn load(file: Option<&Path>, data_dir: Option<PathBuf>) -> Result<Self> {
        let mut config = Self::read(file, std::env::vars().collect())?;
        if let Some(data_dir) = data_dir {
            config.data_dir = data_dir;
        }
        config.check()?;
        Ok(config)
    }

    fn read(file: Option<&Path>, environment: BTreeMap<String, String>) -> Result<Self> {
        let toml = config::FileFormat::Toml;
        let mut builder =
            config::Config::builder().add_source(config::File::from_str(DEFAULTS, toml));
        if let Some(file) = file {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("reading the configuration {}", file.display()))?;
            toml::from_str::<toml::Table>(&text)
                .with_context(|| format!("{} is not TOML", file.display()))?;
            builder = builder.add_source(config::File::from_str(&text, toml));
        }
        let (settings, secrets) = own_variables(environment);
        // Values stay text until a field's type is known: a key of 32 digits is no number.
        builder = builder.add_source(
            config::Environment::with_prefix("HOSTREAD")
                .prefix_separator("_")
                .separator("__")
                .source(Some(settings.into_iter().collect())),
        );
        for (name, path) in secrets {
            let value = std::fs::read_to_string(&path)
                .with_context(|| format!("reading {path}, which HOSTREAD_{name}_FILE names"))?;
            if name == "TENANTS" {
                builder = builder.add_source(config::File::from_str(&value, toml));
            } else {
                let key = name.to_lowercase().replace("__", ".");
                builder = builder.set_override(key, value.trim())?;
            }
        }
        let whose = file.map_or_else(String::new, |file| format!(" ({})", file.display()));
        builder
            .build()
            .and_then(config::Config::try_deserialize)
            .with_context(|| {
                format!(
                    "a setting cannot be used{whose}; all of them: docs/reference/configuration.md"
                )
            })
    }

    /// Folder of the embedded log.
    pub(crate) fn log_dir(&self) -> PathBuf {
        if self.log.dir.as_os_str().is_empty() {
            self.data_dir.join("log")
        } else {
            self.log.dir.clone()
        }
    }

    /// Where the log is, for people.
    pub(crate) fn log_place(&self) -> String {
        if self.log.is_kafka() {
            format!("Kafka at {}", self.log.brokers)
        } else {
            self.log_dir().display().to_string()
        }
    }

    /// Whether ClickHouse is not the embedded one.
    pub(crate) fn own_clickhouse(&self) -> bool {
        !self.clickhouse.url.is_empty()
    }

    /// Whether PostgreSQL is not the embedded one.
    pub(crate) fn own_postgres(&self) -> bool {
        !self.postgres.url_owner.is_empty()
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
        let ranges = [
            ("log.partitions", u64::from(self.log.partitions), 1, 256),
            ("pipeline.workers", self.pipeline.workers as u64, 1, 64),
            (
                "pipeline.tick_events_max",
                self.pipeline.tick_events_max as u64,
                1,
                1_000_000,
            ),
            (
                "pipeline.tick_open_ms_max",
                self.pipeline.tick_open_ms_max,
                1,
                60_000,
            ),
            ("pipeline.range_ms", self.pipeline.range_ms, 1, 60_000),
            (
                "pipeline.compact_events",
                self.pipeline.compact_events,
                1,
                u64::MAX,
            ),
        ];
        for (key, value, least, most) in ranges {
            ensure!(
                (least..=most).contains(&value),
                "{key} is {value}; its range is {least} to {most}"
            );
        }
        ensure!(
            self.own_postgres() != self.postgres.url_sink.is_empty(),
            "postgres.url_owner and postgres.url_sink go together: one of them is empty"
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

/// `HOSTREAD_…` without the prefix is a setting, `HOSTREAD_…_FILE` the file of a secret. Left out: variables of the tools, and
/// what Kubernetes sets for a service that is called hostread.
fn own_variables(
    environment: BTreeMap<String, String>,
) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    const TOOLS: [&str; 7] = [
        "TARGET_DIR",
        "BIN",
        "LOG",
        "ENGINES",
        "CONFIG_PATH",
        "API_KEY",
        "API_KEY_FILE",
    ];
    const NOT_OURS: [&str; 3] = ["TEST_", "SERVICE_", "PORT"];
    let mut settings = BTreeMap::new();
    let mut secrets = BTreeMap::new();
    for (variable, value) in environment {
        let Some(name) = variable.strip_prefix("HOSTREAD_") else {
            continue;
        };
        if TOOLS.contains(&name) || NOT_OURS.iter().any(|start| name.starts_with(start)) {
            continue;
        }
        match name.strip_suffix("_FILE") {
            Some(name) => secrets.insert(name.to_owned(), value),
            None => settings.insert(variable.clone(), value),
        };
    }
    (settings, secrets)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Result<Config> {
        let environment = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let config = Config::read(None, environment)?;
        config.check()?;
        Ok(config)
    }

    fn refusal(variables: &[(&str, &str)]) -> String {
        format!("{:#}", with(variables).unwrap_err())
    }

    #[test]
    fn the_defaults_name_every_key_and_say_what_the_gateway_says() {
        let config = with(&[]).unwrap();
        assert_eq!(
            format!("{:?}", config.gateway),
            format!("{:?}", GatewayConfig::default())
        );
        assert_eq!(config.id_key, DEFAULT_ID_KEY);
    }

    #[test]
    fn the_environment_sets_numbers_texts_and_keys_of_digits() {
        let digits = "00000000000000000000000000000017";
        let config = with(&[
            ("HOSTREAD_PIPELINE__WORKERS", "4"),
            ("HOSTREAD_ID_KEY", digits),
            ("HOSTREAD_GATEWAY__LIMITS__BATCH_EVENTS_MAX", "7"),
            ("HOSTREAD_TEST_ANYTHING", "x"),
            ("HOSTREAD_SERVICE_HOST", "10.0.0.1"),
            ("PATH", "/bin"),
        ])
        .unwrap();
        assert_eq!(config.pipeline.workers, 4);
        assert_eq!(config.id_key, digits);
        assert_eq!(config.gateway.limits.batch_events_max, 7);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let typo = refusal(&[("HOSTREAD_PIPELINE__WORKRES", "4")]);
        assert!(
            typo.contains("workres") && typo.contains("pipeline"),
            "{typo}"
        );
        let word = refusal(&[("HOSTREAD_PIPELINE__WORKERS", "many")]);
        assert!(word.contains("pipeline.workers"), "{word}");
        let range = refusal(&[("HOSTREAD_PIPELINE__WORKERS", "0")]);
        assert!(range.contains("pipeline.workers is 0"), "{range}");
        let half = refusal(&[("HOSTREAD_POSTGRES__URL_OWNER", "postgres://x")]);
        assert!(half.contains("postgres.url_sink"), "{half}");
        let key = refusal(&[("HOSTREAD_ID_KEY", "abc")]);
        assert!(key.contains("openssl rand"), "{key}");
    }

    #[test]
    fn secrets_stand_in_files_and_win() {
        let dir = std::env::temp_dir().join(format!("hostread-config-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let key = dir.join("key");
        std::fs::write(&key, "0123456789abcdef0123456789abcdef\n").unwrap();
        let tenants = dir.join("tenants.toml");
        let text = format!(
            "[[tenants]]\nname = \"acme\"\nhash_key = \"{}\"\n",
            "0b".repeat(32)
        );
        std::fs::write(&tenants, text).unwrap();
        let config = with(&[
            ("HOSTREAD_ID_KEY", "ffffffffffffffffffffffffffffffff"),
            ("HOSTREAD_ID_KEY_FILE", key.to_str().unwrap()),
            ("HOSTREAD_TENANTS_FILE", tenants.to_str().unwrap()),
        ]);
        let missing = refusal(&[("HOSTREAD_ID_KEY_FILE", dir.join("none").to_str().unwrap())]);
        std::fs::remove_dir_all(&dir).unwrap();
        let config = config.unwrap();
        assert_eq!(config.id_key, "0123456789abcdef0123456789abcdef");
        assert_eq!(config.tenants.len(), 1);
        assert!(missing.contains("HOSTREAD_ID_KEY_FILE"), "{missing}");
    }
}
