//! What the binary's configuration says about the doors. The structs are the only list of options; `check` needs no I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use hostread_connectors::prefix::PrefixFeed;
use hostread_connectors::shopify::ShopifyConnection;
use hostread_connectors_kit::{IpRangeError, IpRanges, TenantKey, TenantKeyError};
use hostread_schemas::event::IpClass;
use serde::Deserialize;

/// The doors of one process.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GatewayConfig {
    /// Address and port. TLS and public reach are a proxy's.
    pub listen: String,
    /// Networks of proxies whose `X-Forwarded-For` is believed. Empty: the caller's own address counts.
    pub trusted_proxies: Vec<String>,
    /// Networks by class: `included`, `relay`, `data_centre`, `vpn`, `cellular`, `office`. Everything else is residential.
    pub ip_ranges: BTreeMap<String, Vec<String>>,
    /// Files of networks by class: a network a line, of a CSV its first field.
    pub ip_range_files: BTreeMap<String, Vec<PathBuf>>,
    /// Databases in MaxMind's format, asked in this order for network operator and country.
    pub ip_databases: Vec<PathBuf>,
    /// Bounds.
    pub limits: LimitsConfig,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            trusted_proxies: Vec::new(),
            ip_ranges: BTreeMap::new(),
            ip_range_files: BTreeMap::new(),
            ip_databases: Vec::new(),
            limits: LimitsConfig::default(),
        }
    }
}

/// Bounds of the doors.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Body of every door but the two below.
    pub body_bytes_max: u64,
    /// Body of `/v1/events` and of one piece of an import.
    pub batch_bytes_max: u64,
    /// Events in one batch.
    pub batch_events_max: u32,
    /// A piece of an import may unpack to this much.
    pub unpacked_bytes_max: u64,
    /// How long a body may take to arrive.
    pub body_secs_max: u64,
    /// Requests a second, per tenant, to each door that takes batches (`/v1/events`, `/v1/redemptions`, imports).
    pub batch_requests_per_sec: u32,
    /// Requests a second, per tenant, to each door that takes one event (pixel, impression, webhooks).
    pub single_requests_per_sec: u32,
    /// How long the log may take to make a batch durable.
    pub append_ms_max: u64,
    /// Pixels, impressions and hits of prefixes kept on disk while the log is away.
    pub spill_bytes_max: u64,
    /// Hits of prefixes that wait in memory for the log or the spill; about half a KiB each.
    pub prefix_hits_max: u32,
    /// Dead letters kept on disk.
    pub dead_letter_bytes_max: u64,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            body_bytes_max: 1 << 20,
            batch_bytes_max: 8 << 20,
            batch_events_max: 5_000,
            unpacked_bytes_max: 64 << 20,
            body_secs_max: 30,
            batch_requests_per_sec: 200,
            single_requests_per_sec: 20_000,
            append_ms_max: 10_000,
            spill_bytes_max: 256 << 20,
            prefix_hits_max: 65_536,
            dead_letter_bytes_max: 128 << 20,
        }
    }
}

/// One tenant.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantConfig {
    /// Its name, as in events.
    pub name: String,
    /// SHA-256 of each API key, 64 hexadecimal digits.
    #[serde(default)]
    pub api_key_sha256: Vec<String>,
    /// Names the tenant at the public doors (`k`). It is no secret.
    #[serde(default)]
    pub public_key: String,
    /// Key of all its pseudonyms and of its dead letters: 64 hexadecimal digits, secret. Another key parts every household from
    /// its past.
    pub hash_key: String,
    /// Shopify stores by the name in the webhook's address; a name is used once in the whole installation.
    #[serde(default)]
    pub connections: BTreeMap<String, ShopifyConnection>,
    /// Redirect prefixes by the feed's name in the address; a name is used once in the whole installation.
    #[serde(default)]
    pub prefixes: BTreeMap<String, PrefixFeed>,
}

impl fmt::Debug for TenantConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantConfig")
            .field("name", &self.name)
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}

/// What is wrong with the configuration.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    /// A range that is none.
    #[error("ip_ranges or trusted_proxies: {0}")]
    Range(#[from] IpRangeError),
    /// A class that is none.
    #[error(
        "ip_ranges or ip_range_files: \"{word}\" is none of included, relay, data_centre, vpn, cellular, office, residential"
    )]
    Class {
        /// What was given.
        word: String,
    },
    /// A tenant's key that is none.
    #[error("tenant \"{tenant}\": hash_key: {source}")]
    HashKey {
        /// Whose.
        tenant: String,
        /// Why.
        source: TenantKeyError,
    },
    /// A value that cannot be used.
    #[error("tenant \"{tenant}\": {message}")]
    Tenant {
        /// Whose.
        tenant: String,
        /// What is wrong.
        message: String,
    },
    /// A bound of 0.
    #[error("limits: \"{name}\" must be at least 1")]
    Zero {
        /// Which.
        name: &'static str,
    },
}

impl GatewayConfig {
    /// Checks everything that needs no I/O.
    pub fn check(&self, tenants: &[TenantConfig]) -> Result<(), ConfigError> {
        IpRanges::new(self.ranges()?)?;
        for word in self.ip_range_files.keys() {
            class(word)?;
        }
        self.proxies()?;
        self.limits.check()?;
        let mut names = BTreeSet::new();
        let mut public_keys = BTreeSet::new();
        let mut connections = BTreeSet::new();
        let mut prefixes = BTreeSet::new();
        for tenant in tenants {
            let wrong = |message: &str| ConfigError::Tenant {
                tenant: tenant.name.clone(),
                message: message.to_owned(),
            };
            tenant.key()?;
            if tenant.name.trim().is_empty() || !names.insert(&tenant.name) {
                return Err(wrong("its name is empty or used twice"));
            }
            let is_hash =
                |hash: &String| hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit());
            if !tenant.api_key_sha256.iter().all(is_hash) {
                return Err(wrong(
                    "api_key_sha256 holds something other than 64 hexadecimal digits",
                ));
            }
            if !tenant.public_key.is_empty() && !public_keys.insert(&tenant.public_key) {
                return Err(wrong("its public_key is another tenant's too"));
            }
            for (name, connection) in &tenant.connections {
                if !connections.insert(name) {
                    return Err(wrong(&format!("connection \"{name}\" is there twice")));
                }
                if connection.secret.is_empty() || connection.store.trim().is_empty() {
                    return Err(wrong(&format!(
                        "connection \"{name}\" needs a store and a secret"
                    )));
                }
            }
            for (name, feed) in &tenant.prefixes {
                let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
                if name.is_empty() || !name.bytes().all(plain) || !prefixes.insert(name) {
                    return Err(wrong(&format!(
                        "prefix \"{name}\" is there twice, or no name of letters, digits, - and _"
                    )));
                }
                if !feed.is_usable() {
                    return Err(wrong(&format!(
                        "prefix \"{name}\" needs hosts such as media.example.com or *.example.com"
                    )));
                }
            }
        }
        Ok(())
    }

    /// The networks that the settings name themselves.
    pub(crate) fn ranges(&self) -> Result<Vec<(IpClass, &str)>, ConfigError> {
        let mut all = Vec::new();
        for (word, ranges) in &self.ip_ranges {
            let class = class(word)?;
            all.extend(ranges.iter().map(|range| (class, range.as_str())));
        }
        Ok(all)
    }

    pub(crate) fn proxies(&self) -> Result<IpRanges, ConfigError> {
        let ranges = self
            .trusted_proxies
            .iter()
            .map(|range| (IpClass::Included, range.as_str()));
        Ok(IpRanges::new(ranges)?)
    }
}

/// A class by its word.
pub(crate) fn class(word: &str) -> Result<IpClass, ConfigError> {
    serde_json::from_value(serde_json::Value::from(word)).map_err(|_| ConfigError::Class {
        word: word.to_owned(),
    })
}

impl LimitsConfig {
    fn check(&self) -> Result<(), ConfigError> {
        let zero = [
            ("body_bytes_max", self.body_bytes_max),
            ("batch_bytes_max", self.batch_bytes_max),
            ("batch_events_max", u64::from(self.batch_events_max)),
            ("unpacked_bytes_max", self.unpacked_bytes_max),
            ("body_secs_max", self.body_secs_max),
            (
                "batch_requests_per_sec",
                u64::from(self.batch_requests_per_sec),
            ),
            (
                "single_requests_per_sec",
                u64::from(self.single_requests_per_sec),
            ),
            ("append_ms_max", self.append_ms_max),
            ("prefix_hits_max", u64::from(self.prefix_hits_max)),
        ]
        .into_iter()
        .find(|(_, value)| *value == 0);
        zero.map_or(Ok(()), |(name, _)| Err(ConfigError::Zero { name }))
    }
}

impl TenantConfig {
    pub(crate) fn key(&self) -> Result<TenantKey, ConfigError> {
        TenantKey::from_hex(&self.hash_key).map_err(|source| ConfigError::HashKey {
            tenant: self.name.clone(),
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> TenantConfig {
        TenantConfig {
            name: name.to_owned(),
            api_key_sha256: vec!["a".repeat(64)],
            public_key: format!("pk-{name}"),
            hash_key: "0b".repeat(32),
            connections: BTreeMap::new(),
            prefixes: BTreeMap::new(),
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let config = GatewayConfig::default();
        assert_eq!(config.check(&[tenant("a"), tenant("b")]), Ok(()));
        assert!(config.check(&[tenant("a"), tenant("a")]).is_err());
        let short = TenantConfig {
            hash_key: "0b".to_owned(),
            ..tenant("a")
        };
        assert!(matches!(
            config.check(&[short]),
            Err(ConfigError::HashKey { .. })
        ));
        let plain = TenantConfig {
            api_key_sha256: vec!["my key".to_owned()],
            ..tenant("a")
        };
        assert!(config.check(&[plain]).is_err());
        let connection = ShopifyConnection {
            store: "s".to_owned(),
            secret: "x".to_owned(),
        };
        let of = |name: &str| TenantConfig {
            connections: BTreeMap::from([("shop".to_owned(), connection.clone())]),
            ..tenant(name)
        };
        assert!(config.check(&[of("a"), of("b")]).is_err());
        let leads = |name: &str, feed: &str, host: &str| TenantConfig {
            prefixes: BTreeMap::from([(
                feed.to_owned(),
                PrefixFeed {
                    hosts: vec![host.to_owned()],
                },
            )]),
            ..tenant(name)
        };
        let good = leads("a", "show", "media.example.com");
        assert_eq!(config.check(std::slice::from_ref(&good)), Ok(()));
        for wrong in [
            leads("b", "show", "media.example.com"),
            leads("b", "a/b", "media.example.com"),
            leads("b", "other", "*"),
        ] {
            assert!(config.check(&[good.clone(), wrong]).is_err());
        }
        let ranges = GatewayConfig {
            trusted_proxies: vec!["nowhere".to_owned()],
            ..GatewayConfig::default()
        };
        assert!(matches!(ranges.check(&[]), Err(ConfigError::Range(_))));
        let of_class = |word: &str| GatewayConfig {
            ip_ranges: BTreeMap::from([(word.to_owned(), vec!["192.0.2.0/24".to_owned()])]),
            ..GatewayConfig::default()
        };
        assert_eq!(of_class("data_centre").check(&[]), Ok(()));
        assert!(matches!(
            of_class("datacenter").check(&[]),
            Err(ConfigError::Class { .. })
        ));
        let of_file = GatewayConfig {
            ip_range_files: BTreeMap::from([("datacenter".to_owned(), Vec::new())]),
            ..GatewayConfig::default()
        };
        assert!(matches!(of_file.check(&[]), Err(ConfigError::Class { .. })));
        assert!(!format!("{:?}", of("a")).contains("0b0b"));
    }
}
