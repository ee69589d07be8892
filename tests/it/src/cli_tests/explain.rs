//! `hostread explain` and its door beside a system that runs: what is explained is what both databases have, row by row; a
//! tenant's door knows nothing of another's.

use std::path::Path;

use reqwest::StatusCode;
use serde_json::Value;

use super::{printed, run, sql, text};

/// Rows of each view that are explained.
const ROWS: u32 = 6;

/// A running demo.
pub(super) struct Demo<'a> {
    /// Where it was started.
    pub(super) dir: &'a Path,
    /// Its data folder.
    pub(super) data: String,
    /// Its SQL door.
    pub(super) door: String,
    /// Its gateway.
    pub(super) gateway: String,
}

impl Demo<'_> {
    fn samples(&self) -> Value {
        let made = self.dir.join(&self.data).join("samples/tenants.json");
        serde_json::from_slice(&std::fs::read(made).unwrap()).unwrap()
    }

    /// Names and API keys of its tenants.
    pub(super) fn tenants(&self) -> Vec<(String, String)> {
        let samples = self.samples();
        let tenants = samples["tenants"].as_array().unwrap().iter();
        let word = |value: &Value| value.as_str().unwrap().to_owned();
        tenants
            .map(|tenant| (word(&tenant["name"]), word(&tenant["api_key"])))
            .collect()
    }

    fn asked(&self, args: &[&str]) -> Vec<String> {
        let base = ["--data-dir", &self.data, "explain"];
        base.iter().chain(args).map(|&arg| arg.to_owned()).collect()
    }

    fn said(&self, tenant: &str, kind: &str, id: &str, more: &[&str]) -> Value {
        let args = [&[kind, id, "--tenant", tenant, "--format", "json"], more].concat();
        let args = self.asked(&args);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        serde_json::from_str(&printed(self.dir, &args)).unwrap()
    }

    fn page(&self, args: &[&str]) -> String {
        let args = self.asked(args);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        printed(self.dir, &args)
    }

    fn refused(&self, args: &[&str]) -> String {
        let args = self.asked(args);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let output = run(self.dir, &args);
        assert_eq!(output.status.code(), Some(2), "{}", text(&output));
        text(&output)
    }

    pub(super) async fn rows(&self, key: &str, query: &str) -> Vec<Value> {
        let query = format!("{query} FORMAT JSONEachRow");
        let said = sql(&self.door, key, &query).await;
        let rows: Vec<Value> = said
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert!(!rows.is_empty(), "{query}");
        rows
    }
}

/// The value that an explanation gives to a number.
fn number<'a>(said: &'a Value, name: &str) -> &'a Value {
    let numbers = said["numbers"].as_array().unwrap();
    let number = numbers.iter().find(|number| number["name"] == name);
    &number.unwrap_or_else(|| panic!("no {name} in {said:#}"))["is"]
}

/// Whole numbers of 64 bits may be quoted.
fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), ToOwned::to_owned)
}

/// Columns of a row are the numbers of its explanation.
fn same(said: &Value, row: &Value, columns: &[&str]) {
    for column in columns {
        let (is, ought) = (plain(number(said, column)), plain(&row[column]));
        assert_eq!(is, ought, "{column}: {row} {said:#}");
    }
}

/// Explains rows of every view of every tenant, and asks the door.
pub(super) async fn every_kind(demo: &Demo<'_>, postgres: &sqlx::PgPool) {
    let tenants = demo.tenants();
    for (tenant, key) in &tenants {
        requests(demo, tenant, key).await;
        downloads(demo, tenant, key).await;
        conversions(demo, tenant, key).await;
        pacing(demo, tenant, key).await;
    }
    // What the printed connection may read.
    billing(demo, &tenants[0].0, postgres).await;
    door(demo, &tenants).await;
    without(demo, &tenants).await;
}

async fn requests(demo: &Demo<'_>, tenant: &str, key: &str) {
    let query = "SELECT request, verdict, sent_bytes, evidence, seen_bytes, needed_bytes FROM hostread.verdicts \
                 ORDER BY request LIMIT 1 BY verdict";
    for row in demo.rows(key, query).await {
        let id = row["request"].as_str().unwrap();
        let said = demo.said(tenant, "request", id, &[]);
        same(&said, &row, &["verdict", "sent_bytes"]);
        let filters = said["because"]["filters"].as_array().unwrap();
        let no = filters.iter().find(|filter| filter["says"] == "said no");
        let because = no.map_or("", |filter| filter["because"].as_str().unwrap());
        let evidence = match row["verdict"].as_str().unwrap() {
            "below_threshold" => format!(
                "{} of {} bytes",
                plain(&row["seen_bytes"]),
                plain(&row["needed_bytes"])
            ),
            "bot_user_agent" => format!("{:?}", row["evidence"].as_str().unwrap()),
            _ => row["evidence"].as_str().unwrap().to_owned(),
        };
        assert!(because.contains(&evidence), "{evidence}: {said:#}");
        let page = demo.page(&["request", id]);
        assert!(page.contains(row["verdict"].as_str().unwrap()), "{page}");
    }
}

async fn downloads(demo: &Demo<'_>, tenant: &str, key: &str) {
    let query = format!(
        "SELECT concat(toString(day), '/', listener, '/', episode) AS id, union_bytes, needed_bytes, requests \
         FROM hostread.downloads ORDER BY requests DESC, id LIMIT {ROWS}"
    );
    for row in demo.rows(key, &query).await {
        let id = row["id"].as_str().unwrap();
        let said = demo.said(tenant, "download", id, &[]);
        same(&said, &row, &["union_bytes", "needed_bytes", "requests"]);
        let seen = said["because"]["episode_day"]["requests"]
            .as_array()
            .unwrap();
        let counted = seen
            .iter()
            .filter(|request| request["verdict"] == "counted");
        assert_eq!(
            counted.count().to_string(),
            plain(&row["requests"]),
            "{said:#}"
        );
        assert!(demo.page(&["download", id]).contains("makes the download"));
    }
}

async fn conversions(demo: &Demo<'_>, tenant: &str, key: &str) {
    let query = "SELECT conversion, order_reference, toInt64(value * 1000000) AS value_micros, matched_by, touches, \
                 touches_cut FROM hostread.conversions ORDER BY conversion LIMIT 3 BY matched_by";
    for row in demo.rows(key, query).await {
        let id = row["conversion"].as_str().unwrap();
        let said = demo.said(tenant, "conversion", id, &[]);
        same(
            &said,
            &row,
            &["value_micros", "matched_by", "touches", "touches_cut"],
        );
        let reference = row["order_reference"].as_str().unwrap();
        assert_eq!(
            said,
            demo.said(tenant, "conversion", reference, &[]),
            "{row}"
        );
        let credits = format!(
            "SELECT line, model, credit_micros FROM hostread.attribution WHERE conversion = '{id}' ORDER BY line, model"
        );
        if row["matched_by"] != "none" {
            for credit in demo.rows(key, &credits).await {
                let (model, line) = (&credit["model"], &credit["line"]);
                let name = format!(
                    "credit_{}_micros of {}",
                    model.as_str().unwrap(),
                    line.as_str().unwrap()
                );
                let (is, ought) = (number(&said, &name), &credit["credit_micros"]);
                assert_eq!(plain(is), plain(ought), "{said:#}");
            }
        }
        let page = demo.page(&["conversion", id, "--tenant", tenant]);
        assert!(page.contains("The path, oldest first"), "{page}");
    }
}

async fn pacing(demo: &Demo<'_>, tenant: &str, key: &str) {
    let query =
        "SELECT line, state, delivered, expected, goal, as_of FROM hostread.pacing ORDER BY line";
    let mut rows = demo.rows(key, query).await;
    loop {
        let explain = |row: &Value| demo.said(tenant, "pacing", row["line"].as_str().unwrap(), &[]);
        let said: Vec<Value> = rows.iter().map(explain).collect();
        let after = demo.rows(key, query).await;
        // The clock may begin an hour meanwhile.
        if after == rows {
            for (said, row) in said.iter().zip(&rows) {
                same(said, row, &["state", "delivered", "expected", "goal"]);
            }
            return;
        }
        rows = after;
    }
}

async fn billing(demo: &Demo<'_>, tenant: &str, postgres: &sqlx::PgPool) {
    let rows: Vec<(String, String, i64, i64)> = sqlx::query_as(
        "SELECT line, to_char(period, 'YYYY-MM'), (CASE price_kind WHEN 'cpa' THEN quantity * 1000000 ELSE quantity END)::bigint, \
         amount_micros FROM hostread.billing_lines ORDER BY 1, 2",
    )
    .fetch_all(postgres)
    .await
    .unwrap();
    assert!(!rows.is_empty());
    for (line, month, quantity, amount) in rows {
        let said = demo.said(tenant, "billing-line", &format!("{line}/{month}"), &[]);
        assert_eq!(number(&said, "quantity"), quantity, "{said:#}");
        assert_eq!(number(&said, "amount_micros"), amount, "{said:#}");
    }
}

/// The same over HTTP; another tenant's id looks like one that nobody has.
async fn door(demo: &Demo<'_>, tenants: &[(String, String)]) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let ask = async |key: Option<&str>, path: &str, accept: &str| {
        let address = format!("{}/v1/explain/{path}", demo.gateway);
        let mut request = client.get(address).header("accept", accept);
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        let answer = request.send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    };
    let [(tenant, key), (_, other), ..] = tenants else {
        panic!("{tenants:?}");
    };
    let query = "SELECT conversion AS id FROM hostread.conversions ORDER BY id LIMIT 1";
    let conversion = demo.rows(key, query).await;
    let conversion = conversion[0]["id"].as_str().unwrap();
    let query = "SELECT request AS id FROM hostread.verdicts ORDER BY id LIMIT 1";
    let request = demo.rows(key, query).await;
    let request = request[0]["id"].as_str().unwrap();
    for path in [
        format!("conversion/{conversion}"),
        format!("request/{request}"),
    ] {
        let (status, said) = ask(Some(key), &path, "*/*").await;
        assert_eq!(status, StatusCode::OK, "{said}");
        let (kind, id) = path.split_once('/').unwrap();
        let mut said: Value = serde_json::from_str(&said).unwrap();
        let mut printed = demo.said(tenant, kind, id, &[]);
        // The clock runs on meanwhile.
        for said in [&mut said, &mut printed] {
            said["as_of"] = Value::Null;
        }
        assert_eq!(said, printed);
        let (status, page) = ask(Some(key), &path, "text/plain").await;
        assert!(status.is_success() && page.starts_with(kind), "{page}");
        let (status, theirs) = ask(Some(other), &path, "*/*").await;
        let (none, nobodys) = ask(Some(other), "conversion/cnv_0000000000000001", "*/*").await;
        assert_eq!((status, &theirs), (none, &nobodys));
        assert_eq!(status, StatusCode::NOT_FOUND, "{theirs}");
        for wrong in [None, Some("nobody")] {
            let (status, said) = ask(wrong, &path, "*/*").await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{said}");
        }
        let (status, said) = ask(Some(key), &format!("{path}?without=nothing"), "*/*").await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{said}");
        assert!(
            said.contains("\"without\"") && said.contains("nothing"),
            "{said}"
        );
    }
    for path in ["nothing/x", "request/x", "pacing/%FF", "request"] {
        let (status, said) = ask(Some(key), path, "*/*").await;
        assert!(status.is_client_error(), "{path}: {status} {said}");
    }
    let path = format!("request/{request}");
    let asked = (0..12).map(|_| ask(Some(key), &path, "*/*"));
    let asked = futures::future::join_all(asked).await;
    let (mut there, mut busy) = (0, 0);
    for (status, said) in asked {
        match status {
            StatusCode::OK => there += 1,
            StatusCode::SERVICE_UNAVAILABLE if said.contains("\"busy\"") => busy += 1,
            status => panic!("{status} {said}"),
        }
    }
    assert!(there >= 2 && there + busy == 12, "{there} {busy}");
}

/// What would be without the rule set, without an order, without the batch of a restatement.
async fn without(demo: &Demo<'_>, tenants: &[(String, String)]) {
    let (tenant, key) = &tenants[0];
    let query = "SELECT request FROM hostread.verdicts WHERE verdict = 'bot_user_agent' LIMIT 1";
    let bot = demo.rows(key, query).await;
    let bot = bot[0]["request"].as_str().unwrap();
    let said = demo.said(tenant, "request", bot, &[]);
    let rules = said["because"]["rule_set_event"]
        .as_str()
        .unwrap()
        .to_owned();
    let said = demo.said(tenant, "request", bot, &["--without", &rules]);
    assert_eq!(said["without"]["differs"], true, "{said:#}");
    assert_ne!(said["numbers"][0]["without"], "bot_user_agent", "{said:#}");
    let page = demo.page(&["request", bot, "--without", &rules]);
    assert!(
        page.contains("rule set") && page.contains("differs"),
        "{page}"
    );

    let moved = demo
        .rows(
            key,
            "SELECT of_key, batches[1] AS batch FROM hostread.restatements WHERE of_view = 'downloads_daily' AND \
             length(batches) > 0 ORDER BY tick DESC LIMIT 1",
        )
        .await;
    let batch = moved[0]["batch"].as_str().unwrap();
    let query = "SELECT line FROM hostread.pacing ORDER BY delivered DESC LIMIT 1";
    let line = demo.rows(key, query).await;
    let line = line[0]["line"].as_str().unwrap();
    let said = demo.said(tenant, "pacing", line, &["--without", batch]);
    assert_eq!(said["without"]["cause"]["batch"], batch, "{said:#}");
    assert!(said["without"]["events"].as_u64() > Some(0), "{said:#}");

    let refused = demo.refused(&["pacing", line, "--tenant", tenant, "--without", "nothing"]);
    assert!(refused.contains("nothing"), "{refused}");
    let refused = demo.refused(&["pacing", "no-such-line"]);
    assert!(refused.contains("no such pacing"), "{refused}");
    let refused = demo.refused(&["download", "2026-03-14"]);
    assert!(refused.contains("DAY/LISTENER/EPISODE"), "{refused}");
}
