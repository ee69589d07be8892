//! A log that nobody answers for, as Kafka's client is without its brokers: an append waits, a question about offsets is an error.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hostread_eventlog::{
    EmbeddedLog, EventLog, LogError, LogReader, Offsets, Record, TopicSpec, async_trait,
};
use hostread_gateway::{GatewayConfig, LimitsConfig};

use super::bench::{Disks, Doors, open_log, tenants};

const SHOW: &str = r#"{"type":"show","id":"s","show":"s","time":"2026-11-09T00:00:00Z"}"#;
const REDEMPTION: &str = r#"{"store":"s","code":"X","time":"2026-11-10T00:00:00Z"}"#;
const LINE: &str = "86.225.80.75 - - [09/Nov/2026:00:41:36 +0000] \"GET /a.mp3 HTTP/1.1\" 200 10 \"-\" \"Agent\"\n";
const ORDER: &str =
    include_str!("../../../../connectors/sources/src/shopify/fixtures/orders-create.json");

/// The real log, until it falls silent.
pub(super) struct Silent {
    pub(super) log: EmbeddedLog,
    pub(super) now: AtomicBool,
}

#[async_trait]
impl EventLog for Silent {
    async fn append(&self, batch: Vec<Record>) -> hostread_eventlog::Result<()> {
        if self.now.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        self.log.append(batch).await
    }

    async fn start_offsets(&self) -> hostread_eventlog::Result<Offsets> {
        self.log.start_offsets().await
    }

    async fn end_offsets(&self) -> hostread_eventlog::Result<Offsets> {
        if self.now.load(Ordering::Relaxed) {
            return Err(LogError::Closed);
        }
        self.log.end_offsets().await
    }

    fn topics(&self) -> &[TopicSpec] {
        self.log.topics()
    }

    fn reader(&self, from: &Offsets) -> hostread_eventlog::Result<Box<dyn LogReader>> {
        self.log.reader(from)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_does_not_answer_is_away() {
    let disks = Disks::new(0);
    let log = Arc::new(Silent {
        log: open_log(&disks.log).unwrap(),
        now: AtomicBool::new(true),
    });
    let config = GatewayConfig {
        limits: LimitsConfig {
            append_ms_max: 100,
            ..LimitsConfig::default()
        },
        ..GatewayConfig::default()
    };
    let doors = Doors::over(Arc::<Silent>::clone(&log), disks, config, tenants()).await;
    // Before anything was tried: the log itself is asked.
    let ready = doors.get("/readyz").await;
    assert_eq!((ready.status, &ready.json()["log"]), (503, &"away".into()));
    for refused in [
        doors.post("/v1/events", SHOW).await,
        doors.post("/v1/redemptions", REDEMPTION).await,
        doors.post("/v1/import/combined", LINE).await,
        doors.webhook("orders/create", "w1", ORDER).await,
    ] {
        refused.problem(503, "log_away");
    }
    let pixel = doors.get("/v1/pixel.gif?k=pk-north&store=s&id=1").await;
    assert_eq!(pixel.status, 200);
    assert_eq!(doors.gateway.spilled().events, 1);

    log.now.store(false, Ordering::Relaxed);
    doors.drained().await;
    assert_eq!(doors.get("/readyz").await.status, 200);
    for taken in [
        doors.post("/v1/import/combined", LINE).await,
        doors.webhook("orders/create", "w1", ORDER).await,
    ] {
        assert_eq!(taken.status, 200);
    }
    // The hit, the line and the order; nothing of what was refused.
    assert_eq!(doors.events().await.len(), 3);
}
