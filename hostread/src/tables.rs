//! Asks ClickHouse, and reads the cells of its answers.

use anyhow::{Context, Result, bail};
use hostread_sink_clickhouse::ClickHouseConfig;
use serde_json::Value;

/// Reads ClickHouse.
pub(crate) struct Tables {
    clickhouse: ClickHouseConfig,
    client: reqwest::Client,
}

impl Tables {
    /// Asks nothing yet.
    pub(crate) fn new(clickhouse: ClickHouseConfig) -> Result<Self> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .build()?;
        Ok(Self { clickhouse, client })
    }

    /// Rows of a query with parameters; a text may hold any character.
    pub(crate) async fn rows_with(
        &self,
        query: &str,
        params: &[(&str, String)],
    ) -> Result<Vec<Vec<Value>>> {
        let config = &self.clickhouse;
        let mut request = self
            .client
            .post(&config.url)
            .query(&params.iter().map(escaped).collect::<Vec<_>>())
            .header("X-ClickHouse-User", &config.user)
            .header("X-ClickHouse-Key", &config.password);
        for (name, value) in &config.headers {
            request = request.header(name, value);
        }
        let body = format!("{query} FORMAT JSONCompact");
        let response = request
            .body(body)
            .send()
            .await
            .context("asking ClickHouse")?;
        let (status, text) = (response.status(), response.text().await?);
        if !status.is_success() {
            bail!(
                "ClickHouse answered {status}: {}",
                text.lines().next().unwrap_or_default()
            );
        }
        let mut answer: Value =
            serde_json::from_str(&text).context("reading ClickHouse's answer")?;
        Ok(serde_json::from_value(answer["data"].take())?)
    }
}

/// A parameter as ClickHouse reads it: a backslash begins an escape, a tab or a line's end would end the value.
fn escaped<'a>((name, value): &(&'a str, String)) -> (&'a str, String) {
    let value = value.replace('\\', "\\\\").replace('\t', "\\t");
    (name, value.replace('\n', "\\n").replace('\r', "\\r"))
}

/// A cell as it is printed; nothing where there is none.
pub(crate) fn text(row: &[Value], at: usize) -> String {
    match row.get(at) {
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => String::new(),
    }
}

/// A whole number, also where it is quoted; 0 where there is none.
pub(crate) fn int(row: &[Value], at: usize) -> i64 {
    match row.get(at) {
        Some(Value::String(text)) => text.parse().unwrap_or(0),
        Some(value) => value.as_i64().unwrap_or(0),
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_holds_any_character() {
        let value = "a\\b\tc\nd\re'".to_owned();
        let (name, value) = escaped(&("param_code", value));
        assert_eq!((name, &*value), ("param_code", r"a\\b\tc\nd\re'"));
    }
}
