//! Reads whole tables back, for tests and comparisons.

use async_trait::async_trait;
use hostread_schemas::view::View;
use hostread_sink_kit::{Columns, Dump, Result};

use crate::VIEWS;
use crate::sink::ClickHouseSink;

#[async_trait]
impl Dump for ClickHouseSink {
    async fn dump(&self, view: View, columns: Columns) -> Result<Vec<String>> {
        if !VIEWS.contains(&view) {
            return Ok(Vec::new());
        }
        let hidden = match columns {
            Columns::Row => "version, is_deleted",
            Columns::RowAndVersion => "is_deleted",
        };
        let sql = format!(
            "SELECT * EXCEPT ({hidden}) FROM serving.{} FINAL",
            view.name()
        );
        let mut lines = self
            .connection
            .lines("reading a table back", &sql, "JSONCompactEachRow")
            .await?;
        lines.sort_unstable();
        Ok(lines)
    }
}
