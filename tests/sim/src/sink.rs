//! A sink in memory behind a network that fails.

use std::sync::{Arc, Mutex, PoisonError};

use hostread_eventlog::async_trait;
use hostread_schemas::view::View;
use hostread_schemas::{Names, Tick};
use hostread_sink_kit::{
    FailPoint, MemorySink, MemoryStore, Progress, RangeBatch, Result, Sink, SinkError,
};

/// Views of the sink that keeps what bills are made of.
const BILLING: &[View] = &[
    View::DeliveryDaily,
    View::Pacing,
    View::BillingLines,
    View::Restatements,
];

/// The sinks: name and views.
pub(crate) const SINKS: [(&str, &[View]); 2] = [("analytics", View::ALL), ("billing", BILLING)];

/// What happens to the next range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    /// It does not get through.
    Lost,
    /// The store breaks off.
    Breaks(FailPoint),
    /// It arrives twice.
    Twice,
}

/// What outlives a sink's handles: the store and what its network is about to do.
#[derive(Clone, Default)]
pub(crate) struct Server {
    pub(crate) store: MemoryStore,
    next: Arc<Mutex<Option<Fate>>>,
}

impl Server {
    /// Decides what happens to the next range.
    pub(crate) fn next(&self, fate: Option<Fate>) {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = fate;
    }

    /// A handle of a process.
    pub(crate) fn sink(&self, number: usize) -> Box<dyn Sink> {
        let (name, views) = SINKS[number];
        Box::new(SimSink {
            name,
            server: self.clone(),
            inner: MemorySink::with_views(self.store.clone(), views),
        })
    }

    /// Every tick below is written.
    pub(crate) fn upper(&self) -> Tick {
        self.store.progress().map_or(Tick(0), |stored| stored.upper)
    }
}

struct SimSink {
    name: &'static str,
    server: Server,
    inner: MemorySink,
}

impl SimSink {
    fn lost(&self) -> SinkError {
        SinkError::Dependency {
            sink: self.name,
            doing: "writing rows".to_owned(),
            source: "the simulated network lost it".into(),
        }
    }
}

#[async_trait]
impl Sink for SimSink {
    fn name(&self) -> &'static str {
        self.name
    }

    fn views(&self) -> &'static [View] {
        self.inner.views()
    }

    async fn migrate(&mut self) -> Result<()> {
        self.inner.migrate().await
    }

    async fn open(&mut self, journal_id: u128) -> Result<Progress> {
        self.inner.open(journal_id).await
    }

    async fn apply(&mut self, batch: &RangeBatch, names: &Names) -> Result<()> {
        let fate = {
            let mut next = self
                .server
                .next
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            next.take()
        };
        match fate {
            Some(Fate::Lost) => return Err(self.lost()),
            // What is stored already writes nothing that could break off.
            Some(Fate::Breaks(point)) if batch.upper > self.server.upper() => {
                self.server.store.fail_next(point);
            }
            None | Some(Fate::Breaks(_)) => {}
            Some(Fate::Twice) => self.inner.apply(batch, names).await?,
        }
        self.inner.apply(batch, names).await
    }

    async fn begun_upper(&self) -> Result<Tick> {
        self.inner.begun_upper().await
    }

    async fn progress(&self) -> Result<Option<Progress>> {
        self.inner.progress().await
    }

    async fn clear(&mut self) -> Result<()> {
        self.inner.clear().await
    }
}
