//! Workload MIX-1: events in the order in which a log gets them.
//!
//! Needs: a seed, how many events, over how many days their clock runs.
//! Promises: 65% requests, 20% impressions, 10% pixels, 3% orders and redemptions, 2% rest
//! (refunds, cancels, repeats, corrections, catalog); 2% late by up to 24 h, 0.5% repeats, 0.5%
//! refunds, 1% in one household; two tenants with equal outside ids; one moved air date and one
//! corrected byte map. `received_at` is the sped-up clock: it never goes back.
//! Leaves out: truth. What these events add up to is for the oracle to say.
//! Invariant 1: events that are not late are at most two minutes old when they arrive.
//! Invariant 2: no event is more than 24 h old when it arrives; repeats and corrections come up to
//! 12 h after the first arrival, the two corrections of catalog facts much later.

use std::collections::VecDeque;
use std::io::{self, Write};

use hostread_schemas::event::{Body, Event, Meta};
use hostread_schemas::intern::IdHasher;
use hostread_schemas::{DAY_MS, EventTimeMs, HOUR_MS, ReceivedAtMs};

use crate::SAMPLE_KEY;
use crate::rng::Rng;

mod catalog;
mod facts;
mod people;
#[cfg(test)]
mod tests;

use catalog::Catalog;
use facts::{OrderInfo, Resume};
use people::Person;

/// Names of the two tenants; everything else has the same names in both.
pub const TENANTS: [&str; 2] = ["acme-network", "beta-brand"];
/// Events kept to be repeated and corrected.
const RECENT_MAX: usize = 2_048;
/// How long after its first arrival an event may be repeated or corrected.
const RECENT_MS_MAX: i64 = 12 * HOUR_MS;
/// Orders kept for a second webhook, a pixel, a redemption, a refund or a cancel.
const ORDERS_MAX: usize = 4_096;
/// Downloads cut short that are resumed later.
const RESUMES_MAX: usize = 4_096;

/// What a run of MIX-1 looks like.
#[derive(Clone, Debug)]
pub struct Mix1Config {
    /// Decides every draw.
    pub seed: u64,
    /// How many events.
    pub events: u64,
    /// Days that the clock runs over. Days seal and are released within the run when the horizons
    /// are small: with a horizon and a lookback of 2 days, a day is sealed 5 days after its end
    /// and released 7 days after it, so 14 days seal 9 of them and release 7.
    pub days: u32,
    /// Where the clock starts.
    pub start: EventTimeMs,
    /// Lookback in the tenants' settings.
    pub lookback_hours: u32,
}

impl Default for Mix1Config {
    fn default() -> Self {
        Self {
            seed: 1,
            events: 100_000,
            days: 14,
            // 2026-03-02, a Monday.
            start: EventTimeMs(20_514 * DAY_MS),
            lookback_hours: 48,
        }
    }
}

/// Which share of the mix an event belongs to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[expect(missing_docs, reason = "each variant is the share of the same name")]
pub enum Part {
    Request,
    Impression,
    Pixel,
    /// Orders and redemptions.
    Shop,
    Refund,
    Cancel,
    /// An event that was sent before, once more.
    Repeat,
    /// The same id with a higher revision.
    Correction,
    /// Catalog, deals and rules.
    Reference,
}

/// One event at the moment when it arrives.
#[derive(Clone, PartialEq, Debug)]
pub struct Arrival {
    /// The event; `received_at` is the clock.
    pub event: Event,
    /// Its share of the mix.
    pub part: Part,
    /// It is one of the 2% that come up to 24 h late.
    pub late: bool,
    /// It is of the one household that has 1% of all events.
    pub hot: bool,
}

/// The events of MIX-1.
#[derive(Debug)]
pub struct Mix1 {
    config: Mix1Config,
    rng: Rng,
    hasher: IdHasher,
    catalog: Catalog,
    /// The next catalog fact, as (index in `due`, tenant).
    due: (usize, usize),
    /// Catalog events that the shares have not made room for yet.
    reference_debt: u64,
    /// Episodes that are out.
    published: usize,
    sent: u64,
    households: u64,
    orders: [VecDeque<OrderInfo>; 2],
    order_number: [u64; 2],
    resumes: VecDeque<Resume>,
    /// With the clock of the first arrival, oldest first.
    recent: VecDeque<(i64, Arrival)>,
}

impl Mix1 {
    /// The events of `config`.
    #[must_use]
    pub fn new(config: Mix1Config) -> Self {
        let root = Rng::new(config.seed);
        let mut catalog = Catalog::new(&config, &mut root.part("catalog"));
        catalog.episodes.sort_by_key(|episode| episode.published_at);
        Self {
            rng: root.part("events"),
            hasher: IdHasher::new(SAMPLE_KEY),
            catalog,
            due: (0, 0),
            reference_debt: 0,
            published: 0,
            sent: 0,
            households: (config.events / 20).clamp(200, 2_000_000),
            orders: [VecDeque::new(), VecDeque::new()],
            order_number: [1_000; 2],
            resumes: VecDeque::new(),
            recent: VecDeque::new(),
            config,
        }
    }

    /// The clock when event number `index` arrives.
    fn clock_at(&self, index: u64) -> i64 {
        let span = i128::from(self.config.days) * i128::from(DAY_MS);
        let events = i128::from(self.config.events.max(1));
        self.config.start.0 + (span * i128::from(index) / events) as i64
    }

    /// The first hour at or after the last event: the clock to end a run with.
    #[must_use]
    pub fn clock_end(&self) -> EventTimeMs {
        let last = self.clock_at(self.config.events);
        EventTimeMs((last + HOUR_MS - 1).div_euclid(HOUR_MS) * HOUR_MS)
    }

    /// The events alone.
    pub fn events(self) -> impl Iterator<Item = Event> {
        self.map(|arrival| arrival.event)
    }

    /// Writes all events, one JSON object a line; says how many.
    pub fn write_ndjson(self, out: &mut impl Write) -> io::Result<u64> {
        let mut lines = 0;
        for arrival in self {
            serde_json::to_writer(&mut *out, &arrival.event)?;
            out.write_all(b"\n")?;
            lines += 1;
        }
        Ok(lines)
    }

    fn event(
        &self,
        tenant: usize,
        source: &str,
        own_id: &str,
        time: i64,
        clock: i64,
        body: Body,
    ) -> Event {
        let name = TENANTS[tenant];
        Event {
            meta: Meta {
                id: self.hasher.event_id(name, source, own_id.as_bytes()),
                tenant: name.to_owned(),
                source: source.to_owned(),
                time: EventTimeMs(time),
                received_at: ReceivedAtMs(clock),
                batch_id: self.batch_id(source),
                revision: 0,
            },
            body,
        }
    }

    /// Requests come in files, the rest in small batches.
    fn batch_id(&self, source: &str) -> String {
        let size = if source == "cdn" { 5_000 } else { 200 };
        format!("{source}/{}", self.sent / size)
    }

    /// The next catalog event, when its time has come.
    fn reference(&mut self, clock: i64) -> Option<Arrival> {
        let due = self.catalog.due.get(self.due.0)?;
        if due.at > clock {
            return None;
        }
        let tenant = self.due.1;
        // A correction keeps the time of what it corrects: it is the same fact.
        let time = if due.revision == 0 {
            due.at
        } else {
            self.config.start.0
        };
        let mut event = self.event(
            tenant,
            "catalog",
            &due.own_id,
            time,
            clock,
            due.body.clone(),
        );
        event.meta.revision = due.revision;
        self.due = if tenant == 0 {
            (self.due.0, 1)
        } else {
            (self.due.0 + 1, 0)
        };
        self.reference_debt += 1;
        Some(Arrival {
            event,
            part: Part::Reference,
            late: false,
            hot: false,
        })
    }

    fn person(&mut self) -> Person {
        if self.rng.chance(1, 100) {
            return Person::of(0, people::HOT, &mut self.rng);
        }
        let tenant = usize::from(self.rng.chance(1, 4));
        let household = 1 + self.rng.below(self.households);
        Person::of(tenant, household, &mut self.rng)
    }

    /// When an event that arrives now happened, and whether that is late.
    fn event_time(&mut self, clock: i64) -> (i64, bool) {
        let late = self.rng.chance(2, 100);
        let delay = if late {
            self.rng.range(10 * 60_000, 24 * HOUR_MS)
        } else {
            self.rng.range(0, 2 * 60_000)
        };
        (clock - delay, late)
    }

    fn fresh(&mut self, clock: i64) -> Arrival {
        let (time, late) = self.event_time(clock);
        let (part, event, hot) = match self.rng.below(9_800) {
            0..6_500 => self.request(time, clock),
            6_500..8_500 => self.impression(time, clock),
            8_500..9_500 => self.pixel(time, clock),
            _ => self.shop(time, clock),
        };
        Arrival {
            event,
            part,
            late,
            hot,
        }
    }

    fn rest(&mut self, clock: i64) -> Option<Arrival> {
        match self.rng.below(200) {
            0..50 => self.after_order(clock, Part::Refund),
            50..80 => self.after_order(clock, Part::Cancel),
            80..130 => self.repeat(clock),
            _ if self.reference_debt > 0 => {
                self.reference_debt -= 1;
                None
            }
            _ => self.correction(clock),
        }
    }

    fn repeat(&mut self, clock: i64) -> Option<Arrival> {
        let index = self.rng.index(self.recent.len());
        let mut arrival = self.recent.get(index)?.1.clone();
        arrival.event.meta.received_at = ReceivedAtMs(clock);
        arrival.event.meta.batch_id = format!("again/{}", self.sent / 200);
        arrival.part = Part::Repeat;
        Some(arrival)
    }

    fn correction(&mut self, clock: i64) -> Option<Arrival> {
        let index = self.rng.index(self.recent.len());
        let share = self.rng.below(4);
        let batch_id = format!("corrected/{}", self.sent / 200);
        let (_, recent) = self.recent.get_mut(index)?;
        let Body::Request(request) = &mut recent.event.body else {
            return None;
        };
        request.sent_bytes = request.sent_bytes * share / 3;
        recent.event.meta.revision += 1;
        recent.event.meta.received_at = ReceivedAtMs(clock);
        recent.event.meta.batch_id = batch_id;
        let mut arrival = recent.clone();
        arrival.part = Part::Correction;
        Some(arrival)
    }

    fn remember(&mut self, arrival: &Arrival, clock: i64) {
        let too_old = |(at, _): &mut (i64, Arrival)| clock - *at > RECENT_MS_MAX;
        while self.recent.pop_front_if(too_old).is_some() {}
        if self.rng.chance(1, 8) {
            if self.recent.len() == RECENT_MAX {
                self.recent.pop_front();
            }
            self.recent.push_back((clock, arrival.clone()));
        }
    }
}

impl Iterator for Mix1 {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        if self.sent >= self.config.events {
            return None;
        }
        let clock = self.clock_at(self.sent);
        while let Some(episode) = self.catalog.episodes.get(self.published) {
            if episode.published_at > clock {
                break;
            }
            self.published += 1;
        }
        let arrival = if let Some(reference) = self.reference(clock) {
            reference
        } else {
            let rest = if self.rng.chance(2, 100) {
                self.rest(clock)
            } else {
                None
            };
            let arrival = match rest {
                Some(arrival) => arrival,
                None => self.fresh(clock),
            };
            if !matches!(arrival.part, Part::Repeat | Part::Correction) {
                self.remember(&arrival, clock);
            }
            arrival
        };
        self.sent += 1;
        Some(arrival)
    }
}
