//! When a day is sealed and released, when a number is published (definitions 19 and 20).
//!
//! Needs: the clock. Promises: saturates. Leaves out: doing it.
//! Invariant 1: none of the days moves back as the clock goes on. Invariant 2: nothing is released
//! before its day is sealed.

use hostread_schemas::unit::DAY_MS;
use hostread_schemas::view::{Metric, NumberKey, Period, ViewKey, ViewValue, WindowKind};
use hostread_schemas::{Day, EventTimeMs};

/// Days between the last change that counts and the seal.
const SEAL_MARGIN_DAYS: i64 = 2;

/// How long things may move.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Horizons {
    /// The watermark runs so far behind the clock.
    pub lateness_ms: i64,
    /// How late an event may come and still count.
    pub horizon_days: i32,
    /// After the end of its period a number is published.
    pub publish_after_ms: i64,
    /// The longest lookback of any tenant.
    pub lookback_days: i32,
    /// Signals and receipts are kept so long.
    pub conversion_days: i32,
}

impl Default for Horizons {
    fn default() -> Self {
        Self {
            lateness_ms: DAY_MS,
            horizon_days: 60,
            publish_after_ms: 2 * DAY_MS,
            lookback_days: 30,
            conversion_days: 400,
        }
    }
}

impl Horizons {
    /// Up to here everything is expected to have come.
    #[must_use]
    pub const fn watermark(&self, clock: EventTimeMs) -> EventTimeMs {
        EventTimeMs(clock.0.saturating_sub(self.lateness_ms))
    }

    /// The last day whose end lies `days` behind the watermark.
    fn behind(&self, clock: EventTimeMs, days: i64) -> Day {
        let today = self.watermark(clock).0.div_euclid(DAY_MS);
        let day = today.saturating_sub(days.max(0)).saturating_sub(1);
        Day(day.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32)
    }

    /// The last sealed day.
    #[must_use]
    pub fn sealed_through(&self, clock: EventTimeMs) -> Day {
        self.behind(clock, i64::from(self.horizon_days) + SEAL_MARGIN_DAYS)
    }

    /// The last day whose requests, impressions and touches are released.
    #[must_use]
    pub fn exposures_released_through(&self, clock: EventTimeMs) -> Day {
        let lookback = i64::from(self.lookback_days.max(0));
        let horizon = i64::from(self.horizon_days);
        self.behind(clock, horizon + lookback + SEAL_MARGIN_DAYS)
    }

    /// The last day whose signals and receipts are released; never before the day is sealed.
    #[must_use]
    pub fn conversions_released_through(&self, clock: EventTimeMs) -> Day {
        self.behind(clock, i64::from(self.conversion_days))
            .min(self.sealed_through(clock))
    }

    /// Is a number of a period that ends then published?
    #[must_use]
    pub const fn published(&self, period_end: EventTimeMs, clock: EventTimeMs) -> bool {
        clock.0 >= period_end.0.saturating_add(self.publish_after_ms)
    }
}

/// The numbers of a row: its key, the end of its period, its columns.
pub type Numbers = (NumberKey, EventTimeMs, Vec<(Metric, i64)>);

/// The numbers of a row, if it is one of a number view.
#[must_use]
pub fn metrics(key: &ViewKey, value: &ViewValue) -> Option<Numbers> {
    Some(match (key, value) {
        (ViewKey::DownloadsDaily(key), ViewValue::DownloadsDaily(row)) => (
            NumberKey::DownloadsDaily(*key),
            key.day.end(),
            vec![(downloads_under(key.window), row.downloads)],
        ),
        (ViewKey::AttributionDaily(key), ViewValue::AttributionDaily(row)) => (
            NumberKey::AttributionDaily(*key),
            key.day.end(),
            vec![
                (Metric::CreditMicros, row.credit_micros),
                (Metric::MoneyMicros, row.money_micros),
            ],
        ),
        (ViewKey::DeliveryDaily(key), ViewValue::DeliveryDaily(row)) => (
            NumberKey::DeliveryDaily(*key),
            key.day.end(),
            vec![
                (Metric::Delivered, row.delivered),
                (Metric::Billable, row.billable),
            ],
        ),
        (ViewKey::BillingLines(key), ViewValue::BillingLines(row)) => (
            NumberKey::BillingLines(*key),
            period_end(key.period),
            vec![
                (Metric::Quantity, row.quantity),
                (Metric::AmountMicros, row.amount.0),
            ],
        ),
        _ => return None,
    })
}

/// The column of a window's downloads.
const fn downloads_under(window: WindowKind) -> Metric {
    match window {
        WindowKind::CalendarDay => Metric::Downloads,
        WindowKind::FirstTouch => Metric::DownloadsFirstTouch,
        WindowKind::LastTouch => Metric::DownloadsLastTouch,
    }
}

/// First millisecond after a month, UTC.
fn period_end(period: Period) -> EventTimeMs {
    const YEAR_MAX: i32 = 9_998;
    Period(period.0.clamp(-YEAR_MAX * 12, YEAR_MAX * 12))
        .end()
        .start()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostread_schemas::view::{BillingLineKey, BillingLineRow, DownloadsDailyRow};
    use hostread_schemas::{LineId, MoneyMicros, TenantId};
    use proptest::prelude::*;

    #[test]
    fn a_day_is_sealed_and_released_at_the_hour() {
        let horizons = Horizons::default();
        let clock = |day: i32, ms: i64| EventTimeMs(Day(day).start().0 + ms);
        // Day 1000 ends at the start of 1001; 60 + 2 days and 24 hours later it is sealed.
        assert_eq!(horizons.sealed_through(clock(1064, 0)), Day(1000));
        assert_eq!(horizons.sealed_through(clock(1064, -1)), Day(999));
        assert_eq!(
            horizons.exposures_released_through(clock(1094, 0)),
            Day(1000)
        );
        assert_eq!(
            horizons.exposures_released_through(clock(1094, -1)),
            Day(999)
        );
        assert_eq!(
            horizons.conversions_released_through(clock(1402, 0)),
            Day(1000)
        );
        assert_eq!(
            horizons.conversions_released_through(clock(1402, -1)),
            Day(999)
        );
        assert_eq!(horizons.watermark(clock(5, 7)), clock(4, 7));
        let short = Horizons {
            conversion_days: 0,
            ..horizons
        };
        assert_eq!(
            short.conversions_released_through(clock(1064, 0)),
            Day(1000),
            "once sealed"
        );
    }

    #[test]
    fn published_two_days_after_the_period() {
        let horizons = Horizons::default();
        assert!(horizons.published(Day(10).end(), Day(13).start()));
        assert!(!horizons.published(Day(10).end(), EventTimeMs(Day(13).start().0 - 1)));
        assert!(!horizons.published(EventTimeMs(i64::MAX), Day(13).start()));
    }

    #[test]
    fn numbers_of_a_row() {
        let period = Period(2026 * 12 + 10);
        let key = BillingLineKey {
            tenant: TenantId(1),
            line: LineId(2),
            period,
        };
        let row = BillingLineRow {
            price_kind: hostread_schemas::event::PriceKind::Cpm,
            quantity: 3,
            amount: MoneyMicros(4),
            currency: hostread_schemas::Currency::default(),
        };
        let value = ViewValue::BillingLines(row);
        let expected = (
            NumberKey::BillingLines(key),
            EventTimeMs::from_rfc3339("2026-12-01T00:00:00Z").unwrap_or_default(),
            vec![(Metric::Quantity, 3), (Metric::AmountMicros, 4)],
        );
        assert_eq!(metrics(&ViewKey::BillingLines(key), &value), Some(expected));
        let words = [
            WindowKind::CalendarDay,
            WindowKind::FirstTouch,
            WindowKind::LastTouch,
        ];
        let words = words.map(|window| downloads_under(window).as_str());
        assert_eq!(
            words,
            ["downloads", "downloads_first_touch", "downloads_last_touch"]
        );
        let other = ViewValue::DownloadsDaily(DownloadsDailyRow { downloads: 1 });
        assert_eq!(metrics(&ViewKey::BillingLines(key), &other), None);
        for period in [i32::MIN, i32::MAX] {
            let key = BillingLineKey {
                period: Period(period),
                ..key
            };
            assert!(metrics(&ViewKey::BillingLines(key), &value).is_some());
        }
    }

    proptest! {
        #[test]
        fn invariants_1_and_2_days_go_on_and_in_order(
            clock: i64, later in 0_i64..10_000_000_000, lateness_ms: i64,
            days: (i32, i32, i32),
        ) {
            let horizons = Horizons {
                lateness_ms,
                horizon_days: days.0,
                lookback_days: days.1,
                conversion_days: days.2,
                ..Horizons::default()
            };
            let at = |clock: i64| {
                let clock = EventTimeMs(clock);
                (
                    horizons.sealed_through(clock),
                    horizons.exposures_released_through(clock),
                    horizons.conversions_released_through(clock),
                )
            };
            let (now, then) = (at(clock), at(clock.saturating_add(later)));
            prop_assert!(now.0 <= then.0 && now.1 <= then.1 && now.2 <= then.2, "invariant 1");
            prop_assert!(now.1 <= now.0 && now.2 <= now.0, "invariant 2");
        }
    }
}
