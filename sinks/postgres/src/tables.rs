//! The statements of each table, made from its columns at compile time. Rows come as one JSON array.

use hostread_schemas::view::View;

/// Statements of one table.
pub(crate) struct Table {
    pub(crate) view: View,
    pub(crate) upsert: &'static str,
    pub(crate) delete: &'static str,
    pub(crate) empty: &'static str,
    pub(crate) dump: &'static str,
    pub(crate) dump_with_version: &'static str,
}

macro_rules! table {
    ($view:ident = $name:literal, conflict $conflict:literal,
     key { $($key:literal $key_type:literal),+ }, value { $($value:literal $value_type:literal),+ }) => {
        Table {
            view: View::$view,
            // Two keys can only meet here when their names differ in what PostgreSQL cannot hold; then the newer one stays.
            upsert: concat!(
                "INSERT INTO serving.", $name, " AS t (tenant, ", $($key, ", ",)+ $($value, ", ",)+ "version) ",
                "SELECT DISTINCT ON (tenant", $(", ", $key,)+ ") tenant, ", $($key, ", ",)+ $($value, ", ",)+ "version ",
                "FROM jsonb_to_recordset($1::text::jsonb) AS s (tenant text, ",
                $($key, " ", $key_type, ", ",)+ $($value, " ", $value_type, ", ",)+ "version bigint) ",
                "ORDER BY tenant, ", $($key, ", ",)+ "version DESC ",
                "ON CONFLICT (", $conflict, ") DO UPDATE SET ", $($value, " = excluded.", $value, ", ",)+
                "version = excluded.version WHERE t.version <= excluded.version"
            ),
            delete: concat!(
                "DELETE FROM serving.", $name, " t USING jsonb_to_recordset($1::text::jsonb) AS s (tenant text, ",
                $($key, " ", $key_type, ", ",)+ "version bigint) ",
                "WHERE t.version <= s.version AND t.tenant = s.tenant", $(" AND t.", $key, " = s.", $key,)+
            ),
            empty: concat!("TRUNCATE serving.", $name),
            dump: concat!("SELECT (to_jsonb(t) - 'version')::text FROM serving.", $name, " t"),
            dump_with_version: concat!("SELECT to_jsonb(t)::text FROM serving.", $name, " t"),
        }
    };
}

/// Every table, in the order of [`crate::VIEWS`].
pub(crate) const TABLES: &[Table] = &[
    table!(DeliveryDaily = "delivery_daily", conflict "tenant, line, day",
        key { "line" "text", "day" "date" },
        value { "delivered" "bigint", "billable" "bigint" }),
    table!(Pacing = "pacing", conflict "tenant, line",
        key { "line" "text" },
        value { "kind" "text", "goal" "numeric", "delivered" "bigint", "expected" "bigint",
            "index_permille" "bigint", "state" "text", "as_of" "timestamptz" }),
    table!(BillingLines = "billing_lines", conflict "tenant, line, period",
        key { "line" "text", "period" "date" },
        value { "price_kind" "text", "quantity" "bigint", "amount_micros" "bigint", "currency" "text" }),
    table!(Restatements = "restatements", conflict "tenant, tick, of_view, metric, md5(of_key)",
        key { "tick" "bigint", "of_view" "text", "of_key" "text", "metric" "text" },
        value { "period_end" "date", "old_value" "bigint", "new_value" "bigint", "cause" "text",
            "cause_event" "text", "batches" "text[]", "batches_more" "bigint" }),
    table!(LateAfterSeal = "late_after_seal", conflict "tenant, tick, day, kind, of_view, metric, md5(of_key)",
        key { "tick" "bigint", "day" "date", "kind" "text", "of_view" "text", "of_key" "text", "metric" "text" },
        value { "count" "bigint", "old_value" "bigint", "new_value" "bigint" }),
];

pub(crate) fn table(view: View) -> Option<&'static Table> {
    TABLES.iter().find(|table| table.view == view)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_view_has_a_table() {
        let views: Vec<View> = TABLES.iter().map(|table| table.view).collect();
        assert_eq!(views, crate::VIEWS);
        for table in TABLES {
            assert!(
                table
                    .empty
                    .ends_with(&format!("serving.{}", table.view.name()))
            );
        }
    }
}
