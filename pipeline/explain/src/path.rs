//! Households once more: their touches and shared days; and the path of a conversion with all that it was not made of
//! (definitions 7, 8 and 13).

use std::collections::{BTreeMap, BTreeSet};

use hostread_rules::attribution::{apportion, weights};
use hostread_rules::conversion::Conversion;
use hostread_rules::counting::held_out;
use hostread_rules::earned::{beyond_limit, earned};
use hostread_rules::household::{SHARED_SPAN_DAYS, shared_days};
use hostread_schemas::event::{IpClass, Model};
use hostread_schemas::fact::{Carry, FactBody, PathTouch, RetentionClass};
use hostread_schemas::view::{ConversionKey, ConversionRow, CreditKey, CreditRow};
use hostread_schemas::{
    AgentId, BrandId, CREDIT_MICROS_PER_CONVERSION, Day, EpisodeId, EventId, HouseholdId, LineId,
    ListenerId, ShowId, TenantId,
};

use crate::days::{Delivered, Whose, count_day};
use crate::dims::Dims;
use crate::known::{Known, ReadError};
use crate::signals::Receipt;

/// A delivery of a household, whether or not it can be matched.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Seen {
    pub(crate) secs: i64,
    pub(crate) touch: EventId,
    pub(crate) time: hostread_schemas::EventTimeMs,
    pub(crate) line: LineId,
    pub(crate) show: ShowId,
    pub(crate) ip_class: IpClass,
    /// Where it came from: the listener-day and its episode.
    pub(crate) day: Day,
    pub(crate) listener: ListenerId,
    pub(crate) episode: EpisodeId,
}

/// What a household did.
#[derive(Clone, Default, Debug)]
pub(crate) struct Life {
    /// In order of (whole second, touch).
    pub(crate) seen: Vec<Seen>,
    /// Ads that it was held out of, in the same order.
    pub(crate) held_out: Vec<Seen>,
    /// Downloads from residential addresses: whole seconds, listener.
    pub(crate) downloads: Vec<(i64, u64)>,
    pub(crate) presence: BTreeSet<(Day, AgentId)>,
    pub(crate) shared: BTreeSet<Day>,
}

impl Life {
    pub(crate) fn is_shared(&self, day: Day) -> bool {
        self.shared.contains(&day)
    }

    /// Distinct agents of the day, and the most of a span of 30 days with it.
    pub(crate) fn agents(&self, day: Day) -> (usize, usize) {
        let of = |from: Day, to: Day| {
            let from = (from, AgentId::NONE);
            let in_span = self.presence.range(from..=(to, AgentId(u64::MAX)));
            let agents: BTreeSet<AgentId> = in_span.map(|(_, agent)| *agent).collect();
            agents.len()
        };
        let more = SHARED_SPAN_DAYS - 1;
        let first = Day(day.0.saturating_sub(more));
        let starts = self.presence.range((first, AgentId::NONE)..);
        let starts: BTreeSet<Day> = starts
            .map(|(day, _)| *day)
            .take_while(|start| *start <= day)
            .collect();
        let spans = starts
            .into_iter()
            .map(|start| of(start, Day(start.0.saturating_add(more))));
        (of(day, day), spans.max().unwrap_or(0))
    }
}

/// What of a day is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    Nothing,
    /// Which agents were there, which may make a household shared on other days.
    Presence,
    Whole,
}

/// What households of a tenant did.
pub(crate) fn lives(
    known: &Known<'_>,
    dims: &Dims,
    tenant: TenantId,
    whose: Whose<'_>,
    part: impl Fn(Day) -> Part,
) -> Result<BTreeMap<HouseholdId, Life>, ReadError> {
    let mut lives: BTreeMap<HouseholdId, Life> = BTreeMap::new();
    let class = RetentionClass::Exposure;
    for day in known.live.days(class) {
        // What a release carried on lies up to 30 days behind the day that it is about.
        carried_presence(known, tenant, day, whose, &mut lives)?;
        let part = part(day);
        if part == Part::Nothing {
            continue;
        }
        for counted in count_day(known, dims, tenant, day, whose)? {
            let life = lives.entry(counted.household).or_default();
            if counted.agent().is_some() {
                life.presence.insert((day, counted.agent()));
            }
            if part == Part::Presence {
                continue;
            }
            let downloads = counted.counted.downloads.iter();
            let downloads = downloads.filter(|it| it.ip_class == IpClass::Residential);
            life.downloads
                .extend(downloads.map(|it| (it.t0.secs(), counted.listener.0)));
            let seen = |ad: Delivered| Seen {
                secs: ad.delivery.time.secs(),
                touch: ad.touch,
                time: ad.delivery.time,
                line: ad.delivery.line,
                show: ad.delivery.show,
                ip_class: ad.delivery.ip_class,
                day,
                listener: counted.listener,
                episode: ad.delivery.episode,
            };
            life.seen.extend(counted.delivered(dims).map(seen));
            let withheld = held_out(&counted.items, &counted.counted, dims);
            life.held_out.extend(counted.ads(dims, &withheld).map(seen));
        }
    }
    let settings = dims.settings();
    for life in lives.values_mut() {
        life.seen.sort_unstable();
        life.held_out.sort_unstable();
        let presence: Vec<(Day, AgentId)> = life.presence.iter().copied().collect();
        life.shared = shared_days(&presence, &settings).into_iter().collect();
    }
    Ok(lives)
}

fn carried_presence(
    known: &Known<'_>,
    tenant: TenantId,
    day: Day,
    whose: Whose<'_>,
    lives: &mut BTreeMap<HouseholdId, Life>,
) -> Result<(), ReadError> {
    // Only where something was released is anything carried.
    if known.released.is_none() {
        return Ok(());
    }
    known
        .live
        .facts(RetentionClass::Exposure, day, &mut |fact| {
            if let FactBody::Carry(Carry::Presence {
                household,
                day,
                agent,
            }) = fact.body
                && fact.tenant == tenant
                && whose.holds(household)
            {
                let life = lives.entry(household).or_default();
                life.presence.insert((day, agent));
            }
        })
}

/// Why a delivery of the household is no touch of the path.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum NotOnPath {
    BeforeLookback,
    AfterConversion,
    SharedDay,
    NotResidential,
    BeyondLimit,
}

/// A conversion, its path and what it earned whom.
pub(crate) struct Credited {
    pub(crate) row: (ConversionKey, ConversionRow),
    pub(crate) credits: Vec<(CreditKey, CreditRow)>,
    /// With the touch of the code, if it added one.
    pub(crate) path: Vec<PathTouch>,
    pub(crate) not_on_path: Vec<(Seen, NotOnPath)>,
    pub(crate) other_brands: usize,
    /// The path is one that was frozen.
    pub(crate) frozen: bool,
    pub(crate) lookback_secs: i64,
    pub(crate) half_life_secs: i64,
}

/// What each touch of a path has under a model, oldest first.
pub(crate) struct Parts {
    pub(crate) weights: Vec<u64>,
    /// In millionths of the conversion.
    pub(crate) credits: Vec<i64>,
    /// In millionths of its currency.
    pub(crate) money: Vec<i64>,
}

impl Credited {
    /// Whole seconds from each touch to the conversion.
    pub(crate) fn ages(&self, made: &Conversion) -> Vec<i64> {
        let secs = made.time.secs();
        let path = self.path.iter();
        path.map(|touch| secs.saturating_sub(touch.time.secs()))
            .collect()
    }

    /// Splits the conversion among its touches.
    pub(crate) fn parts(&self, made: &Conversion, model: Model) -> Parts {
        let lines: Vec<LineId> = self.path.iter().map(|touch| touch.line).collect();
        let weights = weights(model, &self.ages(made), &lines, self.half_life_secs);
        Parts {
            credits: apportion(CREDIT_MICROS_PER_CONVERSION.cast_signed(), &weights),
            money: apportion(made.value.0, &weights),
            weights,
        }
    }
}

/// Credits a conversion.
pub(crate) fn credited(
    known: &Known<'_>,
    dims: &Dims,
    tenant: TenantId,
    conversion: &Conversion,
    life: Option<&Life>,
    receipts: &[Receipt],
) -> Credited {
    let settings = dims.settings();
    let lookback_max = i64::from(known.horizons.lookback_days) * 86_400;
    let lookback_secs = settings.lookback_secs.min(lookback_max);
    let brand = dims.brand_of_store(conversion.store);
    let walked = life.map(|life| walk(dims, conversion, life, brand, lookback_secs));
    let walked = walked.unwrap_or_default();
    let identity = if conversion.household.is_some() {
        conversion.household.0
    } else {
        conversion.conversion.0
    };
    let receipt = receipts
        .iter()
        .filter(|receipt| receipt.identity == identity && receipt.time == conversion.time)
        .max_by_key(|receipt| receipt.until);
    let (mut path, cut) = match receipt {
        Some(receipt) => (receipt.path.clone(), receipt.cut),
        None => (walked.path, walked.cut),
    };
    let code_line = dims.line_of_code(conversion.store, conversion.code);
    let code_line = code_line.map(|line| (line.line, line.campaign));
    let half_life_secs = settings.half_life_secs;
    let earned = earned(conversion, brand, code_line, &mut path, cut, half_life_secs);
    let id = conversion.conversion;
    let credit = |(line, row)| {
        let key = CreditKey {
            tenant,
            conversion: id,
            line,
        };
        (key, row)
    };
    let key = ConversionKey {
        tenant,
        conversion: id,
    };
    Credited {
        credits: earned.by_line.into_iter().map(credit).collect(),
        row: (key, earned.row),
        path,
        not_on_path: walked.not_on_path,
        other_brands: walked.other_brands,
        frozen: receipt.is_some(),
        lookback_secs,
        half_life_secs,
    }
}

#[derive(Default)]
struct Walked {
    path: Vec<PathTouch>,
    cut: u32,
    not_on_path: Vec<(Seen, NotOnPath)>,
    other_brands: usize,
}

/// Parts what a household saw into the path and the rest.
fn walk(
    dims: &Dims,
    conversion: &Conversion,
    life: &Life,
    brand: BrandId,
    lookback_secs: i64,
) -> Walked {
    let mut walked = Walked::default();
    let secs = conversion.time.secs();
    let oldest = secs.saturating_sub(lookback_secs);
    let matches =
        brand.is_some() && conversion.household.is_some() && !life.is_shared(conversion.time.day());
    let mut window: Vec<Seen> = Vec::new();
    for seen in &life.seen {
        if dims.brand_of_line(seen.line) != brand || !brand.is_some() {
            walked.other_brands += 1;
            continue;
        }
        let why_not = if seen.ip_class != IpClass::Residential {
            NotOnPath::NotResidential
        } else if life.is_shared(seen.time.day()) {
            NotOnPath::SharedDay
        } else if seen.secs <= oldest {
            NotOnPath::BeforeLookback
        } else if seen.secs > secs {
            NotOnPath::AfterConversion
        } else {
            window.push(*seen);
            continue;
        };
        walked.not_on_path.push((*seen, why_not));
    }
    if !matches {
        // Said once, of the conversion, not of each touch.
        walked.not_on_path.clear();
        return walked;
    }
    let beyond = beyond_limit(window.len());
    for (at, seen) in window.iter().enumerate() {
        if beyond.contains(&at) {
            walked.not_on_path.push((*seen, NotOnPath::BeyondLimit));
            continue;
        }
        let line = dims.lines.get(&seen.line);
        walked.path.push(PathTouch {
            time: seen.time,
            touch: seen.touch,
            line: seen.line,
            campaign: line.map(|line| line.campaign).unwrap_or_default(),
            show: seen.show,
        });
    }
    walked.cut = u32::try_from(beyond.len()).unwrap_or(u32::MAX);
    walked
}
