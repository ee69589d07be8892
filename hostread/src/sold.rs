//! What ads sold, by episode and by customer, as rows: for reports and for the door `/v1/attribution`.

use hostread_explain::{Customers, EpisodeSold, Episodes, SoldTo};
use serde_json::{Value, json};

use crate::listing::{Column, Listing};

/// The rows, by tenant, campaign, show and episode.
pub(crate) fn episodes(sold: &Episodes) -> Listing {
    let columns = vec![
        Column::text("tenant"),
        Column::text("campaign"),
        Column::text("show"),
        Column::text("episode"),
        Column::text("currency"),
        Column::count("conversions"),
        Column::count("touches"),
        Column::micros("credit"),
        Column::micros("money"),
    ];
    let row = |it: &EpisodeSold| -> Vec<Value> {
        vec![
            json!(it.tenant),
            json!(it.campaign),
            json!(it.show),
            json!(it.episode),
            json!(it.currency.as_str()),
            json!(it.conversions),
            json!(it.touches),
            json!(it.credit),
            json!(it.money),
        ]
    };
    Listing::whole(columns, sold.rows.iter().map(row).collect())
}

/// The rows, by tenant, campaign, line item, currency and customers.
pub(crate) fn customers(sold: &Customers) -> Listing {
    let columns = vec![
        Column::text("tenant"),
        Column::text("campaign"),
        Column::text("line"),
        Column::text("currency"),
        Column::text("customers"),
        Column::count("conversions"),
        Column::micros("credit"),
        Column::micros("money"),
    ];
    let row = |it: &SoldTo| -> Vec<Value> {
        vec![
            json!(it.tenant),
            json!(it.campaign),
            json!(it.line),
            json!(it.currency.as_str()),
            json!(it.customers.as_str()),
            json!(it.conversions),
            json!(it.credit),
            json!(it.money),
        ]
    };
    Listing::whole(columns, sold.rows.iter().map(row).collect())
}
