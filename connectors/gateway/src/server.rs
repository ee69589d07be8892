//! Puts the doors together and serves them.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use hostread_connectors_kit::{
    DeadLetterError, DeadLetterLimits, DeadLetters, IpRanges, Origin, parse_address,
};
use hostread_disk::{Disk, DiskError, Spill, SpillLimits};
use hostread_eventlog::EventLog;
use hostread_schemas::Encoder;
use hostread_schemas::event::IpClass;
use hostread_schemas::intern::IdHasher;
use hostread_schemas::unit::ReceivedAtMs;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;

use crate::addresses::{self, AddressesError};
use crate::config::{ConfigError, GatewayConfig, TenantConfig};
use crate::doors;
use crate::doors::attribution::Attribution;
use crate::doors::explain::Explain;
use crate::doors::numbers::{Numbers, Sheet, page};
use crate::doors::prefix::HitIds;
use crate::hits::Hits;
use crate::intake::{Clock, Intake};
use crate::problem::Problem;
use crate::tenants::{Tenant, Tenants};
use crate::{DEAD_LETTERS_DIR, SPILL_DIR};

/// Renders `/metrics`.
pub type MetricsText = Arc<dyn Fn() -> String + Send + Sync>;
/// Says whether the pipeline is ready, or why not.
pub type PipelineReady = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// Batches that are read and mapped at the same time; each may hold tens of megabytes.
const BATCHES_AT_ONCE: usize = 4;
/// Numbers that are explained at the same time; each reads the journal and holds a day of a tenant. More: the pipeline beside
/// it feels them; one: two people disturb each other.
const EXPLAINED_AT_ONCE: usize = 2;
/// Files of paths that are calculated at the same time; each keeps a core busy.
const CALCULATED_AT_ONCE: usize = 1;

/// Pages of numbers that are read at the same time. More: dashboards feel them; fewer: people wait for each other.
const READ_AT_ONCE: usize = 4;

/// What the doors stand on.
pub struct GatewayParts {
    /// Settings.
    pub config: GatewayConfig,
    /// Who may call.
    pub tenants: Vec<TenantConfig>,
    /// Where events go.
    pub log: Arc<dyn EventLog>,
    /// Makes records of events.
    pub encoder: Encoder,
    /// Makes event ids, under the installation's key.
    pub ids: IdHasher,
    /// For spill and dead letters.
    pub disk: Arc<dyn Disk>,
    /// Folder with `spill` and `dead-letters`.
    pub dir: PathBuf,
    /// The installation's clock.
    pub clock: Clock,
    /// Renders `/metrics`; without it the address is not there.
    pub metrics: Option<MetricsText>,
    /// Asked by `/v1/explain`; without it the address is not there.
    pub explain: Option<Explain>,
    /// Asked by `/v1/attribution`; without it the addresses are not there.
    pub attribution: Option<Attribution>,
    /// Asked for pages of numbers; without it the addresses are not there.
    pub numbers: Option<Numbers>,
    /// Asked by `/readyz/pipeline`; without it the address is not there.
    pub pipeline_ready: Option<PipelineReady>,
}

/// Why the doors cannot open.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The configuration.
    #[error("the gateway's settings cannot be used")]
    Config(#[from] ConfigError),
    /// A file of networks, or a database of addresses.
    #[error("{path} cannot be used")]
    Addresses {
        /// Which.
        path: String,
        /// Why.
        source: AddressesError,
    },
    /// The spill's folder.
    #[error("the spill cannot be opened")]
    Spill(#[from] DiskError),
    /// The dead letters' folder.
    #[error("the dead letters cannot be opened")]
    DeadLetters(#[from] DeadLetterError),
    /// The socket.
    #[error("could not serve HTTP")]
    Serve(#[from] std::io::Error),
}

pub(crate) struct State {
    pub(crate) tenants: Tenants,
    pub(crate) intake: Arc<Intake>,
    pub(crate) ids: IdHasher,
    pub(crate) config: GatewayConfig,
    pub(crate) batches: Semaphore,
    pub(crate) metrics: Option<MetricsText>,
    pub(crate) pipeline_ready: Option<PipelineReady>,
    pub(crate) explain: Option<Explain>,
    pub(crate) explaining: Arc<Semaphore>,
    pub(crate) attribution: Option<Attribution>,
    pub(crate) calculating: Arc<Semaphore>,
    pub(crate) numbers: Option<Numbers>,
    pub(crate) reading: Semaphore,
    pub(crate) hits: Hits,
    pub(crate) hit_ids: HitIds,
    proxies: IpRanges,
}

/// The doors, ready to be served.
#[derive(Clone)]
pub struct Gateway(Arc<State>);

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gateway")
    }
}

/// How much waits for the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spilled {
    /// Events.
    pub events: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Events that the bound refused since start.
    pub cut_total: u64,
}

impl Gateway {
    /// Checks the settings and opens spill and dead letters. Blocks.
    pub fn open(parts: GatewayParts) -> Result<Self, GatewayError> {
        parts.config.check(&parts.tenants)?;
        let limits = &parts.config.limits;
        let addresses = Arc::new(addresses::open(&parts.config)?);
        let tenants = Tenants::new(&parts.tenants, &addresses, limits)?;
        let spill = Spill::open(
            Arc::clone(&parts.disk),
            &parts.dir.join(SPILL_DIR),
            SpillLimits {
                bytes_max: limits.spill_bytes_max,
                ..SpillLimits::default()
            },
        )?;
        let dead_letters = DeadLetters::open(
            parts.disk,
            &parts.dir.join(DEAD_LETTERS_DIR),
            DeadLetterLimits {
                bytes_max: limits.dead_letter_bytes_max,
                ..DeadLetterLimits::default()
            },
        )?;
        let intake = Intake {
            log: parts.log,
            encoder: parts.encoder,
            spill: Arc::new(spill),
            dead_letters: Arc::new(dead_letters),
            clock: parts.clock,
            append_timeout: Duration::from_millis(limits.append_ms_max),
            away_until_ms: AtomicI64::new(i64::MIN),
        };
        Ok(Self(Arc::new(State {
            tenants,
            intake: Arc::new(intake),
            ids: parts.ids,
            proxies: parts.config.proxies()?,
            hits: Hits::new(parts.config.limits.prefix_hits_max),
            hit_ids: HitIds::new(),
            config: parts.config,
            batches: Semaphore::new(BATCHES_AT_ONCE),
            metrics: parts.metrics,
            pipeline_ready: parts.pipeline_ready,
            explain: parts.explain,
            explaining: Arc::new(Semaphore::new(EXPLAINED_AT_ONCE)),
            attribution: parts.attribution,
            calculating: Arc::new(Semaphore::new(CALCULATED_AT_ONCE)),
            numbers: parts.numbers,
            reading: Semaphore::new(READ_AT_ONCE),
        })))
    }

    /// The doors as a service. `serve` adds what needs a task of its own; with the router alone the spill is not drained.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/v1/events", post(doors::events::post))
            .route("/v1/redemptions", post(doors::redemptions::post))
            .route("/v1/import/{format}", post(doors::import::post))
            .route(
                "/v1/pixel.gif",
                get(doors::web::pixel_gif).head(no_such_method),
            )
            .route(
                "/v1/pixel",
                post(doors::web::pixel_post).options(doors::web::preflight),
            )
            .route(
                "/v1/impression.gif",
                get(doors::web::impression_gif).head(no_such_method),
            )
            .route("/v1/tag.js", get(doors::tag::get))
            .route("/hooks/shopify/{connection}", post(doors::shopify::post))
            .route("/v1/explain/{kind}/{*id}", get(doors::explain::get))
            .route("/v1/attribution/models", get(doors::attribution::models))
            .route(
                "/v1/attribution/calculate",
                post(doors::attribution::calculate),
            )
            .route(
                "/v1/attribution/validate",
                post(doors::attribution::validate),
            )
            .route("/v1/attribution/campaigns", page(Sheet::Campaigns))
            .route("/v1/attribution/codes", page(Sheet::Codes))
            .route("/v1/attribution/paths", page(Sheet::Paths))
            .route("/v1/attribution/path-lengths", page(Sheet::PathLengths))
            .route("/v1/attribution/touchpoints", page(Sheet::Touchpoints))
            .route("/v1/attribution/time-lags", page(Sheet::TimeLags))
            .route("/v1/attribution/lookbacks", page(Sheet::Lookbacks))
            .route("/v1/attribution/overlaps", page(Sheet::Overlaps))
            .route("/v1/attribution/reach", page(Sheet::Reach))
            .route("/v1/attribution/funnel", page(Sheet::Funnel))
            .route("/v1/attribution/episodes", page(Sheet::Episodes))
            .route("/v1/attribution/customers", page(Sheet::Customers))
            .route("/v1/openapi.json", get(doors::openapi::get))
            .route("/p/{*url}", get(doors::prefix::get))
            .route("/livez", get(doors::health::live))
            .route("/readyz", get(doors::health::ready))
            .route("/readyz/pipeline", get(doors::health::pipeline_ready))
            .route("/metrics", get(doors::health::metrics))
            .fallback(|| async { Problem::NotFound })
            .method_not_allowed_fallback(no_such_method)
            .layer(DefaultBodyLimit::disable())
            .layer(CatchPanicLayer::custom(|_| {
                Problem::Internal.into_response()
            }))
            .with_state(Arc::clone(&self.0))
    }

    /// Serves until `shutdown` is done, then finishes what is under way.
    pub async fn serve(
        &self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), GatewayError> {
        let drain = tokio::spawn(Arc::clone(&self.0.intake).drain());
        let hits = Arc::clone(&self.0);
        let kept = tokio::spawn(async move { hits.hits.drain(&hits.intake).await });
        let service = self
            .router()
            .into_make_service_with_connect_info::<SocketAddr>();
        let served = axum::serve(listener, service)
            .with_graceful_shutdown(shutdown)
            .await;
        self.0.hits.close();
        kept.await.ok();
        drain.abort();
        // What is spilled stays on disk and is drained after the next start.
        drain.await.ok();
        Ok(served?)
    }

    /// Hits of prefixes that are not durable yet, and that are lost since start.
    pub fn prefix_hits(&self) -> (u64, u64) {
        (self.0.hits.waiting_count(), self.0.hits.lost_count())
    }

    /// How much waits for the log.
    pub fn spilled(&self) -> Spilled {
        let stats = self.0.intake.spill.stats();
        Spilled {
            events: stats.records,
            bytes: stats.bytes,
            cut_total: stats.cut_total,
        }
    }
}

/// Also for HEAD at the doors that store: who only looks has seen nothing.
async fn no_such_method() -> Problem {
    Problem::Method
}

impl State {
    /// The caller's address: the peer's, or behind trusted proxies the last one that none of them added.
    pub(crate) fn caller(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let trusted = |address: IpAddr| self.proxies.class(address) == IpClass::Included;
        if !trusted(peer) {
            return peer;
        }
        let mut caller = peer;
        let forwarded: Vec<&str> = headers
            .get_all("x-forwarded-for")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .collect();
        for hop in forwarded.iter().rev() {
            let Some(address) = parse_address(hop) else {
                break;
            };
            caller = address;
            if !trusted(address) {
                break;
            }
        }
        caller
    }

    pub(crate) fn origin<'a>(
        &self,
        tenant: &'a Tenant,
        source: &'a str,
        batch_id: &'a str,
        now_ms: i64,
    ) -> Origin<'a> {
        Origin {
            tenant: &tenant.name,
            source,
            batch_id,
            received_at: ReceivedAtMs(now_ms),
            ids: self.ids,
            pseudonyms: &tenant.pseudonyms,
        }
    }
}
