//! Drives the job tick by tick beside the oracle, and compares all rows after every tick.

use std::collections::{BTreeMap, BTreeSet};

use hostread_job::step::{Stepped, Stepper};
use hostread_journal::Offered;
use hostread_rules::Horizons;
use hostread_schemas::event::{Body, ByModel, Event, Model};
use hostread_schemas::fact::{Fact, FactBody, SignalKind};
use hostread_schemas::intern::IdHasher;
use hostread_schemas::unit::HOUR_MS;
use hostread_schemas::view::{
    Change, LateKey, LateOf, Metric, NumberKey, RestatementKey, Verdict, ViewKey, ViewValue,
};
use hostread_schemas::{AgentId, BatchId, Day, EventId, EventTimeMs, NameKind, TenantId, Tick};

use super::archived::Archived;
use super::world::{Given, History, START};
use crate::oracle::ledger::{TickSaid, Times};
use crate::oracle::{self, Agents, Kept, Rows, World};

/// The key that worlds are interned under.
pub(super) const HASHER: IdHasher = IdHasher::new([7; 16]);

/// Is it released one day?
fn is_timed(fact: &Fact) -> bool {
    matches!(
        fact.body,
        FactBody::Request(_) | FactBody::Impression(_) | FactBody::Signal(_)
    )
}

/// The day by which an event is late: an order's is the day that it was placed, if that is earlier.
fn judged(fact: &Fact) -> Day {
    let day = fact.time.day();
    match &fact.body {
        FactBody::Signal(signal) if signal.kind == SignalKind::Order => {
            signal.placed_at.map_or(day, |placed| placed.day().min(day))
        }
        _ => day,
    }
}

/// What the oracle is told: the live facts by the words of the head's contract, and the tick.
struct Told {
    live: BTreeMap<EventId, (u32, Fact)>,
    forgotten: Vec<Fact>,
    agents: Agents,
    kept: Kept,
    times: Times,
    lookback_days_max: i32,
    said: TickSaid,
    causes: Vec<EventId>,
    raw: Rows,
    visible: Rows,
}

impl Told {
    fn new(horizons: Horizons) -> Self {
        Self {
            live: BTreeMap::new(),
            forgotten: Vec::new(),
            agents: Agents::new(),
            kept: Kept::new(),
            times: Times {
                lateness_ms: horizons.lateness_ms,
                horizon_days: i64::from(horizons.horizon_days),
                publish_after_ms: horizons.publish_after_ms,
                exposure_days: i64::from(horizons.horizon_days + horizons.lookback_days + 2),
                signal_days: i64::from(horizons.conversion_days),
            },
            lookback_days_max: horizons.lookback_days,
            said: TickSaid::default(),
            causes: Vec::new(),
            raw: Rows::new(),
            visible: Rows::new(),
        }
    }

    /// An event comes while the clock stands.
    fn offer(&mut self, event: &Event, clock: EventTimeMs) -> Offered {
        let mut agents = Vec::new();
        let fact = HASHER.fact(event, &mut |kind, id, text| {
            if kind == NameKind::Agent {
                agents.push((AgentId(id), text.to_owned()));
            }
        });
        self.agents.extend(agents);
        // The head forgets what is released: its numbers stay, its id is free.
        let forgotten = |(_, known): &(u32, Fact)| self.times.is_released(known, clock);
        if self.live.get(&event.meta.id).is_some_and(forgotten) {
            let known = self.live.remove(&event.meta.id);
            self.forgotten.extend(known.map(|(_, known)| known));
        }
        let known = self.live.get(&event.meta.id);
        if known.is_some_and(|(revision, _)| event.meta.revision <= *revision) {
            return Offered::Duplicate;
        }
        let sealed = |fact: &Fact, day: Day| is_timed(fact) && self.times.is_sealed(day, clock);
        let late = known
            .map(|(_, known)| (known, known.time.day()))
            .filter(|(known, day)| sealed(known, *day))
            .or(Some((&fact, judged(&fact))).filter(|(fact, day)| sealed(fact, *day)))
            .map(|(_, day)| day);
        // The same words under a higher revision change nothing, but the revision stands.
        if late.is_none() && known.is_some_and(|(_, known)| *known == fact) {
            self.live.insert(event.meta.id, (event.meta.revision, fact));
            return Offered::Duplicate;
        }
        self.note(event, fact.tenant);
        if let Some(day) = late {
            *self.said.late.entry((fact.tenant, day)).or_default() += 1;
            return Offered::Late(day);
        }
        match self.live.insert(event.meta.id, (event.meta.revision, fact)) {
            Some(_) => Offered::Corrected,
            None => Offered::Added,
        }
    }

    /// The event is one of the tick.
    fn note(&mut self, event: &Event, tenant: TenantId) {
        let batch = HASHER.name(NameKind::Batch, tenant, &event.meta.batch_id);
        self.said
            .batches
            .entry(tenant)
            .or_default()
            .insert(BatchId(batch));
        let shared_tick = matches!(
            event.body,
            Body::Request(_)
                | Body::Impression(_)
                | Body::Pixel(_)
                | Body::Order(_)
                | Body::Redemption(_)
                | Body::Show(_)
        );
        if !shared_tick {
            self.causes.push(event.meta.id);
        }
    }

    fn facts(&self) -> Vec<Fact> {
        let live = self.live.values().map(|(_, fact)| fact);
        live.chain(&self.forgotten).cloned().collect()
    }

    fn world<'a>(&'a self, facts: &'a [Fact]) -> World<'a> {
        World {
            facts,
            agents: &self.agents,
            lookback_days_max: self.lookback_days_max,
            kept: &self.kept,
        }
    }

    /// Something is released: what is sealed keeps the path that it has (21).
    fn release(&mut self, clock: EventTimeMs) {
        let facts = self.facts();
        let mut paths = oracle::paths(self.world(&facts));
        paths.retain(|_, (time, path, _)| {
            !path.is_empty() && self.times.is_sealed(time.day(), clock)
        });
        self.kept.extend(paths);
    }

    /// A tick closes.
    fn tick(&mut self, tick: Tick, clock: EventTimeMs) {
        let mut said = std::mem::take(&mut self.said);
        said.tick = tick;
        said.clock = clock;
        let causes = std::mem::take(&mut self.causes);
        said.cause = match causes[..] {
            [only] => Some(only),
            _ => None,
        };
        let facts = self.facts();
        let after = oracle::rows(self.world(&facts), Some(clock));
        oracle::ledger::step(&mut self.visible, &self.raw, &after, &said, self.times);
        self.raw = after;
    }
}

/// The job and the oracle, side by side.
pub(super) struct Drive {
    stepper: Stepper,
    told: Told,
    rows: Rows,
    archived: Archived,
    clock: EventTimeMs,
    compares: bool,
}

impl Drive {
    /// Plays a history; says where the two differ first.
    pub(super) fn run(history: &History, horizons: Horizons) -> Result<(), String> {
        Self::play(history.workers, &history.given(), horizons)
    }

    /// Plays a history without the oracle: sums, order and the invariants of the job itself.
    pub(super) fn alone(history: &History, horizons: Horizons) -> Result<(), String> {
        Self::new(history.workers, horizons, false)?.through(&history.given())
    }

    /// Plays what is given; says where the two differ first.
    pub(super) fn play(workers: usize, given: &[Given], horizons: Horizons) -> Result<(), String> {
        Self::new(workers, horizons, true)?.through(given)
    }

    fn new(workers: usize, horizons: Horizons, compares: bool) -> Result<Self, String> {
        Ok(Self {
            stepper: Stepper::new(workers, horizons, HASHER).map_err(|e| e.to_string())?,
            told: Told::new(horizons),
            rows: Rows::new(),
            archived: Archived::default(),
            clock: START,
            compares,
        })
    }

    fn through(mut self, given: &[Given]) -> Result<(), String> {
        let drive = &mut self;
        drive.go_to(START)?;
        for given in given {
            match given {
                Given::Event(event) => drive.offer(event)?,
                Given::Close => {
                    drive.stepper.close().map_err(|e| e.to_string())?;
                    drive.check()?;
                }
                Given::Hours(hours) => {
                    let to = EventTimeMs(drive.stepper.clock().0 + i64::from(*hours) * HOUR_MS);
                    drive.go_to(to)?;
                }
            }
        }
        drive.stepper.close().map_err(|e| e.to_string())?;
        drive.check()?;
        let to = EventTimeMs(drive.stepper.clock().0 + HOUR_MS);
        drive.go_to(to)
    }

    fn go_to(&mut self, to: EventTimeMs) -> Result<(), String> {
        self.stepper
            .go_to(to)
            .map_err(|error| format!("{error:?}"))?;
        self.check()
    }

    fn offer(&mut self, event: &Event) -> Result<(), String> {
        let offered = self
            .stepper
            .offer(event)
            .map_err(|error| format!("{error:?}"))?;
        // A cause closes the tick before it.
        self.check()?;
        if !self.compares {
            return Ok(());
        }
        let told = self.told.offer(event, self.stepper.clock());
        if offered == told {
            Ok(())
        } else {
            Err(format!(
                "the head says {offered:?}, the oracle {told:?} of {event:?}"
            ))
        }
    }

    /// Compares the ticks that are done.
    fn check(&mut self) -> Result<(), String> {
        for stepped in self.stepper.take_done() {
            let context = &stepped.context;
            if context.clock.0 < self.clock.0 || context.clock.0 > self.clock.0 + HOUR_MS {
                return Err(format!(
                    "the clock went from {} to {}",
                    self.clock, context.clock
                ));
            }
            self.clock = context.clock;
            match context.release {
                _ if !self.compares => {}
                Some(_) => self.told.release(context.clock),
                None => self.told.tick(context.tick, context.clock),
            }
            self.apply(&stepped)?;
            self.archived.apply(&stepped)?;
            self.archived.same(&self.rows)?;
            if self.compares {
                self.same().map_err(|diff| {
                    format!("tick {} at {}: {diff}", context.tick, context.clock)
                })?;
            }
            sums(&self.rows)?;
        }
        Ok(())
    }

    fn apply(&mut self, stepped: &Stepped) -> Result<(), String> {
        restated(stepped)?;
        for Change { key, old, new, .. } in &stepped.changes {
            if self.rows.get(key) != old.as_ref() {
                return Err(format!(
                    "{key:?} went from {old:?}, {:?} stood",
                    self.rows.get(key)
                ));
            }
            match new {
                Some(new) => self.rows.insert(*key, new.clone()),
                None => self.rows.remove(key),
            };
        }
        Ok(())
    }

    fn same(&self) -> Result<(), String> {
        let keys: BTreeSet<&ViewKey> = self.rows.keys().chain(self.told.visible.keys()).collect();
        let differ = keys
            .into_iter()
            .map(|key| (key, self.rows.get(key), self.told.visible.get(key)))
            .filter(|(key, is, ought)| is != ought && !same_step(key, *is, *ought));
        let text: Vec<String> = differ
            .take(4)
            .map(|(key, is, ought)| format!("{key:?}\n  is    {is:?}\n  ought {ought:?}"))
            .collect();
        if text.is_empty() {
            Ok(())
        } else {
            Err(text.join("\n"))
        }
    }
}

/// A late change of attribution counts from what of the day is not released yet: its size is the same.
fn same_step(key: &ViewKey, is: Option<&ViewValue>, ought: Option<&ViewValue>) -> bool {
    let ViewKey::LateAfterSeal(LateKey {
        of: LateOf::Number(NumberKey::AttributionDaily(_), _),
        ..
    }) = key
    else {
        return false;
    };
    match (is, ought) {
        (Some(ViewValue::LateAfterSeal(is)), Some(ViewValue::LateAfterSeal(ought))) => {
            is.count == ought.count && is.new - is.old == ought.new - ought.old
        }
        _ => false,
    }
}

/// Restatement rows exist for published numbers that moved, and for no others.
fn restated(stepped: &Stepped) -> Result<(), String> {
    let written: BTreeSet<(NumberKey, Metric)> = stepped
        .changes
        .iter()
        .filter_map(|change| match change.key {
            ViewKey::Restatements(RestatementKey { of, metric, .. }) => Some((of, metric)),
            _ => None,
        })
        .collect();
    for (number, _) in &written {
        let moved = stepped
            .changes
            .iter()
            .any(|change| match (change.key, number) {
                (ViewKey::DownloadsDaily(key), NumberKey::DownloadsDaily(of)) => key == *of,
                (ViewKey::AttributionDaily(key), NumberKey::AttributionDaily(of)) => key == *of,
                (ViewKey::DeliveryDaily(key), NumberKey::DeliveryDaily(of)) => key == *of,
                (ViewKey::BillingLines(key), NumberKey::BillingLines(of)) => key == *of,
                _ => false,
            });
        if !moved {
            return Err(format!("{number:?} is restated but did not move"));
        }
    }
    Ok(())
}

/// Credits sum to a million and money to the value of a matched conversion; a download has its
/// verdicts.
fn sums(rows: &Rows) -> Result<(), String> {
    let mut credits: BTreeMap<_, (ByModel, ByModel)> = BTreeMap::new();
    let mut counted: BTreeMap<_, u32> = BTreeMap::new();
    for (key, value) in rows {
        match (key, value) {
            (ViewKey::Credits(key), ViewValue::Credits(row)) => {
                let sums = credits.entry((key.tenant, key.conversion)).or_default();
                for model in 0..Model::ALL.len() {
                    sums.0[model] += row.credit_micros[model];
                    sums.1[model] += row.money_micros[model];
                }
            }
            (ViewKey::Verdicts(key), ViewValue::Verdicts(row))
                if row.verdict == Verdict::Counted =>
            {
                let day = (key.tenant, key.day, row.episode, row.listener);
                *counted.entry(day).or_default() += 1;
            }
            _ => {}
        }
    }
    for (key, value) in rows {
        let wrong = match (key, value) {
            (ViewKey::Conversions(key), ViewValue::Conversions(row)) => {
                let sums = credits
                    .remove(&(key.tenant, key.conversion))
                    .unwrap_or_default();
                let ought = if row.matched_by == 0 {
                    (ByModel::default(), ByModel::default())
                } else {
                    (
                        [1_000_000; Model::ALL.len()],
                        [row.value.0; Model::ALL.len()],
                    )
                };
                sums != ought
            }
            (ViewKey::Downloads(key), ViewValue::Downloads(row)) => {
                let day = (key.tenant, key.day, key.episode, key.listener);
                counted.remove(&day) != Some(row.requests)
            }
            _ => false,
        };
        if wrong {
            return Err(format!("{key:?}: {value:?} does not add up"));
        }
    }
    match (credits.is_empty(), counted.is_empty()) {
        (true, true) => Ok(()),
        _ => Err(format!(
            "credits {credits:?} or verdicts {counted:?} of nothing"
        )),
    }
}
