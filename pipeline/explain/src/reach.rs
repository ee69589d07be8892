//! Reach of ads in a stated period: how many listeners and households heard them, how often, and how far these went then: to
//! the shop's pages, to a cart, to a conversion (definitions 27 and 28).
//!
//! Needs: one state of the journal that still holds the period. Promises: exact counts of distinct listeners and households, so
//! they are never added up over rows. Leaves out: who would have bought anyway ([`crate::lifts`]). Memory: the period's ads
//! delivered, and what the buyers' households heard in all live days.

use std::collections::{BTreeMap, BTreeSet};

use hostread_rules::attribution::code_touch;
use hostread_rules::conversion::Conversion;
use hostread_schemas::event::IpClass;
use hostread_schemas::fact::{PathTouch, RetentionClass};
use hostread_schemas::{BrandId, Day, HouseholdId, ListenerId, NameKind, TenantId};
use serde::Serialize;

use crate::days::Whose;
use crate::dims::{Dims, all_dims};
use crate::known::{Known, ReadError};
use crate::path::{Life, Part, Seen, credited, lives};
use crate::period::{NotCounted, period};
use crate::said::AsOf;
use crate::signals::merged;
use crate::visits::{Visit, visits};

/// Days before and behind a day whose agents can make its household a shared one.
const AROUND_DAYS: i32 = hostread_rules::household::SHARED_SPAN_DAYS - 1;
/// Conversions so many days before ads cannot come from them: those that match all the same match by chance.
const SHIFTED_DAYS: i32 = 180;

/// Whose reach.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReachBy {
    /// Of each campaign.
    Campaign,
    /// Of each line item.
    Line,
    /// Of each show.
    Show,
}

impl ReachBy {
    const fn kind(self) -> NameKind {
        match self {
            Self::Campaign => NameKind::Campaign,
            Self::Line => NameKind::Line,
            Self::Show => NameKind::Show,
        }
    }

    fn of_ad(self, dims: &Dims, seen: &Seen) -> u64 {
        match self {
            Self::Campaign => dims.lines.get(&seen.line).map_or(0, |line| line.campaign.0),
            Self::Line => seen.line.0,
            Self::Show => seen.show.0,
        }
    }

    const fn of_touch(self, touch: &PathTouch) -> u64 {
        match self {
            Self::Campaign => touch.campaign.0,
            Self::Line => touch.line.0,
            Self::Show => touch.show.0,
        }
    }
}

/// What is asked: both days are part of the period, in UTC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReachAsked {
    /// Whose.
    pub by: ReachBy,
    /// First day; none: the first that is live.
    pub from: Option<Day>,
    /// Last day; none: the clock's.
    pub to: Option<Day>,
}

/// Reach of one campaign, line item or show.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Reached {
    /// Tenant.
    pub tenant: String,
    /// Campaign, line item or show.
    pub of: String,
    /// Ads delivered.
    pub ads: u64,
    /// Distinct listeners who got them.
    pub listeners: u64,
    /// Of the ads, how many a household can be matched by: residential, and not shared on their day.
    pub usable_ads: u64,
    /// Distinct households of these.
    pub households: u64,
    /// Of the households, how many came to a shop of the brand within the lookback behind one of these ads, or went further.
    pub visitors: u64,
    /// How many of them put something into a cart, or went further.
    pub carts: u64,
    /// How many of them have a conversion with one of these ads on its path.
    pub responses: u64,
    /// How many of them would have such a conversion had the ads been 180 days earlier; none where the conversions of their
    /// brands do not go back so far.
    pub by_chance: Option<u64>,
}

/// Reach, and what it is of.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Reach {
    /// Which state was read.
    pub as_of: AsOf,
    /// First day.
    pub from: String,
    /// Last day.
    pub to: String,
    /// By tenant and name.
    pub rows: Vec<Reached>,
}

/// Counts whom the ads of a period reached.
///
/// # Errors
/// When the period is released or none, or the journal cannot be read.
pub fn reach(
    known: &Known<'_>,
    asked: ReachAsked,
    tenant: Option<TenantId>,
) -> Result<Reach, NotCounted> {
    let (from, to) = period(known, RetentionClass::Exposure, asked.from, asked.to)?;
    let dims = all_dims(known, tenant)?;
    let mut rows = Vec::new();
    for (tenant, dims) in &dims {
        let of = Of {
            known,
            dims,
            tenant: *tenant,
            by: asked.by,
            from,
            to,
        };
        rows.extend(of.rows()?);
    }
    rows.sort_unstable_by(|a, b| (&a.tenant, &a.of).cmp(&(&b.tenant, &b.of)));
    Ok(Reach {
        as_of: known.as_of(),
        from: from.to_string(),
        to: to.to_string(),
        rows,
    })
}

/// A tenant's ads of the period.
struct Of<'k> {
    known: &'k Known<'k>,
    dims: &'k Dims,
    tenant: TenantId,
    by: ReachBy,
    from: Day,
    to: Day,
}

#[derive(Default)]
struct Heard {
    ads: u64,
    usable_ads: u64,
    listeners: BTreeSet<(HouseholdId, ListenerId)>,
    households: BTreeSet<HouseholdId>,
    visitors: BTreeSet<HouseholdId>,
    carts: BTreeSet<HouseholdId>,
    responses: BTreeSet<HouseholdId>,
    by_chance: BTreeSet<HouseholdId>,
    /// Of usable ads.
    brands: BTreeSet<BrandId>,
}

impl Heard {
    /// A household that went so far went all the way before.
    fn went(&mut self, household: HouseholdId, step: Step) {
        if !self.households.contains(&household) {
            return;
        }
        self.visitors.insert(household);
        if step >= Step::Cart {
            self.carts.insert(household);
        }
        if step >= Step::Conversion {
            self.responses.insert(household);
        }
    }
}

/// How far a household went.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Step {
    Visit,
    Cart,
    Conversion,
}

impl Of<'_> {
    fn rows(&self) -> Result<Vec<Reached>, ReadError> {
        let mut heard = self.ads()?;
        let reached = heard.values().flat_map(|heard| &heard.households);
        let reached: BTreeSet<HouseholdId> = reached.copied().collect();
        // Of households that were reached, from the first day of the period on.
        let (known, dims, tenant) = (self.known, self.dims, self.tenant);
        let visits = visits(known, dims, tenant, self.from, |it| reached.contains(&it))?;
        let since = self.steps(&reached, &visits, &mut heard)?;
        let name = |id| self.known.name(self.by.kind(), id);
        let rows = heard.into_iter().map(|(id, heard)| Reached {
            tenant: self.known.tenant(self.tenant),
            of: if id == 0 { String::new() } else { name(id) },
            ads: heard.ads,
            listeners: heard.listeners.len() as u64,
            usable_ads: heard.usable_ads,
            households: heard.households.len() as u64,
            visitors: heard.visitors.len() as u64,
            carts: heard.carts.len() as u64,
            responses: heard.responses.len() as u64,
            by_chance: self
                .goes_back(&heard, &since)
                .then_some(heard.by_chance.len() as u64),
        });
        Ok(rows.collect())
    }

    fn ads(&self) -> Result<BTreeMap<u64, Heard>, ReadError> {
        let (from, to) = (self.from, self.to);
        let part = |day: Day| {
            if (from..=to).contains(&day) {
                Part::Whole
            } else if day.0 >= from.0.saturating_sub(AROUND_DAYS)
                && day.0 <= to.0.saturating_add(AROUND_DAYS)
            {
                Part::Presence
            } else {
                Part::Nothing
            }
        };
        let mut heard: BTreeMap<u64, Heard> = BTreeMap::new();
        let lives = lives(self.known, self.dims, self.tenant, Whose::All, part)?;
        for (household, life) in &lives {
            for seen in &life.seen {
                let heard = heard.entry(self.by.of_ad(self.dims, seen)).or_default();
                heard.ads += 1;
                heard.listeners.insert((*household, seen.listener));
                let usable = seen.ip_class == IpClass::Residential
                    && household.is_some()
                    && !life.is_shared(seen.time.day());
                if usable {
                    heard.usable_ads += 1;
                    heard.households.insert(*household);
                    heard.brands.insert(self.dims.brand_of_line(seen.line));
                }
            }
        }
        Ok(heard)
    }

    /// How far the households went that ads of the period reached; and the first day on which each brand sold anything.
    fn steps(
        &self,
        reached: &BTreeSet<HouseholdId>,
        visits: &[Visit],
        heard: &mut BTreeMap<u64, Heard>,
    ) -> Result<BTreeMap<BrandId, Day>, ReadError> {
        let (known, dims, tenant) = (self.known, self.dims, self.tenant);
        let merging = merged(known, tenant)?;
        let all = merging.merged.iter();
        let made: Vec<_> = all.filter_map(|one| one.conversion.as_ref()).collect();
        let since = since(dims, &made);
        let made: Vec<_> = made
            .into_iter()
            .filter(|made| reached.contains(&made.household))
            .collect();
        let mut households: BTreeSet<HouseholdId> = made.iter().map(|it| it.household).collect();
        households.extend(visits.iter().map(|visit| visit.household));
        let whose = Whose::Households(&households);
        let lives = lives(known, dims, tenant, whose, |_| Part::Whole)?;
        for visit in visits {
            if let Some(life) = lives.get(&visit.household) {
                self.visited(visit, life, heard);
            }
        }
        for made in made {
            let receipts = merging.receipts.get(&made.conversion);
            let receipts = receipts.map_or(&[][..], Vec::as_slice);
            let life = lives.get(&made.household);
            let path = credited(known, dims, tenant, made, life, receipts).path;
            // A code's own touch is no ad.
            let of_code = code_touch(made.conversion);
            let of_period = |touch: &&PathTouch| {
                touch.touch != of_code && (self.from..=self.to).contains(&touch.time.day())
            };
            for touch in path.iter().filter(of_period) {
                if let Some(heard) = heard.get_mut(&self.by.of_touch(touch)) {
                    heard.went(made.household, Step::Conversion);
                }
            }
            if let Some(life) = life {
                self.matched_by_chance(made, life, heard);
            }
        }
        Ok(since)
    }

    /// A visit counts at the ads of the period that it lies behind.
    fn visited(&self, visit: &Visit, life: &Life, heard: &mut BTreeMap<u64, Heard>) {
        if life.is_shared(visit.time.day()) {
            return;
        }
        let step = if visit.cart { Step::Cart } else { Step::Visit };
        for seen in self.ads_before(visit.time.secs(), visit.brand, life) {
            if let Some(heard) = heard.get_mut(&self.by.of_ad(self.dims, seen)) {
                heard.went(visit.household, step);
            }
        }
    }

    /// A conversion counts at the ads of the period that it would lie behind, had they been [`SHIFTED_DAYS`] earlier.
    fn matched_by_chance(&self, made: &Conversion, life: &Life, heard: &mut BTreeMap<u64, Heard>) {
        if life.is_shared(made.time.day()) {
            return;
        }
        let secs = made.time.secs() + i64::from(SHIFTED_DAYS) * 86_400;
        for seen in self.ads_before(secs, self.dims.brand_of_store(made.store), life) {
            if let Some(heard) = heard.get_mut(&self.by.of_ad(self.dims, seen)) {
                heard.by_chance.insert(made.household);
            }
        }
    }

    /// A household's usable ads of the period that would be on the path of a conversion of the brand's at a second.
    fn ads_before<'l>(
        &'l self,
        secs: i64,
        brand: BrandId,
        life: &'l Life,
    ) -> impl Iterator<Item = &'l Seen> {
        let lookback_max = i64::from(self.known.horizons.lookback_days) * 86_400;
        let lookback = self.dims.settings().lookback_secs.min(lookback_max);
        let window = (secs.saturating_sub(lookback) + 1)..=secs;
        life.seen.iter().filter(move |seen| {
            window.contains(&seen.secs)
                && (self.from..=self.to).contains(&seen.time.day())
                && seen.ip_class == IpClass::Residential
                && !life.is_shared(seen.time.day())
                && brand.is_some()
                && self.dims.brand_of_line(seen.line) == brand
        })
    }

    /// Did all brands sell already when the ads would have been?
    fn goes_back(&self, heard: &Heard, since: &BTreeMap<BrandId, Day>) -> bool {
        let first = Day(self.from.0.saturating_sub(SHIFTED_DAYS));
        let sold = |brand| since.get(brand).is_some_and(|since| *since <= first);
        heard.brands.iter().all(sold)
    }
}

/// The first day on which each brand sold anything.
fn since(dims: &Dims, made: &[&Conversion]) -> BTreeMap<BrandId, Day> {
    let mut since = BTreeMap::new();
    for made in made {
        let first = since.entry(dims.brand_of_store(made.store));
        let first = first.or_insert(made.time.day());
        *first = (*first).min(made.time.day());
    }
    since
}

#[cfg(test)]
mod tests;
