//! Lines of logs to requests, by the connectors that a server has.
//!
//! Promises: a line means the same in every thread and at every place of its file behind the head; it becomes a fact as an
//! event would, without being one. Leaves out: what counts.

use std::net::IpAddr;
use std::sync::Arc;

use hostread_connectors::lines::{Block, LINE_BYTES_MAX, Line};
use hostread_connectors::log::{Delivered, LogFormat, LogSettings};
use hostread_connectors::mapped::Mapping;
use hostread_connectors_kit::{IpRanges, Mapped, star};
use hostread_schemas::event::{Hash64, IpClass, IpFacts};
use hostread_schemas::fact::RequestFact;
use hostread_schemas::intern::{IdHasher, Learn};
use hostread_schemas::{EventId, EventTimeMs, TenantId};

use super::{KEY, NAME};
use crate::rules::Dated;

/// A request, when it was, and its place in the order.
pub(crate) type Seen = (EventTimeMs, EventId, RequestFact);

/// What a line says.
pub(crate) enum Parsed<T> {
    /// A comment, an empty line.
    Nothing,
    /// It cannot be read, and why.
    Malformed(String),
    /// Someone asked for something.
    Request(T),
}

/// A request as a line says it.
pub(crate) struct Heard<'a> {
    delivered: &'a Delivered<'a>,
    hasher: IdHasher,
    tenant: TenantId,
}

impl Heard<'_> {
    /// When it was.
    pub(crate) const fn time(&self) -> EventTimeMs {
        self.delivered.time
    }

    /// Its place in the order of requests of its time: it takes all of the line, and most that is dropped needs none.
    pub(crate) fn id(&self) -> EventId {
        self.hasher.event_id(NAME, NAME, self.delivered.own_id)
    }

    /// Its fact, under these classes of addresses; `learn` is told the names in it.
    pub(crate) fn fact(&self, addresses: &AddressClasses, learn: Learn<'_>) -> RequestFact {
        let address = self.delivered.address;
        let ip = IpFacts {
            star: self.household(),
            class: addresses.class(address, self.time()),
            ..IpFacts::default()
        };
        let request = &self.delivered.request;
        self.hasher.request(self.tenant, request, &ip, learn)
    }

    /// Nobody sees it, so that no secret key need hide the address as in what the gateway keeps.
    fn household(&self) -> Hash64 {
        let star = star(self.delivered.address);
        let halves = [(star >> 64) as u64, star as u64];
        Hash64(self.hasher.derived(0, &halves).hi.max(1))
    }
}

/// The classes of addresses, each from a time on: under others a request is the same but for its class.
#[derive(Clone)]
pub(crate) struct AddressClasses(Vec<(EventTimeMs, Arc<IpRanges>)>);

impl From<Dated> for AddressClasses {
    fn from(dated: Dated) -> Self {
        let dated = dated.into_iter();
        Self(dated.map(|(from, of)| (from, Arc::new(of))).collect())
    }
}

impl From<IpRanges> for AddressClasses {
    fn from(ranges: IpRanges) -> Self {
        vec![(EventTimeMs(i64::MIN), ranges)].into()
    }
}

impl AddressClasses {
    /// The class of an address at a time.
    fn class(&self, address: IpAddr, time: EventTimeMs) -> IpClass {
        let after = self.0.partition_point(|(from, _)| *from <= time);
        let of = self.0.get(after.saturating_sub(1));
        of.map_or_else(IpClass::default, |(_, ranges)| ranges.class(address))
    }
}

/// Reads lines of any log of a kind.
#[derive(Clone)]
pub(crate) struct Reader {
    log: LogSettings,
    /// Which field of a line is what, in logs of JSON or CSV lines.
    mapping: Option<Arc<Mapping>>,
    hasher: IdHasher,
    tenant: TenantId,
}

impl Reader {
    pub(crate) fn new(log: LogSettings, mapping: Option<Arc<Mapping>>) -> Self {
        let hasher = IdHasher::new(KEY);
        Self {
            log,
            mapping,
            hasher,
            tenant: hasher.tenant(NAME),
        }
    }

    /// What a line says: of a request, what `then` makes of it.
    pub(crate) fn read<T>(
        &self,
        reading: &mut Reading,
        line: Line<'_>,
        then: impl FnOnce(&Heard<'_>) -> T,
    ) -> Parsed<T> {
        let text = match line {
            Line::Text(text) => text,
            Line::TooLong(_) => {
                let why = format!("the line is longer than {LINE_BYTES_MAX} bytes");
                return Parsed::Malformed(why);
            }
        };
        let Some(format) = reading.format(text, self) else {
            return match text.trim_ascii() {
                [] => Parsed::Nothing,
                _ => Parsed::Malformed("is not of a format that can be told".to_owned()),
            };
        };
        let heard = |delivered: &Delivered<'_>| {
            then(&Heard {
                delivered,
                hasher: self.hasher,
                tenant: self.tenant,
            })
        };
        match format.hear(text, heard) {
            Mapped::Nothing => Parsed::Nothing,
            Mapped::Rejected(rejected) => Parsed::Malformed(rejected.to_string()),
            Mapped::Event(made) => Parsed::Request(made),
        }
    }
}

/// A file being read: its format is told by its first line that tells one.
#[derive(Clone)]
pub(crate) struct Reading {
    format: Option<LogFormat>,
}

impl Reading {
    /// At the beginning of a file.
    pub(crate) const fn new() -> Self {
        Self { format: None }
    }

    fn format(&mut self, line: &[u8], reader: &Reader) -> Option<&mut LogFormat> {
        if self.format.is_none() {
            let mapping = reader.mapping.as_ref();
            self.format = LogFormat::told_by(line, reader.log, mapping);
        }
        self.format.as_mut()
    }

    /// Takes note of what a block says of the lines behind it.
    pub(super) fn learn(&mut self, block: &Block, reader: &Reader) {
        for (_, line) in block.lines() {
            let Line::Text(text) = line else { continue };
            if self.format.is_some() && !text.starts_with(b"#") {
                continue;
            }
            if let Some(format) = self.format(text, reader) {
                format.learn(text);
            }
        }
    }
}
