//! Requests of a log, read once and kept: they are counted under many rules.
//!
//! Promises: requests of one household are in one bucket; what is kept does not depend on the number of threads. Leaves out:
//! requests that are of no episode under any rules. Memory: 112 bytes a request, up to twice that while the log is read.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use hostread_connectors::lines::Line;
use hostread_rules::civil_day;
use hostread_rules::counting::Dimensions;
use hostread_schemas::event::IpClass;
use hostread_schemas::{EnclosureId, EventTimeMs, ListenerId, NameKind};

use super::Side;
use crate::count::{AddressClasses, Catalog, Log, Parsed, Reader, Reading, Seen, Wrong, read_logs};

/// Households are dealt out to so many, each of which is counted by itself.
pub(super) const BUCKETS: usize = 64;

/// A request, and the class of its address under their lists.
#[derive(Clone, Copy)]
pub(super) struct Kept {
    seen: Seen,
    their_class: IpClass,
}

impl Kept {
    /// As one of the two sees it.
    pub(super) const fn seen(&self, lists: Side) -> Seen {
        let (time, id, mut request) = self.seen;
        if matches!(lists, Side::Theirs) {
            request.ip_class = self.their_class;
        }
        (time, id, request)
    }
}

/// See the module.
#[derive(Default)]
pub(crate) struct Requests {
    /// By thread and bucket.
    threads: Vec<Vec<Vec<Kept>>>,
    /// Agents, and without a catalog paths.
    names: HashMap<(NameKind, u64), String>,
    /// Some time in it is not of a whole second.
    milliseconds: bool,
}

/// What is the same of a request in two logs: listener, audio address, time within the coarser resolution, and bytes.
type Identity = (ListenerId, EnclosureId, i64, u64, u64);

/// Of requests of which the other log has none like it: how many are in ours and in theirs.
pub(crate) type OnlyInOne = BTreeMap<(EnclosureId, i32), [u64; 2]>;

struct Worker<'a> {
    /// Ours, and theirs if they differ.
    addresses: &'a [AddressClasses],
    reader: &'a Reader,
    catalog: &'a Catalog,
    buckets: Vec<Vec<Kept>>,
    names: HashMap<(NameKind, u64), String>,
    milliseconds: bool,
}

impl Requests {
    /// Reads logs. `addresses`: ours, and theirs if they differ.
    pub(crate) fn read(
        threads: usize,
        logs: &[Log<'_>],
        reader: &Reader,
        addresses: &[AddressClasses],
        catalog: &Catalog,
    ) -> anyhow::Result<(Self, Wrong)> {
        let new = |_| Worker {
            addresses,
            reader,
            catalog,
            buckets: vec![Vec::new(); BUCKETS],
            names: HashMap::new(),
            milliseconds: false,
        };
        let mut workers: Vec<Worker<'_>> = (0..threads.max(1)).map(new).collect();
        let each = |worker: &mut Worker<'_>, reading: &mut Reading, line: Line<'_>| {
            worker.line(reading, line)
        };
        let wrong = read_logs(workers.iter_mut(), &each, reader, logs)?;
        let mut all = Self::default();
        for mut worker in workers {
            worker.buckets.iter_mut().for_each(Vec::shrink_to_fit);
            all.threads.push(worker.buckets);
            all.names.extend(worker.names);
            all.milliseconds |= worker.milliseconds;
        }
        Ok((all, wrong))
    }

    /// Those of a bucket, in no order.
    pub(super) fn bucket(&self, bucket: usize) -> impl Iterator<Item = &Kept> {
        self.threads
            .iter()
            .filter_map(move |buckets| buckets.get(bucket))
            .flatten()
    }

    /// Tells a catalog the names.
    pub(super) fn teach(&self, catalog: &mut Catalog) {
        let mut names: Vec<_> = self.names.iter().collect();
        names.sort_unstable();
        for ((kind, id), text) in names {
            catalog.learn(*kind, *id, text);
        }
    }

    /// Requests that only one of two logs has, by audio address and civil day. One that is repeated is one.
    pub(crate) fn only_in_one(&self, theirs: &Self, zone: &str) -> OnlyInOne {
        let both_fine = self.milliseconds && theirs.milliseconds;
        let resolution_ms = if both_fine { 1 } else { 1000 };
        let mut only = OnlyInOne::new();
        for bucket in 0..BUCKETS {
            let identities = |log: &Self| -> BTreeSet<Identity> {
                let kept = log.bucket(bucket);
                kept.map(|kept| kept.identity(resolution_ms)).collect()
            };
            let (a, b) = (identities(self), identities(theirs));
            for (side, of) in [(0, a.difference(&b)), (1, b.difference(&a))] {
                for (_, enclosure, time, ..) in of {
                    let time = EventTimeMs(time * resolution_ms);
                    let day = civil_day(time, zone).0;
                    only.entry((*enclosure, day)).or_default()[side] += 1;
                }
            }
        }
        only
    }
}

impl Kept {
    const fn identity(&self, resolution_ms: i64) -> Identity {
        let (time, _, request) = self.seen;
        (
            request.listener,
            request.enclosure,
            time.0.div_euclid(resolution_ms),
            request.sent_first,
            request.sent_bytes,
        )
    }
}

impl Worker<'_> {
    /// Keeps what a line says; returns why it is malformed.
    fn line(&mut self, reading: &mut Reading, line: Line<'_>) -> Option<String> {
        let (ours, theirs) = self.addresses.split_first()?;
        let names = &mut self.names;
        let paths = !self.catalog.knows_bytes();
        let learn = &mut |kind, id, text: &str| {
            if kind == NameKind::Agent || paths && kind == NameKind::Enclosure {
                names.entry((kind, id)).or_insert_with(|| text.to_owned());
            }
        };
        let catalog = self.catalog;
        let read = self.reader.read(reading, line, |heard| {
            let request = heard.fact(ours, learn);
            if !paths && catalog.episode_of(request.enclosure).is_none() {
                return None;
            }
            let theirs = theirs.first();
            let their_fact = theirs.map(|theirs| heard.fact(theirs, &mut |_, _, _: &str| {}));
            Some(Kept {
                seen: (heard.time(), heard.id(), request),
                their_class: their_fact.unwrap_or(request).ip_class,
            })
        });
        let kept = match read {
            Parsed::Nothing => return None,
            Parsed::Malformed(why) => return Some(why),
            Parsed::Request(kept) => kept?,
        };
        let (time, _, request) = &kept.seen;
        self.milliseconds |= time.0.rem_euclid(1000) != 0;
        let bucket = request.household.0 as usize % BUCKETS;
        if let Some(bucket) = self.buckets.get_mut(bucket) {
            bucket.push(kept);
        }
        None
    }
}
