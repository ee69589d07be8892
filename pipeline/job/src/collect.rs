//! The collector: a tick's output leaves when the tick is complete and durable.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use hostread_dataflow::changes::{TickOutput, Updates};
use hostread_dataflow::ledger::{Settled, TickContext, settle};
use hostread_dataflow::{Dataflow, Material};
use hostread_journal::{ReleaseRecord, TickRecord};
use hostread_rules::Horizons;
use hostread_schemas::Tick;
use hostread_schemas::fact::{Carry, RetentionClass};
use hostread_schemas::view::{Change, ViewClass, ViewKey, ViewValue};
use hostread_sink_kit::Known;
use tokio::sync::mpsc::UnboundedSender;

use crate::error::JobError;
use crate::release::presence_until;
use crate::status::{Status, guard};

/// How often it is looked whether the live events are loaded.
pub(crate) const LOADING_LOOK_EVERY: Duration = Duration::from_millis(1);

/// What is known of a tick besides its changes.
#[derive(Debug)]
pub(crate) struct Collected {
    pub(crate) context: TickContext,
    pub(crate) events: u64,
    pub(crate) accepted_at_ms: i64,
}

/// What the ledger needs of a record.
pub(crate) fn context_of(record: &TickRecord) -> Collected {
    let context = TickContext {
        tick: record.tick,
        clock: record.clock,
        cause: record.cause,
        batches: record
            .batches
            .iter()
            .map(|(tenant, batches, more)| (*tenant, (batches.clone(), *more)))
            .collect(),
        late: record.late.clone(),
        release: record
            .release
            .map(|r| (r.exposures_through, r.conversions_through)),
    };
    Collected {
        context,
        events: record.events.len() as u64,
        accepted_at_ms: record.accepted_at_ms,
    }
}

/// A settled tick on its way to the sinks.
#[derive(Debug)]
pub(crate) struct SettledTick {
    pub(crate) tick: Tick,
    pub(crate) clock: hostread_schemas::EventTimeMs,
    pub(crate) events: u64,
    pub(crate) accepted_at_ms: i64,
    pub(crate) changes: Vec<Change>,
    /// What readers do not see of them, by key.
    pub(crate) withheld: Arc<Vec<Change>>,
}

impl SettledTick {
    /// Changes that stay in memory until every sink has done with them.
    pub(crate) fn len(&self) -> usize {
        self.changes.len() + self.withheld.len()
    }
}

/// Shared by sequencer, collector and sinks.
#[derive(Default)]
pub(crate) struct Handover {
    expected: Mutex<VecDeque<Collected>>,
    material: Mutex<BTreeMap<Material, i64>>,
    refill: Mutex<Option<BTreeMap<ViewKey, ViewValue>>>,
    moved: Condvar,
    moved_lock: Mutex<()>,
}

impl Handover {
    /// A tick was fed.
    pub(crate) fn expect(&self, collected: Collected) {
        guard(&self.expected).push_back(collected);
    }

    /// Some sink is empty: these are the dataflow's rows as of the loaded tick.
    pub(crate) fn refill(&self, rows: BTreeMap<ViewKey, ViewValue>) {
        *guard(&self.refill) = Some(rows);
    }

    /// Something moved on.
    pub(crate) fn wake(&self) {
        self.moved.notify_all();
    }

    /// Waits until a tick has left; `false` when the job stops first.
    pub(crate) fn wait_settled(&self, tick: Tick, status: &Status) -> bool {
        while status.settled() <= tick {
            if status.stopping() {
                return false;
            }
            let lock = guard(&self.moved_lock);
            drop(self.moved.wait_timeout(lock, Duration::from_millis(5)));
        }
        true
    }

    /// What must be carried when these days are released.
    pub(crate) fn carries_through(&self, through: ReleaseRecord) -> Vec<Material> {
        guard(&self.material)
            .keys()
            .filter(|material| match (&material.carry, material.class) {
                // Paths are frozen before their touches go, unless the conversion goes too.
                (Carry::Receipt { .. }, _) => material.day > through.conversions_through,
                // Signals and agents that something later still stands on.
                (Carry::Signal { until, .. }, _) => {
                    material.day <= through.conversions_through
                        && *until > through.conversions_through
                }
                (Carry::Presence { day, .. }, _) => {
                    material.day <= through.exposures_through
                        && presence_until(*day) > through.exposures_through
                }
                // What is open goes over one midnight: the one behind which days are live.
                (Carry::Windows { day, .. }, _) => *day == through.exposures_through,
                (_, RetentionClass::Exposure) => material.day <= through.exposures_through,
                (_, RetentionClass::Conversion) => material.day <= through.conversions_through,
                (_, RetentionClass::Reference) => false,
            })
            .cloned()
            .collect()
    }

    /// Applies what came and went.
    pub(crate) fn keep(&self, changes: impl IntoIterator<Item = (Material, i64)>) {
        let mut material = guard(&self.material);
        for (carry, diff) in changes {
            match material.entry(carry) {
                Entry::Vacant(entry) => {
                    entry.insert(diff);
                }
                Entry::Occupied(mut entry) => {
                    *entry.get_mut() += diff;
                    if *entry.get() == 0 {
                        entry.remove();
                    }
                }
            }
        }
    }
}

/// The way to a sink.
pub(crate) struct Outlet {
    pub(crate) name: &'static str,
    pub(crate) sender: UnboundedSender<Arc<SettledTick>>,
    /// It lacks all that the journal no longer replays.
    pub(crate) is_empty: bool,
}

/// Settles ticks in order and gives them to every sink.
pub(crate) struct Collector {
    pub(crate) dataflow: Arc<Dataflow>,
    pub(crate) handover: Arc<Handover>,
    pub(crate) status: Arc<Status>,
    pub(crate) horizons: Horizons,
    pub(crate) sinks: Vec<Outlet>,
    /// What was archived through the tick that is loaded, if some sink is to be filled with it.
    pub(crate) known: Known,
}

impl Collector {
    /// Runs until the job stops and everything durable has left, or a part of it has failed. What the
    /// dataflow puts out while it is loaded is the loader's: taken here, the carries of the next
    /// release would lack it.
    pub(crate) fn run(&mut self) -> Result<(), JobError> {
        while self.status.settled() == Tick(0) {
            if self.status.stopping() {
                return Ok(());
            }
            std::thread::sleep(LOADING_LOOK_EVERY);
        }
        let mut updates = Updates::default();
        loop {
            if self.turn(&mut updates)? {
                self.handover.wake();
            } else if self.status.stopping() && self.is_over() {
                return Ok(());
            } else {
                self.dataflow.pause(Duration::from_millis(1), &mut updates);
            }
        }
    }

    /// Settles what is complete and durable; says whether there was such a tick. `updates` holds
    /// what came out and did not leave yet.
    pub(crate) fn turn(&mut self, updates: &mut Updates) -> Result<bool, JobError> {
        if self.dataflow.failed() {
            return Err(JobError::Dataflow("a worker died".to_owned()));
        }
        self.fill_the_empty();
        let completed = self.dataflow.completed();
        let durable = self.status.durable();
        self.dataflow.drain(updates);
        let ready = self.take_ready(completed, durable);
        let Some(last) = ready.last() else {
            return Ok(false);
        };
        let mut outputs = updates.take(last.context.tick);
        for collected in &ready {
            let output = outputs.remove(&collected.context.tick).unwrap_or_default();
            self.settle(collected, output)?;
        }
        Ok(true)
    }

    /// Nothing more will come: all has left, or the part that makes ticks durable may be gone.
    fn is_over(&self) -> bool {
        guard(&self.handover.expected).is_empty() || self.status.failure().is_some()
    }

    /// The ticks that are complete and durable.
    fn take_ready(&self, completed: Tick, durable: Tick) -> Vec<Collected> {
        let mut expected = guard(&self.handover.expected);
        let ready = expected.partition_point(|collected| {
            collected.context.tick < completed && collected.context.tick <= durable
        });
        expected.drain(..ready).collect()
    }

    fn settle(&mut self, collected: &Collected, output: TickOutput) -> Result<(), JobError> {
        self.handover.keep(output.material);
        let tick = collected.context.tick;
        let Settled { changes, withheld } =
            settle(output.changes, &collected.context, &self.horizons)?;
        let settled = SettledTick {
            tick,
            clock: collected.context.clock,
            events: collected.events,
            accepted_at_ms: collected.accepted_at_ms,
            changes,
            withheld: Arc::new(withheld),
        };
        self.send(settled, |_| true);
        self.status.note_computed(tick);
        self.status.settled.store(tick.0 + 1, Ordering::Release);
        Ok(())
    }

    /// Gives sinks that were emptied what readers knew at the loaded tick: the dataflow's rows, and what is archived. A sealed
    /// day is what was published; else what the dataflow knows is newer.
    fn fill_the_empty(&mut self) {
        let Some(mut rows) = guard(&self.handover.refill).take() else {
            return;
        };
        let tick = Tick(self.status.settled().0.saturating_sub(1));
        for (key, value) in std::mem::take(&mut self.known) {
            match value {
                _ if key.view().class() != ViewClass::Daily && rows.contains_key(&key) => {}
                Some(value) => drop(rows.insert(key, value)),
                None => drop(rows.remove(&key)),
            }
        }
        tracing::info!(%tick, rows = rows.len(), "filling the empty sinks again");
        let changes = rows.into_iter().map(|(key, value)| Change {
            tick,
            key,
            old: None,
            new: Some(value),
        });
        let settled = SettledTick {
            tick,
            clock: self.status.clock(),
            events: 0,
            accepted_at_ms: 0,
            changes: changes.collect(),
            withheld: Arc::default(),
        };
        self.send(settled, |outlet| outlet.is_empty);
    }

    fn send(&self, settled: SettledTick, wanted: impl Fn(&Outlet) -> bool) {
        let settled = Arc::new(settled);
        for outlet in self.sinks.iter().filter(|outlet| wanted(outlet)) {
            self.status.passages.send(outlet.name, settled.len());
            // A sink that is gone has said why.
            drop(outlet.sender.send(Arc::clone(&settled)));
        }
    }
}
