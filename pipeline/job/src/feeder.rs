//! Behind the cutter: a record goes into the dataflow while the parts beside the sequencer make it
//! durable and take its output.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender};

use hostread_dataflow::{Dataflow, Material};
use hostread_journal::{Journal, ReleaseRecord, TickRecord};
use hostread_schemas::{EventTimeMs, Tick};

use crate::collect::{Handover, context_of};
use crate::cutter::{Onward, feed};
use crate::error::JobError;
use crate::status::Status;

/// The parts that run beside the sequencer: the syncer makes a tick durable, the collector takes its
/// output when it is durable and complete.
pub(crate) trait Beside: Send {
    /// A tick was appended and fed.
    fn tell(&mut self);

    /// Waits until a tick has left for the sinks; `false` when the job stops first.
    fn wait_settled(&mut self, tick: Tick) -> bool;
}

/// See the module.
pub(crate) struct Feeder {
    pub(crate) dataflow: Arc<Dataflow>,
    pub(crate) handover: Arc<Handover>,
    pub(crate) status: Arc<Status>,
    pub(crate) beside: Box<dyn Beside>,
}

impl Feeder {
    /// Feeds a record that is in the journal.
    pub(crate) fn feed(&self, record: TickRecord, new_hour: Option<EventTimeMs>) {
        self.status.note_change(&record, &self.dataflow.recount());
        self.handover.expect(context_of(&record));
        feed(&self.dataflow, record, new_hour);
    }
}

impl Onward for Feeder {
    fn take(&mut self, record: TickRecord, new_hour: Option<EventTimeMs>) -> Result<(), JobError> {
        let (tick, clock) = (record.tick, record.clock);
        self.feed(record, new_hour);
        self.status.fed.store(tick.0, Ordering::Release);
        self.status.clock.store(clock.0, Ordering::Release);
        self.beside.tell();
        Ok(())
    }

    fn carries(&mut self, through: ReleaseRecord) -> Option<Vec<Material>> {
        self.beside
            .wait_settled(self.status.fed())
            .then(|| self.handover.carries_through(through))
    }
}

/// They have threads of their own.
pub(crate) struct Threads {
    pub(crate) syncer: SyncSender<()>,
    pub(crate) handover: Arc<Handover>,
    pub(crate) status: Arc<Status>,
}

impl Beside for Threads {
    fn tell(&mut self) {
        // Full: it is told already. Gone: it has said why.
        let _told = self.syncer.try_send(());
    }

    fn wait_settled(&mut self, tick: Tick) -> bool {
        self.handover.wait_settled(tick, &self.status)
    }
}

/// The syncer: one fsync for all ticks that were appended while the one before ran. Ends when the
/// sequencer is gone and everything is durable.
pub(crate) fn sync_when_told(
    journal: &Journal,
    told: &Receiver<()>,
    handover: &Handover,
    status: &Status,
) -> Result<(), JobError> {
    loop {
        let goes_on = told.recv().is_ok();
        sync(journal, status)?;
        handover.wake();
        if !goes_on {
            return Ok(());
        }
    }
}

/// Makes durable what is appended.
pub(crate) fn sync(journal: &Journal, status: &Status) -> Result<(), JobError> {
    let durable = journal.sync()?;
    status.durable.store(durable.0, Ordering::Release);
    Ok(())
}
