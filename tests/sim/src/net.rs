//! The network: from the doors to the log and from the log to the pipeline. The log itself loses nothing.
//!
//! Promises: what is sent arrives at least once; some of it late, some twice, some in another order.
//! Records come out of a partition in order; partitions stand still for hours of their own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hostread_eventlog::{
    EventLog, Headers, LogError, LogReader, Offsets, ReadRecord, Record, Result, TopicSpec,
    async_trait,
};
use hostread_schemas::envelope::partition;
use hostread_schemas::event::{Event, EventType};
use hostread_schemas::{Encoder, HOUR_MS, ReceivedAtMs};
use hostread_simulate::rng::Rng;

/// Partitions of a topic.
const PARTITIONS: u32 = 2;
const MINUTE_MS: i64 = 60_000;

/// Topic and partition.
pub(crate) type Place = (String, u32);

/// The numbers of the schemas, as a registry would give them.
pub(crate) fn schema_ids() -> BTreeMap<EventType, u32> {
    (1..).zip(EventType::ALL).map(|(id, of)| (of, id)).collect()
}

/// What a poll gives next.
#[derive(Default)]
struct Given {
    /// So many of each partition, in this order.
    records: Vec<(Place, usize)>,
    fails: bool,
}

/// The log; clones are the same one.
#[derive(Clone)]
pub(crate) struct SimLog {
    topics: Vec<TopicSpec>,
    partitions: Arc<Mutex<BTreeMap<Place, Vec<ReadRecord>>>>,
    given: Arc<Mutex<Given>>,
}

fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SimLog {
    pub(crate) fn new() -> Self {
        let topics: Vec<TopicSpec> = EventType::ALL
            .iter()
            .map(|of| TopicSpec::new(of.topic(), PARTITIONS))
            .collect();
        let places = topics
            .iter()
            .flat_map(|topic| (0..PARTITIONS).map(|number| (topic.name.clone(), number)));
        Self {
            partitions: Arc::new(Mutex::new(
                places.map(|place| (place, Vec::new())).collect(),
            )),
            given: Arc::default(),
            topics,
        }
    }

    fn push(&self, record: &Record) {
        let mut partitions = guard(&self.partitions);
        let place = (record.topic.clone(), record.partition);
        let records = partitions.entry(place).or_default();
        records.push(ReadRecord {
            topic: record.topic.as_str().into(),
            partition: record.partition,
            offset: records.len() as u64,
            key: Bytes::from(record.key.clone()),
            headers: Headers::default(),
            value: Bytes::from(record.value.clone()),
            timestamp_ms: record.timestamp_ms,
        });
    }

    /// Every partition and its end.
    pub(crate) fn ends(&self) -> Offsets {
        let partitions = guard(&self.partitions);
        let ends = partitions.iter();
        ends.map(|(place, records)| (place.clone(), records.len() as u64))
            .collect()
    }

    /// The records of a partition in `[from, to)`.
    pub(crate) fn records(&self, place: &Place, from: u64, to: u64) -> Vec<ReadRecord> {
        guard(&self.partitions)[place][from as usize..to as usize].to_vec()
    }

    /// The next poll gives so many of each partition, in this order.
    pub(crate) fn give(&self, records: Vec<(Place, usize)>) {
        *guard(&self.given) = Given {
            records,
            fails: false,
        };
    }

    /// The next poll fails.
    pub(crate) fn fail_next(&self) {
        guard(&self.given).fails = true;
    }
}

#[async_trait]
impl EventLog for SimLog {
    async fn append(&self, batch: Vec<Record>) -> Result<()> {
        for record in &batch {
            self.push(record);
        }
        Ok(())
    }

    async fn start_offsets(&self) -> Result<Offsets> {
        Ok(self.ends().into_keys().map(|place| (place, 0)).collect())
    }

    async fn end_offsets(&self) -> Result<Offsets> {
        Ok(self.ends())
    }

    fn topics(&self) -> &[TopicSpec] {
        &self.topics
    }

    fn reader(&self, from: &Offsets) -> Result<Box<dyn LogReader>> {
        Ok(Box::new(SimReader {
            log: self.clone(),
            next: from.clone(),
        }))
    }
}

struct SimReader {
    log: SimLog,
    next: Offsets,
}

impl LogReader for SimReader {
    fn poll(&mut self, records_max: usize, _: Duration) -> Result<Vec<ReadRecord>> {
        let given = std::mem::take(&mut *guard(&self.log.given));
        if given.fails {
            return Err(LogError::Closed);
        }
        let mut polled = Vec::new();
        let ends = self.log.ends();
        for (place, count) in given.records {
            let Some(next) = self.next.get_mut(&place) else {
                continue;
            };
            let room = records_max - polled.len();
            let to = ends[&place].min(*next + count.min(room) as u64);
            polled.extend(self.log.records(&place, *next, to));
            *next = to;
        }
        Ok(polled)
    }

    fn behind(&mut self) -> Result<Offsets> {
        let ends = self.log.ends();
        let left = self
            .next
            .iter()
            .map(|(place, next)| (place, ends[place] - next));
        let behind = left.filter(|(_, left)| *left > 0);
        Ok(behind.map(|(place, left)| (place.clone(), left)).collect())
    }
}

/// What is on its way between the sources and the log.
pub(crate) struct Doors<I: Iterator<Item = Event>> {
    log: SimLog,
    encoder: Encoder,
    events: std::iter::Peekable<I>,
    /// By the time of arrival.
    under_way: BTreeMap<(i64, u64), Record>,
    sent: u64,
    /// Records that nobody can read.
    pub(crate) garbage: u64,
    /// Until when a partition gives nothing.
    still: BTreeMap<Place, i64>,
}

impl<I: Iterator<Item = Event>> Doors<I> {
    pub(crate) fn new(log: SimLog, events: I) -> Self {
        Self {
            log,
            encoder: Encoder::new(schema_ids()),
            events: events.peekable(),
            under_way: BTreeMap::new(),
            sent: 0,
            garbage: 0,
            still: BTreeMap::new(),
        }
    }

    /// Everything has arrived.
    pub(crate) fn is_over(&mut self) -> bool {
        self.events.peek().is_none() && self.under_way.is_empty()
    }

    /// Sends what happened by now; puts into the log what has arrived.
    pub(crate) fn go_to(&mut self, now: i64, rng: &mut Rng) {
        while let Some(event) = self.events.next_if(|e| e.meta.received_at.0 <= now) {
            self.send(&event, rng);
        }
        while let Some(next) = self.under_way.first_entry()
            && next.key().0 <= now
        {
            let mut record = next.remove();
            record.timestamp_ms = now;
            self.log.push(&record);
        }
    }

    fn send(&mut self, event: &Event, rng: &mut Rng) {
        let encoded = self.encoder.encode(event);
        let mut record = Record {
            topic: encoded.topic.to_owned(),
            partition: partition(&event.meta.tenant, PARTITIONS),
            key: encoded.key,
            headers: Vec::new(),
            value: encoded.value,
            timestamp_ms: 0,
        };
        let ReceivedAtMs(at) = event.meta.received_at;
        let mut arrive = |at: i64, record: &Record| {
            self.sent += 1;
            self.under_way.insert((at, self.sent), record.clone());
        };
        // A lost request is sent again later; a lost answer, too: then it is there twice.
        match rng.below(40) {
            0 | 1 => arrive(at + rng.range(0, 3 * HOUR_MS), &record),
            2 => {
                arrive(at, &record);
                arrive(at + rng.range(0, 6 * HOUR_MS), &record);
            }
            _ => arrive(at + rng.range(0, 2 * MINUTE_MS), &record),
        }
        if rng.chance(1, 150) {
            let cut = rng.index(record.value.len());
            record.value.truncate(cut);
            self.garbage += 1;
            arrive(at, &record);
        }
    }

    /// Draws what the next poll of the pipeline gives; everything when `calm`.
    pub(crate) fn give(&mut self, now: i64, calm: bool, rng: &mut Rng) {
        let mut places: Vec<Place> = self.log.ends().into_keys().collect();
        rng.shuffle(&mut places);
        if !calm && rng.chance(1, 30) {
            let place = rng.pick(&places).clone();
            self.still.insert(place, now + rng.range(0, 12 * HOUR_MS));
        }
        let mut given = Vec::new();
        for place in places {
            let still = self.still.get(&place).is_some_and(|until| *until > now);
            if calm {
                given.push((place, usize::MAX));
            } else if !still && rng.chance(3, 4) {
                given.push((place, 1 + rng.index(30)));
            }
        }
        self.log.give(given);
    }
}
