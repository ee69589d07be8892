//! What campaigns brought as rows, for `hostread report revenue`.

use std::collections::BTreeMap;

use hostread_explain::Revenue;
use serde_json::{Value, json};

use crate::listing::{Column, Listing};

/// How long a row's time is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Span {
    /// A UTC day.
    Day,
    /// A month of UTC days.
    Month,
}

impl Span {
    const fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}

/// The rows, by tenant, time, campaign and currency.
pub(crate) fn listing(revenue: &Revenue, span: Span) -> Listing {
    let columns = vec![
        Column::text("tenant"),
        Column::text(span.name()),
        Column::text("campaign"),
        Column::text("currency"),
        Column::micros("sold"),
        Column::micros("refunded"),
        Column::micros("net"),
    ];
    let mut sums: BTreeMap<[String; 4], (i64, i64)> = BTreeMap::new();
    for row in &revenue.rows {
        let mut time = row.day.to_string();
        if span == Span::Month {
            time.truncate("2026-03".len());
        }
        let (tenant, campaign) = (row.tenant.clone(), row.campaign.clone());
        let sum = sums.entry([tenant, time, campaign, row.currency.as_str().to_owned()]);
        let sum = sum.or_default();
        *sum = (sum.0 + row.sold, sum.1 + row.refunded);
    }
    let row = |(words, (sold, refunded)): ([String; 4], (i64, i64))| -> Vec<Value> {
        let money = [sold, refunded, sold - refunded].map(|money| json!(money));
        let words = words.into_iter().map(Value::String);
        words.chain(money).collect()
    };
    Listing::whole(columns, sums.into_iter().map(row).collect())
}

#[cfg(test)]
mod tests {
    use hostread_explain::{AsOf, Brought};
    use hostread_schemas::{Currency, Day, EventTimeMs, Tick};

    use super::*;

    #[test]
    fn months_are_sums_of_their_days() {
        let on = |day: &str, sold, refunded| Brought {
            tenant: "acme".to_owned(),
            day: Day::from_date(day.parse().expect("a day")),
            campaign: "spring".to_owned(),
            currency: Currency::default(),
            sold,
            refunded,
        };
        let revenue = Revenue {
            as_of: AsOf {
                tick: Tick(1),
                clock: EventTimeMs(0),
            },
            rows: vec![
                on("2026-02-28", 5_000_000, 0),
                on("2026-03-01", 2_000_000, 500_000),
                on("2026-03-31", 0, 4_000_000),
            ],
        };
        let csv = |span| listing(&revenue, span).csv().expect("it fits");
        let ought = "tenant,month,campaign,currency,sold,refunded,net\n\
            acme,2026-02,spring,USD,5,0,5\n\
            acme,2026-03,spring,USD,2,4.5,-2.5\n";
        assert_eq!(csv(Span::Month), ought);
        assert_eq!(csv(Span::Day).lines().count(), 4);
    }
}
