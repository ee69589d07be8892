//! What the doors' events must add up to, from what the world knows happened.
//!
//! Promises: nothing here reads logs or requests to find downloads, deliveries or conversions:
//! those were decided when the world was made. The sums follow `docs/reference/definitions.md`.

use std::collections::{BTreeMap, BTreeSet};

use hostread_schemas::event::Model;
use serde::{Deserialize, Serialize};

use crate::world::{TenantWorld, World};

mod money;
mod orders;
mod pacing;
mod series;
#[cfg(test)]
mod tests;

pub use orders::{OrderTruth, TouchTruth};

/// Keys of several parts, written as lists: JSON objects have only texts as keys.
mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(super) fn deserialize<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Vec::<(K, V)>::deserialize(deserializer).map(|pairs| pairs.into_iter().collect())
    }
}

/// The final numbers of a world, under the clock [`Truth::clock_end_ms`]. Tenants, shows,
/// episodes, campaigns, lines are named as their makers name them; days and months are
/// `2026-03-02` and `2026-03`.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Truth {
    /// The clock at which these numbers hold, a full hour (Unix milliseconds).
    pub clock_end_ms: i64,
    /// Lines of all logs that cannot be read, by tenant.
    pub malformed_lines: BTreeMap<String, i64>,
    /// Downloads by tenant, show, episode, UTC day.
    #[serde(with = "pairs")]
    pub downloads: BTreeMap<(String, String, String, String), i64>,
    /// Requests by tenant and verdict.
    #[serde(with = "pairs")]
    pub verdicts: BTreeMap<(String, String), i64>,
    /// Ads delivered, and of these billable, by tenant, line, billing day.
    #[serde(with = "pairs")]
    pub deliveries: BTreeMap<(String, String, String), (i64, i64)>,
    /// Credit micros and money micros by tenant, campaign, model.
    #[serde(with = "pairs")]
    pub attribution: BTreeMap<(String, String, String), (i64, i64)>,
    /// Conversions by tenant and kind: all, and those with a touch.
    #[serde(with = "pairs")]
    pub conversions: BTreeMap<(String, String), (i64, i64)>,
    /// Delivered, expected, state by tenant and line.
    #[serde(with = "pairs")]
    pub pacing: BTreeMap<(String, String), (i64, i64, String)>,
    /// Quantity and amount in micros by tenant, line, month.
    #[serde(with = "pairs")]
    pub billing: BTreeMap<(String, String, String), (i64, i64)>,
    /// Flags: tenant, series (`show:NAME` or `campaign:NAME`), first millisecond of the hour.
    pub anomalies: BTreeSet<(String, String, i64)>,
    /// Every conversion, with its path.
    pub orders: Vec<OrderTruth>,
}

impl Truth {
    /// The truth of a world.
    #[must_use]
    pub fn of(world: &World) -> Self {
        let mut truth = Self {
            clock_end_ms: world.clock_end().0,
            ..Self::default()
        };
        for tenant in &world.tenants {
            truth.count(tenant);
            truth.attribute(tenant);
            truth.pace(tenant);
            truth.bill(tenant);
            truth.flag(tenant);
        }
        truth
    }

    fn count(&mut self, tenant: &TenantWorld) {
        let name = || tenant.name.to_owned();
        let malformed = crate::samples::malformed(tenant).len();
        self.malformed_lines.insert(name(), malformed as i64);
        for request in &tenant.requests {
            let key = (name(), request.verdict.as_str().to_owned());
            *self.verdicts.entry(key).or_default() += 1;
        }
        for download in &tenant.downloads {
            let episode = &tenant.catalog.episodes[download.episode];
            let show = tenant.catalog.shows[episode.show].name.clone();
            let key = (name(), show, episode.name.clone(), day(download.secs));
            *self.downloads.entry(key).or_default() += 1;
        }
        for delivery in &tenant.deliveries {
            let line = &tenant.catalog.lines[delivery.line];
            let day = crate::world::calendar::local_day(delivery.secs, line.zone);
            let key = (name(), line.name.to_owned(), day.to_string());
            let count = self.deliveries.entry(key).or_default();
            count.0 += 1;
            count.1 += i64::from(tenant.billable(delivery));
        }
    }

    fn attribute(&mut self, tenant: &TenantWorld) {
        for order in orders::of(tenant) {
            let kind = (order.tenant.clone(), order.kind.clone());
            let count = self.conversions.entry(kind).or_default();
            count.0 += 1;
            count.1 += i64::from(!order.path.is_empty());
            for model in Model::ALL {
                for touch in &order.path {
                    let campaign = touch.campaign.clone();
                    let key = (order.tenant.clone(), campaign, model.as_str().to_owned());
                    let (credit, money) = touch.credit(model);
                    let sums = self.attribution.entry(key).or_default();
                    *sums = (sums.0 + credit, sums.1 + money);
                }
            }
            self.orders.push(order);
        }
        // Rows with both sums 0 do not exist.
        self.attribution.retain(|_, sums| *sums != (0, 0));
    }
}

fn day(secs: i64) -> String {
    hostread_schemas::EventTimeMs(secs * 1_000)
        .day()
        .to_string()
}
