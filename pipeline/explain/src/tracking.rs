//! Is a line item tracked? What was last seen of its ads and of its brand's buyers, what is missing, and who mends it.
//!
//! Needs: one state of the journal. Promises: days before [`LOOKED_DAYS`] are not looked at, so that a line of years answers as
//! a new one; an ad is one that counts in its flight, as pacing has it, not one that was reported. Leaves out: what reached a door and was refused (dead letters).

mod buyers;

use std::fmt::Display;

use hostread_rules::counting::Exposure;
use hostread_rules::delivery::civil_day;
use hostread_rules::pacing::pace;
use hostread_schemas::event::{AdKind, ControllingSource, ImpressionKind};
use hostread_schemas::fact::{LineFact, RetentionClass};
use hostread_schemas::unit::DAY_MS;
use hostread_schemas::view::PacingState;
use hostread_schemas::{Day, EventTimeMs, Hour, LineId, NameKind, TenantId};
use hostread_sink_kit::words;
use serde::Serialize;

use crate::days::{Whose, count_day};
use crate::dims::{Dims, all_dims};
use crate::known::{Known, ReadError};
use crate::lines::{lines_named, reads};
use crate::said::AsOf;

/// How many days back is looked.
pub const LOOKED_DAYS: i32 = 30;
/// Silence for longer than this in a flight is worth a look; ads are due sooner ([`PacingState::Stalled`]).
const QUIET_DAYS: i64 = 7;

/// A thing that tracking is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trace {
    /// Billable ads, as the line's controlling source counts them: what pacing has.
    Ads,
    /// Impressions reported, whether they count or not.
    Impressions,
    /// Page views and carts seen by the pixel.
    Visits,
    /// Purchases and leads seen by the pixel.
    Pixel,
    /// Orders of an authenticated source.
    Orders,
    /// Uses of a code of the line.
    Code,
    /// Test orders: no number has them.
    TestOrders,
}

/// How it stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Seen in the last days.
    Seen,
    /// Seen, but not for days, although the flight runs; of ads: not in 24 hours in which 20 were due.
    Quiet,
    /// Seen, but nothing that came says a household: only codes can match it.
    NoHousehold,
    /// Not seen, and the line needs it.
    Missing,
    /// Not seen, and the line can do without it.
    Unused,
}

/// What was seen of one thing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Seen {
    /// What.
    pub what: Trace,
    /// Which one, where there may be several: the code, the newest test order.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The newest.
    #[serde(serialize_with = "maybe")]
    pub last: Option<EventTimeMs>,
    /// How many in the 24 hours before the clock.
    pub day: u64,
    /// How many in the seven days before it.
    pub week: u64,
    /// Of the week's, how many a household can be matched by; not told of ads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub with_household: Option<u64>,
    /// How it stands.
    pub state: State,
    /// What mends it, or why it is fine as it is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub repair: String,
}

#[expect(clippy::ref_option, reason = "serde asks so")]
fn maybe<S: serde::Serializer>(time: &Option<EventTimeMs>, to: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => to.collect_str(time),
        None => to.serialize_none(),
    }
}

/// Where the clock stands in the flight.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Flight {
    /// It has not begun.
    Ahead,
    /// It runs.
    Runs,
    /// It is over.
    Over,
}

/// How a line item is tracked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Tracking {
    /// Whose.
    pub tenant: String,
    /// Which line item.
    pub line: String,
    /// Its campaign.
    pub campaign: String,
    /// The campaign's brand; empty: no campaign names it.
    pub brand: String,
    /// `inserted` or `baked_in`.
    pub kind: &'static str,
    /// Whose report counts.
    pub controlling: &'static str,
    /// First day of its flight, in `zone`.
    pub start: String,
    /// Last day.
    pub end: String,
    /// IANA zone.
    pub zone: String,
    /// Where the clock stands in it.
    pub flight: Flight,
    /// Which state was read.
    pub as_of: AsOf,
    /// Stores of the brand.
    pub stores: Vec<String>,
    /// What was seen.
    pub seen: Vec<Seen>,
}

impl Tracking {
    /// Is everything there that the line needs?
    #[must_use]
    pub fn works(&self) -> bool {
        self.seen.iter().all(|seen| seen.state != State::Missing)
    }
}

/// Looks at the line items of a name: of one tenant, or of all that have one.
///
/// # Errors
/// When the journal cannot be read.
pub fn tracking(
    known: &Known<'_>,
    line: &str,
    tenant: Option<TenantId>,
) -> Result<Vec<Tracking>, ReadError> {
    let dims = all_dims(known, tenant)?;
    let lines = lines_named(known, &dims, line).into_iter();
    lines
        .map(|(tenant, dims, said)| Looked::new(known, dims, tenant, &said.what).look())
        .collect()
}

/// Times at which something was seen.
#[derive(Clone, Copy, Default, Debug)]
struct Times {
    last: Option<EventTimeMs>,
    day: u64,
    week: u64,
    with_household: u64,
}

impl Times {
    fn add(&mut self, time: EventTimeMs, clock: EventTimeMs, with_household: bool) {
        self.last = self.last.max(Some(time));
        let ago = clock.0.saturating_sub(time.0);
        self.day += u64::from(ago < DAY_MS);
        if ago < QUIET_DAYS * DAY_MS {
            self.week += 1;
            self.with_household += u64::from(with_household);
        }
    }
}

/// A line item under the eye.
struct Looked<'k> {
    known: &'k Known<'k>,
    dims: &'k Dims,
    tenant: TenantId,
    line: &'k LineFact,
    flight: Flight,
}

impl<'k> Looked<'k> {
    fn new(known: &'k Known<'k>, dims: &'k Dims, tenant: TenantId, line: &'k LineFact) -> Self {
        let today = civil_day(known.clock, &line.zone);
        let flight = if today < line.start {
            Flight::Ahead
        } else if today > line.end {
            Flight::Over
        } else {
            Flight::Runs
        };
        Self {
            known,
            dims,
            tenant,
            line,
            flight,
        }
    }

    fn look(&self) -> Result<Tracking, ReadError> {
        let line = self.line;
        let (ads, impressions) = self.exposures()?;
        let stalled = self.stalled(ads.last.map(EventTimeMs::hour));
        let mut seen = vec![
            self.ads(ads, stalled),
            self.impressions(impressions, stalled),
        ];
        seen.extend(self.buyers()?);
        let brand = self.dims.brand_of_line(line.line);
        Ok(Tracking {
            tenant: self.known.tenant(self.tenant),
            line: self.name(NameKind::Line, line.line.0),
            campaign: self.name(NameKind::Campaign, line.campaign.0),
            brand: self.name(NameKind::Brand, brand.0),
            kind: words::ad_kind(line.kind),
            controlling: words::controlling(line.controlling),
            start: line.start.to_string(),
            end: line.end.to_string(),
            zone: line.zone.clone(),
            flight: self.flight,
            as_of: self.known.as_of(),
            stores: self.stores(),
            seen,
        })
    }

    fn name(&self, kind: NameKind, id: u64) -> String {
        if id == 0 {
            return String::new();
        }
        self.known.name(kind, id)
    }

    /// The days of a class that are looked at.
    fn days(&self, class: RetentionClass) -> impl Iterator<Item = Day> {
        let first = self.known.clock.day().0.saturating_sub(LOOKED_DAYS);
        let days = self.known.live.days(class).into_iter();
        days.filter(move |day| day.0 >= first)
    }

    /// Billable ads, and impressions of the line.
    fn exposures(&self) -> Result<(Times, Times), ReadError> {
        let (mut ads, mut impressions) = (Times::default(), Times::default());
        let (line, clock) = (self.line.line, self.known.clock);
        let carried = self.dims.carried.get(&line).into_iter().flatten();
        ads.last = carried
            .filter_map(|day| day.last_hour)
            .max()
            .map(Hour::start);
        for day in self.days(RetentionClass::Exposure) {
            for counted in count_day(self.known, self.dims, self.tenant, day, Whose::All)? {
                for ad in counted.delivered(self.dims) {
                    if ad.billable && ad.delivery.line == line {
                        ads.add(ad.delivery.time, clock, false);
                    }
                }
                for (time, _, exposure) in &counted.items {
                    if matches!(exposure, Exposure::Impression(it)
                        if it.line == line && it.kind != ImpressionKind::ControlExposure)
                    {
                        impressions.add(*time, clock, false);
                    }
                }
            }
        }
        Ok((ads, impressions))
    }

    fn ads(&self, times: Times, stalled: bool) -> Seen {
        let needed = self.flight != Flight::Ahead;
        let repair = if !needed {
            format!("the flight begins on {}", self.line.start)
        } else if times.last.is_none() {
            self.no_ads().to_owned()
        } else {
            "pacing is stalled: see `verdicts` and hostread dead-letters list".to_owned()
        };
        self.seen(Trace::Ads, times, needed, stalled, repair)
    }

    /// Nothing that bills in 24 hours in which 20 were due.
    fn stalled(&self, last: Option<Hour>) -> bool {
        let reads = reads(self.dims, self.line.line);
        let reads: Vec<_> = reads.into_iter().map(|(read, _)| read).collect();
        let row = pace(self.line, &reads, 0, last, self.known.clock.hour());
        row.state == PacingState::Stalled
    }

    /// Why nothing can have been delivered, as far as the deal says.
    fn no_ads(&self) -> &'static str {
        let line = self.line.line;
        let place = |of: LineId| of == line;
        match self.line.controlling {
            ControllingSource::Impressions => {
                "no impression of it counts: put the line's impression address into the ad server"
            }
            ControllingSource::Bytes
                if !self
                    .dims
                    .slots
                    .iter()
                    .any(|(_, slot)| place(slot.what.line)) =>
            {
                "no episode has a place for it: send `slot` events, or hostread catalog feed --line"
            }
            ControllingSource::Bytes
                if self.line.kind == AdKind::BakedIn
                    && !self.dims.aired.iter().any(|((of, _), _)| place(*of)) =>
            {
                "no read of it went out: send its `aired` event"
            }
            ControllingSource::Bytes => {
                "no download of its episodes holds its bytes: import their log, and see hostread explain"
            }
        }
    }

    fn impressions(&self, times: Times, stalled: bool) -> Seen {
        let counts = self.line.controlling == ControllingSource::Impressions;
        let needed = counts && self.flight != Flight::Ahead;
        let repair = if needed {
            "put the line's impression address into the ad server"
        } else if counts {
            "the flight has not begun"
        } else {
            "the line is counted by bytes"
        };
        self.seen(Trace::Impressions, times, needed, counts && stalled, repair)
    }

    /// `repair` is told where something is not as it should be, or was never seen.
    fn seen(
        &self,
        what: Trace,
        times: Times,
        needed: bool,
        quiet: bool,
        repair: impl Display,
    ) -> Seen {
        let state = match times.last {
            None if needed => State::Missing,
            None => State::Unused,
            Some(_) if quiet && self.flight == Flight::Runs => State::Quiet,
            Some(_) => State::Seen,
        };
        Seen {
            what,
            name: String::new(),
            last: times.last,
            day: times.day,
            week: times.week,
            with_household: None,
            state,
            repair: if state == State::Seen {
                String::new()
            } else {
                repair.to_string()
            },
        }
    }
}

#[cfg(test)]
mod tests;
