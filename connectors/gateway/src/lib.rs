//! The HTTP doors: what comes in over the network becomes durable events.
//! Needs: an event log, a folder for spill and dead letters, a clock, keys.
//! Promises: 2xx means durable; a refusal names what is wrong and changes nothing; no input makes a door panic or hang.
//! Leaves out: TLS and public reach (a proxy's), what events mean (the pipeline's).
//!
//! ```text
//! POST /v1/events  /v1/redemptions  /v1/import/{format}     API key          ─► intake ─► log
//! GET  /v1/pixel.gif  /v1/impression.gif   POST /v1/pixel   public key `k`   ─► intake ─► log, or spill ─► log
//! POST /hooks/shopify/{connection}                          HMAC             ─► intake ─► log, or dead letters
//! GET  /p/{feed}/{url}                                  nothing          ─► 302, and later intake ─► log, or spill ─► log
//! GET  /v1/explain/{kind}/{id}                             API key          ◄─ whoever can explain numbers
//! GET  /v1/attribution/models  POST …/calculate …/validate  API key          ◄─ whoever can calculate credits
//! GET  /v1/attribution/campaigns  …/codes  …/reach         API key          ◄─ whoever reads the databases and the journal
//! GET  /v1/openapi.json  /v1/tag.js
//! GET  /livez  /readyz  /readyz/pipeline  /metrics
//! ```

mod addresses;
mod body;
mod config;
mod doors;
mod hits;
mod intake;
mod problem;
mod server;
mod telemetry;
mod tenants;
pub mod upload;

pub use addresses::{AddressesError, open as open_addresses};
pub use config::{ConfigError, GatewayConfig, LimitsConfig, TenantConfig};
pub use doors::attribution::{Attribution, Calculate, CalculateAsk};
pub use doors::explain::{Explain, ExplainAsk, ExplainRefusal};
pub use doors::numbers::{Numbers, NumbersAnswer, NumbersAsk, NumbersQuery, NumbersRefusal, Sheet};
pub use intake::Clock;
pub use server::{Gateway, GatewayError, GatewayParts, MetricsText, PipelineReady, Spilled};

/// Folder of the spill below the gateway's folder.
pub const SPILL_DIR: &str = "spill";
/// Folder of the dead letters below the gateway's folder.
pub const DEAD_LETTERS_DIR: &str = "dead-letters";
