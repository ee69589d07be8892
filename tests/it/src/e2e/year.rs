//! A year of MIX-1 at one rate, with days that are sealed and released all the time: what the job holds stays as large as it is
//! after the first weeks, and no reader can tell it from a job that never gives anything back.
//!
//! ```text
//! MIX-1, 365 days ─► log ─► head ─► journal ─► dataflow ─► rows (in memory)  ─┐ equal, every quarter
//!                                     └─► the same ticks, releases left out ─┘
//! ```
//! Leaves out: changes of the catalog (they cannot reach what is released), and what speaks of an order that is released, but
//! for a refund.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

use hostread_disk::RealDisk;
use hostread_job::by_hand::ByHand;
use hostread_job::{Again, Clock, JobConfig, Parts};
use hostread_rules::Horizons;
use hostread_schemas::event::{Body, Event, Order, OrderKind};
use hostread_schemas::fact::FactBody;
use hostread_schemas::intern::{IdHasher, normal_order};
use hostread_schemas::view::{
    ConversionKey, ConversionRow, CreditRow, LateRow, ViewKey, ViewValue,
};
use hostread_schemas::{DAY_MS, EventTimeMs, HOUR_MS, LineId, MoneyMicros, ReceivedAtMs, Tick};
use hostread_simulate::{Mix1, Mix1Config};
use hostread_sink_kit::{MemorySink, MemoryStore, Sink};

use super::ID_KEY;
use super::crash::seed;
use super::feed::Feed;

const HASHER: IdHasher = IdHasher::new(ID_KEY);
const DAYS: usize = 365;
const EVENTS: u64 = 36_500;
/// 2026-02-20.
const START_MS: i64 = 20_504 * DAY_MS;
/// Of each of MIX-1's lines.
const GOAL: i64 = EVENTS as i64 / 40 + 100;
/// Exposures are released after 7 days, signals and conversions after 25.
const HORIZONS: Horizons = Horizons {
    conversion_days: 24,
    ..super::HORIZONS
};
/// The same seals, and nothing is released within centuries: tenants' own lookback is two days.
const FOR_EVER: Horizons = Horizons {
    lookback_days: 100_000,
    conversion_days: 100_000,
    ..HORIZONS
};
/// Three times as long as anything is kept: an agent behind an address, 30 days and a release.
const WARM_DAYS: usize = 111;
/// Rows are compared, and the job is started again, so often.
const COMPARE_EVERY_DAYS: usize = 73;
/// The journal is compacted and measured so often.
const COMPACT_EVERY_DAYS: usize = 3;
/// Events arrive so often.
const BATCH_MS: i64 = 6 * HOUR_MS;

/// Which order an event speaks of.
fn order_of(event: &Event) -> Option<(String, String)> {
    let order = match &event.body {
        Body::Order(e) => e.order_name.as_ref().or(e.order_id.as_ref()),
        Body::Pixel(e) => e.order.as_ref(),
        Body::Redemption(e) => e.order.as_ref(),
        _ => None,
    }?;
    // The shop's own id is the number, far up.
    let number: u64 = normal_order(order).parse().unwrap();
    let number = number % 5_600_000_000_000;
    Some((event.meta.tenant.clone(), number.to_string()))
}

/// A refund of ours.
struct Refund {
    event: Event,
    conversion: ConversionKey,
    value: MoneyMicros,
}

impl Refund {
    /// Of a part that divides badly.
    fn new(placed: &Event, clock_ms: i64) -> Option<Self> {
        let Body::Order(order) = &placed.body else {
            return None;
        };
        let FactBody::Signal(signal) = HASHER.fact(placed, &mut |_, _, _| {}).body else {
            return None;
        };
        let value = MoneyMicros(order.value.0 / 3 + 1);
        let name = order.order_name.clone()?;
        let own_id = format!("refund of {name} at {clock_ms}");
        let mut event = placed.clone();
        let meta = &mut event.meta;
        meta.id = HASHER.event_id(&meta.tenant, &meta.source, own_id.as_bytes());
        meta.time = EventTimeMs(clock_ms);
        meta.received_at = ReceivedAtMs(clock_ms);
        meta.batch_id = own_id;
        let conversion = ConversionKey {
            tenant: HASHER.tenant(&meta.tenant),
            conversion: signal.order_name,
        };
        event.body = Body::Order(Order {
            store: order.store.clone(),
            kind: OrderKind::Refunded,
            order_name: Some(name),
            placed_at: order.placed_at,
            value,
            ..Order::default()
        });
        Some(Self {
            event,
            conversion,
            value,
        })
    }
}

/// MIX-1 by the day that it comes, without corrections of the catalog and without what speaks of an order that may be released.
fn year(seed: u64) -> Vec<Vec<Event>> {
    let mix = Mix1::new(Mix1Config {
        seed,
        events: EVENTS,
        days: DAYS as u32,
        start: EventTimeMs(START_MS),
        ..Mix1Config::default()
    });
    let reach = i64::from(HORIZONS.conversion_days - 4) * DAY_MS;
    let mut placed = BTreeMap::new();
    let reaches = |event: &Event| {
        let at = event.meta.received_at.0;
        let order = order_of(event);
        let first = order.map_or(at, |order| *placed.entry(order).or_insert(at));
        let corrects_catalog = is_catalog(event) && event.meta.revision > 0;
        at - first <= reach && !corrects_catalog
    };
    let mut days: Vec<Vec<Event>> = (0..DAYS).map(|_| Vec::new()).collect();
    for mut event in mix.events().filter(reaches) {
        // In batches: half as many ticks.
        let batch = event.meta.received_at.0.div_euclid(BATCH_MS);
        event.meta.received_at = ReceivedAtMs((batch + 1) * BATCH_MS - 1);
        let day = (event.meta.received_at.0 - START_MS) / DAY_MS;
        days[day as usize].push(event);
    }
    days
}

/// The last moment of so many days.
const fn evening(days: usize) -> i64 {
    START_MS + days as i64 * DAY_MS - 1
}

fn is_catalog(event: &Event) -> bool {
    event.meta.source == "catalog"
}

/// Orders that were placed on these days and stand.
fn orders(
    days: &[Vec<Event>],
    placed: Range<usize>,
    store: &MemoryStore,
    clock_ms: i64,
) -> Vec<(Refund, ConversionRow)> {
    // An order that is said again weeks later is refused: its day is sealed.
    let is_new = |event: &&Event| match &event.body {
        Body::Order(order) if order.kind == OrderKind::Placed => {
            let placed = order.placed_at.unwrap_or_default();
            event.meta.received_at.0 - placed.0 <= 2 * DAY_MS
        }
        _ => false,
    };
    let refunds = days[placed].iter().flatten().filter(is_new);
    let refunds = refunds.filter_map(|event| Refund::new(event, clock_ms));
    let standing = |refund: Refund| {
        let row = conversion(store, refund.conversion)?;
        Some((refund, row))
    };
    refunds.filter_map(standing).collect()
}

fn conversion(store: &MemoryStore, key: ConversionKey) -> Option<ConversionRow> {
    store.with_rows(|rows| match rows.get(&ViewKey::Conversions(key)) {
        Some(ViewValue::Conversions(row)) => Some(row.as_ref().clone()),
        _ => None,
    })
}

fn credits(store: &MemoryStore, of: ConversionKey) -> BTreeMap<LineId, CreditRow> {
    store.with_rows(|rows| {
        let credits = rows.iter().filter_map(|(key, value)| match (key, value) {
            (ViewKey::Credits(key), ViewValue::Credits(row))
                if (key.tenant, key.conversion) == (of.tenant, of.conversion) =>
            {
                Some((key.line, row.as_ref().clone()))
            }
            _ => None,
        });
        credits.collect()
    })
}

/// What is held, but for what stays by design: names, as the ledgers do that they are in, and the catalog.
#[derive(Clone, Copy, Debug)]
struct Held {
    /// Live events that are not the catalog's.
    live: usize,
    head_bytes: usize,
    journal_bytes: u64,
}

impl Held {
    fn assert_within(self, warm: Self, day: usize) {
        let grown = |now: u64, then: u64| now * 2 > then * 3;
        assert!(
            !grown(self.live as u64, warm.live as u64)
                && !grown(self.head_bytes as u64, warm.head_bytes as u64)
                && !grown(self.journal_bytes, warm.journal_bytes),
            "day {day}: {self:?}, on day {WARM_DAYS} {warm:?}"
        );
    }
}

/// Size of the journal's files, names apart.
fn size(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).unwrap().map(Result::unwrap);
    let files = entries.filter(|entry| !entry.file_name().to_string_lossy().starts_with("names"));
    files.map(|file| file.metadata().unwrap().len()).sum()
}

type Rows = BTreeMap<ViewKey, ViewValue>;

/// The same ticks without the releases.
struct Never {
    again: Again,
    rows: Rows,
    last: Tick,
    releases: u64,
}

impl Never {
    fn new() -> Self {
        Self {
            again: Again::new(1, FOR_EVER).unwrap(),
            rows: Rows::new(),
            last: Tick(0),
            releases: 0,
        }
    }

    fn follow(&mut self, job: &ByHand) {
        if job.journal().synced() == self.last {
            return;
        }
        for record in job.journal().ticks(self.last.next()).unwrap() {
            let record = record.unwrap();
            self.last = record.tick;
            if record.release.is_some() {
                self.releases += 1;
                continue;
            }
            for change in self.again.tick(record).unwrap().changes {
                match change.new {
                    Some(new) => self.rows.insert(change.key, new),
                    None => self.rows.remove(&change.key),
                };
            }
        }
    }
}

/// The job and what looks on.
struct World {
    dir: tempfile::TempDir,
    feed: Feed,
    store: MemoryStore,
    job: ByHand,
    never: Never,
    appended: u64,
}

impl World {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let feed = Feed::embedded(&dir.path().join("log")).await;
        let store = MemoryStore::default();
        let job = start(&dir.path().join("journal"), &feed, &store, 1).await;
        Self {
            dir,
            feed,
            store,
            job,
            never: Never::new(),
            appended: 0,
        }
    }

    /// The process ends and starts again.
    async fn restart(self, workers: usize) -> Self {
        drop(self.job);
        let journal = self.dir.path().join("journal");
        let job = start(&journal, &self.feed, &self.store, workers).await;
        Self {
            job,
            appended: 0,
            ..self
        }
    }

    /// Events come and reach the readers.
    async fn take(&mut self, events: &[Event]) {
        let records = events.iter().map(|event| self.feed.record(event)).collect();
        self.feed.log.append(records).await.unwrap();
        self.appended += events.len() as u64;
        while self.job.status().events() < self.appended {
            self.job.read().unwrap();
            self.job.sync().unwrap();
            self.job.collect().unwrap();
        }
        self.job.close().unwrap();
        self.job.sync().unwrap();
        self.job.collect().unwrap();
        self.never.follow(&self.job);
        let sink = &mut self.job.sinks()[0];
        sink.gather(usize::MAX);
        sink.pending().unwrap();
        assert!(sink.write().await.unwrap());
    }

    fn held(&self, catalog: usize) -> Held {
        let (live, head_bytes) = self.job.status().head();
        Held {
            live: live - catalog,
            head_bytes,
            journal_bytes: size(&self.dir.path().join("journal")),
        }
    }
}

async fn start(journal: &Path, feed: &Feed, store: &MemoryStore, workers: usize) -> ByHand {
    let sinks = vec![Box::new(MemorySink::new(store.clone())) as Box<dyn Sink>];
    let parts = Parts {
        dead_letters: Box::new(|_| panic!("an event of MIX-1 went to the dead letters")),
        ..feed.parts(RealDisk, journal, sinks)
    };
    let config = JobConfig {
        workers,
        horizons: HORIZONS,
        clock: Clock::Samples,
        ..JobConfig::default()
    };
    ByHand::start(&config, parts).await.unwrap()
}

/// What readers see, as far as it is the same: the size of a late change counts from what of its day is not released.
fn seen(rows: &Rows) -> Rows {
    let seen = |(key, value): (&ViewKey, &ViewValue)| match value {
        ViewValue::LateAfterSeal(row) => {
            let (old, new) = (0, row.new - row.old);
            let count = row.count;
            (*key, ViewValue::LateAfterSeal(LateRow { count, old, new }))
        }
        value => (*key, value.clone()),
    };
    rows.iter().map(seen).collect()
}

fn assert_same(day: usize, found: &Rows, expected: &Rows) {
    let (found, expected) = (seen(found), seen(expected));
    let keys: BTreeSet<&ViewKey> = found.keys().chain(expected.keys()).collect();
    let differ = keys
        .into_iter()
        .filter(|key| found.get(key) != expected.get(key));
    let differ: Vec<String> = differ
        .map(|key| {
            format!(
                "{key:?}\n  is    {:?}\n  ought {:?}",
                found.get(key),
                expected.get(key)
            )
        })
        .collect();
    let first = differ
        .iter()
        .take(5)
        .cloned()
        .collect::<Vec<_>>()
        .join("\n");
    assert!(
        differ.is_empty(),
        "day {day}: {} rows differ\n{first}",
        differ.len()
    );
}

/// Pacing and the bill know all that was ever delivered, as the days say it that readers keep.
fn assert_unbroken(day: usize, rows: &Rows) {
    let (mut days, mut pacing, mut billed) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for row in rows {
        match row {
            (ViewKey::DeliveryDaily(key), ViewValue::DeliveryDaily(row)) => {
                let sum: &mut (i64, usize) = days.entry((key.tenant, key.line)).or_default();
                *sum = (sum.0 + row.billable, sum.1 + 1);
            }
            (ViewKey::Pacing(key), ViewValue::Pacing(row)) => {
                pacing.insert((key.tenant, key.line), row.delivered);
            }
            (ViewKey::BillingLines(key), ViewValue::BillingLines(row)) => {
                *billed.entry((key.tenant, key.line)).or_insert(0) += row.quantity;
            }
            _ => {}
        }
    }
    let mut in_full = 0;
    for (line, (billable, of_days)) in &days {
        assert_eq!(pacing.get(line), Some(billable), "{line:?}");
        let quantity = (*billable).min(GOAL);
        in_full += u32::from(*of_days > day / 2 && billed.get(line) == Some(&quantity));
    }
    assert!(in_full >= 8, "{in_full} of {days:?}, {billed:?}");
}

/// Refunds an order whose touches are released: money scales, credits stay. Says whether anybody had credit for it; at a hundred
/// events a day that is mostly a code's line, in some years no household that bought had heard an ad.
async fn refund(world: &mut World, day: usize, days: &[Vec<Event>]) -> bool {
    let placed = day - 16..day - 10;
    let mut orders = orders(days, placed, &world.store, evening(day + 1));
    orders.retain(|(refund, row)| row.value > refund.value);
    // One that was matched by touches, if there is any, else by its code.
    orders.sort_by_key(|(refund, row)| {
        let by_touches = row.matched_by == 1;
        (!by_touches, row.matched_by == 0, refund.event.meta.id)
    });
    let Some((refund, before)) = orders.into_iter().next() else {
        return false;
    };
    let credited = credits(&world.store, refund.conversion);
    world.take(&[refund.event]).await;
    let after = conversion(&world.store, refund.conversion).unwrap();
    let value = MoneyMicros(before.value.0 - refund.value.0);
    let scaled = ConversionRow {
        value,
        refunded: MoneyMicros(before.refunded.0 + refund.value.0),
        signals: before.signals + 1,
        ..before.clone()
    };
    assert_eq!(after, scaled);
    let credits = credits(&world.store, refund.conversion);
    assert!(credits.keys().eq(credited.keys()));
    for (line, row) in &credits {
        assert_eq!(row.credit_micros, credited[line].credit_micros);
    }
    for model in 0..5 {
        let money: i64 = credits.values().map(|row| row.money_micros[model]).sum();
        assert_eq!(money, if credits.is_empty() { 0 } else { value.0 });
    }
    !credits.is_empty()
}

/// A refund of an order that is released speaks of nothing: no row moves.
async fn refund_of_released(world: &mut World, days: &[Vec<Event>]) {
    let orders = orders(days, 100..200, &world.store, evening(DAYS));
    assert!(orders.len() > 20, "{} orders", orders.len());
    let before = world.store.rows();
    let events: Vec<Event> = orders.into_iter().map(|(refund, _)| refund.event).collect();
    world.take(&events).await;
    assert_same(DAYS, &world.store.rows(), &before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_year_with_releases_is_a_year_without_them() {
    let days = year(seed());
    let mut world = World::start().await;
    let (mut catalog, mut warm, mut scaled) = (0, None, 0);
    for (day, events) in days.iter().enumerate() {
        catalog += events.iter().filter(|event| is_catalog(event)).count();
        world.take(events).await;
        if day >= 20 {
            scaled += u32::from(refund(&mut world, day, &days).await);
        }
        if day % COMPACT_EVERY_DAYS == 0 {
            world.job.compact().unwrap();
            let held = world.held(catalog);
            if day >= WARM_DAYS {
                held.assert_within(*warm.get_or_insert(held), day);
            }
        }
        if (day + 1) % COMPARE_EVERY_DAYS == 0 {
            assert_same(day, &world.store.rows(), &world.never.rows);
            assert_unbroken(day, &world.store.rows());
            println!("day {day}: {:?}", world.held(catalog));
            world = world.restart(1 + (day / COMPARE_EVERY_DAYS) % 2).await;
        }
    }
    let releases = world.never.releases;
    assert!(scaled >= 5 && releases > 300, "{scaled}, {releases}");
    refund_of_released(&mut world, &days).await;
}
