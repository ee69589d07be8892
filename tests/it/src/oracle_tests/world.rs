//! Small random worlds: two tenants with the same names, a few shows, lines, households and orders.
//! Instants and byte ranges come from short lists full of edges. A zero is always the plain choice,
//! so that what proptest shrinks to is easy to read.

use std::collections::BTreeSet;
use std::fmt;

use hostread_rules::Horizons;
use hostread_schemas::event::{
    AdKind, Aired, Body, Campaign, Code, ControllingSource, Episode, Event, Hash64, Impression,
    ImpressionKind, IpClass, IpFacts, LineItem, Meta, Method, Model, Order, OrderKind, Pixel,
    PixelKind, PriceKind, Redemption, Request, RuleSet, Settings, Show, Slot, SourceKind, Store,
};
use hostread_schemas::unit::HOUR_MS;
use hostread_schemas::{Currency, EventTimeMs, MoneyMicros, ReceivedAtMs};
use proptest::prelude::*;

use super::drive::HASHER;

/// 2026-10-30T00:00Z: a month ends and New York's summer time does within three days.
const BASE: i64 = 1_793_318_400_000;
/// Where the clock starts.
pub(super) const START: EventTimeMs = EventTimeMs(BASE);
const DAY: i64 = 24 * HOUR_MS;
const MINUTE: i64 = HOUR_MS / 60;

/// Nothing is sealed.
pub(super) fn far_horizons() -> Horizons {
    Horizons::default()
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
    /// The first so many steps come after the catalog and the deals.
    late_catalog: u8,
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
        steps,
    })
}

impl History {
    /// What happens, in order.
    pub(super) fn given(&self) -> Vec<Given> {
        let mut tape = Tape::default();
        let mut catalog = catalog().into_iter();
        if self.late_catalog == 0 {
            catalog.by_ref().for_each(|event| tape.say(event));
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
}

impl Tape {
    fn say(&mut self, event: Event) {
        self.revisions.insert((event.meta.id, event.meta.revision));
        self.said.push((event.clone(), None));
        self.given.push(Given::Event(event));
    }

    fn say_kind(&mut self, kind: Kind, dice: Dice) {
        self.count += 1;
        let event = event(kind, dice, &format!("step-{}", self.count));
        self.say(event);
        if let Some(last) = self.said.last_mut() {
            last.1 = Some(kind);
        }
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
                let mut dice = *dice;
                dice[0] = if old.meta.tenant == "other" { 2 } else { 0 };
                let mut event = event(kind, dice, "correction");
                event.meta.id = old.meta.id;
                event.meta.source.clone_from(&old.meta.source);
                event.meta.revision = u32::from(*revision);
                if !self
                    .revisions
                    .contains(&(event.meta.id, event.meta.revision))
                {
                    self.say(event);
                }
            }
            Step::Close => self.given.push(Given::Close),
            Step::Hours(hours) => self.given.push(Given::Hours(*hours)),
            Step::Burst(more, dice) => {
                for listener in 0..10 + more {
                    let mut dice = *dice;
                    dice[3] = 7 * 16 + listener % 7;
                    dice[4] = 0;
                    dice[5] = 0;
                    dice[9] = listener;
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

/// One of a list.
fn of<T: Clone>(list: &[T], die: u8) -> T {
    list[usize::from(die) % list.len()].clone()
}

/// Instants: every midnight, hour and second that a rule cuts at, on five days.
fn instant(die: u8) -> EventTimeMs {
    let offsets = [
        2 * HOUR_MS,
        2 * HOUR_MS + 10 * MINUTE,
        2 * HOUR_MS + 10 * MINUTE + 999,
        0,
        -1,
        2 * HOUR_MS + 40 * MINUTE,
        4 * HOUR_MS,
        4 * HOUR_MS - 1,
        20 * HOUR_MS + 1,
        2 * HOUR_MS + 40 * MINUTE + 1,
    ];
    let day = i64::from(die) % 5;
    EventTimeMs(BASE + day * DAY + of(&offsets, die / 5))
}

fn meta(tenant: u8, own_id: &str, time: EventTimeMs, batch: u8) -> Meta {
    let tenant = of(&["net", "net", "other"], tenant);
    Meta {
        id: HASHER.event_id(tenant, "test", own_id.as_bytes()),
        tenant: tenant.to_owned(),
        source: "test".to_owned(),
        time,
        received_at: ReceivedAtMs(0),
        batch_id: format!("batch-{}", batch % 3),
        revision: 0,
    }
}

fn address(household: u8, class: u8) -> IpFacts {
    let household = u64::from(household % 4);
    IpFacts {
        star: Hash64(0xA0 + household),
        net: Hash64(0xB0 + household / 2),
        class: match class % 32 {
            0..=24 => IpClass::Residential,
            25 => IpClass::Included,
            26 => IpClass::Relay,
            27 => IpClass::DataCentre,
            28 => IpClass::Vpn,
            29 => IpClass::Cellular,
            _ => IpClass::Office,
        },
        ..IpFacts::default()
    }
}

fn buyer(household: u8, class: u8) -> Option<IpFacts> {
    (household % 8 != 7).then(|| address(household, class))
}

fn agent(die: u8) -> String {
    let agents = [
        "player/1",
        "player/2",
        "player/3",
        "browser",
        "tool/9",
        "a bot/2",
        "",
        "atc/1 watchOS/9",
        "x (null)/(null) watchOS",
        "watchOS",
    ];
    of(&agents, die).to_owned()
}

fn session(die: u8) -> Option<String> {
    (die % 16 >= 6).then(|| format!("s{die}"))
}

fn show(die: u8) -> String {
    format!("show-{}", die % 2)
}

/// The first two have audio that the catalog knows at first.
fn episode(die: u8) -> String {
    format!("ep-{}", die % 4)
}

fn enclosure(die: u8) -> String {
    of(&["/a.mp3", "/b.mp3", "/a2.mp3", "/unknown.mp3"], die).to_owned()
}

fn line(die: u8) -> String {
    format!("line-{}", die % 5)
}

fn store(die: u8) -> String {
    format!("store-{}", of(&[0, 0, 1, 2], die))
}

fn brand(die: u8) -> String {
    of(&["brand-0", "brand-1", ""], die).to_owned()
}

fn code(die: u8) -> String {
    of(&["SAVE", " save ", "Deal", "none"], die).to_owned()
}

fn order(die: u8) -> Option<String> {
    let orders = ["#1", "2", " #2 ", "#", "5001", "5002", "1"];
    of(&orders.map(Some), die).map(str::to_owned)
}

fn maybe_order(die: u8) -> Option<String> {
    (die % 4 != 3).then(|| order(die / 4)).flatten()
}

fn money(die: u8) -> MoneyMicros {
    let values = [30_000_000, 10_000_000, 20_000_000, 0, 10_000_001, 333_333];
    MoneyMicros(of(&values, die))
}

fn currency(die: u8) -> Currency {
    Currency(of(&[*b"USD", *b"USD", *b"USD", *b"JPY"], die))
}

/// The event that the dice say.
fn event(kind: Kind, dice: Dice, own_id: &str) -> Event {
    let [tenant, time, batch, a, b, c, d, e, f, g] = dice;
    let body = match kind {
        Kind::Request => Body::Request(request(a, b, c, d, e, f, g)),
        Kind::Impression => Body::Impression(Impression {
            line: line(a),
            show: show(b),
            episode: episode(c),
            kind: of(
                &[
                    ImpressionKind::Delivered,
                    ImpressionKind::Delivered,
                    ImpressionKind::ClientConfirmed,
                ],
                d,
            ),
            ip: address(e, e / 4),
            agent: agent(f),
            session: session(g),
        }),
        Kind::Pixel => Body::Pixel(Pixel {
            store: store(a),
            kind: of(
                &[
                    PixelKind::Purchase,
                    PixelKind::Lead,
                    PixelKind::Purchase,
                    PixelKind::Page,
                    PixelKind::Cart,
                ],
                b,
            ),
            order: maybe_order(c),
            value: (d % 4 != 3).then(|| money(d / 4)),
            currency: (d % 4 != 3).then(|| currency(e)),
            code: (f % 2 == 1).then(|| code(f / 2)),
            ip: buyer(g, g / 8),
            agent: agent(0),
        }),
        Kind::Order => Body::Order(Order {
            store: store(a),
            kind: of(
                &[
                    OrderKind::Placed,
                    OrderKind::Placed,
                    OrderKind::Refunded,
                    OrderKind::Placed,
                    OrderKind::Refunded,
                    OrderKind::Cancelled,
                    OrderKind::Placed,
                    OrderKind::Placed,
                ],
                b,
            ),
            order_name: maybe_order(c),
            order_id: (c >= 128).then(|| order(4 + c % 3)).flatten(),
            placed_at: (d % 4 == 1).then(|| instant(d / 4)),
            value: money(e),
            currency: currency(f),
            codes: if f % 2 == 1 {
                vec![code(f / 2), code(f / 4)]
            } else {
                Vec::new()
            },
            ip: buyer(g, g / 8),
            test: d == 250,
        }),
        Kind::Redemption => Body::Redemption(Redemption {
            store: store(a),
            code: code(b),
            order: maybe_order(c),
            value: (d % 4 != 3).then(|| money(d / 4)),
            currency: (d % 4 != 3).then(|| currency(e)),
            ip: buyer(g, g / 8),
        }),
        Kind::Show => Body::Show(Show {
            show: show(a),
            title: format!("title {b}"),
        }),
        Kind::Episode => Body::Episode(an_episode(a, b, c, d)),
        Kind::Slot => Body::Slot(a_slot(a, b, c, d, e)),
        Kind::Store => Body::Store(Store {
            store: store(a),
            brand: brand(b),
        }),
        Kind::Campaign => Body::Campaign(Campaign {
            campaign: format!("campaign-{}", a % 3),
            brand: brand(b),
            title: String::new(),
        }),
        Kind::Line => Body::LineItem(a_line(a, b, c, d, e)),
        Kind::Code => Body::Code(Code {
            store: store(a),
            code: code(b),
            line: line(c),
        }),
        Kind::Aired => Body::Aired(Aired {
            line: line(a),
            episode: episode(b),
            aired_at: EventTimeMs(instant(c).0 - if d % 4 == 3 { 30 * DAY } else { 0 }),
            episode_goal: of(&[3_000, 90, 0, 5], e),
        }),
        Kind::RuleSet => Body::RuleSet(a_rule_set(a, b, c, d)),
        Kind::Settings => Body::Settings(settings(a, b, c)),
    };
    Event {
        meta: meta(tenant, own_id, instant(time), batch),
        body,
    }
}

fn request(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8) -> Request {
    let ranges = [
        (0, 1_000),
        (0, 650),
        (0, 649),
        (0, 400),
        (400, 250),
        (350, 299),
        (100, 900),
        (600, 100),
        (0, 2),
        (0, 0),
        (650, 1_500),
    ];
    let (sent_first, sent_bytes) = of(&ranges, b);
    let probe = d % 16 == 15;
    Request {
        enclosure: enclosure(c),
        method: of(
            &[
                Method::Get,
                Method::Get,
                Method::Get,
                Method::Head,
                Method::Get,
                Method::Get,
                Method::Other,
                Method::Get,
            ],
            e,
        ),
        status: of(&[200, 206, 200, 206, 200, 206, 304, 404], d),
        range_first: probe.then_some(0),
        range_last: probe.then_some(1),
        sent_first,
        sent_bytes,
        total_bytes: of(&[None, None, None, Some(1_000), Some(1_200)], f),
        ip: address(a, a / 8),
        agent: agent(a / 16),
        session: session(g),
        referrer: of(
            &[
                None,
                None,
                None,
                None,
                Some("ok.example"),
                Some("Denied.Example."),
            ],
            f / 5,
        )
        .map(str::to_owned),
        source_kind: of(
            &[SourceKind::Cdn, SourceKind::Cdn, SourceKind::Prefix],
            e / 8,
        ),
    }
}

fn an_episode(a: u8, b: u8, c: u8, d: u8) -> Episode {
    let enclosures: &[&str] = of(
        &[
            &["/a.mp3"][..],
            &["/a.mp3", "/a2.mp3"],
            &["/b.mp3"],
            &[],
            &["/a2.mp3", "/b.mp3"],
        ],
        b,
    );
    Episode {
        show: show(d),
        episode: episode(a),
        title: String::new(),
        enclosures: enclosures.iter().map(|path| (*path).to_owned()).collect(),
        published_at: None,
        size_bytes: of(&[1_000, 1_000, 0, 640, 2_150], c),
        header_bytes: of(&[50, 0, 50], c / 5),
        bit_rate: of(&[Some(80), Some(81), None], c / 15),
        duration_secs: of(&[Some(95), None, Some(59), Some(60), Some(61)], d / 2),
        vbr: d % 16 == 15,
    }
}

fn a_slot(a: u8, b: u8, c: u8, d: u8, e: u8) -> Slot {
    let (first_byte, last_byte) = of(&[(100, 199), (600, 699), (0, 0), (649, 650), (999, 999)], d);
    Slot {
        slot: format!("slot-{}", a % 5),
        show: show(a),
        episode: episode(b),
        line: line(c),
        first_byte,
        last_byte,
        removed: e % 4 == 3,
    }
}

fn a_line(a: u8, b: u8, c: u8, d: u8, e: u8) -> LineItem {
    let (start, end) = of(
        &[
            ("2026-10-29", "2026-11-20"),
            ("2026-10-31", "2026-11-01"),
            ("2026-11-01", "2026-11-01"),
            ("2026-11-02", "2026-10-30"),
            ("2026-10-01", "2026-10-31"),
        ],
        b,
    );
    LineItem {
        line: line(a),
        campaign: format!("campaign-{}", c % 4),
        kind: of(&[AdKind::BakedIn, AdKind::Inserted], c / 4),
        controlling: of(
            &[ControllingSource::Bytes, ControllingSource::Impressions],
            c / 8,
        ),
        goal: of(&[1_000, 3, 1, 0, 70], d),
        start: start.to_owned(),
        end: end.to_owned(),
        zone: of(
            &["UTC", "America/New_York", "Asia/Kolkata", "No/Where", ""],
            d / 5,
        )
        .to_owned(),
        price_kind: of(&[PriceKind::Cpm, PriceKind::Cpa], e),
        price: MoneyMicros(of(&[25_000_000, 5_000_000, 333_333, 15_000], e / 2)),
        currency: currency(e / 8),
        model: of(&Model::ALL, b / 8),
    }
}

fn a_rule_set(a: u8, b: u8, c: u8, d: u8) -> RuleSet {
    let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect();
    RuleSet {
        rule_set: format!("rules-{a}"),
        threshold_secs: of(&[60, 30, 61], a),
        bot_agents: of(
            &[
                words(&["bot"]),
                words(&["("]),
                words(&["^tool", "bot"]),
                words(&[]),
            ],
            b,
        ),
        nonhuman_nets: of(&[vec![], vec![Hash64(0xB1)]], c),
        referrers_denied: of(&[vec!["denied.example".to_owned()], vec![]], c / 2),
        prefix_drops_range_0_1: d % 2 == 1,
        ip_volume_downloads_max: of(&[0, 0, 1, 2], d / 2),
    }
}

fn settings(a: u8, b: u8, c: u8) -> Settings {
    Settings {
        lookback_hours: of(&[48, 24, 1, 720], a),
        half_life_hours: of(&[24, 168, 1], b),
        shared_agents_day_max: of(&[12, 1, 2], c),
        shared_agents_month_max: of(&[40, 3, 2], c / 4),
    }
}

/// What both tenants have agreed on when a history begins.
fn catalog() -> Vec<Event> {
    ["net", "other"].into_iter().flat_map(catalog_of).collect()
}

fn catalog_of(tenant: &str) -> Vec<Event> {
    let line = |line: &str, campaign: &str, kind, controlling, price_kind, model| {
        Body::LineItem(LineItem {
            line: line.to_owned(),
            campaign: campaign.to_owned(),
            kind,
            controlling,
            goal: 1_000,
            start: "2026-10-29".to_owned(),
            end: "2026-11-20".to_owned(),
            zone: of(&["UTC", "America/New_York"], u8::from(line == "line-2")).to_owned(),
            price_kind,
            price: MoneyMicros(25_000_000),
            currency: Currency::default(),
            model,
        })
    };
    let campaign = |campaign: &str, brand: &str| {
        Body::Campaign(Campaign {
            campaign: campaign.to_owned(),
            brand: brand.to_owned(),
            title: String::new(),
        })
    };
    let store = |store: &str, brand: &str| {
        Body::Store(Store {
            store: store.to_owned(),
            brand: brand.to_owned(),
        })
    };
    let code = |code: &str, line: &str| {
        Body::Code(Code {
            store: "store-0".to_owned(),
            code: code.to_owned(),
            line: line.to_owned(),
        })
    };
    let aired = |line: &str| {
        Body::Aired(Aired {
            line: line.to_owned(),
            episode: "ep-0".to_owned(),
            aired_at: EventTimeMs(BASE - HOUR_MS),
            episode_goal: 3_000,
        })
    };
    let bodies = [
        Body::Episode(Episode {
            episode: "ep-1".to_owned(),
            ..an_episode(0, 2, 0, 1)
        }),
        Body::Episode(an_episode(0, 1, 0, 0)),
        Body::Slot(a_slot(0, 0, 0, 0, 0)),
        Body::Slot(a_slot(1, 1, 2, 1, 0)),
        campaign("campaign-0", "brand-0"),
        campaign("campaign-1", "brand-0"),
        campaign("campaign-2", "brand-1"),
        line(
            "line-0",
            "campaign-0",
            AdKind::BakedIn,
            ControllingSource::Bytes,
            PriceKind::Cpm,
            Model::Last,
        ),
        line(
            "line-1",
            "campaign-0",
            AdKind::Inserted,
            ControllingSource::Impressions,
            PriceKind::Cpa,
            Model::Linear,
        ),
        line(
            "line-2",
            "campaign-1",
            AdKind::Inserted,
            ControllingSource::Bytes,
            PriceKind::Cpm,
            Model::Last,
        ),
        line(
            "line-3",
            "campaign-2",
            AdKind::BakedIn,
            ControllingSource::Impressions,
            PriceKind::Cpa,
            Model::TimeDecay,
        ),
        store("store-0", "brand-0"),
        store("store-1", "brand-1"),
        code("save", "line-0"),
        code("deal", "line-1"),
        aired("line-0"),
        aired("line-3"),
        Body::RuleSet(a_rule_set(0, 0, 0, 0)),
        Body::Settings(settings(0, 0, 0)),
    ];
    let events = bodies.into_iter().enumerate().map(|(index, body)| {
        let own_id = format!("catalog-{index}");
        Event {
            meta: Meta {
                id: HASHER.event_id(tenant, "test", own_id.as_bytes()),
                tenant: tenant.to_owned(),
                source: "test".to_owned(),
                time: EventTimeMs(BASE - DAY),
                received_at: ReceivedAtMs(0),
                batch_id: "catalog".to_owned(),
                revision: 0,
            },
            body,
        }
    });
    events.collect()
}
