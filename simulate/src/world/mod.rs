//! A world in which everything that happens is decided, so what it adds up to is known.
//!
//! Needs: a seed and a size.
//! Promises: what really happened (downloads, deliveries, touches, orders) is kept as it is made
//! up; [`truth`](crate::truth) adds it up and never reads what is written for the doors.
//! Leaves out: the formats of doors and logs (that is [`samples`](crate::samples)).
//! Invariant 1: everything happens before `clock_end`.

use std::collections::BTreeSet;

use hostread_schemas::view::Verdict;
use hostread_schemas::{Day, EventTimeMs};

use crate::rng::Rng;

pub(crate) mod calendar;
pub(crate) mod catalog;
mod crowd;
pub(crate) mod goals;
pub(crate) mod noise;
pub(crate) mod people;
mod plays;
pub(crate) mod scenario;
mod shop;
pub(crate) mod signals;
#[cfg(test)]
mod tests;

use catalog::Catalog;
use people::{Addresses, Home};
use signals::{Conversion, Pixel, Redemption, Webhook};

pub(crate) const DAY_SECS: i64 = 86_400;
pub(crate) const HOUR_SECS: i64 = 3_600;

/// Names of the two tenants; everything else has the same names in both.
pub const TENANTS: [&str; 2] = ["acme-network", "beta-brand"];
/// The second tenant is this much smaller.
const SMALLER: u32 = 10;
/// Hours between the last event and the final clock.
const REST_HOURS: i64 = 2;

/// How large a world is.
#[derive(Clone, Debug)]
pub struct WorldConfig {
    /// Decides every draw.
    pub seed: u64,
    /// Households that listen, in the larger tenant.
    pub listeners: u32,
    /// Days, 1 to 60.
    pub days: u32,
    /// First day (UTC).
    pub start_day: Day,
    /// Shows of each tenant, 1 to 8.
    pub shows: u32,
}

impl WorldConfig {
    /// The world of the demo: about 20,000 requests in 14 days.
    #[must_use]
    pub const fn demo(seed: u64) -> Self {
        Self {
            seed,
            listeners: 900,
            days: 14,
            // 2026-03-02, a Monday.
            start_day: Day(20_514),
            shows: 4,
        }
    }
}

/// One line of a delivery log.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) secs: i64,
    pub(crate) ip: String,
    pub(crate) agent: String,
    pub(crate) path: String,
    pub(crate) method: &'static str,
    pub(crate) status: u16,
    /// Inclusive.
    pub(crate) range: Option<(u64, u64)>,
    /// Body bytes that a whole response would have.
    pub(crate) asked: u64,
    pub(crate) sent: u64,
    pub(crate) referrer: Option<&'static str>,
    pub(crate) verdict: Verdict,
}

#[derive(Clone, Debug)]
pub(crate) struct Impression {
    pub(crate) secs: i64,
    pub(crate) line: String,
    pub(crate) show: String,
    pub(crate) episode: String,
    pub(crate) confirmed: bool,
    pub(crate) ip: String,
    pub(crate) agent: String,
}

/// A download that counts.
#[derive(Clone, Debug)]
pub(crate) struct Download {
    pub(crate) episode: usize,
    /// Its t0.
    pub(crate) secs: i64,
}

/// An ad delivered.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) line: usize,
    /// `None` for a partner's episode.
    pub(crate) episode: Option<usize>,
    pub(crate) secs: i64,
}

/// Everything of one tenant.
#[derive(Debug)]
pub(crate) struct TenantWorld {
    pub(crate) name: &'static str,
    pub(crate) catalog: Catalog,
    pub(crate) homes: Vec<Home>,
    pub(crate) requests: Vec<Request>,
    pub(crate) impressions: Vec<Impression>,
    pub(crate) pixels: Vec<Pixel>,
    pub(crate) redemptions: Vec<Redemption>,
    pub(crate) webhooks: Vec<Webhook>,
    pub(crate) downloads: Vec<Download>,
    pub(crate) deliveries: Vec<Delivery>,
    pub(crate) conversions: Vec<Conversion>,
    pub(crate) lookback_hours: u32,
    pub(crate) half_life_hours: u32,
    pub(crate) first_secs: i64,
    /// Nothing happens from here on.
    pub(crate) last_secs: i64,
    pub(crate) stall_secs: i64,
    played: BTreeSet<(usize, String, usize, i64)>,
}

/// A world, complete.
#[derive(Debug)]
pub struct World {
    pub(crate) config: WorldConfig,
    pub(crate) tenants: Vec<TenantWorld>,
}

impl World {
    /// Makes the world of `config`.
    #[must_use]
    pub fn new(config: WorldConfig) -> Self {
        let config = WorldConfig {
            days: config.days.clamp(1, 60),
            ..config
        };
        let root = Rng::new(config.seed);
        let sizes = [config.listeners, config.listeners.div_ceil(SMALLER)];
        let tenants = TENANTS
            .iter()
            .zip(sizes)
            .map(|(name, listeners)| TenantWorld::new(name, listeners, &config, &root))
            .collect();
        Self { config, tenants }
    }

    /// What it was made from.
    #[must_use]
    pub const fn config(&self) -> &WorldConfig {
        &self.config
    }

    /// The clock at which [`Truth`](crate::Truth) holds: a full hour, after everything.
    #[must_use]
    pub fn clock_end(&self) -> EventTimeMs {
        let secs = end_secs(&self.config) + REST_HOURS * HOUR_SECS;
        EventTimeMs(secs * 1_000)
    }

    /// Requests in all logs.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.tenants
            .iter()
            .map(|tenant| tenant.requests.len())
            .sum()
    }
}

const fn start_secs(config: &WorldConfig) -> i64 {
    config.start_day.0 as i64 * DAY_SECS
}

const fn end_secs(config: &WorldConfig) -> i64 {
    start_secs(config) + config.days as i64 * DAY_SECS
}

impl TenantWorld {
    fn new(name: &'static str, listeners: u32, config: &WorldConfig, root: &Rng) -> Self {
        let start = start_secs(config);
        let last = end_secs(config);
        let days = config.days as i32;
        let shows = config.shows as usize;
        let large = name == TENANTS[0];
        let mut tenant = Self {
            name,
            // The same draws for both tenants: equal outside ids.
            catalog: Catalog::new(start, days, shows, &mut root.part("catalog")),
            homes: Vec::new(),
            requests: Vec::new(),
            impressions: Vec::new(),
            pixels: Vec::new(),
            redemptions: Vec::new(),
            webhooks: Vec::new(),
            downloads: Vec::new(),
            deliveries: Vec::new(),
            conversions: Vec::new(),
            lookback_hours: if large { 168 } else { 72 },
            half_life_hours: if large { 48 } else { 24 },
            first_secs: start,
            last_secs: last,
            stall_secs: last - 3 * DAY_SECS,
            played: BTreeSet::new(),
        };
        let rng = root.part(name);
        // The same addresses for both tenants, too: what one knows must not reach the other.
        let mut addresses = Addresses::new(root.part("addresses"));
        let regular = tenant.crowd(listeners, &mut addresses, &mut rng.part("crowd"));
        tenant.noise(listeners, &mut addresses, &mut rng.part("noise"));
        tenant.sell(regular, listeners, &mut addresses, &mut rng.part("shop"));
        tenant.set_goals();
        tenant.sort();
        tenant
    }

    /// Brings everything into the order of its time; equal seconds stay as they were made.
    fn sort(&mut self) {
        self.requests.sort_by_key(|request| request.secs);
        self.impressions.sort_by_key(|impression| impression.secs);
        self.pixels.sort_by_key(|pixel| pixel.secs);
        self.redemptions.sort_by_key(|redemption| redemption.secs);
        self.webhooks.sort_by_key(|webhook| webhook.secs);
        self.downloads.sort_by_key(|download| download.secs);
        self.deliveries.sort_by_key(|delivery| delivery.secs);
        self.conversions.sort_by_key(|conversion| conversion.secs);
    }
}
