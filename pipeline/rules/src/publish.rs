//! When a day is sealed and released, when a number is published (definitions 19 and 20).
//!
//! Needs: the clock. Promises: saturates. Leaves out: doing it.
//! Invariant 1: none of the days moves back as the clock goes on. Invariant 2: nothing is released
//! before its day is sealed.

use hostread_schemas::unit::DAY_MS;
use hostread_schemas::view::{Metric, NumberKey, Period, ViewKey, ViewValue};
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
            vec![(Metric::Downloads, row.downloads)],
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

/// First millisecond after a month, UTC.
fn period_end(period: Period) -> EventTimeMs {
    const YEAR_MAX: i32 = 9_998;
    Period(period.0.clamp(-YEAR_MAX * 12, YEAR_MAX * 12))
        .end()
        .start()
}
