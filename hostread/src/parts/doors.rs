//! The gateway's doors.

use std::sync::Arc;

use anyhow::Result;
use hostread_gateway::{Gateway, GatewayParts};
use hostread_job::Status;
use hostread_schemas::Encoder;
use hostread_schemas::intern::IdHasher;

use super::{GATEWAY_DIR, Log, disk};
use crate::attribute;
use crate::config::Config;
use crate::credits;
use crate::explain::Explainer;

/// The machine's clock.
pub(crate) fn wall_clock() -> hostread_gateway::Clock {
    Arc::new(hostread_job::wall_ms)
}

/// Opens the doors; with a pipeline in the same process they say whether it is ready.
pub(crate) async fn open(
    config: &Config,
    log: &Log,
    clock: hostread_gateway::Clock,
    metrics: crate::Metrics,
    job: Option<Arc<Status>>,
) -> Result<Gateway> {
    let explainer = Arc::new(Explainer::new(config, Some(log.clone()))?);
    let of_journal = Arc::clone(&explainer);
    let of_job = job.clone();
    let parts = GatewayParts {
        config: config.gateway.clone(),
        tenants: config.tenants.clone(),
        log: Arc::clone(&log.log),
        encoder: Encoder::new(log.schema_ids.clone()),
        ids: IdHasher::new(config.id_key_bytes()?),
        disk: disk(),
        dir: config.data_dir.join(GATEWAY_DIR),
        clock,
        metrics: Some(Arc::new(move || metrics.render(of_job.as_deref()))),
        explain: Some(Arc::new(move |ask| explainer.at_door(ask))),
        attribution: Some(attribute::door()),
        numbers: Some(credits::door(config, of_journal)),
        pipeline_ready: job.map(|status| {
            Arc::new(move || status.trouble().map_or(Ok(()), Err))
                as hostread_gateway::PipelineReady
        }),
    };
    Ok(tokio::task::spawn_blocking(move || Gateway::open(parts)).await??)
}
