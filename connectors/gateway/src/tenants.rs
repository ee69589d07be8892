//! Who is calling: API keys, public keys and connections to tenants. Promises: keys are compared as SHA-256 in constant time, and
//! all of them, whichever matches.

use std::sync::Arc;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use hostread_connectors::prefix::PrefixFeed;
use hostread_connectors::shopify::ShopifyConnection;
use hostread_connectors_kit::signature::{equal, sha256_hex};
use hostread_connectors_kit::{Addresses, Pseudonymizer, TenantKey};

use crate::config::{ConfigError, LimitsConfig, TenantConfig};
use crate::problem::Problem;

/// A door, for rates and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    Events,
    Redemptions,
    Import,
    Pixel,
    Impression,
    Shopify,
    Explain,
    Attribution,
    Prefix,
}

impl Door {
    const ALL: [Self; 9] = [
        Self::Events,
        Self::Redemptions,
        Self::Import,
        Self::Pixel,
        Self::Impression,
        Self::Shopify,
        Self::Explain,
        Self::Attribution,
        Self::Prefix,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Redemptions => "redemptions",
            Self::Import => "import",
            Self::Pixel => "pixel",
            Self::Impression => "impression",
            Self::Shopify => "shopify",
            Self::Explain => "explain",
            Self::Attribution => "attribution",
            Self::Prefix => "prefix",
        }
    }

    const fn takes_batches(self) -> bool {
        matches!(
            self,
            Self::Events | Self::Redemptions | Self::Import | Self::Explain | Self::Attribution
        )
    }
}

/// A tenant at the doors.
#[derive(Debug)]
pub(crate) struct Tenant {
    pub(crate) name: String,
    pub(crate) key: TenantKey,
    pub(crate) pseudonyms: Pseudonymizer,
    api_key_sha256: Vec<String>,
    public_key: String,
    connections: Vec<(String, ShopifyConnection)>,
    prefixes: Vec<(String, Arc<PrefixFeed>)>,
    rates: [DefaultDirectRateLimiter; Door::ALL.len()],
}

impl Tenant {
    /// Takes one request from the door's rate.
    pub(crate) fn admit(&self, door: Door) -> Result<(), Problem> {
        let Some(rate) = self.rates.get(door as usize) else {
            return Ok(());
        };
        rate.check().map_err(|too_soon| {
            let now = governor::clock::Clock::now(&governor::clock::DefaultClock::default());
            Problem::TooFast {
                retry_after_secs: too_soon.wait_time_from(now).as_secs() + 1,
            }
        })
    }
}

/// All tenants.
#[derive(Debug)]
pub(crate) struct Tenants(Vec<Arc<Tenant>>);

impl Tenants {
    pub(crate) fn new(
        configs: &[TenantConfig],
        addresses: &Arc<Addresses>,
        limits: &LimitsConfig,
    ) -> Result<Self, ConfigError> {
        let tenants = configs.iter().map(|config| {
            let key = config.key()?;
            Ok(Arc::new(Tenant {
                name: config.name.clone(),
                pseudonyms: Pseudonymizer::new(&key, Arc::clone(addresses)),
                key,
                api_key_sha256: config
                    .api_key_sha256
                    .iter()
                    .map(|hash| hash.to_ascii_lowercase())
                    .collect(),
                public_key: config.public_key.clone(),
                connections: config.connections.clone().into_iter().collect(),
                prefixes: (config.prefixes.clone().into_iter())
                    .map(|(name, feed)| (name, Arc::new(feed)))
                    .collect(),
                rates: Door::ALL.map(|door| rate(door, limits)),
            }))
        });
        tenants.collect::<Result<_, _>>().map(Self)
    }

    /// The tenant of an `Authorization: Bearer` header.
    pub(crate) fn by_api_key(&self, authorization: Option<&str>) -> Result<Arc<Tenant>, Problem> {
        let key = authorization
            .and_then(|header| header.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, key)| key.trim())
            .filter(|key| !key.is_empty())
            .ok_or(Problem::Key)?;
        let hash = sha256_hex(key.as_bytes());
        self.find(|tenant| {
            tenant.api_key_sha256.iter().fold(false, |found, known| {
                found | equal(known.as_bytes(), hash.as_bytes())
            })
        })
    }

    /// The tenant of a public key.
    pub(crate) fn by_public_key(&self, key: Option<&str>) -> Result<Arc<Tenant>, Problem> {
        let key = key.filter(|key| !key.is_empty()).ok_or(Problem::Key)?;
        self.find(|tenant| equal(tenant.public_key.as_bytes(), key.as_bytes()))
    }

    /// The tenant and settings of a connection. There is no telling a wrong name from a wrong signature.
    pub(crate) fn connection(
        &self,
        name: &str,
    ) -> Result<(Arc<Tenant>, ShopifyConnection), Problem> {
        self.0
            .iter()
            .find_map(|tenant| {
                let (_, connection) = tenant.connections.iter().find(|(there, _)| there == name)?;
                Some((Arc::clone(tenant), connection.clone()))
            })
            .ok_or(Problem::Signature)
    }

    /// The tenant of a prefix's feed, and where it may lead.
    pub(crate) fn prefix(&self, name: &str) -> Option<(Arc<Tenant>, Arc<PrefixFeed>)> {
        self.0.iter().find_map(|tenant| {
            let (_, feed) = tenant.prefixes.iter().find(|(there, _)| there == name)?;
            Some((Arc::clone(tenant), Arc::clone(feed)))
        })
    }

    fn find(&self, matches: impl Fn(&Tenant) -> bool) -> Result<Arc<Tenant>, Problem> {
        let mut found = None;
        for tenant in &self.0 {
            if matches(tenant) {
                found = Some(tenant);
            }
        }
        found.map(Arc::clone).ok_or(Problem::Key)
    }
}

fn rate(door: Door, limits: &LimitsConfig) -> DefaultDirectRateLimiter {
    let per_sec = if door.takes_batches() {
        limits.batch_requests_per_sec
    } else {
        limits.single_requests_per_sec
    };
    let per_sec = std::num::NonZeroU32::new(per_sec).unwrap_or(std::num::NonZeroU32::MIN);
    RateLimiter::direct(Quota::per_second(per_sec))
}
