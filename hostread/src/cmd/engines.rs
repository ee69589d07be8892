//! `hostread engines`: the embedded databases alone, for a gateway and a pipeline that run as processes of their own.

use std::sync::Arc;

use anyhow::{Result, ensure};
use hostread_engines::sql_door::{SqlDoorLimits, sql_door};

use super::tree::Keys;
use crate::config::Config;
use crate::parts;
use crate::say;
use crate::serve::{self, Servers};

/// Runs the engines and the SQL door until asked to stop.
pub(crate) async fn run(config: Config) -> Result<bool> {
    parts::check_engines(&config)?;
    let listener = serve::listen("sql.listen", &config.sql.listen).await?;
    let engines = parts::start_engines(&config).await?;
    ensure!(
        engines.is_some(),
        "nothing to run: clickhouse.url and postgres.url_owner name databases of your own"
    );
    let mut servers = Servers::new();
    if let Some(engines) = &engines {
        let sql = format!("{}/sql", serve::address(&listener)?);
        let keys = Arc::new(Keys::of(&config));
        let router = sql_door(engines.clickhouse.clone(), keys, SqlDoorLimits::default())?;
        servers.serve(listener, router);
        say!(
            "engines    ClickHouse {sql}, PostgreSQL on port {}",
            engines.postgres.port
        );
    }
    serve::wait_for_end(None).await;
    servers.stop().await;
    if let Some(engines) = engines {
        engines.stop().await;
    }
    Ok(true)
}
