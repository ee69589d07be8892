//! Downloads under each window of a system that runs, beside `hostread count` of the same logs.

use std::collections::BTreeMap;

use serde_json::Value;

use super::count::{downloads_of_world, rules_of_worlds};
use super::explain::Demo;
use super::sql;

/// The column of each window, and its word for `hostread count`.
const WINDOWS: [(&str, &str); 3] = [
    ("downloads", "calendar"),
    ("downloads_first_touch", "first-touch"),
    ("downloads_last_touch", "last-touch"),
];

/// Each tenant's downloads by episode and day.
pub(super) async fn every_window(demo: &Demo<'_>) {
    rules_of_worlds(demo.dir);
    let world = demo.dir.join(&demo.data).join("samples");
    let mut all = Vec::new();
    for (tenant, key) in demo.tenants() {
        for (column, window) in WINDOWS {
            let counted = downloads_of_world(demo.dir, &world, &tenant, window);
            let query = format!(
                "SELECT episode || '/' || toString(day), sum({column}) AS n FROM hostread.downloads_daily \
                 GROUP BY episode, day HAVING n != 0 FORMAT TabSeparated"
            );
            let rows = sql(&demo.door, &key, &query).await;
            let rows = rows.lines().map(|line| line.split_once('\t').unwrap());
            let found: BTreeMap<String, i64> = rows
                .map(|(name, n)| (name.to_owned(), n.parse().unwrap()))
                .collect();
            let ought: BTreeMap<String, i64> = serde_json::from_value(counted).unwrap();
            assert_eq!(found, ought, "{tenant}, {window}");
            all.push(Value::from_iter(found));
        }
    }
    all.dedup();
    assert!(all.len() > 3, "no window differs from another");
}
