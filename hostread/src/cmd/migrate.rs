//! `hostread migrate`: brings the tables of both databases up to date and says what it did.

use anyhow::{Context, Result};

use super::databases::Databases;
use crate::config::Config;
use crate::parts::{self, Targets};
use crate::say;

/// Migrates both.
pub(crate) async fn run(config: Config) -> Result<bool> {
    let targets = Targets::find(&config)?;
    let databases = Databases::new(&targets)?;
    for mut sink in parts::sinks(&targets)? {
        let name = sink.name();
        let before = databases.migrations(name).await.unwrap_or_default();
        sink.migrate().await.with_context(|| {
            format!("migrating {name}; `hostread doctor` says whether it can be reached")
        })?;
        let after = databases.migrations(name).await?;
        let new: Vec<&String> = after.iter().filter(|m| !before.contains(m)).collect();
        if new.is_empty() {
            say!("{name}: up to date, {} migrations", after.len());
        }
        for migration in new {
            say!("{name}: applied {migration}");
        }
    }
    Ok(true)
}
