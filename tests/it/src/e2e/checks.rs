//! What must hold of the tables of a run.

use hostread_schemas::Tick;
use hostread_schemas::view::View;
use sqlx::PgConnection;

use super::databases::{Databases, Tables};

/// Views whose rows say at which tick something happened: not the same when ticks are cut elsewhere.
pub(super) const LEDGER: [View; 2] = [View::Restatements, View::LateAfterSeal];

/// Both have the same rows; `but` is left out.
pub(super) fn assert_equal(what: &str, found: &Tables, expected: &Tables, but: &[View]) {
    let keys: std::collections::BTreeSet<_> = found.keys().chain(expected.keys()).collect();
    let mut differences = Vec::new();
    for key in keys.into_iter().filter(|(_, view)| !but.contains(view)) {
        let rows = |tables: &Tables| tables.get(key).cloned().unwrap_or_default();
        let (found, expected) = (rows(found), rows(expected));
        if found == expected {
            continue;
        }
        let only = |these: &[String], others: &[String]| {
            let rows = these
                .iter()
                .filter(|row| others.binary_search(row).is_err());
            rows.take(3).cloned().collect::<Vec<_>>().join("\n      ")
        };
        differences.push(format!(
            "{key:?}: {} rows, expected {}\n  only found:\n      {}\n  only expected:\n      {}",
            found.len(),
            expected.len(),
            only(&found, &expected),
            only(&expected, &found)
        ));
    }
    assert!(
        differences.is_empty(),
        "{what}:\n{}",
        differences.join("\n")
    );
}

/// Every view has rows, so that equality says something. Anomalies are rare.
pub(super) fn assert_filled(tables: &Tables) {
    for view in View::ALL.iter().filter(|view| **view != View::Anomalies) {
        let found = tables.keys().any(|(_, there)| there == view);
        assert!(found, "no row of {view:?}");
    }
}

/// Queries of ClickHouse that find what must not be, each with what it would be.
const NEVER: &[(&str, &str)] = &[
    (
        "matched conversions whose credits are not 1,000,000 or whose money is not the order's value",
        "SELECT c.conversion, c.value_micros, s.credit, s.money FROM serving.conversions AS c FINAL LEFT JOIN
            (SELECT tenant, conversion, sumForEach([credit_first_micros, credit_last_micros, credit_linear_micros,
                credit_time_decay_micros, credit_position_micros, credit_shapley_micros]) AS credit, sumForEach([money_first_micros,
                money_last_micros, money_linear_micros, money_time_decay_micros, money_position_micros, money_shapley_micros]) AS money
             FROM serving.credits FINAL GROUP BY tenant, conversion) AS s
         ON s.tenant = c.tenant AND s.conversion = c.conversion
         WHERE c.matched_by != 'none' AND (s.credit != arrayResize([1000000], 6, 1000000)
            OR s.money != arrayResize([c.value_micros], 6, c.value_micros))",
    ),
    (
        "credits without a matched conversion",
        "SELECT * FROM serving.credits AS s FINAL LEFT ANTI JOIN
            (SELECT tenant, conversion FROM serving.conversions FINAL WHERE matched_by != 'none') AS c
         ON s.tenant = c.tenant AND s.conversion = c.conversion",
    ),
    (
        "downloads whose requests are not the counted verdicts of the listener's day",
        "SELECT d.* FROM serving.downloads AS d FINAL LEFT JOIN
            (SELECT tenant, day, episode, listener, count() AS verdicts FROM serving.verdicts FINAL
             WHERE verdict = 'counted' GROUP BY tenant, day, episode, listener) AS v
         ON v.tenant = d.tenant AND v.day = d.day AND v.episode = d.episode AND v.listener = d.listener
         WHERE v.verdicts != d.requests",
    ),
    (
        "counted verdicts without a download",
        "SELECT * FROM serving.verdicts AS v FINAL LEFT ANTI JOIN serving.downloads AS d FINAL
         ON v.tenant = d.tenant AND v.day = d.day AND v.episode = d.episode AND v.listener = d.listener
         WHERE v.verdict = 'counted'",
    ),
    (
        "days whose downloads are not the sum of the day's rows",
        "SELECT tenant, day, episode, sum(n) FROM
            (SELECT tenant, day, episode, toInt64(1) AS n FROM serving.downloads FINAL
             UNION ALL SELECT tenant, day, episode, -downloads FROM serving.downloads_daily FINAL
             WHERE window_kind = 'calendar_day')
         GROUP BY tenant, day, episode HAVING sum(n) != 0",
    ),
];

/// DOMAIN's invariants on the real tables.
pub(super) async fn assert_invariants(databases: &Databases) {
    for (what, query) in NEVER {
        let found = databases.ask(&format!("{query} LIMIT 5")).await;
        assert!(found.is_empty(), "{what}:\n{found}");
    }
    let matched = "SELECT count() FROM serving.conversions FINAL WHERE matched_by != 'none'";
    assert_ne!(databases.ask(matched).await, "0\n", "no order is matched");
}

/// Rows that were ever written to the views' tables, as ClickHouse and PostgreSQL count them. An insert makes a part of one
/// block; ClickHouse keeps parts that were merged for 8 minutes, and a run takes less.
pub(super) async fn written(databases: &Databases) -> [u64; 2] {
    let views: Vec<String> = View::ALL
        .iter()
        .map(|v| format!("'{}'", v.name()))
        .collect();
    let query = format!(
        "SELECT sum(rows) FROM system.parts WHERE database = 'serving' \
         AND min_block_number = max_block_number AND level <= 1 AND table IN ({})",
        views.join(",")
    );
    let clickhouse = databases.ask(&query).await.trim().parse().unwrap();
    let mut postgres: PgConnection = databases.connect().await;
    let rows: i64 = sqlx::query_scalar(
        "SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint FROM pg_stat_user_tables \
         WHERE schemaname = 'serving' AND relname NOT IN ('sink_progress', 'migrations')",
    )
    .fetch_one(&mut postgres)
    .await
    .unwrap();
    [clickhouse, rows.unsigned_abs()]
}

/// The tick after the newest that left a row in ClickHouse, whether or not its range was ended.
pub(super) async fn written_upper(databases: &Databases) -> Tick {
    let ticks = hostread_sink_clickhouse::VIEWS.iter().map(|view| {
        let name = view.name();
        format!("SELECT max(version % 1099511627776) AS tick FROM serving.{name}")
    });
    let ticks: Vec<String> = ticks.collect();
    let query = format!("SELECT max(tick) FROM ({})", ticks.join(" UNION ALL "));
    Tick(databases.ask(&query).await.trim().parse().unwrap()).next()
}
