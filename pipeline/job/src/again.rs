//! Journaled ticks once more, from the first on: what comes of them without a stop.

use hostread_dataflow::changes::Updates;
use hostread_dataflow::ledger::{Settled, settle};
use hostread_dataflow::{Dataflow, Material};
use hostread_journal::TickRecord;
use hostread_rules::Horizons;
use hostread_schemas::{EventTimeMs, HOUR_MS};

use crate::collect::context_of;
use crate::cutter::feed;
use crate::error::JobError;
use crate::step::Stepped;

/// See the module.
#[derive(Debug)]
pub struct Again {
    dataflow: Dataflow,
    horizons: Horizons,
    /// The dataflow knows the clock through this hour.
    hour: Option<i64>,
}

impl Again {
    /// Before the first tick.
    ///
    /// # Errors
    /// When the dataflow cannot be started.
    pub fn new(workers: usize, horizons: Horizons) -> Result<Self, JobError> {
        Ok(Self {
            dataflow: Dataflow::start(workers, horizons).map_err(JobError::Dataflow)?,
            horizons,
            hour: None,
        })
    }

    /// Runs the next tick.
    ///
    /// # Errors
    /// When the dataflow fails or a release moves a number.
    pub fn tick(&mut self, record: TickRecord) -> Result<Stepped, JobError> {
        let new_hour = self.new_hour(record.clock);
        self.run(record, new_hour).map(|(stepped, _)| stepped)
    }

    /// Runs a tick and waits for it; what a release would carry comes, too.
    pub(crate) fn run(
        &self,
        record: TickRecord,
        new_hour: Option<EventTimeMs>,
    ) -> Result<(Stepped, Vec<(Material, i64)>), JobError> {
        let context = context_of(&record).context;
        let tick = context.tick;
        feed(&self.dataflow, record, new_hour);
        let mut updates = Updates::default();
        if !self.dataflow.wait(tick.next(), &mut updates) {
            return Err(JobError::Dataflow("a worker died".to_owned()));
        }
        let output = updates.take(tick).remove(&tick).unwrap_or_default();
        let Settled { changes, withheld } = settle(output.changes, &context, &self.horizons)?;
        let stepped = Stepped {
            context,
            changes,
            withheld,
        };
        Ok((stepped, output.material))
    }

    fn new_hour(&mut self, clock: EventTimeMs) -> Option<EventTimeMs> {
        let hour = clock.0.div_euclid(HOUR_MS);
        let is_new = clock.0 > 0 && self.hour != Some(hour);
        is_new.then(|| {
            self.hour = Some(hour);
            clock
        })
    }
}
