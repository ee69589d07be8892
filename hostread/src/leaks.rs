//! Hours in which a promo code was used by far more people whom no ad reached than before, for `hostread report leaks`: it got
//! to where anybody finds it.
//!
//! Promises: an hour is judged as the pipeline judges the hours of a campaign (definition 18), from the code's first use on.
//! Leaves out: where it got to.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use hostread_rules::flags_since;
use hostread_schemas::Hour;
use jiff::civil::Date;
use serde_json::{Value, json};

use crate::credits::{HEARD, SECS_MAX, Which};
use crate::listing::{Column, Listing};
use crate::tables::{Tables, int, text};

/// Hours with uses of a code, at most. More: name a tenant.
const ROWS_MAX: usize = 1_000_000;

/// Tenant, store, code and the line item that it names.
type Code = [String; 4];
/// Of an hour: all uses of the code, and those of people whom no ad reached.
type Uses = BTreeMap<Hour, (i64, i64)>;

impl Tables {
    /// A row for each hour that stands out.
    ///
    /// # Errors
    /// When the database does not answer, or there is more than can be judged.
    pub(crate) async fn leaks(&self, which: &Which) -> Result<Listing> {
        let params = [
            ("param_tenant", which.tenant.clone().unwrap_or_default()),
            ("param_currency", which.currency.clone().unwrap_or_default()),
            ("max_execution_time", SECS_MAX.to_owned()),
        ];
        let query = format!(
            "SELECT tenant, store, code, code_line, intDiv(toUnixTimestamp64Milli(converted_at), 3600000) AS hour, \
                count(), countIf(NOT {HEARD}) FROM serving.conversions FINAL \
            WHERE code != '' AND {{tenant:String}} IN ('', tenant) AND {{currency:String}} IN ('', currency) \
            GROUP BY ALL LIMIT {}",
            ROWS_MAX + 1
        );
        let rows = self.rows_with(&query, &params).await;
        let rows = rows.context("reading codes")?;
        if rows.len() > ROWS_MAX {
            bail!("there are more than {ROWS_MAX} hours of codes: name a tenant with --tenant");
        }
        let mut codes: BTreeMap<Code, Uses> = BTreeMap::new();
        for row in &rows {
            let code = [0, 1, 2, 3].map(|at| text(row, at));
            let hour = Hour(i32::try_from(int(row, 4)).unwrap_or_default());
            let uses = codes.entry(code).or_default();
            uses.insert(hour, (int(row, 5), int(row, 6)));
        }
        Ok(listing(&codes, which))
    }
}

fn listing(codes: &BTreeMap<Code, Uses>, which: &Which) -> Listing {
    let columns = vec![
        Column::text("tenant"),
        Column::text("store"),
        Column::text("code"),
        Column::text("line"),
        Column::text("hour"),
        Column::count("redemptions"),
        Column::count("unmatched"),
        Column::count("usual"),
        Column::count("leaked"),
    ];
    let asked = |hour: Hour| {
        let day = hour.start().day().to_string().parse::<Date>();
        let from = |day: Date| which.from.is_none_or(|from| from <= day);
        let to = |day: Date| which.to.is_none_or(|to| day <= to);
        day.is_ok_and(|day| from(day) && to(day))
    };
    let mut rows: Vec<Vec<Value>> = Vec::new();
    for (code, uses) in codes {
        let unheard = uses.iter().map(|(hour, (_, unheard))| (*hour, *unheard));
        let unheard: BTreeMap<Hour, i64> = unheard.collect();
        let (first, last) = (unheard.first_key_value(), unheard.last_key_value());
        let Some(((first, _), (last, _))) = first.zip(last) else {
            continue;
        };
        let all = *first..Hour(last.0.saturating_add(1));
        // Quiet hours stand out too, and leak nothing.
        let flagged = flags_since(*first, &unheard, all).into_iter();
        for (hour, row) in flagged.filter(|(hour, row)| row.count > row.median && asked(*hour)) {
            let used = uses.get(&hour).map_or(0, |(used, _)| *used);
            let mut cells: Vec<Value> = code.iter().map(|word| json!(word)).collect();
            cells.extend([
                json!(hour.start().to_string()),
                json!(used),
                json!(row.count),
                json!(row.median),
                json!(row.count - row.median),
            ]);
            rows.push(cells);
        }
    }
    let all = rows.len() as u64;
    rows.truncate(which.limit as usize);
    Listing::of_all(columns, rows, all, "further")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Uses of a code from the first hour on: all, and those whom no ad reached.
    fn csv(uses: &[(i32, i64, i64)], which: &Which) -> Vec<String> {
        let code = ["acme", "shop", "fern10", "spring"].map(str::to_owned);
        let uses = uses.iter();
        let uses = uses.map(|(hour, used, unheard)| (Hour(1_000 + hour), (*used, *unheard)));
        let codes = BTreeMap::from([(code, uses.collect())]);
        let csv = listing(&codes, which).csv().expect("it fits");
        csv.lines().skip(1).map(str::to_owned).collect()
    }

    #[test]
    fn an_hour_of_people_whom_no_ad_reached_stands_out() {
        let which = Which {
            limit: 9,
            ..Which::default()
        };
        let quiet = [(0, 3, 1), (5, 2, 1), (30, 20, 4)];
        assert_eq!(
            csv(&quiet, &which),
            Vec::<String>::new(),
            "they had heard it"
        );
        let burst = [(0, 3, 0), (20, 2, 1), (30, 20, 18)];
        let ought = "acme,shop,fern10,spring,1970-02-12T22:00:00.000Z,20,18,0,18";
        assert_eq!(csv(&burst, &which), [ought]);
        let early = [(0, 3, 1), (20, 20, 18)];
        assert_eq!(
            csv(&early, &which),
            Vec::<String>::new(),
            "less than a day before"
        );
        let after = Which {
            from: "1970-02-13".parse().ok(),
            ..which
        };
        assert_eq!(csv(&burst, &after), Vec::<String>::new());
    }
}
