//! Small random worlds: two tenants with the same names, a few shows, lines, households and orders.
//! Instants and byte ranges come from short lists full of edges. A zero is always the plain choice,
//! so that what proptest shrinks to is easy to read.

mod catalog;
mod events;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use hostread_rules::Horizons;
use hostread_schemas::event::{Body, Event, OrderKind, PixelKind};
use hostread_schemas::intern::normal_order;
use hostread_schemas::unit::{DAY_MS, HOUR_MS};
use hostread_schemas::{Day, EventTimeMs};
use proptest::prelude::*;

use catalog::catalog;
use events::event;

/// 2026-10-30T00:00Z: a month ends and New York's summer time does within three days.
const BASE: i64 = 1_793_318_400_000;
/// Where the clock starts.
pub(super) const START: EventTimeMs = EventTimeMs(BASE);

/// Nothing is sealed.
pub(super) fn far_horizons() -> Horizons {
    Horizons::default()
}

/// A day is sealed after four days, its exposures released after six, its signals after seven.
pub(super) fn near_horizons() -> Horizons {
    Horizons {
        lateness_ms: 2 * HOUR_MS,
        horizon_days: 1,
        publish_after_ms: 12 * HOUR_MS,
        lookback_days: 2,
        conversion_days: 6,
    }
}

/// What is given to the job.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all are events")]
pub(super) enum Given {
    /// An event.
    Event(Event),
    /// A tick closes.
    Close,
    /// The clock goes on.
    Hours(u8),
}

/// Numbers that say what an event is.
type Dice = [u8; 10];

/// A step of a history.
#[derive(Clone, Debug)]
enum Step {
    /// A new event: its kind, and the rest.
    Event(Kind, Dice),
    /// One of the events before comes again.
    Again(u8),
    /// One of the events before is said otherwise.
    Correct(u8, u8, Dice),
    /// A tick closes.
    Close,
    /// Hours pass.
    Hours(u8),
    /// An hour full of downloads.
    Burst(u8, Dice),
}

/// Kinds of events.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Request,
    Impression,
    Pixel,
    Order,
    Redemption,
    Show,
    Episode,
    Slot,
    Store,
    Campaign,
    Line,
    Code,
    Aired,
    RuleSet,
    Settings,
}

/// A history: what the tenants agreed on, and what happens.
#[derive(Clone)]
pub(super) struct History {
    /// Workers of the dataflow.
    pub(super) workers: usize,
    /// How the catalog and the deals come among the steps; 0: before them.
    late_catalog: u8,
    /// Days are sealed and released meanwhile.
    pub(super) settles: bool,
    /// Few agents make a household shared.
    tight: bool,
    steps: Vec<Step>,
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} workers", self.workers)?;
        let catalog = if self.late_catalog == 0 {
            catalog().len()
        } else {
            0
        };
        writeln!(f, "{catalog} events of the catalog, then")?;
        for given in self.given().into_iter().skip(catalog) {
            match given {
                Given::Event(event) => {
                    writeln!(f, "{}", short(&event))?;
                }
                given => writeln!(f, "{given:?}")?,
            }
        }
        Ok(())
    }
}

/// The event without what says nothing.
fn short(event: &Event) -> String {
    let mut json = serde_json::to_value(event).unwrap_or_default();
    if let Some(fields) = json.as_object_mut() {
        fields.retain(|key, value| {
            let empty = value.is_null() || *value == 0 || *value == "" || *value == false;
            !empty && key != "source" && key != "received_at" && key != "title"
        });
        if let Some(ip) = fields.get_mut("ip") {
            *ip = format!("{}/{}", ip["star"], ip["class"])
                .replace(['"', '0'], "")
                .into();
        }
    }
    json.to_string().replace('"', "")
}

/// Random histories.
pub(super) fn history() -> impl Strategy<Value = History> {
    use Kind::*;
    let kind = prop_oneof![
        24 => Just(Request),
        12 => Just(Impression),
        7 => Just(Pixel),
        12 => Just(Order),
        4 => Just(Redemption),
        1 => Just(Show),
        2 => Just(Episode),
        2 => Just(Slot),
        1 => Just(Store),
        1 => Just(Campaign),
        2 => Just(Line),
        1 => Just(Code),
        1 => Just(Aired),
        1 => Just(RuleSet),
        1 => Just(Settings),
    ];
    let step = prop_oneof![
        40 => (kind, any::<Dice>()).prop_map(|(kind, dice)| Step::Event(kind, dice)),
        3 => any::<u8>().prop_map(Step::Again),
        4 => (any::<u8>(), 1..4_u8, any::<Dice>())
            .prop_map(|(which, revision, dice)| Step::Correct(which, revision, dice)),
        8 => Just(Step::Close),
        3 => (1..30_u8).prop_map(Step::Hours),
        1 => (1..20_u8, any::<Dice>()).prop_map(|(more, dice)| Step::Burst(more, dice)),
    ];
    let late_catalog = prop_oneof![3 => Just(0_u8), 1 => any::<u8>()];
    let steps = proptest::collection::vec(step, 1..60);
    (1..=2_usize, late_catalog, steps).prop_map(|(workers, late_catalog, steps)| History {
        workers,
        late_catalog,
        settles: false,
        tight: false,
        steps,
    })
}

/// Random histories in which days are sealed and released: exposures and signals of the last days,
/// weeks of clock. What the tenants agreed on stays; what would change a conversion that is sealed, but
/// its refunds and cancels, is left out ([`Orders`]).
pub(super) fn settled_history() -> impl Strategy<Value = History> {
    use Kind::*;
    settling(prop_oneof![
        5 => Just(Request),
        3 => Just(Impression),
        2 => Just(Pixel),
        4 => Just(Order),
        1 => Just(Redemption),
    ])
}

/// The same, and what the tenants agreed on changes at any time.
pub(super) fn unsettled_history() -> impl Strategy<Value = History> {
    use Kind::*;
    settling(prop_oneof![
        8 => Just(Request),
        4 => Just(Impression),
        2 => Just(Pixel),
        6 => Just(Order),
        1 => Just(Redemption),
        1 => Just(Episode),
        1 => Just(Slot),
        1 => Just(Store),
        1 => Just(Campaign),
        1 => Just(Line),
        1 => Just(Code),
        1 => Just(Aired),
        1 => Just(RuleSet),
        1 => Just(Settings),
    ])
}

/// Downloads alone, of days that are sealed while more of them come.
pub(super) fn late_history() -> impl Strategy<Value = History> {
    use Kind::*;
    settling(prop_oneof![
        20 => Just(Request),
        1 => Just(Episode),
        1 => Just(RuleSet),
    ])
}

fn settling(kind: impl Strategy<Value = Kind>) -> impl Strategy<Value = History> {
    let step = prop_oneof![
        30 => (kind, any::<Dice>()).prop_map(|(kind, dice)| Step::Event(kind, dice)),
        2 => any::<u8>().prop_map(Step::Again),
        2 => (any::<u8>(), 1..4_u8, any::<Dice>())
            .prop_map(|(which, revision, dice)| Step::Correct(which, revision, dice)),
        3 => Just(Step::Close),
        6 => (8..50_u8).prop_map(Step::Hours),
    ];
    let steps = proptest::collection::vec(step, 1..60);
    (1..=2_usize, any::<bool>(), steps).prop_map(|(workers, tight, steps)| History {
        workers,
        late_catalog: 0,
        settles: true,
        tight,
        steps,
    })
}

impl History {
    /// What happens, in order.
    pub(super) fn given(&self) -> Vec<Given> {
        let mut tape = Tape {
            orders: self.settles.then(Orders::default),
            clock: BASE,
            ..Tape::default()
        };
        let mut catalog = catalog().into_iter();
        if self.late_catalog == 0 {
            catalog.by_ref().for_each(|event| tape.say(event));
        }
        if self.tight {
            for tenant in [0, 2] {
                tape.say(event(
                    Kind::Settings,
                    [tenant, 0, 0, 0, 0, 6, 0, 0, 0, 0],
                    "tight",
                ));
            }
        }
        for step in &self.steps {
            if self.late_catalog % 3 != 2 {
                catalog
                    .by_ref()
                    .take(1 + usize::from(self.late_catalog % 5))
                    .for_each(|event| tape.say(event));
            }
            tape.step(step);
        }
        catalog.for_each(|event| tape.say(event));
        tape.given
    }
}

/// Plays steps into what is given.
#[derive(Default)]
struct Tape {
    given: Vec<Given>,
    said: Vec<(Event, Option<Kind>)>,
    /// What was said under an id and revision: two texts under one are no history of ours.
    revisions: BTreeSet<(hostread_schemas::EventId, u32)>,
    count: u32,
    clock: i64,
    orders: Option<Orders>,
}

/// First and last day of what was said of an order.
#[derive(Default)]
struct Orders(BTreeMap<(String, String, String), (Day, Day)>);

impl Orders {
    /// May this be said at the clock? A report may not change an order that is sealed, nor may
    /// anything speak of one that is released.
    fn admits(&mut self, event: &Event, clock: i64) -> bool {
        let (store, reference, report, placed_at) = match &event.body {
            Body::Order(e) => {
                let report = e.kind == OrderKind::Placed;
                let reference = e.order_name.as_ref().or(e.order_id.as_ref());
                (&e.store, reference, report, e.placed_at)
            }
            // A visit says nothing of an order, whatever it names.
            Body::Pixel(e) if matches!(e.kind, PixelKind::Page | PixelKind::Cart) => return true,
            Body::Pixel(e) => (&e.store, e.order.as_ref(), true, None),
            Body::Redemption(e) => (&e.store, e.order.as_ref(), true, None),
            _ => return true,
        };
        let Some(reference) = reference.map(|text| normal_order(text)) else {
            return true;
        };
        let horizons = near_horizons();
        let today = Day((clock - horizons.lateness_ms).div_euclid(DAY_MS) as i32);
        let sealed = Day(today.0 - horizons.horizon_days - 3);
        let released = Day(today.0 - horizons.conversion_days - 1);
        let day = event.meta.time.day();
        let placed = placed_at.map_or(day, EventTimeMs::day);
        // Placed later than reported it is released with the report nevertheless (21).
        let days = (day.min(placed), day);
        // A refund is judged by its own day, whenever its order was placed (20).
        let judged = if report { days.0 } else { day };
        if judged <= sealed {
            return true; // refused as late
        }
        let key = (
            event.meta.tenant.clone(),
            store.clone(),
            reference.to_owned(),
        );
        let known = self.0.entry(key).or_insert(days);
        if known.1 <= released || (report && known.0 <= sealed) {
            return false;
        }
        *known = (known.0.min(days.0), known.1.max(days.1));
        true
    }
}

impl Tape {
    fn say(&mut self, event: Event) {
        self.revisions.insert((event.meta.id, event.meta.revision));
        self.said.push((event.clone(), None));
        self.given.push(Given::Event(event));
    }

    fn say_kind(&mut self, kind: Kind, dice: Dice) {
        self.count += 1;
        let mut event = event(kind, dice, &format!("step-{}", self.count));
        if !self.settle(&mut event) {
            return;
        }
        self.say(event);
        if let Some(last) = self.said.last_mut() {
            last.1 = Some(kind);
        }
    }

    /// Moves an event to the last days where days settle; `false` when it is not to be said.
    fn settle(&mut self, event: &mut Event) -> bool {
        let Some(orders) = &mut self.orders else {
            return true;
        };
        let later = (self.clock.div_euclid(DAY_MS) - 4) * DAY_MS - BASE;
        event.meta.time.0 += later;
        if let Body::Order(order) = &mut event.body {
            // One id for one name, so that no alias joins what is sealed.
            let name = order.order_name.as_ref().map(|name| normal_order(name));
            order.order_id = name.map(|name| format!("id of {name}"));
            if let Some(placed_at) = &mut order.placed_at {
                placed_at.0 += later;
            }
        }
        orders.admits(event, self.clock)
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Event(kind, dice) => self.say_kind(*kind, *dice),
            Step::Again(which) => {
                if let Some((event, _)) = self.pick(*which) {
                    self.given.push(Given::Event(event));
                }
            }
            Step::Correct(which, revision, dice) => {
                let Some((old, kind)) = self.pick(*which) else {
                    return;
                };
                let kind = kind.unwrap_or_else(|| kind_of(&old.body));
                let exposure = matches!(kind, Kind::Request | Kind::Impression);
                if self.orders.is_some() && !exposure {
                    return;
                }
                let mut dice = *dice;
                dice[0] = if old.meta.tenant == "other" { 2 } else { 0 };
                let mut event = event(kind, dice, "correction");
                event.meta.id = old.meta.id;
                event.meta.source.clone_from(&old.meta.source);
                event.meta.revision = u32::from(*revision);
                if !self
                    .revisions
                    .contains(&(event.meta.id, event.meta.revision))
                    && self.settle(&mut event)
                {
                    self.say(event);
                }
            }
            Step::Close => self.given.push(Given::Close),
            Step::Hours(hours) => {
                self.clock += i64::from(*hours) * HOUR_MS;
                self.given.push(Given::Hours(*hours));
            }
            Step::Burst(more, dice) => {
                for listener in 0..10 + more {
                    let mut dice = *dice;
                    dice[3] = listener % 8;
                    dice[4..9].fill(0);
                    dice[9] = 6 + listener;
                    self.say_kind(Kind::Request, dice);
                }
            }
        }
    }

    fn pick(&self, which: u8) -> Option<(Event, Option<Kind>)> {
        let index = usize::from(which) % self.said.len().max(1);
        self.said.get(index).cloned()
    }
}

fn kind_of(body: &Body) -> Kind {
    match body {
        Body::Request(_) => Kind::Request,
        Body::Impression(_) => Kind::Impression,
        Body::Pixel(_) => Kind::Pixel,
        Body::Order(_) => Kind::Order,
        Body::Redemption(_) => Kind::Redemption,
        Body::Show(_) => Kind::Show,
        Body::Episode(_) => Kind::Episode,
        Body::Slot(_) => Kind::Slot,
        Body::Store(_) => Kind::Store,
        Body::Campaign(_) => Kind::Campaign,
        Body::LineItem(_) => Kind::Line,
        Body::Code(_) => Kind::Code,
        Body::Aired(_) => Kind::Aired,
        Body::RuleSet(_) => Kind::RuleSet,
        Body::Settings(_) => Kind::Settings,
    }
}
