//! Events by dice: names, instants and byte ranges come from short lists full of edges.

use hostread_schemas::event::{
    AdKind, Aired, Body, Campaign, Code, ControllingSource, Episode, Event, Hash64, Impression,
    ImpressionKind, Included, IpClass, IpFacts, LineItem, Meta, Method, Model, Order, OrderKind,
    OtherAgent, Pixel, PixelKind, PriceKind, Redemption, Request, RuleSet, Settings, Show, Slot,
    SourceKind, Store,
};
use hostread_schemas::unit::{DAY_MS, HOUR_MS};
use hostread_schemas::{Currency, EventTimeMs, MoneyMicros, ReceivedAtMs};

use super::{BASE, Dice, Kind};
use crate::oracle_tests::drive::HASHER;

const MINUTE: i64 = HOUR_MS / 60;

/// One of a list.
pub(super) fn of<T: Clone>(list: &[T], die: u8) -> T {
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
    EventTimeMs(BASE + day * DAY_MS + of(&offsets, die / 5))
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
pub(super) fn event(kind: Kind, dice: Dice, own_id: &str) -> Event {
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
                    ImpressionKind::ControlExposure,
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
            customer: (g % 4 > 0).then_some(Hash64(u64::from(g % 4))),
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
            aired_at: EventTimeMs(instant(c).0 - if d % 4 == 3 { 30 * DAY_MS } else { 0 }),
            episode_goal: of(&[3_000, 90, 0, 5], e),
        }),
        Kind::RuleSet => Body::RuleSet(a_rule_set(a, b, c, d, e)),
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

pub(super) fn an_episode(a: u8, b: u8, c: u8, d: u8) -> Episode {
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

pub(super) fn a_slot(a: u8, b: u8, c: u8, d: u8, e: u8) -> Slot {
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

pub(super) fn a_rule_set(a: u8, b: u8, c: u8, d: u8, e: u8) -> RuleSet {
    let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect();
    // Half of them differ in lists only: those are recounted where a list hits.
    let lists_only = a >= 128;
    let other = |pattern: &str, bots_before| OtherAgent {
        pattern: pattern.to_owned(),
        bots_before,
    };
    RuleSet {
        other_agents: of(
            &[
                vec![],
                vec![other("^a ", 0)],
                vec![other("9", 1), other("(", 0)],
                vec![other("/2", 1), other("^tool", 0)],
            ],
            e / 4,
        ),
        rule_set: format!("rules-{a}"),
        threshold_secs: if lists_only { 60 } else { of(&[60, 30, 61], a) },
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
        prefix_drops_range_0_1: lists_only || d % 2 == 1,
        ip_volume_downloads_max: if lists_only {
            1
        } else {
            of(&[0, 0, 1, 2], d / 2)
        },
        included: of(
            &[
                vec![],
                vec![included("2026-10-30", "2026-11-01", &[0xB1], &[])],
                vec![included("2026-10-31", "2026-11-02", &[], &[0xA0, 0xA2])],
                vec![
                    included("2026-10-31", "2026-11-01", &[0xB0, 0xB1], &[]),
                    included("2026-11-01", "2027-01-30", &[0xB1], &[0xA1]),
                ],
            ],
            e,
        ),
    }
}

fn included(from: &str, expires: &str, nets: &[u64], addresses: &[u64]) -> Included {
    let hashes = |of: &[u64]| of.iter().map(|hash| Hash64(*hash)).collect();
    Included {
        from: from.to_owned(),
        expires: expires.to_owned(),
        nets: hashes(nets),
        addresses: hashes(addresses),
    }
}

pub(super) fn settings(a: u8, b: u8, c: u8) -> Settings {
    Settings {
        lookback_hours: of(&[48, 24, 1, 720], a),
        half_life_hours: of(&[24, 168, 1], b),
        shared_agents_day_max: of(&[12, 1, 2], c),
        shared_agents_month_max: of(&[40, 3, 2], c / 4),
    }
}
