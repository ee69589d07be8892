//! Which episodes sold: what each touch on a path is credited with, by the episode that it was heard in (definition 35).
//!
//! Needs: one state of the journal. Promises: a conversion's touches have what its line items have, to the last millionth.
//! Leaves out: conversions without a path, and those that were released. A touch whose own day was released has no episode, and
//! neither has that of a promo code.

use std::collections::{BTreeMap, BTreeSet};

use hostread_rules::conversion::Conversion;
use hostread_schemas::event::Model;
use hostread_schemas::fact::{PathTouch, RetentionClass};
use hostread_schemas::{CampaignId, Currency, Day, EpisodeId, NameKind, ShowId, TenantId};

use crate::dims::all_dims;
use crate::known::Known;
use crate::path::Life;
use crate::period::{NotCounted, period};
use crate::said::AsOf;
use crate::sales::Sales;

/// What is asked: both days are part of the period, in UTC, and conversions are of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EpisodesAsked {
    /// Who divides a conversion.
    pub model: Model,
    /// First day; none: the first that is live.
    pub from: Option<Day>,
    /// Last day; none: the clock's.
    pub to: Option<Day>,
    /// Only of this campaign.
    pub campaign: Option<String>,
}

/// What an episode sold for a campaign.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct EpisodeSold {
    /// Tenant.
    pub tenant: String,
    /// Campaign.
    pub campaign: String,
    /// Show; empty: a promo code.
    pub show: String,
    /// Episode; empty: a promo code, or it is not known any more.
    pub episode: String,
    /// Currency of the conversions.
    pub currency: Currency,
    /// With a touch in it on their path.
    pub conversions: i64,
    /// Touches in it.
    pub touches: i64,
    /// In millionths of a conversion.
    pub credit: i64,
    /// In millionths of the currency.
    pub money: i64,
}

/// What episodes sold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Episodes {
    /// Which state was read.
    pub as_of: AsOf,
    /// By tenant, campaign, show, episode and currency.
    pub rows: Vec<EpisodeSold>,
}

/// Sums up what episodes sold.
///
/// # Errors
/// When the period is released or none, or the journal cannot be read.
pub fn episodes(
    known: &Known<'_>,
    asked: &EpisodesAsked,
    tenant: Option<TenantId>,
) -> Result<Episodes, NotCounted> {
    let (from, to) = period(known, RetentionClass::Conversion, asked.from, asked.to)?;
    let dims = all_dims(known, tenant)?;
    let mut rows = Vec::new();
    for (tenant, dims) in &dims {
        let sales = Sales::read(known, dims, *tenant)?;
        let made = sales.merging.merged.iter();
        let made = made.filter_map(|one| one.conversion.as_ref());
        let mut sums = Sums::new();
        for made in made.filter(|made| (from..=to).contains(&made.time.day())) {
            add(&sales, made, asked.model, &mut sums);
        }
        let sold = sums.into_iter().map(|(place, sum)| EpisodeSold {
            tenant: known.tenant(*tenant),
            campaign: known.name(NameKind::Campaign, place.0.0),
            show: known.name(NameKind::Show, place.1.0),
            episode: known.name(NameKind::Episode, place.2.0),
            currency: place.3,
            conversions: sum.conversions,
            touches: sum.touches,
            credit: sum.credit,
            money: sum.money,
        });
        let wanted = |it: &EpisodeSold| asked.campaign.as_ref().is_none_or(|is| *is == it.campaign);
        rows.extend(sold.filter(wanted));
    }
    rows.sort_unstable();
    Ok(Episodes {
        as_of: known.as_of(),
        rows,
    })
}

type Place = (CampaignId, ShowId, EpisodeId, Currency);
type Sums = BTreeMap<Place, Sum>;

#[derive(Default)]
struct Sum {
    conversions: i64,
    touches: i64,
    credit: i64,
    money: i64,
}

/// Adds what each touch of a conversion is credited with.
fn add(sales: &Sales<'_>, made: &Conversion, model: Model, sums: &mut Sums) {
    let credited = sales.credited(made);
    let parts = credited.parts(made, model);
    let life = sales.life(made);
    let mut places = BTreeSet::new();
    for ((touch, credit), money) in credited.path.iter().zip(parts.credits).zip(parts.money) {
        let episode = heard_in(life, touch);
        let place = (touch.campaign, touch.show, episode, made.currency);
        let sum = sums.entry(place).or_default();
        sum.conversions += i64::from(places.insert(place));
        sum.touches += 1;
        sum.credit += credit;
        sum.money += money;
    }
}

fn heard_in(life: Option<&Life>, touch: &PathTouch) -> EpisodeId {
    let at = (touch.time.secs(), touch.touch);
    let seen = life.and_then(|life| {
        let found = life
            .seen
            .binary_search_by_key(&at, |it| (it.secs, it.touch));
        life.seen.get(found.ok()?)
    });
    seen.map_or(EpisodeId::NONE, |seen| seen.episode)
}

#[cfg(test)]
mod tests;
