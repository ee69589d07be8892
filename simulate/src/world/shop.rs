//! Who buys and why, and the signals that say so: pixels, webhooks, redemptions.
//!
//! Invariant 1: whatever is told several times (webhooks, pixel, redemption) is one conversion,
//! kept once with its kind, time, value, household and code as definitions 10 and 11 have them.

use super::catalog::{BRANDS, FERN_PRE, GENERAL_CODE};
use super::people::{Addresses, BROWSERS, Home, Touch};
use super::signals::{Conversion, Kind, OrderDoc, Pixel, Redemption, Topic, Webhook};
use super::{DAY_SECS, HOUR_SECS, TenantWorld};
use crate::rng::Rng;

const MICROS_PER_CENT: i64 = 10_000;
/// Nothing is bought so late that what follows would fall off the end of the world.
const LAST_ORDER_SECS: i64 = 4 * HOUR_SECS;
const LEAD_WINDOW_SECS: i64 = 30 * 60;
/// More than a lead and its repeats take.
const APART_SECS: u64 = 3 * HOUR_SECS as u64;
const BURST: i64 = 18;

/// A purchase that is about to be told.
struct Sale {
    brand: usize,
    secs: i64,
    home: usize,
    ip: String,
    agent: &'static str,
    cause: Option<Touch>,
}

impl TenantWorld {
    pub(super) fn sell(
        &mut self,
        regular: usize,
        listeners: u32,
        addresses: &mut Addresses,
        rng: &mut Rng,
    ) {
        let mut number = 1_000;
        for home in 0..regular {
            for brand in 0..BRANDS.len() {
                self.caused(home, brand, 11, &mut number, rng);
            }
        }
        let shared: Vec<usize> = (regular..self.homes.len())
            .filter(|&home| self.homes[home].agents.len() > 1)
            .collect();
        for home in shared {
            for brand in [0, 0, 1, 2] {
                self.caused(home, brand, 60, &mut number, rng);
            }
        }
        for _ in 0..listeners.div_ceil(18) {
            self.homes.push(Home::new(addresses.any(), Vec::new()));
            let brand = rng.index(BRANDS.len());
            let secs = rng.range(self.first_secs, self.last_secs - LAST_ORDER_SECS);
            self.sale(self.homes.len() - 1, brand, secs, None, &mut number, rng);
        }
        self.burst(rng);
        self.visits(regular, rng);
    }

    /// A household that was touched by a brand buys, sometimes twice.
    fn caused(&mut self, home: usize, brand: usize, percent: u64, n: &mut u64, rng: &mut Rng) {
        let lines = &self.catalog.lines;
        let touches = self.homes[home].touches.iter();
        let touches: Vec<Touch> = touches
            .filter(|touch| lines[touch.line].brand() == brand)
            .cloned()
            .collect();
        if touches.is_empty() || !rng.chance(percent, 100) {
            return;
        }
        let mut bought: Vec<i64> = Vec::new();
        for _ in 0..[1, 1, 1, 2][rng.index(4)] {
            let touch = rng.pick(&touches).clone();
            let delay = match rng.below(3) {
                0 => rng.range(30, DAY_SECS),
                1 => rng.range(DAY_SECS, 3 * DAY_SECS),
                _ => rng.range(3 * DAY_SECS, 7 * DAY_SECS),
            };
            let secs = touch.secs + delay;
            // Far apart: two leads of one household must not flow into one.
            let apart = bought.iter().all(|other| other.abs_diff(secs) > APART_SECS);
            if apart && secs < self.last_secs - LAST_ORDER_SECS {
                bought.push(secs);
                self.sale(home, brand, secs, Some(touch), n, rng);
            }
        }
    }

    fn sale(
        &mut self,
        home: usize,
        brand: usize,
        secs: i64,
        cause: Option<Touch>,
        number: &mut u64,
        rng: &mut Rng,
    ) {
        *number += 1;
        let sale = Sale {
            brand,
            secs,
            home,
            ip: self.homes[home].address.text(rng),
            agent: BROWSERS[rng.index(BROWSERS.len())],
            cause,
        };
        self.page(&sale, "page", -rng.range(20, 900));
        if rng.chance(1, 2) {
            self.page(&sale, "cart", -rng.range(1, 19));
        }
        match (BRANDS[brand].webhooks, rng.below(100)) {
            (_, 0..8) => self.lead(&sale, rng),
            (true, 8..18) => self.pixel_only(&sale, *number, rng),
            (true, _) => self.order(&sale, *number, rng),
            (false, _) => self.by_code_and_pixel(&sale, *number, rng),
        }
    }

    fn page(&mut self, sale: &Sale, kind: &'static str, after: i64) {
        self.pixels.push(Pixel {
            secs: (sale.secs + after).max(self.first_secs),
            brand: sale.brand,
            kind,
            order: None,
            value_cents: None,
            ip: sale.ip.clone(),
            agent: sale.agent,
        });
    }

    /// A code as typed; half of the time of the line that made the sale.
    fn code(&self, sale: &Sale, rng: &mut Rng) -> String {
        let lines = self.catalog.lines.iter();
        let codes: Vec<&str> = lines
            .filter(|line| line.brand() == sale.brand)
            .filter_map(|line| line.code)
            .collect();
        let own = sale
            .cause
            .as_ref()
            .and_then(|touch| self.catalog.lines[touch.line].code);
        let code = match (rng.below(10), own) {
            (0, _) => GENERAL_CODE,
            (1..6, Some(code)) => code,
            _ => rng.pick(&codes),
        };
        match rng.below(4) {
            0 => code.to_lowercase(),
            1 => format!("{code} "),
            _ => code.to_owned(),
        }
    }

    /// The line item that a code names in a brand's store.
    fn line_of(&self, brand: usize, code: Option<&String>) -> Option<usize> {
        let code = code?.trim().to_uppercase();
        let mut lines = self.catalog.lines.iter();
        lines.position(|line| line.brand() == brand && line.code == Some(code.as_str()))
    }

    /// Lines of a lead form: told twice within half an hour it is one lead, later another.
    fn lead(&mut self, sale: &Sale, rng: &mut Rng) {
        let value_cents = rng.chance(1, 2).then_some(1_200);
        let tell = |world: &mut Self, after: i64| {
            world.page(sale, "lead", after);
            if let Some(pixel) = world.pixels.last_mut() {
                pixel.value_cents = value_cents;
            }
        };
        tell(self, 0);
        self.convert(sale, None, Kind::PixelLead, value_cents.unwrap_or(0), None);
        if rng.chance(1, 3) {
            tell(self, rng.range(1, LEAD_WINDOW_SECS));
        }
        if rng.chance(1, 5) {
            let after = LEAD_WINDOW_SECS + rng.range(1, HOUR_SECS);
            tell(self, after);
            self.convert(sale, None, Kind::PixelLead, value_cents.unwrap_or(0), None);
            if let Some(conversion) = self.conversions.last_mut() {
                conversion.secs += after;
            }
        }
    }

    fn purchase(&mut self, sale: &Sale, after: i64, order: String, cents: i64) {
        self.page(sale, "purchase", after);
        if let Some(pixel) = self.pixels.last_mut() {
            (pixel.order, pixel.value_cents) = (Some(order), Some(cents));
        }
    }

    /// The shop's webhook never came; the thank-you page was seen, perhaps twice.
    fn pixel_only(&mut self, sale: &Sale, number: u64, rng: &mut Rng) {
        let cents = rng.range(900, 15_000);
        self.purchase(sale, 0, format!("#{number}"), cents);
        if rng.chance(1, 4) {
            self.purchase(sale, rng.range(5, 600), number.to_string(), cents);
        }
        self.convert(
            sale,
            Some(number.to_string()),
            Kind::PixelPurchase,
            cents,
            None,
        );
    }

    /// A shop without webhooks: pixel, redemption, or both.
    fn by_code_and_pixel(&mut self, sale: &Sale, number: u64, rng: &mut Rng) {
        let cents = rng.range(1_900, 22_000);
        let order = format!("L-{number}");
        let which = rng.below(5);
        if which < 4 {
            self.purchase(sale, 0, order.clone(), cents);
        }
        if which < 2 {
            self.convert(sale, Some(order), Kind::PixelPurchase, cents, None);
            return;
        }
        let code = self.code(sale, rng);
        let after = if which < 4 { rng.range(5, 900) } else { 0 };
        let with_ip = which == 4 || rng.chance(1, 2);
        self.redemptions.push(Redemption {
            secs: sale.secs + after,
            brand: sale.brand,
            code: code.clone(),
            order: Some(order.clone()),
            value_cents: cents,
            ip: with_ip.then(|| sale.ip.clone()),
        });
        let line = self.line_of(sale.brand, Some(&code));
        self.convert(sale, Some(order), Kind::Redemption, cents, line);
        if let Some(conversion) = self.conversions.last_mut() {
            conversion.secs += after;
        }
    }

    /// Webhooks, mostly with a pixel, sometimes with a redemption.
    fn order(&mut self, sale: &Sale, number: u64, rng: &mut Rng) {
        let code = rng.chance(30, 100).then(|| self.code(sale, rng));
        let subtotal_cents = rng.range(900, 18_000);
        let order = OrderDoc {
            number,
            brand: sale.brand,
            secs: sale.secs,
            ip: sale.ip.clone(),
            agent: sale.agent,
            subtotal_cents,
            discount_cents: if code.is_some() {
                subtotal_cents / 9
            } else {
                0
            },
            shipping_cents: 500,
            tax_cents: subtotal_cents * 7 / 100,
            code: code.clone(),
            test: rng.chance(2, 100),
        };
        let mut tell = |secs: i64, topic: Topic, again: bool| {
            self.webhooks.push(Webhook {
                secs,
                topic,
                order: order.clone(),
                again,
            });
        };
        tell(sale.secs, Topic::Create, rng.chance(3, 100));
        if rng.chance(85, 100) {
            tell(
                sale.secs + rng.range(1, 20),
                Topic::Paid,
                rng.chance(3, 100),
            );
        }
        let end = self.last_secs - 1;
        let later = |rng: &mut Rng| (sale.secs + rng.range(HOUR_SECS, 4 * DAY_SECS)).min(end);
        let mut refunded = 0;
        let mut cancelled = false;
        match rng.below(100) {
            0..9 => {
                refunded = 1 + rng.range(0, subtotal_cents - 1);
                let half = refunded / 2;
                if half > 0 && rng.chance(1, 3) {
                    tell(later(rng), Topic::Refund(half, 0), false);
                    tell(later(rng), Topic::Refund(refunded - half, 0), false);
                } else {
                    tell(later(rng), Topic::Refund(refunded, 0), rng.chance(1, 4));
                }
            }
            9..13 => {
                refunded = subtotal_cents;
                tell(
                    later(rng),
                    Topic::Refund(refunded, order.shipping_cents),
                    false,
                );
            }
            13..17 => {
                cancelled = true;
                tell(later(rng), Topic::Cancelled, false);
            }
            _ => {}
        }
        let mut line = self.line_of(sale.brand, code.as_ref());
        if rng.chance(60, 100) {
            let name = if rng.chance(1, 2) {
                format!("#{number}")
            } else {
                number.to_string()
            };
            self.purchase(sale, rng.range(0, 9), name, subtotal_cents);
        }
        // A redemption tells the code where the order did not; else it repeats the order's.
        if rng.chance(if code.is_some() { 50 } else { 5 }, 100) {
            let code = code.unwrap_or_else(|| self.code(sale, rng));
            line = self.line_of(sale.brand, Some(&code));
            self.redemptions.push(Redemption {
                secs: sale.secs + rng.range(1, 300),
                brand: sale.brand,
                code,
                order: Some(format!("#{number}")),
                value_cents: subtotal_cents,
                ip: None,
            });
        }
        if order.test || cancelled || refunded >= subtotal_cents {
            return;
        }
        self.convert(
            sale,
            Some(number.to_string()),
            Kind::Order,
            subtotal_cents,
            line,
        );
        if let Some(conversion) = self.conversions.last_mut() {
            conversion.refunded_micros = refunded * MICROS_PER_CENT;
        }
    }

    fn convert(
        &mut self,
        sale: &Sale,
        order: Option<String>,
        kind: Kind,
        cents: i64,
        code_line: Option<usize>,
    ) {
        self.conversions.push(Conversion {
            brand: sale.brand,
            order,
            kind,
            secs: sale.secs,
            value_micros: cents * MICROS_PER_CENT,
            refunded_micros: 0,
            home: Some(sale.home),
            code_line,
            cause: sale.cause.clone(),
        });
    }

    /// A code that got onto a coupon site: many redemptions in an hour, from nobody in particular.
    fn burst(&mut self, rng: &mut Rng) {
        let days = (self.last_secs - self.first_secs) / DAY_SECS;
        let hour = self.first_secs + days * 3 / 4 * DAY_SECS + 15 * HOUR_SECS;
        for nth in 0..BURST {
            let secs = hour + nth * 190 + rng.range(0, 150);
            let cents = rng.range(1_500, 4_000);
            let line = &self.catalog.lines[FERN_PRE];
            let brand = line.brand();
            self.redemptions.push(Redemption {
                secs,
                brand,
                code: line.code.unwrap_or_default().to_owned(),
                order: None,
                value_cents: cents,
                ip: None,
            });
            self.conversions.push(Conversion {
                brand,
                order: None,
                kind: Kind::Redemption,
                secs,
                value_micros: cents * MICROS_PER_CENT,
                refunded_micros: 0,
                home: None,
                code_line: Some(FERN_PRE),
                cause: None,
            });
        }
    }

    /// People who look and do not buy.
    fn visits(&mut self, regular: usize, rng: &mut Rng) {
        for home in 0..regular {
            if !rng.chance(1, 4) {
                continue;
            }
            let secs = rng.range(self.first_secs, self.last_secs);
            let ip = self.homes[home].address.text(rng);
            self.pixels.push(Pixel {
                secs,
                brand: rng.index(BRANDS.len()),
                kind: "page",
                order: None,
                value_cents: None,
                ip,
                agent: BROWSERS[rng.index(BROWSERS.len())],
            });
        }
    }
}
