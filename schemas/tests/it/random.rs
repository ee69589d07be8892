//! Random events of every type, and one sample of each. A seed gives the same event everywhere.

use hostread_schemas::event::*;
use hostread_schemas::{Currency, EventId, EventTimeMs, MoneyMicros, ReceivedAtMs};

/// splitmix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn number(&mut self) -> u64 {
        match self.below(5) {
            0 => 0,
            1 => u64::MAX,
            2 => self.below(200),
            _ => {
                let bits = self.below(64);
                self.next() >> bits
            }
        }
    }

    fn signed(&mut self) -> i64 {
        self.number() as i64
    }

    fn text(&mut self) -> String {
        const PIECES: [&str; 12] = [
            "",
            "a",
            "Zoë",
            "💡",
            "\"",
            "\\",
            "/",
            "#1041",
            " ",
            "\u{7f}",
            "\u{e000}",
            "0123456789",
        ];
        (0..self.below(5) * self.below(20))
            .map(|_| PIECES[self.below(12) as usize])
            .collect()
    }

    fn flag(&mut self) -> bool {
        self.below(2) == 1
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.flag() { Some(make(self)) } else { None }
    }

    fn list<T>(&mut self, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(4) * self.below(4))
            .map(|_| make(self))
            .collect()
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    // Within what RFC 3339 can say, so that the JSON form is a round trip too.
    fn time(&mut self) -> EventTimeMs {
        EventTimeMs(self.below(8_000_000_000_000) as i64 - 4_000_000_000_000)
    }

    fn currency(&mut self) -> Currency {
        Currency([0; 3].map(|_: u8| b'A' + self.below(26) as u8))
    }

    fn money(&mut self) -> MoneyMicros {
        MoneyMicros(self.signed())
    }

    fn ip(&mut self) -> IpFacts {
        use IpClass::{Cellular, DataCentre, Included, Office, Relay, Residential, Vpn};
        IpFacts {
            star: Hash64(self.number()),
            net: Hash64(self.number()),
            class: self.one(&[
                Included,
                Relay,
                DataCentre,
                Vpn,
                Cellular,
                Office,
                Residential,
            ]),
            asn: self.number() as u32,
            country: self.text(),
            dated: self.text(),
        }
    }

    fn meta(&mut self) -> Meta {
        Meta {
            id: EventId {
                hi: self.next(),
                lo: self.next(),
            },
            tenant: self.text(),
            source: self.text(),
            time: self.time(),
            received_at: ReceivedAtMs(self.time().0),
            batch_id: self.text(),
            revision: self.number() as u32,
        }
    }

    pub(crate) fn event(&mut self, event_type: EventType) -> Event {
        Event {
            meta: self.meta(),
            body: self.body(event_type),
        }
    }

    fn body(&mut self, event_type: EventType) -> Body {
        match event_type {
            EventType::Request => Body::Request(Request {
                enclosure: self.text(),
                method: self.one(&[Method::Get, Method::Head, Method::Other]),
                status: self.number() as u16,
                range_first: self.maybe(Self::number),
                range_last: self.maybe(Self::number),
                sent_first: self.number(),
                sent_bytes: self.number(),
                total_bytes: self.maybe(Self::number),
                ip: self.ip(),
                agent: self.text(),
                session: self.maybe(Self::text),
                referrer: self.maybe(Self::text),
                source_kind: self.one(&[SourceKind::Cdn, SourceKind::Prefix]),
            }),
            EventType::Impression => Body::Impression(Impression {
                line: self.text(),
                show: self.text(),
                episode: self.text(),
                kind: self.one(&[
                    ImpressionKind::Delivered,
                    ImpressionKind::ClientConfirmed,
                    ImpressionKind::ControlExposure,
                ]),
                ip: self.ip(),
                agent: self.text(),
                session: self.maybe(Self::text),
            }),
            EventType::Pixel => Body::Pixel(Pixel {
                store: self.text(),
                kind: self.one(&[
                    PixelKind::Page,
                    PixelKind::Cart,
                    PixelKind::Lead,
                    PixelKind::Purchase,
                ]),
                order: self.maybe(Self::text),
                value: self.maybe(Self::money),
                currency: self.maybe(Self::currency),
                code: self.maybe(Self::text),
                ip: self.maybe(Self::ip),
                agent: self.text(),
            }),
            EventType::Order => Body::Order(Order {
                store: self.text(),
                kind: self.one(&[OrderKind::Placed, OrderKind::Cancelled, OrderKind::Refunded]),
                order_id: self.maybe(Self::text),
                order_name: self.maybe(Self::text),
                placed_at: self.maybe(Self::time),
                value: self.money(),
                currency: self.currency(),
                codes: self.list(Self::text),
                ip: self.maybe(Self::ip),
                test: self.flag(),
                customer: self.maybe(|r| Hash64(r.number())),
            }),
            EventType::Redemption => Body::Redemption(Redemption {
                store: self.text(),
                code: self.text(),
                order: self.maybe(Self::text),
                value: self.maybe(Self::money),
                currency: self.maybe(Self::currency),
                ip: self.maybe(Self::ip),
            }),
            EventType::Show => Body::Show(Show {
                show: self.text(),
                title: self.text(),
            }),
            EventType::Episode => Body::Episode(Episode {
                show: self.text(),
                episode: self.text(),
                title: self.text(),
                enclosures: self.list(Self::text),
                published_at: self.maybe(Self::time),
                size_bytes: self.number(),
                header_bytes: self.number(),
                bit_rate: self.maybe(|r| r.number() as u32),
                duration_secs: self.maybe(|r| r.number() as u32),
                vbr: self.flag(),
            }),
            EventType::Slot => Body::Slot(Slot {
                slot: self.text(),
                show: self.text(),
                episode: self.text(),
                line: self.text(),
                first_byte: self.number(),
                last_byte: self.number(),
                removed: self.flag(),
            }),
            EventType::Store => Body::Store(Store {
                store: self.text(),
                brand: self.text(),
            }),
            EventType::Campaign => Body::Campaign(Campaign {
                campaign: self.text(),
                brand: self.text(),
                title: self.text(),
            }),
            EventType::LineItem => Body::LineItem(LineItem {
                line: self.text(),
                campaign: self.text(),
                kind: self.one(&[AdKind::BakedIn, AdKind::Inserted]),
                controlling: self.one(&[ControllingSource::Bytes, ControllingSource::Impressions]),
                goal: self.number(),
                start: self.text(),
                end: self.text(),
                zone: self.text(),
                price_kind: self.one(&[PriceKind::Cpm, PriceKind::Cpa]),
                price: self.money(),
                currency: self.currency(),
                model: self.one(&Model::ALL),
            }),
            EventType::Code => Body::Code(Code {
                store: self.text(),
                code: self.text(),
                line: self.text(),
            }),
            EventType::Aired => Body::Aired(Aired {
                line: self.text(),
                episode: self.text(),
                aired_at: self.time(),
                episode_goal: self.number(),
            }),
            EventType::RuleSet => Body::RuleSet(RuleSet {
                rule_set: self.text(),
                threshold_secs: self.number() as u32,
                bot_agents: self.list(Self::text),
                nonhuman_nets: self.list(|r| Hash64(r.number())),
                referrers_denied: self.list(Self::text),
                prefix_drops_range_0_1: self.flag(),
                ip_volume_downloads_max: self.number() as u32,
                included: self.list(|r| Included {
                    from: r.text(),
                    expires: r.text(),
                    nets: r.list(|r| Hash64(r.number())),
                    addresses: r.list(|r| Hash64(r.number())),
                }),
                other_agents: self.list(|r| OtherAgent {
                    pattern: r.text(),
                    bots_before: r.number() as u32,
                }),
            }),
            EventType::Settings => Body::Settings(Settings {
                lookback_hours: self.number() as u32,
                half_life_hours: self.number() as u32,
                shared_agents_day_max: self.number() as u32,
                shared_agents_month_max: self.number() as u32,
            }),
        }
    }
}
