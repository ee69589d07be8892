//! Lift of campaigns: what every household downloaded, heard, visited and bought, for the trials of [`hostread_models::lift`]
//! (definition 29).
//!
//! Needs: one state of the journal that still holds the period. Promises: whoever cannot be matched is on neither side.
//! Leaves out: regions, which nothing records. Memory: the downloads and ads of all live days, and of one campaign its households.

use std::collections::{BTreeMap, BTreeSet};

use hostread_models::lift::{Chances, Entry, History, Lift, Trials, lift};
use hostread_schemas::event::IpClass;
use hostread_schemas::fact::RetentionClass;
use hostread_schemas::unit::DAY_MS;
use hostread_schemas::{BrandId, CampaignId, Day, HouseholdId, LineId, NameKind, TenantId};

use crate::days::Whose;
use crate::dims::{Dims, all_dims};
use crate::known::{Known, ReadError};
use crate::path::{Life, Part, Seen, lives};
use crate::period::{NotCounted, period};
use crate::said::AsOf;
use crate::signals::merged;
use crate::visits::visits;

const DAY_SECS: i64 = DAY_MS / 1_000;

/// What is asked: both days are part of the period, in UTC.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LiftAsked {
    /// First day on which an ad may make a household exposed; none: the first that is live.
    pub from: Option<Day>,
    /// Last day; none: the clock's.
    pub to: Option<Day>,
    /// Days within which a conversion may follow; none: the tenant's lookback.
    pub window_days: Option<u16>,
    /// Only this campaign.
    pub campaign: Option<String>,
    /// Who is compared with whom.
    pub design: Design,
}

/// What makes somebody a control.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Design {
    /// It did not hear the ad.
    Observational,
    /// The ad was withheld from it by a draw.
    Randomised,
}

/// Lift of one campaign.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lifted {
    /// Tenant.
    pub tenant: String,
    /// Campaign.
    pub campaign: String,
    /// Days within which a conversion may follow.
    pub window_days: i64,
    /// Exposed households beside controls.
    pub lift: Lift,
}

/// Lift of campaigns, and of when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lifts {
    /// Which state was read.
    pub as_of: AsOf,
    /// First day.
    pub from: String,
    /// Last day.
    pub to: String,
    /// Who was compared with whom.
    pub design: Design,
    /// By tenant and campaign; those that nobody heard are not there, and of a draw those that it did not part.
    pub rows: Vec<Lifted>,
}

/// Compares whom the campaigns of a period reached with whom they did not.
///
/// # Errors
/// When the period is released or none, or the journal cannot be read.
pub fn lifts(
    known: &Known<'_>,
    asked: &LiftAsked,
    tenant: Option<TenantId>,
) -> Result<Lifts, NotCounted> {
    let (from, to) = period(known, RetentionClass::Exposure, asked.from, asked.to)?;
    let dims = all_dims(known, tenant)?;
    let mut rows = Vec::new();
    for (tenant, dims) in &dims {
        let homes = Homes::read(known, dims, *tenant)?;
        let lookback = dims.settings().lookback_secs / DAY_SECS;
        let lookback = lookback.min(i64::from(known.horizons.lookback_days));
        let window_days = asked.window_days.map_or(lookback, i64::from);
        let trials = Trials {
            period: i64::from(from.0) * DAY_SECS..(i64::from(to.0) + 1) * DAY_SECS,
            window_secs: window_days * DAY_SECS,
        };
        for campaign in homes.heard(dims) {
            let name = known.name(NameKind::Campaign, campaign.0);
            if asked.campaign.as_ref().is_some_and(|only| *only != name) {
                continue;
            }
            if let Some(lift) = homes.lift(dims, campaign, &trials, asked.design) {
                rows.push(Lifted {
                    tenant: known.tenant(*tenant),
                    campaign: name,
                    window_days,
                    lift,
                });
            }
        }
    }
    rows.sort_unstable_by(|a, b| (&a.tenant, &a.campaign).cmp(&(&b.tenant, &b.campaign)));
    Ok(Lifts {
        as_of: known.as_of(),
        from: from.to_string(),
        to: to.to_string(),
        design: asked.design,
        rows,
    })
}

/// What a household did in the shops of a brand, in whole seconds.
#[derive(Default)]
struct Bought {
    visits: Vec<i64>,
    conversions: Vec<i64>,
}

/// What all households of a tenant did, as far as it can be matched.
struct Homes {
    lives: BTreeMap<HouseholdId, Life>,
    bought: BTreeMap<(HouseholdId, BrandId), Bought>,
}

impl Homes {
    fn read(known: &Known<'_>, dims: &Dims, tenant: TenantId) -> Result<Self, ReadError> {
        let mut lives = lives(known, dims, tenant, Whose::All, |_| Part::Whole)?;
        lives.remove(&HouseholdId::NONE);
        let matches = |household: HouseholdId, brand: BrandId, day: Day| {
            let life = lives.get(&household);
            brand.is_some() && life.is_some_and(|life| !life.is_shared(day))
        };
        let mut bought: BTreeMap<(HouseholdId, BrandId), Bought> = BTreeMap::new();
        for it in visits(known, dims, tenant, Day(i32::MIN), |_| true)? {
            if matches(it.household, it.brand, it.time.day()) {
                let of = bought.entry((it.household, it.brand)).or_default();
                of.visits.push(it.time.secs());
            }
        }
        let merging = merged(known, tenant)?;
        for made in merging
            .merged
            .iter()
            .filter_map(|it| it.conversion.as_ref())
        {
            let brand = dims.brand_of_store(made.store);
            if matches(made.household, brand, made.time.day()) {
                let of = bought.entry((made.household, brand)).or_default();
                of.conversions.push(made.time.secs());
            }
        }
        Ok(Self { lives, bought })
    }

    /// A campaign's lift; none without anybody exposed, or in a draw without anybody held out.
    fn lift(
        &self,
        dims: &Dims,
        campaign: CampaignId,
        trials: &Trials,
        design: Design,
    ) -> Option<Lift> {
        match design {
            Design::Observational => {
                let histories = self.histories(dims, campaign);
                let entries: Vec<_> = histories.flat_map(|it| trials.of(&it)).collect();
                entries.iter().any(Entry::exposed).then(|| lift(&entries))
            }
            Design::Randomised => {
                let chances = self.chances(dims, campaign);
                let entries: Vec<_> = chances.filter_map(|it| trials.drawn(&it)).collect();
                let held_out = entries.iter().any(|entry| !entry.exposed());
                held_out.then(|| lift(&entries))
            }
        }
    }

    /// Campaigns of a brand that anybody heard or was held out of.
    fn heard(&self, dims: &Dims) -> BTreeSet<CampaignId> {
        let lives = self.lives.values();
        let seen = lives.flat_map(|life| life.seen.iter().chain(&life.held_out));
        let heard = seen.filter_map(|seen| dims.lines.get(&seen.line));
        let heard = heard.map(|line| line.campaign);
        heard
            .filter(|campaign| dims.campaigns.get(campaign).is_some())
            .collect()
    }

    /// Every household, as a campaign sees it.
    fn histories(&self, dims: &Dims, campaign: CampaignId) -> impl Iterator<Item = History> {
        let brand = dims.campaigns.get(&campaign).copied().unwrap_or_default();
        self.lives.iter().map(move |(household, life)| {
            let mut history = History {
                household: household.0,
                downloads: life.downloads.clone(),
                ..History::default()
            };
            let day = |secs: i64| Day(i32::try_from(secs.div_euclid(DAY_SECS)).unwrap_or(i32::MAX));
            history
                .downloads
                .retain(|(secs, _)| !life.is_shared(day(*secs)));
            for seen in &life.seen {
                let of = dims.lines.get(&seen.line).map(|line| line.campaign);
                if of == Some(campaign) {
                    history.ads.push((seen.secs, usable(life, seen)));
                } else if dims.brand_of_line(seen.line) == brand {
                    history.others.push(seen.secs);
                }
            }
            if let Some(bought) = self.bought.get(&(*household, brand)) {
                history.visits.clone_from(&bought.visits);
                history.conversions.clone_from(&bought.conversions);
            }
            history
        })
    }

    /// Every household, as the test of a campaign sees it. The line items of the test are those of which anybody was held out:
    /// nobody drew who hears the others.
    fn chances(&self, dims: &Dims, campaign: CampaignId) -> impl Iterator<Item = Chances> {
        let brand = dims.campaigns.get(&campaign).copied().unwrap_or_default();
        let withheld = self.lives.values().flat_map(|life| &life.held_out);
        let of_campaign = |line: &LineId| {
            let line = dims.lines.get(line);
            line.is_some_and(|line| line.campaign == campaign)
        };
        let drawn = withheld.map(|seen| seen.line).filter(of_campaign);
        let drawn: BTreeSet<LineId> = drawn.collect();
        self.lives.iter().map(move |(household, life)| {
            let of_test = |seen: &[Seen]| {
                let of_test = seen.iter().filter(|seen| drawn.contains(&seen.line));
                of_test
                    .map(|seen| (seen.secs, usable(life, seen)))
                    .collect()
            };
            let bought = self.bought.get(&(*household, brand));
            Chances {
                household: household.0,
                ads: of_test(&life.seen),
                held_out: of_test(&life.held_out),
                conversions: bought.map_or_else(Vec::new, |it| it.conversions.clone()),
            }
        })
    }
}

/// Can the household be matched by it?
fn usable(life: &Life, seen: &Seen) -> bool {
    seen.ip_class == IpClass::Residential && !life.is_shared(seen.time.day())
}

#[cfg(test)]
mod tests;
