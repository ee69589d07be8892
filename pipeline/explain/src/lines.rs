//! What the numbers of a line item are made of: its ads by billing day.

mod billing;
mod pacing;

pub use billing::{BillingDay, BillingLine, ConversionCredit};
pub use pacing::{LineDay, Pacing, Read};

pub(crate) use billing::find_billing;
pub(crate) use pacing::find_pacing;

use std::collections::BTreeMap;

use hostread_rules::pacing::AiredRead;
use hostread_schemas::fact::{LineFact, RetentionClass};
use hostread_schemas::{Day, EventId, Hour, LineId, NameKind, TenantId};

use crate::days::{Whose, count_day};
use crate::dims::{AllDims, Dims, Said};
use crate::known::{Known, ReadError};
use crate::said::KnownFrom;

#[derive(Clone, Copy, Default)]
struct Ads {
    delivered: i64,
    billable: i64,
    last_hour: Option<Hour>,
    carried: bool,
}

/// Lines of a name.
pub(crate) fn lines_named<'d>(
    known: &Known<'_>,
    dims: &'d AllDims,
    name: &str,
) -> Vec<(TenantId, &'d Dims, &'d Said<LineFact>)> {
    let of_tenant = |(tenant, dims): (&TenantId, &'d Dims)| {
        let line = LineId(known.hasher.name(NameKind::Line, *tenant, name));
        Some((*tenant, dims, dims.lines.said(&line)?))
    };
    dims.iter().filter_map(of_tenant).collect()
}

const fn from(carried: bool) -> KnownFrom {
    if carried {
        KnownFrom::EventsAndCarries
    } else {
        KnownFrom::Events
    }
}

pub(crate) fn reads(dims: &Dims, line: LineId) -> Vec<(AiredRead, EventId)> {
    let of_line = dims.aired.iter().filter(|((of, _), _)| *of == line);
    of_line
        .map(|((_, episode), said)| {
            let (aired_at, episode_goal) = said.what;
            let read = AiredRead {
                episode: *episode,
                aired_at,
                episode_goal,
            };
            (read, said.event)
        })
        .collect()
}

/// Ads of a line by billing day, live and carried.
fn ads(
    known: &Known<'_>,
    dims: &Dims,
    tenant: TenantId,
    line: LineId,
) -> Result<BTreeMap<Day, Ads>, ReadError> {
    let mut ads: BTreeMap<Day, Ads> = BTreeMap::new();
    for carried in dims.carried.get(&line).into_iter().flatten() {
        let day = ads.entry(carried.day).or_default();
        day.delivered += carried.delivered;
        day.billable += carried.billable;
        day.last_hour = day.last_hour.max(carried.last_hour);
        day.carried = true;
    }
    for day in known.live.days(RetentionClass::Exposure) {
        for counted in count_day(known, dims, tenant, day, Whose::All)? {
            for ad in counted.delivered(dims) {
                if ad.delivery.line != line {
                    continue;
                }
                let day = ads.entry(ad.billing_day).or_default();
                day.delivered += 1;
                if ad.billable {
                    day.billable += 1;
                    day.last_hour = day.last_hour.max(Some(ad.delivery.time.hour()));
                }
            }
        }
    }
    Ok(ads)
}
