//! `hostread gateway`: the doors and the log, without a pipeline.

use anyhow::{Result, ensure};

use crate::config::Config;
use crate::parts::{self, doors};
use crate::say;
use crate::serve::{self, Servers};

/// Serves the doors until asked to stop.
pub(crate) async fn run(config: Config, metrics: crate::Metrics) -> Result<bool> {
    ensure!(
        !config.tenants.is_empty(),
        "no tenant is configured, so nobody could call; add a [[tenants]] table to the file that --config names (docs/reference/configuration.md)"
    );
    let listener = serve::listen("gateway.listen", &config.gateway.listen).await?;
    let log = parts::open_log(&config).await?;
    let gateway = doors::open(&config, &log, doors::wall_clock(), metrics, None).await?;
    let address = serve::address(&listener)?;
    let mut servers = Servers::new();
    let stopped = servers.stopped();
    servers.spawn(async move { Ok(gateway.serve(listener, stopped.wait()).await?) });
    say!(
        "gateway    {address}   {} tenants, log: {}",
        config.tenants.len(),
        config.log_place()
    );
    serve::wait_for_end(None).await;
    servers.stop().await;
    say!("stopped; everything that was answered with 2xx is in the log");
    Ok(true)
}
