//! What was seen of a brand's buyers: visits, purchases, orders, codes, test orders.

use std::collections::BTreeMap;
use std::fmt::Display;

use hostread_schemas::event::{IpClass, PriceKind};
use hostread_schemas::fact::{FactBody, RetentionClass, SignalFact, SignalKind};
use hostread_schemas::unit::DAY_MS;
use hostread_schemas::{CodeId, ConversionId, EventTimeMs, NameKind, StoreId};

use super::{Looked, QUIET_DAYS, Seen, State, Times, Trace};
use crate::known::ReadError;

/// Signals of the brand's stores, by what they are.
#[derive(Default)]
struct Heard {
    visits: Times,
    pixel: Times,
    orders: Times,
    tests: Times,
    newest_test: Option<(EventTimeMs, ConversionId)>,
    codes: BTreeMap<(StoreId, CodeId), Times>,
}

impl Looked<'_> {
    /// Stores of the line's brand, by name.
    pub(super) fn stores(&self) -> Vec<String> {
        let of_brand = self.store_ids().into_iter();
        let mut names: Vec<String> = of_brand
            .map(|store| self.name(NameKind::Store, store.0))
            .collect();
        names.sort_unstable();
        names
    }

    fn store_ids(&self) -> Vec<StoreId> {
        let brand = self.dims.brand_of_line(self.line.line);
        let stores = self.dims.stores.iter();
        stores
            .filter(|(_, said)| brand.is_some() && said.what == brand)
            .map(|(store, _)| *store)
            .collect()
    }

    pub(super) fn buyers(&self) -> Result<Vec<Seen>, ReadError> {
        let heard = self.heard()?;
        let stores = !self.store_ids().is_empty();
        let by_codes = heard.codes.values().any(|times| times.last.is_some());
        let any = by_codes || heard.pixel.last.is_some() || heard.orders.last.is_some();
        let cpa = matches!(self.line.price_kind, PriceKind::Cpa);
        let or = |repair: &str| {
            if stores {
                repair.to_owned()
            } else {
                "no store belongs to the line's brand: send a `store` event with its brand"
                    .to_owned()
            }
        };
        let visits = "the tag sends them (GET /v1/tag.js); conversions need none";
        let pixel = "put GET /v1/tag.js on the shop's pages, and call it on thank-you pages";
        let orders = if cpa {
            "its price is per conversion, which needs authenticated orders: connect the shop's webhooks"
        } else {
            "connect the shop's webhooks, or send `order` events"
        };
        let mut seen = vec![
            self.buyer(Trace::Visits, heard.visits, false, or(visits)),
            self.matchable(Trace::Pixel, heard.pixel, !any, or(pixel)),
            self.matchable(Trace::Orders, heard.orders, !any || cpa, or(orders)),
        ];
        for ((store, code), times) in heard.codes {
            let repair = "nobody has used it, or its orders do not name it";
            let one = self.buyer(Trace::Code, times, false, repair);
            let (code, store) = (
                self.name(NameKind::Code, code.0),
                self.name(NameKind::Store, store.0),
            );
            seen.push(Seen {
                name: format!("{code} in {store}"),
                ..one
            });
        }
        let repair = "place one in the shop's test mode, or say --test-order: no number has it";
        let test = self.seen(Trace::TestOrders, heard.tests, false, false, repair);
        let name = heard.newest_test.map(|(_, reference)| reference.0);
        seen.push(Seen {
            name: self.name(NameKind::Conversion, name.unwrap_or_default()),
            ..test
        });
        Ok(seen)
    }

    /// Buyers that fall silent for days are worth a look.
    fn buyer(&self, what: Trace, times: Times, needed: bool, repair: impl Display) -> Seen {
        let clock = self.known.clock.0;
        let ago = times.last.map(|last| clock.saturating_sub(last.0));
        let quiet = ago.is_some_and(|ago| ago >= QUIET_DAYS * DAY_MS);
        self.seen(what, times, needed, quiet, repair)
    }

    /// As [`Looked::buyer`], of signals that households are matched by.
    fn matchable(&self, what: Trace, times: Times, needed: bool, repair: String) -> Seen {
        let mut seen = self.buyer(what, times, needed, repair);
        seen.with_household = Some(times.with_household);
        if seen.state == State::Seen && times.week > 0 && times.with_household == 0 {
            seen.state = State::NoHousehold;
            "none came with consent and a residential address of the buyer: only codes match them"
                .clone_into(&mut seen.repair);
        }
        seen
    }

    fn heard(&self) -> Result<Heard, ReadError> {
        let (stores, line) = (self.store_ids(), self.line.line);
        let mut heard = Heard::default();
        for (key, said) in self.dims.codes.iter() {
            if said.what == line {
                heard.codes.insert(*key, Times::default());
            }
        }
        let class = RetentionClass::Conversion;
        for day in self.days(class) {
            self.known.live.facts(class, day, &mut |fact| {
                if let FactBody::Signal(signal) = &fact.body
                    && fact.tenant == self.tenant
                {
                    let of_brand = stores.contains(&signal.store);
                    heard.hear(fact.time, signal, of_brand, self.known.clock);
                }
            })?;
        }
        Ok(heard)
    }
}

impl Heard {
    fn hear(&mut self, time: EventTimeMs, signal: &SignalFact, of_brand: bool, clock: EventTimeMs) {
        let household = signal.household.is_some() && signal.ip_class == IpClass::Residential;
        if signal.test {
            if of_brand {
                self.tests.add(time, clock, household);
                let reference = if signal.order_name.is_some() {
                    signal.order_name
                } else {
                    signal.order_id
                };
                self.newest_test = self.newest_test.max(Some((time, reference)));
            }
            return;
        }
        // A code may be of a store that no brand has yet.
        let uses = matches!(
            signal.kind,
            SignalKind::Order | SignalKind::Redemption | SignalKind::PixelPurchase
        );
        if uses && let Some(times) = self.codes.get_mut(&(signal.store, signal.code)) {
            times.add(time, clock, household);
        }
        if !of_brand {
            return;
        }
        match signal.kind {
            SignalKind::PixelVisit | SignalKind::PixelCart => {
                self.visits.add(time, clock, household);
            }
            SignalKind::PixelPurchase | SignalKind::PixelLead => {
                self.pixel.add(time, clock, household);
            }
            SignalKind::Order => self.orders.add(time, clock, household),
            SignalKind::Refund | SignalKind::Cancel | SignalKind::Redemption => {}
        }
    }
}
