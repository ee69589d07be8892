//! One event of each type as a person would meet it: golden files and the reference page show them.

use hostread_schemas::event::*;
use hostread_schemas::{Currency, EventId, EventTimeMs, MoneyMicros, ReceivedAtMs};

fn ip() -> IpFacts {
    IpFacts {
        star: Hash64(0x8c1f_0a6e_52d7_3b90),
        net: Hash64(0x1d22_b7c4_90e3_56fa),
        class: IpClass::Residential,
        asn: 3320,
        country: "DE".into(),
        dated: "2026-11-01".into(),
    }
}

/// 2026-11-09 and so many minutes.
fn time(minutes: i64) -> EventTimeMs {
    EventTimeMs(1_794_182_400_000 + minutes * 60_000)
}

pub(crate) fn sample(event_type: EventType) -> Event {
    let number = event_type as u64 + 1;
    Event {
        meta: Meta {
            id: EventId {
                hi: number,
                lo: 0x0102_0304_0506_0708,
            },
            tenant: "acme".into(),
            source: source(event_type).into(),
            time: time(10 * 60 + 5),
            received_at: ReceivedAtMs(time(10 * 60 + 6).0 + 250),
            batch_id: "delivery-17".into(),
            revision: u32::from(event_type == EventType::Aired),
        },
        body: body(event_type),
    }
}

fn source(event_type: EventType) -> &'static str {
    match event_type {
        EventType::Request => "cdn",
        EventType::Impression | EventType::Pixel => "pixel",
        EventType::Order => "shopify",
        EventType::Redemption => "till",
        _ => "api",
    }
}

fn body(event_type: EventType) -> Body {
    match event_type {
        EventType::Request => Body::Request(Request {
            enclosure: "/daily/ep-12.mp3".into(),
            method: Method::Get,
            status: 206,
            range_first: Some(0),
            range_last: None,
            sent_first: 0,
            sent_bytes: 24_117_248,
            total_bytes: Some(24_117_248),
            ip: ip(),
            agent: "Overcast/3.0 (+http://overcast.fm/; iOS podcast app)".into(),
            session: None,
            referrer: None,
            source_kind: SourceKind::Cdn,
        }),
        EventType::Impression => Body::Impression(Impression {
            line: "line-7".into(),
            show: "daily".into(),
            episode: "ep-12".into(),
            kind: ImpressionKind::Delivered,
            ip: ip(),
            agent: "AppleCoreMedia/1.0.0.21F90 (iPhone; U; CPU OS 17_5 like Mac OS X)".into(),
            session: Some("s-81".into()),
        }),
        EventType::Pixel => Body::Pixel(Pixel {
            store: "shop".into(),
            kind: PixelKind::Purchase,
            order: Some("#1041".into()),
            value: Some(MoneyMicros(34_400_000)),
            currency: Some(Currency(*b"EUR")),
            code: Some("DAILY10".into()),
            ip: Some(ip()),
            agent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64)".into(),
        }),
        EventType::Order => Body::Order(Order {
            store: "shop".into(),
            kind: OrderKind::Refunded,
            order_id: Some("450789469".into()),
            order_name: Some("#1041".into()),
            placed_at: Some(time(-3 * 24 * 60)),
            value: MoneyMicros(12_500_000),
            currency: Currency(*b"EUR"),
            codes: vec!["DAILY10".into(), "FREESHIP".into()],
            ip: Some(ip()),
            test: false,
            customer: Some(Hash64(0x51aa_07c3_9e2b_44d8)),
        }),
        EventType::Redemption => Body::Redemption(Redemption {
            store: "shop".into(),
            code: "daily10".into(),
            order: Some("1041".into()),
            value: Some(MoneyMicros(34_400_000)),
            currency: Some(Currency(*b"EUR")),
            ip: None,
        }),
        EventType::Show => Body::Show(Show {
            show: "daily".into(),
            title: "Täglich".into(),
        }),
        EventType::Episode => Body::Episode(Episode {
            show: "daily".into(),
            episode: "ep-12".into(),
            title: "Twelve".into(),
            enclosures: vec!["/daily/ep-12.mp3".into(), "/archive/daily-12.mp3".into()],
            published_at: Some(time(-7 * 24 * 60)),
            size_bytes: 24_117_248,
            header_bytes: 117_248,
            bit_rate: Some(128_000),
            duration_secs: Some(1_500),
            vbr: false,
        }),
        EventType::Slot => Body::Slot(Slot {
            slot: "ep-12-mid".into(),
            show: "daily".into(),
            episode: "ep-12".into(),
            line: "line-7".into(),
            first_byte: 9_717_248,
            last_byte: 10_677_247,
            removed: false,
        }),
        EventType::Store => Body::Store(Store {
            store: "shop".into(),
            brand: "oats".into(),
        }),
        EventType::Campaign => Body::Campaign(Campaign {
            campaign: "winter".into(),
            brand: "oats".into(),
            title: "Winter 2026".into(),
        }),
        EventType::LineItem => Body::LineItem(LineItem {
            line: "line-7".into(),
            campaign: "winter".into(),
            kind: AdKind::BakedIn,
            controlling: ControllingSource::Bytes,
            goal: 50_000,
            start: "2026-11-02".into(),
            end: "2026-12-01".into(),
            zone: "Europe/Berlin".into(),
            price_kind: PriceKind::Cpm,
            price: MoneyMicros(25_000_000),
            currency: Currency(*b"EUR"),
            model: Model::Position,
        }),
        EventType::Code => Body::Code(Code {
            store: "shop".into(),
            code: "DAILY10".into(),
            line: "line-7".into(),
        }),
        EventType::Aired => Body::Aired(Aired {
            line: "line-7".into(),
            episode: "ep-12".into(),
            aired_at: time(-7 * 24 * 60),
            episode_goal: 10_000,
        }),
        EventType::RuleSet => Body::RuleSet(RuleSet {
            rule_set: "iab-2.2+sample.1".into(),
            threshold_secs: 60,
            bot_agents: vec!["^curl/".into(), "(?i)bot".into()],
            nonhuman_nets: vec![Hash64(0x00ff_10ab_00cd_00ef), Hash64(u64::MAX)],
            referrers_denied: vec!["coupons.example".into()],
            prefix_drops_range_0_1: true,
            ip_volume_downloads_max: 100,
            included: vec![Included {
                from: "2026-11-01".into(),
                expires: "2027-01-30".into(),
                nets: vec![Hash64(0x00ff_10ab_00cd_00ee)],
                addresses: vec![Hash64(5), Hash64(u64::MAX - 1)],
            }],
            other_agents: vec![OtherAgent {
                pattern: "^Robotnik/".into(),
                bots_before: 1,
            }],
        }),
        EventType::Settings => Body::Settings(Settings {
            lookback_hours: 720,
            half_life_hours: 168,
            shared_agents_day_max: 12,
            shared_agents_month_max: 40,
        }),
    }
}
