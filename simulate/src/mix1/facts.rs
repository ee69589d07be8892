//! Bodies of MIX-1's events: requests, impressions, pixels and what a shop says.

use hostread_schemas::event::{
    Body, Event, Impression, ImpressionKind, Method, Order, OrderKind, Pixel, PixelKind,
    Redemption, Request, SourceKind,
};
use hostread_schemas::{Currency, EventTimeMs, MoneyMicros};

use super::catalog::{BRANDS, EpisodeInfo, code_name, line_name};
use super::people::{HOT, Person};
use super::{Mix1, ORDERS_MAX, Part, RESUMES_MAX, TENANTS};

/// A download that was cut short; the rest is fetched by a later request.
#[derive(Clone, Debug)]
pub(super) struct Resume {
    person: Person,
    episode: usize,
    from: u64,
    not_before: i64,
}

/// An order that other signals may name.
#[derive(Clone, Debug)]
pub(super) struct OrderInfo {
    person: Person,
    number: u64,
    brand: usize,
    value: MoneyMicros,
    code: Option<String>,
    placed_at: i64,
    test: bool,
    refunds: u32,
}

impl OrderInfo {
    fn name(&self) -> String {
        format!("#{}", self.number)
    }

    fn shop_id(&self) -> String {
        format!("{}", 5_600_000_000_000 + self.number)
    }
}

type Made = (Part, Event, bool);

impl Mix1 {
    /// Newer episodes are asked for more: half of the requests go to the newest sixth.
    fn pick_episode(&mut self) -> usize {
        let out = self.published.max(1);
        let newest = out.div_ceil(6);
        if self.rng.chance(1, 2) {
            out - 1 - self.rng.index(newest)
        } else {
            self.rng.index(out)
        }
    }

    fn take_resume(&mut self, time: i64) -> Option<Resume> {
        let due = self.resumes.front()?.not_before <= time;
        if due { self.resumes.pop_front() } else { None }
    }

    pub(super) fn request(&mut self, time: i64, clock: i64) -> Made {
        let own_id = format!("r{}", self.sent);
        if let Some(resume) = self.take_resume(time) {
            let episode = &self.catalog.episodes[resume.episode];
            let body = Request {
                enclosure: episode.enclosure.clone(),
                status: 206,
                range_first: Some(resume.from),
                sent_first: resume.from,
                sent_bytes: episode.size_bytes - resume.from,
                ..by(&resume.person)
            };
            let person = &resume.person;
            let event = self.event(
                person.tenant,
                "cdn",
                &own_id,
                time,
                clock,
                Body::Request(body),
            );
            return (Part::Request, event, person.household == HOT);
        }
        let person = self.person();
        let index = self.pick_episode();
        let mut request = by(&person);
        let episode = &self.catalog.episodes[index];
        request.enclosure.clone_from(&episode.enclosure);
        request.status = 200;
        request.sent_bytes = episode.size_bytes;
        let mut source = "cdn";
        match self.rng.below(100) {
            0..8 => range(&mut request, 0, 1),
            8..11 => (request.method, request.sent_bytes) = (Method::Head, 0),
            11..13 => (request.status, request.sent_bytes) = (304, 0),
            13..18 => request.sent_bytes = self.rng.below(episode.enough_bytes / 2),
            18..23 => {
                request.sent_bytes = episode.enough_bytes + self.rng.below(2_000_000);
                request.sent_bytes = request.sent_bytes.min(episode.size_bytes);
            }
            23..33 => {
                request.sent_bytes = self.rng.below(episode.size_bytes);
                if self.resumes.len() < RESUMES_MAX {
                    self.resumes.push_back(Resume {
                        person: person.clone(),
                        episode: index,
                        from: request.sent_bytes,
                        not_before: clock + 30_000,
                    });
                }
            }
            33..48 => range(&mut request, 0, episode.size_bytes - 1),
            48..53 => {
                source = "prefix";
                request.source_kind = SourceKind::Prefix;
                (request.status, request.sent_bytes) = (200, 0);
            }
            53 => "/feed.xml".clone_into(&mut request.enclosure),
            _ => {}
        }
        let event = self.event(
            person.tenant,
            source,
            &own_id,
            time,
            clock,
            Body::Request(request),
        );
        (Part::Request, event, person.household == HOT)
    }

    pub(super) fn impression(&mut self, time: i64, clock: i64) -> Made {
        let person = self.person();
        let index = self.pick_episode();
        let brand = self.rng.index(BRANDS);
        let confirmed = self.rng.chance(15, 100);
        let EpisodeInfo { show, episode, .. } = &self.catalog.episodes[index];
        let body = Impression {
            line: line_name(brand, 2),
            show: show.clone(),
            episode: episode.clone(),
            kind: if confirmed {
                ImpressionKind::ClientConfirmed
            } else {
                ImpressionKind::Delivered
            },
            ip: person.ip.clone(),
            agent: person.agent.clone(),
            session: person.session.clone(),
        };
        let own_id = format!("i{}", self.sent);
        let event = self.event(
            person.tenant,
            "dai",
            &own_id,
            time,
            clock,
            Body::Impression(body),
        );
        (Part::Impression, event, person.household == HOT)
    }

    pub(super) fn pixel(&mut self, time: i64, clock: i64) -> Made {
        let mut kind = match self.rng.below(100) {
            0..65 => PixelKind::Page,
            65..80 => PixelKind::Cart,
            80..85 => PixelKind::Lead,
            _ => PixelKind::Purchase,
        };
        let tenant = usize::from(self.rng.chance(1, 4));
        let order = if kind == PixelKind::Purchase {
            let order = self.some_order(tenant);
            if order.is_none() {
                kind = PixelKind::Page;
            }
            order
        } else {
            None
        };
        let person = match &order {
            Some(order) => order.person.clone(),
            None => self.person(),
        };
        let brand = order
            .as_ref()
            .map_or_else(|| self.rng.index(BRANDS), |o| o.brand);
        let consent = !self.rng.chance(5, 100);
        let body = Pixel {
            store: format!("store-{brand}"),
            kind,
            order: order.as_ref().map(OrderInfo::name),
            value: order.as_ref().map(|order| order.value),
            currency: order.as_ref().map(|_| Currency::default()),
            code: None,
            ip: consent.then(|| person.ip.clone()),
            agent: person.agent.clone(),
        };
        let own_id = format!("p{}", self.sent);
        let event = self.event(
            person.tenant,
            "pixel",
            &own_id,
            time,
            clock,
            Body::Pixel(body),
        );
        (Part::Pixel, event, person.household == HOT)
    }

    fn some_order(&mut self, tenant: usize) -> Option<OrderInfo> {
        let index = self.rng.index(self.orders[tenant].len());
        self.orders[tenant].get(index).cloned()
    }

    pub(super) fn shop(&mut self, time: i64, clock: i64) -> Made {
        let kind = self.rng.below(100);
        let tenant = usize::from(self.rng.chance(1, 4));
        if kind < 55 {
            return self.new_order(time, clock);
        }
        let Some(order) = self.some_order(tenant) else {
            return self.new_order(time, clock);
        };
        let store = format!("store-{}", order.brand);
        let hot = order.person.household == HOT;
        if kind < 75 {
            // orders/paid: the same order, said once more.
            let own_id = format!("{}/paid", order.shop_id());
            let body = placed(&order);
            let event = self.event(order.person.tenant, "shop", &own_id, time, clock, body);
            return (Part::Shop, event, hot);
        }
        let place = self.rng.index(3);
        let body = Redemption {
            store,
            code: order
                .code
                .clone()
                .unwrap_or_else(|| code_name(order.brand, place)),
            order: (kind < 95).then(|| order.name()),
            value: Some(order.value),
            currency: Some(Currency::default()),
            ip: Some(order.person.ip.clone()),
        };
        let own_id = format!("c{}", self.sent);
        let tenant = order.person.tenant;
        let event = self.event(
            tenant,
            "codes",
            &own_id,
            time,
            clock,
            Body::Redemption(body),
        );
        (Part::Shop, event, hot)
    }

    fn new_order(&mut self, time: i64, clock: i64) -> Made {
        let person = self.person();
        let tenant = person.tenant;
        self.order_number[tenant] += 1;
        let brand = self.rng.index(BRANDS);
        let place = self.rng.index(3);
        let order = OrderInfo {
            number: self.order_number[tenant],
            brand,
            value: MoneyMicros(10_000 * self.rng.range(900, 18_000)),
            code: self.rng.chance(1, 5).then(|| code_name(brand, place)),
            placed_at: time,
            test: self.rng.chance(1, 200),
            refunds: 0,
            person,
        };
        let own_id = format!("{}/create", order.shop_id());
        let event = self.event(tenant, "shop", &own_id, time, clock, placed(&order));
        let hot = order.person.household == HOT;
        let orders = &mut self.orders[tenant];
        if orders.len() == ORDERS_MAX {
            orders.pop_front();
        }
        orders.push_back(order);
        (Part::Shop, event, hot)
    }

    /// A refund (one in three of all) or a cancel of an order that was placed lately.
    pub(super) fn after_order(&mut self, clock: i64, part: Part) -> Option<super::Arrival> {
        let (time, late) = self.event_time(clock);
        let tenant = usize::from(self.rng.chance(1, 4));
        let index = self.rng.index(self.orders[tenant].len());
        let share = 1 + self.rng.range(0, 3);
        let order = self.orders[tenant].get_mut(index)?;
        order.refunds += 1;
        let (kind, value, word) = if part == Part::Refund {
            let cents = order.value.0 / 10_000 * share / 3;
            (OrderKind::Refunded, MoneyMicros(cents * 10_000), "refund")
        } else {
            (OrderKind::Cancelled, MoneyMicros(0), "cancel")
        };
        let own_id = format!("{}/{word}/{}", order.shop_id(), order.refunds);
        let body = Body::Order(Order {
            store: format!("store-{}", order.brand),
            kind,
            order_id: Some(order.shop_id()),
            placed_at: Some(EventTimeMs(order.placed_at)),
            value,
            ..Order::default()
        });
        let hot = order.person.household == HOT;
        debug_assert!(tenant < TENANTS.len());
        let time = time.max(order.placed_at);
        let event = self.event(tenant, "shop", &own_id, time, clock, body);
        Some(super::Arrival {
            event,
            part,
            late,
            hot,
        })
    }
}

fn by(person: &Person) -> Request {
    Request {
        ip: person.ip.clone(),
        agent: person.agent.clone(),
        session: person.session.clone(),
        ..Request::default()
    }
}

fn range(request: &mut Request, first: u64, last: u64) {
    request.status = 206;
    request.range_first = Some(first);
    request.range_last = Some(last);
    request.sent_first = first;
    request.sent_bytes = last - first + 1;
}

fn placed(order: &OrderInfo) -> Body {
    Body::Order(Order {
        store: format!("store-{}", order.brand),
        kind: OrderKind::Placed,
        order_id: Some(order.shop_id()),
        order_name: Some(order.name()),
        placed_at: Some(EventTimeMs(order.placed_at)),
        value: order.value,
        codes: order.code.iter().cloned().collect(),
        ip: Some(order.person.ip.clone()),
        test: order.test,
        ..Order::default()
    })
}
