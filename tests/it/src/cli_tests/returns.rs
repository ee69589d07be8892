//! `hostread report returns` beside a system that runs: what bills and the credits of single conversions say, put together here.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::credits::Sheets;

const MODELS: [&str; 6] = [
    "first",
    "last",
    "linear",
    "time_decay",
    "position",
    "shapley",
];

/// By line item and currency, in millionths.
type Spend = BTreeMap<(String, String), i64>;

/// Credit and money by line item, model and currency, in millionths.
type Earned = BTreeMap<(String, String, String), [i64; 2]>;

/// Compares every row; `false` where the connection shows no bill of the tenant.
pub(super) async fn every_line(sheets: &Sheets<'_>, postgres: &sqlx::PgPool) -> bool {
    let bills: Vec<(String, String, String, i64)> =
        sqlx::query_as("SELECT tenant, line, currency, amount_micros FROM hostread.billing_lines")
            .fetch_all(postgres)
            .await
            .unwrap();
    let mut spend = Spend::new();
    for (tenant, line, currency, micros) in bills {
        if tenant == sheets.tenant {
            *spend.entry((line, currency)).or_default() += micros;
        }
    }
    if spend.is_empty() {
        return false;
    }
    let earned = earned(sheets).await;
    assert_eq!(sheets.rows(&["returns"]), ought(sheets, &spend, &earned));
    let (line, _) = spend.keys().next().unwrap();
    let one = sheets.rows(&["returns", "--line", line, "--model", "linear"]);
    assert!(!one.is_empty());
    for row in one {
        assert_eq!(
            (&row["line"], &row["model"]),
            (&json!(line), &json!("linear"))
        );
    }
    let shown = sheets.printed(&["returns", "--limit", "1"]);
    assert!(shown.contains("further ones are not shown"), "{shown}");
    true
}

async fn earned(sheets: &Sheets<'_>) -> Earned {
    let query = "SELECT line, model, currency, toString(credit_micros), toString(toInt64(money * 1000000)) \
        FROM hostread.attribution FORMAT JSONCompactEachRow";
    let mut earned = Earned::new();
    for row in sheets.asked(query).await.lines() {
        let [line, model, currency, credit, money]: [String; 5] =
            serde_json::from_str(row).unwrap();
        let (credit, money): (i64, i64) = (credit.parse().unwrap(), money.parse().unwrap());
        let sums = earned.entry((line, model, currency)).or_default();
        sums[0] += credit;
        sums[1] += money;
    }
    earned
}

fn ought(sheets: &Sheets<'_>, spend: &Spend, earned: &Earned) -> Vec<Value> {
    let bought = spend.keys().cloned();
    let brought = earned
        .keys()
        .map(|(line, _, currency)| (line.clone(), currency.clone()));
    let pairs: BTreeSet<(String, String)> = bought.chain(brought).collect();
    let mut rows = Vec::new();
    for pair in pairs {
        for model in MODELS {
            let (line, currency) = &pair;
            let of = |currency: &str| {
                let key = (line.clone(), model.to_owned(), currency.to_owned());
                earned.get(&key).copied().unwrap_or_default()
            };
            let spent = spend.get(&pair).copied().unwrap_or(0);
            let [credit, money] = of(currency);
            let all: BTreeSet<&String> = earned.keys().map(|(_, _, currency)| currency).collect();
            let credits: i64 = all.into_iter().map(|currency| of(currency)[0]).sum();
            rows.push(json!({
                "tenant": sheets.tenant, "line": line, "currency": currency, "model": model,
                "spend_micros": spent, "credit_micros": credit, "money_micros": money,
                "roas_micros": near(money, spent),
                "cost_per_conversion_micros": if spent == 0 { Value::Null } else { near(spent, credits) },
            }));
        }
    }
    rows
}

/// A quotient in millionths to the nearest one, by long division.
fn near(of: i64, by: i64) -> Value {
    if by == 0 {
        return Value::Null;
    }
    let (mut quotient, mut rest) = (of / by, of % by);
    for _ in 0..6 {
        rest *= 10;
        quotient = quotient * 10 + rest / by;
        rest %= by;
    }
    json!(quotient + i64::from(rest * 2 >= by))
}
