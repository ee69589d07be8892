//! `hostread report`: the demo's report, of a system that runs.

use anyhow::{Context, Result};

use crate::config::Config;
use crate::parts::Targets;
use crate::report::Reader;
use crate::say;

/// Reads both databases and prints what a person wants to see first.
pub(crate) async fn run(config: Config) -> Result<bool> {
    let targets = Targets::find(&config)?;
    let away = || {
        format!(
            "the databases of {} do not answer; is `hostread up` running there? `hostread doctor` says more",
            config.data_dir.display()
        )
    };
    let reader = Reader::new(targets.clickhouse, &targets.postgres.url_sink)
        .await
        .with_context(away)?;
    let numbers = reader.numbers().await.with_context(away)?;
    say!("{}", numbers.render());
    Ok(true)
}
